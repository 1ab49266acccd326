//! Keeps a program's life within its owner's: a small shell process between the two.
//! In: a program's command line. Out: a process that passes signals on and ends the program when the owner is gone.
//! Never: signals anything but the one program it started.
//!
//! The owner holds the only write end of the shell's standard input. A line on it is a signal to pass on; its end means
//! that the owner has died, in whatever way, and the shell then ends the program and removes its temporary folder.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::LocalError;

/// The shell of every Unix.
pub(crate) const SHELL: &str = "/bin/sh";

/// `$1` log, `$2` folder to remove when the owner dies (or nothing), `$3` the signal then sent, and the command line.
const SCRIPT: &str = r#"
log=$1; folder=$2; last=$3; shift 3
exec 3<&0 </dev/null
"$@" 3<&- >>"$log" 2>&1 &
program=$!
echo "$program"
(
    while read -r signal; do kill -"$signal" "$program" 2>/dev/null; done
    trap '' TERM
    kill -"$last" "$program" 2>/dev/null
    while kill -0 "$program" 2>/dev/null; do sleep 0.05; done
    [ -z "$folder" ] || rm -rf -- "$folder"
) <&3 >/dev/null 2>&1 &
reader=$!
exec 3<&- >/dev/null
wait "$program"
status=$?
kill -TERM "$reader" 2>/dev/null
wait "$reader"
exit "$status"
"#;

/// A signal, with what PostgreSQL (and pgring) takes it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Smart shutdown: clients may finish (pgring: drains).
    Term,
    /// Fast shutdown: clients are cut off, data is written (pgring: as TERM).
    Int,
    /// Immediate shutdown: as after a crash, recovery follows at the next start.
    Quit,
    /// Death without any clean-up.
    Kill,
    /// Reads its configuration again.
    Hup,
    /// Stands still, with its sockets open.
    Stop,
    /// Goes on.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Quit => "QUIT",
            Signal::Kill => "KILL",
            Signal::Hup => "HUP",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        }
    }
}

/// A program that ends when its owner does; dropping this value is such an end, and does not wait for it.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    lifeline: ChildStdin,
    program: u32,
}

/// What a watchdog is to know besides the program's command line.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    /// The file that the program's output is appended to.
    pub log: &'a Path,
    /// The folder to remove when the owner dies.
    pub folder: Option<&'a Path>,
    /// The signal that the program gets when the owner dies.
    pub last: Signal,
}

impl Watchdog {
    /// Starts the program, arguments and environment of `command` below a watchdog.
    ///
    /// `account` is a command for the shell between, from [`crate::unprivileged`] or plain: both run as it does.
    ///
    /// # Errors
    /// [`LocalError::Io`] if there is no shell; a program that cannot run ends at once with status 126 or 127.
    pub fn start(command: &Command, mut account: Command, guard: Guard<'_>) -> Result<Watchdog, LocalError> {
        let shell = &mut account;
        shell.args(["-c", SCRIPT, "watchdog"]).arg(guard.log).arg(guard.folder.unwrap_or(Path::new("")));
        shell.arg(guard.last.name()).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.process_group(0); // Ctrl-C in a terminal reaches the owner, who stops programs in order
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().map_err(LocalError::io("cannot run", Path::new(SHELL)))?;
        let pid = shell.stdout.take().and_then(|output| {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).ok()?;
            line.trim().parse().ok()
        });
        match (pid, shell.stdin.take()) {
            (Some(program), Some(lifeline)) => Ok(Watchdog { shell, lifeline, program }),
            _ => Err(LocalError::Tool { program: SHELL.to_owned(), output: "did not start the program".to_owned() }),
        }
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.program
    }

    /// Passes a signal on; a program that has ended meanwhile takes no notice.
    pub fn signal(&mut self, signal: Signal) {
        let _ = writeln!(self.lifeline, "{}", signal.name());
    }

    /// How the program ended, if it has: its status, or 128 + the signal that ended it.
    pub fn ended(&mut self) -> Option<i32> {
        self.shell.try_wait().ok().flatten().map(|status| status.code().unwrap_or(255))
    }

    /// Waits until the program has ended; false when it lives on at the end of `patience`.
    pub fn wait(&mut self, patience: Duration) -> bool {
        let begun = Instant::now();
        while self.ended().is_none() {
            if begun.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

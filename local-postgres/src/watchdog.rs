//! Keeps a server's life within its owner's: a small shell process between the two.
//! In: a server's command line. Out: a process that passes signals on and ends the server when the owner is gone.
//! Never: signals anything but the one server it started.
//!
//! The owner holds the only write end of the shell's standard input. A line on it is a signal to pass on; its end means
//! that the owner has died, in whatever way, and the shell then ends the server and removes its temporary folder.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::LocalError;
use crate::account::Account;

/// `$1` log, `$2` folder to remove when the owner dies (or nothing), then the server's command line.
const SCRIPT: &str = r#"
log=$1; folder=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- >>"$log" 2>&1 &
server=$!
echo "$server"
(
    while read -r signal; do kill -"$signal" "$server" 2>/dev/null; done
    trap '' TERM
    kill -QUIT "$server" 2>/dev/null
    while kill -0 "$server" 2>/dev/null; do sleep 0.05; done
    [ -z "$folder" ] || rm -rf -- "$folder"
) <&3 >/dev/null 2>&1 &
reader=$!
exec 3<&- >/dev/null
wait "$server"
status=$?
kill -TERM "$reader" 2>/dev/null
wait "$reader"
exit "$status"
"#;

/// A signal that a server gives a meaning to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Fast shutdown: clients are cut off, data is written.
    Int,
    /// Immediate shutdown: as after a crash, recovery follows at the next start.
    Quit,
    /// Death without any clean-up.
    Kill,
    /// Reads its configuration again.
    Hup,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Signal::Int => "INT",
            Signal::Quit => "QUIT",
            Signal::Kill => "KILL",
            Signal::Hup => "HUP",
        }
    }
}

/// The shell process and through it the server.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    lifeline: ChildStdin,
    server: u32,
}

impl Watchdog {
    /// Starts `program` with `arguments` below a watchdog, appending its output to `log`.
    pub(crate) fn start(
        account: &Account,
        program: &Path,
        arguments: &[String],
        log: &Path,
        removed_with_owner: Option<&Path>,
    ) -> Result<Watchdog, LocalError> {
        let shell = Path::new("/bin/sh");
        let mut command = account.command(shell);
        command
            .args(["-c", SCRIPT, "watchdog"])
            .arg(log)
            .arg(removed_with_owner.map(PathBuf::from).unwrap_or_default());
        command.arg(program).args(arguments);
        command.process_group(0); // Ctrl-C in a terminal reaches the owner, who stops servers in order
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell_process = command.spawn().map_err(LocalError::io("cannot run", shell))?;
        let pid = shell_process.stdout.take().and_then(|output| {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).ok()?;
            line.trim().parse().ok()
        });
        match (pid, shell_process.stdin.take()) {
            (Some(server), Some(lifeline)) => Ok(Watchdog { shell: shell_process, lifeline, server }),
            _ => Err(LocalError::Tool { program: "/bin/sh".to_owned(), output: "did not start the server".to_owned() }),
        }
    }

    /// The server's process id.
    pub(crate) fn server(&self) -> u32 {
        self.server
    }

    /// Passes a signal on; a server that has ended meanwhile takes no notice.
    pub(crate) fn signal(&mut self, signal: Signal) {
        let _ = writeln!(self.lifeline, "{}", signal.name());
    }

    /// How the server ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().ok().flatten()
    }

    /// Waits until the server has ended; false when it lives on at the end of `patience`.
    pub(crate) fn wait(&mut self, patience: Duration) -> bool {
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

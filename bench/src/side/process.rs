//! Process: a program that serves, with its log; asked to end when dropped, killed if it does not.

use crate::error::BenchError;
use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a program may take to serve, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(20);

/// A program that was started here.
pub(super) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it says goes to `<name>.log` in `folder`.
    pub(super) fn start(mut command: Command, name: &str, folder: &Path) -> Result<Self, BenchError> {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log).map_err(BenchError::io("cannot write", &log))?;
        let err = out.try_clone().map_err(BenchError::io("cannot write", &log))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let program = command.get_program().to_owned();
        let child = command.spawn().map_err(BenchError::io("cannot start", program))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `fact` gives something.
    pub(super) fn wait_for<T>(&mut self, mut fact: impl FnMut() -> Option<T>) -> Result<T, BenchError> {
        let start = Instant::now();
        loop {
            if let Some(value) = fact() {
                return Ok(value);
            }
            let has_ended = !matches!(self.child.try_wait(), Ok(None));
            if has_ended || start.elapsed() > PATIENCE {
                return Err(BenchError::NotServing { program: self.name.clone(), said: self.last_words() });
            }
            sleep(PAUSE);
        }
    }

    fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("; ")
    }
}

/// Whether something listens on this port of 127.0.0.1.
pub(super) fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        // The programs measured here end in good order on SIGINT, and take what they started with them.
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let start = Instant::now();
        while asked.is_ok() && start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(PAUSE);
        }
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("{} ({}) does not end: {error}", self.name, self.child.id());
        }
    }
}

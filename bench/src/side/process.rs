//! Process: a program that serves, with its log; asked to end when dropped, killed if it does not. It ends with its
//! owner even when that is killed.

use crate::error::BenchError;
use pgring_local_postgres::{Guard, Signal, Watchdog};
use std::{
    fs::{self, File, Permissions},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a program may take to serve, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(20);

/// A program that was started here.
pub(super) struct Process {
    watchdog: Watchdog,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` as the user that `account` runs as; what it says goes to `<name>.log` in `folder`.
    pub(super) fn start(command: &Command, account: Command, name: &str, folder: &Path) -> Result<Self, BenchError> {
        let log = folder.join(format!("{name}.log"));
        File::create(&log).map_err(BenchError::io("cannot write", &log))?;
        // The program may run as another user than we.
        fs::set_permissions(&log, Permissions::from_mode(0o666)).map_err(BenchError::io("cannot open up", &log))?;
        let guard = Guard { log: &log, folder: None, last: Signal::Int };
        let watchdog = Watchdog::start(command, account, guard)?;
        Ok(Self { watchdog, name: name.to_owned(), log })
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.watchdog.pid()
    }

    /// Waits until `fact` gives something.
    pub(super) fn wait_for<T>(&mut self, mut fact: impl FnMut() -> Option<T>) -> Result<T, BenchError> {
        let start = Instant::now();
        loop {
            if let Some(value) = fact() {
                return Ok(value);
            }
            if self.watchdog.ended().is_some() || start.elapsed() > PATIENCE {
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
        self.watchdog.signal(Signal::Int);
        if !self.watchdog.wait(PATIENCE) {
            eprintln!("{} ({}) does not end and is killed", self.name, self.pid());
            self.watchdog.signal(Signal::Kill);
            self.watchdog.wait(PATIENCE);
        }
    }
}

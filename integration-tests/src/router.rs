//! The `pgring` program as a user has it: built, started with a configuration file, watched and ended.
//! In: the text of a configuration. Out: a router that is ready. Never: links the router's code.
//!
//! The program is `PGRING_BIN`, or `target/<profile>/pgring` beside the test executable; the kit builds it with cargo
//! when it is missing or older than the sources it is made of.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use pgring_local_postgres::{FreePort, Guard, Signal, Watchdog};
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::client;
use crate::postgres::DATABASE;

/// How long a router may take until it is ready.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a router may take to end when asked.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
/// How often a start is tried when another program snatched the port.
const START_TRIES: u32 = 3;
/// How many lines of the log a failure shows.
const SHOWN_LINES: usize = 100;
/// The crates that the program is made of.
const SOURCES: &[&str] = &["router", "config", "protocol", "rebalancer", "local-postgres"];

/// A running `pgring serve`; dropping it ends it.
#[derive(Debug)]
pub struct Router {
    watchdog: Option<Watchdog>,
    folder: TempDir,
    port: u16,
    http_port: u16,
    environment: Vec<(String, String)>,
    /// It has fault points.
    breaks: bool,
}

impl Router {
    /// Starts a router with a configuration made from its two free ports (clients, HTTP) and waits until it is ready.
    ///
    /// # Panics
    /// With the router's log if it ends or is not ready in time.
    pub fn start(environment: &[(String, String)], configuration: impl Fn(u16, u16) -> String) -> Router {
        for attempt in 1.. {
            let free = [FreePort::hold(), FreePort::hold()].map(|port| port.expect("a free port"));
            let [port, http_port] = free.map(FreePort::release);
            let folder = tempfile::Builder::new().prefix("pgring-router-").tempdir().expect("a temporary folder");
            fs::write(folder.path().join("pgring.toml"), configuration(port, http_port)).expect("a configuration file");
            let environment = environment.to_vec();
            let breaks = environment.iter().any(|(name, _)| name == "FAILPOINTS");
            let mut router = Router { watchdog: None, folder, port, http_port, environment, breaks };
            match router.try_launch() {
                Ok(()) => return router,
                Err(why) if attempt < START_TRIES && why.contains("in use") => {}
                Err(why) => panic!("{why}"),
            }
        }
        unreachable!("the loop above returns or panics")
    }

    /// Starts the process and waits until it is ready; the end of its log if it is not.
    fn try_launch(&mut self) -> Result<(), String> {
        let mut command = Command::new(if self.breaks { executable_with_faults() } else { executable() });
        command.arg("serve").arg("--config").arg(self.configuration());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let log = self.log_file();
        let guard = Guard { log: &log, folder: Some(self.folder.path()), last: Signal::Kill };
        let started = Watchdog::start(&command, Command::new("/bin/sh"), guard);
        self.watchdog = Some(started.map_err(|error| error.to_string())?);
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while http_status(self.http_port, "/readyz") != Some(200) {
            if let Some(status) = self.exit_code() {
                return Err(format!("pgring ended with status {status}; its log:\n{}", self.log_tail()));
            }
            if begun.elapsed() > START_PATIENCE {
                return Err(format!("pgring was not ready within {START_PATIENCE:?}; its log:\n{}", self.log_tail()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// A new client of the database `app`.
    pub async fn client(&self) -> Client {
        let port = self.port;
        client::connect(&format!("host=127.0.0.1 port={port} dbname={DATABASE} user=postgres password=postgres")).await
    }

    /// The port for clients on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Memory that the process has, in bytes (`VmRSS`).
    ///
    /// # Panics
    /// If it does not run.
    pub fn memory(&self) -> u64 {
        let pid = self.pid().expect("a running router");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process's status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of kB");
        kilobytes * 1024
    }

    /// The port for HTTP on 127.0.0.1.
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// The router's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.watchdog.as_ref().map(Watchdog::pid)
    }

    /// The configuration file; a change takes effect after a SIGHUP or restart.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("pgring.toml")
    }

    /// Everything the router wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("pgring.log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// The status it ended with (128 + signal when a signal ended it), if it has.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.watchdog.as_mut().and_then(Watchdog::ended)
    }

    /// Sends a signal and does not wait.
    pub fn signal(&mut self, signal: Signal) {
        self.watchdog.as_mut().expect("a running router").signal(signal);
    }

    /// Asks the router to end and waits for it; returns its status.
    ///
    /// # Panics
    /// With its log if it does not end.
    pub fn stop(&mut self) -> i32 {
        self.end(Signal::Term)
    }

    /// Ends the router without warning.
    pub fn kill(&mut self) {
        self.end(Signal::Kill);
    }

    fn end(&mut self, signal: Signal) -> i32 {
        let mut watchdog = self.watchdog.take().expect("a running router");
        watchdog.signal(signal);
        if !watchdog.wait(STOP_PATIENCE) {
            let log = self.log_tail();
            watchdog.signal(Signal::Kill);
            watchdog.wait(STOP_PATIENCE);
            panic!("pgring did not end within {STOP_PATIENCE:?}; its log:\n{log}");
        }
        watchdog.ended().unwrap_or_default()
    }

    /// Starts the router again on its ports and configuration, after [`Router::stop`] or [`Router::kill`].
    ///
    /// # Panics
    /// With its log if it does not get ready.
    pub fn restart(&mut self) {
        if self.watchdog.is_some() {
            self.end(Signal::Term);
        }
        self.try_launch().unwrap_or_else(|why| panic!("{why}"));
    }

    /// The body of a GET request to the router's HTTP port, with its status.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn http(&self, path: &str) -> (u16, String) {
        http_get(self.http_port, path).expect("an answer over HTTP")
    }

    /// The value of one metric line that begins with `name` (labels included), if it is there.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = self.http("/metrics");
        body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            watchdog.signal(Signal::Kill);
            watchdog.wait(STOP_PATIENCE);
        }
        if std::thread::panicking() {
            eprintln!("--- the router's log ends with ---\n{}\n---", self.log_tail());
        }
    }
}

/// The status of a GET request, if there is an answer.
fn http_status(port: u16, path: &str) -> Option<u16> {
    http_get(port, path).map(|(status, _)| status)
}

/// One GET request over a connection of its own.
fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The path of the `pgring` program, built first when that is needed.
///
/// # Panics
/// If cargo cannot build it.
pub fn executable() -> &'static Path {
    static EXECUTABLE: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("PGRING_BIN") {
        Some(path) => PathBuf::from(path),
        None => built_executable(),
    });
    &EXECUTABLE
}

/// The path of a `pgring` with fault points (`make faults`), built first when that is needed.
///
/// # Panics
/// If cargo cannot build it.
pub fn executable_with_faults() -> &'static Path {
    static EXECUTABLE: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("PGRING_FAULTS_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let profile = profile();
            let target = profile.parent().expect("the target folder").join("faults");
            let folder = target.join(profile.file_name().expect("the profile's name"));
            built(&folder, &["--features", "failpoints"])
        }
    });
    &EXECUTABLE
}

fn built_executable() -> PathBuf {
    built(&profile(), &[])
}

/// The folder of the profile that this test was built with.
fn profile() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test executable");
    test.ancestors().nth(2).expect("target/<profile>/deps/<test>").to_owned()
}

/// The program in a profile's folder, built if it is older than its sources.
fn built(folder: &Path, options: &[&str]) -> PathBuf {
    let path = folder.join(format!("pgring{}", std::env::consts::EXE_SUFFIX));
    let made = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
    if made.is_none_or(|made| newest_source() > made) {
        build(folder, options);
    }
    assert!(path.is_file(), "cargo made no {}", path.display());
    path
}

fn build(profile: &Path, options: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "pgring", "--bin", "pgring"]).args(options).arg("--target-dir");
    command.arg(profile.parent().expect("the target folder"));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(workspace()).status().expect("cargo");
    assert!(status.success(), "pgring does not build");
}

/// When the newest file that the program is made of was changed.
fn newest_source() -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut folders: Vec<PathBuf> = SOURCES.iter().map(|name| workspace().join(name)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() && entry.file_name() != "tests" => folders.push(entry.path()),
                Ok(metadata) if metadata.is_file() && !is_no_source(&entry.path()) => {
                    newest = newest.max(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
                }
                _ => {}
            }
        }
    }
    newest
}

/// Whether a file's change cannot change the program.
fn is_no_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["snap", "new", "md"].iter().any(|no_source| extension == *no_source))
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace above this crate")
}

//! One PostgreSQL server on 127.0.0.1 that lives no longer than its owner.
//! In: binaries and options. Out: a server that answers. Never: leaves a process or a temporary folder behind.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::home::Home;
use crate::template::run;
use crate::watchdog::{Guard, SHELL, Signal, Watchdog};
use crate::{Binaries, FreePort, LocalError, ServerOptions};

/// How long a server may take to answer; recovery after a crash is part of it.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a stop may take before the server is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How often a start is tried again when the port was snatched or old backends still hold the shared memory.
const START_TRIES: u32 = 20;
/// The file with our settings, which `postgresql.conf` includes.
const SETTINGS_FILE: &str = "pgring.conf";

/// How a server is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Clients are cut off, open transactions roll back, data is written out.
    Fast,
    /// As after a crash: the next start recovers.
    Immediate,
}

/// A PostgreSQL server; dropping it stops it, and removes its data when that is temporary.
#[derive(Debug)]
pub struct Server {
    // the watchdog goes before the folder that the server uses
    watchdog: Option<Watchdog>,
    home: Home,
    binaries: Binaries,
    options: ServerOptions,
    account: &'static Account,
    port: u16,
}

impl Server {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// [`LocalError::NotStarted`] with the end of the server's log if it ends at once; [`LocalError::InUse`] if a live
    /// server holds the folder; [`LocalError::PortTaken`]; [`LocalError::Unreachable`].
    pub fn start(binaries: &Binaries, options: ServerOptions) -> Result<Server, LocalError> {
        let account = Account::current()?;
        let home = Home::open(options.data.as_deref(), account)?;
        home.initialise(binaries, &options)?;
        Self::start_in(home, binaries, options, account)
    }

    /// Starts a streaming replica of this server; `name` becomes its `application_name` and its replication slot.
    ///
    /// A kept folder that holds data already is started as it is.
    ///
    /// # Errors
    /// As [`Server::start`]; [`LocalError::Tool`] with the words of `pg_basebackup`.
    pub fn start_replica(&self, name: &str, options: ServerOptions) -> Result<Server, LocalError> {
        let home = Home::open(options.data.as_deref(), self.account)?;
        if !home.data().join("PG_VERSION").exists() {
            self.base_backup(name, &home)?;
        }
        let options = options.setting("cluster_name", name);
        Self::start_in(home, &self.binaries, options, self.account)
    }

    fn base_backup(&self, name: &str, home: &Home) -> Result<(), LocalError> {
        let partial = home.data().with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        let mut command = self.account.command(&self.binaries.program("pg_basebackup"));
        command.arg("-D").arg(&partial).args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-U", &self.options.user, "-R", "-X", "stream", "-c", "fast", "-C", "-S", name, "--no-sync"]);
        run(command.env("PGPASSWORD", &self.options.password))?;
        fs::rename(&partial, home.data()).map_err(LocalError::io("cannot rename", &partial))
    }

    fn start_in(
        home: Home,
        binaries: &Binaries,
        options: ServerOptions,
        account: &'static Account,
    ) -> Result<Server, LocalError> {
        home.refuse_if_in_use(account)?;
        let port = options.port;
        let mut server = Server { watchdog: None, home, binaries: binaries.clone(), options, account, port };
        server.launch()?;
        Ok(server)
    }

    /// Starts the process, again when something passing stood in the way.
    fn launch(&mut self) -> Result<(), LocalError> {
        for attempt in 1.. {
            let log_start = self.home.log_length();
            let error = match self.launch_once(log_start) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let LocalError::NotStarted { log, .. } = &error else { return Err(error) };
            let snatched = log.contains("Address already in use");
            if snatched && self.options.port != 0 {
                return Err(LocalError::PortTaken { port: self.options.port });
            }
            let old_backends = log.contains("pre-existing shared memory block");
            if attempt >= START_TRIES || !(snatched || old_backends) {
                return Err(error);
            }
            if snatched {
                self.port = 0;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn launch_once(&mut self, log_start: u64) -> Result<(), LocalError> {
        let held = if self.port == 0 { Some(FreePort::hold()?) } else { None };
        self.port = held.as_ref().map_or(self.port, FreePort::port);
        self.write_settings()?;
        drop(held);
        let mut command = Command::new(self.binaries.program("postgres"));
        command.arg("-D").arg(self.home.data());
        let guard = Guard { log: &self.home.log(), folder: self.home.removed_with_owner(), last: Signal::Quit };
        self.watchdog = Some(Watchdog::start(&command, self.account.command(Path::new(SHELL)), guard)?);
        self.wait_ready(log_start)
    }

    /// Waits until `postmaster.pid` of this very process says ready.
    fn wait_ready(&mut self, log_start: u64) -> Result<(), LocalError> {
        let begun = Instant::now();
        loop {
            let Some(watchdog) = &mut self.watchdog else { return Err(LocalError::NotRunning) };
            let pid = watchdog.pid().to_string();
            let lines = self.home.postmaster().unwrap_or_default();
            let ours = lines.first().is_some_and(|line| line.trim() == pid);
            if ours && lines.get(7).is_some_and(|status| status.trim() == "ready") {
                return Ok(());
            }
            let path = self.home.folder().to_owned();
            if watchdog.ended().is_some() {
                self.watchdog = None;
                return Err(LocalError::NotStarted { path, log: self.home.log_tail(log_start) });
            }
            if begun.elapsed() > START_PATIENCE {
                let log = self.home.log_tail(log_start);
                self.end(Signal::Kill);
                return Err(LocalError::TimedOut { path, what: "ready", waited: begun.elapsed(), log });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes our settings beside PostgreSQL's own; `ALTER SYSTEM` still overrides them.
    fn write_settings(&self) -> Result<(), LocalError> {
        let main = self.home.data().join("postgresql.conf");
        let text = fs::read_to_string(&main).map_err(LocalError::io("cannot read", &main))?;
        let include = format!("include '{SETTINGS_FILE}'");
        if !text.lines().any(|line| line == include) {
            let mut file =
                fs::OpenOptions::new().append(true).open(&main).map_err(LocalError::io("cannot open", &main))?;
            writeln!(file, "\n{include}").map_err(LocalError::io("cannot write", &main))?;
        }
        let path = self.home.data().join(SETTINGS_FILE);
        fs::write(&path, self.settings()).map_err(LocalError::io("cannot write", &path))?;
        self.account.own(&path)
    }

    /// The text of our settings file.
    fn settings(&self) -> String {
        let durable = if self.options.fsync { "on" } else { "off" };
        let ground = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.home.socket_setting()),
            ("fsync", durable.to_owned()),
            ("full_page_writes", durable.to_owned()),
            ("logging_collector", "off".to_owned()),
        ];
        let wished = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        ground.into_iter().chain(wished).fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
            text
        })
    }

    /// Sends the signal and waits for the end; a server that does not end is killed.
    fn end(&mut self, signal: Signal) {
        if let Some(mut watchdog) = self.watchdog.take() {
            watchdog.signal(signal);
            if !watchdog.wait(STOP_PATIENCE) {
                watchdog.signal(Signal::Kill);
                watchdog.wait(STOP_PATIENCE);
            }
        }
    }

    /// Stops the server and keeps its data for [`Server::restart`].
    pub fn stop(&mut self, how: Stop) {
        self.end(match how {
            Stop::Fast => Signal::Int,
            Stop::Immediate => Signal::Quit,
        });
    }

    /// Kills the server's main process without warning; its backends notice and end on their own.
    pub fn kill9(&mut self) {
        self.end(Signal::Kill);
    }

    /// Stops the server if it runs, starts it on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&mut self) -> Result<(), LocalError> {
        self.stop(Stop::Fast);
        self.launch()
    }

    /// Makes the server read its configuration files again; returns before it has.
    ///
    /// # Errors
    /// [`LocalError::NotRunning`].
    pub fn reload(&mut self) -> Result<(), LocalError> {
        self.watchdog.as_mut().map(|watchdog| watchdog.signal(Signal::Hup)).ok_or(LocalError::NotRunning)
    }

    /// Changes a setting for the next [`Server::restart`].
    pub fn set(&mut self, name: impl Into<String>, value: impl ToString) {
        self.options.settings.push((name.into(), value.to_string()));
    }

    /// Makes a replica a primary and waits until it takes writes.
    ///
    /// # Errors
    /// [`LocalError::Tool`] with the words of `pg_ctl`.
    pub fn promote(&self) -> Result<(), LocalError> {
        let mut command = self.account.command(&self.binaries.program("pg_ctl"));
        run(command.arg("-D").arg(self.home.data()).args(["-w", "promote"]))
    }

    /// Whether the server's main process lives.
    pub fn is_running(&mut self) -> bool {
        self.watchdog.as_mut().is_some_and(|watchdog| watchdog.ended().is_none())
    }

    /// The server's main process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.watchdog.as_ref().map(Watchdog::pid)
    }

    /// The address it listens on, always `127.0.0.1`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port it listens on; a restart keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's name.
    pub fn user(&self) -> &str {
        &self.options.user
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.options.password
    }

    /// A connection string for libpq and its like.
    pub fn connection_string(&self, database: &str) -> String {
        let (host, port) = (self.host(), self.port);
        let [database, user, password] = [database, self.user(), self.password()].map(quote_value);
        format!("host={host} port={port} dbname={database} user={user} password={password}")
    }

    /// The folder that holds data, socket and log.
    pub fn folder(&self) -> &Path {
        self.home.folder()
    }

    /// The folder of its Unix socket.
    pub fn socket_folder(&self) -> PathBuf {
        self.home.socket()
    }

    /// The file it logs to.
    pub fn log(&self) -> PathBuf {
        self.home.log()
    }

    /// The binaries it runs from.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // data that is kept deserves a clean end, data that goes away only a quick one
        let how = if self.home.removed_with_owner().is_some() { Stop::Immediate } else { Stop::Fast };
        self.stop(how);
    }
}

/// Quotes a value of a connection string where libpq needs it.
fn quote_value(value: &str) -> String {
    let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if plain { value.to_owned() } else { format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_connection_strings_are_quoted_where_libpq_needs_it() {
        assert_eq!(quote_value("app"), "app");
        assert_eq!(quote_value(""), "''");
        assert_eq!(quote_value(r"it's a \"), r"'it\'s a \\'");
    }
}

//! PgBouncer: in front of one server, on a port of its own, as an unprivileged user.

use super::{
    Kind, POOL_SIZE, Side,
    process::{Process, listens},
};
use crate::error::BenchError;
use pgring_local_postgres::{FreePort, unprivileged};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// What PgBouncer is started through, as another user if we are root.
const SHELL: &str = "/bin/sh";

/// From this version on PgBouncer follows prepared statements in transaction mode.
const FOLLOWS_PREPARED: (u32, u32) = (1, 21);

/// A running PgBouncer.
pub(super) struct PgBouncer {
    process: Process,
    port: u16,
    version: (u32, u32),
}

impl PgBouncer {
    /// Starts it in front of `server` (a connection string) and waits until it listens.
    pub(super) fn start(program: &Path, server: &str, folder: &Path) -> Result<Self, BenchError> {
        let version = version(program)?;
        let free = FreePort::hold()?;
        let port = free.port();
        let users = folder.join("users.txt");
        fs::write(&users, "\"postgres\" \"postgres\"\n").map_err(BenchError::io("cannot write", &users))?;
        let ini = folder.join("pgbouncer.ini");
        fs::write(&ini, settings(server, port, version, &users)).map_err(BenchError::io("cannot write", &ini))?;
        let mut command = Command::new(program);
        command.arg(&ini);
        let account = unprivileged(Path::new(SHELL))?;
        free.release();
        let mut process = Process::start(&command, account, "pgbouncer", folder)?;
        process.wait_for(|| listens(port).then_some(()))?;
        Ok(Self { process, port, version })
    }

    /// The way through it.
    pub(super) fn side(&self) -> Side {
        let to = |database: &str| {
            format!("host=127.0.0.1 port={} dbname={database} user=postgres password=postgres", self.port)
        };
        let prepared = (!self.follows_prepared()).then(|| to("app_session"));
        Side { kind: Kind::PgBouncer, middle: Some(self.process.pid()), connection: to("app"), prepared }
    }

    /// What a reader of the numbers must know.
    pub(super) fn notes(&self) -> Vec<String> {
        let (major, minor) = self.version;
        let mut notes = vec![format!("PgBouncer {major}.{minor}, pool_mode = transaction, {POOL_SIZE} backends.")];
        if !self.follows_prepared() {
            notes.push(
                "This PgBouncer cannot follow prepared statements in transaction mode: in the prepared rows it runs \
                 with pool_mode = session, which does less."
                    .to_owned(),
            );
        }
        notes
    }

    fn follows_prepared(&self) -> bool {
        self.version >= FOLLOWS_PREPARED
    }
}

/// Its configuration: the same log-in and as many backends as the others have.
fn settings(server: &str, port: u16, version: (u32, u32), users: &Path) -> String {
    let prepared = if version >= FOLLOWS_PREPARED { "max_prepared_statements = 500\n" } else { "" };
    format!(
        "[databases]\n\
         app = {server} pool_mode=transaction\n\
         app_session = {server} pool_mode=session\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {}\n\
         default_pool_size = {POOL_SIZE}\n\
         max_client_conn = 1000\n\
         ignore_startup_parameters = extra_float_digits\n\
         log_connections = 0\n\
         log_disconnections = 0\n\
         {prepared}",
        users.display()
    )
}

/// Major and minor version, from `pgbouncer --version`.
fn version(program: &Path) -> Result<(u32, u32), BenchError> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    let output = output.map_err(BenchError::io("cannot start", program))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_version(&said).ok_or(BenchError::NotServing { program: "pgbouncer --version".to_owned(), said })
}

fn parse_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.lines().next()?.strip_prefix("PgBouncer ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("PgBouncer 1.18.0\nlibevent 2.1.12-stable\n"), Some((1, 18)));
        assert!(parse_version("PgBouncer 1.25.1").is_some_and(|version| version >= FOLLOWS_PREPARED));
        assert!(parse_version("PgBouncer 1.9.0").is_some_and(|version| version < FOLLOWS_PREPARED));
        assert_eq!(parse_version("pgbouncer: not found"), None);
    }
}

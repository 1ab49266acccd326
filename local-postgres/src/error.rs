//! What can go wrong between "start a server" and a server that answers.
//! In: the facts of a failure. Out: a sentence that says what to do. Never: hides the server's own words.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a local server could not be found, made, started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// No usable PostgreSQL installation in any of the usual places.
    #[error(
        "no PostgreSQL server binaries found (14 or newer); looked in {}; \
         install them (Debian: apt-get install postgresql; Fedora: dnf install postgresql-server; \
         macOS: brew install postgresql) or name their folder in PGRING_PG_BIN",
        .looked_in.join(", ")
    )]
    NotInstalled {
        /// The folders and variables that were tried, in order.
        looked_in: Vec<String>,
    },
    /// We are root, and there is no other account to run PostgreSQL as.
    #[error("PostgreSQL does not run as root, and there is no account named postgres or nobody to run it as")]
    NoAccount,
    /// The account that runs the server cannot enter the folder.
    #[error(
        "the account {account} that runs PostgreSQL cannot enter {}; choose a folder below one that others may enter, such as /var/tmp",
        .path.display()
    )]
    Unreachable {
        /// The folder asked for.
        path: PathBuf,
        /// The account's name.
        account: String,
    },
    /// The data folder was made by another major version.
    #[error("{} was made by PostgreSQL {found}, the binaries found are version {wanted}; set PGRING_PG_BIN", .path.display())]
    WrongVersion {
        /// The server's folder.
        path: PathBuf,
        /// Major version in the folder.
        found: String,
        /// Major version of the binaries.
        wanted: u32,
    },
    /// Another live server holds the data folder.
    #[error("{} is in use by the running process {pid}; stop it first (or remove postmaster.pid if that is no PostgreSQL)", .path.display())]
    InUse {
        /// The server's folder.
        path: PathBuf,
        /// The process named in `postmaster.pid`.
        pid: u32,
    },
    /// The port asked for is taken.
    #[error("port {port} on 127.0.0.1 is in use")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The server ended while starting.
    #[error("PostgreSQL did not start in {}; its log ends with:\n{log}", .path.display())]
    NotStarted {
        /// The server's folder.
        path: PathBuf,
        /// Last lines of the server's log.
        log: String,
    },
    /// The server did not reach the awaited state in time.
    #[error("PostgreSQL in {} was not {what} within {waited:?}; its log ends with:\n{log}", .path.display())]
    TimedOut {
        /// The server's folder.
        path: PathBuf,
        /// The state awaited.
        what: &'static str,
        /// How long was waited.
        waited: Duration,
        /// Last lines of the server's log.
        log: String,
    },
    /// A command needs a running server.
    #[error("the server is not running")]
    NotRunning,
    /// A PostgreSQL or system tool failed.
    #[error("{program} failed: {output}")]
    Tool {
        /// The tool.
        program: String,
        /// What it wrote to standard error (or output).
        output: String,
    },
    /// The file system or the operating system refused.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was being done, as a verb ("cannot create").
        what: &'static str,
        /// The file or program.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl LocalError {
    /// Adapter for `map_err`: says what was being done to which path.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LocalError {
        move |source| LocalError::Io { what, path: path.to_owned(), source }
    }
}

//! The account that servers run as: our own, or an unprivileged one when we are root.
//! In: nothing but the system's account list. Out: commands that run as that account. Never: runs PostgreSQL as root.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::LocalError;
use crate::watchdog::SHELL;

/// Variables that would change what PostgreSQL's programs do.
const PG_VARIABLES: &[&str] = &[
    "PGDATA",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGDATABASE",
    "PGOPTIONS",
    "PGSERVICE",
    "PGSSLMODE",
    "PGAPPNAME",
    "PGTZ",
    "PGCLIENTENCODING",
    "PGDATESTYLE",
];

/// Accounts tried, in order, when we are root.
const UNPRIVILEGED_ACCOUNTS: &[&str] = &["postgres", "nobody"];

/// An account to run servers as.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Its name, for messages and file names.
    pub(crate) name: String,
    /// Its number.
    pub(crate) uid: u32,
    /// Its group, when we change to it; `None` when we run as ourselves.
    change_to_group: Option<u32>,
}

impl Account {
    /// The account for servers started by this process.
    pub(crate) fn current() -> Result<&'static Account, LocalError> {
        static ACCOUNT: OnceLock<Option<Account>> = OnceLock::new();
        ACCOUNT.get_or_init(find_account).as_ref().ok_or(LocalError::NoAccount)
    }

    /// A command that runs as this account, in `/`, in the C locale, without the caller's `PG…` variables.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(gid) = self.change_to_group {
            command.uid(self.uid).gid(gid);
        }
        for name in PG_VARIABLES {
            command.env_remove(name);
        }
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Gives a file or folder to this account (nothing to do when it is our own).
    pub(crate) fn own(&self, path: &Path) -> Result<(), LocalError> {
        match self.change_to_group {
            Some(gid) => chown(path, Some(self.uid), Some(gid)).map_err(LocalError::io("cannot give away", path)),
            None => Ok(()),
        }
    }

    /// Whether this account can enter the folder and everything above it.
    pub(crate) fn can_enter(&self, folder: &Path) -> bool {
        let mut command = self.command(Path::new(SHELL));
        command.args(["-c", "cd -- \"$1\" 2>/dev/null", "sh"]).arg(folder);
        command.status().is_ok_and(|status| status.success())
    }

    /// Whether a process exists that this account may signal: the question PostgreSQL asks of a stale `postmaster.pid`.
    pub(crate) fn sees_process(&self, pid: u32) -> bool {
        let mut command = self.command(Path::new(SHELL));
        command.args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh"]).arg(pid.to_string());
        command.status().is_ok_and(|status| status.success())
    }
}

/// A command that runs as the account that servers run as: `postgres` or `nobody` when we are root, else ourselves.
///
/// # Errors
/// [`LocalError::NoAccount`] if we are root and there is no such account.
pub fn unprivileged(program: &Path) -> Result<Command, LocalError> {
    Ok(Account::current()?.command(program))
}

/// Whether servers could live below `folder` (which need not exist yet): the nearest existing folder can be entered
/// by the account that runs them.
///
/// # Errors
/// [`LocalError::NoAccount`] if we are root and there is no account to run PostgreSQL as.
pub fn can_reach(folder: &Path) -> Result<bool, LocalError> {
    let account = Account::current()?;
    let absolute = std::path::absolute(folder).map_err(LocalError::io("cannot resolve", folder))?;
    Ok(absolute.ancestors().find(|path| path.exists()).is_some_and(|path| account.can_enter(path)))
}

/// Ourselves, or the first account of the list when we are root.
fn find_account() -> Option<Account> {
    let own_id: u32 = id(&["-u"])?.parse().ok()?;
    if own_id != 0 {
        return Some(Account { name: format!("u{own_id}"), uid: own_id, change_to_group: None });
    }
    UNPRIVILEGED_ACCOUNTS.iter().find_map(|name| {
        let uid = id(&["-u", name])?.parse().ok()?;
        let gid = id(&["-g", name])?.parse().ok()?;
        Some(Account { name: (*name).to_owned(), uid, change_to_group: Some(gid) })
    })
}

/// The answer of the `id` program, the one portable way to the account list without unsafe code.
fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

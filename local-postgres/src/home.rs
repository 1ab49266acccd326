//! A server's folder: its data, its socket and its log.
//! In: a place to keep it, or none. Out: a folder that the server's account owns. Never: removes a folder that was to be kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::account::Account;
use crate::template::Template;
use crate::{Binaries, LocalError, ServerOptions};

/// The longest path of a socket that every system takes.
const LONGEST_SOCKET_PATH: usize = 90;
/// How long a server whose owner has just died gets to end.
const LAST_OWNER_GRACE: Duration = Duration::from_secs(3);
/// How much of the log an error quotes, in lines.
const QUOTED_LINES: usize = 12;

/// A server's folder; removed with this value when it is temporary.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    temporary: Option<TempDir>,
}

impl Home {
    /// Makes or opens the folder.
    pub(crate) fn open(data: Option<&Path>, account: &Account) -> Result<Home, LocalError> {
        let home = match data {
            Some(folder) => Self::kept(folder)?,
            None => Self::temporary()?,
        };
        account.own(&home.folder)?;
        let socket = home.socket();
        fs::create_dir_all(&socket).map_err(LocalError::io("cannot create", &socket))?;
        account.own(&socket)?;
        if account.can_enter(&home.folder) {
            return Ok(home);
        }
        Err(LocalError::Unreachable { path: home.folder.clone(), account: account.name.clone() })
    }

    fn kept(folder: &Path) -> Result<Home, LocalError> {
        let folder = std::path::absolute(folder).map_err(LocalError::io("cannot resolve", folder))?;
        fs::create_dir_all(&folder).map_err(LocalError::io("cannot create", &folder))?;
        Ok(Home { folder, temporary: None })
    }

    fn temporary() -> Result<Home, LocalError> {
        let made = tempfile::Builder::new().prefix("pgring-").tempdir();
        let temporary = made.map_err(LocalError::io("cannot create a folder in", &std::env::temp_dir()))?;
        Ok(Home { folder: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    /// Fills the data folder from the template, unless it is there already.
    pub(crate) fn initialise(&self, binaries: &Binaries, options: &ServerOptions) -> Result<(), LocalError> {
        let version_file = self.data().join("PG_VERSION");
        if !version_file.exists() {
            return Template::for_options(binaries, options)?.copy_to(&self.data());
        }
        let found = fs::read_to_string(&version_file).map_err(LocalError::io("cannot read", &version_file))?;
        if found.trim() == binaries.major().to_string() {
            return Ok(());
        }
        let found = found.trim().to_owned();
        Err(LocalError::WrongVersion { path: self.folder.clone(), found, wanted: binaries.major() })
    }

    /// Refuses a data folder that a live server holds; waits for one that is ending.
    pub(crate) fn refuse_if_in_use(&self, account: &Account) -> Result<(), LocalError> {
        let begun = Instant::now();
        while let Some(pid) = self.postmaster().and_then(|lines| lines.first()?.trim().parse::<u32>().ok()) {
            if !account.sees_process(pid) {
                return Ok(());
            }
            if begun.elapsed() > LAST_OWNER_GRACE {
                return Err(LocalError::InUse { path: self.folder.clone(), pid });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The lines of `postmaster.pid`, if there is one.
    pub(crate) fn postmaster(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    /// The last lines of the log that were written since byte `from`.
    pub(crate) fn log_tail(&self, from: u64) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        let fresh = bytes.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
        let text = String::from_utf8_lossy(fresh);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
    }

    /// Bytes in the log.
    pub(crate) fn log_length(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |metadata| metadata.len())
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// PostgreSQL's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The server's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The folder of the Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// The value of `unix_socket_directories`: none when the path is longer than systems take.
    pub(crate) fn socket_setting(&self) -> String {
        let path = self.socket();
        if path.as_os_str().len() > LONGEST_SOCKET_PATH { String::new() } else { path.display().to_string() }
    }

    /// The folder to remove when the owner dies without cleaning up.
    pub(crate) fn removed_with_owner(&self) -> Option<&Path> {
        self.temporary.as_ref().map(TempDir::path)
    }
}

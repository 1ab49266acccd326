//! Where PostgreSQL's programs are on this machine.
//! In: `PGRING_PG_BIN`, `PATH` and the folders packagers use. Out: one folder and its version. Never: installs anything.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::LocalError;

/// The oldest major version that pgring works with.
const OLDEST: u32 = 14;

/// Folders with one sub-folder per version, and where the programs are within it.
const VERSIONED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A folder that holds `postgres`, `initdb` and their like, all of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
    version: String,
    major: u32,
}

impl Binaries {
    /// Looks in `PGRING_PG_BIN`, `PATH` and the usual folders, newest version first, for PostgreSQL 14 or newer.
    ///
    /// A set `PGRING_PG_BIN` is the only place looked at.
    ///
    /// # Errors
    /// [`LocalError::NotInstalled`] with every place that was tried.
    pub fn find() -> Result<Binaries, LocalError> {
        if let Some(folder) = env::var_os("PGRING_PG_BIN") {
            let folder = PathBuf::from(folder);
            let looked_in = vec![format!("PGRING_PG_BIN={}", folder.display())];
            return Self::at(&folder).ok_or(LocalError::NotInstalled { looked_in });
        }
        let mut looked_in = vec!["PATH".to_owned()];
        let on_path = env::var_os("PATH").and_then(|path| env::split_paths(&path).find_map(|folder| Self::at(&folder)));
        if let Some(found) = on_path {
            return Ok(found);
        }
        looked_in.extend(VERSIONED.iter().map(|(base, prefix, bin)| format!("{base}/{prefix}*/{bin}")));
        let mut found: Vec<Binaries> =
            VERSIONED.iter().flat_map(|(base, prefix, bin)| versions_in(Path::new(base), prefix, bin)).collect();
        found.sort_by_key(|binaries| binaries.major);
        found.pop().ok_or(LocalError::NotInstalled { looked_in })
    }

    /// The programs of one folder, if it has a server's and they are new enough.
    pub fn at(folder: &Path) -> Option<Binaries> {
        if !folder.join("postgres").is_file() || !folder.join("initdb").is_file() {
            return None;
        }
        // packagers link only some of the programs into a folder of PATH; the others stand beside the link's target
        let folder = folder.join("postgres").canonicalize().ok()?.parent()?.to_owned();
        let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let major = major_version(&version).filter(|major| *major >= OLDEST)?;
        Some(Binaries { folder, version, major })
    }

    /// The path of one program, such as `psql`; it need not exist.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder that holds the programs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What `postgres --version` prints.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The major version, such as 15.
    pub fn major(&self) -> u32 {
        self.major
    }
}

/// Every usable installation `base/prefix…/bin`.
fn versions_in(base: &Path, prefix: &str, bin: &str) -> Vec<Binaries> {
    let Ok(entries) = fs::read_dir(base) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .filter_map(|entry| Binaries::at(&entry.path().join(bin)))
        .collect()
}

/// 15 of `postgres (PostgreSQL) 15.13 (Debian 15.13-1)`, 18 of `postgres (PostgreSQL) 18beta1`.
fn major_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_any_packagers_text() {
        let cases = [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("psql (PostgreSQL) x", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(major_version(text), expected, "{text}");
        }
    }

    #[test]
    fn a_folder_without_a_server_is_no_installation() {
        assert_eq!(Binaries::at(Path::new("/")), None);
    }
}

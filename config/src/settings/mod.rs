//! Settings: the configuration file (TOML) as types.
//! In: the file's text. Out: [`Settings`], or every [`Fault`] with file, line, key and what is allowed; the reference
//! (`docs/configuration.md`), the rows of `SHOW CONFIG`, the file again.
//! Never: a global; what a key does; a secret in a fault, a row or `Debug`.
//!
//! `schema` is the table of keys that everything else here walks over; `reader` reads single values by it, `check`
//! looks at several keys together.

mod address;
mod check;
mod choice;
mod connection;
mod effect;
mod expand;
mod fault;
mod forms;
mod plain;
mod reader;
mod reference;
mod schema;
mod secret;
mod show;
mod value;

#[cfg(test)]
mod tests;

pub use address::{AddressFilter, HostPort, Listener, Listeners, NameFilter, Network};
pub use choice::{
    AuthMethod, CacheDefault, CacheStrategy, LocalUnique, LogFormat, LogLevel, MultiShard, PoolMode, ReadPolicy,
    ReadYourWrites, RebalancerMode, ServerTlsMode, TlsMode, UnknownLag,
};
pub use connection::{ConnectionError, ConnectionParts, DEFAULT_PORT, HostPart};
pub use fault::Fault;
pub use forms::{Freshness, Gather, TimeWindow, Timeout};
pub use reference::reference;
pub use schema::{
    ApiKey, Auth, AuthRule, Cache, CachePolicy, Cluster, Database, Failover, General, Http, Log, Monitor, Pool,
    PrometheusSource, ReadRouting, Rebalancer, Replica, ServerTls, Settings, Shard, Spare, Timeouts, Tls, Transactions,
    User,
};
pub use secret::{REDACTED, Secret, ServiceUrl};
pub use show::ShowRow;

use crate::{ids::ShardName, topology::Connection};
use reader::{Reader, Setting};
use std::{fmt, fs, io, net::IpAddr, path::Path};
use toml::de::DeTable;

/// The name of the database that stands for every database not listed.
pub const ANY_DATABASE: &str = "*";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {file}: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// The file has faults.
    #[error("{}", Lines(.0))]
    Faults(Vec<Fault>),
}

struct Lines<'a>(&'a [Fault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Settings {
    /// Reads settings from a text; `file` is its name in faults, and relative paths start at its directory.
    ///
    /// # Errors
    /// Every fault that was found, in the order of the file. Where the text is no TOML, only what is wrong with that.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Fault>> {
        Self::parse_with(text, file, &|name| std::env::var(name).ok())
    }

    /// Reads settings from a file.
    ///
    /// # Errors
    /// [`SettingsError::Unreadable`], or [`SettingsError::Faults`] as in [`Settings::parse`].
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let file = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file).map_err(SettingsError::Faults),
            Err(error) => Err(SettingsError::Unreadable { file, error }),
        }
    }

    fn parse_with(text: &str, file: &str, environment: expand::Environment<'_>) -> Result<Self, Vec<Fault>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let mut faults: Vec<Fault> = errors.iter().map(|error| syntax_fault(error, text, file)).collect();
            faults.sort_by_key(|fault| (fault.line, fault.column));
            return Err(faults);
        }
        let mut reader = Reader::new(environment, reader::directory_of(file));
        let settings: Option<Self> = reader.document(&document);
        if let Some(settings) = &settings {
            check::check(settings, &mut reader);
        }
        match settings {
            Some(settings) if reader.faults.is_empty() => Ok(Self { given: reader.given, ..settings }),
            _ => Err(placed(reader.faults, text, file)),
        }
    }

    /// The file that says the same, complete: every key with its value, secrets as they are. Keys that were left out
    /// and have no default stay out. `listen` and `http` each stand on a line of their own, at its start.
    pub fn to_toml(&self) -> String {
        value::to_toml(&self.write())
    }

    /// The database of this name, else `*`.
    pub fn database(&self, name: &str) -> Option<&Database> {
        let find = |name: &str| self.databases.iter().find(|database| database.name.as_str() == name);
        find(name).or_else(|| find(ANY_DATABASE))
    }

    /// The listed user of this name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Keys whose new value a reload cannot apply.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let (old, new) = (&self.general, &new.general);
        let changed = [
            ("general.cluster", old.cluster != new.cluster),
            ("general.listen", old.listen != new.listen),
            ("general.http", old.http != new.http),
            ("general.workers", old.workers != new.workers),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}

impl General {
    /// How other routers reach this one: `advertise`, else the first listener.
    pub fn advertised(&self) -> String {
        let first = || self.listen.0.first().map(Listener::to_string).unwrap_or_default();
        self.advertise.as_ref().map_or_else(first, HostPort::to_string)
    }
}

impl Database {
    /// Whether it stands for every database not listed.
    pub fn is_any(&self) -> bool {
        self.name.as_str() == ANY_DATABASE
    }

    /// Home of unsharded tables: `default_shard`, else the first shard of the file.
    pub fn home(&self) -> Option<&ShardName> {
        self.default_shard.as_ref().or_else(|| self.shards.first().map(|shard| &shard.name))
    }

    /// Where the catalog is: `catalog`, else the first shard; none for `*`.
    pub fn catalog_connection(&self) -> Option<&ConnectionParts> {
        self.catalog.as_ref().or_else(|| self.shards.first().map(|shard| &shard.connection))
    }

    /// The shard of this name in the file.
    pub fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.name.as_str() == name)
    }
}

impl AuthRule {
    /// Whether the rule is about this log-in; a `client` of None came over a Unix socket.
    pub fn matches(&self, user: &str, database: &str, client: Option<IpAddr>) -> bool {
        self.user.matches(user) && self.database.matches(database) && self.address.matches(client)
    }
}

impl From<&ConnectionParts> for Connection {
    fn from(parts: &ConnectionParts) -> Self {
        Self(parts.to_conninfo().into())
    }
}

fn syntax_fault(error: &toml::de::Error, text: &str, file: &str) -> Fault {
    let (line, column) = fault::place(text, error.span().map_or(0, |span| span.start));
    Fault { file: file.to_owned(), line, column, key: String::new(), message: error.message().to_owned(), hint: None }
}

fn placed(mut faults: Vec<reader::Noted>, text: &str, file: &str) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.at);
    let fault = |noted: reader::Noted| {
        let (line, column) = fault::place(text, noted.at);
        Fault { file: file.to_owned(), line, column, key: noted.key, message: noted.message, hint: noted.hint }
    };
    faults.into_iter().map(fault).collect()
}

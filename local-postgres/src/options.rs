//! How a local server shall be set.
//! In: the caller's wishes. Out: one value with sensible defaults. Never: touches the disk.

use std::path::PathBuf;

/// How clients on 127.0.0.1 prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Auth {
    /// SCRAM-SHA-256, PostgreSQL's default.
    #[default]
    ScramSha256,
    /// MD5 challenge, for old clients.
    Md5,
    /// The password in clear text.
    Password,
    /// Nobody is asked.
    Trust,
}

impl Auth {
    /// The method's name in `pg_hba.conf`.
    pub fn method(self) -> &'static str {
        match self {
            Auth::ScramSha256 => "scram-sha-256",
            Auth::Md5 => "md5",
            Auth::Password => "password",
            Auth::Trust => "trust",
        }
    }
}

/// The order and character classes of text; the encoding is always UTF8.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Locale {
    /// An ICU locale such as `en-US` (PostgreSQL 15 or newer; on 14 the C library's `en_US.UTF-8` stands in).
    Icu(String),
    /// A locale of the C library, such as `C` or `C.UTF-8`.
    Libc(String),
}

impl Default for Locale {
    fn default() -> Self {
        Locale::Icu("en-US".to_owned())
    }
}

/// How a server shall be set; the default is a temporary server with user and password `postgres`.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The server's folder, kept when it stops and used again when it exists; `None` is a temporary one.
    pub data: Option<PathBuf>,
    /// The port on 127.0.0.1; 0 chooses a free one (a kept folder does not remember it).
    pub port: u16,
    /// The superuser.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Order of text.
    pub locale: Locale,
    /// Settings of `postgresql.conf`, name and plain value; later ones win.
    pub settings: Vec<(String, String)>,
    /// Whether commits reach the disk; off is only for data nobody wants back after a crash of the machine.
    pub fsync: bool,
    /// How clients log in.
    pub auth: Auth,
    /// Databases made together with the data folder, besides `postgres`.
    pub databases: Vec<String>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            data: None,
            port: 0,
            user: "postgres".to_owned(),
            password: "postgres".to_owned(),
            locale: Locale::default(),
            settings: Vec::new(),
            fsync: false,
            auth: Auth::default(),
            databases: Vec::new(),
        }
    }
}

impl ServerOptions {
    /// Keeps the server in `folder`.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Listens on this port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Makes this database too.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.databases.push(name.into());
        self
    }

    /// Sets one setting of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// Sets what a shard needs: logical decoding and prepared transactions.
    #[must_use]
    pub fn for_shard(self) -> Self {
        self.setting("wal_level", "logical").setting("max_prepared_transactions", 100)
    }

    /// Chooses the order of text.
    #[must_use]
    pub fn locale(mut self, locale: Locale) -> Self {
        self.locale = locale;
        self
    }

    /// Chooses how clients log in.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Chooses whether commits reach the disk.
    #[must_use]
    pub fn fsync(mut self, fsync: bool) -> Self {
        self.fsync = fsync;
        self
    }
}

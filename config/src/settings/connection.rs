//! Connection strings: libpq's `host=… port=… dbname=…` and `postgres://…`.
//! In: text. Out: its parts, checked; the text again, for a driver or (without password) for people.
//! Never: connects, reads the environment, prints a password. PostgreSQL manual: "Connection Strings" of libpq.

use super::{
    choice::ServerTlsMode,
    secret::{REDACTED, Secret},
};
use std::fmt;

/// PostgreSQL's port where none is given.
pub const DEFAULT_PORT: u16 = 5432;

/// What a connection string may look like; for faults and for the reference.
pub(super) const CONNECTION_FORM: &str = "connection string (secret), as host=… port=… dbname=… user=… password=…";

/// Every parameter that libpq knows and that is not a part of its own here.
const OTHER_PARAMETERS: [&str; 34] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "options",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslkey",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// Those of them that tokio-postgres understands too.
const DRIVER_PARAMETERS: [&str; 12] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// Why a text is no connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// A name without `=` after it. It is not repeated: it may be the rest of a password with a blank.
    #[error("a parameter has no value (values with blanks need quotes, as password='a b')")]
    NoValue,
    /// A quote that does not end, or a backslash at the end.
    #[error("a quoted value does not end")]
    Unterminated,
    /// A parameter that libpq does not know. It is not repeated, as in [`Self::NoValue`].
    #[error("unknown parameter{}", nearest.map(|near| format!(", did you mean \"{near}\"?")).unwrap_or_default())]
    UnknownParameter {
        /// The nearest known one.
        nearest: Option<&'static str>,
    },
    /// A port that is no number from 1 to 65535.
    #[error("\"{0}\" is not a port (1 to 65535)")]
    BadPort(String),
    /// More ports than hosts, or neither one nor as many.
    #[error("{ports} ports for {hosts} hosts")]
    PortCount {
        /// How many hosts.
        hosts: usize,
        /// How many ports.
        ports: usize,
    },
    /// An `sslmode` that is not one of those known.
    #[error("sslmode must be one of {}", ServerTlsMode::allowed_text())]
    BadSslMode,
    /// No `host`.
    #[error("has no host")]
    NoHost,
    /// A `%` in a URL that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error("a % in the URL is not followed by two hexadecimal digits of UTF-8")]
    BadPercent,
}

/// One server of a connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPart {
    /// Name, address, or the directory of a Unix socket (then it starts with `/`).
    pub host: String,
    /// Port.
    pub port: u16,
}

impl HostPart {
    /// Whether it is the directory of a Unix socket.
    pub fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// A connection string, taken apart. Its `Debug` shows no password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectionParts {
    /// Servers, at least one once parsed; several are tried in this order.
    pub hosts: Vec<HostPart>,
    /// Database; None: the caller's choice.
    pub dbname: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// TLS; None: as in `[server_tls]`.
    pub sslmode: Option<ServerTlsMode>,
    /// Every other parameter of libpq, in the order written.
    pub parameters: Vec<(String, String)>,
}

impl ConnectionParts {
    /// Takes a connection string apart.
    ///
    /// # Errors
    /// [`ConnectionError`] if it is neither `name=value …` nor a URL, or has no host.
    pub fn parse(text: &str) -> Result<Self, ConnectionError> {
        let text = text.trim();
        let pairs = match text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
            Some(url) => url_pairs(url)?,
            None => conninfo_pairs(text)?,
        };
        Self::from_pairs(pairs)
    }

    /// Builds the parts from names and values; a later value of a name replaces an earlier one.
    pub(crate) fn from_pairs(pairs: Vec<(String, String)>) -> Result<Self, ConnectionError> {
        let mut parts = Self::default();
        let (mut hosts, mut ports) = (None, None);
        for (name, value) in pairs {
            match name.as_str() {
                "host" => hosts = Some(value),
                "port" => ports = Some(value),
                "dbname" => parts.dbname = Some(value),
                "user" => parts.user = Some(value),
                "password" => parts.password = Some(Secret::new(value)),
                "sslmode" => {
                    parts.sslmode = Some(ServerTlsMode::from_name(&value).ok_or(ConnectionError::BadSslMode)?);
                }
                other if OTHER_PARAMETERS.contains(&other) => {
                    parts.parameters.retain(|(known, _)| *known != name);
                    parts.parameters.push((name, value));
                }
                other => return Err(unknown_parameter(other)),
            }
        }
        let hosts = hosts.or_else(|| parts.parameter("hostaddr").map(str::to_owned)).ok_or(ConnectionError::NoHost)?;
        parts.hosts = host_parts(&hosts, ports.as_deref().unwrap_or(""))?;
        Ok(parts)
    }

    /// The first host; empty only if nothing was parsed.
    pub fn host(&self) -> &str {
        self.hosts.first().map_or("", |part| &part.host)
    }

    /// The port of the first host.
    pub fn port(&self) -> u16 {
        self.hosts.first().map_or(DEFAULT_PORT, |part| part.port)
    }

    /// Another parameter of libpq, if it was given.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The connection string again, **with** its password. [`Self::parse`] of it gives the same parts.
    pub fn to_conninfo(&self) -> String {
        join(self.pairs())
    }

    /// The connection string for tokio-postgres, **with** its password: only parameters that driver knows;
    /// `verify-ca` and `verify-full` are `require` there (the verifying is the TLS connector's).
    pub fn to_driver_string(&self) -> String {
        let known = |name: &str| OTHER_PARAMETERS.contains(&name) && !DRIVER_PARAMETERS.contains(&name);
        let pairs =
            self.pairs().into_iter().filter(|(name, _)| !known(name)).map(|(name, value)| match value.as_str() {
                "verify-ca" | "verify-full" if name == "sslmode" => (name, "require".to_owned()),
                _ => (name, value),
            });
        join(pairs.collect())
    }

    /// The connection string without its password, to be shown.
    pub fn redacted(&self) -> String {
        join(self.pairs().into_iter().filter(|(name, _)| *name != "password").collect())
    }

    /// All names and values, in libpq's usual order; the password is among them.
    pub(crate) fn pairs(&self) -> Vec<(&str, String)> {
        let list = |of: fn(&HostPart) -> String| self.hosts.iter().map(of).collect::<Vec<_>>().join(",");
        let mut pairs = vec![("host", list(|part| part.host.clone())), ("port", list(|part| part.port.to_string()))];
        pairs.extend(self.dbname.clone().map(|value| ("dbname", value)));
        pairs.extend(self.user.clone().map(|value| ("user", value)));
        pairs.extend(self.password.as_ref().map(|value| ("password", value.expose().to_owned())));
        pairs.extend(self.sslmode.map(|mode| ("sslmode", mode.as_str().to_owned())));
        pairs.extend(self.parameters.iter().map(|(name, value)| (name.as_str(), value.clone())));
        pairs
    }
}

impl fmt::Debug for ConnectionParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| format!(" password={REDACTED}")).unwrap_or_default();
        write!(f, "ConnectionParts({}{password})", self.redacted())
    }
}

/// Whether a text reads as a connection string rather than as a name.
pub(crate) fn looks_like_connection(text: &str) -> bool {
    text.contains('=') || is_url(text)
}

/// Whether a text is a connection URL.
pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Names and values joined to a connection string, quoted where it needs quoting.
pub(crate) fn join(pairs: Vec<(&str, String)>) -> String {
    let words: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    words.join(" ")
}

fn quote(value: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && c != '\'' && c != '\\' && c != '=';
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Splits `name = value …` by libpq's rules: blanks around `=`, `'…'` with `\` before `'` and `\`.
pub(crate) fn conninfo_pairs(text: &str) -> Result<Vec<(String, String)>, ConnectionError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(ConnectionError::NoValue);
        };
        let (value, after) = conninfo_value(after.trim_start())?;
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// Reads one value at the start of `text`; returns it and what comes after it.
fn conninfo_value(text: &str) -> Result<(String, &str), ConnectionError> {
    let quoted = text.starts_with('\'');
    let body = if quoted { &text[1..] } else { text };
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next().ok_or(ConnectionError::Unterminated)?.1),
            '\'' if quoted => return Ok((value, &body[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &body[at..])),
            c => value.push(c),
        }
    }
    if quoted { Err(ConnectionError::Unterminated) } else { Ok((value, "")) }
}

/// Splits what follows `postgres://`: `[user[:password]@][host[:port],…][/dbname][?name=value&…]`.
fn url_pairs(url: &str) -> Result<Vec<(String, String)>, ConnectionError> {
    let (main, query) = url.split_once('?').unwrap_or((url, ""));
    let (authority, dbname) = main.split_once('/').unwrap_or((main, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (hosts, ports) = url_hosts(hosts);
    let mut pairs = Vec::new();
    for (name, value) in
        [("user", user), ("password", password), ("dbname", dbname), ("host", &hosts), ("port", &ports)]
    {
        if !value.is_empty() {
            pairs.push((name.to_owned(), percent_decoded(value)?));
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(ConnectionError::NoValue)?;
        pairs.push((percent_decoded(name)?, percent_decoded(value)?));
    }
    Ok(pairs)
}

/// Splits `host:port,[v6]:port` into the list of hosts and the list of ports, as `host=` and `port=` take them.
fn url_hosts(text: &str) -> (String, String) {
    let split = |one: &str| match one.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host.to_owned(), port.trim_start_matches(':').to_owned()),
        None => one.split_once(':').map_or((one.to_owned(), String::new()), |(h, p)| (h.to_owned(), p.to_owned())),
    };
    let (hosts, ports): (Vec<_>, Vec<_>) = text.split(',').map(split).unzip();
    let ports = if ports.iter().all(String::is_empty) { String::new() } else { ports.join(",") };
    (hosts.join(","), ports)
}

fn percent_decoded(text: &str) -> Result<String, ConnectionError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(ConnectionError::BadPercent) };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| ConnectionError::BadPercent)
}

fn host_parts(hosts: &str, ports: &str) -> Result<Vec<HostPart>, ConnectionError> {
    let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
    if hosts.iter().any(|host| host.is_empty()) {
        return Err(ConnectionError::NoHost);
    }
    let ports = ports.split(',').map(port).collect::<Result<Vec<u16>, _>>()?;
    if ports.len() != 1 && ports.len() != hosts.len() {
        return Err(ConnectionError::PortCount { hosts: hosts.len(), ports: ports.len() });
    }
    let ports = ports.into_iter().cycle();
    Ok(hosts.into_iter().zip(ports).map(|(host, port)| HostPart { host: host.to_owned(), port }).collect())
}

fn port(text: &str) -> Result<u16, ConnectionError> {
    match text.trim() {
        "" => Ok(DEFAULT_PORT),
        text => text.parse().ok().filter(|port| *port != 0).ok_or_else(|| ConnectionError::BadPort(text.to_owned())),
    }
}

fn unknown_parameter(name: &str) -> ConnectionError {
    let own = ["host", "port", "dbname", "user", "password", "sslmode"];
    let known = own.into_iter().chain(OTHER_PARAMETERS);
    ConnectionError::UnknownParameter { nearest: super::fault::nearest(name, known) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> ConnectionParts {
        ConnectionParts::parse(text).expect(text)
    }

    #[test]
    fn a_conninfo_is_taken_apart_by_libpqs_rules() {
        let parts =
            parse(r"host = 10.0.0.1 port=6000 dbname='my db' user=o\'brien password = 'a\'b\\c d' sslmode=verify-full");
        assert_eq!((parts.host(), parts.port()), ("10.0.0.1", 6000));
        assert_eq!(parts.dbname.as_deref(), Some("my db"));
        assert_eq!(parts.user.as_deref(), Some("o'brien"));
        assert_eq!(parts.password.as_ref().map(Secret::expose), Some(r"a'b\c d"));
        assert_eq!(parts.sslmode, Some(ServerTlsMode::VerifyFull));
    }

    #[test]
    fn a_url_is_taken_apart() {
        let parts = parse("postgres://me:p%40ss@db1:6000,[::1]:6001/app?sslmode=require&application_name=x%20y");
        let hosts = [HostPart { host: "db1".into(), port: 6000 }, HostPart { host: "::1".into(), port: 6001 }];
        assert_eq!(parts.hosts, hosts);
        assert_eq!(parts.password.as_ref().map(Secret::expose), Some("p@ss"));
        assert_eq!((parts.dbname.as_deref(), parts.parameter("application_name")), (Some("app"), Some("x y")));
        assert_eq!(parse("postgresql:///app?host=/run/pg").host(), "/run/pg");
    }

    #[test]
    fn a_host_that_starts_with_a_slash_is_a_socket_directory() {
        let parts = parse("host=/var/run/postgresql");
        assert!(parts.hosts[0].is_unix());
        assert_eq!(parts.port(), DEFAULT_PORT);
    }

    #[test]
    fn bad_connection_strings_are_refused_with_their_reason() {
        use ConnectionError::*;
        for (text, error) in [
            ("", NoHost),
            ("dbname=app", NoHost),
            ("host=", NoHost),
            ("host", NoValue),
            ("host=a 'b'", NoValue),
            ("host='a", Unterminated),
            ("host=a\\", Unterminated),
            ("host=a port=0", BadPort("0".into())),
            ("host=a port=x", BadPort("x".into())),
            ("host=a,b,c port=1,2", PortCount { hosts: 3, ports: 2 }),
            ("host=a sslmode=maybe", BadSslMode),
            ("host=a colour=x", UnknownParameter { nearest: None }),
            ("host=a pasword=x", UnknownParameter { nearest: Some("password") }),
            ("postgres://h/%zz", BadPercent),
        ] {
            assert_eq!(ConnectionParts::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_password_is_in_neither_debug_nor_the_redacted_text() {
        let parts = parse("host=a user=u password=hunter2");
        assert_eq!(parts.redacted(), "host=a port=5432 user=u");
        assert_eq!(format!("{parts:?}"), "ConnectionParts(host=a port=5432 user=u password=***)");
    }

    #[test]
    fn the_driver_reads_what_is_written_for_it() {
        let parts = parse(
            "host=a,b port=1,2 dbname='x y' user=u password='a b\\'' sslmode=verify-ca application_name=z sslrootcert=/ca options='-c a=b'",
        );
        let config: tokio_postgres::Config = parts.to_driver_string().parse().expect("the driver reads it");
        assert_eq!(config.get_password(), Some("a b'".as_bytes()));
        assert_eq!((config.get_dbname(), config.get_ports()), (Some("x y"), &[1, 2][..]));
        assert_eq!(config.get_ssl_mode(), tokio_postgres::config::SslMode::Require);
        assert_eq!(config.get_options(), Some("-c a=b"));
    }

    proptest! {
        #[test]
        fn parts_written_and_parsed_are_the_same(
            dbname in "\\PC{1,20}", user in "\\PC{1,20}", password in "\\PC{0,20}", port in 1..=u16::MAX, options in "\\PC{0,9}",
        ) {
            let parts = ConnectionParts {
                hosts: vec![HostPart { host: "h".into(), port }],
                dbname: Some(dbname.clone()),
                user: Some(user),
                password: Some(Secret::new(password.clone())),
                sslmode: None,
                parameters: vec![("options".into(), options)],
            };
            prop_assert_eq!(ConnectionParts::parse(&parts.to_conninfo()), Ok(parts.clone()));
            let config: tokio_postgres::Config = parts.to_driver_string().parse().expect("the driver reads it");
            prop_assert_eq!(config.get_dbname(), Some(dbname.as_str()));
            prop_assert_eq!(config.get_password(), Some(password.as_bytes()));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(postgres://)?[a-z=' \\\\%@:/?&\\[\\],\\PC]{0,40}") {
            let _ = ConnectionParts::parse(&text);
        }
    }
}

//! Addresses: where pgring listens, and which clients a rule means.
//! In: `host:port`, `unix:/dir`, `10.0.0.0/8`. Out: types. Never: resolves a name.

use super::{
    reader::{FromText, Item, Kind, Reader, Setting},
    value::Value,
};
use std::{fmt, net::IpAddr, path::PathBuf};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port; 0: a free one is chosen.
    pub port: u16,
}

impl HostPort {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromText for HostPort {
    fn form() -> String {
        "host:port".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or("has no port")?;
        let port = port.parse().map_err(|_| format!("{port:?} is not a port (0 to 65535)"))?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err("an IPv6 address needs brackets, as [::1]:6432".to_owned());
        }
        let host = bracketed.unwrap_or(host);
        if host.is_empty() || host.contains(char::is_whitespace) || host.contains('/') {
            return Err("has no host".to_owned());
        }
        Ok(Self { host: host.to_owned(), port })
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// One place where clients connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// TCP.
    Tcp(HostPort),
    /// A Unix socket in this directory.
    Unix(PathBuf),
}

impl Listener {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(directory) => write!(f, "unix:{}", directory.display()),
        }
    }
}

impl FromText for Listener {
    fn form() -> String {
        "host:port or unix:/directory".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(directory) if directory.starts_with('/') => Ok(Self::Unix(directory.into())),
            Some(_) => Err("the directory of a Unix socket must start with /".to_owned()),
            None => HostPort::from_text(text).map(Self::Tcp),
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// One value, or several as a list: every listener, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners(pub Vec<Listener>);

impl Setting for Listeners {
    fn kind() -> Kind {
        Kind::Value(format!("{}; several as a list", Listener::form()))
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if item.is_list() {
            Vec::read(item, reader).map(Self)
        } else {
            Listener::read(item, reader).map(|one| Self(vec![one]))
        }
    }

    fn write(&self) -> Value {
        match self.0.as_slice() {
            [one] => one.to_value(),
            several => Value::List(several.iter().map(FromText::to_value).collect()),
        }
    }
}

/// Addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// How many bits are common: 0 to 32 or 0 to 128.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` is in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |left: u128, right: u128, width: u32| {
            let beyond = width.saturating_sub(u32::from(self.prefix));
            left.checked_shr(beyond).unwrap_or(0) == right.checked_shr(beyond).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(left), IpAddr::V4(right)) => same(left.to_bits().into(), right.to_bits().into(), 32),
            (IpAddr::V6(left), IpAddr::V6(right)) => same(left.to_bits(), right.to_bits(), 128),
            _ => false,
        }
    }

    /// Whether every address in it is a loopback address.
    pub fn is_loopback(&self) -> bool {
        let whole = if self.address.is_ipv4() { 8 } else { 128 };
        self.address.is_loopback() && self.prefix >= whole
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// From where a client has to come for a rule to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFilter {
    /// From anywhere.
    All,
    /// Over a Unix socket.
    Local,
    /// From these addresses, over TCP.
    Network(Network),
}

impl AddressFilter {
    /// Whether a client matches; `None` is a Unix socket.
    pub fn matches(&self, client: Option<IpAddr>) -> bool {
        match self {
            Self::All => true,
            Self::Local => client.is_none(),
            Self::Network(network) => client.is_some_and(|address| network.contains(address)),
        }
    }
}

impl FromText for AddressFilter {
    fn form() -> String {
        "all | local | an address as 10.0.0.1 | a network as 10.0.0.0/8".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self::All),
            "local" => return Ok(Self::Local),
            _ => {}
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| format!("{address:?} is not an IP address"))?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(widest), str::parse).ok().filter(|prefix| *prefix <= widest);
        let prefix = prefix.ok_or_else(|| format!("the prefix must be a number from 0 to {widest}"))?;
        Ok(Self::Network(Network { address, prefix }))
    }

    fn to_value(&self) -> Value {
        Value::Text(match self {
            Self::All => "all".to_owned(),
            Self::Local => "local".to_owned(),
            Self::Network(network) => network.to_string(),
        })
    }
}

/// Which users or databases a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    /// All.
    All,
    /// These.
    Names(Vec<String>),
}

impl NameFilter {
    /// Whether it means `name`.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.iter().any(|known| known == name),
        }
    }
}

impl Setting for NameFilter {
    fn kind() -> Kind {
        Kind::Value("all | a name; several as a list".to_owned())
    }

    fn read(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if item.is_list() {
            return Vec::read(item, reader).map(Self::Names);
        }
        let name = String::read(item, reader)?;
        Some(if name == "all" { Self::All } else { Self::Names(vec![name]) })
    }

    fn write(&self) -> Value {
        match self {
            Self::All => Value::Text("all".to_owned()),
            Self::Names(names) => names.write(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn listeners_are_read_and_written_the_same() {
        for text in ["127.0.0.1:6432", "[::1]:0", "pgring.local:65535", "unix:/run/pgring"] {
            assert_eq!(Listener::from_text(text).map(|listener| listener.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "6432", "host", "host:", "host:65536", ":6432", "::1:6432", "unix:run", "a b:1"] {
            assert!(Listener::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_unix_listeners_are_local() {
        for (text, local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("localhost:1", true),
            ("unix:/x", true),
            ("0.0.0.0:1", false),
            ("10.0.0.1:1", false),
            ("localhost.evil.example:1", false),
        ] {
            assert_eq!(Listener::from_text(text).unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn a_network_contains_what_shares_its_prefix() {
        for (network, address, contains) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("0.0.0.0/0", "::ffff:1.2.3.4", true),
            ("::/0", "fe80::1", true),
            ("fe80::/10", "febf::1", true),
            ("fe80::/10", "fec0::1", false),
            ("127.0.0.1/32", "::ffff:127.0.0.1", true),
            ("all", "1.2.3.4", true),
            ("local", "1.2.3.4", false),
        ] {
            let filter = AddressFilter::from_text(network).unwrap();
            assert_eq!(filter.matches(Some(ip(address))), contains, "{network} {address}");
        }
        assert!(AddressFilter::Local.matches(None) && AddressFilter::All.matches(None));
        assert!(!AddressFilter::from_text("0.0.0.0/0").unwrap().matches(None));
    }

    #[test]
    fn bad_networks_are_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "host/8", "ALL"] {
            assert!(AddressFilter::from_text(text).is_err(), "{text}");
        }
    }
}

//! Secret: text that cannot be printed by accident.
//! In: a password, a verifier, a key, an address with a password in it. Out: the text, only to who says `expose`.
//! Never: shows itself in `Debug`, `Display`, a log line or `SHOW CONFIG`.

use std::fmt;

/// What stands in place of a secret wherever settings are shown.
pub const REDACTED: &str = "***";

/// A text that is secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Makes a text a secret.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. It must not reach a log, an error or another user.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The address of a service (`redis://…`, `http://…`), which may hold a user and a password: these never show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServiceUrl(Secret);

impl ServiceUrl {
    /// Wraps an address as it stands.
    pub fn new(url: impl Into<Box<str>>) -> Self {
        Self(Secret::new(url))
    }

    /// The whole address, with its password.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether no address was given.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(self.expose()))
    }
}

/// An address without the user and password and without its query, where keys like to stand.
fn redact_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?***"));
    let host = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, host)| format!("{REDACTED}@{host}"));
    if scheme.is_empty() { format!("{host}{query}") } else { format!("{scheme}://{host}{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_in_no_format() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {secret:#?} {:?}", Some(&secret)), "*** *** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn an_address_shows_without_its_password() {
        for (url, shown) in [
            ("redis://:pw@10.0.0.1:6379/0", "redis://***@10.0.0.1:6379/0"),
            ("redis://u:p@ss@h", "redis://***@h"),
            ("http://prom:9090/x?token=abc", "http://prom:9090/x?***"),
            ("http://prom:9090", "http://prom:9090"),
            ("", ""),
        ] {
            assert_eq!(ServiceUrl::new(url).to_string(), shown);
            assert_eq!(format!("{:?}", ServiceUrl::new(url)), shown);
        }
    }
}

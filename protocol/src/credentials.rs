//! Credentials: what proves who one is, stored and presented; nothing here prints.
//! In: passwords and stored verifiers. Out: the same, redacted in logs. Never: looks any up.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{md5, sasl::ScramVerifier};

/// A password in clear. Its text never appears in `Debug`; clones share one verifier, made at the first SCRAM login.
#[derive(Clone)]
pub struct Secret {
    inner: Arc<Inner>,
}

struct Inner {
    text: String,
    verifier: OnceLock<ScramVerifier>,
}

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { inner: Arc::new(Inner { text: text.into(), verifier: OnceLock::new() }) }
    }

    /// The password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.inner.text
    }

    /// A SCRAM verifier of the password with a salt of its own. The first call hashes 4096 times; made when the
    /// configuration is loaded, it leaves nothing for the first login to wait for, or to be told apart by.
    #[must_use]
    pub fn verifier(&self) -> &ScramVerifier {
        self.inner.verifier.get_or_init(|| ScramVerifier::random(&self.inner.text))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.inner.text == other.inner.text
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What the authenticating side knows about a role.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredSecret {
    /// A SCRAM-SHA-256 verifier.
    Scram(ScramVerifier),
    /// An `md5…` hash.
    Md5(String),
    /// The password itself.
    Plain(Secret),
    /// No such role, or a role without a password: every exchange runs to its end and fails.
    Unknown,
}

impl StoredSecret {
    /// Reads what `pg_authid.rolpassword` or a configuration holds: a SCRAM verifier, an md5 hash, else a password.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        match text.parse::<ScramVerifier>() {
            Ok(verifier) => Self::Scram(verifier),
            Err(_) if md5::is_md5_hash(text) => Self::Md5(text.to_owned()),
            Err(_) => Self::Plain(Secret::new(text)),
        }
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scram(_) => "Scram(…)",
            Self::Md5(_) => "Md5(…)",
            Self::Plain(_) => "Plain(…)",
            Self::Unknown => "Unknown",
        })
    }
}

/// What one logs in to a server with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A password: serves every method.
    Password(String),
    /// The keys of a SCRAM login, learnt from the client's proof: serve a server whose verifier of the role is the same.
    ScramKeys {
        /// The client's key.
        client_key: [u8; 32],
        /// The server's key, to check that the server knows the verifier.
        server_key: [u8; 32],
    },
    /// An `md5…` hash: serves MD5 alone.
    Md5(String),
    /// Nothing: serves trust, peer and certificates.
    None,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(…)",
            Self::ScramKeys { .. } => "ScramKeys(…)",
            Self::Md5(_) => "Md5(…)",
            Self::None => "None",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Secret, StoredSecret};
    use crate::{md5::md5_hash, sasl::ScramVerifier};

    #[test]
    fn nothing_secret_is_printed() {
        let keys = Credentials::ScramKeys { client_key: [7; 32], server_key: [7; 32] };
        let verifier = ScramVerifier::from_password("hunter2", &[9; 16], 4096);
        let md5 = md5_hash("hunter2", "app");
        let stored = [&md5, "hunter2"].map(StoredSecret::from_stored);
        let printed = format!(
            "{:?} {keys:?} {:?} {stored:?} {verifier:?}",
            Credentials::Password("hunter2".into()),
            Secret::new("hunter2"),
        );
        assert!(!printed.contains("hunter2") && !printed.contains('7') && !printed.contains(&md5[3..]), "{printed}");
    }

    #[test]
    fn a_stored_secret_is_told_by_its_form() {
        let verifier = ScramVerifier::from_password("x", &[1; 16], 4096);
        assert_eq!(StoredSecret::from_stored(&verifier.to_string()), StoredSecret::Scram(verifier));
        assert!(matches!(StoredSecret::from_stored(&md5_hash("x", "y")), StoredSecret::Md5(_)));
        assert!(matches!(StoredSecret::from_stored("md5 is old"), StoredSecret::Plain(_)));
    }
}

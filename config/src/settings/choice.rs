//! Choices: the closed sets of words that some settings take.
//! In: a word. Out: an enum, and the list of words for faults and for the reference. Never: accepts another word.

use super::{reader::FromText, value::Value};
use std::fmt;

macro_rules! choices {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $choice_doc:literal])* $choice:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $choice_doc])* $choice,)+
        }

        impl $name {
            /// Every choice, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$choice),+];

            /// The word in the file.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$choice => $word),+ }
            }

            /// The choice of this word.
            pub fn from_name(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == word)
            }

            /// All words, to be shown.
            pub fn allowed_text() -> String {
                Self::ALL.iter().map(|choice| choice.as_str()).collect::<Vec<_>>().join(" | ")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromText for $name {
            fn form() -> String {
                Self::allowed_text()
            }

            fn from_text(text: &str) -> Result<Self, String> {
                Self::from_name(text).ok_or_else(|| format!("unknown value {text:?}"))
            }

            fn to_value(&self) -> Value {
                Value::Text(self.as_str().to_owned())
            }
        }
    )+};
}

choices! {
    /// TLS towards clients.
    TlsMode {
        /// No TLS.
        Disable = "disable",
        /// If the client asks for it.
        Prefer = "prefer",
        /// Others are refused.
        Require = "require",
        /// And a client needs a certificate that `client_ca` signed.
        VerifyClient = "verify-client",
    }
    /// TLS towards PostgreSQL, as libpq's `sslmode`.
    ServerTlsMode {
        /// No TLS.
        Disable = "disable",
        /// If the server has it.
        Prefer = "prefer",
        /// Or no connection.
        Require = "require",
        /// And the certificate is signed by `ca`.
        VerifyCa = "verify-ca",
        /// And it is the host's.
        VerifyFull = "verify-full",
    }
    /// When a backend goes back to its pool.
    PoolMode {
        /// After each transaction; sessions pin themselves when they must.
        Transaction = "transaction",
        /// When the client leaves.
        Session = "session",
    }
    /// How a client proves who it is.
    AuthMethod {
        /// SCRAM-SHA-256.
        ScramSha256 = "scram-sha-256",
        /// The md5 of password and salt.
        Md5 = "md5",
        /// The password itself.
        Password = "password",
        /// A TLS certificate with the user's name.
        Cert = "cert",
        /// Not at all.
        Trust = "trust",
        /// It may not.
        Reject = "reject",
    }
    /// Whether a rule of `shard_by` may make a table with unique keys that lack the shard key.
    LocalUnique {
        /// No.
        Refuse = "refuse",
        /// Yes: they hold per shard.
        Allow = "allow",
    }
    /// Where reads may go.
    ReadPolicy {
        /// To the primary.
        Primary = "primary",
        /// To a replica, if one is eligible.
        ReplicaPreferred = "replica-preferred",
        /// To a replica or nowhere.
        ReplicaOnly = "replica-only",
    }
    /// What a replica is whose lag is not known.
    UnknownLag {
        /// Not read from.
        Ineligible = "ineligible",
        /// Read from.
        Eligible = "eligible",
    }
    /// Whose writes a read on a replica has to see.
    ReadYourWrites {
        /// Nobody's.
        Off = "off",
        /// Those of its session.
        Session = "session",
        /// Everybody's.
        Global = "global",
    }
    /// What a transaction over several shards is.
    MultiShard {
        /// Committed on all or none (two-phase commit).
        Atomic = "atomic",
        /// Committed one after the other.
        BestEffort = "best-effort",
        /// Refused.
        Forbid = "forbid",
    }
    /// Which statements may be cached without a policy.
    CacheDefault {
        /// None.
        Off = "off",
        /// All that are eligible.
        On = "on",
    }
    /// How a policy's entries follow writes.
    CacheStrategy {
        /// A write throws the entry out; the next read fills it again.
        CacheAside = "cache_aside",
        /// A write through pgring fills the entry again at once.
        WriteThrough = "write_through",
        /// The entry is filled again before its life ends.
        RefreshAhead = "refresh_ahead",
    }
    /// What the rebalancer does by itself.
    RebalancerMode {
        /// Nothing.
        Off = "off",
        /// It recommends.
        Advise = "advise",
        /// It acts.
        Auto = "auto",
    }
    /// How much is logged.
    LogLevel {
        /// What failed.
        Error = "error",
        /// And what may fail soon.
        Warn = "warn",
        /// And what happens.
        Info = "info",
        /// And why.
        Debug = "debug",
        /// And every step.
        Trace = "trace",
    }
    /// What a log line looks like.
    LogFormat {
        /// For people.
        Text = "text",
        /// For machines.
        Json = "json",
    }
}

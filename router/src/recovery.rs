//! Recovery: ends transactions over several shards that a crash left prepared. In: what the shards hold, which routers
//! live. Out: COMMIT PREPARED and ROLLBACK PREPARED, and who is in doubt. Never: a guess, an end by age alone.
//!
//! The row in `pgring.decisions` of the deciding shard is the truth. Where there is none, one that says `abort` is
//! written; a decider that is still about to commit then fails by the same unique key, so there is one verdict.

mod arbiter;
mod shards;
mod sweep;

pub use arbiter::{finish, resolve, verdict};
pub use shards::Clients;
pub use sweep::{in_doubt, keep};

use crate::control::ControlError;
use std::fmt;

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has happened.
    Commit,
    /// Nothing of it has.
    Abort,
}

impl Verdict {
    /// The verb that tells a prepared transaction.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Commit => "COMMIT",
            Self::Abort => "ROLLBACK",
        }
    }

    /// As it is written down.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Abort => "abort",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "commit" => Some(Self::Commit),
            "abort" => Some(Self::Abort),
            _ => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a transaction could not be ended on a shard.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The shard does not answer, or refused.
    #[error("{0}")]
    Control(#[from] ControlError),
    /// No shard has this name.
    #[error("shard {0} is not known")]
    UnknownShard(Box<str>),
    /// The shard has neither the prepared transaction nor its row: it came back without what it had promised to keep.
    #[error("the shard has lost a transaction that is committed")]
    Lost,
    /// What stands there is no verdict.
    #[error("the decision cannot be read: {0}")]
    Unreadable(String),
}

impl From<tokio_postgres::Error> for RecoveryError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Control(error.into())
    }
}

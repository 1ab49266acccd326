//! Propose: which arcs should move where. In: a topology, a wish, load if it was measured. Out: a [`Proposal`].
//! Never: moves a row, reads a clock, cuts more than it must.
//!
//! A proposal covers groups placed by HASH. Ranges, directory keys and keys pinned by hand stay where somebody put
//! them; [`Proposal::stays`] names the groups where a drained shard still holds some. Arcs that are being moved
//! already are left alone.

pub mod add;
pub mod drain;
pub mod rebalance;
pub mod split;
mod holding;
#[cfg(test)]
mod tests;

use crate::span::Span;
use pgring_config::ids::{GroupName, ShardName};

/// Columns of [`Proposal::rows`].
pub const COLUMNS: [&str; 7] = ["step", "group", "arc_start", "arc_end", "share", "from", "to"];

/// One arc, or a part of one, and its new owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// Colocation group.
    pub group: GroupName,
    /// What moves.
    pub arc: Span,
    /// Owner now.
    pub from: ShardName,
    /// Owner then; for ADD SHARD and SPLIT a shard that may not exist yet.
    pub to: ShardName,
    /// Part of the group's ring, `0..=1`.
    pub share: f64,
}

/// What a shard owns of one group's ring.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Colocation group.
    pub group: GroupName,
    /// Shard.
    pub shard: ShardName,
    /// Weight of the shard.
    pub weight: f64,
    /// Part of the group's ring, `0..=1`.
    pub share: f64,
}

/// The moves that fulfil a wish.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// By group, then by arc; no two touch the same token of a group.
    pub moves: Vec<Move>,
    /// Who owns how much now, by group and shard.
    pub shares_before: Vec<Share>,
    /// Who owns how much after all moves, by group and shard; a new shard comes last.
    pub shares_after: Vec<Share>,
    /// Groups in which a drained shard keeps ranges, directory keys, pinned keys or arcs that are already moving.
    pub stays: Vec<GroupName>,
}

impl Proposal {
    /// Nothing has to move.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The moves as `DRY RUN` prints them, one row a move under [`COLUMNS`]; None is NULL (the end of the ring).
    pub fn rows(&self) -> Vec<[Option<String>; 7]> {
        self.moves.iter().enumerate().map(|(at, r#move)| r#move.row(at + 1)).collect()
    }
}

impl Move {
    fn row(&self, step: usize) -> [Option<String>; 7] {
        [
            Some(step.to_string()),
            Some(self.group.to_string()),
            Some(self.arc.start().0.to_string()),
            self.arc.end().map(|end| end.0.to_string()),
            Some(format!("{:.6}", self.share)),
            Some(self.from.to_string()),
            Some(self.to.to_string()),
        ]
    }
}

/// Why there is no proposal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposeError {
    /// No shard has this name.
    #[error("shard \"{0}\" does not exist")]
    UnknownShard(ShardName),
    /// The name of the new shard is taken.
    #[error("shard \"{0}\" already exists")]
    ShardExists(ShardName),
    /// A weight must be a finite number above 0.
    #[error("weight {0} is not a number above 0")]
    Weight(f64),
    /// There is no active shard with a weight that could take the arcs.
    #[error("no other active shard can take the arcs")]
    NoTaker,
}

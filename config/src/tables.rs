//! Tables: their kind and their colocation group.

use crate::{ids::GroupIndex, key::KeyType};
use std::fmt;

/// A table's name with its schema, both as PostgreSQL stores them (folded, unquoted).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Schema.
    pub schema: Box<str>,
    /// Table.
    pub name: Box<str>,
}

impl TableName {
    /// A table's name from its parts.
    pub fn new(schema: impl Into<Box<str>>, name: impl Into<Box<str>>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Where a table's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Spread over the shards by a key column.
    Sharded(ShardedTable),
    /// A full copy on every shard.
    Reference,
    /// On the default shard.
    Local,
}

/// How a sharded table is spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardedTable {
    /// Its colocation group.
    pub group: GroupIndex,
    /// Its key column.
    pub key: Box<str>,
    /// Type of the key column; None while the table is only planned.
    pub key_type: Option<KeyType>,
    /// Unique keys without the shard key are allowed (they hold per shard).
    pub allow_local_unique: bool,
}

impl ShardedTable {
    /// Stands for the group of a planned table whose group is not decided before its key type is known: no group
    /// has this index.
    pub const UNDECIDED: GroupIndex = GroupIndex(u16::MAX);
}

/// How a group finds the owner of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By the key's token: arcs of the ring.
    Hash,
    /// By ordered ranges of keys.
    Range,
    /// Key by key.
    Directory,
}

impl Strategy {
    /// Its word: `hash`, `range`, `directory`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Range => "range",
            Self::Directory => "directory",
        }
    }

    /// The strategy of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Hash, Self::Range, Self::Directory].into_iter().find(|strategy| strategy.as_str() == word)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a rule already has its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableState {
    /// The rule came before `CREATE TABLE`.
    Planned,
    /// The table exists.
    Ready,
    /// Its rows are being moved.
    Moving,
}

impl TableState {
    /// Its word: `planned`, `ready`, `moving`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Ready => "ready",
            Self::Moving => "moving",
        }
    }

    /// The state of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Planned, Self::Ready, Self::Moving].into_iter().find(|state| state.as_str() == word)
    }
}

/// A table that the catalog knows. Tables it does not know are local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Its kind.
    pub kind: TableKind,
    /// Its state.
    pub state: TableState,
}

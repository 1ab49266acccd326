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

//! The topology of one database: the immutable snapshot that a statement holds from plan to end.

use crate::{
    ids::{Epoch, GroupIndex, GroupName, ServerName, ShardIndex, ShardName, Token},
    key::{KeyFamily, KeyValue},
    tables::{Strategy, Table, TableKind, TableName},
};
use std::{collections::HashMap, fmt, sync::Arc};

/// A libpq-style connection string (`host=… port=… dbname=… user=… password=…`). Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection(pub Arc<str>);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection(…)")
    }
}

/// State of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// Serves.
    Active,
    /// Taken out by hand.
    Inactive,
    /// Its arcs are moving away.
    Draining,
    /// Its primary cannot be reached.
    Failed,
}

impl ShardState {
    /// Its word: `active`, `inactive`, `draining`, `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }

    /// The state of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Inactive, Self::Draining, Self::Failed].into_iter().find(|state| state.as_str() == word)
    }
}

/// A shard: a primary with its replicas.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its name.
    pub name: ShardName,
    /// Share of the ring it is meant to own, relative to the others.
    pub weight: f64,
    /// Where it stands.
    pub zone: Option<String>,
    /// State.
    pub state: ShardState,
    /// Refuses writes (25006).
    pub read_only: bool,
    /// libpq-style connection string of the primary; holds secrets, never logged.
    pub connection: Connection,
    /// Its replicas.
    pub replicas: Vec<Replica>,
}

/// A replica of a shard.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its name.
    pub name: ServerName,
    /// Share of the shard's reads.
    pub weight: f64,
    /// Where it stands.
    pub zone: Option<String>,
    /// Connection string.
    pub connection: Connection,
}

/// An arc of tokens `[start, end)` and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedArc {
    /// First token.
    pub start: Token,
    /// One past the last token; None: up to and with the highest token.
    pub end: Option<Token>,
    /// Owner.
    pub shard: ShardIndex,
    /// Rows of this arc are being moved.
    pub moving: bool,
}

/// A bound of a range: below everything, a key, above everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// MINVALUE
    Min,
    /// A key.
    Key(KeyValue),
    /// MAXVALUE
    Max,
}

/// A range of keys `[from, to)` and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRange {
    /// First key.
    pub from: Bound,
    /// First key that is no longer in it.
    pub to: Bound,
    /// Owner.
    pub shard: ShardIndex,
}

/// Who owns which keys of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// HASH: arcs in order of `start`, without gap, from the lowest token to the highest. `pinned` keys
    /// (`ASSIGN KEY`) go first.
    Hash {
        /// All arcs.
        arcs: Vec<OwnedArc>,
        /// Single tokens that were assigned by hand.
        pinned: HashMap<Token, ShardIndex>,
    },
    /// RANGE: ordered ranges; a key outside all of them has no owner.
    Range(Vec<OwnedRange>),
    /// DIRECTORY: explicit keys, and who owns all others (None: nobody).
    Directory {
        /// Key by key.
        keys: HashMap<KeyValue, ShardIndex>,
        /// Owner of every key that is not listed.
        default: Option<ShardIndex>,
    },
}

impl Placement {
    /// The strategy it follows.
    pub fn strategy(&self) -> Strategy {
        match self {
            Self::Hash { .. } => Strategy::Hash,
            Self::Range(_) => Strategy::Range,
            Self::Directory { .. } => Strategy::Directory,
        }
    }
}

/// A colocation group: tables in it share key type, strategy and map.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Family of its key type.
    pub family: KeyFamily,
    /// Its map.
    pub placement: Placement,
}

/// The immutable snapshot of one database that a statement holds from plan to end.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Version of the placement.
    pub epoch: Epoch,
    /// Changes whenever kinds, groups or names of tables change: cached plans of another value are void.
    pub tables_version: u64,
    /// All shards, in the order of their numbers.
    pub shards: Vec<Shard>,
    /// Home of local tables.
    pub default_shard: ShardIndex,
    /// All groups; None where a group is gone.
    pub groups: Vec<Option<Group>>,
    /// Tables that are not local, planned ones included.
    pub tables: HashMap<TableName, Table>,
}

impl Topology {
    /// The shard at `index`.
    pub fn shard(&self, index: ShardIndex) -> &Shard {
        &self.shards[usize::from(index.0)]
    }

    /// The shard with this name.
    pub fn shard_by_name(&self, name: &str) -> Option<ShardIndex> {
        self.shards.iter().position(|shard| shard.name.as_str() == name).map(|at| ShardIndex(at as u16))
    }

    /// The group at `index`, if it still exists.
    pub fn group(&self, index: GroupIndex) -> Option<&Group> {
        self.groups.get(usize::from(index.0))?.as_ref()
    }

    /// What the catalog knows of a table; None: it is local.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Kind of a table.
    pub fn kind(&self, name: &TableName) -> &TableKind {
        self.tables.get(name).map_or(&TableKind::Local, |table| &table.kind)
    }

    /// The owner of `key` in a group; None: the group is gone, or has no place for this key. Allocates nothing.
    pub fn owner(&self, group: GroupIndex, key: &KeyValue) -> Option<ShardIndex> {
        self.group(group)?.placement.owner(key)
    }

    /// The owner of a token in a hash group; None: the group is gone or is no hash group. Allocates nothing.
    pub fn owner_of_token(&self, group: GroupIndex, token: Token) -> Option<ShardIndex> {
        self.group(group)?.placement.owner_of_token(token)
    }

    /// The shards that own something of a group, in the order of their numbers.
    pub fn all_owners(&self, group: GroupIndex) -> Vec<ShardIndex> {
        self.group(group).map(|group| group.placement.owners()).unwrap_or_default()
    }

    /// The shards that serve, in the order of their numbers: those a new group is spread over.
    pub fn active_shards(&self) -> impl Iterator<Item = ShardIndex> {
        let active = |(_, shard): &(usize, &Shard)| shard.state == ShardState::Active;
        self.shards.iter().enumerate().filter(active).map(|(at, _)| ShardIndex(at as u16))
    }

    /// The live group of this name.
    pub fn group_by_name(&self, name: &str) -> Option<GroupIndex> {
        let named = |group: &Option<Group>| group.as_ref().is_some_and(|group| group.name.as_str() == name);
        self.groups.iter().position(named).map(|at| GroupIndex(at as u16))
    }

    /// The tables of a group, planned ones included, in the order of their names.
    pub fn tables_of(&self, group: GroupIndex) -> Vec<&Table> {
        let of_group = |table: &&Table| matches!(&table.kind, TableKind::Sharded(sharded) if sharded.group == group);
        let mut tables: Vec<_> = self.tables.values().filter(of_group).collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables
    }
}

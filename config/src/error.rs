//! The errors of the catalog and of the identity check: facts for callers who must choose, not sentences for clients.

use crate::{
    arcs::PlacementError,
    ids::{Epoch, GroupName, ShardName},
    key::KeyFamily,
    tables::{Strategy, TableName},
};

/// Why the catalog could not answer or change.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The connection string cannot be read.
    #[error("the catalog's connection string cannot be read: {0}")]
    Connection(#[source] tokio_postgres::Error),
    /// No connection within 5 s.
    #[error("the catalog cannot be reached: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// PostgreSQL refused a statement, or the connection broke on the way.
    #[error("the catalog failed: {}", postgres_message(.0))]
    Sql(#[from] tokio_postgres::Error),
    /// It belongs to another cluster or database.
    #[error("the catalog belongs to database {database} of cluster {cluster}")]
    Foreign {
        /// Cluster it belongs to.
        cluster: String,
        /// Database it belongs to.
        database: String,
    },
    /// A newer pgring has migrated it.
    #[error("the catalog has version {found}, this pgring knows up to {known}")]
    TooNew {
        /// Version of the catalog.
        found: i32,
        /// Newest version that this build knows.
        known: i32,
    },
    /// It was never seeded.
    #[error("the catalog has no shards yet")]
    NotSeeded,
    /// What stands there cannot be.
    #[error("the catalog is damaged: {0}")]
    Damaged(String),
    /// What stands there as a group's map is not whole.
    #[error("the catalog is damaged: map of group {group}: {fault}")]
    DamagedMap {
        /// The group.
        group: GroupName,
        /// The fault.
        fault: PlacementError,
    },
    /// No such shard.
    #[error("shard {0} does not exist")]
    UnknownShard(ShardName),
    /// A shard or replica of this name exists, and is another one.
    #[error("shard {0} already exists")]
    ShardExists(ShardName),
    /// The shard still owns something: arcs, ranges, keys, local tables.
    #[error("shard {shard} still owns {what}")]
    ShardOwns {
        /// The shard.
        shard: ShardName,
        /// What it owns.
        what: &'static str,
    },
    /// No shard is active, so a new group would have no owner.
    #[error("no shard is active")]
    NoActiveShard,
    /// A weight that is not a number above 0 and up to 1000.
    #[error("weight {0} is not above 0 and at most 1000")]
    Weight(f64),
    /// The catalog has no rule for this table.
    #[error("table {0} is neither sharded nor a reference table")]
    UnknownTable(TableName),
    /// The table is not sharded.
    #[error("table {0} is not sharded")]
    NotSharded(TableName),
    /// The table has another rule already, and rows that follow it.
    #[error("table {table} already has another rule: {rule}")]
    OtherRule {
        /// The table.
        table: TableName,
        /// Its rule, in words.
        rule: String,
    },
    /// RANGE and DIRECTORY need COLOCATE WITH or IN GROUP.
    #[error("strategy {0} needs a group")]
    GroupNeeded(Strategy),
    /// The group follows another strategy.
    #[error("group {group} has strategy {strategy}")]
    OtherStrategy {
        /// The group.
        group: GroupName,
        /// Its strategy.
        strategy: Strategy,
    },
    /// The group has keys of another family.
    #[error("group {group} has keys of type {family}")]
    OtherFamily {
        /// The group.
        group: GroupName,
        /// Its family.
        family: KeyFamily,
    },
    /// The group's key type is not known before one of its tables exists.
    #[error("the key type of the group of {0} is not known yet")]
    Undecided(TableName),
    /// The range is empty or overlaps one that is there.
    #[error("group {group}: {fault}")]
    Range {
        /// The group.
        group: GroupName,
        /// The fault.
        fault: PlacementError,
    },
    /// The key is assigned to another shard, whose rows would have to move.
    #[error("the key is assigned to shard {0}")]
    KeyAssigned(ShardName),
    /// More groups or shards than can be numbered.
    #[error("too many groups or shards")]
    TooMany,
}

/// Why a server is not the shard it is taken for, or cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The connection string cannot be read.
    #[error("the connection string cannot be read: {0}")]
    Connection(#[source] tokio_postgres::Error),
    /// No connection within 5 s.
    #[error("the server cannot be reached: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// PostgreSQL refused a statement, or the connection broke on the way.
    #[error("the server failed: {}", postgres_message(.0))]
    Sql(#[from] tokio_postgres::Error),
    /// No identity has been written there.
    #[error("the server has no identity")]
    Missing,
    /// Another identity stands there.
    #[error("the server is shard {shard} of cluster {cluster}")]
    Other {
        /// Cluster it belongs to.
        cluster: String,
        /// Shard it is.
        shard: String,
    },
    /// Placements as old as the router's are not served any more: it must learn a newer one first.
    #[error("the server accepts epochs from {least} on, the router knows {known}")]
    Stale {
        /// Least epoch the server accepts.
        least: Epoch,
        /// Epoch the router knows.
        known: Epoch,
    },
    /// The server computes other hashes than PostgreSQL's.
    #[error("the server's {function} differs from PostgreSQL's")]
    OtherHash {
        /// The function.
        function: &'static str,
    },
    /// Text would hash otherwise: the database is not UTF8.
    #[error("the database's encoding is {0}, not UTF8")]
    Encoding(String),
    /// The row is not what [`crate::catalog::identity::CHECK_SQL`] answers.
    #[error("the answer to the identity check cannot be read")]
    Unreadable,
}

/// What PostgreSQL said, or what went wrong on the way.
fn postgres_message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(reported) => format!("{} ({})", reported.message(), reported.code().code()),
        None => error.to_string(),
    }
}

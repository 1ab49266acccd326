//! Admin commands as values. In: what the parser read. Out: what the admin room runs. Never: text of SQL.

use crate::sql::verb::Verb;
use std::time::Duration;

/// An admin command and how it is to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminStatement {
    /// The command.
    pub command: AdminCommand,
    /// `DRY RUN` stands at its end: say what it would do, do nothing.
    pub dry_run: bool,
}

/// A table as it is named in a command; folded, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRef {
    /// Its schema, if said.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// How a group's keys are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By the key's hash.
    Hash,
    /// By ordered ranges of the key.
    Range,
    /// Key by key.
    Directory,
}

/// Which group a table joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Colocation {
    /// `COLOCATE WITH t2`
    With(TableRef),
    /// `IN GROUP g`
    Group(String),
}

/// A key as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyLiteral {
    /// A number, with its sign.
    Number(String),
    /// A string, unquoted.
    Text(String),
}

/// An end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeBound {
    /// MINVALUE
    MinValue,
    /// MAXVALUE
    MaxValue,
    /// This key.
    Key(KeyLiteral),
}

/// What ALTER SHARD … SET changes.
#[derive(Clone, Debug, PartialEq)]
pub enum ShardChange {
    /// WEIGHT w
    Weight(f64),
    /// READ ONLY (true), READ WRITE (false)
    ReadOnly(bool),
    /// ACTIVE (true), INACTIVE (false)
    Active(bool),
    /// CONNECTION '…'
    Connection(String),
}

/// Where a split puts the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SplitTarget {
    /// A new shard with a name made up.
    Unnamed,
    /// INTO new_name
    New(String),
    /// ONTO existing_shard
    Existing(String),
}

/// What REBALANCE evens out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebalanceBy {
    /// Measured load.
    Load,
    /// Bytes.
    Size,
    /// The shards' weights.
    Weight,
}

/// What a cache policy is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheFor {
    /// This statement, as written.
    Statement(String),
    /// Reads of this table.
    Table(TableRef),
}

/// What INVALIDATE CACHE throws out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidate {
    /// ALL
    All,
    /// Entries of this policy.
    Policy(String),
    /// Entries that read this table.
    Table(TableRef),
    /// Entries that read this key of this table.
    Key(KeyLiteral, TableRef),
}

/// What SHOW shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShowTopic {
    /// `SHOW SHARDS`
    Shards,
    /// `SHOW REPLICAS`
    Replicas,
    /// `SHOW RING`
    Ring,
    /// `SHOW TABLES`
    Tables,
    /// `SHOW GROUPS`
    Groups,
    /// `SHOW OPERATIONS`
    Operations,
    /// `SHOW OPERATION id`
    Operation(String),
    /// `SHOW ROUTERS`
    Routers,
    /// `SHOW POOLS`
    Pools,
    /// `SHOW CLIENTS`
    Clients,
    /// `SHOW SERVERS`
    Servers,
    /// `SHOW PINS`
    Pins,
    /// `SHOW QUERIES`
    Queries,
    /// `SHOW STATS`
    Stats,
    /// `SHOW CACHE`
    Cache,
    /// `SHOW CACHE ENTRIES`
    CacheEntries,
    /// `SHOW CACHE POLICIES`
    CachePolicies,
    /// `SHOW WHY NOT CACHED`
    WhyNotCached,
    /// `SHOW TRANSACTIONS`
    Transactions,
    /// `SHOW IN DOUBT`
    InDoubt,
    /// `SHOW LOCKS`
    Locks,
    /// `SHOW MONITOR [LAST '10m']`
    Monitor(Option<Duration>),
    /// `SHOW ALERTS`
    Alerts,
    /// `SHOW RECOMMENDATIONS`
    Recommendations,
    /// `SHOW AUDIT`
    Audit,
    /// `SHOW CONFIG`
    Config,
    /// `SHOW ERRORS`
    Errors,
    /// `SHOW HELP`
    Help,
    /// `SHOW VERSION`
    Version,
    /// `SHOW FAULT POINTS`
    FaultPoints,
}

/// A command. Names are folded or unquoted; ids are kept as text.
#[derive(Clone, Debug, PartialEq)]
pub enum AdminCommand {
    /// SHARD TABLE t BY (column) …
    ShardTable {
        /// The table.
        table: TableRef,
        /// Its key column.
        key: String,
        /// USING
        strategy: Option<Strategy>,
        /// COLOCATE WITH, IN GROUP
        colocation: Option<Colocation>,
        /// ALLOW LOCAL UNIQUE
        allow_local_unique: bool,
    },
    /// REFERENCE TABLE t
    ReferenceTable(TableRef),
    /// UNSHARD TABLE t [ON SHARD s]
    UnshardTable {
        /// The table.
        table: TableRef,
        /// Where its rows go.
        shard: Option<String>,
    },
    /// ADD RANGE FROM (v) TO (v) ON SHARD s TO GROUP OF t
    AddRange {
        /// First key.
        from: RangeBound,
        /// End, exclusive.
        to: RangeBound,
        /// Its shard.
        shard: String,
        /// A table of the group.
        table: TableRef,
    },
    /// ASSIGN KEY (v) TO SHARD s IN GROUP OF t
    AssignKey {
        /// The key.
        key: KeyLiteral,
        /// Its shard.
        shard: String,
        /// A table of the group.
        table: TableRef,
    },
    /// ADD SHARD name CONNECTION '…' [WEIGHT w] [ZONE z]
    AddShard {
        /// Its name.
        name: String,
        /// Its connection string.
        connection: String,
        /// Its weight.
        weight: Option<f64>,
        /// Its zone.
        zone: Option<String>,
    },
    /// ALTER SHARD s SET …
    AlterShard {
        /// The shard.
        shard: String,
        /// The change.
        change: ShardChange,
    },
    /// DRAIN SHARD s
    DrainShard(String),
    /// DROP SHARD s
    DropShard(String),
    /// ADD REPLICA name CONNECTION '…' [WEIGHT w] [ZONE z] TO SHARD s
    AddReplica {
        /// Its name.
        name: String,
        /// Its connection string.
        connection: String,
        /// Its weight.
        weight: Option<f64>,
        /// Its zone.
        zone: Option<String>,
        /// The shard it copies.
        shard: String,
    },
    /// DROP REPLICA name
    DropReplica(String),
    /// FAILOVER SHARD s [TO REPLICA r]
    Failover {
        /// The shard.
        shard: String,
        /// Its new primary.
        replica: Option<String>,
    },
    /// SPLIT SHARD s [INTO new | ONTO existing]
    SplitShard {
        /// The shard.
        shard: String,
        /// Where to.
        target: SplitTarget,
    },
    /// REBALANCE [BY …]
    Rebalance(Option<RebalanceBy>),
    /// MOVE KEY (v) TO SHARD s IN GROUP OF t
    MoveKey {
        /// The key.
        key: KeyLiteral,
        /// Its new shard.
        shard: String,
        /// A table of the group.
        table: TableRef,
    },
    /// PAUSE OPERATION id
    PauseOperation(String),
    /// RESUME OPERATION id
    ResumeOperation(String),
    /// CANCEL OPERATION id
    CancelOperation(String),
    /// ROLLBACK OPERATION id
    RollbackOperation(String),
    /// FINISH OPERATION id
    FinishOperation(String),
    /// SET THROTTLE '8MB' [FOR OPERATION id]
    SetThrottle {
        /// Bytes per second.
        bytes_per_second: u64,
        /// Of this operation only.
        operation: Option<String>,
    },
    /// VERIFY TABLE t
    VerifyTable(TableRef),
    /// VERIFY OPERATION id
    VerifyOperation(String),
    /// REPAIR SHARD s
    RepairShard(String),
    /// REPAIR TABLE t
    RepairTable(TableRef),
    /// RESOLVE TRANSACTION 'gid' { COMMIT | ABORT } FORCE
    ResolveTransaction {
        /// Name of the prepared transaction.
        gid: String,
        /// COMMIT (true), ABORT (false)
        commit: bool,
    },
    /// IMPORT TABLE t FROM '…'
    ImportTable {
        /// The table.
        table: TableRef,
        /// Connection string of the server it comes from.
        connection: String,
    },
    /// IMPORT DATABASE FROM '…'
    ImportDatabase(String),
    /// CREATE CACHE name … FOR …
    CreateCache {
        /// The policy's name.
        name: String,
        /// TTL
        ttl: Option<Duration>,
        /// STRATEGY
        strategy: Option<String>,
        /// TRUST FUNCTIONS
        trust_functions: bool,
        /// FOR
        target: CacheFor,
    },
    /// DROP CACHE name
    DropCache(String),
    /// INVALIDATE CACHE …
    InvalidateCache(Invalidate),
    /// APPROVE RECOMMENDATION id
    ApproveRecommendation(String),
    /// REJECT RECOMMENDATION id
    RejectRecommendation(String),
    /// PAUSE `[db]`
    Pause(Option<String>),
    /// RESUME `[db]`
    Resume(Option<String>),
    /// RELOAD
    Reload,
    /// DRAIN
    Drain,
    /// SHUTDOWN
    Shutdown,
    /// KILL CLIENT id
    KillClient(String),
    /// KILL QUERY id
    KillQuery(String),
    /// SET section.key = value
    SetConfig {
        /// The section.
        section: String,
        /// The key, with dots if nested.
        key: String,
        /// The value, unquoted.
        value: String,
    },
    /// SHOW of a word of pgring's own.
    Show(ShowTopic),
    /// A statement that any PostgreSQL session takes (BEGIN, SET name = value, SHOW name, DISCARD …).
    Session(Verb),
}

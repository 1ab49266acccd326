//! Catalogue: every error that pgring itself raises, with its number, declared once. `docs/errors.md` and
//! `SHOW ERRORS` are printed from here. Numbers are never reused.

/// An entry: the stable number, the SQLSTATE, the message and what a user usually does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `PGR-nnnn`
    pub number: u16,
    /// SQLSTATE.
    pub sqlstate: &'static str,
    /// The message, without the facts of the case.
    pub message: &'static str,
}

macro_rules! catalogue {
    ($($name:ident = $number:literal $sqlstate:literal $message:literal;)*) => {
        $(#[doc = $message] pub const $name: Entry = Entry { number: $number, sqlstate: $sqlstate, message: $message };)*
        /// All entries, by number.
        pub const ALL: &[Entry] = &[$($name),*];
    };
}

catalogue! {
    // 1xxx: not supported across shards
    NOT_UNDERSTOOD = 1001 "0A000" "the statement reaches a sharded or reference table and could not be read";
    MANY_SHARDS = 1002 "0A000" "the statement covers several shards and has a form that is not supported there";
    WRITE_MANY_SHARDS = 1003 "0A000" "the write covers several shards and has a form that is not supported there";
    REFERENCE_WRITE = 1004 "0A000" "this write to a reference table is not supported";
    SECOND_SHARD = 1005 "0A000" "this transaction over a second shard is not supported";
    VOLATILE_DEFAULT = 1006 "0A000" "a volatile default on a sharded table is not supported";
    MIXED_GROUPS = 1007 "0A000" "tables of different colocation groups, or of different kinds, cannot be combined";
    KEY_UPDATE = 1008 "0A000" "changing a row's shard key is not supported";
    SCHEMA_CHANGE = 1009 "0A000" "this change of schema is not supported on a sharded table";
    MULTI_STATEMENT = 1010 "0A000" "a multi-statement query over several shards is not supported";
    COPY_MANY_SHARDS = 1011 "0A000" "COPY over several shards is not supported";
    UNSUPPORTED = 1012 "0A000" "not supported";
    NO_EFFECT_YET = 1013 "0A000" "this setting accepts only its default for now";
    NOT_EMPTY = 1014 "0A000" "the table has rows, and moving rows is not supported yet";
    UNORDERABLE = 1015 "0A000" "values of this type or collation cannot be ordered or combined over several shards";
    UNIQUE_WITHOUT_KEY = 1016 "0A000" "a unique key of a sharded table must contain its shard key";
    KEY_TYPE = 1017 "0A000" "this type cannot be a shard key";
    REPLICATION = 1018 "0A000" "replication connections are not supported";
    // 2xxx: servers and pools
    BACKEND_LOST = 2001 "08006" "the connection to the server was lost";
    OUTCOME_UNKNOWN = 2002 "08007" "the connection was lost after a write was sent: its outcome is unknown";
    SHARD_UNAVAILABLE = 2003 "57P03" "the shard is not available";
    QUEUE_TIMEOUT = 2004 "53300" "no connection to the server became free in time";
    TOO_MANY_CLIENTS = 2005 "53300" "sorry, too many clients already";
    WRONG_SERVER = 2006 "57P03" "the server is not the one that the catalog expects";
    READ_ONLY_SHARD = 2007 "25006" "the shard is read-only";
    NO_OWNER = 2008 "57P03" "no shard owns this key";
    SHUTTING_DOWN = 2009 "57P01" "terminating connection due to administrator command";
    STALE_TOPOLOGY = 2010 "40001" "the topology moved; retry the transaction";
    QUERY_TIMEOUT = 2011 "57014" "canceling statement due to statement timeout";
    SESSION_KILLED = 2012 "57P01" "terminating connection due to administrator command";
    CATALOG_UNAVAILABLE = 2013 "57P03" "the catalog is not available";
    UNREAD_NOTIFICATIONS = 2014 "53200" "the client does not read its notifications";
    QUERY_CANCELLED = 2015 "57014" "canceling statement due to user request";
    LATE_SNAPSHOT = 2016 "40001" "the transaction has no snapshot of this shard; retry the transaction";
    ROLLED_BACK = 2017 "40001" "the transaction was rolled back before it was decided; retry the transaction";
    DEADLOCK = 2018 "40P01" "deadlock detected";
    // 3xxx: logging in
    PASSWORD = 3001 "28P01" "password authentication failed";
    REJECTED = 3002 "28000" "no rule lets this connection in";
    UNKNOWN_DATABASE = 3003 "3D000" "database does not exist";
    STARTUP_TIMEOUT = 3004 "08006" "the start-up took too long";
    IDLE_TIMEOUT = 3005 "57P05" "terminating connection due to idle-session timeout";
    IDLE_IN_TRANSACTION = 3006 "25P03" "terminating connection due to idle-in-transaction timeout";
    // 4xxx: statements and settings
    UNKNOWN_SETTING = 4001 "42704" "unrecognized configuration parameter";
    INVALID_SETTING = 4002 "22023" "invalid value for parameter";
    NULL_KEY = 4003 "23502" "null value in the shard key";
    PROTOCOL = 4004 "08P01" "protocol violation";
    TOO_LARGE = 4005 "54000" "a message is larger than the limit";
    FANOUT = 4006 "54000" "the statement covers more shards than max_fanout allows";
    UNKNOWN_STATEMENT = 4007 "26000" "prepared statement does not exist";
    UNKNOWN_PORTAL = 4008 "34000" "portal does not exist";
    DUPLICATE_STATEMENT = 4009 "42P05" "prepared statement already exists";
    DUPLICATE_PORTAL = 4010 "42P03" "cursor already exists";
    FAILED_TRANSACTION = 4011 "25P02" "current transaction is aborted, commands ignored until end of transaction block";
    NUMERIC_RANGE = 4012 "22003" "value out of range";
    NOT_PERMITTED = 4013 "42501" "permission denied";
    UNKNOWN_TABLE = 4014 "42P01" "relation does not exist";
    INVALID_KEY = 4015 "22P02" "the value is no key of this table";
    UNKNOWN_COLUMN = 4016 "42703" "column does not exist";
    PARAMETER_VALUE = 4017 "22023" "invalid parameter value";
    GATHER_LIMIT = 4018 "54000" "the statement needs more rows of other shards than max_gather allows";
    STALE_PLAN = 4019 "0A000" "cached plan must not change result type";
    READ_ONLY_TRANSACTION = 4020 "25006" "cannot execute this statement in a read-only transaction";
    // 5xxx: admin commands
    ADMIN_SYNTAX = 5001 "42601" "syntax error in an admin command";
    ADMIN_IN_TRANSACTION = 5002 "25001" "this command cannot run inside a transaction block";
    UNKNOWN_OBJECT = 5003 "42704" "no such object";
    WRONG_STATE = 5004 "55000" "the object is not in a state for this command";
    NOT_BUILT = 5005 "0A000" "this command is not available yet";
    // 9xxx
    INTERNAL = 9001 "XX000" "internal error";
}

/// Errors that are PostgreSQL's own to the letter, with the routine that raises them there: drivers prepare anew when
/// some of these say so. Their number is not told.
const AS_POSTGRESQL: &[(Entry, &str)] = &[
    (UNKNOWN_STATEMENT, "FetchPreparedStatement"),
    (DUPLICATE_STATEMENT, "StorePreparedStatement"),
    (STALE_PLAN, "RevalidateCachedQuery"),
    (SESSION_KILLED, "ProcessInterrupts"),
    (FAILED_TRANSACTION, "exec_parse_message"),
    (UNKNOWN_PORTAL, "exec_execute_message"),
    (DUPLICATE_PORTAL, "CreatePortal"),
];

impl Entry {
    /// The routine of PostgreSQL that raises the same error.
    pub fn routine(self) -> Option<&'static str> {
        AS_POSTGRESQL.iter().find(|(entry, _)| *entry == self).map(|(_, routine)| *routine)
    }
}

//! Schema: what the planner must know of tables, columns, types and functions, as one immutable snapshot.
//! In: what `read` took from the default shard's system catalogs. Out: look-ups by name. Never: a row of a user
//! table, a connection.

use pgring_config::tables::TableName;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// What a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelationKind {
    /// An ordinary or partitioned table.
    Table,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A sequence.
    Sequence,
    /// A foreign table.
    Foreign,
    /// Anything else that has a name in pg_class (composite types, indexes).
    Other,
}

/// What a column gets when an INSERT does not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Default {
    /// NULL.
    None,
    /// An immutable expression: the same wherever it is evaluated.
    Immutable,
    /// A stable expression such as `now()`: one value per statement.
    Stable,
    /// A volatile expression that any server may evaluate: random(), gen_random_uuid(), clock_timestamp().
    Random,
    /// A volatile expression that draws from a sequence or may do so: nextval(), a user's function.
    Volatile,
    /// GENERATED … AS IDENTITY.
    Identity,
    /// GENERATED ALWAYS AS (…), stored or virtual.
    Generated,
}

/// Where the values of a column come from that an INSERT does not give, if its default is nothing but that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generator {
    /// A sequence, by its OID on the default shard.
    Sequence(u32),
    /// A random UUID.
    Uuid,
    /// `pgring.snowflake_id()`
    Snowflake,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its name, as PostgreSQL stores it.
    pub name: Box<str>,
    /// OID of its type on the default shard.
    pub type_oid: u32,
    /// `format_type(type, typmod)`, such as `character varying(20)`.
    pub type_name: Box<str>,
    /// Sorts by bytes: its collation is C, POSIX, C.UTF-8 (deterministic, by code point), or its type has none.
    pub byte_order: bool,
    /// Equality is equality of bytes as far as collation goes: its collation is deterministic, or its type has
    /// none. False for composites, ranges and text-like types of extensions (citext).
    pub deterministic: bool,
    /// NOT NULL.
    pub not_null: bool,
    /// What it gets when an INSERT does not name it.
    pub default: Default,
    /// What makes that value, where it is known.
    pub generator: Option<Generator>,
    /// GENERATED ALWAYS AS IDENTITY: a value that is given is refused.
    pub always: bool,
}

/// A view's definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewText {
    /// Its SELECT.
    pub select: Box<str>,
    /// It is a security barrier: conditions from outside are not judged before its own.
    pub barrier: bool,
}

/// A trigger of a user's; or a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trigger {
    /// It fires for each row by itself; false: once for a statement, or it is a rule.
    pub by_row: bool,
    /// Schema and name of its function; both empty: it is a rule.
    pub function: (Box<str>, Box<str>),
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relation {
    /// Its OID on the default shard.
    pub oid: u32,
    /// Its name.
    pub name: TableName,
    /// What it is.
    pub kind: RelationKind,
    /// Its columns in order, dropped ones left out.
    pub columns: Vec<Column>,
    /// Columns of each PRIMARY KEY, UNIQUE and EXCLUDE constraint and unique index, in the key's order. Only bare
    /// columns compared for equality: expressions, INCLUDE columns and the `&&` parts of an EXCLUDE are left out,
    /// so a list may be empty.
    pub unique_keys: Vec<Vec<Box<str>>>,
    /// For a view: every relation that its rule reads, directly or through other views, sorted (what a
    /// materialized view was filled from counts as read by itself only). For an index and an owned sequence: the
    /// table it belongs to.
    pub reads: Vec<TableName>,
    /// Of a view that reads a relation outside the system schemas: its SELECT, as `pg_get_viewdef` prints it where the
    /// search path is `pg_catalog`, so that every name is qualified.
    pub definition: Option<ViewText>,
    /// Triggers and rules of users.
    pub triggers: Vec<Trigger>,
    /// Is a partition of, or inherits from, these.
    pub parents: Vec<TableName>,
}

impl Relation {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }
}

/// Volatility of a function (PostgreSQL documentation, chapter "Function Volatility Categories").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Volatility {
    /// Same arguments, same answer, for ever.
    Immutable,
    /// Same answer within one statement.
    Stable,
    /// Anything; may write.
    Volatile,
}

/// Things by schema and name.
pub type ByName<T> = HashMap<(Box<str>, Box<str>), T>;

/// The snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Changes whenever anything below changes: cached plans of another value are void.
    pub version: u64,
    /// Every relation outside the system schemas (pg_catalog, information_schema, pg_toast, pgring).
    pub relations: HashMap<TableName, Arc<Relation>>,
    /// Functions, procedures and aggregates outside pg_catalog, by (schema, name); the worst of their overloads.
    pub functions: Arc<ByName<Volatility>>,
    /// What the functions written in a language of the server's do, as text; overloads one after the other.
    pub bodies: Arc<ByName<String>>,
    /// Names of the relations in pg_catalog and information_schema.
    pub system_relations: Arc<HashSet<TableName>>,
    /// Schemas that exist.
    pub schemas: Vec<Box<str>>,
}

impl Schema {
    /// The relation of this name.
    pub fn relation(&self, name: &TableName) -> Option<&Relation> {
        self.relations.get(name).map(Arc::as_ref)
    }
}

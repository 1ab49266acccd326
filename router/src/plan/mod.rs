//! Plan: how a statement is answered, free of parameters and shards. In: facts of a statement, schema, kinds of
//! tables. Out: a plan. Never: a shard, a backend, a parameter's value, a lock, a clock.

mod aggregate;
mod bodies;
pub mod build;
pub mod cache;
mod copy;
pub mod ddl;
mod dml;
mod gather;
mod generate;
mod into;
mod join;
mod names;
mod order;
mod own;
mod parted;
mod predicate;
mod process;
mod read;
mod reference;
mod refuse;
mod regroup;
mod scope;
pub mod setting;
mod traces;
mod utility;
mod view;
mod write;

pub use crate::sql::source::Source;
pub use dml::{Fetch, ManyWrite, OneDefault, SplitRow, SplitRows};
use pgring_config::{ids::GroupIndex, key::KeyType, tables::TableName};

/// A way to keys: a boolean expression over equality with the key column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// Every shard of the group.
    Every,
    /// No row can match; still sent to one shard, for its columns and errors.
    Nothing,
    /// `key = source`.
    One(KeySource),
    /// `key = ANY(array parameter)`.
    AnyOf(KeySource),
    /// Intersection (AND).
    All(Vec<Recipe>),
    /// Union (OR, IN); for an INSERT, one entry a row.
    Either(Vec<Recipe>),
    /// All of these lead to one and the same shard, or the statement covers several. A recipe that leads nowhere
    /// ([`Recipe::Nothing`], a NULL) agrees with every shard.
    Same(Vec<Recipe>),
    /// A row to be written has the key NULL, known at planning: 23502.
    NullKey,
    /// Never to one shard, whatever the keys are.
    Apart,
}

/// A source with the type it is compared as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySource {
    /// Where the value comes from.
    pub source: Source,
    /// Type of the key column.
    pub key_type: KeyType,
}

/// A change to the client's text: the bytes `start..end` of the *shape* are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// First byte, in coordinates of the fingerprint's shape.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// What stands there instead; pieces are text, or the text of a span of the shape.
    pub with: Vec<Piece>,
}

/// A piece of a splice's replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// The client's own text at this span (in coordinates of the shape), literals included.
    Span(u32, u32),
    /// The time at which the transaction began, as a value of type timestamptz.
    Time,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How.
    pub kind: PlanKind,
    /// The statement surely only reads.
    pub reads_only: bool,
    /// Slots whose text shaped the plan: it serves only statements with the same text in them.
    pub fixed_slots: Vec<u32>,
    /// What the session must do beside running it.
    pub session: SessionEffect,
}

/// What running a statement does to the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionEffect {
    /// The session must stay on its backend from now on, for this reason.
    pub pin: Option<&'static str>,
    /// Temporary relations made.
    pub creates_temp: Vec<Box<str>>,
    /// Settings that it changes by `set_config`.
    pub sets: Vec<SetCall>,
    /// It may advance a sequence, whose value the session can ask for afterwards.
    pub advances: bool,
    /// It asks for the value that a sequence gave this session (`currval`, `lastval`).
    pub asks_sequence: bool,
    /// It reads the view of prepared statements.
    pub looks_at_statements: bool,
    /// It may change settings inside a function: afterwards they are read from the server.
    pub adopts: bool,
    /// It explains an EXECUTE, or makes a table of one.
    pub executes: bool,
    /// Code that it runs may change the schema.
    pub alters: bool,
    /// It may end the cause of a pin (`pg_advisory_unlock`, DROP of a temporary table).
    pub frees: bool,
    /// It calls `pg_notify`.
    pub notifies: bool,
    /// Sequences from which a server draws for it, by their OIDs on the default shard.
    pub drawn: Vec<u32>,
    /// A server may draw from others too.
    pub draws: bool,
    /// It puts a sequence to another value.
    pub restarts: bool,
}

impl SessionEffect {
    /// What comes next must know how the statement ended. (A sequence goes on whether it did or not.)
    pub fn must_be_known(&self) -> bool {
        let Self { pin, creates_temp, sets, advances: _, asks_sequence, looks_at_statements, .. } = self;
        let made = !creates_temp.is_empty() || !sets.is_empty();
        let asked = *asks_sequence || *looks_at_statements || self.executes || self.alters;
        pin.is_some() || made || asked || self.adopts || self.frees || self.notifies
    }
}

/// A call of `set_config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCall {
    /// The setting.
    pub name: Source,
    /// Its value; None: NULL.
    pub value: Option<Source>,
    /// Only for the transaction.
    pub local: setting::Flag,
}

impl Plan {
    /// The plan of a statement that goes to one server as it is.
    pub fn local() -> Self {
        Self { kind: PlanKind::Local, reads_only: false, fixed_slots: vec![], session: SessionEffect::default() }
    }

    /// It is a COPY TO STDOUT of a query that may be over several shards.
    pub fn copies_out(&self) -> bool {
        match &self.kind {
            PlanKind::CopyQuery(..) => true,
            PlanKind::Sharded(sharded) => matches!(sharded.many, Many::CopyQuery(..)),
            _ => false,
        }
    }
}

/// How a statement is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanKind {
    /// Reaches no relation: any server will do; the default shard when nothing else decides.
    Anywhere,
    /// Reads system catalogs only: the default shard's are the ones clients see.
    Catalog,
    /// Reaches local tables (and perhaps reads reference tables): the default shard, byte for byte.
    Local,
    /// Reads reference tables only: any shard.
    Reference,
    /// Reaches a sharded group.
    Sharded(Sharded),
    /// Reads tables that are never all on one shard: they are gathered.
    Gather(Box<Gather>),
    /// May write reference tables.
    ReferenceWrite(Box<ReferenceWrite>),
    /// Changes the schema: runs on every shard.
    Ddl(Ddl),
    /// COPY of a sharded or reference table; COPY of anything else is `Local`, `Catalog`….
    Copy(CopyPlan),
    /// `EXPLAIN (ROUTE [, ANALYZE]) statement`: the statement begins at this byte of the shape.
    ExplainRoute {
        /// With ANALYZE: executed as well.
        analyze: bool,
        /// Where the explained statement begins, in coordinates of the shape.
        statement_at: u32,
    },
    /// `EXPLAIN` of a statement over several shards, which begins at this byte of the shape.
    Explain(u32),
    /// `COPY (…) TO STDOUT` of a query over several shards, which is this span of the shape.
    CopyQuery(u32, u32),
    /// Values that pgring itself makes stand in the text before it is planned.
    Generate(Box<Generate>),
    /// LOCK TABLE with sharded or reference tables: on every shard.
    Lock,
    /// Is answered by pgring itself.
    Builtin(Builtin),
    /// Is refused with 0A000 (or another SQLSTATE).
    Refuse(Refusal),
    /// Could not be read and reaches a sharded or reference table: the default shard is asked to *parse* it (never
    /// to run it); its error is the answer, or else this refusal.
    Judge(Refusal),
}

/// A statement that may write reference tables. It runs on the default shard; the rows that it wrote there are then
/// written on the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceWrite {
    /// The tables.
    pub tables: Vec<TableName>,
    /// How its rows are known.
    pub written: Written,
}

/// How the rows that a statement wrote are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It returns them.
    Returned(Returned),
    /// The tables are compared with their copies afterwards.
    Compared,
}

/// A write of one table that returns its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// What becomes of the rows.
    pub action: RowAction,
    /// Columns that are assigned.
    pub assigned: Vec<Box<str>>,
    /// The name that the table's columns go by.
    pub name: Box<str>,
    /// Where the list of what is returned ends, or would stand, in coordinates of the shape.
    pub at: u32,
    /// The client has a list of its own.
    pub listed: bool,
}

/// What a statement does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowAction {
    /// They are new.
    Insert,
    /// They are new, or were changed.
    Upsert,
    /// They were changed.
    Update,
    /// They are gone.
    Delete,
}

/// A statement over one group of sharded tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharded {
    /// The colocation group.
    pub group: GroupIndex,
    /// The way to its keys.
    pub recipe: Recipe,
    /// For INSERT … VALUES: each row's key in order, so that a NULL key can be refused (23502).
    pub insert: bool,
    /// What to do when the recipe leads to more than one shard.
    pub many: Many,
}

/// What to do with a statement that covers more than one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Many {
    /// Refuse.
    Refuse(Refusal),
    /// Send `splices` applied to the text to every shard and merge the rows.
    Merge {
        /// Changes to the text for the shards.
        splices: Vec<Splice>,
        /// How the shards' rows become the answer.
        merge: Box<crate::merge::Merge>,
        /// What to do where the rows' types turn out not to be merged exactly.
        gather: Option<Box<Gather>>,
    },
    /// Write on every shard its own part.
    Write(Box<ManyWrite>),
    /// Copy what it needs to one server, which answers it.
    Gather(Box<Gather>),
    /// `EXPLAIN`: each shard explains its part of the statement, which begins at this byte of the shape.
    Explain(u32),
    /// `COPY (…) TO STDOUT`: the query is this span of the shape.
    CopyQuery(u32, u32),
}

/// A SELECT that one PostgreSQL finishes: the rows that it needs are copied there, into temporary tables that hide the
/// tables of the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// What is copied.
    pub inputs: Vec<GatherInput>,
    /// Views that are made anew over the copies, those in others first.
    pub views: Vec<GatherView>,
    /// How it depends on when the transaction began.
    pub timed: Timed,
    /// It reads temporary tables of the session.
    pub temporary: bool,
    /// It has whole rows of tables or views as values.
    pub rows: bool,
    /// What to do where the parts of its groups turn out not to be combined exactly.
    pub otherwise: Option<Box<Gather>>,
}

/// How a statement depends on when its transaction began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timed {
    /// Not at all.
    No,
    /// It can be replaced by these, with one value for all servers.
    Outside(Vec<Splice>),
    /// As `Outside`, but columns would get other names by it.
    Listed(Vec<Splice>),
    /// In a way that is not seen in the text (`age(x)`).
    Hidden,
}

/// One table of a gather.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherInput {
    /// The table.
    pub table: TableName,
    /// The name of its copy: its own where the statement names it, so that the copy hides the table.
    pub copy: Box<str>,
    /// A view reads it.
    pub in_view: bool,
    /// Where its rows are.
    pub source: GatherSource,
    /// The name that `filter` knows it by.
    pub alias: Option<Box<str>>,
    /// The columns that are looked at, in the table's order. None: it is read where it is.
    pub columns: Vec<GatherColumn>,
    /// Conditions that its rows must meet: spans of the client's text (in coordinates of the shape).
    pub filter: Vec<(u32, u32)>,
    /// Columns of its primary key, where the statement may depend on there being one.
    pub key: Vec<Box<str>>,
    /// Changes to the client's text when it is copied.
    pub splices: Vec<Splice>,
    /// It is not the table's rows, but parts of groups of them.
    pub partial: Option<Box<Partial>>,
}

/// Parts of groups that shards give, and what is made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Changes to the client's text that give the parts.
    pub splices: Vec<Splice>,
    /// Changes to it that combine them.
    pub finish: Vec<Finish>,
}

/// A change to the client's text, in coordinates of the shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// What stands there instead.
    pub with: FinishPiece,
}

/// What stands in a statement over parts of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishPiece {
    /// Text as it is.
    Text(String),
    /// An aggregate, of the column `p<column>`, and of the next one.
    Aggregate {
        /// How.
        function: Combined,
        /// Number of its (first) column.
        column: usize,
    },
}

/// How an aggregate's parts are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combined {
    /// By the same aggregate.
    Same(&'static str),
    /// count: parts are added.
    Count,
    /// sum: parts are added, in the parts' type.
    Sum,
    /// avg: of sums and counts.
    Avg,
}

/// A view over gathered tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherView {
    /// The view.
    pub view: TableName,
    /// The name that it is made anew by.
    pub copy: Box<str>,
    /// It is a security barrier.
    pub barrier: bool,
    /// Its SELECT.
    pub select: Vec<ViewPart>,
    /// Where the statement names it: its columns that are looked at.
    pub columns: Option<Vec<Box<str>>>,
    /// Changes to the client's text.
    pub splices: Vec<Splice>,
}

/// A part of a view's SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewPart {
    /// Text as it is.
    Text(Box<str>),
    /// A table or view in a FROM.
    Relation {
        /// Its name.
        name: TableName,
        /// An alias follows in the text.
        has_alias: bool,
    },
}

/// Where the rows of a gathered table are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatherSource {
    /// On the shards of a group that the recipe leads to.
    Sharded {
        /// The group.
        group: GroupIndex,
        /// The way to the rows that can matter.
        recipe: Recipe,
    },
    /// On the default shard.
    Default,
    /// On every shard alike.
    Anywhere,
}

/// One column of a gathered table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherColumn {
    /// Its name.
    pub name: Box<str>,
    /// Its type, as SQL.
    pub type_name: Box<str>,
    /// It travels as text: the binary form would hold numbers that another server does not know.
    pub as_text: bool,
}

/// A statement in which values are put before it is planned: what sequences give, and random keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generate {
    /// Changes to the text, in order.
    pub places: Vec<Generated>,
    /// What runs where the session cannot give them: a sequence's value that a server gave it, or nobody.
    pub otherwise: Option<std::sync::Arc<Plan>>,
}

/// The bytes `start..end` of the shape are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// First byte, in coordinates of the shape.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// What stands there instead.
    pub with: Vec<Part>,
}

/// A part of what is put into a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(Box<str>),
    /// A value.
    Value {
        /// What makes it.
        maker: Maker,
        /// As a bigint; else as what the place takes.
        typed: bool,
    },
}

/// What makes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The next value of a sequence, by its OID on the default shard.
    Next(u32),
    /// The value that a sequence gave this session last.
    Current(u32),
    /// The value that any sequence gave this session last.
    Last,
    /// A random UUID.
    Uuid,
    /// `pgring.snowflake_id()`
    Snowflake,
}

/// A change of schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ddl {
    /// It cannot run in a transaction block (CREATE INDEX CONCURRENTLY, VACUUM …).
    pub outside_transaction: bool,
    /// Tables it makes.
    pub creates: Vec<CreatedTable>,
    /// Tables it drops: their rules are forgotten.
    pub drops: Vec<TableName>,
    /// Tables it renames or moves to another schema: from → to.
    pub renames: Vec<(TableName, TableName)>,
    /// What the other shards run.
    pub elsewhere: Elsewhere,
    /// Its notices and tag come from the default shard; it runs on the default shard alone (temporary objects,
    /// databases, roles run as they would: see `plan/ddl.rs`).
    pub default_shard_only: bool,
    /// What plans are made from may be otherwise afterwards: it is not for rights, roles, comments, statistics.
    pub changes_schema: bool,
    /// Local tables that must be empty, for they become a part of a sharded one.
    pub empty: Vec<TableName>,
    /// Tables that are parts of a sharded table no more, and that table.
    pub detaches: Vec<(TableName, TableName)>,
}

/// What all shards but the default one run of a change of schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The same text.
    Same,
    /// The text with these changes (`WITH NO DATA` for a materialized view).
    Spliced(Vec<Splice>),
    /// They make an empty table with the columns that this one has on the default shard (CREATE TABLE AS).
    Empty {
        /// The table.
        table: TableName,
        /// One that is there stays as it is.
        if_not_exists: bool,
    },
}

/// A table that a CREATE TABLE makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTable {
    /// Its name, resolved.
    pub name: TableName,
    /// Its columns with the text of their types, in order; empty when not known (LIKE, AS, INHERITS).
    pub columns: Vec<(Box<str>, Box<str>)>,
    /// Columns of its primary and unique keys.
    pub unique_keys: Vec<Vec<Box<str>>>,
    /// Its foreign keys.
    pub references: Vec<Reference>,
}

/// A foreign key that a change of schema makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table that it refers to.
    pub to: TableName,
    /// Its columns here; empty when not understood.
    pub columns: Vec<Box<str>>,
    /// Its columns there, in the same order; empty: the other table's primary key.
    pub others: Vec<Box<str>>,
}

/// COPY of a sharded or reference table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlan {
    /// The table.
    pub table: TableName,
    /// FROM STDIN (true) or TO STDOUT (false).
    pub from: bool,
    /// Names of a record's fields, in order.
    pub fields: Vec<Box<str>>,
    /// The shard key, where the table has one.
    pub key: Option<CopyKey>,
    /// A column that has no field and gets a value that each shard would draw by itself (of a sequence, of a user's
    /// function).
    pub drawn: Option<Box<str>>,
    /// Why it cannot run over several shards.
    pub refusal: Refusal,
}

/// The shard key of a table that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyKey {
    /// Its column.
    pub column: Box<str>,
    /// Its type; None: the table is only planned.
    pub key_type: Option<KeyType>,
    /// The column has a default.
    pub has_default: bool,
}

/// A statement that pgring answers itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `SELECT pgring.version()` and the like: one row of calls.
    Select(Vec<BuiltinColumn>),
    /// `CALL pgring.admin('…')`.
    Admin(AdminText),
    /// `SELECT * FROM pgring.show('…')`.
    Show(AdminText),
    /// `SELECT pg_terminate_backend(id)`, where the id is a client's; else a server is asked.
    Signal(Signal),
    /// `SELECT pg_listening_channels()`: the session's, under this name of a column.
    Channels(String),
}

/// A signal to one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its id.
    pub id: Source,
    /// Name of the column.
    pub name: String,
    /// It is to end; else what it runs is cancelled.
    pub terminate: bool,
}

/// The text of an admin command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminText(pub Source);

/// One column of a builtin SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltinColumn {
    /// Its name.
    pub name: String,
    /// The call.
    pub call: BuiltinCall,
}

/// A function of pgring's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuiltinCall {
    /// `pgring.version()`
    Version,
    /// `pg_backend_pid()`
    BackendPid,
    /// `pgring.token('table', key)`
    Token(Source, Source),
    /// `pgring.shard_of('table', key)`
    ShardOf(Source, Source),
}

/// Why a statement is refused, and what its user can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Entry of `error/catalogue.rs` that it is reported as.
    pub reason: crate::error::catalogue::Entry,
    /// What in the statement is the cause.
    pub what: String,
    /// What to do instead.
    pub hint: String,
}

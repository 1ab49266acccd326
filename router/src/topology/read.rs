//! Read: the system catalogs of one server (PostgreSQL 14 to 18) as a [`Schema`].
//! In: a connection. Out: the snapshot with its version. Never: a row of a user table, a second round trip, a
//! guess: a default it does not know is volatile, an order it does not know is not that of bytes.

use super::schema::{Column, Default, Relation, RelationKind, Schema, Volatility};
use pgring_config::tables::TableName;
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::{Client, Row};

/// Reads everything in one statement, so that no DDL comes between two halves of a snapshot.
const QUERY: &str = include_str!("read/schema.sql");

/// Nodes of an expression tree whose value depends only on the functions and operators they name. A node that is
/// not listed here or in [`STABLE_NODES`] makes a default volatile. Names of 14 and 15 first, of 16 and later after.
const PURE_NODES: &[&str] = &[
    "CONST",
    "FUNCEXPR",
    "NAMEDARGEXPR",
    "OPEXPR",
    "DISTINCTEXPR",
    "NULLIFEXPR",
    "SCALARARRAYOPEXPR",
    "BOOLEXPR",
    "RELABELTYPE",
    "ARRAYCOERCEEXPR",
    "COLLATEEXPR",
    "CASE",
    "CASEEXPR",
    "WHEN",
    "CASEWHEN",
    "CASETESTEXPR",
    "ARRAY",
    "ARRAYEXPR",
    "ROW",
    "ROWEXPR",
    "COALESCE",
    "COALESCEEXPR",
    "MINMAX",
    "MINMAXEXPR",
    "NULLTEST",
    "BOOLEANTEST",
    "SUBSCRIPTINGREF",
    "COERCETODOMAIN",
];

/// Nodes that may differ from statement to statement: CURRENT_TIMESTAMP and its like, casts by text (`'now'`).
const STABLE_NODES: &[&str] = &["SQLVALUEFUNCTION", "COERCEVIAIO"];

/// What goes wrong while a schema is read.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The server refused or went away; its SQLSTATE is in the source.
    #[error("the system catalogs cannot be read")]
    Server(#[from] tokio_postgres::Error),
    /// The answer does not have the form that was asked for.
    #[error("the system catalogs' list of {list} is malformed")]
    Malformed {
        /// Which of the lists.
        list: &'static str,
        /// What the decoder says.
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct RelationRow {
    oid: u32,
    schema: Box<str>,
    name: Box<str>,
    kind: Box<str>,
    has_triggers: bool,
}

#[derive(Deserialize)]
struct ColumnRow {
    relation: u32,
    name: Box<str>,
    type_oid: u32,
    type_name: Box<str>,
    byte_order: bool,
    deterministic: bool,
    not_null: bool,
    identity: bool,
    generated: bool,
    volatility: Option<Box<str>>,
    nodes: Option<Vec<Box<str>>>,
}

#[derive(Deserialize)]
struct KeyRow {
    relation: u32,
    columns: Vec<Box<str>>,
}

/// One relation stands on another.
#[derive(Deserialize)]
struct LinkRow {
    relation: u32,
    target: u32,
    schema: Box<str>,
    name: Box<str>,
}

#[derive(Deserialize)]
struct FunctionRow {
    schema: Box<str>,
    name: Box<str>,
    volatility: Box<str>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct NameRow {
    schema: Box<str>,
    name: Box<str>,
}

/// Reads the schema of the database that `client` is connected to: one statement, one round trip.
///
/// # Errors
/// [`SchemaError::Server`] with the server's SQLSTATE; [`SchemaError::Malformed`] if the answer cannot be read.
pub async fn load(client: &Client) -> Result<Schema, SchemaError> {
    let row = client.query_one(QUERY, &[]).await?;
    let functions = list::<FunctionRow>(&row, "functions")?;
    let mut schema = Schema {
        relations: relations(&row)?,
        bodies: bodies(&functions),
        functions: self::functions(functions),
        system_relations: list::<NameRow>(&row, "system_relations")?
            .into_iter()
            .map(|system| TableName::new(system.schema, system.name))
            .collect(),
        schemas: list(&row, "schemas")?,
        ..Schema::default()
    };
    schema.version = schema.content_version();
    Ok(schema)
}

/// The list in the column `name`; NULL is an empty one.
fn list<T: DeserializeOwned>(row: &Row, name: &'static str) -> Result<Vec<T>, SchemaError> {
    match row.try_get::<_, Option<&str>>(name)? {
        None => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|source| SchemaError::Malformed { list: name, source }),
    }
}

/// All relations with what hangs on them.
fn relations(row: &Row) -> Result<HashMap<TableName, Relation>, SchemaError> {
    let mut by_oid: HashMap<u32, Relation> =
        list(row, "relations")?.into_iter().map(|row: RelationRow| (row.oid, relation(row))).collect();
    for column in list::<ColumnRow>(row, "columns")? {
        if let Some(relation) = by_oid.get_mut(&column.relation) {
            relation.columns.push(self::column(column));
        }
    }
    for key in list::<KeyRow>(row, "unique_keys")? {
        if let Some(relation) = by_oid.get_mut(&key.relation) {
            relation.unique_keys.push(key.columns);
        }
    }
    for parent in list::<LinkRow>(row, "parents")? {
        if let Some(relation) = by_oid.get_mut(&parent.relation) {
            relation.parents.push(TableName::new(parent.schema, parent.name));
        }
    }
    add_reads(&mut by_oid, &list(row, "reads")?);
    Ok(by_oid.into_values().map(|relation| (relation.name.clone(), relation)).collect())
}

/// A relation without what hangs on it.
fn relation(row: RelationRow) -> Relation {
    Relation {
        name: TableName::new(row.schema, row.name),
        kind: match &*row.kind {
            "r" | "p" => RelationKind::Table,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "S" => RelationKind::Sequence,
            "f" => RelationKind::Foreign,
            _ => RelationKind::Other,
        },
        columns: Vec::new(),
        unique_keys: Vec::new(),
        reads: Vec::new(),
        has_triggers: row.has_triggers,
        parents: Vec::new(),
    }
}

fn column(row: ColumnRow) -> Column {
    let default = default(&row);
    Column {
        name: row.name,
        type_oid: row.type_oid,
        type_name: row.type_name,
        byte_order: row.byte_order,
        deterministic: row.deterministic,
        not_null: row.not_null,
        default,
    }
}

/// What a column gets by itself: the worst of the functions that its default calls and of the nodes it is made of.
fn default(row: &ColumnRow) -> Default {
    if row.identity {
        return Default::Identity;
    }
    if row.generated {
        return Default::Generated;
    }
    let Some(functions) = row.volatility.as_deref() else { return Default::None };
    let nodes = row.nodes.iter().flatten().map(|node| node_volatility(node));
    match nodes.fold(volatility(functions), Volatility::max) {
        Volatility::Immutable => Default::Immutable,
        Volatility::Stable => Default::Stable,
        Volatility::Volatile => Default::Volatile,
    }
}

fn node_volatility(node: &str) -> Volatility {
    match node {
        pure if PURE_NODES.contains(&pure) => Volatility::Immutable,
        stable if STABLE_NODES.contains(&stable) => Volatility::Stable,
        _ => Volatility::Volatile,
    }
}

/// `pg_proc.provolatile`.
fn volatility(letter: &str) -> Volatility {
    match letter {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    }
}

/// Fills `reads`: through views of views down to tables. A materialized view has rows of its own, so nothing is
/// read through it.
fn add_reads(by_oid: &mut HashMap<u32, Relation>, links: &[LinkRow]) {
    let mut direct: HashMap<u32, Vec<&LinkRow>> = HashMap::new();
    for link in links {
        direct.entry(link.relation).or_default().push(link);
    }
    let views: BTreeSet<u32> =
        by_oid.iter().filter(|(_, relation)| relation.kind == RelationKind::View).map(|(oid, _)| *oid).collect();
    for (oid, relation) in by_oid.iter_mut() {
        relation.reads = reached(*oid, &direct, &views);
    }
}

/// Everything that is reached from `start`, sorted by name.
fn reached(start: u32, direct: &HashMap<u32, Vec<&LinkRow>>, views: &BTreeSet<u32>) -> Vec<TableName> {
    let mut seen = BTreeSet::from([start]);
    let mut names = BTreeSet::new();
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for link in direct.get(&at).into_iter().flatten() {
            if seen.insert(link.target) {
                names.insert(TableName::new(link.schema.clone(), link.name.clone()));
                if views.contains(&link.target) {
                    open.push(link.target);
                }
            }
        }
    }
    names.into_iter().collect()
}

/// Functions by name; of overloads the worst counts.
fn functions(rows: Vec<FunctionRow>) -> HashMap<(Box<str>, Box<str>), Volatility> {
    let mut functions = HashMap::new();
    for row in rows {
        let own = volatility(&row.volatility);
        functions
            .entry((row.schema, row.name))
            .and_modify(|worst: &mut Volatility| *worst = own.max(*worst))
            .or_insert(own);
    }
    functions
}

/// The bodies of functions by name.
fn bodies(rows: &[FunctionRow]) -> HashMap<(Box<str>, Box<str>), String> {
    let mut bodies: HashMap<_, String> = HashMap::new();
    for row in rows {
        if let Some(body) = &row.body {
            let all = bodies.entry((row.schema.clone(), row.name.clone())).or_default();
            all.push_str(body);
            all.push('\n');
        }
    }
    bodies
}

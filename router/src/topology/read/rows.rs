//! Rows: the two answers of the system catalogs, decoded. In: lists as text. Out: relations with their columns, keys and
//! links, functions, OIDs. Never: a connection; a guess: a default it does not know is volatile.

use super::SchemaError;
use crate::topology::schema::{Column, Default, Generator, RelationKind, Trigger, ViewText, Volatility};
use serde::{
    Deserialize,
    de::{DeserializeOwned, Error},
};
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;

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

/// The only row of an answer, each of its columns a list as text.
#[derive(Debug)]
pub(super) struct Lists<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Lists<'a> {
    /// The lists of a row that tells no names, in their order.
    pub(super) fn named(names: &[&'a str], texts: &'a [Option<String>]) -> Self {
        let texts = texts.iter().map(|text| text.as_deref().unwrap_or_default());
        Self(names.iter().copied().zip(texts).collect())
    }

    pub(super) fn of(row: &'a Row) -> Result<Self, SchemaError> {
        let names = row.columns().iter().map(|column| column.name()).enumerate();
        let text = |(at, name)| Ok((name, row.try_get::<_, Option<&str>>(at)?.unwrap_or_default()));
        names.map(text).collect::<Result<_, _>>().map(Self)
    }

    /// The text of a list; NULL is an empty one.
    fn text(&self, name: &'static str) -> &'a str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
    }

    fn list<T: DeserializeOwned>(&self, name: &'static str) -> Result<Vec<T>, SchemaError> {
        match self.text(name) {
            "" => Ok(Vec::new()),
            text => serde_json::from_str(text).map_err(|source| SchemaError::Malformed { list: name, source }),
        }
    }

    fn numbers(&self, name: &'static str) -> Result<Vec<u64>, SchemaError> {
        let malformed = |error| SchemaError::Malformed { list: name, source: serde_json::Error::custom(error) };
        self.text(name).split_ascii_whitespace().map(|number| number.parse().map_err(malformed)).collect()
    }
}

/// The lists of `changes.sql` in their order.
pub(super) const CHANGES_LISTS: &[&str] = &[
    "since",
    "schemas",
    "relations",
    "changed_relations",
    "active",
    "parents",
    "functions",
    "changed_functions",
    "types",
    "system",
    "system_relations",
];

/// The lists of `relations.sql` in their order.
pub(super) const RELATIONS_LISTS: &[&str] = &["relations", "columns", "unique_keys", "reads", "definitions"];

/// What has changed, and what there is.
#[derive(Debug)]
pub(super) struct Changes {
    /// The oldest transaction that was running.
    pub(super) since: u64,
    pub(super) schemas: HashMap<u32, Box<str>>,
    pub(super) relations: HashSet<u32>,
    pub(super) changed_relations: Vec<u32>,
    /// Triggers and rules of users, by relation.
    pub(super) active: HashMap<u32, Vec<Trigger>>,
    /// Parents of each child, in order.
    pub(super) parents: HashMap<u32, Vec<u32>>,
    pub(super) functions: HashSet<u32>,
    pub(super) changed_functions: Vec<FunctionRow>,
    /// Differs when types differ.
    pub(super) types: Box<str>,
    /// Differs when the system schemas hold something else.
    pub(super) system: Box<str>,
    /// Schema and name; only where everything was asked for.
    pub(super) system_relations: Option<Vec<(Box<str>, Box<str>)>>,
}

impl Changes {
    pub(super) fn of(lists: &Lists<'_>) -> Result<Self, SchemaError> {
        let malformed = || SchemaError::Malformed { list: "since", source: serde_json::Error::custom("no number") };
        let system_relations = lists.list("system_relations")?;
        Ok(Self {
            since: lists.numbers("since")?.first().copied().ok_or_else(malformed)?,
            schemas: lists.list::<(u32, Box<str>)>("schemas")?.into_iter().collect(),
            relations: oids(lists.numbers("relations")?).collect(),
            changed_relations: oids(lists.numbers("changed_relations")?).collect(),
            active: active(lists.list("active")?),
            parents: parents(lists.numbers("parents")?),
            functions: oids(lists.numbers("functions")?).collect(),
            changed_functions: lists.list("changed_functions")?,
            types: lists.text("types").into(),
            system: lists.text("system").into(),
            system_relations: Some(system_relations).filter(|all| !all.is_empty()),
        })
    }
}

fn active(rows: Vec<(u32, bool, Box<str>, Box<str>)>) -> HashMap<u32, Vec<Trigger>> {
    let mut active: HashMap<u32, Vec<Trigger>> = HashMap::new();
    for (oid, by_row, schema, name) in rows {
        active.entry(oid).or_default().push(Trigger { by_row, function: (schema, name) });
    }
    active
}

/// All that hangs on some relations.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) relations: Vec<RelationRow>,
    pub(super) columns: HashMap<u32, Vec<Column>>,
    pub(super) keys: HashMap<u32, Vec<Key>>,
    pub(super) links: HashMap<u32, Vec<Link>>,
    pub(super) definitions: HashMap<u32, ViewText>,
}

impl Details {
    pub(super) fn of(lists: &Lists<'_>) -> Result<Self, SchemaError> {
        let mut details = Self {
            relations: lists.list("relations")?,
            columns: HashMap::new(),
            keys: HashMap::new(),
            links: HashMap::new(),
            definitions: HashMap::new(),
        };
        for row in lists.list::<ColumnRow>("columns")? {
            details.columns.entry(row.relation).or_default().push(column(row));
        }
        for KeyRow { relation, index, columns } in lists.list("unique_keys")? {
            details.keys.entry(relation).or_default().push(Key { index, columns });
        }
        for LinkRow { relation, target, schema, name } in lists.list("reads")? {
            details.links.entry(relation).or_default().push(Link { target, schema, name });
        }
        for DefinitionRow { relation, select, barrier } in lists.list("definitions")? {
            details.definitions.insert(relation, ViewText { select, barrier });
        }
        details.links.values_mut().for_each(|links| links.sort_by_key(|link| link.target));
        Ok(details)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct RelationRow {
    pub(super) oid: u32,
    pub(super) namespace: u32,
    pub(super) name: Box<str>,
    kind: Box<str>,
}

impl RelationRow {
    pub(super) fn kind(&self) -> RelationKind {
        match &*self.kind {
            "r" | "p" => RelationKind::Table,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "S" => RelationKind::Sequence,
            "f" => RelationKind::Foreign,
            _ => RelationKind::Other,
        }
    }
}

/// A unique key and the index behind it.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) index: u32,
    pub(super) columns: Vec<Box<str>>,
}

/// What a relation stands on, with the name it had when this was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) target: u32,
    pub(super) schema: Box<str>,
    pub(super) name: Box<str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FunctionRow {
    pub(super) oid: u32,
    pub(super) namespace: u32,
    pub(super) name: Box<str>,
    volatility: Box<str>,
    pub(super) body: Option<String>,
}

impl FunctionRow {
    pub(super) fn volatility(&self) -> Volatility {
        volatility(&self.volatility)
    }
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
    /// Its default may draw from a sequence.
    draws: bool,
    /// Names of the functions that its default calls, in order.
    functions: Option<Box<str>>,
    /// GENERATED ALWAYS AS IDENTITY.
    always: bool,
    /// The sequence behind it.
    sequence: Option<u32>,
}

#[derive(Deserialize)]
struct KeyRow {
    relation: u32,
    index: u32,
    columns: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct LinkRow {
    relation: u32,
    target: u32,
    schema: Box<str>,
    name: Box<str>,
}

#[derive(Deserialize)]
struct DefinitionRow {
    relation: u32,
    select: Box<str>,
    barrier: bool,
}

/// OIDs are of four bytes.
fn oids(numbers: Vec<u64>) -> impl Iterator<Item = u32> {
    numbers.into_iter().filter_map(|number| u32::try_from(number).ok())
}

fn parents(numbers: Vec<u64>) -> HashMap<u32, Vec<u32>> {
    let mut parents: HashMap<u32, Vec<u32>> = HashMap::new();
    let pairs: Vec<u32> = oids(numbers).collect();
    for pair in pairs.chunks_exact(2) {
        if let [child, parent] = pair {
            parents.entry(*child).or_default().push(*parent);
        }
    }
    parents
}

fn column(row: ColumnRow) -> Column {
    let (default, generator, always) = (default(&row), generator(&row), row.always);
    Column {
        name: row.name,
        type_oid: row.type_oid,
        type_name: row.type_name,
        byte_order: row.byte_order,
        deterministic: row.deterministic,
        not_null: row.not_null,
        default,
        generator,
        always,
    }
}

/// What a column's values come from, where its default is nothing but that.
fn generator(row: &ColumnRow) -> Option<Generator> {
    const PLAIN: &[&str] = &["CONST", "FUNCEXPR"];
    if row.identity {
        return row.sequence.map(Generator::Sequence);
    }
    let plain = row.nodes.as_deref()?.iter().all(|node| PLAIN.contains(&&**node));
    match (row.functions.as_deref()?, row.sequence) {
        // A column of a smaller type has a cast around it.
        ("nextval" | "int4 nextval" | "int2 nextval", Some(sequence)) if plain => Some(Generator::Sequence(sequence)),
        ("gen_random_uuid" | "uuid_generate_v4", None) if plain => Some(Generator::Uuid),
        ("snowflake_id", None) if plain => Some(Generator::Snowflake),
        _ => None,
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
    let nodes = nodes.fold(Volatility::Immutable, Volatility::max);
    match volatility(functions).max(nodes) {
        Volatility::Immutable => Default::Immutable,
        Volatility::Stable => Default::Stable,
        Volatility::Volatile if row.draws || nodes == Volatility::Volatile => Default::Volatile,
        Volatility::Volatile => Default::Random,
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

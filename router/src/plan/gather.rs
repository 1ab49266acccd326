//! Gather: whether a SELECT over several shards can be finished by one PostgreSQL to which the rows it needs are
//! copied, and which rows those are. In: facts, what was found in them, tokens. Out: the inputs of a gather.
//! Never: a statement that was not read, that writes, or that could tell the copied tables from the real ones
//! (`correctness.md` 4).

mod time;
pub(super) mod unread;

use super::{
    Gather, GatherColumn, GatherInput, GatherSource, Piece, Refusal, Splice, Timed, bodies,
    build::Input,
    join::{Analysis, Push},
    predicate,
    read::{Class, class},
    refuse::refusal,
};
use crate::{
    error::catalogue,
    sql::{
        facts::Name,
        parse::{Kind, Lexeme, Tokens},
        rewrite::{self, Range},
        volatility::{Builtin, builtin},
    },
    topology::schema::{self, Relation, Volatility},
};
use pgring_config::tables::TableName;
use std::collections::HashSet;

/// First OID that is not PostgreSQL's own (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

/// Types whose values are numbers of objects, which differ between servers.
const OBJECTS: &[&str] = &[
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];

/// Other types of PostgreSQL's own whose binary form is missing: they travel as text, as [`OBJECTS`] do.
const TEXT_ONLY: &[&str] = &["aclitem", "gtsvector", "pg_node_tree"];

/// Aggregates, and `ARRAY(SELECT …)`, whose result shows in which order the rows came.
const KEEPS_ORDER: &[&str] = &[
    "array",
    "array_agg",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "string_agg",
    "xmlagg",
    "json_arrayagg",
    "json_objectagg",
];

fn no(what: impl Into<String>) -> Refusal {
    refusal(catalogue::MANY_SHARDS, what, "Narrow the statement to one shard key, or split it up.")
}

/// Plans a gather.
///
/// # Errors
/// Why the statement cannot be gathered.
pub(super) fn plan(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    tokens: &Tokens,
    first: usize,
) -> Result<Gather, Refusal> {
    form(analysis)?;
    let mut timed = false;
    for called in &analysis.calls {
        let name = &called.call.name;
        let ordered = called.call.ordered_or_distinct || called.call.over.is_some() || called.in_order;
        if KEEPS_ORDER.contains(&name.name.as_str()) && !ordered {
            let hint = format!("Add ORDER BY to the arguments of {}.", name.name);
            return Err(refusal(
                catalogue::MANY_SHARDS,
                format!("{}(…) without an order of its rows", name.name),
                hint,
            ));
        }
        if name.name == time::OF_STATEMENT {
            return Err(no(time::OF_STATEMENT));
        }
        match class(input, name) {
            Class::Builtin(Builtin::Pure | Builtin::Aggregate | Builtin::Window) => {}
            Class::Builtin(Builtin::Stable) => timed |= time::is_of_time(&name.name),
            Class::Builtin(Builtin::Volatile) if name.name != "setseed" => {}
            Class::User(_) if touches_nothing(input, name) => {}
            _ => return Err(no(format!("{}, a function that may look at tables,", name.name))),
        }
    }
    let lexemes = &tokens.lexemes[first..];
    let grouped = lexemes.iter().any(|lexeme| lexeme.is("group"));
    let table = lexemes.iter().any(|lexeme| lexeme.is("table"));
    let all = analysis.by_place || analysis.rows > 0 || table || has_wildcard(lexemes);
    let words: HashSet<&str> = lexemes.iter().filter_map(Lexeme::identifier).collect();
    let needed = Needed { all, grouped, words };
    let mut inputs: Vec<GatherInput> = vec![];
    for (at, instance) in analysis.tables() {
        if inputs.iter().any(|input| input.table == instance.table) {
            continue;
        }
        let same = analysis.tables().filter(|(_, other)| other.table == instance.table);
        let instances: Vec<usize> = same.map(|(at, _)| at).collect();
        let recipe = predicate::either(instances.iter().map(|at| analysis.recipe(*at)).collect());
        let source = GatherSource::Sharded { group: instance.sharded.group, recipe };
        let mut gathered = gathered(input, &instance.table, source, &needed)?;
        // A CTE that is referred to several times asks the same of its table each time.
        let asked = |at: usize| analysis.pushes.iter().filter(move |push| push.instance == at).map(Push::place);
        let alike = instances.iter().all(|other| asked(*other).eq(asked(at)));
        if let Some(alias) = instance.alias.as_ref().filter(|_| alike) {
            gathered.alias = Some(alias.as_str().into());
            let pushes = analysis.pushes.iter().filter(|push| push.instance == at);
            gathered.filter = pushes.filter_map(|push| filter(input, &tokens.lexemes, push)).collect();
        }
        inputs.push(gathered);
    }
    for (table, reference) in &analysis.others {
        if inputs.iter().any(|input| input.table == *table) {
            continue;
        }
        let source = if *reference { GatherSource::Anywhere } else { GatherSource::Default };
        inputs.push(gathered(input, table, source, &needed)?);
    }
    clash(&inputs)?;
    for gathered in &mut inputs {
        gathered.splices = qualified(input, &tokens.lexemes, &gathered.table);
    }
    let timed = if timed { time::timed(input, &tokens.lexemes, first) } else { Timed::No };
    Ok(Gather { inputs, timed })
}

/// Two tables of one name cannot both be hidden.
fn clash(inputs: &[GatherInput]) -> Result<(), Refusal> {
    for (at, one) in inputs.iter().enumerate() {
        if inputs[..at].iter().any(|other| other.table.name == one.table.name) {
            return Err(no(format!("two tables of the name {:?}", one.table.name)));
        }
    }
    Ok(())
}

fn form(analysis: &Analysis<'_>) -> Result<(), Refusal> {
    let cases = [
        (analysis.writes, "a statement that writes"),
        (analysis.locks, "a locking clause"),
        (analysis.into, "SELECT INTO"),
        (analysis.temporary, "a sharded table and a temporary one"),
        (analysis.system, "a sharded table and a system catalog"),
        (analysis.special, "ONLY or TABLESAMPLE"),
        (analysis.looks_at_storage, "a system column or a cast to an object's name"),
        (analysis.rows > analysis.rows_in_calls, "a whole row as a value"),
        (analysis.sharded_view.is_some(), "a view that reads a sharded table"),
    ];
    match cases.into_iter().find(|(found, _)| *found) {
        Some((_, what)) => Err(no(what)),
        None => Ok(()),
    }
}

/// A user's function, in a language of the server's, whose body and whatever it calls names no relation and changes
/// nothing; or one in C that says that it has no side effects.
fn touches_nothing(input: &Input<'_>, name: &Name) -> bool {
    const CHANGES: &[&str] = &[
        "execute", "insert", "update", "delete", "merge", "truncate", "create", "drop", "alter", "copy", "notify",
        "listen", "set", "reset", "lock", "call", "do", "commit", "rollback", "refresh", "vacuum", "grant", "revoke",
    ];
    let is_relation = |word: &str| {
        let mut known = input.schema.relations.keys().chain(input.schema.system_relations.iter());
        known.any(|name| &*name.name == word)
    };
    let acts = |word: &str| matches!(builtin(word), Builtin::DefaultShard | Builtin::Pins | Builtin::RunsText);
    !bodies::any(input, name, &|reached| match reached.words {
        // C or internal.
        None => reached.volatility == Volatility::Volatile,
        Some(words) => words.iter().any(|word| is_relation(word) || acts(word) || CHANGES.contains(&word.as_str())),
    })
}

/// `*` as a list of columns.
fn has_wildcard(lexemes: &[Lexeme]) -> bool {
    (0..lexemes.len()).any(|at| {
        if !lexemes[at].is_symbol("*") {
            return false;
        }
        let Some(before) = at.checked_sub(1).map(|at| &lexemes[at]) else { return false };
        let behind = lexemes.get(at + 1);
        let ends = behind.is_none_or(|next| next.is("from") || next.is_symbol(",") || next.is_symbol(")"));
        before.is("select")
            || before.is("distinct")
            || before.is("all")
            || before.is_symbol(".")
            || before.is_symbol(",")
            || (before.is_symbol(")") && ends)
    })
}

/// Which columns a statement can look at.
struct Needed<'a> {
    all: bool,
    grouped: bool,
    words: HashSet<&'a str>,
}

fn gathered(
    input: &Input<'_>,
    table: &TableName,
    source: GatherSource,
    needed: &Needed<'_>,
) -> Result<GatherInput, Refusal> {
    let in_place = !matches!(source, GatherSource::Sharded { .. });
    let known = input.schema.relation(table);
    let Some(relation) = known.filter(|relation| !relation.columns.is_empty()) else {
        if in_place {
            // PostgreSQL says what is wrong with it, or reads it where it is.
            return Ok(bare(table, source));
        }
        return Err(no(format!("{table}, whose columns are not known yet")));
    };
    // GROUP BY a primary key lets its table's other columns be selected.
    let key = if needed.grouped { primary_key(relation) } else { vec![] };
    let wanted =
        |column: &&schema::Column| needed.all || needed.words.contains(&*column.name) || key.contains(&column.name);
    let mut columns: Vec<GatherColumn> = relation.columns.iter().filter(wanted).map(column).collect();
    if columns.is_empty() {
        columns.extend(relation.columns.first().map(column));
    }
    Ok(GatherInput { columns, key, ..bare(table, source) })
}

fn bare(table: &TableName, source: GatherSource) -> GatherInput {
    GatherInput {
        table: table.clone(),
        source,
        alias: None,
        columns: vec![],
        filter: vec![],
        key: vec![],
        splices: vec![],
    }
}

fn column(column: &schema::Column) -> GatherColumn {
    let element = column.type_name.trim_end_matches("[]");
    let as_text = column.type_oid >= FIRST_USER_OID || TEXT_ONLY.contains(&element) || OBJECTS.contains(&element);
    GatherColumn { name: column.name.clone(), type_name: column.type_name.clone(), as_text }
}

/// The columns of what may be the primary key: the first unique key, if none of its columns can be NULL.
fn primary_key(relation: &Relation) -> Vec<Box<str>> {
    let not_null = |name: &str| relation.column(name).is_some_and(|column| column.not_null);
    let first = relation.unique_keys.first().filter(|key| !key.is_empty() && key.iter().all(|name| not_null(name)));
    first.cloned().unwrap_or_default()
}

/// The text of a condition.
fn filter(input: &Input<'_>, lexemes: &[Lexeme], push: &Push) -> Option<(u32, u32)> {
    let select = lexemes.iter().position(|lexeme| lexeme.start == push.select_at)?;
    let all = conjuncts(lexemes, filter_range(lexemes, select)?);
    let range = all.get(push.nth).filter(|_| all.len() == push.of)?;
    rewrite::shape_span(input.lexed, lexemes, *range)
}

/// What stands behind the WHERE of the SELECT at this token.
fn filter_range(lexemes: &[Lexeme], select: usize) -> Option<Range> {
    let (mut depth, mut first) = (0_i32, None);
    for at in select + 1..lexemes.len() {
        let lexeme = &lexemes[at];
        if lexeme.is_symbol("(") || lexeme.is_symbol("[") {
            depth += 1;
        } else if lexeme.is_symbol(")") || lexeme.is_symbol("]") {
            depth -= 1;
        }
        let label = lexemes[at - 1].is("as") || lexemes[at - 1].is_symbol(".");
        let ends = depth < 0 || (depth == 0 && !label && first.is_some() && is_end(lexemes, at));
        if ends {
            return first.map(|first| Range { first, last: at });
        }
        if depth == 0 && !label && first.is_none() {
            if lexeme.is("where") {
                first = Some(at + 1);
            } else if is_end(lexemes, at) {
                return None;
            }
        }
    }
    first.map(|first| Range { first, last: lexemes.len() })
}

fn is_end(lexemes: &[Lexeme], at: usize) -> bool {
    const ENDS: &[&str] =
        &["group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "except", "intersect"];
    matches!(&lexemes[at].kind, Kind::Word(word) if ENDS.contains(&word.as_str())) || lexemes[at].is_symbol(";")
}

/// Splits at every AND that joins conditions.
fn conjuncts(lexemes: &[Lexeme], range: Range) -> Vec<Range> {
    let (mut depth, mut cases, mut between, mut first, mut all) = (0_i32, 0_i32, 0_i32, range.first, vec![]);
    for at in range.first..range.last {
        let lexeme = &lexemes[at];
        if lexeme.is_symbol("(") || lexeme.is_symbol("[") {
            depth += 1;
        } else if lexeme.is_symbol(")") || lexeme.is_symbol("]") {
            depth -= 1;
        } else if depth > 0 || lexemes[at.saturating_sub(1)].is_symbol(".") {
            continue;
        } else if lexeme.is("case") {
            cases += 1;
        } else if lexeme.is("end") {
            cases -= 1;
        } else if cases == 0 && lexeme.is("between") {
            between += 1;
        } else if cases == 0 && lexeme.is("or") {
            // Not a list of conditions at all.
            return vec![range];
        } else if cases == 0 && lexeme.is("and") {
            if between > 0 {
                between -= 1;
            } else {
                all.push(Range { first, last: at });
                first = at + 1;
            }
        }
    }
    all.push(Range { first, last: range.last });
    all
}

/// `schema.table` becomes `pg_temp.table`.
fn qualified(input: &Input<'_>, lexemes: &[Lexeme], table: &TableName) -> Vec<Splice> {
    let is = |at: usize, name: &str| lexemes.get(at).and_then(Lexeme::identifier) == Some(name);
    let dot = |at: usize| lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol("."));
    let here = |at: &usize| {
        let at = *at;
        is(at, &table.schema) && dot(at + 1) && is(at + 2, &table.name) && !(at > 0 && dot(at - 1))
    };
    let spans = (0..lexemes.len())
        .filter(here)
        .filter_map(|at| rewrite::shape_span(input.lexed, lexemes, Range { first: at, last: at + 1 }));
    spans.map(|(start, end)| Splice { start, end, with: vec![Piece::Text("pg_temp".into())] }).collect()
}

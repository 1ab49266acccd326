//! Gather: whether a SELECT over several shards can be finished by one PostgreSQL to which the rows it needs are
//! copied, and which rows those are. In: facts, what was found in them, tokens. Out: the inputs of a gather.
//! Never: a statement that was not read, that writes, or that could tell the copied tables from the real ones
//! (`correctness.md` 4).

pub(super) mod time;
pub(super) mod unread;
mod views;

use super::{
    Gather, GatherColumn, GatherInput, GatherSource, GatherView, Piece, Refusal, Splice, Timed, bodies,
    build::Input,
    join::{Analysis, Push},
    predicate,
    read::Class,
    refuse::refusal,
    view::Definitions,
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
    definitions: &Definitions,
    tokens: &Tokens,
    first: usize,
) -> Result<Gather, Refusal> {
    form(analysis)?;
    let times = calls(input, analysis)?;
    let lexemes = &tokens.lexemes[first..];
    let mut needed = Needed::of(lexemes);
    needed.all |= analysis.by_place || analysis.rows > 0 || analysis.derived_rows;
    let mut views = views::of(input, analysis, definitions, &needed, 0)?;
    views::note(analysis, definitions, &mut needed);
    let mut inputs = vec![];
    add(input, analysis, &needed, &tokens.lexemes, &mut inputs)?;
    point(input, &tokens.lexemes, &mut inputs, &mut views)?;
    let timed = match times {
        Times { outside: false, in_views: false } => Timed::No,
        Times { in_views: true, .. } => Timed::Hidden,
        Times { outside: true, .. } => time::timed(input, &tokens.lexemes, first),
    };
    let rows = analysis.rows > analysis.rows_in_calls || analysis.derived_rows;
    Ok(Gather { inputs, views, timed, temporary: analysis.temporary, rows, otherwise: None })
}

/// Where calls depend on when the transaction began.
struct Times {
    outside: bool,
    in_views: bool,
}

/// Looks at what is called.
fn calls(input: &Input<'_>, analysis: &Analysis<'_>) -> Result<Times, Refusal> {
    let mut times = Times { outside: false, in_views: false };
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
        match called.class {
            Class::Builtin(Builtin::Pure | Builtin::Aggregate | Builtin::Window) => {}
            Class::Builtin(Builtin::Stable) => {
                let of_time = time::is_of_time(&name.name);
                times.outside |= of_time && !called.in_view;
                times.in_views |= of_time && called.in_view;
            }
            Class::Builtin(Builtin::Volatile) if name.name != "setseed" => {}
            Class::User(_) if touches_nothing(input, name) => {}
            _ => return Err(no(format!("{}, a function that may look at tables,", name.name))),
        }
    }
    Ok(times)
}

/// Adds the relations that were found.
fn add(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    needed: &Needed<'_>,
    lexemes: &[Lexeme],
    inputs: &mut Vec<GatherInput>,
) -> Result<(), Refusal> {
    for (at, instance) in analysis.tables() {
        let same = analysis.tables().filter(|(_, other)| other.table == instance.table);
        let instances: Vec<usize> = same.map(|(at, _)| at).collect();
        if instances.first() != Some(&at) {
            continue;
        }
        let written = instances.iter().any(|at| !analysis.instances[*at].in_view);
        let in_view = instances.iter().any(|at| analysis.instances[*at].in_view);
        if knows(inputs, &instance.table, written, in_view) {
            continue;
        }
        let recipe = predicate::either(instances.iter().map(|at| analysis.recipe(*at)).collect());
        let source = GatherSource::Sharded { group: instance.sharded.group, recipe };
        let mut one = gathered(input, &instance.table, source, needed)?;
        // A CTE that is referred to several times asks the same of its table each time.
        let asked = |at: usize| analysis.pushes.iter().filter(move |push| push.instance == at).map(Push::place);
        let alike = instances.iter().all(|other| asked(*other).eq(asked(at)));
        if let Some(alias) = instance.alias.as_ref().filter(|_| alike) {
            one.alias = Some(alias.as_str().into());
            let pushes = analysis.pushes.iter().filter(|push| push.instance == at);
            one.filter = pushes.filter_map(|push| filter(input, lexemes, push)).collect();
        }
        put(inputs, one, written, in_view);
    }
    for other in &analysis.others {
        if !knows(inputs, &other.table, !other.in_view, other.in_view) {
            let source = if other.reference { GatherSource::Anywhere } else { GatherSource::Default };
            let one = gathered(input, &other.table, source, needed)?;
            put(inputs, one, !other.in_view, other.in_view);
        }
    }
    Ok(())
}

/// Whether the relation is among the inputs; notes that it is read here too.
fn knows(inputs: &mut [GatherInput], table: &TableName, written: bool, in_view: bool) -> bool {
    let Some(known) = inputs.iter_mut().find(|input| input.table == *table) else { return false };
    known.in_view |= in_view;
    if written {
        known.copy = table.name.clone();
    }
    true
}

/// What the statement does not name itself is not hidden.
fn put(inputs: &mut Vec<GatherInput>, mut one: GatherInput, written: bool, in_view: bool) {
    one.in_view = in_view;
    if !written {
        one.copy = views::name(inputs.len());
    }
    inputs.push(one);
}

/// Points the client's text at the copies.
fn point(
    input: &Input<'_>,
    lexemes: &[Lexeme],
    inputs: &mut [GatherInput],
    views: &mut [GatherView],
) -> Result<(), Refusal> {
    clash(input, inputs, views)?;
    for one in inputs {
        one.splices = qualified(input, lexemes, &one.table);
    }
    for view in views.iter_mut().filter(|view| view.columns.is_some()) {
        view.splices = qualified(input, lexemes, &view.view);
    }
    Ok(())
}

/// Two relations of one name cannot both be hidden.
fn clash(input: &Input<'_>, inputs: &[GatherInput], views: &[GatherView]) -> Result<(), Refusal> {
    let mut names: Vec<&str> = input.temp_tables.iter().map(|name| &**name).collect();
    for name in inputs.iter().map(|input| &*input.copy).chain(views.iter().map(|view| &*view.copy)) {
        if names.contains(&name) {
            return Err(no(format!("two relations of the name {name:?}")));
        }
        names.push(name);
    }
    Ok(())
}

fn form(analysis: &Analysis<'_>) -> Result<(), Refusal> {
    let cases = [
        (analysis.writes, "a statement that writes"),
        (analysis.locks, "a locking clause"),
        (analysis.into, "SELECT INTO"),
        (analysis.system, "a sharded table and a system catalog"),
        (analysis.special, "ONLY or TABLESAMPLE"),
        (analysis.looks_at_storage, "a system column or a cast to an object's name"),
        (
            analysis.rows_inside || analysis.rows > analysis.rows_in_calls && analysis.derived_rows,
            "a whole row within a value, or given to a user's function",
        ),
    ];
    match cases.into_iter().find(|(found, _)| *found) {
        Some((_, what)) => Err(no(what)),
        None => Ok(()),
    }
}

/// A user's function, in a language of the server's, whose body and whatever it calls names no relation and changes
/// nothing; or one in C that says that it has no side effects.
pub(super) fn touches_nothing(input: &Input<'_>, name: &Name) -> bool {
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

impl<'a> Needed<'a> {
    fn of(lexemes: &'a [Lexeme]) -> Self {
        let is = |word: &str| lexemes.iter().any(|lexeme| lexeme.is(word));
        let words = lexemes.iter().filter_map(Lexeme::identifier).collect();
        Self { all: is("table") || has_wildcard(lexemes), grouped: is("group"), words }
    }

    fn has(&self, column: &str) -> bool {
        self.all || self.words.contains(column)
    }
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
    let wanted = |column: &&schema::Column| needed.has(&column.name) || key.contains(&column.name);
    let mut columns: Vec<GatherColumn> = relation.columns.iter().filter(wanted).map(column).collect();
    if columns.is_empty() {
        columns.extend(relation.columns.first().map(column));
    }
    Ok(GatherInput { columns, key, ..bare(table, source) })
}

fn bare(table: &TableName, source: GatherSource) -> GatherInput {
    GatherInput {
        table: table.clone(),
        copy: table.name.clone(),
        in_view: false,
        source,
        alias: None,
        columns: vec![],
        filter: vec![],
        key: vec![],
        splices: vec![],
        partial: None,
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

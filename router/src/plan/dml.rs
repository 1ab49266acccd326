//! Dml: whether a write over several shards does on all of them together what it does on one PostgreSQL, and what each of
//! them gets. In: facts of a write, what was found in it, tokens. Out: the way to its shards and the changes to its text.
//! Never: a form in which a row of one shard depends on rows of another.

mod fetch;
mod rows;

use super::{
    Piece, Recipe, Refusal, Splice, Timed,
    build::Input,
    gather::{self, time},
    join::{Analysis, InsertRows},
    read::Class,
    refuse::refusal,
};
use crate::{
    error::catalogue,
    sql::{
        facts::{Action, Assignment, Body, Expr, Name, Query, Rows, Write},
        parse::{Lexeme, Tokens},
        volatility::Builtin,
    },
    topology::schema::{Column, Default, Trigger, Volatility},
};
pub use fetch::Fetch;
pub(super) use fetch::plan as fetched;
use pgring_config::tables::TableName;

/// A write over several shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManyWrite {
    /// Where the one time of the statement stands in its text.
    pub times: Vec<Splice>,
    /// The rows of VALUES, each for the shard of its key. None: every shard gets the whole text.
    pub rows: Option<SplitRows>,
    /// Rows that are computed on one server first.
    pub fetch: Option<Fetch>,
    /// It gives rows (RETURNING).
    pub returning: bool,
}

/// The rows of an INSERT … VALUES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRows {
    /// The rows in order, two at least.
    pub rows: Vec<SplitRow>,
    /// Parameters that are mentioned outside the rows.
    pub parameters: Vec<u16>,
    /// Each row that is sent gives one row of the answer.
    pub all_return: bool,
    /// Columns whose defaults have one value for all rows.
    pub defaults: Option<OneDefault>,
}

/// One row of VALUES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRow {
    /// Its place, parentheses included, in coordinates of the shape.
    pub span: (u32, u32),
    /// The way to its key.
    pub key: Recipe,
    /// Parameters that it mentions.
    pub parameters: Vec<u16>,
    /// Where the word DEFAULT stands for the default of a column (index into [`OneDefault::columns`]).
    pub defaults: Vec<((u32, u32), usize)>,
}

/// Columns whose defaults are evaluated once for all rows: `now()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneDefault {
    /// The table.
    pub table: TableName,
    /// The columns.
    pub columns: Vec<Box<str>>,
    /// Those that no row names: their number among `columns`.
    pub absent: Vec<usize>,
    /// Where the names of those go, and what is written there.
    pub names: Option<(u32, String)>,
}

const HINT: &str = "Write one shard key at a time, or split the statement up.";

fn no(what: impl Into<String>) -> Refusal {
    refusal(catalogue::WRITE_MANY_SHARDS, what, HINT)
}

/// Plans a write over several shards.
///
/// # Errors
/// Why it is refused there.
pub(super) fn plan(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    query: &Query,
    tokens: &Tokens,
    first: usize,
) -> Result<(Recipe, ManyWrite), Refusal> {
    let Body::Write(write) = &query.body else { return Err(no("a CTE that writes")) };
    let &[Some(target)] = analysis.targets.as_slice() else { return Err(no("several writes in one statement")) };
    let table = &analysis.instances[target].table;
    form(analysis)?;
    triggers(input, table)?;
    let times = match calls(input, analysis)? {
        true => times(input, tokens, first)?,
        false => vec![],
    };
    let (recipe, rows) = match &write.action {
        Action::Insert { columns, rows: Rows::Values(values), .. } => {
            anchored(analysis, target)?;
            let split = rows::split(input, analysis, table, (columns, values), tokens, first)?;
            (predicate_of(&split), Some(split))
        }
        Action::Insert { columns, .. } => (inserted(input, analysis, table, columns)?, None),
        Action::Update { .. } | Action::Delete { .. } => (anchored(analysis, target)?, None),
    };
    assigned(input, table, write)?;
    Ok((recipe, ManyWrite { times, rows, fetch: None, returning: !write.returning.is_empty() }))
}

fn predicate_of(split: &SplitRows) -> Recipe {
    Recipe::Either(split.rows.iter().map(|row| row.key.clone()).collect())
}

/// What must not be in a statement that several servers run, each over its own rows.
fn form(analysis: &Analysis<'_>) -> Result<(), Refusal> {
    let cases = [
        analysis.apart,
        analysis.unsplittable.as_deref(),
        analysis.locks.then_some("a locking clause"),
        analysis.special.then_some("ONLY or TABLESAMPLE"),
    ];
    match cases.into_iter().flatten().next() {
        Some(what) => Err(no(what)),
        None => Ok(()),
    }
}

/// Looks at what is called. Returns whether it depends on when the transaction began.
fn calls(input: &Input<'_>, analysis: &Analysis<'_>) -> Result<bool, Refusal> {
    const OF_SERVER: &[&str] = &["current_query", "pg_backend_pid", "setseed", time::OF_STATEMENT];
    let mut timed = false;
    for called in &analysis.calls {
        let name = &called.call.name;
        // Evaluated for each row, on the shard of the row.
        let by_row = called.at == 0 && !called.in_view;
        let fits = match called.class {
            _ if OF_SERVER.contains(&name.name.as_str()) => false,
            Class::Builtin(Builtin::Pure | Builtin::Aggregate | Builtin::Window) => true,
            Class::Builtin(Builtin::Stable) => {
                let of_time = time::is_of_time(&name.name);
                timed |= of_time;
                !(of_time && called.in_view)
            }
            Class::Builtin(Builtin::Volatile) => by_row,
            Class::User(volatility) => {
                (by_row || volatility != Volatility::Volatile) && gather::touches_nothing(input, name)
            }
            Class::Builtin(_) => false,
        };
        if !fits {
            return Err(no(format!("{}, which may give each shard another value,", name.name)));
        }
    }
    Ok(timed)
}

/// The same for what is called outside a query whose rows another server computes.
fn calls_outside(input: &Input<'_>, analysis: &Analysis<'_>) -> Result<bool, Refusal> {
    let mut timed = false;
    for called in &analysis.calls {
        let name = &called.call.name;
        let quiet = match called.class {
            Class::Builtin(Builtin::Pure | Builtin::Volatile) => true,
            Class::Builtin(Builtin::Stable) => name.name != time::OF_STATEMENT,
            Class::User(_) => gather::touches_nothing(input, name),
            Class::Builtin(_) => false,
        };
        if called.at == 0 && !quiet {
            return Err(no(format!("{}, which may give each shard another value,", name.name)));
        }
        let of_time = time::is_of_time(&name.name);
        if of_time && called.in_view {
            return Err(no("a value that depends on when the transaction began"));
        }
        timed |= of_time;
    }
    Ok(timed)
}

/// Triggers that look at more than the row that they are fired for would see one shard each.
fn triggers(input: &Input<'_>, table: &TableName) -> Result<(), Refusal> {
    let mut family = vec![table];
    let mut at = 0;
    while let Some(&one) = family.get(at) {
        let children = input.schema.relations.values().filter(|child| child.parents.contains(one));
        let new: Vec<&TableName> = children.map(|child| &child.name).filter(|name| !family.contains(name)).collect();
        family.extend(new);
        at += 1;
    }
    let fired = family.iter().filter_map(|name| input.schema.relation(name)).flat_map(|relation| &relation.triggers);
    let touches = |trigger: &&Trigger| {
        let (schema, name) = &trigger.function;
        let name = Name { schema: Some(schema.to_string()), name: name.to_string() };
        !trigger.by_row || !gather::touches_nothing(input, &name)
    };
    match fired.into_iter().find(touches) {
        Some(_) => {
            let hint = "Only triggers for each row whose functions look at nothing but the row can be fired on several shards.";
            let what = format!("{table}, whose triggers or rules may see one shard each");
            Err(refusal(catalogue::WRITE_MANY_SHARDS, what, hint))
        }
        None => Ok(()),
    }
}

/// Where the time stands. A column of RETURNING keeps its name: that of a sub-select's only column.
fn times(input: &Input<'_>, tokens: &Tokens, first: usize) -> Result<Vec<Splice>, Refusal> {
    let lexemes = &tokens.lexemes;
    let (splices, listed) = match time::timed(input, lexemes, first) {
        Timed::No => (vec![], false),
        Timed::Outside(splices) => (splices, false),
        Timed::Listed(splices) => (splices, true),
        Timed::Hidden => return Err(no("a value that depends on when the transaction began")),
    };
    let returning = returning(lexemes, first).and_then(|at| input.lexed.shape_at(lexemes[at].start));
    let named = |splice: Splice| {
        if !listed && returning.is_none_or(|returning| splice.start < returning) {
            return splice;
        }
        let name = word_at(input, lexemes, splice.start);
        let mut with = vec![Piece::Text("(SELECT ".into())];
        with.extend(splice.with);
        with.push(Piece::Text(format!(" AS {name})")));
        Splice { with, ..splice }
    };
    Ok(splices.into_iter().map(named).collect())
}

/// The name of the function that is called at this place of the shape.
fn word_at<'l>(input: &Input<'_>, lexemes: &'l [Lexeme], start: u32) -> &'l str {
    let here = |lexeme: &Lexeme| input.lexed.shape_at(lexeme.start) == Some(start);
    let at = lexemes.iter().position(here).unwrap_or(0);
    let qualified = lexemes.get(at + 1).is_some_and(|lexeme| lexeme.is_symbol("."));
    let word = lexemes.get(if qualified { at + 2 } else { at });
    word.and_then(Lexeme::identifier).unwrap_or("now")
}

/// The word RETURNING of the statement itself.
fn returning(lexemes: &[Lexeme], first: usize) -> Option<usize> {
    let (mut depth, mut found) = (0_i32, None);
    for (at, lexeme) in lexemes.iter().enumerate().skip(first) {
        if lexeme.is_symbol("(") || lexeme.is_symbol("[") {
            depth += 1;
        } else if lexeme.is_symbol(")") || lexeme.is_symbol("]") {
            depth -= 1;
        } else if depth == 0 && lexeme.is("returning") {
            found = Some(at);
        }
    }
    found
}

/// The recipe of an UPDATE's or DELETE's rows, if all that it looks at is on their shards.
fn anchored(analysis: &Analysis<'_>, anchor: usize) -> Result<Recipe, Refusal> {
    let others = (0..analysis.instances.len()).filter(|other| !analysis.instances[*other].inserted);
    let mut far = others.filter(|other| !analysis.reached(*other).contains(&anchor));
    if analysis.instances[anchor].nullable || far.next().is_some() {
        let hint = "Join sharded tables by their shard keys.";
        let what = "a join or sub-select that is not on the shard key";
        return Err(refusal(catalogue::WRITE_MANY_SHARDS, what, hint));
    }
    Ok(analysis.recipe(anchor))
}

/// The recipe of what an INSERT selects, if each shard's rows are to be written there.
fn inserted(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    table: &TableName,
    columns: &[String],
) -> Result<Recipe, Refusal> {
    let hint = "Select the shard key of a table of the same group as the shard key.";
    let apart = || refusal(catalogue::WRITE_MANY_SHARDS, "an INSERT of rows that are on other shards", hint);
    let &[InsertRows::Follow(from)] = analysis.inserts.as_slice() else { return Err(apart()) };
    let anchor = analysis.inserted.as_ref().and_then(|rows| rows.anchor).ok_or_else(apart)?;
    if analysis.instances[from].nullable {
        return Err(apart());
    }
    let relation = input.schema.relation(table);
    let absent = |name: &str| !columns.is_empty() && !columns.iter().any(|column| column == name);
    let stable = |column: &&Column| column.default == Default::Stable && absent(&column.name);
    if let Some(column) = relation.and_then(|relation| relation.columns.iter().find(stable)) {
        let hint = "Give the column a value in the statement.";
        let what = format!("column {:?} of {table}, whose default each shard would evaluate", column.name);
        return Err(refusal(catalogue::WRITE_MANY_SHARDS, what, hint));
    }
    anchored(analysis, anchor)
}

/// `SET column = DEFAULT` of a default that each shard would evaluate by itself.
fn assigned(input: &Input<'_>, table: &TableName, write: &Write) -> Result<(), Refusal> {
    let (Action::Insert { assignments, .. } | Action::Update { assignments, .. }) = &write.action else {
        return Ok(());
    };
    let stable = |name: &String| {
        let column = input.schema.relation(table).and_then(|relation| relation.column(name));
        column.is_none_or(|column| column.default == Default::Stable)
    };
    let defaulted = |assignment: &Assignment| {
        let mut found = false;
        assignment.value.walk(&mut |part| found |= *part == Expr::Default);
        found && assignment.columns.iter().any(stable)
    };
    match assignments.iter().any(defaulted) {
        true => Err(no("DEFAULT that each shard would evaluate")),
        false => Ok(()),
    }
}

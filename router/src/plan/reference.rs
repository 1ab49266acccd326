//! Reference: writes to reference tables, which are the same on every shard. In: facts, tokens, the words of functions.
//! Out: which tables a statement may write, and how the rows that it wrote are known. Never: a sharded table beside them;
//! the text of another server: rows are what is carried over.

use super::{
    PlanKind, ReferenceWrite, Refusal, Returned, RowAction, Written, bodies, build::Input, join::Analysis, names,
    read::Class, refuse::refusal, utility,
};
use crate::{
    error::catalogue,
    sql::{
        facts::{Action, Assignment, Body, Name, Query},
        parse::Tokens,
    },
    topology::schema::{RelationKind, Volatility},
};
use pgring_config::tables::{TableKind, TableName};
use std::cell::RefCell;

/// Words without which nothing is written.
const WRITES: &[&str] = &["insert", "update", "delete", "merge", "copy", "truncate", "execute"];

/// The plan of a statement that reaches no sharded table, if it may write a reference table.
pub(super) fn write(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    query: &Query,
    tokens: &Tokens,
    first: usize,
) -> Option<PlanKind> {
    let mut tables = by_functions(input, analysis);
    let direct = tables.is_empty();
    for written in &analysis.writes_reference {
        add(input, written, &mut tables);
    }
    if tables.is_empty() {
        return None;
    }
    let returned = match (&tables[..], &analysis.writes_reference[..]) {
        ([only], [target]) if direct && only == target => returned(input, query, tokens, first),
        _ => None,
    };
    let written = returned.map_or(Written::Compared, Written::Returned);
    Some(PlanKind::ReferenceWrite(Box::new(ReferenceWrite { tables, written })))
}

/// A statement that reaches a sharded table and may write a reference table.
pub(super) fn beside_sharded(input: &Input<'_>, analysis: &Analysis<'_>) -> Option<Refusal> {
    let table = analysis.writes_reference.first().cloned();
    let table = table.or_else(|| by_functions(input, analysis).into_iter().next())?;
    let what = format!("{table}, in a statement that reaches a sharded table");
    Some(refusal(
        catalogue::REFERENCE_WRITE,
        what,
        "Read the sharded rows first, and write them in a statement of their own.",
    ))
}

/// The plan of a statement that is not read, or is code, if it may write reference tables; it names no sharded table.
pub(super) fn of_text(input: &Input<'_>) -> Option<Result<PlanKind, Refusal>> {
    let words = utility::words(input.text);
    let writes = words.iter().any(|word| WRITES.contains(&word.as_str()));
    let mut tables = vec![];
    if writes {
        words.iter().for_each(|word| mentioned(input, word, &mut tables));
    }
    for word in &words {
        let name = Name { schema: None, name: word.clone() };
        if super::read::reaches_tables(input, &name) {
            let what = format!("{word}, a function whose body names a sharded table");
            let hint = "Run the statements of its body instead.";
            return Some(Err(refusal(catalogue::UNSUPPORTED, what, hint)));
        }
        by_function(input, &name, &mut tables);
    }
    if tables.is_empty() {
        return None;
    }
    Some(Ok(PlanKind::ReferenceWrite(Box::new(ReferenceWrite { tables, written: Written::Compared }))))
}

/// Reference tables that the functions of a statement may write.
fn by_functions(input: &Input<'_>, analysis: &Analysis<'_>) -> Vec<TableName> {
    let mut tables = vec![];
    for called in analysis.calls.iter().filter(|called| matches!(called.class, Class::User(_))) {
        by_function(input, &called.call.name, &mut tables);
    }
    tables
}

fn by_function(input: &Input<'_>, name: &Name, tables: &mut Vec<TableName>) {
    let found = RefCell::new(tables);
    bodies::any(input, name, &|reached| {
        let words = reached.words.filter(|_| reached.volatility == Volatility::Volatile).unwrap_or_default();
        if words.iter().any(|word| WRITES.contains(&word.as_str())) {
            words.iter().for_each(|word| mentioned(input, word, &mut found.borrow_mut()));
        }
        false
    });
}

/// Takes in the reference tables of this bare name.
fn mentioned(input: &Input<'_>, word: &str, tables: &mut Vec<TableName>) {
    if names::mentions(input, word).1 {
        let known = input.schema.relations.keys().filter(|name| &*name.name == word);
        known.for_each(|name| add(input, name, tables));
    }
}

/// Takes in a reference table, or those that a view reads.
fn add(input: &Input<'_>, name: &TableName, tables: &mut Vec<TableName>) {
    let relation = input.schema.relation(name);
    let names = match relation {
        Some(view) if view.kind == RelationKind::View => view.reads.as_slice(),
        _ => std::slice::from_ref(name),
    };
    for name in names {
        let is_view = input.schema.relation(name).is_some_and(|relation| relation.kind == RelationKind::View);
        if !is_view && names::kind(input, name, 0) == TableKind::Reference && !tables.contains(name) {
            tables.push(name.clone());
        }
    }
}

/// How the rows come back by RETURNING.
fn returned(input: &Input<'_>, query: &Query, tokens: &Tokens, first: usize) -> Option<Returned> {
    let Body::Write(write) = &query.body else { return None };
    if query.ctes.iter().any(|cte| matches!(cte.query.body, Body::Write(_))) {
        return None;
    }
    let columns = |all: &[Assignment]| -> Vec<Box<str>> {
        all.iter().flat_map(|one| &one.columns).map(|column| column.as_str().into()).collect()
    };
    let (action, assigned) = match &write.action {
        Action::Insert { assignments, .. } if assignments.is_empty() => (RowAction::Insert, vec![]),
        Action::Insert { assignments, .. } => (RowAction::Upsert, columns(assignments)),
        Action::Update { assignments, .. } => (RowAction::Update, columns(assignments)),
        Action::Delete { .. } => (RowAction::Delete, vec![]),
    };
    let last = utility::end(&tokens.lexemes).checked_sub(1).filter(|last| *last > first)?;
    Some(Returned {
        action,
        assigned,
        name: write.alias.as_ref().unwrap_or(&write.table.name).as_str().into(),
        at: input.lexed.shape_at(tokens.lexemes[last].end)?,
        listed: !write.returning.is_empty(),
    })
}

//! Into: the table that `SELECT … INTO` makes. In: tokens. Out: a change of schema, or a temporary table of the session's.
//! Never: the query itself, which is planned as any other.

use super::{
    CreatedTable, Ddl, Elsewhere, PlanKind,
    build::Input,
    ddl::{change, everywhere, is_reference_rule},
    names,
    refuse::refusal,
};
use crate::{error::catalogue, sql::parse::Tokens};

struct Target {
    schema: Option<String>,
    name: String,
    temporary: bool,
}

/// The temporary table that it makes, if so.
pub(super) fn temporary(input: &Input<'_>, tokens: &Tokens) -> Option<Box<str>> {
    let target = target(input, tokens)?;
    target.temporary.then(|| target.name.into())
}

/// The plan of one that makes a table, of unsharded rows; None: it makes a temporary one.
pub(super) fn plan(input: &Input<'_>, tokens: &Tokens) -> Option<PlanKind> {
    let Some(target) = target(input, tokens) else {
        let hint = "Use CREATE TABLE … AS.";
        return Some(PlanKind::Refuse(refusal(catalogue::UNSUPPORTED, "SELECT INTO in an unknown form", hint)));
    };
    if target.temporary {
        return None;
    }
    let table = names::created(input, target.schema.as_deref(), &target.name);
    if input.topology.table(&table).is_some() || is_reference_rule(&table, input.rules) {
        let what = format!("SELECT INTO {table}, when it is to be sharded or a reference table");
        return Some(PlanKind::Refuse(change(what)));
    }
    let created = CreatedTable { name: table.clone(), columns: vec![], unique_keys: vec![], references: vec![] };
    let elsewhere = Elsewhere::Empty { table, if_not_exists: false };
    Some(PlanKind::Ddl(Ddl { creates: vec![created], elsewhere, ..everywhere() }))
}

fn target(input: &Input<'_>, tokens: &Tokens) -> Option<Target> {
    let lexemes = &tokens.lexemes;
    let is = |at: usize, words: &[&str]| lexemes.get(at).is_some_and(|lexeme| words.iter().any(|word| lexeme.is(word)));
    // A CTE may write: INSERT INTO, MERGE INTO.
    let makes = |at: &usize| is(*at, &["into"]) && !(*at > 0 && is(*at - 1, &["insert", "merge"]));
    let mut at = (0..lexemes.len()).find(makes)? + 1;
    let mut temporary = false;
    while is(at, &["local", "global", "temp", "temporary", "unlogged", "table"]) {
        temporary |= is(at, &["temp", "temporary"]);
        at += 1;
    }
    let (schema, name, _) = names::read(lexemes, at)?;
    temporary |= schema.as_deref().map_or(input.makes_temporary, |schema| schema.starts_with("pg_temp"));
    Some(Target { schema, name, temporary })
}

//! Build: one statement's text becomes its plan. In: text, its fingerprint, schema, kinds of tables, search path.
//! Out: a [`Plan`]. Never: a shard, a parameter's value; a guess: what is not proven is refused.

use super::{
    Plan, PlanKind, gather, generate, own, process, read,
    refuse::{plan, refusal, refuse},
    utility,
};
use crate::{
    error::catalogue,
    sql::{
        fingerprint::Lexed,
        parse::{self, Kind, Tokens},
    },
    topology::schema::Schema,
};
use pgring_config::topology::Topology;

/// What a plan is built from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The text of one statement.
    pub text: &'a str,
    /// Fingerprint of `text`.
    pub lexed: &'a Lexed,
    /// Relations and functions.
    pub schema: &'a Schema,
    /// Kinds and groups of tables; nothing else of it is used.
    pub topology: &'a Topology,
    /// Schemas in the order they are searched, without `pg_temp` and `pg_catalog`.
    pub search_path: &'a [Box<str>],
    /// `pg_temp` is searched before them: what is made without a schema is temporary.
    pub makes_temporary: bool,
    /// Names of the session's temporary relations.
    pub temp_tables: &'a [Box<str>],
    /// Rules of the database for new tables.
    pub rules: &'a Rules,
}

/// What the configuration says about tables that are yet to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Columns that make a new table sharded, the first match wins.
    pub shard_by: Vec<String>,
    /// Unique keys without the shard key are allowed on tables sharded by `shard_by`.
    pub local_unique_allowed: bool,
    /// Tables that become reference tables, perhaps with their schema.
    pub reference_tables: Vec<String>,
}

/// Builds the plan of one statement.
pub fn build(input: &Input<'_>) -> Plan {
    let tokens = match parse::tokens(input.text) {
        Ok(tokens) => tokens,
        Err(why) => return utility::not_understood(input, &why.to_string()),
    };
    if !input.lexed.certain && !tokens.has_joined_strings() {
        return utility::not_understood(input, "its tokens could not be read with certainty");
    }
    own::refused(&tokens.lexemes).map_or_else(|| statement(input, &tokens, 0), refuse)
}

/// The plan of a statement whose strings the lexer would read otherwise than the server.
pub fn unread(input: &Input<'_>, why: &str) -> Plan {
    utility::not_understood(input, why)
}

/// The plan of a statement that is not all UTF-8: names and words of it are known, but no value. What reaches a sharded
/// or reference table is refused, and so is a table whose name it may spell in its own encoding.
pub fn in_another_encoding(input: &Input<'_>) -> Plan {
    let mut plan = build(input);
    let odd_names = input.topology.tables.keys().any(|table| !table.name.is_ascii());
    let one = input.topology.shards.len() == 1;
    let local = matches!(plan.kind, PlanKind::Anywhere | PlanKind::Catalog | PlanKind::Local);
    let passed = local || (one && matches!(plan.kind, PlanKind::Ddl(_)));
    if odd_names || !passed {
        let hint = "Set client_encoding to UTF8.";
        return refuse(refusal(catalogue::NOT_UNDERSTOOD, "text in another encoding than UTF8", hint));
    }
    plan.kind = PlanKind::Local;
    plan
}

/// Plans the statement whose first token is `first`.
pub(super) fn statement(input: &Input<'_>, tokens: &Tokens, first: usize) -> Plan {
    let word = tokens.lexemes.get(first).and_then(|lexeme| match &lexeme.kind {
        Kind::Word(word) => Some(word.as_str()),
        Kind::Symbol(symbol) if symbol == "(" => Some("select"),
        _ => None,
    });
    match word {
        Some("select" | "with" | "insert" | "update" | "delete" | "values" | "table") => query(input, tokens, first),
        Some(word) => utility::statement(input, tokens, first, word),
        None => utility::not_understood(input, "it does not begin with a word"),
    }
}

fn query(input: &Input<'_>, tokens: &Tokens, first: usize) -> Plan {
    if let Some(plan) = utility::builtin(input, tokens, first).or_else(|| process::call(input, tokens, first)) {
        return plan;
    }
    let ordinary = || ordinary(input, tokens, first);
    generate::plan(input, tokens, first, &ordinary).unwrap_or_else(ordinary)
}

/// As it stands.
fn ordinary(input: &Input<'_>, tokens: &Tokens, first: usize) -> Plan {
    match parse::query(input.text, tokens, first) {
        Ok(query) => read::query(input, &query, tokens, first),
        Err(why) => match gather::unread::plan(input, tokens, first) {
            Ok(Some(gather)) if gather.inputs.is_empty() => plan(PlanKind::Local, true),
            Ok(Some(gather)) => plan(PlanKind::Gather(Box::new(gather)), true),
            Ok(None) => utility::not_understood(input, &why.to_string()),
            Err(refusal) => utility::not_understood(input, &format!("{why}, and {}", refusal.what)),
        },
    }
}

#[cfg(test)]
mod tests;

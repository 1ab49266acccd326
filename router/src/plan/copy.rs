//! Copy: COPY of a table or a query. In: tokens. Out: a plan. Never: COPY of a sharded table as if one server had
//! it whole.

use super::{
    CopyPlan, Many, Plan, PlanKind,
    build::{self, Input},
    names::{self, Meaning},
    refuse::{self, refusal},
    utility,
};
use crate::{
    error::catalogue,
    sql::{
        parse::{Lexeme, Tokens},
        rewrite::{self, Range},
    },
};

const HINT: &str = "Copy the rows of one shard key at a time.";

/// Plans a COPY.
pub(super) fn plan(input: &Input<'_>, tokens: &Tokens, first: usize) -> Plan {
    let lexemes = &tokens.lexemes;
    if lexemes.get(first + 1).is_some_and(|lexeme| lexeme.is_symbol("(")) {
        return query(input, tokens, first + 1);
    }
    let Some((schema, name, after)) = names::read(lexemes, first + 1) else {
        return utility::not_understood(input, "COPY in an unknown form");
    };
    let from = direction(lexemes, after);
    let (table, reference) = match names::resolve(input, schema.as_deref(), &name) {
        Meaning::Sharded(table, _) => (table, false),
        Meaning::Reference(table) => (table, true),
        Meaning::ShardedView(view) => {
            return refuse::refuse(refusal(
                catalogue::COPY_MANY_SHARDS,
                format!("{view}, a view on a sharded table"),
                HINT,
            ));
        }
        Meaning::System => return refuse::plan(PlanKind::Catalog, false),
        Meaning::Temporary | Meaning::Local(_) => return refuse::plan(PlanKind::Local, false),
    };
    let Some((from, options)) = from else { return utility::not_understood(input, "COPY in an unknown form") };
    if reference {
        return if from {
            refuse::refuse(refusal(catalogue::REFERENCE_WRITE, format!("{table}"), "Write it on each server by hand."))
        } else {
            refuse::plan(PlanKind::Reference, true)
        };
    }
    let refusal = refusal(catalogue::COPY_MANY_SHARDS, format!("{table}"), HINT);
    let header = has_header(input.text, lexemes.get(options..).unwrap_or_default());
    refuse::plan(PlanKind::Copy(CopyPlan { table, from, header, refusal }), !from)
}

/// FROM STDIN (true), TO STDOUT (false), and where their options begin; None for files and programs.
fn direction(lexemes: &[Lexeme], after: usize) -> Option<(bool, usize)> {
    let mut at = after;
    if lexemes.get(at)?.is_symbol("(") {
        at = (at..lexemes.len()).find(|at| lexemes[*at].is_symbol(")"))? + 1;
    }
    let (word, place) = (lexemes.get(at)?, lexemes.get(at + 1)?);
    if word.is("from") && place.is("stdin") {
        Some((true, at + 2))
    } else if word.is("to") && place.is("stdout") {
        Some((false, at + 2))
    } else {
        None
    }
}

/// Whether these options ask for a line with the columns' names.
fn has_header(text: &str, options: &[Lexeme]) -> bool {
    let Some(at) = options.iter().position(|lexeme| lexeme.is("header")) else { return false };
    let value = options.get(at + 1).and_then(|lexeme| text.get(lexeme.start..lexeme.end)).unwrap_or_default();
    !["0", "false", "off"].contains(&value.trim_matches(['\'', '"']).to_ascii_lowercase().as_str())
}

/// COPY (query) TO STDOUT: as the query, of which one server answers what is over several shards.
fn query(input: &Input<'_>, tokens: &Tokens, open: usize) -> Plan {
    let Some(inner) = tokens.inside(open) else { return utility::not_understood(input, "COPY in an unknown form") };
    let close = open + 1 + inner.lexemes.len();
    let span = rewrite::shape_span(input.lexed, &tokens.lexemes, Range { first: open + 1, last: close });
    let span = span.filter(|_| direction(&tokens.lexemes, close + 1).is_some_and(|(from, _)| !from));
    let mut plan = build::statement(input, &inner, 0);
    let refused = || refusal(catalogue::COPY_MANY_SHARDS, "COPY of a query over several shards", HINT);
    if let PlanKind::Gather(_) = plan.kind {
        plan.kind = span.map_or_else(|| PlanKind::Refuse(refused()), |(from, to)| PlanKind::CopyQuery(from, to));
    }
    if let PlanKind::Sharded(sharded) = &mut plan.kind {
        if !matches!(sharded.many, Many::Refuse(_)) {
            sharded.many = span.map_or_else(|| Many::Refuse(refused()), |(from, to)| Many::CopyQuery(from, to));
        }
        plan.fixed_slots.clear();
    }
    if matches!(plan.kind, PlanKind::Builtin(_)) {
        return refuse::refuse(refusal(catalogue::UNSUPPORTED, "COPY of a function of pgring", "Call it itself."));
    }
    plan
}

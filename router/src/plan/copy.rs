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
    sql::parse::{Lexeme, Tokens},
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
    let Some(from) = from else { return utility::not_understood(input, "COPY in an unknown form") };
    if reference {
        return if from {
            refuse::refuse(refusal(catalogue::REFERENCE_WRITE, format!("{table}"), "Write it on each server by hand."))
        } else {
            refuse::plan(PlanKind::Reference, true)
        };
    }
    let refusal = refusal(catalogue::COPY_MANY_SHARDS, format!("{table}"), HINT);
    refuse::plan(PlanKind::Copy(CopyPlan { table, from, refusal }), !from)
}

/// FROM STDIN (true), TO STDOUT (false); None for files and programs.
fn direction(lexemes: &[Lexeme], after: usize) -> Option<bool> {
    let mut at = after;
    if lexemes.get(at)?.is_symbol("(") {
        at = (at..lexemes.len()).find(|at| lexemes[*at].is_symbol(")"))? + 1;
    }
    let (word, place) = (lexemes.get(at)?, lexemes.get(at + 1)?);
    if word.is("from") && place.is("stdin") {
        Some(true)
    } else if word.is("to") && place.is("stdout") {
        Some(false)
    } else {
        None
    }
}

/// COPY (query) TO …: as the query, on one server.
fn query(input: &Input<'_>, tokens: &Tokens, open: usize) -> Plan {
    let Some(inner) = tokens.inside(open) else { return utility::not_understood(input, "COPY in an unknown form") };
    let mut plan = build::statement(input, &inner, 0);
    if let PlanKind::Sharded(sharded) = &mut plan.kind {
        sharded.many = Many::Refuse(refusal(catalogue::COPY_MANY_SHARDS, "COPY of a query over several shards", HINT));
        plan.fixed_slots.clear();
    }
    if matches!(plan.kind, PlanKind::Builtin(_)) {
        return refuse::refuse(refusal(catalogue::UNSUPPORTED, "COPY of a function of pgring", "Call it itself."));
    }
    plan
}

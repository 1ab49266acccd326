//! Copy: COPY of a table or a query. In: tokens. Out: a plan. Never: COPY of a sharded table as if one server had
//! it whole.

use super::{
    CopyKey, CopyPlan, Many, Plan, PlanKind,
    build::{self, Input},
    names::{self, Meaning},
    refuse::{self, refusal},
    utility,
};
use crate::{
    copy::options::{self, Way},
    error::catalogue,
    sql::{
        parse::{Lexeme, Tokens},
        rewrite::{self, Range},
    },
    topology::schema::{Column, Default},
};

const HINT: &str = "Copy the rows of one shard key at a time.";
const FILE_HINT: &str = "Use FROM STDIN or TO STDOUT, or \\copy of psql, which reads and writes the client's files.";

/// Plans a COPY.
pub(super) fn plan(input: &Input<'_>, tokens: &Tokens, first: usize) -> Plan {
    let lexemes = &tokens.lexemes;
    if lexemes.get(first + 1).is_some_and(|lexeme| lexeme.is_symbol("(")) {
        return query(input, tokens, first + 1);
    }
    let Some(head) = options::head(lexemes, first) else {
        return utility::not_understood(input, "COPY in an unknown form");
    };
    let Some((schema, name, _)) = names::read(lexemes, head.name_at) else {
        return utility::not_understood(input, "COPY in an unknown form");
    };
    let refused = |what: String, hint| refuse::refuse(refusal(catalogue::COPY_MANY_SHARDS, what, hint));
    let meaning = names::resolve(input, schema.as_deref(), &name);
    let (table, sharded) = match meaning {
        Meaning::Sharded(table, sharded) => (table, Some(sharded)),
        Meaning::Reference(table) => (table, None),
        Meaning::ShardedView(view) => {
            return refused(format!("{view}, a view on a sharded table"), "Copy a query of it, or into its table.");
        }
        Meaning::System => return refuse::plan(PlanKind::Catalog, false),
        Meaning::Temporary | Meaning::Local(_) => return refuse::plan(PlanKind::Local, false),
    };
    if head.way == Way::File {
        return refused(format!("{table} from or to a file or program of a server"), FILE_HINT);
    }
    let from = head.way == Way::In;
    let Some(sharded) = sharded else {
        return if from {
            refuse::refuse(refusal(catalogue::REFERENCE_WRITE, format!("{table}"), "Write it on each server by hand."))
        } else {
            refuse::plan(PlanKind::Reference, true)
        };
    };
    let relation = input.schema.relation(&table);
    let columns = relation.map_or(&[][..], |relation| relation.columns.as_slice());
    let stored = columns.iter().filter(|column| column.default != Default::Generated);
    let fields = head.columns.unwrap_or_else(|| stored.map(|column| column.name.clone()).collect());
    let has_default = columns.iter().any(|column| column.name == sharded.key && column.default != Default::None);
    let key = Some(CopyKey { column: sharded.key, key_type: sharded.key_type, has_default });
    let is_drawn = |column: &&Column| {
        matches!(column.default, Default::Volatile | Default::Identity) && !fields.contains(&column.name)
    };
    let drawn = columns.iter().find(is_drawn).map(|column| column.name.clone());
    let refusal = refusal(catalogue::COPY_MANY_SHARDS, format!("{table}"), HINT);
    refuse::plan(PlanKind::Copy(CopyPlan { table, from, fields, key, drawn, refusal }), !from)
}

/// These tokens are TO STDOUT.
fn goes_out(lexemes: &[Lexeme], at: usize) -> bool {
    let is = |at: usize, word| lexemes.get(at).is_some_and(|lexeme: &Lexeme| lexeme.is(word));
    is(at, "to") && (is(at + 1, "stdout") || is(at + 1, "stdin"))
}

/// COPY (query) TO STDOUT: as the query, of which one server answers what is over several shards.
fn query(input: &Input<'_>, tokens: &Tokens, open: usize) -> Plan {
    let Some(inner) = tokens.inside(open) else { return utility::not_understood(input, "COPY in an unknown form") };
    let close = open + 1 + inner.lexemes.len();
    let span = rewrite::shape_span(input.lexed, &tokens.lexemes, Range { first: open + 1, last: close });
    let span = span.filter(|_| goes_out(&tokens.lexemes, close + 1));
    let mut plan = build::statement(input, &inner, 0);
    let refused = || refusal(catalogue::COPY_MANY_SHARDS, "COPY of a query over several shards", HINT);
    if let PlanKind::Gather(_) = plan.kind {
        plan.kind = span.map_or_else(|| PlanKind::Refuse(refused()), |(from, to)| PlanKind::CopyQuery(from, to));
    }
    if let PlanKind::Sharded(sharded) = &mut plan.kind {
        if matches!(sharded.many, Many::Write(_)) {
            sharded.many = Many::Refuse(refused());
        } else if !matches!(sharded.many, Many::Refuse(_)) {
            sharded.many = span.map_or_else(|| Many::Refuse(refused()), |(from, to)| Many::CopyQuery(from, to));
        }
        plan.fixed_slots.clear();
    }
    if matches!(plan.kind, PlanKind::Builtin(_)) {
        return refuse::refuse(refusal(catalogue::UNSUPPORTED, "COPY of a function of pgring", "Call it itself."));
    }
    plan
}

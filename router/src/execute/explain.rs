//! Explain: how a statement would be answered, as the rows of EXPLAIN (ROUTE). Nothing is executed.

use super::splice;
use crate::{
    error::Report,
    merge::Merge,
    plan::{Gather, GatherSource, Many, ManyWrite, Plan, PlanKind},
    route::{self, Route, bind::Values},
};
use pgring_config::{ids::ShardIndex, tables::TableKind, topology::Topology};

/// One row of EXPLAIN (ROUTE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainStep {
    /// single, subset, scatter, gather, broadcast, local or reject.
    pub kind: &'static str,
    /// Names of the shards.
    pub shards: String,
    /// What they get.
    pub sql: String,
    /// Why.
    pub why: String,
}

fn step(kind: &'static str, shards: String, sql: &str, why: impl Into<String>) -> ExplainStep {
    ExplainStep { kind, shards, sql: sql.to_owned(), why: why.into() }
}

fn names(topology: &Topology, shards: &[ShardIndex]) -> String {
    shards.iter().map(|shard| topology.shard(*shard).name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The step of a statement about the session or its transaction.
pub fn session_step(text: &str) -> ExplainStep {
    step("local", String::new(), text, "a statement about the session or its transaction")
}

fn gathered(gather: &Gather, values: &Values<'_>, topology: &Topology, text: &str) -> ExplainStep {
    let mut all: Vec<ShardIndex> = gather
        .inputs
        .iter()
        .flat_map(|input| match &input.source {
            GatherSource::Sharded { group, recipe } => route::shards(*group, recipe, values, topology),
            GatherSource::Default | GatherSource::Anywhere => vec![],
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    let home = names(topology, &[topology.default_shard]);
    let why = format!("what is needed of the shards' rows is copied to {home}, which answers");
    step("gather", names(topology, &all), text, why)
}

fn copied(text: &str) -> ExplainStep {
    step("gather", String::new(), text, "the query's rows are brought together, and copied from there")
}

/// What is done with the shards' rows.
pub fn how(merge: &Merge) -> &'static str {
    match (&merge.group_by, merge.order.is_empty()) {
        (Some(_), _) => "partial aggregates are combined",
        (None, false) => "sorted rows are merged",
        (None, true) => "rows are concatenated",
    }
}

/// What is done with a write.
pub fn how_written(write: &ManyWrite) -> &'static str {
    match &write.rows {
        Some(_) => "each shard gets the rows of its keys, all in one transaction",
        None if write.fetch.is_some() => {
            "one server computes the rows, each shard gets those of its keys, all in one transaction"
        }
        None => "each shard writes its own rows, all in one transaction",
    }
}

/// The steps of a planned statement.
///
/// # Errors
/// Those of its route: 23502, 57P03.
pub fn steps(plan: &Plan, values: &Values<'_>, topology: &Topology) -> Result<Vec<ExplainStep>, Report> {
    let text = String::from_utf8_lossy(values.text).into_owned();
    let default = names(topology, &[topology.default_shard]);
    let reject = |refusal: &crate::plan::Refusal| {
        step("reject", String::new(), &text, format!("{}: {}", refusal.reason.message, refusal.what))
    };
    Ok(vec![match &plan.kind {
        PlanKind::Anywhere => step("local", default, &text, "reaches no table: any server can answer"),
        PlanKind::Catalog => step("local", default, &text, "reads system catalogs: the default shard's"),
        PlanKind::Local => step("local", default, &text, "reaches local tables only"),
        PlanKind::Reference => step("local", default, &text, "reads reference tables: any shard can answer"),
        PlanKind::Ddl(ddl) if ddl.default_shard_only => step("local", default, &text, "on the default shard only"),
        PlanKind::Ddl(_) | PlanKind::Lock => {
            let all: Vec<_> = (0..topology.shards.len()).map(|at| ShardIndex(at as u16)).collect();
            step("broadcast", names(topology, &all), &text, "the schema is the same on every shard")
        }
        PlanKind::Generate(_) => {
            step("generate", String::new(), &text, "values of sequences and random keys are put in; then it is planned")
        }
        PlanKind::Gather(gather) => gathered(gather, values, topology, &text),
        PlanKind::ReferenceWrite(_) => {
            let all: Vec<_> = (0..topology.shards.len()).map(|at| ShardIndex(at as u16)).collect();
            step("broadcast", names(topology, &all), &text, "runs on the default shard, its rows are written on all")
        }
        PlanKind::Copy(copy) if copy.from && copy.key.is_none() => reject(&copy.refusal),
        PlanKind::Copy(copy) => {
            let shards = match topology.kind(&copy.table) {
                TableKind::Sharded(table) => topology.all_owners(table.group),
                _ => vec![topology.default_shard],
            };
            let how = if copy.from {
                "each record goes to its key's shard"
            } else {
                "what each shard gives, one behind the other"
            };
            step("scatter", names(topology, &shards), &text, how)
        }
        PlanKind::CopyQuery(..) => copied(&text),
        PlanKind::ExplainRoute { .. } | PlanKind::Explain(_) | PlanKind::Builtin(_) => {
            step("local", String::new(), &text, "answered by pgring")
        }
        PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => reject(refusal),
        PlanKind::Sharded(sharded) => match route::resolve(sharded, values, topology)? {
            Route::One(shard) => step("single", names(topology, &[shard]), &text, "the shard key leads to one shard"),
            Route::Apart => match &sharded.many {
                Many::Gather(gather) => gathered(gather, values, topology, &text),
                Many::Write(write) if write.fetch.is_some() => step("gather", String::new(), &text, how_written(write)),
                _ => step("reject", String::new(), &text, "the shard keys lead to different shards"),
            },
            Route::Many(shards) => match &sharded.many {
                Many::Refuse(refusal) => reject(refusal),
                Many::Gather(gather) => gathered(gather, values, topology, &text),
                Many::CopyQuery(..) => copied(&text),
                Many::Explain(_) => step("local", String::new(), &text, "answered by pgring"),
                Many::Write(write) if write.fetch.is_some() => step("gather", String::new(), &text, how_written(write)),
                Many::Write(write) => {
                    let all = topology.all_owners(sharded.group).len();
                    let kind = if shards.len() == all { "scatter" } else { "subset" };
                    step(kind, names(topology, &shards), &text, how_written(write))
                }
                Many::Merge { splices, merge, .. } => {
                    let all = topology.all_owners(sharded.group).len();
                    let kind = if shards.len() == all { "scatter" } else { "subset" };
                    let sql = String::from_utf8_lossy(&splice::apply(values.text, values.lexed, splices)).into_owned();
                    step(kind, names(topology, &shards), &sql, how(merge))
                }
            },
        },
    }])
}

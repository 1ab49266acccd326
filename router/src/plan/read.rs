//! Read: plans of queries and of INSERT, UPDATE and DELETE. In: facts and what was found in them. Out: a plan.
//! Never: a statement over several shards that is not proven exact.

use super::{
    Gather, Many, Plan, PlanKind, Recipe, Refusal, SessionEffect, Sharded,
    aggregate::{self, Scattered},
    bodies,
    build::Input,
    dml, gather, generate, into,
    join::{Analysis, Called, InsertRows},
    names, reference,
    refuse::{plan, refusal, refuse},
    regroup, setting, traces,
    view::Definitions,
};
use crate::{
    error::catalogue,
    sql::{
        facts::{Body, Name, Query},
        parse::Tokens,
        volatility::{self, Builtin},
    },
    topology::schema::Volatility,
};
use pgring_config::tables::TableKind;

/// What a called function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// One of PostgreSQL's own.
    Builtin(Builtin),
    /// A user's.
    User(Volatility),
}

impl Class {
    /// It gives a value, the same for the whole statement, and does nothing else.
    pub(super) fn is_quiet(self) -> bool {
        matches!(
            self,
            Self::Builtin(Builtin::Pure | Builtin::Aggregate | Builtin::Window | Builtin::Stable)
                | Self::User(Volatility::Immutable | Volatility::Stable)
        )
    }
}

/// What a function's name stands for. A user's function of the same name as a builtin counts: it may be meant.
pub(crate) fn class(input: &Input<'_>, name: &Name) -> Class {
    let user = |schema: &str| input.schema.functions.get(&(schema.into(), name.name.as_str().into())).copied();
    let found = match name.schema.as_deref() {
        Some("pg_catalog") => None,
        Some(schema) => Some(user(schema).unwrap_or(Volatility::Volatile)),
        None => input.search_path.iter().filter_map(|schema| user(schema)).max(),
    };
    match found {
        Some(volatility) => Class::User(volatility),
        None => Class::Builtin(volatility::builtin(&name.name)),
    }
}

/// Plans a query or a writing statement. Its first token is `first`.
pub(crate) fn query(input: &Input<'_>, query: &Query, tokens: &Tokens, first: usize) -> Plan {
    let mut scattered = Err(refusal(catalogue::MANY_SHARDS, "a statement in this form", HINT));
    let text = (tokens.lexemes.as_slice(), first);
    let definitions = Definitions::of(input, tokens);
    let mut regrouped = None;
    let (analysis, rows) = Analysis::of(input, query, &definitions, &mut |analysis, scope| {
        scattered = aggregate::scatter(input, analysis, scope, query, text);
        if !matches!(&scattered, Ok(found) if found.merge.group_by.is_none() && found.merge.order.is_empty()) {
            regrouped = regroup::plan(input, analysis, scope, query, text);
        }
    });
    if matches!(query.body, Body::Set(_)) {
        scattered = aggregate::united(input, &analysis, &rows, query, text);
    }
    let reads_only = reads_only(&analysis);
    let gathered = || gather::plan(input, &analysis, &definitions, tokens, first).map(Box::new);
    let mut plan = match early(input, &analysis) {
        Some(refusal) => refuse(refusal),
        None if analysis.instances.is_empty() => {
            let written = reference::write(input, &analysis, query, tokens, first);
            plan(written.unwrap_or_else(|| unsharded(input, &analysis, tokens)), reads_only)
        }
        None if !analysis.assigned.is_empty() && apart(&analysis).is_none() => rekeyed(&analysis),
        None => match (apart(&analysis), gathered()) {
            (Some(_), Ok(gathered)) => plan(PlanKind::Gather(gathered), reads_only),
            (Some(refusal), Err(_)) if analysis.writes => far(input, &analysis, query, (tokens, first), refusal),
            (Some(refusal), Err(_)) => refuse(refusal),
            (None, _) if analysis.writes => writes(input, &analysis, query, tokens, first),
            (None, gathered) => {
                let (gathered, fixed) = in_parts(gathered, regrouped);
                let mut plan = sharded(&analysis, scattered, gathered, reads_only);
                plan.fixed_slots.extend(fixed);
                plan.fixed_slots.sort_unstable();
                plan.fixed_slots.dedup();
                plan
            }
        },
    };
    plan.session = effect(input, &analysis, tokens, first);
    if !plan.session.sets.is_empty() && analysis.calls.iter().all(sets_or_reads) {
        // Each server gets the session's settings.
        plan.kind = PlanKind::Anywhere;
        plan.reads_only = true;
    }
    plan
}

/// A gather of parts of groups goes before one of rows.
fn in_parts(
    gathered: Result<Box<Gather>, Refusal>,
    regrouped: Option<(Gather, Vec<u32>)>,
) -> (Result<Box<Gather>, Refusal>, Vec<u32>) {
    match regrouped {
        None => (gathered, vec![]),
        Some((gather, fixed)) => (Ok(Box::new(Gather { otherwise: gathered.ok(), ..gather })), fixed),
    }
}

fn sets_or_reads(called: &Called<'_>) -> bool {
    let sets = called.call.name.name == "set_config";
    sets || matches!(
        called.class,
        Class::Builtin(Builtin::Pure | Builtin::Stable) | Class::User(Volatility::Immutable | Volatility::Stable)
    )
}

const HINT: &str = "Narrow the statement to one shard key, or split it up.";

fn reads_only(analysis: &Analysis<'_>) -> bool {
    let silent = !analysis.writes && !analysis.locks && !analysis.into;
    silent && analysis.calls.iter().all(|called| called.class.is_quiet())
}

fn called(analysis: &Analysis<'_>, wanted: &[Builtin]) -> Option<String> {
    let matches = |class| matches!(class, Class::Builtin(builtin) if wanted.contains(&builtin));
    let mut calls = analysis.calls.iter();
    calls.find(|called| matches(called.class)).map(|called| called.call.name.name.clone())
}

/// Whether the body of a user's function, or of one that it calls, names a sharded table: on a server it would see that
/// server's rows only.
pub(super) fn reaches_tables(input: &Input<'_>, name: &Name) -> bool {
    bodies::any(input, name, &|reached| {
        reached.words.is_some_and(|words| words.iter().any(|word| names::mentions(input, word).0))
    })
}

fn has_placed_tables(input: &Input<'_>) -> bool {
    input.topology.tables.values().any(|table| table.kind != TableKind::Local)
}

/// What is refused whatever the keys are.
fn early(input: &Input<'_>, analysis: &Analysis<'_>) -> Option<Refusal> {
    if analysis.too_deep {
        return Some(refusal(catalogue::MANY_SHARDS, "CTEs that refer to each other too often", HINT));
    }
    if let Some(view) = &analysis.sharded_view {
        let hint = "Use the tables of the view instead.";
        let what = format!("{view}, a view on a sharded table whose definition is not read here");
        return Some(refusal(catalogue::MANY_SHARDS, what, hint));
    }
    if let Some(view) = &analysis.writes_view {
        let what = format!("a write to {view}, a view on a sharded table that is more than rows of one table");
        return Some(refusal(catalogue::MANY_SHARDS, what, "Write to the table itself."));
    }
    if let Some(name) = called(analysis, &[Builtin::RunsText]).filter(|_| has_placed_tables(input)) {
        return Some(refusal(catalogue::UNSUPPORTED, format!("{name}, which runs a text"), "Run the text itself."));
    }
    if let Some(name) = analysis.calls.iter().map(|called| &called.call.name).find(|name| reaches_tables(input, name)) {
        let what = format!("{}, a function whose body names a sharded table", name.name);
        return Some(refusal(catalogue::UNSUPPORTED, what, "Run the statements of its body instead."));
    }
    if analysis.instances.is_empty() {
        return None;
    }
    reference::beside_sharded(input, analysis).or_else(|| rows(analysis)).or_else(|| {
        let name = called(analysis, &[Builtin::DefaultShard, Builtin::Pins])?;
        let what = format!("{name} together with a sharded table");
        Some(refusal(catalogue::UNSUPPORTED, what, "Call it in a statement of its own."))
    })
}

/// Why its tables can never be all on one shard, if so.
fn apart(analysis: &Analysis<'_>) -> Option<Refusal> {
    let hint = "Reach them in statements of their own.";
    let group = analysis.instances.first()?.sharded.group;
    let other = [
        (analysis.temporary, "a sharded table and a temporary one"),
        (analysis.local, "a sharded table and a local one"),
        (analysis.system, "a sharded table and a system catalog"),
        (analysis.instances.iter().any(|instance| instance.sharded.group != group), "two colocation groups"),
        (analysis.into, "SELECT INTO from a sharded table"),
    ];
    let (_, what) = other.into_iter().find(|(found, _)| *found)?;
    Some(refusal(catalogue::MIXED_GROUPS, what, hint))
}

fn rows(analysis: &Analysis<'_>) -> Option<Refusal> {
    if let Some(table) = &analysis.assigns_key {
        let what = format!("the shard key of {table} is assigned");
        return Some(refusal(catalogue::KEY_UPDATE, what, "Delete the row and insert it again."));
    }
    if let Some((table, column)) = &analysis.volatile_default {
        let what = format!("column {column:?} of {table}");
        return Some(refusal(catalogue::VOLATILE_DEFAULT, what, "Give the column a value in the statement."));
    }
    analysis.inserts.iter().find_map(|rows| match rows {
        InsertRows::Unknown(what, hint) => Some(refusal(catalogue::UNSUPPORTED, *what, *hint)),
        InsertRows::Volatile => Some(refusal(
            catalogue::VOLATILE_DEFAULT,
            "the shard key would be a volatile default",
            "Give the shard key as a value.",
        )),
        InsertRows::Keys(_) | InsertRows::Follow(_) | InsertRows::Elsewhere => None,
    })
}

fn unsharded(input: &Input<'_>, analysis: &Analysis<'_>, tokens: &Tokens) -> PlanKind {
    if analysis.into
        && let Some(plan) = into::plan(input, tokens)
    {
        return plan;
    }
    let known = |builtin| {
        matches!(builtin, Builtin::Pure | Builtin::Aggregate | Builtin::Window | Builtin::Stable | Builtin::Volatile)
    };
    let free = analysis.calls.iter().all(|called| matches!(called.class, Class::Builtin(builtin) if known(builtin)));
    if analysis.temporary || analysis.local || analysis.writes || analysis.into {
        PlanKind::Local
    } else if analysis.system {
        if analysis.reference { PlanKind::Local } else { PlanKind::Catalog }
    } else if analysis.reference {
        if reads_only(analysis) && free { PlanKind::Reference } else { PlanKind::Local }
    } else if free {
        PlanKind::Anywhere
    } else {
        PlanKind::Local
    }
}

fn effect(input: &Input<'_>, analysis: &Analysis<'_>, tokens: &Tokens, first: usize) -> SessionEffect {
    let notifies = analysis.calls.iter().any(|called| called.call.name.name == "pg_notify");
    let mut effect = SessionEffect { notifies, ..SessionEffect::default() };
    let pins = |called: &&Called<'_>| called.class == Class::Builtin(Builtin::Pins);
    let names = analysis.calls.iter().filter(pins).map(|called| called.call.name.name.as_str());
    let (sets, locks): (Vec<&str>, Vec<&str>) = names.partition(|name| *name == "set_config");
    if !locks.is_empty() {
        effect.pin = Some("advisory lock");
        effect.frees = locks.iter().any(|name| name.starts_with("pg_advisory_unlock"));
    }
    let calls = |names: &[&str]| analysis.calls.iter().any(|called| names.contains(&&*called.call.name.name));
    let inserts = || tokens.lexemes.iter().any(|lexeme| lexeme.is("insert"));
    let user = |called: &&Called<'_>| matches!(called.class, Class::User(_));
    let functions = analysis.calls.iter().filter(user).map(|called| called.call.name.name.clone());
    traces::note(input, functions.collect(), &mut effect);
    let view = "pg_prepared_statements";
    effect.looks_at_statements = tokens.lexemes.iter().any(|lexeme| lexeme.identifier() == Some(view));
    effect.advances = calls(&["nextval"]) || (analysis.writes && inserts());
    effect.asks_sequence = calls(&["currval", "lastval"]) && !calls(&["nextval", "setval"]);
    effect.restarts = calls(&["setval"]);
    if effect.advances {
        (effect.drawn, effect.draws) = generate::call::drawn_there(input, &tokens.lexemes);
    }
    effect.draws |= analysis.calls.iter().any(|called| called.class == Class::User(Volatility::Volatile));
    if !sets.is_empty() {
        match setting::calls(input, tokens, first) {
            Some(calls) => effect.sets = calls,
            None => effect.pin = Some("set_config"),
        }
    }
    if analysis.into
        && let Some(table) = into::temporary(input, tokens)
    {
        effect.pin = Some("temporary table");
        effect.creates_temp.push(table);
    }
    effect
}

fn sharded(
    analysis: &Analysis<'_>,
    scattered: Result<Scattered, Refusal>,
    gathered: Result<Box<Gather>, Refusal>,
    reads_only: bool,
) -> Plan {
    let group = analysis.instances[0].sharded.group;
    let (recipe, many, fixed_slots) = match scattered {
        Ok(found) => {
            let many = Many::Merge { splices: found.splices, merge: Box::new(found.merge), gather: gathered.ok() };
            (analysis.recipe(found.anchor), many, found.fixed)
        }
        Err(refusal) => (same(analysis), gathered.map_or(Many::Refuse(refusal), Many::Gather), vec![]),
    };
    let kind = PlanKind::Sharded(Sharded { group, recipe, insert: false, many });
    Plan { kind, reads_only, fixed_slots, session: SessionEffect::default() }
}

/// An INSERT of rows that are never all where they are written.
fn far(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    query: &Query,
    (tokens, first): (&Tokens, usize),
    refusal: Refusal,
) -> Plan {
    let target = analysis.targets.first().copied().flatten().and_then(|at| analysis.instances.get(at));
    match (target, dml::fetched(input, analysis, query, tokens, first)) {
        (Some(target), Ok(write)) if !analysis.temporary => {
            let (group, many) = (target.sharded.group, Many::Write(Box::new(write)));
            plan(PlanKind::Sharded(Sharded { group, recipe: Recipe::Apart, insert: false, many }), false)
        }
        _ => refuse(refusal),
    }
}

/// A statement that writes sharded rows.
fn writes(input: &Input<'_>, analysis: &Analysis<'_>, query: &Query, tokens: &Tokens, first: usize) -> Plan {
    let group = analysis.instances[0].sharded.group;
    let insert = analysis.inserts.iter().any(|rows| matches!(rows, InsertRows::Keys(_)));
    let (recipe, many, fixed_slots) = match dml::plan(input, analysis, query, tokens, first) {
        Ok((recipe, write)) => (recipe, Many::Write(Box::new(write)), analysis.fixed.clone()),
        Err(refusal) => match dml::fetched(input, analysis, query, tokens, first) {
            Ok(write) => (same(analysis), Many::Write(Box::new(write)), vec![]),
            Err(_) => (same(analysis), Many::Refuse(refusal), vec![]),
        },
    };
    let kind = PlanKind::Sharded(Sharded { group, recipe, insert, many });
    Plan { kind, reads_only: false, fixed_slots, session: SessionEffect::default() }
}

/// A statement that gives rows a shard key: where that leads to the shard on which they are, they stay there.
fn rekeyed(analysis: &Analysis<'_>) -> Plan {
    let what = "a shard key that may lead to another shard is assigned";
    let many = Many::Refuse(refusal(catalogue::KEY_UPDATE, what, "Delete the row and insert it again."));
    let group = analysis.instances[0].sharded.group;
    plan(PlanKind::Sharded(Sharded { group, recipe: same(analysis), insert: true, many }), false)
}

/// All instances and inserted rows on one and the same shard.
fn same(analysis: &Analysis<'_>) -> Recipe {
    let inserted = |instance: usize| analysis.instances[instance].inserted;
    let instances = (0..analysis.instances.len()).filter(|at| !inserted(*at)).map(|at| analysis.recipe(at));
    let inserts = analysis.inserts.iter().filter_map(|rows| match rows {
        InsertRows::Keys(recipe) => Some(recipe.clone()),
        InsertRows::Follow(instance) => Some(analysis.recipe(*instance)),
        InsertRows::Elsewhere => Some(Recipe::Apart),
        InsertRows::Unknown(..) | InsertRows::Volatile => None,
    });
    let mut all: Vec<Recipe> = vec![];
    for recipe in instances.chain(inserts).chain(analysis.assigned.iter().cloned()) {
        if !all.contains(&recipe) {
            all.push(recipe);
        }
    }
    if all.len() == 1 { all.remove(0) } else { Recipe::Same(all) }
}

//! Generate: values that pgring makes before a statement is planned. In: tokens of an INSERT into a sharded table, whose rows
//! need values of sequences or random keys, or of a SELECT that asks for a sequence's value. Out: what is put where. Never:
//! a value; a place that is reached more than once a row.
//!
//! A sequence of a sharded table has one counter, the default shard's own sequence. Routers draw from it, so that values are
//! unique whatever the shard of their rows. What is not seen here (INSERT … SELECT) is left to the planner.

pub(super) mod call;

use super::{
    Generate, Generated, Maker, Part, Plan, PlanKind,
    build::Input,
    names::{self, Meaning},
    refuse::{plan as planned, refusal, refuse},
};
use crate::{
    error::catalogue,
    sql::{
        parse::{Lexeme, Tokens},
        rewrite::{self, Range},
    },
    topology::schema::{Column, Generator, Relation},
};
use call::Calls;
use pgring_protocol::quote;
use std::sync::Arc;

/// The plan of a statement that values are put into; None: there are none. `ordinary` plans it as it stands.
pub(super) fn plan(input: &Input<'_>, tokens: &Tokens, first: usize, ordinary: &dyn Fn() -> Plan) -> Option<Plan> {
    if input.topology.tables.is_empty() {
        return None;
    }
    let lexemes = tokens.lexemes.as_slice();
    let found = match Insert::read(input, lexemes, first) {
        Some(insert) if insert.overrides_user => insert.refuse_user_values(),
        Some(insert) => insert.generated().map(Ok),
        None => call::selected(input, lexemes, first).map(Ok),
    };
    let (places, calls) = match found? {
        Ok(found) => found,
        Err(refused) => return Some(refused),
    };
    let otherwise = calls.asks.then(|| Arc::new(ordinary()));
    let mut plan = planned(PlanKind::Generate(Box::new(Generate { places, otherwise })), false);
    plan.fixed_slots = calls.fixed;
    Some(plan)
}

type Found = (Vec<Generated>, Calls);

/// `INSERT INTO table [AS alias] [(columns)] [OVERRIDING … VALUE] VALUES …` of a sharded table.
struct Insert<'i> {
    input: &'i Input<'i>,
    lexemes: &'i [Lexeme],
    relation: &'i Relation,
    key: Box<str>,
    /// Parentheses around the columns.
    list: Option<(usize, usize)>,
    /// The columns that have values.
    named: Vec<Box<str>>,
    overrides_system: bool,
    overrides_user: bool,
    /// The token behind the table and its columns.
    behind: usize,
    /// VALUES, or DEFAULT of DEFAULT VALUES.
    values: usize,
    /// Parentheses around each row; none: DEFAULT VALUES.
    rows: Vec<(usize, usize)>,
}

impl<'i> Insert<'i> {
    fn read(input: &'i Input<'i>, lexemes: &'i [Lexeme], first: usize) -> Option<Self> {
        let is = |at: usize, word: &str| lexemes.get(at).is_some_and(|lexeme| lexeme.is(word));
        let symbol = |at: usize, symbol: &str| lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol(symbol));
        let start = if is(first, "with") { top_level(lexemes, first, "insert")? } else { first };
        if !is(start, "insert") || !is(start + 1, "into") {
            return None;
        }
        let (schema, name, mut at) = names::read(lexemes, start + 2)?;
        let Meaning::Sharded(table, sharded) = names::resolve(input, schema.as_deref(), &name) else { return None };
        let relation = input.schema.relation(&table)?;
        at += if is(at, "as") { 2 } else { 0 };
        let list = if symbol(at, "(") && !["select", "with", "values", "table"].iter().any(|word| is(at + 1, word)) {
            Some((at, matching(lexemes, at)?))
        } else {
            None
        };
        let named = match list {
            Some((open, close)) => Some(columns(lexemes, open, close)?),
            None => None,
        };
        let behind = list.map_or(at, |(_, close)| close + 1);
        let overrides = is(behind, "overriding");
        let values = behind + if overrides { 3 } else { 0 };
        let rows = if is(values, "default") && is(values + 1, "values") {
            vec![]
        } else {
            is(values, "values").then_some(())?;
            rows(lexemes, values + 1)?
        };
        let first_row = rows.first().map_or(0, |(open, close)| items(lexemes, *open, *close).len());
        let all = || relation.columns.iter().map(|column| column.name.clone());
        let named = named.unwrap_or_else(|| all().take(first_row).collect());
        let fits = rows.iter().all(|(open, close)| items(lexemes, *open, *close).len() == named.len());
        let known = named.iter().all(|name| relation.column(name).is_some());
        (fits && known).then_some(Self {
            input,
            lexemes,
            relation,
            key: sharded.key,
            list,
            named,
            overrides_system: overrides && is(behind + 1, "system"),
            overrides_user: overrides && is(behind + 1, "user"),
            behind,
            values,
            rows,
        })
    }

    /// OVERRIDING USER VALUE: what is given for an identity column counts for nothing.
    fn refuse_user_values(&self) -> Option<Result<Found, Plan>> {
        let identity = |column: &&Column| matches!(column.generator, Some(Generator::Sequence(_)));
        self.relation.columns.iter().find(identity)?;
        let what = "OVERRIDING USER VALUE of a sharded table";
        Some(Err(refuse(refusal(catalogue::UNSUPPORTED, what, "Leave the identity column out of the statement."))))
    }

    /// What makes the value of a column that pgring has to know: of any sequence, and of a random key.
    fn maker(&self, column: &Column) -> Option<Maker> {
        match column.generator? {
            Generator::Sequence(sequence) => Some(Maker::Next(sequence)),
            Generator::Uuid if *column.name == *self.key => Some(Maker::Uuid),
            Generator::Snowflake if *column.name == *self.key => Some(Maker::Snowflake),
            Generator::Uuid | Generator::Snowflake => None,
        }
    }

    fn generated(&self) -> Option<Found> {
        let makers = self.relation.columns.iter().filter_map(|column| Some((column, self.maker(column)?)));
        let (given, missing): (Vec<_>, Vec<_>) = makers.partition(|(column, _)| self.named.contains(&column.name));
        let mut places = vec![];
        let mut calls = Calls::default();
        let mut overrides = missing.iter().any(|(column, _)| column.always);
        for (open, close) in &self.rows {
            for (item, name) in items(self.lexemes, *open, *close).into_iter().zip(&self.named) {
                let maker = given.iter().find(|(column, _)| column.name == *name);
                if let Some((column, maker)) = maker.filter(|_| self.is_default(item)) {
                    overrides |= column.always;
                    places.push(self.replace(item, vec![Part::Value { maker: *maker, typed: false }])?);
                } else {
                    calls.of_row(self.input, self.lexemes, item, **name == *self.key, &mut places);
                }
            }
            if !missing.is_empty() {
                let values = missing.iter().enumerate().flat_map(|(nth, (_, maker))| {
                    let comma = if nth > 0 || !self.named.is_empty() { ", " } else { "" };
                    [Part::Text(comma.into()), Part::Value { maker: *maker, typed: false }]
                });
                places.push(self.insert(*close, values.collect())?);
            }
        }
        if places.is_empty() && (missing.is_empty() || !self.rows.is_empty()) {
            return None;
        }
        self.name_columns(&missing, overrides, &mut places)?;
        places.sort_by_key(|place| place.start);
        Some((places, calls))
    }

    fn is_default(&self, item: Range) -> bool {
        item.last == item.first + 1 && self.lexemes[item.first].is("default")
    }

    /// Names the columns that are added, and says that a value for GENERATED ALWAYS is meant.
    fn name_columns(&self, missing: &[(&Column, Maker)], overrides: bool, places: &mut Vec<Generated>) -> Option<()> {
        let named =
            |columns: &mut dyn Iterator<Item = &str>| columns.map(quote::identifier).collect::<Vec<_>>().join(", ");
        let added = named(&mut missing.iter().map(|(column, _)| &*column.name));
        let overriding = if overrides && !self.overrides_system { "OVERRIDING SYSTEM VALUE " } else { "" };
        if self.rows.is_empty() {
            let mut with = vec![Part::Text(format!("({added}) {overriding}VALUES (").into())];
            for (nth, (_, maker)) in missing.iter().enumerate() {
                with.push(Part::Text(if nth > 0 { ", ".into() } else { "".into() }));
                with.push(Part::Value { maker: *maker, typed: false });
            }
            with.push(Part::Text(")".into()));
            places.push(self.replace(Range { first: self.values, last: self.values + 2 }, with)?);
            return Some(());
        }
        let mut before = String::new();
        match self.list {
            _ if missing.is_empty() => {}
            Some((_, close)) => places.push(self.insert(close, vec![Part::Text(format!(", {added}").into())])?),
            None => {
                let all = named(
                    &mut self.named.iter().map(|name| &**name).chain(missing.iter().map(|(column, _)| &*column.name)),
                );
                before = format!("({all}) ");
            }
        }
        if self.overrides_system && !before.is_empty() {
            places.push(self.insert(self.behind, vec![Part::Text(before.into())])?);
        } else if !before.is_empty() || !overriding.is_empty() {
            places.push(self.insert(self.values, vec![Part::Text(format!("{before}{overriding}").into())])?);
        }
        Some(())
    }

    fn replace(&self, range: Range, with: Vec<Part>) -> Option<Generated> {
        replaced(self.input, self.lexemes, range, with)
    }

    /// Something before this token.
    fn insert(&self, at: usize, with: Vec<Part>) -> Option<Generated> {
        let start = self.input.lexed.shape_at(self.lexemes[at].start)?;
        Some(Generated { start, end: start, with })
    }
}

fn replaced(input: &Input<'_>, lexemes: &[Lexeme], range: Range, with: Vec<Part>) -> Option<Generated> {
    let start = input.lexed.shape_at(lexemes.get(range.first)?.start)?;
    let end = input.lexed.shape_at(lexemes.get(range.last.checked_sub(1)?)?.end)?;
    Some(Generated { start, end, with })
}

/// The first token that is this word outside parentheses.
fn top_level(lexemes: &[Lexeme], first: usize, word: &str) -> Option<usize> {
    let mut depth = 0_i32;
    (first..lexemes.len()).find(|at| {
        depth += i32::from(lexemes[*at].is_symbol("(")) - i32::from(lexemes[*at].is_symbol(")"));
        depth == 0 && lexemes[*at].is(word)
    })
}

fn matching(lexemes: &[Lexeme], open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    (open..lexemes.len()).find(|at| {
        depth += i32::from(lexemes[*at].is_symbol("(")) - i32::from(lexemes[*at].is_symbol(")"));
        depth == 0
    })
}

/// Names in a list of columns; None where one is more than a name.
fn columns(lexemes: &[Lexeme], open: usize, close: usize) -> Option<Vec<Box<str>>> {
    let one =
        |range: Range| (range.last == range.first + 1).then(|| lexemes[range.first].identifier().map(Into::into))?;
    items(lexemes, open, close).into_iter().map(one).collect()
}

fn items(lexemes: &[Lexeme], open: usize, close: usize) -> Vec<Range> {
    rewrite::split(lexemes, Range { first: open + 1, last: close })
}

/// The rows behind VALUES; None where something stands behind them that makes a query of them.
fn rows(lexemes: &[Lexeme], first: usize) -> Option<Vec<(usize, usize)>> {
    let (mut at, mut rows) = (first, vec![]);
    loop {
        lexemes.get(at)?.is_symbol("(").then_some(())?;
        let close = matching(lexemes, at)?;
        rows.push((at, close));
        at = close + 1;
        if !lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol(",")) {
            break;
        }
        at += 1;
    }
    let ends = lexemes.get(at).is_none_or(|next| next.is("on") || next.is("returning") || next.is_symbol(";"));
    ends.then_some(rows)
}

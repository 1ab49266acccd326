//! Call: where a statement asks a sequence for a value (`nextval`, `currval`, `lastval`), and for a random key. In: tokens.
//! Out: places, and what stands there instead. Never: a call under a sub-select.

use super::{Found, matching, replaced};
use crate::{
    plan::{
        Generated, Maker, Part, Source,
        build::Input,
        names::{self, Meaning},
        predicate,
        read::{Class, class},
    },
    sql::{
        facts::Name,
        fingerprint::SlotKind,
        parse::{Kind, Lexeme},
        rewrite::{self, Range},
        words::Words,
    },
    topology::schema::{self, Generator, RelationKind},
};
use pgring_config::tables::{TableKind, TableName};

/// What the calls that were found need.
#[derive(Default)]
pub(super) struct Calls {
    /// The session must have been given a value before.
    pub(super) asks: bool,
    /// Slots whose text names a sequence.
    pub(super) fixed: Vec<u32>,
}

/// A call.
struct Site {
    maker: Maker,
    /// One past its closing parenthesis.
    last: usize,
    fixed: Vec<u32>,
}

impl Calls {
    /// The calls in one value of a row.
    pub(super) fn of_row(
        &mut self,
        input: &Input<'_>,
        lexemes: &[Lexeme],
        item: Range,
        is_key: bool,
        places: &mut Vec<Generated>,
    ) {
        if (item.first..item.last).any(|at| lexemes[at].is("select")) {
            return;
        }
        let mut at = item.first;
        while at < item.last {
            let Some(found) = read(input, lexemes, at) else {
                at += 1;
                continue;
            };
            let range = Range { first: at, last: found.last };
            at = found.last;
            let whole = range == item;
            // Each row has one key; what another column holds any server may make.
            let random = matches!(found.maker, Maker::Uuid | Maker::Snowflake);
            if random && !(whole && is_key) {
                continue;
            }
            let with = Part::Value { maker: found.maker, typed: !whole };
            if let Some(place) = replaced(input, lexemes, range, vec![with]) {
                self.note(found);
                places.push(place);
            }
        }
    }

    fn note(&mut self, found: Site) {
        self.asks |= matches!(found.maker, Maker::Current(_) | Maker::Last);
        self.fixed.extend(found.fixed);
    }
}

/// `SELECT` without FROM of the values of sequences that sharded tables use, or that the session may have been given.
pub(super) fn selected(input: &Input<'_>, lexemes: &[Lexeme], first: usize) -> Option<Found> {
    const OTHER: &[&str] = &[
        "from",
        "where",
        "group",
        "having",
        "window",
        "order",
        "limit",
        "offset",
        "fetch",
        "for",
        "union",
        "except",
        "intersect",
        "into",
        "distinct",
    ];
    lexemes.get(first)?.is("select").then_some(())?;
    let asks = |lexeme: &Lexeme| ["nextval", "currval", "lastval"].iter().any(|word| lexeme.is(word));
    lexemes.iter().any(asks).then_some(())?;
    let end = lexemes.len() - lexemes.iter().rev().take_while(|lexeme| lexeme.is_symbol(";")).count();
    let mut depth = 0_i32;
    for lexeme in &lexemes[first + 1..end] {
        depth += i32::from(lexeme.is_symbol("(")) - i32::from(lexeme.is_symbol(")"));
        if lexeme.is("select") || lexeme.is("setval") || depth == 0 && OTHER.iter().any(|word| lexeme.is(word)) {
            return None;
        }
    }
    let (mut places, mut calls) = (vec![], Calls::default());
    for item in rewrite::split(lexemes, Range { first: first + 1, last: end }) {
        let mut at = item.first;
        while at < item.last {
            let qualified = lexemes[at].is("pg_catalog") && lexemes.get(at + 2).is_some_and(asks);
            if !(qualified || asks(&lexemes[at])) {
                at += 1;
                continue;
            }
            let found = read(input, lexemes, at)?;
            if let Maker::Next(sequence) = found.maker
                && !is_shared(input, sequence)
            {
                return None;
            }
            let mut with = vec![Part::Value { maker: found.maker, typed: true }];
            if at == item.first && found.last == item.last {
                with.push(Part::Text(format!(" AS {}", name_of(found.maker)).into()));
            }
            places.push(replaced(input, lexemes, Range { first: at, last: found.last }, with)?);
            if at == item.first && is_cast(lexemes, found.last, item.last) {
                let start = input.lexed.shape_at(lexemes[item.last - 1].end)?;
                let alias = Part::Text(format!(" AS {}", name_of(found.maker)).into());
                places.push(Generated { start, end: start, with: vec![alias] });
            }
            at = found.last;
            calls.note(found);
        }
    }
    (!places.is_empty()).then_some((places, calls))
}

/// A cast to a type of one word stands between, and nothing else.
fn is_cast(lexemes: &[Lexeme], from: usize, to: usize) -> bool {
    to == from + 2 && lexemes[from].is_symbol("::") && lexemes[from + 1].identifier().is_some()
}

fn name_of(maker: Maker) -> &'static str {
    match maker {
        Maker::Next(_) => "nextval",
        Maker::Current(_) => "currval",
        Maker::Last => "lastval",
        Maker::Uuid => "gen_random_uuid",
        Maker::Snowflake => "snowflake_id",
    }
}

/// A sharded table's column takes its values from this sequence.
fn is_shared(input: &Input<'_>, sequence: u32) -> bool {
    let of = |name: &TableName| input.schema.relation(name).map_or(&[][..], |relation| relation.columns.as_slice());
    let sharded = input.topology.tables.values().filter(|table| matches!(table.kind, TableKind::Sharded(_)));
    let mut columns = sharded.flat_map(|table| of(&table.name));
    columns.any(|column| column.generator == Some(Generator::Sequence(sequence)))
}

/// The call that begins at this token.
fn read(input: &Input<'_>, lexemes: &[Lexeme], at: usize) -> Option<Site> {
    let (schema, name, open) = names::read(lexemes, at)?;
    lexemes.get(open)?.is_symbol("(").then_some(())?;
    // The name of a column, or a part of a longer name.
    if at > 0 && lexemes[at - 1].is_symbol(".") {
        return None;
    }
    let close = matching(lexemes, open)?;
    let arguments = rewrite::split(lexemes, Range { first: open + 1, last: close });
    let own = schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
    let called = Name { schema: schema.clone(), name: name.clone() };
    let mut fixed = vec![];
    let maker = match (name.as_str(), arguments.as_slice()) {
        ("snowflake_id", []) if schema.as_deref() == Some("pgring") => Maker::Snowflake,
        ("uuid_generate_v4", []) => Maker::Uuid,
        _ if !own || !matches!(class(input, &called), Class::Builtin(_)) => return None,
        ("gen_random_uuid", []) => Maker::Uuid,
        ("lastval", []) => Maker::Last,
        ("nextval", [one]) => Maker::Next(sequence(input, lexemes, *one, &mut fixed)?),
        ("currval", [one]) => Maker::Current(sequence(input, lexemes, *one, &mut fixed)?),
        _ => return None,
    };
    Some(Site { maker, last: close + 1, fixed })
}

/// The sequence that an argument names: a literal, or a call of `pg_get_serial_sequence` with literals.
fn sequence(input: &Input<'_>, lexemes: &[Lexeme], argument: Range, fixed: &mut Vec<u32>) -> Option<u32> {
    let mut last = argument.last;
    if last >= argument.first + 2 && lexemes[last - 2].is_symbol("::") {
        ["regclass", "text", "varchar"].iter().any(|name| lexemes[last - 1].is(name)).then_some(())?;
        last -= 2;
    }
    if last == argument.first + 1 {
        let written = literal(input, lexemes, argument.first, fixed)?;
        let (schema, name) = named(&written)?;
        let relation = input.schema.relation(&names::full(input, schema.as_deref(), &name))?;
        return (relation.kind == RelationKind::Sequence).then_some(relation.oid);
    }
    let (_, name, open) = names::read(lexemes, argument.first)?;
    let arguments = rewrite::split(lexemes, Range { first: open + 1, last: matching(lexemes, open)? });
    let [table, column] = arguments.as_slice() else { return None };
    if name != "pg_get_serial_sequence" || table.last != table.first + 1 || column.last != column.first + 1 {
        return None;
    }
    let (schema, table) = named(&literal(input, lexemes, table.first, fixed)?)?;
    let column = literal(input, lexemes, column.first, fixed)?;
    match input.schema.relation(&names::full(input, schema.as_deref(), &table))?.column(&column)?.generator? {
        Generator::Sequence(sequence) => Some(sequence),
        Generator::Uuid | Generator::Snowflake => None,
    }
}

/// The value of a plain string; the plan holds for this one alone.
fn literal(input: &Input<'_>, lexemes: &[Lexeme], at: usize, fixed: &mut Vec<u32>) -> Option<String> {
    let lexeme = lexemes.get(at).filter(|lexeme| lexeme.kind == Kind::String)?;
    let Source::Slot { slot, .. } = predicate::slot(input.lexed, lexeme.start, SlotKind::String, false)? else {
        return None;
    };
    fixed.push(slot);
    Some(input.text.get(lexeme.start + 1..lexeme.end - 1)?.replace("''", "'"))
}

/// A name with or without its schema, as a text spells it.
fn named(text: &str) -> Option<(Option<String>, String)> {
    let mut words = Words::new(text);
    let first = words.name()?;
    let second = if words.symbol('.') { Some(words.name()?) } else { None };
    words.is_finished().then_some(match second {
        Some(name) => (Some(first), name),
        None => (None, first),
    })
}

/// The sequences from which a server draws for a statement, as far as they are known; and whether there may be others.
pub(in crate::plan) fn drawn_there(input: &Input<'_>, lexemes: &[Lexeme]) -> (Vec<u32>, bool) {
    let (mut drawn, mut others) = (vec![], false);
    for at in 0..lexemes.len() {
        if lexemes[at].is("nextval") {
            match read(input, lexemes, at) {
                Some(Site { maker: Maker::Next(sequence), .. }) => drawn.push(sequence),
                _ => others = true,
            }
        }
        if !lexemes[at].is("insert") || !lexemes.get(at + 1).is_some_and(|next| next.is("into")) {
            continue;
        }
        let Some((schema, name, _)) = names::read(lexemes, at + 2) else { continue };
        let table = names::full(input, schema.as_deref(), &name);
        let Some(relation) = input.schema.relation(&table) else { continue };
        if matches!(names::resolve(input, schema.as_deref(), &name), Meaning::Sharded(..)) {
            continue;
        }
        others |= !relation.triggers.is_empty();
        for column in &relation.columns {
            match column.generator {
                Some(Generator::Sequence(sequence)) => drawn.push(sequence),
                _ => others |= column.default == schema::Default::Volatile,
            }
        }
    }
    (drawn, others)
}

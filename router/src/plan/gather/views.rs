//! Views: those that a gather makes anew over the copies of their tables. In: definitions. Out: their text, in which each
//! relation can be pointed at its copy. Never: a name that is not surely a relation's in a FROM.

use super::{Needed, no};
use crate::{
    plan::{
        GatherInput, GatherView, Refusal, ViewPart,
        build::Input,
        join::Analysis,
        view::{Definition, Definitions},
    },
    sql::parse::{Kind, Lexeme},
};
use pgring_config::tables::TableName;
use std::collections::HashSet;

/// Words that may stand behind a relation's name without being its alias. As an alias they would be quoted.
const BEHIND: &[&str] = &[
    "cross",
    "except",
    "fetch",
    "for",
    "full",
    "group",
    "having",
    "inner",
    "intersect",
    "join",
    "left",
    "limit",
    "natural",
    "offset",
    "on",
    "order",
    "right",
    "tablesample",
    "union",
    "using",
    "where",
    "window",
];

/// The name of what a view reads and the statement does not name: it hides nothing.
pub(super) fn name(number: usize) -> Box<str> {
    format!("pgring_read_{number}").into()
}

/// The views that are made anew, numbered from `first`. `needed`: what the statement looks at.
pub(super) fn of(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    definitions: &Definitions,
    needed: &Needed<'_>,
    first: usize,
) -> Result<Vec<GatherView>, Refusal> {
    let mut all: Vec<GatherView> = vec![];
    for view in &analysis.views {
        let Some(definition) = definitions.get(&view.name) else {
            return Err(no(format!("{}, a view whose definition is not known,", view.name)));
        };
        let known = input.schema.relation(&view.name).map_or(&[][..], |relation| &relation.columns);
        let columns = known.iter().map(|column| &column.name).filter(|name| needed.has(name));
        all.push(GatherView {
            view: view.name.clone(),
            copy: if view.written {
                view.name.name.clone()
            } else {
                format!("pgring_view_{}", first + all.len()).into()
            },
            barrier: definition.barrier,
            select: select(input, definition)?,
            columns: view.written.then(|| columns.cloned().collect()),
            splices: vec![],
        });
    }
    Ok(all)
}

/// Adds a view, whole, with all that it reads. Notes whether something in it depends on when the transaction began.
pub(super) fn add_all(
    input: &Input<'_>,
    definitions: &Definitions,
    view: &TableName,
    (inputs, views): (&mut Vec<GatherInput>, &mut Vec<GatherView>),
    timed: &mut bool,
) -> Result<(), Refusal> {
    let Some(analysis) = Analysis::of_view(input, view, definitions) else {
        return Err(no(format!("{view}, a view on a sharded table whose definition is not read here,")));
    };
    super::form(&analysis)?;
    if let Some(view) = &analysis.sharded_view {
        return Err(no(format!("{view}, a view on a sharded table whose definition is not read here,")));
    }
    *timed |= super::calls(input, &analysis)?.in_views;
    let needed = Needed { all: true, grouped: true, words: HashSet::new() };
    for one in of(input, &analysis, definitions, &needed, views.len())? {
        match views.iter_mut().find(|known| known.view == one.view) {
            None => views.push(one),
            Some(known) if one.columns.is_some() => (known.copy, known.columns) = (one.copy, one.columns),
            Some(_) => {}
        }
    }
    super::add(input, &analysis, &needed, &[], inputs)
}

/// What the definitions look at is needed as well.
pub(super) fn note<'a>(analysis: &Analysis<'_>, definitions: &'a Definitions, needed: &mut Needed<'a>) {
    for definition in analysis.views.iter().filter_map(|view| definitions.get(&view.name)) {
        let own = Needed::of(&definition.tokens.lexemes);
        needed.all |= own.all;
        needed.grouped |= own.grouped;
        needed.words.extend(own.words);
    }
}

/// A view's SELECT with its relations set apart.
fn select(input: &Input<'_>, definition: &Definition) -> Result<Vec<ViewPart>, Refusal> {
    let lexemes = &definition.tokens.lexemes;
    let (mut parts, mut from) = (vec![], 0);
    let (mut schemas, mut aliases): (Vec<Box<str>>, Vec<&str>) = (vec![], vec![]);
    for at in 0..lexemes.len() {
        let known = |name: &TableName| input.schema.relation(name).is_some() || input.topology.table(name).is_some();
        let Some(name) = qualified(lexemes, at).filter(known) else { continue };
        let before = at.checked_sub(1).map(|before| &lexemes[before]);
        if before.is_some_and(|before| before.is_symbol("::")) {
            // It may be a table's row type.
            continue;
        }
        let in_from =
            |before: &Lexeme| before.is("from") || before.is("join") || before.is_symbol(",") || before.is_symbol("(");
        let behind = lexemes.get(at + 3);
        let is_call = behind.is_some_and(|behind| behind.is_symbol("("));
        if !before.is_some_and(in_from) || is_call {
            continue;
        }
        let has_alias = behind.is_some_and(|behind| match &behind.kind {
            Kind::Quoted(_) => true,
            Kind::Word(word) => !BEHIND.contains(&word.as_str()),
            _ => false,
        });
        let shown = if has_alias { at + 3 } else { at + 2 };
        aliases.extend(lexemes.get(shown).and_then(Lexeme::identifier));
        schemas.push(name.schema.clone());
        let (start, end) = (lexemes[at].start, lexemes[at + 2].end);
        parts.push(ViewPart::Text(definition.text.get(from..start).unwrap_or_default().into()));
        parts.push(ViewPart::Relation { name, has_alias });
        from = end;
    }
    if schemas.iter().any(|schema| aliases.contains(&&**schema)) {
        // `schema.table` may be a column.
        return Err(no(format!("{}, a view in which a schema's name is an alias,", definition.view)));
    }
    parts.push(ViewPart::Text(definition.text.get(from..).unwrap_or_default().into()));
    Ok(parts)
}

/// The name `schema.relation` at this token.
fn qualified(lexemes: &[Lexeme], at: usize) -> Option<TableName> {
    let dot = |at: usize| lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol("."));
    let schema = lexemes[at].identifier()?;
    let name = lexemes.get(at + 2).filter(|_| dot(at + 1))?.identifier()?;
    let alone = !dot(at + 3) && !at.checked_sub(1).is_some_and(dot);
    alone.then(|| TableName::new(schema, name))
}

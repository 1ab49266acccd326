//! View: a view on sharded tables is looked into as if its definition stood in its place. In: definitions as the schema
//! has them. Out: the tables in them, and which columns are their keys. Never: a definition that was not read whole.

mod target;

use super::{
    KeySource, Recipe, Source,
    build::Input,
    join::{self, Analysis},
    names::{self, Meaning},
    read::{Class, class},
    scope::{Scope, Tree},
};
use crate::sql::{
    facts::{Alias, Body, Call, Distinct, Expr, Item, Name, Query},
    fingerprint::{Lexed, SlotKind, lex, literal_text},
    parse::{self, Lexeme, Tokens},
    volatility::Builtin,
};
use pgring_config::tables::TableName;

/// Views in views, at most.
const MAX_DEPTH: usize = 32;

/// Views looked into, at most: views may name each other many times over.
const MOST: usize = 200;

/// What a view is defined as.
#[derive(Debug)]
pub(crate) struct Definition {
    /// The view.
    pub(super) view: TableName,
    /// It is a security barrier.
    pub(super) barrier: bool,
    /// Its SELECT.
    pub(super) text: String,
    /// Fingerprint of `text`.
    pub(super) lexed: Lexed,
    /// Tokens of `text`.
    pub(super) tokens: Tokens,
    /// Facts of `text`.
    pub(super) query: Query,
}

impl Definition {
    fn of(input: &Input<'_>, view: TableName) -> Option<Self> {
        let written = input.schema.relation(&view)?.definition.as_ref()?;
        let text = written.select.trim().trim_end_matches(';').to_owned();
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        let tokens = parse::tokens(&text).ok().filter(|_| lexed.certain)?;
        let query = parse::query(&text, &tokens, 0).ok()?;
        Some(Self { view, barrier: written.barrier, text, lexed, tokens, query })
    }

    /// What its text is to be planned with: every name in it is qualified, or PostgreSQL's own.
    pub(super) fn input<'i>(&'i self, input: &Input<'i>) -> Input<'i> {
        Input { text: &self.text, lexed: &self.lexed, search_path: &[], temp_tables: &[], ..*input }
    }
}

/// The definitions of the views on sharded tables that a statement can reach.
#[derive(Debug, Default)]
pub(crate) struct Definitions(Vec<Definition>);

impl Definitions {
    /// Of all that these tokens name.
    pub(crate) fn of(input: &Input<'_>, tokens: &Tokens) -> Self {
        let mut found = Self::default();
        let mut open = named(input, &tokens.lexemes);
        let mut seen = open.clone();
        while let Some(view) = open.pop() {
            let Some(definition) = Definition::of(input, view) else { continue };
            let inner = named(&definition.input(input), &definition.tokens.lexemes);
            for view in inner.into_iter().filter(|view| !seen.contains(view)).collect::<Vec<_>>() {
                seen.push(view.clone());
                open.push(view);
            }
            found.0.push(definition);
        }
        found
    }

    /// Of this view.
    pub(super) fn get(&self, view: &TableName) -> Option<&Definition> {
        self.0.iter().find(|definition| definition.view == *view)
    }
}

/// The views on sharded tables that the tokens name.
fn named(input: &Input<'_>, lexemes: &[Lexeme]) -> Vec<TableName> {
    let mut all = vec![];
    for (at, lexeme) in lexemes.iter().enumerate() {
        let Some(word) = lexeme.identifier() else { continue };
        let behind_dot = at >= 2 && lexemes[at - 1].is_symbol(".");
        let schema = behind_dot.then(|| lexemes[at - 2].identifier()).flatten();
        if let Meaning::ShardedView(view) = names::resolve(input, schema, word)
            && !all.contains(&view)
        {
            all.push(view);
        }
    }
    all
}

/// A view that was looked into.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Its name.
    pub(crate) name: TableName,
    /// The statement names it itself.
    pub(crate) written: bool,
}

/// Where a view stands.
pub(super) struct Place<'a> {
    /// Its alias.
    pub(super) alias: &'a Alias,
    /// Its name as written.
    pub(super) name: &'a Name,
    /// An outer join may stand NULLs in for its rows.
    pub(super) nullable: bool,
}

impl<'a> Analysis<'a> {
    /// Looks through `SELECT * FROM view`.
    pub(super) fn of_view(input: &Input<'_>, view: &TableName, definitions: &'a Definitions) -> Option<Self> {
        let mut analysis = Self::empty(definitions);
        let definition = definitions.get(view)?;
        let name = Name { schema: Some(view.schema.to_string()), name: view.name.to_string() };
        let place = Place { alias: &Alias::default(), name: &name, nullable: false };
        analysis.view(input, definition, &place, &mut Scope::default());
        Some(analysis)
    }

    /// The definition of a view, if it can be looked into here.
    pub(super) fn definition(&self, view: &TableName) -> Option<&'a Definition> {
        self.definitions?.get(view).filter(|_| self.in_views < MAX_DEPTH && self.looked_into < MOST)
    }

    /// The name is that of a view whose rows come in an order.
    pub(super) fn is_view_in_order(&self, input: &Input<'_>, name: &Name) -> bool {
        let known = name.schema.is_some() || self.ctes.iter().all(|cte| *cte.name != *name.name);
        match names::resolve(input, name.schema.as_deref(), &name.name) {
            Meaning::ShardedView(view) if known => {
                self.definition(&view).is_some_and(|definition| !definition.query.order.is_empty())
            }
            _ => false,
        }
    }

    /// Looks into a view that stands in a FROM.
    pub(super) fn view(
        &mut self,
        input: &Input<'_>,
        definition: &'a Definition,
        place: &Place<'_>,
        scope: &mut Scope<'_>,
    ) -> (Tree, Vec<usize>) {
        let inner = definition.input(input);
        let (ctes, fixed, outside) = (std::mem::take(&mut self.ctes), self.fixed.len(), self.place);
        self.in_views += 1;
        self.looked_into += 1;
        self.place = self.looked_into << 32;
        let mut rows = self.query(&inner, &definition.query, &Scope::default(), false, &mut |_, _| {});
        self.in_views -= 1;
        self.place = outside;
        self.ctes = ctes;
        // Literals of the definition are always the same.
        self.fixed.truncate(fixed);
        match self.views.iter_mut().find(|view| view.name == definition.view) {
            Some(view) => view.written |= self.in_views == 0,
            None => self.views.push(View { name: definition.view.clone(), written: self.in_views == 0 }),
        }
        self.in_order_below |= !definition.query.order.is_empty();
        self.by_place |= !place.alias.columns.is_empty();
        if let Some(columns) = join::columns(input, &definition.view) {
            rows.name(columns);
        }
        let stands = self.stand_for(rows, &join::named(place.alias, place.name), place.nullable, scope);
        if let Some(source) = scope.sources.last_mut() {
            source.schema = place.alias.name.is_none().then(|| definition.view.schema.to_string());
            source.table = Some(definition.view.clone());
        }
        stands
    }
}

/// A SELECT whose rows are rows of what stands in its FROM: nothing puts several of them together, counts or cuts them.
fn is_plain(input: &Input<'_>, query: &Query) -> bool {
    let Body::Select(block) = &query.body else { return false };
    let cut = query.limit.is_some() || query.offset.is_some() || query.locks || !query.order.is_empty();
    let grouped = !block.group_by.is_empty() || block.having.is_some() || block.windows;
    let puts_together = |call: &Call| {
        call.over.is_some() || !matches!(class(input, &call.name), Class::Builtin(Builtin::Pure | Builtin::Stable))
    };
    let mut plain = query.ctes.is_empty() && !cut && !grouped && block.distinct == Distinct::No;
    for item in &block.items {
        let Item::Expr(expr, _) = item else { continue };
        expr.walk(&mut |part| plain &= !matches!(part, Expr::Call(call) if puts_together(call)));
    }
    plain
}

/// A recipe over literals of a definition: they are no literals of the statement.
pub(super) fn fixed(input: &Input<'_>, recipe: Recipe) -> Recipe {
    let all = |all: Vec<Recipe>| all.into_iter().map(|one| fixed(input, one)).collect::<Vec<_>>();
    match recipe {
        Recipe::One(KeySource { source: Source::Slot { slot, negative }, key_type }) => {
            let value = literal(input, slot).and_then(|(kind, text)| match kind {
                SlotKind::Integer if negative => key_type.from_integer_literal(&format!("-{text}")).ok(),
                SlotKind::Integer => key_type.from_integer_literal(&text).ok(),
                SlotKind::String if !negative => key_type.parse_text(&text).ok(),
                _ => None,
            });
            value.map_or(Recipe::Every, |key| join::key_source(Source::Key(key), key_type))
        }
        Recipe::One(_) | Recipe::AnyOf(_) => Recipe::Every,
        Recipe::All(parts) => Recipe::All(all(parts)),
        Recipe::Either(parts) => Recipe::Either(all(parts)),
        Recipe::Same(parts) => Recipe::Same(all(parts)),
        Recipe::Every | Recipe::Nothing | Recipe::NullKey | Recipe::Apart => recipe,
    }
}

fn literal(input: &Input<'_>, slot: u32) -> Option<(SlotKind, String)> {
    let slot = input.lexed.slots.get(slot as usize)?;
    let raw = input.text.as_bytes().get(slot.start as usize..slot.end as usize)?;
    Some((slot.kind, literal_text(slot.kind, raw)?.into_owned()))
}

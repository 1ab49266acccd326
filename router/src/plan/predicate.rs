//! Predicate: what a condition says about one key. In: a condition, and which column is the key. Out: a recipe that
//! holds for every row that meets the condition. Never: takes a key from under NOT, a function or an operator.

use super::{KeySource, Recipe, Source, build::Input, join::key_source};
use crate::sql::{
    facts::{Expr, LiteralKind},
    fingerprint::{Lexed, SlotKind},
};
use pgring_config::key::{KeyFamily, KeyType};

/// The recipe of rows that meet `condition`; [`Recipe::Every`] when it says nothing for certain.
pub(crate) fn recipe(
    lexed: &Lexed,
    condition: &Expr,
    key_type: KeyType,
    nullable: bool,
    is_key: &dyn Fn(&Expr) -> bool,
) -> Recipe {
    let inner = |condition: &Expr| recipe(lexed, condition, key_type, nullable, is_key);
    match condition {
        Expr::And(all) => all_of(all.iter().map(inner).collect()),
        Expr::Or(all) => either(all.iter().map(inner).collect()),
        Expr::Equal(left, right) => match (&**left, &**right) {
            (Expr::Row(left), Expr::Row(right)) if left.len() == right.len() => {
                let pairs = left.iter().zip(right);
                all_of(pairs.map(|(left, right)| equal(lexed, left, right, key_type, is_key)).collect())
            }
            (left, right) => equal(lexed, left, right, key_type, is_key),
        },
        Expr::In(left, list) if is_key(left) => either(list.iter().map(|one| value(lexed, one, key_type)).collect()),
        Expr::In(left, list) => match &**left {
            Expr::Row(row) => rows(lexed, row, list, key_type, is_key),
            _ => Recipe::Every,
        },
        Expr::EqualAny(left, array) if is_key(left) => any(lexed, array, key_type),
        Expr::IsNull(inner) if is_key(inner) && !nullable => Recipe::Nothing,
        _ => Recipe::Every,
    }
}

fn equal(lexed: &Lexed, left: &Expr, right: &Expr, key_type: KeyType, is_key: &dyn Fn(&Expr) -> bool) -> Recipe {
    match (is_key(left), is_key(right)) {
        (true, false) => value(lexed, right, key_type),
        (false, true) => value(lexed, left, key_type),
        _ => Recipe::Every,
    }
}

/// `(a, key) IN ((1, 2), …)`
fn rows(lexed: &Lexed, row: &[Expr], list: &[Expr], key_type: KeyType, is_key: &dyn Fn(&Expr) -> bool) -> Recipe {
    let Some(place) = row.iter().position(is_key) else { return Recipe::Every };
    let one = |element: &Expr| match element {
        Expr::Row(values) if values.len() == row.len() => value(lexed, &values[place], key_type),
        _ => Recipe::Every,
    };
    either(list.iter().map(one).collect())
}

fn all_of(mut all: Vec<Recipe>) -> Recipe {
    all.retain(|recipe| *recipe != Recipe::Every);
    match all.len() {
        0 => Recipe::Every,
        1 => all.remove(0),
        _ => Recipe::All(all),
    }
}

pub(super) fn either(mut all: Vec<Recipe>) -> Recipe {
    if all.contains(&Recipe::Every) {
        return Recipe::Every;
    }
    let mut seen: Vec<Recipe> = vec![];
    all.retain(|recipe| {
        let new = *recipe != Recipe::Nothing && !seen.contains(recipe);
        if new {
            seen.push(recipe.clone());
        }
        new
    });
    match all.len() {
        0 => Recipe::Nothing,
        1 => all.remove(0),
        _ => Recipe::Either(all),
    }
}

fn any(lexed: &Lexed, array: &Expr, key_type: KeyType) -> Recipe {
    let source = match array {
        Expr::Array(values) => return either(values.iter().map(|one| value(lexed, one, key_type)).collect()),
        Expr::Parameter(n) => Source::Parameter(*n),
        Expr::Literal { kind: LiteralKind::String, at, .. } => match slot(lexed, *at, SlotKind::String, false) {
            Some(source) => source,
            None => return Recipe::Every,
        },
        Expr::Cast(inner, name) => {
            let element = name.strip_suffix("[]");
            return if element.is_some_and(|name| converts(name, key_type)) {
                any(lexed, inner, key_type)
            } else {
                Recipe::Every
            };
        }
        Expr::Null => return Recipe::Nothing,
        _ => return Recipe::Every,
    };
    Recipe::AnyOf(KeySource { source, key_type })
}

/// The recipe of `key = expr`.
pub(crate) fn value(lexed: &Lexed, expr: &Expr, key_type: KeyType) -> Recipe {
    match expr {
        Expr::Null => Recipe::Nothing,
        Expr::Parameter(n) => key_source(Source::Parameter(*n), key_type),
        Expr::Literal { kind: LiteralKind::Integer, at, negative } => {
            if key_type.family() != KeyFamily::Integer {
                return Recipe::Every;
            }
            slot(lexed, *at, SlotKind::Integer, *negative).map_or(Recipe::Every, |source| key_source(source, key_type))
        }
        Expr::Literal { kind: LiteralKind::String, at, .. } => {
            slot(lexed, *at, SlotKind::String, false).map_or(Recipe::Every, |source| key_source(source, key_type))
        }
        Expr::Cast(inner, name) if converts(name, key_type) => match &**inner {
            Expr::Cast(..) => Recipe::Every,
            inner => value(lexed, inner, key_type),
        },
        _ => Recipe::Every,
    }
}

/// Whether a value cast to this type is compared with the key as a value of the key's own family, unchanged.
fn converts(name: &str, key_type: KeyType) -> bool {
    match key_type.family() {
        KeyFamily::Integer => matches!(name, "int2" | "int4" | "int8"),
        KeyFamily::Text => matches!(name, "text" | "varchar"),
        KeyFamily::Uuid => name == "uuid",
    }
}

/// The whole number that the literal at this place of the text is, and its slot.
pub(super) fn number(input: &Input<'_>, at: usize) -> Option<(u32, usize)> {
    let slot = input.lexed.slot_at(at)?;
    let found = input.lexed.slots.get(slot)?;
    let number = input.text.get(found.start as usize..found.end as usize)?.parse().ok()?;
    Some((slot as u32, number))
}

/// The slot of the literal at this place of the text.
pub(crate) fn slot(lexed: &Lexed, at: usize, kind: SlotKind, negative: bool) -> Option<Source> {
    let slot = lexed.slot_at(at)?;
    let found = lexed.slots.get(slot)?;
    (found.kind == kind && found.start as usize == at).then_some(Source::Slot { slot: slot as u32, negative })
}

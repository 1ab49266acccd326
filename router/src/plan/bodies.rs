//! Bodies: the functions that a call of a user's function can reach, by the words of their bodies. In: a name. Out:
//! whether one of them is of some kind. Never: an overload that is surely not meant; all count.

use super::{build::Input, utility};
use crate::{sql::facts::Name, topology::schema::Volatility};
use std::collections::HashSet;

/// One function.
pub(super) struct Reached<'a> {
    /// The worst of its overloads.
    pub(super) volatility: Volatility,
    /// The words of its body; None: it is in C, or PostgreSQL's own.
    pub(super) words: Option<&'a [String]>,
}

/// Whether a function of this name, or one that is called from its body, is of this kind.
pub(super) fn any(input: &Input<'_>, name: &Name, is_of_kind: &dyn Fn(Reached<'_>) -> bool) -> bool {
    let named = |schema: Option<&str>, name: &str| {
        let found = input.schema.functions.iter();
        let found = found.filter(|(full, _)| &*full.1 == name && schema.is_none_or(|schema| schema == &*full.0));
        found.collect::<Vec<_>>()
    };
    let mut open = named(name.schema.as_deref(), &name.name);
    let mut seen = HashSet::new();
    while let Some((at, volatility)) = open.pop() {
        if !seen.insert(at) {
            continue;
        }
        let words = input.schema.bodies.get(at).map(|body| utility::words(body));
        if is_of_kind(Reached { volatility: *volatility, words: words.as_deref() }) {
            return true;
        }
        open.extend(words.iter().flatten().flat_map(|word| named(None, word)));
    }
    false
}

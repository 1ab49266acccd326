//! Traces: what code may leave on its backend though the statement does not say so. In: the words of a statement, the
//! bodies of the functions that they name. Out: effects that are looked into after the statement. Never: a refusal.

use super::{SessionEffect, build::Input, utility};
use std::collections::HashSet;

/// Notes what these words and the bodies of functions among them may leave behind.
pub(super) fn note(input: &Input<'_>, words: Vec<String>, effect: &mut SessionEffect) {
    let mut open = words;
    let mut seen = HashSet::new();
    while let Some(word) = open.pop() {
        if !seen.insert(word.clone()) {
            continue;
        }
        match word.as_str() {
            "temp" | "temporary" | "pg_temp" => suspect(effect, "temporary table"),
            "create" | "into" if input.makes_temporary => {
                effect.alters |= word == "create";
                suspect(effect, "temporary table");
            }
            "set_config" => effect.adopts = true,
            "alter" | "create" | "drop" | "execute" => effect.alters = true,
            name if name.starts_with("pg_advisory_lock") || name.starts_with("pg_try_advisory_lock") => {
                suspect(effect, "advisory lock");
            }
            name => {
                let bodies = input.schema.bodies.iter().filter(|(full, _)| *full.1 == *name);
                open.extend(bodies.flat_map(|(_, body)| utility::words(body)));
            }
        }
    }
}

/// The session is pinned until the server has said that nothing is left.
fn suspect(effect: &mut SessionEffect, reason: &'static str) {
    effect.pin.get_or_insert(reason);
    effect.frees = true;
}

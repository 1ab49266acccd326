//! Utility: statements that are not read as a whole, judged by the words in them.

use super::{
    Plan, PlanKind,
    build::Input,
    names,
    refuse::{plan, refusal},
};
use crate::error::catalogue;

/// Plans a statement that was not understood: by the tables its words name, never by a guess at its meaning.
pub(crate) fn not_understood(input: &Input<'_>, why: &str) -> Plan {
    let words = words(input.text);
    let mentioned = words.iter().map(|word| names::mentions(input, word));
    let (sharded, reference) = mentioned.fold((false, false), |all, one| (all.0 || one.0, all.1 || one.1));
    if sharded || (reference && !surely_reads(&words)) {
        let hint = "Write the statement in a simpler form, or reach the tables one by one.";
        return plan(PlanKind::Judge(refusal(catalogue::NOT_UNDERSTOOD, why, hint)), false);
    }
    plan(PlanKind::Local, false)
}

fn surely_reads(words: &[String]) -> bool {
    const WRITES: &[&str] = &["insert", "update", "delete", "merge", "into", "analyze", "truncate", "call", "do"];
    matches!(words.first().map(String::as_str), Some("select" | "table" | "values" | "show" | "explain" | "with"))
        && !words.iter().any(|word| WRITES.contains(&word.as_str()))
}

/// Every run of identifier characters and every quoted identifier, as PostgreSQL folds them, literals and comments
/// included: a superset of the words of the statement, so that nothing named is missed.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut quoted: Vec<&str> = text.split('"').skip(1).collect();
    quoted.pop();
    words.extend(quoted.into_iter().map(str::to_owned));
    words
}

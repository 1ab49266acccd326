//! Setting: `SELECT set_config(…)` as the SET that it is. In: tokens. Out: the calls with where their arguments come
//! from. Never: guesses; a statement that may call it otherwise has none.

use super::{SetCall, Source, build::Input, utility};
use crate::sql::{
    parse::{Lexeme, Tokens},
    rewrite::{self, Range},
};

/// Words with which a select list is not all there is.
const CLAUSES: &[&str] = &[
    "case",
    "distinct",
    "except",
    "fetch",
    "for",
    "from",
    "group",
    "having",
    "intersect",
    "into",
    "limit",
    "offset",
    "order",
    "select",
    "union",
    "where",
    "window",
    "with",
];

/// Calls of `set_config` that make up items of a select list; None: it is called in another way.
pub(super) fn calls(input: &Input<'_>, tokens: &Tokens, first: usize) -> Option<Vec<SetCall>> {
    let lexemes = &tokens.lexemes;
    let end = utility::end(lexemes);
    if !lexemes.get(first)?.is("select") || lexemes.get(first + 1..end)?.iter().any(is_clause) {
        return None;
    }
    let named = lexemes.iter().filter(|lexeme| lexeme.identifier() == Some("set_config")).count();
    let items = rewrite::split(lexemes, Range { first: first + 1, last: end });
    let calls: Vec<SetCall> = items.into_iter().filter_map(|item| call(input, lexemes, item)).collect();
    (calls.len() == named).then_some(calls)
}

fn is_clause(lexeme: &Lexeme) -> bool {
    CLAUSES.iter().any(|word| lexeme.is(word))
}

/// `[pg_catalog.] set_config(name, value, is_local) [[AS] alias]`
fn call(input: &Input<'_>, lexemes: &[Lexeme], item: Range) -> Option<SetCall> {
    let mut at = item.first;
    if lexemes.get(at)?.identifier() == Some("pg_catalog") && lexemes.get(at + 1)?.is_symbol(".") {
        at += 2;
    }
    let called = lexemes.get(at)?.identifier() == Some("set_config") && lexemes.get(at + 1)?.is_symbol("(");
    let close = (at..item.last).find(|at| lexemes[*at].is_symbol(")")).filter(|_| called)?;
    match lexemes.get(close + 1..item.last)? {
        [] => {}
        [alias] if alias.identifier().is_some() => {}
        [word, alias] if word.is("as") && alias.identifier().is_some() => {}
        _ => return None,
    }
    let arguments = rewrite::split(lexemes, Range { first: at + 2, last: close });
    let [name, value, local] = arguments.as_slice() else { return None };
    let is = |range: &Range, word: &str| range.last == range.first + 1 && lexemes[range.first].is(word);
    Some(SetCall {
        name: utility::argument(input, lexemes, *name)?,
        value: if is(value, "null") { None } else { Some(utility::argument(input, lexemes, *value)?) },
        local: match () {
            () if is(local, "true") => Ok(true),
            () if is(local, "false") => Ok(false),
            () => Err(utility::argument(input, lexemes, *local)?),
        },
    })
}

/// What a text says as a boolean, as PostgreSQL reads it; parameters in binary format are one byte.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "\u{1}" | "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "\0" | "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// The source of a call's flag, or the flag itself.
pub type Flag = Result<bool, Source>;

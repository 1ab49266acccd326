//! SET, RESET and SHOW. In: what follows the first word. Out: the verb. Never: knows which settings exist.

use super::{Modes, SetScope, SetValue, Verb, Which, modes};
use crate::sql::words::{Token, Words, fold, is_reserved};

/// Reads what follows SET.
pub(super) fn set(words: &mut Words<'_>) -> Option<Verb> {
    if words.word("constraints") {
        return set_constraints(words);
    }
    if words.words(&["session", "characteristics", "as", "transaction"]) {
        let Modes { isolation, read_only, deferrable } = some_modes(words)?;
        return Some(Verb::SetSessionCharacteristics { isolation, read_only, deferrable });
    }
    let scope = if words.word("local") {
        SetScope::Local
    } else {
        let mut ahead = words.clone();
        if ahead.word("session") && !ahead.is_word("authorization") && !is_assignment(&ahead) {
            *words = ahead;
        }
        SetScope::Session
    };
    if words.word("transaction") {
        return set_transaction(words);
    }
    let (name, value) = set_special(words).unwrap_or_else(|| set_plain(words))?;
    Some(Verb::Set { scope, name, value })
}

/// Whether `=`, TO, FROM or a dot is ahead: the word before is a setting's name.
fn is_assignment(words: &Words<'_>) -> bool {
    words.is_word("to") || words.is_word("from") || matches!(words.peek(), Token::Symbol('=' | '.'))
}

fn some_modes(words: &mut Words<'_>) -> Option<Modes> {
    if words.is_finished() { None } else { modes(words) }
}

fn set_transaction(words: &mut Words<'_>) -> Option<Verb> {
    if words.word("snapshot") {
        let snapshot = Some(words.string()?);
        return Some(Verb::SetTransaction { isolation: None, read_only: None, deferrable: None, snapshot });
    }
    let Modes { isolation, read_only, deferrable } = some_modes(words)?;
    Some(Verb::SetTransaction { isolation, read_only, deferrable, snapshot: None })
}

fn set_constraints(words: &mut Words<'_>) -> Option<Verb> {
    if !words.word("all") {
        qualified_name(words)?;
        while words.symbol(',') {
            qualified_name(words)?;
        }
    }
    words.one_of(&["deferred", "immediate"]).map(|_| Verb::SetConstraints)
}

fn qualified_name(words: &mut Words<'_>) -> Option<()> {
    words.name()?;
    while words.symbol('.') {
        words.name()?;
    }
    Some(())
}

/// The forms of SET that have a grammar of their own; the outer None: it is none of them.
fn set_special(words: &mut Words<'_>) -> Option<Option<(String, SetValue)>> {
    let one = |value: Option<String>| value.map(|value| SetValue::Values(vec![value]));
    let mut ahead = words.clone();
    let word = ahead.one_of(&["time", "names", "schema", "role", "session", "xml"])?;
    if is_assignment(&ahead) {
        return None;
    }
    *words = ahead;
    let (name, value) = match word {
        0 if words.word("zone") => ("timezone", time_zone(words)),
        1 if words.is_finished() || words.word("default") => ("client_encoding", Some(SetValue::Default)),
        1 => ("client_encoding", one(words.string())),
        2 => ("search_path", one(words.string())),
        3 => ("role", one(words.string().or_else(|| nonreserved(words)))),
        4 if words.word("authorization") => ("session_authorization", session_authorization(words)),
        5 if words.word("option") => {
            let value = words.one_of(&["document", "content"]);
            ("xmloption", one(value.map(|value| if value == 0 { "document" } else { "content" }.to_owned())))
        }
        _ => return Some(None),
    };
    Some(value.map(|value| (name.to_owned(), value)))
}

fn session_authorization(words: &mut Words<'_>) -> Option<SetValue> {
    if words.word("default") {
        return Some(SetValue::Default);
    }
    words.string().or_else(|| nonreserved(words)).map(|role| SetValue::Values(vec![role]))
}

fn time_zone(words: &mut Words<'_>) -> Option<SetValue> {
    if words.one_of(&["default", "local"]).is_some() {
        return Some(SetValue::Default);
    }
    if words.word("interval") {
        let interval = words.string()?;
        if words.word("hour") && words.word("to") && !words.word("minute") {
            return None;
        }
        return Some(SetValue::Values(vec![format!("INTERVAL '{}'", interval.replace('\'', "''"))]));
    }
    let zone = words.string().or_else(|| words.number()).or_else(|| words.name())?;
    Some(SetValue::Values(vec![zone]))
}

fn set_plain(words: &mut Words<'_>) -> Option<(String, SetValue)> {
    let name = setting_name(words)?;
    if words.words(&["from", "current"]) {
        return Some((name, SetValue::FromCurrent));
    }
    if !words.symbol('=') && !words.word("to") {
        return None;
    }
    if words.word("default") {
        return Some((name, SetValue::Default));
    }
    let mut values = vec![set_value(words)?];
    while words.symbol(',') {
        values.push(set_value(words)?);
    }
    Some((name, SetValue::Values(values)))
}

/// One value of a list: a string, a number, TRUE, FALSE, ON, or a word that is not reserved.
fn set_value(words: &mut Words<'_>) -> Option<String> {
    const BOOLEANS: [&str; 3] = ["true", "false", "on"];
    if let Some(word) = words.one_of(&BOOLEANS) {
        return BOOLEANS.get(word).map(|word| (*word).to_owned());
    }
    words.string().or_else(|| words.number()).or_else(|| nonreserved(words))
}

/// A word where a string could stand too: names of types and functions are allowed.
fn nonreserved(words: &mut Words<'_>) -> Option<String> {
    const ALLOWED: &[&str] = &[
        "authorization",
        "binary",
        "collation",
        "concurrently",
        "cross",
        "current_schema",
        "freeze",
        "full",
        "ilike",
        "inner",
        "is",
        "isnull",
        "join",
        "left",
        "like",
        "natural",
        "notnull",
        "outer",
        "overlaps",
        "right",
        "similar",
        "tablesample",
        "verbose",
    ];
    let word = match words.peek() {
        Token::Word(word) => fold(word),
        Token::Quoted(name) => name.clone(),
        _ => return None,
    };
    let quoted = matches!(words.peek(), Token::Quoted(_));
    if !quoted && is_reserved(&word) && !ALLOWED.contains(&word.as_str()) {
        return None;
    }
    words.advance();
    Some(word)
}

/// A setting's name with its dots, lower-cased (settings are known by name whatever the case, quoted or not).
fn setting_name(words: &mut Words<'_>) -> Option<String> {
    let mut name = words.name()?;
    while words.symbol('.') {
        name.push('.');
        name.push_str(&words.name()?);
    }
    Some(name.to_ascii_lowercase())
}

/// What RESET and SHOW name.
pub(super) fn setting(words: &mut Words<'_>) -> Option<Which> {
    for (form, name) in [
        (["time", "zone"].as_slice(), "timezone"),
        (&["transaction", "isolation", "level"], "transaction_isolation"),
        (&["session", "authorization"], "session_authorization"),
    ] {
        if words.words(form) {
            return Some(Which::Name(name.to_owned()));
        }
    }
    if words.word("all") { Some(Which::All) } else { setting_name(words).map(Which::Name) }
}

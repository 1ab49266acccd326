//! Bind: where the values of a recipe come from in one execution: literals of the text, parameters of a Bind.

use crate::{
    plan::{KeySource, Source},
    sql::fingerprint::{Lexed, SlotKind, literal_text},
};
use pgring_config::key::{KeyError, KeyFamily, KeyType, KeyValue};
use pgring_protocol::message::extended::BindParameters;

/// The values of one execution.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The statement's text.
    pub text: &'a [u8],
    /// Its literals.
    pub lexed: &'a Lexed,
    /// Its parameters.
    pub parameters: Parameters<'a>,
    /// Text is UTF-8 as the client means it (`client_encoding`).
    pub utf8: bool,
}

/// The parameters of one execution.
#[derive(Clone, Copy, Debug)]
pub enum Parameters<'a> {
    /// None (simple protocol).
    None,
    /// Of a Bind, with the types that its Parse declared.
    Bound(&'a BindParameters<'a>, &'a [u32]),
    /// Of an EXECUTE: text of each argument that is a plain literal.
    Arguments(&'a [Argument]),
}

/// An argument of EXECUTE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// NULL
    Null,
    /// A number's digits, with its sign.
    Number(String),
    /// A string's content.
    Text(String),
    /// Something that only a server can evaluate.
    Expression,
}

/// What became of a key's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A key.
    Key(KeyValue),
    /// NULL.
    Null,
    /// No key of this type is equal to it, or it is no value of the type: any server says so.
    NoKey,
    /// It cannot be said with certainty.
    Uncertain,
}

fn bound(result: Result<KeyValue, KeyError>) -> Bound {
    match result {
        Ok(key) => Bound::Key(key),
        Err(KeyError::Uncertain) => Bound::Uncertain,
        Err(_) => Bound::NoKey,
    }
}

impl Values<'_> {
    /// The value of a key's source.
    pub fn key(&self, source: &KeySource) -> Bound {
        match &source.source {
            Source::Key(key) => Bound::Key(key.clone()),
            Source::Slot { slot, negative } => self.literal(*slot, *negative, source.key_type),
            Source::Parameter(number) => self.parameter(*number, source.key_type),
        }
    }

    /// A literal's own text.
    pub fn slot_text(&self, slot: u32) -> Option<(SlotKind, std::borrow::Cow<'_, str>)> {
        let slot = self.lexed.slots.get(slot as usize)?;
        let raw = self.text.get(slot.start as usize..slot.end as usize)?;
        Some((slot.kind, literal_text(slot.kind, raw)?))
    }

    fn literal(&self, slot: u32, negative: bool, key_type: KeyType) -> Bound {
        let Some((kind, text)) = self.slot_text(slot) else { return Bound::Uncertain };
        match kind {
            SlotKind::Integer => {
                bound(key_type.from_integer_literal(&if negative { format!("-{text}") } else { text.into_owned() }))
            }
            SlotKind::String | SlotKind::EscapeString | SlotKind::DollarString if !negative => {
                bound(key_type.parse_text(&text))
            }
            _ => Bound::Uncertain,
        }
    }

    fn parameter(&self, number: u16, key_type: KeyType) -> Bound {
        let at = usize::from(number).wrapping_sub(1);
        match self.parameters {
            Parameters::None => Bound::Uncertain,
            Parameters::Arguments(arguments) => match arguments.get(at) {
                Some(Argument::Null) => Bound::Null,
                Some(Argument::Number(text)) => bound(key_type.from_integer_literal(text)),
                Some(Argument::Text(text)) => bound(key_type.parse_text(text)),
                _ => Bound::Uncertain,
            },
            Parameters::Bound(parameters, types) => {
                let declared = types.get(at).copied().unwrap_or(0);
                let Some(parameter) = parameters.get(at) else { return Bound::NoKey };
                let Some(value) = parameter.value else { return Bound::Null };
                if !self.utf8 && !value.is_ascii() && key_type.family() == KeyFamily::Text {
                    return Bound::Uncertain;
                }
                if parameter.format == 1 {
                    return bound(key_type.from_binary(value, declared));
                }
                if declared != 0
                    && KeyType::from_oid(declared).map(KeyType::family) != Some(key_type.family())
                    && declared != 705
                {
                    return Bound::Uncertain;
                }
                match std::str::from_utf8(value) {
                    Ok(text) => bound(key_type.parse_text(text)),
                    Err(_) => Bound::NoKey,
                }
            }
        }
    }

    /// A whole number, such as a LIMIT: None if it cannot be said, Some(None) for NULL.
    pub fn number(&self, source: &Source) -> Option<Option<i64>> {
        if let (Source::Parameter(number), Parameters::Bound(parameters, _)) = (source, self.parameters) {
            let parameter = parameters.get(usize::from(*number).checked_sub(1)?)?;
            let Some(value) = parameter.value else { return Some(None) };
            if parameter.format == 1 {
                return match *value {
                    [a, b, c, d, e, f, g, h] => Some(Some(i64::from_be_bytes([a, b, c, d, e, f, g, h]))),
                    [a, b, c, d] => Some(Some(i64::from(i32::from_be_bytes([a, b, c, d])))),
                    [a, b] => Some(Some(i64::from(i16::from_be_bytes([a, b])))),
                    _ => None,
                };
            }
        }
        match self.text_of(source)? {
            None => Some(None),
            Some(text) => text.trim().parse().ok().map(Some),
        }
    }

    /// The text of a value: None if it cannot be said, Some(None) for NULL. Integers may be in binary format.
    pub fn text_of(&self, source: &Source) -> Option<Option<String>> {
        match source {
            Source::Key(KeyValue::Integer(number)) => Some(Some(number.to_string())),
            Source::Key(KeyValue::Text(text)) => Some(Some(text.to_string())),
            Source::Key(KeyValue::Uuid(_)) => None,
            Source::Slot { slot, negative } => {
                let (_, text) = self.slot_text(*slot)?;
                Some(Some(if *negative { format!("-{text}") } else { text.into_owned() }))
            }
            Source::Parameter(number) => {
                let at = usize::from(*number).checked_sub(1)?;
                match self.parameters {
                    Parameters::None => None,
                    Parameters::Arguments(arguments) => match arguments.get(at)? {
                        Argument::Null => Some(None),
                        Argument::Number(text) | Argument::Text(text) => Some(Some(text.clone())),
                        Argument::Expression => None,
                    },
                    Parameters::Bound(parameters, types) => {
                        let parameter = parameters.get(at)?;
                        let Some(value) = parameter.value else { return Some(None) };
                        let declared = types.get(at).copied().unwrap_or(0);
                        if parameter.format == 1 && matches!(declared, 20 | 21 | 23) {
                            let KeyValue::Integer(number) = KeyType::Int8.from_binary(value, declared).ok()? else {
                                return None;
                            };
                            return Some(Some(number.to_string()));
                        }
                        String::from_utf8(value.to_vec()).ok().map(Some)
                    }
                }
            }
        }
    }

    /// The keys of `= ANY(array)`; None: they cannot be said with certainty.
    pub fn array(&self, source: &KeySource) -> Option<Vec<KeyValue>> {
        let text = match (&source.source, self.parameters) {
            (Source::Slot { slot, negative: false }, _) => self.slot_text(*slot)?.1.into_owned(),
            (Source::Parameter(number), Parameters::Bound(parameters, types)) => {
                let at = usize::from(*number).checked_sub(1)?;
                let parameter = parameters.get(at)?;
                let Some(value) = parameter.value else { return Some(vec![]) };
                if !self.utf8 && source.key_type.family() == KeyFamily::Text {
                    return None;
                }
                if parameter.format == 1 {
                    return binary_array(value, source.key_type);
                }
                let declared = types.get(at).copied().unwrap_or(0);
                if !matches!(declared, 0 | 1005 | 1007 | 1016 | 1009 | 1015 | 2951) {
                    return None;
                }
                std::str::from_utf8(value).ok()?.to_owned()
            }
            _ => return None,
        };
        text_array(&text)?.into_iter().flatten().map(|item| source.key_type.parse_text(&item).ok()).collect()
    }
}

/// Items of a one-dimensional array in text format; None for anything else.
fn text_array(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    let mut chars = inner.chars().peekable();
    if inner.trim().is_empty() {
        return Some(items);
    }
    loop {
        while chars.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            chars.next();
        }
        let mut item = String::new();
        if chars.peek() == Some(&'"') {
            chars.next();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => item.push(chars.next()?),
                    c => item.push(c),
                }
            }
            items.push(Some(item));
            while chars.peek().is_some_and(|c| c.is_ascii_whitespace()) {
                chars.next();
            }
        } else {
            while let Some(&c) = chars.peek() {
                match c {
                    ',' => break,
                    '{' | '}' | '"' => return None,
                    '\\' => {
                        chars.next();
                        item.push(chars.next()?);
                    }
                    c => {
                        item.push(c);
                        chars.next();
                    }
                }
            }
            let item = item.trim_end();
            items.push(if item.eq_ignore_ascii_case("null") { None } else { Some(item.to_owned()) });
        }
        match chars.next() {
            Some(',') => {}
            None => return Some(items),
            Some(_) => return None,
        }
    }
}

fn binary_array(mut bytes: &[u8], key_type: KeyType) -> Option<Vec<KeyValue>> {
    let mut int = || {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        bytes = rest;
        Some(i32::from_be_bytes(*head))
    };
    let dimensions = int()?;
    let _has_null = int()?;
    let element = int()? as u32;
    if dimensions == 0 {
        return Some(vec![]);
    }
    let length = int()?;
    let _lower = int()?;
    if dimensions != 1 {
        return None;
    }
    let mut keys = Vec::new();
    for _ in 0..length {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        bytes = rest;
        let Ok(size) = usize::try_from(i32::from_be_bytes(*head)) else { continue };
        let (value, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        keys.push(key_type.from_binary(value, element).ok()?);
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_in_text_format() {
        let some = |items: &[&str]| Some(items.iter().map(|i| Some((*i).to_owned())).collect::<Vec<_>>());
        assert_eq!(text_array("{}"), some(&[]));
        assert_eq!(text_array("{1,2, 3}"), some(&["1", "2", "3"]));
        assert_eq!(text_array(r#"{"a,b",c\"d}"#), some(&["a,b", "c\"d"]));
        assert_eq!(text_array("{NULL,1}"), Some(vec![None, Some("1".into())]));
        assert_eq!(text_array("{{1},{2}}"), None);
        assert_eq!(text_array("1,2"), None);
    }

    #[test]
    fn arrays_in_binary_format() {
        let mut bytes = Vec::new();
        for word in [1i32, 0, 20, 2, 1] {
            bytes.extend(word.to_be_bytes());
        }
        for key in [7i64, -1] {
            bytes.extend(8i32.to_be_bytes());
            bytes.extend(key.to_be_bytes());
        }
        assert_eq!(binary_array(&bytes, KeyType::Int8), Some(vec![KeyValue::Integer(7), KeyValue::Integer(-1)]));
        assert_eq!(binary_array(&bytes[..20], KeyType::Int8), None);
    }
}

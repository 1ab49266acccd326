//! Literals' values. In: a literal as written. Out: its value. Never: a type's own reading (dates, uuids).

use super::{SlotKind, scan::dollar_tag_end};
use std::borrow::Cow;

/// The value of a literal: a string without quotes and escapes, an integer in decimal digits, any other number as it
/// is written, the digits of a bit string. None for comments and for what is not one plain literal of this kind.
pub fn literal_text(kind: SlotKind, raw: &[u8]) -> Option<Cow<'_, str>> {
    let raw = std::str::from_utf8(raw).ok()?;
    match kind {
        SlotKind::Integer => integer_text(raw),
        SlotKind::Decimal => Some(Cow::Borrowed(raw)),
        SlotKind::String => undoubled(raw.strip_prefix('\'')?.strip_suffix('\'')?),
        SlotKind::EscapeString => {
            let inner = raw.strip_prefix(['E', 'e'])?.strip_prefix('\'')?.strip_suffix('\'')?;
            unescaped(inner)
        }
        SlotKind::DollarString => {
            let open = dollar_tag_end(raw.as_bytes(), 0)?;
            raw.get(open..)?.strip_suffix(raw.get(..open)?).map(Cow::Borrowed)
        }
        SlotKind::BitString => {
            let inner = raw.get(1..)?.strip_prefix('\'')?.strip_suffix('\'')?;
            (!inner.contains('\'')).then_some(Cow::Borrowed(inner))
        }
        SlotKind::Comment => None,
    }
}

fn integer_text(raw: &str) -> Option<Cow<'_, str>> {
    if raw.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Cow::Borrowed(raw));
    }
    let well_spaced = |digits: &str| !digits.ends_with('_') && !digits.contains("__");
    let (radix, digits) = match raw.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, raw.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, raw.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, raw.get(2..)?),
        _ => (10, raw),
    };
    if !well_spaced(digits) {
        return None;
    }
    u128::from_str_radix(&digits.replace('_', ""), radix).ok().map(|value| Cow::Owned(value.to_string()))
}

/// The inside of a plain string: `''` stands for `'`, a single one cannot occur.
fn undoubled(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains('\'') {
        return Some(Cow::Borrowed(inner));
    }
    let value = inner.replace("''", "\0");
    (!value.contains('\'') && !inner.contains('\0')).then(|| Cow::Owned(value.replace('\0', "'")))
}

/// The inside of an `E''` string.
fn unescaped(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains(['\\', '\'']) {
        return Some(Cow::Borrowed(inner));
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'\'', [b'\'', after @ ..]) => {
                value.push(b'\'');
                after
            }
            (b'\'', _) => return None,
            (b'\\', _) => escape(after, &mut value)?,
            _ => {
                value.push(*byte);
                after
            }
        };
    }
    (!value.contains(&0)).then(|| String::from_utf8(value).ok().map(Cow::Owned))?
}

/// Appends what the escape after a backslash stands for; returns what follows it.
fn escape<'a>(text: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&first, after) = text.split_first()?;
    let plain = match first {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0'..=b'7' => return coded(text, 8, 1, 3, value),
        b'x' if after.first().is_some_and(u8::is_ascii_hexdigit) => return coded(after, 16, 1, 2, value),
        b'u' => return unicode(after, 4, value),
        b'U' => return unicode(after, 8, value),
        other => other,
    };
    value.push(plain);
    Some(after)
}

/// Takes `least..=most` digits in `radix`; returns their number and what follows.
fn digits_in(text: &[u8], radix: u32, least: usize, most: usize) -> Option<(u32, &[u8])> {
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let count = text.iter().take(most).take_while(is_digit).count();
    let digits = std::str::from_utf8(text.get(..count)?).ok()?;
    let number = u32::from_str_radix(digits, radix).ok()?;
    (count >= least).then_some((number, text.get(count..)?))
}

fn coded<'a>(text: &'a [u8], radix: u32, least: usize, most: usize, value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (number, after) = digits_in(text, radix, least, most)?;
    value.push(u8::try_from(number & 0xff).ok()?);
    Some(after)
}

/// `\uXXXX` and `\UXXXXXXXX`; surrogates come in pairs.
fn unicode<'a>(text: &'a [u8], width: usize, value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (mut code, mut after) = digits_in(text, 16, width, width)?;
    if (0xd800..0xdc00).contains(&code) {
        let (width, rest) = match after {
            [b'\\', b'u', rest @ ..] => (4, rest),
            [b'\\', b'U', rest @ ..] => (8, rest),
            _ => return None,
        };
        let (low, rest) = digits_in(rest, 16, width, width)?;
        let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        code = 0x1_0000 + ((code - 0xd800) << 10) + low;
        after = rest;
    }
    let character = char::from_u32(code)?;
    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(after)
}

//! Scan: where tokens end, as PostgreSQL's `scan.l` has it. In: text and a place. Out: a place. Never: a value.

use super::SlotKind;

/// What a byte can begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Copied as it is: most operators, brackets, commas.
    Plain,
    Space,
    /// A letter, `_` or a byte of a character outside ASCII.
    Letter,
    Digit,
    Quote,
    DoubleQuote,
    Dollar,
    Dash,
    Slash,
    Dot,
    Semicolon,
    Open,
    Close,
    /// A control byte: could be taken for a placeholder, or is nothing SQL knows.
    Control,
}

/// [`Class`] of each byte.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'$' => Class::Dollar,
            b'-' => Class::Dash,
            b'/' => Class::Slash,
            b'.' => Class::Dot,
            b';' => Class::Semicolon,
            b'(' => Class::Open,
            b')' => Class::Close,
            0..0x20 | 0x7f => Class::Control,
            _ => Class::Plain,
        };
        byte += 1;
    }
    classes
};

/// [`Class`] of a byte.
pub(super) fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// One past the word that begins at `start`.
pub(in crate::sql) fn word_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().position(|&byte| !matches!(class(byte), Class::Letter | Class::Digit | Class::Dollar));
    start + length.unwrap_or(rest.len())
}

pub(super) fn digits_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
}

/// One past the string whose opening quote is at `quote`; None if it does not end.
pub(in crate::sql) fn string_end(text: &[u8], quote: usize, kind: SlotKind) -> Option<usize> {
    match kind {
        SlotKind::EscapeString => escape_string_end(text, quote),
        SlotKind::BitString => {
            let length = text.get(quote + 1..)?.iter().position(|&byte| byte == b'\'')?;
            Some(quote + 1 + length + 1)
        }
        _ => string_end_at(text, quote, b'\''),
    }
}

/// One past the text between quotes, in which a doubled quote stands for one.
pub(in crate::sql) fn string_end_at(text: &[u8], open: usize, quote: u8) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += text.get(at..)?.iter().position(|&byte| byte == quote)? + 1;
        if text.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn escape_string_end(text: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'\\', _) | (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The opening quote of the next part of a string that ended before `end`: blanks or line comments with a newline
/// among them lie between.
pub(super) fn continuation(text: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    let mut newline = false;
    loop {
        match text.get(at)? {
            b'\n' | b'\r' => newline = true,
            b'\'' => return newline.then_some(at),
            b'-' if text.get(at + 1) == Some(&b'-') => {
                at = line_comment_end(text, at);
                continue;
            }
            &byte if class(byte) == Class::Space => {}
            _ => return None,
        }
        at += 1;
    }
}

/// One past the `--` comment at `start`, its newline not included.
pub(in crate::sql) fn line_comment_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|&byte| byte == b'\n' || byte == b'\r').unwrap_or(rest.len())
}

/// One past the `/*` comment at `start`; None if it does not end. Such comments nest.
pub(in crate::sql) fn block_comment_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 2;
    let mut depth = 1_u32;
    while depth > 0 {
        match (text.get(at)?, text.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    Some(at)
}

/// One past the opening `$tag$` at `start`; None if it is none.
pub(in crate::sql) fn dollar_tag_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    if class(*text.get(at)?) == Class::Letter {
        let rest = text.get(at..)?;
        at += rest.iter().position(|&byte| !matches!(class(byte), Class::Letter | Class::Digit))?;
    }
    (text.get(at) == Some(&b'$')).then_some(at + 1)
}

/// One past the dollar-quoted string whose `$tag$` is `start..open`; None if it does not end.
pub(in crate::sql) fn dollar_string_end(text: &[u8], start: usize, open: usize) -> Option<usize> {
    let tag = text.get(start..open)?;
    let mut at = open;
    loop {
        at += text.get(at..)?.iter().position(|&byte| byte == b'$')?;
        if text.get(at..)?.starts_with(tag) {
            return Some(at + tag.len());
        }
        at += 1;
    }
}

/// A number in a text.
pub(in crate::sql) struct Number {
    /// Integer or Decimal.
    pub(in crate::sql) kind: SlotKind,
    /// One past its last byte.
    pub(in crate::sql) end: usize,
    /// Every PostgreSQL version reads it alike.
    pub(super) plain: bool,
}

/// The number at `start`, which is a digit, or a dot before one.
pub(in crate::sql) fn number_at(text: &[u8], start: usize) -> Number {
    let (first, second) = (text.get(start), text.get(start + 1));
    if let (Some(b'0'), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) = (first, second) {
        // 16 and later read an integer here, 15 refuses it, 14 reads `0 AS x2A`.
        return Number { kind: SlotKind::Integer, end: word_end(text, start), plain: false };
    }
    let mut end = digits_end(text, start);
    let mut kind = SlotKind::Integer;
    if text.get(end) == Some(&b'_') {
        return Number { kind, end: word_end(text, end), plain: false };
    }
    if text.get(end) == Some(&b'.') && text.get(end + 1) != Some(&b'.') {
        kind = SlotKind::Decimal;
        end = digits_end(text, end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let digits = digits_end(text, end + 1 + sign);
        if digits > end + 1 + sign {
            kind = SlotKind::Decimal;
            end = digits;
        }
    }
    Number { kind, end, plain: !text.get(end).is_some_and(|&byte| class(byte) == Class::Letter) }
}

//! Text format. In: data. Out: lines, and the field of the key. Never: another field's value.

use super::{Eol, Found, Key, Line, marker, options::Options};
use memchr::{memchr, memchr2, memchr3};
use std::borrow::Cow;

/// Where the scan of a line stands.
#[derive(Clone, Debug)]
pub(super) struct Text {
    delimiter: u8,
    null: Vec<u8>,
    default: Option<Vec<u8>>,
    eol: Eol,
    scanned: usize,
    escaped: bool,
}

impl Text {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            delimiter: options.delimiter,
            null: options.null.clone(),
            default: options.default.clone(),
            eol: Eol::Unknown,
            scanned: 0,
            escaped: false,
        }
    }

    pub(super) fn next_line(&mut self) {
        (self.scanned, self.escaped) = (0, false);
    }

    /// The line at the front of the data.
    pub(super) fn line(&mut self, data: &[u8], at_end: bool) -> Line {
        loop {
            let rest = data.get(self.scanned..).unwrap_or_default();
            let Some(at) = memchr3(b'\n', b'\r', b'\\', rest).map(|at| at + self.scanned) else {
                self.scanned = data.len();
                let is_line = at_end && !data.is_empty();
                return if is_line { Line::Whole { content: data.len(), len: data.len() } } else { Line::More };
            };
            self.scanned = at;
            if data.get(at) != Some(&b'\\') {
                return match self.eol.end(data, at, at_end) {
                    None => Line::More,
                    Some(Ok(end)) => Line::Whole { content: at, len: at + end },
                    Some(Err(())) => Line::Broken,
                };
            }
            match data.get(at + 1) {
                None if !at_end => return Line::More,
                Some(b'.') => return marker(self.eol, data, at, at_end, false).unwrap_or(Line::Broken),
                // Whatever follows a backslash is no end of a line.
                _ => (self.scanned, self.escaped) = (data.len().min(at + 2), true),
            }
        }
    }

    /// The key of a line that was found.
    pub(super) fn key(&self, line: &[u8], key: &Key) -> Found {
        let Some(field) = key.field else { return Found::Null };
        let Some(raw) = self.field(line, field) else { return Found::Doubt };
        if raw == self.null {
            return Found::Null;
        }
        if self.default.as_deref() == Some(raw) {
            return Found::Doubt;
        }
        key.of_text(&unescaped(raw))
    }

    /// A field as it is written.
    fn field<'a>(&self, line: &'a [u8], number: usize) -> Option<&'a [u8]> {
        let mut rest = line;
        for _ in 0..number {
            let end = self.field_end(rest);
            rest = rest.get(end + 1..)?;
        }
        rest.get(..self.field_end(rest))
    }

    fn field_end(&self, rest: &[u8]) -> usize {
        if !self.escaped {
            return memchr(self.delimiter, rest).unwrap_or(rest.len());
        }
        let mut at = 0;
        while let Some(found) = rest.get(at..).and_then(|rest| memchr2(self.delimiter, b'\\', rest)) {
            if rest.get(at + found) == Some(&self.delimiter) {
                return at + found;
            }
            at += found + 2;
        }
        rest.len()
    }
}

/// The value of a field: escapes are replaced by what they stand for.
fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', raw).is_none() {
        return raw.into();
    }
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            value.push(*byte);
            continue;
        }
        let Some((escaped, after)) = rest.split_first() else { break };
        rest = after;
        match escaped {
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(11),
            b'0'..=b'7' => {
                let (code, after) = digits(u32::from(escaped - b'0'), rest, 8, 2);
                value.push(code);
                rest = after;
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                let (code, after) = digits(0, rest, 16, 2);
                value.push(code);
                rest = after;
            }
            other => value.push(*other),
        }
    }
    value.into()
}

/// At most `most` further digits of a code, and what follows them.
fn digits(first: u32, text: &[u8], radix: u32, most: usize) -> (u8, &[u8]) {
    let (mut code, mut rest) = (first, text);
    for _ in 0..most {
        let Some((digit, after)) = rest.split_first() else { break };
        let Some(value) = char::from(*digit).to_digit(radix) else { break };
        (code, rest) = (code * radix + value, after);
    }
    ((code & 0xff) as u8, rest)
}

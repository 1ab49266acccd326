//! CSV format. In: data. Out: lines, and the field of the key. Never: another field's value.

use super::{Breaks, Eol, Found, Key, Line, marker, options::Options};
use memchr::{memchr, memchr2, memchr2_iter, memchr3};

/// Where the scan of a line stands.
#[derive(Clone, Debug)]
pub(super) struct Csv {
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    default: Option<Vec<u8>>,
    /// The key's column is one of FORCE_NULL, of FORCE_NOT_NULL.
    force_null: bool,
    force_not_null: bool,
    has_marker: bool,
    pub(super) eol: Eol,
    scanned: usize,
    /// Within quotes that begin here.
    quoted: Option<usize>,
    /// An escape stands here, and is not escaped itself.
    escape_at: Option<usize>,
    /// There was a quote.
    quotes: bool,
    pub(super) breaks: Breaks,
}

impl Csv {
    pub(super) fn new(options: &Options, has_marker: bool) -> Self {
        Self {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape,
            null: options.null.clone(),
            default: options.default.clone(),
            force_null: options.force_null,
            force_not_null: options.force_not_null,
            has_marker,
            eol: Eol::Unknown,
            scanned: 0,
            quoted: None,
            escape_at: None,
            quotes: false,
            breaks: Breaks::default(),
        }
    }

    pub(super) fn next_line(&mut self) {
        self.scanned = 0;
        (self.quoted, self.escape_at, self.quotes) = (None, None, false);
        self.breaks = Breaks::default();
    }

    /// The line at the front of the data.
    pub(super) fn line(&mut self, data: &[u8], at_end: bool) -> Line {
        if self.has_marker && self.scanned == 0 && data.first() == Some(&b'\\') && self.quote != b'\\' {
            match data.get(1) {
                None if !at_end => return Line::More,
                Some(b'.') => {
                    if let Some(line) = marker(self.eol, data, 0, at_end, true) {
                        return line;
                    }
                }
                _ => {}
            }
        }
        loop {
            let rest = data.get(self.scanned..).unwrap_or_default();
            let found = match self.quoted {
                None => memchr3(self.quote, b'\n', b'\r', rest),
                Some(_) if self.quote == self.escape => memchr(self.quote, rest),
                Some(_) => memchr2(self.quote, self.escape, rest),
            };
            let Some(at) = found.map(|at| at + self.scanned) else {
                self.count_breaks(data, data.len());
                self.scanned = data.len();
                let is_line = at_end && !data.is_empty();
                return if is_line { Line::Whole { content: data.len(), len: data.len() } } else { Line::More };
            };
            self.count_breaks(data, at);
            self.scanned = at;
            let byte = data.get(at).copied().unwrap_or_default();
            if byte == self.quote {
                self.turn(at);
            } else if self.quoted.is_some() {
                let escaped = at > 0 && self.escape_at == Some(at - 1);
                self.escape_at = (!escaped).then_some(at);
            } else {
                return match self.eol.end(data, at, at_end) {
                    None => Line::More,
                    Some(Ok(end)) => Line::Whole { content: at, len: at + end },
                    Some(Err(())) => Line::Broken,
                };
            }
            self.scanned = at + 1;
        }
    }

    /// A quote at `at`.
    fn turn(&mut self, at: usize) {
        self.quotes = true;
        if self.quote != self.escape && at > 0 && self.escape_at == Some(at - 1) {
            return;
        }
        self.quoted = if self.quoted.is_some() { None } else { Some(at) };
    }

    /// Counts line breaks within quotes from where the scan stands to `to`.
    fn count_breaks(&mut self, data: &[u8], to: usize) {
        if self.quoted.is_none() {
            return;
        }
        let part = data.get(self.scanned..to).unwrap_or_default();
        for at in memchr2_iter(b'\n', b'\r', part) {
            let count = if part.get(at) == Some(&b'\n') { &mut self.breaks.feeds } else { &mut self.breaks.returns };
            *count = count.saturating_add(1);
        }
    }

    /// The key of a line that was found.
    pub(super) fn key(&self, line: &[u8], key: &Key) -> Found {
        let Some(field) = key.field else { return Found::Null };
        let mut value = Vec::new();
        let (raw, quoted) = if self.quotes {
            let Some(quoted) = self.quoted_field(line, field, &mut value) else { return Found::Doubt };
            (value.as_slice(), quoted)
        } else {
            let Some(raw) = self.plain_field(line, field) else { return Found::Doubt };
            (raw, false)
        };
        let is_null = if quoted { self.force_null } else { !self.force_not_null };
        if raw == self.null && is_null {
            return Found::Null;
        }
        if !quoted && self.default.as_deref() == Some(raw) {
            return Found::Doubt;
        }
        key.of_text(raw)
    }

    /// A field of a line without quotes.
    fn plain_field<'a>(&self, line: &'a [u8], number: usize) -> Option<&'a [u8]> {
        let mut rest = line;
        for _ in 0..number {
            rest = rest.get(memchr(self.delimiter, rest)? + 1..)?;
        }
        rest.get(..memchr(self.delimiter, rest).unwrap_or(rest.len()))
    }

    /// The value of a field of a line with quotes, and whether it has some itself.
    fn quoted_field(&self, line: &[u8], number: usize, value: &mut Vec<u8>) -> Option<bool> {
        let mut rest = line;
        for _ in 0..number {
            let (after, _) = self.read_field(rest, value)?;
            rest = after?;
        }
        self.read_field(rest, value).map(|(_, quoted)| quoted)
    }

    /// Reads one field: what follows its delimiter, if there is one, and whether it has quotes. None: its quotes are not
    /// closed.
    fn read_field<'a>(&self, field: &'a [u8], value: &mut Vec<u8>) -> Option<(Option<&'a [u8]>, bool)> {
        value.clear();
        let mut quotes = false;
        let mut rest = field;
        loop {
            let Some(at) = memchr2(self.delimiter, self.quote, rest) else {
                value.extend_from_slice(rest);
                return Some((None, quotes));
            };
            value.extend_from_slice(rest.get(..at)?);
            let byte = *rest.get(at)?;
            rest = rest.get(at + 1..)?;
            // PostgreSQL looks for the delimiter first.
            if byte == self.delimiter {
                return Some((Some(rest), quotes));
            }
            quotes = true;
            rest = self.read_quoted(rest, value)?;
        }
    }

    /// Reads on behind a quote; returns what follows the one that ends it.
    fn read_quoted<'a>(&self, text: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
        let mut rest = text;
        loop {
            let at = memchr2(self.quote, self.escape, rest)?;
            value.extend_from_slice(rest.get(..at)?);
            let byte = *rest.get(at)?;
            rest = rest.get(at + 1..)?;
            if byte == self.escape
                && let Some((next, after)) = rest.split_first()
                && (*next == self.escape || *next == self.quote)
            {
                value.push(*next);
                rest = after;
            } else if byte == self.quote {
                return Some(rest);
            } else {
                value.push(byte);
            }
        }
    }
}

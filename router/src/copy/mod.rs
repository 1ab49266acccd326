//! Copy: the data of a COPY FROM, taken apart into records. In: bytes as they come, in any pieces. Out: how long the next
//! record is and which shard key it holds. Never: a decoded value but the key's; what PostgreSQL would not take, or what
//! is not certain, is left to PostgreSQL.
//!
//! The rules are those of `CopyReadLineText`, `CopyReadAttributesText`, `CopyReadAttributesCSV` and of the binary format
//! (PostgreSQL documentation, COPY).

mod binary;
mod csv;
pub mod lines;
pub mod options;
mod text;

use binary::Binary;
use csv::Csv;
use options::{Format, Options};
use pgring_config::key::{KeyFamily, KeyType, KeyValue};
use text::Text;

/// What stands at the front of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Only more data can tell; at the end of the data: nothing more.
    More,
    /// A line of names of so many bytes, which each shard gets.
    Head(usize, Breaks),
    /// So many bytes that each shard gets and that are no line: the head and the trailer of the binary format.
    Lead(usize),
    /// A record.
    Record(Record),
    /// The end marker: nothing from here on counts.
    End,
    /// PostgreSQL does not take what comes next, or only it can say so.
    Broken,
}

/// A record, which the shard that owns its key gets as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its bytes, what ends it included.
    pub len: usize,
    /// Its shard key.
    pub key: Found,
    /// Line breaks within its quotes.
    pub breaks: Breaks,
}

/// What a record has as its shard key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A key.
    Key(KeyValue),
    /// NULL.
    Null,
    /// PostgreSQL raises an error for it, or only it can say what it is.
    Doubt,
}

/// Line breaks within quotes, by their characters: PostgreSQL counts one of the two as lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// LF
    pub feeds: u32,
    /// CR
    pub returns: u32,
}

/// How lines end; the first line decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eol {
    /// No line has ended yet.
    #[default]
    Unknown,
    /// LF
    Feed,
    /// CR
    Return,
    /// CR LF
    Both,
}

impl Eol {
    /// The bytes of the line's end whose first byte is at `at`. None: more data must tell.
    ///
    /// # Errors
    /// If lines before it ended otherwise: then PostgreSQL takes it for a mistake.
    fn end(&mut self, data: &[u8], at: usize, at_end: bool) -> Option<Result<usize, ()>> {
        let next = data.get(at + 1);
        Some(match (data.get(at), *self) {
            (Some(b'\n'), Self::Unknown | Self::Feed) => {
                *self = Self::Feed;
                Ok(1)
            }
            (Some(b'\r'), Self::Return) => Ok(1),
            (Some(b'\r'), Self::Unknown | Self::Both) if next.is_none() && !at_end => return None,
            (Some(b'\r'), Self::Unknown | Self::Both) if next == Some(&b'\n') => {
                *self = Self::Both;
                Ok(2)
            }
            (Some(b'\r'), Self::Unknown) => {
                *self = Self::Return;
                Ok(1)
            }
            _ => Err(()),
        })
    }
}

/// A line of text or CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    More,
    Marker,
    Broken,
    /// Its content, and all of it.
    Whole {
        content: usize,
        len: usize,
    },
}

/// The end marker at `at`, whose two bytes are known. `alone`: elsewhere it is data.
fn marker(eol: Eol, data: &[u8], at: usize, at_end: bool, alone: bool) -> Option<Line> {
    let mut eol = eol;
    match data.get(at + 2) {
        None if !at_end => Some(Line::More),
        Some(b'\r' | b'\n') if at == 0 => Some(match eol.end(data, at + 2, at_end) {
            None => Line::More,
            Some(Ok(_)) => Line::Marker,
            Some(Err(())) => Line::Broken,
        }),
        _ if alone => None,
        _ => Some(Line::Broken),
    }
}

#[derive(Clone, Debug)]
enum Scanner {
    Text(Text),
    Csv(Csv),
    Binary(Binary),
}

/// Takes the data of one COPY apart.
#[derive(Clone, Debug)]
pub struct Splitter {
    scanner: Scanner,
    key: Key,
    /// Lines of names that are still to come.
    heads: u32,
}

/// Where the shard key is.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its field, from 0; None: it is NULL in every record.
    pub field: Option<usize>,
    /// All fields.
    pub fields: usize,
    /// Its type.
    pub key_type: KeyType,
    /// Text is UTF-8.
    pub utf8: bool,
    /// CSV has an end marker (before PostgreSQL 18).
    pub csv_marker: bool,
}

impl Key {
    fn of_text(&self, bytes: &[u8]) -> Found {
        if !self.utf8 && self.key_type.family() == KeyFamily::Text && !bytes.is_ascii() {
            return Found::Doubt;
        }
        let text = std::str::from_utf8(bytes).ok();
        text.and_then(|text| self.key_type.parse_text(text).ok()).map_or(Found::Doubt, Found::Key)
    }
}

impl Splitter {
    /// For data of this form.
    pub fn new(options: &Options, key: Key) -> Self {
        let scanner = match options.format {
            Format::Text => Scanner::Text(Text::new(options)),
            Format::Csv => Scanner::Csv(Csv::new(options, key.csv_marker)),
            Format::Binary => Scanner::Binary(Binary::default()),
        };
        Self { scanner, key, heads: u32::from(options.header) }
    }

    /// What stands at the front of `data`, which the caller takes away as far as it is told to. `at_end`: no more comes.
    pub fn next(&mut self, data: &[u8], at_end: bool) -> Step {
        let (line, breaks) = match &mut self.scanner {
            Scanner::Binary(binary) => return binary.next(data, at_end, &self.key),
            Scanner::Text(text) => (text.line(data, at_end), Breaks::default()),
            Scanner::Csv(csv) => (csv.line(data, at_end), csv.breaks),
        };
        let (content, len) = match line {
            Line::More => return Step::More,
            Line::Marker => return Step::End,
            Line::Broken => return Step::Broken,
            Line::Whole { content, len } => (content, len),
        };
        let content = data.get(..content).unwrap_or_default();
        let is_head = self.heads > 0;
        self.heads = self.heads.saturating_sub(1);
        let key = match &mut self.scanner {
            _ if is_head => Found::Doubt,
            Scanner::Text(text) => text.key(content, &self.key),
            Scanner::Csv(csv) => csv.key(content, &self.key),
            Scanner::Binary(_) => Found::Doubt,
        };
        match &mut self.scanner {
            Scanner::Text(text) => text.next_line(),
            Scanner::Csv(csv) => csv.next_line(),
            Scanner::Binary(_) => {}
        }
        if is_head { Step::Head(len, breaks) } else { Step::Record(Record { len, key, breaks }) }
    }

    /// How lines end; None in the binary format and for text, whose escaped line breaks are not counted as lines.
    pub fn counted_eol(&self) -> Option<Eol> {
        match &self.scanner {
            Scanner::Csv(csv) => Some(csv.eol),
            Scanner::Text(_) | Scanner::Binary(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;

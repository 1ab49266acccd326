//! Splice: the client's text with a plan's changes. In: text, fingerprint, splices. Out: text for the shards.
//! Never: prints a syntax tree.

use crate::{
    merge::{Merge, Output},
    plan::{Piece, Splice},
    sql::fingerprint::Lexed,
};
use pgring_protocol::message::notice::Fields;

/// A run of the client's own bytes in a spliced text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where it begins in the spliced text.
    at: usize,
    /// Where it begins in the client's text.
    from: usize,
    /// Bytes.
    len: usize,
}

/// A run of this many of the client's bytes from `from` on, which stands at `at`.
pub fn origin(at: usize, from: usize, len: usize) -> Origin {
    Origin { at, from, len }
}

/// Parts of the client's text (spans) after `head`, one behind the other with `between`; and where they came from.
pub fn joined(text: &str, head: &str, spans: &[(usize, usize)], between: &str) -> (String, Vec<Origin>) {
    let (mut out, mut origins) = (head.to_owned(), Vec::with_capacity(spans.len()));
    for (nth, (from, to)) in spans.iter().enumerate() {
        out.push_str(if nth == 0 { "" } else { between });
        let part = text.get(*from..*to).unwrap_or_default();
        origins.push(Origin { at: out.len(), from: *from, len: part.len() });
        out.push_str(part);
    }
    (out, origins)
}

/// The text with the splices (in order of their place) applied.
pub fn apply(text: &[u8], lexed: &Lexed, splices: &[Splice]) -> Vec<u8> {
    apply_with_origins(text, lexed, splices).0
}

/// As [`apply`], with the places that the client's own bytes came from.
pub fn apply_with_origins(text: &[u8], lexed: &Lexed, splices: &[Splice]) -> (Vec<u8>, Vec<Origin>) {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut origins = Vec::new();
    let mut own = |out: &mut Vec<u8>, from: usize, to: usize| {
        let bytes = text.get(from..to).unwrap_or(&[]);
        origins.push(Origin { at: out.len(), from, len: bytes.len() });
        out.extend_from_slice(bytes);
    };
    let mut at = 0;
    for splice in splices {
        own(&mut out, at, lexed.text_at(splice.start));
        for piece in &splice.with {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                // Filled in before the statement is planned.
                Piece::Time => out.extend_from_slice(b"pg_catalog.now()"),
                Piece::Span(from, to) => own(&mut out, lexed.text_at(*from), lexed.text_at(*to)),
            }
        }
        at = lexed.text_at(splice.end);
    }
    own(&mut out, at, text.len());
    (out, origins)
}

/// Origins in a text with so many bytes of the client's before it, on both sides.
pub fn behind(bytes: usize, origins: &[Origin]) -> Vec<Origin> {
    let moved = origins.iter().map(|run| Origin { at: run.at + bytes, from: run.from + bytes, len: run.len });
    std::iter::once(Origin { at: 0, from: 0, len: bytes }).chain(moved).collect()
}

/// A text that servers got instead of the client's.
#[derive(Clone, Debug)]
pub struct Respelled {
    /// The client's.
    pub client: Vec<u8>,
    /// What the servers got.
    pub sent: Vec<u8>,
    /// Where its parts came from.
    pub origins: Vec<Origin>,
}

impl Respelled {
    /// Corrects an error's position.
    pub fn correct(&self, fields: &mut Fields) {
        Positions { client: &self.client, sent: &self.sent, origins: &self.origins }.correct(fields);
    }
}

/// Brings positions in errors about a spliced text back to the client's text.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// The client's text.
    pub client: &'a [u8],
    /// What the servers got.
    pub sent: &'a [u8],
    /// Where its parts came from.
    pub origins: &'a [Origin],
}

impl Positions<'_> {
    /// Corrects an error's position, or takes it away where the client's text has no such place.
    pub fn correct(&self, fields: &mut Fields) {
        let Some(position) = fields.get(b'P').and_then(|position| position.parse::<usize>().ok()) else { return };
        match self.of(position) {
            Some(position) => fields.set(b'P', position.to_string()),
            None => fields.remove(b'P'),
        };
    }

    /// The place (in characters from 1) in the client's text of a place in what was sent.
    fn of(&self, position: usize) -> Option<usize> {
        let sent = std::str::from_utf8(self.sent).ok()?;
        let byte = sent.char_indices().nth(position.checked_sub(1)?)?.0;
        // Where the client's text stands twice, the last is the one it wrote there.
        let origin = self.origins.iter().rev().find(|run| (run.at..run.at + run.len).contains(&byte))?;
        let before = self.client.get(..origin.from + (byte - origin.at))?;
        Some(std::str::from_utf8(before).ok()?.chars().count() + 1)
    }
}

/// The body of a Bind after the statement's name, with the result formats that the shards' columns need so that the
/// answer has the formats its client asked for.
pub fn result_formats(rest: &[u8], asked: &[i16], merge: &Merge) -> Vec<u8> {
    let formats = match asked {
        [] | [_] => asked.to_vec(),
        several => {
            let mut formats = vec![0i16; merge.input_columns()];
            for (output, format) in merge.output.iter().zip(several) {
                let (first, width) = match output {
                    Output::Column(column) => (*column, 1),
                    Output::Aggregate { function: crate::merge::Aggregate::Avg, input, .. } => (*input, 2),
                    Output::Aggregate { input, .. } => (*input, 1),
                };
                formats.iter_mut().skip(first).take(width).for_each(|place| *place = *format);
            }
            formats
        }
    };
    with_formats(rest, asked, &formats)
}

/// The body of a Bind after the statement's name, with these formats for the result instead of those it asks for.
pub fn with_formats(rest: &[u8], asked: &[i16], formats: &[i16]) -> Vec<u8> {
    let keep = rest.len().saturating_sub(2 + 2 * asked.len());
    let mut out = rest.get(..keep).unwrap_or(rest).to_vec();
    out.extend_from_slice(&(formats.len() as u16).to_be_bytes());
    formats.iter().for_each(|format| out.extend_from_slice(&format.to_be_bytes()));
    out
}

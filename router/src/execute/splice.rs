//! Splice: the client's text with a plan's changes. In: text, fingerprint, splices. Out: text for the shards.
//! Never: prints a syntax tree.

use crate::{
    merge::{Merge, Output},
    plan::{Piece, Splice},
    sql::fingerprint::Lexed,
};

/// The text with the splices (in order of their place) applied.
pub fn apply(text: &[u8], lexed: &Lexed, splices: &[Splice]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut at = 0;
    let span = |from: u32, to: u32| text.get(lexed.text_at(from)..lexed.text_at(to)).unwrap_or(&[]);
    for splice in splices {
        let start = lexed.text_at(splice.start);
        out.extend_from_slice(text.get(at..start).unwrap_or(&[]));
        for piece in &splice.with {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Span(from, to) => out.extend_from_slice(span(*from, *to)),
            }
        }
        at = lexed.text_at(splice.end);
    }
    out.extend_from_slice(text.get(at..).unwrap_or(&[]));
    out
}

/// The body of a Bind after the statement's name, with the result formats that the shards' columns need so that the
/// answer has the formats its client asked for.
pub fn result_formats(rest: &[u8], asked: &[i16], merge: &Merge) -> Vec<u8> {
    let keep = rest.len().saturating_sub(2 + 2 * asked.len());
    let mut out = rest.get(..keep).unwrap_or(rest).to_vec();
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
    out.extend_from_slice(&(formats.len() as u16).to_be_bytes());
    for format in formats {
        out.extend_from_slice(&format.to_be_bytes());
    }
    out
}

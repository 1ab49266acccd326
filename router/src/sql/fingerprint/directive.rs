//! Directives: settings in comments before a statement. In: text. Out: names and values. Never: knows which exist.

use super::scan::{Class, block_comment_end, class, line_comment_end};

/// The settings that comments `/* pgring: name=value, … */` before the first statement of `text` ask for, in order;
/// names are lower-cased and without `pgring.`.
pub fn directives(text: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at = match (byte, text.get(at + 1)) {
            (b'/', Some(b'*')) => match block_comment_end(text, at) {
                Some(end) => {
                    directives_of(text.get(at + 2..end - 2).unwrap_or_default(), &mut found);
                    end
                }
                None => break,
            },
            (b'-', Some(b'-')) => line_comment_end(text, at),
            (b';', _) => at + 1,
            _ if class(byte) == Class::Space => at + 1,
            _ => break,
        };
    }
    found
}

/// Reads the inside of one comment.
fn directives_of(comment: &[u8], found: &mut Vec<(String, String)>) {
    let Ok(comment) = std::str::from_utf8(comment) else { return };
    let comment = comment.trim();
    let Some(list) = comment.get(..7).filter(|word| word.eq_ignore_ascii_case("pgring:")).and(comment.get(7..)) else {
        return;
    };
    for item in list.split(',') {
        let Some((name, value)) = item.split_once('=') else { continue };
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim();
        let unquoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
        if !name.is_empty() {
            found.push((name.strip_prefix("pgring.").unwrap_or(&name).to_owned(), unquoted.replace("''", "'")));
        }
    }
}

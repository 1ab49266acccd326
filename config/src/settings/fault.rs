//! Faults: what is wrong in a configuration file, and where.
//! In: file, place, key, message. Out: one line for people. Never: holds a secret's value.

use std::fmt;

/// One fault in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key's whole path, as `databases[0].shards[1].weight`; empty where the text is no TOML.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What is allowed, or the nearest known key.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// Line and column, both from 1, of a byte offset in `text`.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// The known word nearest to `word`, if one is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&word, name);
    let near = known.into_iter().map(|name| (distance(name), name)).min_by_key(|(distance, _)| *distance)?;
    (near.0 <= 1 + near.1.len() / 4 && near.0 < near.1.len()).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nü = 2\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 6), (2, 1));
        assert_eq!(place(text, 9), (2, 3));
        assert_eq!(place(text, 999), (3, 1));
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let known = ["size", "min_idle", "queue_timeout"];
        assert_eq!(nearest("siez", known), Some("size"));
        assert_eq!(nearest("queue_timout", known), Some("queue_timeout"));
        assert_eq!(nearest("MIN_IDLE", known), Some("min_idle"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}

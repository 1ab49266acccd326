//! Words: the few helpers that reading SQL by keyword needs. In: text. Out: tokens, names. Never: judges a statement.

/// Longest name in bytes (PostgreSQL's NAMEDATALEN - 1); longer ones are cut.
pub const NAME_LIMIT: usize = 63;

/// Folds an unquoted identifier as PostgreSQL does: ASCII letters to lower case, cut to [`NAME_LIMIT`] bytes.
pub fn fold(word: &str) -> String {
    cut(word).to_ascii_lowercase()
}

/// Cuts a name to [`NAME_LIMIT`] bytes, at a character's boundary.
pub fn cut(name: &str) -> &str {
    if name.len() <= NAME_LIMIT {
        return name;
    }
    let end = (0..=NAME_LIMIT).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    name.get(..end).unwrap_or(name)
}

//! Words: a statement token by token, for what is read by keyword. In: text. Out: tokens, names.
//! Never: judges a statement, allocates for words and numbers.

use super::fingerprint::{
    SlotKind, literal_text,
    scan::{
        block_comment_end, dollar_string_end, dollar_tag_end, line_comment_end, number_at, string_end, string_end_at,
        word_end,
    },
};

/// Longest name in bytes (PostgreSQL's NAMEDATALEN - 1); longer ones are cut.
pub const NAME_LIMIT: usize = 63;

/// Words that no unquoted name of a table, column, cursor or savepoint can be (reserved, or names of types and
/// functions only), in PostgreSQL 15's `kwlist.h`; sorted.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// Whether a folded, unquoted word cannot be a name.
pub fn is_reserved(folded: &str) -> bool {
    RESERVED.binary_search(&folded).is_ok()
}

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

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A word as written: a keyword or an unquoted identifier.
    Word(&'a str),
    /// A quoted identifier, unquoted and cut to [`NAME_LIMIT`]; never empty.
    Quoted(String),
    /// A string, unquoted.
    String(String),
    /// A number without sign, as written.
    Number(&'a str),
    /// Any other single character.
    Symbol(char),
    /// What is not exactly understood (unterminated, `U&''`, `B''`, `$1`); the rest of the text is not looked at.
    Unknown,
    /// The end of the text.
    End,
}

/// Reads a text token by token, blanks and comments left out, with one token of foresight.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a str,
    token: Token<'a>,
    /// The token is `start..end`.
    start: usize,
    end: usize,
    /// One past the token before.
    last_end: usize,
}

impl<'a> Words<'a> {
    /// Stands before the first token of `text`.
    pub fn new(text: &'a str) -> Self {
        let mut words = Self { text, token: Token::End, start: 0, end: 0, last_end: 0 };
        words.advance();
        words.last_end = 0;
        words
    }

    /// The token ahead.
    pub fn peek(&self) -> &Token<'a> {
        &self.token
    }

    /// Where the token ahead begins; at the end the text's length.
    pub fn start(&self) -> usize {
        self.start
    }

    /// One past the token ahead.
    pub fn end(&self) -> usize {
        self.end
    }

    /// One past the last token taken.
    pub fn last_end(&self) -> usize {
        self.last_end
    }

    /// Takes the token ahead.
    pub fn advance(&mut self) -> Token<'a> {
        self.last_end = self.end;
        self.start = skip_blanks(self.text.as_bytes(), self.end);
        let (token, end) = token_at(self.text, self.start);
        self.end = end;
        std::mem::replace(&mut self.token, token)
    }

    /// Takes the token ahead whatever it is, parameters and bit strings too; None if it does not end.
    pub fn advance_any(&mut self) -> Option<Token<'a>> {
        if self.token != Token::Unknown {
            return Some(self.advance());
        }
        self.end = opaque_end(self.text.as_bytes(), self.start)?;
        Some(self.advance())
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Whether this keyword is ahead.
    pub fn is_word(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes this keyword if it is ahead.
    pub fn word(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Takes one of these keywords; its index.
    pub fn one_of(&mut self, keywords: &[&str]) -> Option<usize> {
        let found = keywords.iter().position(|keyword| self.is_word(keyword))?;
        self.advance();
        Some(found)
    }

    /// Takes these keywords if all of them follow; takes none otherwise.
    pub fn words(&mut self, keywords: &[&str]) -> bool {
        let mut ahead = self.clone();
        let found = keywords.iter().all(|keyword| ahead.word(keyword));
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes this symbol if it is ahead.
    pub fn symbol(&mut self, symbol: char) -> bool {
        let found = self.token == Token::Symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    /// Takes a name: an identifier that is quoted or not reserved; folded, unquoted.
    pub fn name(&mut self) -> Option<String> {
        let name = match &self.token {
            Token::Word(word) => Some(fold(word)).filter(|name| !is_reserved(name))?,
            Token::Quoted(name) => name.clone(),
            _ => return None,
        };
        self.advance();
        Some(name)
    }

    /// Takes a string.
    pub fn string(&mut self) -> Option<String> {
        let Token::String(value) = &self.token else { return None };
        let value = value.clone();
        self.advance();
        Some(value)
    }

    /// Takes a number, with a sign before it or not; a minus stays, a plus goes.
    pub fn number(&mut self) -> Option<String> {
        let mut ahead = self.clone();
        let minus = ahead.symbol('-');
        if !minus {
            ahead.symbol('+');
        }
        let Token::Number(digits) = ahead.advance() else { return None };
        *self = ahead;
        Some(if minus { format!("-{digits}") } else { digits.to_owned() })
    }

    /// Whether nothing follows.
    pub fn is_finished(&self) -> bool {
        self.token == Token::End
    }
}

/// The place of the first byte from `at` on that is neither blank nor in a comment.
pub fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    loop {
        at = match (text.get(at), text.get(at + 1)) {
            (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c), _) => at + 1,
            (Some(b'-'), Some(b'-')) => line_comment_end(text, at),
            (Some(b'/'), Some(b'*')) => match block_comment_end(text, at) {
                Some(end) => end,
                None => return at,
            },
            _ => return at,
        }
    }
}

/// The token at `start`, which is no blank, and its end.
fn token_at(text: &str, start: usize) -> (Token<'_>, usize) {
    let unknown = (Token::Unknown, text.len());
    let bytes = text.as_bytes();
    let Some(&byte) = bytes.get(start) else { return (Token::End, text.len()) };
    let next = bytes.get(start + 1);
    match (byte, next) {
        (b'\'', _) => string_token(text, start, start, SlotKind::String).unwrap_or(unknown),
        (b'e' | b'E', Some(b'\'')) => string_token(text, start, start + 1, SlotKind::EscapeString).unwrap_or(unknown),
        (b'b' | b'B' | b'x' | b'X', Some(b'\'')) => unknown,
        (b'u' | b'U', Some(b'&')) if bytes.get(start + 2) == Some(&b'"') => {
            unicode_token(text, start).unwrap_or(unknown)
        }
        (b'u' | b'U', Some(b'&')) if bytes.get(start + 2) == Some(&b'\'') => unknown,
        (b'"', _) => quoted_token(text, start).unwrap_or(unknown),
        (b'$', _) => dollar_token(text, start).unwrap_or(unknown),
        (b'/', Some(b'*')) | (0..0x20, _) => unknown,
        (b'0'..=b'9', _) | (b'.', Some(b'0'..=b'9')) => {
            let end = number_at(bytes, start).end;
            text.get(start..end).map_or(unknown, |digits| (Token::Number(digits), end))
        }
        (b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.., _) => {
            let end = word_end(bytes, start);
            text.get(start..end).map_or(unknown, |word| (Token::Word(word), end))
        }
        _ => (Token::Symbol(char::from(byte)), start + 1),
    }
}

/// One past a token whose value is not looked at: a parameter, a bit string, a string with bytes that are no UTF-8.
fn opaque_end(text: &[u8], start: usize) -> Option<usize> {
    match (text.get(start)?, text.get(start + 1)?) {
        (b'$', b'0'..=b'9') => Some(word_end(text, start + 1)),
        (b'b' | b'B' | b'x' | b'X', b'\'') => string_end(text, start + 1, SlotKind::BitString),
        (b'e' | b'E', b'\'') => string_end(text, start + 1, SlotKind::EscapeString),
        _ => None,
    }
}

fn string_token(text: &str, start: usize, quote: usize, kind: SlotKind) -> Option<(Token<'_>, usize)> {
    let end = string_end(text.as_bytes(), quote, kind)?;
    let value = literal_text(kind, text.as_bytes().get(start..end)?)?;
    Some((Token::String(value.into_owned()), end))
}

fn quoted_token(text: &str, start: usize) -> Option<(Token<'_>, usize)> {
    let (name, end) = quoted_name(text, start)?;
    Some((Token::Quoted(cut(&name).to_owned()), end))
}

/// The quoted identifier at `start`, uncut, and its end.
fn quoted_name(text: &str, start: usize) -> Option<(String, usize)> {
    let end = string_end_at(text.as_bytes(), start, b'"')?;
    let name = text.get(start + 1..end - 1)?.replace("\"\"", "\"");
    (!name.is_empty()).then_some((name, end))
}

fn unicode_token(text: &str, start: usize) -> Option<(Token<'_>, usize)> {
    let (name, end) = unicode_name(text, start)?;
    Some((Token::Quoted(cut(&name).to_owned()), end))
}

/// The identifier `U&"…"` at `start`, uncut, and its end with that of a UESCAPE.
fn unicode_name(text: &str, start: usize) -> Option<(String, usize)> {
    let (written, end) = quoted_name(text, start + 2)?;
    let word = skip_blanks(text.as_bytes(), end);
    let is_named = text.get(word..word + 7).is_some_and(|word| word.eq_ignore_ascii_case("uescape"));
    let (escape, end) = match token_at(text, if is_named { skip_blanks(text.as_bytes(), word + 7) } else { end }) {
        (Token::String(escape), end) if is_named => (one_of(&escape)?, end),
        _ if is_named => return None,
        _ => ('\\', end),
    };
    Some((unescape(&written, escape)?, end))
}

/// The only character of a UESCAPE, if it may be one.
fn one_of(escape: &str) -> Option<char> {
    let mut chars = escape.chars();
    let escape = chars.next().filter(|_| chars.as_str().is_empty())?;
    let taken = escape.is_ascii_hexdigit() || escape.is_ascii_whitespace() || matches!(escape, '+' | '\'' | '"');
    (!taken).then_some(escape)
}

/// A text with `\0061` and `\+000061`, as it is meant; None if it means nothing.
fn unescape(written: &str, escape: char) -> Option<String> {
    let mut units = Vec::new();
    let mut rest = written;
    while let Some(next) = rest.chars().next() {
        rest = rest.get(next.len_utf8()..)?;
        if next != escape || rest.starts_with(escape) {
            rest = if next == escape { rest.get(escape.len_utf8()..)? } else { rest };
            units.extend_from_slice(next.encode_utf16(&mut [0; 2]));
            continue;
        }
        let (from, digits) = if rest.starts_with('+') { (1, 6) } else { (0, 4) };
        let code = rest.get(from..from + digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(code, 16).ok().filter(|code| *code != 0)?;
        match u16::try_from(code) {
            // Half of a pair, or a character.
            Ok(unit) => units.push(unit),
            Err(_) => units.extend_from_slice(char::from_u32(code)?.encode_utf16(&mut [0; 2])),
        }
        rest = rest.get(from + digits..)?;
    }
    String::from_utf16(&units).ok()
}

/// Identifiers of a text that are longer than PostgreSQL's, folded and unquoted, but for those behind something that is
/// not exactly understood.
pub fn too_long(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut words = Words::new(text);
    loop {
        let name = match words.peek() {
            Token::End | Token::Unknown => return names,
            Token::Word(word) => Some(word.to_ascii_lowercase()),
            Token::Quoted(_) if text.as_bytes().get(words.start()) == Some(&b'"') => {
                quoted_name(text, words.start()).map(|(name, _)| name)
            }
            Token::Quoted(_) => unicode_name(text, words.start()).map(|(name, _)| name),
            _ => None,
        };
        names.extend(name.filter(|name| name.len() > NAME_LIMIT));
        words.advance();
    }
}

fn dollar_token(text: &str, start: usize) -> Option<(Token<'_>, usize)> {
    let open = dollar_tag_end(text.as_bytes(), start)?;
    let end = dollar_string_end(text.as_bytes(), start, open)?;
    let value = literal_text(SlotKind::DollarString, text.as_bytes().get(start..end)?)?;
    Some((Token::String(value.into_owned()), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn names_are_folded_and_cut_as_postgresql_does() {
        assert_eq!(fold("FooÄ"), "fooÄ");
        assert_eq!(fold(&"A".repeat(70)), "a".repeat(63));
        assert_eq!(cut(&format!("{}ä", "a".repeat(62))), "a".repeat(62));
    }

    #[test]
    fn a_text_is_read_token_by_token() {
        let mut words = Words::new(" Foo/*x*/\"B\"\"r\" --\n 'it''s' E'\\n' $$d$$ 1.5e3 a$1 = ");
        let expected = [
            Token::Word("Foo"),
            Token::Quoted("B\"r".to_owned()),
            Token::String("it's".to_owned()),
            Token::String("\n".to_owned()),
            Token::String("d".to_owned()),
            Token::Number("1.5e3"),
            Token::Word("a$1"),
            Token::Symbol('='),
            Token::End,
        ];
        for token in expected {
            assert_eq!(words.advance(), token);
        }
    }

    #[test]
    fn names_with_escapes_are_read_as_postgresql_does() {
        for (text, name) in [
            (r#"U&"d\0061t\+000061""#, "data"),
            (r#"u&"a\\b""c""#, "a\\b\"c"),
            (r#"U&"d!0061!!" UESCAPE '!'"#, "da!"),
            (r#"U&"\d83d\de00""#, "\u{1f600}"),
        ] {
            let mut words = Words::new(text);
            assert_eq!(words.name().as_deref(), Some(name), "{text}");
            assert!(words.is_finished(), "{text}");
        }
        for text in [r#"U&"\d83d""#, r#"U&"\+110000""#, r#"U&"\x""#, r#"U&"a" UESCAPE 'ab'"#] {
            assert_eq!(Words::new(text).peek(), &Token::Unknown, "{text}");
        }
    }

    #[test]
    fn names_that_are_too_long() {
        let (long, kept) = ("A".repeat(64), "b".repeat(63));
        let text = format!("LISTEN {long}, \"{long}\", {kept}, '{long}', U&\"\\0061{long}\"");
        assert_eq!(too_long(&text), ["a".repeat(64), long.clone(), format!("a{long}")]);
    }

    #[test]
    fn what_is_not_sure_is_unknown() {
        for text in
            ["'a", "\"a", "\"\"", "$1", "$a", "B'1'", "U&'a'", "U&\"\\00\"", "U&\"a\" UESCAPE '+'", "/* x", "\0"]
        {
            assert_eq!(Words::new(text).peek(), &Token::Unknown, "{text:?}");
        }
    }
}

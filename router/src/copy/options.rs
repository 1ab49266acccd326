//! Options: how a COPY says its data look. In: the tokens of a COPY. Out: the form of the data. Never: checks an option;
//! PostgreSQL does, before any data come.

use crate::sql::{
    fingerprint::{SlotKind, literal_text},
    parse::{Kind, Lexeme, tokens},
    volatility::{BARE, Builtin, builtin},
};

/// From where, or to where, a COPY goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// FROM STDIN
    In,
    /// TO STDOUT
    Out,
    /// From or to a file or program of the server.
    File,
}

/// What a COPY of a table begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where the table's name begins: a token's number.
    pub name_at: usize,
    /// Columns that it lists.
    pub columns: Option<Vec<Box<str>>>,
    /// Where to.
    pub way: Way,
    /// Where the options begin.
    pub options_at: usize,
    /// `COPY BINARY t`
    binary: bool,
}

/// Form of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// text
    Text,
    /// csv
    Csv,
    /// binary
    Binary,
}

/// What the options of a COPY say of its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// FORMAT
    pub format: Format,
    /// HEADER, also MATCH: the data begin with a line of names.
    pub header: bool,
    /// DELIMITER
    pub delimiter: u8,
    /// QUOTE
    pub quote: u8,
    /// ESCAPE
    pub escape: u8,
    /// NULL
    pub null: Vec<u8>,
    /// DEFAULT (PostgreSQL 16): what stands for a column's default.
    pub default: Option<Vec<u8>>,
    /// FORCE_NULL holds for the shard key.
    pub force_null: bool,
    /// FORCE_NOT_NULL holds for the shard key.
    pub force_not_null: bool,
    /// ENCODING
    pub encoding: Option<String>,
    /// Something that cannot be done over several shards, or that is not known here.
    pub beyond: Option<String>,
}

/// Reads what a COPY of a table begins with; its word COPY is the token `first`.
pub fn head(lexemes: &[Lexeme], first: usize) -> Option<Head> {
    let is_name = |at: usize| lexemes.get(at).is_some_and(|lexeme| lexeme.identifier().is_some());
    let mut at = first + 1;
    let binary = lexemes.get(at)?.is("binary") && is_name(at + 1);
    at += usize::from(binary);
    let name_at = at;
    lexemes.get(at)?.identifier()?;
    while lexemes.get(at + 1)?.is_symbol(".") && is_name(at + 2) {
        at += 2;
    }
    at += 1;
    let mut columns = None;
    if lexemes.get(at)?.is_symbol("(") {
        let (listed, after) = list(lexemes, at)?;
        (columns, at) = (Some(listed), after);
    }
    let (word, place) = (lexemes.get(at)?, lexemes.get(at + 1)?);
    let way = match (word.is("from"), word.is("to")) {
        (true, _) if place.is("stdin") || place.is("stdout") => Way::In,
        (_, true) if place.is("stdout") || place.is("stdin") => Way::Out,
        (true, _) | (_, true) => Way::File,
        _ => return None,
    };
    Some(Head { name_at, columns, way, options_at: at + 2, binary })
}

/// Names in parentheses that open at `open`, and what follows them.
fn list(lexemes: &[Lexeme], open: usize) -> Option<(Vec<Box<str>>, usize)> {
    let mut names = vec![];
    let mut at = open + 1;
    loop {
        names.push(lexemes.get(at)?.identifier()?.into());
        match lexemes.get(at + 1)? {
            comma if comma.is_symbol(",") => at += 2,
            close if close.is_symbol(")") => return Some((names, at + 2)),
            _ => return None,
        }
    }
}

/// Reads the options of a COPY of a table whose shard key is `key`. None: it is not understood.
pub fn read(text: &str, key: &str) -> Option<Options> {
    let tokens = tokens(text).ok()?;
    let head = head(&tokens.lexemes, 0)?;
    let mut reader = Reader { text, key, lexemes: &tokens.lexemes, at: head.options_at, said: Said::default() };
    reader.said.binary = head.binary;
    reader.all()?;
    Some(reader.said.settled())
}

/// Options as they are said.
#[derive(Debug, Default)]
struct Said {
    binary: bool,
    csv: bool,
    header: bool,
    delimiter: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    null: Option<String>,
    default: Option<String>,
    encoding: Option<String>,
    force_null: bool,
    force_not_null: bool,
    beyond: Option<String>,
}

impl Said {
    fn settled(self) -> Options {
        let format = match (self.binary, self.csv) {
            (true, _) => Format::Binary,
            (_, true) => Format::Csv,
            _ => Format::Text,
        };
        let csv = format == Format::Csv;
        let byte = |said: Option<String>, or: u8| said.and_then(|said| said.bytes().next()).unwrap_or(or);
        let quote = byte(self.quote, b'"');
        Options {
            format,
            header: self.header && format != Format::Binary,
            delimiter: byte(self.delimiter, if csv { b',' } else { b'\t' }),
            quote,
            escape: byte(self.escape, quote),
            null: self.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() }).into_bytes(),
            default: self.default.map(String::into_bytes),
            force_null: self.force_null,
            force_not_null: self.force_not_null,
            encoding: self.encoding,
            beyond: self.beyond,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    key: &'a str,
    lexemes: &'a [Lexeme],
    at: usize,
    said: Said,
}

impl Reader<'_> {
    fn word(&mut self, word: &str) -> bool {
        let is = self.lexemes.get(self.at).is_some_and(|lexeme| lexeme.is(word));
        self.at += usize::from(is);
        is
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let is = self.lexemes.get(self.at).is_some_and(|lexeme| lexeme.is_symbol(symbol));
        self.at += usize::from(is);
        is
    }

    fn all(&mut self) -> Option<()> {
        if self.word("using") || self.lexemes.get(self.at).is_some_and(|lexeme| lexeme.is("delimiters")) {
            if !self.word("delimiters") {
                return None;
            }
            self.said.delimiter = Some(self.string()?);
        }
        self.word("with");
        if self.symbol("(") {
            self.listed()?;
        } else {
            while self.older()? {}
        }
        if self.word("where") {
            self.said.beyond = self.said.beyond.take().or_else(|| self.condition());
            return Some(());
        }
        while self.symbol(";") {}
        (self.at == self.lexemes.len()).then_some(())
    }

    /// `(name value, …)`; the parenthesis has been read.
    fn listed(&mut self) -> Option<()> {
        loop {
            let name = self.lexemes.get(self.at)?.identifier()?.to_owned();
            let from = self.at + 1;
            let mut depth = 0_usize;
            self.at = from;
            loop {
                let lexeme = self.lexemes.get(self.at)?;
                match depth {
                    0 if lexeme.is_symbol(",") || lexeme.is_symbol(")") => break,
                    _ if lexeme.is_symbol("(") => depth += 1,
                    _ if lexeme.is_symbol(")") => depth -= 1,
                    _ => {}
                }
                self.at += 1;
            }
            let value = self.lexemes.get(from..self.at)?;
            self.option(&name, value)?;
            if self.symbol(")") {
                return Some(());
            }
            self.at += 1;
        }
    }

    fn option(&mut self, name: &str, value: &[Lexeme]) -> Option<()> {
        let one = match value {
            [one] => self.value(one),
            _ => None,
        };
        match name {
            "format" => match one?.as_str() {
                "text" => {}
                "csv" => self.said.csv = true,
                "binary" => self.said.binary = true,
                other => self.beyond(format!("the format {other}")),
            },
            "header" if value.is_empty() => self.said.header = true,
            "header" => {
                let said = one?;
                self.said.header = said.eq_ignore_ascii_case("match") || boolean(&said)?;
            }
            "freeze" | "log_verbosity" => {}
            "delimiter" => self.said.delimiter = Some(one?),
            "null" => self.said.null = Some(one?),
            "default" => self.said.default = Some(one?),
            "quote" => self.said.quote = Some(one?),
            "escape" => self.said.escape = Some(one?),
            "encoding" => self.said.encoding = Some(one?),
            "force_quote" => {}
            "force_null" => self.said.force_null = self.has_key(value),
            "force_not_null" => self.said.force_not_null = self.has_key(value),
            "on_error" if one.as_deref() == Some("stop") => {}
            other => self.beyond(format!("COPY's option {other}")),
        }
        Some(())
    }

    fn beyond(&mut self, what: String) {
        self.said.beyond.get_or_insert(what);
    }

    fn has_key(&self, value: &[Lexeme]) -> bool {
        value.iter().any(|lexeme| lexeme.is_symbol("*") || lexeme.identifier() == Some(self.key))
    }

    /// One option of the grammar before PostgreSQL 9.0; false: there is none.
    fn older(&mut self) -> Option<bool> {
        if self.word("binary") {
            self.said.binary = true;
        } else if self.word("csv") {
            self.said.csv = true;
        } else if self.word("header") {
            self.said.header = true;
        } else if self.word("freeze") {
        } else if self.word("delimiter") {
            self.said.delimiter = Some(self.as_string()?);
        } else if self.word("null") {
            self.said.null = Some(self.as_string()?);
        } else if self.word("quote") {
            self.said.quote = Some(self.as_string()?);
        } else if self.word("escape") {
            self.said.escape = Some(self.as_string()?);
        } else if self.word("encoding") {
            self.said.encoding = Some(self.string()?);
        } else if self.word("force") {
            let (not, null) = (self.word("not"), self.word("null"));
            if !null && !self.word("quote") {
                return None;
            }
            let named = self.names();
            match (not, null) {
                (true, _) => self.said.force_not_null = named,
                (_, true) => self.said.force_null = named,
                _ => {}
            }
        } else {
            return Some(false);
        }
        Some(true)
    }

    fn as_string(&mut self) -> Option<String> {
        self.word("as");
        self.string()
    }

    fn string(&mut self) -> Option<String> {
        let lexeme = self.lexemes.get(self.at).filter(|lexeme| lexeme.kind == Kind::String)?;
        self.at += 1;
        self.value(lexeme)
    }

    /// Names with commas, or `*`; whether the key is among them.
    fn names(&mut self) -> bool {
        let from = self.at;
        if !self.symbol("*") {
            self.at += 1;
            while self.symbol(",") {
                self.at += 1;
            }
        }
        self.lexemes.get(from..self.at).is_some_and(|names| self.has_key(names))
    }

    /// What a word, number or string says. The case of words is as PostgreSQL folds it.
    fn value(&self, lexeme: &Lexeme) -> Option<String> {
        let raw = self.text.get(lexeme.start..lexeme.end)?;
        match &lexeme.kind {
            Kind::Word(word) | Kind::Quoted(word) => Some(word.clone()),
            Kind::Number => Some(raw.to_owned()),
            Kind::String => {
                let kind = match raw.bytes().next()? {
                    b'\'' => SlotKind::String,
                    b'e' | b'E' => SlotKind::EscapeString,
                    b'$' => SlotKind::DollarString,
                    _ => return None,
                };
                literal_text(kind, raw.as_bytes()).map(Into::into)
            }
            Kind::Parameter | Kind::Symbol(_) => None,
        }
    }

    /// What of a condition (WHERE) could be another on each shard.
    fn condition(&self) -> Option<String> {
        let lexemes = self.lexemes.get(self.at..).unwrap_or_default();
        for (nth, lexeme) in lexemes.iter().enumerate() {
            let Some(name) = lexeme.identifier() else { continue };
            let is_word = matches!(lexeme.kind, Kind::Word(_));
            if is_word && BARE.contains(&name) {
                return Some(format!("WHERE with {name}"));
            }
            let called = lexemes.get(nth + 1).is_some_and(|next| next.is_symbol("("));
            let qualified = nth > 0 && lexemes.get(nth - 1).is_some_and(|before| before.is_symbol("."));
            let known = is_word && (WORDS.contains(&name) || builtin(name) == Builtin::Pure);
            if called && (qualified || !known) {
                return Some(format!("WHERE with the function {name}"));
            }
        }
        None
    }
}

/// Words that stand before a parenthesis and call nothing that could differ.
const WORDS: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "between",
    "bit",
    "case",
    "cast",
    "char",
    "character",
    "coalesce",
    "decimal",
    "distinct",
    "else",
    "extract",
    "float",
    "from",
    "greatest",
    "ilike",
    "in",
    "is",
    "least",
    "like",
    "not",
    "nullif",
    "numeric",
    "or",
    "overlay",
    "position",
    "row",
    "select",
    "similar",
    "some",
    "substring",
    "symmetric",
    "then",
    "time",
    "timestamp",
    "trim",
    "varchar",
    "varying",
    "when",
];

/// A boolean as `defGetBoolean` reads it.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Whether a client's text in this encoding has bytes of ASCII that are no characters of ASCII: then only PostgreSQL can
/// take it apart.
pub fn embeds_ascii(encoding: &str) -> bool {
    const SUCH: [&str; 14] = [
        "sjis",
        "shiftjis",
        "mskanji",
        "win932",
        "windows932",
        "big5",
        "win950",
        "windows950",
        "gbk",
        "win936",
        "windows936",
        "uhc",
        "win949",
        "windows949",
    ];
    let name = plain_name(encoding);
    SUCH.contains(&name.as_str()) || ["johab", "gb18030", "shiftjis2004"].contains(&name.as_str())
}

/// It is UTF-8.
pub fn is_utf8(encoding: &str) -> bool {
    ["utf8", "unicode"].contains(&plain_name(encoding).as_str())
}

fn plain_name(encoding: &str) -> String {
    encoding.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &str) -> Options {
        read(&format!("COPY t (a, k) FROM STDIN {options}"), "k").unwrap_or_else(|| panic!("{options}"))
    }

    #[test]
    fn options_are_read_in_both_grammars() {
        let plain = of("");
        assert_eq!((plain.format, plain.delimiter, plain.null.as_slice()), (Format::Text, b'\t', &b"\\N"[..]));
        assert!(!plain.header && plain.beyond.is_none());
        for text in [
            "(FORMAT csv, HEADER, DELIMITER ';', NULL 'nil', QUOTE '''', ESCAPE E'\\\\', FORCE_NULL (a, k))",
            "WITH CSV HEADER DELIMITER AS ';' NULL 'nil' QUOTE '''' ESCAPE AS '\\' FORCE NULL a, k",
            "DELIMITERS ';' WITH NULL AS 'nil' CSV HEADER ESCAPE '\\' QUOTE $$'$$ FORCE NULL a, k;",
        ] {
            // A name alone says true.
            let found = match text.starts_with('(') {
                true => of(&text.replace("HEADER", "HEADER 1")),
                false => of(text),
            };
            assert_eq!(found.format, Format::Csv, "{text}");
            assert_eq!((found.delimiter, found.quote, found.escape), (b';', b'\'', b'\\'), "{text}");
            assert!(found.header && found.force_null && !found.force_not_null, "{text}");
            assert_eq!(found.null, b"nil", "{text}");
        }
        assert_eq!(of("(FORMAT binary)").format, Format::Binary);
        assert_eq!(of("BINARY").format, Format::Binary);
        assert_eq!(read("COPY BINARY t FROM STDIN", "k").map(|options| options.format), Some(Format::Binary));
        assert!(of("(HEADER MATCH)").header);
        assert!(!of("(HEADER 'off')").header);
        assert!(of("(FORMAT csv, FORCE_NOT_NULL *)").force_not_null);
        assert_eq!(of("(ENCODING 'latin1')").encoding.as_deref(), Some("latin1"));
    }

    #[test]
    fn what_may_differ_from_shard_to_shard_is_told() {
        assert_eq!(of("WHERE a > 5 AND lower(b) IN ('x', 'y')").beyond, None);
        for beyond in
            ["(on_error ignore)", "(nonsense)", "WHERE random() < 0.5", "WHERE f(a)", "WHERE d < current_date"]
        {
            assert!(of(beyond).beyond.is_some(), "{beyond}");
        }
        assert_eq!(read("COPY t FROM STDIN nonsense", "k"), None);
    }

    #[test]
    fn the_beginning_says_where_to() {
        let way = |text: &str| head(&tokens(text).unwrap().lexemes, 0).map(|head| head.way);
        assert_eq!(way("COPY t FROM STDIN"), Some(Way::In));
        assert_eq!(way("copy \"S\".\"T\" (a, \"B\") to stdout with csv"), Some(Way::Out));
        assert_eq!(way("COPY t FROM '/file'"), Some(Way::File));
        assert_eq!(way("COPY t TO PROGRAM 'cat'"), Some(Way::File));
        assert_eq!(way("COPY t"), None);
    }

    #[test]
    fn encodings() {
        assert!(is_utf8("UTF-8") && is_utf8("Unicode") && !is_utf8("latin1"));
        assert!(embeds_ascii("Shift_JIS_2004") && embeds_ascii("GBK") && !embeds_ascii("EUC_JP"));
    }
}

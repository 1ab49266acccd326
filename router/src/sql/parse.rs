//! Parse: a statement's text becomes facts. In: text. Out: tokens with their bytes, and a tree in which every node
//! is understood; anything else is [`NotRead`]. Never: a guess; nothing of the tree is ever printed.

use super::{facts::Query, lower};
use sqlparser::{
    dialect::PostgreSqlDialect,
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace, Word},
};

/// Most operators that may be chained in one nest of parentheses: bounds the depth of every walk.
const MAX_CHAIN: usize = 600;

/// The statement was not understood, for this reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotRead(pub String);

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unquoted word, folded to lower case.
    Word(String),
    /// A quoted identifier.
    Quoted(String),
    /// A number.
    Number,
    /// A string of any kind.
    String,
    /// `$n`
    Parameter,
    /// Anything else, as it is written.
    Symbol(String),
}

/// A token and its bytes `start..end` in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexeme {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Lexeme {
    /// Whether it is this unquoted word (in lower case).
    pub fn is(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(found) if found == word)
    }

    /// Whether it is this symbol.
    pub fn is_symbol(&self, symbol: &str) -> bool {
        matches!(&self.kind, Kind::Symbol(found) if found == symbol)
    }

    /// The identifier it is, quoted or not.
    pub fn identifier(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) | Kind::Quoted(word) => Some(word),
            _ => None,
        }
    }
}

/// The tokens of a statement.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// As this planner reads them.
    pub lexemes: Vec<Lexeme>,
    raw: Vec<TokenWithSpan>,
}

impl Tokens {
    /// The tokens between the parenthesis at `open` and its counterpart.
    pub fn inside(&self, open: usize) -> Option<Self> {
        let mut depth = 0_usize;
        for at in open..self.lexemes.len() {
            if self.lexemes[at].is_symbol("(") {
                depth += 1;
            } else if self.lexemes[at].is_symbol(")") {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let range = open + 1..at;
                    return Some(Self { lexemes: self.lexemes[range.clone()].to_vec(), raw: self.raw[range].to_vec() });
                }
            }
        }
        None
    }

    /// Two strings follow each other: PostgreSQL joins them if a line ends between them.
    pub fn has_joined_strings(&self) -> bool {
        self.lexemes.windows(2).any(|pair| pair.iter().all(|lexeme| lexeme.kind == Kind::String))
    }

    /// The tokens `first..last`.
    pub fn range(&self, first: usize, last: usize) -> Option<Self> {
        let lexemes = self.lexemes.get(first..last)?.to_vec();
        Some(Self { lexemes, raw: self.raw.get(first..last)?.to_vec() })
    }
}

/// Folds an unquoted identifier as PostgreSQL does in a UTF8 database.
pub fn fold(word: &str) -> String {
    truncate(&word.to_ascii_lowercase())
}

/// Cuts an identifier to the 63 bytes that PostgreSQL keeps.
pub fn truncate(word: &str) -> String {
    let mut end = word.len().min(63);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word[..end].to_owned()
}

/// Splits a text into tokens.
///
/// # Errors
/// [`NotRead`] if something in it is not certainly read as PostgreSQL reads it.
pub fn tokens(text: &str) -> Result<Tokens, NotRead> {
    let mut raw = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|_| NotRead("its tokens could not be read".into()))?;
    to_bytes(text, &mut raw);
    raw.retain(|token| !is_blank(&token.token));
    let lexemes: Vec<Lexeme> = raw.iter().map(|token| lexeme(text, token)).collect();
    check(text, &lexemes)?;
    Ok(Tokens { lexemes, raw })
}

fn is_blank(token: &Token) -> bool {
    match token {
        Token::Whitespace(Whitespace::SingleLineComment { prefix, .. }) => prefix == "--",
        Token::Whitespace(_) | Token::EOF => true,
        _ => false,
    }
}

/// Replaces lines and columns (in characters) by byte offsets: line 1, column = offset.
fn to_bytes(text: &str, tokens: &mut [TokenWithSpan]) {
    let mut cursor = Cursor { text, byte: 0, line: 1, column: 1 };
    for token in tokens {
        let start = cursor.advance(token.span.start);
        let end = cursor.advance(token.span.end);
        let place = |byte: usize| Location { line: 1, column: byte as u64 };
        token.span = Span { start: place(start), end: place(end) };
    }
}

struct Cursor<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
    column: u64,
}

impl Cursor<'_> {
    fn advance(&mut self, to: Location) -> usize {
        for c in self.text[self.byte..].chars() {
            if (self.line, self.column) >= (to.line, to.column) {
                break;
            }
            self.byte += c.len_utf8();
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.byte
    }
}

fn lexeme(text: &str, token: &TokenWithSpan) -> Lexeme {
    let (start, end) = (token.span.start.column as usize, token.span.end.column as usize);
    let kind = match &token.token {
        Token::Word(Word { value, quote_style: Some(_), .. }) => Kind::Quoted(truncate(value)),
        Token::Word(Word { value, .. }) => Kind::Word(fold(value)),
        Token::Number(..) => Kind::Number,
        Token::Placeholder(_) => Kind::Parameter,
        token if is_string(token) => Kind::String,
        _ => Kind::Symbol(text.get(start..end).unwrap_or_default().to_owned()),
    };
    Lexeme { kind, start, end }
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}

/// Operators of PostgreSQL that sqlparser reads as PostgreSQL does.
const OPERATORS: &[&str] = &[
    "=", "<", ">", "<=", ">=", "<>", "!=", "+", "-", "*", "/", "%", "^", "||", "~", "~*", "!~", "!~*", "~~", "~~*",
    "!~~", "!~~*", "@>", "<@", "&&", "->", "->>", "#>", "#>>", "@@", "@?", "?", "?|", "?&", "&", "|", "#", "<<", ">>",
    "#-", "^@", "<->", "&<", "&>", "-|-", "@", "|/", "||/", "=>", ":=",
];

/// Refuses what sqlparser is known to read otherwise than PostgreSQL, and trees too deep to walk.
fn check(text: &str, lexemes: &[Lexeme]) -> Result<(), NotRead> {
    check_operators(text, lexemes)?;
    let mut chains = vec![0_usize];
    for lexeme in lexemes {
        match &lexeme.kind {
            Kind::Symbol(symbol) if symbol == "(" || symbol == "[" => chains.push(0),
            Kind::Symbol(symbol) if (symbol == ")" || symbol == "]") && chains.len() > 1 => drop(chains.pop()),
            Kind::Symbol(symbol) if symbol == "," => *chains.last_mut().expect("never empty") = 0,
            Kind::Symbol(_) => *chains.last_mut().expect("never empty") += 1,
            Kind::Word(word)
                if matches!(
                    word.as_str(),
                    "and" | "or" | "not" | "is" | "collate" | "at" | "union" | "except" | "intersect" | "join" | "case"
                ) =>
            {
                *chains.last_mut().expect("never empty") += 1;
            }
            _ => {}
        }
        if chains.len() > 200 || chains.iter().rev().take(200).sum::<usize>() > MAX_CHAIN {
            return Err(NotRead("it is nested too deeply".into()));
        }
    }
    Ok(())
}

fn check_operators(text: &str, lexemes: &[Lexeme]) -> Result<(), NotRead> {
    let not_read = |what: &str| Err(NotRead(format!("it holds {what}")));
    let mut run: Option<(usize, usize)> = None;
    for (index, lexeme) in lexemes.iter().enumerate() {
        if let (Kind::Symbol(_), Some(byte)) = (&lexeme.kind, text.as_bytes().get(lexeme.start)) {
            if b"+-*/<>=~!@#%^&|`?".contains(byte) {
                run = match run {
                    Some((start, end)) if end == lexeme.start => Some((start, lexeme.end)),
                    _ => Some((lexeme.start, lexeme.end)),
                };
                let (start, end) = run.expect("just set");
                let next_joins = lexemes.get(index + 1).is_some_and(|next| {
                    next.start == end
                        && matches!(next.kind, Kind::Symbol(_))
                        && text.as_bytes().get(next.start).is_some_and(|b| b"+-*/<>=~!@#%^&|`?".contains(b))
                });
                if !next_joins && !is_operator(&text[start..end]) {
                    return not_read("an operator that is not known here");
                }
                continue;
            }
            if !matches!(byte, b'(' | b')' | b'[' | b']' | b',' | b'.' | b':' | b';') {
                return not_read("a character that is not known here");
            }
        }
        if lexeme.is("u") && lexemes.get(index + 1).is_some_and(|next| next.start == lexeme.end && next.is_symbol("&"))
        {
            return not_read("a Unicode escape");
        }
    }
    Ok(())
}

/// Whether PostgreSQL splits this run of operator characters into operators that sqlparser finds too.
fn is_operator(run: &str) -> bool {
    if OPERATORS.contains(&run) {
        return true;
    }
    // A trailing sign belongs to the operand unless the run holds one of the characters below.
    let special = run.contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?']);
    let stripped = run.trim_end_matches(['+', '-']);
    // `*` before a closing parenthesis or a sign is common: count(*), `(*-1)` never is.
    !special && (OPERATORS.contains(&stripped) || stripped.is_empty() && run.len() == 1)
}

/// Reads the query or data-modifying statement that the tokens from `first` on make up.
///
/// # Errors
/// [`NotRead`] if it is none, or holds something that is not understood.
pub fn query(text: &str, tokens: &Tokens, first: usize) -> Result<Query, NotRead> {
    let mut raw = tokens.raw.get(first..).unwrap_or_default().to_vec();
    while raw.last().is_some_and(|token| token.token == Token::SemiColon) {
        raw.pop();
    }
    adapt(&mut raw);
    let end = raw.last().map_or(0, |token| token.span.end.column);
    let eof = Location { line: 1, column: end };
    raw.push(TokenWithSpan { token: Token::EOF, span: Span { start: eof, end: eof } });
    let mut parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(60).with_tokens_with_locations(raw);
    let statement = parser.parse_statement().map_err(|_| NotRead("its grammar is not known here".into()))?;
    if parser.peek_token().token != Token::EOF {
        return Err(NotRead("its grammar is not known here".into()));
    }
    lower::statement(text, &statement)
}

/// Rewrites forms that sqlparser lacks into forms that say the same to the planner.
fn adapt(raw: &mut Vec<TokenWithSpan>) {
    if raw.first().is_some_and(|token| is_keyword(token, Keyword::TABLE)) {
        let span = raw[0].span;
        let word = |keyword: &str| TokenWithSpan { token: Token::make_keyword(keyword), span };
        raw.splice(0..1, [word("SELECT"), TokenWithSpan { token: Token::Mul, span }, word("FROM")]);
    }
    let mut at = 0;
    while at < raw.len() {
        let next = |offset: usize, keyword| raw.get(at + offset).is_some_and(|token| is_keyword(token, keyword));
        if is_keyword(&raw[at], Keyword::FOR) && next(1, Keyword::NO) && next(2, Keyword::KEY) {
            raw.drain(at + 1..at + 3);
        } else {
            let key_share = is_keyword(&raw[at], Keyword::FOR) && next(1, Keyword::KEY) && next(2, Keyword::SHARE);
            let symmetric = next(1, Keyword::SYMMETRIC) || next(1, Keyword::ASYMMETRIC);
            if key_share || is_keyword(&raw[at], Keyword::BETWEEN) && symmetric {
                raw.remove(at + 1);
            }
        }
        while is_string(&raw[at].token) && raw.get(at + 1).is_some_and(|next| is_string(&next.token)) {
            raw[at].token = Token::NationalStringLiteral(String::new());
            raw.remove(at + 1);
        }
        at += 1;
    }
}

fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

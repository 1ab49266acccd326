//! Rewrite: where the clauses of a SELECT stand in its text, and splices at those places. In: tokens. Out: spans
//! and splices in coordinates of the shape. Never: prints a tree.

use super::{
    fingerprint::Lexed,
    parse::{Kind, Lexeme},
};

/// Tokens `first..last` of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First token.
    pub first: usize,
    /// One past the last token.
    pub last: usize,
}

/// Where the clauses of one SELECT without WITH and set operations stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clauses {
    /// Items of the select list.
    pub items: Vec<Range>,
    /// FROM and WHERE.
    pub from: Option<Range>,
    /// GROUP BY with its words.
    pub group: Option<Range>,
    /// HAVING with its word.
    pub having: Option<Range>,
    /// Expressions of GROUP BY.
    pub group_by: Vec<Range>,
    /// Sort keys of ORDER BY, with ASC, DESC and NULLS.
    pub order_by: Vec<Range>,
    /// ORDER BY with its words.
    pub order: Option<Range>,
    /// What stands behind LIMIT.
    pub limit: Option<Range>,
    /// OFFSET with its word and ROWS.
    pub offset: Option<Range>,
    /// What stands behind OFFSET.
    pub offset_value: Option<Range>,
    /// FETCH FIRST … ROWS ONLY, whole.
    pub fetch: Option<Range>,
}

const STARTS: &[&str] =
    &["from", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "except"];

/// Finds the clauses of the SELECT whose first token is `first`; None if it has another form.
pub fn clauses(lexemes: &[Lexeme], first: usize) -> Option<Clauses> {
    let end = lexemes.len() - lexemes.iter().rev().take_while(|lexeme| lexeme.is_symbol(";")).count();
    if !lexemes.get(first)?.is("select") {
        return None;
    }
    let starts = starts(lexemes, first + 1, end);
    let span = |word: &str| -> Option<Range> {
        let at = starts.iter().position(|start| lexemes[*start].is(word))?;
        Some(Range { first: starts[at], last: starts.get(at + 1).copied().unwrap_or(end) })
    };
    let mut select = first + 1;
    if lexemes.get(select)?.is("distinct") || lexemes.get(select)?.is("all") {
        select += 1;
    }
    let items = split(lexemes, Range { first: select, last: starts.first().copied().unwrap_or(end) });
    let after = |range: Range, words: usize| Range { first: range.first + words, last: range.last };
    let offset = span("offset");
    let (from, filter) = (span("from"), span("where"));
    let from = from.map(|from| match filter {
        Some(filter) if filter.first == from.last => Range { first: from.first, last: filter.last },
        _ => from,
    });
    Some(Clauses {
        items,
        from,
        group: span("group"),
        having: span("having"),
        group_by: span("group").map(|range| split(lexemes, after(range, 2))).unwrap_or_default(),
        order_by: span("order").map(|range| split(lexemes, after(range, 2))).unwrap_or_default(),
        order: span("order"),
        limit: span("limit").map(|range| after(range, 1)),
        offset,
        offset_value: offset.map(|range| {
            let rows = lexemes[range.last - 1].is("rows") || lexemes[range.last - 1].is("row");
            Range { first: range.first + 1, last: range.last - usize::from(rows) }
        }),
        fetch: span("fetch"),
    })
}

/// Places of the words that begin a clause, outside parentheses and CASE.
fn starts(lexemes: &[Lexeme], first: usize, end: usize) -> Vec<usize> {
    let (mut depth, mut starts) = (0_i32, vec![]);
    for at in first..end {
        let lexeme = &lexemes[at];
        match &lexeme.kind {
            Kind::Symbol(symbol) if symbol == "(" || symbol == "[" => depth += 1,
            Kind::Symbol(symbol) if symbol == ")" || symbol == "]" => depth -= 1,
            Kind::Word(word) if depth == 0 && STARTS.contains(&word.as_str()) => {
                let before = &lexemes[at - 1];
                let label = before.is("as") || before.is_symbol(".");
                let distinct_from =
                    word == "from" && before.is("distinct") && at >= 2 && lexemes[at - 2].is_not_or_is();
                let ordinary = !matches!(word.as_str(), "group" | "order")
                    || lexemes.get(at + 1).is_some_and(|next| next.is("by"));
                if !label && !distinct_from && ordinary {
                    starts.push(at);
                }
            }
            _ => {}
        }
    }
    starts
}

impl Lexeme {
    fn is_not_or_is(&self) -> bool {
        self.is("is") || self.is("not")
    }
}

/// Splits at commas outside parentheses.
pub fn split(lexemes: &[Lexeme], range: Range) -> Vec<Range> {
    let (mut depth, mut first, mut all) = (0_i32, range.first, vec![]);
    for (at, lexeme) in lexemes.iter().enumerate().take(range.last).skip(range.first) {
        match &lexeme.kind {
            Kind::Symbol(symbol) if symbol == "(" || symbol == "[" => depth += 1,
            Kind::Symbol(symbol) if symbol == ")" || symbol == "]" => depth -= 1,
            Kind::Symbol(symbol) if depth == 0 && symbol == "," => {
                all.push(Range { first, last: at });
                first = at + 1;
            }
            _ => {}
        }
    }
    if first < range.last {
        all.push(Range { first, last: range.last });
    }
    all
}

/// The span of these tokens in coordinates of the shape.
pub fn shape_span(lexed: &Lexed, lexemes: &[Lexeme], range: Range) -> Option<(u32, u32)> {
    if range.first >= range.last {
        return None;
    }
    let start = lexed.shape_at(lexemes.get(range.first)?.start)?;
    let end = lexed.shape_at(lexemes.get(range.last - 1)?.end)?;
    Some((start, end))
}

/// Whether two ranges hold the same tokens (the text of literals counts).
pub fn same(text: &str, lexemes: &[Lexeme], left: Range, right: Range) -> bool {
    let kinds = |range: Range| lexemes[range.first..range.last].iter();
    left.last - left.first == right.last - right.first
        && kinds(left).zip(kinds(right)).all(|(a, b)| match (&a.kind, &b.kind) {
            (Kind::Number | Kind::String | Kind::Parameter, _) => text[a.start..a.end] == text[b.start..b.end],
            (a, b) => a.identifier_or_symbol() == b.identifier_or_symbol(),
        })
}

/// Slots of the literals in a range.
pub fn slots(lexed: &Lexed, lexemes: &[Lexeme], range: Range) -> Vec<u32> {
    let literal = |lexeme: &&Lexeme| matches!(lexeme.kind, Kind::Number | Kind::String);
    let literals = lexemes[range.first..range.last].iter().filter(literal);
    literals.filter_map(|lexeme| lexed.slot_at(lexeme.start)).map(|slot| slot as u32).collect()
}

impl Kind {
    fn identifier_or_symbol(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Quoted(text) | Self::Symbol(text) => Some(text),
            _ => None,
        }
    }
}

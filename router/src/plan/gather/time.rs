//! Time: where a statement asks when its transaction began. In: tokens. Out: splices that put one value there.
//! Never: the value.

use crate::{
    plan::{Piece, Splice, Timed, build::Input},
    sql::{
        parse::Lexeme,
        rewrite::{self, Range},
    },
};

/// Functions of the transaction's time, and the type of their value.
const FUNCTIONS: &[(&str, &str)] = &[
    ("current_date", "date"),
    ("current_time", "timetz"),
    ("current_timestamp", "timestamptz"),
    ("localtime", "time"),
    ("localtimestamp", "timestamp"),
    ("now", "timestamptz"),
    ("transaction_timestamp", "timestamptz"),
];

/// The time of the client's statement, which no server that works for it knows.
pub(in crate::plan) const OF_STATEMENT: &str = "statement_timestamp";

/// Whether a function's value depends on when the transaction began.
pub(in crate::plan) fn is_of_time(name: &str) -> bool {
    name == "age" || FUNCTIONS.iter().any(|(known, _)| *known == name)
}

/// How the statement whose first token is `first` depends on the time.
pub(in crate::plan) fn timed(input: &Input<'_>, lexemes: &[Lexeme], first: usize) -> Timed {
    let lists = lists(lexemes, first);
    let (mut splices, mut listed) = (vec![], false);
    for at in first..lexemes.len() {
        let Some(word) = lexemes[at].identifier() else { continue };
        let symbol = |place: usize, symbol: &str| lexemes.get(place).is_some_and(|lexeme| lexeme.is_symbol(symbol));
        let qualified = at >= 1 && symbol(at - 1, ".");
        if word == "age" && symbol(at + 1, "(") {
            return Timed::Hidden;
        }
        let Some((_, type_name)) = FUNCTIONS.iter().find(|(known, _)| *known == word) else { continue };
        let call = matches!(word, "now" | "transaction_timestamp");
        let start = match qualified {
            true if call && at >= 2 && lexemes[at - 2].identifier() == Some("pg_catalog") => at - 2,
            true => continue,
            false => at,
        };
        let (last, precision) = match (call, symbol(at + 1, "(")) {
            (true, true) if symbol(at + 2, ")") => (at + 3, None),
            (true, _) => continue,
            (false, true) if symbol(at + 3, ")") => (at + 4, Some(Range { first: at + 2, last: at + 3 })),
            (false, true) => return Timed::Hidden,
            (false, false) => (at + 1, None),
        };
        let span = |range| rewrite::shape_span(input.lexed, lexemes, range);
        let Some((from, to)) = span(Range { first: start, last }) else { return Timed::Hidden };
        let mut with =
            vec![Piece::Text("CAST(".into()), Piece::Time, Piece::Text(format!(" AS pg_catalog.{type_name}"))];
        if let Some(precision) = precision {
            let Some((from, to)) = span(precision) else { return Timed::Hidden };
            with.extend([Piece::Text("(".into()), Piece::Span(from, to), Piece::Text(")".into())]);
        }
        with.push(Piece::Text(")".into()));
        splices.push(Splice { start: from, end: to, with });
        listed |= lists.iter().any(|list| (list.first..list.last).contains(&at));
    }
    match (splices.is_empty(), listed) {
        // Seen by the parser, but not here.
        (true, _) => Timed::Hidden,
        (false, true) => Timed::Listed(splices),
        (false, false) => Timed::Outside(splices),
    }
}

/// Select lists, at any depth.
fn lists(lexemes: &[Lexeme], first: usize) -> Vec<Range> {
    const ENDS: &[&str] =
        &["from", "where", "group", "having", "window", "order", "limit", "union", "except", "intersect"];
    let list = |at: usize| {
        let mut depth = 0_i32;
        for end in at + 1..lexemes.len() {
            let lexeme = &lexemes[end];
            if lexeme.is_symbol("(") || lexeme.is_symbol("[") {
                depth += 1;
            } else if lexeme.is_symbol(")") || lexeme.is_symbol("]") {
                depth -= 1;
            }
            let distinct_from = lexeme.is("from") && lexemes[end - 1].is("distinct");
            if depth < 0 || depth == 0 && !distinct_from && ENDS.iter().any(|word| lexeme.is(word)) {
                return Range { first: at + 1, last: end };
            }
        }
        Range { first: at + 1, last: lexemes.len() }
    };
    let is_list = |at: &usize| lexemes[*at].is("select") || lexemes[*at].is("values");
    (first..lexemes.len()).filter(is_list).map(list).collect()
}

//! Rows: where the rows of an INSERT … VALUES stand in its text, and the way to each one's key. In: tokens, facts. Out:
//! places in the shape. Never: a row whose key is not known.

use super::{OneDefault, SplitRow, SplitRows, no};
use crate::{
    error::catalogue,
    plan::{
        Recipe, Refusal,
        build::Input,
        join::{Analysis, InsertRows},
        names,
        refuse::refusal,
    },
    sql::{
        facts::Expr,
        parse::{Kind, Lexeme, Tokens},
        rewrite::{self, Range},
    },
    topology::schema::Default,
};
use pgring_config::tables::TableName;
use pgring_protocol::quote;

/// Where the parts of an INSERT … VALUES stand among its tokens.
struct Places {
    /// Behind the table's name and alias.
    table_end: usize,
    /// The parenthesis that ends the list of columns.
    columns_end: Option<usize>,
    /// Its rows, parentheses included.
    rows: Vec<Range>,
}

/// The rows of the INSERT whose first token is `first`.
pub(super) fn split(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    table: &TableName,
    (columns, values): (&[String], &[Vec<Expr>]),
    tokens: &Tokens,
    first: usize,
) -> Result<SplitRows, Refusal> {
    let lexemes = tokens.lexemes.as_slice();
    let unknown = || no("an INSERT in this form");
    let keys = match analysis.inserts.as_slice() {
        [InsertRows::Keys(Recipe::Either(keys))] if keys.len() == values.len() && !keys.contains(&Recipe::Every) => {
            keys
        }
        _ => return Err(unknown()),
    };
    let width = values.first().map_or(0, Vec::len);
    if values.iter().any(|row| row.len() != width) {
        // PostgreSQL says what is wrong with it.
        return Err(unknown());
    }
    let places = places(lexemes, first).filter(|places| places.rows.len() == values.len()).ok_or_else(unknown)?;
    let defaults = defaults(input, analysis, (table, columns), values, (lexemes, &places))?;
    let one = |(nth, range): (usize, &Range)| {
        let items = rewrite::split(lexemes, Range { first: range.first + 1, last: range.last - 1 });
        if items.len() != width {
            return None;
        }
        let words = defaults.iter().flat_map(|defaults| defaults_of(defaults, columns, input, table, &values[nth]));
        let words = words
            .map(|(item, number)| rewrite::shape_span(input.lexed, lexemes, items[item]).map(|span| (span, number)));
        Some(SplitRow {
            span: rewrite::shape_span(input.lexed, lexemes, *range)?,
            key: keys[nth].clone(),
            parameters: parameters(input, &lexemes[range.first..range.last]),
            defaults: words.collect::<Option<_>>()?,
        })
    };
    let rows = places.rows.iter().enumerate().map(one).collect::<Option<Vec<_>>>().ok_or_else(unknown)?;
    let (start, end) = (places.rows[0].first, places.rows[places.rows.len() - 1].last);
    let mut outside = parameters(input, &lexemes[first..start]);
    outside.extend(parameters(input, &lexemes[end..]));
    let conflict = lexemes[end..].iter().any(|lexeme| lexeme.is("conflict"));
    Ok(SplitRows { rows, parameters: outside, all_return: !conflict, defaults })
}

pub(super) fn parameters(input: &Input<'_>, lexemes: &[Lexeme]) -> Vec<u16> {
    let number = |lexeme: &Lexeme| input.text.get(lexeme.start + 1..lexeme.end)?.parse().ok();
    lexemes.iter().filter(|lexeme| lexeme.kind == Kind::Parameter).filter_map(number).collect()
}

/// The words of an INSERT before its rows.
pub(super) struct Head {
    /// Behind the table's name and alias.
    table_end: usize,
    /// The parenthesis that ends the list of columns.
    columns_end: Option<usize>,
    /// The first token of its rows.
    pub(super) end: usize,
}

impl Head {
    pub(super) fn read(lexemes: &[Lexeme], first: usize) -> Option<Self> {
        let symbol = |at: usize, symbol: &str| lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol(symbol));
        let mut depth = 0_i32;
        let insert = (first..lexemes.len()).find(|at| {
            depth += i32::from(lexemes[*at].is_symbol("(")) - i32::from(lexemes[*at].is_symbol(")"));
            depth == 0 && lexemes[*at].is("insert")
        })?;
        lexemes.get(insert + 1).filter(|lexeme| lexeme.is("into"))?;
        let (_, _, mut at) = names::read(lexemes, insert + 2)?;
        if lexemes.get(at)?.is("as") {
            at += 2;
        }
        let table_end = at;
        let mut columns_end = None;
        let queries = ["select", "values", "with", "table"];
        let query =
            |at: usize| symbol(at, "(") || queries.iter().any(|word| lexemes.get(at).is_some_and(|l| l.is(word)));
        if symbol(at, "(") && !query(at + 1) {
            at = closing(lexemes, at)? + 1;
            columns_end = Some(at - 1);
        }
        query(at).then_some(Self { table_end, columns_end, end: at })
    }
}

fn places(lexemes: &[Lexeme], first: usize) -> Option<Places> {
    let symbol = |at: usize, symbol: &str| lexemes.get(at).is_some_and(|lexeme| lexeme.is_symbol(symbol));
    let Head { table_end, columns_end, end: mut at } = Head::read(lexemes, first)?;
    lexemes.get(at).filter(|lexeme| lexeme.is("values"))?;
    at += 1;
    let mut rows = vec![];
    loop {
        if !symbol(at, "(") {
            return None;
        }
        let end = closing(lexemes, at)?;
        rows.push(Range { first: at, last: end + 1 });
        at = end + 1;
        if !symbol(at, ",") {
            return Some(Places { table_end, columns_end, rows });
        }
        at += 1;
    }
}

/// The counterpart of the parenthesis at `open`.
fn closing(lexemes: &[Lexeme], open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    (open..lexemes.len()).find(|at| {
        depth += i32::from(lexemes[*at].is_symbol("(")) - i32::from(lexemes[*at].is_symbol(")"));
        depth == 0
    })
}

/// The columns, in order, that the items of a row are for.
fn named<'c>(input: &'c Input<'_>, table: &TableName, columns: &'c [String]) -> Vec<&'c str> {
    if columns.is_empty() {
        let known = input.schema.relation(table).into_iter().flat_map(|relation| &relation.columns);
        return known.map(|column| &*column.name).collect();
    }
    columns.iter().map(String::as_str).collect()
}

/// The words DEFAULT of a row that stand for one of these: number of the item, number of the column.
fn defaults_of<'v>(
    defaults: &'v OneDefault,
    columns: &'v [String],
    input: &'v Input<'_>,
    table: &TableName,
    row: &'v [Expr],
) -> Vec<(usize, usize)> {
    let named = named(input, table, columns);
    let place = |(item, expr): (usize, &Expr)| {
        let column = named.get(item).filter(|_| *expr == Expr::Default)?;
        Some((item, defaults.columns.iter().position(|known| **known == **column)?))
    };
    row.iter().enumerate().filter_map(place).collect()
}

/// The columns that are given by a default with one value for the whole statement.
fn defaults(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    (table, columns): (&TableName, &[String]),
    values: &[Vec<Expr>],
    (lexemes, places): (&[Lexeme], &Places),
) -> Result<Option<OneDefault>, Refusal> {
    let Some(relation) = input.schema.relation(table) else { return Err(no("a table whose columns are not known")) };
    let width = values.first().map_or(0, Vec::len);
    let all = named(input, table, columns);
    let named = &all[..width.min(all.len())];
    let stable = relation.columns.iter().filter(|column| column.default == Default::Stable);
    let (mut found, mut absent) = (vec![], vec![]);
    for column in stable {
        match named.iter().position(|name| **name == *column.name) {
            None => {
                absent.push(found.len());
                found.push(column.name.clone());
            }
            Some(at) if values.iter().any(|row| row.get(at) == Some(&Expr::Default)) => found.push(column.name.clone()),
            Some(_) => {}
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    if !analysis.views.is_empty() {
        let hint = "Write to the table itself, or give the column a value.";
        let what = format!("a view on {table}, whose column {:?} has a default", found[0]);
        return Err(refusal(catalogue::WRITE_MANY_SHARDS, what, hint));
    }
    let names: Vec<String> = absent.iter().map(|at| quote::identifier(&found[*at]).into_owned()).collect();
    let more = names.iter().map(|name| format!(", {name}")).collect::<String>();
    let at = |token: usize, end: bool| {
        let lexeme = lexemes.get(token)?;
        input.lexed.shape_at(if end { lexeme.end } else { lexeme.start })
    };
    let place = match places.columns_end {
        _ if absent.is_empty() => None,
        Some(end) => Some((at(end, false), more)),
        None => {
            let own: Vec<String> = named.iter().map(|name| quote::identifier(name).into_owned()).collect();
            Some((at(places.table_end.saturating_sub(1), true), format!(" ({}{more})", own.join(", "))))
        }
    };
    let names = match place {
        None => None,
        Some((Some(at), text)) => Some((at, text)),
        Some((None, _)) => return Err(no("an INSERT in this form")),
    };
    Ok(Some(OneDefault { table: table.clone(), columns: found, absent, names }))
}

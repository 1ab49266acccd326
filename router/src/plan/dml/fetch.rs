//! Fetch: an INSERT whose rows belong to shards that only their values tell: they are computed on one server, then written
//! each on its own shard. In: facts and tokens of an INSERT. Out: where its query stands. Never: a row that another server
//! would compute otherwise.

use super::{ManyWrite, calls_outside, no, rows::Head, times};
use crate::{
    plan::{
        Refusal,
        build::Input,
        join::Analysis,
        names::{self, Meaning},
    },
    sql::{
        facts::{Action, Body, Expr, Item, Query, Rows, Write},
        parse::Tokens,
        rewrite::{self, Range},
    },
    topology::schema::Default,
};
use pgring_config::{key::KeyType, tables::TableName};

/// The rows of an INSERT that are computed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The table.
    pub table: TableName,
    /// The columns that get values; of a statement that names none, all of the table.
    pub columns: Vec<Box<str>>,
    /// The shard key.
    pub key: Box<str>,
    /// Its type.
    pub key_type: KeyType,
    /// The SELECT or VALUES, in coordinates of the shape.
    pub query: (u32, u32),
    /// Parameters that are mentioned outside the query.
    pub parameters: Vec<u16>,
}

/// Plans such an INSERT.
///
/// # Errors
/// Why it is none.
pub(in crate::plan) fn plan(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    query: &Query,
    tokens: &Tokens,
    first: usize,
) -> Result<ManyWrite, Refusal> {
    let unknown = || no("an INSERT in this form");
    let Body::Write(write) = &query.body else { return Err(unknown()) };
    let Action::Insert { columns, rows, .. } = &write.action else { return Err(unknown()) };
    let Meaning::Sharded(table, sharded) = names::resolve(input, write.table.schema.as_deref(), &write.table.name)
    else {
        return Err(unknown());
    };
    let (Some(relation), Some(key_type)) = (input.schema.relation(&table), sharded.key_type) else {
        return Err(unknown());
    };
    let defaults = matches!(rows, Rows::Values(rows) if rows.iter().flatten().any(|value| *value == Expr::Default));
    let uneven = matches!(rows, Rows::Values(rows) if rows.windows(2).any(|two| two[0].len() != two[1].len()));
    if !query.ctes.is_empty()
        || uneven
        || analysis.targets.len() != 1
        || defaults
        || *rows == Rows::Default
        || looks_further(write)
    {
        return Err(unknown());
    }
    super::triggers(input, &table)?;
    let named: Vec<Box<str>> = match columns.as_slice() {
        [] => relation.columns.iter().map(|column| column.name.clone()).collect(),
        columns => columns.iter().map(|name| name.as_str().into()).collect(),
    };
    let mut given = named.iter().filter_map(|name| relation.column(name));
    let made = given.any(|column| matches!(column.default, Default::Generated | Default::Identity));
    let absent = |name: &str| !named.iter().any(|known| **known == *name);
    let timed = relation.columns.iter().any(|column| column.default == Default::Stable && absent(&column.name));
    if made || timed || !named.contains(&sharded.key) {
        return Err(no(format!("columns of {table} that each shard would make")));
    }
    let lexemes = tokens.lexemes.as_slice();
    let head = Head::read(lexemes, first).ok_or_else(unknown)?;
    let range = Range { first: head.end, last: end(lexemes, head.end) };
    let span = rewrite::shape_span(input.lexed, lexemes, range).ok_or_else(unknown)?;
    let times = if calls_outside(input, analysis)? { times(input, tokens, first)? } else { vec![] };
    let mut parameters = super::rows::parameters(input, &lexemes[first..range.first]);
    parameters.extend(super::rows::parameters(input, &lexemes[range.last..]));
    let fetch = Fetch { table, columns: named, key: sharded.key, key_type, query: span, parameters };
    Ok(ManyWrite { times, rows: None, fetch: Some(fetch), returning: !write.returning.is_empty() })
}

/// ON CONFLICT or RETURNING has a sub-select.
fn looks_further(write: &Write) -> bool {
    let Action::Insert { assignments, rest, .. } = &write.action else { return true };
    let returned = write.returning.iter().filter_map(|item| match item {
        Item::Expr(expr, _) => Some(expr),
        Item::Wildcard(_) => None,
    });
    let mut found = false;
    for expr in assignments.iter().map(|assignment| &assignment.value).chain(rest).chain(returned) {
        expr.walk(&mut |part| found |= matches!(part, Expr::Query(_) | Expr::InQuery(..)));
    }
    found
}

/// The token behind the query that begins at this one.
fn end(lexemes: &[crate::sql::parse::Lexeme], first: usize) -> usize {
    let mut depth = 0_i32;
    for at in first..lexemes.len() {
        let lexeme = &lexemes[at];
        depth += i32::from(lexeme.is_symbol("(")) - i32::from(lexeme.is_symbol(")"));
        let next = |word: &str| lexemes.get(at + 1).is_some_and(|next| next.is(word));
        let conflict = lexeme.is("on") && next("conflict");
        if depth == 0 && (conflict || lexeme.is("returning") || lexeme.is_symbol(";")) {
            return at;
        }
    }
    lexemes.len()
}

//! Order: ORDER BY, LIMIT and OFFSET over several shards. In: facts and places of these clauses. Out: sort columns,
//! hidden ones among them, and splices so that each shard sends enough rows. Never: an order the router cannot
//! reproduce.

use super::{
    Piece, Source, Splice,
    aggregate::{Column, Scatter},
    refuse::refusal,
};
use crate::{
    error::catalogue,
    merge::OrderBy,
    plan::Refusal,
    sql::{
        facts::{Expr, Limit, LiteralKind, Query, Sort},
        fingerprint::SlotKind,
        rewrite::{self, Range},
    },
};

/// A sort key without ASC, DESC and NULLS.
pub(super) fn bare(scatter: &Scatter<'_>, range: Range) -> Range {
    let is = |at: usize, words: &[&str]| words.iter().any(|word| scatter.lexemes[at].is(word));
    let mut last = range.last;
    if last >= range.first + 3 && is(last - 2, &["nulls"]) && is(last - 1, &["first", "last"]) {
        last -= 2;
    }
    if last >= range.first + 2 && is(last - 1, &["asc", "desc"]) {
        last -= 1;
    }
    Range { first: range.first, last }
}

/// Which output column a sort key is: by position, by name, or by being the same expression.
fn output(scatter: &mut Scatter<'_>, sort: &Sort, range: Range) -> Option<usize> {
    match &sort.expr {
        Expr::Literal { kind: LiteralKind::Integer, negative: false, at } => {
            let place = scatter.fixed_number(*at)?;
            // behind them stand those of sort keys before this one, which the client knows nothing of
            let shown = scatter.columns.iter().filter(|column| !column.hidden).count();
            (1..=shown).contains(&place).then(|| place - 1)
        }
        Expr::Column { qualifier, name } => {
            let named = |column: &Column| column.name.as_deref() == Some(name);
            let found = qualifier.is_empty().then(|| scatter.columns.iter().position(named)).flatten();
            found.or_else(|| scatter.columns.iter().position(|column| column.expr.as_ref() == Some(&sort.expr)))
        }
        _ => {
            let ranges = scatter.columns.iter().map(|column| column.range);
            let same = |item: &Option<Range>| {
                item.is_some_and(|item| rewrite::same(scatter.input.text, scatter.lexemes, item, range))
            };
            let found = ranges.enumerate().find(|(_, item)| same(item))?.0;
            scatter.fix(range);
            Some(found)
        }
    }
}

/// Sort columns of rows that pass as they are; what is not in the output is appended to the select list.
pub(super) fn plain(scatter: &mut Scatter<'_>, query: &Query, distinct: bool) -> Result<Vec<OrderBy>, Refusal> {
    let mut all = vec![];
    for (sort, range) in query.order.iter().zip(scatter.clauses.order_by.clone()) {
        let range = bare(scatter, range);
        check(sort)?;
        let column = match output(scatter, sort, range) {
            Some(column) => column,
            None if distinct || matches!(sort.expr, Expr::Literal { .. } | Expr::Null | Expr::Parameter(_)) => {
                return Err(scatter.unsupported("ORDER BY something that is not selected"));
            }
            None => hidden(scatter, &sort.expr, range)?,
        };
        orderable(scatter, column)?;
        all.push(OrderBy { column, descending: sort.descending, nulls_first: sort.nulls_first });
    }
    Ok(all)
}

/// Sort columns of grouped rows: output columns only.
pub(super) fn grouped(scatter: &mut Scatter<'_>, query: &Query) -> Result<Vec<OrderBy>, Refusal> {
    let mut all = vec![];
    for (sort, range) in query.order.iter().zip(scatter.clauses.order_by.clone()) {
        let range = bare(scatter, range);
        check(sort)?;
        let Some(column) = output(scatter, sort, range) else {
            return Err(scatter.unsupported("ORDER BY something that is not selected, with aggregates"));
        };
        orderable(scatter, column)?;
        all.push(OrderBy { column, descending: sort.descending, nulls_first: sort.nulls_first });
    }
    Ok(all)
}

fn check(sort: &Sort) -> Result<(), Refusal> {
    if sort.using {
        return Err(refusal(catalogue::MANY_SHARDS, "ORDER BY USING", "Use ASC or DESC."));
    }
    Ok(())
}

/// Appends a sort key to the select list, with a name that makes no name of the client's ambiguous.
fn hidden(scatter: &mut Scatter<'_>, expr: &Expr, range: Range) -> Result<usize, Refusal> {
    let Some((start, end)) = rewrite::shape_span(scatter.input.lexed, scatter.lexemes, range) else {
        return Err(scatter.unsupported("ORDER BY in this form"));
    };
    let name = format!(" AS pgring_order_{}", scatter.columns.len());
    scatter.append(vec![Piece::Text(", ".into()), Piece::Span(start, end), Piece::Text(name)]);
    let stored = scatter.stored(expr);
    let (byte_order, known) = stored.map_or((collates_by_bytes(expr), false), |column| (column.byte_order, true));
    let column = Column { name: None, expr: Some(expr.clone()), range: None, byte_order, known, hidden: true };
    scatter.columns.push(column);
    Ok(scatter.columns.len() - 1)
}

/// `… COLLATE "C"`
pub(super) fn collates_by_bytes(expr: &Expr) -> bool {
    matches!(expr, Expr::Collate(_, name) if matches!(name.as_str(), "C" | "POSIX" | "ucs_basic"))
}

fn orderable(scatter: &Scatter<'_>, column: usize) -> Result<(), Refusal> {
    match scatter.columns.get(column) {
        Some(Column { known: true, byte_order: false, .. }) => Err(refusal(
            catalogue::UNORDERABLE,
            "ORDER BY a column whose collation does not order by bytes",
            "Add COLLATE \"C\", or narrow the statement to one shard key.",
        )),
        _ => Ok(()),
    }
}

/// LIMIT and OFFSET: sources for the router, splices for the shards. `keep`: shards apply what they can; else (their
/// rows are groups yet to be combined) they send everything.
pub(super) fn limit(
    scatter: &mut Scatter<'_>,
    query: &Query,
    keep: bool,
) -> Result<(Option<Source>, Option<Source>), Refusal> {
    if query.with_ties {
        return Err(scatter.unsupported("FETCH FIRST … WITH TIES"));
    }
    let source = |scatter: &Scatter<'_>, expr: &Expr| match expr {
        Expr::Parameter(n) => Ok(Source::Parameter(*n)),
        Expr::Literal { kind: LiteralKind::Integer, at, negative: false } => {
            super::predicate::slot(scatter.input.lexed, *at, SlotKind::Integer, false)
                .ok_or_else(|| scatter.unsupported("LIMIT in this form"))
        }
        _ => Err(scatter.unsupported("LIMIT or OFFSET with an expression")),
    };
    let limit = match &query.limit {
        None => None,
        Some(Limit::One) => Some(Source::Key(pgring_config::key::KeyValue::Integer(1))),
        Some(Limit::Rows(expr)) => Some(source(scatter, expr)?),
    };
    let offset = query.offset.as_ref().map(|expr| source(scatter, expr)).transpose()?;
    let (limit_range, fetch) = (scatter.clauses.limit, scatter.clauses.fetch);
    if (limit.is_some() != (limit_range.is_some() || fetch.is_some()))
        || (offset.is_some() != scatter.clauses.offset.is_some())
    {
        return Err(scatter.unsupported("LIMIT in this form"));
    }
    if offset.is_none() && keep {
        return Ok((limit, offset));
    }
    let value =
        |range: Option<Range>| range.and_then(|range| rewrite::shape_span(scatter.input.lexed, scatter.lexemes, range));
    let offset_span = value(scatter.clauses.offset_value);
    let limit_span = match (limit_range, fetch) {
        (Some(range), _) => value(Some(range)),
        (None, Some(range)) if range.last - range.first == 5 => {
            value(Some(Range { first: range.first + 2, last: range.first + 3 }))
        }
        _ => None,
    };
    let mut splices = vec![];
    if let Some(range) = limit_range.map(|range| Range { first: range.first - 1, last: range.last }).or(fetch) {
        splices.push((range, limit_text(limit_span, offset_span, keep)));
    }
    if let Some(range) = scatter.clauses.offset {
        splices.push((range, offset_text(offset_span)));
    }
    for (range, with) in splices {
        let Some((start, end)) = rewrite::shape_span(scatter.input.lexed, scatter.lexemes, range) else {
            return Err(scatter.unsupported("LIMIT in this form"));
        };
        scatter.splices.push(Splice { start, end, with });
    }
    Ok((limit, offset))
}

/// A shard's LIMIT: PostgreSQL goes on judging the client's value, and the parameter stays in use.
fn limit_text(limit: Option<(u32, u32)>, offset: Option<(u32, u32)>, keep: bool) -> Vec<Piece> {
    let text = |text: &str| Piece::Text(text.to_owned());
    let span = |span: Option<(u32, u32)>| span.map_or_else(|| text("1"), |(start, end)| Piece::Span(start, end));
    let mut all = vec![text("LIMIT CASE WHEN ("), span(limit), text(")::bigint < 0 THEN ("), span(limit)];
    all.push(text(")::bigint"));
    if keep {
        all.extend([text(" ELSE least(("), span(limit), text(")::numeric")]);
        if let Some((start, end)) = offset {
            all.extend([text(" + greatest(("), Piece::Span(start, end), text(")::bigint, 0)")]);
        }
        all.push(text(", 9223372036854775807)::bigint"));
    }
    all.push(text(" END"));
    all
}

/// A shard's OFFSET: none, but a value that PostgreSQL refuses stays refused.
fn offset_text(offset: Option<(u32, u32)>) -> Vec<Piece> {
    match offset {
        None => vec![],
        Some((start, end)) => {
            vec![Piece::Text("OFFSET least((".into()), Piece::Span(start, end), Piece::Text(")::bigint, 0)".into())]
        }
    }
}

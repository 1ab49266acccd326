//! Regroup: a SELECT whose groups, or rows under DISTINCT, lie on several shards: each gives its part of them, and one
//! PostgreSQL combines the parts and does the rest: HAVING, expressions over aggregates, windows over groups, any order.
//! In: facts, tokens. Out: a gather of partial results. Never: an aggregate whose parts do not combine exactly, or a
//! column that is neither grouped by nor within an aggregate.

use super::{
    Combined, Finish, FinishPiece, Gather, GatherInput, GatherSource, Partial, Piece, Splice, Timed,
    aggregate::{Scatter, anchor, calls, clauses, form, is_aggregate, label},
    build::Input,
    join::Analysis,
    scope::Scope,
};
use crate::sql::{
    facts::{Block, Body, Call, Distinct, Expr, Item, Query},
    parse::{Kind, Lexeme},
    rewrite::{self, Range},
};

/// The temporary table with the parts.
pub(crate) const TABLE: &str = "pgring_groups";

/// Aggregates whose parts combine.
const FUNCTIONS: &[(&str, Combined)] = &[
    ("avg", Combined::Avg),
    ("bit_and", Combined::Same("bit_and")),
    ("bit_or", Combined::Same("bit_or")),
    ("bit_xor", Combined::Same("bit_xor")),
    ("bool_and", Combined::Same("bool_and")),
    ("bool_or", Combined::Same("bool_or")),
    ("count", Combined::Count),
    ("every", Combined::Same("every")),
    ("max", Combined::Same("max")),
    ("min", Combined::Same("min")),
    ("sum", Combined::Sum),
];

/// What stands at some tokens of the select list, HAVING or ORDER BY.
enum Part {
    Group(usize),
    Aggregate(Combined),
}

/// A statement on its way to be put together from parts of its groups.
struct Regroup<'s> {
    input: &'s Input<'s>,
    lexemes: &'s [Lexeme],
    groups: Vec<(Expr, Range)>,
    /// Groups, and aggregates, that were found in expressions, and in tokens.
    found: (usize, usize),
    seen: (usize, usize),
    /// Columns of the parts.
    parts: Vec<Piece>,
    columns: usize,
    finish: Vec<Finish>,
    fixed: Vec<Range>,
}

/// Plans it; None: it has another form. Returns the gather, and the slots whose text shapes it.
pub(crate) fn plan(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    scope: &Scope<'_>,
    query: &Query,
    text: (&[Lexeme], usize),
) -> Option<(Gather, Vec<u32>)> {
    let Body::Select(block) = &query.body else { return None };
    form(analysis, query, block).ok()?;
    let anchor = anchor(analysis).ok()?;
    calls(analysis).ok()?;
    let clauses = clauses(text, block).ok()?;
    let counted = clauses.items.len() == block.items.len() && clauses.order_by.len() == query.order.len();
    if !counted || clauses.group_by.len() != block.group_by.len() || analysis.locks || analysis.into {
        return None;
    }
    let mut scatter = Scatter::new(input, analysis, text.0, clauses, scope, block);
    let mut groups = scatter.group_exprs().ok()?;
    let own = || analysis.calls.iter().filter(|called| called.top).map(|called| called.call);
    let aggregates = own().any(|call| is_aggregate(input, call)) || block.having.is_some();
    let windows = own().any(|call| call.over.is_some());
    let distinct = block.distinct == Distinct::All && groups.is_empty() && !aggregates;
    if groups.is_empty() && !aggregates && (!distinct || windows) {
        return None;
    }
    let items = items(&scatter, block)?;
    if distinct {
        groups = items.iter().map(|(expr, range, _)| ((*expr).clone(), *range)).collect();
    }
    if groups.iter().any(|(expr, _)| !is_plain(expr)) {
        return None;
    }
    let mut regroup = Regroup {
        input,
        lexemes: text.0,
        groups,
        found: (0, 0),
        seen: (0, 0),
        parts: vec![],
        columns: 0,
        finish: vec![],
        fixed: vec![],
    };
    regroup.group_columns()?;
    regroup.rest(&scatter, block, query, &items)?;
    let partial = regroup.partial(&scatter, distinct)?;
    regroup.fixed.iter().for_each(|range| scatter.fix(*range));
    let mut fixed = scatter.fixed.clone();
    fixed.extend(&analysis.fixed);
    fixed.sort_unstable();
    fixed.dedup();
    let instance = &analysis.instances[anchor];
    let source = GatherSource::Sharded { group: instance.sharded.group, recipe: analysis.recipe(anchor) };
    let one = GatherInput {
        table: instance.table.clone(),
        copy: TABLE.into(),
        in_view: false,
        source,
        alias: None,
        columns: vec![],
        filter: vec![],
        key: vec![],
        splices: vec![],
        partial: Some(Box::new(partial)),
    };
    let gather =
        Gather { inputs: vec![one], views: vec![], timed: Timed::No, temporary: false, rows: false, otherwise: None };
    Some((gather, fixed))
}

/// The items of the select list: expression, tokens without alias, alias.
fn items<'b>(scatter: &Scatter<'_>, block: &'b Block) -> Option<Vec<(&'b Expr, Range, Option<&'b String>)>> {
    let item = |(item, range): (&'b Item, &Range)| match item {
        Item::Expr(expr, alias) => Some((expr, scatter.without_alias(*range, alias.is_some()), alias.as_ref())),
        Item::Wildcard(_) => None,
    };
    block.items.iter().zip(&scatter.clauses.items).map(item).collect()
}

/// It can be grouped by where it stands, and has a value by itself.
fn is_plain(expr: &Expr) -> bool {
    let mut plain = !matches!(expr, Expr::Literal { .. } | Expr::Null | Expr::Parameter(_) | Expr::Default);
    expr.walk(&mut |part| plain &= !matches!(part, Expr::Query(_) | Expr::InQuery(..)));
    plain
}

fn holds_literal(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| found |= matches!(part, Expr::Literal { .. }));
    found
}

impl Regroup<'_> {
    fn span(&self, range: Range) -> Option<(u32, u32)> {
        rewrite::shape_span(self.input.lexed, self.lexemes, range)
    }

    /// The expressions of groups come first.
    fn group_columns(&mut self) -> Option<()> {
        for at in 0..self.groups.len() {
            let (start, end) = self.span(self.groups[at].1)?;
            self.add(vec![Piece::Span(start, end)], &format!("g{at}"));
        }
        Some(())
    }

    fn add(&mut self, pieces: Vec<Piece>, name: &str) {
        if !self.parts.is_empty() {
            self.parts.push(Piece::Text(", ".into()));
        }
        self.parts.extend(pieces);
        self.parts.push(Piece::Text(format!("\n AS {name}")));
    }

    /// Select list, HAVING and ORDER BY over the parts.
    fn rest(
        &mut self,
        scatter: &Scatter<'_>,
        block: &Block,
        query: &Query,
        items: &[(&Expr, Range, Option<&String>)],
    ) -> Option<()> {
        let mut names = vec![];
        for (expr, range, alias) in items {
            self.clause(expr, *range)?;
            let name = alias.cloned().or_else(|| label(expr));
            if let (None, Some(name)) = (alias, &name) {
                let (_, end) = self.span(*range)?;
                let text = format!("\n AS \"{}\"", name.replace('"', "\"\""));
                self.finish.push(Finish { start: end, end, with: FinishPiece::Text(text) });
            }
            names.extend(name);
        }
        if let Some(having) = &block.having {
            let range = scatter.clauses.having?;
            self.clause(having, Range { first: range.first + 1, last: range.last })?;
        }
        for (sort, range) in query.order.iter().zip(&scatter.clauses.order_by) {
            match &sort.expr {
                // A position, or a column of the answer.
                Expr::Literal { .. } => {}
                Expr::Column { qualifier, name } if qualifier.is_empty() && names.contains(name) => {}
                _ if sort.using => return None,
                expr => self.clause(expr, super::order::bare(scatter, *range))?,
            }
        }
        Some(())
    }

    /// An expression over groups and aggregates.
    fn clause(&mut self, expr: &Expr, range: Range) -> Option<()> {
        let whole = |(_, group): &(Expr, Range)| rewrite::same(self.input.text, self.lexemes, *group, range);
        if let Some(at) = self.groups.iter().position(whole) {
            self.fixed.extend([range, self.groups[at].1]);
            return self.put(range, Part::Group(at));
        }
        if !self.is_covered(expr) {
            return None;
        }
        let parts = self.parts_of(range)?;
        for (range, part) in parts {
            self.put(range, part)?;
        }
        (self.found == self.seen).then_some(())
    }

    /// Whether every column in an expression is within a group's expression or an aggregate.
    fn is_covered(&mut self, expr: &Expr) -> bool {
        if self.groups.iter().any(|(group, _)| group == expr && !holds_literal(group)) {
            self.found.0 += 1;
            return true;
        }
        match expr {
            Expr::Column { .. } | Expr::Query(_) | Expr::InQuery(..) | Expr::Default => false,
            Expr::Call(call) if is_aggregate(self.input, call) => {
                self.found.1 += 1;
                combines(call)
            }
            _ => expr.parts().into_iter().all(|part| self.is_covered(part)),
        }
    }

    /// The groups and aggregates at these tokens.
    fn parts_of(&mut self, range: Range) -> Option<Vec<(Range, Part)>> {
        let mut all = vec![];
        let mut at = range.first;
        let mut by_length: Vec<usize> = (0..self.groups.len()).collect();
        by_length.sort_by_key(|group| std::cmp::Reverse(self.groups[*group].1.last - self.groups[*group].1.first));
        while at < range.last {
            if let Some((last, function)) = self.aggregate(at, range.last)? {
                self.seen.1 += 1;
                all.push((Range { first: at, last }, Part::Aggregate(function)));
                at = last;
                continue;
            }
            let group = by_length.iter().copied().find_map(|group| Some((group, self.group_at(group, at, range)?)));
            match group {
                Some((group, last)) => {
                    self.seen.0 += 1;
                    all.push((Range { first: at, last }, Part::Group(group)));
                    at = last;
                }
                None => at += 1,
            }
        }
        Some(all)
    }

    /// The aggregate that begins at this token, and where it ends; None: what follows is not read here.
    fn aggregate(&self, at: usize, last: usize) -> Option<Option<(usize, Combined)>> {
        let Kind::Word(word) = &self.lexemes[at].kind else { return Some(None) };
        let symbol = |at: usize, symbol: &str| at < last && self.lexemes[at].is_symbol(symbol);
        let Some((_, function)) =
            FUNCTIONS.iter().find(|(name, _)| *name == word.as_str()).filter(|_| symbol(at + 1, "("))
        else {
            return Some(None);
        };
        if at > 0 && self.lexemes[at - 1].is_symbol(".") {
            return None;
        }
        let close = |open: usize| {
            let mut depth = 0_i32;
            (open..last).find(|at| {
                depth += i32::from(symbol(*at, "(")) - i32::from(symbol(*at, ")"));
                depth == 0
            })
        };
        let mut end = close(at + 1)? + 1;
        if end < last && self.lexemes[end].is("filter") && symbol(end + 1, "(") {
            end = close(end + 1)? + 1;
        }
        let over = end < last && self.lexemes[end].is("over");
        Some((!over).then_some((end, *function)))
    }

    /// Where this group's expression ends, if it stands at this token and is a whole operand there.
    fn group_at(&self, group: usize, at: usize, range: Range) -> Option<usize> {
        let own = self.groups[group].1;
        let last = at + own.last - own.first;
        let here = Range { first: at, last };
        if last > range.last || !rewrite::same(self.input.text, self.lexemes, own, here) {
            return None;
        }
        let before = at.checked_sub(1).filter(|before| *before >= range.first).map(|before| &self.lexemes[before]);
        let behind = (last < range.last).then(|| &self.lexemes[last]);
        let dot = |lexeme: Option<&Lexeme>| lexeme.is_some_and(|lexeme| lexeme.is_symbol("."));
        let named = before.is_some_and(|before| before.is("as"));
        let goes_on = behind.is_some_and(|behind| {
            behind.is_symbol("(") || behind.is_symbol("[") || matches!(behind.kind, Kind::String)
        });
        if dot(before) || dot(behind) || named || goes_on {
            return None;
        }
        let is_name =
            self.lexemes[at..last].iter().all(|lexeme| lexeme.identifier().is_some() || lexeme.is_symbol("."));
        let opens = self.lexemes.get(at + 1).is_some_and(|next| next.is_symbol("("));
        let is_call = self.lexemes[at].identifier().is_some() && opens && self.closes(at + 1) == Some(last - 1);
        let alone = before.is_none_or(|before| before.is_symbol("(") || before.is_symbol(","))
            && behind.is_none_or(|behind| behind.is_symbol(")") || behind.is_symbol(","));
        (is_name || is_call || alone).then_some(last)
    }

    fn closes(&self, open: usize) -> Option<usize> {
        let mut depth = 0_i32;
        (open..self.lexemes.len()).find(|at| {
            depth += i32::from(self.lexemes[*at].is_symbol("(")) - i32::from(self.lexemes[*at].is_symbol(")"));
            depth == 0
        })
    }

    /// Puts a column of the parts in a place.
    fn put(&mut self, range: Range, part: Part) -> Option<()> {
        let (start, end) = self.span(range)?;
        let with = match part {
            Part::Group(at) => FinishPiece::Text(format!("{TABLE}.g{at}")),
            Part::Aggregate(function) => {
                let column = self.columns;
                if function == Combined::Avg {
                    let (name_start, name_end) = self.span(Range { first: range.first, last: range.first + 1 })?;
                    debug_assert!(name_start == start && name_end < end);
                    for (nth, name) in ["sum", "count"].into_iter().enumerate() {
                        let pieces = vec![Piece::Text(name.into()), Piece::Span(name_end, end)];
                        self.add(pieces, &format!("p{}", column + nth));
                    }
                    self.columns += 2;
                } else {
                    self.add(vec![Piece::Span(start, end)], &format!("p{column}"));
                    self.columns += 1;
                }
                FinishPiece::Aggregate { function, column }
            }
        };
        self.finish.push(Finish { start, end, with });
        Some(())
    }

    /// The text that gives the parts, and the one that combines them.
    fn partial(&mut self, scatter: &Scatter<'_>, distinct: bool) -> Option<Partial> {
        let clauses = &scatter.clauses;
        let list = Range { first: clauses.items.first()?.first, last: clauses.items.last()?.last };
        let splice = |range: Range, with: Vec<Piece>| {
            let (start, end) = rewrite::shape_span(self.input.lexed, self.lexemes, range)?;
            Some(Splice { start, end, with })
        };
        let mut splices = vec![splice(list, self.parts.clone())?];
        if let Some(range) = clauses.group.filter(|_| !distinct) {
            let mut with = vec![Piece::Text("GROUP BY ".into())];
            for (nth, (_, group)) in self.groups.iter().enumerate() {
                let (start, end) = self.span(*group)?;
                with.push(Piece::Text(if nth == 0 { "(".into() } else { "\n), (".into() }));
                with.push(Piece::Span(start, end));
            }
            with.push(Piece::Text("\n)".into()));
            splices.push(splice(range, with)?);
            let names: Vec<String> = (0..self.groups.len()).map(|at| format!("{TABLE}.g{at}")).collect();
            let (start, end) = self.span(range)?;
            let with = FinishPiece::Text(format!("GROUP BY {}", names.join(", ")));
            self.finish.push(Finish { start, end, with });
        }
        let limit = clauses.limit.map(|range| Range { first: range.first - 1, last: range.last });
        let unneeded = [clauses.having, clauses.order, limit, clauses.offset, clauses.fetch];
        for range in unneeded.into_iter().flatten() {
            splices.push(splice(range, vec![])?);
        }
        for at in (0..self.lexemes.len()).rev().take_while(|at| self.lexemes[*at].is_symbol(";")) {
            splices.push(splice(Range { first: at, last: at + 1 }, vec![])?);
        }
        let (start, end) = self.span(clauses.from?)?;
        self.finish.push(Finish { start, end, with: FinishPiece::Text(format!("FROM pg_temp.{TABLE}")) });
        splices.sort_by_key(|splice| (splice.start, splice.end));
        self.finish.sort_by_key(|finish| (finish.start, finish.end));
        Some(Partial { splices, finish: std::mem::take(&mut self.finish) })
    }
}

/// Its parts can be combined.
fn combines(call: &Call) -> bool {
    let known = FUNCTIONS.iter().any(|(name, _)| *name == call.name.name);
    let fits = if call.star { call.name.name == "count" } else { call.arguments.len() == 1 };
    known && fits && call.name.schema.is_none() && !call.ordered_or_distinct && call.rest.is_empty()
}

//! Aggregate: whether a SELECT over several shards can be put together from its shards' rows, and how. In: facts,
//! who follows whom, places of clauses. Out: splices and a merge. Never: a form that is not proven exact; those
//! are refused (`correctness.md` 4).

use super::{
    Piece, Refusal, Splice,
    build::Input,
    join::Analysis,
    order,
    parted::Rows,
    predicate,
    refuse::refusal,
    scope::{Scope, Selected},
};
use crate::{
    error::catalogue,
    merge::{Aggregate, Merge, Output},
    sql::{
        facts::{Block, Body, Call, Distinct, Expr, Item, LiteralKind, Query},
        parse::Lexeme,
        rewrite::{self, Clauses, Range},
        volatility::Builtin,
    },
    topology::schema,
};

/// A column of what the shards send.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// The name PostgreSQL gives it, if it is known.
    pub(super) name: Option<String>,
    /// Its expression.
    pub(super) expr: Option<Expr>,
    /// Its tokens.
    pub(super) range: Option<Range>,
    /// It surely sorts by bytes.
    pub(super) byte_order: bool,
    /// It is a bare column whose collation is known.
    pub(super) known: bool,
    /// It was added for sorting.
    pub(super) hidden: bool,
}

/// A SELECT on its way to several shards.
pub(super) struct Scatter<'s> {
    /// What the plan is built from.
    pub(super) input: &'s Input<'s>,
    /// Tokens.
    pub(super) lexemes: &'s [Lexeme],
    /// Places of clauses.
    pub(super) clauses: Clauses,
    scope: &'s Scope<'s>,
    block: &'s Block,
    /// Columns, hidden ones last.
    pub(super) columns: Vec<Column>,
    /// Changes to the text.
    pub(super) splices: Vec<Splice>,
    appended: Vec<Piece>,
    /// A table has a column in which different texts are equal.
    loose: bool,
    /// Slots whose text shapes the plan.
    pub(super) fixed: Vec<u32>,
}

/// A scatter that is proven exact.
#[derive(Clone, Debug)]
pub(crate) struct Scattered {
    /// The instance whose keys lead to the shards.
    pub(crate) anchor: usize,
    /// Changes to the text.
    pub(crate) splices: Vec<Splice>,
    /// How rows are merged.
    pub(crate) merge: Merge,
    /// Slots whose text shapes the plan.
    pub(crate) fixed: Vec<u32>,
}

fn no(what: impl Into<String>) -> Refusal {
    refusal(catalogue::MANY_SHARDS, what, "Narrow the statement to one shard key, or split it up.")
}

/// Plans a SELECT over several shards.
pub(crate) fn scatter(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    scope: &Scope<'_>,
    query: &Query,
    text: (&[Lexeme], usize),
) -> Result<Scattered, Refusal> {
    let Body::Select(block) = &query.body else { return Err(no("a set operation or VALUES")) };
    form(analysis, query, block)?;
    let anchor = anchor(analysis)?;
    calls(analysis)?;
    let keyed = |expr: &Expr| {
        scope.key(expr).is_some_and(|instance| {
            let found = &analysis.instances[instance];
            found.top
                && !found.nullable
                && (instance == anchor
                    || analysis.reached(instance).contains(&anchor) && analysis.reached(anchor).contains(&instance))
        })
    };
    let clauses = clauses(text, block)?;
    let same_counts = clauses.items.len() == block.items.len()
        && clauses.order_by.len() == query.order.len()
        && clauses.group_by.len() == block.group_by.len();
    if !same_counts {
        return Err(no("a SELECT in this form"));
    }
    let mut scatter = Scatter::new(input, analysis, text.0, clauses, scope, block);
    let merge = scatter.plan(analysis, query, &keyed)?;
    scatter.finish(anchor, merge, analysis)
}

/// The clauses of the statement, whose outermost SELECT, or the first of them, is this.
pub(super) fn clauses(text: (&[Lexeme], usize), block: &Block) -> Result<Clauses, Refusal> {
    let is_first = |lexeme: &Lexeme| lexeme.start == block.at;
    let first = text.0.iter().skip(text.1).position(is_first).map(|at| at + text.1);
    first.and_then(|first| rewrite::clauses(text.0, first)).ok_or_else(|| no("a SELECT in this form"))
}

/// Plans a set operation over several shards, each of which gives its part of it.
pub(crate) fn united(
    input: &Input<'_>,
    analysis: &Analysis<'_>,
    rows: &Rows,
    query: &Query,
    text: (&[Lexeme], usize),
) -> Result<Scattered, Refusal> {
    splittable(analysis, query)?;
    calls(analysis)?;
    let anchor = rows.anchor.filter(|anchor| followed(analysis, *anchor)).ok_or_else(not_on_key)?;
    let mut first = &query.body;
    let block = loop {
        match first {
            Body::Set(set) => first = &set.left,
            Body::Select(block) => break &**block,
            _ => return Err(no("a set operation in this form")),
        }
    };
    let clauses = clauses(text, block)?;
    let Some(columns) = rows.columns.as_ref().filter(|_| clauses.order_by.len() == query.order.len()) else {
        return Err(no("* over columns that are not known here"));
    };
    let column = |column: &super::parted::Column| Column {
        name: column.name.clone(),
        expr: None,
        range: None,
        byte_order: false,
        known: false,
        hidden: false,
    };
    let columns = columns.iter().map(column).collect();
    let scope = Scope::default();
    let mut scatter = Scatter { columns, ..Scatter::new(input, analysis, text.0, clauses, &scope, block) };
    let merge = scatter.concat(query, true)?;
    scatter.finish(anchor, merge, analysis)
}

fn loose(input: &Input<'_>, analysis: &Analysis<'_>) -> bool {
    let tables =
        analysis.tables().map(|(_, instance)| &instance.table).chain(analysis.others.iter().map(|other| &other.table));
    let mut columns = tables.filter_map(|table| input.schema.relation(table)).flat_map(|relation| &relation.columns);
    columns.any(|column| !column.deterministic)
}

pub(super) fn form(analysis: &Analysis<'_>, query: &Query, block: &Block) -> Result<(), Refusal> {
    let cases = [
        (block.windows, "a WINDOW clause"),
        (block.grouping_sets, "GROUPING SETS, ROLLUP or CUBE"),
        (block.distinct == Distinct::On, "DISTINCT ON"),
        (block.items.is_empty(), "an empty select list"),
    ];
    match cases.into_iter().find(|(found, _)| *found) {
        Some((_, what)) => Err(no(what)),
        None => splittable(analysis, query),
    }
}

fn splittable(analysis: &Analysis<'_>, query: &Query) -> Result<(), Refusal> {
    let cases = [
        (analysis.locks && !may_lock(analysis, query)).then_some("a locking clause"),
        query.with_ties.then_some("FETCH FIRST … WITH TIES"),
        analysis.apart,
        analysis.unsplittable.as_deref(),
    ];
    match cases.into_iter().flatten().next() {
        Some(what) => Err(no(what)),
        None => Ok(()),
    }
}

/// Each shard locks the rows that it gives, and no others: those that one PostgreSQL would lock.
fn may_lock(analysis: &Analysis<'_>, query: &Query) -> bool {
    let cut = query.limit.is_some() || query.offset.is_some();
    query.locks && !analysis.locks_inside && !cut && !analysis.reference
}

/// The instance that every other one follows, so that each row of the answer comes from its shard alone.
pub(super) fn anchor(analysis: &Analysis<'_>) -> Result<usize, Refusal> {
    let top = |at: &usize| analysis.instances[*at].top && !analysis.instances[*at].nullable;
    let mut all = (0..analysis.instances.len()).filter(top);
    all.find(|anchor| followed(analysis, *anchor)).ok_or_else(not_on_key)
}

fn followed(analysis: &Analysis<'_>, anchor: usize) -> bool {
    (0..analysis.instances.len()).all(|other| analysis.reached(other).contains(&anchor))
}

fn not_on_key() -> Refusal {
    let hint = "Join sharded tables by their shard keys, and keep a sharded table on the preserved side.";
    refusal(catalogue::MANY_SHARDS, "a join or sub-select that is not on the shard key", hint)
}

pub(super) fn calls(analysis: &Analysis<'_>) -> Result<(), Refusal> {
    for called in &analysis.calls {
        let name = &called.call.name.name;
        match called.class {
            super::read::Class::Builtin(Builtin::Pure | Builtin::Window | Builtin::Aggregate) => {}
            super::read::Class::Builtin(Builtin::Stable) => {
                return Err(no(format!("{name}, whose value differs between servers")));
            }
            _ => return Err(no(format!("{name}, a function not known to be the same on every shard"))),
        }
    }
    Ok(())
}

pub(super) fn is_aggregate(input: &Input<'_>, call: &Call) -> bool {
    call.over.is_none()
        && matches!(super::read::class(input, &call.name), super::read::Class::Builtin(Builtin::Aggregate))
}

impl<'s> Scatter<'s> {
    pub(super) fn new(
        input: &'s Input<'s>,
        analysis: &Analysis<'_>,
        lexemes: &'s [Lexeme],
        clauses: Clauses,
        scope: &'s Scope<'s>,
        block: &'s Block,
    ) -> Self {
        let loose = loose(input, analysis);
        let (columns, splices, appended, fixed) = (vec![], vec![], vec![], vec![]);
        Self { input, lexemes, clauses, scope, block, columns, splices, appended, loose, fixed }
    }

    /// A refusal of this form over several shards.
    pub(super) fn unsupported(&self, what: &str) -> Refusal {
        no(what)
    }

    /// What the schema knows of an expression that is a bare column.
    pub(super) fn stored(&self, expr: &Expr) -> Option<&schema::Column> {
        let Expr::Column { qualifier, name } = expr else { return None };
        let source = self.scope.source(qualifier, name)?;
        self.stored_in(source.table.as_ref()?, source.columns.as_ref()?, name)
    }

    fn stored_in(
        &self,
        table: &pgring_config::tables::TableName,
        shown: &[String],
        name: &str,
    ) -> Option<&schema::Column> {
        let place = shown.iter().position(|column| column == name)?;
        self.input.schema.relation(table)?.columns.get(place)
    }

    /// The number a literal stands for; its slot then shapes the plan.
    pub(super) fn fixed_number(&mut self, at: usize) -> Option<usize> {
        let (slot, number) = predicate::number(self.input, at)?;
        self.fixed.push(slot);
        Some(number)
    }

    /// The literals of these tokens shape the plan.
    pub(super) fn fix(&mut self, range: Range) {
        self.fixed.extend(rewrite::slots(self.input.lexed, self.lexemes, range));
    }

    /// Appends to the select list.
    pub(super) fn append(&mut self, pieces: Vec<Piece>) {
        self.appended.extend(pieces);
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        if !self.appended.is_empty() {
            let last = self.clauses.items.last().copied();
            let span = last.and_then(|range| rewrite::shape_span(self.input.lexed, self.lexemes, range));
            let Some((_, end)) = span else { return Err(no("a select list in this form")) };
            self.splices.push(Splice { start: end, end, with: std::mem::take(&mut self.appended) });
        }
        self.splices.sort_by_key(|splice| (splice.start, splice.end));
        self.fixed.sort_unstable();
        self.fixed.dedup();
        Ok(())
    }

    fn finish(mut self, anchor: usize, merge: Merge, analysis: &Analysis<'_>) -> Result<Scattered, Refusal> {
        self.fixed.extend(&analysis.fixed);
        self.flush()?;
        Ok(Scattered { anchor, splices: self.splices, merge, fixed: self.fixed })
    }

    fn plan(
        &mut self,
        analysis: &Analysis<'_>,
        query: &Query,
        keyed: &dyn Fn(&Expr) -> bool,
    ) -> Result<Merge, Refusal> {
        let own = || analysis.calls.iter().filter(|called| called.top).map(|called| called.call);
        let aggregates = own().any(|call| is_aggregate(self.input, call));
        for call in own().filter(|call| call.over.is_some()) {
            if !matches!(&call.over, Some(Some(partition)) if partition.iter().any(keyed)) {
                return Err(no("a window that is not partitioned by the shard key"));
            }
        }
        let windows = own().any(|call| call.over.is_some());
        let group = self.group_exprs()?;
        let by_key = group.iter().any(|(expr, _)| keyed(expr));
        if !by_key && (aggregates || !group.is_empty() || self.block.having.is_some()) {
            if windows || self.block.distinct != Distinct::No {
                return Err(no("DISTINCT or a window over aggregates"));
            }
            return self.grouped(query, &group);
        }
        if analysis.in_order_below && query.order.is_empty() {
            return Err(no("a sub-select or view that puts its rows in order"));
        }
        self.expand()?;
        let distinct = self.block.distinct == Distinct::All;
        if distinct && !self.columns.iter().filter_map(|column| column.expr.as_ref()).any(keyed) {
            return Err(no("DISTINCT without the shard key in the select list"));
        }
        self.concat(query, distinct)
    }

    fn concat(&mut self, query: &Query, distinct: bool) -> Result<Merge, Refusal> {
        let visible = self.columns.len();
        let order = order::plain(self, query, distinct)?;
        let (limit, offset) = order::limit(self, query, true)?;
        let byte_ordered = (0..self.columns.len()).filter(|at| self.columns[*at].byte_order).collect();
        debug_assert!(self.columns.iter().skip(visible).all(|column| column.hidden));
        let output = (0..visible).map(Output::Column).collect();
        Ok(Merge { output, group_by: None, order, limit, offset, byte_ordered })
    }

    /// The expressions of GROUP BY, with their tokens; aliases and positions are looked up.
    pub(super) fn group_exprs(&mut self) -> Result<Vec<(Expr, Range)>, Refusal> {
        let mut all = vec![];
        for (expr, range) in self.block.group_by.iter().zip(self.clauses.group_by.clone()) {
            let place = match expr {
                Expr::Literal { kind: LiteralKind::Integer, negative: false, at } => {
                    let place = self.fixed_number(*at).unwrap_or(0);
                    Some(place.checked_sub(1).ok_or_else(|| no("GROUP BY in this form"))?)
                }
                Expr::Literal { .. } | Expr::Null | Expr::Parameter(_) => return Err(no("GROUP BY in this form")),
                Expr::Column { qualifier, name } if qualifier.is_empty() && self.scope.source(&[], name).is_none() => {
                    let named = |item: &Item| matches!(item, Item::Expr(_, Some(alias)) if alias == name);
                    self.block.items.iter().position(named)
                }
                _ => None,
            };
            match place {
                None => all.push((expr.clone(), range)),
                Some(place) => match (self.block.items.get(place), self.clauses.items.get(place)) {
                    (Some(Item::Expr(expr, alias)), Some(range)) if !self.has_wildcard() => {
                        all.push((expr.clone(), self.without_alias(*range, alias.is_some())));
                    }
                    _ => return Err(no("GROUP BY in this form")),
                },
            }
        }
        Ok(all)
    }

    fn has_wildcard(&self) -> bool {
        self.block.items.iter().any(|item| matches!(item, Item::Wildcard(_)))
    }

    pub(super) fn without_alias(&self, range: Range, alias: bool) -> Range {
        let mut last = range.last;
        if alias {
            last -= 1;
            if last > range.first + 1 && self.lexemes[last - 1].is("as") {
                last -= 1;
            }
        }
        Range { first: range.first, last }
    }

    /// Columns of the select list as they stand.
    fn expand(&mut self) -> Result<(), Refusal> {
        let Some(selected) = self.scope.selected(&self.block.items) else {
            return Err(no("* over columns that are not known here"));
        };
        for Selected { item, name, expr } in selected {
            let range = item.map(|at| self.without_alias(self.clauses.items[at], name.is_some()));
            let column = self.column(&expr, name.or_else(|| label(&expr)), range);
            self.columns.push(column);
        }
        Ok(())
    }

    fn column(&self, expr: &Expr, name: Option<String>, range: Option<Range>) -> Column {
        let stored = self.stored(expr);
        let byte_order = stored.map_or(order::collates_by_bytes(expr), |column| column.byte_order);
        Column { name, expr: Some(expr.clone()), range, byte_order, known: stored.is_some(), hidden: false }
    }

    /// Groups that lie on several shards: each item is a group's expression or one whole aggregate.
    fn grouped(&mut self, query: &Query, group: &[(Expr, Range)]) -> Result<Merge, Refusal> {
        if self.block.having.is_some() {
            return Err(no("HAVING, unless grouped by the shard key,"));
        }
        for (expr, _) in group {
            self.deterministic(expr)?;
        }
        let mut place = Grouping { inputs: 0, output: vec![], byte_ordered: vec![], by: vec![None; group.len()] };
        for (item, range) in self.block.items.iter().zip(self.clauses.items.clone()) {
            let Item::Expr(expr, alias) = item else { return Err(no("* with aggregates")) };
            let range = self.without_alias(range, alias.is_some());
            self.group_item(&mut place, expr, alias.as_ref(), range, group)?;
        }
        for (at, (expr, range)) in group.iter().enumerate() {
            if place.by[at].is_none() {
                let Some((start, end)) = rewrite::shape_span(self.input.lexed, self.lexemes, *range) else {
                    return Err(no("GROUP BY in this form"));
                };
                self.append(vec![Piece::Text(", ".into()), Piece::Span(start, end)]);
                place.by[at] = Some(place.inputs);
                if self.stored(expr).is_some_and(|column| column.byte_order) {
                    place.byte_ordered.push(place.inputs);
                }
                place.inputs += 1;
            }
        }
        let order = order::grouped(self, query)?;
        let (limit, offset) = order::limit(self, query, false)?;
        self.drop_order(query)?;
        Ok(Merge {
            output: place.output,
            group_by: Some(place.by.into_iter().flatten().collect()),
            order,
            limit,
            offset,
            byte_ordered: place.byte_ordered,
        })
    }

    fn group_item(
        &mut self,
        place: &mut Grouping,
        expr: &Expr,
        alias: Option<&String>,
        range: Range,
        group: &[(Expr, Range)],
    ) -> Result<(), Refusal> {
        let same = |(other, tokens): &&(Expr, Range)| {
            bare_equal(expr, other) || rewrite::same(self.input.text, self.lexemes, *tokens, range)
        };
        let found = group.iter().enumerate().find(|(_, one)| same(one)).map(|(at, _)| at);
        if let Some(at) = found {
            self.fix(range);
            self.fix(group[at].1);
            let column = self.column(expr, alias.cloned().or_else(|| label(expr)), Some(range));
            if column.byte_order {
                place.byte_ordered.push(place.inputs);
            }
            self.columns.push(column);
            place.output.push(Output::Column(place.inputs));
            place.by[at].get_or_insert(place.inputs);
            place.inputs += 1;
            return Ok(());
        }
        let function = self.splittable(expr)?;
        let name = alias.cloned().or_else(|| label(expr));
        let mut column = self.column(expr, name.clone(), Some(range));
        (column.byte_order, column.known) = (false, false);
        if let (Aggregate::Min | Aggregate::Max, Expr::Call(call)) = (function, expr) {
            let ordered = call.arguments.first().is_some_and(|argument| self.by_bytes(argument));
            self.orderable_argument(call)?;
            if ordered {
                place.byte_ordered.push(place.inputs);
            }
        }
        self.columns.push(column);
        place.output.push(Output::Aggregate { function, input: place.inputs, name: name.unwrap_or_default() });
        place.inputs += 1;
        if function == Aggregate::Avg {
            self.split_average(range)?;
            place.inputs += 1;
        }
        Ok(())
    }

    fn by_bytes(&self, expr: &Expr) -> bool {
        self.stored(expr).map_or(order::collates_by_bytes(expr), |column| column.byte_order)
    }

    fn orderable_argument(&self, call: &Call) -> Result<(), Refusal> {
        match call.arguments.first().and_then(|argument| self.stored(argument)) {
            Some(column) if !column.byte_order => Err(refusal(
                catalogue::UNORDERABLE,
                format!("{} of a column whose collation does not order by bytes", call.name.name),
                "Add COLLATE \"C\", or narrow the statement to one shard key.",
            )),
            _ => Ok(()),
        }
    }

    /// An expression whose partial results can be combined: one whole call of a known aggregate.
    fn splittable(&self, expr: &Expr) -> Result<Aggregate, Refusal> {
        let Expr::Call(call) = expr else {
            return Err(no("an item that is neither grouped by nor one whole aggregate"));
        };
        let function = match call.name.name.as_str() {
            "count" => Aggregate::Count,
            "sum" => Aggregate::Sum,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "avg" => Aggregate::Avg,
            name => return Err(no(format!("{name}(…), unless grouped by the shard key,"))),
        };
        if !is_aggregate(self.input, call) || call.ordered_or_distinct || !call.rest.is_empty() {
            return Err(no("an aggregate with DISTINCT or ORDER BY"));
        }
        let arguments_fit = if call.star { function == Aggregate::Count } else { call.arguments.len() == 1 };
        if !arguments_fit {
            return Err(no("an aggregate in this form"));
        }
        Ok(function)
    }

    /// `avg(x) …` becomes `sum(x) …, count(x) …`.
    fn split_average(&mut self, range: Range) -> Result<(), Refusal> {
        let open = (range.first..range.last).find(|at| self.lexemes[*at].is_symbol("("));
        let name =
            open.filter(|open| *open == range.first + 1).map(|_| Range { first: range.first, last: range.first + 1 });
        let rest = Range { first: range.first + 1, last: range.last };
        let span = |range: Range| rewrite::shape_span(self.input.lexed, self.lexemes, range);
        let (Some((name_start, name_end)), Some((start, end))) = (name.and_then(span), span(rest)) else {
            return Err(no("avg in this form"));
        };
        let text = |text: &str| Piece::Text(text.to_owned());
        self.splices.push(Splice { start: name_start, end: name_end, with: vec![text("sum")] });
        let after = self.item_end(range)?;
        let with = vec![text(", count"), Piece::Span(start, end)];
        self.splices.push(Splice { start: after, end: after, with });
        Ok(())
    }

    /// Where the item that these tokens belong to ends, its alias included.
    fn item_end(&self, range: Range) -> Result<u32, Refusal> {
        let item = self.clauses.items.iter().find(|item| item.first == range.first);
        let span = item.and_then(|item| rewrite::shape_span(self.input.lexed, self.lexemes, *item));
        span.map(|(_, end)| end).ok_or_else(|| no("a select list in this form"))
    }

    /// Groups are equal by bytes or by a type without collation; a nondeterministic collation is neither.
    fn deterministic(&self, expr: &Expr) -> Result<(), Refusal> {
        let mut fault = false;
        expr.walk(&mut |part| {
            fault |= match (part, self.stored(part)) {
                (_, Some(column)) => !column.deterministic,
                // A column of a sub-select.
                (Expr::Column { .. }, None) => self.loose,
                (part, None) => matches!(part, Expr::Query(_) | Expr::InQuery(..)),
            };
        });
        if fault {
            return Err(refusal(
                catalogue::UNORDERABLE,
                "GROUP BY a column with a nondeterministic collation",
                "Narrow the statement to one shard key.",
            ));
        }
        Ok(())
    }

    /// The shards need not sort what is grouped here.
    fn drop_order(&mut self, query: &Query) -> Result<(), Refusal> {
        let Some(range) = self.clauses.order.filter(|_| !query.order.is_empty()) else { return Ok(()) };
        let holds_parameter = query.order.iter().any(|sort| {
            let mut found = false;
            sort.expr.walk(&mut |part| found |= matches!(part, Expr::Parameter(_)));
            found
        });
        if holds_parameter {
            return Err(no("ORDER BY with a parameter, with aggregates"));
        }
        let Some((start, end)) = rewrite::shape_span(self.input.lexed, self.lexemes, range) else {
            return Err(no("ORDER BY in this form"));
        };
        self.splices.push(Splice { start, end, with: vec![] });
        Ok(())
    }
}

struct Grouping {
    inputs: usize,
    output: Vec<Output>,
    byte_ordered: Vec<usize>,
    by: Vec<Option<usize>>,
}

/// The same bare column, qualified or not, in a FROM of one table.
fn bare_equal(left: &Expr, right: &Expr) -> bool {
    matches!((left, right), (Expr::Column { .. }, Expr::Column { .. })) && left == right
}

/// The name PostgreSQL gives a column without alias (parser: FigureColname).
pub(super) fn label(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column { name, .. } => Some(name.clone()),
        Expr::Call(call) => Some(call.name.name.clone()),
        Expr::Cast(inner, _) => label(inner),
        Expr::Collate(inner, _) => label(inner),
        _ => None,
    }
}

//! Lower: sqlparser's tree becomes facts. In: its tree, with bytes of the text as spans. Out: facts. Never: passes
//! over a part it does not know: every field that is not read here must be empty.

use super::{
    facts::{
        Action, Alias, Assignment, Block, Body, Call, Cte, Distinct, Expr, From, Item, JoinKind, Limit, LiteralKind,
        Match, Name, Query, Rows, Set, SetOperator, Sort, Write,
    },
    parse::{NotRead, fold, truncate},
};
use sqlparser::ast;

type Read<T> = Result<T, NotRead>;

fn no<T>(what: &str) -> Read<T> {
    Err(NotRead(format!("it uses {what}")))
}

fn absent(present: bool, what: &str) -> Read<()> {
    if present { no(what) } else { Ok(()) }
}

/// Lowers a whole statement.
pub(super) fn statement(text: &str, statement: &ast::Statement) -> Read<Query> {
    let lower = Lower { text };
    match statement {
        ast::Statement::Query(query) => lower.query(query),
        other => Ok(plain(Body::Write(Box::new(lower.write(other)?)))),
    }
}

fn plain(body: Body) -> Query {
    Query {
        ctes: vec![],
        recursive: false,
        body,
        order: vec![],
        limit: None,
        offset: None,
        with_ties: false,
        locks: false,
    }
}

/// An identifier as PostgreSQL stores it.
fn ident(ident: &ast::Ident) -> Read<String> {
    match ident.quote_style {
        None => Ok(fold(&ident.value)),
        Some('"') => Ok(truncate(&ident.value)),
        Some(_) => no("a quote that PostgreSQL does not know"),
    }
}

fn parts(name: &ast::ObjectName) -> Read<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part {
            ast::ObjectNamePart::Identifier(name) => ident(name),
            ast::ObjectNamePart::Function(_) => no("a function as a name"),
        })
        .collect()
}

fn name(object: &ast::ObjectName) -> Read<Name> {
    let mut parts = parts(object)?;
    match parts.len() {
        1 => Ok(Name { schema: None, name: parts.remove(0) }),
        2 => Ok(Name { schema: Some(parts.remove(0)), name: parts.remove(0) }),
        _ => no("a name of more than two parts"),
    }
}

struct Lower<'a> {
    text: &'a str,
}

impl Lower<'_> {
    fn query(&self, query: &ast::Query) -> Read<Query> {
        absent(query.for_clause.is_some() || query.settings.is_some(), "a clause that PostgreSQL does not know")?;
        absent(query.format_clause.is_some() || !query.pipe_operators.is_empty(), "a foreign clause")?;
        let (limit, offset) = self.limit(query)?;
        Ok(Query {
            ctes: match &query.with {
                Some(with) => with.cte_tables.iter().map(|cte| self.cte(cte)).collect::<Read<_>>()?,
                None => vec![],
            },
            recursive: query.with.as_ref().is_some_and(|with| with.recursive),
            body: self.body(&query.body)?,
            order: self.order(query.order_by.as_ref())?,
            limit,
            offset,
            with_ties: query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties),
            locks: !query.locks.is_empty(),
        })
    }

    fn cte(&self, cte: &ast::Cte) -> Read<Cte> {
        absent(cte.from.is_some(), "FROM after a CTE")?;
        let alias = alias(Some(&cte.alias))?;
        Ok(Cte { name: alias.name.unwrap_or_default(), columns: alias.columns, query: self.query(&cte.query)? })
    }

    fn limit(&self, query: &ast::Query) -> Read<(Option<Limit>, Option<Expr>)> {
        let (mut limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) => {
                absent(!limit_by.is_empty(), "LIMIT BY")?;
                (self.optional(limit.as_ref())?, self.optional(offset.as_ref().map(|offset| &offset.value))?)
            }
            Some(_) => return no("LIMIT with a comma"),
        };
        let mut one = None;
        if let Some(fetch) = &query.fetch {
            absent(fetch.percent || limit.is_some(), "FETCH in an unknown form")?;
            limit = self.optional(fetch.quantity.as_ref())?;
            one = limit.is_none().then_some(Limit::One);
        }
        Ok((limit.map(Limit::Rows).or(one), offset))
    }

    fn optional(&self, expr: Option<&ast::Expr>) -> Read<Option<Expr>> {
        expr.map(|expr| self.expr(expr)).transpose()
    }

    fn order(&self, order: Option<&ast::OrderBy>) -> Read<Vec<Sort>> {
        let Some(order) = order else { return Ok(vec![]) };
        absent(order.interpolate.is_some(), "INTERPOLATE")?;
        match &order.kind {
            ast::OrderByKind::All(_) => no("ORDER BY ALL"),
            ast::OrderByKind::Expressions(all) => all.iter().map(|one| self.sort(one)).collect(),
        }
    }

    fn sort(&self, sort: &ast::OrderByExpr) -> Read<Sort> {
        absent(sort.with_fill.is_some(), "WITH FILL")?;
        let descending = matches!(sort.options.sort, Some(ast::OrderBySort::Desc));
        Ok(Sort {
            expr: self.expr(&sort.expr)?,
            descending,
            nulls_first: sort.options.nulls_first.unwrap_or(descending),
            using: matches!(sort.options.sort, Some(ast::OrderBySort::Using(_))),
        })
    }

    fn body(&self, body: &ast::SetExpr) -> Read<Body> {
        match body {
            ast::SetExpr::Select(select) => Ok(Body::Select(Box::new(self.block(select)?))),
            ast::SetExpr::Query(query) => Ok(Body::Query(Box::new(self.query(query)?))),
            ast::SetExpr::SetOperation { op, left, right, set_quantifier } => {
                use ast::SetQuantifier::{All, Distinct, None};
                absent(!matches!(set_quantifier, All | Distinct | None), "a set operation BY NAME")?;
                let operator = match op {
                    ast::SetOperator::Union => SetOperator::Union,
                    ast::SetOperator::Intersect => SetOperator::Intersect,
                    ast::SetOperator::Except => SetOperator::Except,
                    ast::SetOperator::Minus => return no("MINUS"),
                };
                let (left, right) = (self.body(left)?, self.body(right)?);
                Ok(Body::Set(Box::new(Set { operator, all: *set_quantifier == All, left, right })))
            }
            ast::SetExpr::Values(values) => Ok(Body::Values(self.rows(values)?)),
            ast::SetExpr::Insert(statement) | ast::SetExpr::Update(statement) | ast::SetExpr::Delete(statement) => {
                Ok(Body::Write(Box::new(self.write(statement)?)))
            }
            ast::SetExpr::Merge(_) => no("MERGE"),
            ast::SetExpr::Table(_) => no("TABLE inside a query"),
        }
    }

    fn rows(&self, values: &ast::Values) -> Read<Vec<Vec<Expr>>> {
        absent(values.explicit_row, "VALUES ROW")?;
        values.rows.iter().map(|row| self.exprs(&row.content)).collect()
    }

    fn exprs(&self, exprs: &[ast::Expr]) -> Read<Vec<Expr>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn block(&self, select: &ast::Select) -> Read<Block> {
        absent(
            select.top.is_some()
                || select.exclude.is_some()
                || !select.lateral_views.is_empty()
                || select.prewhere.is_some()
                || !select.connect_by.is_empty()
                || !select.cluster_by.is_empty()
                || !select.distribute_by.is_empty()
                || !select.sort_by.is_empty()
                || select.qualify.is_some()
                || select.value_table_mode.is_some()
                || select.select_modifiers.is_some()
                || select.flavor != ast::SelectFlavor::Standard,
            "a clause that PostgreSQL does not know",
        )?;
        let (distinct, distinct_on) = match &select.distinct {
            None | Some(ast::Distinct::All) => (Distinct::No, vec![]),
            Some(ast::Distinct::Distinct) => (Distinct::All, vec![]),
            Some(ast::Distinct::On(exprs)) => (Distinct::On, self.exprs(exprs)?),
        };
        let (group_by, grouping_sets) = self.group_by(&select.group_by)?;
        Ok(Block {
            at: select.select_token.0.span.start.column as usize,
            distinct,
            distinct_on,
            items: select.projection.iter().map(|item| self.item(item)).collect::<Read<_>>()?,
            from: self.froms(&select.from)?,
            filter: self.optional(select.selection.as_ref())?,
            group_by,
            grouping_sets,
            having: self.optional(select.having.as_ref())?,
            windows: !select.named_window.is_empty(),
            into: select.into.is_some(),
        })
    }

    fn group_by(&self, group_by: &ast::GroupByExpr) -> Read<(Vec<Expr>, bool)> {
        match group_by {
            ast::GroupByExpr::All(_) => no("GROUP BY ALL"),
            ast::GroupByExpr::Expressions(exprs, modifiers) => {
                absent(!modifiers.is_empty(), "a modifier of GROUP BY")?;
                let mut sets = false;
                let mut all = vec![];
                for expr in exprs {
                    match expr {
                        ast::Expr::GroupingSets(lists) | ast::Expr::Cube(lists) | ast::Expr::Rollup(lists) => {
                            sets = true;
                            for list in lists {
                                all.extend(self.exprs(list)?);
                            }
                        }
                        ast::Expr::Tuple(_) => {
                            sets = true;
                            all.push(self.expr(expr)?);
                        }
                        expr => all.push(self.expr(expr)?),
                    }
                }
                Ok((all, sets))
            }
        }
    }

    fn item(&self, item: &ast::SelectItem) -> Read<Item> {
        match item {
            ast::SelectItem::UnnamedExpr(expr) => Ok(Item::Expr(self.expr(expr)?, None)),
            ast::SelectItem::ExprWithAlias { expr, alias } => Ok(Item::Expr(self.expr(expr)?, Some(ident(alias)?))),
            ast::SelectItem::ExprWithAliases { .. } => no("several aliases"),
            ast::SelectItem::Wildcard(options) => {
                wildcard_options(options)?;
                Ok(Item::Wildcard(None))
            }
            ast::SelectItem::QualifiedWildcard(ast::SelectItemQualifiedWildcardKind::ObjectName(object), options) => {
                wildcard_options(options)?;
                Ok(Item::Wildcard(Some(name(object)?.name)))
            }
            ast::SelectItem::QualifiedWildcard(..) => no("a row's wildcard"),
        }
    }

    fn froms(&self, from: &[ast::TableWithJoins]) -> Read<Vec<From>> {
        from.iter().map(|from| self.joins(from)).collect()
    }

    fn joins(&self, from: &ast::TableWithJoins) -> Read<From> {
        let mut left = self.factor(&from.relation)?;
        for join in &from.joins {
            absent(join.global, "GLOBAL JOIN")?;
            let (kind, constraint) = join_kind(&join.join_operator)?;
            let matching = match constraint {
                ast::JoinConstraint::None => Match::All,
                ast::JoinConstraint::On(expr) => Match::On(self.expr(expr)?),
                ast::JoinConstraint::Natural => Match::Natural,
                ast::JoinConstraint::Using(columns) => {
                    Match::Using(columns.iter().map(|column| Ok(name(column)?.name)).collect::<Read<_>>()?)
                }
                ast::JoinConstraint::UsingAlias(..) => return no("an alias of USING"),
            };
            let right = Box::new(self.factor(&join.relation)?);
            left = From::Join { left: Box::new(left), right, kind, matching };
        }
        Ok(left)
    }

    fn factor(&self, factor: &ast::TableFactor) -> Read<From> {
        match factor {
            ast::TableFactor::Table {
                name: table,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_directives,
                inheritance,
            } => {
                absent(
                    !with_hints.is_empty()
                        || version.is_some()
                        || !partitions.is_empty()
                        || json_path.is_some()
                        || !index_directives.is_empty(),
                    "a table in an unknown form",
                )?;
                let alias = self::alias(alias.as_ref())?;
                if let Some(args) = args {
                    absent(args.settings.is_some(), "SETTINGS")?;
                    let call = Expr::Call(Box::new(self.simple_call(name(table)?, &args.args)?));
                    return Ok(From::Call(vec![call], alias));
                }
                absent(*with_ordinality, "WITH ORDINALITY on a table")?;
                let only = matches!(inheritance, Some(ast::TableInheritance::Only { .. }));
                Ok(From::Table { name: name(table)?, alias, special: sample.is_some(), only })
            }
            ast::TableFactor::Derived { subquery, alias, sample, lateral } => {
                absent(sample.is_some(), "TABLESAMPLE of a sub-select")?;
                Ok(From::Derived(Box::new(self.query(subquery)?), self::alias(alias.as_ref())?, *lateral))
            }
            ast::TableFactor::Function { name: function, args, alias, .. } => {
                let call = Expr::Call(Box::new(self.simple_call(name(function)?, args)?));
                Ok(From::Call(vec![call], self::alias(alias.as_ref())?))
            }
            ast::TableFactor::UNNEST { alias, array_exprs, with_offset, .. } => {
                absent(*with_offset, "WITH OFFSET")?;
                Ok(From::Call(self.exprs(array_exprs)?, self::alias(alias.as_ref())?))
            }
            ast::TableFactor::NestedJoin { table_with_joins, alias: None } => self.joins(table_with_joins),
            _ => no("an item of FROM in an unknown form"),
        }
    }

    fn simple_call(&self, name: Name, arguments: &[ast::FunctionArg]) -> Read<Call> {
        let mut call = call(name);
        for argument in arguments {
            self.argument(&mut call, argument)?;
        }
        Ok(call)
    }

    fn argument(&self, call: &mut Call, argument: &ast::FunctionArg) -> Read<()> {
        let (ast::FunctionArg::Named { arg, .. } | ast::FunctionArg::Unnamed(arg)) = argument else {
            return no("an argument in an unknown form");
        };
        match arg {
            ast::FunctionArgExpr::Expr(expr) => call.arguments.push(self.expr(expr)?),
            ast::FunctionArgExpr::Wildcard => call.star = true,
            ast::FunctionArgExpr::QualifiedWildcard(row) => {
                let mut qualifier = parts(row)?;
                let Some(name) = qualifier.pop() else { return no("an empty name") };
                call.arguments.push(Expr::Column { qualifier, name });
            }
            ast::FunctionArgExpr::WildcardWithOptions(_) => return no("options of a wildcard"),
        }
        Ok(())
    }

    fn call(&self, function: &ast::Function) -> Read<Call> {
        absent(
            function.uses_odbc_syntax || function.parameters != ast::FunctionArguments::None,
            "a call in an unknown form",
        )?;
        let mut call = call(name(&function.name)?);
        match &function.args {
            ast::FunctionArguments::None => call.bare = true,
            ast::FunctionArguments::Subquery(query) => {
                // `ARRAY(SELECT …)`
                let query = self.query(query)?;
                call.ordered_or_distinct = !query.order.is_empty();
                call.arguments.push(Expr::Query(Box::new(query)));
            }
            ast::FunctionArguments::List(list) => {
                call.ordered_or_distinct = matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct));
                for argument in &list.args {
                    self.argument(&mut call, argument)?;
                }
                for clause in &list.clauses {
                    let ast::FunctionArgumentClause::OrderBy(order) = clause else {
                        return no("a clause of a call in an unknown form");
                    };
                    call.ordered_or_distinct = true;
                    self.sorts_into(&mut call.rest, order)?;
                }
            }
        }
        call.ordered_or_distinct |= !function.within_group.is_empty();
        self.sorts_into(&mut call.rest, &function.within_group)?;
        call.filter = self.optional(function.filter.as_deref())?;
        absent(function.null_treatment.is_some(), "the treatment of NULL in a call")?;
        match &function.over {
            None => {}
            Some(ast::WindowType::NamedWindow(_)) => call.over = Some(None),
            Some(ast::WindowType::WindowSpec(window)) => {
                self.sorts_into(&mut call.rest, &window.order_by)?;
                self.frame(&mut call.rest, window.window_frame.as_ref())?;
                let partition = self.exprs(&window.partition_by)?;
                call.over = Some(window.window_name.is_none().then_some(partition));
            }
        }
        Ok(call)
    }

    fn frame(&self, rest: &mut Vec<Expr>, frame: Option<&ast::WindowFrame>) -> Read<()> {
        let Some(frame) = frame else { return Ok(()) };
        for bound in std::iter::once(&frame.start_bound).chain(&frame.end_bound) {
            if let ast::WindowFrameBound::Preceding(Some(expr)) | ast::WindowFrameBound::Following(Some(expr)) = bound {
                rest.push(self.expr(expr)?);
            }
        }
        Ok(())
    }

    fn sorts_into(&self, rest: &mut Vec<Expr>, order: &[ast::OrderByExpr]) -> Read<()> {
        for sort in order {
            rest.push(self.sort(sort)?.expr);
        }
        Ok(())
    }

    fn others(&self, exprs: &[&ast::Expr]) -> Read<Expr> {
        Ok(Expr::Other(exprs.iter().map(|expr| self.expr(expr)).collect::<Read<_>>()?))
    }

    fn expr(&self, expr: &ast::Expr) -> Read<Expr> {
        use ast::Expr as E;
        match expr {
            E::Identifier(column) => self.identifier(column),
            E::CompoundIdentifier(all) => {
                let mut qualifier = all.iter().map(ident).collect::<Read<Vec<_>>>()?;
                match qualifier.pop() {
                    Some(name) if qualifier.len() <= 2 => Ok(Expr::Column { qualifier, name }),
                    _ => no("a name of too many parts"),
                }
            }
            E::Nested(inner) => self.expr(inner),
            E::Value(value) => self.value(value),
            E::TypedString(typed) => self.typed(typed),
            E::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon, expr, data_type, format: None, ..
            } => Ok(Expr::Cast(Box::new(self.expr(expr)?), type_name(data_type))),
            E::BinaryOp { .. } => self.binary(expr),
            E::UnaryOp { op, expr } => self.unary(*op, expr),
            E::In { expr, target, negated, global: false } => self.r#in(expr, target, *negated),
            E::AnyOp { left, compare_op, right, .. } => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                Ok(match (compare_op, right) {
                    (ast::BinaryOperator::Eq, Expr::Query(query)) => Expr::InQuery(Box::new(left), query),
                    (ast::BinaryOperator::Eq, right) => Expr::EqualAny(Box::new(left), Box::new(right)),
                    (_, right) => Expr::Other(vec![left, right]),
                })
            }
            E::AllOp { left, right, .. } => self.others(&[left, right]),
            E::IsNull(inner) => Ok(Expr::IsNull(Box::new(self.expr(inner)?))),
            E::IsFalse(inner)
            | E::IsNotFalse(inner)
            | E::IsTrue(inner)
            | E::IsNotTrue(inner)
            | E::IsNotNull(inner)
            | E::IsUnknown(inner)
            | E::IsNotUnknown(inner) => self.others(&[inner]),
            E::IsDistinctFrom(left, right) | E::IsNotDistinctFrom(left, right) => self.others(&[left, right]),
            E::Between { expr, low, high, .. } => self.others(&[expr, low, high]),
            E::Like { expr, pattern, escape_char, any: false, .. }
            | E::ILike { expr, pattern, escape_char, any: false, .. }
            | E::SimilarTo { expr, pattern, escape_char, .. } => {
                let all: Vec<&ast::Expr> = [&**expr, &**pattern].into_iter().chain(escape_char.as_deref()).collect();
                self.others(&all)
            }
            E::AtTimeZone { timestamp, time_zone } => self.others(&[timestamp, time_zone]),
            E::Extract { expr, .. } => self.builtin("extract", &[expr]),
            E::Ceil { expr, .. } => self.builtin("ceil", &[expr]),
            E::Floor { expr, .. } => self.builtin("floor", &[expr]),
            E::Position { expr, r#in } => self.builtin("position", &[expr, r#in]),
            E::Substring { expr, substring_from, substring_for, .. } => {
                let all: Vec<&ast::Expr> =
                    std::iter::once(&**expr).chain(substring_from.as_deref()).chain(substring_for.as_deref()).collect();
                self.builtin("substring", &all)
            }
            E::Trim { trim_what, expr, trim_characters, .. } => {
                let characters = trim_characters.iter().flatten();
                let all: Vec<&ast::Expr> =
                    std::iter::once(&**expr).chain(trim_what.as_deref()).chain(characters).collect();
                self.builtin("btrim", &all)
            }
            E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut all = vec![&**expr, &**overlay_what, &**overlay_from];
                all.extend(overlay_for.as_deref());
                self.builtin("overlay", &all)
            }
            E::Collate { expr, collation } => Ok(Expr::Collate(Box::new(self.expr(expr)?), name(collation)?.name)),
            E::Function(function) => Ok(self.function(function)?),
            E::Case { operand, conditions, else_result, .. } => {
                let mut all: Vec<&ast::Expr> = operand.as_deref().into_iter().collect();
                for when in conditions {
                    all.extend([&when.condition, &when.result]);
                }
                all.extend(else_result.as_deref());
                self.others(&all)
            }
            E::Exists { subquery, .. } | E::Subquery(subquery) => Ok(Expr::Query(Box::new(self.query(subquery)?))),
            E::Tuple(all) => Ok(Expr::Row(self.exprs(all)?)),
            E::Array(array) => Ok(Expr::Array(self.exprs(&array.elem)?)),
            E::Interval(interval) => self.others(&[&interval.value]),
            E::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            _ => no("an expression of an unknown form"),
        }
    }

    /// A column, or one of the reserved words that are values.
    fn identifier(&self, column: &ast::Ident) -> Read<Expr> {
        let name = ident(column)?;
        if column.quote_style.is_none() {
            if name == "default" {
                return Ok(Expr::Default);
            }
            if super::volatility::BARE.contains(&name.as_str()) {
                let mut call = call(Name { schema: None, name });
                call.bare = true;
                return Ok(Expr::Call(Box::new(call)));
            }
        }
        Ok(Expr::Column { qualifier: vec![], name })
    }

    /// A construct that PostgreSQL's grammar turns into a call of this function of its own.
    fn builtin(&self, function: &str, arguments: &[&ast::Expr]) -> Read<Expr> {
        let mut call = call(Name { schema: Some("pg_catalog".into()), name: function.into() });
        call.arguments = arguments.iter().map(|expr| self.expr(expr)).collect::<Read<_>>()?;
        Ok(Expr::Call(Box::new(call)))
    }

    fn function(&self, function: &ast::Function) -> Read<Expr> {
        let call = self.call(function)?;
        let syntax = call.name.schema.is_none()
            && matches!(call.name.name.as_str(), "coalesce" | "greatest" | "least" | "nullif" | "row");
        let plain = call.over.is_none() && call.filter.is_none() && !call.star && call.rest.is_empty();
        Ok(if syntax && plain {
            if call.name.name == "row" { Expr::Row(call.arguments) } else { Expr::Other(call.arguments) }
        } else {
            Expr::Call(Box::new(call))
        })
    }

    fn access(&self, root: &ast::Expr, chain: &[ast::AccessExpr]) -> Read<Expr> {
        let mut all = vec![root];
        for access in chain {
            match access {
                ast::AccessExpr::Subscript(ast::Subscript::Index { index }) => all.push(index),
                ast::AccessExpr::Subscript(ast::Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                    all.extend(lower_bound.iter().chain(upper_bound));
                }
                ast::AccessExpr::Dot(ast::Expr::Identifier(_)) => {}
                _ => return no("a field in an unknown form"),
            }
        }
        self.others(&all)
    }

    fn unary(&self, op: ast::UnaryOperator, expr: &ast::Expr) -> Read<Expr> {
        let inner = self.expr(expr)?;
        Ok(match (op, inner) {
            (ast::UnaryOperator::Minus, Expr::Literal { kind: LiteralKind::Integer, at, negative: false }) => {
                Expr::Literal { kind: LiteralKind::Integer, at, negative: true }
            }
            (_, inner) => Expr::Other(vec![inner]),
        })
    }

    fn r#in(&self, expr: &ast::Expr, target: &ast::InTarget, negated: bool) -> Read<Expr> {
        let left = self.expr(expr)?;
        match target {
            ast::InTarget::List(list) => {
                let list = self.exprs(list)?;
                Ok(if negated {
                    Expr::Other(std::iter::once(left).chain(list).collect())
                } else {
                    Expr::In(Box::new(left), list)
                })
            }
            ast::InTarget::Subquery(query) => Ok(Expr::InQuery(Box::new(left), Box::new(self.query(query)?))),
            _ => no("IN in an unknown form"),
        }
    }

    /// Chains of operators lean to the left: walked with a loop, not by recursion.
    fn binary(&self, expr: &ast::Expr) -> Read<Expr> {
        use ast::BinaryOperator as B;
        let ast::Expr::BinaryOp { op: top, .. } = expr else { return self.expr(expr) };
        let mut operands = vec![];
        let mut rest = expr;
        while let ast::Expr::BinaryOp { left, op, right } = rest {
            if op != top {
                break;
            }
            known_operator(op)?;
            operands.push(self.expr(right)?);
            rest = left;
        }
        operands.push(self.expr(rest)?);
        operands.reverse();
        Ok(match top {
            B::And => Expr::And(operands),
            B::Or => Expr::Or(operands),
            B::Eq if operands.len() == 2 => {
                let right = operands.pop().map(Box::new);
                let left = operands.pop().map(Box::new);
                match (left, right) {
                    (Some(left), Some(right)) => Expr::Equal(left, right),
                    _ => return no("an operator without operands"),
                }
            }
            _ => Expr::Other(operands),
        })
    }

    fn value(&self, value: &ast::ValueWithSpan) -> Read<Expr> {
        use ast::Value as V;
        let at = value.span.start.column as usize;
        let literal = |kind| Ok(Expr::Literal { kind, at, negative: false });
        match &value.value {
            V::Null => Ok(Expr::Null),
            V::Boolean(_) => Ok(Expr::Other(vec![])),
            V::Placeholder(text) => match text.strip_prefix('$').map(str::parse::<u16>) {
                Some(Ok(n)) if n > 0 => Ok(Expr::Parameter(n)),
                _ => no("a parameter in an unknown form"),
            },
            V::Number(digits, false) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                literal(LiteralKind::Integer)
            }
            V::SingleQuotedString(_) if self.text.as_bytes().get(at) == Some(&b'\'') => literal(LiteralKind::String),
            V::Number(..)
            | V::SingleQuotedString(_)
            | V::DollarQuotedString(_)
            | V::EscapedStringLiteral(_)
            | V::UnicodeStringLiteral(_)
            | V::NationalStringLiteral(_)
            | V::SingleQuotedByteStringLiteral(_)
            | V::HexStringLiteral(_) => literal(LiteralKind::Other),
            _ => no("a literal in an unknown form"),
        }
    }

    fn typed(&self, typed: &ast::TypedString) -> Read<Expr> {
        absent(typed.uses_odbc_syntax, "a literal in ODBC's form")?;
        Ok(Expr::Cast(Box::new(self.value(&typed.value)?), type_name(&typed.data_type)))
    }

    fn write(&self, statement: &ast::Statement) -> Read<Write> {
        match statement {
            ast::Statement::Insert(insert) => self.insert(insert),
            ast::Statement::Update(update) => self.update(update),
            ast::Statement::Delete(delete) => self.delete(delete),
            _ => no("a verb that is not read"),
        }
    }

    fn returning(&self, items: Option<&Vec<ast::SelectItem>>) -> Read<Vec<Item>> {
        items.into_iter().flatten().map(|item| self.item(item)).collect()
    }

    fn insert(&self, insert: &ast::Insert) -> Read<Write> {
        absent(
            insert.or.is_some()
                || insert.ignore
                || !insert.into
                || insert.by_name
                || insert.overwrite
                || !insert.assignments.is_empty()
                || insert.partitioned.is_some()
                || !insert.after_columns.is_empty()
                || insert.has_table_keyword
                || insert.output.is_some()
                || insert.replace_into
                || insert.priority.is_some()
                || insert.insert_alias.is_some()
                || insert.settings.is_some()
                || insert.format_clause.is_some()
                || insert.multi_table_insert_type.is_some(),
            "INSERT in an unknown form",
        )?;
        // What an identity column is given counts then, as in any other column.
        absent(matches!(insert.overriding, Some(ast::InsertOverriding::User)), "OVERRIDING USER VALUE")?;
        let ast::TableObject::TableName(table) = &insert.table else { return no("INSERT into a function") };
        let rows = match &insert.source {
            None => Rows::Default,
            Some(query) => self.insert_rows(query)?,
        };
        let (assignments, rest) = self.conflict(insert.on.as_ref())?;
        Ok(Write {
            table: name(table)?,
            alias: insert.table_alias.as_ref().map(|alias| ident(&alias.alias)).transpose()?,
            action: Action::Insert {
                columns: insert.columns.iter().map(|column| Ok(name(column)?.name)).collect::<Read<_>>()?,
                rows,
                assignments,
                rest,
            },
            returning: self.returning(insert.returning.as_ref())?,
        })
    }

    fn insert_rows(&self, query: &ast::Query) -> Read<Rows> {
        let bare = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty();
        match &*query.body {
            ast::SetExpr::Values(values) if bare => Ok(Rows::Values(self.rows(values)?)),
            _ => Ok(Rows::Query(Box::new(self.query(query)?))),
        }
    }

    fn conflict(&self, on: Option<&ast::OnInsert>) -> Read<(Vec<Assignment>, Vec<Expr>)> {
        let mut rest = vec![];
        let conflict = match on {
            None => return Ok((vec![], rest)),
            Some(ast::OnInsert::OnConflict(conflict)) => conflict,
            Some(_) => return no("ON DUPLICATE KEY"),
        };
        if let Some(ast::ConflictTarget::Columns { predicate, .. }) = &conflict.conflict_target {
            rest.extend(self.optional(predicate.as_ref())?);
        }
        match &conflict.action {
            ast::OnConflictAction::DoNothing => Ok((vec![], rest)),
            ast::OnConflictAction::DoUpdate(update) => {
                rest.extend(self.optional(update.selection.as_ref())?);
                Ok((self.assignments(&update.assignments)?, rest))
            }
        }
    }

    fn assignments(&self, assignments: &[ast::Assignment]) -> Read<Vec<Assignment>> {
        let one = |assignment: &ast::Assignment| {
            let columns = match &assignment.target {
                ast::AssignmentTarget::ColumnName(column) => vec![column],
                ast::AssignmentTarget::Tuple(columns) => columns.iter().collect(),
            };
            // `SET column.field`: the column is the first part.
            let columns = columns.into_iter().map(|column| Ok(parts(column)?.swap_remove(0))).collect::<Read<_>>()?;
            Ok(Assignment { columns, value: self.expr(&assignment.value)? })
        };
        assignments.iter().map(one).collect()
    }

    fn target(&self, from: &ast::TableWithJoins) -> Read<(Name, Option<String>)> {
        absent(!from.joins.is_empty(), "a join as target")?;
        match self.factor(&from.relation)? {
            From::Table { name, alias, special: false, only: false } if alias.columns.is_empty() => {
                Ok((name, alias.name))
            }
            _ => no("a target in an unknown form"),
        }
    }

    fn update(&self, update: &ast::Update) -> Read<Write> {
        absent(
            update.or.is_some()
                || update.output.is_some()
                || !update.order_by.is_empty()
                || update.limit.is_some()
                || update.on_cluster.is_some()
                || update.settings.is_some(),
            "UPDATE in an unknown form",
        )?;
        let (table, alias) = self.target(&update.table)?;
        let from = match &update.from {
            None => vec![],
            Some(ast::UpdateTableFromKind::AfterSet(from)) => self.froms(from)?,
            Some(ast::UpdateTableFromKind::BeforeSet(_)) => return no("FROM before SET"),
        };
        let assignments = self.assignments(&update.assignments)?;
        let filter = self.optional(update.selection.as_ref())?;
        let returning = self.returning(update.returning.as_ref())?;
        Ok(Write { table, alias, action: Action::Update { assignments, from, filter }, returning })
    }

    fn delete(&self, delete: &ast::Delete) -> Read<Write> {
        absent(
            !delete.tables.is_empty()
                || delete.output.is_some()
                || !delete.order_by.is_empty()
                || delete.limit.is_some()
                || delete.on_cluster.is_some()
                || delete.settings.is_some(),
            "DELETE in an unknown form",
        )?;
        let ast::FromTable::WithFromKeyword(from) = &delete.from else { return no("DELETE without FROM") };
        let [target] = &from[..] else { return no("DELETE from several tables") };
        let (table, alias) = self.target(target)?;
        let using = self.froms(delete.using.as_deref().unwrap_or_default())?;
        let filter = self.optional(delete.selection.as_ref())?;
        let returning = self.returning(delete.returning.as_ref())?;
        Ok(Write { table, alias, action: Action::Delete { using, filter }, returning })
    }
}

fn call(name: Name) -> Call {
    Call {
        name,
        arguments: vec![],
        star: false,
        bare: false,
        ordered_or_distinct: false,
        filter: None,
        over: None,
        rest: vec![],
    }
}

fn wildcard_options(options: &ast::WildcardAdditionalOptions) -> Read<()> {
    absent(
        options.opt_ilike.is_some()
            || options.opt_exclude.is_some()
            || options.opt_except.is_some()
            || options.opt_replace.is_some()
            || options.opt_rename.is_some()
            || options.opt_alias.is_some(),
        "options of a wildcard",
    )
}

fn alias(alias: Option<&ast::TableAlias>) -> Read<Alias> {
    let Some(alias) = alias else { return Ok(Alias::default()) };
    absent(alias.at.is_some(), "AT after an alias")?;
    let columns = alias.columns.iter().map(|column| ident(&column.name)).collect::<Read<_>>()?;
    Ok(Alias { name: Some(ident(&alias.name)?), columns })
}

fn join_kind(operator: &ast::JoinOperator) -> Read<(JoinKind, &ast::JoinConstraint)> {
    use ast::JoinOperator as J;
    match operator {
        J::Join(constraint) | J::Inner(constraint) | J::CrossJoin(constraint) => Ok((JoinKind::Inner, constraint)),
        J::Left(constraint) | J::LeftOuter(constraint) => Ok((JoinKind::Left, constraint)),
        J::Right(constraint) | J::RightOuter(constraint) => Ok((JoinKind::Right, constraint)),
        J::FullOuter(constraint) => Ok((JoinKind::Full, constraint)),
        _ => no("a join that PostgreSQL does not know"),
    }
}

fn known_operator(operator: &ast::BinaryOperator) -> Read<()> {
    use ast::BinaryOperator as B;
    let unknown = matches!(
        operator,
        B::Spaceship
            | B::Xor
            | B::DuckIntegerDivide
            | B::MyIntegerDivide
            | B::Match
            | B::Regexp
            | B::Glob
            | B::Custom(_)
            | B::Assignment
            | B::Is
            | B::IsNot
    );
    absent(unknown, "an operator that is not known here")
}

/// A type in PostgreSQL's short spelling, lower case; what is not an ordinary name stays as it is written.
fn type_name(data_type: &ast::DataType) -> String {
    let written = data_type.to_string().to_ascii_lowercase();
    if let Some(element) = written.strip_suffix("[]") {
        return format!("{}[]", short_name(element));
    }
    short_name(&written)
}

fn short_name(written: &str) -> String {
    match written {
        "smallint" | "int2" => "int2".into(),
        "int" | "integer" | "int4" => "int4".into(),
        "bigint" | "int8" => "int8".into(),
        "character varying" | "varchar" => "varchar".into(),
        _ => written.to_owned(),
    }
}

//! Window functions. In: chance. Out: queries with them, and whether they are ordered. Never: a value that hangs on ties.

use super::{Generator, Scope, Type};

impl Generator {
    /// A query with one or two window functions.
    pub(super) fn window(&mut self) -> (String, bool) {
        let scope = self.scope();
        if self.percent(25) {
            return (self.over_query(&scope), false);
        }
        let mut items = scope.identity.clone();
        for _ in 0..=self.below(2) {
            let call = self.over(&scope);
            items.push(call);
        }
        let from = format!("FROM {}{}", scope.from, Self::condition(&scope));
        let list = items.join(", ");
        if self.percent(70) {
            return (format!("SELECT {list} {from}"), false);
        }
        let (order, limit) = (scope.identity.join(", "), self.limit());
        (format!("SELECT {list} {from} ORDER BY {order}{limit}"), true)
    }

    /// A query whose window functions are named, filtered, or over groups.
    fn over_query(&mut self, scope: &Scope) -> String {
        let (identity, from) = (scope.identity.join(", "), format!("FROM {}{}", scope.from, Self::condition(scope)));
        let partition = self.partition_by(scope);
        let whole = self.expression(scope, Type::Integer, 1);
        let kind = self.any_type(scope);
        let by = self.column(scope, kind).unwrap_or_else(|| whole.clone());
        let how = self.pick(&["row_number()", "rank()", "dense_rank()", "count(*)"]);
        match self.below(6) {
            0 | 1 => format!(
                "SELECT q.i, q.n FROM (SELECT {whole} AS i, {how} OVER ({partition}ORDER BY {identity}) AS n {from}) q WHERE q.n <= 2"
            ),
            2 => format!(
                "SELECT {identity}, sum({whole}) OVER w, first_value({by}) OVER (w ROWS UNBOUNDED PRECEDING) {from} WINDOW w AS ({partition}ORDER BY {identity})"
            ),
            3 => format!(
                "SELECT {by}, count(*), rank() OVER (ORDER BY count(*) DESC), sum(count(*)) OVER () {from} GROUP BY {by}"
            ),
            4 => format!("SELECT DISTINCT {by}, max({whole}) OVER (PARTITION BY {by}) {from}"),
            _ => format!(
                "SELECT {identity}, nth_value({by}, 2) OVER ({partition}ORDER BY {identity} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), count(*) OVER (ORDER BY {whole} RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE TIES) {from}"
            ),
        }
    }

    fn over(&mut self, scope: &Scope) -> String {
        let kind = self.any_type(scope);
        let of = self.expression(scope, kind, 1);
        let whole = self.expression(scope, Type::Integer, 1);
        let partition = self.partition_by(scope);
        if self.percent(35) {
            // peers share their value: an order with ties is no matter
            let call =
                self.pick(&["rank()", "dense_rank()", "count(*)", "cume_dist()", "percent_rank()", "sum", "max"]);
            let call = if call.ends_with(')') { call.to_owned() } else { format!("{call}({whole})") };
            let (by, direction) = (self.column(scope, kind).unwrap_or_else(|| whole.clone()), self.direction());
            return format!("{call} OVER ({partition}ORDER BY {by}{direction})");
        }
        let order = scope.identity.join(", ");
        let frame = match self.below(8) {
            0 => " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
            1 => " ROWS UNBOUNDED PRECEDING",
            2 => " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW",
            3 => " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
            _ => "",
        };
        match self.below(10) {
            0 | 1 => format!("row_number() OVER ({partition}ORDER BY {order})"),
            2 => format!("lag({of}) OVER ({partition}ORDER BY {order})"),
            3 => format!("lead({whole}, 2, 0) OVER ({partition}ORDER BY {order})"),
            4 => format!("ntile(3) OVER ({partition}ORDER BY {order})"),
            5 => format!("first_value({of}) OVER ({partition}ORDER BY {order}{frame})"),
            6 => {
                format!("count(*) FILTER (WHERE {}) OVER ({partition}ORDER BY {order}{frame})", self.boolean(scope, 1))
            }
            7 => format!("min({whole}) OVER ({partition}ORDER BY {order}{frame})"),
            8 => format!("sum({whole}) OVER ({})", partition.trim()),
            _ => format!("sum({whole}) OVER ({partition}ORDER BY {order}{frame})"),
        }
    }

    fn partition_by(&mut self, scope: &Scope) -> String {
        let kind = self.any_type(scope);
        match (scope.keys.first(), self.below(10)) {
            (Some((key, _)), 0..4) => format!("PARTITION BY {key} "),
            (_, 4 | 5) => self.column(scope, kind).map(|by| format!("PARTITION BY {by} ")).unwrap_or_default(),
            (_, 6) => format!("PARTITION BY {} ", self.boolean(scope, 0)),
            _ => String::new(),
        }
    }
}

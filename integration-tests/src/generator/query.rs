//! Queries of one level: rows, groups, windows. In: chance. Out: their text, and whether it orders them. Never: a query in a query.

use super::{Generator, Scope, Type};

impl Generator {
    pub(super) fn limit(&mut self) -> String {
        let count = self.below(12);
        match self.below(12) {
            0 | 1 => format!(" LIMIT {count}"),
            2 => format!(" OFFSET {count}"),
            3 => format!(" LIMIT {count} OFFSET {}", self.below(8)),
            4 => format!(" OFFSET {} ROWS FETCH FIRST {count} ROWS ONLY", self.below(5)),
            5 => format!(" FETCH FIRST {count} ROWS {}", self.pick(&["ONLY", "WITH TIES"])),
            6 if self.with_parameters => {
                let count = self.parameter(count.to_string());
                format!(" LIMIT {count}")
            }
            7 => {
                self.pick(&[" LIMIT ALL", " LIMIT NULL", " LIMIT 2 + 1", " OFFSET 2 LIMIT 3", " LIMIT '3'"]).to_owned()
            }
            _ => String::new(),
        }
    }

    /// Rows as they are, in an order or none.
    pub(super) fn plain(&mut self) -> (String, bool) {
        let scope = self.scope();
        let distinct = self.percent(12);
        let count = 1 + self.below(4);
        let mut items: Vec<String> = vec![];
        for place in 0..count {
            let kind = self.any_type();
            let inner = !distinct && self.percent(6);
            let expression = if inner { self.scalar(&scope) } else { self.expression(&scope, kind, 2) };
            let name = match self.below(8) {
                0 => self.pick(&["k", "id", "f", "s"]).to_owned(),
                1 | 2 => format!("c{place}"),
                _ => String::new(),
            };
            items.push(if name.is_empty() { expression } else { format!("{expression} AS {name}") });
        }
        if !distinct && self.percent(7) {
            return (self.first_of_each(&scope, &items), true);
        }
        if !distinct && self.percent(8) {
            items = vec!["*".into()];
        }
        let list = items.join(", ");
        let condition = Self::condition(&scope);
        let word = if distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {word}{list} FROM {}{condition}", scope.from);
        if self.percent(40) {
            return (sql, false);
        }
        let mut order: Vec<String> = vec![];
        if distinct {
            for place in 1..=items.len() {
                order.push(format!("{place}{}", self.direction()));
            }
        } else {
            for _ in 0..self.below(3) {
                let kind = self.any_type();
                let what = match self.below(5) {
                    0 => (1 + self.below(items.len())).to_string(),
                    1 => items[self.below(items.len())].split(" AS ").last().unwrap_or("1").to_owned(),
                    2 => self.expression(&scope, kind, 2),
                    _ => self.expression(&scope, kind, 0),
                };
                // a constant is no place in ORDER BY
                if what != "*" && (what.parse::<i64>().is_err() || what.parse::<usize>().is_ok_and(|n| n > 0)) {
                    order.push(format!("{what}{}", self.direction()));
                }
            }
            order.extend(scope.identity.iter().cloned());
        }
        sql += &format!(" ORDER BY {}{}", order.join(", "), self.limit());
        (sql, true)
    }

    /// DISTINCT ON: the first row of each value, in an order without ties.
    fn first_of_each(&mut self, scope: &Scope, items: &[String]) -> String {
        let mut on: Vec<String> = vec![];
        for _ in 0..=self.below(2) {
            let kind = self.any_type();
            on.extend(self.column(scope, kind).filter(|column| !on.contains(column)));
        }
        on.extend(if on.is_empty() { scope.identity.first().cloned() } else { None });
        let mut order: Vec<String> = on.iter().map(|column| format!("{column}{}", self.direction())).collect();
        order.extend(scope.identity.iter().filter(|column| !on.contains(column)).cloned());
        let (list, condition) = (items.join(", "), Self::condition(scope));
        let (on, order, limit) = (on.join(", "), order.join(", "), self.limit());
        format!("SELECT DISTINCT ON ({on}) {list} FROM {}{condition} ORDER BY {order}{limit}", scope.from)
    }

    pub(super) fn aggregate(&mut self, scope: &Scope) -> String {
        let kind = self.any_type();
        let numeric = [Type::Integer, Type::Numeric, Type::Float][self.below(3)];
        let of = self.expression(scope, kind, 1);
        let number = self.expression(scope, numeric, 1);
        let condition = self.boolean(scope, 1);
        let whole = self.expression(scope, Type::Integer, 1);
        let identity = scope.identity.join(", ");
        let call = match self.below(26) {
            0..3 => "count(*)".to_owned(),
            3 => format!("count({of})"),
            4 | 5 => format!("sum({number})"),
            6 | 7 => format!("avg({number})"),
            8 | 9 => format!("min({of})"),
            10 | 11 => format!("max({of})"),
            12 => format!("bool_and({condition})"),
            13 => format!("bool_or({condition})"),
            14 => format!("{}(DISTINCT {number})", self.pick(&["count", "sum", "avg"])),
            15 => format!("count(DISTINCT {of})"),
            16 | 17 => {
                let exact = self.pick(&["stddev", "variance", "var_pop", "stddev_pop"]);
                let exactly = if numeric == Type::Float { &whole } else { &number };
                format!("{exact}({exactly})")
            }
            18 => format!("{}({whole})", self.pick(&["bit_and", "bit_or", "bit_xor"])),
            19 | 20 => format!("array_agg({whole} ORDER BY {identity})"),
            21 => format!("string_agg({whole}::text, ',' ORDER BY {identity})"),
            22 => format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {of})"),
            23 => format!("json_agg({whole} ORDER BY {identity})"),
            24 => format!("count(*) * 2 + coalesce(sum({whole}), 0)"),
            _ => format!("every({condition})"),
        };
        if self.percent(15) && !call.contains("coalesce(sum") {
            return format!("{call} FILTER (WHERE {})", self.boolean(scope, 1));
        }
        call
    }

    /// Groups, or one group of everything.
    pub(super) fn grouped(&mut self) -> (String, bool) {
        let scope = self.scope();
        let mut groups: Vec<String> = vec![];
        if self.percent(70) {
            for _ in 0..=self.below(2) {
                let kind = self.any_type();
                let group = if self.percent(35) && !scope.keys.is_empty() {
                    scope.keys[self.below(scope.keys.len())].0.clone()
                } else {
                    let depth = self.below(2);
                    self.expression(&scope, kind, depth)
                };
                if group.parse::<i64>().is_err() && !groups.contains(&group) {
                    groups.push(group);
                }
            }
        }
        let mut items = groups.clone();
        for _ in 0..=self.below(3) {
            let aggregate = self.aggregate(&scope);
            let item = match self.below(12) {
                0 => format!("coalesce({aggregate}::text, 'none')"),
                1 => format!("{aggregate} AS c{}", items.len()),
                2 => format!("{aggregate} IS NULL"),
                _ => aggregate,
            };
            items.push(item);
        }
        let by = match (groups.is_empty(), self.below(12)) {
            (true, _) => String::new(),
            (_, 0) => format!(" GROUP BY {} ({})", self.pick(&["ROLLUP", "CUBE"]), groups.join(", ")),
            (_, 2) => format!(" GROUP BY GROUPING SETS (({}), {}, ())", groups.join(", "), groups[0]),
            (_, 1) => format!(" GROUP BY {}", (1..=groups.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")),
            _ => format!(" GROUP BY {}", groups.join(", ")),
        };
        if by.contains("SETS") {
            items.push(format!("grouping({})", groups[0]));
        } else if !groups.is_empty() && !by.contains("ROLLUP") && !by.contains("CUBE") && self.percent(8) {
            let order = groups.join(", ");
            let call = self.pick(&["rank()", "sum(count(*))", "row_number()", "lag(count(*))"]);
            items.push(format!("{call} OVER (ORDER BY {order})"));
        }
        let having = if self.percent(15) {
            let aggregate = self.aggregate(&scope);
            format!(" HAVING {aggregate} IS NOT NULL AND count(*) > {}", self.below(3))
        } else {
            String::new()
        };
        let mut sql = format!("SELECT {} FROM {}{}{by}{having}", items.join(", "), scope.from, Self::condition(&scope));
        if groups.is_empty() || self.percent(30) {
            return (sql, groups.is_empty());
        }
        let mut order = vec![];
        if self.percent(25) {
            order.push(format!("{}{}", 1 + self.below(items.len()), self.direction()));
        }
        for place in 1..=groups.len() {
            order.push(format!("{place}{}", self.direction()));
        }
        // groups of ROLLUP may be told apart by nothing in the output
        let total = !["ROLLUP", "CUBE", "SETS"].iter().any(|sets| by.contains(sets));
        sql += &format!(" ORDER BY {}", order.join(", "));
        if total {
            sql += &self.limit();
        }
        (sql, total)
    }

    pub(super) fn values(&mut self) -> String {
        let values = self.key_values(Type::Integer);
        match self.below(3) {
            0 => format!("SELECT {values}"),
            1 => "VALUES (1, 'a'), (-2, NULL)".to_owned(),
            _ => format!(
                "SELECT v.i, x.id FROM (VALUES (1), (7)) v (i) JOIN a x ON x.k = v.i WHERE {} ORDER BY 1, 2",
                self.key("x.k", Type::Integer)
            ),
        }
    }
}

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
            let kind = self.any_type(&scope);
            let inner = !distinct && self.percent(6);
            let expression = if inner { self.scalar(&scope) } else { self.expression(&scope, kind, 2) };
            let name = match self.below(8) {
                0 => self.pick(&["k", "id", "f", "s"]).to_owned(),
                1 | 2 => format!("c{place}"),
                _ => String::new(),
            };
            items.push(if name.is_empty() { expression } else { format!("{expression} AS {name}") });
        }
        if !distinct && self.percent(5) {
            return self.with_ties(&scope);
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
                let kind = self.any_type(&scope);
                let what = match self.below(5) {
                    0 => (1 + self.below(items.len())).to_string(),
                    1 => items[self.below(items.len())].split(" AS ").last().unwrap_or("1").to_owned(),
                    2 => self.expression(&scope, kind, 2),
                    _ => self.expression(&scope, kind, 0),
                };
                // a constant is no place in ORDER BY
                if what != "*" && (what.parse::<f64>().is_err() || what.parse::<usize>().is_ok_and(|n| n > 0)) {
                    order.push(format!("{what}{}", self.direction()));
                }
            }
            order.extend(scope.identity.iter().cloned());
        }
        sql += &format!(" ORDER BY {}{}", order.join(", "), self.limit());
        (sql, true)
    }

    /// The first rows and all their equals, whose order among themselves is chance.
    fn with_ties(&mut self, scope: &Scope) -> (String, bool) {
        let kind = self.any_type(scope);
        let by = self.column(scope, kind).unwrap_or_else(|| "1".to_owned());
        let (list, direction, condition) = (scope.identity.join(", "), self.direction(), Self::condition(scope));
        let (offset, count) = (self.pick(&["", " OFFSET 0", " OFFSET 0 ROWS"]), self.below(6));
        let list = if list.is_empty() { "1".to_owned() } else { list };
        let from = format!("{list} FROM {}{condition} ORDER BY {by}{direction}", scope.from);
        (format!("SELECT {from}{offset} FETCH FIRST {count} ROWS WITH TIES"), false)
    }

    /// DISTINCT ON: the first row of each value, in an order without ties.
    fn first_of_each(&mut self, scope: &Scope, items: &[String]) -> String {
        let mut on: Vec<String> = vec![];
        for _ in 0..=self.below(2) {
            let kind = self.any_type(scope);
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
        let kind = self.any_type(scope);
        let numeric = [Type::Integer, Type::Numeric, Type::Float][self.below(3)];
        let of = self.expression(scope, kind, 1);
        let number = self.expression(scope, numeric, 1);
        let condition = self.boolean(scope, 1);
        let whole = self.expression(scope, Type::Integer, 1);
        let identity = scope.identity.join(", ");
        let call = match self.below(38) {
            26..38 => self.rare_aggregate(scope, &whole),
            0..3 => "count(*)".to_owned(),
            3 => format!("count({of})"),
            4 | 5 => format!("sum({number})"),
            6 | 7 => format!("avg({number})"),
            8..12 if !kind.has_extremes() => format!("count({of})"),
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
        let one_call =
            !["coalesce(sum", " / ", " > count"].iter().any(|part| call.contains(part)) || call.starts_with("avg(");
        if self.percent(15) && one_call && call.ends_with(')') {
            return format!("{call} FILTER (WHERE {})", self.boolean(scope, 1));
        }
        call
    }

    /// An aggregate that is seen less often.
    fn rare_aggregate(&mut self, scope: &Scope, whole: &str) -> String {
        let identity = scope.identity.join(", ");
        let other = self.expression(scope, Type::Integer, 1);
        let text = self.expression(scope, Type::Text, 1);
        let (float, interval) = (self.expression(scope, Type::Float, 0), self.expression(scope, Type::Interval, 1));
        let condition = self.boolean(scope, 1);
        match self.below(14) {
            0 => {
                self.floats = true;
                let two = self.pick(&["regr_sxx", "regr_avgx", "regr_avgy", "regr_syy"]);
                format!("{two}({whole} % 1000, {other} % 1000)")
            }
            1 => format!("regr_count({whole}, {other})"),
            2 => format!("string_agg(DISTINCT ({text} COLLATE \"C\"), ',' ORDER BY ({text} COLLATE \"C\"))"),
            3 => format!("array_agg(DISTINCT {whole} ORDER BY {whole} DESC NULLS LAST)"),
            4 => format!("mode() WITHIN GROUP (ORDER BY {whole})"),
            5 => format!("percentile_cont(0.25) WITHIN GROUP (ORDER BY {float})"),
            6 => format!("rank(2) WITHIN GROUP (ORDER BY {whole})"),
            7 => format!("{}({interval})", self.pick(&["sum", "min", "max", "avg"])),
            8 => format!("jsonb_agg({text} ORDER BY {identity})"),
            9 => format!("max({whole}) - min({whole} / 2)").replace("- min", "/ 2 - min"),
            10 => format!("sum({whole} / 4) / nullif(count({other}), 0)"),
            11 => format!("count(*) FILTER (WHERE {condition}) > count({text})"),
            12 => format!("array_agg({text} ORDER BY {whole} DESC, {identity})"),
            _ => format!("min({text} COLLATE \"C\")"),
        }
    }

    /// Groups, or one group of everything.
    pub(super) fn grouped(&mut self) -> (String, bool) {
        let scope = self.scope();
        let mut groups: Vec<String> = vec![];
        if self.percent(70) {
            for _ in 0..=self.below(2) {
                let kind = self.any_type(&scope);
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
                0 if !self.floats => format!("coalesce({aggregate}::text, 'none')"),
                1 => format!("{aggregate} AS c{}", items.len()),
                2 => format!("{aggregate} IS NULL"),
                _ => aggregate,
            };
            items.push(item);
        }
        let by = match (groups.is_empty(), self.below(12)) {
            (true, _) => String::new(),
            (_, 0) => format!(" GROUP BY {} ({})", self.pick(&["ROLLUP", "CUBE"]), groups.join(", ")),
            (_, 3) if self.percent(30) => {
                format!(" GROUP BY DISTINCT ROLLUP ({}), CUBE ({})", groups.join(", "), groups[0])
            }
            (_, 4) if self.percent(30) => format!(" GROUP BY (), {}", groups.join(", ")),
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
        let having = if self.percent(5) {
            format!(" HAVING count(*) >= (SELECT min(i.id) FROM b i WHERE i.v = {})", self.below(5))
        } else if self.percent(15) {
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

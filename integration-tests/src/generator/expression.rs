//! Expressions and conditions over what a FROM clause offers. In: a scope and a type. Out: their text. Never: a statement.

use super::{Generator, Scope, TYPES, Type};

impl Generator {
    pub(super) fn column(&mut self, scope: &Scope, kind: Type) -> Option<String> {
        let fitting: Vec<&String> =
            scope.columns.iter().filter(|(_, of)| *of == kind).map(|(column, _)| column).collect();
        if fitting.is_empty() { None } else { Some(fitting[self.below(fitting.len())].clone()) }
    }

    /// The type of one of the columns for the most part.
    pub(super) fn any_type(&mut self, scope: &Scope) -> Type {
        if !scope.columns.is_empty() && self.percent(70) {
            return scope.columns[self.below(scope.columns.len())].1;
        }
        TYPES[self.below(TYPES.len())]
    }

    /// An expression of a type; a column of it for the most part.
    pub(super) fn expression(&mut self, scope: &Scope, kind: Type, depth: usize) -> String {
        if (depth == 0 || self.percent(60))
            && let Some(column) = self.column(scope, kind)
        {
            return column;
        }
        let literal = depth == 0 || self.percent(30);
        if !literal && self.percent(35) {
            return self.function(scope, kind, depth);
        }
        match kind {
            _ if !literal && self.percent(20) => {
                self.mixes_scales |= kind == Type::Numeric;
                let (one, two) = (self.expression(scope, kind, depth - 1), self.expression(scope, kind, depth - 1));
                match self.below(3) {
                    0 => format!("coalesce({one}, {two})"),
                    1 => format!("nullif({one}, {two})"),
                    _ => format!("CASE WHEN {} THEN {one} ELSE {two} END", self.boolean(scope, 0)),
                }
            }
            Type::Integer if literal => (self.below(9) as i64 - 2).to_string(),
            Type::Integer => {
                let one = self.expression(scope, Type::Integer, depth - 1);
                // never out of range: which rows are computed, and so which faults are seen, hangs on PostgreSQL's plan
                let how = self.pick(&["% 3", "/ 2 + 1", "% 1000 * 2", "/ 2 - 4", "/ 2"]);
                format!("({one} {how})")
            }
            Type::Numeric if literal => self.pick(&["1.50", "0.00", "-2.25", "NULL::numeric"]).to_owned(),
            Type::Numeric => {
                let one = self.expression(scope, Type::Numeric, depth - 1);
                let how = self.pick(&["+ 1", "* 2", "- 0.25"]);
                format!("({one} {how})")
            }
            Type::Float if literal => self.pick(&["0.5::float8", "'NaN'::float8", "'-Infinity'::float8"]).to_owned(),
            Type::Float => {
                let one = self.expression(scope, Type::Float, depth - 1);
                let how = self.pick(&["+ 1", "* 2", "- 0.25"]);
                format!("({one} {how})")
            }
            Type::Date if literal => {
                self.pick(&["date '2024-02-29'", "'infinity'::date", "date '0044-03-15 BC'"]).to_owned()
            }
            Type::Date => format!("({} + 1)", self.expression(scope, Type::Date, depth - 1)),
            Type::Timestamp => {
                self.pick(&["timestamp '2024-01-01 00:00'", "NULL::timestamp", "'-infinity'::timestamp"]).to_owned()
            }
            Type::Bytes if literal => self.pick(&["'b' COLLATE \"C\"", "'Z' COLLATE \"C\""]).to_owned(),
            Type::Bytes => {
                let one = self.expression(scope, Type::Text, depth - 1);
                format!("(({one}) COLLATE \"C\")")
            }
            Type::Text if literal => self.pick(&["'x'", "'Ä'", "''", "NULL::text"]).to_owned(),
            Type::Text => {
                let one = self.expression(scope, Type::Integer, depth - 1);
                format!("({one})::text")
            }
            Type::Boolean => format!("({})", self.boolean(scope, depth.saturating_sub(1))),
            other => self.rare(scope, other, literal, depth),
        }
    }

    /// An expression of a type that few tables have.
    fn rare(&mut self, scope: &Scope, kind: Type, literal: bool, depth: usize) -> String {
        let literals: &[&str] = match kind {
            Type::Interval => &["interval '1 day'", "'-2 hours'::interval", "NULL::interval"],
            Type::Instant => &["timestamptz '2024-01-01 00:00+02'", "'infinity'::timestamptz", "NULL::timestamptz"],
            Type::Array => &["'{}'::int[]", "ARRAY[1, 2]", "'{NULL,3}'::int[]", "NULL::int[]"],
            Type::Json => &["'{\"n\": 1}'::jsonb", "'null'::jsonb", "'[1]'::jsonb", "NULL::jsonb"],
            Type::Uuid => &["'11111111-2222-3333-4444-555555555555'::uuid", "NULL::uuid"],
            Type::Mood => &["'ok'::mood", "'bad'::mood", "NULL::mood"],
            Type::Time => &["time '12:00'", "'24:00'::time", "NULL::time"],
            _ => &["'\\x00ff'::bytea", "''::bytea", "NULL::bytea"],
        };
        if literal {
            return self.pick(literals).to_owned();
        }
        let one = self.expression(scope, kind, depth - 1);
        match kind {
            Type::Interval => format!("({one} * 2)"),
            Type::Instant => format!("({one} + interval '1 hour')"),
            Type::Array => format!("({one} || 4)"),
            Type::Time => format!("({one} + interval '90 minutes')"),
            Type::Binary => format!("({one} || '\\x01'::bytea)"),
            _ => format!("coalesce({one}, {})", self.pick(literals)),
        }
    }

    pub(super) fn boolean(&mut self, scope: &Scope, depth: usize) -> String {
        if depth > 0 && self.percent(40) {
            let (one, two) = (self.boolean(scope, depth - 1), self.boolean(scope, depth - 1));
            return match self.below(4) {
                0 => format!("NOT ({one})"),
                1 => format!("({one} OR {two})"),
                2 => format!("(({one}) IS UNKNOWN)"),
                _ => format!("({one} AND {two})"),
            };
        }
        if !scope.keys.is_empty() && self.percent(15) {
            let (key, kind) = scope.keys[self.below(scope.keys.len())].clone();
            return self.key(&key, kind);
        }
        if self.percent(25) {
            return self.odd_condition(scope, depth);
        }
        let kind = self.any_type(scope);
        let one = self.expression(scope, kind, depth);
        let two = self.expression(scope, kind, depth);
        match self.below(6) {
            0 => format!("{one} IS {}NULL", self.pick(&["", "NOT "])),
            1 => format!("{one} IS NOT DISTINCT FROM {two}"),
            2 => format!("{one} IN ({two}, {two})"),
            _ => format!("{one} {} {two}", self.pick(&["<", ">", "<>", "=", ">="])),
        }
    }

    /// A whole number of the scope, or one from nowhere.
    fn integer(&mut self, scope: &Scope) -> String {
        self.column(scope, Type::Integer).unwrap_or_else(|| (self.below(9) as i64 - 2).to_string())
    }

    /// One value from a query inside.
    pub(super) fn scalar(&mut self, scope: &Scope) -> String {
        let one = self.integer(scope);
        match self.below(7) {
            0 => format!("(SELECT max(i.v) FROM b i WHERE i.k = {one})"),
            1 => format!("(SELECT count(*) FROM e i WHERE i.s = {one})"),
            2 => "(SELECT max(i.s) FROM a i)".to_owned(),
            3 => format!("(SELECT sum(i.s) FROM a i JOIN b j ON i.k = j.k AND i.id = j.id WHERE j.v > {one})"),
            4 => format!("(SELECT i.s FROM a i WHERE i.k = {} AND i.id = 1)", self.key_value(Type::Integer)),
            5 => format!("(SELECT count(DISTINCT i.v) FROM b i WHERE i.v <= {one})"),
            _ => format!("(SELECT i.id FROM a i WHERE i.s = {one} ORDER BY i.k, i.id LIMIT 1)"),
        }
    }

    /// A condition with a query inside.
    pub(super) fn sub_condition(&mut self, scope: &Scope) -> String {
        let not = self.pick(&["", "NOT "]);
        let one = self.integer(scope);
        let how = self.pick(&["=", ">=", "<>", "<"]);
        if let Some((key, Type::Integer)) = scope.keys.first().cloned()
            && self.percent(50)
        {
            return match self.below(12) {
                8 => format!("{key} = (SELECT max(i.k) FROM b i WHERE i.k = {key} AND i.v > 0)"),
                9 => format!("({key}, {one}) {not}IN (SELECT i.k, i.id FROM b i)"),
                10 => format!("{key} {not}IN (SELECT i.k FROM g i WHERE i.k = {key} AND i.w = {one})"),
                11 => format!(
                    "{not}EXISTS (SELECT FROM b i LEFT JOIN g j USING (k, id) WHERE i.k = {key} AND j.w IS NULL)"
                ),
                0 => format!("{not}EXISTS (SELECT 1 FROM b i WHERE i.k = {key})"),
                1 => format!("{not}EXISTS (SELECT 1 FROM b i WHERE i.v = {key})"),
                2 => format!("{key} {not}IN (SELECT i.k FROM b i)"),
                3 => format!("{key} {not}IN (SELECT i.v FROM b i WHERE i.k = {})", self.key_value(Type::Integer)),
                4 => format!("{key} {not}IN (SELECT rid FROM r)"),
                5 => format!("{key} > ALL (SELECT v FROM b WHERE v < 3)"),
                6 => format!("{key} {not}IN (SELECT i.k FROM b i WHERE i.v > 2 UNION SELECT i.s FROM e i)"),
                _ => format!("(SELECT count(*) FROM b i WHERE i.k = {key}) > 1"),
            };
        }
        match self.below(18) {
            10 => format!("EXISTS (SELECT FROM b i WHERE i.v = {one} GROUP BY i.ok HAVING count(*) > 1)"),
            11 => format!("({one}, 2) {not}IN (VALUES (1, 2), (NULL, 2), (7, 3))"),
            12 => format!("{one} <> ALL (SELECT i.v FROM b i WHERE i.v IS NOT NULL AND i.id = 1)"),
            13 => {
                format!("{one} = (SELECT max(i.s) FROM a i WHERE i.id = (SELECT min(j.id) FROM e j WHERE j.s = i.s))")
            }
            14 => {
                format!(
                    "{not}EXISTS (SELECT FROM a i WHERE i.s = {one} AND EXISTS (SELECT FROM e j WHERE j.s = {one} AND j.id = i.id))"
                )
            }
            15 => {
                format!("{one} {not}IN (WITH w AS (SELECT v FROM b WHERE id = 1) SELECT v FROM w WHERE v IS NOT NULL)")
            }
            16 => format!("{one} {how} ANY (SELECT unnest(i.arr) FROM g i WHERE i.id = 1)"),
            17 => format!("ARRAY(SELECT i.v FROM b i WHERE i.id = {one} ORDER BY i.k, i.v)::int[] && ARRAY[1, 2]"),
            0 => format!("{not}EXISTS (SELECT 1 FROM e i WHERE i.s = {one})"),
            1 => format!("{one} {not}IN (SELECT i.s FROM e i WHERE i.s IS NOT NULL)"),
            2 => format!("{one} {not}IN (SELECT i.v FROM b i)"),
            3 => format!("({one}, 1) {not}IN (SELECT i.s, i.id FROM a i WHERE i.s IS NOT NULL)"),
            4 => format!("{one} {how} ALL (SELECT i.s FROM e i WHERE i.id = 2)"),
            5 => format!("{one} {how} ANY (SELECT i.s FROM e i WHERE i.id = 1)"),
            6 => format!("{one} {not}IN (SELECT rid FROM r EXCEPT SELECT s FROM a)"),
            7 => format!("{not}EXISTS (SELECT 1 FROM a i JOIN b j ON i.k = j.k WHERE j.v = {one})"),
            8 => format!("{one} {not}IN (SELECT lid FROM l)"),
            _ => format!("{one} {how} {}", self.scalar(scope)),
        }
    }

    pub(super) fn condition(scope: &Scope) -> String {
        if scope.conditions.is_empty() { String::new() } else { format!(" WHERE {}", scope.conditions.join(" AND ")) }
    }

    pub(super) fn direction(&mut self) -> &'static str {
        self.pick(&[
            "",
            "",
            " DESC",
            " ASC",
            " NULLS FIRST",
            " DESC NULLS LAST",
            " ASC NULLS LAST",
            " DESC NULLS FIRST",
        ])
    }
}

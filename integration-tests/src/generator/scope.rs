//! What a statement reads, and which keys it asks for. In: chance. Out: FROM clauses with what they offer; conditions on keys.
//! Never: the rest of a query.

use super::{A, B, E, G, Generator, R, Scope, Type};

impl Generator {
    /// A FROM clause, with conditions.
    pub(super) fn scope(&mut self) -> Scope {
        let mut scope = if self.percent(30) { self.far_scope() } else { self.near_scope() };
        if self.percent(45) {
            self.condition_on_key(&mut scope);
        }
        if self.percent(40) {
            let condition = self.boolean(&scope, 2);
            scope.conditions.push(condition);
        }
        if self.percent(10) {
            let condition = self.sub_condition(&scope);
            scope.conditions.push(condition);
        }
        scope
    }

    /// One table, or tables that are mostly joined on their key.
    fn near_scope(&mut self) -> Scope {
        let mut scope = Scope::default();
        match self.below(32) {
            24..27 => {
                scope.from = "g x".into();
                scope.add(&G, "x");
            }
            27..30 => {
                let kind = self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                let on = self.pick(&["USING (k, id)", "USING (id, k)", "ON x.k = y.k AND x.id = y.id"]);
                scope.from = format!("a x {kind} g y {on}");
                scope.add(&A, "x");
                scope.add(&G, "y");
            }
            30 => {
                let kind = self.pick(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
                scope.from = format!("a x {kind} b y USING (k, id) {kind} g z USING (k, id)");
                scope.add(&A, "x");
                scope.add(&B, "y");
                scope.add(&G, "z");
            }
            31 => {
                let kind = self.pick(&["LEFT JOIN", "JOIN", "FULL JOIN"]);
                scope.from =
                    format!("a x {kind} (g y JOIN b z ON z.k = y.k AND z.id = y.id) ON x.k = y.k AND x.id = y.id");
                scope.add(&A, "x");
                scope.add(&G, "y");
                scope.add(&B, "z");
            }
            0..7 => {
                scope.from = "a x".into();
                scope.add(&A, "x");
            }
            7..9 => {
                scope.from = "b x".into();
                scope.add(&B, "x");
            }
            9..11 => {
                scope.from = "e x".into();
                scope.add(&E, "x");
            }
            11 => {
                scope.from = "r x".into();
                scope.add(&R, "x");
            }
            12..17 => {
                let kind = self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "INNER JOIN"]);
                let on = match self.below(9) {
                    0 => "x.id = y.id".to_owned(),
                    1 => "x.k = y.k AND x.id = y.id AND x.s > 1".to_owned(),
                    2 => "x.k = y.k AND (x.id = y.id OR y.v IS NULL)".to_owned(),
                    3 => "y.k = x.k AND y.v = x.s".to_owned(),
                    4 => format!("x.k = y.k AND x.id = y.id AND {}", self.key("y.k", Type::Integer)),
                    5 => format!("x.k = y.k AND x.id = y.id AND {}", self.key("x.k", Type::Integer)),
                    6 => "x.k = y.k OR x.id = y.id".to_owned(),
                    _ => "x.k = y.k AND x.id = y.id".to_owned(),
                };
                scope.from = format!("a x {kind} b y ON {on}");
                scope.add(&A, "x");
                scope.add(&B, "y");
            }
            17 => {
                scope.from = "a x, b y".into();
                let on = self.pick(&["x.k = y.k AND x.id = y.id", "x.k = y.k", "x.k = y.v", "x.k + 0 = y.k"]);
                scope.conditions.push(on.to_owned());
                scope.add(&A, "x");
                scope.add(&B, "y");
            }
            18..21 => {
                let kind = self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                if self.percent(70) {
                    scope.from = format!("a x {kind} r y ON x.s = y.rid");
                    scope.add(&A, "x");
                    scope.add(&R, "y");
                } else {
                    scope.from = format!("r y {kind} a x ON x.s = y.rid");
                    scope.add(&R, "y");
                    scope.add(&A, "x");
                }
            }
            21 => {
                scope.from = "a x CROSS JOIN r y".into();
                scope.add(&A, "x");
                scope.add(&R, "y");
            }
            22 => {
                let on = self.pick(&["x.k = y.k AND x.id = y.id", "x.k = y.k AND x.s = y.s", "x.s = y.id"]);
                scope.from = format!("a x JOIN a y ON {on}");
                scope.add(&A, "x");
                scope.add(&A, "y");
            }
            _ => {
                let kind = self.pick(&["JOIN", "LEFT JOIN"]);
                let other = self.pick(&["LEFT JOIN", "JOIN"]);
                scope.from = format!("a x {kind} b y ON x.k = y.k AND x.id = y.id {other} r z ON z.rid = y.v");
                scope.add(&A, "x");
                scope.add(&B, "y");
                scope.add(&R, "z");
            }
        }
        scope
    }

    pub(super) fn condition_on_key(&mut self, scope: &mut Scope) {
        if scope.keys.is_empty() {
            return;
        }
        let (key, kind) = scope.keys[self.below(scope.keys.len())].clone();
        let mut condition = self.key(&key, kind);
        match self.below(14) {
            0 => condition = format!("({condition} OR {})", self.key(&key, kind)),
            1 => condition = format!("({condition} OR {})", self.boolean(scope, 1)),
            2 => condition = format!("NOT ({condition})"),
            3 => condition = format!("({condition} AND {})", self.key(&key, kind)),
            4 => condition = format!("({condition}) IS TRUE"),
            5 => condition = format!("({condition}) IS NOT FALSE"),
            6 => condition = format!("(NOT {condition} OR {})", self.key(&key, kind)),
            7 => condition = format!("CASE WHEN {condition} THEN true ELSE {} END", self.boolean(scope, 1)),
            _ => {}
        }
        scope.conditions.push(condition);
    }

    /// A value for a key, in one of SQL's many spellings.
    pub(super) fn key_value(&mut self, kind: Type) -> String {
        if kind == Type::Bytes {
            let value = self.pick(&["a", "A", "", " a", "a ", "ä", "it''s", "007", "7", "x\\y", "zz", "NULL"]);
            if self.with_parameters && self.percent(40) {
                return self.parameter(value.replace("''", "'"));
            }
            return match self.below(8) {
                0 => format!("'{value}'::text"),
                1 => format!("'{value}'::varchar"),
                2 => format!("E'{}'", value.replace('\\', "\\\\")),
                3 => format!("$q${}$q$", value.replace("''", "'")),
                4 => format!("'{value}'::char(3)"),
                5 => format!("CAST('{value}' AS text)"),
                6 => format!("N'{value}'"),
                _ => format!("'{value}'"),
            };
        }
        let number = match self.below(12) {
            0 => -(self.below(4) as i64),
            1 => 2_147_483_648,
            2 => i64::MIN + 1,
            _ => self.below(26) as i64,
        };
        if self.with_parameters && self.percent(40) {
            let text = match self.below(6) {
                0 => format!(" {number} "),
                1 if number >= 0 => format!("00{number}"),
                _ => number.to_string(),
            };
            return self.parameter(text);
        }
        match self.below(24) {
            0 => format!("'{number}'"),
            1 if number >= 0 => format!("'00{number}'"),
            2 => format!("{number}.0"),
            3 => format!("'{number}'::bigint"),
            4 if number.abs() < 100 => format!("({number})::int2"),
            5 => format!("({number})::numeric"),
            6 => format!("({number})::float8"),
            7 => format!("' {number} '"),
            8 => "NULL".into(),
            9 => "99999999999999999999".into(),
            10 if number.abs() < 100 => format!("{number}.5::int"),
            11 => format!("({number} + 0)"),
            12 if number >= 0 => format!("+{number}"),
            13 => format!("- {number}").replace("- -", "- - "),
            14 => format!("CAST({number} AS bigint)"),
            15 if number >= 0 => format!("bigint '{number}'"),
            16 if number >= 0 => format!("{number}e0"),
            17 if number.abs() < 100 => format!("'{number}'::int4"),
            18 => format!("({number})"),
            19 => format!("(SELECT {number})"),
            _ => number.to_string(),
        }
    }

    pub(super) fn parameter(&mut self, value: String) -> String {
        let value = if self.percent(6) { None } else { Some(value) };
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    pub(super) fn key(&mut self, key: &str, kind: Type) -> String {
        match self.below(18) {
            0..7 => format!("{key} = {}", self.key_value(kind)),
            7 => format!("{} = {key}", self.key_value(kind)),
            8..11 => {
                let values = self.key_values(kind);
                format!("{key} IN ({values})")
            }
            11 => {
                let values = self.key_values(kind);
                format!("{key} NOT IN ({values})")
            }
            12 if kind == Type::Integer => {
                let array = self.pick(&["{1,2,3}", "{}", "{7,NULL}", "{-1, 007}", "{{4,5},{6,8}}"]).to_owned();
                match self.below(4) {
                    0 if self.with_parameters => format!("{key} = ANY ({})", self.parameter(array)),
                    1 => format!("{key} = ANY ('{array}'::int[])"),
                    2 => format!("{key} = ANY ('{array}')"),
                    _ => format!("{key} = ANY ('{array}'::bigint[])"),
                }
            }
            12 => format!("{key} = ANY ('{{a,\" a\",NULL,zz}}')"),
            13 => {
                let values = self.key_values(kind);
                let how = self.pick(&["= ANY", "<> ALL", "= ALL", "<> ANY"]);
                format!("{key} {how} (ARRAY[{values}])")
            }
            14 => {
                let (low, high) = (self.key_value(kind), self.key_value(kind));
                let not = self.pick(&["", "NOT "]);
                format!("{key} {not}BETWEEN {low} AND {high}")
            }
            15 => format!("{key} IS {}NULL", self.pick(&["", "NOT "])),
            16 => format!("{key} IS {}DISTINCT FROM {}", self.pick(&["", "NOT "]), self.key_value(kind)),
            _ => {
                let (value, how) = (self.key_value(kind), self.pick(&["<", ">", "<=", ">=", "<>"]));
                format!("{key} {how} {value}")
            }
        }
    }

    pub(super) fn key_values(&mut self, kind: Type) -> String {
        let count = 1 + self.below(4);
        let values: Vec<String> = (0..count).map(|_| self.key_value(kind)).collect();
        values.join(", ")
    }
}

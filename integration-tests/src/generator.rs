//! A generator of statements: a grammar with a seed, over the tables of `cases/random`.
//! In: a seed. Out: SELECTs and writes whose answers do not depend on chance. Never: an order among equals that anybody compares.

/// A statement with its parameters, and what may be compared of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text.
    pub sql: String,
    /// Its parameters, as text.
    pub parameters: Vec<Option<String>>,
    /// Whether its ORDER BY leaves no ties between different rows.
    pub ordered: bool,
}

/// What an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Integer,
    Numeric,
    Float,
    Date,
    Timestamp,
    /// Text that orders by bytes.
    Bytes,
    /// Text that orders by a language.
    Text,
    Boolean,
}

const TYPES: [Type; 8] =
    [Type::Integer, Type::Integer, Type::Numeric, Type::Float, Type::Date, Type::Timestamp, Type::Bytes, Type::Text];

/// A table of `cases/random/setup.sql`.
struct Table {
    columns: &'static [(&'static str, Type)],
    /// What tells its rows apart; nothing when rows may be equal.
    identity: &'static [&'static str],
}

const A: Table = Table {
    columns: &[
        ("k", Type::Integer),
        ("id", Type::Integer),
        ("s", Type::Integer),
        ("n", Type::Numeric),
        ("f", Type::Float),
        ("d", Type::Date),
        ("t", Type::Text),
        ("c", Type::Bytes),
    ],
    identity: &["k", "id"],
};
const B: Table = Table {
    columns: &[
        ("k", Type::Integer),
        ("id", Type::Integer),
        ("v", Type::Integer),
        ("q", Type::Numeric),
        ("f", Type::Float),
        ("ts", Type::Timestamp),
        ("c", Type::Bytes),
        ("ok", Type::Boolean),
    ],
    identity: &["k", "id"],
};
const E: Table = Table {
    columns: &[("k", Type::Bytes), ("id", Type::Integer), ("s", Type::Integer), ("f", Type::Float)],
    identity: &["k", "id"],
};
const R: Table = Table {
    columns: &[("rid", Type::Integer), ("label", Type::Text), ("w", Type::Numeric), ("s", Type::Integer)],
    identity: &["rid"],
};

/// What a FROM clause offers.
#[derive(Default)]
struct Scope {
    from: String,
    columns: Vec<(String, Type)>,
    identity: Vec<String>,
    keys: Vec<(String, Type)>,
    conditions: Vec<String>,
}

impl Scope {
    fn add(&mut self, table: &Table, alias: &str) {
        self.columns.extend(table.columns.iter().map(|(name, kind)| (format!("{alias}.{name}"), *kind)));
        self.identity.extend(table.identity.iter().map(|name| format!("{alias}.{name}")));
        if let Some((name, kind)) = table.columns.first().filter(|(name, _)| *name == "k") {
            self.keys.push((format!("{alias}.{name}"), *kind));
        }
    }
}

/// Makes statements from a seed.
#[derive(Debug)]
pub struct Generator {
    state: u64,
    /// Whether values may be parameters.
    with_parameters: bool,
    parameters: Vec<Option<String>>,
}

impl Generator {
    /// A generator whose statements depend on the seed alone.
    pub fn new(seed: u64) -> Generator {
        Generator { state: seed, with_parameters: false, parameters: Vec::new() }
    }

    /// splitmix64: the same statements for a seed, whatever becomes of other crates' generators.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or_default()
    }

    /// True in this many of a hundred cases.
    fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// The next SELECT, with parameters or without.
    pub fn select(&mut self, with_parameters: bool) -> Statement {
        self.with_parameters = with_parameters;
        self.parameters.clear();
        let (sql, ordered) = match self.below(100) {
            0..8 => (self.set_operation(), false),
            8..14 => (self.common_table(), false),
            14..17 => (self.values(), true),
            17..21 => (self.window(), false),
            21..25 => (self.outer_query(), false),
            25..60 => self.grouped(),
            _ => self.plain(),
        };
        Statement { sql, parameters: std::mem::take(&mut self.parameters), ordered }
    }

    /// The next write of a few rows.
    pub fn write(&mut self, with_parameters: bool) -> Statement {
        self.with_parameters = with_parameters;
        self.parameters.clear();
        let sql = match self.below(4) {
            0 => self.update(),
            1 => self.delete(),
            _ => self.insert(),
        };
        Statement { sql, parameters: std::mem::take(&mut self.parameters), ordered: false }
    }

    fn scope(&mut self) -> Scope {
        let mut scope = Scope::default();
        match self.below(24) {
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
        if self.percent(45) {
            self.condition_on_key(&mut scope);
        }
        if self.percent(40) {
            let condition = self.boolean(&scope, 2);
            scope.conditions.push(condition);
        }
        if self.percent(6) {
            let condition = self.sub_condition(&scope);
            scope.conditions.push(condition);
        }
        scope
    }

    fn condition_on_key(&mut self, scope: &mut Scope) {
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
    fn key_value(&mut self, kind: Type) -> String {
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

    fn parameter(&mut self, value: String) -> String {
        let value = if self.percent(6) { None } else { Some(value) };
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    fn key(&mut self, key: &str, kind: Type) -> String {
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

    fn key_values(&mut self, kind: Type) -> String {
        let count = 1 + self.below(4);
        let values: Vec<String> = (0..count).map(|_| self.key_value(kind)).collect();
        values.join(", ")
    }

    fn column(&mut self, scope: &Scope, kind: Type) -> Option<String> {
        let fitting: Vec<&String> =
            scope.columns.iter().filter(|(_, of)| *of == kind).map(|(column, _)| column).collect();
        if fitting.is_empty() { None } else { Some(fitting[self.below(fitting.len())].clone()) }
    }

    fn any_type(&mut self) -> Type {
        TYPES[self.below(TYPES.len())]
    }

    /// An expression of a type; a column of it for the most part.
    fn expression(&mut self, scope: &Scope, kind: Type, depth: usize) -> String {
        if (depth == 0 || self.percent(60))
            && let Some(column) = self.column(scope, kind)
        {
            return column;
        }
        let literal = depth == 0 || self.percent(30);
        match kind {
            _ if !literal && self.percent(20) => {
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
                let how = self.pick(&["% 3", "+ 1", "* 2", "- 4", "/ 2"]);
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
        }
    }

    fn boolean(&mut self, scope: &Scope, depth: usize) -> String {
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
        let kind = self.any_type();
        let one = self.expression(scope, kind, depth);
        let two = self.expression(scope, kind, depth);
        match self.below(6) {
            0 => format!("{one} IS {}NULL", self.pick(&["", "NOT "])),
            1 => format!("{one} IS NOT DISTINCT FROM {two}"),
            2 => format!("{one} IN ({two}, {two})"),
            _ => format!("{one} {} {two}", self.pick(&["<", ">", "<>", "=", ">="])),
        }
    }

    /// A condition with a query inside.
    fn sub_condition(&mut self, scope: &Scope) -> String {
        let Some((key, Type::Integer)) = scope.keys.first().cloned() else { return "true".into() };
        let not = self.pick(&["", "NOT "]);
        match self.below(7) {
            0 => format!("{not}EXISTS (SELECT 1 FROM b i WHERE i.k = {key})"),
            1 => format!("{not}EXISTS (SELECT 1 FROM b i WHERE i.v = {key})"),
            2 => format!("{key} {not}IN (SELECT i.k FROM b i)"),
            3 => format!("{key} {not}IN (SELECT i.v FROM b i WHERE i.k = {})", self.key_value(Type::Integer)),
            4 => format!("{key} {not}IN (SELECT rid FROM r)"),
            5 => format!("{key} > ALL (SELECT v FROM b WHERE v < 3)"),
            _ => format!("(SELECT count(*) FROM b i WHERE i.k = {key}) > 1"),
        }
    }

    fn condition(scope: &Scope) -> String {
        if scope.conditions.is_empty() { String::new() } else { format!(" WHERE {}", scope.conditions.join(" AND ")) }
    }

    fn direction(&mut self) -> &'static str {
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

    fn limit(&mut self) -> String {
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
    fn plain(&mut self) -> (String, bool) {
        let scope = self.scope();
        let distinct = self.percent(12);
        let count = 1 + self.below(4);
        let mut items: Vec<String> = vec![];
        for place in 0..count {
            let kind = self.any_type();
            let expression = self.expression(&scope, kind, 2);
            let (cast, name) = match self.below(8) {
                0 => ("", self.pick(&["k", "id", "f", "s"]).to_owned()),
                1 | 2 => ("", format!("c{place}")),
                _ => ("", String::new()),
            };
            items.push(if name.is_empty() { format!("{expression}{cast}") } else { format!("{expression} AS {name}") });
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

    fn aggregate(&mut self, scope: &Scope) -> String {
        let kind = self.any_type();
        let numeric = [Type::Integer, Type::Numeric, Type::Float][self.below(3)];
        let of = self.expression(scope, kind, 1);
        let number = self.expression(scope, numeric, 1);
        let condition = self.boolean(scope, 1);
        let call = match self.below(16) {
            0..3 => "count(*)".to_owned(),
            3 => format!("count({of})"),
            4 | 5 => format!("sum({number})"),
            6 | 7 => format!("avg({number})"),
            8 | 9 => format!("min({of})"),
            10 | 11 => format!("max({of})"),
            12 => format!("bool_and({condition})"),
            13 => format!("bool_or({condition})"),
            14 => format!("{}(DISTINCT {number})", self.pick(&["count", "sum", "avg"])),
            _ => format!("every({condition})"),
        };
        if self.percent(15) { format!("{call} FILTER (WHERE {})", self.boolean(scope, 1)) } else { call }
    }

    /// Groups, or one group of everything.
    fn grouped(&mut self) -> (String, bool) {
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
            (_, 0) => format!(" GROUP BY ROLLUP ({})", groups.join(", ")),
            (_, 1) => format!(" GROUP BY {}", (1..=groups.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")),
            _ => format!(" GROUP BY {}", groups.join(", ")),
        };
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
        let total = !by.contains("ROLLUP");
        sql += &format!(" ORDER BY {}", order.join(", "));
        if total {
            sql += &self.limit();
        }
        (sql, total)
    }

    fn branch(&mut self) -> String {
        let scope = self.scope();
        let one = self.expression(&scope, Type::Integer, 1);
        let two = self.expression(&scope, Type::Text, 1);
        format!("SELECT {one}, {two} FROM {}{}", scope.from, Self::condition(&scope))
    }

    fn set_operation(&mut self) -> String {
        let how = self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "UNION ALL"]);
        let (one, two) = (self.branch(), self.branch());
        if self.percent(30) { format!("{one} {how} {two} ORDER BY 1, 2") } else { format!("{one} {how} {two}") }
    }

    fn common_table(&mut self) -> String {
        let inner = self.branch();
        let inner = inner.replacen("SELECT ", "SELECT x.k, ", 1);
        let inner = if inner.contains("FROM r x") { inner.replacen("x.k", "x.rid", 1) } else { inner };
        let materialized = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let outer = match self.below(6) {
            0 => "SELECT count(*), sum(i) FROM w".to_owned(),
            1 => "SELECT w.k, y.v FROM w JOIN b y ON y.k::text = w.k::text AND y.id = 1".to_owned(),
            2 => "SELECT max(t) FROM w".to_owned(),
            3 => "SELECT k, count(*) FROM w GROUP BY k".to_owned(),
            4 => "SELECT * FROM w WHERE i = 3".to_owned(),
            _ => "SELECT k, i FROM w".to_owned(),
        };
        format!("WITH w (k, i, t) AS {materialized}({inner}) {outer}")
    }

    fn values(&mut self) -> String {
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

    fn window(&mut self) -> String {
        let scope = self.scope();
        let by = match scope.keys.first() {
            Some((key, _)) if self.percent(60) => format!("PARTITION BY {key}"),
            _ => String::new(),
        };
        let order = scope.identity.join(", ");
        let call = self.pick(&["row_number()", "rank()", "count(*)", "sum(1)"]);
        let first = scope.identity.first().cloned().unwrap_or_else(|| "1".into());
        format!("SELECT {first}, {call} OVER ({by} ORDER BY {order}) FROM {}{}", scope.from, Self::condition(&scope))
    }

    /// A query in FROM or in the select list.
    fn outer_query(&mut self) -> String {
        let inner = self.branch();
        match self.below(5) {
            0 => format!("SELECT * FROM ({inner}) q (i, t) WHERE i > 2"),
            1 => format!("SELECT count(*), max(i) FROM ({inner}) q (i, t)"),
            2 => format!("SELECT t, count(*) FROM ({inner}) q (i, t) GROUP BY t"),
            3 => {
                let value = self.key_value(Type::Integer);
                format!("SELECT x.id, (SELECT max(y.v) FROM b y WHERE y.k = x.k) FROM a x WHERE x.k = {value}")
            }
            _ => {
                let (one, two) = (self.key("x.k", Type::Integer), self.key("q.k", Type::Integer));
                format!(
                    "SELECT q.k, q.n FROM (SELECT x.k, count(*) AS n FROM a x WHERE {one} GROUP BY x.k) q WHERE {two}"
                )
            }
        }
    }

    fn insert(&mut self) -> String {
        let key = self.key_value(Type::Integer);
        let rows: Vec<String> = (0..=self.below(2)).map(|row| self.insert_row(&key, row)).collect();
        let conflict = match self.below(6) {
            0 => " ON CONFLICT DO NOTHING",
            1 => " ON CONFLICT (k, id) DO UPDATE SET s = excluded.s + 1, n = a.n",
            2 => " ON CONFLICT (k, id) DO UPDATE SET k = excluded.k + 1",
            _ => "",
        };
        let columns = self.pick(&["(k, id, s, n, c)", "(k, id, s, n, c)", "(id, k, s, n, c)"]);
        let returning = self.returning();
        format!("INSERT INTO a {columns} VALUES {}{conflict}{returning}", rows.join(", "))
    }

    fn insert_row(&mut self, key: &str, row: usize) -> String {
        let key = if self.percent(15) { self.key_value(Type::Integer) } else { key.to_owned() };
        let text = self.pick(&["'q'", "NULL", "DEFAULT", "'é'"]);
        format!("({key}, {}, {}, 1.25, {text})", 50 + row + self.below(3), self.below(9))
    }

    fn returning(&mut self) -> &'static str {
        self.pick(&["", " RETURNING k, id", " RETURNING *", " RETURNING s + 1 AS next, c"])
    }

    fn write_condition(&mut self, alias: &str) -> String {
        let mut scope = Scope::default();
        scope.add(&A, alias);
        self.condition_on_key(&mut scope);
        if self.percent(40) {
            let condition = self.boolean(&scope, 1);
            scope.conditions.push(condition);
        }
        Self::condition(&scope)
    }

    fn update(&mut self) -> String {
        let set = self.pick(&["s = s + 1", "n = n * 2, c = 'u'", "s = DEFAULT", "k = k", "k = 3", "s = id, f = -f"]);
        let from = if self.percent(15) { " FROM b y" } else { "" };
        let condition = self.write_condition("a");
        let join = match (from.is_empty(), condition.is_empty()) {
            (true, _) => "",
            (false, true) => " WHERE y.k = a.k AND y.id = a.id",
            (false, false) => " AND y.k = a.k AND y.id = a.id",
        };
        let returning = if from.is_empty() { self.returning() } else { "" };
        format!("UPDATE a SET {set}{from}{condition}{join}{returning}")
    }

    fn delete(&mut self) -> String {
        let condition = self.write_condition("a");
        format!("DELETE FROM a{condition}{}", self.returning())
    }
}

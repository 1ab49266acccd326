//! Queries made of queries: set operations, WITH, queries in FROM and elsewhere. In: chance. Out: their text, and whether
//! they are ordered. Never: an order among equals.

use super::{Generator, Type};

impl Generator {
    /// A query of a whole number and a text.
    pub(super) fn branch(&mut self) -> String {
        match self.below(40) {
            0 => return "SELECT 3, 'x'".to_owned(),
            1 => return "VALUES (1, 'a'), (NULL, NULL), (7, 'Ä')".to_owned(),
            2 => return "SELECT NULL::int, t FROM l".to_owned(),
            3 => return "SELECT s, max(label) FROM r GROUP BY s".to_owned(),
            4 => return "SELECT count(*), min(t) FROM a GROUP BY k HAVING count(*) > 1".to_owned(),
            _ => {}
        }
        let scope = self.scope();
        let one = self.expression(&scope, Type::Integer, 1);
        let two = self.expression(&scope, Type::Text, 1);
        format!("SELECT {one}, {two} FROM {}{}", scope.from, Self::condition(&scope))
    }

    /// Two branches or more.
    fn branches(&mut self) -> String {
        let how = self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL", "UNION ALL"]);
        let (one, two) = (self.branch(), self.branch());
        match self.below(6) {
            0 => {
                let (then, three) = (self.pick(&["UNION", "UNION ALL", "EXCEPT"]), self.branch());
                format!("({one} {how} {two}) {then} {three}")
            }
            1 => {
                let three = self.branch();
                format!("{one} UNION ({two} {how} {three})")
            }
            2 => format!("({one} ORDER BY 1, 2 LIMIT 5) {how} ({two})"),
            _ => format!("{one} {how} {two}"),
        }
    }

    pub(super) fn set_operation(&mut self) -> (String, bool) {
        let branches = self.branches();
        if self.percent(60) {
            return (branches, false);
        }
        let (one, two, limit) = (self.direction(), self.direction(), self.limit());
        (format!("{branches} ORDER BY 1{one}, 2{two}{limit}"), true)
    }

    pub(super) fn common_table(&mut self) -> (String, bool) {
        if self.percent(20) {
            return (self.recursive(), false);
        }
        let materialized = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
        if self.percent(15) {
            return (self.odd_common_table(materialized), false);
        }
        if self.percent(30) {
            let (one, two) = (self.branches(), self.branch());
            let outer = match self.below(4) {
                0 => "SELECT u.i, w.t FROM u JOIN w ON u.i = w.i",
                1 => "SELECT i FROM w WHERE i NOT IN (SELECT i FROM u WHERE i IS NOT NULL)",
                2 => "SELECT count(*), max(w.i) FROM w LEFT JOIN u USING (i)",
                _ => "SELECT i, t FROM u UNION ALL SELECT i, t FROM w",
            };
            return (format!("WITH w (i, t) AS {materialized}({one}), u (i, t) AS ({two}) {outer}"), false);
        }
        let inner = self.keyed_branch();
        let (outer, ordered) = match self.below(9) {
            0 => ("SELECT count(*), sum(i) FROM w", false),
            1 => ("SELECT w.k, y.v FROM w JOIN b y ON y.k::text = w.k::text AND y.id = 1", false),
            2 => ("SELECT max(t) FROM w", false),
            3 => ("SELECT k, count(*) FROM w GROUP BY k", false),
            4 => ("SELECT * FROM w WHERE i = 3", false),
            5 => ("SELECT one.k, two.i FROM w one JOIN w two ON one.i = two.i AND one.k < two.k", false),
            6 => ("SELECT k, i, t FROM w ORDER BY 1, 2, 3 LIMIT 6", true),
            7 => ("SELECT i, rank() OVER (ORDER BY i) FROM w", false),
            _ => ("SELECT k, i FROM w", false),
        };
        (format!("WITH w (k, i, t) AS {materialized}({inner}) {outer}"), ordered)
    }

    /// WITH in places where its name may mislead.
    fn odd_common_table(&mut self, materialized: &str) -> String {
        let (inner, key) = (self.branch(), self.key("x.k", Type::Integer));
        match self.below(6) {
            0 => format!(
                "WITH b (i, t) AS {materialized}({inner}) SELECT x.id, b.i FROM a x JOIN b ON b.i = x.s WHERE {key}"
            ),
            1 => format!("WITH w (i, t) AS {materialized}({inner}) SELECT x.k, x.id FROM a x WHERE {key}"),
            2 => format!(
                "SELECT x.k, x.id FROM a x WHERE x.s IN (WITH w (i, t) AS {materialized}({inner}) SELECT i FROM w)"
            ),
            3 => format!(
                "WITH w (i, t) AS {materialized}({inner}), u AS (WITH w AS (SELECT s AS i FROM e) SELECT max(i) AS m FROM w) SELECT w.i, u.m FROM w, u"
            ),
            4 => format!(
                "WITH w (i, t) AS {materialized}({inner}) SELECT (SELECT count(*) FROM w), x.id FROM a x WHERE {key}"
            ),
            _ => format!(
                "WITH w (i, t) AS {materialized}({inner}) SELECT count(*) FROM w one FULL JOIN w two ON one.i = two.i + 1"
            ),
        }
    }

    /// A branch with the first column of its first table before it.
    fn keyed_branch(&mut self) -> String {
        let scope = self.scope();
        let key = scope.identity.first().cloned().unwrap_or_else(|| "1".into());
        let one = self.expression(&scope, Type::Integer, 1);
        let two = self.expression(&scope, Type::Text, 1);
        format!("SELECT {key}, {one}, {two} FROM {}{}", scope.from, Self::condition(&scope))
    }

    /// A recursion that ends: UNION over few values, or a depth.
    fn recursive(&mut self) -> String {
        let key = self.key("x.k", Type::Integer);
        let start = format!("SELECT x.s::bigint, 0 FROM a x WHERE {key}");
        let step = match self.below(4) {
            0 => "SELECT y.v::bigint, d + 1 FROM w JOIN b y ON y.k = w.i WHERE d < 3",
            1 => "SELECT y.s::bigint, d + 1 FROM a y JOIN w ON y.id = w.i WHERE d < 2",
            2 => "SELECT i + 1, d + 1 FROM w WHERE d < 4",
            _ => "SELECT w.i, d + y.id FROM w, e y WHERE y.s = w.i AND d < 3",
        };
        let outer = self.pick(&["SELECT * FROM w", "SELECT d, count(*) FROM w GROUP BY d", "SELECT max(i) FROM w"]);
        format!("WITH RECURSIVE w (i, d) AS ({start} UNION {step}) {outer}")
    }

    /// A query in FROM or in the select list.
    pub(super) fn outer_query(&mut self) -> (String, bool) {
        let inner = if self.percent(30) { self.branches() } else { self.branch() };
        let join = self.pick(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
        let ordered = self.below(12) == 0;
        if ordered {
            return (format!("SELECT DISTINCT i FROM ({inner}) q (i, t) ORDER BY 1{} LIMIT 5", self.direction()), true);
        }
        let sql = match self.below(11) {
            0 => format!("SELECT * FROM ({inner}) q (i, t) WHERE i > 2"),
            1 => format!("SELECT count(*), max(i) FROM ({inner}) q (i, t)"),
            2 => format!("SELECT t, count(*) FROM ({inner}) q (i, t) GROUP BY t"),
            3 => {
                let value = self.key_value(Type::Integer);
                format!("SELECT x.id, (SELECT max(y.v) FROM b y WHERE y.k = x.k) FROM a x WHERE x.k = {value}")
            }
            4 => {
                let (one, two) = (self.key("x.k", Type::Integer), self.key("q.k", Type::Integer));
                format!(
                    "SELECT q.k, q.n FROM (SELECT x.k, count(*) AS n FROM a x WHERE {one} GROUP BY x.k) q WHERE {two}"
                )
            }
            5 => format!("SELECT q.i, y.s FROM ({inner}) q (i, t) {join} e y ON y.s = q.i"),
            6 => format!("SELECT * FROM ({inner} ORDER BY 1, 2 LIMIT 7) q (i, t)"),
            7 => format!(
                "SELECT x.id, (SELECT count(*) FROM ({inner}) q (i, t) WHERE q.i = x.s) FROM a x WHERE x.id = 1"
            ),
            8 => format!("SELECT i, row_number() OVER (ORDER BY i, t) FROM ({inner}) q (i, t)"),
            9 => {
                let grouped = self.grouped().0;
                format!("SELECT count(*) FROM ({grouped}) q")
            }
            _ => {
                let plain = self.plain().0;
                format!("SELECT count(*) FROM ({plain}) q")
            }
        };
        (sql, false)
    }
}

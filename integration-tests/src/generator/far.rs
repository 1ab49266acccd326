//! FROM clauses whose rows come together from several shards. In: chance. Out: their text, and what they offer.
//! Never: rows that nothing tells apart.

use super::{A, B, E, G, Generator, L, R, Scope, Type, VA, VB};

const JOINS: [&str; 5] = ["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];

impl Generator {
    /// Tables of several kinds and groups, joined on what is no key.
    pub(super) fn far_scope(&mut self) -> Scope {
        let join = self.pick(&JOINS);
        match self.below(26) {
            18 => {
                let mut scope = Self::pair("g x, unnest(x.arr) WITH ORDINALITY y (n, o)", [(&G, "x"); 1]);
                scope.columns.push(("y.n".to_owned(), Type::Integer));
                scope.identity.push("y.o".to_owned());
                scope
            }
            19 => Self::beside("a x, generate_series(1, x.id) y (n)", &["y.n"], &["y.n"]),
            20 => Self::pair(&format!("g x {join} e y ON x.w = y.s"), [(&G, "x"), (&E, "y")]),
            21 => Self::pair(&format!("a x {join} g y ON x.s = y.w AND y.id < 3"), [(&A, "x"), (&G, "y")]),
            22 => {
                let from =
                    "a x, LATERAL (SELECT v.n FROM (VALUES (x.s), (x.id), (9)) v (n) UNION ALL SELECT x.s * 2) y";
                Self::beside(from, &["y.n"], &["y.n"])
            }
            23 => {
                let from = format!(
                    "a x {join} (SELECT k, id, row_number() OVER (PARTITION BY {} ORDER BY k, id) AS n FROM b) y ON y.k = x.k AND y.id = x.id",
                    self.pick(&["k", "v", "k, v", "ok"])
                );
                Self::beside(&from, &["y.n", "y.k", "y.id"], &["y.k", "y.id"])
            }
            24 => {
                let mut scope = Self::pair(
                    &format!("a x LEFT JOIN (b y {join} e z ON z.s = y.v) ON x.k = y.k"),
                    [(&A, "x"), (&B, "y")],
                );
                scope.add(&E, "z");
                scope
            }
            25 => {
                let from = format!("a x {join} (SELECT DISTINCT s FROM e UNION SELECT v FROM b) y ON y.s = x.s");
                Self::beside(&from, &["y.s"], &["y.s"])
            }
            0 => Self::pair(&format!("a x {join} e y ON x.s = y.s"), [(&A, "x"), (&E, "y")]),
            1 => Self::pair(&format!("e x {join} b y ON x.s = y.v"), [(&E, "x"), (&B, "y")]),
            2 => Self::pair(&format!("a x {join} a y ON x.s = y.id"), [(&A, "x"), (&A, "y")]),
            3 => Self::pair(&format!("a x {join} b y ON x.s = y.v AND y.id = 1"), [(&A, "x"), (&B, "y")]),
            4 => Self::pair("e x JOIN e y ON x.k < y.k AND x.id = y.id", [(&E, "x"), (&E, "y")]),
            5 => Self::pair(&format!("a x {join} l y ON x.s = y.lid"), [(&A, "x"), (&L, "y")]),
            6 => Self::pair(&format!("l x {join} b y ON x.s = y.v AND y.id < 3"), [(&L, "x"), (&B, "y")]),
            7 => Self::pair(&format!("r x {join} e y ON x.rid = y.s"), [(&R, "x"), (&E, "y")]),
            8 => Self::pair(&format!("vb x {join} a y ON y.k = x.k"), [(&VB, "x"), (&A, "y")]),
            9 => Self::pair(&format!("va x {join} e y ON y.s = x.s"), [(&VA, "x"), (&E, "y")]),
            10 => Self::pair("a x JOIN b y USING (k)", [(&A, "x"), (&B, "y")]),
            11 => {
                let mut scope = Self::pair("a x JOIN b y ON x.k = y.k AND x.id = y.id", [(&A, "x"), (&B, "y")]);
                scope.from = format!("({}) {join} e z ON z.s = y.v", scope.from);
                scope.add(&E, "z");
                scope
            }
            12 => {
                let from =
                    format!("a x {join} (SELECT s AS g, count(*) AS n, min(k) AS m FROM a GROUP BY s) y ON x.s = y.g");
                Self::beside(&from, &["y.g", "y.n", "y.m"], &["y.g"])
            }
            13 => {
                let of = self.pick(&["y.k = x.k", "y.v = x.s", "y.id = x.id AND y.k > x.k"]);
                let from = format!("a x, LATERAL (SELECT y.v, y.id FROM b y WHERE {of} ORDER BY y.k, y.id LIMIT 1) y");
                Self::beside(&from, &["y.v", "y.id"], &[])
            }
            14 => {
                let from =
                    "a x LEFT JOIN LATERAL (SELECT max(y.s) AS v, count(*) AS n FROM e y WHERE y.s = x.s) y ON true";
                Self::beside(from, &["y.v", "y.n"], &[])
            }
            15 => Self::beside("a x JOIN (VALUES (1), (7), (12), (NULL)) y (n) ON y.n = x.k", &["y.n"], &[]),
            16 => {
                let from = format!("a x {join} generate_series(-2, 8) y (n) ON x.s = y.n");
                Self::beside(&from, &["y.n"], &["y.n"])
            }
            _ => Self::beside("a x NATURAL JOIN (SELECT k, id, v FROM b) y", &["y.v"], &[]),
        }
    }

    fn pair<const N: usize>(from: &str, tables: [(&super::Table, &str); N]) -> Scope {
        let mut scope = Scope { from: from.to_owned(), ..Scope::default() };
        tables.into_iter().for_each(|(table, alias)| scope.add(table, alias));
        scope
    }

    /// The table `a x` beside integers, some of which tell its partners apart.
    fn beside(from: &str, columns: &[&str], identity: &[&str]) -> Scope {
        let mut scope = Scope { from: from.to_owned(), ..Scope::default() };
        scope.add(&A, "x");
        scope.columns.extend(columns.iter().map(|column| ((*column).to_owned(), Type::Integer)));
        scope.identity.extend(identity.iter().map(|column| (*column).to_owned()));
        scope
    }
}

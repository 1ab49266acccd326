//! Writes of a few rows. In: chance. Out: their text. Never: more than one table at a time.

use super::{A, Generator, Scope, Type};

impl Generator {
    pub(super) fn insert(&mut self) -> String {
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

    pub(super) fn insert_row(&mut self, key: &str, row: usize) -> String {
        let key = if self.percent(15) { self.key_value(Type::Integer) } else { key.to_owned() };
        let text = self.pick(&["'q'", "NULL", "DEFAULT", "'é'"]);
        format!("({key}, {}, {}, 1.25, {text})", 50 + row + self.below(3), self.below(9))
    }

    pub(super) fn returning(&mut self) -> &'static str {
        self.pick(&["", " RETURNING k, id", " RETURNING *", " RETURNING s + 1 AS next, c"])
    }

    pub(super) fn write_condition(&mut self, alias: &str) -> String {
        let mut scope = Scope::default();
        scope.add(&A, alias);
        self.condition_on_key(&mut scope);
        if self.percent(40) {
            let condition = self.boolean(&scope, 1);
            scope.conditions.push(condition);
        }
        Self::condition(&scope)
    }

    pub(super) fn update(&mut self) -> String {
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

    pub(super) fn delete(&mut self) -> String {
        let condition = self.write_condition("a");
        format!("DELETE FROM a{condition}{}", self.returning())
    }
}

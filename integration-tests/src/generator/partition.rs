//! Partitions: a query, and the three parts that a condition makes of its rows. In: chance. Out: four statements.
//! Never: parameters, orders or limits.

use super::{Generator, Statement};

/// A query whose rows are those of its three parts together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// All rows.
    pub whole: Statement,
    /// Those where a condition is true, false and unknown.
    pub parts: [Statement; 3],
}

impl Generator {
    /// The next partition.
    pub fn partition(&mut self) -> Partition {
        self.begin(false);
        let mut scope = self.scope();
        let condition = if self.percent(30) { self.sub_condition(&scope) } else { self.boolean(&scope, 2) };
        let kind = self.any_type(&scope);
        let value = self.expression(&scope, kind, 1);
        let items = format!("{}, {value}", scope.identity.join(", "));
        let mut query = |more: Option<String>| {
            let count = scope.conditions.len();
            scope.conditions.extend(more);
            let sql = format!("SELECT {items} FROM {}{}", scope.from, Self::condition(&scope));
            scope.conditions.truncate(count);
            Statement::plain(&sql)
        };
        let whole = query(None);
        let parts = [format!("({condition})"), format!("NOT ({condition})"), format!("({condition}) IS NULL")];
        Partition { whole, parts: parts.map(|part| query(Some(part))) }
    }
}

//! Target: writes to a view that shows the rows of one sharded table. In: definitions. Out: the table's column behind each
//! of the view's. Never: a view whose writes a trigger or rule of its own handles.

use super::is_plain;
use crate::{
    plan::{
        build::Input,
        join::Analysis,
        names::{self, Meaning},
    },
    sql::facts::{Body, Expr, From, Item},
    topology::schema::Default,
};
use pgring_config::tables::TableName;

impl Analysis<'_> {
    /// The columns of its one table that a view's columns are; None where it cannot be written through.
    pub(in crate::plan) fn shown_columns(&self, input: &Input<'_>, view: &TableName) -> Option<Vec<Option<String>>> {
        if !input.schema.relation(view)?.triggers.is_empty() {
            return None;
        }
        let definition = self.definition(view)?;
        let inner = definition.input(input);
        let Body::Select(block) = &definition.query.body else { return None };
        let [From::Table { name, alias, special: false, only: false }] = &block.from[..] else { return None };
        if !alias.columns.is_empty() || !is_plain(&inner, &definition.query) {
            return None;
        }
        let shown = |item: &Item| match item {
            Item::Expr(Expr::Column { name, .. }, _) => Some(name.clone()),
            _ => None,
        };
        let shown: Vec<Option<String>> = block.items.iter().map(shown).collect();
        match names::resolve(&inner, name.schema.as_deref(), &name.name) {
            Meaning::Sharded(..) => Some(shown),
            Meaning::ShardedView(below) if below != *view => {
                let columns = &input.schema.relation(&below)?.columns;
                let under = self.shown_columns(input, &below).filter(|under| under.len() == columns.len())?;
                let place = |name: &String| columns.iter().position(|column| *column.name == **name);
                Some(shown.into_iter().map(|name| under.get(place(&name?)?)?.clone()).collect())
            }
            _ => None,
        }
    }

    /// The columns of its table that an INSERT into a view writes; None where that cannot be said.
    pub(in crate::plan) fn inserted_columns(
        &self,
        input: &Input<'_>,
        view: &TableName,
        columns: &[String],
    ) -> Option<Vec<String>> {
        let known = &input.schema.relation(view)?.columns;
        let shown = self.shown_columns(input, view).filter(|shown| shown.len() == known.len())?;
        if known.iter().any(|column| column.default != Default::None) {
            return None;
        }
        if columns.is_empty() {
            return shown.into_iter().collect();
        }
        let place = |name: &String| known.iter().position(|column| *column.name == **name);
        columns.iter().map(|name| shown.get(place(name)?)?.clone()).collect()
    }
}

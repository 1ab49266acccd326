//! Write: the keys of the rows that an INSERT brings. In: facts of an INSERT, the table's columns. Out: a recipe for
//! its rows, or why there is none. Never: evaluates an expression, takes a default that is not known.

use super::{
    Recipe,
    build::Input,
    join::{InsertRows, Instance},
    predicate,
    scope::{self, Scope},
};
use crate::{
    sql::facts::{Body, Expr, Query, Rows},
    topology::schema::{Default, Relation},
};

/// One column of a selected row: an expression, or the key of an instance.
#[derive(Clone, Debug)]
pub(crate) enum Selected {
    /// The bare key column of this instance.
    Key(usize),
    /// A literal or parameter, or anything else.
    Expr(Expr),
    /// A column that is no key.
    Plain,
}

/// What the columns of a query's rows are; None when their number is not known.
pub(crate) fn selected(query: &Query, scope: &Scope<'_>) -> Option<Vec<Selected>> {
    let Body::Select(block) = &query.body else { return None };
    let one = |column: scope::Selected| match (scope.key(&column.expr), column.item) {
        (Some(instance), _) => Selected::Key(instance),
        (None, Some(_)) => Selected::Expr(column.expr),
        (None, None) => Selected::Plain,
    };
    Some(scope.selected(&block.items)?.into_iter().map(one).collect())
}

const UNKNOWN: InsertRows =
    InsertRows::Unknown("the table's columns are not known here", "Name the columns, the shard key among them.");

/// The keys of an INSERT's rows, and a column that would take a volatile default.
pub(crate) fn insert_rows(
    input: &Input<'_>,
    target: &Instance,
    columns: &[String],
    rows: &Rows,
    selected: Option<&[Selected]>,
) -> (InsertRows, Option<String>) {
    let Some(relation) = input.schema.relation(&target.table) else { return (UNKNOWN, None) };
    let named: Vec<&str> = if columns.is_empty() {
        relation.columns.iter().map(|column| &*column.name).collect()
    } else {
        columns.iter().map(String::as_str).collect()
    };
    let place = named.iter().position(|column| **column == *target.sharded.key);
    let given = match rows {
        Rows::Default => 0,
        Rows::Values(rows) => rows.iter().map(Vec::len).min().unwrap_or(0),
        Rows::Query(_) => match selected {
            Some(selected) => selected.len(),
            None => return (InsertRows::Elsewhere, None),
        },
    };
    let named = &named[..given.min(named.len())];
    let volatile = volatile_default(relation, named, rows);
    let place = place.filter(|place| *place < named.len());
    (keys(input, target, relation, place, rows, selected), volatile)
}

/// A column that is not named, or given as DEFAULT, and whose default is volatile.
fn volatile_default(relation: &Relation, named: &[&str], rows: &Rows) -> Option<String> {
    let defaulted = |column: &str| match (named.iter().position(|named| *named == column), rows) {
        (None, _) => true,
        (Some(place), Rows::Values(rows)) => rows.iter().any(|row| row.get(place) == Some(&Expr::Default)),
        _ => false,
    };
    let volatile = |default| matches!(default, Default::Volatile | Default::Identity);
    let found = relation.columns.iter().find(|column| volatile(column.default) && defaulted(&column.name))?;
    Some(found.name.to_string())
}

fn keys(
    input: &Input<'_>,
    target: &Instance,
    relation: &Relation,
    place: Option<usize>,
    rows: &Rows,
    selected: Option<&[Selected]>,
) -> InsertRows {
    let Some(key_type) = target.sharded.key_type else { return UNKNOWN };
    let missing = || match relation.column(&target.sharded.key).map(|column| column.default) {
        Some(Default::None) => InsertRows::Keys(Recipe::NullKey),
        Some(Default::Random | Default::Volatile | Default::Identity) => InsertRows::Volatile,
        _ => InsertRows::Unknown("the shard key would be a default", "Give the shard key as a value."),
    };
    let Some(place) = place else { return missing() };
    let one = |expr: &Expr| match predicate::value(input.lexed, expr, key_type) {
        Recipe::Every => InsertRows::Elsewhere,
        Recipe::Nothing => InsertRows::Keys(Recipe::NullKey),
        recipe => InsertRows::Keys(recipe),
    };
    match (rows, selected) {
        (Rows::Values(rows), _) => {
            let mut all = vec![];
            for row in rows {
                match row.get(place) {
                    None | Some(Expr::Default) => match missing() {
                        InsertRows::Keys(recipe) => all.push(recipe),
                        other => return other,
                    },
                    Some(expr) => match one(expr) {
                        InsertRows::Keys(recipe) => all.push(recipe),
                        InsertRows::Elsewhere => all.push(Recipe::Every),
                        other => return other,
                    },
                }
            }
            if all.len() == 1 { InsertRows::Keys(all.remove(0)) } else { InsertRows::Keys(Recipe::Either(all)) }
        }
        (_, Some(selected)) => match selected.get(place) {
            Some(Selected::Key(instance)) => InsertRows::Follow(*instance),
            Some(Selected::Expr(expr)) => one(expr),
            _ => InsertRows::Elsewhere,
        },
        _ => InsertRows::Elsewhere,
    }
}

//! Parted: which sub-selects, CTEs and set operations give on all shards together, each over its own rows, just what
//! they give over all rows; and which of their columns are then the shard key. In: a SELECT whose FROM was looked
//! through. Out: whose shards its rows come from. Never: a form in which rows of two shards meet.
//!
//! A nested SELECT is *tied* if all its sharded rows are on the shard of a row outside it (it is correlated by the key):
//! then it may do with them whatever it wants. Else it must not count, cut or compare rows of different keys.

use super::{
    aggregate::is_aggregate,
    build::Input,
    join::{Analysis, Before, Instance},
    predicate,
    scope::{Scope, Selected, Tree},
};
use crate::sql::facts::{Alias, Block, Call, Distinct, Expr, Item, LiteralKind, Set, SetOperator};

/// The rows of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// The instance from whose shards they come. None: the same rows on every shard, or rows of an outer row's shard.
    pub(crate) anchor: Option<usize>,
    /// Their columns; None: not known.
    pub(crate) columns: Option<Vec<Column>>,
}

/// A column of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// The name that PostgreSQL gives it; None: one that is not known here.
    pub(crate) name: Option<String>,
    /// It is the shard key of `anchor`, never NULL; and rows of one key change nothing in rows of another.
    key: bool,
}

impl Rows {
    /// VALUES of so many columns.
    pub(super) fn of_values(columns: usize) -> Self {
        let name = |at: usize| Column { name: Some(format!("column{}", at + 1)), key: false };
        Self { anchor: None, columns: Some((0..columns).map(name).collect()) }
    }

    /// The first columns get these names.
    pub(super) fn rename(&mut self, names: &[String]) {
        for (column, name) in self.columns.iter_mut().flatten().zip(names) {
            column.name = Some(name.clone());
        }
    }

    /// The columns are these, in this order.
    pub(super) fn name(&mut self, names: Vec<String>) {
        let known = self.columns.take().filter(|columns| columns.len() == names.len());
        let keys = known.into_iter().flatten().map(|column| column.key).chain(std::iter::repeat(false));
        self.columns = Some(names.into_iter().zip(keys).map(|(name, key)| Column { name: Some(name), key }).collect());
    }

    /// No column says any more which rows come of which key.
    pub(super) fn hide_keys(&mut self) {
        self.columns.iter_mut().flatten().for_each(|column| column.key = false);
    }
}

impl Analysis<'_> {
    /// What the rows of a SELECT are, whose expressions were all looked through.
    pub(super) fn rows(&mut self, input: &Input<'_>, block: &Block, scope: &Scope<'_>, before: &Before) -> Rows {
        let found = columns(block, scope);
        let plain = || found.as_ref().map(|all| all.iter().map(|(column, _)| column.clone()).collect());
        let sharded: Vec<usize> = scope.sources.iter().filter_map(|source| source.instance).collect();
        let outside = |instance: &usize| self.reached(*instance).iter().any(|at| *at < before.instances);
        if sharded.iter().all(outside) || scope.top {
            let rows = Rows { anchor: None, columns: plain() };
            if !scope.top && self.picks(input, block, before) {
                self.apart = Some("a sub-select that picks rows of a reference table");
            }
            return rows;
        }
        let reaches = |from: usize, to: usize| self.reached(from).contains(&to);
        let fits = |at: &&usize| !self.instances[**at].nullable && sharded.iter().all(|other| reaches(*other, **at));
        let Some(&anchor) = sharded.iter().find(fits) else {
            let rows = Rows { anchor: sharded.first().copied(), columns: plain() };
            self.apart = Some("a join in a sub-select that is not on the shard key");
            return rows;
        };
        let keyed = |expr: &Expr| {
            let Expr::Column { qualifier, name } = expr else { return false };
            let known = scope.key(expr).filter(|_| scope.own(qualifier, name).is_some());
            known.is_some_and(|at| !self.instances[at].nullable && (at == anchor || reaches(anchor, at)))
        };
        let mut slots = vec![];
        let grouped = block.group_by.iter().any(|expr| group_is_key(input, block, scope, expr, &keyed, &mut slots));
        let distinct = found.as_ref().is_some_and(|all| all.iter().any(|(_, expr)| keyed(expr)));
        let fault = self.fault(input, block, before, &keyed, grouped, distinct);
        let acts = self.calls[before.calls..].iter().any(|called| !called.class.is_quiet());
        let column =
            |(column, expr): &(Column, Expr)| Column { key: fault.is_none() && !acts && keyed(expr), ..column.clone() };
        let columns = found.as_ref().map(|all| all.iter().map(column).collect());
        self.fixed.extend(slots);
        self.apart = fault.or(self.apart);
        Rows { anchor: Some(anchor), columns }
    }

    /// What was looked through since then reads tables that are copies on each shard, and no sharded one.
    pub(super) fn reads_copies_only(&self, before: &Before) -> bool {
        self.others.len() > before.others && self.instances.len() == before.instances
    }

    /// A nested SELECT without sharded rows that picks some of a reference table's rows, or shows their order: that may
    /// differ between shards.
    fn picks(&self, input: &Input<'_>, block: &Block, before: &Before) -> bool {
        let own = || self.calls[before.calls..].iter().map(|called| called.call);
        let orders = |call: &Call| call.over.is_some() || (is_aggregate(input, call) && !call.ordered_or_distinct);
        let shows = own().any(|call| orders(call) && !UNORDERED.contains(&call.name.name.as_str()));
        self.reads_copies_only(before) && (shows || block.distinct == Distinct::On)
    }

    /// Why this SELECT over rows of many keys does not give the same on each shard by itself, if so.
    fn fault(
        &self,
        input: &Input<'_>,
        block: &Block,
        before: &Before,
        keyed: &dyn Fn(&Expr) -> bool,
        grouped: bool,
        distinct: bool,
    ) -> Option<&'static str> {
        let own = || {
            self.calls[before.calls..]
                .iter()
                .filter(|called| called.at == self.place + block.at)
                .map(|called| called.call)
        };
        let aggregates = own().any(|call| is_aggregate(input, call)) || block.having.is_some();
        let mut windows = own().filter_map(|call| call.over.as_ref());
        let by_key = |over: &Option<Vec<Expr>>| matches!(over, Some(partition) if partition.iter().any(keyed));
        let faults = [
            (aggregates && block.group_by.is_empty(), "an aggregate over all rows in a sub-select"),
            (block.grouping_sets, "GROUPING SETS, ROLLUP or CUBE in a sub-select"),
            (!block.group_by.is_empty() && !grouped, "GROUP BY without the shard key in a sub-select"),
            (!windows.all(by_key), "a window in a sub-select that is not partitioned by the shard key"),
            (block.distinct == Distinct::All && !distinct, "DISTINCT without the shard key in a sub-select"),
            (
                block.distinct == Distinct::On && !block.distinct_on.iter().any(keyed),
                "DISTINCT ON without the shard key in a sub-select",
            ),
        ];
        faults.into_iter().find(|(found, _)| *found).map(|(_, what)| what)
    }

    /// A sub-select or CTE as an item of FROM.
    pub(super) fn stand_for(
        &mut self,
        rows: Rows,
        alias: &Alias,
        nullable: bool,
        scope: &mut Scope<'_>,
    ) -> (Tree, Vec<usize>) {
        let mut rows = rows;
        rows.rename(&alias.columns);
        let unnamed = rows.columns.iter().flatten().any(|column| column.name.is_none());
        let name = |column: &Column| column.name.clone().unwrap_or_else(|| "?column?".into());
        let names = rows.columns.as_ref().map(|columns| columns.iter().map(name).collect());
        let leaf = scope.leaf(None, alias, names);
        let mut instances = vec![];
        if let Some(anchor) = rows.anchor {
            let instance = self.stand_in(vec![anchor], nullable, scope.top);
            self.follow(anchor, instance, &[anchor, instance]);
            instances.push(instance);
        }
        if let Some(source) = scope.sources.last_mut() {
            (source.derived, source.unnamed) = (true, unnamed);
            source.instance = instances.first().copied();
            let keys = rows.columns.into_iter().flatten().filter(|column| column.key);
            source.keys = keys.filter_map(|column| column.name).collect();
        }
        (leaf, instances)
    }

    /// An instance for rows that come from these.
    fn stand_in(&mut self, members: Vec<usize>, nullable: bool, top: bool) -> usize {
        let like = self.instances[members[0]].clone();
        self.instances.push(Instance { nullable, top, inserted: false, alias: None, members, ..like });
        self.instances.len() - 1
    }

    /// The rows of a set operation.
    pub(super) fn united(&mut self, set: &Set, left: Rows, right: Rows, top: bool) -> Rows {
        let both = left.columns.iter().flatten().zip(right.columns.iter().flatten());
        let keys: Vec<bool> = both.map(|(left, right)| left.key && right.key).collect();
        let keyed = |rows: &Rows| rows.columns.iter().flatten().any(|column| column.key);
        let bag = set.operator == SetOperator::Union && set.all;
        let mut rows = left;
        match (rows.anchor, right.anchor) {
            (None, None) => {}
            (Some(first), Some(second)) => {
                if !bag && !keys.contains(&true) {
                    self.apart = Some("a set operation without the shard key in its columns");
                }
                let instance = self.stand_in(vec![first, second], false, top);
                self.follow(first, instance, &[first]);
                self.follow(second, instance, &[second]);
                rows.anchor = Some(instance);
                rows.columns.iter_mut().flatten().zip(keys).for_each(|(column, key)| column.key = key);
            }
            (Some(_), None) if set.operator != SetOperator::Union && keyed(&rows) => {}
            (None, Some(anchor)) if set.operator == SetOperator::Intersect && keyed(&right) => {
                rows.anchor = Some(anchor);
                let keys = right.columns.into_iter().flatten().map(|column| column.key);
                rows.columns.iter_mut().flatten().zip(keys).for_each(|(column, key)| column.key = key);
            }
            (first, second) => {
                self.apart = Some("a set operation of a sharded table and something else");
                rows.anchor = first.or(second);
                rows.hide_keys();
            }
        }
        rows
    }

    /// `x IN (SELECT y …)`, where x and y are keys, looks at rows of the key x only.
    pub(super) fn looked_up(&mut self, left: &Expr, rows: &Rows, scope: &Scope<'_>) {
        let (Some(anchor), Some(columns)) = (rows.anchor, &rows.columns) else { return };
        let row = match left {
            Expr::Row(row) => row.as_slice(),
            one => std::slice::from_ref(one),
        };
        if row.len() != columns.len() {
            return;
        }
        for (expr, _) in row.iter().zip(columns).filter(|(_, column)| column.key) {
            if let Some(outer) = scope.key(expr).filter(|outer| !self.instances[*outer].nullable) {
                self.follow(anchor, outer, &[anchor]);
            }
        }
    }

    /// An aggregate whose arguments are all of an outer SELECT is that SELECT's.
    pub(super) fn level(&mut self, input: &Input<'_>, call: &Call, scope: &Scope<'_>) {
        if scope.top || scope.parent.is_none() || !is_aggregate(input, call) {
            return;
        }
        let (mut any, mut own) = (false, false);
        for part in call.arguments.iter().chain(&call.filter).chain(&call.rest) {
            part.walk(&mut |part| {
                if let Expr::Column { qualifier, name } = part {
                    any = true;
                    own |= scope.own(qualifier, name).is_some();
                }
            });
        }
        if any && !own {
            self.unsplittable = Some("an aggregate of an outer SELECT".into());
        }
    }
}

/// Whether this item of GROUP BY is the key; slots of positions are noted.
fn group_is_key(
    input: &Input<'_>,
    block: &Block,
    scope: &Scope<'_>,
    expr: &Expr,
    keyed: &dyn Fn(&Expr) -> bool,
    slots: &mut Vec<u32>,
) -> bool {
    let item = |item: Option<&Item>| matches!(item, Some(Item::Expr(expr, _)) if keyed(expr));
    match expr {
        Expr::Literal { kind: LiteralKind::Integer, at, negative: false } => {
            let Some((slot, place)) = predicate::number(input, *at) else { return false };
            slots.push(slot);
            let plain = block.items.iter().all(|item| matches!(item, Item::Expr(..)));
            item(place.checked_sub(1).filter(|_| plain).and_then(|place| block.items.get(place)))
        }
        Expr::Column { qualifier, name } if qualifier.is_empty() && scope.source(&[], name).is_none() => {
            let alias = |item: &&Item| matches!(item, Item::Expr(_, Some(alias)) if alias == name);
            item(block.items.iter().find(alias))
        }
        expr => keyed(expr),
    }
}

/// Aggregates that give the same whatever the order of rows.
const UNORDERED: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "bit_xor",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
];

/// The columns of a select list with their expressions; None if `*` stands for columns that are not known.
fn columns(block: &Block, scope: &Scope<'_>) -> Option<Vec<(Column, Expr)>> {
    let column = |Selected { name: known, expr, .. }: Selected| {
        (Column { name: known.or_else(|| name(&expr)), key: false }, expr)
    };
    Some(scope.selected(&block.items)?.into_iter().map(column).collect())
}

/// The name of a column without alias, where there is no doubt.
fn name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column { name, .. } => Some(name.clone()),
        Expr::Call(call) if call.name.schema.is_none() && !call.bare => Some(call.name.name.clone()),
        Expr::Cast(inner, _) | Expr::Collate(inner, _) => name(inner),
        _ => None,
    }
}

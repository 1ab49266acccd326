//! SHOW GROUPS: the colocation groups, their tables and where their keys are.

use super::{super::some, ColumnSpec, Row, View};
use pgring_config::{
    ids::GroupIndex,
    topology::{Placement, Topology},
};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("name"),
    ColumnSpec::text("family"),
    ColumnSpec::text("strategy"),
    ColumnSpec::text("tables"),
    ColumnSpec::text("shards"),
    ColumnSpec::int8("entries"),
    ColumnSpec::text("database"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for database in &view.databases {
        let snapshot = database.snapshot();
        let indexes = (0..snapshot.topology.groups.len()).map(|at| GroupIndex(at as u16));
        rows.extend(indexes.filter_map(|at| {
            let mut row = row(&snapshot.topology, at)?;
            row.push(some(&database.name));
            Some(row)
        }));
    }
    rows
}

fn row(topology: &Topology, at: GroupIndex) -> Option<Row> {
    let group = topology.group(at)?;
    let tables: Vec<String> = topology.tables_of(at).iter().map(|table| table.name.to_string()).collect();
    let owners = group.placement.owners();
    let shards: Vec<&str> = owners.iter().map(|shard| topology.shard(*shard).name.as_str()).collect();
    let entries = match &group.placement {
        Placement::Hash { arcs, pinned } => arcs.len() + pinned.len(),
        Placement::Range(ranges) => ranges.len(),
        Placement::Directory { keys, .. } => keys.len(),
    };
    Some(vec![
        some(&group.name),
        some(group.family),
        some(group.placement.strategy()),
        some(tables.join(", ")),
        some(shards.join(", ")),
        some(entries),
    ])
}

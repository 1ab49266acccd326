//! SHOW RING: every arc of every group that is placed by hash, and its owner.

use super::{super::some, ColumnSpec, Row, View};
use pgring_config::topology::Placement;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("group"),
    ColumnSpec::int8("arc_start"),
    ColumnSpec::int8("arc_end"),
    ColumnSpec::float8("share"),
    ColumnSpec::text("shard"),
    ColumnSpec::text("state"),
    ColumnSpec::text("database"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for database in &view.databases {
        let snapshot = database.snapshot();
        let topology = &snapshot.topology;
        for group in topology.groups.iter().flatten() {
            let Placement::Hash { arcs, .. } = &group.placement else { continue };
            rows.extend(arcs.iter().map(|arc| {
                vec![
                    some(&group.name),
                    some(arc.start.0),
                    arc.end.map(|end| end.0.to_string()),
                    some(format!("{:.8}", arc.share())),
                    some(&topology.shard(arc.shard).name),
                    some(if arc.moving { "moving" } else { "stable" }),
                    some(&database.name),
                ]
            }));
        }
    }
    rows
}

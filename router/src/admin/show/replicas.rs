//! SHOW REPLICAS: the replicas of each shard. Nothing reads from them yet.

use super::{
    super::{boolean, some},
    ColumnSpec, Row, View,
    shards::shown,
};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("shard"),
    ColumnSpec::text("name"),
    ColumnSpec::text("state"),
    ColumnSpec::float8("lag_s"),
    ColumnSpec::int8("lag_bytes"),
    ColumnSpec::bool("eligible"),
    ColumnSpec::text("reason"),
    ColumnSpec::text("connection"),
    ColumnSpec::text("database"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for database in &view.databases {
        for shard in &database.snapshot().topology.shards {
            rows.extend(shard.replicas.iter().map(|replica| {
                vec![
                    some(&shard.name),
                    some(&replica.name),
                    None,
                    None,
                    None,
                    boolean(false),
                    some("reads go to primaries only"),
                    some(shown(&replica.connection)),
                    some(&database.name),
                ]
            }));
        }
    }
    rows
}

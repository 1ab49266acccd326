//! SHOW IN DOUBT: transactions over several shards that have not ended on all of them.

use super::{super::some, ColumnSpec, Row, View};
use crate::recovery;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("gid"),
    ColumnSpec::text("shard"),
    ColumnSpec::text("decider"),
    ColumnSpec::float8("age_s"),
    ColumnSpec::text("decision"),
];

pub(super) async fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for database in &view.databases {
        for one in recovery::in_doubt(&view.cluster, database).await {
            rows.push(vec![
                some(&one.gid),
                some(&one.shard),
                some(one.gid.decider()),
                some(format!("{:.3}", one.age)),
                some(one.decision),
            ]);
        }
    }
    rows
}

//! SHOW LOCKS: the clients of this router that wait for locks, and for whom.

use super::{super::some, ColumnSpec, Row, View};
use crate::deadlock;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::int8("client"),
    ColumnSpec::text("shard"),
    ColumnSpec::int8("waits_for"),
    ColumnSpec::float8("wait_s"),
];

pub(super) async fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for database in &view.databases {
        for waiting in deadlock::waiting(&view.cluster, database).await {
            let holder = waiting.holder.map(|client| client.to_string());
            rows.push(vec![some(waiting.client), some(waiting.shard), holder, some(format!("{:.3}", waiting.seconds))]);
        }
    }
    rows
}

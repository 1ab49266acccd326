//! SHOW MONITOR: load and latency, lately. Only connections are measured yet.

use super::{super::some, ColumnSpec, Row, View};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::float8("cpu"),
    ColumnSpec::float8("memory"),
    ColumnSpec::int8("connections"),
    ColumnSpec::float8("p50_ms"),
    ColumnSpec::float8("p95_ms"),
    ColumnSpec::float8("p99_ms"),
    ColumnSpec::float8("error_rate"),
    ColumnSpec::float8("cache_hit_rate"),
    ColumnSpec::float8("queries_per_s"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut row = vec![None, None, some(view.cluster.clients.len())];
    row.resize_with(COLUMNS.len(), || None);
    vec![row]
}

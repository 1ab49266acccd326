//! SHOW CACHE: the caches by level. Results are not cached yet; what the plan cache counts is in `/metrics`.

use super::{super::some, ColumnSpec, Row};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("level"),
    ColumnSpec::text("name"),
    ColumnSpec::int8("entries"),
    ColumnSpec::int8("bytes"),
    ColumnSpec::int8("hits"),
    ColumnSpec::int8("misses"),
    ColumnSpec::float8("hit_rate"),
    ColumnSpec::int8("evictions"),
    ColumnSpec::int8("invalidations"),
    ColumnSpec::int8("stale_prevented"),
    ColumnSpec::int8("refreshes"),
];

pub(super) fn rows() -> Vec<Row> {
    let zeros = |level: &str| {
        let mut row = vec![some(level), some("all")];
        row.resize_with(COLUMNS.len(), || some(0));
        row
    };
    let mut plan = vec![some("plan"), some("all")];
    plan.resize_with(COLUMNS.len(), || None);
    vec![zeros("l1"), zeros("l2"), plan]
}

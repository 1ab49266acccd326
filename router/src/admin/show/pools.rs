//! SHOW POOLS: backends per user, database and server.

use super::{super::some, ColumnSpec, Row, View};
use crate::pool::PoolFigures;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("user"),
    ColumnSpec::text("database"),
    ColumnSpec::text("server"),
    ColumnSpec::int8("active"),
    ColumnSpec::int8("idle"),
    ColumnSpec::int8("pinned"),
    ColumnSpec::int8("waiting"),
    ColumnSpec::float8("max_wait_ms"),
    ColumnSpec::int8("size"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    figures(view).into_iter().map(row).collect()
}

/// The figures of every pool, by database, server and user.
pub(super) fn figures(view: &View) -> Vec<PoolFigures> {
    let mut all: Vec<PoolFigures> = view.cluster.pools.all().iter().map(|pool| pool.figures()).collect();
    all.sort_by(|a, b| {
        (&a.key.database, &a.key.server, &a.key.user).cmp(&(&b.key.database, &b.key.server, &b.key.user))
    });
    all
}

fn row(figures: PoolFigures) -> Row {
    vec![
        some(&figures.key.user),
        some(&figures.key.database),
        some(&figures.key.server),
        some(figures.active),
        some(figures.idle),
        some(figures.pinned),
        some(figures.waiting),
        some(format!("{:.3}", figures.max_wait.as_secs_f64() * 1000.0)),
        some(figures.size),
    ]
}

//! SHOW STATS: what this router has counted since it began.

use super::{super::some, ColumnSpec, Row, View, pools::figures};

pub(super) const COLUMNS: &[ColumnSpec] = &[ColumnSpec::text("name"), ColumnSpec::float8("value")];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let clients = view.cluster.clients.all();
    let figures = figures(view);
    let statements: u64 = clients.iter().map(|client| client.statements()).sum();
    let sum = |of: fn(&crate::pool::PoolFigures) -> usize| figures.iter().map(of).sum::<usize>();
    let pairs = [
        ("uptime_s", format!("{:.3}", view.cluster.started.elapsed().as_secs_f64())),
        ("clients", clients.len().to_string()),
        ("statements_of_connected_clients", statements.to_string()),
        ("pools", figures.len().to_string()),
        ("backends_active", sum(|one| one.active).to_string()),
        ("backends_idle", sum(|one| one.idle).to_string()),
        ("clients_waiting", sum(|one| one.waiting).to_string()),
        ("workers", view.cluster.pools.workers().to_string()),
        ("databases", view.cluster.databases().len().to_string()),
    ];
    pairs.into_iter().map(|(name, value)| vec![some(name), Some(value)]).collect()
}

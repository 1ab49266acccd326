//! SHOW ROUTERS: the routers of the cluster; this one, as long as routers do not know of each other.

use super::{
    super::{boolean, some},
    ColumnSpec, Row, View,
};
use std::sync::atomic::Ordering;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("address"),
    ColumnSpec::text("version"),
    ColumnSpec::bool("this_router"),
    ColumnSpec::text("state"),
    ColumnSpec::int8("clients"),
    ColumnSpec::float8("uptime_s"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let draining = view.cluster.draining.load(Ordering::Acquire);
    vec![vec![
        some(view.cluster.settings.load().general.advertised()),
        some(env!("CARGO_PKG_VERSION")),
        boolean(true),
        some(if draining { "draining" } else { "active" }),
        some(view.cluster.clients.len()),
        some(format!("{:.3}", view.cluster.started.elapsed().as_secs_f64())),
    ]]
}

//! SHOW ROUTERS: this router, and the others that have said in a catalog that they live; what only they know is NULL.

use super::{
    super::{boolean, some},
    ColumnSpec, Row, View,
};
use std::{collections::BTreeSet, sync::atomic::Ordering};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("address"),
    ColumnSpec::text("version"),
    ColumnSpec::bool("this_router"),
    ColumnSpec::text("state"),
    ColumnSpec::int8("clients"),
    ColumnSpec::float8("uptime_s"),
];

pub(super) async fn rows(view: &View) -> Vec<Row> {
    let cluster = &view.cluster;
    let draining = cluster.draining.load(Ordering::Acquire);
    let mut rows = vec![vec![
        some(cluster.settings.load().general.advertised()),
        some(env!("CARGO_PKG_VERSION")),
        boolean(true),
        some(if draining { "draining" } else { "active" }),
        some(cluster.clients.len()),
        some(format!("{:.3}", cluster.started.elapsed().as_secs_f64())),
    ]];
    let mut known = BTreeSet::from([cluster.flights.incarnation().to_owned()]);
    for catalog in view.databases.iter().filter_map(|database| database.catalog.as_ref()) {
        for router in catalog.routers().await.unwrap_or_default() {
            if known.insert(router.incarnation) {
                let uptime = some(format!("{:.3}", router.uptime));
                rows.push(vec![some(router.address), None, boolean(false), some("active"), None, uptime]);
            }
        }
    }
    rows
}

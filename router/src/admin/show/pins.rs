//! SHOW PINS: the sessions that keep their backend, and why.

use super::{
    super::{some, time::timestamp},
    ColumnSpec, Row, View,
};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::int8("id"),
    ColumnSpec::text("user"),
    ColumnSpec::text("database"),
    ColumnSpec::text("reason"),
    ColumnSpec::time("since"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let clients = view.cluster.clients.all();
    let pins = clients.iter().flat_map(|client| client.pins().into_iter().map(move |pin| (client, pin)));
    pins.map(|(client, (reason, since))| {
        vec![some(client.id), some(&client.user), some(&client.database), Some(reason), some(timestamp(since))]
    })
    .collect()
}

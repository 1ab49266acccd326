//! SHOW CLIENTS: who is connected to this router, and what they do.

use super::{
    super::{boolean, some, time::timestamp},
    ColumnSpec, Row, View,
};
use crate::cluster::Client;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::int8("id"),
    ColumnSpec::text("user"),
    ColumnSpec::text("database"),
    ColumnSpec::text("application_name"),
    ColumnSpec::text("address"),
    ColumnSpec::bool("tls"),
    ColumnSpec::time("connected_at"),
    ColumnSpec::text("state"),
    ColumnSpec::float8("state_s"),
    ColumnSpec::int8("statements"),
    ColumnSpec::int8("backends"),
    ColumnSpec::text("pinned"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    view.cluster.clients.all().iter().map(|client| row(client)).collect()
}

fn row(client: &Client) -> Row {
    let pins: Vec<String> = client.pins().into_iter().map(|(reason, _)| reason).collect();
    vec![
        some(client.id),
        some(&client.user),
        some(&client.database),
        some(client.application()),
        some(&client.address),
        boolean(client.tls),
        some(timestamp(client.since)),
        some(client.doing().as_str()),
        some(format!("{:.3}", client.doing_for())),
        some(client.statements()),
        some(client.with_working(|_| ()).len()),
        (!pins.is_empty()).then(|| pins.join(", ")),
    ]
}

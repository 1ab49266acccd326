//! SHOW TRANSACTIONS: the clients that are inside a transaction.

use super::{super::some, ColumnSpec, Row, View};
use crate::registry::Doing;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::int8("client"),
    ColumnSpec::text("user"),
    ColumnSpec::text("database"),
    ColumnSpec::text("state"),
    ColumnSpec::float8("state_s"),
    ColumnSpec::int8("backends"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let all = view.cluster.clients.all();
    let inside = all.iter().filter_map(|client| {
        let backends = client.with_working(|_| ()).len();
        (client.doing() == Doing::InTransaction || backends > 0).then_some((client, backends))
    });
    inside
        .map(|(client, backends)| {
            vec![
                some(client.id),
                some(&client.user),
                some(&client.database),
                some(client.doing().as_str()),
                some(format!("{:.3}", client.doing_for())),
                some(backends),
            ]
        })
        .collect()
}

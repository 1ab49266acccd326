//! SHOW SERVERS: the servers, and the backends that this router has on each, those that listen counted apart.

use super::{super::some, ColumnSpec, Row, View, pools::figures, shards::shown};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("server"),
    ColumnSpec::text("shard"),
    ColumnSpec::text("role"),
    ColumnSpec::text("connection"),
    ColumnSpec::int8("active"),
    ColumnSpec::int8("idle"),
    ColumnSpec::int8("waiting"),
    ColumnSpec::text("database"),
    ColumnSpec::int8("listening"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let figures = figures(view);
    let mut rows = Vec::new();
    for database in &view.databases {
        let hubs: Vec<_> = database.hubs.all().iter().map(|hub| hub.figures()).collect();
        for shard in &database.snapshot().topology.shards {
            let of = |name: &str| {
                let of =
                    figures.iter().filter(|one| one.key.database == database.name && one.key.server.as_str() == name);
                of.fold((0, 0, 0), |sum, one| (sum.0 + one.active, sum.1 + one.idle, sum.2 + one.waiting))
            };
            let primary = (shard.name.to_string(), "primary", &shard.connection);
            let replicas =
                shard.replicas.iter().map(|replica| (replica.name.to_string(), "replica", &replica.connection));
            rows.extend(std::iter::once(primary).chain(replicas).map(|(name, role, connection)| {
                let (active, idle, waiting) = of(&name);
                let listening = hubs.iter().filter(|(key, pid, _)| *pid != 0 && key.shard.as_str() == name).count();
                vec![
                    some(&name),
                    some(&shard.name),
                    some(role),
                    some(shown(connection)),
                    some(active),
                    some(idle),
                    some(waiting),
                    some(&database.name),
                    some(listening),
                ]
            }));
        }
    }
    rows
}

//! SHOW SERVERS: the servers, and each backend that this router has there with what it does.
//!
//! One row per backend; a server without any has one row whose `pid` is NULL. So `active` and `idle` add up.
//! A backend that hears notifications for the sessions that listen has the state `listening`.

use super::{super::some, ColumnSpec, Row, View, shards::shown};
use crate::{
    pool::{BackendState, Pool},
    registry,
};
use std::sync::Arc;

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("server"),
    ColumnSpec::text("shard"),
    ColumnSpec::text("role"),
    ColumnSpec::text("connection"),
    ColumnSpec::int8("active"),
    ColumnSpec::int8("idle"),
    ColumnSpec::int8("waiting"),
    ColumnSpec::text("database"),
    ColumnSpec::text("user"),
    ColumnSpec::int8("pid"),
    ColumnSpec::text("state"),
    ColumnSpec::int8("client"),
    ColumnSpec::text("application_name"),
    ColumnSpec::float8("age_s"),
];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let mut pools = view.cluster.pools.all();
    pools.sort_by(|a, b| a.key.user.cmp(&b.key.user));
    let mut rows = Vec::new();
    for database in &view.databases {
        let hubs: Vec<_> = database.hubs.all().iter().map(|hub| hub.figures()).collect();
        for shard in &database.snapshot().topology.shards {
            let primary = (shard.name.to_string(), "primary", &shard.connection);
            let replicas =
                shard.replicas.iter().map(|replica| (replica.name.to_string(), "replica", &replica.connection));
            for (name, role, connection) in std::iter::once(primary).chain(replicas) {
                let here = |pool: &&Arc<Pool>| pool.key.database == database.name && pool.key.server.as_str() == name;
                let here: Vec<&Arc<Pool>> = pools.iter().filter(here).collect();
                let waiting: usize = here.iter().map(|pool| pool.figures().waiting).sum();
                let server = |[active, idle]: [u8; 2]| {
                    vec![
                        some(&name),
                        some(&shard.name),
                        some(role),
                        some(shown(connection)),
                        some(active),
                        some(idle),
                        some(waiting),
                        some(&database.name),
                    ]
                };
                let before = rows.len();
                for pool in here {
                    rows.extend(backends(view, pool).into_iter().map(|(count, own)| [server(count), own].concat()));
                }
                for (_, pid, _) in hubs.iter().filter(|(key, pid, _)| *pid != 0 && key.shard.as_str() == name) {
                    let own = vec![None, some(pid), some("listening"), None, None, None];
                    rows.push([server([0, 0]), own].concat());
                }
                if rows.len() == before {
                    rows.push([server([0, 0]), vec![None; COLUMNS.len() - server([0, 0]).len()]].concat());
                }
            }
        }
    }
    rows
}

/// What is said of each backend of a pool, and as what it counts: active, idle.
fn backends(view: &View, pool: &Pool) -> Vec<([u8; 2], Row)> {
    let row = |backend: &crate::pool::Backend| {
        let (count, state, client) = match backend.state() {
            BackendState::Idle => ([0, 1], "idle", None),
            BackendState::Opening => ([1, 0], "opening", None),
            BackendState::Active(client) => ([1, 0], "active", Some(client)),
        };
        let application = client.and_then(|id| view.cluster.clients.get(id)).map(|client| client.application());
        let age = registry::since(backend.created).as_secs_f64();
        let own = vec![
            some(&pool.key.user),
            some(backend.pid),
            some(state),
            client.map(|client| client.to_string()),
            application,
            some(format!("{age:.3}")),
        ];
        (count, own)
    };
    pool.backends().iter().map(|backend| row(backend)).collect()
}

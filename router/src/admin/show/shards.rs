//! SHOW SHARDS: the shards with what they own and how busy they are.

use super::{
    super::{boolean, some},
    ColumnSpec, Row, View,
};
use crate::{cluster::Database, control};
use pgring_config::{
    ids::ShardIndex,
    settings::ConnectionParts,
    topology::{Connection, Placement, Topology},
};
use std::{sync::Arc, time::Duration};

pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::text("name"),
    ColumnSpec::float8("weight"),
    ColumnSpec::text("state"),
    ColumnSpec::bool("read_only"),
    ColumnSpec::text("connection"),
    ColumnSpec::text("zone"),
    ColumnSpec::int8("arcs"),
    ColumnSpec::float8("share"),
    ColumnSpec::int8("size_bytes"),
    ColumnSpec::float8("queries_per_s"),
    ColumnSpec::float8("busy"),
    ColumnSpec::int8("connections"),
    ColumnSpec::bool("primary_ok"),
    ColumnSpec::int8("replicas"),
    ColumnSpec::text("database"),
];

/// How long a server may take to tell its size.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn rows(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for database in &view.databases {
        let snapshot = database.snapshot().clone();
        let asked: Vec<_> = snapshot
            .topology
            .shards
            .iter()
            .map(|shard| tokio::spawn(size(database.clone(), shard.connection.clone())))
            .collect();
        for (at, asked) in asked.into_iter().enumerate() {
            let size = asked.await.ok().flatten();
            rows.push(row(view, database, &snapshot.topology, ShardIndex(at as u16), size));
        }
    }
    rows
}

fn row(view: &View, database: &Arc<Database>, topology: &Topology, at: ShardIndex, size: Option<i64>) -> Row {
    let shard = topology.shard(at);
    let (arcs, share) = owned(topology, at);
    let (active, idle, most) = pools(view, database, shard.name.as_str());
    vec![
        some(&shard.name),
        some(shard.weight),
        some(shard.state.as_str()),
        boolean(shard.read_only),
        some(shown(&shard.connection)),
        shard.zone.clone(),
        some(arcs),
        share.map(|share| format!("{share:.6}")),
        size.map(|size| size.to_string()),
        None,
        some(if most == 0 { 0.0 } else { active as f64 / most as f64 }),
        some(active + idle),
        boolean(size.is_some()),
        some(shard.replicas.len()),
        some(&database.name),
    ]
}

/// A connection string without its password.
pub(super) fn shown(connection: &Connection) -> String {
    ConnectionParts::parse(&connection.0).map_or_else(|_| String::new(), |parts| parts.redacted())
}

/// Arcs that a shard owns, and its mean share of the rings; None: there is no ring.
fn owned(topology: &Topology, shard: ShardIndex) -> (usize, Option<f64>) {
    let (mut arcs, mut share, mut rings) = (0, 0.0, 0);
    for group in topology.groups.iter().flatten() {
        if let Placement::Hash { arcs: all, .. } = &group.placement {
            rings += 1;
            for arc in all.iter().filter(|arc| arc.shard == shard) {
                arcs += 1;
                share += arc.share();
            }
        }
    }
    (arcs, (rings > 0).then(|| share / f64::from(rings)))
}

/// Backends in use, idle ones, and the most there may be.
fn pools(view: &View, database: &Database, server: &str) -> (usize, usize, usize) {
    let all = view.cluster.pools.all();
    let of = all.iter().filter(|pool| pool.key.database == database.name && pool.key.server.as_str() == server);
    of.map(|pool| pool.figures()).fold((0, 0, 0), |(active, idle, most), figures| {
        (active + figures.active, idle + figures.idle, most + figures.size)
    })
}

/// Size of a server's database; None: it does not answer in time.
async fn size(database: Arc<Database>, connection: Connection) -> Option<i64> {
    let ask = async {
        let client = control::connect(&connection.0, &database.name, &database.server_tls).await.ok()?;
        let row = client.query_one("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())", &[]).await;
        Some(row.ok()?.get(0))
    };
    tokio::time::timeout(PATIENCE, ask).await.ok().flatten()
}

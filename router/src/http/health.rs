//! Health over HTTP. In: the databases and their shards. Out: 200 or 503, and which shards do not answer. Never:
//! probes: it tells what was last found.

use super::Facts;
use crate::{cluster::Database, keeper};
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// `/healthz`: alive.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Answer of `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    draining: bool,
    /// Whether any shard does not answer.
    degraded: bool,
    databases: Vec<Readable>,
}

/// A database in it.
#[derive(Debug, Serialize)]
struct Readable {
    name: String,
    epoch: u64,
    shards: usize,
    degraded: Vec<Down>,
}

/// A shard that does not answer.
#[derive(Debug, Serialize)]
struct Down {
    shard: String,
    reason: String,
}

/// `/readyz`: 200 when clients are let in, 503 before the catalogs are known and while draining.
pub(super) async fn ready(State(facts): State<Facts>) -> impl IntoResponse {
    let ready = keeper::is_ready(&facts.cluster);
    let databases = facts.cluster.databases();
    // What `*` stands for is not probed.
    let listed = databases.iter().filter(|database| database.catalog.is_some());
    let databases: Vec<Readable> = listed.map(|database| readable(database)).collect();
    let readiness = Readiness {
        ready,
        draining: facts.cluster.draining.load(Ordering::Acquire),
        degraded: databases.iter().any(|database| !database.degraded.is_empty()),
        databases,
    };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(readiness))
}

fn readable(database: &Database) -> Readable {
    let topology = database.snapshot().topology.clone();
    let down = |(shard, reason): (pgring_config::ids::ShardName, String)| Down { shard: shard.to_string(), reason };
    Readable {
        name: database.name.to_string(),
        epoch: topology.epoch.0,
        shards: topology.shards.len(),
        degraded: database.health.down().into_iter().map(down).collect(),
    }
}

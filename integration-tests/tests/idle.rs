//! What a client costs that is connected and does nothing: memory of the router.
//!
//! `PGRING_IDLE_CLIENTS=10000` measures with as many; with `PGRING_BIN` of a release build the figures are those of
//! `docs/performance.md`.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, shards};

/// Bytes of the router for one idle client: a little over what was measured (9 kB). PostgreSQL's own process takes some
/// hundred times as much.
const MOST: u64 = 12 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_client_costs_little_memory() {
    let clients: usize = std::env::var("PGRING_IDLE_CLIENTS").map_or(1000, |count| count.parse().unwrap());
    let options = shards(1).with("[auth]\nmethods = [\"trust\"]").with("[pool]\nsize = 4");
    let cluster = Cluster::start(options.general("max_clients = 100000")).await;
    let connect = async || {
        let mut raw = Raw::log_in(cluster.router().port(), "postgres", "postgres", DATABASE).await;
        raw.query("SELECT 1").await;
        raw.extended("SELECT $1::int", &[Some("1".to_owned())], false).await;
        raw
    };
    let mut idle = Vec::with_capacity(clients);
    // What the first ones bring about is the router's own.
    for _ in 0..clients / 10 {
        idle.push(connect().await);
    }
    let (before, first) = (cluster.router().memory(), idle.len());
    while idle.len() < clients {
        idle.push(connect().await);
    }
    let each = cluster.router().memory().saturating_sub(before) / (clients - first) as u64;
    println!("{each} bytes for each of {clients} idle clients");
    assert!(each <= MOST, "{each} bytes each");
    for raw in &mut idle {
        assert_eq!(raw.query("SELECT 1").await.len(), 4);
    }
}

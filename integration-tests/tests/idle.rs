//! What a client costs that is connected and does nothing: memory of the router.
//!
//! `PGRING_IDLE_CLIENTS=10000` measures with as many; with `PGRING_BIN` of a release build the figures are those of
//! `docs/performance.md`.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use pgring_integration_tests::client::{Raw, any_tls};
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, shards};

/// Bytes of the router for one idle client: a little over what was measured. PostgreSQL's own process takes some
/// hundred times as much.
const MOST: u64 = 8 * 1024;
/// The same under TLS.
const MOST_TLS: u64 = 20 * 1024;

async fn measure(tls: bool) -> u64 {
    let clients: usize = std::env::var("PGRING_IDLE_CLIENTS").map_or(1000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert, secret) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    let options = shards(1)
        .with("[auth]\nmethods = [\"trust\"]")
        .with("[pool]\nsize = 4")
        .with(&format!("[tls]\ncert = \"{}\"\nkey = \"{}\"", cert.display(), secret.display()))
        .general("max_clients = 100000");
    let cluster = Cluster::start(options).await;
    let (port, config) = (cluster.router().port(), any_tls());
    let connect = async || {
        let mut raw = if tls { Raw::connect_tls(port, config.clone()).await } else { Raw::connect(port).await };
        raw.start_up(&[("user", "postgres"), ("database", DATABASE)]).await;
        raw.authenticate("postgres", "postgres").await.unwrap();
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
    println!("{each} bytes for each of {clients} idle clients, TLS: {tls}");
    for raw in &mut idle {
        assert_eq!(raw.query("SELECT 1").await.len(), 4);
    }
    each
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_client_costs_little_memory() {
    let each = measure(false).await;
    assert!(each <= MOST, "{each} bytes each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_client_costs_little_memory_under_tls() {
    let each = measure(true).await;
    assert!(each <= MOST_TLS, "{each} bytes each");
}

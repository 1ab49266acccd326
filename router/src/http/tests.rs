//! The answers over HTTP, asked for over a socket.

use super::{Facts, serve};
use crate::cluster::{Cluster, ServerTls};
use metrics_exporter_prometheus::PrometheusBuilder;
use pgring_config::settings::Settings;
use std::sync::{Arc, atomic::Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const ANY: &str = "[[databases]]\nname = \"*\"\nconnection = \"host=127.0.0.1\"\n";

async fn answers(configuration: &str, prepare: impl FnOnce(&Cluster)) -> impl AsyncFn(&str) -> (u16, String) {
    let settings = Settings::parse(configuration, "test.toml").unwrap();
    let tls = ServerTls::load(&settings.server_tls).unwrap();
    let cluster = Arc::new(Cluster::new(settings, None, 1, tls));
    prepare(&cluster);
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || metrics::counter!("pgring_parses_total").increment(3));
    let facts = Facts { cluster, metrics: recorder.handle() };
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(serve(socket, facts, std::future::pending()));
    async move |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

#[tokio::test]
async fn a_router_that_lets_clients_in_is_alive_and_ready() {
    let get = answers(ANY, |_| {}).await;
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = get("/readyz").await;
    assert_eq!((status, body.as_str()), (200, r#"{"ready":true,"draining":false,"degraded":false,"databases":[]}"#));
    let (status, page) = get("/").await;
    assert!(status == 200 && page.contains("<title>pgring</title>") && page.contains("href=\"/metrics\""));
    assert_eq!(get("/nothing").await.0, 404);
}

#[tokio::test]
async fn a_router_that_drains_is_alive_and_not_ready() {
    let get = answers(ANY, |cluster| cluster.draining.store(true, Ordering::Release)).await;
    assert_eq!(get("/healthz").await.0, 200);
    let (status, body) = get("/readyz").await;
    assert!(status == 503 && body.contains(r#""draining":true"#), "{body}");
}

#[tokio::test]
async fn a_database_whose_catalog_is_not_known_yet_is_not_ready() {
    let listed =
        "[[databases]]\nname = \"app\"\n[[databases.shards]]\nname = \"s0\"\nconnection = \"host=127.0.0.1\"\n";
    assert_eq!(answers(listed, |_| {}).await("/readyz").await.0, 503);
}

#[tokio::test]
async fn metrics_are_in_prometheus_format() {
    let (status, body) = answers(ANY, |_| {}).await("/metrics").await;
    assert_eq!(status, 200);
    assert!(body.lines().any(|line| line == "pgring_parses_total 3"), "{body}");
}

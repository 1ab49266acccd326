//! Cancel requests reach the client whose key they hold, and nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Buf;
use pgring_integration_tests::client::{Raw, any_tls, cancel};
use pgring_integration_tests::faults::within;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{packet, query, startup, sync};
use pgring_integration_tests::{Cluster, shards};

use crate::{PATIENCE, asked, brief, narrow, run, until_busy, until_waiting};

fn request(process: i32, secret: &[u8]) -> Vec<u8> {
    packet(&[&80_877_102_i32.to_be_bytes()[..], &process.to_be_bytes(), secret].concat())
}

fn request_of(raw: &Raw) -> Vec<u8> {
    let (process, secret) = raw.cancel_key.unwrap();
    request(process, &secret.to_be_bytes())
}

async fn answer(raw: &mut Raw) -> Vec<String> {
    brief(&within(PATIENCE, raw.read_until_ready()).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancels_of_one_client_never_hit_another_on_the_same_backend() {
    let cluster = narrow(1, "").await;
    let (mut careful, mut hasty) = (cluster.raw().await, cluster.raw().await);
    let (port, key) = (cluster.router().port(), hasty.cancel_key.unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let ends = over.clone();
    let canceller = tokio::spawn(async move {
        let mut count = 0;
        while !ends.load(Ordering::Relaxed) {
            cancel(port, key).await;
            count += 1;
        }
        count
    });
    let ends = over.clone();
    let other = tokio::spawn(async move {
        let mut hit = 0;
        while !ends.load(Ordering::Relaxed) {
            match run(&mut hasty, "SELECT 'hasty' FROM pg_sleep(0.002)").await.as_slice() {
                [row, _, state] => assert_eq!((row.as_str(), state.as_str()), ("D hasty", "Z I")),
                hit_by_it => {
                    assert_eq!(hit_by_it, ["E 57014", "Z I"]);
                    hit += 1;
                }
            }
        }
        hit
    });
    for nth in 0..300 {
        let sql = format!("SELECT {nth} FROM pg_sleep(0.002)");
        assert_eq!(run(&mut careful, &sql).await, [format!("D {nth}"), "C SELECT 1".into(), "Z I".into()]);
    }
    over.store(true, Ordering::Relaxed);
    let (sent, hit) = (canceller.await.unwrap(), other.await.unwrap());
    assert!(sent > 10 && hit > 0, "{sent} cancels hit {hit} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_outlives_its_sender() {
    let cluster = narrow(2, "").await;
    let server = cluster.shard_client(0).await;
    for way in ["waits", "half-closes", "leaves", "byte by byte"] {
        let mut raw = cluster.raw().await;
        raw.send(&query("SELECT pg_sleep(600)")).await;
        until_busy(&server, 1).await;
        let mut sender = Raw::connect(cluster.router().port()).await;
        match way {
            "byte by byte" => {
                for byte in request_of(&raw) {
                    sender.send(&[byte]).await;
                    tokio::task::yield_now().await;
                }
            }
            _ => drop(sender.send(&request_of(&raw)).await),
        }
        match way {
            "half-closes" => sender.shut().await,
            "leaves" => drop(sender),
            _ => assert_eq!(sender.read_to_end().await, 0, "a cancel request is not answered"),
        }
        assert_eq!(answer(&mut raw).await, ["E 57014", "Z I"], "{way}");
        assert_eq!(run(&mut raw, "SELECT 1").await, ["D 1", "C SELECT 1", "Z I"], "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_a_backend_is_cancelled() {
    let cluster = narrow(1, "").await;
    let port = cluster.router().port();
    let (mut holder, mut waiter, mut next) = (cluster.raw().await, cluster.raw().await, cluster.raw().await);
    run(&mut holder, "BEGIN; SELECT 1").await;
    for (way, request) in [
        ("simple", query("SELECT 1")),
        ("several", query("SELECT 1; SELECT 2")),
        ("extended", [asked("SELECT 1"), sync()].concat()),
        ("KILL QUERY", query("SELECT 1")),
    ] {
        waiter.send(&request).await;
        until_waiting(&cluster, 1).await;
        next.send(&query("SELECT 2")).await;
        until_waiting(&cluster, 2).await;
        match way {
            "KILL QUERY" => drop(cluster.admin(&format!("KILL QUERY {}", waiter.cancel_key.unwrap().0)).await),
            _ => cancel(port, waiter.cancel_key.unwrap()).await,
        }
        assert_eq!(answer(&mut waiter).await, ["E 57014", "Z I"], "{way}");
        until_waiting(&cluster, 1).await;
        run(&mut holder, "COMMIT").await;
        assert_eq!(answer(&mut next).await, ["D 2", "C SELECT 1", "Z I"], "{way}");
        assert_eq!(run(&mut waiter, "SELECT 3").await, ["D 3", "C SELECT 1", "Z I"], "{way}");
        run(&mut holder, "BEGIN; SELECT 1").await;
    }
    // One that has a transaction that no server knows of yet.
    run(&mut waiter, "BEGIN").await;
    waiter.send(&query("SELECT 1")).await;
    until_waiting(&cluster, 1).await;
    cancel(port, waiter.cancel_key.unwrap()).await;
    assert_eq!(answer(&mut waiter).await, ["E 57014", "Z E"]);
    assert_eq!(run(&mut waiter, "ROLLBACK").await, ["C ROLLBACK", "Z I"]);
    // One that is held back by PAUSE.
    run(&mut holder, "COMMIT").await;
    cluster.admin("PAUSE").await;
    waiter.send(&query("SELECT 1")).await;
    until_waiting(&cluster, 1).await;
    cancel(port, waiter.cancel_key.unwrap()).await;
    assert_eq!(answer(&mut waiter).await, ["E 57014", "Z I"]);
    cluster.admin("RESUME").await;
    assert_eq!(run(&mut waiter, "SELECT 1").await, ["D 1", "C SELECT 1", "Z I"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_an_idle_client_does_nothing() {
    let cluster = narrow(1, "").await;
    let (mut raw, mut other) = (cluster.raw().await, cluster.raw().await);
    for begun in [false, true] {
        if begun {
            run(&mut raw, "BEGIN; SELECT 1").await;
        }
        for _ in 0..20 {
            cancel(cluster.router().port(), raw.cancel_key.unwrap()).await;
            if !begun {
                assert_eq!(run(&mut other, "SELECT 'other' FROM pg_sleep(0.001)").await[0], "D other");
            }
        }
        let state = if begun { "Z T" } else { "Z I" };
        assert_eq!(run(&mut raw, "SELECT 'mine' FROM pg_sleep(0.001)").await, ["D mine", "C SELECT 1", state]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_a_statement_over_several_shards_reaches_each() {
    let cluster = Cluster::start(shards(2)).await;
    cluster.admin("SHARD TABLE t BY (id)").await;
    let mut raw = cluster.raw().await;
    run(&mut raw, "CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let mut locks = Vec::new();
    for shard in 0..2 {
        let locker = cluster.shard_client(shard).await;
        locker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
        locks.push(locker);
    }
    raw.send(&query("SELECT id FROM t ORDER BY id")).await;
    for shard in 0..2 {
        until_busy(&cluster.shard_client(shard).await, 2).await;
    }
    cancel(cluster.router().port(), raw.cancel_key.unwrap()).await;
    assert_eq!(answer(&mut raw).await, ["E 57014", "Z I"]);
    for (shard, locker) in locks.iter().enumerate() {
        until_busy(&cluster.shard_client(shard).await, 1).await;
        locker.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(run(&mut raw, "SELECT id FROM t ORDER BY id").await, ["C SELECT 0", "Z I"]);
}

/// A cluster that is reached by TLS and by a Unix-domain socket too.
async fn everywhere(folder: &std::path::Path) -> Cluster {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert, secret) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    let tls = format!("[tls]\ncert = \"{}\"\nkey = \"{}\"", cert.display(), secret.display());
    Cluster::start(shards(1).also_listen(&format!("unix:{}", folder.display())).with(&tls)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_may_come_another_way_than_its_client() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = everywhere(folder.path()).await;
    let server = cluster.shard_client(0).await;
    let port = cluster.router().port();
    let socket = folder.path().join(format!(".s.PGSQL.{port}"));
    for client in ["TCP", "TLS", "Unix"] {
        for sender in ["TCP", "TLS", "Unix"] {
            let connect = async |way| match way {
                "TLS" => Raw::connect_tls(port, any_tls()).await,
                "Unix" => Raw::connect_unix(&socket).await,
                _ => Raw::connect(port).await,
            };
            let mut raw = connect(client).await;
            raw.start_up(&[("user", "postgres"), ("database", DATABASE)]).await;
            raw.authenticate("postgres", "postgres").await.unwrap();
            raw.send(&query("SELECT pg_sleep(600)")).await;
            until_busy(&server, 1).await;
            connect(sender).await.send(&request_of(&raw)).await;
            assert_eq!(answer(&mut raw).await, ["E 57014", "Z I"], "{client} by {sender}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_quite_right_does_nothing_and_says_nothing() {
    let cluster = Cluster::start(shards(1).with("[auth]\nmethods = [\"trust\"]")).await;
    let server = cluster.shard_client(0).await;
    let port = cluster.router().port();
    let mut raw = Raw::connect(port).await;
    raw.send(&startup(3, 2, &[("user", "postgres"), ("database", DATABASE)])).await;
    let frames = raw.read_until_ready().await;
    let mut key = frames.iter().find(|frame| frame.tag == b'K').unwrap().body.clone();
    let (process, secret) = (key.get_i32(), key.to_vec());
    assert_eq!(secret.len(), 32, "the keys of protocol 3.2 are long");
    raw.send(&query("SELECT 'unharmed' FROM pg_sleep(1.5)")).await;
    until_busy(&server, 1).await;
    let mut last = secret.clone();
    last[31] ^= 1;
    for (process, secret) in [
        (process, &last[..]),
        (process, &secret[..4]),
        (process, &secret[..31]),
        (process, &[&secret[..], &[0]].concat()),
        (process, &[]),
        (process + 1, &secret[..]),
        (-process, &secret[..]),
        (0, &secret[..]),
        (i32::MAX, &[7; 256]),
    ] {
        let mut sender = Raw::connect(port).await;
        sender.send(&request(process, secret)).await;
        assert_eq!(sender.read_to_end().await, 0);
    }
    assert_eq!(answer(&mut raw).await, ["D unharmed", "C SELECT 1", "Z I"]);
    raw.send(&query("SELECT pg_sleep(600)")).await;
    until_busy(&server, 1).await;
    Raw::connect(port).await.send(&request(process, &secret)).await;
    assert_eq!(answer(&mut raw).await, ["E 57014", "Z I"]);
}

//! How clients go, and are sent away: over TLS and Unix-domain sockets too, by DRAIN, by SHUTDOWN, by name.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::Path;
use std::time::Duration;

use pgring_integration_tests::client::{Frame, Raw, any_tls};
use pgring_integration_tests::faults::{eventually, within};
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{bind, execute, parse, query, sync};
use pgring_integration_tests::{Cluster, shards};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(15);

/// A cluster that is reached by TCP, by TLS and by a Unix-domain socket in `folder`.
async fn everywhere(folder: &Path, pool: usize) -> Cluster {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert, secret) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    let options = shards(1)
        .also_listen(&format!("unix:{}", folder.display()))
        .with(&format!("[tls]\ncert = \"{}\"\nkey = \"{}\"", cert.display(), secret.display()))
        .with(&format!("[pool]\nsize = {pool}\nqueue_timeout = \"20s\""));
    Cluster::start(options).await
}

async fn log_in(mut raw: Raw) -> Raw {
    raw.start_up(&[("user", "postgres"), ("database", DATABASE)]).await;
    raw.authenticate("postgres", "postgres").await.unwrap();
    raw
}

async fn tls(cluster: &Cluster) -> Raw {
    log_in(Raw::connect_tls(cluster.router().port(), any_tls()).await).await
}

fn rows(frames: &[Frame]) -> usize {
    frames.iter().filter(|frame| frame.tag == b'D').count()
}

/// SQLSTATEs and severities of errors.
fn errors(frames: &[Frame]) -> Vec<String> {
    let errors = frames.iter().filter(|frame| frame.tag == b'E').map(Frame::fields);
    errors.map(|fields| format!("{} {}", fields[&b'S'], fields[&b'C'])).collect()
}

async fn until_busy(server: &Client, how_many: i64) {
    const BUSY: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                        AND pid <> pg_backend_pid() AND state <> 'idle' AND query NOT LIKE '%pg_stat_activity%'";
    let look = || async {
        let busy: i64 = server.query_one(BUSY, &[]).await.unwrap().get(0);
        (busy == how_many).then_some(())
    };
    eventually(&format!("{how_many} busy backends"), PATIENCE, look).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_clients_that_leave_free_their_locks_and_stop_their_statements() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = everywhere(folder.path(), 4).await;
    let server = cluster.shard_client(0).await;
    let client = cluster.client().await;
    client.batch_execute("CREATE TABLE kept (id int)").await.unwrap();
    for polite in [true, false] {
        let mut raw = tls(&cluster).await;
        raw.query("BEGIN; INSERT INTO kept VALUES (1); LOCK TABLE kept").await;
        if polite {
            raw.shut().await;
        }
        drop(raw);
        within(PATIENCE, client.batch_execute("BEGIN; LOCK TABLE kept; COMMIT")).await.unwrap();
        let mut raw = tls(&cluster).await;
        raw.send(&query("BEGIN; SELECT pg_sleep(600)")).await;
        until_busy(&server, 1).await;
        if polite {
            raw.shut().await;
        }
        drop(raw);
        until_busy(&server, 0).await;
    }
    let left: i64 = client.query_one("SELECT count(*) FROM kept", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_client_that_reads_late_or_stops_sending_gets_its_whole_answer() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = everywhere(folder.path(), 4).await;
    let server = cluster.shard_client(0).await;
    for size in [100, 10_000, 1_000_000] {
        let mut raw = tls(&cluster).await;
        let count = 20_000_000 / size;
        raw.send(&query(&format!("SELECT repeat('x', {size}) FROM generate_series(1, {count})"))).await;
        // The socket is full by then: the server is busy with what nobody takes.
        until_busy(&server, 1).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(rows(&within(PATIENCE, raw.read_until_ready()).await), count, "{size}");
        let mut raw = tls(&cluster).await;
        raw.send(&query("SELECT 1 FROM pg_sleep(1.5)")).await;
        raw.shut().await;
        assert_eq!(rows(&within(PATIENCE, raw.read_until_ready()).await), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unix_sockets_carry_many_clients_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = everywhere(folder.path(), 3).await;
    let socket = folder.path().join(format!(".s.PGSQL.{}", cluster.router().port()));
    let works = (0..30).map(|number: i32| {
        let socket = socket.clone();
        tokio::spawn(async move {
            let mut raw = log_in(Raw::connect_unix(&socket).await).await;
            for nth in 0..30 {
                let batch =
                    [parse("", "SELECT $1::text", &[]), bind("", "", &[&format!("{number}.{nth}")]), execute("", 0)];
                raw.send(&[batch.concat(), sync()].concat()).await;
                let frames = raw.read_until_ready().await;
                let row = frames.iter().find(|frame| frame.tag == b'D').unwrap();
                assert_eq!(&row.body[6..], format!("{number}.{nth}").as_bytes());
            }
        })
    });
    for work in works.collect::<Vec<_>>() {
        within(PATIENCE * 2, work).await.unwrap();
    }
    let server = cluster.shard_client(0).await;
    let mut raw = log_in(Raw::connect_unix(&socket).await).await;
    raw.send(&query("SELECT pg_sleep(600)")).await;
    until_busy(&server, 1).await;
    drop(raw);
    until_busy(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_pgring_asks_for_him_leaves_nothing_behind() {
    let cluster = Cluster::start(shards(2).with("[pool]\nsize = 2")).await;
    cluster.admin("SHARD TABLE t BY (id)").await;
    let client = cluster.client().await;
    client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY)").await.unwrap();
    let (first, second) = (cluster.shard_client(0).await, cluster.shard_client(1).await);
    let locker = cluster.shard_client(1).await;
    locker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    for polite in [true, false] {
        let mut raw = cluster.raw().await;
        raw.send(&query("ALTER TABLE t ADD COLUMN more int")).await;
        // It waits on the second shard, and holds its lock on the first.
        until_busy(&second, 2).await;
        if polite {
            raw.shut().await;
        }
        drop(raw);
        until_busy(&second, 1).await;
        until_busy(&first, 0).await;
    }
    locker.batch_execute("COMMIT").await.unwrap();
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";
    for server in [&first, &second] {
        let columns: i64 = server.query_one(columns, &[]).await.unwrap().get(0);
        assert_eq!(columns, 1);
    }
    let locker = cluster.shard_client(0).await;
    locker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut raw = cluster.raw().await;
    raw.send(&query("PREPARE waits AS SELECT * FROM t WHERE id = 1")).await;
    until_busy(&first, 2).await;
    drop(raw);
    until_busy(&first, 1).await;
    locker.batch_execute("COMMIT").await.unwrap();
    within(PATIENCE, client.batch_execute("ALTER TABLE t ADD COLUMN more int")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_ended_while_a_statement_runs_hears_of_that_alone() {
    let cluster = Cluster::start(shards(2)).await;
    cluster.admin("SHARD TABLE t BY (id)").await;
    let client = cluster.client().await;
    client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY)").await.unwrap();
    let server = cluster.shard_client(0).await;
    let locker = cluster.shard_client(0).await;
    locker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let extended = [parse("", "SELECT pg_sleep(600)", &[]), bind("", "", &[]), execute("", 0), sync()].concat();
    let requests = [
        query("SELECT pg_sleep(600)"),
        query("BEGIN; SELECT pg_sleep(600)"),
        extended,
        query("SELECT id FROM t WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8) ORDER BY id"),
    ];
    for (nth, request) in requests.iter().enumerate() {
        let mut raw = cluster.raw().await;
        raw.send(request).await;
        until_busy(&server, 2).await;
        let id = raw.cancel_key.unwrap().0;
        match nth % 2 {
            0 => client.batch_execute(&format!("SELECT pg_terminate_backend({id})")).await.unwrap(),
            _ => drop(cluster.admin(&format!("KILL CLIENT {id}")).await),
        }
        let frames = within(PATIENCE, raw.read_until_ready()).await;
        assert_eq!(errors(&frames), ["FATAL 57P01"], "request {nth}");
        assert!(raw.is_closed().await);
        until_busy(&server, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_and_shutdown_let_transactions_finish() {
    for command in ["DRAIN", "SHUTDOWN"] {
        let mut cluster = Cluster::start(shards(1)).await;
        let (mut idle, mut works, mut runs) = (cluster.raw().await, cluster.raw().await, cluster.raw().await);
        let server = cluster.shard_client(0).await;
        works.query("CREATE TABLE done (id int)").await;
        works.query("BEGIN; INSERT INTO done VALUES (1)").await;
        runs.send(&query("SELECT 1 FROM pg_sleep(1)")).await;
        until_busy(&server, 2).await;
        cluster.admin(command).await;
        assert_eq!(errors(&within(PATIENCE, idle.read_until_ready()).await), ["FATAL 57P01"], "{command}");
        assert!(idle.is_closed().await);
        let frames = within(PATIENCE, runs.read_until_ready()).await;
        assert_eq!((rows(&frames), errors(&frames).len()), (1, 0), "{command}");
        assert_eq!(errors(&within(PATIENCE, runs.read_until_ready()).await), ["FATAL 57P01"], "{command}");
        assert!(errors(&works.query("INSERT INTO done VALUES (2)").await).is_empty(), "{command}");
        assert!(errors(&works.query("COMMIT").await).is_empty(), "{command}");
        assert_eq!(errors(&within(PATIENCE, works.read_until_ready()).await), ["FATAL 57P01"], "{command}");
        let kept: i64 = server.query_one("SELECT count(*) FROM done", &[]).await.unwrap().get(0);
        assert_eq!(kept, 2, "{command}");
        if command == "SHUTDOWN" {
            let begun = std::time::Instant::now();
            let status = loop {
                if let Some(status) = cluster.router_mut().exit_code() {
                    break status;
                }
                assert!(begun.elapsed() < PATIENCE, "it does not end");
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            assert_eq!(status, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_too_long_for_a_backend_is_told_what_to_look_at() {
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 1\nqueue_timeout = \"1s\"")).await;
    let (mut holder, mut waiter) = (cluster.raw().await, cluster.raw().await);
    holder.query("BEGIN; SELECT 1").await;
    let extended = [parse("", "SELECT 1", &[]), bind("", "", &[]), execute("", 0), sync()].concat();
    for request in [query("SELECT 1"), extended] {
        let begun = std::time::Instant::now();
        waiter.send(&request).await;
        let frames = within(PATIENCE, waiter.read_until_ready()).await;
        assert_eq!(errors(&frames), ["ERROR 53300"]);
        let fields = frames.iter().find(|frame| frame.tag == b'E').unwrap().fields();
        assert!(fields[&b'H'].contains("SHOW PINS"), "{fields:?}");
        assert!(begun.elapsed() < Duration::from_millis(1900), "it waited once: {:?}", begun.elapsed());
    }
    holder.query("COMMIT").await;
    assert_eq!(rows(&waiter.query("SELECT 1").await), 1);
}

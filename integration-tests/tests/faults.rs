//! What a lost shard, backend or router does to clients: the right SQLSTATE in time, and nothing to anybody else.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::time::Duration;

use pgring_integration_tests::client::{Raw, try_connect};
use pgring_integration_tests::faults::{eventually, within};
use pgring_integration_tests::oracle::Answer;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, shards};

/// Keys of the test table: enough that each of two shards holds some.
const KEYS: std::ops::RangeInclusive<i64> = 1..=16;

/// A cluster of two shards with a table `t` that holds a row for each key.
async fn two_shards() -> Cluster {
    let quick = "[pool]\nqueue_timeout = \"2s\"\nconnect_timeout = \"1s\"\n\n[failover]\nbuffer = false";
    let cluster = Cluster::start(shards(2).with(quick)).await;
    cluster.admin("SHARD TABLE t BY (id)").await;
    let client = cluster.client().await;
    client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, n integer NOT NULL)").await.unwrap();
    for key in KEYS {
        client.batch_execute(&format!("INSERT INTO t VALUES ({key}, 0)")).await.unwrap();
    }
    cluster
}

/// Reads every key over one connection: how many answered, and the SQLSTATEs of those that did not.
async fn read_all(raw: &mut Raw) -> (usize, Vec<String>) {
    let (mut answered, mut failed) = (0, Vec::new());
    for key in KEYS {
        let answer = Answer::of(&raw.query(&format!("SELECT n FROM t WHERE id = {key}")).await);
        match answer.sqlstate() {
            Some(sqlstate) => failed.push(sqlstate.to_owned()),
            None => answered += answer.rows.len(),
        }
    }
    (answered, failed)
}

/// Reads every key over a connection of its own: a server's FATAL error ends the session it is said to.
async fn read_apart(cluster: &Cluster) -> (usize, Vec<String>) {
    let (mut answered, mut failed) = (0, Vec::new());
    for key in KEYS {
        let answer = Answer::of(&cluster.raw().await.query(&format!("SELECT n FROM t WHERE id = {key}")).await);
        match answer.sqlstate() {
            Some(sqlstate) => failed.push(sqlstate.to_owned()),
            None => answered += answer.rows.len(),
        }
    }
    (answered, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_live_on_both_shards_and_are_found_by_key() {
    let cluster = two_shards().await;
    let mut kept = 0;
    for number in 0..2 {
        let row = cluster.shard_client(number).await.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
        let count: i64 = row.get(0);
        assert!(count > 0, "s{number} holds no row");
        kept += count;
    }
    assert_eq!(kept, *KEYS.end());
    assert_eq!(read_all(&mut cluster.raw().await).await, (16, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_shard_fails_only_its_own_keys_and_comes_back() {
    let mut cluster = two_shards().await;
    assert_eq!(read_all(&mut cluster.raw().await).await.0, 16);
    cluster.shard_mut(1).kill9();
    let (answered, failed) = within(Duration::from_secs(60), read_apart(&cluster)).await;
    assert!(answered > 0 && answered < 16, "{answered} answered, {failed:?}");
    assert!(
        failed.iter().all(|sqlstate| ["08006", "57P01", "57P02", "57P03"].contains(&sqlstate.as_str())),
        "{failed:?}"
    );
    cluster.shard_mut(1).restart().unwrap();
    eventually("all keys to answer again", Duration::from_secs(20), || async {
        let mut fresh = cluster.raw().await;
        (read_all(&mut fresh).await.0 == 16).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backend_costs_its_client_one_statement() {
    let cluster = two_shards().await;
    let mut raw = cluster.raw().await;
    raw.send_with(|out| postgres_protocol::message::frontend::query("SELECT pg_sleep(60) FROM t WHERE id = 1", out))
        .await;
    let killed = eventually("the backend to run", Duration::from_secs(10), || async {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                    AND state = 'active' AND query LIKE 'SELECT pg_sleep(60) FROM t%'";
        for number in 0..2 {
            if let Some(row) = cluster.shard_client(number).await.query_opt(kill, &[]).await.unwrap() {
                return Some(row.get::<_, bool>(0));
            }
        }
        None
    })
    .await;
    assert!(killed);
    let answer = Answer::of(&within(Duration::from_secs(5), raw.read_until_ready()).await);
    assert!(matches!(answer.sqlstate(), Some("57P01" | "08006")), "{answer:?}");
    assert_eq!(read_all(&mut cluster.raw().await).await.0, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_is_killed_and_started_again_finds_its_tables() {
    let mut cluster = two_shards().await;
    cluster.router_mut().kill();
    assert!(try_connect(&cluster.connection_string(DATABASE)).await.is_err());
    tokio::task::block_in_place(|| cluster.router_mut().restart());
    assert_eq!(read_all(&mut cluster.raw().await).await, (16, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_router_routes_as_the_first() {
    let cluster = two_shards().await;
    let second = cluster.another_router().await;
    let mut raw = Raw::log_in(second.port(), "postgres", "postgres", DATABASE).await;
    assert_eq!(read_all(&mut raw).await, (16, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_asked_to_end_ends_with_status_0_and_one_with_a_wrong_configuration_with_1() {
    let mut cluster = Cluster::start(shards(1)).await;
    assert_eq!(tokio::task::block_in_place(|| cluster.router_mut().stop()), 0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[general]\nlisen = \"127.0.0.1:0\"\n").unwrap();
    let mut command = std::process::Command::new(pgring_integration_tests::router::executable());
    let output = command.args(["serve", "--config"]).arg(file.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("lisen") && words.contains("listen"), "{words}");
}

/// Gives a running server a certificate and turns TLS on.
async fn turn_tls_on(cluster: &Cluster, shard: usize) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let client = cluster.shard_client(shard).await;
    for (file, pem) in [("server.crt", certificate), ("server.key", key.serialize_pem())] {
        let lines = format!("SELECT unnest(string_to_array('{}', E'\\n'))", pem.trim_end());
        // The server's own user has to own its key.
        let write = format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {file}'");
        client.batch_execute(&write).await.unwrap();
    }
    client.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tls_is_required_no_connection_of_pgring_goes_without() {
    let mut cluster = two_shards().await;
    for shard in 0..2 {
        turn_tls_on(&cluster, shard).await;
    }
    let file = cluster.router().configuration();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[server_tls]\nmode = \"require\"\n")).unwrap();
    cluster.router_mut().restart();
    let client = cluster.client().await;
    assert_eq!(client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get::<_, i64>(0), 16);
    cluster.admin("SHARD TABLE later BY (id)").await;
    for shard in 0..2 {
        const COUNT: &str = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl
            JOIN pg_stat_activity USING (pid) WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let row = cluster.shard_client(shard).await.query_one(COUNT, &[]).await.unwrap();
        assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(1) == 0, "s{shard}: {row:?}");
    }
}

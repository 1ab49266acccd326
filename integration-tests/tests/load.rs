//! Life under load: clients that leave, wait, do not read or do not stop; pools that are small, kept ready or renewed.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::time::Duration;

use pgring_integration_tests::client::{Frame, Raw, bind_text, connect, describe, try_connect};
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, shards};
use postgres_protocol::message::frontend;
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(10);

/// A number that one shard's own PostgreSQL says.
async fn number(server: &Client, sql: &str) -> i64 {
    server.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error))).get(0)
}

/// Sessions of clients on a server that have a transaction or a statement.
const BUSY: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND pid <> pg_backend_pid() AND state <> 'idle' AND query NOT LIKE '%pg_stat_activity%'";

async fn until_busy(server: &Client, how_many: i64) {
    eventually(&format!("{how_many} busy backends"), PATIENCE, || async {
        (number(server, BUSY).await == how_many).then_some(())
    })
    .await;
}

/// One row of SHOW POOLS: active, idle, pinned, waiting.
async fn pool(cluster: &Cluster, server: &str) -> [i64; 4] {
    let rows = cluster.admin("SHOW POOLS").await;
    // A pool that nobody uses is forgotten.
    let Some(row) = rows.iter().find(|row| row.get("server") == Some(server)) else { return [0; 4] };
    ["active", "idle", "pinned", "waiting"].map(|column| row.get(column).unwrap().parse().unwrap())
}

async fn until_pool(cluster: &Cluster, server: &str, expected: impl Fn([i64; 4]) -> bool) -> [i64; 4] {
    eventually("the pool's figures", PATIENCE, || async {
        Some(pool(cluster, server).await).filter(|figures| expected(*figures))
    })
    .await
}

async fn send(raw: &mut Raw, sql: &str) {
    raw.send_with(|out| frontend::query(sql, out)).await;
}

fn rows(frames: &[Frame]) -> usize {
    frames.iter().filter(|frame| frame.tag == b'D').count()
}

fn error(frames: &[Frame]) -> Option<(String, String)> {
    let fields = frames.iter().find(|frame| frame.tag == b'E')?.fields();
    Some((fields[&b'C'].clone(), fields[&b'M'].clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_only_stops_sending_gets_its_whole_answer() {
    let cluster = Cluster::start(shards(1)).await;
    let mut raw = cluster.raw().await;
    // Longer than pgring takes to find out who is gone.
    send(&mut raw, "SELECT pg_sleep(1.8); SELECT repeat('x', 100000) FROM generate_series(1, 100)").await;
    raw.finish_sending().await;
    let frames = raw.read_until_ready().await;
    assert_eq!((rows(&frames), error(&frames)), (101, None));
    let reported = frames.iter().filter(|frame| frame.tag == b'S');
    assert!(reported.into_iter().all(|frame| &frame.body[..] == b"integer_datetimes\0on\0"));
    assert!(raw.is_closed().await);

    let mut raw = cluster.raw().await;
    raw.send_with(|out| {
        frontend::parse("", "SELECT generate_series(1, 3), pg_sleep(0.4)", [], out)?;
        bind_text("", "", &[], false, out);
        frontend::execute("", 0, out)?;
        frontend::sync(out);
        Ok(())
    })
    .await;
    raw.finish_sending().await;
    let frames = raw.read_until_ready().await;
    assert_eq!((rows(&frames), error(&frames)), (3, None));
    assert!(raw.is_closed().await);

    let mut raw = cluster.raw().await;
    let mut both = bytes::BytesMut::new();
    frontend::query("SELECT pg_sleep(0.1), generate_series(1, 3)", &mut both).unwrap();
    frontend::terminate(&mut both);
    assert!(raw.send(&both).await);
    raw.finish_sending().await;
    assert_eq!(rows(&raw.read_until_ready().await), 3);
    assert!(raw.is_closed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_ends_when_its_client_is_gone() {
    let cluster = Cluster::start(shards(2)).await;
    cluster.admin("SHARD TABLE t BY (id)").await;
    let client = cluster.client().await;
    client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY); CREATE TABLE plain (id int)").await.unwrap();
    let server = cluster.shard_client(0).await;
    let locker = cluster.shard_client(0).await;

    let mut raw = cluster.raw().await;
    send(&mut raw, "SELECT pg_sleep(600)").await;
    until_busy(&server, 1).await;
    drop(raw);
    until_busy(&server, 0).await;

    for name in ["", "named"] {
        let mut raw = cluster.raw().await;
        raw.send_with(|out| {
            frontend::parse(name, "SELECT pg_sleep(600)", [], out)?;
            bind_text("", name, &[], false, out);
            frontend::execute("", 0, out)?;
            frontend::sync(out);
            Ok(())
        })
        .await;
        until_busy(&server, 1).await;
        drop(raw);
        until_busy(&server, 0).await;
    }

    let mut raw = cluster.raw().await;
    raw.query("BEGIN").await;
    raw.query("LOCK TABLE plain").await;
    send(&mut raw, "SELECT pg_sleep(600)").await;
    until_busy(&server, 1).await;
    drop(raw);
    until_busy(&server, 0).await;
    client.batch_execute("LOCK TABLE plain; SELECT 1").await.unwrap();

    // A client that has sent more than is read ahead.
    let mut raw = cluster.raw().await;
    let mut much = bytes::BytesMut::new();
    frontend::query("SELECT pg_sleep(600)", &mut much).unwrap();
    (0..10_000).for_each(|_| frontend::query("SELECT 1", &mut much).unwrap());
    assert!(raw.send(&much).await);
    until_busy(&server, 1).await;
    drop(raw);
    until_busy(&server, 0).await;

    // Several shards, one of which waits for a lock.
    locker.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut raw = cluster.raw().await;
    send(&mut raw, "SELECT id FROM t ORDER BY id").await;
    until_busy(&server, 2).await;
    drop(raw);
    until_busy(&server, 1).await;
    locker.batch_execute("ROLLBACK").await.unwrap();

    // COPY, in the middle of a message, while the server waits for a lock and while it waits for the client.
    for locked in [true, false] {
        if locked {
            locker.batch_execute("BEGIN; LOCK TABLE plain IN ACCESS EXCLUSIVE MODE").await.unwrap();
        }
        let mut raw = cluster.raw().await;
        send(&mut raw, "COPY plain FROM STDIN").await;
        until_busy(&server, 1 + i64::from(locked)).await;
        raw.send(b"d\0\0\0\x63half").await;
        drop(raw);
        until_busy(&server, i64::from(locked)).await;
        locker.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(number(&server, "SELECT count(*) FROM plain").await, 0);
    assert_eq!(until_pool(&cluster, "s0", |figures| figures[0] == 0).await[3], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_client_that_leaves_in_a_transaction_frees_its_locks() {
    let cluster = Cluster::start(shards(1)).await;
    let client = cluster.client().await;
    client.batch_execute("CREATE TABLE kept (id int)").await.unwrap();
    let mut raw = cluster.raw().await;
    raw.query("BEGIN; INSERT INTO kept VALUES (1); LOCK TABLE kept").await;
    drop(raw);
    tokio::time::timeout(PATIENCE, client.batch_execute("BEGIN; LOCK TABLE kept; COMMIT")).await.unwrap().unwrap();
    let left = client.query_one("SELECT count(*) FROM kept", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_fair_and_who_leaves_it_or_waits_too_long_is_out_of_it() {
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 1\nqueue_timeout = \"4s\"")).await;
    let mut holder = cluster.raw().await;
    let mut waiters = [cluster.raw().await, cluster.raw().await, cluster.raw().await];
    holder.query("BEGIN").await;
    holder.query("SELECT 1").await;
    for (number, raw) in waiters.iter_mut().enumerate() {
        send(raw, &format!("SELECT {number}")).await;
        until_pool(&cluster, "s0", |figures| figures[3] == number as i64 + 1).await;
    }
    let [first, second, third] = waiters;
    drop(second);
    until_pool(&cluster, "s0", |figures| figures == [1, 0, 0, 2]).await;
    holder.query("COMMIT").await;
    for mut raw in [first, third] {
        assert_eq!(rows(&raw.read_until_ready().await), 1);
    }
    holder.query("BEGIN").await;
    holder.query("SELECT 1").await;
    // Its log-in waited before; its statement does now.
    let mut late = cluster_raw_later(&cluster, &mut holder).await;
    send(&mut late, "SELECT 1").await;
    let (code, _) = error(&late.read_until_ready().await).expect("a refusal");
    assert_eq!(code, "53300");
    holder.query("COMMIT").await;
    assert_eq!(rows(&late.query("SELECT 1").await), 1);
}

/// A client that logs in between two transactions of `holder`.
async fn cluster_raw_later(cluster: &Cluster, holder: &mut Raw) -> Raw {
    holder.query("COMMIT").await;
    let late = cluster.raw().await;
    holder.query("BEGIN").await;
    holder.query("SELECT 1").await;
    late
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_clients_than_there_may_be_are_refused_in_postgresqls_words() {
    let user = "[[users]]\nname = \"few\"\npassword = \"few\"\nmax_clients = 1";
    let cluster = Cluster::start(shards(1).general("max_clients = 3").with(user)).await;
    cluster.shard_client(0).await.batch_execute("CREATE ROLE few LOGIN PASSWORD 'few'").await.unwrap();
    let connection = cluster.connection_string(DATABASE);
    let few = connection.replace("user=postgres password=postgres", "user=few password=few");
    let one = connect(&few).await;
    let refused = try_connect(&few).await.err().unwrap();
    let refused = refused.as_db_error().unwrap();
    assert_eq!((refused.code().code(), refused.message()), ("53300", "too many connections for role \"few\""));
    let (_two, _three) = (cluster.client().await, cluster.client().await);
    let refused = try_connect(&connection).await.err().unwrap();
    let refused = refused.as_db_error().unwrap();
    assert_eq!((refused.code().code(), refused.message()), ("53300", "sorry, too many clients already"));
    assert_eq!(refused.severity(), "FATAL");
    drop(one);
    eventually("room for one more", PATIENCE, || async { try_connect(&connection).await.ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn show_says_for_whom_each_backend_works() {
    let cluster = Cluster::start(shards(1)).await;
    let client = cluster.client().await;
    client.batch_execute("SET application_name = 'billing'; CREATE TEMP TABLE mine (id int)").await.unwrap();
    assert_eq!(until_pool(&cluster, "s0", |figures| figures[2] == 1).await[0], 1);
    let server = cluster.shard_client(0).await;
    let seen = server
        .query_one("SELECT pid, application_name FROM pg_stat_activity WHERE application_name = 'billing'", &[])
        .await
        .unwrap();
    let pid: i32 = seen.get(0);
    let clients = cluster.admin("SHOW CLIENTS").await;
    let id = clients.iter().find(|row| row.get("application_name") == Some("billing")).unwrap().get("id").unwrap();
    let servers = cluster.admin("SHOW SERVERS").await;
    let row = servers.iter().find(|row| row.get("pid") == Some(pid.to_string().as_str())).unwrap();
    assert_eq!((row.get("client"), row.get("application_name")), (Some(id), Some("billing")));
    assert_eq!((row.get("state"), row.get("active"), row.get("idle")), (Some("active"), Some("1"), Some("0")));
    client.batch_execute("DISCARD ALL").await.unwrap();
    until_pool(&cluster, "s0", |figures| figures == [0, 1, 0, 0]).await;
    let servers = cluster.admin("SHOW SERVERS").await;
    assert_eq!((servers.len(), servers[0].get("state"), servers[0].get("client")), (1, Some("idle"), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_application_name_of_a_client_goes_with_it_over_shared_backends() {
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 1")).await;
    let own = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let base = cluster.connection_string(DATABASE);
    let first = connect(&format!("{base} application_name=first")).await;
    let second = connect(&format!("{base} application_name=second")).await;
    for _ in 0..3 {
        for (client, name) in [(&first, "first"), (&second, "second")] {
            assert_eq!(client.query_one(own, &[]).await.unwrap().get::<_, String>(0), name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_session_mode_a_client_keeps_its_backend_until_it_leaves() {
    let user = "[[users]]\nname = \"shares\"\npassword = \"shares\"\npool_mode = \"transaction\"\n\n[pool]\nsize = 2";
    let cluster = Cluster::start(shards(1).database("pool_mode = \"session\"").with(user)).await;
    cluster.shard_client(0).await.batch_execute("CREATE ROLE shares LOGIN PASSWORD 'shares'").await.unwrap();
    let client = cluster.client().await;
    client
        .batch_execute("PREPARE p AS SELECT 1; CREATE TEMP TABLE mine (id int); SET search_path = pg_temp")
        .await
        .unwrap();
    let pid = "SELECT pg_backend_pid()";
    let other = cluster.client().await;
    let theirs: i32 = other.query_one(pid, &[]).await.unwrap().get(0);
    for _ in 0..3 {
        let mine: i32 = client.query_one(pid, &[]).await.unwrap().get(0);
        assert_ne!(mine, theirs);
        client.batch_execute("EXECUTE p; INSERT INTO mine VALUES (1)").await.unwrap();
    }
    let pins = cluster.admin("SHOW PINS").await;
    assert!(pins.iter().any(|row| row.get("reason") == Some("pool_mode = session")), "{pins:?}");
    assert_eq!(pool(&cluster, "s0").await, [2, 0, 2, 0]);
    client.batch_execute("DISCARD ALL").await.unwrap();
    assert!(client.batch_execute("SELECT * FROM mine").await.is_err());
    assert_eq!(pool(&cluster, "s0").await, [2, 0, 2, 0]);
    client.batch_execute("CREATE TEMP TABLE mine (id int)").await.unwrap();
    drop(client);
    until_pool(&cluster, "s0", |figures| figures == [1, 1, 1, 0]).await;
    // Clean for the next, who gets that very backend.
    let next = cluster.client().await;
    assert!(next.batch_execute("SELECT * FROM mine").await.is_err());
    // The user's own mode goes first.
    let connection =
        cluster.connection_string(DATABASE).replace("user=postgres password=postgres", "user=shares password=shares");
    let (one, two, three) = (connect(&connection).await, connect(&connection).await, connect(&connection).await);
    for client in [&one, &two, &three] {
        client.query_one(pid, &[]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_are_kept_ready_and_renewed() {
    let pools = "[pool]\nsize = 5\nmin_idle = 3\nmax_lifetime = \"1s\"\nidle_timeout = \"1s\"";
    let cluster = Cluster::start(shards(1).with(pools)).await;
    let client = cluster.client().await;
    let server = cluster.shard_client(0).await;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE '%pgring.identity%'";
    let figures = until_pool(&cluster, "s0", |figures| figures[1] == 3).await;
    assert_eq!(figures, [0, 3, 0, 0]);
    assert!(number(&server, others).await >= 1);
    let pids = async || -> Vec<String> {
        let servers = cluster.admin("SHOW SERVERS").await;
        servers.iter().filter_map(|row| row.get("pid").map(str::to_owned)).collect()
    };
    let before = pids().await;
    eventually("three other backends", PATIENCE, || async {
        let now = pids().await;
        (now.len() == 3 && now.iter().all(|pid| !before.contains(pid))).then_some(())
    })
    .await;
    client.query_one("SELECT 1", &[]).await.unwrap();
    drop(client);
    eventually("an empty pool, since nobody uses it", PATIENCE, || async {
        let pools = cluster.admin("SHOW POOLS").await;
        pools.iter().all(|row| row.get("idle") == Some("0")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_backends_that_are_ended_cost_no_client_a_statement() {
    let cluster = Cluster::start(shards(1)).await;
    let clients = [cluster.client().await, cluster.client().await, cluster.client().await];
    let server = cluster.shard_client(0).await;
    for _ in 0..5 {
        let sleeps = clients.iter().map(|client| client.batch_execute("SELECT pg_sleep(0.05)"));
        for done in futures_util::future::join_all(sleeps).await {
            done.unwrap();
        }
        let ended = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' \
                     AND pid <> pg_backend_pid()";
        assert!(number(&server, ended).await >= 1);
        for client in &clients {
            client.batch_execute("SELECT 1").await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_costs_little_memory_and_nobody_else_waits() {
    let cluster = Cluster::start(shards(1)).await;
    let client = cluster.client().await;
    let server = cluster.shard_client(0).await;
    client.batch_execute("SELECT 1").await.unwrap();
    let before = cluster.router().memory();
    let mut raw = cluster.raw().await;
    send(&mut raw, "SELECT repeat('x', 1000000) FROM generate_series(1, 2000)").await;
    raw.peek().await;
    for _ in 0..20 {
        client.batch_execute("SELECT pg_sleep(0.02)").await.unwrap();
    }
    let grown = cluster.router().memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    assert_eq!(number(&server, BUSY).await, 1);
    drop(raw);
    until_busy(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_only_sends_costs_little_memory() {
    let cluster = Cluster::start(shards(1)).await;
    let server = cluster.shard_client(0).await;
    let mut raw = cluster.raw().await;
    let before = cluster.router().memory();
    let mut much = bytes::BytesMut::new();
    frontend::query("SELECT pg_sleep(3)", &mut much).unwrap();
    let text = format!("SELECT 1 /* {} */", "x".repeat(1000));
    (0..20_000).for_each(|_| frontend::query(&text, &mut much).unwrap());
    let sender = tokio::spawn(async move {
        raw.send(&much).await;
        raw
    });
    until_busy(&server, 1).await;
    // As long as the first statement runs.
    while number(&server, BUSY).await == 1 {
        let grown = cluster.router().memory().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut raw = tokio::time::timeout(Duration::from_secs(60), sender).await.unwrap().unwrap();
    assert_eq!(rows(&raw.read_until_ready().await), 1);
    for _ in 0..20_000 {
        assert_eq!(rows(&raw.read_until_ready().await), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_and_transactions_run_out_of_time() {
    let limits =
        "[timeouts]\nquery = \"300ms\"\nidle_in_transaction = \"600ms\"\nclient_idle = \"1200ms\"\nstartup = \"1s\"";
    let cluster = Cluster::start(shards(1).with(limits)).await;
    let mut raw = cluster.raw().await;
    let frames = raw.query("SELECT pg_sleep(60)").await;
    assert_eq!(error(&frames), Some(("57014".into(), "canceling statement due to statement timeout".into())));
    let frames = raw.extended("SELECT pg_sleep(60)", &[], false).await;
    assert_eq!(error(&frames), Some(("57014".into(), "canceling statement due to statement timeout".into())));
    assert_eq!(rows(&raw.query("SELECT 1").await), 1);
    raw.query("BEGIN").await;
    raw.query("SELECT 1").await;
    let fields = raw.read().await.expect("a last word").fields();
    assert_eq!((fields[&b'C'].as_str(), fields[&b'S'].as_str()), ("25P03", "FATAL"));
    assert!(raw.is_closed().await);
    let mut raw = cluster.raw().await;
    assert_eq!(raw.read().await.expect("a last word").sqlstate().as_deref(), Some("57P05"));
    assert!(raw.is_closed().await);
    let mut raw = Raw::connect(cluster.router().port()).await;
    raw.send(&[0, 0, 0]).await;
    assert!(raw.is_closed().await, "it does not say who it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_and_queries_are_ended_by_command_wherever_they_wait() {
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 1\nqueue_timeout = \"60s\"")).await;
    let id = async |raw: &Raw| raw.cancel_key.unwrap().0;
    let mut holder = cluster.raw().await;
    let mut waiter = cluster.raw().await;
    holder.query("BEGIN").await;
    send(&mut holder, "SELECT pg_sleep(600)").await;
    until_busy(&cluster.shard_client(0).await, 1).await;
    send(&mut waiter, "SELECT 1").await;
    until_pool(&cluster, "s0", |figures| figures[3] == 1).await;
    cluster.admin(&format!("KILL CLIENT {}", id(&waiter).await)).await;
    assert_eq!(waiter.read().await.expect("a last word").sqlstate().as_deref(), Some("57P01"));
    assert!(waiter.is_closed().await);
    cluster.admin(&format!("KILL QUERY {}", id(&holder).await)).await;
    assert_eq!(error(&holder.read_until_ready().await).unwrap().0, "57014");
    assert_eq!(pool(&cluster, "s0").await, [1, 0, 0, 0]);
    holder.query("ROLLBACK").await;
    // One that does not read is not waited for.
    send(&mut holder, "SELECT repeat('x', 1000000) FROM generate_series(1, 1000)").await;
    holder.peek().await;
    cluster.admin(&format!("KILL CLIENT {}", id(&holder).await)).await;
    eventually("no client but the one that asks", PATIENCE, || async {
        (cluster.admin("SHOW CLIENTS").await.len() == 1).then_some(())
    })
    .await;
    until_pool(&cluster, "s0", |figures| figures[0] == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_statements_back_and_who_leaves_meanwhile_is_gone() {
    let cluster = Cluster::start(shards(1)).await;
    let (mut stays, mut leaves) = (cluster.raw().await, cluster.raw().await);
    cluster.admin("PAUSE").await;
    send(&mut stays, "SELECT 1").await;
    send(&mut leaves, "SELECT 1").await;
    let waiting = async || {
        let clients = cluster.admin("SHOW CLIENTS").await;
        clients.iter().filter(|row| row.get("state") == Some("waiting")).count()
    };
    eventually("two that wait", PATIENCE, || async { (waiting().await == 2).then_some(()) }).await;
    drop(leaves);
    eventually("one that waits", PATIENCE, || async { (waiting().await == 1).then_some(()) }).await;
    cluster.admin("RESUME").await;
    assert_eq!(rows(&stays.read_until_ready().await), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_backends_do_not_keep_a_database_from_being_dropped() {
    let cluster = Cluster::start(shards(1)).await;
    let port = cluster.shard(0).port();
    let router = pgring_integration_tests::Router::start(&[], |listen, http| {
        format!(
            "[general]\nlisten = \"127.0.0.1:{listen}\"\nhttp = \"127.0.0.1:{http}\"\n\n[[users]]\nname = \"postgres\"\n\
             password = \"postgres\"\n\n[[databases]]\nname = \"*\"\nconnection = \"host=127.0.0.1 port={port} \
             user=postgres password=postgres\""
        )
    });
    let to = |database: &str| {
        format!("host=127.0.0.1 port={} dbname={database} user=postgres password=postgres", router.port())
    };
    let client = connect(&to("postgres")).await;
    client.batch_execute("CREATE DATABASE brief").await.unwrap();
    let inside = connect(&to("brief")).await;
    inside.batch_execute("SELECT 1").await.unwrap();
    client.batch_execute("ALTER DATABASE brief RENAME TO shorter").await.unwrap();
    let inside = connect(&to("shorter")).await;
    inside.batch_execute("SELECT 1").await.unwrap();
    client.execute("CREATE DATABASE copy TEMPLATE shorter", &[]).await.unwrap();
    client.batch_execute("DROP DATABASE shorter").await.unwrap();
    assert_eq!(try_connect(&to("shorter")).await.err().unwrap().code().unwrap().code(), "3D000");
}

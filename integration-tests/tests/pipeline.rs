//! Pipelines: many batches in one write, over four shards, answered in order as one PostgreSQL answers them; and
//! statements whose plans a change of schema has made stale.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::{Step, bind, close, describe, execute, flush, parse, play, query, sync};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(4)));
/// One backend for each shard: sessions cannot hold on to one.
static NARROW: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::launch(shards(4).with("[pool]\nsize = 1\nqueue_timeout = \"20s\"")));
static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));

const INT8: u32 = 20;

async fn log_in(port: u16) -> Raw {
    Raw::log_in(port, "postgres", "postgres", DATABASE).await
}

/// Makes table `name` with the keys 1 to 40 on one PostgreSQL and, sharded, on `cluster`.
async fn make(cluster: &Cluster, name: &str) {
    let table = format!("CREATE TABLE {name} (k bigint PRIMARY KEY, v text)");
    let (mut one, mut many) = (log_in(ORACLE.port()).await, log_in(cluster.router().port()).await);
    for raw in [&mut one, &mut many] {
        raw.query(&format!("DROP TABLE IF EXISTS {name}")).await;
        let made = raw.query(&table).await;
        assert_eq!(made[0].text(), "CREATE TABLE");
    }
    cluster.admin(&format!("SHARD TABLE {name} BY (k)")).await;
    for raw in [&mut one, &mut many] {
        for key in 1..=40 {
            let inserted = raw.query(&format!("INSERT INTO {name} VALUES ({key}, 'v{key}')")).await;
            assert_eq!(inserted[0].text(), "INSERT 0 1");
        }
    }
}

/// The same bytes in one write to both; both answer alike up to the `readies`-th ReadyForQuery.
async fn alike(cluster: &Cluster, bytes: &[u8], readies: usize) -> Vec<String> {
    let steps = [Step::Send(bytes.to_vec()), Step::Until(b'Z', readies)];
    let expected = play(&mut log_in(ORACLE.port()).await, &steps).await;
    let answered = play(&mut log_in(cluster.router().port()).await, &steps).await;
    assert_eq!(answered, expected);
    answered
}

fn select(name: &str) -> String {
    format!("SELECT v FROM {name} WHERE k = $1")
}

#[tokio::test]
async fn batches_of_many_keys_are_answered_in_order() {
    for (cluster, table) in [(&*CLUSTER, "pipe_order"), (&*NARROW, "pipe_order_narrow")] {
        make(cluster, table).await;
        let unnamed = (1..=40).flat_map(|key: i32| {
            let key = key.to_string();
            [parse("", &select(table), &[INT8]), bind("", "", &[&key]), describe(b'P', ""), execute("", 0), sync()]
                .concat()
        });
        let answered = alike(cluster, &unnamed.collect::<Vec<u8>>(), 40).await;
        assert!(answered.iter().any(|line| line.contains("v40")), "{answered:?}");
        let mut named = parse("s", &select(table), &[INT8]);
        for key in (1..=40).rev() {
            named.extend([bind("", "s", &[&key.to_string()]), execute("", 0), sync()].concat());
        }
        alike(cluster, &named, 40).await;
    }
}

#[tokio::test]
async fn reads_of_many_keys_in_one_batch_are_answered_in_order() {
    for (cluster, table) in [(&*CLUSTER, "pipe_reads"), (&*NARROW, "pipe_reads_narrow")] {
        make(cluster, table).await;
        let mut bytes = parse("r", &select(table), &[INT8]);
        for key in 1..=20 {
            bytes.extend([bind("", "r", &[&key.to_string()]), execute("", 0)].concat());
        }
        bytes.extend(sync());
        alike(cluster, &bytes, 1).await;
        // An error in the middle: what follows it is passed over, on every shard.
        let failing = format!("SELECT 1 / (k - 7) FROM {table} WHERE k = $1");
        let mut bytes = parse("f", &failing, &[INT8]);
        for key in 1..=20 {
            bytes.extend([bind("", "f", &[&key.to_string()]), execute("", 0)].concat());
        }
        bytes.extend(sync());
        bytes.extend([bind("", "f", &["8"]), execute("", 0), sync()].concat());
        alike(cluster, &bytes, 2).await;
    }
}

#[tokio::test]
async fn an_error_in_one_batch_leaves_the_others_alone() {
    make(&CLUSTER, "pipe_errors").await;
    let mut bytes = parse("i", "INSERT INTO pipe_errors VALUES ($1, 'new')", &[INT8]);
    for key in [41, 3, 42, 43, 5, 44] {
        bytes.extend([bind("", "i", &[&key.to_string()]), execute("", 0), sync()].concat());
    }
    bytes.extend([bind("", "nobody", &[]), execute("", 0), sync()].concat());
    bytes.extend([parse("", "SELECT nonsense", &[]), bind("", "", &[]), execute("", 0), sync()].concat());
    for key in [41, 42, 43, 44, 45] {
        bytes.extend([parse("", &select("pipe_errors"), &[INT8]), bind("", "", &[&key.to_string()])].concat());
        bytes.extend([execute("", 0), close(b'P', ""), sync()].concat());
    }
    alike(&CLUSTER, &bytes, 13).await;
}

#[tokio::test]
async fn transactions_settings_and_queries_among_batches() {
    make(&CLUSTER, "pipe_mixed").await;
    let one = |sql: &str| [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat();
    let read = |key: &str| [parse("", &select("pipe_mixed"), &[INT8]), bind("", "", &[key]), execute("", 0)].concat();
    let bytes = [
        read("1"),
        sync(),
        read("2"),
        sync(),
        query("SELECT 'between'"),
        one("SET application_name = 'piped'"),
        sync(),
        read("3"),
        sync(),
        one("SHOW application_name"),
        sync(),
        one("BEGIN"),
        read("4"),
        sync(),
        [parse("", "UPDATE pipe_mixed SET v = 'x' WHERE k = $1", &[INT8]), bind("", "", &["4"]), execute("", 0)]
            .concat(),
        flush(),
        read("4"),
        sync(),
        one("ROLLBACK"),
        sync(),
        read("4"),
        sync(),
        sync(),
    ];
    alike(&CLUSTER, &bytes.concat(), 10).await;
}

#[tokio::test]
async fn a_stale_plan_is_prepared_again_without_a_word() {
    make(&NARROW, "pipe_stale").await;
    let port = NARROW.router().port();
    let (mut reader, mut changer) = (log_in(port).await, log_in(port).await);
    let prepare = [parse("all", "SELECT * FROM pipe_stale WHERE k = $1", &[INT8]), sync()].concat();
    let ask = [bind("", "all", &["5"]), execute("", 0), sync()].concat();
    let until = Step::Until(b'Z', 1);
    play(&mut reader, &[Step::Send(prepare), until.clone()]).await;
    let before = play(&mut reader, &[Step::Send(ask.clone()), until.clone()]).await;
    assert!(before.iter().any(|line| line.contains("v5")), "{before:?}");
    changer.query("ALTER TABLE pipe_stale ADD COLUMN more int DEFAULT 77").await;
    let after = play(&mut reader, &[Step::Send(ask.clone()), until.clone()]).await;
    assert!(after.iter().any(|line| line.contains("77")), "{after:?}");
    let again = play(&mut reader, &[Step::Send(ask), until]).await;
    assert!(again.iter().any(|line| line.contains("77")), "{again:?}");
}

#[tokio::test]
async fn a_statement_about_what_was_rolled_back_is_not_met_again() {
    let mut raw = log_in(NARROW.router().port()).await;
    for _ in 0..3 {
        raw.query("BEGIN; CREATE TYPE pipe_mood AS ENUM ('good'); CREATE TABLE pipe_moods (m pipe_mood)").await;
        let bytes = [
            parse("mood", "INSERT INTO pipe_moods VALUES ($1)", &[]),
            bind("", "mood", &["good"]),
            execute("", 0),
            close(b'S', "mood"),
            sync(),
        ];
        let answered = play(&mut raw, &[Step::Send(bytes.concat()), Step::Until(b'Z', 1)]).await;
        assert!(answered.iter().any(|line| line.contains("INSERT 0 1")), "{answered:?}");
        raw.query("ROLLBACK").await;
    }
}

/// Two keys of a table that are on different shards of [`CLUSTER`], and the numbers of these shards.
async fn apart(name: &str) -> [(i64, usize); 2] {
    let mut found = Vec::new();
    for shard in 0..CLUSTER.shard_count() {
        let client = CLUSTER.shard_client(shard).await;
        let least: Option<i64> = client.query_one(&format!("SELECT min(k) FROM {name}"), &[]).await.unwrap().get(0);
        found.extend(least.map(|key| (key, shard)));
    }
    [found[0], found[1]]
}

#[tokio::test]
async fn a_pipelined_transaction_over_two_shards_is_whole_or_nothing() {
    make(&CLUSTER, "pipe_two").await;
    let [(one, one_at), (other, other_at)] = apart("pipe_two").await;
    let run = |sql: &str| [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat();
    let read = |key: i64| run(&format!("SELECT v FROM pipe_two WHERE k = {key}"));
    let update = |key: i64| format!("UPDATE pipe_two SET v = v || '+' WHERE k = {key}");
    let write = |key: i64| run(&update(key));
    let fail = || run("SELECT 1 / 0");
    let end = || [run("COMMIT"), sync()].concat();
    let begin = || run("BEGIN");
    // What is sent, how many ReadyForQuery that is, and whether it is kept.
    let scripts = [
        ("in one batch", [begin(), read(one), write(one), write(other), sync(), end()].concat(), 2, true),
        ("read on both", [begin(), read(other), read(one), write(one), write(other), sync(), end()].concat(), 2, true),
        (
            "a batch each",
            [begin(), sync(), read(one), sync(), write(other), sync(), write(one), sync(), end()].concat(),
            5,
            true,
        ),
        ("with its COMMIT", [begin(), read(one), write(one), write(other), end()].concat(), 1, true),
        (
            "with Flush",
            [begin(), read(one), flush(), write(one), flush(), write(other), sync(), end()].concat(),
            2,
            true,
        ),
        ("by a Query", [begin(), read(one), write(one), sync(), query(&update(other)), end()].concat(), 3, true),
        ("without block", [read(one), write(one), write(other), read(one), sync()].concat(), 1, true),
        (
            "without block, with Flush",
            [write(one), flush(), write(other), flush(), write(one), sync()].concat(),
            1,
            true,
        ),
        ("a block from there on", [write(one), write(other), begin(), write(one), sync(), end()].concat(), 2, true),
        ("an error in the block", [begin(), write(one), write(other), fail(), sync(), end()].concat(), 2, false),
        ("an error at the end", [write(one), write(other), fail(), sync()].concat(), 1, false),
        ("an error in the middle", [write(one), write(other), fail(), write(one), sync()].concat(), 1, false),
        ("a Query behind it", [write(one), write(other), query(&update(one))].concat(), 1, false),
    ];
    for (name, bytes, readies, kept) in scripts {
        let values = async || {
            let mut found = Vec::new();
            for (key, shard) in [(one, one_at), (other, other_at)] {
                let client = CLUSTER.shard_client(shard).await;
                let sql = format!("SELECT v FROM pipe_two WHERE k = {key}");
                found.push(client.query_one(&sql, &[]).await.unwrap().get::<_, String>(0));
            }
            found
        };
        let before = values().await;
        let mut raw = log_in(CLUSTER.router().port()).await;
        let answered = play(&mut raw, &[Step::Send(bytes), Step::Until(b'Z', readies)]).await;
        assert!(
            answered.last().is_some_and(|line| line.starts_with("Z") && line.contains('I')),
            "{name}: {answered:?}"
        );
        assert_eq!(answered.iter().any(|line| line.starts_with("E ERROR")), !kept, "{name}: {answered:?}");
        let after = values().await;
        let changed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
        assert_eq!(changed, [kept, kept], "{name}: {answered:?}");
    }
}

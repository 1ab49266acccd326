//! Code: statements around an EXECUTE, what DO and functions do to the schema, and errors while a client still sends.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use pgring_integration_tests::client::{Raw, describe};
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{bind, execute, parse};
use pgring_integration_tests::{Cluster, shards};
use tokio_postgres::{Client, SimpleQueryMessage};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(3)));

async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

async fn sqlstate(client: &Client, sql: &str) -> String {
    client.simple_query(sql).await.unwrap_err().code().unwrap().code().to_owned()
}

#[tokio::test]
async fn a_table_is_made_from_a_prepared_statement() {
    let client = CLUSTER.client().await;
    client
        .batch_execute("PREPARE numbers(int, text) AS SELECT n, $2 AS t, $1 AS a FROM generate_series(1, $1) n")
        .await
        .unwrap();
    client.batch_execute("PREPARE none AS SELECT 1 AS x").await.unwrap();
    client.batch_execute("PREPARE later(date) AS SELECT $1 + 1 AS d").await.unwrap();
    client.batch_execute("CREATE TABLE by_execute AS EXECUTE numbers(2, 'it''s')").await.unwrap();
    assert_eq!(rows(&client, "SELECT * FROM by_execute ORDER BY n").await, ["1|it's|2", "2|it's|2"]);
    client.batch_execute("CREATE TABLE IF NOT EXISTS by_execute AS EXECUTE none").await.unwrap();
    client.batch_execute("CREATE TABLE empty_execute (y) AS EXECUTE none WITH NO DATA;").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(y) FROM empty_execute").await, ["0"]);
    client.batch_execute("CREATE TABLE dates AS EXECUTE later('2024-02-28'::date + 1 - 1) WITH DATA").await.unwrap();
    assert_eq!(rows(&client, "SELECT d FROM dates").await, ["2024-02-29"]);
    for shard in 1..CLUSTER.shard_count() {
        let shard = CLUSTER.shard_client(shard).await;
        assert_eq!(rows(&shard, "SELECT count(*) FROM by_execute").await, ["0"]);
        assert_eq!(rows(&shard, "SELECT count(d) FROM dates").await, ["0"]);
    }
    client.batch_execute("BEGIN; CREATE TABLE undone AS EXECUTE none; ROLLBACK").await.unwrap();
    assert_eq!(sqlstate(&client, "SELECT * FROM undone").await, "42P01");
    assert_eq!(sqlstate(&client, "CREATE TABLE nothing AS EXECUTE unknown").await, "26000");
    assert_eq!(sqlstate(&client, "CREATE TABLE nothing AS EXECUTE numbers(1)").await, "42601");
    client.batch_execute("PREPARE writes AS INSERT INTO by_execute VALUES (9)").await.unwrap();
    assert_eq!(sqlstate(&client, "CREATE TABLE nothing AS EXECUTE writes").await, "42809");
    let made = client.execute("CREATE TABLE by_protocol AS EXECUTE numbers(3, 'x')", &[]).await.unwrap();
    assert_eq!(made, 3);
    assert_eq!(rows(&client, "SELECT count(*) FROM by_protocol").await, ["3"]);
}

#[tokio::test]
async fn a_temporary_table_is_made_from_a_prepared_statement() {
    let client = CLUSTER.client().await;
    client.batch_execute("PREPARE few(int) AS SELECT n FROM generate_series(1, $1) n").await.unwrap();
    client.batch_execute("CREATE TEMP TABLE few_rows AS EXECUTE few(3)").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM few_rows").await, ["3"]);
    client.batch_execute("CREATE TEMP TABLE no_rows AS EXECUTE few(3) WITH NO DATA").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM no_rows").await, ["0"]);
    let other = CLUSTER.client().await;
    assert_eq!(sqlstate(&other, "SELECT * FROM few_rows").await, "42P01");
}

#[tokio::test]
async fn what_a_prepared_statement_over_several_shards_would_make_is_refused() {
    CLUSTER.admin("SHARD TABLE spread BY (id)").await;
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE spread (id int)").await.unwrap();
    client.batch_execute("PREPARE all_of_it AS SELECT id FROM spread").await.unwrap();
    assert_eq!(sqlstate(&client, "CREATE TABLE copied AS EXECUTE all_of_it").await, "0A000");
    assert_eq!(sqlstate(&client, "CREATE TEMP TABLE copied AS EXECUTE all_of_it").await, "0A000");
}

#[tokio::test]
async fn what_code_does_to_the_schema_is_seen_by_the_next_statement() {
    CLUSTER.admin("SHARD TABLE wide BY (id)").await;
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE wide (id int)").await.unwrap();
    // A local relation beside a sharded one, in a transaction, must have known columns.
    let in_transaction = async |table: &str| {
        let sql = format!("SELECT count(*) FROM wide JOIN {table} ON {table}.id = wide.id");
        client.batch_execute("BEGIN").await.unwrap();
        let found = rows(&client, &sql).await;
        client.batch_execute("COMMIT").await.unwrap();
        assert_eq!(found, ["0"], "{table}");
    };
    for nth in 0..5 {
        let made = format!("made_by_do_{nth}");
        client.batch_execute(&format!("DO $$ BEGIN CREATE TABLE {made} (id int); END $$")).await.unwrap();
        in_transaction(&made).await;
    }
    client
        .batch_execute(
            "CREATE FUNCTION makes(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('CREATE TABLE %I \
             (id int)', name); END $$",
        )
        .await
        .unwrap();
    rows(&client, "SELECT makes('made_by_function')").await;
    in_transaction("made_by_function").await;
    client.query("SELECT makes($1)", &[&"made_by_protocol"]).await.unwrap();
    in_transaction("made_by_protocol").await;
    client.batch_execute("BEGIN").await.unwrap();
    rows(&client, "SELECT makes('made_in_transaction')").await;
    client.batch_execute("COMMIT").await.unwrap();
    in_transaction("made_in_transaction").await;
}

#[tokio::test]
async fn a_temporary_table_meets_sharded_ones_outside_a_transaction() {
    CLUSTER.admin("SHARD TABLE met BY (id)").await;
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE met (id int, at int)").await.unwrap();
    for id in 0..20 {
        client.batch_execute(&format!("INSERT INTO met VALUES ({id}, {id} % 3)")).await.unwrap();
    }
    client.batch_execute("CREATE TEMP TABLE mine AS SELECT n AS id FROM generate_series(3, 6) n").await.unwrap();
    let sql = "SELECT count(*), sum(at) FROM met JOIN mine USING (id)";
    assert_eq!(rows(&client, sql).await, ["4|3"]);
    let counted = client.query_one("SELECT count(*) FROM met WHERE id > $1 AND id IN (SELECT id FROM mine)", &[&4]);
    assert_eq!(counted.await.unwrap().get::<_, i64>(0), 2);
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(sqlstate(&client, sql).await, "0A000");
    client.batch_execute("ROLLBACK").await.unwrap();
    // An error leaves the session its table.
    assert_eq!(sqlstate(&client, "SELECT 1 / (at - at) FROM met JOIN mine USING (id)").await, "22012");
    assert_eq!(rows(&client, sql).await, ["4|3"]);
}

/// As PostgreSQL does, pgring tells of an error while the client goes on sending, which may then stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_told_while_the_client_still_sends() {
    let mut raw = Raw::log_in(CLUSTER.router().port(), "postgres", "postgres", DATABASE).await;
    raw.query("CREATE TABLE sent (a text PRIMARY KEY, b int)").await;
    let row = |text: String| [bind("", "one", &[&text]), execute("", 0)].concat();
    let mut first = parse("one", "INSERT INTO sent VALUES ($1, 1)", &[]);
    first.extend([row("same".into()), row("same".into())].concat());
    assert!(raw.send(&first).await);
    let mut told = None;
    for nth in 0..100_000 {
        assert!(raw.send(&row(format!("{nth} {}", "x".repeat(8192)))).await);
        while let Ok(Some(frame)) = raw.read_within(Duration::ZERO).await {
            told = frame.sqlstate().or(told);
        }
        if told.is_some() {
            break;
        }
    }
    assert_eq!(told.as_deref(), Some("23505"));
}

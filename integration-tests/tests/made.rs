//! Made: tables made from queries and objects made temporary by the search path are what PostgreSQL makes of them.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;

use pgring_integration_tests::client::describe;
use pgring_integration_tests::{Cluster, shards};
use tokio_postgres::{Client, SimpleQueryMessage};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(3)));

/// The rows as text, values joined by `|`.
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

/// Columns of a table: name, type, collation, persistence.
fn columns_of(table: &str) -> String {
    format!(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, c.relpersistence \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 ORDER BY a.attnum"
    )
}

/// The table has these rows on the default shard, none on the others, and the same columns everywhere.
async fn filled_on_one_shard(table: &str, expected: &[&str]) {
    let client = CLUSTER.client().await;
    assert_eq!(rows(&client, &format!("SELECT * FROM {table}")).await, expected, "{table}");
    let columns = rows(&CLUSTER.shard_client(0).await, &columns_of(table)).await;
    assert!(!columns.is_empty(), "{table}");
    for shard in 1..CLUSTER.shard_count() {
        let shard = CLUSTER.shard_client(shard).await;
        assert_eq!(rows(&shard, &columns_of(table)).await, columns, "{table}");
        assert_eq!(rows(&shard, &format!("SELECT * FROM {table}")).await, [""; 0], "{table}");
    }
}

#[tokio::test]
async fn a_table_may_be_made_from_a_temporary_one() {
    let client = CLUSTER.client().await;
    let source = "CREATE TEMP TABLE source AS SELECT 1::int2 AS a, 'x'::varchar(7) COLLATE \"C\" AS \"B c\", 1.5::numeric(6,2) AS d";
    client.batch_execute(source).await.unwrap();
    client.batch_execute("CREATE TABLE from_temp AS SELECT * FROM source").await.unwrap();
    client.batch_execute("SELECT * INTO into_temp FROM source").await.unwrap();
    client.batch_execute("CREATE UNLOGGED TABLE unlogged_temp AS TABLE source WITH NO DATA").await.unwrap();
    client.batch_execute("SELECT * INTO UNLOGGED TABLE \"Odd ' name\" FROM source").await.unwrap();
    filled_on_one_shard("from_temp", &["1|x|1.50"]).await;
    filled_on_one_shard("into_temp", &["1|x|1.50"]).await;
    filled_on_one_shard("unlogged_temp", &[]).await;
    assert_eq!(rows(&client, "SELECT * FROM \"Odd ' name\"").await, ["1|x|1.50"]);
}

#[tokio::test]
async fn a_query_that_makes_a_table_may_have_parameters() {
    let client = CLUSTER.client().await;
    let made = client.execute("CREATE TABLE from_values AS SELECT $1::int AS a, $2::text AS b", &[&5, &"x"]).await;
    assert_eq!(made.unwrap(), 1);
    let made =
        client.execute("SELECT $1::int AS a, generate_series(1, $2::int) AS b INTO into_values", &[&5, &2]).await;
    assert_eq!(made.unwrap(), 2);
    filled_on_one_shard("from_values", &["5|x"]).await;
    filled_on_one_shard("into_values", &["5|1", "5|2"]).await;
    // Unlike any other change of schema, it may be executed again when the table is gone.
    let again = client.prepare("SELECT $1::int AS a INTO again").await.unwrap();
    assert!(again.columns().is_empty());
    for value in [1, 2] {
        client.execute(&again, &[&value]).await.unwrap();
        filled_on_one_shard("again", &[&value.to_string()]).await;
        client.batch_execute("DROP TABLE again").await.unwrap();
    }
}

#[tokio::test]
async fn a_table_made_from_a_query_is_seen_by_all_or_rolled_back() {
    let (client, other) = (CLUSTER.client().await, CLUSTER.client().await);
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("SELECT 1 AS a INTO maybe").await.unwrap();
    assert_eq!(rows(&client, "SELECT a FROM maybe").await, ["1"]);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(client.simple_query("SELECT a FROM maybe").await.is_err());
    client
        .batch_execute("WITH w AS (SELECT 3 AS a) SELECT a INTO maybe FROM w UNION ALL SELECT 4 ORDER BY 1")
        .await
        .unwrap();
    // A view on it can be made everywhere.
    client.batch_execute("CREATE VIEW over_maybe AS SELECT a FROM maybe").await.unwrap();
    assert_eq!(rows(&other, "SELECT a FROM over_maybe").await, ["3", "4"]);
    filled_on_one_shard("maybe", &["3", "4"]).await;
    let twice = client.simple_query("SELECT 1 AS a INTO maybe").await.unwrap_err();
    assert_eq!(twice.code().unwrap().code(), "42P07");
    client.batch_execute("CREATE TABLE IF NOT EXISTS maybe AS SELECT 5 AS b").await.unwrap();
    filled_on_one_shard("maybe", &["3", "4"]).await;
}

#[tokio::test]
async fn a_table_that_is_to_be_sharded_is_not_made_from_a_query() {
    CLUSTER.admin("SHARD TABLE planned BY (id)").await;
    CLUSTER.admin("SHARD TABLE rows BY (id)").await;
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE rows (id int)").await.unwrap();
    for sql in [
        "SELECT 1 AS id INTO planned",
        "SELECT id INTO others FROM rows",
        "SELECT id INTO others FROM rows WHERE id = 1",
    ] {
        let refused = client.simple_query(sql).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "0A000", "{sql}");
    }
}

/// What a session makes in `pg_temp` by its search path; and how it is used.
const OWN: &[(&str, &str)] = &[
    ("CREATE TABLE own_table AS SELECT 7 AS a", "SELECT a FROM own_table"),
    ("CREATE TABLE own_table (a int DEFAULT 7)", "INSERT INTO own_table DEFAULT VALUES RETURNING a"),
    ("SELECT 7 AS a INTO own_table", "SELECT a FROM own_table"),
    ("CREATE VIEW own_view AS SELECT 7 AS a", "SELECT a FROM own_view"),
    ("CREATE SEQUENCE own_sequence START 7", "SELECT nextval('own_sequence')"),
    ("CREATE DOMAIN own_domain AS int CHECK (VALUE > 0)", "SELECT 7::own_domain"),
    ("CREATE TYPE own_type AS (a int)", "SELECT (ROW(7)::own_type).a"),
    ("DO $$ BEGIN CREATE TABLE own_table AS SELECT 7 AS a; END $$", "SELECT a FROM own_table"),
    ("DO $$ BEGIN CREATE DOMAIN own_domain AS int; END $$", "SELECT 7::own_domain"),
    ("CREATE FUNCTION own_function() RETURNS int LANGUAGE sql AS 'SELECT 7'", "SELECT pg_temp.own_function()"),
];

#[tokio::test]
async fn what_the_search_path_makes_temporary_stays_with_its_session() {
    for (make, usage) in OWN {
        let client = CLUSTER.client().await;
        client.batch_execute("SET search_path = pg_temp, public").await.unwrap();
        client.batch_execute(make).await.unwrap_or_else(|error| panic!("{make}: {}", describe(&error)));
        // Others use the backends in between.
        let mut others = Vec::new();
        for _ in 0..3 {
            let other = CLUSTER.client().await;
            other.batch_execute("SELECT 1").await.unwrap();
            let bare = usage.replace("pg_temp.", "");
            assert!(other.simple_query(&bare).await.is_err(), "{make}");
            others.push(other);
        }
        assert_eq!(rows(&client, usage).await, ["7"], "{make}");
    }
    let left = "SELECT relname FROM pg_class WHERE relname LIKE 'own\\_%' AND relpersistence <> 't'";
    for shard in 0..CLUSTER.shard_count() {
        assert_eq!(rows(&CLUSTER.shard_client(shard).await, left).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_session_with_temporary_objects_of_any_form_is_pinned() {
    for make in [
        "SELECT 7 AS a INTO LOCAL TEMPORARY TABLE unread",
        "WITH w AS (INSERT INTO noted VALUES (7) RETURNING a) SELECT a INTO TEMP unread FROM w",
        "SELECT 7 AS a INTO pg_temp.unread",
        "DO $$ BEGIN CREATE TEMP VIEW unread AS SELECT 7 AS a; END $$",
        "DO $$ BEGIN CREATE FUNCTION pg_temp.f() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 7'; END $$",
    ] {
        let client = CLUSTER.client().await;
        client.batch_execute("CREATE TABLE IF NOT EXISTS noted (a int)").await.unwrap();
        client.batch_execute(make).await.unwrap_or_else(|error| panic!("{make}: {}", describe(&error)));
        let usage = if make.contains("FUNCTION") { "SELECT a FROM pg_temp.f()" } else { "SELECT a FROM unread" };
        let other = CLUSTER.client().await;
        assert!(other.simple_query(usage).await.is_err(), "{make}");
        assert_eq!(rows(&client, usage).await, ["7"], "{make}");
    }
}

//! Schema: plans follow changes of the schema, made through the router, beside it and in the client's own transaction.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pgring_integration_tests::client::describe;
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::{Cluster, shards};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(4)));
static ONE: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(1)));

/// A change beside the router is noticed within five seconds, plus what a loaded machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// First column of each row.
async fn texts(client: &Client, sql: &str) -> Result<Vec<String>, String> {
    let messages = client.simple_query(sql).await.map_err(|error| describe(&error))?;
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

async fn one(client: &Client, sql: &str) -> String {
    texts(client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).concat()
}

/// The shards that a statement would go to.
async fn route(client: &Client, statement: &str) -> Result<String, String> {
    let messages = client.simple_query(&format!("EXPLAIN (ROUTE) {statement}")).await;
    let messages = messages.map_err(|error| describe(&error))?;
    let shards = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get("shards").unwrap_or_default().to_owned()),
        _ => None,
    });
    Ok(shards.unwrap_or_default())
}

async fn refused(client: &Client, sql: &str) -> bool {
    match client.simple_query(sql).await {
        Ok(_) => false,
        Err(error) => {
            let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
            assert_eq!(code, "0A000", "{sql}: {}", describe(&error));
            true
        }
    }
}

/// A sharded table of this name and body, made through the router.
async fn sharded(table: &str, key: &str, columns: &str) -> Client {
    CLUSTER.admin(&format!("SHARD TABLE {table} BY ({key})")).await;
    let client = CLUSTER.client().await;
    client.batch_execute(&format!("CREATE TABLE {table} ({columns})")).await.unwrap();
    client
}

#[tokio::test]
async fn a_table_made_anew_beside_the_router_is_noticed() {
    let client = sharded("beside", "id", "id int, other int").await;
    let home = one(&client, "SELECT pgring.shard_of('beside', '7')").await;
    assert_eq!(route(&client, "INSERT INTO beside VALUES (7, 1)").await.unwrap(), home);
    CLUSTER.on_every_shard("DROP TABLE beside; CREATE TABLE beside (other int, id int)").await;
    let noticed = || async {
        let shards = route(&client, "INSERT INTO beside VALUES (1, 7)").await.ok();
        shards.filter(|shards| *shards == home)
    };
    eventually("the new order of columns is known", PATIENCE, noticed).await;
    for id in 0..20 {
        client.batch_execute(&format!("INSERT INTO beside VALUES (1, {id})")).await.unwrap();
    }
    assert_eq!(one(&client, "SELECT count(*) FROM beside WHERE id = 7").await, "1");
}

#[tokio::test]
async fn views_and_functions_made_beside_the_router_are_noticed() {
    let client = sharded("seen", "id", "id int").await;
    CLUSTER.on_every_shard("CREATE VIEW looks AS SELECT 1 AS id").await;
    assert_eq!(one(&client, "SELECT id FROM looks").await, "1");
    CLUSTER.on_every_shard("CREATE OR REPLACE VIEW looks AS SELECT id FROM seen").await;
    let everywhere = route(&client, "SELECT id FROM seen").await.unwrap();
    let found = || async { route(&client, "SELECT id FROM looks").await };
    let noticed = || async { found().await.is_ok_and(|shards| shards == everywhere).then_some(()) };
    eventually("the view reads a sharded table", PATIENCE, noticed).await;
    let counts = "CREATE FUNCTION counts() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM seen'";
    CLUSTER.on_every_shard(counts).await;
    let noticed = || async { refused(&client, "SELECT counts()").await.then_some(()) };
    eventually("the function reads a sharded table", PATIENCE, noticed).await;
}

#[tokio::test]
async fn a_change_through_the_router_holds_for_every_client_at_once() {
    let client = sharded("turned", "id", "id int, other int").await;
    let (other, prepared) = (CLUSTER.client().await, CLUSTER.client().await);
    let insert = prepared.prepare("INSERT INTO turned VALUES ($1, $2)").await.unwrap();
    prepared.execute(&insert, &[&1, &2]).await.unwrap();
    for nth in 0..6 {
        let columns = if nth % 2 == 0 { "other int, id int" } else { "id int, other int" };
        client.batch_execute("DROP TABLE turned").await.unwrap();
        CLUSTER.admin("SHARD TABLE turned BY (id)").await;
        client.batch_execute(&format!("CREATE TABLE turned ({columns})")).await.unwrap();
        for (a, b) in [(3, 4), (4, 3), (5, 9), (9, 5)] {
            other.batch_execute(&format!("INSERT INTO turned VALUES ({a}, {b})")).await.unwrap();
            prepared.execute(&insert, &[&(a + 10), &(b + 10)]).await.unwrap();
        }
        for id in [3, 4, 5, 9, 13, 14, 15, 19] {
            let found = one(&client, &format!("SELECT count(*) FROM turned WHERE id = {id}")).await;
            assert_eq!(found, "1", "turn {nth}, id {id}");
        }
    }
}

#[tokio::test]
async fn renamed_columns_views_and_defaults_are_planned_as_they_are() {
    let client = sharded("basis", "id", "id int, v int").await;
    let other = CLUSTER.client().await;
    client.batch_execute("CREATE VIEW above AS SELECT 1 AS x").await.unwrap();
    assert_eq!(one(&other, "SELECT x FROM above").await, "1");
    client.batch_execute("DROP VIEW above").await.unwrap();
    client.batch_execute("CREATE VIEW above AS SELECT v AS x FROM basis").await.unwrap();
    let everywhere = route(&other, "SELECT v FROM basis").await.unwrap();
    assert_eq!(route(&other, "SELECT x FROM above").await.unwrap(), everywhere);
    client.batch_execute("ALTER VIEW above RENAME TO beyond").await.unwrap();
    assert_eq!(route(&other, "SELECT x FROM beyond").await.unwrap(), everywhere);
    client.batch_execute("CREATE VIEW above AS SELECT 2 AS x").await.unwrap();
    assert_eq!(one(&other, "SELECT x FROM above").await, "2");
    client.batch_execute("CREATE TABLE aside (a int DEFAULT 1)").await.unwrap();
    CLUSTER.admin("REFERENCE TABLE aside").await;
    other.batch_execute("INSERT INTO basis (id) VALUES (1); INSERT INTO basis (id) VALUES (1)").await.unwrap();
    client.batch_execute("ALTER TABLE basis RENAME v TO w").await.unwrap();
    assert_eq!(one(&other, "SELECT count(*) FROM basis WHERE w IS NULL").await, "2");
}

#[tokio::test]
async fn enums_and_composites_that_change_are_used_at_once() {
    let client = CLUSTER.client().await;
    let other = CLUSTER.client().await;
    client.batch_execute("CREATE TYPE mood AS ENUM ('good'); CREATE TABLE moods (m mood)").await.unwrap();
    let insert = other.prepare("INSERT INTO moods SELECT $1::text::mood").await.unwrap();
    other.execute(&insert, &[&"good"]).await.unwrap();
    client.batch_execute("ALTER TYPE mood ADD VALUE 'bad'").await.unwrap();
    other.execute(&insert, &[&"bad"]).await.unwrap();
    client.batch_execute("DROP TABLE moods").await.unwrap();
    client.batch_execute("DROP TYPE mood").await.unwrap();
    client.batch_execute("CREATE TYPE mood AS ENUM ('other')").await.unwrap();
    client.batch_execute("CREATE TABLE moods (m mood)").await.unwrap();
    let insert = other.prepare("INSERT INTO moods SELECT $1::text::mood").await.unwrap();
    other.execute(&insert, &[&"other"]).await.unwrap();
    client.batch_execute("CREATE TYPE couple AS (a int)").await.unwrap();
    assert_eq!(one(&other, "SELECT (ROW(1)::couple)").await, "(1)");
    client.batch_execute("ALTER TYPE couple ADD ATTRIBUTE b text").await.unwrap();
    assert_eq!(one(&other, "SELECT (ROW(1, 'x')::couple)").await, "(1,x)");
}

#[tokio::test]
async fn a_transaction_writes_to_the_tables_that_it_made() {
    let client = ONE.client().await;
    ONE.admin("SHARD TABLE fresh BY (id)").await;
    ONE.admin("SHARD TABLE anchor BY (id)").await;
    client.batch_execute("CREATE TABLE anchor (id int)").await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("CREATE TABLE fresh (v text, id int)").await.unwrap();
    client.batch_execute("CREATE TABLE plain (a int)").await.unwrap();
    client.batch_execute("INSERT INTO fresh VALUES ('a', 1)").await.unwrap();
    client.batch_execute("INSERT INTO plain VALUES (1)").await.unwrap();
    client.batch_execute("ALTER TABLE fresh ADD w int DEFAULT 5").await.unwrap();
    client.execute("INSERT INTO fresh VALUES ($1, $2, 6)", &[&"b", &2]).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(texts(&client, "SELECT w FROM fresh ORDER BY w").await.unwrap(), ["5", "6"]);
}

#[tokio::test]
async fn a_transaction_over_four_shards_writes_to_the_table_that_it_made() {
    CLUSTER.admin("SHARD TABLE young BY (id)").await;
    let client = CLUSTER.client().await;
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("CREATE TABLE young (v text, id int)").await.unwrap();
    client.batch_execute("SAVEPOINT s").await.unwrap();
    client.batch_execute("INSERT INTO young VALUES ('a', 7)").await.unwrap();
    client.batch_execute("ALTER TABLE young DROP COLUMN v").await.unwrap();
    client.batch_execute("INSERT INTO young VALUES (7)").await.unwrap();
    // What the savepoint takes back is planned as it was before.
    client.batch_execute("ROLLBACK TO s").await.unwrap();
    client.execute("INSERT INTO young VALUES ($1, $2)", &[&"b", &7]).await.unwrap();
    let outside = CLUSTER.client().await;
    assert!(outside.simple_query("SELECT * FROM young WHERE id = 7").await.is_err(), "nobody else sees it");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(texts(&outside, "SELECT v FROM young WHERE id = 7").await.unwrap(), ["b"]);
}

#[tokio::test]
async fn a_rolled_back_change_leaves_no_trace() {
    let client = sharded("stays", "id", "id int, v int").await;
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("ALTER TABLE stays RENAME v TO w").await.unwrap();
    client.batch_execute("INSERT INTO stays (id, w) VALUES (1, 1)").await.unwrap();
    client.batch_execute("CREATE FUNCTION passing() RETURNS int LANGUAGE sql AS 'SELECT 1'").await.unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    client.batch_execute("INSERT INTO stays (id, v) VALUES (1, 2)").await.unwrap();
    assert_eq!(one(&client, "SELECT v FROM stays WHERE id = 1").await, "2");
}

#[tokio::test]
async fn partitions_of_a_sharded_table_are_sharded() {
    CLUSTER.admin("SHARD TABLE parted BY (id)").await;
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE parted (id int, y int) PARTITION BY LIST (y)").await.unwrap();
    let other = CLUSTER.client().await;
    let home = one(&client, "SELECT pgring.shard_of('parted', '7')").await;
    for y in 1..4 {
        client
            .batch_execute(&format!("CREATE TABLE parted_{y} PARTITION OF parted FOR VALUES IN ({y})"))
            .await
            .unwrap();
        let statement = format!("SELECT * FROM parted_{y} WHERE id = 7");
        assert_eq!(route(&other, &statement).await.unwrap(), home, "{statement}");
    }
    client.batch_execute("ALTER TABLE parted_1 RENAME TO first_part").await.unwrap();
    assert_eq!(route(&other, "SELECT * FROM first_part WHERE id = 7").await.unwrap(), home);
}

#[tokio::test]
async fn changes_of_many_clients_at_once_are_all_seen() {
    let mut changes = JoinSet::new();
    for nth in 0..5 {
        changes.spawn(async move {
            let client = CLUSTER.client().await;
            let table = format!("many_{nth}");
            for (columns, values) in [("id int, v int", "(7, 1)"), ("v int, id int", "(1, 7)")].repeat(2) {
                CLUSTER.admin(&format!("SHARD TABLE {table} BY (id)")).await;
                client.batch_execute(&format!("CREATE TABLE {table} ({columns})")).await.unwrap();
                client.batch_execute(&format!("INSERT INTO {table} VALUES {values}")).await.unwrap();
                assert_eq!(one(&client, &format!("SELECT v FROM {table} WHERE id = 7")).await, "1");
                client.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
            }
        });
    }
    let all = timeout(Duration::from_secs(120), changes.join_all()).await;
    assert_eq!(all.map(|all| all.len()), Ok(5));
}

/// How long a change of schema takes with many relations; to be read, not judged.
#[tokio::test]
async fn a_change_costs_little_with_many_relations() {
    let cluster = Cluster::start(shards(1)).await;
    let (through, direct) = (cluster.client().await, cluster.shard_client(0).await);
    let table = |nth: usize| format!("CREATE TABLE t{nth} (id bigserial PRIMARY KEY, a int DEFAULT 1, b text UNIQUE);");
    direct.batch_execute(&(0..180).map(table).collect::<String>()).await.unwrap();
    through.batch_execute("CREATE TABLE first (a int)").await.unwrap();
    for (name, client) in [("directly", &direct), ("through pgring", &through)] {
        let began = Instant::now();
        for _ in 0..10 {
            client.batch_execute("CREATE TABLE passing (a int)").await.unwrap();
            client.batch_execute("DROP TABLE passing").await.unwrap();
        }
        println!("CREATE TABLE and DROP TABLE among 720 relations, {name}: {:?}", began.elapsed() / 10);
    }
    // What was made beside the router counts as soon as the router's own change has been read.
    assert_eq!(cluster.admin("SHOW TABLES").await.len(), 181);
}

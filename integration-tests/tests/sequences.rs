//! Sequences: what serial and identity columns of sharded tables get is unique over all shards and routers, and what
//! `nextval`, `currval`, `lastval` and `setval` say of it is what one PostgreSQL says.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use pgring_integration_tests::client::{self, describe};
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, Router, faults, shards};
use tokio_postgres::{Client, SimpleQueryMessage};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(4)));

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

async fn refused(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.err().unwrap_or_else(|| panic!("{sql} was not refused"));
    error.code().map_or_else(|| describe(&error), |code| code.code().to_owned())
}

/// Makes a table that is sharded by `key`.
async fn sharded(client: &Client, name: &str, key: &str, columns: &str) {
    CLUSTER.admin(&format!("SHARD TABLE {name} BY ({key}) ALLOW LOCAL UNIQUE")).await;
    let sql = format!("CREATE TABLE {name} ({columns})");
    client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
}

async fn through(router: &Router) -> Client {
    let port = router.port();
    client::connect(&format!("host=127.0.0.1 port={port} dbname={DATABASE} user=postgres password=postgres")).await
}

/// On how many shards the table has rows.
async fn spread(table: &str) -> usize {
    let mut with_rows = 0;
    for shard in 0..CLUSTER.shard_count() {
        let found = rows(&CLUSTER.shard_client(shard).await, &format!("SELECT count(*) > 0 FROM {table}")).await;
        with_rows += usize::from(found == ["t"]);
    }
    with_rows
}

#[tokio::test]
async fn a_serial_beside_the_key_counts_as_in_one_postgresql() {
    let client = CLUSTER.client().await;
    sharded(&client, "notes", "tenant", "id bigserial PRIMARY KEY, tenant int NOT NULL, body text").await;
    let mut ids = Vec::new();
    for tenant in 0..12 {
        let sql = format!("INSERT INTO notes (tenant, body) VALUES ({tenant}, 'x') RETURNING id");
        ids.extend(rows(&client, &sql).await);
        assert_eq!(rows(&client, "SELECT currval('notes_id_seq')").await, [ids.last().unwrap().as_str()]);
        assert_eq!(rows(&client, "SELECT lastval() AS v").await, [ids.last().unwrap().as_str()]);
    }
    let counted: Vec<String> = (1..=12).map(|n| n.to_string()).collect();
    assert_eq!(ids, counted);
    assert!(spread("notes").await > 1);
    // Several rows for one shard, DEFAULT, no list of columns, a CTE.
    let sql = "INSERT INTO notes VALUES (DEFAULT, 3, 'a'), (DEFAULT, 3, 'b') RETURNING id";
    assert_eq!(rows(&client, sql).await, ["13", "14"]);
    let sql = "WITH w AS (SELECT 1) INSERT INTO public.notes AS n (body, tenant) VALUES ('it''s', 3) \
               ON CONFLICT DO NOTHING RETURNING id, n.body";
    assert_eq!(rows(&client, sql).await, ["15|it's"]);
    assert_eq!(rows(&client, "SELECT nextval('notes_id_seq')").await, ["16"]);
    assert_eq!(rows(&client, "SELECT currval(pg_get_serial_sequence('notes', 'id')), lastval()").await, ["16|16"]);
    let sql = "INSERT INTO notes (id, tenant) VALUES (nextval('public.notes_id_seq'), 4) RETURNING id";
    assert_eq!(rows(&client, sql).await, ["17"]);
    let sql =
        "INSERT INTO notes (id, tenant, body) VALUES (100, 4, 'after ' || currval('notes_id_seq')) RETURNING body";
    assert_eq!(rows(&client, sql).await, ["after 17"]);
    // What was drawn ahead counts.
    let last: i64 = rows(&client, "SELECT last_value FROM notes_id_seq").await[0].parse().unwrap();
    assert!((17..100).contains(&last), "{last}");
    // Another session was given nothing.
    let other = CLUSTER.client().await;
    assert_eq!(refused(&other, "SELECT currval('notes_id_seq')").await, "55000");
    assert_eq!(refused(&other, "SELECT lastval()").await, "55000");
}

#[tokio::test]
async fn the_name_of_a_column_is_that_of_the_function() {
    let client = CLUSTER.client().await;
    sharded(&client, "named", "id", "id serial PRIMARY KEY, x text").await;
    client.batch_execute("INSERT INTO named (x) VALUES ('a')").await.unwrap();
    let names = |sql: &'static str| {
        let client = &client;
        async move {
            let row = client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
            row.columns().iter().map(|column| format!("{} {}", column.name(), column.type_())).collect::<Vec<_>>()
        }
    };
    assert_eq!(names("SELECT currval('named_id_seq')").await, ["currval int8"]);
    assert_eq!(
        names("SELECT nextval('named_id_seq'::regclass)::int, lastval()").await,
        ["nextval int4", "lastval int8"]
    );
    assert_eq!(names("SELECT nextval('named_id_seq') + 1 AS n").await, ["n int8"]);
}

#[tokio::test]
async fn a_key_may_be_made_by_the_sequence() {
    let client = CLUSTER.client().await;
    sharded(&client, "things", "id", "id bigserial PRIMARY KEY, x text").await;
    for n in 1..=20 {
        assert_eq!(rows(&client, "INSERT INTO things (x) VALUES ('a') RETURNING id").await, [n.to_string()]);
    }
    assert_eq!(spread("things").await, CLUSTER.shard_count());
    assert_eq!(rows(&client, "SELECT x FROM things WHERE id = 7").await, ["a"]);
    // With parameters, prepared once and executed often.
    let insert = client.prepare("INSERT INTO things (x) VALUES ($1) RETURNING id, x").await.unwrap();
    for n in 21..=40_i64 {
        let text = format!("t{n}");
        let row = client.query_one(&insert, &[&text]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, String>(1)), (n, text));
    }
    assert_eq!(rows(&client, "INSERT INTO things DEFAULT VALUES RETURNING id, x").await, ["41|NULL"]);
    assert_eq!(rows(&client, "SELECT count(*), count(DISTINCT id), max(id) FROM things").await, ["41|41|41"]);
}

#[tokio::test]
async fn identity_columns_take_no_value_of_the_client_where_they_are_generated_always() {
    let client = CLUSTER.client().await;
    sharded(&client, "always", "id", "id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text").await;
    assert_eq!(rows(&client, "INSERT INTO always (x) VALUES ('a') RETURNING id").await, ["1"]);
    assert_eq!(rows(&client, "INSERT INTO always VALUES (DEFAULT, 'b') RETURNING id").await, ["2"]);
    assert_eq!(refused(&client, "INSERT INTO always (id, x) VALUES (7, 'c')").await, "428C9");
    let sql = "INSERT INTO always (id, x) OVERRIDING SYSTEM VALUE VALUES (7, 'c') RETURNING id";
    assert_eq!(rows(&client, sql).await, ["7"]);
    sharded(
        &client,
        "by_default",
        "tenant",
        "tenant int, id smallint GENERATED BY DEFAULT AS IDENTITY (START 10 INCREMENT 5), PRIMARY KEY (tenant, id)",
    )
    .await;
    for (tenant, id) in [(1, 10), (2, 15), (3, 20)] {
        let sql = format!("INSERT INTO by_default VALUES ({tenant}) RETURNING id");
        assert_eq!(rows(&client, &sql).await, [id.to_string()]);
    }
    assert_eq!(rows(&client, "INSERT INTO by_default VALUES (1, 3) RETURNING id").await, ["3"]);
}

#[tokio::test]
async fn limits_cycles_and_descending_sequences_are_postgresqls() {
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE SEQUENCE down INCREMENT -2 MINVALUE -5 MAXVALUE 1 START 1").await.unwrap();
    client.batch_execute("CREATE SEQUENCE round MINVALUE 1 MAXVALUE 3 CYCLE").await.unwrap();
    sharded(
        &client,
        "odd",
        "tenant",
        "tenant int, d bigint DEFAULT nextval('down'), r bigint DEFAULT nextval('round'), u uuid DEFAULT gen_random_uuid()",
    )
    .await;
    let mut seen = Vec::new();
    for tenant in 0..4 {
        seen.extend(rows(&client, &format!("INSERT INTO odd (tenant) VALUES ({tenant}) RETURNING d, r")).await);
    }
    assert_eq!(seen, ["1|1", "-1|2", "-3|3", "-5|1"]);
    assert_eq!(refused(&client, "INSERT INTO odd (tenant) VALUES (9)").await, "2200H");
    assert_eq!(rows(&client, "SELECT count(DISTINCT u) FROM odd").await, ["4"]);
}

#[tokio::test]
async fn a_random_key_leads_to_its_shard() {
    let client = CLUSTER.client().await;
    sharded(&client, "tokens", "id", "id uuid PRIMARY KEY DEFAULT gen_random_uuid(), x int").await;
    let mut made = HashSet::new();
    for x in 0..20 {
        made.extend(rows(&client, &format!("INSERT INTO tokens (x) VALUES ({x}) RETURNING id")).await);
        let sql = format!("INSERT INTO tokens VALUES (gen_random_uuid(), {x}) RETURNING id");
        made.extend(rows(&client, &sql).await);
    }
    assert_eq!(made.len(), 40);
    for id in &made {
        assert_eq!(rows(&client, &format!("SELECT count(*) FROM tokens WHERE id = '{id}'")).await, ["1"]);
    }
    assert!(spread("tokens").await > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_of_two_routers_get_each_value_once() {
    let client = CLUSTER.client().await;
    sharded(&client, "busy", "tenant", "id bigserial, tenant int, PRIMARY KEY (tenant, id)").await;
    let mut other = CLUSTER.another_router().await;
    let mut clients = Vec::new();
    for n in 0..8 {
        clients.push(if n % 2 == 0 { CLUSTER.client().await } else { through(&other).await });
    }
    let insert = |client: Client, n: usize| async move {
        let statement = client.prepare("INSERT INTO busy (tenant) VALUES ($1) RETURNING id").await.unwrap();
        let mut ids = Vec::new();
        for row in 0..250 {
            let tenant = (n * 1000 + row) as i32;
            ids.push(client.query_one(&statement, &[&tenant]).await.unwrap().get::<_, i64>(0));
        }
        ids
    };
    let tasks: Vec<_> = clients.into_iter().enumerate().map(|(n, client)| tokio::spawn(insert(client, n))).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(faults::within(Duration::from_secs(60), task).await.unwrap());
    }
    let distinct: HashSet<i64> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (2000, 2000));
    // A router that starts again goes on behind what any has drawn.
    let most = all.iter().max().copied().unwrap();
    tokio::task::block_in_place(|| {
        other.kill();
        other.restart();
    });
    let again = through(&other).await;
    let next: i64 = rows(&again, "INSERT INTO busy (tenant) VALUES (1) RETURNING id").await[0].parse().unwrap();
    assert!(!distinct.contains(&next) && next > 2000, "{next} of {most}");
    assert_eq!(rows(&client, "SELECT count(*), count(DISTINCT id) FROM busy").await, ["2001|2001"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_drawn_before_setval_or_a_restart_is_void() {
    let client = CLUSTER.client().await;
    sharded(&client, "moved", "tenant", "id bigserial, tenant int").await;
    let other = CLUSTER.another_router().await;
    let there = through(&other).await;
    let insert = async |client: &Client| {
        let id = rows(client, "INSERT INTO moved (tenant) VALUES (1) RETURNING id").await;
        id[0].parse::<i64>().unwrap()
    };
    // Enough in quick succession that both draw ahead.
    for _ in 0..60 {
        insert(&client).await;
        insert(&there).await;
    }
    assert_eq!(rows(&client, "SELECT setval('moved_id_seq', 5000)").await, ["5000"]);
    assert_eq!(insert(&client).await, 5001);
    faults::eventually("the other router goes on behind it", Duration::from_secs(5), || async {
        (insert(&there).await > 5000).then_some(())
    })
    .await;
    client.batch_execute("ALTER SEQUENCE moved_id_seq RESTART WITH 9000").await.unwrap();
    assert_eq!(insert(&client).await, 9000);
    client.batch_execute("BEGIN; ALTER SEQUENCE moved_id_seq RESTART WITH 20000").await.unwrap();
    assert_eq!(insert(&client).await, 20000);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(insert(&client).await, 9001);
}

#[tokio::test]
async fn a_table_that_a_transaction_makes_is_filled_within_it() {
    let client = CLUSTER.client().await;
    CLUSTER.admin("SHARD TABLE fresh BY (id)").await;
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("CREATE TABLE fresh (id serial PRIMARY KEY, x text)").await.unwrap();
    assert_eq!(rows(&client, "INSERT INTO fresh (x) VALUES ('a') RETURNING id").await, ["1"]);
    let row = client.query_one("SELECT currval('fresh_id_seq')", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(rows(&client, "INSERT INTO fresh (x) VALUES ('b') RETURNING id").await, ["2"]);
}

#[tokio::test]
async fn a_sequence_of_local_tables_is_the_default_shards_alone() {
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE plain (id serial PRIMARY KEY, x text)").await.unwrap();
    sharded(&client, "beside", "tenant", "id serial, tenant int").await;
    for n in 1..=3 {
        assert_eq!(rows(&client, "INSERT INTO plain (x) VALUES ('a') RETURNING id").await, [n.to_string()]);
    }
    assert_eq!(rows(&client, "INSERT INTO beside (tenant) VALUES (5), (5) RETURNING id").await, ["1", "2"]);
    assert_eq!(rows(&client, "SELECT lastval(), currval('beside_id_seq')").await, ["2|2"]);
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(rows(&client, "INSERT INTO plain (x) VALUES ('b') RETURNING id").await, ["4"]);
    assert_eq!(rows(&client, "SELECT lastval(), currval('plain_id_seq')").await, ["4|4"]);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(rows(&client, "SELECT currval('beside_id_seq')").await, ["2"]);
}

#[tokio::test]
async fn an_error_tells_its_place_in_the_clients_text() {
    let client = CLUSTER.client().await;
    sharded(&client, "placed", "tenant", "id serial, tenant int, x int").await;
    let sql = "INSERT INTO placed (tenant, x) VALUES (1, 'no')";
    let error = client.simple_query(sql).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "22P02");
    let place = sql.find("'no'").unwrap() as u32 + 1;
    assert_eq!(error.position(), Some(&tokio_postgres::error::ErrorPosition::Original(place)));
}

#[tokio::test]
async fn snowflake_ids_are_unique_and_in_the_order_of_time() {
    let client = CLUSTER.client().await;
    sharded(&client, "flakes", "id", "id bigint PRIMARY KEY DEFAULT pgring.snowflake_id(), x int").await;
    sharded(&client, "with_flakes", "tenant", "tenant int, id bigint DEFAULT pgring.snowflake_id()").await;
    let first: i64 = rows(&client, "SELECT pgring.snowflake_id()").await[0].parse().unwrap();
    let mut ids = Vec::new();
    for x in 0..20 {
        ids.extend(rows(&client, &format!("INSERT INTO flakes (x) VALUES ({x}) RETURNING id")).await);
    }
    let numbers: Vec<i64> = ids.iter().map(|id| id.parse().unwrap()).collect();
    assert!(numbers.iter().all(|id| *id > first), "{numbers:?}");
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 20);
    assert_eq!(rows(&client, &format!("SELECT x FROM flakes WHERE id = {}", ids[7])).await, ["7"]);
    assert!(spread("flakes").await > 1);
    for tenant in 0..20 {
        client.batch_execute(&format!("INSERT INTO with_flakes VALUES ({tenant})")).await.unwrap();
    }
    assert_eq!(rows(&client, "SELECT count(DISTINCT id) FROM with_flakes").await, ["20"]);
    let nodes = rows(&client, "SELECT count(DISTINCT (id >> 12) & 1023) > 1 FROM with_flakes").await;
    assert_eq!(nodes, ["t"], "each shard has its own number");
}

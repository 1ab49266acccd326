//! Reference tables: a write answers as one PostgreSQL does, and is on every shard.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use pgring_integration_tests::client::describe;
use pgring_integration_tests::oracle::{Protocol, World, compare};
use pgring_integration_tests::{Cluster, Postgres, shards};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Rows as text, sorted.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// Panics if a table is not the same on every shard; its rows.
async fn alike(cluster: &Cluster, table: &str) -> Vec<String> {
    let sql = format!("SELECT t::text FROM {table} t ORDER BY t::text COLLATE \"C\"");
    let first = rows(&cluster.shard_client(0).await, &sql).await;
    for shard in 1..cluster.shard_count() {
        assert_eq!(first, rows(&cluster.shard_client(shard).await, &sql).await, "{table} on s{shard}");
    }
    first
}

const TABLES: &[&str] = &["country", "plan", "feature", "noted", "region", "keyless", "tree"];

async fn writes_agree(protocol: Protocol) {
    let (oracle, one, four) = tokio::join!(Postgres::start(), Cluster::start(shards(1)), Cluster::start(shards(4)));
    let found = compare(&World::read("reference"), protocol, &oracle, &[&one, &four]).await;
    for table in TABLES {
        alike(&four, table).await;
    }
    found.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_answer_as_in_one_postgresql_in_the_simple_protocol() {
    writes_agree(Protocol::Simple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_answer_as_in_one_postgresql_in_the_extended_protocol_with_text_results() {
    writes_agree(Protocol::ExtendedText).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_answer_as_in_one_postgresql_in_the_extended_protocol_with_binary_results() {
    writes_agree(Protocol::ExtendedBinary).await;
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(3)));

/// A reference table of this name and body, made through the router.
async fn reference(table: &str, columns: &str) -> Client {
    CLUSTER.admin(&format!("REFERENCE TABLE {table}")).await;
    let client = CLUSTER.client().await;
    client.batch_execute(&format!("CREATE TABLE {table} ({columns})")).await.unwrap();
    client
}

async fn refused(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.expect_err(sql);
    let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
    assert_eq!(code, "0A000", "{sql}: {}", describe(&error));
    error.as_db_error().and_then(|error| error.detail()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn after_each_statement_every_shard_has_the_same_rows() {
    let columns = "id bigserial PRIMARY KEY, token uuid NOT NULL DEFAULT gen_random_uuid(), \
        made timestamptz NOT NULL DEFAULT clock_timestamp(), luck float8 DEFAULT random(), n int UNIQUE";
    let client = reference("drawn", columns).await;
    client
        .batch_execute("SET extra_float_digits = 0; SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kathmandu'")
        .await
        .unwrap();
    let statements = [
        "INSERT INTO drawn (n) SELECT generate_series(1, 2000)",
        "INSERT INTO drawn (n) VALUES (0) RETURNING id",
        "UPDATE drawn SET token = DEFAULT, luck = random() WHERE n % 3 = 0",
        "UPDATE drawn SET n = n + 10000 WHERE n % 7 = 1",
        "INSERT INTO drawn (n) SELECT n FROM generate_series(1, 50) n ON CONFLICT (n) DO UPDATE SET made = excluded.made",
        "INSERT INTO drawn (n) VALUES (1), (2) ON CONFLICT DO NOTHING",
        "DELETE FROM drawn WHERE luck < 0.2 RETURNING n",
        "UPDATE drawn SET id = nextval('drawn_id_seq') WHERE n < 100",
        "WITH a AS (DELETE FROM drawn WHERE n < 20 RETURNING *) INSERT INTO drawn (n) SELECT -n FROM a",
        "UPDATE drawn SET luck = luck / 3",
        "DELETE FROM drawn WHERE id IN (SELECT id FROM drawn ORDER BY random() LIMIT 100)",
        "DELETE FROM drawn",
    ];
    for statement in statements {
        client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {}", describe(&error)));
        let rows = alike(&CLUSTER, "drawn").await;
        assert_eq!(rows.is_empty(), statement == "DELETE FROM drawn", "{statement}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_leaves_nothing_on_any_shard() {
    let client = reference("undone", "id int PRIMARY KEY, n int").await;
    client.batch_execute("INSERT INTO undone VALUES (1, 1)").await.unwrap();
    client.batch_execute("BEGIN; UPDATE undone SET n = 2; INSERT INTO undone VALUES (2, 2); ROLLBACK").await.unwrap();
    assert_eq!(alike(&CLUSTER, "undone").await, ["(1,1)"]);
    // It is there on one copy only, past the router: the statement fails there, and is undone on the first.
    CLUSTER.shard_client(2).await.batch_execute("INSERT INTO undone VALUES (3, 0)").await.unwrap();
    let error = client.batch_execute("INSERT INTO undone VALUES (3, 3)").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505", "{}", describe(&error));
    CLUSTER.shard_client(2).await.batch_execute("DELETE FROM undone WHERE id = 3").await.unwrap();
    assert_eq!(alike(&CLUSTER, "undone").await, ["(1,1)"]);
    client.batch_execute("BEGIN; SAVEPOINT a; INSERT INTO undone VALUES (4, 4); ROLLBACK TO a; COMMIT").await.unwrap();
    assert_eq!(alike(&CLUSTER, "undone").await, ["(1,1)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_once_neither_deadlock_nor_leave_copies_that_differ() {
    let client = reference("contended", "id int PRIMARY KEY, n int NOT NULL DEFAULT 0, by text").await;
    client.batch_execute("INSERT INTO contended SELECT generate_series(1, 6)").await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..6 {
        let client = CLUSTER.client().await;
        writers.spawn(async move {
            for turn in 0..20 {
                let id = (writer * 7 + turn * 5) % 6 + 1;
                let sql = match turn % 5 {
                    0 => format!("UPDATE contended SET n = n + 1, by = 'w{writer}' WHERE id = {id}"),
                    1 => format!("INSERT INTO contended VALUES ({id}, 1, 'i{writer}') ON CONFLICT (id) DO UPDATE SET n = contended.n + 1"),
                    2 => format!("DELETE FROM contended WHERE id = {id} AND by LIKE 'i%'"),
                    3 => format!("INSERT INTO contended VALUES ({}, 1, 'n{writer}')", 100 + writer * 100 + turn),
                    _ => format!("DELETE FROM contended WHERE id = {}", 100 + ((writer + 1) % 6) * 100 + turn - 1),
                };
                let done = timeout(Duration::from_secs(60), client.batch_execute(&sql)).await.expect("no deadlock");
                done.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert!(!alike(&CLUSTER, "contended").await.is_empty());
}

#[tokio::test]
async fn triggers_run_once_and_need_a_role_that_can_keep_them_quiet() {
    let client = reference("watched", "id int PRIMARY KEY, n int").await;
    let function =
        "CREATE FUNCTION doubles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := NEW.n * 2; RETURN NEW; END $$";
    client.batch_execute(function).await.unwrap();
    client
        .batch_execute("CREATE TRIGGER d BEFORE INSERT OR UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION doubles()")
        .await
        .unwrap();
    client.batch_execute("INSERT INTO watched VALUES (1, 1); UPDATE watched SET n = n + 1").await.unwrap();
    assert_eq!(alike(&CLUSTER, "watched").await, ["(1,6)"]);
    client.batch_execute("CREATE ROLE plain; GRANT ALL ON watched TO plain").await.unwrap();
    client.batch_execute("SET ROLE plain").await.unwrap();
    let detail = refused(&client, "INSERT INTO watched VALUES (2, 1)").await;
    assert!(detail.contains("triggers"), "{detail}");
    client.batch_execute("RESET ROLE").await.unwrap();
    assert_eq!(alike(&CLUSTER, "watched").await, ["(1,6)"]);
    client.batch_execute("BEGIN; INSERT INTO watched VALUES (3, 3)").await.unwrap();
    for role in ["origin"] {
        assert_eq!(rows(&client, "SHOW session_replication_role").await, [role]);
    }
    client.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_referred_to_follows_on_every_shard_or_stays() {
    let client = reference("currency", "code text PRIMARY KEY, title text").await;
    CLUSTER.admin("SHARD TABLE purse BY (owner)").await;
    client.batch_execute("CREATE TABLE purse (owner int PRIMARY KEY, code text REFERENCES currency ON UPDATE CASCADE ON DELETE CASCADE)").await.unwrap();
    client
        .batch_execute("INSERT INTO currency VALUES ('DEM', 'Mark'), ('FRF', 'Franc'), ('XXX', 'None')")
        .await
        .unwrap();
    for owner in 0..20 {
        let code = if owner % 2 == 0 { "DEM" } else { "FRF" };
        client.batch_execute(&format!("INSERT INTO purse VALUES ({owner}, '{code}')")).await.unwrap();
    }
    refused(&client, "UPDATE currency SET code = 'EUR' WHERE code = 'DEM'").await;
    assert_eq!(rows(&client, "SELECT count(*) FROM purse WHERE code = 'DEM'").await, ["10"]);
    client.batch_execute("DELETE FROM currency WHERE code = 'DEM'").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM purse").await, ["10"]);
    alike(&CLUSTER, "currency").await;
}

#[tokio::test]
async fn verify_table_tells_which_copy_differs() {
    let client = reference("checked", "id int PRIMARY KEY, at timestamptz, v float8").await;
    client.batch_execute("INSERT INTO checked SELECT n, now(), random() FROM generate_series(1, 100) n").await.unwrap();
    assert_eq!(CLUSTER.admin("VERIFY TABLE checked").await[0].get("status"), Some("done"));
    CLUSTER.shard_client(1).await.batch_execute("UPDATE checked SET v = -1 WHERE id = 7").await.unwrap();
    let admin = CLUSTER.admin_client().await;
    let error = admin.simple_query("VERIFY TABLE checked").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.message().split(" (PGR").next(), Some("the copies of public.checked differ"));
    assert!(error.detail().unwrap().ends_with("unlike it: s1 has 100 rows"), "{:?}", error.detail());
    CLUSTER.shard_client(1).await.batch_execute("DELETE FROM checked WHERE id = 7").await.unwrap();
    // The copy lacks a row that the statement changes: it has it afterwards.
    client.batch_execute("UPDATE checked SET v = 0 WHERE id = 7").await.unwrap();
    assert_eq!(CLUSTER.admin("VERIFY TABLE checked").await[0].get("status"), Some("done"));
}

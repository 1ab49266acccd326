//! Changes of schema on every shard: all or none, partitions, what TRUNCATE empties, and two changes at once.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use pgring_integration_tests::client::describe;
use pgring_integration_tests::{Cluster, faults, shards};
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

async fn refused(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.err().unwrap_or_else(|| panic!("{sql} was not refused"));
    error.code().map_or_else(|| describe(&error), |code| code.code().to_owned())
}

/// What each shard answers.
async fn everywhere(sql: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for shard in 0..CLUSTER.shard_count() {
        all.push(rows(&CLUSTER.shard_client(shard).await, sql).await);
    }
    all
}

/// Every shard answers the same; returns it.
async fn alike(sql: &str) -> Vec<String> {
    let all = everywhere(sql).await;
    assert!(all.iter().all(|one| *one == all[0]), "{sql}: {all:?}");
    all[0].clone()
}

#[tokio::test]
async fn truncate_empties_every_shard_or_none() {
    let client = CLUSTER.client().await;
    CLUSTER.admin("SHARD TABLE emptied BY (tenant) ALLOW LOCAL UNIQUE").await;
    client.batch_execute("CREATE TABLE emptied (id serial PRIMARY KEY, tenant int)").await.unwrap();
    client.batch_execute("CREATE TABLE plainly (id serial PRIMARY KEY)").await.unwrap();
    let fill = async || {
        for tenant in 0..9 {
            client.batch_execute(&format!("INSERT INTO emptied (tenant) VALUES ({tenant})")).await.unwrap();
        }
    };
    fill().await;
    client.batch_execute("BEGIN; TRUNCATE emptied; ROLLBACK").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM emptied").await, ["9"]);
    client.batch_execute("INSERT INTO plainly DEFAULT VALUES").await.unwrap();
    client.batch_execute("TRUNCATE TABLE ONLY emptied, plainly").await.unwrap();
    assert_eq!(rows(&client, "SELECT (SELECT count(*) FROM emptied), (SELECT count(*) FROM plainly)").await, ["0|0"]);
    assert_eq!(alike("SELECT count(*) FROM emptied").await, ["0"]);
    let next = rows(&client, "INSERT INTO emptied (tenant) VALUES (1) RETURNING id").await;
    assert!(next[0].parse::<i64>().unwrap() > 9, "{next:?}");
    client.batch_execute("TRUNCATE emptied RESTART IDENTITY CASCADE").await.unwrap();
    assert_eq!(rows(&client, "INSERT INTO emptied (tenant) VALUES (1) RETURNING id").await, ["1"]);
    // In a transaction it is the transaction's own backend that knows where the sequence stands.
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("TRUNCATE emptied RESTART IDENTITY").await.unwrap();
    assert_eq!(rows(&client, "INSERT INTO emptied (tenant) VALUES (1) RETURNING id").await, ["1"]);
    assert_eq!(rows(&client, "INSERT INTO emptied (tenant) VALUES (1) RETURNING id").await, ["2"]);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(rows(&client, "INSERT INTO emptied (tenant) VALUES (1) RETURNING id").await, ["2"]);
}

#[tokio::test]
async fn partitions_and_heirs_of_a_sharded_table_are_sharded_as_it_is() {
    let client = CLUSTER.client().await;
    CLUSTER.admin("SHARD TABLE reading BY (device)").await;
    client
        .batch_execute(
            "CREATE TABLE reading (device int, at date, x int, PRIMARY KEY (device, at)) PARTITION BY RANGE (at)",
        )
        .await
        .unwrap();
    for (name, bounds) in [
        ("reading_23", "FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')"),
        ("reading_24", "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"),
        ("reading_other", "DEFAULT"),
    ] {
        client.batch_execute(&format!("CREATE TABLE {name} PARTITION OF reading {bounds}")).await.unwrap();
    }
    for device in 0..9 {
        for year in [2023, 2024, 2030] {
            let sql = format!("INSERT INTO reading VALUES ({device}, '{year}-05-05', {device})");
            client.batch_execute(&sql).await.unwrap();
        }
    }
    assert_eq!(rows(&client, "SELECT count(*) FROM reading").await, ["27"]);
    assert_eq!(rows(&client, "SELECT count(*) FROM reading_24").await, ["9"]);
    assert_eq!(rows(&client, "SELECT x FROM reading_23 WHERE device = 4").await, ["4"]);
    client.batch_execute("INSERT INTO reading_24 VALUES (77, '2024-01-01', 1)").await.unwrap();
    assert_eq!(rows(&client, "SELECT x FROM reading WHERE device = 77").await, ["1"]);
    assert!(everywhere("SELECT count(*) > 0 FROM reading_24").await.iter().filter(|one| **one == ["t"]).count() > 1);
    assert_eq!(refused(&client, "CREATE UNIQUE INDEX ON reading_23 (x)").await, "0A000");
    client.batch_execute("CREATE INDEX ON reading (x)").await.unwrap();
    assert_eq!(alike("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'reading%x_idx'").await, ["4"]);
    // One that is made by itself may be attached while it is empty.
    client.batch_execute("CREATE TABLE reading_25 (device int NOT NULL, at date NOT NULL, x int)").await.unwrap();
    client.batch_execute("INSERT INTO reading_25 VALUES (1, '2025-01-01', 1)").await.unwrap();
    let attach =
        "ALTER TABLE ONLY reading ATTACH PARTITION reading_25 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')";
    assert_eq!(refused(&client, attach).await, "0A000");
    client.batch_execute("DELETE FROM reading_25").await.unwrap();
    client.batch_execute(attach).await.unwrap();
    for device in 0..9 {
        client.batch_execute(&format!("INSERT INTO reading VALUES ({device}, '2025-05-05', 1)")).await.unwrap();
    }
    assert_eq!(rows(&client, "SELECT count(*) FROM reading_25").await, ["9"]);
    // What is detached keeps its rows where they are.
    client.batch_execute("ALTER TABLE reading DETACH PARTITION reading_24").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM reading_24").await, ["10"]);
    assert_eq!(rows(&client, "SELECT x FROM reading_24 WHERE device = 77").await, ["1"]);
    assert_eq!(rows(&client, "SELECT count(*) FROM reading").await, ["27"]);
    client.batch_execute("DROP TABLE reading, reading_24").await.unwrap();

    CLUSTER.admin("SHARD TABLE animal BY (id)").await;
    client.batch_execute("CREATE TABLE animal (id int PRIMARY KEY, name text)").await.unwrap();
    client.batch_execute("CREATE TABLE cat (lives int, PRIMARY KEY (id)) INHERITS (animal)").await.unwrap();
    assert_eq!(refused(&client, "CREATE TABLE dog (tail int UNIQUE) INHERITS (animal)").await, "0A000");
    for id in 0..9 {
        client.batch_execute(&format!("INSERT INTO cat VALUES ({id}, 'c', 9)")).await.unwrap();
    }
    assert_eq!(rows(&client, "SELECT count(*) FROM animal").await, ["9"]);
    assert_eq!(rows(&client, "SELECT lives FROM cat WHERE id = 3").await, ["9"]);
}

#[tokio::test]
async fn every_kind_of_object_is_on_every_shard() {
    let client = CLUSTER.client().await;
    CLUSTER.admin("SHARD TABLE kinds BY (k)").await;
    for sql in [
        "CREATE SCHEMA objects",
        "CREATE TYPE objects.pair AS (a int, b text)",
        "CREATE TYPE objects.mood AS ENUM ('glad', 'sad')",
        "ALTER TYPE objects.mood ADD VALUE 'calm' AFTER 'glad'",
        "ALTER TYPE objects.mood RENAME VALUE 'sad' TO 'low'",
        "CREATE DOMAIN objects.positive AS int CHECK (value > 0)",
        "CREATE TABLE kinds (k int PRIMARY KEY, m objects.mood, p objects.positive, t text, twice int GENERATED ALWAYS AS (k * 2) STORED)",
        "CREATE TABLE kinds_like (LIKE kinds INCLUDING ALL)",
        "CREATE INDEX kinds_lower ON kinds (lower(t)) WHERE p > 1",
        "CREATE INDEX CONCURRENTLY kinds_m ON kinds (m)",
        "CREATE STATISTICS objects.kinds_s (dependencies) ON k, p FROM kinds",
        "CREATE FUNCTION objects.noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.t := upper(new.t); RETURN new; END $$",
        "CREATE TRIGGER noted BEFORE INSERT ON kinds FOR EACH ROW EXECUTE FUNCTION objects.noted()",
        "CREATE PROCEDURE objects.nothing() LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW objects.seen AS SELECT k, t FROM kinds",
        "CREATE ROLE ddl_reader",
        "GRANT USAGE ON SCHEMA objects TO ddl_reader",
        "GRANT SELECT ON kinds TO ddl_reader",
        "ALTER TABLE kinds ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY odd ON kinds FOR SELECT TO ddl_reader USING (k % 2 = 1)",
        "COMMENT ON TABLE kinds IS 'all kinds'",
        "ALTER TABLE kinds ADD COLUMN u uuid DEFAULT gen_random_uuid()",
        "ALTER TABLE kinds ALTER COLUMN t SET DEFAULT 'x'",
        "ALTER TABLE kinds RENAME COLUMN p TO pos",
        "CREATE EXTENSION IF NOT EXISTS plpgsql",
        "CREATE SEQUENCE objects.counter INCREMENT 5",
        "CREATE COLLATION objects.bytes (provider = libc, locale = 'C')",
        "CREATE AGGREGATE objects.total (int) (sfunc = int4pl, stype = int, initcond = '0')",
        "ALTER FUNCTION objects.noted() RENAME TO loud",
        "ALTER SCHEMA objects RENAME TO things",
        "VACUUM ANALYZE kinds",
        "REINDEX INDEX CONCURRENTLY kinds_m",
    ] {
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
    }
    alike("SELECT count(*) FROM pg_class WHERE relnamespace = 'things'::regnamespace OR relname LIKE 'kinds%'").await;
    assert_eq!(alike("SELECT enum_range(NULL::things.mood)").await, ["{glad,calm,low}"]);
    assert_eq!(
        alike("SELECT obj_description('kinds'::regclass), has_table_privilege('ddl_reader', 'kinds', 'SELECT')").await,
        ["all kinds|t"]
    );
    assert_eq!(alike("SELECT count(*) FROM pg_policies WHERE tablename = 'kinds'").await, ["1"]);
    assert_eq!(alike("SELECT count(*) FROM pg_proc WHERE pronamespace = 'things'::regnamespace").await, ["3"]);
    for k in 1..=6 {
        client.batch_execute(&format!("INSERT INTO kinds (k, m, pos, t) VALUES ({k}, 'calm', 5, 'a')")).await.unwrap();
    }
    assert_eq!(rows(&client, "SELECT count(*), min(t), sum(twice), count(DISTINCT u) FROM kinds").await, ["6|A|42|6"]);
    client.batch_execute("SET ROLE ddl_reader").await.unwrap();
    assert_eq!(rows(&client, "SELECT k FROM kinds ORDER BY k").await, ["1", "3", "5"]);
    client.batch_execute("RESET ROLE").await.unwrap();
    client.batch_execute("DROP SCHEMA things CASCADE").await.unwrap();
    assert_eq!(alike("SELECT to_regnamespace('things')").await, ["NULL"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_schema_at_once_neither_stop_each_other_nor_differ_between_shards() {
    let setup = CLUSTER.client().await;
    CLUSTER.admin("SHARD TABLE crowd BY (k)").await;
    setup.batch_execute("CREATE TABLE crowd (k int PRIMARY KEY)").await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..6 {
        let client = CLUSTER.client().await;
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            for round in 0..4 {
                for sql in [
                    format!("ALTER TABLE crowd ADD COLUMN c_{n}_{round} int"),
                    format!("CREATE INDEX i_{n}_{round} ON crowd (c_{n}_{round})"),
                    // The same name from everybody: one makes it, the others hear that it is there.
                    format!("CREATE TABLE once_{round} (a int)"),
                ] {
                    match client.batch_execute(&sql).await {
                        Ok(()) => done += 1,
                        Err(error) => {
                            let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
                            assert!(
                                sql.contains("once") && ["42P07", "23505"].contains(&&*code),
                                "{sql}: {}",
                                describe(&error)
                            );
                        }
                    }
                }
            }
            done
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += faults::within(Duration::from_secs(120), task).await.unwrap();
    }
    assert_eq!(done, 6 * 4 * 2 + 4);
    let columns = "SELECT count(*), count(*) FILTER (WHERE attname LIKE 'c\\_%') FROM pg_attribute WHERE attrelid = 'crowd'::regclass AND attnum > 0";
    assert_eq!(alike(columns).await, ["25|24"]);
    assert_eq!(alike("SELECT count(*) FROM pg_class WHERE relname LIKE 'once\\__'").await, ["4"]);
}

//! Migrations: histories of Django, Alembic and of tools that send SQL run through pgring as they do with one PostgreSQL, their
//! version tables, locks and transactions included.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::time::Duration;

use pgring_integration_tests::client::describe;
use pgring_integration_tests::drivers::{PYTHON, migrations, scripts};
use pgring_integration_tests::program;
use pgring_integration_tests::{Cluster, shards};
use tokio::process::Command;
use tokio_postgres::{Client, SimpleQueryMessage};

/// How long a history may take.
const LIMIT: Duration = Duration::from_secs(240);

/// A cluster whose new tables are sharded by their tenant's number, with the primary keys that these tools make.
async fn cluster() -> Cluster {
    Cluster::start(shards(3).database("shard_by = [\"tenant_id\"]").database("local_unique = \"allow\"")).await
}

async fn history(script: &str) {
    let cluster = cluster().await;
    let mut command = Command::new(migrations().await);
    command.arg(scripts().join("migrations").join(script));
    let port = cluster.router().port();
    command.env("PGRING_DSN", format!("postgresql://postgres:postgres@127.0.0.1:{port}/app"));
    let ended = program::start(command, "", PYTHON).end(LIMIT).await;
    let steps = ended.out.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(ended.code == Some(0) && steps > 3, "{ended}\n--- the router's log ---\n{}", cluster.router().log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_django_is_applied() {
    history("django_history.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_alembic_is_applied() {
    history("alembic_history.py").await;
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_of_sql_are_applied_under_a_lock_and_noted_in_a_table_of_versions() {
    let cluster = cluster().await;
    let client = cluster.client().await;
    // As Rails does it: a lock of the session, a transaction for each migration.
    assert_eq!(rows(&client, "SELECT pg_try_advisory_lock(3023049284)").await, ["t"]);
    let other = cluster.client().await;
    assert_eq!(rows(&other, "SELECT pg_try_advisory_lock(3023049284)").await, ["f"]);
    let versions =
        "CREATE TABLE IF NOT EXISTS \"schema_migrations\" (\"version\" character varying NOT NULL PRIMARY KEY)";
    for sql in [versions, versions] {
        rows(&client, sql).await;
    }
    for (version, statements) in [
        (
            "20240101",
            &[
                "CREATE TABLE \"notes\" (\"id\" bigserial primary key, \"tenant_id\" bigint NOT NULL, \"title\" character varying, \
                 \"created_at\" timestamp(6) NOT NULL, \"updated_at\" timestamp(6) NOT NULL)",
                "CREATE INDEX \"index_notes_on_tenant_id\" ON \"notes\" (\"tenant_id\")",
            ][..],
        ),
        (
            "20240102",
            &[
                "ALTER TABLE \"notes\" ADD \"done\" boolean DEFAULT FALSE NOT NULL",
                "ALTER TABLE \"notes\" ALTER COLUMN \"title\" SET NOT NULL",
                "ALTER TABLE \"notes\" RENAME COLUMN \"title\" TO \"name\"",
                "COMMENT ON COLUMN \"notes\".\"name\" IS 'what it is called'",
            ],
        ),
    ] {
        rows(&client, "BEGIN").await;
        for sql in statements {
            rows(&client, sql).await;
        }
        let sql = format!("INSERT INTO \"schema_migrations\" (\"version\") VALUES ('{version}') RETURNING \"version\"");
        assert_eq!(rows(&client, &sql).await, [version]);
        rows(&client, "COMMIT").await;
    }
    assert_eq!(rows(&client, "SELECT pg_advisory_unlock(3023049284)").await, ["t"]);
    assert_eq!(rows(&other, "SELECT pg_try_advisory_lock(3023049284)").await, ["t"]);
    for tenant in 1..=6 {
        let sql = format!(
            "INSERT INTO \"notes\" (\"tenant_id\", \"name\", \"created_at\", \"updated_at\") \
             VALUES ({tenant}, 'a', '2024-01-01', '2024-01-01') RETURNING \"id\""
        );
        assert_eq!(rows(&client, &sql).await, [tenant.to_string()]);
    }
    // A migration that fails leaves nothing.
    let failed =
        "BEGIN; CREATE TABLE \"half\" (\"id\" bigserial primary key); ALTER TABLE \"notes\" ADD \"name\" int; COMMIT";
    assert!(client.simple_query(failed).await.is_err());
    rows(&client, "ROLLBACK").await;
    for shard in 0..cluster.shard_count() {
        let there = cluster.shard_client(shard).await;
        assert_eq!(rows(&there, "SELECT to_regclass('half')").await, ["NULL"]);
        let columns = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute \
                       WHERE attrelid = 'notes'::regclass AND attnum > 0";
        assert_eq!(rows(&there, columns).await, ["id tenant_id name created_at updated_at done"]);
    }
    // As Flyway does it: a schema of its own in the search path, a lock of the transaction.
    rows(&client, "CREATE SCHEMA IF NOT EXISTS \"app\"").await;
    rows(&client, "SET search_path TO \"app\"").await;
    rows(
        &client,
        "CREATE TABLE \"app\".\"flyway_schema_history\" (\"installed_rank\" INT NOT NULL, \"version\" VARCHAR(50), \
         \"installed_on\" TIMESTAMP NOT NULL DEFAULT now(), \"success\" BOOLEAN NOT NULL)",
    )
    .await;
    rows(&client, "ALTER TABLE \"app\".\"flyway_schema_history\" ADD CONSTRAINT \"flyway_schema_history_pk\" PRIMARY KEY (\"installed_rank\")").await;
    rows(&client, "CREATE INDEX \"flyway_schema_history_s_idx\" ON \"app\".\"flyway_schema_history\" (\"success\")")
        .await;
    rows(&client, "BEGIN").await;
    assert_eq!(rows(&client, "SELECT pg_try_advisory_xact_lock(77431708279161)").await, ["t"]);
    rows(&client, "CREATE TABLE person (id int PRIMARY KEY, name text); CREATE TABLE visit (tenant_id int, at date, PRIMARY KEY (tenant_id, at))").await;
    rows(&client, "INSERT INTO \"app\".\"flyway_schema_history\" (\"installed_rank\", \"version\", \"success\") VALUES (1, '1', true)").await;
    rows(&client, "COMMIT").await;
    rows(&client, "INSERT INTO visit VALUES (4, '2024-05-05')").await;
    assert_eq!(rows(&other, "SELECT tenant_id FROM app.visit").await, ["4"]);
    assert_eq!(rows(&client, "SELECT version FROM flyway_schema_history WHERE success").await, ["1"]);
}

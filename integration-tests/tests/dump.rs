//! pg_dump of a sharded database through pgring, and pg_restore and psql into an empty one whose rules are there already: the
//! same rows, keys, sequences, and each row on the shard where it is looked for.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::time::Duration;

use pgring_integration_tests::postgres::{DATABASE, binaries};
use pgring_integration_tests::program::{self, Ended};
use pgring_integration_tests::{Cluster, shards};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio_postgres::SimpleQueryMessage;

const LIMIT: Duration = Duration::from_secs(180);
const NEED: &str = "pg_dump and pg_restore (Debian, Ubuntu: apt-get install postgresql-client)";

const RULES: [&str; 2] = ["SHARD TABLE customers BY (customer_id)", "SHARD TABLE orders BY (customer_id)"];

const SCHEMA: &str = "
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text NOT NULL, feels mood DEFAULT 'happy', extra jsonb);
CREATE TABLE orders (customer_id bigint NOT NULL REFERENCES customers, order_id serial, total numeric(10,2),
    placed timestamptz, note text, PRIMARY KEY (customer_id, order_id), CHECK (total >= 0));
CREATE INDEX orders_placed ON orders (placed);
CREATE TABLE settings (name text PRIMARY KEY, value bytea);
CREATE SEQUENCE tickets;
CREATE VIEW long_notes AS SELECT customer_id, note FROM orders WHERE length(note) > 5;
COMMENT ON TABLE orders IS 'what customers ordered';
";

/// What is equal before and after.
const QUERIES: [&str; 8] = [
    "SELECT * FROM customers ORDER BY customer_id",
    "SELECT * FROM orders ORDER BY customer_id, order_id",
    "SELECT * FROM settings ORDER BY name",
    "SELECT count(*), sum(total) FROM orders",
    "SELECT * FROM long_notes ORDER BY customer_id, note",
    "SELECT last_value, is_called FROM tickets",
    "SELECT last_value, is_called FROM orders_order_id_seq",
    "SELECT conname, contype FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY conname",
];

async fn source() -> &'static Cluster {
    static SOURCE: OnceCell<Cluster> = OnceCell::const_new();
    SOURCE.get_or_init(make_source).await
}

async fn make_source() -> Cluster {
    let cluster = empty().await;
    let client = cluster.client().await;
    client.batch_execute(SCHEMA).await.unwrap();
    for k in 1..=40 {
        let customer = format!("INSERT INTO customers VALUES ({k}, E'name\\t{k}\\n\\\\é', 'sad', '{{\"k\": {k}}}')");
        client.batch_execute(&customer).await.unwrap();
        let order = format!(
            "INSERT INTO orders (customer_id, total, placed, note) VALUES ({k}, {k}.25, '2026-01-02 03:04Z', \
             CASE WHEN {k} % 3 = 0 THEN NULL ELSE 'note of {k}' END)"
        );
        client.batch_execute(&order).await.unwrap();
    }
    client.batch_execute("INSERT INTO settings VALUES ('a', '\\x00ff'), ('b', NULL)").await.unwrap();
    client.batch_execute("SELECT setval('tickets', 41)").await.unwrap();
    cluster
}

/// A cluster without tables that has the rules.
async fn empty() -> Cluster {
    let cluster = Cluster::start(shards(3)).await;
    for rule in RULES {
        cluster.admin(rule).await;
    }
    cluster
}

async fn run(program: &str, cluster: &Cluster, arguments: &[&str]) -> Ended {
    let mut command = Command::new(binaries().program(program));
    command.args(["-h", "127.0.0.1", "-p", &cluster.router().port().to_string(), "-U", "postgres", "-d", DATABASE]);
    command.args(arguments).env("PGPASSWORD", "postgres");
    program::start(command, "", NEED).end(LIMIT).await
}

async fn done(program: &str, cluster: &Cluster, arguments: &[&str]) -> Ended {
    let ended = run(program, cluster, arguments).await;
    assert_eq!(ended.code, Some(0), "{program} {arguments:?}: {ended}");
    ended
}

async fn answers(cluster: &Cluster) -> Vec<Vec<Vec<Option<String>>>> {
    let client = cluster.client().await;
    let mut all = vec![];
    for sql in QUERIES {
        let answer = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        };
        all.push(answer.into_iter().filter_map(row).collect());
    }
    all
}

/// The restored database is the one that was dumped, and each of its rows is found by its key.
async fn check(restored: &Cluster) {
    let expected = answers(source().await).await;
    assert_eq!(expected[0].len(), 40);
    assert_eq!(expected, answers(restored).await);
    let client = restored.client().await;
    for k in [1_i64, 7, 20, 40] {
        let found = client.query("SELECT order_id FROM orders WHERE customer_id = $1", &[&k]).await.unwrap();
        assert_eq!(found.len(), 1, "orders of {k}");
    }
    let mut rows = vec![];
    for shard in 0..restored.shard_count() {
        let client = restored.shard_client(shard).await;
        let found: i64 = client.query_one("SELECT count(*) FROM customers", &[]).await.unwrap().get(0);
        rows.push(found);
    }
    assert_eq!(rows.iter().sum::<i64>(), 40);
    assert!(rows.iter().all(|rows| *rows > 0), "{rows:?}");
    // A sequence goes on where it was.
    let row = client.query_one("INSERT INTO orders (customer_id) VALUES (1) RETURNING order_id", &[]).await.unwrap();
    assert!(row.get::<_, i32>(0) > 40);
}

#[tokio::test]
async fn a_plain_dump_is_restored_by_psql() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dump.sql").to_string_lossy().into_owned();
    done("pg_dump", source().await, &["-N", "pgring", "-f", &file]).await;
    let target = empty().await;
    done("psql", &target, &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", &file]).await;
    check(&target).await;
}

#[tokio::test]
async fn a_custom_dump_is_restored_by_pg_restore() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dump.custom").to_string_lossy().into_owned();
    done("pg_dump", source().await, &["-N", "pgring", "-Fc", "-f", &file]).await;
    let target = empty().await;
    done("pg_restore", &target, &["--exit-on-error", &file]).await;
    check(&target).await;
}

#[tokio::test]
async fn a_dump_is_restored_in_one_transaction() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dump.custom").to_string_lossy().into_owned();
    done("pg_dump", source().await, &["-N", "pgring", "-Fc", "-f", &file]).await;
    let target = empty().await;
    done("pg_restore", &target, &["--exit-on-error", "--single-transaction", &file]).await;
    check(&target).await;
}

#[tokio::test]
async fn a_dump_by_several_connections_is_refused() {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("dump").to_string_lossy().into_owned();
    let ended = run("pg_dump", source().await, &["-N", "pgring", "-Fd", "-j", "2", "-f", &place]).await;
    // A snapshot that is handed over is one shard's: the other connections see no sharded table with it.
    assert_ne!(ended.code, Some(0));
    assert!(ended.err.contains("could not obtain lock") || ended.err.contains("not supported"), "{ended}");
}

#[tokio::test]
async fn what_is_pgrings_is_not_restored() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("whole.sql").to_string_lossy().into_owned();
    done("pg_dump", source().await, &["-f", &file]).await;
    let target = empty().await;
    let before = target.admin("SHOW SHARDS").await.len();
    let ended = run("psql", &target, &["-X", "-q", "-v", "VERBOSITY=verbose", "-f", &file]).await;
    let about = |line: &&str| line.contains("ERROR:");
    let errors: Vec<&str> = ended.err.lines().filter(about).collect();
    assert!(!errors.is_empty(), "the dump holds nothing of pgring's");
    for error in errors {
        assert!(error.contains("42501"), "{error}");
    }
    assert_eq!(target.admin("SHOW SHARDS").await.len(), before);
    check(&target).await;
}

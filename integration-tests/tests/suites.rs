//! Suites: shapes that the drivers' own suites brought to light, each on PostgreSQL and through pgring.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::faults::within;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::{brief, copy_data, copy_done, query};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(2)));
static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));

const PATIENCE: Duration = Duration::from_secs(60);

async fn raw() -> Raw {
    CLUSTER.raw().await
}

/// What each of these statements is answered.
async fn answers(port: u16, statements: &[&str]) -> Vec<String> {
    let mut raw = Raw::log_in(port, "postgres", "postgres", DATABASE).await;
    let mut all = Vec::new();
    for sql in statements {
        let frames = within(PATIENCE, raw.query(sql)).await;
        all.push(format!("{sql}: {:?}", frames.iter().map(brief).collect::<Vec<_>>()));
    }
    all
}

/// The same statements are answered the same.
async fn compare(statements: &[&str]) {
    let expected = answers(ORACLE.port(), statements).await;
    assert_eq!(answers(CLUSTER.router().port(), statements).await, expected);
}

/// The tag of a statement's answer.
async fn tag(raw: &mut Raw, sql: &str) -> String {
    let frames = raw.query(sql).await;
    frames.iter().find(|frame| frame.tag == b'C').unwrap_or_else(|| panic!("{sql}: {frames:?}")).text()
}

/// The client has sent all it has to say before the server, which is slow, has taken it: nothing more comes that would
/// wake anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_sent_faster_than_it_is_taken_ends() {
    let mut raw = raw().await;
    let slow = "CREATE TABLE copied_slowly (line text);
        CREATE FUNCTION copied_slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
        CREATE TRIGGER slow BEFORE INSERT ON copied_slowly FOR EACH ROW EXECUTE FUNCTION copied_slowly()";
    raw.query(slow).await;
    for size in [40_000, 150_000, 700_000, 2_000_000] {
        let lines = 12_000_000 / size;
        let line = copy_data(format!("{}\n", "x".repeat(size)).as_bytes());
        let mut all = query("COPY copied_slowly FROM STDIN");
        (0..lines).for_each(|_| all.extend_from_slice(&line));
        all.extend(copy_done());
        within(PATIENCE, raw.send(&all)).await;
        let frames = within(PATIENCE, raw.read_until_ready()).await;
        let tags: Vec<_> = frames.iter().filter(|frame| frame.tag == b'C').map(|frame| frame.text()).collect();
        assert_eq!(tags, [format!("COPY {lines}")], "lines of {size} bytes");
    }
    assert_eq!(tag(&mut raw, "DROP TABLE copied_slowly").await, "DROP TABLE");
}

/// SQLAlchemy reads comments, and makes one on a large object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_are_where_they_were_made() {
    compare(&[
        "SELECT lo_create(70001)",
        "COMMENT ON LARGE OBJECT 70001 IS 'a comment'",
        "GRANT SELECT ON LARGE OBJECT 70001 TO PUBLIC",
        "ALTER LARGE OBJECT 70001 OWNER TO pg_monitor",
        "SELECT obj_description(70001, 'pg_largeobject'), lomowner::regrole, lomacl FROM pg_largeobject_metadata WHERE oid = 70001",
        "REVOKE SELECT ON LARGE OBJECT 70001 FROM PUBLIC",
        "COMMENT ON LARGE OBJECT 70002 IS 'none'",
        "SELECT lo_unlink(70001)",
    ])
    .await;
}

/// psycopg prepares a transaction that has failed, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_prepare_a_failed_transaction_rolls_it_back() {
    compare(&[
        "BEGIN",
        "CREATE TABLE never_prepared (n integer)",
        "SELECT wrong",
        "PREPARE TRANSACTION 'never'",
        "SELECT * FROM never_prepared",
        "COMMIT PREPARED 'never'",
        "BEGIN",
        "SELECT wrong",
        "PREPARE TRANSACTION 'never'",
        "SELECT 1",
    ])
    .await;
}

//! Large answers of several shards: the router keeps little of them, whether its client reads or waits.
//!
//! `PGRING_STREAM_ROWS=10000000` reads as many rows by hand; with `PGRING_BIN` of an optimised build, for figures.

use std::time::{Duration, Instant};

use pgring_integration_tests::client::{Frame, Raw};
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::{Cluster, shards};
use postgres_protocol::message::frontend;

/// How many rows there are unless the environment says otherwise.
const ROWS: u64 = 400_000;
/// What the router may need for all of its work, in bytes.
const MEMORY: u64 = 50 << 20;
const SHARDS: u64 = 4;
/// How often memory is looked at, in rows.
const LOOK: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills the shards past the router: which row lies where is no matter to a statement that asks for all.
async fn fill(cluster: &Cluster, rows: u64) {
    cluster.admin("SHARD TABLE wide BY (k)").await;
    let made = cluster.client().await.batch_execute("CREATE TABLE wide (k bigint, n int, pad text)").await;
    made.expect("a table");
    // few rows must be wide, or they find room on the way before anybody has to wait
    let width = if rows < 10 * ROWS { 200 } else { 2 };
    for shard in 0..SHARDS {
        let keys = format!("generate_series({shard}, {}, {SHARDS}) k", rows - 1);
        let sql = format!("INSERT INTO wide SELECT k, k % 1000, repeat('x', {width}) FROM {keys}");
        let server = cluster.shard_client(usize::try_from(shard).expect("few shards")).await;
        server.batch_execute(&sql).await.expect("rows");
        server.batch_execute("CREATE INDEX ON wide (k); ANALYZE wide").await.expect("an index");
    }
}

/// The first value of a row, as a number.
fn key(row: &Frame) -> u64 {
    let length = usize::try_from(u32::from_be_bytes([row.body[2], row.body[3], row.body[4], row.body[5]]));
    let text = row.body.get(6..6 + length.expect("a short value")).expect("a value");
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a number")
}

/// Every shard's server waits until somebody takes its rows.
async fn until_servers_wait(cluster: &Cluster) {
    for shard in 0..usize::try_from(SHARDS).expect("few shards") {
        let server = cluster.shard_client(shard).await;
        eventually("a server that waits for its reader", PATIENCE, || async {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'";
            let count: i64 = server.query_one(waiting, &[]).await.expect("its activity").get(0);
            (count == 1).then_some(())
        })
        .await;
    }
}

/// Reads all rows of a statement, with a rest after the first ones. Returns the most memory that was seen.
async fn read(cluster: &Cluster, raw: &mut Raw, sql: &str, rows: u64) -> u64 {
    let (mut seen, mut most, ordered, begun) = (0, 0, sql.contains("ORDER BY"), Instant::now());
    raw.send_with(|out| frontend::query(sql, out)).await;
    loop {
        let frame = raw.read_within(PATIENCE).await.expect("a frame in time").expect("no end");
        match frame.tag {
            b'D' if ordered => {
                assert_eq!(key(&frame), seen, "{sql}");
                seen += 1;
            }
            b'D' => seen += 1,
            b'Z' => break,
            b'E' => panic!("{sql}: {:?}", frame.fields()),
            _ => continue,
        }
        if seen == 1000 {
            until_servers_wait(cluster).await;
        }
        if seen % LOOK == 0 || seen == 1000 {
            most = most.max(cluster.router().memory());
        }
    }
    assert_eq!(seen, rows, "{sql}");
    println!("{sql}: {rows} rows in {:.1} s, at most {} kB", begun.elapsed().as_secs_f64(), most >> 10);
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rows_of_all_shards_pass_through_little_memory_and_wait_for_their_reader() {
    let rows = std::env::var("PGRING_STREAM_ROWS").ok().and_then(|value| value.parse().ok()).unwrap_or(ROWS);
    let cluster = Cluster::start(shards(4)).await;
    fill(&cluster, rows).await;
    let mut raw = cluster.raw().await;
    println!("{} kB before", cluster.router().memory() >> 10);
    for sql in ["SELECT * FROM wide", "SELECT * FROM wide ORDER BY k"] {
        let most = read(&cluster, &mut raw, sql, rows).await;
        assert!(most < MEMORY, "{sql}: {most} bytes");
    }
}

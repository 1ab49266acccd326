//! What other poolers get wrong: backends that go back with something open, clients who disturb each other, statements
//! that are described where they are not, servers that break the protocol, cancels that hit somebody else.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod broken;
mod cancels;
mod described;
mod left;
mod limits;
mod permitted;

use std::time::Duration;

use pgring_integration_tests::client::{Frame, Raw, describe};
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::script::{bind, execute, parse};
use pgring_integration_tests::{Cluster, shards};
use tokio_postgres::Client;

pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// One shard and a pool of so many backends.
pub(crate) async fn narrow(size: usize, more: &str) -> Cluster {
    Cluster::start(shards(1).with(&format!("[pool]\nsize = {size}\nqueue_timeout = \"30s\"\n{more}"))).await
}

/// What an answer says: rows, errors, tags and states.
pub(crate) fn brief(frames: &[Frame]) -> Vec<String> {
    let one = |frame: &Frame| match frame.tag {
        b'E' => Some(format!("E {}", frame.sqlstate().unwrap_or_default())),
        b'C' | b'Z' => Some(format!("{} {}", char::from(frame.tag), frame.text())),
        b'D' => Some(format!("D {}", value(frame))),
        b'S' | b'N' | b'T' => None,
        tag => Some(char::from(tag).to_string()),
    };
    frames.iter().filter_map(one).collect()
}

/// The first value of a row.
pub(crate) fn value(frame: &Frame) -> String {
    let length = i32::from_be_bytes(frame.body[2..6].try_into().unwrap());
    let end = usize::try_from(length).map_or(6, |length| 6 + length);
    String::from_utf8_lossy(&frame.body[6..end]).into_owned()
}

pub(crate) async fn run(raw: &mut Raw, sql: &str) -> Vec<String> {
    brief(&raw.query(sql).await)
}

/// Parse, Bind and Execute of unnamed things, without a Sync.
pub(crate) fn asked(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat()
}

pub(crate) async fn number(server: &Client, sql: &str) -> i64 {
    server.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error))).get(0)
}

/// Waits until so many backends of clients run something on this server or have a transaction.
pub(crate) async fn until_busy(server: &Client, how_many: i64) {
    const BUSY: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                        AND pid <> pg_backend_pid() AND state <> 'idle' AND query NOT LIKE '%pg_stat_activity%'";
    let look = || async { (number(server, BUSY).await == how_many).then_some(()) };
    eventually(&format!("{how_many} busy backends"), PATIENCE, look).await;
}

/// Waits until so many clients wait for a backend.
pub(crate) async fn until_waiting(cluster: &Cluster, how_many: usize) {
    let look = || async {
        let clients = cluster.admin("SHOW CLIENTS").await;
        let waiting = clients.iter().filter(|client| client.get("state") == Some("waiting")).count();
        (waiting == how_many).then_some(())
    };
    eventually(&format!("{how_many} who wait"), PATIENCE, look).await;
}

//! Locking: sessions that lock rows of several shards share them, or wait for each other.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use pgring_integration_tests::client::describe;
use pgring_integration_tests::{Cluster, shards};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(4)));

/// A sharded table of forty rows.
async fn table(name: &str) -> Client {
    CLUSTER.admin(&format!("SHARD TABLE {name} BY (id)")).await;
    let client = CLUSTER.client().await;
    client.batch_execute(&format!("CREATE TABLE {name} (id int PRIMARY KEY, n int NOT NULL)")).await.unwrap();
    for id in 0..40 {
        client.batch_execute(&format!("INSERT INTO {name} VALUES ({id}, {})", id % 4)).await.unwrap();
    }
    client
}

/// First column of each row, or the SQLSTATE.
async fn ids(client: &Client, sql: &str) -> Result<Vec<i32>, String> {
    let messages = client
        .simple_query(sql)
        .await
        .map_err(|error| error.code().map_or_else(|| describe(&error), |code| code.code().to_owned()))?;
    let id = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).and_then(|id| id.parse().ok()),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(id).collect())
}

#[tokio::test]
async fn shared_locks_are_shared_and_rows_come_in_order() {
    let (client, other) = (table("shared").await, CLUSTER.client().await);
    client.batch_execute("BEGIN").await.unwrap();
    let all: Vec<i32> = (0..40).collect();
    assert_eq!(ids(&client, "SELECT id FROM shared ORDER BY id FOR KEY SHARE").await.unwrap(), all);
    assert_eq!(ids(&other, "SELECT id FROM shared ORDER BY id FOR SHARE NOWAIT").await.unwrap(), all);
    let reversed: Vec<i32> = (0..40).rev().collect();
    let sql = "SELECT id FROM shared AS s ORDER BY s.id DESC FOR NO KEY UPDATE OF s NOWAIT";
    assert_eq!(ids(&other, sql).await.unwrap(), reversed);
    client.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_lock_the_same_rows_wait_for_each_other_in_one_order() {
    table("ordered").await;
    let mut sessions = JoinSet::new();
    for _ in 0..4 {
        let client = CLUSTER.client().await;
        sessions.spawn(async move {
            for _ in 0..10 {
                let sql = "BEGIN; SELECT id FROM ordered ORDER BY id FOR UPDATE; COMMIT";
                let done = timeout(Duration::from_secs(60), client.simple_query(sql)).await.expect("no deadlock");
                done.unwrap_or_else(|error| panic!("{}", describe(&error)));
            }
        });
    }
    while let Some(done) = sessions.join_next().await {
        done.unwrap();
    }
}

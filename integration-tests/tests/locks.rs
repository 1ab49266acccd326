//! Locks: rows that a SELECT locks on several shards are those that one PostgreSQL would lock, until its transaction ends.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;

use pgring_integration_tests::{Cluster, shards};
use tokio_postgres::{Client, SimpleQueryMessage};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(3)));

async fn ids(client: &Client, sql: &str) -> Vec<i32> {
    let id = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().parse().unwrap()),
        _ => None,
    };
    client.simple_query(sql).await.unwrap().into_iter().filter_map(id).collect()
}

#[tokio::test]
async fn rows_of_several_shards_are_locked_until_the_transaction_ends() {
    CLUSTER.admin("SHARD TABLE held BY (id)").await;
    let (client, other) = (CLUSTER.client().await, CLUSTER.client().await);
    client.batch_execute("CREATE TABLE held (id int PRIMARY KEY, v int)").await.unwrap();
    for id in 1..=12 {
        client.batch_execute(&format!("INSERT INTO held VALUES ({id}, 0)")).await.unwrap();
    }
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(ids(&client, "SELECT id FROM held WHERE id <= 6 ORDER BY id FOR UPDATE").await, [1, 2, 3, 4, 5, 6]);
    let free = "SELECT id FROM held ORDER BY id FOR UPDATE SKIP LOCKED";
    assert_eq!(ids(&other, free).await, [7, 8, 9, 10, 11, 12]);
    let refused = other.simple_query("SELECT id FROM held FOR SHARE NOWAIT").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "55P03");
    client.batch_execute("UPDATE held SET v = 1 WHERE id = 3").await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ids(&other, free).await.len(), 12);
    assert_eq!(ids(&other, "SELECT v FROM held WHERE id = 3").await, [1]);
}

#[tokio::test]
async fn what_would_lock_other_rows_than_one_postgresql_is_refused() {
    CLUSTER.admin("SHARD TABLE kept BY (id)").await;
    CLUSTER.admin("REFERENCE TABLE label").await;
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE kept (id int PRIMARY KEY, v int)").await.unwrap();
    client.batch_execute("CREATE TABLE label (v int PRIMARY KEY, name text)").await.unwrap();
    for sql in [
        "SELECT id FROM kept ORDER BY id LIMIT 2 FOR UPDATE",
        "SELECT id FROM kept OFFSET 1 FOR UPDATE",
        "SELECT id FROM kept JOIN label USING (v) FOR UPDATE",
        "SELECT a.id FROM kept a JOIN kept b ON a.v = b.v FOR UPDATE",
        "SELECT count(*) FROM (SELECT id FROM kept FOR UPDATE) locked",
    ] {
        let refused = client.simple_query(sql).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "0A000", "{sql}");
    }
}

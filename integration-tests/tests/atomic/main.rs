//! Atomic: transactions that write on several shards are committed on all of them or on none, and every row of the
//! list in docs/transactions.md has its test here.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bank;
mod cases;
mod crashes;

use pgring_integration_tests::{Cluster, faults::eventually, shards};
use std::{sync::LazyLock, time::Duration};
use tokio_postgres::Client;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(3)));

const PATIENCE: Duration = Duration::from_secs(20);

/// One key on each of the three shards, of a table that is made with these columns beside its key.
async fn table(cluster: &Cluster, name: &str, columns: &str) -> [i64; 3] {
    cluster.admin(&format!("SHARD TABLE {name} BY (id)")).await;
    let client = cluster.client().await;
    client.batch_execute(&format!("CREATE TABLE {name} (id bigint PRIMARY KEY, {columns})")).await.unwrap();
    let mut keys = [0; 3];
    for id in 1..200i64 {
        let owner: String =
            client.query_one(&format!("SELECT pgring.shard_of('{name}', {id})"), &[]).await.unwrap().get(0);
        let place = &mut keys[owner.trim_start_matches('s').parse::<usize>().unwrap()];
        if *place == 0 {
            *place = id;
        }
        if keys.iter().all(|key| *key != 0) {
            break;
        }
    }
    for id in keys {
        client.batch_execute(&format!("INSERT INTO {name} (id) VALUES ({id})")).await.unwrap();
    }
    keys
}

async fn code(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => "ok".into(),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

/// The values of column `v` in the order of the keys, as the shards themselves have them.
async fn values(cluster: &Cluster, name: &str, keys: [i64; 3]) -> Vec<i64> {
    let mut found = Vec::new();
    for (shard, key) in keys.iter().enumerate() {
        let client = cluster.shard_client(shard).await;
        found.push(client.query_one(&format!("SELECT v FROM {name} WHERE id = {key}"), &[]).await.unwrap().get(0));
    }
    found
}

async fn prepared(cluster: &Cluster) -> i64 {
    let mut all = 0;
    for shard in 0..cluster.shard_count() {
        let client = cluster.shard_client(shard).await;
        all += client.query_one("SELECT count(*) FROM pg_prepared_xacts", &[]).await.unwrap().get::<_, i64>(0);
    }
    all
}

#[tokio::test]
async fn a_transaction_over_several_shards_is_committed_on_all() {
    let keys @ [a, b, c] = table(&CLUSTER, "whole", "v bigint NOT NULL DEFAULT 0").await;
    let client = CLUSTER.client().await;
    let all = |change: &str| [a, b, c].map(|key| format!("UPDATE whole SET v = v {change} WHERE id = {key}")).join(";");
    assert_eq!(code(&client, &format!("BEGIN;{};COMMIT", all("+ 1"))).await, "ok");
    assert_eq!(values(&CLUSTER, "whole", keys).await, [1, 1, 1]);
    assert_eq!(code(&client, &format!("BEGIN;{};ROLLBACK", all("+ 1"))).await, "ok");
    assert_eq!(code(&client, &format!("{};SELECT 1", all("+ 1"))).await, "ok");
    assert_eq!(values(&CLUSTER, "whole", keys).await, [2, 2, 2]);
    assert_eq!(code(&client, &format!("{};SELECT 1/0", all("+ 1"))).await, "22012");
    assert_eq!(values(&CLUSTER, "whole", keys).await, [2, 2, 2]);
    assert_eq!(prepared(&CLUSTER).await, 0);
}

#[tokio::test]
async fn what_fails_on_one_shard_at_commit_fails_on_all() {
    let deferred = "v bigint NOT NULL DEFAULT 0 REFERENCES target (id) DEFERRABLE INITIALLY DEFERRED";
    CLUSTER.admin("REFERENCE TABLE target").await;
    CLUSTER.client().await.batch_execute("CREATE TABLE target (id bigint PRIMARY KEY)").await.unwrap();
    CLUSTER.on_every_shard("INSERT INTO target VALUES (0), (1)").await;
    let keys @ [a, b, c] = table(&CLUSTER, "deferred", deferred).await;
    let client = CLUSTER.client().await;
    // The first writer decides, the others are prepared: each in turn.
    for order in [[a, b, c], [b, c, a], [c, a, b]] {
        let one = |place: usize, v: i64| format!("UPDATE deferred SET v = {v} WHERE id = {}", order[place]);
        for failing in 0..3 {
            let writes: Vec<String> = (0..3).map(|place| one(place, if place == failing { 7 } else { 1 })).collect();
            assert_eq!(code(&client, &format!("BEGIN;{}", writes.join(";"))).await, "ok");
            assert_eq!(code(&client, "COMMIT").await, "23503");
            assert_eq!(values(&CLUSTER, "deferred", keys).await, [0, 0, 0]);
        }
    }
    eventually("nothing is left prepared", PATIENCE, || async { (prepared(&CLUSTER).await == 0).then_some(()) }).await;
}

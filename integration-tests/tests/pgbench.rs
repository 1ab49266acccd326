//! pgbench through pgring with two shards: `pgbench -i`, then TPC-B-like transactions, whose rows lie on any shards; what must
//! add up, adds up.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::time::Duration;

use pgring_integration_tests::postgres::{DATABASE, binaries};
use pgring_integration_tests::program::{self, Ended};
use pgring_integration_tests::{Cluster, shards};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(180);
const NEED: &str = "pgbench (Debian, Ubuntu: apt-get install postgresql)";
/// Each table with its shard key: a transaction's account, teller and branch lie anywhere.
const TABLES: [(&str, &str); 4] =
    [("pgbench_accounts", "aid"), ("pgbench_tellers", "tid"), ("pgbench_branches", "bid"), ("pgbench_history", "aid")];

async fn pgbench(cluster: &Cluster, arguments: &[&str]) -> Ended {
    let mut command = Command::new(binaries().program("pgbench"));
    command.args(["-h", "127.0.0.1", "-p", &cluster.router().port().to_string(), "-U", "postgres"]);
    command.args(arguments).arg(DATABASE).env("PGPASSWORD", "postgres");
    program::start(command, "", NEED).end(LIMIT).await
}

async fn number(cluster: &Cluster, sql: &str) -> i64 {
    cluster.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn what_must_add_up_adds_up() {
    let cluster = Cluster::start(shards(2)).await;
    // DROP TABLE, which it begins with, forgets the rules of tables that are there.
    for _ in 0..2 {
        for (table, key) in TABLES {
            cluster.client().await.batch_execute(&format!("DROP TABLE IF EXISTS {table}")).await.unwrap();
            cluster.admin(&format!("SHARD TABLE {table} BY ({key})")).await;
        }
        let ended = pgbench(&cluster, &["-i", "-s", "2", "-q"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    assert_eq!(number(&cluster, "SELECT count(*) FROM pgbench_accounts").await, 200_000);
    for shard in 0..2 {
        let client = cluster.shard_client(shard).await;
        let rows: i64 = client.query_one("SELECT count(*) FROM pgbench_accounts", &[]).await.unwrap().get(0);
        assert!((60_000..140_000).contains(&rows), "{rows} accounts on s{shard}");
        let keys =
            "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid::regclass::text LIKE 'pgbench%'";
        let keys: i64 = client.query_one(keys, &[]).await.unwrap().get(0);
        assert_eq!(keys, 3);
    }
    let mut transactions = 0;
    for mode in ["simple", "extended", "prepared"] {
        let ended = pgbench(&cluster, &["-M", mode, "-c", "4", "-t", "40", "-n"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        assert!(ended.out.contains("number of transactions actually processed: 160/160"), "{ended}");
        transactions += 160;
    }
    assert_eq!(number(&cluster, "SELECT count(*) FROM pgbench_history").await, transactions);
    let total = number(&cluster, "SELECT coalesce(sum(delta), 0)::bigint FROM pgbench_history").await;
    for (table, column) in [("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance")] {
        let sql = format!("SELECT sum({column})::bigint FROM pgbench_{table}");
        assert_eq!(number(&cluster, &sql).await, total, "{table}");
    }
    for shard in 0..2 {
        let client = cluster.shard_client(shard).await;
        let left: i64 = client.query_one("SELECT count(*) FROM pg_prepared_xacts", &[]).await.unwrap().get(0);
        assert_eq!(left, 0, "prepared transactions on s{shard}");
    }
}

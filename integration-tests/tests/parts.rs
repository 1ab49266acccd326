//! Parts: groups that lie on several shards are combined from what each shard makes of its own rows; the rows stay there.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;

use pgring_integration_tests::client::describe;
use pgring_integration_tests::{Cluster, shards};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Rows of this table are larger together than what may be gathered.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(3)));

async fn lines(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
    let line = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    messages.into_iter().filter_map(line).collect()
}

#[tokio::test]
async fn shards_are_asked_for_parts_of_groups_and_not_for_rows() {
    CLUSTER.admin("SHARD TABLE sale BY (id)").await;
    let client = CLUSTER.client().await;
    client
        .batch_execute("CREATE TABLE sale (id int PRIMARY KEY, kind text, at date, price numeric(8,2))")
        .await
        .unwrap();
    for id in 0..30 {
        let sql = format!("INSERT INTO sale VALUES ({id}, 'kind {}', '2024-01-01', {id}.50)", id % 3);
        client.batch_execute(&sql).await.unwrap();
    }
    for (sql, answer) in [
        ("SELECT kind FROM sale GROUP BY kind HAVING sum(price) > 150 ORDER BY kind", &["kind 2"][..]),
        ("SELECT sum(price) / count(*) FROM sale", &["15.0000000000000000"]),
        ("SELECT DISTINCT kind FROM sale ORDER BY kind DESC", &["kind 2", "kind 1", "kind 0"]),
        ("SELECT bit_or(id)::text || bool_and(price > 1) FROM sale", &["31false"]),
        ("SELECT rank() OVER (ORDER BY avg(price) DESC) FROM sale GROUP BY kind ORDER BY 1", &["1", "2", "3"]),
    ] {
        assert_eq!(lines(&client, sql).await, answer, "{sql}");
        let explained = lines(&client, &format!("EXPLAIN {sql}")).await.join("\n");
        assert!(explained.contains("AS g0") || explained.contains("AS p0"), "{sql}: {explained}");
    }
    // A column that is neither grouped by nor in an aggregate hangs on the primary key: the rows are needed.
    let whole = "SELECT id, kind FROM sale GROUP BY id HAVING count(*) > 0 ORDER BY kind, id";
    assert_eq!(lines(&client, whole).await.len(), 30);
}

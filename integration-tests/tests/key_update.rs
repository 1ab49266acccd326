//! Key updates: a row gets another shard key where that leads to the same shard; else the statement is refused.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use pgring_integration_tests::client::describe;
use pgring_integration_tests::{Cluster, shards};
use tokio_postgres::{Client, SimpleQueryMessage};

/// First column of each row, or the SQLSTATE.
async fn texts(client: &Client, sql: &str) -> Result<Vec<String>, String> {
    let messages = client.simple_query(sql).await.map_err(|error| match error.code() {
        Some(code) => code.code().to_owned(),
        None => describe(&error),
    })?;
    let text = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(text).collect())
}

async fn home(client: &Client, key: i32) -> String {
    texts(client, &format!("SELECT pgring.shard_of('moved', '{key}')")).await.unwrap().concat()
}

#[tokio::test]
async fn a_key_changes_where_its_row_stays_on_its_shard_and_nowhere_else() {
    let cluster = Cluster::start(shards(4)).await;
    cluster.admin("SHARD TABLE moved BY (tenant)").await;
    let client = cluster.client().await;
    let columns = "tenant bigint, id int, note text, PRIMARY KEY (tenant, id)";
    client.batch_execute(&format!("CREATE TABLE moved ({columns})")).await.unwrap();
    client.batch_execute("INSERT INTO moved VALUES (1, 1, 'first')").await.unwrap();
    let (mut at, mut stayed, mut refused) = (1, 0, 0);
    for to in 2..30 {
        let sql =
            format!("UPDATE moved SET tenant = {to}, note = 'n{to}' WHERE tenant = {at} AND id = 1 RETURNING tenant");
        if home(&client, at).await == home(&client, to).await {
            let done = client.simple_query(&sql).await;
            assert!(done.is_ok(), "{sql}: {}", describe(&done.unwrap_err()));
            at = to;
            stayed += 1;
        } else {
            assert_eq!(texts(&client, &sql).await, Err("0A000".into()), "{sql}");
            refused += 1;
        }
        let note = texts(&client, &format!("SELECT tenant FROM moved WHERE tenant = {at}")).await.unwrap();
        assert_eq!(note, [at.to_string()]);
        assert_eq!(texts(&client, "SELECT count(*) FROM moved").await.unwrap(), ["1"]);
    }
    assert!(stayed > 0 && refused > 0, "{stayed} {refused}");

    // A program that writes whole rows writes the key that is there.
    let whole = client.prepare("UPDATE moved SET tenant = $1, note = $2 WHERE tenant = $1 AND id = $3").await.unwrap();
    assert_eq!(client.execute(&whole, &[&i64::from(at), &"whole", &1]).await.unwrap(), 1);
    let two = client.prepare("UPDATE moved SET tenant = $1 WHERE tenant = $2").await.unwrap();
    assert_eq!(client.execute(&two, &[&i64::from(at), &i64::from(at)]).await.unwrap(), 1);
    let error = client.execute(&two, &[&None::<i64>, &i64::from(at)]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23502", "{}", describe(&error));
    let upsert = format!(
        "INSERT INTO moved VALUES ({at}, 1, 'new') ON CONFLICT (tenant, id) DO UPDATE SET tenant = excluded.tenant, \
         id = excluded.id, note = excluded.note RETURNING note"
    );
    assert_eq!(texts(&client, &upsert).await, Ok(vec!["new".into()]));
    for sql in ["UPDATE moved SET tenant = tenant + 1 WHERE tenant = 1", "UPDATE moved SET tenant = 5 WHERE id = 1"] {
        assert_eq!(texts(&client, sql).await, Err("0A000".into()), "{sql}");
    }
    assert_eq!(texts(&client, "SELECT note FROM moved").await.unwrap(), ["new"]);
}

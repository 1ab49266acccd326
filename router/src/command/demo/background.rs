//! Background: something to look at. In: a router with the sample tables. Out: point reads and writes, a few hundred
//! per second, until it is dropped. Never: ends because a statement failed.

use super::{DATABASE, url};
use crate::serve::Running;
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep};
use tokio_postgres::{Client, NoTls};

/// Clients at a time.
const CLIENTS: usize = 4;

/// Between two statements of a client.
const PAUSE: Duration = Duration::from_millis(10);

/// After a lost connection.
const RETRY: Duration = Duration::from_secs(1);

/// Starts it; it ends when the set is dropped.
pub(super) fn start(running: &Running) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let url = url(running, DATABASE);
        clients.spawn(async move {
            loop {
                if let Err(error) = session(&url).await {
                    tracing::debug!(%error, "a client of the background load starts again");
                }
                sleep(RETRY).await;
            }
        });
    }
    clients
}

async fn session(url: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with its client.
    let _driver = tokio::spawn(connection);
    let read = client.prepare("SELECT name, country FROM customers WHERE customer_id = $1").await?;
    let orders = client.prepare("SELECT order_id, total FROM orders WHERE customer_id = $1").await?;
    let write = client.prepare("UPDATE orders SET status = $2 WHERE customer_id = $1").await?;
    let most = most(&client).await?;
    loop {
        let id = rand::random_range(1..=most);
        match rand::random_range(0..10) {
            0 => drop(client.execute(&write, &[&id, &"paid"]).await?),
            1..=3 => drop(client.query(&orders, &[&id]).await?),
            _ => drop(client.query(&read, &[&id]).await?),
        }
        sleep(PAUSE).await;
    }
}

/// The highest number of a customer.
async fn most(client: &Client) -> Result<i64, tokio_postgres::Error> {
    let row = client.query_one("SELECT max(customer_id) FROM customers", &[]).await?;
    Ok(row.try_get::<_, Option<i64>>(0)?.unwrap_or(1))
}

//! Shop: the sample tables. In: the router, and the shards beside it. Out: tables that were made through the router,
//! and rows that were loaded shard by shard. Never: touches tables that have rows.

use super::{DATABASE, servers::Servers};
use crate::{cluster::Cluster, control, control::ControlError};
use pgring_config::{
    ids::ShardIndex,
    key::KeyValue,
    tables::{TableKind, TableName},
};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

/// Rules and tables, as a user would say them to the router.
const SCHEMA: &[&str] = &[
    "CALL pgring.admin('SHARD TABLE customers BY (customer_id)')",
    "CALL pgring.admin('SHARD TABLE orders BY (customer_id)')",
    "CALL pgring.admin('SHARD TABLE order_items BY (customer_id)')",
    "CALL pgring.admin('REFERENCE TABLE products')",
    "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text NOT NULL, email text, country text, \
     created_at timestamptz DEFAULT now())",
    "CREATE TABLE products (product_id bigint PRIMARY KEY, name text, price numeric(10,2))",
    "CREATE TABLE orders (order_id bigint, customer_id bigint REFERENCES customers, status text, total numeric(12,2), \
     ordered_at timestamptz, PRIMARY KEY (customer_id, order_id))",
    "CREATE TABLE order_items (customer_id bigint, order_id bigint, line_no int, \
     product_id bigint REFERENCES products, quantity int, price numeric(10,2), \
     PRIMARY KEY (customer_id, order_id, line_no), FOREIGN KEY (customer_id, order_id) REFERENCES orders)",
];

/// Products, the same on every shard.
const PRODUCTS: &str = "INSERT INTO public.products
    SELECT id, 'Product ' || id, (5 + id * 37 % 200) + 0.99 FROM generate_series(1, 100) AS id ON CONFLICT DO NOTHING";

/// The customers `$1` with two orders each, of two items each.
const ROWS: &[&str] = &[
    "INSERT INTO public.customers SELECT id, 'Customer ' || id, 'customer' || id || '@example.com',
        (ARRAY['AT','BR','CA','DE','FR','IN','JP','US'])[1 + id % 8], now() - id % 1000 * interval '1 day'
     FROM unnest($1::bigint[]) AS id",
    "INSERT INTO public.orders
     SELECT (id - 1) * 2 + nth, id, (ARRAY['new','paid','shipped','done'])[1 + (id + nth) % 4],
        (SELECT sum(p.price * (1 + (id + nth + line) % 5)) FROM generate_series(1, 2) AS line
            JOIN public.products p ON p.product_id = 1 + (id * 7 + nth * 3 + line) % 100),
        now() - (id + nth) % 365 * interval '1 day'
     FROM unnest($1::bigint[]) AS id, generate_series(1, 2) AS nth",
    "INSERT INTO public.order_items
     SELECT id, (id - 1) * 2 + nth, line, p.product_id, 1 + (id + nth + line) % 5, p.price
     FROM unnest($1::bigint[]) AS id, generate_series(1, 2) AS nth, generate_series(1, 2) AS line
     JOIN public.products p ON true WHERE p.product_id = 1 + (id * 7 + nth * 3 + line) % 100",
];

/// Customers that one statement loads.
const CHUNK: usize = 50_000;

/// Why there are no sample tables.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShopError {
    #[error("{}", said(.0))]
    Sql(#[from] tokio_postgres::Error),
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("table customers is not sharded")]
    NotSharded,
    #[error("a shard was not loaded to its end")]
    Broken,
}

fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(reported) => {
            let rest = [reported.detail(), reported.hint()].into_iter().flatten().collect::<Vec<_>>().join(". ");
            format!("{} ({}). {rest}", reported.message(), reported.code().code())
        }
        None => error.to_string(),
    }
}

/// Makes the tables and rows, unless there are some.
pub(super) async fn make(
    url: &str,
    servers: &Servers,
    cluster: &Arc<Cluster>,
    customers: u64,
) -> Result<(), ShopError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    let known: bool =
        client.query_one("SELECT to_regclass('public.order_items') IS NOT NULL", &[]).await?.try_get(0)?;
    if !known {
        println!("making sample tables …");
        for statement in SCHEMA {
            client.batch_execute(statement).await?;
        }
    }
    drop(client);
    driver.abort();
    let parts = spread(cluster, customers)?;
    let mut loads = JoinSet::new();
    for (shard, ids) in servers.shards().iter().zip(parts) {
        let connection = shard.primary.connection_string(DATABASE);
        let tls = cluster.server_tls.load_full();
        loads.spawn(async move { load(&control::connect(&connection, DATABASE, &tls).await?, &ids).await });
    }
    while let Some(loaded) = loads.join_next().await {
        loaded.map_err(|_| ShopError::Broken)??;
    }
    Ok(())
}

/// The numbers of the customers by shard, in the order of the topology.
fn spread(cluster: &Cluster, customers: u64) -> Result<Vec<Vec<i64>>, ShopError> {
    let database = cluster.database(DATABASE).ok_or(ShopError::NotSharded)?;
    let snapshot = database.snapshot();
    let topology = &snapshot.topology;
    let TableKind::Sharded(table) = topology.kind(&TableName::new("public", "customers")) else {
        return Err(ShopError::NotSharded);
    };
    let mut parts = vec![Vec::new(); topology.shards.len()];
    for id in 1..=i64::try_from(customers).unwrap_or(i64::MAX) {
        let owner = topology.owner(table.group, &KeyValue::Integer(id));
        if let Some(part) = owner.and_then(|ShardIndex(at)| parts.get_mut(usize::from(at))) {
            part.push(id);
        }
    }
    Ok(parts)
}

/// Loads one shard, all or nothing, unless it has rows.
async fn load(client: &tokio_postgres::Client, ids: &[i64]) -> Result<(), ShopError> {
    if client.query_one("SELECT EXISTS (SELECT FROM public.customers)", &[]).await?.try_get(0)? {
        return Ok(());
    }
    client.batch_execute("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off").await?;
    client.batch_execute(PRODUCTS).await?;
    for chunk in ids.chunks(CHUNK) {
        for statement in ROWS {
            client.execute(*statement, &[&chunk]).await?;
        }
    }
    client.batch_execute("COMMIT").await?;
    client.batch_execute("ANALYZE public.customers, public.orders, public.order_items, public.products").await?;
    Ok(())
}

//! Deadlock: finds transactions that wait for each other over several shards, which no server sees by itself. In: who
//! waits for whom on each shard, which backends work for which client, of every router that lives. Out: an end of the
//! youngest. Never: a transaction that waits on one shard alone (PostgreSQL finds those), a look while nobody waits.

mod graph;

use crate::{
    cluster::{self, Cluster, Database},
    pool::BackendState,
    recovery::{Clients, RecoveryError},
    registry::Doing,
};
use graph::{Graph, Wait};
use pgring_config::{error::CatalogError, ids::ShardIndex};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::{Client, Row};

/// How often it is looked whether somebody waits.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked again while somebody runs a statement for long, and nobody waits for a lock.
const REST: Duration = Duration::from_secs(1);
/// Who has run one statement for so many seconds may be waiting for a lock.
const LONG: f64 = 0.4;

/// A backend that works for a client in a transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Working {
    /// Number of the client at its router.
    client: i32,
    shard: String,
    pid: i32,
}

/// What goes wrong while it is looked.
#[derive(Debug, thiserror::Error)]
enum DeadlockError {
    #[error("{0}")]
    Catalog(#[from] CatalogError),
    #[error("{0}")]
    Shard(#[from] RecoveryError),
}

/// Looks for deadlocks until the database is gone.
pub async fn keep(cluster: Weak<Cluster>, database: Weak<Database>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clients = Clients::default();
    let mut told = false;
    loop {
        ticks.tick().await;
        let (Some(cluster), Some(database)) = (cluster.upgrade(), database.upgrade()) else { break };
        if database.catalog.is_none() {
            break;
        }
        if database.snapshot().topology.shards.len() < 2 || !somebody_waits(&cluster, &database) {
            if std::mem::take(&mut told) {
                publish(&cluster, &database, &[]).await.ok();
            }
            continue;
        }
        told = true;
        let waited = look(&cluster, &database, &mut clients).await.unwrap_or_else(|error| {
            tracing::debug!(database = %database.name, %error, "deadlocks cannot be looked for now");
            false
        });
        drop((cluster, database));
        if !waited {
            tokio::time::sleep(REST).await;
        }
    }
}

/// A client of this database has run its statement for long.
fn somebody_waits(cluster: &Cluster, database: &Database) -> bool {
    let waits = |client: &Arc<cluster::Client>| {
        *client.database == *database.name && client.doing() == Doing::Active && client.doing_for() >= LONG
    };
    cluster.clients.all().iter().any(waits)
}

/// The backends that work for clients of this database.
fn working(cluster: &Cluster, database: &Database) -> Vec<Working> {
    let mut all = Vec::new();
    for pool in cluster.pools.all().iter().filter(|pool| pool.key.database == database.name) {
        for backend in pool.backends() {
            if let BackendState::Active(client) = backend.state() {
                all.push(Working { client, shard: pool.key.server.as_str().to_owned(), pid: backend.pid });
            }
        }
    }
    all
}

/// Tells the other routers whom this one's backends work for; returns the same of all that live.
async fn publish(
    cluster: &Cluster,
    database: &Database,
    working: &[Working],
) -> Result<HashMap<String, Vec<Working>>, DeadlockError> {
    let Some(catalog) = &database.catalog else { return Ok(HashMap::new()) };
    let text = if working.is_empty() { String::new() } else { serde_json::to_string(working).unwrap_or_default() };
    let all = catalog.publish_waits(cluster.flights.incarnation(), &text).await?;
    let read = |(router, text): (String, String)| Some((router, serde_json::from_str(&text).ok()?));
    Ok(all.into_iter().filter_map(read).collect())
}

/// Breaks what deadlocks there are; returns whether anybody waits for a lock.
async fn look(cluster: &Arc<Cluster>, database: &Arc<Database>, clients: &mut Clients) -> Result<bool, DeadlockError> {
    let working = working(cluster, database);
    let mut everywhere = publish(cluster, database, &working).await?;
    let own = cluster.flights.incarnation().to_owned();
    everywhere.insert(own.clone(), working);
    let mut owners = HashMap::new();
    for (router, backends) in everywhere {
        for backend in backends {
            owners.insert((backend.shard, backend.pid), (router.clone(), backend.client));
        }
    }
    let mut graph = Graph::default();
    let snapshot = database.snapshot().clone();
    let mut waited = false;
    for (at, shard) in snapshot.topology.shards.iter().enumerate() {
        let name = shard.name.as_str();
        // One that does not answer has nobody who waits there for long.
        let Ok(client) = clients.client(database, &snapshot, ShardIndex(at as u16)).await else { continue };
        let Ok(sessions) = sessions(client).await else { continue };
        for session in sessions {
            waited |= !session.waits_for.is_empty();
            let node = |pid: i32| owners.get(&(name.to_owned(), pid)).cloned();
            let Some(waiter) = node(session.pid) else { continue };
            graph.began(&waiter, session.began);
            for holder in session.waits_for.into_iter().filter_map(node) {
                graph.add(Wait { waiter: waiter.clone(), holder, shard: name.to_owned() });
            }
        }
    }
    for (router, client) in graph.victims() {
        if router == own
            && let Some(client) = cluster.clients.get(client)
        {
            tracing::info!(client = client.id, "a deadlock over several shards is broken");
            client.break_deadlock();
            cluster::cancel(&client).await;
        }
    }
    Ok(waited)
}

/// A client of this router that waits for a lock.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The client.
    pub client: i32,
    /// Where it waits.
    pub shard: String,
    /// The client that holds the lock; None: no client of this router.
    pub holder: Option<i32>,
    /// Seconds since its statement began.
    pub seconds: f64,
}

/// The clients of this router that wait for locks at this moment, on the shards that answer.
pub async fn waiting(cluster: &Cluster, database: &Database) -> Vec<Waiting> {
    let own: HashMap<(String, i32), i32> =
        working(cluster, database).into_iter().map(|one| ((one.shard, one.pid), one.client)).collect();
    let snapshot = database.snapshot().clone();
    let mut clients = Clients::default();
    let mut all = Vec::new();
    for (at, shard) in snapshot.topology.shards.iter().enumerate() {
        let Ok(client) = clients.client(database, &snapshot, ShardIndex(at as u16)).await else { continue };
        let Ok(sessions) = sessions(client).await else { continue };
        let node = |pid: i32| own.get(&(shard.name.to_string(), pid)).copied();
        for session in &sessions {
            let Some(client) = node(session.pid) else { continue };
            all.extend(session.waits_for.iter().map(|holder| Waiting {
                client,
                shard: shard.name.to_string(),
                holder: node(*holder),
                seconds: session.runs,
            }));
        }
    }
    all
}

/// A transaction on a shard.
struct Open {
    pid: i32,
    /// When it began there, in seconds.
    began: f64,
    /// Seconds since its statement began.
    runs: f64,
    waits_for: Vec<i32>,
}

/// The transactions on a shard.
async fn sessions(client: &Client) -> Result<Vec<Open>, RecoveryError> {
    const OPEN: &str = "SELECT pid, extract(epoch FROM xact_start)::float8,
        extract(epoch FROM clock_timestamp() - query_start)::float8,
        CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END
        FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL";
    let rows = client.query(OPEN, &[]).await?;
    let open = |row: &Row| Open { pid: row.get(0), began: row.get(1), runs: row.get(2), waits_for: row.get(3) };
    Ok(rows.iter().map(open).collect())
}

//! Sweep: looks, again and again, for what crashes left behind. In: every shard's prepared transactions and decisions,
//! the leases of routers. Out: ends, and what is in doubt. Never: a transaction that a living router is committing.

use super::{
    RecoveryError, Verdict,
    arbiter::{self, arbitrate, finish_on},
    shards::{self, Clients},
};
use crate::{
    cluster::{Cluster, Database, InDoubt, Snapshot},
    metrics::IN_DOUBT,
};
use pgring_config::{gid::Gid, ids::ShardIndex};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_postgres::Client;

/// How often this router says that it lives.
const RENEW: Duration = Duration::from_secs(1);
/// A transaction of another router that lives is left alone for so long.
const YOUNG: f64 = 30.0;
/// How often rows that nobody needs any more are removed.
const TIDY: Duration = Duration::from_secs(60);
/// Decisions of one shard that are looked at in one sweep.
const BATCH: i64 = 10_000;

/// A prepared transaction of pgring's.
struct Prepared {
    gid: Gid,
    age: f64,
}

/// What is found in one sweep.
#[derive(Default)]
struct Found {
    prepared: BTreeMap<ShardIndex, Vec<Prepared>>,
    /// Every shard has answered.
    whole: bool,
}

/// Incarnations of routers that live; None: not known yet.
type Alive = watch::Sender<Option<HashSet<String>>>;

/// Renews this router's lease and ends what crashes left behind, until the database is gone.
pub async fn keep(cluster: Weak<Cluster>, database: Weak<Database>) {
    let alive = watch::Sender::new(None);
    // A shard that does not answer holds up a sweep, and must not hold up the lease.
    tokio::join!(renew(&cluster, &database, &alive), sweeps(&cluster, &database, &alive));
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn renew(cluster: &Weak<Cluster>, database: &Weak<Database>, alive: &Alive) {
    let mut ticks = ticks(RENEW);
    loop {
        ticks.tick().await;
        let (Some(cluster), Some(database)) = (cluster.upgrade(), database.upgrade()) else { break };
        let Some(catalog) = &database.catalog else { break };
        let address = cluster.settings.load().general.advertised();
        match catalog.renew_lease(cluster.flights.incarnation(), &address).await {
            Ok(incarnations) => {
                alive.send_replace(Some(incarnations));
            }
            Err(error) => tracing::debug!(database = %database.name, %error, "this router's lease cannot be renewed"),
        }
    }
}

async fn sweeps(cluster: &Weak<Cluster>, database: &Weak<Database>, alive: &Alive) {
    let mut known = alive.subscribe();
    // Who lives is known before the first, where the catalog answers.
    tokio::time::timeout(RENEW * 3, known.wait_for(Option::is_some)).await.ok();
    let mut clients = Clients::default();
    let mut tidied = Instant::now();
    loop {
        let every = {
            let (Some(cluster), Some(database)) = (cluster.upgrade(), database.upgrade()) else { break };
            let Some(catalog) = &database.catalog else { break };
            let alive = alive.borrow().clone();
            let tidies = tidied.elapsed() >= TIDY;
            sweep(&cluster, &database, &mut clients, alive.as_ref(), tidies).await;
            if tidies {
                catalog.forget_routers().await.ok();
                tidied = Instant::now();
            }
            cluster.settings.load().transactions.recovery_interval
        };
        tokio::time::sleep(every).await;
    }
}

/// Looks at every shard once.
async fn sweep(
    cluster: &Cluster,
    database: &Database,
    clients: &mut Clients,
    alive: Option<&HashSet<String>>,
    tidies: bool,
) {
    let snapshot = database.snapshot().clone();
    let decided = decisions(database, &snapshot, clients, cluster).await;
    let found = look(cluster, database, &snapshot, clients).await;
    let mut in_doubt = Vec::new();
    for (shard, prepared) in &found.prepared {
        for one in prepared {
            if is_another_ones(cluster, one, alive) {
                continue;
            }
            if let Err(error) = end(database, &snapshot, clients, *shard, &one.gid).await {
                let name = snapshot.topology.shard(*shard).name.clone();
                tracing::warn!(gid = %one.gid, shard = %name, %error, "a transaction is in doubt");
                in_doubt.push((one.gid.clone(), *shard));
            }
        }
    }
    let lost = confirm(database, &snapshot, clients, &found, decided).await;
    IN_DOUBT.set((in_doubt.len() + lost.len()) as f64);
    if tidies && found.whole {
        tidy(database, &snapshot, clients).await;
    }
    database.note_lost(lost);
}

/// Whether it is to be left alone: this router commits it now, or another that lives may be about to.
fn is_another_ones(cluster: &Cluster, one: &Prepared, alive: Option<&HashSet<String>>) -> bool {
    if one.gid.incarnation() == cluster.flights.incarnation() {
        return cluster.flights.has(&one.gid);
    }
    // Where nobody can say who lives, all may.
    one.age < YOUNG && alive.is_none_or(|alive| alive.contains(one.gid.incarnation()))
}

/// The prepared transactions of every shard that answers.
async fn look(cluster: &Cluster, database: &Database, snapshot: &Snapshot, clients: &mut Clients) -> Found {
    let mut found = Found { whole: true, ..Found::default() };
    let name = cluster.settings.load().general.cluster.to_string();
    for shard in all(snapshot) {
        let listed = match clients.client(database, snapshot, shard).await {
            Ok(client) => list(client, &name).await,
            Err(error) => Err(error),
        };
        match listed {
            Ok(prepared) => {
                found.prepared.insert(shard, prepared);
            }
            Err(_) => found.whole = false,
        }
    }
    found
}

async fn list(client: &Client, cluster: &str) -> Result<Vec<Prepared>, RecoveryError> {
    const PREPARED: &str = "SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8
        FROM pg_prepared_xacts WHERE database = current_database() AND gid LIKE 'pgring\\_%' ORDER BY gid";
    let rows = client.query(PREPARED, &[]).await?;
    let one = |row: &tokio_postgres::Row| Some(Prepared { gid: Gid::parse(row.get(0), cluster)?, age: row.get(1) });
    Ok(rows.iter().filter_map(one).collect())
}

fn all(snapshot: &Snapshot) -> impl Iterator<Item = ShardIndex> {
    (0..snapshot.topology.shards.len()).map(|at| ShardIndex(at as u16))
}

/// Ends a prepared transaction on one shard by the verdict of its decider.
async fn end(
    database: &Database,
    snapshot: &Snapshot,
    clients: &mut Clients,
    shard: ShardIndex,
    gid: &Gid,
) -> Result<(), RecoveryError> {
    let decider = arbiter::decider(snapshot, gid)?;
    let client = clients.client(database, snapshot, decider).await?;
    let verdict = arbitrate(client, database, snapshot, decider, gid).await?;
    let client = clients.client(database, snapshot, shard).await?;
    finish_on(client, gid, verdict).await?;
    tracing::info!(%gid, shard = %snapshot.topology.shard(shard).name, %verdict, "a transaction was ended by recovery");
    Ok(())
}

/// A decision that is not known to have reached everybody.
struct Decided {
    gid: Gid,
    decider: ShardIndex,
    participants: Vec<String>,
    age: f64,
}

/// Decisions of every shard, read before its prepared transactions are.
async fn decisions(database: &Database, snapshot: &Snapshot, clients: &mut Clients, cluster: &Cluster) -> Vec<Decided> {
    const UNFINISHED: &str = "SELECT gid, participants, extract(epoch FROM clock_timestamp() - at)::float8
        FROM pgring.decisions WHERE NOT finished AND at < clock_timestamp() - interval '1 second'
        ORDER BY at LIMIT $1";
    let name = cluster.settings.load().general.cluster.to_string();
    let mut decided = Vec::new();
    for decider in all(snapshot) {
        let Ok(client) = clients.client(database, snapshot, decider).await else { continue };
        let Ok(rows) = client.query(UNFINISHED, &[&BATCH]).await else { continue };
        decided.extend(rows.iter().filter_map(|row| {
            let gid = Gid::parse(row.get(0), &name)?;
            (!cluster.flights.has(&gid)).then(|| Decided { gid, decider, participants: row.get(1), age: row.get(2) })
        }));
    }
    decided
}

/// Looks whether what was decided has reached everybody: each participant has either the prepared transaction or the row
/// of the committed one. Returns what is lost.
async fn confirm(
    database: &Database,
    snapshot: &Snapshot,
    clients: &mut Clients,
    found: &Found,
    decided: Vec<Decided>,
) -> Vec<InDoubt> {
    let mut asked: BTreeMap<ShardIndex, Vec<String>> = BTreeMap::new();
    for one in &decided {
        for name in &one.participants {
            if let Some(shard) = snapshot.topology.shard_by_name(name) {
                asked.entry(shard).or_default().push(one.gid.to_string());
            }
        }
    }
    let mut there: HashMap<ShardIndex, HashSet<String>> = HashMap::new();
    for (shard, gids) in asked {
        const TOOK_PART: &str = "SELECT gid FROM pgring.participants WHERE gid = ANY($1)";
        let Ok(client) = clients.client(database, snapshot, shard).await else { continue };
        let Ok(rows) = client.query(TOOK_PART, &[&gids]).await else { continue };
        there.insert(shard, rows.iter().map(|row| row.get(0)).collect());
    }
    let mut lost = Vec::new();
    let mut finished: BTreeMap<ShardIndex, Vec<String>> = BTreeMap::new();
    for one in decided {
        let mut whole = true;
        for name in &one.participants {
            // A shard that was dropped has nothing to keep any more.
            let Some(shard) = snapshot.topology.shard_by_name(name) else { continue };
            let gid = one.gid.as_str();
            let has_row = there.get(&shard).map(|there| there.contains(gid));
            let prepared = found.prepared.get(&shard).map(|all| all.iter().any(|one| one.gid.as_str() == gid));
            match (has_row, prepared) {
                (Some(true), _) => {}
                (Some(false), Some(false)) => {
                    whole = false;
                    tracing::error!(%gid, shard = %name, "the shard has lost a transaction that is committed");
                    let shard = name.as_str().into();
                    lost.push(InDoubt { gid: one.gid.clone(), shard, age: one.age, decision: "lost" });
                }
                _ => whole = false,
            }
        }
        if whole {
            finished.entry(one.decider).or_default().push(one.gid.to_string());
        }
    }
    for (shard, gids) in finished {
        const FINISHED: &str = "UPDATE pgring.decisions SET finished = true WHERE gid = ANY($1)";
        if let Ok(client) = clients.client(database, snapshot, shard).await {
            client.execute(FINISHED, &[&gids]).await.ok();
        }
    }
    lost
}

/// Removes rows that nobody needs any more. A router may wake up days later and try to commit what was aborted for it.
async fn tidy(database: &Database, snapshot: &Snapshot, clients: &mut Clients) {
    const DECISIONS: &str = "DELETE FROM pgring.decisions WHERE finished
        AND at < clock_timestamp() - CASE verdict WHEN 'commit' THEN interval '10 minutes' ELSE interval '30 days' END
        RETURNING gid";
    const PARTICIPANTS: &str = "DELETE FROM pgring.participants WHERE gid = ANY($1)";
    let mut gone: Vec<String> = Vec::new();
    for shard in all(snapshot) {
        let Ok(client) = clients.client(database, snapshot, shard).await else { continue };
        let Ok(rows) = client.query(DECISIONS, &[]).await else { continue };
        gone.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    for shard in all(snapshot).filter(|_| !gone.is_empty()) {
        if let Ok(client) = clients.client(database, snapshot, shard).await {
            client.execute(PARTICIPANTS, &[&gone]).await.ok();
        }
    }
}

/// What is in doubt at this moment, on every shard that answers; nothing is decided by looking.
pub async fn in_doubt(cluster: &Cluster, database: &Arc<Database>) -> Vec<InDoubt> {
    let snapshot = database.snapshot().clone();
    let name = cluster.settings.load().general.cluster.to_string();
    let mut all_in_doubt = Vec::new();
    for shard in all(&snapshot) {
        let Ok(client) = shards::connect(database, &snapshot, shard).await else { continue };
        for Prepared { gid, age } in list(&client, &name).await.unwrap_or_default() {
            let decision = match decided(database, &snapshot, &gid).await {
                Some(Verdict::Commit) => "commit",
                Some(Verdict::Abort) => "abort",
                None => "unknown",
            };
            let shard = snapshot.topology.shard(shard).name.as_str().into();
            all_in_doubt.push(InDoubt { gid, shard, age, decision });
        }
    }
    all_in_doubt.extend(database.lost());
    all_in_doubt
}

async fn decided(database: &Database, snapshot: &Snapshot, gid: &Gid) -> Option<Verdict> {
    let decider = arbiter::decider(snapshot, gid).ok()?;
    let client = shards::connect(database, snapshot, decider).await.ok()?;
    arbiter::read(&client, gid).await.ok()?
}

//! Soak: clients of every manner for some time: they connect, work, pipeline, cancel and leave at random points. None
//! ever sees anything of another; afterwards nothing of them is left, and a second round needs no more memory.
//!
//! `PGRING_SOAK_SECONDS=600` goes on for longer, `PGRING_SOAK_SEED=7` plays other clients.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod acts;
mod leave;
mod player;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pgring_integration_tests::client::{any_tls, describe};
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::{Cluster, shards};
use player::{Player, Way, World};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio_postgres::Client;

/// Clients at a time.
const CLIENTS: u64 = 24;
/// Backends of each shard's pool.
const POOL: usize = 10;
/// What a second round may add to the router's memory, in bytes.
const MARGIN: u64 = 4 << 20;
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Two shards behind TCP, TLS and a Unix-domain socket.
fn cluster(folder: &std::path::Path) -> Cluster {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert, secret) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    let options = shards(2)
        .also_listen(&format!("unix:{}", folder.display()))
        .with(&format!("[tls]\ncert = \"{}\"\nkey = \"{}\"", cert.display(), secret.display()))
        .with(&format!("[pool]\nsize = {POOL}\nqueue_timeout = \"60s\""))
        .with("[auth]\nmethods = [\"trust\"]");
    Cluster::launch(options)
}

async fn prepare(cluster: &Cluster) {
    cluster.on_every_shard("CREATE ROLE soaker SUPERUSER").await;
    cluster.admin("SHARD TABLE sharded BY (id)").await;
    let client = cluster.client().await;
    for sql in [
        "CREATE TABLE plain (owner bigint, note text)",
        "CREATE TABLE counter (id int PRIMARY KEY, n bigint)",
        "INSERT INTO counter SELECT g, 0 FROM generate_series(0, 3) g",
        "CREATE TABLE sharded (id bigint PRIMARY KEY, owner bigint)",
    ] {
        client.batch_execute(sql).await.unwrap();
    }
}

/// Clients come and go until the time is over.
async fn round(world: &Arc<World>, seed: u64, lasts: Duration) -> u64 {
    let (begun, visits) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut slots = JoinSet::new();
    for slot in 0..CLIENTS {
        let (world, visits) = (world.clone(), visits.clone());
        slots.spawn(async move {
            for visit in 0.. {
                if begun.elapsed() > lasts {
                    return;
                }
                let mut random = StdRng::seed_from_u64(seed ^ (slot << 48) ^ (visit << 16));
                let way = [Way::Tcp, Way::Tcp, Way::Unix, Way::Tls][random.random_range(0..4)];
                let mut player = Player::enter(world.clone(), random, way).await;
                let acts = player.random.random_range(0..12);
                for _ in 0..acts {
                    player.act().await;
                }
                player.leave().await;
                visits.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = slots.join_next().await {
        if let Err(error) = ended {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    visits.load(Ordering::Relaxed)
}

async fn count(server: &Client, sql: &str) -> i64 {
    server.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error))).get(0)
}

/// What must not be left on a shard, and how many there may be.
const LEFT: &[(&str, &str)] = &[
    (
        "transactions and statements",
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
         AND state <> 'idle'",
    ),
    ("advisory locks", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
    ("listening connections", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgring listener'"),
    ("temporary tables", "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"),
    ("prepared transactions", "SELECT count(*) FROM pg_prepared_xacts"),
];

/// Nothing of the clients is left.
async fn is_clean(cluster: &Cluster) {
    let is_alone = || async {
        let clients = cluster.admin("SHOW CLIENTS").await;
        (clients.len() == 1).then_some(())
    };
    eventually("no client but the watcher", PATIENCE, is_alone).await;
    let is_at_rest = || async {
        let pools = cluster.admin("SHOW POOLS").await;
        let busy = pools
            .iter()
            .any(|pool| ["active", "waiting", "pinned"].iter().any(|column| pool.get(*column) != Some("0")));
        (!busy).then_some(())
    };
    eventually("pools at rest", PATIENCE, is_at_rest).await;
    for shard in 0..cluster.shard_count() {
        let server = cluster.shard_client(shard).await;
        for (what, sql) in LEFT {
            let is_gone = || async { (count(&server, sql).await == 0).then_some(()) };
            eventually(&format!("no {what} on s{shard}"), PATIENCE, is_gone).await;
        }
        let servers = cluster.admin("SHOW SERVERS").await;
        let pids: Vec<&str> = servers.iter().filter_map(|server| server.get("pid")).collect();
        assert!(servers.len() <= POOL * cluster.shard_count(), "{} backends", servers.len());
        let unknown = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
             AND application_name <> 'pgring' AND pid NOT IN ({})",
            if pids.is_empty() { "0".to_owned() } else { pids.join(",") }
        );
        let is_known = || async { (count(&server, &unknown).await == 0).then_some(()) };
        eventually(&format!("no backend of nobody's on s{shard}"), PATIENCE, is_known).await;
    }
}

/// Every backend is as a new one for who gets it next.
async fn is_fresh(world: &Arc<World>) {
    let mut all = Vec::new();
    for seed in 0..POOL as u64 {
        let mut player = Player::enter(world.clone(), StdRng::seed_from_u64(seed), Way::Tcp).await;
        player.begin().await;
        player.check_settings().await;
        player.check_temp().await;
        all.push(player);
    }
}

/// What was acknowledged is there, and nothing that was not asked to be kept.
async fn is_counted(cluster: &Cluster, world: &World) {
    let server = cluster.shard_client(0).await;
    for (what, sql, tally) in [
        ("counter", "SELECT sum(n)::bigint FROM counter", &world.counted),
        ("rows", "SELECT count(*) FROM plain", &world.copied),
    ] {
        let (sure, unsure) = (tally.sure.load(Ordering::SeqCst), tally.unsure.load(Ordering::SeqCst));
        let there = u64::try_from(count(&server, sql).await).unwrap();
        assert!((sure..=sure + unsure).contains(&there), "{what}: {there} of {sure} and perhaps {unsure} more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_every_manner_leave_nothing_and_see_nothing_of_each_other() {
    let (seconds, seed) = (number("PGRING_SOAK_SECONDS", 20), number("PGRING_SOAK_SEED", 1));
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path());
    prepare(&cluster).await;
    let port = cluster.router().port();
    let socket = folder.path().join(format!(".s.PGSQL.{port}"));
    let world = Arc::new(World::new(port, socket, any_tls()));
    let mut memory = Vec::new();
    for nth in 0..2 {
        let visits = round(&world, seed, Duration::from_secs(seconds) / 2).await;
        is_clean(&cluster).await;
        memory.push(cluster.router().memory());
        println!("round {nth}: {visits} clients, {} kB, {}", memory[nth] / 1024, world.did());
    }
    is_counted(&cluster, &world).await;
    is_fresh(&world).await;
    assert!(memory[1] <= memory[0] + MARGIN, "{memory:?}");
}

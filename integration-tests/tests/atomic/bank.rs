//! Bank: transfers between accounts on four shards, while routers and shards are killed. No money appears or vanishes, each
//! transfer that was acknowledged is there, and none is there by half.
//!
//! `PGRING_BANK_SECONDS=600` runs it for longer, `PGRING_BANK_SEED` repeats a run's choices.

use super::{PATIENCE, prepared};
use pgring_integration_tests::{Cluster, Router, faults::eventually, shards};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_postgres::{Client, NoTls};

const ACCOUNTS: i64 = 200;
const EACH: i64 = 1_000;
const CLIENTS: u64 = 8;
/// Nothing may be in doubt so long after the end.
const IN_DOUBT: Duration = Duration::from_secs(30);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn connect(port: u16) -> Option<Client> {
    let text = format!("host=127.0.0.1 port={port} dbname=app user=postgres password=postgres connect_timeout=2");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

/// What the clients have done.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    refused: AtomicU64,
    unknown: AtomicU64,
}

/// One client: transfers until it is told to stop; returns those that were acknowledged.
async fn transfers(ports: [u16; 2], seed: u64, told: Arc<Told>) -> Vec<i64> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut acknowledged = Vec::new();
    let mut client: Option<Client> = None;
    let mut next = (seed as i64) << 32;
    while !told.stop.load(Ordering::Relaxed) {
        let Some(connected) = client.take_if(|client| !client.is_closed()) else {
            client = connect(ports[dice.random_range(0..2)]).await;
            if client.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            continue;
        };
        next += 1;
        let (from, to) = (dice.random_range(0..ACCOUNTS), dice.random_range(0..ACCOUNTS));
        let amount = dice.random_range(1..=50i64);
        let sql = format!(
            "BEGIN;UPDATE account SET balance = balance - {amount} WHERE id = {from};\
             UPDATE account SET balance = balance + {amount} WHERE id = {to};\
             INSERT INTO journal VALUES ({from}, {next}, -{amount});INSERT INTO journal VALUES ({to}, {next}, {amount});COMMIT"
        );
        let ran = tokio::time::timeout(Duration::from_secs(40), connected.batch_execute(&sql)).await;
        match ran.expect("a transfer is answered in time") {
            Ok(()) => acknowledged.push(next),
            Err(error) => {
                let unknown = error.code().is_none_or(|code| code.code() == "08007");
                let count = if unknown { &told.unknown } else { &told.refused };
                count.fetch_add(1, Ordering::Relaxed);
                connected.batch_execute("ROLLBACK").await.ok();
            }
        }
        client = Some(connected);
    }
    acknowledged
}

/// Kills a router or a shard, and starts it again.
fn kill_one(cluster: &mut Cluster, other: &mut Router, dice: &mut StdRng) -> String {
    match dice.random_range(0..6usize) {
        0 => {
            cluster.router_mut().kill();
            cluster.router_mut().restart();
            "the first router".into()
        }
        1 => {
            other.kill();
            other.restart();
            "the second router".into()
        }
        shard => {
            let shard = shard - 2;
            cluster.shard_mut(shard).kill9();
            cluster.shard_mut(shard).restart().expect("the shard comes back");
            format!("s{shard}")
        }
    }
}

/// What the shards themselves have: the sum of the balances, and the rows of each transfer.
async fn audit(cluster: &Cluster) -> (i64, HashMap<i64, Vec<i64>>) {
    let (mut sum, mut journal) = (0, HashMap::<i64, Vec<i64>>::new());
    for shard in 0..cluster.shard_count() {
        let client = cluster.shard_client(shard).await;
        let row = client.query_one("SELECT coalesce(sum(balance), 0)::bigint FROM account", &[]).await.unwrap();
        sum += row.get::<_, i64>(0);
        for row in client.query("SELECT transfer, amount FROM journal", &[]).await.unwrap() {
            journal.entry(row.get(0)).or_default().push(row.get(1));
        }
    }
    (sum, journal)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_money_is_lost_while_routers_and_shards_are_killed() {
    let seed = number("PGRING_BANK_SEED", 7);
    let length = Duration::from_secs(number("PGRING_BANK_SECONDS", 120));
    let options =
        shards(4).with("[transactions]\nrecovery_interval = \"1s\"").server_setting("max_prepared_transactions", "200");
    let mut cluster = Cluster::start(options).await;
    cluster.admin("SHARD TABLE account BY (id)").await;
    cluster.admin("SHARD TABLE journal BY (account)").await;
    let client = cluster.client().await;
    let sql = "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
               CREATE TABLE journal (account bigint NOT NULL, transfer bigint NOT NULL, amount bigint NOT NULL)";
    client.batch_execute(sql).await.unwrap();
    for id in 0..ACCOUNTS {
        client.batch_execute(&format!("INSERT INTO account VALUES ({id}, {EACH})")).await.unwrap();
    }
    let mut other = cluster.another_router().await;
    let told = Arc::new(Told::default());
    let ports = [cluster.router().port(), other.port()];
    let clients: Vec<_> =
        (1..=CLIENTS).map(|nth| tokio::spawn(transfers(ports, seed * 100 + nth, told.clone()))).collect();
    let mut dice = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    let mut killed = Vec::new();
    while begun.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(dice.random_range(500..3_000))).await;
        killed.push(tokio::task::block_in_place(|| kill_one(&mut cluster, &mut other, &mut dice)));
    }
    told.stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("a client ends"));
    }
    eventually("nothing is in doubt", IN_DOUBT, || async { (prepared(&cluster).await == 0).then_some(()) }).await;
    let doubts = eventually("the routers are there", PATIENCE, || async {
        let client = connect(ports[0]).await?;
        client.simple_query("SELECT * FROM pgring.show('in doubt')").await.ok()
    })
    .await;
    assert_eq!(doubts.len(), 2, "a description and a tag: {doubts:?}");
    let (sum, journal) = audit(&cluster).await;
    println!(
        "seed {seed}: {} acknowledged, {} refused, {} unknown, {} in the journal; killed {} times: {killed:?}",
        acknowledged.len(),
        told.refused.load(Ordering::Relaxed),
        told.unknown.load(Ordering::Relaxed),
        journal.len(),
        killed.len(),
    );
    assert_eq!(sum, ACCOUNTS * EACH, "money is conserved");
    let half: Vec<_> = journal.iter().filter(|(_, rows)| rows.len() != 2 || rows.iter().sum::<i64>() != 0).collect();
    assert!(half.is_empty(), "there by half: {half:?}");
    let missing: Vec<_> = acknowledged.iter().filter(|transfer| !journal.contains_key(transfer)).collect();
    assert!(missing.is_empty(), "acknowledged, and not there: {missing:?}");
    assert!(acknowledged.len() > 100, "too few to say anything");
}

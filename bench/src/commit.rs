//! Commit: transactions of two updates through pgring, on one shard and on two, in turns within one run.
//! In: a release build of pgring. Out: the time of COMMIT, transactions a second, ratios. Never: a wait for a lock: each
//! client has rows of its own.

use crate::{
    Options,
    error::BenchError,
    side::{Folder, demo::Demo},
};
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

/// Clients at a time.
const CLIENTS: [usize; 2] = [1, 8];
/// Transactions before a measurement.
const WARM: u32 = 10;

/// A client and its rows: two on one shard, and one on another.
struct Payer {
    client: Client,
    here: [i64; 2],
    there: i64,
}

/// What one way has taken.
struct Taken {
    commits: Histogram<u64>,
    transactions: u64,
    seconds: f64,
}

impl Taken {
    fn none() -> Self {
        let commits = Histogram::new(3).expect("three digits are allowed");
        Self { commits, transactions: 0, seconds: 0.0 }
    }

    fn rate(&self) -> f64 {
        self.transactions as f64 / self.seconds.max(f64::EPSILON)
    }
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::io("cannot start", "a runtime"))?;
    let folder = Folder::make()?;
    let demo = Demo::start(&options.pgring, 2, 0, &folder.0)?;
    println!("{:<8} {:<12} {:>12} {:>12} {:>10}", "clients", "shards", "COMMIT µs", "p95", "tx/s");
    for clients in CLIENTS {
        let mut payers = runtime.block_on(payers(&demo, clients))?;
        let (mut one, mut two) = (Taken::none(), Taken::none());
        for _ in 0..options.rounds {
            for (taken, over_two) in [(&mut one, false), (&mut two, true)] {
                payers = runtime.block_on(measure(payers, over_two, options.seconds, taken))?;
            }
        }
        for (name, taken) in [("one", &one), ("two", &two)] {
            let at = |quantile| taken.commits.value_at_quantile(quantile);
            println!("{clients:<8} {name:<12} {:>12} {:>12} {:>10.0}", at(0.5), at(0.95), taken.rate());
        }
        let ratio = two.commits.value_at_quantile(0.5) as f64 / one.commits.value_at_quantile(0.5).max(1) as f64;
        println!("{clients:<8} {:<12} {ratio:>12.2} {:>12} {:>10.2}", "two : one", "", two.rate() / one.rate());
    }
    Ok(())
}

async fn connect(text: &str) -> Result<Client, BenchError> {
    let (client, worker) = text.parse::<Config>()?.connect(NoTls).await?;
    tokio::spawn(worker);
    Ok(client)
}

/// Makes the table with rows for so many clients.
async fn payers(demo: &Demo, clients: usize) -> Result<Vec<Payer>, BenchError> {
    let client = connect(&demo.router).await?;
    let name = format!("commits_{clients}");
    client.batch_execute(&format!("CALL pgring.admin('SHARD TABLE {name} BY (id)')")).await?;
    client.batch_execute(&format!("CREATE TABLE {name} (id bigint PRIMARY KEY, v bigint NOT NULL)")).await?;
    let mut by_shard: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut id = 0;
    while by_shard.len() < 2 || by_shard.values().any(|ids| ids.len() < clients * 2) {
        id += 1;
        client.batch_execute(&format!("INSERT INTO {name} VALUES ({id}, 0)")).await?;
        let owner = client.query_one(&format!("SELECT pgring.shard_of('{name}', {id})"), &[]).await?;
        by_shard.entry(owner.get(0)).or_default().push(id);
    }
    let [mut here, mut there] = [0, 1].map(|nth| by_shard.values().nth(nth).cloned().unwrap_or_default());
    let mut payers = Vec::new();
    while let (true, Some(one), Some(two), Some(there)) = (payers.len() < clients, here.pop(), here.pop(), there.pop())
    {
        payers.push(Payer { client: connect(&demo.router).await?, here: [one, two], there });
    }
    Ok(payers)
}

/// All clients at once, for so many seconds.
async fn measure(
    payers: Vec<Payer>,
    over_two: bool,
    seconds: u32,
    taken: &mut Taken,
) -> Result<Vec<Payer>, BenchError> {
    let length = Duration::from_secs(u64::from(seconds));
    let name = format!("commits_{}", payers.len());
    let mut running = JoinSet::new();
    for payer in payers {
        let name = name.clone();
        running.spawn(async move { pay(payer, &name, over_two, length).await });
    }
    let mut payers = Vec::new();
    while let Some(done) = running.join_next().await {
        let (payer, commits) = done.expect("a client does not panic")?;
        taken.transactions += commits.len();
        taken.commits.add(&commits).expect("the histogram grows");
        payers.push(payer);
    }
    taken.seconds += f64::from(seconds);
    Ok(payers)
}

async fn pay(
    payer: Payer,
    name: &str,
    over_two: bool,
    length: Duration,
) -> Result<(Payer, Histogram<u64>), BenchError> {
    let [one, two] = [payer.here[0], if over_two { payer.there } else { payer.here[1] }];
    let update = |id: i64| format!("UPDATE {name} SET v = v + 1 WHERE id = {id}");
    let mut commits = Histogram::new(3).expect("three digits are allowed");
    let mut begun = Instant::now();
    let mut nth = 0;
    while nth < WARM || begun.elapsed() < length {
        if nth == WARM {
            begun = Instant::now();
        }
        payer.client.batch_execute("BEGIN").await?;
        payer.client.batch_execute(&update(one)).await?;
        payer.client.batch_execute(&update(two)).await?;
        let start = Instant::now();
        payer.client.batch_execute("COMMIT").await?;
        if nth >= WARM {
            commits.record(start.elapsed().as_micros() as u64).expect("the histogram grows");
        }
        nth += 1;
    }
    Ok((payer, commits))
}

//! Fan-out: statements over four shards, through pgring and, in turns, on each of the four servers at once without it.
//! In: a release build of pgring. Out: medians, 95th percentiles and ratios. Never: compares answers; tests do that.

use crate::{
    Options,
    error::BenchError,
    side::{Folder, demo::Demo},
};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls, Statement, error::SqlState};

/// Warming up, then measured executions of each statement in each round.
const WARM: u32 = 20;
const MEASURED: u32 = 200;

const STATEMENTS: &[(&str, &str)] = &[
    ("ORDER BY … LIMIT 10", "SELECT * FROM orders ORDER BY total DESC, order_id LIMIT 10"),
    ("count and sum", "SELECT count(*), sum(total) FROM orders"),
    ("GROUP BY", "SELECT status, count(*), avg(total) FROM orders GROUP BY status ORDER BY status"),
    ("all rows", "SELECT * FROM orders"),
    ("gathered", "SELECT count(DISTINCT status), percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders"),
];

/// A connection with a prepared statement.
struct Ready {
    client: Client,
    statement: Statement,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::io("cannot start", "a runtime"))?;
    let folder = Folder::make()?;
    let demo = Demo::start(&options.pgring, 4, options.rows, &folder.0)?;
    runtime.block_on(filled(&demo))?;
    println!("{:<22} {:>10} {:>10} {:>12} {:>12} {:>7}", "µs", "pgring", "p95", "directly", "p95", "ratio");
    for (name, text) in STATEMENTS {
        let (routed, direct) = runtime.block_on(measure(options, &demo, text))?;
        let ratio = routed.value_at_quantile(0.5) as f64 / direct.value_at_quantile(0.5).max(1) as f64;
        let at = |found: &Histogram<u64>, quantile| found.value_at_quantile(quantile);
        println!(
            "{name:<22} {:>10} {:>10} {:>12} {:>12} {ratio:>7.2}",
            at(&routed, 0.5),
            at(&routed, 0.95),
            at(&direct, 0.5),
            at(&direct, 0.95),
        );
    }
    Ok(())
}

/// Microseconds through pgring, and until the last of the shards has answered without it.
async fn measure(
    options: &Options,
    demo: &Demo,
    text: &'static str,
) -> Result<(Histogram<u64>, Histogram<u64>), BenchError> {
    let routed = open(&demo.router, text).await?;
    let mut direct = vec![];
    for shard in &demo.shards {
        direct.push(std::sync::Arc::new(open(shard, text).await?));
    }
    let empty = || Histogram::new(3).expect("three digits are allowed");
    let (mut through, mut beside) = (empty(), empty());
    for round in 0..WARM + MEASURED * options.rounds {
        let start = Instant::now();
        routed.client.query(&routed.statement, &[]).await?;
        let routed = start.elapsed();
        let start = Instant::now();
        let mut all = JoinSet::new();
        for shard in direct.iter().cloned() {
            all.spawn(async move { shard.client.query(&shard.statement, &[]).await.map(drop) });
        }
        while let Some(done) = all.join_next().await {
            done.expect("a query does not panic")?;
        }
        let direct = start.elapsed();
        if round >= WARM {
            through.record(routed.as_micros() as u64).expect("the histogram grows");
            beside.record(direct.as_micros() as u64).expect("the histogram grows");
        }
    }
    Ok((through, beside))
}

/// Waits until the demo has made its tables and filled them.
async fn filled(demo: &Demo) -> Result<(), BenchError> {
    let (client, worker) = demo.router.parse::<Config>()?.connect(NoTls).await?;
    tokio::spawn(worker);
    let mut before = -1;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let rows: i64 = match client.query_one("SELECT count(*) FROM orders", &[]).await {
            Ok(row) => row.get(0),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => continue,
            Err(error) => return Err(error.into()),
        };
        if rows > 0 && rows == before {
            return Ok(());
        }
        before = rows;
    }
}

async fn open(connection: &str, text: &str) -> Result<Ready, BenchError> {
    let (client, worker) = connection.parse::<Config>()?.connect(NoTls).await?;
    tokio::spawn(worker);
    let statement = client.prepare(text).await?;
    Ok(Ready { client, statement })
}

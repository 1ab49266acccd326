//! Copy: one COPY FROM STDIN through pgring into a table over four shards and, in turns, four COPYs at once of as much data
//! to the four servers without it. In: a release build of pgring. Out: medians and ratios. Never: compares rows; tests do
//! that.

use crate::{
    Options,
    error::BenchError,
    side::{Folder, demo::Demo},
};
use bytes::Bytes;
use futures_util::SinkExt;
use std::{
    pin::pin,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

/// Rows of one copy, a multiple of the shards.
const ROWS: u32 = 400_000;
const SHARDS: u32 = 4;
/// Data go to the client library in pieces of this size.
const PIECE: usize = 64 * 1024;
/// Copies of each side for one measurement.
const TIMES: u32 = 3;

const SETUP: [&str; 2] = [
    "CALL pgring.admin('SHARD TABLE copied BY (k)')",
    "CREATE TABLE copied (k bigint, name text, total bigint, note text)",
];

/// A way to write the same rows.
struct Form {
    name: &'static str,
    sql: &'static str,
    row: fn(&mut Vec<u8>, u32),
    head: &'static [u8],
    tail: &'static [u8],
}

const FORMS: [Form; 3] = [
    Form { name: "text", sql: "COPY copied FROM STDIN", row: text, head: b"", tail: b"" },
    Form { name: "csv", sql: "COPY copied FROM STDIN (FORMAT csv)", row: csv, head: b"", tail: b"" },
    Form {
        name: "binary",
        sql: "COPY copied FROM STDIN (FORMAT binary)",
        row: binary,
        head: b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0",
        tail: b"\xff\xff",
    },
];

const NOTE: &str = "a note that is as long as notes are";

fn text(out: &mut Vec<u8>, k: u32) {
    out.extend(format!("{k}\tname of {k}\t{}\t{NOTE}\n", u64::from(k) * 7).into_bytes());
}

fn csv(out: &mut Vec<u8>, k: u32) {
    out.extend(format!("{k},name of {k},{},\"{NOTE}\"\n", u64::from(k) * 7).into_bytes());
}

fn binary(out: &mut Vec<u8>, k: u32) {
    let field = |out: &mut Vec<u8>, value: &[u8]| {
        out.extend((value.len() as i32).to_be_bytes());
        out.extend_from_slice(value);
    };
    out.extend(4_i16.to_be_bytes());
    field(out, &i64::from(k).to_be_bytes());
    field(out, format!("name of {k}").as_bytes());
    field(out, &(i64::from(k) * 7).to_be_bytes());
    field(out, NOTE.as_bytes());
}

/// The data of these rows, in pieces.
fn data(form: &Form, rows: std::ops::Range<u32>) -> Vec<Bytes> {
    let mut whole = form.head.to_vec();
    rows.for_each(|k| (form.row)(&mut whole, k));
    whole.extend_from_slice(form.tail);
    whole.chunks(PIECE).map(Bytes::copy_from_slice).collect()
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::io("cannot start", "a runtime"))?;
    let folder = Folder::make()?;
    let demo = Demo::start(&options.pgring, SHARDS, 100, &folder.0)?;
    runtime.block_on(async {
        let routed = open(&demo.router).await?;
        for sql in SETUP {
            routed.batch_execute(sql).await?;
        }
        println!("{:<8} {:>8} {:>14} {:>14} {:>7}", "format", "MB", "pgring, MB/s", "directly, MB/s", "ratio");
        for form in &FORMS {
            measure(options, &demo, &routed, form).await?;
        }
        Ok(())
    })
}

async fn measure(options: &Options, demo: &Demo, routed: &Client, form: &Form) -> Result<(), BenchError> {
    let whole = data(form, 0..ROWS);
    let part = ROWS / SHARDS;
    let parts: Vec<Vec<Bytes>> = (0..SHARDS).map(|nth| data(form, nth * part..(nth + 1) * part)).collect();
    let mut direct = vec![];
    for shard in &demo.shards {
        direct.push(open(shard).await?);
    }
    let (mut through, mut beside) = (vec![], vec![]);
    for round in 0..=TIMES * options.rounds {
        let took = [copied(routed, form, &whole).await?, at_once(demo, form, &parts).await?];
        for shard in &direct {
            shard.batch_execute("TRUNCATE copied; CHECKPOINT").await?;
        }
        // The first one makes files.
        if round > 0 {
            through.push(took[0]);
            beside.push(took[1]);
        }
    }
    let megabytes = whole.iter().map(Bytes::len).sum::<usize>() as f64 / 1e6;
    let speeds = [median(through), median(beside)].map(|took| megabytes / took.as_secs_f64());
    let ratio = speeds[0] / speeds[1];
    println!("{:<8} {megabytes:>8.1} {:>14.1} {:>14.1} {ratio:>7.2}", form.name, speeds[0], speeds[1]);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A part for each server, all at once.
async fn at_once(demo: &Demo, form: &Form, parts: &[Vec<Bytes>]) -> Result<Duration, BenchError> {
    let mut ready = vec![];
    for (shard, part) in demo.shards.iter().zip(parts) {
        ready.push((open(shard).await?, form.sql, part.clone()));
    }
    let start = Instant::now();
    let mut all = JoinSet::new();
    for (client, sql, part) in ready {
        all.spawn(async move { send(&client, sql, &part).await });
    }
    while let Some(done) = all.join_next().await {
        done.expect("a copy does not panic")?;
    }
    Ok(start.elapsed())
}

async fn copied(client: &Client, form: &Form, data: &[Bytes]) -> Result<Duration, BenchError> {
    let start = Instant::now();
    send(client, form.sql, data).await?;
    Ok(start.elapsed())
}

async fn send(client: &Client, sql: &str, data: &[Bytes]) -> Result<(), BenchError> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(sql).await?);
    for piece in data {
        sink.send(piece.clone()).await?;
    }
    sink.finish().await?;
    Ok(())
}

async fn open(connection: &str) -> Result<Client, BenchError> {
    let (client, worker) = connection.parse::<Config>()?.connect(NoTls).await?;
    tokio::spawn(worker);
    Ok(client)
}

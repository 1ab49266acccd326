//! `pgring-bench`: point selects over several ways to the same rows, in turns within one run.
//! In: a release build of pgring, pgbench, PgBouncer if it is installed. Out: a table, and JSON if asked for.
//! Never: compares numbers of different runs, hides a side that could not run.

mod cell;
mod commit;
mod copy;
mod cpu;
mod error;
mod fan_out;
mod pgbench;
mod report;
mod side;

use cell::Cell;
use clap::Parser;
use error::BenchError;
use pgring_local_postgres::Binaries;
use report::Report;
use side::{Kind, Side, Sides};
use std::{path::PathBuf, process::ExitCode};

/// Point selects by key: straight to PostgreSQL, through PgBouncer, through pgring with one and with four shards.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The pgring to measure.
    #[arg(long, env = "PGRING_BENCH_PGRING", default_value = "target/release/pgring")]
    pgring: PathBuf,
    /// The PgBouncer to compare with; without it that side is left out.
    #[arg(long, env = "PGRING_BENCH_PGBOUNCER", default_value = "/usr/sbin/pgbouncer")]
    pgbouncer: PathBuf,
    /// How often each measurement is made; the medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of one measurement in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    clients: Vec<u32>,
    /// How statements are sent.
    #[arg(long, value_delimiter = ',', default_values = ["simple", "extended", "prepared"])]
    modes: Vec<pgbench::Mode>,
    /// What is measured.
    #[arg(long, value_delimiter = ',', default_values = ["direct", "pgbouncer", "pgring-1", "pgring-4"])]
    sides: Vec<Kind>,
    /// Rows in the table that is read.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    rows: u32,
    /// Statements over four shards instead: each beside the same statement on every shard at once, directly.
    #[arg(long)]
    fan_out: bool,
    /// Transactions instead: on one shard, and on two.
    #[arg(long)]
    commit: bool,
    /// COPY FROM STDIN over four shards instead: beside four COPYs at once of as much data, directly.
    #[arg(long)]
    copy: bool,
    /// Where the results go as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgring-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The whole run: start every side, measure in turns, print.
fn run(options: &Options) -> Result<(), BenchError> {
    if options.fan_out {
        return fan_out::run(options);
    }
    if options.copy {
        return copy::run(options);
    }
    if options.commit {
        return commit::run(options);
    }
    let binaries = Binaries::find()?;
    let sides = Sides::start(options, &binaries)?;
    let cells = Cell::all(&options.modes, &options.clients);
    let mut report = Report::new(options, &sides);
    for round in 0..options.rounds {
        for cell in &cells {
            measure_in_turns(options, &binaries, &sides, round, *cell, &mut report)?;
        }
    }
    print!("{}", report.table());
    match &options.json {
        Some(file) => report.write_json(file),
        None => Ok(()),
    }
}

/// One cell on every side, each round starting with another one, so that none is always first.
fn measure_in_turns(
    options: &Options,
    binaries: &Binaries,
    sides: &Sides,
    round: u32,
    cell: Cell,
    report: &mut Report,
) -> Result<(), BenchError> {
    let all: &[Side] = sides.all();
    for turn in 0..all.len() {
        let side = &all[(turn + round as usize) % all.len()];
        let sample = cell.measure(options, binaries, sides.folder(), side)?;
        eprintln!(
            "round {} · {:9} {:8} {:2} clients: {:.0} tps",
            round + 1,
            side.kind.to_string(),
            cell.mode.to_string(),
            cell.clients,
            sample.tps
        );
        report.add(side.kind, cell, sample);
    }
    Ok(())
}

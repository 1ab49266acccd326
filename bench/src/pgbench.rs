//! pgbench: one run of it, and what it says. In: a side and a cell. Out: throughput and every latency.

use crate::{cell::Cell, error::BenchError, side::Side};
use hdrhistogram::Histogram;
use pgring_local_postgres::Binaries;
use std::{fmt, fs, path::Path, process::Command};

/// The script's name in the run's folder.
pub(crate) const SCRIPT: &str = "point_select.sql";

/// How statements are sent: pgbench's `--protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Query messages.
    Simple,
    /// Parse, Bind, Execute each time.
    Extended,
    /// Parse once, then Bind and Execute.
    Prepared,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        })
    }
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After as many transactions of each client.
    Transactions(u32),
    /// After so long.
    Seconds(u32),
}

/// A run to be made.
pub(crate) struct Pgbench<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) folder: &'a Path,
    pub(crate) side: &'a Side,
    pub(crate) cell: Cell,
}

/// A run that was made.
pub(crate) struct Run {
    /// Transactions per second, connecting left out.
    pub(crate) tps: f64,
    /// Transactions made.
    pub(crate) transactions: u64,
    /// Latency of each, in microseconds.
    pub(crate) latency_us: Histogram<u64>,
}

impl Pgbench<'_> {
    /// Runs it; a single failed transaction fails the run.
    pub(crate) fn run(&self, until: Until) -> Result<Run, BenchError> {
        let logs = self.folder.join("logs");
        fs::create_dir_all(&logs).map_err(BenchError::io("cannot make", &logs))?;
        let output = self.command(until, &logs).output();
        let output = output.map_err(BenchError::io("cannot start", self.binaries.program("pgbench")))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let latency_us = latencies(&logs)?;
        fs::remove_dir_all(&logs).map_err(BenchError::io("cannot remove", &logs))?;
        let (tps, transactions) = (number(&said, "tps = "), number(&said, "actually processed: "));
        let failed = number(&said, "failed transactions: ").unwrap_or(0.0);
        match (tps, transactions) {
            (Some(tps), Some(transactions)) if output.status.success() && failed == 0.0 => {
                Ok(Run { tps, transactions: transactions as u64, latency_us })
            }
            _ => Err(self.failure(&output.stderr)),
        }
    }

    fn command(&self, until: Until, logs: &Path) -> Command {
        let mut command = Command::new(self.binaries.program("pgbench"));
        command.args(["--no-vacuum", "--log", "--log-prefix"]).arg(logs.join("pgbench"));
        command.arg(format!("--protocol={}", self.cell.mode));
        command.arg(format!("--client={}", self.cell.clients));
        command.arg(format!("--jobs={}", self.cell.clients.min(2)));
        command.arg(match until {
            Until::Transactions(count) => format!("--transactions={count}"),
            Until::Seconds(seconds) => format!("--time={seconds}"),
        });
        command.arg("--file").arg(self.folder.join(SCRIPT)).arg(self.side.connection(self.cell.mode));
        command
    }

    fn failure(&self, stderr: &[u8]) -> BenchError {
        let said = String::from_utf8_lossy(stderr);
        let lines: Vec<&str> = said.lines().collect();
        let end = lines[lines.len().saturating_sub(3)..].join("; ");
        BenchError::Pgbench { side: format!("{} ({})", self.side.kind, self.cell.mode), said: end }
    }
}

/// The number behind the first `label`.
fn number(said: &str, label: &str) -> Option<f64> {
    let (_, behind) = said.split_once(label)?;
    let end = behind.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(behind.len());
    behind[..end].parse().ok()
}

/// The third field of every line of every log: the transaction's time in microseconds.
fn latencies(logs: &Path) -> Result<Histogram<u64>, BenchError> {
    // Three digits are a precision of 0.1 %.
    let mut all = Histogram::new(3).expect("1 to 5 digits are allowed");
    for entry in fs::read_dir(logs).map_err(BenchError::io("cannot list", logs))? {
        let path = entry.map_err(BenchError::io("cannot list", logs))?.path();
        let text = fs::read_to_string(&path).map_err(BenchError::io("cannot read", &path))?;
        for latency in text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok()) {
            all.saturating_record(latency);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_behind_their_labels() {
        let said = "number of transactions actually processed: 61713\n\
                    number of failed transactions: 0 (0.000%)\n\
                    tps = 12345.678901 (without initial connection time)\n";
        assert_eq!(number(said, "tps = "), Some(12345.678901));
        assert_eq!(number(said, "actually processed: "), Some(61713.0));
        assert_eq!(number(said, "failed transactions: "), Some(0.0));
        assert_eq!(number(said, "latency average = "), None);
    }
}

//! Cell: one protocol mode with one number of clients, measured on one side.

use crate::{Options, cpu, error::BenchError, pgbench, side::Side};
use pgring_local_postgres::Binaries;
use std::path::Path;

/// What is measured on every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    /// How statements are sent.
    pub(crate) mode: pgbench::Mode,
    /// Connections at a time.
    pub(crate) clients: u32,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Transactions per second, connecting left out.
    pub(crate) tps: f64,
    /// Latencies in microseconds: median, 95th and 99th percentile.
    pub(crate) p50_us: u64,
    /// As above.
    pub(crate) p95_us: u64,
    /// As above.
    pub(crate) p99_us: u64,
    /// CPU time of the process in the middle per transaction, in microseconds; None: there is none.
    pub(crate) cpu_us: Option<f64>,
}

impl Cell {
    /// Every mode with every number of clients.
    pub(crate) fn all(modes: &[pgbench::Mode], clients: &[u32]) -> Vec<Cell> {
        modes.iter().flat_map(|mode| clients.iter().map(|clients| Cell { mode: *mode, clients: *clients })).collect()
    }

    /// Measures this cell on `side`, after a short run that opens its backends.
    pub(crate) fn measure(
        self,
        options: &Options,
        binaries: &Binaries,
        folder: &Path,
        side: &Side,
    ) -> Result<Sample, BenchError> {
        let bench = pgbench::Pgbench { binaries, folder, side, cell: self };
        bench.run(pgbench::Until::Transactions(20))?;
        let before = side.middle.map(cpu::used_us).transpose()?;
        let run = bench.run(pgbench::Until::Seconds(options.seconds))?;
        let after = side.middle.map(cpu::used_us).transpose()?;
        let used = before.zip(after).map(|(before, after)| after.saturating_sub(before) as f64);
        Ok(Sample {
            tps: run.tps,
            p50_us: run.latency_us.value_at_quantile(0.50),
            p95_us: run.latency_us.value_at_quantile(0.95),
            p99_us: run.latency_us.value_at_quantile(0.99),
            cpu_us: used.map(|used| used / run.transactions.max(1) as f64),
        })
    }
}

//! Report: medians over the rounds, ratios to direct and to PgBouncer, as a table and as JSON.

use crate::{
    Options,
    cell::{Cell, Sample},
    error::BenchError,
    side::{Kind, Sides},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

/// All samples of a run.
pub(crate) struct Report {
    samples: BTreeMap<(Cell, Kind), Vec<Sample>>,
    notes: Vec<String>,
    rounds: u32,
    seconds: u32,
    rows: u32,
}

/// The medians of one cell on one side.
#[derive(Clone, Copy, Debug, Serialize)]
struct Medians {
    tps: f64,
    p50_us: f64,
    p95_us: f64,
    p99_us: f64,
    router_cpu_us_per_query: Option<f64>,
}

/// How one side compares with another in the same cell: above 1 it is more.
#[derive(Clone, Copy, Debug, Serialize)]
struct Ratios {
    tps: f64,
    p50: f64,
    p99: f64,
    router_cpu: Option<f64>,
}

#[derive(Serialize)]
struct Row {
    mode: String,
    clients: u32,
    side: String,
    #[serde(flatten)]
    medians: Medians,
    to_direct: Option<Ratios>,
    to_pgbouncer: Option<Ratios>,
}

#[derive(Serialize)]
struct Document<'a> {
    rounds: u32,
    seconds: u32,
    rows: u32,
    notes: &'a [String],
    results: Vec<Row>,
}

impl Report {
    /// An empty report of a run.
    pub(crate) fn new(options: &Options, sides: &Sides) -> Self {
        let Options { rounds, seconds, rows, .. } = *options;
        Self { samples: BTreeMap::new(), notes: sides.notes().to_vec(), rounds, seconds, rows }
    }

    /// Adds one measurement.
    pub(crate) fn add(&mut self, side: Kind, cell: Cell, sample: Sample) {
        self.samples.entry((cell, side)).or_default().push(sample);
    }

    /// The table that is printed.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "\nPoint selects on {} rows; medians of {} round(s) of {} s, all sides in turns. × is the ratio to PgBouncer.\n",
            self.rows, self.rounds, self.seconds
        );
        self.notes.iter().for_each(|note| text += &format!("{note}\n"));
        text += "\nmode      clients  side            tps  ×tps   p50 µs  p95 µs  p99 µs  ×p50   CPU µs/query  ×CPU\n";
        for row in self.rows() {
            let (medians, ratios) = (row.medians, row.to_pgbouncer);
            let _ = writeln!(
                text,
                "{:9} {:7}  {:9} {:9.0} {:>5} {:8.0} {:7.0} {:7.0} {:>5} {:>14} {:>5}",
                row.mode,
                row.clients,
                row.side,
                medians.tps,
                cell(ratios.map(|ratios| ratios.tps), 2),
                medians.p50_us,
                medians.p95_us,
                medians.p99_us,
                cell(ratios.map(|ratios| ratios.p50), 2),
                cell(medians.router_cpu_us_per_query, 1),
                cell(ratios.and_then(|ratios| ratios.router_cpu), 2),
            );
        }
        text
    }

    /// Writes everything as JSON.
    pub(crate) fn write_json(&self, file: &Path) -> Result<(), BenchError> {
        let document = Document {
            rounds: self.rounds,
            seconds: self.seconds,
            rows: self.rows,
            notes: &self.notes,
            results: self.rows(),
        };
        let text = serde_json::to_string_pretty(&document).map_err(std::io::Error::other);
        let written = text.and_then(|text| fs::write(file, text + "\n"));
        written.map_err(BenchError::io("cannot write", file))
    }

    fn rows(&self) -> Vec<Row> {
        let of = |cell: Cell, side: Kind| self.samples.get(&(cell, side)).map(|samples| medians(samples));
        let rows = self.samples.iter().map(|((cell, side), samples)| {
            let medians = medians(samples);
            Row {
                mode: cell.mode.to_string(),
                clients: cell.clients,
                side: side.to_string(),
                medians,
                to_direct: of(*cell, Kind::Direct).map(|direct| medians.ratios(&direct)),
                to_pgbouncer: of(*cell, Kind::PgBouncer).map(|pgbouncer| medians.ratios(&pgbouncer)),
            }
        });
        rows.collect()
    }
}

impl Medians {
    fn ratios(&self, to: &Self) -> Ratios {
        let cpu = self.router_cpu_us_per_query.zip(to.router_cpu_us_per_query);
        Ratios {
            tps: self.tps / to.tps,
            p50: self.p50_us / to.p50_us,
            p99: self.p99_us / to.p99_us,
            router_cpu: cpu.filter(|(_, to)| *to > 0.0).map(|(own, to)| own / to),
        }
    }
}

fn medians(samples: &[Sample]) -> Medians {
    let of = |value: &dyn Fn(&Sample) -> f64| median(samples.iter().map(value).collect());
    let cpu: Vec<f64> = samples.iter().filter_map(|sample| sample.cpu_us).collect();
    Medians {
        tps: of(&|sample| sample.tps),
        p50_us: of(&|sample| sample.p50_us as f64),
        p95_us: of(&|sample| sample.p95_us as f64),
        p99_us: of(&|sample| sample.p99_us as f64),
        router_cpu_us_per_query: (!cpu.is_empty()).then(|| median(cpu)),
    }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// A number with so many digits, or a dash.
fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_ignore_one_bad_round() {
        assert_eq!(median(vec![3.0, 1000.0, 2.0]), 3.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn a_ratio_above_one_is_more() {
        let medians =
            |tps, cpu| Medians { tps, p50_us: 100.0, p95_us: 1.0, p99_us: 200.0, router_cpu_us_per_query: cpu };
        let ratios = medians(10.0, Some(30.0)).ratios(&medians(20.0, Some(20.0)));
        assert_eq!((ratios.tps, ratios.p50, ratios.router_cpu), (0.5, 1.0, Some(1.5)));
        assert_eq!(medians(10.0, Some(30.0)).ratios(&medians(20.0, None)).router_cpu, None);
    }
}

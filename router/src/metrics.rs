//! Metrics: every metric that pgring exports, declared once, and the handles that the hot path keeps.
//! Never: a look-up by label on the hot path.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::LazyLock;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// Every metric: name, kind, what it says.
pub const ALL: &[(&str, Kind, &str)] = &[
    ("pgring_queries_total", Kind::Counter, "Statements, by database, route and role"),
    ("pgring_query_seconds", Kind::Histogram, "Time from a statement to the end of its answer, by route"),
    ("pgring_route_seconds", Kind::Histogram, "Time to plan a statement that was not seen before"),
    ("pgring_parses_total", Kind::Counter, "Full parses: statements whose shape was not in the plan cache"),
    ("pgring_pool_active", Kind::Gauge, "Backends in use"),
    ("pgring_pool_idle", Kind::Gauge, "Backends waiting for work"),
    ("pgring_pool_waiting", Kind::Gauge, "Clients waiting for a backend"),
    ("pgring_pool_wait_seconds", Kind::Histogram, "Time spent waiting for a backend, where there was a wait"),
    ("pgring_cache_hits_total", Kind::Counter, "Answers and plans found, by level"),
    ("pgring_cache_misses_total", Kind::Counter, "Answers and plans not found, by level"),
    ("pgring_cache_evictions_total", Kind::Counter, "Entries thrown out for room, by level"),
    ("pgring_cache_invalidations_total", Kind::Counter, "Entries thrown out because they were stale, by level"),
    (
        "pgring_cache_stale_prevented_total",
        Kind::Counter,
        "Answers not kept because a write had overtaken them, by level",
    ),
    ("pgring_shard_busy", Kind::Gauge, "Share of a shard's pool that is in use (0..1)"),
    ("pgring_shard_size_bytes", Kind::Gauge, "Size of a shard's database"),
    ("pgring_shard_up", Kind::Gauge, "1 while a shard's primary answers"),
    ("pgring_replica_lag_seconds", Kind::Gauge, "Lag of a replica"),
    ("pgring_operation_rows_total", Kind::Counter, "Rows moved by operations"),
    ("pgring_operation_bytes_total", Kind::Counter, "Bytes moved by operations"),
    ("pgring_operation_pause_seconds", Kind::Histogram, "Write pause of a cutover"),
    ("pgring_in_doubt_transactions", Kind::Gauge, "Prepared transactions without a known outcome"),
    ("pgring_ring_epoch", Kind::Gauge, "Epoch of the placement, by database"),
    ("pgring_errors_total", Kind::Counter, "Errors sent to clients, by SQLSTATE"),
    ("pgring_clients", Kind::Gauge, "Clients that are connected"),
];

/// Ways a statement can go, as the label `route`.
pub const ROUTES: [&str; 6] = ["single", "subset", "scatter", "broadcast", "local", "builtin"];

/// Place in [`ROUTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// One shard by key.
    Single,
    /// Some shards.
    Subset,
    /// Every shard of a group.
    Scatter,
    /// Rows of several shards, brought together on one server.
    Gather,
    /// Every shard of the database.
    Broadcast,
    /// A server that no key chose.
    Local,
    /// Answered by pgring.
    Builtin,
}

/// Installs the recorder and declares all metrics. To be called once per process.
///
/// # Errors
/// If a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    const SECONDS: &[f64] =
        &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .install_recorder()?;
    for &(name, kind, text) in ALL {
        match kind {
            Kind::Counter => describe_counter!(name, text),
            Kind::Gauge => describe_gauge!(name, text),
            Kind::Histogram => describe_histogram!(name, Unit::Seconds, text),
        }
    }
    for level in ["l1", "l2", "plan"] {
        for event in ["hits", "misses", "evictions", "invalidations", "stale_prevented"] {
            counter!(format!("pgring_cache_{event}_total"), "level" => level).increment(0);
        }
    }
    for name in ["pgring_operation_rows_total", "pgring_operation_bytes_total"] {
        counter!(name).increment(0);
    }
    for name in ["pgring_in_doubt_transactions", "pgring_clients"] {
        gauge!(name).set(0.0);
    }
    counter!("pgring_errors_total", "code" => "0A000").increment(0);
    PARSES.increment(0);
    Ok(recorder)
}

/// Full parses.
pub static PARSES: LazyLock<Counter> = LazyLock::new(|| counter!("pgring_parses_total"));
/// Plan cache hits.
pub static PLAN_HITS: LazyLock<Counter> = LazyLock::new(|| counter!("pgring_cache_hits_total", "level" => "plan"));
/// Plan cache misses.
pub static PLAN_MISSES: LazyLock<Counter> = LazyLock::new(|| counter!("pgring_cache_misses_total", "level" => "plan"));
/// Plans thrown out for room.
pub static PLAN_EVICTIONS: LazyLock<Counter> =
    LazyLock::new(|| counter!("pgring_cache_evictions_total", "level" => "plan"));
/// Time to plan.
pub static ROUTE_SECONDS: LazyLock<Histogram> = LazyLock::new(|| histogram!("pgring_route_seconds"));
/// Time waited for a backend.
pub static POOL_WAIT: LazyLock<Histogram> = LazyLock::new(|| histogram!("pgring_pool_wait_seconds"));
/// Prepared transactions without a known outcome.
pub static IN_DOUBT: LazyLock<Gauge> = LazyLock::new(|| gauge!("pgring_in_doubt_transactions"));
/// Clients.
pub static CLIENTS: LazyLock<Gauge> = LazyLock::new(|| gauge!("pgring_clients"));

/// Counts an error that is sent to a client.
pub fn error(sqlstate: &str) {
    counter!("pgring_errors_total", "code" => sqlstate.to_owned()).increment(1);
}

/// Handles of one database's statements.
#[derive(Clone)]
pub struct Statements {
    count: [Counter; ROUTES.len()],
    seconds: [Histogram; ROUTES.len()],
}

impl std::fmt::Debug for Statements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Statements")
    }
}

impl Statements {
    /// Handles for `database`.
    pub fn new(database: &str) -> Self {
        let count = ROUTES.map(|route| {
            let count = counter!("pgring_queries_total", "database" => database.to_owned(), "route" => route, "role" => "primary");
            count.increment(0);
            count
        });
        Self { count, seconds: ROUTES.map(|route| histogram!("pgring_query_seconds", "route" => route)) }
    }

    /// Counts one statement.
    pub fn record(&self, route: RouteKind, seconds: f64) {
        let at = route as usize;
        if let (Some(count), Some(histogram)) = (self.count.get(at), self.seconds.get(at)) {
            count.increment(1);
            histogram.record(seconds);
        }
    }
}

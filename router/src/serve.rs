//! Serve: builds every shared part once, hands each on, and takes them down in reverse. In: settings. Out: a running
//! router, and the process's exit code. Never: what any of the parts does.

use crate::{
    cluster::{Cluster, ServerTls},
    http::{self, Facts},
    keeper::{self, KeeperError},
    listen::{self, Door, ListenError},
    metrics,
    pool::PoolKey,
    registry::{self, Doing},
};
use ::metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use pgring_config::ids::ServerName;
use pgring_config::settings::{ConnectionParts, HostPort, LogFormat, LogLevel, Settings};
use pgring_protocol::tls::TlsError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    collections::{HashMap, HashSet},
    error::Error,
    io,
    net::SocketAddr,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, OnceLock, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle},
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// Exit code: the configuration cannot be used.
const BAD_CONFIGURATION: u8 = 1;
/// Exit code: a port or a catalog is not there.
const CANNOT_START: u8 = 2;
/// Exit code: a part of the router broke.
const CRASHED: u8 = 3;

/// How long clients that are sent away get to take notice.
const GRACE: Duration = Duration::from_secs(1);

/// How often it is looked who is still here while draining.
const LOOK: Duration = Duration::from_millis(20);

/// Lets this process have as many sockets as the system allows it: the limit it is started with is often meant for
/// programs that have few.
fn raise_socket_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, limit = limit.current, "the limit of open sockets could not be raised");
    }
}

/// What a router is started with.
#[derive(Debug)]
pub struct Options {
    /// The settings.
    pub settings: Settings,
    /// The file they came from, to be read again on SIGHUP and RELOAD.
    pub file: Option<PathBuf>,
}

/// Why a router does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A certificate or key cannot be read.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// A socket cannot be opened.
    #[error("{0}")]
    Listen(#[from] ListenError),
    /// A catalog cannot be used.
    #[error("database {database}, catalog on {server}: {}", in_full(error))]
    Database {
        /// The database.
        database: String,
        /// Where its catalog is, without its password.
        server: String,
        /// Why.
        error: KeeperError,
    },
    /// Threads or metrics could not be had.
    #[error("{0}")]
    System(String),
}

/// An error with everything that lies behind it and is not said by it already.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        let said = behind.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = behind.source();
    }
    text
}

impl ServeError {
    /// The process's exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tls(_) => BAD_CONFIGURATION,
            Self::Listen(_) | Self::Database { .. } => CANNOT_START,
            Self::System(_) => CRASHED,
        }
    }
}

/// A router that lets clients in.
#[derive(Debug)]
pub struct Running {
    /// Where clients connect: `host:port` with the ports chosen, or paths of Unix sockets; in the settings' order,
    /// TCP first.
    pub addresses: Vec<String>,
    /// The first TCP address among them.
    pub address: Option<SocketAddr>,
    /// Where HTTP is.
    pub http: SocketAddr,
    /// Everything shared.
    pub cluster: Arc<Cluster>,
    closed: CancellationToken,
    ended: CancellationToken,
    workers: Vec<Worker>,
    listeners: JoinSet<()>,
    services: JoinSet<()>,
}

/// A thread that serves clients.
#[derive(Debug)]
struct Worker {
    handle: Handle,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts a router on the runtime that this is called on (which serves everything but clients), and returns when it
/// lets clients in. Logging and signals are the caller's. Once per process, since metrics are global.
///
/// # Errors
/// [`ServeError`]; nothing is left running then.
pub async fn start(options: Options) -> Result<Running, ServeError> {
    let Options { settings, file } = options;
    raise_socket_limit();
    let recorder = metrics::install().map_err(|error| ServeError::System(error.to_string()))?;
    let server_tls = ServerTls::load(&settings.server_tls)?;
    let client_tls = keeper::client_tls(&settings.tls)?;
    let sockets = listen::bind(&settings.general.listen.0).await?;
    let (http, http_address) = bind_http(&settings.general.http).await?;
    let ended = CancellationToken::new();
    let workers = workers(&settings, &ended)?;
    let cluster = Arc::new(Cluster::new(settings, file, workers.len(), server_tls));
    cluster.client_tls.store(client_tls);
    let mut running = Running {
        addresses: sockets.iter().map(listen::Listening::address).collect(),
        address: sockets.iter().find_map(listen::Listening::tcp),
        http: http_address,
        cluster: cluster.clone(),
        closed: CancellationToken::new(),
        ended: ended.clone(),
        workers,
        listeners: JoinSet::new(),
        services: JoinSet::new(),
    };
    let facts = Facts { cluster: cluster.clone(), metrics: recorder.clone() };
    running.services.spawn(async move {
        if let Err(error) = http::serve(http, facts, ended.cancelled_owned()).await {
            tracing::error!(%error, "HTTP is not served any more");
        }
    });
    open_databases(&cluster).await?;
    running.services.spawn(keep_time());
    running.services.spawn(look_after(cluster.clone(), recorder));
    let handles: Vec<Handle> = running.workers.iter().map(|worker| worker.handle.clone()).collect();
    // Nothing else sets it.
    let _ = cluster.pools.handles.set(handles.clone());
    let door = Arc::new(Door::new(cluster, handles));
    for socket in sockets {
        running.listeners.spawn(socket.serve(door.clone(), running.closed.clone()));
    }
    Ok(running)
}

async fn bind_http(place: &HostPort) -> Result<(TcpListener, SocketAddr), ListenError> {
    let bound = TcpListener::bind((place.host.as_str(), place.port)).await;
    let bound = bound.and_then(|socket| socket.local_addr().map(|address| (socket, address)));
    bound.map_err(|error| ListenError { address: place.to_string(), error })
}

async fn open_databases(cluster: &Arc<Cluster>) -> Result<(), ServeError> {
    let settings = cluster.settings.load_full();
    for listed in settings.databases.iter().filter(|listed| !listed.is_any()) {
        let opened = keeper::open(cluster, listed).await;
        let database = opened.map_err(|error| {
            let server = listed.catalog_connection().map(ConnectionParts::redacted).unwrap_or_default();
            ServeError::Database { database: listed.name.to_string(), server, error }
        })?;
        keeper::start_keeping(cluster, database);
    }
    Ok(())
}

/// Threads that serve clients, each with an event loop of its own.
fn workers(settings: &Settings, ended: &CancellationToken) -> Result<Vec<Worker>, ServeError> {
    let system = |error: io::Error| ServeError::System(format!("threads cannot be started: {error}"));
    let count = match settings.general.workers {
        // One core is left to the catalog, probes, HTTP, and on a small machine to the servers beside it.
        0 => thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
        count => count as usize,
    };
    (0..count)
        .map(|number| {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(system)?;
            let (handle, ended) = (runtime.handle().clone(), ended.clone());
            let named = thread::Builder::new().name(format!("pgring-worker-{number}"));
            let thread = named.spawn(move || runtime.block_on(ended.cancelled())).map_err(system)?;
            Ok(Worker { handle, thread: Some(thread) })
        })
        .collect()
}

/// Keeps the coarse clock going.
async fn keep_time() {
    let mut ticks = interval(registry::TICK);
    loop {
        ticks.tick().await;
        registry::tick();
    }
}

/// Each second: closes what has been idle for too long, and brings gauges up to date.
async fn look_after(cluster: Arc<Cluster>, recorder: PrometheusHandle) {
    let mut ticks = interval(Duration::from_secs(1));
    let mut level = cluster.settings.load().log.level;
    let mut measured = HashSet::new();
    loop {
        ticks.tick().await;
        let wanted = cluster.settings.load().log.level;
        if wanted != level
            && let Some(known) = LEVEL.get()
            && known.reload(filter(wanted)).is_ok()
        {
            level = wanted;
        }
        cluster.pools.tidy();
        cluster.tidy();
        recorder.run_upkeep();
        measured = measure(&cluster, measured);
    }
}

/// Sets the gauges of the pools that are there, and those of pools that are gone to 0; returns the former.
fn measure(cluster: &Cluster, before: HashSet<PoolKey>) -> HashSet<PoolKey> {
    let mut busy: HashMap<(Arc<str>, ServerName), (usize, usize)> = HashMap::new();
    let mut now = HashSet::new();
    for figures in cluster.pools.all().iter().map(|pool| pool.figures()) {
        measure_pool(&figures.key, [figures.active, figures.idle, figures.waiting]);
        let (active, size) = busy.entry((figures.key.database.clone(), figures.key.server.clone())).or_default();
        *active += figures.active;
        *size += figures.size;
        now.insert(figures.key);
    }
    for gone in before.difference(&now) {
        measure_pool(gone, [0; 3]);
        busy.entry((gone.database.clone(), gone.server.clone())).or_default();
    }
    for ((database, shard), (active, size)) in busy {
        let labels = [("database", database.to_string()), ("shard", shard.to_string())];
        gauge!("pgring_shard_busy", &labels).set((active as f64 / size.max(1) as f64).min(1.0));
    }
    now
}

fn measure_pool(pool: &PoolKey, [active, idle, waiting]: [usize; 3]) {
    let labels =
        [("user", pool.user.to_string()), ("database", pool.database.to_string()), ("server", pool.server.to_string())];
    gauge!("pgring_pool_active", &labels).set(active as f64);
    gauge!("pgring_pool_idle", &labels).set(idle as f64);
    gauge!("pgring_pool_waiting", &labels).set(waiting as f64);
}

impl Running {
    /// Waits until the router is asked to end ([`Cluster::stop`]), then drains it: no new clients, idle ones are sent
    /// away, transactions may finish within `general.shutdown_timeout`. Asked to end at once, it does.
    pub async fn finish(mut self) {
        let mut asked = self.cluster.stop.subscribe();
        // The sender lives in the cluster, which lives in self.
        let _ = asked.wait_for(Option::is_some).await;
        tracing::info!("shutting down");
        self.cluster.draining.store(true, Ordering::Release);
        self.closed.cancel();
        while self.listeners.join_next().await.is_some() {}
        let patience = self.cluster.settings.load().general.shutdown_timeout;
        let at_once = async {
            let _ = asked.wait_for(|stop| *stop == Some(true)).await;
        };
        let drained = tokio::select! {
            drained = timeout(patience, drain(&self.cluster)) => drained.is_ok(),
            () = at_once => false,
        };
        if !drained {
            let clients = self.cluster.clients.all();
            tracing::warn!(clients = clients.len(), "clients are sent away in the middle of their work");
            clients.iter().for_each(|client| client.kill());
            let _ = timeout(GRACE, gone(&self.cluster)).await;
        }
        self.end().await;
    }

    /// Takes the rest down: workers, then HTTP.
    async fn end(mut self) {
        self.ended.cancel();
        let threads: Vec<_> = self.workers.iter_mut().filter_map(|worker| worker.thread.take()).collect();
        let joined = tokio::task::spawn_blocking(|| threads.into_iter().all(|thread| thread.join().is_ok()));
        if !matches!(timeout(GRACE, joined).await, Ok(Ok(true))) {
            tracing::error!("a worker thread did not end as it should");
        }
        self.services.shutdown().await;
        tracing::info!("stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.closed.cancel();
        self.ended.cancel();
    }
}

/// Sends idle clients away until nobody is here.
async fn drain(cluster: &Cluster) {
    while !cluster.clients.is_empty() {
        for client in cluster.clients.all() {
            if client.doing() == Doing::Idle {
                client.kill();
            }
        }
        sleep(LOOK).await;
    }
}

/// Waits until nobody is here.
async fn gone(cluster: &Cluster) {
    while !cluster.clients.is_empty() {
        sleep(LOOK).await;
    }
}

/// Runs a router as a process of its own: logging, signals, exit code.
pub fn run(options: Options) -> ExitCode {
    log(&options.settings);
    for (key, part) in options.settings.without_effect_yet() {
        tracing::warn!("{key} has no effect yet ({part})");
    }
    let threads = Builder::new_multi_thread().worker_threads(2).thread_name("pgring-control").enable_all().build();
    let runtime = match threads {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "threads cannot be started");
            return ExitCode::from(CRASHED);
        }
    };
    let code = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(live(options))));
    runtime.shutdown_timeout(GRACE);
    code.unwrap_or(ExitCode::from(CRASHED))
}

/// A router from start to end.
async fn live(options: Options) -> ExitCode {
    let began = Instant::now();
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be received");
            return ExitCode::from(CRASHED);
        }
    };
    match start(options).await {
        Ok(running) => {
            tracing::info!(
                version = env!("CARGO_PKG_VERSION"),
                listen = running.addresses.join(", "),
                http = %running.http,
                took = ?began.elapsed(),
                "pgring lets clients in"
            );
            let signals = tokio::spawn(signals.obey(running.cluster.clone()));
            running.finish().await;
            signals.abort();
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("cannot start: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// The signals that a router obeys, heard from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM and SIGINT: drain, and end at once when they come again. SIGHUP: read the configuration again.
    pub async fn obey(mut self, cluster: Arc<Cluster>) {
        loop {
            tokio::select! {
                _ = self.term.recv() => ask_to_end(&cluster),
                _ = self.int.recv() => ask_to_end(&cluster),
                _ = self.hup.recv() => read_again(&cluster).await,
            }
        }
    }
}

fn ask_to_end(cluster: &Cluster) {
    cluster.stop.send_modify(|stop| *stop = Some(stop.is_some()));
}

async fn read_again(cluster: &Arc<Cluster>) {
    match keeper::reload(cluster).await {
        Ok(changed) if changed.is_empty() => tracing::info!("configuration reloaded, nothing changed"),
        Ok(changed) => changed.iter().for_each(|change| tracing::info!("configuration reloaded: {change}")),
        Err(error) => tracing::error!("configuration not reloaded: {error}"),
    }
}

/// Changes the log's level while the process runs.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Writes log lines to standard error; `RUST_LOG` goes before `log.level`.
pub fn log(settings: &Settings) {
    let (filter, level) = reload::Layer::new(filter(settings.log.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match settings.log.format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    if tracing_subscriber::registry().with(lines.with_filter(filter)).try_init().is_ok() {
        let _first = LEVEL.set(level);
    }
}

/// What is logged at a level; of the servers' notices to pgring's own connections, only warnings.
fn filter(level: LogLevel) -> EnvFilter {
    let level = level.as_str();
    let known = std::env::var("RUST_LOG").ok().filter(|given| !given.is_empty());
    EnvFilter::new(known.unwrap_or_else(|| format!("{level},tokio_postgres=warn")))
}

//! Cluster: what a session, an admin command or a probe may reach: each database with its immutable snapshot, and the
//! pools. Built once by `serve`, handed on as an argument.

mod askers;
mod flights;
mod windows;

pub use askers::{Asker, Askers};
pub use flights::{Flight, Flights, InDoubt};
pub use windows::{Window, Windows};

use crate::{
    metrics,
    notify::Hubs,
    plan::build::Rules,
    pool::{Expected, Pool, PoolKey, PoolLimits, Pools, Proved, conn::CancelHandle},
    registry,
    topology::{health::Health, read::Reader, schema::Schema},
};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use pgring_config::{
    catalog::Catalog,
    ids::{ServerName, ShardIndex},
    settings::{self, Settings},
    topology::{Connection, Topology},
};
use pgring_protocol::{
    backend::{Login, Target},
    credentials::Credentials,
    tls::{self, TlsError, TlsMode},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::watch;
use tokio_rustls::rustls::ClientConfig;

/// A client of this router.
pub type Client = registry::Client<Arc<CancelHandle>>;

/// Cancels what runs for a client at this moment, or lets it wait no longer for a backend; returns how many servers
/// were asked, when each has taken the request. A statement that it begins later is not hit.
pub async fn cancel(client: &Client) -> usize {
    // Entered while the backends cannot end their work.
    let working = client.with_working(|backend| (backend.clone(), backend.gate.enter()));
    client.give_up();
    // In tasks of their own: a request under way goes on when who asked for it leaves.
    let sent: Vec<_> = working.into_iter().map(|(backend, passing)| tokio::spawn(backend.cancel(passing))).collect();
    let mut asked = 0;
    for sent in sent {
        match sent.await {
            Ok(Ok(())) => asked += 1,
            Ok(Err(error)) => tracing::warn!(client = client.id, %error, "a cancel request did not reach its server"),
            Err(error) => tracing::error!(client = client.id, %error, "a cancel request was lost"),
        }
    }
    asked
}

/// Where a shard's primary is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Address and TLS.
    pub target: Arc<Target>,
    /// Name of the database on that server.
    pub database: Arc<str>,
    /// What its identity must say; None where there is none (database `*`).
    pub expected: Option<Expected>,
}

/// What a statement needs to know of its database: one immutable value.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Shards, arcs, tables.
    pub topology: Arc<Topology>,
    /// Relations, columns, functions.
    pub schema: Arc<Schema>,
    /// Where each shard is, in the topology's order.
    pub places: Arc<[Place]>,
    /// Differs between snapshots for which plans may differ.
    pub plans: u64,
}

/// A database as clients see it.
#[derive(Debug)]
pub struct Database {
    /// Its name.
    pub name: Arc<str>,
    /// Its part of the settings.
    pub settings: Arc<settings::Database>,
    /// Where its topology is kept; None for `*`.
    pub catalog: Option<Catalog>,
    snapshot: ArcSwap<Snapshot>,
    /// What the settings say about new tables.
    pub rules: Rules,
    /// Handles of its metrics.
    pub statements: metrics::Statements,
    /// True while PAUSE holds back statements.
    pub paused: watch::Sender<bool>,
    /// A session asked for the value of a sequence outside a transaction: sessions that use sequences keep their backend.
    pub asks_sequences: AtomicBool,
    /// One reload at a time.
    pub reloading: tokio::sync::Mutex<()>,
    /// TLS towards its servers.
    pub server_tls: ServerTls,
    /// Which shards answer.
    pub health: Health,
    /// Listening connections to its servers.
    pub hubs: Hubs,
    /// Reads the schema.
    pub schema_reader: tokio::sync::Mutex<SchemaReader>,
    /// How often the schema was asked for.
    pub schema_asked: AtomicU64,
    /// Committed transactions that a shard has lost.
    lost: Mutex<Vec<InDoubt>>,
    /// Values of sequences that are drawn already.
    pub windows: Windows,
}

/// pgring's own connection to the default shard, for the schema.
#[derive(Debug, Default)]
pub struct SchemaReader {
    /// The connection, and which string it was made from.
    pub reader: Option<(Connection, Reader)>,
    /// Of those who asked for the schema, so many have been served.
    pub served: u64,
}

static PLANS: AtomicU64 = AtomicU64::new(1);

impl Database {
    /// A database with its first snapshot.
    pub fn new(
        settings: Arc<settings::Database>,
        name: &str,
        catalog: Option<Catalog>,
        snapshot: Snapshot,
        server_tls: ServerTls,
    ) -> Self {
        Self {
            name: name.into(),
            rules: Rules {
                shard_by: settings.shard_by.clone(),
                local_unique_allowed: settings.local_unique == settings::LocalUnique::Allow,
                reference_tables: settings.reference_tables.clone(),
            },
            // Clients choose the names of databases behind `*`: they share one label.
            statements: metrics::Statements::new(settings.name.as_str()),
            settings,
            catalog,
            snapshot: ArcSwap::from_pointee(snapshot),
            paused: watch::Sender::new(false),
            asks_sequences: AtomicBool::new(false),
            reloading: tokio::sync::Mutex::default(),
            server_tls,
            health: Health::default(),
            hubs: Hubs::default(),
            schema_reader: tokio::sync::Mutex::default(),
            schema_asked: AtomicU64::new(0),
            lost: Mutex::default(),
            windows: Windows::default(),
        }
    }

    /// The snapshot of this moment.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Committed transactions that a shard has lost, as they were found last.
    pub fn lost(&self) -> Vec<InDoubt> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what shards have lost.
    pub fn note_lost(&self, lost: Vec<InDoubt>) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = lost;
    }

    /// Swaps in what is new; plans made before are void if tables or schema differ.
    pub fn publish(&self, topology: Option<(Arc<Topology>, Arc<[Place]>)>, schema: Option<Arc<Schema>>) {
        // Both halves may be published at the same time.
        let before = self.snapshot.rcu(|before| {
            let (topology, places) = topology.clone().unwrap_or((before.topology.clone(), before.places.clone()));
            let schema = schema.clone().unwrap_or(before.schema.clone());
            let tables = topology.tables_version == before.topology.tables_version;
            let same = tables && schema.version == before.schema.version;
            let plans = if same { before.plans } else { PLANS.fetch_add(1, Ordering::Relaxed) };
            Snapshot { topology, schema, places, plans }
        });
        let now = self.snapshot();
        if !before.topology.shards.iter().map(|shard| &shard.name).eq(now
            .topology
            .shards
            .iter()
            .map(|shard| &shard.name))
        {
            self.hubs.moved();
        }
    }
}

impl Snapshot {
    /// A first snapshot.
    pub fn new(topology: Topology, schema: Schema, places: Arc<[Place]>) -> Self {
        Self {
            topology: Arc::new(topology),
            schema: Arc::new(schema),
            places,
            plans: PLANS.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// A user who has logged in.
#[derive(Debug)]
pub struct User {
    /// Name as the client gave it.
    pub name: Arc<str>,
    /// How its backends log in: user and credentials.
    pub server_user: Arc<str>,
    /// Credentials towards servers.
    pub credentials: Credentials,
    /// Number of the log-in that proved them: a later one has the higher number.
    pub log_in: u64,
    /// What the server's catalogs said of the role then, as one number; None: they were not asked.
    pub role: Option<i64>,
    /// May run every admin command.
    pub admin: bool,
    /// May run SHOW.
    pub stats: bool,
    /// Backends per server, if another number than `pool.size`.
    pub pool_size: Option<usize>,
}

/// Everything shared in this process.
#[derive(Debug)]
pub struct Cluster {
    /// The settings in force.
    pub settings: ArcSwap<Settings>,
    /// Where they came from.
    pub settings_file: Option<std::path::PathBuf>,
    databases: ArcSwap<HashMap<String, Arc<Database>>>,
    making: Mutex<()>,
    /// Backends.
    pub pools: Pools,
    /// pgring's own connections to the servers that know users.
    pub askers: Arc<Askers>,
    /// Clients.
    pub clients: registry::Clients<Arc<CancelHandle>>,
    /// Commits over several shards.
    pub flights: Arc<Flights>,
    /// No new client is let in, and idle ones are sent away.
    pub draining: AtomicBool,
    /// Asks the process to end; true: at once.
    pub stop: watch::Sender<Option<bool>>,
    /// When the process began.
    pub started: Instant,
    /// TLS towards servers.
    pub server_tls: ArcSwap<ServerTls>,
    /// TLS towards clients, if it is served.
    pub client_tls: ArcSwapOption<tls::ServerTls>,
}

/// TLS towards servers.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Whether and how much is verified where a connection string does not say.
    pub mode: settings::ServerTlsMode,
    unverified: Option<Arc<ClientConfig>>,
    authority: Option<Arc<ClientConfig>>,
    name: Option<Arc<ClientConfig>>,
}

impl ServerTls {
    /// Loads what `[server_tls]` names.
    ///
    /// # Errors
    /// [`TlsError`], naming the file; no `ca` where the mode verifies.
    pub fn load(settings: &settings::ServerTls) -> Result<Self, TlsError> {
        use settings::ServerTlsMode::{VerifyCa, VerifyFull};
        let ca = settings.ca.as_deref();
        let verifies = ca.is_some() || matches!(settings.mode, VerifyCa | VerifyFull);
        let load = |mode| if verifies { tls::client_config(mode, ca, None) } else { Ok(None) };
        Ok(Self {
            mode: settings.mode,
            unverified: tls::client_config(TlsMode::Prefer, None, None)?,
            authority: load(TlsMode::VerifyCa)?,
            name: load(TlsMode::VerifyFull)?,
        })
    }

    /// What TLS is done with in this mode; None: there is none, or nothing to verify with.
    pub fn config(&self, mode: settings::ServerTlsMode) -> Option<Arc<ClientConfig>> {
        use settings::ServerTlsMode as Mode;
        match mode {
            Mode::Disable => None,
            Mode::Prefer | Mode::Require => self.unverified.clone(),
            Mode::VerifyCa => self.authority.clone(),
            Mode::VerifyFull => self.name.clone(),
        }
    }
}

impl Cluster {
    /// A cluster without databases.
    pub fn new(
        settings: Settings,
        settings_file: Option<std::path::PathBuf>,
        workers: usize,
        server_tls: ServerTls,
    ) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            settings_file,
            databases: ArcSwap::default(),
            making: Mutex::default(),
            pools: Pools::new(workers),
            askers: Arc::default(),
            clients: registry::Clients::default(),
            flights: Arc::default(),
            draining: AtomicBool::new(false),
            stop: watch::Sender::new(None),
            started: Instant::now(),
            server_tls: ArcSwap::from_pointee(server_tls),
            client_tls: ArcSwapOption::empty(),
        }
    }

    /// The database of this name.
    pub fn database(&self, name: &str) -> Option<Arc<Database>> {
        self.databases.load().get(name).cloned()
    }

    /// Every database, by name.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        let mut all: Vec<_> = self.databases.load().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Adds a database.
    pub fn add_database(&self, database: Arc<Database>) {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut databases = HashMap::clone(&self.databases.load());
        databases.insert(database.name.to_string(), database);
        self.databases.store(Arc::new(databases));
    }

    /// Removes a database; clients that are on it stay on it.
    pub fn remove_database(&self, name: &str) {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut databases = HashMap::clone(&self.databases.load());
        databases.remove(name);
        self.databases.store(Arc::new(databases));
    }

    /// Forgets databases that `*` stood for and that have no client and no backend any more.
    pub fn tidy(&self) {
        let with_backends: HashSet<Arc<str>> = self.pools.all().iter().map(|pool| pool.key.database.clone()).collect();
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let databases = self.databases.load_full();
        let left = |database: &Arc<Database>| {
            database.settings.is_any() && Arc::strong_count(database) == 1 && !with_backends.contains(&database.name)
        };
        let gone: Vec<&String> = databases.iter().filter(|(_, known)| left(known)).map(|(name, _)| name).collect();
        if !gone.is_empty() {
            let kept = databases.iter().filter(|(name, _)| !gone.contains(name));
            self.databases.store(Arc::new(kept.map(|(name, known)| (name.clone(), known.clone())).collect()));
        }
    }

    /// The pool of a user's backends on a shard's primary.
    pub fn pool(&self, database: &Database, snapshot: &Snapshot, user: &User, shard: ShardIndex) -> Arc<Pool> {
        let settings = self.settings.load();
        let place = &snapshot.places[usize::from(shard.0)];
        let key = PoolKey {
            user: user.name.clone(),
            database: database.name.clone(),
            server: ServerName::new(snapshot.topology.shard(shard).name.as_str()),
        };
        let login = Arc::new(Login {
            user: user.server_user.to_string(),
            database: place.database.to_string(),
            credentials: user.credentials.clone(),
            parameters: vec![("client_encoding".into(), "UTF8".into())],
        });
        let limits = PoolLimits {
            size: user.pool_size.unwrap_or(settings.pool.size as usize).max(1),
            min_idle: settings.pool.min_idle as usize,
            queue_timeout: settings.pool.queue_timeout,
            idle_timeout: settings.pool.idle_timeout.limit(),
            max_lifetime: settings.pool.max_lifetime.limit(),
            statements: settings.pool.prepared_statements as usize,
        };
        let proved = Proved { login, at: user.log_in, role: user.role };
        self.pools.pool(key, &place.target, &proved, place.expected.clone(), limits)
    }
}

//! Keeper: opens the databases and keeps what this router knows of them fresh. In: settings, the catalog's word,
//! the default shard's system catalogs, probes. Out: snapshots, published. Never: a client; changes who owns a row.

mod schema;

pub use schema::refresh_schema;

use crate::{
    cluster::{Cluster, Database, Place, ServerTls, Snapshot},
    control::{self, ControlError},
    deadlock,
    pool::Expected,
    recovery,
    topology::{read::SchemaError, schema::Schema},
};
use metrics::gauge;
use pgring_config::{
    catalog::{
        identity,
        shards::{SeedReplica, SeedShard},
        snowflake,
        watch::Heard,
    },
    error::{CatalogError, IdentityError},
    ids::{Epoch, ShardIndex, ShardName},
    settings::{self, ANY_DATABASE, ConnectionError, ConnectionParts, Settings, SettingsError},
    tables::TableName,
    topology::{Connection, Shard, ShardState, Topology},
};
use pgring_protocol::{
    backend::{Address, Target},
    tls::{self, TlsError},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_postgres::Client;

/// How often it is looked whether the schema has changed, whatever was heard.
const SCHEMA_EVERY: Duration = Duration::from_secs(5);

/// Every so many of these times all of it is read, whether it has changed or not.
const WHOLE_SCHEMA_EVERY: u32 = 120;

/// How long a probe may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// What goes wrong while a database is opened or read anew.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The catalog does not answer, or is not ours.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The configuration names neither a catalog nor a shard.
    #[error("database {0} has no catalog and no shard")]
    NoCatalog(Arc<str>),
    /// A shard's connection string cannot be read.
    #[error("the connection string of shard {shard} cannot be read: {error}")]
    Connection {
        /// The shard.
        shard: ShardName,
        /// Why.
        error: ConnectionError,
    },
    /// The default shard does not answer.
    #[error("{0}")]
    Control(#[from] ControlError),
    /// Its system catalogs cannot be read.
    #[error("{0}")]
    Schema(#[from] SchemaError),
}

/// Why a configuration was not taken on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no file.
    #[error("the configuration did not come from a file")]
    NoFile,
    /// It has faults.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// A certificate or key cannot be read.
    #[error("{0}")]
    Tls(#[from] TlsError),
}

/// Opens a listed database: its catalog is brought up to date, seeded and loaded; shards get their identity. Shards
/// that do not answer are noted in its health, and tried again by [`keep`].
///
/// # Errors
/// [`KeeperError`] when the catalog cannot be used.
pub async fn open(cluster: &Cluster, database: &settings::Database) -> Result<Arc<Database>, KeeperError> {
    let name: Arc<str> = database.name.as_str().into();
    let settings = cluster.settings.load_full();
    let parts = database.catalog_connection().ok_or_else(|| KeeperError::NoCatalog(name.clone()))?;
    let tls = ServerTls::clone(&cluster.server_tls.load());
    let catalog = control::catalog(parts, &tls, &settings.general.cluster, &name).await?;
    catalog.migrate().await?;
    let home = database.home().ok_or_else(|| KeeperError::NoCatalog(name.clone()))?;
    catalog.seed(&seeds(database), home, &reference_tables(database)).await?;
    let topology = catalog.load(&overrides(database)).await?;
    let places = places(&topology, &name, &settings, &tls, &[])?;
    let snapshot = Snapshot::new(topology, Schema::default(), places);
    let opened = Arc::new(Database::new(Arc::new(database.clone()), &name, Some(catalog), snapshot, tls));
    let mut probes = Probes::default();
    probe(&opened, &settings, &mut probes).await;
    if let Err(error) = refresh_schema(&opened).await {
        tracing::warn!(database = %name, %error, "the schema cannot be read yet");
    }
    Ok(opened)
}

/// The database of this name, made on first use where `*` stands for it; None if there is none.
///
/// # Errors
/// [`KeeperError::Connection`] if the connection of `*` cannot be used.
pub fn find(cluster: &Cluster, name: &str) -> Result<Option<Arc<Database>>, KeeperError> {
    if let Some(database) = cluster.database(name) {
        return Ok(Some(database));
    }
    let settings = cluster.settings.load();
    let listed = settings.database(name).filter(|database| database.is_any() && name != ANY_DATABASE);
    let Some((any, parts)) = listed.and_then(|any| Some((any, any.connection.as_ref()?))) else { return Ok(None) };
    let shard = ShardName::from("server");
    let parts = ConnectionParts { dbname: Some(name.to_owned()), ..parts.clone() };
    let tls = ServerTls::clone(&cluster.server_tls.load());
    let target = target(&parts, &settings, &tls);
    let topology = Topology {
        epoch: Epoch(0),
        tables_version: 0,
        shards: vec![pass_through(&shard, &parts)],
        default_shard: ShardIndex(0),
        groups: vec![],
        tables: HashMap::new(),
    };
    let place = Place { target: Arc::new(target), database: name.into(), expected: None };
    let snapshot = Snapshot::new(topology, Schema::default(), [place].into());
    let database = Arc::new(Database::new(Arc::new(any.clone()), name, None, snapshot, tls));
    cluster.add_database(database.clone());
    Ok(Some(database))
}

fn pass_through(name: &ShardName, parts: &ConnectionParts) -> Shard {
    Shard {
        name: name.clone(),
        weight: 1.0,
        zone: None,
        state: ShardState::Active,
        read_only: false,
        connection: parts.into(),
        replicas: vec![],
    }
}

fn with_database(parts: &ConnectionParts, name: &str) -> ConnectionParts {
    let dbname = parts.dbname.clone().unwrap_or_else(|| name.to_owned());
    ConnectionParts { dbname: Some(dbname), ..parts.clone() }
}

/// The configuration's shards for the catalog, without passwords: the configuration's own connections go before the
/// catalog's, so that secrets stay where they are.
fn seeds(database: &settings::Database) -> Vec<SeedShard> {
    let stored = |parts: &ConnectionParts| Connection(with_database(parts, database.name.as_str()).redacted().into());
    let replica = |replica: &settings::Replica| SeedReplica {
        name: replica.name.clone(),
        connection: stored(&replica.connection),
        weight: replica.weight,
        zone: replica.zone.clone(),
    };
    let seed = |shard: &settings::Shard| SeedShard {
        name: shard.name.clone(),
        weight: shard.weight,
        zone: shard.zone.clone(),
        connection: stored(&shard.connection),
        read_only: shard.read_only,
        active: shard.active,
        replicas: shard.replicas.iter().map(replica).collect(),
    };
    database.shards.iter().map(seed).collect()
}

fn reference_tables(database: &settings::Database) -> Vec<TableName> {
    let table = |name: &String| {
        let (schema, table) = name.split_once('.').unwrap_or(("public", name));
        TableName::new(schema, table)
    };
    database.reference_tables.iter().map(table).collect()
}

/// Connections of the configuration, by name of shard or replica; they go before the catalog's.
fn overrides(database: &settings::Database) -> HashMap<ShardName, Connection> {
    let name = database.name.as_str();
    let own = |parts: &ConnectionParts| Connection::from(&with_database(parts, name));
    let shards = database.shards.iter().map(|shard| (shard.name.clone(), own(&shard.connection)));
    let replicas = database.shards.iter().flat_map(|shard| &shard.replicas);
    let replicas = replicas.map(|replica| (ShardName::new(replica.name.as_str()), own(&replica.connection)));
    shards.chain(replicas).collect()
}

fn target(parts: &ConnectionParts, settings: &Settings, tls: &ServerTls) -> Target {
    let host = parts.hosts.first();
    let port = parts.port();
    let address = match host.filter(|host| host.is_unix()) {
        Some(host) => Address::Unix { dir: host.host.clone().into(), port },
        // `hostaddr` says where the host is.
        None => Address::Tcp { host: parts.parameter("hostaddr").unwrap_or(parts.host()).to_owned(), port },
    };
    let mode = parts.sslmode.unwrap_or(tls.mode);
    Target {
        address,
        tls: match mode {
            settings::ServerTlsMode::Disable => tls::TlsMode::Disable,
            settings::ServerTlsMode::Prefer => tls::TlsMode::Prefer,
            settings::ServerTlsMode::Require => tls::TlsMode::Require,
            settings::ServerTlsMode::VerifyCa => tls::TlsMode::VerifyCa,
            settings::ServerTlsMode::VerifyFull => tls::TlsMode::VerifyFull,
        },
        tls_config: tls.config(mode),
        connect_timeout: settings.pool.connect_timeout,
    }
}

/// Where each shard is; a target that is as before stays the same one, so that its pools stay.
fn places(
    topology: &Topology,
    database: &str,
    settings: &Settings,
    tls: &ServerTls,
    before: &[Place],
) -> Result<Arc<[Place]>, KeeperError> {
    let place = |shard: &Shard| {
        let parts = ConnectionParts::parse(&shard.connection.0)
            .map_err(|error| KeeperError::Connection { shard: shard.name.clone(), error })?;
        let made = target(&parts, settings, tls);
        let same = |place: &&Place| is_same(&place.target, &made);
        let known = before.iter().find(same).map(|place| place.target.clone());
        Ok(Place {
            target: known.unwrap_or_else(|| Arc::new(made)),
            database: parts.dbname.as_deref().unwrap_or(database).into(),
            expected: Some(expected(settings, shard, topology.epoch)),
        })
    };
    topology.shards.iter().map(place).collect()
}

fn expected(settings: &Settings, shard: &Shard, epoch: Epoch) -> Expected {
    Expected { cluster: settings.general.cluster.as_str().into(), shard: shard.name.clone(), epoch }
}

fn is_same(one: &Target, other: &Target) -> bool {
    let config = |target: &Target| target.tls_config.as_ref().map(Arc::as_ptr);
    one.address == other.address
        && one.tls == other.tls
        && one.connect_timeout == other.connect_timeout
        && config(one) == config(other)
}

/// Loads the topology and publishes it: what the catalog held when this was called is seen when it returns.
///
/// # Errors
/// [`KeeperError`]; what was known before is still served then.
pub async fn refresh_topology(database: &Database, cluster: &Cluster) -> Result<(), KeeperError> {
    let Some(catalog) = &database.catalog else { return Ok(()) };
    let _one_at_a_time = database.reloading.lock().await;
    let topology = catalog.load(&overrides(&database.settings)).await?;
    let before = database.snapshot().places.clone();
    let settings = cluster.settings.load();
    let places = places(&topology, &database.name, &settings, &database.server_tls, &before)?;
    database.health.keep(|name| topology.shard_by_name(name.as_str()).is_some());
    gauge!("pgring_ring_epoch", "database" => database.name.to_string()).set(topology.epoch.0 as f64);
    database.publish(Some((Arc::new(topology), places)), None);
    Ok(())
}

/// Keeps a database fresh until it is gone: follows its catalog, reads its schema, probes its shards.
pub async fn keep(cluster: Weak<Cluster>, database: Weak<Database>) {
    let (Some(now), Some(catalog)) = (cluster.upgrade(), database.upgrade().and_then(|known| known.catalog.clone()))
    else {
        return;
    };
    let detect = now.settings.load().failover.detect_interval.max(Duration::from_millis(50));
    drop(now);
    let (events, mut heard) = mpsc::channel(16);
    let watching = tokio::spawn(catalog.watch(events));
    let ticks = |every| {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    };
    let (mut schema_due, mut probe_due) = (ticks(SCHEMA_EVERY), ticks(detect));
    let (mut probes, mut troubles) = (Probes::default(), Troubles::default());
    let mut looks = 0_u32;
    loop {
        let due = tokio::select! {
            event = heard.recv() => match event {
                Some(Heard::Topology { epoch, tables_version }) => Due::Topology(epoch, tables_version),
                Some(Heard::Schema) => {
                    // A sequence may have been put to another value.
                    if let Some(database) = database.upgrade() {
                        database.windows.void();
                    }
                    Due::Schema
                }
                None => break,
            },
            _ = schema_due.tick() => {
                looks = (looks + 1) % WHOLE_SCHEMA_EVERY;
                if looks == 0 { Due::WholeSchema } else { Due::Schema }
            }
            _ = probe_due.tick() => Due::Probe,
        };
        let (Some(cluster), Some(database)) = (cluster.upgrade(), database.upgrade()) else { break };
        match due {
            Due::Topology(epoch, tables_version) => {
                let known = database.snapshot().topology.clone();
                if (known.epoch, known.tables_version) != (epoch, tables_version) {
                    troubles.note(&database, "topology", refresh_topology(&database, &cluster).await);
                }
            }
            Due::Schema => troubles.note(&database, "schema", refresh_schema(&database).await),
            Due::WholeSchema => troubles.note(&database, "schema", schema::read_schema(&database, true).await),
            Due::Probe => {
                if probe(&database, &cluster.settings.load_full(), &mut probes).await {
                    troubles.note(&database, "schema", refresh_schema(&database).await);
                }
            }
        }
    }
    watching.abort();
}

/// What is to be done.
enum Due {
    Topology(Epoch, u64),
    Schema,
    WholeSchema,
    Probe,
}

/// What cannot be read at present, so that it is said once.
#[derive(Default)]
struct Troubles(BTreeSet<&'static str>);

impl Troubles {
    fn note(&mut self, database: &Database, what: &'static str, result: Result<(), KeeperError>) {
        match result {
            Ok(()) if self.0.remove(what) => tracing::info!(database = %database.name, "the {what} can be read again"),
            Ok(()) => {}
            Err(error) if self.0.insert(what) => {
                tracing::warn!(database = %database.name, %error, "the {what} cannot be read; what was known is served");
            }
            Err(_) => {}
        }
    }
}

/// A probe's connection to each shard, by the shard's connection string.
type Probes = HashMap<ShardName, (Connection, Client)>;

/// Asks every shard whether it is there; those that come up get or show their identity. True if one came up.
async fn probe(database: &Database, settings: &Settings, probes: &mut Probes) -> bool {
    let topology = database.snapshot().topology.clone();
    let mut asked = JoinSet::new();
    for (number, shard) in (0_u16..).zip(&topology.shards) {
        let kept = probes.remove(&shard.name).filter(|(connection, _)| *connection == shard.connection);
        let (name, connection) = (shard.name.clone(), shard.connection.clone());
        let (tls, dbname) = (database.server_tls.clone(), database.name.clone());
        let cluster = settings.general.cluster.clone();
        asked.spawn(async move {
            let ask = ask((number, &name), &connection, kept.map(|(_, client)| client), &dbname, &tls, &cluster);
            let answer = timeout(PROBE_PATIENCE, ask).await;
            let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {PROBE_PATIENCE:?}")));
            (name, connection, answer)
        });
    }
    probes.clear();
    let mut came_up = false;
    while let Some(Ok((name, connection, answer))) = asked.join_next().await {
        let fault = match answer {
            Ok(client) => {
                probes.insert(name.clone(), (connection, client));
                None
            }
            Err(fault) => Some(fault),
        };
        came_up |= note(database, &name, fault);
    }
    came_up
}

/// Notes what a probe found; true if the shard came up.
fn note(database: &Database, shard: &ShardName, fault: Option<String>) -> bool {
    let labels = [("database", database.name.to_string()), ("shard", shard.to_string())];
    gauge!("pgring_shard_up", &labels).set(if fault.is_none() { 1.0 } else { 0.0 });
    if !database.health.note(shard, fault.clone()) {
        return false;
    }
    match fault {
        Some(fault) => {
            tracing::warn!(database = %database.name, %shard, fault, "shard does not serve");
            false
        }
        None => {
            tracing::info!(database = %database.name, %shard, "shard serves");
            true
        }
    }
}

async fn ask(
    (number, shard): (u16, &ShardName),
    connection: &Connection,
    client: Option<Client>,
    database: &str,
    tls: &ServerTls,
    cluster: &str,
) -> Result<Client, String> {
    if let Some(client) = client.filter(|client| !client.is_closed()) {
        client.simple_query("SELECT 1").await.map_err(|error| ControlError::from(error).to_string())?;
        return Ok(client);
    }
    let parts = ConnectionParts::parse(&connection.0).map_err(|error| error.to_string())?;
    let mut client = control::connect_parts(&parts, database, tls).await.map_err(|error| error.to_string())?;
    let installed = identity::install_on(&mut client, cluster, shard.as_str()).await;
    installed.map_err(|error: IdentityError| error.to_string())?;
    let made = snowflake::install(&mut client, number).await;
    made.map_err(|error| ControlError::from(error).to_string())?;
    Ok(client)
}

/// Reads the configuration file again and takes on what can be taken on while running; returns what changed, key by
/// key, without secrets.
///
/// # Errors
/// [`ReloadError`]; everything is as before then.
pub async fn reload(cluster: &Arc<Cluster>) -> Result<Vec<String>, ReloadError> {
    let file = cluster.settings_file.clone().ok_or(ReloadError::NoFile)?;
    let mut new = Settings::load(&file)?;
    let client_tls = client_tls(&new.tls)?;
    let server_tls = ServerTls::load(&new.server_tls)?;
    let old = cluster.settings.load_full();
    for key in old.needs_restart(&new) {
        tracing::warn!(key, "the new value takes effect after a restart");
    }
    for (key, part) in new.without_effect_yet() {
        tracing::warn!("{key} has no effect yet ({part})");
    }
    // What a restart is needed for stays what it is, so that it shows as such.
    new.general.listen = old.general.listen.clone();
    new.general.http = old.general.http.clone();
    new.general.cluster = old.general.cluster.clone();
    new.general.workers = old.general.workers;
    let changed = changes(&old, &new);
    cluster.client_tls.store(client_tls);
    cluster.server_tls.store(Arc::new(server_tls));
    cluster.settings.store(Arc::new(new));
    take_on_databases(cluster, &old).await;
    Ok(changed)
}

/// What clients are served TLS with; None: there is none.
///
/// # Errors
/// [`TlsError`], naming the file.
pub fn client_tls(settings: &settings::Tls) -> Result<Option<Arc<tls::ServerTls>>, TlsError> {
    let (Some(cert), Some(key)) = (&settings.cert, &settings.key) else { return Ok(None) };
    if settings.mode == settings::TlsMode::Disable {
        return Ok(None);
    }
    let required = settings.mode == settings::TlsMode::VerifyClient;
    tls::server_config(cert, key, settings.client_ca.as_deref(), required).map(Some)
}

/// Keys whose values differ, as `key: old → new`; a secret that changed shows as `***`.
fn changes(old: &Settings, new: &Settings) -> Vec<String> {
    let rows = |settings: &Settings| -> BTreeMap<String, String> {
        settings.show_rows().into_iter().map(|row| (row.key, row.value)).collect()
    };
    let (old, new) = (rows(old), rows(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |rows: &BTreeMap<String, String>, key: &String| rows.get(key).cloned().unwrap_or_default();
    keys.into_iter()
        .map(|key| (key, value(&old, key), value(&new, key)))
        .filter(|(_, before, after)| before != after)
        .map(|(key, before, after)| format!("{key}: {before} → {after}"))
        .collect()
}

/// Opens databases that are new or changed, lets go of those that are no longer listed.
async fn take_on_databases(cluster: &Arc<Cluster>, old: &Settings) {
    let new = cluster.settings.load_full();
    let servers_differ = new.server_tls != old.server_tls || new.pool.connect_timeout != old.pool.connect_timeout;
    for known in cluster.databases() {
        let listed = new.databases.iter().find(|listed| listed.name == known.settings.name);
        let same = listed.is_some_and(|listed| *listed == *known.settings) && !servers_differ;
        if listed.is_none() || (known.settings.is_any() && !same) {
            cluster.remove_database(&known.name);
        }
    }
    for listed in new.databases.iter().filter(|listed| !listed.is_any()) {
        let name = listed.name.as_str();
        if !servers_differ && cluster.database(name).is_some_and(|known| *known.settings == *listed) {
            continue;
        }
        match open(cluster, listed).await {
            Ok(database) => start_keeping(cluster, database),
            Err(error) => tracing::error!(database = name, %error, "the database's new settings are not in force"),
        }
    }
}

/// Makes an opened database known to clients, and keeps it fresh from now on.
pub fn start_keeping(cluster: &Arc<Cluster>, database: Arc<Database>) {
    let epoch = database.snapshot().topology.epoch;
    gauge!("pgring_ring_epoch", "database" => database.name.to_string()).set(epoch.0 as f64);
    tokio::spawn(keep(Arc::downgrade(cluster), Arc::downgrade(&database)));
    tokio::spawn(deadlock::keep(Arc::downgrade(cluster), Arc::downgrade(&database)));
    tokio::spawn(recovery::keep(Arc::downgrade(cluster), Arc::downgrade(&database)));
    cluster.add_database(database);
}

/// Whether clients may be let in.
pub fn is_ready(cluster: &Cluster) -> bool {
    let settings = cluster.settings.load();
    let known = |database: &settings::Database| database.is_any() || cluster.database(database.name.as_str()).is_some();
    !cluster.draining.load(Ordering::Acquire) && settings.databases.iter().all(known)
}

#[cfg(test)]
mod tests;

//! Schema: every section and key of the configuration file, once. The structures, the defaults, the checks for unknown
//! keys, `SHOW CONFIG`, the written file and `docs/configuration.md` all come from this table.
//! In: – · Out: types. Never: a rule that looks at two keys (see `check`).

use super::{
    address::{AddressFilter, HostPort, Listeners, NameFilter},
    choice::{
        AuthMethod, CacheDefault, CacheStrategy, LocalUnique, LogFormat, LogLevel, MultiShard, PoolMode, ReadPolicy,
        ReadYourWrites, RebalancerMode, ServerTlsMode, TlsMode, UnknownLag,
    },
    connection::ConnectionParts,
    forms::{Freshness, Gather, TimeWindow, Timeout},
    reader::{Fallback, Item, Key, Kind, Reader, Setting, default_of, plain, sections},
    secret::{Secret, ServiceUrl},
    value::Value,
};
use crate::{
    ids::{DatabaseName, ServerName, ShardName},
    units::ByteSize,
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

sections! {
    /// Everything that the configuration file says, checked. Made by [`Settings::parse`] or [`Settings::load`].
    Settings {
        /// The router itself.
        general: General = section,
        /// TLS towards clients.
        tls: Tls = section,
        /// TLS towards PostgreSQL.
        server_tls: ServerTls = section,
        /// Routers among each other.
        cluster: Cluster = section,
        /// Connections to PostgreSQL.
        pool: Pool = section,
        /// Time limits of clients; `0s`: none.
        timeouts: Timeouts = section,
        /// Who may log in.
        users: Vec<User> = "[]",
        /// How they prove who they are.
        auth: Auth = section,
        /// What clients connect to.
        databases: Vec<Database> = "[]",
        /// Reads on replicas.
        read_routing: ReadRouting = section,
        /// When a primary is lost.
        failover: Failover = section,
        /// Transactions over several shards.
        transactions: Transactions = section,
        /// The cache of results.
        cache: Cache = section,
        /// Moving rows between shards.
        rebalancer: Rebalancer = section,
        /// SQL over HTTP.
        http: Http = section,
        /// What the router remembers of its load.
        monitor: Monitor = section,
        /// What it writes down.
        log: Log = section,
        +
        /// Paths of the keys that the file gave.
        given: Vec<String>,
    }

    /// `[general]`: the router itself.
    General {
        /// Name of the cluster: 1 to 32 of `a-z`, `0-9` and `-`, fixed at the first start; part of transaction ids and identities.
        cluster: String = "\"pgring\"",
        /// How other routers reach this one. Left out: the first listener.
        advertise: Option<HostPort> = none,
        /// Where clients connect.
        listen: Listeners = "\"127.0.0.1:6432\"",
        /// Where metrics, health, the console and SQL over HTTP are.
        http: HostPort = "\"127.0.0.1:9632\"",
        /// The virtual database that takes admin SQL.
        admin_database: DatabaseName = "\"pgring\"",
        /// Users with full control.
        admin_users: Vec<String> = "[\"postgres\"]",
        /// Users who may only `SHOW`.
        stats_users: Vec<String> = "[]",
        /// Threads that serve clients; 0: one for each core but one, which is left to what else the router does; at least one.
        workers: u32 = "0",
        /// How long transactions may take to finish when pgring is told to stop.
        shutdown_timeout: Duration = "\"30s\"",
        /// Clients at a time; others are refused with 53300.
        max_clients: u32 = "10000",
    }

    /// `[tls]`: TLS towards clients.
    Tls {
        /// Who gets TLS.
        mode: TlsMode = "\"prefer\"",
        /// The server's certificate and its chain (PEM). Without it `prefer` means no TLS.
        cert: Option<PathBuf> = none,
        /// The certificate's key (PEM).
        key: Option<PathBuf> = none,
        /// Who signs certificates of clients (PEM).
        client_ca: Option<PathBuf> = none,
    }

    /// `[server_tls]`: TLS towards PostgreSQL.
    ServerTls {
        /// As libpq's `sslmode`; an `sslmode` in a connection string goes first.
        mode: ServerTlsMode = "\"prefer\"",
        /// Who signs certificates of servers (PEM).
        ca: Option<PathBuf> = none,
    }

    /// `[cluster]`: routers among each other.
    Cluster {
        /// How long a router that is not heard from is waited for before rows change their owner.
        lease: Duration = "\"3s\"",
    }

    /// `[pool]`: connections to PostgreSQL.
    Pool {
        /// When a backend goes back to its pool; sessions pin themselves when they must.
        mode: PoolMode = "\"transaction\"",
        /// Backends per user, database and server.
        size: u32 = "20",
        /// Backends that are kept even when idle.
        min_idle: u32 = "0",
        /// How long a statement waits for a backend; 53300 after that.
        queue_timeout: Duration = "\"10s\"",
        /// An idle backend is closed after this; `0s`: never.
        idle_timeout: Timeout = "\"10m\"",
        /// A backend is not used again after this; `0s`: no limit.
        max_lifetime: Timeout = "\"1h\"",
        /// How long connecting and logging in may take.
        connect_timeout: Duration = "\"5s\"",
        /// Prepared statements kept per backend.
        prepared_statements: u32 = "500",
    }

    /// `[timeouts]`: time limits of clients.
    Timeouts {
        /// A client that says nothing is disconnected after this; `0s`: never.
        client_idle: Timeout = "\"0s\"",
        /// The same within a transaction; `0s`: never.
        idle_in_transaction: Timeout = "\"0s\"",
        /// A statement is cancelled after this; `0s`: never.
        query: Timeout = "\"0s\"",
        /// How long logging in may take; `0s`: no limit.
        startup: Timeout = "\"10s\"",
    }

    /// `[[users]]`: who may log in.
    User {
        /// Name of the login.
        name: String = required,
        /// Password, in plain or as PostgreSQL's `md5…`.
        password: Option<Secret> = none,
        /// SCRAM verifier, as in `pg_authid.rolpassword`: `SCRAM-SHA-256$…`.
        scram: Option<Secret> = none,
        /// As `pool.mode`, for this user.
        pool_mode: Option<PoolMode> = none,
        /// As `pool.size`, for this user.
        pool_size: Option<u32> = none,
        /// Clients of this user at a time.
        max_clients: Option<u32> = none,
        /// Tier: multiplies the life time of cached results (`cache.tiers`).
        tier: Option<String> = none,
        /// Refuses writes.
        read_only: bool = "false",
        /// Log in to PostgreSQL as this user instead.
        server_user: Option<String> = none,
        /// And with this password.
        server_password: Option<Secret> = none,
    }

    /// `[auth]`: how clients prove who they are.
    Auth {
        /// Methods for everybody where there are no rules: `scram-sha-256`, `md5`, `cert`, `trust` (loopback only).
        methods: Vec<AuthMethod> = "[\"scram-sha-256\"]",
        /// Looks up users that are not listed, or listed without a password: `$1` is the name, the answer is name and password; a third column of type `timestamptz` is the password's end, besides VALID UNTIL of the role. Asked at each log-in, on the database's first shard with a pinned `search_path`; for `*` on that server's database of the name asked for, else `postgres`.
        query: Option<String> = none,
        /// First match wins, as in pg_hba.conf; after the last one that does not match: 28000.
        rules: Vec<AuthRule> = "[]",
    }

    /// `[[auth.rules]]`: who may come from where, and how.
    AuthRule {
        /// Users.
        user: NameFilter = "\"all\"",
        /// Databases.
        database: NameFilter = "\"all\"",
        /// Where the client comes from; `local`: a Unix socket.
        address: AddressFilter = "\"all\"",
        /// How it proves who it is.
        method: AuthMethod = required,
    }

    /// `[[databases]]`: what clients connect to.
    Database {
        /// What clients connect to; `*`: every database that is not listed, plain pooling to the one of the same name.
        name: DatabaseName = required,
        /// As `pool.mode`, for this database; a user's own goes first.
        pool_mode: Option<PoolMode> = none,
        /// The server of `*`.
        connection: Option<ConnectionParts> = none,
        /// Where it is kept who owns which rows. Left out: on the first shard.
        catalog: Option<ConnectionParts> = none,
        /// Home of unsharded tables. Left out: the first shard.
        default_shard: Option<ShardName> = none,
        /// A new table that has such a column is sharded by the first match; empty: none is.
        shard_by: Vec<String> = "[]",
        /// Whether such a table may have unique keys without the shard key.
        local_unique: LocalUnique = "\"refuse\"",
        /// Tables with a full copy on every shard.
        reference_tables: Vec<String> = "[]",
        /// Where intermediate results of several shards meet.
        gather: Gather = "\"least-loaded\"",
        /// Shards that one statement may touch; more: 54000. 0: no limit.
        max_fanout: u32 = "0",
        /// Bytes that one statement may gather; more: 54000.
        max_gather: ByteSize = "\"1GB\"",
        /// Its shards at the first start; later ones come by `ADD SHARD`.
        shards: Vec<Shard> = "[]",
        /// Empty servers that a split may take.
        spares: Vec<Spare> = "[]",
    }

    /// `[[databases.shards]]`: a primary with its replicas.
    Shard {
        /// Its name.
        name: ShardName = required,
        /// Share of the ring that it is meant to own, relative to the others.
        weight: f64 = "1.0",
        /// Its primary. Goes before what the catalog says for this name.
        connection: ConnectionParts = required,
        /// Where it stands.
        zone: Option<String> = none,
        /// The shard that its rows could be served from.
        backup: Option<ShardName> = none,
        /// Takes part.
        active: bool = "true",
        /// Refuses writes (25006).
        read_only: bool = "false",
        /// Its replicas.
        replicas: Vec<Replica> = "[]",
    }

    /// `[[databases.shards.replicas]]`: a streaming replica of a shard's primary.
    Replica {
        /// Its name.
        name: ServerName = required,
        /// Where it is.
        connection: ConnectionParts = required,
        /// Where it stands.
        zone: Option<String> = none,
        /// Share of the shard's reads, relative to the others.
        weight: f64 = "1.0",
    }

    /// `[[databases.spares]]`: an empty server that a split may take.
    Spare {
        /// What names of shards made on it start with.
        name_prefix: String = "\"x\"",
        /// Where it is.
        connection: ConnectionParts = required,
    }

    /// `[read_routing]`: reads on replicas.
    ReadRouting {
        /// Where reads go; per session: `SET pgring.read_routing`.
        policy: ReadPolicy = "\"primary\"",
        /// A replica further behind is not read from.
        max_lag: Duration = "\"5s\"",
        /// What a replica is whose lag is not known.
        unknown_lag: UnknownLag = "\"ineligible\"",
        /// Whose writes a read has to see.
        read_your_writes: ReadYourWrites = "\"session\"",
    }

    /// `[failover]`: when a primary is lost.
    Failover {
        /// How often primaries are probed.
        detect_interval: Duration = "\"1s\"",
        /// Statements wait for the new primary instead of failing.
        buffer: bool = "true",
        /// For how long; 57P03 after that.
        buffer_timeout: Duration = "\"30s\"",
        /// pgring promotes a replica itself.
        promote: bool = "false",
        /// Command that makes sure that the old primary is off; empty: none.
        fence_command: String = "\"\"",
    }

    /// `[transactions]`: transactions over several shards.
    Transactions {
        /// `atomic`: two-phase commit.
        multi_shard: MultiShard = "\"atomic\"",
        /// How often unfinished ones are looked for.
        recovery_interval: Duration = "\"5s\"",
    }

    /// `[cache]`: the cache of results.
    Cache {
        /// There is one.
        enabled: bool = "true",
        /// Which statements may be cached without a policy.
        default: CacheDefault = "\"off\"",
        /// Results kept at most.
        max_entries: u32 = "10000",
        /// Their size at most.
        max_bytes: ByteSize = "\"256MB\"",
        /// Size of one at most.
        max_entry_bytes: ByteSize = "\"1MB\"",
        /// Life time of a result to begin with.
        base_ttl: Duration = "\"5m\"",
        /// And at most.
        max_ttl: Duration = "\"1h\"",
        /// How old a result may be; `bounded:5s`: at most this.
        freshness: Freshness = "\"session\"",
        /// A second level in Redis.
        redis: Option<ServiceUrl> = none,
        /// Share of hits that are run again and compared: 0 to 1.
        verify_ratio: f64 = "0.0",
        /// What the life time is multiplied with for users and API keys of a tier.
        tiers: BTreeMap<String, f64> = "{}",
        /// Policies of single tables or statements.
        policies: Vec<CachePolicy> = "[]",
    }

    /// `[[cache.policies]]`: how results of some statements are cached.
    CachePolicy {
        /// Its name.
        name: String = required,
        /// The table, or a pattern of the statement.
        r#match: String = required,
        /// How entries follow writes.
        strategy: CacheStrategy = "\"cache_aside\"",
        /// Life time. Left out: as `cache.base_ttl`.
        ttl: Option<Duration> = none,
        /// Share of the life time after which a hit refreshes the entry: 0 to 1.
        refresh_threshold: Option<f64> = none,
        /// How long after its life an entry may still be served while it is refreshed.
        max_stale: Option<Duration> = none,
    }

    /// `[rebalancer]`: moving rows between shards.
    Rebalancer {
        /// This router may lead it.
        enabled: bool = "true",
        /// What it does by itself.
        mode: RebalancerMode = "\"advise\"",
        /// How often it looks at the load.
        interval: Duration = "\"5m\"",
        /// Load above which a shard is overloaded: 0 to 1.
        threshold: f64 = "0.8",
        /// How long a cut-over may take in all; it is tried again later.
        cutover_timeout: Duration = "\"5s\"",
        /// How long writes may pause.
        pause_budget: Duration = "\"250ms\"",
        /// Bytes per second that are copied.
        rate_limit: ByteSize = "\"32MB\"",
        /// Bytes per day that it moves by itself.
        daily_budget: ByteSize = "\"100GB\"",
        /// Times of day (UTC) in which it moves rows by itself; empty: always.
        windows: Vec<TimeWindow> = "[]",
        /// How long the way back is held after a swap.
        rollback_window: Duration = "\"10m\"",
        /// Command that makes a new empty server for a split and prints its connection string; empty: none.
        provisioner: String = "\"\"",
        /// CPU and memory of the shards.
        prometheus: Option<PrometheusSource> = none,
    }

    /// `[rebalancer.prometheus]`: where CPU and memory of the shards are known.
    PrometheusSource {
        /// Its address.
        url: ServiceUrl = required,
        /// PromQL: CPU in use, 0 to 1.
        cpu_query: Option<String> = none,
        /// PromQL: memory in use, 0 to 1.
        memory_query: Option<String> = none,
    }

    /// `[http]`: SQL over HTTP.
    Http {
        /// API keys.
        keys: Vec<ApiKey> = "[]",
    }

    /// `[[http.keys]]`: an API key.
    ApiKey {
        /// The key.
        key: Secret = required,
        /// Whose it is.
        user: String = required,
        /// Tier, as of a user.
        tier: Option<String> = none,
        /// Requests per second. Left out: no limit.
        rate: Option<u32> = none,
    }

    /// `[monitor]`: what the router remembers of its load.
    Monitor {
        /// How often it is measured.
        interval: Duration = "\"5s\"",
        /// How long it is kept.
        history: Duration = "\"1h\"",
    }

    /// `[log]`: what the router writes down.
    Log {
        /// How much.
        level: LogLevel = "\"info\"",
        /// What a line looks like.
        format: LogFormat = "\"text\"",
        /// Where traces go (OTLP); empty: nowhere.
        otlp: ServiceUrl = "\"\"",
    }
}

/// Where a key stands that was looked for in the wrong section.
pub(super) fn elsewhere(name: &str) -> Option<String> {
    fn collect(keys: &'static [Key], path: &str, name: &str, found: &mut Vec<String>) {
        for key in keys {
            let here = if path.is_empty() { key.name().to_owned() } else { format!("{path}.{}", key.name()) };
            if !path.is_empty() && key.name() == name {
                found.push(here.clone());
            }
            if let Kind::Table(keys) | Kind::Tables(keys) = (key.kind)() {
                collect(keys, &here, name, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(Settings::KEYS, "", name, &mut found);
    found.first().map(|path| format!("did you mean {path:?}?"))
}

//! Check: what no single key can say.
//! In: settings as they were read. Out: faults with the key they belong to. Never: repeats a fault of the reader (a name
//! that is missing is empty here and passed over).

use super::{
    ANY_DATABASE, AddressFilter, Auth, AuthMethod, AuthRule, Database, Gather, General, Listener, Pool, Rebalancer,
    ServerTlsMode, Settings, TlsMode, User, reader::Reader,
};
use std::{collections::HashSet, time::Duration};

/// Notes every fault of `settings` in `reader`.
pub(super) fn check(settings: &Settings, reader: &mut Reader<'_>) {
    let mut check = Check { settings, reader };
    check.general(&settings.general);
    check.tls();
    check.pool(&settings.pool);
    check.users();
    check.auth(&settings.auth);
    check.databases();
    check.cache();
    check.rebalancer(&settings.rebalancer);
    check.rest();
}

struct Check<'a, 'r, 'e> {
    settings: &'a Settings,
    reader: &'r mut Reader<'e>,
}

impl Check<'_, '_, '_> {
    fn fault(&mut self, key: &str, message: impl Into<String>, hint: Option<&str>) {
        self.reader.fault(key, message, hint.map(str::to_owned));
    }

    fn require(&mut self, holds: bool, key: &str, message: &str, hint: Option<&str>) {
        if !holds {
            self.fault(key, message, hint);
        }
    }

    fn at_least_one(&mut self, key: &str, value: u32) {
        self.require(value > 0, key, "must be at least 1", None);
    }

    /// Faults an empty text that is really given, not one in place of a fault of the reader.
    fn not_empty(&mut self, key: &str, text: &str) {
        let is_known_already = !self.reader.is_given(key) || self.reader.has_fault_in(key);
        self.require(!text.is_empty() || is_known_already, key, "must not be empty", None);
    }

    fn not_zero(&mut self, key: &str, value: Duration) {
        self.require(!value.is_zero(), key, "must be longer than 0", None);
    }

    fn share(&mut self, key: &str, value: f64) {
        self.require((0.0..=1.0).contains(&value), key, "must be from 0 to 1", None);
    }

    fn positive(&mut self, key: &str, value: f64) {
        self.require(value > 0.0, key, "must be greater than 0", None);
    }

    /// Faults the second of equal names. Names that are missing are passed over.
    fn unique<'n>(&mut self, names: impl Iterator<Item = (String, &'n str)>, what: &str) {
        let mut seen = HashSet::new();
        for (key, name) in names.filter(|(_, name)| !name.is_empty()) {
            if !seen.insert(name) {
                self.fault(&key, format!("there is another {what} {name:?}"), None);
            }
        }
    }

    fn general(&mut self, general: &General) {
        let of_cluster = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (1..=32).contains(&general.cluster.len()) && general.cluster.bytes().all(of_cluster);
        self.require(
            is_name,
            "general.cluster",
            "is not a name of a cluster",
            Some("allowed: 1 to 32 of a-z, 0-9 and -"),
        );
        self.require(!general.listen.0.is_empty(), "general.listen", "must name at least one address", None);
        let texts: Vec<String> = general.listen.0.iter().map(Listener::to_string).collect();
        let chosen = texts.iter().enumerate().filter(|(_, text)| !text.ends_with(":0"));
        self.unique(chosen.map(|(at, text)| (format!("general.listen[{at}]"), text.as_str())), "listener");
        let http = general.http.to_string();
        let clashes = general.http.port != 0 && texts.contains(&http);
        self.require(!clashes, "general.http", "is an address of general.listen, too", None);
        self.at_least_one("general.max_clients", general.max_clients);
        if let Some(advertise) = &general.advertise {
            self.require(advertise.port != 0, "general.advertise", "must have a port", None);
        }
    }

    fn tls(&mut self) {
        let (tls, server_tls) = (&self.settings.tls, &self.settings.server_tls);
        match (&tls.cert, &tls.key) {
            (Some(_), None) => self.fault("tls.cert", "needs tls.key", None),
            (None, Some(_)) => self.fault("tls.key", "needs tls.cert", None),
            (None, None) if matches!(tls.mode, TlsMode::Require | TlsMode::VerifyClient) => {
                self.fault("tls.mode", format!("{:?} needs tls.cert and tls.key", tls.mode.as_str()), None);
            }
            _ => {}
        }
        let lacks_client_ca = tls.mode == TlsMode::VerifyClient && tls.client_ca.is_none();
        self.require(!lacks_client_ca, "tls.mode", "\"verify-client\" needs tls.client_ca", None);
        let verifies = matches!(server_tls.mode, ServerTlsMode::VerifyCa | ServerTlsMode::VerifyFull);
        let message = format!("{:?} needs server_tls.ca", server_tls.mode.as_str());
        self.require(!verifies || server_tls.ca.is_some(), "server_tls.mode", &message, None);
    }

    fn pool(&mut self, pool: &Pool) {
        self.at_least_one("pool.size", pool.size);
        self.require(pool.min_idle <= pool.size, "pool.min_idle", "is more than pool.size", None);
        self.not_zero("pool.queue_timeout", pool.queue_timeout);
        self.not_zero("pool.connect_timeout", pool.connect_timeout);
    }

    fn users(&mut self) {
        let users = &self.settings.users;
        self.unique(
            users.iter().enumerate().map(|(at, user)| (format!("users[{at}].name"), user.name.as_str())),
            "user",
        );
        for (at, user) in users.iter().enumerate() {
            self.user(&format!("users[{at}]"), user);
        }
    }

    fn user(&mut self, path: &str, user: &User) {
        let auth = &self.settings.auth;
        self.not_empty(&format!("{path}.name"), &user.name);
        if let Some(password) = &user.password {
            self.not_empty(&format!("{path}.password"), password.expose());
        }
        let methods = auth.methods.iter().chain(auth.rules.iter().map(|rule| &rule.method));
        let without_password = methods.copied().any(|method| matches!(method, AuthMethod::Cert | AuthMethod::Trust));
        let has_password = user.password.is_some() || user.scram.is_some() || auth.query.is_some() || without_password;
        let was_tried = ["password", "scram"].iter().any(|key| self.reader.is_given(&format!("{path}.{key}")));
        let hint = Some("or set auth.query, which looks it up");
        self.require(has_password || was_tried, path, "needs password or scram", hint);
        if let Some(scram) = &user.scram {
            let hint = Some("allowed: SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>");
            self.require(is_verifier(scram.expose()), &format!("{path}.scram"), "is not a SCRAM verifier", hint);
        }
        let both = user.password.is_some() && user.scram.is_some();
        self.require(!both, &format!("{path}.scram"), "there is a password, too", Some("one of the two"));
        for (key, value) in [("pool_size", user.pool_size), ("max_clients", user.max_clients)] {
            value.into_iter().for_each(|value| self.at_least_one(&format!("{path}.{key}"), value));
        }
    }

    fn auth(&mut self, auth: &Auth) {
        let is_tried = self.reader.has_fault_in("auth.methods");
        self.require(is_tried || !auth.methods.is_empty(), "auth.methods", "must name at least one method", None);
        for (at, method) in auth.methods.iter().enumerate() {
            self.method(&format!("auth.methods[{at}]"), *method);
        }
        for (at, rule) in auth.rules.iter().enumerate() {
            self.rule(&format!("auth.rules[{at}]"), rule);
        }
        if let Some(query) = &auth.query {
            self.require(query.contains("$1"), "auth.query", "must ask for the user $1", None);
        }
    }

    fn method(&mut self, key: &str, method: AuthMethod) {
        let in_rules_only = matches!(method, AuthMethod::Password | AuthMethod::Reject);
        let hint = Some("allowed: scram-sha-256 | md5 | cert | trust");
        self.require(!in_rules_only, key, "is for auth.rules only", hint);
        self.cert(key, method);
        let is_local = self.settings.general.listen.0.iter().all(Listener::is_local);
        let trusts_all = method == AuthMethod::Trust && self.settings.auth.rules.is_empty() && !is_local;
        self.require(!trusts_all, key, "trust is for loopback only, and general.listen has other addresses", None);
    }

    fn rule(&mut self, path: &str, rule: &AuthRule) {
        let key = format!("{path}.method");
        self.cert(&key, rule.method);
        let is_local = match rule.address {
            AddressFilter::Local => true,
            AddressFilter::Network(network) => network.is_loopback(),
            AddressFilter::All => self.settings.general.listen.0.iter().all(Listener::is_local),
        };
        let trusts_others = rule.method == AuthMethod::Trust && !is_local;
        let hint = Some("address = \"127.0.0.1/32\", \"::1/128\" or \"local\"");
        self.require(!trusts_others, &key, "trust is for loopback addresses only", hint);
    }

    fn cert(&mut self, key: &str, method: AuthMethod) {
        let lacks = method == AuthMethod::Cert && self.settings.tls.client_ca.is_none();
        self.require(!lacks, key, "cert needs tls.client_ca", None);
    }

    fn databases(&mut self) {
        let databases = &self.settings.databases;
        let none = databases.is_empty() && !self.reader.has_fault_in("databases");
        self.require(!none, "databases", "there must be at least one [[databases]]", None);
        let names = databases.iter().enumerate();
        self.unique(names.map(|(at, database)| (format!("databases[{at}].name"), database.name.as_str())), "database");
        for (at, database) in databases.iter().enumerate() {
            let path = format!("databases[{at}]");
            let is_admin = database.name == self.settings.general.admin_database;
            self.require(!is_admin, &format!("{path}.name"), "is general.admin_database, too", None);
            self.connections(&path, database);
            if database.is_any() { self.any_database(&path, database) } else { self.sharded_database(&path, database) }
        }
    }

    /// A connection that has a server's certificate verified needs to know who signs it.
    fn connections(&mut self, path: &str, database: &Database) {
        let mut connections = vec![(format!("{path}.connection"), database.connection.as_ref())];
        connections.push((format!("{path}.catalog"), database.catalog.as_ref()));
        for (at, shard) in database.shards.iter().enumerate() {
            let path = format!("{path}.shards[{at}]");
            connections.push((format!("{path}.connection"), Some(&shard.connection)));
            for (at, replica) in shard.replicas.iter().enumerate() {
                connections.push((format!("{path}.replicas[{at}].connection"), Some(&replica.connection)));
            }
        }
        let has_ca = self.settings.server_tls.ca.is_some();
        for (key, connection) in connections {
            let mode = connection.and_then(|connection| connection.sslmode);
            let verifies = matches!(mode, Some(ServerTlsMode::VerifyCa | ServerTlsMode::VerifyFull));
            self.require(has_ca || !verifies, &key, "its sslmode needs server_tls.ca", None);
        }
    }

    fn any_database(&mut self, path: &str, database: &Database) {
        let is_tried = self.reader.is_given(&format!("{path}.connection"));
        let message = format!("database {ANY_DATABASE:?} needs connection");
        self.require(database.connection.is_some() || is_tried, path, &message, None);
        for (key, is_given) in [
            ("shards", !database.shards.is_empty()),
            ("spares", !database.spares.is_empty()),
            ("catalog", database.catalog.is_some()),
            ("default_shard", database.default_shard.is_some()),
            ("shard_by", !database.shard_by.is_empty()),
            ("reference_tables", !database.reference_tables.is_empty()),
        ] {
            self.require(!is_given, &format!("{path}.{key}"), "database \"*\" is plain pooling: it has none", None);
        }
    }

    fn sharded_database(&mut self, path: &str, database: &Database) {
        let hint = Some("[[databases.shards]] names its servers");
        let key = format!("{path}.connection");
        self.require(database.connection.is_none(), &key, "only database \"*\" has a connection", hint);
        let is_named = !database.name.as_str().is_empty();
        let is_tried =
            self.reader.is_given(&format!("{path}.catalog")) || self.reader.has_fault_in(&format!("{path}.shards"));
        let has_shards = !database.shards.is_empty() || is_tried || !is_named;
        self.require(has_shards, path, "needs at least one [[databases.shards]] or catalog", None);
        self.servers(path, database);
        for (at, shard) in database.shards.iter().enumerate() {
            let path = format!("{path}.shards[{at}]");
            self.positive(&format!("{path}.weight"), shard.weight);
            for (at, replica) in shard.replicas.iter().enumerate() {
                self.positive(&format!("{path}.replicas[{at}].weight"), replica.weight);
            }
            if let Some(backup) = &shard.backup {
                let key = format!("{path}.backup");
                self.require(*backup != shard.name, &key, "is the shard itself", None);
                self.shard_exists(&key, database, backup.as_str());
            }
        }
        if let Some(name) = &database.default_shard {
            self.shard_exists(&format!("{path}.default_shard"), database, name.as_str());
        }
        if let Gather::Shard(name) = &database.gather {
            self.shard_exists(&format!("{path}.gather"), database, name.as_str());
        }
        for (key, names) in [("shard_by", &database.shard_by), ("reference_tables", &database.reference_tables)] {
            for at in (0..names.len()).filter(|at| names[*at].is_empty()) {
                self.fault(&format!("{path}.{key}[{at}]"), "must not be empty", None);
            }
        }
    }

    /// Names of shards and replicas of one database are names of servers, so all of them differ.
    fn servers(&mut self, path: &str, database: &Database) {
        let shards = database.shards.iter().enumerate();
        let servers = shards.flat_map(|(at, shard)| {
            let path = format!("{path}.shards[{at}]");
            let replica_path = path.clone();
            let replicas = shard.replicas.iter().enumerate();
            let replicas = replicas
                .map(move |(at, replica)| (format!("{replica_path}.replicas[{at}].name"), replica.name.as_str()));
            std::iter::once((format!("{path}.name"), shard.name.as_str())).chain(replicas)
        });
        self.unique(servers, "shard or replica");
    }

    fn shard_exists(&mut self, key: &str, database: &Database, name: &str) {
        let names = || database.shards.iter().map(|shard| shard.name.as_str());
        let cannot_know = database.shards.is_empty() || names().any(str::is_empty);
        if cannot_know || names().any(|known| known == name) {
            return;
        }
        let hint = format!("allowed: {}", names().collect::<Vec<_>>().join(" | "));
        self.fault(key, format!("there is no shard {name:?}"), Some(&hint));
    }

    fn cache(&mut self) {
        let cache = &self.settings.cache;
        self.require(cache.base_ttl <= cache.max_ttl, "cache.base_ttl", "is longer than cache.max_ttl", None);
        let fits = cache.max_entry_bytes <= cache.max_bytes;
        self.require(fits, "cache.max_entry_bytes", "is more than cache.max_bytes", None);
        self.share("cache.verify_ratio", cache.verify_ratio);
        for (tier, factor) in &cache.tiers {
            self.positive(&format!("cache.tiers.{tier}"), *factor);
        }
        let policies = &cache.policies;
        let names = policies.iter().enumerate();
        self.unique(names.map(|(at, policy)| (format!("cache.policies[{at}].name"), policy.name.as_str())), "policy");
        for (at, policy) in policies.iter().enumerate() {
            self.not_empty(&format!("cache.policies[{at}].name"), &policy.name);
            self.not_empty(&format!("cache.policies[{at}].match"), &policy.r#match);
            let threshold = policy.refresh_threshold.unwrap_or_default();
            self.share(&format!("cache.policies[{at}].refresh_threshold"), threshold);
        }
    }

    fn rebalancer(&mut self, rebalancer: &Rebalancer) {
        let is_load = rebalancer.threshold > 0.0 && rebalancer.threshold <= 1.0;
        self.require(is_load, "rebalancer.threshold", "must be greater than 0 and at most 1", None);
        self.not_zero("rebalancer.interval", rebalancer.interval);
        self.not_zero("rebalancer.cutover_timeout", rebalancer.cutover_timeout);
        self.not_zero("rebalancer.pause_budget", rebalancer.pause_budget);
        self.require(rebalancer.rate_limit.bytes() > 0, "rebalancer.rate_limit", "must be more than 0", None);
    }

    fn rest(&mut self) {
        let settings = self.settings;
        for (key, value) in [
            ("cluster.lease", settings.cluster.lease),
            ("failover.detect_interval", settings.failover.detect_interval),
            ("transactions.recovery_interval", settings.transactions.recovery_interval),
            ("monitor.interval", settings.monitor.interval),
        ] {
            self.not_zero(key, value);
        }
        let keeps = settings.monitor.history >= settings.monitor.interval;
        self.require(keeps, "monitor.history", "is shorter than monitor.interval", None);
        for (at, key) in settings.http.keys.iter().enumerate() {
            let path = format!("http.keys[{at}]");
            self.not_empty(&format!("{path}.key"), key.key.expose());
            self.not_empty(&format!("{path}.user"), &key.user);
            key.rate.into_iter().for_each(|rate| self.at_least_one(&format!("{path}.rate"), rate));
        }
    }
}

/// Whether a text has the form of a SCRAM-SHA-256 verifier.
fn is_verifier(text: &str) -> bool {
    let is_base64 = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
    };
    let parts = || {
        let (iterations, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored, server) = keys.split_once(':')?;
        let counts = iterations.parse::<u32>().is_ok_and(|count| count > 0);
        Some(counts && is_base64(salt) && [stored, server].iter().all(|key| key.len() == 44 && is_base64(key)))
    };
    parts().unwrap_or(false)
}

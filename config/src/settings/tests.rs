//! Settings as a whole: good files, bad files with the exact place of each fault, the reference and the example.

use super::*;
use proptest::prelude::*;
use std::{path::PathBuf, time::Duration};

const SMALL: &str = "[[databases]]\nname = \"app\"\n[[databases.shards]]\nname = \"s0\"\nconnection = \"host=h\"\n";

fn environment(name: &str) -> Option<String> {
    let known = [
        ("PW", "p w'${X}"),
        ("NUMBER", "5s"),
        ("LISTEN", "10.0.0.1:1"),
        ("CONN", "host=z password=q"),
        ("MODE", "session"),
    ];
    known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn read(text: &str) -> Result<Settings, Vec<Fault>> {
    Settings::parse_with(text, "/etc/pgring/pgring.toml", &environment)
}

/// Settings of a text to which the smallest database is added.
fn good(text: &str) -> Settings {
    read(&format!("{text}\n{SMALL}")).unwrap_or_else(|faults| panic!("{}", Lines(&faults)))
}

/// Faults of a text to which the smallest database is added, as `line:column key: message (hint)`.
fn faults(text: &str) -> Vec<String> {
    faults_of(&format!("{text}\n{SMALL}"))
}

fn faults_of(text: &str) -> Vec<String> {
    let faults = read(text).err().unwrap_or_default();
    let shown = faults.iter().map(|fault| fault.to_string());
    shown.map(|fault| fault.trim_start_matches("/etc/pgring/pgring.toml:").to_owned()).collect()
}

#[test]
fn the_smallest_file_has_every_documented_default() {
    let settings = good("");
    let general = &settings.general;
    assert_eq!(general.listen.0.iter().map(Listener::to_string).collect::<Vec<_>>(), ["127.0.0.1:6432"]);
    assert_eq!((general.http.to_string(), general.advertised()), ("127.0.0.1:9632".into(), "127.0.0.1:6432".into()));
    assert_eq!((general.cluster.as_str(), general.max_clients, general.workers), ("pgring", 10_000, 0));
    assert_eq!(
        (general.admin_database.as_str(), general.admin_users.as_slice()),
        ("pgring", &["postgres".to_owned()][..])
    );
    assert_eq!(
        (settings.pool.mode, settings.pool.size, settings.pool.prepared_statements),
        (PoolMode::Transaction, 20, 500)
    );
    assert_eq!(settings.pool.max_lifetime.limit(), Some(Duration::from_secs(3600)));
    assert_eq!(
        (settings.timeouts.query.limit(), settings.timeouts.startup.limit()),
        (None, Some(Duration::from_secs(10)))
    );
    assert_eq!(settings.auth.methods, [AuthMethod::ScramSha256]);
    assert_eq!((settings.tls.mode, settings.server_tls.mode), (TlsMode::Prefer, ServerTlsMode::Prefer));
    assert_eq!(settings.cache.max_bytes.bytes(), 256 << 20);
    assert_eq!((settings.cache.freshness, settings.rebalancer.mode), (Freshness::Session, RebalancerMode::Advise));
    assert_eq!(settings.rebalancer.prometheus, None);
    let database = settings.database("app").unwrap();
    assert_eq!(database.home().map(ShardName::as_str), Some("s0"));
    assert_eq!(database.catalog_connection().map(ConnectionParts::host), Some("h"));
    assert_eq!(
        (database.shards[0].weight, database.shards[0].active, database.shards[0].read_only),
        (1.0, true, false)
    );
    assert!(settings.database("other").is_none());
    assert!(settings.without_effect_yet().is_empty());
}

/// Every key of the contract, none with its default.
const COMPLETE: &str = include_str!("complete.toml");

#[test]
fn a_file_with_every_key_is_read_and_written_the_same() {
    let settings = read(COMPLETE).unwrap_or_else(|faults| panic!("{}", Lines(&faults)));
    let rows = settings.show_rows();
    let unchanged: Vec<&str> = rows.iter().filter(|row| !row.changed).map(|row| row.key.as_str()).collect();
    let of_second = [
        "users[1]",
        "databases[1]",
        "databases[2]",
        "databases[0].shards[1]",
        "cache.policies[1]",
        "auth.rules[1]",
        "users[0].scram",
    ];
    let expected_unchanged =
        |key: &str| of_second.iter().any(|prefix| key.starts_with(prefix)) || key == "databases[0].connection";
    assert_eq!(unchanged.iter().filter(|key| !expected_unchanged(key)).collect::<Vec<_>>(), Vec::<&&str>::new());
    let written = settings.to_toml();
    let again = read(&written).unwrap_or_else(|faults| panic!("{}\n{written}", Lines(&faults)));
    assert_eq!(again.write(), settings.write(), "{written}");
    assert_eq!(again.to_toml(), written);
}

#[test]
fn secrets_are_in_the_written_file_and_nowhere_else() {
    let settings = read(COMPLETE).unwrap();
    let written = settings.to_toml();
    let shown = format!("{settings:?} {:?}", settings.show_rows());
    for secret in
        ["s3cret-user", "s3cret-server", "s3cret-conn", "s3cret-redis", "s3cret-key", "s3cret-prom", "SCRAM-SHA-256$"]
    {
        assert!(written.contains(secret), "{secret} is not written");
        assert!(!shown.contains(secret), "{secret} shows");
    }
}

#[test]
fn listen_and_http_stand_on_lines_of_their_own() {
    let written = good("").to_toml();
    assert_eq!(written.lines().filter(|line| *line == "listen = \"127.0.0.1:6432\"").count(), 1, "{written}");
    assert_eq!(written.lines().filter(|line| *line == "http = \"127.0.0.1:9632\"").count(), 1, "{written}");
    assert!(!written.contains("advertise"));
    let moved = written.replace("listen = \"127.0.0.1:6432\"", "listen = \"127.0.0.1:0\"");
    assert_eq!(read(&moved).unwrap().general.listen.0[0].to_string(), "127.0.0.1:0");
}

#[test]
fn strings_expand_wherever_they_stand() {
    let settings = good(
        "[general]\nlisten = [\"${LISTEN}\", \"unix:/x\"]\n[pool]\nmode = \"${MODE}\"\nqueue_timeout = \"${NUMBER}\"\n\
         [[users]]\nname = \"a\"\npassword = \"x${PW}\"\n[[users]]\nname = \"b\"\npassword = \"$${PW}\"",
    );
    assert_eq!(settings.general.listen.0[0].to_string(), "10.0.0.1:1");
    assert_eq!((settings.pool.mode, settings.pool.queue_timeout), (PoolMode::Session, Duration::from_secs(5)));
    let password =
        |name: &str| settings.user(name).and_then(|user| user.password.as_ref()).unwrap().expose().to_owned();
    assert_eq!((password("a"), password("b")), ("xp w'${X}".to_owned(), "${PW}".to_owned()));
    assert_eq!(read(&settings.to_toml()).unwrap().write(), settings.write());
}

#[test]
fn connection_strings_expand_value_by_value() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from file\n").unwrap();
    for (text, password) in [
        ("host=h password=${PW}", "p w'${X}"),
        ("host=h password='${PW}!'", "p w'${X}!"),
        ("${CONN}", "q"),
        (&format!("host=h password=file:{}", file.path().display()), "from file"),
        ("host=h password=$${PW}", "${PW}"),
    ] {
        let settings = read(&SMALL.replace("host=h", text)).unwrap();
        let found = settings.databases[0].shards[0].connection.password.as_ref().unwrap();
        assert_eq!(found.expose(), password, "{text}");
        assert_eq!(read(&settings.to_toml()).unwrap().write(), settings.write(), "{text}");
    }
}

#[test]
fn relative_paths_start_at_the_files_directory() {
    let tls = good("[tls]\ncert = \"server.crt\"\nkey = \"/keys/server.key\"").tls;
    assert_eq!(
        (tls.cert, tls.key),
        (Some(PathBuf::from("/etc/pgring/server.crt")), Some(PathBuf::from("/keys/server.key")))
    );
}

#[test]
fn each_fault_has_its_place_key_and_what_is_allowed() {
    for (text, expected) in [
        ("[pool]\nsiez = 5", "2:1: pool.siez: unknown key (did you mean \"size\"?)"),
        ("[pol]\nsize = 5", "1:2: pol: unknown key (did you mean \"pool\"?)"),
        (
            "[general]\nqueue_timeout = \"1s\"",
            "2:1: general.queue_timeout: unknown key (did you mean \"pool.queue_timeout\"?)",
        ),
        ("[pool]\ncolour = 5", "2:1: pool.colour: unknown key"),
        (
            "[pool]\nsize = \"5\"",
            "2:8: pool.size: must be a whole number, not a string (allowed: a whole number from 0)",
        ),
        ("[pool]\nsize = -1", "2:8: pool.size: -1 is out of range (allowed: 0 to 4294967295)"),
        ("[pool]\nsize = 0", "2:8: pool.size: must be at least 1"),
        (
            "[pool]\nmode = \"statement\"",
            "2:8: pool.mode: unknown value \"statement\" (allowed: transaction | session)",
        ),
        ("[pool]\nmode = 1", "2:8: pool.mode: must be a string, not a whole number (allowed: transaction | session)"),
        ("[pool]\nmin_idle = 21", "2:12: pool.min_idle: is more than pool.size"),
        (
            "[pool]\nqueue_timeout = \"5\"",
            "2:17: pool.queue_timeout: \"5\" has no unit (allowed: a whole number with ms, s, m or h, as 250ms, 5s, 10m, 2h)",
        ),
        ("[pool]\nqueue_timeout = \"0s\"", "2:17: pool.queue_timeout: must be longer than 0"),
        (
            "[cache]\nmax_bytes = \"5KB\"",
            "2:13: cache.max_bytes: \"5KB\" has an unknown unit (allowed: a whole number with B, kB, MB, GB or TB, as 64kB, 8MB, 1GB)",
        ),
        (
            "[cache]\nfreshness = \"bounded\"",
            "2:13: cache.freshness: unknown value \"bounded\" (allowed: strict | session | bounded:5s | ttl)",
        ),
        ("[cache]\nverify_ratio = 1.5", "2:16: cache.verify_ratio: must be from 0 to 1"),
        ("[cache]\ntiers = { a = 0 }", "2:15: cache.tiers.a: must be greater than 0"),
        ("[cache]\nverify_ratio = nan", "2:16: cache.verify_ratio: must be a finite number"),
        ("pool = 5", "1:8: pool: must be a section, not a single value"),
        ("[[pool]]\nsize = 5", "1:1: pool: must be a section, not a list"),
        ("[users]\nname = \"a\"", "1:2: users: must be a list of sections ([[…]]), not a section"),
        (
            "[general]\ncluster = \"My Ring\"",
            "2:11: general.cluster: is not a name of a cluster (allowed: 1 to 32 of a-z, 0-9 and -)",
        ),
        ("[general]\nlisten = []", "2:10: general.listen: must name at least one address"),
        (
            "[general]\nlisten = [\"a:1\", \"b\"]",
            "2:18: general.listen[1]: has no port (allowed: host:port or unix:/directory)",
        ),
        ("[general]\nlisten = [\"a:1\", \"a:1\"]", "2:18: general.listen[1]: there is another listener \"a:1\""),
        ("[general]\nhttp = \"127.0.0.1:6432\"", "2:8: general.http: is an address of general.listen, too"),
        ("[general]\nadmin_database = \"app\"", "4:8: databases[0].name: is general.admin_database, too"),
        ("[tls]\ncert = \"a\"", "2:8: tls.cert: needs tls.key"),
        ("[tls]\nkey = \"a\"", "2:7: tls.key: needs tls.cert"),
        ("[tls]\nmode = \"require\"", "2:8: tls.mode: \"require\" needs tls.cert and tls.key"),
        (
            "[tls]\nmode=\"verify-client\"\ncert=\"a\"\nkey=\"b\"",
            "2:6: tls.mode: \"verify-client\" needs tls.client_ca",
        ),
        ("[server_tls]\nmode = \"verify-full\"", "2:8: server_tls.mode: \"verify-full\" needs server_tls.ca"),
        ("[[users]]\npassword = \"x\"", "1:1: users[0].name: must be given"),
        ("[[users]]\nname = \"a\"", "1:1: users[0]: needs password or scram (or set auth.query, which looks it up)"),
        ("[[users]]\nname = \"\"\npassword = \"x\"", "2:8: users[0].name: must not be empty"),
        (
            "[[users]]\nname = \"a\"\npassword = \"x\"\n[[users]]\nname = \"a\"\npassword = \"y\"",
            "5:8: users[1].name: there is another user \"a\"",
        ),
        (
            "[[users]]\nname = \"a\"\nscram = \"SCRAM-SHA-256$x\"",
            "3:9: users[0].scram: is not a SCRAM verifier (allowed: SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>)",
        ),
        (
            "[[users]]\nname = \"a\"\npassword = \"${NOPE}\"",
            "3:12: users[0].password: the environment variable NOPE is not set",
        ),
        ("[[users]]\nname = \"a\"\npassword = \"\"", "3:12: users[0].password: must not be empty"),
        ("[auth]\nmethods = []", "2:11: auth.methods: must name at least one method"),
        (
            "[auth]\nmethods = [\"reject\"]",
            "2:12: auth.methods[0]: is for auth.rules only (allowed: scram-sha-256 | md5 | cert | trust)",
        ),
        ("[auth]\nmethods = [\"cert\"]", "2:12: auth.methods[0]: cert needs tls.client_ca"),
        (
            "[general]\nlisten = \"0.0.0.0:1\"\n[auth]\nmethods = [\"trust\"]",
            "4:12: auth.methods[0]: trust is for loopback only, and general.listen has other addresses",
        ),
        ("[auth]\nquery = \"SELECT 1\"", "2:9: auth.query: must ask for the user $1"),
        ("[[auth.rules]]\nuser = \"a\"", "1:1: auth.rules[0].method: must be given"),
        (
            "[[auth.rules]]\naddress = \"10.0.0.0/8\"\nmethod = \"trust\"",
            "3:10: auth.rules[0].method: trust is for loopback addresses only (address = \"127.0.0.1/32\", \"::1/128\" or \"local\")",
        ),
        (
            "[[auth.rules]]\naddress = \"10.0.0.0/99\"\nmethod = \"md5\"",
            "2:11: auth.rules[0].address: the prefix must be a number from 0 to 32 (allowed: all | local | an address as 10.0.0.1 | a network as 10.0.0.0/8)",
        ),
        (
            "[rebalancer]\nwindows = [\"22-5\"]",
            "2:12: rebalancer.windows[0]: \"22-5\" is no time of day with an end (allowed: hh:mm-hh:mm, as 22:00-05:00)",
        ),
        ("[rebalancer]\nthreshold = 0", "2:13: rebalancer.threshold: must be greater than 0 and at most 1"),
        ("[rebalancer.prometheus]\ncpu_query = \"x\"", "1:13: rebalancer.prometheus.url: must be given"),
        ("[[http.keys]]\nkey = \"k\"", "1:1: http.keys[0].user: must be given"),
        ("[[http.keys]]\nkey = \"\"\nuser = \"u\"", "2:7: http.keys[0].key: must not be empty"),
        (
            "[[http.keys]]\nkey = \"${NOPE}\"\nuser = \"u\"",
            "2:7: http.keys[0].key: the environment variable NOPE is not set",
        ),
        ("[monitor]\nhistory = \"1s\"", "2:11: monitor.history: is shorter than monitor.interval"),
        (
            "[log]\nlevel = \"loud\"",
            "2:9: log.level: unknown value \"loud\" (allowed: error | warn | info | debug | trace)",
        ),
    ] {
        assert_eq!(faults(text), [expected], "{text}");
    }
}

#[test]
fn faults_of_databases_have_their_place_and_key() {
    let shard =
        |name: &str, more: &str| format!("[[databases.shards]]\nname = \"{name}\"\nconnection = \"host=h\"\n{more}\n");
    let app = |more: &str| format!("[[databases]]\nname = \"app\"\n{more}\n");
    let case = |text: String, expected: &str| assert_eq!(faults_of(&text), [expected], "{text}");
    case(String::new(), "1:1: databases: there must be at least one [[databases]]");
    case(app(""), "1:1: databases[0]: needs at least one [[databases.shards]] or catalog");
    case(
        app("connection = \"host=h\"") + &shard("s0", ""),
        "3:14: databases[0].connection: only database \"*\" has a connection ([[databases.shards]] names its servers)",
    );
    case(app(&shard("s0", "weight = 0")), "6:10: databases[0].shards[0].weight: must be greater than 0");
    case(
        app(&(shard("s0", "") + &shard("s1", "weight = \"x\""))),
        "10:10: databases[0].shards[1].weight: must be a number, not a string (allowed: a number)",
    );
    case(
        app(&(shard("s0", "") + &shard("s0", ""))),
        "8:8: databases[0].shards[1].name: there is another shard or replica \"s0\"",
    );
    case(
        app(&shard("s0", "[[databases.shards.replicas]]\nname = \"s0\"\nconnection = \"host=r\"")),
        "7:8: databases[0].shards[0].replicas[0].name: there is another shard or replica \"s0\"",
    );
    case(
        app("default_shard = \"s9\"") + &shard("s0", ""),
        "3:17: databases[0].default_shard: there is no shard \"s9\" (allowed: s0)",
    );
    case(
        app("gather = \"s9\"") + &shard("s0", ""),
        "3:10: databases[0].gather: there is no shard \"s9\" (allowed: s0)",
    );
    case(
        app(&(shard("s0", "backup = \"s9\"") + &shard("s1", ""))),
        "6:10: databases[0].shards[0].backup: there is no shard \"s9\" (allowed: s0 | s1)",
    );
    case(app(&shard("s0", "backup = \"s0\"")), "6:10: databases[0].shards[0].backup: is the shard itself");
    case(app("[[databases.shards]]\nname = \"s0\""), "3:1: databases[0].shards[0].connection: must be given");
    case(
        app("[[databases.shards]]\nname = \"s0\"\nconnection = \"port=1\""),
        "5:14: databases[0].shards[0].connection: connection string: has no host",
    );
    case(
        app("[[databases.shards]]\nname = \"s0\"\nconnection = \"host=h pasword=x\""),
        "5:14: databases[0].shards[0].connection: connection string: unknown parameter, did you mean \"password\"?",
    );
    case(app(&shard("s0", "")) + &app(&shard("s0", "")), "9:8: databases[1].name: there is another database \"app\"");
    case(
        app(&shard("s0", "")).replace("host=h", "host=h sslmode=verify-ca"),
        "5:14: databases[0].shards[0].connection: its sslmode needs server_tls.ca",
    );
    case("[[databases]]\nname = \"*\"\n".into(), "1:1: databases[0]: database \"*\" needs connection");
    case(
        "[[databases]]\nname = \"*\"\nconnection = \"host=h\"\n".to_owned() + &shard("s0", ""),
        "4:1: databases[0].shards: database \"*\" is plain pooling: it has none",
    );
}

#[test]
fn every_fault_is_found_in_one_pass() {
    let text = "[pool]\nsiez = 5\nmode = \"x\"\nsize = 0\n[tls]\ncert = \"a\"\n[nope]\n[[users]]\nname = \"u\"\n";
    let keys: Vec<String> = read(&format!("{text}{SMALL}")).unwrap_err().into_iter().map(|fault| fault.key).collect();
    assert_eq!(keys, ["pool.siez", "pool.mode", "pool.size", "tls.cert", "nope", "users[0]"]);
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let found = faults_of("[pool]\nsize = \n[tls\n");
    assert!(found.len() >= 2, "{found:?}");
    assert!(found[0].starts_with("2:"), "{found:?}");
    assert!(
        faults_of("[pool]\nsize = 1\nsize = 2\n")[0].starts_with("3:1: "),
        "{:?}",
        faults_of("[pool]\nsize = 1\nsize = 2\n")
    );
}

#[test]
fn a_fault_shows_no_secret() {
    let text = "[[users]]\nname = \"a\"\nscram = \"hunter2\"\n[cache]\nredis = \"hunter2\"\n[[databases]]\nname = \"*\"\nconnection = \"host=h password='hunter2\"";
    let found = faults_of(text);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn a_database_with_a_catalog_needs_no_shards() {
    let settings = read("[[databases]]\nname = \"app\"\ncatalog = \"host=c\"").unwrap();
    assert_eq!(settings.databases[0].catalog_connection().map(ConnectionParts::host), Some("c"));
    assert_eq!(settings.databases[0].home(), None);
}

#[test]
fn the_star_stands_for_what_is_not_listed() {
    let settings = good("[[databases]]\nname = \"*\"\nconnection = \"host=star\"");
    assert!(settings.database("anything").is_some_and(Database::is_any));
    assert!(!settings.database("app").is_some_and(Database::is_any));
}

#[test]
fn trust_is_taken_where_only_this_machine_can_connect() {
    good("[auth]\nmethods = [\"trust\"]\n[[users]]\nname = \"a\"");
    for address in ["local", "127.0.0.1", "127.0.0.0/8", "::1/128"] {
        good(&format!(
            "[general]\nlisten = \"0.0.0.0:1\"\n[[auth.rules]]\naddress = \"{address}\"\nmethod = \"trust\""
        ));
    }
    for address in ["127.0.0.0/7", "::1/127", "0.0.0.0/0"] {
        assert_eq!(
            faults(&format!("[[auth.rules]]\naddress = \"{address}\"\nmethod = \"trust\"")).len(),
            1,
            "{address}"
        );
    }
}

#[test]
fn a_rule_matches_by_user_database_and_address() {
    let text = "[[auth.rules]]\nuser = \"app\"\ndatabase = [\"a\", \"b\"]\naddress = \"10.0.0.0/8\"\nmethod = \"md5\"";
    let rule = &good(text).auth.rules[0];
    let from = |address: &str| address.parse().ok();
    for (user, database, client, matches) in [
        ("app", "a", from("10.1.1.1"), true),
        ("app", "b", from("::ffff:10.1.1.1"), true),
        ("app", "c", from("10.1.1.1"), false),
        ("other", "a", from("10.1.1.1"), false),
        ("app", "a", from("11.1.1.1"), false),
        ("app", "a", None, false),
    ] {
        assert_eq!(rule.matches(user, database, client), matches, "{user} {database} {client:?}");
    }
}

#[test]
fn keys_without_effect_are_named_when_they_are_given() {
    let settings = good(
        "[pool]\nsize = 3\n[cache]\nenabled = false\ntiers = { a = 2 }\n[[users]]\nname = \"u\"\npassword = \"p\"\ntier = \"a\"\n[log]\nlevel = \"warn\"\notlp = \"http://x\"\n[[http.keys]]\nkey = \"k\"\nuser = \"u\"",
    );
    let mut keys: Vec<String> = settings.without_effect_yet().into_iter().map(|(key, _)| key).collect();
    keys.sort();
    assert_eq!(
        keys,
        ["cache.enabled", "cache.tiers.a", "http.keys[0].key", "http.keys[0].user", "log.otlp", "users[0].tier"]
    );
}

#[test]
fn a_complete_file_names_no_key_that_has_its_default() {
    let complete = read(&good("").to_toml()).unwrap();
    assert_eq!(complete.without_effect_yet(), []);
    let changed = good("[failover]\ndetect_interval = \"2s\"\nbuffer = true\npromote = true");
    assert_eq!(changed.without_effect_yet(), [("failover.promote".to_owned(), "failover")]);
}

#[test]
fn every_key_of_the_list_without_effect_exists() {
    let reference = reference();
    for (key, _) in effect::WITHOUT_EFFECT {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let exists = [format!("## `[{key}]`"), format!("## `[[{key}]]`"), format!("| `{name}` |")];
        assert!(exists.iter().any(|text| reference.contains(text)), "{section}.{name}");
    }
}

#[test]
fn a_reload_names_what_it_cannot_apply() {
    let old = good("");
    assert_eq!(old.needs_restart(&old), Vec::<&str>::new());
    assert_eq!(old.needs_restart(&good("[pool]\nsize = 5")), Vec::<&str>::new());
    let new = good("[general]\nlisten = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"");
    assert_eq!(old.needs_restart(&new), ["general.listen", "general.http"]);
}

#[test]
fn shown_rows_tell_value_default_and_change() {
    let settings = good("[pool]\nsize = 5\n[[users]]\nname = \"u\"\npassword = \"p\"");
    let row = |key: &str| settings.show_rows().into_iter().find(|row| row.key == key).expect(key);
    let expected = |key: &str, value: &str, default: &str, changed| ShowRow {
        key: key.into(),
        value: value.into(),
        default: default.into(),
        changed,
    };
    assert_eq!(row("pool.size"), expected("pool.size", "5", "20", true));
    assert_eq!(row("pool.mode"), expected("pool.mode", "transaction", "transaction", false));
    assert_eq!(row("timeouts.query"), expected("timeouts.query", "0s", "0s", false));
    assert_eq!(row("users[0].password"), expected("users[0].password", "***", "", true));
    assert_eq!(
        row("databases[0].shards[0].connection"),
        expected("databases[0].shards[0].connection", "host=h port=5432", "", true)
    );
}

#[test]
fn a_file_that_is_not_there_is_told() {
    assert!(matches!(Settings::load(Path::new("/no/such/pgring.toml")), Err(SettingsError::Unreadable { .. })));
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

#[test]
fn the_example_is_valid_and_has_no_key_without_effect() {
    let text = fs::read_to_string(docs("pgring.example.toml")).unwrap();
    let settings = Settings::parse_with(&text, "pgring.example.toml", &|name| Some(format!("value of {name}")));
    let settings = settings.unwrap_or_else(|faults| panic!("{}", Lines(&faults)));
    assert_eq!(settings.without_effect_yet(), []);
    let shard = &settings.database("app").unwrap().shards[1];
    assert_eq!(shard.connection.password.as_ref().map(Secret::expose), Some("value of PGRING_PASSWORD"));
}

#[test]
fn the_reference_is_the_one_in_docs() {
    let path = docs("configuration.md");
    if std::env::var_os("PGRING_UPDATE_DOCS").is_some() {
        fs::write(&path, reference()).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == reference(), "docs/configuration.md differs from the table: PGRING_UPDATE_DOCS=1 rewrites it");
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(
        at in 0..COMPLETE.lines().count(), count in 0..4_usize, with in "(\\[\\[?[a-z.]{1,20}\\]?\\]|[a-z_.]{1,12} ?= ?(-?[0-9]{1,20}|\"\\PC{0,12}\"|\\[\\]|\\{\\}))",
    ) {
        let mut lines: Vec<&str> = COMPLETE.lines().collect();
        lines.splice(at..(at + count).min(lines.len()), [with.as_str()]);
        if let Ok(settings) = read(&lines.join("\n")) {
            prop_assert_eq!(read(&settings.to_toml()).map(|again| again.write()), Ok(settings.write()));
        }
    }
}

//! What is made of the settings before anything is connected.

use super::*;
use pgring_protocol::tls::TlsMode;

const SHARDS: &str = r#"
    [[users]]
    name = "app"
    password = "hunter2"
    [[databases]]
    name = "app"
    reference_tables = ["countries", "geo.cities"]
      [[databases.shards]]
      name = "s0"
      weight = 2.0
      connection = "host=10.0.0.1 port=5433 user=pgring password=hunter2"
        [[databases.shards.replicas]]
        name = "s0r1"
        connection = "host=10.0.0.2 dbname=other user=pgring password=hunter2"
    "#;

fn settings(text: &str) -> Settings {
    Settings::parse(text, "test.toml").unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn the_catalog_gets_shards_without_their_passwords() {
    let settings = settings(SHARDS);
    let seeds = seeds(&settings.databases[0]);
    let stored = [&seeds[0].connection, &seeds[0].replicas[0].connection].map(|connection| connection.0.to_string());
    assert_eq!(
        stored,
        ["host=10.0.0.1 port=5433 dbname=app user=pgring", "host=10.0.0.2 port=5432 dbname=other user=pgring"]
    );
    assert_eq!((seeds[0].weight, seeds[0].active, seeds[0].read_only), (2.0, true, false));
}

#[test]
fn the_configurations_connections_go_before_the_catalogs_with_their_passwords() {
    let settings = settings(SHARDS);
    let overrides = overrides(&settings.databases[0]);
    let own = |name: &str| overrides.get(&ShardName::from(name)).map(|connection| connection.0.to_string());
    assert_eq!(own("s0").unwrap(), "host=10.0.0.1 port=5433 dbname=app user=pgring password=hunter2");
    assert!(own("s0r1").unwrap().contains("dbname=other"));
    assert_eq!(own("s1"), None);
}

#[test]
fn reference_tables_may_name_their_schema() {
    let tables = reference_tables(&settings(SHARDS).databases[0]);
    assert_eq!(tables, [TableName::new("public", "countries"), TableName::new("geo", "cities")]);
}

#[test]
fn a_target_is_where_and_how_the_connection_string_says() {
    let settings = settings(SHARDS);
    let tls = ServerTls::load(&settings.server_tls).unwrap();
    let made = |text: &str| target(&ConnectionParts::parse(text).unwrap(), &settings, &tls);
    let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
    for (text, address, mode) in [
        ("host=db port=6000", tcp("db", 6000), TlsMode::Prefer),
        ("host=db hostaddr=10.0.0.3 sslmode=disable", tcp("10.0.0.3", 5432), TlsMode::Disable),
        ("host=db sslmode=require", tcp("db", 5432), TlsMode::Require),
        ("host=/run port=6000", Address::Unix { dir: "/run".into(), port: 6000 }, TlsMode::Prefer),
    ] {
        let target = made(text);
        assert_eq!((target.address, target.tls), (address, mode), "{text}");
    }
    assert!(made("host=db").tls_config.is_some() && made("host=db sslmode=disable").tls_config.is_none());
    // Nothing to verify with: it must not be taken for verified.
    assert!(made("host=db sslmode=verify-full").tls_config.is_none());
    assert!(is_same(&made("host=db"), &made("host=db")) && !is_same(&made("host=db"), &made("host=db2")));
    assert!(!is_same(&made("host=db"), &made("host=db sslmode=require")));
}

#[test]
fn what_changed_is_told_without_secrets() {
    let (old, new) = (settings(SHARDS), settings(&SHARDS.replace("hunter2", "hunter3").replace("2.0", "3.0")));
    let told = changes(&old, &new);
    assert_eq!(told, ["databases[0].shards[0].weight: 2.0 → 3.0"]);
    assert_eq!(changes(&old, &old), Vec::<String>::new());
}

#[test]
fn a_name_that_is_not_listed_is_one_of_the_server_behind_the_star() {
    let any = settings("[[databases]]\nname = \"*\"\nconnection = \"host=10.0.0.1 dbname=ignored\"\n");
    let tls = ServerTls::load(&any.server_tls).unwrap();
    let cluster = Cluster::new(any, None, 1, tls.clone());
    let found = find(&cluster, "shop").unwrap().unwrap();
    let snapshot = found.snapshot();
    assert_eq!((&*snapshot.places[0].database, snapshot.topology.shards.len()), ("shop", 1));
    assert!(snapshot.places[0].expected.is_none() && found.catalog.is_none());
    assert!(Arc::ptr_eq(&found, &find(&cluster, "shop").unwrap().unwrap()));
    assert!(find(&cluster, "*").unwrap().is_none());
    drop((snapshot, found));
    cluster.tidy();
    assert!(cluster.database("shop").is_none());
    let listed = Cluster::new(settings(SHARDS), None, 1, tls);
    assert!(find(&listed, "shop").unwrap().is_none());
}

use super::{super::parse::GRAMMAR, *};
use crate::{
    cluster::{ServerTls, Snapshot, User},
    topology::schema::{Relation, RelationKind, Schema},
};
use pgring_config::{
    ids::{Epoch, GroupIndex, GroupName, ShardIndex, ShardName},
    key::{KeyFamily, KeyType},
    ring::Ring,
    settings::Settings,
    tables::{ShardedTable, Table as Known, TableKind, TableName, TableState},
    topology::{Connection, Group, Placement, Shard, ShardState, Topology},
};
use pgring_protocol::credentials::Credentials;
use std::{collections::HashMap, fmt::Write as _, path::Path};

const CONFIG: &str = r#"
[[users]]
name = "postgres"
password = "secret"
[[databases]]
name = "app"
  [[databases.shards]]
  name = "s0"
  connection = "host=127.0.0.1 port=1 dbname=app user=pgring password=hidden"
"#;

fn topology(shards: usize) -> Topology {
    let names: Vec<(ShardName, f64)> = (0..shards).map(|at| (ShardName::new(format!("s{at}")), 1.0)).collect();
    let arcs = Ring::propose(&names);
    let shard = |(name, weight): &(ShardName, f64)| Shard {
        name: name.clone(),
        weight: *weight,
        zone: None,
        state: ShardState::Active,
        read_only: false,
        connection: Connection("host=127.0.0.1 port=1 dbname=app user=pgring password=hidden".into()),
        replicas: Vec::new(),
    };
    let name = TableName::new("public", "orders");
    let sharded = ShardedTable {
        group: GroupIndex(0),
        key: "customer_id".into(),
        key_type: Some(KeyType::Int8),
        allow_local_unique: false,
    };
    let table = Known { name: name.clone(), kind: TableKind::Sharded(sharded), state: TableState::Ready };
    let placement = Placement::Hash { arcs, pinned: HashMap::new() };
    Topology {
        epoch: Epoch(1),
        tables_version: 1,
        shards: names.iter().map(shard).collect(),
        default_shard: ShardIndex(0),
        groups: vec![Some(Group { name: GroupName::new("default_integer"), family: KeyFamily::Integer, placement })],
        tables: HashMap::from([(name, table)]),
    }
}

fn schema() -> Schema {
    let name = TableName::new("public", "notes");
    let relation = Relation {
        oid: 1,
        name: name.clone(),
        kind: RelationKind::Table,
        columns: Vec::new(),
        unique_keys: Vec::new(),
        reads: Vec::new(),
        definition: None,
        triggers: vec![],
        parents: Vec::new(),
    };
    Schema { relations: HashMap::from([(name, relation.into())]), ..Schema::default() }
}

pub(in crate::admin) fn cluster(databases: &[&str]) -> Arc<Cluster> {
    let settings = Settings::parse(CONFIG, "test.toml").unwrap();
    let of = Arc::new(settings.databases[0].clone());
    let tls = ServerTls::load(&settings.server_tls).unwrap();
    let cluster = Cluster::new(settings, None, 1, tls.clone());
    for name in databases {
        let snapshot = Snapshot::new(topology(4), schema(), Arc::from([]));
        cluster.add_database(Arc::new(Database::new(of.clone(), name, None, snapshot, tls.clone())));
    }
    Arc::new(cluster)
}

fn caller(admin: bool, stats: bool) -> Caller {
    let user = User {
        name: "ann".into(),
        server_user: "ann".into(),
        credentials: Credentials::None,
        log_in: 0,
        role: None,
        admin,
        stats,
        pool_size: None,
    };
    Caller { user: Arc::new(user), database: None, in_transaction: false }
}

async fn ask(cluster: &Arc<Cluster>, text: &str) -> Result<Table, Report> {
    run(cluster, &caller(true, false), text).await
}

fn column(table: &Table, name: &str) -> Vec<String> {
    let at = table.columns.iter().position(|column| column.name == name).unwrap();
    table.rows.iter().map(|row| row[at].clone().unwrap_or_default()).collect()
}

#[tokio::test]
async fn who_may_do_what() {
    let cluster = cluster(&["app"]);
    let code = async |admin, stats, text: &str| {
        run(&cluster, &caller(admin, stats), text).await.map_err(|report| report.code().to_owned()).err()
    };
    assert_eq!(code(true, false, "SHOW VERSION").await, None);
    assert_eq!(code(false, true, "SHOW VERSION").await, None);
    assert_eq!(code(false, false, "SHOW VERSION").await.as_deref(), Some("42501"));
    assert_eq!(code(false, true, "PAUSE").await.as_deref(), Some("42501"));
    assert_eq!(code(false, false, "PAUSE").await.as_deref(), Some("42501"));
    assert!(!*cluster.database("app").unwrap().paused.borrow());
    assert_eq!(code(true, false, "PAUSE").await, None);
}

#[tokio::test]
async fn only_show_runs_in_a_transaction_block() {
    let cluster = cluster(&["app"]);
    let inside = Caller { in_transaction: true, ..caller(true, false) };
    assert!(run(&cluster, &inside, "SHOW TABLES").await.is_ok());
    for text in ["PAUSE", "REBALANCE DRY RUN", "SHARD TABLE t BY (id)"] {
        assert_eq!(run(&cluster, &inside, text).await.unwrap_err().code(), "25001", "{text}");
    }
}

#[tokio::test]
async fn what_is_no_command_says_what_could_be() {
    let cluster = cluster(&["app"]);
    let error = ask(&cluster, "SHARD TABEL t BY (id)").await.unwrap_err();
    assert_eq!((error.code(), error.hint.as_deref()), ("42601", Some("Did you mean TABLE? Here can stand: TABLE.")));
    assert_eq!(ask(&cluster, "BEGIN").await.unwrap_err().code(), "42601");
}

#[tokio::test]
async fn a_new_shard_would_take_only_what_the_ring_gives_it() {
    let cluster = cluster(&["app"]);
    let text = "ADD SHARD s4 CONNECTION 'host=10.0.0.4 dbname=app password=x' DRY RUN";
    let table = ask(&cluster, text).await.unwrap();
    let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
    assert_eq!(names, ["step", "group", "arc_start", "arc_end", "share", "from", "to"]);
    assert_eq!(names, pgring_rebalancer::propose::COLUMNS);
    assert!(!table.rows.is_empty());
    assert!(column(&table, "to").iter().all(|to| to == "s4"));
    assert!(column(&table, "group").iter().all(|group| group == "default_integer"));
    let share: f64 = column(&table, "share").iter().map(|share| share.parse::<f64>().unwrap()).sum();
    assert!((0.1..0.3).contains(&share), "a fifth of the ring, not {share}");
    assert_eq!(table.columns, columns(text).unwrap());
    assert_eq!(ask(&cluster, text).await.unwrap(), table);
    let taken = ask(&cluster, "ADD SHARD s1 CONNECTION 'host=x dbname=app' DRY RUN").await.unwrap_err();
    assert_eq!(taken.code(), "55000");
}

#[tokio::test]
async fn a_drained_shard_would_give_all() {
    let cluster = cluster(&["app"]);
    let table = ask(&cluster, "DRAIN SHARD s2 DRY RUN").await.unwrap();
    let arcs = column(&ask(&cluster, "SHOW RING").await.unwrap(), "shard").iter().filter(|name| *name == "s2").count();
    assert!(arcs > 0 && table.rows.len() >= arcs);
    assert!(column(&table, "from").iter().all(|from| from == "s2"));
    assert!(column(&table, "to").iter().all(|to| to != "s2"));
    assert_eq!(ask(&cluster, "DRAIN SHARD s9 DRY RUN").await.unwrap_err().code(), "42704");
}

#[tokio::test]
async fn a_split_gives_half_to_a_new_or_an_existing_shard() {
    let cluster = cluster(&["app"]);
    let onto = async |text: &str| {
        let table = ask(&cluster, text).await.unwrap();
        let share: f64 = column(&table, "share").iter().map(|share| share.parse::<f64>().unwrap()).sum();
        (column(&table, "to")[0].clone(), share)
    };
    let (to, share) = onto("SPLIT SHARD s0 INTO x DRY RUN").await;
    assert_eq!(to, "x");
    let (to, same) = onto("SPLIT SHARD s0 ONTO s1 DRY RUN").await;
    assert_eq!((to.as_str(), same), ("s1", share));
    assert!(onto("SPLIT SHARD s0 DRY RUN").await.0.starts_with("s0_split_"));
    assert_eq!(ask(&cluster, "SPLIT SHARD s0 INTO s1 DRY RUN").await.unwrap_err().code(), "55000");
    assert_eq!(ask(&cluster, "SPLIT SHARD s0 ONTO x DRY RUN").await.unwrap_err().code(), "42704");
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let cluster = cluster(&["app"]);
    for text in [
        "REBALANCE",
        "SPLIT SHARD s0",
        "DROP CACHE c",
        "FAILOVER SHARD s0",
        "SET pool.size = 5",
        "REBALANCE BY LOAD DRY RUN",
    ] {
        let error = ask(&cluster, text).await.unwrap_err();
        assert_eq!((error.code(), error.entry), ("0A000", catalogue::NOT_BUILT), "{text}");
        assert!(error.hint.is_some(), "{text}");
    }
}

#[tokio::test]
async fn pausing_twice_is_unchanged() {
    let cluster = cluster(&["app", "other"]);
    let status = async |text: &str| column(&ask(&cluster, text).await.unwrap(), "status")[0].clone();
    let paused = |name: &str| *cluster.database(name).unwrap().paused.borrow();
    assert_eq!(status("PAUSE app DRY RUN").await, "dry run");
    assert!(!paused("app"));
    assert_eq!(status("PAUSE app").await, "done");
    assert_eq!((paused("app"), paused("other")), (true, false));
    assert_eq!(status("PAUSE app").await, "unchanged");
    assert_eq!(status("RESUME").await, "done");
    assert!(!paused("app"));
    assert_eq!(ask(&cluster, "PAUSE nowhere").await.unwrap_err().code(), "3D000");
}

#[tokio::test]
async fn stopping_is_asked_once() {
    let cluster = cluster(&["app"]);
    let status = async |text: &str| column(&ask(&cluster, text).await.unwrap(), "status")[0].clone();
    assert_eq!(status("SHUTDOWN").await, "done");
    assert_eq!(*cluster.stop.borrow(), Some(false));
    assert_eq!(status("SHUTDOWN").await, "unchanged");
    assert_eq!(status("DRAIN").await, "done");
    assert_eq!(status("DRAIN").await, "unchanged");
}

#[tokio::test]
async fn a_killed_client_is_told() {
    let cluster = cluster(&["app"]);
    let arrival = crate::registry::Arrival {
        secret: vec![1],
        user: "bob".into(),
        database: "app".into(),
        address: "127.0.0.1:5".into(),
        tls: false,
    };
    let client = cluster.clients.enter(arrival);
    let shown = ask(&cluster, "SHOW CLIENTS").await.unwrap();
    assert_eq!((column(&shown, "id"), column(&shown, "user")), (vec![client.id.to_string()], vec!["bob".to_owned()]));
    assert_eq!(
        ask(&cluster, &format!("KILL QUERY {}", client.id)).await.unwrap().rows[0][1].as_deref(),
        Some("unchanged")
    );
    assert!(!client.is_killed());
    ask(&cluster, &format!("KILL CLIENT {}", client.id)).await.unwrap();
    assert!(client.is_killed());
    assert_eq!(ask(&cluster, "KILL CLIENT 999").await.unwrap_err().code(), "42704");
}

#[tokio::test]
async fn with_several_databases_one_must_be_named() {
    let cluster = cluster(&["app", "other"]);
    let error = ask(&cluster, "REBALANCE DRY RUN").await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("SET database = name first; there are: app, other."));
    let chosen = Caller { database: cluster.database("other"), ..caller(true, false) };
    assert!(run(&cluster, &chosen, "REBALANCE DRY RUN").await.is_ok());
    let tables = ask(&cluster, "SHOW TABLES").await.unwrap();
    assert_eq!(column(&tables, "database"), ["app", "app", "other", "other"]);
}

#[tokio::test]
async fn tables_are_shown_with_their_rules() {
    let table = ask(&cluster(&["app"]), "SHOW TABLES").await.unwrap();
    assert_eq!(column(&table, "name"), ["notes", "orders"]);
    assert_eq!(column(&table, "kind"), ["local", "sharded"]);
    assert_eq!(column(&table, "group"), ["", "default_integer"]);
    assert_eq!(column(&table, "key"), ["", "customer_id"]);
    assert_eq!(column(&table, "strategy"), ["", "hash"]);
    assert_eq!(column(&table, "state"), ["ready", "ready"]);
}

#[tokio::test]
async fn shards_are_shown_without_their_passwords() {
    let table = ask(&cluster(&["app"]), "SHOW SHARDS").await.unwrap();
    assert_eq!(column(&table, "name"), ["s0", "s1", "s2", "s3"]);
    assert_eq!(column(&table, "primary_ok"), ["f", "f", "f", "f"], "nothing listens there");
    assert!(
        column(&table, "connection").iter().all(|text| text.contains("host=127.0.0.1") && !text.contains("hidden"))
    );
    let share: f64 = column(&table, "share").iter().map(|share| share.parse::<f64>().unwrap()).sum();
    assert!((share - 1.0).abs() < 0.001);
}

#[tokio::test]
async fn every_topic_has_as_many_values_as_columns() {
    let cluster = cluster(&["app"]);
    let topics = "SHARDS REPLICAS RING TABLES GROUPS OPERATIONS ROUTERS POOLS CLIENTS SERVERS PINS QUERIES STATS CACHE \
        MONITOR TRANSACTIONS LOCKS ALERTS RECOMMENDATIONS AUDIT CONFIG ERRORS HELP VERSION";
    let two = ["CACHE ENTRIES", "CACHE POLICIES", "WHY NOT CACHED", "IN DOUBT", "FAULT POINTS"];
    for topic in topics.split_whitespace().chain(two) {
        let text = format!("SHOW {topic}");
        let table = ask(&cluster, &text).await.unwrap();
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{topic}");
        assert_eq!(table.columns, columns(&text).unwrap(), "{topic}");
        assert_eq!(table.fields(), fields_of(&text), "{topic}");
    }
}

/// The columns that dashboards rely on, as `interfaces.md` lists them; more may follow.
#[test]
fn the_columns_of_the_contract_come_first() {
    let contract = [
        (
            "SHARDS",
            "name weight state read_only connection zone arcs share size_bytes queries_per_s busy connections primary_ok replicas",
        ),
        ("RING", "group arc_start arc_end share shard state"),
        ("TABLES", "schema name kind group key strategy state"),
        (
            "OPERATIONS",
            "id kind state source target rows_done rows_total bytes_done lag_bytes eta_s pause_ms started error leftover_rows",
        ),
        ("IN DOUBT", "gid shard decider age_s decision"),
        ("CACHE", "level name entries bytes hits misses hit_rate evictions invalidations stale_prevented refreshes"),
        ("REPLICAS", "shard name state lag_s lag_bytes eligible reason"),
        ("POOLS", "user database server active idle pinned waiting max_wait_ms"),
        ("MONITOR", "cpu memory connections p50_ms p95_ms p99_ms error_rate cache_hit_rate queries_per_s"),
        ("RECOMMENDATIONS", "id condition action parameters expected_improvement risk state"),
    ];
    for (topic, expected) in contract {
        let names: Vec<&str> = columns(&format!("SHOW {topic}")).unwrap().iter().map(|column| column.name).collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(names[..expected.len()], expected, "{topic}");
    }
}

#[test]
fn the_audit_log_gets_no_secret() {
    let shown = without_secrets("ADD SHARD x CONNECTION 'host=h password=p' WEIGHT 2 -- 'password'");
    assert_eq!(shown, "ADD SHARD x CONNECTION '***' WEIGHT 2 -- 'password'");
    assert_eq!(
        without_secrets("ALTER SHARD x SET CONNECTION $$postgres://u:p@h/d$$"),
        "ALTER SHARD x SET CONNECTION '***'"
    );
    assert_eq!(without_secrets("SET http.key = 'abc'"), "SET http.key = '***'");
    assert_eq!(
        without_secrets("ASSIGN KEY ('abc') TO SHARD s0 IN GROUP OF t"),
        "ASSIGN KEY ('abc') TO SHARD s0 IN GROUP OF t"
    );
}

#[test]
fn tags_are_the_names_of_commands() {
    assert_eq!(tag("shard table t by (id)"), "SHARD TABLE");
    assert_eq!(tag("/* now */ PAUSE app"), "PAUSE");
    assert_eq!(tag("Add Shard s CONNECTION ''"), "ADD SHARD");
}

/// Compares a printed page with the file, or rewrites it.
fn page(file: &str, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    if std::env::var_os("PGRING_UPDATE_DOCS").is_some() {
        std::fs::write(&path, printed).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == printed, "docs/{file} differs from the source: PGRING_UPDATE_DOCS=1 rewrites it");
}

#[test]
fn the_page_of_errors_is_printed_from_the_catalogue() {
    let mut text = "<!-- Printed from router/src/error/catalogue.rs; `PGRING_UPDATE_DOCS=1 cargo test -p pgring` rewrites it. -->\n\n\
        # Errors\n\nEach error that pgring itself raises has PostgreSQL's SQLSTATE, and a number of its own at the start of its DETAIL,\n\
        but for some that say no more than PostgreSQL does in the same case.\n\
        Numbers are never reused. `SHOW ERRORS` in the admin database lists them too.\n\n\
        | number | SQLSTATE | message |\n|---|---|---|\n"
        .to_owned();
    for entry in catalogue::ALL {
        writeln!(text, "| PGR-{:04} | `{}` | {} |", entry.number, entry.sqlstate, entry.message).unwrap();
    }
    page("errors.md", &text);
}

#[test]
fn the_page_of_commands_is_printed_from_the_grammar() {
    let mut text = "<!-- Printed from router/src/admin/parse.rs; `PGRING_UPDATE_DOCS=1 cargo test -p pgring` rewrites it. -->\n\n\
        # Admin commands\n\nThey are taken as they stand in the admin database (`general.admin_database`, by default `pgring`), and in any other\n\
        database as `CALL pgring.admin('…')`. `general.admin_users` may give all of them, `general.stats_users` may `SHOW`.\n\n\
        - A command that changes something answers with one row: `operation_id`, `status`, `hint`. Said again with the same\n  meaning it is `unchanged`. \
        It is written to the audit log, and refused inside a transaction block (25001), but\n  \
        for a rule by `CALL pgring.admin` for a table that is yet to be made: that goes with the transaction.\n\
        - `DRY RUN` at its end only says what it would do.\n\
        - Where several databases are listed, `SET database = name` says which one the session's commands are about.\n\
        - A table without a schema is meant in `public`.\n\
        - A command that is not available yet is refused with `0A000` (PGR-5005).\n\n\
        | command | what it does |\n|---|---|\n"
        .to_owned();
    for (command, description) in GRAMMAR {
        writeln!(text, "| `{}` | {description} |", command.replace('|', "\\|")).unwrap();
    }
    page("admin.md", &text);
}

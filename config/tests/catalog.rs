//! Catalog: made once by many, read back as it was meant, changed one command at a time, heard by all.

mod common;

use pgring_config::{
    catalog::{
        Catalog, Change,
        shards::{SeedReplica, SeedShard, ShardChange},
        tables::{GroupChoice, ShardTable},
        watch::Heard,
    },
    error::CatalogError,
    ids::{Epoch, GroupName, ShardIndex, ShardName},
    key::{KeyFamily, KeyType, KeyValue},
    ring::Ring,
    tables::{ShardedTable, Strategy, TableKind, TableName, TableState},
    topology::{Bound, Connection, Placement, ShardState, Topology},
};
use pgring_local_postgres::{Server, Stop};
use std::{collections::HashMap, time::Duration};
use tokio::{sync::mpsc, time::timeout};

fn connection(text: &str) -> Connection {
    Connection(text.into())
}

fn shard(name: &str, weight: f64) -> SeedShard {
    SeedShard {
        name: name.into(),
        weight,
        zone: Some("a".to_owned()),
        connection: connection(&format!("host={name}")),
        read_only: false,
        active: true,
        replicas: Vec::new(),
    }
}

fn four_shards() -> Vec<SeedShard> {
    (0..4).map(|at| shard(&format!("s{at}"), 1.0)).collect()
}

fn table(name: &str) -> TableName {
    TableName::new("public", name)
}

fn rule(name: &str, key_type: Option<KeyType>) -> ShardTable {
    ShardTable {
        table: table(name),
        key: "customer_id".into(),
        key_type,
        strategy: None,
        group: GroupChoice::Default,
        allow_local_unique: false,
        state: if key_type.is_some() { TableState::Ready } else { TableState::Planned },
    }
}

fn in_group(rule: ShardTable, group: &str, strategy: Strategy) -> ShardTable {
    ShardTable { group: GroupChoice::InGroup(group.into()), strategy: Some(strategy), ..rule }
}

fn beside(rule: ShardTable, other: &str) -> ShardTable {
    ShardTable { group: GroupChoice::ColocateWith(table(other)), ..rule }
}

async fn open(server: &Server) -> Catalog {
    Catalog::open(&server.connection_string("app"), "test", "app").await.expect("the catalog answers")
}

async fn seeded(server: &Server) -> Catalog {
    let catalog = open(server).await;
    catalog.migrate().await.expect("a fresh catalog migrates");
    let change = catalog.seed(&four_shards(), &"s0".into(), &[]).await.expect("a fresh catalog is seeded");
    assert_eq!(change, Change::Changed);
    catalog
}

async fn load(catalog: &Catalog) -> Topology {
    catalog.load(&HashMap::new()).await.expect("the catalog loads")
}

fn sharded<'a>(topology: &'a Topology, name: &str) -> &'a ShardedTable {
    match topology.kind(&table(name)) {
        TableKind::Sharded(sharded) => sharded,
        other => panic!("{name} is {other:?}"),
    }
}

fn group_name(topology: &Topology, name: &str) -> Option<String> {
    topology.group(sharded(topology, name).group).map(|group| group.name.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn routers_that_start_at_once_make_one_catalog() {
    let server = common::server();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let connection = server.connection_string("app");
            tokio::spawn(async move {
                let catalog = Catalog::open(&connection, "test", "app").await?;
                catalog.migrate().await?;
                catalog.seed(&four_shards(), &"s1".into(), &[table("countries")]).await
            })
        })
        .collect();
    let mut seeded = 0;
    for start in starts {
        match start.await.expect("no panic").expect("every router starts") {
            Change::Changed => seeded += 1,
            Change::Unchanged => {}
        }
    }
    assert_eq!(seeded, 1);
    let topology = load(&open(&server).await).await;
    assert_eq!(topology.shards.len(), 4);
    assert_eq!(topology.default_shard, ShardIndex(1));
    let countries = topology.table(&table("countries")).expect("a planned rule");
    assert_eq!((&countries.kind, countries.state), (&TableKind::Reference, TableState::Planned));
}

#[tokio::test]
async fn a_seed_that_cannot_be_leaves_nothing_behind() {
    let server = common::server();
    let catalog = open(&server).await;
    catalog.migrate().await.expect("a fresh catalog migrates");
    let seed = async |shards: &[SeedShard], default: &str| catalog.seed(shards, &default.into(), &[]).await;
    assert!(matches!(seed(&four_shards(), "s9").await, Err(CatalogError::UnknownShard(_))));
    let twice = [four_shards(), four_shards()].concat();
    assert!(matches!(seed(&twice, "s0").await, Err(CatalogError::ShardExists(_))));
    assert!(matches!(seed(&[shard("s0", 0.0)], "s0").await, Err(CatalogError::Weight(_))));
    assert!(matches!(catalog.load(&HashMap::new()).await, Err(CatalogError::NotSeeded)));
    assert_eq!(seed(&four_shards(), "s0").await.expect("seeded"), Change::Changed);
    assert_eq!(seed(&[shard("other", 1.0)], "other").await.expect("ignored"), Change::Unchanged);
    let names: Vec<_> = load(&catalog).await.shards.iter().map(|shard| shard.name.to_string()).collect();
    assert_eq!(names, ["s0", "s1", "s2", "s3"]);
}

#[tokio::test]
async fn a_catalog_serves_one_database_and_no_newer_version() {
    let server = common::server();
    let catalog = open(&server).await;
    assert!(matches!(catalog.load(&HashMap::new()).await, Err(CatalogError::Sql(_))), "before there are tables");
    catalog.migrate().await.expect("a fresh catalog migrates");
    assert!(matches!(catalog.load(&HashMap::new()).await, Err(CatalogError::NotSeeded)));
    for (cluster, database) in [("other", "app"), ("test", "other")] {
        let foreign = Catalog::open(&server.connection_string("app"), cluster, database).await.expect("it answers");
        assert!(matches!(foreign.migrate().await, Err(CatalogError::Foreign { .. })), "{cluster} {database}");
    }
    let client = common::connect(&server.connection_string("app")).await;
    client.execute("INSERT INTO pgring.schema_migrations VALUES (99, 'later')", &[]).await.expect("inserted");
    assert!(matches!(catalog.migrate().await, Err(CatalogError::TooNew { found: 99, .. })));
    let nowhere = Catalog::open("host=127.0.0.1 port=1 user=nobody", "test", "app").await;
    assert!(matches!(nowhere, Err(CatalogError::Unreachable(_))));
    assert!(matches!(Catalog::open("host", "test", "app").await, Err(CatalogError::Connection(_))));
}

#[tokio::test]
async fn other_roles_cannot_read_or_write_the_catalog() {
    let server = common::server();
    seeded(&server).await;
    let client = common::connect(&server.connection_string("app")).await;
    client.batch_execute("CREATE ROLE client; SET ROLE client").await.expect("a role is made");
    for name in ["meta", "epoch", "shards", "replicas", "groups", "arcs", "ranges", "directory", "tables", "audit"] {
        for sql in [format!("SELECT FROM pgring.{name}"), format!("DELETE FROM pgring.{name}")] {
            let error = client.batch_execute(&sql).await.expect_err(&sql);
            assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{sql}");
        }
    }
}

#[tokio::test]
async fn a_sharded_table_gets_the_arcs_that_the_ring_proposes() {
    let server = common::server();
    let catalog = seeded(&server).await;
    let before = load(&catalog).await;
    catalog.alter_shard(&"s3".into(), &ShardChange::State(ShardState::Inactive)).await.expect("altered");
    catalog.alter_shard(&"s1".into(), &ShardChange::Weight(2.5)).await.expect("altered");
    assert_eq!(catalog.shard_table(&rule("orders", Some(KeyType::Int8))).await.expect("sharded"), Change::Changed);
    let topology = load(&catalog).await;
    let active = [("s0", 1.0), ("s1", 2.5), ("s2", 1.0)].map(|(name, weight)| (ShardName::from(name), weight));
    let group = topology.group(sharded(&topology, "orders").group).expect("its group");
    assert_eq!((group.name.as_str(), group.family), ("default_integer", KeyFamily::Integer));
    assert_eq!(group.placement, Placement::Hash { arcs: Ring::propose(&active), pinned: HashMap::new() });
    assert!(topology.tables_version > before.tables_version && topology.epoch > before.epoch);
    let active: Vec<_> = topology.active_shards().collect();
    assert_eq!(active, [0, 1, 2].map(ShardIndex));
    assert_eq!(topology.all_owners(sharded(&topology, "orders").group), active);
}

#[tokio::test]
async fn said_again_a_rule_changes_nothing() {
    let server = common::server();
    let catalog = seeded(&server).await;
    let say = async |rule: &ShardTable| catalog.shard_table(rule).await.expect("the rule fits");
    let orders = rule("orders", Some(KeyType::Int4));
    assert_eq!(say(&orders).await, Change::Changed);
    let version = load(&catalog).await.tables_version;
    assert_eq!(say(&orders).await, Change::Unchanged);
    assert_eq!(say(&in_group(orders.clone(), "default_integer", Strategy::Hash)).await, Change::Unchanged);
    assert_eq!(
        say(&ShardTable { state: TableState::Planned, key_type: None, ..orders.clone() }).await,
        Change::Unchanged
    );
    assert_eq!(load(&catalog).await.tables_version, version);
    assert_eq!(say(&ShardTable { allow_local_unique: true, ..orders.clone() }).await, Change::Changed);
    assert!(sharded(&load(&catalog).await, "orders").allow_local_unique);
    assert_eq!(say(&beside(rule("items", Some(KeyType::Int8)), "orders")).await, Change::Changed);
    assert_eq!(say(&beside(rule("items", Some(KeyType::Int8)), "orders")).await, Change::Unchanged);
    for other in [
        ShardTable { key: "id".into(), ..orders.clone() },
        in_group(orders.clone(), "elsewhere", Strategy::Hash),
        ShardTable { key_type: Some(KeyType::Int8), ..orders.clone() },
    ] {
        assert!(matches!(catalog.shard_table(&other).await, Err(CatalogError::OtherRule { .. })), "{other:?}");
    }
    assert!(load(&catalog).await.group_by_name("elsewhere").is_none(), "a refusal leaves nothing behind");
    let reference = catalog.reference_table(&table("orders"), TableState::Ready).await;
    assert!(matches!(reference, Err(CatalogError::OtherRule { .. })));
    assert_eq!(catalog.reference_table(&table("units"), TableState::Planned).await.expect("made"), Change::Changed);
    assert_eq!(catalog.reference_table(&table("units"), TableState::Planned).await.expect("made"), Change::Unchanged);
    assert_eq!(catalog.set_ready(&table("units"), None).await.expect("made"), Change::Changed);
    assert_eq!(catalog.set_ready(&table("units"), None).await.expect("made"), Change::Unchanged);
    assert!(matches!(catalog.shard_table(&rule("units", None)).await, Err(CatalogError::OtherRule { .. })));
}

#[tokio::test]
async fn groups_refuse_what_does_not_fit() {
    let server = common::server();
    let catalog = seeded(&server).await;
    let refused = async |rule: ShardTable| catalog.shard_table(&rule).await.expect_err("refused");
    let ok = async |rule: ShardTable| catalog.shard_table(&rule).await.expect("the rule fits");
    let strategy = |strategy, rule| ShardTable { strategy: Some(strategy), ..rule };
    let typed = |name| rule(name, Some(KeyType::Int8));
    let error = refused(strategy(Strategy::Range, typed("t"))).await;
    assert!(matches!(error, CatalogError::GroupNeeded(Strategy::Range)));
    assert!(matches!(refused(beside(typed("t"), "nothing")).await, CatalogError::UnknownTable(_)));
    catalog.reference_table(&table("units"), TableState::Ready).await.expect("made");
    assert!(matches!(refused(beside(typed("t"), "units")).await, CatalogError::NotSharded(_)));
    ok(in_group(typed("events"), "by_day", Strategy::Range)).await;
    let error = refused(in_group(typed("t"), "by_day", Strategy::Hash)).await;
    assert!(matches!(error, CatalogError::OtherStrategy { strategy: Strategy::Range, .. }));
    let error = refused(in_group(rule("t", Some(KeyType::Uuid)), "by_day", Strategy::Range)).await;
    assert!(matches!(error, CatalogError::OtherFamily { family: KeyFamily::Integer, .. }));
    ok(beside(rule("more_events", Some(KeyType::Int2)), "events")).await;
    ok(typed("orders")).await;
    ok(rule("names", Some(KeyType::Varchar))).await;
    let topology = load(&catalog).await;
    for (name, group) in [("more_events", "by_day"), ("orders", "default_integer"), ("names", "default_text")] {
        assert_eq!(group_name(&topology, name).as_deref(), Some(group));
    }
    for at in 0..4 {
        let inactive = ShardChange::State(ShardState::Inactive);
        catalog.alter_shard(&ShardName::new(format!("s{at}")), &inactive).await.expect("altered");
    }
    let error = refused(in_group(typed("t"), "ownerless", Strategy::Hash)).await;
    assert!(matches!(error, CatalogError::NoActiveShard));
}

#[tokio::test]
async fn a_planned_table_finds_its_group_when_its_type_is_known() {
    let server = common::server();
    let catalog = seeded(&server).await;
    for planned in [
        rule("customers", None),
        beside(rule("orders", None), "customers"),
        beside(rule("items", None), "orders"),
        rule("names", None),
        in_group(rule("events", None), "events", Strategy::Range),
    ] {
        catalog.shard_table(&planned).await.expect("planned");
    }
    let topology = load(&catalog).await;
    for name in ["customers", "orders", "items", "names"] {
        assert_eq!(sharded(&topology, name).group, ShardedTable::UNDECIDED);
        assert_eq!(topology.table(&table(name)).map(|table| table.state), Some(TableState::Planned));
    }
    assert_eq!(group_name(&topology, "events"), None, "it has no family yet");
    let ready = async |name, key_type| catalog.set_ready(&table(name), Some(key_type)).await;
    assert_eq!(ready("orders", KeyType::Int4).await.expect("ready"), Change::Changed);
    assert_eq!(ready("orders", KeyType::Int4).await.expect("ready"), Change::Unchanged);
    assert!(matches!(ready("customers", KeyType::Text).await, Err(CatalogError::OtherFamily { .. })));
    ready("customers", KeyType::Int8).await.expect("ready");
    ready("names", KeyType::Text).await.expect("ready");
    ready("events", KeyType::Int8).await.expect("ready");
    let topology = load(&catalog).await;
    for (name, group, key_type, state) in [
        ("customers", "default_integer", Some(KeyType::Int8), TableState::Ready),
        ("orders", "default_integer", Some(KeyType::Int4), TableState::Ready),
        ("items", "default_integer", None, TableState::Planned),
        ("names", "default_text", Some(KeyType::Text), TableState::Ready),
        ("events", "events", Some(KeyType::Int8), TableState::Ready),
    ] {
        assert_eq!(group_name(&topology, name).as_deref(), Some(group), "{name}");
        assert_eq!(sharded(&topology, name).key_type, key_type, "{name}");
        assert_eq!(topology.table(&table(name)).map(|table| table.state), Some(state), "{name}");
    }
    assert!(matches!(ready("nothing", KeyType::Int8).await, Err(CatalogError::UnknownTable(_))));
}

#[tokio::test]
async fn a_planned_rule_is_replaced_and_a_forgotten_one_takes_its_empty_group_along() {
    let server = common::server();
    let catalog = seeded(&server).await;
    catalog.shard_table(&in_group(rule("orders", None), "first", Strategy::Hash)).await.expect("planned");
    catalog
        .shard_table(&in_group(rule("orders", Some(KeyType::Uuid)), "second", Strategy::Hash))
        .await
        .expect("replaced");
    let topology = load(&catalog).await;
    assert_eq!((topology.group_by_name("first"), topology.groups.len()), (None, 2));
    let second = topology.group_by_name("second").expect("made");
    let names: Vec<_> = topology.tables_of(second).iter().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["public.orders"]);

    let renamed = TableName::new("archive", "orders");
    assert_eq!(catalog.rename_table(&table("orders"), &renamed).await.expect("renamed"), Change::Changed);
    assert_eq!(catalog.rename_table(&table("orders"), &renamed).await.expect("renamed"), Change::Unchanged);
    catalog.shard_table(&rule("other", Some(KeyType::Int8))).await.expect("sharded");
    let taken = catalog.rename_table(&renamed, &table("other")).await;
    assert!(matches!(taken, Err(CatalogError::OtherRule { .. })));

    assert_eq!(catalog.forget_table(&renamed).await.expect("forgotten"), Change::Changed);
    assert_eq!(catalog.forget_table(&renamed).await.expect("forgotten"), Change::Unchanged);
    let topology = load(&catalog).await;
    assert_eq!(topology.kind(&renamed), &TableKind::Local);
    assert!(topology.group(second).is_none(), "a group without tables is gone");
    catalog.shard_table(&rule("again", Some(KeyType::Uuid))).await.expect("sharded");
    assert!(load(&catalog).await.group(second).is_none(), "and its place stays empty");
}

#[tokio::test]
async fn ranges_and_keys_have_one_owner_each() {
    let server = common::server();
    let catalog = seeded(&server).await;
    let text = |text: &str| KeyValue::Text(text.into());
    let key = |value| Bound::Key(text(value));
    catalog
        .shard_table(&in_group(rule("books", Some(KeyType::Text)), "by_title", Strategy::Range))
        .await
        .expect("made");
    let add = async |from, to, shard: &str| catalog.add_range(&table("books"), &from, &to, &shard.into()).await;
    assert_eq!(add(Bound::Min, key("m"), "s1").await.expect("added"), Change::Changed);
    assert_eq!(add(key("m"), Bound::Max, "s2").await.expect("added"), Change::Changed);
    assert_eq!(add(key("m"), Bound::Max, "s2").await.expect("added"), Change::Unchanged);
    assert!(matches!(add(key("l"), key("n"), "s2").await, Err(CatalogError::Range { .. })));
    assert!(matches!(add(key("m"), key("m"), "s2").await, Err(CatalogError::Range { .. })));
    assert!(matches!(add(Bound::Max, Bound::Min, "s2").await, Err(CatalogError::Range { .. })));
    assert!(matches!(
        add(Bound::Key(KeyValue::Integer(1)), Bound::Max, "s2").await,
        Err(CatalogError::OtherFamily { .. })
    ));
    assert!(matches!(add(key("x"), key("y"), "s9").await, Err(CatalogError::UnknownShard(_))));

    catalog
        .shard_table(&in_group(rule("tenants", Some(KeyType::Text)), "listed", Strategy::Directory))
        .await
        .expect("made");
    catalog.shard_table(&rule("notes", Some(KeyType::Text))).await.expect("made");
    let assign =
        async |name, value: &str, shard: &str| catalog.assign_key(&table(name), &text(value), &shard.into()).await;
    for name in ["tenants", "notes"] {
        assert_eq!(assign(name, "acme", "s3").await.expect("assigned"), Change::Changed);
        assert_eq!(assign(name, "acme", "s3").await.expect("assigned"), Change::Unchanged);
        assert!(matches!(assign(name, "acme", "s1").await, Err(CatalogError::KeyAssigned(_))));
    }
    assert!(matches!(assign("books", "acme", "s1").await, Err(CatalogError::OtherStrategy { .. })));
    assert!(matches!(assign("nothing", "acme", "s1").await, Err(CatalogError::UnknownTable(_))));

    let topology = load(&catalog).await;
    let owner = |name, value| topology.owner(sharded(&topology, name).group, &text(value));
    assert_eq!((owner("books", "a"), owner("books", "m")), (Some(ShardIndex(1)), Some(ShardIndex(2))));
    assert_eq!((owner("tenants", "acme"), owner("tenants", "b")), (Some(ShardIndex(3)), Some(ShardIndex(0))));
    assert_eq!(owner("notes", "acme"), Some(ShardIndex(3)));
}

#[tokio::test]
async fn shards_come_change_and_go_only_when_they_own_nothing() {
    let server = common::server();
    let catalog = seeded(&server).await;
    catalog.shard_table(&rule("orders", Some(KeyType::Int8))).await.expect("sharded");
    let replica =
        SeedReplica { name: "s4r1".into(), connection: connection("host=r"), weight: 1.0, zone: Some("b".to_owned()) };
    let new = SeedShard { replicas: vec![replica], ..shard("s4", 1.0) };
    let before = load(&catalog).await;
    assert_eq!(catalog.add_shard(&new).await.expect("added"), Change::Changed);
    assert_eq!(catalog.add_shard(&new).await.expect("added"), Change::Unchanged);
    let other = SeedShard { connection: connection("host=elsewhere"), ..new.clone() };
    assert!(matches!(catalog.add_shard(&other).await, Err(CatalogError::ShardExists(_))));
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(catalog.add_shard(&shard("s5", weight)).await, Err(CatalogError::Weight(_))));
    }
    let overrides = HashMap::from([
        (ShardName::from("s0"), connection("host=override")),
        (ShardName::from("s4r1"), connection("host=other-override")),
    ]);
    let topology = catalog.load(&overrides).await.expect("loads");
    assert!(topology.epoch > before.epoch);
    assert_eq!(topology.shards[0].connection, connection("host=override"));
    assert_eq!(topology.shards[4].connection, connection("host=s4"));
    assert_eq!(topology.shards[4].replicas[0].connection, connection("host=other-override"));
    let group = sharded(&topology, "orders").group;
    assert_eq!(topology.all_owners(group), [0, 1, 2, 3].map(ShardIndex), "a new shard owns nothing");

    let s4 = ShardName::from("s4");
    let alter = async |change| catalog.alter_shard(&s4, &change).await.expect("altered");
    for change in [
        ShardChange::Weight(3.0),
        ShardChange::ReadOnly(true),
        ShardChange::State(ShardState::Draining),
        ShardChange::Connection(connection("host=moved")),
    ] {
        assert_eq!(alter(change.clone()).await, Change::Changed, "{change:?}");
        assert_eq!(alter(change.clone()).await, Change::Unchanged, "{change:?}");
    }
    let topology = load(&catalog).await;
    let s4_now = topology.shard(topology.shard_by_name("s4").expect("there"));
    assert_eq!((s4_now.weight, s4_now.read_only, s4_now.state), (3.0, true, ShardState::Draining));
    assert_eq!(s4_now.connection, connection("host=moved"));

    assert!(matches!(catalog.drop_shard(&"s1".into()).await, Err(CatalogError::ShardOwns { what: "arcs", .. })));
    assert_eq!(catalog.drop_shard(&s4).await.expect("dropped"), Change::Changed);
    assert!(matches!(catalog.drop_shard(&s4).await, Err(CatalogError::UnknownShard(_))));
    catalog.forget_table(&table("orders")).await.expect("forgotten");
    assert!(matches!(
        catalog.drop_shard(&"s0".into()).await,
        Err(CatalogError::ShardOwns { what: "local tables", .. })
    ));
    catalog.drop_shard(&"s1".into()).await.expect("it owns nothing any more");
    catalog.shard_table(&rule("orders", Some(KeyType::Int8))).await.expect("sharded");
    let topology = load(&catalog).await;
    assert_eq!(topology.shards.len(), 3);
    assert_eq!(topology.all_owners(sharded(&topology, "orders").group), [0, 1, 2].map(ShardIndex));
}

#[tokio::test]
async fn a_map_with_a_gap_is_not_loaded() {
    let server = common::server();
    let catalog = seeded(&server).await;
    catalog.shard_table(&rule("orders", Some(KeyType::Int8))).await.expect("sharded");
    let client = common::connect(&server.connection_string("app")).await;
    const HOLE: &str = "DELETE FROM pgring.arcs WHERE arc_start = (SELECT max(arc_start) FROM pgring.arcs)";
    assert_eq!(client.execute(HOLE, &[]).await.expect("deleted"), 1);
    let error = catalog.load(&HashMap::new()).await.expect_err("damaged");
    assert!(matches!(error, CatalogError::DamagedMap { group, .. } if group == GroupName::from("default_integer")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_given_at_once_come_one_after_the_other() {
    let server = common::server();
    let catalog = seeded(&server).await;
    let version = load(&catalog).await.tables_version;
    let says: Vec<_> = (0..12)
        .map(|at| {
            let (catalog, rule) = (catalog.clone(), rule(&format!("t{}", at % 6), Some(KeyType::Int8)));
            tokio::spawn(async move { catalog.shard_table(&rule).await })
        })
        .collect();
    let mut changed = 0;
    for say in says {
        changed += u64::from(say.await.expect("no panic").expect("said") == Change::Changed);
    }
    let topology = load(&catalog).await;
    assert_eq!((changed, topology.tables_version), (6, version + 6));
    assert_eq!(topology.groups.iter().flatten().count(), 1, "all of them share one group");
}

#[tokio::test]
async fn the_audit_keeps_who_said_what() {
    let server = common::server();
    let catalog = seeded(&server).await;
    catalog.audit("ada", "SHARD TABLE t BY (k)", "changed").await.expect("written");
    let client = common::connect(&server.connection_string("app")).await;
    const LAST: &str = "SELECT username, command, result FROM pgring.audit";
    let row = client.query_one(LAST, &[]).await.expect("one row");
    assert_eq!([row.get::<_, &str>(0), row.get(1), row.get(2)], ["ada", "SHARD TABLE t BY (k)", "changed"]);
}

/// The next event that is about the topology; other events are told to `others`.
async fn next_topology(events: &mut mpsc::Receiver<Heard>, others: &mut Vec<Heard>) -> (Epoch, u64) {
    loop {
        match timeout(Duration::from_secs(20), events.recv()).await.expect("heard in time").expect("the watch goes on")
        {
            Heard::Topology { epoch, tables_version } => return (epoch, tables_version),
            other => others.push(other),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_hears_changes_and_outlives_the_catalog() {
    let mut server = common::server();
    let catalog = seeded(&server).await;
    let (sender, mut events) = mpsc::channel(16);
    let watch = tokio::spawn(catalog.clone().watch(sender));
    let mut others = Vec::new();
    let first = next_topology(&mut events, &mut others).await;
    let at_start = load(&catalog).await;
    assert_eq!(first, (at_start.epoch, at_start.tables_version));

    catalog.shard_table(&rule("orders", Some(KeyType::Int8))).await.expect("sharded");
    assert_eq!(next_topology(&mut events, &mut others).await, (first.0, first.1 + 1));
    assert_eq!(others, [Heard::Schema], "after connecting");
    others.clear();
    catalog.notify_schema().await.expect("told");
    catalog.shard_table(&rule("lines", Some(KeyType::Int8))).await.expect("sharded");
    assert_eq!(next_topology(&mut events, &mut others).await, (first.0, first.1 + 2));
    assert_eq!(others, [], "its own word is no news");
    let another = open(&server).await;
    another.notify_schema().await.expect("told");
    let heard = timeout(Duration::from_secs(20), events.recv()).await.expect("heard in time");
    assert_eq!(heard, Some(Heard::Schema));

    server.stop(Stop::Immediate);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!watch.is_finished());
    server.restart().expect("the server starts again");
    others.clear();
    assert_eq!(next_topology(&mut events, &mut others).await, (first.0, first.1 + 2), "told after each reconnect");
    assert_eq!(others, [Heard::Schema]);
    assert_eq!(load(&catalog).await.tables_version, first.1 + 2, "the pool has come back too");

    // A change without a NOTIFY is found by asking.
    let client = common::connect(&server.connection_string("app")).await;
    client.execute("UPDATE pgring.epoch SET epoch = epoch + 1", &[]).await.expect("updated");
    let found = next_topology(&mut events, &mut others).await;
    assert_eq!(found, (Epoch(first.0.0 + 1), first.1 + 2));
    drop(events);
    timeout(Duration::from_secs(20), watch).await.expect("it ends with its receiver").expect("no panic");
}

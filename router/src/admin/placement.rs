//! Placement: commands that say where rows belong. In: a database and a command. Out: a rule in the catalog that this
//! router serves before it answers. Never: moves a row: what is not empty is refused.

use super::{
    fault::{catalog_report, not_built, unknown},
    parse::{Colocation, KeyLiteral, RangeBound, ShardChange, Strategy, TableRef},
    run::Outcome,
    survey::{ForeignKey, KeyColumn, Server, quoted},
};
use crate::{
    cluster::{Cluster, Database, Snapshot},
    error::{Report, catalogue},
    keeper,
};
use pgring_config::{
    arcs::hash_expression,
    catalog::{
        Catalog, Change, shards,
        tables::{GroupChoice, ShardTable},
    },
    error::CatalogError,
    ids::{GroupName, ShardIndex, ShardName},
    key::{KeyFamily, KeyType, KeyValue},
    tables::{self, TableKind, TableName, TableState},
    topology::{Bound, Placement, ShardState, Topology},
};
use pgring_protocol::quote;
use std::sync::Arc;

/// What SHARD TABLE says besides the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// Key column.
    pub(super) key: &'a str,
    /// USING
    pub(super) strategy: Option<Strategy>,
    /// COLOCATE WITH, IN GROUP
    pub(super) colocation: &'a Option<Colocation>,
    /// ALLOW LOCAL UNIQUE
    pub(super) local_unique: bool,
}

/// SHARD TABLE
pub(super) async fn shard(
    cluster: &Arc<Cluster>,
    database: &Arc<Database>,
    table: &TableRef,
    wish: &Wish<'_>,
    dry_run: bool,
) -> Result<Outcome, Report> {
    let catalog = catalog(database)?;
    let table = table_name(table);
    let snapshot = fresh(cluster, database).await?;
    let mut rule = ShardTable {
        table: table.clone(),
        key: wish.key.into(),
        key_type: None,
        strategy: wish.strategy.map(strategy),
        group: group_choice(wish.colocation),
        allow_local_unique: wish.local_unique,
        state: TableState::Planned,
    };
    if let Some(known) = snapshot.topology.table(&table).filter(|known| known.state != TableState::Planned) {
        if let TableKind::Sharded(sharded) = &known.kind {
            rule.key_type = sharded.key_type;
        }
        rule.state = known.state;
        return if dry_run { Ok(Outcome::would("The table has a rule already.")) } else { write(catalog, &rule).await };
    }
    let Some(held) = Held::take(database, &snapshot, &table).await? else {
        if dry_run {
            return Ok(Outcome::would("The rule would wait for CREATE TABLE."));
        }
        return finish(cluster, database, catalog.shard_table(&rule).await, Outcome::planned()).await;
    };
    let family = judge(&held, &snapshot.topology, wish, &rule).await?;
    held.must_be_empty("SHARD TABLE")?;
    if dry_run {
        return Ok(Outcome::would(format!("{table} is empty and would be sharded by {}.", wish.key)));
    }
    rule.key_type = Some(family);
    rule.state = TableState::Ready;
    let outcome = finish(cluster, database, catalog.shard_table(&rule).await, Outcome::done()).await?;
    held.release().await?;
    Ok(outcome)
}

/// REFERENCE TABLE
pub(super) async fn reference(
    cluster: &Arc<Cluster>,
    database: &Arc<Database>,
    table: &TableRef,
    dry_run: bool,
) -> Result<Outcome, Report> {
    let catalog = catalog(database)?;
    let table = table_name(table);
    let snapshot = fresh(cluster, database).await?;
    if snapshot.topology.table(&table).is_some_and(|known| known.state != TableState::Planned) {
        if dry_run {
            return Ok(Outcome::would("The table has a rule already."));
        }
        let said = catalog.reference_table(&table, TableState::Ready).await;
        return said.map(Outcome::from).map_err(|error| catalog_report(&error));
    }
    let Some(held) = Held::take(database, &snapshot, &table).await? else {
        if dry_run {
            return Ok(Outcome::would("The rule would wait for CREATE TABLE."));
        }
        let said = catalog.reference_table(&table, TableState::Planned).await;
        return finish(cluster, database, said, Outcome::planned()).await;
    };
    for key in held.first().foreign_keys(held.oid).await? {
        let fits = !key.outgoing || key.other == table || *snapshot.topology.kind(&key.other) == TableKind::Reference;
        if !fits {
            return Err(wrong_foreign_key(&key, "A reference table refers to reference tables only."));
        }
    }
    held.must_be_empty("REFERENCE TABLE")?;
    if dry_run {
        return Ok(Outcome::would(format!("{table} is empty and would be a reference table.")));
    }
    let said = catalog.reference_table(&table, TableState::Ready).await;
    let outcome = finish(cluster, database, said, Outcome::done()).await?;
    held.release().await?;
    Ok(outcome)
}

/// UNSHARD TABLE
pub(super) async fn unshard(
    cluster: &Arc<Cluster>,
    database: &Arc<Database>,
    table: &TableRef,
    onto: Option<&str>,
    dry_run: bool,
) -> Result<Outcome, Report> {
    let catalog = catalog(database)?;
    let table = table_name(table);
    let snapshot = fresh(cluster, database).await?;
    let topology = &snapshot.topology;
    let home = &topology.shard(topology.default_shard).name;
    if let Some(name) = onto {
        shard_index(topology, name)?;
        if name != home.as_str() {
            return Err(not_built("a local table on another shard than the default one", "Leave ON SHARD out."));
        }
    }
    let Some(known) = topology.table(&table) else {
        return match Held::exists(database, &snapshot, &table).await? {
            true => Ok(Outcome::unchanged().hint("The table is local.")),
            false => Err(no_table(&table)),
        };
    };
    let held = if known.state == TableState::Planned { None } else { Held::take(database, &snapshot, &table).await? };
    if let Some(held) = &held {
        for key in held.first().foreign_keys(held.oid).await? {
            let other = topology.kind(&key.other);
            let sharded = matches!(other, TableKind::Sharded(_)) || (!key.outgoing && *other == TableKind::Reference);
            if sharded && key.other != table {
                return Err(wrong_foreign_key(&key, "UNSHARD the tables that refer to it first, or drop the key."));
            }
        }
        held.must_be_empty("UNSHARD TABLE")?;
    }
    if dry_run {
        return Ok(Outcome::would(format!("{table} would be a local table on shard {home}.")));
    }
    let outcome = finish(cluster, database, catalog.forget_table(&table).await, Outcome::done()).await?;
    if let Some(held) = held {
        held.release().await?;
    }
    Ok(outcome)
}

/// ADD RANGE
pub(super) async fn add_range(
    cluster: &Arc<Cluster>,
    database: &Arc<Database>,
    (from, to): (&RangeBound, &RangeBound),
    shard: &str,
    table: &TableRef,
    dry_run: bool,
) -> Result<Outcome, Report> {
    let catalog = catalog(database)?;
    let table = table_name(table);
    let snapshot = fresh(cluster, database).await?;
    let key_type = key_type(&snapshot.topology, &table)?;
    let bound = |bound: &RangeBound| match bound {
        RangeBound::MinValue => Ok(Bound::Min),
        RangeBound::MaxValue => Ok(Bound::Max),
        RangeBound::Key(literal) => key_value(key_type, literal).map(Bound::Key),
    };
    let (from, to) = (bound(from)?, bound(to)?);
    shard_index(&snapshot.topology, shard)?;
    if dry_run {
        return Ok(Outcome::would(format!("The range would belong to shard {shard}.")));
    }
    let said = catalog.add_range(&table, &from, &to, &ShardName::new(shard)).await;
    finish(cluster, database, said, Outcome::done()).await
}

/// ASSIGN KEY
pub(super) async fn assign_key(
    cluster: &Arc<Cluster>,
    database: &Arc<Database>,
    key: &KeyLiteral,
    shard: &str,
    table: &TableRef,
    dry_run: bool,
) -> Result<Outcome, Report> {
    let catalog = catalog(database)?;
    let table = table_name(table);
    let snapshot = fresh(cluster, database).await?;
    let key = key_value(key_type(&snapshot.topology, &table)?, key)?;
    let to = shard_index(&snapshot.topology, shard)?;
    let watched = match owner(&snapshot.topology, &table, &key) {
        Some(from) if from != to => Some(watch_key(database, &snapshot, &table, &key, from).await?),
        _ => None,
    };
    if dry_run {
        return Ok(Outcome::would(format!("The key would belong to shard {shard}.")));
    }
    let said = catalog.assign_key(&table, &key, &ShardName::new(shard)).await;
    let outcome = finish(cluster, database, said, Outcome::done()).await?;
    if let Some(server) = watched {
        server.let_go().await?;
    }
    Ok(outcome)
}

/// ALTER SHARD, but for its connection.
pub(super) async fn alter_shard(
    cluster: &Arc<Cluster>,
    database: &Arc<Database>,
    shard: &str,
    change: &ShardChange,
    dry_run: bool,
) -> Result<Outcome, Report> {
    let catalog = catalog(database)?;
    let (change, hint) = match change {
        ShardChange::Weight(weight) => {
            (shards::ShardChange::Weight(*weight), Some("REBALANCE moves rows to where weights ask for them."))
        }
        ShardChange::ReadOnly(read_only) => (shards::ShardChange::ReadOnly(*read_only), None),
        ShardChange::Active(true) => (shards::ShardChange::State(ShardState::Active), None),
        ShardChange::Active(false) => {
            (shards::ShardChange::State(ShardState::Inactive), Some("Groups that are made from now on leave it out."))
        }
        ShardChange::Connection(connection) => {
            (shards::ShardChange::Connection(pgring_config::topology::Connection(connection.as_str().into())), None)
        }
    };
    shard_index(&database.snapshot().topology, shard)?;
    if dry_run {
        return Ok(Outcome::would(format!("Shard {shard} would be changed.")));
    }
    let said = catalog.alter_shard(&ShardName::new(shard), &change).await;
    let outcome = finish(cluster, database, said, Outcome::done()).await?;
    Ok(match hint {
        Some(hint) if outcome == Outcome::done() => outcome.hint(hint),
        _ => outcome,
    })
}

/// A table on every server, locked until [`Held::release`] or until this goes.
struct Held {
    servers: Vec<Server>,
    empty: Vec<bool>,
    shards: Vec<String>,
    /// OID on the default shard.
    oid: u32,
    table: TableName,
}

impl Held {
    /// Takes hold of a table on every shard; None: no shard has it.
    async fn take(database: &Database, snapshot: &Snapshot, table: &TableName) -> Result<Option<Self>, Report> {
        let mut held =
            Self { servers: Vec::new(), empty: Vec::new(), shards: Vec::new(), oid: 0, table: table.clone() };
        let mut lacking = Vec::new();
        for (at, shard) in in_order(&snapshot.topology) {
            let server = Server::connect(database, &snapshot.topology.shards[at]).await?;
            match server.table(table).await? {
                Some(oid) if held.servers.is_empty() => held.oid = oid,
                Some(_) => {}
                None => {
                    lacking.push(shard);
                    continue;
                }
            }
            held.servers.push(server);
            held.shards.push(shard);
        }
        match (held.servers.is_empty(), lacking.first()) {
            (true, _) => return Ok(None),
            (false, Some(lacking)) => {
                let message = format!("shard \"{lacking}\" has no table {table}");
                return Err(Report::with(catalogue::WRONG_STATE, message)
                    .detail(format!("shard \"{}\" has one", held.shards.join("\", \"")))
                    .hint("Make it there as it is elsewhere, or drop it everywhere first."));
            }
            (false, None) => {}
        }
        for server in &held.servers {
            held.empty.push(server.hold_and_look(table).await?);
        }
        Ok(Some(held))
    }

    /// The default shard has the table.
    async fn exists(database: &Database, snapshot: &Snapshot, table: &TableName) -> Result<bool, Report> {
        let shard = snapshot.topology.shard(snapshot.topology.default_shard);
        Ok(Server::connect(database, shard).await?.table(table).await?.is_some())
    }

    /// The default shard.
    fn first(&self) -> &Server {
        &self.servers[0]
    }

    fn must_be_empty(&self, command: &str) -> Result<(), Report> {
        let Some((shard, _)) = self.shards.iter().zip(&self.empty).find(|(_, empty)| !**empty) else { return Ok(()) };
        Err(Report::with(
            catalogue::NOT_EMPTY,
            format!("{} has rows, and moving rows is not supported yet", self.table),
        )
        .detail(format!("there are rows on shard \"{shard}\""))
        .hint(format!("{command} works on an empty table, or before CREATE TABLE.")))
    }

    async fn release(self) -> Result<(), Report> {
        for server in &self.servers {
            server.let_go().await?;
        }
        Ok(())
    }
}

/// The shards, the default one first.
fn in_order(topology: &Topology) -> Vec<(usize, String)> {
    let default = usize::from(topology.default_shard.0);
    let mut all: Vec<_> = topology.shards.iter().map(|shard| shard.name.to_string()).enumerate().collect();
    all.sort_by_key(|(at, _)| (*at != default, *at));
    all
}

/// Whether the table can be sharded so; the type of its key.
async fn judge(held: &Held, topology: &Topology, wish: &Wish<'_>, rule: &ShardTable) -> Result<KeyType, Report> {
    let table = &held.table;
    let server = held.first();
    let column = server.key_column(held.oid, wish.key).await?.ok_or_else(|| {
        Report::with(catalogue::UNKNOWN_COLUMN, format!("column \"{}\" of table {table} does not exist", wish.key))
    })?;
    let key_type = key_type_of(&column)?;
    if key_type.family() == KeyFamily::Text {
        for server in &held.servers {
            let encoding = server.encoding().await?;
            if encoding != "UTF8" {
                return Err(Report::with(catalogue::KEY_TYPE, format!("a text key needs UTF8, not {encoding}")));
            }
        }
    }
    if let Some(index) = column.unique_without.as_ref().filter(|_| !wish.local_unique) {
        return Err(Report::with(
            catalogue::UNIQUE_WITHOUT_KEY,
            format!("unique index {index} of {table} does not contain the shard key \"{}\"", wish.key),
        )
        .hint("Add the shard key to it, or say ALLOW LOCAL UNIQUE: it then holds on each shard only."));
    }
    let group = group_name(topology, rule, key_type);
    for key in server.foreign_keys(held.oid).await? {
        foreign_key_fits(&key, topology, wish.key, group.as_ref(), table)?;
    }
    Ok(key_type)
}

fn key_type_of(column: &KeyColumn) -> Result<KeyType, Report> {
    let key_type = KeyType::from_type_name(&column.type_name).ok_or_else(|| {
        Report::with(catalogue::KEY_TYPE, format!("type {} cannot be a shard key", column.type_name))
            .hint("A shard key is a smallint, integer, bigint, text, varchar, char or uuid.")
    })?;
    if !column.deterministic {
        return Err(Report::with(catalogue::KEY_TYPE, "a shard key needs a deterministic collation"));
    }
    Ok(key_type)
}

/// The group that the table will join; None: one that does not exist.
fn group_name(topology: &Topology, rule: &ShardTable, key_type: KeyType) -> Option<GroupName> {
    match &rule.group {
        GroupChoice::Default => Some(GroupName::new(format!("default_{}", key_type.family()))),
        GroupChoice::InGroup(name) => Some(name.clone()),
        GroupChoice::ColocateWith(other) => match topology.kind(other) {
            TableKind::Sharded(sharded) => topology.group(sharded.group).map(|group| group.name.clone()),
            _ => None,
        },
    }
}

/// A foreign key holds on each shard by itself when the rows at both ends are on one shard.
fn foreign_key_fits(
    key: &ForeignKey,
    topology: &Topology,
    column: &str,
    group: Option<&GroupName>,
    table: &TableName,
) -> Result<(), Report> {
    let colocated = |other: &str| key.columns.iter().any(|(here, there)| here == column && there == other);
    if key.other == *table {
        return match colocated(column) {
            true => Ok(()),
            false => Err(wrong_foreign_key(key, "The key must pair the shard key with itself.")),
        };
    }
    match topology.kind(&key.other) {
        TableKind::Reference if key.outgoing => Ok(()),
        TableKind::Reference => Err(wrong_foreign_key(key, "A reference table cannot refer to a sharded table.")),
        TableKind::Sharded(other) => {
            let same = topology.group(other.group).is_some_and(|known| Some(&known.name) == group);
            match same && colocated(&other.key) {
                true => Ok(()),
                false => Err(wrong_foreign_key(
                    key,
                    "Both tables must be in one group, and the key must pair their shard keys.",
                )),
            }
        }
        TableKind::Local if key.outgoing => {
            Err(wrong_foreign_key(key, "SHARD TABLE or REFERENCE TABLE the table that it refers to first."))
        }
        // Rows of a local table can only refer to rows beside them.
        TableKind::Local => Ok(()),
    }
}

fn wrong_foreign_key(key: &ForeignKey, hint: &str) -> Report {
    let (verb, other) = (if key.outgoing { "refers to" } else { "comes from" }, &key.other);
    let message = format!("foreign key \"{}\" {verb} {other} and could not be checked on one shard", key.name);
    Report::with(catalogue::SCHEMA_CHANGE, message).hint(hint)
}

/// Makes sure that no row of a key (or of its token) is on its owner, and keeps writers away until it is let go.
async fn watch_key(
    database: &Database,
    snapshot: &Snapshot,
    table: &TableName,
    key: &KeyValue,
    from: ShardIndex,
) -> Result<Server, Report> {
    let topology = &snapshot.topology;
    let TableKind::Sharded(sharded) = topology.kind(table) else { return Err(not_sharded(table)) };
    let server = Server::connect(database, topology.shard(from)).await?;
    server.client.batch_execute("BEGIN").await.map_err(|error| server.failed(&error))?;
    for known in topology.tables_of(sharded.group) {
        let TableKind::Sharded(rule) = &known.kind else { continue };
        if known.state == TableState::Planned {
            continue;
        }
        let name = quoted(&known.name);
        let hash = hash_expression(key.family(), &quote::identifier(&rule.key));
        let lock = format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE");
        server.client.batch_execute(&lock).await.map_err(|error| server.failed(&error))?;
        let look = format!("SELECT EXISTS (SELECT FROM {name} WHERE {hash} = $1)");
        let row = server.client.query_one(&look, &[&key.token().0]).await.map_err(|error| server.failed(&error))?;
        if row.get(0) {
            let shard = &topology.shard(from).name;
            return Err(Report::with(
                catalogue::NOT_EMPTY,
                format!("key {key} has rows in {} on shard {shard}", known.name),
            )
            .hint("MOVE KEY will move them once it is built; ASSIGN KEY is for keys without rows."));
        }
    }
    Ok(server)
}

fn owner(topology: &Topology, table: &TableName, key: &KeyValue) -> Option<ShardIndex> {
    let TableKind::Sharded(sharded) = topology.kind(table) else { return None };
    match &topology.group(sharded.group)?.placement {
        Placement::Range(_) => None,
        placement => placement.owner(key),
    }
}

/// Writes a rule where nothing has to be looked at.
async fn write(catalog: &Catalog, rule: &ShardTable) -> Result<Outcome, Report> {
    catalog.shard_table(rule).await.map(Outcome::from).map_err(|error| catalog_report(&error))
}

/// After a change of the catalog this router serves it before it answers.
async fn finish(
    cluster: &Arc<Cluster>,
    database: &Arc<Database>,
    said: Result<Change, CatalogError>,
    done: Outcome,
) -> Result<Outcome, Report> {
    match said.map_err(|error| catalog_report(&error))? {
        Change::Unchanged => Ok(Outcome::unchanged()),
        Change::Changed => {
            keeper::refresh_topology(database, cluster).await.map_err(unserved)?;
            Ok(done)
        }
    }
}

/// What the catalog says now, and not what this router has heard of it.
async fn fresh(cluster: &Arc<Cluster>, database: &Arc<Database>) -> Result<Arc<Snapshot>, Report> {
    keeper::refresh_topology(database, cluster).await.map_err(unserved)?;
    Ok(database.snapshot().clone())
}

fn unserved(error: impl std::fmt::Display) -> Report {
    Report::new(catalogue::CATALOG_UNAVAILABLE).detail(error.to_string())
}

fn catalog(database: &Database) -> Result<&Catalog, Report> {
    database
        .catalog
        .as_ref()
        .ok_or_else(|| Report::with(catalogue::WRONG_STATE, format!("database \"{}\" has no shards", database.name)))
}

pub(super) fn table_name(table: &TableRef) -> TableName {
    TableName::new(table.schema.as_deref().unwrap_or("public"), table.name.as_str())
}

fn strategy(strategy: Strategy) -> tables::Strategy {
    match strategy {
        Strategy::Hash => tables::Strategy::Hash,
        Strategy::Range => tables::Strategy::Range,
        Strategy::Directory => tables::Strategy::Directory,
    }
}

fn group_choice(colocation: &Option<Colocation>) -> GroupChoice {
    match colocation {
        None => GroupChoice::Default,
        Some(Colocation::With(table)) => GroupChoice::ColocateWith(table_name(table)),
        Some(Colocation::Group(name)) => GroupChoice::InGroup(GroupName::new(name.as_str())),
    }
}

fn shard_index(topology: &Topology, name: &str) -> Result<ShardIndex, Report> {
    topology.shard_by_name(name).ok_or_else(|| unknown("shard", name, "SHOW SHARDS lists the shards."))
}

fn no_table(table: &TableName) -> Report {
    Report::with(catalogue::UNKNOWN_TABLE, format!("relation \"{table}\" does not exist"))
}

fn not_sharded(table: &TableName) -> Report {
    Report::with(catalogue::WRONG_STATE, format!("table {table} is not sharded")).hint("SHARD TABLE shards it.")
}

fn key_type(topology: &Topology, table: &TableName) -> Result<KeyType, Report> {
    let TableKind::Sharded(sharded) = topology.kind(table) else { return Err(not_sharded(table)) };
    sharded.key_type.ok_or_else(|| {
        Report::with(catalogue::WRONG_STATE, format!("the key type of {table} is not known yet"))
            .hint("Make the table first: CREATE TABLE.")
    })
}

fn key_value(key_type: KeyType, literal: &KeyLiteral) -> Result<KeyValue, Report> {
    let (KeyLiteral::Number(text) | KeyLiteral::Text(text)) = literal;
    key_type.parse_text(text).map_err(|error| {
        let report = Report::with(catalogue::INVALID_KEY, format!("\"{text}\" is no key of type {key_type}: {error}"));
        match error.sqlstate() {
            Some(code) => report.sqlstate(code),
            None => report,
        }
    })
}

//! Load: the catalog as one immutable snapshot. In: the catalog's tables at one moment. Out: a [`Topology`] whose
//! maps are whole. Never: half of a change, a map with a gap.

use super::{
    Catalog,
    groups::{read_bounds, read_key},
};
use crate::{
    error::CatalogError,
    ids::{Epoch, GroupIndex, GroupName, ServerName, ShardIndex, ShardName, Token},
    key::{KeyFamily, KeyType},
    tables::{ShardedTable, Strategy, Table, TableKind, TableName, TableState},
    topology::{Connection, Group, OwnedArc, OwnedRange, Placement, Replica, Shard, ShardState, Topology},
};
use std::collections::HashMap;
use tokio_postgres::{IsolationLevel, Row, Transaction};

/// Places of the shards in the snapshot, by their numbers in the catalog.
type Places = HashMap<i32, ShardIndex>;

impl Catalog {
    /// The topology as the catalog has it now. `overrides` has connections that the configuration gives for a
    /// shard's or a replica's name; they go before the catalog's.
    ///
    /// # Errors
    /// [`CatalogError::NotSeeded`] before there are shards, [`CatalogError::Damaged`] and
    /// [`CatalogError::DamagedMap`] when what stands there cannot be served.
    pub async fn load(&self, overrides: &HashMap<ShardName, Connection>) -> Result<Topology, CatalogError> {
        let mut client = self.client().await?;
        let transaction =
            client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
        const EPOCH: &str = "SELECT epoch, tables_version, default_shard, next_group FROM pgring.epoch";
        let version = transaction.query_one(EPOCH, &[]).await?;
        let (shards, places) = shards(&transaction, overrides).await?;
        let default_shard = version.get::<_, Option<i32>>(2).ok_or(CatalogError::NotSeeded)?;
        let topology = Topology {
            epoch: Epoch(version.get::<_, i64>(0) as u64),
            tables_version: version.get::<_, i64>(1) as u64,
            default_shard: place(&places, default_shard)?,
            groups: groups(&transaction, &places, version.get(3)).await?,
            tables: tables(&transaction).await?,
            shards,
        };
        transaction.commit().await?;
        Ok(topology)
    }
}

async fn shards(
    transaction: &Transaction<'_>,
    overrides: &HashMap<ShardName, Connection>,
) -> Result<(Vec<Shard>, Places), CatalogError> {
    let connection = |name: &str, stored: &str| {
        overrides.get(&ShardName::from(name)).cloned().unwrap_or_else(|| Connection(stored.into()))
    };
    const SHARDS: &str =
        "SELECT number, name, weight, zone, state, read_only, connection FROM pgring.shards ORDER BY number";
    let (mut shards, mut places) = (Vec::new(), Places::new());
    for row in transaction.query(SHARDS, &[]).await? {
        let (name, state): (&str, &str) = (row.get(1), row.get(4));
        places.insert(row.get(0), ShardIndex(shards.len() as u16));
        shards.push(Shard {
            name: name.into(),
            weight: row.get(2),
            zone: row.get(3),
            state: ShardState::from_word(state).ok_or_else(|| damaged("state", state))?,
            read_only: row.get(5),
            connection: connection(name, row.get(6)),
            replicas: Vec::new(),
        });
    }
    const REPLICAS: &str = "SELECT shard, name, weight, zone, connection FROM pgring.replicas ORDER BY name";
    for row in transaction.query(REPLICAS, &[]).await? {
        let shard = place(&places, row.get(0))?;
        let name: &str = row.get(1);
        shards[usize::from(shard.0)].replicas.push(Replica {
            name: ServerName::new(name),
            weight: row.get(2),
            zone: row.get(3),
            connection: connection(name, row.get(4)),
        });
    }
    Ok((shards, places))
}

async fn groups(
    transaction: &Transaction<'_>,
    places: &Places,
    next_group: i32,
) -> Result<Vec<Option<Group>>, CatalogError> {
    let mut arcs = by_group(transaction, "arcs", "arc_start, arc_end, shard, moving", "arc_start").await?;
    let mut ranges = by_group(transaction, "ranges", "from_key, to_key, shard", "shard").await?;
    let mut directory = by_group(transaction, "directory", "key, token, shard", "token").await?;
    let mut groups = Vec::new();
    groups.resize_with(usize::try_from(next_group).unwrap_or(0), || None);
    const GROUPS: &str = "SELECT number, name, family, strategy, default_shard FROM pgring.groups ORDER BY number";
    for row in transaction.query(GROUPS, &[]).await? {
        let number: i32 = row.get(0);
        let take = |rows: &mut HashMap<i32, Vec<Row>>| rows.remove(&number).unwrap_or_default();
        let (arcs, ranges, directory) = (take(&mut arcs), take(&mut ranges), take(&mut directory));
        // Without a family no table of it exists yet.
        let Some(word) = row.get::<_, Option<&str>>(2) else { continue };
        let family = KeyFamily::from_word(word).ok_or_else(|| damaged("family", word))?;
        let strategy: &str = row.get(3);
        let placement = match Strategy::from_word(strategy).ok_or_else(|| damaged("strategy", strategy))? {
            Strategy::Hash => hash(&arcs, &directory, places)?,
            Strategy::Range => range(&ranges, family, places)?,
            Strategy::Directory => by_key(&directory, row.get(4), family, places)?,
        };
        let name = GroupName::new(row.get::<_, &str>(1));
        placement.check().map_err(|fault| CatalogError::DamagedMap { group: name.clone(), fault })?;
        let slot = usize::try_from(number).ok().and_then(|at| groups.get_mut(at));
        *slot.ok_or_else(|| damaged("group number", &number.to_string()))? = Some(Group { name, family, placement });
    }
    Ok(groups)
}

/// The rows of one of the tables with maps, by group; the group's number is each row's last column.
async fn by_group(
    transaction: &Transaction<'_>,
    table: &str,
    columns: &str,
    order: &str,
) -> Result<HashMap<i32, Vec<Row>>, CatalogError> {
    let sql = format!("SELECT {columns}, group_number FROM pgring.{table} ORDER BY group_number, {order}");
    let mut groups: HashMap<i32, Vec<Row>> = HashMap::new();
    for row in transaction.query(&sql, &[]).await? {
        groups.entry(row.get(row.len() - 1)).or_default().push(row);
    }
    Ok(groups)
}

fn hash(arcs: &[Row], pins: &[Row], places: &Places) -> Result<Placement, CatalogError> {
    let arc = |row: &Row| -> Result<OwnedArc, CatalogError> {
        Ok(OwnedArc {
            start: Token(row.get(0)),
            end: row.get::<_, Option<i64>>(1).map(Token),
            shard: place(places, row.get(2))?,
            moving: row.get(3),
        })
    };
    let pin = |row: &Row| Ok((Token(row.get(1)), place(places, row.get(2))?));
    let arcs = arcs.iter().map(arc).collect::<Result<_, _>>()?;
    let pinned = pins.iter().map(pin).collect::<Result<_, CatalogError>>()?;
    Ok(Placement::Hash { arcs, pinned })
}

fn range(rows: &[Row], family: KeyFamily, places: &Places) -> Result<Placement, CatalogError> {
    let read = |row: &Row| -> Result<OwnedRange, CatalogError> {
        let (from, to) = read_bounds(family, row.get(0), row.get(1))?;
        Ok(OwnedRange { from, to, shard: place(places, row.get(2))? })
    };
    let mut ranges = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    ranges.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    Ok(Placement::Range(ranges))
}

fn by_key(rows: &[Row], default: Option<i32>, family: KeyFamily, places: &Places) -> Result<Placement, CatalogError> {
    let entry = |row: &Row| Ok((read_key(family, row.get(0))?, place(places, row.get(2))?));
    let keys = rows.iter().map(entry).collect::<Result<_, CatalogError>>()?;
    Ok(Placement::Directory { keys, default: default.map(|number| place(places, number)).transpose()? })
}

async fn tables(transaction: &Transaction<'_>) -> Result<HashMap<TableName, Table>, CatalogError> {
    const TABLES: &str =
        "SELECT schema, name, kind, state, group_number, key, key_type, allow_local_unique FROM pgring.tables";
    let rows = transaction.query(TABLES, &[]).await?;
    rows.iter()
        .map(|row| {
            let name = TableName::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
            let state: &str = row.get(3);
            let state = TableState::from_word(state).ok_or_else(|| damaged("state", state))?;
            let kind = match row.get::<_, Option<&str>>(5) {
                Some(key) if row.get::<_, &str>(2) == "sharded" => TableKind::Sharded(sharded(row, key)?),
                _ => TableKind::Reference,
            };
            Ok((name.clone(), Table { name, kind, state }))
        })
        .collect()
}

fn sharded(row: &Row, key: &str) -> Result<ShardedTable, CatalogError> {
    let group = match row.get::<_, Option<i32>>(4) {
        Some(number) => GroupIndex(u16::try_from(number).map_err(|_| damaged("group", &number.to_string()))?),
        None => ShardedTable::UNDECIDED,
    };
    let read_type = |oid: u32| KeyType::from_oid(oid).ok_or_else(|| damaged("key type", &oid.to_string()));
    Ok(ShardedTable {
        group,
        key: key.into(),
        key_type: row.get::<_, Option<u32>>(6).map(read_type).transpose()?,
        allow_local_unique: row.get(7),
    })
}

fn place(places: &Places, number: i32) -> Result<ShardIndex, CatalogError> {
    places.get(&number).copied().ok_or_else(|| damaged("shard", &number.to_string()))
}

fn damaged(what: &str, value: &str) -> CatalogError {
    CatalogError::Damaged(format!("unknown {what} {value:?}"))
}

//! Shards of the catalog: the first ones, more of them, their settings, their end. Never: moves a row or an arc.

use super::{
    Catalog, Change,
    epoch::{Locked, Numbered, Raise},
};
use crate::{
    error::CatalogError,
    ids::{ServerName, ShardName},
    tables::TableName,
    topology::{Connection, ShardState},
};

/// A shard as the configuration or `ADD SHARD` gives it.
#[derive(Clone, Debug)]
pub struct SeedShard {
    /// Its name.
    pub name: ShardName,
    /// Above 0, at most 1000.
    pub weight: f64,
    /// Where it stands.
    pub zone: Option<String>,
    /// Its primary; stored as it is, a password included.
    pub connection: Connection,
    /// Refuses writes.
    pub read_only: bool,
    /// Serves, and gets arcs of new groups.
    pub active: bool,
    /// Its replicas.
    pub replicas: Vec<SeedReplica>,
}

/// A replica as the configuration gives it.
#[derive(Clone, Debug)]
pub struct SeedReplica {
    /// Its name.
    pub name: ServerName,
    /// Its server.
    pub connection: Connection,
    /// Above 0, at most 1000.
    pub weight: f64,
    /// Where it stands.
    pub zone: Option<String>,
}

/// What `ALTER SHARD` sets.
#[derive(Clone, Debug, PartialEq)]
pub enum ShardChange {
    /// Weight, above 0 and at most 1000; changes no ownership.
    Weight(f64),
    /// READ ONLY or READ WRITE.
    ReadOnly(bool),
    /// ACTIVE, INACTIVE, …
    State(ShardState),
    /// Where its primary is.
    Connection(Connection),
}

/// What a shard may own, and the SQL that finds it.
const POSSESSIONS: [(&str, &str); 5] = [
    ("arcs", "SELECT EXISTS (SELECT FROM pgring.arcs WHERE shard = $1)"),
    ("ranges", "SELECT EXISTS (SELECT FROM pgring.ranges WHERE shard = $1)"),
    ("keys", "SELECT EXISTS (SELECT FROM pgring.directory WHERE shard = $1)"),
    ("the other keys of a directory", "SELECT EXISTS (SELECT FROM pgring.groups WHERE default_shard = $1)"),
    ("local tables", "SELECT EXISTS (SELECT FROM pgring.epoch WHERE default_shard = $1)"),
];

impl Catalog {
    /// Writes the configuration's shards and reference tables (as planned rules) into a catalog that has no
    /// shards yet; of several routers that start at once, one does. Afterwards the catalog is the truth, and
    /// this is [`Change::Unchanged`].
    ///
    /// # Errors
    /// [`CatalogError::UnknownShard`] when `default_shard` is none of them, [`CatalogError::Weight`],
    /// [`CatalogError::ShardExists`] for a name given twice.
    pub async fn seed(
        &self,
        shards: &[SeedShard],
        default_shard: &ShardName,
        reference_tables: &[TableName],
    ) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        if locked.transaction.query_one("SELECT EXISTS (SELECT FROM pgring.shards)", &[]).await?.get(0) {
            return Ok(Change::Unchanged);
        }
        for shard in shards {
            locked.insert_shard(shard).await?;
        }
        let number = locked.shard_number(default_shard).await?;
        locked.transaction.execute("UPDATE pgring.epoch SET default_shard = $1", &[&number]).await?;
        for table in reference_tables {
            const INSERT: &str = "INSERT INTO pgring.tables (schema, name, kind, state)
                VALUES ($1, $2, 'reference', 'planned') ON CONFLICT DO NOTHING";
            locked.transaction.execute(INSERT, &[&&*table.schema, &&*table.name]).await?;
        }
        locked.commit(Change::Changed, Raise::Both).await
    }

    /// Adds a shard, which owns nothing. The same shard again is [`Change::Unchanged`].
    ///
    /// # Errors
    /// [`CatalogError::ShardExists`] when the name stands for another server, [`CatalogError::Weight`].
    pub async fn add_shard(&self, shard: &SeedShard) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        const FIND: &str = "SELECT connection FROM pgring.shards WHERE name = $1";
        if let Some(row) = locked.transaction.query_opt(FIND, &[&shard.name.as_str()]).await? {
            let same = row.get::<_, &str>(0) == &*shard.connection.0;
            return if same { Ok(Change::Unchanged) } else { Err(CatalogError::ShardExists(shard.name.clone())) };
        }
        locked.insert_shard(shard).await?;
        locked.commit(Change::Changed, Raise::Placement).await
    }

    /// Changes a shard's settings; ownership stays.
    ///
    /// # Errors
    /// [`CatalogError::UnknownShard`], [`CatalogError::Weight`].
    pub async fn alter_shard(&self, shard: &ShardName, change: &ShardChange) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        let number = locked.shard_number(shard).await?;
        let transaction = &locked.transaction;
        let rows = match change {
            ShardChange::Weight(weight) => {
                check_weight(*weight)?;
                const SQL: &str = "UPDATE pgring.shards SET weight = $2 WHERE number = $1 AND weight <> $2";
                transaction.execute(SQL, &[&number, weight]).await?
            }
            ShardChange::ReadOnly(read_only) => {
                const SQL: &str = "UPDATE pgring.shards SET read_only = $2 WHERE number = $1 AND read_only <> $2";
                transaction.execute(SQL, &[&number, read_only]).await?
            }
            ShardChange::State(state) => {
                const SQL: &str = "UPDATE pgring.shards SET state = $2 WHERE number = $1 AND state <> $2";
                transaction.execute(SQL, &[&number, &state.as_str()]).await?
            }
            ShardChange::Connection(connection) => {
                const SQL: &str = "UPDATE pgring.shards SET connection = $2 WHERE number = $1 AND connection <> $2";
                transaction.execute(SQL, &[&number, &&*connection.0]).await?
            }
        };
        let change = if rows == 0 { Change::Unchanged } else { Change::Changed };
        locked.commit(change, Raise::Placement).await
    }

    /// Forgets a shard that owns nothing, and its replicas.
    ///
    /// # Errors
    /// [`CatalogError::UnknownShard`], [`CatalogError::ShardOwns`].
    pub async fn drop_shard(&self, shard: &ShardName) -> Result<Change, CatalogError> {
        let mut client = self.client().await?;
        let locked = Locked::begin(&mut client).await?;
        let number = locked.shard_number(shard).await?;
        for (what, sql) in POSSESSIONS {
            if locked.transaction.query_one(sql, &[&number]).await?.get(0) {
                return Err(CatalogError::ShardOwns { shard: shard.clone(), what });
            }
        }
        locked.transaction.execute("DELETE FROM pgring.shards WHERE number = $1", &[&number]).await?;
        locked.commit(Change::Changed, Raise::Placement).await
    }
}

impl Locked<'_> {
    /// The number of a shard.
    pub(super) async fn shard_number(&self, shard: &ShardName) -> Result<i32, CatalogError> {
        let row =
            self.transaction.query_opt("SELECT number FROM pgring.shards WHERE name = $1", &[&shard.as_str()]).await?;
        row.map(|row| row.get(0)).ok_or_else(|| CatalogError::UnknownShard(shard.clone()))
    }

    async fn insert_shard(&self, shard: &SeedShard) -> Result<(), CatalogError> {
        check_weight(shard.weight)?;
        const TAKEN: &str = "SELECT EXISTS (SELECT FROM pgring.shards WHERE name = $1)
            OR EXISTS (SELECT FROM pgring.replicas WHERE name = $1)";
        let names = std::iter::once(shard.name.as_str()).chain(shard.replicas.iter().map(|one| one.name.as_str()));
        for name in names {
            if self.transaction.query_one(TAKEN, &[&name]).await?.get(0) {
                return Err(CatalogError::ShardExists(name.into()));
            }
        }
        let number = self.next(Numbered::Shard).await?;
        let state = if shard.active { ShardState::Active } else { ShardState::Inactive };
        const SHARD: &str = "INSERT INTO pgring.shards (number, name, weight, zone, state, read_only, connection)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.transaction
            .execute(
                SHARD,
                &[
                    &number,
                    &shard.name.as_str(),
                    &shard.weight,
                    &shard.zone,
                    &state.as_str(),
                    &shard.read_only,
                    &&*shard.connection.0,
                ],
            )
            .await?;
        for replica in &shard.replicas {
            check_weight(replica.weight)?;
            const REPLICA: &str = "INSERT INTO pgring.replicas (name, shard, weight, zone, connection)
                VALUES ($1, $2, $3, $4, $5)";
            let (name, connection) = (replica.name.as_str(), &*replica.connection.0);
            self.transaction.execute(REPLICA, &[&name, &number, &replica.weight, &replica.zone, &connection]).await?;
        }
        Ok(())
    }
}

fn check_weight(weight: f64) -> Result<(), CatalogError> {
    if weight > 0.0 && weight <= 1000.0 { Ok(()) } else { Err(CatalogError::Weight(weight)) }
}

//! Catalog: the topology as PostgreSQL keeps it, in schema `pgring` of the catalog database. In: changes that an
//! admin or a CREATE TABLE asks for. Out: [`crate::topology::Topology`] snapshots, and word of changes. Never: the data path, a
//! client, a snapshot of its own (the router swaps them).
//!
//! Every change is one transaction that holds the lock of the one row of `pgring.epoch`, so changes come one
//! after the other; it raises `epoch` (who owns what, which shards) or `tables_version` (tables and groups) and
//! sends `NOTIFY pgring_topology`.

mod dial;
mod epoch;
mod groups;
pub mod identity;
mod load;
mod migrate;
pub mod routers;
pub mod shards;
pub mod snowflake;
pub mod tables;
mod two_phase;
pub mod watch;

use crate::error::CatalogError;
use deadpool_postgres::{Object, Pool};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use tokio_postgres::{
    Config, NoTls, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

/// The catalog of one database. Cloning it shares its connections (at most 4).
#[derive(Clone)]
pub struct Catalog {
    pool: Pool,
    config: Config,
    dialer: dial::Dialer,
    cluster: Arc<str>,
    database: Arc<str>,
    /// What its own word of a change is known by.
    voice: Arc<str>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("cluster", &self.cluster).field("database", &self.database).finish()
    }
}

/// Whether a command changed anything: saying the same again does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The catalog is different now, and routers were told.
    Changed,
    /// It was so already.
    Unchanged,
}

impl Catalog {
    /// Opens the catalog of `database` in `cluster` and makes sure that it answers.
    ///
    /// # Errors
    /// [`CatalogError::Connection`], [`CatalogError::Unreachable`].
    pub async fn open(connection: &str, cluster: &str, database: &str) -> Result<Self, CatalogError> {
        Self::open_with(connection, NoTls, cluster, database).await
    }

    /// As [`Catalog::open`], over TLS as far as the connection string's `sslmode` asks for it.
    ///
    /// # Errors
    /// [`CatalogError::Connection`], [`CatalogError::Unreachable`].
    pub async fn open_with<T>(connection: &str, tls: T, cluster: &str, database: &str) -> Result<Self, CatalogError>
    where
        T: MakeTlsConnect<Socket, Stream: Send, TlsConnect: Send + TlsConnect<Socket, Future: Send>>,
        T: Clone + Send + Sync + 'static,
    {
        let config = dial::read(connection).map_err(CatalogError::Connection)?;
        let dialer = dial::Dialer::new(tls);
        let pool = dial::pool(config.clone(), dialer.clone());
        let voice = format!("{:016x}", RandomState::new().hash_one(cluster)).into();
        let catalog = Self { pool, config, dialer, cluster: cluster.into(), database: database.into(), voice };
        drop(catalog.client().await?);
        Ok(catalog)
    }

    /// Tells every other router that tables, columns, types or functions changed, so that it reads the schema again.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be reached.
    pub async fn notify_schema(&self) -> Result<(), CatalogError> {
        Ok(self.client().await?.batch_execute(&format!("NOTIFY pgring_schema, '{}'", self.voice)).await?)
    }

    /// Writes down who said what and what came of it. Both texts are kept as they are: secrets must be taken out
    /// before.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be reached.
    pub async fn audit(&self, user: &str, command: &str, result: &str) -> Result<(), CatalogError> {
        const INSERT: &str = "INSERT INTO pgring.audit (username, command, result) VALUES ($1, $2, $3)";
        self.client().await?.execute(INSERT, &[&user, &command, &result]).await?;
        Ok(())
    }

    async fn client(&self) -> Result<Object, CatalogError> {
        self.pool.get().await.map_err(|error| CatalogError::Unreachable(Box::new(error)))
    }
}

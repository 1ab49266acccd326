//! Routers: which incarnations of routers are alive, by leases that each renews. In: renewals. Out: who is alive by the
//! catalog's clock. Never: ends anything of a router whose lease ran out.

use super::Catalog;
use crate::error::CatalogError;
use std::{collections::HashSet, time::Duration};
use tokio_postgres::Row;

/// A router that lives.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// This life of it.
    pub incarnation: String,
    /// Where other routers reach it.
    pub address: String,
    /// Seconds since its first renewal.
    pub uptime: f64,
}

/// How long a lease holds after its renewal, by the catalog's clock.
pub const LEASE: Duration = Duration::from_secs(3);

impl Catalog {
    /// Renews the lease of a router's incarnation, which can be reached at `address`, and returns the incarnations whose
    /// leases hold.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be reached.
    pub async fn renew_lease(&self, incarnation: &str, address: &str) -> Result<HashSet<String>, CatalogError> {
        const RENEW: &str = "INSERT INTO pgring.routers (incarnation, address) VALUES ($1, $2)
            ON CONFLICT (incarnation) DO UPDATE SET renewed = clock_timestamp(), address = $2";
        const ALIVE: &str =
            "SELECT incarnation FROM pgring.routers WHERE renewed > clock_timestamp() - make_interval(secs => $1)";
        let client = self.client().await?;
        client.execute(RENEW, &[&incarnation, &address]).await?;
        let rows = client.query(ALIVE, &[&LEASE.as_secs_f64()]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Writes down whom the backends of a router's incarnation work for, and returns what every living one says.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be reached.
    pub async fn publish_waits(&self, incarnation: &str, waits: &str) -> Result<Vec<(String, String)>, CatalogError> {
        const WRITE: &str = "UPDATE pgring.routers SET waits = $2 WHERE incarnation = $1 AND waits <> $2";
        const READ: &str = "SELECT incarnation, waits FROM pgring.routers
            WHERE waits <> '' AND renewed > clock_timestamp() - make_interval(secs => $1)";
        let client = self.client().await?;
        client.execute(WRITE, &[&incarnation, &waits]).await?;
        let rows = client.query(READ, &[&LEASE.as_secs_f64()]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Forgets incarnations that have been gone for a day.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be reached.
    pub async fn forget_routers(&self) -> Result<(), CatalogError> {
        const FORGET: &str = "DELETE FROM pgring.routers WHERE renewed < clock_timestamp() - interval '1 day'";
        self.client().await?.execute(FORGET, &[]).await?;
        Ok(())
    }

    /// The routers whose leases hold.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be reached.
    pub async fn routers(&self) -> Result<Vec<Router>, CatalogError> {
        const LIST: &str = "SELECT incarnation, address, extract(epoch FROM clock_timestamp() - started)::float8
            FROM pgring.routers WHERE renewed > clock_timestamp() - make_interval(secs => $1) ORDER BY address, started";
        let rows = self.client().await?.query(LIST, &[&LEASE.as_secs_f64()]).await?;
        let router = |row: &Row| Router { incarnation: row.get(0), address: row.get(1), uptime: row.get(2) };
        Ok(rows.iter().map(router).collect())
    }
}

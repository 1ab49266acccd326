//! Epoch: the one row that orders all changes of the catalog. In: a connection. Out: a transaction that holds the
//! row's lock, and its commit with the version raised. Never: a change outside it.

use super::Change;
use crate::error::CatalogError;
use deadpool_postgres::{Object, Transaction};

/// Which version a change raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raise {
    /// `epoch`: which shards exist, who owns what.
    Placement,
    /// `tables_version`: kinds, groups and names of tables.
    Tables,
    /// Both.
    Both,
}

/// A transaction that holds the lock of `pgring.epoch`. Dropped without a commit, it never was.
pub(super) struct Locked<'a> {
    pub(super) transaction: Transaction<'a>,
    pub(super) default_shard: Option<i32>,
}

impl<'a> Locked<'a> {
    pub(super) async fn begin(client: &'a mut Object) -> Result<Self, CatalogError> {
        let transaction = client.transaction().await?;
        let row = transaction.query_one("SELECT default_shard FROM pgring.epoch FOR UPDATE", &[]).await?;
        Ok(Self { transaction, default_shard: row.get(0) })
    }

    /// Commits with the version raised; routers hear of it. `Unchanged` leaves everything as it was.
    pub(super) async fn commit(self, change: Change, raise: Raise) -> Result<Change, CatalogError> {
        if change == Change::Unchanged {
            self.transaction.rollback().await?;
            return Ok(change);
        }
        const UPDATE: &str = "UPDATE pgring.epoch SET epoch = epoch + $1, tables_version = tables_version + $2";
        let placement = i64::from(raise != Raise::Tables);
        let tables = i64::from(raise != Raise::Placement);
        self.transaction.execute(UPDATE, &[&placement, &tables]).await?;
        self.transaction.execute("SELECT pg_notify('pgring_topology', epoch::text) FROM pgring.epoch", &[]).await?;
        self.transaction.commit().await?;
        Ok(change)
    }

    /// The next number of a shard or a group; numbers are never used again.
    pub(super) async fn next(&self, what: Numbered) -> Result<i32, CatalogError> {
        let sql = match what {
            Numbered::Shard => "UPDATE pgring.epoch SET next_shard = next_shard + 1 RETURNING next_shard - 1",
            Numbered::Group => "UPDATE pgring.epoch SET next_group = next_group + 1 RETURNING next_group - 1",
        };
        let number: i32 = self.transaction.query_one(sql, &[]).await?.get(0);
        // The last one stands for "undecided".
        if number < i32::from(u16::MAX) { Ok(number) } else { Err(CatalogError::TooMany) }
    }
}

/// What has numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbered {
    Shard,
    Group,
}

//! Shards: pgring's own connections for recovery. In: a snapshot. Out: a client of the service role whose commits are
//! durable. Never: a connection of a client.

use super::RecoveryError;
use crate::{
    cluster::{Database, Snapshot},
    control,
};
use pgring_config::{
    ids::{ShardIndex, ShardName},
    topology::Connection,
};
use std::collections::HashMap;
use tokio_postgres::Client;

/// A connection to a shard's primary.
///
/// # Errors
/// [`RecoveryError::Control`].
pub(super) async fn connect(
    database: &Database,
    snapshot: &Snapshot,
    shard: ShardIndex,
) -> Result<Client, RecoveryError> {
    let shard = snapshot.topology.shard(shard);
    let client = control::connect(&shard.connection.0, &database.name, &database.server_tls).await?;
    client.batch_execute("SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'").await?;
    Ok(client)
}

/// pgring's own connections to the shards of a database, kept from one look at them to the next.
#[derive(Default)]
pub struct Clients(HashMap<ShardName, (Connection, Client)>);

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Clients {
    /// The connection to a shard, made anew if it was lost.
    ///
    /// # Errors
    /// [`RecoveryError::Control`].
    pub async fn client(
        &mut self,
        database: &Database,
        snapshot: &Snapshot,
        at: ShardIndex,
    ) -> Result<&Client, RecoveryError> {
        let shard = snapshot.topology.shard(at);
        let good = |(connection, client): &(Connection, Client)| *connection == shard.connection && !client.is_closed();
        if !self.0.get(&shard.name).is_some_and(good) {
            let client = connect(database, snapshot, at).await?;
            self.0.insert(shard.name.clone(), (shard.connection.clone(), client));
        }
        match self.0.get(&shard.name) {
            Some((_, client)) => Ok(client),
            None => Err(RecoveryError::UnknownShard(shard.name.as_str().into())),
        }
    }
}

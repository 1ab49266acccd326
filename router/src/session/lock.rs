//! Lock: LOCK TABLE with sharded or reference tables. In: a statement in a transaction. Out: the locks on every shard, one
//! shard after the other in the order of their numbers, so that no two sessions hold what the other waits for; the tag in
//! the client's output. Never: a snapshot.

use super::{Fault, Session, hold};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    pool::conn::{Conn, ConnError},
    route::bind::Values,
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::build;
use std::sync::Arc;

impl Session {
    /// LOCK TABLE on every shard.
    pub(super) async fn lock_tables(&mut self, values: &Values<'_>, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        if self.txn.is_none() {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(Report::with(catalogue::PROTOCOL, message).sqlstate("25P01").into());
        }
        let text = String::from_utf8_lossy(values.text).into_owned();
        let shards: Vec<ShardIndex> = (0..snapshot.topology.shards.len()).map(|at| ShardIndex(at as u16)).collect();
        self.admit(&shards, Reach::Nothing, snapshot).await?;
        for shard in shards {
            let mut held = self.hold(snapshot, shard).await?;
            if let Err(error) = held.open().await {
                return Err(self.lost_while_held(&error));
            }
            let first = shard == snapshot.topology.default_shard;
            let mut notices = BytesMut::new();
            let run = async |conn: &mut Conn| conn.housekeep_with(&text, first, &mut notices).await;
            let (held, locked) = self.beside_client(held, run).await?;
            self.client.out.extend_from_slice(&notices);
            match locked {
                Ok(_) => self.let_go(held, b'T', Reach::Nothing),
                Err(ConnError::Server(fields)) => {
                    self.let_go(held, b'E', Reach::Nothing);
                    return Err(self.told(*fields));
                }
                Err(error) => {
                    self.me.end_work();
                    return Err(hold::lost(&error, false).into());
                }
            }
        }
        build::command_complete(&mut self.client.out, "LOCK TABLE");
        Ok(())
    }
}

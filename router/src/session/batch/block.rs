//! Block: a pipeline without transaction block that reaches a second shard. What it has done so far becomes part of a
//! block, which the Sync commits on every shard or on none. In: a batch that has written. Out: the same, as a
//! transaction of the session. Never: an end before the client's Sync.

use super::super::{Fault, Session};
use crate::{
    error::{Report, catalogue},
    execute::relay::Expect,
};
use pgring_protocol::message::build;

impl Session {
    /// Makes what the batch at hand has done on its backend part of a block there, and leaves it.
    pub(super) async fn make_block(&mut self) -> Result<(), Fault> {
        let Some(lane) = self.batch.lanes.current_mut() else { return Ok(()) };
        // In an implicit transaction BEGIN takes in what was done before. After an error the server passes over it.
        build::query(&mut lane.out, b"BEGIN");
        self.batch.lanes.expect(Expect::Prelude);
        self.end_hidden().await?;
        self.batch.block = self.txn.is_some();
        Ok(())
    }

    /// The client's Sync, where the batch is a block of pgring's own.
    pub(super) async fn end_block(&mut self) -> Result<bool, Fault> {
        self.batch.block = false;
        let ended = if self.batch.lanes.is_empty() { Ok(()) } else { self.end_hidden().await };
        let Some(txn) = self.txn.take() else { return ended.map(|()| false) };
        if ended.is_err() || txn.failed {
            self.abandon(txn).await;
            return ended.map(|()| false);
        }
        self.commit_quietly(txn).await.map(|()| false)
    }

    /// Rolls the block back: a simple query follows, which would be part of the same transaction.
    pub(super) async fn drop_block(&mut self) -> Result<(), Fault> {
        self.batch.block = false;
        let ended = if self.batch.lanes.is_empty() { Ok(()) } else { self.end_hidden().await };
        if let Some(txn) = self.txn.take() {
            self.abandon(txn).await;
        }
        ended
    }
}

/// What was written since the last Sync is to be committed with something that has its own end.
pub(super) fn over_shards() -> Report {
    Report::new(catalogue::SECOND_SHARD)
        .detail(
            "a simple query after a pipeline without Sync is one transaction with it, and it reaches a second shard",
        )
        .hint("Send a Sync before it, or use a transaction block.")
}

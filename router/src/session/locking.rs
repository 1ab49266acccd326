//! Locking: a SELECT that locks rows on several shards. In: its request. Out: backends that have answered, or are about to.
//! Never: a second shard asked before the first has locked its rows, where its answer fits into memory: so two sessions
//! that lock the same rows wait for each other in one order.

use super::{
    Fault, Session,
    hold::{self, Held, hang_up},
};
use crate::cluster::Snapshot;
use pgring_config::ids::ShardIndex;
use std::sync::Arc;

/// Bytes of one shard's answer that wait while the next shard is asked.
const MOST: usize = 4 * 1024 * 1024;

impl Session {
    /// Sends the same to several shards, one after the other. After one that fails no other is asked.
    pub(super) async fn ask_in_order(
        &mut self,
        shards: &[ShardIndex],
        request: &[u8],
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Held>, Fault> {
        let mut all = self.hold_all(shards, snapshot).await?.into_iter();
        let mut asked: Vec<Held> = vec![];
        for mut one in all.by_ref() {
            if let Err(error) = one.conn().send(request).await {
                self.me.end_work();
                asked.into_iter().for_each(hang_up);
                return Err(hold::lost(&error.into(), false).into());
            }
            let answered = self.client.beside(true, one.conn().await_answer(MOST)).await;
            asked.push(one);
            match answered {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => break,
                Ok(Err(error)) => {
                    self.me.end_work();
                    asked.into_iter().for_each(hang_up);
                    return Err(hold::lost(&error, false).into());
                }
                Err(gone) => {
                    self.me.end_work();
                    asked.into_iter().for_each(hang_up);
                    return Err(gone.into());
                }
            }
        }
        self.put_back(all.collect());
        Ok(asked)
    }
}

//! Narrow: a server that takes fewer connections than its pool may have (a role's CONNECTION LIMIT, `max_connections`).
//! In: its refusal. Out: a pool that does with the connections that it has, for a while. Never: gives up where none is
//! open.

use super::{Pool, PoolError};
use pgring_protocol::backend::BackendError;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// A server that took no more connections is asked again after this.
const NARROW: Duration = Duration::from_secs(5);

/// The server has as many connections, or connections of this role or to this database, as it may have.
pub(super) fn is_full(error: &PoolError) -> bool {
    matches!(error, PoolError::Connect { source: BackendError::Server(fields), .. } if fields.code() == "53300")
}

impl Pool {
    /// Waits for a connection to come back, if none is at rest: for a while the pool does with those that it has.
    /// `since`: when this wait began, over several refusals.
    pub(super) async fn wait_for_one_at_rest(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        since: &mut Option<Instant>,
    ) -> Result<OwnedSemaphorePermit, PoolError> {
        let at_rest = (0..self.idle.len()).any(|worker| self.stack(worker).is_some_and(|stack| !stack.is_empty()));
        if at_rest {
            return Ok(permit);
        }
        let waited = since.get_or_insert_with(Instant::now).elapsed();
        if waited > self.limits.load().queue_timeout {
            return Err(PoolError::Queue { server: self.key.server.clone(), waited });
        }
        permit.forget();
        let pool = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(NARROW).await;
            pool.permits.add_permits(1);
        });
        self.wait().await
    }
}

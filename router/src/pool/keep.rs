//! Keep: what is done for pools now and then: old connections go, some are opened before anybody asks for them.
//! In: pools. Out: the same pools, tidied. Never: waits for a server on the caller's time.

use super::{Idle, Pool, PoolKey, Pools, Worker, conn::Conn};
use crate::registry;
use pgring_protocol::backend::Login;
use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

/// How long a connection may live: up to a tenth less than `most`, so that those that were made together do not all
/// go together.
pub(super) fn lifetime(most: Duration, pid: i32) -> Duration {
    /// Neighbouring process ids lie far apart in it.
    const STEP: u32 = 37;
    let part = pid.unsigned_abs().wrapping_mul(STEP) % 100;
    most - most / 1000 * part
}

impl Pool {
    /// Closes idle connections of which `goes` says so.
    fn close_idle(&self, mut goes: impl FnMut(&Conn) -> bool) {
        for worker in 0..self.idle.len() {
            let Some(mut stack) = self.stack(worker) else { continue };
            let gone: Vec<Idle> = stack.extract_if(.., |conn| goes(conn)).collect();
            drop(stack);
            gone.into_iter().for_each(|conn| self.close(conn));
        }
    }

    /// Closes all idle connections.
    pub(super) fn close_all_idle(&self) {
        self.close_idle(|_| true);
    }

    /// Closes idle connections that are too old, and those that have been idle for too long but for as many as are to
    /// be kept.
    fn tidy(&self, kept: usize) {
        let retired = self.retired.load(Ordering::Acquire);
        let idle_timeout = self.limits.load().idle_timeout;
        let mut spare = self.total.load(Ordering::Relaxed).saturating_sub(kept);
        self.close_idle(|conn| {
            let too_idle = spare > 0 && idle_timeout.is_some_and(|most| registry::since(conn.idle_since) > most);
            let goes = retired || conn.is_old() || too_idle;
            spare = spare.saturating_sub(usize::from(goes));
            goes
        });
    }

    /// Opens a connection and puts it at rest, unless the pool is busy or full.
    async fn open_idle(self: Arc<Self>, worker: Worker) {
        let Ok(_permit) = self.permits.clone().try_acquire_owned() else { return };
        match self.open().await {
            None => {}
            Some(Err(error)) => tracing::debug!(server = %self.key.server, %error, "no idle connection was opened"),
            Some(Ok(mut conn)) => {
                conn.idle_since = registry::now();
                conn.badge.rest();
                match self.stack(worker) {
                    Some(mut stack) if !self.retired.load(Ordering::Acquire) => stack.push(conn),
                    _ => self.close(conn),
                }
            }
        }
    }
}

impl Pools {
    /// Closes what is old or has been idle for too long, opens what is to be kept ready, and forgets pools without a
    /// connection that nobody holds; to be called now and then.
    pub fn tidy(&self) {
        // One reference is the table's and one this list's: with more, a session has the pool in use.
        for pool in self.all() {
            let in_use = Arc::strong_count(&pool) > 2;
            let kept = if in_use { pool.limits.load().min_idle.min(pool.size) } else { 0 };
            pool.tidy(kept);
            self.fill(&pool, kept);
        }
        let in_use =
            |_: &PoolKey, pool: &mut Arc<Pool>| Arc::strong_count(pool) > 1 || pool.total.load(Ordering::Acquire) > 0;
        self.pools.write().unwrap_or_else(PoisonError::into_inner).retain(in_use);
    }

    /// Opens connections until there are `kept`, in turn on each worker.
    fn fill(&self, pool: &Arc<Pool>, kept: usize) {
        let Some(handles) = self.handles.get() else { return };
        for number in pool.total.load(Ordering::Acquire)..kept {
            let worker = number % self.workers;
            if let Some(handle) = handles.get(worker) {
                handle.spawn(pool.clone().open_idle(worker));
            }
        }
    }

    /// Closes every idle connection to this database of its server: the database is to be dropped or renamed.
    pub fn leave(&self, database: &str) {
        self.leave_where(|login| login.database == database);
    }

    /// Closes every idle connection of this role of a server: another role is to get its name.
    pub fn leave_role(&self, role: &str) {
        self.leave_where(|login| login.user == role);
    }

    fn leave_where(&self, is_meant: impl Fn(&Login) -> bool) {
        let mut pools = self.all();
        pools.retain(|pool| is_meant(&pool.proved().login));
        if pools.is_empty() {
            return;
        }
        pools.iter().for_each(|pool| pool.close_all_idle());
        // A client has its answer before its backend is back: the server waits for some seconds for such ones to go.
        tokio::spawn(async move {
            for pause in [10, 100, 1000] {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                pools.iter().for_each(|pool| pool.close_all_idle());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_were_made_together_do_not_all_go_together() {
        let hour = Duration::from_secs(3600);
        let lives: Vec<Duration> = (4000..4020).map(|pid| lifetime(hour, pid)).collect();
        assert!(lives.iter().all(|life| *life <= hour && *life >= hour * 9 / 10), "{lives:?}");
        let mut apart = lives.clone();
        apart.sort();
        apart.dedup();
        assert_eq!(apart.len(), lives.len(), "{lives:?}");
    }
}

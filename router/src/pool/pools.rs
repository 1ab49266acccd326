//! Pools: all pools of this process, by what they are for. In: who asks and for which server. Out: its pool. Never: a
//! connection.

use super::{Expected, Pool, PoolKey, PoolLimits, Proved, backends::Backends};
use arc_swap::ArcSwap;
use pgring_protocol::backend::Target;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize},
    },
};
use tokio::{runtime::Handle, sync::Semaphore};

/// All pools of this process.
#[derive(Debug)]
pub struct Pools {
    pub(super) workers: usize,
    /// The workers' event loops, for connections that nobody has asked for yet.
    pub handles: OnceLock<Vec<Handle>>,
    pub(super) pools: RwLock<HashMap<PoolKey, Arc<Pool>>>,
}

impl Pools {
    /// No pools yet, for so many worker threads.
    pub fn new(workers: usize) -> Self {
        Self { workers: workers.max(1), handles: OnceLock::new(), pools: RwLock::default() }
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The pool of `key`, made if it is not there or if the server's address or the role has changed.
    pub fn pool(
        &self,
        key: PoolKey,
        target: &Arc<Target>,
        proved: &Proved,
        expected: Option<Expected>,
        limits: PoolLimits,
    ) -> Arc<Pool> {
        if let Some(pool) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(&key)
            && Arc::ptr_eq(&pool.target, target)
            && pool.size == limits.size
            && !pool.proved().is_outdated_by(proved)
        {
            if **pool.limits.load() != limits {
                pool.limits.store(Arc::new(limits));
            }
            let later = pool.proved().gives_way_to(proved);
            if later {
                *pool.proved.write().unwrap_or_else(PoisonError::into_inner) = proved.clone();
            }
            return pool.clone();
        }
        let pool = Arc::new(Pool {
            key: key.clone(),
            target: target.clone(),
            proved: RwLock::new(proved.clone()),
            expected,
            permits: Arc::new(Semaphore::new(limits.size)),
            size: limits.size,
            limits: ArcSwap::from_pointee(limits),
            backends: Backends::default(),
            pinned: AtomicUsize::new(0),
            idle: (0..self.workers).map(|_| Mutex::default()).collect(),
            total: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            max_wait_us: AtomicU64::new(0),
            max_prepared: AtomicI64::new(-1),
            retired: AtomicBool::new(false),
        });
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = pools.get(&key)
            && Arc::ptr_eq(&made.target, target)
            && made.size == pool.size
            && !made.proved().is_outdated_by(proved)
        {
            // Another session was first; its pool is in use already.
            return made.clone();
        }
        let before = pools.insert(key, pool.clone());
        drop(pools);
        if let Some(before) = before {
            before.retire();
        }
        pool
    }

    /// Every pool.
    pub fn all(&self) -> Vec<Arc<Pool>> {
        self.pools.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

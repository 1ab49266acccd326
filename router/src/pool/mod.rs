//! Pool: backends per (user, database, server), handed out as a [`Checkout`]. In: who asks and for which server.
//! Out: a connection that was quiet and is of the right server. Never: a plan, a client, SQL of a user.
//!
//! Each worker thread keeps its own idle connections, so that a session and its backend are driven by one event
//! loop; permits are shared and fair, and a worker that has none left takes over another worker's idle connection.

mod backends;
pub mod conn;
mod keep;
mod narrow;
mod pools;
pub mod profile;
mod proved;
pub mod reported;
pub mod statements;

pub use backends::{Backend, BackendState};
pub use pools::Pools;
pub use proved::Proved;

use crate::{metrics, registry};
use arc_swap::ArcSwap;
use backends::Backends;
use conn::{Conn, ConnError};
use pgring_config::{
    catalog::identity,
    error::IdentityError,
    ids::{Epoch, ServerName, ShardName},
};
use pgring_protocol::backend::{self, BackendError, Target};
use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Number of a worker thread, from 0.
pub type Worker = usize;

/// What a pool is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The client's user.
    pub user: Arc<str>,
    /// The database's name as clients know it.
    pub database: Arc<str>,
    /// The server.
    pub server: ServerName,
}

/// What a server's identity must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The shard.
    pub shard: ShardName,
    /// Epoch of the placement that this router serves.
    pub epoch: Epoch,
}

impl Expected {
    fn borrowed(&self) -> identity::Expected<'_> {
        identity::Expected { cluster: &self.cluster, shard: self.shard.as_str(), epoch: self.epoch }
    }
}

/// How a pool behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most backends.
    pub size: usize,
    /// Backends that are kept open while the pool is in use.
    pub min_idle: usize,
    /// Longest wait for a backend.
    pub queue_timeout: Duration,
    /// An idle backend is closed after this.
    pub idle_timeout: Option<Duration>,
    /// A backend is replaced after this.
    pub max_lifetime: Option<Duration>,
    /// Prepared statements kept per backend.
    pub statements: usize,
}

/// Why there is no backend.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// None became free in time.
    #[error("no connection to {server} became free within {waited:?}")]
    Queue {
        /// The server.
        server: ServerName,
        /// How long the client waited.
        waited: Duration,
    },
    /// The server cannot be reached or did not let us in.
    #[error("cannot connect to {server}: {source}")]
    Connect {
        /// The server.
        server: ServerName,
        /// Why.
        source: BackendError,
    },
    /// It is another server than the catalog says.
    #[error("{server} is not the server that the catalog expects: {reason}")]
    WrongServer {
        /// The server.
        server: ServerName,
        /// What differs.
        reason: String,
    },
    /// The connection failed while it was being set up.
    #[error("the connection to {server} failed: {source}")]
    Setup {
        /// The server.
        server: ServerName,
        /// Why.
        source: ConnError,
    },
    /// The pool is closed (its server is gone, or the process ends).
    #[error("the pool of {0} is closed")]
    Closed(ServerName),
}

/// A connection at rest. Boxed: it changes hands with every statement, and is large.
type Idle = Box<Conn>;

/// Connections of one user to one server.
#[derive(Debug)]
pub struct Pool {
    /// What it is for.
    pub key: PoolKey,
    target: Arc<Target>,
    proved: RwLock<Proved>,
    expected: Option<Expected>,
    size: usize,
    limits: ArcSwap<PoolLimits>,
    permits: Arc<Semaphore>,
    idle: Box<[Mutex<Vec<Idle>>]>,
    backends: Backends,
    total: AtomicUsize,
    pinned: AtomicUsize,
    waiting: AtomicUsize,
    max_wait_us: AtomicU64,
    retired: AtomicBool,
    /// Slots for prepared transactions on the server; below 0: not known yet.
    max_prepared: AtomicI64,
}

/// A held backend. Dropped without [`Checkout::give_back`] it is closed, never reused.
#[derive(Debug)]
pub struct Checkout {
    conn: Option<Box<Conn>>,
    pool: Arc<Pool>,
    worker: Worker,
    pinned: bool,
    _permit: OwnedSemaphorePermit,
}

/// Figures of a pool for `SHOW POOLS`.
#[derive(Clone, Debug)]
pub struct PoolFigures {
    /// What it is for.
    pub key: PoolKey,
    /// Backends held by clients.
    pub active: usize,
    /// Backends waiting for work.
    pub idle: usize,
    /// Of those, how many sessions keep for themselves.
    pub pinned: usize,
    /// Clients waiting.
    pub waiting: usize,
    /// Longest wait so far.
    pub max_wait: Duration,
    /// Most backends.
    pub size: usize,
}

impl Pool {
    /// Most backends.
    pub fn most(&self) -> usize {
        self.size
    }

    /// Hands out a backend.
    ///
    /// # Errors
    /// [`PoolError::Queue`] (53300) after the queue time-out; others when a new connection cannot be made.
    pub async fn checkout(self: &Arc<Self>, worker: Worker) -> Result<Checkout, PoolError> {
        let mut permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        let mut since = None;
        let conn = loop {
            if self.retired.load(Ordering::Acquire) {
                return Err(PoolError::Closed(self.key.server.clone()));
            }
            if let Some(conn) = self.take_idle(worker) {
                break conn;
            }
            match Box::pin(self.open()).await {
                None => {}
                Some(Err(refused)) if narrow::is_full(&refused) && self.total.load(Ordering::Acquire) > 0 => {
                    permit = self.wait_for_one_at_rest(permit, &mut since).await?;
                }
                Some(opened) => break opened?,
            }
            if let Some(conn) = self.take_over(worker) {
                break conn;
            }
            tokio::task::yield_now().await;
        };
        Ok(Checkout { conn: Some(conn), pool: self.clone(), worker, pinned: false, _permit: permit })
    }

    /// Hands out a backend that is idle, if nobody waits for one.
    pub fn checkout_now(self: &Arc<Self>, worker: Worker) -> Option<Checkout> {
        if self.retired.load(Ordering::Acquire) {
            return None;
        }
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        let conn = self.take_idle(worker)?;
        Some(Checkout { conn: Some(conn), pool: self.clone(), worker, pinned: false, _permit: permit })
    }

    /// Opens a connection, if there may be one more. Whoever calls this holds a permit.
    async fn open(&self) -> Option<Result<Box<Conn>, PoolError>> {
        if self.total.fetch_add(1, Ordering::AcqRel) >= self.size {
            self.total.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let opening = Opening(self);
        let dialled = self.dial().await;
        if let Ok(conn) = &dialled {
            std::mem::forget(opening);
            self.backends.add(conn.badge.clone());
        }
        Some(dialled.map(Box::new))
    }

    /// Slots for prepared transactions on its server, as the last connection found them; None: there was none yet.
    pub fn max_prepared(&self) -> Option<u32> {
        u32::try_from(self.max_prepared.load(Ordering::Relaxed)).ok()
    }

    /// A backend can be had without waiting for another client.
    pub fn has_room(&self) -> bool {
        self.permits.available_permits() > 0
    }

    async fn wait(&self) -> Result<OwnedSemaphorePermit, PoolError> {
        let waiting = Waiting::new(self);
        let limit = self.limits.load().queue_timeout;
        let permit = Box::pin(tokio::time::timeout(limit, self.permits.clone().acquire_owned())).await;
        let waited = waiting.since.elapsed();
        drop(waiting);
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(PoolError::Closed(self.key.server.clone())),
            Err(_) => Err(PoolError::Queue { server: self.key.server.clone(), waited }),
        }
    }

    fn stack(&self, worker: Worker) -> Option<std::sync::MutexGuard<'_, Vec<Idle>>> {
        self.idle.get(worker).map(|stack| stack.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_idle(&self, worker: Worker) -> Option<Box<Conn>> {
        loop {
            let mut conn = self.stack(worker)?.pop()?;
            if !conn.is_old() && conn.is_quiet() {
                return Some(conn);
            }
            self.close(conn);
        }
    }

    fn take_over(&self, worker: Worker) -> Option<Box<Conn>> {
        for other in (0..self.idle.len()).filter(|other| *other != worker) {
            let taken = self.stack(other).and_then(|mut stack| stack.pop());
            if let Some(mut conn) = taken {
                let badge = conn.badge.clone();
                if conn.is_old() || !conn.is_quiet() {
                    self.close(conn);
                } else if let Some(conn) = conn.rehome() {
                    return Some(Box::new(conn));
                } else {
                    self.closed(&badge);
                }
            }
        }
        None
    }

    /// Makes the idle connection on which this session used sequences the next to be handed out, if there is one.
    pub fn bring_up(&self, worker: Worker, sequences_of: u64) {
        let Some(mut stack) = self.stack(worker) else { return };
        if let Some(at) = stack.iter().rposition(|conn| conn.sequences_of == sequences_of) {
            let conn = stack.remove(at);
            stack.push(conn);
        }
    }

    fn close(&self, conn: Box<Conn>) {
        let badge = conn.badge.clone();
        drop(conn);
        self.closed(&badge);
    }

    /// A connection is gone.
    fn closed(&self, badge: &Backend) {
        self.backends.remove(badge);
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    fn proved(&self) -> std::sync::RwLockReadGuard<'_, Proved> {
        self.proved.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn dial(&self) -> Result<Conn, PoolError> {
        let server = || self.key.server.clone();
        let login = self.proved().login.clone();
        let backend = backend::connect(&self.target, &login)
            .await
            .map_err(|source| PoolError::Connect { server: server(), source })?;
        let limits = self.limits.load_full();
        let mut conn = Conn::new(backend, self.target.clone(), limits.statements);
        conn.expires = limits.max_lifetime.map(|most| registry::now().after(keep::lifetime(most, conn.cancel.pid)));
        if let Some(expected) = &self.expected {
            let verified = verify(&mut conn, expected).await;
            let facts = verified.map_err(|error| match error {
                Unverified::Setup(source) => PoolError::Setup { server: server(), source },
                Unverified::Wrong(error) => PoolError::WrongServer { server: server(), reason: error.to_string() },
            })?;
            conn.search_path = facts.search_path.into();
            conn.max_prepared_transactions = facts.max_prepared_transactions;
            self.max_prepared.store(i64::from(facts.max_prepared_transactions), Ordering::Relaxed);
        }
        Ok(conn)
    }

    /// Closes it: idle connections now, held ones when they come back.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.permits.close();
        self.close_all_idle();
    }

    /// Its backends, with what they do.
    pub fn backends(&self) -> Vec<Arc<Backend>> {
        self.backends.all()
    }

    /// Figures for `SHOW POOLS`.
    pub fn figures(&self) -> PoolFigures {
        let idle = (0..self.idle.len()).filter_map(|worker| self.stack(worker)).map(|stack| stack.len()).sum();
        PoolFigures {
            key: self.key.clone(),
            active: self.total.load(Ordering::Relaxed).saturating_sub(idle),
            idle,
            pinned: self.pinned.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            max_wait: Duration::from_micros(self.max_wait_us.load(Ordering::Relaxed)),
            size: self.size,
        }
    }
}

/// A client in the queue; leaves it when dropped.
struct Waiting<'a> {
    pool: &'a Pool,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn new(pool: &'a Pool) -> Self {
        pool.waiting.fetch_add(1, Ordering::Relaxed);
        Self { pool, since: Instant::now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waited = self.since.elapsed();
        self.pool.waiting.fetch_sub(1, Ordering::Relaxed);
        self.pool.max_wait_us.fetch_max(waited.as_micros() as u64, Ordering::Relaxed);
        metrics::POOL_WAIT.record(waited.as_secs_f64());
    }
}

/// Why a server's identity is not known to be right.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// It could not be asked.
    #[error("{0}")]
    Setup(#[from] ConnError),
    /// It is another server.
    #[error("{0}")]
    Wrong(#[from] IdentityError),
}

/// Asks a server for its identity, and compares.
///
/// # Errors
/// [`Unverified`].
pub async fn verify(conn: &mut Conn, expected: &Expected) -> Result<identity::ServerFacts, Unverified> {
    let rows = conn.housekeep(identity::CHECK_SQL).await?;
    let row: Vec<Option<&str>> = rows.first().map_or(vec![], |row| row.iter().map(Option::as_deref).collect());
    Ok(identity::verify(&row, &expected.borrowed())?)
}

/// Takes a connection that is being opened off the count when opening it fails.
struct Opening<'a>(&'a Pool);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.total.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Checkout {
    /// The connection.
    pub fn conn(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("a checkout holds its connection until it is given back or dropped")
    }

    /// Its entry in its pool's list.
    ///
    /// # Panics
    /// Never: it is held until it is given back or dropped.
    pub fn badge(&self) -> &Backend {
        &self.conn.as_ref().expect("a checkout holds its connection until it is given back or dropped").badge
    }

    /// Process id of the backend.
    pub fn pid(&self) -> i32 {
        self.conn.as_ref().map_or(0, |conn| conn.cancel.pid)
    }

    /// Slots for prepared transactions on its server.
    pub fn max_prepared(&self) -> u32 {
        self.conn.as_ref().map_or(0, |conn| conn.max_prepared_transactions)
    }

    /// Its session keeps it for itself, or does so no longer.
    pub fn set_pinned(&mut self, pinned: bool) {
        if pinned != self.pinned {
            self.pinned = pinned;
            let by = if pinned { 1 } else { usize::MAX };
            self.pool.pinned.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Puts it back. Only to be called after ReadyForQuery 'I' with nothing outstanding.
    pub fn give_back(mut self) {
        self.set_pinned(false);
        let Some(mut conn) = self.conn.take() else { return };
        if !conn.buf.is_empty() || self.pool.retired.load(Ordering::Acquire) {
            self.pool.close(conn);
            return;
        }
        if !conn.cancel.gate.is_clear() {
            let gate = conn.cancel.gate.clone();
            self.conn = Some(conn);
            tokio::spawn(async move {
                gate.clear().await;
                self.give_back();
            });
            return;
        }
        conn.shrink();
        conn.idle_since = registry::now();
        conn.badge.rest();
        if let Some(mut stack) = self.pool.stack(self.worker) {
            stack.push(conn);
        }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.set_pinned(false);
        if let Some(conn) = self.conn.take() {
            self.pool.close(conn);
        }
    }
}

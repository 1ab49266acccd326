//! Notify: LISTEN for many sessions over few connections. In: channels that sessions listen on, notifications of the
//! servers. Out: each session's notifications, in order. Never: a client, a statement of a client.
//!
//! Per primary (and, for database `*`, per user) there is one hub: a task with one connection that listens on every
//! channel some session listens on. A session has one ear; it joins the hubs of all its database's primaries.

pub mod ear;
mod hub;

use crate::pool::Expected;
use ear::Ear;
use pgring_config::ids::ShardName;
use pgring_protocol::{
    backend::{BackendError, Login, Target},
    message::notice::Fields,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Where a hub's server is, and how to log in there.
#[derive(Clone, Debug)]
pub struct Site {
    /// Address and TLS.
    pub target: Arc<Target>,
    /// User, database and what proves it.
    pub login: Login,
    /// What its identity must say.
    pub expected: Option<Expected>,
}

/// Finds a hub's server at this moment; None: there is none any more.
pub type Locate = Box<dyn Fn() -> Option<Site> + Send + Sync>;

/// What a hub listens to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HubKey {
    /// The shard.
    pub shard: ShardName,
    /// Whose login it uses; None: pgring's own.
    pub user: Option<Arc<str>>,
}

/// Why a channel cannot be listened on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotifyError {
    /// The server refused, in its own words.
    #[error("{}", .0.get(b'M').unwrap_or("unknown error"))]
    Server(Box<Fields>),
    /// It cannot be reached, or is the wrong one.
    #[error("the listening connection to shard {shard} failed: {reason}")]
    Lost {
        /// The shard.
        shard: ShardName,
        /// Why.
        reason: String,
    },
}

impl NotifyError {
    fn lost(shard: &ShardName, reason: impl ToString) -> Self {
        Self::Lost { shard: shard.clone(), reason: reason.to_string() }
    }

    fn connect(shard: &ShardName, error: BackendError) -> Self {
        match error {
            BackendError::Server(fields) => Self::Server(Box::new(fields)),
            error => Self::lost(shard, error),
        }
    }
}

/// What a session asks of a hub.
#[derive(Debug)]
enum Ask {
    Join { channel: Arc<str>, ear: Arc<Ear>, done: oneshot::Sender<Result<(), NotifyError>> },
    Leave { channel: Arc<str>, ear: Arc<Ear> },
    CatchUp(oneshot::Sender<()>),
    Moved,
}

/// Whose a backend's notifications are.
#[derive(Debug)]
struct Sender {
    client: i32,
    /// None: it may still send.
    until: Option<Instant>,
}

/// How long after its end a transaction's notifications may still be under way.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// Backends remembered before those that are out of date are forgotten.
const MANY_SENDERS: usize = 256;

/// What the hub's task and its handle share.
#[derive(Debug)]
struct Shared {
    key: HubKey,
    senders: Mutex<HashMap<i32, Sender>>,
    pid: AtomicI32,
    channels: AtomicUsize,
}

impl Shared {
    fn senders(&self) -> MutexGuard<'_, HashMap<i32, Sender>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client whose notifications come from this backend.
    fn client_of(&self, pid: i32) -> Option<i32> {
        let senders = self.senders();
        let known = senders.get(&pid).filter(|sender| sender.until.is_none_or(|until| until > Instant::now()));
        known.map(|sender| sender.client)
    }
}

/// One listening connection, shared by sessions. Its task ends when the last handle is dropped.
#[derive(Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    asks: mpsc::UnboundedSender<Ask>,
}

impl Hub {
    fn start(key: HubKey, locate: Locate) -> Arc<Self> {
        let (asks, asked) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { key, senders: Mutex::default(), pid: AtomicI32::new(0), channels: AtomicUsize::new(0) });
        tokio::spawn(hub::run(shared.clone(), locate, asked));
        Arc::new(Self { shared, asks })
    }

    /// Asks for everything that the server has sent up to now to be heard; the answer comes when it is.
    pub fn catch_up(&self) -> oneshot::Receiver<()> {
        let (done, caught_up) = oneshot::channel();
        let _ = self.asks.send(Ask::CatchUp(done));
        caught_up
    }

    /// The backend of this process id may send notifications for a client, until [`Hub::has_sent`]. Waits for those of
    /// another client that are still under way from there.
    pub async fn sends(&self, pid: i32, client: i32) {
        if self.shared.client_of(pid).is_some_and(|known| known != client) {
            let _ = self.catch_up().await;
        }
        let mut senders = self.shared.senders();
        if senders.len() > MANY_SENDERS {
            let now = Instant::now();
            senders.retain(|_, sender| sender.until.is_none_or(|until| until > now));
        }
        senders.insert(pid, Sender { client, until: None });
    }

    /// The client's transaction there has ended.
    pub fn has_sent(&self, pid: i32, client: i32) {
        if let Some(sender) = self.shared.senders().get_mut(&pid).filter(|sender| sender.client == client) {
            sender.until = Some(Instant::now() + UNDER_WAY);
        }
    }

    /// Process id of the listening backend (0 while there is none), and its channels.
    pub fn figures(&self) -> (HubKey, i32, usize) {
        let Shared { key, pid, channels, .. } = &*self.shared;
        (key.clone(), pid.load(Ordering::Relaxed), channels.load(Ordering::Relaxed))
    }
}

/// A session's place on a channel; it leaves when this is dropped.
#[derive(Debug)]
pub struct Membership {
    /// The channel.
    pub channel: Arc<str>,
    ear: Arc<Ear>,
    hubs: Vec<Arc<Hub>>,
}

impl Membership {
    /// Joins a channel at several hubs, and returns when all of them listen on it.
    ///
    /// # Errors
    /// [`NotifyError`], the first one; the session is then on none of them.
    pub async fn join(channel: &str, ear: &Arc<Ear>, hubs: &[Arc<Hub>]) -> Result<Self, NotifyError> {
        let membership = Self { channel: channel.into(), ear: ear.clone(), hubs: hubs.to_vec() };
        let mut answers = Vec::with_capacity(hubs.len());
        for hub in &membership.hubs {
            let (done, answer) = oneshot::channel();
            let ask = Ask::Join { channel: membership.channel.clone(), ear: ear.clone(), done };
            let _ = hub.asks.send(ask);
            answers.push((hub, answer));
        }
        for (hub, answer) in answers {
            let ended = |_| NotifyError::lost(&hub.shared.key.shard, "its task has ended");
            answer.await.map_err(ended)??;
        }
        Ok(membership)
    }
}

impl Membership {
    /// Joins the hubs among these that it is not at, without waiting for them, and leaves those that are not.
    pub fn follow(&mut self, hubs: &[Arc<Hub>]) {
        let is_in = |hub: &Arc<Hub>, hubs: &[Arc<Hub>]| hubs.iter().any(|other| Arc::ptr_eq(hub, other));
        let before = std::mem::replace(&mut self.hubs, hubs.to_vec());
        for hub in hubs.iter().filter(|hub| !is_in(hub, &before)) {
            // The hub goes on trying to reach its server.
            let ask = Ask::Join { channel: self.channel.clone(), ear: self.ear.clone(), done: oneshot::channel().0 };
            let _ = hub.asks.send(ask);
        }
        before.iter().filter(|hub| !is_in(hub, hubs)).for_each(|hub| self.leave(hub));
    }

    fn leave(&self, hub: &Hub) {
        let _ = hub.asks.send(Ask::Leave { channel: self.channel.clone(), ear: self.ear.clone() });
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hubs.iter().for_each(|hub| self.leave(hub));
    }
}

/// The hubs of a database.
#[derive(Debug, Default)]
pub struct Hubs {
    hubs: Mutex<HashMap<HubKey, Weak<Hub>>>,
}

impl Hubs {
    fn hubs(&self) -> MutexGuard<'_, HashMap<HubKey, Weak<Hub>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub of this key, started if there is none.
    pub fn hub(&self, key: HubKey, locate: impl FnOnce() -> Locate) -> Arc<Hub> {
        let mut hubs = self.hubs();
        if let Some(hub) = hubs.get(&key).and_then(Weak::upgrade) {
            return hub;
        }
        hubs.retain(|_, hub| hub.strong_count() > 0);
        let hub = Hub::start(key.clone(), locate());
        hubs.insert(key, Arc::downgrade(&hub));
        hub
    }

    /// The database's shards are others than before: everybody who listens looks for its hubs.
    pub fn moved(&self) {
        for hub in self.all() {
            let _ = hub.asks.send(Ask::Moved);
        }
    }

    /// The hubs that listen to a shard.
    pub fn of(&self, shard: &ShardName) -> Vec<Arc<Hub>> {
        let hubs = self.hubs();
        hubs.iter().filter(|(key, _)| key.shard == *shard).filter_map(|(_, hub)| hub.upgrade()).collect()
    }

    /// All hubs.
    pub fn all(&self) -> Vec<Arc<Hub>> {
        self.hubs().values().filter_map(Weak::upgrade).collect()
    }
}

//! Registry: who is here. Every client with what it does now, for `SHOW CLIENTS`, `KILL` and cancel requests.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::Notify;

/// A moment, to within a tenth of a second: milliseconds since the process began. Reading it costs no call of the
/// system's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coarse(u64);

static NOW: AtomicU64 = AtomicU64::new(0);
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How often [`tick`] is to be called.
pub const TICK: Duration = Duration::from_millis(100);

/// Sets the coarse clock.
pub fn tick() {
    NOW.store(BEGAN.elapsed().as_millis() as u64, Ordering::Relaxed);
}

impl Coarse {
    /// The moment so much later.
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The moment of the last tick.
pub fn now() -> Coarse {
    Coarse(NOW.load(Ordering::Relaxed))
}

/// How long ago a moment was.
pub fn since(moment: Coarse) -> Duration {
    Duration::from_millis(now().0.saturating_sub(moment.0))
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Doing {
    /// Waits for its next statement, outside a transaction.
    Idle,
    /// Waits for its next statement, inside a transaction.
    InTransaction,
    /// Runs a statement.
    Active,
    /// Waits for a backend.
    Waiting,
}

impl Doing {
    /// As `SHOW CLIENTS` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::InTransaction => "idle in transaction",
            Self::Active => "active",
            Self::Waiting => "waiting",
        }
    }
}

/// A client that is connected. `B` is what a cancel request for one of its backends needs.
#[derive(Debug)]
pub struct Client<B> {
    /// Process id as the client sees it: positive.
    pub id: i32,
    /// Secret of its cancel key.
    pub secret: Vec<u8>,
    /// User.
    pub user: Arc<str>,
    /// Database.
    pub database: Arc<str>,
    /// Address.
    pub address: String,
    /// Connected over TLS.
    pub tls: bool,
    /// When it connected.
    pub since: SystemTime,
    doing: AtomicU8,
    changed: AtomicU64,
    statements: AtomicU64,
    killed: AtomicBool,
    /// When its statement was cancelled to break a deadlock.
    deadlocked: AtomicU64,
    /// Wakes the session to look at what is asked of it.
    pub wake: Notify,
    /// Tells the session that its time is over.
    pub killing: Notify,
    working: Mutex<Vec<B>>,
    application: Mutex<String>,
    pins: Mutex<Vec<(String, SystemTime)>>,
}

/// No moment.
const NEVER: u64 = u64::MAX;
/// A cancel arrives sooner than this, or has come too late.
const DEADLOCK_TOLD: Duration = Duration::from_secs(2);

/// Set in what a client does when it waits and was asked to give its statement up.
const GIVEN_UP: u8 = 1 << 7;

impl<B: Clone> Client<B> {
    /// Says what the client does from now on.
    pub fn set_doing(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
        self.changed.store(now().0, Ordering::Relaxed);
    }

    /// What the client does.
    pub fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) & !GIVEN_UP {
            0 => Doing::Idle,
            1 => Doing::InTransaction,
            2 => Doing::Active,
            _ => Doing::Waiting,
        }
    }

    /// Asks a client that waits to give its statement up; does nothing to one that does not wait.
    pub fn give_up(&self) {
        let waits = Doing::Waiting as u8;
        if self.doing.compare_exchange(waits, waits | GIVEN_UP, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.wake.notify_one();
        }
    }

    /// The client waits, and was asked not to.
    pub fn has_given_up(&self) -> bool {
        self.doing.load(Ordering::Acquire) & GIVEN_UP != 0
    }

    /// The client has waited, and works from now on; whether it was asked to give up before.
    pub fn end_wait(&self) -> bool {
        self.changed.store(now().0, Ordering::Relaxed);
        self.doing.swap(Doing::Active as u8, Ordering::AcqRel) & GIVEN_UP != 0
    }

    /// Seconds since it began to do so.
    pub fn doing_for(&self) -> f64 {
        since(Coarse(self.changed.load(Ordering::Relaxed))).as_secs_f64()
    }

    /// Counts a statement.
    pub fn count(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Statements so far.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Its application_name.
    pub fn application(&self) -> String {
        lock(&self.application).clone()
    }

    /// Notes its application_name.
    pub fn set_application(&self, name: &str) {
        name.clone_into(&mut lock(&self.application));
    }

    /// A backend works for it from now on.
    pub fn begin_work(&self, backend: B) {
        lock(&self.working).push(backend);
    }

    /// No backend works for it any more.
    pub fn end_work(&self) {
        lock(&self.working).clear();
    }

    /// Runs `act` on each backend that works for it at this moment; none can end its work meanwhile.
    pub fn with_working<T>(&self, act: impl FnMut(&B) -> T) -> Vec<T> {
        lock(&self.working).iter().map(act).collect()
    }

    /// Its statement is about to be cancelled to break a deadlock.
    pub fn break_deadlock(&self) {
        self.deadlocked.store(now().0, Ordering::Release);
    }

    /// The statement that has just been cancelled was so to break a deadlock.
    pub fn take_deadlock(&self) -> bool {
        let at = self.deadlocked.swap(NEVER, Ordering::AcqRel);
        at != NEVER && since(Coarse(at)) < DEADLOCK_TOLD
    }

    /// Asks its session to end.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake.notify_one();
        self.killing.notify_one();
    }

    /// Its session was asked to end.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Why it is pinned, and since when.
    pub fn pins(&self) -> Vec<(String, SystemTime)> {
        lock(&self.pins).clone()
    }

    /// Notes a reason for a pin.
    pub fn add_pin(&self, reason: &str) {
        let mut pins = lock(&self.pins);
        if !pins.iter().any(|(known, _)| known == reason) {
            pins.push((reason.to_owned(), SystemTime::now()));
        }
    }

    /// One reason for a pin is gone; returns whether there are others.
    pub fn remove_pin(&self, reason: &str) -> bool {
        let mut pins = lock(&self.pins);
        pins.retain(|(known, _)| known != reason);
        !pins.is_empty()
    }

    /// It is no longer pinned.
    pub fn clear_pins(&self) {
        lock(&self.pins).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All clients of this router.
#[derive(Debug)]
pub struct Clients<B> {
    clients: RwLock<HashMap<i32, Arc<Client<B>>>>,
    next: AtomicI32,
}

impl<B> Default for Clients<B> {
    fn default() -> Self {
        Self { clients: RwLock::default(), next: AtomicI32::new(1) }
    }
}

/// Who connects.
#[derive(Debug)]
pub struct Arrival {
    /// Secret of its cancel key.
    pub secret: Vec<u8>,
    /// User.
    pub user: Arc<str>,
    /// Database.
    pub database: Arc<str>,
    /// Address.
    pub address: String,
    /// Connected over TLS.
    pub tls: bool,
}

impl<B: Clone> Clients<B> {
    /// Takes a client in under a positive id that no other client has.
    pub fn enter(&self, arrival: Arrival) -> Arc<Client<B>> {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        let mut id = self.next.load(Ordering::Relaxed);
        while clients.contains_key(&id) {
            id = following(id);
        }
        self.next.store(following(id), Ordering::Relaxed);
        let client = Arc::new(Client {
            id,
            secret: arrival.secret,
            user: arrival.user,
            database: arrival.database,
            address: arrival.address,
            tls: arrival.tls,
            since: SystemTime::now(),
            doing: AtomicU8::new(Doing::Idle as u8),
            changed: AtomicU64::new(now().0),
            statements: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            deadlocked: AtomicU64::new(NEVER),
            wake: Notify::new(),
            killing: Notify::new(),
            working: Mutex::default(),
            application: Mutex::default(),
            pins: Mutex::default(),
        });
        clients.insert(id, client.clone());
        client
    }

    /// Lets a client go.
    pub fn leave(&self, id: i32) {
        self.clients.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The client of this id.
    pub fn get(&self, id: i32) -> Option<Arc<Client<B>>> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Everybody, by id.
    pub fn all(&self) -> Vec<Arc<Client<B>>> {
        let mut all: Vec<_> = self.clients.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by_key(|client| client.id);
        all
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Nobody is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn following(id: i32) -> i32 {
    if id >= 0x7f_ffff { 1 } else { id + 1 }
}

//! Askers: pgring's own connections to the servers that know users, kept between log-ins. In: a database's name, a way
//! to connect. Out: a connection on which the questions are prepared. Never: a question; an answer that is used twice.

use pgring_config::topology::Connection;
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio_postgres::{Client, Statement};

/// One connection, with what is asked on it.
#[derive(Debug)]
pub struct Asker {
    database: String,
    connection: Connection,
    query: String,
    /// The connection.
    pub client: Client,
    /// `auth.query`, prepared.
    pub secret: Statement,
    /// What the server knows of a role, prepared.
    pub role: Statement,
    /// The server makes md5 hashes of new passwords.
    pub makes_md5: bool,
    used: Mutex<Instant>,
}

impl Asker {
    /// A connection to a database that was made with these, and is used now.
    pub fn new(
        (database, connection, query): (&str, Connection, &str),
        client: Client,
        [secret, role]: [Statement; 2],
        makes_md5: bool,
    ) -> Self {
        let (database, query) = (database.to_owned(), query.to_owned());
        Self { database, connection, query, client, secret, role, makes_md5, used: Mutex::new(Instant::now()) }
    }

    fn is_for(&self, connection: &Connection, query: &str) -> bool {
        self.connection == *connection && self.query == query && !self.client.is_closed()
    }

    fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A place for one connection; who connects holds it, so that a burst of clients makes one.
type Slot = tokio::sync::Mutex<Option<Arc<Asker>>>;

/// The connections, by database.
#[derive(Debug, Default)]
pub struct Askers(Mutex<HashMap<String, Arc<Slot>>>);

impl Askers {
    /// The connection of this database, made by `connect` where there is none that fits; closed when nobody has asked
    /// for `idle`.
    ///
    /// # Errors
    /// What `connect` says.
    pub async fn get<E>(
        self: &Arc<Self>,
        (database, idle): (&str, Duration),
        (connection, query): (&Connection, &str),
        connect: impl Future<Output = Result<Asker, E>>,
    ) -> Result<Arc<Asker>, E> {
        let slot = self.slots().entry(database.to_owned()).or_default().clone();
        let mut kept = slot.lock().await;
        if let Some(asker) = kept.as_ref().filter(|asker| asker.is_for(connection, query)) {
            asker.touch();
            return Ok(asker.clone());
        }
        *kept = None;
        match connect.await {
            Ok(asker) => {
                let asker = Arc::new(asker);
                *kept = Some(asker.clone());
                tokio::spawn(close_when_idle(Arc::downgrade(self), idle, Arc::downgrade(&asker)));
                Ok(asker)
            }
            Err(error) => {
                drop(kept);
                self.slots().remove(database);
                Err(error)
            }
        }
    }

    /// Lets the connection of this database go.
    pub fn leave(&self, database: &str) {
        self.slots().remove(database);
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection go, if it is still the one that is kept and nobody takes it at this moment.
    pub fn forget(&self, asker: &Arc<Asker>) {
        let mut slots = self.slots();
        let is_kept = |slot: &Arc<Slot>| {
            slot.try_lock().is_ok_and(|kept| kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, asker)))
        };
        if slots.get(&asker.database).is_some_and(is_kept) {
            slots.remove(&asker.database);
        }
    }
}

async fn close_when_idle(askers: Weak<Askers>, idle: Duration, asker: Weak<Asker>) {
    loop {
        tokio::time::sleep(idle / 2).await;
        let (Some(askers), Some(asker)) = (askers.upgrade(), asker.upgrade()) else { return };
        if asker.idle() >= idle || asker.client.is_closed() {
            askers.forget(&asker);
        }
    }
}

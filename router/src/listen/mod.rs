//! Listen: from a socket to a desk. In: addresses. Out: clients who have logged in, at a session or the admin desk;
//! cancel requests, passed on. Never: a statement.

mod accept;
mod cancel;
mod greet;

pub use accept::{ListenError, Listening, bind};

use crate::{auth::verifier::Verifiers, cluster::Cluster};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::runtime::Handle;

/// What every listener shares: where clients go.
#[derive(Debug)]
pub struct Door {
    cluster: Arc<Cluster>,
    verifiers: Verifiers,
    workers: Vec<Handle>,
    turn: AtomicUsize,
    seats: Arc<Seats>,
}

impl Door {
    /// A door to these worker threads.
    pub fn new(cluster: Arc<Cluster>, workers: Vec<Handle>) -> Self {
        let verifiers = Verifiers::default();
        verifiers.prepare(&cluster.settings.load());
        Self { cluster, verifiers, workers, turn: AtomicUsize::new(0), seats: Arc::default() }
    }
}

/// Clients who have asked for a session, in all and by user.
#[derive(Debug, Default)]
struct Seats {
    taken: AtomicUsize,
    by_user: Mutex<HashMap<Arc<str>, usize>>,
}

/// One client's seat; free again when it is dropped.
#[derive(Debug)]
struct Seat {
    seats: Arc<Seats>,
    user: Option<Arc<str>>,
}

impl Seats {
    /// A seat, if fewer than `most` are taken.
    fn take(self: &Arc<Self>, most: usize) -> Option<Seat> {
        let room = |taken: usize| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        Some(Seat { seats: self.clone(), user: None })
    }

    fn users(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Makes it the seat of a user, if that user has fewer than `most`.
    fn assign(&mut self, user: &Arc<str>, most: Option<usize>) -> bool {
        let mut users = self.seats.users();
        let taken = users.entry(user.clone()).or_default();
        if most.is_some_and(|most| *taken >= most) {
            return false;
        }
        *taken += 1;
        self.user = Some(user.clone());
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.fetch_sub(1, Ordering::AcqRel);
        let Some(user) = self.user.take() else { return };
        let mut users = self.seats.users();
        if let Some(taken) = users.get_mut(&user) {
            *taken -= 1;
            if *taken == 0 {
                users.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_in_all_and_by_user() {
        let (seats, ann, bob) = (Arc::new(Seats::default()), Arc::from("ann"), Arc::from("bob"));
        let mut first = seats.take(3).unwrap();
        let mut second = seats.take(3).unwrap();
        let mut third = seats.take(3).unwrap();
        assert!(seats.take(3).is_none());
        assert!(first.assign(&ann, Some(1)));
        assert!(!second.assign(&ann, Some(1)));
        assert!(second.assign(&bob, None) && third.assign(&bob, None));
        drop(first);
        assert!(seats.take(3).unwrap().assign(&ann, Some(1)));
        drop((second, third));
        assert_eq!(seats.taken.load(Ordering::Relaxed), 0);
        assert!(seats.users().is_empty());
    }
}

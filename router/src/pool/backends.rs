//! Backends: which connections a pool has, and what each does, for `SHOW SERVERS`. In: connections that come, work, rest
//! and go. Out: a list. Never: the connections themselves.

use crate::registry::{self, Coarse};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI32, Ordering},
};

/// What one backend does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendState {
    /// Waits in its pool.
    Idle,
    /// Works for the client of this id, or is kept by it.
    Active(i32),
    /// Is being set up.
    Opening,
}

/// One backend as its pool's list knows it.
#[derive(Debug)]
pub struct Backend {
    /// Process id on the server.
    pub pid: i32,
    /// When it was made.
    pub created: Coarse,
    client: AtomicI32,
}

/// No client: at rest.
const RESTING: i32 = 0;
/// No client yet.
const NEW: i32 = -1;

impl Backend {
    /// A backend that has just been made.
    pub fn new(pid: i32) -> Self {
        Self { pid, created: registry::now(), client: AtomicI32::new(NEW) }
    }

    /// It works for this client from now on.
    pub fn work_for(&self, client: i32) {
        self.client.store(client, Ordering::Relaxed);
    }

    /// It works for nobody.
    pub fn rest(&self) {
        self.client.store(RESTING, Ordering::Relaxed);
    }

    /// What it does.
    pub fn state(&self) -> BackendState {
        match self.client.load(Ordering::Relaxed) {
            RESTING => BackendState::Idle,
            NEW => BackendState::Opening,
            client => BackendState::Active(client),
        }
    }
}

/// The backends of one pool.
#[derive(Debug, Default)]
pub(super) struct Backends(Mutex<Vec<Arc<Backend>>>);

impl Backends {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Backend>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, backend: Arc<Backend>) {
        self.list().push(backend);
    }

    pub(super) fn remove(&self, backend: &Backend) {
        self.list().retain(|known| !std::ptr::eq(&**known, backend));
    }

    pub(super) fn all(&self) -> Vec<Arc<Backend>> {
        self.list().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_listed_with_what_it_does_until_it_goes() {
        let (list, one, two) = (Backends::default(), Arc::new(Backend::new(7)), Arc::new(Backend::new(7)));
        list.add(one.clone());
        list.add(two.clone());
        assert_eq!(one.state(), BackendState::Opening);
        one.work_for(3);
        two.rest();
        let states: Vec<BackendState> = list.all().iter().map(|backend| backend.state()).collect();
        assert_eq!(states, [BackendState::Active(3), BackendState::Idle]);
        list.remove(&one);
        assert_eq!(list.all().len(), 1);
        assert_eq!(list.all()[0].state(), BackendState::Idle);
    }
}

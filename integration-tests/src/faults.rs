//! Faults a test brings about, and waiting for facts instead of sleeping.
//! In: a fact to wait for, a process to disturb. Out: the fact, or a panic that names it. Never: sleeps for luck.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use pgring_local_postgres::Signal;

use crate::router::Router;

/// How often a fact is looked at again.
const POLL: Duration = Duration::from_millis(10);

/// Waits until `look` returns something.
///
/// # Panics
/// With `what` if it does not within `patience`.
pub async fn eventually<T, F>(what: &str, patience: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(fact) = look().await {
            return fact;
        }
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain for: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// The result of an operation and that it took no longer than `limit`.
///
/// # Panics
/// If it took longer.
pub async fn within<T: Debug>(limit: Duration, operation: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(limit, operation).await;
    outcome.unwrap_or_else(|_| panic!("took longer than {limit:?}"))
}

/// A router that stands still, as if its machine were frozen, until this value is dropped.
#[derive(Debug)]
pub struct Frozen<'a> {
    router: &'a mut Router,
}

impl<'a> Frozen<'a> {
    /// Freezes the router.
    pub fn freeze(router: &'a mut Router) -> Frozen<'a> {
        router.signal(Signal::Stop);
        Frozen { router }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.router.signal(Signal::Continue);
    }
}

//! Timer: the time that a statement may take (`timeouts.query`). In: a message that may run statements. Out: requests to
//! cancel them when it is over. Never: an answer.

use super::Session;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often a statement that has run out of time is cancelled.
const AGAIN: Duration = Duration::from_millis(500);

/// Ends a time-out's task with the statement it was for.
#[derive(Debug)]
pub(super) struct Timer(tokio::task::JoinHandle<()>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// Cancels what runs for this client when it has taken too long (`timeouts.query`).
    pub(super) fn timer(&mut self, kind: u8) -> Option<Timer> {
        if !matches!(kind, b'Q' | b'S' | b'H' | b'F') {
            return None;
        }
        let limit = self.cluster.settings.load().timeouts.query.limit()?;
        let me = self.me.clone();
        let overdue = Arc::new(AtomicBool::new(false));
        self.client.overdue = Some(overdue.clone());
        let timer = tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            overdue.store(true, Ordering::Release);
            // Again and again: a statement that waited for its backend begins when its time is over.
            loop {
                for (backend, passing) in me.with_working(|backend| (backend.clone(), backend.gate.enter())) {
                    // In a task of its own: this one ends with the statement, a request under way must not.
                    tokio::spawn(backend.cancel(passing));
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
        Some(Timer(timer))
    }
}

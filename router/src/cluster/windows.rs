//! Windows: values of sequences that this router has drawn and not given away yet. In: what a refill brought. Out: values,
//! each once. Never: a connection; a value that was drawn before its sequence was put to another one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_postgres::Client;

/// Refills that come faster one after the other than this belong together.
const QUICK: Duration = Duration::from_millis(25);

/// So many quick refills bring what is asked for and no more, so that a sequence stands where its user expects it.
const MODEST: u32 = 4;

/// Values that are drawn ahead at most.
const MOST_AHEAD: usize = 8192;

/// Connections that are kept for drawing.
const MOST_IDLE: usize = 4;

/// The windows of one database, by the sequences' OIDs on its default shard.
#[derive(Debug, Default)]
pub struct Windows {
    all: Mutex<HashMap<u32, Arc<Window>>>,
    voids: AtomicU64,
    idle: Mutex<Vec<(Arc<str>, Client)>>,
}

/// The values of one sequence.
#[derive(Debug, Default)]
pub struct Window {
    /// One refill at a time.
    pub refill: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    values: VecDeque<i64>,
    refilled: Option<Instant>,
    quick: u32,
}

impl Windows {
    /// The window of a sequence.
    pub fn of(&self, sequence: u32) -> Arc<Window> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).entry(sequence).or_default().clone()
    }

    /// Sequences may stand elsewhere now: nothing that was drawn before is given away.
    pub fn void(&self) {
        self.voids.fetch_add(1, Ordering::AcqRel);
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Differs after [`Windows::void`].
    pub fn voids(&self) -> u64 {
        self.voids.load(Ordering::Acquire)
    }

    /// A kept connection to this server.
    pub fn connection(&self, server: &str) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(of, client)| **of == *server && !client.is_closed());
        idle.pop().map(|(_, client)| client)
    }

    /// Keeps a connection that was of use.
    pub fn keep(&self, server: &Arc<str>, client: Client) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push((server.clone(), client));
        }
    }
}

impl Window {
    /// Takes as many of `wanted` values as are there, in their order.
    pub fn take(&self, wanted: usize) -> Vec<i64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let there = wanted.min(state.values.len());
        state.values.drain(..there).collect()
    }

    /// How many values more than are asked for the next refill is to bring: none for who draws now and then.
    pub fn ahead(&self) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let quick = state.refilled.is_some_and(|before| now.duration_since(before) < QUICK);
        state.quick = if quick { state.quick.saturating_add(1) } else { state.quick / 2 };
        state.refilled = Some(now);
        match state.quick.checked_sub(MODEST) {
            None => 0,
            Some(times) => MOST_AHEAD.min(16_usize << times.min(16)),
        }
    }

    /// Puts in what a refill brought.
    pub fn put(&self, values: Vec<i64>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).values.extend(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_given_once_and_none_after_it_is_void() {
        let windows = Windows::default();
        windows.of(7).put(vec![1, 2, 3]);
        assert_eq!(windows.of(7).take(2), [1, 2]);
        assert_eq!(windows.of(8).take(2), [0_i64; 0]);
        let before = windows.voids();
        windows.void();
        assert_ne!(windows.voids(), before);
        assert_eq!(windows.of(7).take(2), [0_i64; 0]);
    }

    #[test]
    fn who_draws_now_and_then_draws_nothing_ahead() {
        let window = Window::default();
        let ahead: Vec<usize> = (0..20).map(|_| window.ahead()).collect();
        assert_eq!(ahead[..4], [0; 4]);
        assert!(ahead[4..].windows(2).all(|pair| pair[0] <= pair[1]) && ahead[19] == MOST_AHEAD, "{ahead:?}");
    }
}

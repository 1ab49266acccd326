//! Ear: what one session has heard and its client has not been told yet. In: frames of the hubs. Out: frames for the
//! client, in order. Never: grows beyond a limit.

use bytes::{Bytes, BytesMut};
use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Bytes that may wait for one client; a client for which more comes is not listening in fact.
pub const MOST_WAITING: usize = 4 * 1024 * 1024;
/// What a frame takes beside its bytes.
const OVERHEAD: usize = 64;
/// Where a NotificationResponse has its process id.
const PID: std::ops::Range<usize> = 5..9;

/// The channels that a session listens on, and what it has heard there.
#[derive(Debug)]
pub struct Ear {
    client: i32,
    wake: Notify,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    channels: HashSet<Arc<str>>,
    waiting: VecDeque<(Option<Arc<str>>, Bytes)>,
    bytes: usize,
    is_full: bool,
    moved: bool,
}

impl Ear {
    /// The ear of a client that is known to itself by this process id.
    pub fn new(client: i32) -> Arc<Self> {
        Arc::new(Self { client, wake: Notify::new(), heard: Mutex::default() })
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what is said on this channel from now on.
    pub fn open(&self, channel: &Arc<str>) {
        self.heard().channels.insert(channel.clone());
    }

    /// Hears this channel no more, and forgets what was heard there.
    pub fn close(&self, channel: &str) {
        let mut heard = self.heard();
        if heard.channels.remove(channel) {
            heard.waiting.retain(|(on, _)| on.as_deref() != Some(channel));
            heard.bytes = heard.waiting.iter().map(|(_, frame)| frame.len() + OVERHEAD).sum();
        }
    }

    /// A NotificationResponse on this channel. A process id that is no client's (`foreign`) must not look like this
    /// client's own.
    pub(super) fn push(&self, channel: &Arc<str>, frame: &Bytes, foreign: bool) {
        let heard = self.heard();
        if !heard.channels.contains(channel) {
            return;
        }
        let own = foreign && frame.get(PID) == Some(&self.client.to_be_bytes()[..]);
        let frame = if own { nobodys(frame) } else { frame.clone() };
        self.put(heard, Some(channel.clone()), frame);
    }

    /// A message to whoever listens on anything.
    pub(super) fn warn(&self, frame: &Bytes) {
        let heard = self.heard();
        if !heard.channels.is_empty() {
            self.put(heard, None, frame.clone());
        }
    }

    fn put(&self, mut heard: MutexGuard<'_, Heard>, channel: Option<Arc<str>>, frame: Bytes) {
        let bytes = heard.bytes + frame.len() + OVERHEAD;
        if heard.is_full || bytes > MOST_WAITING {
            heard.is_full = true;
            heard.waiting = VecDeque::new();
            heard.bytes = 0;
        } else {
            heard.bytes = bytes;
            heard.waiting.push_back((channel, frame));
        }
        drop(heard);
        self.wake.notify_one();
    }

    /// Moves what was heard into `out`, up to about so many bytes.
    pub fn take(&self, most: usize, out: &mut BytesMut) {
        let mut heard = self.heard();
        while out.len() < most
            && let Some((_, frame)) = heard.waiting.pop_front()
        {
            heard.bytes -= frame.len() + OVERHEAD;
            out.extend_from_slice(&frame);
        }
        if heard.waiting.is_empty() && heard.waiting.capacity() > 1024 {
            heard.waiting = VecDeque::new();
        }
    }

    /// Its hubs may be others now.
    pub(super) fn move_on(&self) {
        self.heard().moved = true;
        self.wake.notify_one();
    }

    /// Whether its hubs may be others than when this was asked last.
    pub fn has_moved(&self) -> bool {
        std::mem::take(&mut self.heard().moved)
    }

    /// More came than may wait: something was lost.
    pub fn is_full(&self) -> bool {
        self.heard().is_full
    }

    /// Waits until something was heard, or lost, or its hubs may be others.
    pub async fn something(&self) {
        loop {
            let woken = self.wake.notified();
            {
                let heard = self.heard();
                if heard.is_full || heard.moved || !heard.waiting.is_empty() {
                    return;
                }
            }
            woken.await;
        }
    }

    /// Waits until something was lost.
    pub async fn filled(&self) {
        loop {
            let woken = self.wake.notified();
            if self.is_full() {
                return;
            }
            woken.await;
        }
    }
}

/// The notification as sent by nobody.
fn nobodys(frame: &Bytes) -> Bytes {
    let mut copy = BytesMut::from(&frame[..]);
    if let Some(pid) = copy.get_mut(PID) {
        pid.fill(0);
    }
    copy.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgring_protocol::message::build;

    fn notification(pid: i32, channel: &str, payload: &str) -> Bytes {
        let mut frame = BytesMut::new();
        build::notification(&mut frame, pid, channel, payload);
        frame.freeze()
    }

    fn taken(ear: &Ear) -> BytesMut {
        let mut out = BytesMut::new();
        ear.take(usize::MAX, &mut out);
        out
    }

    #[test]
    fn only_open_channels_are_heard() {
        let (ear, a, b) = (Ear::new(7), Arc::from("a"), Arc::from("b"));
        ear.open(&a);
        ear.push(&a, &notification(1, "a", "x"), true);
        ear.push(&b, &notification(1, "b", "y"), true);
        assert_eq!(taken(&ear), notification(1, "a", "x"));
        ear.push(&a, &notification(1, "a", "z"), true);
        ear.close("a");
        assert!(taken(&ear).is_empty(), "what was heard on a closed channel is forgotten");
    }

    #[test]
    fn a_stranger_with_the_clients_number_is_nobody() {
        let (ear, a) = (Ear::new(7), Arc::from("a"));
        ear.open(&a);
        ear.push(&a, &notification(7, "a", ""), true);
        ear.push(&a, &notification(7, "a", ""), false);
        assert_eq!(taken(&ear), [notification(0, "a", ""), notification(7, "a", "")].concat());
    }

    #[test]
    fn what_waits_is_bounded() {
        let (ear, a) = (Ear::new(7), Arc::from("a"));
        ear.open(&a);
        let frame = notification(1, "a", &"x".repeat(7000));
        for _ in 0..MOST_WAITING / 7000 + 1 {
            assert!(ear.heard().bytes <= MOST_WAITING);
            ear.push(&a, &frame, true);
        }
        assert!(ear.is_full());
        assert!(taken(&ear).is_empty());
    }
}

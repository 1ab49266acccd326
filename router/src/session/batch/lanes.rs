//! Lanes: the backends that work for the batches under way. What each is to be sent is gathered, sent in one write,
//! and the answers are passed on in the order of the questions.
//!
//! Several batches may be under way; outside a transaction the reads of one batch may go to several shards, in a
//! transaction there is one lane at a time.

use super::super::{Fault, Session, hold::Held, prepared::Prepared};
use crate::{
    cluster::Snapshot,
    execute::relay::{Answer, Expect},
    pool::conn::Conn,
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::build;
use std::{cell::RefCell, collections::VecDeque, sync::Arc};

/// A request is sent, and its answers are passed on, when it has grown to this: so neither side waits for the other.
const CHUNK: usize = 32 * 1024;
/// Room that is kept for the next request.
pub(super) const SPARE: usize = 4 * 1024;

thread_local! {
    pub(super) static BUFFER: RefCell<BytesMut> = RefCell::default();
}

/// A backend that works for batches.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) number: u64,
    pub(super) shard: ShardIndex,
    /// It works outside the transaction.
    pub(super) apart: bool,
    /// The unnamed statement that this backend has.
    pub(super) unnamed: Option<Arc<Prepared>>,
    /// None: it was lost.
    pub(super) held: Option<Held>,
    pub(super) out: BytesMut,
    pub(super) reach: Reach,
    /// The last batch that it worked for.
    pub(super) batch: u64,
    /// Number of the session's temporary tables before it.
    pub(super) temps: usize,
    pub(super) answer: Answer,
    /// What it still answers belongs to a batch that has failed.
    pub(super) skips: bool,
}

impl Lane {
    pub(super) fn conn(&mut self) -> Option<&mut Conn> {
        self.held.as_mut().map(Held::conn)
    }

    /// The backend is taken out, to be put back.
    pub(super) fn take(&mut self) -> Option<Held> {
        self.held.take()
    }

    pub(super) fn put(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// Rolls back what the server has done without a Sync. A backend that cannot is closed, which does it as well.
    async fn roll_back(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        let conn = held.conn();
        let over = if std::mem::take(&mut self.skips) {
            // It has failed there, and everything is passed over up to Sync.
            let mut sync = BytesMut::new();
            build::sync(&mut sync);
            match conn.send(&sync).await {
                Ok(()) => conn.drain_rest().await.is_ok(),
                Err(_) => false,
            }
        } else {
            conn.housekeep("ROLLBACK").await.is_ok()
        };
        if over {
            self.answer.status = b'I';
            self.answer.error.get_or_insert(*b"40000");
            self.held = Some(held);
        }
    }
}

/// The lanes of a session.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) lanes: Vec<Lane>,
    /// The lane of the batch at hand.
    pub(super) current: Option<usize>,
    /// What is expected, in order, first from the lane `front`.
    pub(super) script: VecDeque<Expect>,
    pub(super) front: usize,
    /// The lane that the end of the script is about.
    pub(super) tail: usize,
    /// Batches whose answers are still to come, without the one at hand.
    pub(super) behind: usize,
    /// Number of the batch at hand.
    pub(super) batch: u64,
    /// Number of the last lane.
    pub(super) made: u64,
    /// An Execute was asked in the batch at hand.
    pub(super) executed: bool,
    pub(super) writes: bool,
    /// What follows must know how the batch at hand ends.
    pub(super) stays: bool,
    /// Part of the batch at hand was answered already.
    pub(super) left: bool,
    pub(super) stale: bool,
}

impl Lanes {
    /// No backend is held.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Batches wait for their answers.
    pub(super) fn is_behind(&self) -> bool {
        self.behind > 0
    }

    /// Something is asked of a backend and not answered yet.
    pub(super) fn is_asked(&self) -> bool {
        !self.script.is_empty() || self.executed
    }

    pub(super) fn executed(&self) -> bool {
        self.executed
    }

    /// What was executed in the batch at hand may have written.
    pub(super) fn writes(&self) -> bool {
        self.writes
    }

    /// The only lane that there is.
    pub(super) fn only(&self) -> Option<&Lane> {
        match self.lanes.as_slice() {
            [lane] => Some(lane),
            _ => None,
        }
    }

    /// An Execute is asked; it does this.
    pub(super) fn note_execute(&mut self) {
        self.executed = true;
    }

    /// What follows must know how the batch at hand ends.
    pub(super) fn stay(&mut self) {
        self.stays = true;
    }

    pub(super) fn current(&self) -> Option<&Lane> {
        self.lanes.get(self.current?)
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Lane> {
        self.lanes.get_mut(self.current?)
    }

    /// The batch met a stale plan, and nobody was told.
    pub(super) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Puts what is expected of the current lane next.
    pub(super) fn expect(&mut self, expect: Expect) {
        if let Some(current) = self.current {
            self.expect_of(current, expect);
        }
    }

    fn expect_of(&mut self, lane: usize, expect: Expect) {
        if self.tail != lane {
            self.script.push_back(Expect::Lane(lane));
            self.tail = lane;
        }
        self.script.push_back(expect);
    }

    /// Makes a lane the one of the batch at hand.
    fn enter(&mut self, at: usize, reach: Reach) {
        self.current = Some(at);
        self.writes |= reach == Reach::Write;
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.batch = self.batch;
            if reach == Reach::Write || lane.reach == Reach::Nothing {
                lane.reach = reach;
            }
        }
    }

    fn add(&mut self, mut held: Held, reach: Reach, apart: bool, temps: usize) {
        self.made += 1;
        let at = self.lanes.len();
        if self.lanes.capacity() == 0 {
            // One is what nearly all need, and what an idle session keeps room for.
            self.lanes.reserve_exact(1);
        }
        let opening = held.opening.take();
        self.lanes.push(Lane {
            number: self.made,
            shard: held.shard,
            apart,
            unnamed: None,
            held: Some(held),
            out: BUFFER.take(),
            reach,
            batch: self.batch,
            temps,
            answer: Answer::default(),
            skips: false,
        });
        self.enter(at, reach);
        if let Some(opening) = opening
            && let Some(lane) = self.lanes.get_mut(at)
        {
            build::query(&mut lane.out, opening.as_bytes());
            self.expect(Expect::Prelude);
        }
    }

    /// Ends the batch at hand on each backend that works for it. `shown`: a ReadyForQuery goes to the client.
    fn sync(&mut self, shown: bool) {
        let batch = self.batch;
        let used = |lane: &Lane| lane.batch == batch && lane.held.is_some();
        let several = self.lanes.iter().filter(|lane| used(lane)).count() > 1;
        for at in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(at).filter(|lane| used(lane)) else { continue };
            build::sync(&mut lane.out);
            let skips = std::mem::take(&mut lane.skips);
            self.expect_of(at, if skips { Expect::Prelude } else { Expect::Ready { hidden: several || !shown } });
        }
        if several && shown {
            self.script.push_back(Expect::End);
        }
        self.current = None;
    }

    /// The next batch begins.
    pub(super) fn next_batch(&mut self) {
        self.batch += 1;
        self.current = None;
        (self.executed, self.writes, self.stays, self.left) = (false, false, false, false);
    }

    /// The batch at hand works on one backend, and what comes after it need not know how it ends.
    fn may_run_on(&self) -> bool {
        let several = self.lanes.iter().filter(|lane| lane.batch == self.batch).count() > 1;
        let asked: usize = self.lanes.iter().map(|lane| lane.out.len()).sum();
        !self.stays && !self.left && !several && asked < CHUNK && self.current().is_some_and(|lane| !lane.apart)
    }

    /// Drops what is expected up to the end of the batch that the script's front belongs to. Returns which lanes still
    /// answer a Sync that the client does not see, and whether the end was there.
    pub(super) fn skip_batch(&mut self) -> (Vec<usize>, bool) {
        let mut lane = self.front;
        let mut syncs = Vec::new();
        while let Some(expect) = self.script.pop_front() {
            match expect {
                Expect::Lane(other) => lane = other,
                Expect::Ready { hidden: true } => syncs.push(lane),
                Expect::Ready { hidden: false } => {
                    syncs.push(lane);
                    self.front = lane;
                    return (syncs, true);
                }
                Expect::End => {
                    self.front = lane;
                    return (syncs, true);
                }
                _ => {}
            }
        }
        (self.front, self.tail) = (lane, lane);
        let batch = self.batch;
        self.lanes.iter_mut().filter(|lane| lane.batch == batch).for_each(|lane| lane.skips = true);
        (syncs, false)
    }
}

impl Session {
    /// Makes the backend of a shard the one that the batch's next messages go to.
    pub(super) async fn lane(
        &mut self,
        shard: ShardIndex,
        reach: Reach,
        apart: bool,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        if !apart && self.txn.is_some() {
            self.see(&[shard], reach, snapshot).await?;
        }
        let lanes = &mut self.batch.lanes;
        if let Some(current) = lanes.current {
            if lanes.current().is_some_and(|lane| lane.shard == shard && lane.apart == apart) {
                if !apart {
                    self.allow(&[shard], reach)?;
                }
                self.batch.lanes.enter(current, reach);
                return Ok(());
            }
            if self.txn.is_none() && lanes.executed && lanes.writes {
                Box::pin(self.make_block()).await?;
                self.see(&[shard], reach, snapshot).await?;
            }
            // What was read must have been read before something is written elsewhere.
            let follows = self.batch.lanes.executed && reach == Reach::Write;
            if self.txn.is_some() || apart || follows {
                self.leave_lanes().await?;
            }
        }
        let lanes = &mut self.batch.lanes;
        let known = |lane: &Lane| lane.shard == shard && lane.apart == apart && lane.held.is_some();
        if let Some(at) = lanes.lanes.iter().position(known) {
            if !apart {
                self.allow(&[shard], reach)?;
            }
            self.batch.lanes.enter(at, reach);
            return Ok(());
        }
        if self.txn.is_some() {
            // In a transaction one backend works at a time.
            self.leave_lanes().await?;
        }
        let held = if apart {
            self.hold_apart(snapshot, shard).await?
        } else {
            if self.txn.is_some() {
                self.allow(&[shard], reach)?;
            }
            if !self.batch.lanes.is_empty() && !self.has_room(snapshot, shard) {
                // Nobody waits for a backend while holding others.
                self.leave_lanes().await?;
            }
            self.hold(snapshot, shard).await?
        };
        let temps = self.temp_tables.len();
        self.batch.lanes.add(held, reach, apart, temps);
        Ok(())
    }

    /// Sends what has grown large, and passes its answers on, so that neither side waits for the other.
    pub(super) async fn make_room(&mut self, coming: usize) -> Result<(), Fault> {
        let has: usize = self.batch.lanes.lanes.iter().map(|lane| lane.out.len()).sum();
        if has > CHUNK || (has > 0 && has + coming > CHUNK) { self.answer_so_far().await } else { Ok(()) }
    }

    /// Sends everything that is asked so far and passes the answers on.
    pub(super) async fn answer_so_far(&mut self) -> Result<(), Fault> {
        let lanes = &mut self.batch.lanes;
        let batch = lanes.batch;
        let at_hand = lanes.current.is_some();
        for lane in lanes.lanes.iter_mut().filter(|lane| at_hand && lane.batch == batch && !lane.out.is_empty()) {
            build::flush(&mut lane.out);
        }
        let result = self.run_lanes(false).await;
        if self.batch.lanes.current.is_none() {
            self.settle_lanes().await;
        }
        result
    }

    /// Ends what the batch at hand has asked so far, before something that is answered elsewhere; the client sees no
    /// ReadyForQuery yet.
    pub(in crate::session) async fn leave_lanes(&mut self) -> Result<(), Fault> {
        if self.batch.lanes.is_empty() {
            return Ok(());
        }
        let lanes = &mut self.batch.lanes;
        if self.txn.is_none() && lanes.current.is_some() && lanes.executed && lanes.writes {
            return Box::pin(self.make_block()).await;
        }
        self.end_hidden().await
    }

    pub(super) async fn end_hidden(&mut self) -> Result<(), Fault> {
        let lanes = &mut self.batch.lanes;
        if lanes.current.is_some() {
            lanes.left = true;
            lanes.sync(false);
        }
        let result = self.run_lanes(false).await;
        self.settle_lanes().await;
        result
    }

    /// Ends the batch at hand with a message that is its own Sync.
    pub(super) async fn end_ridden(&mut self) -> Result<(), Fault> {
        self.batch.lanes.current = None;
        let result = self.run_lanes(false).await;
        self.settle_lanes().await;
        result
    }

    /// Ends the batch at hand at its Sync. Returns whether the client has, or will get, its ReadyForQuery by this.
    pub(super) async fn end_lanes(&mut self, again: bool) -> Result<bool, Fault> {
        let lanes = &mut self.batch.lanes;
        let Some(apart) = lanes.current().map(|lane| lane.apart) else {
            let result = if lanes.is_empty() { Ok(()) } else { self.run_lanes(false).await };
            self.settle_lanes().await;
            return result.map(|()| false);
        };
        // A ReadyForQuery before which notifications go is waited for.
        let runs_on = !self.client.hold_ready && !self.batch.healing && lanes.may_run_on();
        let once = again && self.txn.is_none() && lanes.behind == 0 && !lanes.left && lanes.lanes.len() == 1;
        lanes.sync(!apart);
        if runs_on && self.client.next_head().is_ok_and(|next| next.is_some_and(|head| runs_on_with(head.kind))) {
            lanes.behind += 1;
            return Ok(true);
        }
        let result = self.run_lanes(once && !self.batch.healing).await;
        self.settle_lanes().await;
        self.client.flush().await?;
        match result {
            Err(Fault::Told) if apart => {
                self.fail_txn();
                Ok(false)
            }
            result => result.map(|()| !apart),
        }
    }

    /// Ends the lanes of a batch that failed at pgring: its answers are passed on, its writes are not kept.
    pub(super) async fn close_lanes(&mut self) -> Result<(), Fault> {
        if self.batch.lanes.is_empty() {
            return Ok(());
        }
        let lanes = &self.batch.lanes;
        if !(self.txn.is_none() && lanes.executed && lanes.writes && lanes.current.is_some()) {
            return self.end_hidden().await;
        }
        let result = self.answer_so_far().await;
        let batch = self.batch.lanes.batch;
        for lane in self.batch.lanes.lanes.iter_mut().filter(|lane| lane.batch == batch) {
            Box::pin(lane.roll_back()).await;
            self.temp_tables.truncate(lane.temps);
        }
        self.settle_lanes().await;
        self.me.end_work();
        result
    }
}

/// A batch that is here already may be sent on before the last one is answered.
fn runs_on_with(kind: u8) -> bool {
    super::is_gathered(kind) || kind == b'S'
}

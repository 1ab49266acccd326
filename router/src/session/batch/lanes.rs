//! Lanes: the backends that work for the batches under way. What each is to be sent is gathered, sent in one write,
//! and the answers are passed on in the order of the questions.
//!
//! Outside a transaction several batches may be under way, and the reads of one batch may go to several shards. In a
//! transaction there is one lane at a time.

use super::super::{
    End, Fault, Session,
    hold::{self, Held},
    prepared::Prepared,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::relay::{self, Answer, Expect, RelayError},
    pool::conn::{Conn, ConnError},
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::build;
use std::{cell::RefCell, collections::VecDeque, sync::Arc};

/// A request is sent, and its answers are passed on, when it has grown to this: so neither side waits for the other.
const CHUNK: usize = 32 * 1024;
/// Room that is kept for the next request.
const SPARE: usize = 4 * 1024;

thread_local! {
    static BUFFER: RefCell<BytesMut> = RefCell::default();
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
    held: Option<Held>,
    pub(super) out: BytesMut,
    reach: Reach,
    /// The last batch that it worked for.
    batch: u64,
    /// Number of the session's temporary tables before it.
    temps: usize,
    answer: Answer,
    /// What it still answers belongs to a batch that has failed.
    skips: bool,
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
}

/// The lanes of a session.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    /// The lane of the batch at hand.
    current: Option<usize>,
    /// What is expected, in order, first from the lane `front`.
    script: VecDeque<Expect>,
    front: usize,
    /// The lane that the end of the script is about.
    tail: usize,
    /// Batches whose answers are still to come, without the one at hand.
    behind: usize,
    /// Number of the batch at hand.
    batch: u64,
    /// Number of the last lane.
    made: u64,
    /// An Execute was asked in the batch at hand.
    executed: bool,
    writes: bool,
    /// What follows must know how the batch at hand ends.
    stays: bool,
    /// Part of the batch at hand was answered already.
    left: bool,
    stale: bool,
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
    fn skip_batch(&mut self) -> (Vec<usize>, bool) {
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
        let lanes = &mut self.batch.lanes;
        if let Some(current) = lanes.current {
            if lanes.current().is_some_and(|lane| lane.shard == shard && lane.apart == apart) {
                lanes.enter(current, reach);
                return Ok(());
            }
            let writes = lanes.writes || reach == Reach::Write;
            if self.txn.is_none() && lanes.executed && writes {
                return Err(Report::new(catalogue::SECOND_SHARD)
                    .detail("a pipeline without transaction block is one transaction, and it reaches a second shard")
                    .hint("Send a Sync after each statement, or one statement at a time.")
                    .into());
            }
            if self.txn.is_some() || apart {
                self.leave_lanes().await?;
            }
        }
        let lanes = &mut self.batch.lanes;
        let known = |lane: &Lane| lane.shard == shard && lane.apart == apart && lane.held.is_some();
        if let Some(at) = lanes.lanes.iter().position(known) {
            lanes.enter(at, reach);
            return Ok(());
        }
        let held = if apart {
            self.hold_apart(snapshot, shard).await?
        } else {
            if self.txn.is_some() {
                self.admit(&[shard], reach)?;
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
    pub(super) async fn leave_lanes(&mut self) -> Result<(), Fault> {
        if self.batch.lanes.is_empty() {
            return Ok(());
        }
        let lanes = &mut self.batch.lanes;
        if self.txn.is_none() && lanes.current.is_some() && lanes.executed && lanes.writes {
            return Err(Report::new(catalogue::SECOND_SHARD)
                .detail("a pipeline without transaction block is one transaction, and it reaches more shards")
                .hint("Send a Sync after each statement, or one statement at a time.")
                .into());
        }
        self.end_hidden().await
    }

    async fn end_hidden(&mut self) -> Result<(), Fault> {
        let lanes = &mut self.batch.lanes;
        if lanes.current.is_some() {
            lanes.left = true;
            lanes.sync(false);
        }
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
        let runs_on = self.txn.is_none() && !self.client.hold_ready && !self.batch.healing && lanes.may_run_on();
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
        // Without a Sync the server rolls its implicit transaction back when the connection goes.
        let batch = self.batch.lanes.batch;
        for lane in self.batch.lanes.lanes.iter_mut().filter(|lane| lane.batch == batch) {
            lane.held = None;
            self.temp_tables.truncate(lane.temps);
        }
        self.settle_lanes().await;
        self.me.end_work();
        result
    }

    /// Sends what the lanes are to be sent, and passes the answers on until nothing more is expected. `once`: there is
    /// one batch, which can be run again.
    ///
    /// # Errors
    /// [`Fault::Told`] if the last batch failed on a server.
    async fn run_lanes(&mut self, once: bool) -> Result<(), Fault> {
        for at in 0..self.batch.lanes.lanes.len() {
            let Some(lane) = self.batch.lanes.lanes.get_mut(at).filter(|lane| !lane.out.is_empty()) else { continue };
            let out = std::mem::take(&mut lane.out);
            let sent = match lane.conn() {
                Some(conn) => conn.send(&out).await,
                None => Ok(()),
            };
            lane.out = out;
            lane.out.clear();
            if let Err(error) = sent {
                self.lose_lane(at, &error.into());
            }
        }
        let mut failed = false;
        loop {
            let Session { client, batch: super::Batch { lanes, .. }, .. } = self;
            let Some(lane) = lanes.lanes.get_mut(lanes.front) else { break };
            let answered = match (lane.held.as_mut(), once) {
                (None, _) if lanes.script.is_empty() => break,
                (None, _) => Err(lost_before()),
                (Some(held), true) => relay::relay_once(client, held.conn(), &mut lanes.script).await,
                (Some(held), false) => relay::relay(client, held.conn(), &mut lanes.script).await,
            };
            match answered {
                Ok(answer) => {
                    failed |= answer.open_error;
                    let skips = answer.failed;
                    lanes.stale |= answer.stale;
                    lane.answer.extend(answer);
                    if skips {
                        let (syncs, ended) = lanes.skip_batch();
                        self.swallow(&syncs).await;
                        if ended {
                            self.ready_after_lanes();
                            failed = false;
                        }
                        continue;
                    }
                }
                Err(RelayError::Backend { source, .. }) => {
                    self.lane_broke(source).await?;
                    continue;
                }
                Err(RelayError::Client(error)) => {
                    self.give_lanes_up().for_each(hold::hang_up);
                    return Err(End::Client(error).into());
                }
                Err(RelayError::Fatal) => {
                    drop(self.give_lanes_up());
                    return Err(End::Server.into());
                }
            }
            match lanes.script.pop_front() {
                None => break,
                Some(Expect::Lane(next)) => lanes.front = next,
                Some(_) => {
                    self.ready_after_lanes();
                    failed = false;
                }
            }
        }
        self.batch.lanes.behind = 0;
        if failed { Err(Fault::Told) } else { Ok(()) }
    }

    /// ReadyForQuery of a batch that several lanes worked for.
    fn ready_after_lanes(&mut self) {
        if self.client.hold_ready {
            self.client.ready_held = true;
        } else {
            build::ready_for_query(&mut self.client.out, b'I');
        }
    }

    /// Reads what lanes answer to a batch that has failed elsewhere.
    async fn swallow(&mut self, syncs: &[usize]) {
        for at in syncs {
            let Some(lane) = self.batch.lanes.lanes.get_mut(*at) else { continue };
            let Some(held) = &mut lane.held else { continue };
            match held.conn().drain_rest().await {
                Ok(status) => lane.answer.status = status,
                Err(error) => self.lose_lane(*at, &error),
            }
        }
    }

    fn lose_lane(&mut self, at: usize, error: &ConnError) {
        tracing::debug!(%error, "a backend was lost");
        let Some(lane) = self.batch.lanes.lanes.get_mut(at) else { return };
        lane.answer.error.get_or_insert(*b"08006");
        if lane.held.take().is_some_and(|held| held.is_in_txn()) {
            self.fail_txn();
        }
    }

    /// The script's front lane is gone: its batch fails; those after it go on as far as they can.
    async fn lane_broke(&mut self, error: ConnError) -> Result<(), Fault> {
        let front = self.batch.lanes.front;
        let Some(lane) = self.batch.lanes.lanes.get(front) else { return Ok(()) };
        let report = hold::lost(&error, lane.reach == Reach::Write && self.txn.is_none());
        self.lose_lane(front, &error);
        let (syncs, ended) = self.batch.lanes.skip_batch();
        self.swallow(&syncs).await;
        if !ended {
            return Err(report.into());
        }
        self.report(&report);
        self.fail_txn();
        let status = self.status();
        build::ready_for_query(&mut self.client.out, status);
        Ok(())
    }

    /// The session is over: nothing of the lanes is used again. Their backends.
    fn give_lanes_up(&mut self) -> impl Iterator<Item = Held> + use<> {
        self.me.end_work();
        std::mem::take(&mut self.batch.lanes).lanes.into_iter().filter_map(|lane| lane.held)
    }

    /// Lets every lane's backend go.
    async fn settle_lanes(&mut self) {
        let lanes = &mut self.batch.lanes;
        (lanes.current, lanes.front, lanes.tail, lanes.behind) = (None, 0, 0, 0);
        lanes.script.clear();
        let mut over = std::mem::take(&mut lanes.lanes);
        for lane in over.drain(..) {
            let Lane { held, mut answer, mut out, reach, temps, .. } = lane;
            out.clear();
            if out.capacity() <= SPARE {
                BUFFER.set(out);
            }
            self.forget_unparsed(&answer);
            if answer.error.is_some() && self.txn.is_none() {
                self.temp_tables.truncate(temps);
                self.restore_settings_of_batch();
            }
            let Some(mut held) = held else { continue };
            if answer.stale {
                held.conn().statements.clear();
                if held.conn().housekeep("DEALLOCATE ALL").await.is_err() {
                    continue;
                }
            }
            if answer.status == 0 {
                // It was not asked for anything yet.
                answer.status = if held.is_in_txn() { b'T' } else { b'I' };
            }
            self.settle(held, &answer, reach).await;
        }
        self.batch.lanes.lanes = over;
    }

    /// Statements whose Parse failed do not exist.
    fn forget_unparsed(&mut self, answer: &Answer) {
        if answer.unparsed.is_empty() {
            return;
        }
        let Session { batch, statements, .. } = self;
        for name in &batch.fresh {
            let id = statements.get(name).and_then(|prepared| prepared.id);
            if id.is_some_and(|id| answer.unparsed.contains(&id)) {
                statements.remove(name);
            }
        }
    }
}

/// A batch that is here already may be sent on before the last one is answered.
fn runs_on_with(kind: u8) -> bool {
    super::is_gathered(kind) || kind == b'S'
}

fn lost_before() -> RelayError {
    RelayError::Backend { source: ConnError::Lost(std::io::ErrorKind::ConnectionAborted.into()), began: false }
}

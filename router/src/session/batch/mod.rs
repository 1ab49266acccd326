//! Batch: the extended query protocol. Messages up to Sync or Flush are taken together; what goes to one backend goes
//! there in one write, and the answers come back in the order the client asked for them. Batches that are here
//! already are sent on before the answers of those before them are waited for.

mod answers;
mod block;
mod execution;
mod filled;
mod lanes;
mod place;
mod portal;
mod ride;
mod special;
mod statement;
pub(super) mod told;

use super::{End, Fault, Session, hold, prepared::Prepared};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    metrics::RouteKind,
    pool::profile::Profile,
    registry::Doing,
};
use bytes::{Buf, Bytes};
use lanes::Lanes;
use pgring_protocol::{
    frame::{self, Head},
    message::extended,
};
use portal::Portals;
use std::{sync::Arc, time::Instant};

/// Messages are worked off when so many bytes of them wait for a Sync.
const MOST_WAITING: usize = 64 * 1024;

/// What a session keeps of the extended protocol.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// An error was reported: everything up to Sync is passed over.
    skipping: bool,
    lanes: Lanes,
    portals: Portals,
    /// A Parse that no server has seen yet: where it goes is known with the next message.
    pending: Option<Pending>,
    /// Unnamed statements that servers were asked to parse, and have not answered.
    unnamed: Unnamed,
    /// Statements named since the last Sync.
    fresh: Vec<Box<[u8]>>,
    /// Messages behind the one at hand.
    input: Bytes,
    /// Behind those comes a Sync.
    ends: bool,
    started: Option<Instant>,
    /// The session's settings before the first statement since the last Sync that changed them.
    settings: Option<Arc<Profile>>,
    /// The way of the batch's last execution.
    route: Option<RouteKind>,
    /// The batch runs for the second time: what backends had prepared before is not relied on.
    healing: bool,
    /// Something was executed since the last Sync, and not committed at once.
    pipelined: bool,
    /// A COMMIT or ROLLBACK of the client was sent to the transaction's only backend.
    ended: bool,
    /// A COMMIT or ROLLBACK was sent since the last Sync.
    committed: bool,
    /// The transaction is the batch's own, and ends with it.
    block: bool,
    /// The Sync at hand counts as one among the data of a COPY FROM: another one ends the batch.
    passed_over: bool,
}

/// A Parse that no server has seen yet.
#[derive(Debug)]
struct Pending {
    name: Box<[u8]>,
    prepared: Arc<Prepared>,
    /// The statement of this name before it.
    before: Option<Arc<Prepared>>,
}

/// Unnamed statements in the order of their Parses: after an error those that were passed over have replaced nothing.
#[derive(Debug, Default)]
struct Unnamed {
    asked: Vec<Arc<Prepared>>,
    /// The one before all of them.
    before: Option<Arc<Prepared>>,
}

impl Batch {
    /// A portal of the client's has this number.
    pub(super) fn has_portal(&self, number: u64) -> bool {
        self.portals.has(number)
    }

    /// The client has bound a portal of this name.
    pub(super) fn knows_portal(&self, name: &str) -> bool {
        self.portals.get(name.as_bytes()).is_some()
    }

    /// The batch's own block becomes the client's; returns whether there was one.
    pub(super) fn take_block(&mut self) -> bool {
        std::mem::take(&mut self.block)
    }

    /// Between two batches.
    pub(super) fn is_at_rest(&self) -> bool {
        self.lanes.is_empty() && self.pending.is_none() && !self.skipping && self.started.is_none()
    }
}

/// A message that waits for its Sync.
pub(super) fn is_gathered(kind: u8) -> bool {
    matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C')
}

impl Session {
    /// Everything up to Sync is passed over.
    pub(super) fn is_skipping(&self) -> bool {
        self.batch.skipping
    }

    /// A message that waits for its Sync, with those like it that are here already.
    pub(super) async fn gather(&mut self, first: Head) -> Result<(), End> {
        self.client.hold(first);
        while let Some(head) = self.client.next_head()?.filter(|head| is_gathered(head.kind)) {
            self.client.hold(head);
        }
        if self.batch.skipping {
            self.client.take_held();
        } else if self.client.held() > MOST_WAITING {
            let input = self.client.take_held();
            self.work(input).await?;
            if self.batch.skipping {
                // A client that goes on sending hears of it, and may stop.
                self.client.flush().await?;
            }
        }
        Ok(())
    }

    /// Sync: everything before it is worked off and answered.
    pub(super) async fn sync(&mut self, head: Head) -> Result<(), End> {
        let (input, well_formed) = self.take_batch(head);
        if !self.batch.skipping {
            // A batch that is here as a whole can be run again.
            let again = self.batch.started.is_none().then(|| input.clone());
            self.batch.ends = true;
            let worked = self.work_all(input).await;
            self.batch.ends = false;
            worked?;
            if std::mem::take(&mut self.batch.passed_over) {
                return Ok(self.client.flush().await?);
            }
            if well_formed.is_ok() {
                return self.end_batch(again).await;
            }
        }
        if let Err(fault) = well_formed {
            self.fail(fault).await?;
        }
        self.end_batch(None).await
    }

    /// Kind of the message behind the one at hand, a Sync left out.
    pub(super) fn behind(&self) -> Option<u8> {
        frame::head(&self.batch.input).ok().flatten().map(|head| head.kind)
    }

    /// The execution at hand has asked for the data of a COPY: as PostgreSQL, a Sync that came with it is one among them.
    pub(super) fn pass_sync_over(&mut self) {
        self.batch.passed_over = self.batch.ends;
    }

    /// What is held, and whether the message behind it, which ends it, is well-formed.
    fn take_batch(&mut self, end: Head) -> (Bytes, Result<(), Fault>) {
        let at = self.client.held();
        let mut input = self.client.take(end);
        let end = input.split_off(at);
        (input.freeze(), extended::empty(end.get(frame::HEADER..).unwrap_or_default()).map_err(violation))
    }

    /// Works messages off, a Parse for which no Bind has come included.
    async fn work_all(&mut self, input: Bytes) -> Result<(), End> {
        self.work(input).await?;
        if !self.batch.skipping
            && let Err(fault) = self.send_pending().await
        {
            self.fail(fault).await?;
        }
        Ok(())
    }

    /// The batch at hand is over. `again`: its messages, if it may be run once more.
    async fn end_batch(&mut self, again: Option<Bytes>) -> Result<(), End> {
        self.batch.skipping = false;
        let ended = match self.batch.block {
            true => Box::pin(self.end_block()).await,
            false => self.end_lanes(again.is_some()).await,
        };
        self.batch.lanes.next_batch();
        let told = match ended {
            Ok(told) => told,
            Err(Fault::End(end)) => return Err(end),
            Err(fault) => {
                self.fault(fault)?;
                false
            }
        };
        if self.batch.lanes.take_stale()
            && let Some(input) = again
        {
            return Box::pin(self.heal(input)).await;
        }
        let started = self.forget_batch();
        if !self.kept.is_empty() {
            Box::pin(self.sweep_portals()).await;
        }
        if let Some(started) = started {
            let route = self.batch.route.take().unwrap_or(RouteKind::Local);
            self.database.statements.record(route, started.elapsed().as_secs_f64());
        }
        if told { Ok(()) } else { self.ready().await }
    }

    /// Nothing of the batch at hand matters to the next. Returns when it began.
    fn forget_batch(&mut self) -> Option<Instant> {
        self.batch.fresh.clear();
        self.batch.settings = None;
        (self.batch.pipelined, self.batch.ended, self.batch.committed) = (false, false, false);
        if self.txn.is_none() {
            self.batch.portals.clear();
        }
        self.batch.started.take()
    }

    /// Runs a batch again that met a plan from before a change of schema; everything is prepared anew.
    async fn heal(&mut self, input: Bytes) -> Result<(), End> {
        for name in std::mem::take(&mut self.batch.fresh) {
            self.statements.remove(&name);
        }
        self.batch.portals.clear();
        self.batch.healing = true;
        let result = match self.work_all(input).await {
            Ok(()) => self.end_batch(None).await,
            Err(end) => Err(end),
        };
        self.batch.healing = false;
        result
    }

    /// Flush: what is asked so far is answered.
    pub(super) async fn flush_batch(&mut self, head: Head) -> Result<(), End> {
        let (input, well_formed) = self.take_batch(head);
        if self.batch.skipping {
            return Ok(self.client.flush().await?);
        }
        self.work(input).await?;
        if !self.batch.skipping
            && let Err(fault) = well_formed
        {
            self.fail(fault).await?;
        }
        self.answer_held().await
    }

    /// What waits for a Sync is asked and answered now.
    pub(super) async fn flush_held(&mut self) -> Result<(), End> {
        let input = self.client.take_held();
        self.work(input).await?;
        self.answer_held().await
    }

    /// The client has stopped sending in the middle of a batch: what is here is asked, as a server would have done by
    /// now. Answers are kept back as a server keeps them; of an error the client hears at once.
    pub(super) async fn work_early(&mut self) -> Result<(), End> {
        self.client.keeps = true;
        let worked = self.flush_held().await;
        self.client.keeps = false;
        worked?;
        if self.batch.skipping {
            self.client.flush().await?;
        }
        Ok(())
    }

    async fn answer_held(&mut self) -> Result<(), End> {
        if self.batch.skipping {
            return Ok(self.client.flush().await?);
        }
        let result = match self.send_pending().await {
            Ok(()) if self.only_prepared() => self.leave_lanes().await,
            Ok(()) => self.answer_so_far().await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = result {
            self.fail(fault).await?;
        }
        Ok(self.client.flush().await?)
    }

    /// Nothing but Parse and Describe was asked, outside the transaction: the backend need not be kept for a Sync that
    /// may come much later.
    fn only_prepared(&self) -> bool {
        let lanes = &self.batch.lanes;
        !lanes.executed()
            && self.batch.portals.is_empty()
            && lanes.current().is_some_and(|lane| lane.apart || self.txn.is_none())
    }

    /// The transaction has ended within the batch: what follows begins without one.
    async fn leave_ended(&mut self) -> Result<(), Fault> {
        self.leave_lanes().await?;
        self.batch.ended = false;
        self.forget_portals();
        Ok(())
    }

    /// Before a message of another protocol: what was asked without a Sync is worked off. `head`: the message, if it
    /// may be answered with that. Returns whether it was.
    pub(super) async fn interrupt_batch(&mut self, head: Option<Head>) -> Result<bool, End> {
        if self.client.held() == 0 && self.batch.pending.is_none() && self.batch.lanes.is_empty() {
            return Ok(false);
        }
        let input = self.client.take_held();
        if self.batch.skipping {
            return Ok(false);
        }
        self.work(input).await?;
        if self.batch.skipping {
            return Ok(false);
        }
        if self.batch.block
            && let Some(head) = head
        {
            return match Box::pin(self.drop_block()).await {
                Ok(()) => Box::pin(self.refuse_ride(head)).await,
                Err(fault) => self.fail(fault).await.map(|()| false),
            };
        }
        let result = match self.send_pending().await {
            Ok(()) => match head {
                Some(head) => Box::pin(self.ride(head)).await,
                None => Ok(false),
            },
            Err(fault) => Err(fault),
        };
        let result = match (result, head) {
            (Ok(false), Some(head)) if self.stands_behind_writes() => return Box::pin(self.refuse_ride(head)).await,
            (Ok(false), _) => self.leave_lanes().await.map(|()| false),
            (result, _) => result,
        };
        let ridden = match result {
            Ok(ridden) => ridden,
            Err(fault) => {
                self.fail(fault).await?;
                false
            }
        };
        self.forget_batch();
        self.batch.lanes.next_batch();
        if !self.kept.is_empty() {
            Box::pin(self.sweep_portals()).await;
        }
        Ok(ridden)
    }

    /// Before the client is waited for: batches that were sent on are answered.
    pub(super) async fn catch_up(&mut self) -> Result<(), End> {
        if !self.batch.lanes.is_behind() {
            return Ok(());
        }
        match self.answer_so_far().await {
            Ok(()) => {}
            Err(Fault::End(end)) => return Err(end),
            Err(fault) => self.fail(fault).await?,
        }
        Ok(self.client.flush().await?)
    }

    /// Works messages off.
    async fn work(&mut self, input: Bytes) -> Result<(), End> {
        self.me.set_doing(Doing::Active);
        if self.batch.lanes.is_empty()
            && let Err(fault) = self.wait_while_paused().await
        {
            return self.fail(fault).await;
        }
        self.batch.started.get_or_insert_with(Instant::now);
        let snapshot = self.database.snapshot().clone();
        self.batch.input = input;
        while let Ok(Some(head)) = frame::head(&self.batch.input) {
            let mut body = self.batch.input.split_to(head.len.min(self.batch.input.len()));
            body.advance(frame::HEADER);
            if let Err(fault) = self.gathered(head.kind, body, &snapshot).await {
                self.batch.input = Bytes::new();
                return self.fail(fault).await;
            }
        }
        self.batch.input = Bytes::new();
        Ok(())
    }

    async fn gathered(&mut self, kind: u8, body: Bytes, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        if self.batch.ended {
            self.leave_ended().await?;
        }
        if kind == b'B' && self.has_own_changes() && self.batch.lanes.is_empty() {
            Box::pin(self.see_own_changes_for(&body)).await?;
        }
        match kind {
            b'P' => self.on_parse(&body).await,
            b'B' => self.on_bind(body, snapshot).await,
            b'D' => self.on_describe(&body, snapshot).await,
            b'E' => self.on_execute(&body, snapshot).await,
            _ => self.on_close(&body, snapshot).await,
        }
    }

    /// A message failed: what was asked before is answered, then comes the error; the rest up to Sync is passed over.
    async fn fail(&mut self, fault: Fault) -> Result<(), End> {
        self.batch.skipping = true;
        // A Parse that no server has seen yet stands before what failed at pgring, and behind what failed on a server.
        // Where there was no backend for the failing message there is none for that Parse.
        let is_asked = matches!(&fault, Fault::Report(report) if !hold::is_without_backend(report));
        let sent = if is_asked { self.send_pending().await } else { Ok(()) };
        if let Some(Pending { name, before, .. }) = self.batch.pending.take() {
            match before {
                Some(before) => self.statements.insert(name, before),
                None => self.statements.remove(&name),
            };
        }
        let fault = match sent {
            Ok(()) => fault,
            Err(earlier) => earlier,
        };
        self.restore_settings_of_batch();
        let fault = match self.close_lanes().await {
            Ok(()) => fault,
            Err(earlier) => earlier,
        };
        self.fault(fault)
    }

    /// What a transaction goes back to that was begun within the batch.
    pub(super) fn settings_before_batch(&mut self) -> Arc<Profile> {
        self.batch.settings.take().unwrap_or_else(|| self.settings.current.clone())
    }

    /// A batch that failed outside a transaction block is rolled back, what it set with it.
    fn restore_settings_of_batch(&mut self) {
        if let Some(before) = self.batch.settings.take().filter(|_| self.txn.is_none()) {
            self.settings.current = before;
        }
    }
}

/// What a malformed message is answered with.
fn violation(error: impl std::fmt::Display) -> Fault {
    Report::with(catalogue::PROTOCOL, error.to_string()).into()
}

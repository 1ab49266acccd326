//! Ride: what stands behind an execution of the same batch goes to the same backend, where both are in one transaction,
//! and PostgreSQL judges it. In: verbs, and queries of the simple protocol behind a batch without Sync. Out: messages
//! for the lane. Never: a second shard.

use super::{
    super::{End, Fault, Session, prepared::Prepared, simple::Target},
    block,
    lanes::Lane,
};
use crate::{
    cluster::Snapshot,
    execute::relay::Expect,
    plan::{Plan, PlanKind, SessionEffect},
    route::bind::{Parameters, Values},
    sql::{
        fingerprint::{Lexed, lex},
        verb::{self, Discard, SetScope, Verb, Which},
    },
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::{frame::Head, message::query};
use std::sync::Arc;

impl Session {
    /// Where a verb goes because of what stands before it; None: it goes its own way.
    pub(super) fn ridden_to(&self, verb: &Verb) -> Option<ShardIndex> {
        let Some(txn) = &self.txn else {
            let lane = self.batch.lanes.current().filter(|_| self.batch.lanes.executed())?;
            return self.rides(verb).then_some(lane.shard);
        };
        // The end of a transaction on one backend, which still works for it.
        let ends = matches!(verb, Verb::Commit { chain: false } | Verb::Rollback { chain: false });
        let lane = self.batch.lanes.only().filter(|lane| ends && !lane.apart)?;
        let plain = !txn.failed && !txn.schema_changed && txn.rules.is_empty() && txn.listens.is_empty();
        (plain && txn.is_open_only_on(lane.shard)).then_some(lane.shard)
    }

    /// Behind an execution outside a transaction block.
    fn rides(&self, verb: &Verb) -> bool {
        let lanes = &self.batch.lanes;
        match verb {
            // Refused there, for it must not run in a pipeline.
            Verb::Discard(Discard::All) | Verb::CommitPrepared(_) | Verb::RollbackPrepared(_) => self.batch.pipelined,
            Verb::Savepoint(_)
            | Verb::Release(_)
            | Verb::RollbackTo(_)
            | Verb::PrepareTransaction(_)
            | Verb::SetTransaction { .. }
            | Verb::SetConstraints
            | Verb::Set { scope: SetScope::Local, .. } => !is_own(verb),
            // What was only read need not be in one transaction with what follows, which may reach another shard.
            Verb::Begin { .. } => lanes.writes(),
            Verb::Commit { .. } | Verb::Rollback { .. } => lanes.writes() && self.batch.settings.is_none(),
            // The server says that there is none.
            Verb::Deallocate(Which::Name(name)) => lanes.writes() && !self.statements.contains_key(name.as_bytes()),
            Verb::Set { .. } | Verb::Reset(_) => {
                lanes.writes() && !self.batch.committed && self.profile_after(verb).is_some()
            }
            _ => false,
        }
    }

    /// Where a change of schema goes that must not run behind an execution: the server there says so.
    pub(super) fn refused_in_pipeline(&self, plan: &Plan, snapshot: &Snapshot) -> Option<ShardIndex> {
        let PlanKind::Ddl(ddl) = &plan.kind else { return None };
        let lane = self.batch.lanes.current().filter(|_| self.txn.is_none() && self.batch.pipelined)?;
        let there = !ddl.default_shard_only || lane.shard == snapshot.topology.default_shard;
        (ddl.outside_transaction && there).then_some(lane.shard)
    }

    /// Takes note of a verb that a lane's backend is asked to execute.
    pub(super) fn note_ridden(&mut self, verb: &Verb) {
        match verb {
            Verb::Commit { .. } | Verb::Rollback { .. } => {
                self.batch.lanes.stay();
                self.batch.ended = self.txn.is_some();
                self.batch.committed = true;
                if self.txn.is_none() {
                    self.forget_portals();
                }
            }
            Verb::Set { .. } | Verb::Reset(_) if self.txn.is_none() => {
                self.batch.lanes.stay();
                let Some(profile) = self.profile_after(verb) else { return };
                let profile = profile.intern();
                self.batch.settings.get_or_insert_with(|| self.settings.current.clone());
                self.settings.current = profile.clone();
                if let Some(conn) = self.batch.lanes.current_mut().and_then(Lane::conn) {
                    conn.profile = profile;
                }
            }
            verb if verb.is_about_transactions() => self.batch.lanes.stay(),
            _ => {}
        }
    }

    /// A Query or FunctionCall behind executions of a batch that has no Sync yet is in their transaction: it goes to
    /// their backend, and its ReadyForQuery ends both. Returns whether it did.
    ///
    /// # Errors
    /// What stands before it has failed: it is passed over.
    pub(super) async fn ride(&mut self, head: Head) -> Result<bool, Fault> {
        let here = self.batch.lanes.current().map(|lane| lane.shard);
        let Some(shard) = here.filter(|_| self.stands_behind_writes()) else { return Ok(false) };
        let frame = BytesMut::from(self.client.peek(head));
        let riders = if head.kind == b'F' {
            let default = self.database.snapshot().topology.default_shard;
            Some(Riders::default()).filter(|_| shard == default)
        } else {
            let text = frame.get(5..).and_then(|body| query::query_text(body).ok());
            text.and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| self.riders(text, shard))
        };
        let Some(riders) = riders else { return Ok(false) };
        self.answer_so_far().await?;
        self.client.take(head);
        if riders.before {
            // It concerns no server, and comes after what is committed by it.
            self.end_hidden().await?;
            self.batch.lanes.next_batch();
            self.client.unread(&frame);
            return Ok(false);
        }
        riders.effects.iter().for_each(|effect| self.pin_for(effect));
        let pid = self.batch.lanes.current_mut().and_then(Lane::conn).map(|conn| conn.cancel.pid);
        if let Some(pid) = pid.filter(|_| riders.notifies) {
            self.sends_from(shard, pid).await;
        }
        if let Some(lane) = self.batch.lanes.current_mut() {
            lane.out.extend_from_slice(&frame);
        }
        self.batch.lanes.stay();
        self.batch.lanes.expect(Expect::Ready { hidden: false });
        riders.verbs.iter().for_each(|verb| self.note_ridden(verb));
        self.end_ridden().await?;
        Ok(true)
    }

    /// What was executed since the last Sync may have written, and is not committed.
    pub(super) fn stands_behind_writes(&self) -> bool {
        let lanes = &self.batch.lanes;
        self.txn.is_none() && lanes.current().is_some() && lanes.executed() && lanes.writes()
    }

    /// A Query or FunctionCall behind executions without Sync that would reach more shards than these: all of it fails.
    pub(super) async fn refuse_ride(&mut self, head: Head) -> Result<bool, End> {
        let frame = self.client.take(head);
        let result = match self.close_lanes().await {
            Ok(()) => self.judge_ride(&frame).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = result {
            self.fault(fault)?;
        }
        self.forget_batch();
        self.batch.lanes.next_batch();
        self.ready().await?;
        Ok(true)
    }

    async fn judge_ride(&mut self, frame: &BytesMut) -> Result<(), Fault> {
        let text = frame.get(5..).and_then(|body| query::query_text(body).ok()).unwrap_or_default();
        let snapshot = self.database.snapshot().clone();
        self.judge(text, None, &snapshot).await?;
        Err(block::over_shards().into())
    }

    /// What the statements of a Query do, if all of them may go to this shard as they are.
    fn riders(&mut self, text: &str, shard: ShardIndex) -> Option<Riders> {
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        if self.is_foreign(text) || self.settings.has_escapes() {
            return None;
        }
        let snapshot = self.database.snapshot().clone();
        let (mut riders, mut own) = (Riders::default(), Lexed::default());
        for span in &lexed.statements {
            let inner = text.get(span.start as usize..span.end as usize)?;
            lex(inner.as_bytes(), &mut own);
            match verb::recognise(inner) {
                Some(verb) => {
                    let declares = match &verb {
                        Verb::Declare { query_at, .. } => inner.get(*query_at..),
                        _ => None,
                    };
                    if declares.is_some_and(|query| !self.has_rows_at(query, shard)) {
                        return None;
                    }
                    self.note_riding_verb(&mut riders, verb)?;
                }
                None => {
                    let plan = self.plan(inner, &mut own);
                    self.note_rider(&mut riders, &plan, inner, &own, (shard, &snapshot))?;
                }
            }
        }
        (!riders.before || lexed.statements.len() == 1).then_some(riders)
    }

    fn note_riding_verb(&self, riders: &mut Riders, verb: Verb) -> Option<()> {
        let before = std::mem::take(&mut riders.verbs);
        let ends = |verb: &Verb| matches!(verb, Verb::Commit { .. } | Verb::Rollback { .. });
        let sets = |verb: &Verb| matches!(verb, Verb::Set { .. } | Verb::Reset(_));
        let rides = match &verb {
            Verb::Set { scope: SetScope::Local, .. } | Verb::Show(_) => !is_own(&verb),
            // One of each at most: what holds afterwards is known then.
            Verb::Set { .. } | Verb::Reset(_) => before.is_empty() && self.rides(&verb),
            Verb::Commit { .. } | Verb::Rollback { .. } => self.rides(&verb) && !before.iter().any(sets),
            Verb::Discard(Discard::All) | Verb::CommitPrepared(_) | Verb::RollbackPrepared(_) => {
                self.rides(&verb) && !before.iter().any(ends)
            }
            Verb::SetTransaction { .. } | Verb::SetConstraints | Verb::Checkpoint | Verb::Notify { .. } => true,
            Verb::Execute { name, .. } => !self.statements.contains_key(name.as_bytes()),
            Verb::Deallocate(_) if self.rides(&verb) => true,
            Verb::Prepare { .. } | Verb::Deallocate(_) | Verb::Listen(_) | Verb::Unlisten(_) => {
                riders.before = true;
                before.is_empty()
            }
            Verb::Fetch { cursor, .. } | Verb::CloseCursor(Which::Name(cursor)) => self.kept_cursor(cursor).is_none(),
            Verb::CloseCursor(Which::All) => self.kept.is_empty(),
            Verb::Declare { hold: false, .. } => true,
            verb => verb.is_about_transactions(),
        };
        riders.notifies |= matches!(verb, Verb::Notify { .. });
        riders.verbs = before;
        riders.verbs.push(verb);
        rides.then_some(())
    }

    fn note_rider(
        &mut self,
        riders: &mut Riders,
        plan: &Arc<Plan>,
        text: &str,
        lexed: &Lexed,
        (shard, snapshot): (ShardIndex, &Arc<Snapshot>),
    ) -> Option<()> {
        let effect = &plan.session;
        if !effect.sets.is_empty() || !effect.creates_temp.is_empty() {
            return None;
        }
        if effect.asks_sequence || effect.looks_at_statements || effect.executes {
            return None;
        }
        let values = Values { text: text.as_bytes(), lexed, parameters: Parameters::None, utf8: self.settings.utf8() };
        let anywhere = matches!(plan.kind, PlanKind::Anywhere) && plan.reads_only;
        let here = match self.target_of(plan, &values, snapshot).ok()? {
            Target::Server { shard: there, apart: false, .. } => anywhere || there == shard,
            _ => self.refused_in_pipeline(plan, snapshot) == Some(shard),
        };
        riders.notifies |= effect.notifies;
        riders.effects.push(effect.clone());
        here.then_some(())
    }

    /// Whether a statement is one that a server describes, though pgring runs it.
    pub(super) fn is_described_there(&self, prepared: &Prepared) -> bool {
        self.batch.lanes.current().is_some() && prepared.verb.as_ref().is_some_and(|verb| !is_own(verb))
    }
}

/// What the statements of a Query do.
#[derive(Default)]
struct Riders {
    effects: Vec<SessionEffect>,
    notifies: bool,
    verbs: Vec<Verb>,
    /// They wait until what stands before them is committed.
    before: bool,
}

/// It is about settings of pgring's own.
fn is_own(verb: &Verb) -> bool {
    match verb {
        Verb::Set { name, .. } | Verb::Reset(Which::Name(name)) | Verb::Show(Which::Name(name)) => {
            name.starts_with("pgring.")
        }
        _ => false,
    }
}

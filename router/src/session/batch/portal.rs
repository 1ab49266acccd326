//! Portal: Bind, Execute, Close and Describe of portals. In: messages about portals. Out: messages for a lane, or
//! pgring's own answers. Never: where rows are.

use super::{
    super::{Fault, Session, hold, kept::Of, prepared::Prepared, sql_prepared::nulls},
    lanes::Lane,
    place::Place,
    special::Run,
    statement::{is_silent, kept},
    violation,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        dml::Rest,
        relay::{self, Expect},
    },
    metrics::RouteKind,
    plan::{Many, Plan, PlanKind},
    route::bind::Parameters,
    sql::{fingerprint::Lexed, verb::Verb},
    txn::Reach,
};
use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use pgring_config::ids::ShardIndex;
use pgring_protocol::{
    frame,
    message::{
        build,
        extended::{self, Bind, BindParameters, Close, Describe, Execute},
    },
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// CloseComplete, for what no backend has.
const CLOSE_COMPLETE: Bytes = Bytes::from_static(&[b'3', 0, 0, 0, 4]);

/// BindComplete, likewise.
const BIND_COMPLETE: Bytes = Bytes::from_static(&[b'2', 0, 0, 0, 4]);

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) plan: Arc<Plan>,
    /// Body of its Bind after the statement's name.
    pub(super) rest: Bytes,
    pub(super) place: Place,
    /// Its rows are to be described with its execution.
    pub(super) describe: bool,
    /// How far its execution over several shards has come.
    pub(super) run: Run,
    /// Number of the lane in which it was bound; None: it is a cursor, or no server has it.
    pub(super) bound: Option<u64>,
    /// It was executed where it was bound.
    pub(super) executed: bool,
    /// It was a write over several shards, of which this is left to be told.
    pub(super) left: Option<Rest>,
}

impl Portal {
    /// The parameters of its Bind.
    pub(super) fn parameters(&self) -> Result<BindParameters<'_>, Fault> {
        let bind = Bind { portal: &[], statement: &[], rest: &self.rest };
        bind.parameters().map_err(violation)
    }
}

/// The portals of a session, by name.
#[derive(Debug, Default)]
pub(super) struct Portals {
    unnamed: Option<Portal>,
    named: HashMap<Box<[u8]>, Portal, RandomState>,
}

impl Portals {
    pub(super) fn get(&self, name: &[u8]) -> Option<&Portal> {
        let name = kept(name);
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Portal> {
        let name = kept(name);
        if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(name) }
    }

    pub(super) fn insert(&mut self, name: &[u8], portal: Portal) {
        if name.is_empty() {
            self.unnamed = Some(portal);
        } else {
            self.named.insert(kept(name).into(), portal);
        }
    }

    fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(kept(name));
        }
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.unnamed.iter().chain(self.named.values()).any(|portal| portal.run == Run::Stopped(number))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unnamed.is_none() && self.named.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        if !self.named.is_empty() {
            self.named.clear();
        }
    }
}

/// A portal that pgring itself runs may have rows.
pub(super) fn has_rows(portal: &Portal) -> bool {
    if portal.plan.copies_out() {
        return false;
    }
    if let PlanKind::Sharded(sharded) = &portal.plan.kind
        && let Many::Write(write) = &sharded.many
    {
        return write.returning;
    }
    use PlanKind::{Builtin, Explain, ExplainRoute, Gather, ReferenceWrite, Refuse, Sharded};
    matches!(portal.prepared.verb, Some(Verb::Show(_) | Verb::Execute { .. } | Verb::Fetch { is_move: false, .. }))
        || matches!(
            portal.plan.kind,
            Sharded(_) | Gather(_) | ReferenceWrite(_) | Explain(_) | ExplainRoute { .. } | Builtin(_) | Refuse(_)
        )
}

/// Whether a Bind has as many parameters as its statement, where that is known here; else the server says so.
fn check_count(name: &[u8], prepared: &Prepared, given: usize) -> Result<(), Fault> {
    let Some(wanted) = prepared.parameters.filter(|wanted| *wanted != given) else { return Ok(()) };
    let name = String::from_utf8_lossy(name);
    let message =
        format!("bind message supplies {given} parameters, but prepared statement \"{name}\" requires {wanted}");
    Err(Report::with(catalogue::PROTOCOL, message).into())
}

impl Session {
    /// Portals end with their transaction.
    pub(in crate::session) fn forget_portals(&mut self) {
        self.batch.portals.clear();
    }

    /// Before a Bind is planned that comes after the transaction's own changes of schema.
    pub(super) async fn see_own_changes_for(&mut self, body: &[u8]) -> Result<(), Fault> {
        let bind = Bind::parse(body).map_err(violation)?;
        match self.statements.get(bind.statement).map(|prepared| prepared.text.clone()) {
            Some(text) => self.see_own_changes(&text).await,
            None => Ok(()),
        }
    }

    /// A simple query takes the place of the unnamed portal.
    pub(in crate::session) fn forget_unnamed_portal(&mut self) {
        self.batch.portals.unnamed = None;
    }

    pub(super) async fn on_bind(&mut self, body: Bytes, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let bind = Bind::parse(&body).map_err(violation)?;
        self.check_name(bind.portal)?;
        self.check_name(bind.statement)?;
        let prepared = self.statement_named(bind.statement)?;
        let parameters = bind.parameters().map_err(violation)?;
        check_count(bind.statement, &prepared, parameters.len())?;
        self.send_pending_before(bind.statement).await?;
        if self.txn.as_ref().is_some_and(|txn| txn.failed) && !prepared.may_end() {
            if self.batch.pending.take().is_some() {
                self.leave_lanes().await?;
                build::parse_complete(&mut self.client.out);
            }
            return Err(Report::new(catalogue::FAILED_TRANSACTION).into());
        }
        let known = self.batch.portals.get(bind.portal).is_some() || self.kept_cursor_at(bind.portal).is_some();
        if !bind.portal.is_empty() && known {
            let name = String::from_utf8_lossy(bind.portal);
            return Err(Report::with(catalogue::DUPLICATE_PORTAL, format!("cursor \"{name}\" already exists")).into());
        }
        let values = prepared.values(Parameters::Bound(&parameters, prepared.types()), self.settings.utf8());
        let (mut plan, mut place) = self.place(&prepared, &values, snapshot)?;
        let mut rest = body.slice_ref(bind.rest);
        let mut filled = None;
        if let PlanKind::Generate(generate) = &plan.clone().kind {
            let placed = Box::pin(self.place_generated(generate, &prepared, &parameters, snapshot)).await?;
            (plan, place) = (placed.0, placed.1);
            if let Some((instead, bound)) = placed.2 {
                rest = bound;
                filled = Some(instead);
            }
        }
        let stand_in = if place == Place::Special { None } else { self.stand_in(&prepared) };
        let mut portal = Portal {
            prepared: filled.clone().or(stand_in).unwrap_or_else(|| prepared.clone()),
            plan,
            rest: rest.clone(),
            place,
            describe: false,
            run: Run::New,
            bound: None,
            executed: false,
            left: None,
        };
        match place {
            Place::Server { shard, reach, apart } => {
                self.seeks_sequences = portal.plan.session.asks_sequence;
                self.lane(shard, reach, apart, snapshot).await?;
                if portal.plan.session.asks_sequence {
                    self.lane_with_sequences((shard, reach, apart), snapshot).await?;
                }
                self.keep_told(bind.portal, &portal.prepared, (shard, reach, apart), snapshot).await?;
                match &filled {
                    Some(filled) => self.ensure_filled(bind.statement, &prepared, filled).await?,
                    None => self.ensure_parsed(bind.statement, &portal.prepared).await?,
                }
                self.make_room(rest.len()).await?;
                if let Some(lane) = self.batch.lanes.current_mut() {
                    build::bind_raw(&mut lane.out, bind.portal, portal.prepared.backend_name(), &rest);
                    portal.bound = Some(lane.number);
                    self.batch.lanes.expect(Expect::Bind);
                    if matches!(portal.plan.kind, PlanKind::Sharded(_)) {
                        self.batch.route = Some(RouteKind::Single);
                    }
                }
            }
            Place::Special if self.batch.lanes.writes() && self.txn.is_none() => {
                // What stands before it is not ended by a Bind.
                if self.batch.pending.is_some() {
                    let nth = if prepared.id.is_none() { self.note_unnamed(&prepared) } else { 0 };
                    self.batch.pending = None;
                    self.batch.lanes.expect(Expect::Known { id: prepared.id, nth });
                }
                self.batch.lanes.expect(Expect::Emit(BIND_COMPLETE));
            }
            Place::Special => {
                self.leave_lanes().await?;
                self.check_failed(&prepared)?;
                if self.batch.pending.take().is_some() {
                    build::parse_complete(&mut self.client.out);
                }
                build::bind_complete(&mut self.client.out);
            }
        }
        self.batch.portals.insert(bind.portal, portal);
        if !self.kept.is_empty() {
            Box::pin(self.sweep_portals()).await;
        }
        Ok(())
    }

    /// Makes the lane one whose backend gives this session no other's value of a sequence.
    async fn lane_with_sequences(
        &mut self,
        (shard, reach, apart): (ShardIndex, Reach, bool),
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let own = self.sequences;
        let Some(lane) = self.batch.lanes.current_mut() else { return Ok(()) };
        let foreign = lane.conn().is_some_and(|conn| conn.sequences_of != own);
        if foreign && self.batch.lanes.is_asked() {
            self.leave_lanes().await?;
            self.lane(shard, reach, apart, snapshot).await?;
        }
        let Some(mut held) = self.batch.lanes.current_mut().and_then(Lane::take) else { return Ok(()) };
        let result = self.own_sequences(&mut held).await;
        if let Some(lane) = self.batch.lanes.current_mut() {
            lane.put(held);
        }
        result
    }

    /// Makes the lane the one where a portal is. Outside the transaction a portal goes with its lane, which may have
    /// ended within the batch: it is bound again.
    pub(super) async fn lane_of_portal(
        &mut self,
        name: &[u8],
        portal: &Portal,
        (shard, reach, apart): (ShardIndex, Reach, bool),
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        self.lane(shard, reach, apart, snapshot).await?;
        let here = self.batch.lanes.current().map(|lane| lane.number);
        if portal.bound.is_none() || portal.bound == here || (self.txn.is_some() && !apart) {
            return Ok(());
        }
        if portal.executed {
            return Err(Report::new(catalogue::SECOND_SHARD)
                .detail("a portal was executed, and another shard was reached since")
                .hint("Use a transaction block.")
                .into());
        }
        let prepared = &portal.prepared;
        let parsed = self.batch.lanes.current().and_then(|lane| lane.unnamed.as_ref());
        if prepared.id.is_some() || !parsed.is_some_and(|parsed| Arc::ptr_eq(parsed, prepared)) {
            self.add_parse(prepared, true).await?;
        }
        self.make_room(portal.rest.len()).await?;
        if let Some(lane) = self.batch.lanes.current_mut() {
            build::bind_raw(&mut lane.out, name, prepared.backend_name(), &portal.rest);
            self.batch.lanes.expect(Expect::HiddenBind);
        }
        if let Some(portal) = self.batch.portals.get_mut(name) {
            portal.bound = here;
        }
        Ok(())
    }

    pub(super) async fn describe_portal(&mut self, name: &[u8], snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let portal = self.portal(name)?;
        self.send_pending().await?;
        let Place::Server { shard, reach, apart } = portal.place else {
            self.leave_lanes().await?;
            return Box::pin(self.describe_special(name, &portal, snapshot)).await;
        };
        self.lane_of_portal(name, &portal, (shard, reach, apart), snapshot).await?;
        if let Some(lane) = self.batch.lanes.current_mut() {
            build::describe(&mut lane.out, b'P', name);
            let shape = self.is_told(&portal.prepared, snapshot);
            self.batch.lanes.expect(Expect::Describe { shape });
        }
        Ok(())
    }

    async fn describe_special(&mut self, name: &[u8], portal: &Portal, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        if let Some(cursor) = self.kept_cursor_at(name) {
            self.describe_cursor(&cursor, &[]);
            return Ok(());
        }
        if let Some(Verb::Fetch { cursor, is_move: false }) = &portal.prepared.verb {
            let parameters = portal.parameters()?;
            self.describe_cursor(cursor, parameters.result_formats());
            return Ok(());
        }
        let runs_verb =
            matches!(&portal.prepared.verb, Some(Verb::Execute { name, .. }) if self.executed_verb(name).is_some());
        if !has_rows(portal) || runs_verb || portal.prepared.verb.as_ref().is_some_and(is_silent) {
            build::no_data(&mut self.client.out);
            return Ok(());
        }
        if portal.run == Run::New && self.is_executed_next(name) {
            if let Some(portal) = self.batch.portals.get_mut(name) {
                portal.describe = true;
            }
            return Ok(());
        }
        if let Some(fields) = self.own_fields(&portal.plan, &portal.prepared) {
            build::row_description(&mut self.client.out, &fields);
            return Ok(());
        }
        if let Some(Verb::Execute { name, .. }) = &portal.prepared.verb {
            let executed = self.statement_named(name.as_bytes())?;
            let formats = portal.parameters()?.result_formats().to_vec();
            let rest = nulls(&executed, &formats).into();
            let inner = Portal { prepared: executed, rest, ..portal.clone() };
            return self.describe_apart(&inner, snapshot).await;
        }
        self.describe_apart(portal, snapshot).await
    }

    /// The message behind the one at hand executes this portal.
    fn is_executed_next(&self, name: &[u8]) -> bool {
        let next = &self.batch.input;
        let Ok(Some(head)) = frame::head(next) else { return false };
        head.kind == b'E' && Execute::parse(frame::body(next, head)).is_ok_and(|execute| execute.portal == name)
    }

    /// The message behind the one at hand describes this portal.
    pub(super) fn is_described_next(&self, name: &[u8]) -> bool {
        let next = &self.batch.input;
        let Ok(Some(head)) = frame::head(next) else { return false };
        head.kind == b'D'
            && Describe::parse(frame::body(next, head))
                .is_ok_and(|describe| describe.kind == extended::PORTAL && describe.name == name)
    }

    /// A portal by its name: bound by this client, or a cursor that it declared.
    pub(super) fn portal(&self, name: &[u8]) -> Result<Portal, Fault> {
        if let Some(portal) = self.batch.portals.get(name) {
            return Ok(portal.clone());
        }
        let cursor = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let place = match cursor {
            Some(cursor) if self.kept_cursor(cursor).is_some() => Some(Place::Special),
            cursor => cursor
                .and_then(|cursor| self.cursor_at(cursor))
                .or(self.pins.first().map(|pin| pin.shard).filter(|_| !name.is_empty()))
                .map(|shard| Place::Server { shard, reach: Reach::Nothing, apart: false }),
        };
        let Some(place) = place else {
            let name = String::from_utf8_lossy(name);
            return Err(Report::with(catalogue::UNKNOWN_PORTAL, format!("portal \"{name}\" does not exist")).into());
        };
        Ok(Portal {
            prepared: Arc::new(Prepared::new("", Box::default(), Lexed::default(), None)),
            plan: Arc::new(Plan::local()),
            rest: Bytes::new(),
            place,
            describe: false,
            run: Run::New,
            bound: None,
            executed: false,
            left: None,
        })
    }

    /// Describes a portal over several shards by its statement on the default shard.
    async fn describe_apart(&mut self, portal: &Portal, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let mut held = self.hold_here_or_apart(snapshot, snapshot.topology.default_shard).await?;
        let mut out = BytesMut::new();
        build::parse(&mut out, "", portal.prepared.bytes(), portal.prepared.types());
        build::bind_raw(&mut out, "", "", &portal.rest);
        build::describe(&mut out, b'P', "");
        build::sync(&mut out);
        if let Err(error) = held.conn().send(&out).await {
            return Err(hold::lost(&error.into(), false).into());
        }
        let mut script = VecDeque::from([
            Expect::Parse { id: None, hidden: true, nth: 0 },
            Expect::HiddenBind,
            Expect::Describe { shape: None },
            Expect::Ready { hidden: true },
        ]);
        match relay::relay(&mut self.client, held.conn(), &mut script).await {
            Ok(answer) => {
                let failed = answer.error.is_some();
                self.settle(held, &answer, Reach::Nothing).await;
                if failed { Err(Fault::Told) } else { Ok(()) }
            }
            Err(error) => Err(self.broken(held, error, false)),
        }
    }

    pub(super) async fn on_close(&mut self, body: &[u8], snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let close = Close::parse(body).map_err(violation)?;
        self.check_name(close.name)?;
        self.send_pending().await?;
        if close.kind == extended::STATEMENT {
            let closed = self.statements.remove(kept(close.name));
            closed.iter().for_each(|prepared| self.told.forget(prepared));
        } else if let Ok(portal) = self.portal(close.name)
            && let Place::Server { shard, reach, apart } = portal.place
        {
            self.batch.portals.remove(close.name);
            let here = self.batch.lanes.current().map(|lane| lane.number);
            if portal.bound.is_none() || portal.bound == here || (self.txn.is_some() && !apart) {
                self.lane(shard, reach, apart, snapshot).await?;
                if let Some(lane) = self.batch.lanes.current_mut() {
                    build::close(&mut lane.out, b'P', close.name);
                    self.batch.lanes.expect(Expect::Close { hidden: false });
                }
                return Ok(());
            }
        } else {
            if let Some(cursor) = self.kept_cursor_at(close.name) {
                Box::pin(self.close_kept(&Of::Cursor(cursor))).await;
            }
            self.batch.portals.remove(close.name);
        }
        if !self.kept.is_empty() {
            Box::pin(self.sweep_portals()).await;
        }
        if self.batch.lanes.current().is_some() {
            self.batch.lanes.expect(Expect::Emit(CLOSE_COMPLETE));
            return Ok(());
        }
        // What batches before this one are to be answered comes first.
        self.leave_lanes().await?;
        build::close_complete(&mut self.client.out);
        Ok(())
    }
}

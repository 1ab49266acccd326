//! Batch: the extended query protocol. Messages up to Sync or Flush are taken together; what goes to one backend goes
//! there in one write, and the answers come back in the order the client asked for them.

use super::{
    End, Fault, Session,
    calls::Execution,
    hold::{self, Held},
    prepared::{Declared, Prepared},
    simple::Target,
    verbs::text_field,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::relay::{self, Expect},
    metrics::RouteKind,
    plan::{Plan, PlanKind},
    registry::Doing,
    route::bind::{Parameters, Values},
    sql::{
        fingerprint::{Lexed, lex},
        verb::{Verb, Which},
    },
    txn::Reach,
};
use bytes::{Bytes, BytesMut};
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::{
    build,
    extended::{self, Bind, Close, Describe, Execute, Parse},
    result::Field,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

/// A request is sent, and its answers are passed on, when it has grown to this: so neither side waits for the other.
const CHUNK: usize = 32 * 1024;
/// Messages are worked off when so many bytes of them wait for a Sync.
const MOST_WAITING: usize = 1024 * 1024;

/// What a session keeps of the extended protocol.
#[derive(Debug, Default)]
pub(super) struct Batch {
    waiting: VecDeque<(u8, BytesMut)>,
    bytes: usize,
    /// An error was reported: everything up to Sync is passed over.
    skipping: bool,
    segment: Option<Segment>,
    /// Segments so far.
    segments: u64,
    portals: HashMap<Box<[u8]>, Portal>,
    /// A Parse that no server has seen yet: where it goes is known with the next message.
    pending: Option<(Box<[u8]>, Arc<Prepared>)>,
    /// Statements named since the last Sync.
    fresh: Vec<Box<[u8]>>,
    started: Option<Instant>,
    /// The way of the batch's last execution.
    route: Option<RouteKind>,
}

impl Batch {
    /// Between two batches.
    pub(super) fn is_at_rest(&self) -> bool {
        self.segment.is_none() && self.waiting.is_empty() && !self.skipping && self.started.is_none()
    }
}

/// Messages for one backend and what is expected of it.
#[derive(Debug)]
struct Segment {
    number: u64,
    held: Held,
    out: BytesMut,
    script: VecDeque<Expect>,
    reach: Reach,
    /// It works outside the transaction.
    apart: bool,
    executed: bool,
    /// The unnamed statement that this backend has.
    unnamed: Option<Arc<Prepared>>,
    /// Number of the session's temporary tables before it.
    temps: usize,
}

#[derive(Clone, Debug)]
struct Portal {
    prepared: Arc<Prepared>,
    plan: Arc<Plan>,
    /// Body of its Bind after the statement's name.
    rest: Bytes,
    place: Place,
    /// Its rows are to be described with its execution.
    describe: bool,
    /// Rows over several shards were let go after a row limit.
    suspended: bool,
    /// Number of the segment in which it was bound; None: it is a cursor, or no server has it.
    bound: Option<u64>,
    /// It was executed where it was bound.
    executed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Server { shard: ShardIndex, reach: Reach, apart: bool },
    Special,
}

impl Session {
    /// One message of the extended protocol.
    pub(super) async fn extended(&mut self, kind: u8, mut frame: BytesMut) -> Result<(), End> {
        let body = frame.split_off(5.min(frame.len()));
        match kind {
            b'S' => {
                if let Err(error) = extended::empty(&body) {
                    self.fail(Report::with(catalogue::PROTOCOL, error.to_string()).into()).await?;
                }
                self.sync().await
            }
            _ if self.batch.skipping => Ok(()),
            b'H' => {
                self.work().await?;
                self.flush_batch().await
            }
            _ => {
                self.batch.bytes += body.len();
                self.batch.waiting.push_back((kind, body));
                if self.batch.bytes > MOST_WAITING { self.work().await } else { Ok(()) }
            }
        }
    }

    async fn sync(&mut self) -> Result<(), End> {
        if !self.batch.skipping {
            self.work().await?;
        }
        if !self.batch.skipping
            && let Err(fault) = self.send_pending().await
        {
            self.fail(fault).await?;
        }
        self.batch.skipping = false;
        let told = match self.batch.segment.take() {
            None => false,
            Some(segment) => {
                let hidden = segment.apart;
                match self.end_segment(segment, hidden).await {
                    Ok(()) => !hidden,
                    Err(Fault::End(end)) => return Err(end),
                    Err(Fault::Told) => {
                        self.fault(Fault::Told)?;
                        !hidden
                    }
                    Err(fault) => {
                        self.fault(fault)?;
                        false
                    }
                }
            }
        };
        self.batch.fresh.clear();
        if self.txn.is_none() {
            self.batch.portals.clear();
        }
        if let Some(started) = self.batch.started.take() {
            let route = self.batch.route.take().unwrap_or(RouteKind::Local);
            self.database.statements.record(route, started.elapsed().as_secs_f64());
        }
        if told { Ok(()) } else { self.ready().await }
    }

    /// A new transaction has no portals.
    pub(super) fn forget_portals(&mut self) {
        self.batch.portals.clear();
    }

    /// Flush: what is asked so far is answered.
    async fn flush_batch(&mut self) -> Result<(), End> {
        if self.batch.skipping {
            return Ok(self.client.flush().await?);
        }
        let result = match self.send_pending().await {
            Ok(()) if self.only_prepared() => self.leave_segment().await,
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
        let segment = self.batch.segment.as_ref();
        segment.is_some_and(|segment| !segment.executed && (segment.apart || self.txn.is_none()))
            && self.batch.portals.is_empty()
    }

    /// Works off the messages that wait.
    async fn work(&mut self) -> Result<(), End> {
        self.me.set_doing(Doing::Active);
        if self.batch.segment.is_none() {
            self.wait_while_paused().await;
        }
        self.batch.started.get_or_insert_with(Instant::now);
        self.batch.bytes = 0;
        while let Some((kind, body)) = self.batch.waiting.pop_front() {
            let result = match kind {
                b'P' => self.on_parse(&body).await,
                b'B' => self.on_bind(body.freeze()).await,
                b'D' => self.on_describe(&body).await,
                b'E' => self.on_execute(&body).await,
                _ => self.on_close(&body).await,
            };
            if let Err(fault) = result {
                return self.fail(fault).await;
            }
        }
        Ok(())
    }

    /// A message failed: what was asked before is answered, then comes the error; the rest up to Sync is passed over.
    async fn fail(&mut self, fault: Fault) -> Result<(), End> {
        self.batch.waiting.clear();
        self.batch.bytes = 0;
        self.batch.skipping = true;
        if let Some((name, _)) = self.batch.pending.take() {
            // Its Parse was not answered: for the client it is the one that failed.
            self.statements.remove(&name);
        }
        let fault = match self.close_segment().await {
            Ok(()) => fault,
            Err(earlier) => earlier,
        };
        self.fault(fault)
    }

    /// Ends a segment whose batch failed at pgring: its answers are passed on, its writes are not kept.
    async fn close_segment(&mut self) -> Result<(), Fault> {
        if self.batch.segment.is_none() {
            return Ok(());
        }
        let unkept = self.txn.is_none()
            && self.batch.segment.as_ref().is_some_and(|segment| segment.executed && segment.reach == Reach::Write);
        if !unkept {
            let Some(segment) = self.batch.segment.take() else { return Ok(()) };
            return self.end_segment(segment, true).await;
        }
        self.answer_so_far().await?;
        // Without a Sync the server rolls its implicit transaction back when the connection goes.
        if let Some(segment) = self.batch.segment.take() {
            self.temp_tables.truncate(segment.temps);
        }
        self.me.end_work();
        Ok(())
    }

    async fn on_parse(&mut self, body: &[u8]) -> Result<(), Fault> {
        let parse = Parse::parse(body).map_err(violation)?;
        let Ok(text) = std::str::from_utf8(parse.sql) else {
            return Err(Report::with(catalogue::NOT_UNDERSTOOD, "the statement is not valid UTF-8")
                .hint("Set client_encoding to UTF8.")
                .into());
        };
        self.send_pending().await?;
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            let name = String::from_utf8_lossy(parse.name);
            return Err(Report::with(
                catalogue::DUPLICATE_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            )
            .into());
        }
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        let types: Box<[u32]> = parse.types.iter().collect();
        let schema = (!parse.name.is_empty()).then(|| self.database.snapshot().schema.version);
        let prepared = Arc::new(Prepared::new(text, Declared::Types(types), lexed, schema));
        self.statements.insert(parse.name.into(), prepared.clone());
        self.batch.fresh.push(parse.name.into());
        self.batch.pending = Some((parse.name.into(), prepared));
        Ok(())
    }

    /// Sends a Parse for which no Bind has shown the way: to where the batch is, else to any server.
    async fn send_pending(&mut self) -> Result<(), Fault> {
        let Some((_, prepared)) = self.batch.pending.clone() else { return Ok(()) };
        if self.fields_if_own(&prepared).is_some() {
            // No server knows what pgring itself answers.
            self.leave_segment().await?;
            build::parse_complete(&mut self.client.out);
            self.batch.pending = None;
            return Ok(());
        }
        self.segment_anywhere().await?;
        self.add_parse(&prepared, false).await?;
        self.batch.pending = None;
        Ok(())
    }

    /// The segment for what any server can answer.
    async fn segment_anywhere(&mut self) -> Result<(), Fault> {
        if self.batch.segment.is_some() {
            return Ok(());
        }
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        match &self.txn {
            Some(txn) if txn.failed => Err(Report::new(catalogue::FAILED_TRANSACTION).into()),
            // A transaction that is open nowhere yet is not opened for a Parse or a Describe.
            Some(txn) if txn.participants.is_empty() => self.segment(default, Reach::Nothing, true, &snapshot).await,
            Some(txn) => {
                let shard = txn.any(default);
                self.segment(shard, Reach::Nothing, false, &snapshot).await
            }
            None => self.segment(default, Reach::Nothing, false, &snapshot).await,
        }
    }

    /// Makes the segment of a backend the current one.
    async fn segment(
        &mut self,
        shard: ShardIndex,
        reach: Reach,
        apart: bool,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        if let Some(segment) = &mut self.batch.segment {
            if segment.held.shard == shard && segment.apart == apart {
                if reach == Reach::Write || segment.reach == Reach::Nothing {
                    segment.reach = reach;
                }
                return Ok(());
            }
            let writes = segment.reach == Reach::Write || reach == Reach::Write;
            if self.txn.is_none() && segment.executed && writes {
                return Err(Report::new(catalogue::SECOND_SHARD)
                    .detail("a pipeline without transaction block is one transaction, and it reaches a second shard")
                    .hint("Send a Sync after each statement, or one statement at a time.")
                    .into());
            }
            if let Some(segment) = self.batch.segment.take() {
                self.end_segment(segment, true).await?;
            }
        }
        let held = if apart {
            self.hold_apart(snapshot, shard).await?
        } else {
            if self.txn.is_some() {
                self.admit(&[shard], reach)?;
            }
            self.hold(snapshot, shard).await?
        };
        self.batch.segments += 1;
        let mut segment = Segment {
            number: self.batch.segments,
            held,
            out: BytesMut::new(),
            script: VecDeque::new(),
            reach,
            apart,
            executed: false,
            unnamed: None,
            temps: self.temp_tables.len(),
        };
        if let Some(opening) = segment.held.opening.take() {
            build::query(&mut segment.out, opening.as_bytes());
            segment.script.push_back(Expect::Prelude);
        }
        self.batch.segment = Some(segment);
        Ok(())
    }

    /// Adds a statement's Parse to the segment, unless its backend has it.
    async fn add_parse(&mut self, prepared: &Arc<Prepared>, hidden: bool) -> Result<(), Fault> {
        self.make_room(prepared.text.len()).await?;
        let Some(segment) = &mut self.batch.segment else { return Ok(()) };
        match prepared.id {
            None => {
                build::parse(&mut segment.out, "", prepared.text.as_bytes(), prepared.types());
                segment.script.push_back(Expect::Parse { id: None, hidden });
                segment.unnamed = Some(prepared.clone());
            }
            Some(id) if segment.held.conn().statements.touch(id) => {
                if !hidden {
                    let mut complete = BytesMut::new();
                    build::parse_complete(&mut complete);
                    segment.script.push_back(Expect::Emit(complete.freeze()));
                }
            }
            Some(id) => {
                if let Some(gone) = segment.held.conn().statements.add(id) {
                    build::close(&mut segment.out, b'S', gone.name());
                    segment.script.push_back(Expect::Close { hidden: true });
                }
                match &prepared.declared {
                    Declared::Types(types) => {
                        // After an error a Close is not read, so the name may be taken there.
                        build::close(&mut segment.out, b'S', id.name());
                        segment.script.push_back(Expect::Close { hidden: true });
                        build::parse(&mut segment.out, id.name(), prepared.text.as_bytes(), types);
                    }
                    Declared::Text(_) => {
                        segment.held.conn().statements.remove(id);
                        return Err(Report::new(catalogue::UNSUPPORTED)
                            .detail("a statement prepared by SQL and executed by the extended protocol")
                            .hint("Use EXECUTE.")
                            .into());
                    }
                }
                segment.script.push_back(Expect::Parse { id: Some(id), hidden });
            }
        }
        Ok(())
    }

    /// The statement is on the segment's backend afterwards; returns its name there.
    async fn ensure_parsed(&mut self, name: &[u8], prepared: &Arc<Prepared>) -> Result<String, Fault> {
        let asked = self.batch.pending.as_ref().is_some_and(|(pending, _)| **pending == *name);
        if asked {
            self.add_parse(prepared, false).await?;
            self.batch.pending = None;
        } else {
            let here = self.batch.segment.as_ref().and_then(|segment| segment.unnamed.as_ref());
            if prepared.id.is_some() || !here.is_some_and(|here| Arc::ptr_eq(here, prepared)) {
                self.add_parse(prepared, true).await?;
            }
        }
        Ok(prepared.id.map(|id| id.name()).unwrap_or_default())
    }

    async fn on_bind(&mut self, body: Bytes) -> Result<(), Fault> {
        let bind = Bind::parse(&body).map_err(violation)?;
        let parameters = bind.parameters().map_err(violation)?;
        let prepared = self.statement_named(bind.statement)?;
        if !bind.portal.is_empty() && self.batch.portals.contains_key(bind.portal) {
            let name = String::from_utf8_lossy(bind.portal);
            return Err(Report::with(catalogue::DUPLICATE_PORTAL, format!("cursor \"{name}\" already exists")).into());
        }
        if self.batch.pending.as_ref().is_some_and(|(pending, _)| **pending != *bind.statement) {
            self.send_pending().await?;
        }
        let snapshot = self.database.snapshot().clone();
        let values = Values {
            text: prepared.text.as_bytes(),
            lexed: &prepared.lexed,
            parameters: Parameters::Bound(&parameters, prepared.types()),
            utf8: self.settings.utf8(),
        };
        let (plan, place) = self.place(&prepared, &values, &snapshot)?;
        let rest = body.slice_ref(bind.rest);
        let mut portal = Portal {
            prepared: prepared.clone(),
            plan,
            rest,
            place,
            describe: false,
            suspended: false,
            bound: None,
            executed: false,
        };
        match place {
            Place::Server { shard, reach, apart } => {
                self.segment(shard, reach, apart, &snapshot).await?;
                let name = self.ensure_parsed(bind.statement, &prepared).await?;
                self.make_room(bind.rest.len()).await?;
                if let Some(segment) = &mut self.batch.segment {
                    build::bind_raw(&mut segment.out, bind.portal, name, bind.rest);
                    segment.script.push_back(Expect::Bind);
                    portal.bound = Some(segment.number);
                    if matches!(portal.plan.kind, PlanKind::Sharded(_)) {
                        self.batch.route = Some(RouteKind::Single);
                    }
                }
            }
            Place::Special => {
                self.leave_segment().await?;
                if self.batch.pending.take().is_some() {
                    build::parse_complete(&mut self.client.out);
                }
                build::bind_complete(&mut self.client.out);
            }
        }
        self.batch.portals.insert(bind.portal.into(), portal);
        Ok(())
    }

    /// Where an execution goes.
    fn place(
        &mut self,
        prepared: &Arc<Prepared>,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(Arc<Plan>, Place), Fault> {
        if let Some(verb) = &prepared.verb {
            return self.place_verb(prepared, verb, values, snapshot);
        }
        let plan = self.prepared_plan(prepared);
        let place = match self.target_of(&plan, values, snapshot)? {
            Target::Server { shard, reach, apart } => Place::Server { shard, reach, apart },
            Target::Special => Place::Special,
        };
        Ok((plan, place))
    }

    fn place_verb(
        &mut self,
        prepared: &Arc<Prepared>,
        verb: &Verb,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(Arc<Plan>, Place), Fault> {
        let default = snapshot.topology.default_shard;
        let plan = Arc::new(Plan::local());
        let failed = self.txn.as_ref().is_some_and(|txn| txn.failed);
        if failed && !matches!(verb, Verb::Commit { .. } | Verb::Rollback { .. } | Verb::RollbackTo(_)) {
            return Err(Report::new(catalogue::FAILED_TRANSACTION).into());
        }
        let any = self.txn.as_ref().map_or(default, |txn| txn.any(default));
        let server = |shard| Place::Server { shard, reach: Reach::Nothing, apart: false };
        let place = match verb {
            Verb::Show(Which::Name(name)) if name.starts_with("pgring.") => Place::Special,
            Verb::Show(_) => server(any),
            Verb::Load => {
                self.pin("LOAD");
                server(default)
            }
            Verb::Notify { .. } | Verb::Checkpoint => server(default),
            Verb::Fetch { cursor, .. } | Verb::CloseCursor(Which::Name(cursor)) => server(self.cursor_at(cursor, any)),
            Verb::Declare { name, hold, query_at } => {
                let shard = self.declare_at(prepared, *query_at, values, snapshot)?;
                if *hold {
                    self.pin("WITH HOLD cursor");
                }
                if let Some(txn) = &mut self.txn {
                    txn.cursors.push((name.clone(), shard));
                }
                Place::Server { shard, reach: Reach::Read, apart: false }
            }
            Verb::Execute { .. } => {
                return Err(Report::new(catalogue::UNSUPPORTED)
                    .detail("EXECUTE by the extended protocol")
                    .hint("Bind the prepared statement, or send EXECUTE by the simple protocol.")
                    .into());
            }
            _ => Place::Special,
        };
        Ok((plan, place))
    }

    fn cursor_at(&self, cursor: &str, any: ShardIndex) -> ShardIndex {
        let known = self.txn.as_ref().and_then(|txn| txn.cursors.iter().rev().find(|(name, _)| name == cursor));
        known.map(|(_, shard)| *shard).or(self.pins.first().map(|pin| pin.shard)).unwrap_or(any)
    }

    /// Where the query of a DECLARE runs.
    fn declare_at(
        &mut self,
        prepared: &Prepared,
        query_at: usize,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<ShardIndex, Fault> {
        let start = prepared.lexed.statements.first().map_or(0, |span| span.start as usize);
        let query = prepared.text.get(start + query_at..).unwrap_or_default().to_owned();
        let mut lexed = Lexed::default();
        lex(query.as_bytes(), &mut lexed);
        let plan = self.plan(&query, &mut lexed);
        let values =
            Values { text: query.as_bytes(), lexed: &lexed, parameters: values.parameters, utf8: self.settings.utf8() };
        match self.target_of(&plan, &values, snapshot)? {
            Target::Server { shard, .. } => Ok(shard),
            Target::Special => Err(match &plan.kind {
                PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => Self::refused(refusal),
                _ => Report::new(catalogue::MANY_SHARDS)
                    .detail("a cursor over several shards")
                    .hint("Give the shard key in the cursor's query."),
            }
            .into()),
        }
    }

    /// The plan of a prepared statement.
    pub(super) fn prepared_plan(&mut self, prepared: &Arc<Prepared>) -> Arc<Plan> {
        let path = self.search_path();
        let version = self.database.snapshot().plans;
        if self.temp_tables.is_empty()
            && let Some(plan) = prepared.plan(version, path.id)
        {
            return plan;
        }
        let mut lexed = prepared.lexed.clone();
        let plan = self.plan(&prepared.text, &mut lexed);
        if self.temp_tables.is_empty() {
            prepared.keep_plan(version, path.id, &plan);
        }
        plan
    }

    fn statement_named(&self, name: &[u8]) -> Result<Arc<Prepared>, Fault> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
            };
            Report::with(catalogue::UNKNOWN_STATEMENT, message).into()
        })
    }

    async fn on_describe(&mut self, body: &[u8]) -> Result<(), Fault> {
        let describe = Describe::parse(body).map_err(violation)?;
        if describe.kind == extended::PORTAL {
            return self.describe_portal(describe.name).await;
        }
        let prepared = self.statement_named(describe.name)?;
        if self.batch.pending.as_ref().is_some_and(|(pending, _)| **pending != *describe.name) {
            self.send_pending().await?;
        }
        let fields = self.fields_if_own(&prepared);
        let silent = prepared.verb.as_ref().is_some_and(is_silent);
        if fields.is_some() || silent {
            self.leave_segment().await?;
            if self.batch.pending.take().is_some() {
                build::parse_complete(&mut self.client.out);
            }
            build::parameter_description(&mut self.client.out, &prepared.own_types());
            match fields {
                Some(fields) => build::row_description(&mut self.client.out, &fields),
                None => build::no_data(&mut self.client.out),
            }
            return Ok(());
        }
        self.segment_anywhere().await?;
        let name = self.ensure_parsed(describe.name, &prepared).await?;
        if let Some(segment) = &mut self.batch.segment {
            build::describe(&mut segment.out, b'S', name);
            segment.script.push_back(Expect::Describe { statement: true });
        }
        Ok(())
    }

    /// The columns of a statement that pgring itself answers; None: it goes to a server.
    fn fields_if_own(&mut self, prepared: &Arc<Prepared>) -> Option<Vec<Field>> {
        match &prepared.verb {
            Some(Verb::Show(Which::Name(name))) if name.starts_with("pgring.") => Some(vec![text_field(name)]),
            Some(_) => None,
            None => {
                let plan = self.prepared_plan(prepared);
                self.own_fields(&plan, prepared)
            }
        }
    }

    /// Makes the segment the one where a portal is. Outside the transaction a portal goes with its segment, which may
    /// have ended within the batch: it is bound again.
    async fn segment_of_portal(
        &mut self,
        name: &[u8],
        portal: &Portal,
        (shard, reach, apart): (ShardIndex, Reach, bool),
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        self.segment(shard, reach, apart, snapshot).await?;
        let here = self.batch.segment.as_ref().map(|segment| segment.number);
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
        let parsed = self.batch.segment.as_ref().and_then(|segment| segment.unnamed.as_ref());
        if prepared.id.is_some() || !parsed.is_some_and(|parsed| Arc::ptr_eq(parsed, prepared)) {
            self.add_parse(prepared, true).await?;
        }
        self.make_room(portal.rest.len()).await?;
        if let Some(segment) = &mut self.batch.segment {
            let statement = prepared.id.map(|id| id.name()).unwrap_or_default();
            build::bind_raw(&mut segment.out, name, statement, &portal.rest);
            segment.script.push_back(Expect::HiddenBind);
        }
        if let Some(portal) = self.batch.portals.get_mut(name) {
            portal.bound = here;
        }
        Ok(())
    }

    async fn describe_portal(&mut self, name: &[u8]) -> Result<(), Fault> {
        let portal = self.portal(name)?;
        self.send_pending().await?;
        let snapshot = self.database.snapshot().clone();
        let Place::Server { shard, reach, apart } = portal.place else {
            self.leave_segment().await?;
            return self.describe_special(name, &portal, &snapshot).await;
        };
        self.segment_of_portal(name, &portal, (shard, reach, apart), &snapshot).await?;
        if let Some(segment) = &mut self.batch.segment {
            build::describe(&mut segment.out, b'P', name);
            segment.script.push_back(Expect::Describe { statement: false });
        }
        Ok(())
    }

    async fn describe_special(&mut self, name: &[u8], portal: &Portal, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let has_rows = portal.prepared.verb.as_ref().is_some_and(|verb| matches!(verb, Verb::Show(_)))
            || matches!(
                portal.plan.kind,
                PlanKind::Sharded(_) | PlanKind::ExplainRoute { .. } | PlanKind::Builtin(_) | PlanKind::Refuse(_)
            );
        if !has_rows || portal.prepared.verb.as_ref().is_some_and(is_silent) {
            build::no_data(&mut self.client.out);
            return Ok(());
        }
        let executed_next = matches!(
            self.batch.waiting.front(),
            Some((b'E', body)) if Execute::parse(body).is_ok_and(|execute| execute.portal == name)
        );
        if executed_next {
            if let Some(portal) = self.batch.portals.get_mut(name) {
                portal.describe = true;
            }
            return Ok(());
        }
        if let Some(fields) = self.own_fields(&portal.plan, &portal.prepared) {
            build::row_description(&mut self.client.out, &fields);
            return Ok(());
        }
        self.describe_apart(portal, snapshot).await
    }

    /// A portal by its name: bound by this client, or a cursor that it declared.
    fn portal(&self, name: &[u8]) -> Result<Portal, Fault> {
        if let Some(portal) = self.batch.portals.get(name) {
            return Ok(portal.clone());
        }
        let cursors = self.txn.iter().flat_map(|txn| txn.cursors.iter().rev());
        let here = cursors.filter(|(cursor, _)| cursor.as_bytes() == name).map(|(_, shard)| *shard).next();
        let Some(shard) = here.or(self.pins.first().map(|pin| pin.shard).filter(|_| !name.is_empty())) else {
            let name = String::from_utf8_lossy(name);
            return Err(Report::with(catalogue::UNKNOWN_PORTAL, format!("portal \"{name}\" does not exist")).into());
        };
        Ok(Portal {
            prepared: Arc::new(Prepared::new("", Declared::Text("".into()), Lexed::default(), None)),
            plan: Arc::new(Plan::local()),
            rest: Bytes::new(),
            place: Place::Server { shard, reach: Reach::Nothing, apart: false },
            describe: false,
            suspended: false,
            bound: None,
            executed: false,
        })
    }

    /// Describes a portal over several shards by its statement on the default shard.
    async fn describe_apart(&mut self, portal: &Portal, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let mut held = self.hold_here_or_apart(snapshot, snapshot.topology.default_shard).await?;
        let mut out = BytesMut::new();
        build::parse(&mut out, "", portal.prepared.text.as_bytes(), portal.prepared.types());
        build::bind_raw(&mut out, "", "", &portal.rest);
        build::describe(&mut out, b'P', "");
        build::sync(&mut out);
        if let Err(error) = held.conn().send(&out).await {
            return Err(hold::lost(&error.into(), false).into());
        }
        let mut script = VecDeque::from([
            Expect::Parse { id: None, hidden: true },
            Expect::HiddenBind,
            Expect::Describe { statement: false },
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

    async fn on_execute(&mut self, body: &[u8]) -> Result<(), Fault> {
        let execute = Execute::parse(body).map_err(violation)?;
        let portal = self.portal(execute.portal)?;
        self.send_pending().await?;
        self.me.count();
        let snapshot = self.database.snapshot().clone();
        let Place::Server { shard, reach, apart } = portal.place else {
            return self.execute_special(execute.portal, &portal, execute.max_rows, &snapshot).await;
        };
        self.segment_of_portal(execute.portal, &portal, (shard, reach, apart), &snapshot).await?;
        if let Some(portal) = self.batch.portals.get_mut(execute.portal) {
            portal.executed = true;
        }
        if (portal.plan.session.notifies || matches!(portal.prepared.verb, Some(Verb::Notify { .. })))
            && let Some(segment) = &mut self.batch.segment
        {
            let (shard, pid) = (segment.held.shard, segment.held.conn().cancel.pid);
            self.sends_from(shard, pid).await;
        }
        if let Some(segment) = &mut self.batch.segment {
            build::execute(&mut segment.out, execute.portal, execute.max_rows);
            segment.script.push_back(Expect::Execute);
            segment.executed = true;
        }
        if let Some(reason) = portal.plan.session.pin {
            self.pin(reason);
        }
        self.note_temps(&portal.plan.session.creates_temp);
        self.make_room(0).await
    }

    async fn execute_special(
        &mut self,
        name: &[u8],
        portal: &Portal,
        max_rows: i32,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        self.leave_segment().await?;
        if let Some(Verb::Show(Which::Name(name))) = &portal.prepared.verb {
            let (name, describe) = (name.clone(), portal.describe);
            return self.show_own(&name, describe).map(|_| ());
        }
        if let Some(verb) = portal.prepared.verb.clone() {
            let span = portal.prepared.lexed.statements.first().copied();
            let text = span.and_then(|span| portal.prepared.text.get(span.start as usize..span.end as usize));
            let text = text.unwrap_or_default().to_owned();
            return Box::pin(self.verb(verb, &text, None)).await.map(|_| ());
        }
        if portal.suspended {
            return Err(Report::new(catalogue::MANY_SHARDS)
                .detail("a second Execute of a portal over several shards that was stopped by a row limit")
                .hint("Fetch all rows at once, or use LIMIT and OFFSET.")
                .into());
        }
        let mut whole = BytesMut::new();
        build::bind_raw(&mut whole, "", "", &portal.rest);
        let body = whole.split_off(5);
        let bind = Bind::parse(&body).map_err(violation)?;
        let parameters = bind.parameters().map_err(violation)?;
        let own_types;
        let types = match &portal.plan.kind {
            PlanKind::Builtin(_) => {
                own_types = portal.prepared.own_types();
                own_types.as_slice()
            }
            _ => portal.prepared.types(),
        };
        let bound = Parameters::Bound(&parameters, types);
        let values = Values {
            text: portal.prepared.text.as_bytes(),
            lexed: &portal.prepared.lexed,
            parameters: bound,
            utf8: self.settings.utf8(),
        };
        let execution = Execution {
            prepared: &portal.prepared,
            bind: &portal.rest,
            result_formats: parameters.result_formats(),
            describe: portal.describe,
            max_rows: u64::try_from(max_rows).ok().filter(|most| *most > 0),
        };
        if execution.max_rows.is_some()
            && let Some(portal) = self.batch.portals.get_mut(name)
        {
            portal.suspended = true;
        }
        self.batch.route = Some(self.call(&portal.plan, &values, Some(execution), snapshot).await?);
        Ok(())
    }

    async fn on_close(&mut self, body: &[u8]) -> Result<(), Fault> {
        let close = Close::parse(body).map_err(violation)?;
        self.send_pending().await?;
        if close.kind == extended::STATEMENT {
            self.statements.remove(close.name);
        } else if let Ok(portal) = self.portal(close.name)
            && let Place::Server { shard, reach, apart } = portal.place
        {
            self.batch.portals.remove(close.name);
            let here = self.batch.segment.as_ref().map(|segment| segment.number);
            if portal.bound.is_none() || portal.bound == here || (self.txn.is_some() && !apart) {
                let snapshot = self.database.snapshot().clone();
                self.segment(shard, reach, apart, &snapshot).await?;
                if let Some(segment) = &mut self.batch.segment {
                    build::close(&mut segment.out, b'P', close.name);
                    segment.script.push_back(Expect::Close { hidden: false });
                }
                return Ok(());
            }
        } else {
            self.batch.portals.remove(close.name);
        }
        let mut complete = BytesMut::new();
        build::close_complete(&mut complete);
        match &mut self.batch.segment {
            Some(segment) => segment.script.push_back(Expect::Emit(complete.freeze())),
            None => self.client.out.extend_from_slice(&complete),
        }
        Ok(())
    }

    /// Ends the current segment before something that is answered elsewhere.
    async fn leave_segment(&mut self) -> Result<(), Fault> {
        match self.batch.segment.take() {
            Some(segment) => {
                if self.txn.is_none() && segment.executed && segment.reach == Reach::Write {
                    self.batch.segment = Some(segment);
                    return Err(Report::new(catalogue::SECOND_SHARD)
                        .detail("a pipeline without transaction block is one transaction, and it reaches more shards")
                        .hint("Send a Sync after each statement, or one statement at a time.")
                        .into());
                }
                self.end_segment(segment, true).await
            }
            None => Ok(()),
        }
    }

    /// Sends what has grown large, and passes its answers on, so that neither side waits for the other.
    async fn make_room(&mut self, coming: usize) -> Result<(), Fault> {
        let has = self.batch.segment.as_ref().map_or(0, |segment| segment.out.len());
        if has > CHUNK || (has > 0 && has + coming > CHUNK) { self.answer_so_far().await } else { Ok(()) }
    }

    /// Sends the segment's messages so far with a Flush and passes their answers on.
    async fn answer_so_far(&mut self) -> Result<(), Fault> {
        let Some(mut segment) = self.batch.segment.take() else { return Ok(()) };
        if segment.out.is_empty() {
            self.batch.segment = Some(segment);
            return Ok(());
        }
        build::flush(&mut segment.out);
        segment.script.push_back(Expect::Flush);
        let answer = self.relay_segment(&mut segment).await;
        match answer {
            Ok(answer) => {
                self.forget_unparsed(&answer);
                for id in &answer.unparsed {
                    segment.held.conn().statements.remove(*id);
                }
                if answer.reported {
                    self.settings.note(segment.held.conn());
                }
                self.batch.segment = Some(segment);
                if answer.error.is_some() { Err(Fault::Told) } else { Ok(()) }
            }
            Err(error) => Err(self.broken(segment.held, error, segment.reach == Reach::Write)),
        }
    }

    async fn relay_segment(&mut self, segment: &mut Segment) -> Result<relay::Answer, relay::RelayError> {
        let out = std::mem::take(&mut segment.out);
        segment
            .held
            .conn()
            .send(&out)
            .await
            .map_err(|error| relay::RelayError::Backend { source: error.into(), began: false })?;
        relay::relay(&mut self.client, segment.held.conn(), &mut segment.script).await
    }

    /// Ends a segment with a Sync, and lets its backend go.
    async fn end_segment(&mut self, mut segment: Segment, hidden: bool) -> Result<(), Fault> {
        build::sync(&mut segment.out);
        segment.script.push_back(Expect::Ready { hidden });
        match self.relay_segment(&mut segment).await {
            Ok(answer) => {
                self.forget_unparsed(&answer);
                if let Some(code) = &answer.error {
                    crate::metrics::error(std::str::from_utf8(code).unwrap_or("XX000"));
                }
                let failed = answer.error.is_some();
                if failed && self.txn.is_none() {
                    self.temp_tables.truncate(segment.temps);
                }
                self.settle(segment.held, &answer, segment.reach).await;
                if failed { Err(Fault::Told) } else { Ok(()) }
            }
            Err(error) => Err(self.broken(segment.held, error, segment.reach == Reach::Write)),
        }
    }

    /// Statements whose Parse failed do not exist.
    fn forget_unparsed(&mut self, answer: &relay::Answer) {
        let Session { batch, statements, .. } = self;
        for name in &batch.fresh {
            let id = statements.get(name).and_then(|prepared| prepared.id);
            if id.is_some_and(|id| answer.unparsed.contains(&id)) {
                statements.remove(name);
            }
        }
    }
}

/// A verb that has no rows.
fn is_silent(verb: &Verb) -> bool {
    !matches!(verb, Verb::Show(_) | Verb::Fetch { .. } | Verb::Execute { .. })
}

fn violation(error: impl std::fmt::Display) -> Fault {
    Report::with(catalogue::PROTOCOL, error.to_string()).into()
}

//! Simple: the simple query protocol. One statement is planned and runs; several run one after the other in
//! PostgreSQL's implicit transaction.

use super::{
    End, Fault, Session,
    hold::{Held, unless_given_up},
    sequences::{self, Filled},
};
use crate::{
    error::{Report, catalogue},
    execute::relay::{self, Expect},
    metrics::{self, RouteKind},
    plan::{
        Generate, Plan, PlanKind, Refusal,
        build::{self as planner, Input, Rules},
        cache,
    },
    registry::Doing,
    route::bind::{Parameters, Values},
    sql::{
        fingerprint::{Lexed, lex},
        verb::{self, Verb},
    },
    txn::{Reach, Txn, View},
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::{build, query};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// A statement as the simple protocol brings it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Its fingerprint.
    pub(super) lexed: &'a Lexed,
    /// The client's own message, where it is the message's only statement; its ReadyForQuery goes to the client.
    pub(super) frame: Option<&'a [u8]>,
}

impl Statement<'_> {
    /// Its values: all of them are literals.
    pub(super) fn values(&self, utf8: bool) -> Values<'_> {
        Values { text: self.text.as_bytes(), lexed: self.lexed, parameters: Parameters::None, utf8 }
    }

    /// The message for a server.
    pub(super) fn message(&self) -> std::borrow::Cow<'_, [u8]> {
        match self.frame {
            Some(frame) => frame.into(),
            None => {
                let mut out = BytesMut::new();
                build::query(&mut out, self.text.as_bytes());
                Vec::from(out).into()
            }
        }
    }
}

/// Whether the client has its ReadyForQuery already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The server's was passed on.
    Ready,
    /// It is still to be sent.
    Open,
}

impl Done {
    /// What a relayed statement leaves to be done; `frame` was the client's own message.
    ///
    /// # Errors
    /// [`Fault::Told`] if it failed and its ReadyForQuery is still to be sent.
    pub(super) fn of(frame: Option<&[u8]>, failed: bool) -> Result<Self, Fault> {
        match frame {
            Some(_) => Ok(Self::Ready),
            None if failed => Err(Fault::Told),
            None => Ok(Self::Open),
        }
    }
}

impl Session {
    /// A Query message.
    pub(super) async fn simple(&mut self, frame: BytesMut) -> Result<(), End> {
        self.me.set_doing(Doing::Active);
        self.me.count();
        let started = Instant::now();
        let mut lexed = std::mem::take(&mut self.lexed);
        let result = self.query(&frame, &mut lexed, started).await;
        self.lexed = lexed;
        match result {
            Ok(Done::Ready) => Ok(()),
            Ok(Done::Open) => self.ready().await,
            Err(fault) => {
                self.fault(fault)?;
                self.ready().await
            }
        }
    }

    /// Puts a statement's fault into the output; the transaction has failed with it.
    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), End> {
        match fault {
            Fault::End(end) => return Err(end),
            Fault::Report(report) => self.report(&report),
            Fault::Told => {}
        }
        self.fail_txn();
        Ok(())
    }

    /// The transaction, if there is one, can only be rolled back.
    pub(super) fn fail_txn(&mut self) {
        if let Some(txn) = &mut self.txn {
            txn.failed = true;
        }
    }

    /// What no failed transaction takes: its servers need not know that it has failed.
    pub(super) fn must_not_have_failed(&self) -> Result<(), Fault> {
        match &self.txn {
            Some(txn) if txn.failed => Err(Report::new(catalogue::FAILED_TRANSACTION).into()),
            _ => Ok(()),
        }
    }

    async fn query(&mut self, frame: &BytesMut, lexed: &mut Lexed, started: Instant) -> Result<Done, Fault> {
        let bytes = frame.get(5..).unwrap_or(&[]);
        let text = query::query_text(bytes).map_err(|e| Report::with(catalogue::PROTOCOL, e.to_string()))?;
        let text = &*String::from_utf8_lossy(text);
        lex(text.as_bytes(), lexed);
        self.wait_while_paused().await?;
        if lexed.statements.len() > 1 && self.settings.has_escapes() && text.contains('\\') {
            return Box::pin(self.unread(frame, text, lexed)).await;
        }
        if !lexed.statements.is_empty() {
            self.forget_unnamed_portal();
        }
        match lexed.statements.len() {
            // The comment may not end: the server says so.
            0 if text.contains("/*") => self.anywhere(text, Some(frame), Reach::Nothing).await,
            0 => {
                build::empty_query_response(&mut self.client.out);
                Ok(Done::Open)
            }
            1 => {
                let lexed = &mut *lexed;
                self.statement(text, lexed, Some(frame), started).await
            }
            _ => Box::pin(self.several(text, lexed, frame, started)).await,
        }
    }

    /// A message whose strings the lexer may have read otherwise than the server: it goes whole, where nothing in it
    /// is sharded.
    async fn unread(&mut self, frame: &BytesMut, text: &str, lexed: &mut Lexed) -> Result<Done, Fault> {
        let plan = self.plan(text, lexed);
        if let PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) = &plan.kind {
            return Err(Self::refused(refusal).into());
        }
        self.must_not_have_failed()?;
        let snapshot = self.database.snapshot().clone();
        let shard = snapshot.topology.default_shard;
        self.admit(&[shard], Reach::Write, &snapshot).await?;
        let held = self.hold(&snapshot, shard).await?;
        self.relay_simple(held, frame, Reach::Write, true).await.map(|_| Done::Ready)
    }

    /// A statement about the session that holds text in another encoding than UTF8.
    async fn foreign_verb(&mut self, verb: Verb, text: &str, frame: &[u8]) -> Result<Done, Fault> {
        match verb {
            Verb::Set { .. } => {
                self.must_not_have_failed()?;
                self.pin("a setting in another encoding than UTF8");
                self.anywhere(text, Some(frame), Reach::Nothing).await
            }
            Verb::Declare { .. } | Verb::Notify { .. } => Box::pin(self.verb(verb, text, Some(frame))).await,
            _ => Err(Report::new(catalogue::UNSUPPORTED)
                .detail("a statement about the session in another encoding than UTF8")
                .hint("Set client_encoding to UTF8.")
                .into()),
        }
    }

    async fn statement(
        &mut self,
        text: &str,
        lexed: &mut Lexed,
        frame: Option<&[u8]>,
        started: Instant,
    ) -> Result<Done, Fault> {
        let span = lexed.statements.first().map_or(0..text.len(), |span| span.start as usize..span.end as usize);
        let start = span.start;
        let inner = text.get(span).unwrap_or(text);
        if let Some(verb) = verb::recognise(inner) {
            return match frame {
                Some(frame) if self.is_foreign(inner) => Box::pin(self.foreign_verb(verb, inner, frame)).await,
                Some(_) if matches!(verb, Verb::Prepare { .. } | Verb::Execute { .. }) => {
                    // A server is sent something else, whose positions are others.
                    let before = text.get(..start).unwrap_or_default();
                    self.client.position_offset = before.chars().count() as isize;
                    let done = Box::pin(self.verb(verb, inner, frame)).await;
                    self.client.position_offset = 0;
                    done
                }
                _ => Box::pin(self.verb(verb, inner, frame)).await,
            };
        }
        if self.has_own_changes() {
            Box::pin(self.see_own_changes(inner)).await?;
        }
        let plan = self.plan(text, lexed);
        let statement = Statement { text, lexed, frame };
        if let PlanKind::Generate(generate) = &plan.kind
            && self.txn.as_ref().is_none_or(|txn| !txn.failed)
        {
            return Box::pin(self.generated(generate, &statement, started)).await;
        }
        let (done, route) = self.run_planned(&plan, &statement).await?;
        self.database.statements.record(route, started.elapsed().as_secs_f64());
        Ok(done)
    }

    /// A statement into which values are put before it is planned.
    async fn generated(
        &mut self,
        generate: &Generate,
        statement: &Statement<'_>,
        started: Instant,
    ) -> Result<Done, Fault> {
        let snapshot = self.database.snapshot().clone();
        let Some(filled) = self.filled(generate, statement, &snapshot).await? else {
            let (done, route) = self.run_planned(&Self::otherwise(generate), statement).await?;
            self.database.statements.record(route, started.elapsed().as_secs_f64());
            return Ok(done);
        };
        let Filled { text, mut lexed, respelled } = filled;
        let plan = self.plan(&text, &mut lexed);
        let message = sequences::message(&text);
        let statement = Statement { text: &text, lexed: &lexed, frame: statement.frame.map(|_| &*message) };
        self.client.respelled = Some(Box::new(respelled));
        let ran = self.run_planned(&plan, &statement).await;
        self.client.respelled = None;
        let (done, route) = ran?;
        self.database.statements.record(route, started.elapsed().as_secs_f64());
        Ok(done)
    }

    /// Several statements in one message.
    async fn several(&mut self, text: &str, lexed: &Lexed, frame: &BytesMut, started: Instant) -> Result<Done, Fault> {
        if let Some(done) = self.all_at_once(text, lexed, frame).await? {
            return Ok(done);
        }
        if self.is_foreign(text) {
            return Err(Report::new(catalogue::UNSUPPORTED)
                .detail("several statements with one about the session, in another encoding than UTF8")
                .hint("Send them one by one.")
                .into());
        }
        let mut implicit = false;
        let mut tag = None;
        let mut own = Lexed::default();
        for (nth, span) in lexed.statements.iter().enumerate() {
            let inner = text.get(span.start as usize..span.end as usize).unwrap_or_default();
            lex(inner.as_bytes(), &mut own);
            let verb = verb::recognise(inner);
            match verb {
                Some(verb::Verb::Begin { .. }) if implicit => {
                    implicit = false;
                    build::command_complete(&mut self.client.out, "BEGIN");
                    continue;
                }
                Some(verb::Verb::Commit { .. } | verb::Verb::Rollback { .. }) => {
                    if implicit {
                        self.warn("25P01", "there is no transaction in progress");
                    }
                    implicit = false;
                }
                Some(verb::Verb::Begin { .. }) => {}
                _ if self.txn.is_none() => {
                    self.txn = Some(Txn::new("BEGIN".into(), View::EachStatement, self.settings.current.clone()));
                    implicit = true;
                }
                _ => {}
            }
            let before = text.get(..span.start as usize).unwrap_or_default();
            self.client.position_offset = before.chars().count() as isize;
            let commits_next = implicit && nth + 1 == lexed.statements.len();
            self.client.hold_tag = commits_next;
            let result = self.statement(inner, &mut own, None, started).await;
            self.client.hold_tag = false;
            self.client.position_offset = 0;
            // The last statement has succeeded only when the commit has.
            let kept = if commits_next { self.client.take_tag() } else { None };
            let failed = result.is_err() || self.txn.as_ref().is_some_and(|txn| txn.failed);
            if let Err(fault) = result {
                self.fault(fault)?;
            }
            if failed {
                if implicit && let Some(txn) = self.txn.take() {
                    self.abandon(txn).await;
                }
                return Ok(Done::Open);
            }
            tag = kept;
        }
        if implicit && let Some(txn) = self.txn.take() {
            self.commit_quietly(txn).await?;
        }
        self.client.out.extend_from_slice(&tag.unwrap_or_default());
        Ok(Done::Open)
    }

    /// Several statements that all go to one server go there as they are.
    async fn all_at_once(&mut self, text: &str, lexed: &Lexed, frame: &BytesMut) -> Result<Option<Done>, Fault> {
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        let mut own = Lexed::default();
        let mut pins = Vec::new();
        let (mut nothing, mut notifies) = (true, false);
        for span in &lexed.statements {
            let inner = text.get(span.start as usize..span.end as usize).unwrap_or_default();
            lex(inner.as_bytes(), &mut own);
            if verb::recognise(inner).is_some() {
                return Ok(None);
            }
            let plan = self.plan(inner, &mut own);
            if !matches!(plan.kind, PlanKind::Anywhere | PlanKind::Catalog | PlanKind::Local | PlanKind::Reference)
                || !plan.session.creates_temp.is_empty()
                || !plan.session.sets.is_empty()
            {
                return Ok(None);
            }
            if plan.session.asks_sequence || plan.session.looks_at_statements {
                return Ok(None);
            }
            pins.push(plan.session.clone());
            notifies |= plan.session.notifies;
            nothing &= plan.reads_only && matches!(plan.kind, PlanKind::Anywhere);
        }
        self.must_not_have_failed()?;
        let (shard, reach) = match &self.txn {
            Some(txn) if nothing && txn.view == View::EachStatement => (txn.any(default), Reach::Nothing),
            Some(txn) if nothing => (txn.any(default), Reach::Read),
            _ => (default, Reach::Write),
        };
        self.admit(&[shard], reach, &snapshot).await?;
        let mut held = self.hold(&snapshot, shard).await?;
        if notifies {
            self.sends_from(shard, held.conn().cancel.pid).await;
        }
        pins.iter().for_each(|effect| self.pin_for(effect));
        self.relay_simple(held, frame, reach, true).await?;
        Ok(Some(Done::Ready))
    }

    /// The plan of a statement, from the cache if its shape was seen.
    pub(super) fn plan(&mut self, text: &str, lexed: &mut Lexed) -> Arc<Plan> {
        let path = self.search_path_id();
        let snapshot = self.snapshot();
        let context = cache::Context { plans: snapshot.plans, path };
        let escapes = self.settings.has_escapes() && text.contains('\\');
        let foreign = self.is_foreign(text);
        let shared = lexed.certain && self.temp_tables.is_empty() && !escapes && !foreign && !self.has_own_schema();
        if shared && let Some(plan) = cache::get(text.as_bytes(), lexed, context) {
            return plan;
        }
        let began = Instant::now();
        let path = self.search_path();
        let input = Input {
            text,
            lexed,
            schema: &snapshot.schema,
            topology: &snapshot.topology,
            search_path: &path.schemas,
            makes_temporary: path.makes_temporary,
            temp_tables: &self.temp_tables,
            rules: self.rules(),
        };
        let plan = Arc::new(match (escapes, foreign) {
            (true, _) => planner::unread(&input, "standard_conforming_strings is off"),
            (_, true) => planner::in_another_encoding(&input),
            _ => planner::build(&input),
        });
        metrics::PARSES.increment(1);
        metrics::ROUTE_SECONDS.record(began.elapsed().as_secs_f64());
        if shared {
            cache::put(text.as_bytes(), lexed, context, &plan);
        }
        plan
    }

    /// The text is not UTF-8, or stands for other characters than it seems to.
    pub(super) fn is_foreign(&self, text: &str) -> bool {
        !text.is_ascii() && (self.settings.foreign_encoding() || text.contains('\u{FFFD}'))
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.database.rules
    }

    /// Sends a statement to a backend, as the client's own message where there is one, and passes its answer on.
    pub(super) async fn relay_text(
        &mut self,
        mut held: Held,
        text: &str,
        frame: Option<&[u8]>,
        reach: Reach,
    ) -> Result<relay::Answer, Fault> {
        held.expects = true;
        if let Some(frame) = frame {
            return self.relay_simple(held, frame, reach, true).await;
        }
        let mut message = BytesMut::new();
        build::query(&mut message, text.as_bytes());
        self.relay_simple(held, &message, reach, false).await
    }

    /// Sends one message to a backend and passes its answer on.
    pub(super) async fn relay_simple(
        &mut self,
        mut held: Held,
        message: &[u8],
        reach: Reach,
        ready: bool,
    ) -> Result<relay::Answer, Fault> {
        let mut script = VecDeque::from([Expect::Ready { hidden: !ready }]);
        let sent = match held.opening.take() {
            None => held.conn().send(message).await,
            Some(opening) => {
                let mut out = BytesMut::new();
                build::query(&mut out, opening.as_bytes());
                out.extend_from_slice(message);
                script.push_front(Expect::Prelude);
                held.conn().send(&out).await
            }
        };
        if let Err(error) = sent {
            let source = error.into();
            return Err(self.broken(held, relay::RelayError::Backend { source, began: false }, false));
        }
        match relay::relay(&mut self.client, held.conn(), &mut script).await {
            Ok(answer) => {
                self.settle(held, &answer, reach).await;
                Ok(answer)
            }
            Err(error) => Err(self.broken(held, error, reach != Reach::Nothing && reach != Reach::Read)),
        }
    }

    /// Runs a planned statement of the simple protocol.
    async fn run_planned(&mut self, plan: &Arc<Plan>, statement: &Statement<'_>) -> Result<(Done, RouteKind), Fault> {
        let snapshot = self.database.snapshot().clone();
        if self.txn.as_ref().is_some_and(|txn| txn.failed) {
            Box::pin(self.check_syntax_of(statement.text.as_bytes())).await?;
        }
        let target = match self.target(plan, statement, &snapshot)? {
            Target::Server { shard, reach, apart } => (shard, reach, apart),
            Target::Special => return Box::pin(self.special(plan, statement, &snapshot)).await,
        };
        let (shard, reach, apart) = target;
        let route = if matches!(plan.kind, PlanKind::Sharded(_)) { RouteKind::Single } else { RouteKind::Local };
        if plan.session.executes {
            let done = Box::pin(self.execute_within(statement.text, &plan.session)).await?;
            return Ok((done, route));
        }
        if apart {
            let held = self.hold_apart(&snapshot, shard).await?;
            let answer = self.relay_simple(held, &statement.message(), reach, false).await?;
            return if answer.error.is_some() { Err(Fault::Told) } else { Ok((Done::Open, route)) };
        }
        if let Err(refused) = self.admit(&[shard], reach, &snapshot).await {
            return Err(self.refuse(refused, statement.text.as_bytes(), None, &snapshot).await);
        }
        self.seeks_sequences = plan.session.asks_sequence;
        let mut held = self.hold(&snapshot, shard).await?;
        if plan.session.notifies {
            self.sends_from(shard, held.conn().cancel.pid).await;
        }
        self.pin_for(&plan.session);
        if plan.session.asks_sequence {
            self.own_sequences(&mut held).await?;
        }
        if plan.session.looks_at_statements {
            return Box::pin(self.look_at_statements(held, statement.text)).await.map(|done| (done, route));
        }
        let assigned = if plan.session.sets.is_empty() {
            None
        } else {
            let changed = self.changed_by(&plan.session.sets, &statement.values(self.settings.utf8()));
            self.assign(changed, &mut held).await
        };
        let answer = self.relay_simple(held, &statement.message(), reach, statement.frame.is_some()).await?;
        if answer.error.is_some() {
            self.unassign(assigned, shard);
        }
        if answer.error.is_some() && statement.frame.is_none() {
            return Err(Fault::Told);
        }
        if answer.error.is_none() {
            self.note_temps(&plan.session.creates_temp);
        }
        Ok((if statement.frame.is_some() { Done::Ready } else { Done::Open }, route))
    }

    /// Takes note of temporary tables that are made.
    pub(super) fn note_temps(&mut self, names: &[Box<str>]) {
        if names.is_empty() {
            return;
        }
        // It may be made ON COMMIT DROP.
        self.may_be_free = true;
        if let Some(txn) = &mut self.txn {
            txn.temps = txn.temps.min(self.temp_tables.len());
        }
        self.temp_tables.extend(names.iter().cloned());
    }

    /// What a statement is refused with.
    pub(super) fn refused(refusal: &Refusal) -> Report {
        let report = Report::with(refusal.reason, refusal.reason.message).detail(refusal.what.clone());
        if refusal.hint.is_empty() { report } else { report.hint(refusal.hint.clone()) }
    }

    pub(super) async fn wait_while_paused(&mut self) -> Result<(), Fault> {
        if *self.database.paused.borrow() && self.txn.is_none() {
            self.me.set_doing(Doing::Waiting);
            let mut paused = self.database.paused.subscribe();
            let resumed = unless_given_up(&self.me, paused.wait_for(|paused| !paused));
            let resumed = self.client.beside(true, resumed).await.map(|resumed| resumed.is_some());
            if !resumed? || self.me.end_wait() {
                return Err(self.given_up());
            }
        }
        Ok(())
    }

    /// A FunctionCall: large objects and the like live on the default shard.
    pub(super) async fn function_call(&mut self, frame: &BytesMut) -> Result<(), End> {
        self.me.set_doing(Doing::Active);
        let result = self.call_function(frame).await;
        if let Err(fault) = result {
            self.fault(fault)?;
            self.ready().await?;
        }
        Ok(())
    }

    async fn call_function(&mut self, frame: &BytesMut) -> Result<(), Fault> {
        self.must_not_have_failed()?;
        let snapshot = self.database.snapshot().clone();
        let shard = snapshot.topology.default_shard;
        self.admit(&[shard], Reach::Write, &snapshot).await?;
        let held = self.hold(&snapshot, shard).await?;
        self.relay_simple(held, frame, Reach::Write, true).await.map(|_| ())
    }
}

/// Where a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// On one server, byte for byte.
    Server {
        shard: ShardIndex,
        reach: Reach,
        /// Outside the transaction: it reads what every transaction sees alike.
        apart: bool,
    },
    /// It needs more than passing on.
    Special,
}

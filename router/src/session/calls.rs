//! Calls: where a planned statement runs, and what needs more than passing on: several shards, changes of schema, and
//! what pgring answers itself.

use super::{
    End, Fault, Session, copy_in,
    hold::{self, Held},
    made::Change,
    prepared::Prepared,
    sequences,
    simple::{Done, Statement, Target},
};
use crate::{
    admin,
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        scatter::{Scatter, ScatterError, scatter},
        splice::{self, Positions},
    },
    keeper,
    merge::{Bounds, TextStyle},
    metrics::RouteKind,
    plan::{Builtin, CreatedTable, Ddl, Many, Plan, PlanKind, Sharded, Source, ddl::shard_rule},
    pool::conn::{Conn, ConnError},
    route::{
        self, Route,
        bind::{Parameters, Values},
    },
    txn::{Reach, View},
};
use bytes::BytesMut;
use pgring_config::{
    catalog::tables::{GroupChoice, ShardTable},
    ids::ShardIndex,
    key::KeyType,
    tables::{Table, TableKind, TableName, TableState},
};
use pgring_protocol::{message::build, quote};
use std::sync::Arc;

/// Bytes that groups of one statement may take.
const MAX_GROUPS: usize = 64 * 1024 * 1024;

/// Parameters of an execution by the extended protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Execution<'a> {
    pub(super) prepared: &'a Prepared,
    /// Body of the Bind after the statement's name.
    pub(super) bind: &'a [u8],
    pub(super) result_formats: &'a [i16],
    /// The client asked for a RowDescription.
    pub(super) describe: bool,
    /// It wants no more than so many rows.
    pub(super) max_rows: Option<u64>,
    /// Number of its portal, where the rest of its rows may be asked for.
    pub(super) portal: Option<u64>,
}

impl Session {
    /// Where a statement of the simple protocol runs.
    pub(super) fn target(
        &mut self,
        plan: &Plan,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Result<Target, Fault> {
        let values = Values {
            text: statement.text.as_bytes(),
            lexed: statement.lexed,
            parameters: Parameters::None,
            utf8: self.settings.utf8(),
        };
        self.target_of(plan, &values, snapshot)
    }

    /// Where an execution runs.
    pub(super) fn target_of(&mut self, plan: &Plan, values: &Values<'_>, snapshot: &Snapshot) -> Result<Target, Fault> {
        self.must_not_have_failed()?;
        if let Some(shard) = self.directed(snapshot) {
            return Ok(Target::Server { shard, reach: Reach::Write, apart: false });
        }
        let default = snapshot.topology.default_shard;
        let any = || self.txn.as_ref().map_or(default, |txn| txn.any(default));
        let one_snapshot = self.txn.as_ref().is_some_and(|txn| txn.view != View::EachStatement);
        let reach = if plan.reads_only { Reach::Read } else { Reach::Write };
        let server = |shard, reach| Ok(Target::Server { shard, reach, apart: false });
        match &plan.kind {
            // As in PostgreSQL, a transaction's snapshot is that of its first statement, whatever it reads.
            PlanKind::Anywhere => server(any(), if one_snapshot { Reach::Read } else { Reach::Nothing }),
            PlanKind::Catalog if plan.reads_only => {
                let apart = self.txn.as_ref().is_some_and(|txn| !txn.includes(default));
                let reach = if one_snapshot && !apart { Reach::Read } else { Reach::Nothing };
                Ok(Target::Server { shard: default, reach, apart })
            }
            PlanKind::Reference => server(any(), if one_snapshot { Reach::Read } else { Reach::Nothing }),
            PlanKind::Catalog | PlanKind::Local => server(default, reach),
            PlanKind::Sharded(sharded) => match route::resolve(sharded, values, &snapshot.topology)? {
                Route::One(shard) => server(shard, reach),
                Route::Many(_) | Route::Apart if snapshot.topology.shards.len() == 1 => server(default, reach),
                _ => Ok(Target::Special),
            },
            PlanKind::Copy(copy) => match snapshot.topology.kind(&copy.table) {
                TableKind::Sharded(table) => match snapshot.topology.all_owners(table.group).as_slice() {
                    [one] => server(*one, if copy.from { Reach::Write } else { Reach::Read }),
                    _ => Ok(Target::Special),
                },
                TableKind::Reference if !copy.from || snapshot.topology.shards.len() == 1 => server(any(), reach),
                TableKind::Local => server(default, reach),
                TableKind::Reference => Ok(Target::Special),
            },
            PlanKind::Gather(_)
            | PlanKind::Explain(_)
            | PlanKind::CopyQuery(..)
            | PlanKind::ReferenceWrite(_)
            | PlanKind::Lock
                if snapshot.topology.shards.len() == 1 =>
            {
                server(default, reach)
            }
            // With one shard there is nothing to be apart: PostgreSQL judges the statement itself.
            PlanKind::Refuse(refusal) | PlanKind::Judge(refusal)
                if snapshot.topology.shards.len() == 1 && is_about_shards(refusal) =>
            {
                server(default, Reach::Write)
            }
            // A process that no client is, is one of the server's.
            PlanKind::Builtin(Builtin::Signal(signal)) if self.signalled(signal, values).is_none() => {
                server(default, Reach::Nothing)
            }
            _ => Ok(Target::Special),
        }
    }

    /// The shard that `pgring.shard` names.
    fn directed(&self, snapshot: &Snapshot) -> Option<ShardIndex> {
        let name = self.settings.pgring("shard").ok().filter(|name| !name.is_empty())?;
        snapshot.topology.shard_by_name(name)
    }

    /// Runs a statement that needs more than passing on.
    pub(super) async fn special(
        &mut self,
        plan: &Arc<Plan>,
        statement: &Statement<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(Done, RouteKind), Fault> {
        let values = Values {
            text: statement.text.as_bytes(),
            lexed: statement.lexed,
            parameters: Parameters::None,
            utf8: self.settings.utf8(),
        };
        self.call(plan, &values, None, snapshot).await.map(|route| (Done::Open, route))
    }

    /// Runs a statement, by either protocol, up to and with its tag.
    pub(super) async fn call(
        &mut self,
        plan: &Arc<Plan>,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        match &plan.kind {
            PlanKind::Refuse(refusal) if refusal.reason == catalogue::NOT_PERMITTED && copy_in::begins(values) => {
                Err(Box::pin(self.refuse_copy(refusal)).await)
            }
            PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => {
                Err(self.refuse(Self::refused(refusal), values.text, execution.as_ref(), snapshot).await)
            }
            PlanKind::Copy(copy) => match snapshot.topology.kind(&copy.table) {
                TableKind::Sharded(table) if !copy.from => {
                    let shards = snapshot.topology.all_owners(table.group);
                    Box::pin(self.copy_table(&shards, values, execution, snapshot)).await
                }
                TableKind::Sharded(table) => Box::pin(self.copy_from(copy, table.group, values, snapshot)).await,
                _ => Err(Self::refused(&copy.refusal).into()),
            },
            PlanKind::Lock => Box::pin(self.lock_tables(values, snapshot)).await.map(|()| RouteKind::Broadcast),
            PlanKind::CopyQuery(from, to) => Box::pin(self.copy_query((*from, *to), values, execution, snapshot)).await,
            PlanKind::Sharded(sharded) => self.many(plan, sharded, values, execution, snapshot).await,
            PlanKind::Gather(gather) => self.answer_by_gather(gather, values, execution, snapshot).await,
            PlanKind::ReferenceWrite(write) => Box::pin(self.write_reference(write, values, execution, snapshot)).await,
            PlanKind::Ddl(_) if plan.session.executes => {
                Box::pin(self.make_from_execute(values, snapshot)).await.map(|()| RouteKind::Broadcast)
            }
            PlanKind::Ddl(ddl) => self.ddl(ddl, values, execution, snapshot).await.map(|()| RouteKind::Broadcast),
            PlanKind::ExplainRoute { statement_at, .. } => {
                let explained = Box::pin(self.explain_route(*statement_at, values, execution, snapshot));
                explained.await.map(|()| RouteKind::Builtin)
            }
            PlanKind::Explain(statement_at) => {
                let explained = Box::pin(self.explain_shards(*statement_at, values, execution, snapshot));
                explained.await.map(|()| RouteKind::Builtin)
            }
            PlanKind::Builtin(builtin) => self.builtin(builtin, values, execution).await.map(|()| RouteKind::Builtin),
            // Its values are put in before it is planned.
            PlanKind::Generate(_) => Err(Report::new(catalogue::UNSUPPORTED)
                .detail("a statement that needs a sequence's value, in this place")
                .into()),
            PlanKind::Anywhere | PlanKind::Catalog | PlanKind::Local | PlanKind::Reference => {
                Err(Report::new(catalogue::INTERNAL).detail("a plan for one server was called").into())
            }
        }
    }

    /// The end of a statement that is refused: where PostgreSQL finds a fault in it, that fault.
    pub(super) async fn refuse(
        &mut self,
        refused: impl Into<Fault>,
        text: &[u8],
        execution: Option<&Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Fault {
        self.judge(text, execution, snapshot).await.err().unwrap_or_else(|| refused.into())
    }

    /// Asks the default shard to parse a statement that is to be refused: where PostgreSQL finds a fault in it, that
    /// is the answer.
    pub(super) async fn judge(
        &mut self,
        text: &[u8],
        execution: Option<&Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let held = self.hold_here_or_apart(snapshot, snapshot.topology.default_shard).await?;
        let open = held.is_in_txn();
        let mut out = BytesMut::new();
        build::parse(&mut out, "", text, execution.map_or(&[], |execution| execution.prepared.types()));
        build::sync(&mut out);
        let ask = async |conn: &mut Conn| match conn.send(&out).await {
            Ok(()) => conn.drain().await.map(|_| ()),
            Err(error) => Err(error.into()),
        };
        let (held, judged) = self.beside_client(held, ask).await?;
        match judged {
            Err(ConnError::Server(fields)) if !is_of_grammar(fields.get(b'F')) && self.has_failed() => {
                self.let_go(held, if open { b'E' } else { b'I' }, Reach::Nothing);
                Ok(())
            }
            Err(ConnError::Server(fields)) => {
                self.let_go(held, if open { b'E' } else { b'I' }, Reach::Nothing);
                Err(self.told(*fields))
            }
            Err(error) => Err(self.lost_while_held(&error)),
            Ok(()) => {
                self.let_go(held, if open { b'T' } else { b'I' }, Reach::Nothing);
                Ok(())
            }
        }
    }

    /// The syntax of a statement in a transaction that has failed.
    ///
    /// # Errors
    /// If the server finds a fault in it.
    pub(super) async fn check_syntax_of(&mut self, text: &[u8]) -> Result<(), Fault> {
        let snapshot = self.database.snapshot().clone();
        self.judge(text, None, &snapshot).await
    }

    fn has_failed(&self) -> bool {
        self.txn.as_ref().is_some_and(|txn| txn.failed)
    }

    /// A statement over several shards.
    async fn many(
        &mut self,
        plan: &Plan,
        sharded: &Sharded,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let route = route::resolve(sharded, values, &snapshot.topology)?;
        let (splices, merge, gather) = match &sharded.many {
            Many::Refuse(refusal) => {
                return Err(self.refuse(Self::refused(refusal), values.text, execution.as_ref(), snapshot).await);
            }
            Many::Gather(gather) => return self.answer_by_gather(gather, values, execution, snapshot).await,
            Many::Explain(statement_at) => {
                let explained = Box::pin(self.explain_shards(*statement_at, values, execution, snapshot));
                return explained.await.map(|()| RouteKind::Builtin);
            }
            Many::CopyQuery(from, to) => {
                return Box::pin(self.copy_query((*from, *to), values, execution, snapshot)).await;
            }
            Many::Write(write) => {
                return Box::pin(self.write_many(sharded, write, values, execution, snapshot)).await;
            }
            Many::Merge { splices, merge, gather } => (splices, merge, gather),
        };
        if let (Some(gather), Some(_), Route::Many(_)) = (gather, execution.and_then(|one| one.portal), &route) {
            return self.answer_by_gather(gather, values, execution, snapshot).await;
        }
        let shards = match route {
            Route::Many(shards) => shards,
            Route::One(shard) => vec![shard],
            Route::Apart => {
                return Err(Report::new(catalogue::MANY_SHARDS)
                    .detail("the statement's shard keys lead to different shards")
                    .hint("Give one shard key for all its tables.")
                    .into());
            }
        };
        self.check_fanout(shards.len())?;
        let reach = if plan.reads_only { Reach::Read } else { Reach::Write };
        self.admit(&shards, reach, snapshot).await?;
        let max_rows = execution.and_then(|execution| execution.max_rows);
        let mut bounds = Bounds {
            limit: self.bound(merge.limit.as_ref(), values, "LIMIT", "2201W")?,
            offset: self.bound(merge.offset.as_ref(), values, "OFFSET", "2201X")?.unwrap_or(0),
            max_bytes: MAX_GROUPS,
        };
        if let Some(most) = max_rows {
            bounds.limit = Some(bounds.limit.map_or(most, |limit| limit.min(most)));
        }
        let (text, origins) = splice::apply_with_origins(values.text, values.lexed, splices);
        let mut request = BytesMut::new();
        match &execution {
            None => build::query(&mut request, &text),
            Some(execution) => {
                build::parse(&mut request, "", &text, execution.prepared.types());
                let rest = splice::result_formats(execution.bind, execution.result_formats, merge);
                build::bind_raw(&mut request, "", "", &rest);
                build::describe(&mut request, b'P', "");
                // Of rows that pass as they are no shard has to send more than all that are wanted.
                let wanted = execution.max_rows.filter(|_| merge.group_by.is_none());
                let most = wanted.and_then(|most| i32::try_from(most + bounds.offset).ok()).unwrap_or(0);
                build::execute(&mut request, "", most);
                build::sync(&mut request);
            }
        }
        let scatter = Scatter {
            merge,
            style: TextStyle {
                dates_iso: self.settings.reported("DateStyle").is_some_and(|style| style.starts_with("ISO")),
                floats_exact: self.settings.floats_exact(),
            },
            bounds,
            describe: execution.is_none_or(|execution| execution.describe),
            suspend_at: max_rows,
        };
        let positions = Positions { client: values.text, sent: &text, origins: &origins };
        let before = self.client.out.len();
        match (self.scatter(&shards, &request, &scatter, &positions, snapshot, reach).await, gather) {
            // No row of the answer has been passed on.
            (Err(Fault::Report(report)), Some(gather)) if report.entry == catalogue::UNORDERABLE => {
                self.client.out.truncate(before);
                return self.answer_by_gather(gather, values, execution, snapshot).await;
            }
            (result, _) => result?,
        }
        let all = snapshot.topology.all_owners(sharded.group).len();
        Ok(if shards.len() == all { RouteKind::Scatter } else { RouteKind::Subset })
    }

    pub(super) fn check_fanout(&self, shards: usize) -> Result<(), Fault> {
        let own: usize = self.settings.pgring("max_fanout")?.parse().unwrap_or(0);
        let most = if own > 0 { own } else { self.database.settings.max_fanout as usize };
        if most > 0 && shards > most {
            return Err(Report::new(catalogue::FANOUT)
                .detail(format!("the statement covers {shards} shards, max_fanout is {most}"))
                .hint("Give the shard key, or SET pgring.max_fanout = 0.")
                .into());
        }
        Ok(())
    }

    /// The value of LIMIT or OFFSET.
    fn bound(
        &self,
        source: Option<&Source>,
        values: &Values<'_>,
        word: &str,
        sqlstate: &'static str,
    ) -> Result<Option<u64>, Fault> {
        let Some(source) = source else { return Ok(None) };
        match values.number(source) {
            Some(None) => Ok(None),
            Some(Some(number)) => match u64::try_from(number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Report::with(catalogue::PARAMETER_VALUE, format!("{word} must not be negative"))
                    .sqlstate(sqlstate)
                    .into()),
            },
            None => Err(Report::new(catalogue::MANY_SHARDS)
                .detail(format!("{word} is no whole number"))
                .hint(format!("Give {word} as an integer."))
                .into()),
        }
    }

    async fn scatter(
        &mut self,
        shards: &[ShardIndex],
        request: &[u8],
        how: &Scatter<'_>,
        positions: &Positions<'_>,
        snapshot: &Arc<Snapshot>,
        reach: Reach,
    ) -> Result<(), Fault> {
        let mut held = match reach {
            Reach::Read => self.ask_all(shards, request, snapshot).await?,
            // It locks rows.
            _ => self.ask_in_order(shards, request, snapshot).await?,
        };
        let result = {
            let mut conns: Vec<&mut Conn> = held.iter_mut().map(Held::conn).collect();
            scatter(&mut self.client, &mut conns, how).await
        };
        // A cancelled statement would be the end of the client's transaction.
        let another_way =
            matches!(&result, Err(ScatterError::Report(report)) if report.entry == catalogue::UNORDERABLE);
        let finished = result.is_ok() || (another_way && self.txn.is_some());
        self.drain_all(held, finished, reach).await;
        self.me.end_work();
        result.map(|_| ()).map_err(|error| self.fault_of(error, Some(positions)))
    }

    /// Sends the same to several shards, whose backends are then held.
    pub(super) async fn ask_all(
        &mut self,
        shards: &[ShardIndex],
        request: &[u8],
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Held>, Fault> {
        let mut held = self.hold_all(shards, snapshot).await?;
        for one in &mut held {
            if let Err(error) = one.conn().send(request).await {
                self.me.end_work();
                return Err(hold::lost(&error.into(), false).into());
            }
        }
        Ok(held)
    }

    /// Holds the backends of several shards, which are in the order of their numbers: so no two sessions wait for
    /// each other's. In a transaction it is opened on each.
    pub(super) async fn hold_all(
        &mut self,
        shards: &[ShardIndex],
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Held>, Fault> {
        let mut held = Vec::with_capacity(shards.len());
        for shard in shards {
            let mut one = match self.hold(snapshot, *shard).await {
                Ok(one) => one,
                Err(fault) => {
                    self.put_back(held);
                    return Err(fault);
                }
            };
            if let Err(error) = one.open().await {
                self.put_back(held);
                return Err(self.lost_while_held(&error));
            }
            held.push(one);
        }
        Ok(held)
    }

    /// Lets backends go that were not used. One on which the transaction was not opened yet has no part in it.
    pub(super) fn put_back(&mut self, held: Vec<Held>) {
        for one in held {
            let status = if self.txn.is_some() && one.opening.is_none() { b'T' } else { b'I' };
            self.let_go(one, status, Reach::Nothing);
        }
    }

    /// The end of a statement over several shards with this error. `positions`: the servers got another text.
    pub(super) fn fault_of(&mut self, error: ScatterError, positions: Option<&Positions<'_>>) -> Fault {
        match error {
            ScatterError::Server(mut fields) => {
                if let Some(positions) = positions {
                    positions.correct(&mut fields);
                }
                self.told(*fields)
            }
            ScatterError::Report(report) => Fault::Report(report),
            ScatterError::Backend(error) => hold::lost(&error, false).into(),
            ScatterError::Client(error) => Fault::End(End::from(error)),
        }
    }

    /// Reads every answer to its end and lets the backends go; one that is lost is closed. When the statement is over
    /// before (an error, a LIMIT), the servers are told.
    pub(super) async fn drain_all(&mut self, mut held: Vec<Held>, finished: bool, reach: Reach) {
        if !finished {
            for one in &mut held {
                let cancel = one.conn().cancel.clone();
                let passing = cancel.gate.enter();
                cancel.cancel(passing).await.ok();
            }
        }
        let mut statuses = Vec::with_capacity(held.len());
        for one in &mut held {
            statuses.push(one.conn().drain_rest().await.ok());
        }
        for (one, status) in held.into_iter().zip(statuses) {
            if let Some(status) = status {
                self.let_go(one, status, reach);
            }
        }
    }

    /// A change of schema: on every shard, in one transaction each, committed when all took it.
    pub(super) async fn ddl(
        &mut self,
        ddl: &Ddl,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let topology = &snapshot.topology;
        let default = topology.default_shard;
        let mut shards: Vec<ShardIndex> = vec![default];
        if !ddl.default_shard_only {
            shards.extend((0..topology.shards.len()).map(|at| ShardIndex(at as u16)).filter(|at| *at != default));
        }
        let text = String::from_utf8_lossy(values.text).into_owned();
        if ddl.default_shard_only {
            self.leave_databases(&text).await;
        }
        self.leave_roles(&text);
        if sequences::may_move(&text) {
            self.note_moved_sequences();
        }
        let change = Change::new(&text, ddl, values, execution);
        let own = self.txn.is_none();
        if ddl.outside_transaction {
            if !own {
                // Any server says what PostgreSQL says of it.
                shards.truncate(1);
            }
        } else {
            self.begin_own();
        }
        if self.txn.is_some() {
            self.admit(&shards, Reach::Schema, snapshot).await?;
        }
        let planned = self.planned_tables(ddl, snapshot);
        if let Err(fault) = self.must_be_empty(&ddl.empty, snapshot).await {
            return self.end_own(own, Err(fault)).await;
        }
        let result = self.ddl_on(&shards, change, snapshot).await;
        let tag = match result {
            Ok(tag) => tag,
            Err(fault) => return self.end_own(own, Err(fault)).await,
        };
        if ddl.changes_schema
            && let Some(txn) = &mut self.txn
        {
            txn.schema_changed = true;
            txn.schema_unseen = true;
            self.told.schema_changed();
        }
        if let Err(fault) = self.note_tables(ddl, &planned, snapshot).await {
            return self.end_own(own, Err(fault)).await;
        }
        if own {
            // It is read once, below.
            self.txn.iter_mut().for_each(|txn| txn.schema_changed = false);
            self.end_own(own, Ok(())).await?;
            if ddl.changes_schema {
                self.schema_changed().await;
            }
        }
        build::command_complete(&mut self.client.out, &tag);
        Ok(())
    }

    async fn ddl_on(
        &mut self,
        shards: &[ShardIndex],
        mut change: Change<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<String, Fault> {
        let mut tag = None;
        if self.txn.is_some() {
            let mut in_order = shards.to_vec();
            in_order.sort_unstable();
            let held = self.hold_all(&in_order, snapshot).await?;
            self.put_back(held);
        }
        let mut proof = None;
        for (nth, shard) in shards.iter().enumerate() {
            let mut held = self.hold(snapshot, *shard).await?;
            if let Err(error) = held.open().await {
                return Err(self.lost_while_held(&error));
            }
            if nth == 0 && shards.len() > 1 {
                proof = self.with_one_proof(held.conn(), change.text).await;
            }
            let mut notices = BytesMut::new();
            let run = async |conn: &mut Conn| match (nth, proof.as_deref()) {
                (0, None) => change.first(conn, &mut notices, shards.len() > 1).await,
                (nth, Some(sql)) => conn.housekeep_with(sql, nth == 0, &mut notices).await,
                (_, None) => conn.housekeep_with(change.elsewhere(), false, &mut notices).await,
            };
            let (held, result) = self.beside_client(held, run).await?;
            self.client.out.extend_from_slice(&notices);
            let status = if self.txn.is_some() { b'T' } else { b'I' };
            match result {
                Ok(drained) => {
                    self.let_go(held, status, Reach::Schema);
                    tag.get_or_insert(drained.tag);
                }
                Err(ConnError::Server(fields)) => {
                    self.let_go(held, if status == b'T' { b'E' } else { b'I' }, Reach::Schema);
                    return Err(self.told(*fields));
                }
                Err(error) => {
                    self.me.end_work();
                    return Err(hold::lost(&error, self.txn.is_none()).into());
                }
            }
        }
        Ok(tag.unwrap_or_default())
    }

    /// Tables whose rows would be on the default shard, whatever their keys.
    async fn must_be_empty(&mut self, tables: &[TableName], snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        for table in tables {
            let mut held = self.hold(snapshot, snapshot.topology.default_shard).await?;
            if let Err(error) = held.open().await {
                return Err(self.lost_while_held(&error));
            }
            let name = format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name));
            let sql = format!("SELECT 1 WHERE EXISTS (SELECT FROM {name})");
            let (held, found) = self.beside_client(held, async |conn: &mut Conn| conn.housekeep(&sql).await).await?;
            let status = if self.txn.is_some() { b'T' } else { b'I' };
            match found {
                Ok(rows) => {
                    self.let_go(held, status, Reach::Read);
                    if !rows.is_empty() {
                        return Err(Report::with(catalogue::NOT_EMPTY, catalogue::NOT_EMPTY.message)
                            .detail(format!("{table} is to be a part of a sharded table"))
                            .hint("Attach it empty, and insert its rows through the sharded table.")
                            .into());
                    }
                }
                Err(ConnError::Server(fields)) => {
                    self.let_go(held, if status == b'T' { b'E' } else { b'I' }, Reach::Nothing);
                    return Err(self.told(*fields));
                }
                Err(error) => return Err(self.lost_while_held(&error)),
            }
        }
        Ok(())
    }

    /// The rules for the tables that a change of schema makes.
    fn planned_tables(&self, ddl: &Ddl, snapshot: &Snapshot) -> Vec<Planned> {
        let topology = &snapshot.topology;
        let rule = |created: &CreatedTable| {
            let name = created.name.clone();
            let type_of = |key: &str| {
                let (_, text) = created.columns.iter().find(|(column, _)| **column == *key)?;
                KeyType::from_type_name(text)
            };
            if let Some(table) = topology.table(&name) {
                return match &table.kind {
                    TableKind::Sharded(sharded) => Some(Planned { key_type: type_of(&sharded.key), name, rule: None }),
                    _ => Some(Planned { key_type: None, name, rule: None }),
                };
            }
            if snapshot.schema.relation(&name).is_some() {
                // IF NOT EXISTS of a local table: it stays what it is.
                return None;
            }
            if let Some(key) = shard_rule(created, self.rules(), topology) {
                let rule = Some(Rule::Shard(key.clone()));
                return Some(Planned { key_type: type_of(&key), name, rule });
            }
            let listed = |listed: &String| *listed == *name.name || *listed == name.to_string();
            self.rules().reference_tables.iter().any(listed).then_some(Planned {
                key_type: None,
                name,
                rule: Some(Rule::Reference),
            })
        };
        ddl.creates.iter().filter_map(rule).collect()
    }

    /// Writes down what has become of tables that the catalog knows.
    async fn note_tables(&mut self, ddl: &Ddl, planned: &[Planned], snapshot: &Snapshot) -> Result<(), Fault> {
        let Some(catalog) = self.database.catalog.clone() else { return Ok(()) };
        let failed = |error: pgring_config::error::CatalogError| admin::catalog_report(&error);
        let mut changed = false;
        for planned in planned {
            match &planned.rule {
                None => {
                    catalog.set_ready(&planned.name, planned.key_type).await.map_err(failed)?;
                }
                Some(Rule::Reference) => {
                    catalog.reference_table(&planned.name, TableState::Ready).await.map_err(failed)?;
                    self.txn.iter_mut().for_each(|txn| txn.rules.made.push(planned.name.clone()));
                }
                Some(Rule::Shard(key)) => {
                    let rule = ShardTable {
                        table: planned.name.clone(),
                        key: key.clone(),
                        key_type: planned.key_type,
                        strategy: None,
                        group: GroupChoice::Default,
                        allow_local_unique: self.rules().local_unique_allowed,
                        state: TableState::Ready,
                    };
                    catalog.shard_table(&rule).await.map_err(failed)?;
                    self.txn.iter_mut().for_each(|txn| txn.rules.made.push(planned.name.clone()));
                }
            }
            changed = true;
            self.txn.iter_mut().for_each(|txn| txn.rules.dropped.retain(|name| *name != planned.name));
        }
        for (child, parent) in &ddl.detaches {
            let TableKind::Sharded(sharded) = snapshot.topology.kind(parent) else { continue };
            let rule = ShardTable {
                table: child.clone(),
                key: sharded.key.clone(),
                key_type: sharded.key_type,
                strategy: None,
                group: GroupChoice::ColocateWith(parent.clone()),
                allow_local_unique: sharded.allow_local_unique,
                state: TableState::Ready,
            };
            catalog.shard_table(&rule).await.map_err(failed)?;
            self.txn.iter_mut().for_each(|txn| txn.rules.made.push(child.clone()));
            changed = true;
        }
        // DROP … IF EXISTS of a table that is yet to be made leaves its rule.
        let is_there = |table: &Table| table.state != TableState::Planned;
        for name in ddl.drops.iter().filter(|name| snapshot.topology.table(name).is_some_and(is_there)) {
            match &mut self.txn {
                // Until it commits the table may come back.
                Some(txn) => txn.rules.dropped.push(name.clone()),
                None => {
                    catalog.forget_table(name).await.map_err(failed)?;
                    changed = true;
                }
            }
        }
        for (from, to) in ddl.renames.iter().filter(|(from, _)| snapshot.topology.table(from).is_some()) {
            catalog.rename_table(from, to).await.map_err(failed)?;
            self.txn.iter_mut().for_each(|txn| txn.rules.renamed.push((from.clone(), to.clone())));
            changed = true;
        }
        if changed {
            keeper::refresh_topology(&self.database, &self.cluster).await.ok();
        }
        Ok(())
    }

    /// The schema has changed: this router reads what is new before it goes on, the others are told.
    pub(super) async fn schema_changed(&mut self) {
        self.told.schema_changed();
        let tell = async {
            if let Some(catalog) = &self.database.catalog {
                catalog.notify_schema().await.ok();
            }
        };
        let (read, ()) = tokio::join!(keeper::refresh_schema(&self.database), tell);
        if let Err(error) = read {
            tracing::warn!(database = %self.database.name, %error, "the schema could not be read after a change");
        }
    }
}

/// A table that a change of schema makes, and its rule.
#[derive(Debug)]
struct Planned {
    name: TableName,
    key_type: Option<KeyType>,
    /// A rule that is yet to be written down; None: it was there before.
    rule: Option<Rule>,
}

#[derive(Debug)]
enum Rule {
    Shard(Box<str>),
    Reference,
}

/// A refusal that has no cause where all rows are on one shard; rules for the schema hold all the same.
fn is_about_shards(refusal: &crate::plan::Refusal) -> bool {
    use catalogue::{KEY_TYPE, NOT_PERMITTED, SCHEMA_CHANGE, UNIQUE_WITHOUT_KEY};
    ![SCHEMA_CHANGE, UNIQUE_WITHOUT_KEY, KEY_TYPE, NOT_PERMITTED].contains(&refusal.reason)
}

/// Whether an error with this F field comes from PostgreSQL's grammar, which reads a statement before a failed transaction
/// turns it away; 42601 alone is what its analysis says of some faults too.
fn is_of_grammar(file: Option<&str>) -> bool {
    file.is_some_and(|file| ["scan.l", "gram.y", "parser.c"].iter().any(|grammar| file.ends_with(grammar)))
}

//! Cursor: DECLARE, FETCH, MOVE and CLOSE. In: those statements. Out: the answer of the server where the cursor is: that
//! of its query's rows, or where the rows of several shards were brought together. Never: rows of its own.

use super::{
    Fault, Session,
    calls::Execution,
    gather::Gathered,
    kept::Of,
    simple::{Done, Target},
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        gather::{Answering, NO_PARAMETERS},
        splice::with_formats,
    },
    plan::{Gather, Many, Plan, PlanKind, Timed},
    route::{
        self, Route,
        bind::{Parameters, Values},
    },
    sql::fingerprint::{Lexed, lex},
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::build;
use std::{borrow::Cow, sync::Arc};

/// Where a cursor is made.
#[derive(Debug)]
pub(super) enum Declared {
    /// On the one server that its query runs on.
    There(ShardIndex),
    /// Where the rows of several shards are brought together.
    Gathered,
}

/// A DECLARE.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declare<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// The cursor.
    pub(super) name: &'a str,
    /// WITH HOLD
    pub(super) hold: bool,
    /// Where its query begins.
    pub(super) query_at: usize,
}

impl<'a> Declare<'a> {
    fn query(&self) -> &'a str {
        self.text.get(self.query_at..).unwrap_or_default()
    }
}

impl Session {
    /// Where the cursor of a DECLARE is to be made.
    pub(super) fn declared(
        &mut self,
        declare: Declare<'_>,
        parameters: Parameters<'_>,
        snapshot: &Snapshot,
    ) -> Result<Declared, Fault> {
        let query = declare.query();
        let mut lexed = Lexed::default();
        lex(query.as_bytes(), &mut lexed);
        let plan = self.plan(query, &mut lexed);
        let values = Values { text: query.as_bytes(), lexed: &lexed, parameters, utf8: self.settings.utf8() };
        if let Target::Server { shard, .. } = self.target_of(&plan, &values, snapshot)? {
            // Where it is already, the server says so.
            let elsewhere = self.cursor_at(declare.name).is_some_and(|known| known != shard);
            let known = elsewhere || self.kept_cursor(declare.name).is_some();
            return if known { Err(duplicate(declare.name)) } else { Ok(Declared::There(shard)) };
        }
        match gather_of(&plan, &values, snapshot) {
            // Outside a transaction block: the server says that there is no use in it.
            Some(_) if self.txn.is_none() && !declare.hold => Ok(Declared::There(snapshot.topology.default_shard)),
            Some(_) => Ok(Declared::Gathered),
            None => Err(match &plan.kind {
                PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => Self::refused(refusal),
                PlanKind::Sharded(sharded) => match &sharded.many {
                    Many::Refuse(refusal) => Self::refused(refusal),
                    _ => over_shards(),
                },
                _ => over_shards(),
            }
            .into()),
        }
    }

    /// Whether this server has all rows of a query.
    pub(super) fn has_rows_at(&mut self, query: &str, shard: ShardIndex) -> bool {
        let mut lexed = Lexed::default();
        lex(query.as_bytes(), &mut lexed);
        let plan = self.plan(query, &mut lexed);
        let snapshot = self.database.snapshot().clone();
        let parameters = Parameters::None;
        let values = Values { text: query.as_bytes(), lexed: &lexed, parameters, utf8: self.settings.utf8() };
        let anywhere = matches!(plan.kind, PlanKind::Anywhere);
        matches!(self.target_of(&plan, &values, &snapshot), Ok(Target::Server { shard: there, .. }) if anywhere || there == shard)
    }

    /// DECLARE by the simple protocol.
    pub(super) async fn declare(&mut self, declare: Declare<'_>, frame: Option<&[u8]>) -> Result<Done, Fault> {
        if self.has_own_changes() {
            self.see_own_changes(declare.query()).await?;
        }
        let snapshot = self.database.snapshot().clone();
        let shard = match self.declared(declare, Parameters::None, &snapshot)? {
            Declared::There(shard) => shard,
            Declared::Gathered => {
                self.declare_gathered(declare, None, Parameters::None, &snapshot).await?;
                return Ok(Done::Open);
            }
        };
        self.note_cursor(declare.name, shard, declare.hold);
        self.on_shard(shard, declare.text, frame, Reach::Read).await
    }

    /// Takes note of where a cursor is to be.
    pub(super) fn note_cursor(&mut self, name: &str, shard: ShardIndex, hold: bool) {
        if hold {
            self.pin("WITH HOLD cursor");
            self.cursors.retain(|(known, _)| **known != *name);
            self.cursors.push((name.into(), shard));
        }
        if let Some(txn) = &mut self.txn {
            txn.cursors.push((name.to_owned(), shard));
        }
    }

    /// Where a cursor is that one server has.
    pub(super) fn cursor_at(&self, cursor: &str) -> Option<ShardIndex> {
        let of_txn = self.txn.as_ref().and_then(|txn| txn.cursors.iter().rev().find(|(name, _)| name == cursor));
        let held = self.cursors.iter().find(|(name, _)| **name == *cursor);
        of_txn.map(|(_, shard)| *shard).or(held.map(|(_, shard)| *shard))
    }

    /// DECLARE of a cursor whose rows are brought together.
    pub(super) async fn declare_gathered(
        &mut self,
        declare: Declare<'_>,
        execution: Option<Execution<'_>>,
        parameters: Parameters<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let known = self.cursor_at(declare.name).is_some() || self.kept_cursor(declare.name).is_some();
        if known || self.batch.knows_portal(declare.name) {
            return Err(duplicate(declare.name));
        }
        self.room_to_keep(snapshot)?;
        let head = declare.text.get(..declare.query_at).unwrap_or_default();
        let offset = head.chars().count() as isize;
        self.client.position_offset += offset;
        let gathered = self.rows_of_query(declare.query(), execution, parameters, snapshot).await;
        self.client.position_offset -= offset;
        let mut gathered = gathered?;
        gathered.prefix(head.as_bytes());
        let mut request = BytesMut::new();
        match &execution {
            None => build::query(&mut request, &gathered.text),
            Some(execution) => {
                build::parse(&mut request, "", &gathered.text, &gathered.types);
                build::bind_raw(&mut request, "", "", &with_formats(execution.bind, execution.result_formats, &[]));
                build::execute(&mut request, "", 0);
                build::sync(&mut request);
            }
        }
        let how = Answering { fields: &[], row_types: &[], describe: false };
        match self.ask_home(&mut gathered.home, &request, how).await {
            Ok(_) => {
                self.keep(Of::Cursor(declare.name.to_owned()), gathered, declare.hold);
                Ok(())
            }
            failed => self.end_gather(gathered, declare.text.as_bytes(), failed.map(|_| ())).await,
        }
    }

    /// Brings the rows of a query together, whose answer is given by parts or in another form.
    pub(super) async fn rows_of_query(
        &mut self,
        query: &str,
        execution: Option<Execution<'_>>,
        parameters: Parameters<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Gathered, Fault> {
        let mut query = Cow::Borrowed(query);
        loop {
            let mut lexed = Lexed::default();
            lex(query.as_bytes(), &mut lexed);
            let plan = self.plan(&query, &mut lexed);
            let values = Values { text: query.as_bytes(), lexed: &lexed, parameters, utf8: self.settings.utf8() };
            let Some(gather) = gather_of(&plan, &values, snapshot) else { return Err(over_shards().into()) };
            // Rows that are given by parts are not found out in another way midway.
            let gather = gather.otherwise.as_deref().unwrap_or(gather);
            match &gather.timed {
                Timed::Outside(splices) => {
                    query = Cow::Owned(self.at_one_time(splices, &values, execution, snapshot).await?);
                }
                // The session's only backend with its temporary tables cannot be kept for it.
                _ if gather.temporary => return Err(over_shards().into()),
                _ => return self.bring_together(gather, &values, execution, snapshot).await,
            }
        }
    }

    /// FETCH, MOVE, CLOSE by the simple protocol: where the cursor is.
    pub(super) async fn at_cursor(
        &mut self,
        text: &str,
        frame: Option<&[u8]>,
        cursor: &str,
        closes: bool,
    ) -> Result<Done, Fault> {
        if self.kept_cursor(cursor).is_some() {
            let mut request = BytesMut::new();
            build::query(&mut request, text);
            self.at_kept_cursor(cursor, &request, true, closes).await?;
            return Ok(Done::Open);
        }
        let done = match self.cursor_at(cursor) {
            Some(shard) => self.on_shard(shard, text, frame, Reach::Nothing).await,
            None => self.anywhere(text, frame, Reach::Nothing).await,
        };
        if closes {
            self.forget_cursor(cursor);
        }
        done
    }

    fn forget_cursor(&mut self, cursor: &str) {
        self.cursors.retain(|(known, _)| **known != *cursor);
        if let Some(txn) = self.txn.as_mut().filter(|txn| !txn.failed) {
            txn.cursors.retain(|(name, _)| name != cursor);
        }
    }

    /// CLOSE ALL: wherever the session may have a cursor.
    pub(super) async fn close_all_cursors(&mut self, text: &str, frame: Option<&[u8]>) -> Result<Done, Fault> {
        self.must_not_have_failed()?;
        self.close_kept_cursors().await;
        let snapshot = self.database.snapshot().clone();
        let open = self.txn.iter().flat_map(|txn| txn.participants.iter().map(|participant| participant.shard));
        let mut shards: Vec<ShardIndex> = open.chain(self.pins.iter().map(|pin| pin.shard)).collect();
        shards.sort_unstable();
        shards.dedup();
        let last = shards.pop();
        for shard in shards {
            let mut held = self.hold_here_or_apart(&snapshot, shard).await?;
            let status = if held.is_in_txn() { b'T' } else { b'I' };
            match held.conn().housekeep("CLOSE ALL").await {
                Ok(_) => self.let_go(held, status, Reach::Nothing),
                Err(error) => return Err(self.lost_while_held(&error)),
            }
        }
        self.cursors.clear();
        self.txn.iter_mut().for_each(|txn| txn.cursors.clear());
        match last {
            Some(shard) => self.on_shard(shard, text, frame, Reach::Nothing).await,
            None => self.anywhere(text, frame, Reach::Nothing).await,
        }
    }

    async fn at_kept_cursor(
        &mut self,
        cursor: &str,
        request: &[u8],
        describe: bool,
        closes: bool,
    ) -> Result<bool, Fault> {
        let of = Of::Cursor(cursor.to_owned());
        if closes {
            self.close_kept(&of).await;
            build::command_complete(&mut self.client.out, "CLOSE CURSOR");
            return Ok(false);
        }
        self.ask_kept(&of, request, describe).await
    }

    /// FETCH, MOVE and CLOSE of a kept cursor by the extended protocol. Returns whether there are more rows than were
    /// asked for.
    pub(super) async fn execute_at_cursor(
        &mut self,
        text: &str,
        cursor: &str,
        formats: &[i16],
        max_rows: i32,
        closes: bool,
    ) -> Result<bool, Fault> {
        let mut request = BytesMut::new();
        build::parse(&mut request, "", text, &[]);
        build::bind_raw(&mut request, "", "", &with_formats(NO_PARAMETERS, &[], formats));
        build::execute(&mut request, "", max_rows);
        build::sync(&mut request);
        self.at_kept_cursor(cursor, &request, false, closes).await
    }
}

/// How the rows of a query over several shards are brought together; None: they cannot be.
pub(super) fn gather_of<'a>(plan: &'a Plan, values: &Values<'_>, snapshot: &Snapshot) -> Option<&'a Gather> {
    match &plan.kind {
        PlanKind::Gather(gather) => Some(gather),
        PlanKind::Sharded(sharded) => match (&sharded.many, route::resolve(sharded, values, &snapshot.topology)) {
            (Many::Gather(gather), Ok(Route::Many(_) | Route::Apart)) => Some(gather),
            (Many::Merge { gather, .. }, Ok(Route::Many(_))) => gather.as_deref(),
            _ => None,
        },
        _ => None,
    }
}

fn over_shards() -> Report {
    Report::new(catalogue::MANY_SHARDS)
        .detail("a cursor over several shards whose rows cannot be brought together")
        .hint("Give the shard key in the cursor's query.")
}

fn duplicate(name: &str) -> Fault {
    Report::with(catalogue::DUPLICATE_PORTAL, format!("cursor \"{name}\" already exists")).into()
}

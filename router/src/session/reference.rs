//! Reference: a statement that writes reference tables. In: a plan, values. Out: PostgreSQL's own answer, from the default
//! shard, when the rows that it wrote there are written on every other. Never: the statement itself on a second server; a
//! copy that differs.
//!
//! The default shard comes first, so its locks put writers in order: of two that write one row the second waits there, and
//! elsewhere finds what the first has left.

use super::{
    Fault, Session,
    calls::Execution,
    hold::{Held, hang_up},
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        compare::{self, Differences},
        gather::NO_PARAMETERS,
        reference::{self, Batch, Copied, copied_sql, qualified},
        scatter::ScatterError,
        splice::{self, Positions},
    },
    metrics::RouteKind,
    plan::{Piece, ReferenceWrite, Returned, RowAction, Splice, Written},
    pool::conn::{Conn, ConnError},
    route::bind::Values,
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::{
    ids::ShardIndex,
    tables::{TableKind, TableName},
    topology::Topology,
};
use pgring_protocol::message::{build, result::Field};
use std::{collections::HashSet, sync::Arc};

/// Rows fire no trigger of a user's.
const QUIETLY: &str = "SET LOCAL session_replication_role = replica";
/// They do again.
const LOUDLY: &str = "SET LOCAL session_replication_role = origin";

/// A write on its way over the shards.
struct Work<'a> {
    values: &'a Values<'a>,
    execution: Option<Execution<'a>>,
    snapshot: &'a Arc<Snapshot>,
    /// The tables, and what is known of them.
    tables: Vec<(TableName, Copied)>,
    /// Triggers of theirs may write such tables.
    triggered: bool,
}

/// The backends of a write.
struct Copies {
    first: Held,
    others: Vec<Held>,
}

impl Session {
    /// A statement that may write reference tables.
    pub(super) async fn write_reference(
        &mut self,
        plan: &ReferenceWrite,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let own = self.begin_own();
        let written = self.write_copies(plan, values, execution, snapshot).await;
        let tag = self.end_own(own, written).await?;
        build::command_complete(&mut self.client.out, &tag);
        Ok(RouteKind::Broadcast)
    }

    /// Writes on the default shard, then on the others. Returns the statement's tag.
    async fn write_copies(
        &mut self,
        plan: &ReferenceWrite,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<String, Fault> {
        let all: Vec<ShardIndex> = (0..snapshot.topology.shards.len()).map(|at| ShardIndex(at as u16)).collect();
        self.admit(&all, Reach::Write, snapshot).await?;
        let mut first = self.hold(snapshot, snapshot.topology.default_shard).await?;
        if let Err(error) = first.open().await {
            return Err(self.lost_while_held(&error));
        }
        let mut work = Work { values, execution, snapshot, tables: vec![], triggered: false };
        let mut copies = Copies { first, others: vec![] };
        let mut fault = None;
        let mut sent = None;
        let result = match self.know(&mut copies, &plan.tables, &mut work).await {
            Err(error) => Err(error),
            Ok(()) => match self.way(&plan.written, &work) {
                Err(report) => Err(ScatterError::Report(Box::new(report))),
                Ok(Some(returned)) => self.write_returned(&mut copies, returned, &work, &mut sent, &mut fault).await,
                Ok(None) => self.write_compared(&mut copies, &work, &mut fault).await,
            },
        };
        self.end_write(copies, &result);
        match (result, fault) {
            (Ok(tag), _) => Ok(tag),
            (Err(_), Some(fault)) => Err(fault),
            (Err(ScatterError::Report(report)), None) => {
                Err(self.refuse(*report, values.text, execution.as_ref(), snapshot).await)
            }
            (Err(error), None) => {
                let positions = sent.as_ref().map(|(sent, origins): &(Vec<u8>, Vec<splice::Origin>)| Positions {
                    client: values.text,
                    sent,
                    origins,
                });
                Err(self.fault_of(error, positions.as_ref()))
            }
        }
    }

    /// Lets the backends go after a write.
    fn end_write(&mut self, copies: Copies, result: &Result<String, ScatterError>) {
        let Copies { mut first, others } = copies;
        first.conn().sequences_of = self.sequences;
        let all = std::iter::once(first).chain(others);
        match result {
            Ok(_) => all.for_each(|one| self.let_go(one, b'T', Reach::Write)),
            // Everything was read.
            Err(ScatterError::Server(_)) => all.for_each(|one| self.let_go(one, b'E', Reach::Write)),
            Err(ScatterError::Report(report)) if report.entry == catalogue::REFERENCE_WRITE => {
                all.for_each(|one| self.let_go(one, b'T', Reach::Write));
            }
            Err(_) => {
                self.me.end_work();
                all.for_each(hang_up);
            }
        }
    }

    /// Asks what there is to be known of tables, and of those that their triggers name.
    async fn know(
        &mut self,
        copies: &mut Copies,
        tables: &[TableName],
        work: &mut Work<'_>,
    ) -> Result<(), ScatterError> {
        let version = self.settings.reported("server_version").unwrap_or_default();
        let major =
            version.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse().ok()).unwrap_or(14);
        let mut open = tables.to_vec();
        while let Some(table) = open.pop() {
            let rows = copies.first.conn().housekeep(&copied_sql(&table, major)).await?;
            let Some(text) = rows.into_iter().flatten().flatten().next() else {
                // It was dropped: what names it, fails.
                continue;
            };
            let copied: Copied =
                serde_json::from_str(&text).map_err(|error| reference::broken(format!("{table}: {error}")))?;
            let fault = fault_in(&table, &copied).or_else(|| {
                let named = named_by(copied.triggers.as_deref()?, &work.snapshot.topology);
                work.triggered |= !named.is_empty();
                let sharded = |(_, kind): &&(TableName, TableKind)| matches!(kind, TableKind::Sharded(_));
                if let Some((other, _)) = named.iter().find(sharded) {
                    return Some(trigger_names(&table, other));
                }
                let known = |name: &TableName| work.tables.iter().any(|(known, _)| known == name);
                let new = named.into_iter().map(|(name, _)| name).filter(|name| *name != table && !known(name));
                open.extend(new.collect::<Vec<_>>());
                None
            });
            if let Some(report) = fault {
                return Err(ScatterError::Report(Box::new(report)));
            }
            if !work.tables.iter().any(|(known, _)| *known == table) {
                work.tables.push((table, copied));
            }
        }
        Ok(())
    }

    /// How the rows are known, after all that is known of the tables: by what is returned, or (None) by comparison.
    fn way<'a>(&self, written: &'a Written, work: &Work<'_>) -> Result<Option<&'a Returned>, Report> {
        if work.triggered {
            return Ok(None);
        }
        let ([(_, copied)], Written::Returned(returned)) = (&work.tables[..], written) else { return Ok(None) };
        let assigned = |columns: &[Box<str>]| columns.iter().any(|column| returned.assigned.contains(column));
        let always = copied.columns.iter().any(|column| column.always && returned.assigned.contains(&column.name));
        let rekeyed = copied.key.as_ref().is_some_and(|key| assigned(key)) || always;
        let undone = copied.triggers.is_some()
            && copied
                .referenced
                .as_ref()
                .is_some_and(|columns| returned.action == RowAction::Delete || assigned(columns));
        if undone && returned.action != RowAction::Insert {
            return Err(both());
        }
        Ok((!rekeyed && !copied.rules && !copied.inherited).then_some(returned))
    }

    /// A statement that returns its rows.
    async fn write_returned(
        &mut self,
        copies: &mut Copies,
        returned: &Returned,
        work: &Work<'_>,
        sent: &mut Option<(Vec<u8>, Vec<splice::Origin>)>,
        fault: &mut Option<Fault>,
    ) -> Result<String, ScatterError> {
        let Some((table, copied)) = work.tables.first() else { return Err(reference::broken("no table")) };
        let list = copied.list(&returned.name);
        let list = if returned.listed { format!(", {list}") } else { format!(" RETURNING {list}") };
        let splice = Splice { start: returned.at, end: returned.at, with: vec![Piece::Text(list)] };
        let (text, origins) = splice::apply_with_origins(work.values.text, work.values.lexed, &[splice]);
        let mut request = BytesMut::new();
        build::parse(&mut request, "", &text, work.execution.map_or(&[], |execution| execution.prepared.types()));
        sent.get_or_insert((text, origins));
        let mut fields = reference::described(&mut self.client, copies.first.conn(), &mut request).await?;
        let own = fields.len().saturating_sub(copied.columns.len());
        let columns = self.ask_for_rows(copies, &mut fields, own, work).await?;
        let execution = work.execution;
        match (returned.listed, execution.is_none_or(|execution| execution.describe)) {
            (true, true) => build::row_description(&mut self.client.out, &fields),
            (false, true) if execution.is_some() => build::no_data(&mut self.client.out),
            _ => {}
        }
        let mut batch = Batch::default();
        loop {
            let conn = copies.first.conn();
            let tag = reference::fill(&mut self.client, conn, own, returned.listed, &mut batch).await?;
            if !batch.is_empty() {
                self.join(copies, work, fault).await?;
                let quietly = copied.triggers.is_some();
                self.loud(copies, quietly, QUIETLY).await?;
                let mut conns: Vec<&mut Conn> = copies.others.iter_mut().map(Held::conn).collect();
                reference::write(&mut self.client, &mut conns, (table, copied), returned.action, &columns, &batch)
                    .await?;
                self.loud(copies, quietly, LOUDLY).await?;
                batch.clear();
            }
            if let Some(tag) = tag {
                return Ok(tag);
            }
        }
    }

    /// Executes what was parsed. `fields` are left with the client's columns; the table's are returned.
    async fn ask_for_rows(
        &mut self,
        copies: &mut Copies,
        fields: &mut Vec<Field>,
        own: usize,
        work: &Work<'_>,
    ) -> Result<Vec<Field>, ScatterError> {
        let mut columns = fields.split_off(own);
        let (rest, asked) = match &work.execution {
            Some(execution) => (execution.bind, execution.result_formats),
            None => (NO_PARAMETERS, &[][..]),
        };
        let mut formats: Vec<i16> = match asked {
            [] => vec![0; own],
            [one] => vec![*one; own],
            several if several.len() == own => several.to_vec(),
            several => {
                let message = format!("bind message has {} result formats but query has {own} columns", several.len());
                return Err(ScatterError::Report(Box::new(Report::with(catalogue::PROTOCOL, message))));
            }
        };
        fields.iter_mut().zip(&formats).for_each(|(field, format)| field.format = *format);
        let carried = reference::formats(&columns);
        columns.iter_mut().zip(&carried).for_each(|(field, format)| field.format = *format);
        formats.extend(carried);
        let mut request = BytesMut::new();
        build::bind_raw(&mut request, "", "", &splice::with_formats(rest, asked, &formats));
        build::execute(&mut request, "", 0);
        build::sync(&mut request);
        copies.first.conn().send(&request).await.map_err(ConnError::from)?;
        Ok(columns)
    }

    /// The other shards take part from now on.
    async fn join(
        &mut self,
        copies: &mut Copies,
        work: &Work<'_>,
        fault: &mut Option<Fault>,
    ) -> Result<(), ScatterError> {
        if !copies.others.is_empty() {
            return Ok(());
        }
        let here = copies.first.shard;
        let all = (0..work.snapshot.topology.shards.len()).map(|at| ShardIndex(at as u16));
        let others: Vec<ShardIndex> = all.filter(|shard| *shard != here).collect();
        match self.hold_all(&others, work.snapshot).await {
            Ok(held) => {
                copies.others = held;
                Ok(())
            }
            Err(found) => {
                fault.get_or_insert(found);
                Err(reference::broken("a shard that does not take part"))
            }
        }
    }

    /// Makes rows that are written on the other shards fire triggers, or not.
    async fn loud(&mut self, copies: &mut Copies, needed: bool, sql: &str) -> Result<(), ScatterError> {
        if needed {
            for held in &mut copies.others {
                held.conn().housekeep(sql).await?;
            }
        }
        Ok(())
    }

    /// A statement after which its tables are compared with their copies. Nobody else writes them meanwhile.
    async fn write_compared(
        &mut self,
        copies: &mut Copies,
        work: &Work<'_>,
        fault: &mut Option<Fault>,
    ) -> Result<String, ScatterError> {
        let names: Vec<String> = work.tables.iter().map(|(table, _)| qualified(table)).collect();
        let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
        if !names.is_empty() {
            copies.first.conn().housekeep(&lock).await.map_err(unplaced)?;
        }
        let tag = self.run_as_it_is(copies, work).await?;
        self.join(copies, work, fault).await?;
        let Copies { first, others } = copies;
        for other in others {
            if !names.is_empty() {
                other.conn().housekeep(&lock).await.map_err(unplaced)?;
            }
            for (table, copied) in &work.tables {
                let conns = (first.conn(), other.conn());
                let found = compare::differences(&mut self.client, conns, table, copied).await?;
                if found.is_empty() {
                    continue;
                }
                if let Some(report) = ambiguous(copied, &found) {
                    return Err(ScatterError::Report(Box::new(report)));
                }
                let quietly = copied.triggers.is_some();
                if quietly {
                    other.conn().housekeep(QUIETLY).await?;
                }
                compare::adjust(&mut self.client, other.conn(), (table, copied), &found).await?;
                if quietly {
                    other.conn().housekeep(LOUDLY).await?;
                }
            }
        }
        Ok(tag)
    }

    /// Runs the client's statement as it is; its answer goes to the client, but for the tag.
    async fn run_as_it_is(&mut self, copies: &mut Copies, work: &Work<'_>) -> Result<String, ScatterError> {
        let mut request = BytesMut::new();
        match &work.execution {
            None => build::query(&mut request, work.values.text),
            Some(execution) => {
                build::parse(&mut request, "", work.values.text, execution.prepared.types());
                build::bind_raw(&mut request, "", "", execution.bind);
                build::describe(&mut request, b'P', "");
                build::execute(&mut request, "", 0);
                build::sync(&mut request);
            }
        }
        let conn = copies.first.conn();
        conn.send(&request).await.map_err(ConnError::from)?;
        let describe = work.execution.is_none_or(|execution| execution.describe);
        reference::pass(&mut self.client, conn, describe, work.execution.is_some()).await
    }
}

/// Why a table cannot be written as a reference table.
fn fault_in(table: &TableName, copied: &Copied) -> Option<Report> {
    let refused = |what: String, hint: &str| Some(Report::new(catalogue::REFERENCE_WRITE).detail(what).hint(hint));
    if copied.key.is_none() {
        return refused(format!("{table} has no primary key"), "Add a primary key: its rows are known by it.");
    }
    if copied.always {
        let hint = "Let the trigger fire for the origin only.";
        return refused(format!("{table} has a trigger that fires on replicas"), hint);
    }
    if copied.triggers.is_some() && !copied.replica {
        let hint = "GRANT SET ON PARAMETER session_replication_role to the role, or drop the trigger.";
        return refused(format!("{table} has triggers, which would fire on each shard"), hint);
    }
    None
}

/// Tables on several servers that code names.
fn named_by(code: &str, topology: &Topology) -> Vec<(TableName, TableKind)> {
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_lowercase);
    let words: HashSet<String> = words.collect();
    let known = topology.tables.iter().map(|(name, table)| (name.clone(), table.kind.clone()));
    known.filter(|(name, kind)| *kind != TableKind::Local && words.contains(&name.name.to_lowercase())).collect()
}

fn trigger_names(table: &TableName, other: &TableName) -> Report {
    Report::new(catalogue::REFERENCE_WRITE)
        .detail(format!("a trigger of {table} names {other}, which is a sharded table"))
        .hint("Drop the trigger, and do what it does in a statement of its own.")
}

/// Triggers must not fire on a copy, and foreign keys must.
fn both() -> Report {
    Report::new(catalogue::REFERENCE_WRITE)
        .detail("the table has triggers, and foreign keys of other tables refer to it")
        .hint("Drop the triggers to delete rows, or to change what is referred to.")
}

/// Rows that went and others that came may be the same rows with another key.
fn ambiguous(copied: &Copied, found: &Differences) -> Option<Report> {
    let key = copied.key.as_deref().unwrap_or_default();
    let undone = copied.referenced.as_ref().is_some_and(|columns| {
        !found.removed.is_empty() || (!found.changed.is_empty() && !columns.iter().all(|column| key.contains(column)))
    });
    if undone && copied.triggers.is_some() {
        return Some(both());
    }
    (copied.acts && !found.removed.is_empty() && !found.added.is_empty()).then(|| {
        Report::new(catalogue::REFERENCE_WRITE)
            .detail("rows with other primary keys, to which foreign keys with actions refer")
            .hint("Insert the new rows, point what refers to them there, then delete the old ones.")
    })
}

/// A server's error in a text that the client does not know.
fn unplaced(error: ConnError) -> ScatterError {
    match error {
        ConnError::Server(mut fields) => {
            fields.remove(b'P');
            ScatterError::Server(fields)
        }
        error => ScatterError::Backend(error),
    }
}

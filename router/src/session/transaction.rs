//! Transaction: BEGIN, COMMIT, ROLLBACK and savepoints of a session. BEGIN costs no trip: a backend is told with the
//! first statement it gets.

use super::{
    Fault, Session,
    hold::{self, Held},
    simple::Done,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::relay::{Answer, Ending},
    keeper,
    pool::conn::ConnError,
    sql::verb::{Isolation, Verb, first_word},
    txn::{After, Participant, Reach, Rules, Txn, View},
};
use bytes::BytesMut;
use pgring_config::{error::CatalogError, ids::ShardIndex};
use pgring_protocol::message::build;
use std::sync::Arc;

impl Session {
    /// Decides whether the transaction, if there is one, may reach these shards.
    pub(super) async fn admit(
        &mut self,
        shards: &[ShardIndex],
        reach: Reach,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        self.see(shards, reach, snapshot).await?;
        self.allow(shards, reach)
    }

    /// The same, once it has its snapshots.
    pub(super) fn allow(&mut self, shards: &[ShardIndex], reach: Reach) -> Result<(), Fault> {
        let per_shard = self.settings.own_choice("serializable") == Some("per_shard");
        let Some(txn) = self.txn.as_mut().filter(|txn| !txn.failed) else { return Ok(()) };
        if !per_shard || !txn.would_leave_its_shard(shards, reach) {
            return Ok(txn.admit(shards, reach)?);
        }
        txn.view = View::EachStatement;
        txn.admit(shards, reach)?;
        self.warn("01000", "the transaction is serializable on each shard by itself, not over all of them");
        Ok(())
    }

    /// Decides whether the transaction may write there. Takes the snapshots of a transaction that has one for all its statements, before its first one sees rows.
    pub(super) async fn see(
        &mut self,
        shards: &[ShardIndex],
        reach: Reach,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        if reach.changes() && self.txn.as_ref().is_some_and(|txn| !txn.writers().is_empty()) {
            // Boxed, as all that is rare.
            Box::pin(self.may_write(shards, reach, snapshot)).await?;
        }
        let needed = |txn: &Txn| !txn.failed && txn.needs_snapshots(reach);
        if self.txn.as_ref().is_some_and(needed) && !snapshot.topology.groups.is_empty() {
            // Boxed, as all that is rare.
            Box::pin(self.take_snapshots(shards, snapshot)).await?;
        }
        Ok(())
    }

    /// Opens the transaction on every shard and takes its snapshot there, on all at once. A shard that cannot be reached
    /// is left out, unless it is needed now.
    async fn take_snapshots(&mut self, needed: &[ShardIndex], snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        self.leave_lanes().await?;
        let mut held: Vec<Held> = vec![];
        for shard in (0..snapshot.topology.shards.len()).map(|at| ShardIndex(at as u16)) {
            match self.hold(snapshot, shard).await {
                Ok(one) => held.push(one),
                Err(Fault::Report(report))
                    if hold::is_without_backend(&report)
                        && report.entry != catalogue::QUERY_CANCELLED
                        && !needed.contains(&shard) => {}
                Err(fault) => {
                    self.put_back(held);
                    return Err(fault);
                }
            }
        }
        let shards = held.iter().map(|one| one.shard).collect();
        if let Err(error) = snapshots(&mut held).await {
            drop(held);
            self.fail_txn();
            return Err(self.lost_while_held(&error));
        }
        self.put_back(held);
        if let Some(txn) = &mut self.txn {
            txn.has_snapshots(shards);
        }
        Ok(())
    }

    /// BEGIN.
    pub(super) async fn begin(&mut self, text: &str, isolation: Option<Isolation>) -> Result<(), Fault> {
        match &mut self.txn {
            Some(txn) if txn.failed => return Err(Report::new(catalogue::FAILED_TRANSACTION).into()),
            Some(_) if self.batch.take_block() => {}
            Some(_) => self.warn("25001", "there is already a transaction in progress"),
            None => {
                self.forget_portals();
                let view = isolation.map_or_else(|| self.default_view(), view);
                self.txn = Some(Txn::new(text.to_owned(), view, self.settings.current.clone()));
            }
        }
        let start = first_word(text) == "START";
        build::command_complete(&mut self.client.out, if start { "START TRANSACTION" } else { "BEGIN" });
        Ok(())
    }

    /// What a transaction sees of others' commits that says nothing of it.
    pub(super) fn default_view(&self) -> View {
        let default = self.settings.current.get("default_transaction_isolation").unwrap_or("");
        let default = default.to_ascii_lowercase();
        if default.contains("repeatable") {
            View::Snapshots
        } else if default.contains("serializable") {
            View::OneShard
        } else {
            View::EachStatement
        }
    }

    /// COMMIT or ROLLBACK as the client put it; what it answers goes into the output.
    pub(super) async fn finish(&mut self, text: &str, verb: &Verb, frame: Option<&[u8]>) -> Result<Done, Fault> {
        let (rollback, chain) = match verb {
            Verb::Commit { chain } => (false, *chain),
            Verb::Rollback { chain } => (true, *chain),
            _ => (true, false),
        };
        if !rollback {
            self.hear_before_commit().await;
        }
        if let Some(txn) = &self.txn
            && let [only] = txn.participants.as_slice()
        {
            let shard = only.shard;
            let frame = frame.filter(|_| !txn.failed);
            let text = match (txn.failed, chain) {
                (false, _) => text,
                (true, false) => "ROLLBACK",
                (true, true) => "ROLLBACK AND CHAIN",
            };
            return self.finish_only(shard, text, frame, chain).await;
        }
        let Some(mut txn) = self.txn.take() else {
            if chain {
                return Err(Report::with(
                    catalogue::PROTOCOL,
                    format!(
                        "{} AND CHAIN can only be used in transaction blocks",
                        if rollback { "ROLLBACK" } else { "COMMIT" }
                    ),
                )
                .sqlstate("25P01")
                .into());
            }
            self.warn("25P01", "there is no transaction in progress");
            build::command_complete(&mut self.client.out, if rollback { "ROLLBACK" } else { "COMMIT" });
            return Ok(Done::Open);
        };
        let rollback_in_fact = rollback || txn.failed;
        let next = chain.then(|| (txn.begin.clone(), txn.view));
        let result = if txn.participants.is_empty() {
            self.after_end(txn.after(), rollback_in_fact).await;
            build::command_complete(&mut self.client.out, if rollback_in_fact { "ROLLBACK" } else { "COMMIT" });
            Ok(())
        } else if rollback_in_fact {
            // Never the client's COMMIT: a participant may not know that the transaction has failed.
            self.end_everywhere(txn, "ROLLBACK", Ending::Rollback).await
        } else {
            txn.order_for_commit();
            self.end_everywhere(txn, if chain { "COMMIT" } else { text }, Ending::Commit).await
        };
        if result.is_ok()
            && let Some((begin, view)) = next
        {
            self.txn = Some(Txn::new(begin, view, self.settings.current.clone()));
        }
        result.map(|()| Done::Open)
    }

    /// Ends a transaction that is open on one backend: that backend's answer is the client's.
    async fn finish_only(
        &mut self,
        shard: ShardIndex,
        text: &str,
        frame: Option<&[u8]>,
        chain: bool,
    ) -> Result<Done, Fault> {
        let snapshot = self.database.snapshot().clone();
        let held = self.hold(&snapshot, shard).await?;
        let commits = first_word(text) != "ROLLBACK" && first_word(text) != "ABORT";
        let answer = self.relay_text(held, text, frame, Reach::Nothing).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(Fault::Report(report)) if report.entry == catalogue::BACKEND_LOST && commits => {
                // It may have been committed: nothing is left to be rolled back.
                if let Some(txn) = self.txn.take() {
                    self.lose_ending(txn).await;
                }
                return Err(Report::new(catalogue::OUTCOME_UNKNOWN).detail(report.detail).into());
            }
            Err(fault) => return Err(fault),
        };
        if chain && let Some(mut txn) = self.txn.take() {
            let rolled_back = answer.ending == Some(Ending::Rollback);
            self.after_end(txn.after(), rolled_back).await;
            for participant in &mut txn.participants {
                let conn = participant.checkout.conn();
                if rolled_back {
                    conn.profile = participant.profile.clone();
                } else {
                    participant.profile = conn.profile.clone();
                }
            }
            let mut next = Txn::new(txn.begin.clone(), txn.view, self.settings.current.clone());
            next.failed = answer.status == b'E';
            txn.participants.into_iter().for_each(|participant| next.join(participant));
            self.txn = Some(next);
            if txn.schema_changed {
                self.schema_changed().await;
            }
        }
        Done::of(frame, answer.error.is_some())
    }

    /// A backend was lost while it committed.
    pub(super) async fn lose_ending(&mut self, mut txn: Txn) {
        // A rule too many does no harm, one that is missing would.
        txn.rules = Rules::default();
        self.after_end(txn.after(), true).await;
    }

    /// Ends the transaction on every participant; the first one's answer is the client's.
    async fn end_everywhere(&mut self, mut txn: Txn, text: &str, ending: Ending) -> Result<(), Fault> {
        if ending == Ending::Commit && self.is_atomic(&txn) {
            let snapshot = self.database.snapshot().clone();
            return Box::pin(self.commit_atomically(txn, &snapshot)).await;
        }
        let after = txn.after();
        let schema_changed = txn.schema_changed;
        let mut participants = std::mem::take(&mut txn.participants).into_iter();
        let Some(mut first) = participants.next() else { return Ok(()) };
        self.me.begin_work(first.checkout.conn().cancel.clone());
        let answer = self.end_first(&mut first, text, ending == Ending::Commit).await;
        self.me.end_work();
        let ended = match answer {
            Ok(tag) => {
                build::command_complete(&mut self.client.out, &tag);
                if tag == "ROLLBACK" { Ending::Rollback } else { ending }
            }
            Err(fault) => {
                // Nothing was committed on the others.
                for participant in participants {
                    self.end_participant(participant, Ending::Rollback).await.ok();
                }
                if let Fault::Told = fault {
                    self.restore(first, Ending::Rollback);
                }
                self.after_end(after, true).await;
                return Err(fault);
            }
        };
        self.restore(first, ended);
        let mut unfinished = Vec::new();
        for participant in participants {
            let shard = participant.shard;
            if let Err(error) = self.end_participant(participant, ended).await
                && ended == Ending::Commit
            {
                unfinished.push((shard, error));
            }
        }
        self.after_end(after, ended == Ending::Rollback).await;
        if schema_changed {
            self.schema_changed().await;
        }
        match unfinished.first() {
            None => Ok(()),
            Some((shard, error)) => Err(Report::new(catalogue::OUTCOME_UNKNOWN)
                .detail(format!("committed on one shard, but not on shard number {}: {error}", shard.0))
                .hint("Compare the schema of the shards.")
                .into()),
        }
    }

    /// Ends the transaction where it wrote. Returns the tag.
    async fn end_first(&mut self, first: &mut Participant, text: &str, commits: bool) -> Result<String, Fault> {
        let conn = first.checkout.conn();
        let mut out = bytes::BytesMut::new();
        build::query(&mut out, text.as_bytes());
        let ended = match conn.send(&out).await {
            Ok(()) => conn.drain().await,
            Err(error) => Err(error.into()),
        };
        match ended {
            Ok(drained) => Ok(drained.tag),
            Err(ConnError::Server(fields)) => {
                build::error(&mut self.client.out, &fields);
                Err(Fault::Told)
            }
            Err(error) => Err(hold::lost(&error, commits).into()),
        }
    }

    pub(super) async fn end_participant(
        &mut self,
        mut participant: Participant,
        ending: Ending,
    ) -> Result<(), ConnError> {
        let sql = if ending == Ending::Commit { "COMMIT" } else { "ROLLBACK" };
        let ended = participant.checkout.conn().housekeep(sql).await;
        match ended {
            Ok(_) => {
                self.restore(participant, ending);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Lets a participant go after its transaction has ended.
    pub(super) fn restore(&mut self, mut participant: Participant, ending: Ending) {
        let conn = participant.checkout.conn();
        self.settings.now = conn.reported.clone();
        if ending == Ending::Rollback {
            conn.profile = participant.profile.clone();
        }
        let held = Held::after(participant);
        self.let_go(held, b'I', Reach::Nothing);
    }

    /// Sees to what a transaction left to its end.
    pub(super) async fn after_end(&mut self, after: After, rolled_back: bool) {
        self.settle_listens(after.listens, rolled_back);
        if !self.kept.is_empty() {
            self.end_kept(rolled_back).await;
        }
        if rolled_back {
            self.cursors.retain(|(held, _)| !after.cursors.iter().any(|(made, _)| **made == **held));
            self.settings.current = after.settings;
            self.temp_tables.truncate(after.temps);
        }
        if after.rules.is_empty() {
            return;
        }
        if let Err(error) = self.settle_rules(&after.rules, rolled_back).await {
            tracing::error!(database = %self.database.name, %error, "rules for tables could not be brought up to date");
        }
        keeper::refresh_topology(&self.database, &self.cluster).await.ok();
    }

    async fn settle_rules(&self, rules: &Rules, rolled_back: bool) -> Result<(), CatalogError> {
        let Some(catalog) = &self.database.catalog else { return Ok(()) };
        if !rolled_back {
            for name in &rules.dropped {
                catalog.forget_table(name).await?;
            }
            return Ok(());
        }
        for name in &rules.made {
            catalog.forget_table(name).await?;
        }
        for (from, to) in rules.renamed.iter().rev() {
            catalog.rename_table(to, from).await?;
        }
        Ok(())
    }

    /// A transaction that one backend has ended by itself (its only participant): what the session goes back to.
    pub(super) async fn end_txn(&mut self, mut txn: Txn, ending: Ending) {
        self.after_end(txn.after(), ending == Ending::Rollback).await;
        for participant in txn.participants {
            self.end_participant(participant, ending).await.ok();
        }
        if txn.schema_changed {
            self.schema_changed().await;
        }
    }

    /// Rolls a transaction back everywhere, without a word to the client.
    pub(super) async fn abandon(&mut self, mut txn: Txn) {
        let participants = std::mem::take(&mut txn.participants);
        for participant in participants {
            self.end_participant(participant, Ending::Rollback).await.ok();
        }
        self.after_end(txn.after(), true).await;
    }

    /// Commits the implicit transaction of a simple query; only its failure is told.
    pub(super) async fn commit_quietly(&mut self, mut txn: Txn) -> Result<(), Fault> {
        self.hear_before_commit_of(&txn).await;
        if txn.participants.is_empty() {
            self.after_end(txn.after(), false).await;
            return Ok(());
        }
        txn.order_for_commit();
        let before = self.client.out.len();
        self.end_everywhere(txn, "COMMIT", Ending::Commit).await?;
        self.client.out.truncate(before);
        Ok(())
    }

    /// SAVEPOINT, RELEASE, ROLLBACK TO: on every participant, and remembered for those that join.
    pub(super) async fn savepoint(&mut self, text: &str, verb: &Verb) -> Result<Done, Fault> {
        let Some(txn) = &mut self.txn else {
            return self.anywhere(text, None, Reach::Nothing).await.map(|_| Done::Open);
        };
        let (name, tag) = match verb {
            Verb::Savepoint(name) => (name, "SAVEPOINT"),
            Verb::Release(name) => (name, "RELEASE"),
            Verb::RollbackTo(name) => (name, "ROLLBACK"),
            _ => return Ok(Done::Open),
        };
        let known = matches!(verb, Verb::Savepoint(_)) || txn.has_savepoint(name);
        if txn.failed && (!matches!(verb, Verb::RollbackTo(_)) || txn.has_lost()) {
            return Err(Report::new(catalogue::FAILED_TRANSACTION).into());
        }
        if !known {
            return Err(Report::with(catalogue::UNKNOWN_OBJECT, format!("savepoint \"{name}\" does not exist"))
                .sqlstate("3B001")
                .into());
        }
        let mut participants = std::mem::take(&mut txn.participants);
        for participant in &mut participants {
            let conn = participant.checkout.conn();
            // What ROLLBACK TO goes back to is then the same everywhere.
            let ready =
                if matches!(verb, Verb::Savepoint(_)) { conn.take_on(&self.settings.current).await } else { Ok(()) };
            let ran = match ready {
                Ok(()) => conn.housekeep(text).await,
                Err(error) => Err(error),
            };
            match ran {
                Ok(_) => {}
                Err(ConnError::Server(fields)) => {
                    build::error(&mut self.client.out, &fields);
                    txn.participants = participants;
                    return Err(Fault::Told);
                }
                Err(error) => return Err(hold::lost(&error, false).into()),
            }
        }
        txn.participants = participants;
        match verb {
            Verb::Savepoint(name) => txn.savepoint(name, text, self.settings.current.clone(), self.temp_tables.len()),
            Verb::Release(name) => {
                txn.release(name, text);
                let open = txn.savepoints.len();
                self.release_kept_to(open);
            }
            _ => {
                let declared = txn.cursors.clone();
                if let Some((settings, present)) = txn.rollback_to(name) {
                    let gone = |held: &str| {
                        let is = |(known, _): &(String, ShardIndex)| known == held;
                        declared.iter().any(is) && !txn.cursors.iter().any(is)
                    };
                    self.cursors.retain(|(held, _)| !gone(held));
                    for participant in &mut txn.participants {
                        // One that joined later is again as it was before its BEGIN.
                        let profile =
                            if present.contains(&participant.shard) { &settings } else { &participant.profile };
                        participant.checkout.conn().profile = profile.clone();
                    }
                    self.settings.current = settings;
                    let temps = txn.savepoints.last().map_or(usize::MAX, |savepoint| savepoint.temps);
                    self.temp_tables.truncate(temps);
                }
            }
        }
        if let (Verb::RollbackTo(_), Some(txn)) = (verb, &self.txn) {
            let at = txn.savepoints.len().saturating_sub(1);
            self.rollback_kept_to(at).await;
        }
        build::command_complete(&mut self.client.out, tag);
        if let (Verb::RollbackTo(_), Some(txn)) = (verb, &mut self.txn)
            && let Some(participant) = txn.participants.first_mut()
        {
            self.settings.now = participant.checkout.conn().reported.clone();
        }
        Ok(Done::Open)
    }

    /// PREPARE TRANSACTION of a transaction on one shard.
    pub(super) async fn prepare_transaction(
        &mut self,
        text: &str,
        gid: &str,
        frame: Option<&[u8]>,
    ) -> Result<Done, Fault> {
        if gid.starts_with("pgring_") {
            return Err(Report::with(
                catalogue::NOT_PERMITTED,
                "transaction identifiers that begin with pgring_ are reserved",
            )
            .sqlstate("42939")
            .into());
        }
        if self.txn.as_ref().is_some_and(|txn| txn.participants.len() > 1) {
            return Err(Report::new(catalogue::SECOND_SHARD).detail("PREPARE TRANSACTION over several shards").into());
        }
        if self.txn.as_ref().is_some_and(|txn| !txn.listens.is_empty()) {
            let text = "cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or NOTIFY";
            return Err(Report::with(catalogue::UNSUPPORTED, text).into());
        }
        let default = self.database.snapshot().topology.default_shard;
        if self.txn.as_ref().is_some_and(|txn| txn.any(default) != default) {
            return Err(Report::new(catalogue::UNSUPPORTED)
                .detail("PREPARE TRANSACTION on another shard than the default one, where COMMIT PREPARED would look for it")
                .into());
        }
        self.anywhere(text, frame, Reach::Nothing).await
    }

    /// Passes a statement that any server can answer to the transaction's server, or to the default shard.
    pub(super) async fn anywhere(&mut self, text: &str, frame: Option<&[u8]>, reach: Reach) -> Result<Done, Fault> {
        let answer = self.anywhere_answer(text, frame, reach).await?;
        Done::of(frame, answer.error.is_some())
    }

    /// As [`Session::anywhere`], with what the answer said.
    pub(super) async fn anywhere_answer(
        &mut self,
        text: &str,
        frame: Option<&[u8]>,
        reach: Reach,
    ) -> Result<Answer, Fault> {
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        let shard = self.txn.as_ref().map_or(default, |txn| txn.any(default));
        self.admit(&[shard], reach, &snapshot).await?;
        let held = self.hold(&snapshot, shard).await?;
        self.relay_text(held, text, frame, reach).await
    }
}

/// Opens the transaction where it is not open yet, and takes its snapshot; all servers work at the same time.
async fn snapshots(held: &mut [Held]) -> Result<(), ConnError> {
    for one in held.iter_mut() {
        let sql = one.opening.take().unwrap_or_default() + ";SELECT 1";
        let mut request = BytesMut::new();
        build::query(&mut request, sql.as_bytes());
        one.conn().send(&request).await?;
    }
    for one in held {
        one.conn().drain().await?;
    }
    Ok(())
}

/// What a transaction of this level sees of others' commits.
pub(super) fn view(isolation: Isolation) -> View {
    match isolation {
        Isolation::Serializable => View::OneShard,
        Isolation::RepeatableRead => View::Snapshots,
        Isolation::ReadCommitted | Isolation::ReadUncommitted => View::EachStatement,
    }
}

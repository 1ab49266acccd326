//! Commit: the end of a transaction that wrote on several shards, all of it or nothing. In: backends on which it is
//! open. Out: one answer; what could not be told to a shard is left to recovery. Never: a word to the client before the
//! decision, a guess at an outcome.
//!
//! All but one of the written shards are prepared; the last, the *decider*, writes the decision within its own
//! transaction and commits: that commit is the decision (see docs/transactions.md).

use super::{Fault, Session, hold, hold::Held};
use crate::{
    cluster::{Flight, Snapshot},
    error::{Report, catalogue},
    execute::relay::Ending,
    failpoint,
    pool::conn::{Conn, ConnError, Drained},
    recovery::{self, Verdict},
    txn::{Participant, Reach, Rules, Txn},
};
use bytes::BytesMut;
use pgring_config::{gid::Gid, ids::ShardIndex, settings::MultiShard};
use pgring_protocol::message::{build, notice::Fields};
use std::sync::Arc;

/// Who takes part in a commit.
struct Parties {
    /// Its commit is the decision.
    decider: Participant,
    /// Written as well: they are prepared.
    voters: Vec<Participant>,
    /// Only read there.
    readers: Vec<Participant>,
}

/// How a decider's commit ended.
enum Decision {
    Committed,
    /// Nothing is left of it; the client is told this.
    Aborted(Fault),
    /// The decider cannot be asked.
    Unknown(Fault),
}

impl Session {
    /// How this session ends transactions that wrote on several shards.
    pub(super) fn multi_shard(&self) -> MultiShard {
        match self.settings.own_choice("multi_shard") {
            Some("atomic") => MultiShard::Atomic,
            Some("best-effort") => MultiShard::BestEffort,
            Some("forbid") => MultiShard::Forbid,
            _ => self.cluster.settings.load().transactions.multi_shard,
        }
    }

    /// Decides whether the transaction may write on these shards beside those that it wrote on before.
    ///
    /// # Errors
    /// 0A000 where that is not wanted, or could not be committed as one.
    pub(super) async fn may_write(
        &mut self,
        shards: &[ShardIndex],
        reach: Reach,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let Some(txn) = self.txn.as_ref().filter(|txn| reach.changes() && !txn.failed) else { return Ok(()) };
        let writers = txn.writers_with(shards);
        if writers.len() < 2 || writers.len() == txn.writers().len() {
            return Ok(());
        }
        match self.multi_shard() {
            MultiShard::BestEffort => return Ok(()),
            MultiShard::Forbid => {
                return Err(Report::new(catalogue::SECOND_SHARD)
                    .detail("the transaction has written on another shard, and pgring.multi_shard is forbid")
                    .hint("Run the statements in transactions of their own, or SET pgring.multi_shard = 'atomic'.")
                    .into());
            }
            MultiShard::Atomic => {}
        }
        // A change of schema is repeated until every shard has it.
        if reach == Reach::Schema {
            return Ok(());
        }
        let mut unable = vec![];
        for shard in writers {
            if self.max_prepared(shard, snapshot).await? == 0 {
                unable.push(snapshot.topology.shard(shard).name.to_string());
            }
        }
        // One of them decides, and need not be prepared.
        if unable.len() < 2 {
            return Ok(());
        }
        Err(Report::new(catalogue::SECOND_SHARD)
            .detail(format!("max_prepared_transactions is 0 on {}", unable.join(", ")))
            .hint("Set max_prepared_transactions to at least the number of connections there, or SET pgring.multi_shard = 'best-effort'.")
            .into())
    }

    /// Slots for prepared transactions on a shard.
    async fn max_prepared(&mut self, shard: ShardIndex, snapshot: &Arc<Snapshot>) -> Result<u32, Fault> {
        if let Some(known) = self.pool_of(snapshot, shard).max_prepared() {
            return Ok(known);
        }
        let mut held = self.hold(snapshot, shard).await?;
        let slots = held.conn().max_prepared_transactions;
        self.put_back(vec![held]);
        Ok(slots)
    }

    /// Opens a transaction for one statement, where there is none; true: [`Session::end_own`] ends it.
    pub(super) fn begin_own(&mut self) -> bool {
        let own = self.txn.is_none();
        if own {
            let view = self.default_view();
            self.txn = Some(Txn::new("BEGIN".into(), view, self.settings.current.clone()));
        }
        own
    }

    /// Ends what [`Session::begin_own`] began: commits on every shard, or rolls back if the statement failed. The tag
    /// is to be written after this.
    pub(super) async fn end_own<T>(&mut self, own: bool, result: Result<T, Fault>) -> Result<T, Fault> {
        if !own {
            return result;
        }
        let Some(txn) = self.txn.take() else { return result };
        match result {
            Ok(done) => self.commit_quietly(txn).await.map(|()| done),
            Err(fault) => {
                self.abandon(txn).await;
                Err(fault)
            }
        }
    }

    /// Whether a transaction is to be ended by two-phase commit.
    pub(super) fn is_atomic(&self, txn: &Txn) -> bool {
        if txn.writers().len() < 2 || self.multi_shard() == MultiShard::BestEffort {
            return false;
        }
        // A change of schema is repeated until every shard has it, where shards cannot prepare.
        let is_unable = |one: &&Participant| txn.writers().contains(&one.shard) && one.checkout.max_prepared() == 0;
        !txn.has_ddl() || txn.participants.iter().filter(is_unable).count() < 2
    }

    /// Commits on every shard or on none, and writes the tag.
    pub(super) async fn commit_atomically(&mut self, mut txn: Txn, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let mut after = txn.after();
        let schema_changed = txn.schema_changed;
        let has_lost = txn.has_lost();
        let participants = std::mem::take(&mut txn.participants);
        let parties = match has_lost {
            true => Err((participants, Report::new(catalogue::BACKEND_LOST).into())),
            false => self.parties(&txn, participants, snapshot),
        };
        let result = match parties {
            Ok(parties) => self.commit_parties(parties, snapshot).await,
            Err((participants, report)) => {
                for participant in participants {
                    self.end_participant(participant, Ending::Rollback).await.ok();
                }
                Err(Fault::Report(report))
            }
        };
        if matches!(&result, Err(Fault::Report(report)) if report.entry == catalogue::OUTCOME_UNKNOWN) {
            // A rule too many does no harm, one that is missing would.
            after.rules = Rules::default();
        }
        self.after_end(after, result.is_err()).await;
        if schema_changed {
            self.schema_changed().await;
        }
        result?;
        build::command_complete(&mut self.client.out, "COMMIT");
        Ok(())
    }

    async fn commit_parties(&mut self, parties: Parties, snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let Parties { mut decider, voters, readers } = parties;
        let cluster = self.cluster.settings.load().general.cluster.to_string();
        let flight = self.cluster.flights.take_off(&cluster, &snapshot.topology.shard(decider.shard).name);
        let names: Vec<&str> = voters.iter().map(|voter| snapshot.topology.shard(voter.shard).name.as_str()).collect();
        failpoint::point("commit.before_prepare");
        let prepared = match self.prepare_all(voters, &flight).await {
            Ok(prepared) => prepared,
            Err((prepared, fault)) => {
                for one in readers.into_iter().chain([decider]) {
                    self.end_participant(one, Ending::Rollback).await.ok();
                }
                self.finish_all(prepared, &flight.gid, Verdict::Abort, snapshot).await;
                return Err(fault);
            }
        };
        failpoint::point("commit.prepared_all");
        let decision = match self.decide(decider.checkout.conn(), &flight, &names).await {
            Decision::Unknown(fault) => {
                let verdict = recovery::verdict(&self.database, snapshot, &flight.gid).await;
                match verdict {
                    Some(Verdict::Commit) => Decision::Committed,
                    Some(Verdict::Abort) => Decision::Aborted(rolled_back()),
                    None => Decision::Unknown(fault),
                }
            }
            decision => decision,
        };
        match decision {
            Decision::Committed => {
                failpoint::point("commit.decided");
                self.restore(decider, Ending::Commit);
                self.finish_all(prepared, &flight.gid, Verdict::Commit, snapshot).await;
                for reader in readers {
                    self.end_participant(reader, Ending::Commit).await.ok();
                }
                Ok(())
            }
            Decision::Aborted(fault) => {
                if matches!(fault, Fault::Told) {
                    self.restore(decider, Ending::Rollback);
                }
                self.finish_all(prepared, &flight.gid, Verdict::Abort, snapshot).await;
                for reader in readers {
                    self.end_participant(reader, Ending::Rollback).await.ok();
                }
                Err(fault)
            }
            Decision::Unknown(fault) => Err(fault),
        }
    }

    /// Who decides, who is prepared, who has only read. What cannot be prepared decides.
    fn parties(
        &self,
        txn: &Txn,
        participants: Vec<Participant>,
        snapshot: &Snapshot,
    ) -> Result<Parties, (Vec<Participant>, Box<Report>)> {
        let default = snapshot.topology.default_shard;
        let is_held = |shard: ShardIndex| {
            let made = |name: &str| txn.cursors.iter().any(|(made, at)| **made == *name && *at == shard);
            self.cursors.iter().any(|(name, at)| *at == shard && made(name))
        };
        let is_tied = |shard: ShardIndex| {
            txn.has_notified_on(shard) || is_held(shard) || (shard == default && !self.temp_tables.is_empty())
        };
        let tied: Vec<ShardIndex> = txn.writers().iter().copied().filter(|shard| is_tied(*shard)).collect();
        if tied.len() > 1 {
            let report = Report::new(catalogue::SECOND_SHARD)
                .detail("the transaction has notified, or holds cursors or temporary tables, on more than one shard")
                .hint("Do so on one shard.");
            return Err((participants, report.into()));
        }
        let slots = |one: &Participant| one.checkout.max_prepared();
        let unable = participants.iter().find(|one| txn.writers().contains(&one.shard) && slots(one) == 0);
        let decides = tied.first().copied().or(unable.map(|one| one.shard)).or(txn.writers().first().copied());
        let (mut deciders, rest): (Vec<_>, Vec<_>) =
            participants.into_iter().partition(|one| Some(one.shard) == decides);
        let (voters, readers): (Vec<_>, Vec<_>) = rest.into_iter().partition(|one| txn.writers().contains(&one.shard));
        match deciders.pop() {
            Some(decider) => Ok(Parties { decider, voters, readers }),
            None => {
                let report =
                    Report::new(catalogue::BACKEND_LOST).detail("a shard that was written is not there any more");
                Err((voters.into_iter().chain(readers).collect(), report.into()))
            }
        }
    }

    /// Prepares the transaction on these shards, all at once.
    ///
    /// # Errors
    /// Those that are prepared, or may be, and why one is not.
    async fn prepare_all(
        &mut self,
        mut voters: Vec<Participant>,
        flight: &Flight,
    ) -> Result<Vec<Participant>, (Vec<Participant>, Fault)> {
        let gid = flight.gid.literal();
        let sql = format!("SELECT pgring.participate({gid},'{}');PREPARE TRANSACTION {gid}", flight.secret);
        voters.iter_mut().for_each(|voter| self.me.begin_work(voter.checkout.conn().cancel.clone()));
        let mut sent = Vec::with_capacity(voters.len());
        for voter in &mut voters {
            sent.push(say(voter.checkout.conn(), &sql).await);
        }
        let mut failure = None;
        let mut prepared = Vec::with_capacity(voters.len());
        for (mut voter, sent) in voters.into_iter().zip(sent) {
            let answer = match sent {
                Ok(()) => voter.checkout.conn().drain().await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(Drained { tag, .. }) if tag == "PREPARE TRANSACTION" => {
                    prepared.push(voter);
                    failpoint::point("commit.prepared_one");
                }
                Ok(_) => {
                    self.restore(voter, Ending::Rollback);
                    failure.get_or_insert_with(rolled_back);
                }
                Err(ConnError::Server(fields)) => {
                    let told = failure.is_some();
                    self.end_participant(voter, Ending::Rollback).await.ok();
                    if !told {
                        failure = Some(self.told(unpreparable(*fields)));
                    }
                }
                // It may be prepared there: what is found is rolled back.
                Err(error) => {
                    failure.get_or_insert_with(|| hold::lost(&error, false).into());
                    prepared.push(voter);
                }
            }
        }
        self.me.end_work();
        match failure {
            None => Ok(prepared),
            Some(fault) => Err((prepared, fault)),
        }
    }

    /// Has the decider write the decision and commit.
    async fn decide(&mut self, conn: &mut Conn, flight: &Flight, voters: &[&str]) -> Decision {
        let voters: Vec<String> = voters.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
        let sql = format!(
            "SELECT pgring.decide({},'{}',ARRAY[{}]::pg_catalog.text[]);COMMIT",
            flight.gid.literal(),
            flight.secret,
            voters.join(",")
        );
        let answer = match say(conn, &sql).await {
            Ok(()) => conn.drain().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(Drained { tag, .. }) if tag == "COMMIT" => Decision::Committed,
            Ok(_) => Decision::Aborted(rolled_back()),
            Err(ConnError::Server(fields)) => {
                // A server that refused the decision is still in the failed transaction.
                if conn.housekeep("ROLLBACK").await.is_err() {
                    return Decision::Aborted(rolled_back());
                }
                // Recovery took this router for dead.
                let by_recovery = fields.code() == "23505" && fields.get(b's') == Some("pgring");
                Decision::Aborted(if by_recovery { rolled_back() } else { self.told(*fields) })
            }
            Err(error) => Decision::Unknown(hold::lost(&error, true).into()),
        }
    }

    /// Tells the prepared shards the verdict, all at once; one that does not hear it is left to recovery.
    async fn finish_all(
        &mut self,
        mut prepared: Vec<Participant>,
        gid: &Gid,
        verdict: Verdict,
        snapshot: &Arc<Snapshot>,
    ) {
        let sql = format!("{} PREPARED {}", verdict.verb(), gid.literal());
        let mut sent = Vec::with_capacity(prepared.len());
        for one in &mut prepared {
            sent.push(say(one.checkout.conn(), &sql).await);
        }
        for (mut one, sent) in prepared.into_iter().zip(sent) {
            let answer = match sent {
                Ok(()) => one.checkout.conn().drain().await,
                Err(error) => Err(error),
            };
            let shard = one.shard;
            match answer {
                Ok(_) => {
                    failpoint::point("commit.committed_one");
                    self.release_prepared(one);
                }
                Err(error) => {
                    if matches!(error, ConnError::Server(_)) {
                        self.release_prepared(one);
                    }
                    self.finish_by_service(shard, gid, verdict, snapshot).await;
                }
            }
        }
    }

    /// The role that the client's session has now may not end what another of its roles prepared, or the connection is
    /// gone: pgring's own role ends it.
    async fn finish_by_service(&mut self, shard: ShardIndex, gid: &Gid, verdict: Verdict, snapshot: &Arc<Snapshot>) {
        let Err(error) = recovery::finish(&self.database, snapshot, shard, gid, verdict).await else { return };
        let name = &snapshot.topology.shard(shard).name;
        tracing::warn!(%gid, shard = %name, %error, "a transaction is left to recovery on one shard");
        if verdict == Verdict::Commit {
            let message = format!("the transaction is committed, but shard {name} cannot be told now");
            self.warn("01000", &message);
        }
    }

    /// A prepared transaction has ended: the backend's settings are as the transaction left them.
    fn release_prepared(&mut self, mut one: Participant) {
        self.settings.now = one.checkout.conn().reported.clone();
        self.let_go(Held::after(one), b'I', Reach::Nothing);
    }
}

/// Sends SQL by the simple protocol.
async fn say(conn: &mut Conn, sql: &str) -> Result<(), ConnError> {
    let mut out = BytesMut::new();
    build::query(&mut out, sql.as_bytes());
    Ok(conn.send(&out).await?)
}

/// A transaction that its server rolled back before it was decided.
fn rolled_back() -> Fault {
    Report::new(catalogue::ROLLED_BACK)
        .detail("the transaction was rolled back on all its shards")
        .hint("Run the transaction again.")
        .into()
}

/// Why a transaction cannot be prepared, as one of the shards put it.
fn unpreparable(mut fields: Fields) -> Fields {
    if matches!(fields.code(), "0A000" | "55000") && fields.hint().is_none() {
        fields
            .set(b'H', "A transaction over several shards is prepared on all but one of them; nothing was committed.");
    }
    fields
}

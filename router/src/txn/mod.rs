//! Txn: a client's transaction: on which backends it is open, what its first statement decided, how it ends.
//! Never: SQL of its own beyond BEGIN, COMMIT and ROLLBACK.
//!
//! Under READ COMMITTED any shard may be reached, under REPEATABLE READ any on which a snapshot was taken with the first
//! statement; under SERIALIZABLE the first statement that reaches rows decides on which shard. Where more than one was
//! written, the session ends it by two-phase commit.

use crate::{
    error::{Report, catalogue},
    notify::Membership,
    pool::{Checkout, profile::Profile},
    topology::schema::Schema,
};
use pgring_config::{ids::ShardIndex, tables::TableName};
use std::sync::Arc;

/// What a statement does with the shards it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Touches no row of a table: decides nothing.
    Nothing,
    /// Reads.
    Read,
    /// May write.
    Write,
    /// Changes the schema on every shard.
    Schema,
}

impl Reach {
    /// It may write.
    pub fn changes(self) -> bool {
        matches!(self, Self::Write | Self::Schema)
    }
}

/// What a transaction sees of others' commits (PostgreSQL documentation, "Transaction Isolation").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// READ COMMITTED: each statement has a snapshot of its own.
    EachStatement,
    /// REPEATABLE READ: one snapshot on each shard, all taken with the first statement.
    Snapshots,
    /// SERIALIZABLE, or a snapshot that was handed over: rows of one shard only.
    OneShard,
}

/// A backend on which the transaction is open.
#[derive(Debug)]
pub struct Participant {
    /// The shard.
    pub shard: ShardIndex,
    /// The backend.
    pub checkout: Checkout,
    /// The backend's profile before the transaction.
    pub profile: Arc<Profile>,
}

/// A savepoint, and what ROLLBACK TO it goes back to.
#[derive(Debug)]
pub struct Savepoint {
    /// Its name.
    pub name: String,
    settings: Arc<Profile>,
    prefix: usize,
    /// Number of the transaction's LISTENs and UNLISTENs.
    listens: usize,
    /// Where the transaction was open.
    present: Vec<ShardIndex>,
    /// Number of the session's temporary tables.
    pub temps: usize,
    /// Cursors that were there.
    cursors: Vec<(String, ShardIndex)>,
}

/// What a transaction has done to the catalog's rules for tables; rules are not part of it, so its end has to see to
/// them.
#[derive(Debug, Default)]
pub struct Rules {
    /// Tables that it dropped: forgotten when it commits.
    pub dropped: Vec<TableName>,
    /// Tables whose rule it made: forgotten when it is rolled back.
    pub made: Vec<TableName>,
    /// Tables that it renamed, from → to: renamed back when it is rolled back.
    pub renamed: Vec<(TableName, TableName)>,
}

impl Rules {
    /// There is nothing to see to.
    pub fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.made.is_empty() && self.renamed.is_empty()
    }
}

/// A LISTEN or UNLISTEN that takes effect when the transaction commits.
#[derive(Debug)]
pub enum Listen {
    /// LISTEN
    Start(Membership),
    /// UNLISTEN of one channel
    Stop(String),
    /// UNLISTEN *
    StopAll,
}

/// What is left to do when a transaction has ended.
#[derive(Debug)]
pub struct After {
    /// The session's settings before it.
    pub settings: Arc<Profile>,
    /// Rules for tables.
    pub rules: Rules,
    /// Number of the session's temporary tables before it made any.
    pub temps: usize,
    /// What it listens on from now on, and what not any more.
    pub listens: Vec<Listen>,
    /// Cursors that it declared, and where.
    pub cursors: Vec<(String, ShardIndex)>,
}

/// A transaction block.
#[derive(Debug)]
pub struct Txn {
    /// The client's BEGIN.
    pub begin: String,
    /// SET LOCAL and SAVEPOINT so far: repeated on shards that join.
    pub prefix: Vec<String>,
    /// Where it is open.
    pub participants: Vec<Participant>,
    /// What it sees of others' commits.
    pub view: View,
    /// A statement failed: only its end is possible.
    pub failed: bool,
    /// It does not write any more.
    pub read_only: bool,
    /// The session's settings before it.
    pub settings: Arc<Profile>,
    /// Open savepoints.
    pub savepoints: Vec<Savepoint>,
    /// Cursors and where they are.
    pub cursors: Vec<(String, ShardIndex)>,
    /// The schema was changed in it.
    pub schema_changed: bool,
    /// It was changed after `schema` was read.
    pub schema_unseen: bool,
    /// Code that may change the schema ran in it.
    pub ran_code: bool,
    /// The schema as it sees it itself, if it was changed in it.
    pub schema: Option<Arc<Schema>>,
    /// What it did to the rules for tables.
    pub rules: Rules,
    /// What it listens on when it has committed, and what not any more.
    pub listens: Vec<Listen>,
    /// Number of the session's temporary tables when it made its first; they go when it is rolled back.
    pub temps: usize,
    /// Where it has been opened: a shard of these without participant has lost what was done there.
    joined: Vec<ShardIndex>,
    decided: Option<Vec<ShardIndex>>,
    /// Where it may have written, in the order of the first writes.
    writers: Vec<ShardIndex>,
    /// Where it has sent notifications.
    notified: Vec<ShardIndex>,
    /// It has changed the schema.
    ddl: bool,
    /// Snapshots were taken on every shard of `decided`.
    taken: bool,
}

impl Txn {
    /// A transaction that is not open anywhere yet.
    pub fn new(begin: String, view: View, settings: Arc<Profile>) -> Self {
        Self {
            begin,
            prefix: Vec::new(),
            participants: Vec::new(),
            view,
            failed: false,
            read_only: false,
            settings,
            savepoints: Vec::new(),
            cursors: Vec::new(),
            schema_changed: false,
            schema_unseen: false,
            ran_code: false,
            schema: None,
            rules: Rules::default(),
            listens: Vec::new(),
            temps: usize::MAX,
            joined: Vec::new(),
            decided: None,
            writers: Vec::new(),
            notified: Vec::new(),
            ddl: false,
            taken: false,
        }
    }

    /// A transaction that a statement opened on this backend by itself.
    pub fn adopted(participant: Participant, reach: Reach, settings: Arc<Profile>) -> Self {
        let mut txn = Self::new("BEGIN".into(), View::EachStatement, settings);
        txn.decided = Some(vec![participant.shard]);
        if reach != Reach::Read {
            txn.writers.push(participant.shard);
        }
        txn.join(participant);
        txn
    }

    /// Takes in a backend on which it is open.
    pub fn join(&mut self, participant: Participant) {
        if !self.joined.contains(&participant.shard) {
            self.joined.push(participant.shard);
        }
        self.participants.push(participant);
    }

    /// A backend on which it was open is gone, and its work with it: it can only be rolled back.
    pub fn has_lost(&self) -> bool {
        self.joined.iter().any(|shard| !self.participants.iter().any(|participant| participant.shard == *shard))
    }

    /// It is open on this shard, whose backend is out, and nowhere else.
    pub fn is_open_only_on(&self, shard: ShardIndex) -> bool {
        self.participants.is_empty() && self.joined.iter().all(|joined| *joined == shard)
    }

    /// A statement that does this is the first to see rows, and snapshots of all shards belong together.
    pub fn needs_snapshots(&self, reach: Reach) -> bool {
        self.view == View::Snapshots && self.decided.is_none() && !matches!(reach, Reach::Nothing | Reach::Schema)
    }

    /// Snapshots were taken on these shards.
    pub fn has_snapshots(&mut self, shards: Vec<ShardIndex>) {
        self.decided = Some(shards);
        self.taken = true;
    }

    /// It is SERIALIZABLE, and a statement would take it to another shard.
    pub fn would_leave_its_shard(&self, shards: &[ShardIndex], reach: Reach) -> bool {
        let known = |shard| self.decided.as_ref().is_some_and(|decided| decided.contains(shard));
        let elsewhere = shards.len() > 1 || (self.decided.is_some() && !shards.iter().all(known));
        let handed = self.prefix.iter().any(|text| text.to_ascii_lowercase().contains("snapshot"));
        self.view == View::OneShard && elsewhere && !handed && !matches!(reach, Reach::Nothing | Reach::Schema)
    }

    /// Decides whether a statement may reach these shards.
    ///
    /// # Errors
    /// 25006 if it does not write any more. 0A000 if it would see another shard's later snapshot; 40001 if a shard was not there when the snapshots were
    /// taken.
    pub fn admit(&mut self, shards: &[ShardIndex], reach: Reach) -> Result<(), Report> {
        if reach == Reach::Nothing {
            return Ok(());
        }
        if self.read_only && reach.changes() {
            return Err(Report::new(catalogue::READ_ONLY_TRANSACTION));
        }
        if self.view != View::EachStatement && !self.taken && shards.len() > 1 && reach != Reach::Schema {
            return Err(Report::new(catalogue::SECOND_SHARD)
                .detail("the shards' snapshots would not be one")
                .hint("Use READ COMMITTED or REPEATABLE READ for statements over several shards."));
        }
        match &mut self.decided {
            Some(decided) if reach != Reach::Schema && self.view == View::EachStatement => {
                decided.extend(shards.iter().filter(|shard| !decided.contains(shard)).collect::<Vec<_>>());
            }
            Some(decided) if reach != Reach::Schema => {
                if shards.iter().any(|shard| !decided.contains(shard)) {
                    return Err(if self.taken { late() } else { second_shard() });
                }
            }
            decided => *decided = Some(shards.to_vec()),
        }
        self.ddl |= reach == Reach::Schema;
        if reach.changes() {
            for shard in shards {
                if !self.writers.contains(shard) {
                    self.writers.push(*shard);
                }
            }
        }
        Ok(())
    }

    /// What is left to do when it has ended.
    pub fn after(&mut self) -> After {
        After {
            settings: self.settings.clone(),
            rules: std::mem::take(&mut self.rules),
            temps: self.temps,
            listens: std::mem::take(&mut self.listens),
            cursors: std::mem::take(&mut self.cursors),
        }
    }

    /// Where it was opened first.
    pub fn first(&self) -> Option<ShardIndex> {
        self.joined.first().copied()
    }

    /// The shard for a statement that any server can answer.
    pub fn any(&self, preferred: ShardIndex) -> ShardIndex {
        let decided = self.decided.iter().flatten().copied();
        let mut open = self.participants.iter().map(|participant| participant.shard).chain(decided).peekable();
        let first = open.peek().copied().unwrap_or(preferred);
        if open.any(|shard| shard == preferred) { preferred } else { first }
    }

    /// SET LOCAL, its calls of `set_config` and SET CONSTRAINTS that were run in it, other than for the transaction's modes.
    pub fn local_settings(&self) -> impl Iterator<Item = &str> {
        let is_local = |text: &&str| {
            let text = text.to_ascii_lowercase();
            if text.starts_with("select pg_catalog.set_config(") {
                return true;
            }
            let mut words = text.split([' ', '\n', '\t', '=']).filter(|word| !word.is_empty()).peekable();
            if words.next() != Some("set") {
                return false;
            }
            words.next_if_eq(&"local");
            !words.next().is_some_and(|word| word == "transaction" || word.starts_with("transaction_"))
        };
        self.prefix.iter().map(String::as_str).filter(is_local)
    }

    /// It is open on this shard.
    pub fn is_open_on(&self, shard: ShardIndex) -> bool {
        self.participants.iter().any(|participant| participant.shard == shard)
    }

    /// It is open on this shard, or may be.
    pub fn includes(&self, shard: ShardIndex) -> bool {
        self.participants.iter().any(|participant| participant.shard == shard)
            || self.decided.as_ref().is_none_or(|decided| decided.contains(&shard))
    }

    /// Takes out the backend of a shard.
    pub fn take(&mut self, shard: ShardIndex) -> Option<Participant> {
        let at = self.participants.iter().position(|participant| participant.shard == shard)?;
        Some(self.participants.swap_remove(at))
    }

    /// It sends notifications on this shard, which is written by that: they go when it commits.
    pub fn notifies_on(&mut self, shard: ShardIndex) {
        for list in [&mut self.notified, &mut self.writers] {
            if !list.contains(&shard) {
                list.push(shard);
            }
        }
    }

    /// It has sent notifications there.
    pub fn has_notified_on(&self, shard: ShardIndex) -> bool {
        self.notified.contains(&shard)
    }

    /// It has changed the schema.
    pub fn has_ddl(&self) -> bool {
        self.ddl
    }

    /// Where it may have written, in the order of the first writes.
    pub fn writers(&self) -> &[ShardIndex] {
        &self.writers
    }

    /// Where it will have written after a statement that writes on these shards.
    pub fn writers_with(&self, shards: &[ShardIndex]) -> Vec<ShardIndex> {
        let more = shards.iter().filter(|shard| !self.writers.contains(shard));
        self.writers.iter().chain(more).copied().collect()
    }

    /// Brings those that were written to the front, the first of them first.
    pub fn order_for_commit(&mut self) {
        let rank = |shard| self.writers.iter().position(|writer| *writer == shard).unwrap_or(usize::MAX);
        self.participants.sort_by_key(|participant| (rank(participant.shard), participant.shard));
    }

    /// Opens a savepoint.
    pub fn savepoint(&mut self, name: &str, text: &str, settings: Arc<Profile>, temps: usize) {
        self.savepoints.push(Savepoint {
            name: name.to_owned(),
            settings,
            temps,
            prefix: self.prefix.len(),
            listens: self.listens.len(),
            present: self.participants.iter().map(|participant| participant.shard).collect(),
            cursors: self.cursors.clone(),
        });
        self.prefix.push(text.to_owned());
    }

    /// Goes back to a savepoint: the session's settings at it, and where the transaction was open.
    pub fn rollback_to(&mut self, name: &str) -> Option<(Arc<Profile>, Vec<ShardIndex>)> {
        let at = self.savepoints.iter().rposition(|savepoint| savepoint.name == name)?;
        self.savepoints.truncate(at + 1);
        let savepoint = self.savepoints.last()?;
        self.prefix.truncate(savepoint.prefix + 1);
        self.listens.truncate(savepoint.listens);
        self.schema_unseen = self.schema_changed;
        self.cursors.retain(|cursor| savepoint.cursors.contains(cursor));
        self.failed = false;
        Some((savepoint.settings.clone(), savepoint.present.clone()))
    }

    /// Releases a savepoint and those after it. What was set since stays.
    pub fn release(&mut self, name: &str, text: &str) {
        if let Some(at) = self.savepoints.iter().rposition(|savepoint| savepoint.name == name) {
            self.savepoints.truncate(at);
            self.prefix.push(text.to_owned());
        }
    }

    /// There is a savepoint of this name.
    pub fn has_savepoint(&self, name: &str) -> bool {
        self.savepoints.iter().any(|savepoint| savepoint.name == name)
    }

    /// BEGIN and what follows it, for a shard that joins.
    pub fn opening(&self) -> String {
        let mut sql = self.begin.clone();
        for text in &self.prefix {
            // A comment at the end of the line must not take in what follows.
            sql.push_str("\n;");
            sql.push_str(text);
        }
        sql.push('\n');
        sql
    }
}

fn late() -> Report {
    Report::new(catalogue::LATE_SNAPSHOT)
        .detail("a shard could not be reached when the transaction's snapshots were taken")
        .hint("Run the transaction again.")
}

fn second_shard() -> Report {
    Report::new(catalogue::SECOND_SHARD)
        .detail("the transaction is SERIALIZABLE, or sees a snapshot that was handed over, and this statement reaches another shard")
        .hint("Use READ COMMITTED or REPEATABLE READ for transactions over several shards.")
}

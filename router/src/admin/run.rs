//! Run: one admin command from its text to its answer. In: who gives it. Out: a table. Never: does what its user may
//! not, changes anything without a line in the audit log.

use super::{
    Caller, ColumnSpec, Row, Table,
    fault::not_built,
    in_doubt,
    parse::{self, AdminCommand, AdminStatement, ShardChange},
    placement, plan_moves, service, show, some, verify,
};
use crate::{
    cluster::{Cluster, Database},
    error::{Report, catalogue},
    sql::{
        fingerprint::{Lexed, SlotKind, lex},
        words::{Token, Words},
    },
};
use pgring_config::{catalog::Change, tables::TableName};
use pgring_protocol::message::result::Field;
use std::sync::Arc;

/// What a command that changes something answers.
pub(super) const OPERATION: &[ColumnSpec] =
    &[ColumnSpec::text("operation_id"), ColumnSpec::text("status"), ColumnSpec::text("hint")];

/// What came of a command that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    status: &'static str,
    hint: Option<String>,
}

impl Outcome {
    /// It is done.
    pub(super) fn done() -> Self {
        Self { status: "done", hint: None }
    }

    /// It was so already.
    pub(super) fn unchanged() -> Self {
        Self { status: "unchanged", hint: None }
    }

    /// A rule that waits for its table.
    pub(super) fn planned() -> Self {
        Self { status: "planned", hint: Some("The rule takes effect with CREATE TABLE.".to_owned()) }
    }

    /// Nothing was done, since only what would be done was asked.
    pub(super) fn would(what: impl Into<String>) -> Self {
        Self { status: "dry run", hint: Some(what.into()) }
    }

    /// Adds what to know about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn row(self) -> Row {
        vec![None, some(self.status), self.hint]
    }
}

impl From<Change> for Outcome {
    fn from(change: Change) -> Self {
        match change {
            Change::Changed => Self::done(),
            Change::Unchanged => Self::unchanged(),
        }
    }
}

/// Runs one command.
///
/// # Errors
/// What its client is to be told: 42601, 42501 (not permitted), 25001 (in a transaction block), and what the command
/// itself says.
pub async fn run(cluster: &Arc<Cluster>, caller: &Caller, text: &str) -> Result<Table, Report> {
    let statement = parse::parse(text)?;
    let is_show = matches!(statement.command, AdminCommand::Show(_));
    permit(caller, is_show)?;
    match &statement.command {
        AdminCommand::Show(topic) => show::show(cluster, caller, topic).await,
        AdminCommand::Session(_) => Err(Report::with(catalogue::ADMIN_SYNTAX, "this is no admin command")
            .hint("Run it as a statement of its own. SHOW HELP lists the admin commands.")),
        _ if caller.in_transaction => Err(Report::new(catalogue::ADMIN_IN_TRANSACTION)
            .hint("Run it outside of BEGIN … COMMIT, each command on its own.")),
        _ => {
            let answer = change(cluster, caller, &statement).await;
            if !statement.dry_run {
                audit(cluster, caller, text, &answer).await;
            }
            let (columns, rows) = answer?;
            Ok(Table { columns: columns.to_vec(), rows, tag: tag(text) })
        }
    }
}

/// The table that a SHARD TABLE or REFERENCE TABLE is about.
pub fn ruled_table(text: &str) -> Option<TableName> {
    match parse::parse(text).ok()?.command {
        AdminCommand::ShardTable { table, .. } | AdminCommand::ReferenceTable(table) => {
            Some(placement::table_name(&table))
        }
        _ => None,
    }
}

/// The columns that a command will answer with, without running it.
///
/// # Errors
/// 42601.
pub fn columns(text: &str) -> Result<Vec<ColumnSpec>, Report> {
    let statement = parse::parse(text)?;
    Ok(match &statement.command {
        AdminCommand::Show(topic) => show::columns(topic).to_vec(),
        AdminCommand::Session(_) => Vec::new(),
        command if statement.dry_run && is_move(command) => plan_moves::COLUMNS.to_vec(),
        _ => OPERATION.to_vec(),
    })
}

/// The columns that a command will answer with, as a RowDescription has them; none for a text that is no command.
pub fn fields_of(text: &str) -> Vec<Field> {
    columns(text).map_or_else(|_| Vec::new(), |columns| columns.iter().map(ColumnSpec::field).collect())
}

fn permit(caller: &Caller, is_show: bool) -> Result<(), Report> {
    if caller.user.admin || (is_show && caller.user.stats) {
        return Ok(());
    }
    Err(Report::with(catalogue::NOT_PERMITTED, "permission denied for admin commands")
        .hint("general.admin_users lists who may give them, general.stats_users who may SHOW."))
}

/// Commands whose DRY RUN lists moves.
fn is_move(command: &AdminCommand) -> bool {
    matches!(
        command,
        AdminCommand::AddShard { .. }
            | AdminCommand::Rebalance(_)
            | AdminCommand::SplitShard { .. }
            | AdminCommand::DrainShard(_)
    )
}

type Answer = (&'static [ColumnSpec], Vec<Row>);

async fn change(cluster: &Arc<Cluster>, caller: &Caller, statement: &AdminStatement) -> Result<Answer, Report> {
    if statement.dry_run && is_move(&statement.command) {
        let database = database(cluster, caller)?;
        return Ok((plan_moves::COLUMNS, moves(&database, &statement.command)?));
    }
    let outcome = act(cluster, caller, statement).await?;
    Ok((OPERATION, vec![outcome.row()]))
}

fn moves(database: &Database, command: &AdminCommand) -> Result<Vec<Row>, Report> {
    let snapshot = database.snapshot();
    let topology = &snapshot.topology;
    match command {
        AdminCommand::AddShard { name, weight, .. } => plan_moves::add(topology, name, *weight),
        AdminCommand::SplitShard { shard, target } => plan_moves::split(topology, shard, target),
        AdminCommand::DrainShard(shard) => plan_moves::drain(topology, shard),
        AdminCommand::Rebalance(by) => plan_moves::rebalance(topology, *by),
        _ => Ok(Vec::new()),
    }
}

async fn act(cluster: &Arc<Cluster>, caller: &Caller, statement: &AdminStatement) -> Result<Outcome, Report> {
    let dry_run = statement.dry_run;
    let database = || database(cluster, caller);
    match &statement.command {
        AdminCommand::ShardTable { table, key, strategy, colocation, allow_local_unique } => {
            let wish = placement::Wish { key, strategy: *strategy, colocation, local_unique: *allow_local_unique };
            placement::shard(cluster, &database()?, table, &wish, dry_run).await
        }
        AdminCommand::ReferenceTable(table) => placement::reference(cluster, &database()?, table, dry_run).await,
        AdminCommand::UnshardTable { table, shard } => {
            placement::unshard(cluster, &database()?, table, shard.as_deref(), dry_run).await
        }
        AdminCommand::AddRange { from, to, shard, table } => {
            placement::add_range(cluster, &database()?, (from, to), shard, table, dry_run).await
        }
        AdminCommand::AssignKey { key, shard, table } => {
            placement::assign_key(cluster, &database()?, key, shard, table, dry_run).await
        }
        AdminCommand::AlterShard { change: ShardChange::Connection(_), .. } => Err(not_built(
            "moving a shard to another server",
            "Give the shard's new connection in the configuration file, then RELOAD.",
        )),
        AdminCommand::AlterShard { shard, change } => {
            placement::alter_shard(cluster, &database()?, shard, change, dry_run).await
        }
        AdminCommand::ResolveTransaction { gid, commit } => {
            in_doubt::resolve(cluster, &database()?, gid, *commit, dry_run).await
        }
        AdminCommand::VerifyTable(table) => verify::table(&database()?, table, dry_run).await,
        command => service::serve(cluster, command, dry_run).await,
    }
}

/// The database that a command is about.
pub(super) fn database(cluster: &Cluster, caller: &Caller) -> Result<Arc<Database>, Report> {
    if let Some(database) = &caller.database {
        return Ok(database.clone());
    }
    let listed = listed(cluster);
    match listed.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Report::with(catalogue::WRONG_STATE, "no database has shards")
            .hint("[[databases]] in the configuration file lists them.")),
        several => {
            let names: Vec<&str> = several.iter().map(|database| &*database.name).collect();
            Err(Report::with(catalogue::WRONG_STATE, "the command does not say which database it is about")
                .hint(format!("SET database = name first; there are: {}.", names.join(", "))))
        }
    }
}

/// The databases that are listed in the configuration, by name.
pub(super) fn listed(cluster: &Cluster) -> Vec<Arc<Database>> {
    let mut all = cluster.databases();
    all.retain(|database| !database.settings.is_any());
    all
}

/// Writes down who said what and what came of it. A catalog that cannot be reached stops no command.
async fn audit(cluster: &Cluster, caller: &Caller, text: &str, answer: &Result<Answer, Report>) {
    let result = match answer {
        Ok((_, rows)) => rows.first().and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default(),
        Err(report) => format!("error {}: {}", report.code(), report.message),
    };
    let command = without_secrets(text);
    tracing::info!(user = %caller.user.name, command, result, "admin command");
    let about = database(cluster, caller).ok().or_else(|| listed(cluster).into_iter().next());
    let Some(catalog) = about.as_ref().and_then(|database| database.catalog.as_ref()) else { return };
    if let Err(error) = catalog.audit(&caller.user.name, &command, &result).await {
        tracing::warn!(%error, "an admin command could not be written to the audit log");
    }
}

/// The text with every string that may hold a secret masked.
fn without_secrets(text: &str) -> String {
    let mut lexed = Lexed::default();
    lex(text.as_bytes(), &mut lexed);
    if !lexed.certain {
        return "(a text that cannot be read)".to_owned();
    }
    let sets = Words::new(text).is_word("SET");
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for slot in &lexed.slots {
        let (start, end) = (slot.start as usize, slot.end as usize);
        let is_string = matches!(slot.kind, SlotKind::String | SlotKind::EscapeString | SlotKind::DollarString);
        if is_string && (sets || is_connection(text.get(start..end).unwrap_or_default())) {
            shown.push_str(text.get(at..start).unwrap_or_default());
            shown.push_str("'***'");
            at = end;
        }
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

/// A string that looks like a connection string, or like part of one.
fn is_connection(literal: &str) -> bool {
    let lower = literal.to_ascii_lowercase();
    ["password", "://", "host", "user"].iter().any(|word| lower.contains(word))
}

/// Words that belong to a command's name when they follow its first word.
const SECOND_WORDS: &[&str] = &[
    "TABLE",
    "SHARD",
    "RANGE",
    "KEY",
    "REPLICA",
    "OPERATION",
    "CACHE",
    "CLIENT",
    "QUERY",
    "TRANSACTION",
    "DATABASE",
    "THROTTLE",
    "RECOMMENDATION",
];

/// `SHARD TABLE`, `PAUSE`: what the command is called.
fn tag(text: &str) -> String {
    let mut words = Words::new(text);
    let mut tag = match words.advance() {
        Token::Word(word) => word.to_ascii_uppercase(),
        _ => "ADMIN".to_owned(),
    };
    if let Some(second) = SECOND_WORDS.iter().find(|word| words.is_word(word)) {
        tag.push(' ');
        tag.push_str(second);
    }
    tag
}

#[cfg(test)]
pub(super) mod tests;

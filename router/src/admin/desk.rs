//! Desk: the admin database, one client's connection to it. In: a client who has logged in. Out: answers to admin
//! commands and to what drivers say of themselves. Never: a server of the data path.

mod answer;

pub use answer::encode;
mod extended;
mod smalltalk;

use super::{Caller, Table, parse::AdminCommand, run};
use crate::{
    cluster::{Client, Cluster, Database, User},
    error::{Report, catalogue},
    execute::frontend::{Frontend, FrontendError, body},
    metrics,
    registry::Doing,
    sql::{
        fingerprint::{Lexed, lex},
        verb::{SetValue, Verb, Which},
    },
};
use extended::{Portal, Prepared};
use pgring_protocol::message::{build, query};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Settings as a client hears of them when it connects.
const PARAMETERS: &[(&str, &str)] = &[
    ("server_version", concat!("15.0 (pgring ", env!("CARGO_PKG_VERSION"), ")")),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("default_transaction_read_only", "off"),
    ("in_hot_standby", "off"),
    ("is_superuser", "off"),
];

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Idle,
    InTransaction,
    Failed,
}

impl Status {
    fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Why a session ends.
enum End {
    /// The client said good-bye, or is gone.
    Gone,
    /// With this error.
    Fatal(Box<Report>),
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl From<FrontendError> for End {
    fn from(error: FrontendError) -> Self {
        match error {
            FrontendError::Gone(_) => Self::Gone,
            FrontendError::OutOfStep(what) => Self::Fatal(Box::new(Report::with(catalogue::PROTOCOL, what).fatal())),
            FrontendError::TooLarge(len) => Self::Fatal(Box::new(
                Report::new(catalogue::TOO_LARGE).detail(format!("a message of {len} bytes")).fatal(),
            )),
        }
    }
}

/// What a statement answers: a table, or a tag alone.
struct Answer {
    table: Option<Table>,
    tag: String,
}

impl Answer {
    fn tag(tag: impl Into<String>) -> Self {
        Self { table: None, tag: tag.into() }
    }
}

/// One client's connection to the admin database.
struct Desk {
    cluster: Arc<Cluster>,
    user: Arc<User>,
    me: Arc<Client>,
    client: Frontend,
    status: Status,
    /// `SET database`.
    database: Option<Arc<Database>>,
    /// What the client has set; nothing depends on it.
    settings: HashMap<String, String>,
    statements: HashMap<Box<[u8]>, Arc<Prepared>>,
    portals: HashMap<Box<[u8]>, Portal>,
    /// An error in a batch: everything up to Sync is skipped.
    skipping: bool,
}

/// Serves a client who has logged in, until it goes. `key` is the secret of its cancel key.
pub async fn serve(
    cluster: Arc<Cluster>,
    user: Arc<User>,
    me: Arc<Client>,
    client: Frontend,
    startup: &[(String, String)],
    key: &[u8],
) {
    let mut desk = Desk {
        cluster,
        user,
        me,
        client,
        status: Status::Idle,
        database: None,
        settings: HashMap::new(),
        statements: HashMap::new(),
        portals: HashMap::new(),
        skipping: false,
    };
    let end = match desk.greet(startup, key).await {
        Ok(()) => desk.attend().await,
        Err(end) => end,
    };
    if let End::Fatal(report) = end {
        desk.report(&report);
        drop(tokio::time::timeout(Duration::from_secs(1), desk.client.flush()).await);
    }
}

impl Desk {
    async fn greet(&mut self, startup: &[(String, String)], key: &[u8]) -> Result<(), End> {
        let given =
            |name: &str| startup.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        let application = given("application_name");
        self.me.set_application(application);
        self.settings.extend(PARAMETERS.iter().map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned())));
        self.settings.insert("application_name".to_owned(), application.to_owned());
        let out = &mut self.client.out;
        for (name, value) in PARAMETERS {
            build::parameter_status(out, name, value);
        }
        build::parameter_status(out, "application_name", application);
        build::parameter_status(out, "session_authorization", &self.user.name);
        build::backend_key_data(out, self.me.id, key);
        self.ready().await
    }

    async fn attend(&mut self) -> End {
        loop {
            if let Err(end) = self.message().await {
                return end;
            }
        }
    }

    async fn message(&mut self) -> Result<(), End> {
        let (kind, frame) = loop {
            if let Some(frame) = self.client.take_frame()? {
                break frame;
            }
            self.client.shrink();
            self.idle().await?;
        };
        self.me.set_doing(Doing::Active);
        let body = body(frame);
        match kind {
            b'X' => Err(End::Gone),
            b'S' => {
                self.skipping = false;
                if self.status == Status::Idle {
                    self.portals.clear();
                }
                self.ready().await
            }
            _ if self.skipping => Ok(()),
            b'Q' => self.simple(&body).await,
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                if let Err(report) = self.extended(kind, &body).await {
                    self.fail(&report);
                    self.skipping = true;
                }
                Ok(())
            }
            b'H' => Ok(self.client.flush().await?),
            b'F' => {
                self.fail(&Report::with(catalogue::UNSUPPORTED, "function calls are not supported here"));
                self.ready().await
            }
            // What is left of a COPY that was refused already.
            b'd' | b'c' | b'f' => Ok(()),
            _ => Err(FrontendError::OutOfStep(format!("invalid frontend message type {kind}")).into()),
        }
    }

    /// Waits for bytes of the client, or for a KILL.
    async fn idle(&mut self) -> Result<(), End> {
        self.me.set_doing(if self.status == Status::Idle { Doing::Idle } else { Doing::InTransaction });
        if self.me.is_killed() {
            return Err(End::Fatal(Box::new(Report::new(catalogue::SESSION_KILLED).fatal())));
        }
        self.client.flush().await?;
        tokio::select! {
            biased;
            read = self.client.read() => Ok(read?),
            () = self.me.wake.notified() => Ok(()),
        }
    }

    /// One simple query, which may hold several statements.
    async fn simple(&mut self, body: &[u8]) -> Result<(), End> {
        let text = match query::query_text(body).map(std::str::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => {
                self.fail(&Report::with(catalogue::PROTOCOL, "the statement is not UTF8").sqlstate("22021"));
                return self.ready().await;
            }
            Err(error) => return Err(FrontendError::OutOfStep(error.to_string()).into()),
        };
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        let spans: Vec<&str> = match lexed.certain {
            true => {
                lexed.statements.iter().filter_map(|span| text.get(span.start as usize..span.end as usize)).collect()
            }
            false => vec![text],
        };
        if spans.is_empty() {
            build::empty_query_response(&mut self.client.out);
        }
        for statement in spans {
            match self.execute(statement).await {
                Ok(answer) => self.send(&answer),
                Err(report) => {
                    self.fail(&report);
                    break;
                }
            }
        }
        self.ready().await
    }

    /// Puts a whole answer into the output, in text format.
    fn send(&mut self, answer: &Answer) {
        let out = &mut self.client.out;
        if let Some(table) = &answer.table {
            build::row_description(out, &table.fields());
            for row in &table.rows {
                build::data_row(out, row.iter().map(|value| value.as_deref().map(str::as_bytes)));
            }
        }
        build::command_complete(out, &answer.tag);
    }

    /// Runs one statement.
    async fn execute(&mut self, text: &str) -> Result<Answer, Report> {
        self.me.count();
        let ends = matches!(crate::sql::verb::recognise(text), Some(Verb::Commit { .. } | Verb::Rollback { .. }));
        if self.status == Status::Failed && !ends {
            return Err(Report::new(catalogue::FAILED_TRANSACTION));
        }
        if let Some(table) = smalltalk::answer(text, &self.user.name, &self.cluster.settings.load(), self.me.id) {
            let tag = format!("SELECT {}", table.rows.len());
            return Ok(Answer { table: Some(table), tag });
        }
        let text = smalltalk::show_function(text).unwrap_or_else(|| text.to_owned());
        if let AdminCommand::Session(verb) = super::parse::parse(&text)?.command {
            return self.verb(&verb);
        }
        let caller = Caller {
            user: self.user.clone(),
            database: self.database.clone(),
            in_transaction: self.status != Status::Idle,
        };
        let table = run(&self.cluster, &caller, &text).await?;
        let tag = table.tag.clone();
        Ok(Answer { table: Some(table), tag })
    }

    /// What any session says: transactions and settings. No command here has part in a transaction, so that BEGIN
    /// and COMMIT only keep count.
    fn verb(&mut self, verb: &Verb) -> Result<Answer, Report> {
        match verb {
            Verb::Begin { .. } => {
                self.status = Status::InTransaction;
                Ok(Answer::tag("BEGIN"))
            }
            Verb::Commit { .. } => {
                let failed = std::mem::replace(&mut self.status, Status::Idle) == Status::Failed;
                Ok(Answer::tag(if failed { "ROLLBACK" } else { "COMMIT" }))
            }
            Verb::Rollback { .. } => {
                self.status = Status::Idle;
                Ok(Answer::tag("ROLLBACK"))
            }
            Verb::Set { name, value, .. } => self.set(name, value),
            Verb::SetTransaction { .. } | Verb::SetSessionCharacteristics { .. } | Verb::SetConstraints => {
                Ok(Answer::tag("SET"))
            }
            Verb::Reset(which) => {
                self.reset(which);
                Ok(Answer::tag("RESET"))
            }
            Verb::Show(which) => self.show(which),
            Verb::Discard(what) => {
                self.statements.clear();
                self.portals.clear();
                self.reset(&Which::All);
                Ok(Answer::tag(format!("DISCARD {what:?}").to_ascii_uppercase()))
            }
            Verb::Deallocate(which) => {
                match which {
                    Which::All => self.statements.clear(),
                    Which::Name(name) => drop(self.statements.remove(name.as_bytes())),
                }
                Ok(Answer::tag("DEALLOCATE"))
            }
            Verb::CloseCursor(_) => Ok(Answer::tag("CLOSE CURSOR")),
            Verb::Unlisten(_) => Ok(Answer::tag("UNLISTEN")),
            _ => Err(Report::with(catalogue::UNSUPPORTED, "this statement has no use in the admin database")
                .hint("SHOW HELP lists the admin commands.")),
        }
    }

    fn set(&mut self, name: &str, value: &SetValue) -> Result<Answer, Report> {
        let SetValue::Values(values) = value else {
            self.reset(&Which::Name(name.to_owned()));
            return Ok(Answer::tag("SET"));
        };
        let value = values.join(", ");
        if name == "database" {
            self.database = Some(self.cluster.database(&value).ok_or_else(|| {
                Report::with(catalogue::UNKNOWN_DATABASE, format!("database \"{value}\" does not exist"))
            })?);
        }
        if name == "client_encoding" && !matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") {
            return Err(Report::with(catalogue::PARAMETER_VALUE, "the admin database speaks UTF8 only"));
        }
        if name == "application_name" {
            self.me.set_application(&value);
            build::parameter_status(&mut self.client.out, "application_name", &value);
        }
        self.settings.insert(name.to_ascii_lowercase(), value);
        Ok(Answer::tag("SET"))
    }

    fn reset(&mut self, which: &Which) {
        let initial = |name: &str| PARAMETERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        match which {
            Which::Name(name) => match initial(name) {
                Some((_, value)) => drop(self.settings.insert(name.to_ascii_lowercase(), (*value).to_owned())),
                None => drop(self.settings.remove(name)),
            },
            Which::All => {
                self.settings =
                    PARAMETERS.iter().map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned())).collect();
            }
        }
        if matches!(which, Which::All) || *which == Which::Name("database".to_owned()) {
            self.database = None;
        }
    }

    /// SHOW of a setting: of this session, or a key of the configuration.
    fn show(&self, which: &Which) -> Result<Answer, Report> {
        let Which::Name(name) = which else {
            let mut rows: Vec<_> =
                self.settings.iter().map(|(name, value)| vec![Some(name.clone()), Some(value.clone())]).collect();
            rows.sort();
            let table = answer::texts(&["name", "setting"], rows, "SHOW");
            return Ok(Answer { table: Some(table), tag: "SHOW".to_owned() });
        };
        let mut value = self.settings.get(&name.to_ascii_lowercase()).cloned();
        if value.is_none() {
            let rows = self.cluster.settings.load().show_rows();
            value = rows.into_iter().find(|row| row.key == *name).map(|row| row.value);
        }
        let value = value.or_else(|| smalltalk::setting(name).map(str::to_owned)).ok_or_else(|| {
            Report::with(catalogue::UNKNOWN_SETTING, format!("unrecognized configuration parameter \"{name}\""))
                .hint("SHOW HELP lists what can be shown.")
        })?;
        let table = answer::texts(&["setting"], vec![vec![Some(value)]], "SHOW");
        Ok(Answer { table: Some(table), tag: "SHOW".to_owned() })
    }

    /// Tells the client of an error; a transaction block has failed.
    fn fail(&mut self, report: &Report) {
        self.report(report);
        if self.status == Status::InTransaction {
            self.status = Status::Failed;
        }
    }

    fn report(&mut self, report: &Report) {
        metrics::error(report.code());
        report.write(&mut self.client.out);
    }

    async fn ready(&mut self) -> Result<(), End> {
        build::ready_for_query(&mut self.client.out, self.status.byte());
        Ok(self.client.flush().await?)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.cluster.clients.leave(self.me.id);
        metrics::CLIENTS.decrement(1.0);
    }
}

#[cfg(test)]
mod tests;

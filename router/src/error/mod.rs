//! Errors: the one place where what went wrong becomes SQLSTATE, message, detail and hint.

pub mod catalogue;

use catalogue::Entry;
use pgring_protocol::message::{build, notice::Fields};

/// How much ends with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement.
    Error,
    /// The session.
    Fatal,
    /// Nothing: a warning.
    Warning,
}

/// An error as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Entry of the catalogue; its number opens the DETAIL.
    pub entry: Entry,
    /// What ends.
    pub severity: Severity,
    /// SQLSTATE, if another than the entry's.
    pub sqlstate: Option<std::borrow::Cow<'static, str>>,
    /// Message with the facts of the case.
    pub message: String,
    /// What follows the number in the DETAIL.
    pub detail: String,
    /// What to do.
    pub hint: Option<String>,
    /// Position in the statement's text, in characters from 1.
    pub position: Option<u32>,
}

impl Report {
    /// A report with the entry's own message.
    pub fn new(entry: Entry) -> Self {
        Self::with(entry, entry.message)
    }

    /// A report with a message of its own.
    pub fn with(entry: Entry, message: impl Into<String>) -> Self {
        Self {
            entry,
            severity: Severity::Error,
            sqlstate: None,
            message: message.into(),
            detail: String::new(),
            hint: None,
            position: None,
        }
    }

    /// Adds what was found.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says it with another SQLSTATE than the entry's.
    pub fn sqlstate(mut self, sqlstate: &'static str) -> Self {
        self.sqlstate = Some(sqlstate.into());
        self
    }

    /// Says it with the SQLSTATE of a server.
    pub fn server_code(mut self, sqlstate: String) -> Self {
        self.sqlstate = Some(sqlstate.into());
        self
    }

    /// Makes it end the session.
    pub fn fatal(mut self) -> Self {
        self.severity = Severity::Fatal;
        self
    }

    /// The SQLSTATE that is reported.
    pub fn code(&self) -> &str {
        self.sqlstate.as_deref().unwrap_or(self.entry.sqlstate)
    }

    /// Writes it as an ErrorResponse (or, for a warning, a NoticeResponse).
    pub fn write(&self, out: &mut bytes::BytesMut) {
        let severity = match self.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
        };
        let mut fields = Fields::new(severity, self.code(), &self.message);
        let number = format!("PGR-{:04}", self.entry.number);
        let detail = if self.detail.is_empty() { number } else { format!("{number}: {}", self.detail) };
        fields.set(b'D', &detail);
        if let Some(hint) = &self.hint {
            fields.set(b'H', hint);
        }
        if let Some(position) = self.position {
            fields.set(b'P', &position.to_string());
        }
        if self.severity == Severity::Warning {
            build::notice(out, &fields);
        } else {
            build::error(out, &fields);
        }
    }
}

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
    pub sqlstate: Option<[u8; 5]>,
    /// Message with the facts of the case.
    pub message: String,
    /// What follows the number in the DETAIL.
    pub detail: String,
    /// What to do.
    pub hint: Option<Box<str>>,
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
        }
    }

    /// Adds what was found.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into());
        self
    }

    /// Says it with another SQLSTATE than the entry's.
    pub fn sqlstate(mut self, sqlstate: &str) -> Self {
        self.sqlstate = sqlstate.as_bytes().try_into().ok();
        self
    }

    /// Makes it end the session.
    pub fn fatal(mut self) -> Self {
        self.severity = Severity::Fatal;
        self
    }

    /// The SQLSTATE that is reported.
    pub fn code(&self) -> &str {
        self.sqlstate.as_ref().and_then(|code| std::str::from_utf8(code).ok()).unwrap_or(self.entry.sqlstate)
    }

    /// Its fields on the wire.
    fn fields(&self) -> Fields {
        let severity = match self.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
        };
        let mut fields = Fields::new(severity, self.code(), &self.message);
        let routine = self.entry.routine();
        let number = format!("PGR-{:04}", self.entry.number);
        match (routine, self.detail.is_empty()) {
            (Some(_), true) => {}
            (None, true) => fields.set(b'D', &number),
            (_, false) => fields.set(b'D', format!("{number}: {}", self.detail)),
        }
        if let Some(hint) = &self.hint {
            fields.set(b'H', hint.as_bytes());
        }
        if let Some(routine) = routine {
            fields.set(b'R', routine);
        }
        fields
    }

    /// Writes it as an ErrorResponse (or, for a warning, a NoticeResponse).
    pub fn write(&self, out: &mut bytes::BytesMut) {
        if self.severity == Severity::Warning {
            build::notice(out, &self.fields());
        } else {
            build::error(out, &self.fields());
        }
    }
}

//! Errors and notices: the fields of ErrorResponse and NoticeResponse. In: a body, or a code and a text. Out: fields.
//! Never: decides which error it is. (Manual: "Error and Notice Message Fields".)

use std::{borrow::Cow, fmt};

use super::{MessageError, Reader};
use crate::sqlstate;

/// Letters of the fields.
pub mod field {
    /// Severity, translated.
    pub const SEVERITY: u8 = b'S';
    /// Severity, never translated.
    pub const SEVERITY_NONLOCALIZED: u8 = b'V';
    /// SQLSTATE.
    pub const CODE: u8 = b'C';
    /// The primary text.
    pub const MESSAGE: u8 = b'M';
    /// More about the problem.
    pub const DETAIL: u8 = b'D';
    /// What to do about it.
    pub const HINT: u8 = b'H';
    /// Where in the statement, in characters from 1.
    pub const POSITION: u8 = b'P';
    /// Where in the internal statement, in characters from 1.
    pub const INTERNAL_POSITION: u8 = b'p';
    /// The internal statement.
    pub const INTERNAL_QUERY: u8 = b'q';
    /// The call stack.
    pub const WHERE: u8 = b'W';
    /// Schema concerned.
    pub const SCHEMA: u8 = b's';
    /// Table concerned.
    pub const TABLE: u8 = b't';
    /// Column concerned.
    pub const COLUMN: u8 = b'c';
    /// Type concerned.
    pub const DATATYPE: u8 = b'd';
    /// Constraint concerned.
    pub const CONSTRAINT: u8 = b'n';
    /// Source file that raised it.
    pub const FILE: u8 = b'F';
    /// Line in the source file.
    pub const LINE: u8 = b'L';
    /// Function that raised it.
    pub const ROUTINE: u8 = b'R';
}

/// Fields of an error or notice, in order; kept as bytes, since the text is in the client's encoding.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fields {
    fields: Vec<(u8, Vec<u8>)>,
}

impl Fields {
    /// Severity (both forms), code and text.
    #[must_use]
    pub fn new(severity: &str, code: &str, message: impl AsRef<str>) -> Self {
        Self::default()
            .with(field::SEVERITY, severity)
            .with(field::SEVERITY_NONLOCALIZED, severity)
            .with(field::CODE, code)
            .with(field::MESSAGE, message.as_ref())
    }

    /// An error that ends the statement.
    #[must_use]
    pub fn error(code: &str, message: impl AsRef<str>) -> Self {
        Self::new("ERROR", code, message)
    }

    /// An error that ends the session.
    #[must_use]
    pub fn fatal(code: &str, message: impl AsRef<str>) -> Self {
        Self::new("FATAL", code, message)
    }

    /// The same with one more field, or another value of it; a NUL in the value ends it.
    #[must_use]
    pub fn with(mut self, letter: u8, value: impl AsRef<[u8]>) -> Self {
        self.set(letter, value);
        self
    }

    /// Sets one field; a NUL in the value ends it.
    pub fn set(&mut self, letter: u8, value: impl AsRef<[u8]>) {
        let value: Vec<u8> = value.as_ref().iter().copied().take_while(|byte| *byte != 0).collect();
        match self.fields.iter_mut().find(|(known, _)| *known == letter) {
            Some((_, old)) => *old = value,
            None => self.fields.push((letter, value)),
        }
    }

    /// Removes one field.
    pub fn remove(&mut self, letter: u8) {
        self.fields.retain(|(known, _)| *known != letter);
    }

    /// Reads the body of an ErrorResponse (`E`) or NoticeResponse (`N`); unknown letters are kept.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01).
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let mut fields = Vec::new();
        loop {
            match reader.u8()? {
                0 => break,
                letter => fields.push((letter, reader.cstr()?.to_vec())),
            }
        }
        reader.end()?;
        Ok(Self { fields })
    }

    /// The body of an ErrorResponse with all that an error must have; whether anything had to be added. A server that
    /// left something out, or whose error cannot be read, is quoted as far as it goes.
    #[must_use]
    pub fn of_error(body: &[u8]) -> (Self, bool) {
        let read = Self::parse(body);
        let mut is_changed = read.is_err();
        let mut fields = read.unwrap_or_default();
        for (letter, otherwise) in [
            (field::SEVERITY, "ERROR"),
            (field::CODE, sqlstate::INTERNAL_ERROR),
            (field::MESSAGE, "the server sent an error that says nothing"),
        ] {
            let is_short = |value: &[u8]| value.is_empty() || (letter == field::CODE && value.len() != 5);
            if fields.raw(letter).is_none_or(is_short) {
                fields.set(letter, otherwise);
                is_changed = true;
            }
        }
        (fields, is_changed)
    }

    /// The field `letter`, if there and UTF-8.
    #[must_use]
    pub fn get(&self, letter: u8) -> Option<&str> {
        self.raw(letter).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The field `letter` as it came.
    #[must_use]
    pub fn raw(&self, letter: u8) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| *known == letter).map(|(_, value)| value.as_slice())
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.fields.iter().map(|(letter, value)| (*letter, value.as_slice()))
    }

    /// The severity that is never translated (`ERROR`, `FATAL`, `PANIC`, `NOTICE`…); servers before 9.6 send only the
    /// other one.
    #[must_use]
    pub fn severity(&self) -> &str {
        self.get(field::SEVERITY_NONLOCALIZED).or_else(|| self.get(field::SEVERITY)).unwrap_or("ERROR")
    }

    /// The SQLSTATE; empty when the server sent none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.get(field::CODE).unwrap_or_default()
    }

    /// The primary text.
    #[must_use]
    pub fn message(&self) -> Cow<'_, str> {
        self.raw(field::MESSAGE).map(String::from_utf8_lossy).unwrap_or_default()
    }

    /// More about the problem.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.get(field::DETAIL)
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.get(field::HINT)
    }

    /// Where in the statement, in characters from 1.
    #[must_use]
    pub fn position(&self) -> Option<u32> {
        self.get(field::POSITION)?.parse().ok()
    }

    /// Whether the session ends with it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity(), "FATAL" | "PANIC")
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (SQLSTATE {})", self.severity(), self.message(), self.code())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (letter, value) in self.iter() {
            map.entry(&char::from(letter), &String::from_utf8_lossy(value));
        }
        map.finish()
    }
}

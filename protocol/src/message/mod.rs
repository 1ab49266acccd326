//! Messages: bodies of frames ↔ what they say. Readers borrow, builders append to a buffer.
//! In: the body of one frame. Out: its fields. Never: I/O; a malformed body never costs the step of the stream.

use thiserror::Error;

pub mod startup;
pub mod query;
pub mod extended;
pub mod copy;
pub mod result;
pub mod notice;
pub mod build;

/// A body that breaks the protocol (SQLSTATE 08P01). The texts are PostgreSQL's. The frame's length was right, so the
/// stream stays in step and the session may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The body ends before its fields do.
    #[error("insufficient data left in message")]
    TooShort,
    /// The body ends where one byte more was expected.
    #[error("no data left in message")]
    NoData,
    /// Bytes follow the last field.
    #[error("invalid message format")]
    Trailing,
    /// A string without its closing NUL.
    #[error("invalid string in message")]
    Unterminated,
    /// Text that must be UTF-8 is not.
    #[error("invalid text in message")]
    NotUtf8,
    /// Describe or Close of something that is neither statement nor portal.
    #[error("invalid {message} message subtype {subtype}")]
    Subtype {
        /// `DESCRIBE` or `CLOSE`.
        message: &'static str,
        /// What was asked for.
        subtype: u8,
    },
    /// Bind with a number of formats that is neither 0, 1 nor that of the parameters.
    #[error("bind message has {formats} parameter formats but {parameters} parameters")]
    Formats {
        /// Formats given.
        formats: usize,
        /// Parameters given.
        parameters: usize,
    },
    /// A startup packet whose parameters do not end with its last byte.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    StartupLayout,
    /// A value outside of what the protocol allows.
    #[error("invalid value in message")]
    Value,
}

/// A cursor over a body; every step is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (chunk, rest) = self.rest.split_first_chunk::<N>().ok_or(MessageError::TooShort)?;
        self.rest = rest;
        Ok(*chunk)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, MessageError> {
        self.chunk().map(u8::from_be_bytes).or(Err(MessageError::NoData))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, MessageError> {
        self.chunk().map(u16::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, MessageError> {
        self.chunk().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, MessageError> {
        self.chunk().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, MessageError> {
        self.chunk().map(i32::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], MessageError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(MessageError::TooShort)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A value with a length word before it; -1 is null.
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, MessageError> {
        match self.i32()? {
            -1 => Ok(None),
            length => self.bytes(usize::try_from(length).or(Err(MessageError::TooShort))?).map(Some),
        }
    }

    /// A string up to its NUL, which is consumed and not returned.
    pub(crate) fn cstr(&mut self) -> Result<&'a [u8], MessageError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(MessageError::Unterminated)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, MessageError> {
        std::str::from_utf8(self.cstr()?).or(Err(MessageError::NotUtf8))
    }

    /// What is left; the reader is then at the end.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// A capacity for `count` items of at least `size` bytes each, never more than the bytes at hand could hold.
    pub(crate) fn capacity(&self, count: u16, size: usize) -> usize {
        usize::from(count).min(self.rest.len() / size.max(1))
    }

    pub(crate) fn end(&self) -> Result<(), MessageError> {
        if self.rest.is_empty() { Ok(()) } else { Err(MessageError::Trailing) }
    }
}

#[cfg(test)]
mod tests;

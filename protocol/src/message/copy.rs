//! COPY: what opens it and what breaks it off. In: bodies of `G`, `H`, `W` and `f`. Out: formats, a reason.
//! Never: reads the rows inside CopyData.

use super::{MessageError, Reader};

/// CopyInResponse, CopyOutResponse or CopyBothResponse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyResponse {
    /// 0 text, 1 binary.
    pub format: u8,
    /// Format of each column, 0 text, 1 binary.
    pub columns: Vec<i16>,
}

impl CopyResponse {
    /// Reads the body of a `G`, `H` or `W`.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01).
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let format = reader.u8()?;
        let count = usize::from(reader.u16()?);
        let columns = reader.bytes(count * 2)?;
        reader.end()?;
        let columns = columns.as_chunks::<2>().0.iter().map(|format| i16::from_be_bytes(*format)).collect();
        Ok(Self { format, columns })
    }
}

/// CopyFail: the client breaks its COPY off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFail<'a> {
    /// Why, for the error's text.
    pub message: &'a [u8],
}

impl<'a> CopyFail<'a> {
    /// Reads the body of an `f`.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01).
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        super::query::query_text(body).map(|message| Self { message })
    }
}

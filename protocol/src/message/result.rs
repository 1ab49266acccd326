//! Results: what a server tells about rows, statements and itself. In: bodies of server messages. Out: their fields.
//! Never: interprets a column's value.

use super::{MessageError, Reader};

/// One column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name as the client will see it.
    pub name: String,
    /// OID of the table it comes from, else 0.
    pub table_oid: u32,
    /// Number of the table's column, else 0.
    pub column: i16,
    /// OID of its type.
    pub type_oid: u32,
    /// `pg_type.typlen`; negative for types of variable length.
    pub type_size: i16,
    /// `pg_attribute.atttypmod`; -1 is none.
    pub type_modifier: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// Reads the body of a RowDescription (`T`).
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01).
pub fn row_description(body: &[u8]) -> Result<Vec<Field>, MessageError> {
    let mut reader = Reader::new(body);
    let count = reader.u16()?;
    let mut fields = Vec::with_capacity(reader.capacity(count, 19));
    for _ in 0..count {
        fields.push(field(&mut reader)?);
    }
    reader.end()?;
    Ok(fields)
}

/// A name in an encoding that is not UTF-8 is kept readable rather than refused.
fn field(reader: &mut Reader<'_>) -> Result<Field, MessageError> {
    Ok(Field {
        name: String::from_utf8_lossy(reader.cstr()?).into_owned(),
        table_oid: reader.u32()?,
        column: reader.i16()?,
        type_oid: reader.u32()?,
        type_size: reader.i16()?,
        type_modifier: reader.i32()?,
        format: reader.i16()?,
    })
}

/// The columns of one DataRow, in order; `None` is null. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Columns<'a> {
    reader: Reader<'a>,
    left: u16,
}

impl Columns<'_> {
    /// How many columns are still to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        usize::from(self.left)
    }
}

/// Opens the body of a DataRow (`D`).
///
/// # Errors
/// [`MessageError::TooShort`] (SQLSTATE 08P01) when not even the number of columns is there.
pub fn columns(body: &[u8]) -> Result<Columns<'_>, MessageError> {
    let mut reader = Reader::new(body);
    let left = reader.u16()?;
    Ok(Columns { reader, left })
}

impl<'a> Iterator for Columns<'a> {
    type Item = Result<Option<&'a [u8]>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = self.reader.value();
        if value.is_err() {
            self.left = 0;
        }
        Some(value)
    }
}

/// The tag of a CommandComplete (`C`), such as `INSERT 0 1`.
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01).
pub fn tag(body: &[u8]) -> Result<&str, MessageError> {
    let mut reader = Reader::new(body);
    let tag = reader.text()?;
    reader.end()?;
    Ok(tag)
}

/// Name and value of a ParameterStatus (`S`).
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01).
pub fn parameter_status(body: &[u8]) -> Result<(&str, &str), MessageError> {
    let mut reader = Reader::new(body);
    let pair = (reader.text()?, reader.text()?);
    reader.end()?;
    Ok(pair)
}

/// State of the transaction in a ReadyForQuery (`Z`): `I` none, `T` open, `E` failed.
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01), also for another state.
pub fn ready_status(body: &[u8]) -> Result<u8, MessageError> {
    let mut reader = Reader::new(body);
    let status = reader.u8()?;
    reader.end()?;
    if matches!(status, b'I' | b'T' | b'E') { Ok(status) } else { Err(MessageError::Value) }
}

/// Types in a ParameterDescription (`t`).
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01).
pub fn parameter_types(body: &[u8]) -> Result<Vec<u32>, MessageError> {
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u16()?);
    let types = reader.bytes(count * 4)?;
    reader.end()?;
    Ok(types.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect())
}

/// Sender's process, channel and payload of a NotificationResponse (`A`).
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01).
pub fn notification(body: &[u8]) -> Result<(i32, &str, &str), MessageError> {
    let mut reader = Reader::new(body);
    let notification = (reader.i32()?, reader.text()?, reader.text()?);
    reader.end()?;
    Ok(notification)
}

/// Process and secret of a BackendKeyData (`K`); the secret has 4 to 256 bytes.
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01).
pub fn backend_key_data(body: &[u8]) -> Result<(i32, &[u8]), MessageError> {
    let mut reader = Reader::new(body);
    let (pid, secret) = (reader.i32()?, reader.rest());
    if (4..=256).contains(&secret.len()) { Ok((pid, secret)) } else { Err(MessageError::Value) }
}

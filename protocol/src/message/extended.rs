//! Extended query: Parse, Bind, Describe, Close, Execute. In: bodies from a client. Out: borrowed, fully checked fields.
//! Never: interprets a parameter's value.

use super::{MessageError, Reader};

/// Kind of thing that Describe and Close name: a prepared statement.
pub const STATEMENT: u8 = b'S';
/// Kind of thing that Describe and Close name: a portal.
pub const PORTAL: u8 = b'P';

/// OIDs of parameter types as Parse carries them; 0 leaves a type to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeList<'a> {
    bytes: &'a [u8],
}

impl<'a> TypeList<'a> {
    /// How many types are given; there may be fewer than parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Whether none is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The OIDs in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.bytes.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// Parse: make a prepared statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Name of the statement; empty is the unnamed one.
    pub name: &'a [u8],
    /// Its text, in the client's encoding.
    pub sql: &'a [u8],
    /// Types of its parameters, as far as the client gives them.
    pub types: TypeList<'a>,
}

impl<'a> Parse<'a> {
    /// Reads the body of a `P`.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01).
    #[expect(clippy::self_named_constructors, reason = "the readers of all messages have this name")]
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let (name, sql) = (reader.cstr()?, reader.cstr()?);
        let count = usize::from(reader.u16()?);
        let types = TypeList { bytes: reader.bytes(count * 4)? };
        reader.end()?;
        Ok(Self { name, sql, types })
    }
}

/// Bind: make a portal from a statement and parameters. The names are read; the rest is checked by [`Bind::parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Name of the portal; empty is the unnamed one.
    pub portal: &'a [u8],
    /// Name of the statement.
    pub statement: &'a [u8],
    /// All bytes behind the statement's name: formats, parameters, result formats.
    pub rest: &'a [u8],
}

/// One parameter of a Bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// 0 text, 1 binary.
    pub format: i16,
    /// Its bytes; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// Parameters and result formats of a Bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindParameters<'a> {
    /// Formats of the parameters: none (all text), one (for all) or one each.
    pub formats: Vec<i16>,
    values: Vec<Option<&'a [u8]>>,
    result_formats: Vec<i16>,
}

impl<'a> Bind<'a> {
    /// Reads the body of a `B`.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01) for the names alone: as in PostgreSQL, a statement that does not exist goes
    /// before what is wrong behind its name.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        Ok(Self { portal: reader.cstr()?, statement: reader.cstr()?, rest: reader.rest() })
    }

    /// Reads formats, parameters and result formats.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01).
    pub fn parameters(&self) -> Result<BindParameters<'a>, MessageError> {
        let mut reader = Reader::new(self.rest);
        let formats = formats(&mut reader)?;
        let count = reader.u16()?;
        check_counts(formats.len(), usize::from(count))?;
        let mut values = Vec::with_capacity(reader.capacity(count, 4));
        for _ in 0..count {
            values.push(reader.value()?);
        }
        let result_formats = self::formats(&mut reader)?;
        reader.end()?;
        Ok(BindParameters { formats, values, result_formats })
    }
}

impl<'a> BindParameters<'a> {
    /// How many parameters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Parameter `index`, counted from 0 (`$1` is 0).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Parameter<'a>> {
        let value = *self.values.get(index)?;
        let format = match self.formats.as_slice() {
            [] => 0,
            [one] => *one,
            each => each.get(index).copied().unwrap_or(0),
        };
        Some(Parameter { format, value })
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = Parameter<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Formats asked for the result's columns: none (all text), one (for all) or one each.
    #[must_use]
    pub fn result_formats(&self) -> &[i16] {
        &self.result_formats
    }
}

fn formats(reader: &mut Reader<'_>) -> Result<Vec<i16>, MessageError> {
    let count = usize::from(reader.u16()?);
    let bytes = reader.bytes(count * 2)?;
    Ok(bytes.as_chunks::<2>().0.iter().map(|format| i16::from_be_bytes(*format)).collect())
}

fn check_counts(formats: usize, parameters: usize) -> Result<(), MessageError> {
    if formats > 1 && formats != parameters { Err(MessageError::Formats { formats, parameters }) } else { Ok(()) }
}

/// Describe: ask for the columns of a statement or portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    /// [`STATEMENT`] or [`PORTAL`].
    pub kind: u8,
    /// Its name.
    pub name: &'a [u8],
}

impl<'a> Describe<'a> {
    /// Reads the body of a `D`.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01), also for a kind that is neither.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        named("DESCRIBE", body).map(|(kind, name)| Self { kind, name })
    }
}

/// Close: forget a statement or portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// [`STATEMENT`] or [`PORTAL`].
    pub kind: u8,
    /// Its name.
    pub name: &'a [u8],
}

impl<'a> Close<'a> {
    /// Reads the body of a `C`.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01), also for a kind that is neither.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        named("CLOSE", body).map(|(kind, name)| Self { kind, name })
    }
}

fn named<'a>(message: &'static str, body: &'a [u8]) -> Result<(u8, &'a [u8]), MessageError> {
    let mut reader = Reader::new(body);
    let (subtype, name) = (reader.u8()?, reader.cstr()?);
    reader.end()?;
    match subtype {
        STATEMENT | PORTAL => Ok((subtype, name)),
        _ => Err(MessageError::Subtype { message, subtype }),
    }
}

/// Execute: run a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Name of the portal.
    pub portal: &'a [u8],
    /// Most rows to return; 0 or less is no limit.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    /// Reads the body of an `E`.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01).
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let (portal, max_rows) = (reader.cstr()?, reader.i32()?);
        reader.end()?;
        Ok(Self { portal, max_rows })
    }
}

/// Checks a message that has no body: Sync, Flush, CopyDone, Terminate.
///
/// # Errors
/// [`MessageError::Trailing`] (SQLSTATE 08P01).
pub fn empty(body: &[u8]) -> Result<(), MessageError> {
    Reader::new(body).end()
}

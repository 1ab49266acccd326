//! Shard keys: the types a key column may have and the values they take. In: a type's name or OID; a literal or a
//! parameter as the client sent it. Out: a key in canonical form, exactly as PostgreSQL would read it, or why not.
//! Never: a guess; what is not certain is [`KeyError::Uncertain`].

use std::{fmt, str::FromStr};

/// The family of types that hash alike: keys of one family can be colocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyFamily {
    /// int2, int4, int8.
    Integer,
    /// text, varchar, char(n).
    Text,
    /// uuid.
    Uuid,
}

impl KeyFamily {
    /// Its word: `integer`, `text`, `uuid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Text => "text",
            Self::Uuid => "uuid",
        }
    }

    /// The family of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Integer, Self::Text, Self::Uuid].into_iter().find(|family| family.as_str() == word)
    }
}

impl fmt::Display for KeyFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Type of a key column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// text
    Text,
    /// character varying(n)
    Varchar,
    /// character(n): trailing blanks do not count
    Bpchar,
    /// uuid
    Uuid,
}

/// Why a key could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// PostgreSQL raises 22003 for it.
    #[error("value \"{text}\" is out of range for type {key_type}")]
    OutOfRange {
        /// What was read.
        text: Box<str>,
        /// As which type.
        key_type: KeyType,
    },
    /// PostgreSQL raises 22P02 for it.
    #[error("invalid input syntax for type {key_type}: \"{text}\"")]
    Invalid {
        /// What was read.
        text: Box<str>,
        /// As which type.
        key_type: KeyType,
    },
    /// It may have a value, but only PostgreSQL can say which.
    #[error("the value cannot be read as a key with certainty")]
    Uncertain,
}

impl KeyError {
    /// The SQLSTATE that PostgreSQL answers; None: PostgreSQL must be asked.
    pub fn sqlstate(&self) -> Option<&'static str> {
        match self {
            Self::OutOfRange { .. } => Some("22003"),
            Self::Invalid { .. } => Some("22P02"),
            Self::Uncertain => None,
        }
    }
}

/// Each type: itself, its OID in pg_type, PostgreSQL's name for it.
const TYPES: [(KeyType, u32, &str); 7] = [
    (KeyType::Int2, 21, "smallint"),
    (KeyType::Int4, 23, "integer"),
    (KeyType::Int8, 20, "bigint"),
    (KeyType::Text, 25, "text"),
    (KeyType::Varchar, 1043, "character varying"),
    (KeyType::Bpchar, 1042, "character"),
    (KeyType::Uuid, 2950, "uuid"),
];

/// Other names that SQL has for the types.
const OTHER_NAMES: [(&str, KeyType); 20] = [
    ("int2", KeyType::Int2),
    ("smallserial", KeyType::Int2),
    ("serial2", KeyType::Int2),
    ("int", KeyType::Int4),
    ("int4", KeyType::Int4),
    ("serial", KeyType::Int4),
    ("serial4", KeyType::Int4),
    ("int8", KeyType::Int8),
    ("bigserial", KeyType::Int8),
    ("serial8", KeyType::Int8),
    ("varchar", KeyType::Varchar),
    ("char varying", KeyType::Varchar),
    ("nchar varying", KeyType::Varchar),
    ("national char varying", KeyType::Varchar),
    ("national character varying", KeyType::Varchar),
    ("char", KeyType::Bpchar),
    ("bpchar", KeyType::Bpchar),
    ("nchar", KeyType::Bpchar),
    ("national char", KeyType::Bpchar),
    ("national character", KeyType::Bpchar),
];

impl KeyType {
    /// The family this type belongs to.
    pub fn family(self) -> KeyFamily {
        match self {
            Self::Int2 | Self::Int4 | Self::Int8 => KeyFamily::Integer,
            Self::Text | Self::Varchar | Self::Bpchar => KeyFamily::Text,
            Self::Uuid => KeyFamily::Uuid,
        }
    }

    /// Its OID in pg_type, the same on every server.
    pub fn oid(self) -> u32 {
        TYPES.iter().find(|(key_type, ..)| *key_type == self).map_or(0, |(_, oid, _)| *oid)
    }

    /// PostgreSQL's own name of it, without a length: `integer`, `character varying`.
    pub fn as_str(self) -> &'static str {
        TYPES.iter().find(|(key_type, ..)| *key_type == self).map_or("", |(.., name)| name)
    }

    /// The type with this OID, if a key may have it.
    pub fn from_oid(oid: u32) -> Option<Self> {
        TYPES.iter().find(|(_, known, _)| *known == oid).map(|(key_type, ..)| *key_type)
    }

    /// The type that this text names in SQL or in `format_type()`, such as `int8`, `character varying(20)`,
    /// `bigserial`; None if a key cannot have it. A domain, an array and `"char"` are none.
    pub fn from_type_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let bare = match name.split_once('(') {
            None => name.as_str(),
            Some((bare, length)) => {
                let digits = length.strip_suffix(')')?.trim();
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                bare
            }
        };
        let words = bare.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let (bare, qualified) = match words.strip_prefix("pg_catalog.") {
            Some(rest) => (rest, true),
            None => (words.as_str(), false),
        };
        // In pg_catalog, `char` is the one-byte type and `integer` is no type at all.
        if qualified && !matches!(bare, "int2" | "int4" | "int8" | "text" | "varchar" | "bpchar" | "uuid") {
            return None;
        }
        let key_type = TYPES
            .iter()
            .map(|(key_type, _, name)| (*name, *key_type))
            .chain(OTHER_NAMES)
            .find(|(known, _)| *known == bare)?
            .1;
        let takes_length = matches!(key_type, Self::Varchar | Self::Bpchar);
        (takes_length || !name.contains('(')).then_some(key_type)
    }

    /// Reads a quoted literal, or a parameter in text format, that PostgreSQL would pass to this type's input
    /// function.
    ///
    /// A varchar that ends in a blank is uncertain: `varchar(n)` cuts excess blanks off when a row is stored.
    ///
    /// # Errors
    /// [`KeyError::OutOfRange`] (22003), [`KeyError::Invalid`] (22P02), [`KeyError::Uncertain`].
    pub fn parse_text(&self, text: &str) -> Result<KeyValue, KeyError> {
        if text.contains('\0') {
            return Err(KeyError::Uncertain);
        }
        match self {
            Self::Int2 | Self::Int4 | Self::Int8 => self.parse_integer(text),
            Self::Text => Ok(KeyValue::Text(text.into())),
            Self::Varchar if text.ends_with(' ') => Err(KeyError::Uncertain),
            Self::Varchar => Ok(KeyValue::Text(text.into())),
            Self::Bpchar => Ok(KeyValue::Text(text.trim_end_matches(' ').into())),
            Self::Uuid => parse_uuid(text)
                .map(KeyValue::Uuid)
                .ok_or_else(|| KeyError::Invalid { text: text.into(), key_type: *self }),
        }
    }

    /// Reads an unquoted integer literal (`7`, `-7`) that is compared with, or stored in, a column of this type.
    ///
    /// The literal has a type of its own (integer or bigint), so a value that the column cannot hold is no error
    /// in a comparison: it has a token like any other, matches no row there, and PostgreSQL refuses to store it.
    ///
    /// # Errors
    /// [`KeyError::Uncertain`] for everything that is not plain digits or does not fit bigint.
    pub fn from_integer_literal(&self, literal: &str) -> Result<KeyValue, KeyError> {
        let digits = literal.strip_prefix('-').unwrap_or(literal);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(KeyError::Uncertain);
        }
        let value = i64::from_str(literal).map_err(|_| KeyError::Uncertain)?;
        match self.family() {
            KeyFamily::Integer => Ok(KeyValue::Integer(value)),
            // INSERT casts an integer to text; a comparison of the two is an error wherever it runs.
            KeyFamily::Text => Ok(KeyValue::Text(value.to_string().into())),
            KeyFamily::Uuid => Err(KeyError::Uncertain),
        }
    }

    /// Reads a parameter in text format. `declared_type_oid` is the type that Parse gave it; 0: unspecified, so
    /// PostgreSQL takes it as this column's type.
    ///
    /// # Errors
    /// As [`KeyType::parse_text`], by the declared type.
    pub fn from_text_parameter(&self, bytes: &[u8], declared_type_oid: u32) -> Result<KeyValue, KeyError> {
        let declared = self.declared(declared_type_oid)?;
        let text = std::str::from_utf8(bytes).map_err(|_| KeyError::Uncertain)?;
        self.settle(declared.parse_text(text)?)
    }

    /// Reads a parameter in binary format. `declared_type_oid` as in [`KeyType::from_text_parameter`]. Text must
    /// be UTF-8: under another `client_encoding` the caller must not ask.
    ///
    /// # Errors
    /// [`KeyError::Uncertain`] where length, encoding or type are not what is expected: PostgreSQL judges them.
    pub fn from_binary(&self, bytes: &[u8], declared_type_oid: u32) -> Result<KeyValue, KeyError> {
        let declared = self.declared(declared_type_oid)?;
        if declared.family() == KeyFamily::Integer && !matches!(bytes.len(), 2 | 4 | 8) {
            // Of no integer's length: PostgreSQL raises 22P03 or 08P01 for it.
            return Err(KeyError::Invalid { text: "binary".into(), key_type: *self });
        }
        let value = match declared {
            Self::Int2 => KeyValue::Integer(i16::from_be_bytes(exactly(bytes)?).into()),
            Self::Int4 => KeyValue::Integer(i32::from_be_bytes(exactly(bytes)?).into()),
            Self::Int8 => KeyValue::Integer(i64::from_be_bytes(exactly(bytes)?)),
            Self::Text | Self::Varchar | Self::Bpchar => {
                declared.parse_text(std::str::from_utf8(bytes).map_err(|_| KeyError::Uncertain)?)?
            }
            Self::Uuid => KeyValue::Uuid(exactly(bytes)?),
        };
        self.settle(value)
    }

    /// The type a parameter is read as; it must be of this type's family.
    fn declared(&self, oid: u32) -> Result<Self, KeyError> {
        let declared = if oid == 0 { *self } else { Self::from_oid(oid).ok_or(KeyError::Uncertain)? };
        if declared.family() == self.family() { Ok(declared) } else { Err(KeyError::Uncertain) }
    }

    /// A value of another type of the family, as this column has it.
    fn settle(&self, value: KeyValue) -> Result<KeyValue, KeyError> {
        match value {
            KeyValue::Text(text) => self.parse_text(&text),
            other => Ok(other),
        }
    }

    /// PostgreSQL's `int2in`, `int4in`, `int8in`.
    fn parse_integer(&self, text: &str) -> Result<KeyValue, KeyError> {
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
        let trimmed = text.trim_matches(is_space);
        let negative = trimmed.starts_with('-');
        let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
        if !text.is_ascii() || has_newer_form(digits) {
            return Err(KeyError::Uncertain);
        }
        let (number, after) = digits.split_at(digits.bytes().take_while(u8::is_ascii_digit).count());
        if number.len() > 4 && !after.is_empty() {
            // Overflow before the stray character: which of the two errors comes first depends on the version.
            return Err(KeyError::Uncertain);
        }
        if number.is_empty() || !after.is_empty() {
            return Err(KeyError::Invalid { text: text.into(), key_type: *self });
        }
        let signed = if negative { trimmed } else { digits };
        let value = i64::from_str(signed).ok().filter(|value| self.holds(*value));
        value.map(KeyValue::Integer).ok_or_else(|| KeyError::OutOfRange { text: text.into(), key_type: *self })
    }

    fn holds(&self, value: i64) -> bool {
        match self {
            Self::Int2 => i16::try_from(value).is_ok(),
            Self::Int4 => i32::try_from(value).is_ok(),
            _ => true,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key in its canonical form: equal keys in SQL are equal here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyValue {
    /// int2, int4 or int8.
    Integer(i64),
    /// text, varchar, or char(n) without its padding.
    Text(Box<str>),
    /// uuid, big-endian bytes.
    Uuid([u8; 16]),
}

impl KeyValue {
    /// The family this value belongs to.
    pub fn family(&self) -> KeyFamily {
        match self {
            Self::Integer(_) => KeyFamily::Integer,
            Self::Text(_) => KeyFamily::Text,
            Self::Uuid(_) => KeyFamily::Uuid,
        }
    }

    /// Reads what [`KeyValue`]'s `Display` wrote.
    ///
    /// # Errors
    /// [`KeyError`] where `text` is no value of this family.
    pub fn from_canonical(family: KeyFamily, text: &str) -> Result<Self, KeyError> {
        match family {
            KeyFamily::Integer => KeyType::Int8.parse_text(text),
            KeyFamily::Text => KeyType::Text.parse_text(text),
            KeyFamily::Uuid => KeyType::Uuid.parse_text(text),
        }
    }
}

/// The value as PostgreSQL prints it.
impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Uuid(value) => uuid::Uuid::from_bytes(*value).hyphenated().fmt(f),
        }
    }
}

/// PostgreSQL 16 and later read `0x1f`, `0o17`, `0b1` and `1_000`; older ones refuse them.
fn has_newer_form(digits: &str) -> bool {
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    digits.contains('_') || matches!(lower.as_deref(), Some("0x" | "0o" | "0b"))
}

/// PostgreSQL's `uuid_in`: 32 hexadecimal digits, a hyphen allowed after any four, braces around all of it.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut rest = text.as_bytes();
    if let [b'{', inner @ .., b'}'] = rest {
        rest = inner;
    }
    let mut value = [0; 16];
    for (at, byte) in value.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return None };
        *byte = hex(*high)? << 4 | hex(*low)?;
        rest = match after {
            [b'-', after @ ..] if at % 2 == 1 && at < 15 => after,
            _ => after,
        };
    }
    rest.is_empty().then_some(value)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], KeyError> {
    bytes.try_into().map_err(|_| KeyError::Uncertain)
}

#[cfg(test)]
mod tests;

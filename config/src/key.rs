//! Shard keys: the types a key column may have and the values they take.

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

impl KeyType {
    /// The family this type belongs to.
    pub fn family(self) -> KeyFamily {
        match self {
            Self::Int2 | Self::Int4 | Self::Int8 => KeyFamily::Integer,
            Self::Text | Self::Varchar | Self::Bpchar => KeyFamily::Text,
            Self::Uuid => KeyFamily::Uuid,
        }
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

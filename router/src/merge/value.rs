//! Value: bytes whose order is PostgreSQL's order of the values, and which are equal when the values are. In: values as
//! they came off the wire. Out: comparable bytes. Never: an order that depends on a setting or a collation that it was
//! not told.

use super::{Column, Merge, MergeError, Output, SortKey, TextStyle, calendar, numeric::Digits, row};

/// Types that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Integer,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    /// `bpchar`: blanks at its end do not count.
    BlankPadded,
    Bytea,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampWithZone,
}

pub(super) const INT8: u32 = 20;
pub(super) const FLOAT4: u32 = 700;
pub(super) const FLOAT8: u32 = 701;
pub(super) const NUMERIC: u32 = 1700;

/// OIDs of `pg_type` that never change.
const KINDS: &[(u32, Kind)] = &[
    (16, Kind::Bool),
    (17, Kind::Bytea),
    (19, Kind::Text),
    (INT8, Kind::Integer),
    (21, Kind::Integer),
    (23, Kind::Integer),
    (25, Kind::Text),
    (26, Kind::Oid),
    (FLOAT4, Kind::Float4),
    (FLOAT8, Kind::Float8),
    (1042, Kind::BlankPadded),
    (1043, Kind::Text),
    (1082, Kind::Date),
    (1083, Kind::Time),
    (1114, Kind::Timestamp),
    (1184, Kind::TimestampWithZone),
    (NUMERIC, Kind::Numeric),
    (2950, Kind::Uuid),
];

/// What values of a column are compared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Only whether they are equal: the planner vouches that equal text has equal bytes.
    Equality,
    /// Order; text only if its collation orders by bytes.
    Order {
        /// It does.
        by_bytes: bool,
    },
}

/// How values of one column are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    kind: Kind,
    binary: bool,
}

impl Comparison {
    /// # Errors
    /// [`MergeError::Unorderable`] if values of `column` cannot be compared exactly.
    pub(super) fn new(column: &Column, purpose: Use, style: TextStyle) -> Result<Self, MergeError> {
        let refusal = || MergeError::Unorderable { column: column.name.clone(), type_oid: column.type_oid };
        let known = KINDS.iter().find(|(oid, _)| *oid == column.type_oid);
        let kind = known.map(|(_, kind)| *kind).ok_or_else(refusal)?;
        let text = column.format == 0;
        let exact = match kind {
            Kind::Text | Kind::BlankPadded => purpose != Use::Order { by_bytes: false },
            Kind::Float4 | Kind::Float8 => !text || style.floats_exact,
            Kind::Date | Kind::Timestamp | Kind::TimestampWithZone => !text || style.dates_iso,
            _ => true,
        };
        if exact && matches!(column.format, 0 | 1) { Ok(Self { kind, binary: !text }) } else { Err(refusal()) }
    }

    /// Equal values can be written differently, and the difference is seen.
    pub(super) fn has_spellings(&self) -> bool {
        self.kind == Kind::Numeric
    }

    /// Appends comparable bytes; none is the beginning of another's.
    pub(super) fn comparable(&self, value: &[u8], out: &mut Vec<u8>) -> Result<(), MergeError> {
        match self.kind {
            Kind::Bool => out.push(boolean(value, self.binary)?),
            Kind::Integer => put_integer(integer(value, self.binary)?, out),
            Kind::Oid => put_integer(oid(value, self.binary)?, out),
            Kind::Float4 => put_float(float4(value, self.binary)?.into(), out),
            Kind::Float8 => put_float(float8(value, self.binary)?, out),
            Kind::Numeric if self.binary => Digits::from_binary(value)?.comparable(out),
            Kind::Numeric => Digits::from_text(value)?.comparable(out),
            Kind::Text => put_bytes(value.iter().copied(), out),
            Kind::BlankPadded => put_bytes(without_blanks(value).iter().copied(), out),
            Kind::Bytea => put_bytea(value, self.binary, out)?,
            Kind::Uuid => put_uuid(value, self.binary, out)?,
            Kind::Date => put_integer(calendar_value(value, self.binary, calendar::date)?, out),
            Kind::Time => put_integer(calendar_value(value, self.binary, calendar::time)?, out),
            Kind::Timestamp => put_integer(calendar_value(value, self.binary, calendar::timestamp)?, out),
            Kind::TimestampWithZone => {
                put_integer(calendar_value(value, self.binary, calendar::timestamp_with_zone)?, out);
            }
        }
        Ok(())
    }
}

fn without_blanks(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    &value[..end]
}

fn text(value: &[u8]) -> Result<&str, MergeError> {
    std::str::from_utf8(value).map_err(|_| MergeError::Malformed)
}

fn parse<T: std::str::FromStr>(value: &[u8]) -> Result<T, MergeError> {
    text(value)?.parse().map_err(|_| MergeError::Malformed)
}

fn boolean(value: &[u8], binary: bool) -> Result<u8, MergeError> {
    match (binary, value) {
        (false, b"f") | (true, [0]) => Ok(0),
        (false, b"t") | (true, [1]) => Ok(1),
        _ => Err(MergeError::Malformed),
    }
}

/// An int2, int4 or int8 (or a count of days or microseconds in binary format).
pub(super) fn integer(value: &[u8], binary: bool) -> Result<i64, MergeError> {
    if !binary {
        return parse(value);
    }
    match *value {
        [a, b] => Ok(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => Ok(i32::from_be_bytes([a, b, c, d]).into()),
        _ => <[u8; 8]>::try_from(value).map(i64::from_be_bytes).map_err(|_| MergeError::Malformed),
    }
}

fn oid(value: &[u8], binary: bool) -> Result<i64, MergeError> {
    if !binary {
        return parse::<u32>(value).map(i64::from);
    }
    <[u8; 4]>::try_from(value).map(|bytes| u32::from_be_bytes(bytes).into()).map_err(|_| MergeError::Malformed)
}

/// A float4.
pub(super) fn float4(value: &[u8], binary: bool) -> Result<f32, MergeError> {
    if !binary {
        return parse(value);
    }
    <[u8; 4]>::try_from(value).map(f32::from_be_bytes).map_err(|_| MergeError::Malformed)
}

/// A float8.
pub(super) fn float8(value: &[u8], binary: bool) -> Result<f64, MergeError> {
    if !binary {
        return parse(value);
    }
    <[u8; 8]>::try_from(value).map(f64::from_be_bytes).map_err(|_| MergeError::Malformed)
}

fn calendar_value(value: &[u8], binary: bool, read: fn(&[u8]) -> Result<i64, MergeError>) -> Result<i64, MergeError> {
    if binary { integer(value, true) } else { read(value) }
}

fn put_integer(number: i64, out: &mut Vec<u8>) {
    out.extend((number as u64 ^ (1 << 63)).to_be_bytes());
}

/// NaN is equal to itself and greater than anything; the zeros are equal.
fn put_float(number: f64, out: &mut Vec<u8>) {
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    let ordered = match bits {
        _ if number.is_nan() => u64::MAX,
        bits if bits >> 63 == 1 => !bits,
        bits => bits | 1 << 63,
    };
    out.extend(ordered.to_be_bytes());
}

fn put_bytes(bytes: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend([0, 0]);
}

fn put_bytea(value: &[u8], binary: bool, out: &mut Vec<u8>) -> Result<(), MergeError> {
    if binary {
        put_bytes(value.iter().copied(), out);
        return Ok(());
    }
    // `bytea_output = escape` doubles each backslash, so `\x` in front is hex for certain
    let bytes = match value.strip_prefix(br"\x") {
        Some(digits) => hexadecimal(digits)?,
        None => unescaped(value)?,
    };
    put_bytes(bytes.into_iter(), out);
    Ok(())
}

/// The bytes of bytea's escape format: `\\` is a backslash, `\ooo` an octal byte.
fn unescaped(mut value: &[u8]) -> Result<Vec<u8>, MergeError> {
    let mut bytes = Vec::with_capacity(value.len());
    let octal = |digit: u8| char::from(digit).to_digit(8).ok_or(MergeError::Malformed);
    loop {
        value = match value {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', high, middle, low, rest @ ..] => {
                let byte = octal(*high)? * 64 + octal(*middle)? * 8 + octal(*low)?;
                bytes.push(u8::try_from(byte).map_err(|_| MergeError::Malformed)?);
                rest
            }
            [b'\\', ..] => return Err(MergeError::Malformed),
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

fn put_uuid(value: &[u8], binary: bool, out: &mut Vec<u8>) -> Result<(), MergeError> {
    let bytes = if binary {
        value.to_vec()
    } else {
        hexadecimal(&value.iter().copied().filter(|byte| *byte != b'-').collect::<Vec<_>>())?
    };
    if bytes.len() != 16 {
        return Err(MergeError::Malformed);
    }
    out.extend(bytes);
    Ok(())
}

fn hexadecimal(digits: &[u8]) -> Result<Vec<u8>, MergeError> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(MergeError::Malformed);
    if !rest.is_empty() {
        return Err(MergeError::Malformed);
    }
    pairs.iter().map(|[high, low]| Ok((digit(*high)? * 16 + digit(*low)?) as u8)).collect()
}

/// The order of rows.
#[derive(Debug)]
pub(super) struct Sort {
    columns: Vec<SortColumn>,
}

#[derive(Debug)]
struct SortColumn {
    column: usize,
    comparison: Comparison,
    descending: bool,
    nulls_first: bool,
}

impl Sort {
    /// The order of rows that pass, over input columns.
    pub(super) fn of_rows(merge: &Merge, input: &[Column], style: TextStyle) -> Result<Self, MergeError> {
        Self::new(merge, input, style, Some)
    }

    /// The order of groups, over output columns.
    pub(super) fn of_groups(merge: &Merge, output: &[Column], style: TextStyle) -> Result<Self, MergeError> {
        Self::new(merge, output, style, |column| match merge.output.get(column)? {
            Output::Column(input) | Output::Aggregate { input, .. } => Some(*input),
        })
    }

    fn new(
        merge: &Merge,
        columns: &[Column],
        style: TextStyle,
        input_of: impl Fn(usize) -> Option<usize>,
    ) -> Result<Self, MergeError> {
        let sort_column = |order: &super::OrderBy| {
            let column = columns.get(order.column).ok_or(MergeError::Misfit { columns: columns.len() })?;
            let by_bytes = input_of(order.column).is_some_and(|input| merge.byte_ordered.contains(&input));
            Ok(SortColumn {
                column: order.column,
                comparison: Comparison::new(column, Use::Order { by_bytes }, style)?,
                descending: order.descending,
                nulls_first: order.nulls_first,
            })
        };
        Ok(Self { columns: merge.order.iter().map(sort_column).collect::<Result<_, _>>()? })
    }

    /// Rows have no order.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The key of a row.
    pub(super) fn key(&self, row: &[u8]) -> Result<SortKey, MergeError> {
        self.key_with(|column| row::values(row)?.nth(column).ok_or(MergeError::Malformed)?)
    }

    /// The key of a finished row.
    pub(super) fn key_of_values(&self, values: &[Option<Vec<u8>>]) -> Result<SortKey, MergeError> {
        self.key_with(|column| values.get(column).map(Option::as_deref).ok_or(MergeError::Malformed))
    }

    fn key_with<'a>(
        &self,
        value: impl Fn(usize) -> Result<Option<&'a [u8]>, MergeError>,
    ) -> Result<SortKey, MergeError> {
        let mut key = Vec::with_capacity(self.columns.len() * 12);
        for column in &self.columns {
            column.put(value(column.column)?, &mut key)?;
        }
        Ok(SortKey(key.into_boxed_slice()))
    }
}

impl SortColumn {
    fn put(&self, value: Option<&[u8]>, key: &mut Vec<u8>) -> Result<(), MergeError> {
        let Some(value) = value else {
            key.push(if self.nulls_first { 0 } else { 2 });
            return Ok(());
        };
        key.push(1);
        let start = key.len();
        self.comparison.comparable(value, key)?;
        if self.descending {
            key[start..].iter_mut().for_each(|byte| *byte = !*byte);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytea_is_read_in_both_output_formats() {
        let key = |text: &[u8], binary| {
            let mut out = Vec::new();
            put_bytea(text, binary, &mut out).map(|()| out)
        };
        for (escaped, hex, bytes) in [
            (br"a\\b\001\377".as_slice(), br"\x615c6201ff".as_slice(), b"a\\b\x01\xff".as_slice()),
            (b"", br"\x", b""),
            (br"\\x41", br"\x5c783431", br"\x41"),
        ] {
            assert_eq!(key(escaped, false), key(bytes, true), "{}", escaped.escape_ascii());
            assert_eq!(key(hex, false), key(bytes, true), "{}", hex.escape_ascii());
        }
        assert!([&br"a\"[..], br"a\9", br"\400", br"\x4"].iter().all(|wrong| key(wrong, false).is_err()));
    }
}

//! Row: DataRow bodies and their columns. In: the body of a DataRow (a count, then length and bytes of each value).
//! Out: its values, or a frame with some of them. Never: what a value means.

use bytes::{BufMut, BytesMut};

use super::{MergeError, Output};

/// A column as a RowDescription has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Table it comes from, 0 if none.
    pub table_oid: u32,
    /// Number of the column in that table, 0 if none.
    pub column_number: i16,
    /// Type.
    pub type_oid: u32,
    /// Bytes of a value, negative if they vary.
    pub type_size: i16,
    /// Modifier of the type, -1 if none.
    pub type_modifier: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// The values of a DataRow body, in order; None is NULL.
pub(super) struct Values<'a> {
    rest: &'a [u8],
    left: u16,
}

/// The values of `row`.
pub(super) fn values(row: &[u8]) -> Result<Values<'_>, MergeError> {
    let (count, rest) = row.split_first_chunk::<2>().ok_or(MergeError::Malformed)?;
    Ok(Values { rest, left: u16::from_be_bytes(*count) })
}

impl<'a> Values<'a> {
    fn value(&mut self) -> Result<Option<&'a [u8]>, MergeError> {
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or(MergeError::Malformed)?;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            self.rest = rest;
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| MergeError::Malformed)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(MergeError::Malformed)?;
        self.rest = rest;
        Ok(Some(value))
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<Option<&'a [u8]>, MergeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = self.value();
        if value.is_err() {
            self.left = 0;
        }
        Some(value)
    }
}

/// All values of `row`, which must be `columns`.
pub(super) fn all(row: &[u8], columns: usize) -> Result<Vec<Option<&[u8]>>, MergeError> {
    let values = values(row)?.collect::<Result<Vec<_>, _>>()?;
    if values.len() == columns { Ok(values) } else { Err(MergeError::Malformed) }
}

/// Appends a whole DataRow frame.
pub(super) fn write<'a>(values: impl ExactSizeIterator<Item = Option<&'a [u8]>>, out: &mut BytesMut) {
    let start = out.len();
    out.put_u8(b'D');
    out.put_u32(0);
    out.put_u16(values.len() as u16);
    for value in values {
        match value {
            Some(value) => {
                out.put_u32(value.len() as u32);
                out.put_slice(value);
            }
            None => out.put_i32(-1),
        }
    }
    let length = (out.len() - start - 1) as u32;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
}

/// Which columns of a shard's row the answer has.
#[derive(Debug, Default)]
pub(super) struct Projection {
    columns: usize,
    /// None: all, as they are.
    picked: Option<Vec<usize>>,
}

/// The answer's columns where nothing is grouped, and how to pick them.
pub(super) fn project(output: &[Output], input: &[Column]) -> Result<(Vec<Column>, Projection), MergeError> {
    let misfit = MergeError::Misfit { columns: input.len() };
    let picked: Option<Vec<usize>> = output
        .iter()
        .map(|output| match output {
            Output::Column(column) if *column < input.len() => Some(*column),
            _ => None,
        })
        .collect();
    let picked = picked.ok_or(misfit)?;
    let columns = picked.iter().map(|column| input[*column].clone()).collect();
    let whole = picked.iter().copied().eq(0..input.len());
    Ok((columns, Projection { columns: input.len(), picked: (!whole).then_some(picked) }))
}

impl Projection {
    /// Appends the frame of the answer's row.
    pub(super) fn write(&self, row: &[u8], out: &mut BytesMut) -> Result<(), MergeError> {
        let Some(picked) = &self.picked else {
            out.put_u8(b'D');
            out.put_u32(row.len() as u32 + 4);
            out.put_slice(row);
            return Ok(());
        };
        let values = all(row, self.columns)?;
        write(picked.iter().map(|column| values[*column]), out);
        Ok(())
    }
}

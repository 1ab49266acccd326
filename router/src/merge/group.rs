//! Group: rows of partial results become one row a group.

use bytes::BytesMut;

use super::{Bounds, Column, Merge, MergeError, TextStyle, value::Sort};

#[derive(Debug)]
pub(super) struct Groups {
    output: Vec<Column>,
}

impl Groups {
    pub(super) fn new(
        merge: &Merge,
        input: &[Column],
        _style: TextStyle,
        _max_bytes: usize,
    ) -> Result<Option<Self>, MergeError> {
        match merge.group_by {
            None => Ok(None),
            Some(_) => Err(MergeError::Misfit { columns: input.len() }),
        }
    }

    pub(super) fn output(&self) -> &[Column] {
        &self.output
    }

    pub(super) fn push(&mut self, _row: &[u8]) -> Result<(), MergeError> {
        Err(MergeError::Malformed)
    }

    pub(super) fn finish(&mut self, _sort: &Sort, _bounds: Bounds, _out: &mut BytesMut) -> Result<u64, MergeError> {
        Err(MergeError::Malformed)
    }
}

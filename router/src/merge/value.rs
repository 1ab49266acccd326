//! Value: bytes whose order is PostgreSQL's order of the values. In: values as they came off the wire. Out: comparable
//! bytes. Never: an order that depends on a setting or a collation it was not told.

use super::{Column, Merge, MergeError, SortKey, TextStyle};

/// The order of rows.
#[derive(Debug)]
pub(super) struct Sort {
    columns: Vec<usize>,
}

impl Sort {
    pub(super) fn of_rows(merge: &Merge, input: &[Column], _style: TextStyle) -> Result<Self, MergeError> {
        match merge.order.first().map(|order| input.get(order.column)) {
            None => Ok(Self { columns: Vec::new() }),
            Some(None) => Err(MergeError::Misfit { columns: input.len() }),
            Some(Some(column)) => {
                Err(MergeError::Unorderable { column: column.name.clone(), type_oid: column.type_oid })
            }
        }
    }

    pub(super) fn of_groups(merge: &Merge, output: &[Column], style: TextStyle) -> Result<Self, MergeError> {
        Self::of_rows(merge, output, style)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub(super) fn key(&self, _row: &[u8]) -> Result<SortKey, MergeError> {
        Ok(SortKey(Box::default()))
    }
}

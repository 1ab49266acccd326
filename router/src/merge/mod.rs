//! Merge: many streams of rows become one. In: rows of the shards as they came off the wire, a [`Merge`].
//! Out: rows of the answer. Never: a socket, a shard's name, a guess about a type it does not know.

mod aggregate;
mod calendar;
mod float;
mod group;
mod numeric;
mod row;
mod sorted;
pub mod tag;
#[cfg(test)]
mod tests;
mod value;

use std::cmp::Ordering;

use bytes::BytesMut;

use crate::sql::source::Source;

pub use row::Column;
pub use sorted::{Sorted, Step};

/// How the rows of several shards become one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Columns of the answer, in order.
    pub output: Vec<Output>,
    /// Rows are grouped by these input columns; None: rows pass as they are. `Some(vec![])`: one row in all.
    pub group_by: Option<Vec<usize>>,
    /// Order of the answer. Over *input* columns when nothing is grouped, else over *output* columns.
    pub order: Vec<OrderBy>,
    /// At most so many rows.
    pub limit: Option<Source>,
    /// Rows left out first.
    pub offset: Option<Source>,
    /// The type of each column that is sorted by, or whose min or max is taken, must be orderable without a collation;
    /// those columns (input indexes) whose collation is known to order by bytes are listed here. Columns that are only
    /// grouped by need not be: the planner vouches that their collation is deterministic (equal text, equal bytes).
    pub byte_ordered: Vec<usize>,
}

impl Merge {
    /// Columns that the shards' rows have.
    pub fn input_columns(&self) -> usize {
        let output = self.output.iter().map(|output| match output {
            Output::Column(column) => *column,
            Output::Aggregate { function: Aggregate::Avg, input, .. } => input + 1,
            Output::Aggregate { input, .. } => *input,
        });
        let order = self.order.iter().filter(|_| self.group_by.is_none()).map(|order| order.column);
        let groups = self.group_by.iter().flatten().copied();
        output.chain(order).chain(groups).max().map_or(0, |last| last + 1)
    }
}

/// A column of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An input column as it is.
    Column(usize),
    /// An aggregate finished from partial results in input columns.
    Aggregate {
        /// Which.
        function: Aggregate,
        /// Input column of its (first) partial result.
        input: usize,
        /// Name of the answer's column.
        name: String,
    },
}

/// An aggregate and how its partial results are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// count: partial counts are added.
    Count,
    /// sum: partial sums are added.
    Sum,
    /// min
    Min,
    /// max
    Max,
    /// avg: `sum(x)` in the input column and `count(x)` in the next one.
    Avg,
}

/// One sort column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// Column.
    pub column: usize,
    /// DESC.
    pub descending: bool,
    /// NULLs first.
    pub nulls_first: bool,
}

/// What the session's settings say about values in text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextStyle {
    /// `DateStyle` is ISO: dates and timestamps read `YYYY-MM-DD …`.
    pub dates_iso: bool,
    /// `extra_float_digits` is at least 1: floats are printed without loss.
    pub floats_exact: bool,
}

/// What bounds an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many rows; None: all.
    pub limit: Option<u64>,
    /// Rows left out first.
    pub offset: u64,
    /// Bytes that groups may take while they are collected.
    pub max_bytes: usize,
}

/// Why rows could not be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Values of this column cannot be ordered or told apart exactly (0A000).
    #[error("column \"{column}\" of type {type_oid} cannot be ordered over several shards")]
    Unorderable {
        /// Name of the column.
        column: String,
        /// Its type.
        type_oid: u32,
    },
    /// Partial results of this type cannot be combined (0A000).
    #[error("{function:?} over column \"{column}\" of type {type_oid} cannot be combined over several shards")]
    Uncombinable {
        /// Which aggregate.
        function: Aggregate,
        /// Name of the partial result's column.
        column: String,
        /// Its type.
        type_oid: u32,
    },
    /// The result does not fit its type (22003); the message is PostgreSQL's own.
    #[error("{0}")]
    OutOfRange(&'static str),
    /// One group was met with keys that are equal but written differently (0A000): 1.0 and 1.00.
    #[error("column \"{column}\" has equal values that are written differently")]
    AmbiguousKey {
        /// Name of the column.
        column: String,
    },
    /// The groups take more than the bound (54000).
    #[error("the groups take more than {max_bytes} bytes")]
    TooLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// A row, or a value in it, is not what its description says (08P01).
    #[error("a shard sent a row that does not match its description")]
    Malformed,
    /// The plan names a column that the rows do not have, or an aggregate where nothing is grouped (XX000).
    #[error("the plan does not fit rows of {columns} columns")]
    Misfit {
        /// Columns of the shards' rows.
        columns: usize,
    },
}

/// A place in the answer's order: of two rows, the one with the lesser key comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey(Box<[u8]>);

/// A merge made ready for rows of known columns.
#[derive(Debug)]
pub struct Merger {
    bounds: Bounds,
    output: Vec<Column>,
    sort: value::Sort,
    projection: row::Projection,
    groups: Option<group::Groups>,
}

impl Merger {
    /// Makes `merge` ready for rows described by `input` (the RowDescription of the shards' rows).
    ///
    /// # Errors
    /// [`MergeError::Unorderable`], [`MergeError::Uncombinable`] (0A000) if the answer could differ from
    /// PostgreSQL's; [`MergeError::Misfit`] if the plan names columns that are not there.
    pub fn new(merge: &Merge, input: &[Column], style: TextStyle, bounds: Bounds) -> Result<Self, MergeError> {
        let groups = group::Groups::new(merge, input, style, bounds.max_bytes)?;
        let (output, projection) = match &groups {
            Some(groups) => (groups.output().to_vec(), row::Projection::default()),
            None => row::project(&merge.output, input)?,
        };
        let sort = match &groups {
            Some(_) => value::Sort::of_groups(merge, &output, style)?,
            None => value::Sort::of_rows(merge, input, style)?,
        };
        Ok(Self { bounds, output, sort, projection, groups })
    }

    /// Columns of the answer: its RowDescription.
    pub fn output(&self) -> &[Column] {
        &self.output
    }

    /// Rows are collected with [`Merger::push`] and come out of [`Merger::finish`]; else they pass through
    /// [`Sorted`] and [`Merger::write_row`].
    pub fn is_grouped(&self) -> bool {
        self.groups.is_some()
    }

    /// Rows pass in any order.
    pub fn is_unordered(&self) -> bool {
        self.sort.is_empty()
    }

    /// What bounds the answer.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The key of a row (the body of a DataRow). Only where nothing is grouped.
    ///
    /// # Errors
    /// [`MergeError::Malformed`] (08P01).
    pub fn key(&self, row: &[u8]) -> Result<SortKey, MergeError> {
        self.sort.key(row)
    }

    /// Compares two rows (bodies of DataRows). [`Merger::key`] once a row is faster where rows are compared often.
    ///
    /// # Errors
    /// [`MergeError::Malformed`] (08P01).
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Result<Ordering, MergeError> {
        Ok(self.key(a)?.cmp(&self.key(b)?))
    }

    /// Appends the answer's whole DataRow frame for a shard's row. Only where nothing is grouped.
    ///
    /// # Errors
    /// [`MergeError::Malformed`] (08P01).
    pub fn write_row(&self, row: &[u8], out: &mut BytesMut) -> Result<(), MergeError> {
        self.projection.write(row, out)
    }

    /// Takes a shard's row into its group. Only where rows are grouped.
    ///
    /// # Errors
    /// [`MergeError::TooLarge`], [`MergeError::AmbiguousKey`], [`MergeError::Malformed`].
    pub fn push(&mut self, row: &[u8]) -> Result<(), MergeError> {
        let columns = self.output.len();
        self.groups.as_mut().ok_or(MergeError::Misfit { columns })?.push(row)
    }

    /// Appends the DataRow frames of all groups, in order, within offset and limit, and forgets the groups. Returns
    /// how many.
    ///
    /// # Errors
    /// [`MergeError::OutOfRange`] (22003) if a sum does not fit its type.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<u64, MergeError> {
        let columns = self.output.len();
        let groups = self.groups.as_mut().ok_or(MergeError::Misfit { columns })?;
        groups.finish(&self.sort, self.bounds, out)
    }
}

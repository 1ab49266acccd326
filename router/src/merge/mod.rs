//! Merge: many streams of rows become one. In: rows of the shards as they came off the wire, a [`Merge`].
//! Out: rows of the answer. Never: a socket, a shard's name, a guess about a type it does not know.

use crate::plan::Source;

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
    /// The type of each sort column must be orderable without a collation; those columns (input indexes) whose
    /// collation is known to order by bytes are listed here.
    pub byte_ordered: Vec<usize>,
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

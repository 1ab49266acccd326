//! Aggregate: partial results of one group become its result. In: values of partial results. Out: the result, written
//! in the partial result's format. Never: a result that PostgreSQL would show with other digits. (Sums of floats depend
//! on the order of addition, as they do there; sums of float4 are added as float8 and rounded once.)

use super::{
    Aggregate, Column, Merge, MergeError, TextStyle, float,
    numeric::Numeric,
    value::{self, Comparison, FLOAT4, FLOAT8, INT8, NUMERIC, Use},
};

const FLOAT_OVERFLOW: MergeError = MergeError::OutOfRange("value out of range: overflow");
const INT8_OVERFLOW: MergeError = MergeError::OutOfRange("bigint out of range");

/// How partial results are combined.
#[derive(Clone, Copy, Debug)]
pub(super) enum Combine {
    Count { binary: bool },
    Sum(Addend),
    Extreme { comparison: Comparison, greatest: bool },
    Average { sum: Addend, count_binary: bool },
}

/// What is added up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addend {
    kind: AddendKind,
    binary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddendKind {
    Integer,
    Numeric,
    Float4,
    Float8,
}

/// What one group's partial results have come to.
#[derive(Clone, Debug)]
pub(super) enum State {
    Count(i128),
    Sum(Option<Total>),
    Extreme(Option<(Vec<u8>, Vec<u8>)>),
    Average(Option<Total>, i128),
}

/// A sum so far.
#[derive(Clone, Debug)]
pub(super) enum Total {
    Integer(i128),
    Numeric(Numeric),
    Float(f64),
}

/// The column of an aggregate's result, and how it comes about.
pub(super) fn combine(
    merge: &Merge,
    input: &[Column],
    style: TextStyle,
    (function, at, name): (Aggregate, usize, &str),
) -> Result<(Column, Combine), MergeError> {
    let misfit = MergeError::Misfit { columns: input.len() };
    let column = input.get(at).ok_or_else(|| misfit.clone())?;
    let combine = match function {
        Aggregate::Count => Combine::Count { binary: count_format(column, function)? },
        Aggregate::Sum => Combine::Sum(addend(column, function, style)?),
        Aggregate::Min | Aggregate::Max => {
            let purpose = Use::Order { by_bytes: merge.byte_ordered.contains(&at) };
            let comparison = Comparison::new(column, purpose, style)?;
            Combine::Extreme { comparison, greatest: function == Aggregate::Max }
        }
        Aggregate::Avg => {
            let count = input.get(at + 1).ok_or(misfit)?;
            Combine::Average { sum: addend(column, function, style)?, count_binary: count_format(count, function)? }
        }
    };
    let (type_oid, type_size) = result_type(combine, column);
    let name = name.to_owned();
    let result =
        Column { name, table_oid: 0, column_number: 0, type_oid, type_size, type_modifier: -1, format: column.format };
    Ok((result, combine))
}

fn result_type(combine: Combine, column: &Column) -> (u32, i16) {
    match combine {
        Combine::Average { sum, .. } => match sum.kind {
            AddendKind::Integer | AddendKind::Numeric => (NUMERIC, -1),
            AddendKind::Float4 | AddendKind::Float8 => (FLOAT8, 8),
        },
        _ => (column.type_oid, column.type_size),
    }
}

fn count_format(column: &Column, function: Aggregate) -> Result<bool, MergeError> {
    if column.type_oid == INT8 { binary(column, function) } else { Err(refusal(column, function)) }
}

fn binary(column: &Column, function: Aggregate) -> Result<bool, MergeError> {
    match column.format {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(refusal(column, function)),
    }
}

fn refusal(column: &Column, function: Aggregate) -> MergeError {
    MergeError::Uncombinable { function, column: column.name.clone(), type_oid: column.type_oid }
}

fn addend(column: &Column, function: Aggregate, style: TextStyle) -> Result<Addend, MergeError> {
    let binary = binary(column, function)?;
    let floats = binary || style.floats_exact;
    let kind = match column.type_oid {
        INT8 => AddendKind::Integer,
        NUMERIC => AddendKind::Numeric,
        // avg(float4) is reckoned in float8: partial sums in float4 have lost digits.
        FLOAT4 if floats && function == Aggregate::Sum => AddendKind::Float4,
        FLOAT8 if floats => AddendKind::Float8,
        _ => return Err(refusal(column, function)),
    };
    Ok(Addend { kind, binary })
}

impl Combine {
    /// The state of a group without rows.
    pub(super) fn empty(&self) -> State {
        match self {
            Self::Count { .. } => State::Count(0),
            Self::Sum(_) => State::Sum(None),
            Self::Extreme { .. } => State::Extreme(None),
            Self::Average { .. } => State::Average(None, 0),
        }
    }

    /// Takes a partial result in; `next` is the value of the column after it.
    pub(super) fn push(
        &self,
        state: &mut State,
        partial: Option<&[u8]>,
        next: Option<&[u8]>,
    ) -> Result<(), MergeError> {
        let Some(partial) = partial else { return Ok(()) };
        match (self, state) {
            (Self::Count { binary }, State::Count(count)) => *count += i128::from(value::integer(partial, *binary)?),
            (Self::Sum(addend), State::Sum(total)) => addend.push(total, partial)?,
            (Self::Extreme { comparison, greatest }, State::Extreme(extreme)) => {
                let mut key = Vec::new();
                comparison.comparable(partial, &mut key)?;
                let better = extreme.as_ref().is_none_or(|(best, _)| if *greatest { key > *best } else { key < *best });
                if better {
                    *extreme = Some((key, partial.to_vec()));
                }
            }
            (Self::Average { sum, count_binary }, State::Average(total, count)) => {
                let more = value::integer(next.ok_or(MergeError::Malformed)?, *count_binary)?;
                *count += i128::from(more);
                sum.push(total, partial)?;
            }
            _ => return Err(MergeError::Malformed),
        }
        Ok(())
    }

    /// The result.
    pub(super) fn finish(&self, state: State) -> Result<Option<Vec<u8>>, MergeError> {
        match (self, state) {
            (Self::Count { binary }, State::Count(count)) => write_integer(count, *binary).map(Some),
            (Self::Sum(addend), State::Sum(total)) => total.map(|total| addend.write(total)).transpose(),
            (_, State::Extreme(extreme)) => Ok(extreme.map(|(_, value)| value)),
            (Self::Average { sum, .. }, State::Average(Some(total), count)) if count > 0 => {
                average(total, count, sum.binary).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Addend {
    fn push(&self, total: &mut Option<Total>, partial: &[u8]) -> Result<(), MergeError> {
        let partial = match self.kind {
            AddendKind::Integer => Total::Integer(value::integer(partial, self.binary)?.into()),
            AddendKind::Numeric => Total::Numeric(Numeric::read(partial, self.binary)?),
            AddendKind::Float4 => Total::Float(value::float4(partial, self.binary)?.into()),
            AddendKind::Float8 => Total::Float(value::float8(partial, self.binary)?),
        };
        *total = Some(match total.take() {
            Some(total) => total.add(partial)?,
            None => partial,
        });
        Ok(())
    }

    fn write(&self, total: Total) -> Result<Vec<u8>, MergeError> {
        match total {
            Total::Integer(sum) => write_integer(sum, self.binary),
            Total::Numeric(sum) => sum.write(self.binary),
            Total::Float(sum) if self.kind == AddendKind::Float4 => write_float4(sum, self.binary),
            Total::Float(sum) => Ok(write_float8(sum, self.binary)),
        }
    }
}

impl Total {
    fn add(self, other: Self) -> Result<Self, MergeError> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Ok(Self::Integer(a + b)),
            (Self::Numeric(a), Self::Numeric(b)) => Ok(Self::Numeric(a.add(b))),
            (Self::Float(a), Self::Float(b)) => {
                let sum = a + b;
                let overflow = sum.is_infinite() && a.is_finite() && b.is_finite();
                if overflow { Err(FLOAT_OVERFLOW) } else { Ok(Self::Float(sum)) }
            }
            _ => Err(MergeError::Malformed),
        }
    }
}

impl State {
    /// Bytes it takes beside its own, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Extreme(Some((key, value))) => key.len() + value.len(),
            Self::Sum(Some(Total::Numeric(sum))) | Self::Average(Some(Total::Numeric(sum)), _) => sum.size(),
            _ => 0,
        }
    }
}

fn average(total: Total, count: i128, binary: bool) -> Result<Vec<u8>, MergeError> {
    match total {
        Total::Integer(sum) => Numeric::from(sum).divide(count.unsigned_abs()).write(binary),
        Total::Numeric(sum) => sum.divide(count.unsigned_abs()).write(binary),
        Total::Float(sum) => Ok(write_float8(sum / count as f64, binary)),
    }
}

fn write_integer(number: i128, binary: bool) -> Result<Vec<u8>, MergeError> {
    let number = i64::try_from(number).map_err(|_| INT8_OVERFLOW)?;
    Ok(if binary { number.to_be_bytes().to_vec() } else { number.to_string().into_bytes() })
}

fn write_float4(number: f64, binary: bool) -> Result<Vec<u8>, MergeError> {
    let rounded = number as f32;
    if rounded.is_infinite() && number.is_finite() {
        return Err(FLOAT_OVERFLOW);
    }
    Ok(if binary { rounded.to_be_bytes().to_vec() } else { float::float4(rounded).into_bytes() })
}

fn write_float8(number: f64, binary: bool) -> Vec<u8> {
    if binary { number.to_be_bytes().to_vec() } else { float::float8(number).into_bytes() }
}

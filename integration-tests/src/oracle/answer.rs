//! Answers: what one statement was answered, and what is different between two answers.
//! In: frames. Out: names, types, rows, tags, SQLSTATE; differences. Never: knows which side is right.

use std::fmt::{self, Debug};

use bytes::{Buf, Bytes};

use super::case::{Compare, Rows};
use crate::client::Frame;

/// The OIDs of float4 and float8.
const FLOATS: [u32; 2] = [700, 701];
/// How far floats may be apart, as a share of their size.
const NEAR: f64 = 1e-12;

/// What one statement was answered.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Names and type OIDs of the columns, of each result.
    pub columns: Vec<(String, u32)>,
    /// The rows' values as they came.
    pub rows: Vec<Vec<Option<Bytes>>>,
    /// The command tags.
    pub tags: Vec<String>,
    /// The SQLSTATE, with the message for people.
    pub error: Option<(String, String)>,
    /// The hint of the error.
    pub hint: Option<String>,
    /// The transaction's status in ReadyForQuery.
    pub status: u8,
}

impl Answer {
    /// What the messages up to ReadyForQuery say.
    ///
    /// # Panics
    /// If a message is malformed.
    pub fn of(frames: &[Frame]) -> Answer {
        let mut answer = Answer::default();
        for frame in frames {
            match frame.tag {
                b'T' => answer.columns.extend(columns(frame.body.clone())),
                b'D' => answer.rows.push(row(frame.body.clone())),
                b'C' => answer.tags.push(frame.text()),
                b'I' => answer.tags.push("(empty)".to_owned()),
                b'E' => {
                    let mut fields = frame.fields();
                    let mut field = |code| fields.remove(&code);
                    answer.hint = field(b'H');
                    answer.error = Some((field(b'C').unwrap_or_default(), field(b'M').unwrap_or_default()));
                }
                b'Z' => answer.status = frame.body.first().copied().unwrap_or_default(),
                _ => {}
            }
        }
        answer
    }

    /// The SQLSTATE of a failure.
    pub fn sqlstate(&self) -> Option<&str> {
        self.error.as_ref().map(|(sqlstate, _)| sqlstate.as_str())
    }

    /// Whether it is 0A000.
    pub fn is_refusal(&self) -> bool {
        self.sqlstate() == Some("0A000")
    }

    /// What differs from the oracle's answer; rows in any order unless `ordered`.
    pub fn difference(&self, oracle: &Answer, ordered: bool) -> Option<&'static str> {
        let rows = if ordered { Rows::Ordered } else { Rows::AnyOrder };
        self.difference_by(oracle, &Compare { rows, floats: false })
    }

    /// What differs from the oracle's answer, when they are compared in this way.
    pub fn difference_by(&self, oracle: &Answer, compare: &Compare) -> Option<&'static str> {
        match () {
            () if self.sqlstate() != oracle.sqlstate() => Some("SQLSTATE"),
            () if self.error.is_some() => None,
            () if self.columns != oracle.columns => Some("columns"),
            () if compare.rows == Rows::Ignored => None,
            () if self.tags != oracle.tags => Some("tag"),
            () if !self.same_rows(oracle, compare) => Some("rows"),
            () => None,
        }
    }

    fn same_rows(&self, oracle: &Answer, compare: &Compare) -> bool {
        let (mine, theirs) = (self.values(compare.floats), oracle.values(compare.floats));
        let in_order = |one: &[Vec<Value>], other: &[Vec<Value>]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_row(one, other))
        };
        let sorted = |mut rows: Vec<Vec<Value>>| {
            rows.sort_by(|one, other| {
                place(one).cmp(&place(other)).then_with(|| floats(one).total_cmp(&floats(other)))
            });
            rows
        };
        match &compare.rows {
            Rows::Ignored => true,
            Rows::Count => mine.len() == theirs.len(),
            Rows::Ordered => in_order(&mine, &theirs),
            Rows::Ties(places) => {
                in_order(&keys(&mine, places), &keys(&theirs, places)) && in_order(&sorted(mine), &sorted(theirs))
            }
            Rows::AnyOrder | Rows::BySql => in_order(&sorted(mine), &sorted(theirs)),
        }
    }

    /// The rows' values, those of float columns as numbers if so wished.
    fn values(&self, as_floats: bool) -> Vec<Vec<Value>> {
        let is_float: Vec<bool> = self.columns.iter().map(|(_, oid)| as_floats && FLOATS.contains(oid)).collect();
        let value = |at: usize, bytes: &Option<Bytes>| match bytes {
            Some(bytes) if is_float.get(at).copied().unwrap_or_default() => Value::Float(float(bytes)),
            other => Value::Bytes(other.clone()),
        };
        self.rows.iter().map(|row| row.iter().enumerate().map(|(at, bytes)| value(at, bytes)).collect()).collect()
    }
}

/// A value as it is compared.
#[derive(Clone, Debug)]
enum Value {
    Bytes(Option<Bytes>),
    Float(f64),
}

/// A float8 or float4, in binary or as text.
fn float(bytes: &Bytes) -> f64 {
    if let Some(number) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()) {
        return number;
    }
    match bytes.len() {
        4 => f64::from(bytes.clone().get_f32()),
        8 => bytes.clone().get_f64(),
        other => panic!("a float of {other} bytes: {bytes:?}"),
    }
}

fn same_row(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Bytes(one), Value::Bytes(other)) => one == other,
        (Value::Float(one), Value::Float(other)) => {
            one == other || (one.is_nan() && other.is_nan()) || (one - other).abs() <= NEAR * one.abs().max(other.abs())
        }
        _ => false,
    }
}

/// What a row is sorted by first: all that is no float.
fn place(row: &[Value]) -> Vec<Option<&Bytes>> {
    row.iter().map(|value| if let Value::Bytes(bytes) = value { bytes.as_ref() } else { None }).collect()
}

/// What a row is sorted by then.
fn floats(row: &[Value]) -> f64 {
    let number = |value: &Value| if let Value::Float(number) = value { Some(*number) } else { None };
    row.iter().find_map(number).unwrap_or_default()
}

fn keys(rows: &[Vec<Value>], places: &[usize]) -> Vec<Vec<Value>> {
    rows.iter().map(|row| places.iter().filter_map(|at| row.get(*at).cloned()).collect()).collect()
}

impl Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((sqlstate, message)) = &self.error {
            return write!(f, "error {sqlstate}: {message}");
        }
        write!(f, "{:?} {:?}, {} rows:", self.tags, self.columns, self.rows.len())?;
        for row in self.rows.iter().take(12) {
            let values: Vec<_> = row.iter().map(|value| value.as_ref().map(|v| v.escape_ascii().to_string())).collect();
            write!(f, "\n      {values:?}")?;
        }
        Ok(())
    }
}

/// Names and type OIDs of a RowDescription.
fn columns(mut body: Bytes) -> Vec<(String, u32)> {
    let count = body.get_u16();
    (0..count)
        .map(|_| {
            let end = body.iter().position(|byte| *byte == 0).expect("a column's name");
            let name = String::from_utf8_lossy(&body.split_to(end)).into_owned();
            body.advance(1 + 4 + 2);
            let oid = body.get_u32();
            body.advance(2 + 4 + 2);
            (name, oid)
        })
        .collect()
}

/// The values of a DataRow.
fn row(mut body: Bytes) -> Vec<Option<Bytes>> {
    let count = body.get_u16();
    (0..count).map(|_| usize::try_from(body.get_i32()).ok().map(|length| body.split_to(length))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[(&str, &str)]) -> Answer {
        let bytes = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        let rows = rows.iter().map(|(one, other)| vec![bytes(one), bytes(other)]).collect();
        Answer { columns: vec![("a".into(), 25), ("f".into(), 701)], rows, ..Answer::default() }
    }

    #[test]
    fn rows_are_compared_as_they_shall_be() {
        let one = answer(&[("x", "1"), ("x", "2"), ("y", "0.1")]);
        let ties = answer(&[("x", "2"), ("x", "1"), ("y", "0.1")]);
        let near = answer(&[("x", "1"), ("x", "2"), ("y", "0.10000000000000001")]);
        let far = answer(&[("x", "1"), ("x", "2"), ("y", "0.1000001")]);
        let swapped = answer(&[("y", "0.1"), ("x", "1"), ("x", "2")]);
        let by = |rows, floats, other: &Answer| one.difference_by(other, &Compare { rows, floats });
        assert_eq!(by(Rows::Ordered, false, &ties), Some("rows"));
        assert_eq!(by(Rows::Ties(vec![0]), false, &ties), None);
        assert_eq!(by(Rows::Ties(vec![0]), false, &swapped), Some("rows"));
        assert_eq!(by(Rows::AnyOrder, false, &swapped), None);
        assert_eq!(by(Rows::AnyOrder, false, &near), Some("rows"));
        assert_eq!(by(Rows::AnyOrder, true, &near), None);
        assert_eq!(by(Rows::Ordered, true, &far), Some("rows"));
        assert_eq!(by(Rows::Count, false, &far), None);
        assert_eq!(by(Rows::Count, false, &answer(&[])), Some("rows"));
    }
}

//! Group: rows of partial results become one row a group. In: shards' rows, in any order. Out: the answer's rows, in
//! its order (without one: as groups were first met). Never: more memory than its bound.

use std::collections::HashMap;

use bytes::BytesMut;
use foldhash::fast::RandomState;

use super::{
    Bounds, Column, Merge, MergeError, Output, TextStyle,
    aggregate::{self, Combine, State},
    row,
    value::{Comparison, Sort, Use},
};

/// Bytes that a group takes beside its values, about.
const GROUP_OVERHEAD: usize = 96;

/// Groups being collected.
#[derive(Debug)]
pub(super) struct Groups {
    input: Vec<Column>,
    output: Vec<Column>,
    keys: Vec<(usize, Comparison)>,
    cells: Vec<Cell>,
    places: HashMap<Box<[u8]>, usize, RandomState>,
    groups: Vec<Vec<Slot>>,
    bytes: usize,
    max_bytes: usize,
}

/// How a column of the answer comes about.
#[derive(Debug)]
enum Cell {
    /// The value of the group's first row. `one_spelling`: all rows of the group must write it alike.
    First { column: usize, one_spelling: bool },
    /// An aggregate of the partial results in this column.
    Aggregate { column: usize, combine: Combine },
}

/// A column of one group.
#[derive(Debug)]
enum Slot {
    First(Option<Box<[u8]>>),
    Aggregate(State),
}

impl Groups {
    /// Groups for `merge`; None if it groups nothing.
    pub(super) fn new(
        merge: &Merge,
        input: &[Column],
        style: TextStyle,
        max_bytes: usize,
    ) -> Result<Option<Self>, MergeError> {
        let Some(group_by) = &merge.group_by else { return Ok(None) };
        let misfit = || MergeError::Misfit { columns: input.len() };
        let key = |column: &usize| {
            let described = input.get(*column).ok_or_else(misfit)?;
            Ok((*column, Comparison::new(described, Use::Equality, style)?))
        };
        let keys = group_by.iter().map(key).collect::<Result<Vec<_>, MergeError>>()?;
        let cell = |output: &Output| match output {
            Output::Column(column) => {
                let described = input.get(*column).ok_or_else(misfit)?.clone();
                let one_spelling = keys.iter().any(|(key, comparison)| key == column && comparison.has_spellings());
                Ok((described, Cell::First { column: *column, one_spelling }))
            }
            Output::Aggregate { function, input: column, name } => {
                let (described, combine) = aggregate::combine(merge, input, style, (*function, *column, name))?;
                Ok((described, Cell::Aggregate { column: *column, combine }))
            }
        };
        let cells = merge.output.iter().map(cell).collect::<Result<Vec<_>, MergeError>>()?;
        let (output, cells) = cells.into_iter().unzip();
        Ok(Some(Self {
            input: input.to_vec(),
            output,
            keys,
            cells,
            places: HashMap::default(),
            groups: Vec::new(),
            bytes: 0,
            max_bytes,
        }))
    }

    /// Columns of the answer.
    pub(super) fn output(&self) -> &[Column] {
        &self.output
    }

    /// Takes a row into its group.
    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), MergeError> {
        let values = row::all(row, self.input.len())?;
        let key = self.key(&values)?;
        let place = match self.places.get(key.as_slice()) {
            Some(place) => *place,
            None => self.open(key, &values),
        };
        self.take_in(place, &values)?;
        if self.bytes > self.max_bytes { Err(MergeError::TooLarge { max_bytes: self.max_bytes }) } else { Ok(()) }
    }

    fn key(&self, values: &[Option<&[u8]>]) -> Result<Vec<u8>, MergeError> {
        let mut key = Vec::new();
        for (column, comparison) in &self.keys {
            key.push(u8::from(values[*column].is_some()));
            if let Some(value) = values[*column] {
                comparison.comparable(value, &mut key)?;
            }
        }
        Ok(key)
    }

    fn open(&mut self, key: Vec<u8>, values: &[Option<&[u8]>]) -> usize {
        let slot = |cell: &Cell| match cell {
            Cell::First { column, .. } => Slot::First(values[*column].map(Box::from)),
            Cell::Aggregate { combine, .. } => Slot::Aggregate(combine.empty()),
        };
        let group: Vec<Slot> = self.cells.iter().map(slot).collect();
        self.bytes += GROUP_OVERHEAD + key.len() + group.iter().map(Slot::size).sum::<usize>();
        self.places.insert(key.into_boxed_slice(), self.groups.len());
        self.groups.push(group);
        self.groups.len() - 1
    }

    fn take_in(&mut self, place: usize, values: &[Option<&[u8]>]) -> Result<(), MergeError> {
        for (cell, slot) in self.cells.iter().zip(&mut self.groups[place]) {
            match (cell, slot) {
                (Cell::First { column, one_spelling: true }, Slot::First(first))
                    if first.as_deref() != values[*column] =>
                {
                    return Err(MergeError::AmbiguousKey { column: self.input[*column].name.clone() });
                }
                (Cell::Aggregate { column, combine }, Slot::Aggregate(state)) => {
                    let before = state.size();
                    combine.push(state, values[*column], values.get(column + 1).copied().flatten())?;
                    self.bytes = (self.bytes + state.size()).saturating_sub(before);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Appends the frames of all groups and forgets them.
    pub(super) fn finish(&mut self, sort: &Sort, bounds: Bounds, out: &mut BytesMut) -> Result<u64, MergeError> {
        self.places.clear();
        self.bytes = 0;
        let mut groups = std::mem::take(&mut self.groups);
        if self.keys.is_empty() && groups.is_empty() {
            groups.push(self.cells.iter().map(Cell::empty).collect());
        }
        let mut rows = groups.into_iter().map(|group| self.finished(group)).collect::<Result<Vec<_>, _>>()?;
        if !sort.is_empty() {
            let keyed = rows.into_iter().map(|row| Ok((sort.key_of_values(&row)?, row)));
            let mut keyed = keyed.collect::<Result<Vec<_>, MergeError>>()?;
            keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
            rows = keyed.into_iter().map(|(_, row)| row).collect();
        }
        let bound = |rows: Option<u64>| rows.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
        let chosen = rows.iter().skip(bound(Some(bounds.offset))).take(bound(bounds.limit));
        Ok(chosen.map(|row| row::write(row.iter().map(Option::as_deref), out)).count() as u64)
    }

    fn finished(&self, group: Vec<Slot>) -> Result<Vec<Option<Vec<u8>>>, MergeError> {
        let finished = |(cell, slot): (&Cell, Slot)| match (cell, slot) {
            (Cell::Aggregate { combine, .. }, Slot::Aggregate(state)) => combine.finish(state),
            (_, Slot::First(first)) => Ok(first.map(Vec::from)),
            _ => Ok(None),
        };
        self.cells.iter().zip(group).map(finished).collect()
    }
}

impl Cell {
    fn empty(&self) -> Slot {
        match self {
            Self::First { .. } => Slot::First(None),
            Self::Aggregate { combine, .. } => Slot::Aggregate(combine.empty()),
        }
    }
}

impl Slot {
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::First(first) => first.as_ref().map_or(0, |value| value.len()),
                Self::Aggregate(state) => state.size(),
            }
    }
}

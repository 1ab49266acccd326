//! Sorted: streams of rows that are each in order become one. In: rows of numbered streams. Out: rows in order within
//! offset and limit, or the stream whose next row must be known first. Never: more rows in memory than were offered.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
};

use bytes::Bytes;

use super::{MergeError, Merger, SortKey};

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A row of the answer: the body of a shard's DataRow, for [`Merger::write_row`].
    Row(Bytes),
    /// The next row of this stream, or its end, must be known first. (Where rows have no order: of any stream.)
    NeedMore(usize),
    /// All rows are out, or the limit is reached: what streams still hold is not needed.
    Done,
}

/// A merge of streams. Where the merge has no order, rows come out as they were offered. Equal rows of one stream keep
/// their order; of equal rows of two streams, the lower stream's comes first.
#[derive(Debug)]
pub struct Sorted {
    merger: Merger,
    /// Rows of each stream behind its first one, which is in `heads`.
    queues: Vec<VecDeque<(SortKey, Bytes)>>,
    finished: Vec<bool>,
    heads: BinaryHeap<Reverse<(SortKey, usize, Bytes)>>,
    /// Streams that are not finished and have no head.
    waiting: BTreeSet<usize>,
    /// Rows in the order they were offered, where there is no other.
    passing: VecDeque<Bytes>,
    skip: u64,
    left: Option<u64>,
}

impl Sorted {
    /// A merge of `streams` streams, numbered from 0.
    pub fn new(merger: Merger, streams: usize) -> Self {
        Self {
            queues: (0..streams).map(|_| VecDeque::new()).collect(),
            finished: vec![false; streams],
            heads: BinaryHeap::with_capacity(streams),
            waiting: (0..streams).collect(),
            passing: VecDeque::new(),
            skip: merger.bounds().offset,
            left: merger.bounds().limit,
            merger,
        }
    }

    /// The merger, which writes the rows.
    pub fn merger(&self) -> &Merger {
        &self.merger
    }

    /// Takes the next row of a stream (the body of a DataRow); as many ahead of need as the caller likes.
    ///
    /// # Errors
    /// [`MergeError::Malformed`] (08P01).
    pub fn offer(&mut self, stream: usize, row: Bytes) -> Result<(), MergeError> {
        if self.merger.is_unordered() {
            self.passing.push_back(row);
            return Ok(());
        }
        let key = self.merger.key(&row)?;
        if self.waiting.remove(&stream) {
            self.heads.push(Reverse((key, stream, row)));
        } else if let Some(queue) = self.queues.get_mut(stream) {
            queue.push_back((key, row));
        }
        Ok(())
    }

    /// A stream has no more rows.
    pub fn finish_stream(&mut self, stream: usize) {
        if let Some(finished) = self.finished.get_mut(stream) {
            *finished = true;
        }
        self.waiting.remove(&stream);
    }

    /// What comes next.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Step {
        loop {
            if self.left == Some(0) {
                return Step::Done;
            }
            let row = if self.merger.is_unordered() { self.passing.pop_front() } else { self.least() };
            match row {
                Some(_) if self.skip > 0 => self.skip -= 1,
                Some(row) => {
                    self.left = self.left.map(|left| left - 1);
                    return Step::Row(row);
                }
                None => return self.waiting.first().map_or(Step::Done, |stream| Step::NeedMore(*stream)),
            }
        }
    }

    /// The least of the heads, when every stream has shown its head.
    fn least(&mut self) -> Option<Bytes> {
        if !self.waiting.is_empty() {
            return None;
        }
        let Reverse((_, stream, row)) = self.heads.pop()?;
        match self.queues[stream].pop_front() {
            Some((key, next)) => self.heads.push(Reverse((key, stream, next))),
            None if !self.finished[stream] => {
                self.waiting.insert(stream);
            }
            None => {}
        }
        Some(row)
    }
}

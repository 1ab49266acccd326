//! Arcs: who owns a key, and whether a placement is whole. In: a placement and keys or tokens. Out: owners, shares,
//! the SQL condition of an arc. Never: changes ownership, hashes otherwise than `token` does.

use crate::{
    ids::{ShardIndex, Token},
    key::{KeyFamily, KeyValue},
    topology::{Bound, OwnedArc, OwnedRange, Placement},
};

/// What is wrong with a placement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// A hash group without arcs.
    #[error("no arc at all")]
    Empty,
    /// Tokens without an owner begin here.
    #[error("the tokens from {} on have no owner", .0.0)]
    Gap(Token),
    /// Tokens with two owners begin here.
    #[error("the tokens from {} on have two owners", .0.0)]
    Overlap(Token),
    /// An arc or range that ends where it starts, or before.
    #[error("entry {0} is empty")]
    Backwards(usize),
    /// A range that begins before the one before it ends.
    #[error("range {0} begins before the range before it ends")]
    RangesOverlap(usize),
}

impl OwnedArc {
    /// Whether `token` lies in this arc.
    pub fn contains(&self, token: Token) -> bool {
        self.start <= token && self.end.is_none_or(|end| token < end)
    }

    /// Number of tokens in it, 1 to 2^64.
    pub fn width(&self) -> u128 {
        let end = self.end.map_or(1 << 63, |end| i128::from(end.0));
        (end - i128::from(self.start.0)).max(0) as u128
    }

    /// Its part of the ring, `0..=1`.
    pub fn share(&self) -> f64 {
        self.width() as f64 / 2_f64.powi(64)
    }

    /// The SQL condition that holds for the rows of this arc. `column` is the key column as it stands in SQL,
    /// quoted already.
    pub fn condition(&self, family: KeyFamily, column: &str) -> String {
        let hash = hash_expression(family, column);
        // Quoted, since the lowest bigint is no bigint literal in SQL.
        let from = (self.start.0 > i64::MIN).then(|| format!("{hash} >= '{}'::pg_catalog.int8", self.start.0));
        let to = self.end.map(|end| format!("{hash} < '{}'::pg_catalog.int8", end.0));
        match (from, to) {
            (Some(from), Some(to)) => format!("({from} AND {to})"),
            (Some(one), None) | (None, Some(one)) => format!("({one})"),
            // The whole ring; a NULL key is in no arc.
            (None, None) => format!("({column} IS NOT NULL)"),
        }
    }
}

/// The SQL expression of a key column's token. `column` as it stands in SQL, quoted already.
pub fn hash_expression(family: KeyFamily, column: &str) -> String {
    match family {
        KeyFamily::Integer => format!("pg_catalog.hashint8extended({column}, 0)"),
        // The cast to text takes the padding off char(n).
        KeyFamily::Text => format!("pg_catalog.hashtextextended({column}::pg_catalog.text, 0)"),
        KeyFamily::Uuid => format!("pg_catalog.uuid_hash_extended({column}, 0)"),
    }
}

impl Placement {
    /// The owner of `key`; None: nobody (a range or a directory that has no place for it). Allocates nothing.
    pub fn owner(&self, key: &KeyValue) -> Option<ShardIndex> {
        match self {
            Self::Hash { .. } => self.owner_of_token(key.token()),
            Self::Range(ranges) => range_of(ranges, key).map(|range| range.shard),
            Self::Directory { keys, default } => keys.get(key).copied().or(*default),
        }
    }

    /// The owner of `token` in a hash placement; None in others. Allocates nothing.
    pub fn owner_of_token(&self, token: Token) -> Option<ShardIndex> {
        let Self::Hash { arcs, pinned } = self else { return None };
        if !pinned.is_empty()
            && let Some(shard) = pinned.get(&token)
        {
            return Some(*shard);
        }
        arc_at(arcs, token).map(|arc| arc.shard)
    }

    /// The arc of `token` in a hash placement, whether or not the token is pinned elsewhere.
    pub fn arc_of(&self, token: Token) -> Option<&OwnedArc> {
        match self {
            Self::Hash { arcs, .. } => arc_at(arcs, token),
            Self::Range(_) | Self::Directory { .. } => None,
        }
    }

    /// The shards that own something, each once, in the order of their numbers.
    pub fn owners(&self) -> Vec<ShardIndex> {
        let mut seen = Seen::default();
        match self {
            Self::Hash { arcs, pinned } => {
                arcs.iter().for_each(|arc| seen.add(arc.shard));
                pinned.values().for_each(|shard| seen.add(*shard));
            }
            Self::Range(ranges) => ranges.iter().for_each(|range| seen.add(range.shard)),
            Self::Directory { keys, default } => {
                keys.values().chain(default).for_each(|shard| seen.add(*shard));
            }
        }
        seen.shards()
    }

    /// The part of the ring that `shard` owns, `0..=1`; None where there is no ring. Pinned keys do not count.
    pub fn share_of(&self, shard: ShardIndex) -> Option<f64> {
        let Self::Hash { arcs, .. } = self else { return None };
        Some(arcs.iter().filter(|arc| arc.shard == shard).map(OwnedArc::share).sum())
    }

    /// Checks that the placement gives no key two owners, and that a hash placement gives each token one.
    ///
    /// # Errors
    /// [`PlacementError`]: the first fault.
    pub fn check(&self) -> Result<(), PlacementError> {
        match self {
            Self::Hash { arcs, .. } => check_arcs(arcs),
            Self::Range(ranges) => check_ranges(ranges),
            Self::Directory { .. } => Ok(()),
        }
    }
}

fn arc_at(arcs: &[OwnedArc], token: Token) -> Option<&OwnedArc> {
    let after = arcs.partition_point(|arc| arc.start <= token);
    arcs.get(after.checked_sub(1)?).filter(|arc| arc.contains(token))
}

fn range_of<'a>(ranges: &'a [OwnedRange], key: &KeyValue) -> Option<&'a OwnedRange> {
    let after = ranges.partition_point(|range| !range.from.is_above(key));
    ranges.get(after.checked_sub(1)?).filter(|range| range.to.is_above(key))
}

impl Bound {
    /// Whether this bound is greater than `key`.
    pub fn is_above(&self, key: &KeyValue) -> bool {
        match self {
            Self::Min => false,
            Self::Key(bound) => bound > key,
            Self::Max => true,
        }
    }
}

fn check_arcs(arcs: &[OwnedArc]) -> Result<(), PlacementError> {
    if arcs.is_empty() {
        return Err(PlacementError::Empty);
    }
    let mut expected = Some(Token(i64::MIN));
    for (at, arc) in arcs.iter().enumerate() {
        match expected {
            Some(end) if arc.start > end => return Err(PlacementError::Gap(end)),
            Some(end) if arc.start == end => {}
            _ => return Err(PlacementError::Overlap(arc.start)),
        }
        if arc.end.is_some_and(|end| end <= arc.start) {
            return Err(PlacementError::Backwards(at));
        }
        expected = arc.end;
    }
    expected.map_or(Ok(()), |end| Err(PlacementError::Gap(end)))
}

fn check_ranges(ranges: &[OwnedRange]) -> Result<(), PlacementError> {
    for (at, range) in ranges.iter().enumerate() {
        if range.from >= range.to {
            return Err(PlacementError::Backwards(at));
        }
        if at > 0 && ranges[at - 1].to > range.from {
            return Err(PlacementError::RangesOverlap(at));
        }
    }
    Ok(())
}

/// A set of shards, one bit each.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn add(&mut self, shard: ShardIndex) {
        let (word, bit) = (usize::from(shard.0) / 64, shard.0 % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    fn shards(&self) -> Vec<ShardIndex> {
        let bits = |(at, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| ShardIndex(at as u16 * 64 + bit))
        };
        self.0.iter().enumerate().flat_map(bits).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn arc(start: i64, end: Option<i64>, shard: u16) -> OwnedArc {
        OwnedArc { start: Token(start), end: end.map(Token), shard: ShardIndex(shard), moving: false }
    }

    fn hash(arcs: Vec<OwnedArc>) -> Placement {
        Placement::Hash { arcs, pinned: HashMap::new() }
    }

    fn range(from: Bound, to: Bound, shard: u16) -> OwnedRange {
        OwnedRange { from, to, shard: ShardIndex(shard) }
    }

    fn key(value: i64) -> KeyValue {
        KeyValue::Integer(value)
    }

    #[test]
    fn a_token_belongs_to_the_arc_around_it_and_a_pin_goes_first() {
        let mut placement = hash(vec![arc(i64::MIN, Some(-5), 0), arc(-5, Some(7), 1), arc(7, None, 0)]);
        for (token, shard) in [(i64::MIN, 0), (-6, 0), (-5, 1), (0, 1), (6, 1), (7, 0), (i64::MAX, 0)] {
            assert_eq!(placement.owner_of_token(Token(token)), Some(ShardIndex(shard)), "{token}");
        }
        assert_eq!(placement.check(), Ok(()));
        assert_eq!(placement.owners(), [ShardIndex(0), ShardIndex(1)]);
        assert_eq!(placement.share_of(ShardIndex(1)), Some(12.0 / 2_f64.powi(64)));
        let Placement::Hash { pinned, .. } = &mut placement else { panic!("made as a hash placement") };
        pinned.insert(key(42).token(), ShardIndex(70));
        assert_eq!(placement.owner(&key(42)), Some(ShardIndex(70)));
        assert_eq!(placement.owners(), [ShardIndex(0), ShardIndex(1), ShardIndex(70)]);
    }

    #[test]
    fn a_key_outside_all_ranges_has_no_owner() {
        let ranges = vec![
            range(Bound::Min, Bound::Key(key(0)), 0),
            range(Bound::Key(key(0)), Bound::Key(key(10)), 1),
            range(Bound::Key(key(20)), Bound::Max, 2),
        ];
        let placement = Placement::Range(ranges);
        for (value, shard) in
            [(i64::MIN, Some(0)), (-1, Some(0)), (0, Some(1)), (9, Some(1)), (10, None), (20, Some(2))]
        {
            assert_eq!(placement.owner(&key(value)), shard.map(ShardIndex), "{value}");
        }
        assert_eq!(placement.check(), Ok(()));
        assert_eq!(Placement::Range(vec![]).owner(&key(1)), None);
    }

    #[test]
    fn a_directory_has_an_owner_for_the_rest_or_none() {
        let keys = HashMap::from([(key(1), ShardIndex(3))]);
        let placement = Placement::Directory { keys: keys.clone(), default: Some(ShardIndex(0)) };
        assert_eq!(placement.owner(&key(1)), Some(ShardIndex(3)));
        assert_eq!(placement.owner(&key(2)), Some(ShardIndex(0)));
        assert_eq!(placement.owners(), [ShardIndex(0), ShardIndex(3)]);
        assert_eq!(Placement::Directory { keys, default: None }.owner(&key(2)), None);
    }

    #[test]
    fn gaps_and_overlaps_are_found() {
        for (arcs, fault) in [
            (vec![], PlacementError::Empty),
            (vec![arc(0, None, 0)], PlacementError::Gap(Token(i64::MIN))),
            (vec![arc(i64::MIN, Some(0), 0)], PlacementError::Gap(Token(0))),
            (vec![arc(i64::MIN, Some(0), 0), arc(1, None, 0)], PlacementError::Gap(Token(0))),
            (vec![arc(i64::MIN, Some(0), 0), arc(-1, None, 0)], PlacementError::Overlap(Token(-1))),
            (vec![arc(i64::MIN, None, 0), arc(3, None, 0)], PlacementError::Overlap(Token(3))),
            (vec![arc(i64::MIN, Some(i64::MIN), 0)], PlacementError::Backwards(0)),
        ] {
            assert_eq!(hash(arcs.clone()).check(), Err(fault), "{arcs:?}");
        }
        let overlapping = vec![range(Bound::Min, Bound::Key(key(5)), 0), range(Bound::Key(key(4)), Bound::Max, 1)];
        assert_eq!(Placement::Range(overlapping).check(), Err(PlacementError::RangesOverlap(1)));
        let empty = vec![range(Bound::Key(key(5)), Bound::Key(key(5)), 0)];
        assert_eq!(Placement::Range(empty).check(), Err(PlacementError::Backwards(0)));
    }

    #[test]
    fn an_arc_reads_as_sql() {
        let column = "\"Key\"";
        let hash = "pg_catalog.hashint8extended(\"Key\", 0)";
        let middle = arc(-5, Some(7), 0).condition(KeyFamily::Integer, column);
        assert_eq!(middle, format!("({hash} >= '-5'::pg_catalog.int8 AND {hash} < '7'::pg_catalog.int8)"));
        let first = arc(i64::MIN, Some(7), 0).condition(KeyFamily::Integer, column);
        assert_eq!(first, format!("({hash} < '7'::pg_catalog.int8)"));
        assert_eq!(arc(i64::MIN, None, 0).condition(KeyFamily::Text, column), "(\"Key\" IS NOT NULL)");
    }
}

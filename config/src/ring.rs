//! Ring: the weighted points that propose who owns what when a group is made. In: shards with their weights.
//! Out: arcs. Never: decides ownership of an existing group (that is the catalog's list of arcs).
//!
//! A shard has points i = 0 … round(100 × weight) − 1, at least one, at `hashtextextended('<shard>:<i>', 0)`, in
//! signed order; a point owns the tokens after the previous point up to and with itself.

use crate::{
    ids::{ShardIndex, ShardName, Token},
    token,
    topology::OwnedArc,
};
use hashring::HashRing;
use std::hash::{BuildHasher, Hash, Hasher};

/// Points per unit of weight.
const POINTS: f64 = 100.0;

/// More points than this a shard never has, whatever its weight.
const MOST_POINTS: f64 = 1_000_000.0;

/// The points of some shards, in ring order.
pub struct Ring {
    ring: HashRing<Point, Identity>,
    points: Vec<Point>,
}

impl Ring {
    /// The ring of these shards; a shard's index is its place in `shards`.
    pub fn new(shards: &[(ShardName, f64)]) -> Self {
        let mut points = Vec::new();
        for (at, (name, weight)) in shards.iter().enumerate() {
            let shard = ShardIndex(at as u16);
            points
                .extend((0..point_count(*weight)).map(|i| Point { at: token::of_text(&format!("{name}:{i}")), shard }));
        }
        // Of equal points the lower name wins; hashring itself would keep either.
        points.sort_by(|a, b| {
            let name = |point: &Point| &shards[usize::from(point.shard.0)].0;
            a.at.cmp(&b.at).then_with(|| name(a).cmp(name(b)))
        });
        points.dedup_by_key(|point| point.at);
        let mut ring = HashRing::with_hasher(Identity::default());
        ring.batch_add(points.clone());
        Self { ring, points }
    }

    /// The shard whose point owns `token`; None in a ring without shards.
    pub fn owner(&self, token: Token) -> Option<ShardIndex> {
        self.ring.get(&Position(token)).map(|point| point.shard)
    }

    /// The arcs of these shards, in order of `start`, without gap; neighbours of one owner are one arc. Empty
    /// without shards.
    pub fn propose(shards: &[(ShardName, f64)]) -> Vec<OwnedArc> {
        Self::new(shards).arcs()
    }

    /// The arcs of this ring, as [`Ring::propose`].
    pub fn arcs(&self) -> Vec<OwnedArc> {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return Vec::new() };
        let mut arcs: Vec<OwnedArc> = Vec::new();
        let mut start = Token(i64::MIN);
        let over_the_top = (last.at.0 < i64::MAX).then_some((Token(i64::MAX), first.shard));
        for (through, shard) in self.points.iter().map(|point| (point.at, point.shard)).chain(over_the_top) {
            let end = through.0.checked_add(1).map(Token);
            match arcs.last_mut() {
                Some(before) if before.shard == shard => before.end = end,
                _ => arcs.push(OwnedArc { start, end, shard, moving: false }),
            }
            start = end.unwrap_or(start);
        }
        arcs
    }
}

/// How many points a weight gives.
fn point_count(weight: f64) -> u32 {
    (weight * POINTS).round().clamp(1.0, MOST_POINTS) as u32
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at: Token,
    shard: ShardIndex,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Position(self.at).hash(state);
    }
}

/// A token's place on hashring's unsigned circle.
struct Position(Token);

impl Hash for Position {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The one place where signed order becomes unsigned order: the top bit is flipped.
        state.write_u64((self.0.0 as u64) ^ (1 << 63));
    }
}

/// Hands a position through as its own hash, so that hashring keeps our points where we put them.
#[derive(Clone, Default)]
struct Identity(u64);

impl BuildHasher for Identity {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a position is written as one u64");
    }

    fn write_u64(&mut self, position: u64) {
        self.0 = position;
    }
}

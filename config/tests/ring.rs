//! Ring: what the points propose, as properties.

use pgring_config::{
    ids::{ShardIndex, ShardName, Token},
    ring::Ring,
    topology::{OwnedArc, Placement},
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::HashMap;

fn cluster(names: impl IntoIterator<Item = String>) -> Vec<(ShardName, f64)> {
    names.into_iter().map(|name| (ShardName::new(name), 1.0)).collect()
}

fn placement(arcs: Vec<OwnedArc>) -> Placement {
    Placement::Hash { arcs, pinned: HashMap::new() }
}

/// Each shard's share as a multiple of the mean.
fn loads(shards: &[(ShardName, f64)]) -> Vec<f64> {
    let placement = placement(Ring::propose(shards));
    let share = |at| placement.share_of(ShardIndex(at as u16)).expect("a hash placement");
    (0..shards.len()).map(|at| share(at) * shards.len() as f64).collect()
}

fn shards() -> impl Strategy<Value = Vec<(ShardName, f64)>> {
    prop::collection::btree_map("[a-z][a-z0-9_]{0,8}", 0.001_f64..4.0, 1..12)
        .prop_map(|shards| shards.into_iter().map(|(name, weight)| (ShardName::new(name), weight)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hashring_and_the_arc_table_agree(shards in shards(), tokens in prop::collection::vec(any::<i64>(), 200)) {
        let ring = Ring::new(&shards);
        let arcs = ring.arcs();
        let placement = placement(arcs.clone());
        prop_assert_eq!(placement.check(), Ok(()));
        let edges = arcs.iter().flat_map(|arc| [arc.start.0, arc.start.0.wrapping_sub(1), arc.start.0.wrapping_add(1)]);
        for token in tokens.into_iter().chain(edges).chain([i64::MIN, -1, 0, 1, i64::MAX]).map(Token) {
            prop_assert_eq!(ring.owner(token), placement.owner_of_token(token), "{:?}", token);
        }
    }

    #[test]
    fn neighbours_have_different_owners(shards in shards()) {
        for pair in Ring::propose(&shards).windows(2) {
            prop_assert_ne!(pair[0].shard, pair[1].shard);
        }
    }

    #[test]
    fn the_order_of_the_shards_does_not_matter(shards in shards()) {
        let reversed: Vec<_> = shards.iter().rev().cloned().collect();
        let named = |shards: &[(ShardName, f64)]| -> Vec<_> {
            let name = |arc: &OwnedArc| shards[usize::from(arc.shard.0)].0.clone();
            Ring::propose(shards).iter().map(|arc| (arc.start, arc.end, name(arc))).collect()
        };
        prop_assert_eq!(named(&shards), named(&reversed));
    }

    #[test]
    fn a_new_shard_only_takes(shards in shards(), weight in 0.01_f64..4.0) {
        let before = placement(Ring::propose(&shards));
        let mut more = shards.clone();
        more.push((ShardName::from("NEW"), weight));
        let new = ShardIndex(shards.len() as u16);
        let after = Ring::propose(&more);
        prop_assert!(after.iter().any(|arc| arc.shard == new));
        for arc in &after {
            let last = Token(arc.end.map_or(i64::MAX, |end| end.0 - 1));
            for token in [arc.start, last] {
                prop_assert!(arc.shard == new || before.owner_of_token(token) == Some(arc.shard));
            }
        }
    }
}

#[test]
fn no_shards_own_nothing() {
    assert!(Ring::propose(&[]).is_empty());
    assert_eq!(Ring::new(&[]).owner(Token(0)), None);
}

#[test]
fn one_shard_owns_everything_in_one_arc() {
    let arcs = Ring::propose(&cluster(["s0".to_owned()]));
    assert_eq!(arcs, [OwnedArc { start: Token(i64::MIN), end: None, shard: ShardIndex(0), moving: false }]);
}

#[test]
fn four_shards_of_the_demo_are_balanced_as_documented() {
    let loads = loads(&cluster((0..4).map(|i| format!("s{i}"))));
    let rounded: Vec<f64> = loads.iter().map(|load| (load * 100.0).round() / 100.0).collect();
    assert_eq!(rounded, [1.22, 1.01, 0.91, 0.87]);
}

#[test]
fn random_clusters_are_balanced_as_documented() {
    let mut random = StdRng::seed_from_u64(1);
    let largest: Vec<f64> = (0..500)
        .map(|_| {
            let prefix: u32 = random.random();
            let size = random.random_range(4..=16);
            loads(&cluster((0..size).map(|i| format!("c{prefix:x}-{i}")))).into_iter().fold(0.0, f64::max)
        })
        .collect();
    let within = largest.iter().filter(|load| **load <= 1.35).count();
    let mean = largest.iter().sum::<f64>() / 500.0;
    assert!(within >= 495, "only {within} of 500 clusters have no shard above 1.35 times the mean");
    assert!(mean <= 1.2, "the largest shard has {mean} times the mean");
}

#[test]
fn a_shard_of_twice_the_weight_owns_about_twice_as_much() {
    let mut shards = cluster((0..8).map(|i| format!("s{i}")));
    shards[3].1 = 2.0;
    let placement = placement(Ring::propose(&shards));
    let share = placement.share_of(ShardIndex(3)).expect("a hash placement");
    assert!((0.8..1.25).contains(&(share / (2.0 / 9.0))), "{share}");
    shards[3].1 = 0.0001;
    let smallest = Ring::propose(&shards).iter().filter(|arc| arc.shard == ShardIndex(3)).count();
    assert_eq!(smallest, 1, "the least a shard has is one point");
}

//! Properties that hold for every cluster, weight and load.

use super::{Proposal, ProposeError, add::add_shard, drain::drain, rebalance::rebalance_by_weight, split::split_shard};
use crate::{
    load::{ArcLoad, by_shard},
    span::Span,
};
use pgring_config::{
    ids::{Epoch, GroupIndex, GroupName, ShardIndex, ShardName, Token},
    key::KeyFamily,
    ring::Ring,
    topology::{Connection, Group, OwnedArc, Placement, Shard, ShardState, Topology},
};
use proptest::prelude::*;
use std::collections::HashMap;

fn shard(name: &str, weight: f64) -> Shard {
    Shard {
        name: name.into(),
        weight,
        zone: None,
        state: ShardState::Active,
        read_only: false,
        connection: Connection("".into()),
        replicas: Vec::new(),
    }
}

fn group(name: &str, arcs: Vec<OwnedArc>) -> Option<Group> {
    let placement = Placement::Hash { arcs, pinned: HashMap::new() };
    Some(Group { name: GroupName::from(name), family: KeyFamily::Integer, placement })
}

/// A cluster whose groups lie as the ring proposes for `placed`, with `weights` by now.
fn cluster(placed: &[f64], weights: &[f64]) -> Topology {
    let named = |weights: &[f64]| -> Vec<(ShardName, f64)> {
        weights.iter().enumerate().map(|(at, weight)| (ShardName::new(format!("s{at}")), *weight)).collect()
    };
    let arcs = Ring::propose(&named(placed));
    Topology {
        epoch: Epoch(1),
        tables_version: 1,
        shards: named(weights).iter().map(|(name, weight)| shard(name.as_str(), *weight)).collect(),
        default_shard: ShardIndex(0),
        groups: vec![group("integers", arcs.clone()), None, group("uuids", arcs)],
        tables: HashMap::new(),
    }
}

fn arcs(topology: &Topology, group: usize) -> &[OwnedArc] {
    match &topology.groups[group].as_ref().unwrap().placement {
        Placement::Hash { arcs, .. } => arcs,
        _ => panic!("a group of this test is placed by hash"),
    }
}

/// Carries a proposal out, checking on the way that each move takes tokens from their owner, and that no token moves
/// twice.
fn carried_out(topology: &Topology, proposal: &Proposal) -> Topology {
    let mut after = topology.clone();
    for r#move in &proposal.moves {
        if after.shard_by_name(r#move.to.as_str()).is_none() {
            after.shards.push(shard(r#move.to.as_str(), 1.0));
        }
        let from = after.shard_by_name(r#move.from.as_str()).unwrap();
        let to = after.shard_by_name(r#move.to.as_str()).unwrap();
        assert_ne!(from, to);
        let group = after.groups.iter_mut().flatten().find(|group| group.name == r#move.group).unwrap();
        let Placement::Hash { arcs, .. } = &mut group.placement else { panic!("moves are for hash groups") };
        let mut cut = Vec::new();
        let mut moved = 0;
        for arc in arcs.drain(..) {
            let span = Span::from(&arc);
            let owned =
                |span: Span, shard| OwnedArc { start: span.start(), end: span.end(), shard, moving: arc.moving };
            match span.overlap(r#move.arc) {
                None => cut.push(arc),
                Some(common) => {
                    assert_eq!(arc.shard, from, "{} does not own {common}", r#move.from);
                    assert!(!arc.moving);
                    moved += common.width();
                    let (before, behind) = span.around(common);
                    cut.extend(before.map(|span| owned(span, from)));
                    cut.push(owned(common, to));
                    cut.extend(behind.map(|span| owned(span, from)));
                }
            }
        }
        assert_eq!(moved, r#move.arc.width(), "every token has an owner");
        *arcs = cut;
    }
    after.groups.iter().flatten().for_each(|group| group.placement.check().unwrap());
    let spans: Vec<_> = proposal.moves.iter().map(|r#move| (&r#move.group, r#move.arc)).collect();
    for (at, (group, span)) in spans.iter().enumerate() {
        assert!(spans[at + 1..].iter().all(|(other, arc)| other != group || arc.overlap(*span).is_none()));
    }
    after
}

fn shares(topology: &Topology, group: usize) -> Vec<f64> {
    let of =
        |at| arcs(topology, group).iter().filter(move |arc| arc.shard == ShardIndex(at)).map(OwnedArc::share).sum();
    (0..topology.shards.len() as u16).map(of).collect()
}

fn moved(proposal: &Proposal, group: &str) -> f64 {
    proposal.moves.iter().filter(|r#move| r#move.group.as_str() == group).map(|r#move| r#move.share).sum()
}

/// What the proposal says of the shares is what comes of it.
fn tells_the_truth(before: &Topology, proposal: &Proposal) -> Topology {
    let after = carried_out(before, proposal);
    for (told, topology) in [(&proposal.shares_before, before), (&proposal.shares_after, &after)] {
        for share in told {
            let group = topology.groups.iter().position(|g| g.as_ref().is_some_and(|g| g.name == share.group)).unwrap();
            let Some(at) = topology.shard_by_name(share.shard.as_str()) else {
                assert_eq!(share.share, 0.0, "a shard that gets nothing");
                continue;
            };
            let real = shares(topology, group)[usize::from(at.0)];
            assert!((real - share.share).abs() < 1e-9, "{share:?} is really {real}");
        }
    }
    after
}

fn weights() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.25_f64..4.0, 2..9)
}

/// Weights of the same shards at two times.
fn changed_weights() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    (2_usize..9).prop_flat_map(|shards| {
        let weights = || prop::collection::vec(0.25_f64..4.0, shards);
        (weights(), weights())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rebalance_brings_every_share_to_within_5_percent((placed, weights) in changed_weights()) {
        let before = cluster(&placed, &weights);
        let proposal = rebalance_by_weight(&before);
        let after = tells_the_truth(&before, &proposal);
        let total: f64 = weights.iter().sum();
        for group in [0, 2] {
            for (share, weight) in shares(&after, group).iter().zip(&weights) {
                let target = weight / total;
                prop_assert!((share - target).abs() <= 0.05 * target, "{share} for {target}");
            }
        }
        prop_assert!(rebalance_by_weight(&after).is_empty(), "said again it has nothing to do");
    }

    #[test]
    fn rebalance_moves_no_more_than_what_is_too_much_or_too_little((placed, weights) in changed_weights()) {
        let before = cluster(&placed, &weights);
        let proposal = rebalance_by_weight(&before);
        let total: f64 = weights.iter().sum();
        let (mut surplus, mut too_much, mut too_little) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (share, weight) in shares(&before, 0).iter().zip(&weights) {
            let target = weight / total;
            surplus += (share - target).max(0.0);
            too_much += (share - 1.0499 * target).max(0.0);
            too_little += (0.9501 * target - share).max(0.0);
        }
        let moved = moved(&proposal, "integers");
        prop_assert!(moved <= surplus + 1e-9, "{moved} of {surplus}");
        prop_assert!((moved - too_much.max(too_little)).abs() < 1e-9, "{moved}, not {too_much} or {too_little}");
    }

    #[test]
    fn a_shard_moves_only_one_way_in_a_rebalance((placed, weights) in changed_weights()) {
        let proposal = rebalance_by_weight(&cluster(&placed, &weights));
        for r#move in &proposal.moves {
            prop_assert!(proposal.moves.iter().all(|other| other.to != r#move.from), "{} gives and takes", r#move.from);
        }
    }

    #[test]
    fn add_shard_moves_only_what_the_ring_gives_the_new_one(weights in weights(), weight in 0.25_f64..4.0) {
        let before = cluster(&weights, &weights);
        let proposal = add_shard(&before, &"new".into(), weight).unwrap();
        prop_assert!(proposal.moves.iter().all(|r#move| r#move.to.as_str() == "new"));
        let after = tells_the_truth(&before, &proposal);
        let mut all: Vec<_> = before.shards.iter().map(|shard| (shard.name.clone(), shard.weight)).collect();
        all.push(("new".into(), weight));
        let ring = Ring::new(&all);
        for arc in arcs(&after, 2) {
            for token in [Some(arc.start), arc.end.map(|end| Token(end.0 - 1))].into_iter().flatten() {
                prop_assert_eq!(ring.owner(token), Some(arc.shard), "{:?}", token);
            }
        }
    }

    #[test]
    fn split_gives_away_half_of_the_ring(weights in weights(), source in 0_usize..2) {
        let before = cluster(&weights, &weights);
        let name = before.shards[source].name.clone();
        let proposal = split_shard(&before, &name, &"half".into(), None).unwrap();
        prop_assert!(proposal.moves.iter().all(|r#move| r#move.from == name && r#move.to.as_str() == "half"));
        let after = tells_the_truth(&before, &proposal);
        for group in [0, 2] {
            let (was, is) = (shares(&before, group), shares(&after, group));
            prop_assert!((is[source] - was[source] / 2.0).abs() < 1e-9);
            prop_assert!((is[weights.len()] - was[source] / 2.0).abs() < 1e-9);
        }
    }

    #[test]
    fn split_gives_away_half_of_the_load(
        weights in weights(),
        measured in prop::collection::vec((any::<u32>(), 0.0_f64..1000.0), 40),
        parts in 1_i64..400,
    ) {
        let before = cluster(&weights, &weights);
        let loads = loads(&measured, parts);
        let proposal = split_shard(&before, &"s0".into(), &"s1".into(), Some(&loads)).unwrap();
        let after = tells_the_truth(&before, &proposal);
        let halves = |topology| {
            let of = by_shard(topology, &loads);
            (of[0].bytes, of[0].queries_per_s)
        };
        let ((bytes, queries), (bytes_left, queries_left)) = (halves(&before), halves(&after));
        prop_assume!(bytes > 0.0 && queries > 0.0);
        let left = (bytes_left / bytes + queries_left / queries) / 2.0;
        prop_assert!((left - 0.5).abs() < 0.01, "{left} of the load is left");
    }

    #[test]
    fn drain_leaves_nothing_and_moves_nothing_else((placed, weights) in changed_weights()) {
        let before = cluster(&placed, &weights);
        let proposal = drain(&before, &"s0".into()).unwrap();
        prop_assert!(proposal.moves.iter().all(|r#move| r#move.from.as_str() == "s0"));
        let after = tells_the_truth(&before, &proposal);
        prop_assert_eq!(shares(&after, 0)[0], 0.0);
        prop_assert_eq!(shares(&after, 2)[0], 0.0);
        prop_assert!(proposal.stays.is_empty());
    }

    #[test]
    fn the_same_input_gives_the_same_proposal((placed, weights) in changed_weights()) {
        let (one, other) = (cluster(&placed, &weights), cluster(&placed, &weights));
        prop_assert_eq!(rebalance_by_weight(&one), rebalance_by_weight(&other));
        prop_assert_eq!(drain(&one, &"s1".into()), drain(&other, &"s1".into()));
        prop_assert_eq!(split_shard(&one, &"s1".into(), &"x".into(), None), split_shard(&other, &"s1".into(), &"x".into(), None));
    }
}

/// A measurement of the whole ring in `parts` equal parts, whatever the arcs are.
fn loads(measured: &[(u32, f64)], parts: i64) -> Vec<ArcLoad> {
    let width = u64::MAX / parts as u64;
    let start = |part: i64| Token((i64::MIN as i128 + part as i128 * width as i128) as i64);
    let load = |part: i64| {
        let (bytes, queries_per_s) = measured[part as usize % measured.len()];
        let end = (part + 1 < parts).then(|| start(part + 1));
        let arc = Span::new(start(part), end).unwrap();
        ArcLoad { group: GroupIndex(0), arc, bytes: bytes.into(), queries_per_s }
    };
    (0..parts).map(load).collect()
}

#[test]
fn a_fresh_cluster_of_four_is_trimmed_by_little() {
    let before = cluster(&[1.0; 4], &[1.0; 4]);
    let proposal = rebalance_by_weight(&before);
    let rounded: Vec<String> = shares(&before, 0).iter().map(|share| format!("{:.2}", share * 4.0)).collect();
    assert_eq!(rounded, ["1.22", "1.01", "0.91", "0.87"]);
    assert!(moved(&proposal, "integers") < 0.05, "{proposal:?}");
    assert!(!proposal.is_empty());
    assert_eq!(proposal.moves.len(), proposal.rows().len());
    assert_eq!(proposal.rows()[0][0].as_deref(), Some("1"));
}

#[test]
fn a_row_of_the_last_arc_has_no_end() {
    let mut before = cluster(&[1.0], &[1.0, 1.0]);
    before.groups =
        vec![group("g", vec![OwnedArc { start: Token(i64::MIN), end: None, shard: ShardIndex(0), moving: false }])];
    let proposal = drain(&before, &"s0".into()).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let whole = [text("1"), text("g"), text("-9223372036854775808"), None, text("1.000000"), text("s0"), text("s1")];
    assert_eq!(proposal.rows(), [whole]);
}

#[test]
fn what_is_moving_already_is_left_alone() {
    let mut before = cluster(&[1.0; 2], &[1.0, 3.0]);
    for group in before.groups.iter_mut().flatten() {
        let Placement::Hash { arcs, .. } = &mut group.placement else { panic!("placed by hash") };
        arcs.iter_mut().for_each(|arc| arc.moving = true);
    }
    assert!(rebalance_by_weight(&before).is_empty());
    assert!(add_shard(&before, &"new".into(), 1.0).unwrap().is_empty());
    assert!(split_shard(&before, &"s0".into(), &"new".into(), None).unwrap().is_empty());
    let drained = drain(&before, &"s0".into()).unwrap();
    assert!(drained.is_empty());
    assert_eq!(drained.stays, [GroupName::from("integers"), GroupName::from("uuids")]);
}

#[test]
fn draining_shards_give_all_and_inactive_ones_nothing() {
    let mut before = cluster(&[1.0; 4], &[1.0; 4]);
    before.shards[1].state = ShardState::Draining;
    before.shards[2].state = ShardState::Inactive;
    let after = tells_the_truth(&before, &rebalance_by_weight(&before));
    let (was, is) = (shares(&before, 0), shares(&after, 0));
    assert_eq!(is[1], 0.0);
    assert_eq!(is[2], was[2]);
    let half = (1.0 - was[2]) / 2.0;
    assert!((is[0] - half).abs() <= 0.05 * half && (is[3] - half).abs() <= 0.05 * half, "{is:?}");
}

#[test]
fn a_split_halves_the_weight() {
    let before = cluster(&[1.0; 2], &[3.0, 1.0]);
    let weights = |proposal: Proposal| -> Vec<f64> {
        let of_group = proposal.shares_after.into_iter().filter(|share| share.group.as_str() == "integers");
        of_group.map(|share| share.weight).collect()
    };
    let split = |onto: &str| weights(split_shard(&before, &"s0".into(), &onto.into(), None).unwrap());
    assert_eq!(split("new"), [1.5, 1.0, 1.5]);
    assert_eq!(split("s1"), [1.5, 2.5]);
}

#[test]
fn wishes_that_cannot_be_fulfilled_say_why() {
    let one = cluster(&[1.0], &[1.0]);
    let unknown = ProposeError::UnknownShard("s9".into());
    assert_eq!(drain(&one, &"s0".into()), Err(ProposeError::NoTaker));
    assert_eq!(drain(&one, &"s9".into()), Err(unknown.clone()));
    assert_eq!(split_shard(&one, &"s9".into(), &"x".into(), None), Err(unknown));
    assert_eq!(split_shard(&one, &"s0".into(), &"s0".into(), None), Err(ProposeError::ShardExists("s0".into())));
    assert_eq!(add_shard(&one, &"s0".into(), 1.0), Err(ProposeError::ShardExists("s0".into())));
    assert_eq!(add_shard(&one, &"s1".into(), 0.0), Err(ProposeError::Weight(0.0)));
    assert!(matches!(add_shard(&one, &"s1".into(), f64::NAN), Err(ProposeError::Weight(_))));
}

//! Holding: who holds which pieces of one group, while a proposal is being worked out. In: a group's arcs and what
//! each token weighs. Out: pieces taken from one shard for another, in the largest parts that fit.

use super::{Move, Proposal, Share};
use crate::span::Span;
use pgring_config::{
    ids::{GroupIndex, GroupName, ShardIndex, ShardName},
    topology::{OwnedArc, Placement, Topology},
};
use std::collections::BTreeMap;

/// A smaller part of an amount than this is rounding, and no reason for a cut.
pub(super) const DUST: f64 = 1e-9;

/// A piece of the ring that may move. What it weighs is spread evenly over its tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) span: Span,
    pub(super) weight: f64,
}

/// A group placed by HASH.
pub(super) struct HashGroup<'a> {
    pub(super) index: GroupIndex,
    pub(super) name: &'a GroupName,
    pub(super) arcs: &'a [OwnedArc],
}

/// All groups of `topology` that are placed by HASH, in their order.
pub(super) fn hash_groups(topology: &Topology) -> Vec<HashGroup<'_>> {
    let present = topology.groups.iter().enumerate().filter_map(|(at, group)| Some((at, group.as_ref()?)));
    present
        .filter_map(|(at, group)| match &group.placement {
            Placement::Hash { arcs, .. } => Some(HashGroup { index: GroupIndex(at as u16), name: &group.name, arcs }),
            Placement::Range(_) | Placement::Directory { .. } => None,
        })
        .collect()
}

impl HashGroup<'_> {
    /// Part of the ring that each of `shards` shards owns, moving arcs included.
    pub(super) fn shares(&self, shards: usize) -> Vec<f64> {
        let mut shares = vec![0.0; shards];
        for arc in self.arcs {
            if let Some(share) = shares.get_mut(usize::from(arc.shard.0)) {
                *share += Span::from(arc).share();
            }
        }
        shares
    }

    /// The pieces of `shard` that may move, each weighing its part of the ring.
    pub(super) fn pieces(&self, shard: ShardIndex) -> Vec<Piece> {
        let own = self.arcs.iter().filter(|arc| arc.shard == shard && !arc.moving);
        own.map(|arc| Piece { span: arc.into(), weight: Span::from(arc).share() }).collect()
    }
}

/// Takes pieces that weigh `amount` together out of `pieces`: whole ones, the heaviest first, as long as they fit,
/// then one part of the lightest that is heavier than what is still missing. Less if there is not enough.
pub(super) fn take(pieces: &mut Vec<Piece>, amount: f64) -> Vec<Span> {
    pieces.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.span.cmp(&b.span)));
    let mut missing = amount;
    let mut taken = Vec::new();
    pieces.retain(|piece| {
        let fits = piece.weight <= missing;
        if fits {
            missing -= piece.weight;
            taken.push(piece.span);
        }
        !fits
    });
    if missing > amount * DUST
        && let Some(last) = pieces.pop()
    {
        let width = (last.span.width() as f64 * (missing / last.weight)).round() as u128;
        let (part, rest) = last.span.cut(width);
        taken.extend(part);
        let left = rest.map(|rest| (rest, rest.width() as f64 / last.span.width() as f64));
        pieces.extend(left.map(|(span, part)| Piece { span, weight: last.weight * part }));
    }
    taken
}

/// The moves of one group from shard to shard, neighbours joined, in the order of the ring.
pub(super) fn moves(group: &GroupName, mut taken: Vec<(Span, &ShardName, &ShardName)>) -> Vec<Move> {
    taken.sort();
    let mut joined: Vec<(Span, &ShardName, &ShardName)> = Vec::new();
    for (span, from, to) in taken {
        match joined.last_mut() {
            Some((last, f, t)) if (*f, *t) == (from, to) && last.joined(span).is_some() => {
                *last = last.joined(span).unwrap_or(*last);
            }
            _ => joined.push((span, from, to)),
        }
    }
    let made = joined.into_iter().map(|(arc, from, to)| Move {
        group: group.clone(),
        arc,
        from: from.clone(),
        to: to.clone(),
        share: arc.share(),
    });
    made.collect()
}

/// Completes a proposal: shares before and after. `weights` are those after the moves, new shards included.
pub(super) fn proposal(topology: &Topology, moves: Vec<Move>, weights: &[(ShardName, f64)]) -> Proposal {
    let mut proposal = Proposal { moves, ..Proposal::default() };
    for group in hash_groups(topology) {
        let owned = group.shares(topology.shards.len());
        let mut after: BTreeMap<&ShardName, f64> = BTreeMap::new();
        for (shard, share) in topology.shards.iter().zip(owned) {
            after.insert(&shard.name, share);
            proposal.shares_before.push(Share {
                group: group.name.clone(),
                shard: shard.name.clone(),
                weight: shard.weight,
                share,
            });
        }
        for r#move in proposal.moves.iter().filter(|r#move| r#move.group == *group.name) {
            *after.entry(&r#move.from).or_default() -= r#move.share;
            *after.entry(&r#move.to).or_default() += r#move.share;
        }
        let shares = weights.iter().map(|(shard, weight)| Share {
            group: group.name.clone(),
            shard: shard.clone(),
            weight: *weight,
            share: after.get(shard).copied().unwrap_or(0.0).clamp(0.0, 1.0),
        });
        proposal.shares_after.extend(shares);
    }
    proposal
}

/// The shards' names and weights as they are.
pub(super) fn weights(topology: &Topology) -> Vec<(ShardName, f64)> {
    topology.shards.iter().map(|shard| (shard.name.clone(), shard.weight)).collect()
}

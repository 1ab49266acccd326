//! Split: half of what a shard has to do goes to another shard, arcs of every hash group together.

use super::{
    Proposal, ProposeError,
    holding::{HashGroup, Piece, hash_groups, moves, proposal, take, weights},
};
use crate::{
    load::ArcLoad,
    span::{self, Span},
};
use pgring_config::{
    ids::{ShardIndex, ShardName},
    topology::Topology,
};

/// How much of a piece's weight is its part of the ring where load is known: just so much that what nobody asks for
/// is shared out as well.
const RING_PART: f64 = 0.001;

/// Proposes to move half of each hash group on `shard` to `onto`, a new shard or an existing one. Half of the load
/// where `load` knows the group (mean of its part of the bytes and of the queries), half of the ring otherwise.
/// `shares_after` shows half of the source's weight with `onto`.
///
/// # Errors
/// [`ProposeError::UnknownShard`]; [`ProposeError::ShardExists`] if `onto` is `shard` itself.
pub fn split_shard(
    topology: &Topology,
    shard: &ShardName,
    onto: &ShardName,
    load: Option<&[ArcLoad]>,
) -> Result<Proposal, ProposeError> {
    let source = topology.shard_by_name(shard.as_str()).ok_or_else(|| ProposeError::UnknownShard(shard.clone()))?;
    if shard == onto {
        return Err(ProposeError::ShardExists(onto.clone()));
    }
    let mut all = Vec::new();
    for group in hash_groups(topology) {
        let mut pieces = weighed(&group, source, load.unwrap_or_default());
        let half = pieces.iter().map(|piece| piece.weight).sum::<f64>() / 2.0;
        let taken = take(&mut pieces, half).into_iter().map(|span| (span, shard, onto)).collect();
        all.extend(moves(group.name, taken));
    }
    Ok(proposal(topology, all, &weights_after(topology, source, onto)))
}

/// The source's weight in two halves.
fn weights_after(topology: &Topology, source: ShardIndex, onto: &ShardName) -> Vec<(ShardName, f64)> {
    let mut weights = weights(topology);
    let half = topology.shard(source).weight / 2.0;
    weights[usize::from(source.0)].1 = half;
    match weights.iter_mut().find(|(name, _)| name == onto) {
        Some((_, weight)) => *weight += half,
        None => weights.push((onto.clone(), half)),
    }
    weights
}

/// The source's pieces of one group, weighed by the load measured on them, or by the ring if there is none.
fn weighed(group: &HashGroup<'_>, source: ShardIndex, load: &[ArcLoad]) -> Vec<Piece> {
    let arcs = group.pieces(source);
    let measured = measure_all(&arcs, load, group);
    let bytes: f64 = measured.iter().map(|part| part.bytes).sum();
    let queries: f64 = measured.iter().map(|part| part.queries).sum();
    let known = [bytes, queries].into_iter().filter(|sum| *sum > 0.0).count();
    if known == 0 {
        return arcs;
    }
    let of = |part: f64, sum: f64| if sum > 0.0 { part / sum / known as f64 } else { 0.0 };
    let pieces = measured.iter().map(|part| Piece {
        span: part.span,
        weight: of(part.bytes, bytes) + of(part.queries, queries) + RING_PART * part.span.share(),
    });
    pieces.collect()
}

/// A part of an arc with one density of load.
struct Measured {
    span: Span,
    bytes: f64,
    queries: f64,
}

/// Cuts the arcs at the bounds of the measurement; parts that were not measured have no load.
fn measure_all(arcs: &[Piece], load: &[ArcLoad], group: &HashGroup<'_>) -> Vec<Measured> {
    let mut loads: Vec<&ArcLoad> = load.iter().filter(|load| load.group == group.index).collect();
    loads.sort_by_key(|load| load.arc);
    let own: Vec<Span> = arcs.iter().map(|piece| piece.span).collect();
    let measured: Vec<Span> = loads.iter().map(|load| load.arc).collect();
    let mut parts = Vec::new();
    let mut rests: Vec<Option<Span>> = own.iter().copied().map(Some).collect();
    for (arc, at, common) in span::overlaps(&own, &measured) {
        let (before, after) = rests[arc].map_or((None, None), |open| open.around(common));
        rests[arc] = after;
        parts.extend(before.map(|span| Measured { span, bytes: 0.0, queries: 0.0 }));
        parts.push(measure(common, loads[at]));
    }
    parts.extend(rests.into_iter().flatten().map(|span| Measured { span, bytes: 0.0, queries: 0.0 }));
    parts
}

/// The part of a measurement that falls on `span`; what is no number counts as nothing.
fn measure(span: Span, load: &ArcLoad) -> Measured {
    let part = span.width() as f64 / load.arc.width() as f64;
    let queries = if load.queries_per_s.is_finite() { load.queries_per_s.max(0.0) } else { 0.0 };
    Measured { span, bytes: load.bytes as f64 * part, queries: queries * part }
}

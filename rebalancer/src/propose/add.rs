//! Add: what the ring gives a new shard, and nothing else.

use super::{
    Proposal, ProposeError,
    holding::{hash_groups, moves, proposal, weights},
};
use crate::span::{Span, overlaps};
use pgring_config::{
    ids::{ShardIndex, ShardName},
    ring::Ring,
    topology::{ShardState, Topology},
};

/// Proposes to move to the new shard `name` the parts of the ring that its points cut out of the others', whoever
/// owns them by now. Nothing moves among the others.
///
/// # Errors
/// [`ProposeError::ShardExists`]; [`ProposeError::Weight`] unless `weight` is a finite number above 0.
pub fn add_shard(topology: &Topology, name: &ShardName, weight: f64) -> Result<Proposal, ProposeError> {
    if topology.shard_by_name(name.as_str()).is_some() {
        return Err(ProposeError::ShardExists(name.clone()));
    }
    if !(weight.is_finite() && weight > 0.0) {
        return Err(ProposeError::Weight(weight));
    }
    let own = spans_of(topology, name, weight);
    let mut all = Vec::new();
    for group in hash_groups(topology) {
        let arcs: Vec<_> = group.arcs.iter().filter(|arc| !arc.moving).collect();
        let spans: Vec<Span> = arcs.iter().map(|arc| Span::from(*arc)).collect();
        let taken = overlaps(&spans, &own).into_iter().map(|(arc, _, common)| {
            let owner = &topology.shard(arcs[arc].shard).name;
            (common, owner, name)
        });
        all.extend(moves(group.name, taken.collect()));
    }
    let mut weights = weights(topology);
    weights.push((name.clone(), weight));
    Ok(proposal(topology, all, &weights))
}

/// The new shard's part of the ring that all shards would make together; draining ones no longer count.
fn spans_of(topology: &Topology, name: &ShardName, weight: f64) -> Vec<Span> {
    let staying = topology.shards.iter().filter(|shard| shard.state != ShardState::Draining);
    let mut shards: Vec<(ShardName, f64)> = staying.map(|shard| (shard.name.clone(), shard.weight)).collect();
    let new = ShardIndex(shards.len() as u16);
    shards.push((name.clone(), weight));
    Ring::propose(&shards).iter().filter(|arc| arc.shard == new).map(Span::from).collect()
}

//! Drain: everything a shard owns goes to the others, each by its weight, nothing moves among them.

use super::{
    Proposal, ProposeError,
    holding::{hash_groups, moves, proposal, weights},
    rebalance::{Account, gets, transfer, weight},
};
use pgring_config::{
    ids::{GroupName, ShardIndex, ShardName},
    topology::{Group, Placement, Topology},
};

/// Proposes to move every arc of `shard` to the other active shards: first to those that own least for their weight.
///
/// # Errors
/// [`ProposeError::UnknownShard`]; [`ProposeError::NoTaker`] if no other active shard has a weight.
pub fn drain(topology: &Topology, shard: &ShardName) -> Result<Proposal, ProposeError> {
    let source = topology.shard_by_name(shard.as_str()).ok_or_else(|| ProposeError::UnknownShard(shard.clone()))?;
    let others = topology.shards.iter().enumerate().filter(|(at, _)| *at != usize::from(source.0));
    let total: f64 = others.filter_map(|(_, other)| weight(other)).sum();
    if total <= 0.0 {
        return Err(ProposeError::NoTaker);
    }
    let mut all = Vec::new();
    for group in hash_groups(topology) {
        let owned = group.shares(topology.shards.len());
        let amount: f64 = group.pieces(source).iter().map(|piece| piece.weight).sum();
        let accounts = accounts(topology, source, &owned, total);
        let mut gives = vec![0.0; owned.len()];
        gives[usize::from(source.0)] = amount;
        all.extend(moves(group.name, transfer(topology, &group, &gives, &gets(&accounts, amount))));
    }
    let stays = topology.groups.iter().flatten().filter(|group| keeps(group, source)).map(|group| group.name.clone());
    let stays: Vec<GroupName> = stays.collect();
    Ok(Proposal { stays, ..proposal(topology, all, &weights(topology)) })
}

/// The drained shard takes nothing; of the others only the active ones take.
fn accounts(topology: &Topology, source: ShardIndex, owned: &[f64], total: f64) -> Vec<Account> {
    let target = |at: usize| {
        let is_source = at == usize::from(source.0);
        if is_source { None } else { topology.shards.get(at).and_then(weight).map(|weight| weight / total) }
    };
    owned.iter().enumerate().map(|(at, owned)| Account { owned: *owned, target: target(at) }).collect()
}

/// Something of `group` stays on `shard` that no move of arcs takes away.
fn keeps(group: &Group, shard: ShardIndex) -> bool {
    match &group.placement {
        Placement::Hash { arcs, pinned } => {
            pinned.values().any(|owner| *owner == shard) || arcs.iter().any(|arc| arc.moving && arc.shard == shard)
        }
        Placement::Range(ranges) => ranges.iter().any(|range| range.shard == shard),
        Placement::Directory { keys, default } => *default == Some(shard) || keys.values().any(|owner| *owner == shard),
    }
}

//! Load: what was measured, by arc and by shard. In: samples that somebody else took. Out: sums. Never: a clock, a
//! server, an opinion on what is too much.

use crate::span::Span;
use pgring_config::{
    ids::{GroupIndex, ShardIndex},
    topology::{Placement, Topology},
};

/// Load of a part of a group's ring. The parts of one measurement do not overlap; they need not be the arcs that the
/// topology has by now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArcLoad {
    /// Colocation group.
    pub group: GroupIndex,
    /// Where.
    pub arc: Span,
    /// Size of the rows there, in bytes.
    pub bytes: u64,
    /// Statements per second that touched them.
    pub queries_per_s: f64,
}

/// Load of the arcs that a shard owns: not of its local and reference tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShardLoad {
    /// Which.
    pub shard: ShardIndex,
    /// Size of its arcs, in bytes.
    pub bytes: f64,
    /// Statements per second on its arcs.
    pub queries_per_s: f64,
}

/// Sums up `loads` by the shards that own the arcs now; one entry per shard, in their order. A measured part that
/// was cut since counts for each owner by its width.
pub fn by_shard(topology: &Topology, loads: &[ArcLoad]) -> Vec<ShardLoad> {
    let mut sums: Vec<ShardLoad> = (0..topology.shards.len())
        .map(|at| ShardLoad { shard: ShardIndex(at as u16), bytes: 0.0, queries_per_s: 0.0 })
        .collect();
    for load in loads {
        let Some(Placement::Hash { arcs, .. }) = topology.group(load.group).map(|group| &group.placement) else {
            continue;
        };
        for arc in arcs {
            let Some(common) = Span::from(arc).overlap(load.arc) else { continue };
            let Some(sum) = sums.get_mut(usize::from(arc.shard.0)) else { continue };
            let part = common.width() as f64 / load.arc.width() as f64;
            sum.bytes += load.bytes as f64 * part;
            sum.queries_per_s += load.queries_per_s * part;
        }
    }
    sums
}

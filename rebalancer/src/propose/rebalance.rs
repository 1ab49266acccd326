//! Rebalance: ownership follows the weights again, by the least that has to move.

use super::{
    Proposal,
    holding::{DUST, HashGroup, Piece, hash_groups, moves, proposal, take, weights},
};
use crate::span::Span;
use pgring_config::{
    ids::{ShardIndex, ShardName},
    topology::{Shard, ShardState, Topology},
};

/// How far a share may be from its target, as a part of the target: 5 %, less what rounding could add.
const TOLERANCE: f64 = 0.0499;

/// What a shard owns of a group, and what it should.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// Part of the ring, `0..=1`.
    pub(super) owned: f64,
    /// Part of the ring it should own; None: it neither gives nor takes.
    pub(super) target: Option<f64>,
}

/// Proposes moves after which each active shard owns its weight's part of every group placed by HASH, to within
/// 5 % of that part. A group that is within already is left alone; in another one only what is too much or too
/// little moves, to the edge of the tolerance. Draining shards give all they have; inactive and failed ones keep it.
pub fn rebalance_by_weight(topology: &Topology) -> Proposal {
    let mut all = Vec::new();
    for group in hash_groups(topology) {
        let accounts = accounts(topology, &group);
        let amount = least_to_move(&accounts);
        if amount > DUST {
            let taken = transfer(topology, &group, &gives(&accounts, amount), &gets(&accounts, amount));
            all.extend(moves(group.name, taken));
        }
    }
    proposal(topology, all, &weights(topology))
}

/// Weight that counts: of an active shard, if it is a number above 0.
pub(super) fn weight(shard: &Shard) -> Option<f64> {
    (shard.state == ShardState::Active && shard.weight.is_finite() && shard.weight > 0.0).then_some(shard.weight)
}

/// What each shard owns and should own; without any active shard nobody gives or takes.
fn accounts(topology: &Topology, group: &HashGroup<'_>) -> Vec<Account> {
    let owned = group.shares(topology.shards.len());
    let total: f64 = topology.shards.iter().filter_map(weight).sum();
    let takes_part = |shard: &Shard| weight(shard).is_some() || shard.state == ShardState::Draining;
    let free: f64 =
        topology.shards.iter().zip(&owned).filter(|(shard, _)| takes_part(shard)).map(|(_, owned)| owned).sum();
    let target = |shard: &Shard| {
        (total > 0.0 && takes_part(shard)).then(|| weight(shard).map_or(0.0, |weight| free * weight / total))
    };
    topology.shards.iter().zip(owned).map(|(shard, owned)| Account { owned, target: target(shard) }).collect()
}

/// The least part of the ring that has to move: all that is above the tolerance must go, all that is missing below
/// it must come.
fn least_to_move(accounts: &[Account]) -> f64 {
    let given = |account: &Account| account.target.map_or(0.0, |t| (account.owned - t * (1.0 + TOLERANCE)).max(0.0));
    let missed = |account: &Account| account.target.map_or(0.0, |t| (t * (1.0 - TOLERANCE) - account.owned).max(0.0));
    accounts.iter().map(given).sum::<f64>().max(accounts.iter().map(missed).sum())
}

/// What each shard gives when `amount` leaves: those with most for their target go down to one common level.
fn gives(accounts: &[Account], amount: f64) -> Vec<f64> {
    let above = |level: f64| -> Vec<f64> {
        accounts.iter().map(|account| account.target.map_or(0.0, |t| (account.owned - level * t).max(0.0))).collect()
    };
    above(bisect(|level| above(level).iter().sum::<f64>() <= amount, ceiling(accounts)))
}

/// What each shard gets when `amount` arrives: those with least for their target rise to one common level.
pub(super) fn gets(accounts: &[Account], amount: f64) -> Vec<f64> {
    let below = |level: f64| -> Vec<f64> {
        accounts.iter().map(|account| account.target.map_or(0.0, |t| (level * t - account.owned).max(0.0))).collect()
    };
    below(bisect(|level| below(level).iter().sum::<f64>() >= amount, ceiling(accounts)))
}

/// A level that no shard is above and that could take everything.
fn ceiling(accounts: &[Account]) -> f64 {
    let targets = accounts.iter().filter_map(|account| account.target.filter(|target| *target > 0.0));
    let least = targets.fold(1.0, f64::min);
    2.0 / least
}

/// The least level up to `ceiling` at which `is_enough`, which holds from some level on.
fn bisect(is_enough: impl Fn(f64) -> bool, ceiling: f64) -> f64 {
    let (mut low, mut high) = (0.0, ceiling);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if is_enough(middle) { high = middle } else { low = middle }
    }
    high
}

/// Takes from those that give and hands to those that get, the largest first on both sides. Who gives all it has is
/// left with no crumb by rounding.
pub(super) fn transfer<'a>(
    topology: &'a Topology,
    group: &HashGroup<'_>,
    gives: &[f64],
    gets: &[f64],
) -> Vec<(Span, &'a ShardName, &'a ShardName)> {
    let mut givers = largest_first(gives);
    let mut takers = largest_first(gets);
    let mut taken = Vec::new();
    for (giver, surplus) in &mut givers {
        let from = ShardIndex(*giver as u16);
        let mut pieces: Vec<Piece> = group.pieces(from);
        let gives_all = pieces.iter().map(|piece| piece.weight).sum::<f64>() <= *surplus * (1.0 + DUST);
        let mut last = None;
        for (taker, need) in &mut takers {
            let amount = surplus.min(*need);
            if amount <= DUST {
                continue;
            }
            let names = (&topology.shard(from).name, &topology.shards[*taker].name);
            taken.extend(take(&mut pieces, amount).into_iter().map(|span| (span, names.0, names.1)));
            *surplus -= amount;
            *need -= amount;
            last = Some(names);
        }
        let crumbs =
            last.filter(|_| gives_all).map(|(from, to)| pieces.iter().map(move |piece| (piece.span, from, to)));
        taken.extend(crumbs.into_iter().flatten());
    }
    taken
}

/// The shards that have an amount, the largest first.
fn largest_first(amounts: &[f64]) -> Vec<(usize, f64)> {
    let all = amounts.iter().copied().enumerate();
    let mut some: Vec<_> = all.filter(|(_, amount)| *amount > DUST).collect();
    some.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    some
}

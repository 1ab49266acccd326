//! Route: which shards answer one execution of a plan. In: a plan, bound keys, one topology. Out: shards.
//! Never: reads SQL, knows a backend, guesses.

pub mod bind;

use crate::{
    error::{Report, catalogue},
    plan::{KeySource, Recipe, Sharded},
};
use bind::{Bound, Values};
use pgring_config::{
    ids::{GroupIndex, ShardIndex},
    topology::Topology,
};
use std::collections::BTreeSet;

/// Where a statement over a sharded group goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To one shard.
    One(ShardIndex),
    /// To several, in order.
    Many(Vec<ShardIndex>),
    /// Its parts lead to different shards, and it must not be split.
    Apart,
}

enum Shards {
    None,
    Some(BTreeSet<ShardIndex>),
    All,
    Apart,
}

/// Resolves the recipe of `plan` for one set of values.
///
/// # Errors
/// 23502 if a row to be written has no key; 57P03 if nobody owns its key.
pub fn resolve(plan: &Sharded, values: &Values<'_>, topology: &Topology) -> Result<Route, Report> {
    if let Recipe::One(source) = &plan.recipe
        && let Bound::Key(key) = values.key(source)
    {
        return match topology.owner(plan.group, &key) {
            Some(shard) => Ok(Route::One(shard)),
            None if plan.insert => Err(no_owner()),
            None => Ok(Route::One(anywhere(plan.group, topology))),
        };
    }
    let resolver = Resolver { group: plan.group, insert: plan.insert, values, topology };
    resolver.route(&plan.recipe)
}

/// The shards whose rows a recipe leads to, for reading; none when no row can match.
pub fn shards(group: GroupIndex, recipe: &Recipe, values: &Values<'_>, topology: &Topology) -> Vec<ShardIndex> {
    let resolver = Resolver { group, insert: false, values, topology };
    match resolver.shards(recipe) {
        Ok(Shards::None) => vec![],
        Ok(Shards::Some(shards)) => shards.into_iter().collect(),
        Ok(Shards::All | Shards::Apart) | Err(_) => topology.all_owners(group).to_vec(),
    }
}

/// The shard of a row that is to be written, by the way to its key; None: that cannot be said.
///
/// # Errors
/// 23502 if the row has no key; 57P03 if nobody owns it.
pub fn of_row(
    group: GroupIndex,
    key: &Recipe,
    values: &Values<'_>,
    topology: &Topology,
) -> Result<Option<ShardIndex>, Report> {
    match (Resolver { group, insert: true, values, topology }).shards(key)? {
        Shards::Some(shards) if shards.len() == 1 => Ok(shards.first().copied()),
        // It is no value of the key's type: any server says so.
        Shards::None => Ok(Some(anywhere(group, topology))),
        _ => Ok(None),
    }
}

/// A shard for a statement that no row can match: its columns and errors are the same on each.
fn anywhere(group: GroupIndex, topology: &Topology) -> ShardIndex {
    topology.all_owners(group).first().copied().unwrap_or(topology.default_shard)
}

pub(crate) fn no_owner() -> Report {
    Report::new(catalogue::NO_OWNER).hint("Give the key an owner with ADD RANGE or ASSIGN KEY.")
}

struct Resolver<'a> {
    group: GroupIndex,
    /// For rows that are to be written.
    insert: bool,
    values: &'a Values<'a>,
    topology: &'a Topology,
}

impl Resolver<'_> {
    fn route(&self, recipe: &Recipe) -> Result<Route, Report> {
        let several: Vec<ShardIndex> = match self.shards(recipe)? {
            Shards::None => vec![],
            Shards::Apart => return Ok(Route::Apart),
            Shards::All => self.topology.all_owners(self.group).to_vec(),
            Shards::Some(shards) => shards.into_iter().collect(),
        };
        Ok(match several.as_slice() {
            [] => Route::One(anywhere(self.group, self.topology)),
            [one] => Route::One(*one),
            _ => Route::Many(several),
        })
    }

    fn shards(&self, recipe: &Recipe) -> Result<Shards, Report> {
        match recipe {
            Recipe::Every => Ok(Shards::All),
            Recipe::Nothing => Ok(Shards::None),
            Recipe::NullKey => Err(null_key()),
            Recipe::Apart => Ok(Shards::Apart),
            Recipe::One(source) => self.one(source),
            Recipe::AnyOf(source) => Ok(self.any_of(source)),
            Recipe::All(parts) => {
                let mut all = Shards::All;
                for part in parts {
                    all = intersect(all, self.shards(part)?);
                }
                Ok(all)
            }
            Recipe::Either(parts) => {
                let mut either = Shards::None;
                for part in parts {
                    either = unite(either, self.shards(part)?);
                }
                Ok(either)
            }
            Recipe::Same(parts) => self.same(parts),
        }
    }

    fn one(&self, source: &KeySource) -> Result<Shards, Report> {
        match self.values.key(source) {
            Bound::Key(key) => match self.topology.owner(self.group, &key) {
                Some(shard) => Ok(Shards::Some(BTreeSet::from([shard]))),
                None if self.insert => Err(no_owner()),
                None => Ok(Shards::None),
            },
            Bound::Null if self.insert => Err(null_key()),
            Bound::Null | Bound::NoKey => Ok(Shards::None),
            Bound::Uncertain if self.insert => Ok(Shards::Apart),
            Bound::Uncertain => Ok(Shards::All),
        }
    }

    fn any_of(&self, source: &KeySource) -> Shards {
        match self.values.array(source) {
            Some(keys) => Shards::Some(keys.iter().filter_map(|key| self.topology.owner(self.group, key)).collect()),
            None => Shards::All,
        }
    }

    /// All parts lead to one and the same shard; parts that lead nowhere agree with every shard.
    fn same(&self, parts: &[Recipe]) -> Result<Shards, Report> {
        let mut shard = None;
        for part in parts {
            let found = match self.shards(part)? {
                Shards::None => continue,
                Shards::Some(shards) if shards.is_empty() => continue,
                Shards::Some(shards) if shards.len() == 1 => shards.first().copied(),
                Shards::All if self.topology.all_owners(self.group).len() == 1 => {
                    self.topology.all_owners(self.group).first().copied()
                }
                _ => return Ok(Shards::Apart),
            };
            if *shard.get_or_insert(found) != found {
                return Ok(Shards::Apart);
            }
        }
        Ok(shard.flatten().map_or(Shards::None, |shard| Shards::Some(BTreeSet::from([shard]))))
    }
}

pub(crate) fn null_key() -> Report {
    Report::new(catalogue::NULL_KEY).hint("A row of a sharded table needs a value in its shard key.")
}

fn intersect(a: Shards, b: Shards) -> Shards {
    match (a, b) {
        (Shards::Apart, _) | (_, Shards::Apart) => Shards::Apart,
        (Shards::None, _) | (_, Shards::None) => Shards::None,
        (Shards::All, other) | (other, Shards::All) => other,
        (Shards::Some(a), Shards::Some(b)) => Shards::Some(a.intersection(&b).copied().collect()),
    }
}

fn unite(a: Shards, b: Shards) -> Shards {
    match (a, b) {
        (Shards::Apart, _) | (_, Shards::Apart) => Shards::Apart,
        (Shards::None, other) | (other, Shards::None) => other,
        (Shards::All, _) | (_, Shards::All) => Shards::All,
        (Shards::Some(mut a), Shards::Some(b)) => {
            a.extend(b);
            Shards::Some(a)
        }
    }
}

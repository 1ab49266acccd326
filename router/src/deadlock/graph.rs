//! Graph: who waits for whom. In: waits. Out: the transactions to be ended so that no circle is left. Never: a circle
//! that one server sees by itself.

use std::collections::{BTreeMap, BTreeSet};

/// A client of a router.
pub(super) type Node = (String, i32);

/// One waits for another.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) waiter: Node,
    pub(super) holder: Node,
    pub(super) shard: String,
}

/// All waits of one moment.
#[derive(Debug, Default)]
pub(super) struct Graph {
    waits: BTreeMap<Node, Vec<Wait>>,
    /// When the transactions began, in seconds.
    began: BTreeMap<Node, f64>,
}

impl Graph {
    pub(super) fn add(&mut self, wait: Wait) {
        if wait.waiter != wait.holder {
            self.waits.entry(wait.waiter.clone()).or_default().push(wait);
        }
    }

    /// A client's transaction began on a shard at this time; it began with the first of these.
    pub(super) fn began(&mut self, node: &Node, at: f64) {
        self.began.entry(node.clone()).and_modify(|began| *began = began.min(at)).or_insert(at);
    }

    /// The youngest of each circle over several shards, in an order that is the same for everybody.
    pub(super) fn victims(mut self) -> Vec<Node> {
        let mut victims = Vec::new();
        while let Some(circle) = self.circle() {
            let shards: BTreeSet<&str> = circle.iter().map(|wait| wait.shard.as_str()).collect();
            let several = shards.len() > 1;
            let began = |wait: &Wait| self.began.get(&wait.waiter).copied().unwrap_or(f64::MAX);
            let youngest = circle.iter().max_by(|a, b| began(a).total_cmp(&began(b)).then(a.waiter.cmp(&b.waiter)));
            let Some(youngest) = youngest.map(|wait| wait.waiter.clone()) else { break };
            self.waits.remove(&youngest);
            if several {
                victims.push(youngest);
            }
        }
        victims
    }

    /// A circle, if there is one.
    fn circle(&self) -> Option<Vec<Wait>> {
        let mut done = BTreeSet::new();
        self.waits.keys().find_map(|start| self.from(start, &mut Vec::new(), &mut done))
    }

    fn from(&self, node: &Node, path: &mut Vec<Wait>, done: &mut BTreeSet<Node>) -> Option<Vec<Wait>> {
        if let Some(at) = path.iter().position(|wait| wait.waiter == *node) {
            return Some(path.split_off(at));
        }
        if done.contains(node) {
            return None;
        }
        for wait in self.waits.get(node).into_iter().flatten() {
            path.push(wait.clone());
            if let Some(circle) = self.from(&wait.holder, path, done) {
                return Some(circle);
            }
            path.pop();
        }
        done.insert(node.clone());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victims(waits: &[(i32, i32, &str)]) -> Vec<i32> {
        let node = |client: i32| ("r".to_owned(), client);
        let mut graph = Graph::default();
        for (waiter, holder, shard) in waits {
            // Who has the higher number began later.
            graph.began(&node(*waiter), f64::from(*waiter) + 5.0);
            graph.began(&node(*waiter), f64::from(*waiter));
            graph.add(Wait { waiter: node(*waiter), holder: node(*holder), shard: (*shard).to_owned() });
        }
        graph.victims().into_iter().map(|(_, client)| client).collect()
    }

    #[test]
    fn the_youngest_of_a_circle_over_shards_is_ended() {
        assert_eq!(victims(&[(1, 2, "s0"), (2, 1, "s1")]), [2]);
        assert_eq!(victims(&[(3, 1, "s0"), (1, 2, "s1"), (2, 3, "s2")]), [3]);
        assert_eq!(victims(&[(1, 2, "s0"), (2, 1, "s1"), (4, 3, "s0"), (3, 4, "s1")]), [2, 4]);
    }

    #[test]
    fn who_waits_without_a_circle_is_left_alone() {
        assert!(victims(&[]).is_empty());
        assert!(victims(&[(1, 2, "s0"), (2, 3, "s1"), (1, 3, "s1")]).is_empty());
        assert!(victims(&[(1, 1, "s0")]).is_empty());
    }

    #[test]
    fn a_circle_on_one_shard_is_that_servers_own_matter() {
        assert!(victims(&[(1, 2, "s0"), (2, 1, "s0")]).is_empty());
        // One who waits for members of it is in no circle either.
        assert!(victims(&[(1, 2, "s0"), (2, 1, "s0"), (3, 1, "s1")]).is_empty());
    }

    #[test]
    fn one_end_can_break_several_circles() {
        assert_eq!(victims(&[(1, 3, "s0"), (3, 1, "s1"), (2, 3, "s0"), (3, 2, "s1")]), [3]);
    }
}

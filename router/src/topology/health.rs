//! Health: which shards of a database answer. In: what probes found. Out: the shards that do not answer, and why.
//! Never: probes; decides what a statement does about it.

use pgring_config::ids::ShardName;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// What the last probe of each shard found.
#[derive(Debug, Default)]
pub struct Health {
    faults: Mutex<BTreeMap<ShardName, Option<String>>>,
}

impl Health {
    /// Notes what a probe found: nothing, or why the shard does not serve. True if that is another state than before.
    pub fn note(&self, shard: &ShardName, fault: Option<String>) -> bool {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let before = faults.insert(shard.clone(), fault.clone());
        before.is_none_or(|before| before.is_some() != fault.is_some())
    }

    /// Forgets shards that are no longer there.
    pub fn keep(&self, is_there: impl Fn(&ShardName) -> bool) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).retain(|shard, _| is_there(shard));
    }

    /// Whether the last probe of a shard was answered; None before the first.
    pub fn is_up(&self, shard: &ShardName) -> Option<bool> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(shard).map(Option::is_none)
    }

    /// The shards that do not answer, by name, each with the reason.
    pub fn down(&self) -> Vec<(ShardName, String)> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().filter_map(|(shard, fault)| Some((shard.clone(), fault.clone()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_of_state_is_news() {
        let (health, shard) = (Health::default(), ShardName::from("s0"));
        assert_eq!(health.is_up(&shard), None);
        assert!(health.note(&shard, None));
        assert!(!health.note(&shard, None));
        assert!(health.note(&shard, Some("refused".into())));
        assert!(!health.note(&shard, Some("timed out".into())));
        assert_eq!(health.down(), [(shard.clone(), "timed out".to_owned())]);
        health.keep(|_| false);
        assert_eq!((health.is_up(&shard), health.down()), (None, vec![]));
    }
}

//! Flights: the transactions over several shards that this router is committing at this moment; recovery leaves them
//! alone. In: a commit that begins. Out: its name and secret, until it is dropped. Never: ends one.

use pgring_config::{gid::Gid, ids::ShardName};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What this process commits over several shards.
#[derive(Debug)]
pub struct Flights {
    incarnation: Box<str>,
    number: AtomicU64,
    gids: Mutex<HashSet<Gid>>,
}

impl Default for Flights {
    fn default() -> Self {
        let incarnation = format!("{:016x}", rand::random::<u64>()).into();
        Self { incarnation, number: AtomicU64::new(1), gids: Mutex::default() }
    }
}

impl Flights {
    /// Name of this life of the process: no other has it.
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// Begins a commit.
    pub fn take_off(self: &Arc<Self>, cluster: &str, decider: &ShardName) -> Flight {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let secret = format!("{:032x}", rand::random::<u128>());
        let gid = Gid::new(cluster, &self.incarnation, number, &secret, decider);
        self.gids.lock().unwrap_or_else(PoisonError::into_inner).insert(gid.clone());
        Flight { gid, secret, home: self.clone() }
    }

    /// It is being committed at this moment.
    pub fn has(&self, gid: &Gid) -> bool {
        self.gids.lock().unwrap_or_else(PoisonError::into_inner).contains(gid)
    }
}

/// A transaction that has ended on some shards only, or nowhere yet.
#[derive(Clone, Debug, PartialEq)]
pub struct InDoubt {
    /// Its name.
    pub gid: Gid,
    /// Where it is prepared, or lost.
    pub shard: Box<str>,
    /// Seconds since it was prepared.
    pub age: f64,
    /// `commit`, `abort`, `unknown` (not decided, or the decider cannot be asked) or `lost`.
    pub decision: &'static str,
}

/// A commit under way; when this is dropped, recovery may see to what is left of it.
pub struct Flight {
    /// Its name.
    pub gid: Gid,
    /// What proves to a shard that it may be decided.
    pub secret: String,
    home: Arc<Flights>,
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flight").field("gid", &self.gid).finish_non_exhaustive()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.home.gids.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_known_until_it_ends() {
        let flights = Arc::new(Flights::default());
        let flight = flights.take_off("shop", &ShardName::from("s1"));
        let gid = flight.gid.clone();
        assert!(flights.has(&gid));
        assert_eq!(Gid::parse(gid.as_str(), "shop").expect("a gid").incarnation(), flights.incarnation());
        assert!(!format!("{flight:?}").contains(&flight.secret), "secrets are not shown");
        drop(flight);
        assert!(!flights.has(&gid));
    }
}

//! Statements: which prepared statements a backend holds, bounded, the least recently used thrown out first.

use std::collections::HashMap;

/// Names a prepared statement on every backend: equal text and types have equal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatementId(pub u64);

impl StatementId {
    /// Its name on a backend.
    pub fn name(self) -> String {
        format!("pgring_{}", self.0)
    }
}

/// The statements of one backend.
#[derive(Debug)]
pub struct Statements {
    used: HashMap<StatementId, u64>,
    clock: u64,
    most: usize,
}

impl Statements {
    /// Room for `most` statements (at least one).
    pub fn new(most: usize) -> Self {
        Self { used: HashMap::new(), clock: 0, most: most.max(1) }
    }

    /// Holds this statement; counts as a use.
    pub fn touch(&mut self, id: StatementId) -> bool {
        self.clock += 1;
        match self.used.get_mut(&id) {
            Some(at) => {
                *at = self.clock;
                true
            }
            None => false,
        }
    }

    /// Adds a statement; returns the one that must be closed to make room.
    pub fn add(&mut self, id: StatementId) -> Option<StatementId> {
        self.clock += 1;
        let out = if self.used.len() >= self.most && !self.used.contains_key(&id) {
            self.used.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id)
        } else {
            None
        };
        if let Some(out) = out {
            self.used.remove(&out);
        }
        self.used.insert(id, self.clock);
        out
    }

    /// Forgets a statement (its Parse failed).
    pub fn remove(&mut self, id: StatementId) {
        self.used.remove(&id);
    }

    /// Forgets all (DISCARD ALL, DEALLOCATE ALL).
    pub fn clear(&mut self) {
        self.used.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut held = Statements::new(2);
        assert_eq!(held.add(StatementId(1)), None);
        assert_eq!(held.add(StatementId(2)), None);
        assert!(held.touch(StatementId(1)));
        assert_eq!(held.add(StatementId(3)), Some(StatementId(2)));
        assert!(!held.touch(StatementId(2)));
        assert!(held.touch(StatementId(1)));
    }
}

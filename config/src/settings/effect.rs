//! Effect: which keys are read and checked, but do nothing yet.
//! In: the keys that a file gave. Out: those that a start-up warning names. Never: refuses one.

use super::Settings;

/// Keys (or sections) without an effect so far, and what they wait for. A line goes when its part is built.
pub(super) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("cluster", "several routers"),
    ("users.tier", "the cache of results"),
    ("users.read_only", "settings per user"),
    ("databases.gather", "statements over several shards"),
    ("databases.shards.backup", "failover"),
    ("databases.shards.replicas", "replicas"),
    ("databases.spares", "the rebalancer"),
    ("read_routing", "replicas"),
    ("failover.buffer", "failover"),
    ("failover.buffer_timeout", "failover"),
    ("failover.promote", "failover"),
    ("failover.fence_command", "failover"),
    ("cache", "the cache of results"),
    ("rebalancer", "the rebalancer"),
    ("http", "SQL over HTTP"),
    ("monitor", "the monitor"),
    ("log.otlp", "traces"),
];

impl Settings {
    /// Keys that the file gives another value than their default and that have no effect yet, each with the part of
    /// pgring that is still missing.
    pub fn without_effect_yet(&self) -> Vec<(String, &'static str)> {
        let rows = self.show_rows();
        let is_part = |key: &str, of: &str| {
            key.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let changed = |key: &&String| rows.iter().any(|row| row.changed && is_part(key, &row.key));
        let waits = |key: &String| waits_for(&without_indices(key)).map(|part| (key.clone(), part));
        self.given.iter().filter(changed).filter_map(waits).collect()
    }
}

/// What a key (without indices) waits for, if it has no effect yet.
pub(super) fn waits_for(key: &str) -> Option<&'static str> {
    let is_in = |section: &str| key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    WITHOUT_EFFECT.iter().find(|(section, _)| is_in(section)).map(|(_, part)| *part)
}

/// `databases[0].shards[1].name` as `databases.shards.name`.
fn without_indices(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut inside = false;
    for c in key.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

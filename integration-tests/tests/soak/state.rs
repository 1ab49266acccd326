//! What a client has set and asked for, as PostgreSQL would have it after each of its statements.

use std::collections::{BTreeMap, BTreeSet};

/// Settings that clients change.
pub(crate) const SETTINGS: [&str; 6] =
    ["application_name", "search_path", "work_mem", "soak.own", "timezone", "datestyle"];

/// What goes with the transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Settings of the session; one that is not here is at its default.
    pub(crate) settings: BTreeMap<&'static str, String>,
    /// Settings of the transaction.
    pub(crate) local: BTreeMap<&'static str, String>,
    pub(crate) is_soaker: bool,
    pub(crate) has_temp: bool,
    pub(crate) listens: BTreeSet<u8>,
    /// Steps of the counter and rows that are not committed yet.
    pub(crate) counted: u64,
    pub(crate) copied: u64,
}

impl State {
    /// The value of a setting.
    pub(crate) fn value(&self, name: &str, defaults: &BTreeMap<&'static str, String>) -> String {
        let value = self.local.get(name).or(self.settings.get(name)).or(defaults.get(name));
        value.cloned().unwrap_or_default()
    }

    /// SET and RESET (no value).
    pub(crate) fn set(&mut self, name: &'static str, value: Option<String>) {
        self.local.remove(name);
        match value {
            Some(value) => self.settings.insert(name, value),
            None => self.settings.remove(name),
        };
    }

    /// What DISCARD ALL leaves.
    pub(crate) fn discard(&mut self) {
        *self = Self { counted: self.counted, copied: self.copied, ..Self::default() };
    }
}

//! Source: where a value of a statement is found, by its place in the text or among the parameters.
//! Never: the value of a parameter.

use pgring_config::key::KeyValue;

/// Where a value comes from when a plan is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The literal in this slot of the fingerprint; `negative`: with a minus sign before it.
    Slot {
        /// Index into the fingerprint's slots.
        slot: u32,
        /// A unary minus stands before it.
        negative: bool,
    },
    /// Parameter `$n`, n from 1.
    Parameter(u16),
    /// Known at planning (used where a plan is not shared).
    Key(KeyValue),
}

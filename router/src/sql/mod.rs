//! Sql: text → facts. Nobody below or above touches the syntax tree.

pub mod fingerprint;
pub mod verb;
pub mod words;

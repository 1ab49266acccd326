//! Sql: text → facts. Nobody below or above touches the syntax tree.

pub mod facts;
pub mod fingerprint;
mod lower;
pub mod parse;
pub mod rewrite;
pub mod source;
pub mod verb;
pub mod volatility;
pub mod words;

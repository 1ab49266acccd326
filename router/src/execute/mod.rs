//! Execute: a routed plan becomes frames for the client.

pub mod frontend;
pub mod relay;
pub mod scatter;

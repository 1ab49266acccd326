//! Execute: a routed plan becomes frames for the client.

pub mod compare;
mod copy_in;
pub mod copy_out;
pub mod dml;
pub mod explain;
pub mod explained;
pub mod frontend;
pub mod gather;
mod lane;
pub mod reference;
pub mod relay;
pub mod scatter;
pub mod shape;
pub mod splice;
pub mod split;
pub mod views;
pub mod watch;

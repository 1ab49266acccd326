//! PostgreSQL's wire protocol 3.x, both directions: bytes of a client or a server → typed messages, and back.
//! In: sockets and buffers. Out: frames, messages, authenticated connections. Never: a shard, SQL grammar, policy.
//!
//! Chapter "Frontend/Backend Protocol" of the PostgreSQL manual is the reference. Reading never panics: every length
//! is checked before it is used, and before anything is allocated for it.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic))]

pub mod sqlstate;
pub mod quote;
pub mod frame;
pub mod message;
pub mod md5;
pub mod sasl;
pub mod certificate;
pub mod tls;
pub mod stream;
pub mod credentials;
pub mod frontend;
pub mod backend;
pub mod cancel;

//! The pgring router: sessions, planner, pools, executors. Modules stand in the order of the floors, the top
//! first; a module imports only modules further down this list (`tests/floors.rs` keeps it).

pub mod command;
pub mod serve;
pub mod http;
pub mod listen;
pub mod session;
pub mod admin;
pub mod execute;
pub mod txn;
pub mod route;
pub mod auth;
pub mod keeper;
pub mod deadlock;
pub mod recovery;
pub mod sequences;
pub mod control;
pub mod cluster;
pub mod notify;
pub mod pool;
pub mod plan;
pub mod merge;
pub mod copy;
pub mod sql;
pub mod topology;
pub mod registry;
pub mod metrics;
pub mod error;
pub mod failpoint;

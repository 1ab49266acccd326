//! The kit: real PostgreSQL servers, a real `pgring` in front of them, clients of every kind, and an oracle to compare with.
//! In: what a test wishes to exist. Out: a cluster that is gone when the test is, also after a panic.
//! Never: reaches into the router; it uses the program as a user has it.
//!
//! The kit panics where a test could not go on, with what went wrong; the router's log is printed with a test's panic.
//!
//! ```no_run
//! use pgring_integration_tests::{Cluster, shards};
//! # async fn example() {
//! let cluster = Cluster::start(shards(4)).await;
//! cluster.admin("SHARD TABLE t BY (id)").await;
//! let client = cluster.client().await;
//! client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY)").await.expect("a table");
//! # }
//! ```

pub mod client;
pub mod script;
pub mod postgres;
pub mod router;
pub mod cluster;
pub mod oracle;
pub mod faults;
pub mod generator;
pub mod program;
pub mod drivers;

pub use cluster::{Cluster, ClusterOptions, shards};
pub use postgres::Postgres;
pub use router::Router;

//! What exists and who owns which rows: the settings (TOML) and the topology (shards, ring, arcs, tables),
//! with the catalog that keeps the topology in PostgreSQL. Serves nobody: no client, no statement, no policy.

pub mod settings;
pub mod ids;
pub mod units;
pub mod key;
pub mod token;
pub mod ring;
pub mod arcs;
pub mod tables;
pub mod topology;
pub mod gid;
pub mod error;
pub mod catalog;

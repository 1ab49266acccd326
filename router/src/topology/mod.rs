//! Topology: what this router knows of a database: schema, health, placement.

pub mod health;
pub mod read;
pub mod schema;

//! The `pgring` command.
fn main() {}

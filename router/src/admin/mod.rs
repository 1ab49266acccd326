//! Admin: the commands that operate pgring. In: admin SQL. Out: commands, then rows. Never: SQL of applications.

pub mod parse;

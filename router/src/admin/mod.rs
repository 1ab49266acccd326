//! Admin: the commands that operate pgring. In: one command and who gives it. Out: a table, or an error. Never: SQL
//! of applications, a row of a user's table.
//!
//! A command is read by `parse`, judged and carried out by `run`: placement is changed in `placement`, this process
//! in `service`, moves are only proposed (`plan_moves`); `show` has a file for each SHOW. `desk` is the admin
//! database: one client's connection to all this.

pub mod desk;
mod fault;
mod in_doubt;
pub mod parse;
mod placement;
mod plan_moves;
mod run;
mod service;
pub mod show;
mod survey;
mod time;
mod verify;

pub use desk::encode;
pub use fault::catalog_report;
pub use run::{columns, fields_of, ruled_table, run};

use crate::cluster::{Database, User};
use pgring_protocol::message::result::Field;
use std::sync::Arc;

/// OIDs of the types that columns here have.
pub mod oid {
    /// boolean
    pub const BOOL: u32 = 16;
    /// integer
    pub const INT4: u32 = 23;
    /// bigint
    pub const INT8: u32 = 20;
    /// text
    pub const TEXT: u32 = 25;
    /// double precision
    pub const FLOAT8: u32 = 701;
    /// timestamp with time zone
    pub const TIMESTAMPTZ: u32 = 1184;
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Its name.
    pub name: &'static str,
    /// OID of its type, one of [`oid`].
    pub type_oid: u32,
}

impl ColumnSpec {
    const fn text(name: &'static str) -> Self {
        Self { name, type_oid: oid::TEXT }
    }

    const fn int8(name: &'static str) -> Self {
        Self { name, type_oid: oid::INT8 }
    }

    const fn float8(name: &'static str) -> Self {
        Self { name, type_oid: oid::FLOAT8 }
    }

    const fn bool(name: &'static str) -> Self {
        Self { name, type_oid: oid::BOOL }
    }

    const fn time(name: &'static str) -> Self {
        Self { name, type_oid: oid::TIMESTAMPTZ }
    }

    /// As a RowDescription has it, in text format.
    pub fn field(&self) -> Field {
        let type_size = match self.type_oid {
            oid::BOOL => 1,
            oid::INT8 | oid::FLOAT8 | oid::TIMESTAMPTZ => 8,
            _ => -1,
        };
        Field {
            name: self.name.to_owned(),
            table_oid: 0,
            column: 0,
            type_oid: self.type_oid,
            type_size,
            type_modifier: -1,
            format: 0,
        }
    }
}

/// A row: the values as text, None is NULL.
pub type Row = Vec<Option<String>>;

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<ColumnSpec>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Text of the CommandComplete, as the admin database sends it.
    pub tag: String,
}

impl Table {
    /// Its columns as a RowDescription has them, in text format.
    pub fn fields(&self) -> Vec<Field> {
        self.columns.iter().map(ColumnSpec::field).collect()
    }
}

/// Who gives a command, and where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub user: Arc<User>,
    /// The database that the command is about; None: not said, and several could be meant.
    pub database: Option<Arc<Database>>,
    /// Inside a transaction block.
    pub in_transaction: bool,
}

/// A value that is there.
fn some(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// A boolean as PostgreSQL writes it.
fn boolean(value: bool) -> Option<String> {
    Some(if value { "t" } else { "f" }.to_owned())
}

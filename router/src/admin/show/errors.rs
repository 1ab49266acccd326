//! SHOW ERRORS: every error that pgring itself raises.

use super::{super::some, ColumnSpec, Row};
use crate::error::catalogue;

pub(super) const COLUMNS: &[ColumnSpec] =
    &[ColumnSpec::text("number"), ColumnSpec::text("sqlstate"), ColumnSpec::text("message")];

pub(super) fn rows() -> Vec<Row> {
    let row = |entry: &catalogue::Entry| {
        vec![some(format!("PGR-{:04}", entry.number)), some(entry.sqlstate), some(entry.message)]
    };
    catalogue::ALL.iter().map(row).collect()
}

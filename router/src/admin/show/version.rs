//! SHOW VERSION: what runs here.

use super::{super::some, ColumnSpec, Row};

pub(super) const COLUMNS: &[ColumnSpec] = &[ColumnSpec::text("version")];

pub(super) fn rows() -> Vec<Row> {
    vec![vec![some(format!("pgring {}", env!("CARGO_PKG_VERSION")))]]
}

//! SHOW CONFIG: every key of the configuration with its value; secrets are masked.

use super::{
    super::{boolean, some},
    ColumnSpec, Row, View,
};

pub(super) const COLUMNS: &[ColumnSpec] =
    &[ColumnSpec::text("key"), ColumnSpec::text("value"), ColumnSpec::text("default"), ColumnSpec::bool("changed")];

pub(super) fn rows(view: &View) -> Vec<Row> {
    let rows = view.cluster.settings.load().show_rows();
    rows.into_iter().map(|row| vec![some(row.key), some(row.value), some(row.default), boolean(row.changed)]).collect()
}

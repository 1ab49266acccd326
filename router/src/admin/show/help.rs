//! SHOW HELP: every admin command.

use super::{
    super::{parse::GRAMMAR, some},
    ColumnSpec, Row,
};

pub(super) const COLUMNS: &[ColumnSpec] = &[ColumnSpec::text("command"), ColumnSpec::text("description")];

pub(super) fn rows() -> Vec<Row> {
    GRAMMAR.iter().map(|(command, description)| vec![some(command), some(description)]).collect()
}

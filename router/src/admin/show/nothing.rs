//! What there is nothing of yet: the columns of topics whose rows come with later parts of pgring.

use super::{super::fault::unknown, ColumnSpec};
use crate::error::Report;

pub(super) const OPERATIONS: &[ColumnSpec] = &[
    ColumnSpec::text("id"),
    ColumnSpec::text("kind"),
    ColumnSpec::text("state"),
    ColumnSpec::text("source"),
    ColumnSpec::text("target"),
    ColumnSpec::int8("rows_done"),
    ColumnSpec::int8("rows_total"),
    ColumnSpec::int8("bytes_done"),
    ColumnSpec::int8("lag_bytes"),
    ColumnSpec::float8("eta_s"),
    ColumnSpec::float8("pause_ms"),
    ColumnSpec::time("started"),
    ColumnSpec::text("error"),
    ColumnSpec::int8("leftover_rows"),
];

pub(super) const RECOMMENDATIONS: &[ColumnSpec] = &[
    ColumnSpec::text("id"),
    ColumnSpec::text("condition"),
    ColumnSpec::text("action"),
    ColumnSpec::text("parameters"),
    ColumnSpec::text("expected_improvement"),
    ColumnSpec::text("risk"),
    ColumnSpec::text("state"),
];

pub(super) const QUERIES: &[ColumnSpec] =
    &[ColumnSpec::text("query"), ColumnSpec::int8("calls"), ColumnSpec::float8("mean_ms"), ColumnSpec::text("route")];

pub(super) const CACHE_ENTRIES: &[ColumnSpec] =
    &[ColumnSpec::text("policy"), ColumnSpec::text("query"), ColumnSpec::int8("bytes"), ColumnSpec::float8("age_s")];

pub(super) const CACHE_POLICIES: &[ColumnSpec] =
    &[ColumnSpec::text("name"), ColumnSpec::text("match"), ColumnSpec::text("strategy"), ColumnSpec::text("ttl")];

pub(super) const WHY_NOT_CACHED: &[ColumnSpec] =
    &[ColumnSpec::text("query"), ColumnSpec::text("reason"), ColumnSpec::int8("count")];

pub(super) const ALERTS: &[ColumnSpec] =
    &[ColumnSpec::time("at"), ColumnSpec::text("severity"), ColumnSpec::text("subject"), ColumnSpec::text("message")];

pub(super) const AUDIT: &[ColumnSpec] =
    &[ColumnSpec::time("at"), ColumnSpec::text("username"), ColumnSpec::text("command"), ColumnSpec::text("result")];

pub(super) const FAULT_POINTS: &[ColumnSpec] = &[ColumnSpec::text("name")];

/// No operation has this id: there are none.
pub(super) fn no_operation(id: &str) -> Report {
    unknown("operation", id, "SHOW OPERATIONS lists the operations.")
}

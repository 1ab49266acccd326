//! Fault: what went wrong below, as a client of the admin commands sees it. In: errors of parser, catalog, planner and
//! survey. Out: reports. Never: decides what to do about it.

use super::parse::AdminSyntaxError;
use crate::error::{
    Report,
    catalogue::{self, Entry},
};
use pgring_config::error::CatalogError;
use pgring_rebalancer::propose::ProposeError;

/// What the catalog answered, as a client sees it.
pub fn catalog_report(error: &CatalogError) -> Report {
    let (entry, hint) = catalog_entry(error);
    let report = Report::with(entry, error.to_string());
    match hint {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

fn catalog_entry(error: &CatalogError) -> (Entry, Option<&'static str>) {
    match error {
        CatalogError::Connection(_)
        | CatalogError::Unreachable(_)
        | CatalogError::Sql(_)
        | CatalogError::Foreign { .. }
        | CatalogError::TooNew { .. }
        | CatalogError::NotSeeded
        | CatalogError::Damaged(_)
        | CatalogError::DamagedMap { .. } => (catalogue::CATALOG_UNAVAILABLE, None),
        CatalogError::UnknownShard(_) => (catalogue::UNKNOWN_OBJECT, Some("SHOW SHARDS lists the shards.")),
        CatalogError::UnknownTable(_) => {
            (catalogue::UNKNOWN_TABLE, Some("SHOW TABLES lists the tables that are sharded or reference tables."))
        }
        CatalogError::Weight(_) => (catalogue::PARAMETER_VALUE, None),
        CatalogError::GroupNeeded(_) => {
            (catalogue::WRONG_STATE, Some("Name a group with IN GROUP, or a table with COLOCATE WITH."))
        }
        CatalogError::OtherRule { .. } => {
            (catalogue::WRONG_STATE, Some("UNSHARD TABLE takes the rule back while the table is empty."))
        }
        CatalogError::Undecided(_) => (catalogue::WRONG_STATE, Some("Make the table first: CREATE TABLE.")),
        CatalogError::KeyAssigned(_) => (catalogue::WRONG_STATE, Some("MOVE KEY moves the rows of a key.")),
        CatalogError::ShardExists(_)
        | CatalogError::ShardOwns { .. }
        | CatalogError::NoActiveShard
        | CatalogError::NotSharded(_)
        | CatalogError::OtherStrategy { .. }
        | CatalogError::OtherFamily { .. }
        | CatalogError::Range { .. }
        | CatalogError::TooMany => (catalogue::WRONG_STATE, None),
    }
}

impl From<AdminSyntaxError> for Report {
    fn from(error: AdminSyntaxError) -> Self {
        let detail = format!("at character {} of the command", error.position);
        Self::with(catalogue::ADMIN_SYNTAX, error.message).detail(detail).hint(error.hint)
    }
}

impl From<ProposeError> for Report {
    fn from(error: ProposeError) -> Self {
        let entry = match &error {
            ProposeError::UnknownShard(_) => catalogue::UNKNOWN_OBJECT,
            ProposeError::Weight(_) => catalogue::PARAMETER_VALUE,
            ProposeError::ShardExists(_) | ProposeError::NoTaker => catalogue::WRONG_STATE,
        };
        Self::with(entry, error.to_string())
    }
}

/// A command of the grammar whose effect is not built.
pub(super) fn not_built(what: &str, hint: &str) -> Report {
    Report::with(catalogue::NOT_BUILT, format!("{what} is not available yet")).hint(hint)
}

/// No object of this kind has this name.
pub(super) fn unknown(kind: &str, name: &str, hint: &str) -> Report {
    Report::with(catalogue::UNKNOWN_OBJECT, format!("{kind} \"{name}\" does not exist")).hint(hint)
}

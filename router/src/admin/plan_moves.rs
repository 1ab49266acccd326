//! Plan moves: what would move, as DRY RUN prints it. In: a topology and a command. Out: rows. Never: moves a row.

use super::{ColumnSpec, Row, fault::not_built, parse::RebalanceBy, parse::SplitTarget};
use crate::error::Report;
use pgring_config::{ids::ShardName, topology::Topology};
use pgring_rebalancer::propose::{Proposal, add, drain, rebalance, split};
use std::time::{SystemTime, UNIX_EPOCH};

/// Columns of a proposal.
pub(super) const COLUMNS: &[ColumnSpec] = &[
    ColumnSpec::int8("step"),
    ColumnSpec::text("group"),
    ColumnSpec::int8("arc_start"),
    ColumnSpec::int8("arc_end"),
    ColumnSpec::float8("share"),
    ColumnSpec::text("from"),
    ColumnSpec::text("to"),
];

/// What ADD SHARD and REBALANCE would move to a new shard.
pub(super) fn add(topology: &Topology, name: &str, weight: Option<f64>) -> Result<Vec<Row>, Report> {
    Ok(rows(&add::add_shard(topology, &ShardName::new(name), weight.unwrap_or(1.0))?))
}

/// What REBALANCE would move.
pub(super) fn rebalance(topology: &Topology, by: Option<RebalanceBy>) -> Result<Vec<Row>, Report> {
    match by {
        None | Some(RebalanceBy::Weight) => Ok(rows(&rebalance::rebalance_by_weight(topology))),
        Some(RebalanceBy::Load | RebalanceBy::Size) => {
            Err(not_built("REBALANCE by load or size", "REBALANCE BY WEIGHT DRY RUN shows what weights ask for."))
        }
    }
}

/// What SPLIT SHARD would move.
pub(super) fn split(topology: &Topology, shard: &str, target: &SplitTarget) -> Result<Vec<Row>, Report> {
    let onto = match target {
        SplitTarget::Unnamed => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            ShardName::new(format!("{shard}_split_{now}"))
        }
        SplitTarget::New(name) => match topology.shard_by_name(name) {
            Some(_) => {
                return Err(pgring_rebalancer::propose::ProposeError::ShardExists(ShardName::new(name.as_str())).into());
            }
            None => ShardName::new(name.as_str()),
        },
        SplitTarget::Existing(name) => match topology.shard_by_name(name) {
            Some(_) => ShardName::new(name.as_str()),
            None => {
                return Err(
                    pgring_rebalancer::propose::ProposeError::UnknownShard(ShardName::new(name.as_str())).into()
                );
            }
        },
    };
    Ok(rows(&split::split_shard(topology, &ShardName::new(shard), &onto, None)?))
}

/// What DRAIN SHARD would move.
pub(super) fn drain(topology: &Topology, shard: &str) -> Result<Vec<Row>, Report> {
    Ok(rows(&drain::drain(topology, &ShardName::new(shard))?))
}

fn rows(proposal: &Proposal) -> Vec<Row> {
    proposal.rows().into_iter().map(Vec::from).collect()
}

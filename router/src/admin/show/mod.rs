//! Show: what there is and how it is, as tables. In: a topic. Out: rows under the columns of `interfaces.md`; figures
//! that are not measured are NULL. Never: a secret, a wait on a server beyond a second.

mod cache;
mod clients;
mod config;
mod errors;
mod groups;
mod help;
mod in_doubt;
mod locks;
mod monitor;
mod nothing;
mod pins;
mod pools;
mod replicas;
mod ring;
mod routers;
mod servers;
mod shards;
mod stats;
mod tables;
mod transactions;
mod version;

use super::{Caller, ColumnSpec, Row, Table, parse::ShowTopic, run::listed, some};
use crate::{
    cluster::{Cluster, Database},
    error::Report,
    failpoint,
};
use std::sync::Arc;

/// What a SHOW looks at.
struct View {
    cluster: Arc<Cluster>,
    /// The databases it is about.
    databases: Vec<Arc<Database>>,
}

/// The columns of a topic.
pub fn columns(topic: &ShowTopic) -> &'static [ColumnSpec] {
    match topic {
        ShowTopic::Shards => shards::COLUMNS,
        ShowTopic::Replicas => replicas::COLUMNS,
        ShowTopic::Ring => ring::COLUMNS,
        ShowTopic::Tables => tables::COLUMNS,
        ShowTopic::Groups => groups::COLUMNS,
        ShowTopic::Operations | ShowTopic::Operation(_) => nothing::OPERATIONS,
        ShowTopic::Routers => routers::COLUMNS,
        ShowTopic::Pools => pools::COLUMNS,
        ShowTopic::Clients => clients::COLUMNS,
        ShowTopic::Servers => servers::COLUMNS,
        ShowTopic::Pins => pins::COLUMNS,
        ShowTopic::Queries => nothing::QUERIES,
        ShowTopic::Stats => stats::COLUMNS,
        ShowTopic::Cache => cache::COLUMNS,
        ShowTopic::CacheEntries => nothing::CACHE_ENTRIES,
        ShowTopic::CachePolicies => nothing::CACHE_POLICIES,
        ShowTopic::WhyNotCached => nothing::WHY_NOT_CACHED,
        ShowTopic::Transactions => transactions::COLUMNS,
        ShowTopic::InDoubt => in_doubt::COLUMNS,
        ShowTopic::Locks => locks::COLUMNS,
        ShowTopic::Monitor(_) => monitor::COLUMNS,
        ShowTopic::Alerts => nothing::ALERTS,
        ShowTopic::Recommendations => nothing::RECOMMENDATIONS,
        ShowTopic::Audit => nothing::AUDIT,
        ShowTopic::Config => config::COLUMNS,
        ShowTopic::Errors => errors::COLUMNS,
        ShowTopic::Help => help::COLUMNS,
        ShowTopic::Version => version::COLUMNS,
        ShowTopic::FaultPoints => nothing::FAULT_POINTS,
    }
}

/// The rows of a topic.
pub(super) async fn show(cluster: &Arc<Cluster>, caller: &Caller, topic: &ShowTopic) -> Result<Table, Report> {
    let databases = caller.database.clone().map_or_else(|| listed(cluster), |database| vec![database]);
    let view = View { cluster: cluster.clone(), databases };
    let rows = match topic {
        ShowTopic::Shards => shards::rows(&view).await,
        ShowTopic::InDoubt => in_doubt::rows(&view).await,
        ShowTopic::Locks => locks::rows(&view).await,
        ShowTopic::Routers => routers::rows(&view).await,
        topic => rows(&view, topic)?,
    };
    Ok(Table { columns: columns(topic).to_vec(), rows, tag: "SHOW".to_owned() })
}

/// What needs no server.
fn rows(view: &View, topic: &ShowTopic) -> Result<Vec<Row>, Report> {
    Ok(match topic {
        ShowTopic::Replicas => replicas::rows(view),
        ShowTopic::Ring => ring::rows(view),
        ShowTopic::Tables => tables::rows(view),
        ShowTopic::Groups => groups::rows(view),
        ShowTopic::Operation(id) => return Err(nothing::no_operation(id)),
        ShowTopic::Pools => pools::rows(view),
        ShowTopic::Clients => clients::rows(view),
        ShowTopic::Servers => servers::rows(view),
        ShowTopic::Pins => pins::rows(view),
        ShowTopic::Stats => stats::rows(view),
        ShowTopic::Cache => cache::rows(),
        ShowTopic::Transactions => transactions::rows(view),
        ShowTopic::Monitor(_) => monitor::rows(view),
        ShowTopic::Config => config::rows(view),
        ShowTopic::Errors => errors::rows(),
        ShowTopic::Help => help::rows(),
        ShowTopic::Version => version::rows(),
        ShowTopic::FaultPoints => failpoint::POINTS.iter().map(|name| vec![some(name)]).collect(),
        _ => Vec::new(),
    })
}

//! tmp
use crate::cluster::{Cluster, Database};
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct KeeperError;
pub async fn refresh_topology(_: &Database, _: &Cluster) -> Result<(), KeeperError> {
    Ok(())
}
pub async fn refresh_schema(_: &Database) -> Result<(), KeeperError> {
    Ok(())
}

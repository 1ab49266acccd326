//! Admin
pub mod parse;
use crate::{cluster::*, error::*};
use std::sync::Arc;
pub struct Caller {
    pub user: Arc<User>,
    pub database: Option<Arc<Database>>,
    pub in_transaction: bool,
}
pub struct Table {
    pub rows: Vec<Vec<Option<String>>>,
}
impl Table {
    pub fn fields(&self) -> Vec<pgring_protocol::message::result::Field> {
        vec![]
    }
}
pub async fn run(_: &Arc<Cluster>, _: &Caller, _: &str) -> Result<Table, Report> {
    Err(Report::new(catalogue::NOT_BUILT))
}
pub fn fields_of(_: &str) -> Vec<pgring_protocol::message::result::Field> {
    vec![]
}
pub fn catalog_report(_: &pgring_config::error::CatalogError) -> Report {
    Report::new(catalogue::NOT_BUILT)
}

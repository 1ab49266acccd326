//! Verify: whether the copies of a reference table are alike. In: a table's name. Out: which shards differ from the
//! default one, and in how many rows they do at the least. Never: a row that is changed; a writer between two copies.

use super::{fault::not_built, parse::TableRef, placement::table_name, run::Outcome, survey::Server};
use crate::{
    cluster::Database,
    error::{Report, catalogue},
};
use pgring_config::tables::{TableKind, TableName};
use pgring_protocol::quote;
use std::sync::Arc;

/// What a copy holds: the number of its rows, and a sum over them that does not depend on their order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Digest {
    rows: i64,
    sum: String,
}

/// VERIFY TABLE
pub(super) async fn table(database: &Arc<Database>, table: &TableRef, dry_run: bool) -> Result<Outcome, Report> {
    let table = table_name(table);
    let snapshot = database.snapshot().clone();
    let topology = &snapshot.topology;
    match topology.kind(&table) {
        TableKind::Reference => {}
        TableKind::Local if snapshot.schema.relation(&table).is_none() => {
            return Err(Report::with(catalogue::UNKNOWN_TABLE, format!("relation \"{table}\" does not exist")));
        }
        TableKind::Local => {
            let message = format!("table {table} is on the default shard only");
            return Err(Report::with(catalogue::WRONG_STATE, message).hint("REFERENCE TABLE makes copies of it."));
        }
        TableKind::Sharded(_) => {
            return Err(not_built("VERIFY TABLE of a sharded table", "pgring.shard_of() tells where a row belongs."));
        }
    }
    if dry_run {
        return Ok(Outcome::would(format!("The copies of {table} would be compared.")));
    }
    let default = usize::from(topology.default_shard.0);
    let mut order: Vec<usize> = (0..topology.shards.len()).collect();
    order.sort_by_key(|at| (*at != default, *at));
    let mut held = vec![];
    for at in order {
        let shard = &topology.shards[at];
        let server = Server::connect(database, shard).await?;
        lock(&server, &table).await?;
        held.push((server, shard.name.to_string()));
    }
    let mut found = vec![];
    for (server, name) in &held {
        found.push((name, digest(server, &table).await?));
    }
    let Some(((first, right), others)) = found.split_first() else { return Ok(Outcome::done()) };
    let differs =
        |(name, digest): &&(&String, Digest)| (digest != right).then(|| format!("{name} has {} rows", digest.rows));
    let unlike: Vec<String> = others.iter().filter_map(|copy| differs(&copy)).collect();
    if unlike.is_empty() {
        return Ok(Outcome::done().hint(format!("{} shards have the same {} rows.", found.len(), right.rows)));
    }
    Err(Report::with(catalogue::WRONG_STATE, format!("the copies of {table} differ"))
        .detail(format!("{first} has {} rows; unlike it: {}", right.rows, unlike.join(", ")))
        .hint("Writes go through pgring only. Copy the rows of the default shard to the others."))
}

fn quoted(table: &TableName) -> String {
    format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name))
}

/// Keeps writers away until the connection ends; those that are not over on every shard are waited for.
async fn lock(server: &Server, table: &TableName) -> Result<(), Report> {
    let sql = format!("BEGIN; LOCK TABLE {} IN SHARE MODE", quoted(table));
    server.client.batch_execute(&sql).await.map_err(|error| server.failed(&error))
}

async fn digest(server: &Server, table: &TableName) -> Result<Digest, Report> {
    let sql = format!(
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {} AS t",
        quoted(table)
    );
    let row = server.client.query_one(&sql, &[]).await.map_err(|error| server.failed(&error))?;
    Ok(Digest { rows: row.get(0), sum: row.get(1) })
}

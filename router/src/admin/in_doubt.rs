//! In doubt: RESOLVE TRANSACTION, the last resort for a transaction whose decider is gone for good. In: a gid and an
//! outcome. Out: what was told. Never: an outcome of its own.

use super::{fault::unknown, run::Outcome};
use crate::{
    cluster::{Cluster, Database},
    error::{Report, catalogue},
    recovery::{self, Verdict},
};
use pgring_config::gid::Gid;
use std::sync::Arc;

const HINT: &str = "SHOW IN DOUBT lists the transactions that have not ended everywhere.";

/// Ends a transaction by hand on all shards.
pub(super) async fn resolve(
    cluster: &Cluster,
    database: &Arc<Database>,
    text: &str,
    commit: bool,
    dry_run: bool,
) -> Result<Outcome, Report> {
    let name = cluster.settings.load().general.cluster.to_string();
    let listed = recovery::in_doubt(cluster, database).await;
    let concerned = listed.iter().filter(|one| one.gid.as_str() == text).count();
    let gid = Gid::parse(text, &name).filter(|_| concerned > 0);
    let gid = gid.ok_or_else(|| unknown("transaction in doubt", text, HINT))?;
    let verdict = if commit { Verdict::Commit } else { Verdict::Abort };
    if dry_run {
        return Ok(Outcome::would(format!("{concerned} shards would be told to {verdict}.")));
    }
    let snapshot = database.snapshot().clone();
    let told = recovery::resolve(database, &snapshot, &gid, verdict).await.map_err(|error| {
        Report::with(catalogue::WRONG_STATE, "the transaction could not be ended on every shard")
            .detail(error.to_string())
            .hint("Say it again when every shard answers.")
    })?;
    database.note_lost(database.lost().into_iter().filter(|lost| lost.gid != gid).collect());
    Ok(Outcome::done().hint(format!("{told} shards were told.")))
}

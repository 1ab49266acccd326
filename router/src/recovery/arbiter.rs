//! Arbiter: one verdict for each transaction, and its execution on one shard. In: a gid. Out: a verdict that stands.
//! Never: another verdict than the one that was written first.

use super::{RecoveryError, Verdict, shards};
use crate::cluster::{Database, Snapshot};
use pgring_config::{gid::Gid, ids::ShardIndex};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, error::SqlState, types::ToSql};

/// How long a decider that is about to commit is waited for beyond the lock time-out before its session is ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a client waits for a decision to be read back, and for a shard to hear of it.
const READ_BACK: Duration = Duration::from_secs(5);
/// How often that is tried.
const AGAIN: Duration = Duration::from_millis(100);

const READ: &str = "SELECT verdict FROM pgring.decisions WHERE gid = $1";
const ABORT: &str =
    "INSERT INTO pgring.decisions (gid, verdict, finished) VALUES ($1, 'abort', true) ON CONFLICT DO NOTHING";

/// Asks the decider how a transaction ended; one that was not decided is aborted by this. None: it cannot be asked
/// within the patience that a client has.
pub async fn verdict(database: &Database, snapshot: &Snapshot, gid: &Gid) -> Option<Verdict> {
    let begun = Instant::now();
    loop {
        let found = async {
            let decider = decider(snapshot, gid)?;
            let client = shards::connect(database, snapshot, decider).await?;
            arbitrate(&client, database, snapshot, decider, gid).await
        };
        match found.await {
            Ok(verdict) => return Some(verdict),
            Err(error) if begun.elapsed() >= READ_BACK => {
                tracing::warn!(%gid, %error, "a transaction's decision cannot be read now");
                return None;
            }
            // A server that was killed is back soon.
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// The shard that decides.
pub(super) fn decider(snapshot: &Snapshot, gid: &Gid) -> Result<ShardIndex, RecoveryError> {
    let found = snapshot.topology.shard_by_name(gid.decider());
    found.ok_or_else(|| RecoveryError::UnknownShard(gid.decider().into()))
}

/// The verdict that stands on the decider; `abort`, if there is none.
pub(super) async fn arbitrate(
    client: &Client,
    database: &Database,
    snapshot: &Snapshot,
    decider: ShardIndex,
    gid: &Gid,
) -> Result<Verdict, RecoveryError> {
    if let Some(verdict) = read(client, gid).await? {
        return Ok(verdict);
    }
    match client.execute(ABORT, &[&gid.as_str()]).await {
        Ok(_) => {}
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            outwait(client, database, snapshot, decider, gid).await?;
        }
        Err(error) => return Err(error.into()),
    }
    let verdict = read(client, gid).await?;
    verdict.ok_or_else(|| RecoveryError::Unreadable("it is not there after it was written".into()))
}

/// What stands on the decider.
pub(super) async fn read(client: &Client, gid: &Gid) -> Result<Option<Verdict>, RecoveryError> {
    let row = client.query_opt(READ, &[&gid.as_str()]).await?;
    let Some(word) = row.map(|row| row.get::<_, String>(0)) else { return Ok(None) };
    Verdict::from_word(&word).map(Some).ok_or(RecoveryError::Unreadable(word))
}

/// The decider's session neither commits nor ends: it is ended, while the verdict waits for it.
async fn outwait(
    client: &Client,
    database: &Database,
    snapshot: &Snapshot,
    decider: ShardIndex,
    gid: &Gid,
) -> Result<(), RecoveryError> {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let other = shards::connect(database, snapshot, decider).await?;
    let end = async {
        tokio::time::sleep(PATIENCE).await;
        const END: &str = "SELECT pg_terminate_backend(holder) FROM unnest(pg_blocking_pids($1)) AS holder";
        if let Err(error) = other.query(END, &[&pid]).await {
            tracing::warn!(%gid, %error, "a session that holds up a decision could not be ended");
        }
    };
    let text = gid.as_str();
    let parameters: [&(dyn ToSql + Sync); 1] = [&text];
    let (written, ()) = tokio::join!(client.execute(ABORT, &parameters), end);
    written?;
    Ok(())
}

/// Ends a prepared transaction on a shard, as the role that prepared it. What is committed is waited for as long as a
/// client has patience: who reads there next should see it.
///
/// # Errors
/// [`RecoveryError::Lost`] where a committed transaction is neither prepared nor was committed.
pub async fn finish(
    database: &Database,
    snapshot: &Snapshot,
    shard: ShardIndex,
    gid: &Gid,
    verdict: Verdict,
) -> Result<(), RecoveryError> {
    let begun = Instant::now();
    loop {
        let finished = async { finish_on(&shards::connect(database, snapshot, shard).await?, gid, verdict).await };
        match finished.await {
            Err(RecoveryError::Control(_)) if verdict == Verdict::Commit && begun.elapsed() < READ_BACK => {
                tokio::time::sleep(AGAIN).await;
            }
            finished => return finished,
        }
    }
}

/// As [`finish`], over a connection that is there.
pub(super) async fn finish_on(client: &Client, gid: &Gid, verdict: Verdict) -> Result<(), RecoveryError> {
    const OWNER: &str =
        "SELECT quote_ident(owner) FROM pg_prepared_xacts WHERE gid = $1 AND database = current_database()";
    let owner = client.query_opt(OWNER, &[&gid.as_str()]).await?.map(|row| row.get::<_, String>(0));
    let Some(owner) = owner else { return ended(client, gid, verdict).await };
    let end = format!("{} PREPARED {}", verdict.verb(), gid.literal());
    // Who may not become the owner may be a superuser all the same.
    let became = client.batch_execute(&format!("SET ROLE {owner}")).await.is_ok();
    let done = client.batch_execute(&end).await;
    if became {
        client.batch_execute("RESET ROLE").await?;
    }
    match done {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => ended(client, gid, verdict).await,
        done => Ok(done?),
    }
}

/// A transaction that is not prepared there: another has ended it, or the shard has lost it.
async fn ended(client: &Client, gid: &Gid, verdict: Verdict) -> Result<(), RecoveryError> {
    const TOOK_PART: &str = "SELECT EXISTS (SELECT FROM pgring.participants WHERE gid = $1)";
    if verdict == Verdict::Abort || client.query_one(TOOK_PART, &[&gid.as_str()]).await?.get(0) {
        return Ok(());
    }
    Err(RecoveryError::Lost)
}

/// Ends a transaction by hand on every shard that can be reached, whatever was decided; returns how many were told.
///
/// # Errors
/// [`RecoveryError`] of the first shard that could not be told.
pub async fn resolve(
    database: &Database,
    snapshot: &Snapshot,
    gid: &Gid,
    verdict: Verdict,
) -> Result<usize, RecoveryError> {
    const WRITE: &str = "INSERT INTO pgring.decisions (gid, verdict, finished) VALUES ($1, $2, true)
        ON CONFLICT (gid) DO UPDATE SET verdict = $2, finished = true";
    let mut told = 0;
    if let Ok(decider) = decider(snapshot, gid) {
        let client = shards::connect(database, snapshot, decider).await?;
        client.execute(WRITE, &[&gid.as_str(), &verdict.word()]).await?;
    }
    for shard in (0..snapshot.topology.shards.len()).map(|at| ShardIndex(at as u16)) {
        let client = shards::connect(database, snapshot, shard).await?;
        const PREPARED: &str = "SELECT EXISTS (SELECT FROM pg_prepared_xacts WHERE gid = $1)";
        if client.query_one(PREPARED, &[&gid.as_str()]).await?.get(0) {
            finish_on(&client, gid, verdict).await?;
            told += 1;
        }
    }
    Ok(told)
}

//! Sequences: draws values for rows of sharded tables. A sequence has one counter, which is the default shard's own sequence, so
//! that `setval`, `RESTART`, `last_value`, limits, increments and cycles are PostgreSQL's. In: a sequence, how many. Out: values
//! that nobody else is given, neither by another router nor by a server. Never: on a client's connection; a value whose
//! being drawn a crash of the server could undo.

use crate::{
    cluster::{Database, Snapshot},
    control::{self, ControlError},
};
use std::sync::Arc;
use tokio_postgres::Client;

/// The number of a transaction makes its end wait until the log is on disk; else a sequence goes back in a crash to where
/// it stood, though rows elsewhere have its values.
const DURABLE: &str = "SET synchronous_commit = on";

/// The values that are wanted, and more where the sequence has them: one that ends is drawn to its end.
const DRAW: &str = "WITH s AS MATERIALIZED (
    SELECT s.seqrelid, s.seqcycle, pg_catalog.floor(CASE
        WHEN s.seqincrement > 0 THEN s.seqmax::numeric - coalesce(l.last, s.seqstart::numeric - s.seqincrement)
        ELSE coalesce(l.last, s.seqstart::numeric - s.seqincrement) - s.seqmin
    END / pg_catalog.abs(s.seqincrement::numeric)) AS left
    FROM pg_catalog.pg_sequence s, LATERAL (SELECT pg_catalog.pg_sequence_last_value(s.seqrelid)::numeric AS last) l
    WHERE s.seqrelid = $1)
SELECT pg_catalog.nextval(s.seqrelid::regclass), pg_catalog.pg_current_xact_id()::text
FROM s, LATERAL pg_catalog.generate_series(1,
    CASE WHEN s.seqcycle THEN $2 ELSE greatest($2, least($2 + $3, s.left)) END::int8)";

/// Values of `pgring.snowflake_id()`.
const SNOWFLAKES: &str = "SELECT pgring.snowflake_id() FROM pg_catalog.generate_series(1, $1)";

/// Draws `wanted` values of a sequence, by its OID on the default shard, in their order.
///
/// # Errors
/// The default shard's (2200H where the sequence ends), or that it does not answer.
pub async fn draw(
    database: &Database,
    snapshot: &Snapshot,
    sequence: u32,
    wanted: usize,
) -> Result<Vec<i64>, ControlError> {
    let mut drawn = database.windows.of(sequence).take(wanted);
    while drawn.len() < wanted {
        let voids = database.windows.voids();
        let window = database.windows.of(sequence);
        let _one_at_a_time = window.refill.lock().await;
        drawn.extend(window.take(wanted - drawn.len()));
        let missing = wanted - drawn.len();
        if missing == 0 {
            break;
        }
        let numbers = format!("{sequence}::oid");
        let sql = DRAW.replace("$1", &numbers).replace("$2", &missing.to_string());
        let sql = sql.replace("$3", &window.ahead().to_string());
        let values = ask(database, snapshot, &sql).await?;
        if database.windows.voids() == voids {
            window.put(values);
        }
    }
    Ok(drawn)
}

/// Values of `pgring.snowflake_id()`.
///
/// # Errors
/// The default shard's, or that it does not answer.
pub async fn snowflakes(database: &Database, snapshot: &Snapshot, wanted: usize) -> Result<Vec<i64>, ControlError> {
    ask(database, snapshot, &SNOWFLAKES.replace("$1", &wanted.to_string())).await
}

/// Asks the default shard for numbers; a connection that died while it was idle says so only when it is used.
async fn ask(database: &Database, snapshot: &Snapshot, sql: &str) -> Result<Vec<i64>, ControlError> {
    let topology = &snapshot.topology;
    let server: Arc<str> = topology.shard(topology.default_shard).connection.0.clone();
    if let Some(client) = database.windows.connection(&server)
        && let Ok(values) = numbers(&client, sql).await
    {
        database.windows.keep(&server, client);
        return Ok(values);
    }
    let client = control::connect(&server, &database.name, &database.server_tls).await?;
    client.batch_execute(DURABLE).await?;
    let values = numbers(&client, sql).await?;
    database.windows.keep(&server, client);
    Ok(values)
}

async fn numbers(client: &Client, sql: &str) -> Result<Vec<i64>, tokio_postgres::Error> {
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

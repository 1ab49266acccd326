//! Two-phase: what a shard keeps of transactions over several shards, so that any router can end them after a crash.
//! In: a connection of the service role. Out: tables and functions in schema `pgring` there. Never: ends a transaction.
//!
//! The commit of the *decider*, one of the shards that were written, is the decision: its transaction writes the row of
//! `pgring.decisions`. The others are prepared before, each with its own row in `pgring.participants`; so one that has
//! neither the prepared transaction nor the row of a committed transaction has lost it.

use tokio_postgres::Transaction;

/// Whether all of it is there.
const EXISTS: &str = "SELECT to_regprocedure('pgring.participate(text,text)') IS NOT NULL";

/// The decision's function takes a secret whose hash is in the gid, which any role can read in `pg_prepared_xacts`.
const OBJECTS: &str = "
CREATE TABLE IF NOT EXISTS pgring.decisions (
  gid text PRIMARY KEY,
  verdict text NOT NULL CHECK (verdict IN ('commit', 'abort')),
  participants text[] NOT NULL DEFAULT '{}',
  finished boolean NOT NULL DEFAULT false,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS decisions_unfinished ON pgring.decisions (at) WHERE NOT finished;
CREATE TABLE IF NOT EXISTS pgring.participants (
  gid text PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON pgring.decisions, pgring.participants FROM PUBLIC;
CREATE OR REPLACE FUNCTION pgring.prove(text, text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF substring($1 FROM '_([0-9a-f]{32})@') IS DISTINCT FROM left(encode(sha256(convert_to($2, 'UTF8')), 'hex'), 32) THEN
    RAISE EXCEPTION 'this is not the secret of the transaction' USING ERRCODE = '42501';
  END IF;
  PERFORM set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
    set_config('synchronous_commit',
      CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true);
END $body$;
CREATE OR REPLACE FUNCTION pgring.decide(text, text, text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM pgring.prove($1, $2);
  INSERT INTO pgring.decisions (gid, verdict, participants) VALUES ($1, 'commit', $3);
END $body$;
CREATE OR REPLACE FUNCTION pgring.participate(text, text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM pgring.prove($1, $2);
  INSERT INTO pgring.participants (gid) VALUES ($1);
END $body$;
REVOKE ALL ON FUNCTION pgring.prove(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgring.decide(text, text, text[]), pgring.participate(text, text) TO PUBLIC;
";

/// Makes what is missing there; the schema's lock is held.
pub(super) async fn install(transaction: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    if transaction.query_one(EXISTS, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    transaction.batch_execute(OBJECTS).await
}

//! Migrations: the catalog's tables, version by version. In: a catalog of any earlier version, or none. Out: this
//! build's version. Never: undoes one; edits one that was released (a change is a new migration).

use super::Catalog;
use crate::error::CatalogError;
use tokio_postgres::Transaction;

/// Key of the advisory lock that everyone holds who makes something in schema `pgring` of a database: "pgring".
pub(super) const SCHEMA_LOCK: i64 = 0x7067_7269_6e67;

/// All migrations in order; the first has version 1.
const MIGRATIONS: &[(&str, &str)] = &[("shards, groups, arcs, tables", FIRST), ("routers", ROUTERS)];

const LEDGER: &str = "
CREATE SCHEMA IF NOT EXISTS pgring;
CREATE TABLE IF NOT EXISTS pgring.schema_migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  applied timestamptz NOT NULL DEFAULT now()
);
REVOKE ALL ON pgring.schema_migrations FROM PUBLIC;
";

const FIRST: &str = "
CREATE TABLE pgring.meta (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  cluster text NOT NULL,
  database text NOT NULL,
  system_identifier bigint,
  timeline integer,
  created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE pgring.shards (
  number integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  weight double precision NOT NULL CHECK (weight > 0 AND weight <= 1000),
  zone text,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'inactive', 'draining', 'failed')),
  read_only boolean NOT NULL DEFAULT false,
  connection text NOT NULL
);
CREATE TABLE pgring.replicas (
  name text PRIMARY KEY,
  shard integer NOT NULL REFERENCES pgring.shards ON DELETE CASCADE,
  weight double precision NOT NULL CHECK (weight > 0 AND weight <= 1000),
  zone text,
  connection text NOT NULL
);
CREATE TABLE pgring.epoch (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  epoch bigint NOT NULL DEFAULT 0,
  tables_version bigint NOT NULL DEFAULT 0,
  next_shard integer NOT NULL DEFAULT 0,
  next_group integer NOT NULL DEFAULT 0,
  default_shard integer REFERENCES pgring.shards
);
INSERT INTO pgring.epoch DEFAULT VALUES;
CREATE TABLE pgring.groups (
  number integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  family text CHECK (family IN ('integer', 'text', 'uuid')),
  strategy text NOT NULL CHECK (strategy IN ('hash', 'range', 'directory')),
  default_shard integer REFERENCES pgring.shards
);
CREATE TABLE pgring.arcs (
  group_number integer NOT NULL REFERENCES pgring.groups ON DELETE CASCADE,
  arc_start bigint NOT NULL,
  arc_end bigint CHECK (arc_end > arc_start),
  shard integer NOT NULL REFERENCES pgring.shards,
  moving boolean NOT NULL DEFAULT false,
  PRIMARY KEY (group_number, arc_start)
);
CREATE TABLE pgring.ranges (
  group_number integer NOT NULL REFERENCES pgring.groups ON DELETE CASCADE,
  from_key text,
  to_key text,
  shard integer NOT NULL REFERENCES pgring.shards
);
CREATE INDEX ON pgring.ranges (group_number);
CREATE TABLE pgring.directory (
  group_number integer NOT NULL REFERENCES pgring.groups ON DELETE CASCADE,
  key text NOT NULL,
  token bigint NOT NULL,
  shard integer NOT NULL REFERENCES pgring.shards
);
CREATE INDEX ON pgring.directory (group_number, token);
CREATE TABLE pgring.tables (
  schema text NOT NULL,
  name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('sharded', 'reference')),
  state text NOT NULL CHECK (state IN ('planned', 'ready', 'moving')),
  group_number integer REFERENCES pgring.groups,
  key text,
  key_type oid,
  allow_local_unique boolean NOT NULL DEFAULT false,
  colocate_schema text,
  colocate_name text,
  PRIMARY KEY (schema, name),
  CHECK ((kind = 'sharded') = (key IS NOT NULL))
);
CREATE TABLE pgring.audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  username text NOT NULL,
  command text NOT NULL,
  result text NOT NULL
);
REVOKE ALL ON pgring.meta, pgring.epoch, pgring.shards, pgring.replicas, pgring.groups, pgring.arcs,
  pgring.ranges, pgring.directory, pgring.tables, pgring.audit FROM PUBLIC;
";

const ROUTERS: &str = "
CREATE TABLE pgring.routers (
  incarnation text PRIMARY KEY,
  address text NOT NULL,
  started timestamptz NOT NULL DEFAULT clock_timestamp(),
  renewed timestamptz NOT NULL DEFAULT clock_timestamp(),
  waits text NOT NULL DEFAULT ''
);
REVOKE ALL ON pgring.routers FROM PUBLIC;
";

impl Catalog {
    /// Brings the catalog to this build's version; several routers may do so at once.
    ///
    /// # Errors
    /// [`CatalogError::Foreign`] when it belongs to another cluster or database, [`CatalogError::TooNew`] when a
    /// newer pgring migrated it.
    pub async fn migrate(&self) -> Result<(), CatalogError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
        transaction.batch_execute(LEDGER).await?;
        let found: i32 =
            transaction.query_one("SELECT coalesce(max(version), 0) FROM pgring.schema_migrations", &[]).await?.get(0);
        let known = MIGRATIONS.len() as i32;
        if found > known {
            return Err(CatalogError::TooNew { found, known });
        }
        for (version, (name, sql)) in (1..).zip(MIGRATIONS).skip(found as usize) {
            transaction.batch_execute(sql).await?;
            const DONE: &str = "INSERT INTO pgring.schema_migrations (version, name) VALUES ($1, $2)";
            transaction.execute(DONE, &[&version, name]).await?;
            tracing::info!(version, name, "catalog migrated");
        }
        self.claim(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes down whose catalog this is, or makes sure that it is ours.
    async fn claim(&self, transaction: &Transaction<'_>) -> Result<(), CatalogError> {
        let owner = transaction.query_opt("SELECT cluster, database FROM pgring.meta", &[]).await?;
        if let Some(owner) = owner {
            let (cluster, database): (String, String) = (owner.get(0), owner.get(1));
            let ours = cluster == *self.cluster && database == *self.database;
            return if ours { Ok(()) } else { Err(CatalogError::Foreign { cluster, database }) };
        }
        let (system_identifier, timeline) = server_of(transaction).await?;
        const INSERT: &str =
            "INSERT INTO pgring.meta (cluster, database, system_identifier, timeline) VALUES ($1, $2, $3, $4)";
        transaction.execute(INSERT, &[&&*self.cluster, &&*self.database, &system_identifier, &timeline]).await?;
        Ok(())
    }
}

/// The server's system identifier and timeline, where the service role may ask for them.
async fn server_of(transaction: &Transaction<'_>) -> Result<(Option<i64>, Option<i32>), CatalogError> {
    const MAY_ASK: &str = "SELECT has_function_privilege('pg_control_system()', 'execute')
        AND has_function_privilege('pg_control_checkpoint()', 'execute')";
    if !transaction.query_one(MAY_ASK, &[]).await?.get::<_, bool>(0) {
        return Ok((None, None));
    }
    const ASK: &str = "SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()";
    let row = transaction.query_one(ASK, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

//! Survey: what a table is and holds on a server, asked by pgring's own connection. In: a shard's connection string.
//! Out: facts. Never: writes a row; a lock that outlives the survey.

use crate::{
    cluster::Database,
    control,
    error::{Report, catalogue},
};
use pgring_config::{tables::TableName, topology::Shard};
use pgring_protocol::quote;
use tokio_postgres::Client;

/// What each connection starts with.
const PREPARE: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'";

/// A connection to one server; it ends when this goes.
pub(super) struct Server {
    pub(super) client: Client,
    name: String,
}

/// A foreign key between two tables.
#[derive(Clone, Debug)]
pub(super) struct ForeignKey {
    /// Its name.
    pub(super) name: String,
    /// The table at the other end.
    pub(super) other: TableName,
    /// This table refers to the other one; false: it is referred to.
    pub(super) outgoing: bool,
    /// Its columns here and there, in pairs.
    pub(super) columns: Vec<(String, String)>,
}

/// A key column.
#[derive(Clone, Debug)]
pub(super) struct KeyColumn {
    /// `format_type()` of it.
    pub(super) type_name: String,
    /// Its collation is deterministic, or it has none.
    pub(super) deterministic: bool,
    /// A unique key that does not contain it, if there is one.
    pub(super) unique_without: Option<String>,
}

impl Server {
    /// Connects as pgring.
    pub(super) async fn connect(database: &Database, shard: &Shard) -> Result<Self, Report> {
        let name = shard.name.to_string();
        let client = control::connect(&shard.connection.0, &database.name, &database.server_tls).await;
        let client = client.map_err(|error| unavailable(&name, &error.to_string()))?;
        client.batch_execute(PREPARE).await.map_err(|error| failed(&name, &error))?;
        Ok(Self { client, name })
    }

    /// Turns an error of this server into what a client sees.
    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> Report {
        failed(&self.name, error)
    }

    /// OID of a table; None: there is no such table.
    pub(super) async fn table(&self, table: &TableName) -> Result<Option<u32>, Report> {
        const FIND: &str = "SELECT c.oid, c.relkind::text, c.relispartition OR EXISTS (
                SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";
        let found = self.client.query_opt(FIND, &[&&*table.schema, &&*table.name]).await;
        let Some(row) = found.map_err(|error| self.failed(&error))? else { return Ok(None) };
        let kind: &str = row.get(1);
        if !matches!(kind, "r" | "p") {
            return Err(Report::with(catalogue::WRONG_STATE, format!("{table} is not a table")));
        }
        if row.get(2) {
            return Err(Report::with(catalogue::SCHEMA_CHANGE, format!("{table} is a partition or inherits"))
                .hint("Shard the partitioned table itself."));
        }
        Ok(Some(row.get(0)))
    }

    /// Opens a transaction that keeps everybody else away from the table until [`Self::let_go`], and says whether
    /// it is empty.
    pub(super) async fn hold_and_look(&self, table: &TableName) -> Result<bool, Report> {
        let name = quoted(table);
        let lock = format!("BEGIN; LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE");
        self.client.batch_execute(&lock).await.map_err(|error| self.failed(&error))?;
        self.is_empty(table).await
    }

    /// Whether the table has no row.
    pub(super) async fn is_empty(&self, table: &TableName) -> Result<bool, Report> {
        let look = format!("SELECT NOT EXISTS (SELECT FROM {})", quoted(table));
        let row = self.client.query_one(&look, &[]).await.map_err(|error| self.failed(&error))?;
        Ok(row.get(0))
    }

    /// Ends the transaction. Statements that waited for the table were planned by what it was before: they are
    /// cancelled (57014), so that none of them writes to where it no longer belongs.
    pub(super) async fn let_go(&self) -> Result<(), Report> {
        const CANCEL: &str = "SELECT pg_cancel_backend(waiting.pid) FROM pg_locks AS held JOIN pg_locks AS waiting
            ON waiting.locktype = 'relation' AND waiting.database = held.database
                AND waiting.relation = held.relation AND NOT waiting.granted
            WHERE held.pid = pg_backend_pid() AND held.locktype = 'relation' AND held.granted
                AND held.mode = 'AccessExclusiveLock'";
        self.client.query(CANCEL, &[]).await.map_err(|error| self.failed(&error))?;
        self.client.batch_execute("COMMIT").await.map_err(|error| self.failed(&error))
    }

    /// What is to be known of a key column; None: the table has no such column.
    pub(super) async fn key_column(&self, table: u32, column: &str) -> Result<Option<KeyColumn>, Report> {
        const COLUMN: &str =
            "SELECT a.attnum, format_type(a.atttypid, a.atttypmod), coalesce(l.collisdeterministic, true)
            FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
            WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped";
        let found = self.client.query_opt(COLUMN, &[&table, &column]).await;
        let Some(row) = found.map_err(|error| self.failed(&error))? else { return Ok(None) };
        const UNIQUE: &str = "SELECT x.indexrelid::regclass::text
            FROM pg_index x LEFT JOIN pg_constraint con ON con.conindid = x.indexrelid AND con.contype = 'x'
            WHERE x.indrelid = $1 AND (x.indisunique OR x.indisexclusion) AND NOT EXISTS (
                SELECT FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                WHERE k.attnum = $2 AND k.place <= x.indnkeyatts
                    AND (con.oid IS NULL OR EXISTS (
                        SELECT FROM pg_operator o WHERE o.oid = con.conexclop[k.place] AND o.oprname = '=')))
            ORDER BY 1 LIMIT 1";
        let attnum: i16 = row.get(0);
        let unique = self.client.query_opt(UNIQUE, &[&table, &attnum]).await.map_err(|error| self.failed(&error))?;
        Ok(Some(KeyColumn {
            type_name: row.get(1),
            deterministic: row.get(2),
            unique_without: unique.map(|row| row.get(0)),
        }))
    }

    /// The foreign keys that begin or end at a table.
    pub(super) async fn foreign_keys(&self, table: u32) -> Result<Vec<ForeignKey>, Report> {
        const FIND: &str = "SELECT con.conname, n.nspname, c.relname, con.conrelid = $1,
                ARRAY(SELECT a.attname::text FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, place)
                    JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum ORDER BY k.place),
                ARRAY(SELECT a.attname::text FROM unnest(con.confkey) WITH ORDINALITY AS k (attnum, place)
                    JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.attnum ORDER BY k.place)
            FROM pg_constraint con
            JOIN pg_class c ON c.oid = CASE WHEN con.conrelid = $1 THEN con.confrelid ELSE con.conrelid END
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE con.contype = 'f' AND con.conparentid = 0 AND (con.conrelid = $1 OR con.confrelid = $1)
            ORDER BY con.conname";
        let rows = self.client.query(FIND, &[&table]).await.map_err(|error| self.failed(&error))?;
        let read = |row: &tokio_postgres::Row| {
            let (from, to): (Vec<String>, Vec<String>) = (row.get(4), row.get(5));
            let outgoing: bool = row.get(3);
            let columns =
                if outgoing { from.into_iter().zip(to).collect() } else { to.into_iter().zip(from).collect() };
            ForeignKey {
                name: row.get(0),
                other: TableName::new(row.get::<_, &str>(1), row.get::<_, &str>(2)),
                outgoing,
                columns,
            }
        };
        Ok(rows.iter().map(read).collect())
    }

    /// The encoding of the database.
    pub(super) async fn encoding(&self) -> Result<String, Report> {
        let row = self.client.query_one("SELECT current_setting('server_encoding')", &[]).await;
        Ok(row.map_err(|error| self.failed(&error))?.get(0))
    }
}

/// A table's name as it stands in SQL.
pub(super) fn quoted(table: &TableName) -> String {
    format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name))
}

fn unavailable(shard: &str, reason: &str) -> Report {
    Report::with(catalogue::SHARD_UNAVAILABLE, format!("shard \"{shard}\" is not available")).detail(reason)
}

fn failed(shard: &str, error: &tokio_postgres::Error) -> Report {
    match error.as_db_error() {
        Some(reported) if reported.code().code() == "55P03" => {
            Report::with(catalogue::WRONG_STATE, format!("the table is in use on shard \"{shard}\""))
                .hint("Try again when the transactions that use it have ended.")
        }
        Some(reported) => Report::with(catalogue::WRONG_STATE, reported.message())
            .sqlstate(reported.code().code())
            .detail(format!("said by shard \"{shard}\"")),
        None => unavailable(shard, &error.to_string()),
    }
}

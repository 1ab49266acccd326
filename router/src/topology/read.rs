//! Read: the system catalogs of one server (PostgreSQL 14 to 18) as a [`Schema`]. The first time all of them, later what
//! has changed. In: a connection. Out: the schema with its version. Never: a row of a user table; a guess: an order it does
//! not know is not that of bytes.

mod known;
mod rows;
mod within;

use super::schema::Schema;
use known::{Known, Missing};
use rows::{Changes, Details, Lists};
use std::sync::Arc;
use tokio_postgres::{Client, Statement};
pub use within::Within;

/// What has changed, and what there is.
const CHANGES: &str = include_str!("read/changes.sql");

/// All that hangs on some relations.
const RELATIONS: &str = include_str!("read/relations.sql");

/// Relations that are asked for at once.
const AT_ONCE: usize = 500;

/// Compiling the statements costs more than running them, and they are the same whatever is asked for. Names of users'
/// types and of what views read come with their schema.
const SETTINGS: &str = "SET jit = off; SET plan_cache_mode = force_generic_plan; SET search_path = pg_catalog";

/// Both statements of a reading see one snapshot, so that no DDL comes between two halves of a schema.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What goes wrong while a schema is read.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The server refused or went away; its SQLSTATE is in the source.
    #[error("the system catalogs cannot be read")]
    Server(#[from] tokio_postgres::Error),
    /// The answer does not have the form that was asked for.
    #[error("the system catalogs' list of {list} is malformed")]
    Malformed {
        /// Which of the lists.
        list: &'static str,
        /// What the decoder says.
        source: serde_json::Error,
    },
}

/// A connection that reads a schema again and again. After an error it is not to be used any more.
pub struct Reader {
    client: Client,
    changes: Statement,
    relations: Statement,
    known: Option<Known>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("known", &self.known.is_some()).finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of the database that `client` is connected to.
    ///
    /// # Errors
    /// [`SchemaError::Server`] with the server's SQLSTATE.
    pub async fn new(client: Client) -> Result<Self, SchemaError> {
        client.batch_execute(SETTINGS).await?;
        let (changes, relations) = tokio::try_join!(client.prepare(CHANGES), client.prepare(RELATIONS))?;
        Ok(Self { client, changes, relations, known: None })
    }

    /// Its connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The schema of this moment. `anew`: nothing of what was read before counts.
    ///
    /// # Errors
    /// [`SchemaError::Server`] with the server's SQLSTATE; [`SchemaError::Malformed`] if the answer cannot be read.
    pub async fn read(&mut self, anew: bool) -> Result<Arc<Schema>, SchemaError> {
        let mut known = self.known.take().filter(|_| !anew).unwrap_or_default();
        let (begun, changes) = tokio::join!(self.client.batch_execute(BEGIN), self.changes(&known));
        begun?;
        let mut changes = changes?;
        let missing = match known.missing(&changes) {
            Missing::Relations(missing) => missing,
            Missing::Everything => {
                known = Known::default();
                changes = self.changes(&known).await?;
                changes.relations.iter().copied().collect()
            }
        };
        let mut details = Vec::new();
        for some in missing.chunks(AT_ONCE) {
            details.push(self.details(some).await?);
        }
        self.client.batch_execute("COMMIT").await?;
        known.take(changes, details);
        let schema = known.schema();
        self.known = Some(known);
        Ok(schema)
    }

    /// The start of a reading within a transaction that sees more than others do; None before the first reading.
    pub fn within(&self) -> Option<Within> {
        self.known.clone().map(Within::new)
    }

    async fn changes(&self, known: &Known) -> Result<Changes, SchemaError> {
        let since = known.since().map(|since| since.to_string());
        Changes::of(&Lists::of(&self.client.query_one(&self.changes, &[&since]).await?)?)
    }

    async fn details(&self, relations: &[u32]) -> Result<Details, SchemaError> {
        let oids = list_of(relations);
        Details::of(&Lists::of(&self.client.query_one(&self.relations, &[&oids]).await?)?)
    }
}

/// OIDs as PostgreSQL reads an array.
fn list_of(oids: &[u32]) -> String {
    let oids: Vec<String> = oids.iter().map(u32::to_string).collect();
    format!("{{{}}}", oids.join(","))
}

//! Own schema: what the session's transaction has changed of the schema, and nobody else sees yet, and what code that it ran
//! may have. In: DDL that has run. Out: the snapshot that its statements are planned with. Never: a failed transaction.

use super::{Fault, Session, hold::Held};
use crate::{
    cluster::Snapshot,
    keeper,
    pool::conn::ConnError,
    sql::verb::first_word,
    topology::{read::SchemaError, schema::Schema},
    txn::Reach,
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// Changes of schema are planned with what was known before: migrations are long runs of them.
const CHANGES: &[&str] = &["ALTER", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE"];

/// What the reading itself does to the transaction is undone. Names come with their schema.
const SAVEPOINT: &str = "SAVEPOINT pgring_schema;SET LOCAL search_path = pg_catalog";
const UNDO: &str = "ROLLBACK TO SAVEPOINT pgring_schema;RELEASE SAVEPOINT pgring_schema";

/// Why the transaction's schema could not be read.
enum Unseen {
    Backend(ConnError),
    Malformed(SchemaError),
}

impl From<ConnError> for Unseen {
    fn from(error: ConnError) -> Self {
        Self::Backend(error)
    }
}

impl From<SchemaError> for Unseen {
    fn from(error: SchemaError) -> Self {
        Self::Malformed(error)
    }
}

impl Session {
    /// The snapshot that a statement is planned with at this moment.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        let now = self.database.snapshot();
        let Some(own) = self.txn.as_ref().and_then(|txn| txn.schema.as_ref()) else { return now.clone() };
        let mut hasher = DefaultHasher::new();
        (own.version, now.plans).hash(&mut hasher);
        Arc::new(Snapshot {
            topology: now.topology.clone(),
            schema: own.clone(),
            places: now.places.clone(),
            plans: hasher.finish(),
        })
    }

    /// What tells [`Session::snapshot`] of this moment from others that plans were made from.
    pub(super) fn plans(&self) -> u64 {
        if self.has_own_schema() { self.snapshot().plans } else { self.database.snapshot().plans }
    }

    /// Statements are planned with a schema of the transaction's own.
    pub(super) fn has_own_schema(&self) -> bool {
        self.txn.as_ref().is_some_and(|txn| txn.schema.is_some())
    }

    /// The transaction has changed the schema, or code that the session ran may have, and what it did has not been looked
    /// at.
    pub(super) fn has_own_changes(&self) -> bool {
        let own = self.txn.as_ref().is_some_and(|txn| txn.schema_unseen && !txn.failed);
        own || self.suspects && self.code_has_ended()
    }

    /// What code that the session ran has done is committed, or never will be.
    fn code_has_ended(&self) -> bool {
        self.txn.as_ref().is_none_or(|txn| !txn.ran_code)
    }

    /// Looks on the transaction's backend at what it has done to the schema, before `text` is planned. Where every table
    /// is local a plan does not depend on it.
    pub(super) async fn see_own_changes(&mut self, text: &str) -> Result<(), Fault> {
        if self.suspects && self.code_has_ended() {
            self.see_changes_of_code().await;
        }
        if !self.has_own_changes() {
            return Ok(());
        }
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        let word = first_word(text);
        let is_open = self.txn.as_ref().is_some_and(|txn| txn.participants.iter().any(|one| one.shard == default));
        let local = snapshot.topology.tables.is_empty();
        if local || !is_open || CHANGES.contains(&word) || self.settings.foreign_encoding() {
            return Ok(());
        }
        let mut held = self.hold(&snapshot, default).await?;
        let read = self.read_within(&mut held).await;
        if let Some(txn) = &mut self.txn {
            txn.schema_unseen = false;
            txn.schema = None;
        }
        match read {
            Ok(schema) => {
                if let Some(txn) = &mut self.txn {
                    txn.schema = schema;
                }
                self.let_go(held, b'T', Reach::Nothing);
                Ok(())
            }
            Err(Unseen::Backend(error)) if !matches!(error, ConnError::Server(_)) => Err(self.lost_while_held(&error)),
            Err(why) => {
                let why = match &why {
                    Unseen::Backend(error) => error.to_string(),
                    Unseen::Malformed(error) => error.to_string(),
                };
                tracing::debug!(database = %self.database.name, why, "a transaction's own schema cannot be read");
                let undone = held.conn().housekeep(UNDO).await;
                match undone {
                    Ok(_) => self.let_go(held, b'T', Reach::Nothing),
                    Err(error) => return Err(self.lost_while_held(&error)),
                }
                Ok(())
            }
        }
    }

    /// Looks at what DO, CALL or a function has done to the schema, before the next statement is planned.
    async fn see_changes_of_code(&mut self) {
        self.suspects = false;
        if self.database.snapshot().topology.tables.is_empty() {
            // No plan depends on it: the next reading will do.
            return;
        }
        let known = self.database.snapshot().schema.version;
        if let Err(error) = keeper::refresh_schema(&self.database).await {
            tracing::debug!(database = %self.database.name, %error, "the schema could not be read after code was run");
        }
        if self.database.snapshot().schema.version != known {
            self.told.schema_changed();
            if let Some(catalog) = &self.database.catalog {
                catalog.notify_schema().await.ok();
            }
        }
    }

    /// None: what changed is not read within a transaction.
    async fn read_within(&self, held: &mut Held) -> Result<Option<Arc<Schema>>, Unseen> {
        let started = {
            let reading = self.database.schema_reader.lock().await;
            reading.reader.as_ref().and_then(|(_, reader)| reader.within())
        };
        let Some(mut within) = started else { return Ok(None) };
        let conn = held.conn();
        let rows = conn.housekeep(&format!("{SAVEPOINT};{}", within.changes())).await?;
        let relations = within.relations(rows.first().map_or(&[], Vec::as_slice))?;
        let Some(relations) = relations else {
            conn.housekeep(UNDO).await?;
            return Ok(None);
        };
        let rows = conn.housekeep(&format!("{relations};{UNDO}")).await?;
        Ok(Some(within.schema(rows.first().map_or(&[], Vec::as_slice))?))
    }
}

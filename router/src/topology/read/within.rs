//! Within: the schema as a transaction sees it that has changed it and is not committed yet. In: answers to its texts, from
//! that transaction's own backend. Out: the next text, at last a schema. Never: a connection, a parameter: it is text only.

use super::{
    CHANGES, RELATIONS, SchemaError,
    known::{Known, Missing},
    list_of,
    rows::{CHANGES_LISTS, Changes, Details, Lists, RELATIONS_LISTS},
};
use crate::topology::schema::Schema;
use std::sync::Arc;

/// A reading within a transaction: first [`Within::changes`] is asked, then [`Within::relations`].
#[derive(Debug)]
pub struct Within {
    known: Known,
    changes: Option<Changes>,
}

impl Within {
    pub(super) fn new(known: Known) -> Self {
        Self { known, changes: None }
    }

    /// The text of the first query.
    pub fn changes(&self) -> String {
        let since = self.known.since().map_or_else(|| "NULL".to_owned(), |since| format!("'{since}'"));
        CHANGES.replace("$1", &since)
    }

    /// The text of the second query, after the first one's row; None: something changed that is not read within a
    /// transaction.
    ///
    /// # Errors
    /// [`SchemaError::Malformed`].
    pub fn relations(&mut self, row: &[Option<String>]) -> Result<Option<String>, SchemaError> {
        let changes = Changes::of(&Lists::named(CHANGES_LISTS, row))?;
        let Missing::Relations(missing) = self.known.missing(&changes) else { return Ok(None) };
        self.changes = Some(changes);
        Ok(Some(RELATIONS.replace("$1", &format!("'{}'", list_of(&missing)))))
    }

    /// The schema, after the second query's row.
    ///
    /// # Errors
    /// [`SchemaError::Malformed`].
    pub fn schema(mut self, row: &[Option<String>]) -> Result<Arc<Schema>, SchemaError> {
        let details = Details::of(&Lists::named(RELATIONS_LISTS, row))?;
        if let Some(changes) = self.changes {
            self.known.take(changes, vec![details]);
        }
        Ok(self.known.schema())
    }
}

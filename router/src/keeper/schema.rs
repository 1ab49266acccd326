//! Schema: reads what has changed in a database's schema, and publishes it. In: the connection to the default shard that is
//! kept for this. Out: a new snapshot, if anything is otherwise. Never: two readings at a time.

use super::KeeperError;
use crate::{
    cluster::Database,
    control,
    topology::{read::Reader, schema::Schema},
};
use pgring_config::topology::Connection;
use std::sync::{Arc, atomic::Ordering};

/// Reads from the default shard what has changed in the schema and publishes it: what was committed when this was called
/// is seen when it returns. Those who ask while another reads are served together.
///
/// # Errors
/// [`KeeperError`]; what was known before is still served then.
pub async fn refresh_schema(database: &Database) -> Result<(), KeeperError> {
    read_schema(database, false).await
}

/// As [`refresh_schema`]; `anew`: nothing of what was read before counts.
pub(super) async fn read_schema(database: &Database, anew: bool) -> Result<(), KeeperError> {
    if database.catalog.is_none() {
        return Ok(());
    }
    let ticket = database.schema_asked.fetch_add(1, Ordering::AcqRel) + 1;
    let mut reading = database.schema_reader.lock().await;
    if reading.served >= ticket && !anew {
        return Ok(());
    }
    let asked = database.schema_asked.load(Ordering::Acquire);
    let topology = database.snapshot().topology.clone();
    let connection = &topology.shard(topology.default_shard).connection;
    let kept = reading.reader.take().filter(|(known, reader)| known == connection && !reader.is_closed());
    let read = match kept {
        Some((_, mut reader)) => reader.read(anew).await.ok().map(|schema| (reader, schema)),
        None => None,
    };
    let (reader, schema) = match read {
        Some(read) => read,
        // A connection that died while it was idle says so only when it is used.
        None => first_reading(database, connection).await?,
    };
    reading.reader = Some((connection.clone(), reader));
    reading.served = asked;
    if schema.version != database.snapshot().schema.version {
        database.publish(None, Some(schema));
    }
    Ok(())
}

async fn first_reading(database: &Database, connection: &Connection) -> Result<(Reader, Arc<Schema>), KeeperError> {
    let client = control::connect(&connection.0, &database.name, &database.server_tls).await?;
    let mut reader = Reader::new(client).await?;
    let schema = reader.read(true).await?;
    Ok((reader, schema))
}

//! Neighbours: what a statement does to other sessions and their backends: signals to a client, databases that go.
//! In: an id, a database's name. Out: the client told, idle backends closed. Never: a backend that works.

use super::{End, Fault, Session};
use crate::{
    cluster::{self, Client},
    error::{Report, catalogue},
    plan::Signal,
    route::bind::Values,
    sql::words::Words,
};
use std::sync::Arc;

impl Session {
    /// The client that a signal is meant for.
    pub(super) fn signalled(&self, signal: &Signal, values: &Values<'_>) -> Option<Arc<Client>> {
        let id = values.number(&signal.id).flatten()?;
        self.cluster.clients.get(i32::try_from(id).ok()?)
    }

    /// `pg_terminate_backend` and `pg_cancel_backend` of a client.
    pub(super) async fn signal(&mut self, signal: &Signal, values: &Values<'_>) -> Result<(), Fault> {
        let Some(client) = self.signalled(signal, values) else { return Ok(()) };
        if client.user != self.user.name && !self.user.admin {
            let what = if signal.terminate { "terminated" } else { "canceled" };
            return Err(Report::with(
                catalogue::NOT_PERMITTED,
                format!(
                    "must be a member of the role whose {} is being {what} or member of pg_signal_backend",
                    if signal.terminate { "process" } else { "query" }
                ),
            )
            .into());
        }
        if signal.terminate {
            if client.id == self.me.id {
                return Err(Fault::End(End::killed()));
            }
            client.kill();
        }
        cluster::cancel(&client).await;
        Ok(())
    }

    /// Lets go of what pgring itself keeps idle in a database that is to be dropped, renamed or copied.
    pub(super) async fn leave_databases(&mut self, text: &str) {
        for name in databases_in(text) {
            self.cluster.pools.leave(&name);
            self.cluster.askers.leave(&name);
            for database in self.cluster.databases() {
                let there = database.snapshot().places.iter().any(|place| *place.database == *name);
                if there {
                    self.cluster.askers.leave(&database.name);
                    database.schema_reader.lock().await.reader.take();
                }
            }
        }
    }
}

/// The databases of DROP DATABASE, ALTER DATABASE and CREATE DATABASE … TEMPLATE.
fn databases_in(text: &str) -> Vec<String> {
    let mut words = Words::new(text);
    let Some(verb) = words.one_of(&["drop", "alter", "create"]) else { return Vec::new() };
    if !words.word("database") {
        return Vec::new();
    }
    words.words(&["if", "exists"]);
    let mut names: Vec<String> = words.name().into_iter().filter(|_| verb < 2).collect();
    while verb == 2 && !words.is_finished() {
        if words.word("template") {
            words.symbol('=');
            names.extend(words.name());
        } else {
            words.advance();
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::databases_in;

    #[test]
    fn databases_that_must_be_left() {
        for (text, expected) in [
            ("DROP DATABASE IF EXISTS \"A b\" WITH (FORCE)", &["A b"][..]),
            ("alter database one rename to two", &["one"]),
            ("CREATE DATABASE two OWNER x TEMPLATE = one", &["one"]),
            ("CREATE DATABASE two", &[]),
            ("DROP TABLE database", &[]),
        ] {
            assert_eq!(databases_in(text), expected, "{text}");
        }
    }
}

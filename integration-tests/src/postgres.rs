//! PostgreSQL servers for tests: one as the oracle, or many as shards, all copies of one template.
//! In: options. Out: servers that answer. Never: keeps their data.

use std::sync::LazyLock;

use pgring_local_postgres::{Binaries, Server, ServerOptions};
use tokio_postgres::Client;

use crate::client;

/// The database that tests use.
pub const DATABASE: &str = "app";

/// The installed binaries, found once.
pub fn binaries() -> &'static Binaries {
    static BINARIES: LazyLock<Binaries> = LazyLock::new(|| Binaries::find().unwrap_or_else(|error| panic!("{error}")));
    &BINARIES
}

/// The options of a test's server: database `app`, ready to be a shard, few resources, no `fsync`.
pub fn test_options() -> ServerOptions {
    ServerOptions::default()
        .database(DATABASE)
        .for_shard()
        .setting("shared_buffers", "32MB")
        .setting("max_connections", 200)
        .setting("autovacuum", "off")
        .setting("timezone", "UTC")
}

/// Starts as many servers at once.
pub fn start_servers(count: usize, options: &ServerOptions) -> Vec<Server> {
    binaries();
    std::thread::scope(|scope| {
        let starts: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| Server::start(binaries(), options.clone()).unwrap_or_else(|error| panic!("{error}")))
            })
            .collect();
        starts.into_iter().map(|start| start.join().expect("the start of a server panicked")).collect()
    })
}

/// One plain PostgreSQL: what every answer is compared with.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

impl Postgres {
    /// Starts a server with [`test_options`].
    pub async fn start() -> Postgres {
        Self::start_with(test_options()).await
    }

    /// Starts a server with these options.
    pub async fn start_with(options: ServerOptions) -> Postgres {
        let start = tokio::task::spawn_blocking(move || Server::start(binaries(), options));
        let started = start.await.expect("the start of a server panicked");
        Postgres { server: started.unwrap_or_else(|error| panic!("{error}")) }
    }

    /// A new connection to the database `app`.
    pub async fn client(&self) -> Client {
        client::connect(&self.server.connection_string(DATABASE)).await
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server, to stop, kill or restart it.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

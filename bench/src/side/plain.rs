//! Plain: a PostgreSQL server of our own with the demo's customers, for a run without pgring.

use crate::error::BenchError;
use pgring_local_postgres::{Binaries, Server, ServerOptions};
use std::process::Command;

/// The server; it ends when dropped.
pub(super) struct Plain {
    _server: Server,
    /// How to connect to it.
    pub(super) connection: String,
}

impl Plain {
    /// Starts it with `rows` customers.
    pub(super) fn start(binaries: &Binaries, rows: u32) -> Result<Self, BenchError> {
        let server = Server::start(binaries, ServerOptions::default().database("app").setting("max_connections", 200))?;
        let connection = server.connection_string("app");
        let psql = binaries.program("psql");
        let sql = format!(
            "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, \
             created_at timestamptz NOT NULL DEFAULT now()); \
             INSERT INTO customers SELECT i, 'Customer ' || i, 'customer' || i || '@example.com', now() \
             FROM generate_series(1, {rows}) AS i; \
             ANALYZE customers"
        );
        let mut command = Command::new(&psql);
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", &sql, &connection]);
        let output = command.output().map_err(BenchError::io("cannot start", psql))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(BenchError::NotServing { program: "PostgreSQL".to_owned(), said });
        }
        Ok(Self { _server: server, connection })
    }
}

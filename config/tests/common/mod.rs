//! A PostgreSQL server for the tests of this crate.

use pgring_local_postgres::{Binaries, Server, ServerOptions};
use tokio_postgres::{Client, NoTls};

/// A server with an empty database `app`.
pub(crate) fn server() -> Server {
    let binaries = Binaries::find().expect("PostgreSQL's programs are installed");
    Server::start(&binaries, ServerOptions::default().database("app")).expect("PostgreSQL starts")
}

/// A connection as the superuser.
pub(crate) async fn connect(connection: &str) -> Client {
    let (client, driver) = tokio_postgres::connect(connection, NoTls).await.expect("the server accepts connections");
    tokio::spawn(driver);
    client
}

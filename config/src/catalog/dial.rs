//! Dial: connections of the control plane. In: a libpq-style connection string. Out: a pool, or one connection.
//! Never: the data path, a shard's rows.

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use std::{error::Error, time::Duration};
use tokio_postgres::{Client, Config, NoTls, Socket, tls::NoTlsStream};

/// How long a connection may take to be made, and a request may wait for one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most connections of one pool.
const MOST_CONNECTIONS: usize = 4;

/// What each connection starts with: names mean PostgreSQL's own, and nothing waits for ever.
const OPTIONS: &str = "-c search_path=pg_catalog -c statement_timeout=30000 -c lock_timeout=10000 \
                       -c idle_in_transaction_session_timeout=30000";

/// A connection's driver: it must be polled for the client to get answers.
pub(super) type Driver = tokio_postgres::Connection<Socket, NoTlsStream>;

/// Reads a connection string and adds what every control connection has.
pub(super) fn read(connection: &str) -> Result<Config, tokio_postgres::Error> {
    let mut config: Config = connection.parse()?;
    let options = match config.get_options() {
        Some(own) => format!("{own} {OPTIONS}"),
        None => OPTIONS.to_owned(),
    };
    config.options(options);
    if config.get_application_name().is_none() {
        config.application_name("pgring");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config.tcp_user_timeout(CONNECT_TIMEOUT * 2);
    Ok(config)
}

/// One connection. TLS towards the catalog belongs here and into [`pool`], as a connector in place of `NoTls`.
pub(super) async fn connect(config: &Config) -> Result<(Client, Driver), Box<dyn Error + Send + Sync>> {
    Ok(tokio::time::timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await??)
}

/// A pool that hands out clean connections only; nothing is connected yet.
pub(super) fn pool(config: Config) -> Pool {
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Clean });
    let patient =
        Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
    Pool::builder(manager)
        .max_size(MOST_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .timeouts(patient)
        .build()
        .expect("a pool with a runtime for its time-outs can be built")
}

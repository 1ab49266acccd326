//! Dial: connections of the control plane. In: a libpq-style connection string. Out: a pool, or one connection.
//! Never: the data path, a shard's rows.

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_postgres::{
    AsyncMessage, Client, Config, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

/// How long a connection may take to be made, and a request may wait for one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most connections of one pool.
const MOST_CONNECTIONS: usize = 4;

/// What each connection starts with: names mean PostgreSQL's own, and nothing waits for ever.
const OPTIONS: &str = "-c search_path=pg_catalog -c statement_timeout=30000 -c lock_timeout=10000 \
                       -c idle_in_transaction_session_timeout=30000";

type Dialing = Pin<Box<dyn Future<Output = Result<(Client, Driver), tokio_postgres::Error>> + Send>>;

/// How connections are made, with TLS or without.
#[derive(Clone)]
pub(super) struct Dialer(Arc<dyn Fn(Config) -> Dialing + Send + Sync>);

/// A connection's driver: it must be polled for the client to get answers.
pub(super) struct Driver(Box<Poller>);

type Poller = dyn FnMut(&mut Context<'_>) -> Poll<Option<Message>> + Send;

type Message = Result<AsyncMessage, tokio_postgres::Error>;

impl Dialer {
    /// Connections are made with this connector.
    pub(super) fn new<T>(tls: T) -> Self
    where
        T: MakeTlsConnect<Socket, Stream: Send, TlsConnect: Send + TlsConnect<Socket, Future: Send>>,
        T: Clone + Send + Sync + 'static,
    {
        Self(Arc::new(move |config| {
            let tls = tls.clone();
            Box::pin(async move {
                let (client, mut connection) = config.connect(tls).await?;
                Ok((client, Driver(Box::new(move |context| connection.poll_message(context)))))
            })
        }))
    }

    /// One connection.
    pub(super) async fn connect(&self, config: &Config) -> Result<(Client, Driver), Box<dyn Error + Send + Sync>> {
        Ok(tokio::time::timeout(CONNECT_TIMEOUT, (self.0)(config.clone())).await??)
    }
}

impl Connect for Dialer {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + '_>> {
        let dialing = (self.0)(config.clone());
        Box::pin(async move {
            let (client, driver) = dialing.await?;
            let driven = tokio::spawn(async move {
                if let Err(error) = driver.await {
                    tracing::debug!(%error, "a connection to the catalog ended");
                }
            });
            Ok((client, driven))
        })
    }
}

impl Driver {
    /// The next message that no request waits for; None: the connection is closed.
    pub(super) fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        (self.0)(context)
    }
}

impl Future for Driver {
    type Output = Result<(), tokio_postgres::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.poll_message(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

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

/// A pool that hands out clean connections only; nothing is connected yet.
pub(super) fn pool(config: Config, dialer: Dialer) -> Pool {
    let manager = Manager::from_connect(config, dialer, ManagerConfig { recycling_method: RecyclingMethod::Clean });
    let patient =
        Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
    Pool::builder(manager)
        .max_size(MOST_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .timeouts(patient)
        .build()
        .expect("a pool with a runtime for its time-outs can be built")
}

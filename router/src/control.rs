//! Control: pgring's own connections to servers, for schemas, probes and look-ups of users.
//! In: a connection string. Out: a client that is driven in the background. Never: a statement of a client.

use crate::cluster::ServerTls;
use pgring_config::{
    catalog::Catalog,
    error::CatalogError,
    settings::{ConnectionError, ConnectionParts, ServerTlsMode},
};
use pgring_protocol::certificate;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Client, Config, Socket,
    config::SslMode,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect},
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::ClientConfig, rustls::pki_types::ServerName};

/// How long a connection may take to be made, log-in included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What each connection starts with: names mean PostgreSQL's own, and nothing waits for ever.
const OPTIONS: &str = "-c search_path=pg_catalog -c statement_timeout=10000 -c lock_timeout=5000 \
                       -c idle_in_transaction_session_timeout=10000";

/// Why a server did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The connection string cannot be read.
    #[error("the connection string cannot be read: {0}")]
    Connection(#[from] ConnectionError),
    /// The server refused, or the connection broke.
    #[error("{}", said(.0))]
    Server(#[from] tokio_postgres::Error),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// What a server said, or what went wrong on the way, in one line.
fn said(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    match error.as_db_error() {
        Some(reported) => format!("{} ({})", reported.message(), reported.code().code()),
        None => format!("{error}{source}"),
    }
}

/// Connects with what a connection string says; `database` is used where it names none. The connection ends when the
/// client is dropped.
///
/// # Errors
/// [`ControlError`].
pub async fn connect(text: &str, database: &str, tls: &ServerTls) -> Result<Client, ControlError> {
    connect_parts(&ConnectionParts::parse(text)?, database, tls).await
}

/// As [`connect`], from the parts of a connection string.
///
/// # Errors
/// [`ControlError`].
pub async fn connect_parts(parts: &ConnectionParts, database: &str, tls: &ServerTls) -> Result<Client, ControlError> {
    let mut config: Config = parts.to_driver_string().parse()?;
    if parts.dbname.is_none() {
        config.dbname(database);
    }
    let options = config.get_options().map_or_else(|| OPTIONS.to_owned(), |own| format!("{own} {OPTIONS}"));
    config.options(options).connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(CONNECT_TIMEOUT * 2);
    if config.get_application_name().is_none() {
        config.application_name("pgring");
    }
    let mode = parts.sslmode.unwrap_or(tls.mode);
    config.ssl_mode(match mode {
        ServerTlsMode::Disable => SslMode::Disable,
        ServerTlsMode::Prefer => SslMode::Prefer,
        ServerTlsMode::Require | ServerTlsMode::VerifyCa | ServerTlsMode::VerifyFull => SslMode::Require,
    });
    let connector = connector(parts, tls);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, config.connect(connector)).await;
    let (client, connection) = connected.map_err(|_| ControlError::Timeout(CONNECT_TIMEOUT))??;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = said(&error), "a connection of pgring's own ended");
        }
    });
    Ok(client)
}

/// Opens the catalog of `database`, with what a connection string says of TLS; that database is used where it names
/// none.
///
/// # Errors
/// [`CatalogError`].
pub async fn catalog(
    parts: &ConnectionParts,
    tls: &ServerTls,
    cluster: &str,
    database: &str,
) -> Result<Catalog, CatalogError> {
    let dbname = parts.dbname.clone().unwrap_or_else(|| database.to_owned());
    let sslmode = parts.sslmode.or(Some(tls.mode));
    let text = ConnectionParts { dbname: Some(dbname), sslmode, ..parts.clone() }.to_driver_string();
    Catalog::open_with(&text, connector(parts, tls), cluster, database).await
}

fn connector(parts: &ConnectionParts, tls: &ServerTls) -> Connector {
    Connector(tls.config(parts.sslmode.unwrap_or(tls.mode)))
}

/// TLS for tokio-postgres.
#[derive(Clone)]
struct Connector(Option<Arc<ClientConfig>>);

/// TLS towards one host.
struct HostConnector {
    config: Option<Arc<ClientConfig>>,
    host: String,
}

/// A stream under TLS, as tokio-postgres wants it.
struct Secured<S>(TlsStream<S>);

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Secured<Socket>;
    type TlsConnect = HostConnector;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<HostConnector> {
        Ok(HostConnector { config: self.0.clone(), host: host.to_owned() })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for HostConnector {
    type Stream = Secured<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let config = self.config.ok_or(io::ErrorKind::Unsupported)?;
            let name = ServerName::try_from(self.host).map_err(io::Error::other)?;
            Ok(Secured(TlsConnector::from(config).connect(name, stream).await?))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Secured<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        let end_point = certificates.and_then(<[_]>::first).and_then(|first| certificate::end_point(first));
        end_point.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl ControlError {
    /// Whether the server took too long.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether the server lets nobody, or not us, into a database of that name: there is none, it is closed or full.
    pub fn is_of_database(&self) -> bool {
        use tokio_postgres::error::SqlState;
        const REASONS: [SqlState; 4] = [
            SqlState::UNDEFINED_DATABASE,
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::TOO_MANY_CONNECTIONS,
        ];
        let Self::Server(error) = self else { return false };
        error.code().is_some_and(|code| REASONS.contains(code))
    }
}

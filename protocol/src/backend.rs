//! Backend: we are a server's client: reach it, agree on TLS, log in. In: where, who, with what.
//! Out: a connection that waits for its first query. Never: keeps a pool, retries, chooses a server.

use std::{io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::BytesMut;
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig,
        pki_types::{DnsName, ServerName},
    },
};

pub use crate::{credentials::Credentials, tls::TlsMode};
use crate::{
    frame::{FrameError, server},
    message::{
        MessageError,
        notice::Fields,
        result,
        startup::{self, ssl_request},
    },
    sasl::SaslError,
    stream::{Keepalive, ReadError, Stream, read_frame},
};

mod login;

/// Most bytes of one message before the first ReadyForQuery.
const MAX_MESSAGE: usize = 1 << 20;

/// Most notices of a beginning connection that are kept, and the longest, in bytes.
const MOST_NOTICES: (usize, usize) = (8, 8192);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// TCP; `host` is a name or an address.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix-domain socket: `.s.PGSQL.<port>` in `dir`.
    Unix {
        /// The socket's directory.
        dir: PathBuf,
        /// Port, as part of the socket's name.
        port: u16,
    },
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { dir, port } => write!(f, "{}:{port}", dir.display()),
        }
    }
}

/// A server and how it is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// Whether TLS is asked for; never over a Unix-domain socket.
    pub tls: TlsMode,
    /// What TLS is done with, see [`crate::tls::client_config`]; needed for every mode but [`TlsMode::Disable`].
    pub tls_config: Option<Arc<ClientConfig>>,
    /// Time until the server is ready, login included.
    pub connect_timeout: Duration,
}

/// Who logs in, and with what.
#[derive(Debug, Clone)]
pub struct Login {
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// What proves it.
    pub credentials: Credentials,
    /// Further startup parameters, such as `application_name`, `options`, `replication` and any setting.
    pub parameters: Vec<(String, String)>,
}

/// A connection that waits for its first query.
#[derive(Debug)]
pub struct Backend {
    /// The connection.
    pub stream: Stream,
    /// Bytes read past the first ReadyForQuery.
    pub buffer: BytesMut,
    /// Settings as the server reported them, in order; the last of a name counts.
    pub parameters: Vec<(String, String)>,
    /// The server's process; 0 when it told none.
    pub pid: i32,
    /// What a cancel request needs besides; empty when it told none.
    pub secret: Vec<u8>,
    /// Notices that came while it began, such as a warning about a collation; the first few.
    pub notices: Vec<Fields>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum BackendError {
    /// The socket failed, or could not be opened.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server left without a word.
    #[error("the server closed the connection")]
    Closed,
    /// Not ready in time.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// TLS could not be agreed on.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server does not speak the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The server refused, in its own words.
    #[error("{0}")]
    Server(Fields),
    /// The server asks for a proof that these credentials cannot give.
    #[error("the server asks for {wanted}, which {have} cannot answer")]
    Authentication {
        /// What it asks for.
        wanted: &'static str,
        /// What there is.
        have: &'static str,
    },
    /// SCRAM failed on our side: above all, the server does not know the verifier.
    #[error("SCRAM: {0}")]
    Sasl(#[from] SaslError),
}

impl From<MessageError> for BackendError {
    fn from(error: MessageError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<FrameError> for BackendError {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<ReadError> for BackendError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error.into(),
            ReadError::Closed => Self::Closed,
            ReadError::Frame(error) => error.into(),
        }
    }
}

/// Connects and logs in.
///
/// A password in clear, or one under MD5, is given only as the server asks; in clear it goes over TLS, Unix-domain sockets
/// and loopback alone.
///
/// # Errors
/// [`BackendError`]; [`BackendError::Server`] holds the server's error whole.
pub async fn connect(target: &Target, login: &Login) -> Result<Backend, BackendError> {
    let ready = async {
        let mut backend = Backend {
            stream: open(target).await?,
            buffer: BytesMut::with_capacity(4096),
            parameters: Vec::new(),
            pid: 0,
            secret: Vec::new(),
            notices: Vec::new(),
        };
        backend.start(login).await?;
        login::authenticate(&mut backend, login).await?;
        backend.wait_ready().await?;
        Ok(backend)
    };
    within(target.connect_timeout, ready).await
}

pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(BackendError::Timeout(limit)))
}

/// Opens the connection, with TLS as the target asks for it.
pub(crate) async fn open(target: &Target) -> Result<Stream, BackendError> {
    let stream = match &target.address {
        Address::Unix { dir, port } => {
            return Ok(UnixStream::connect(dir.join(format!(".s.PGSQL.{port}"))).await?.into());
        }
        Address::Tcp { host, port } if target.tls == TlsMode::Disable => dial(host, *port).await?.into(),
        Address::Tcp { host, port } => match secure(target, host, *port).await {
            // As libpq: whoever only prefers TLS goes on without it.
            Err(BackendError::Tls(_)) if target.tls == TlsMode::Prefer => dial(host, *port).await?.into(),
            outcome => outcome?,
        },
    };
    Stream::tune(&stream, Keepalive::default())?;
    Ok(stream)
}

async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks for TLS; in clear when the server has none and the mode allows it.
async fn secure(target: &Target, host: &str, port: u16) -> Result<Stream, BackendError> {
    let config = target.tls_config.as_ref().ok_or_else(|| BackendError::Tls("not configured".into()))?;
    let mut stream = dial(host, port).await?;
    let mut out = BytesMut::new();
    ssl_request(&mut out);
    stream.write_all(&out).await?;
    // One byte and no more: what a server sends behind it in clear must not pass for sent under TLS.
    match stream.read_u8().await? {
        b'S' => {
            let connector = TlsConnector::from(Arc::clone(config));
            let connected = connector.connect(server_name(host)?, stream).await;
            connected
                .map(|stream| Stream::TlsClient(Box::new(stream)))
                .map_err(|error| BackendError::Tls(error.to_string()))
        }
        b'N' if target.tls == TlsMode::Prefer => Ok(stream.into()),
        b'N' => Err(BackendError::Tls("the server does not support it, but it is required".into())),
        // An error in clear could be anyone's, so its text is not taken over (CVE-2024-10977).
        _ => Err(BackendError::Tls("the server answered the request for it with something else".into())),
    }
}

/// A name that no DNS could hold can still be called without verifying it.
fn server_name(host: &str) -> Result<ServerName<'static>, BackendError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(address.into()));
    }
    let name = DnsName::try_from(host.to_owned());
    name.map(ServerName::DnsName).map_err(|error| BackendError::Tls(error.to_string()))
}

impl Backend {
    async fn start(&mut self, login: &Login) -> Result<(), BackendError> {
        let fixed = [("user", login.user.as_str()), ("database", &login.database)];
        let further = login.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut out = BytesMut::new();
        startup::startup(&mut out, 0, fixed.into_iter().chain(further))?;
        self.send(&out).await
    }

    async fn send(&mut self, out: &[u8]) -> Result<(), BackendError> {
        self.stream.write_all(out).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next message that is not a notice, which is kept; the server's error ends it.
    async fn receive(&mut self) -> Result<(u8, BytesMut), BackendError> {
        loop {
            let (kind, body) = read_frame(&mut self.stream, &mut self.buffer, MAX_MESSAGE).await?;
            match kind {
                server::ERROR_RESPONSE => return Err(BackendError::Server(Fields::parse(&body)?)),
                server::NOTICE_RESPONSE if self.notices.len() < MOST_NOTICES.0 && body.len() <= MOST_NOTICES.1 => {
                    self.notices.push(Fields::parse(&body)?);
                }
                server::NOTICE_RESPONSE | server::NEGOTIATE_PROTOCOL_VERSION => (),
                _ => return Ok((kind, body)),
            }
        }
    }

    /// Takes what the server tells about itself, up to its first ReadyForQuery.
    async fn wait_ready(&mut self) -> Result<(), BackendError> {
        loop {
            let (kind, body) = self.receive().await?;
            match kind {
                server::PARAMETER_STATUS => {
                    let (name, value) = result::parameter_status(&body)?;
                    self.parameters.push((name.to_owned(), value.to_owned()));
                }
                server::BACKEND_KEY_DATA => {
                    let (pid, secret) = result::backend_key_data(&body)?;
                    (self.pid, self.secret) = (pid, secret.to_vec());
                }
                server::READY_FOR_QUERY => return Ok(()),
                kind => return Err(unexpected(kind)),
            }
        }
    }
}

fn unexpected(kind: u8) -> BackendError {
    BackendError::Protocol(format!("unexpected message {:?} during login", char::from(kind)))
}

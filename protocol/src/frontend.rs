//! Frontend: we serve a client: its first packets, TLS, and the proof of who it is. In: an accepted socket.
//! Out: a cancel request, or a session about to begin. Never: decides who may enter.
//!
//! Time limits are the caller's: each function can be dropped at any await.

use std::{io, sync::Arc};

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    certificate,
    message::{
        MessageError, build,
        notice::Fields,
        startup::{self, Packet},
    },
    sqlstate,
    stream::{Peer, Stream, TlsServer},
    tls::{ALPN, ServerTls},
};

mod authenticate;
pub use crate::credentials::{Credentials, Secret, StoredSecret};
pub use authenticate::{AuthError, Method, authenticate};

/// The newest minor version of protocol 3 that is spoken here.
pub const NEWEST_MINOR: u16 = 2;

/// Most bytes of a role's or a database's name: PostgreSQL cuts what is longer.
const LONGEST_NAME: usize = 63;

/// How clients are greeted.
#[derive(Debug, Clone)]
pub struct GreetOptions {
    /// What TLS is served with; `None` answers every request for it with no.
    pub tls: Option<Arc<ServerTls>>,
    /// Whether a session over TCP must use TLS.
    pub tls_required: bool,
    /// Most bytes of a startup packet, its length word included.
    pub max_startup: usize,
}

impl Default for GreetOptions {
    fn default() -> Self {
        Self { tls: None, tls_required: false, max_startup: 10_000 }
    }
}

/// What a new connection wants.
#[derive(Debug)]
pub enum Greeting {
    /// To cancel what another one runs. The socket is closed already; nothing is ever answered.
    Cancel {
        /// Process of that other connection.
        pid: i32,
        /// Its secret, 4 to 256 bytes.
        secret: Vec<u8>,
    },
    /// A session.
    Startup(Startup),
}

/// A client that asked for a session; it has been told nothing yet but the version of the protocol.
#[derive(Debug)]
pub struct Startup {
    /// The connection.
    pub stream: Stream,
    /// Bytes read past the startup packet.
    pub buffer: BytesMut,
    /// Minor version of protocol 3 that both now speak: 0 or 2.
    pub minor: u16,
    /// Names and values of the startup packet in order, without the `_pq_.` options.
    pub parameters: Vec<(String, String)>,
    /// What TLS tells, if it is on.
    pub tls: Option<TlsFacts>,
}

impl Startup {
    /// The last value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The role asked for; never empty.
    #[must_use]
    pub fn user(&self) -> &str {
        self.get("user").unwrap_or_default()
    }

    /// The database asked for; the role's name when none is.
    #[must_use]
    pub fn database(&self) -> &str {
        self.get("database").filter(|name| !name.is_empty()).unwrap_or_else(|| self.user())
    }
}

/// What TLS tells about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// Version, as `TLSv1.3`.
    pub version: Option<&'static str>,
    /// Cipher suite, as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: Option<&'static str>,
    /// Whether the client showed a certificate; it has been verified against the client CA.
    pub has_certificate: bool,
    /// The common name of that certificate.
    pub common_name: Option<String>,
    /// Whether TLS was opened without an SSLRequest.
    pub is_direct: bool,
}

/// Why a connection ended before its session began. What can be answered has been, as FATAL.
#[derive(Debug, Error)]
pub enum GreetError {
    /// The client left.
    #[error("the client closed the connection before a startup packet")]
    Closed,
    /// The socket failed.
    #[error("i/o: {0}")]
    Io(#[from] io::Error),
    /// What came first is no startup packet: closed without an answer.
    #[error("invalid length of startup packet")]
    NotAStartup,
    /// Bytes came together with a request for encryption (CVE-2021-23214).
    #[error("received unencrypted data after {0} request")]
    EarlyData(&'static str),
    /// A request for encryption came twice.
    #[error("{0} was requested twice")]
    Repeated(&'static str),
    /// The packet breaks the protocol.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// No version 3.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")]
    Version {
        /// Version asked for, before the dot.
        major: u16,
        /// Version asked for, behind the dot.
        minor: u16,
    },
    /// No role's name.
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    /// The handshake failed.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// TLS is required and not used.
    #[error("this server accepts connections over TLS only")]
    TlsRequired,
}

impl GreetError {
    /// What the client is told; `None` where the socket is just closed.
    fn answer(&self) -> Option<Fields> {
        let code = match self {
            Self::Closed | Self::Io(_) | Self::NotAStartup | Self::Tls(_) => return None,
            Self::EarlyData(_) | Self::Repeated(_) | Self::Message(_) => sqlstate::PROTOCOL_VIOLATION,
            Self::Version { .. } => sqlstate::FEATURE_NOT_SUPPORTED,
            Self::NoUser | Self::TlsRequired => sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
        };
        Some(Fields::fatal(code, self.to_string()))
    }
}

/// The connection while its first packets are read.
struct Greeter<'a> {
    stream: Stream,
    buffer: BytesMut,
    options: &'a GreetOptions,
    tls: Option<TlsFacts>,
}

/// Reads a new connection's first packets, answers requests for encryption, and returns what it wants.
///
/// # Errors
/// [`GreetError`]; the client has then been told, where the protocol has an answer, and the connection is closed.
pub async fn greet(stream: impl Into<Stream>, options: &GreetOptions) -> Result<Greeting, GreetError> {
    let mut greeter = Greeter { stream: stream.into(), buffer: BytesMut::with_capacity(1024), options, tls: None };
    if is_direct_tls(&greeter.stream, options).await? {
        greeter = greeter.handshake(true).await?;
    }
    let (mut asked_ssl, mut asked_gss) = (greeter.tls.is_some(), false);
    loop {
        let packet = greeter.packet().await?;
        let request = match Packet::parse(&packet) {
            Ok(Packet::Ssl) => ("SSL", &mut asked_ssl),
            Ok(Packet::GssEnc) => ("GSSAPI encryption", &mut asked_gss),
            Ok(Packet::Cancel { pid, secret }) => return Ok(Greeting::Cancel { pid, secret: secret.to_vec() }),
            Ok(Packet::Startup { major, minor, rest }) => return greeter.startup((major, minor), rest).await,
            // A cancel request is never answered, nor is one with a secret that can be none.
            Err(MessageError::Value) => return Err(GreetError::NotAStartup),
            Err(error) => return greeter.refuse(error.into()).await,
        };
        greeter = greeter.encryption(request).await?;
    }
}

/// Whether the client opens TLS at once (PostgreSQL 17's `sslnegotiation=direct`) and it can be served.
async fn is_direct_tls(stream: &Stream, options: &GreetOptions) -> Result<bool, GreetError> {
    let (Stream::Tcp(tcp), Some(_)) = (stream, &options.tls) else { return Ok(false) };
    let mut first = [0];
    tcp.peek(&mut first).await?;
    Ok(first == [0x16])
}

impl Greeter<'_> {
    /// The next packet without its length word; closes at once on what cannot be one.
    async fn packet(&mut self) -> Result<BytesMut, GreetError> {
        loop {
            // A valid length fits two bytes; letters of HTTP or of a TLS hello do not need to be waited for.
            if self.buffer.first().is_some_and(|first| *first != 0) {
                return Err(GreetError::NotAStartup);
            }
            if let Some(word) = self.buffer.first_chunk::<4>() {
                let length = usize::try_from(u32::from_be_bytes(*word)).unwrap_or(usize::MAX);
                if !(8..=self.options.max_startup).contains(&length) {
                    return Err(GreetError::NotAStartup);
                }
                if self.buffer.len() >= length {
                    let mut packet = self.buffer.split_to(length);
                    packet.advance(4);
                    return Ok(packet);
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(GreetError::Closed);
            }
        }
    }

    /// Answers a request for encryption: TLS if there is any and this is TCP, else no.
    async fn encryption(mut self, (name, asked): (&'static str, &mut bool)) -> Result<Self, GreetError> {
        if std::mem::replace(asked, true) {
            return self.refuse(GreetError::Repeated(name)).await;
        }
        let has_early_data = !self.buffer.is_empty();
        if name == "SSL" && self.options.tls.is_some() && matches!(self.stream, Stream::Tcp(_)) {
            if has_early_data {
                return self.refuse(GreetError::EarlyData(name)).await;
            }
            self.stream.write_all(b"S").await?;
            return self.handshake(false).await;
        }
        self.stream.write_all(b"N").await?;
        self.stream.flush().await?;
        if has_early_data { self.refuse(GreetError::EarlyData(name)).await } else { Ok(self) }
    }

    async fn handshake(self, is_direct: bool) -> Result<Self, GreetError> {
        let (Stream::Tcp(tcp), Some(tls)) = (self.stream, &self.options.tls) else {
            return Err(GreetError::Tls(io::ErrorKind::Unsupported.into()));
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
        let stream = acceptor.accept(tcp).await.map_err(GreetError::Tls)?;
        let facts = facts(&stream, is_direct);
        // Without ALPN another protocol could be talked into speaking to a database (PostgreSQL 17 asks for it too).
        if is_direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(GreetError::NotAStartup);
        }
        let stream = Stream::TlsServer(Box::new(TlsServer { stream, end_point: tls.end_point.clone() }));
        Ok(Self { stream, tls: Some(facts), ..self })
    }

    async fn startup(mut self, version: (u16, u16), rest: &[u8]) -> Result<Greeting, GreetError> {
        let (minor, parameters) = match self.check(version, rest) {
            Ok((minor, parameters, options)) => {
                if version.1 != minor || !options.is_empty() {
                    let mut out = BytesMut::new();
                    build::negotiate_protocol_version(&mut out, minor, &options);
                    self.stream.write_all(&out).await?;
                }
                (minor, parameters)
            }
            Err(error) => return self.refuse(error).await,
        };
        let Self { stream, buffer, tls, .. } = self;
        Ok(Greeting::Startup(Startup { stream, buffer, minor, parameters, tls }))
    }

    /// The minor version to speak, the parameters, and the `_pq_.` options, none of which is known.
    #[expect(clippy::type_complexity, reason = "one caller takes it apart at once")]
    fn check(
        &self,
        (major, minor): (u16, u16),
        rest: &[u8],
    ) -> Result<(u16, Vec<(String, String)>, Vec<String>), GreetError> {
        if major != 3 {
            return Err(GreetError::Version { major, minor });
        }
        let (options, mut parameters): (Vec<_>, Vec<_>) =
            startup::parameters(rest)?.into_iter().partition(|(name, _)| name.starts_with("_pq_."));
        if parameters.iter().rev().find(|(name, _)| name == "user").is_none_or(|(_, user)| user.is_empty()) {
            return Err(GreetError::NoUser);
        }
        if self.options.tls_required && self.tls.is_none() && matches!(self.stream.peer(), Peer::Tcp(_)) {
            return Err(GreetError::TlsRequired);
        }
        for (_, value) in parameters.iter_mut().filter(|(name, _)| name == "user" || name == "database") {
            value.truncate(value.floor_char_boundary(LONGEST_NAME));
        }
        // There never was a 3.1.
        let minor = if minor >= NEWEST_MINOR { NEWEST_MINOR } else { 0 };
        Ok((minor, parameters, options.into_iter().map(|(name, _)| name).collect()))
    }

    /// Tells the client, as far as it listens, and ends the connection.
    async fn refuse<T>(mut self, error: GreetError) -> Result<T, GreetError> {
        if let Some(fields) = error.answer() {
            let mut out = BytesMut::new();
            build::error(&mut out, &fields);
            // The connection ends in any case; that the client does not take its error changes nothing.
            let _ = self.stream.write_all(&out).await;
            let _ = self.stream.shutdown().await;
        }
        Err(error)
    }
}

fn facts(stream: &tokio_rustls::server::TlsStream<TcpStream>, is_direct: bool) -> TlsFacts {
    let connection = stream.get_ref().1;
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    TlsFacts {
        version: connection.protocol_version().and_then(|version| match version.as_str()? {
            "TLSv1_3" => Some("TLSv1.3"),
            "TLSv1_2" => Some("TLSv1.2"),
            other => Some(other),
        }),
        cipher: connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()),
        has_certificate: certificate.is_some(),
        common_name: certificate.and_then(|certificate| certificate::common_name(certificate)),
        is_direct,
    }
}

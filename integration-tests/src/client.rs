//! Clients: tokio-postgres for everyday use, and a raw connection whose every byte a test decides.
//! In: where to connect. Out: answers, as a library or the wire gives them. Never: hides an error of the wire.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pgring_protocol::tls::{TlsMode, client_config};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::{Client, NoTls};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// How long a raw connection waits for a frame.
const FRAME_PATIENCE: Duration = Duration::from_secs(20);
/// The longest frame a raw connection reads, in bytes.
const LONGEST_FRAME: usize = 64 << 20;

/// Connects a tokio-postgres client, whose connection runs until the client is dropped.
///
/// # Panics
/// If it cannot connect.
pub async fn connect(connection: &str) -> Client {
    try_connect(connection).await.unwrap_or_else(|error| panic!("{connection}: {}", describe(&error)))
}

/// Connects a tokio-postgres client, or says why not.
///
/// # Errors
/// The error of tokio-postgres.
pub async fn try_connect(connection: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(connection, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// An error with its SQLSTATE and DETAIL, which the library's own text leaves out.
pub fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {} (detail: {:?}, hint: {:?})", db.code().code(), db.message(), db.detail(), db.hint()),
        None => format!("{error:?}"),
    }
}

/// One message from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The message's type, such as `b'Z'`; 0 for the bare answer to an SSLRequest.
    pub tag: u8,
    /// What follows the length.
    pub body: Bytes,
}

impl Frame {
    /// The fields of an ErrorResponse or NoticeResponse, by their code (`b'C'` is the SQLSTATE).
    pub fn fields(&self) -> BTreeMap<u8, String> {
        let mut fields = BTreeMap::new();
        for field in self.body.split(|byte| *byte == 0) {
            if let Some((code, value)) = field.split_first() {
                fields.insert(*code, String::from_utf8_lossy(value).into_owned());
            }
        }
        fields
    }

    /// The SQLSTATE, if this is an ErrorResponse.
    pub fn sqlstate(&self) -> Option<String> {
        if self.tag == b'E' { self.fields().remove(&b'C') } else { None }
    }

    /// The body as text up to its first zero byte: a command tag, for one.
    pub fn text(&self) -> String {
        let end = self.body.iter().position(|byte| *byte == 0).unwrap_or(self.body.len());
        String::from_utf8_lossy(self.body.get(..end).unwrap_or_default()).into_owned()
    }
}

/// What carries a raw connection: TCP, TLS over it, a Unix-domain socket.
trait Carrier: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> Carrier for T {}

/// A connection whose bytes the test writes and reads itself.
#[derive(Debug)]
pub struct Raw {
    stream: Box<dyn Carrier>,
    input: BytesMut,
    /// Process id and secret for a CancelRequest, once logged in.
    pub cancel_key: Option<(i32, i32)>,
    /// What the server said of its parameters while logging in.
    pub parameters: BTreeMap<String, String>,
}

impl Raw {
    /// Connects to 127.0.0.1 and sends nothing.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect(port: u16) -> Raw {
        Self::over(tcp(port).await)
    }

    /// Connects to a Unix-domain socket and sends nothing.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect_unix(path: &Path) -> Raw {
        Self::over(UnixStream::connect(path).await.expect("a listener"))
    }

    /// Connects to 127.0.0.1, asks for TLS and shakes hands; the server's certificate is not looked at.
    ///
    /// # Panics
    /// If nobody listens, or there is no TLS.
    pub async fn connect_tls(port: u16, config: Arc<ClientConfig>) -> Raw {
        let mut stream = tcp(port).await;
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        stream.write_all(&request).await.expect("a listener");
        assert_eq!(stream.read_u8().await.expect("an answer to the SSLRequest"), b'S');
        let name = ServerName::try_from("localhost").expect("a name");
        Self::over(TlsConnector::from(config).connect(name, stream).await.expect("a handshake"))
    }

    fn over(stream: impl Carrier + 'static) -> Raw {
        Raw { stream: Box::new(stream), input: BytesMut::new(), cancel_key: None, parameters: BTreeMap::new() }
    }

    /// Connects and logs in, up to ReadyForQuery.
    ///
    /// # Panics
    /// If the log-in fails.
    pub async fn log_in(port: u16, user: &str, password: &str, database: &str) -> Raw {
        let mut raw = Self::connect(port).await;
        raw.start_up(&[("user", user), ("database", database)]).await;
        match raw.authenticate(user, password).await {
            Ok(()) => raw,
            Err(error) => panic!("log-in refused: {:?}", error.fields()),
        }
    }

    /// Sends a StartupMessage of protocol 3.0.
    pub async fn start_up(&mut self, parameters: &[(&str, &str)]) {
        self.send_with(|out| frontend::startup_message(parameters.iter().copied(), out)).await;
    }

    /// Answers whatever the server asks, up to ReadyForQuery, or returns its ErrorResponse.
    ///
    /// # Errors
    /// The server's ErrorResponse.
    ///
    /// # Panics
    /// If the server breaks the protocol or closes the connection.
    pub async fn authenticate(&mut self, user: &str, password: &str) -> Result<(), Frame> {
        loop {
            let mut frame = self.read().await.expect("an answer to the log-in");
            match frame.tag {
                b'E' => return Err(frame),
                b'Z' => return Ok(()),
                b'K' => self.cancel_key = Some((frame.body.get_i32(), frame.body.get_i32())),
                b'S' => self.note_parameter(&frame),
                b'R' => match frame.body.get_i32() {
                    0 => {}
                    3 => self.send_with(|out| frontend::password_message(password.as_bytes(), out)).await,
                    5 => self.answer_md5(user, password, &frame.body).await,
                    10 => self.scram(password).await?,
                    other => panic!("unknown authentication request {other}"),
                },
                b'N' | b'v' => {}
                other => panic!("unexpected message {:?} while logging in", char::from(other)),
            }
        }
    }

    fn note_parameter(&mut self, frame: &Frame) {
        let parts: Vec<&[u8]> = frame.body.split(|byte| *byte == 0).collect();
        if let [name, value, ..] = parts.as_slice() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            self.parameters.insert(text(name), text(value));
        }
    }

    async fn answer_md5(&mut self, user: &str, password: &str, salt: &[u8]) {
        let salt = salt.try_into().expect("a salt of four bytes");
        let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
        self.send_with(|out| frontend::password_message(hash.as_bytes(), out)).await;
    }

    async fn scram(&mut self, password: &str) -> Result<(), Frame> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        self.send_with(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out)).await;
        let challenge = self.sasl_step(11).await?;
        scram.update(&challenge).expect("a SCRAM challenge");
        self.send_with(|out| frontend::sasl_response(scram.message(), out)).await;
        let last = self.sasl_step(12).await?;
        scram.finish(&last).expect("the server's proof");
        Ok(())
    }

    async fn sasl_step(&mut self, expected: i32) -> Result<Bytes, Frame> {
        let mut frame = self.read().await.expect("an answer to SASL");
        if frame.tag == b'E' {
            return Err(frame);
        }
        assert_eq!((frame.tag, frame.body.get_i32()), (b'R', expected));
        Ok(frame.body)
    }

    /// Sends bytes as they are; false if the other side has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Sends what a function of `postgres_protocol::message::frontend` writes.
    ///
    /// # Panics
    /// If the message cannot be written or sent.
    pub async fn send_with(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) {
        let mut out = BytesMut::new();
        write(&mut out).expect("a message");
        assert!(self.send(&out).await, "the server has closed the connection");
    }

    /// Reads one bare byte: the answer to an SSLRequest or GSSENCRequest.
    pub async fn read_byte(&mut self) -> Option<u8> {
        if self.input.is_empty() && !self.fill().await {
            return None;
        }
        Some(self.input.get_u8())
    }

    /// The next message; `None` when the connection is closed.
    ///
    /// # Panics
    /// If nothing comes for 20 s.
    pub async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next message within `patience`; an error if none comes, `None` when the connection is closed.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub async fn read_within(&mut self, patience: Duration) -> Result<Option<Frame>, tokio::time::error::Elapsed> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Ok(Some(frame));
            }
            let read = tokio::time::timeout(patience, self.stream.read_buf(&mut self.input)).await?;
            if !matches!(read, Ok(count) if count > 0) {
                return Ok(None);
            }
        }
    }

    /// Closes the sending half: the other side reads the end of the stream.
    pub async fn shut(&mut self) {
        // A peer that has closed already needs no end.
        let _ = self.stream.shutdown().await;
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let (tag, length) = (*self.input.first()?, self.input.get(1..5)?);
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        assert!((4..LONGEST_FRAME).contains(&length), "message {:?} of length {length}", char::from(tag));
        if self.input.len() <= length {
            return None;
        }
        let body = self.input.split_to(length + 1).freeze().slice(5..);
        Some(Frame { tag, body })
    }

    /// Reads what there is; false at the end of the stream.
    async fn fill(&mut self) -> bool {
        let read = tokio::time::timeout(FRAME_PATIENCE, self.stream.read_buf(&mut self.input)).await;
        matches!(read.expect("a message within 20 s"), Ok(count) if count > 0)
    }

    /// All messages up to and with ReadyForQuery, or up to the end of the connection.
    pub async fn read_until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read().await {
            let ready = frame.tag == b'Z';
            frames.push(frame);
            if ready {
                break;
            }
        }
        frames
    }

    /// Says that nothing more will be sent; what is answered can still be read.
    ///
    /// # Panics
    /// If the socket is closed already.
    pub async fn finish_sending(&mut self) {
        self.stream.shutdown().await.expect("an open socket");
    }

    /// Waits until there is something to read.
    pub async fn peek(&mut self) {
        if self.input.is_empty() {
            self.fill().await;
        }
    }

    /// Reads to the end of the connection, whatever it is, and returns how many bytes came.
    pub async fn read_to_end(&mut self) -> usize {
        while self.fill().await {}
        self.input.len()
    }

    /// Whether the server closes the connection without another word.
    pub async fn is_closed(&mut self) -> bool {
        self.read().await.is_none()
    }

    /// Runs a simple Query up to ReadyForQuery.
    pub async fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.send_with(|out| frontend::query(sql, out)).await;
        self.read_until_ready().await
    }

    /// Runs Parse, Bind, Describe, Execute and Sync with unnamed statement and portal and parameters in text.
    pub async fn extended(&mut self, sql: &str, parameters: &[Option<String>], binary_results: bool) -> Vec<Frame> {
        let mut out = BytesMut::new();
        frontend::parse("", sql, [], &mut out).expect("a Parse message");
        bind_text("", "", parameters, binary_results, &mut out);
        frontend::describe(b'P', "", &mut out).expect("a Describe message");
        frontend::execute("", 0, &mut out).expect("an Execute message");
        frontend::sync(&mut out);
        assert!(self.send(&out).await, "the server has closed the connection");
        self.read_until_ready().await
    }

    /// As [`Raw::extended`] with results as text, but with an Execute and a Flush for each few rows of the portal.
    pub async fn in_portions(&mut self, sql: &str, parameters: &[Option<String>], rows: i32) -> Vec<Frame> {
        let mut out = BytesMut::new();
        frontend::parse("", sql, [], &mut out).expect("a Parse message");
        bind_text("", "", parameters, false, &mut out);
        frontend::describe(b'P', "", &mut out).expect("a Describe message");
        let mut frames = Vec::new();
        loop {
            frontend::execute("", rows, &mut out).expect("an Execute message");
            frontend::flush(&mut out);
            assert!(self.send(&out.split()).await, "the server has closed the connection");
            let suspended = loop {
                match self.read().await {
                    Some(frame) if frame.tag == b's' => break true,
                    Some(frame) => {
                        let ended = matches!(frame.tag, b'C' | b'I' | b'E');
                        frames.push(frame);
                        if ended {
                            break false;
                        }
                    }
                    None => return frames,
                }
            };
            if !suspended {
                break;
            }
        }
        frontend::sync(&mut out);
        assert!(self.send(&out).await, "the server has closed the connection");
        frames.extend(self.read_until_ready().await);
        frames
    }
}

async fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a listener");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// TLS as a client that trusts whoever answers.
///
/// # Panics
/// Never: there is nothing that could be missing.
pub fn any_tls() -> Arc<ClientConfig> {
    client_config(TlsMode::Require, None, None).expect("no file is needed").expect("a mode with TLS")
}

/// Writes a Bind message with parameters in text and all results in one format.
///
/// # Panics
/// If a name holds a zero byte or there are more than 65,535 parameters.
pub fn bind_text(portal: &str, statement: &str, parameters: &[Option<String>], binary: bool, out: &mut BytesMut) {
    let write = |value: &Option<String>, out: &mut BytesMut| match value {
        Some(text) => {
            out.extend_from_slice(text.as_bytes());
            Ok(postgres_protocol::IsNull::No)
        }
        None => Ok(postgres_protocol::IsNull::Yes),
    };
    let bound = frontend::bind(portal, statement, [], parameters, write, [i16::from(binary)], out);
    assert!(bound.is_ok(), "a Bind message");
}

/// Sends a CancelRequest over a connection of its own.
///
/// # Panics
/// If nobody listens.
pub async fn cancel(port: u16, (process, secret): (i32, i32)) {
    let mut raw = Raw::connect(port).await;
    raw.send_with(|out| {
        frontend::cancel_request(process, secret, out);
        Ok(())
    })
    .await;
    raw.is_closed().await;
}

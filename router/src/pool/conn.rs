//! Conn: one connection to a server with all that pgring knows of its state.
//! In: bytes and housekeeping SQL. Out: frames. Never: a client.

use super::{
    backends::Backend as Badge,
    profile::Profile,
    reported::Reported,
    statements::{StatementId, Statements},
};
use crate::registry::{self, Coarse};
use bytes::{Buf, BytesMut};
use pgring_protocol::{
    backend::{Backend, BackendError, Target},
    cancel, frame,
    message::{build, notice::Fields, result},
    stream::{MoveError, Stream},
};
use std::{
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

/// Largest frame that is buffered whole (rows and COPY data are passed on in pieces).
pub const MAX_FRAME: usize = 1 << 30;

/// What can go wrong on a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnError {
    /// The socket failed or was closed.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    /// The server answered with an error; the connection is still good unless the error was fatal.
    #[error("{}", .0.get(b'M').unwrap_or("unknown error"))]
    Server(Box<Fields>),
    /// The server said something that the protocol does not know.
    #[error("protocol violation by the server: {0}")]
    Protocol(String),
}

/// Keeps a connection out of its pool while a cancel request for it is under way.
#[derive(Debug, Default)]
pub struct Gate {
    under_way: AtomicUsize,
    done: Notify,
}

/// A cancel request that is under way.
#[derive(Debug)]
pub struct Passing(Arc<Gate>);

impl Gate {
    /// Begins a cancel request.
    pub fn enter(self: &Arc<Self>) -> Passing {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        Passing(self.clone())
    }

    /// No cancel request is under way.
    pub fn is_clear(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0
    }

    /// Waits until no cancel request is under way.
    pub async fn clear(&self) {
        loop {
            let done = self.done.notified();
            if self.is_clear() {
                return;
            }
            done.await;
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_waiters();
        }
    }
}

/// What a cancel request needs to know of a connection.
#[derive(Clone, Debug)]
pub struct CancelHandle {
    /// The server.
    pub target: Arc<Target>,
    /// Process id of the backend.
    pub pid: i32,
    /// Its secret.
    pub secret: Arc<[u8]>,
    /// Its gate.
    pub gate: Arc<Gate>,
}

impl CancelHandle {
    /// Sends a cancel request and waits until the server has taken it.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn cancel(self: Arc<Self>, passing: Passing) -> Result<(), BackendError> {
        let sent = cancel::send(&self.target, self.pid, &self.secret).await;
        drop(passing);
        sent
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Conn {
    /// The socket.
    pub stream: Stream,
    /// Bytes that came and were not consumed.
    pub buf: BytesMut,
    /// Settings as the server reported them.
    pub reported: Reported,
    /// Statements prepared here.
    pub statements: Statements,
    /// Settings as pgring made them.
    pub profile: Arc<Profile>,
    /// How to cancel what runs here.
    pub cancel: Arc<CancelHandle>,
    /// search_path of a fresh session here.
    pub search_path: Arc<str>,
    /// Slots for prepared transactions on this server.
    pub max_prepared_transactions: u32,
    /// Notices of the server when the connection began: for each client who begins on it.
    pub greeting: Box<[Fields]>,
    /// Notices of the last housekeeping.
    notices: Vec<Fields>,
    /// The session that was the last to use sequences here.
    pub sequences_of: u64,
    /// Its entry in its pool's list.
    pub badge: Arc<Badge>,
    /// When it is to be replaced.
    pub expires: Option<Coarse>,
    /// When it was last put back.
    pub idle_since: Coarse,
}

/// A backend that was idle for longer is looked at more closely.
const LONG_IDLE: Duration = Duration::from_millis(200);

const READ: usize = 16 * 1024;
const READ_LARGE: usize = 64 * 1024;

impl Conn {
    /// Wraps a fresh connection.
    pub fn new(backend: Backend, target: Arc<Target>, statements: usize) -> Self {
        Self {
            stream: backend.stream,
            buf: backend.buffer,
            reported: Reported::new(backend.parameters),
            statements: Statements::new(statements),
            profile: Profile::empty(),
            cancel: Arc::new(CancelHandle {
                target,
                pid: backend.pid,
                secret: backend.secret.into(),
                gate: Arc::default(),
            }),
            search_path: "\"$user\", public".into(),
            max_prepared_transactions: 0,
            greeting: backend.notices.into(),
            notices: Vec::new(),
            sequences_of: 0,
            badge: Arc::new(Badge::new(backend.pid)),
            expires: None,
            idle_since: registry::now(),
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Reads more bytes into `buf`; large reads once a first read was full.
    ///
    /// # Errors
    /// If the socket fails or the server closed it.
    pub async fn read(&mut self) -> io::Result<()> {
        let room = self.buf.capacity() - self.buf.len();
        if room < READ / 2 {
            self.buf.reserve(if self.buf.capacity() >= READ && room == 0 { READ_LARGE } else { READ });
        }
        if self.stream.read_buf(&mut self.buf).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Gives back memory that a large result took.
    pub fn shrink(&mut self) {
        if self.buf.is_empty() && self.buf.capacity() > READ_LARGE {
            self.buf = BytesMut::new();
        }
    }

    /// Moves a plain socket to the runtime that the caller runs on (TLS stays where it is, and still works).
    pub fn rehome(mut self) -> Option<Self> {
        self.stream = match self.stream.into_std() {
            Ok(socket) => Stream::from_std(socket).ok()?,
            Err(MoveError::Tied(stream)) => *stream,
            Err(MoveError::Io(_)) => return None,
        };
        Some(self)
    }

    /// It has lived long enough.
    pub fn is_old(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= registry::now())
    }

    /// Nothing came while it was idle: neither bytes nor the end. One that was idle for some time asks the system,
    /// which knows of an end before the event loop does.
    pub fn is_quiet(&mut self) -> bool {
        if !self.buf.is_empty() || (registry::since(self.idle_since) > LONG_IDLE && self.stream.has_input_now()) {
            return false;
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0u8; 1];
        let read = pin!(self.stream.read(&mut byte));
        matches!(read.poll(&mut context), Poll::Pending)
    }

    /// Reads one whole frame: its kind and body.
    ///
    /// # Errors
    /// If the socket fails or the frame is broken.
    pub async fn frame(&mut self) -> Result<(u8, BytesMut), ConnError> {
        loop {
            match frame::complete(&self.buf, MAX_FRAME) {
                Ok(Some(head)) => {
                    let mut whole = self.buf.split_to(head.len);
                    whole.advance(5);
                    return Ok((head.kind, whole));
                }
                Ok(None) => self.read().await?,
                Err(error) => return Err(ConnError::Protocol(error.to_string())),
            }
        }
    }

    /// Runs housekeeping SQL by the simple protocol; its answers are swallowed but for the rows (text).
    ///
    /// # Errors
    /// [`ConnError::Server`] with the first error of the server, after everything was read.
    pub async fn housekeep(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ConnError> {
        let mut out = BytesMut::new();
        build::query(&mut out, sql.as_bytes());
        self.send(&out).await?;
        self.drain().await.map(|drained| drained.rows)
    }

    /// Prepares a statement under its number; `gone` makes room for it.
    ///
    /// # Errors
    /// [`ConnError::Server`] if the server does not take it.
    pub async fn prepare(
        &mut self,
        id: StatementId,
        gone: Option<StatementId>,
        text: &[u8],
        types: &[u32],
    ) -> Result<(), ConnError> {
        let mut out = BytesMut::new();
        for name in gone.into_iter().chain([id]) {
            build::close(&mut out, b'S', name.name());
        }
        build::parse(&mut out, id.name(), text, types);
        build::sync(&mut out);
        self.send(&out).await?;
        self.drain().await.map(|_| ())
    }

    /// Reads up to ReadyForQuery.
    ///
    /// # Errors
    /// [`ConnError::Server`] with the first error of the server, after everything was read.
    pub async fn drain(&mut self) -> Result<Drained, ConnError> {
        self.drain_with(|_, _| {}).await
    }

    /// As [`Conn::drain`]; descriptions (`t`, `T`, `n`) are shown as they come.
    ///
    /// # Errors
    /// As [`Conn::drain`].
    pub async fn drain_with(&mut self, described: impl Fn(u8, &[u8])) -> Result<Drained, ConnError> {
        let mut drained = Drained::default();
        let mut error = None;
        self.notices.clear();
        loop {
            let (kind, body) = self.frame().await?;
            match kind {
                b'D' => drained.rows.push(text_row(&body)?),
                b'C' => {
                    drained.tag = result::tag(&body).map_err(|e| ConnError::Protocol(e.to_string()))?.to_owned();
                }
                b'S' => self.reported.note(&body),
                b't' | b'T' | b'n' => described(kind, &body),
                b'N' => self.notices.extend(Fields::parse(&body)),
                b'E' => {
                    let (fields, _) = Fields::of_error(&body);
                    if is_fatal(&fields) {
                        return Err(ended(&fields));
                    }
                    error.get_or_insert(fields);
                }
                b'Z' => {
                    drained.status = body.first().copied().unwrap_or(b'I');
                    break;
                }
                _ => {}
            }
        }
        match error {
            Some(fields) => Err(ConnError::Server(Box::new(fields))),
            None => Ok(drained),
        }
    }

    /// Runs SQL by the simple protocol; its notices go into `out` if they are wanted.
    ///
    /// # Errors
    /// [`ConnError::Server`] with the first error of the server, after everything was read.
    pub async fn housekeep_with(&mut self, sql: &str, notices: bool, out: &mut BytesMut) -> Result<Drained, ConnError> {
        let mut request = BytesMut::new();
        build::query(&mut request, sql.as_bytes());
        self.ask(&request, notices.then_some(out)).await
    }

    /// Sends messages that end with a Query or Sync, and reads up to ReadyForQuery; their notices go into `out`.
    ///
    /// # Errors
    /// As [`Conn::drain`].
    pub async fn ask(&mut self, request: &[u8], out: Option<&mut BytesMut>) -> Result<Drained, ConnError> {
        self.send(request).await?;
        let drained = self.drain().await;
        if let Some(out) = out {
            self.notices.drain(..).for_each(|notice| build::notice(out, &notice));
        }
        drained
    }

    /// Waits until the whole answer is in `buf`, or so many bytes of it are. Returns whether it is an error.
    ///
    /// # Errors
    /// If the socket fails or a frame is broken.
    pub async fn await_answer(&mut self, most: usize) -> Result<bool, ConnError> {
        let (mut at, mut failed) = (0, false);
        loop {
            let rest = self.buf.get(at..).unwrap_or_default();
            match frame::complete(rest, MAX_FRAME).map_err(|error| ConnError::Protocol(error.to_string()))? {
                Some(head) => {
                    at += head.len;
                    failed |= head.kind == b'E';
                    if head.kind == b'Z' {
                        return Ok(failed);
                    }
                }
                None if self.buf.len() >= most => return Ok(failed),
                None => self.read().await?,
            }
        }
    }

    /// Reads on to ReadyForQuery, whatever comes before it; returns the transaction status.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn drain_rest(&mut self) -> Result<u8, ConnError> {
        loop {
            let (kind, body) = self.frame().await?;
            match kind {
                b'Z' => return Ok(body.first().copied().unwrap_or(b'I')),
                b'S' => self.reported.note(&body),
                b'E' => {
                    if let Some(fields) = Fields::parse(&body).ok().filter(is_fatal) {
                        return Err(ended(&fields));
                    }
                }
                _ => {}
            }
        }
    }

    /// Waits until the server says something of its own accord, or ends the connection; it is in `buf` then.
    pub fn poll_word(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.poll_input(context))?;
        // The event loop may remember input that was read long since: the socket knows.
        pin!(self.read()).poll(context)
    }

    /// Makes the backend look like `profile`.
    ///
    /// # Errors
    /// The server's, if it does not take a setting; the connection is then not to be used again.
    pub async fn take_on(&mut self, profile: &Arc<Profile>) -> Result<(), ConnError> {
        if Arc::ptr_eq(&self.profile, profile) {
            return Ok(());
        }
        let sql = profile.sql_from(&self.profile);
        if !sql.is_empty() {
            self.housekeep(&sql).await?;
        }
        self.profile = profile.clone();
        Ok(())
    }
}

/// What a drained answer said.
#[derive(Debug, Default)]
pub struct Drained {
    /// Rows, as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// Tag of the last command.
    pub tag: String,
    /// Transaction status: I, T or E.
    pub status: u8,
}

/// An error with which the server ends the connection.
pub fn is_fatal(fields: &Fields) -> bool {
    matches!(fields.get(b'V').or(fields.get(b'S')), Some("FATAL" | "PANIC"))
}

/// The connection is lost, and the server said why.
fn ended(fields: &Fields) -> ConnError {
    let said = fields.get(b'M').unwrap_or("no reason given").to_owned();
    ConnError::Lost(io::Error::new(io::ErrorKind::ConnectionAborted, said))
}

fn text_row(body: &[u8]) -> Result<Vec<Option<String>>, ConnError> {
    let columns = result::columns(body).map_err(|e| ConnError::Protocol(e.to_string()))?;
    columns
        .map(|column| {
            let column = column.map_err(|e| ConnError::Protocol(e.to_string()))?;
            Ok(column.map(|value| String::from_utf8_lossy(value).into_owned()))
        })
        .collect()
}

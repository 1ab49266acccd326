//! Streams: one type for every way bytes reach a peer. In: sockets. Out: reads and writes. Never: knows a message.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, Interest, ReadBuf, Ready},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{client, server};

use crate::frame;

/// A connection, whatever carries it.
#[derive(Debug)]
pub enum Stream {
    /// TCP in clear.
    Tcp(TcpStream),
    /// A Unix-domain socket.
    Unix(UnixStream),
    /// TLS with a client.
    TlsServer(Box<TlsServer>),
    /// TLS with a server.
    TlsClient(Box<client::TlsStream<TcpStream>>),
    /// A pipe inside this process.
    Memory(DuplexStream),
}

/// TLS with a client, and what SCRAM binds to.
#[derive(Debug)]
pub struct TlsServer {
    /// The stream.
    pub stream: server::TlsStream<TcpStream>,
    /// `tls-server-end-point` of the certificate shown, where one is defined.
    pub end_point: Option<Vec<u8>>,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address of TCP.
    Tcp(SocketAddr),
    /// Someone on this machine.
    Unix,
    /// This process.
    Memory,
    /// No one any more: the socket has lost its peer.
    Gone,
}

/// A plain socket outside of any runtime, on its way from one to another.
#[derive(Debug)]
pub enum StdStream {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A Unix-domain socket.
    Unix(std::os::unix::net::UnixStream),
}

/// When the system probes a silent connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes before the connection counts as lost.
    pub retries: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), interval: Duration::from_secs(10), retries: 3 }
    }
}

impl Stream {
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::TlsServer(tls) => Some(tls.stream.get_ref().0),
            Self::TlsClient(tls) => Some(tls.get_ref().0),
            Self::Unix(_) | Self::Memory(_) => None,
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        match (self.tcp(), self) {
            (Some(tcp), _) => tcp.peer_addr().map_or(Peer::Gone, Peer::Tcp),
            (None, Self::Memory(_)) => Peer::Memory,
            (None, _) => Peer::Unix,
        }
    }

    /// Whether TLS covers it.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::TlsServer(_) | Self::TlsClient(_))
    }

    /// Whether a secret sent in clear stays on this machine or under TLS.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self.peer() {
            Peer::Tcp(address) => self.is_tls() || address.ip().to_canonical().is_loopback(),
            Peer::Unix | Peer::Memory => true,
            Peer::Gone => self.is_tls(),
        }
    }

    /// Sends small writes at once (TCP_NODELAY) and lets the system probe a silent peer. Does nothing where there is no
    /// TCP.
    ///
    /// # Errors
    /// What the system says.
    pub fn tune(&self, keepalive: Keepalive) -> io::Result<()> {
        let Some(tcp) = self.tcp() else { return Ok(()) };
        tcp.set_nodelay(true)?;
        let probes = TcpKeepalive::new().with_time(keepalive.idle).with_interval(keepalive.interval);
        SockRef::from(tcp).set_tcp_keepalive(&probes.with_retries(keepalive.retries))
    }

    /// Takes a plain socket out of its runtime.
    ///
    /// # Errors
    /// The stream itself, boxed, when it is not a plain socket; [`MoveError::Io`] for what the system says.
    pub fn into_std(self) -> Result<StdStream, MoveError> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(StdStream::Tcp).map_err(MoveError::Io),
            Self::Unix(stream) => stream.into_std().map(StdStream::Unix).map_err(MoveError::Io),
            other => Err(MoveError::Tied(Box::new(other))),
        }
    }

    /// Puts a plain socket into the runtime that the caller runs on.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_std(stream: StdStream) -> io::Result<Self> {
        match stream {
            StdStream::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream).map(Self::Tcp)
            }
            StdStream::Unix(stream) => {
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream).map(Self::Unix)
            }
        }
    }

    /// Whether bytes, the end or an error wait to be read on a connection that should be silent. Under TLS this looks at
    /// the socket below.
    #[must_use]
    pub fn has_input(&self) -> bool {
        let read = match self {
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || peek(&SockRef::from(stream))),
            Self::Memory(_) => return false,
            tcp => match tcp.tcp() {
                Some(stream) => stream.try_io(Interest::READABLE, || peek(&SockRef::from(stream))),
                None => return false,
            },
        };
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Stream {
    /// As [`Stream::has_input`], but asks the system, which may know more than the event loop has been told.
    #[must_use]
    pub fn has_input_now(&self) -> bool {
        let read = match self {
            Self::Unix(stream) => peek(&SockRef::from(stream)),
            Self::Memory(_) => return false,
            tcp => match tcp.tcp() {
                Some(stream) => peek(&SockRef::from(stream)),
                None => return false,
            },
        };
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits until something can be read, or the end. Costs no call of the system while nothing comes. Under TLS this
    /// looks at the socket below; a pipe in this process never gets ready.
    pub fn poll_input(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Unix(stream) => stream.poll_read_ready(context),
            other => other.tcp().map_or(Poll::Pending, |stream| stream.poll_read_ready(context)),
        }
    }

    /// What the system has told of the socket so far.
    fn told(&self) -> Ready {
        let mut context = Context::from_waker(Waker::noop());
        let interest = Interest::READABLE | Interest::WRITABLE;
        let ready = match self {
            Self::Unix(stream) => std::pin::pin!(stream.ready(interest)).poll(&mut context),
            other => match other.tcp() {
                Some(stream) => std::pin::pin!(stream.ready(interest)).poll(&mut context),
                None => Poll::Pending,
            },
        };
        match ready {
            Poll::Ready(Ok(ready)) => ready,
            _ => Ready::EMPTY,
        }
    }

    /// Nothing comes any more, though the peer may still read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.told().is_read_closed()
    }

    /// Nobody reads any more: the connection is closed in both directions, or was reset.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let told = self.told();
        told.is_write_closed() || told.is_error()
    }
}

fn peek(socket: &SockRef<'_>) -> io::Result<usize> {
    socket.peek(&mut [std::mem::MaybeUninit::uninit()])
}

/// A socket that could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// It is tied to this runtime: TLS, or a pipe. Here it is back.
    #[error("only a plain socket can be moved")]
    Tied(Box<Stream>),
    /// The system refused.
    #[error(transparent)]
    Io(io::Error),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl From<DuplexStream> for Stream {
    fn from(stream: DuplexStream) -> Self {
        Self::Memory(stream)
    }
}

/// Calls one method on whichever stream it is.
macro_rules! each {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::Unix(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::TlsServer(inner) => {
                let $stream = Pin::new(&mut inner.stream);
                $call
            }
            Stream::TlsClient(inner) => {
                let $stream = Pin::new(inner.as_mut());
                $call
            }
            Stream::Memory(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }
}

/// Why no whole frame came.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    Closed,
    Frame(frame::FrameError),
}

/// Reads one whole frame of at most `max` bytes; returns its kind and body. Bytes behind it stay in `buffer`.
pub(crate) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    max: usize,
) -> Result<(u8, BytesMut), ReadError> {
    loop {
        if let Some(head) = frame::complete(buffer, max).map_err(ReadError::Frame)? {
            let mut body = buffer.split_to(head.len);
            body.advance(frame::HEADER);
            return Ok((head.kind, body));
        }
        if stream.read_buf(buffer).await.map_err(ReadError::Io)? == 0 {
            return Err(ReadError::Closed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream, UnixStream},
    };

    use super::{Keepalive, MoveError, Peer, Stream};

    async fn pair() -> (Stream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client.into(), listener.accept().await.unwrap().0.into())
    }

    #[tokio::test]
    async fn a_stream_knows_its_peer_and_whether_a_secret_is_safe_on_it() {
        let (client, server) = pair().await;
        let Stream::Tcp(tcp) = &client else { panic!("no TCP") };
        assert_eq!(server.peer(), Peer::Tcp(tcp.local_addr().unwrap()));
        assert!(server.is_private() && !server.is_tls());
        let unix = Stream::from(UnixStream::pair().unwrap().0);
        assert_eq!((unix.peer(), unix.is_private()), (Peer::Unix, true));
        assert_eq!(Stream::from(tokio::io::duplex(1).0).peer(), Peer::Memory);
    }

    #[tokio::test]
    async fn tuning_sets_what_the_system_then_reports() {
        let (client, _server) = pair().await;
        client.tune(Keepalive::default()).unwrap();
        let Stream::Tcp(tcp) = &client else { panic!("no TCP") };
        let socket = socket2::SockRef::from(tcp);
        assert!(tcp.nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Keepalive::default().idle);
        Stream::from(UnixStream::pair().unwrap().0).tune(Keepalive::default()).unwrap();
    }

    #[test]
    fn a_plain_socket_moves_to_another_runtime_and_back_comes_what_cannot() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let (mut client, server) = first.block_on(pair());
        let moved = first.block_on(async { server.into_std().unwrap() });
        first.block_on(client.write_all(b"x")).unwrap();
        let received = second.block_on(async { Stream::from_std(moved).unwrap().read_u8().await.unwrap() });
        assert_eq!(received, b'x');
        let pipe = Stream::from(tokio::io::duplex(1).0);
        assert!(matches!(pipe.into_std(), Err(MoveError::Tied(stream)) if stream.peer() == Peer::Memory));
    }

    #[tokio::test]
    async fn a_peer_that_only_stops_sending_is_told_from_one_that_is_gone() {
        let unix = || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            (Stream::from(ours), Stream::from(theirs))
        };
        for (ours, mut theirs, needs_a_write) in
            [pair().await, unix()].into_iter().zip([true, false]).map(|((a, b), write)| (a, b, write))
        {
            let mut ours = ours;
            theirs.shutdown().await.unwrap();
            std::future::poll_fn(|context| ours.poll_input(context)).await.unwrap();
            assert!(ours.is_at_end() && ours.has_input_now());
            assert!(!ours.is_broken(), "it still reads");
            drop(theirs);
            if needs_a_write {
                ours.write_all(b"x").await.unwrap();
            }
            while !ours.is_broken() {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn input_is_seen_without_being_read() {
        let (client, mut server) = pair().await;
        assert!(!server.has_input());
        let mut client = client;
        client.write_all(b"x").await.unwrap();
        let Stream::Tcp(tcp) = &server else { panic!("no TCP") };
        tcp.readable().await.unwrap();
        assert!(server.has_input());
        assert_eq!(server.read_u8().await.unwrap(), b'x');
        assert!(!server.has_input());
        drop(client);
        let Stream::Tcp(tcp) = &server else { panic!("no TCP") };
        tcp.readable().await.unwrap();
        assert!(server.has_input(), "the end counts");
    }
}

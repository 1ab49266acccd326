//! Accept: the listening sockets. In: addresses of the settings. Out: each accepted socket, handed to the next worker
//! thread. Never: reads a byte.

use super::{Door, greet};
use pgring_config::settings::Listener;
use pgring_protocol::stream::StdStream;
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// How long accepting pauses when the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// The port in a Unix socket's name when no listener has a TCP port.
const DEFAULT_PORT: u16 = 6432;

/// A socket that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct ListenError {
    /// Where.
    pub address: String,
    /// Why.
    pub error: io::Error,
}

/// A socket that clients can connect to.
#[derive(Debug)]
pub struct Listening {
    socket: Socket,
    address: Bound,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

#[derive(Debug)]
enum Bound {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listening {
    /// Its address as `host:port`, with the port that was chosen; or the path of its Unix socket.
    pub fn address(&self) -> String {
        match &self.address {
            Bound::Tcp(address) => address.to_string(),
            Bound::Unix(path) => path.display().to_string(),
        }
    }

    /// Its TCP address.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match &self.address {
            Bound::Tcp(address) => Some(*address),
            Bound::Unix(_) => None,
        }
    }

    /// Takes clients in until `closed`; the socket is gone after that.
    pub async fn serve(self, door: Arc<Door>, closed: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = closed.cancelled() => break,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(stream) => hand_on(&door, stream),
                Err(error) => {
                    tracing::warn!(address = self.address(), %error, "a client could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<StdStream> {
        match &self.socket {
            Socket::Tcp(socket) => socket.accept().await?.0.into_std().map(StdStream::Tcp),
            Socket::Unix(socket) => socket.accept().await?.0.into_std().map(StdStream::Unix),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Bound::Unix(path) = &self.address
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(path = %path.display(), %error, "the socket's file could not be removed");
        }
    }
}

/// Hands a socket to the next worker thread, where it stays.
fn hand_on(door: &Arc<Door>, stream: StdStream) {
    let worker = door.turn.fetch_add(1, Ordering::Relaxed) % door.workers.len().max(1);
    if let Some(handle) = door.workers.get(worker) {
        let door = door.clone();
        handle.spawn(async move { greet::serve(door, worker, stream).await });
    }
}

/// Opens all listening sockets. A Unix socket's port is that of the first TCP listener.
///
/// # Errors
/// [`ListenError`] for the first that cannot be opened.
pub async fn bind(listeners: &[Listener]) -> Result<Vec<Listening>, ListenError> {
    let mut open = Vec::new();
    for listener in listeners {
        if let Listener::Tcp(place) = listener {
            let opened = TcpListener::bind((place.host.as_str(), place.port)).await;
            let opened = opened.and_then(|socket| Ok((socket.local_addr()?, socket)));
            let (address, socket) = opened.map_err(|error| ListenError { address: place.to_string(), error })?;
            open.push(Listening { socket: Socket::Tcp(socket), address: Bound::Tcp(address) });
        }
    }
    let port = open.iter().find_map(Listening::tcp).map_or(DEFAULT_PORT, |address| address.port());
    for listener in listeners {
        if let Listener::Unix(directory) = listener {
            let path = directory.join(format!(".s.PGSQL.{port}"));
            let socket = bind_unix(&path).await;
            let socket = socket.map_err(|error| ListenError { address: path.display().to_string(), error })?;
            open.push(Listening { socket: Socket::Unix(socket), address: Bound::Unix(path) });
        }
    }
    Ok(open)
}

/// Opens a Unix socket, in place of one that nobody serves any more.
async fn bind_unix(path: &PathBuf) -> io::Result<UnixListener> {
    if path.exists() {
        match UnixStream::connect(path).await {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    let socket = UnixListener::bind(path)?;
    // Who may log in is decided by passwords, as with PostgreSQL's own sockets.
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    Ok(socket)
}

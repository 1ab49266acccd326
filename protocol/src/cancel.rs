//! Cancel: asks a server to break off what one of its connections runs. In: a server, process and secret.
//! Out: the request has been taken in. Never: tells whether there was anything to cancel; no one can.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    backend::{self, BackendError, Target},
    message::startup,
};

/// Sends a CancelRequest, with TLS where the target asks for it, and waits until the server has closed the socket: the
/// signal has then been sent, so that a connection kept out of use until here cannot be hit by it later on.
///
/// # Errors
/// [`BackendError::Io`], [`BackendError::Timeout`] after the target's `connect_timeout`, [`BackendError::Tls`].
pub async fn send(target: &Target, pid: i32, secret: &[u8]) -> Result<(), BackendError> {
    backend::within(target.connect_timeout, async {
        let mut stream = backend::open(target).await?;
        let mut out = BytesMut::new();
        startup::cancel_request(&mut out, pid, secret);
        stream.write_all(&out).await?;
        stream.flush().await?;
        // The server answers nothing; it may end the socket with a reset, which is an end as well.
        let mut sink = [0; 64];
        while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {}
        Ok(())
    })
    .await
}

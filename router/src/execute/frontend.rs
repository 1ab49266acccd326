//! Frontend: the client's socket with what came and what is to go. In: frames of the client. Out: one write for
//! everything that is ready. Never: a backend.

use bytes::{Buf, BytesMut};
use pgring_protocol::{frame, stream::Stream};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Largest message a client may send whole (COPY data passes in pieces).
pub const MAX_MESSAGE: usize = 256 * 1024 * 1024;
const READ: usize = 4096;

/// Why a client's bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrontendError {
    /// The socket failed, or the client is gone.
    #[error("the client is gone: {0}")]
    Gone(#[from] io::Error),
    /// The stream is out of step: it cannot be read any further.
    #[error("{0}")]
    OutOfStep(String),
    /// A message over the limit.
    #[error("a message of {0} bytes")]
    TooLarge(usize),
}

/// The client's socket.
#[derive(Debug)]
pub struct Frontend {
    /// The socket.
    pub stream: Stream,
    /// Bytes that came and were not consumed.
    pub inbuf: BytesMut,
    /// Bytes that are ready to go.
    pub out: BytesMut,
    /// Characters of the client's message before the statement that runs: added to positions in its errors.
    pub position_offset: usize,
    /// A CommandComplete that is relayed waits in `tag` until what it says is committed.
    pub hold_tag: bool,
    tag: Option<BytesMut>,
    /// A ReadyForQuery outside a transaction is not passed on: something goes before it.
    pub hold_ready: bool,
    /// One was not.
    pub ready_held: bool,
}

impl Frontend {
    /// Wraps a socket; `inbuf` holds what was read already.
    pub fn new(stream: Stream, inbuf: BytesMut) -> Self {
        Self {
            stream,
            inbuf,
            out: BytesMut::new(),
            position_offset: 0,
            hold_tag: false,
            tag: None,
            hold_ready: false,
            ready_held: false,
        }
    }

    /// A whole message that is already here: its kind and the whole frame.
    ///
    /// # Errors
    /// [`FrontendError::OutOfStep`] (08P01), [`FrontendError::TooLarge`] (54000).
    pub fn take_frame(&mut self) -> Result<Option<(u8, BytesMut)>, FrontendError> {
        match frame::head(&self.inbuf).map_err(|e| FrontendError::OutOfStep(e.to_string()))? {
            None => Ok(None),
            Some(head) if !is_message(head.kind) => {
                Err(FrontendError::OutOfStep(format!("invalid frontend message type {}", head.kind)))
            }
            Some(head) if head.len > MAX_MESSAGE => Err(FrontendError::TooLarge(head.len)),
            Some(head) if head.len > self.inbuf.len() => Ok(None),
            Some(head) => Ok(Some((head.kind, self.inbuf.split_to(head.len)))),
        }
    }

    /// Waits for more bytes.
    ///
    /// # Errors
    /// [`FrontendError::Gone`] at the end of the stream.
    pub async fn read(&mut self) -> Result<(), FrontendError> {
        if self.inbuf.capacity() - self.inbuf.len() < READ / 4 {
            let known = frame::head(&self.inbuf).ok().flatten().map_or(0, |head| head.len.min(1 << 20));
            self.inbuf.reserve(known.saturating_sub(self.inbuf.len()).max(READ));
        }
        if self.stream.read_buf(&mut self.inbuf).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    /// Sends what is ready, in one write.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    /// As [`Frontend::flush`]; given up in the middle, `out` holds what was not sent.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn flush_in_steps(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            if self.stream.write_buf(&mut self.out).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush().await
    }

    /// Sends what is ready and then `bytes`, in one write where that costs little.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.out.is_empty() {
            return self.stream.write_all(bytes).await;
        }
        self.out.extend_from_slice(bytes);
        self.flush().await
    }

    /// Keeps a CommandComplete back.
    pub fn keep_tag(&mut self, frame: &[u8]) {
        self.tag = Some(frame.into());
    }

    /// Takes back the CommandComplete of a statement that has just succeeded: one that was kept, else the last frame
    /// of the output.
    pub fn take_tag(&mut self) -> Option<BytesMut> {
        if let Some(kept) = self.tag.take() {
            return Some(kept);
        }
        let mut at = 0;
        while let Ok(Some(head)) = frame::head(&self.out[at..]) {
            if at + head.len >= self.out.len() {
                let is_tag = head.kind == b'C' && at + head.len == self.out.len();
                return is_tag.then(|| self.out.split_off(at));
            }
            at += head.len;
        }
        None
    }

    /// Gives back memory that a large message took, when nothing is left to read.
    pub fn shrink(&mut self) {
        if self.inbuf.is_empty() && self.inbuf.capacity() > 4 * READ {
            self.inbuf = BytesMut::new();
        }
        if self.out.is_empty() && self.out.capacity() > 4 * READ {
            self.out = BytesMut::new();
        }
    }
}

/// Takes the header off a frame.
pub fn body(mut frame: BytesMut) -> BytesMut {
    frame.advance(5.min(frame.len()));
    frame
}

fn is_message(kind: u8) -> bool {
    matches!(kind, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'F' | b'd' | b'c' | b'f' | b'p')
}

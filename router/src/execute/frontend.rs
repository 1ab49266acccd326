//! Frontend: the client's socket with what came and what is to go. In: frames of the client. Out: one write for
//! everything that is ready. Never: a backend.

use super::splice::Respelled;
use crate::{cluster::Client, pool::reported::Reported};
use bytes::{Buf, Bytes, BytesMut};
use pgring_protocol::{
    frame::{self, Head},
    message::notice::Fields,
    stream::Stream,
};
use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, ready},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

/// Largest message a client may send whole (COPY data passes in pieces).
pub const MAX_MESSAGE: usize = 256 * 1024 * 1024;
/// Largest message of a kind that carries no more than a name, its kind included, as in PostgreSQL.
const MAX_SHORT: usize = 10_001;
const READ: usize = 4096;
/// Bytes that a worker lends for reading.
const LENT_BYTES: usize = 16 * 1024;
/// Room for output that an idle client may keep.
const IDLE_OUT: usize = 512;
/// Output that PostgreSQL keeps until a Sync, a Flush or an error.
const KEPT: usize = 8 * 1024;

thread_local! {
    static LENT: RefCell<Box<[u8]>> = RefCell::new(vec![0; LENT_BYTES].into());
}

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
    /// Bytes at the front of `inbuf` that are whole messages of a batch and wait for its Sync.
    held: usize,
    /// Bytes that are ready to go.
    pub out: BytesMut,
    /// How many characters further on the statement that runs stands in the client's message than in the server's:
    /// added to positions in its errors.
    pub position_offset: isize,
    /// The statement that runs stands in another form in the server's message than in the client's.
    pub respelled: Option<Box<Respelled>>,
    /// A CommandComplete that is relayed waits in `tag` until what it says is committed.
    pub hold_tag: bool,
    tag: Option<BytesMut>,
    /// What the client was told of settings.
    pub told: Reported,
    /// Little output is kept back, as PostgreSQL keeps it before a Sync.
    pub keeps: bool,
    /// Nothing comes from the client any more.
    pub at_end: bool,
    /// Who it is, once it has logged in.
    pub who: Option<Arc<Client>>,
    /// Tells whether its statement has run out of time, where there is a limit.
    pub overdue: Option<Arc<AtomicBool>>,
    /// A ReadyForQuery outside a transaction is not passed on: something goes before it.
    pub hold_ready: bool,
    /// One was not.
    pub ready_held: bool,
    /// The last Parse of an unnamed statement that was not passed over after an error: its number, and whether it
    /// succeeded.
    pub unnamed: Option<(usize, bool)>,
    /// A message of this kind, which was taken already, stands behind the COPY FROM that is relayed.
    pub behind_copy: Option<u8>,
}

impl Frontend {
    /// Wraps a socket; `inbuf` holds what was read already.
    pub fn new(stream: Stream, inbuf: BytesMut) -> Self {
        Self {
            stream,
            inbuf,
            held: 0,
            out: BytesMut::new(),
            position_offset: 0,
            respelled: None,
            hold_tag: false,
            tag: None,
            told: Reported::default(),
            keeps: false,
            at_end: false,
            who: None,
            overdue: None,
            hold_ready: false,
            ready_held: false,
            unnamed: None,
            behind_copy: None,
        }
    }

    /// A whole message that is already here: its kind and the whole frame.
    ///
    /// # Errors
    /// As [`Frontend::next_head`].
    pub fn take_frame(&mut self) -> Result<Option<(u8, BytesMut)>, FrontendError> {
        Ok(self.next_head()?.map(|head| (head.kind, self.take(head))))
    }

    /// The header of the next message, if the whole of it is here. What is held does not count.
    ///
    /// # Errors
    /// [`FrontendError::OutOfStep`] (08P01), [`FrontendError::TooLarge`] (54000).
    pub fn next_head(&self) -> Result<Option<Head>, FrontendError> {
        let rest = self.inbuf.get(self.held..).unwrap_or_default();
        match frame::head(rest).map_err(|e| FrontendError::OutOfStep(e.to_string()))? {
            None => Ok(None),
            Some(head) if !is_message(head.kind) => {
                Err(FrontendError::OutOfStep(format!("invalid frontend message type {}", head.kind)))
            }
            Some(head) if is_short(head.kind) && head.len > MAX_SHORT => {
                Err(FrontendError::OutOfStep("invalid message length".to_owned()))
            }
            Some(head) if head.len > MAX_MESSAGE => Err(FrontendError::TooLarge(head.len)),
            Some(head) if head.len > rest.len() => Ok(None),
            Some(head) => Ok(Some(head)),
        }
    }

    /// Takes the message of this header, with all that is held before it.
    pub fn take(&mut self, head: Head) -> BytesMut {
        let len = self.held + head.len;
        self.held = 0;
        self.inbuf.split_to(len)
    }

    /// The message of this header, behind all that is held.
    pub fn peek(&self, head: Head) -> &[u8] {
        self.inbuf.get(self.held..self.held + head.len).unwrap_or_default()
    }

    /// Puts a message back that was taken: it is the next one.
    pub fn unread(&mut self, frame: &[u8]) {
        let rest = std::mem::replace(&mut self.inbuf, frame.into());
        self.inbuf.unsplit(rest);
    }

    /// Leaves the message of this header where it is: it is taken with those that follow.
    pub fn hold(&mut self, head: Head) {
        self.held += head.len;
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes what is held.
    pub fn take_held(&mut self) -> Bytes {
        self.inbuf.split_to(std::mem::take(&mut self.held)).freeze()
    }

    /// Waits for more bytes.
    ///
    /// # Errors
    /// [`FrontendError::Gone`] at the end of the stream.
    pub async fn read(&mut self) -> Result<(), FrontendError> {
        let count = if self.inbuf.is_empty() { self.read_lent().await? } else { self.read_on().await? };
        if count == 0 { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) } else { Ok(()) }
    }

    /// Reads by the worker's buffer, so that a client that sends nothing needs none of its own.
    async fn read_lent(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            LENT.with_borrow_mut(|lent| {
                let mut buffer = ReadBuf::new(lent);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
                self.inbuf.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            })
        })
        .await
    }

    /// Reads the rest of a message.
    async fn read_on(&mut self) -> io::Result<usize> {
        if self.inbuf.capacity() - self.inbuf.len() < READ / 4 {
            let rest = self.inbuf.get(self.held..).unwrap_or_default();
            let known = frame::head(rest).ok().flatten().map_or(0, |head| head.len.min(1 << 20));
            self.inbuf.reserve(known.saturating_sub(rest.len()).max(READ));
        }
        self.stream.read_buf(&mut self.inbuf).await
    }

    /// Sends what is ready, in one write.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        let kept = self.keeps && self.out.len() < KEPT;
        if !self.out.is_empty() && !kept {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
            // Under TLS what the socket does not take yet waits for this.
            self.stream.flush().await?;
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
        if self.out.is_empty() && !self.keeps {
            self.stream.write_all(bytes).await?;
            return self.stream.flush().await;
        }
        self.out.extend_from_slice(bytes);
        self.flush().await
    }

    /// Makes an error's position one in the client's message; returns whether that differs.
    pub fn move_position(&self, error: &mut Fields) -> bool {
        let respelled = self.respelled.as_ref().filter(|_| error.get(b'P').is_some());
        if let Some(respelled) = respelled {
            respelled.correct(error);
        }
        let position = error.get(b'P').and_then(|position| position.parse::<isize>().ok());
        let Some(position) = position.filter(|_| self.position_offset != 0) else {
            return respelled.is_some();
        };
        error.set(b'P', (position + self.position_offset).max(1).to_string());
        true
    }

    /// Puts into an error why pgring has cancelled the statement, which the server cannot know; returns whether it did.
    pub fn explain_cancel(&self, error: &mut Fields) -> bool {
        if error.get(b'C') != Some("57014") {
            return false;
        }
        if self.who.as_ref().is_some_and(|who| who.take_deadlock()) {
            error.set(b'C', "40P01");
            error.set(b'M', "deadlock detected");
            error.set(b'D', "PGR-2018: transactions wait for each other on several shards");
            error.set(b'H', "Run the transaction again.");
            return true;
        }
        let overdue = self.overdue.as_ref().is_some_and(|overdue| overdue.load(Ordering::Acquire));
        if self.who.as_ref().is_some_and(|who| who.is_killed()) {
            // As PostgreSQL's, the session ends; that its statement was cancelled first nobody is told.
            [b'S', b'V'].into_iter().for_each(|severity| error.set(severity, "FATAL"));
            error.set(b'C', "57P01");
            error.set(b'M', "terminating connection due to administrator command");
            return true;
        }
        if overdue {
            error.set(b'M', "canceling statement due to statement timeout");
        }
        overdue
    }

    /// Tells the client of settings, where it knows others.
    pub fn tell(&mut self, settings: &Reported) {
        self.told.become_told(settings, &mut self.out);
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

    /// Gives back memory before the client is waited for.
    pub fn shrink(&mut self) {
        if self.inbuf.is_empty() {
            self.inbuf = BytesMut::new();
        }
        if self.out.is_empty() && self.out.capacity() > IDLE_OUT {
            self.out = BytesMut::new();
        }
    }
}

/// Takes the header off a frame.
pub fn body(mut frame: BytesMut) -> BytesMut {
    frame.advance(5.min(frame.len()));
    frame
}

/// Whether a kind carries no more than a name.
fn is_short(kind: u8) -> bool {
    matches!(kind, b'E' | b'D' | b'C' | b'S' | b'H' | b'X' | b'c')
}

fn is_message(kind: u8) -> bool {
    matches!(kind, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'F' | b'd' | b'c' | b'f' | b'p')
}

//! Relay: one backend's answer goes to the client as it comes: headers are looked at, rows are not.
//! In: a connection to which the request was sent, and what its answers are. Out: frames for the client.
//! Never: decodes a row, waits for a whole result.

use super::{
    frontend::{Frontend, FrontendError},
    shape::Shape,
};
use crate::pool::{
    conn::{Conn, ConnError, MAX_FRAME, is_fatal},
    statements::StatementId,
};
use bytes::{Buf, Bytes, BytesMut};
use pgring_protocol::{
    frame,
    message::{build, notice::Fields},
};
use std::{collections::VecDeque, io, pin::pin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the next answer of the backend belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A Parse; `hidden`: pgring's own.
    Parse {
        /// Of this statement.
        id: Option<StatementId>,
        /// The client did not ask.
        hidden: bool,
    },
    /// A Bind.
    Bind,
    /// A Bind that the client did not ask for.
    HiddenBind,
    /// A Describe; of a statement two answers come.
    Describe {
        /// Where it is noted what a statement's shape is.
        shape: Option<Shape>,
    },
    /// An Execute.
    Execute,
    /// A Close; `hidden`: pgring's own.
    Close {
        /// The client did not ask.
        hidden: bool,
    },
    /// Nothing is asked: these bytes go to the client at this place.
    Emit(Bytes),
    /// Everything up to ReadyForQuery, which is swallowed (a BEGIN or PREPARE that pgring sent before).
    Prelude,
    /// Everything up to ReadyForQuery, which goes to the client unless `hidden`.
    Ready {
        /// The client gets its own ReadyForQuery.
        hidden: bool,
    },
    /// What follows comes from another backend, which has this number for the caller.
    Lane(usize),
    /// The end of a batch that several backends worked for: the caller says ReadyForQuery.
    End,
}

/// How a transaction block ended, by the last tag that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// COMMIT (or PREPARE TRANSACTION)
    Commit,
    /// ROLLBACK
    Rollback,
}

/// What a relayed answer said.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Transaction status at its end: I, T or E; 0 when no ReadyForQuery was waited for.
    pub status: u8,
    /// SQLSTATE of its error.
    pub error: Option<[u8; 5]>,
    /// The last tag that ends a transaction.
    pub ending: Option<Ending>,
    /// Statements whose Parse failed.
    pub unparsed: Vec<StatementId>,
    /// A setting of the session was reported anew.
    pub reported: bool,
    /// It ended within a batch that had failed: the server passes everything over up to the Sync.
    pub failed: bool,
    /// There was an error after the last ReadyForQuery that the client saw.
    pub open_error: bool,
    /// The server would not execute a plan that was made before a change of schema; the client knows nothing of it.
    pub stale: bool,
}

impl Answer {
    /// Takes in what came later from the same backend.
    pub fn extend(&mut self, later: Answer) {
        if later.status != 0 {
            self.status = later.status;
        }
        self.error = self.error.or(later.error);
        self.ending = later.ending.or(self.ending);
        self.unparsed.extend(later.unparsed);
        self.reported |= later.reported;
        self.failed = later.failed;
        self.open_error = later.open_error;
        self.stale |= later.stale;
    }
}

/// Why a relay ended early.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The client is gone.
    #[error(transparent)]
    Client(#[from] FrontendError),
    /// The backend is gone; `began`: some of the answer was already passed on.
    #[error("{source}")]
    Backend {
        /// Why.
        source: ConnError,
        /// Some of the answer was already passed on.
        began: bool,
    },
    /// The server ended the session with a FATAL error, which was passed on.
    #[error("the server ended the session")]
    Fatal,
}

impl From<io::Error> for RelayError {
    fn from(error: io::Error) -> Self {
        Self::Client(FrontendError::Gone(error))
    }
}

/// Notices that come during a COPY are passed on when they are as many bytes.
const NOTICES: usize = 64 * 1024;
/// What is ready is sent before the server is waited for when it is as many bytes (the size of PostgreSQL's own buffer).
const READY: usize = 8 * 1024;

struct Relay<'a> {
    client: &'a mut Frontend,
    conn: &'a mut Conn,
    script: &'a mut VecDeque<Expect>,
    answer: Answer,
    failed: bool,
    partial: usize,
    began: bool,
    fatal: bool,
    copy: bool,
    /// An error that the client gets otherwise than the server put it.
    moved: Option<Fields>,
    /// Length of the client's output at the beginning, if answers that turn out stale may be taken back.
    heal: Option<usize>,
}

/// Passes a backend's answers to the client until `script` is worked off, or speaks of another backend.
///
/// # Errors
/// See [`RelayError`]. The connection must not be used again after any of them.
pub async fn relay(
    client: &mut Frontend,
    conn: &mut Conn,
    script: &mut VecDeque<Expect>,
) -> Result<Answer, RelayError> {
    relay_from(client, conn, script, None).await
}

/// As [`relay`], for one batch that may be sent again: when the server says that a plan of its own is stale, and
/// nothing was passed on yet, the client is told nothing and [`Answer::stale`] is set.
///
/// # Errors
/// As [`relay`].
pub async fn relay_once(
    client: &mut Frontend,
    conn: &mut Conn,
    script: &mut VecDeque<Expect>,
) -> Result<Answer, RelayError> {
    let start = client.out.len();
    relay_from(client, conn, script, Some(start)).await
}

async fn relay_from(
    client: &mut Frontend,
    conn: &mut Conn,
    script: &mut VecDeque<Expect>,
    heal: Option<usize>,
) -> Result<Answer, RelayError> {
    let mut relay = Relay {
        client,
        conn,
        script,
        answer: Answer::default(),
        failed: false,
        partial: 0,
        began: false,
        fatal: false,
        copy: false,
        moved: None,
        heal,
    };
    loop {
        let (passed, to) = relay.scan()?;
        let is_over = relay.is_over() && !relay.copy;
        let more_follows = is_over && !relay.script.is_empty() && relay.client.out.len() < READY;
        if to > passed {
            relay.began = true;
            let bytes = &relay.conn.buf[passed..to];
            if more_follows && bytes.len() < READY {
                relay.client.out.extend_from_slice(bytes);
            } else {
                relay.client.pass(bytes).await?;
            }
        } else if !is_over && relay.client.out.len() > READY {
            relay.began = true;
            relay.client.flush().await?;
        }
        relay.conn.buf.advance(to);
        if relay.fatal {
            relay.client.flush().await?;
            return Err(RelayError::Fatal);
        }
        if relay.copy {
            relay.copy = false;
            copy_in(&mut relay).await?;
            continue;
        }
        if is_over {
            relay.answer.failed = relay.failed;
            return Ok(relay.answer);
        }
        let began = relay.began;
        let Relay { client, conn, partial, .. } = &mut relay;
        let read = client.beside(*partial == 0, conn.read()).await?;
        read.map_err(|source| RelayError::Backend { source: source.into(), began })?;
    }
}

impl Relay<'_> {
    /// Nothing more is expected of this backend for now.
    fn is_over(&self) -> bool {
        matches!(self.script.front(), None | Some(Expect::Lane(_) | Expect::End))
    }

    /// Looks at what has come. Returns the range of the buffer that is still to be passed on as it is; what is
    /// before it has been put into the client's output.
    fn scan(&mut self) -> Result<(usize, usize), RelayError> {
        let mut from = 0;
        let mut at = 0;
        if self.partial > 0 {
            let piece = self.partial.min(self.conn.buf.len());
            self.partial -= piece;
            at = piece;
        }
        loop {
            self.emit(&mut from, at);
            if self.is_over() || self.partial > 0 || self.copy || self.fatal {
                break;
            }
            let rest = &self.conn.buf[at..];
            let head = frame::head(rest)
                .map_err(|e| RelayError::Backend { source: ConnError::Protocol(e.to_string()), began: self.began })?;
            let Some(head) = head else { break };
            if head.len > MAX_FRAME && !matches!(head.kind, b'D' | b'd') {
                let source = ConnError::Protocol(format!("a message of {} bytes", head.len));
                return Err(RelayError::Backend { source, began: self.began });
            }
            if rest.len() < head.len {
                if matches!(head.kind, b'D' | b'd') && head.len > 16 * 1024 && !self.is_hidden() {
                    self.partial = head.len - rest.len();
                    at = self.conn.buf.len();
                }
                break;
            }
            let end = at + head.len;
            if self.frame(head.kind, at + 5, end) {
                at = end;
            } else if let Some(start) = self.heal.filter(|_| self.answer.stale) {
                self.heal = None;
                self.client.out.truncate(start);
                at = end;
                from = end;
            } else {
                self.client.out.extend_from_slice(&self.conn.buf[from..at]);
                if let Some(fields) = self.moved.take() {
                    build::error(&mut self.client.out, &fields);
                }
                at = end;
                from = end;
            }
        }
        Ok((from, at))
    }

    /// Puts what pgring itself has to say at this place into the output.
    fn emit(&mut self, from: &mut usize, at: usize) {
        loop {
            match self.script.front() {
                Some(Expect::Emit(bytes)) => {
                    if !self.failed {
                        self.client.out.extend_from_slice(&self.conn.buf[*from..at]);
                        *from = at;
                        self.client.out.extend_from_slice(bytes);
                    }
                }
                Some(Expect::Ready { .. } | Expect::Prelude | Expect::Lane(_) | Expect::End) | None => return,
                Some(_) if !self.failed => return,
                // After an error the server answers nothing more up to Sync.
                Some(Expect::Parse { id: Some(id), .. }) => self.answer.unparsed.push(*id),
                Some(_) => {}
            }
            self.script.pop_front();
        }
    }

    fn is_hidden(&self) -> bool {
        matches!(self.script.front(), Some(Expect::Prelude))
    }

    /// Takes one whole frame, its body at `from..to`. Returns whether the client gets it.
    fn frame(&mut self, kind: u8, from: usize, to: usize) -> bool {
        match kind {
            b'D' | b'd' | b'c' | b'H' | b'W' | b'V' | b'N' => !(self.is_hidden() && kind != b'N'),
            b't' | b'T' | b'n' => {
                if let Some(Expect::Describe { shape: Some(shape) }) = self.script.front() {
                    shape.note(kind, &self.conn.buf[from..to]);
                }
                self.next(kind)
            }
            b'Z' => self.ready(self.conn.buf[from..to].first().copied().unwrap_or(b'I')),
            b'C' => self.complete(from, to),
            b'E' => self.error(from, to),
            b'S' => {
                let body = Bytes::copy_from_slice(&self.conn.buf[from..to]);
                self.conn.note_parameter(&body);
                self.answer.reported = true;
                true
            }
            b'G' => {
                self.copy = true;
                true
            }
            // A pooled backend may listen by a function's doing; who hears it then is a matter of chance.
            b'A' => false,
            _ => self.next(kind),
        }
    }

    /// 1, 2, 3, n, T, I, s: the answer to the script's front.
    fn next(&mut self, kind: u8) -> bool {
        match (kind, self.script.front()) {
            (b'1', Some(Expect::Parse { hidden, .. })) | (b'3', Some(Expect::Close { hidden })) => {
                let shown = !hidden;
                self.script.pop_front();
                shown
            }
            (b'2', Some(Expect::HiddenBind)) => {
                self.script.pop_front();
                false
            }
            (b'2', Some(Expect::Bind))
            | (b'n' | b'T', Some(Expect::Describe { .. }))
            | (b'I' | b's', Some(Expect::Execute)) => {
                self.script.pop_front();
                true
            }
            _ => !self.is_hidden(),
        }
    }

    fn complete(&mut self, from: usize, to: usize) -> bool {
        let tag = &self.conn.buf[from..to];
        if tag.starts_with(b"COMMIT") || tag.starts_with(b"PREPARE TRANSACTION") {
            self.answer.ending = Some(Ending::Commit);
        } else if tag.starts_with(b"ROLLBACK") {
            self.answer.ending = Some(Ending::Rollback);
        } else if tag.starts_with(b"DISCARD ALL") || tag.starts_with(b"DEALLOCATE ALL") {
            self.conn.statements.clear();
        }
        if self.is_hidden() {
            return false;
        }
        if matches!(self.script.front(), Some(Expect::Execute)) {
            self.script.pop_front();
        }
        if self.client.hold_tag {
            self.client.keep_tag(&self.conn.buf[from - 5..to]);
            return false;
        }
        true
    }

    fn error(&mut self, from: usize, to: usize) -> bool {
        self.failed = true;
        self.answer.open_error = true;
        let (mut fields, mut changed) = Fields::of_error(&self.conn.buf[from..to]);
        self.answer.error.get_or_insert_with(|| {
            let mut sqlstate = *b"XX000";
            sqlstate.iter_mut().zip(fields.code().bytes()).for_each(|(to, from)| *to = from);
            sqlstate
        });
        if self.heal.is_some() && !self.began && is_stale(&fields) {
            self.answer =
                Answer { stale: true, unparsed: std::mem::take(&mut self.answer.unparsed), ..Answer::default() };
            self.script.clear();
            self.script.push_back(Expect::Prelude);
            return false;
        }
        crate::metrics::error(fields.code());
        changed |= self.client.explain_cancel(&mut fields);
        self.fatal = is_fatal(&fields);
        let position = fields.get(b'P').and_then(|position| position.parse::<usize>().ok());
        if let Some(position) = position.filter(|_| self.client.position_offset > 0) {
            fields.set(b'P', (position + self.client.position_offset).to_string());
            changed = true;
        }
        if changed {
            self.moved = Some(fields);
        }
        if let Some(Expect::Parse { id: Some(id), .. }) = self.script.front() {
            self.answer.unparsed.push(*id);
        }
        if !self.is_over() && !matches!(self.script.front(), Some(Expect::Ready { .. } | Expect::Prelude)) {
            self.script.pop_front();
        }
        !changed
    }

    fn ready(&mut self, status: u8) -> bool {
        self.answer.status = status;
        match self.script.pop_front() {
            Some(Expect::Ready { hidden }) => {
                self.failed = false;
                self.answer.open_error &= hidden;
                let held = self.client.hold_ready && !hidden && status == b'I';
                self.client.ready_held |= held;
                !hidden && !held
            }
            _ => false,
        }
    }
}

/// Passes COPY data from the client to the backend until the client has ended it, or the backend has refused it.
async fn copy_in(relay: &mut Relay<'_>) -> Result<(), RelayError> {
    // In the extended protocol the Sync that came with the Execute is ignored by the server while it copies; the one
    // that ends the copy has to be passed on.
    let executed = matches!(relay.script.front(), Some(Expect::Execute));
    let extended = executed && relay.script.iter().any(|expect| matches!(expect, Expect::Ready { .. }));
    let flushed = executed && !extended;
    let began = relay.began;
    let mut left = 0usize;
    let mut refused = false;
    loop {
        let mut sent = 0;
        let mut ended = false;
        loop {
            if refused && left == 0 {
                break;
            }
            let rest = &relay.client.inbuf[sent..];
            if left > 0 {
                let piece = left.min(rest.len());
                sent += piece;
                left -= piece;
                if left > 0 {
                    break;
                }
                continue;
            }
            let head = frame::head(rest).map_err(|e| FrontendError::OutOfStep(e.to_string()))?;
            let Some(head) = head else { break };
            match head.kind {
                b'd' => left = head.len,
                b'c' | b'f' if rest.len() >= head.len => {
                    sent += head.len;
                    if !extended {
                        ended = true;
                        break;
                    }
                }
                b'H' | b'S' if rest.len() >= head.len => {
                    sent += head.len;
                    if head.kind == b'S' && extended {
                        ended = true;
                        break;
                    }
                }
                b'c' | b'f' | b'H' | b'S' => break,
                kind => {
                    // As in PostgreSQL, who sends anything else meanwhile is out of step; the backend goes with it.
                    let text = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
                    let mut fields = Fields::new("ERROR", "08P01", text);
                    fields.set(b'V', "ERROR");
                    build::error(&mut relay.client.out, &fields);
                    let lost = "terminating connection because protocol synchronization was lost";
                    return Err(FrontendError::OutOfStep(lost.to_owned()).into());
                }
            }
        }
        let data = relay.client.inbuf.split_to(sent);
        let Relay { client, conn, .. } = relay;
        let unread = client.inbuf.len();
        client.beside(true, send(conn, &data, began)).await??;
        // What both sides have said meanwhile is looked at before either is waited for.
        let read_ahead = client.inbuf.len() > unread;
        refused |= !extended && has_error(&conn.buf);
        if relay.conn.buf.len() > NOTICES && !has_error(&relay.conn.buf) {
            let (passed, to) = relay.scan()?;
            relay.client.pass(&relay.conn.buf[passed..to]).await?;
            relay.conn.buf.advance(to);
        }
        // A message of which the server has a part is finished first: else it would take what comes next for the rest.
        if ended || (refused && left == 0) {
            // A Flush that came with the Execute is ignored by the server while it copies.
            if ended && flushed {
                let mut flush = BytesMut::new();
                build::flush(&mut flush);
                send(relay.conn, &flush, began).await?;
            }
            return Ok(());
        }
        if read_ahead {
            continue;
        }
        let Relay { client, conn, .. } = relay;
        tokio::select! {
            read = client.read() => read?,
            read = conn.read() => {
                read.map_err(|e| RelayError::Backend { source: e.into(), began })?;
                refused |= !extended && has_error(&conn.buf);
            }
        }
    }
}

async fn send(conn: &mut Conn, data: &[u8], began: bool) -> Result<(), RelayError> {
    if data.is_empty() {
        return Ok(());
    }
    let (mut reader, mut writer) = tokio::io::split(&mut conn.stream);
    let mut write = pin!(async {
        writer.write_all(data).await?;
        writer.flush().await
    });
    let sent = loop {
        // A server that speaks meanwhile (notices of triggers) may not read on before it is heard.
        tokio::select! {
            biased;
            written = &mut write => break written,
            read = reader.read_buf(&mut conn.buf) => match read {
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => break Err(error),
            },
        }
    };
    sent.map_err(|e| RelayError::Backend { source: e.into(), began })
}

/// The server says that what it had prepared is no longer good: it is to be prepared again.
pub fn is_stale(fields: &Fields) -> bool {
    match fields.get(b'C') {
        Some("0A000") => fields.get(b'R') == Some("RevalidateCachedQuery"),
        Some("XX000") => fields.get(b'M').is_some_and(|message| message.starts_with("cache lookup failed")),
        _ => false,
    }
}

/// An ErrorResponse has come (notices and settings may come before it).
fn has_error(mut buf: &[u8]) -> bool {
    while let Ok(Some(head)) = frame::head(buf) {
        if head.kind == b'E' {
            return true;
        }
        match buf.get(head.len..) {
            Some(rest) => buf = rest,
            None => return false,
        }
    }
    false
}

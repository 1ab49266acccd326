//! Relay: one backend's answer goes to the client as it comes: headers are looked at, rows are not.
//! In: a connection to which the request was sent, and what its answers are. Out: frames for the client.
//! Never: decodes a row, waits for a whole result.

use super::{
    copy_in,
    frontend::{Frontend, FrontendError},
    shape::Shape,
};
use crate::pool::{
    conn::{Conn, ConnError, MAX_FRAME, is_fatal},
    statements::StatementId,
};
use bytes::{Buf, Bytes};
use pgring_protocol::{
    frame,
    message::{build, notice::Fields},
};
use std::{collections::VecDeque, io};

/// What the next answer of the backend belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A Parse; `hidden`: pgring's own.
    Parse {
        /// Of this statement.
        id: Option<StatementId>,
        /// The client did not ask.
        hidden: bool,
        /// Of unnamed statements the client asked for so many before it.
        nth: usize,
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
    /// A Parse of a statement that the backend has or needs not: nothing is asked, ParseComplete goes to the client.
    Known {
        /// Of this statement.
        id: Option<StatementId>,
        /// As above.
        nth: usize,
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

/// What is ready is sent before the server is waited for when it is as many bytes (the size of PostgreSQL's own buffer).
const READY: usize = 8 * 1024;

/// A relay under way.
pub(super) struct Relay<'a> {
    pub(super) client: &'a mut Frontend,
    pub(super) conn: &'a mut Conn,
    pub(super) script: &'a mut VecDeque<Expect>,
    answer: Answer,
    failed: bool,
    partial: usize,
    pub(super) began: bool,
    fatal: bool,
    copy: bool,
    /// An error that the client gets otherwise than the server put it.
    moved: Option<Fields>,
    /// A ReadyForQuery before which the client is told of settings.
    ready: Option<u8>,
    /// One stands at the end of the client's output.
    told: bool,
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
        ready: None,
        told: false,
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
        } else if (!is_over && relay.client.out.len() > READY) || (std::mem::take(&mut relay.told) && !more_follows) {
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
            if std::mem::take(&mut relay.client.keeps) {
                relay.client.flush().await?;
            }
            copy_in::pass(&mut relay).await?;
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
    pub(super) fn scan(&mut self) -> Result<(usize, usize), RelayError> {
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
                if let Some(status) = self.ready.take() {
                    self.client.tell(&self.conn.reported);
                    build::ready_for_query(&mut self.client.out, status);
                    self.told = true;
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
                Some(Expect::Known { id, .. }) if self.failed => self.answer.unparsed.extend(*id),
                Some(Expect::Emit(bytes)) if !self.failed => {
                    self.client.out.extend_from_slice(&self.conn.buf[*from..at]);
                    *from = at;
                    self.client.out.extend_from_slice(bytes);
                }
                Some(Expect::Known { id, nth }) => {
                    self.client.out.extend_from_slice(&self.conn.buf[*from..at]);
                    *from = at;
                    build::parse_complete(&mut self.client.out);
                    if id.is_none() {
                        self.client.unnamed = Some((*nth, true));
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
                // The client hears of it before ReadyForQuery, as from a server.
                let body = Bytes::copy_from_slice(&self.conn.buf[from..to]);
                self.conn.reported.note(&body);
                self.answer.reported = true;
                false
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
            (b'1', Some(Expect::Parse { id: None, hidden: false, nth })) => {
                self.client.unnamed = Some((*nth, true));
                self.script.pop_front();
                true
            }
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
        changed |= self.client.move_position(&mut fields);
        if changed {
            self.moved = Some(fields);
        }
        match self.script.front() {
            Some(Expect::Parse { id: Some(id), .. }) => self.answer.unparsed.push(*id),
            Some(Expect::Parse { id: None, hidden: false, nth }) => self.client.unnamed = Some((*nth, false)),
            _ => {}
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
                let shown = !hidden && !held;
                self.ready = Some(status).filter(|_| shown && !self.client.told.is(&self.conn.reported));
                shown && self.ready.is_none()
            }
            _ => false,
        }
    }
}

/// The server says that what it had prepared is no longer good: it is to be prepared again.
pub fn is_stale(fields: &Fields) -> bool {
    match fields.get(b'C') {
        Some("0A000") => fields.get(b'R') == Some("RevalidateCachedQuery"),
        Some("XX000") => fields.get(b'M').is_some_and(|message| message.starts_with("cache lookup failed")),
        _ => false,
    }
}

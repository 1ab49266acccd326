//! Lane: one server's part of a COPY FROM that goes to several. In: records for it. Out: messages for the server as far
//! as it takes them, and what it says. Never: waits.

use super::frontend::Frontend;
use crate::{
    copy::lines::Lines,
    pool::conn::{Conn, ConnError, MAX_FRAME, is_fatal},
};
use bytes::{Buf, BufMut, BytesMut};
use pgring_protocol::{
    frame,
    message::{build, copy::CopyResponse, notice::Fields, result},
};
use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Records go in messages of this size.
const MESSAGE: usize = 32 * 1024;

/// How its data end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    /// CopyDone
    Done,
    /// CopyFail, and why.
    Fail(&'a [u8]),
}

/// One server's part.
pub(super) struct Lane<'a> {
    conn: &'a mut Conn,
    /// Messages that the server has not taken.
    out: BytesMut,
    /// Where the message begins that is being filled.
    open: Option<usize>,
    /// What was written is to be flushed.
    written: bool,
    ended: bool,
    /// It has asked for data.
    pub(super) response: Option<CopyResponse>,
    /// Rows that it says it has stored.
    pub(super) rows: Option<u64>,
    /// Its error, and the client's line that it names.
    pub(super) failed: Option<(Option<u64>, Box<Fields>)>,
    erred: bool,
    /// Its transaction's status: the answer is over.
    pub(super) status: Option<u8>,
    /// The connection is not to be used any more.
    pub(super) lost: bool,
    /// Lines that it has got.
    pub(super) lines: Lines,
}

impl<'a> Lane<'a> {
    pub(super) fn new(conn: &'a mut Conn) -> Self {
        Self {
            conn,
            out: BytesMut::new(),
            open: None,
            written: false,
            ended: false,
            response: None,
            rows: None,
            failed: None,
            erred: false,
            status: None,
            lost: false,
            lines: Lines::default(),
        }
    }

    /// It has neither succeeded nor failed.
    pub(super) fn is_copying(&self) -> bool {
        self.status.is_none() && self.rows.is_none() && !self.erred && !self.lost
    }

    /// Its answer is over, and nothing is left to be sent; or it is lost.
    pub(super) fn is_settled(&self) -> bool {
        self.lost || (self.status.is_some() && self.out.is_empty())
    }

    /// Its transaction's status, if the connection can be used again.
    pub(super) fn outcome(&self) -> Option<u8> {
        self.status.filter(|_| !self.lost && self.out.is_empty())
    }

    /// Bytes that the server has not taken.
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Data for it.
    pub(super) fn put(&mut self, data: &[u8]) {
        if self.erred {
            return;
        }
        let start = *self.open.get_or_insert_with(|| {
            let start = self.out.len();
            self.out.put_slice(&[b'd', 0, 0, 0, 0]);
            start
        });
        self.out.extend_from_slice(data);
        if self.out.len() - start > MESSAGE {
            self.close();
        }
    }

    /// The message that is being filled is whole.
    fn close(&mut self) {
        let Some(start) = self.open.take() else { return };
        let length = (self.out.len() - start - 1) as u32;
        if let Some(place) = self.out.get_mut(start + 1..start + frame::HEADER) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// There are no more data for it.
    pub(super) fn end(&mut self, end: End<'_>) {
        if self.ended || !self.is_copying() {
            return;
        }
        self.ended = true;
        self.close();
        match end {
            End::Done => build::copy_done(&mut self.out),
            End::Fail(why) => build::copy_fail(&mut self.out, why),
        }
    }

    /// Asks the server to give up.
    pub(super) async fn cancel(&self) {
        let cancel = self.conn.cancel.clone();
        let passing = cancel.gate.enter();
        cancel.cancel(passing).await.ok();
    }

    /// Writes and reads as far as that goes without waiting. Returns whether anything went.
    ///
    /// # Errors
    /// If the connection is lost.
    pub(super) fn moves(&mut self, context: &mut Context<'_>) -> Result<bool, ConnError> {
        self.close();
        let mut moved = false;
        while !self.out.is_empty() {
            match pin!(self.conn.stream.write_buf(&mut self.out)).poll(context) {
                Poll::Ready(Ok(0)) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Poll::Ready(Ok(_)) => (moved, self.written) = (true, true),
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => break,
            }
        }
        if self.written && self.out.is_empty() {
            match Pin::new(&mut self.conn.stream).poll_flush(context) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.written = false;
                }
                Poll::Pending => {}
            }
        }
        if self.status.is_none() {
            match pin!(self.conn.read()).poll(context) {
                Poll::Ready(read) => {
                    read?;
                    moved = true;
                }
                Poll::Pending => {}
            }
        }
        Ok(moved)
    }

    /// Takes in what the server has said; notices go to the client. `explain` gives a CONTEXT the client's line, which it
    /// returns.
    ///
    /// # Errors
    /// If the server says something that it cannot mean.
    pub(super) fn hear(
        &mut self,
        client: &mut Frontend,
        explain: impl Fn(&Lines, &mut Fields) -> Option<u64>,
    ) -> Result<(), ConnError> {
        while let Some((kind, body)) = self.frame()? {
            match kind {
                b'N' => {
                    if let Ok(mut fields) = Fields::parse(&body) {
                        explain(&self.lines, &mut fields);
                        build::notice(&mut client.out, &fields);
                    }
                }
                b'E' => {
                    let (mut fields, _) = Fields::of_error(&body);
                    if is_fatal(&fields) {
                        // It ends that backend, not the client's session.
                        [b'S', b'V'].into_iter().for_each(|severity| fields.set(severity, "ERROR"));
                        self.lost = true;
                    }
                    let line = explain(&self.lines, &mut fields);
                    self.erred = true;
                    self.failed.get_or_insert_with(|| (line, Box::new(fields)));
                }
                _ => self.note(kind, &body)?,
            }
        }
        Ok(())
    }

    /// Passes over what the server has said, up to its end.
    pub(super) fn skip(&mut self) {
        loop {
            match self.frame() {
                Ok(Some((b'E', body))) => {
                    self.erred = true;
                    self.lost |= is_fatal(&Fields::of_error(&body).0);
                }
                Ok(Some((kind, body))) => self.lost |= self.note(kind, &body).is_err(),
                Ok(None) => return,
                Err(_) => {
                    self.lost = true;
                    return;
                }
            }
        }
    }

    fn note(&mut self, kind: u8, body: &BytesMut) -> Result<(), ConnError> {
        let broken = |error: String| ConnError::Protocol(error);
        match kind {
            b'G' => self.response = Some(CopyResponse::parse(body).map_err(|error| broken(error.to_string()))?),
            b'C' => {
                let tag = result::tag(body).map_err(|error| broken(error.to_string()))?;
                let rows = tag.strip_prefix("COPY ").and_then(|rows| rows.parse().ok());
                self.rows = Some(rows.ok_or_else(|| broken("a COPY without its count".to_owned()))?);
            }
            b'S' => self.conn.reported.note(body),
            b'Z' => self.status = Some(body.first().copied().unwrap_or(b'I')),
            b'N' | b'A' => {}
            kind => return Err(broken(format!("unexpected message {:?}", kind as char))),
        }
        Ok(())
    }

    /// A whole message that has come.
    fn frame(&mut self) -> Result<Option<(u8, BytesMut)>, ConnError> {
        let head =
            frame::complete(&self.conn.buf, MAX_FRAME).map_err(|error| ConnError::Protocol(error.to_string()))?;
        Ok(head.map(|head| {
            let mut whole = self.conn.buf.split_to(head.len);
            whole.advance(frame::HEADER);
            (head.kind, whole)
        }))
    }
}

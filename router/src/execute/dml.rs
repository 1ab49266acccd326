//! Dml: a write over several shards: the text that each of them gets, and their answers as one. In: the client's text and
//! changes to it; connections to which requests were sent. Out: rows for the client, and the tag. Never: more of the
//! answers in memory than a buffer, unless the client asked for a few rows at a time.

use super::{
    frontend::Frontend,
    scatter::{ScatterError, same_columns},
    splice::{Origin, origin},
};
use crate::{
    error::{Report, catalogue},
    merge::tag,
    pool::conn::{Conn, ConnError, is_fatal},
};
use bytes::{Bytes, BytesMut};
use pgring_protocol::message::{
    build,
    notice::Fields,
    result::{self, Field},
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// So much of an answer is kept back: an error that comes before is the whole answer.
const KEPT_BACK: usize = 1024 * 1024;
/// So much of an answer is kept for a client that asked for a part of it.
const MOST_REST: usize = 64 * 1024 * 1024;

/// A change to the client's text: its bytes `from..to` are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// First byte.
    pub from: usize,
    /// One past the last byte.
    pub to: usize,
    /// What stands there instead.
    pub with: String,
}

/// What one shard gets.
#[derive(Debug, Default)]
pub struct Text {
    /// The text.
    pub sent: Vec<u8>,
    /// Where its parts came from.
    pub origins: Vec<Origin>,
}

impl Text {
    /// Appends the bytes `from..to` of the client's text with the edits (in order of their place) that lie in there.
    pub fn copy(&mut self, client: &[u8], from: usize, to: usize, edits: &[Edit]) {
        let mut at = from;
        for edit in edits.iter().filter(|edit| edit.from >= from && edit.to <= to) {
            self.own(client, at, edit.from);
            self.sent.extend_from_slice(edit.with.as_bytes());
            at = edit.to;
        }
        self.own(client, at, to);
    }

    /// Appends words of pgring's own.
    pub fn words(&mut self, words: &str) {
        self.sent.extend_from_slice(words.as_bytes());
    }

    fn own(&mut self, client: &[u8], from: usize, to: usize) {
        let bytes = client.get(from..to).unwrap_or_default();
        self.origins.push(origin(self.sent.len(), from, bytes.len()));
        self.sent.extend_from_slice(bytes);
    }
}

/// How the answers become one.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The client wants to know what the rows look like.
    pub describe: bool,
    /// It wants to know if there are none.
    pub no_data: bool,
    /// For each row of the answer the connection from which it comes; None: one connection after the other.
    pub order: Option<&'a [usize]>,
    /// The client asked for so many rows.
    pub max_rows: Option<u64>,
}

/// What remains to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Rows that the client has not asked for yet, as frames.
    pub rows: Bytes,
    /// The tag.
    pub tag: String,
    /// There may be more rows than were asked for.
    pub suspended: bool,
}

/// A shard's answer.
struct Stream<'c, 'm> {
    conn: &'c mut &'m mut Conn,
    fields: Option<Vec<Field>>,
    /// Its first row, if it was not passed on yet.
    first: Option<Bytes>,
    tag: Option<String>,
    notices: BytesMut,
}

impl<'c, 'm> Stream<'c, 'm> {
    /// Reads up to the first row, or the tag: a server sends the first row when the whole write is done.
    async fn begin(conn: &'c mut &'m mut Conn) -> Result<Self, ConnError> {
        let mut stream = Self { conn, fields: None, first: None, tag: None, notices: BytesMut::new() };
        stream.first = stream.row().await?;
        Ok(stream)
    }

    /// The next row; None: there is no more.
    async fn row(&mut self) -> Result<Option<Bytes>, ConnError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while self.tag.is_none() {
            let (kind, body) = self.conn.frame().await?;
            match kind {
                b'D' => return Ok(Some(body.freeze())),
                b'T' => self.fields = Some(result::row_description(&body).map_err(|error| broken(&error))?),
                b'C' => self.tag = Some(result::tag(&body).map_err(|error| broken(&error))?.to_owned()),
                b'E' => {
                    let (mut fields, _) = Fields::of_error(&body);
                    if is_fatal(&fields) {
                        // It ends that backend, not the client's session.
                        fields.set(b'S', "ERROR");
                        fields.set(b'V', "ERROR");
                    }
                    return Err(ConnError::Server(Box::new(fields)));
                }
                b'N' => {
                    if let Ok(fields) = Fields::parse(&body) {
                        build::notice(&mut self.notices, &fields);
                    }
                }
                b'S' => self.conn.reported.note(&body),
                b'1' | b'2' | b'3' | b't' | b'n' => {}
                kind => return Err(ConnError::Protocol(format!("unexpected message {:?}", kind as char))),
            }
        }
        Ok(None)
    }
}

fn broken(error: &dyn std::fmt::Display) -> ConnError {
    ConnError::Protocol(error.to_string())
}

/// What the client is told.
struct Told<'a> {
    client: &'a mut Frontend,
    rows: u64,
    max_rows: Option<u64>,
    rest: BytesMut,
}

impl Told<'_> {
    async fn row(&mut self, row: &[u8]) -> Result<(), ScatterError> {
        let later = self.max_rows.is_some_and(|most| self.rows >= most);
        self.rows += 1;
        let out = if later { &mut self.rest } else { &mut self.client.out };
        build::frame(out, b'D', |out| out.extend_from_slice(row));
        if self.rest.len() > MOST_REST {
            let report = Report::new(catalogue::TOO_LARGE);
            return Err(ScatterError::Report(Box::new(
                report.detail("the rows of a write that the client has not asked for yet").hint("Ask for all rows."),
            )));
        }
        if self.client.out.len() >= KEPT_BACK {
            self.client.flush().await?;
        }
        Ok(())
    }
}

/// Takes in the answers of shards up to and with their tags. An error is told with the number of its connection; the
/// other shards may still work then.
///
/// # Errors
/// See [`ScatterError`].
pub async fn answers(
    client: &mut Frontend,
    conns: &mut [&mut Conn],
    telling: Telling<'_>,
) -> Result<Rest, (usize, ScatterError)> {
    let begun = client.beside(true, all_or_error(conns.iter_mut().map(Stream::begin).collect())).await;
    let mut streams = match begun {
        Ok(streams) => streams.map_err(|(at, error)| (at, error.into()))?,
        Err(gone) => return Err((0, gone.into())),
    };
    streams.iter_mut().for_each(|stream| client.out.extend_from_slice(&std::mem::take(&mut stream.notices)));
    describe(client, &streams, telling)?;
    let mut told = Told { client, rows: 0, max_rows: telling.max_rows, rest: BytesMut::new() };
    for at in telling.order.unwrap_or_default() {
        if let Some(stream) = streams.get_mut(*at) {
            pass(&mut told, stream).await.map_err(|error| (*at, error))?;
        }
    }
    for (at, stream) in streams.iter_mut().enumerate() {
        while pass(&mut told, stream).await.map_err(|error| (at, error))? {}
    }
    let Told { client, rows, rest, .. } = told;
    let has_rows = streams.iter().any(|stream| stream.fields.is_some());
    let suspended = has_rows && telling.max_rows.is_some_and(|most| rows >= most);
    streams.iter_mut().for_each(|stream| client.out.extend_from_slice(&std::mem::take(&mut stream.notices)));
    let tags: Vec<&str> = streams.iter().filter_map(|stream| stream.tag.as_deref()).collect();
    Ok(Rest { rows: rest.freeze(), tag: tag::add(&tags), suspended })
}

/// Passes a stream's next row on, if it has one.
async fn pass(told: &mut Told<'_>, stream: &mut Stream<'_, '_>) -> Result<bool, ScatterError> {
    match told.client.beside(true, stream.row()).await?? {
        Some(row) => told.row(&row).await.map(|()| true),
        None => Ok(false),
    }
}

/// Tells what the rows look like.
fn describe(
    client: &mut Frontend,
    streams: &[Stream<'_, '_>],
    telling: Telling<'_>,
) -> Result<(), (usize, ScatterError)> {
    let mut fields = streams.iter().map(|stream| stream.fields.as_ref());
    match fields.next().flatten() {
        Some(first) => {
            for (at, other) in fields.enumerate() {
                let other = other.map_or(&[][..], Vec::as_slice);
                same_columns(first, other).map_err(|error| (at + 1, error))?;
            }
            if telling.describe {
                build::row_description(&mut client.out, first);
            }
        }
        None if telling.no_data => build::no_data(&mut client.out),
        None => {}
    }
    Ok(())
}

/// Waits for all of them at once, or for the first that fails; its number is told.
async fn all_or_error<T, E, F: Future<Output = Result<T, E>>>(futures: Vec<F>) -> Result<Vec<T>, (usize, E)> {
    let mut open: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = open.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut waits = false;
        for (at, (future, output)) in open.iter_mut().zip(&mut done).enumerate() {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(Ok(value)) => *output = Some(value),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err((at, error))),
                    Poll::Pending => waits = true,
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(done.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::{Edit, Text};

    #[test]
    fn a_text_is_put_together_from_parts_with_edits() {
        let client = b"INSERT INTO t VALUES (1, now()), (2, DEFAULT)";
        let edit = |from, to, with: &str| Edit { from, to, with: with.into() };
        let edits = [edit(25, 30, "'x'"), edit(30, 30, ", 7"), edit(37, 44, "'y'"), edit(44, 44, ", 8")];
        let mut text = Text::default();
        text.copy(client, 0, 21, &edits);
        text.copy(client, 21, 31, &edits);
        text.words(", ");
        text.copy(client, 33, 45, &edits);
        assert_eq!(String::from_utf8_lossy(&text.sent), "INSERT INTO t VALUES (1, 'x', 7), (2, 'y', 8)");
    }
}

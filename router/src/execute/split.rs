//! Split: the data of one COPY FROM go to several servers, each record to its key's. In: connections to which the COPY was
//! sent, the form of the data, who owns a key. Out: frames for the client, and how many rows were stored. Never: a decoded
//! record, more of the data in memory than some buffers and one record.
//!
//! Every server gets a COPY of its own with the client's options, and so finds the faults in its records itself. What
//! stands at the beginning of the data goes to all of them. A record of which the key is not certain goes to a server that
//! has got one before (the first of all goes to each); where it is taken there, the whole COPY fails.

use super::{
    copy_in::out_of_step,
    frontend::{Frontend, FrontendError, MAX_MESSAGE},
    lane::{End, Lane},
    scatter::ScatterError,
};
use crate::{
    copy::{Breaks, Eol, Found, Record, Splitter, Step, lines},
    error::{Report, catalogue},
    pool::conn::{Conn, ConnError},
};
use bytes::{Buf, BytesMut};
use pgring_config::key::KeyValue;
use pgring_protocol::{
    frame,
    message::{build, copy::CopyResponse, notice::Fields},
};
use std::{
    future::{Future, poll_fn},
    io,
    ops::Range,
    pin::pin,
    task::Poll,
    time::Duration,
};
use tokio::io::AsyncReadExt;

/// No more is read from the client while a server has so many bytes to take.
const FULL: usize = 256 * 1024;
/// So much is read from the client at once.
const READ: usize = 128 * 1024;
/// Notices are passed on when they are as many bytes.
const NOTICES: usize = 64 * 1024;
/// How long the other servers may take to tell of a mistake that stands before the one that was told.
const EARLIER: Duration = Duration::from_secs(1);
/// How long a server may take to hear that a COPY is broken off.
const SETTLE: Duration = Duration::from_secs(10);

/// How the data are split.
pub struct Split<'a> {
    /// Takes them apart; or why that cannot be done, which is said when PostgreSQL has taken the statement.
    pub splitter: Result<Splitter, Report>,
    /// The connection (by its place) that owns a key.
    pub owner: &'a (dyn Fn(&KeyValue) -> Option<usize> + Sync),
    /// Name of the table in CONTEXT.
    pub table: &'a str,
    /// Fields of a record.
    pub fields: usize,
    /// Set when data were asked for: a Sync before them counts as one among them.
    pub asked: &'a mut bool,
}

/// Why a COPY failed.
#[derive(Debug)]
pub enum SplitError {
    /// As any statement over several servers.
    Scatter(ScatterError),
    /// The client is gone, or out of step.
    Client(FrontendError),
}

impl From<ScatterError> for SplitError {
    fn from(error: ScatterError) -> Self {
        Self::Scatter(error)
    }
}

impl From<ConnError> for SplitError {
    fn from(error: ConnError) -> Self {
        Self::Scatter(error.into())
    }
}

impl From<Report> for SplitError {
    fn from(report: Report) -> Self {
        Self::Scatter(ScatterError::Report(Box::new(report)))
    }
}

impl From<Box<Fields>> for SplitError {
    fn from(fields: Box<Fields>) -> Self {
        Self::Scatter(ScatterError::Server(fields))
    }
}

impl From<FrontendError> for SplitError {
    fn from(error: FrontendError) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for SplitError {
    fn from(error: io::Error) -> Self {
        Self::Client(error.into())
    }
}

/// The client's data.
#[derive(Debug, Default)]
struct Input {
    /// Content of its messages that was not handed out.
    data: BytesMut,
    /// Bytes of a message that are still to come.
    left: usize,
    over: bool,
    /// What comes is not looked at any more.
    ignored: bool,
    /// It broke its COPY off, and why.
    broken_off: Option<BytesMut>,
    /// Lines that were handed out.
    lines: u64,
}

/// A COPY under way.
struct Run<'a> {
    lanes: Vec<Lane<'a>>,
    table: &'a str,
    input: Input,
    /// Only PostgreSQL can go on: what is said if it finds nothing wrong.
    doubt: Option<Report>,
    /// The server that got the first record.
    first: Option<usize>,
}

/// Passes the client's data on. Returns how many rows were stored, and what became of each connection: its transaction's
/// status, or None where it is not to be used again.
pub async fn split(
    client: &mut Frontend,
    conns: Vec<&mut Conn>,
    how: Split<'_>,
) -> (Result<u64, SplitError>, Vec<Option<u8>>) {
    let lanes = conns.into_iter().map(Lane::new).collect();
    let mut run = Run { lanes, table: how.table, input: Input::default(), doubt: None, first: None };
    let result = run.all(client, how).await;
    if result.is_err() {
        run.settle().await;
    }
    (result, run.lanes.iter().map(Lane::outcome).collect())
}

/// Asks the client for the data of a COPY, and reads them to their end.
///
/// # Errors
/// If the client is gone, or out of step.
pub async fn refuse(client: &mut Frontend) -> Result<(), FrontendError> {
    build::copy_in_response(&mut client.out, 0, &[]);
    client.keeps = false;
    client.flush().await?;
    let mut input = Input::default();
    loop {
        input.take(client)?;
        input.data.clear();
        if input.over {
            return Ok(());
        }
        client.read().await?;
    }
}

impl Run<'_> {
    async fn all(&mut self, client: &mut Frontend, how: Split<'_>) -> Result<u64, SplitError> {
        let response = self.opened(client).await?;
        let mut splitter = how.splitter?;
        if response.columns.len() != how.fields {
            return Err(other_columns().into());
        }
        build::copy_in_response(&mut client.out, response.format, &response.columns);
        client.keeps = false;
        client.flush().await?;
        *how.asked = true;
        if let Some(kind) = client.behind_copy.take() {
            return Err(out_of_step(client, kind).into());
        }
        let passed = self.pass(client, &mut splitter, how.owner).await;
        let passed = match passed {
            Ok(()) => self.finished(client).await,
            Err(error) => Err(error),
        };
        match passed {
            Err(SplitError::Scatter(ScatterError::Server(fields))) => {
                self.swallow(client).await?;
                Err(self.earliest(client, fields).await.into())
            }
            Err(SplitError::Scatter(ScatterError::Report(report))) => {
                self.swallow(client).await?;
                Err(SplitError::Scatter(ScatterError::Report(report)))
            }
            passed => passed,
        }
    }

    /// Waits until every server asks for data.
    async fn opened(&mut self, client: &mut Frontend) -> Result<CopyResponse, SplitError> {
        loop {
            self.hear(client)?;
            if let Some(fields) = self.failed() {
                return Err(fields.into());
            }
            if self.lanes.iter().all(|lane| lane.response.is_some()) {
                break;
            }
            client.beside(true, self.moved()).await??;
        }
        let mut responses = self.lanes.iter_mut().filter_map(|lane| lane.response.take());
        let first = responses.next().ok_or_else(|| ConnError::Protocol("no server for a COPY".to_owned()))?;
        if responses.any(|response| response != first) {
            return Err(other_columns().into());
        }
        Ok(first)
    }

    /// Hands out the client's data until it has ended them.
    async fn pass(
        &mut self,
        client: &mut Frontend,
        splitter: &mut Splitter,
        owner: &(dyn Fn(&KeyValue) -> Option<usize> + Sync),
    ) -> Result<(), SplitError> {
        loop {
            while !self.is_full() && self.input.take(client)? {
                self.hand_out(splitter, owner)?;
            }
            if self.doubt.is_some() || self.input.over {
                return Ok(());
            }
            self.hear(client)?;
            if let Some(fields) = self.failed() {
                return Err(fields.into());
            }
            if client.out.len() > NOTICES {
                client.flush().await?;
            }
            if self.is_full() {
                client.beside(true, self.moved()).await??;
            } else {
                self.moved_or_read(client).await?;
            }
        }
    }

    /// Hands out what there is of whole records.
    fn hand_out(
        &mut self,
        splitter: &mut Splitter,
        owner: &(dyn Fn(&KeyValue) -> Option<usize> + Sync),
    ) -> Result<(), SplitError> {
        let at_end = self.input.over && self.input.broken_off.is_none();
        loop {
            if self.input.ignored {
                self.input.data.clear();
            }
            let data = &self.input.data;
            if self.doubt.is_some() || data.is_empty() {
                return Ok(());
            }
            let known = splitter.counted_eol();
            match splitter.next(data, at_end) {
                Step::More if at_end => {
                    self.input.data.clear();
                    return Ok(());
                }
                Step::More if data.len() > MAX_MESSAGE => {
                    return Err(Report::new(catalogue::TOO_LARGE).detail("a record of a COPY").into());
                }
                Step::More => return Ok(()),
                Step::Head(len, breaks) => self.put_all(len, lines_of(breaks, known, false)),
                Step::Lead(len) => self.put_all(len, 0),
                Step::Record(record) => self.record(record, known, owner)?,
                Step::End => {
                    // As PostgreSQL, the rest is read and not looked at.
                    self.input.data.clear();
                    self.input.ignored = true;
                    return Ok(());
                }
                Step::Broken => {
                    self.doubtful(self.input.data.len(), Breaks::default(), known, unclear());
                }
            }
        }
    }

    fn record(
        &mut self,
        record: Record,
        known: Option<Eol>,
        owner: &(dyn Fn(&KeyValue) -> Option<usize> + Sync),
    ) -> Result<(), SplitError> {
        match &record.key {
            Found::Key(key) => match owner(key) {
                Some(at) => self.to(at, record.len, record.breaks, known),
                None => return Err(no_owner().into()),
            },
            Found::Null => self.doubtful(record.len, record.breaks, known, null_key()),
            Found::Doubt => self.doubtful(record.len, record.breaks, known, unclear()),
        }
        Ok(())
    }

    /// A record of so many bytes goes to one server.
    fn to(&mut self, at: usize, len: usize, breaks: Breaks, known: Option<Eol>) {
        self.first.get_or_insert(at);
        self.put(at..at + 1, len, breaks, known);
    }

    /// A record of so many bytes goes to these servers.
    fn put(&mut self, which: Range<usize>, len: usize, breaks: Breaks, known: Option<Eol>) {
        self.input.lines += lines_of(breaks, known, self.input.lines > 0);
        let data = self.input.data.get(..len).unwrap_or_default();
        for lane in self.lanes.get_mut(which).unwrap_or_default() {
            lane.put(data);
            let lines = lines_of(breaks, known, lane.lines.has_some());
            lane.lines.add(lines, self.input.lines);
        }
        self.input.data.advance(len);
    }

    /// So many bytes of so many lines go to every server.
    fn put_all(&mut self, len: usize, lines: u64) {
        let data = self.input.data.split_to(len);
        self.input.lines += lines;
        for lane in &mut self.lanes {
            lane.put(&data);
            if lines > 0 {
                lane.lines.add(lines, self.input.lines);
            }
        }
    }

    /// So many bytes that PostgreSQL will find wrong, or else `report` is the answer.
    fn doubtful(&mut self, len: usize, breaks: Breaks, known: Option<Eol>, report: Report) {
        // Who has got a record knows how lines end.
        let which = self.first.map_or(0..self.lanes.len(), |at| at..at + 1);
        self.put(which, len, breaks, known);
        self.input.data.clear();
        self.doubt = Some(report);
    }

    /// The client has ended its data, or nothing of them counts any more: waits for what the servers say.
    async fn finished(&mut self, client: &mut Frontend) -> Result<u64, SplitError> {
        let end = match &self.input.broken_off {
            Some(why) => End::Fail(why),
            None => End::Done,
        };
        self.lanes.iter_mut().for_each(|lane| lane.end(end));
        loop {
            self.hear(client)?;
            if let Some(fields) = self.failed() {
                return Err(fields.into());
            }
            if self.lanes.iter().all(|lane| lane.status.is_some()) {
                break;
            }
            client.beside(true, self.moved()).await??;
        }
        if let Some(report) = self.doubt.take() {
            return Err(report.into());
        }
        Ok(self.lanes.iter().filter_map(|lane| lane.rows).sum())
    }

    /// Takes in what the servers have said.
    fn hear(&mut self, client: &mut Frontend) -> Result<(), SplitError> {
        let (table, last) = (self.table, self.input.lines);
        for lane in &mut self.lanes {
            lane.hear(client, |lines, fields| {
                let context = fields.get(b'W')?;
                let (context, line) = lines::changed(context, table, |line| lines.of_client(line, last))?;
                fields.set(b'W', context);
                Some(line)
            })?;
        }
        Ok(())
    }

    /// An error that a server has told.
    fn failed(&mut self) -> Option<Box<Fields>> {
        self.lanes.iter_mut().find_map(|lane| lane.failed.take()).map(|(_, fields)| fields)
    }

    /// Of several mistakes in the data PostgreSQL finds the first one: the other servers look at what they have got.
    async fn earliest(&mut self, client: &mut Frontend, found: Box<Fields>) -> Box<Fields> {
        let Some(line) =
            found.get(b'W').and_then(|context| lines::changed(context, self.table, Some)).map(|(_, line)| line)
        else {
            return found;
        };
        self.lanes.iter_mut().for_each(|lane| lane.end(End::Done));
        let told = async {
            while self.lanes.iter().any(|lane| lane.status.is_none()) {
                if self.moved().await.is_err() || self.hear(client).is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(EARLIER, told).await.ok();
        let others = self.lanes.iter_mut().filter_map(|lane| lane.failed.take());
        let earlier = others.filter_map(|(at, fields)| at.filter(|at| *at < line).map(|at| (at, fields)));
        earlier.min_by_key(|(at, _)| *at).map_or(found, |(_, fields)| fields)
    }

    /// The client's message of which a part was taken is taken to its end.
    async fn swallow(&mut self, client: &mut Frontend) -> Result<(), SplitError> {
        while self.input.left > 0 {
            let piece = self.input.left.min(client.inbuf.len());
            client.inbuf.advance(piece);
            self.input.left -= piece;
            if self.input.left > 0 {
                client.read().await?;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.lanes.iter().any(|lane| lane.waiting() > FULL)
    }

    /// Waits until a server has taken or said something.
    async fn moved(&mut self) -> Result<(), SplitError> {
        let lanes = &mut self.lanes;
        poll_fn(|context| {
            let mut moved = false;
            for lane in lanes.iter_mut() {
                moved |= lane.moves(context)?;
            }
            if moved { Poll::Ready(Ok::<(), ConnError>(())) } else { Poll::Pending }
        })
        .await?;
        Ok(())
    }

    /// The same, or the client has sent something.
    async fn moved_or_read(&mut self, client: &mut Frontend) -> Result<(), SplitError> {
        let lanes = &mut self.lanes;
        if client.inbuf.capacity() - client.inbuf.len() < READ / 2 {
            client.inbuf.reserve(READ);
        }
        let read = poll_fn(|context| {
            let mut moved = false;
            for lane in lanes.iter_mut() {
                match lane.moves(context) {
                    Ok(lane) => moved |= lane,
                    Err(error) => return Poll::Ready(Err(error.into())),
                }
            }
            match pin!(client.stream.read_buf(&mut client.inbuf)).poll(context) {
                Poll::Ready(Ok(0)) => Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
                Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Pending if moved => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        });
        read.await
    }

    /// Tells every server that still copies that it is over, and reads to the end of each answer.
    async fn settle(&mut self) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_copying()) {
            lane.cancel().await;
            lane.end(End::Fail(b"canceled by another server"));
        }
        let settled = async {
            while self.lanes.iter().any(|lane| !lane.is_settled()) {
                let lanes = &mut self.lanes;
                poll_fn(|context| {
                    let moved = lanes.iter_mut().filter(|lane| !lane.lost).fold(false, |moved, lane| {
                        let went = lane.moves(context);
                        lane.lost |= went.is_err();
                        went.unwrap_or(true) || moved
                    });
                    if moved { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                self.lanes.iter_mut().for_each(Lane::skip);
            }
        };
        tokio::time::timeout(SETTLE, settled).await.ok();
    }
}

impl Input {
    /// Takes the content of the client's messages that are here. Returns whether there is something to be handed out.
    fn take(&mut self, client: &mut Frontend) -> Result<bool, FrontendError> {
        let mut taken = false;
        let most = self.data.len() + READ;
        while !self.over && self.data.len() < most {
            if self.left > 0 {
                let piece = self.left.min(client.inbuf.len());
                self.data.extend_from_slice(client.inbuf.get(..piece).unwrap_or_default());
                client.inbuf.advance(piece);
                self.left -= piece;
                taken |= piece > 0;
                if self.left > 0 {
                    break;
                }
                continue;
            }
            let head = frame::head(&client.inbuf).map_err(|error| FrontendError::OutOfStep(error.to_string()))?;
            let Some(head) = head else { break };
            match head.kind {
                b'd' => {
                    client.inbuf.advance(frame::HEADER);
                    self.left = head.len - frame::HEADER;
                }
                b'c' | b'f' | b'H' | b'S' if head.len > client.inbuf.len() => break,
                b'c' | b'f' => {
                    let mut message = client.inbuf.split_to(head.len);
                    self.over = true;
                    taken = true;
                    if head.kind == b'f' {
                        message.advance(frame::HEADER);
                        message.truncate(message.iter().position(|byte| *byte == 0).unwrap_or(message.len()));
                        self.broken_off = Some(message);
                    }
                }
                // As PostgreSQL, which ignores them among the data.
                b'H' | b'S' => client.inbuf.advance(head.len),
                kind => return Err(out_of_step(client, kind)),
            }
        }
        Ok(taken)
    }
}

/// How many lines a record is, as PostgreSQL counts them: line breaks within quotes are lines if they are like those that
/// ended the lines before (`known`), or CR.
fn lines_of(breaks: Breaks, known: Option<Eol>, has_line: bool) -> u64 {
    1 + match known {
        None => 0,
        Some(Eol::Feed) if has_line => u64::from(breaks.feeds),
        Some(_) => u64::from(breaks.returns),
    }
}

fn other_columns() -> Report {
    Report::new(catalogue::STALE_TOPOLOGY)
        .detail("the table has other columns than the router knew, or others on another shard")
        .hint("Run the statement again; compare the schema of the shards.")
}

fn no_owner() -> Report {
    Report::new(catalogue::NO_OWNER).hint("Give the key an owner with ADD RANGE or ASSIGN KEY.")
}

fn null_key() -> Report {
    Report::new(catalogue::NULL_KEY).hint("A row of a sharded table needs a value in its shard key.")
}

fn unclear() -> Report {
    Report::new(catalogue::COPY_MANY_SHARDS)
        .detail("the shard key of a record is not certain as it is written")
        .hint("Write the key as PostgreSQL prints it, in UTF-8.")
}

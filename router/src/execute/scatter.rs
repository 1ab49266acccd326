//! Scatter: one statement on several shards, whose rows are merged here while they stream.
//! In: connections to which the request was sent, a merge. Out: frames for the client up to and with the tag.
//! Never: more of a shard's answer in memory than one buffer, except for groups, which are bounded.

use super::frontend::Frontend;
use crate::{
    error::{Report, catalogue},
    merge::{Bounds, Column, Merge, MergeError, Merger, Sorted, Step, TextStyle},
    pool::conn::{Conn, ConnError, is_fatal},
};
use bytes::{Bytes, BytesMut};
use pgring_protocol::message::{
    build,
    notice::Fields,
    result::{self, Field},
};

/// Flush the output to the client when it has grown to this.
const FLUSH: usize = 32 * 1024;

/// How a scattered statement is to be answered.
#[derive(Clone, Debug)]
pub struct Scatter<'a> {
    /// How rows are merged.
    pub merge: &'a Merge,
    /// How values in text format read.
    pub style: TextStyle,
    /// Limit, offset and memory.
    pub bounds: Bounds,
    /// The client gets a RowDescription.
    pub describe: bool,
    /// The client asked for no more than so many rows: after as many the portal is suspended.
    pub suspend_at: Option<u64>,
}

/// Why a scattered statement failed.
#[derive(Debug)]
pub enum ScatterError {
    /// A shard's error: the statement's one error.
    Server(Box<Fields>),
    /// The rows cannot be merged exactly, or another error of pgring's own.
    Report(Box<Report>),
    /// A backend is gone.
    Backend(ConnError),
    /// The client is gone.
    Client(std::io::Error),
}

impl From<ConnError> for ScatterError {
    fn from(error: ConnError) -> Self {
        match error {
            ConnError::Server(fields) => Self::Server(fields),
            error => Self::Backend(error),
        }
    }
}

impl From<MergeError> for ScatterError {
    fn from(error: MergeError) -> Self {
        let entry = match &error {
            MergeError::Unorderable { .. } | MergeError::Uncombinable { .. } | MergeError::AmbiguousKey { .. } => {
                catalogue::UNORDERABLE
            }
            MergeError::OutOfRange(_) => catalogue::NUMERIC_RANGE,
            MergeError::TooLarge { .. } => catalogue::TOO_LARGE,
            MergeError::Malformed => catalogue::PROTOCOL,
            MergeError::Misfit { .. } => catalogue::INTERNAL,
        };
        let report = match &error {
            MergeError::OutOfRange(message) => Report::with(entry, *message),
            _ => Report::new(entry).detail(error.to_string()),
        };
        let report = if entry == catalogue::UNORDERABLE {
            report.hint("Restrict the statement to one shard by its key, or order and group by columns of other types.")
        } else {
            report
        };
        Self::Report(Box::new(report))
    }
}

impl From<std::io::Error> for ScatterError {
    fn from(error: std::io::Error) -> Self {
        Self::Client(error)
    }
}

/// Merges the shards' answers into the client's output, up to and with CommandComplete. Each connection still has
/// the rest of its answer (at the least its ReadyForQuery) to be drained.
///
/// # Errors
/// See [`ScatterError`].
pub async fn scatter(
    client: &mut Frontend,
    conns: &mut [&mut Conn],
    scatter: &Scatter<'_>,
) -> Result<u64, ScatterError> {
    let mut columns: Option<Vec<Field>> = None;
    for conn in conns.iter_mut() {
        let described = description(client, conn).await?;
        match &columns {
            None => columns = Some(described),
            Some(first) => same_columns(first, &described)?,
        }
    }
    let input: Vec<Column> = columns.unwrap_or_default().into_iter().map(column).collect();
    if input.len() != scatter.merge.input_columns() {
        return Err(ScatterError::Report(Box::new(
            Report::new(catalogue::STALE_TOPOLOGY)
                .detail("the table has other columns than the router knew")
                .hint("Run the statement again."),
        )));
    }
    let merger = Merger::new(scatter.merge, &input, scatter.style, scatter.bounds)?;
    if scatter.describe {
        let fields: Vec<Field> = merger.output().iter().map(field).collect();
        build::row_description(&mut client.out, &fields);
    }
    let rows = if merger.is_grouped() {
        grouped(client, conns, merger).await?
    } else {
        streamed(client, conns, merger).await?
    };
    if scatter.suspend_at == Some(rows) {
        build::portal_suspended(&mut client.out);
    } else {
        build::command_complete(&mut client.out, format!("SELECT {rows}"));
    }
    Ok(rows)
}

async fn grouped(client: &mut Frontend, conns: &mut [&mut Conn], mut merger: Merger) -> Result<u64, ScatterError> {
    for conn in conns.iter_mut() {
        while let Some(row) = row(client, conn).await? {
            merger.push(&row)?;
        }
    }
    Ok(merger.finish(&mut client.out)?)
}

async fn streamed(client: &mut Frontend, conns: &mut [&mut Conn], merger: Merger) -> Result<u64, ScatterError> {
    let mut rows = 0;
    let mut sorted = Sorted::new(merger, conns.len());
    loop {
        match sorted.next() {
            Step::Done => return Ok(rows),
            Step::NeedMore(stream) => {
                let Some(conn) = conns.get_mut(stream) else { return Err(MergeError::Misfit { columns: 0 }.into()) };
                match row(client, conn).await? {
                    Some(row) => sorted.offer(stream, row)?,
                    None => sorted.finish_stream(stream),
                }
            }
            Step::Row(row) => {
                sorted.merger().write_row(&row, &mut client.out)?;
                rows += 1;
                if client.out.len() >= FLUSH {
                    client.flush().await?;
                }
            }
        }
    }
}

/// Reads up to the RowDescription.
async fn description(client: &mut Frontend, conn: &mut Conn) -> Result<Vec<Field>, ScatterError> {
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'T' => return result::row_description(&body).map_err(broken),
            _ => aside(client, conn, kind, &body)?,
        }
    }
}

/// The next row of a shard; None: it has no more.
async fn row(client: &mut Frontend, conn: &mut Conn) -> Result<Option<Bytes>, ScatterError> {
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'D' => return Ok(Some(body.freeze())),
            b'C' | b's' => return Ok(None),
            _ => aside(client, conn, kind, &body)?,
        }
    }
}

/// What may come between: notices go to the client, an error is the statement's.
pub(super) fn aside(client: &mut Frontend, conn: &mut Conn, kind: u8, body: &BytesMut) -> Result<(), ScatterError> {
    match kind {
        b'E' => {
            let (mut fields, _) = Fields::of_error(body);
            if is_fatal(&fields) {
                // It ends that backend, not the client's session.
                fields.set(b'S', "ERROR");
                fields.set(b'V', "ERROR");
            }
            client.explain_cancel(&mut fields);
            return Err(ScatterError::Server(Box::new(fields)));
        }
        b'N' => {
            if let Ok(fields) = Fields::parse(body) {
                build::notice(&mut client.out, &fields);
            }
        }
        b'S' => conn.reported.note(body),
        b'1' | b'2' | b'3' | b't' | b'n' | b'Z' => {}
        kind => {
            return Err(ScatterError::Backend(ConnError::Protocol(format!("unexpected message {:?}", kind as char))));
        }
    }
    Ok(())
}

fn broken(error: impl std::fmt::Display) -> ScatterError {
    ScatterError::Backend(ConnError::Protocol(error.to_string()))
}

pub(super) fn same_columns(first: &[Field], other: &[Field]) -> Result<(), ScatterError> {
    /// First OID that is not PostgreSQL's own (`FirstNormalObjectId`): such types have other OIDs on each server.
    const USER: u32 = 16_384;
    let alike = |a: &Field, b: &Field| {
        a.name == b.name && (a.type_oid == b.type_oid || (a.type_oid >= USER && b.type_oid >= USER && a.format == 0))
    };
    if first.len() == other.len() && first.iter().zip(other).all(|(a, b)| alike(a, b)) {
        return Ok(());
    }
    Err(ScatterError::Report(Box::new(
        Report::new(catalogue::UNORDERABLE)
            .detail("the shards describe the rows differently")
            .hint("Compare the tables' columns on the shards; ask for text format where types are user-defined."),
    )))
}

fn column(field: Field) -> Column {
    Column {
        name: field.name,
        table_oid: field.table_oid,
        column_number: field.column,
        type_oid: field.type_oid,
        type_size: field.type_size,
        type_modifier: field.type_modifier,
        format: field.format,
    }
}

fn field(column: &Column) -> Field {
    Field {
        name: column.name.clone(),
        table_oid: column.table_oid,
        column: column.column_number,
        type_oid: column.type_oid,
        type_size: column.type_size,
        type_modifier: column.type_modifier,
        format: column.format,
    }
}

//! Copy out: COPY TO STDOUT of several servers as that of one. In: connections to which the COPY was sent. Out: frames
//! for the client up to and with the tag. Never: reads a row.

use super::{
    frontend::Frontend,
    scatter::{ScatterError, aside},
};
use crate::{
    error::{Report, catalogue},
    pool::conn::{Conn, ConnError},
};
use bytes::{Buf, BytesMut};
use pgring_protocol::message::{build, copy::CopyResponse, result};

/// The output is flushed to the client when it has grown to this.
const FLUSH: usize = 32 * 1024;
/// Bytes of the head of COPY's binary format (documentation of COPY, "Binary Format"), without what it may be extended by.
const HEAD: usize = 19;
/// What ends the binary format.
const TRAILER: &[u8] = &[0xff, 0xff];

/// What of a server's data is the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// There is another server before it: its head was told.
    behind: bool,
    /// There is another server behind it, which ends the data.
    goes_on: bool,
    binary: bool,
    /// Lines of text begin with the columns' names.
    header: bool,
}

impl Part {
    /// What is left of a message of data; `first`: no other came before it. None: nothing.
    fn keep(self, mut data: BytesMut, first: bool) -> Option<BytesMut> {
        if !self.binary {
            return Some(data).filter(|_| !(self.behind && self.header && first));
        }
        let head = if first { head(&data) } else { 0 };
        if self.goes_on && data.get(head..) == Some(TRAILER) {
            data.truncate(head);
        }
        if self.behind {
            data.advance(head);
        }
        Some(data).filter(|data| !data.is_empty())
    }
}

/// Bytes of the head of the binary format.
fn head(data: &[u8]) -> usize {
    let more = data.get(HEAD - 4..HEAD).and_then(|more| more.try_into().ok()).map_or(0, u32::from_be_bytes);
    data.len().min(HEAD + more as usize)
}

/// Passes the servers' data on, one behind the other. Each connection still has the rest of its answer (at the least
/// its ReadyForQuery) to be drained. `header`: each begins with a line of the columns' names.
///
/// # Errors
/// See [`ScatterError`].
pub async fn copy_out(client: &mut Frontend, conns: &mut [&mut Conn], header: bool) -> Result<(), ScatterError> {
    let (mut rows, mut told, last) = (0, None, conns.len().saturating_sub(1));
    for (nth, conn) in conns.iter_mut().enumerate() {
        let response = opened(client, conn).await?;
        let part = Part { behind: nth > 0, goes_on: nth < last, binary: response.format == 1, header };
        match &told {
            None => {
                build::copy_out_response(&mut client.out, response.format, &response.columns);
                told = Some(response);
            }
            Some(first) if *first == response => {}
            Some(_) => return Err(ScatterError::Report(Box::new(unlike()))),
        }
        rows += passed(client, conn, part).await?;
    }
    build::copy_done(&mut client.out);
    build::command_complete(&mut client.out, format!("COPY {rows}"));
    Ok(())
}

/// Waits for CopyOutResponse.
async fn opened(client: &mut Frontend, conn: &mut Conn) -> Result<CopyResponse, ScatterError> {
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'H' => return CopyResponse::parse(&body).map_err(|error| protocol(&error.to_string())),
            _ => aside(client, conn, kind, &body)?,
        }
    }
}

/// Passes one server's data on. Returns how many rows it says they are.
async fn passed(client: &mut Frontend, conn: &mut Conn, part: Part) -> Result<u64, ScatterError> {
    let mut first = true;
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'd' => {
                if let Some(data) = part.keep(body, first) {
                    build::copy_data(&mut client.out, &data);
                }
                first = false;
                if client.out.len() >= FLUSH {
                    client.flush().await?;
                }
            }
            b'c' => {}
            b'C' => {
                let tag = result::tag(&body).map_err(|error| protocol(&error.to_string()))?;
                let count = tag.strip_prefix("COPY ").and_then(|count| count.parse().ok());
                return count.ok_or_else(|| protocol("a COPY without its count"));
            }
            _ => aside(client, conn, kind, &body)?,
        }
    }
}

fn protocol(what: &str) -> ScatterError {
    ScatterError::Backend(ConnError::Protocol(what.to_owned()))
}

fn unlike() -> Report {
    Report::new(catalogue::STALE_TOPOLOGY)
        .detail("the table has other columns on another shard")
        .hint("Compare the schema of the shards.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINARY: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

    fn kept(part: Part, data: &[u8], first: bool) -> Option<Vec<u8>> {
        part.keep(BytesMut::from(data), first).map(Vec::from)
    }

    #[test]
    fn heads_are_told_once_and_the_end_too() {
        let part = |behind, goes_on| Part { behind, goes_on, binary: true, header: false };
        let row = [BINARY, b"\0\x01row"].concat();
        let empty = [BINARY, TRAILER].concat();
        assert_eq!(kept(part(false, true), &row, true), Some(row.clone()));
        assert_eq!(kept(part(true, true), &row, true), Some(b"\0\x01row".to_vec()));
        assert_eq!(kept(part(true, true), b"\0\x01row", false), Some(b"\0\x01row".to_vec()));
        assert_eq!(kept(part(false, true), TRAILER, false), None);
        assert_eq!(kept(part(true, false), TRAILER, false), Some(TRAILER.to_vec()));
        assert_eq!(kept(part(false, true), &empty, true), Some(BINARY.to_vec()));
        assert_eq!(kept(part(true, true), &empty, true), None);
        assert_eq!(kept(part(true, false), &empty, true), Some(TRAILER.to_vec()));
    }

    #[test]
    fn a_line_of_names_is_told_once() {
        let part = |behind, header| Part { behind, goes_on: true, binary: false, header };
        assert_eq!(kept(part(false, true), b"a,b\n", true), Some(b"a,b\n".to_vec()));
        assert_eq!(kept(part(true, true), b"a,b\n", true), None);
        assert_eq!(kept(part(true, true), b"1,2\n", false), Some(b"1,2\n".to_vec()));
        assert_eq!(kept(part(true, false), b"1,2\n", true), Some(b"1,2\n".to_vec()));
    }
}

//! Copy in: the data of a COPY FROM, from the client to the backend as they come.
//! In: a relay whose backend asks for them. Out: data for the backend, as far as it takes them. Never: a row.

use super::{
    frontend::{Frontend, FrontendError},
    relay::{Expect, Relay, RelayError},
};
use crate::pool::conn::Conn;
use bytes::{Buf, BytesMut};
use pgring_protocol::{
    frame,
    message::{build, notice::Fields},
};
use std::{io, pin::pin, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Notices that come during a COPY are passed on when they are as many bytes.
const NOTICES: usize = 64 * 1024;
/// How long a Sync between the data of a COPY waits for the server's refusal of them.
const UNSURE: Duration = Duration::from_millis(100);

/// Passes COPY data from the client to the backend until the client has ended it, or the backend has refused it.
pub(super) async fn pass(relay: &mut Relay<'_>) -> Result<(), RelayError> {
    // In the extended protocol the Sync that came with the Execute is ignored by the server while it copies; the one
    // that ends the copy has to be passed on.
    let executed = matches!(relay.script.front(), Some(Expect::Execute));
    let extended = executed && relay.script.iter().any(|expect| matches!(expect, Expect::Ready { .. }));
    let flushed = executed && !extended;
    let began = relay.began;
    if let Some(kind) = relay.client.behind_copy.take() {
        return Err(out_of_step(relay.client, kind).into());
    }
    let mut left = 0usize;
    let mut refused = false;
    let mut closed = false;
    loop {
        let mut sent = 0;
        let mut ended = false;
        let mut unsure = false;
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
                    closed = true;
                    if !extended {
                        ended = true;
                        break;
                    }
                }
                b'H' | b'S' if rest.len() >= head.len => {
                    sent += head.len;
                    if head.kind == b'S' && extended {
                        (ended, unsure) = (closed, !closed);
                        break;
                    }
                }
                b'c' | b'f' | b'H' | b'S' => break,
                kind => return Err(out_of_step(relay.client, kind).into()),
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
        if unsure {
            // The server passes this Sync over, unless it has refused the data: then it answers it.
            let _ = tokio::time::timeout(UNSURE, relay.conn.read()).await;
            if has_error(&relay.conn.buf) {
                return Ok(());
            }
            continue;
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

/// As in PostgreSQL, who sends anything else during a COPY is out of step; the backend goes with it.
pub(super) fn out_of_step(client: &mut Frontend, kind: u8) -> FrontendError {
    let text = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
    let mut fields = Fields::new("ERROR", "08P01", text);
    fields.set(b'V', "ERROR");
    build::error(&mut client.out, &fields);
    FrontendError::OutOfStep("terminating connection because protocol synchronization was lost".to_owned())
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

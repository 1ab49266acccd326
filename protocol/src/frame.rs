//! Frames: the five-byte headers of protocol 3 and the scanner over them. A row is never decoded here.
//! In: bytes as they came. Out: where a message ends and of which kind it is. Never: copies, waits, looks inside.

use thiserror::Error;

/// Bytes of a header: the kind and the length word.
pub const HEADER: usize = 5;

/// Kinds of messages that a client sends.
pub mod client {
    /// Extended: give a portal its parameters.
    pub const BIND: u8 = b'B';
    /// Extended: forget a statement or portal.
    pub const CLOSE: u8 = b'C';
    /// A piece of COPY data.
    pub const COPY_DATA: u8 = b'd';
    /// COPY data are complete.
    pub const COPY_DONE: u8 = b'c';
    /// COPY shall fail.
    pub const COPY_FAIL: u8 = b'f';
    /// Extended: ask for the columns of a statement or portal.
    pub const DESCRIBE: u8 = b'D';
    /// Extended: run a portal.
    pub const EXECUTE: u8 = b'E';
    /// Extended: send what there is.
    pub const FLUSH: u8 = b'H';
    /// Fast-path function call.
    pub const FUNCTION_CALL: u8 = b'F';
    /// Extended: prepare a statement.
    pub const PARSE: u8 = b'P';
    /// A password or a SASL or GSS response.
    pub const PASSWORD: u8 = b'p';
    /// Simple query.
    pub const QUERY: u8 = b'Q';
    /// Extended: end of a batch.
    pub const SYNC: u8 = b'S';
    /// The client leaves.
    pub const TERMINATE: u8 = b'X';

    /// Whether a client may send this kind after the startup at all; any other ends the session.
    #[must_use]
    pub fn is_known(kind: u8) -> bool {
        matches!(
            kind,
            BIND | CLOSE
                | COPY_DATA
                | COPY_DONE
                | COPY_FAIL
                | DESCRIBE
                | EXECUTE
                | FLUSH
                | FUNCTION_CALL
                | PARSE
                | PASSWORD
                | QUERY
                | SYNC
                | TERMINATE
        )
    }
}

/// Kinds of messages that a server sends.
pub mod server {
    /// Authentication request or success.
    pub const AUTHENTICATION: u8 = b'R';
    /// What a cancel request needs.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// Bind succeeded.
    pub const BIND_COMPLETE: u8 = b'2';
    /// Close succeeded.
    pub const CLOSE_COMPLETE: u8 = b'3';
    /// A statement ended, with its tag.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// Both sides may now send COPY data.
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// A piece of COPY data.
    pub const COPY_DATA: u8 = b'd';
    /// COPY data are complete.
    pub const COPY_DONE: u8 = b'c';
    /// The client shall now send COPY data.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// COPY data follow.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// One row.
    pub const DATA_ROW: u8 = b'D';
    /// The query was an empty string.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// An error.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// The value of a fast-path function call.
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    /// The newest version of the protocol that the server speaks.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// The statement returns no rows.
    pub const NO_DATA: u8 = b'n';
    /// A notice.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// A NOTIFY.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// Types of a statement's parameters.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// The value of a setting that clients follow.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// Parse succeeded.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// The row limit of Execute was reached.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// The server waits for a new query.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// Columns of the rows that follow.
    pub const ROW_DESCRIPTION: u8 = b'T';
}

/// Header of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The message's kind, see [`client`] and [`server`].
    pub kind: u8,
    /// Bytes of the whole frame, header included; at least [`HEADER`].
    pub len: usize,
}

/// A length word that cannot be served; the stream is out of step (SQLSTATE 08P01) and must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Less than the four bytes that the length counts itself, or negative.
    #[error("invalid message length")]
    BadLength,
    /// More than the caller's limit.
    #[error("message of {len} bytes exceeds the limit of {max} bytes")]
    TooLarge {
        /// Bytes of the frame, header included.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// Reads the header at the start of `buf`; `None` as long as its five bytes are not there.
///
/// # Errors
/// [`FrameError::BadLength`] (SQLSTATE 08P01).
pub fn head(buf: &[u8]) -> Result<Option<Head>, FrameError> {
    let Some(&[kind, a, b, c, d]) = buf.first_chunk::<HEADER>() else { return Ok(None) };
    match i32::from_be_bytes([a, b, c, d]) {
        length if length < 4 => Err(FrameError::BadLength),
        length => {
            usize::try_from(length).map(|length| Some(Head { kind, len: length + 1 })).or(Err(FrameError::BadLength))
        }
    }
}

/// Reads the header at the start of `buf` once its whole frame is there; `None` until then.
///
/// # Errors
/// [`FrameError`] (SQLSTATE 08P01), raised as soon as the header is there, before the body is.
pub fn complete(buf: &[u8], max: usize) -> Result<Option<Head>, FrameError> {
    match head(buf)? {
        Some(head) if head.len > max => Err(FrameError::TooLarge { len: head.len, max }),
        Some(head) if head.len <= buf.len() => Ok(Some(head)),
        _ => Ok(None),
    }
}

/// The body of the first frame of `buf`: what stands behind the header of `head`, as far as it is there.
#[must_use]
pub fn body(buf: &[u8], head: Head) -> &[u8] {
    buf.get(HEADER..head.len.min(buf.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FrameError, Head, body, complete, head};

    #[test]
    fn a_length_below_four_or_negative_is_refused() {
        for length in [0_i32, 1, 3, -1, i32::MIN] {
            let mut bytes = vec![b'Q'];
            bytes.extend(length.to_be_bytes());
            assert_eq!(head(&bytes), Err(FrameError::BadLength));
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_its_body_is_there() {
        assert_eq!(complete(&[b'Q', 0, 0, 1, 0], 256), Err(FrameError::TooLarge { len: 257, max: 256 }));
        assert_eq!(complete(&[b'Q', 0, 0, 1, 0], 257), Ok(None));
    }

    proptest! {
        #[test]
        fn frames_split_at_any_byte_are_the_same_frames(
            frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            for (kind, content) in &frames {
                bytes.push(*kind);
                bytes.extend((u32::try_from(content.len()).unwrap() + 4).to_be_bytes());
                bytes.extend(content);
            }
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let (mut buffer, mut found) = (Vec::new(), Vec::new());
            for part in [first, second] {
                buffer.extend_from_slice(part);
                while let Some(head) = complete(&buffer, 1 << 20).unwrap() {
                    found.push((head.kind, body(&buffer, head).to_vec()));
                    buffer.drain(..head.len);
                }
            }
            prop_assert!(buffer.is_empty());
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some(Head { len, kind })) = head(&bytes) {
                prop_assert!(len >= 5);
                prop_assert_eq!(kind, bytes[0]);
                let content = body(&bytes, Head { kind, len });
                prop_assert!(content.len() <= len - 5);
            }
        }
    }
}

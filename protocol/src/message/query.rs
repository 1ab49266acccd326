//! Query: the text of a simple query. In: the body of a `Q`. Out: SQL bytes. Never: several statements taken apart.

use super::{MessageError, Reader};

/// The text of a Query message, without its NUL, in the client's encoding.
///
/// # Errors
/// [`MessageError`] (SQLSTATE 08P01), also for bytes behind the NUL: they are never a second statement.
pub fn query_text(body: &[u8]) -> Result<&[u8], MessageError> {
    let mut reader = Reader::new(body);
    let text = reader.cstr()?;
    reader.end()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{super::MessageError, query_text};

    #[test]
    fn the_nul_stands_exactly_at_the_end() {
        assert_eq!(query_text(b"select 1\0"), Ok(&b"select 1"[..]));
        assert_eq!(query_text(b"\0"), Ok(&b""[..]));
        assert_eq!(query_text(b"select 1\0; drop table t\0"), Err(MessageError::Trailing));
        assert_eq!(query_text(b"select 1"), Err(MessageError::Unterminated));
        assert_eq!(query_text(b""), Err(MessageError::Unterminated));
    }
}

//! Startup: the packets before there is a session, which carry no kind. In: a packet without its length word.
//! Out: what it asks. Never: answers.

use bytes::{BufMut, BytesMut};

use super::{MessageError, Reader};

/// Code of a CancelRequest where others carry a version.
pub const CANCEL_REQUEST: u32 = (1234 << 16) | 5678;
/// Code of an SSLRequest.
pub const SSL_REQUEST: u32 = (1234 << 16) | 5679;
/// Code of a GSSENCRequest.
pub const GSSENC_REQUEST: u32 = (1234 << 16) | 5680;

/// A packet of the startup phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Asks for TLS.
    Ssl,
    /// Asks for GSSAPI encryption.
    GssEnc,
    /// Asks to cancel what another connection runs.
    Cancel {
        /// Process of that connection, as its BackendKeyData told.
        pid: i32,
        /// Its secret, 4 to 256 bytes.
        secret: &'a [u8],
    },
    /// Opens a session.
    Startup {
        /// Version asked for, before the dot.
        major: u16,
        /// Version asked for, behind the dot.
        minor: u16,
        /// What stands behind the version, see [`parameters`].
        rest: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    /// Reads a packet, without its length word.
    ///
    /// # Errors
    /// [`MessageError`] (SQLSTATE 08P01).
    pub fn parse(packet: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(packet);
        let packet = match reader.u32()? {
            SSL_REQUEST => Packet::Ssl,
            GSSENC_REQUEST => Packet::GssEnc,
            CANCEL_REQUEST => cancel(&mut reader)?,
            version => {
                let [a, b, c, d] = version.to_be_bytes();
                let (major, minor) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                Packet::Startup { major, minor, rest: reader.rest() }
            }
        };
        reader.end()?;
        Ok(packet)
    }
}

fn cancel<'a>(reader: &mut Reader<'a>) -> Result<Packet<'a>, MessageError> {
    let (pid, secret) = (reader.i32()?, reader.rest());
    if (4..=256).contains(&secret.len()) { Ok(Packet::Cancel { pid, secret }) } else { Err(MessageError::Value) }
}

/// Names and values of a startup packet, in order.
///
/// # Errors
/// [`MessageError::StartupLayout`] when they do not end with the packet, [`MessageError::NotUtf8`].
pub fn parameters(rest: &[u8]) -> Result<Vec<(String, String)>, MessageError> {
    let mut reader = Reader::new(rest);
    let mut parameters = Vec::new();
    loop {
        match layout(reader.text())? {
            "" => break,
            name => parameters.push((name.to_owned(), layout(reader.text())?.to_owned())),
        }
    }
    layout(reader.end())?;
    Ok(parameters)
}

fn layout<T>(read: Result<T, MessageError>) -> Result<T, MessageError> {
    read.map_err(|error| if error == MessageError::NotUtf8 { error } else { MessageError::StartupLayout })
}

/// Appends an SSLRequest.
pub fn ssl_request(out: &mut BytesMut) {
    out.put_u32(8);
    out.put_u32(SSL_REQUEST);
}

/// Appends a GSSENCRequest.
pub fn gssenc_request(out: &mut BytesMut) {
    out.put_u32(8);
    out.put_u32(GSSENC_REQUEST);
}

/// Appends a CancelRequest; `secret` has 4 to 256 bytes.
pub fn cancel_request(out: &mut BytesMut, pid: i32, secret: &[u8]) {
    out.put_u32(u32::try_from(secret.len()).unwrap_or(0).saturating_add(12));
    out.put_u32(CANCEL_REQUEST);
    out.put_i32(pid);
    out.put_slice(secret);
}

/// Appends the packet that opens a session of protocol 3.`minor`.
///
/// # Errors
/// [`MessageError::Value`] for a name or value with a NUL inside: it would be read as further parameters.
pub fn startup<'a>(
    out: &mut BytesMut,
    minor: u16,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), MessageError> {
    let mut body = BytesMut::new();
    for (name, value) in parameters {
        if name.is_empty() || name.contains('\0') || value.contains('\0') {
            return Err(MessageError::Value);
        }
        for text in [name, value] {
            body.put_slice(text.as_bytes());
            body.put_u8(0);
        }
    }
    out.put_u32(u32::try_from(body.len()).or(Err(MessageError::Value))?.saturating_add(9));
    out.put_u16(3);
    out.put_u16(minor);
    out.put_slice(&body);
    out.put_u8(0);
    Ok(())
}

//! Authenticating a client: cleartext, MD5, SCRAM-SHA-256. In: a connection and what is stored about the role.
//! Out: what to log in to servers with. Never: looks a role up, chooses the method, words the refusal.

use std::io;

use bytes::BytesMut;
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use crate::{
    credentials::{Credentials, StoredSecret},
    frame::{FrameError, client},
    md5,
    message::{MessageError, Reader, build},
    sasl::{SaslError, ScramServer, ScramVerifier},
    stream::{ReadError, Stream, read_frame},
};

/// Most bytes of an authentication message, as in PostgreSQL (`PG_MAX_AUTH_TOKEN_LENGTH`).
const MAX_TOKEN: usize = 65_535;

/// How a client must prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// SCRAM-SHA-256, and -PLUS over TLS.
    Scram,
    /// MD5; where a SCRAM verifier is stored, SCRAM, as in PostgreSQL.
    Md5,
    /// The password in clear.
    Password,
    /// Nothing is asked.
    Trust,
}

/// An exchange that broke off. A wrong password is not one.
#[derive(Debug, Error)]
pub enum AuthError {
    /// The socket failed.
    #[error("i/o: {0}")]
    Io(#[from] io::Error),
    /// The client left, as psql does to ask for a password first.
    #[error("the client closed the connection during authentication")]
    Closed,
    /// A frame that cannot be (SQLSTATE 08P01).
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Another message than what was asked for (SQLSTATE 08P01).
    #[error("expected {asked} response, got message type {kind}")]
    Unexpected {
        /// `password` or `SASL`.
        asked: &'static str,
        /// What came.
        kind: u8,
    },
    /// A password that its message does not hold alone (SQLSTATE 08P01).
    #[error("invalid password packet size")]
    PacketSize,
    /// No password at all (SQLSTATE 28P01).
    #[error("empty password returned by client")]
    EmptyPassword,
    /// A body that breaks the protocol (SQLSTATE 08P01).
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A SASL message that breaks its protocol (SQLSTATE 08P01).
    #[error(transparent)]
    Sasl(#[from] SaslError),
}

impl AuthError {
    /// The SQLSTATE of the FATAL to send; `None` when no one is left to tell.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&'static str> {
        match self {
            Self::Io(_) | Self::Closed => None,
            Self::Sasl(error) => Some(error.sqlstate()),
            Self::EmptyPassword => Some(crate::sqlstate::INVALID_PASSWORD),
            _ => Some(crate::sqlstate::PROTOCOL_VIOLATION),
        }
    }
}

/// Lets the client prove that it is `user`. `None`: it is not; the caller sends 28P01 with the text `password
/// authentication failed for user "…"`. AuthenticationOk is the caller's to send as well.
///
/// An unknown role goes through the method's whole exchange, with a salt that stays the same, and fails at its end. Under
/// [`Method::Md5`] that exchange is MD5's, so roles with a SCRAM verifier can be told from it, as in PostgreSQL.
///
/// # Errors
/// [`AuthError`] when the exchange breaks off.
pub async fn authenticate(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    user: &str,
    method: Method,
    secret: &StoredSecret,
) -> Result<Option<Credentials>, AuthError> {
    match (method, secret) {
        (Method::Trust, _) => Ok(Some(Credentials::None)),
        (Method::Password, _) => password(stream, buffer, user, secret).await,
        (Method::Scram, _) | (Method::Md5, StoredSecret::Scram(_)) => scram(stream, buffer, user, secret).await,
        (Method::Md5, _) => challenge(stream, buffer, user, secret).await,
    }
}

async fn password(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    user: &str,
    secret: &StoredSecret,
) -> Result<Option<Credentials>, AuthError> {
    let answer = ask(stream, buffer, PASSWORD, build::authentication_cleartext_password).await?;
    // What no text is, nobody has as a password.
    let Ok(given) = std::str::from_utf8(password_of(&answer)?) else { return Ok(None) };
    let is_right = match secret {
        StoredSecret::Plain(stored) => stored.expose().as_bytes().ct_eq(given.as_bytes()).into(),
        StoredSecret::Md5(stored) => md5::md5_hash(given, user).as_bytes().ct_eq(stored.as_bytes()).into(),
        StoredSecret::Scram(verifier) => verifier.matches(given),
        StoredSecret::Unknown => ScramVerifier::mock(user).matches(given),
    };
    Ok(is_right.then(|| Credentials::Password(given.to_owned())))
}

async fn challenge(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    user: &str,
    secret: &StoredSecret,
) -> Result<Option<Credentials>, AuthError> {
    let salt: [u8; 4] = rand::random();
    let answer = ask(stream, buffer, PASSWORD, |out| build::authentication_md5_password(out, salt)).await?;
    let response = password_of(&answer)?;
    let (stored, credentials) = match secret {
        StoredSecret::Plain(plain) => {
            (md5::md5_hash(plain.expose(), user), Some(Credentials::Password(plain.expose().to_owned())))
        }
        StoredSecret::Md5(hash) => (hash.clone(), Some(Credentials::Md5(hash.clone()))),
        StoredSecret::Scram(_) | StoredSecret::Unknown => (md5::md5_hash("", user), None),
    };
    Ok(credentials.filter(|_| md5::md5_matches(&stored, salt, response)))
}

/// The password or hash that a PasswordMessage holds.
fn password_of(body: &[u8]) -> Result<&[u8], AuthError> {
    match body.split_last() {
        Some((0, [])) => Err(AuthError::EmptyPassword),
        Some((0, password)) if !password.contains(&0) => Ok(password),
        _ => Err(AuthError::PacketSize),
    }
}

async fn scram(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    user: &str,
    secret: &StoredSecret,
) -> Result<Option<Credentials>, AuthError> {
    let verifier = match secret {
        StoredSecret::Scram(verifier) => verifier.clone(),
        StoredSecret::Plain(plain) => plain.verifier().clone(),
        // A role with an MD5 hash cannot log in by SCRAM; it is told no more than an unknown one.
        StoredSecret::Md5(_) | StoredSecret::Unknown => ScramVerifier::mock(user),
    };
    let server_key = verifier.server_key;
    let end_point = if let Stream::TlsServer(tls) = &*stream { tls.end_point.clone() } else { None };
    let server = ScramServer::new(verifier, end_point);
    let first = ask(stream, buffer, "SASL", |out| build::authentication_sasl(out, server.mechanisms())).await?;
    let (mechanism, data) = initial_response(&first, server.mechanisms())?;
    let exchange = server.first(mechanism, data)?;
    let message = exchange.message().as_bytes().to_vec();
    let last = ask(stream, buffer, "SASL", |out| build::authentication_sasl_continue(out, &message)).await?;
    let Some(success) = exchange.finish(&last)? else { return Ok(None) };
    let mut out = BytesMut::new();
    build::authentication_sasl_final(&mut out, success.message.as_bytes());
    stream.write_all(&out).await?;
    Ok(match secret {
        StoredSecret::Plain(plain) => Some(Credentials::Password(plain.expose().to_owned())),
        StoredSecret::Scram(_) => Some(Credentials::ScramKeys { client_key: success.client_key, server_key }),
        StoredSecret::Md5(_) | StoredSecret::Unknown => None,
    })
}

/// Mechanism and data of a SASLInitialResponse; data that are not there are empty. A mechanism that was not offered is
/// the first thing to be said, whatever follows it.
fn initial_response<'a>(body: &'a [u8], offered: &[&str]) -> Result<(&'a [u8], &'a [u8]), AuthError> {
    let mut reader = Reader::new(body);
    let mechanism = reader.cstr()?;
    if !offered.iter().any(|offered| offered.as_bytes() == mechanism) {
        return Err(SaslError::Mechanism.into());
    }
    let data = reader.value()?;
    reader.end()?;
    Ok((mechanism, data.unwrap_or_default()))
}

/// What is asked for outside SASL.
const PASSWORD: &str = "password";

/// Sends one request and returns the body of the answer.
async fn ask(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    asked: &'static str,
    request: impl FnOnce(&mut BytesMut),
) -> Result<BytesMut, AuthError> {
    let mut out = BytesMut::new();
    request(&mut out);
    stream.write_all(&out).await?;
    stream.flush().await?;
    match read_frame(stream, buffer, MAX_TOKEN).await {
        Ok((client::PASSWORD, body)) => Ok(body),
        Ok((kind, _)) => Err(AuthError::Unexpected { asked, kind }),
        Err(ReadError::Io(error)) => Err(AuthError::Io(error)),
        Err(ReadError::Closed) => Err(AuthError::Closed),
        // To PostgreSQL a password whose length cannot be is a client that has gone.
        Err(ReadError::Frame(_)) if asked == PASSWORD => Err(AuthError::Closed),
        Err(ReadError::Frame(error)) => Err(AuthError::Frame(error)),
    }
}

//! Logging in to a server, by the method it asks for. In: its requests, our credentials. Out: authenticated, or why not.
//! Never: gives a server more than it needs.

use bytes::BytesMut;

use super::{Backend, BackendError, Login, unexpected};
use crate::{
    certificate,
    credentials::Credentials,
    frame::server,
    md5,
    message::{MessageError, Reader, build},
    sasl::{ClientSecret, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramClient, ScramProof},
    stream::Stream,
};

/// An authentication request.
enum Request {
    Ok,
    Cleartext,
    Md5([u8; 4]),
    Sasl(Vec<String>),
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    Other(&'static str),
}

impl Request {
    fn parse(body: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        Ok(match reader.u32()? {
            0 => Self::Ok,
            3 => Self::Cleartext,
            5 => Self::Md5(reader.bytes(4)?.try_into().or(Err(MessageError::TooShort))?),
            7 | 8 => Self::Other("GSSAPI"),
            9 => Self::Other("SSPI"),
            10 => Self::Sasl(mechanisms(&mut reader)?),
            11 => Self::SaslContinue(reader.rest().to_vec()),
            12 => Self::SaslFinal(reader.rest().to_vec()),
            _ => Self::Other("an unknown method"),
        })
    }
}

fn mechanisms(reader: &mut Reader<'_>) -> Result<Vec<String>, MessageError> {
    let mut names = Vec::new();
    loop {
        match reader.text()? {
            "" => return Ok(names),
            name => names.push(name.to_owned()),
        }
    }
}

/// Answers the server's requests until it is satisfied.
pub(super) async fn authenticate(backend: &mut Backend, login: &Login) -> Result<(), BackendError> {
    let mut proof: Option<ScramProof> = None;
    loop {
        match request(backend).await? {
            // A server that has not proved itself is not the one we began SCRAM with.
            Request::Ok if proof.is_none() => return Ok(()),
            Request::Ok => return Err(BackendError::Protocol("SCRAM was not completed".into())),
            Request::Cleartext => cleartext(backend, &login.credentials).await?,
            Request::Md5(salt) => md5(backend, login, salt).await?,
            Request::Sasl(offered) => proof = Some(scram(backend, &login.credentials, &offered).await?),
            Request::SaslFinal(message) => match proof.take() {
                Some(proof) => proof.verify(&message)?,
                None => return Err(BackendError::Protocol("unexpected end of SASL".into())),
            },
            Request::SaslContinue(_) => return Err(BackendError::Protocol("unexpected SASL message".into())),
            Request::Other(wanted) => return Err(lacking(wanted, &login.credentials)),
        }
    }
}

async fn request(backend: &mut Backend) -> Result<Request, BackendError> {
    match backend.receive().await? {
        (server::AUTHENTICATION, body) => Ok(Request::parse(&body)?),
        (kind, _) => Err(unexpected(kind)),
    }
}

fn lacking(wanted: &'static str, credentials: &Credentials) -> BackendError {
    let have = match credentials {
        Credentials::Password(_) => "a password",
        Credentials::ScramKeys { .. } => "the keys of a SCRAM login",
        Credentials::Md5(_) => "an MD5 hash",
        Credentials::None => "no password",
    };
    BackendError::Authentication { wanted, have }
}

async fn cleartext(backend: &mut Backend, credentials: &Credentials) -> Result<(), BackendError> {
    let Credentials::Password(password) = credentials else { return Err(lacking("a password in clear", credentials)) };
    if !backend.stream.is_private() {
        return Err(lacking("a password in clear over a connection without TLS", credentials));
    }
    answer(backend, |out| build::password(out, password)).await
}

async fn md5(backend: &mut Backend, login: &Login, salt: [u8; 4]) -> Result<(), BackendError> {
    let response = match &login.credentials {
        Credentials::Password(password) => md5::md5_response(&md5::md5_hash(password, &login.user), salt),
        Credentials::Md5(hash) => md5::md5_response(hash, salt),
        Credentials::ScramKeys { .. } | Credentials::None => None,
    };
    let response = response.ok_or_else(|| lacking("an MD5 password", &login.credentials))?;
    answer(backend, |out| build::password(out, response)).await
}

async fn scram(
    backend: &mut Backend,
    credentials: &Credentials,
    offered: &[String],
) -> Result<ScramProof, BackendError> {
    let secret = match credentials {
        Credentials::Password(password) => ClientSecret::Password(password),
        Credentials::ScramKeys { client_key, server_key } => {
            ClientSecret::Keys { client_key: *client_key, server_key: *server_key }
        }
        Credentials::Md5(_) | Credentials::None => return Err(lacking(SCRAM_SHA_256, credentials)),
    };
    let end_point = end_point(&backend.stream);
    let (could_bind, offers) = (end_point.is_some(), |name: &str| offered.iter().any(|offered| offered == name));
    let end_point = end_point.filter(|_| offers(SCRAM_SHA_256_PLUS));
    if end_point.is_none() && !offers(SCRAM_SHA_256) {
        return Err(lacking("an unknown SASL mechanism", credentials));
    }
    let client = ScramClient::new(secret, end_point, could_bind);
    let (mechanism, first) = (client.mechanism(), client.message());
    answer(backend, |out| build::sasl_initial_response(out, mechanism, first.as_bytes())).await?;
    let Request::SaslContinue(message) = request(backend).await? else {
        return Err(BackendError::Protocol("expected a SASL message".into()));
    };
    let proof = client.prove(&message)?;
    answer(backend, |out| build::sasl_response(out, proof.message().as_bytes())).await?;
    Ok(proof)
}

/// What SCRAM can bind to: the certificate that the server showed.
fn end_point(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::TlsClient(tls) = stream else { return None };
    certificate::end_point(tls.get_ref().1.peer_certificates()?.first()?)
}

async fn answer(backend: &mut Backend, build: impl FnOnce(&mut BytesMut)) -> Result<(), BackendError> {
    let mut out = BytesMut::new();
    build(&mut out);
    backend.send(&out).await
}

//! SCRAM-SHA-256 and its -PLUS, both sides, over stored verifiers and keys. In: SASL messages. Out: SASL messages, keys.
//! Never: I/O; whose verifier it is is not decided here. (RFC 5802, 7677, 5929.)

use std::{fmt, str::FromStr, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::sqlstate;

/// The mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism bound to the TLS channel.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// Iterations that PostgreSQL stores by default.
pub const DEFAULT_ITERATIONS: u32 = 4096;
/// More iterations than any server asks for in earnest; a hostile one could otherwise keep a core busy.
const MAX_ITERATIONS: u32 = 1_000_000;

type Key = [u8; 32];

/// A SASL exchange that cannot go on; all but the last two are faults of the peer's messages. The texts are PostgreSQL's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SaslError {
    /// A message that breaks the grammar of RFC 5802.
    #[error("malformed SCRAM message")]
    Malformed(&'static str),
    /// A nonce of bytes that RFC 5802 does not allow.
    #[error("non-printable characters in SCRAM nonce")]
    Nonce,
    /// A mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// Channel binding that does not fit what was offered, or the channel.
    #[error("{0}")]
    ChannelBinding(&'static str),
    /// Something of RFC 5802 that PostgreSQL does not have either.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The server could not prove that it knows the verifier.
    #[error("incorrect server signature")]
    ServerSignature,
    /// The server refused the proof.
    #[error("server reported error \"{0}\"")]
    Refused(String),
}

impl SaslError {
    /// The SQLSTATE that PostgreSQL refuses a client with.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Unsupported(_) => sqlstate::FEATURE_NOT_SUPPORTED,
            Self::ChannelBinding(_) => sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
            _ => sqlstate::PROTOCOL_VIOLATION,
        }
    }

    /// What was found, where the text does not say it.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        if let Self::Malformed(what) = self { Some(what) } else { None }
    }
}

/// A text that is not a SCRAM-SHA-256 verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a SCRAM-SHA-256 verifier")]
pub struct NotAVerifier;

/// What a server stores: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// Its salt.
    pub salt: Vec<u8>,
    /// H(ClientKey).
    pub stored_key: [u8; 32],
    /// HMAC(SaltedPassword, "Server Key").
    pub server_key: [u8; 32],
}

impl ScramVerifier {
    /// Hashes `password` as PostgreSQL does: SASLprep, or the bytes as they are where that refuses them.
    #[must_use]
    pub fn from_password(password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password, salt, iterations);
        let stored_key = hash(&hmac(&salted, &[b"Client Key"]));
        Self { iterations, salt: salt.to_vec(), stored_key, server_key: hmac(&salted, &[b"Server Key"]) }
    }

    /// The same with a fresh salt of 16 bytes and [`DEFAULT_ITERATIONS`].
    #[must_use]
    pub fn random(password: &str) -> Self {
        Self::from_password(password, &rand::random::<[u8; 16]>(), DEFAULT_ITERATIONS)
    }

    /// What is shown for a role that does not exist: the same salt each time, and no password fits. The salt hangs on a
    /// secret of this process.
    #[must_use]
    pub fn mock(user: &str) -> Self {
        static NONCE: OnceLock<Key> = OnceLock::new();
        let nonce = NONCE.get_or_init(rand::random::<Key>);
        let salt = hmac(nonce, &[b"salt", user.as_bytes()]).iter().copied().take(16).collect();
        Self { iterations: DEFAULT_ITERATIONS, salt, stored_key: rand::random(), server_key: rand::random() }
    }

    /// Whether `password` is the one; hashes `iterations` times.
    #[must_use]
    pub fn matches(&self, password: &str) -> bool {
        let salted = salted_password(password, &self.salt, self.iterations);
        hash(&hmac(&salted, &[b"Client Key"])).ct_eq(&self.stored_key).into()
    }
}

impl fmt::Display for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [self.salt.as_slice(), &self.stored_key, &self.server_key].map(|part| BASE64.encode(part));
        write!(f, "{SCRAM_SHA_256}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier(…)")
    }
}

impl FromStr for ScramVerifier {
    type Err = NotAVerifier;

    fn from_str(text: &str) -> Result<Self, NotAVerifier> {
        parse_verifier(text).ok_or(NotAVerifier)
    }
}

fn parse_verifier(text: &str) -> Option<ScramVerifier> {
    let (parameters, keys) = text.strip_prefix(SCRAM_SHA_256)?.strip_prefix('$')?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let iterations = iterations.parse().ok().filter(|count| (1..=MAX_ITERATIONS).contains(count))?;
    let salt = BASE64.decode(salt).ok()?;
    Some(ScramVerifier { iterations, salt, stored_key: decode_key(stored)?, server_key: decode_key(server)? })
}

fn decode_key(text: &str) -> Option<Key> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// The server's side, before the client's first message.
#[derive(Debug, Clone)]
pub struct ScramServer {
    verifier: ScramVerifier,
    end_point: Option<Vec<u8>>,
    nonce: String,
}

/// The server's side, between its first message and the client's last.
#[derive(Debug, Clone)]
pub struct ScramExchange {
    verifier: ScramVerifier,
    binding: Vec<u8>,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

/// A client that has proved it knows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramSuccess {
    /// The server's last message, which proves the server to the client.
    pub message: String,
    /// The client's key: whoever has it can log in wherever the same verifier is stored.
    pub client_key: [u8; 32],
}

impl fmt::Debug for ScramSuccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramSuccess(…)")
    }
}

impl ScramServer {
    /// Serves one login against `verifier`; `end_point` is the channel's `tls-server-end-point`, if there is one.
    #[must_use]
    pub fn new(verifier: ScramVerifier, end_point: Option<Vec<u8>>) -> Self {
        Self { verifier, end_point, nonce: nonce() }
    }

    /// The mechanisms to offer, the stronger first.
    #[must_use]
    pub fn mechanisms(&self) -> &'static [&'static str] {
        if self.end_point.is_some() { &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256] } else { &[SCRAM_SHA_256] }
    }

    /// Takes the client's first message and makes the server's.
    ///
    /// # Errors
    /// [`SaslError`] (SQLSTATE 08P01, or 0A000 for what is not supported).
    pub fn first(self, mechanism: &[u8], message: &[u8]) -> Result<ScramExchange, SaslError> {
        let plus = self.choose(mechanism)?;
        let text = text_of(message)?;
        let (flag, rest) = text.split_once(',').ok_or(SaslError::Malformed("no channel binding flag"))?;
        let (authzid, bare) = rest.split_once(',').ok_or(SaslError::Malformed("no authorization identity"))?;
        let bound = self.check_flag(flag, plus)?;
        match authzid.as_bytes().first() {
            None => {}
            Some(b'a') => {
                return Err(SaslError::Unsupported("client uses authorization identity, but it is not supported"));
            }
            Some(_) => return Err(SaslError::Malformed("unexpected attribute where an identity may stand")),
        }
        let client_nonce = client_nonce(bare)?;
        let mut binding = format!("{flag},,").into_bytes();
        binding.extend_from_slice(bound);
        let nonce = format!("{client_nonce}{}", self.nonce);
        let server_first = format!("r={nonce},s={},i={}", BASE64.encode(&self.verifier.salt), self.verifier.iterations);
        Ok(ScramExchange { verifier: self.verifier, binding, nonce, client_first_bare: bare.to_owned(), server_first })
    }

    fn choose(&self, mechanism: &[u8]) -> Result<bool, SaslError> {
        let offered = self.mechanisms().iter().find(|offered| offered.as_bytes() == mechanism);
        offered.map(|offered| *offered == SCRAM_SHA_256_PLUS).ok_or(SaslError::Mechanism)
    }

    /// Checks the client's flag and returns the channel's bytes that its last message must repeat.
    fn check_flag(&self, flag: &str, plus: bool) -> Result<&[u8], SaslError> {
        match (flag, plus, self.end_point.as_deref()) {
            ("p=tls-server-end-point", true, Some(bytes)) => Ok(bytes),
            ("n", false, _) | ("y", false, None) => Ok(&[]),
            ("y", false, Some(_)) => Err(SaslError::ChannelBinding("SCRAM channel binding negotiation error")),
            ("n" | "y", true, _) => Err(SaslError::Malformed("SCRAM-SHA-256-PLUS without channel binding data")),
            _ if flag.starts_with("p=") => Err(SaslError::Malformed("channel binding that was not agreed on")),
            _ => Err(SaslError::Malformed("unexpected channel binding flag")),
        }
    }
}

/// A client's first message as text; what is no UTF-8 can stand in its nonce alone.
fn text_of(message: &[u8]) -> Result<&str, SaslError> {
    if message.contains(&0) {
        return Err(SaslError::Malformed("a NUL inside"));
    }
    std::str::from_utf8(message).or(Err(SaslError::Malformed("not UTF-8")))
}

fn client_nonce(bare: &str) -> Result<&str, SaslError> {
    let mut attributes = bare.split(',');
    match attributes.next() {
        Some(name) if name.starts_with("n=") => (),
        Some(name) if name.starts_with("m=") => {
            return Err(SaslError::Unsupported("client requires an unsupported SCRAM extension"));
        }
        _ => return Err(SaslError::Malformed("no user name")),
    }
    let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r=")).ok_or(SaslError::Malformed("no nonce"))?;
    // An empty one weakens its sender alone, and PostgreSQL takes it.
    if nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) { Ok(nonce) } else { Err(SaslError::Nonce) }
}

impl ScramExchange {
    /// The server's first message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's last message; `None` when its proof is wrong.
    ///
    /// # Errors
    /// [`SaslError`] (SQLSTATE 08P01).
    pub fn finish(self, message: &[u8]) -> Result<Option<ScramSuccess>, SaslError> {
        let text = std::str::from_utf8(message).or(Err(SaslError::Malformed("not UTF-8")))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(SaslError::Malformed("no proof"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c="));
        let binding = binding.ok_or(SaslError::Malformed("no channel binding"))?;
        if binding != BASE64.encode(&self.binding) {
            return Err(SaslError::ChannelBinding("SCRAM channel binding check failed"));
        }
        if attributes.next().and_then(|part| part.strip_prefix("r=")) != Some(self.nonce.as_str()) {
            return Err(SaslError::Malformed("nonce does not match"));
        }
        let proof = decode_key(proof).ok_or(SaslError::Malformed("malformed proof"))?;
        Ok(self.check(without_proof, proof))
    }

    fn check(&self, without_proof: &str, proof: Key) -> Option<ScramSuccess> {
        let message = [self.client_first_bare.as_str(), &self.server_first, without_proof].join(",");
        let client_key = xor(proof, hmac(&self.verifier.stored_key, &[message.as_bytes()]));
        let is_right: bool = hash(&client_key).ct_eq(&self.verifier.stored_key).into();
        let signature = hmac(&self.verifier.server_key, &[message.as_bytes()]);
        is_right.then(|| ScramSuccess { message: format!("v={}", BASE64.encode(signature)), client_key })
    }
}

/// What a SCRAM client proves itself with.
#[derive(Clone, Copy)]
pub enum ClientSecret<'a> {
    /// The password.
    Password(&'a str),
    /// Keys learnt from a login to the same verifier.
    Keys {
        /// The client's key.
        client_key: [u8; 32],
        /// The server's key.
        server_key: [u8; 32],
    },
}

/// The client's side of one login.
pub struct ScramClient<'a> {
    secret: ClientSecret<'a>,
    flag: &'static str,
    end_point: Vec<u8>,
    nonce: String,
}

/// The client's side after its proof.
pub struct ScramProof {
    message: String,
    signature: Key,
}

impl<'a> ScramClient<'a> {
    /// Starts a login. `end_point`: the channel's `tls-server-end-point` when the server offered -PLUS and it is known.
    /// `could_bind`: it is known, whether offered or not.
    #[must_use]
    pub fn new(secret: ClientSecret<'a>, end_point: Option<Vec<u8>>, could_bind: bool) -> Self {
        let flag = match (&end_point, could_bind) {
            (Some(_), _) => "p=tls-server-end-point",
            (None, true) => "y",
            (None, false) => "n",
        };
        Self { secret, flag, end_point: end_point.unwrap_or_default(), nonce: nonce() }
    }

    /// The mechanism that this login uses.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        if self.flag.starts_with('p') { SCRAM_SHA_256_PLUS } else { SCRAM_SHA_256 }
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// The client's first message.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{},,{}", self.flag, self.bare())
    }

    /// Takes the server's first message and makes the proof; hashes as often as the server asks.
    ///
    /// # Errors
    /// [`SaslError::Malformed`].
    pub fn prove(self, server_first: &[u8]) -> Result<ScramProof, SaslError> {
        let text = std::str::from_utf8(server_first).or(Err(SaslError::Malformed("not UTF-8")))?;
        let (nonce, salt, iterations) = self.server_first(text)?;
        let (client_key, server_key) = match self.secret {
            ClientSecret::Keys { client_key, server_key } => (client_key, server_key),
            ClientSecret::Password(password) => {
                let salted = salted_password(password, &salt, iterations);
                (hmac(&salted, &[b"Client Key"]), hmac(&salted, &[b"Server Key"]))
            }
        };
        let mut binding = format!("{},,", self.flag).into_bytes();
        binding.extend_from_slice(&self.end_point);
        let without_proof = format!("c={},r={nonce}", BASE64.encode(binding));
        let auth = [self.bare().as_str(), text, &without_proof].join(",");
        let proof = xor(client_key, hmac(&hash(&client_key), &[auth.as_bytes()]));
        let message = format!("{without_proof},p={}", BASE64.encode(proof));
        Ok(ScramProof { message, signature: hmac(&server_key, &[auth.as_bytes()]) })
    }

    fn server_first<'t>(&self, text: &'t str) -> Result<(&'t str, Vec<u8>, u32), SaslError> {
        let mut attributes = text.split(',');
        let mut next = |prefix| attributes.next().and_then(|part: &str| part.strip_prefix(prefix));
        let nonce = next("r=").filter(|nonce| nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce));
        let nonce = nonce.ok_or(SaslError::Malformed("nonce does not match"))?;
        let salt = next("s=").and_then(|salt| BASE64.decode(salt).ok()).ok_or(SaslError::Malformed("no salt"))?;
        let iterations = next("i=").and_then(|count| count.parse().ok());
        let iterations = iterations.filter(|count| (1..=MAX_ITERATIONS).contains(count));
        Ok((nonce, salt, iterations.ok_or(SaslError::Malformed("no iteration count"))?))
    }
}

impl ScramProof {
    /// The client's last message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Checks the server's last message: only a server that has the verifier can sign.
    ///
    /// # Errors
    /// [`SaslError::ServerSignature`], [`SaslError::Refused`], [`SaslError::Malformed`].
    pub fn verify(&self, server_final: &[u8]) -> Result<(), SaslError> {
        let text = std::str::from_utf8(server_final).or(Err(SaslError::Malformed("not UTF-8")))?;
        if let Some(error) = text.strip_prefix("e=") {
            return Err(SaslError::Refused(error.to_owned()));
        }
        let signature = text.strip_prefix("v=").and_then(|rest| rest.split(',').next()).and_then(decode_key);
        let signature = signature.ok_or(SaslError::Malformed("no server signature"))?;
        if signature.ct_eq(&self.signature).into() { Ok(()) } else { Err(SaslError::ServerSignature) }
    }
}

fn nonce() -> String {
    BASE64.encode(rand::random::<[u8; 18]>())
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn hash(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

fn xor(mut left: Key, right: Key) -> Key {
    left.iter_mut().zip(right).for_each(|(left, right)| *left ^= right);
    left
}

/// PBKDF2 with HMAC-SHA-256 and one block of output: Hi() of RFC 5802.
fn salted_password(password: &str, salt: &[u8], iterations: u32) -> Key {
    let prepared = stringprep::saslprep(password);
    let password = prepared.as_deref().unwrap_or(password).as_bytes();
    let keyed = keyed(password);
    let round = |parts: &[&[u8]]| -> Key {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &[0, 0, 0, 1]]);
    let mut sum = last;
    for _ in 1..iterations {
        last = round(&[&last]);
        sum = xor(sum, last);
    }
    sum
}

#[cfg(test)]
mod tests;

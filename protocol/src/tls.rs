//! TLS: certificates and keys on disk → configurations for rustls, towards clients and towards servers.
//! In: paths and modes. Out: configurations. Never: opens a connection. (Crypto provider: ring. ALPN: `postgresql`.)

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::certificate;

/// The name by which PostgreSQL is asked for in a TLS hello.
pub const ALPN: &[u8] = b"postgresql";

/// How a server is asked for TLS, as libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server has it; not verified.
    #[default]
    Prefer,
    /// Always; not verified.
    Require,
    /// Always, with a certificate that a known authority signed.
    VerifyCa,
    /// Always, with a certificate that a known authority signed for this host.
    VerifyFull,
}

/// What kept a TLS configuration from being built.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file could not be read as PEM.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Verification was asked for and no authority is known.
    #[error("certificates are to be verified, but no CA file is given")]
    NoAuthority,
    /// rustls refuses certificate, key or authority.
    #[error("{0}")]
    Config(String),
}

/// What a listener serves TLS with.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The configuration.
    pub config: Arc<ServerConfig>,
    /// Channel binding of its certificate (`tls-server-end-point`), where one is defined.
    pub end_point: Option<Vec<u8>>,
}

/// Loads what a listener serves TLS with. With `client_ca` a client may show a certificate; with `client_required` it
/// must.
///
/// # Errors
/// [`TlsError`], naming the file.
pub fn server_config(
    cert: &Path,
    key: &Path,
    client_ca: Option<&Path>,
    client_required: bool,
) -> Result<Arc<ServerTls>, TlsError> {
    let (chain, key) = (certificates(cert)?, private_key(key)?);
    let end_point = chain.first().and_then(|certificate| certificate::end_point(certificate));
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(config)?;
    let builder = match client_ca {
        None if client_required => return Err(TlsError::NoAuthority),
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider());
            let verifier = if client_required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| TlsError::Config(error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(self::config)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(ServerTls { config: Arc::new(config), end_point }))
}

/// Loads what a server is called with; `None` for [`TlsMode::Disable`]. `identity`: certificate and key to show.
///
/// # Errors
/// [`TlsError`], naming the file; [`TlsError::NoAuthority`] when `mode` verifies and `ca` is not given.
pub fn client_config(
    mode: TlsMode,
    ca: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let verifier = match mode {
        TlsMode::Disable => return Ok(None),
        TlsMode::Prefer | TlsMode::Require => Verifier { authority: None, checks_name: false },
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            let roots = authorities(ca.ok_or(TlsError::NoAuthority)?)?;
            let authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            let authority = authority.map_err(|error| TlsError::Config(error.to_string()))?;
            Verifier { authority: Some(authority), checks_name: mode == TlsMode::VerifyFull }
        }
    };
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(config)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            builder.with_client_auth_cert(certificates(cert)?, private_key(key)?).map_err(self::config)?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Some(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn config(error: rustls::Error) -> TlsError {
    TlsError::Config(error.to_string())
}

fn file(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: reason.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = std::fs::read(path).map_err(|error: io::Error| file(path, error))?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| file(path, error))?;
    if chain.is_empty() { Err(file(path, "no certificate in it")) } else { Ok(chain) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = std::fs::read(path).map_err(|error: io::Error| file(path, error))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| file(path, error))
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| file(path, error))?;
    }
    Ok(roots)
}

/// Verifies a server as the mode says. The handshake's signature is verified in every mode.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is verified before the name is.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &ring::default_provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &ring::default_provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

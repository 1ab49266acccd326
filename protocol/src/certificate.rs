//! Certificates: the two facts pgring needs of one, read from its DER. In: bytes of an X.509 certificate.
//! Out: the subject's common name, the hash for channel binding. Never: verifies anything; rustls does.

use sha2::{Digest, Sha256, Sha384, Sha512};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const VERSION: u8 = 0xa0;

/// One element of DER: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |length, octet| (length << 8) | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Content and rest of the next element, which must have this tag.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The last common name of the subject, as `cert` authentication compares it; `None` without one, or with a NUL in it.
#[must_use]
pub fn common_name(der: &[u8]) -> Option<String> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (mut tbs, _) = expect(SEQUENCE, certificate)?;
    if let Some((_, rest)) = expect(VERSION, tbs) {
        tbs = rest;
    }
    // serialNumber, signature, issuer, validity stand before the subject
    for _ in 0..4 {
        tbs = element(tbs)?.2;
    }
    let (mut names, _) = expect(SEQUENCE, tbs)?;
    let mut found = None;
    while let Some((mut set, rest)) = expect(SET, names) {
        while let Some((pair, next)) = expect(SEQUENCE, set) {
            found = name_of(pair).or(found);
            set = next;
        }
        names = rest;
    }
    found.filter(|name| !name.is_empty() && !name.contains('\0'))
}

/// The value of an attribute when its type is commonName (2.5.4.3).
fn name_of(pair: &[u8]) -> Option<String> {
    let (oid, value) = expect(OID, pair)?;
    let (tag, text, _) = element(value)?;
    // UTF8String, PrintableString, TeletexString, IA5String
    let is_text = matches!(tag, 0x0c | 0x13 | 0x14 | 0x16);
    (oid == [0x55, 0x04, 0x03] && is_text).then(|| String::from_utf8(text.to_vec()).ok()).flatten()
}

/// `tls-server-end-point` (RFC 5929): the certificate under the hash of its signature, SHA-256 in place of MD5 and SHA-1.
/// `None` where the RFC defines none, as for Ed25519: then nothing is bound.
#[must_use]
pub fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (_, rest) = expect(SEQUENCE, certificate)?;
    let (algorithm, _) = expect(SEQUENCE, rest)?;
    let (oid, parameters) = expect(OID, algorithm)?;
    match oid {
        // RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, kind] => match kind {
            4 | 5 | 11 => Some(Sha256::digest(der).to_vec()),
            12 => Some(Sha384::digest(der).to_vec()),
            13 => Some(Sha512::digest(der).to_vec()),
            10 => pss(der, parameters),
            _ => None,
        },
        // ECDSA with SHA-1
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Some(Sha256::digest(der).to_vec()),
        // ECDSA with SHA-256, SHA-384, SHA-512
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, kind] => hashed(der, kind.saturating_sub(1)),
        _ => None,
    }
}

/// RSASSA-PSS names its hash in its parameters: `[0]` { AlgorithmIdentifier }.
fn pss(der: &[u8], parameters: &[u8]) -> Option<Vec<u8>> {
    let (fields, _) = expect(SEQUENCE, parameters)?;
    let (hash, _) = expect(0xa0, fields)?;
    let (oid, _) = expect(OID, expect(SEQUENCE, hash)?.0)?;
    match oid {
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, kind] => hashed(der, *kind),
        _ => None,
    }
}

/// 1 SHA-256, 2 SHA-384, 3 SHA-512, as the hashes' own identifiers count.
fn hashed(der: &[u8], kind: u8) -> Option<Vec<u8>> {
    match kind {
        1 => Some(Sha256::digest(der).to_vec()),
        2 => Some(Sha384::digest(der).to_vec()),
        3 => Some(Sha512::digest(der).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256, Sha384};

    use super::{common_name, end_point};

    fn certificate(name: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "pgring");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_common_name_is_found() {
        let der = certificate("app", &rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(common_name(&der).as_deref(), Some("app"));
    }

    #[test]
    fn the_end_point_is_hashed_as_the_signature_is() {
        let der = certificate("a", &rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&der), Some(Sha256::digest(&der).to_vec()));
        let der = certificate("a", &rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(end_point(&der), Some(Sha384::digest(&der).to_vec()));
        assert_eq!(end_point(&certificate("a", &rcgen::PKCS_ED25519)), None);
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_is_read_without_panic(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
            let mut der = certificate("app", &rcgen::PKCS_ECDSA_P256_SHA256);
            let at = at.index(der.len());
            der[at] = byte;
            let _ = common_name(&der);
            let _ = end_point(&der[..cut.index(der.len())]);
        }
    }
}

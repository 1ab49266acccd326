//! Both sides against each other, against another implementation and against the RFC's example.

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use proptest::prelude::*;

use super::*;

const SALT: [u8; 16] = [3; 16];

fn verifier() -> ScramVerifier {
    ScramVerifier::from_password("secret", &SALT, 4096)
}

/// A whole login by another implementation of the client.
fn login(password: &str, server: ScramServer, binding: ChannelBinding, mechanism: &str) -> Option<ScramSuccess> {
    let mut client = ScramSha256::new(password.as_bytes(), binding);
    let exchange = server.first(mechanism.as_bytes(), client.message()).unwrap();
    client.update(exchange.message().as_bytes()).unwrap();
    let success = exchange.finish(client.message()).unwrap()?;
    client.finish(success.message.as_bytes()).unwrap();
    Some(success)
}

#[test]
fn the_example_of_rfc_7677_holds() {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let exchange = ScramExchange {
        verifier: ScramVerifier::from_password("pencil", &salt, 4096),
        binding: b"n,,".to_vec(),
        nonce: nonce.into(),
        client_first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".into(),
        server_first: format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
    };
    let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let success = exchange.finish(last.as_bytes()).unwrap().unwrap();
    assert_eq!(success.message, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn the_right_password_logs_in_and_yields_the_clients_key() {
    let success = login("secret", ScramServer::new(verifier(), None), ChannelBinding::unsupported(), SCRAM_SHA_256);
    assert_eq!(hash(&success.unwrap().client_key), verifier().stored_key);
}

#[test]
fn a_wrong_password_or_an_unknown_role_fails_in_the_same_way() {
    for verifier in [verifier(), ScramVerifier::mock("nobody")] {
        let server = ScramServer::new(verifier, None);
        assert_eq!(login("wrong", server, ChannelBinding::unsupported(), SCRAM_SHA_256), None);
    }
}

#[test]
fn an_unknown_role_shows_the_same_salt_each_time() {
    assert_eq!(ScramVerifier::mock("a").salt, ScramVerifier::mock("a").salt);
    assert_ne!(ScramVerifier::mock("a").salt, ScramVerifier::mock("b").salt);
    assert_eq!(ScramVerifier::mock("a").salt.len(), 16);
}

#[test]
fn the_channel_is_bound() {
    let server = || ScramServer::new(verifier(), Some(b"certificate".to_vec()));
    let bound = |data: &[u8]| ChannelBinding::tls_server_end_point(data.to_vec());
    assert!(login("secret", server(), bound(b"certificate"), SCRAM_SHA_256_PLUS).is_some());
    assert!(login("secret", server(), ChannelBinding::unsupported(), SCRAM_SHA_256).is_some());

    let mut client = ScramSha256::new(b"secret", bound(b"another"));
    let exchange = server().first(SCRAM_SHA_256_PLUS.as_bytes(), client.message()).unwrap();
    client.update(exchange.message().as_bytes()).unwrap();
    assert!(matches!(exchange.finish(client.message()), Err(SaslError::ChannelBinding(_))));

    // "y": the client could bind and believes that the server cannot: someone has taken -PLUS out of the offer.
    let first = server().first(SCRAM_SHA_256.as_bytes(), b"y,,n=,r=abc");
    assert!(matches!(first, Err(SaslError::ChannelBinding(_))));
}

#[test]
fn keys_log_in_where_the_same_verifier_is_stored_and_nowhere_else() {
    let server = ScramServer::new(verifier(), None);
    let client_key = login("secret", server, ChannelBinding::unsupported(), SCRAM_SHA_256).unwrap().client_key;
    let keys = ClientSecret::Keys { client_key, server_key: verifier().server_key };
    assert_eq!(own_login(keys, verifier(), None), Ok(true));
    assert_eq!(own_login(keys, verifier(), Some(b"certificate".to_vec())), Ok(true));
    assert_eq!(own_login(keys, ScramVerifier::from_password("secret", &[4; 16], 4096), None), Ok(false));
    assert_eq!(own_login(ClientSecret::Password("secret"), verifier(), None), Ok(true));
    assert_eq!(own_login(ClientSecret::Password("wrong"), verifier(), None), Ok(false));
}

/// A login by our own client.
fn own_login(secret: ClientSecret<'_>, verifier: ScramVerifier, end_point: Option<Vec<u8>>) -> Result<bool, SaslError> {
    let client = ScramClient::new(secret, end_point.clone(), end_point.is_some());
    let exchange =
        ScramServer::new(verifier, end_point).first(client.mechanism().as_bytes(), client.message().as_bytes())?;
    let proof = client.prove(exchange.message().as_bytes())?;
    match exchange.finish(proof.message().as_bytes())? {
        Some(success) => proof.verify(success.message.as_bytes()).map(|()| true),
        None => Ok(false),
    }
}

#[test]
fn a_server_that_does_not_know_the_verifier_is_found_out() {
    let client = ScramClient::new(ClientSecret::Password("secret"), None, false);
    let server = ScramServer::new(ScramVerifier { server_key: [0; 32], ..verifier() }, None);
    let exchange = server.first(client.mechanism().as_bytes(), client.message().as_bytes()).unwrap();
    let proof = client.prove(exchange.message().as_bytes()).unwrap();
    let success = exchange.finish(proof.message().as_bytes()).unwrap().unwrap();
    assert_eq!(proof.verify(success.message.as_bytes()), Err(SaslError::ServerSignature));
}

#[test]
fn a_server_cannot_ask_for_endless_hashing_or_another_nonce() {
    let client = || ScramClient::new(ClientSecret::Password("secret"), None, false);
    for text in ["r=other,s=AAAA,i=4096", "r=,s=AAAA,i=4096", ""] {
        assert!(client().prove(text.as_bytes()).is_err());
    }
    let client = client();
    let first = format!("r={}x,s=AAAA,i=4294967295", client.nonce);
    assert_eq!(client.prove(first.as_bytes()).err(), Some(SaslError::Malformed("no iteration count")));
}

#[test]
fn malformed_first_messages_are_refused() {
    let first =
        |mechanism: &str, message: &[u8]| ScramServer::new(verifier(), None).first(mechanism.as_bytes(), message);
    for message in
        [&b""[..], b"n", b"n,,", b"n,,n=", b"x,,n=,r=a", b"n,,r=a", b"n,,n=,r=\xff", b"n,b,n=,r=a", b"n,,n=,r=a\0b"]
    {
        assert!(matches!(first(SCRAM_SHA_256, message), Err(SaslError::Malformed(_))), "{message:?}");
    }
    assert!(matches!(first(SCRAM_SHA_256, b"n,a=x,n=,r=a"), Err(SaslError::Unsupported(_))));
    assert!(matches!(first(SCRAM_SHA_256, b"n,,m=x,n=,r=a"), Err(SaslError::Unsupported(_))));
    assert!(matches!(first(SCRAM_SHA_256, b"p=tls-unique,,n=,r=a"), Err(SaslError::Malformed(_))));
    assert_eq!(first(SCRAM_SHA_256, b"n,,n=,r=a b").err(), Some(SaslError::Nonce));
    assert!(first(SCRAM_SHA_256, b"n,,n=,r=").is_ok(), "PostgreSQL takes an empty nonce");
    assert_eq!(first(SCRAM_SHA_256_PLUS, b"n,,n=,r=a").err(), Some(SaslError::Mechanism));
}

#[test]
fn a_verifier_is_printed_as_postgresql_stores_it() {
    let text = verifier().to_string();
    assert!(text.starts_with("SCRAM-SHA-256$4096:AwMDAwMDAwMDAwMDAwMDAw==$"));
    assert_eq!(text.parse(), Ok(verifier()));
    for broken in ["", "SCRAM-SHA-256", "SCRAM-SHA-256$0:AA==$AA==:AA==", "md5abc", &text[..text.len() - 4]] {
        assert_eq!(broken.parse::<ScramVerifier>(), Err(NotAVerifier), "{broken}");
    }
    assert!(verifier().matches("secret") && !verifier().matches("Secret"));
}

proptest! {
    #[test]
    fn any_messages_are_read_without_panic(text in "[nyp=,rsicv,a-c0-9/+]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        for message in [text.as_bytes(), &bytes] {
            let server = ScramServer::new(verifier_of_zeros(), None);
            let _ = server.clone().first(SCRAM_SHA_256.as_bytes(), message);
            let exchange = server.first(SCRAM_SHA_256.as_bytes(), b"n,,n=,r=a").unwrap();
            prop_assert!(!matches!(exchange.finish(message), Ok(Some(_))));
            let _ = ScramClient::new(ClientSecret::Password(""), None, false).prove(message);
            let proof = ScramProof { message: String::new(), signature: [0; 32] };
            prop_assert!(proof.verify(message).is_err());
        }
    }
}

fn verifier_of_zeros() -> ScramVerifier {
    ScramVerifier { iterations: 1, salt: vec![0], stored_key: [0; 32], server_key: [0; 32] }
}

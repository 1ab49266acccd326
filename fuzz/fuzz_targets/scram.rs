//! SCRAM: no message of either side panics, and none but the right proof lets anyone in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgring_protocol::sasl::{ClientSecret, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramClient, ScramServer, ScramVerifier};

fn verifier() -> ScramVerifier {
    ScramVerifier { iterations: 1, salt: vec![7; 16], stored_key: [1; 32], server_key: [2; 32] }
}

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (choice, first, last) = input;
    if let Ok(text) = std::str::from_utf8(first) {
        let _ = text.parse::<ScramVerifier>();
    }
    let end_point = (choice & 1 == 1).then(|| b"certificate".to_vec());
    let mechanism = if choice & 2 == 2 { SCRAM_SHA_256_PLUS } else { SCRAM_SHA_256 };
    let server = ScramServer::new(verifier(), end_point.clone());
    if let Ok(exchange) = server.first(mechanism.as_bytes(), first) {
        assert!(!matches!(exchange.finish(last), Ok(Some(_))), "let in without the key");
    }
    let exchange = ScramServer::new(verifier(), None).first(SCRAM_SHA_256.as_bytes(), b"n,,n=,r=abc");
    assert!(!matches!(exchange.expect("a first message").finish(last), Ok(Some(_))), "let in without the key");
    let keys = ClientSecret::Keys { client_key: [3; 32], server_key: [4; 32] };
    let client = ScramClient::new(keys, end_point, choice & 4 == 4);
    if let Ok(proof) = client.prove(first) {
        assert!(proof.verify(last).is_err(), "a server without the verifier was believed");
    }
});

//! The first packets of a client: each rule of the startup phase, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod kit;

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use kit::{Certificates, visit};
use pgring_protocol::{
    frame,
    frontend::{GreetError, GreetOptions, Greeting, Startup, greet},
    message::{
        notice::Fields,
        startup::{cancel_request, gssenc_request, ssl_request, startup},
    },
    tls::{TlsMode, client_config},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

const AT_ONCE: Duration = Duration::from_secs(5);

fn packet(minor: u16, parameters: &[(&str, &str)]) -> BytesMut {
    let mut out = BytesMut::new();
    startup(&mut out, minor, parameters.iter().copied()).unwrap();
    out
}

fn hello() -> BytesMut {
    packet(0, &[("user", "app"), ("database", "shop")])
}

fn ssl() -> BytesMut {
    let mut out = BytesMut::new();
    ssl_request(&mut out);
    out
}

fn gssenc() -> BytesMut {
    let mut out = BytesMut::new();
    gssenc_request(&mut out);
    out
}

/// Sends `bytes` at once and returns what the greeter makes of them, and all that the client then reads.
async fn outcome(options: GreetOptions, bytes: &[u8]) -> (Result<Greeting, GreetError>, Vec<u8>) {
    let (mut client, greeting) = visit(options).await;
    client.write_all(bytes).await.unwrap();
    let greeting = timeout(AT_ONCE, greeting).await.expect("decides at once").unwrap();
    let mut answer = Vec::new();
    if greeting.is_err() {
        let _ = timeout(AT_ONCE, client.read_to_end(&mut answer)).await.expect("closed at once");
    }
    (greeting, answer)
}

fn session(greeting: Result<Greeting, GreetError>) -> Startup {
    match greeting.unwrap() {
        Greeting::Startup(startup) => startup,
        other => panic!("{other:?}"),
    }
}

/// The one FATAL that `answer` holds.
fn fatal(answer: &[u8]) -> Fields {
    let head = frame::complete(answer, 10_000).unwrap().unwrap();
    assert_eq!((head.kind, head.len), (b'E', answer.len()));
    let fields = Fields::parse(frame::body(answer, head)).unwrap();
    assert_eq!((fields.get(b'S'), fields.get(b'V')), (Some("FATAL"), Some("FATAL")));
    assert!(!fields.message().is_empty());
    fields
}

#[tokio::test]
async fn a_session_is_asked_for_and_what_follows_is_kept() {
    let bytes = [&hello()[..], b"Q\0\0\0\x05\0"].concat();
    let startup = session(outcome(GreetOptions::default(), &bytes).await.0);
    assert_eq!((startup.user(), startup.database(), startup.minor), ("app", "shop", 0));
    assert_eq!(&startup.buffer[..], b"Q\0\0\0\x05\0");
    assert_eq!(startup.tls, None);
}

#[tokio::test]
async fn the_database_is_the_roles_name_when_none_is_given() {
    let startup = session(outcome(GreetOptions::default(), &packet(0, &[("user", "app")])).await.0);
    assert_eq!(startup.database(), "app");
}

#[tokio::test]
async fn a_packet_that_comes_byte_by_byte_works() {
    let (mut client, greeting) = visit(GreetOptions::default()).await;
    for byte in hello() {
        client.write_all(&[byte]).await.unwrap();
        client.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(session(greeting.await.unwrap()).user(), "app");
}

#[tokio::test]
async fn a_packet_split_at_any_byte_works_through_a_pipe() {
    let bytes = hello();
    for cut in 0..bytes.len() {
        let (mut client, server) = tokio::io::duplex(1024);
        let greeting = tokio::spawn(async move { greet(server, &GreetOptions::default()).await });
        client.write_all(&bytes[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(&bytes[cut..]).await.unwrap();
        assert_eq!(session(greeting.await.unwrap()).database(), "shop");
    }
}

#[tokio::test]
async fn what_is_no_startup_packet_is_closed_at_once_and_unanswered() {
    let long = [&10_001_u32.to_be_bytes()[..], &[0; 4]].concat();
    let tls_hello = [0x16, 3, 1, 2, 0, 1];
    for bytes in [&long[..], b"GET / HTTP/1.1\r\n", b"G", &tls_hello, &[0, 0, 0, 7], &[0xff; 8]] {
        let (greeting, answer) = outcome(GreetOptions::default(), bytes).await;
        assert!(matches!(greeting, Err(GreetError::NotAStartup)), "{bytes:?}");
        assert_eq!(answer, b"");
    }
}

#[tokio::test]
async fn a_packet_of_the_longest_size_is_taken() {
    let filler = "x".repeat(10_000 - 8 - "user\0app\0a\0\0\0".len());
    let bytes = packet(0, &[("user", "app"), ("a", &filler)]);
    assert_eq!(bytes.len(), 10_000);
    assert_eq!(session(outcome(GreetOptions::default(), &bytes).await.0).get("a"), Some(filler.as_str()));
}

#[tokio::test]
async fn without_tls_requests_for_encryption_are_answered_no_once_each() {
    let (mut client, greeting) = visit(GreetOptions::default()).await;
    for request in [gssenc(), ssl()] {
        client.write_all(&request).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'N');
    }
    client.write_all(&hello()).await.unwrap();
    assert_eq!(session(greeting.await.unwrap()).user(), "app");

    let (mut client, greeting) = visit(GreetOptions::default()).await;
    client.write_all(&ssl()).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'N');
    client.write_all(&ssl()).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(fatal(&answer).code(), "08P01");
    assert!(matches!(greeting.await.unwrap(), Err(GreetError::Repeated("SSL"))));
}

#[tokio::test]
async fn bytes_sent_together_with_a_request_for_encryption_end_the_session() {
    let certificates = Certificates::make();
    for tls in [None, Some(certificates.server())] {
        for request in [ssl(), gssenc()] {
            let options = GreetOptions { tls: tls.clone(), ..GreetOptions::default() };
            let (greeting, answer) = outcome(options, &[&request[..], &hello()].concat()).await;
            assert!(matches!(greeting, Err(GreetError::EarlyData(_))));
            // Encryption that is not to be had is refused first, as PostgreSQL does.
            assert_eq!(fatal(answer.strip_prefix(b"N").unwrap_or(&answer)).code(), "08P01");
        }
    }
}

#[tokio::test]
async fn a_cancel_request_is_read_with_a_long_key_too() {
    for length in [4, 256] {
        let mut out = BytesMut::new();
        cancel_request(&mut out, 77, &vec![9; length]);
        match outcome(GreetOptions::default(), &out).await.0.unwrap() {
            Greeting::Cancel { pid, secret } => assert_eq!((pid, secret), (77, vec![9; length])),
            other => panic!("{other:?}"),
        }
    }
    for length in [0, 257] {
        let mut out = BytesMut::new();
        cancel_request(&mut out, 77, &vec![9; length]);
        let (greeting, answer) = outcome(GreetOptions::default(), &out).await;
        assert!(matches!(greeting, Err(GreetError::NotAStartup)) && answer.is_empty());
    }
}

#[tokio::test]
async fn versions_and_options_are_negotiated() {
    for (asked, spoken, negotiated) in [(0, 0, false), (1, 0, true), (2, 2, false), (3, 2, true), (9999, 2, true)] {
        let (mut client, greeting) = visit(GreetOptions::default()).await;
        client.write_all(&packet(asked, &[("user", "app")])).await.unwrap();
        let startup = session(greeting.await.unwrap());
        assert_eq!(startup.minor, spoken);
        drop(startup);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let expected = [&b"v\0\0\0\x0c\0\x03"[..], &spoken.to_be_bytes(), &[0; 4]].concat();
        assert_eq!(answer, if negotiated { expected } else { Vec::new() });
    }

    let (mut client, greeting) = visit(GreetOptions::default()).await;
    client.write_all(&packet(0, &[("user", "app"), ("_pq_.x", "1")])).await.unwrap();
    let startup = session(greeting.await.unwrap());
    assert_eq!(startup.parameters, [("user".to_owned(), "app".to_owned())]);
    drop(startup);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0");
}

#[tokio::test]
async fn another_major_version_is_refused_with_its_text() {
    for version in [[0, 2, 0, 0], [0, 4, 0, 1]] {
        let (greeting, answer) = outcome(GreetOptions::default(), &[&[0, 0, 0, 9], &version[..], &[0]].concat()).await;
        assert!(matches!(greeting, Err(GreetError::Version { .. })));
        let fields = fatal(&answer);
        assert_eq!(fields.code(), "0A000");
        assert!(fields.message().starts_with("unsupported frontend protocol "), "{fields}");
    }
}

#[tokio::test]
async fn a_packet_without_a_role_or_with_broken_parameters_is_refused() {
    for (bytes, code) in [
        (packet(0, &[("database", "shop")]), "28000"),
        (packet(0, &[("user", "")]), "28000"),
        (BytesMut::from(&b"\0\0\0\x0d\0\x03\0\0user\0"[..]), "08P01"),
    ] {
        let (greeting, answer) = outcome(GreetOptions::default(), &bytes).await;
        assert!(greeting.is_err());
        assert_eq!(fatal(&answer).code(), code);
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_no_fault() {
    let (client, greeting) = visit(GreetOptions::default()).await;
    drop(client);
    assert!(matches!(greeting.await.unwrap(), Err(GreetError::Closed)));
}

async fn connect_tls(
    client: TcpStream,
    certificates: &Certificates,
    shows_certificate: bool,
    alpn: bool,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let (cert, key) = (certificates.path("client.crt"), certificates.path("client.key"));
    let identity = shows_certificate.then_some((cert.as_path(), key.as_path()));
    let ca = certificates.path("ca.crt");
    let mut config = Arc::unwrap_or_clone(client_config(TlsMode::VerifyFull, Some(&ca), identity).unwrap().unwrap());
    if !alpn {
        config.alpn_protocols.clear();
    }
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, client).await.unwrap()
}

#[tokio::test]
async fn tls_is_served_and_tells_who_the_client_is() {
    let certificates = Certificates::make();
    let options = GreetOptions { tls: Some(certificates.server()), tls_required: true, ..GreetOptions::default() };
    for (shows_certificate, name) in [(true, Some("app")), (false, None)] {
        let (mut client, greeting) = visit(options.clone()).await;
        client.write_all(&ssl()).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'S');
        let mut client = connect_tls(client, &certificates, shows_certificate, true).await;
        client.write_all(&hello()).await.unwrap();
        let startup = session(greeting.await.unwrap());
        let facts = startup.tls.as_ref().unwrap();
        assert_eq!((facts.common_name.as_deref(), facts.has_certificate), (name, shows_certificate));
        assert_eq!((facts.version, facts.is_direct), (Some("TLSv1.3"), false));
        assert!(startup.stream.is_tls());
    }
}

#[tokio::test]
async fn tls_may_be_opened_at_once_by_who_names_the_protocol() {
    let certificates = Certificates::make();
    let options = GreetOptions { tls: Some(certificates.server()), ..GreetOptions::default() };
    let (client, greeting) = visit(options.clone()).await;
    let mut client = connect_tls(client, &certificates, false, true).await;
    client.write_all(&hello()).await.unwrap();
    assert!(session(greeting.await.unwrap()).tls.unwrap().is_direct);

    let (client, greeting) = visit(options).await;
    let _client = connect_tls(client, &certificates, false, false).await;
    assert!(matches!(greeting.await.unwrap(), Err(GreetError::NotAStartup)));
}

#[tokio::test]
async fn where_tls_is_required_a_session_in_clear_is_refused() {
    let certificates = Certificates::make();
    let options = GreetOptions { tls: Some(certificates.server()), tls_required: true, ..GreetOptions::default() };
    let (greeting, answer) = outcome(options, &hello()).await;
    assert!(matches!(greeting, Err(GreetError::TlsRequired)));
    assert_eq!(fatal(&answer).code(), "28000");
}

#[tokio::test]
async fn over_a_unix_socket_tls_is_neither_served_nor_required() {
    let certificates = Certificates::make();
    let options = GreetOptions { tls: Some(certificates.server()), tls_required: true, ..GreetOptions::default() };
    let (mut client, server) = tokio::net::UnixStream::pair().unwrap();
    let greeting = tokio::spawn(async move { greet(server, &options).await });
    client.write_all(&ssl()).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'N');
    client.write_all(&hello()).await.unwrap();
    assert_eq!(session(greeting.await.unwrap()).user(), "app");
}

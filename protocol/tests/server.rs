//! Logging in to a real PostgreSQL by every method, TLS as asked for, cancelling, and standing between psql and it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod kit;

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    process::Stdio,
    time::Duration,
};

use bytes::{Buf, BytesMut};
use kit::{Certificates, visit};
use pgring_local_postgres::{Binaries, Server, ServerOptions};
use pgring_protocol::{
    backend::{Address, Backend, BackendError, Login, Target, connect},
    cancel,
    credentials::{Credentials, Secret, StoredSecret},
    frame,
    frontend::{AuthError, GreetOptions, Greeting, Method, authenticate, greet},
    md5::md5_hash,
    message::{
        build,
        notice::Fields,
        result::{self, columns},
        startup::startup,
    },
    quote::{identifier, literal},
    sasl::ScramVerifier,
    tls::{TlsMode, client_config},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::TcpListener,
};

const PATIENCE: Duration = Duration::from_secs(20);
const METHODS: [&str; 4] = ["trust", "password", "md5", "scram-sha-256"];

/// A server with one role for each method, named after it, all with the password `secret`; `tls_only` must use TLS.
fn server(certificates: &Certificates) -> Server {
    let mut server = Server::start(&Binaries::find().unwrap(), ServerOptions::default().database("app")).unwrap();
    let folder = server.folder().to_owned();
    let owner = fs::metadata(&folder).unwrap();
    let mut rules = "local all all scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n".to_owned();
    rules += "hostssl all tls_only 127.0.0.1/32 scram-sha-256\n";
    for method in METHODS {
        rules += &format!("host all \"{method}\" 127.0.0.1/32 {method}\n");
    }
    fs::write(folder.join("rules.conf"), rules).unwrap();
    for file in ["server.crt", "server.key"] {
        fs::copy(certificates.path(file), folder.join(file)).unwrap();
    }
    for file in ["server.crt", "server.key", "rules.conf"] {
        let path = folder.join(file);
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    server.set("hba_file", folder.join("rules.conf").display());
    server.set("ssl", "on");
    server.set("ssl_cert_file", folder.join("server.crt").display());
    server.set("ssl_key_file", folder.join("server.key").display());
    server.restart().unwrap();
    server
}

async fn make_roles(server: &Server) {
    let mut backend = connect(&target(server), &login("postgres", Credentials::None)).await.unwrap();
    for name in METHODS.iter().chain(&["tls_only"]) {
        let stored = if *name == "md5" { "md5" } else { "scram-sha-256" };
        let set = format!("SET password_encryption = '{stored}'");
        query(&mut backend, &set).await.unwrap();
        query(&mut backend, &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret'")).await.unwrap();
    }
}

fn target(server: &Server) -> Target {
    let address = Address::Tcp { host: server.host().to_owned(), port: server.port() };
    Target { address, tls: TlsMode::Disable, tls_config: None, connect_timeout: PATIENCE }
}

fn tls_target(server: &Server, host: &str, mode: TlsMode, certificates: &Certificates) -> Target {
    let address = Address::Tcp { host: host.to_owned(), port: server.port() };
    let tls_config = client_config(mode, Some(&certificates.path("ca.crt")), None).unwrap();
    Target { address, tls: mode, tls_config, connect_timeout: PATIENCE }
}

fn login(user: &str, credentials: Credentials) -> Login {
    let parameters = vec![("application_name".to_owned(), "kit".to_owned())];
    Login { user: user.to_owned(), database: "app".to_owned(), credentials, parameters }
}

fn password(text: &str) -> Credentials {
    Credentials::Password(text.to_owned())
}

/// Runs one simple query and returns its first value.
async fn query(backend: &mut Backend, sql: &str) -> Result<Option<String>, Fields> {
    let mut out = BytesMut::new();
    build::query(&mut out, sql);
    backend.stream.write_all(&out).await.unwrap();
    let mut outcome = Ok(None);
    loop {
        while let Some(head) = frame::complete(&backend.buffer, 1 << 20).unwrap() {
            let mut body = backend.buffer.split_to(head.len);
            body.advance(frame::HEADER);
            match head.kind {
                frame::server::DATA_ROW => {
                    let value = columns(&body).unwrap().next().unwrap().unwrap();
                    outcome = Ok(value.map(|value| String::from_utf8(value.to_vec()).unwrap()));
                }
                frame::server::ERROR_RESPONSE => outcome = Err(Fields::parse(&body).unwrap()),
                frame::server::READY_FOR_QUERY => {
                    assert_eq!(result::ready_status(&body), Ok(b'I'));
                    return outcome;
                }
                _ => (),
            }
        }
        assert!(backend.stream.read_buf(&mut backend.buffer).await.unwrap() > 0, "the server left");
    }
}

#[tokio::test]
async fn every_method_lets_in_who_has_what_it_asks_for() {
    let certificates = Certificates::make();
    let server = server(&certificates);
    make_roles(&server).await;
    let target = target(&server);

    for method in METHODS {
        let mut backend = connect(&target, &login(method, password("secret"))).await.unwrap();
        assert_eq!(query(&mut backend, "SELECT current_user").await.unwrap().as_deref(), Some(method));
        let parameter =
            |name: &str| backend.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!((parameter("application_name"), parameter("client_encoding")), (Some("kit"), Some("UTF8")));
        let pid = backend.pid.to_string();
        assert_eq!(query(&mut backend, "SELECT pg_backend_pid()").await.unwrap(), Some(pid));
        assert_eq!(backend.secret.len(), 4);
    }
    for method in &METHODS[1..] {
        match connect(&target, &login(method, password("wrong"))).await {
            Err(BackendError::Server(fields)) => {
                let text = format!("password authentication failed for user \"{method}\"");
                assert_eq!((fields.code(), fields.severity(), &*fields.message()), ("28P01", "FATAL", text.as_str()));
            }
            other => panic!("{other:?}"),
        }
        let none = connect(&target, &login(method, Credentials::None)).await;
        assert!(matches!(none, Err(BackendError::Authentication { .. })), "{none:?}");
    }
    let missing = Login { database: "none".to_owned(), ..login("trust", Credentials::None) };
    assert!(matches!(connect(&target, &missing).await, Err(BackendError::Server(fields)) if fields.code() == "3D000"));

    let hash = || Credentials::Md5(md5_hash("secret", "md5"));
    connect(&target, &login("md5", hash())).await.unwrap();
    let hash_for_scram = connect(&target, &login("scram-sha-256", hash())).await;
    assert!(matches!(hash_for_scram, Err(BackendError::Authentication { .. })));

    let address = Address::Unix { dir: server.socket_folder(), port: server.port() };
    let local = Target { address, ..target.clone() };
    let mut backend = connect(&local, &login("scram-sha-256", password("secret"))).await.unwrap();
    let over_tcp = "SELECT inet_client_addr() IS NOT NULL";
    assert_eq!(query(&mut backend, over_tcp).await.unwrap().as_deref(), Some("f"));
}

#[tokio::test]
async fn tls_is_as_strict_as_the_mode_says_and_scram_binds_to_it() {
    let certificates = Certificates::make();
    let server = server(&certificates);
    make_roles(&server).await;
    let login = login("tls_only", password("secret"));

    for (mode, host) in [
        (TlsMode::Prefer, "127.0.0.1"),
        (TlsMode::Require, "127.0.0.1"),
        (TlsMode::VerifyCa, "127.0.0.1"),
        (TlsMode::VerifyFull, "localhost"),
    ] {
        let mut backend = connect(&tls_target(&server, host, mode, &certificates), &login).await.unwrap();
        let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert_eq!(query(&mut backend, encrypted).await.unwrap().as_deref(), Some("t"), "{mode:?}");
    }
    let wrong_name = connect(&tls_target(&server, "127.0.0.1", TlsMode::VerifyFull, &certificates), &login).await;
    assert!(matches!(wrong_name, Err(BackendError::Tls(_))), "{wrong_name:?}");
    let strangers = Certificates::make();
    let wrong_authority = connect(&tls_target(&server, "localhost", TlsMode::VerifyCa, &strangers), &login).await;
    assert!(matches!(wrong_authority, Err(BackendError::Tls(_))), "{wrong_authority:?}");
    let in_clear = connect(&target(&server), &login).await;
    assert!(matches!(in_clear, Err(BackendError::Server(fields)) if fields.code() == "28000"));
}

#[tokio::test]
async fn what_runs_is_cancelled_with_and_without_tls() {
    let certificates = Certificates::make();
    let server = server(&certificates);
    for target in [target(&server), tls_target(&server, "localhost", TlsMode::VerifyFull, &certificates)] {
        let mut backend = connect(&target, &login("postgres", Credentials::None)).await.unwrap();
        let (pid, secret) = (backend.pid, backend.secret.clone());
        let sleeping = tokio::spawn(async move { query(&mut backend, "SELECT pg_sleep(60)").await });
        let mut watcher = connect(&target, &login("postgres", Credentials::None)).await.unwrap();
        let is_sleeping = format!("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = {pid}");
        while query(&mut watcher, &is_sleeping).await.unwrap().as_deref() != Some("t") {}
        cancel::send(&target, pid, &secret).await.unwrap();
        assert_eq!(sleeping.await.unwrap().unwrap_err().code(), "57014");
    }
}

/// What psql, called with `connection`, prints when we stand between it and the server.
async fn psql_through_us(
    server: &Server,
    connection: &str,
    method: Method,
    secret: StoredSecret,
    options: GreetOptions,
) -> (Result<Option<Credentials>, AuthError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let psql = tokio::process::Command::new(server.binaries().program("psql"))
        .arg(format!("host=127.0.0.1 port={port} dbname=app {connection}"))
        .args(["-XAtc", "SELECT 'I am ' || current_user"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let Greeting::Startup(mut client) = greet(accepted, &options).await.unwrap() else { panic!("no session") };
    let user = client.user().to_owned();
    let outcome = authenticate(&mut client.stream, &mut client.buffer, &user, method, &secret).await;
    let mut out = BytesMut::new();
    if let Ok(Some(credentials)) = &outcome {
        let mut backend = connect(&target(server), &login(&user, credentials.clone())).await.unwrap();
        build::authentication_ok(&mut out);
        backend.parameters.iter().for_each(|(name, value)| build::parameter_status(&mut out, name, value));
        build::backend_key_data(&mut out, backend.pid, &backend.secret);
        build::ready_for_query(&mut out, b'I');
        client.stream.write_all(&out).await.unwrap();
        copy_bidirectional(&mut client.stream, &mut backend.stream).await.unwrap();
    } else {
        let text = format!("password authentication failed for user \"{user}\"");
        build::error(&mut out, &Fields::fatal("28P01", text));
        client.stream.write_all(&out).await.unwrap();
        client.stream.shutdown().await.unwrap();
    }
    drop(client);
    let output = psql.wait_with_output().await.unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (outcome, String::from_utf8(printed).unwrap())
}

#[tokio::test]
async fn psql_proves_itself_to_us_and_its_keys_open_the_server() {
    let certificates = Certificates::make();
    let server = server(&certificates);
    make_roles(&server).await;
    let mut backend = connect(&target(&server), &login("postgres", Credentials::None)).await.unwrap();
    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram-sha-256'";
    let stored = query(&mut backend, stored).await.unwrap().unwrap();
    let verifier: ScramVerifier = stored.parse().unwrap();
    assert_eq!(verifier.to_string(), stored);
    assert_eq!(ScramVerifier::from_password("secret", &verifier.salt, verifier.iterations), verifier);
    let tls = || GreetOptions { tls: Some(certificates.server()), tls_required: true, ..GreetOptions::default() };
    let clear = GreetOptions::default;

    let scram = "user=scram-sha-256 password=secret sslmode=disable";
    let bound = "user=scram-sha-256 password=secret sslmode=require channel_binding=require";
    for (connection, options) in [(scram, clear()), (bound, tls())] {
        let secret = StoredSecret::Scram(verifier.clone());
        let (outcome, printed) = psql_through_us(&server, connection, Method::Scram, secret, options).await;
        assert!(matches!(outcome, Ok(Some(Credentials::ScramKeys { .. }))), "{outcome:?} {printed}");
        assert_eq!(printed, "I am scram-sha-256\n");
    }

    let md5 = "user=md5 password=secret sslmode=disable";
    let hash = || StoredSecret::Md5(md5_hash("secret", "md5"));
    let plain = || StoredSecret::Plain(Secret::new("secret"));
    for (method, secret) in [
        (Method::Md5, hash()),
        (Method::Md5, plain()),
        (Method::Password, hash()),
        (Method::Password, plain()),
        (Method::Scram, plain()),
    ] {
        let (outcome, printed) = psql_through_us(&server, md5, method, secret, clear()).await;
        assert!(outcome.unwrap().is_some());
        assert_eq!(printed, "I am md5\n", "{method:?}");
    }
}

#[tokio::test]
async fn psql_with_a_wrong_password_or_an_unknown_role_is_told_the_same() {
    let certificates = Certificates::make();
    let server = server(&certificates);
    let wrong = "user=app password=wrong sslmode=disable";
    let stored = [
        StoredSecret::Scram(ScramVerifier::random("secret")),
        StoredSecret::Md5(md5_hash("secret", "app")),
        StoredSecret::Plain(Secret::new("secret")),
        StoredSecret::Unknown,
    ];
    for method in [Method::Scram, Method::Md5, Method::Password] {
        for secret in &stored {
            let options = GreetOptions::default();
            let (outcome, printed) = psql_through_us(&server, wrong, method, secret.clone(), options).await;
            assert_eq!(outcome.unwrap(), None, "{method:?} {secret:?}");
            assert!(printed.contains("FATAL:  password authentication failed for user \"app\""), "{printed}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_instead_of_answering_is_no_wrong_password() {
    // psql does so to ask its user first.
    let (mut client, greeting) = visit(GreetOptions::default()).await;
    let mut out = BytesMut::new();
    startup(&mut out, 0, [("user", "app")]).unwrap();
    client.write_all(&out).await.unwrap();
    let Greeting::Startup(mut session) = greeting.await.unwrap().unwrap() else { panic!("no session") };
    drop(client);
    let left =
        authenticate(&mut session.stream, &mut session.buffer, "app", Method::Scram, &StoredSecret::Unknown).await;
    assert!(matches!(left, Err(AuthError::Closed)), "{left:?}");
}

#[tokio::test]
async fn a_server_without_tls_or_without_words_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let tls_config = client_config(TlsMode::Require, None, None).unwrap();
    let target = Target { address, tls: TlsMode::Require, tls_config, connect_timeout: Duration::from_millis(300) };
    let login = login("app", password("secret"));

    let refuses = async {
        let (mut accepted, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        accepted.read_exact(&mut request).await.unwrap();
        accepted.write_all(b"N").await.unwrap();
        request
    };
    let (outcome, request) = tokio::join!(connect(&target, &login), refuses);
    assert!(matches!(outcome, Err(BackendError::Tls(_))), "{outcome:?}");
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);

    assert!(matches!(connect(&target, &login).await, Err(BackendError::Timeout(_))));
    drop(listener);
    assert!(matches!(connect(&target, &login).await, Err(BackendError::Io(_))));
}

#[tokio::test]
async fn names_and_values_are_quoted_as_postgresql_reads_them() {
    let server = Server::start(&Binaries::find().unwrap(), ServerOptions::default().database("app")).unwrap();
    let superuser = login("postgres", password(server.password()));
    let mut backend = connect(&target(&server), &superuser).await.unwrap();

    let words = "SELECT string_agg(word, ' ') FROM pg_get_keywords()";
    let words = query(&mut backend, words).await.unwrap().unwrap();
    let odd = ["Orders", "a b", "a\"b", "2a", "ö", "_x", "a$b", "orders"];
    for name in words.split(' ').chain(odd) {
        let theirs = query(&mut backend, &format!("SELECT quote_ident({})", literal(name))).await.unwrap().unwrap();
        assert_eq!(identifier(name), theirs);
    }
    for setting in ["on", "off"] {
        query(&mut backend, &format!("SET standard_conforming_strings = {setting}")).await.unwrap();
        for value in ["it's", r"a\'; DROP TABLE t; --", r"\", r"\\n", "''", "", "E'x'", "ö\n\t"] {
            let echoed = query(&mut backend, &format!("SELECT {}", literal(value))).await;
            assert_eq!(echoed.unwrap().as_deref(), Some(value), "{setting}");
        }
    }
}

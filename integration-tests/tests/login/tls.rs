//! Over TLS: certificates as proof, and SCRAM that is bound to the server's certificate; libpq is the client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::postgres::{DATABASE, binaries};
use pgring_integration_tests::program;
use pgring_integration_tests::router::Router;
use pgring_local_postgres::Server;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::process::Command;

use super::{QUERY, connect, set_rules};

const HBA: &[&str] = &[
    "hostnossl all all 127.0.0.1/32 md5",
    "hostssl all carol,dave 127.0.0.1/32 cert",
    "hostssl all eve 127.0.0.1/32 reject",
    "hostssl all fay 10.0.0.0/8 reject",
    "hostssl all plain,nobody,expired,hashed 127.0.0.1/32 md5",
];

const AUTH: &str = r#"
[[users]]
name = "carol"
password = "secret"
[[auth.rules]]
user = ["carol", "dave"]
method = "cert"
[[auth.rules]]
user = "eve"
method = "reject"
[[auth.rules]]
user = "fay"
address = "10.0.0.0/8"
method = "reject"
[[auth.rules]]
user = ["plain", "nobody", "expired", "hashed"]
method = "md5"
"#;

/// Certificates in files: an authority, the servers', and one for each client.
struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "the authority of the tests");
        std::fs::write(folder.path().join("ca.crt"), authority.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(authority, key) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a certificate for a host or a client; returns it and its key, in PEM.
    fn make(&self, name: &str) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let pems = [params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem()];
        for (kind, pem) in ["crt", "key"].iter().zip(&pems) {
            let file = self.file(&format!("{name}.{kind}"));
            std::fs::write(&file, pem).unwrap();
            #[cfg(unix)]
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
        pems
    }
}

/// Turns TLS on at a server, which has to own its key.
async fn serve_tls(server: &Server, certificates: &Certificates) {
    let admin = connect(&server.connection_string(DATABASE)).await;
    let authority = std::fs::read_to_string(certificates.file("ca.crt")).unwrap();
    let [certificate, key] = certificates.make("server");
    for (file, pem) in [("server.crt", certificate), ("server.key", key), ("ca.crt", authority)] {
        let lines = format!("SELECT unnest(string_to_array('{}', E'\\n'))", pem.trim_end());
        admin.batch_execute(&format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {file}'")).await.unwrap();
    }
    admin.batch_execute("ALTER SYSTEM SET ssl_ca_file = 'ca.crt'").await.unwrap();
    admin.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

fn start_router(server: &Server, certificates: &Certificates) -> Router {
    let file = |name: &str| certificates.file(name).display().to_string();
    let connection = server.connection_string("postgres");
    let [cert, key, authority] = [file("server.crt"), file("server.key"), file("ca.crt")];
    Router::start(&[], |port, http| {
        format!(
            "[general]\nlisten = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:{http}\"\n[server_tls]\nmode = \"disable\"\n\
             [tls]\nmode = \"prefer\"\ncert = \"{cert}\"\nkey = \"{key}\"\nclient_ca = \"{authority}\"\n\
             [auth]\nquery = \"{QUERY}\"\n{AUTH}\n[[databases]]\nname = \"*\"\nconnection = \"{connection}\"\n"
        )
    })
}

/// What psql says who logs in so; the port is left out.
async fn psql(port: u16, user: &str, password: &str, more: &str) -> String {
    let beside = binaries().program("psql");
    let mut command = Command::new(if beside.is_file() { beside.as_path() } else { Path::new("psql") });
    let connection = format!("host=127.0.0.1 port={port} dbname={DATABASE} user={user} {more}");
    command.args(["-X", "-A", "-t", "-c", "SELECT session_user, current_user", &connection]);
    command.env("PGPASSWORD", password).env("LC_ALL", "C");
    let need = "psql (Debian, Ubuntu: apt-get install postgresql-client)";
    let ended = program::start(command, "", need).end(Duration::from_secs(20)).await;
    // The detail of a refusal holds pgring's own number.
    let shown = format!("{}{}", ended.out, ended.err).replace(&port.to_string(), "PORT");
    shown.lines().filter(|line| !line.starts_with("DETAIL:  PGR-")).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_bound_scram_are_taken_and_refused_as_by_postgresql() {
    let certificates = Certificates::new();
    let server = pgring_integration_tests::postgres::start_servers(1, &super::test_options()).remove(0);
    serve_tls(&server, &certificates).await;
    let admin = connect(&server.connection_string(DATABASE)).await;
    admin
        .batch_execute(
            "CREATE ROLE carol LOGIN PASSWORD 'secret'; CREATE ROLE dave LOGIN; CREATE ROLE eve LOGIN PASSWORD 'secret';
             CREATE ROLE fay LOGIN; CREATE ROLE plain LOGIN PASSWORD 'secret';
             CREATE ROLE expired LOGIN PASSWORD 'secret' VALID UNTIL 'yesterday';
             SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD 'secret'",
        )
        .await
        .unwrap();
    set_rules(&server, HBA);
    let router = tokio::task::block_in_place(|| start_router(&server, &certificates));
    for name in ["carol", "mallory"] {
        certificates.make(name);
    }
    let with = |mode: &str, name: &str| {
        let [cert, key] = ["crt", "key"].map(|kind| certificates.file(&format!("{name}.{kind}")).display().to_string());
        let authority = certificates.file("ca.crt").display().to_string();
        format!("sslmode={mode} sslrootcert={authority} sslcert={cert} sslkey={key}")
    };
    let (bound, loose) = ("channel_binding=require", "channel_binding=disable");
    let none = with("require", "none");
    eventually("TLS on the server", Duration::from_secs(10), || async {
        psql(server.port(), "plain", "secret", &none).await.contains("plain|plain").then_some(())
    })
    .await;
    for (user, password, more, expected) in [
        ("carol", "", with("verify-full", "carol"), "carol|carol"),
        ("carol", "secret", with("require", "mallory"), "certificate authentication failed for user \"carol\""),
        ("carol", "secret", none.clone(), "connection requires a valid client certificate"),
        ("dave", "", with("require", "carol"), "certificate authentication failed for user \"dave\""),
        ("eve", "secret", with("require", "carol"), "pg_hba.conf rejects connection for host"),
        ("fay", "", with("require", "carol"), "no pg_hba.conf entry for host"),
        ("plain", "secret", with("verify-full", "none"), "plain|plain"),
        ("plain", "secret", format!("{none} {bound}"), "plain|plain"),
        ("plain", "secret", format!("{none} {loose}"), "plain|plain"),
        ("plain", "secret", format!("{} {bound}", with("require", "mallory")), "plain|plain"),
        ("plain", "wrong", format!("{none} {bound}"), "password authentication failed for user \"plain\""),
        ("nobody", "secret", format!("{none} {bound}"), "password authentication failed for user \"nobody\""),
        ("expired", "secret", format!("{none} {bound}"), "password authentication failed for user \"expired\""),
        ("hashed", "secret", format!("{none} {bound}"), "channel binding required"),
        ("hashed", "secret", none.clone(), "hashed|hashed"),
    ] {
        let direct = psql(server.port(), user, password, &more).await;
        assert!(direct.contains(expected), "PostgreSQL, {user} {more}: {direct}");
        assert_eq!(psql(router.port(), user, password, &more).await, direct, "{user} {more}");
    }
}

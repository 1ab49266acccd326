//! What the tests share: certificates on disk and sockets to a greeter.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::{path::PathBuf, sync::Arc};

use pgring_protocol::{
    frontend::{GreetError, GreetOptions, Greeting, greet},
    tls::{ServerTls, server_config},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// An authority, and a certificate of `localhost` and one of the client `app` that it signed.
pub struct Certificates {
    pub folder: tempfile::TempDir,
}

impl Certificates {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(parameters, key).unwrap();
        std::fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
        for (file, common_name, alternative) in [("server", "localhost", Some("localhost")), ("client", "app", None)] {
            let key = rcgen::KeyPair::generate().unwrap();
            let names: Vec<String> = alternative.map(String::from).into_iter().collect();
            let mut parameters = rcgen::CertificateParams::new(names).unwrap();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, common_name);
            let certificate = parameters.signed_by(&key, &authority).unwrap();
            std::fs::write(folder.path().join(format!("{file}.crt")), certificate.pem()).unwrap();
            std::fs::write(folder.path().join(format!("{file}.key")), key.serialize_pem()).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// What a listener serves; clients may show certificates.
    pub fn server(&self) -> Arc<ServerTls> {
        let ca = self.path("ca.crt");
        server_config(&self.path("server.crt"), &self.path("server.key"), Some(&ca), false).unwrap()
    }
}

/// A client's socket, and the greeter at its other end.
pub async fn visit(options: GreetOptions) -> (TcpStream, JoinHandle<Result<Greeting, GreetError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.set_nodelay(true).unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    (client, tokio::spawn(async move { greet(accepted, &options).await }))
}

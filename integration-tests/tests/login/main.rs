//! Log-in: who is let in, with which words others are not, and what a server's administrator changes meanwhile; each
//! attempt is made on PostgreSQL and through pgring before the same server, and every message is compared.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod changes;
mod databases;
mod listed;
mod matrix;
mod pieces;
mod strange;
mod tls;

use std::collections::BTreeMap;

use bytes::Buf;
use pgring_integration_tests::client::{Frame, Raw, connect};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::router::Router;
use pgring_local_postgres::Server;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio_postgres::Client;

/// The query that `auth.query`'s documentation gives.
const QUERY: &str = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1";

/// One server with rules of its own, and a router that stands before all of its databases with the same rules.
struct World {
    server: Server,
    router: Router,
}

impl World {
    /// Starts both: `rules` are lines of pg_hba.conf; `auth` is the TOML of the router beside `*`.
    fn launch(rules: &[&str], auth: &str) -> Self {
        let server = start_servers(1, &test_options()).remove(0);
        let connection = server.connection_string("postgres");
        set_rules(&server, rules);
        let router = Router::start(&[], |port, http| {
            format!(
                "[general]\nlisten = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:{http}\"\nworkers = 1\n[pool]\nsize = 3\n{auth}\n\
                 [[databases]]\nname = \"*\"\nconnection = \"{connection}\"\n"
            )
        });
        Self { server, router }
    }

    /// The server's superuser, past the router.
    async fn admin(&self) -> Client {
        connect(&self.server.connection_string(DATABASE)).await
    }

    /// Makes one attempt on both sides, which have to answer alike; returns what was answered.
    async fn same(&self, attempt: &Attempt<'_>) -> Vec<String> {
        let expected = attempt.make(self.server.port()).await;
        let answered = attempt.make(self.router.port()).await;
        assert_eq!(answered, expected, "{attempt:?}, through pgring and directly");
        expected
    }

    /// As [`World::same`], for one that has to be let in.
    async fn enters(&self, attempt: &Attempt<'_>) {
        let answered = self.same(attempt).await;
        assert!(answered.iter().any(|line| line == "Z"), "{attempt:?}: {answered:?}");
    }

    /// As [`World::same`], for one that has to be refused with this SQLSTATE.
    async fn is_refused(&self, attempt: &Attempt<'_>, code: &str) {
        let answered = self.same(attempt).await;
        let begin = format!("E FATAL FATAL {code} ");
        assert!(answered.iter().any(|line| line.starts_with(&begin)), "{attempt:?}, not {code}: {answered:?}");
        assert_eq!(answered.last().map(String::as_str), Some("closed"));
    }
}

/// Writes pg_hba.conf of a fresh server; pgring's own connections come as `postgres`.
fn set_rules(server: &Server, rules: &[&str]) {
    let rules: Vec<String> = rules.iter().map(|rule| format!("('{rule}')")).collect();
    let connection = server.connection_string("postgres");
    // A thread and a runtime of its own: worlds are made inside tests, which have theirs.
    std::thread::scope(|scope| {
        let set = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let admin = connect(&connection).await;
                let file: String = admin.query_one("SHOW hba_file", &[]).await.unwrap().get(0);
                admin.batch_execute(&format!("COPY (VALUES {}) TO '{file}'", rules.join(", "))).await.unwrap();
                let wrong = "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL";
                assert_eq!(admin.query_one(wrong, &[]).await.unwrap().get::<_, i64>(0), 0);
                let before: String = loaded(&admin).await;
                admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
                while loaded(&admin).await == before {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            });
        });
        set.join().unwrap();
    });
}

/// When the server read its files last.
async fn loaded(admin: &Client) -> String {
    admin.query_one("SELECT pg_conf_load_time()::text", &[]).await.unwrap().get(0)
}

/// One log-in.
#[derive(Clone, Debug)]
struct Attempt<'a> {
    user: &'a str,
    password: &'a str,
    database: &'a str,
    more: &'a [(&'a str, &'a str)],
}

/// A log-in to the usual database.
fn attempt<'a>(user: &'a str, password: &'a str) -> Attempt<'a> {
    Attempt { user, password, database: DATABASE, more: &[] }
}

impl<'a> Attempt<'a> {
    /// To another database.
    fn to(self, database: &'a str) -> Self {
        Self { database, ..self }
    }

    /// With more in the start-up packet.
    fn with(self, more: &'a [(&'a str, &'a str)]) -> Self {
        Self { more, ..self }
    }

    /// Logs in, asks who it is, and leaves; returns the kinds of requests, errors and notices with their texts, the
    /// settings that were told, and the answer.
    async fn make(&self, port: u16) -> Vec<String> {
        let mut raw = Raw::connect(port).await;
        raw.start_up(&[&[("user", self.user), ("database", self.database)], self.more].concat()).await;
        let (mut told, mut settings, mut scram) = (Vec::new(), BTreeMap::new(), None);
        while let Some(frame) = raw.read().await {
            match frame.tag {
                b'R' => told.push(self.prove(&mut raw, frame, &mut scram).await),
                b'S' => {
                    let pair = frame.body.escape_ascii().to_string();
                    let (name, value) = pair.split_once("\\x00").unwrap();
                    settings.insert(name.to_owned(), value.to_owned());
                }
                b'E' | b'N' => told.push(words(&frame)),
                b'K' => told.push(format!("K of {} bytes", frame.body.len())),
                b'Z' => {
                    told.push("Z".to_owned());
                    told.push(format!("{settings:?}"));
                    told.push(who(&mut raw).await);
                    return told;
                }
                other => told.push(char::from(other).to_string()),
            }
        }
        told.push("closed".to_owned());
        told
    }

    /// Answers a request for a proof.
    async fn prove(&self, raw: &mut Raw, frame: Frame, scram: &mut Option<ScramSha256>) -> String {
        let mut body = frame.body;
        let request = body.get_i32();
        match request {
            3 => raw.send_with(|out| frontend::password_message(self.password.as_bytes(), out)).await,
            5 => {
                let salt = body[..].try_into().unwrap();
                let hash = md5_hash(self.user.as_bytes(), self.password.as_bytes(), salt);
                raw.send_with(|out| frontend::password_message(hash.as_bytes(), out)).await;
            }
            10 => {
                let begun = ScramSha256::new(self.password.as_bytes(), ChannelBinding::unsupported());
                raw.send_with(|out| frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), out)).await;
                *scram = Some(begun);
                return format!("R 10 {}", body.escape_ascii());
            }
            11 => {
                let scram = scram.as_mut().unwrap();
                scram.update(&body).unwrap();
                raw.send_with(|out| frontend::sasl_response(scram.message(), out)).await;
            }
            12 => scram.as_mut().unwrap().finish(&body).unwrap(),
            _ => {}
        }
        format!("R {request}")
    }
}

/// An error or notice: severities, SQLSTATE, text, and the detail where it is not pgring's number alone.
fn words(frame: &Frame) -> String {
    let fields = frame.fields();
    let field = |code: u8| fields.get(&code).map_or("-", String::as_str);
    let detail = field(b'D');
    let own = detail.starts_with("PGR-300");
    let detail = if own { detail.split_once(": ").map_or("-", |(_, detail)| detail) } else { detail };
    let detail = if own && detail.contains("pgring") { "-" } else { detail };
    let kind = char::from(frame.tag);
    format!("{kind} {} {} {} {} ({detail})", field(b'S'), field(b'V'), field(b'C'), field(b'M'))
}

/// Who the session is, where, and with which path.
async fn who(raw: &mut Raw) -> String {
    const WHO: &str = "SELECT session_user || ' ' || current_user || ' ' || current_database() || ' ' || \
                       current_setting('search_path')";
    let frames = raw.query(WHO).await;
    frames.iter().map(|frame| format!("{}{} ", char::from(frame.tag), frame.body.escape_ascii())).collect()
}

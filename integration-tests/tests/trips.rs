//! Trips: how often pgring writes to a server and waits for it, counted between the two.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pgring_integration_tests::Router;
use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::{Step, bind, execute, parse, play, query, sync};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What passes between pgring and a server.
#[derive(Default)]
struct Line {
    trips: AtomicUsize,
    /// The server had the last word.
    answered: AtomicBool,
}

impl Line {
    fn asks(&self) {
        if self.answered.swap(false, Ordering::SeqCst) {
            self.trips.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn answers(&self) {
        self.answered.store(true, Ordering::SeqCst);
    }
}

/// Stands before a server and counts.
async fn counting(server: u16, line: Arc<Line>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            let (up, down) = (line.clone(), line.clone());
            tokio::spawn(pass(from_near, to_far, move || up.asks()));
            tokio::spawn(pass(from_far, to_near, move || down.answers()));
        }
    });
    port
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, note: impl Fn()) {
    let mut piece = vec![0; 256 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        note();
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
    to.shutdown().await.ok();
}

fn batch(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[]), execute("", 0), sync()].concat()
}

/// What is sent in one write, and how many answers are waited for before the next.
type Piece = (Vec<u8>, usize);

/// Scripts of which each piece is answered before the next is sent, with the number of answers to wait for; and how many
/// trips they may cost.
fn scripts() -> Vec<(&'static str, Vec<Piece>, usize)> {
    let write = "INSERT INTO counted VALUES (1)";
    let reads =
        |count: usize| (0..count).flat_map(|nth| batch(&format!("SELECT {nth} FROM counted"))).collect::<Vec<_>>();
    let one = |sql: &str| (query(sql), 1);
    vec![
        ("one statement", vec![one("SELECT 1 FROM counted")], 1),
        ("fifty batches", vec![(reads(50), 50)], 1),
        ("fifty writes", vec![((0..50).flat_map(|_| batch(write)).collect(), 50)], 1),
        ("a transaction, statement by statement", vec![one("BEGIN"), one(write), one(write), one("COMMIT")], 3),
        (
            "a transaction in one write",
            vec![([batch("BEGIN"), batch(write), reads(50), batch(write), batch("COMMIT")].concat(), 54)],
            1,
        ),
        (
            "batches in a transaction that is open",
            vec![one("BEGIN"), one(write), ([reads(20), batch(write), reads(20)].concat(), 41), one("ROLLBACK")],
            3,
        ),
        (
            "two transactions in one write",
            vec![(
                [batch("BEGIN"), batch(write), batch("COMMIT"), batch("BEGIN"), batch(write), batch("COMMIT")].concat(),
                6,
            )],
            2,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_costs_one_write_and_one_read() {
    let server = start_servers(1, &test_options()).remove(0);
    let line = Arc::new(Line::default());
    let port = counting(server.port(), line.clone()).await;
    let router = tokio::task::block_in_place(|| {
        Router::start(&[], |listen, http| {
            format!(
                "[general]\nlisten = \"127.0.0.1:{listen}\"\nhttp = \"127.0.0.1:{http}\"\n\n[[users]]\nname = \
                 \"postgres\"\npassword = \"postgres\"\n\n[[databases]]\nname = \"*\"\nconnection = \"host=127.0.0.1 \
                 port={port} user=postgres password=postgres sslmode=disable\"\n\n[pool]\nsize = 1"
            )
        })
    });
    let mut raw = Raw::log_in(router.port(), "postgres", "postgres", DATABASE).await;
    raw.query("CREATE TABLE counted (id int)").await;
    for (what, script, most) in scripts() {
        let mut least = usize::MAX;
        // Now and then pgring asks something of its own.
        for _ in 0..5 {
            let before = line.trips.load(Ordering::SeqCst);
            for (bytes, readies) in &script {
                let steps = [Step::Send(bytes.clone()), Step::Until(b'Z', *readies)];
                let answers = play(&mut raw, &steps).await;
                assert!(!answers.iter().any(|line| line.starts_with("E ") || line == "silence"), "{what}: {answers:?}");
            }
            least = least.min(line.trips.load(Ordering::SeqCst) - before);
        }
        assert!(least <= most, "{what}: {least} trips");
    }
}

//! A server that does not keep to the protocol: its client hears of it, and nobody else.

use std::sync::{Arc, Mutex};

use pgring_integration_tests::Router;
use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::{PATIENCE, asked, brief};

/// What stands in a Query or Parse that the server answers in its own way.
const MARK: &[u8] = b"misbehave";

type Line = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

/// Stands before a real server and passes everything on but statements with [`MARK`], which get `answer`.
async fn misbehaving(server: u16, answer: Arc<Mutex<Vec<u8>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            let to_near = Arc::new(tokio::sync::Mutex::new(to_near));
            tokio::spawn(down(from_far, to_near.clone()));
            tokio::spawn(up(from_near, to_far, to_near, answer.clone()));
        }
    });
    port
}

async fn down(mut from: OwnedReadHalf, to: Line) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        if to.lock().await.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
    to.lock().await.shutdown().await.ok();
}

/// Passes messages of the client on, one by one.
async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, back: Line, answer: Arc<Mutex<Vec<u8>>>) -> Option<()> {
    let mut is_started = false;
    let mut is_marked = false;
    loop {
        let kind = if is_started { Some(from.read_u8().await.ok()?) } else { None };
        let length = from.read_u32().await.ok()?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await.ok()?;
        // A StartupMessage ends what has no kind.
        is_started |= body.starts_with(&196_608_i32.to_be_bytes());
        is_marked |= kind.is_some() && body.windows(MARK.len()).any(|part| part == MARK);
        if is_marked {
            if matches!(kind, Some(b'Q' | b'S' | b'H')) {
                is_marked = false;
                let answer = answer.lock().unwrap().clone();
                back.lock().await.write_all(&answer).await.ok()?;
                if answer.is_empty() {
                    back.lock().await.shutdown().await.ok()?;
                }
            }
            continue;
        }
        if let Some(kind) = kind {
            to.write_u8(kind).await.ok()?;
        }
        to.write_u32(length).await.ok()?;
        to.write_all(&body).await.ok()?;
    }
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// What the server says, and the SQLSTATE that its client is told.
fn answers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let error = |fields: &[u8]| [message(b'E', fields), ready()].concat();
    vec![
        ("an error without SQLSTATE", error(b"SERROR\0VERROR\0Mno code\0\0"), "XX000"),
        ("an error with an empty SQLSTATE", error(b"SERROR\0C\0Mno code\0\0"), "XX000"),
        ("an error of nothing but a text", error(b"Mno code\0\0"), "XX000"),
        ("an error without fields", error(b"\0"), "XX000"),
        ("an error that is not ended", error(b"SERROR\0C42000\0Mcut"), "XX000"),
        ("an error without a body", error(b""), "XX000"),
        ("an error of today", error(b"SERROR\0VERROR\0C22012\0Mdivision by zero\0\0"), "22012"),
        ("a length that is none", b"D\0\0\0\x01".to_vec(), "08006"),
        ("the end", Vec::new(), "08006"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_breaks_the_protocol_disturbs_nobody_else() {
    let server = start_servers(1, &test_options()).remove(0);
    let answer = Arc::new(Mutex::new(Vec::new()));
    let port = misbehaving(server.port(), answer.clone()).await;
    let router = tokio::task::block_in_place(|| {
        Router::start(&[], |listen, http| {
            format!(
                "[general]\nlisten = \"127.0.0.1:{listen}\"\nhttp = \"127.0.0.1:{http}\"\n\n[[users]]\nname = \
                 \"postgres\"\npassword = \"postgres\"\n\n[[databases]]\nname = \"*\"\nconnection = \"host=127.0.0.1 \
                 port={port} user=postgres password=postgres sslmode=disable\""
            )
        })
    });
    let log_in = async || Raw::log_in(router.port(), "postgres", "postgres", DATABASE).await;
    let mut other = log_in().await;
    other.query("BEGIN; SELECT 1").await;
    for (what, said, code) in answers() {
        *answer.lock().unwrap() = said;
        for extended in [false, true] {
            let mut raw = log_in().await;
            let request = match extended {
                true => [asked("SELECT 'misbehave'"), pgring_integration_tests::script::sync()].concat(),
                false => pgring_integration_tests::script::query("SELECT 'misbehave'"),
            };
            raw.send(&request).await;
            let frames = tokio::time::timeout(PATIENCE, raw.read_until_ready()).await;
            let frames = frames.unwrap_or_else(|_| panic!("{what}, extended {extended}: nothing"));
            let errors: Vec<_> = frames.iter().filter_map(|frame| frame.sqlstate()).collect();
            assert_eq!(errors, [code], "{what}, extended {extended}: {:?}", brief(&frames));
            assert!(frames.iter().all(|frame| frame.tag != b'E' || frame.fields().contains_key(&b'M')), "{what}");
            // Another backend, or the same in step.
            assert_eq!(crate::run(&mut raw, "SELECT 7").await, ["D 7", "C SELECT 1", "Z I"], "{what}, {extended}");
            assert_eq!(crate::run(&mut other, "SELECT 1").await, ["D 1", "C SELECT 1", "Z T"], "{what}");
        }
    }
}

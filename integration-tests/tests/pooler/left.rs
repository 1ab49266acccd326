//! Backends and the transactions of clients who left, and clients who break the protocol.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::script::{copy_data, flush, message, query, sync, terminate};

use crate::{PATIENCE, asked, narrow, run};

const INSERT: &str = "INSERT INTO ledger VALUES (1)";

/// What a client sends before it is gone, how many ReadyForQuery it waits for, and how it ends.
const WAYS: &[(&str, usize, End)] = &[
    ("BEGIN | INSERT", 2, End::Drop),
    ("BEGIN | INSERT", 2, End::Terminate),
    ("BEGIN | INSERT", 2, End::Shut),
    ("BEGIN | INSERT", 2, End::Garbage),
    ("BEGIN | INSERT", 2, End::HalfMessage),
    ("BEGIN | INSERT", 0, End::Drop),
    ("BEGIN | INSERT", 0, End::Terminate),
    ("BEGIN | INSERT | SELECT 1/0", 3, End::Drop),
    ("BEGIN | INSERT | SELECT 1/0", 3, End::Terminate),
    ("BEGIN | SELECT pg_sleep(600)", 1, End::Drop),
    ("BEGIN; INSERT", 1, End::Drop),
    ("BEGIN; INSERT", 0, End::Terminate),
    ("BEGIN; INSERT; SELECT 1/0", 1, End::Drop),
    ("SELECT 1; BEGIN; INSERT; SAVEPOINT a; SELECT 1/0", 1, End::Shut),
    ("BEGIN ISOLATION LEVEL SERIALIZABLE | INSERT", 2, End::Drop),
    ("BEGIN | SAVEPOINT a | INSERT", 3, End::Drop),
    ("BEGIN | SAVEPOINT a | INSERT | SELECT 1/0 | ROLLBACK TO a | INSERT", 6, End::Drop),
    ("BEGIN | COMMIT AND CHAIN | INSERT", 3, End::Drop),
    ("BEGIN | INSERT | ROLLBACK AND CHAIN | INSERT", 4, End::Terminate),
    ("BEGIN | copy", 1, End::Drop),
    ("BEGIN | copy", 1, End::HalfMessage),
    ("BEGIN | copy", 1, End::Garbage),
    ("copy", 0, End::Drop),
    ("copy", 0, End::Terminate),
    ("parse BEGIN | parse INSERT", 0, End::Drop),
    ("parse BEGIN | parse INSERT | flush", 0, End::Drop),
    ("parse BEGIN | parse INSERT | flush", 0, End::Terminate),
    ("parse BEGIN | parse INSERT | sync", 1, End::Drop),
    ("parse BEGIN | parse INSERT | sync", 0, End::Shut),
    ("parse BEGIN | parse INSERT | parse SELECT 1/0 | sync", 1, End::Drop),
    ("parse INSERT", 0, End::Drop),
    ("parse INSERT | parse SELECT pg_sleep(600) | flush", 0, End::Drop),
    ("PREPARE b AS INSERT | BEGIN | EXECUTE b", 3, End::Drop),
    ("BEGIN | DECLARE c CURSOR FOR SELECT 1 | INSERT | FETCH c", 4, End::Drop),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Drop,
    Terminate,
    /// Only stops sending; reads to the end.
    Shut,
    Garbage,
    HalfMessage,
}

fn bytes(part: &str) -> Vec<u8> {
    let sql = part.replace("INSERT", INSERT);
    match part {
        "copy" => [query("COPY ledger FROM STDIN"), copy_data(b"1\n"), copy_data(b"2\n")].concat(),
        "sync" => sync(),
        "flush" => flush(),
        _ => sql.strip_prefix("parse ").map_or_else(|| query(&sql), asked),
    }
}

async fn leave(mut raw: Raw, script: &str, readies: usize, end: End) {
    let mut out: Vec<u8> = script.split(" | ").flat_map(bytes).collect();
    if readies == 0 && end == End::Terminate {
        // In one write with what was asked.
        out.extend(terminate());
    }
    raw.send(&out).await;
    for _ in 0..readies {
        raw.read_until_ready().await;
    }
    match end {
        End::Drop => {}
        End::Terminate => drop(raw.send(&terminate()).await),
        End::Shut => {
            raw.shut().await;
            raw.read_to_end().await;
        }
        End::Garbage => {
            raw.send(b"\x07not a message").await;
            raw.read_to_end().await;
        }
        End::HalfMessage => drop(raw.send(&query("SELECT 1, 2, 3")[..9]).await),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_backend_goes_back_with_an_open_transaction() {
    let cluster = narrow(1, "").await;
    let mut other = cluster.raw().await;
    run(&mut other, "CREATE TABLE ledger (n int)").await;
    for (script, readies, end) in WAYS {
        leave(cluster.raw().await, script, *readies, *end).await;
        // There is no other backend than that one. In a transaction of somebody else's time would stand still.
        let state = "SELECT concat_ws(' ', count(*), now() = statement_timestamp(), pg_current_xact_id_if_assigned()) FROM ledger";
        let seen = tokio::time::timeout(PATIENCE, run(&mut other, state)).await;
        let seen = seen.unwrap_or_else(|_| panic!("{script}, {end:?}: no backend"));
        assert_eq!(seen, ["D 0 t", "C SELECT 1", "Z I"], "{script}, {end:?}");
        let own = run(&mut other, "BEGIN; INSERT INTO ledger VALUES (2); ROLLBACK").await;
        assert_eq!(own, ["C BEGIN", "C INSERT 0 1", "C ROLLBACK", "Z I"], "{script}, {end:?}");
    }
}

/// Bytes that end a session, sent where the protocol has no place for them.
const GARBAGE: &[(&str, &[u8])] = &[
    ("an unknown kind", b"\x00\0\0\0\x04"),
    ("a length that is none", b"Q\0\0\0\x03"),
    ("a length of two gigabytes", b"P\x7f\xff\xff\xff"),
    ("a message of the server", b"Z\0\0\0\x05I"),
    ("an HTTP request", b"GET / HTTP/1.1\r\n\r\n"),
    ("a password out of place", b"~~~~~~~~"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbage_byte_costs_nobody_else_a_backend() {
    let cluster = narrow(3, "").await;
    let mut works = cluster.raw().await;
    run(&mut works, "CREATE TEMP TABLE mine AS SELECT 7 AS n").await;
    run(&mut works, "BEGIN").await;
    let pid = "SELECT n || ' of ' || (SELECT pid FROM pg_locks WHERE virtualtransaction IS NOT NULL AND relation = \
               'mine'::regclass AND pid IS NOT NULL LIMIT 1) FROM mine";
    let before = run(&mut works, pid).await;
    for (what, garbage) in GARBAGE {
        for place in ["", "BEGIN", "SELECT pg_sleep(0.05)", "COPY (SELECT 1) TO STDOUT", "COPY mine FROM STDIN"] {
            let mut raw = cluster.raw().await;
            raw.send(&[query(place), garbage.to_vec()].concat()).await;
            raw.read_to_end().await;
            assert_eq!(run(&mut works, pid).await, before, "{what} after {place:?}");
        }
        let mut raw = Raw::connect(cluster.router().port()).await;
        raw.send(garbage).await;
        raw.read_to_end().await;
        let mut raw = cluster.raw().await;
        raw.send(&[asked("SELECT 1"), message(b'B', b"\xff"), garbage.to_vec()].concat()).await;
        raw.read_to_end().await;
        assert_eq!(run(&mut works, pid).await, before, "{what}");
    }
    assert_eq!(run(&mut works, "COMMIT").await, ["C COMMIT", "Z I"]);
}

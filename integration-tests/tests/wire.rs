//! The wire, byte by byte: what pgring answers is what PostgreSQL answers, and bad input harms only its sender.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use bytes::BytesMut;
use pgring_integration_tests::client::{Frame, Raw, bind_text, cancel, try_connect};
use pgring_integration_tests::faults::within;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;
use postgres_protocol::message::frontend;

/// The cluster that the tests of this file share.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(2)));
/// The one PostgreSQL beside it.
static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));

/// Runs a scenario on PostgreSQL and on pgring and compares their transcripts; returns the transcript.
async fn same_on_both<F: Future<Output = Vec<String>>>(scenario: impl Fn(Raw) -> F) -> Vec<String> {
    let log_in = async |port| Raw::log_in(port, "postgres", "postgres", DATABASE).await;
    let expected = scenario(log_in(ORACLE.port()).await).await;
    let answered = scenario(log_in(CLUSTER.router().port()).await).await;
    assert_eq!(answered, expected);
    expected
}

/// As [`same_on_both`], on connections that are not logged in.
async fn same_before_log_in<F: Future<Output = Vec<String>>>(scenario: impl Fn(Raw) -> F) -> Vec<String> {
    let expected = scenario(Raw::connect(ORACLE.port()).await).await;
    let answered = scenario(Raw::connect(CLUSTER.router().port()).await).await;
    assert_eq!(answered, expected);
    expected
}

/// Messages in brief: their types, with what matters of some; parameters and notices left out.
fn transcript(frames: &[Frame]) -> Vec<String> {
    let brief = |frame: &Frame| match frame.tag {
        b'E' => format!("E {}", frame.sqlstate().unwrap_or_default()),
        b'C' => format!("C {}", frame.text()),
        b'Z' => format!("Z {}", frame.text()),
        tag => char::from(tag).to_string(),
    };
    frames.iter().filter(|frame| !b"SN".contains(&frame.tag)).map(brief).collect()
}

/// What comes until the connection is closed.
async fn rest(raw: &mut Raw) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = raw.read().await {
        frames.push(frame);
    }
    frames
}

async fn still_serves() {
    let client = try_connect(&CLUSTER.connection_string(DATABASE)).await.unwrap();
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test]
async fn a_query_may_arrive_byte_by_byte_and_many_in_one_piece() {
    let got = same_on_both(|mut raw| async move {
        let mut query = BytesMut::new();
        frontend::query("SELECT 1", &mut query).unwrap();
        for byte in &query {
            raw.send(&[*byte]).await;
        }
        let mut frames = raw.read_until_ready().await;
        raw.send(&query.repeat(20)).await;
        for _ in 0..20 {
            frames.extend(raw.read_until_ready().await);
        }
        transcript(&frames)
    })
    .await;
    assert_eq!(got.len(), 21 * 4);
}

#[tokio::test]
async fn queries_without_a_statement_and_with_several_are_answered_as_postgresql_does() {
    same_on_both(|mut raw| async move {
        let mut frames = Vec::new();
        for sql in ["", ";", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; SELECT 1/0; SELECT 2", "SELEC", "SELECT 3"]
        {
            frames.extend(raw.query(sql).await);
        }
        transcript(&frames)
    })
    .await;
}

#[tokio::test]
async fn ready_for_query_tells_the_state_of_the_transaction() {
    let got = same_on_both(|mut raw| async move {
        let mut frames = Vec::new();
        for sql in ["BEGIN", "SELECT 1/0", "SELECT 1", "ROLLBACK", "BEGIN", "COMMIT", "ROLLBACK"] {
            frames.extend(raw.query(sql).await);
        }
        transcript(&frames)
    })
    .await;
    assert_eq!(got[..4], ["C BEGIN", "Z T", "E 22012", "Z E"]);
}

#[tokio::test]
async fn after_an_error_the_rest_of_a_batch_is_skipped_up_to_sync() {
    same_on_both(|mut raw| async move {
        let mut out = BytesMut::new();
        frontend::parse("", "SELECT 1/0", [], &mut out).unwrap();
        bind_text("", "", &[], false, &mut out);
        frontend::execute("", 0, &mut out).unwrap();
        frontend::parse("", "SELECT 2", [], &mut out).unwrap();
        bind_text("", "", &[], false, &mut out);
        frontend::execute("", 0, &mut out).unwrap();
        frontend::sync(&mut out);
        frontend::parse("", "SELECT 3", [], &mut out).unwrap();
        bind_text("", "", &[], false, &mut out);
        frontend::execute("", 0, &mut out).unwrap();
        frontend::sync(&mut out);
        raw.send(&out).await;
        let mut frames = raw.read_until_ready().await;
        frames.extend(raw.read_until_ready().await);
        transcript(&frames)
    })
    .await;
}

#[tokio::test]
async fn named_statements_live_until_closed_and_a_name_is_given_once() {
    let got = same_on_both(|mut raw| async move {
        let parse = |out: &mut BytesMut| frontend::parse("s1", "SELECT $1::int", [], out).unwrap();
        let run = |out: &mut BytesMut| {
            bind_text("", "s1", &[Some("7".to_owned())], true, out);
            frontend::execute("", 0, out).unwrap();
        };
        let batches: [&dyn Fn(&mut BytesMut); 5] = [
            &|out| {
                parse(out);
                frontend::describe(b'S', "s1", out).unwrap();
            },
            &|out| {
                run(out);
                run(out);
            },
            &|out| parse(out),
            &|out| frontend::close(b'S', "s1", out).unwrap(),
            &|out| run(out),
        ];
        let mut frames = Vec::new();
        for batch in batches {
            let mut out = BytesMut::new();
            batch(&mut out);
            frontend::sync(&mut out);
            raw.send(&out).await;
            frames.extend(raw.read_until_ready().await);
        }
        transcript(&frames)
    })
    .await;
    assert!(got.contains(&"E 42P05".to_owned()) && got.contains(&"E 26000".to_owned()), "{got:?}");
}

#[tokio::test]
async fn a_portal_gives_its_rows_in_portions() {
    let got = same_on_both(|mut raw| async move {
        let mut out = BytesMut::new();
        frontend::parse("", "SELECT generate_series(1, 5)", [], &mut out).unwrap();
        bind_text("p", "", &[], false, &mut out);
        for _ in 0..3 {
            frontend::execute("p", 2, &mut out).unwrap();
        }
        frontend::sync(&mut out);
        raw.send(&out).await;
        transcript(&raw.read_until_ready().await)
    })
    .await;
    assert_eq!(got.iter().filter(|brief| *brief == "s").count(), 2, "{got:?}");
}

#[tokio::test]
async fn flush_brings_answers_before_sync() {
    same_on_both(|mut raw| async move {
        let mut out = BytesMut::new();
        frontend::parse("", "SELECT 1", [], &mut out).unwrap();
        frontend::flush(&mut out);
        raw.send(&out).await;
        let mut frames = vec![raw.read().await.unwrap()];
        raw.send_with(|out| {
            frontend::sync(out);
            Ok(())
        })
        .await;
        frames.extend(raw.read_until_ready().await);
        transcript(&frames)
    })
    .await;
}

#[tokio::test]
async fn an_unknown_message_ends_the_connection_with_a_protocol_violation() {
    same_on_both(|mut raw| async move {
        raw.send(&[b'!', 0, 0, 0, 4]).await;
        transcript(&rest(&mut raw).await)
    })
    .await;
    still_serves().await;
}

#[tokio::test]
async fn encryption_that_is_not_offered_is_declined_with_one_byte() {
    // not compared: PostgreSQL built with GSSAPI says G before it knows of any key
    let mut raw = Raw::connect(CLUSTER.router().port()).await;
    for code in [80_877_103_u32, 80_877_104] {
        raw.send(&[&8_u32.to_be_bytes()[..], &code.to_be_bytes()[..]].concat()).await;
        assert_eq!(raw.read_byte().await, Some(b'N'), "request {code}");
    }
    raw.start_up(&[("user", "postgres"), ("database", DATABASE)]).await;
    raw.authenticate("postgres", "postgres").await.unwrap();
    assert_eq!(transcript(&raw.query("SELECT 1").await), ["T", "D", "C SELECT 1", "Z I"]);
}

#[tokio::test]
async fn wrong_passwords_and_unknown_users_and_databases_get_their_sqlstate_at_once() {
    for (user, password, database, expected) in [
        ("postgres", "wrong", DATABASE, "28P01"),
        ("nobody_knows", "wrong", DATABASE, "28P01"),
        ("postgres", "postgres", "no_such_database", "3D000"),
    ] {
        let transcript = within(
            Duration::from_secs(5),
            same_before_log_in(|mut raw| async move {
                raw.start_up(&[("user", user), ("database", database)]).await;
                let refused = raw.authenticate(user, password).await.unwrap_err();
                let closed = raw.is_closed().await;
                vec![refused.sqlstate().unwrap_or_default(), format!("closed {closed}")]
            }),
        )
        .await;
        assert_eq!(transcript, [expected, "closed true"], "{user} {database}");
    }
}

#[tokio::test]
async fn garbage_instead_of_a_startup_ends_only_that_connection() {
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0; 64], &[0xff; 64], &[0, 0, 0, 8, 0, 2, 0, 0]] {
        let mut raw = Raw::connect(CLUSTER.router().port()).await;
        raw.send(garbage).await;
        let ended = within(Duration::from_secs(5), async { raw.read_to_end().await }).await;
        assert!(ended < 1024, "{ended} bytes answered to garbage");
    }
    still_serves().await;
}

#[tokio::test]
async fn a_length_of_two_gigabytes_is_refused_without_memory() {
    let before = resident_kilobytes();
    let mut logged_in = Vec::new();
    for _ in 0..20 {
        let mut raw = CLUSTER.raw().await;
        raw.send(&[b'Q', 0x7f, 0xff, 0xff, 0xff, b'S']).await;
        logged_in.push(raw);
        let mut new = Raw::connect(CLUSTER.router().port()).await;
        new.send(&[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]).await;
        within(Duration::from_secs(5), async { new.read_to_end().await }).await;
    }
    for mut raw in logged_in {
        let last = within(Duration::from_secs(5), rest(&mut raw)).await;
        let sqlstate = last.iter().find_map(Frame::sqlstate);
        assert!(matches!(sqlstate.as_deref(), Some("54000" | "08P01")), "{last:?}");
    }
    let grown = resident_kilobytes().saturating_sub(before);
    assert!(grown < 64 << 10, "pgring grew by {grown} kB");
    still_serves().await;
}

/// The router's resident memory, from /proc; 0 where there is none.
fn resident_kilobytes() -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", CLUSTER.router().pid().unwrap()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_cancel_request_ends_the_statement_and_keeps_the_session() {
    let mut raw = CLUSTER.raw().await;
    let key = raw.cancel_key.unwrap();
    raw.send_with(|out| frontend::query("SELECT pg_sleep(60)", out)).await;
    let watcher = CLUSTER.client().await;
    // cancelled again until it was running: a cancel that comes before the statement has no effect, as with PostgreSQL
    let frames = within(Duration::from_secs(20), async {
        loop {
            cancel(CLUSTER.router().port(), key).await;
            match tokio::time::timeout(Duration::from_millis(200), raw.peek()).await {
                Ok(()) => break raw.read_until_ready().await,
                Err(_) => watcher.batch_execute("SELECT 1").await.unwrap(),
            }
        }
    })
    .await;
    assert_eq!(transcript(&frames).iter().filter(|brief| *brief == "E 57014").count(), 1);
    assert_eq!(transcript(&raw.query("SELECT 1").await), ["T", "D", "C SELECT 1", "Z I"]);
}

#[tokio::test]
async fn a_cancel_request_with_a_wrong_secret_does_nothing() {
    let mut raw = CLUSTER.raw().await;
    let (process, secret) = raw.cancel_key.unwrap();
    raw.send_with(|out| frontend::query("SELECT pg_sleep(0.5)", out)).await;
    cancel(CLUSTER.router().port(), (process, secret.wrapping_add(1))).await;
    assert_eq!(transcript(&raw.read_until_ready().await), ["T", "D", "C SELECT 1", "Z I"]);
}

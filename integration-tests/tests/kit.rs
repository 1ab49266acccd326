//! The kit itself: servers from the template answer, die, come back and vanish; the oracle sees differences.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::time::{Duration, Instant};

use pgring_integration_tests::Postgres;
use pgring_integration_tests::client::{Raw, cancel, try_connect};
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::oracle::{Answer, Expect, Protocol, Statement, Step, World, compare, parse};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};

#[tokio::test]
async fn two_servers_from_one_template_answer_die_and_come_back_with_their_rows() {
    let mut servers = start_servers(2, &test_options());
    let connections: Vec<String> = servers.iter().map(|server| server.connection_string(DATABASE)).collect();
    for (number, connection) in connections.iter().enumerate() {
        let client = try_connect(connection).await.unwrap();
        client.batch_execute(&format!("CREATE TABLE t AS SELECT {number} AS n")).await.unwrap();
    }
    servers[0].kill9();
    assert!(try_connect(&connections[0]).await.is_err());
    assert!(try_connect(&connections[1]).await.is_ok());
    servers[0].restart().unwrap();
    let client = try_connect(&connections[0]).await.unwrap();
    assert_eq!(client.query_one("SELECT n FROM t", &[]).await.unwrap().get::<_, i32>(0), 0);
}

#[tokio::test]
async fn dropped_servers_leave_neither_process_nor_folder() {
    let servers = start_servers(2, &test_options());
    let left: Vec<_> = servers.iter().map(|server| (server.port(), server.folder().to_owned())).collect();
    drop(servers);
    for (port, folder) in left {
        assert!(!folder.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}

#[tokio::test]
async fn four_servers_start_in_seconds_once_the_template_is_there() {
    drop(start_servers(1, &test_options()));
    let begun = Instant::now();
    drop(start_servers(4, &test_options()));
    assert!(begun.elapsed() < Duration::from_secs(15), "four servers took {:?}", begun.elapsed());
}

#[tokio::test]
async fn the_raw_client_logs_in_queries_and_cancels() {
    let postgres = Postgres::start().await;
    let port = postgres.server().port();
    let mut raw = Raw::log_in(port, "postgres", "postgres", DATABASE).await;
    assert_eq!(raw.parameters.get("server_encoding").map(String::as_str), Some("UTF8"));

    let tags: Vec<u8> = raw.query("SELECT 1").await.iter().map(|frame| frame.tag).collect();
    assert_eq!(tags, b"TDCZ");
    let parameters = [Some("41".to_owned())];
    let answer = Answer::of(&raw.extended("SELECT $1::int + 1 AS n", &parameters, false).await);
    assert_eq!(answer.columns, [("n".to_owned(), 23)]);
    assert_eq!(answer.rows[0][0].as_deref(), Some(&b"42"[..]));

    let key = raw.cancel_key.unwrap();
    let sleep = tokio::spawn(async move { Answer::of(&raw.query("SELECT pg_sleep(60)").await) });
    let watcher = postgres.client().await;
    let asleep = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    eventually("the statement to run", Duration::from_secs(10), || async {
        watcher.query_opt(asleep, &[]).await.unwrap()
    })
    .await;
    cancel(port, key).await;
    assert_eq!(sleep.await.unwrap().sqlstate(), Some("57014"));
}

#[tokio::test]
async fn a_wrong_password_reaches_the_raw_client_as_its_sqlstate() {
    let postgres = Postgres::start().await;
    let mut raw = Raw::connect(postgres.server().port()).await;
    raw.start_up(&[("user", "postgres"), ("database", DATABASE)]).await;
    let refused = raw.authenticate("postgres", "wrong").await.unwrap_err();
    assert_eq!(refused.sqlstate().as_deref(), Some("28P01"));
    assert!(raw.is_closed().await);
}

#[test]
fn a_case_file_becomes_cases_with_steps() {
    let text = "-- a comment\n-- case: one\n-- pgring: SHARD TABLE t BY (id)\nSELECT 1\n  AS a;\n-- expect: error\n\
                -- params: [\"7\", null]\nSELECT $1, $2;\n-- case: two\nSELECT 2;\n";
    let cases = parse("f", text).unwrap();
    assert_eq!(cases.len(), 2);
    assert_eq!(cases[0].name, "f: one");
    assert_eq!(cases[0].steps[0], Step::Admin("SHARD TABLE t BY (id)".to_owned()));
    let parameters = vec![Some("7".to_owned()), None];
    let expected = Statement { parameters, expect: Expect::Error, line: 8, ..Statement::plain("SELECT $1, $2") };
    assert_eq!(cases[0].steps[2], Step::Statement(expected));
    let plain = Step::Statement(Statement { line: 10, ..Statement::plain("SELECT 2") });
    assert_eq!(cases[1].steps, [plain]);

    assert!(parse("f", "SELECT 1;\n").unwrap_err().contains("line 1"));
    assert!(parse("f", "-- case: a\n-- expect: luck\n").unwrap_err().contains("luck"));
    assert!(parse("f", "-- case: a\nSELECT 1\n").is_err());
}

#[tokio::test]
async fn the_oracle_sees_every_kind_of_difference() {
    let postgres = Postgres::start().await;
    let mut raw = Raw::log_in(postgres.server().port(), "postgres", "postgres", DATABASE).await;
    let pairs = [
        ("SELECT 1 AS a", "SELECT 1 AS a", None),
        ("SELECT 1 AS a", "SELECT 1 AS b", Some("columns")),
        ("SELECT 1 AS a", "SELECT 1::bigint AS a", Some("columns")),
        ("SELECT 1 AS a", "SELECT 2 AS a", Some("rows")),
        ("SELECT NULL::int AS a", "SELECT 0 AS a", Some("rows")),
        ("BEGIN", "COMMIT", Some("tag")),
        ("SELECT 1/0", "SELECT 1 FROM nowhere", Some("SQLSTATE")),
        ("SELECT 1/0", "SELECT 1", Some("SQLSTATE")),
        ("SELECT 1/0", "SELECT 2/0", None),
    ];
    for (one, other, expected) in pairs {
        let (one_answer, other_answer) = (Answer::of(&raw.query(one).await), Answer::of(&raw.query(other).await));
        assert_eq!(one_answer.difference(&other_answer, true), expected, "{one} against {other}");
    }
    let [up, down] = ["SELECT * FROM (VALUES (1), (2)) v(n)", "SELECT * FROM (VALUES (2), (1)) v(n)"];
    let (up, down) = (Answer::of(&raw.query(up).await), Answer::of(&raw.query(down).await));
    assert_eq!(up.difference(&down, true), Some("rows"));
    assert_eq!(up.difference(&down, false), None);
}

#[tokio::test]
async fn every_case_means_what_it_says_on_postgresql_itself() {
    for protocol in [Protocol::Simple, Protocol::ExtendedText, Protocol::ExtendedBinary] {
        let postgres = Postgres::start().await;
        let world = World::read("shop");
        assert!(world.statements() >= 120, "only {} statements", world.statements());
        let findings = compare(&world, protocol, &postgres, &[]).await;
        assert!(findings.differences.is_empty(), "{protocol:?}:\n{}", findings.differences.join("\n\n"));
    }
}

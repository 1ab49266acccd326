//! Abuse: scripts of bytes, well-formed or hostile, given to PostgreSQL and to pgring; kinds of messages, SQLSTATEs,
//! severities, texts, rows, status bytes and whether the connection is closed must be the same.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod copying;
mod extended;
mod malformed;
mod mixed;
mod riding;
mod simple;
mod starting;
mod volume;

use std::sync::{Arc, LazyLock};

use pgring_integration_tests::client::{Raw, connect};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::{Step, message, play, query, sync};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

/// How many scripts are played at once.
const AT_ONCE: usize = 4;

/// Who logs in with a password; `postgres` is trusted.
const GUEST: (&str, &str) = ("guest", "welcome");

/// The cluster that all scripts share.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::launch(shards(4).with(
        "[[users]]\nname = \"guest\"\npassword = \"welcome\"\n\
         [[auth.rules]]\nuser = \"postgres\"\nmethod = \"trust\"\n[[auth.rules]]\nmethod = \"scram-sha-256\"",
    ))
});
/// The one PostgreSQL beside it.
static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));
static PREPARED: OnceCell<()> = OnceCell::const_new();

/// Scripts that are answered otherwise, and why. One that is answered alike does not belong here.
const KNOWN: &[(&str, &str)] = &[];

/// Tables that both sides have: three local, one of them for what is committed and one that a single test reads whole; one
/// sharded through pgring.
const TABLES: &str = "CREATE TABLE plain (id int PRIMARY KEY, v text);
    INSERT INTO plain SELECT g, 'v' || g FROM generate_series(1, 5) g;
    CREATE TABLE mixed (id int PRIMARY KEY, v text);
    INSERT INTO mixed SELECT g, 'v' || g FROM generate_series(1, 5) g;
    CREATE TABLE ridden (id int PRIMARY KEY, v text);
    CREATE TABLE sharded (id int PRIMARY KEY, v text);
    INSERT INTO sharded (id, v) VALUES (1, 'v1'); INSERT INTO sharded (id, v) VALUES (2, 'v2');
    INSERT INTO sharded (id, v) VALUES (3, 'v3'); INSERT INTO sharded (id, v) VALUES (4, 'v4');
    INSERT INTO sharded (id, v) VALUES (5, 'v5');";

async fn prepare() {
    PREPARED
        .get_or_init(|| async {
            let oracle = connect(&ORACLE.connection_string(DATABASE)).await;
            oracle.batch_execute(TABLES).await.unwrap();
            oracle.batch_execute("CREATE ROLE guest LOGIN PASSWORD 'welcome'").await.unwrap();
            CLUSTER.on_every_shard("CREATE ROLE guest LOGIN PASSWORD 'welcome'").await;
            // `postgres` is trusted, as the router trusts it, so that thousands of log-ins cost little.
            let file: String = oracle.query_one("SHOW hba_file", &[]).await.unwrap().get(0);
            let rules = format!(
                "COPY (VALUES ('host all postgres 127.0.0.1/32 trust'), ('host all all 127.0.0.1/32 scram-sha-256')) \
                 TO '{file}'"
            );
            oracle.batch_execute(&rules).await.unwrap();
            oracle.batch_execute("SELECT pg_reload_conf()").await.unwrap();
            CLUSTER.admin("SHARD TABLE sharded BY (id)").await;
            let client = CLUSTER.client().await;
            for statement in TABLES.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                client.batch_execute(statement).await.unwrap();
            }
        })
        .await;
}

/// A script with a name.
struct Case {
    name: String,
    steps: Vec<Step>,
    /// Whether it speaks before there is a session.
    before_log_in: bool,
}

/// Messages that are sent in one piece after the log-in.
fn sent(name: &str, messages: &[Vec<u8>]) -> Case {
    steps(name, vec![Step::Send(messages.concat())])
}

/// Several pieces, each waited for as it says.
fn steps(name: &str, steps: Vec<Step>) -> Case {
    Case { name: name.to_owned(), steps, before_log_in: false }
}

/// Queries, one after the other.
fn queries(name: &str, texts: &[&str]) -> Case {
    let steps = texts.iter().flat_map(|text| [Step::Send(query(text)), Step::Until(b'Z', 1)]);
    self::steps(name, steps.collect())
}

/// What shows whether a session still serves, and in which state it is: a Sync, the end of a transaction, a row.
fn probe() -> Vec<u8> {
    [sync(), query("ROLLBACK"), query("SELECT 7 AS abuse_probe")].concat()
}

async fn play_on(port: u16, case: &Case) -> Vec<String> {
    let mut raw = Raw::connect(port).await;
    if case.before_log_in {
        return play(&mut raw, &case.steps).await;
    }
    raw.start_up(&[("user", "postgres"), ("database", DATABASE)]).await;
    raw.authenticate("postgres", "postgres").await.unwrap();
    let mut answers = play(&mut raw, &case.steps).await;
    let is_over = |answers: &[String]| answers.last().is_some_and(|last| last == "closed" || last == "silence");
    if is_over(&answers) {
        return answers;
    }
    let _ = raw.send(&probe()).await;
    while !is_over(&answers) && !answers.iter().any(|answer| answer.starts_with("T abuse_probe")) {
        answers.extend(play(&mut raw, &[Step::Until(b'Z', 1)]).await);
    }
    answers
}

/// Plays all cases on both sides, several at once, and names every one that differs.
async fn same(cases: Vec<Case>) {
    prepare().await;
    let (seats, mut playing) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for case in cases {
        let seats = seats.clone();
        playing.spawn(async move {
            let _seat = seats.acquire().await.unwrap();
            let expected = play_on(ORACLE.port(), &case).await;
            let answered = play_on(CLUSTER.router().port(), &case).await;
            (case, expected, answered)
        });
    }
    let mut played: Vec<(Case, Vec<String>, Vec<String>)> = playing.join_all().await;
    for (_, _, answered) in &mut played {
        without_farewell(answered);
    }
    let is_known = |case: &Case| KNOWN.iter().any(|(known, _)| *known == case.name);
    let (differing, alike): (Vec<_>, Vec<_>) = played.iter().partition(|(_, expected, answered)| expected != answered);
    let outdated: Vec<&str> =
        alike.into_iter().filter(|(case, ..)| is_known(case)).map(|(case, ..)| &*case.name).collect();
    let differing: Vec<String> = differing
        .into_iter()
        .filter(|(case, ..)| !is_known(case))
        .map(|(case, expected, answered)| difference(&case.name, expected, answered))
        .collect();
    assert!(differing.is_empty(), "{} of {} differ\n{}", differing.len(), played.len(), differing.join("\n"));
    assert!(outdated.is_empty(), "answered alike, and to be taken off the list of what is not: {outdated:#?}");
}

/// PostgreSQL closes the connection on a broken length without a word; pgring says why before it does the same.
fn without_farewell(answered: &mut Vec<String>) {
    if answered.last().is_some_and(|last| last == "closed") {
        answered.retain(|answer| answer != "E FATAL FATAL 08P01 invalid message length");
    }
}

fn difference(name: &str, expected: &[String], answered: &[String]) -> String {
    let same = expected.iter().zip(answered).take_while(|(expected, answered)| expected == answered).count();
    let rest =
        |answers: &[String]| answers.iter().skip(same).map(|answer| format!("\n      {answer}")).collect::<String>();
    format!("--- {name} (after {same} equal)\n    PostgreSQL:{}\n    pgring:{}", rest(expected), rest(answered))
}

/// A message with a length word of its own.
fn with_length(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// A message whose body lacks its last byte, its length being right.
fn cut(whole: &[u8]) -> Vec<u8> {
    message(whole[0], &whole[5..whole.len() - 1])
}

/// A message with one byte more than it should have, its length being right.
fn longer(whole: &[u8]) -> Vec<u8> {
    message(whole[0], &[&whole[5..], b"!"].concat())
}

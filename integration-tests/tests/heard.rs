//! What a client hears that it did not ask for just then: notices about its start-up packet, the end of a connection that
//! waits in a transaction, the end by an administrator; and that a driver which reads rows by an old description is told.
//! Each runs on one PostgreSQL and through pgring in transaction mode; both must say the same.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use pgring_integration_tests::client::{Raw, bind_text, connect};
use pgring_integration_tests::faults::{eventually, within};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;
use postgres_protocol::message::frontend;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(2)));
static POSTGRES: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));
const SOON: Duration = Duration::from_secs(10);

/// Where PostgreSQL listens, and where pgring does.
fn ports() -> [u16; 2] {
    [POSTGRES.port(), CLUSTER.router().port()]
}

fn address(port: u16) -> String {
    format!("host=127.0.0.1 port={port} dbname={DATABASE} user=postgres password=postgres")
}

/// Logs in with parameters of the start-up packet.
async fn raw(port: u16, parameters: &[(&str, &str)]) -> Raw {
    let mut raw = Raw::connect(port).await;
    let who = [("user", "postgres"), ("database", DATABASE)];
    raw.start_up(&who.iter().chain(parameters).copied().collect::<Vec<_>>()).await;
    raw.authenticate("postgres", "postgres").await.unwrap();
    raw
}

/// What comes until the connection ends.
async fn rest(raw: &mut Raw) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(frame) = within(SOON, raw.read()).await {
        let fields = frame.fields();
        let field = |code: u8| fields.get(&code).cloned().unwrap_or_default();
        heard.push(match frame.tag {
            b'E' | b'N' => format!("{} {} {}", field(b'S'), field(b'C'), field(b'M')),
            tag => char::from(tag).to_string(),
        });
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_the_start_up_packet_that_is_cut_is_told() {
    let long = "ä".repeat(40); // 80 bytes; a character lies across the 63rd
    for (options, told) in [("", 1), ("-c client_min_messages=warning", 0)] {
        let mut all = Vec::new();
        for port in ports() {
            let connection = format!("{} application_name={long} options='{options}'", address(port));
            let (client, mut connection) = tokio_postgres::connect(&connection, NoTls).await.unwrap();
            let mut notices = Vec::new();
            let query = async { client.query_one("SELECT current_setting('application_name')", &[]).await };
            let mut query = std::pin::pin!(query);
            let name = loop {
                tokio::select! {
                    row = &mut query => break row.unwrap().get::<_, String>(0),
                    message = std::future::poll_fn(|context| connection.poll_message(context)) => {
                        if let Some(Ok(AsyncMessage::Notice(notice))) = message {
                            notices.push(format!("{} {} {}", notice.severity(), notice.code().code(), notice.message()));
                        }
                    }
                }
            };
            assert_eq!(notices.len(), told, "{notices:?}");
            all.push((notices, name));
        }
        assert_eq!(all[0], all[1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_the_start_up_packet_come_before_its_settings() {
    for order in [["options", "lock_timeout"], ["lock_timeout", "options"]] {
        let mut all = Vec::new();
        for port in ports() {
            let parameters = order.map(|name| (name, if name == "options" { "-c lock_timeout=1s" } else { "5s" }));
            let mut raw = raw(port, &parameters).await;
            all.push(raw.query("SHOW lock_timeout").await.iter().map(|frame| frame.body.clone()).collect::<Vec<_>>());
        }
        assert_eq!(all[0], all[1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_idle_transaction_is_heard_at_once() {
    let mut all = Vec::new();
    for port in ports() {
        let mut raw = raw(port, &[("idle_in_transaction_session_timeout", "300")]).await;
        raw.query("BEGIN").await;
        raw.query("SELECT 1").await;
        all.push(rest(&mut raw).await);
    }
    assert_eq!(all[0], ["FATAL 25P03 terminating connection due to idle-in-transaction timeout"]);
    assert_eq!(all[0], all[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_pinned_backend_is_heard_at_once() {
    let mut all = Vec::new();
    for port in ports() {
        let mut raw = raw(port, &[("application_name", "pinned")]).await;
        raw.query("CREATE TEMP TABLE heard_temp (a int)").await;
        let server = if port == POSTGRES.port() { &*POSTGRES } else { CLUSTER.shard(0) };
        let admin = connect(&server.connection_string(DATABASE)).await;
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE '%pinned'";
        assert_eq!(admin.query_one(end, &[]).await.unwrap().get::<_, i64>(0), 1);
        all.push(rest(&mut raw).await);
    }
    assert_eq!(all[0], ["FATAL 57P01 terminating connection due to administrator command"]);
    assert_eq!(all[0], all[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_ended_while_a_statement_runs_hears_of_that_alone() {
    let mut all = Vec::new();
    for port in ports() {
        let mut raw = raw(port, &[]).await;
        let (pid, _) = raw.cancel_key.unwrap();
        raw.send_with(|out| frontend::query("SELECT 'heard' FROM pg_sleep(30)", out)).await;
        let other = connect(&address(port)).await;
        eventually("the statement to run", SOON, || async {
            let running =
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT ''heard''%' AND wait_event = 'PgSleep'";
            other.query_opt(running, &[]).await.unwrap()
        })
        .await;
        let ended = other.query_one("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
        assert!(ended.get::<_, bool>(0));
        all.push(rest(&mut raw).await);
    }
    assert_eq!(all[0], ["T", "FATAL 57P01 terminating connection due to administrator command"]);
    assert_eq!(all[0], all[1]);
}

/// The routine that raised the error of a Bind to a statement which DISCARD ALL has taken: drivers prepare anew by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_statement_is_said_to_be_unknown_by_postgresqls_routine() {
    let mut all = Vec::new();
    for port in ports() {
        let mut raw = raw(port, &[]).await;
        raw.send_with(|out| {
            frontend::parse("gone", "SELECT 1", [], out)?;
            frontend::sync(out);
            Ok(())
        })
        .await;
        raw.read_until_ready().await;
        raw.query("DISCARD ALL").await;
        raw.send_with(|out| {
            bind_text("", "gone", &[], false, out);
            frontend::sync(out);
            Ok(())
        })
        .await;
        let frames = raw.read_until_ready().await;
        let fields = frames.first().unwrap().fields();
        all.push([b'C', b'M', b'R'].map(|code| fields.get(&code).cloned()));
    }
    assert_eq!(all[0][2].as_deref(), Some("FetchPreparedStatement"));
    assert_eq!(all[0], all[1]);
}

/// Clients that hold the backends which were used so far.
async fn crowd(port: u16) -> Vec<Client> {
    let begin = async |_| {
        let client = connect(&address(port)).await;
        client.batch_execute("BEGIN; SELECT 1").await.unwrap();
        client
    };
    join_all((0..4).map(begin)).await
}

/// The error of a described statement after a change of schema, the rows after it was prepared anew.
async fn after_change(client: &Client, statement: &Statement, sql: &str) -> (Option<(SqlState, String)>, Vec<String>) {
    let error = client.query(statement, &[&1_i32]).await.err();
    let error = error.and_then(|error| error.as_db_error().map(|db| (db.code().clone(), db.message().to_owned())));
    let anew = client.prepare(sql).await.unwrap();
    client.query(&anew, &[&1_i32]).await.unwrap();
    (error, anew.columns().iter().map(|column| format!("{} {}", column.name(), column.type_())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_described_statement_whose_rows_have_changed_is_refused_on_every_backend() {
    let changes = [
        ("same", "ALTER TABLE heard_same ALTER COLUMN a TYPE text"),
        ("more", "ALTER TABLE heard_more ADD COLUMN c int"),
        ("renamed", "ALTER TABLE heard_renamed RENAME COLUMN a TO z"),
        ("equal", "CREATE INDEX ON heard_equal (a)"),
        (
            "again",
            "DROP TABLE heard_again; CREATE TABLE heard_again (id int, a int); INSERT INTO heard_again VALUES (1, 1)",
        ),
    ];
    for elsewhere in [false, true] {
        for (table, change) in changes {
            let mut all = Vec::new();
            for port in ports() {
                let (client, other) = (connect(&address(port)).await, connect(&address(port)).await);
                let make = "DROP TABLE IF EXISTS heard_#; CREATE TABLE heard_# (id int, a int); INSERT INTO heard_# VALUES (1, 1)";
                other.batch_execute(&make.replace('#', table)).await.unwrap();
                for sql in
                    ["SELECT * FROM heard_# WHERE id = $1", "UPDATE heard_# SET id = id WHERE id = $1 RETURNING *"]
                {
                    let sql = sql.replace('#', table);
                    let statement = client.prepare(&sql).await.unwrap();
                    assert_eq!(client.query(&statement, &[&1_i32]).await.unwrap().len(), 1);
                    let held = if elsewhere { crowd(port).await } else { Vec::new() };
                    other.batch_execute(change).await.unwrap();
                    all.push((port == POSTGRES.port(), after_change(&client, &statement, &sql).await));
                    drop(held);
                    other.batch_execute(&make.replace('#', table)).await.unwrap();
                }
            }
            let of = |direct: bool| all.iter().filter(|(d, _)| *d == direct).map(|(_, seen)| seen).collect::<Vec<_>>();
            assert_eq!(of(true), of(false), "{change}, on another backend: {elsewhere}");
            let refused = of(true).iter().all(|(error, _)| error.is_some());
            assert_eq!(refused, !["equal", "again"].contains(&table), "{change}: {all:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_described_statement_follows_changes_of_its_own_transaction() {
    let mut all = Vec::new();
    for port in ports() {
        let client = connect(&address(port)).await;
        client
            .batch_execute("CREATE TABLE heard_own (id int, a int); INSERT INTO heard_own VALUES (1, 1)")
            .await
            .unwrap();
        let statement = client.prepare("SELECT * FROM heard_own WHERE id = $1").await.unwrap();
        let held = crowd(port).await;
        client.batch_execute("BEGIN; ALTER TABLE heard_own ADD COLUMN b int").await.unwrap();
        let error = client.query(&statement, &[&1_i32]).await.unwrap_err();
        client.batch_execute("ROLLBACK").await.unwrap();
        drop(held);
        let rows = client.query(&statement, &[&1_i32]).await.unwrap();
        all.push((error.code().cloned(), rows.len(), rows[0].len()));
    }
    assert_eq!(all[0], (Some(SqlState::FEATURE_NOT_SUPPORTED), 1, 2));
    assert_eq!(all[0], all[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_described_statement_follows_the_search_path() {
    let mut all = Vec::new();
    for port in ports() {
        let client = connect(&address(port)).await;
        let make = "CREATE SCHEMA heard_a; CREATE TABLE heard_a.t (n int); CREATE SCHEMA heard_b; CREATE TABLE heard_b.t (n text);
                    INSERT INTO heard_a.t VALUES (1); INSERT INTO heard_b.t VALUES ('one'); SET search_path = heard_a";
        client.batch_execute(make).await.unwrap();
        let statement = client.prepare("SELECT * FROM t").await.unwrap();
        assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0), 1);
        let held = crowd(port).await;
        client.batch_execute("SET search_path = heard_b").await.unwrap();
        let error = client.query_one(&statement, &[]).await.unwrap_err();
        client.batch_execute("SET search_path = heard_a").await.unwrap();
        let row = client.query_one(&statement, &[]).await.unwrap();
        drop(held);
        all.push((error.code().cloned(), row.get::<_, i32>(0)));
    }
    assert_eq!(all[0], (Some(SqlState::FEATURE_NOT_SUPPORTED), 1));
    assert_eq!(all[0], all[1]);
}

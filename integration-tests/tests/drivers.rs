//! The drivers that applications use, through pgring with four shards: psycopg 3, asyncpg and node-postgres run their
//! scripts of `integration-tests/drivers/`, tokio-postgres runs here.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use pgring_integration_tests::client::{connect, describe};
use pgring_integration_tests::drivers::{NODE, PYTHON, node, python, scripts};
use pgring_integration_tests::faults::within;
use pgring_integration_tests::program::{self, Ended};
use pgring_integration_tests::{Cluster, shards};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// How long a script may take; its steps have limits of their own.
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);
/// How many customers the shop has: enough that each of four shards holds some.
const CUSTOMERS: std::ops::RangeInclusive<i64> = 1..=40;
/// How many connections work at once.
const CROWD: i64 = 16;

/// One cluster for all drivers; each has tables of its own.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(4)));

/// Runs a script against the cluster; every step must be ok.
async fn run_script(mut command: Command, need: &str) {
    let port = CLUSTER.router().port();
    command.env("PGRING_DSN", format!("postgresql://postgres:postgres@127.0.0.1:{port}/app"));
    let ended = program::start(command, "", need).end(SCRIPT_LIMIT).await;
    assert!(all_steps_ok(&ended), "{ended}\n--- the router's log ---\n{}", CLUSTER.router().log());
}

/// Whether the script ended well, and did not end well by doing nothing.
fn all_steps_ok(ended: &Ended) -> bool {
    let mut lines = ended.out.lines().peekable();
    ended.code == Some(0) && lines.peek().is_some() && lines.all(|line| line.starts_with("ok "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psycopg_runs_a_shop() {
    let mut command = Command::new(python().await);
    command.arg(scripts().join("psycopg_shop.py"));
    run_script(command, PYTHON).await;
}

/// The lines of a script that prints what it finds.
async fn findings(script: &str, port: u16) -> Vec<String> {
    let mut command = Command::new(python().await);
    command.arg(scripts().join("psycopg").join(script));
    command.env("PGRING_DSN", format!("postgresql://postgres:postgres@127.0.0.1:{port}/app"));
    let ended = program::start(command, "", PYTHON).end(SCRIPT_LIMIT).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.out.lines().map(str::to_owned).collect()
}

/// What psycopg finds is the same on PostgreSQL and through pgring, where clients share few backends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psycopg_finds_no_difference() {
    const PREPARED: (&str, &str) = ("max_prepared_transactions", "20");
    let options = pgring_integration_tests::postgres::test_options().setting(PREPARED.0, PREPARED.1);
    let oracle = pgring_integration_tests::postgres::start_servers(1, &options).remove(0);
    let few = shards(2).with("[pool]\nsize = 6").server_setting(PREPARED.0, PREPARED.1);
    let cluster = Cluster::start(few).await;
    for script in ["sessions.py", "statements.py", "values.py"] {
        let expected = findings(script, oracle.port()).await;
        let found = findings(script, cluster.router().port()).await;
        assert!(expected.len() > 120, "{script}: {expected:?}");
        let pairs = expected.iter().zip(&found).filter(|(expected, found)| expected != found);
        let differences: Vec<_> =
            pairs.map(|(expected, found)| format!("PostgreSQL: {expected}\npgring:     {found}")).collect();
        assert!(expected == found, "{script}, {} lines:\n{}", found.len(), differences.join("\n\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asyncpg_runs_a_shop() {
    let mut command = Command::new(python().await);
    command.arg(scripts().join("asyncpg_shop.py"));
    run_script(command, PYTHON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_postgres_runs_a_shop() {
    run_script(node("node_postgres_shop.mjs").await, NODE).await;
}

/// A client of the shop's cluster.
async fn client() -> Client {
    CLUSTER.client().await
}

/// Makes customers under a prefix of the test's own, and one order for each.
async fn shop(prefix: &str) -> Client {
    let client = client().await;
    for table in ["customers", "orders"] {
        let command = format!("CALL pgring.admin('SHARD TABLE {prefix}_{table} BY (customer_id)')");
        let answer = client.simple_query(&command).await;
        answer.unwrap_or_else(|error| panic!("{command}: {}", describe(&error)));
    }
    let tables = format!(
        "CREATE TABLE {prefix}_customers (customer_id bigint PRIMARY KEY, name text NOT NULL, note text);
         CREATE TABLE {prefix}_orders (customer_id bigint REFERENCES {prefix}_customers, order_id integer,
             cents integer NOT NULL, PRIMARY KEY (customer_id, order_id))"
    );
    client.batch_execute(&tables).await.unwrap();
    let customer = format!("INSERT INTO {prefix}_customers (customer_id, name) VALUES ($1, $2)");
    let order = format!("INSERT INTO {prefix}_orders VALUES ($1, 1, $2)");
    for key in CUSTOMERS {
        assert_eq!(client.execute(&customer, &[&key, &name_of(key)]).await.unwrap(), 1);
        assert_eq!(client.execute(&order, &[&key, &cents_of(key)]).await.unwrap(), 1);
    }
    client
}

fn name_of(key: i64) -> String {
    format!("customer {key:02}")
}

fn cents_of(key: i64) -> i32 {
    i32::try_from(key).unwrap() * 7
}

/// The SQLSTATE that an operation ended with.
fn code<T: std::fmt::Debug>(answer: Result<T, tokio_postgres::Error>) -> SqlState {
    let error = answer.expect_err("an error was expected");
    error.code().unwrap_or_else(|| panic!("an error of the server, not {error}")).clone()
}

/// A key whose shard is not that of key 1.
async fn elsewhere(client: &Client, table: &str) -> i64 {
    let sql = format!("SELECT pgring.shard_of('{table}', $1::bigint)");
    let home: String = client.query_one(&sql, &[&1_i64]).await.unwrap().get(0);
    for key in CUSTOMERS {
        if client.query_one(&sql, &[&key]).await.unwrap().get::<_, String>(0) != home {
            return key;
        }
    }
    panic!("all customers live on {home}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_selects_by_key_and_over_all_shards() {
    let client = shop("tsel").await;
    let by_key = client.prepare("SELECT name, note FROM tsel_customers WHERE customer_id = $1").await.unwrap();
    assert_eq!(by_key.params(), [Type::INT8]);
    let kinds: Vec<&Type> = by_key.columns().iter().map(tokio_postgres::Column::type_).collect();
    assert_eq!(kinds, [&Type::TEXT, &Type::TEXT]);
    for key in CUSTOMERS {
        let row = client.query_one(&by_key, &[&key]).await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (name_of(key), None::<String>));
        let between: i64 = client.query_one("SELECT count(*) FROM tsel_orders", &[]).await.unwrap().get(0);
        assert_eq!(between, 40);
    }
    assert!(client.query(&by_key, &[&None::<i64>]).await.unwrap().is_empty());
    drop(by_key); // closes it; the next statement must not notice
    let keys = vec![3_i64, 11, 19, 27, 35];
    let rows = client.query("SELECT name FROM tsel_customers WHERE customer_id = ANY($1)", &[&keys]).await.unwrap();
    let mut names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    names.sort();
    assert_eq!(names, keys.iter().map(|key| name_of(*key)).collect::<Vec<_>>());
    let row = client.query_one("SELECT sum(cents), min(cents), max(cents) FROM tsel_orders", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1), row.get::<_, i32>(2)), (7 * 820, 7, 280));
    let best = "SELECT customer_id FROM tsel_orders ORDER BY cents DESC LIMIT $1 OFFSET $2";
    let rows = client.query(best, &[&3_i64, &2_i64]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [38, 37, 36]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_runs_transactions() {
    let mut client = shop("ttra").await;
    let there = elsewhere(&client, "ttra_orders").await;
    let update = "UPDATE ttra_customers SET note = $2 WHERE customer_id = $1";
    let note = "SELECT note FROM ttra_customers WHERE customer_id = $1";
    let transaction = client.transaction().await.unwrap();
    assert_eq!(transaction.execute(update, &[&1_i64, &"kept"]).await.unwrap(), 1);
    transaction.commit().await.unwrap();

    let mut transaction = client.transaction().await.unwrap();
    transaction.execute(update, &[&1_i64, &"lost"]).await.unwrap();
    let savepoint = transaction.savepoint("attempt").await.unwrap();
    let twice = savepoint.execute("INSERT INTO ttra_orders VALUES ($1, 1, 0)", &[&1_i64]).await;
    assert_eq!(code(twice), SqlState::UNIQUE_VIOLATION);
    savepoint.rollback().await.unwrap();
    let found: Option<String> = transaction.query_one(note, &[&1_i64]).await.unwrap().get(0);
    assert_eq!(found.as_deref(), Some("lost"));
    transaction.rollback().await.unwrap();

    let transaction = client.transaction().await.unwrap();
    transaction.execute(update, &[&1_i64, &"half"]).await.unwrap();
    assert_eq!(transaction.execute(update, &[&there, &"half"]).await.unwrap(), 1);
    transaction.rollback().await.unwrap();
    let found: Option<String> = client.query_one(note, &[&1_i64]).await.unwrap().get(0);
    assert_eq!(found.as_deref(), Some("kept"));

    let transaction = client.transaction().await.unwrap();
    let portal =
        transaction.bind("SELECT generate_series(1, cents) FROM ttra_orders WHERE customer_id = $1", &[&1_i64]);
    let portal = portal.await.unwrap();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        sizes.push(transaction.query_portal(&portal, 3).await.unwrap().len());
    }
    assert_eq!(sizes, [3, 3, 1, 0]);
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_pipelines_statements_of_many_keys() {
    let client = shop("tpip").await;
    let by_key = client.prepare("SELECT name FROM tpip_customers WHERE customer_id = $1").await.unwrap();
    let (client, by_key) = (std::sync::Arc::new(client), std::sync::Arc::new(by_key));
    let tasks: Vec<_> = CUSTOMERS
        .map(|key| {
            let (client, by_key) = (client.clone(), by_key.clone());
            tokio::spawn(async move { client.query_one(&*by_key, &[&key]).await.unwrap().get::<_, String>(0) })
        })
        .collect();
    for (key, task) in CUSTOMERS.zip(tasks) {
        assert_eq!(within(Duration::from_secs(20), task).await.unwrap(), name_of(key));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_sees_the_codes_of_errors() {
    let client = shop("terr").await;
    let duplicate = client.execute("INSERT INTO terr_customers VALUES ($1, 'again')", &[&1_i64]).await;
    assert_eq!(code(duplicate), SqlState::UNIQUE_VIOLATION);
    assert_eq!(code(client.query("SELECT * FROM terr_nothing", &[]).await), SqlState::UNDEFINED_TABLE);
    let by_zero = "SELECT 1 / (cents - cents) FROM terr_orders WHERE customer_id = $1";
    assert_eq!(code(client.query(by_zero, &[&1_i64]).await), SqlState::DIVISION_BY_ZERO);
    assert_eq!(
        code(client.query("SELECT sum(1 / (cents - cents)) FROM terr_orders", &[]).await),
        SqlState::DIVISION_BY_ZERO
    );
    assert_eq!(code(client.simple_query("SELEC 1").await), SqlState::SYNTAX_ERROR);
    let count: i64 = client.query_one("SELECT count(*) FROM terr_orders", &[]).await.unwrap().get(0);
    assert_eq!(count, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_cancels_a_statement() {
    let client = client().await;
    let token = client.cancel_token();
    let sleep = tokio::spawn(async move { (code(client.query("SELECT pg_sleep(60)", &[]).await), client) });
    let watcher = CLUSTER.shard_client(0).await;
    let asleep = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active' \
                  AND wait_event = 'PgSleep'";
    pgring_integration_tests::faults::eventually("the statement to run", Duration::from_secs(10), || async {
        watcher.query_opt(asleep, &[]).await.unwrap()
    })
    .await;
    token.cancel_query(NoTls).await.unwrap();
    let (sqlstate, client) = within(Duration::from_secs(5), sleep).await.unwrap();
    assert_eq!(sqlstate, SqlState::QUERY_CANCELED);
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_hears_notifications() {
    let connection = CLUSTER.connection_string("app");
    let (hears, mut stream) = tokio_postgres::connect(&connection, NoTls).await.unwrap();
    let (heard, mut notes) = mpsc::unbounded_channel();
    let reader = tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| stream.poll_message(context)).await {
            if let AsyncMessage::Notification(note) = message {
                heard.send((note.channel().to_owned(), note.payload().to_owned())).unwrap();
            }
        }
    });
    hears.batch_execute("LISTEN tokio_news").await.unwrap();
    client().await.execute("SELECT pg_notify($1, $2)", &[&"tokio_news", &"zweite ü"]).await.unwrap();
    let note = within(Duration::from_secs(10), notes.recv()).await.unwrap();
    assert_eq!(note, ("tokio_news".to_owned(), "zweite ü".to_owned()));
    drop(hears);
    within(Duration::from_secs(5), reader).await.unwrap();
}

/// One of many connections: writes, reads its own and all, fails on purpose, keeps its settings.
async fn work(number: i64) {
    let client = connect(&CLUSTER.connection_string("app")).await;
    client.batch_execute(&format!("SET application_name = 'crowd {number}'")).await.unwrap();
    let own = client.prepare("SELECT note FROM tcro_customers WHERE customer_id = $1").await.unwrap();
    for turn in 0..25 {
        let key = 1000 + number * 100 + turn;
        let (name, note) = (name_of(key), format!("{number}:{turn}"));
        let insert = "INSERT INTO tcro_customers VALUES ($1, $2, $3)";
        client.execute(insert, &[&key, &name, &note]).await.unwrap();
        assert_eq!(client.query_one(&own, &[&key]).await.unwrap().get::<_, String>(0), note);
        let by_zero = "SELECT 1 / (customer_id - customer_id) FROM tcro_customers WHERE customer_id = $1";
        assert_eq!(code(client.query(by_zero, &[&key]).await), SqlState::DIVISION_BY_ZERO);
        let mine = "SELECT count(*) FROM tcro_customers WHERE customer_id >= $1 AND customer_id < $2";
        let row = client.query_one(mine, &[&(1000 + number * 100), &(1100 + number * 100)]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), turn + 1);
        let row = client.query_one("SELECT current_setting('application_name')", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("crowd {number}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_works_on_sixteen_connections_at_once() {
    let client = shop("tcro").await;
    let tasks: Vec<_> = (0..CROWD).map(|number| tokio::spawn(work(number))).collect();
    for task in tasks {
        within(Duration::from_secs(60), task).await.unwrap();
    }
    let count: i64 = client.query_one("SELECT count(*) FROM tcro_customers", &[]).await.unwrap().get(0);
    assert_eq!(count, 40 + CROWD * 25);
}

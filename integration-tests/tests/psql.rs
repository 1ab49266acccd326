//! psql through pgring with four shards: what it shows is what it shows of one PostgreSQL; copies of tables; the tab key;
//! Ctrl-C; refused log-ins.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pgring_integration_tests::client::try_connect;
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::postgres::{DATABASE, binaries};
use pgring_integration_tests::program::{self, Ended, Running};
use pgring_integration_tests::{Cluster, Postgres, shards};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// How long a psql script may take.
const LIMIT: Duration = Duration::from_secs(60);
const NEED: &str = "psql (Debian, Ubuntu: apt-get install postgresql-client)";
const PYTHON: &str = "Python 3.9 or newer (Debian, Ubuntu: apt-get install python3)";

/// The tables that psql looks at; no test changes them.
const TABLES: &str = "
CREATE TABLE psql_customers (customer_id bigint PRIMARY KEY, name text NOT NULL, note text DEFAULT 'new');
CREATE TABLE psql_orders (customer_id bigint REFERENCES psql_customers, order_id integer, total numeric(10,2) NOT NULL,
    placed timestamptz NOT NULL DEFAULT '2026-01-01 00:00Z', PRIMARY KEY (customer_id, order_id), CHECK (total >= 0));
CREATE INDEX psql_orders_placed ON psql_orders (placed DESC);
COMMENT ON TABLE psql_orders IS 'what customers ordered';
CREATE TABLE psql_products (product_id integer PRIMARY KEY, title text NOT NULL);
CREATE TABLE psql_notes (id integer PRIMARY KEY, body text);
CREATE VIEW psql_long_notes AS SELECT id, body FROM psql_notes WHERE length(body) > 5;
CREATE FUNCTION psql_twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE TYPE psql_mood AS ENUM ('sad', 'happy');
";

/// A cluster, and one PostgreSQL with the same tables and the same customers.
struct World {
    cluster: Cluster,
    postgres: Postgres,
}

/// The world of this suite.
async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD.get_or_init(make_world).await
}

async fn make_world() -> World {
    let (cluster, postgres) = (Cluster::start(shards(4)).await, Postgres::start().await);
    let sharded = ["psql_customers", "psql_orders", "copy_from", "copy_into"];
    for table in sharded {
        cluster.admin(&format!("SHARD TABLE {table} BY (customer_id)")).await;
    }
    for table in ["psql_products", "copy_products"] {
        cluster.admin(&format!("REFERENCE TABLE {table}")).await;
    }
    for client in [cluster.client().await, postgres.client().await] {
        client.batch_execute(TABLES).await.unwrap();
        let insert = "INSERT INTO psql_customers (customer_id, name) VALUES ($1, $2)";
        for key in 1..=40_i64 {
            client.execute(insert, &[&key, &format!("customer {key:02}")]).await.unwrap();
        }
    }
    World { cluster, postgres }
}

/// Starts psql with a script on its standard input.
fn start(port: u16, password: &str, database: &str, script: &str) -> Running {
    let beside = binaries().program("psql");
    let mut command = Command::new(if beside.is_file() { beside.as_path() } else { Path::new("psql") });
    command.args(["-X", "-h", "127.0.0.1", "-U", "postgres", "-d", database, "-p", &port.to_string()]);
    command.env("PGPASSWORD", password).env("PGCONNECT_TIMEOUT", "10").env("LC_ALL", "C.UTF-8");
    program::start(command, script, NEED)
}

/// What psql shows for a script through pgring.
async fn psql(script: &str) -> Ended {
    let port = world().await.cluster.router().port();
    start(port, "postgres", DATABASE, script).end(LIMIT).await
}

/// What psql shows for a script through pgring, where nothing may fail.
async fn shown(script: &str) -> String {
    let ended = psql(script).await;
    assert!(ended.code == Some(0) && ended.err.is_empty(), "{script}\n{ended}");
    ended.out
}

/// Runs one command after the other on one PostgreSQL and through pgring: psql must show the same.
async fn same(preamble: &str, commands: &[&str]) {
    let world = world().await;
    let ports = [world.postgres.server().port(), world.cluster.router().port()];
    let mut different = Vec::new();
    for command in commands {
        let script = format!("{preamble}\n{command}\n");
        let [wanted, found] = ports.map(|port| start(port, "postgres", DATABASE, &script));
        let (wanted, found) = (wanted.end(LIMIT).await, found.end(LIMIT).await);
        assert!(!wanted.out.is_empty() || !wanted.err.is_empty(), "{command} shows nothing: it tests nothing");
        if comparable(&wanted, &found) != comparable(&found, &found) {
            different.push(format!("=== {command}\n--- PostgreSQL\n{wanted}\n--- pgring\n{found}"));
        }
    }
    assert!(different.is_empty(), "{} of {} differ\n{}", different.len(), commands.len(), different.join("\n"));
}

/// What must be equal. An error that pgring itself raises may have its own number for DETAIL, and has no
/// file of PostgreSQL's source.
fn comparable(ended: &Ended, found: &Ended) -> String {
    let is_number = |line: &str| line.strip_prefix("DETAIL:  PGR-").is_some_and(|number| number.len() == 4);
    let without_file = |line: &str| line.starts_with("LOCATION:") && !line.contains(".c:");
    let raised_by_pgring = found.err.lines().any(|line| is_number(line) || without_file(line));
    let is_compared = |line: &&str| !raised_by_pgring || !(is_number(line) || line.starts_with("LOCATION:"));
    let err: Vec<&str> = ended.err.lines().filter(is_compared).collect();
    format!("{:?}\n{}{}", ended.code, ended.out, err.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptions_are_those_of_one_postgresql() {
    let commands = [
        r"\d psql_customers",
        r"\d psql_orders",
        r"\d+ psql_orders",
        r"\d psql_products",
        r"\d psql_long_notes",
        r"\d+ psql_long_notes",
        r"\d psql_*",
        r"\dt psql_*",
        r"\dt+ psql_*",
        r"\di+ psql_*",
        r"\dv psql_*",
        r"\df psql_*",
        r"\sf psql_twice",
        r"\dT+ psql_*",
        r"\dd psql_*",
        r"\dp psql_*",
        r"\dn public",
        r"\du",
        r"\dx",
        r"\dconfig work_mem",
        r"\encoding",
        r"\l",
        r"\l+ template*",
        r"\d nothing",
        r"\h ROLLBACK",
    ];
    same("", &commands).await;
    let tables = shown("\\d\n\\dt+\n").await;
    for name in ["psql_customers", "psql_orders", "psql_products", "psql_notes", "psql_long_notes"] {
        assert!(tables.contains(name), "no {name} in\n{tables}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_point_at_their_place() {
    let commands = [
        "SELECT nothing FROM psql_customers WHERE customer_id = 1;",
        "SELECT name\n  FROM psql_customers\n WHERE customer_id = 1 AND nothing = 2;",
        "SELECT count(nothing) FROM psql_customers;",
        "SELECT name FROM psql_customers WHERE customer_id IN (1, 2, 3, 4, 5) AND nothing;",
        "SELECT customer_id FROM psql_customers ORDER BY nothing LIMIT 3;",
        "SELECT * FROM nothing;",
        "SELEC 1;",
        "SELECT FROM psql_customers WHERE;",
        "SELECT 'x'::integer;",
        "SELECT * FROM psql_customers WHERE customer_id = 'x';",
        "SELECT 1 / 0;",
        "SELECT 1 / (customer_id - 3) FROM psql_customers WHERE customer_id = 3;",
        "SELECT psql_twice('x');",
        "SELECT psql_thrice(1);",
        "INSERT INTO psql_customers (customer_id, name) VALUES (1, 'again');",
        "INSERT INTO psql_customers (customer_id, name) VALUES (41, NULL);",
        "INSERT INTO psql_customers (customer_id, nothing) VALUES (41, NULL);",
        "INSERT INTO psql_orders (customer_id, order_id, total) VALUES (999, 1, 1);",
        "INSERT INTO psql_orders (customer_id, order_id, total) VALUES (1, 1, -1);",
        "UPDATE psql_customers SET nothing = 1 WHERE customer_id = 1;",
        "EXECUTE nothing(1);",
        "SELECT 1 AS one\\; SELECT nothing FROM psql_customers WHERE customer_id = 1;",
        "CREATE TABLE psql_notes (id integer);",
        "ALTER TABLE psql_customers ADD COLUMN name text;",
        "DROP TABLE nothing;",
        "DROP TABLE IF EXISTS nothing;",
        "SET nothing = 1;",
        "SET work_mem = 'x';",
        "BEGIN;\nSELECT 1 / 0;\nSELECT 1;\nROLLBACK;\nSELECT 2;",
        "BEGIN;\nUPDATE psql_customers SET note = note WHERE customer_id = 1;\nSELEC 1;\nROLLBACK;",
        "BEGIN;\nUPDATE psql_customers SET note = note WHERE customer_id = 2;\nSELECT * FROM nothing;\nROLLBACK;",
        "BEGIN;\nUPDATE psql_customers SET note = note WHERE customer_id = 5;\nSELECT nothing;\nROLLBACK;",
        "COPY nothing FROM STDIN;\n",
        "\\copy psql_notes from '/nothing/at/all'",
    ];
    same("\\set VERBOSITY verbose", &commands).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_psql_sends_around_statements_works() {
    let commands = [
        "PREPARE by_key (bigint) AS SELECT name FROM psql_customers WHERE customer_id = $1;
         EXECUTE by_key(1);\nEXECUTE by_key(2);\nEXECUTE by_key(3);\nDEALLOCATE by_key;\nEXECUTE by_key(4);",
        "SELECT customer_id, name, note FROM psql_customers WHERE customer_id = 4 \\gdesc",
        "SELECT count(*) AS n FROM psql_customers \\gset\n\\echo :n",
        "SELECT * FROM psql_customers WHERE customer_id = 7 \\gx",
        "SELECT format('SELECT name FROM psql_customers WHERE customer_id = %s', n) FROM generate_series(1, 3) n \\gexec",
        "\\set FETCH_COUNT 2\nSELECT n, 'row' AS what FROM generate_series(1, 7) n;",
        "\\set FETCH_COUNT 2\nSELECT name FROM psql_customers WHERE customer_id = 8;",
        "\\set AUTOCOMMIT off\nSELECT name FROM psql_customers WHERE customer_id = 9;\nCOMMIT;",
        "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT name FROM psql_customers WHERE customer_id = 9;\nSELECT nothing
         FROM psql_customers WHERE customer_id = 9;\nSELECT note FROM psql_customers WHERE customer_id = 9;\nCOMMIT;",
        "SELECT name FROM psql_customers WHERE customer_id = 1\\; SELECT 2 AS two;",
        "SELECT customer_id, name FROM psql_customers ORDER BY customer_id DESC LIMIT 3 OFFSET 1;",
        "SELECT customer_id % 3 AS rest, count(*), sum(customer_id) FROM psql_customers GROUP BY 1 ORDER BY 1;",
        "EXPLAIN (COSTS OFF) SELECT name FROM psql_customers WHERE customer_id = 3;",
        "SET timezone = 'Asia/Kolkata';\nSHOW timezone;\nSELECT '2026-01-01 00:00Z'::timestamptz;\nRESET timezone;",
        "\\encoding LATIN1\nSHOW client_encoding;",
        "TABLE psql_notes;",
        "\\conninfo_is_no_command",
    ];
    same("", &commands).await;
    let timed = shown("\\timing on\nSELECT count(*) FROM psql_customers;\n").await;
    assert!(timed.contains("Timing is on.") && timed.contains("Time: "), "{timed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_table_is_copied_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    let rows = "1\ta tab \\t and a backslash \\\\\n2\t\\N\n3\tü 日本\n";
    fs::write(&there, rows).unwrap();
    let script = format!(
        "CREATE TABLE copy_notes (id integer PRIMARY KEY, body text);
         \\copy copy_notes from '{}'
         \\copy (SELECT * FROM copy_notes ORDER BY id) to '{}'
         \\copy copy_notes (id) to pstdout with (format csv, header)
         \\copy copy_notes (id, body) from pstdin with (format csv)\n4,\"four, in CSV\"\n\\.
         SELECT body FROM copy_notes WHERE id = 4;\n",
        there.display(),
        back.display()
    );
    let out = shown(&script).await;
    assert!(out.contains("COPY 3\nCOPY 3\nid\n1\n2\n3\nCOPY 1\n") && out.contains("four, in CSV"), "{out}");
    assert_eq!(fs::read_to_string(back).unwrap(), rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_table_is_copied_out_whole_and_in_shard_by_shard() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("products");
    fs::write(&file, "1\tring\n2\tbell\n").unwrap();
    let copy = format!("\\copy copy_products from '{}'\n", file.display());
    shown("CREATE TABLE copy_products (product_id integer PRIMARY KEY, title text);\n").await;

    let refused = psql(&format!("\\set VERBOSITY sqlstate\n{copy}")).await;
    assert_eq!(refused.err.trim(), "ERROR:  0A000");
    for number in 0..4 {
        let out = shown(&format!("SET pgring.shard = 's{number}';\n{copy}")).await;
        assert_eq!(out, "SET\nCOPY 2\n");
    }
    for number in 0..4 {
        let shard = world().await.cluster.shard_client(number).await;
        let count: i64 = shard.query_one("SELECT count(*) FROM copy_products", &[]).await.unwrap().get(0);
        assert_eq!(count, 2, "products on s{number}");
    }
    assert_eq!(shown("\\copy copy_products to pstdout\n").await, "1\tring\n2\tbell\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sharded_table_is_copied_shard_by_shard() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = String::new();
    for table in ["copy_from", "copy_into"] {
        script += &format!("CREATE TABLE {table} (customer_id bigint PRIMARY KEY, name text);\n");
    }
    (1..=40).for_each(|key| script += &format!("INSERT INTO copy_from VALUES ({key}, 'customer {key}');\n"));
    shown(&script).await;
    let whole = shown("\\copy copy_from to pstdout\n").await;
    assert_eq!(whole.lines().count(), 40);
    let ordered = shown("\\copy (SELECT * FROM copy_from ORDER BY 1 LIMIT 2) to pstdout\n").await;
    assert_eq!(ordered, "1\tcustomer 1\n2\tcustomer 2\n");
    let one = shown("\\copy (SELECT * FROM copy_from WHERE customer_id = 3) to pstdout\n").await;
    assert_eq!(one, "3\tcustomer 3\n");

    let mut copied = 0;
    for number in 0..4 {
        let file = folder.path().join(format!("s{number}"));
        let script = format!(
            "SET pgring.shard = 's{number}';\n\\copy copy_from to '{0}'\n\\copy copy_into from '{0}'\n",
            file.display()
        );
        let rows = fs::read_to_string(&file).map_or(0, |rows| rows.lines().count());
        assert_eq!(rows, 0, "a file before its copy");
        let out = shown(&script).await;
        let rows = fs::read_to_string(&file).unwrap().lines().count();
        assert_eq!(out, format!("SET\nCOPY {rows}\nCOPY {rows}\n"));
        assert!(rows > 0, "s{number} holds no row");
        copied += rows;
    }
    assert_eq!(copied, 40);
    let client = world().await.cluster.client().await;
    for key in 1..=40_i64 {
        let row = client.query_one("SELECT name FROM copy_into WHERE customer_id = $1", &[&key]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("customer {key}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_psql_cancels_its_statement() {
    let world = world().await;
    let script = "\\set VERBOSITY verbose\nSELECT pg_sleep(60);\n";
    let running = start(world.cluster.router().port(), "postgres", DATABASE, script);
    let watcher = world.cluster.shard_client(0).await;
    let asleep = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND wait_event = 'PgSleep'";
    eventually("the statement to run", Duration::from_secs(10), || async {
        watcher.query_opt(asleep, &[]).await.unwrap()
    })
    .await;
    let interrupted = Instant::now();
    let pid = running.pid().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    assert!(sent.success());
    let ended = running.end(Duration::from_secs(5)).await;
    assert!(ended.err.contains("57014") && ended.err.contains("canceling statement due to user request"), "{ended}");
    assert!(interrupted.elapsed() < Duration::from_secs(2), "the cancel took {:?}", interrupted.elapsed());
    assert!(watcher.query_opt(asleep, &[]).await.unwrap().is_none(), "the statement runs on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_log_ins_have_postgresql_s_words_and_codes() {
    let cluster = &world().await.cluster;
    let port = cluster.router().port();
    let cases = [
        ("wrong", DATABASE, "28P01", "FATAL:  password authentication failed for user \"postgres\""),
        ("postgres", "nowhere", "3D000", "FATAL:  database \"nowhere\" does not exist"),
    ];
    for (password, database, sqlstate, words) in cases {
        let begun = Instant::now();
        let ended = start(port, password, database, "SELECT 1;").end(LIMIT).await;
        assert!(ended.code == Some(2) && ended.err.contains(words), "{ended}");
        assert!(begun.elapsed() < Duration::from_secs(2), "the refusal took {:?}", begun.elapsed());
        let connection = format!("host=127.0.0.1 port={port} dbname={database} user=postgres password={password}");
        let refused = try_connect(&connection).await.err().unwrap();
        assert_eq!(refused.code().map(|code| code.code()), Some(sqlstate));
    }
    assert!(shown("SELECT 'still here';").await.contains("still here"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psql_at_a_terminal_completes_names_and_cancels() {
    let port = world().await.cluster.router().port();
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers").join("psql_terminal.py"));
    command.env("PGRING_DSN", format!("postgresql://postgres:postgres@127.0.0.1:{port}/{DATABASE}"));
    let beside = binaries().program("psql");
    if beside.is_file() {
        command.env("PSQL", beside);
    }
    let ended = program::start(command, "", PYTHON).end(LIMIT * 3).await;
    let steps = ended.out.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(ended.code == Some(0) && steps == 4, "{ended}");
}

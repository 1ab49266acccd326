//! State: what a session has set, prepared and made, over backends that it shares with others. Each script runs on
//! PostgreSQL itself and through pgring over a pool of one backend, where another client with settings and objects of
//! its own comes between the steps; the messages must be the same, ParameterStatus and notices included.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::{sync::LazyLock, time::Duration};

use bytes::BytesMut;
use pgring_integration_tests::client::{Frame, Raw, bind_text};
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::{Cluster, Router, shards};
use pgring_local_postgres::Server;
use postgres_protocol::message::frontend;

static NARROW: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::launch(shards(1).with("[pool]\nsize = 1\nqueue_timeout = \"15s\"")));
static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));

/// What a message says, in one line.
fn line(frame: &Frame) -> String {
    let values = |mut rest: &[u8]| {
        let mut values = Vec::new();
        while let Some((length, value)) = rest.split_at_checked(4) {
            let length = i32::from_be_bytes(length.try_into().unwrap());
            let (value, left) = value.split_at(usize::try_from(length).unwrap_or(0));
            values.push(if length < 0 { "null".into() } else { String::from_utf8_lossy(value).into_owned() });
            rest = left;
        }
        values.join("|")
    };
    let fields = frame.fields();
    let field = |code: u8| fields.get(&code).cloned().unwrap_or_default();
    match frame.tag {
        b'E' | b'N' => format!("{} {} {} {}", char::from(frame.tag), field(b'S'), field(b'C'), field(b'M')),
        b'S' => {
            let parts: Vec<&[u8]> = frame.body.split(|byte| *byte == 0).collect();
            format!("S {}={}", String::from_utf8_lossy(parts[0]), String::from_utf8_lossy(parts[1]))
        }
        b'C' | b'Z' => format!("{} {}", char::from(frame.tag), frame.text()),
        b'D' => format!("D {}", values(frame.body.get(2..).unwrap_or_default())),
        b't' => format!("t {:?}", frame.body.get(2..).unwrap_or_default()),
        b'T' => {
            let name: Vec<u8> = frame.body.iter().skip(2).take_while(|byte| **byte != 0).copied().collect();
            format!("T {}", String::from_utf8_lossy(&name))
        }
        tag => char::from(tag).to_string(),
    }
}

fn lines(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(line).collect()
}

/// One step: SQL by the simple protocol; `pipe:` several statements up to one Sync; `x:` by the extended one with unnamed statement; `parse name:sql`, `bind
/// name[:parameter]` and `close name` with a named one.
async fn step(raw: &mut Raw, step: &str) -> Vec<String> {
    let mut out = BytesMut::new();
    if let Some(sql) = step.strip_prefix("x:") {
        frontend::parse("", sql, [], &mut out).unwrap();
        frontend::describe(b'S', "", &mut out).unwrap();
        bind_text("", "", &[], false, &mut out);
        frontend::describe(b'P', "", &mut out).unwrap();
        frontend::execute("", 0, &mut out).unwrap();
    } else if let Some(all) = step.strip_prefix("pipe:") {
        for sql in all.split(";;") {
            frontend::parse("", sql, [], &mut out).unwrap();
            bind_text("", "", &[], false, &mut out);
            frontend::execute("", 0, &mut out).unwrap();
        }
    } else if let Some((name, sql)) = step.strip_prefix("parse ").and_then(|rest| rest.split_once(':')) {
        frontend::parse(name, sql, [], &mut out).unwrap();
        frontend::describe(b'S', name, &mut out).unwrap();
    } else if let Some(rest) = step.strip_prefix("bind ") {
        let mut parts = rest.split(':');
        let name = parts.next().unwrap();
        let parameters: Vec<Option<String>> = parts.map(|value| Some(value.to_owned())).collect();
        bind_text("", name, &parameters, false, &mut out);
        frontend::describe(b'P', "", &mut out).unwrap();
        frontend::execute("", 0, &mut out).unwrap();
    } else if let Some(name) = step.strip_prefix("close ") {
        frontend::close(b'S', name, &mut out).unwrap();
    } else {
        frontend::query(step, &mut out).unwrap();
    }
    if !out.starts_with(b"Q") {
        frontend::sync(&mut out);
    }
    raw.send(&out).await;
    lines(&raw.read_until_ready().await)
}

/// What the other client does between two steps: by turns it sets things and makes things.
const OTHERS: &[&str] = &[
    "SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET work_mem = '7MB'; SET other.one = 'x'",
    "SET search_path = pg_catalog; SET application_name = 'other'; SET client_encoding = 'LATIN1'",
    "SET ROLE pg_read_all_data",
    "DEALLOCATE ALL; PREPARE other_statement AS SELECT 1",
    "RESET ROLE; RESET ALL; DEALLOCATE ALL",
    "RESET ROLE; CREATE SEQUENCE IF NOT EXISTS public.other_sequence; \
     SELECT nextval('public.other_sequence')",
    "SET statement_timeout = '3min'; SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, DEFERRABLE",
];

async fn log_in(port: u16, startup: &[(&str, &str)]) -> Raw {
    let mut raw = Raw::connect(port).await;
    let mut parameters = vec![("user", "postgres"), ("database", DATABASE)];
    parameters.extend_from_slice(startup);
    raw.start_up(&parameters).await;
    raw.authenticate("postgres", "postgres").await.unwrap_or_else(|error| panic!("{:?}", error.fields()));
    raw
}

/// What each step is answered; the first entry is what the log-in told.
async fn run(port: u16, startup: &[(&str, &str)], steps: &[&str], others: bool) -> Vec<String> {
    let mut raw = log_in(port, startup).await;
    let mut other = if others { Some(log_in(port, &[]).await) } else { None };
    let told: Vec<String> = raw.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut all = vec![told.join("\n")];
    for (nth, text) in steps.iter().enumerate() {
        let answer = step(&mut raw, text).await;
        let idle = answer.last().is_some_and(|last| last == "Z I");
        all.push(format!("-- {text}\n{}", answer.join("\n")));
        if let Some(other) = other.as_mut().filter(|_| idle) {
            let answer = lines(&other.query(OTHERS[nth % OTHERS.len()]).await);
            assert!(!answer.iter().any(|line| line.starts_with('E')), "after {text}: {answer:?}");
        }
    }
    all
}

async fn compare(startup: &[(&str, &str)], steps: &[&str], others: bool) {
    compare_on(NARROW.router().port(), startup, steps, others).await;
}

async fn compare_on(port: u16, startup: &[(&str, &str)], steps: &[&str], others: bool) {
    let expected = run(ORACLE.port(), startup, steps, false).await;
    let found = run(port, startup, steps, others).await;
    let pairs = expected.iter().zip(&found).enumerate().filter(|(_, (expected, found))| expected != found);
    let differences: Vec<String> =
        pairs.map(|(nth, (expected, found))| format!("step {nth}: PostgreSQL {expected}\npgring {found}")).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// The same messages from PostgreSQL and from pgring while another client comes between.
async fn same(startup: &[(&str, &str)], steps: &[&str]) {
    compare(startup, steps, true).await;
}

/// As [`same`], for sessions that keep the pool's only backend.
async fn same_alone(startup: &[(&str, &str)], steps: &[&str]) {
    compare(startup, steps, false).await;
}

const LOOK: &str = "SELECT current_setting('work_mem'), current_setting('TimeZone'), current_setting('DateStyle'), \
                    current_setting('search_path'), current_user, session_user, coalesce(current_setting('other.one', true), ''), \
                    current_setting('statement_timeout'), current_setting('default_transaction_read_only'), \
                    current_setting('client_encoding'), current_setting('application_name'), coalesce(current_setting('a.b', true), '')";

macro_rules! scripts {
    ($($name:ident $startup:expr, [$($step:expr),* $(,)?];)*) => {
        $(#[tokio::test] async fn $name() { same(&$startup, &[$($step),*]).await; })*
    };
}

scripts! {
    pipelines [], ["pipe:SET work_mem = '9MB';;SELECT 1;;SHOW work_mem", LOOK, "pipe:SET work_mem = '8MB';;SELECT 1/0;;SHOW work_mem", LOOK,
        "pipe:SELECT 1/0;;SET work_mem = '7MB'", LOOK, "pipe:SELECT set_config('work_mem', '6MB', false);;SELECT current_setting('work_mem');;SELECT nonsense", LOOK,
        "pipe:SELECT set_config('work_mem', '6MB', false);;SELECT current_setting('work_mem')", LOOK, "pipe:BEGIN;;SET work_mem = '5MB';;COMMIT;;SELECT current_setting('work_mem')", LOOK,
        "pipe:BEGIN;;SET work_mem = '3MB';;SELECT 1/0;;COMMIT", "ROLLBACK", LOOK, "pipe:RESET work_mem;;SHOW work_mem", "pipe:BEGIN;;SET LOCAL a.b = 'c';;SELECT current_setting('a.b');;COMMIT", LOOK,
        "pipe:PREPARE a AS SELECT 1;;EXECUTE a;;EXECUTE a;;DEALLOCATE a;;SELECT 2", "pipe:PREPARE a AS SELECT 1;;SELECT name FROM pg_prepared_statements;;DEALLOCATE ALL;;EXECUTE a", "pipe:SELECT pg_backend_pid() > 0;;SELECT 1",
        "pipe:DO $$ BEGIN PERFORM set_config('work_mem', '2MB', false); END $$;;SELECT current_setting('work_mem')", "DISCARD ALL"];
    plain_settings [], [LOOK, "SET work_mem = '9MB'", LOOK, "SET timezone TO 'Europe/Berlin'", LOOK, "SET TIME ZONE 3", LOOK,
        "SET TIME ZONE LOCAL", LOOK, "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", LOOK, "SET TIME ZONE DEFAULT", LOOK,
        "SET NAMES 'LATIN1'", LOOK, "SET NAMES DEFAULT", LOOK, "SET client_encoding = 'utf-8'", LOOK, "SET client_encoding = eucjp", LOOK, "RESET client_encoding", LOOK,
        "SET SCHEMA 'abc'", LOOK, "SET search_path = a, \"B c\", public", LOOK, "RESET search_path", "SET XML OPTION DOCUMENT", "SHOW xmloption", "SET a.b = 'it''s'", LOOK, "RESET a.b", LOOK,
        "SET work_mem = 'nonsense'", "SET nonsense = 1", "SET SESSION work_mem = '5MB'", LOOK, "RESET ALL", LOOK, "SET datestyle = german", "SELECT DATE '2020-02-03'", "SET intervalstyle = iso_8601", "SELECT interval '1 day'", "RESET ALL"];
    settings_in_transactions [], ["BEGIN", "SET work_mem = '9MB'", LOOK, "SET timezone = 'Asia/Kolkata'", "ROLLBACK", LOOK,
        "BEGIN", "SET work_mem = '9MB'", "COMMIT", LOOK, "BEGIN", "SET LOCAL work_mem = '10MB'", LOOK, "COMMIT", LOOK,
        "BEGIN", "SAVEPOINT a", "SET work_mem = '11MB'", "SET timezone = 'Asia/Kolkata'", "SAVEPOINT b", "SET timezone = 'Asia/Seoul'", "ROLLBACK TO b", LOOK, "ROLLBACK TO a", LOOK, "SET application_name = 'kept'", "RELEASE a", "COMMIT", LOOK,
        "BEGIN", "SET work_mem = '12MB'", "SELECT 1/0", "COMMIT", LOOK, "SET LOCAL work_mem = '1MB'", LOOK, "BEGIN", "SET timezone = 'Asia/Kolkata'", "SELECT 1/0", "ROLLBACK", LOOK,
        "BEGIN", "SET LOCAL timezone = 'Asia/Kolkata'", "SELECT now() IS NULL", "COMMIT", LOOK, "BEGIN; SET work_mem='13MB'; COMMIT", LOOK, "SET work_mem='14MB'; SELECT 1/0", LOOK, "SET work_mem='15MB'; SELECT 1", LOOK, "RESET ALL", LOOK];
    characteristics [], ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "SHOW transaction_isolation", "SHOW default_transaction_isolation", "BEGIN", "SHOW transaction_isolation", "SHOW transaction_read_only", "SHOW transaction_deferrable", "COMMIT", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", "SHOW transaction_isolation", "SHOW transaction_read_only", "COMMIT",
        "BEGIN", "SET TRANSACTION READ WRITE", "SHOW transaction_read_only", "ROLLBACK", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SHOW default_transaction_read_only", "SET TRANSACTION READ ONLY", "SHOW transaction_read_only", "RESET ALL", "SHOW default_transaction_isolation", "SET transaction_isolation = 'serializable'", "SHOW transaction_isolation", "SET default_transaction_read_only = on", "SHOW default_transaction_read_only", "CREATE TABLE never (a int)", "RESET default_transaction_read_only"];
    roles [], ["SET ROLE pg_monitor", LOOK, "RESET ROLE", LOOK, "SET ROLE 'pg_monitor'", LOOK, "SET ROLE NONE", LOOK, "SET SESSION AUTHORIZATION pg_read_all_stats", LOOK, "SHOW is_superuser", "SET ROLE pg_monitor", "RESET SESSION AUTHORIZATION", LOOK, "SET SESSION AUTHORIZATION DEFAULT", LOOK,
        "SET ROLE nobody_here", LOOK, "BEGIN", "SET ROLE pg_monitor", LOOK, "ROLLBACK", LOOK, "BEGIN", "SET LOCAL ROLE pg_monitor", LOOK, "COMMIT", LOOK, "SET role TO pg_monitor", LOOK, "SET role TO DEFAULT", LOOK, "SET ROLE pg_monitor", "RESET ALL", LOOK, "DISCARD ALL", LOOK,
        "SET SESSION AUTHORIZATION pg_monitor", "RESET ALL", LOOK, "DISCARD ALL", LOOK, "BEGIN", "SET SESSION AUTHORIZATION pg_monitor", LOOK, "ROLLBACK", LOOK, "SHOW role", "SHOW session_authorization"];
    settings_by_call [], ["SELECT set_config('work_mem', '9MB', false)", LOOK, "SELECT pg_catalog.set_config('search_path', '', false)", LOOK, "SELECT set_config('timezone', 'Asia/Kolkata', false)", LOOK, "select set_config('a.b', 'c', true)", LOOK, "BEGIN", "SELECT set_config('a.b', 'local', true)", LOOK, "COMMIT", LOOK, "BEGIN", "SELECT set_config('work_mem', '1MB', false)", "ROLLBACK", LOOK,
        "x:SELECT set_config('work_mem', '8MB', false)", LOOK, "parse s:SELECT set_config($1, $2, false)", "bind s:work_mem:6MB", LOOK, "bind s:DateStyle:German", LOOK, "bind s:work_mem:nonsense", LOOK, "SELECT set_config('work_mem', '3MB', false), set_config('timezone', 'utc', false) AS tz", LOOK, "SELECT set_config('work_mem', NULL, false)", LOOK, "SELECT set_config('nonsense', '1', false)", LOOK, "DISCARD ALL", LOOK, "SELECT set_config('search_path', 'a, b', false)", LOOK, "SELECT set_config('role', 'pg_monitor', false)", LOOK, "SELECT set_config('role', 'none', false)", LOOK, "SELECT set_config('a.b', '', false)", LOOK,
        "x:SELECT current_setting('work_mem') AS cur, set_config('work_mem', '2MB', false) AS new", LOOK, "SELECT 1; SELECT set_config('work_mem', '1MB', false)", LOOK, "SELECT set_config('work_mem', '5MB', false); SELECT 1/0", LOOK, "BEGIN", "SAVEPOINT a", "x:SELECT set_config('work_mem', '5MB', false)", "ROLLBACK TO a", "COMMIT", LOOK];
    discards [], ["SET work_mem = '9MB'", "PREPARE a AS SELECT 1", "DISCARD PLANS", "EXECUTE a", LOOK, "DISCARD SEQUENCES", "DISCARD TEMP", "DISCARD TEMPORARY", LOOK, "DISCARD ALL", LOOK, "EXECUTE a", "x:DISCARD ALL", "BEGIN", "DISCARD ALL", "ROLLBACK", "DISCARD nonsense", "SELECT 1; DISCARD ALL"];
    extended_utilities [], ["x:SET work_mem = '9MB'", LOOK, "x:RESET work_mem", LOOK, "x:BEGIN", "x:SET LOCAL work_mem = '9MB'", LOOK, "x:COMMIT", LOOK, "x:SHOW work_mem", "x:SHOW TIME ZONE", "x:SET timezone = 'Asia/Kolkata'", "x:SELECT 1", "x:SAVEPOINT a", "x:BEGIN", "x:SAVEPOINT a", "x:ROLLBACK TO a", "x:RELEASE a", "x:ROLLBACK", "x:", "x:DISCARD ALL", LOOK, "x:SET nonsense = 1", "parse s:SET work_mem = '8MB'", "bind s", LOOK, "close s", "parse b:BEGIN", "bind b", "parse c:COMMIT", "bind c", "bind b", "bind c", "x:SET ROLE pg_monitor", LOOK, "x:SET SESSION AUTHORIZATION DEFAULT", LOOK, "x:DEALLOCATE ALL", "bind b"];
    startup_options [("options", "-c work_mem=9MB --a.b=c\\ d -c search_path=x,\\\"Y\\\" -c default_transaction_isolation=repeatable\\ read"), ("application_name", "mine"), ("TimeZone", "america/chicago"), ("DateStyle", "sql, dmy"), ("client_encoding", "utf-8"), ("statement_timeout", "5min"), ("lock_timeout", "60000"), ("extra_float_digits", "2"), ("idle_in_transaction_session_timeout", "7min")],
        [LOOK, "SET work_mem = '1MB'", "SET a.b = 'x'", "SET application_name = ''", LOOK, "RESET application_name", LOOK, "RESET work_mem", LOOK, "RESET ALL", LOOK, "SET timezone = 'UTC'", "SET statement_timeout = 0", "SET work_mem TO DEFAULT", LOOK, "SET TIME ZONE DEFAULT", LOOK, "DISCARD ALL", LOOK, "SHOW lock_timeout", "SHOW idle_in_transaction_session_timeout", "SHOW extra_float_digits", "BEGIN", "SHOW transaction_isolation", "ROLLBACK"];
    startup_role [("role", "pg_monitor"), ("search_path", "a, b")], [LOOK, "RESET ROLE", LOOK, "SET ROLE NONE", LOOK, "RESET ALL", LOOK, "DISCARD ALL", LOOK, "SET search_path TO c", "RESET search_path", LOOK];
    startup_latin1 [("client_encoding", "latin1")], [LOOK, "SET client_encoding = 'UTF8'", LOOK, "RESET client_encoding", LOOK, "SELECT length('x')"];
    sql_prepare [], ["PREPARE a AS SELECT 1 AS x", "EXECUTE a", "x:EXECUTE a", "bind a", "PREPARE a AS SELECT 2", "parse a:SELECT 3", "DEALLOCATE a", "EXECUTE a", "bind a", "PREPARE b (int, text) AS SELECT $1 + 1 AS n, $2", "EXECUTE b (1, 'x')", "x:EXECUTE b(2, 'y')", "bind b:4:z", "EXECUTE b(1)", "parse c:SELECT $1::int * 2 AS twice", "EXECUTE c(21)", "bind c:3", "PREPARE c AS SELECT 1", "DEALLOCATE c", "bind c:1", "x:DEALLOCATE b", "bind b:1:2", "x:PREPARE d AS SELECT 4", "EXECUTE d", "x:DEALLOCATE ALL", "EXECUTE d", "DEALLOCATE nothing", "EXECUTE nothing", "DEALLOCATE PREPARE ALL", "PREPARE e AS SELEC 1", "EXECUTE e", "PREPARE f AS SELECT $1", "EXECUTE f('u')", "close f", "EXECUTE f('u')", "PREPARE g(int) AS SELECT $1",
            "EXPLAIN (COSTS off) EXECUTE g(1)",
            "x:EXPLAIN (COSTS off) EXECUTE g(1);",
            "EXPLAIN (COSTS off) EXECUTE nothing", "BEGIN", "PREPARE h AS SELECT 1", "ROLLBACK", "EXECUTE h", "BEGIN", "DEALLOCATE h", "ROLLBACK", "EXECUTE h"];
    looking_at_oneself [], ["PREPARE a AS SELECT 1", "parse b:SELECT $1::int", "SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements ORDER BY 1", "x:SELECT name, from_sql, parameter_types FROM pg_catalog.pg_prepared_statements p ORDER BY name", "SELECT count(*) FROM pg_prepared_statements WHERE name = 'a'", "DEALLOCATE a", "SELECT name FROM pg_prepared_statements", "DEALLOCATE ALL", "SELECT count(*) FROM pg_prepared_statements", "SELECT name FROM pg_cursors", "BEGIN", "DECLARE c CURSOR FOR SELECT 1", "SELECT name FROM pg_cursors", "COMMIT", "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'", "SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid() AND state = 'active'"];
    notices [], ["SET client_min_messages = 'debug1'", "SELECT 1", "RESET client_min_messages", "SELECT 1", "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$", "SET client_min_messages = error", "DO $$ BEGIN RAISE NOTICE 'one'; END $$", "DISCARD ALL", "COMMIT", "DO $$ BEGIN PERFORM set_config('timezone', 'Asia/Dubai', false); END $$", LOOK, "DISCARD ALL", LOOK];
}

#[tokio::test]
async fn temporary_tables_and_locks() {
    same_alone(
        &[],
        &[
            "CREATE TEMP TABLE t1 (a int)",
            "INSERT INTO t1 VALUES (1)",
            "SELECT * FROM t1",
            "DISCARD TEMP",
            "SELECT * FROM t1",
            "SELECT pg_advisory_lock(4711)",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            "SELECT pg_advisory_unlock(4711)",
            "SELECT pg_advisory_unlock(4711)",
            "BEGIN",
            "DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3)",
            "COMMIT",
            "FETCH h",
            "SELECT name FROM pg_cursors",
            "CLOSE h",
            "CREATE TYPE pg_temp.mood AS ENUM ('good')",
            "SELECT 'good'::pg_temp.mood",
            "CREATE FUNCTION pg_temp.seven() RETURNS int LANGUAGE sql AS 'SELECT 7'",
            "SELECT pg_temp.seven()",
            "DISCARD ALL",
            "SELECT pg_temp.seven()",
        ],
    )
    .await;
}

/// The one value that a query answers.
async fn value(raw: &mut Raw, sql: &str) -> String {
    let answer = step(raw, sql).await;
    let row = answer.iter().find_map(|line| line.strip_prefix("D ")).unwrap_or_else(|| panic!("{sql}: {answer:?}"));
    row.to_owned()
}

async fn pins(cluster: &Cluster) -> Vec<String> {
    cluster.admin("SHOW PINS").await.iter().map(|row| row.get("reason").unwrap().to_owned()).collect()
}

async fn narrow() -> Cluster {
    Cluster::start(shards(1).with("[pool]\nsize = 1\nqueue_timeout = \"3s\"")).await
}

#[tokio::test]
async fn a_pin_ends_with_its_cause() {
    let cluster = narrow().await;
    let mut raw = cluster.raw().await;
    let mut other = cluster.raw().await;
    for (make, end, reason) in [
        ("CREATE TEMP TABLE made (a int)", "DROP TABLE made", "temporary table"),
        ("CREATE TEMP TABLE made (a int)", "DISCARD TEMP", "temporary table"),
        ("CREATE TEMP TABLE made (a int)", "DISCARD ALL", "temporary table"),
        ("x:CREATE TEMP TABLE made (a int)", "x:DROP TABLE made", "temporary table"),
        ("SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)", "advisory lock"),
        ("x:SELECT pg_try_advisory_lock(1)", "x:SELECT pg_advisory_unlock_all()", "advisory lock"),
        ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "CLOSE c", "WITH HOLD cursor"),
        ("LOAD 'plpgsql'", "DISCARD ALL", "LOAD"),
    ] {
        let made = step(&mut raw, make).await;
        assert_eq!(made.last().unwrap(), "Z I", "{make}: {made:?}");
        assert_eq!(pins(&cluster).await, [reason], "{make}");
        let ended = step(&mut raw, end).await;
        assert!(!ended.iter().any(|line| line.starts_with('E')), "{end}: {ended:?}");
        assert!(pins(&cluster).await.is_empty(), "{end}");
        assert_eq!(value(&mut other, "SELECT count(*) FROM pg_class WHERE relname = 'made'").await, "0", "{end}");
        assert_eq!(value(&mut other, "SELECT pg_try_advisory_xact_lock(1)").await, "t", "{end}");
    }
    step(&mut raw, "BEGIN; CREATE TEMP TABLE made (a int) ON COMMIT DROP; COMMIT").await;
    assert!(pins(&cluster).await.is_empty());
    // What code leaves behind is looked for where its text may say so.
    let body = "BEGIN CREATE TEMP TABLE IF NOT EXISTS made (a int); PERFORM set_config('work_mem', '7MB', false); END";
    step(&mut raw, &format!("CREATE FUNCTION makes() RETURNS void LANGUAGE plpgsql AS $$ {body} $$")).await;
    step(&mut raw, "CREATE FUNCTION makes_nothing() RETURNS int LANGUAGE sql AS $$ SELECT 1 /* temp */ $$").await;
    for (make, reasons) in [
        ("SELECT makes()", &["temporary table"][..]),
        ("x:SELECT makes()", &["temporary table"]),
        ("DO $$ BEGIN CREATE TEMP TABLE made (a int); END $$", &["temporary table"]),
        ("SELECT makes_nothing()", &[]),
        ("x:DO $$ BEGIN /* temp */ END $$", &[]),
    ] {
        step(&mut raw, make).await;
        assert_eq!(pins(&cluster).await, reasons, "{make}");
        if make.contains("makes()") {
            step(&mut raw, "DROP TABLE pg_temp.made").await;
            assert!(pins(&cluster).await.is_empty(), "{make}");
            assert_eq!(value(&mut other, "SHOW work_mem").await, "4MB", "{make}");
            assert_eq!(value(&mut raw, "SHOW work_mem").await, "7MB", "{make}");
        }
        step(&mut raw, "DISCARD ALL").await;
        assert_eq!(value(&mut other, "SELECT count(*) FROM pg_class WHERE relname = 'made'").await, "0", "{make}");
    }
    step(&mut raw, "CREATE TEMP TABLE nonsense (a nonsense)").await;
    assert!(pins(&cluster).await.is_empty());
    step(&mut raw, "CREATE TEMP TABLE made (a int)").await;
    step(&mut raw, "SELECT pg_advisory_lock(2)").await;
    drop(raw);
    assert_eq!(value(&mut other, "SELECT count(*) FROM pg_class WHERE relname = 'made'").await, "0");
    assert_eq!(value(&mut other, "SELECT pg_try_advisory_xact_lock(2)").await, "t");
}

#[tokio::test]
async fn what_a_sequence_gave_is_the_sessions_own() {
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 3\nqueue_timeout = \"3s\"")).await;
    let mut one = cluster.raw().await;
    let mut two = cluster.raw().await;
    step(&mut one, "CREATE TABLE counted (id serial, note text)").await;
    let insert = "INSERT INTO counted (note) VALUES ('x')";
    let undefined = "E ERROR 55000 lastval is not yet defined in this session";
    step(&mut one, insert).await;
    assert_eq!(value(&mut one, "SELECT lastval()").await, "1");
    assert!(step(&mut two, "SELECT lastval()").await.contains(&undefined.to_owned()));
    assert_eq!(pins(&cluster).await, Vec::<String>::new());
    // From the first question on, who uses a sequence keeps its backend.
    for (session, expected) in [(&mut one, "2"), (&mut two, "3")] {
        step(session, "x:INSERT INTO counted (note) VALUES ('x')").await;
        assert_eq!(value(session, "x:SELECT lastval()").await, expected);
    }
    for (session, expected) in [(&mut one, "2"), (&mut two, "3")] {
        assert_eq!(value(session, "SELECT currval(pg_get_serial_sequence('counted', 'id'))").await, expected);
    }
    step(&mut one, "DISCARD ALL").await;
    assert!(step(&mut one, "x:SELECT lastval()").await.contains(&undefined.to_owned()));
    assert_eq!(pins(&cluster).await, ["sequence"]);
    // Any other statement, or a moment of nothing, lets the backend go.
    step(&mut two, "SELECT 1").await;
    assert!(pins(&cluster).await.is_empty());
    step(&mut two, insert).await;
    assert_eq!(pins(&cluster).await, ["sequence"]);
    eventually("the pin goes", Duration::from_secs(10), async || pins(&cluster).await.is_empty().then_some(())).await;
    assert_eq!(value(&mut two, "SELECT lastval()").await, "4");
}

#[tokio::test]
async fn process_ids_are_those_of_the_log_in() {
    let cluster = narrow().await;
    let mut one = cluster.raw().await;
    let mut two = cluster.raw().await;
    let id = two.cancel_key.unwrap().0.to_string();
    for sql in ["SELECT pg_backend_pid()", "x:select pg_catalog.pg_backend_pid() as me", "SELECT pg_backend_pid() me;"]
    {
        assert_eq!(value(&mut two, sql).await, id, "{sql}");
    }
    let client = cluster.client().await;
    let mine: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    assert!(mine > 0);
    assert_eq!(value(&mut one, &format!("SELECT pg_cancel_backend({id})")).await, "t");
    assert_eq!(value(&mut two, "SELECT 1").await, "1");
    let number = two.cancel_key.unwrap().0;
    let ended: bool = client.query_one("SELECT pg_terminate_backend($1)", &[&number]).await.unwrap().get(0);
    assert!(ended);
    let farewell = two.read().await.unwrap();
    assert_eq!(line(&farewell), "E FATAL 57P01 terminating connection due to administrator command");
    assert!(two.is_closed().await);
    assert_eq!(step(&mut one, "SELECT pg_terminate_backend(2147483000)").await[2], "D f");
    let me = one.cancel_key.unwrap().0;
    let end = step(&mut one, &format!("x:SELECT pg_terminate_backend({me})")).await;
    assert_eq!(end.last().unwrap(), "E FATAL 57P01 terminating connection due to administrator command");
}

#[tokio::test]
async fn a_session_that_sleeps_is_cancelled_by_its_id() {
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 3")).await;
    let mut one = cluster.raw().await;
    let mut two = cluster.raw().await;
    let id = two.cancel_key.unwrap().0;
    two.send_with(|out| frontend::query("SELECT pg_sleep(30)", out)).await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'";
    eventually("it sleeps", Duration::from_secs(10), async || {
        let client = cluster.shard_client(0).await;
        let row = client.query_one(running, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    assert_eq!(value(&mut one, &format!("SELECT pg_cancel_backend({id})")).await, "t");
    let answer = lines(&two.read_until_ready().await);
    assert_eq!(answer[1..], ["E ERROR 57014 canceling statement due to user request", "Z I"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_only_idle_backends_hold_can_be_dropped() {
    let servers = start_servers(1, &test_options());
    let router = Router::start(&[], |port, http| {
        format!(
            "[general]\nlisten = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:{http}\"\n\n[[users]]\nname = \"postgres\"\n\
             password = \"postgres\"\n\n[[databases]]\nname = \"*\"\nconnection = \"{}\"\n",
            servers[0].connection_string(DATABASE)
        )
    });
    let mut raw = log_in(router.port(), &[]).await;
    assert_eq!(step(&mut raw, "CREATE DATABASE goes").await, ["C CREATE DATABASE", "Z I"]);
    for (name, end, tag) in [
        ("goes", "ALTER DATABASE goes RENAME TO gone", "C ALTER DATABASE"),
        ("gone", "CREATE DATABASE copied TEMPLATE gone", "C CREATE DATABASE"),
        ("gone", "DROP DATABASE gone", "C DROP DATABASE"),
        ("copied", "x:DROP DATABASE IF EXISTS copied", "C DROP DATABASE"),
    ] {
        let mut inside = Raw::log_in(router.port(), "postgres", "postgres", name).await;
        assert_eq!(value(&mut inside, "SELECT current_database()").await, name);
        inside.query("PREPARE a AS SELECT 1").await;
        assert_eq!(value(&mut inside, "SELECT name FROM pg_prepared_statements").await, "a");
        let answer = step(&mut raw, end).await;
        assert!(answer.contains(&tag.to_owned()), "{end}: {answer:?}");
    }
}

#[tokio::test]
async fn sequences_answer_as_in_a_session_of_ones_own() {
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 3\nqueue_timeout = \"3s\"")).await;
    let steps = [
        "CREATE SEQUENCE sequence_a",
        "CREATE TABLE serial_a (id serial, note text)",
        "SELECT lastval()",
        "SELECT nextval('sequence_a')",
        "SELECT currval('sequence_a')",
        "SELECT lastval()",
        "INSERT INTO serial_a (note) VALUES ('x')",
        "SELECT currval(pg_get_serial_sequence('serial_a', 'id'))",
        "SELECT lastval()",
        "INSERT INTO serial_a (note) VALUES ('x') RETURNING id",
        "SELECT lastval()",
        "DISCARD SEQUENCES",
        "SELECT lastval()",
        "SELECT setval('sequence_a', 40)",
        "SELECT currval('sequence_a')",
        "SELECT lastval()",
        "DISCARD ALL",
        "SELECT lastval()",
        "DROP TABLE serial_a",
        "DROP SEQUENCE sequence_a",
    ];
    compare_on(cluster.router().port(), &[], &steps, true).await;
    assert!(!pins(&cluster).await.contains(&"temporary table".to_owned()));
}

/// Answers to bytes that are SQL in the session's own encoding, by both protocols.
async fn foreign(raw: &mut Raw, sql: &[u8], parameter: Option<&[u8]>) -> Vec<(u8, Vec<u8>)> {
    let mut out = BytesMut::new();
    if let Some(parameter) = parameter {
        let mut body = vec![0];
        body.extend_from_slice(sql);
        body.extend_from_slice(&[0, 0, 0]);
        out.extend_from_slice(b"P");
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(&body);
        let write = |value: &[u8], out: &mut BytesMut| {
            out.extend_from_slice(value);
            Ok(postgres_protocol::IsNull::No)
        };
        assert!(frontend::bind("", "", [], [parameter], write, [0], &mut out).is_ok());
        frontend::execute("", 0, &mut out).unwrap();
        frontend::sync(&mut out);
    } else {
        out.extend_from_slice(b"Q");
        out.extend_from_slice(&(sql.len() as u32 + 5).to_be_bytes());
        out.extend_from_slice(sql);
        out.extend_from_slice(&[0]);
    }
    raw.send(&out).await;
    let kept = |frame: Frame| (frame.tag, if frame.tag == b'E' { line(&frame).into() } else { frame.body.to_vec() });
    raw.read_until_ready().await.into_iter().filter(|frame| frame.tag != b'T').map(kept).collect()
}

#[tokio::test]
async fn text_in_other_encodings_passes_byte_for_byte() {
    for (encoding, word) in [
        ("LATIN1", &b"gr\xFC\xDFe"[..]),
        ("EUC_JP", b"\xC6\xFC\xCB\xDC"),
        ("SQL_ASCII", b"gr\xC3\xBC"),
        ("SJIS", b"\x93\xFA\x83\x5C"),
    ] {
        let script = async |port: u16, others: bool| {
            let mut raw = log_in(port, &[("client_encoding", encoding)]).await;
            let mut other = log_in(port, &[]).await;
            let mut all = Vec::new();
            let quoted = |before: &str, after: &str| [before.as_bytes(), word, after.as_bytes()].concat();
            let table = format!("foreign_{encoding}");
            for (sql, parameter) in [
                (format!("CREATE TABLE {table} (note text)").into_bytes(), None),
                (quoted(&format!("INSERT INTO {table} VALUES ('"), "')"), None),
                (quoted(&format!("INSERT INTO {table} SELECT $1 WHERE '"), "' <> ''"), Some(word)),
                (format!("SELECT note, length(note) FROM {table}").into_bytes(), None),
                (quoted(&format!("SELECT 1 FROM {table} WHERE note = $1 AND note = '"), "'"), Some(word)),
                (quoted("SELECT 1 AS \"", "\"; SELECT 2"), None),
                (quoted("SELECT nonsense AS \"", "\""), None),
                (quoted("SET application_name = '", "'"), None),
                (b"SHOW application_name".to_vec(), None),
                (b"DISCARD ALL".to_vec(), None),
                (format!("DROP TABLE {table}").into_bytes(), None),
                (b"SET client_encoding = 'UTF8'".to_vec(), None),
                ("SET application_name = 'gr\u{fc}n'".into(), None),
                ("SET search_path = 'gr\u{fc}n'".into(), None),
                (format!("SET client_encoding = '{encoding}'").into_bytes(), None),
                (b"SELECT current_setting('search_path') = U&'gr\\00fcn'".to_vec(), None),
            ] {
                all.push(foreign(&mut raw, &sql, parameter).await);
                if others && all.len() < 8 {
                    other.query("SET timezone = 'Asia/Tokyo'; SET client_encoding = 'UTF8'").await;
                }
            }
            all
        };
        let expected = script(ORACLE.port(), false).await;
        let found = script(NARROW.router().port(), true).await;
        for (nth, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "{encoding}, step {nth}");
        }
    }
}

/// How a log-in with these parameters ends: its settings, or its error.
async fn log_in_with(port: u16, startup: &[(&str, &str)]) -> Vec<String> {
    let mut raw = Raw::connect(port).await;
    let mut parameters = vec![("user", "postgres"), ("database", DATABASE)];
    parameters.extend_from_slice(startup);
    raw.start_up(&parameters).await;
    match raw.authenticate("postgres", "postgres").await {
        Ok(()) => raw.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        Err(error) => vec![line(&error), format!("closed {}", raw.is_closed().await)],
    }
}

#[tokio::test]
async fn a_log_in_is_judged_as_postgresql_judges_it() {
    for startup in [
        &[("nonsense", "1")][..],
        &[("work_mem", "much")],
        &[("timezone", "Nowhere/Town")],
        &[("client_encoding", "KLINGON")],
        &[("role", "nobody_here")],
        &[("session_authorization", "postgres")],
        &[("max_connections", "7")],
        &[("wal_level", "minimal")],
        &[("log_statement", "all")],
        &[("datestyle", "iso, nonsense")],
        &[("statement_timeout", "-5")],
        &[("options", "-c nonsense=1")],
        &[("options", "-c work_mem=much")],
        &[("options", "-c work_mem")],
        &[("options", "--work-mem=9MB -c TimeZone=Asia/Tokyo")],
        &[("options", "-c some.thing=a\\ b\\\\c --some.other=x")],
        &[("options", "-x")],
        &[("options", "stray")],
        &[("options", "")],
        &[("options", "-c search_path=a\\,b"), ("datestyle", "German")],
        &[("some.thing", "x"), ("application_name", "caf\u{e9}")],
        &[
            ("IntervalStyle", "iso_8601"),
            ("standard_conforming_strings", "off"),
            ("default_transaction_read_only", "on"),
        ],
        &[("client_encoding", "latin1")],
        &[("client_encoding", "sql_ascii")],
        &[("client_encoding", "'utf-8'")],
        &[("replication", "false")],
        &[("client_min_messages", "debug5")],
        &[("geqo", "off"), ("extra_float_digits", "3"), ("TimeZone", "posix/Asia/Tokyo")],
    ] {
        let expected = log_in_with(ORACLE.port(), startup).await;
        let found = log_in_with(NARROW.router().port(), startup).await;
        assert_eq!(found, expected, "{startup:?}");
    }
}

/// What sessions may do in any order; `:` stands before what only a session outside a transaction may.
const MOVES: &[&str] = &[
    "SET work_mem = '5MB'",
    "SET work_mem = '6MB'",
    "x:SET timezone = 'Asia/Tokyo'",
    "SET timezone = 'Europe/Paris'",
    "RESET timezone",
    "SET LOCAL work_mem = '7MB'",
    "SELECT set_config('a.b', 'one', false)",
    "x:SELECT set_config('a.b', 'two', false)",
    "SELECT set_config('work_mem', '8MB', true)",
    "SET search_path = a, public",
    "SELECT set_config('search_path', 'b,c', false)",
    "RESET search_path",
    "SET ROLE pg_monitor",
    "RESET ROLE",
    "SET datestyle = 'German'",
    "SET a.b TO DEFAULT",
    "DO $$ BEGIN PERFORM set_config('datestyle', 'SQL', false); END $$",
    "pipe:SET work_mem = '9MB';;SELECT 1",
    "pipe:SET work_mem = '10MB';;SELECT 1/0",
    "SET work_mem = 'nonsense'",
    "SELECT 1/0",
    "PREPARE p AS SELECT 1 AS p",
    "parse p:SELECT 2 AS p",
    "EXECUTE p",
    "x:EXECUTE p",
    "bind p",
    "DEALLOCATE p",
    "close p",
    "RESET ALL",
    ":DISCARD ALL",
    ":SET SESSION AUTHORIZATION DEFAULT",
];

#[tokio::test]
async fn sessions_in_any_order_are_as_if_each_were_alone() {
    use rand::SeedableRng;
    let cluster = Cluster::start(shards(1).with("[pool]\nsize = 2\nqueue_timeout = \"3s\"")).await;
    for seed in 1..=3 {
        in_any_order(cluster.router().port(), rand::rngs::StdRng::seed_from_u64(seed)).await;
    }
}

/// The settings that a session was told, brought up to date with an answer; the answer without them.
fn note_told(raw: &mut Raw, answer: Vec<String>) -> Vec<String> {
    let (told, rest): (Vec<_>, Vec<_>) = answer.into_iter().partition(|line| line.starts_with("S "));
    for (name, value) in told.iter().filter_map(|line| line[2..].split_once('=')) {
        raw.parameters.insert(name.to_owned(), value.to_owned());
    }
    rest
}

async fn in_any_order(port: u16, mut random: rand::rngs::StdRng) {
    use rand::RngExt;
    let mut clients = Vec::new();
    for number in 0..5 {
        let startup: &[(&str, &str)] =
            if number % 2 == 0 { &[("TimeZone", "Asia/Dubai"), ("work_mem", "3MB")] } else { &[] };
        let (oracle, router) = (log_in(ORACLE.port(), startup).await, log_in(port, startup).await);
        clients.push((oracle, router, b'I', Vec::new()));
    }
    let mut busy: Option<usize> = None;
    for round in 0..800 {
        let at = random.random_range(0..clients.len());
        let (oracle, router, status, history) = &mut clients[at];
        let own = busy == Some(at);
        let text = match random.random_range(0..10) {
            0 if busy.is_none() => "BEGIN",
            0 | 1 if own && *status == b'T' => ["SAVEPOINT s", "COMMIT"][random.random_range(0..2)],
            0..=3 if own => ["ROLLBACK TO s", "ROLLBACK", "COMMIT"][random.random_range(0..3)],
            4 | 5 => LOOK,
            _ => MOVES[random.random_range(0..MOVES.len())],
        };
        if text.starts_with(':') && own {
            continue;
        }
        let text = text.trim_start_matches(':');
        history.push(text);
        let (expected, found) = (step(oracle, text).await, step(router, text).await);
        let (expected, found) = (note_told(oracle, expected), note_told(router, found));
        *status = if expected.last().unwrap() == "Z I" { b'I' } else { expected.last().unwrap().as_bytes()[2] };
        let last = &history[history.len().saturating_sub(25)..];
        assert_eq!(found, expected, "round {round}, client {at}: {last:#?}");
        if text == LOOK && *status != b'E' {
            // Settings are told before the answer that needs them, at the latest.
            assert_eq!(router.parameters, oracle.parameters, "round {round}, client {at}: {last:#?}");
        }
        busy = if *status == b'I' { busy.filter(|other| *other != at) } else { Some(at) };
    }
}

#[tokio::test]
async fn settings_and_statements_follow_the_session_to_every_shard() {
    let cluster = Cluster::start(shards(3).with("[pool]\nsize = 1\nqueue_timeout = \"5s\"")).await;
    cluster.admin("SHARD TABLE spread BY (id)").await;
    let mut one = cluster.raw().await;
    let mut two = cluster.raw().await;
    step(&mut one, "CREATE TABLE spread (id bigint PRIMARY KEY, note text)").await;
    for id in 1..=12 {
        step(&mut one, &format!("INSERT INTO spread VALUES ({id}, 'a')")).await;
    }
    let seen = |setting: &str, id: i32| format!("SELECT current_setting('{setting}') FROM spread WHERE id = {id}");
    step(&mut one, "SELECT set_config('work_mem', '9MB', false)").await;
    step(&mut two, "x:SET work_mem = '8MB'").await;
    for id in 1..=12 {
        assert_eq!(value(&mut one, &seen("work_mem", id)).await, "9MB");
        assert_eq!(value(&mut two, &seen("work_mem", id)).await, "8MB");
    }
    for end in ["ROLLBACK", "COMMIT"] {
        for id in 1..=12 {
            step(&mut one, "BEGIN").await;
            step(&mut one, &seen("work_mem", id)).await;
            step(&mut one, "SELECT set_config('work_mem', '7MB', false)").await;
            assert_eq!(value(&mut one, &seen("work_mem", id)).await, "7MB", "{end} {id}");
            step(&mut one, end).await;
            let after = if end == "COMMIT" { "7MB" } else { "9MB" };
            assert_eq!(value(&mut one, &seen("work_mem", id)).await, after, "{end} {id}");
            assert_eq!(value(&mut two, &seen("work_mem", id)).await, "8MB", "{end} {id}");
            step(&mut one, "SET work_mem = '9MB'").await;
        }
    }
    for text in ["SELECT set_config('app.tenant', 'local', true)", "x:SELECT set_config('app.tenant', 'local', true)"] {
        for id in 1..=12 {
            step(&mut one, "BEGIN").await;
            step(&mut one, text).await;
            assert_eq!(value(&mut one, &seen("app.tenant", id)).await, "local", "{text} {id}");
            step(&mut one, "COMMIT").await;
            let after = step(&mut one, &seen("app.tenant", id)).await;
            assert!(!after.contains(&"D local".to_owned()), "{after:?}");
        }
    }
    step(&mut one, "PREPARE by_key (bigint) AS SELECT note || id FROM spread WHERE id = $1").await;
    step(&mut two, "parse by_key:SELECT 'mine' FROM spread WHERE id = $1").await;
    for id in 1..=12 {
        for text in [format!("EXECUTE by_key({id})"), format!("x:EXECUTE by_key('{id}')"), format!("bind by_key:{id}")]
        {
            assert_eq!(value(&mut one, &text).await, format!("a{id}"), "{text}");
            assert_eq!(value(&mut two, &text).await, "mine", "{text}");
        }
    }
    assert_eq!(value(&mut one, "SELECT name, from_sql FROM pg_prepared_statements").await, "by_key|t");
    assert!(pins(&cluster).await.is_empty());
}

#[tokio::test]
async fn text_in_another_encoding_does_not_reach_a_sharded_table() {
    let cluster = Cluster::start(shards(2)).await;
    cluster.admin("SHARD TABLE spread BY (id)").await;
    let mut raw = cluster.raw().await;
    step(&mut raw, "CREATE TABLE spread (id bigint PRIMARY KEY, note text)").await;
    step(&mut raw, "SET client_encoding = 'LATIN1'").await;
    for parameter in [None, Some(&b"\xFC"[..])] {
        let tail = if parameter.is_some() { &b"' || $1)"[..] } else { b"')" };
        let sql = [b"INSERT INTO spread VALUES (1, '\xFC", tail].concat();
        let answer = foreign(&mut raw, &sql, parameter).await;
        let error =
            answer.iter().find(|(tag, _)| *tag == b'E').map(|(_, text)| String::from_utf8_lossy(text).into_owned());
        assert!(error.unwrap().contains("0A000"));
    }
    assert_eq!(value(&mut raw, "SELECT count(*) FROM spread").await, "0");
}

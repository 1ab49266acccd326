//! Sessions: what a client's transaction, settings and prepared statements are worth when something fails between.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;

use bytes::BytesMut;
use pgring_integration_tests::client::{Frame, Raw, bind_text};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;
use postgres_protocol::message::frontend;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(2)));
static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));

async fn raw() -> Raw {
    Raw::log_in(CLUSTER.router().port(), "postgres", "postgres", DATABASE).await
}

/// Messages in brief; settings and notices left out.
fn brief(frames: &[Frame]) -> Vec<String> {
    let one = |frame: &Frame| match frame.tag {
        b'E' => format!("E {}", frame.sqlstate().unwrap_or_default()),
        b'C' | b'Z' => format!("{} {}", char::from(frame.tag), frame.text()),
        tag => char::from(tag).to_string(),
    };
    frames.iter().filter(|frame| !b"SN".contains(&frame.tag)).map(one).collect()
}

/// The one value that a query answers.
async fn value(raw: &mut Raw, sql: &str) -> String {
    let frames = raw.query(sql).await;
    let row = frames.iter().find(|frame| frame.tag == b'D').unwrap_or_else(|| panic!("{sql}: {:?}", brief(&frames)));
    String::from_utf8_lossy(row.body.get(6..).unwrap_or_default()).into_owned()
}

/// A sharded table with the keys 1 to 20; one key on each of the two shards.
async fn table(name: &str) -> (i64, i64) {
    CLUSTER.admin(&format!("SHARD TABLE {name} BY (id)")).await;
    let client = CLUSTER.client().await;
    client.batch_execute(&format!("CREATE TABLE {name} (id bigint PRIMARY KEY, note text)")).await.unwrap();
    let mut owners = Vec::new();
    for id in 1..=20i64 {
        client.execute(&format!("INSERT INTO {name} VALUES ({id}, 'a')"), &[]).await.unwrap();
        let row = client.query_one(&format!("SELECT pgring.shard_of('{name}', {id})"), &[]).await.unwrap();
        owners.push((row.get::<_, String>(0), id));
    }
    let first = owners.first().unwrap().clone();
    (first.1, owners.iter().find(|(shard, _)| *shard != first.0).unwrap().1)
}

async fn same(scenario: impl AsyncFn(Raw) -> Vec<String>) {
    let expected = scenario(Raw::log_in(ORACLE.port(), "postgres", "postgres", DATABASE).await).await;
    assert_eq!(scenario(raw().await).await, expected);
}

#[tokio::test]
async fn a_failed_transaction_over_several_shards_is_not_committed() {
    let (here, there) = table("failed").await;
    let mut raw = raw().await;
    raw.query("BEGIN").await;
    raw.query("SELECT count(*) FROM failed").await;
    raw.query(&format!("UPDATE failed SET note = 'b' WHERE id = {here}")).await;
    let refused = brief(&raw.query(&format!("UPDATE failed SET note = 1 / 0 WHERE id = {there}")).await);
    assert_eq!(refused, ["E 22012", "Z E"]);
    assert_eq!(brief(&raw.query("COMMIT").await), ["C ROLLBACK", "Z I"]);
    assert_eq!(value(&mut raw, "SELECT count(*) FROM failed WHERE note = 'b'").await, "0");
}

#[tokio::test]
async fn what_a_lost_backend_did_is_not_left_out_of_a_commit() {
    let (here, _) = table("lost").await;
    let mut raw = raw().await;
    raw.query("BEGIN").await;
    raw.query(&format!("UPDATE lost SET note = 'b' WHERE id = {here}")).await;
    raw.query("SAVEPOINT s").await;
    for shard in 0..2 {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                   AND query LIKE 'SAVEPOINT s%'";
        CLUSTER.shard_client(shard).await.batch_execute(sql).await.unwrap();
    }
    let lost = raw.query(&format!("UPDATE lost SET note = 'c' WHERE id = {here}")).await;
    assert!(brief(&lost).first().is_some_and(|first| first.starts_with("E ")), "{:?}", brief(&lost));
    if lost.last().is_some_and(|last| last.tag == b'Z') {
        assert_eq!(brief(&raw.query("ROLLBACK TO s").await), ["E 25P02", "Z E"]);
        assert_eq!(brief(&raw.query("COMMIT").await), ["C ROLLBACK", "Z I"]);
    }
}

#[tokio::test]
async fn settings_after_a_rollback_are_the_settings_before() {
    table("settled").await;
    for end in ["ROLLBACK TO s; COMMIT", "ROLLBACK", "ROLLBACK AND CHAIN; COMMIT", "COMMIT AND CHAIN; ROLLBACK"] {
        let mut raw = raw().await;
        raw.query("BEGIN").await;
        raw.query("SAVEPOINT s").await;
        raw.query("SET work_mem = '3MB'").await;
        raw.query("SELECT count(*) FROM settled").await;
        for part in end.split("; ") {
            raw.query(part).await;
        }
        let expected = if end.starts_with("COMMIT") { "3MB" } else { "4MB" };
        assert_eq!(value(&mut raw, "SHOW work_mem").await, expected, "{end}");
        drop(raw);
        // Whoever gets these backends next has settings of its own.
        for _ in 0..4 {
            let mut next = self::raw().await;
            assert_eq!(value(&mut next, "SHOW work_mem").await, "4MB", "after {end}");
            for key in 1..=4 {
                let sql = format!("SELECT current_setting('work_mem') FROM settled WHERE id = {key}");
                assert_eq!(value(&mut next, &sql).await, "4MB", "after {end}");
            }
        }
    }
}

#[tokio::test]
async fn a_dropped_table_keeps_its_rule_until_the_commit() {
    table("dropped").await;
    let mut raw = raw().await;
    for change in ["DROP TABLE dropped", "ALTER TABLE dropped RENAME TO other"] {
        raw.query("BEGIN").await;
        let answer = brief(&raw.query(change).await);
        assert_eq!(answer.last().map(String::as_str), Some("Z T"), "{change}: {answer:?}");
        raw.query("ROLLBACK").await;
        assert_eq!(value(&mut raw, "SELECT count(*) FROM dropped").await, "20", "{change}");
    }
}

#[tokio::test]
async fn a_rule_made_before_its_table_goes_with_the_transaction() {
    let mut raw = raw().await;
    for (end, outcome) in [("ROLLBACK", "42P01"), ("COMMIT", "SELECT 1")] {
        let key = "(tenant bigint, id int, PRIMARY KEY (tenant, id))";
        for text in
            ["BEGIN", "CALL pgring.admin('SHARD TABLE ruled BY (tenant)')", &format!("CREATE TABLE ruled {key}")]
        {
            let answer = brief(&raw.query(text).await);
            assert_eq!(answer.last().map(String::as_str), Some("Z T"), "{text}: {answer:?}");
        }
        raw.query(end).await;
        let owner = format!("{:?}", brief(&raw.query("SELECT pgring.shard_of('ruled', 1)").await));
        assert!(owner.contains(outcome), "{end}: {owner}");
    }
    assert_eq!(brief(&raw.query("INSERT INTO ruled VALUES (1, 1)").await), ["C INSERT 0 1", "Z I"]);
    assert_eq!(value(&mut raw, "SELECT count(*) FROM ruled").await, "1");
}

#[tokio::test]
async fn a_temporary_table_that_was_rolled_back_hides_nothing() {
    table("hidden").await;
    let mut raw = raw().await;
    for text in ["BEGIN", "CREATE TEMP TABLE hidden (id bigint)", "ROLLBACK"] {
        raw.query(text).await;
    }
    assert_eq!(value(&mut raw, "SELECT count(*) FROM hidden").await, "20");
    raw.extended("CREATE TEMP TABLE hidden (id nonsense)", &[], false).await;
    assert_eq!(value(&mut raw, "SELECT count(*) FROM hidden").await, "20");
}

#[tokio::test]
async fn a_name_whose_parse_was_not_answered_is_free() {
    same(async |mut raw| {
        let mut all = Vec::new();
        for bad in ["SELECT nonsense", "SELECT 1; SELECT 2"] {
            let mut out = BytesMut::new();
            frontend::parse("s1", bad, [], &mut out).unwrap();
            bind_text("", "s1", &[], false, &mut out);
            frontend::sync(&mut out);
            raw.send(&out).await;
            all.extend(brief(&raw.read_until_ready().await));
        }
        let mut out = BytesMut::new();
        frontend::parse("s1", "SELECT 1", [], &mut out).unwrap();
        bind_text("", "s1", &[], false, &mut out);
        frontend::execute("", 0, &mut out).unwrap();
        frontend::sync(&mut out);
        raw.send(&out).await;
        all.extend(brief(&raw.read_until_ready().await));
        all
    })
    .await;
}

#[tokio::test]
async fn a_parse_error_in_a_fresh_transaction_fails_it() {
    same(async |mut raw| {
        let mut all = brief(&raw.query("BEGIN").await);
        let mut out = BytesMut::new();
        frontend::parse("", "SELEC 1", [], &mut out).unwrap();
        frontend::sync(&mut out);
        raw.send(&out).await;
        all.extend(brief(&raw.read_until_ready().await));
        for text in ["SELECT 1", "COMMIT", "START TRANSACTION", "ROLLBACK AND CHAIN", "END"] {
            all.extend(brief(&raw.query(text).await));
        }
        all
    })
    .await;
}

#[tokio::test]
async fn a_copy_refused_in_the_middle_of_a_message_leaves_the_backend_in_step() {
    same(async |mut raw| {
        let mut all = brief(&raw.query("CREATE TABLE copied (id int)").await);
        let mut copy = BytesMut::new();
        frontend::query("COPY copied FROM STDIN", &mut copy).unwrap();
        raw.send(&copy).await;
        let mut data = BytesMut::new();
        frontend::CopyData::new(&b"nonsense\n"[..]).unwrap().write(&mut data);
        let rows = "1\n".repeat(50_000);
        frontend::CopyData::new(rows.as_bytes()).unwrap().write(&mut data);
        frontend::copy_done(&mut data);
        let (now, later) = data.split_at(40_000);
        raw.send(now).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        raw.send(later).await;
        all.extend(brief(&raw.read_until_ready().await));
        all.extend(brief(&raw.query("SELECT count(*) FROM copied").await));
        all.extend(brief(&raw.query("DROP TABLE copied").await));
        all
    })
    .await;
}

#[tokio::test]
async fn a_prepare_with_flush_does_not_keep_a_backend() {
    let mut waiting = Vec::new();
    // More clients than a pool has backends.
    for _ in 0..25 {
        let mut raw = raw().await;
        let mut out = BytesMut::new();
        frontend::parse("p", "SELECT 1", [], &mut out).unwrap();
        frontend::describe(b'S', "p", &mut out).unwrap();
        frontend::flush(&mut out);
        raw.send(&out).await;
        for expected in [b'1', b't', b'T'] {
            assert_eq!(raw.read().await.unwrap().tag, expected);
        }
        waiting.push(raw);
    }
    for raw in &mut waiting {
        let mut out = BytesMut::new();
        bind_text("", "p", &[], false, &mut out);
        frontend::execute("", 0, &mut out).unwrap();
        frontend::sync(&mut out);
        raw.send(&out).await;
        assert_eq!(brief(&raw.read_until_ready().await), ["2", "D", "C SELECT 1", "Z I"]);
    }
}

#[tokio::test]
async fn a_serializable_transaction_sees_one_shard() {
    table("seen").await;
    let mut raw = raw().await;
    for level in ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET LOCAL transaction_isolation = 'serializable'"] {
        raw.query("BEGIN").await;
        raw.query(level).await;
        assert_eq!(brief(&raw.query("SELECT count(*) FROM seen").await), ["E 0A000", "Z E"], "{level}");
        raw.query("ROLLBACK").await;
    }
    raw.query("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").await;
    for key in 1..=4 {
        let answer = brief(&raw.query(&format!("DELETE FROM seen WHERE id = {key}")).await);
        assert_eq!(answer, ["E 25006", "Z I"]);
    }
}

/// Ways to begin a transaction that keeps its snapshot, each with a first statement that takes it.
const SNAPSHOTS: &[(&str, &str)] = &[
    ("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"),
    ("BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "SELECT count(*) FROM pg_class"),
    ("BEGIN; SET LOCAL transaction_isolation = 'repeatable read'", "SELECT * FROM snapped WHERE id = 1"),
    ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM snapped"),
    ("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(DISTINCT id) FROM snapped"),
];

#[tokio::test]
async fn a_transaction_keeps_the_snapshots_of_all_shards_from_its_first_statement() {
    table("snapped").await;
    let (mut reader, mut writer) = (raw().await, raw().await);
    for (round, (begin, first)) in SNAPSHOTS.iter().enumerate() {
        let before = value(&mut reader, "SELECT count(*) FROM snapped").await;
        for statement in begin.split("; ").chain([*first]) {
            let answer = brief(&reader.query(statement).await);
            assert_eq!(answer.last().map(String::as_str), Some("Z T"), "{statement}: {answer:?}");
        }
        for key in 0..40 {
            let id = 1_000 + round * 100 + key;
            writer.query(&format!("INSERT INTO snapped (id) VALUES ({id})")).await;
        }
        for question in [
            "SELECT count(*) FROM snapped",
            "SELECT count(DISTINCT id) FROM snapped",
            "SELECT count(*) FROM (SELECT id FROM snapped ORDER BY id LIMIT 100000) few",
        ] {
            assert_eq!(value(&mut reader, question).await, before, "{begin}; {first}; {question}");
        }
        reader.query("COMMIT").await;
        assert_ne!(value(&mut reader, "SELECT count(*) FROM snapped").await, before);
    }
    reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    reader.query("SELECT 1").await;
    writer.query("DELETE FROM snapped WHERE id = 1000").await;
    let lost = brief(&reader.query("DELETE FROM snapped WHERE id = 1000").await);
    assert_eq!(lost, ["E 40001", "Z E"]);
    reader.query("ROLLBACK").await;
}

#[tokio::test]
async fn a_pipelined_transaction_takes_its_snapshots_first() {
    table("piped").await;
    let (mut reader, mut writer) = (raw().await, raw().await);
    let mut out = BytesMut::new();
    for text in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1", "SELECT * FROM piped WHERE id = 3"] {
        frontend::parse("", text, [], &mut out).unwrap();
        bind_text("", "", &[], false, &mut out);
        frontend::execute("", 0, &mut out).unwrap();
    }
    frontend::sync(&mut out);
    reader.send(&out).await;
    assert_eq!(brief(&reader.read_until_ready().await).last().map(String::as_str), Some("Z T"));
    let before = value(&mut reader, "SELECT count(*) FROM piped").await;
    for key in 500..540 {
        writer.query(&format!("INSERT INTO piped (id) VALUES ({key})")).await;
    }
    assert_eq!(value(&mut reader, "SELECT count(*) FROM piped").await, before);
    reader.query("COMMIT").await;
}

#[tokio::test]
async fn a_copy_whose_rows_raise_notices_goes_on() {
    let mut raw = raw().await;
    raw.query("CREATE TABLE noisy (note text)").await;
    raw.query(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE NOTICE '%', repeat('x', 3000); RETURN NEW; END $$",
    )
    .await;
    let made = "CREATE TRIGGER shout BEFORE INSERT ON noisy FOR EACH ROW EXECUTE FUNCTION shout()";
    assert_eq!(brief(&raw.query(made).await), ["C CREATE TRIGGER", "Z I"]);
    let (client, connection) =
        tokio_postgres::connect(&CLUSTER.connection_string(DATABASE), tokio_postgres::NoTls).await.unwrap();
    let driven = tokio::spawn(connection);
    let sink = client.copy_in("COPY noisy FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    let rows = bytes::Bytes::from(format!("{}\n", "y".repeat(999)).repeat(10_000));
    let copied = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        futures_util::SinkExt::send(&mut sink, rows).await.unwrap();
        sink.finish().await.unwrap()
    });
    assert_eq!(copied.await.expect("no side waits for the other"), 10_000);
    drop(client);
    driven.abort();
}

#[tokio::test]
async fn a_setting_of_pgring_is_shown_by_the_extended_protocol() {
    let mut raw = raw().await;
    let answer = raw.extended("SHOW pgring.max_fanout", &[], false).await;
    assert_eq!(brief(&answer), ["1", "2", "T", "D", "C SHOW", "Z I"]);
    let client = CLUSTER.client().await;
    let row = client.query_one("SHOW pgring.max_fanout", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "0");
}

#[tokio::test]
async fn a_statement_whose_commit_fails_has_no_tag() {
    CLUSTER.admin("SHARD TABLE late BY (id)").await;
    same(async |mut raw| {
        let made = "CREATE TABLE late (id bigint, note text, UNIQUE (id, note) DEFERRABLE INITIALLY DEFERRED)";
        let mut all = brief(&raw.query(made).await);
        for second in ["INSERT INTO late VALUES (1, 'a')", "INSERT INTO late VALUES (1, 'b')"] {
            all.extend(brief(&raw.query(&format!("INSERT INTO late VALUES (1, 'a'); {second}")).await));
        }
        all.extend(brief(&raw.query("SELECT 1; SHOW work_mem").await));
        all
    })
    .await;
}

#[tokio::test]
async fn portals_of_one_batch_are_executed_on_their_own_shards() {
    let (here, there) = table("portals").await;
    for name in ["", "s"] {
        let mut raw = raw().await;
        let mut out = BytesMut::new();
        frontend::parse(name, "SELECT id FROM portals WHERE id = $1", [20], &mut out).unwrap();
        bind_text("p1", name, &[Some(here.to_string())], false, &mut out);
        bind_text("p2", name, &[Some(there.to_string())], false, &mut out);
        bind_text("p3", name, &[Some(there.to_string())], false, &mut out);
        for portal in ["p1", "p2", "p1"] {
            frontend::describe(b'P', portal, &mut out).unwrap();
        }
        for portal in ["p1", "p2"] {
            frontend::execute(portal, 0, &mut out).unwrap();
            frontend::close(b'P', portal, &mut out).unwrap();
        }
        frontend::close(b'P', "p3", &mut out).unwrap();
        frontend::sync(&mut out);
        raw.send(&out).await;
        let answer = raw.read_until_ready().await;
        let row = |frame: &&Frame| frame.tag == b'D';
        let ids: Vec<String> =
            answer.iter().filter(row).map(|frame| String::from_utf8_lossy(&frame.body[6..]).into_owned()).collect();
        assert_eq!(ids, [here.to_string(), there.to_string()]);
        let expected = "1 2 2 2 T T T D C SELECT 1 3 D C SELECT 1 3 3 Z I";
        assert_eq!(brief(&answer).join(" "), expected, "statement {name:?}");
    }
}

#[tokio::test]
async fn a_parse_is_answered_before_an_execute_behind_it() {
    same(async |mut raw| {
        let mut out = BytesMut::new();
        frontend::parse("a", "SELECT 1", [], &mut out).unwrap();
        bind_text("p", "a", &[], false, &mut out);
        frontend::parse("b", "SELECT 2", [], &mut out).unwrap();
        frontend::execute("p", 0, &mut out).unwrap();
        frontend::parse("c", "SELECT 2", [], &mut out).unwrap();
        frontend::describe(b'P', "p", &mut out).unwrap();
        frontend::sync(&mut out);
        raw.send(&out).await;
        brief(&raw.read_until_ready().await)
    })
    .await;
}

/// Ends the backends whose last statement was this one.
async fn terminate(query: &str) {
    for shard in 0..2 {
        let sql = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query = '{query}' \
             AND pid <> pg_backend_pid()"
        );
        CLUSTER.shard_client(shard).await.batch_execute(&sql).await.unwrap();
    }
}

#[tokio::test]
async fn a_backend_that_is_ended_in_a_transaction_ends_the_session_in_the_servers_words() {
    let (here, there) = table("ended").await;
    for ended in [here, there] {
        let mut raw = raw().await;
        raw.query("BEGIN").await;
        raw.query(&format!("UPDATE ended SET note = 'lost' WHERE id = {ended}")).await;
        raw.query(&format!("SELECT 'ended', id FROM ended WHERE id = {ended}")).await;
        terminate(&format!("SELECT ''ended'', id FROM ended WHERE id = {ended}")).await;
        let answer = raw.read().await.unwrap();
        assert_eq!(brief(std::slice::from_ref(&answer)), ["E 57P01"]);
        assert_eq!(answer.fields()[&b'S'], "FATAL");
        assert!(raw.read().await.is_none());
    }
    assert_eq!(value(&mut raw().await, "SELECT count(*) FROM ended WHERE note = 'a'").await, "20");
}

#[tokio::test]
async fn a_notification_during_a_statement_over_several_shards_comes_after_it() {
    table("heard").await;
    let mut raw = raw().await;
    raw.query("LISTEN heard").await;
    let slow = "SELECT id, pg_sleep(0.05) FROM heard";
    raw.send_with(|out| frontend::query(slow, out)).await;
    for shard in 0..2 {
        CLUSTER.shard_client(shard).await.batch_execute("NOTIFY heard, 'now'").await.unwrap();
    }
    let answer = raw.read_until_ready().await;
    assert_eq!(brief(&answer).last().map(String::as_str), Some("Z I"));
    if !answer.iter().any(|frame| frame.tag == b'A') {
        assert_eq!(raw.read().await.unwrap().tag, b'A');
    }
}

#[tokio::test]
async fn reset_of_a_setting_that_does_not_exist_is_an_error() {
    let string = format!("{} application_name=x", CLUSTER.connection_string(DATABASE));
    let client = pgring_integration_tests::client::connect(&string).await;
    let error = client.batch_execute("RESET nonsense").await.unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42704"));
    client.batch_execute("SET application_name = 'y'; SET work_mem = '3MB'").await.unwrap();
    client.batch_execute("RESET application_name; RESET work_mem").await.unwrap();
    for (name, expected) in [("application_name", "x"), ("work_mem", "4MB")] {
        assert_eq!(client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get::<_, String>(0), expected);
    }
}

#[tokio::test]
async fn sessions_on_pools_of_one_backend_do_not_wait_for_each_other_or_themselves() {
    let cluster = Cluster::start(shards(2).database("default_shard = \"s1\"").with("[pool]\nsize = 1")).await;
    cluster.admin("SHARD TABLE narrow BY (id)").await;
    let client = cluster.client().await;
    client.batch_execute("CREATE TABLE narrow (id bigint PRIMARY KEY, note text)").await.unwrap();
    client.batch_execute("CREATE TABLE local (id int)").await.unwrap();
    // Refused only after the default shard was asked, on whose only backend the transaction is.
    client.batch_execute("BEGIN; INSERT INTO local VALUES (1)").await.unwrap();
    let began = std::time::Instant::now();
    let refused = client.query("SELECT id, row_number() OVER (ORDER BY note) FROM narrow", &[]).await.unwrap_err();
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("0A000"), "{refused:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(3));
    client.batch_execute("ROLLBACK").await.unwrap();
    let reader = async {
        for _ in 0..20 {
            client.query("SELECT count(*) FROM narrow", &[]).await.unwrap();
        }
    };
    let other = cluster.client().await;
    let changer = async {
        for nth in 0..10 {
            other.batch_execute(&format!("CREATE TABLE other{nth} (id int)")).await.unwrap();
        }
    };
    tokio::join!(reader, changer);
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_transaction_that_has_changed_the_schema_does_not_wait_for_its_own_locks() {
    table("altered").await;
    let mut raw = raw().await;
    raw.query("BEGIN").await;
    assert_eq!(brief(&raw.query("ALTER TABLE altered ADD COLUMN extra int").await), ["C ALTER TABLE", "Z T"]);
    assert_eq!(value(&mut raw, "SELECT count(extra) FROM altered").await, "0");
    assert_eq!(brief(&raw.query("SELECT count(DISTINCT extra) FROM altered").await), ["E 0A000", "Z E"]);
    raw.query("ROLLBACK").await;
    assert_eq!(value(&mut raw, "SELECT count(DISTINCT note) FROM altered").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_that_could_not_be_taken_leave_no_backend_outside_its_transaction() {
    let cluster =
        tokio::task::block_in_place(|| Cluster::launch(shards(2).with("[pool]\nsize = 1\nqueue_timeout = \"1s\"")));
    let log_in = async || Raw::log_in(cluster.router().port(), "postgres", "postgres", DATABASE).await;
    let (mut holder, mut raw) = (log_in().await, log_in().await);
    cluster.admin("SHARD TABLE scarce BY (id)").await;
    raw.query("CREATE TABLE scarce (id bigint PRIMARY KEY, note text)").await;
    let mut owners = Vec::new();
    for id in 1..=20 {
        owners.push((value(&mut raw, &format!("SELECT pgring.shard_of('scarce', {id})")).await, id));
    }
    let on = |shard: &str| owners.iter().find(|(owner, _)| owner == shard).unwrap().1;
    // The only backend of the second shard is somebody else's.
    holder.query("BEGIN").await;
    holder.query(&format!("SELECT * FROM scarce WHERE id = {}", on("s1"))).await;
    raw.query("BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    raw.query("SAVEPOINT a").await;
    assert_eq!(brief(&raw.query("SELECT count(*) FROM scarce").await), ["E 53300", "Z E"]);
    assert_eq!(brief(&raw.query("ROLLBACK TO a").await), ["C ROLLBACK", "Z T"]);
    let insert = format!("INSERT INTO scarce VALUES ({}, 'kept?')", on("s0"));
    assert_eq!(brief(&raw.query(&insert).await), ["C INSERT 0 1", "Z T"]);
    assert_eq!(brief(&raw.query("ROLLBACK").await), ["C ROLLBACK", "Z I"]);
    holder.query("COMMIT").await;
    assert_eq!(value(&mut raw, "SELECT count(*) FROM scarce").await, "0");
}

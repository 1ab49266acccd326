//! Cursors: results over four shards that are read in pieces, by FETCH and by row-limited Execute; EXECUTE, EXPLAIN and
//! COPY of statements over several shards. Each script runs on one PostgreSQL and through pgring; the messages must be the
//! same.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::{sync::LazyLock, time::Duration};

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::{Step, bind_as, close, describe, execute, flush, parse, play, query, sync};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;

static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::launch_filled(shards(4).with("[pool]\nsize = 12\nqueue_timeout = \"10s\""), async |cluster| {
        fill(cluster, [ORACLE.port(), cluster.router().port()]).await
    })
});

const TABLES: &str = "CREATE TABLE lines (k bigint, id int, v numeric(8,2), s text COLLATE \"C\", PRIMARY KEY (k, id));
    CREATE TABLE parts (p bigint PRIMARY KEY, k bigint, w int);
    CREATE TABLE notes (n int PRIMARY KEY, t text)";

async fn fill(cluster: &Cluster, ports: [u16; 2]) {
    cluster.admin("SHARD TABLE lines BY (k)").await;
    cluster.admin("SHARD TABLE parts BY (p)").await;
    for port in ports {
        let mut raw = log_in(port).await;
        for table in TABLES.split(';') {
            ok(&mut raw, table).await;
        }
        for k in 1..=40 {
            ok(&mut raw, &format!("INSERT INTO lines VALUES ({k}, 1, {k}.5, 'line {k}'), ({k}, 2, NULL, NULL)")).await;
            ok(&mut raw, &format!("INSERT INTO parts VALUES ({k}, {}, {})", 41 - k, k % 7)).await;
        }
        ok(&mut raw, "INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 20) n").await;
    }
}

async fn ok(raw: &mut Raw, sql: &str) {
    let answer = raw.query(sql).await;
    let error = answer.iter().find(|frame| frame.tag == b'E');
    assert!(error.is_none(), "{sql}: {:?}", error.map(|frame| frame.fields()));
}

async fn log_in(port: u16) -> Raw {
    Raw::log_in(port, "postgres", "postgres", DATABASE).await
}

/// One statement by the simple protocol.
fn q(sql: &str) -> Vec<Step> {
    vec![Step::Send(query(sql)), Step::Until(b'Z', 1)]
}

/// Messages and a Sync.
fn x(messages: &[Vec<u8>]) -> Vec<Step> {
    vec![Step::Send([messages.concat(), sync()].concat()), Step::Until(b'Z', 1)]
}

/// Messages and a Flush, answered up to this message.
fn f(messages: &[Vec<u8>], last: u8) -> Vec<Step> {
    vec![Step::Send([messages.concat(), flush()].concat()), Step::Until(last, 1)]
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    bind_as(portal, statement, &[], &[], &[])
}

/// Parse, Describe, Bind, Describe, Execute of one statement, with these parameters and formats.
fn whole(sql: &str, values: &[&str], formats: &[i16]) -> Vec<Step> {
    let values: Vec<Option<&[u8]>> = values.iter().map(|value| Some(value.as_bytes())).collect();
    x(&[
        parse("", sql, &[]),
        describe(b'S', ""),
        bind_as("", "", &[], &values, formats),
        describe(b'P', ""),
        execute("", 0),
    ])
}

async fn same(script: &[Vec<Step>]) {
    let cluster = &*CLUSTER;
    let mut oracle = log_in(ORACLE.port()).await;
    let mut router = log_in(cluster.router().port()).await;
    for (nth, steps) in script.iter().enumerate() {
        let expected = play(&mut oracle, steps).await;
        let found = play(&mut router, steps).await;
        let sent = steps.iter().map(|step| match step {
            Step::Send(bytes) => bytes.escape_ascii().to_string(),
            step => format!("{step:?}"),
        });
        let sent: Vec<String> = sent.collect();
        assert_eq!(expected, found, "step {nth}: {}", sent.join(" "));
    }
    drop((oracle, router));
}

/// A statement that is merged.
const MERGED: &str = "SELECT k, id, v, s FROM lines ORDER BY k, id";
/// One that is gathered.
const GATHERED: &str = "SELECT k, id, sum(v) OVER (ORDER BY k, id) AS running FROM lines ORDER BY k, id";
/// One whose tables are never on one shard together.
const APART: &str = "SELECT l.k, p.p, p.w FROM lines l JOIN parts p ON p.k = l.k WHERE l.id = 1 ORDER BY l.k, p.p";

fn declared(options: &str, sql: &str) -> Vec<Step> {
    q(&format!("DECLARE c {options} CURSOR FOR {sql}"))
}

#[tokio::test]
async fn fetch_goes_in_every_direction() {
    for sql in [MERGED, GATHERED, APART] {
        same(&[
            q("BEGIN"),
            declared("SCROLL", sql),
            q("FETCH c"),
            q("FETCH NEXT FROM c"),
            q("FETCH 3 IN c"),
            q("FETCH PRIOR c"),
            q("FETCH FIRST FROM c"),
            q("FETCH LAST FROM c"),
            q("FETCH ABSOLUTE 5 FROM c"),
            q("FETCH ABSOLUTE -2 FROM c"),
            q("FETCH RELATIVE -3 FROM c"),
            q("FETCH RELATIVE 0 FROM c"),
            q("FETCH BACKWARD 2 FROM c"),
            q("FETCH BACKWARD ALL FROM c"),
            q("FETCH FORWARD 2 FROM c"),
            q("FETCH 0 FROM c"),
            q("MOVE 4 FROM c"),
            q("MOVE BACKWARD 1 IN c"),
            q("FETCH -1 FROM c"),
            q("FETCH ALL FROM c"),
            q("FETCH c"),
            q("MOVE FIRST c"),
            q("CLOSE c"),
            q("FETCH c"),
            q("ROLLBACK"),
        ])
        .await;
    }
}

#[tokio::test]
async fn a_cursor_ends_as_its_transaction_does() {
    same(&[
        declared("", MERGED),
        q("BEGIN"),
        declared("", MERGED),
        q("COMMIT"),
        q("FETCH c"),
        q("BEGIN"),
        declared("", GATHERED),
        declared("", GATHERED),
        q("ROLLBACK"),
        q("BEGIN"),
        declared("NO SCROLL", GATHERED),
        q("FETCH 2 c"),
        q("FETCH BACKWARD 1 c"),
        q("ROLLBACK"),
        q("BEGIN"),
        q("SAVEPOINT a"),
        declared("", GATHERED),
        q("FETCH c"),
        q("SAVEPOINT b"),
        q("DECLARE d CURSOR FOR SELECT count(*) FROM lines"),
        q("FETCH 2 c"),
        q("ROLLBACK TO b"),
        q("FETCH c"),
        q("FETCH d"),
        q("ROLLBACK TO a"),
        q("FETCH c"),
        q("ROLLBACK"),
        q("BEGIN"),
        q("SAVEPOINT a"),
        declared("", GATHERED),
        q("RELEASE a"),
        q("SAVEPOINT e"),
        q("SELECT 1/0"),
        q("FETCH c"),
        q("ROLLBACK TO e"),
        q("FETCH c"),
        q("CLOSE ALL"),
        q("FETCH c"),
        q("ROLLBACK"),
        q("BEGIN; DECLARE c CURSOR FOR SELECT k FROM lines ORDER BY k, id; FETCH 2 c; COMMIT"),
        q("DECLARE c CURSOR FOR SELECT k FROM lines ORDER BY k, id; FETCH 2 c"),
        q("FETCH c"),
    ])
    .await;
}

#[tokio::test]
async fn a_cursor_with_hold_outlives_its_transaction() {
    same(&[
        q(&format!("DECLARE c SCROLL CURSOR WITH HOLD FOR {GATHERED}")),
        q("FETCH 3 c"),
        q("BEGIN"),
        q("FETCH 1 c"),
        q("COMMIT"),
        q("FETCH PRIOR c"),
        q("CLOSE c"),
        q("BEGIN"),
        q(&format!("DECLARE c CURSOR WITH HOLD FOR {MERGED}")),
        q("ROLLBACK"),
        q("FETCH c"),
        q("BEGIN"),
        q(&format!("DECLARE c CURSOR WITH HOLD FOR {APART}")),
        q("FETCH c"),
        q("COMMIT"),
        q("FETCH 2 c"),
        q("DISCARD ALL"),
        q("FETCH c"),
    ])
    .await;
}

#[tokio::test]
async fn cursors_by_the_extended_protocol() {
    let with_parameter = "DECLARE c CURSOR FOR SELECT k, v, s FROM lines WHERE id = 1 AND k < $1 ORDER BY k, id";
    same(&[
        q("BEGIN"),
        whole(with_parameter, &["9"], &[]),
        whole("FETCH 2 FROM c", &[], &[]),
        whole("FETCH 2 FROM c", &[], &[1]),
        whole("FETCH 1 FROM c", &[], &[0, 1, 0]),
        whole("MOVE 1 FROM c", &[], &[]),
        x(&[parse("fetch", "FETCH 1 FROM c", &[])]),
        x(&[bind("", "fetch"), execute("", 0), bind("", "fetch"), describe(b'P', ""), execute("", 0)]),
        whole("CLOSE c", &[], &[]),
        whole("FETCH 2 FROM c", &[], &[]),
        q("ROLLBACK"),
        // All in one go.
        x(&[
            parse("", "BEGIN", &[]),
            bind("", ""),
            execute("", 0),
            parse("", &format!("DECLARE c CURSOR FOR {APART}"), &[]),
            bind("", ""),
            execute("", 0),
            parse("", "FETCH 3 FROM c", &[]),
            bind("", ""),
            describe(b'P', ""),
            execute("", 0),
            parse("", "COMMIT", &[]),
            bind("", ""),
            execute("", 0),
        ]),
        whole(&format!("DECLARE c CURSOR FOR {GATHERED}"), &[], &[]),
        q("BEGIN"),
        q(&format!("DECLARE c BINARY INSENSITIVE CURSOR FOR {GATHERED}")),
        q(&format!("DECLARE c BINARY CURSOR FOR {GATHERED}")),
        q("ROLLBACK"),
        q("BEGIN"),
        q(&format!("DECLARE c BINARY CURSOR FOR {GATHERED}")),
        q("FETCH 2 c"),
        whole("FETCH 2 c", &[], &[]),
        q("ROLLBACK"),
    ])
    .await;
}

#[tokio::test]
async fn a_cursor_sees_what_its_transaction_wrote() {
    for sql in [
        "SELECT k, id, v FROM lines WHERE k > 39 ORDER BY k, id",
        "SELECT k, id, count(*) OVER () FROM lines WHERE k > 39 ORDER BY k, id",
    ] {
        same(&[
            q("BEGIN"),
            q("SELECT count(*) FROM lines"),
            q("INSERT INTO lines VALUES (40, 3, 7, 'new')"),
            declared("", sql),
            q("FETCH 2 c"),
            q("INSERT INTO lines VALUES (40, 4, 8, 'later')"),
            q("FETCH ALL c"),
            q("ROLLBACK"),
        ])
        .await;
    }
}

#[tokio::test]
async fn errors_of_cursors() {
    same(&[
        q("BEGIN"),
        declared("", "SELECT k, 100 / (k - 5) FROM lines WHERE id = 1 ORDER BY k"),
        q("SAVEPOINT a"),
        q("FETCH ALL c"),
        q("FETCH 1 c"),
        q("ROLLBACK TO a"),
        q("FETCH 1 c"),
        q("ROLLBACK"),
        q("BEGIN"),
        declared("", "SELECT nonsense FROM lines"),
        q("ROLLBACK"),
        q("SELECT 'ü'; BEGIN; DECLARE c CURSOR FOR SELECT k, nonsense, count(*) OVER () FROM lines"),
        q("ROLLBACK"),
        q("FETCH 1 FROM nothing"),
        q("CLOSE nothing"),
    ])
    .await;
}

#[tokio::test]
async fn an_execute_with_a_row_limit_goes_on() {
    for sql in [MERGED, GATHERED, APART, "SELECT k % 5 AS m, count(*) FROM lines GROUP BY 1 ORDER BY 1"] {
        for formats in [&[][..], &[1][..]] {
            let bound = |portal: &str| bind_as(portal, "s", &[], &[], formats);
            same(&[
                x(&[parse("s", sql, &[]), describe(b'S', "s")]),
                // In a transaction, a Sync after each.
                q("BEGIN"),
                x(&[bound("p"), describe(b'P', "p"), execute("p", 3)]),
                x(&[execute("p", 2)]),
                x(&[bound("r"), execute("r", 1)]),
                x(&[describe(b'P', "p"), execute("p", 1)]),
                q("SELECT count(*) FROM lines"),
                x(&[execute("p", 0)]),
                x(&[execute("p", 0)]),
                x(&[execute("r", 1)]),
                x(&[close(b'P', "r")]),
                x(&[execute("r", 1)]),
                q("ROLLBACK"),
                q("BEGIN"),
                x(&[bound(""), execute("", 3)]),
                x(&[execute("", 2)]),
                x(&[execute("", 0)]),
                x(&[bound(""), execute("", 3)]),
                q("SELECT 1"),
                x(&[execute("", 2)]),
                q("ROLLBACK"),
                // Without one, by Flush.
                f(&[bound("p"), execute("p", 3)], b's'),
                f(&[execute("p", 2)], b's'),
                f(&[execute("p", 0)], b'C'),
                f(&[close(b'P', "p")], b'3'),
                x(&[]),
                x(&[execute("p", 2)]),
                // And in one batch.
                x(&[bound("p"), execute("p", 1), execute("p", 1), bound(""), execute("", 2)]),
                x(&[bound(""), execute("", 1), execute("", 1), execute("", 0)]),
                x(&[bound(""), execute("", 1000)]),
                x(&[bound("p"), execute("p", 1000), execute("p", 1000)]),
            ])
            .await;
        }
    }
}

#[tokio::test]
async fn a_cursor_is_a_portal_of_its_name() {
    for sql in [MERGED, GATHERED, "SELECT k, id, v, s FROM lines WHERE k = 7 ORDER BY id"] {
        for options in ["", "BINARY SCROLL"] {
            same(&[
                q("BEGIN"),
                declared(options, sql),
                x(&[describe(b'P', "c")]),
                x(&[describe(b'P', "c"), execute("c", 1)]),
                q("FETCH 1 c"),
                x(&[execute("c", 1)]),
                x(&[execute("c", 0)]),
                x(&[execute("c", 0)]),
                x(&[parse("s", "SELECT 1", &[]), bind("c", "s")]),
                q("ROLLBACK"),
                q("BEGIN"),
                declared(options, sql),
                x(&[close(b'P', "c")]),
                q("SAVEPOINT a"),
                q("FETCH 1 c"),
                q("ROLLBACK TO a"),
                x(&[describe(b'P', "c")]),
                q("ROLLBACK TO a"),
                x(&[execute("c", 1)]),
                q("ROLLBACK"),
            ])
            .await;
        }
    }
}

#[tokio::test]
async fn one_name_is_one_cursor() {
    let one = "SELECT k, id FROM lines WHERE k = 7 ORDER BY id";
    let other = "SELECT k, id FROM lines WHERE k = 8 ORDER BY id";
    let third = "SELECT k, id FROM lines WHERE k = 9 ORDER BY id";
    for (first, second) in [(one, other), (one, third), (one, MERGED), (MERGED, one), (GATHERED, APART)] {
        for hold in ["", "WITH HOLD"] {
            let declared = |sql: &str| q(&format!("DECLARE c CURSOR {hold} FOR {sql}"));
            same(&[
                q("BEGIN"),
                declared(first),
                q("SAVEPOINT a"),
                declared(second),
                q("ROLLBACK TO a"),
                q("FETCH 1 c"),
                q("CLOSE c"),
                declared(second),
                q("FETCH 1 c"),
                q("ROLLBACK TO a"),
                q("ROLLBACK"),
                // What was rolled back has left its name.
                q("BEGIN"),
                q("SAVEPOINT a"),
                declared(first),
                q("ROLLBACK TO a"),
                declared(second),
                q("FETCH 1 c"),
                q("COMMIT"),
                q("FETCH 1 c"),
                q("BEGIN"),
                declared(first),
                q("ROLLBACK"),
                q("CLOSE ALL"),
                q("BEGIN"),
                declared(first),
                q("ROLLBACK"),
                q("BEGIN"),
                declared(second),
                q("FETCH 1 c"),
                q("ROLLBACK"),
            ])
            .await;
        }
    }
}

#[tokio::test]
async fn close_all_closes_them_on_every_shard() {
    let on =
        |k: u32| q(&format!("DECLARE c{k} CURSOR WITH HOLD FOR SELECT k, id FROM lines WHERE k = {k} ORDER BY id"));
    let mut script = vec![q("BEGIN"), declared("", GATHERED)];
    script.extend((1..=8).map(on));
    script.push(q("CLOSE ALL"));
    for name in ["c", "c1", "c2", "c5", "c8"] {
        script.extend([q("SAVEPOINT a"), q(&format!("FETCH 1 {name}")), q("ROLLBACK TO a")]);
    }
    script.extend((1..=8).map(on));
    script.extend([q("COMMIT"), q("FETCH 1 c3"), q("CLOSE ALL")]);
    script.extend((1..=8).map(|k| q(&format!("FETCH 1 c{k}"))));
    same(&script).await;
}

#[tokio::test]
async fn cursors_that_cannot_be_are_refused() {
    let mut raw = log_in(CLUSTER.router().port()).await;
    for sql in [
        "DECLARE c CURSOR FOR SELECT k FROM lines FOR UPDATE",
        "DECLARE c CURSOR FOR SELECT k, pg_sleep(0) FROM lines, notes FOR SHARE OF lines",
        "UPDATE lines SET v = 1 WHERE CURRENT OF c",
        "DELETE FROM lines WHERE CURRENT OF c",
    ] {
        ok(&mut raw, "BEGIN").await;
        let answer = raw.query(sql).await;
        let error = answer.iter().find_map(|frame| frame.sqlstate());
        assert_eq!(error.as_deref(), Some("0A000"), "{sql}");
        ok(&mut raw, "ROLLBACK").await;
    }
}

#[tokio::test]
async fn a_cursor_knows_one_time() {
    let client = CLUSTER.client().await;
    for sql in ["SELECT now() FROM lines", "SELECT now(), count(*) OVER () FROM lines", "SELECT now() AS n FROM lines"]
    {
        client
            .batch_execute(&format!("BEGIN; SELECT v FROM lines WHERE k = 3; DECLARE c CURSOR FOR {sql}"))
            .await
            .unwrap();
        let rows = shown(&client, "FETCH ALL c").await;
        let times: std::collections::HashSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!((rows.len(), times.len()), (80, 1), "{sql}");
        let again = shown(&client, "EXPLAIN (COSTS off) SELECT count(*) FROM lines WHERE now() > '2000-01-01'").await;
        assert!(!again.is_empty());
        client.batch_execute("ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn portals_end_with_their_transaction_or_savepoint() {
    same(&[
        x(&[parse("s", GATHERED, &[])]),
        q("BEGIN"),
        x(&[bind("p", "s"), execute("p", 2)]),
        q("COMMIT"),
        x(&[execute("p", 2)]),
        q("BEGIN"),
        q("SAVEPOINT a"),
        x(&[bind("p", "s"), execute("p", 2)]),
        q("ROLLBACK TO a"),
        x(&[execute("p", 2)]),
        q("ROLLBACK"),
        q("BEGIN"),
        x(&[bind("p", "s"), execute("p", 2)]),
        x(&[parse("", "SELECT 1/0", &[]), bind("", ""), execute("", 0)]),
        x(&[execute("p", 2)]),
        q("ROLLBACK"),
    ])
    .await;
}

#[tokio::test]
async fn execute_of_a_prepared_statement_over_several_shards() {
    same(&[
        q("PREPARE m (bigint, text) AS SELECT k, v, s FROM lines WHERE k < $1 AND s <> $2 ORDER BY k, id"),
        q("EXECUTE m(5, 'line 2')"),
        q("EXECUTE m('4', NULL)"),
        q("EXECUTE m(2 + 2, 'line ' || 3)"),
        q("EXECUTE m(2.6, 'x')"),
        q("EXECUTE m('nonsense', 'x')"),
        q("EXECUTE m(1, 'x', 3)"),
        q("EXECUTE m(nonsense, 'x')"),
        q("EXECUTE m(ARRAY[1], 'x')"),
        q("PREPARE g AS SELECT k, sum(v) OVER (ORDER BY k, id) FROM lines WHERE k < $1::int ORDER BY k, id"),
        q("EXECUTE g(3)"),
        whole("EXECUTE g(3)", &[], &[]),
        whole("EXECUTE g(1 + 2)", &[], &[1]),
        x(&[parse("e", "EXECUTE m(3, 'x')", &[]), bind("", "e"), describe(b'P', "")]),
        x(&[bind("", "e"), describe(b'P', ""), execute("", 0)]),
        x(&[parse("p", "SELECT count(*) FROM lines WHERE k > $1", &[])]),
        q("EXECUTE p(30)"),
        q("BEGIN"),
        q("SELECT count(*) FROM lines"),
        q("INSERT INTO lines VALUES (3, 7, 1, 'own')"),
        q("EXECUTE m(4, 'line ' || 1)"),
        q("EXECUTE m(4 / 0, '')"),
        q("EXECUTE m(4, '')"),
        q("ROLLBACK"),
        q("PREPARE one AS SELECT v FROM lines WHERE k = $1 ORDER BY id"),
        q("EXECUTE one(3)"),
        q("EXECUTE one(1 + 2)"),
        q("EXECUTE one(NULL)"),
        q("DEALLOCATE ALL"),
    ])
    .await;
}

/// Backends of the default pools that somebody uses.
async fn used(cluster: &Cluster) -> i64 {
    let rows = cluster.admin("SHOW POOLS").await;
    let figure = |name: &str| rows.iter().map(|row| row.get(name).unwrap().parse::<i64>().unwrap()).sum::<i64>();
    figure("active") + figure("pinned")
}

#[tokio::test]
async fn no_backend_stays_behind() {
    let cluster = Cluster::start(shards(3)).await;
    cluster.admin("SHARD TABLE lines BY (k)").await;
    let mut raw = cluster.raw().await;
    ok(&mut raw, "CREATE TABLE lines (k bigint, id int, v numeric(8,2), s text, PRIMARY KEY (k, id))").await;
    for k in 1..=12 {
        ok(&mut raw, &format!("INSERT INTO lines VALUES ({k}, 1, {k}, 'x')")).await;
    }
    let free = || async { (used(&cluster).await == 0).then_some(()) };
    let scripts: [(&str, Vec<Vec<Step>>); 7] = [
        ("a cursor that was read", vec![q("BEGIN"), declared("", GATHERED), q("FETCH 2 c"), q("COMMIT")]),
        ("a cursor in a failed transaction", vec![q("BEGIN"), declared("", GATHERED), q("SELECT 1/0"), q("ROLLBACK")]),
        ("a portal that was left", vec![x(&[parse("", GATHERED, &[]), bind("", ""), execute("", 1), execute("", 1)])]),
        (
            "a portal by Flush and a query",
            vec![f(&[parse("", GATHERED, &[]), bind("p", ""), execute("p", 1)], b's'), q("SELECT 1")],
        ),
        ("a cursor that nobody closes", vec![q("BEGIN"), declared("", GATHERED), q("FETCH 2 c")]),
        ("a cursor WITH HOLD", vec![q(&format!("DECLARE c CURSOR WITH HOLD FOR {GATHERED}")), q("FETCH 1 c")]),
        ("a portal", vec![f(&[parse("", GATHERED, &[]), bind("p", ""), execute("p", 1)], b's')]),
    ];
    for (what, script) in scripts {
        let mut raw = cluster.raw().await;
        for steps in &script {
            play(&mut raw, steps).await;
        }
        if what.contains("HOLD") {
            let pins = cluster.admin("SHOW PINS").await;
            assert!(pins.iter().any(|row| format!("{row:?}").contains("WITH HOLD")), "{pins:?}");
        }
        if !what.contains("nobody") && !what.contains("WITH HOLD") && what != "a portal" {
            eventually(what, Duration::from_secs(10), free).await;
        }
        drop(raw);
        eventually(what, Duration::from_secs(10), free).await;
        let mut other = cluster.raw().await;
        ok(&mut other, GATHERED).await;
    }
}

#[tokio::test]
async fn a_session_keeps_only_so_many() {
    let cluster = Cluster::start(shards(2).with("[pool]\nsize = 40")).await;
    cluster.admin("SHARD TABLE lines BY (k)").await;
    let mut raw = cluster.raw().await;
    ok(&mut raw, "CREATE TABLE lines (k bigint, id int, v int)").await;
    ok(&mut raw, "BEGIN").await;
    let mut refused = None;
    for n in 0..30 {
        let answer = raw.query(&format!("DECLARE c{n} CURSOR FOR {GATHERED}")).await;
        if let Some(error) = answer.iter().find_map(|frame| frame.sqlstate()) {
            refused = Some((n, error));
            break;
        }
    }
    assert_eq!(refused, Some((16, "0A000".to_owned())));
    ok(&mut raw, "ROLLBACK").await;
    eventually("backends are free", Duration::from_secs(10), || async { (used(&cluster).await == 0).then_some(()) })
        .await;
}
/// What a statement shows by the simple protocol, row by row.
async fn shown(client: &tokio_postgres::Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_owned()).collect()).collect()
}

#[tokio::test]
async fn explain_shows_each_shards_plan() {
    let client = CLUSTER.client().await;
    let lines = |rows: Vec<Vec<String>>| rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let merged = lines(shown(&client, &format!("EXPLAIN (COSTS off) {MERGED}")).await);
    assert_eq!(merged[0], "Scatter  (sorted rows are merged)");
    for shard in ["s0", "s1", "s2", "s3"] {
        assert!(merged.contains(&format!("  ->  Shard {shard}")), "{merged:?}");
    }
    assert!(merged.iter().filter(|line| line.contains(" on lines")).count() >= 4, "{merged:?}");
    let analyzed = lines(shown(&client, &format!("EXPLAIN ANALYZE {MERGED}")).await);
    assert!(analyzed.iter().filter(|line| line.contains("Execution Time")).count() == 4, "{analyzed:?}");
    let gathered = lines(shown(&client, &format!("EXPLAIN (COSTS off) {GATHERED}")).await);
    assert!(gathered[0].starts_with("Gather  ("), "{gathered:?}");
    assert!(gathered.iter().any(|line| line == "  ->  Input public.lines on s0"), "{gathered:?}");
    assert!(!gathered.iter().any(|line| line.contains("WindowAgg")), "{gathered:?}");
    let gathered = lines(shown(&client, &format!("EXPLAIN (COSTS off, ANALYZE, TIMING off) {GATHERED}")).await);
    assert!(gathered.iter().any(|line| line.contains("WindowAgg")), "{gathered:?}");
    let timed = lines(shown(&client, "EXPLAIN SELECT count(*) FROM lines WHERE now() > '2000-01-01'").await);
    assert!(timed[0].starts_with("Scatter"), "{timed:?}");
    // A statement on one shard is that shard's own answer.
    let one = lines(shown(&client, "EXPLAIN (COSTS off) SELECT * FROM lines WHERE k = 3 AND id = 1").await);
    assert!(one[0].starts_with("Index Scan") || one[0].starts_with("Seq Scan"), "{one:?}");
    let error = client.simple_query("EXPLAIN SELECT nonsense FROM lines ORDER BY 1").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42703");
    let error = client.simple_query("EXPLAIN (nonsense) SELECT * FROM lines ORDER BY 1").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42601");
}

#[tokio::test]
async fn explain_is_one_document_where_it_is_asked_for() {
    let client = CLUSTER.client().await;
    let postgres = CLUSTER.shard_client(0).await;
    for sql in [MERGED, GATHERED, APART] {
        for analyze in ["", "ANALYZE, "] {
            let rows = shown(&client, &format!("EXPLAIN ({analyze}FORMAT JSON) {sql}")).await;
            assert_eq!(rows.len(), 1);
            // PostgreSQL reads it.
            let read = "SELECT json_array_length(($1::text)::json -> 0 -> 'Plan' -> 'Plans'), \
                        ($1::text)::json -> 0 -> 'Plan' -> 'Plans' -> 0 -> 'Explain' -> 0 -> 'Plan' ->> 'Node Type'";
            let row = postgres.query_one(read, &[&rows[0][0]]).await.unwrap();
            assert!(row.get::<_, i32>(0) >= 4 && row.get::<_, Option<String>>(1).is_some(), "{rows:?}");
            let rows = shown(&client, &format!("EXPLAIN ({analyze}FORMAT XML) {sql}")).await;
            assert!(rows.len() == 1 && rows[0][0].starts_with("<explain") && rows[0][0].ends_with("</explain>"));
            let rows = shown(&client, &format!("EXPLAIN ({analyze}FORMAT YAML) {sql}")).await;
            assert!(rows.len() == 1 && rows[0][0].starts_with("- Plan: "), "{rows:?}");
        }
    }
    // By the extended protocol, with a parameter.
    let sql = "EXPLAIN (FORMAT JSON) SELECT k FROM lines WHERE k > $1 ORDER BY k";
    let statement = client.prepare(sql).await.unwrap();
    assert_eq!((statement.columns()[0].name(), statement.columns()[0].type_().oid()), ("QUERY PLAN", 114));
    let sql = "EXPLAIN (COSTS off) SELECT k, count(*) OVER () FROM lines WHERE k > $1 ORDER BY k";
    let rows = client.query(sql, &[&7_i64]).await.unwrap();
    assert!(rows[0].get::<_, String>(0).starts_with("Gather"));
}

#[tokio::test]
async fn explain_changes_nothing() {
    let mut raw = log_in(CLUSTER.router().port()).await;
    ok(&mut raw, "BEGIN").await;
    ok(&mut raw, "SELECT count(*) FROM lines").await;
    ok(&mut raw, &format!("EXPLAIN ANALYZE {GATHERED}")).await;
    ok(&mut raw, &format!("EXPLAIN ANALYZE {MERGED}")).await;
    ok(&mut raw, "INSERT INTO lines VALUES (5, 9, 1, 'x')").await;
    ok(&mut raw, "ROLLBACK").await;
    let refused = raw.query("EXPLAIN ANALYZE UPDATE lines SET v = 0").await;
    assert_eq!(refused[0].sqlstate().as_deref(), Some("0A000"));
    let zeros = CLUSTER.client().await.query_one("SELECT count(*) FROM lines WHERE v = 0", &[]).await.unwrap();
    assert_eq!(zeros.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn explain_route_analyze_counts_per_shard() {
    let client = CLUSTER.client().await;
    let rows = shown(&client, "EXPLAIN (ROUTE, ANALYZE) SELECT * FROM lines ORDER BY k").await;
    assert_eq!(rows.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(), ["s0", "s1", "s2", "s3"]);
    assert!(rows.iter().all(|row| row[0] == "1" && row[1] == "scatter" && row.len() == 8), "{rows:?}");
    let count = |rows: &[Vec<String>]| rows.iter().map(|row| row[5].parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!(count(&rows), 80);
    assert!(rows.iter().all(|row| row[6].parse::<u64>().unwrap() > 0 && row[7].parse::<f64>().unwrap() >= 0.0));
    let rows = shown(&client, &format!("EXPLAIN (ROUTE, ANALYZE) {GATHERED}")).await;
    // The inputs on four shards, and the answer.
    assert_eq!((rows.len(), count(&rows)), (5, 160), "{rows:?}");
    let rows = shown(&client, "EXPLAIN (ROUTE, ANALYZE) SELECT * FROM lines WHERE k = 4").await;
    assert_eq!((rows.len(), count(&rows), rows[0][1].as_str()), (1, 2, "single"));
    let rows = shown(&client, "EXPLAIN (ROUTE, ANALYZE, FORMAT JSON) SELECT count(*) FROM lines").await;
    assert!(rows.len() == 1 && rows[0][0].contains("\"rows\": 1,"), "{rows:?}");
    let rows = shown(&client, "EXPLAIN (ROUTE, FORMAT JSON) SELECT count(*) FROM lines").await;
    assert!(rows[0][0].contains("\"kind\": \"scatter\""), "{rows:?}");
    let error = client.simple_query("EXPLAIN (ROUTE, ANALYZE) UPDATE lines SET v = 1").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "0A000");
    let statement = client.prepare("EXPLAIN (ROUTE, ANALYZE) SELECT * FROM lines WHERE k > $1").await.unwrap();
    assert_eq!(statement.columns().len(), 8);
}

//! COPY … TO STDOUT over four shards: of queries that are merged or gathered, whose every message must be PostgreSQL's; of
//! whole tables, whose rows must be the same in any order, with one head and one end.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::{Step, bind, describe, execute, parse, play, query, sync};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;

static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::launch_filled(shards(4), async |cluster| fill(cluster, [ORACLE.port(), cluster.router().port()]).await)
});

async fn fill(cluster: &Cluster, ports: [u16; 2]) {
    for table in ["things", "nothing", "\"Odd Names\""] {
        cluster.admin(&format!("SHARD TABLE {table} BY (k)")).await;
    }
    for port in ports {
        let mut raw = Raw::log_in(port, "postgres", "postgres", DATABASE).await;
        ok(
            &mut raw,
            "CREATE TABLE things (k bigint, t text, n numeric(10,3), at timestamptz, j jsonb, b bytea, a int[])",
        )
        .await;
        ok(&mut raw, "CREATE TABLE nothing (k bigint, t text)").await;
        ok(&mut raw, "CREATE TABLE \"Odd Names\" (k bigint, \"a,b\" text, \"say \"\"x\"\"\" text)").await;
        for k in 1..=24 {
            ok(
                &mut raw,
                &format!(
                    "INSERT INTO things VALUES ({k}, E'tab\\t, \"q\" \\\\ é {k}\\n', {k}.5, '2024-02-{k:02} 12:00+00', \
                     '{{\"k\": {k}}}', '\\x00ff{k:02x}', ARRAY[{k}, NULL])"
                ),
            )
            .await;
        }
        ok(&mut raw, "INSERT INTO things (k, t) VALUES (25, NULL)").await;
        ok(&mut raw, "INSERT INTO things (k, t) VALUES (26, '')").await;
        for k in 1..=5 {
            ok(&mut raw, &format!("INSERT INTO \"Odd Names\" VALUES ({k}, 'x', 'y')")).await;
        }
    }
}

async fn ok(raw: &mut Raw, sql: &str) {
    let answer = raw.query(sql).await;
    let error = answer.iter().find(|frame| frame.tag == b'E');
    assert!(error.is_none(), "{sql}: {:?}", error.map(|frame| frame.fields()));
}

async fn both() -> [Raw; 2] {
    let router = CLUSTER.router().port();
    let oracle = Raw::log_in(ORACLE.port(), "postgres", "postgres", DATABASE).await;
    [oracle, Raw::log_in(router, "postgres", "postgres", DATABASE).await]
}

fn q(sql: &str) -> Vec<Step> {
    vec![Step::Send(query(sql)), Step::Until(b'Z', 1)]
}

fn x(sql: &str) -> Vec<Step> {
    let messages = [parse("", sql, &[]), describe(b'S', ""), bind("", "", &[]), describe(b'P', ""), execute("", 0)];
    vec![Step::Send([messages.concat(), sync()].concat()), Step::Until(b'Z', 1)]
}

async fn same(script: &[Vec<Step>]) {
    let [mut oracle, mut router] = both().await;
    for (nth, steps) in script.iter().enumerate() {
        let expected = play(&mut oracle, steps).await;
        let found = play(&mut router, steps).await;
        assert_eq!(expected, found, "step {nth}: {steps:?}");
    }
}

const FORMATS: [&str; 9] = [
    "",
    "WITH (FORMAT csv)",
    "WITH (FORMAT csv, HEADER)",
    "(FORMAT csv, HEADER true, FORCE_QUOTE *, DELIMITER ';', NULL 'nil')",
    "CSV HEADER",
    "WITH (HEADER)",
    "(HEADER off)",
    "(FORMAT binary)",
    "WITH BINARY",
];

#[tokio::test]
async fn a_querys_copy_is_postgresqls_byte_for_byte() {
    for select in [
        "SELECT * FROM things ORDER BY k",
        "SELECT k AS \"a b\", n FROM things ORDER BY n DESC NULLS LAST, k LIMIT 7",
        "SELECT k, sum(n) OVER (ORDER BY k) FROM things ORDER BY k",
        "SELECT count(*), avg(n), min(at) FROM things",
        "SELECT a.k, b.t FROM things a JOIN things b ON b.k = 26 - a.k ORDER BY a.k",
        "SELECT * FROM nothing",
        "TABLE nothing",
        "WITH w AS (SELECT k FROM things) SELECT max(k) FROM w",
        "SELECT t FROM things WHERE k = 3",
    ] {
        let script: Vec<Vec<Step>> = FORMATS
            .iter()
            .flat_map(|format| {
                let sql = format!("COPY ({select}) TO STDOUT {format}");
                [q(&sql), x(&sql)]
            })
            .collect();
        same(&script).await;
    }
}

#[tokio::test]
async fn copies_stand_among_other_statements() {
    same(&[
        q("BEGIN"),
        q("INSERT INTO things (k, t) VALUES (3, 'own')"),
        q("COPY (SELECT k, t FROM things WHERE k < 6 ORDER BY k, t) TO STDOUT"),
        q("ROLLBACK"),
        q("SELECT 1; COPY (SELECT k FROM things ORDER BY k LIMIT 2) TO STDOUT; SELECT 2"),
        q("COPY (SELECT 1/(k-5) FROM things ORDER BY k) TO STDOUT"),
        q("COPY (SELECT nonsense FROM things) TO STDOUT"),
        q("SELECT 'é'; COPY (SELECT k, nonsense, count(*) OVER () FROM things) TO STDOUT"),
        q("COPY (SELECT k FROM things ORDER BY k) TO STDOUT (FORMAT nonsense)"),
        q("COPY (SELECT k FROM things ORDER BY k) TO STDOUT (nonsense)"),
        q("COPY things (k, nonsense) TO STDOUT"),
        q("COPY things TO STDOUT (DELIMITER 'ab')"),
        q("SELECT 3"),
    ])
    .await;
}

/// The data of a COPY, and its tag.
async fn copied(raw: &mut Raw, sql: &str) -> (Vec<Vec<u8>>, String) {
    let answer = raw.query(sql).await;
    let kinds: String = answer.iter().map(|frame| char::from(frame.tag)).filter(|kind| *kind != 'd').collect();
    assert_eq!(kinds, "HcCZ", "{sql}");
    let data = answer.iter().filter(|frame| frame.tag == b'd').map(|frame| frame.body.to_vec()).collect();
    (data, answer.iter().find(|frame| frame.tag == b'C').unwrap().text())
}

#[tokio::test]
async fn a_tables_copy_has_one_head_all_rows_and_one_end() {
    let [mut oracle, mut router] = both().await;
    for table in
        ["things", "things (t, k)", "nothing", "\"Odd Names\"", "public.\"Odd Names\" (\"a,b\", \"say \"\"x\"\"\")"]
    {
        for format in FORMATS {
            let sql = format!("COPY {table} TO STDOUT {format}");
            let (mut expected, tag) = copied(&mut oracle, &sql).await;
            let (mut found, found_tag) = copied(&mut router, &sql).await;
            assert_eq!(tag, found_tag, "{sql}");
            let binary = format.to_ascii_lowercase().contains("binary");
            if binary {
                // Rows are behind the head, which shares its message with the first of them.
                for data in [&mut expected, &mut found] {
                    let first = data.remove(0);
                    let (head, row) = first.split_at(19);
                    data.splice(0..0, [head.to_vec(), row.to_vec()].into_iter().filter(|part| !part.is_empty()));
                    assert_eq!(data.last().unwrap(), &[0xff, 0xff], "{sql}");
                }
            }
            let head = usize::from(binary || (format.contains("HEADER") && !format.contains("off")));
            assert_eq!(expected.get(..head), found.get(..head), "{sql}");
            expected[head..].sort();
            found[head..].sort();
            assert_eq!(expected, found, "{sql}");
        }
    }
}

#[tokio::test]
async fn a_tables_copy_by_the_extended_protocol_and_in_a_transaction() {
    let [_, mut router] = both().await;
    let answer = play(&mut router, &x("COPY nothing TO STDOUT (FORMAT csv, HEADER)")).await;
    assert_eq!(
        answer,
        [
            "1",
            "t \\x00\\x00",
            "n",
            "2",
            "n",
            "H \\x00\\x00\\x02\\x00\\x00\\x00\\x00",
            "d k,t\\n",
            "c",
            "C COPY 0",
            "Z I"
        ]
    );
    ok(&mut router, "BEGIN").await;
    ok(&mut router, "INSERT INTO things (k, t) VALUES (99, 'own')").await;
    let (data, tag) = copied(&mut router, "COPY things (k) TO STDOUT").await;
    assert_eq!((data.len(), tag.as_str()), (27, "COPY 27"));
    ok(&mut router, "ROLLBACK").await;
    let (_, tag) = copied(&mut router, "COPY things (k) TO STDOUT").await;
    assert_eq!(tag, "COPY 26");
}

#[tokio::test]
async fn what_does_not_go_to_the_client_is_refused() {
    let [_, mut router] = both().await;
    for sql in [
        "COPY things TO '/tmp/pgring-copy-of-things'",
        "COPY (SELECT * FROM things ORDER BY k) TO '/tmp/pgring-copy-of-things'",
        "COPY (SELECT * FROM things ORDER BY k) TO PROGRAM 'cat'",
        "COPY (UPDATE things SET t = '' RETURNING k) TO STDOUT",
        "COPY (SELECT * FROM things FOR UPDATE) TO STDOUT",
    ] {
        let answer = router.query(sql).await;
        let error = answer.iter().find_map(|frame| frame.sqlstate());
        assert_eq!(error.as_deref(), Some("0A000"), "{sql}");
    }
    assert!(!std::path::Path::new("/tmp/pgring-copy-of-things").exists());
}

//! COPY … FROM STDIN over four shards, beside the same on one PostgreSQL: tables, tags, errors with the lines that they
//! name, and what the wire says; whole or not at all.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pgring_integration_tests::client::{Frame, Raw, cancel};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::{
    Step, bind, copy_data, copy_done, copy_fail, describe, execute, flush, parse, play, query, sync,
};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;

static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(4)));

/// Makes a table on both; its first column that is named k is the shard key.
async fn table(name: &str, columns: &str) -> [Raw; 2] {
    CLUSTER.admin(&format!("SHARD TABLE {name} BY (k)")).await;
    let mut both = both().await;
    for raw in &mut both {
        ok(raw, &format!("CREATE TABLE {name} ({columns})")).await;
    }
    both
}

async fn both() -> [Raw; 2] {
    let router = CLUSTER.router().port();
    let oracle = Raw::log_in(ORACLE.port(), "postgres", "postgres", DATABASE).await;
    [oracle, Raw::log_in(router, "postgres", "postgres", DATABASE).await]
}

async fn ok(raw: &mut Raw, sql: &str) -> Vec<Frame> {
    let answer = raw.query(sql).await;
    let error = answer.iter().find(|frame| frame.tag == b'E');
    assert!(error.is_none(), "{sql}: {:?}", error.map(|frame| frame.fields()));
    answer
}

/// How a COPY ended: its tag, or SQLSTATE, message, CONTEXT.
async fn copy(raw: &mut Raw, sql: &str, data: &[u8], piece: usize) -> String {
    raw.send(&query(sql)).await;
    let mut frame = raw.read().await.unwrap();
    if frame.tag == b'G' {
        for piece in data.chunks(piece) {
            // A server may have refused the data already, and read no more.
            raw.send(&copy_data(piece)).await;
        }
        raw.send(&copy_done()).await;
        frame = raw.read().await.unwrap();
    }
    let end = outcome(&frame);
    while frame.tag != b'Z' {
        frame = raw.read().await.unwrap();
    }
    end
}

fn outcome(frame: &Frame) -> String {
    if frame.tag != b'E' {
        return frame.text();
    }
    let fields = frame.fields();
    let field = |code: u8| fields.get(&code).map_or("", String::as_str);
    format!("{} {} | {}", field(b'C'), field(b'M'), field(b'W'))
}

async fn rows(raw: &mut Raw, table: &str) -> Vec<Vec<u8>> {
    let answer = ok(raw, &format!("COPY {table} TO STDOUT")).await;
    let mut rows: Vec<_> = answer.iter().filter(|frame| frame.tag == b'd').map(|frame| frame.body.to_vec()).collect();
    rows.sort();
    rows
}

/// The same COPY on both, in several pieces each: equal ends, equal rows afterwards.
async fn same([oracle, router]: &mut [Raw; 2], table: &str, sql: &str, data: &[u8]) -> String {
    let mut last = String::new();
    for piece in [data.len().max(1), 7, 1] {
        if piece == 1 && data.len() > 300 {
            continue;
        }
        let expected = copy(oracle, sql, data, piece).await;
        let found = copy(router, sql, data, piece).await;
        assert_eq!(expected, found, "{sql} {:?} in pieces of {piece}", String::from_utf8_lossy(data));
        assert_eq!(rows(oracle, table).await, rows(router, table).await, "{sql} {:?}", String::from_utf8_lossy(data));
        let empty = format!("TRUNCATE {table}");
        if found.starts_with("COPY ") && found != "COPY 0" {
            ok(oracle, &empty).await;
            CLUSTER.on_every_shard(&empty).await;
        }
        last = found;
    }
    last
}

fn text_rows(count: u32) -> String {
    (1..=count).map(|k| format!("{k}\tname {k}\t{k}.5\n")).collect()
}

#[tokio::test]
async fn text_goes_where_its_keys_say() {
    let mut both = table("texts", "k bigint, t text, n numeric").await;
    let all = text_rows(500);
    assert_eq!(same(&mut both, "texts", "COPY texts FROM STDIN", all.as_bytes()).await, "COPY 500");
    for (sql, data) in [
        ("COPY texts FROM STDIN", "1\ta\\tb\\\\c\\\nd\t\\N\n2\t\\N\t2\n 3 \t\t3\n"),
        ("COPY texts FROM STDIN", ""),
        ("COPY texts FROM STDIN", "1\ta\t1\n\\.\n2\tb\t2\n"),
        ("COPY texts FROM STDIN", "1\ta\t1\r\n2\tb\t2\r\n"),
        ("COPY texts FROM STDIN", "1\ta\t1\r2\tb\t2\r3\tc\t3"),
        ("COPY texts FROM STDIN", "1\ta\t1\n2\tb\t2"),
        ("COPY texts (t, k) FROM STDIN", "a\t1\nb\t\\x32\nc\t\\063\n"),
        ("COPY texts (n, \"k\") FROM STDIN WITH (DELIMITER '|', NULL 'nil')", "nil|5\n1.50|6\n"),
        ("COPY texts FROM STDIN (HEADER)", "any\tthing\tgoes\n1\ta\t1\n"),
        ("COPY texts FROM STDIN (HEADER MATCH)", "k\tt\tn\n1\ta\t1\n2\tb\t2\n"),
        ("COPY texts FROM STDIN (HEADER MATCH)", "k\tx\tn\n1\ta\t1\n"),
        ("COPY texts FROM STDIN DELIMITERS ',' NULL 'x'", "1,x,x\n2,b,2\n"),
        ("COPY texts FROM STDIN WHERE k > 1 AND t LIKE 'b%'", "1\tb\t1\n2\tb\t2\n3\tc\t3\n"),
        ("COPY texts FROM STDIN (ENCODING 'latin1')", "1\tna\u{ef}ve\t1\n"),
        ("COPY public.texts (k) FROM STDOUT", "1\n2\n\n"),
        ("COPY texts FROM STDIN (FREEZE)", "1\ta\t1\n"),
        ("COPY texts FROM STDIN (nonsense)", ""),
        ("COPY texts (k, nonsense) FROM STDIN", ""),
        ("COPY texts (k, k) FROM STDIN", ""),
        ("COPY texts FROM STDIN (FORMAT nonsense)", ""),
        ("COPY texts FROM STDIN (DELIMITER 'ab')", ""),
        ("COPY texts FROM STDIN WHERE (SELECT true)", ""),
        ("COPY nowhere FROM STDIN", ""),
    ] {
        same(&mut both, "texts", sql, data.as_bytes()).await;
    }
}

#[tokio::test]
async fn mistakes_are_told_with_the_clients_line() {
    let mut both = table("strict", "k int NOT NULL, t text, n int CHECK (n < 100), PRIMARY KEY (k)").await;
    let good: String = (1..=40).map(|k| format!("{k}\tx\t{k}\n")).collect();
    for bad in [
        "x\tkey\t1\n",
        "99999999999\tkey\t1\n",
        "1e3\tkey\t1\n",
        "\\N\tnull key\t1\n",
        "\tempty key\t1\n",
        "41\tshort\n",
        "41\n",
        "\n",
        "41\tlong\t1\tmore\n",
        "41\tnumber\tx\n",
        "41\tcheck\t100\n",
        "7\ttwice\t1\n",
        "41\t\\xff\t1\n",
        "41\ta\r\t1\n",
        "41\ta\\.\t1\n",
        "\\.x\n",
    ] {
        let data = format!("{good}{bad}42\ty\t1\n");
        let end = same(&mut both, "strict", "COPY strict FROM STDIN", data.as_bytes()).await;
        assert!(end.contains("line 41"), "{bad:?}: {end}");
    }
    for (sql, data) in [
        ("COPY strict FROM STDIN (HEADER)", "k\tt\tn\n1\ta\t1\n2\tb\tx\n"),
        ("COPY strict FROM STDIN CSV", "1,\"two\nlines\",1\n2,\"three\n\n\",2\n3,c,x\n"),
        ("COPY strict FROM STDIN CSV", "1,\"two\nlines\",1\n2,c,2\n3,\"x\ny\",x\n"),
        ("COPY strict FROM STDIN CSV HEADER", "\"k\n\",t,n\n1,\"a\nb\",1\n2,\"c\nd\",100\n"),
        ("COPY strict FROM STDIN CSV", "1,\"a\",1\r\n2,\"b\r\n\r\",2\r\n3,c,x\r\n"),
        ("COPY strict FROM STDIN CSV", "1,a,1\n2,\"b,2\n3,c,3\n"),
        ("COPY strict FROM STDIN CSV", "1,a,1\n2,b,2\r\n"),
        ("COPY strict FROM STDIN CSV", "1,a,1\nx,b,2\n"),
        ("COPY strict FROM STDIN CSV", "1,a,1\n,b,2\n"),
        ("COPY strict (t, n) FROM STDIN", "a\t1\n"),
    ] {
        same(&mut both, "strict", sql, data.as_bytes()).await;
    }
}

#[tokio::test]
async fn of_two_mistakes_on_two_shards_the_first_is_told() {
    let mut both = table("twice", "k int, n int").await;
    let mut data = String::new();
    for k in 1..=60 {
        data += &format!("{k}\t{}\n", if k > 20 { "x".to_owned() } else { k.to_string() });
    }
    for _ in 0..3 {
        let end = same(&mut both, "twice", "COPY twice FROM STDIN", data.as_bytes()).await;
        assert!(end.contains("line 21,"), "{end}");
    }
}

#[tokio::test]
async fn csv_goes_where_its_keys_say() {
    let mut both = table("sheets", "t text, k text, n int").await;
    for (sql, data) in [
        ("COPY sheets FROM STDIN CSV", "a,b,1\n\"x,\n\"\"y\",\"k\"\"1\n\",2\n1,x,\n"),
        ("COPY sheets FROM STDIN CSV", "1,\"\",2\n,two words,3\n\"\\.\",\\.x,4\n\\.\nrest,is,nothing\n"),
        ("COPY sheets FROM STDIN CSV", "a,x\"y,\"z,1\nb,  padded ,2\n"),
        (
            "COPY sheets FROM STDIN (FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', ESCAPE E'\\\\')",
            "h;\n;\n'a;';'b\\'c\\\\d\\e';1\n",
        ),
        ("COPY sheets FROM STDIN (FORMAT csv, HEADER MATCH)", "t,k,n\na,b,1\n"),
        ("COPY sheets FROM STDIN (FORMAT csv, HEADER MATCH)", "t,x,n\na,b,1\n"),
        ("COPY sheets FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NOT_NULL (k, t))", "nil,nil,nil\na,\"nil\",1\n"),
        ("COPY sheets (k) FROM STDIN CSV", "a\n\"\"\n\"b\nc\"\n"),
        ("COPY sheets FROM STDIN CSV", "a,\u{e9}t\u{e9} \u{1f418},1\n"),
    ] {
        same(&mut both, "sheets", sql, data.as_bytes()).await;
    }
}

#[tokio::test]
async fn keys_of_every_type() {
    for (kind, values) in [
        ("smallint", "1 -32768 32767"),
        ("integer", "1 -2147483648 2147483647 +5"),
        ("bigint", "1 -9223372036854775808 9223372036854775807"),
        ("text", "a b ab \\N1 \u{e9} {x}"),
        ("varchar(20)", "a b abcdefghij"),
        ("char(5)", "a b abcde"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 {A0EEBC999C0B4EF8BB6D6BB9BD380A12}"),
    ] {
        let name = format!("keys_{}", kind.split('(').next().unwrap());
        let mut both = table(&name, &format!("k {kind}, n int")).await;
        let data: String =
            values.split(' ').enumerate().map(|(n, k)| format!("{}\t{n}\n", k.replace('\\', "\\\\"))).collect();
        same(&mut both, &name, &format!("COPY {name} FROM STDIN"), data.as_bytes()).await;
        let [_, router] = &mut both;
        copy(router, &format!("COPY {name} FROM STDIN"), data.as_bytes(), 100).await;
        // Each row is where a statement by its key looks for it.
        for (n, k) in values.split(' ').enumerate() {
            let found = ok(router, &format!("SELECT n FROM {name} WHERE k = '{k}' AND n = {n}")).await;
            assert_eq!(found.iter().filter(|frame| frame.tag == b'D').count(), 1, "{kind} {k}");
        }
    }
}

#[tokio::test]
async fn what_could_be_misplaced_is_refused() {
    let [_, mut router] = table("unsure", "k varchar(5), n int DEFAULT 1").await;
    for (sql, data, expected) in [
        ("COPY unsure FROM STDIN", "a\t1\nb  \t2\n", "0A000"),
        ("COPY unsure FROM STDIN", "a\t1\n\\N\t2\n", "23502"),
        ("COPY unsure (n) FROM STDIN", "1\n", "23502"),
        ("COPY unsure FROM STDIN (ENCODING 'latin1')", "\u{e9}\t1\n", "0A000"),
        ("COPY unsure FROM STDIN (ENCODING 'sjis')", "a\t1\n", "0A000"),
        ("COPY unsure FROM STDIN WHERE random() < 2", "a\t1\n", "0A000"),
        ("COPY unsure FROM '/nowhere'", "", "0A000"),
        ("COPY unsure FROM PROGRAM 'true'", "", "0A000"),
    ] {
        let end = copy(&mut router, sql, data.as_bytes(), 100).await;
        assert!(end.starts_with(expected), "{sql}: {end}");
        assert!(rows(&mut router, "unsure").await.is_empty(), "{sql}");
    }
    let [_, mut router] = table("drawn", "k int, n serial").await;
    let end = copy(&mut router, "COPY drawn (k) FROM STDIN", b"1\n", 100).await;
    assert!(end.starts_with("0A000"), "{end}");
    assert_eq!(copy(&mut router, "COPY drawn FROM STDIN", b"1\t1\n2\t2\n", 100).await, "COPY 2");
    let [_, mut router] = table("given", "k int DEFAULT 5, n int").await;
    let end = copy(&mut router, "COPY given (n) FROM STDIN", b"1\n", 100).await;
    assert!(end.starts_with("0A000"), "{end}");
    assert!(rows(&mut router, "given").await.is_empty());
}

#[tokio::test]
async fn binary_goes_where_its_keys_say() {
    let mut both = table("blobs", "b bytea, k int, n numeric").await;
    let [oracle, _] = &mut both;
    ok(oracle, "INSERT INTO blobs SELECT decode('00ff', 'hex'), k, k / 3.0 FROM generate_series(-50, 50) k").await;
    ok(oracle, "INSERT INTO blobs VALUES (NULL, 1000, NULL)").await;
    let answer = ok(oracle, "COPY blobs TO STDOUT (FORMAT binary)").await;
    let data: Vec<u8> = answer.iter().filter(|frame| frame.tag == b'd').flat_map(|frame| frame.body.to_vec()).collect();
    ok(oracle, "TRUNCATE blobs").await;
    let sql = "COPY blobs FROM STDIN (FORMAT binary)";
    assert_eq!(same(&mut both, "blobs", sql, &data).await, "COPY 102");
    assert_eq!(same(&mut both, "blobs", sql, &data[..data.len() - 2]).await, "COPY 102");
    let fields = |fields: &[&[u8]]| -> Vec<u8> {
        let count = (fields.len() as i16).to_be_bytes().to_vec();
        let field = |field: &&[u8]| [&(field.len() as i32).to_be_bytes()[..], field].concat();
        [count, fields.iter().flat_map(field).collect()].concat()
    };
    let head = &data[..19];
    let row = fields(&[b"x", &7_i32.to_be_bytes(), &[0; 8]]);
    for tail in [
        vec![],
        fields(&[b"x", &7_i32.to_be_bytes()]),
        fields(&[b"x", b"seven", &[0; 8]]),
        fields(&[b"x", &7_i32.to_be_bytes(), b"?"]),
        b"\xff\xff\0".to_vec(),
        b"\0\x03\0\0\0\x09x".to_vec(),
        b"\0\x03\xff\xff\xff\xf0".to_vec(),
    ] {
        same(&mut both, "blobs", sql, &[head, &row, &tail].concat()).await;
    }
    same(&mut both, "blobs", sql, b"").await;
    same(&mut both, "blobs", sql, b"PGCOPY\n\xff\r\n\0\0\0\x01").await;
    same(&mut both, "blobs", sql, b"nonsense that is longer than a head").await;
}

#[tokio::test]
async fn messages_are_postgresqls() {
    let [mut oracle, mut router] = table("wire", "k int, t text").await;
    let until = |count| Step::Until(b'Z', count);
    let ask = |sql: &str, more: &[u8]| {
        let messages = [parse("", sql, &[]), describe(b'S', ""), bind("", "", &[]), describe(b'P', ""), execute("", 0)];
        Step::Send([messages.concat(), more.to_vec()].concat())
    };
    let copy = "COPY wire FROM STDIN";
    let data = |text: &str| Step::Send(copy_data(text.as_bytes()));
    let scripts: Vec<Vec<Step>> = vec![
        vec![Step::Send(query(copy)), Step::Until(b'G', 1), data("1\ta\n2\tb\n"), Step::Send(copy_done()), until(1)],
        vec![Step::Send(query(copy)), Step::Until(b'G', 1), data("3\ta\n4"), Step::Send(copy_fail("enough")), until(1)],
        vec![
            Step::Send(query(copy)),
            Step::Until(b'G', 1),
            data("5\ta\nx\tb\n"),
            until(1),
            data("6\tc\n"),
            Step::Send([copy_done(), query("SELECT 1")].concat()),
            until(1),
        ],
        vec![
            Step::Send(
                [
                    query(copy),
                    copy_data(b"7\ta\n"),
                    sync(),
                    flush(),
                    copy_data(b"8\tb\n"),
                    copy_done(),
                    query("SELECT 2"),
                ]
                .concat(),
            ),
            until(2),
        ],
        vec![
            ask(copy, &sync()),
            Step::Until(b'G', 1),
            data("9\ta\n10\tb\n"),
            Step::Send([copy_done(), sync()].concat()),
            until(1),
        ],
        vec![
            ask(copy, &sync()),
            Step::Until(b'G', 1),
            data("11\ta\nx\tb\n"),
            Step::Until(b'E', 1),
            data("12\tc\n"),
            Step::Send([copy_done(), sync()].concat()),
            until(1),
        ],
        vec![
            ask(copy, &flush()),
            Step::Until(b'G', 1),
            data("13\ta\n"),
            Step::Send([copy_done(), sync()].concat()),
            until(1),
        ],
        vec![ask(copy, &[sync(), copy_data(b"14\ta\n15\tb\n"), copy_done(), sync()].concat()), until(1)],
        vec![ask("COPY nowhere FROM STDIN", &sync()), until(1)],
        vec![ask(copy, &sync()), Step::Until(b'G', 1), Step::Send([copy_fail("no"), sync()].concat()), until(1)],
        vec![
            Step::Send(query("SELECT 1; COPY wire FROM STDIN; SELECT 2")),
            Step::Until(b'G', 1),
            data("16\ta\n17\tb\n"),
            Step::Send(copy_done()),
            until(1),
        ],
        vec![
            Step::Send(query("COPY wire FROM STDIN; SELECT 1/0")),
            Step::Until(b'G', 1),
            data("18\ta\n19\tb\n"),
            Step::Send(copy_done()),
            until(1),
        ],
        vec![
            Step::Send(query("BEGIN")),
            until(1),
            Step::Send(query(copy)),
            Step::Until(b'G', 1),
            data("20\ta\n21\tb\n"),
            Step::Send(copy_done()),
            until(1),
            Step::Send(query("SELECT count(*) FROM wire WHERE k >= 20")),
            until(1),
            Step::Send(query("ROLLBACK")),
            until(1),
        ],
        vec![
            Step::Send(query("BEGIN")),
            until(1),
            Step::Send(query("SAVEPOINT s")),
            until(1),
            Step::Send(query(copy)),
            Step::Until(b'G', 1),
            data("22\ta\nx\tb\n"),
            Step::Send(copy_done()),
            until(1),
            Step::Send(query("SELECT 1")),
            until(1),
            Step::Send(query("ROLLBACK TO s")),
            until(1),
            Step::Send(query(copy)),
            Step::Until(b'G', 1),
            data("23\ta\n24\tb\n"),
            Step::Send(copy_done()),
            until(1),
            Step::Send(query("COMMIT")),
            until(1),
        ],
    ];
    for (nth, steps) in scripts.iter().enumerate() {
        let expected = play(&mut oracle, steps).await;
        let found = play(&mut router, steps).await;
        assert_eq!(expected, found, "script {nth}");
    }
    assert_eq!(rows(&mut oracle, "wire").await, rows(&mut router, "wire").await);
    // Out of step: both end the session.
    for script in [vec![Step::Send(query(copy)), Step::Until(b'G', 1), Step::Send(query("SELECT 1")), Step::End]] {
        assert_eq!(play(&mut oracle, &script).await, play(&mut router, &script).await);
    }
}

async fn count(raw: &mut Raw, table: &str) -> String {
    let answer = ok(raw, &format!("SELECT count(*) FROM {table}")).await;
    let row = answer.iter().find(|frame| frame.tag == b'D').unwrap();
    String::from_utf8_lossy(&row.body[6..]).into_owned()
}

#[tokio::test]
async fn who_leaves_in_the_middle_leaves_nothing() {
    let [_, mut router] = table("left_over", "k int PRIMARY KEY, t text").await;
    let mut leaver = CLUSTER.raw().await;
    leaver.send(&query("COPY left_over FROM STDIN")).await;
    assert_eq!(leaver.read().await.unwrap().tag, b'G');
    let data: String = (0..20_000).map(|k| format!("{k}\ta\n")).collect();
    leaver.send(&copy_data(data.as_bytes())).await;
    drop(leaver);
    // Nobody is in the way of the same keys.
    assert_eq!(copy(&mut router, "COPY left_over FROM STDIN", data.as_bytes(), 8192).await, "COPY 20000");
    assert_eq!(count(&mut router, "left_over").await, "20000");
}

#[tokio::test]
async fn a_copy_is_cancelled_in_the_middle() {
    let [_, mut router] = table("cancelled", "k int, t text").await;
    router.send(&query("COPY cancelled FROM STDIN")).await;
    assert_eq!(router.read().await.unwrap().tag, b'G');
    let key = router.cancel_key.unwrap();
    cancel(CLUSTER.router().port(), key).await;
    let mut k = 0;
    // As on PostgreSQL a server that waits for data heeds it when some come.
    let error = loop {
        let data: String = (k..k + 100).map(|k| format!("{k}\ta\n")).collect();
        k += 100;
        router.send(&copy_data(data.as_bytes())).await;
        if let Ok(Some(frame)) = router.read_within(std::time::Duration::from_millis(100)).await {
            break frame;
        }
        assert!(k < 100_000, "not cancelled");
    };
    assert_eq!(error.sqlstate().as_deref(), Some("57014"));
    router.send(&copy_done()).await;
    while router.read().await.unwrap().tag != b'Z' {}
    assert_eq!(count(&mut router, "cancelled").await, "0");
}

#[tokio::test]
async fn a_shard_that_takes_nothing_holds_the_client_back() {
    let [_, mut router] = table("held_back", "k int PRIMARY KEY, t text").await;
    // Someone has a row in the making on one shard, which the COPY has to wait for.
    let mut blocker = CLUSTER.raw().await;
    ok(&mut blocker, "BEGIN").await;
    ok(&mut blocker, "INSERT INTO held_back VALUES (1, 'first')").await;
    router.send(&query("COPY held_back FROM STDIN")).await;
    assert_eq!(router.read().await.unwrap().tag, b'G');
    let mut sent = 0_u32;
    let line = "x".repeat(1000);
    loop {
        let data: String = (0..64).map(|nth| format!("{}\t{line}\n", sent + nth)).collect();
        let message = copy_data(data.as_bytes());
        let send = tokio::time::timeout(std::time::Duration::from_millis(500), router.send(&message));
        if send.await.is_err() {
            break;
        }
        sent += 64;
        assert!(sent < 60_000, "60 MB were taken for a shard that takes none");
    }
    drop(router);
    ok(&mut blocker, "ROLLBACK").await;
    assert_eq!(count(&mut blocker, "held_back").await, "0");
    ok(&mut blocker, "INSERT INTO held_back VALUES (1, 'again')").await;
}

#[tokio::test]
async fn triggers_notices_name_the_clients_line() {
    let [mut oracle, mut router] = table("noted", "k int, t text").await;
    for raw in [&mut oracle, &mut router] {
        ok(
            raw,
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '%', NEW.k; RETURN NEW; END$$",
        )
        .await;
        ok(raw, "CREATE TRIGGER noted BEFORE INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note()").await;
    }
    let mut all = vec![];
    for raw in [&mut oracle, &mut router] {
        raw.send(
            &[query("COPY noted FROM STDIN CSV"), copy_data(b"1,a\n2,\"b\nc\"\n3,d\n4,e\n"), copy_done()].concat(),
        )
        .await;
        let mut notices = BTreeSet::new();
        loop {
            let frame = raw.read().await.unwrap();
            match frame.tag {
                b'N' => drop(notices.insert((frame.fields()[&b'M'].clone(), frame.fields()[&b'W'].clone()))),
                b'Z' => break,
                _ => {}
            }
        }
        assert_eq!(notices.len(), 4);
        all.push(notices);
    }
    assert_eq!(all[0], all[1]);
}

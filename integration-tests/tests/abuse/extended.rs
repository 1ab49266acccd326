//! The extended protocol: statements and portals by name and without, in every order, with every mistake.

use pgring_integration_tests::script::{Step, bind, bind_as, close, describe, execute, flush, parse, query, sync};

use super::{same, sent, steps};

fn s(name: &str, sql: &str) -> Vec<u8> {
    parse(name, sql, &[])
}

fn run(sql: &str) -> Vec<u8> {
    [s("", sql), bind("", "", &[]), describe(b'P', ""), execute("", 0), sync()].concat()
}

#[tokio::test]
async fn statements_by_name_and_without() {
    same(vec![
        sent("unnamed", &[run("SELECT 1")]),
        sent("unnamed kept over Sync", &[s("", "SELECT 1"), sync(), bind("", "", &[]), execute("", 0), sync()]),
        sent("unnamed replaced", &[s("", "SELECT 1"), s("", "SELECT 2"), bind("", "", &[]), execute("", 0), sync()]),
        sent(
            "unnamed lost to a Query",
            &[s("", "SELECT 1"), sync(), query("SELECT 2"), bind("", "", &[]), execute("", 0), sync()],
        ),
        sent(
            "unnamed lost to a failed Parse",
            &[s("", "SELECT 1"), sync(), s("", "SELEC"), sync(), bind("", "", &[]), sync()],
        ),
        sent(
            "named",
            &[
                s("a", "SELECT 1"),
                bind("", "a", &[]),
                execute("", 0),
                sync(),
                bind("", "a", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "named twice",
            &[s("a", "SELECT 1"), s("a", "SELECT 2"), sync(), bind("", "a", &[]), execute("", 0), sync()],
        ),
        sent("named twice the same", &[s("a", "SELECT 1"), sync(), s("a", "SELECT 1"), sync()]),
        sent(
            "named, failed, named again",
            &[s("a", "SELEC"), sync(), s("a", "SELECT 1"), bind("", "a", &[]), execute("", 0), sync()],
        ),
        sent(
            "closed and named again",
            &[s("a", "SELECT 1"), close(b'S', "a"), s("a", "SELECT 2"), bind("", "a", &[]), execute("", 0), sync()],
        ),
        sent("close of the unnamed", &[s("", "SELECT 1"), close(b'S', ""), bind("", "", &[]), sync()]),
        sent(
            "close of unknown names",
            &[close(b'S', "none"), close(b'P', "none"), close(b'P', ""), close(b'S', ""), sync()],
        ),
        sent("Bind of an unknown statement", &[bind("", "none", &[]), execute("", 0), sync()]),
        sent("Bind of no unnamed statement", &[bind("", "", &[]), execute("", 0), sync()]),
        sent("Describe of an unknown statement", &[describe(b'S', "none"), sync()]),
        sent("Describe of no unnamed statement", &[describe(b'S', ""), sync()]),
        sent("Describe of an unknown portal", &[describe(b'P', "none"), sync()]),
        sent("Describe of no unnamed portal", &[describe(b'P', ""), sync()]),
        sent("Execute of an unknown portal", &[execute("none", 0), sync()]),
        sent("Execute of no unnamed portal", &[execute("", 0), sync()]),
        sent("unknown, in a transaction", &[query("BEGIN"), execute("none", 0), sync(), query("COMMIT")]),
        sent("long names", &[s(&"n".repeat(200), "SELECT 1"), bind("", &"n".repeat(200), &[]), execute("", 0), sync()]),
        sent(
            "names that differ late",
            &[
                s(&format!("{}a", "n".repeat(80)), "SELECT 1"),
                s(&format!("{}b", "n".repeat(80)), "SELECT 2"),
                bind("", &format!("{}b", "n".repeat(80)), &[]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "odd names",
            &[
                s("a \"b'\u{e4}", "SELECT 1"),
                bind("p \"q", "a \"b'\u{e4}", &[]),
                execute("p \"q", 0),
                sync(),
                bind("", "a \"b'", &[]),
                sync(),
            ],
        ),
        sent("several statements in one", &[s("", "SELECT 1; SELECT 2"), sync()]),
        sent("several statements, the last empty", &[s("", "SELECT 1;"), bind("", "", &[]), execute("", 0), sync()]),
        sent(
            "an empty statement",
            &[s("", ""), bind("", "", &[]), describe(b'S', ""), describe(b'P', ""), execute("", 0), sync()],
        ),
        sent("a comment", &[s("", "-- x"), bind("", "", &[]), describe(b'P', ""), execute("", 0), sync()]),
        sent("a semicolon", &[s("", ";"), bind("", "", &[]), describe(b'P', ""), execute("", 0), sync()]),
        sent(
            "an empty statement in a failed transaction",
            &[query("BEGIN"), query("SELECT 1/0"), s("", ""), bind("", "", &[]), execute("", 0), sync()],
        ),
        sent("SQL PREPARE, then Bind", &[query("PREPARE q AS SELECT 4"), bind("", "q", &[]), execute("", 0), sync()]),
        sent(
            "Parse, then EXECUTE",
            &[s("q", "SELECT 4"), sync(), query("EXECUTE q"), query("DEALLOCATE q"), bind("", "q", &[]), sync()],
        ),
        sent(
            "Parse, then DEALLOCATE ALL",
            &[s("q", "SELECT 4"), sync(), query("DEALLOCATE ALL"), bind("", "q", &[]), sync()],
        ),
        sent(
            "Parse, then DISCARD ALL",
            &[s("q", "SELECT 4"), sync(), query("DISCARD ALL"), bind("", "q", &[]), sync()],
        ),
        sent(
            "a statement survives a rollback",
            &[
                query("BEGIN"),
                s("q", "SELECT 4"),
                sync(),
                query("ROLLBACK"),
                bind("", "q", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "a statement survives a failed batch",
            &[s("q", "SELECT 4"), s("r", "SELEC"), sync(), bind("", "q", &[]), execute("", 0), sync()],
        ),
        sent("EXECUTE by Parse", &[query("PREPARE q AS SELECT 4"), run("EXECUTE q")]),
        sent("DEALLOCATE by Parse", &[s("q", "SELECT 4"), sync(), run("DEALLOCATE q"), bind("", "q", &[]), sync()]),
        sent("PREPARE by Parse", &[run("PREPARE q AS SELECT 5"), query("EXECUTE q")]),
    ])
    .await;
}

#[tokio::test]
async fn orders_of_messages() {
    let select = || s("", "SELECT 1");
    same(vec![
        sent("Sync alone", &[sync()]),
        sent("Sync twice", &[select(), sync(), sync()]),
        sent("five Syncs", &[sync().repeat(5)]),
        sent("Flush alone", &[flush(), sync()]),
        sent("Flush many", &[flush().repeat(5), sync()]),
        sent(
            "Flush after each",
            &[
                select(),
                flush(),
                bind("", "", &[]),
                flush(),
                describe(b'P', ""),
                flush(),
                execute("", 0),
                flush(),
                sync(),
            ],
        ),
        steps(
            "Flush, waited for",
            vec![
                Step::Send([select(), flush()].concat()),
                Step::Until(b'1', 1),
                Step::Send([bind("", "", &[]), flush()].concat()),
                Step::Until(b'2', 1),
                Step::Send([describe(b'P', ""), flush()].concat()),
                Step::Until(b'T', 1),
                Step::Send([execute("", 0), flush()].concat()),
                Step::Until(b'C', 1),
                Step::Send([close(b'P', ""), flush()].concat()),
                Step::Until(b'3', 1),
                Step::Send(sync()),
                Step::Until(b'Z', 1),
            ],
        ),
        steps(
            "an error and Flush: told before Sync",
            vec![
                Step::Send([s("", "SELEC"), flush()].concat()),
                Step::Until(b'E', 1),
                Step::Send([select(), flush(), bind("", "", &[]), sync()].concat()),
                Step::Until(b'Z', 1),
            ],
        ),
        steps(
            "an error without Flush: told before Sync",
            vec![Step::Send(s("", "SELEC")), Step::Until(b'E', 1), Step::Send(sync()), Step::Until(b'Z', 1)],
        ),
        steps(
            "an unknown name without Flush: told before Sync",
            vec![Step::Send(bind("", "none", &[])), Step::Until(b'E', 1), Step::Send(sync()), Step::Until(b'Z', 1)],
        ),
        sent(
            "error and skip",
            &[s("", "SELEC"), bind("", "", &[]), execute("", 0), close(b'S', "x"), flush(), sync(), run("SELECT 2")],
        ),
        sent("a Query is skipped after an error", &[s("", "SELEC"), query("SELECT 5"), sync(), query("SELECT 6")]),
        sent("an error at Execute", &[run("SELECT 1/0"), run("SELECT 2")]),
        sent(
            "an error at the third of five",
            &[
                s("", "SELECT 10 / $1::int"),
                bind("", "", &["1"]),
                execute("", 0),
                bind("", "", &["2"]),
                execute("", 0),
                bind("", "", &["0"]),
                execute("", 0),
                bind("", "", &["4"]),
                execute("", 0),
                sync(),
                bind("", "", &["5"]),
                execute("", 0),
                sync(),
            ],
        ),
        sent("Query without Sync before", &[select(), bind("", "", &[]), execute("", 0), query("SELECT 2"), sync()]),
        sent("Query between", &[select(), query("SELECT 2"), bind("", "", &[]), execute("", 0), sync()]),
        sent(
            "a pipeline is one transaction",
            &[
                s("", "INSERT INTO plain VALUES (2001, 'x')"),
                bind("", "", &[]),
                execute("", 0),
                s("", "SELECT 1/0"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
                query("SELECT count(*) FROM plain WHERE id = 2001"),
            ],
        ),
        sent(
            "Syncs part a pipeline",
            &[
                s("", "INSERT INTO plain VALUES (2002, 'x')"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
                s("", "SELECT 1/0"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
                query("DELETE FROM plain WHERE id = 2002"),
            ],
        ),
        sent(
            "BEGIN and COMMIT in a pipeline",
            &[
                s("", "BEGIN"),
                bind("", "", &[]),
                execute("", 0),
                select(),
                bind("", "", &[]),
                execute("", 0),
                s("", "COMMIT"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "BEGIN left open by a pipeline",
            &[
                s("", "BEGIN"),
                bind("", "", &[]),
                execute("", 0),
                select(),
                bind("", "", &[]),
                execute("", 0),
                sync(),
                select(),
                bind("", "", &[]),
                execute("", 0),
                sync(),
                query("COMMIT"),
            ],
        ),
        sent(
            "an error in a transaction",
            &[
                query("BEGIN"),
                s("", "SELECT 1/0"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
                select(),
                sync(),
                s("", "ROLLBACK"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "COMMIT of a failed transaction",
            &[
                query("BEGIN"),
                query("SELECT 1/0"),
                s("", "COMMIT"),
                bind("", "", &[]),
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "Parse and Describe in a failed transaction",
            &[
                s("a", "SELECT 1"),
                s("c", "COMMIT"),
                sync(),
                query("BEGIN"),
                query("SELECT 1/0"),
                describe(b'S', "a"),
                sync(),
                describe(b'S', "c"),
                sync(),
                bind("", "a", &[]),
                sync(),
                s("b", "SELECT 2"),
                sync(),
            ],
        ),
        sent(
            "Close in a failed transaction",
            &[
                s("a", "SELECT 1"),
                sync(),
                query("BEGIN"),
                query("SELECT 1/0"),
                close(b'S', "a"),
                sync(),
                query("ROLLBACK"),
                bind("", "a", &[]),
                sync(),
            ],
        ),
        sent(
            "savepoints in a pipeline",
            &[
                query("BEGIN"),
                run("SAVEPOINT a"),
                run("SELECT 1/0"),
                run("ROLLBACK TO a"),
                run("SELECT 3"),
                query("COMMIT"),
            ],
        ),
        sent("Execute twice", &[select(), bind("", "", &[]), execute("", 0), execute("", 0), sync()]),
        sent(
            "Execute twice of an insert",
            &[
                query("BEGIN"),
                s("", "INSERT INTO plain VALUES (2003, 'x')"),
                bind("", "", &[]),
                execute("", 0),
                execute("", 0),
                sync(),
            ],
        ),
        sent("Describe after Execute", &[select(), bind("", "", &[]), execute("", 0), describe(b'P', ""), sync()]),
        sent(
            "Describe of the statement after Bind",
            &[select(), bind("", "", &[]), describe(b'S', ""), execute("", 0), sync()],
        ),
        sent("Bind twice", &[select(), bind("", "", &[]), bind("", "", &[]), execute("", 0), sync()]),
        sent(
            "Bind of a named portal twice",
            &[select(), bind("p", "", &[]), bind("p", "", &[]), execute("p", 0), sync()],
        ),
        sent(
            "Bind again after Close",
            &[select(), bind("p", "", &[]), close(b'P', "p"), bind("p", "", &[]), execute("p", 0), sync()],
        ),
        sent(
            "two portals in turn",
            &[
                s("", "SELECT generate_series(1, 4)"),
                bind("p", "", &[]),
                bind("q", "", &[]),
                execute("p", 1),
                execute("q", 2),
                execute("p", 1),
                execute("q", 2),
                execute("p", 0),
                execute("q", 0),
                sync(),
            ],
        ),
        sent(
            "a portal keeps its statement's text",
            &[
                s("", "SELECT 1"),
                bind("p", "", &[]),
                s("", "SELECT 2"),
                bind("q", "", &[]),
                execute("p", 0),
                execute("q", 0),
                sync(),
            ],
        ),
        sent(
            "a portal outlives the Close of its statement",
            &[s("a", "SELECT 1"), bind("p", "a", &[]), close(b'S', "a"), execute("p", 0), sync()],
        ),
        sent("a portal ends with Sync", &[select(), bind("p", "", &[]), sync(), execute("p", 0), sync()]),
        sent("the unnamed portal ends with Sync", &[select(), bind("", "", &[]), sync(), execute("", 0), sync()]),
        sent(
            "sharded rows by key",
            &[
                s("k", "SELECT v FROM sharded WHERE id = $1"),
                bind("", "k", &["1"]),
                describe(b'P', ""),
                execute("", 0),
                bind("", "k", &["2"]),
                execute("", 0),
                bind("", "k", &["3"]),
                execute("", 0),
                bind("", "k", &["77"]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "sharded rows, an error between",
            &[
                s("k", "SELECT 10 / (id - 2) FROM sharded WHERE id = $1"),
                bind("", "k", &["1"]),
                execute("", 0),
                bind("", "k", &["2"]),
                execute("", 0),
                bind("", "k", &["3"]),
                execute("", 0),
                sync(),
                bind("", "k", &["3"]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "a sharded insert twice",
            &[
                s("i", "INSERT INTO sharded (id, v) VALUES ($1, $2)"),
                bind("", "i", &["3001", "x"]),
                execute("", 0),
                sync(),
                bind("", "i", &["3001", "x"]),
                execute("", 0),
                sync(),
                query("DELETE FROM sharded WHERE id = 3001"),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn portals_and_row_limits() {
    let rows = || s("", "SELECT generate_series(1, 5)");
    same(vec![
        sent("a limit", &[rows(), bind("", "", &[]), execute("", 2), sync()]),
        sent(
            "limits to the end",
            &[rows(), bind("", "", &[]), execute("", 2), execute("", 2), execute("", 2), execute("", 2), sync()],
        ),
        sent("a limit that is the number", &[rows(), bind("", "", &[]), execute("", 5), execute("", 5), sync()]),
        sent("a limit that is more", &[rows(), bind("", "", &[]), execute("", 50), sync()]),
        sent("a negative limit", &[rows(), bind("", "", &[]), execute("", -3), sync()]),
        sent("the largest limit", &[rows(), bind("", "", &[]), execute("", i32::MAX), sync()]),
        sent(
            "a limit for an insert",
            &[
                query("BEGIN"),
                s("", "INSERT INTO plain VALUES (2004, 'x'), (2005, 'y')"),
                bind("", "", &[]),
                execute("", 1),
                sync(),
            ],
        ),
        sent(
            "a limit for RETURNING",
            &[
                query("BEGIN"),
                s("", "INSERT INTO plain VALUES (2006, 'x'), (2007, 'y') RETURNING id"),
                bind("", "", &[]),
                execute("", 1),
                execute("", 1),
                execute("", 1),
                sync(),
            ],
        ),
        sent("a limit for SHOW", &[s("", "SHOW work_mem"), bind("", "", &[]), execute("", 1), execute("", 1), sync()]),
        sent(
            "through a transaction",
            &[
                query("BEGIN"),
                rows(),
                bind("p", "", &[]),
                execute("p", 2),
                sync(),
                execute("p", 2),
                sync(),
                execute("p", 2),
                sync(),
                execute("p", 2),
                sync(),
                query("COMMIT"),
                execute("p", 2),
                sync(),
            ],
        ),
        sent(
            "the unnamed through a transaction",
            &[
                query("BEGIN"),
                rows(),
                bind("", "", &[]),
                execute("", 2),
                sync(),
                execute("", 2),
                sync(),
                query("SELECT 1"),
                execute("", 2),
                sync(),
                query("COMMIT"),
            ],
        ),
        sent(
            "ended by a rollback",
            &[
                query("BEGIN"),
                rows(),
                bind("p", "", &[]),
                execute("p", 2),
                sync(),
                query("ROLLBACK"),
                execute("p", 2),
                sync(),
            ],
        ),
        sent(
            "ended by a savepoint's rollback",
            &[
                query("BEGIN"),
                query("SAVEPOINT a"),
                rows(),
                bind("p", "", &[]),
                execute("p", 2),
                sync(),
                query("ROLLBACK TO a"),
                execute("p", 2),
                sync(),
                query("COMMIT"),
            ],
        ),
        sent(
            "after an error",
            &[
                query("BEGIN"),
                rows(),
                bind("p", "", &[]),
                execute("p", 2),
                sync(),
                query("SELECT 1/0"),
                execute("p", 2),
                sync(),
                query("ROLLBACK"),
            ],
        ),
        sent(
            "an error while it runs",
            &[
                s("", "SELECT 1 / (3 - g) FROM generate_series(1, 5) g"),
                bind("", "", &[]),
                execute("", 2),
                execute("", 2),
                sync(),
            ],
        ),
        sent(
            "seen by SQL FETCH",
            &[
                query("BEGIN"),
                rows(),
                bind("p", "", &[]),
                execute("p", 2),
                sync(),
                query("FETCH 2 FROM p"),
                query("CLOSE p"),
                execute("p", 2),
                sync(),
                query("COMMIT"),
            ],
        ),
        sent(
            "a cursor of SQL",
            &[
                query("BEGIN"),
                query("DECLARE c CURSOR FOR SELECT generate_series(1, 4)"),
                describe(b'P', "c"),
                execute("c", 2),
                execute("c", 0),
                close(b'P', "c"),
                sync(),
                query("FETCH c"),
                query("COMMIT"),
            ],
        ),
        sent(
            "a cursor by Parse",
            &[
                query("BEGIN"),
                run("DECLARE c CURSOR FOR SELECT generate_series(1, 4)"),
                run("FETCH 2 FROM c"),
                run("CLOSE c"),
                query("COMMIT"),
            ],
        ),
        sent(
            "a hold cursor by Parse",
            &[
                query("BEGIN"),
                run("DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 4)"),
                query("COMMIT"),
                run("FETCH 2 FROM c"),
                run("CLOSE c"),
            ],
        ),
        sent(
            "COMMIT in a batch ends portals",
            &[
                query("BEGIN"),
                rows(),
                bind("p", "", &[]),
                execute("p", 2),
                s("c", "COMMIT"),
                bind("x", "c", &[]),
                execute("x", 0),
                execute("p", 2),
                sync(),
            ],
        ),
        sent(
            "sharded by key, in portions",
            &[
                query("BEGIN"),
                s("", "SELECT v, g FROM sharded, generate_series(1, 3) g WHERE id = $1"),
                bind("p", "", &["4"]),
                execute("p", 2),
                sync(),
                execute("p", 2),
                sync(),
                query("COMMIT"),
            ],
        ),
        sent(
            "EXPLAIN in portions",
            &[s("", "EXPLAIN (COSTS OFF) SELECT 1"), bind("", "", &[]), describe(b'P', ""), execute("", 1), sync()],
        ),
    ])
    .await;
}

#[tokio::test]
async fn descriptions_types_and_formats() {
    let ask = |sql: &str, types: &[u32]| [parse("", sql, types), describe(b'S', ""), sync()].concat();
    let mut cases = Vec::new();
    for (sql, types) in [
        ("SELECT 1", &[][..]),
        ("SELECT $1", &[]),
        ("SELECT $1::int", &[]),
        ("SELECT $1 + 1", &[]),
        ("SELECT $1 + 1", &[20]),
        ("SELECT $1 + 1", &[0]),
        ("SELECT $1", &[25]),
        ("SELECT $1", &[999_999]),
        ("SELECT $2::int", &[]),
        ("SELECT $1 || $2", &[]),
        ("SELECT $1 || 'x'", &[]),
        ("SELECT $1 = ANY ($2)", &[0, 1007]),
        ("SELECT $3::date - $1::date", &[]),
        ("SELECT $1", &[23, 23]),
        ("SELECT id, v FROM plain WHERE id = $1 AND v = $2", &[]),
        ("SELECT id, v FROM sharded WHERE id = $1 AND v = $2", &[]),
        ("INSERT INTO plain VALUES ($1, $2)", &[]),
        ("INSERT INTO plain VALUES ($1, $2) RETURNING id + $3", &[]),
        ("INSERT INTO sharded (id, v) VALUES ($1, $2)", &[]),
        ("UPDATE plain SET v = $1 WHERE id = $2", &[]),
        ("SELECT NULL", &[]),
        ("SELECT 'unknown'", &[]),
        ("SELECT now(), 1.5, '{1}'::int[], 'a'::char(3), interval '1 day', 'x'::varchar(7), 1::numeric(5, 2)", &[]),
        ("SELECT $1::none_such", &[]),
        ("SELECT none_such($1)", &[]),
        ("SELECT $0", &[]),
        ("SELECT $70000", &[]),
        ("VALUES (1, 'a')", &[]),
        ("SHOW work_mem", &[]),
        ("SET work_mem = '4MB'", &[]),
        ("BEGIN", &[]),
        ("COMMIT", &[]),
        ("SAVEPOINT a", &[]),
        ("CREATE TABLE never_made (a int)", &[]),
        ("SELECT count(*) FROM sharded", &[]),
        ("SELECT v FROM sharded ORDER BY id", &[]),
        ("SELECT", &[]),
        ("EXPLAIN SELECT 1", &[]),
        ("DISCARD ALL", &[]),
        ("DEALLOCATE ALL", &[]),
        ("LISTEN x", &[]),
        ("CALL none_such()", &[]),
    ] {
        cases.push(sent(&format!("{sql} {types:?}"), &[ask(sql, types)]));
    }
    let number = |value: i32| value.to_be_bytes();
    cases.extend([
        sent(
            "binary in and out",
            &[
                s("", "SELECT $1::int, $2::text"),
                bind_as("", "", &[1, 1], &[Some(&number(7)), Some(b"x")], &[1, 1]),
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "mixed in",
            &[
                s("", "SELECT $1::int, $2::int"),
                bind_as("", "", &[0, 1], &[Some(b"7"), Some(&number(8))], &[]),
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "mixed out",
            &[
                s("", "SELECT $1::int, $2::int"),
                bind_as("", "", &[0], &[Some(b"7"), Some(b"8")], &[1, 0]),
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "one format for all",
            &[
                s("", "SELECT $1::int, $2::int"),
                bind_as("", "", &[1], &[Some(&number(7)), None], &[1]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "nulls",
            &[s("", "SELECT $1::int, $2::text"), bind_as("", "", &[], &[None, None], &[]), execute("", 0), sync()],
        ),
        sent(
            "empty values",
            &[s("", "SELECT $1::text"), bind_as("", "", &[], &[Some(b"")], &[]), execute("", 0), sync()],
        ),
        sent(
            "an empty number",
            &[s("", "SELECT $1::int"), bind_as("", "", &[], &[Some(b"")], &[]), execute("", 0), sync()],
        ),
        sent(
            "sharded by a binary key",
            &[
                s("", "SELECT v FROM sharded WHERE id = $1"),
                bind_as("", "", &[1], &[Some(&number(3))], &[1]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "sharded by a null key",
            &[s("", "SELECT v FROM sharded WHERE id = $1"), bind_as("", "", &[], &[None], &[]), execute("", 0), sync()],
        ),
        sent(
            "sharded by a key that is none",
            &[
                s("", "SELECT v FROM sharded WHERE id = $1"),
                bind("", "", &["x"]),
                execute("", 0),
                sync(),
                run("SELECT 1"),
            ],
        ),
        sent(
            "sharded by a binary key that is too short",
            &[
                s("", "SELECT v FROM sharded WHERE id = $1"),
                bind_as("", "", &[1], &[Some(b"1")], &[]),
                execute("", 0),
                sync(),
            ],
        ),
        sent(
            "sharded by a key out of range",
            &[s("", "SELECT v FROM sharded WHERE id = $1"), bind("", "", &["99999999999"]), execute("", 0), sync()],
        ),
        sent(
            "sharded with too few values",
            &[s("", "SELECT v FROM sharded WHERE id = $1"), bind("", "", &[]), execute("", 0), sync()],
        ),
        sent(
            "sharded with too many values",
            &[s("", "SELECT v FROM sharded WHERE id = $1"), bind("", "", &["1", "2"]), execute("", 0), sync()],
        ),
        sent(
            "described, then bound",
            &[s("d", "SELECT $1::int"), describe(b'S', "d"), sync(), bind("", "d", &["1"]), execute("", 0), sync()],
        ),
        sent(
            "described only",
            &[s("d", "SELECT $1::int"), sync(), describe(b'S', "d"), sync(), describe(b'S', "d"), sync()],
        ),
        sent("notices", &[run("DO $$ BEGIN RAISE NOTICE 'n'; END $$"), run("SELECT 1")]),
        sent("65,535 parameters", &[many(65_535)]),
        sent("65,536 in the text", &[s("", "SELECT $65536"), sync()]),
        sent("an unused parameter", &[s("", "SELECT $2::int"), bind("", "", &["1", "2"]), execute("", 0), sync()]),
    ]);
    same(cases).await;
}

/// The sum of so many parameters.
fn many(count: usize) -> Vec<u8> {
    let places: Vec<String> = (1..=count).map(|nth| format!("${nth}")).collect();
    let sql = format!("SELECT cardinality(ARRAY[{}]::int[])", places.join(","));
    let values = vec!["1"; count];
    [s("", &sql), bind("", "", &values), execute("", 0), sync()].concat()
}

#[tokio::test]
async fn verbs_of_the_session_by_the_extended_protocol() {
    let mut cases = Vec::new();
    for sql in [
        "SET work_mem = '6MB'",
        "SHOW work_mem",
        "RESET work_mem",
        "RESET ALL",
        "SET LOCAL work_mem = '6MB'",
        "SET no_such = 1",
        "SHOW no_such",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
        "ROLLBACK TO a",
        "DISCARD ALL",
        "DISCARD PLANS",
        "DEALLOCATE ALL",
        "DEALLOCATE none",
        "LISTEN a",
        "UNLISTEN a",
        "NOTIFY other",
        "LOCK TABLE plain",
        "CLOSE ALL",
        "CLOSE none",
        "FETCH none",
        "MOVE none",
        "DECLARE c CURSOR FOR SELECT 1",
        "EXECUTE none",
        "CHECKPOINT",
        "LOAD 'none_such'",
        "SET SESSION AUTHORIZATION none_such",
        "SET ROLE none_such",
        "SET TRANSACTION READ ONLY",
        "PREPARE TRANSACTION 'x'",
        "COMMIT PREPARED 'none'",
        "SELECT set_config('work_mem', '6MB', false)",
        "VACUUM",
        "ANALYZE plain",
        "DO 'BEGIN END'",
        "CREATE TABLE made_here (a int); ",
        "DROP TABLE IF EXISTS none_such",
        "TRUNCATE none_such",
        "EXPLAIN (COSTS OFF) SELECT 1",
        "SET client_encoding = 'latin1'",
        "SET TIME ZONE 'UTC'",
        "SET datestyle = 'ISO, DMY'",
        "COPY plain TO STDOUT",
    ] {
        let sql = sql.trim_end_matches("; ");
        if sql.starts_with("CREATE") {
            cases.push(sent(
                &format!("{sql} in a transaction"),
                &[query("BEGIN"), run(sql), run(sql), query("ROLLBACK")],
            ));
            continue;
        }
        cases.push(sent(sql, &[run(sql)]));
        cases.push(sent(
            &format!("{sql} in a transaction"),
            &[query("BEGIN"), run(sql), run("SELECT 1"), query("COMMIT")],
        ));
        cases.push(sent(
            &format!("{sql} in a failed transaction"),
            &[query("BEGIN"), query("SELECT 1/0"), run(sql), query("COMMIT")],
        ));
        cases.push(sent(
            &format!("{sql} with a parameter too many"),
            &[s("", sql), bind("", "", &["1"]), execute("", 0), sync()],
        ));
        cases.push(sent(
            &format!("{sql} in a pipeline"),
            &[
                s("", "SELECT 1"),
                bind("", "", &[]),
                execute("", 0),
                s("", sql),
                bind("", "", &[]),
                execute("", 0),
                s("", "SELECT 2"),
                bind("", "", &[]),
                execute("", 0),
                sync(),
            ],
        ));
    }
    same(cases).await;
}

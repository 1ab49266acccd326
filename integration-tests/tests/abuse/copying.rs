//! COPY in both directions, in both protocols, ended in every way.

use pgring_integration_tests::script::{
    Step, bind, copy_data, copy_done, copy_fail, cstr, describe, execute, flush, message, parse, query, sync, terminate,
};

use super::{Case, same, sent, steps};

fn copy_in() -> Vec<u8> {
    query("COPY plain FROM STDIN")
}

/// Takes away the rows from `first` to `last`, which no other script uses.
fn clean(first: i32, last: i32) -> Vec<u8> {
    query(&format!("DELETE FROM plain WHERE id BETWEEN {first} AND {last}"))
}

/// Sent in one piece, and cleaned up.
fn piece(name: &str, messages: &[Vec<u8>]) -> Case {
    sent(name, &[&[query("BEGIN")], messages, &[query("ROLLBACK")]].concat())
}

/// The COPY is waited for before its data are sent.
fn waited(name: &str, start: Vec<u8>, data: &[Vec<u8>]) -> Case {
    let after = [data.concat(), sync()].concat();
    steps(name, vec![Step::Send(start), Step::Until(b'G', 1), Step::Send(after), Step::Until(b'Z', 1)])
}

#[tokio::test]
async fn data_come_in_and_every_end_of_them_is_answered_alike() {
    let row = |id: i32| copy_data(format!("{id}\tx\n").as_bytes());
    let extended = |sql: &str| [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat();
    let binary = |body: &[u8]| copy_data(&[b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", body].concat());
    let binary_row = b"\0\x02\0\0\0\x04\0\0\x04\x01\0\0\0\x01x";
    same(vec![
        piece("rows and CopyDone", &[copy_in(), row(1001), row(1002), copy_done()]),
        piece("no row", &[copy_in(), copy_done()]),
        piece(
            "a row in three pieces",
            &[copy_in(), copy_data(b"10"), copy_data(b"01\t"), copy_data(b"x\n"), copy_done()],
        ),
        piece("empty pieces", &[copy_in(), copy_data(b""), row(1001), copy_data(b""), copy_done()]),
        piece("a last line without newline", &[copy_in(), copy_data(b"1001\tx"), copy_done()]),
        piece("the end marker", &[copy_in(), copy_data(b"1001\tx\n\\.\n"), copy_done()]),
        piece("CopyFail", &[copy_in(), row(1001), copy_fail("changed my mind")]),
        piece("CopyFail at once", &[copy_in(), copy_fail("")]),
        piece("CopyFail with odd text", &[copy_in(), copy_fail("a \"quoted\" 'text' \u{e4}")]),
        piece("a bad row, data go on", &[copy_in(), copy_data(b"x\ty\n"), row(1002), row(1003), copy_done()]),
        piece("too many columns, data go on", &[copy_in(), copy_data(b"1\t2\t3\n"), row(1002), copy_done()]),
        piece("a duplicate key, data go on", &[copy_in(), row(1), row(1002), copy_done()]),
        piece("a bad row, then CopyFail", &[copy_in(), copy_data(b"x\ty\n"), copy_fail("too late")]),
        piece(
            "Sync and Flush within are passed over",
            &[copy_in(), row(1001), sync(), flush(), row(1002), copy_done()],
        ),
        piece(
            "csv",
            &[query("COPY plain FROM STDIN (FORMAT csv, HEADER)"), copy_data(b"id,v\n1001,\"a,b\"\n"), copy_done()],
        ),
        piece("a list of columns", &[query("COPY plain (id) FROM STDIN"), copy_data(b"1001\n"), copy_done()]),
        piece(
            "binary",
            &[
                query("COPY plain FROM STDIN (FORMAT binary)"),
                binary(&[&binary_row[..], b"\xff\xff"].concat()),
                copy_done(),
            ],
        ),
        piece(
            "binary without its end",
            &[query("COPY plain FROM STDIN (FORMAT binary)"), binary(binary_row), copy_done()],
        ),
        piece(
            "binary without signature",
            &[query("COPY plain FROM STDIN (FORMAT binary)"), copy_data(b"not binary at all"), copy_done()],
        ),
        piece(
            "binary with a wrong count",
            &[query("COPY plain FROM STDIN (FORMAT binary)"), binary(b"\0\x07"), copy_done()],
        ),
        piece("into a table that is none", &[query("COPY none_such FROM STDIN"), row(1), copy_done()]),
        piece("with options that are none", &[query("COPY plain FROM STDIN (FORMAT moon)"), row(1), copy_done()]),
        sent("outside of a transaction", &[copy_in(), row(1101), copy_done(), clean(1101, 1101)]),
        sent(
            "a bad row outside of a transaction",
            &[copy_in(), copy_data(b"x\n"), row(1102), copy_done(), clean(1102, 1102)],
        ),
        sent(
            "between other statements",
            &[query("SELECT 1; COPY plain FROM STDIN; SELECT 2"), row(1103), copy_done(), clean(1103, 1103)],
        ),
        sent(
            "two in one message",
            &[
                query("COPY plain FROM STDIN; COPY plain FROM STDIN"),
                row(1104),
                copy_done(),
                row(1105),
                copy_done(),
                clean(1104, 1105),
            ],
        ),
        sent(
            "failing between other statements",
            &[query("SELECT 1; COPY plain FROM STDIN; SELECT 2"), copy_fail("no"), query("SELECT 3")],
        ),
        waited("waited for", copy_in(), &[row(1106), copy_done(), clean(1106, 1106)]),
        waited("Query within", copy_in(), &[row(1001), query("SELECT 1")]),
        waited("Parse within", copy_in(), &[row(1001), parse("", "SELECT 1", &[])]),
        waited("Bind within", copy_in(), &[row(1001), bind("", "", &[])]),
        waited("Close within", copy_in(), &[message(b'C', b"S\0")]),
        waited("a second copy within", copy_in(), &[copy_in()]),
        waited("FunctionCall within", copy_in(), &[message(b'F', &[0; 10])]),
        waited("PasswordMessage within", copy_in(), &[message(b'p', b"x\0")]),
        waited("an unknown kind within", copy_in(), &[message(b'!', b"")]),
        waited("CopyDone with a body", copy_in(), &[row(1107), message(b'c', b"x"), clean(1107, 1107)]),
        waited("CopyFail without NUL", copy_in(), &[message(b'f', b"no")]),
        waited("Terminate within", copy_in(), &[row(1001), terminate()]),
        sent("extended", &[query("BEGIN"), extended("COPY plain FROM STDIN"), row(1001), copy_done(), sync()]),
        sent(
            "extended with Sync before the data",
            &[query("BEGIN"), extended("COPY plain FROM STDIN"), sync(), row(1001), copy_done(), sync()],
        ),
        steps(
            "extended, waited for",
            vec![
                Step::Send([query("BEGIN"), extended("COPY plain FROM STDIN"), flush()].concat()),
                Step::Until(b'G', 1),
                Step::Send([row(1001), copy_done(), sync()].concat()),
                Step::Until(b'Z', 1),
            ],
        ),
        steps(
            "extended with Sync, waited for",
            vec![
                Step::Send([query("BEGIN"), extended("COPY plain FROM STDIN"), sync()].concat()),
                Step::Until(b'G', 1),
                Step::Send([row(1001), copy_done(), sync()].concat()),
                Step::Until(b'Z', 1),
            ],
        ),
        sent("extended with CopyFail", &[query("BEGIN"), extended("COPY plain FROM STDIN"), copy_fail("no"), sync()]),
        sent(
            "extended with a bad row",
            &[
                query("BEGIN"),
                extended("COPY plain FROM STDIN"),
                copy_data(b"x\n"),
                row(1),
                copy_done(),
                sync(),
                query("SELECT 1"),
            ],
        ),
        sent(
            "extended, described",
            &[
                parse("", "COPY plain FROM STDIN", &[]),
                describe(b'S', ""),
                bind("", "", &[]),
                describe(b'P', ""),
                sync(),
            ],
        ),
        sent(
            "extended, and more behind it",
            &[query("BEGIN"), extended("COPY plain FROM STDIN"), row(1001), copy_done(), extended("SELECT 5"), sync()],
        ),
        sent("data after a failed Parse", &[parse("", "COPY none FROM STDIN", &[]), row(1), copy_done(), sync()]),
    ])
    .await;
}

#[tokio::test]
async fn data_go_out_alike() {
    let extended = |sql: &str| [parse("", sql, &[]), bind("", "", &[]), execute("", 0), sync()].concat();
    let out = "COPY (SELECT id, v FROM plain WHERE id < 6 ORDER BY id) TO STDOUT";
    same(vec![
        sent("text", &[query(out)]),
        sent("csv", &[query(&format!("{out} (FORMAT csv, HEADER)"))]),
        sent("binary", &[query(&format!("{out} (FORMAT binary)"))]),
        sent("extended", &[extended(out)]),
        sent("extended binary", &[extended(&format!("{out} (FORMAT binary)"))]),
        sent(
            "extended, described",
            &[parse("", out, &[]), describe(b'S', ""), bind("", "", &[]), describe(b'P', ""), execute("", 0), sync()],
        ),
        sent("extended with a row limit", &[parse("", out, &[]), bind("", "", &[]), execute("", 2), sync()]),
        sent("failing in the middle", &[query("COPY (SELECT 1 / (3 - g) FROM generate_series(1, 5) g) TO STDOUT")]),
        sent("between others", &[query(&format!("SELECT 1; {out}; SELECT 2"))]),
        sent("with CopyFail sent meanwhile", &[query(out), copy_fail("no"), query("SELECT 1")]),
        sent("of nothing", &[query("COPY (SELECT 1 WHERE false) TO STDOUT")]),
        sent("of a table that is none", &[query("COPY none_such TO STDOUT")]),
        sent("to a file that may not be", &[query("COPY plain TO '/no/such/folder/x'")]),
        sent("a message behind", &[query(out), message(b'Q', &cstr("SELECT 1"))]),
    ])
    .await;
}

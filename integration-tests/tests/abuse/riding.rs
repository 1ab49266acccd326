//! What stands behind an execution without a Sync between is in the same transaction, by whichever protocol it comes;
//! batches of a transaction in one write; COPY with other messages behind it.

use pgring_integration_tests::script::{
    bind, close, copy_data, copy_done, describe, execute, flush, parse, query, sync,
};

use super::{Case, same, sent};

/// Parsed, bound and executed, without Sync.
fn step(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat()
}

fn insert(id: i32) -> Vec<u8> {
    step(&format!("INSERT INTO ridden VALUES ({id}, 'there')"))
}

/// Which rows are there afterwards, in the end none.
fn seen(id: i32) -> Vec<u8> {
    let count = query(&format!("SELECT count(*) FROM ridden WHERE id = {id}"));
    [sync(), query("ROLLBACK"), count, query(&format!("DELETE FROM ridden WHERE id = {id}"))].concat()
}

#[tokio::test]
async fn statements_of_the_simple_protocol_are_in_the_transaction_of_what_stands_before_them() {
    let texts = [
        "",
        ";;",
        "SELECT 1",
        "SELECT 1/0",
        "SELEC",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SELECT 1; SELECT 2",
        "SELECT 1; SELECT 1/0",
        "SELECT 1; ROLLBACK; SELECT 2",
        "BEGIN; SELECT 1",
        "SAVEPOINT a",
        "SET work_mem = '7MB'; SHOW work_mem",
        "SHOW work_mem",
        "DISCARD ALL",
        "PREPARE ridden AS SELECT 1",
        "DEALLOCATE none_such",
        "EXECUTE none_such",
        "COPY (SELECT 1) TO STDOUT",
        "DECLARE c CURSOR FOR SELECT 1",
        "LOCK TABLE ridden",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    ];
    let named = texts.iter().zip(8000..).map(|(text, id)| {
        let behind = query("SHOW work_mem");
        sent(&format!("{text} behind an INSERT"), &[insert(id), query(text), behind, seen(id)])
    });
    same(named.collect()).await;
}

#[tokio::test]
async fn verbs_in_a_batch_are_in_the_transaction_of_what_stands_before_them() {
    let scripts: &[&[&str]] = &[
        &["BEGIN"],
        &["BEGIN", "SELECT 1/0"],
        &["BEGIN", "SAVEPOINT a", "SELECT 1/0"],
        &["BEGIN", "SAVEPOINT a", "ROLLBACK TO a", "COMMIT"],
        &["BEGIN", "COMMIT", "SELECT 1/0"],
        &["COMMIT"],
        &["COMMIT", "SELECT 1"],
        &["COMMIT", "SELECT 1/0"],
        &["ROLLBACK"],
        &["ROLLBACK", "SELECT 1"],
        &["SET work_mem = '7MB'", "SHOW work_mem"],
        &["SET work_mem = '7MB'", "SELECT 1/0"],
        &["SET LOCAL work_mem = '7MB'", "SHOW work_mem"],
        &["SAVEPOINT a"],
        &["DISCARD ALL"],
        &["VACUUM ridden"],
        &["COMMIT PREPARED 'none'"],
        &["PREPARE TRANSACTION 'none'"],
        &["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
        &["DEALLOCATE none_such"],
        &["", "SELECT 1"],
    ];
    let case = |(script, id): (&&[&str], i32)| -> Case {
        let steps: Vec<u8> = script.iter().flat_map(|sql| step(sql)).collect();
        let behind = [sync(), query("SHOW work_mem")].concat();
        sent(&format!("{} behind an INSERT", script.join(" | ")), &[insert(id), steps, behind, seen(id)])
    };
    same(scripts.iter().zip(8100..).map(case).collect()).await;
}

#[tokio::test]
async fn batches_of_a_transaction_in_one_write_are_answered_alike() {
    let batch = |sql: &str| [step(sql), sync()].concat();
    let many = |id: i32, end: &str| {
        let middle: Vec<u8> =
            (0..50).flat_map(|nth| batch(&format!("SELECT {nth} + count(*) FROM ridden WHERE id < 6"))).collect();
        [batch("BEGIN"), insert(id), sync(), middle, batch(end), batch("SELECT 'after'")].concat()
    };
    let failing = [batch("BEGIN"), batch("SELECT 1"), batch("SELECT 1/0"), batch("SELECT 2"), batch("SELEC")].concat();
    same(vec![
        sent("many batches and COMMIT", &[many(8203, "COMMIT"), seen(8203)]),
        sent("many batches and ROLLBACK", &[many(8204, "ROLLBACK"), seen(8204)]),
        sent("many batches and COMMIT AND CHAIN", &[many(8205, "COMMIT AND CHAIN"), seen(8205)]),
        sent(
            "a Parse of what the server knows, passed over",
            &[
                parse("known", "SELECT 'known to the server'", &[]),
                [bind("", "known", &[]), execute("", 0), sync(), step("SELECT 1/0")].concat(),
                [parse("again", "SELECT 'known to the server'", &[]), sync()].concat(),
                [bind("", "again", &[]), execute("", 0), sync(), batch("SELECT 'behind'")].concat(),
            ],
        ),
        sent("a batch that fails, and those behind it", &[failing.clone(), batch("COMMIT"), batch("SELECT 3")]),
        sent("a batch that fails, and a ROLLBACK TO", &[failing, batch("ROLLBACK TO none"), batch("ROLLBACK")]),
        sent(
            "COMMIT and more in one batch",
            &[batch("BEGIN"), insert(8201), sync(), step("COMMIT"), step("SELECT 1/0"), sync(), seen(8201)],
        ),
        sent(
            "two transactions in one write",
            &[
                batch("BEGIN"),
                batch("SELECT 1"),
                batch("COMMIT"),
                batch("BEGIN"),
                insert(8202),
                sync(),
                batch("ROLLBACK"),
                seen(8202),
            ],
        ),
        sent(
            "savepoints between",
            &[
                batch("BEGIN"),
                batch("SAVEPOINT a"),
                batch("SELECT 1/0"),
                batch("SELECT 1"),
                batch("ROLLBACK TO a"),
                batch("SELECT 2"),
                batch("COMMIT"),
            ],
        ),
        sent(
            "a portal over batches",
            &[
                batch("BEGIN"),
                parse("", "SELECT generate_series(1, 5)", &[]),
                bind("p", "", &[]),
                execute("p", 2),
                sync(),
                execute("p", 2),
                sync(),
                describe(b'P', "p"),
                close(b'P', "p"),
                sync(),
                execute("p", 2),
                sync(),
                batch("ROLLBACK"),
            ],
        ),
        sent(
            "settings in it",
            &[
                batch("BEGIN"),
                batch("SET work_mem = '9MB'"),
                batch("SHOW work_mem"),
                batch("ROLLBACK"),
                batch("SHOW work_mem"),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_stands_behind_the_execution_of_a_copy_is_none_of_its_data() {
    let copy = || step("COPY ridden FROM STDIN");
    let row = |id: i32| copy_data(format!("{id}\tx\n").as_bytes());
    same(vec![
        sent("Parse behind a COPY", &[copy(), parse("", "SELECT 1", &[]), sync()]),
        sent("Sync and Bind behind a COPY", &[copy(), sync(), bind("", "", &[]), sync()]),
        sent("Query behind a COPY", &[copy(), query("SELECT 1")]),
        sent("Parse behind a COPY that fails", &[step("COPY none FROM STDIN"), parse("", "SELECT 1", &[]), sync()]),
        sent(
            "Syncs before the data",
            &[query("BEGIN"), copy(), sync(), sync(), flush(), row(8302), copy_done(), sync()],
        ),
        sent(
            "a COPY behind an INSERT",
            &[insert(8301), query("COPY ridden FROM STDIN"), row(8300), copy_done(), seen(8300), seen(8301)],
        ),
    ])
    .await;
}

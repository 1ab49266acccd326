//! Statements that are asked about, or run, on a backend that has never seen them.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::script::{bind, close, describe, execute, parse, sync};

use crate::{brief, narrow, run};

async fn ask(raw: &mut Raw, messages: &[Vec<u8>]) -> Vec<String> {
    assert!(raw.send(&[messages.concat(), sync()].concat()).await);
    let frames = raw.read_until_ready().await;
    // What a Describe says: types of parameters, names of columns.
    let shown =
        frames.iter().filter(|frame| b"tT".contains(&frame.tag)).map(|frame| frame.body.escape_ascii().to_string());
    shown.chain(brief(&frames)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_described_on_a_backend_that_does_not_have_it() {
    // Two statements fit on a backend.
    let cluster = narrow(1, "prepared_statements = 2").await;
    let server = cluster.shard_client(0).await;
    let (mut raw, mut other) = (cluster.raw().await, cluster.raw().await);
    run(&mut other, "CREATE TABLE known (id int, note text)").await;
    let text = "SELECT id, note FROM known WHERE id = $1";
    assert_eq!(ask(&mut raw, &[parse("mine", text, &[])]).await, ["1", "Z I"]);
    let described = ask(&mut raw, &[describe(b'S', "mine")]).await;
    assert!(described[0].contains("\\x17") && described[1].contains("note"), "{described:?}");
    for what in ["nothing", "evicted", "discarded", "deallocated", "ended", "in a transaction"] {
        match what {
            "evicted" => {
                for nth in 0..5 {
                    ask(&mut other, &[parse(&format!("o{nth}"), &format!("SELECT {nth} + $1::int"), &[])]).await;
                    ask(&mut other, &[bind("", &format!("o{nth}"), &["1"]), execute("", 0)]).await;
                }
            }
            "discarded" => drop(run(&mut other, "DISCARD ALL").await),
            "deallocated" => drop(run(&mut other, "DEALLOCATE ALL").await),
            "ended" => {
                let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE backend_type = \
                           'client backend' AND pid <> pg_backend_pid() AND application_name = ''";
                assert_eq!(crate::number(&server, end).await, 1);
            }
            "in a transaction" => drop(run(&mut raw, "BEGIN").await),
            _ => {}
        }
        let status = if what == "in a transaction" { "Z T" } else { "Z I" };
        let again = ask(&mut raw, &[describe(b'S', "mine")]).await;
        assert_eq!((&again[..2], again[2..].last().unwrap().as_str()), (&described[..2], status), "{what}");
        let portal = ask(&mut raw, &[bind("", "mine", &["1"]), describe(b'P', "")]).await;
        assert_eq!(portal[1..], ["2", status], "{what}");
        assert_eq!(portal[0], described[1], "{what}");
        let ran = ask(&mut raw, &[bind("", "mine", &["1"]), execute("", 0)]).await;
        assert_eq!(ran, ["2", "C SELECT 0", status], "{what}");
    }
    run(&mut raw, "ROLLBACK").await;
    // A change of schema shows in the next Describe.
    run(&mut other, "ALTER TABLE known RENAME note TO remark").await;
    let changed = ask(&mut raw, &[describe(b'S', "mine")]).await;
    assert!(changed.iter().any(|line| line == "E 42703") || changed[1].contains("remark"), "{changed:?}");
    // The unnamed one too, whoever parsed another meanwhile.
    ask(&mut raw, &[parse("", "SELECT $1::int AS unnamed", &[])]).await;
    ask(&mut other, &[parse("", "SELECT $1::text AS foreign", &[])]).await;
    let unnamed = ask(&mut raw, &[describe(b'S', "")]).await;
    assert!(unnamed[1].contains("unnamed"), "{unnamed:?}");
    assert_eq!(ask(&mut raw, &[close(b'S', "mine"), describe(b'S', "mine")]).await, ["3", "E 26000", "Z I"]);
}

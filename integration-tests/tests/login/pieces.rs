//! Clients that do not wait: start-up, password and statements in one piece, or a side that is shut at once.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{
    Step, bind, cstr, describe, execute, message, parse, play, query, startup, sync, terminate,
};

use super::matrix::world;

/// Plays the steps on both sides; returns what was answered.
async fn same(name: &str, steps: &[Step]) -> Vec<String> {
    let world = world().await;
    let expected = play(&mut Raw::connect(world.server.port()).await, steps).await;
    let answered = play(&mut Raw::connect(world.router.port()).await, steps).await;
    assert_eq!(answered, expected, "{name}, through pgring and directly");
    expected
}

fn start(user: &str, more: &[(&str, &str)]) -> Vec<u8> {
    startup(3, 0, &[&[("user", user), ("database", DATABASE)], more].concat())
}

fn password(text: &str) -> Vec<u8> {
    message(b'p', &cstr(text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_with_the_start_up_is_answered_after_it() {
    let batch =
        [parse("s", "SELECT $1::int + 1", &[]), bind("", "s", &["41"]), describe(b'P', ""), execute("", 0), sync()]
            .concat();
    let three = [query("SELECT 1"), query("SELECT 1/0"), query("BEGIN")].concat();
    for (name, pieces, rows) in [
        ("a query", vec![start("trusted", &[]), query("SELECT 1"), terminate()], 1),
        ("three queries", vec![start("trusted", &[]), three.clone(), terminate()], 1),
        ("a batch", vec![start("trusted", &[]), batch.clone(), terminate()], 1),
        ("a password and a query", vec![start("clear_scram", &[]), password("secret"), three, terminate()], 1),
        ("a password and a batch", vec![start("clear_md5", &[]), password("secret"), batch, terminate()], 1),
        ("a wrong password and a query", vec![start("clear_scram", &[]), password("wrong"), query("SELECT 1")], 0),
        ("no password and a query", vec![start("clear_scram", &[]), query("SELECT 1")], 0),
    ] {
        let bytes = pieces.concat();
        let answer = same(name, &[Step::Send(bytes.clone()), Step::End]).await;
        assert_eq!(answer.iter().filter(|line| line.starts_with("D ")).count(), rows, "{name}: {answer:?}");
        same(&format!("{name}, and a side that is shut"), &[Step::Send(bytes), Step::Shut, Step::End]).await;
    }
    same("a start-up alone, and a side that is shut", &[Step::Send(start("trusted", &[])), Step::Shut, Step::End])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_are_no_messages_are_refused_alike() {
    for (name, bytes) in [
        ("no NUL", message(b'p', b"secret")),
        ("nothing", message(b'p', b"")),
        ("two strings", message(b'p', b"secret\0more\0")),
        ("bytes behind the NUL", message(b'p', b"secret\0x")),
        ("an empty one", password("")),
        ("no UTF-8", message(b'p', b"\xff\xfe\0")),
        ("a long one", password(&"x".repeat(60_000))),
        ("one that is too long", password(&"x".repeat(70_000))),
        ("a length of 0", vec![b'p', 0, 0, 0, 0]),
        ("another message", message(b'B', b"secret\0")),
    ] {
        for user in ["clear_scram", "clear_md5", "clear_none", "hashed"] {
            // A salt is another one each time.
            let mut answer = Vec::new();
            for port in [world().await.server.port(), world().await.router.port()] {
                let mut raw = Raw::connect(port).await;
                play(&mut raw, &[Step::Send(start(user, &[])), Step::Until(b'R', 1)]).await;
                let mut said = play(&mut raw, &[Step::Send(bytes.clone()), Step::End]).await;
                said.retain(|line| !line.starts_with("E FATAL FATAL 08P01 invalid message length"));
                answer.push(said);
            }
            assert_eq!(answer[1], answer[0], "{name}, {user}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_setting_of_the_start_up_is_the_server_s_to_judge() {
    let (world, mut differing) = (world().await, Vec::new());
    for (name, value) in [
        ("client_min_messages", "error"),
        ("statement_timeout", "15s"),
        ("lock_timeout", "1min"),
        ("idle_in_transaction_session_timeout", "99000"),
        ("idle_session_timeout", "1h"),
        ("extra_float_digits", "-3"),
        ("bytea_output", "escape"),
        ("default_transaction_isolation", "repeatable read"),
        ("default_transaction_read_only", "on"),
        ("IntervalStyle", "iso_8601"),
        ("TimeZone", "America/Chicago"),
        ("DateStyle", "sql, dmy"),
        ("client_encoding", "sql_ascii"),
        ("client_encoding", "EucJP"),
        ("search_path", "\"A b\", $user,public"),
        ("role", "trusted"),
        ("role", "none"),
        ("role", "no_such_role"),
        ("session_authorization", "postgres"),
        ("jit", "maybe"),
        ("work_mem", "1"),
        ("work_mem", "9999999999999"),
        ("application_name", "käse 'n' \"x\""),
        ("options", "-c statement_timeout=1s -c\\ x"),
        ("options", "-c geqo_seed=0.5 --enable-seqscan=off -cwork_mem=2MB"),
        ("options", "-c"),
        ("options", "-c search_path=a\\ b,\\\\c"),
        ("options", "  "),
        ("options", "-Z"),
        ("options", "--"),
        ("options", "-c work_mem=3MB -- more"),
        ("options", "--work-mem"),
        ("options", "-c session_preload_libraries=x"),
        ("options", "-c log_min_messages=debug1"),
        ("custom.setting", "x'y"),
        ("custom.setting", ""),
        ("Custom.SETTING", "x"),
        ("custom.1", "x"),
        ("custom .x", "x"),
        ("server_version", "1"),
        ("is_superuser", "on"),
        ("fsync", "off"),
        ("max_connections", "1"),
        ("", "x"),
    ] {
        let show = "SELECT current_user, current_setting('search_path'), current_setting('work_mem'), \
                    current_setting('statement_timeout'), current_setting('lock_timeout'), \
                    current_setting('idle_in_transaction_session_timeout'), current_setting('custom.setting', true), \
                    current_setting('default_transaction_isolation'), current_setting('extra_float_digits'), \
                    current_setting('bytea_output'), current_setting('geqo_seed'), current_setting('enable_seqscan'), \
                    current_setting('application_name'), now() - now(), current_setting('client_min_messages')";
        let bytes = [start("trusted", &[(name, value)]), query(show), terminate()].concat();
        let steps = [Step::Send(bytes), Step::End];
        let expected = play(&mut Raw::connect(world.server.port()).await, &steps).await;
        let answered = play(&mut Raw::connect(world.router.port()).await, &steps).await;
        if answered != expected {
            differing.push(format!("{name} = {value}\n  {expected:?}\n  {answered:?}"));
        }
    }
    assert!(differing.is_empty(), "directly and through pgring: {}", differing.join("\n"));
}

//! Real servers from installed binaries: they answer, survive what they should and vanish when they should.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pgring_local_postgres::{Binaries, LocalError, Locale, Server, ServerOptions, can_reach, unprivileged};

fn binaries() -> Binaries {
    Binaries::find().unwrap()
}

fn app_server() -> Server {
    Server::start(&binaries(), ServerOptions::default().database("app").for_shard()).unwrap()
}

/// Runs SQL through psql over TCP and returns what it prints, or its error.
fn psql(server: &Server, sql: &str) -> Result<String, String> {
    let mut command = Command::new(binaries().program("psql"));
    command.arg(server.connection_string("app")).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn wait_for(what: &str, fact: impl Fn() -> bool) {
    let begun = Instant::now();
    while !fact() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn lives(pid: u32) -> bool {
    Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status().unwrap().success()
}

#[test]
fn a_server_answers_with_the_settings_and_the_text_order_asked_for() {
    let server = app_server();
    assert_eq!(psql(&server, "SELECT current_setting('wal_level'), current_user").unwrap(), "logical|postgres");
    let sorted = "SELECT string_agg(c, ',' ORDER BY c) FROM (VALUES ('b'), ('A'), ('a'), ('B')) v(c)";
    assert_eq!(psql(&server, sorted).unwrap(), "a,A,b,B");
    assert!(server.socket_folder().join(format!(".s.PGSQL.{}", server.port())).exists());

    let options = ServerOptions::default().database("app").locale(Locale::Libc("C".to_owned()));
    let plain = Server::start(&binaries(), options).unwrap();
    assert_eq!(psql(&plain, sorted).unwrap(), "A,B,a,b");
}

#[test]
fn a_wrong_password_is_refused() {
    let server = app_server();
    let wrong = server.connection_string("app").replace("password=postgres", "password=wrong");
    let output = Command::new(binaries().program("psql")).arg(wrong).args(["-Xc", "SELECT 1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("password authentication failed"));
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_its_committed_rows() {
    let mut server = app_server();
    psql(&server, "CREATE TABLE t AS SELECT 7 AS n").unwrap();
    let (port, pid) = (server.port(), server.pid().unwrap());
    server.kill9();
    assert!(!server.is_running());
    assert!(!lives(pid));
    assert!(psql(&server, "SELECT 1").is_err());
    server.restart().unwrap();
    assert!(server.is_running());
    assert_eq!(server.port(), port);
    assert_eq!(psql(&server, "SELECT n FROM t").unwrap(), "7");
}

#[test]
fn a_temporary_server_leaves_neither_process_nor_folder_even_after_a_panic() {
    let started = std::sync::Mutex::new(None);
    let outcome = std::panic::catch_unwind(|| {
        let server = app_server();
        *started.lock().unwrap() = Some((server.pid().unwrap(), server.folder().to_owned()));
        panic!("on purpose");
    });
    assert!(outcome.is_err());
    let (pid, folder) = started.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).unwrap();
    assert!(!lives(pid));
    assert!(!folder.exists());
}

#[test]
fn a_server_ends_and_its_folder_goes_when_its_owner_is_killed() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_pgring-local-postgres"));
    let mut owner = owner.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let pid = lines.next().unwrap().unwrap().parse().unwrap();
    let folder = PathBuf::from(lines.next().unwrap().unwrap());
    assert!(lives(pid));
    assert!(folder.exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_for("the server's end", || !lives(pid));
    wait_for("the folder's end", || !folder.exists());
}

#[test]
fn a_kept_folder_is_found_again_and_refused_while_in_use() {
    let parent = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let options = ServerOptions::default().database("app").data(parent.path().join("s0"));
    let server = Server::start(&binaries(), options.clone()).unwrap();
    psql(&server, "CREATE TABLE kept AS SELECT 1 AS n").unwrap();
    match Server::start(&binaries(), options.clone()) {
        Err(LocalError::InUse { pid, .. }) => assert_eq!(Some(pid), server.pid()),
        other => panic!("expected a refusal, got {other:?}"),
    }
    drop(server);
    let again = Server::start(&binaries(), options).unwrap();
    assert_eq!(psql(&again, "SELECT n FROM kept").unwrap(), "1");
}

#[test]
fn a_taken_port_and_a_wrong_setting_are_told_plainly() {
    let server = app_server();
    let same_port = ServerOptions::default().port(server.port());
    assert!(
        matches!(Server::start(&binaries(), same_port), Err(LocalError::PortTaken { port }) if port == server.port())
    );
    let wrong = ServerOptions::default().setting("wal_level", "nonsense");
    let error = Server::start(&binaries(), wrong).unwrap_err().to_string();
    assert!(error.contains("wal_level"), "{error}");
}

#[test]
fn a_replica_follows_its_primary_and_can_be_promoted() {
    let mut primary = app_server();
    let mut replica = primary.start_replica("s0-r1", ServerOptions::default().for_shard()).unwrap();
    psql(&primary, "CREATE TABLE t AS SELECT 5 AS n").unwrap();
    wait_for("the row on the replica", || psql(&replica, "SELECT n FROM t").as_deref() == Ok("5"));
    assert_eq!(psql(&primary, "SELECT application_name FROM pg_stat_replication").unwrap(), "s0-r1");
    assert!(psql(&replica, "INSERT INTO t VALUES (6)").is_err());

    primary.restart().unwrap();
    psql(&primary, "UPDATE t SET n = 7").unwrap();
    wait_for("the new row on the replica", || psql(&replica, "SELECT n FROM t").as_deref() == Ok("7"));

    replica.promote().unwrap();
    psql(&replica, "INSERT INTO t VALUES (6)").unwrap();
    replica.restart().unwrap();
    psql(&replica, "INSERT INTO t VALUES (8)").unwrap();
}

#[test]
fn programs_run_unprivileged() {
    let output = unprivileged(Path::new("id")).unwrap().arg("-u").output().unwrap();
    assert_ne!(String::from_utf8_lossy(&output.stdout).trim(), "0");
}

#[test]
fn a_folder_that_the_servers_account_cannot_enter_is_told_before_anything_is_made() {
    let closed = tempfile::tempdir().unwrap(); // only ourselves may enter it
    let folder = closed.path().join("s0");
    let reachable = can_reach(&folder).unwrap();
    let started = Server::start(&binaries(), ServerOptions::default().data(&folder));
    assert_eq!(started.is_ok(), reachable);
    if let Err(error) = started {
        assert!(matches!(&error, LocalError::Unreachable { path, .. } if *path == folder), "{error}");
        assert!(!folder.join("data").exists());
    }
}

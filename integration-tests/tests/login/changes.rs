//! What an administrator changes holds from the next log-in, though backends of earlier log-ins wait in the pool.

use std::sync::LazyLock;

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::{Step, brief, message, play};
use pgring_local_postgres::Stop;

use super::{QUERY, World, attempt, connect};

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let auth = format!(
        "[auth]\nmethods = [\"md5\"]\nquery = \"{QUERY}\"\n\
         [[users]]\nname = \"pair\"\npassword = \"secret\"\npool_size = 1\n"
    );
    World::launch(&["host all all 127.0.0.1/32 md5"], &auth)
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_changed_is_the_only_one_from_then_on() {
    let admin = WORLD.admin().await;
    admin.batch_execute("CREATE ROLE changing LOGIN PASSWORD 'p0'").await.unwrap();
    WORLD.enters(&attempt("changing", "p0")).await;
    let mut stays = Raw::log_in(WORLD.router.port(), "changing", "p0", DATABASE).await;
    for n in 1..=3 {
        // Salted anew, of the other kind, and back.
        let kind = if n % 3 == 0 { "md5" } else { "scram-sha-256" };
        let change = format!("SET password_encryption = '{kind}'; ALTER ROLE changing PASSWORD 'p{n}'");
        admin.batch_execute(&change).await.unwrap();
        let (new, old) = (format!("p{n}"), format!("p{}", n - 1));
        WORLD.enters(&attempt("changing", &new)).await;
        WORLD.is_refused(&attempt("changing", &old), "28P01").await;
        WORLD.enters(&attempt("changing", &new)).await;
    }
    // By the client itself, through pgring.
    stays.query("ALTER ROLE changing PASSWORD 'own'").await;
    WORLD.enters(&attempt("changing", "own")).await;
    WORLD.is_refused(&attempt("changing", "p3"), "28P01").await;
    // Who was there before the changes still is, and new backends log in with what is right now.
    admin
        .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'")
        .await
        .unwrap();
    WORLD.enters(&attempt("changing", "own")).await;
    let mut both = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::log_in(WORLD.router.port(), "changing", "own", DATABASE).await;
        raw.query("BEGIN; SELECT 1").await;
        both.push(raw);
    }
    let frames = stays.query("SELECT current_user").await;
    let tags: Vec<char> = frames.iter().map(|frame| char::from(frame.tag)).collect();
    assert_eq!(tags, ['T', 'D', 'C', 'Z'], "{frames:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_were_taken_or_given_hold_from_the_next_log_in() {
    let admin = WORLD.admin().await;
    for sql in [
        "CREATE ROLE moody LOGIN PASSWORD 'secret'",
        "CREATE DATABASE moody",
        "REVOKE CONNECT ON DATABASE moody FROM PUBLIC",
        "GRANT CONNECT ON DATABASE moody TO moody",
    ] {
        admin.batch_execute(sql).await.unwrap();
    }
    let moody = || attempt("moody", "secret").to("moody");
    for (takes, code, gives) in [
        ("ALTER ROLE moody VALID UNTIL 'yesterday'", "28P01", "ALTER ROLE moody VALID UNTIL 'tomorrow'"),
        ("ALTER ROLE moody NOLOGIN", "28000", "ALTER ROLE moody LOGIN VALID UNTIL 'infinity'"),
        ("REVOKE CONNECT ON DATABASE moody FROM moody", "42501", "GRANT CONNECT ON DATABASE moody TO PUBLIC"),
        ("ALTER DATABASE moody ALLOW_CONNECTIONS false", "55000", "ALTER DATABASE moody ALLOW_CONNECTIONS true"),
        ("ALTER ROLE moody PASSWORD NULL", "28P01", "ALTER ROLE moody PASSWORD 'secret'"),
        ("ALTER ROLE moody RENAME TO other", "28P01", "ALTER ROLE other RENAME TO moody"),
        ("REVOKE CONNECT ON DATABASE moody FROM PUBLIC", "42501", "ALTER ROLE moody SUPERUSER"),
    ] {
        WORLD.enters(&moody()).await;
        admin.batch_execute(takes).await.unwrap();
        WORLD.is_refused(&moody(), code).await;
        admin.batch_execute(gives).await.unwrap();
    }
    WORLD.enters(&moody()).await;
    WORLD.is_refused(&attempt("moody", "wrong").to("moody"), "28P01").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_looked_up_again_after_their_server_was_away() {
    let mut world =
        World::launch(&["host all all 127.0.0.1/32 scram-sha-256"], &format!("[auth]\nquery = \"{QUERY}\"\n"));
    world.admin().await.batch_execute("CREATE ROLE plain LOGIN PASSWORD 'secret'").await.unwrap();
    world.enters(&attempt("plain", "secret")).await;
    // pgring's own connection ends with all others: the question is asked again over a new one.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgring'";
    assert!(!world.admin().await.query(end, &[]).await.unwrap().is_empty());
    world.enters(&attempt("plain", "secret")).await;
    tokio::task::block_in_place(|| world.server.stop(Stop::Fast));
    let answer = attempt("plain", "secret").make(world.router.port()).await;
    assert_eq!(answer, ["E FATAL FATAL 57P03 the server that knows the users is not available (PGR-2003)", "closed"]);
    tokio::task::block_in_place(|| world.server.restart()).unwrap();
    world.enters(&attempt("plain", "secret")).await;
}

/// Many at once make one question each, over one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_log_ins_takes_one_connection_of_pgring_s_own() {
    let admin = WORLD.admin().await;
    admin.batch_execute("CREATE ROLE crowd LOGIN PASSWORD 'secret'").await.unwrap();
    admin.batch_execute("CREATE DATABASE burst").await.unwrap();
    let attempts: Vec<_> = (0..40)
        .map(|nth| {
            let password = if nth % 4 == 0 { "wrong" } else { "secret" };
            tokio::spawn(async move { attempt("crowd", password).to("burst").make(WORLD.router.port()).await })
        })
        .collect();
    let mut entered = 0;
    for made in attempts {
        entered += usize::from(made.await.unwrap().iter().any(|line| line == "Z"));
    }
    assert_eq!(entered, 30);
    let own = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgring' AND datname = 'burst'";
    assert!(admin.query_one(own, &[]).await.unwrap().get::<_, i64>(0) <= 1);
}

/// A search_path of the client, of the role or of the database says where its own statements look, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_path_does_not_reach_the_look_up() {
    let admin = WORLD.admin().await;
    let known: String =
        admin.query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'", &[]).await.unwrap().get(0);
    admin.batch_execute("CREATE ROLE victim LOGIN PASSWORD 'secret'").await.unwrap();
    admin.batch_execute("CREATE DATABASE lured").await.unwrap();
    let inside = connect(&WORLD.server.connection_string("lured")).await;
    // Whose password is `postgres` here.
    inside
        .batch_execute(&format!(
            "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
             CREATE TABLE evil.pg_authid AS SELECT rolname, '{known}'::text AS rolpassword FROM pg_catalog.pg_authid;
             CREATE TABLE evil.pg_roles AS SELECT rolname, true AS rolcanlogin FROM pg_catalog.pg_roles;
             ALTER DATABASE lured SET search_path = evil, pg_catalog;
             ALTER ROLE postgres IN DATABASE lured SET search_path = evil, pg_catalog"
        ))
        .await
        .unwrap();
    for more in [
        &[][..],
        &[("search_path", "evil, pg_catalog")],
        &[("options", "-c search_path=evil,pg_catalog")],
        &[("options", "--search_path=evil,pg_catalog"), ("session_preload_libraries", "")],
    ] {
        let lured = |password| attempt("victim", password).to("lured").with(more);
        WORLD.is_refused(&lured("postgres"), "28P01").await;
        if more.len() < 2 {
            WORLD.enters(&lured("secret")).await;
        }
    }
}

/// A client that breaks the protocol ends itself: its neighbour keeps the backend that both have used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_of_one_client_ends_no_backend_of_another() {
    let admin = WORLD.admin().await;
    admin.batch_execute("CREATE ROLE pair LOGIN PASSWORD 'secret'").await.unwrap();
    const MINE: &str = "SELECT pid::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let mut good = Raw::log_in(WORLD.router.port(), "pair", "secret", DATABASE).await;
    let pid = |frames: &[pgring_integration_tests::client::Frame]| {
        frames.iter().find(|frame| frame.tag == b'D').unwrap_or_else(|| panic!("{frames:?}")).body.clone()
    };
    let before = pid(&good.query(MINE).await);
    for garbage in [
        vec![0xff; 9],
        vec![b'Q', 0, 0, 0, 0],
        vec![b'Q', 0xff, 0xff, 0xff, 0xff, b'x'],
        message(b'?', b"what"),
        message(b'Q', b"SELECT 1"),
        message(b'B', &[0xff; 40]),
        vec![b'P', 0, 0, 0, 90, b'a'],
    ] {
        let mut bad = Raw::log_in(WORLD.router.port(), "pair", "secret", DATABASE).await;
        assert_eq!(pid(&bad.query(MINE).await), before);
        play(&mut bad, &[Step::Send(garbage), Step::Shut, Step::End]).await;
        assert_eq!(pid(&good.query(MINE).await), before);
    }
    // Within a transaction its own backend is of no use any more.
    let mut bad = Raw::log_in(WORLD.router.port(), "pair", "secret", DATABASE).await;
    bad.query("CREATE TEMP TABLE left_behind ()").await;
    bad.query("BEGIN; SELECT 1/0").await;
    play(&mut bad, &[Step::Send(vec![0; 12]), Step::End]).await;
    let frames = good.query("SELECT count(*) FROM pg_class WHERE relname = 'left_behind'").await;
    let texts: Vec<String> = frames.iter().skip(1).map(brief).collect();
    assert_eq!(texts, ["D \\x00\\x01\\x00\\x00\\x00\\x010", "C SELECT 1", "Z I"]);
}

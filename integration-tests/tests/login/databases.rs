//! Any database and any user of one server: databases that are made and dropped, passwords that pgring passes through.

use std::sync::LazyLock;

use pgring_integration_tests::client::{Raw, connect, describe, try_connect};
use pgring_integration_tests::faults::within;
use pgring_integration_tests::script::brief;

use super::{QUERY, World, attempt};

static WORLD: LazyLock<World> = LazyLock::new(|| {
    World::launch(
        &["host all all 127.0.0.1/32 md5"],
        &format!("[auth]\nmethods = [\"scram-sha-256\", \"md5\"]\nquery = \"{QUERY}\"\n"),
    )
});

async fn through(database: &str, user: &str, password: &str) -> Result<tokio_postgres::Client, String> {
    let port = WORLD.router.port();
    let connection = format!("host=127.0.0.1 port={port} dbname={database} user={user} password={password}");
    try_connect(&connection).await.map_err(|error| describe(&error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_databases_that_are_made_are_there_at_once_and_gone_at_once() {
    let postgres = through("postgres", "postgres", "postgres").await.unwrap();
    for round in 0..2 {
        for kind in ["scram-sha-256", "md5"] {
            let set = format!("SET password_encryption = '{kind}'; CREATE ROLE visitor LOGIN PASSWORD 'of {round}'");
            postgres.batch_execute(&set).await.unwrap();
            postgres.batch_execute("CREATE DATABASE fresh OWNER visitor").await.unwrap();
            let password = format!("'of {round}'");
            let visitor = through("fresh", "visitor", &password).await.unwrap();
            visitor.batch_execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)").await.unwrap();
            let row = visitor.query_one("SELECT current_user::text, count(*) FROM t", &[]).await.unwrap();
            assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("visitor", 1));
            let another = through("fresh", "postgres", "postgres").await.unwrap();
            assert_eq!(another.query_one("SELECT id FROM t", &[]).await.unwrap().get::<_, i32>(0), 1);
            // Both clients are still there, and idle.
            postgres.batch_execute("DROP DATABASE fresh").await.unwrap();
            let known = attempt("visitor", &password[1..password.len() - 1]);
            WORLD.is_refused(&known.clone().to("fresh"), "3D000").await;
            WORLD.enters(&known.to("postgres")).await;
            let lost = visitor.query_one("SELECT 1", &[]).await.unwrap_err();
            assert_eq!(lost.code().map(|code| code.code()), Some("3D000"), "{lost:?}");
            postgres.batch_execute("DROP ROLE visitor").await.unwrap();
            WORLD.is_refused(&attempt("visitor", "of 0"), "28P01").await;
        }
    }
}

/// What pgring itself keeps open there goes before the server has waited long enough to say no.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_can_be_dropped_past_pgring_soon_after_a_refused_log_in() {
    let admin = WORLD.admin().await;
    admin.batch_execute("CREATE DATABASE looked_at").await.unwrap();
    WORLD.is_refused(&attempt("postgres", "wrong").to("looked_at"), "28P01").await;
    within(std::time::Duration::from_secs(5), async { admin.batch_execute("DROP DATABASE looked_at").await.unwrap() })
        .await;
}

/// Whatever the name says, it is a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_of_databases_and_users_are_names() {
    let admin = WORLD.admin().await;
    let long = "n".repeat(63);
    for name in ["dbname=postgres", "postgres://x", "a b'c\"d", "host=10.0.0.1", "Ünï", "a\\b", &long] {
        let quoted = name.replace('"', "\"\"");
        admin.batch_execute(&format!("CREATE DATABASE \"{quoted}\"")).await.unwrap();
        admin.batch_execute(&format!("CREATE ROLE \"{quoted}\" LOGIN PASSWORD 'secret'")).await.unwrap();
        WORLD.enters(&attempt(name, "secret").to(name)).await;
        WORLD.enters(&attempt(name, "secret").to("postgres")).await;
        WORLD.is_refused(&attempt(name, "wrong").to(name), "28P01").await;
    }
    // PostgreSQL cuts what is longer.
    let longer = format!("{long}nn");
    WORLD.same(&attempt(&longer, "secret").to("postgres")).await;
    WORLD.same(&attempt("postgres", "postgres").to(&longer)).await;
}

/// What a server says when a connection begins is for each client that begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_of_a_beginning_connection_reach_each_client() {
    let admin = WORLD.admin().await;
    admin.batch_execute("CREATE DATABASE aged").await.unwrap();
    admin.batch_execute("UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'aged'").await.unwrap();
    for _ in 0..3 {
        let answer = WORLD.same(&attempt("postgres", "postgres").to("aged")).await;
        let warned = answer.iter().any(|line| line.starts_with("N WARNING WARNING 01000 database \"aged\" has a"));
        assert!(warned, "{answer:?}");
    }
    let mut raw = Raw::log_in(WORLD.router.port(), "postgres", "postgres", "aged").await;
    let later: Vec<String> = raw.query("SELECT 1").await.iter().map(brief).collect();
    assert!(!later.iter().any(|line| line.starts_with('N')), "{later:?}");
    drop(connect(&WORLD.server.connection_string("postgres")).await);
}

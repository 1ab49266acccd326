//! Every kind of role and method, the rules in their order.

use std::sync::LazyLock;

use pgring_protocol::sasl::ScramVerifier;
use tokio::sync::OnceCell;

use super::{Attempt, QUERY, World, attempt};

/// Who is asked for what, in the words of pg_hba.conf; [`RULES`] says the same in pgring's.
const HBA: &[&str] = &[
    "host all clear_scram,clear_md5,clear_none,clear_expired 127.0.0.1/32 password",
    "host all rejected 127.0.0.1/32 reject",
    "host all trusted,trusted_off,trusted_none,trusted_expired 127.0.0.1/32 trust",
    "host app,private fenced 127.0.0.1/32 scram-sha-256",
    "host all scram_of_md5 127.0.0.1/32 scram-sha-256",
    "host all far 10.0.0.0/8 md5",
    "host all twice 127.0.0.1/32 reject",
    "host all twice 127.0.0.1/32 trust",
    "host all fenced 127.0.0.1/32 reject",
    "host all far,outsider ::1/128 trust",
    "host all postgres,plain,hashed,nobody,expired,expired_md5,ended,later,forever,off,off_expired,blank,full,\"Odd \"\"N\"\"ame\",\
     \"$user\" 127.0.0.1/32 md5",
];

const RULES: &str = r#"
[[auth.rules]]
user = ["clear_scram", "clear_md5", "clear_none", "clear_expired"]
method = "password"
[[auth.rules]]
user = "rejected"
method = "reject"
[[auth.rules]]
user = ["trusted", "trusted_off", "trusted_none", "trusted_expired"]
method = "trust"
[[auth.rules]]
database = ["app", "private"]
user = "fenced"
address = "127.0.0.1"
method = "scram-sha-256"
[[auth.rules]]
user = "scram_of_md5"
method = "scram-sha-256"
[[auth.rules]]
user = "far"
address = "10.0.0.0/8"
method = "md5"
[[auth.rules]]
user = "twice"
method = "reject"
[[auth.rules]]
user = "twice"
method = "trust"
[[auth.rules]]
user = "fenced"
method = "reject"
[[auth.rules]]
user = ["far", "outsider"]
address = "::1"
method = "trust"
[[auth.rules]]
user = ["postgres", "plain", "hashed", "nobody", "expired", "expired_md5", "ended", "later", "forever", "off", "off_expired", "blank", "full", "Odd \"N\"ame", "$user"]
address = "127.0.0.0/8"
method = "md5"
"#;

const ROLES: &str = r#"
    CREATE ROLE plain LOGIN PASSWORD 'secret';
    CREATE ROLE "Odd ""N""ame" LOGIN PASSWORD 'päss wörd''s';
    CREATE ROLE "$user" LOGIN PASSWORD 'secret';
    CREATE ROLE expired LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
    CREATE ROLE ended LOGIN PASSWORD 'secret' VALID UNTIL '-infinity';
    CREATE ROLE later LOGIN PASSWORD 'secret' VALID UNTIL '2399-01-01';
    CREATE ROLE forever LOGIN PASSWORD 'secret' VALID UNTIL 'infinity';
    CREATE ROLE off NOLOGIN PASSWORD 'secret';
    CREATE ROLE off_expired NOLOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
    CREATE ROLE blank LOGIN;
    CREATE ROLE full LOGIN PASSWORD 'secret' CONNECTION LIMIT 0;
    CREATE ROLE fenced LOGIN PASSWORD 'secret';
    CREATE ROLE rejected LOGIN PASSWORD 'secret';
    CREATE ROLE outsider LOGIN PASSWORD 'secret';
    CREATE ROLE far LOGIN PASSWORD 'secret';
    CREATE ROLE twice LOGIN PASSWORD 'secret';
    CREATE ROLE trusted LOGIN;
    CREATE ROLE trusted_off NOLOGIN;
    CREATE ROLE trusted_expired LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
    CREATE ROLE clear_scram LOGIN PASSWORD 'secret';
    CREATE ROLE clear_expired LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
    CREATE ROLE clear_none LOGIN;
    SET password_encryption = 'md5';
    CREATE ROLE hashed LOGIN PASSWORD 'secret';
    CREATE ROLE expired_md5 LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
    CREATE ROLE scram_of_md5 LOGIN PASSWORD 'secret';
    CREATE ROLE clear_md5 LOGIN PASSWORD 'secret';
"#;

static WORLD: LazyLock<World> = LazyLock::new(|| World::launch(HBA, &format!("[auth]\nquery = \"{QUERY}\"\n{RULES}")));
static MADE: OnceCell<()> = OnceCell::const_new();

pub(super) async fn world() -> &'static World {
    MADE.get_or_init(|| async {
        let admin = WORLD.admin().await;
        // One iteration: thousands of them are slow without optimization.
        let quick = ScramVerifier::from_password("secret", &[5; 16], 1).to_string();
        let (scram, md5) = ROLES.split_once("SET password_encryption").unwrap();
        let scram = scram.replace("PASSWORD 'secret'", &format!("PASSWORD '{quick}'"));
        admin.batch_execute(&format!("{scram} SET password_encryption{md5}")).await.unwrap();
        for sql in [
            "CREATE DATABASE closed",
            "ALTER DATABASE closed ALLOW_CONNECTIONS false",
            "CREATE DATABASE private",
            "REVOKE CONNECT ON DATABASE private FROM PUBLIC",
            "CREATE DATABASE crowded CONNECTION LIMIT 0",
            "CREATE DATABASE \"Odd \"\"D\"\"b\"",
            "ALTER DATABASE private SET search_path = elsewhere, public",
            "ALTER ROLE later SET work_mem = '7MB'",
        ] {
            admin.batch_execute(sql).await.unwrap();
        }
    })
    .await;
    &WORLD
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_password_is_let_in() {
    let world = world().await;
    for (user, password) in [
        ("plain", "secret"),
        ("hashed", "secret"),
        ("later", "secret"),
        ("forever", "secret"),
        ("clear_scram", "secret"),
        ("clear_md5", "secret"),
        ("fenced", "secret"),
        ("trusted", "whatever"),
        ("trusted_expired", "whatever"),
        ("Odd \"N\"ame", "päss wörd's"),
        ("$user", "secret"),
    ] {
        world.enters(&attempt(user, password)).await;
        // Once more: over a backend of the first time.
        world.enters(&attempt(user, password)).await;
    }
    world.enters(&attempt("plain", "secret").to("Odd \"D\"b")).await;
    world.enters(&attempt("plain", "secret").with(&[("search_path", "a, b"), ("work_mem", "5MB")])).await;
    world.enters(&attempt("postgres", "postgres").to("private")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_is_told_nothing_more_than_postgresql_tells() {
    let world = world().await;
    for user in [
        "plain",
        "hashed",
        "nobody",
        "later",
        "forever",
        "off",
        "off_expired",
        "blank",
        "full",
        "fenced",
        "expired",
        "expired_md5",
        "ended",
        "clear_scram",
        "clear_md5",
        "clear_none",
        "clear_expired",
        "scram_of_md5",
    ] {
        world.is_refused(&attempt(user, "wrong"), "28P01").await;
    }
    for user in ["plain", "hashed", "nobody", "blank", "clear_scram", "clear_md5", "clear_none"] {
        world.is_refused(&attempt(user, ""), "28P01").await;
        world.is_refused(&attempt(user, "Secret "), "28P01").await;
    }
    let answers = |user| async move { world.same(&attempt(user, "wrong")).await };
    let without_name = |answers: Vec<String>, user: &str| -> Vec<String> {
        answers.into_iter().map(|answer| answer.replace(user, "name")).collect()
    };
    let plain = without_name(answers("plain").await, "plain");
    assert_eq!(without_name(answers("nobody").await, "nobody"), plain);
    assert_eq!(without_name(answers("blank").await, "blank"), plain);
    assert_eq!(without_name(answers("expired").await, "expired"), plain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_password_that_is_over_or_of_no_use_is_refused() {
    let world = world().await;
    for user in ["expired", "expired_md5", "ended", "off_expired", "clear_expired", "scram_of_md5"] {
        world.is_refused(&attempt(user, "secret"), "28P01").await;
    }
    world.is_refused(&attempt("off", "secret"), "28000").await;
    world.is_refused(&attempt("trusted_off", ""), "28000").await;
    world.is_refused(&attempt("trusted_none", ""), "28000").await;
    world.is_refused(&attempt("full", "secret"), "53300").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_rule_that_matches_decides() {
    let world = world().await;
    for user in ["rejected", "twice", "outsider", "far", "not_even_a_role"] {
        world.is_refused(&attempt(user, "secret"), "28000").await;
    }
    world.is_refused(&attempt("fenced", "secret").to("postgres"), "28000").await;
    world.is_refused(&attempt("outsider", "secret").to("no_such_database"), "28000").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_do_not_want_a_role_say_so() {
    let world = world().await;
    let plain = || attempt("plain", "secret");
    world.is_refused(&plain().to("no_such_database"), "3D000").await;
    world.is_refused(&plain().to("App"), "3D000").await;
    world.is_refused(&plain().to("closed"), "55000").await;
    world.is_refused(&attempt("postgres", "postgres").to("closed"), "55000").await;
    world.is_refused(&plain().to("private"), "42501").await;
    world.is_refused(&attempt("fenced", "secret").to("private"), "42501").await;
    world.is_refused(&plain().to("crowded"), "53300").await;
    world.is_refused(&plain().to("template0"), "55000").await;
    world.is_refused(&attempt("off", "secret").to("no_such_database"), "28000").await;
    world.is_refused(&attempt("plain", "wrong").to("no_such_database"), "28P01").await;
    // Without a database it is the user's name.
    world.is_refused(&plain().to(""), "3D000").await;
    let with = |more| Attempt { more, ..plain() };
    world.is_refused(&with(&[("no_such_setting", "1")]), "42704").await;
    world.is_refused(&with(&[("work_mem", "much")]), "22023").await;
    world.is_refused(&with(&[("session_preload_libraries", "x")]), "42501").await;
    world.is_refused(&with(&[("shared_buffers", "1MB")]), "55P02").await;
    world.is_refused(&with(&[("log_statement", "all")]), "42501").await;
}

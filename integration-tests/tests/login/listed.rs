//! Users of the configuration, and `auth.query` in other words than the documentation's.

use pgring_integration_tests::client::connect;
use pgring_integration_tests::faults::eventually;
use pgring_integration_tests::{Cluster, shards};
use pgring_protocol::{md5::md5_hash, sasl::ScramVerifier};
use std::time::Duration;

use super::{World, attempt};

const HBA: &[&str] = &["host all all 127.0.0.1/32 md5"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listed_users_prove_themselves_by_what_is_listed() {
    let verifier = ScramVerifier::from_password("secret", &[7; 16], 4096).to_string();
    let text = format!(
        "[auth]\nmethods = [\"scram-sha-256\", \"md5\"]\n\
         [[users]]\nname = \"open\"\npassword = \"secret\"\n\
         [[users]]\nname = \"sealed\"\nscram = \"{verifier}\"\n\
         [[users]]\nname = \"hashed\"\npassword = \"{}\"\n\
         [[users]]\nname = \"service\"\npassword = \"front\"\nserver_user = \"open\"\nserver_password = \"secret\"\n\
         [[users]]\nname = \"postgres\"\npassword = \"postgres\"\n\
         [[users]]\nname = \"one\"\npassword = \"secret\"\nmax_clients = 1\n\
         [[users]]\nname = \"astray\"\npassword = \"here\"\n\
         [[users]]\nname = \"missing\"\npassword = \"secret\"\n",
        md5_hash("secret", "hashed")
    );
    let world = World::launch(HBA, &text);
    let admin = world.admin().await;
    admin
        .batch_execute(&format!(
            "CREATE ROLE open LOGIN PASSWORD 'secret'; CREATE ROLE sealed LOGIN PASSWORD '{verifier}';
             CREATE ROLE one LOGIN PASSWORD 'secret'; CREATE ROLE astray LOGIN PASSWORD 'there';
             CREATE ROLE stranger LOGIN PASSWORD 'secret';
             SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD 'secret'"
        ))
        .await
        .unwrap();
    for user in ["open", "sealed", "hashed", "one"] {
        world.enters(&attempt(user, "secret")).await;
        world.is_refused(&attempt(user, "wrong"), "28P01").await;
        world.is_refused(&attempt(user, ""), "28P01").await;
    }
    // Another role of the same name: backends of the first are of no use.
    let postgres = connect(
        &world
            .server
            .connection_string("app")
            .replace(&format!("port={}", world.server.port()), &format!("port={}", world.router.port())),
    )
    .await;
    for _ in 0..2 {
        postgres.batch_execute("DROP ROLE open").await.unwrap();
        postgres.batch_execute("CREATE ROLE open LOGIN PASSWORD 'secret'").await.unwrap();
        world.enters(&attempt("open", "secret")).await;
    }
    let port = world.router.port();
    let answer = attempt("service", "front").make(port).await;
    assert!(answer.last().unwrap().contains("open open app"), "{answer:?}");
    // Whom the server knows and pgring does not, and the other way round.
    let refused = |user: &str| format!("E FATAL FATAL 28P01 password authentication failed for user \"{user}\" (-)");
    let stranger = attempt("stranger", "secret").make(port).await;
    assert_eq!(stranger[2..], [refused("stranger"), "closed".into()]);
    for (user, password) in [("astray", "here"), ("missing", "secret")] {
        // pgring lets it in, and passes on what the server says.
        let answer = attempt(user, password).make(port).await;
        assert_eq!(answer[2..], ["R 12".to_owned(), "R 0".into(), refused(user), "closed".into()], "{user}");
    }
    let connection = |user: &str| format!("host=127.0.0.1 port={port} dbname=app user={user} password=secret");
    let first = connect(&connection("one")).await;
    let answer = attempt("one", "secret").make(port).await;
    assert_eq!(
        answer[2..],
        ["R 12", "R 0", "E FATAL FATAL 53300 too many connections for role \"one\" (PGR-2005)", "closed"]
    );
    drop(first);
    eventually("the place to be free", Duration::from_secs(5), || async {
        attempt("one", "secret").make(port).await.iter().any(|line| line == "Z").then_some(())
    })
    .await;
}

/// A function beside the servers' own catalogs: its users may be roles, or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_may_ask_a_function_and_say_when_a_password_ends() {
    let text = "[auth]\nquery = \"SELECT * FROM public.credentials($1)\"\n\
                [[users]]\nname = \"looked_up\"\nserver_user = \"postgres\"\nserver_password = \"postgres\"\n\
                [[users]]\nname = \"over\"\nserver_user = \"postgres\"\nserver_password = \"postgres\"\n";
    let world = World::launch(HBA, text);
    let admin = world.admin().await;
    let verifier = ScramVerifier::from_password("secret", &[9; 16], 4096).to_string();
    admin
        .batch_execute(&format!(
            "CREATE TABLE people (name text, proof text, until timestamptz);
             INSERT INTO people VALUES ('looked_up', '{verifier}', NULL), ('role', '{verifier}', 'infinity'),
                ('over', '{verifier}', 'yesterday'), ('expired', '{verifier}', NULL), ('plain', 'secret', NULL);
             CREATE ROLE role LOGIN PASSWORD '{verifier}';
             CREATE ROLE expired LOGIN PASSWORD '{verifier}' VALID UNTIL 'yesterday';
             CREATE ROLE plain LOGIN PASSWORD 'secret';
             CREATE FUNCTION credentials(text) RETURNS TABLE (name text, proof text, until timestamptz)
             LANGUAGE sql AS 'SELECT name, proof, until FROM public.people WHERE name = $1'"
        ))
        .await
        .unwrap();
    let port = world.router.port();
    let answer = attempt("looked_up", "secret").make(port).await;
    assert!(answer.last().unwrap().contains("postgres postgres app"), "{answer:?}");
    world.enters(&attempt("role", "secret")).await;
    for user in ["over", "expired", "nobody"] {
        world.is_refused(&attempt(user, "secret"), "28P01").await;
    }
    // What is no verifier is no password.
    let answer = attempt("plain", "secret").make(port).await;
    assert_eq!(answer[2..], ["E FATAL FATAL 28P01 password authentication failed for user \"plain\" (-)", "closed"]);
    // Another function in the middle of it all.
    admin
        .batch_execute(
            "DROP FUNCTION credentials(text); ALTER TABLE people ALTER name TYPE varchar;
             CREATE FUNCTION credentials(name) RETURNS TABLE (name varchar, proof text) LANGUAGE sql
             AS 'SELECT name, proof FROM public.people WHERE name = $1'",
        )
        .await
        .unwrap();
    world.enters(&attempt("role", "secret")).await;
    admin.batch_execute("DROP FUNCTION credentials(name)").await.unwrap();
    let answer = attempt("role", "secret").make(port).await;
    assert_eq!(answer, ["E FATAL FATAL 57P03 the server that knows the users is not available (PGR-2003)", "closed"]);
}

/// Of a sharded database the first shard is asked; the keys of one proof open all shards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_a_sharded_database_are_looked_up_on_its_first_shard() {
    let cluster = Cluster::start(shards(2).with(&format!("[auth]\nquery = \"{}\"", super::QUERY))).await;
    let verifier = ScramVerifier::from_password("secret", &[3; 16], 4096).to_string();
    cluster
        .on_every_shard(&format!("CREATE ROLE app_user LOGIN SUPERUSER PASSWORD '{verifier}'; CREATE ROLE off NOLOGIN"))
        .await;
    cluster.admin("SHARD TABLE spread BY (id)").await;
    let port = cluster.router().port();
    let connection = format!("host=127.0.0.1 port={port} dbname=app user=app_user password=secret");
    let client = connect(&connection).await;
    client.batch_execute("CREATE TABLE spread (id int PRIMARY KEY)").await.unwrap();
    for id in 1..=8_i32 {
        client.execute("INSERT INTO spread (id) VALUES ($1)", &[&id]).await.unwrap();
    }
    assert_eq!(client.query_one("SELECT count(*) FROM spread", &[]).await.unwrap().get::<_, i64>(0), 8);
    let code = async |database: &str, password: &str| {
        let made = super::Attempt { database, ..attempt("app_user", password) }.make(port).await;
        made.iter().find_map(|line| line.strip_prefix("E FATAL FATAL ")).map(|rest| rest[..5].to_owned())
    };
    assert_eq!(code("app", "wrong").await.as_deref(), Some("28P01"));
    // A database that is none is no secret to who may enter, and to nobody else.
    assert_eq!(code("nowhere", "secret").await.as_deref(), Some("3D000"));
    assert_eq!(code("nowhere", "wrong").await.as_deref(), Some("28P01"));
    let first = cluster.shard_client(0).await;
    first.batch_execute("ALTER ROLE app_user VALID UNTIL 'yesterday'").await.unwrap();
    assert_eq!(code("app", "secret").await.as_deref(), Some("28P01"));
    first.batch_execute("ALTER ROLE app_user VALID UNTIL 'infinity' NOLOGIN").await.unwrap();
    assert_eq!(code("app", "secret").await.as_deref(), Some("28000"));
    first.batch_execute("ALTER ROLE app_user LOGIN").await.unwrap();
    assert_eq!(code("app", "secret").await, None);
}

/// Each server would salt a password for itself, and the proof of one would not open the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_made_through_pgring_has_one_proof_on_all_shards() {
    let auth = format!("[auth]\nmethods = [\"scram-sha-256\", \"md5\"]\nquery = \"{}\"", super::QUERY);
    let cluster = Cluster::start(shards(2).with(&auth)).await;
    cluster.admin("SHARD TABLE spread BY (id)").await;
    let postgres = cluster.client().await;
    postgres.batch_execute("CREATE TABLE spread (id int PRIMARY KEY)").await.unwrap();
    let port = cluster.router().port();
    for (sql, password) in [
        ("CREATE ROLE made LOGIN PASSWORD 'it''s new' CONNECTION LIMIT 20", "it's new"),
        ("ALTER ROLE made WITH ENCRYPTED PASSWORD $$other$$", "other"),
        ("BEGIN; ALTER USER made PASSWORD 'within'; COMMIT", "within"),
        ("ALTER USER made PASSWORD 'pässwörd'", "pässwörd"),
    ] {
        postgres.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        postgres.batch_execute("GRANT ALL ON spread TO made").await.unwrap();
        let mut stored = Vec::new();
        for shard in 0..2 {
            let client = cluster.shard_client(shard).await;
            let row = client.query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'made'", &[]).await.unwrap();
            stored.push(row.get::<_, String>(0));
        }
        assert_eq!(stored[0], stored[1], "{sql}");
        let quoted = password.replace('\'', "\\'");
        let connection = format!("host=127.0.0.1 port={port} dbname=app user=made password='{quoted}'");
        let made = connect(&connection).await;
        assert_eq!(made.query_one("SELECT count(*) FROM spread", &[]).await.unwrap().get::<_, i64>(0), 0, "{sql}");
    }
    assert!(!cluster.router().log().contains("pässwörd"));
}

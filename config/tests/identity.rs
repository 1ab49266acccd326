//! Identity: a server is one shard of one cluster, and says so to everyone.

mod common;

use pgring_config::{
    catalog::{
        Catalog, Change,
        identity::{CHECK_SQL, Expected, ServerFacts, install, verify},
    },
    error::IdentityError,
    ids::Epoch,
};
use pgring_local_postgres::Server;
use tokio_postgres::{Client, SimpleQueryMessage};

async fn check(client: &Client, shard: &str, epoch: u64) -> Result<ServerFacts, IdentityError> {
    let messages = client.simple_query(CHECK_SQL).await?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at)).collect::<Vec<_>>()),
        _ => None,
    });
    verify(&row.expect("one row"), &Expected { cluster: "test", shard, epoch: Epoch(epoch) })
}

async fn superuser(server: &Server) -> Client {
    common::connect(&server.connection_string("app")).await
}

#[tokio::test]
async fn a_server_is_one_shard_of_one_cluster_for_ever() {
    let server = common::server();
    let connection = server.connection_string("app");
    let installs = (0..4).map(|_| install(&connection, "test", "s0"));
    let mut changed = 0;
    for install in installs {
        changed += u32::from(install.await.expect("installed") == Change::Changed);
    }
    assert_eq!(changed, 1);
    let error = install(&connection, "test", "s1").await.expect_err("another shard");
    assert!(matches!(error, IdentityError::Other { shard, .. } if shard == "s0"));
    let error = install(&connection, "other", "s0").await.expect_err("another cluster");
    assert!(matches!(error, IdentityError::Other { cluster, .. } if cluster == "test"));
    assert!(matches!(install("host=127.0.0.1 port=1", "test", "s0").await, Err(IdentityError::Unreachable(_))));

    let facts = check(&superuser(&server).await, "s0", 0).await.expect("the right server");
    assert!(facts.version_num >= 140_000);
    assert_eq!((facts.in_recovery, facts.min_epoch), (false, Epoch(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn identity_and_catalog_are_made_in_one_database_at_once() {
    let server = common::server();
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let connection = server.connection_string("app");
            tokio::spawn(async move {
                install(&connection, "test", "s0").await.expect("installed");
                Catalog::open(&connection, "test", "app").await?.migrate().await
            })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("migrated");
    }
}

#[tokio::test]
async fn any_role_may_check_and_none_may_change() {
    let server = common::server();
    let client = superuser(&server).await;
    let missing = check(&client, "s0", 0).await.expect_err("nothing there yet");
    assert!(matches!(missing, IdentityError::Sql(error) if error.code().map(|code| code.code()) == Some("42P01")));
    install(&server.connection_string("app"), "test", "s0").await.expect("installed");
    client.execute("UPDATE pgring.identity SET min_epoch = 5", &[]).await.expect("raised");

    client
        .batch_execute("CREATE ROLE client; SET ROLE client; SET search_path = elsewhere")
        .await
        .expect("a role is made");
    let facts = check(&client, "s0", 5).await.expect("the right server");
    assert_eq!((facts.search_path.as_str(), facts.min_epoch), ("elsewhere", Epoch(5)));
    assert!(matches!(check(&client, "s1", 5).await, Err(IdentityError::Other { .. })));
    let stale = check(&client, "s0", 4).await;
    assert!(matches!(stale, Err(IdentityError::Stale { least: Epoch(5), known: Epoch(4) })));
    for sql in ["UPDATE pgring.identity SET shard = 's1'", "DELETE FROM pgring.identity", "CREATE TABLE pgring.mine ()"]
    {
        let error = client.batch_execute(sql).await.expect_err(sql);
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{sql}");
    }

    client.batch_execute("RESET ROLE; DELETE FROM pgring.identity").await.expect("deleted");
    assert!(matches!(check(&client, "s0", 5).await, Err(IdentityError::Missing)));
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let server = common::server();
    let client = superuser(&server).await;
    const LATIN: &str = "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'
        LOCALE_PROVIDER libc TEMPLATE template0";
    client.batch_execute(LATIN).await.expect("made");
    let error = install(&server.connection_string("latin"), "test", "s0").await.expect_err("refused");
    assert!(matches!(error, IdentityError::Encoding(encoding) if encoding == "LATIN1"));
}

#[tokio::test]
async fn a_server_that_hashes_otherwise_is_refused() {
    let server = common::server();
    let client = superuser(&server).await;
    // As if this PostgreSQL had other hash functions.
    const OTHER: &str = "ALTER FUNCTION pg_catalog.hashtextextended(text, bigint) RENAME TO was_hashtextextended;
        CREATE FUNCTION pg_catalog.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
        AS 'SELECT 42::bigint'";
    client.batch_execute(&format!("SET allow_system_table_mods = on; {OTHER}")).await.expect("replaced");
    let error = install(&server.connection_string("app"), "test", "s0").await.expect_err("refused");
    assert!(matches!(error, IdentityError::OtherHash { function: "hashtextextended" }));
}

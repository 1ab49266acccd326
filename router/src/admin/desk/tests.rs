//! A driver talks to the desk through a pipe.

use super::{super::run::tests::cluster, *};
use crate::registry::Arrival;
use pgring_protocol::{credentials::Credentials, stream::Stream};
use tokio::io::AsyncReadExt;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage, error::SqlState};

async fn connect(cluster: &Arc<Cluster>, admin: bool) -> (tokio_postgres::Client, Arc<Client>) {
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    let user = User {
        name: "ann".into(),
        server_user: "ann".into(),
        credentials: Credentials::None,
        log_in: 0,
        role: None,
        admin,
        stats: !admin,
        pool_size: None,
    };
    let me = cluster.clients.enter(Arrival {
        secret: vec![1, 2, 3, 4],
        user: user.name.clone(),
        database: "pgring".into(),
        address: "127.0.0.1:1".into(),
        tls: false,
    });
    let (cluster, client) = (cluster.clone(), me.clone());
    tokio::spawn(async move {
        let length = near.read_i32().await.unwrap();
        let mut startup = vec![0; usize::try_from(length).unwrap() - 4];
        near.read_exact(&mut startup).await.unwrap();
        let mut frontend = Frontend::new(Stream::Memory(near), bytes::BytesMut::new());
        build::authentication_ok(&mut frontend.out);
        let startup = [("application_name".to_owned(), "test".to_owned())];
        serve(cluster, Arc::new(user), client, frontend, &startup, &[1, 2, 3, 4]).await;
    });
    let (client, connection) = Config::new().user("ann").connect_raw(far, NoTls).await.unwrap();
    tokio::spawn(connection);
    (client, me)
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("", SqlState::code)
}

#[tokio::test]
async fn a_driver_prepares_and_reads_binary_values() {
    let cluster = cluster(&["app"]);
    let (client, me) = connect(&cluster, true).await;
    let statement = client.prepare("SHOW CLIENTS").await.unwrap();
    for _ in 0..2 {
        let rows = client.query(&statement, &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<_, i64>("id"), i64::from(me.id));
        assert_eq!(rows[0].get::<_, &str>("application_name"), "test");
        assert!(!rows[0].get::<_, bool>("tls"));
        assert!(rows[0].get::<_, f64>("state_s") >= 0.0);
        let since = rows[0].get::<_, std::time::SystemTime>("connected_at");
        assert!(since.elapsed().unwrap().as_secs() < 60);
    }
    let row = client.query_one("ADD SHARD s4 CONNECTION 'host=x dbname=app' DRY RUN", &[]).await;
    assert!(row.is_err(), "more than one row");
    let rows = client.query("ADD SHARD s4 CONNECTION 'host=x dbname=app' DRY RUN", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, &str>("to"), "s4");
    assert_eq!(client.query_one("SELECT pgring.version()", &[]).await.unwrap().len(), 1);
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn an_error_ends_a_batch_and_not_the_session() {
    let cluster = cluster(&["app"]);
    let (client, _) = connect(&cluster, true).await;
    assert_eq!(code(&client.prepare("SHOW NONSENSE WORDS").await.unwrap_err()), "42601");
    assert_eq!(code(&client.prepare("SHOW VERSION; SHOW STATS").await.unwrap_err()), "42601");
    assert_eq!(code(&client.query("DRAIN SHARD s9 DRY RUN", &[]).await.unwrap_err()), "42704");
    assert!(!client.query("SHOW RING", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn transactions_only_keep_count() {
    let cluster = cluster(&["app"]);
    let (client, _) = connect(&cluster, true).await;
    client.batch_execute("BEGIN; SHOW VERSION").await.unwrap();
    assert_eq!(code(&client.batch_execute("PAUSE").await.unwrap_err()), "25001");
    assert_eq!(code(&client.batch_execute("SHOW VERSION").await.unwrap_err()), "25P02");
    let ended = client.simple_query("COMMIT").await.unwrap();
    assert!(matches!(ended.as_slice(), [SimpleQueryMessage::CommandComplete(_)]));
    client.batch_execute("PAUSE app").await.unwrap();
    assert!(*cluster.database("app").unwrap().paused.borrow());
}

#[tokio::test]
async fn settings_are_kept_and_a_database_is_chosen() {
    let cluster = cluster(&["app", "other"]);
    let (client, me) = connect(&cluster, true).await;
    assert_eq!(code(&client.query("REBALANCE DRY RUN", &[]).await.unwrap_err()), "55000");
    assert_eq!(code(&client.batch_execute("SET database = nowhere").await.unwrap_err()), "3D000");
    client
        .batch_execute("SET database = other; SET extra_float_digits = 3; SET application_name = 'again'")
        .await
        .unwrap();
    client.query("REBALANCE DRY RUN", &[]).await.unwrap();
    assert_eq!(me.application(), "again");
    let shown =
        async |name: &str| client.query_one(&format!("SHOW {name}"), &[]).await.map(|row| row.get::<_, String>(0));
    assert_eq!(shown("extra_float_digits").await.unwrap(), "3");
    assert_eq!(shown("pool.size").await.unwrap(), "20");
    assert_eq!(code(&shown("no_such_thing").await.unwrap_err()), "42704");
    client.batch_execute("DISCARD ALL").await.unwrap();
    assert_eq!(code(&client.query("REBALANCE DRY RUN", &[]).await.unwrap_err()), "55000");
}

#[tokio::test]
async fn a_stats_user_may_only_show() {
    let cluster = cluster(&["app"]);
    let (client, _) = connect(&cluster, false).await;
    client.query("SHOW POOLS", &[]).await.unwrap();
    assert_eq!(code(&client.batch_execute("SHUTDOWN").await.unwrap_err()), "42501");
    assert_eq!(*cluster.stop.borrow(), None);
}

#[tokio::test]
async fn a_killed_session_is_told_and_leaves() {
    let cluster = cluster(&["app"]);
    let (victim, me) = connect(&cluster, true).await;
    let (client, _) = connect(&cluster, true).await;
    victim.batch_execute("SHOW VERSION").await.unwrap();
    client.batch_execute(&format!("KILL CLIENT {}", me.id)).await.unwrap();
    let error = loop {
        match victim.batch_execute("SHOW VERSION").await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(code(&error) == "57P01" || error.is_closed(), "{error}");
    while cluster.clients.get(me.id).is_some() {
        tokio::task::yield_now().await;
    }
}

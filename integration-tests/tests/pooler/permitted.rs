//! Commands about other clients are for those who may give them.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::cluster::ADMIN_DATABASE;
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, shards};

use crate::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_admin_may_not_kill() {
    let users = "[[users]]\nname = \"guest\"\npassword = \"guest\"";
    let cluster = Cluster::start(shards(1).with(users)).await;
    cluster.shard_client(0).await.batch_execute("CREATE ROLE guest LOGIN PASSWORD 'guest'").await.unwrap();
    let port = cluster.router().port();
    let mut victim = cluster.raw().await;
    run(&mut victim, "BEGIN").await;
    let id = victim.cancel_key.unwrap().0;
    let mut guest = Raw::log_in(port, "guest", "guest", DATABASE).await;
    let commands = ["KILL CLIENT", "KILL QUERY"].map(|command| format!("{command} {id}"));
    let others = ["PAUSE", "DRAIN", "SHUTDOWN", "RELOAD", "SHARD TABLE t BY (id)"].map(str::to_owned);
    for command in commands.iter().chain(&others) {
        let quoted = format!("CALL pgring.admin('{command}')");
        assert_eq!(run(&mut guest, &quoted).await, ["E 42501", "Z I"], "{command}");
        let mut desk = Raw::connect(port).await;
        desk.start_up(&[("user", "guest"), ("database", ADMIN_DATABASE)]).await;
        match desk.authenticate("guest", "guest").await {
            Ok(()) => assert_eq!(run(&mut desk, command).await, ["E 42501", "Z I"], "{command}"),
            Err(error) => assert_eq!(error.sqlstate().as_deref(), Some("42501"), "{command}"),
        }
    }
    for function in ["pg_terminate_backend", "pg_cancel_backend"] {
        assert_eq!(run(&mut guest, &format!("SELECT {function}({id})")).await, ["E 42501", "Z I"], "{function}");
    }
    assert_eq!(run(&mut victim, "SELECT 1").await, ["D 1", "C SELECT 1", "Z T"]);
    // One's own clients are one's own.
    let mut second = Raw::log_in(port, "guest", "guest", DATABASE).await;
    let own = second.cancel_key.unwrap().0;
    assert_eq!(run(&mut guest, &format!("SELECT pg_terminate_backend({own})")).await, ["D t", "C SELECT 1", "Z I"]);
    assert_eq!(second.read().await.unwrap().sqlstate().as_deref(), Some("57P01"));
    assert!(second.is_closed().await);
}

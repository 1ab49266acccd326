//! Servers that take fewer connections than a pool would make: clients wait for those that there are.

use pgring_integration_tests::client::Raw;
use pgring_integration_tests::faults::within;
use pgring_integration_tests::postgres::DATABASE;

use super::{PATIENCE, narrow, run};

const USERS: &str =
    "[[users]]\nname = \"few\"\npassword = \"welcome\"\n[[users]]\nname = \"shut_out\"\npassword = \"welcome\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_role_with_fewer_connections_than_its_pool_wait_for_them() {
    let cluster = narrow(8, USERS).await;
    cluster.on_every_shard("CREATE ROLE few LOGIN PASSWORD 'welcome' CONNECTION LIMIT 2").await;
    cluster.on_every_shard("CREATE ROLE shut_out LOGIN PASSWORD 'welcome' CONNECTION LIMIT 0").await;
    let port = cluster.router().port();
    let mut holders =
        [Raw::log_in(port, "few", "welcome", DATABASE).await, Raw::log_in(port, "few", "welcome", DATABASE).await];
    for holder in &mut holders {
        assert_eq!(run(holder, "BEGIN; SELECT 1").await.last().unwrap(), "Z T");
    }
    let waiting: Vec<_> = (0..6)
        .map(|_| {
            tokio::spawn(async move {
                let mut raw = Raw::log_in(port, "few", "welcome", DATABASE).await;
                let answers = [run(&mut raw, "SELECT 'here'").await, run(&mut raw, "SELECT pg_sleep(0.05)").await];
                answers.concat()
            })
        })
        .collect();
    super::until_waiting(&cluster, 6).await;
    for holder in &mut holders {
        assert_eq!(run(holder, "COMMIT").await, ["C COMMIT", "Z I"]);
    }
    for client in waiting {
        let answers = within(PATIENCE, client).await.unwrap();
        assert_eq!(answers, ["D here", "C SELECT 1", "Z I", "D ", "C SELECT 1", "Z I"]);
    }
    let mut refused = Raw::connect(port).await;
    refused.start_up(&[("user", "shut_out"), ("database", DATABASE)]).await;
    let refusal = refused.authenticate("shut_out", "welcome").await.unwrap_err();
    assert_eq!(refusal.sqlstate().unwrap_or_default(), "53300", "{refusal:?}");
}

//! Views on sharded tables answer what one PostgreSQL answers.

use pgring_integration_tests::oracle::{Protocol, World, compare};
use pgring_integration_tests::{Cluster, Postgres, shards};

/// Views over the shop's tables, in one protocol on all sides.
async fn views_agree(protocol: Protocol) {
    let (oracle, one, four) = tokio::join!(Postgres::start(), Cluster::start(shards(1)), Cluster::start(shards(4)));
    let world = World { setup: World::read("shop").setup, ..World::read("views") };
    compare(&world, protocol, &oracle, &[&one, &four]).await.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_answer_as_in_one_postgresql_in_the_simple_protocol() {
    views_agree(Protocol::Simple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_answer_as_in_one_postgresql_in_the_extended_protocol_with_text_results() {
    views_agree(Protocol::ExtendedText).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_answer_as_in_one_postgresql_in_the_extended_protocol_with_binary_results() {
    views_agree(Protocol::ExtendedBinary).await;
}

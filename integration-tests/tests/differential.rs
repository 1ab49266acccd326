//! What pgring answers, with one shard and with four, is what one PostgreSQL answers.

use pgring_integration_tests::oracle::{Protocol, World, compare};
use pgring_integration_tests::{Cluster, Postgres, shards};

/// Runs the shop's cases in one protocol on all three sides.
async fn shop_agrees(protocol: Protocol) {
    let (oracle, one, four) = tokio::join!(Postgres::start(), Cluster::start(shards(1)), Cluster::start(shards(4)));
    compare(&World::read("shop"), protocol, &oracle, &[&one, &four]).await.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_answers_as_one_postgresql_in_the_simple_protocol() {
    shop_agrees(Protocol::Simple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_answers_as_one_postgresql_in_the_extended_protocol_with_text_results() {
    shop_agrees(Protocol::ExtendedText).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_answers_as_one_postgresql_in_the_extended_protocol_with_binary_results() {
    shop_agrees(Protocol::ExtendedBinary).await;
}

/// Runs the 25 traps in one protocol on all three sides.
async fn traps_are_answered_or_refused(protocol: Protocol) {
    let (oracle, one, four) = tokio::join!(Postgres::start(), Cluster::start(shards(1)), Cluster::start(shards(4)));
    compare(&World::read("traps"), protocol, &oracle, &[&one, &four]).await.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_traps_are_answered_or_refused_in_the_simple_protocol() {
    traps_are_answered_or_refused(Protocol::Simple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_traps_are_answered_or_refused_in_the_extended_protocol_with_text_results() {
    traps_are_answered_or_refused(Protocol::ExtendedText).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_traps_are_answered_or_refused_in_the_extended_protocol_with_binary_results() {
    traps_are_answered_or_refused(Protocol::ExtendedBinary).await;
}

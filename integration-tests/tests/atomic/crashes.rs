//! Crashes: a router or a shard ends at each named step of a commit, and the transaction is whole or nothing.

use super::{PATIENCE, code, prepared, table, values};
use pgring_integration_tests::{
    Cluster,
    faults::{eventually, within},
    shards,
};
use pgring_local_postgres::{Signal, Stop};
use std::{fs, path::Path, process::Command, sync::LazyLock};

/// Steps before the decision, and after it.
const BEFORE: [&str; 3] = ["commit.before_prepare", "commit.prepared_one", "commit.prepared_all"];
const AFTER: [&str; 2] = ["commit.decided", "commit.committed_one"];

const OFTEN: &str = "[transactions]\nrecovery_interval = \"500ms\"";

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(3).with(OFTEN)));

fn add_one(name: &str, keys: [i64; 3]) -> String {
    keys.map(|key| format!("UPDATE {name} SET v = v + 1 WHERE id = {key}")).join(";")
}

/// A router ends at this step of a commit; another one ends the transaction.
async fn router_ends_at(point: &str, expected: i64) {
    let name = point.replace('.', "_");
    let keys = table(&CLUSTER, &name, "v bigint NOT NULL DEFAULT 0").await;
    let mut router = CLUSTER.breaking_router(&format!("{point}=exit")).await;
    let client = router.client().await;
    assert_eq!(code(&client, &format!("BEGIN;{}", add_one(&name, keys))).await, "ok");
    let told = client.batch_execute("COMMIT").await;
    assert!(told.is_err(), "{point}: the router answered");
    eventually("the router is gone", PATIENCE, || {
        let code = router.exit_code();
        async move { code }
    })
    .await;
    eventually("the transaction is ended", PATIENCE, || async {
        // Locks are held until it is.
        let client = CLUSTER.client().await;
        client.batch_execute("SET lock_timeout = '100ms'").await.unwrap();
        (code(&client, &format!("BEGIN;{};ROLLBACK", add_one(&name, keys))).await == "ok").then_some(())
    })
    .await;
    assert_eq!(values(&CLUSTER, &name, keys).await, [expected; 3], "{point}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_ends_before_the_decision_leaves_nothing() {
    for point in BEFORE {
        router_ends_at(point, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_ends_after_the_decision_leaves_all_of_it() {
    for point in AFTER {
        router_ends_at(point, 1).await;
    }
}

/// A shard is killed while a router stands still at a step, and comes back.
async fn shard_is_killed_at(cluster: &mut Cluster, point: &str, victim: usize) {
    let name = format!("{}_{victim}", point.replace('.', "_"));
    let keys = table(cluster, &name, "v bigint NOT NULL DEFAULT 0").await;
    let router = cluster.breaking_router(&format!("{point}=1*sleep(1500)")).await;
    let client = router.client().await;
    assert_eq!(code(&client, &format!("BEGIN;{}", add_one(&name, keys))).await, "ok");
    let commit = tokio::spawn(async move { code(&client, "COMMIT").await });
    let reached = format!("fault point {point}");
    eventually("the step is reached", PATIENCE, || async { router.log().contains(&reached).then_some(()) }).await;
    tokio::task::block_in_place(|| {
        cluster.shard_mut(victim).kill9();
        cluster.shard_mut(victim).restart().expect("the shard comes back");
    });
    let told = within(PATIENCE, commit).await.unwrap();
    eventually("nothing is left prepared", PATIENCE, || async { (prepared(cluster).await == 0).then_some(()) }).await;
    let found = values(cluster, &name, keys).await;
    assert!(found.iter().all(|value| *value == found[0]), "{point}, s{victim}: {told}: {found:?}");
    match told.as_str() {
        "ok" => assert_eq!(found[0], 1, "{point}, s{victim}"),
        "08007" => {}
        _ => assert_eq!(found[0], 0, "{point}, s{victim}: {told}"),
    }
    let expected = if AFTER.contains(&point) { "ok" } else { told.as_str() };
    assert_eq!(told, expected, "{point}, s{victim}: what is decided is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_killed_at_a_step_has_all_of_it_or_nothing() {
    let mut cluster = Cluster::start(shards(3).with(OFTEN)).await;
    // The first one written decides; the others are prepared.
    for victim in [0, 1] {
        for point in BEFORE.into_iter().chain(AFTER) {
            shard_is_killed_at(&mut cluster, point, victim).await;
        }
    }
}

/// Copies a folder's content with owners and rights.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_comes_back_older_has_lost_what_it_promised() {
    let mut cluster = Cluster::start(shards(3).with(OFTEN)).await;
    let keys = table(&cluster, "older", "v bigint NOT NULL DEFAULT 0").await;
    let mut router = cluster.breaking_router("commit.decided=exit").await;
    // As a standby that had not got the last of it.
    let saved = tempfile::tempdir().unwrap();
    let data: String = cluster.shard_client(1).await.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    let data = Path::new(&data);
    tokio::task::block_in_place(|| {
        cluster.shard_mut(1).stop(Stop::Fast);
        copy(data, saved.path());
        cluster.shard_mut(1).restart().unwrap();
    });
    let client = router.client().await;
    let begin = format!("BEGIN;{}", add_one("older", keys));
    eventually("the shard is back", PATIENCE, || async {
        let began = code(&client, &begin).await == "ok";
        if !began {
            code(&client, "ROLLBACK").await;
        }
        began.then_some(())
    })
    .await;
    cluster.router_mut().signal(Signal::Stop);
    assert!(client.batch_execute("COMMIT").await.is_err());
    eventually("the router is gone", PATIENCE, || {
        let code = router.exit_code();
        async move { code }
    })
    .await;
    tokio::task::block_in_place(|| {
        cluster.shard_mut(1).kill9();
        fs::read_dir(data).unwrap().for_each(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        });
        copy(saved.path(), data);
        cluster.shard_mut(1).restart().unwrap();
    });
    cluster.router_mut().signal(Signal::Continue);
    let gid = eventually("the loss is told", PATIENCE, || async {
        let rows = cluster.admin("SHOW IN DOUBT").await;
        let lost = rows.iter().find(|row| row.get("decision") == Some("lost"))?;
        assert_eq!((lost.get("shard"), lost.get("decider")), (Some("s1"), Some("s0")));
        lost.get("gid").map(str::to_owned)
    })
    .await;
    assert_eq!(cluster.router().metric("pgring_in_doubt_transactions"), Some(1.0));
    // Who has repaired the shard by hand says so.
    cluster.admin(&format!("RESOLVE TRANSACTION '{gid}' COMMIT FORCE")).await;
    assert!(cluster.admin("SHOW IN DOUBT").await.is_empty());
}

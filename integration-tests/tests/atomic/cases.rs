//! Cases: what a transaction over several shards may hold, and what it is refused with.

use super::{CLUSTER, PATIENCE, code, prepared, table, values};
use pgring_integration_tests::{
    Cluster,
    faults::{eventually, within},
    shards,
};
use std::time::Duration;

const V: &str = "v bigint NOT NULL DEFAULT 0";

fn set(name: &str, key: i64, v: i64) -> String {
    format!("UPDATE {name} SET v = {v} WHERE id = {key}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_told_outlives_its_decider_whatever_the_session_asked_for() {
    let mut cluster = Cluster::start(shards(3)).await;
    let keys @ [a, b, _] = table(&cluster, "durable", V).await;
    let client = cluster.client().await;
    for (v, victim) in [(1, 0), (2, 1)] {
        eventually("the shards are there", PATIENCE, || async {
            (code(&client, "SET synchronous_commit = off; SELECT sum(v) FROM durable").await == "ok").then_some(())
        })
        .await;
        let sql = format!("BEGIN;{};{};COMMIT", set("durable", a, v), set("durable", b, v));
        assert_eq!(code(&client, &sql).await, "ok");
        tokio::task::block_in_place(|| {
            cluster.shard_mut(victim).kill9();
            cluster.shard_mut(victim).restart().unwrap();
        });
        eventually("nothing is left prepared", PATIENCE, || async { (prepared(&cluster).await == 0).then_some(()) })
            .await;
        assert_eq!(values(&cluster, "durable", keys).await, [v, v, 0], "s{victim} was killed");
    }
}

#[tokio::test]
async fn a_role_that_is_taken_on_before_the_commit_does_not_leave_half_of_it() {
    let keys @ [a, b, c] = table(&CLUSTER, "roles", V).await;
    let client = CLUSTER.client().await;
    CLUSTER.on_every_shard("DO $$ BEGIN CREATE ROLE clerk; EXCEPTION WHEN duplicate_object THEN NULL; END $$").await;
    CLUSTER.on_every_shard("GRANT ALL ON roles TO clerk").await;
    let writes = |v: i64| [a, b, c].map(|key| set("roles", key, v)).join(";");
    for (v, role) in [(1, "SET ROLE clerk"), (2, "SET LOCAL ROLE clerk"), (3, "SET SESSION AUTHORIZATION clerk")] {
        assert_eq!(code(&client, &format!("BEGIN;{role};{};COMMIT", writes(v))).await, "ok", "{role}");
        assert_eq!(values(&CLUSTER, "roles", keys).await, [v; 3], "{role}");
        assert_eq!(code(&client, "RESET SESSION AUTHORIZATION").await, "ok");
        assert_eq!(code(&client, "RESET ROLE").await, "ok");
        assert_eq!(code(&client, &format!("BEGIN;{};{role};COMMIT", writes(v + 10))).await, "ok", "{role} late");
        assert_eq!(values(&CLUSTER, "roles", keys).await, [v + 10; 3], "{role} late");
        assert_eq!(code(&client, "RESET SESSION AUTHORIZATION; RESET ROLE").await, "ok");
    }
    assert_eq!(prepared(&CLUSTER).await, 0);
}

#[tokio::test]
async fn a_transaction_that_becomes_read_only_is_committed_and_writes_no_more() {
    let keys @ [a, b, c] = table(&CLUSTER, "quiet", V).await;
    let client = CLUSTER.client().await;
    for (v, last) in [(1, "SET TRANSACTION READ ONLY"), (2, "SET transaction_read_only = on")] {
        let sql = format!("BEGIN;{};{};{last};SELECT sum(v) FROM quiet;COMMIT", set("quiet", a, v), set("quiet", b, v));
        assert_eq!(code(&client, &sql).await, "ok", "{last}");
        assert_eq!(values(&CLUSTER, "quiet", keys).await, [v, v, 0]);
        let sql = format!("BEGIN;{};{last};{}", set("quiet", a, 9), set("quiet", c, 9));
        assert_eq!(code(&client, &sql).await, "25006", "{last}");
        assert_eq!(code(&client, "ROLLBACK").await, "ok");
    }
}

#[tokio::test]
async fn a_notification_by_a_trigger_is_sent_with_the_commit_or_refuses_it() {
    let keys @ [a, b, _] = table(&CLUSTER, "loud", V).await;
    let client = CLUSTER.client().await;
    client
        .batch_execute(
            "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY loud; RETURN NEW; END $$;
             CREATE TRIGGER shout AFTER UPDATE ON loud FOR EACH ROW WHEN (NEW.v > 10) EXECUTE FUNCTION shout()",
        )
        .await
        .unwrap();
    // The first one written decides, and can send it.
    assert_eq!(code(&client, &format!("BEGIN;{};{};COMMIT", set("loud", a, 11), set("loud", b, 1))).await, "ok");
    assert_eq!(values(&CLUSTER, "loud", keys).await, [11, 1, 0]);
    // One that is prepared cannot.
    let sql = format!("BEGIN;{};{};COMMIT", set("loud", a, 2), set("loud", b, 12));
    assert_eq!(code(&client, &sql).await, "0A000");
    assert_eq!(values(&CLUSTER, "loud", keys).await, [11, 1, 0]);
    // NOTIFY itself is known of: its shard decides.
    let sql = format!("BEGIN;{};NOTIFY loud;{};COMMIT", set("loud", b, 3), set("loud", a, 3));
    assert_eq!(code(&client, &sql).await, "ok");
    assert_eq!(values(&CLUSTER, "loud", keys).await, [3, 3, 0]);
}

#[tokio::test]
async fn a_write_skew_under_serializable_is_refused() {
    let keys @ [a, b, _] = table(&CLUSTER, "skew", V).await;
    let (one, other) = (CLUSTER.client().await, CLUSTER.client().await);
    for client in [&one, &other] {
        assert_eq!(code(client, "BEGIN ISOLATION LEVEL SERIALIZABLE").await, "ok");
        assert_eq!(code(client, "SELECT sum(v) FROM skew").await, "0A000");
        assert_eq!(code(client, "ROLLBACK").await, "ok");
        assert_eq!(code(client, &format!("BEGIN ISOLATION LEVEL SERIALIZABLE;{}", set("skew", a, 1))).await, "ok");
        assert_eq!(code(client, &set("skew", b, 1)).await, "0A000");
        assert_eq!(code(client, "ROLLBACK").await, "ok");
    }
    assert_eq!(code(&one, "SET pgring.serializable = 'per_shard'").await, "ok");
    let sql = format!("BEGIN ISOLATION LEVEL SERIALIZABLE;{};{};COMMIT", set("skew", a, 2), set("skew", b, 2));
    assert_eq!(code(&one, &sql).await, "ok");
    assert_eq!(values(&CLUSTER, "skew", keys).await, [2, 2, 0]);
}

#[tokio::test]
async fn nobody_else_decides_a_transaction() {
    table(&CLUSTER, "forged", V).await;
    CLUSTER
        .on_every_shard(
            "DO $$ BEGIN CREATE ROLE forger LOGIN PASSWORD 'f'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        )
        .await;
    let shard = CLUSTER.shard_client(0).await;
    shard.batch_execute("SET ROLE forger").await.unwrap();
    let gid = format!("pgring_pgring_00ff00ff00ff00ff_1_{}@s0", "ab".repeat(16));
    for sql in [
        format!("SELECT pgring.decide('{gid}', 'guess', '{{s1}}')"),
        format!("SELECT pgring.participate('{gid}', 'guess')"),
        format!("SELECT pgring.prove('{gid}', 'guess')"),
        format!("INSERT INTO pgring.decisions (gid, verdict) VALUES ('{gid}', 'commit')"),
        "SELECT * FROM pgring.decisions".to_owned(),
        "DELETE FROM pgring.participants".to_owned(),
    ] {
        assert_eq!(code(&shard, &sql).await, "42501", "{sql}");
    }
    let client = CLUSTER.client().await;
    assert_eq!(code(&client, &format!("BEGIN; SELECT 1; PREPARE TRANSACTION '{gid}'")).await, "42939");
    assert_eq!(code(&client, "ROLLBACK").await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_prepared_a_second_shard_is_refused_at_its_first_write() {
    let cluster = Cluster::start(shards(3).server_setting("max_prepared_transactions", "0")).await;
    let keys @ [a, b, _] = table(&cluster, "unable", V).await;
    let client = cluster.client().await;
    assert_eq!(code(&client, &format!("BEGIN;{}", set("unable", a, 1))).await, "ok");
    let error = client.batch_execute(&set("unable", b, 1)).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "0A000");
    assert!(error.hint().unwrap().contains("max_prepared_transactions"), "{error:?}");
    assert_eq!(code(&client, "ROLLBACK").await, "ok");
    assert_eq!(code(&client, &format!("BEGIN;{};SELECT sum(v) FROM unable;COMMIT", set("unable", a, 1))).await, "ok");
    assert_eq!(values(&cluster, "unable", keys).await, [1, 0, 0]);
    assert_eq!(code(&client, "ALTER TABLE unable ADD COLUMN w int").await, "ok");
    assert_eq!(code(&client, "SET pgring.multi_shard = 'best-effort'").await, "ok");
    assert_eq!(code(&client, &format!("BEGIN;{};{};COMMIT", set("unable", a, 2), set("unable", b, 2))).await, "ok");
    assert_eq!(values(&cluster, "unable", keys).await, [2, 2, 0]);
}

#[tokio::test]
async fn savepoints_gathers_and_modes_work_over_shards() {
    let keys @ [a, b, c] = table(&CLUSTER, "mixed", V).await;
    let client = CLUSTER.client().await;
    let begin = format!("BEGIN;{};SAVEPOINT s;{}", set("mixed", a, 1), set("mixed", b, 1));
    assert_eq!(code(&client, &format!("{begin};ROLLBACK TO s;{};COMMIT", set("mixed", c, 1))).await, "ok");
    assert_eq!(values(&CLUSTER, "mixed", keys).await, [1, 0, 1]);
    assert_eq!(code(&client, &format!("{begin};SELECT 1/0")).await, "22012");
    assert_eq!(code(&client, &format!("ROLLBACK TO s;{};RELEASE s;COMMIT", set("mixed", b, 2))).await, "ok");
    assert_eq!(values(&CLUSTER, "mixed", keys).await, [1, 2, 1]);
    client.batch_execute(&begin).await.unwrap();
    let gathered = "SELECT percentile_disc(1) WITHIN GROUP (ORDER BY v) FROM mixed";
    assert_eq!(client.query_one(gathered, &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(code(&client, "COMMIT").await, "ok");
    assert_eq!(values(&CLUSTER, "mixed", keys).await, [1, 1, 1]);
    assert_eq!(code(&client, "SET pgring.multi_shard = 'forbid'").await, "ok");
    assert_eq!(code(&client, &begin).await, "0A000");
    assert_eq!(code(&client, "ROLLBACK").await, "ok");
    assert_eq!(code(&client, "SET pgring.multi_shard = 'sometimes'").await, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_wait_for_each_other_on_several_shards_are_parted() {
    let keys @ [a, b, _] = table(&CLUSTER, "circle", V).await;
    let other_router = CLUSTER.another_router().await;
    let clients =
        [(CLUSTER.client().await, CLUSTER.client().await), (CLUSTER.client().await, other_router.client().await)];
    for (older, younger) in clients {
        assert_eq!(code(&older, &format!("BEGIN;{}", set("circle", a, 1))).await, "ok");
        assert_eq!(code(&younger, &format!("BEGIN;{}", set("circle", b, 2))).await, "ok");
        let waits = tokio::spawn(async move {
            let told = code(&older, &set("circle", b, 1)).await;
            (older, told)
        });
        let told = within(Duration::from_secs(15), code(&younger, &set("circle", a, 2))).await;
        assert_eq!(code(&younger, "ROLLBACK").await, "ok");
        let (older, other) = within(PATIENCE, waits).await.unwrap();
        assert_eq!((told.as_str(), other.as_str()), ("40P01", "ok"), "the younger one loses");
        assert_eq!(code(&older, "COMMIT").await, "ok");
        assert_eq!(values(&CLUSTER, "circle", keys).await, [1, 1, 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_lock_is_shown_with_who_holds_it() {
    let [a, ..] = table(&CLUSTER, "locked", V).await;
    let (holder, waiter) = (CLUSTER.client().await, CLUSTER.client().await);
    let id = async |client: &tokio_postgres::Client| -> i32 {
        client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0)
    };
    let (holds, waits) = (id(&holder).await, id(&waiter).await);
    assert_eq!(code(&holder, &format!("BEGIN;{}", set("locked", a, 1))).await, "ok");
    let update = set("locked", a, 2);
    let waiting = tokio::spawn(async move { code(&waiter, &update).await });
    eventually("the wait is shown", PATIENCE, || async {
        let rows = CLUSTER.admin("SHOW LOCKS").await;
        let row = rows.iter().find(|row| row.get("client") == Some(&waits.to_string()))?;
        assert_eq!(row.get("waits_for"), Some(holds.to_string().as_str()));
        row.get("shard").map(str::to_owned)
    })
    .await;
    assert_eq!(code(&holder, "COMMIT").await, "ok");
    assert_eq!(within(PATIENCE, waiting).await.unwrap(), "ok");
}

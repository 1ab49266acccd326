//! Notify: LISTEN over shared connections is LISTEN as PostgreSQL does it.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Buf;
use pgring_config::catalog::shards::SeedShard;
use pgring_config::catalog::{Catalog, Change};
use pgring_config::ids::ShardName;
use pgring_config::topology::Connection;
use pgring_integration_tests::client::{Frame, Raw, connect};
use pgring_integration_tests::faults::{eventually, within};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::script::message;
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;
use postgres_protocol::message::frontend;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(2)));
/// Its listening connections are killed: others must not be in the way.
static BROKEN: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(2)));
static SMALL: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(1).with("[pool]\nsize = 1")));
/// Nobody else listens there.
static LEFT: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(1)));
/// With a database for any name.
static STAR: LazyLock<Cluster> = LazyLock::new(|| {
    let server = &*ORACLE;
    let any = format!(
        "[[databases]]\nname = \"*\"\nconnection = \"host=127.0.0.1 port={} user=postgres password=postgres\"",
        server.port()
    );
    Cluster::launch(shards(1).with(&any))
});
static ORACLE: LazyLock<Server> = LazyLock::new(|| start_servers(1, &test_options()).remove(0));

const PATIENCE: Duration = Duration::from_secs(20);

async fn log_in(port: u16) -> Raw {
    Raw::log_in(port, "postgres", "postgres", DATABASE).await
}

async fn raw() -> Raw {
    log_in(CLUSTER.router().port()).await
}

/// A message in brief; a notification with whether it shows this client's own process id.
fn one(frame: &Frame, own: i32) -> String {
    match frame.tag {
        b'E' => format!("E {}", frame.sqlstate().unwrap_or_default()),
        b'C' | b'Z' => format!("{} {}", char::from(frame.tag), frame.text()),
        b'A' => {
            let mut body = frame.body.clone();
            let sender = if body.get_i32() == own { "own" } else { "other" };
            let parts: Vec<_> = body.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            format!("A {sender} {} {}", parts[0], parts[1])
        }
        tag => char::from(tag).to_string(),
    }
}

/// Messages in brief; settings and notices left out.
fn brief(raw: &Raw, frames: &[Frame]) -> Vec<String> {
    let own = raw.cancel_key.unwrap().0;
    frames.iter().filter(|frame| !b"SN".contains(&frame.tag)).map(|frame| one(frame, own)).collect()
}

async fn run(raw: &mut Raw, sql: &str) -> Vec<String> {
    let frames = raw.query(sql).await;
    brief(raw, &frames)
}

/// By Parse to Execute.
async fn extended(raw: &mut Raw, sql: &str, parameters: &[&str]) -> Vec<String> {
    let parameters: Vec<_> = parameters.iter().map(|text| Some((*text).to_owned())).collect();
    let frames = raw.extended(sql, &parameters, false).await;
    brief(raw, &frames)
}

/// What comes without being asked for.
async fn heard(raw: &mut Raw) -> String {
    let frame = within(PATIENCE, raw.read()).await.unwrap();
    one(&frame, raw.cancel_key.unwrap().0)
}

/// The scenario's messages through pgring are those of PostgreSQL.
async fn same(scenario: impl AsyncFn(Raw, Raw) -> Vec<String>) {
    let expected = scenario(log_in(ORACLE.port()).await, log_in(ORACLE.port()).await).await;
    assert_eq!(scenario(raw().await, raw().await).await, expected);
}

#[tokio::test]
async fn an_idle_client_hears_what_another_sends() {
    same(async |mut a, mut b| {
        let mut all = run(&mut a, "LISTEN idle").await;
        all.extend(run(&mut b, "NOTIFY idle, 'one'").await);
        all.push(heard(&mut a).await);
        all.extend(run(&mut b, "SELECT pg_notify('idle', 'two')").await);
        all.push(heard(&mut a).await);
        all.extend(extended(&mut b, "SELECT pg_notify($1, $2)", &["idle", "three"]).await);
        all.push(heard(&mut a).await);
        all.extend(run(&mut a, "SELECT 1").await);
        all
    })
    .await;
}

#[tokio::test]
async fn a_client_hears_itself_before_it_may_go_on() {
    same(async |mut a, mut b| {
        let mut all = run(&mut a, "LISTEN self").await;
        for round in 0..20 {
            all.extend(run(&mut a, &format!("NOTIFY self, '{round}'")).await);
            all.extend(run(&mut a, &format!("SELECT pg_notify('self', '{round}')")).await);
            all.extend(extended(&mut a, "NOTIFY self, 'extended'", &[]).await);
            all.extend(extended(&mut a, "SELECT pg_notify($1, $2)", &["self", "bound"]).await);
            all.extend(run(&mut a, "BEGIN").await);
            all.extend(run(&mut a, "NOTIFY self, 'in block'").await);
            all.extend(run(&mut a, "SELECT 1").await);
            all.extend(run(&mut a, "COMMIT").await);
            all.extend(run(&mut b, "NOTIFY self, 'of another'").await);
            all.push(heard(&mut a).await);
        }
        all.extend(run(&mut a, "SELECT 1; NOTIFY self, 'of several'; SELECT 2").await);
        all.extend(run(&mut a, "LISTEN late; NOTIFY late, 'x'; SELECT 1").await);
        all
    })
    .await;
}

#[tokio::test]
async fn listen_and_unlisten_take_effect_at_commit() {
    same(async |mut a, mut b| {
        let mut all = Vec::new();
        for sql in ["BEGIN", "LISTEN block"] {
            all.extend(run(&mut a, sql).await);
        }
        all.extend(run(&mut b, "NOTIFY block, 'before the commit'").await);
        all.extend(run(&mut a, "COMMIT").await);
        all.extend(run(&mut b, "NOTIFY block, 'after the commit'").await);
        all.push(heard(&mut a).await);
        // What is undone never was.
        for sql in ["BEGIN", "UNLISTEN block", "LISTEN undone", "ROLLBACK"] {
            all.extend(run(&mut a, sql).await);
        }
        for sql in ["BEGIN", "LISTEN kept", "SAVEPOINT s", "LISTEN undone", "UNLISTEN *", "ROLLBACK TO s", "COMMIT"] {
            all.extend(run(&mut a, sql).await);
        }
        all.extend(run(&mut a, "SELECT pg_listening_channels()").await);
        for sql in ["NOTIFY undone", "NOTIFY kept", "NOTIFY block"] {
            all.extend(run(&mut b, sql).await);
        }
        all.push(heard(&mut a).await);
        all.push(heard(&mut a).await);
        all.extend(run(&mut a, "SELECT 1").await);
        // A failed transaction takes no LISTEN, and keeps none.
        for sql in ["BEGIN", "LISTEN undone", "SELECT 1/0", "LISTEN undone", "COMMIT"] {
            all.extend(run(&mut a, sql).await);
        }
        all.extend(extended(&mut a, "SELECT * FROM pg_listening_channels()", &[]).await);
        // In one message, and one transaction.
        all.extend(run(&mut a, "UNLISTEN block; LISTEN undone; SELECT 1/0").await);
        all.extend(run(&mut a, "NOTIFY block; NOTIFY undone").await);
        all
    })
    .await;
}

#[tokio::test]
async fn nothing_is_told_inside_a_transaction() {
    same(async |mut a, mut b| {
        run(&mut a, "LISTEN waits").await;
        let mut all = run(&mut a, "BEGIN").await;
        all.extend(run(&mut b, "NOTIFY waits, '1'").await);
        all.extend(run(&mut a, "SELECT 1").await);
        all.extend(run(&mut a, "SELECT 2").await);
        all.extend(run(&mut a, "COMMIT").await);
        all.extend(run(&mut a, "BEGIN").await);
        all.extend(run(&mut b, "NOTIFY waits, '2'").await);
        all.extend(run(&mut a, "NOTIFY waits, 'never'").await);
        all.extend(run(&mut a, "ROLLBACK").await);
        all
    })
    .await;
}

#[tokio::test]
async fn unlisten_ends_it() {
    same(async |mut a, mut b| {
        let mut all = Vec::new();
        for end in ["UNLISTEN ends", "UNLISTEN *", "DISCARD ALL"] {
            all.extend(run(&mut a, "LISTEN ends").await);
            all.extend(run(&mut a, "LISTEN ends").await);
            all.extend(run(&mut b, "NOTIFY ends").await);
            all.push(heard(&mut a).await);
            all.extend(run(&mut a, end).await);
            all.extend(run(&mut b, "NOTIFY ends").await);
            all.extend(run(&mut a, "NOTIFY ends").await);
            all.extend(run(&mut a, "SELECT * FROM pg_listening_channels() AS c").await);
        }
        all.extend(extended(&mut a, "LISTEN ends", &[]).await);
        all.extend(extended(&mut a, "NOTIFY ends", &[]).await);
        all.extend(extended(&mut a, "UNLISTEN ends", &[]).await);
        all.extend(extended(&mut a, "NOTIFY ends", &[]).await);
        all.extend(run(&mut a, "UNLISTEN nothing").await);
        all
    })
    .await;
}

#[tokio::test]
async fn channels_have_postgresqls_names_and_errors() {
    let long = "c".repeat(80);
    same(async |mut a, mut b| {
        let mut all = Vec::new();
        for channel in ["Folded", "\"Quoted One\"", "\"with \"\" and ;\"", "\"käse\"", &long, "\"select\"", "\"*\""] {
            all.extend(run(&mut a, &format!("LISTEN {channel}")).await);
            all.extend(run(&mut b, &format!("NOTIFY {channel}, 'it''s \u{1f600}'")).await);
            all.push(heard(&mut a).await);
        }
        for wrong in ["LISTEN", "LISTEN select", "LISTEN a b", "LISTEN \"\"", "UNLISTEN", "NOTIFY a, b", "LISTEN 'a'"] {
            all.extend(run(&mut a, wrong).await);
            all.extend(extended(&mut a, wrong, &[]).await);
        }
        all.extend(run(&mut a, "SELECT * FROM pg_listening_channels()").await);
        all
    })
    .await;
}

#[tokio::test]
async fn a_channel_may_be_written_with_escapes() {
    let mut a = raw().await;
    assert_eq!(run(&mut a, "LISTEN U&\"d\\0061ta\"").await, ["C LISTEN", "Z I"]);
    assert_eq!(run(&mut a, "NOTIFY data").await, ["C NOTIFY", "A own data ", "Z I"]);
    assert_eq!(run(&mut a, "LISTEN U&\"d\\zz\"").await, ["E 42601", "Z I"]);
}

#[tokio::test]
async fn many_channels_are_told_apart() {
    let (mut a, mut b) = (raw().await, raw().await);
    for channel in 0..200 {
        assert_eq!(run(&mut a, &format!("LISTEN many_{channel}")).await, ["C LISTEN", "Z I"]);
    }
    let sends: Vec<_> = (0..400).map(|channel| format!("NOTIFY many_{channel}, '{channel}'")).collect();
    run(&mut b, &sends.join(";")).await;
    for channel in 0..200 {
        assert_eq!(heard(&mut a).await, format!("A other many_{channel} {channel}"));
    }
    assert_eq!(run(&mut a, "SELECT 1").await, ["T", "D", "C SELECT 1", "Z I"]);
}

#[tokio::test]
async fn fifty_listeners_need_no_backend_of_a_pool_of_one() {
    let port = SMALL.router().port();
    let mut listeners = Vec::new();
    for _ in 0..50 {
        let mut listener = log_in(port).await;
        assert_eq!(run(&mut listener, "LISTEN small").await, ["C LISTEN", "Z I"]);
        listeners.push(listener);
    }
    let mut sender = log_in(port).await;
    assert_eq!(run(&mut sender, "NOTIFY small, 'all'").await, ["C NOTIFY", "Z I"]);
    for listener in &mut listeners {
        assert_eq!(heard(listener).await, "A other small all");
        assert_eq!(run(listener, "SELECT 1").await, ["T", "D", "C SELECT 1", "Z I"]);
    }
    let pools = SMALL.admin("SHOW POOLS").await;
    let backends: i64 = pools.iter().map(|pool| number(pool, "active") + number(pool, "idle")).sum();
    assert!(backends <= 1, "{backends} backends");
    assert!(SMALL.admin("SHOW PINS").await.is_empty());
    let servers = SMALL.admin("SHOW SERVERS").await;
    assert_eq!(servers.iter().filter(|server| server.get("state") == Some("listening")).count(), 1);
    let hearing = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgring listener'";
    let open: i64 = SMALL.shard_client(0).await.query_one(hearing, &[]).await.unwrap().get(0);
    assert_eq!(open, 1);
}

fn number(row: &tokio_postgres::SimpleQueryRow, column: &str) -> i64 {
    row.get(column).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_listener_hears_triggers_of_every_shard_once() {
    CLUSTER.admin("SHARD TABLE heard BY (id)").await;
    let client = CLUSTER.client().await;
    client.batch_execute("CREATE TABLE heard (id bigint PRIMARY KEY)").await.unwrap();
    CLUSTER
        .on_every_shard(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_notify('rows', NEW.id::text); RETURN NEW; END $$; \
             CREATE TRIGGER tell AFTER INSERT ON heard FOR EACH ROW EXECUTE FUNCTION tell()",
        )
        .await;
    let mut a = raw().await;
    run(&mut a, "LISTEN rows").await;
    for id in 1..=20 {
        client.execute(&format!("INSERT INTO heard VALUES ({id})"), &[]).await.unwrap();
        assert_eq!(heard(&mut a).await, format!("A other rows {id}"));
        let own = run(&mut a, &format!("INSERT INTO heard VALUES ({})", id + 20)).await;
        assert_eq!(own.len(), 3, "{own:?}");
        assert!(own[1].starts_with("A ") && own[1].ends_with(&format!("rows {}", id + 20)), "{own:?}");
    }
    assert_eq!(run(&mut a, "SELECT 1").await, ["T", "D", "C SELECT 1", "Z I"]);
}

#[tokio::test]
async fn a_lost_listening_connection_is_made_again_and_told_of() {
    let port = BROKEN.router().port();
    let (mut a, mut b) = (log_in(port).await, log_in(port).await);
    run(&mut a, "LISTEN lost").await;
    for shard in 0..2 {
        let killed =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgring listener'";
        let count: i64 = BROKEN.shard_client(shard).await.query_one(killed, &[]).await.unwrap().get(0);
        assert_eq!(count, 1);
        let warning = within(PATIENCE, a.read()).await.unwrap();
        assert_eq!((warning.tag, warning.fields()[&b'C'].as_str()), (b'N', "01000"));
        assert!(warning.fields()[&b'M'].contains("was lost"), "{:?}", warning.fields());
        run(&mut b, "NOTIFY lost, 'again'").await;
        assert_eq!(heard(&mut a).await, "A other lost again");
        run(&mut a, "NOTIFY lost, 'mine'").await;
        BROKEN.shard_client(shard).await.batch_execute("NOTIFY lost, 'beside the router'").await.unwrap();
        assert_eq!(heard(&mut a).await, "A other lost beside the router");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_ended_and_others_go_on() {
    let (mut deaf, mut keen, mut sender) = (raw().await, raw().await, raw().await);
    run(&mut deaf, "LISTEN flood").await;
    run(&mut keen, "LISTEN flood").await;
    let payload = "x".repeat(7_000);
    let mut told = 0;
    for round in 0..60 {
        let sql =
            format!("SELECT pg_notify('flood', '{payload}' || i) FROM generate_series({round}00, {round}99) AS i");
        run(&mut sender, &sql).await;
        for _ in 0..100 {
            assert!(heard(&mut keen).await.starts_with("A other flood x"));
            told += 1;
        }
    }
    assert_eq!(told, 6_000);
    let mut last = None;
    while let Some(frame) = within(PATIENCE, deaf.read()).await {
        last = Some(frame);
    }
    let last = last.unwrap();
    assert_eq!(last.sqlstate().as_deref(), Some("53200"), "{:?}", char::from(last.tag));
    assert_eq!(run(&mut keen, "NOTIFY flood, 'on'").await, ["C NOTIFY", "A own flood on", "Z I"]);
}

#[tokio::test]
async fn a_pipelined_listener_hears_at_the_sync() {
    same(async |mut a, _| {
        let mut out = bytes::BytesMut::new();
        for sql in ["LISTEN pipe", "NOTIFY pipe, 'p'"] {
            frontend::parse("", sql, [], &mut out).unwrap();
            pgring_integration_tests::client::bind_text("", "", &[], false, &mut out);
            frontend::describe(b'P', "", &mut out).unwrap();
            frontend::execute("", 0, &mut out).unwrap();
            frontend::sync(&mut out);
        }
        a.send(&out).await;
        let mut frames = a.read_until_ready().await;
        frames.extend(a.read_until_ready().await);
        brief(&a, &frames)
    })
    .await;
}

#[tokio::test]
async fn the_listening_connection_goes_with_the_last_listener() {
    let mut a = log_in(LEFT.router().port()).await;
    let client = LEFT.shard_client(0).await;
    let open = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgring listener'";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    for _ in 0..2 {
        run(&mut a, "LISTEN gone").await;
        assert_eq!(open().await, 1);
        run(&mut a, "UNLISTEN gone").await;
        eventually("no listening connection", PATIENCE, async || (open().await == 0).then_some(())).await;
    }
    run(&mut a, "LISTEN gone").await;
    drop(a);
    eventually("no listening connection", PATIENCE, async || (open().await == 0).then_some(())).await;
}

#[tokio::test]
async fn databases_behind_the_star_have_listeners_of_their_own() {
    let port = STAR.router().port();
    let any = async || Raw::log_in(port, "postgres", "postgres", "postgres").await;
    let (mut a, mut b) = (any().await, any().await);
    assert_eq!(run(&mut a, "LISTEN star").await, ["C LISTEN", "Z I"]);
    assert_eq!(run(&mut a, "NOTIFY star, 'own'").await, ["C NOTIFY", "A own star own", "Z I"]);
    // Another database of the same server.
    let mut elsewhere = Raw::log_in(port, "postgres", "postgres", "template1").await;
    run(&mut elsewhere, "NOTIFY star, 'elsewhere'").await;
    assert_eq!(run(&mut b, "NOTIFY star, 'other'").await, ["C NOTIFY", "Z I"]);
    assert_eq!(heard(&mut a).await, "A other star other");
}

#[tokio::test]
async fn a_client_of_a_library_is_told_by_its_own_number() {
    same(async |mut a, _| {
        let mut all = Vec::new();
        // As asyncpg does it: a named statement for LISTEN, then notifications by a prepared call.
        let mut out = bytes::BytesMut::new();
        frontend::parse("listen", "LISTEN \"lib\"", [], &mut out).unwrap();
        frontend::describe(b'S', "listen", &mut out).unwrap();
        frontend::flush(&mut out);
        a.send(&out).await;
        for _ in 0..3 {
            all.push(heard(&mut a).await);
        }
        let mut out = bytes::BytesMut::new();
        pgring_integration_tests::client::bind_text("", "listen", &[], false, &mut out);
        frontend::execute("", 0, &mut out).unwrap();
        frontend::sync(&mut out);
        a.send(&out).await;
        let frames = a.read_until_ready().await;
        all.extend(brief(&a, &frames));
        all.extend(extended(&mut a, "SELECT pg_notify($1, $2)", &["lib", "x"]).await);
        all.extend(extended(&mut a, "SELECT pg_backend_pid() IS NOT NULL", &[]).await);
        all.extend(extended(&mut a, "SELECT pg_listening_channels()", &[]).await);
        all
    })
    .await;
}

#[tokio::test]
async fn pipelined_batches_of_a_listener_are_all_answered() {
    same(async |mut a, _| {
        let mut all = run(&mut a, "LISTEN batches").await;
        let mut out = bytes::BytesMut::new();
        for round in 0..5 {
            for sql in [format!("SELECT pg_notify('batches', '{round}')"), "SELECT 1".to_owned()] {
                frontend::parse("", &sql, [], &mut out).unwrap();
                pgring_integration_tests::client::bind_text("", "", &[], false, &mut out);
                frontend::execute("", 0, &mut out).unwrap();
                frontend::sync(&mut out);
            }
        }
        a.send(&out).await;
        for _ in 0..10 {
            let frames = a.read_until_ready().await;
            all.extend(brief(&a, &frames));
        }
        all
    })
    .await;
}

#[tokio::test]
async fn who_listens_hears_a_shard_that_is_added() {
    let cluster = Cluster::start(shards(1)).await;
    let port = cluster.router().port();
    let (mut a, mut b) = (log_in(port).await, log_in(port).await);
    run(&mut a, "LISTEN grown").await;
    // A LISTEN that is not committed yet belongs to it too.
    run(&mut b, "BEGIN").await;
    run(&mut b, "LISTEN grown").await;
    let added = start_servers(1, &test_options()).remove(0);
    let of = |server: &Server| {
        format!("host=127.0.0.1 port={} user=postgres password=postgres dbname={DATABASE}", server.port())
    };
    let catalog = Catalog::open(&of(cluster.shard(0)), "pgring", DATABASE).await.unwrap();
    let shard = SeedShard {
        name: ShardName::new("added"),
        weight: 1.0,
        zone: None,
        connection: Connection(of(&added).into()),
        read_only: false,
        active: true,
        replicas: vec![],
    };
    assert_eq!(catalog.add_shard(&shard).await.unwrap(), Change::Changed);
    let listens = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgring listener'";
    let there = connect(&of(&added)).await;
    let joined = || async { (there.query_one(listens, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(()) };
    eventually("the added shard has a listener", PATIENCE, joined).await;
    // Once one of its notifications is heard, all that come later are.
    let said = || async { there.batch_execute("NOTIFY grown, 'first'").await.unwrap() };
    let first = async {
        loop {
            said().await;
            if let Ok(Some(frame)) = a.read_within(Duration::from_millis(200)).await {
                return frame.tag;
            }
        }
    };
    assert_eq!(within(PATIENCE, first).await, b'A');
    run(&mut b, "COMMIT").await;
    there.batch_execute("NOTIFY grown, 'last'").await.unwrap();
    for raw in [&mut a, &mut b] {
        while heard(raw).await != "A other grown last" {}
    }
    // And it is left with the last who listens.
    run(&mut a, "UNLISTEN *").await;
    run(&mut b, "UNLISTEN *").await;
    let left = || async { (there.query_one(listens, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(()) };
    eventually("the added shard's listener is gone", PATIENCE, left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_come_in_the_encoding_of_their_client() {
    let mut seen = Vec::new();
    for port in [ORACLE.port(), CLUSTER.router().port()] {
        let (mut listener, mut sender) = (log_in(port).await, log_in(port).await);
        listener.query("SET client_encoding = latin1").await;
        listener.query("LISTEN foreign_words").await;
        sender.query("NOTIFY foreign_words, 'gr\u{fc}n'").await;
        sender.query("NOTIFY foreign_words, 'plain'").await;
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let frame = within(PATIENCE, listener.read()).await.unwrap();
            if frame.tag == b'A' {
                heard.push(frame.body.get(4..).unwrap().to_vec());
            }
        }
        // What it sends itself comes before ReadyForQuery.
        let own = [&b"NOTIFY foreign_words, '\xe4\xf6'"[..], b"\0"].concat();
        listener.send(&message(b'Q', &own)).await;
        let frames = within(PATIENCE, listener.read_until_ready()).await;
        heard.extend(frames.iter().filter(|frame| frame.tag == b'A').map(|frame| frame.body[4..].to_vec()));
        seen.push(heard);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0][0].ends_with(b"\0gr\xfcn\0") && seen[0][2].ends_with(b"\0\xe4\xf6\0"), "{seen:?}");
}

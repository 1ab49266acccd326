//! The 22 queries of TPC-H over four shards, sharded by order, customer and part: answered as one PostgreSQL answers them.
//!
//! The run prints both times of each query. `PGRING_TPCH_ORDERS=150000` is a tenth of the benchmark's unit.

mod rows;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use pgring_integration_tests::client::Raw;
use pgring_integration_tests::oracle::{Answer, Bench, Compare, Statement, World, inserts};
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::{Cluster, Postgres, shards};
use rows::{Rows, Scale};

/// How many orders there are unless the environment says otherwise.
const ORDERS: i64 = 3000;
/// The queries that four shards may refuse. The list only ever shrinks.
const MAY_REFUSE: &[usize] = &[];
/// How many connections write rows.
const WRITERS: usize = 4;
/// How long a query may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a query, however long it takes, and says how long it took.
async fn ask(raw: &mut Raw, sql: &str) -> (Answer, Duration) {
    let begun = Instant::now();
    raw.send_with(|out| postgres_protocol::message::frontend::query(sql, out)).await;
    let mut frames = Vec::new();
    while let Some(frame) = raw.read_within(PATIENCE).await.expect("an answer in time") {
        let ready = frame.tag == b'Z';
        frames.push(frame);
        if ready {
            break;
        }
    }
    (Answer::of(&frames), begun.elapsed())
}

/// Runs writes over a few connections.
async fn write(raws: &mut [Raw], writes: &[String]) {
    let share = writes.len().div_ceil(raws.len()).max(1);
    join_all(raws.iter_mut().zip(writes.chunks(share)).map(|(raw, writes)| async move {
        for write in writes {
            let (answer, _) = ask(raw, write).await;
            assert!(answer.error.is_none(), "{answer:?}: {write}");
        }
    }))
    .await;
}

fn values(rows: Rows) -> Vec<Vec<Option<Bytes>>> {
    rows.into_iter().map(|row| row.into_iter().map(|value| Some(Bytes::from(value))).collect()).collect()
}

/// Puts the rows of all tables on both sides, and lets them gather statistics.
async fn fill(postgres: &Postgres, cluster: &Cluster, scale: Scale) {
    let mut direct = vec![Raw::log_in(postgres.server().port(), "postgres", "postgres", DATABASE).await];
    let mut routed = join_all((0..WRITERS).map(|_| cluster.raw())).await;
    for (table, rows) in [("region", scale.region()), ("nation", scale.nation()), ("supplier", scale.supplier_rows())] {
        let writes = inserts(table, values(rows));
        write(&mut direct, &writes).await;
        cluster.on_every_shard(&writes.join(";")).await;
    }
    let (orders, lineitem) = scale.orders();
    let sharded =
        [("part", scale.part()), ("partsupp", scale.partsupp()), ("customer", scale.customer()), ("orders", orders)];
    for (table, rows) in sharded.into_iter().chain([("lineitem", lineitem)]) {
        let writes = inserts(table, values(rows));
        let joined: Vec<String> = writes.chunks(200).map(|writes| writes.join(";")).collect();
        tokio::join!(write(&mut direct, &joined), write(&mut routed, &writes));
    }
    write(&mut direct, &["ANALYZE".to_owned()]).await;
    cluster.on_every_shard("ANALYZE").await;
}

/// How the cluster answers, as EXPLAIN (ROUTE) says.
async fn kinds(raw: &mut Raw, sql: &str) -> String {
    let (answer, _) = ask(raw, &format!("EXPLAIN (ROUTE) {sql}")).await;
    let kind = |row: &Vec<Option<Bytes>>| Some(String::from_utf8_lossy(row.get(1)?.as_deref()?).into_owned());
    let mut kinds: Vec<String> = answer.rows.iter().filter_map(kind).collect();
    kinds.dedup();
    kinds.join("+")
}

/// What is wrong with a cluster's answer, and whether it is a refusal.
fn judge(number: usize, statement: &Statement, truth: &Answer, answer: &Answer) -> (Option<String>, bool) {
    if answer.is_refusal() {
        let known = MAY_REFUSE.contains(&number) && answer.hint.is_some();
        return ((!known).then(|| format!("query {number} is refused: {answer:?}")), true);
    }
    let compare = Compare { rows: statement.rows().clone(), floats: false };
    let difference = answer.difference_by(truth, &compare);
    (difference.map(|what| format!("query {number} differs in {what}\n    {truth:?}\n    {answer:?}")), false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queries_of_tpch_are_answered_as_by_one_postgresql() {
    let (postgres, cluster) = tokio::join!(Postgres::start(), Cluster::start(shards(4)));
    let orders = std::env::var("PGRING_TPCH_ORDERS").ok().and_then(|value| value.parse().ok()).unwrap_or(ORDERS);
    let (scale, world, begun) = (Scale::of(orders), World::read("tpch"), Instant::now());
    Bench::connect(&postgres, &[&cluster]).await.set_up(&world).await;
    fill(&postgres, &cluster, scale).await;
    println!("{} orders in {:.1} s", scale.orders, begun.elapsed().as_secs_f64());

    let mut direct = Raw::log_in(postgres.server().port(), "postgres", "postgres", DATABASE).await;
    let mut routed = cluster.raw().await;
    let (mut faults, mut refused, mut empty) = (Vec::new(), Vec::new(), Vec::new());
    for (at, statement) in world.cases.iter().flat_map(|case| case.statements()).enumerate() {
        let number = at + 1;
        let (truth, alone) = ask(&mut direct, &statement.sql).await;
        assert!(truth.error.is_none(), "query {number}: {truth:?}");
        let (answer, together) = ask(&mut routed, &statement.sql).await;
        let (fault, is_refused) = judge(number, statement, &truth, &answer);
        let [alone, together] = [alone, together].map(|time| time.as_secs_f64() * 1000.0);
        let kinds = if is_refused { "refused".to_owned() } else { kinds(&mut routed, &statement.sql).await };
        println!("{number:3} {alone:9.1} ms {together:9.1} ms {:5} rows  {kinds}", truth.rows.len());
        faults.extend(fault);
        refused.extend(is_refused.then_some(number));
        empty.extend(truth.rows.iter().all(|row| row.iter().all(Option::is_none)).then_some(number));
    }
    let answered: Vec<&usize> = MAY_REFUSE.iter().filter(|number| !refused.contains(number)).collect();
    println!("refused: {refused:?}; no longer refused: {answered:?}");
    assert!(faults.is_empty(), "{} faults:\n\n{}", faults.len(), faults.join("\n\n"));
    assert!(empty.is_empty(), "the queries {empty:?} find nothing");
    assert_eq!(world.statements(), 22);
}

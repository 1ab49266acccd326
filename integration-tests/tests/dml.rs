//! Writes over shards: the statements of `cases/dml` on one PostgreSQL and through pgring with one, two and four shards, in both
//! protocols and formats; after each the whole contents of the tables are compared.

use pgring_integration_tests::oracle::{Bench, Case, Findings, Protocol, Statement, Step, World};
use pgring_integration_tests::{Cluster, Postgres, shards};

/// How many statements the files hold at least.
const STATEMENTS: usize = 200;

/// What is compared after each statement.
const CONTENTS: &[&str] = &[
    "SELECT * FROM acct ORDER BY k",
    "SELECT * FROM item ORDER BY k, id",
    "SELECT * FROM child ORDER BY k, c",
    "SELECT k, v, up FROM made ORDER BY k",
    "SELECT * FROM word ORDER BY w",
    "SELECT * FROM thing ORDER BY u",
];

/// Words of statements that write what differs by time and chance.
const BY_CHANCE: &[&str] =
    &["random(", "gen_random_uuid", "now()", "current_date", "current_timestamp", "localtimestamp"];

/// The case with a look at all tables behind each statement that may be followed by one.
fn watched(case: &Case) -> Case {
    let mut steps = Vec::new();
    let (mut in_block, mut by_chance) = (false, false);
    for step in &case.steps {
        steps.push(step.clone());
        let Step::Statement(statement) = step else { continue };
        in_block |= statement.sql.starts_with("BEGIN");
        in_block &= !(statement.sql.starts_with("COMMIT") || statement.sql == "ROLLBACK");
        by_chance |= BY_CHANCE.iter().any(|word| statement.sql.contains(word));
        if !in_block && !by_chance {
            steps.extend(CONTENTS.iter().map(|sql| Step::Statement(Statement::plain(sql))));
        }
    }
    Case { steps, ..case.clone() }
}

#[test]
fn the_files_hold_enough_statements() {
    let world = World::read("dml");
    assert!(world.statements() >= STATEMENTS, "only {} statements", world.statements());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_does_what_it_does_on_one_postgresql_or_is_refused_where_the_case_says_so() {
    let (oracle, one, two, four) = tokio::join!(
        Postgres::start(),
        Cluster::start(shards(1).server_setting("max_prepared_transactions", "50")),
        Cluster::start(shards(2).server_setting("max_prepared_transactions", "50")),
        Cluster::start(shards(4).server_setting("max_prepared_transactions", "50"))
    );
    let mut world = World::read("dml");
    let only = std::env::var("PGRING_DML").unwrap_or_default();
    let rows =
        world.cases.iter().position(|case| case.file == "rows").map(|at| world.cases.remove(at)).expect("rows.sql");
    let mut bench = Bench::connect(&oracle, &[&one, &two, &four]).await;
    bench.set_up(&world).await;
    let mut findings = Findings::default();
    for protocol in [Protocol::Simple, Protocol::ExtendedText, Protocol::ExtendedBinary] {
        for case in world.cases.iter().filter(|case| case.name.contains(&only)) {
            bench.run(&rows, Protocol::Simple, &mut findings).await;
            bench.run(&watched(case), protocol, &mut findings).await;
        }
    }
    findings.finish();
}

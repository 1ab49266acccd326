//! Every SELECT over many shards: the statements of `cases/select`, by category, with one, two and four shards, in both
//! protocols and formats (and, with four, in portions), answered as one PostgreSQL answers them. What is refused is marked in its file, and there is a ceiling.
//!
//! `PGRING_MARKS=write` rewrites the marks `-- may refuse` of the files to what was refused in this run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use pgring_integration_tests::oracle::{
    Bench, Expect, Findings, MAY_REFUSE, Protocol, Refusal, Statement, Way, World, way,
};
use pgring_integration_tests::{Cluster, Postgres, shards};

/// How many statements of the files may bear the mark `-- may refuse`. It only ever falls.
const CEILING: usize = 22;
/// How many statements several shards may refuse when their rows are fetched in portions. It only ever falls.
const CEILING_OF_PORTIONS: usize = 40;
/// How many statements the files hold at least.
const STATEMENTS: usize = 1200;
/// The traps of reading; the others are about writes, sessions and code (`cases/traps`).
const TRAPS: std::ops::RangeInclusive<usize> = 1..=19;

/// How four shards answer the statements of one file.
#[derive(Debug, Default)]
struct Tally {
    ways: BTreeMap<Way, usize>,
    refused: BTreeSet<usize>,
}

/// Counts the kinds of all queries, and the refusals that were seen.
async fn tally(world: &World, cluster: &Cluster, findings: &BTreeMap<Protocol, Findings>) -> BTreeMap<String, Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut raw = cluster.raw().await;
    for case in &world.cases {
        let tally = tallies.entry(case.file.clone()).or_default();
        for statement in case.statements().filter(|statement| statement.is_query() && statement.expect == Expect::Same)
        {
            *tally.ways.entry(way(&mut raw, &statement.sql, &statement.parameters).await).or_default() += 1;
        }
    }
    let marked = findings.iter().filter(|(protocol, _)| **protocol != Protocol::Portions);
    for refusal in marked.flat_map(|(_, found)| found.allowed.iter().chain(&found.unmarked)) {
        tallies.entry(refusal.file.clone()).or_default().refused.insert(refusal.line);
    }
    tallies
}

fn print(tallies: &BTreeMap<String, Tally>) {
    println!("{:<20}{}{:>14}", "queries", Way::ALL.map(|way| format!("{way:>13}")).concat(), "refused runs");
    let mut sums: BTreeMap<Way, usize> = BTreeMap::new();
    let line = |name: &str, ways: &BTreeMap<Way, usize>, refused: usize| {
        let counts = Way::ALL.map(|way| format!("{:>13}", ways.get(&way).copied().unwrap_or_default()));
        println!("{name:<20}{}{refused:>14}", counts.concat());
    };
    for (file, tally) in tallies {
        line(file, &tally.ways, tally.refused.len());
        tally.ways.iter().for_each(|(way, count)| *sums.entry(*way).or_default() += count);
    }
    line("all", &sums, tallies.values().map(|tally| tally.refused.len()).sum());
}

/// Rewrites the marks of the files to what was refused.
fn write_marks(tallies: &BTreeMap<String, Tally>) {
    for (file, tally) in tallies {
        let path = World::folder("select").join(format!("{file}.sql"));
        let text = std::fs::read_to_string(&path).expect("a case file");
        let mut marked = String::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| *line != MAY_REFUSE) {
            if tally.refused.contains(&(number + 1)) {
                marked += &format!("{MAY_REFUSE}\n");
            }
            marked += &format!("{line}\n");
        }
        if marked != text {
            std::fs::write(&path, marked).expect("a case file that can be written");
        }
    }
}

/// Marks of statements that nobody refused.
fn stale(world: &World, tallies: &BTreeMap<String, Tally>) -> Vec<String> {
    let refused = |file: &str, line| tallies.get(file).is_some_and(|tally| tally.refused.contains(&line));
    let cases = world.cases.iter();
    let marked = cases.flat_map(|case| case.statements().map(move |statement| (&case.file, statement)));
    marked
        .filter(|(file, statement)| statement.may_refuse && !refused(file, statement.line))
        .map(|(file, statement)| format!("{file}.sql:{}: {}", statement.line, statement.sql))
        .collect()
}

#[test]
fn the_files_hold_every_trap_of_reading_and_no_more_marks_than_the_ceiling() {
    let world = World::read("select");
    assert!(world.statements() >= STATEMENTS, "only {} statements", world.statements());
    let traps: BTreeSet<usize> = world.cases.iter().flat_map(|case| case.traps().collect::<Vec<_>>()).collect();
    let missing: Vec<usize> = TRAPS.filter(|trap| !traps.contains(trap)).collect();
    assert!(missing.is_empty(), "no case for the traps {missing:?}");
    let marks = world.cases.iter().flat_map(|case| case.statements()).filter(|statement| statement.may_refuse).count();
    println!("{} statements, {marks} may be refused", world.statements());
    assert!(marks <= CEILING, "{marks} statements may be refused, more than {CEILING}");
}

#[test]
fn each_of_the_25_traps_has_a_file_of_its_number_with_an_answer_that_is_compared() {
    let world = World::read("traps");
    for trap in 1..=25 {
        let number = format!("{trap:02}_");
        let cases = world.cases.iter().filter(|case| case.file.starts_with(&number));
        let statements: Vec<&Statement> = cases.flat_map(|case| case.statements()).collect();
        let answered = statements.iter().filter(|statement| statement.expect == Expect::Same).count();
        println!("trap {trap}: {answered} of {} statements are answered", statements.len());
        assert!(answered > 0, "nothing shows trap {trap}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_select_is_answered_as_by_one_postgresql_or_refused_where_it_is_marked() {
    let begun = Instant::now();
    let (oracle, one, two, four) = tokio::join!(
        Postgres::start(),
        Cluster::start(shards(1)),
        Cluster::start(shards(2)),
        Cluster::start(shards(4))
    );
    let world = World::read("select");
    let mut bench = Bench::connect(&oracle, &[&one, &two, &four]).await;
    bench.set_up(&world).await;
    println!("set up in {:.1} s", begun.elapsed().as_secs_f64());
    let mut portions = Bench::connect(&oracle, &[&four]).await;
    let protocols = [Protocol::Simple, Protocol::ExtendedText, Protocol::ExtendedBinary, Protocol::Portions];
    let mut findings: BTreeMap<Protocol, Findings> = BTreeMap::new();
    for protocol in protocols {
        let begun = Instant::now();
        let found = findings.entry(protocol).or_default();
        let bench = if protocol == Protocol::Portions { &mut portions } else { &mut bench };
        for case in &world.cases {
            bench.run(case, protocol, found).await;
        }
        println!("{protocol:?}: {} answers in {:.1} s", found.compared, begun.elapsed().as_secs_f64());
    }
    let tallies = tally(&world, &four, &findings).await;
    print(&tallies);
    if std::env::var("PGRING_MARKS").is_ok_and(|value| value == "write") {
        write_marks(&tallies);
    }
    stale(&world, &tallies).iter().for_each(|mark| println!("no longer refused: {mark}"));
    println!("all in {:.1} s", begun.elapsed().as_secs_f64());
    print_reasons(findings.values().flat_map(|found| &found.allowed));
    let in_portions: BTreeSet<(&str, usize)> =
        findings.get(&Protocol::Portions).into_iter().flat_map(|found| &found.allowed).map(place).collect();
    println!("{} statements are refused in portions", in_portions.len());
    assert!(in_portions.len() <= CEILING_OF_PORTIONS, "more are refused in portions than {CEILING_OF_PORTIONS}");
    let all = findings.into_iter().flat_map(|(protocol, found)| {
        found.differences.into_iter().map(move |difference| format!("({protocol:?}) {difference}"))
    });
    let all: Vec<String> = all.collect();
    assert!(all.is_empty(), "{} differences:\n\n{}", all.len(), all.join("\n\n"));
}

fn place(refusal: &Refusal) -> (&str, usize) {
    (&refusal.file, refusal.line)
}

/// Why statements were refused, the most frequent reason first.
fn print_reasons<'a>(refusals: impl Iterator<Item = &'a Refusal>) {
    let mut lines: BTreeMap<&str, BTreeSet<(&str, usize)>> = BTreeMap::new();
    for refusal in refusals {
        lines.entry(&refusal.message).or_default().insert(place(refusal));
    }
    let mut reasons: Vec<(usize, &str)> = lines.iter().map(|(reason, lines)| (lines.len(), *reason)).collect();
    reasons.sort_unstable_by(|one, other| other.cmp(one));
    reasons.iter().for_each(|(count, reason)| println!("{count:6} {reason}"));
}

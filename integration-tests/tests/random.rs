//! What a grammar with a seed says is answered as by one PostgreSQL, or refused with a hint; never wrongly. The rows of a query
//! are those of its three parts under a condition, its negation and its being unknown.
//!
//! `PGRING_RANDOM_STATEMENTS` and `PGRING_RANDOM_SEED` make longer hunts by hand; the run prints how queries were answered.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use pgring_integration_tests::client::{Frame, Raw};
use pgring_integration_tests::generator::{Generator, Partition, Statement};
use pgring_integration_tests::oracle::{Answer, Compare, Protocol, Rows, Way, World, compare, way};
use pgring_integration_tests::{Cluster, Postgres, shards};

/// How many statements a run has unless the environment says otherwise.
const STATEMENTS: usize = 2000;
/// How many of a hundred queries four shards may refuse. It only ever falls.
const CEILING: usize = 6;
/// After so many differences a run has told enough.
const ENOUGH: usize = 40;
/// OIDs from here on are of types that users made, which differ from server to server.
const FIRST_OF_USERS: u32 = 16_384;
/// The OID of numeric.
const NUMERIC: u32 = 1700;

/// A number from the environment.
fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// The three sides, with what was found.
struct Hunt {
    oracle: Raw,
    one: Raw,
    four: Raw,
    answered: usize,
    refused: usize,
    failed: usize,
    partitions: usize,
    ways: BTreeMap<Way, usize>,
    /// How often each reason to refuse was given, and for what first.
    reasons: BTreeMap<String, (usize, String)>,
    /// How often all sides failed, by SQLSTATE, and of what first.
    faults: BTreeMap<String, (usize, String)>,
    differences: Vec<String>,
}

/// An answer, the detail of its error, and whether it gives a hint.
struct Told {
    answer: Answer,
    detail: String,
    hint: bool,
}

impl Told {
    /// Whether pgring refuses; PostgreSQL's own 0A000 is an answer like others.
    fn is_refusal(&self) -> bool {
        self.answer.sqlstate() == Some("0A000") && self.detail.starts_with("PGR-")
    }
}

async fn run(raw: &mut Raw, protocol: Protocol, statement: &Statement) -> Told {
    let frames = protocol.run(raw, &statement.sql, &statement.parameters).await;
    let error = frames.iter().find(|frame| frame.tag == b'E');
    let fields = error.map(Frame::fields).unwrap_or_default();
    let (detail, hint) = (fields.get(&b'D').cloned().unwrap_or_default(), fields.contains_key(&b'H'));
    let mut answer = Answer::of(&frames);
    forget_chance(&mut answer, statement.mixes_scales);
    Told { answer, detail, hint }
}

/// Makes equal what is chance in PostgreSQL too: which of two equal zeros, or of equal numbers of different scales, stands for
/// its group, and the sign of a sum that is not a number.
fn forget_chance(answer: &mut Answer, mixes_scales: bool) {
    for (_, oid) in &mut answer.columns {
        *oid = (*oid).min(FIRST_OF_USERS);
    }
    let numeric: Vec<bool> = answer.columns.iter().map(|(_, oid)| mixes_scales && *oid == NUMERIC).collect();
    for row in &mut answer.rows {
        for (at, value) in row.iter_mut().enumerate().filter_map(|(at, value)| Some((at, value.as_mut()?))) {
            match value.as_ref() {
                b"-0" => *value = Bytes::from_static(b"0"),
                [0xFF, rest @ ..] if matches!(rest, [0xC0, 0, 0] | [0xF8, 0, 0, 0, 0, 0, 0]) => {
                    *value = Bytes::from([&[0x7F], rest].concat());
                }
                [0x80, rest @ ..] if matches!(rest.len(), 3 | 7) && rest.iter().all(|byte| *byte == 0) => {
                    *value = Bytes::from(vec![0; value.len()]);
                }
                number if numeric.get(at).copied().unwrap_or_default() => *value = without_scale(number),
                _ => {}
            }
        }
    }
}

/// A numeric without trailing zeros, or, in binary, without its scale.
fn without_scale(number: &[u8]) -> Bytes {
    match std::str::from_utf8(number) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => match text.contains('.') {
            true => Bytes::copy_from_slice(text.trim_end_matches('0').trim_end_matches('.').as_bytes()),
            false => Bytes::copy_from_slice(number),
        },
        _ => {
            let mut binary = number.to_vec();
            binary.iter_mut().skip(6).take(2).for_each(|byte| *byte = 0);
            Bytes::from(binary)
        }
    }
}

impl Hunt {
    /// Runs a statement on all sides, PostgreSQL last; false once a side has refused it. The one PostgreSQL is not asked
    /// to write what a cluster refused.
    async fn compare(&mut self, protocol: Protocol, statement: &Statement, writes: bool) -> bool {
        let four = run(&mut self.four, protocol, statement).await;
        if four.is_refusal() && writes {
            return self.refusal(statement, &four);
        }
        let one = run(&mut self.one, protocol, statement).await;
        if one.is_refusal() && writes {
            self.tell(statement, protocol, "one shard refuses", &one.answer, &four.answer);
            return false;
        }
        let truth = run(&mut self.oracle, protocol, statement).await;
        let rows = if statement.ordered { Rows::Ordered } else { Rows::AnyOrder };
        let how = Compare { rows, floats: statement.floats };
        for (label, told) in [("1 shard", &one), ("4 shards", &four)] {
            // of several faults, the missing key is seen first
            if writes && truth.answer.error.is_some() && told.answer.sqlstate() == Some("23502") {
                continue;
            }
            if told.is_refusal() {
                self.refusal(statement, told);
            } else if let Some(what) = told.answer.difference_by(&truth.answer, &how) {
                self.tell(statement, protocol, &format!("{label}: {what}"), &truth.answer, &told.answer);
            }
        }
        match (four.is_refusal(), &truth.answer.error) {
            (true, _) => return false,
            (false, Some((sqlstate, message))) => {
                self.failed += 1;
                let fault = self.faults.entry(sqlstate.clone());
                fault.or_insert_with(|| (0, format!("{message}: {}", statement.sql))).0 += 1;
            }
            (false, None) => self.answered += 1,
        }
        !one.is_refusal()
    }

    fn refusal(&mut self, statement: &Statement, told: &Told) -> bool {
        self.refused += 1;
        let message = told.answer.error.as_ref().map(|(_, message)| message.clone()).unwrap_or_default();
        let reason = format!("{message} ({})", told.detail);
        self.reasons.entry(reason).or_insert_with(|| (0, statement.sql.clone())).0 += 1;
        if !told.hint {
            self.differences.push(format!("a refusal without a hint: {}\n    {:?}", statement.sql, told.answer));
        }
        false
    }

    fn tell(&mut self, statement: &Statement, protocol: Protocol, what: &str, truth: &Answer, answer: &Answer) {
        let Statement { sql, parameters, .. } = statement;
        self.differences
            .push(format!("{what} ({protocol:?})\n    {sql}\n    {parameters:?}\n    {truth:?}\n    {answer:?}"));
    }

    /// A query, counted by the way it is answered.
    async fn query(&mut self, protocol: Protocol, statement: &Statement) {
        self.compare(protocol, statement, false).await;
        let way = way(&mut self.four, &statement.sql, &statement.parameters).await;
        *self.ways.entry(way).or_default() += 1;
    }

    /// The rows of three parts are the rows of the whole; each of the four is compared with PostgreSQL's answer too.
    async fn partition(&mut self, partition: &Partition) {
        let mut answers = Vec::new();
        for statement in std::iter::once(&partition.whole).chain(&partition.parts) {
            self.compare(Protocol::Simple, statement, false).await;
            answers.push(run(&mut self.four, Protocol::Simple, statement).await.answer);
        }
        if answers.iter().any(|answer| answer.error.is_some()) {
            return;
        }
        self.partitions += 1;
        let mut whole = answers.remove(0).rows;
        let mut parts: Vec<_> = answers.into_iter().flat_map(|answer| answer.rows).collect();
        whole.sort();
        parts.sort();
        if whole != parts {
            let told: Vec<&str> = partition.parts.iter().map(|part| part.sql.as_str()).collect();
            let (count, sum) = (whole.len(), parts.len());
            let sql = &partition.whole.sql;
            self.differences.push(format!("{count} rows, but {sum} in parts:\n    {sql}\n    {}", told.join("\n    ")));
        }
    }

    /// A few writes and reads in a transaction that ends either way, but never keeps what one side alone did.
    async fn transaction(&mut self, generator: &mut Generator, protocol: Protocol) {
        let plain = Statement::plain;
        let extended = protocol != Protocol::Simple;
        self.compare(Protocol::Simple, &plain("BEGIN"), false).await;
        let mut agreed = true;
        for step in 0..4 {
            let statement = if step % 2 == 0 { generator.write(extended) } else { generator.select(extended) };
            agreed = self.compare(protocol, &statement, true).await;
            if !agreed {
                break;
            }
        }
        let end = if agreed && generator.write(false).sql.len().is_multiple_of(2) { "COMMIT" } else { "ROLLBACK" };
        self.compare(Protocol::Simple, &plain(end), false).await;
    }

    async fn step(&mut self, generator: &mut Generator, number: usize) {
        let protocol = [Protocol::Simple, Protocol::ExtendedText, Protocol::ExtendedBinary][number % 3];
        let extended = protocol != Protocol::Simple;
        match number % 10 {
            0 => self.transaction(generator, protocol).await,
            5 => self.partition(&generator.partition()).await,
            1 => {
                let statement = generator.write(extended);
                self.compare(protocol, &statement, true).await;
            }
            _ => {
                let statement = generator.select(extended);
                self.query(protocol, &statement).await;
                if !statement.parameters.is_empty() {
                    let again = generator.again(&statement);
                    self.compare(protocol, &again, false).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_statements_answer_as_one_postgresql_or_are_refused() {
    let begun = Instant::now();
    let (postgres, one, four) = tokio::join!(Postgres::start(), Cluster::start(shards(1)), Cluster::start(shards(4)));
    let set_up = compare(&World::read("random"), Protocol::Simple, &postgres, &[&one, &four]).await;
    assert!(set_up.differences.is_empty(), "{:?}", set_up.differences);
    let mut hunt = Hunt {
        oracle: Raw::log_in(postgres.server().port(), "postgres", "postgres", "app").await,
        one: one.raw().await,
        four: four.raw().await,
        answered: 0,
        refused: 0,
        failed: 0,
        partitions: 0,
        ways: BTreeMap::new(),
        reasons: BTreeMap::new(),
        faults: BTreeMap::new(),
        differences: Vec::new(),
    };
    let (seed, count) = (setting("PGRING_RANDOM_SEED", 1), setting("PGRING_RANDOM_STATEMENTS", STATEMENTS));
    let mut generator = Generator::new(seed as u64);
    let (set_up_for, begun) = (begun.elapsed().as_secs_f64(), Instant::now());
    for number in 0..count {
        hunt.step(&mut generator, number).await;
        if hunt.differences.len() >= ENOUGH {
            break;
        }
    }
    for sql in ["SELECT * FROM a", "SELECT * FROM b", "SELECT * FROM e", "SELECT * FROM g", "SELECT * FROM r"] {
        hunt.compare(Protocol::Simple, &Statement::plain(sql), false).await;
    }
    let Hunt { answered, refused, failed, partitions, ways, reasons, faults, differences, .. } = hunt;
    println!("set up in {set_up_for:.1} s, asked for {:.1} s", begun.elapsed().as_secs_f64());
    println!("seed {seed}: {answered} answered, {failed} failed alike, {refused} refused, {partitions} partitions");
    for (what, (times, first)) in reasons.iter().chain(&faults) {
        println!("{times:6} {what}\n         {first}");
    }
    let queries: usize = ways.values().sum();
    ways.iter().for_each(|(way, times)| println!("{:5.1} % {way}", *times as f64 * 100.0 / queries as f64));
    assert!(differences.is_empty(), "{} differences:\n\n{}", differences.len(), differences.join("\n\n"));
    let rejected = ways.get(&Way::Refused).copied().unwrap_or_default();
    assert!(rejected * 100 <= queries * CEILING, "{rejected} of {queries} queries are refused");
    assert!(partitions > 0, "no partition was compared");
}

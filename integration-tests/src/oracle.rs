//! The oracle: the same statements on one PostgreSQL and through pgring, and every difference told.
//! In: case files. Out: differences in column names, types, rows, tags and SQLSTATEs. Never: accepts a refusal that no case expects.
//!
//! A case file holds statements, each ended by a `;` at the end of a line, and directives:
//! - `-- case: name` begins a case; `[trap N]` in its name says which of the 25 traps it is about;
//! - `-- expect: same | error | refused` holds for the statements that follow it in its case (`same` at first): the same
//!   answer; the same SQLSTATE; 0A000 from a cluster of several shards (the one
//!   PostgreSQL must be able to EXPLAIN such a statement, or to run it and roll it back; it runs nowhere else);
//! - `-- may refuse` lets several shards answer the next statement with 0A000 and a hint, for now; any other answer must be
//!   PostgreSQL's. What follows a refusal in a transaction is left out for that side;
//! - `-- compare: [floats] [ordered | unordered | ties 1 2 … | count | columns]` says how the next statement's rows are
//!   compared: floats within 1e-12; one by one; as multisets; as multisets, but these columns one by one; by their number; not
//!   at all. Without it rows are compared in order when the statement itself says ORDER BY or is a FETCH, else as multisets;
//! - `-- params: ["7", null]` gives the next statement parameters as text; it runs in the extended protocol only;
//! - `-- pgring: ADMIN COMMAND` runs in the admin database of clusters;
//! - `-- servers: STATEMENT` runs on the one PostgreSQL and, past the router, on every shard;
//! - `-- fill: table` lets the one PostgreSQL make rows of the next query; clusters are given them through the router.
//!
//! Types of users have other OIDs on each side; they are compared by name.

mod answer;
mod case;
mod way;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;

pub use answer::Answer;
pub use case::{Case, Compare, Expect, MAY_REFUSE, Rows, Statement, Step, World, is_ordered, parse};
pub use way::{Way, way};

use crate::client::{Frame, Raw};
use crate::cluster::Cluster;
use crate::postgres::{DATABASE, Postgres};

/// The first OID of types that users make.
const FIRST_OF_USERS: u32 = 16384;
/// The OIDs of record and record[], whose values hold other OIDs.
const RECORDS: [u32; 2] = [2249, 2287];
/// How many rows of one key a statement writes when a table is filled.
const ROWS_AT_ONCE: usize = 50;
/// How many rows a portal gives at a time.
const PORTION: i32 = 25;

/// How statements travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Query messages.
    Simple,
    /// Parse, Bind, Execute; results as text.
    ExtendedText,
    /// Parse, Bind, Execute; results in binary.
    ExtendedBinary,
    /// Parse, Bind and as many Executes of a few rows as it takes; results as text. Several shards may refuse it, for now.
    Portions,
}

impl Protocol {
    /// Runs a statement in this way, up to ReadyForQuery.
    pub async fn run(self, raw: &mut Raw, sql: &str, parameters: &[Option<String>]) -> Vec<Frame> {
        match self {
            Protocol::Simple => raw.query(sql).await,
            Protocol::ExtendedText => raw.extended(sql, parameters, false).await,
            Protocol::ExtendedBinary => raw.extended(sql, parameters, true).await,
            Protocol::Portions => raw.in_portions(sql, parameters, PORTION).await,
        }
    }
}

/// One side of the comparison.
#[derive(Debug)]
struct Side<'a> {
    label: String,
    raw: Raw,
    cluster: Option<&'a Cluster>,
    /// What stands for the OID of each type that users made.
    types: BTreeMap<u32, u32>,
    /// Whether the rest of the case is left out here.
    left: bool,
}

impl Side<'_> {
    async fn run(&mut self, protocol: Protocol, sql: &str, parameters: &[Option<String>]) -> Answer {
        let frames = protocol.run(&mut self.raw, sql, parameters).await;
        let mut answer = Answer::of(&frames);
        self.name_types(&mut answer, protocol == Protocol::ExtendedBinary);
        answer
    }

    /// Learns the names of types; their OIDs are not the same anywhere.
    async fn learn_types(&mut self) {
        let sql = "SELECT oid, typname FROM pg_type WHERE typnamespace = 'public'::regnamespace";
        let answer = Answer::of(&self.raw.query(sql).await);
        let text = |value: &Option<Bytes>| String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
        self.types = answer
            .rows
            .iter()
            .filter_map(|row| Some((text(row.first()?).parse().ok()?, hash(&text(row.get(1)?)))))
            .filter(|(oid, _)| *oid >= FIRST_OF_USERS)
            .collect();
    }

    /// Puts what stands for a type in the place of its OID.
    fn name_types(&self, answer: &mut Answer, binary: bool) {
        for (at, (_, oid)) in answer.columns.iter_mut().enumerate() {
            let of_users = self.types.get(oid).copied();
            if binary && (of_users.is_some() || RECORDS.contains(oid)) {
                let values = answer.rows.iter_mut().filter_map(|row| row.get_mut(at)?.as_mut());
                values.for_each(|value| *value = self.name_oids(value));
            }
            *oid = of_users.unwrap_or(*oid);
        }
    }

    /// The binary form of arrays, composites and ranges holds OIDs, wherever.
    fn name_oids(&self, value: &Bytes) -> Bytes {
        let mut named = BytesMut::from(&value[..]);
        let mut at = 0;
        while let Some(window) = named.get_mut(at..at + 4) {
            let oid = u32::from_be_bytes([window[0], window[1], window[2], window[3]]);
            match self.types.get(&oid) {
                Some(name) => {
                    window.copy_from_slice(&name.to_be_bytes());
                    at += 4;
                }
                None => at += 1,
            }
        }
        named.freeze()
    }

    /// Whether a statement is right, without any trace of it: EXPLAIN, or a transaction that is rolled back.
    async fn try_out(&mut self, sql: &str) -> Answer {
        let explained = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "TABLE"];
        if explained.iter().any(|verb| sql.trim_start().to_ascii_uppercase().starts_with(verb)) {
            return self.run(Protocol::Simple, &format!("EXPLAIN {sql}"), &[]).await;
        }
        self.run(Protocol::Simple, "BEGIN", &[]).await;
        let answer = self.run(Protocol::Simple, sql, &[]).await;
        self.run(Protocol::Simple, "ROLLBACK", &[]).await;
        answer
    }

    fn has_several_shards(&self) -> bool {
        self.cluster.is_some_and(|cluster| cluster.shard_count() > 1)
    }

    /// Ends what a case left open here; false if there was something.
    async fn end_case(&mut self) -> bool {
        let status = Answer::of(&self.raw.query("").await).status;
        if status != b'I' {
            self.raw.query("ROLLBACK").await;
        }
        std::mem::take(&mut self.left) || status == b'I'
    }
}

/// FNV-1a in the upper half of the OIDs, where no type is.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) | 0x8000_0000
}

/// A refusal that a case allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file of the case.
    pub file: String,
    /// The statement's line there.
    pub line: usize,
    /// What pgring said.
    pub message: String,
}

/// What a run of a world found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Each difference, told with both answers.
    pub differences: Vec<String>,
    /// How many statements were compared, over all clusters.
    pub compared: usize,
    /// How many statements were refused as their cases expect.
    pub refused: usize,
    /// The refusals that cases allow for now.
    pub allowed: Vec<Refusal>,
    /// Refusals that no case allows; each is among the differences too.
    pub unmarked: Vec<Refusal>,
}

/// One PostgreSQL and clusters, with a connection to each.
#[derive(Debug)]
pub struct Bench<'a> {
    oracle: Side<'a>,
    sides: Vec<Side<'a>>,
}

/// Runs a world on one PostgreSQL and through each cluster, and collects every difference.
///
/// # Panics
/// If the set-up fails on any side: nothing after it would mean anything.
pub async fn compare(world: &World, protocol: Protocol, oracle: &Postgres, clusters: &[&Cluster]) -> Findings {
    let mut bench = Bench::connect(oracle, clusters).await;
    bench.set_up(world).await;
    let mut findings = Findings::default();
    for case in &world.cases {
        bench.run(case, protocol, &mut findings).await;
    }
    findings
}

impl<'a> Bench<'a> {
    /// Connects to all sides.
    pub async fn connect(oracle: &Postgres, clusters: &[&'a Cluster]) -> Bench<'a> {
        let raw = Raw::log_in(oracle.server().port(), "postgres", "postgres", DATABASE).await;
        let side = |label, raw, cluster| Side { label, raw, cluster, types: BTreeMap::new(), left: false };
        let oracle = side("PostgreSQL".to_owned(), raw, None);
        let mut sides = Vec::new();
        for &cluster in clusters {
            let label = format!("pgring with {} shards", cluster.shard_count());
            sides.push(side(label, cluster.raw().await, Some(cluster)));
        }
        let mut bench = Bench { oracle, sides };
        bench.learn_types().await;
        bench
    }

    async fn learn_types(&mut self) {
        join_all(std::iter::once(&mut self.oracle).chain(&mut self.sides).map(Side::learn_types)).await;
    }

    /// Makes the world's tables and rows on all sides.
    ///
    /// # Panics
    /// If it fails on any side: nothing after it would mean anything.
    pub async fn set_up(&mut self, world: &World) {
        let mut findings = Findings::default();
        for case in &world.setup {
            self.run(case, Protocol::Simple, &mut findings).await;
        }
        assert!(findings.differences.is_empty(), "the set-up differs:\n{}", findings.differences.join("\n"));
        self.learn_types().await;
    }

    /// Runs one case on all sides.
    pub async fn run(&mut self, case: &Case, protocol: Protocol, findings: &mut Findings) {
        for step in &case.steps {
            match step {
                Step::Admin(command) => {
                    join_all(self.sides.iter().filter_map(|side| side.cluster).map(|cluster| cluster.admin(command)))
                        .await;
                }
                Step::Servers(sql) => {
                    let truth = self.oracle.run(Protocol::Simple, sql, &[]).await;
                    findings.judge_truth(case, sql, &truth, Expect::Same);
                    let clusters = self.sides.iter().filter_map(|side| side.cluster);
                    join_all(clusters.map(|cluster| cluster.on_every_shard(sql))).await;
                }
                Step::Fill { table, query } => self.fill(case, table, query, findings).await,
                Step::Statement(statement) if protocol == Protocol::Simple && !statement.parameters.is_empty() => {}
                Step::Statement(statement) if statement.expect == Expect::Refused => {
                    self.refuse(case, statement, protocol, findings).await;
                }
                Step::Statement(statement) => self.statement(case, statement, protocol, findings).await,
            }
        }
        let all = std::iter::once(&mut self.oracle).chain(&mut self.sides);
        let ended = join_all(all.map(Side::end_case)).await;
        if ended.contains(&false) {
            findings.differences.push(format!("{}: a transaction is left open", case.name));
        }
    }

    async fn refuse(&mut self, case: &Case, statement: &Statement, protocol: Protocol, findings: &mut Findings) {
        let Statement { sql, parameters, .. } = statement;
        let valid = self.oracle.try_out(sql).await;
        findings.judge_truth(case, sql, &valid, Expect::Same);
        for side in self.sides.iter_mut().filter(|side| side.has_several_shards()) {
            let answer = side.run(protocol, sql, parameters).await;
            findings.judge_refusal(case, &side.label, sql, &answer);
        }
    }

    async fn statement(&mut self, case: &Case, statement: &Statement, protocol: Protocol, findings: &mut Findings) {
        let Statement { sql, parameters, .. } = statement;
        let all = std::iter::once(&mut self.oracle).chain(self.sides.iter_mut().filter(|side| !side.left));
        let mut answers = join_all(all.map(|side| side.run(protocol, sql, parameters))).await.into_iter();
        let truth = answers.next().unwrap_or_default();
        findings.judge_truth(case, sql, &truth, statement.expect);
        let may_refuse = statement.may_refuse || protocol == Protocol::Portions;
        for (side, answer) in self.sides.iter_mut().filter(|side| !side.left).zip(answers) {
            let right = findings.judge(case, side, statement, may_refuse, &truth, &answer);
            side.left = !right && answer.status != truth.status;
        }
    }

    /// Gives clusters the rows that the one PostgreSQL has made, a few of one key at a time.
    async fn fill(&mut self, case: &Case, table: &str, query: &str, findings: &mut Findings) {
        let made = self.oracle.run(Protocol::Simple, &format!("INSERT INTO {table} {query}"), &[]).await;
        findings.judge_truth(case, query, &made, Expect::Same);
        let rows = self.oracle.run(Protocol::Simple, &format!("TABLE {table}"), &[]).await.rows;
        let writes = inserts(table, rows);
        let filled = join_all(self.sides.iter_mut().map(|side| async {
            for write in &writes {
                if let Some(error) = side.run(Protocol::Simple, write, &[]).await.error {
                    return Some(format!("{}: {error:?}: {write}", side.label));
                }
            }
            None
        }))
        .await;
        filled.into_iter().flatten().for_each(|fault| findings.tell(case, query, &fault));
    }
}

/// INSERTs of these rows, whose first value is their key.
pub fn inserts(table: &str, mut rows: Vec<Vec<Option<Bytes>>>) -> Vec<String> {
    rows.sort();
    let same_key = |one: &Vec<Option<Bytes>>, other: &Vec<Option<Bytes>>| one.first() == other.first();
    let write = |rows: &[Vec<Option<Bytes>>]| {
        let rows: Vec<String> = rows.iter().map(|row| literals(row)).collect();
        format!("INSERT INTO {table} VALUES {}", rows.join(", "))
    };
    rows.chunk_by(same_key).flat_map(|of_key| of_key.chunks(ROWS_AT_ONCE)).map(write).collect()
}

/// A row of literals without a type.
fn literals(row: &[Option<Bytes>]) -> String {
    let literal = |value: &Option<Bytes>| match value {
        None => "NULL".to_owned(),
        Some(text) => format!("'{}'", String::from_utf8_lossy(text).replace('\'', "''")),
    };
    format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(", "))
}

impl Findings {
    /// A case must not pass because its statement is wrong.
    fn judge_truth(&mut self, case: &Case, sql: &str, truth: &Answer, expect: Expect) {
        if truth.error.is_some() != (expect == Expect::Error) {
            self.tell(case, sql, &format!("expected {expect:?}, but PostgreSQL itself says: {truth:?}"));
        }
    }

    /// Whether the answer is PostgreSQL's; what is not is told, unless it is a refusal that the case allows.
    fn judge(
        &mut self,
        case: &Case,
        side: &Side<'_>,
        statement: &Statement,
        may_refuse: bool,
        truth: &Answer,
        answer: &Answer,
    ) -> bool {
        self.compared += 1;
        if answer.is_refusal() && !truth.is_refusal() && side.has_several_shards() {
            let message = answer.error.as_ref().map(|(_, message)| message.clone()).unwrap_or_default();
            let refusal = Refusal { file: case.file.clone(), line: statement.line, message };
            if may_refuse && answer.hint.is_some() {
                self.allowed.push(refusal);
                return false;
            }
            self.unmarked.push(refusal);
        }
        let compare = Compare { rows: statement.rows().clone(), floats: statement.compare.floats };
        let difference = answer.difference_by(truth, &compare);
        if let Some(what) = difference {
            let label = &side.label;
            self.tell(case, &statement.sql, &format!("{what}\n    PostgreSQL: {truth:?}\n    {label}: {answer:?}"));
        }
        difference.is_none()
    }

    fn judge_refusal(&mut self, case: &Case, side: &str, sql: &str, answer: &Answer) {
        if answer.is_refusal() {
            self.refused += 1;
        } else {
            self.tell(case, sql, &format!("expected 0A000\n    {side}: {answer:?}"));
        }
    }

    fn tell(&mut self, case: &Case, sql: &str, what: &str) {
        let mut text = String::new();
        let _ = write!(text, "{}\n  {}\n    differs in {what}", case.name, sql.replace('\n', "\n  "));
        self.differences.push(text);
    }

    /// Ends a test: says what was compared, or panics with every difference.
    ///
    /// # Panics
    /// If there is a difference, or nothing was compared.
    pub fn finish(self) {
        assert!(self.compared > 0, "nothing was compared");
        let Findings { differences, compared, refused, allowed, .. } = self;
        let (differ, allowed) = (differences.len(), allowed.len());
        println!("{compared} answers compared, {refused} refused as expected, {allowed} as allowed, {differ} differ");
        assert!(differences.is_empty(), "{differ} differences:\n\n{}", differences.join("\n\n"));
    }
}

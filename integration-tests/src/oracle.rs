//! The oracle: the same statements on one PostgreSQL and through pgring, and every difference told.
//! In: case files. Out: differences in column names, types, rows, tags and SQLSTATEs. Never: accepts a refusal that no case expects.
//!
//! A case file holds statements, each ended by a `;` at the end of a line, and directives:
//! - `-- case: name` begins a case;
//! - `-- expect: same | error | refused` holds for the statements that follow it in its case (`same` at first): the same
//!   answer; the same SQLSTATE; 0A000 from a cluster of several shards (the one
//!   PostgreSQL must be able to EXPLAIN such a statement, or to run it and roll it back; it runs nowhere else);
//! - `-- params: ["7", null]` gives the next statement parameters as text; it runs in the extended protocol only;
//! - `-- pgring: ADMIN COMMAND` runs in the admin database of clusters;
//! - `-- servers: STATEMENT` runs on the one PostgreSQL and, past the router, on every shard.
//!
//! Rows are compared in order when the statement says ORDER BY, else as multisets.

use std::fmt::{self, Debug, Write as _};
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};

use crate::client::{Frame, Raw};
use crate::cluster::Cluster;
use crate::postgres::{DATABASE, Postgres};

/// How statements travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Query messages.
    Simple,
    /// Parse, Bind, Execute; results as text.
    ExtendedText,
    /// Parse, Bind, Execute; results in binary.
    ExtendedBinary,
}

/// What a case says of a statement's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The statement succeeds with the same answer.
    Same,
    /// The statement fails with the same SQLSTATE.
    Error,
    /// Several shards answer 0A000.
    Refused,
}

/// One thing a case does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A statement for both sides.
    Statement {
        /// Its text, without the final semicolon.
        sql: String,
        /// Its parameters, as text.
        parameters: Vec<Option<String>>,
        /// What its answer must be.
        expect: Expect,
    },
    /// An admin command for clusters.
    Admin(String),
    /// A statement for every PostgreSQL server, past the router.
    Servers(String),
}

/// Steps with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// File and name, for messages.
    pub name: String,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

/// What one statement was answered.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Names and type OIDs of the columns, of each result.
    pub columns: Vec<(String, u32)>,
    /// The rows' values as they came.
    pub rows: Vec<Vec<Option<Bytes>>>,
    /// The command tags.
    pub tags: Vec<String>,
    /// The SQLSTATE, with the message for people.
    pub error: Option<(String, String)>,
}

/// The cases of one folder: `setup.sql` first, the other files by name.
#[derive(Clone, Debug)]
pub struct World {
    /// What makes the tables and rows.
    pub setup: Vec<Case>,
    /// The cases.
    pub cases: Vec<Case>,
}

impl World {
    /// Reads `cases/<name>/*.sql` of this crate.
    ///
    /// # Panics
    /// If the folder or a directive is wrong.
    pub fn read(name: &str) -> World {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
        files.sort();
        let mut world = World { setup: Vec::new(), cases: Vec::new() };
        for file in files {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let cases = parse(&stem, &text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            if stem == "setup" { world.setup = cases } else { world.cases.extend(cases) }
        }
        world
    }

    /// How many statements the cases hold.
    pub fn statements(&self) -> usize {
        let is_statement = |step: &&Step| matches!(step, Step::Statement { .. });
        self.cases.iter().flat_map(|case| &case.steps).filter(is_statement).count()
    }
}

/// Reads the text of a case file.
///
/// # Errors
/// A sentence with the line of a wrong directive or of a statement without an end.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut reader =
        Reader { file, cases: Vec::new(), expect: Expect::Same, parameters: Vec::new(), sql: String::new() };
    for (number, line) in text.lines().enumerate() {
        reader.line(line).map_err(|error| format!("line {}: {error}", number + 1))?;
    }
    if reader.sql.trim().is_empty() { Ok(reader.cases) } else { Err("the last statement has no `;`".to_owned()) }
}

/// The state of reading one file.
struct Reader<'a> {
    file: &'a str,
    cases: Vec<Case>,
    expect: Expect,
    parameters: Vec<Option<String>>,
    sql: String,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let directive = line.strip_prefix("-- ").and_then(|rest| rest.split_once(": "));
        match directive {
            Some(("case", name)) => {
                self.expect = Expect::Same;
                self.cases.push(Case { name: format!("{}: {}", self.file, name.trim()), steps: Vec::new() });
                Ok(())
            }
            Some(("expect", what)) => self.expect(what.trim()),
            Some(("params", json)) => {
                self.parameters = serde_json::from_str(json).map_err(|error| error.to_string())?;
                Ok(())
            }
            Some(("pgring", command)) => self.step(Step::Admin(command.trim().to_owned())),
            Some(("servers", sql)) => self.step(Step::Servers(sql.trim().to_owned())),
            _ if line.starts_with("--") => Ok(()),
            _ => self.sql(line),
        }
    }

    fn expect(&mut self, what: &str) -> Result<(), String> {
        self.expect = match what {
            "same" => Expect::Same,
            "error" => Expect::Error,
            "refused" => Expect::Refused,
            other => return Err(format!("expect is same, error or refused, not {other}")),
        };
        Ok(())
    }

    fn sql(&mut self, line: &str) -> Result<(), String> {
        self.sql.push_str(line);
        self.sql.push('\n');
        let Some(sql) = self.sql.trim().strip_suffix(';').map(str::to_owned) else { return Ok(()) };
        self.sql.clear();
        let parameters = std::mem::take(&mut self.parameters);
        self.step(Step::Statement { sql, parameters, expect: self.expect })
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        self.cases.last_mut().ok_or("a statement before the first case")?.steps.push(step);
        Ok(())
    }
}

impl Answer {
    /// What the messages up to ReadyForQuery say.
    ///
    /// # Panics
    /// If a message is malformed.
    pub fn of(frames: &[Frame]) -> Answer {
        let mut answer = Answer::default();
        for frame in frames {
            match frame.tag {
                b'T' => answer.columns.extend(columns(frame.body.clone())),
                b'D' => answer.rows.push(row(frame.body.clone())),
                b'C' => answer.tags.push(frame.text()),
                b'I' => answer.tags.push("(empty)".to_owned()),
                b'E' => {
                    let fields = frame.fields();
                    let field = |code| fields.get(&code).cloned().unwrap_or_default();
                    answer.error = Some((field(b'C'), field(b'M')));
                }
                _ => {}
            }
        }
        answer
    }

    /// The SQLSTATE of a failure.
    pub fn sqlstate(&self) -> Option<&str> {
        self.error.as_ref().map(|(sqlstate, _)| sqlstate.as_str())
    }

    /// What differs from the oracle's answer; rows in any order unless `ordered`.
    pub fn difference(&self, oracle: &Answer, ordered: bool) -> Option<&'static str> {
        let rows = |answer: &Answer| {
            let mut rows = answer.rows.clone();
            if !ordered {
                rows.sort();
            }
            rows
        };
        match () {
            () if self.sqlstate() != oracle.sqlstate() => Some("SQLSTATE"),
            () if self.error.is_some() => None,
            () if self.columns != oracle.columns => Some("columns"),
            () if self.tags != oracle.tags => Some("tag"),
            () if rows(self) != rows(oracle) => Some("rows"),
            () => None,
        }
    }
}

impl Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((sqlstate, message)) = &self.error {
            return write!(f, "error {sqlstate}: {message}");
        }
        write!(f, "{:?} {:?}, {} rows:", self.tags, self.columns, self.rows.len())?;
        for row in self.rows.iter().take(12) {
            let values: Vec<_> = row.iter().map(|value| value.as_ref().map(|v| v.escape_ascii().to_string())).collect();
            write!(f, "\n      {values:?}")?;
        }
        Ok(())
    }
}

/// Names and type OIDs of a RowDescription.
fn columns(mut body: Bytes) -> Vec<(String, u32)> {
    let count = body.get_u16();
    (0..count)
        .map(|_| {
            let end = body.iter().position(|byte| *byte == 0).expect("a column's name");
            let name = String::from_utf8_lossy(&body.split_to(end)).into_owned();
            body.advance(1 + 4 + 2);
            let oid = body.get_u32();
            body.advance(2 + 4 + 2);
            (name, oid)
        })
        .collect()
}

/// The values of a DataRow.
fn row(mut body: Bytes) -> Vec<Option<Bytes>> {
    let count = body.get_u16();
    (0..count).map(|_| usize::try_from(body.get_i32()).ok().map(|length| body.split_to(length))).collect()
}

/// One side of the comparison.
struct Side<'a> {
    label: String,
    raw: Raw,
    cluster: Option<&'a Cluster>,
}

impl Side<'_> {
    async fn run(&mut self, protocol: Protocol, sql: &str, parameters: &[Option<String>]) -> Answer {
        let frames = match protocol {
            Protocol::Simple => self.raw.query(sql).await,
            Protocol::ExtendedText => self.raw.extended(sql, parameters, false).await,
            Protocol::ExtendedBinary => self.raw.extended(sql, parameters, true).await,
        };
        Answer::of(&frames)
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
}

/// Runs a world on one PostgreSQL and through each cluster, and collects every difference.
///
/// # Panics
/// If the set-up fails on any side: nothing after it would mean anything.
pub async fn compare(world: &World, protocol: Protocol, oracle: &Postgres, clusters: &[&Cluster]) -> Findings {
    let raw = Raw::log_in(oracle.server().port(), "postgres", "postgres", DATABASE).await;
    let mut oracle = Side { label: "PostgreSQL".to_owned(), raw, cluster: None };
    let mut sides = Vec::new();
    for &cluster in clusters {
        let label = format!("pgring with {} shards", cluster.shard_count());
        sides.push(Side { label, raw: cluster.raw().await, cluster: Some(cluster) });
    }
    let mut set_up = Findings::default();
    for case in &world.setup {
        run_case(case, Protocol::Simple, &mut oracle, &mut sides, &mut set_up).await;
    }
    assert!(set_up.differences.is_empty(), "the set-up differs:\n{}", set_up.differences.join("\n"));
    let mut findings = Findings::default();
    for case in &world.cases {
        run_case(case, protocol, &mut oracle, &mut sides, &mut findings).await;
    }
    findings
}

/// Runs one case on all sides.
async fn run_case(
    case: &Case,
    protocol: Protocol,
    oracle: &mut Side<'_>,
    sides: &mut [Side<'_>],
    findings: &mut Findings,
) {
    for step in &case.steps {
        match step {
            Step::Admin(command) => {
                for cluster in sides.iter().filter_map(|side| side.cluster) {
                    cluster.admin(command).await;
                }
            }
            Step::Servers(sql) => {
                let truth = oracle.run(Protocol::Simple, sql, &[]).await;
                findings.judge_truth(case, sql, &truth, Expect::Same);
                for cluster in sides.iter().filter_map(|side| side.cluster) {
                    cluster.on_every_shard(sql).await;
                }
            }
            Step::Statement { parameters, .. } if protocol == Protocol::Simple && !parameters.is_empty() => {}
            Step::Statement { sql, parameters, expect: Expect::Refused } => {
                let valid = oracle.try_out(sql).await;
                findings.judge_truth(case, sql, &valid, Expect::Same);
                for side in sides.iter_mut().filter(|side| side.cluster.is_some_and(|c| c.shard_count() > 1)) {
                    let answer = side.run(protocol, sql, parameters).await;
                    findings.judge_refusal(case, &side.label, sql, &answer);
                }
            }
            Step::Statement { sql, parameters, expect } => {
                let truth = oracle.run(protocol, sql, parameters).await;
                findings.judge_truth(case, sql, &truth, *expect);
                for side in sides.iter_mut() {
                    let answer = side.run(protocol, sql, parameters).await;
                    findings.judge(case, &side.label, sql, &truth, &answer);
                }
            }
        }
    }
}

impl Findings {
    /// A case must not pass because its statement is wrong.
    fn judge_truth(&mut self, case: &Case, sql: &str, truth: &Answer, expect: Expect) {
        if truth.error.is_some() != (expect == Expect::Error) {
            self.tell(case, sql, &format!("expected {expect:?}, but PostgreSQL itself says: {truth:?}"));
        }
    }

    fn judge(&mut self, case: &Case, side: &str, sql: &str, truth: &Answer, answer: &Answer) {
        self.compared += 1;
        let ordered = sql.to_ascii_uppercase().contains("ORDER BY");
        if let Some(what) = answer.difference(truth, ordered) {
            self.tell(case, sql, &format!("{what}\n    PostgreSQL: {truth:?}\n    {side}: {answer:?}"));
        }
    }

    fn judge_refusal(&mut self, case: &Case, side: &str, sql: &str, answer: &Answer) {
        if answer.sqlstate() == Some("0A000") {
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
        let Findings { differences, compared, refused } = self;
        println!("{compared} answers compared, {refused} refused as expected, {} differ", differences.len());
        assert!(differences.is_empty(), "{} differences:\n\n{}", differences.len(), differences.join("\n\n"));
    }
}

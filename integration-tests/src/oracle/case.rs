//! Case files: what is done, and what must be true of its answer.
//! In: the text of case files. Out: cases with steps. Never: runs one.

use std::path::{Path, PathBuf};

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

/// How the rows of two answers are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// In order if the statement itself says ORDER BY or fetches from a cursor, else as multisets.
    #[default]
    BySql,
    /// One by one.
    Ordered,
    /// As multisets.
    AnyOrder,
    /// As multisets, and these columns (from 0) one by one: what the rows are ordered by.
    Ties(Vec<usize>),
    /// Only how many they are: which they are is chance.
    Count,
    /// Not at all.
    Ignored,
}

/// How two answers are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compare {
    /// The rows.
    pub rows: Rows,
    /// Floats are equal within 1e-12 of their size.
    pub floats: bool,
}

/// A statement for both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the final semicolon.
    pub sql: String,
    /// Its parameters, as text.
    pub parameters: Vec<Option<String>>,
    /// What its answer must be.
    pub expect: Expect,
    /// Whether several shards may answer 0A000 with a hint, for now.
    pub may_refuse: bool,
    /// How its answers are compared.
    pub compare: Compare,
    /// The line of its file that it begins on, from 1.
    pub line: usize,
}

impl Statement {
    /// A statement that must be answered alike.
    pub fn plain(sql: &str) -> Statement {
        let sql = sql.to_owned();
        let (expect, compare) = (Expect::Same, Compare::default());
        Statement { sql, parameters: Vec::new(), expect, may_refuse: false, compare, line: 0 }
    }

    /// Whether it is a query, whose plan EXPLAIN shows.
    pub fn is_query(&self) -> bool {
        let sql = self.sql.trim_start_matches(|c: char| c == '(' || c.is_whitespace()).to_ascii_uppercase();
        ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|verb| sql.starts_with(verb))
    }

    /// How its rows are compared, once its text is read.
    pub fn rows(&self) -> &Rows {
        match &self.compare.rows {
            Rows::BySql if is_ordered(&self.sql) => &Rows::Ordered,
            Rows::BySql => &Rows::AnyOrder,
            other => other,
        }
    }
}

/// Whether a statement's own rows have an order: ORDER BY outside all parentheses and strings, or a FETCH.
pub fn is_ordered(sql: &str) -> bool {
    let upper = sql.trim_start().to_ascii_uppercase();
    if upper.starts_with("FETCH") {
        return true;
    }
    let (mut depth, mut quote, mut outside) = (0_i32, None, String::new());
    for c in upper.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, _) if depth == 0 => outside.push(c),
            (None, _) => {}
        }
    }
    outside.contains("ORDER BY")
}

/// One thing a case does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A statement for both sides.
    Statement(Statement),
    /// An admin command for clusters.
    Admin(String),
    /// A statement for every PostgreSQL server, past the router.
    Servers(String),
    /// Rows that the one PostgreSQL makes with a query, and clusters are given through the router.
    Fill {
        /// The table, whose first column is its key.
        table: String,
        /// The query.
        query: String,
    },
}

/// Steps with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The name of its file, without `.sql`.
    pub file: String,
    /// File and name, for messages.
    pub name: String,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

impl Case {
    /// Its statements.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.steps.iter().filter_map(|step| match step {
            Step::Statement(statement) => Some(statement),
            _ => None,
        })
    }

    /// The numbers in `[trap N]` of its name.
    pub fn traps(&self) -> impl Iterator<Item = usize> {
        self.name.split("[trap ").skip(1).filter_map(|rest| rest.split(']').next()?.parse().ok())
    }
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
    /// The folder `cases/<name>` of this crate.
    pub fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(name)
    }

    /// Reads `cases/<name>/*.sql` of this crate.
    ///
    /// # Panics
    /// If the folder or a directive is wrong.
    pub fn read(name: &str) -> World {
        let folder = Self::folder(name);
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
        self.cases.iter().map(|case| case.statements().count()).sum()
    }
}

/// Reads the text of a case file.
///
/// # Errors
/// A sentence with the line of a wrong directive or of a statement without an end.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let next = Statement::plain("");
    let mut reader = Reader { file, cases: Vec::new(), expect: Expect::Same, next, fill: None };
    for (number, line) in text.lines().enumerate() {
        reader.line(number + 1, line).map_err(|error| format!("line {}: {error}", number + 1))?;
    }
    if reader.next.sql.trim().is_empty() { Ok(reader.cases) } else { Err("the last statement has no `;`".to_owned()) }
}

/// The state of reading one file.
struct Reader<'a> {
    file: &'a str,
    cases: Vec<Case>,
    expect: Expect,
    /// The statement whose text or directives are being read.
    next: Statement,
    fill: Option<String>,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let directive = line.strip_prefix("-- ").and_then(|rest| rest.split_once(": "));
        match directive {
            Some(("case", name)) => {
                self.expect = Expect::Same;
                let name = format!("{}: {}", self.file, name.trim());
                self.cases.push(Case { file: self.file.to_owned(), name, steps: Vec::new() });
            }
            Some(("expect", what)) => self.expect(what.trim())?,
            Some(("compare", how)) => self.next.compare = comparison(how)?,
            Some(("params", json)) => {
                self.next.parameters = serde_json::from_str(json).map_err(|error| error.to_string())?;
            }
            Some(("pgring", command)) => return self.step(Step::Admin(command.trim().to_owned())),
            Some(("servers", sql)) => return self.step(Step::Servers(sql.trim().to_owned())),
            Some(("fill", table)) => self.fill = Some(table.trim().to_owned()),
            None if line == MAY_REFUSE => self.next.may_refuse = true,
            _ if line.starts_with("--") => {}
            _ => return self.sql(number, line),
        }
        Ok(())
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

    fn sql(&mut self, number: usize, line: &str) -> Result<(), String> {
        if self.next.sql.trim().is_empty() {
            self.next.line = number;
        }
        self.next.sql.push_str(line);
        self.next.sql.push('\n');
        let Some(sql) = self.next.sql.trim().strip_suffix(';').map(str::to_owned) else { return Ok(()) };
        let next = std::mem::replace(&mut self.next, Statement::plain(""));
        let step = match self.fill.take() {
            Some(table) => Step::Fill { table, query: sql },
            None => Step::Statement(Statement { sql, expect: self.expect, ..next }),
        };
        self.step(step)
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        self.cases.last_mut().ok_or("a statement before the first case")?.steps.push(step);
        Ok(())
    }
}

/// The line before a statement that several shards may refuse.
pub const MAY_REFUSE: &str = "-- may refuse";

/// Reads what stands after `-- compare: `.
fn comparison(how: &str) -> Result<Compare, String> {
    let mut compare = Compare::default();
    for word in how.split_whitespace() {
        match (word, &mut compare.rows) {
            ("floats", _) => compare.floats = true,
            ("ordered", rows) => *rows = Rows::Ordered,
            ("unordered", rows) => *rows = Rows::AnyOrder,
            ("count", rows) => *rows = Rows::Count,
            ("columns", rows) => *rows = Rows::Ignored,
            ("ties", rows) => *rows = Rows::Ties(Vec::new()),
            (place, Rows::Ties(places)) => {
                let place: usize = place.parse().map_err(|_| format!("{place} is no column's place"))?;
                places.push(place.checked_sub(1).ok_or("columns are counted from 1")?);
            }
            (other, _) => return Err(format!("nothing is compared by {other}")),
        }
    }
    Ok(compare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_seen_outside_parentheses_and_strings_only() {
        for ordered in ["SELECT 1 ORDER BY 1", "fetch 3 from c", "SELECT (a), 'x' FROM t order by b"] {
            assert!(is_ordered(ordered), "{ordered}");
        }
        for any in ["SELECT rank() OVER (ORDER BY a) FROM t", "SELECT 'ORDER BY'", "SELECT string_agg(a, ORDER BY b)"] {
            assert!(!is_ordered(any), "{any}");
        }
    }

    #[test]
    fn comparisons_are_read() {
        let read = |how| comparison(how).unwrap();
        assert_eq!(read("ties 1 3"), Compare { rows: Rows::Ties(vec![0, 2]), floats: false });
        assert_eq!(read("floats"), Compare { rows: Rows::BySql, floats: true });
        assert_eq!(read("count").rows, Rows::Count);
        assert!(comparison("1").is_err());
        assert!(comparison("ties 0").is_err());
        assert!(comparison("luck").is_err());
    }

    #[test]
    fn a_mark_holds_for_one_statement() {
        let cases = parse("f", "-- case: a [trap 7]\n-- may refuse\nSELECT 1;\nSELECT\n 2;\n").unwrap();
        let marks: Vec<_> = cases[0].statements().map(|statement| (statement.may_refuse, statement.line)).collect();
        assert_eq!(marks, [(true, 3), (false, 4)]);
        assert_eq!(cases[0].traps().collect::<Vec<_>>(), [7]);
    }
}

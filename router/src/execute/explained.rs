//! Explained: the plans of several servers as one answer of EXPLAIN, in the format that was asked for. In: what each
//! server said. Out: rows of the column QUERY PLAN. Never: reads a plan.

use crate::{
    pool::conn::{Conn, ConnError, is_fatal},
    sql::words::{Token, Words},
};
use bytes::BytesMut;
use pgring_protocol::message::{
    notice::Fields,
    result::{self, Field},
};
use std::{
    fmt::Write,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

/// The format of an EXPLAIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One XML document.
    Xml,
    /// One YAML document.
    Yaml,
}

/// What stands between EXPLAIN and the statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// FORMAT
    pub format: Format,
    /// ANALYZE
    pub analyze: bool,
}

impl Options {
    /// Reads the options at the head of an EXPLAIN.
    pub fn of(text: &str) -> Self {
        let mut options = Self::default();
        let mut words = Words::new(text);
        words.advance();
        let listed = words.symbol('(');
        while !words.is_finished() && !words.symbol(')') {
            if words.one_of(&["analyze", "analyse"]).is_some() {
                options.analyze = !(listed && is_off(&mut words));
            } else if listed && words.word("format") {
                let name = words.string().or_else(|| words.name()).unwrap_or_default().to_ascii_lowercase();
                options.format = match name.as_str() {
                    "json" => Format::Json,
                    "xml" => Format::Xml,
                    "yaml" => Format::Yaml,
                    _ => Format::Text,
                };
            } else if listed || words.word("verbose") {
                if listed {
                    words.advance();
                }
            } else {
                break;
            }
        }
        options
    }

    /// Type of the column QUERY PLAN: text, json or xml.
    pub fn type_oid(self) -> u32 {
        match self.format {
            Format::Text | Format::Yaml => 25,
            Format::Json => 114,
            Format::Xml => 142,
        }
    }
}

fn is_off(words: &mut Words<'_>) -> bool {
    let off = words.is_word("false") || words.is_word("off") || *words.peek() == Token::Symbol('0');
    let text = words.text().get(words.start()..words.end()).unwrap_or_default();
    let off = off || matches!(text.trim_matches('\'').to_ascii_lowercase().as_str(), "0" | "false" | "off");
    if off {
        words.advance();
    }
    off
}

/// What one server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What its plan is of: `Shard`, `Input`, `Final`.
    pub what: &'static str,
    /// The table that is read, for an input.
    pub table: Option<String>,
    /// The shard.
    pub shard: String,
    /// The statement that it gets.
    pub statement: String,
    /// Its answer, line by line; None: it was not asked, as it needs the rows first.
    pub plan: Option<Vec<String>>,
}

/// How pgring answers a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `Scatter` or `Gather`.
    pub kind: &'static str,
    /// What is done with the shards' rows.
    pub why: String,
    /// What the servers said.
    pub parts: Vec<Part>,
}

impl Explained {
    /// The rows of the answer.
    pub fn rows(&self, format: Format) -> Vec<String> {
        match format {
            Format::Text => self.text(),
            Format::Json => vec![self.json()],
            Format::Xml => vec![self.xml()],
            Format::Yaml => vec![self.yaml()],
        }
    }

    fn text(&self) -> Vec<String> {
        let mut lines = vec![format!("{}  ({})", self.kind, self.why)];
        for part in &self.parts {
            let what = match (&part.table, part.what) {
                (Some(table), what) => format!("{what} {table} on {}", part.shard),
                (None, "Shard") => format!("Shard {}", part.shard),
                (None, what) => format!("{what} on {}", part.shard),
            };
            lines.push(format!("  ->  {what}"));
            lines.push(format!("        Statement: {}", one_line(&part.statement)));
            lines.extend(part.plan.iter().flatten().map(|line| format!("        {line}")));
        }
        lines
    }

    fn json(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(json_of).collect();
        format!(
            "[\n  {{\n    \"Plan\": {{\n      \"Node Type\": {},\n      \"Provider\": \"pgring\",\n      \"Reason\": {},\n      \
             \"Plans\": [\n{}\n      ]\n    }}\n  }}\n]",
            json(self.kind),
            json(&self.why),
            parts.join(",\n")
        )
    }

    fn xml(&self) -> String {
        let mut out =
            String::from("<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n    <Plan>\n");
        let _ = writeln!(out, "      <Node-Type>{}</Node-Type>", xml(self.kind));
        let _ = writeln!(out, "      <Provider>pgring</Provider>");
        let _ = writeln!(out, "      <Reason>{}</Reason>\n      <Plans>", xml(&self.why));
        for part in &self.parts {
            let _ = writeln!(out, "        <Plan>");
            for (name, value) in fields(part) {
                let _ = writeln!(out, "          <{0}>{1}</{0}>", name.replace(' ', "-"), xml(value));
            }
            for line in part.plan.iter().flatten().flat_map(|text| text.lines()) {
                let _ = writeln!(out, "          {line}");
            }
            let _ = writeln!(out, "        </Plan>");
        }
        out.push_str("      </Plans>\n    </Plan>\n  </Query>\n</explain>");
        out
    }

    fn yaml(&self) -> String {
        let mut out = format!("- Plan: \n    Node Type: {}\n    Provider: \"pgring\"\n", json(self.kind));
        let _ = write!(out, "    Reason: {}\n    Plans: ", json(&self.why));
        for part in &self.parts {
            for (nth, (name, value)) in fields(part).into_iter().enumerate() {
                let _ = write!(out, "\n      {} {name}: {}", if nth == 0 { "-" } else { " " }, json(value));
            }
            if let Some(plan) = &part.plan {
                out.push_str("\n        Explain: ");
                for line in plan.iter().flat_map(|text| text.lines()) {
                    let _ = write!(out, "\n          {line}");
                }
            }
        }
        out
    }
}

/// What a server answered.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// The first column of its rows, where they are kept.
    pub lines: Vec<String>,
    /// How many rows it sent, or changed.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the question to the end of the answer.
    pub elapsed: Duration,
}

/// Asks a server and reads its answers, one to a request.
///
/// # Errors
/// The server's first, after everything was read; or that of a connection that is lost.
pub async fn ask(conn: &mut Conn, requests: Vec<&BytesMut>, keeps: bool) -> Result<Vec<Answered>, ConnError> {
    let (mut all, mut failed) = (Vec::with_capacity(requests.len()), None);
    for request in requests {
        conn.send(request).await?;
        match answered(conn, keeps).await {
            Ok(answer) => all.push(answer),
            Err(ConnError::Server(fields)) => failed = failed.or(Some(ConnError::Server(fields))),
            Err(error) => return Err(error),
        }
    }
    failed.map_or(Ok(all), Err)
}

/// Reads an answer up to ReadyForQuery.
///
/// # Errors
/// As [`ask`].
pub async fn answered(conn: &mut Conn, keeps: bool) -> Result<Answered, ConnError> {
    let began = Instant::now();
    let (mut answer, mut failed) = (Answered::default(), None);
    let protocol = |error: pgring_protocol::message::MessageError| ConnError::Protocol(error.to_string());
    loop {
        let (kind, body) = conn.frame().await?;
        match kind {
            b'D' => {
                answer.rows += 1;
                answer.bytes += body.len() as u64;
                if keeps {
                    let first = result::columns(&body).map_err(protocol)?.next().transpose().map_err(protocol)?;
                    answer.lines.push(String::from_utf8_lossy(first.flatten().unwrap_or_default()).into_owned());
                }
            }
            b'C' => {
                let tag = result::tag(&body).map_err(protocol)?;
                answer.rows = tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(answer.rows);
            }
            b'E' => {
                let fields = Fields::parse(&body).map_err(protocol)?;
                if is_fatal(&fields) {
                    let said = fields.get(b'M').unwrap_or_default().to_owned();
                    return Err(ConnError::Lost(std::io::Error::other(said)));
                }
                failed.get_or_insert(fields);
            }
            b'S' => conn.reported.note(&body),
            b'Z' => break,
            _ => {}
        }
    }
    answer.elapsed = began.elapsed();
    failed.map_or(Ok(answer), |fields| Err(ConnError::Server(Box::new(fields))))
}

/// Waits for all of them at once.
pub async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut open: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = open.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut waits = false;
        for (future, output) in open.iter_mut().zip(&mut done) {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => waits = true,
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Rows as one JSON document.
pub fn json_rows(fields: &[Field], rows: &[Vec<Option<String>>]) -> String {
    let value = |(field, value): (&Field, &Option<String>)| {
        let text = match value {
            None => "null".to_owned(),
            Some(number) if field.type_oid != 25 => number.clone(),
            Some(text) => json(text),
        };
        format!("    {}: {text}", json(&field.name))
    };
    let row = |row: &Vec<Option<String>>| {
        format!("  {{\n{}\n  }}", fields.iter().zip(row).map(value).collect::<Vec<_>>().join(",\n"))
    };
    format!("[\n{}\n]", rows.iter().map(row).collect::<Vec<_>>().join(",\n"))
}

fn fields(part: &Part) -> Vec<(&'static str, &str)> {
    let mut fields = vec![("Node Type", part.what), ("Shard", part.shard.as_str())];
    fields.extend(part.table.as_deref().map(|table| ("Relation Name", table)));
    fields.push(("Statement", part.statement.as_str()));
    fields
}

fn json_of(part: &Part) -> String {
    let mut all: Vec<String> =
        fields(part).into_iter().map(|(name, value)| format!("          {}: {}", json(name), json(value))).collect();
    if let Some(plan) = &part.plan {
        let lines: Vec<&str> = plan.iter().flat_map(|text| text.lines()).collect();
        all.push(format!("          \"Explain\": {}", lines.join("\n          ")));
    }
    format!("        {{\n{}\n        }}", all.join(",\n"))
}

fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
}

/// A string of JSON, which is one of YAML too.
pub fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#x0d;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Explained {
        let part = |shard: &str, plan: &str| Part {
            what: "Shard",
            table: None,
            shard: shard.into(),
            statement: "SELECT \"a\"\n FROM t".into(),
            plan: Some(vec![plan.into()]),
        };
        Explained {
            kind: "Scatter",
            why: "rows are concatenated".into(),
            parts: vec![part("s0", "[]"), part("s1", "[]")],
        }
    }

    #[test]
    fn options_are_read_as_postgresql_reads_them() {
        let of = |text: &str| {
            let Options { format, analyze } = Options::of(text);
            (format, analyze)
        };
        assert_eq!(of("EXPLAIN SELECT 1"), (Format::Text, false));
        assert_eq!(of("explain analyze verbose select 1"), (Format::Text, true));
        assert_eq!(of("EXPLAIN (ANALYZE, FORMAT JSON) "), (Format::Json, true));
        assert_eq!(of("EXPLAIN (ANALYZE off, COSTS off, format 'yaml') "), (Format::Yaml, false));
        assert_eq!(
            of("EXPLAIN (VERBOSE true, FORMAT xml, ANALYZE false) (SELECT analyze FROM t)"),
            (Format::Xml, false)
        );
        assert_eq!(of("EXPLAIN (ANALYZE 0) SELECT 1"), (Format::Text, false));
        assert_eq!(of("EXPLAIN SELECT analyze FROM t"), (Format::Text, false));
    }

    #[test]
    fn each_format_wraps_the_servers_answers() {
        let explained = example();
        assert_eq!(
            explained.rows(Format::Text)[..3],
            ["Scatter  (rows are concatenated)", "  ->  Shard s0", "        Statement: SELECT \"a\" FROM t"]
        );
        let json = explained.rows(Format::Json).concat();
        assert!(json.contains("\"Statement\": \"SELECT \\\"a\\\"\\n FROM t\",\n          \"Explain\": []"), "{json}");
        assert!(explained.rows(Format::Xml).concat().ends_with("</Plans>\n    </Plan>\n  </Query>\n</explain>"));
        assert!(
            explained.rows(Format::Yaml).concat().contains("\n      - Node Type: \"Shard\"\n        Shard: \"s1\"")
        );
    }
}

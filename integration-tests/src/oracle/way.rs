//! Ways: how pgring says that it answers a statement. In: EXPLAIN (ROUTE). Out: a word. Never: runs the statement.

use std::fmt;

use super::Answer;
use crate::client::Raw;

/// How a statement is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// By one server, whichever rows there are.
    Local,
    /// By the one shard that its key leads to.
    OneShard,
    /// By shards, whose rows come one after another.
    PushedDown,
    /// By shards, whose rows are brought in order or whose groups are combined.
    Merged,
    /// By one server, to which rows are copied.
    Gathered,
    /// By every shard, as a change of schema is.
    Everywhere,
    /// Not at all.
    Refused,
    /// With an error of PostgreSQL's.
    Failed,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 8] = [
        Way::Local,
        Way::OneShard,
        Way::PushedDown,
        Way::Merged,
        Way::Gathered,
        Way::Everywhere,
        Way::Refused,
        Way::Failed,
    ];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Way::Local => "one server",
            Way::OneShard => "one shard",
            Way::PushedDown => "pushed down",
            Way::Merged => "merged",
            Way::Gathered => "gathered",
            Way::Everywhere => "every shard",
            Way::Refused => "refused",
            Way::Failed => "failed",
        })
    }
}

/// How a statement would be answered, as EXPLAIN (ROUTE) says.
pub async fn way(raw: &mut Raw, sql: &str, parameters: &[Option<String>]) -> Way {
    let sql = format!("EXPLAIN (ROUTE) {sql}");
    let answer = match parameters.is_empty() {
        true => Answer::of(&raw.query(&sql).await),
        false => Answer::of(&raw.extended(&sql, parameters, false).await),
    };
    let text =
        |value: &Option<bytes::Bytes>| String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
    let steps: Vec<(String, String)> =
        answer.rows.iter().filter_map(|row| Some((text(row.get(1)?), text(row.last()?)))).collect();
    let has = |kinds: &[&str]| steps.iter().any(|(kind, _)| kinds.contains(&kind.as_str()));
    match () {
        () if answer.is_refusal() || has(&["reject"]) => Way::Refused,
        () if has(&["gather"]) => Way::Gathered,
        () if has(&["scatter", "subset"]) => {
            let concatenated =
                steps.iter().all(|(_, why)| why.contains("concatenated") || why.contains("in one transaction"));
            if concatenated { Way::PushedDown } else { Way::Merged }
        }
        () if has(&["single"]) => Way::OneShard,
        () if has(&["broadcast"]) => Way::Everywhere,
        () if has(&["local"]) => Way::Local,
        () => Way::Failed,
    }
}

//! Stand-in: what a backend gets instead of a statement that names prepared statements: there they have pgring's names,
//! and other clients' are beside them. In: the client's statement. Out: one that means the same there.

use super::{Fault, Session, hold::Held, prepared::Prepared, simple::Done, sql_prepared::execute_over_shards};
use crate::{
    error::{Report, catalogue},
    plan::SessionEffect,
    sql::{
        verb::{Verb, first_word, recognise},
        words::Words,
    },
    txn::Reach,
};
use bytes::BytesMut;
use pgring_protocol::{message::build, quote};
use std::sync::Arc;

/// The view in which a session sees its prepared statements.
const VIEW: &str = "pg_prepared_statements";

/// Whether a statement may read the view of prepared statements.
pub fn looks_at_statements(text: &str) -> bool {
    text.contains(VIEW)
}

impl Session {
    /// What goes to a backend instead of this statement; None: the statement itself.
    pub(super) fn stand_in(&self, prepared: &Arc<Prepared>) -> Option<Arc<Prepared>> {
        let start = prepared.lexed.statements.first().map_or(0, |span| span.start as usize);
        let (text, needs) = match &prepared.verb {
            Some(Verb::Execute { name, open, .. }) => {
                let executed = self.statements.get(name.as_bytes())?;
                let arguments = prepared.text.get(start + open..).unwrap_or_default();
                (format!("EXECUTE {}{arguments}", executed.id?.name()), vec![executed.clone()])
            }
            None if prepared.explains => {
                let (at, name, open) = explained(&prepared.text)?;
                let executed = self.statements.get(name.as_bytes())?;
                let (before, rest) = (prepared.text.get(..at)?, prepared.text.get(at + open..)?);
                (format!("{before}EXECUTE {}{rest}", executed.id?.name()), vec![executed.clone()])
            }
            None if prepared.looks_at_statements => self.own_statements(&prepared.text),
            _ => return None,
        };
        let mut instead = Prepared::read(&text, prepared.types().into(), None);
        instead.needs = needs;
        Some(Arc::new(instead))
    }

    /// A query over the view of prepared statements, over the client's own ones; and those.
    fn own_statements(&self, text: &str) -> (String, Vec<Arc<Prepared>>) {
        let mut rows = Vec::new();
        let mut needs = Vec::new();
        let named = self.statements.iter().filter(|(name, _)| !name.is_empty());
        for (name, prepared) in named {
            let Some(id) = prepared.id else { continue };
            let statement = prepared.sql.as_deref().unwrap_or(&prepared.text);
            let name = quote::literal(&String::from_utf8_lossy(name));
            rows.push(format!("('{}',{name},{},{})", id.name(), quote::literal(statement), prepared.sql.is_some()));
            needs.push(prepared.clone());
        }
        if rows.is_empty() {
            rows.push("(NULL,NULL,NULL,NULL::pg_catalog.bool)".to_owned());
        }
        let version =
            self.settings.reported("server_version").and_then(|version| version.split('.').next()?.parse().ok());
        let result_types = if version.is_some_and(|major: u32| major >= 16) { "p.result_types," } else { "" };
        let view = format!(
            "{VIEW} AS (SELECT m.name, m.statement, p.prepare_time, p.parameter_types, {result_types} m.from_sql, \
             p.generic_plans, p.custom_plans FROM pg_catalog.{VIEW} p JOIN (VALUES {}) m(id, name, statement, from_sql) \
             ON p.name OPERATOR(pg_catalog.=) m.id)",
            rows.join(",")
        );
        (with(&view, text), needs)
    }

    /// EXPLAIN EXECUTE, or CREATE TEMPORARY TABLE … AS EXECUTE, by the simple protocol.
    pub(super) async fn execute_within(&mut self, text: &str, effect: &SessionEffect) -> Result<Done, Fault> {
        let unread = || Report::new(catalogue::UNSUPPORTED).detail("EXECUTE within a statement in this form");
        let Within { before, inner, tail } = Within::of(text).ok_or_else(unread)?;
        let Some(Verb::Execute { name, arguments, open }) = recognise(inner) else { return Err(unread().into()) };
        let snapshot = self.database.snapshot().clone();
        let executed = self.execution(inner, &name, &arguments, &snapshot)?;
        let (shard, reach) = executed.place.ok_or_else(execute_over_shards)?;
        let makes = !effect.creates_temp.is_empty();
        if makes && shard != snapshot.topology.default_shard {
            return Err(execute_over_shards().into());
        }
        let reach = if makes { Reach::Write } else { reach };
        self.admit(&[shard], reach, &snapshot).await?;
        let held = self.hold(&snapshot, shard).await?;
        let held = self.prepare_or_let_go(held, &executed.prepared).await?;
        self.pin_for(effect);
        let id = executed.prepared.id.map(|id| id.name()).unwrap_or_default();
        let rest = inner.get(open..).unwrap_or_default();
        let mut message = BytesMut::new();
        build::query(&mut message, format!("{before}EXECUTE {id}{rest}\n{tail}").as_bytes());
        let answer = self.relay_simple(held, &message, reach, false).await?;
        if answer.error.is_some() {
            return Err(Fault::Told);
        }
        self.note_temps(&effect.creates_temp);
        Ok(Done::Open)
    }

    /// Prepares a statement on a backend, unless it is there; if it cannot be, the backend is let go.
    pub(super) async fn prepare_or_let_go(&mut self, mut held: Held, prepared: &Prepared) -> Result<Held, Fault> {
        match self.prepare_there(&mut held, prepared).await {
            Ok(()) => Ok(held),
            Err(fault) => {
                if let Fault::Told = fault {
                    let status = if self.txn.is_some() { b'E' } else { b'I' };
                    self.let_go(held, status, Reach::Nothing);
                }
                Err(fault)
            }
        }
    }

    /// A query over the view of prepared statements, by the simple protocol.
    pub(super) async fn look_at_statements(&mut self, mut held: Held, text: &str) -> Result<Done, Fault> {
        let (instead, needs) = self.own_statements(text);
        for prepared in needs {
            held = self.prepare_or_let_go(held, &prepared).await?;
        }
        let mut message = BytesMut::new();
        build::query(&mut message, instead.as_bytes());
        let answer = self.relay_simple(held, &message, Reach::Nothing, false).await?;
        if answer.error.is_some() { Err(Fault::Told) } else { Ok(Done::Open) }
    }
}

/// A statement around an EXECUTE.
pub(super) struct Within<'a> {
    /// What stands before it.
    pub(super) before: &'a str,
    /// The EXECUTE with its arguments.
    pub(super) inner: &'a str,
    /// `WITH [NO] DATA`.
    pub(super) tail: &'a str,
}

impl<'a> Within<'a> {
    /// The EXECUTE in an EXPLAIN or a CREATE TABLE … AS.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let text = text.trim_end().trim_end_matches([';', ' ', '\n', '\t', '\r']);
        let mut words = Words::new(text);
        while !words.is_finished() {
            let at = words.start();
            if words.word("execute") {
                let last = text.to_ascii_lowercase().rfind("with").filter(|tail| *tail > at);
                let tail =
                    last.and_then(|last| text.get(last..)).filter(|tail| is_about_data(tail)).unwrap_or_default();
                let inner = text.get(at..text.len() - tail.len())?.trim_end();
                if matches!(recognise(inner), Some(Verb::Execute { .. })) {
                    return Some(Self { before: text.get(..at)?, inner, tail });
                }
            } else {
                words.advance();
            }
        }
        None
    }
}

/// `WITH DATA`, `WITH NO DATA`
fn is_about_data(tail: &str) -> bool {
    let mut words = tail.split_ascii_whitespace().map(str::to_ascii_lowercase);
    let all: Vec<String> = words.by_ref().collect();
    matches!(all.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ["with", "data"] | ["with", "no", "data"])
}

/// Where the EXECUTE of an EXPLAIN begins; its name, and where (from there) its arguments do.
fn explained(text: &str) -> Option<(usize, String, usize)> {
    let Within { before, inner, .. } = Within::of(text)?;
    let Verb::Execute { name, open, .. } = recognise(inner)? else { return None };
    Some((before.len(), name, open))
}

/// A query with one more common table expression before all others. The system's view is meant where it is named so.
fn with(view: &str, text: &str) -> String {
    let text = text.replace(&format!("pg_catalog.{VIEW}"), VIEW);
    if first_word(&text) != "WITH" {
        return format!("WITH {view} {}", text.trim_start());
    }
    let mut words = Words::new(&text);
    words.advance();
    let recursive = if words.word("recursive") { "RECURSIVE " } else { "" };
    format!("WITH {recursive}{view}, {}", text.get(words.start()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_ones_own_comes_first() {
        assert_eq!(
            with("v AS (q)", "SELECT * FROM pg_catalog.pg_prepared_statements"),
            "WITH v AS (q) SELECT * FROM pg_prepared_statements"
        );
        assert_eq!(with("v AS (q)", "with recursive a as (b) select"), "WITH RECURSIVE v AS (q), a as (b) select");
    }
}

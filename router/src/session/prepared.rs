//! Prepared: the client's own map of prepared statements, whatever backend serves it.

use super::stand_in::looks_at_statements;
use crate::{
    error::{Report, catalogue},
    plan::Plan,
    pool::statements::StatementId,
    route::bind::{Parameters, Values},
    sql::{
        fingerprint::{Lexed, lex},
        verb::{self, Verb},
        words::skip_blanks,
    },
};
use foldhash::fast::RandomState;
use pgring_config::key::KeyType;
use pgring_protocol::message::extended::TypeList;
use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A prepared statement of a client.
#[derive(Debug)]
pub struct Prepared {
    /// Its number on backends; None: the unnamed statement, parsed anew each time.
    pub id: Option<StatementId>,
    name: Box<str>,
    schema: Option<u64>,
    /// Its text.
    pub text: Arc<str>,
    /// Types of its parameters as declared.
    pub declared: Box<[u32]>,
    /// Its bytes on the wire, where they are not the text's.
    pub wire: Option<Box<[u8]>>,
    /// Its fingerprint.
    pub lexed: Lexed,
    /// What it is, if it is about the session or its transaction.
    pub verb: Option<Verb>,
    /// How many parameters a Bind of it needs; None: the server knows better.
    pub parameters: Option<usize>,
    /// It is an EXPLAIN.
    pub explains: bool,
    /// It is a COPY FROM STDIN, or looks like one.
    pub copies_in: bool,
    /// It may read the view of prepared statements.
    pub looks_at_statements: bool,
    /// The PREPARE that made it, if it was SQL.
    pub sql: Option<Box<str>>,
    /// Statements that must be on its backend before it.
    pub needs: Vec<Arc<Prepared>>,
    plan: Mutex<Option<(u64, u64, Arc<Plan>)>>,
}

impl Prepared {
    /// A statement of a client; given the `schema`'s version it is shared by text, types and that version, so that a
    /// client which prepares after a change of schema never meets what was prepared before it.
    pub fn new(text: &str, declared: Box<[u32]>, lexed: Lexed, schema: Option<u64>) -> Self {
        let id = schema.map(|schema| number(text, &declared, schema));
        let verb = match lexed.statements.as_slice() {
            [one] => text.get(one.start as usize..one.end as usize).and_then(verb::recognise),
            _ => None,
        };
        let name = id.map(|id| id.name().into()).unwrap_or_default();
        Self {
            id,
            name,
            schema,
            parameters: wanted(text, &lexed, verb.as_ref(), declared.len()),
            text: text.into(),
            wire: None,
            declared,
            lexed,
            verb,
            explains: begins_with(text, "explain"),
            copies_in: begins_with(text, "copy") && text.to_ascii_lowercase().contains("stdin"),
            looks_at_statements: looks_at_statements(text),
            sql: None,
            needs: Vec::new(),
            plan: Mutex::new(None),
        }
    }

    /// As [`Prepared::new`], of a text that is to be read first.
    pub fn read(text: &str, declared: Box<[u32]>, schema: Option<u64>) -> Self {
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        Self::new(text, declared, lexed, schema)
    }

    /// A statement that no other client shares, nor this one when it prepares it again.
    pub fn unshared(text: &str, declared: Box<[u32]>, named: bool) -> Self {
        let mut prepared = Self::read(text, declared, None);
        if named {
            let id = StatementId(NEXT.fetch_add(1, Ordering::Relaxed));
            prepared.name = id.name().into();
            prepared.id = Some(id);
        }
        prepared
    }

    /// The same with these bytes on the wire, which are not UTF-8 or not what the text says.
    pub fn foreign(mut self, wire: &[u8]) -> Self {
        self.wire = (*self.text.as_bytes() != *wire).then(|| wire.into());
        self
    }

    /// Its only statement, without what stands around it.
    pub fn only(&self) -> &str {
        let span = self.lexed.statements.first();
        span.and_then(|span| self.text.get(span.start as usize..span.end as usize)).unwrap_or_default()
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> &[u8] {
        self.wire.as_deref().unwrap_or(self.text.as_bytes())
    }

    /// Its name on backends; empty for the unnamed statement.
    pub fn backend_name(&self) -> &str {
        &self.name
    }

    /// It was made for these.
    fn is_of(&self, text: &str, types: TypeList<'_>, schema: Option<u64>) -> bool {
        self.schema == schema && *self.text == *text && self.declared.iter().copied().eq(types.iter())
    }

    /// Its plan, if it was made for this version and search path.
    pub fn plan(&self, version: u64, path: u64) -> Option<Arc<Plan>> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.as_ref().filter(|(v, p, _)| (*v, *p) == (version, path)).map(|(_, _, plan)| plan.clone())
    }

    /// Keeps its plan.
    pub fn keep_plan(&self, version: u64, path: u64, plan: &Arc<Plan>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, path, plan.clone()));
    }

    /// Types of the parameters where pgring itself answers: as declared, else as cast (`$1::bigint`), else text.
    pub fn own_types(&self) -> Vec<u32> {
        let declared = |n: usize| self.types().get(n - 1).copied().filter(|oid| *oid != 0);
        let cast = |n: usize| {
            let (_, rest) = self.text.split_once(&format!("${n}::"))?;
            let word = rest.split(|c: char| !c.is_alphanumeric()).next()?;
            KeyType::from_type_name(word).map(KeyType::oid)
        };
        (1..=usize::from(self.lexed.parameters)).map(|n| declared(n).or_else(|| cast(n)).unwrap_or(25)).collect()
    }

    /// Its literals with the parameters of an execution.
    pub fn values<'a>(&'a self, parameters: Parameters<'a>, utf8: bool) -> Values<'a> {
        Values { text: self.text.as_bytes(), lexed: &self.lexed, parameters, utf8 }
    }

    /// It is allowed in a transaction that has failed.
    pub fn may_end(&self) -> bool {
        use Verb::{Commit, PrepareTransaction, Rollback, RollbackTo};
        matches!(&self.verb, Some(Commit { .. } | Rollback { .. } | RollbackTo(_) | PrepareTransaction(_)))
    }

    /// The types that a Parse declared.
    pub fn types(&self) -> &[u32] {
        &self.declared
    }
}

/// Statements that a worker thread keeps, so that one which comes again is not read again.
const MOST_SEEN: usize = 2_000;
/// Longer texts are not kept.
const LONGEST_SEEN: usize = 16 * 1024;

thread_local! {
    static SEEN: RefCell<HashMap<u64, Arc<Prepared>, RandomState>> = RefCell::default();
}

/// The statement of a Parse: the one that this worker has seen, or a new one.
pub fn seen(text: &str, types: TypeList<'_>, schema: Option<u64>) -> Arc<Prepared> {
    SEEN.with_borrow_mut(|seen| {
        let mut hasher = seen.hasher().build_hasher();
        (text, schema).hash(&mut hasher);
        types.iter().for_each(|oid| oid.hash(&mut hasher));
        let hash = hasher.finish();
        if let Some(known) = seen.get(&hash).filter(|known| known.is_of(text, types, schema)) {
            return known.clone();
        }
        let prepared = Arc::new(Prepared::read(text, types.iter().collect(), schema));
        if text.len() <= LONGEST_SEEN {
            if seen.len() >= MOST_SEEN {
                seen.clear();
            }
            seen.insert(hash, prepared.clone());
        }
        prepared
    })
}

/// There is no statement of this name.
pub fn unknown(name: &[u8]) -> Report {
    let message = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
    };
    Report::with(catalogue::UNKNOWN_STATEMENT, message)
}

/// There is a statement of this name already.
pub fn duplicate(name: &[u8]) -> Report {
    let name = String::from_utf8_lossy(name);
    Report::with(catalogue::DUPLICATE_STATEMENT, format!("prepared statement \"{name}\" already exists"))
}

type Numbers = HashMap<(Box<str>, Box<[u32]>, u64), StatementId>;
static NUMBERS: LazyLock<Mutex<Numbers>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);
const MOST: usize = 50_000;

/// How many parameters a Bind needs, where that can be said for certain.
fn wanted(text: &str, lexed: &Lexed, verb: Option<&Verb>, declared: usize) -> Option<usize> {
    let Some(start) = lexed.statements.first().map(|span| span.start as usize) else { return Some(declared) };
    match verb {
        Some(Verb::Declare { .. }) => return None,
        Some(_) => return Some(declared),
        None if !lexed.certain => return None,
        None => {}
    }
    match verb::first_word(text.get(start..)?) {
        "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "VALUES" | "WITH" => {
            Some(declared.max(usize::from(lexed.parameters)))
        }
        "VACUUM" | "ANALYZE" | "DROP" | "TRUNCATE" | "COPY" | "LOCK" | "DO" | "ALTER" => Some(declared),
        _ => None,
    }
}

/// Whether this is the statement's first word.
fn begins_with(text: &str, word: &str) -> bool {
    let start = skip_blanks(text.as_bytes(), 0);
    let first = text.as_bytes().get(start..start + word.len());
    first.is_some_and(|first| first.eq_ignore_ascii_case(word.as_bytes()))
}

/// One number for equal text and types, so that clients share what a backend has prepared.
fn number(text: &str, declared: &[u32], schema: u64) -> StatementId {
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (text.into(), declared.into(), schema);
    if let Some(id) = numbers.get(&key) {
        return *id;
    }
    if numbers.len() >= MOST {
        // Old numbers stay good where they are held; new clients of the same text get new ones.
        numbers.clear();
    }
    let id = StatementId(NEXT.fetch_add(1, Ordering::Relaxed));
    numbers.insert(key, id);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_text_and_types_share_a_number() {
        let types = |oid| Box::from([oid]);
        let a = Prepared::new("SELECT $1", types(20), Lexed::default(), Some(1));
        let b = Prepared::new("SELECT $1", types(20), Lexed::default(), Some(1));
        let c = Prepared::new("SELECT $1", types(25), Lexed::default(), Some(1));
        let unnamed = Prepared::new("SELECT $1", types(25), Lexed::default(), None);
        let later = Prepared::new("SELECT $1", types(20), Lexed::default(), Some(2));
        assert_ne!(a.id, later.id);
        assert_eq!(a.id, b.id);
        assert_ne!(a.id, c.id);
        assert_eq!(unnamed.id, None);
    }
}

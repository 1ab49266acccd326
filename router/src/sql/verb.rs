//! Verb: statements about transactions, the session, cursors and two-phase commit, known by their keywords.
//! In: one statement. Out: the verb. Never: parses queries, judges syntax (what is not exactly understood is no verb).

mod setting;

use super::{
    fingerprint::scan::word_end,
    words::{Token, Words, skip_blanks},
};
use setting::{set, setting};

/// A transaction's isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED; PostgreSQL treats it as READ COMMITTED.
    ReadUncommitted,
    /// READ COMMITTED
    ReadCommitted,
    /// REPEATABLE READ
    RepeatableRead,
    /// SERIALIZABLE
    Serializable,
}

/// How long a SET lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetScope {
    /// SET, SET SESSION
    Session,
    /// SET LOCAL
    Local,
}

/// What a SET sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// `TO DEFAULT`, `TIME ZONE LOCAL`
    Default,
    /// `FROM CURRENT`
    FromCurrent,
    /// The values, unquoted; words are folded as identifiers.
    Values(Vec<String>),
}

/// One by name, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Name(String),
    /// ALL (`*` of UNLISTEN).
    All,
}

/// What DISCARD discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// ALL
    All,
    /// PLANS
    Plans,
    /// SEQUENCES
    Sequences,
    /// TEMP, TEMPORARY
    Temp,
}

/// A statement known by its keywords. Names are folded or unquoted as PostgreSQL stores them; offsets are bytes of
/// the statement as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// BEGIN, START TRANSACTION; None: not said.
    Begin {
        /// ISOLATION LEVEL
        isolation: Option<Isolation>,
        /// READ ONLY (true) or READ WRITE (false)
        read_only: Option<bool>,
        /// DEFERRABLE (true) or NOT DEFERRABLE (false)
        deferrable: Option<bool>,
    },
    /// COMMIT, END
    Commit {
        /// AND CHAIN
        chain: bool,
    },
    /// ROLLBACK, ABORT
    Rollback {
        /// AND CHAIN
        chain: bool,
    },
    /// SAVEPOINT name
    Savepoint(String),
    /// RELEASE `[SAVEPOINT]` name
    Release(String),
    /// ROLLBACK TO `[SAVEPOINT]` name
    RollbackTo(String),
    /// PREPARE TRANSACTION 'gid'
    PrepareTransaction(String),
    /// COMMIT PREPARED 'gid'
    CommitPrepared(String),
    /// ROLLBACK PREPARED 'gid'
    RollbackPrepared(String),
    /// SET [SESSION | LOCAL] TRANSACTION …
    SetTransaction {
        /// ISOLATION LEVEL
        isolation: Option<Isolation>,
        /// READ ONLY (true) or READ WRITE (false)
        read_only: Option<bool>,
        /// DEFERRABLE (true) or NOT DEFERRABLE (false)
        deferrable: Option<bool>,
        /// SNAPSHOT 'id'
        snapshot: Option<String>,
    },
    /// SET SESSION CHARACTERISTICS AS TRANSACTION …
    SetSessionCharacteristics {
        /// ISOLATION LEVEL
        isolation: Option<Isolation>,
        /// READ ONLY (true) or READ WRITE (false)
        read_only: Option<bool>,
        /// DEFERRABLE (true) or NOT DEFERRABLE (false)
        deferrable: Option<bool>,
    },
    /// SET of a setting; the special forms by the setting they set (`timezone`, `client_encoding`, `search_path`,
    /// `role`, `session_authorization`, `xmloption`).
    Set {
        /// How long it lasts.
        scope: SetScope,
        /// The setting, lower-cased, with its dots.
        name: String,
        /// Its value.
        value: SetValue,
    },
    /// RESET name | ALL
    Reset(Which),
    /// SHOW name | ALL
    Show(Which),
    /// DISCARD
    Discard(Discard),
    /// PREPARE name [(types)] AS statement
    Prepare {
        /// Its name.
        name: String,
        /// What stands between the parentheses; empty without.
        types_text: String,
        /// Where the inner statement begins.
        statement_at: usize,
    },
    /// EXECUTE name [(arguments)]
    Execute {
        /// Its name.
        name: String,
        /// `start..end` of each argument's expression, without blanks around it.
        arguments: Vec<(usize, usize)>,
        /// Where the opening parenthesis is; without arguments: one past the name.
        open: usize,
    },
    /// DEALLOCATE `[PREPARE]` name | ALL
    Deallocate(Which),
    /// DECLARE name … CURSOR … FOR query
    Declare {
        /// The cursor.
        name: String,
        /// WITH HOLD
        hold: bool,
        /// Where the query begins.
        query_at: usize,
    },
    /// FETCH, MOVE
    Fetch {
        /// The cursor.
        cursor: String,
        /// MOVE
        is_move: bool,
    },
    /// CLOSE name | ALL
    CloseCursor(Which),
    /// LISTEN channel
    Listen(String),
    /// UNLISTEN channel | *
    Unlisten(Which),
    /// NOTIFY channel [, 'payload']
    Notify {
        /// The channel.
        channel: String,
        /// The payload; empty without.
        payload: String,
    },
    /// SET CONSTRAINTS …
    SetConstraints,
    /// LOAD 'file'
    Load,
    /// CHECKPOINT
    Checkpoint,
}

impl Verb {
    /// It can begin or end a transaction, or a part of one.
    pub fn is_about_transactions(&self) -> bool {
        use Verb::{
            Begin, Commit, CommitPrepared, PrepareTransaction, Release, Rollback, RollbackPrepared, RollbackTo,
            Savepoint,
        };
        let blocks = matches!(self, Begin { .. } | Commit { .. } | Rollback { .. } | PrepareTransaction(_));
        let parts = matches!(self, Savepoint(_) | Release(_) | RollbackTo(_));
        blocks || parts || matches!(self, CommitPrepared(_) | RollbackPrepared(_))
    }
}

/// Words that begin statements; [`first_word`] answers with one of them.
const FIRST_WORDS: &[&str] = &[
    "ABORT",
    "ALTER",
    "ANALYSE",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CHECKPOINT",
    "CLOSE",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DO",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "IMPORT",
    "INSERT",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "NOTIFY",
    "PREPARE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SECURITY",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "TABLE",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "VACUUM",
    "VALUES",
    "WITH",
];

/// The statement's first word in upper case, for a quick dispatch; `(` for an opening parenthesis; empty if it is no
/// word that begins a statement of SQL.
pub fn first_word(statement: &str) -> &'static str {
    let bytes = statement.as_bytes();
    let start = skip_blanks(bytes, 0);
    let rest = bytes.get(start..).unwrap_or_default();
    if rest.first() == Some(&b'(') {
        return "(";
    }
    let length = word_end(bytes, start) - start;
    let word = rest.get(..length).unwrap_or_default();
    FIRST_WORDS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(word)).copied().unwrap_or("")
}

/// Recognises a statement (without its semicolon). None: it is no such statement, or is not exactly understood and
/// PostgreSQL should judge it.
pub fn recognise(statement: &str) -> Option<Verb> {
    let reader = reader(first_word(statement))?;
    let mut words = Words::new(statement);
    words.advance();
    let verb = reader(&mut words)?;
    let takes_the_rest = matches!(verb, Verb::Prepare { .. } | Verb::Declare { .. });
    (takes_the_rest || words.is_finished()).then_some(verb)
}

/// Reads what follows a verb's first word.
type Reader = fn(&mut Words<'_>) -> Option<Verb>;

fn reader(first_word: &str) -> Option<Reader> {
    Some(match first_word {
        "BEGIN" => begin,
        "START" => start,
        "COMMIT" => commit,
        "END" => end,
        "ROLLBACK" => rollback,
        "ABORT" => abort,
        "SAVEPOINT" => |words| words.name().map(Verb::Savepoint),
        "RELEASE" => |words| savepoint_name(words).map(Verb::Release),
        "SET" => set,
        "RESET" => |words| setting(words).map(Verb::Reset),
        "SHOW" => |words| setting(words).map(Verb::Show),
        "DISCARD" => discard,
        "PREPARE" => prepare,
        "EXECUTE" => execute,
        "DEALLOCATE" => deallocate,
        "DECLARE" => declare,
        "FETCH" => |words| fetch(words, false),
        "MOVE" => |words| fetch(words, true),
        "CLOSE" => |words| name_or_all(words).map(Verb::CloseCursor),
        "LISTEN" => |words| words.name().map(Verb::Listen),
        "UNLISTEN" => unlisten,
        "NOTIFY" => notify,
        "LOAD" => |words| words.string().map(|_| Verb::Load),
        "CHECKPOINT" => |_| Some(Verb::Checkpoint),
        _ => return None,
    })
}

/// Transaction modes; None: not said.
#[derive(Default)]
struct Modes {
    isolation: Option<Isolation>,
    read_only: Option<bool>,
    deferrable: Option<bool>,
}

/// Reads modes up to the end, commas between them or not; the last of a kind counts.
fn modes(words: &mut Words<'_>) -> Option<Modes> {
    let mut modes = Modes::default();
    while !words.is_finished() {
        if words.words(&["isolation", "level"]) {
            modes.isolation = Some(isolation(words)?);
        } else if words.word("read") {
            modes.read_only = Some(words.one_of(&["write", "only"])? == 1);
        } else if words.words(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else if words.word("deferrable") {
            modes.deferrable = Some(true);
        } else {
            return None;
        }
        if words.symbol(',') && words.is_finished() {
            return None;
        }
    }
    Some(modes)
}

fn isolation(words: &mut Words<'_>) -> Option<Isolation> {
    Some(match words.one_of(&["serializable", "repeatable", "read"])? {
        0 => Isolation::Serializable,
        1 if words.word("read") => Isolation::RepeatableRead,
        2 => match words.one_of(&["committed", "uncommitted"])? {
            0 => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        },
        _ => return None,
    })
}

fn begin(words: &mut Words<'_>) -> Option<Verb> {
    words.one_of(&["work", "transaction"]);
    begin_with(words)
}

fn start(words: &mut Words<'_>) -> Option<Verb> {
    if words.word("transaction") { begin_with(words) } else { None }
}

fn begin_with(words: &mut Words<'_>) -> Option<Verb> {
    let Modes { isolation, read_only, deferrable } = modes(words)?;
    Some(Verb::Begin { isolation, read_only, deferrable })
}

/// `[AND [NO] CHAIN]`
fn chain(words: &mut Words<'_>) -> Option<bool> {
    if !words.word("and") {
        return Some(false);
    }
    let no = words.word("no");
    words.word("chain").then_some(!no)
}

fn commit(words: &mut Words<'_>) -> Option<Verb> {
    if words.word("prepared") { words.string().map(Verb::CommitPrepared) } else { end(words) }
}

fn end(words: &mut Words<'_>) -> Option<Verb> {
    words.one_of(&["work", "transaction"]);
    chain(words).map(|chain| Verb::Commit { chain })
}

fn rollback(words: &mut Words<'_>) -> Option<Verb> {
    if words.word("prepared") {
        return words.string().map(Verb::RollbackPrepared);
    }
    words.one_of(&["work", "transaction"]);
    if words.word("to") {
        return savepoint_name(words).map(Verb::RollbackTo);
    }
    chain(words).map(|chain| Verb::Rollback { chain })
}

fn abort(words: &mut Words<'_>) -> Option<Verb> {
    words.one_of(&["work", "transaction"]);
    chain(words).map(|chain| Verb::Rollback { chain })
}

/// `[SAVEPOINT] name`; a savepoint may be named so as well.
fn savepoint_name(words: &mut Words<'_>) -> Option<String> {
    let said = words.word("savepoint");
    if said && words.is_finished() {
        return Some("savepoint".to_owned());
    }
    words.name()
}

fn name_or_all(words: &mut Words<'_>) -> Option<Which> {
    if words.word("all") { Some(Which::All) } else { words.name().map(Which::Name) }
}

fn discard(words: &mut Words<'_>) -> Option<Verb> {
    Some(Verb::Discard(match words.one_of(&["all", "plans", "sequences", "temp", "temporary"])? {
        0 => Discard::All,
        1 => Discard::Plans,
        2 => Discard::Sequences,
        _ => Discard::Temp,
    }))
}

fn prepare(words: &mut Words<'_>) -> Option<Verb> {
    let mut ahead = words.clone();
    if ahead.word("transaction")
        && let Some(gid) = ahead.string()
    {
        *words = ahead;
        return Some(Verb::PrepareTransaction(gid));
    }
    let name = words.name()?;
    let types_text = if *words.peek() == Token::Symbol('(') { types(words)? } else { String::new() };
    if !words.word("as") || words.is_finished() {
        return None;
    }
    Some(Verb::Prepare { name, types_text, statement_at: words.start() })
}

/// The text between the parentheses ahead; they and what is in them are taken.
fn types(words: &mut Words<'_>) -> Option<String> {
    let text = words.text();
    let open = words.end();
    let spans = arguments(words)?;
    let close = words.last_end() - 1;
    (!spans.is_empty()).then(|| text.get(open..close).map(|types| types.trim().to_owned()))?
}

fn execute(words: &mut Words<'_>) -> Option<Verb> {
    let name = words.name()?;
    if words.is_finished() {
        return Some(Verb::Execute { name, arguments: Vec::new(), open: words.last_end() });
    }
    let open = words.start();
    let arguments = arguments(words)?;
    (!arguments.is_empty()).then_some(Verb::Execute { name, arguments, open })
}

/// The spans of what stands between commas in the parentheses ahead, all of which are taken.
fn arguments(words: &mut Words<'_>) -> Option<Vec<(usize, usize)>> {
    let mut spans = Vec::new();
    if !words.symbol('(') {
        return None;
    }
    let mut depth = 0_u32;
    let mut start = words.start();
    loop {
        let before = words.last_end();
        match words.advance_any()? {
            Token::End => return None,
            Token::Symbol('(' | '[') => depth += 1,
            Token::Symbol(')') if depth == 0 => {
                spans.push((start, before));
                break;
            }
            Token::Symbol(')' | ']') => depth = depth.checked_sub(1)?,
            Token::Symbol(',') if depth == 0 => {
                spans.push((start, before));
                start = words.start();
            }
            _ => {}
        }
    }
    spans.iter().all(|(start, end)| start < end).then_some(spans)
}

fn deallocate(words: &mut Words<'_>) -> Option<Verb> {
    if words.word("prepare") && words.is_finished() {
        return Some(Verb::Deallocate(Which::Name("prepare".to_owned())));
    }
    name_or_all(words).map(Verb::Deallocate)
}

fn declare(words: &mut Words<'_>) -> Option<Verb> {
    let name = words.name()?;
    while words.one_of(&["binary", "insensitive", "asensitive", "scroll"]).is_some() || words.words(&["no", "scroll"]) {
    }
    if !words.word("cursor") {
        return None;
    }
    let hold = words.words(&["with", "hold"]);
    if !hold && !words.words(&["without", "hold"]) && !words.is_word("for") {
        return None;
    }
    if !words.word("for") || words.is_finished() {
        return None;
    }
    Some(Verb::Declare { name, hold, query_at: words.start() })
}

/// `[direction] [FROM | IN] cursor`
fn fetch(words: &mut Words<'_>, is_move: bool) -> Option<Verb> {
    let mut ahead = words.clone();
    if let Some(cursor) = ahead.name()
        && ahead.is_finished()
    {
        *words = ahead;
        return Some(Verb::Fetch { cursor, is_move });
    }
    match words.one_of(&["next", "prior", "first", "last", "absolute", "relative", "forward", "backward", "all"]) {
        Some(4 | 5) => {
            words.number()?;
        }
        Some(6 | 7) => {
            let _ = words.word("all") || words.number().is_some();
        }
        Some(_) => {}
        None => {
            words.number();
        }
    }
    words.one_of(&["from", "in"]);
    words.name().map(|cursor| Verb::Fetch { cursor, is_move })
}

fn unlisten(words: &mut Words<'_>) -> Option<Verb> {
    if words.symbol('*') { Some(Verb::Unlisten(Which::All)) } else { words.name().map(Which::Name).map(Verb::Unlisten) }
}

fn notify(words: &mut Words<'_>) -> Option<Verb> {
    let channel = words.name()?;
    let payload = if words.symbol(',') { words.string()? } else { String::new() };
    Some(Verb::Notify { channel, payload })
}

#[cfg(test)]
mod tests;

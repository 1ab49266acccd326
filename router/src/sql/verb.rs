//! Verb: statements about transactions, the session, cursors and two-phase commit, known by their keywords.
//! In: one statement. Out: the verb. Never: parses queries, judges syntax (what is not exactly understood is no verb).

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
    /// RELEASE [SAVEPOINT] name
    Release(String),
    /// ROLLBACK TO [SAVEPOINT] name
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
    /// DEALLOCATE [PREPARE] name | ALL
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

/// Recognises a statement (without its semicolon). None: it is no such statement, or is not exactly understood and
/// PostgreSQL should judge it.
pub fn recognise(statement: &str) -> Option<Verb> {
    match first_word(statement) {
        "CHECKPOINT" if statement.len() == 10 => Some(Verb::Checkpoint),
        _ => None,
    }
}

/// The statement's first word in upper case, for a quick dispatch; `(` for an opening parenthesis; empty if it is no
/// word that begins a statement of SQL.
pub fn first_word(statement: &str) -> &'static str {
    if statement.eq_ignore_ascii_case("checkpoint") { "CHECKPOINT" } else { "" }
}

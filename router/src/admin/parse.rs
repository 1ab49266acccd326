//! Parser of admin SQL. In: one command. Out: the command as a value, or what could have stood there instead.
//! Never: knows what exists, runs anything.

use crate::sql::{
    verb::{self, Verb, Which},
    words::{Token, Words},
};
use std::time::Duration;

mod command;

pub use command::{
    AdminCommand, AdminStatement, CacheFor, Colocation, Invalidate, KeyLiteral, RangeBound, RebalanceBy, ShardChange,
    ShowTopic, SplitTarget, Strategy, TableRef,
};

/// A text that is no admin command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AdminSyntaxError {
    /// What is wrong; SQLSTATE 42601.
    pub message: String,
    /// What could stand there.
    pub hint: String,
    /// Where, in characters from 1, as an ErrorResponse's `P`.
    pub position: usize,
}

/// Every command: its syntax and what it does, for SHOW HELP. Each but SHOW takes `DRY RUN` at its end.
pub const GRAMMAR: &[(&str, &str)] = &[
    (
        "SHARD TABLE t BY (column) [USING { HASH | RANGE | DIRECTORY }] [COLOCATE WITH t2 | IN GROUP g] [ALLOW LOCAL UNIQUE]",
        "spreads a table over the shards by a key column",
    ),
    ("REFERENCE TABLE t", "keeps a full copy of a table on every shard"),
    ("UNSHARD TABLE t [ON SHARD s]", "brings a table's rows back to one shard"),
    (
        "ADD RANGE FROM (v) TO (v) ON SHARD s TO GROUP OF t",
        "gives a range of keys to a shard; MINVALUE and MAXVALUE are allowed",
    ),
    ("ASSIGN KEY (v) TO SHARD s IN GROUP OF t", "gives one key to a shard"),
    ("ADD SHARD name CONNECTION '…' [WEIGHT w] [ZONE z]", "makes a server a shard; it owns nothing until REBALANCE"),
    ("ALTER SHARD s SET { WEIGHT w | READ ONLY | READ WRITE | ACTIVE | INACTIVE | CONNECTION '…' }", "changes a shard"),
    ("DRAIN SHARD s", "moves all that a shard owns to the others"),
    ("DROP SHARD s", "forgets a shard that owns nothing"),
    ("ADD REPLICA name CONNECTION '…' [WEIGHT w] [ZONE z] TO SHARD s", "adds a standby of a shard's primary"),
    ("DROP REPLICA name", "forgets a replica"),
    ("FAILOVER SHARD s [TO REPLICA r]", "makes a replica the shard's primary"),
    ("SPLIT SHARD s [INTO new_name | ONTO existing_shard]", "moves half of a shard's load to a new or another shard"),
    ("REBALANCE [BY { LOAD | SIZE | WEIGHT }]", "evens out the shards, moving the fewest rows"),
    ("MOVE KEY (v) TO SHARD s IN GROUP OF t", "moves the rows of one key"),
    ("PAUSE OPERATION id", "holds an operation"),
    ("RESUME OPERATION id", "lets a held operation go on"),
    ("CANCEL OPERATION id", "ends an operation; what it copied is removed"),
    ("ROLLBACK OPERATION id", "takes an operation back"),
    ("FINISH OPERATION id", "gives up the way back and cleans up"),
    ("SET THROTTLE '8MB' [FOR OPERATION id]", "limits the bytes per second that operations move"),
    ("VERIFY TABLE t", "compares the copies of a reference table"),
    ("VERIFY OPERATION id", "compares the rows that an operation moves"),
    ("REPAIR SHARD s", "makes a shard's identity and schema right again"),
    ("REPAIR TABLE t", "makes a table's copies equal again"),
    ("RESOLVE TRANSACTION 'gid' { COMMIT | ABORT } FORCE", "ends a transaction in doubt by hand"),
    ("IMPORT TABLE t FROM '<connection>'", "copies a table from a plain PostgreSQL, online"),
    ("IMPORT DATABASE FROM '<connection>'", "copies a database from a plain PostgreSQL, online"),
    (
        "CREATE CACHE name [TTL '5m'] [STRATEGY s] [TRUST FUNCTIONS] FOR { <select> | TABLE t }",
        "caches the results of a statement, or of reads of a table",
    ),
    ("DROP CACHE name", "forgets a cache policy and its entries"),
    ("INVALIDATE CACHE { ALL | name | TABLE t | KEY (v) OF t }", "throws out cached results"),
    ("APPROVE RECOMMENDATION id", "does what the advisor proposed"),
    ("REJECT RECOMMENDATION id", "drops a proposal of the advisor"),
    ("PAUSE [db]", "lets statements wait, of one database or of all"),
    ("RESUME [db]", "lets waiting statements go on"),
    ("RELOAD", "reads the configuration again"),
    ("DRAIN", "takes no new clients; lets those here finish"),
    ("SHUTDOWN", "stops this router"),
    ("KILL CLIENT id", "closes a client's session"),
    ("KILL QUERY id", "cancels a client's statement, also one that waits for a backend"),
    ("SET section.key = value", "changes the configuration until the restart"),
    ("SHOW { SHARDS | REPLICAS | RING | TABLES | GROUPS }", "shards, replicas, arcs, tables and colocation groups"),
    ("SHOW { OPERATIONS | OPERATION id }", "what is moved or was moved"),
    ("SHOW { ROUTERS | POOLS | CLIENTS | SERVERS | PINS }", "routers, pools, sessions, backends and pinned sessions"),
    ("SHOW { QUERIES | STATS }", "statements and counters"),
    ("SHOW { CACHE | CACHE ENTRIES | CACHE POLICIES | WHY NOT CACHED }", "the result cache"),
    ("SHOW { TRANSACTIONS | IN DOUBT | LOCKS }", "transactions over several shards"),
    ("SHOW MONITOR [LAST '10m']", "load and latency, lately"),
    ("SHOW { ALERTS | RECOMMENDATIONS | AUDIT }", "alerts, advice, and who did what"),
    ("SHOW { CONFIG | ERRORS | HELP | VERSION | FAULT POINTS }", "about pgring itself"),
    ("SET name = value | SHOW name", "settings of this session"),
];

/// Parses one command; a semicolon may end it.
///
/// # Errors
/// [`AdminSyntaxError`] (SQLSTATE 42601) with what could have stood there.
pub fn parse(text: &str) -> Result<AdminStatement, AdminSyntaxError> {
    let body = Body::of(text)?;
    let mut parser = Parser { text: body.text, words: Words::new(body.text), expected: Vec::new() };
    let command = parser.command()?;
    let changes = !matches!(command, AdminCommand::Show(_) | AdminCommand::Session(_));
    match body.dry_run_at {
        Some(at) if !changes => Err(AdminSyntaxError {
            message: "DRY RUN goes with commands that change something".to_owned(),
            hint: "Leave DRY RUN out.".to_owned(),
            position: characters(text, at),
        }),
        at => Ok(AdminStatement { command, dry_run: at.is_some() }),
    }
}

/// The word after SHOW, or the word that begins a command, that is nearest to `word`; for hints.
pub fn nearest(word: &str) -> Option<&'static str> {
    let topics = TOPICS.iter().filter_map(|(words, _)| words.first()).copied();
    nearest_of(word, topics.chain(COMMANDS.iter().map(|(word, _)| *word)))
}

/// A text without its `;` and `DRY RUN`.
struct Body<'a> {
    text: &'a str,
    dry_run_at: Option<usize>,
}

impl<'a> Body<'a> {
    fn of(text: &'a str) -> Result<Self, AdminSyntaxError> {
        let mut words = Words::new(text);
        let mut end = 0;
        let mut dry_run_at = None;
        while !words.is_finished() {
            let start = words.start();
            if words.is_word("dry") {
                words.advance();
                let found = words.word("run");
                dry_run_at = found.then_some(start);
                end = if found { end } else { words.last_end() };
                continue;
            }
            if *words.peek() == Token::Symbol(';') {
                words.advance();
                if words.is_finished() {
                    break;
                }
                return Err(unexpected(text, words.start(), &mut vec!["the end; send one command at a time"]));
            }
            if dry_run_at.is_some() {
                return Err(unexpected(text, start, &mut vec!["the end, since DRY RUN ends a command"]));
            }
            if words.advance_any().is_none() {
                return Err(AdminSyntaxError {
                    message: "a string, name or comment does not end, or is of a form that is not understood"
                        .to_owned(),
                    hint: "Write strings as '…' and quoted names as \"…\".".to_owned(),
                    position: characters(text, start),
                });
            }
            end = words.last_end();
        }
        Ok(Self { text: text.get(..end).unwrap_or(text), dry_run_at })
    }
}

/// Byte offset → characters from 1.
fn characters(text: &str, offset: usize) -> usize {
    text.get(..offset).map_or(1, |before| before.chars().count() + 1)
}

/// The error that what stands at `at` is none of `expected`.
fn unexpected(text: &str, at: usize, expected: &mut Vec<&'static str>) -> AdminSyntaxError {
    let mut words = Words::new(text.get(at..).unwrap_or_default());
    let token = text.get(at..).and_then(|rest| rest.get(words.start()..words.end())).unwrap_or_default().to_owned();
    let message = match words.advance() {
        Token::End => "syntax error at end of input".to_owned(),
        _ => format!("syntax error at or near \"{token}\""),
    };
    let mut seen = Vec::new();
    expected.retain(|word| {
        !seen.contains(word) && {
            seen.push(*word);
            true
        }
    });
    let list = if expected.is_empty() { "the end".to_owned() } else { expected.join(", ") };
    let hint = match nearest_of(&token, expected.iter().copied()) {
        Some(word) => format!("Did you mean {word}? Here can stand: {list}."),
        None => format!("Here can stand: {list}."),
    };
    AdminSyntaxError { message, hint, position: characters(text, at) }
}

fn nearest_of(word: &str, among: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let word = word.to_ascii_uppercase();
    let most = (word.chars().count() / 3).clamp(1, 3);
    among
        .filter(|known| known.bytes().all(|byte| byte.is_ascii_uppercase()))
        .map(|known| (strsim::damerau_levenshtein(&word, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

/// The state of one [`parse`].
struct Parser<'a> {
    text: &'a str,
    words: Words<'a>,
    /// What could have stood at the token ahead.
    expected: Vec<&'static str>,
}

type Parsed<T = AdminCommand> = Result<T, AdminSyntaxError>;

/// Reads a command from the word after its first.
type Reader = fn(&mut Parser<'_>) -> Parsed;

/// The words that begin commands, and what reads the rest.
const COMMANDS: &[(&str, Reader)] = &[
    ("SHARD", |parser| parser.shard()),
    ("REFERENCE", |parser| parser.reference()),
    ("UNSHARD", |parser| parser.unshard()),
    ("ADD", |parser| parser.add()),
    ("ASSIGN", |parser| parser.assign()),
    ("ALTER", |parser| parser.alter()),
    ("DRAIN", |parser| parser.drain()),
    ("DROP", |parser| parser.drop()),
    ("FAILOVER", |parser| parser.failover()),
    ("SPLIT", |parser| parser.split()),
    ("REBALANCE", |parser| parser.rebalance()),
    ("MOVE", |parser| parser.move_key()),
    ("PAUSE", |parser| parser.pause()),
    ("RESUME", |parser| parser.resume()),
    ("CANCEL", |parser| parser.cancel()),
    ("ROLLBACK", |parser| parser.rollback()),
    ("FINISH", |parser| parser.finish_operation()),
    ("SET", |parser| parser.set()),
    ("VERIFY", |parser| parser.verify()),
    ("REPAIR", |parser| parser.repair()),
    ("RESOLVE", |parser| parser.resolve()),
    ("IMPORT", |parser| parser.import()),
    ("CREATE", |parser| parser.create()),
    ("INVALIDATE", |parser| parser.invalidate()),
    ("APPROVE", |parser| parser.approve()),
    ("REJECT", |parser| parser.reject()),
    ("RELOAD", |_| Ok(AdminCommand::Reload)),
    ("SHUTDOWN", |_| Ok(AdminCommand::Shutdown)),
    ("KILL", |parser| parser.kill()),
    ("SHOW", |parser| parser.show()),
];

/// What SHOW shows by its words; of those with one first word the longer come first.
const TOPICS: &[(&[&str], ShowTopic)] = &[
    (&["SHARDS"], ShowTopic::Shards),
    (&["REPLICAS"], ShowTopic::Replicas),
    (&["RING"], ShowTopic::Ring),
    (&["TABLES"], ShowTopic::Tables),
    (&["GROUPS"], ShowTopic::Groups),
    (&["OPERATIONS"], ShowTopic::Operations),
    (&["OPERATION"], ShowTopic::Operation(String::new())),
    (&["ROUTERS"], ShowTopic::Routers),
    (&["POOLS"], ShowTopic::Pools),
    (&["CLIENTS"], ShowTopic::Clients),
    (&["SERVERS"], ShowTopic::Servers),
    (&["PINS"], ShowTopic::Pins),
    (&["QUERIES"], ShowTopic::Queries),
    (&["STATS"], ShowTopic::Stats),
    (&["CACHE", "ENTRIES"], ShowTopic::CacheEntries),
    (&["CACHE", "POLICIES"], ShowTopic::CachePolicies),
    (&["CACHE"], ShowTopic::Cache),
    (&["WHY", "NOT", "CACHED"], ShowTopic::WhyNotCached),
    (&["TRANSACTIONS"], ShowTopic::Transactions),
    (&["IN", "DOUBT"], ShowTopic::InDoubt),
    (&["LOCKS"], ShowTopic::Locks),
    (&["MONITOR"], ShowTopic::Monitor(None)),
    (&["ALERTS"], ShowTopic::Alerts),
    (&["RECOMMENDATIONS"], ShowTopic::Recommendations),
    (&["AUDIT"], ShowTopic::Audit),
    (&["CONFIG"], ShowTopic::Config),
    (&["ERRORS"], ShowTopic::Errors),
    (&["HELP"], ShowTopic::Help),
    (&["VERSION"], ShowTopic::Version),
    (&["FAULT", "POINTS"], ShowTopic::FaultPoints),
];

/// Tokens.
impl Parser<'_> {
    fn accept(&mut self, keyword: &'static str) -> bool {
        let found = self.words.word(keyword);
        self.moved(found, keyword);
        found
    }

    fn moved(&mut self, found: bool, expected: &'static str) {
        if found {
            self.expected.clear();
        } else {
            self.expected.push(expected);
        }
    }

    fn expect(&mut self, keywords: &[&'static str]) -> Parsed<()> {
        for keyword in keywords {
            if !self.accept(keyword) {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    /// Takes one of these keywords; its index.
    fn one_of(&mut self, keywords: &[&'static str]) -> Parsed<usize> {
        match keywords.iter().position(|keyword| self.accept(keyword)) {
            Some(index) => Ok(index),
            None => Err(self.unexpected()),
        }
    }

    fn symbol(&mut self, symbol: char, shown: &'static str) -> Parsed<()> {
        let found = self.words.symbol(symbol);
        self.moved(found, shown);
        if found { Ok(()) } else { Err(self.unexpected()) }
    }

    /// What `take` takes, or an error that says `what` is expected.
    fn take<T>(&mut self, what: &'static str, take: impl FnOnce(&mut Self) -> Option<T>) -> Parsed<T> {
        let taken = take(self);
        self.moved(taken.is_some(), what);
        taken.ok_or_else(|| self.unexpected())
    }

    fn unexpected(&mut self) -> AdminSyntaxError {
        unexpected(self.text, self.words.start(), &mut self.expected)
    }

    /// An error about the value that was just taken.
    fn fault(&self, at: usize, message: String, hint: &str) -> AdminSyntaxError {
        AdminSyntaxError { message, hint: hint.to_owned(), position: characters(self.text, at) }
    }

    fn end(&mut self, command: AdminCommand) -> Parsed {
        if self.words.is_finished() {
            return Ok(command);
        }
        self.expected.push("DRY RUN");
        self.expected.push("the end");
        Err(self.unexpected())
    }

    fn name(&mut self, what: &'static str) -> Parsed<String> {
        self.take(what, |parser| parser.words.name())
    }

    /// A name, or a string in its place.
    fn name_or_string(&mut self, what: &'static str) -> Parsed<String> {
        self.take(what, |parser| parser.words.string().or_else(|| parser.words.name()))
    }

    fn string(&mut self, what: &'static str) -> Parsed<String> {
        self.take(what, |parser| parser.words.string())
    }

    fn shard_name(&mut self) -> Parsed<String> {
        self.name("the name of a shard")
    }

    /// An id: a number, a name or a string.
    fn id(&mut self) -> Parsed<String> {
        self.take("an id", |parser| {
            let words = &mut parser.words;
            words.number().or_else(|| words.string()).or_else(|| words.name())
        })
    }

    fn table(&mut self) -> Parsed<TableRef> {
        let first = self.name("the name of a table")?;
        if !self.words.symbol('.') {
            return Ok(TableRef { schema: None, name: first });
        }
        Ok(TableRef { schema: Some(first), name: self.name("the name of a table")? })
    }

    fn key_literal(&mut self) -> Parsed<KeyLiteral> {
        self.take("a key: a number or a string", |parser| {
            let words = &mut parser.words;
            words.number().map(KeyLiteral::Number).or_else(|| words.string().map(KeyLiteral::Text))
        })
    }

    /// `(key)`
    fn key(&mut self) -> Parsed<KeyLiteral> {
        self.symbol('(', "(")?;
        let key = self.key_literal()?;
        self.symbol(')', ")")?;
        Ok(key)
    }

    /// `(key | MINVALUE | MAXVALUE)`
    fn bound(&mut self) -> Parsed<RangeBound> {
        self.symbol('(', "(")?;
        let bound = if self.accept("MINVALUE") {
            RangeBound::MinValue
        } else if self.accept("MAXVALUE") {
            RangeBound::MaxValue
        } else {
            RangeBound::Key(self.key_literal()?)
        };
        self.symbol(')', ")")?;
        Ok(bound)
    }

    fn weight(&mut self) -> Parsed<f64> {
        let at = self.words.start();
        let number = self.take("a weight, as 1.5", |parser| parser.words.number())?;
        match number.parse::<f64>() {
            Ok(weight) if weight.is_finite() && weight >= 0.0 => Ok(weight),
            _ => Err(self.fault(at, format!("{number} is no weight"), "A weight is a number from 0 on, as 1.5.")),
        }
    }

    fn duration(&mut self) -> Parsed<Duration> {
        let at = self.words.start();
        let text = self.string("a duration, as '10m'")?;
        parse_duration(&text).ok_or_else(|| {
            self.fault(at, format!("\"{text}\" is no duration"), "Durations are written '250ms', '5s', '10m', '2h'.")
        })
    }

    fn size(&mut self) -> Parsed<u64> {
        let at = self.words.start();
        let text = self.string("a size, as '8MB'")?;
        parse_size(&text)
            .ok_or_else(|| self.fault(at, format!("\"{text}\" is no size"), "Sizes are written '64kB', '8MB', '1GB'."))
    }
}

/// Commands, each from the word after its first.
impl Parser<'_> {
    fn command(&mut self) -> Parsed {
        for (word, read) in COMMANDS {
            if self.accept(word) {
                let command = read(self)?;
                return self.end(command);
            }
        }
        self.session()
    }

    /// A statement of any PostgreSQL session.
    fn session(&mut self) -> Parsed {
        match verb::recognise(self.text) {
            Some(verb) => {
                while self.words.advance_any().is_some_and(|token| token != Token::End) {}
                Ok(AdminCommand::Session(verb))
            }
            None => Err(self.unexpected()),
        }
    }

    fn shard(&mut self) -> Parsed {
        self.expect(&["TABLE"])?;
        let table = self.table()?;
        self.expect(&["BY"])?;
        self.symbol('(', "(")?;
        let key = self.name("the name of a column")?;
        self.symbol(')', ")")?;
        let (mut strategy, mut colocation, mut allow_local_unique) = (None, None, false);
        loop {
            if strategy.is_none() && self.accept("USING") {
                strategy = Some(self.strategy()?);
            } else if colocation.is_none() && self.accept("COLOCATE") {
                self.expect(&["WITH"])?;
                colocation = Some(Colocation::With(self.table()?));
            } else if colocation.is_none() && self.accept("IN") {
                self.expect(&["GROUP"])?;
                colocation = Some(Colocation::Group(self.name("the name of a group")?));
            } else if !allow_local_unique && self.accept("ALLOW") {
                self.expect(&["LOCAL", "UNIQUE"])?;
                allow_local_unique = true;
            } else {
                return Ok(AdminCommand::ShardTable { table, key, strategy, colocation, allow_local_unique });
            }
        }
    }

    fn strategy(&mut self) -> Parsed<Strategy> {
        Ok(match self.one_of(&["HASH", "RANGE", "DIRECTORY"])? {
            0 => Strategy::Hash,
            1 => Strategy::Range,
            _ => Strategy::Directory,
        })
    }

    fn reference(&mut self) -> Parsed {
        self.expect(&["TABLE"])?;
        self.table().map(AdminCommand::ReferenceTable)
    }

    fn unshard(&mut self) -> Parsed {
        self.expect(&["TABLE"])?;
        let table = self.table()?;
        let shard = if self.accept("ON") { Some(self.named_shard()?) } else { None };
        Ok(AdminCommand::UnshardTable { table, shard })
    }

    /// `SHARD s`
    fn named_shard(&mut self) -> Parsed<String> {
        self.expect(&["SHARD"])?;
        self.shard_name()
    }

    fn add(&mut self) -> Parsed {
        match self.one_of(&["SHARD", "REPLICA", "RANGE"])? {
            0 => self.add_shard(),
            1 => self.add_replica(),
            _ => self.add_range(),
        }
    }

    fn add_range(&mut self) -> Parsed {
        self.expect(&["FROM"])?;
        let from = self.bound()?;
        self.expect(&["TO"])?;
        let to = self.bound()?;
        self.expect(&["ON"])?;
        let shard = self.named_shard()?;
        self.expect(&["TO", "GROUP", "OF"])?;
        Ok(AdminCommand::AddRange { from, to, shard, table: self.table()? })
    }

    fn add_shard(&mut self) -> Parsed {
        let name = self.shard_name()?;
        let (connection, weight, zone) = self.server()?;
        Ok(AdminCommand::AddShard { name, connection, weight, zone })
    }

    fn add_replica(&mut self) -> Parsed {
        let name = self.name("the name of a replica")?;
        let (connection, weight, zone) = self.server()?;
        self.expect(&["TO"])?;
        Ok(AdminCommand::AddReplica { name, connection, weight, zone, shard: self.named_shard()? })
    }

    /// `CONNECTION '…' [WEIGHT w] [ZONE z]`
    fn server(&mut self) -> Parsed<(String, Option<f64>, Option<String>)> {
        self.expect(&["CONNECTION"])?;
        let connection = self.string("a connection string")?;
        let (mut weight, mut zone) = (None, None);
        loop {
            if weight.is_none() && self.accept("WEIGHT") {
                weight = Some(self.weight()?);
            } else if zone.is_none() && self.accept("ZONE") {
                zone = Some(self.name_or_string("the name of a zone")?);
            } else {
                return Ok((connection, weight, zone));
            }
        }
    }

    fn assign(&mut self) -> Parsed {
        let (key, shard, table) = self.key_to_shard()?;
        Ok(AdminCommand::AssignKey { key, shard, table })
    }

    fn move_key(&mut self) -> Parsed {
        if !self.words.is_word("KEY") && verb::recognise(self.text).is_some() {
            return self.session();
        }
        let (key, shard, table) = self.key_to_shard()?;
        Ok(AdminCommand::MoveKey { key, shard, table })
    }

    /// `KEY (v) TO SHARD s IN GROUP OF t`
    fn key_to_shard(&mut self) -> Parsed<(KeyLiteral, String, TableRef)> {
        self.expect(&["KEY"])?;
        let key = self.key()?;
        self.expect(&["TO"])?;
        let shard = self.named_shard()?;
        self.expect(&["IN", "GROUP", "OF"])?;
        Ok((key, shard, self.table()?))
    }

    fn alter(&mut self) -> Parsed {
        let shard = self.named_shard()?;
        self.expect(&["SET"])?;
        let change = match self.one_of(&["WEIGHT", "READ", "ACTIVE", "INACTIVE", "CONNECTION"])? {
            0 => ShardChange::Weight(self.weight()?),
            1 => ShardChange::ReadOnly(self.one_of(&["ONLY", "WRITE"])? == 0),
            2 => ShardChange::Active(true),
            3 => ShardChange::Active(false),
            _ => ShardChange::Connection(self.string("a connection string")?),
        };
        Ok(AdminCommand::AlterShard { shard, change })
    }

    fn drain(&mut self) -> Parsed {
        if self.accept("SHARD") { self.shard_name().map(AdminCommand::DrainShard) } else { Ok(AdminCommand::Drain) }
    }

    fn drop(&mut self) -> Parsed {
        match self.one_of(&["SHARD", "REPLICA", "CACHE"])? {
            0 => self.shard_name().map(AdminCommand::DropShard),
            1 => self.name("the name of a replica").map(AdminCommand::DropReplica),
            _ => self.name("the name of a cache policy").map(AdminCommand::DropCache),
        }
    }

    fn failover(&mut self) -> Parsed {
        let shard = self.named_shard()?;
        let mut replica = None;
        if self.accept("TO") {
            self.expect(&["REPLICA"])?;
            replica = Some(self.name("the name of a replica")?);
        }
        Ok(AdminCommand::Failover { shard, replica })
    }

    fn split(&mut self) -> Parsed {
        let shard = self.named_shard()?;
        let target = if self.accept("INTO") {
            SplitTarget::New(self.shard_name()?)
        } else if self.accept("ONTO") {
            SplitTarget::Existing(self.shard_name()?)
        } else {
            SplitTarget::Unnamed
        };
        Ok(AdminCommand::SplitShard { shard, target })
    }

    fn rebalance(&mut self) -> Parsed {
        if !self.accept("BY") {
            return Ok(AdminCommand::Rebalance(None));
        }
        Ok(AdminCommand::Rebalance(Some(match self.one_of(&["LOAD", "SIZE", "WEIGHT"])? {
            0 => RebalanceBy::Load,
            1 => RebalanceBy::Size,
            _ => RebalanceBy::Weight,
        })))
    }

    /// `[db]`
    fn optional_database(&mut self) -> Parsed<Option<String>> {
        if self.words.is_finished() { Ok(None) } else { self.name("the name of a database").map(Some) }
    }

    fn pause(&mut self) -> Parsed {
        if self.accept("OPERATION") {
            return self.id().map(AdminCommand::PauseOperation);
        }
        self.optional_database().map(AdminCommand::Pause)
    }

    fn resume(&mut self) -> Parsed {
        if self.accept("OPERATION") {
            return self.id().map(AdminCommand::ResumeOperation);
        }
        self.optional_database().map(AdminCommand::Resume)
    }

    /// `OPERATION id`
    fn operation(&mut self) -> Parsed<String> {
        self.expect(&["OPERATION"])?;
        self.id()
    }

    fn cancel(&mut self) -> Parsed {
        self.operation().map(AdminCommand::CancelOperation)
    }

    fn rollback(&mut self) -> Parsed {
        if !self.words.is_word("OPERATION") && verb::recognise(self.text).is_some() {
            return self.session();
        }
        self.operation().map(AdminCommand::RollbackOperation)
    }

    fn finish_operation(&mut self) -> Parsed {
        self.operation().map(AdminCommand::FinishOperation)
    }

    fn set(&mut self) -> Parsed {
        let mut ahead = self.words.clone();
        if ahead.word("THROTTLE") && !ahead.is_word("TO") && !matches!(ahead.peek(), Token::Symbol('=' | '.')) {
            return self.throttle();
        }
        match self.config()? {
            Some(command) => Ok(command),
            None => self.session().map_err(|error| self.unread_setting(error)),
        }
    }

    /// A SET that is none: what could stand after its name.
    fn unread_setting(&mut self, error: AdminSyntaxError) -> AdminSyntaxError {
        self.expected = vec!["THROTTLE 'size'", "section.key = value", "name = value"];
        let hint = "Here can stand: THROTTLE 'size', section.key = value, name = value; quote values with units: '5s'.";
        AdminSyntaxError { hint: hint.to_owned(), ..error }
    }

    fn throttle(&mut self) -> Parsed {
        self.expect(&["THROTTLE"])?;
        let bytes_per_second = self.size()?;
        let operation = if self.accept("FOR") { Some(self.operation()?) } else { None };
        Ok(AdminCommand::SetThrottle { bytes_per_second, operation })
    }

    /// `section.key = value`; None: no section is named.
    fn config(&mut self) -> Parsed<Option<AdminCommand>> {
        let Some((section, key)) = self.config_name()? else { return Ok(None) };
        if !self.accept("TO") {
            self.symbol('=', "=")?;
        }
        let value = self.take("a value (in quotes if it has a unit: '5s')", |parser| {
            let words = &mut parser.words;
            words.string().or_else(|| words.number()).or_else(|| any_word(words))
        })?;
        Ok(Some(AdminCommand::SetConfig { section, key, value }))
    }

    /// `section.key`; None: no section is named, or it is a session's (`pgring.cache`).
    fn config_name(&mut self) -> Parsed<Option<(String, String)>> {
        let mut ahead = self.words.clone();
        let Some(section) = any_word(&mut ahead) else { return Ok(None) };
        if section == "pgring" || !ahead.symbol('.') {
            return Ok(None);
        }
        self.words = ahead;
        let mut key = self.take("the name of a key", |parser| any_word(&mut parser.words))?;
        while self.words.symbol('.') {
            key.push('.');
            key.push_str(&self.take("the name of a key", |parser| any_word(&mut parser.words))?);
        }
        Ok(Some((section, key)))
    }

    fn verify(&mut self) -> Parsed {
        match self.one_of(&["TABLE", "OPERATION"])? {
            0 => self.table().map(AdminCommand::VerifyTable),
            _ => self.id().map(AdminCommand::VerifyOperation),
        }
    }

    fn repair(&mut self) -> Parsed {
        match self.one_of(&["SHARD", "TABLE"])? {
            0 => self.shard_name().map(AdminCommand::RepairShard),
            _ => self.table().map(AdminCommand::RepairTable),
        }
    }

    fn resolve(&mut self) -> Parsed {
        self.expect(&["TRANSACTION"])?;
        let gid = self.string("the transaction's gid as a string")?;
        let commit = self.one_of(&["COMMIT", "ABORT"])? == 0;
        self.expect(&["FORCE"])?;
        Ok(AdminCommand::ResolveTransaction { gid, commit })
    }

    fn import(&mut self) -> Parsed {
        let table = match self.one_of(&["TABLE", "DATABASE"])? {
            0 => Some(self.table()?),
            _ => None,
        };
        self.expect(&["FROM"])?;
        let connection = self.string("a connection string")?;
        Ok(match table {
            Some(table) => AdminCommand::ImportTable { table, connection },
            None => AdminCommand::ImportDatabase(connection),
        })
    }

    fn create(&mut self) -> Parsed {
        self.expect(&["CACHE"])?;
        let name = self.name("the name of a cache policy")?;
        let (mut ttl, mut strategy, mut trust_functions) = (None, None, false);
        loop {
            if ttl.is_none() && self.accept("TTL") {
                ttl = Some(self.duration()?);
            } else if strategy.is_none() && self.accept("STRATEGY") {
                strategy = Some(self.name_or_string("the name of a strategy")?);
            } else if !trust_functions && self.accept("TRUST") {
                self.expect(&["FUNCTIONS"])?;
                trust_functions = true;
            } else {
                self.expect(&["FOR"])?;
                let target = self.cache_for()?;
                return Ok(AdminCommand::CreateCache { name, ttl, strategy, trust_functions, target });
            }
        }
    }

    fn cache_for(&mut self) -> Parsed<CacheFor> {
        if self.accept("TABLE") {
            return self.table().map(CacheFor::Table);
        }
        let statement = self.text.get(self.words.start()..).unwrap_or_default();
        if !["SELECT", "WITH", "VALUES", "("].contains(&verb::first_word(statement)) {
            self.expected.extend(["SELECT", "WITH", "VALUES"]);
            return Err(self.unexpected());
        }
        while self.words.advance_any().is_some_and(|token| token != Token::End) {}
        Ok(CacheFor::Statement(statement.to_owned()))
    }

    fn invalidate(&mut self) -> Parsed {
        self.expect(&["CACHE"])?;
        Ok(AdminCommand::InvalidateCache(if self.accept("ALL") {
            Invalidate::All
        } else if self.accept("TABLE") {
            Invalidate::Table(self.table()?)
        } else if self.accept("KEY") {
            let key = self.key()?;
            self.expect(&["OF"])?;
            Invalidate::Key(key, self.table()?)
        } else {
            Invalidate::Policy(self.name("the name of a cache policy")?)
        }))
    }

    fn approve(&mut self) -> Parsed {
        self.expect(&["RECOMMENDATION"])?;
        self.id().map(AdminCommand::ApproveRecommendation)
    }

    fn reject(&mut self) -> Parsed {
        self.expect(&["RECOMMENDATION"])?;
        self.id().map(AdminCommand::RejectRecommendation)
    }

    fn kill(&mut self) -> Parsed {
        match self.one_of(&["CLIENT", "QUERY"])? {
            0 => self.id().map(AdminCommand::KillClient),
            _ => self.id().map(AdminCommand::KillQuery),
        }
    }

    fn show(&mut self) -> Parsed {
        if let Some((section, key)) = self.config_name()? {
            return Ok(AdminCommand::Session(Verb::Show(Which::Name(format!("{section}.{key}")))));
        }
        for (words, topic) in TOPICS {
            let mut ahead = self.words.clone();
            if ahead.words(words) {
                self.words = ahead;
                self.expected.clear();
                return self.topic(topic).map(AdminCommand::Show);
            }
        }
        self.expected.extend(TOPICS.iter().filter_map(|(words, _)| words.first()).copied());
        self.expected.push("the name of a setting");
        self.session()
    }

    /// A topic with what follows its words.
    fn topic(&mut self, topic: &ShowTopic) -> Parsed<ShowTopic> {
        Ok(match topic {
            ShowTopic::Operation(_) => ShowTopic::Operation(self.id()?),
            ShowTopic::Monitor(_) if self.accept("LAST") => ShowTopic::Monitor(Some(self.duration()?)),
            plain => plain.clone(),
        })
    }
}

/// Takes a word that may be reserved, as names of configuration keys may; lower-cased.
fn any_word(words: &mut Words<'_>) -> Option<String> {
    let word = match words.peek() {
        Token::Word(word) => word.to_ascii_lowercase(),
        Token::Quoted(name) => name.clone(),
        _ => return None,
    };
    words.advance();
    Some(word)
}

/// A number and its unit: `250ms` → (250, "ms").
fn measure(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    Some((text.get(..digits)?.parse().ok()?, text.get(digits..)?.trim_start()))
}

/// `250ms`, `5s`, `10m`, `2h`.
fn parse_duration(text: &str) -> Option<Duration> {
    let (count, unit) = measure(text)?;
    match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => count.checked_mul(60).map(Duration::from_secs),
        "h" => count.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// `64kB`, `8MB`, `1GB`, or bytes without a unit; units are binary, as PostgreSQL's.
fn parse_size(text: &str) -> Option<u64> {
    let (count, unit) = measure(text)?;
    let power = ["b", "kb", "mb", "gb", "tb"].iter().position(|known| unit.eq_ignore_ascii_case(known));
    let power = if unit.is_empty() { 0 } else { u32::try_from(power?).ok()? };
    count.checked_mul(1024_u64.checked_pow(power)?)
}

#[cfg(test)]
mod tests;

use super::{AdminCommand::*, *};
use crate::sql::verb::{SetScope, SetValue};
use proptest::prelude::{any, prop, prop_assert, proptest};

fn table(name: &str) -> TableRef {
    TableRef { schema: None, name: name.to_owned() }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn number(digits: &str) -> KeyLiteral {
    KeyLiteral::Number(text(digits))
}

fn check(examples: &[(&str, AdminCommand)]) {
    for (command, expected) in examples {
        let parsed = |text: &str| parse(text).unwrap_or_else(|error| panic!("{text}: {error} {}", error.hint));
        assert_eq!(parsed(command), AdminStatement { command: expected.clone(), dry_run: false }, "{command}");
        assert_eq!(parsed(&format!(" -- x\n{command} /* y */ ; ")).command, *expected, "{command}");
        if !matches!(expected, Show(_) | Session(_)) {
            let dry = parsed(&format!("{command} dry Run;"));
            assert_eq!(dry, AdminStatement { command: expected.clone(), dry_run: true }, "{command}");
        }
    }
}

fn shard_table(name: &str, strategy: Option<Strategy>, colocation: Option<Colocation>, unique: bool) -> AdminCommand {
    let key = text("tenant_id");
    ShardTable { table: table(name), key, strategy, colocation, allow_local_unique: unique }
}

#[test]
fn placement() {
    let schema = TableRef { schema: Some(text("s")), name: text("T x") };
    check(&[
        ("SHARD TABLE Orders BY (Tenant_Id)", shard_table("orders", None, None, false)),
        (
            "shard table orders by (tenant_id) using range colocate with customers allow local unique",
            shard_table("orders", Some(Strategy::Range), Some(Colocation::With(table("customers"))), true),
        ),
        (
            "SHARD TABLE o BY (tenant_id) IN GROUP g USING DIRECTORY",
            shard_table("o", Some(Strategy::Directory), Some(Colocation::Group(text("g"))), false),
        ),
        ("SHARD TABLE o BY (tenant_id) USING HASH", shard_table("o", Some(Strategy::Hash), None, false)),
        ("REFERENCE TABLE s.\"T x\"", ReferenceTable(schema.clone())),
        ("UNSHARD TABLE t", UnshardTable { table: table("t"), shard: None }),
        ("UNSHARD TABLE s.\"T x\" ON SHARD s1", UnshardTable { table: schema, shard: Some(text("s1")) }),
        (
            "ADD RANGE FROM (MINVALUE) TO (-5) ON SHARD s TO GROUP OF t",
            AddRange {
                from: RangeBound::MinValue,
                to: RangeBound::Key(number("-5")),
                shard: text("s"),
                table: table("t"),
            },
        ),
        (
            "ADD RANGE FROM ('a''b') TO (MAXVALUE) ON SHARD s TO GROUP OF t",
            AddRange {
                from: RangeBound::Key(KeyLiteral::Text(text("a'b"))),
                to: RangeBound::MaxValue,
                shard: text("s"),
                table: table("t"),
            },
        ),
        (
            "ASSIGN KEY (42) TO SHARD s IN GROUP OF t",
            AssignKey { key: number("42"), shard: text("s"), table: table("t") },
        ),
        ("MOVE KEY (42) TO SHARD s IN GROUP OF t", MoveKey { key: number("42"), shard: text("s"), table: table("t") }),
    ]);
}

#[test]
fn shards_and_replicas() {
    let alter = |change| AlterShard { shard: text("s"), change };
    let add = |weight, zone: Option<&str>| AddShard {
        name: text("s"),
        connection: text("host=h"),
        weight,
        zone: zone.map(text),
    };
    check(&[
        ("ADD SHARD s CONNECTION 'host=h'", add(None, None)),
        ("ADD SHARD s CONNECTION 'host=h' ZONE z WEIGHT 2.5", add(Some(2.5), Some("z"))),
        (
            "ADD REPLICA r CONNECTION 'host=h' ZONE 'Z-1' TO SHARD s",
            AddReplica {
                name: text("r"),
                connection: text("host=h"),
                weight: None,
                zone: Some(text("Z-1")),
                shard: text("s"),
            },
        ),
        ("ALTER SHARD s SET WEIGHT 0", alter(ShardChange::Weight(0.0))),
        ("ALTER SHARD s SET READ ONLY", alter(ShardChange::ReadOnly(true))),
        ("ALTER SHARD s SET READ WRITE", alter(ShardChange::ReadOnly(false))),
        ("ALTER SHARD s SET ACTIVE", alter(ShardChange::Active(true))),
        ("ALTER SHARD s SET INACTIVE", alter(ShardChange::Active(false))),
        ("ALTER SHARD s SET CONNECTION 'x'", alter(ShardChange::Connection(text("x")))),
        ("DRAIN SHARD s", DrainShard(text("s"))),
        ("DROP SHARD s", DropShard(text("s"))),
        ("DROP REPLICA r", DropReplica(text("r"))),
        ("FAILOVER SHARD s", Failover { shard: text("s"), replica: None }),
        ("FAILOVER SHARD s TO REPLICA r", Failover { shard: text("s"), replica: Some(text("r")) }),
        ("SPLIT SHARD s", SplitShard { shard: text("s"), target: SplitTarget::Unnamed }),
        ("SPLIT SHARD s INTO n", SplitShard { shard: text("s"), target: SplitTarget::New(text("n")) }),
        ("SPLIT SHARD s ONTO n", SplitShard { shard: text("s"), target: SplitTarget::Existing(text("n")) }),
        ("REBALANCE", Rebalance(None)),
        ("REBALANCE BY LOAD", Rebalance(Some(RebalanceBy::Load))),
        ("REBALANCE BY SIZE", Rebalance(Some(RebalanceBy::Size))),
        ("REBALANCE BY WEIGHT", Rebalance(Some(RebalanceBy::Weight))),
    ]);
}

#[test]
fn operations_and_repairs() {
    check(&[
        ("PAUSE OPERATION 7", PauseOperation(text("7"))),
        ("RESUME OPERATION '7-a'", ResumeOperation(text("7-a"))),
        ("CANCEL OPERATION 7", CancelOperation(text("7"))),
        ("ROLLBACK OPERATION 7", RollbackOperation(text("7"))),
        ("FINISH OPERATION 7", FinishOperation(text("7"))),
        ("SET THROTTLE '8MB'", SetThrottle { bytes_per_second: 8 << 20, operation: None }),
        ("SET THROTTLE '64kB' FOR OPERATION 7", SetThrottle { bytes_per_second: 64 << 10, operation: Some(text("7")) }),
        ("VERIFY TABLE t", VerifyTable(table("t"))),
        ("VERIFY OPERATION 7", VerifyOperation(text("7"))),
        ("REPAIR SHARD s", RepairShard(text("s"))),
        ("REPAIR TABLE t", RepairTable(table("t"))),
        ("RESOLVE TRANSACTION 'g' COMMIT FORCE", ResolveTransaction { gid: text("g"), commit: true }),
        ("RESOLVE TRANSACTION 'g' ABORT FORCE", ResolveTransaction { gid: text("g"), commit: false }),
        ("IMPORT TABLE t FROM 'host=h'", ImportTable { table: table("t"), connection: text("host=h") }),
        ("IMPORT DATABASE FROM 'host=h'", ImportDatabase(text("host=h"))),
        ("APPROVE RECOMMENDATION 3", ApproveRecommendation(text("3"))),
        ("REJECT RECOMMENDATION 3", RejectRecommendation(text("3"))),
    ]);
}

#[test]
fn cache_and_service() {
    let cache = |ttl, strategy: Option<&str>, trust_functions, target| CreateCache {
        name: text("c"),
        ttl,
        strategy: strategy.map(text),
        trust_functions,
        target,
    };
    let statement = "SELECT ';', $1 FROM t WHERE a = B'1' -- no end";
    let long = format!("CREATE CACHE c FOR {}", "SELECT ';', $1 FROM t WHERE a = B'1'");
    let set = |section: &str, key: &str, value: &str| SetConfig {
        section: text(section),
        key: text(key),
        value: text(value),
    };
    assert!(parse(&format!("CREATE CACHE c FOR {statement}")).is_ok());
    check(&[
        ("CREATE CACHE c FOR TABLE t", cache(None, None, false, CacheFor::Table(table("t")))),
        (&long, cache(None, None, false, CacheFor::Statement(text("SELECT ';', $1 FROM t WHERE a = B'1'")))),
        (
            "CREATE CACHE c TTL '5m' STRATEGY write_through TRUST FUNCTIONS FOR WITH x AS (SELECT 1) SELECT * FROM x",
            cache(
                Some(Duration::from_secs(300)),
                Some("write_through"),
                true,
                CacheFor::Statement(text("WITH x AS (SELECT 1) SELECT * FROM x")),
            ),
        ),
        ("DROP CACHE c", DropCache(text("c"))),
        ("INVALIDATE CACHE ALL", InvalidateCache(Invalidate::All)),
        ("INVALIDATE CACHE c", InvalidateCache(Invalidate::Policy(text("c")))),
        ("INVALIDATE CACHE TABLE t", InvalidateCache(Invalidate::Table(table("t")))),
        ("INVALIDATE CACHE KEY (1) OF t", InvalidateCache(Invalidate::Key(number("1"), table("t")))),
        ("PAUSE", Pause(None)),
        ("PAUSE app", Pause(Some(text("app")))),
        ("PAUSE \"operation\"", Pause(Some(text("operation")))),
        ("RESUME", Resume(None)),
        ("RESUME app", Resume(Some(text("app")))),
        ("RELOAD", Reload),
        ("DRAIN", Drain),
        ("SHUTDOWN", Shutdown),
        ("KILL CLIENT 12", KillClient(text("12"))),
        ("KILL QUERY 12", KillQuery(text("12"))),
        ("SET pool.size = 20", set("pool", "size", "20")),
        ("SET cache.default TO on", set("cache", "default", "on")),
        ("SET Rebalancer.Prometheus.url = 'http://X'", set("rebalancer", "prometheus.url", "http://X")),
        ("SET timeouts.query = '5s'", set("timeouts", "query", "5s")),
    ]);
}

#[test]
fn every_topic_is_shown() {
    for (words, topic) in TOPICS {
        let command = format!("show {}", words.join(" "));
        match topic {
            ShowTopic::Operation(_) => {
                assert!(parse(&command).is_err());
                check(&[(&format!("{command} 7"), Show(ShowTopic::Operation(text("7"))))]);
            }
            _ => check(&[(&command, Show(topic.clone()))]),
        }
    }
    let last = ShowTopic::Monitor(Some(Duration::from_secs(600)));
    check(&[("SHOW MONITOR LAST '10m'", Show(last))]);
}

#[test]
fn other_statements_are_the_sessions() {
    let set = |name: &str, value: &str| {
        let value = SetValue::Values(vec![text(value)]);
        Session(Verb::Set { scope: SetScope::Session, name: text(name), value })
    };
    check(&[
        ("SET client_encoding = 'UTF8'", set("client_encoding", "UTF8")),
        ("SET throttle = 1", set("throttle", "1")),
        ("SET pgring.cache = on", set("pgring.cache", "on")),
        ("SHOW server_version", Session(Verb::Show(Which::Name(text("server_version"))))),
        ("SHOW cache.default", Session(Verb::Show(Which::Name(text("cache.default"))))),
        ("SHOW ALL", Session(Verb::Show(Which::All))),
        ("BEGIN", Session(Verb::Begin { isolation: None, read_only: None, deferrable: None })),
        ("ROLLBACK", Session(Verb::Rollback { chain: false })),
        ("ROLLBACK TO x", Session(Verb::RollbackTo(text("x")))),
        ("MOVE NEXT FROM c", Session(Verb::Fetch { cursor: text("c"), is_move: true })),
        ("COMMIT", Session(Verb::Commit { chain: false })),
    ]);
}

#[test]
fn errors_say_where_and_what_could_stand_there() {
    for (command, position, message, hint) in [
        ("", 1, "syntax error at end of input", "SHARD"),
        ("SHRAD TABLE t", 1, "syntax error at or near \"SHRAD\"", "Did you mean SHARD?"),
        ("SHARD TABEL t BY (a)", 7, "syntax error at or near \"TABEL\"", "Did you mean TABLE?"),
        ("SHARD TABLE t", 14, "syntax error at end of input", "BY"),
        (
            "SHARD TABLE t BY (a) USNG HASH",
            22,
            "near \"USNG\"",
            "Did you mean USING? Here can stand: USING, COLOCATE, IN, ALLOW",
        ),
        ("SHARD TABLE t BY (a) USING TREE", 28, "near \"TREE\"", "HASH, RANGE, DIRECTORY"),
        ("SHARD TABLE t BY a", 18, "near \"a\"", "("),
        ("SHARD TABLE \"ä\" BY [", 20, "near \"[\"", "("),
        ("ADD SHARD s CONNECTION host", 24, "near \"host\"", "a connection string"),
        ("ADD SHARD s CONNECTION 'x' WEIGHT -1", 35, "-1 is no weight", "1.5"),
        ("ADD SHARD s CONNECTION 'x", 24, "does not end", "'…'"),
        ("SHOW MONITOR LAST 'soon'", 19, "\"soon\" is no duration", "250ms"),
        ("SET THROTTLE '8 parrots'", 14, "no size", "8MB"),
        ("SET timeouts.query = 5s", 23, "near \"s\"", "DRY RUN, the end"),
        ("SET pool.size", 14, "end of input", "TO, ="),
        ("SET x", 5, "near \"x\"", "THROTTLE"),
        ("SHOW SHARDS extra", 13, "near \"extra\"", "the end"),
        ("SHOW SHARDS DRY RUN", 13, "DRY RUN goes with", "Leave"),
        ("RELOAD; RELOAD", 9, "near \"RELOAD\"", "one command at a time"),
        ("RELOAD DRY RUN x", 16, "near \"x\"", "DRY RUN ends"),
        ("RELOAD DRY", 8, "near \"DRY\"", "DRY RUN"),
        ("REFERENCE TABLE select", 17, "near \"select\"", "the name of a table"),
        ("CREATE CACHE c FOR DELETE FROM t", 20, "near \"DELETE\"", "TABLE, SELECT"),
        ("SELECT 1", 1, "near \"SELECT\"", "SHOW"),
        ("KILL 12", 6, "near \"12\"", "CLIENT, QUERY"),
    ] {
        let error = parse(command).expect_err(command);
        assert!(error.message.contains(message), "{command}: {}", error.message);
        assert!(error.hint.contains(hint), "{command}: {}", error.hint);
        assert_eq!(error.position, position, "{command}: {}", error.message);
    }
    assert_eq!(nearest("shard"), Some("SHARD"));
    assert_eq!(nearest("shads"), Some("SHARDS"));
    assert_eq!(nearest("search_path"), None);
}

#[test]
fn the_grammar_lists_every_command_and_topic() {
    for (word, _) in COMMANDS {
        assert!(GRAMMAR.iter().any(|(syntax, _)| syntax.split(' ').next() == Some(word)), "{word}");
    }
    for (words, _) in TOPICS {
        let words = words.join(" ");
        let listed = |syntax: &str| syntax.starts_with("SHOW") && syntax.contains(&format!(" {words}"));
        assert!(GRAMMAR.iter().any(|(syntax, _)| listed(syntax)), "{words}");
    }
    for (syntax, _) in GRAMMAR {
        let first = syntax.split(' ').next().unwrap();
        assert!(COMMANDS.iter().any(|(word, _)| *word == first), "{syntax}");
    }
}

#[test]
fn durations_and_sizes() {
    assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
    assert_eq!(parse_duration(" 2 h "), Some(Duration::from_secs(7200)));
    assert_eq!(parse_size("1GB"), Some(1 << 30));
    assert_eq!(parse_size("7"), Some(7));
    for wrong in ["", "s", "5", "5d", "-5s", "99999999999999999999s", "18446744073709551615h"] {
        assert_eq!(parse_duration(wrong), None, "{wrong}");
    }
    for wrong in ["", "MB", "8XB", "18446744073709551615GB"] {
        assert_eq!(parse_size(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn parse_takes_any_text(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.position));
        }
    }

    #[test]
    fn parse_takes_any_words(words in prop::collection::vec(prop::sample::select(vec![
        "SHARD", "TABLE", "t", "BY", "(", ")", "a", "USING", "DRY", "RUN", ";", "'x'", "5", "SET", "SHOW", "CACHE", "FOR", "SELECT",
        "CREATE", "KEY", "ADD", "RANGE", "FROM", "TO", ".", "=", "-", "\"ä\"", "$1", "/*", "'", "OPERATION", "PAUSE", "ROLLBACK",
    ]), 0..12)) {
        let text = words.join(" ");
        if let Err(error) = parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.position));
            prop_assert!(!error.message.is_empty());
        }
    }
}

use super::*;
use proptest::prelude::*;

fn name(name: &str) -> Which {
    Which::Name(name.to_owned())
}

fn begin(isolation: Option<Isolation>, read_only: Option<bool>, deferrable: Option<bool>) -> Option<Verb> {
    Some(Verb::Begin { isolation, read_only, deferrable })
}

fn set(scope: SetScope, name: &str, values: &[&str]) -> Option<Verb> {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Some(Verb::Set { scope, name: name.to_owned(), value: SetValue::Values(values) })
}

fn check(table: &[(&str, Option<Verb>)]) {
    for (statement, expected) in table {
        assert_eq!(&recognise(statement), expected, "{statement}");
        assert_eq!(&recognise(&format!(" /* x */ {statement} -- y")).is_some(), &expected.is_some(), "{statement}");
    }
}

#[test]
fn transaction_statements() {
    use Isolation::*;
    let text = str::to_owned;
    check(&[
        ("BEGIN", begin(None, None, None)),
        ("begin work", begin(None, None, None)),
        (
            "Begin Transaction Isolation Level Serializable, Read Only Deferrable",
            begin(Some(Serializable), Some(true), Some(true)),
        ),
        ("START TRANSACTION READ WRITE, NOT DEFERRABLE", begin(None, Some(false), Some(false))),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ", begin(Some(RepeatableRead), None, None)),
        ("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", begin(Some(ReadCommitted), Some(true), None)),
        ("BEGIN ISOLATION LEVEL READ UNCOMMITTED", begin(Some(ReadUncommitted), None, None)),
        ("BEGIN READ ONLY,", None),
        ("BEGIN , READ ONLY", None),
        ("BEGIN ATOMIC", None),
        ("START", None),
        ("COMMIT", Some(Verb::Commit { chain: false })),
        ("END TRANSACTION AND CHAIN", Some(Verb::Commit { chain: true })),
        ("COMMIT WORK AND NO CHAIN", Some(Verb::Commit { chain: false })),
        ("COMMIT AND", None),
        ("END PREPARED 'x'", None),
        ("ROLLBACK", Some(Verb::Rollback { chain: false })),
        ("ABORT WORK AND CHAIN", Some(Verb::Rollback { chain: true })),
        ("ABORT TO x", None),
        ("ROLLBACK TO x", Some(Verb::RollbackTo(text("x")))),
        ("ROLLBACK WORK TO SAVEPOINT \"X y\"", Some(Verb::RollbackTo(text("X y")))),
        ("SAVEPOINT Foo", Some(Verb::Savepoint(text("foo")))),
        ("SAVEPOINT select", None),
        ("SAVEPOINT a b", None),
        ("RELEASE a", Some(Verb::Release(text("a")))),
        ("RELEASE SAVEPOINT a", Some(Verb::Release(text("a")))),
        ("RELEASE savepoint", Some(Verb::Release(text("savepoint")))),
        ("PREPARE TRANSACTION 'g'", Some(Verb::PrepareTransaction(text("g")))),
        ("COMMIT PREPARED E'g\\'h'", Some(Verb::CommitPrepared(text("g'h")))),
        ("ROLLBACK PREPARED 'a''b'", Some(Verb::RollbackPrepared(text("a'b")))),
        ("ROLLBACK PREPARED x", None),
        ("COMMIT PREPARED 'a'\n'b'", None),
        (
            "SET TRANSACTION READ ONLY",
            Some(Verb::SetTransaction { isolation: None, read_only: Some(true), deferrable: None, snapshot: None }),
        ),
        (
            "SET LOCAL TRANSACTION SNAPSHOT '0-1'",
            Some(Verb::SetTransaction {
                isolation: None,
                read_only: None,
                deferrable: None,
                snapshot: Some(text("0-1")),
            }),
        ),
        ("SET TRANSACTION", None),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            Some(Verb::SetSessionCharacteristics { isolation: Some(Serializable), read_only: None, deferrable: None }),
        ),
        ("SET CONSTRAINTS ALL DEFERRED", Some(Verb::SetConstraints)),
        ("SET CONSTRAINTS a, s.b IMMEDIATE", Some(Verb::SetConstraints)),
        ("SET CONSTRAINTS a", None),
    ]);
}

#[test]
fn settings() {
    use SetScope::{Local, Session};
    let special = |name: &str, value| Some(Verb::Set { scope: Session, name: name.to_owned(), value });
    check(&[
        ("SET Search_Path = Foo, \"Bar\", 'b''z'", set(Session, "search_path", &["foo", "Bar", "b'z"])),
        ("SET LOCAL work_mem TO '8MB'", set(Local, "work_mem", &["8MB"])),
        ("SET SESSION x.Y = -5", set(Session, "x.y", &["-5"])),
        ("SET pgring.read_routing TO on", set(Session, "pgring.read_routing", &["on"])),
        ("SET \"TimeZone\" = 1.5", set(Session, "timezone", &["1.5"])),
        ("SET session.x = 1", set(Session, "session.x", &["1"])),
        ("SET x = DEFAULT", special("x", SetValue::Default)),
        ("SET x FROM CURRENT", special("x", SetValue::FromCurrent)),
        ("SET x = ", None),
        ("SET x = select", None),
        ("SET x = a b", None),
        ("SET x = a,", None),
        ("SET x a", None),
        ("SET x = $1", None),
        ("SET TIME ZONE 'UTC'", set(Session, "timezone", &["UTC"])),
        ("SET TIME ZONE -7", set(Session, "timezone", &["-7"])),
        ("SET TIME ZONE LOCAL", special("timezone", SetValue::Default)),
        ("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", set(Session, "timezone", &["INTERVAL '-08:00'"])),
        (
            "SET LOCAL TIME ZONE DEFAULT",
            Some(Verb::Set { scope: Local, name: "timezone".to_owned(), value: SetValue::Default }),
        ),
        ("SET NAMES 'utf8'", set(Session, "client_encoding", &["utf8"])),
        ("SET NAMES", special("client_encoding", SetValue::Default)),
        ("SET SCHEMA 'S'", set(Session, "search_path", &["S"])),
        ("SET ROLE Admin", set(Session, "role", &["admin"])),
        ("SET ROLE NONE", set(Session, "role", &["none"])),
        ("SET role = 'x'", set(Session, "role", &["x"])),
        ("SET SESSION ROLE x", set(Session, "role", &["x"])),
        ("SET SESSION AUTHORIZATION 'joe'", set(Session, "session_authorization", &["joe"])),
        ("SET SESSION SESSION AUTHORIZATION DEFAULT", special("session_authorization", SetValue::Default)),
        ("SET XML OPTION DOCUMENT", set(Session, "xmloption", &["document"])),
        ("RESET ALL", Some(Verb::Reset(Which::All))),
        ("RESET Work_Mem", Some(Verb::Reset(name("work_mem")))),
        ("RESET TIME ZONE", Some(Verb::Reset(name("timezone")))),
        ("RESET SESSION AUTHORIZATION", Some(Verb::Reset(name("session_authorization")))),
        ("RESET", None),
        ("SHOW ALL", Some(Verb::Show(Which::All))),
        ("SHOW pgring.cache", Some(Verb::Show(name("pgring.cache")))),
        ("SHOW TRANSACTION ISOLATION LEVEL", Some(Verb::Show(name("transaction_isolation")))),
        ("SHOW a b", None),
        ("DISCARD ALL", Some(Verb::Discard(Discard::All))),
        ("DISCARD TEMPORARY", Some(Verb::Discard(Discard::Temp))),
        ("DISCARD x", None),
    ]);
}

#[test]
fn prepared_statements_and_cursors() {
    let fetch = |cursor: &str, is_move| Some(Verb::Fetch { cursor: cursor.to_owned(), is_move });
    for (statement, expected) in [
        ("FETCH c", fetch("c", false)),
        ("FETCH next", fetch("next", false)),
        ("FETCH NEXT FROM c", fetch("c", false)),
        ("FETCH -5 IN \"C\"", fetch("C", false)),
        ("FETCH ALL c", fetch("c", false)),
        ("FETCH FORWARD ALL FROM c", fetch("c", false)),
        ("FETCH BACKWARD c", fetch("c", false)),
        ("FETCH RELATIVE -1 c", fetch("c", false)),
        ("MOVE ABSOLUTE 3 FROM c", fetch("c", true)),
        ("FETCH ABSOLUTE c d", None),
        ("FETCH FROM", None),
        ("CLOSE ALL", Some(Verb::CloseCursor(Which::All))),
        ("CLOSE c", Some(Verb::CloseCursor(name("c")))),
        ("DEALLOCATE PREPARE ALL", Some(Verb::Deallocate(Which::All))),
        ("DEALLOCATE prepare", Some(Verb::Deallocate(name("prepare")))),
        ("DEALLOCATE P1", Some(Verb::Deallocate(name("p1")))),
        ("LISTEN Ch", Some(Verb::Listen("ch".to_owned()))),
        ("UNLISTEN *", Some(Verb::Unlisten(Which::All))),
        ("UNLISTEN c", Some(Verb::Unlisten(name("c")))),
        ("NOTIFY c", Some(Verb::Notify { channel: "c".to_owned(), payload: String::new() })),
        ("NOTIFY c, 'p'", Some(Verb::Notify { channel: "c".to_owned(), payload: "p".to_owned() })),
        ("LOAD 'f'", Some(Verb::Load)),
        ("CHECKPOINT", Some(Verb::Checkpoint)),
        ("CHECKPOINT 1", None),
        ("LOCK TABLE t", None),
        ("SELECT 1", None),
        ("", None),
        ("/* x", None),
    ] {
        assert_eq!(recognise(statement), expected, "{statement}");
    }
}

#[test]
fn prepare_and_declare_give_the_inner_statement() {
    let inner = |statement: &'static str| match recognise(statement) {
        Some(Verb::Prepare { name, types_text, statement_at }) => Some((name, types_text, &statement[statement_at..])),
        Some(Verb::Declare { name, hold, query_at }) => Some((name, hold.to_string(), &statement[query_at..])),
        _ => None,
    };
    for (statement, expected) in [
        ("PREPARE p AS SELECT $1", Some(("p", "", "SELECT $1"))),
        ("PREPARE P(int, numeric(10, 2)[]) AS /* c */ SELECT ';'", Some(("p", "int, numeric(10, 2)[]", "SELECT ';'"))),
        ("PREPARE transaction AS SELECT 1", Some(("transaction", "", "SELECT 1"))),
        ("PREPARE p AS", None),
        ("PREPARE p () AS SELECT 1", None),
        ("PREPARE p (int AS SELECT 1", None),
        ("DECLARE c CURSOR FOR SELECT 1", Some(("c", "false", "SELECT 1"))),
        ("DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1", Some(("c", "true", "SELECT 1"))),
        ("DECLARE c SCROLL CURSOR WITHOUT HOLD FOR VALUES (1)", Some(("c", "false", "VALUES (1)"))),
        ("DECLARE c CURSOR WITH FOR SELECT 1", None),
        ("DECLARE c CURSOR FOR", None),
    ] {
        let expected = expected.map(|(name, extra, text)| (name.to_owned(), extra.to_owned(), text));
        assert_eq!(inner(statement), expected, "{statement}");
    }
}

#[test]
fn execute_gives_its_arguments() {
    let arguments = |statement: &'static str| match recognise(statement) {
        Some(Verb::Execute { name, arguments, open }) => {
            let texts: Vec<_> = arguments.iter().map(|(start, end)| &statement[*start..*end]).collect();
            Some((name, texts, &statement[open..]))
        }
        _ => None,
    };
    for (statement, expected) in [
        ("EXECUTE p", Some(("p", vec![], ""))),
        ("EXECUTE p(1)", Some(("p", vec!["1"], "(1)"))),
        (
            "EXECUTE \"P\" ( f(1, 2) , 'a,b' ,ARRAY[1,2], $1::int, B'01' /* c */ )",
            Some((
                "P",
                vec!["f(1, 2)", "'a,b'", "ARRAY[1,2]", "$1::int", "B'01'"],
                "( f(1, 2) , 'a,b' ,ARRAY[1,2], $1::int, B'01' /* c */ )",
            )),
        ),
        ("EXECUTE p()", None),
        ("EXECUTE p(1,)", None),
        ("EXECUTE p(1", None),
        ("EXECUTE p(1) x", None),
        ("EXECUTE p(U&'a')", None),
    ] {
        assert_eq!(
            arguments(statement),
            expected.map(|(name, texts, rest)| (name.to_owned(), texts, rest)),
            "{statement}"
        );
    }
}

#[test]
fn the_first_word_is_known_in_any_case_and_after_comments() {
    for (statement, expected) in [
        ("select 1", "SELECT"),
        (" -- x\n/* y */ With a", "WITH"),
        ("(SELECT 1)", "("),
        ("selects", ""),
        ("select1", ""),
        ("\"select\"", ""),
        ("", ""),
        ("SHARD TABLE t", ""),
    ] {
        assert_eq!(first_word(statement), expected, "{statement}");
    }
}

proptest! {
    #[test]
    fn recognise_never_panics(text in "(BEGIN|SET|EXECUTE|PREPARE|DECLARE|FETCH|SHOW|NOTIFY|COMMIT) ?[a-z ,.()'\"$=0-9\\[\\]/*\u{e4}-]{0,40}") {
        if let Some(Verb::Execute { arguments, .. }) = recognise(&text) {
            for (start, end) in arguments {
                prop_assert!(text.get(start..end).is_some());
            }
        }
    }

    #[test]
    fn recognise_takes_any_text(text in any::<String>()) {
        recognise(&text);
    }
}

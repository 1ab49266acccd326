use super::*;
use proptest::prelude::*;
use std::borrow::Cow;

fn lexed(text: &str) -> Lexed {
    let mut lexed = Lexed::default();
    lex(text.as_bytes(), &mut lexed);
    lexed
}

/// The shape with letters for the placeholders.
fn shape(text: &str) -> String {
    let show = |byte: &u8| match byte {
        1 => 'ⓘ',
        2 => 'ⓓ',
        3 => 'ⓢ',
        4 => 'ⓔ',
        5 => '$',
        6 => 'ⓑ',
        7 => 'ⓒ',
        other => char::from(*other),
    };
    lexed(text).shape.iter().map(show).collect()
}

fn statements(text: &str) -> Vec<&str> {
    lexed(text).statements.iter().map(|span| &text[span.start as usize..span.end as usize]).collect()
}

#[test]
fn literals_become_placeholders() {
    for (text, expected) in [
        ("SELECT * FROM t WHERE id = 42 AND n = 'x'", "SELECT * FROM t WHERE id = ⓘ AND n = ⓢ"),
        ("SELECT 'it''s', E'a\\'b', e'\\\\'", "SELECT ⓢ, ⓔ, ⓔ"),
        ("SELECT $$a'b$$, $t$ $$ $t$ , $T_1$x$T_1$", "SELECT $, $ , $"),
        ("SELECT B'01', x'1F', N'n', date '2020-01-01', name'x'", "SELECT ⓑ, ⓑ, Nⓢ, date ⓢ, nameⓢ"),
        ("SELECT 1.5e3, .5, 1., 1e5, 1E-3, 007, a1, t.c", "SELECT ⓓ, ⓓ, ⓓ, ⓓ, ⓓ, ⓘ, a1, t.c"),
        ("SELECT 1..5", "SELECT ⓘ..ⓘ"),
        ("SELECT a$b$c, $1, $22 + -3", "SELECT a$b$c, $1, $22 + -ⓘ"),
        ("SELECT \"a'b\"\"1\" --x 'y'\n, 2", "SELECT \"a'b\"\"1\" ⓒ\n, ⓘ"),
        ("/* a /* b */ ' */SELECT a->>'x', b ? 'k', c @> '{}'", "ⓒSELECT a->>ⓢ, b ? ⓢ, c @> ⓢ"),
        ("SELECT 1<--2\n3, 4*/*x*/5, 6- -7", "SELECT ⓘ<ⓒ\nⓘ, ⓘ*ⓒⓘ, ⓘ- -ⓘ"),
        ("SELECT '\\'", "SELECT ⓢ"),
        ("SELECT 'a' 'b'", "SELECT ⓢ ⓢ"),
        ("SELECT a[1:2]", "SELECT a[ⓘ:ⓘ]"),
    ] {
        assert_eq!(shape(text), expected, "{text}");
        assert!(lexed(text).certain, "{text}");
    }
}

#[test]
fn what_is_not_read_surely_is_uncertain() {
    for text in [
        "SELECT 'a'\n'b'",
        "SELECT E'a'\n  'b\\''",
        "SELECT 'a' -- c\n 'b'",
        "SELECT U&'d\\0061t'",
        "SELECT U&\"d\\0061t\"",
        "SELECT 'a",
        "SELECT \"a",
        "SELECT $$a",
        "SELECT $t$a$T$",
        "SELECT E'a\\'",
        "/* a /* b */ SELECT",
        "SELECT 1e",
        "SELECT 1e+",
        "SELECT 12abc",
        "SELECT 1.a",
        "SELECT 0x2A",
        "SELECT 1_000",
        "SELECT $1a",
        "SELECT $99999",
        "SELECT $",
        "SELECT \x01",
        "SELECT \"\x03\"",
        "SELECT \0",
    ] {
        assert!(!lexed(text).certain, "{text:?}");
    }
}

#[test]
fn a_string_on_two_lines_is_one_slot_with_the_first_parts_escapes() {
    let text = "SELECT E'a'\n'b\\'' , 'c'";
    let lexed = lexed(text);
    let slots: Vec<_> = lexed.slots.iter().map(|slot| &text[slot.start as usize..slot.end as usize]).collect();
    assert_eq!(slots, ["E'a'\n'b\\''", "'c'"]);
}

#[test]
fn texts_are_split_into_statements() {
    let function = "CREATE OR REPLACE FUNCTION f(begin int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true \
                    THEN 1 ELSE 2 END; SELECT 1 AS end, (2) AS \"x\", t.case FROM t; SELECT 3 end; SELECT begin, (4) case; END";
    let both = format!("{function}; SELECT 4");
    let procedure = "create procedure p() begin atomic; insert into t values (1); end";
    let then = format!("{procedure};SELECT 1");
    let rule = "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); DELETE FROM v)";
    let rules = format!("{rule} ; SELECT 5");
    for (text, expected) in [
        ("", vec![]),
        (" ; -- x\n ;/* y */", vec![]),
        ("SELECT 1", vec!["SELECT 1"]),
        (" /* a */ SELECT 1 /* b */ ; SELECT ';' ; ", vec!["SELECT 1", "SELECT ';'"]),
        ("BEGIN; SELECT 1; END; COMMIT", vec!["BEGIN", "SELECT 1", "END", "COMMIT"]),
        (&both, vec![function, "SELECT 4"]),
        (&then, vec![procedure, "SELECT 1"]),
        (&rules, vec![rule, "SELECT 5"]),
        ("CREATE FUNCTION f() AS $$ a; b $$; SELECT 1", vec!["CREATE FUNCTION f() AS $$ a; b $$", "SELECT 1"]),
        ("CREATE TABLE begin (a int); SELECT 1", vec!["CREATE TABLE begin (a int)", "SELECT 1"]),
        ("SELECT 1)); SELECT 2", vec!["SELECT 1))", "SELECT 2"]),
    ] {
        assert_eq!(statements(text), expected, "{text}");
    }
}

#[test]
fn parameters_are_counted() {
    assert_eq!(lexed("SELECT $1, $12, '$40' -- $50").parameters, 12);
    assert_eq!(lexed("SELECT 1").parameters, 0);
}

#[test]
fn literals_have_their_values() {
    use SlotKind::*;
    for (kind, raw, expected) in [
        (Integer, "42", Some("42")),
        (Integer, "0x2A", Some("42")),
        (Integer, "0b101", Some("5")),
        (Integer, "1_000", Some("1000")),
        (Integer, "1__0", None),
        (Integer, "0xZ", None),
        (Decimal, "1.5e3", Some("1.5e3")),
        (String, "'it''s'", Some("it's")),
        (String, "''", Some("")),
        (String, "''''", Some("'")),
        (String, "'a'\n'b'", None),
        (String, "U&'a'", None),
        (String, "'a\\n'", Some("a\\n")),
        (EscapeString, "E'a\\n\\t\\\\\\'x'''", Some("a\n\t\\'x'")),
        (EscapeString, "e'\\x41\\101\\u00e4\\U0001F600\\q'", Some("AAä😀q")),
        (EscapeString, "E'\\ud83d\\ude00'", Some("😀")),
        (EscapeString, "E'\\ud83d'", None),
        (EscapeString, "E'\\xff'", None),
        (EscapeString, "E'\\0'", None),
        (EscapeString, "E'a'\n'b'", None),
        (DollarString, "$$a'b$$", Some("a'b")),
        (DollarString, "$t$a$$b$t$", Some("a$$b")),
        (BitString, "B'01'", Some("01")),
        (Comment, "/* x */", None),
    ] {
        assert_eq!(literal_text(kind, raw.as_bytes()).as_deref(), expected, "{raw}");
    }
}

#[test]
fn comments_before_a_statement_give_directives() {
    let pairs = |text: &str| -> Vec<(String, String)> { directives(text.as_bytes()) };
    let one = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        pairs("-- a\n ; /* pgring: read_routing = replica-preferred, pgring.Cache='on' */ SELECT 1"),
        [one("read_routing", "replica-preferred"), one("cache", "on")]
    );
    assert_eq!(pairs("/*PGRING:cache=off*//* b */ /* pgring: shard=s1 */"), [one("cache", "off"), one("shard", "s1")]);
    for text in
        ["SELECT 1 /* pgring: cache=on */", "/* cache=on */ SELECT 1", "/* pgring: cache=on", "/* pgring: */", "/*ü*/"]
    {
        assert_eq!(pairs(text), [], "{text}");
    }
}

#[test]
fn a_reused_lexed_forgets_the_former_text() {
    let mut reused = Lexed::default();
    lex(b"SELECT 'a', $7; SELECT \"", &mut reused);
    lex(b"SELECT 1", &mut reused);
    assert_eq!(reused, lexed("SELECT 1"));
}

/// Pieces of SQL that lexers trip over.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'", "''", "E'", "\\", "\"", "$$", "$a$", "$1", "--", "/*", "*/", "\n", " ", ";", "(", ")", "1", "1.5", ".",
        "e", "U&'", "B'", "create", "function", "begin", "atomic", "end", "case", "as", "ä", "x", "0x", "_", "+",
        "\u{1}", "select",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Shape and slots give the text back; offsets map both ways; statements lie in order inside the text.
fn check(text: &[u8]) {
    let mut lexed = Lexed::default();
    lex(text, &mut lexed);
    let mut rebuilt = Vec::new();
    let mut slots = lexed.slots.iter().peekable();
    for (at, byte) in lexed.shape.iter().enumerate() {
        match slots.next_if(|slot| slot.at as usize == at) {
            Some(slot) => {
                assert_eq!(*byte, placeholder(slot.kind));
                rebuilt.extend_from_slice(&text[slot.start as usize..slot.end as usize]);
            }
            None => rebuilt.push(*byte),
        }
    }
    assert!(slots.next().is_none());
    assert_eq!(rebuilt, text);
    for at in 0..=text.len() {
        match lexed.shape_at(at) {
            Some(offset) => assert_eq!(lexed.text_at(offset), at),
            None => assert!(lexed.slot_at(at).is_some_and(|slot| (lexed.slots[slot].start as usize) < at)),
        }
    }
    let mut last = 0;
    for span in &lexed.statements {
        assert!(last <= span.start && span.start < span.end && span.end as usize <= text.len());
        assert!(lexed.shape_at(span.start as usize).is_some() && lexed.shape_at(span.end as usize).is_some());
        last = span.end;
    }
}

proptest! {
    #[test]
    fn shape_and_slots_rebuild_any_text(text in prop::collection::vec(any::<u8>(), 0..80)) {
        check(&text);
        directives(&text);
    }

    #[test]
    fn shape_and_slots_rebuild_tricky_sql(text in pieces()) {
        check(text.as_bytes());
    }

    #[test]
    fn literals_of_one_kind_share_a_shape(a in any::<u64>(), b in any::<u64>(), s in "[^\u{0}]{0,20}", t in "[^\u{0}]{0,20}") {
        let text = |n: u64, s: &str| format!("SELECT a FROM t WHERE id = {n} AND s = '{}' LIMIT 1", s.replace('\'', "''"));
        let (one, two) = (text(a, &s), text(b, &t));
        let (first, second) = (lexed(&one), lexed(&two));
        prop_assert_eq!(&first.shape, &second.shape);
        prop_assert!(first.certain);
        let slot = first.slots[1];
        let raw = &one.as_bytes()[slot.start as usize..slot.end as usize];
        prop_assert_eq!(literal_text(slot.kind, raw), Some(Cow::Borrowed(s.as_str())));
    }

    #[test]
    fn splits_agree_with_the_statements_alone(parts in prop::collection::vec(prop::sample::select(vec![
        "SELECT 1", "SELECT ';'", "INSERT INTO t VALUES ($$;$$)", "CREATE FUNCTION f() RETURN 1",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN b END; END", "BEGIN", "END",
    ]), 0..6)) {
        let text = parts.join(" ; /* ; */ ");
        prop_assert_eq!(statements(&text), parts);
    }

    #[test]
    fn literal_text_never_panics(raw in "(E|B|U&)?'?[a-z\\\\'$\u{e4}0-9uU]{0,20}'?") {
        for kind in [SlotKind::Integer, SlotKind::String, SlotKind::EscapeString, SlotKind::DollarString, SlotKind::BitString] {
            literal_text(kind, raw.as_bytes());
        }
    }
}

//! Keys: spellings that are read, and those that are not.

use super::*;
use proptest::prelude::*;

fn invalid(key_type: KeyType, text: &str) -> Result<KeyValue, KeyError> {
    Err(KeyError::Invalid { text: text.into(), key_type })
}

fn out_of_range(key_type: KeyType, text: &str) -> Result<KeyValue, KeyError> {
    Err(KeyError::OutOfRange { text: text.into(), key_type })
}

#[test]
fn integers_are_read_as_postgresql_reads_them() {
    use KeyType::{Int2, Int4, Int8};
    for (key_type, text, value) in [
        (Int4, "7", 7),
        (Int4, "007", 7),
        (Int4, " \t\n+7\r\x0b\x0c", 7),
        (Int4, "-0", 0),
        (Int2, "-32768", -32768),
        (Int4, "2147483647", 2_147_483_647),
        (Int8, "-9223372036854775808", i64::MIN),
        (Int8, "0000000000000000000000000001", 1),
    ] {
        assert_eq!(key_type.parse_text(text), Ok(KeyValue::Integer(value)), "{text:?}");
    }
    for text in ["", " ", "-", "+", "7.0", "1e3", "- 7", "+-7", "7 7", "seven", "0x", "7x", "NaN"] {
        let expected = if text == "0x" { Err(KeyError::Uncertain) } else { invalid(Int4, text) };
        assert_eq!(Int4.parse_text(text), expected, "{text:?}");
    }
    for (key_type, text) in [
        (Int2, "32768"),
        (Int4, "2147483648"),
        (Int4, "-2147483649"),
        (Int8, "9223372036854775808"),
        (Int8, " 99999999999999999999999 "),
    ] {
        assert_eq!(key_type.parse_text(text), out_of_range(key_type, text), "{text:?}");
    }
    for text in ["0x1F", "0O17", "-0b1", "1_000", "7\u{a0}", "7\0", "99999x"] {
        assert_eq!(Int8.parse_text(text), Err(KeyError::Uncertain), "{text:?}");
    }
}

#[test]
fn errors_read_as_postgresqls_own() {
    let error = KeyType::Int2.parse_text("70000").unwrap_err();
    assert_eq!(error.to_string(), "value \"70000\" is out of range for type smallint");
    assert_eq!(error.sqlstate(), Some("22003"));
    let error = KeyType::Uuid.parse_text("x").unwrap_err();
    assert_eq!(error.to_string(), "invalid input syntax for type uuid: \"x\"");
    assert_eq!(error.sqlstate(), Some("22P02"));
    assert_eq!(KeyError::Uncertain.sqlstate(), None);
}

#[test]
fn integer_literals_keep_their_own_type() {
    assert_eq!(KeyType::Int2.from_integer_literal("99999999999"), Ok(KeyValue::Integer(99_999_999_999)));
    assert_eq!(KeyType::Int8.from_integer_literal("-9223372036854775808"), Ok(KeyValue::Integer(i64::MIN)));
    assert_eq!(KeyType::Text.from_integer_literal("007"), Ok(KeyValue::Text("7".into())));
    for literal in ["", "-", "9223372036854775808", "7.0", "0x10", "1_0", " 7", "+7", "--7"] {
        assert_eq!(KeyType::Int8.from_integer_literal(literal), Err(KeyError::Uncertain), "{literal:?}");
    }
    assert_eq!(KeyType::Uuid.from_integer_literal("7"), Err(KeyError::Uncertain));
}

#[test]
fn text_keeps_its_blanks_and_char_does_not() {
    assert_eq!(KeyType::Text.parse_text("ab  "), Ok(KeyValue::Text("ab  ".into())));
    assert_eq!(KeyType::Varchar.parse_text(" ab"), Ok(KeyValue::Text(" ab".into())));
    assert_eq!(KeyType::Varchar.parse_text("ab "), Err(KeyError::Uncertain));
    assert_eq!(KeyType::Bpchar.parse_text(" ab  "), Ok(KeyValue::Text(" ab".into())));
    assert_eq!(KeyType::Bpchar.parse_text("ab\t"), Ok(KeyValue::Text("ab\t".into())));
    assert_eq!(KeyType::Text.parse_text("a\0b"), Err(KeyError::Uncertain));
}

#[test]
fn every_spelling_of_a_uuid_is_read() {
    let bytes = *uuid::uuid!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").as_bytes();
    for text in [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
    ] {
        assert_eq!(KeyType::Uuid.parse_text(text), Ok(KeyValue::Uuid(bytes)), "{text:?}");
    }
    for text in [
        "",
        "{}",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0-eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ] {
        assert_eq!(KeyType::Uuid.parse_text(text), invalid(KeyType::Uuid, text), "{text:?}");
    }
}

#[test]
fn binary_parameters_are_read_by_their_declared_type() {
    use KeyType::{Bpchar, Int2, Int4, Int8, Text, Uuid, Varchar};
    let seven = |bytes: &[u8], key_type: KeyType, oid| key_type.from_binary(bytes, oid);
    assert_eq!(seven(&[0, 7], Int8, 21), Ok(KeyValue::Integer(7)));
    assert_eq!(seven(&[255, 255, 255, 249], Int4, 0), Ok(KeyValue::Integer(-7)));
    assert_eq!(seven(&[0, 0, 0, 0, 0, 0, 0, 7], Int2, 20), Ok(KeyValue::Integer(7)));
    for (bytes, key_type, oid) in [
        (&[0, 7][..], Int4, 0),
        (&[0, 7], Int4, 23),
        (&[0, 0, 0, 7], Int8, 25),
        (&[0, 0, 0, 7], Int8, 1700),
        (&[0xff, 0xfe], Text, 25),
        (&[7; 15], Uuid, 0),
        (&[7; 16], Uuid, 17),
        (b"a ", Varchar, 25),
    ] {
        assert_eq!(key_type.from_binary(bytes, oid), Err(KeyError::Uncertain), "{key_type} {oid} {bytes:?}");
    }
    for bytes in [&[][..], b"1", &[0; 3], &[0; 16]] {
        assert_eq!(Int8.from_binary(bytes, 20), invalid(Int8, "binary"), "of no integer's length: {bytes:?}");
    }
    assert_eq!(Uuid.from_binary(&[7; 16], 2950), Ok(KeyValue::Uuid([7; 16])));
    assert_eq!(Text.from_binary(b"a ", 0), Ok(KeyValue::Text("a ".into())));
    assert_eq!(Text.from_binary(b"a ", 1042), Ok(KeyValue::Text("a".into())));
    assert_eq!(Bpchar.from_binary(b"a ", 25), Ok(KeyValue::Text("a".into())));
    assert_eq!(Int4.from_text_parameter(b"99999999999", 20), Ok(KeyValue::Integer(99_999_999_999)));
    assert_eq!(Int4.from_text_parameter(b"99999999999", 0), out_of_range(Int4, "99999999999"));
    assert_eq!(Int4.from_text_parameter(b"7", 1700), Err(KeyError::Uncertain));
}

#[test]
fn types_are_known_by_name_and_oid() {
    for (name, key_type) in [
        ("int", Some(KeyType::Int4)),
        ("INTEGER", Some(KeyType::Int4)),
        ("pg_catalog.int8", Some(KeyType::Int8)),
        ("bigserial", Some(KeyType::Int8)),
        ("character  varying ( 20 )", Some(KeyType::Varchar)),
        ("varchar", Some(KeyType::Varchar)),
        ("char(3)", Some(KeyType::Bpchar)),
        ("uuid", Some(KeyType::Uuid)),
        ("\"char\"", None),
        ("pg_catalog.char", None),
        ("int[]", None),
        ("text(3)", None),
        ("varchar(3)[]", None),
        ("numeric(10,2)", None),
        ("citext", None),
        ("", None),
    ] {
        assert_eq!(KeyType::from_type_name(name), key_type, "{name:?}");
    }
    for (key_type, oid, name) in TYPES {
        assert_eq!((KeyType::from_oid(oid), key_type.oid()), (Some(key_type), oid));
        assert_eq!(KeyType::from_type_name(name), Some(key_type));
    }
    assert_eq!(KeyType::from_oid(1700), None);
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(integer in any::<i64>(), text in "[^\0]{0,40}", uuid in any::<[u8; 16]>()) {
        for key in [KeyValue::Integer(integer), KeyValue::Text(text.into()), KeyValue::Uuid(uuid)] {
            prop_assert_eq!(KeyValue::from_canonical(key.family(), &key.to_string()), Ok(key));
        }
    }

    #[test]
    fn no_input_panics(text in ".{0,40}", bytes in any::<Vec<u8>>(), oid in prop::sample::select(vec![0, 20, 23, 25, 1042, 2950, 17])) {
        for (key_type, ..) in TYPES {
            let _ = key_type.parse_text(&text);
            let _ = key_type.from_integer_literal(&text);
            let _ = key_type.from_binary(&bytes, oid);
            let _ = key_type.from_text_parameter(&bytes, oid);
        }
        let _ = KeyType::from_type_name(&text);
    }
}

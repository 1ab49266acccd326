//! What is built is read back as it was; what is damaged is refused and never panics.

use bytes::BytesMut;
use proptest::{collection::vec, option, prelude::*};

use super::{
    MessageError, build,
    copy::{CopyFail, CopyResponse},
    extended::{Bind, Close, Describe, Execute, Parse},
    notice::{Fields, field},
    query::query_text,
    result::{self, Field},
    startup::{self, Packet},
};
use crate::frame;

/// The body of the one frame that `fill` builds.
fn built(kind: u8, fill: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    fill(&mut out);
    let head = frame::complete(&out, usize::MAX).unwrap().unwrap();
    assert_eq!((head.kind, head.len), (kind, out.len()));
    frame::body(&out, head).to_vec()
}

fn cstr() -> impl Strategy<Value = Vec<u8>> {
    vec(1_u8.., 0..20)
}

fn values() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    vec(option::of(vec(any::<u8>(), 0..20)), 0..8)
}

fn borrowed(values: &[Option<Vec<u8>>]) -> impl Iterator<Item = Option<&[u8]>> {
    values.iter().map(Option::as_deref)
}

#[test]
fn an_error_of_a_server_is_made_whole() {
    for (body, code, message, changed) in [
        (&b"SERROR\0C22012\0Mdivision by zero\0\0"[..], "22012", "division by zero", false),
        (b"SERROR\0Mno code\0\0", "XX000", "no code", true),
        (b"SERROR\0C\0Mno code\0\0", "XX000", "no code", true),
        (b"SERROR\0C42000\0Mcut", "XX000", "the server sent an error that says nothing", true),
        (b"", "XX000", "the server sent an error that says nothing", true),
    ] {
        let (fields, is_changed) = Fields::of_error(body);
        assert_eq!((fields.code(), &*fields.message(), is_changed), (code, message, changed));
        assert_eq!(fields.severity(), "ERROR");
    }
}

proptest! {
    #[test]
    fn parse_is_read_as_built(name in cstr(), sql in cstr(), types in vec(any::<u32>(), 0..8)) {
        let body = built(b'P', |out| build::parse(out, &name, &sql, &types));
        let parse = Parse::parse(&body).unwrap();
        prop_assert_eq!((parse.name, parse.sql, parse.types.len()), (&name[..], &sql[..], types.len()));
        prop_assert_eq!(parse.types.iter().collect::<Vec<_>>(), types);
    }

    #[test]
    fn bind_is_read_as_built(portal in cstr(), statement in cstr(), values in values(), each: bool, results in vec(0..2_i16, 0..4)) {
        let formats: Vec<i16> = if each { (0..values.len()).map(|index| i16::from(index % 2 == 1)).collect() } else { vec![1] };
        let body = built(b'B', |out| build::bind(out, &portal, &statement, &formats, borrowed(&values), &results));
        let bind = Bind::parse(&body).unwrap();
        prop_assert_eq!((bind.portal, bind.statement), (&portal[..], &statement[..]));
        let parameters = bind.parameters().unwrap();
        prop_assert_eq!(parameters.len(), values.len());
        prop_assert_eq!(parameters.result_formats(), &results[..]);
        for (index, value) in values.iter().enumerate() {
            let parameter = parameters.get(index).unwrap();
            prop_assert_eq!(parameter.value, value.as_deref());
            prop_assert_eq!(parameter.format, if each { i16::from(index % 2 == 1) } else { 1 });
        }
        prop_assert_eq!(parameters.get(values.len()), None);
        prop_assert_eq!(built(b'B', |out| build::bind_raw(out, &portal, &statement, bind.rest)), body);
    }

    #[test]
    fn a_message_cut_short_or_with_a_byte_more_is_refused(name in cstr(), values in values(), cut in any::<prop::sample::Index>()) {
        let bodies = [
            built(b'P', |out| build::parse(out, &name, "select 1", &[23, 0])),
            built(b'B', |out| build::bind(out, &name, "s", &[1], borrowed(&values), &[0])),
            built(b'D', |out| build::describe(out, b'S', &name)),
            built(b'C', |out| build::close(out, b'P', &name)),
            built(b'E', |out| build::execute(out, &name, 10)),
        ];
        let read = |index: usize, body: &[u8]| match index {
            0 => Parse::parse(body).map(drop),
            1 => Bind::parse(body).and_then(|bind| bind.parameters()).map(drop),
            2 => Describe::parse(body).map(drop),
            3 => Close::parse(body).map(drop),
            _ => Execute::parse(body).map(drop),
        };
        for (index, body) in bodies.iter().enumerate() {
            prop_assert_eq!(read(index, body), Ok(()));
            prop_assert!(read(index, &body[..cut.index(body.len())]).is_err());
            let longer = [body.as_slice(), &[0]].concat();
            prop_assert_eq!(read(index, &longer), Err(MessageError::Trailing));
        }
    }

    #[test]
    fn names_are_read_as_built(name in cstr(), max in any::<i32>()) {
        let body = built(b'D', |out| build::describe(out, b'S', &name));
        prop_assert_eq!(Describe::parse(&body), Ok(Describe { kind: b'S', name: &name }));
        let body = built(b'C', |out| build::close(out, b'P', &name));
        prop_assert_eq!(Close::parse(&body), Ok(Close { kind: b'P', name: &name }));
        let body = built(b'E', |out| build::execute(out, &name, max));
        prop_assert_eq!(Execute::parse(&body), Ok(Execute { portal: &name, max_rows: max }));
        let body = built(b'Q', |out| build::query(out, &name));
        prop_assert_eq!(query_text(&body), Ok(&name[..]));
        let body = built(b'f', |out| build::copy_fail(out, &name));
        prop_assert_eq!(CopyFail::parse(&body), Ok(CopyFail { message: &name }));
    }

    #[test]
    fn rows_are_read_as_built(values in values(), names in vec("[a-zé]{0,9}", 0..5), numbers: (u32, i16, u32, i16, i32, i16)) {
        let body = built(b'D', |out| build::data_row(out, borrowed(&values)));
        let columns: Result<Vec<_>, _> = result::columns(&body).unwrap().collect();
        prop_assert_eq!(columns.unwrap(), borrowed(&values).collect::<Vec<_>>());
        let (table_oid, column, type_oid, type_size, type_modifier, format) = numbers;
        let fields: Vec<Field> = names
            .into_iter()
            .map(|name| Field { name, table_oid, column, type_oid, type_size, type_modifier, format })
            .collect();
        let body = built(b'T', |out| build::row_description(out, &fields));
        prop_assert_eq!(result::row_description(&body), Ok(fields));
    }

    #[test]
    fn answers_are_read_as_built(name in "[a-z]{0,9}", value in "[^\0]{0,9}", pid: i32, types in vec(any::<u32>(), 0..5), formats in vec(0..2_i16, 0..5)) {
        let body = built(b'S', |out| build::parameter_status(out, &name, &value));
        prop_assert_eq!(result::parameter_status(&body), Ok((name.as_str(), value.as_str())));
        let body = built(b'A', |out| build::notification(out, pid, &name, &value));
        prop_assert_eq!(result::notification(&body), Ok((pid, name.as_str(), value.as_str())));
        let body = built(b'C', |out| build::command_complete(out, &value));
        prop_assert_eq!(result::tag(&body), Ok(value.as_str()));
        let body = built(b't', |out| build::parameter_description(out, &types));
        prop_assert_eq!(result::parameter_types(&body), Ok(types));
        let body = built(b'K', |out| build::backend_key_data(out, pid, &[7; 32]));
        prop_assert_eq!(result::backend_key_data(&body), Ok((pid, &[7; 32][..])));
        let body = built(b'G', |out| build::copy_in_response(out, 1, &formats));
        prop_assert_eq!(CopyResponse::parse(&body), Ok(CopyResponse { format: 1, columns: formats }));
    }

    #[test]
    fn error_fields_are_read_as_built(message in "[^\0]{1,20}", detail in "[^\0]{0,20}") {
        let fields = Fields::error("42P01", &message).with(field::DETAIL, &detail).with(field::POSITION, "15");
        let body = built(b'E', |out| build::error(out, &fields));
        let read = Fields::parse(&body).unwrap();
        prop_assert_eq!(&read, &fields);
        prop_assert_eq!((read.code(), read.message().into_owned(), read.position()), ("42P01", message, Some(15)));
        prop_assert_eq!((read.severity(), read.get(b'S'), read.detail()), ("ERROR", Some("ERROR"), Some(detail.as_str())));
    }

    #[test]
    fn startup_packets_are_read_as_built(pid: i32, secret in vec(any::<u8>(), 4..=256), pairs in vec(("[a-z._]{1,9}", "[^\0]{0,9}"), 0..6)) {
        let mut out = BytesMut::new();
        startup::cancel_request(&mut out, pid, &secret);
        prop_assert_eq!(usize::try_from(u32::from_be_bytes(*out.first_chunk().unwrap())).unwrap(), out.len());
        prop_assert_eq!(Packet::parse(&out[4..]), Ok(Packet::Cancel { pid, secret: &secret }));
        out.clear();
        startup::startup(&mut out, 2, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
        let Ok(Packet::Startup { major: 3, minor: 2, rest }) = Packet::parse(&out[4..]) else { panic!("no startup") };
        prop_assert_eq!(startup::parameters(rest), Ok(pairs));
    }

    #[test]
    fn any_bytes_are_read_without_panic(body in vec(prop_oneof![any::<u8>(), 0..3_u8, Just(0xff)], 0..80)) {
        let _ = query_text(&body);
        let _ = Parse::parse(&body).map(|parse| parse.types.iter().count());
        let _ = Bind::parse(&body).and_then(|bind| bind.parameters().map(|found| found.len()));
        let _ = Bind { portal: b"", statement: b"", rest: &body }.parameters();
        let _ = (Describe::parse(&body), Close::parse(&body), Execute::parse(&body), CopyFail::parse(&body));
        let _ = (CopyResponse::parse(&body), Fields::parse(&body), result::row_description(&body));
        let _ = result::columns(&body).map(Iterator::count);
        let _ = (result::tag(&body), result::parameter_status(&body), result::ready_status(&body));
        let _ = (result::parameter_types(&body), result::notification(&body), result::backend_key_data(&body));
        let _ = (Packet::parse(&body), startup::parameters(&body));
    }
}

#[test]
fn a_bind_whose_formats_do_not_fit_is_refused() {
    let body = built(b'B', |out| build::bind(out, "", "", &[0, 1], [None], &[]));
    let read = Bind::parse(&body).and_then(|bind| bind.parameters());
    assert_eq!(read, Err(MessageError::Formats { formats: 2, parameters: 1 }));
}

#[test]
fn a_length_that_no_body_holds_allocates_nothing_for_it() {
    // no formats, 65,535 parameters, the first of 2 GiB
    let rest = [0, 0, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff];
    assert_eq!(Bind { portal: b"", statement: b"", rest: &rest }.parameters(), Err(MessageError::TooShort));
    assert_eq!(result::row_description(&[0xff, 0xff, 0]), Err(MessageError::TooShort));
    let mut columns = result::columns(&[0xff, 0xff, 0x80, 0, 0, 0]).unwrap();
    assert_eq!(columns.next(), Some(Err(MessageError::TooShort)));
    assert_eq!(columns.next(), None);
}

#[test]
fn a_describe_of_neither_statement_nor_portal_is_refused() {
    let error = Describe::parse(b"Xname\0").unwrap_err();
    assert_eq!(error.to_string(), "invalid DESCRIBE message subtype 88");
    assert_eq!(Close::parse(b"Xname\0").unwrap_err().to_string(), "invalid CLOSE message subtype 88");
}

#[test]
fn startup_parameters_end_with_the_packet() {
    for broken in [&b"user\0app\0"[..], b"user\0app", b"user\0", b"", b"user\0app\0\0x"] {
        assert_eq!(startup::parameters(broken), Err(MessageError::StartupLayout), "{broken:?}");
    }
    assert_eq!(startup::parameters(b"user\0\xff\0\0"), Err(MessageError::NotUtf8));
}

#[test]
fn a_nul_in_a_startup_parameter_is_not_smuggled_in() {
    let mut out = BytesMut::new();
    let smuggled = startup::startup(&mut out, 0, [("application_name", "x\0user\0postgres")]);
    assert_eq!(smuggled, Err(MessageError::Value));
    assert!(out.is_empty());
}

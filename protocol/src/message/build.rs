//! Builders: fields → frames appended to a buffer. In: what a message says. Out: its bytes. Never: I/O.
//!
//! Strings go out as they are. One with a NUL inside still makes a frame of the right length, which the receiver
//! refuses or reads up to the NUL; readers of this crate never yield one.

use bytes::{BufMut, BytesMut};

use super::{notice::Fields, result::Field};
use crate::frame::{client, server};

/// Appends one frame whose body `fill` writes.
pub fn frame(out: &mut BytesMut, kind: u8, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let start = out.len();
    out.put_u32(0);
    fill(out);
    let length = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    if let Some(word) = out.get_mut(start..start + 4) {
        word.copy_from_slice(&length.to_be_bytes());
    }
}

fn empty(out: &mut BytesMut, kind: u8) {
    frame(out, kind, |_| ());
}

fn put_cstr(out: &mut BytesMut, text: impl AsRef<[u8]>) {
    out.put_slice(text.as_ref());
    out.put_u8(0);
}

/// A count as the protocol has it; it cannot carry more than 65,535.
fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
}

fn put_value(out: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        None => out.put_i32(-1),
        Some(bytes) => {
            out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            out.put_slice(bytes);
        }
    }
}

fn put_formats(out: &mut BytesMut, formats: &[i16]) {
    put_count(out, formats.len());
    formats.iter().for_each(|format| out.put_i16(*format));
}

/// Appends a Query.
pub fn query(out: &mut BytesMut, sql: impl AsRef<[u8]>) {
    frame(out, client::QUERY, |out| put_cstr(out, sql));
}

/// Appends a Parse; `types` may be shorter than the statement's parameters.
pub fn parse(out: &mut BytesMut, name: impl AsRef<[u8]>, sql: impl AsRef<[u8]>, types: &[u32]) {
    frame(out, client::PARSE, |out| {
        put_cstr(out, name);
        put_cstr(out, sql);
        put_count(out, types.len());
        types.iter().for_each(|oid| out.put_u32(*oid));
    });
}

/// Appends a Bind whose bytes behind the names are given, as in [`super::extended::Bind::rest`].
pub fn bind_raw(out: &mut BytesMut, portal: impl AsRef<[u8]>, statement: impl AsRef<[u8]>, rest: &[u8]) {
    frame(out, client::BIND, |out| {
        put_cstr(out, portal);
        put_cstr(out, statement);
        out.put_slice(rest);
    });
}

/// Appends a Bind; formats are none (all text), one (for all) or one each.
pub fn bind<'a>(
    out: &mut BytesMut,
    portal: impl AsRef<[u8]>,
    statement: impl AsRef<[u8]>,
    parameter_formats: &[i16],
    parameters: impl IntoIterator<Item = Option<&'a [u8]>>,
    result_formats: &[i16],
) {
    frame(out, client::BIND, |out| {
        put_cstr(out, portal);
        put_cstr(out, statement);
        put_formats(out, parameter_formats);
        put_values(out, parameters);
        put_formats(out, result_formats);
    });
}

/// The number of values, then each.
fn put_values<'a>(out: &mut BytesMut, values: impl IntoIterator<Item = Option<&'a [u8]>>) {
    let start = out.len();
    out.put_u16(0);
    let mut count = 0_u16;
    for value in values {
        put_value(out, value);
        count = count.saturating_add(1);
    }
    if let Some(word) = out.get_mut(start..start + 2) {
        word.copy_from_slice(&count.to_be_bytes());
    }
}

/// Appends a Describe; `kind` is [`super::extended::STATEMENT`] or [`super::extended::PORTAL`].
pub fn describe(out: &mut BytesMut, kind: u8, name: impl AsRef<[u8]>) {
    named(out, client::DESCRIBE, kind, name);
}

/// Appends a Close; `kind` is [`super::extended::STATEMENT`] or [`super::extended::PORTAL`].
pub fn close(out: &mut BytesMut, kind: u8, name: impl AsRef<[u8]>) {
    named(out, client::CLOSE, kind, name);
}

fn named(out: &mut BytesMut, message: u8, kind: u8, name: impl AsRef<[u8]>) {
    frame(out, message, |out| {
        out.put_u8(kind);
        put_cstr(out, name);
    });
}

/// Appends an Execute; `max_rows` 0 is no limit.
pub fn execute(out: &mut BytesMut, portal: impl AsRef<[u8]>, max_rows: i32) {
    frame(out, client::EXECUTE, |out| {
        put_cstr(out, portal);
        out.put_i32(max_rows);
    });
}

/// Appends a Sync.
pub fn sync(out: &mut BytesMut) {
    empty(out, client::SYNC);
}

/// Appends a Flush.
pub fn flush(out: &mut BytesMut) {
    empty(out, client::FLUSH);
}

/// Appends a Terminate.
pub fn terminate(out: &mut BytesMut) {
    empty(out, client::TERMINATE);
}

/// Appends a CopyFail.
pub fn copy_fail(out: &mut BytesMut, message: impl AsRef<[u8]>) {
    frame(out, client::COPY_FAIL, |out| put_cstr(out, message));
}

/// Appends a CopyData, for either direction.
pub fn copy_data(out: &mut BytesMut, data: &[u8]) {
    frame(out, client::COPY_DATA, |out| out.put_slice(data));
}

/// Appends a CopyDone, for either direction.
pub fn copy_done(out: &mut BytesMut) {
    empty(out, client::COPY_DONE);
}

/// Appends a PasswordMessage.
pub fn password(out: &mut BytesMut, password: impl AsRef<[u8]>) {
    frame(out, client::PASSWORD, |out| put_cstr(out, password));
}

/// Appends a SASLInitialResponse.
pub fn sasl_initial_response(out: &mut BytesMut, mechanism: &str, data: &[u8]) {
    frame(out, client::PASSWORD, |out| {
        put_cstr(out, mechanism);
        put_value(out, Some(data));
    });
}

/// Appends a SASLResponse.
pub fn sasl_response(out: &mut BytesMut, data: &[u8]) {
    frame(out, client::PASSWORD, |out| out.put_slice(data));
}

fn authentication(out: &mut BytesMut, code: u32, data: &[u8]) {
    frame(out, server::AUTHENTICATION, |out| {
        out.put_u32(code);
        out.put_slice(data);
    });
}

/// Appends AuthenticationOk.
pub fn authentication_ok(out: &mut BytesMut) {
    authentication(out, 0, &[]);
}

/// Appends AuthenticationCleartextPassword.
pub fn authentication_cleartext_password(out: &mut BytesMut) {
    authentication(out, 3, &[]);
}

/// Appends AuthenticationMD5Password.
pub fn authentication_md5_password(out: &mut BytesMut, salt: [u8; 4]) {
    authentication(out, 5, &salt);
}

/// Appends AuthenticationSASL.
pub fn authentication_sasl(out: &mut BytesMut, mechanisms: &[&str]) {
    let mut list = BytesMut::new();
    mechanisms.iter().for_each(|mechanism| put_cstr(&mut list, mechanism));
    list.put_u8(0);
    authentication(out, 10, &list);
}

/// Appends AuthenticationSASLContinue.
pub fn authentication_sasl_continue(out: &mut BytesMut, data: &[u8]) {
    authentication(out, 11, data);
}

/// Appends AuthenticationSASLFinal.
pub fn authentication_sasl_final(out: &mut BytesMut, data: &[u8]) {
    authentication(out, 12, data);
}

/// Appends a ParameterStatus.
pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    frame(out, server::PARAMETER_STATUS, |out| {
        put_cstr(out, name);
        put_cstr(out, value);
    });
}

/// Appends a BackendKeyData; `secret` has 4 bytes for protocol 3.0 and up to 256 for 3.2.
pub fn backend_key_data(out: &mut BytesMut, pid: i32, secret: &[u8]) {
    frame(out, server::BACKEND_KEY_DATA, |out| {
        out.put_i32(pid);
        out.put_slice(secret);
    });
}

/// Appends a NegotiateProtocolVersion: the newest version is 3.`minor`, and `options` were not recognized.
pub fn negotiate_protocol_version<S: AsRef<str>>(out: &mut BytesMut, minor: u16, options: &[S]) {
    frame(out, server::NEGOTIATE_PROTOCOL_VERSION, |out| {
        out.put_u16(3);
        out.put_u16(minor);
        out.put_u32(u32::try_from(options.len()).unwrap_or(u32::MAX));
        options.iter().for_each(|option| put_cstr(out, option.as_ref()));
    });
}

/// Appends a ReadyForQuery; `status` is `I`, `T` or `E`.
pub fn ready_for_query(out: &mut BytesMut, status: u8) {
    frame(out, server::READY_FOR_QUERY, |out| out.put_u8(status));
}

/// Appends a CommandComplete.
pub fn command_complete(out: &mut BytesMut, tag: impl AsRef<[u8]>) {
    frame(out, server::COMMAND_COMPLETE, |out| put_cstr(out, tag));
}

/// Appends a ParseComplete.
pub fn parse_complete(out: &mut BytesMut) {
    empty(out, server::PARSE_COMPLETE);
}

/// Appends a BindComplete.
pub fn bind_complete(out: &mut BytesMut) {
    empty(out, server::BIND_COMPLETE);
}

/// Appends a CloseComplete.
pub fn close_complete(out: &mut BytesMut) {
    empty(out, server::CLOSE_COMPLETE);
}

/// Appends a NoData.
pub fn no_data(out: &mut BytesMut) {
    empty(out, server::NO_DATA);
}

/// Appends a PortalSuspended.
pub fn portal_suspended(out: &mut BytesMut) {
    empty(out, server::PORTAL_SUSPENDED);
}

/// Appends an EmptyQueryResponse.
pub fn empty_query_response(out: &mut BytesMut) {
    empty(out, server::EMPTY_QUERY_RESPONSE);
}

/// Appends a RowDescription.
pub fn row_description(out: &mut BytesMut, fields: &[Field]) {
    frame(out, server::ROW_DESCRIPTION, |out| {
        put_count(out, fields.len());
        for field in fields {
            put_cstr(out, &field.name);
            out.put_u32(field.table_oid);
            out.put_i16(field.column);
            out.put_u32(field.type_oid);
            out.put_i16(field.type_size);
            out.put_i32(field.type_modifier);
            out.put_i16(field.format);
        }
    });
}

/// Appends a ParameterDescription.
pub fn parameter_description(out: &mut BytesMut, types: &[u32]) {
    frame(out, server::PARAMETER_DESCRIPTION, |out| {
        put_count(out, types.len());
        types.iter().for_each(|oid| out.put_u32(*oid));
    });
}

/// Appends a DataRow; `None` is null.
pub fn data_row<'a>(out: &mut BytesMut, columns: impl IntoIterator<Item = Option<&'a [u8]>>) {
    frame(out, server::DATA_ROW, |out| put_values(out, columns));
}

/// Appends an ErrorResponse.
pub fn error(out: &mut BytesMut, fields: &Fields) {
    put_fields(out, server::ERROR_RESPONSE, fields);
}

/// Appends a NoticeResponse.
pub fn notice(out: &mut BytesMut, fields: &Fields) {
    put_fields(out, server::NOTICE_RESPONSE, fields);
}

fn put_fields(out: &mut BytesMut, kind: u8, fields: &Fields) {
    frame(out, kind, |out| {
        for (letter, value) in fields.iter() {
            out.put_u8(letter);
            put_cstr(out, value);
        }
        out.put_u8(0);
    });
}

/// Appends a NotificationResponse.
pub fn notification(out: &mut BytesMut, pid: i32, channel: &str, payload: &str) {
    frame(out, server::NOTIFICATION_RESPONSE, |out| {
        out.put_i32(pid);
        put_cstr(out, channel);
        put_cstr(out, payload);
    });
}

fn copy_response(out: &mut BytesMut, kind: u8, format: u8, columns: &[i16]) {
    frame(out, kind, |out| {
        out.put_u8(format);
        put_formats(out, columns);
    });
}

/// Appends a CopyInResponse; formats are 0 text, 1 binary.
pub fn copy_in_response(out: &mut BytesMut, format: u8, columns: &[i16]) {
    copy_response(out, server::COPY_IN_RESPONSE, format, columns);
}

/// Appends a CopyOutResponse; formats are 0 text, 1 binary.
pub fn copy_out_response(out: &mut BytesMut, format: u8, columns: &[i16]) {
    copy_response(out, server::COPY_OUT_RESPONSE, format, columns);
}

/// Appends a CopyBothResponse; formats are 0 text, 1 binary.
pub fn copy_both_response(out: &mut BytesMut, format: u8, columns: &[i16]) {
    copy_response(out, server::COPY_BOTH_RESPONSE, format, columns);
}

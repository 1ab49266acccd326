//! Own: rows that pgring itself answers with, in the formats that the client asked for.
//! In: values as text. Out: RowDescription and DataRows. Never: a value of a table.

use crate::admin;
use bytes::BytesMut;
use pgring_protocol::message::{build, result::Field};

/// Writes the rows, and their description if it is wanted. Formats are as a Bind gives them: none, one for all, or
/// one a column.
pub(super) fn answer(
    out: &mut BytesMut,
    mut fields: Vec<Field>,
    rows: &[Vec<Option<String>>],
    formats: &[i16],
    describe: bool,
) {
    for (at, field) in fields.iter_mut().enumerate() {
        field.format = match formats {
            [] => 0,
            [all] => *all,
            several => several.get(at).copied().unwrap_or(0),
        };
    }
    if describe {
        build::row_description(out, &fields);
    }
    for row in rows {
        let encode = |(value, field): (&Option<String>, &Field)| {
            value.as_deref().map(|value| admin::encode(field.type_oid, value, field.format))
        };
        let values: Vec<Option<Vec<u8>>> = row.iter().zip(&fields).map(encode).collect();
        build::data_row(out, values.iter().map(|value| value.as_deref()));
    }
}

//! Answer: values of an answer in the format that a client asked for. In: text. Out: text, or PostgreSQL's binary
//! form of boolean, bigint, double precision, timestamptz and text. Never: another type.

use super::super::{ColumnSpec, Table, oid, time};

/// A table of texts.
pub(super) fn texts(names: &[&'static str], rows: Vec<Vec<Option<String>>>, tag: &str) -> Table {
    Table { columns: names.iter().map(|name| ColumnSpec::text(name)).collect(), rows, tag: tag.to_owned() }
}

/// One value as it goes over the wire; `format` is 0 for text, 1 for binary.
pub fn encode(type_oid: u32, value: &str, format: i16) -> Vec<u8> {
    let binary = match (format, type_oid) {
        (0, _) => None,
        (_, oid::BOOL) => Some(vec![u8::from(value == "t")]),
        (_, oid::INT4) => value.parse::<i32>().ok().map(|value| value.to_be_bytes().to_vec()),
        (_, oid::INT8) => value.parse::<i64>().ok().map(|value| value.to_be_bytes().to_vec()),
        (_, oid::FLOAT8) => value.parse::<f64>().ok().map(|value| value.to_be_bytes().to_vec()),
        (_, oid::TIMESTAMPTZ) => time::to_binary(value).map(|value| value.to_be_bytes().to_vec()),
        _ => None,
    };
    binary.unwrap_or_else(|| value.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_binary_form() {
        assert_eq!(encode(oid::INT8, "-2", 1), (-2_i64).to_be_bytes());
        assert_eq!(encode(oid::INT8, "-2", 0), b"-2");
        assert_eq!(encode(oid::BOOL, "t", 1), [1]);
        assert_eq!(encode(oid::BOOL, "f", 1), [0]);
        assert_eq!(encode(oid::FLOAT8, "0.25", 1), 0.25_f64.to_be_bytes());
        assert_eq!(encode(oid::TEXT, "naïve", 1), "naïve".as_bytes());
        assert_eq!(encode(oid::TIMESTAMPTZ, "2000-01-01 00:00:01.000000+00", 1), 1_000_000_i64.to_be_bytes());
    }
}

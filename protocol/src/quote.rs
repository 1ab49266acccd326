//! Quoting: names and values → text that stands for exactly them inside SQL. Nothing else in the workspace quotes.
//! In: a string. Out: an identifier or a literal. Never: decides whether something should be in SQL at all.

use std::borrow::Cow;

/// Words that PostgreSQL refuses, or reads differently, as a bare column, table or function name, sorted
/// (`pg_get_keywords()`: the categories R, T and C of PostgreSQL 18).
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// `name` as an identifier: bare when PostgreSQL would read it back unchanged, else in double quotes.
#[must_use]
pub fn identifier(name: &str) -> Cow<'_, str> {
    if is_bare(name) { Cow::Borrowed(name) } else { Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))) }
}

/// `value` as a string literal, right whatever `standard_conforming_strings` says: a backslash makes it `E'…'`.
#[must_use]
pub fn literal(value: &str) -> String {
    let prefix = if value.contains('\\') { " E" } else { "" };
    format!("{prefix}'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn is_bare(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && KEYWORDS.binary_search(&name).is_err()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{KEYWORDS, identifier, literal};

    #[test]
    fn an_identifier_is_quoted_only_when_it_must_be() {
        for (name, quoted) in [
            ("orders", "orders"),
            ("_o2", "_o2"),
            ("Orders", "\"Orders\""),
            ("2o", "\"2o\""),
            ("select", "\"select\""),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("", "\"\""),
            ("ö", "\"ö\""),
            ("a$", "\"a$\""),
        ] {
            assert_eq!(identifier(name), quoted);
        }
    }

    #[test]
    fn a_backslash_makes_an_escape_string() {
        assert_eq!(literal("it's"), "'it''s'");
        // The blank keeps the E from joining a word before it, as libpq writes it.
        assert_eq!(literal(r"a\'b"), r" E'a\\''b'");
    }

    #[test]
    fn keywords_are_sorted() {
        assert!(KEYWORDS.is_sorted());
    }

    proptest! {
        #[test]
        fn a_literal_holds_no_lone_quote(value in ".{0,40}") {
            let text = literal(&value);
            let inner = text.trim_start_matches(" E").strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).expect("quotes");
            let plain = inner.replace("''", "'").replace("\\\\", "\\");
            prop_assert_eq!(plain, value);
        }
    }
}

//! Expand: `${ENV_NAME}` and `file:/path` in strings, so that secrets can stay out of the file.
//! In: a string of the file. Out: what it stands for. Never: looks into what it put in (no second expansion).

use std::fs;

/// Where the values of `${NAME}` come from.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Why a string does not expand.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    #[error("\"${{\" has no closing \"}}\" (write \"$${{\" for the characters themselves)")]
    Unclosed,
    #[error("cannot read {path}: {reason}")]
    Unreadable { path: String, reason: String },
}

/// What `text` stands for: `file:/path` is that file's text without the line break at its end, each `${NAME}` the
/// environment variable; a `$` more than that (`$${NAME}`, `$file:/path`) stands for the characters themselves.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> Result<String, ExpandError> {
    if let Some(path) = text.strip_prefix("file:").filter(|path| path.starts_with('/')) {
        return file(path);
    }
    let text = match text.strip_prefix('$') {
        Some(rest) if rest.trim_start_matches('$').starts_with("file:/") => rest,
        _ => text,
    };
    variables(text, environment)
}

/// Whether the whole of `text` is one `${…}` or `file:/…`.
pub(super) fn is_whole(text: &str) -> bool {
    let variable = text.strip_prefix("${").and_then(|rest| rest.find('}').map(|at| at + 1 == rest.len()));
    text.starts_with("file:/") || variable.unwrap_or(false)
}

fn file(path: &str) -> Result<String, ExpandError> {
    let unreadable =
        |error: std::io::Error| ExpandError::Unreadable { path: path.to_owned(), reason: error.to_string() };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn variables(text: &str, environment: Environment<'_>) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        if before.ends_with('$') {
            // one `$` of the run is the escape; it is already in `out`
            out.push('{');
            rest = &after[2..];
            continue;
        }
        let (name, after) = after[2..].split_once('}').ok_or(ExpandError::Unclosed)?;
        out.push_str(&environment(name).ok_or_else(|| ExpandError::NotSet(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{super::value::escaped, *};
    use proptest::prelude::*;
    use std::io::Write as _;

    fn environment(name: &str) -> Option<String> {
        [("A", "one"), ("B", "${A}")].iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn variables_are_put_in_once_and_doubled_dollars_are_not_variables() {
        for (text, expanded) in [
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("${B}", "${A}"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$1 $ {A} $", "$1 $ {A} $"),
            ("SCRAM-SHA-256$4096:x$y:z", "SCRAM-SHA-256$4096:x$y:z"),
            ("$file:/x", "file:/x"),
            ("$$file:/x", "$file:/x"),
            ("file:x", "file:x"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_does_not_expand_is_named() {
        assert_eq!(expand("${NOPE}", &environment), Err(ExpandError::NotSet("NOPE".into())));
        assert_eq!(expand("${A", &environment), Err(ExpandError::Unclosed));
        assert!(matches!(expand("file:/no/such/file", &environment), Err(ExpandError::Unreadable { .. })));
    }

    #[test]
    fn a_file_is_read_without_its_last_line_break() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"pass ${A}\r\n").unwrap();
        let text = format!("file:{}", file.path().display());
        assert_eq!(expand(&text, &environment).as_deref(), Ok("pass ${A}"));
        assert!(is_whole(&text) && is_whole("${A}") && !is_whole("${A}${A}") && !is_whole("x${A}"));
    }

    proptest! {
        #[test]
        fn an_escaped_text_expands_to_itself(text in "(\\$|\\{|\\}|A|file:/|x){0,12}") {
            prop_assert_eq!(expand(&escaped(&text), &environment), Ok(text));
        }
    }
}

//! Value: settings as a tree of plain values, for whoever shows or writes them.
//! In: what each setting says of itself. Out: TOML text (with secrets) and shown text (without). Never: reads anything.

use super::secret::REDACTED;
use std::fmt::Write as _;

/// A setting's value, without its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Not given.
    Absent,
    /// A string.
    Text(String),
    /// A number or a truth value, as TOML writes it.
    Bare(String),
    /// A string that shows otherwise than it is.
    Secret {
        /// As it is.
        exposed: String,
        /// As it may be shown.
        shown: String,
    },
    /// A connection string: `literal` has its `${` escaped already, value by value.
    Connection {
        /// As the file has to say it.
        literal: String,
        /// Without its password.
        shown: String,
    },
    /// Several values.
    List(Vec<Value>),
    /// Names and values on one line.
    Map(Vec<(String, Value)>),
    /// A section.
    Table(Vec<(&'static str, Value)>),
}

impl Value {
    /// A secret that shows as `***`.
    pub(super) fn secret(exposed: &str) -> Self {
        Self::Secret { exposed: exposed.to_owned(), shown: REDACTED.to_owned() }
    }

    /// What people may see of it.
    pub(super) fn shown(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Absent => String::new(),
            Self::Text(text) | Self::Bare(text) | Self::Secret { shown: text, .. } => text.clone(),
            Self::Connection { shown, .. } => shown.clone(),
            Self::List(items) => joined(items.iter().map(Self::shown).collect()),
            Self::Map(pairs) => joined(pairs.iter().map(|(name, value)| format!("{name}={}", value.shown())).collect()),
            Self::Table(pairs) => {
                joined(pairs.iter().map(|(name, value)| format!("{name}={}", value.shown())).collect())
            }
        }
    }

    /// The value as TOML writes it behind `key =`. Secrets are exposed.
    fn literal(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Absent => String::new(),
            Self::Bare(text) => text.clone(),
            Self::Text(text) | Self::Secret { exposed: text, .. } => quoted(&escaped(text)),
            Self::Connection { literal, .. } => quoted(literal),
            Self::List(items) => format!("[{}]", joined(items.iter().map(Self::literal).collect())),
            Self::Map(pairs) => {
                format!(
                    "{{ {} }}",
                    joined(pairs.iter().map(|(k, v)| format!("{} = {}", quoted(k), v.literal())).collect())
                )
            }
            Self::Table(_) => String::new(),
        }
    }

    fn is_table_like(&self) -> bool {
        match self {
            Self::Table(_) => true,
            Self::List(items) => items.first().is_some_and(Self::is_table_like),
            _ => false,
        }
    }
}

/// Writes a whole configuration: sections in their order, one key a line, secrets as they are.
pub(super) fn to_toml(root: &Value) -> String {
    let mut out = String::new();
    table("", root, &mut out);
    out
}

fn table(path: &str, value: &Value, out: &mut String) {
    let Value::Table(entries) = value else { return };
    for (name, value) in entries.iter().filter(|(_, value)| !value.is_table_like() && *value != Value::Absent) {
        let unset = path.is_empty() && *value == Value::List(Vec::new());
        if !unset {
            let _ = writeln!(out, "{name} = {}", value.literal());
        }
    }
    for (name, value) in entries.iter().filter(|(_, value)| value.is_table_like()) {
        let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
        let gap = if out.is_empty() { "" } else { "\n" };
        match value {
            Value::List(items) => items.iter().for_each(|item| {
                let _ = writeln!(out, "{gap}[[{path}]]");
                table(&path, item, out);
            }),
            value => {
                let _ = writeln!(out, "{gap}[{path}]");
                table(&path, value, out);
            }
        }
    }
}

/// Text in which nothing reads as `${…}` or `file:…` any more.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace("${", "$${");
    let reads_as_file = text.trim_start_matches('$').starts_with("file:/");
    if reads_as_file { format!("${text}") } else { text }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

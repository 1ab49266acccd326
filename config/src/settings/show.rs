//! Show: the rows of `SHOW CONFIG`.
//! In: settings. Out: key, value, default, changed. Never: a secret.

use super::{
    Settings,
    reader::{Fallback, Key, Kind, Setting},
    value::Value,
};

/// One row of `SHOW CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowRow {
    /// The key's whole path, as `databases[0].shards[1].weight`.
    pub key: String,
    /// Its value in use; secrets show as `***`, connection strings without their password.
    pub value: String,
    /// Its default; empty if it has none.
    pub default: String,
    /// Whether the value is another than the default.
    pub changed: bool,
}

impl Settings {
    /// Every key with its value, in the order of the reference.
    pub fn show_rows(&self) -> Vec<ShowRow> {
        let mut rows = Vec::new();
        section("", Settings::KEYS, &self.write(), &mut rows);
        rows
    }
}

fn section(path: &str, keys: &[Key], value: &Value, rows: &mut Vec<ShowRow>) {
    let Value::Table(entries) = value else { return };
    for (key, (name, value)) in keys.iter().zip(entries) {
        let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
        match ((key.kind)(), value) {
            (Kind::Tables(keys), Value::List(items)) => {
                items.iter().enumerate().for_each(|(at, item)| section(&format!("{path}[{at}]"), keys, item, rows));
            }
            (Kind::Table(keys), value) => section(&path, keys, value, rows),
            (_, value) => rows.push(row(path, key, value)),
        }
    }
}

fn row(key: String, declared: &Key, value: &Value) -> ShowRow {
    let default = match (declared.default)() {
        Fallback::Value(default) => default,
        Fallback::Absent | Fallback::Required => Value::Absent,
    };
    ShowRow { key, value: value.shown(), default: default.shown(), changed: *value != default }
}

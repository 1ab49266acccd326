//! Reference: `docs/configuration.md`, printed from the table of keys.
//! In: the table. Out: Markdown. Never: a sentence about a key that the table does not have.

use super::{
    Settings,
    connection::CONNECTION_FORM,
    effect,
    reader::{Fallback, Key, Kind},
};
use crate::units;
use std::fmt::Write as _;

const HEAD: &str = "\
# Configuration

`pgring serve --config FILE` reads one TOML file; `pgring check-config FILE` checks it and names every fault with file,
line, key and what is allowed. A whole file stands in [pgring.example.toml](pgring.example.toml).

- Durations are whole numbers with `ms`, `s`, `m` or `h`; sizes with `B`, `kB`, `MB`, `GB` or `TB` (binary, as in PostgreSQL).
- In any string `${NAME}` is the environment variable of that name, and a string `file:/path` is that file's text without
  the line break at its end; so is each value within a connection string. `$${` is the two characters themselves.
- Relative paths start at the directory of the file.
- Connection strings are libpq's: `host=… port=… dbname=… user=… password=…`, or a URL `postgres://…`. User and password
  in them are pgring's own.
- A reload (SIGHUP, `RELOAD`) applies everything but `general.cluster`, `listen`, `http` and `workers`.
- Keys marked *(no effect yet)* are read and checked; what they are for is still to be built.

<!-- Printed from the table in config/src/settings/schema.rs; `PGRING_UPDATE_DOCS=1 cargo test -p pgring-config` rewrites it. -->
";

/// The text of `docs/configuration.md`.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for key in Settings::KEYS {
        section(key, key.name(), &mut out);
    }
    out
}

fn section(key: &Key, path: &str, out: &mut String) {
    let (keys, header) = match (key.kind)() {
        Kind::Table(keys) => (keys, format!("[{path}]")),
        Kind::Tables(keys) => (keys, format!("[[{path}]]")),
        Kind::Value(_) => return,
    };
    let _ = write!(out, "\n## `{header}`\n\n{}{}\n\n", text(key), mark(path));
    out.push_str("| key | takes | default | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let path = format!("{path}.{}", key.name());
        if let Kind::Value(form) = (key.kind)() {
            let (form, default) = (cell(&short(&form)), default(key));
            let _ = writeln!(out, "| `{}` | {form} | {default} | {}{} |", key.name(), cell(&text(key)), mark(&path));
        }
    }
    for key in keys {
        section(key, &format!("{path}.{}", key.name()), out);
    }
}

/// A form without what the head of the reference says once for all.
fn short(form: &str) -> String {
    let named = [
        (units::DURATION_FORM, "duration"),
        (units::SIZE_FORM, "size"),
        (CONNECTION_FORM, "connection string (secret)"),
    ];
    named.iter().fold(form.to_owned(), |form, (long, name)| form.replace(long, name))
}

fn default(key: &Key) -> String {
    match (key.default)() {
        Fallback::Value(value) => match value.shown() {
            shown if shown.is_empty() => "empty".to_owned(),
            shown => format!("`{}`", cell(&shown)),
        },
        Fallback::Absent => "–".to_owned(),
        Fallback::Required => "must be given".to_owned(),
    }
}

fn text(key: &Key) -> String {
    key.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn mark(path: &str) -> &'static str {
    effect::waits_for(path).map_or("", |_| " *(no effect yet)*")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

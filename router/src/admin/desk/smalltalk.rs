//! Small talk: the few SELECTs that drivers, pools and health checks say to any server. In: a statement. Out: the
//! answer, if it is one of them. Never: SQL beyond this list.

use super::super::{ColumnSpec, Table, oid};
use super::answer::texts;
use crate::sql::words::{Token, Words};
use pgring_config::settings::Settings;

/// Settings that clients ask for by name, besides those they are told at the start.
const SETTINGS: &[(&str, &str)] = &[
    ("transaction_isolation", "read committed"),
    ("default_transaction_isolation", "read committed"),
    ("transaction_read_only", "off"),
    ("search_path", "public"),
    ("max_identifier_length", "63"),
    ("server_version_num", "150000"),
];

/// The value of a setting that has a value on any server.
pub(super) fn setting(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// Answers a SELECT of the list; None: it is none.
pub(super) fn answer(text: &str, user: &str, settings: &Settings, pid: i32) -> Option<Table> {
    let version = format!("pgring {}", env!("CARGO_PKG_VERSION"));
    let database = settings.general.admin_database.to_string();
    let (name, value, type_oid) = match normal(text)?.as_str() {
        "select 1" => ("?column?", "1".to_owned(), oid::INT8),
        "select pgring . version ( )" => ("version", version, oid::TEXT),
        "select version ( )" | "select pg_catalog . version ( )" => {
            ("version", format!("PostgreSQL 15.0 ({version})"), oid::TEXT)
        }
        "select current_database ( )" | "select pg_catalog . current_database ( )" => {
            ("current_database", database, oid::TEXT)
        }
        "select current_schema ( )" | "select current_schema" => ("current_schema", "public".to_owned(), oid::TEXT),
        "select current_user" | "select user" => ("current_user", user.to_owned(), oid::TEXT),
        "select session_user" => ("session_user", user.to_owned(), oid::TEXT),
        "select pg_backend_pid ( )" => ("pg_backend_pid", pid.to_string(), oid::INT8),
        "select pg_is_in_recovery ( )" | "select pg_catalog . pg_is_in_recovery ( )" => {
            ("pg_is_in_recovery", "f".to_owned(), oid::BOOL)
        }
        "select pg_advisory_unlock_all ( )" => ("pg_advisory_unlock_all", String::new(), oid::TEXT),
        _ => return None,
    };
    let mut table = texts(&[name], vec![vec![Some(value)]], "SELECT 1");
    table.columns = vec![ColumnSpec { name, type_oid }];
    Some(table)
}

/// `SELECT * FROM pgring.show('shards')` and `CALL pgring.admin('…')` as the command they stand for.
pub(super) fn show_function(text: &str) -> Option<String> {
    let mut words = Words::new(text);
    let is_call = words.word("CALL");
    let is_select = !is_call && words.word("SELECT") && words.symbol('*') && words.word("FROM");
    if !is_call && !is_select {
        return None;
    }
    let function = if is_call { "ADMIN" } else { "SHOW" };
    if !(words.word("PGRING") && words.symbol('.') && words.word(function) && words.symbol('(')) {
        return None;
    }
    let argument = words.string()?;
    let whole = words.symbol(')') && (words.is_finished() || (words.symbol(';') && words.is_finished()));
    whole.then(|| if is_call { argument } else { format!("SHOW {argument}") })
}

/// The text in lower case, one blank between tokens; None: it holds more than such a SELECT.
fn normal(text: &str) -> Option<String> {
    let mut words = Words::new(text);
    let mut parts: Vec<String> = Vec::new();
    while !words.is_finished() {
        if parts.len() > 12 {
            return None;
        }
        match words.advance() {
            Token::Word(word) => parts.push(word.to_ascii_lowercase()),
            Token::Number(number) => parts.push(number.to_owned()),
            Token::Symbol(';') if words.is_finished() => {}
            Token::Symbol(symbol) => parts.push(symbol.to_string()),
            _ => return None,
        }
    }
    Some(parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_is_answered() {
        let settings =
            Settings::parse("[[databases]]\nname = '*'\nconnection = 'host=127.0.0.1'", "test.toml").unwrap();
        let of =
            |text: &str| answer(text, "ann", &settings, 7).map(|table| table.rows[0][0].clone().unwrap_or_default());
        assert_eq!(of("select 1").as_deref(), Some("1"));
        assert_eq!(of(" SELECT 1 ; ").as_deref(), Some("1"));
        assert_eq!(of("select current_user").as_deref(), Some("ann"));
        assert_eq!(of("SELECT pg_backend_pid()").as_deref(), Some("7"));
        assert_eq!(of("select pgring.version()"), Some(format!("pgring {}", env!("CARGO_PKG_VERSION"))));
        assert_eq!(of("select 2"), None);
        assert_eq!(of("select 1 from t"), None);
        assert_eq!(of("select 'a"), None);
    }

    #[test]
    fn functions_stand_for_commands() {
        assert_eq!(show_function("SELECT * FROM pgring.show('ring')").as_deref(), Some("SHOW ring"));
        assert_eq!(show_function("call pgring.admin('RELOAD');").as_deref(), Some("RELOAD"));
        assert_eq!(show_function("SELECT * FROM pgring.show('ring') WHERE true"), None);
        assert_eq!(show_function("SELECT * FROM other.show('ring')"), None);
    }
}

//! Profile: the settings of a session that differ from what a fresh backend has, as one interned value, so that
//! "does this backend look like that session" is a comparison of pointers.

use pgring_protocol::quote;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

/// Settings by lower-case name; the value is the SQL text that follows `SET name TO`, or of `set_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Profile(BTreeMap<Box<str>, Box<str>>);

/// What a value that is one whole list (of names, perhaps quoted) begins with: SET would take it for one name.
const WHOLE: &str = "=";
/// Settings whose value is a list of names, each quoted where it has to be.
const LISTS: [&str; 6] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "shared_preload_libraries",
    "local_preload_libraries",
    "unix_socket_directories",
];

static INTERNED: LazyLock<Mutex<HashMap<Profile, Weak<Profile>>>> = LazyLock::new(Mutex::default);
static EMPTY: LazyLock<Arc<Profile>> = LazyLock::new(|| Profile::default().intern());

impl Profile {
    /// What a fresh backend has.
    pub fn empty() -> Arc<Profile> {
        EMPTY.clone()
    }

    /// The one shared value equal to this.
    pub fn intern(self) -> Arc<Profile> {
        let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = interned.get(&self).and_then(Weak::upgrade) {
            return shared;
        }
        if interned.len() > 1024 {
            interned.retain(|_, profile| profile.strong_count() > 0);
        }
        let shared = Arc::new(self.clone());
        interned.insert(self, Arc::downgrade(&shared));
        shared
    }

    /// SQL text of a setting's value; of a list that was given whole, the list.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.strip_prefix(WHOLE).unwrap_or(value))
    }

    /// A copy with `name` set to this value, as a start-up packet or `set_config` gives it: unquoted, a list as a whole.
    pub fn with_plain(&self, name: &str, value: &str) -> Profile {
        let text = if LISTS.contains(&name) { format!("{WHOLE}{value}") } else { literal(value) };
        self.set(name, text)
    }

    /// Sets a role as SET does: a new session user has no role.
    fn set(&self, name: &str, value: String) -> Profile {
        let mut changed = self.clone();
        if name == "session_authorization" {
            changed.0.remove("role");
        }
        changed.0.insert(name.into(), value.into());
        changed
    }

    /// A copy with `name` set to this SQL text.
    pub fn with(&self, name: &str, value: String) -> Profile {
        self.set(name, value)
    }

    /// A copy in which `name` is as in `startup`.
    pub fn reset(&self, name: &str, startup: &Profile) -> Profile {
        let mut changed = self.clone();
        if name == "session_authorization" {
            changed.0.remove("role");
        }
        match startup.0.get(name) {
            Some(value) => changed.0.insert(name.into(), value.clone()),
            None => changed.0.remove(name),
        };
        changed
    }

    /// A copy in which everything but role and session authorization is as in `startup` (RESET ALL).
    pub fn reset_all(&self, startup: &Profile) -> Profile {
        let mut changed = startup.clone();
        for name in ["role", "session_authorization"] {
            match self.0.get(name) {
                Some(value) => changed.0.insert(name.into(), value.clone()),
                None => changed.0.remove(name),
            };
        }
        changed
    }

    /// SQL that makes a backend with profile `from` look like this.
    pub fn sql_from(&self, from: &Profile) -> String {
        let mut sql = String::new();
        for name in ["role", "session_authorization"] {
            if from.0.contains_key(name) {
                sql.push_str(if name == "role" { "RESET ROLE;" } else { "RESET SESSION AUTHORIZATION;" });
            }
        }
        if from.0.keys().any(|name| !self.0.contains_key(name) && !is_role(name)) {
            sql.push_str("RESET ALL;");
            for (name, value) in &self.0 {
                push_set(&mut sql, name, value);
            }
        } else {
            for (name, value) in &self.0 {
                if from.0.get(name) != Some(value) || is_role(name) {
                    push_set(&mut sql, name, value);
                }
            }
        }
        for name in ["session_authorization", "role"] {
            if let Some(value) = self.0.get(name) {
                let words = if name == "role" { "ROLE" } else { "SESSION AUTHORIZATION" };
                sql.push_str(&format!("SET {words} {value};"));
            }
        }
        sql
    }
}

/// A value of this setting, quoted; one of a list of names as it is: the planner reads those.
pub fn literal_of(name: &str, value: &str) -> String {
    if LISTS.contains(&name) { quote::literal(value) } else { literal(value) }
}

/// A literal in ASCII, whatever client_encoding the backend has when it comes to it.
pub fn literal(value: &str) -> String {
    if value.is_ascii() {
        return quote::literal(value);
    }
    let mut text = String::from("E'");
    for c in value.chars() {
        match c {
            '\'' | '\\' => text.extend([c, c]),
            c if c.is_ascii() => text.push(c),
            c => text.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    text.push('\'');
    text
}

fn is_role(name: &str) -> bool {
    name == "role" || name == "session_authorization"
}

fn push_set(sql: &mut String, name: &str, value: &str) {
    if let Some(list) = value.strip_prefix(WHOLE) {
        sql.push_str(&format!("SELECT pg_catalog.set_config('{name}', {}, false);", quote::literal(list)));
    } else if !is_role(name) {
        let name: Vec<_> = name.split('.').map(quote::identifier).collect();
        sql.push_str(&format!("SET {} TO {value};", name.join(".")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_profiles_are_one() {
        let one = Profile::default().with("timezone", "'UTC'".into()).intern();
        let two = Profile::default().with("timezone", "'UTC'".into()).intern();
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn the_way_from_one_profile_to_another_is_short() {
        let empty = Profile::default();
        let utc = empty.with("timezone", "'UTC'".into());
        let both = utc.with("datestyle", "'ISO'".into());
        assert_eq!(utc.sql_from(&empty), "SET timezone TO 'UTC';");
        assert_eq!(both.sql_from(&utc), "SET datestyle TO 'ISO';");
        assert_eq!(utc.sql_from(&both), "RESET ALL;SET timezone TO 'UTC';");
        assert_eq!(empty.with("role", "'bob'".into()).sql_from(&utc), "RESET ALL;SET ROLE 'bob';");
        assert_eq!(empty.sql_from(&empty.with("role", "'bob'".into())), "RESET ROLE;");
    }

    #[test]
    fn a_value_is_ascii_and_a_list_is_kept_whole() {
        let named = Profile::default().with_plain("application_name", "bü's");
        assert_eq!(named.sql_from(&Profile::default()), r"SET application_name TO E'b\U000000FC''s';");
        let path = Profile::default().with_plain("search_path", "a,\"B\"");
        assert_eq!(
            path.sql_from(&Profile::default()),
            "SELECT pg_catalog.set_config('search_path', 'a,\"B\"', false);"
        );
        assert_eq!(path.get("search_path"), Some("a,\"B\""));
    }

    #[test]
    fn reset_goes_back_to_the_start_up_value() {
        let startup = Profile::default().with("application_name", "'psql'".into());
        let changed = startup.with("application_name", "'x'".into()).with("work_mem", "'1MB'".into());
        assert_eq!(changed.reset("application_name", &startup).get("application_name"), Some("'psql'"));
        assert_eq!(changed.reset("work_mem", &startup).get("work_mem"), None);
        assert_eq!(changed.reset_all(&startup), startup);
    }
}

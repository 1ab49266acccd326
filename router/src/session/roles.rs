//! Roles: what a statement about a role needs besides running everywhere: one proof of its password on all servers.
//! In: CREATE ROLE, ALTER ROLE. Out: the text for the servers; idle backends closed. Never: a password in a log.

use super::Session;
use crate::{
    pool::conn::Conn,
    sql::words::{Token, Words},
};
use pgring_protocol::credentials::{Secret, StoredSecret};
use std::ops::Range;

impl Session {
    /// Lets go of idle backends of a dropped role whose name a new one gets: they know only what is no more.
    pub(super) fn leave_roles(&self, text: &str) {
        if let Some((CREATE, name)) = role_in(&mut Words::new(text)) {
            self.cluster.pools.leave_role(&name);
        }
    }

    /// The text with a SCRAM verifier for the password in it, where each of several servers would salt it for itself:
    /// what a client proves to pgring would then open one of them. None: it goes as it is.
    pub(super) async fn with_one_proof(&self, conn: &mut Conn, text: &str) -> Option<String> {
        let is_read = !self.settings.has_escapes() && (self.settings.utf8() || text.is_ascii());
        let (password, place) = password_in(text).filter(|_| is_read)?;
        // An md5 hash is the same everywhere. That the server cannot be asked is for the statement itself to say.
        let rows = conn.housekeep("SHOW password_encryption").await.ok()?;
        let by_scram = rows.first()?.first()?.as_deref() == Some("scram-sha-256");
        by_scram.then(|| replaced(text, &place, &password))
    }
}

/// The first of the verbs of [`role_in`].
const CREATE: usize = 0;

/// Takes the beginning of a statement about a role; its verb, and the role's name.
fn role_in(words: &mut Words<'_>) -> Option<(usize, String)> {
    let verb = words.one_of(&["create", "alter"])?;
    words.one_of(&["role", "user", "group"])?;
    let mut ahead = words.clone();
    let is_mapping = ahead.word("mapping") && (ahead.is_word("for") || ahead.is_word("if"));
    if is_mapping { None } else { Some((verb, words.name()?)) }
}

/// The password in plain that a statement gives a role, and where it stands.
fn password_in(text: &str) -> Option<(Secret, Range<usize>)> {
    let mut words = Words::new(text);
    role_in(&mut words)?;
    while !words.is_finished() {
        if !words.word("password") {
            words.advance_any()?;
            continue;
        }
        let place = words.start()..words.end();
        let Token::String(given) = words.peek() else { continue };
        return match StoredSecret::from_stored(given) {
            // An empty one is none.
            StoredSecret::Plain(password) if !given.is_empty() => Some((password, place)),
            _ => None,
        };
    }
    None
}

fn replaced(text: &str, place: &Range<usize>, password: &Secret) -> String {
    let (before, after) = (text.get(..place.start).unwrap_or_default(), text.get(place.end..).unwrap_or_default());
    format!("{before}'{}'{after}", password.verifier())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_are_made_or_changed() {
        for (text, expected) in [
            ("CREATE ROLE \"A b\" LOGIN", Some((CREATE, "A b"))),
            ("create user Ann", Some((CREATE, "ann"))),
            ("ALTER USER ann PASSWORD 'x'", Some((1, "ann"))),
            ("CREATE USER MAPPING FOR ann SERVER s OPTIONS (password 'x')", None),
            ("CREATE USER mapping PASSWORD 'x'", Some((CREATE, "mapping"))),
            ("DROP ROLE ann", None),
            ("CREATE TABLE role (id int)", None),
        ] {
            let found = role_in(&mut Words::new(text));
            assert_eq!(found.as_ref().map(|(verb, name)| (*verb, name.as_str())), expected, "{text}");
        }
    }

    #[test]
    fn a_password_in_plain_becomes_a_verifier_in_its_place() {
        for (before, literal, after, password) in [
            ("CREATE ROLE a LOGIN PASSWORD ", "'it''s'", " VALID UNTIL 'infinity'", "it's"),
            ("ALTER USER \"p\" WITH ENCRYPTED password ", "$$x$$", ";", "x"),
            ("CREATE ROLE password PASSWORD/*c*/", "'y'", "", "y"),
            ("ALTER ROLE a PASSWORD ", "E'\\'z'", "", "'z"),
        ] {
            let text = format!("{before}{literal}{after}");
            let (found, place) = password_in(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.expose(), password);
            let text = replaced(&text, &place, &found);
            let verifier = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap();
            let StoredSecret::Scram(verifier) = StoredSecret::from_stored(verifier.trim_matches('\'')) else {
                panic!("{text}");
            };
            assert!(verifier.matches(password));
        }
    }

    #[test]
    fn what_is_no_password_in_plain_stays() {
        for text in [
            "ALTER ROLE a PASSWORD NULL",
            "ALTER ROLE a PASSWORD ''",
            "CREATE ROLE a PASSWORD 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
            "ALTER ROLE a SET search_path = 'password'",
            "ALTER ROLE a PASSWORD",
            "ALTER ROLE a PASSWORD 'unterminated",
            "CREATE TABLE t (password text DEFAULT 'x')",
            "SELECT 'CREATE ROLE a PASSWORD ''x'''",
        ] {
            assert!(password_in(text).is_none(), "{text}");
        }
    }
}

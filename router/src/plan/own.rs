//! Own: what is pgring's own on the shards, the schema `pgring`. In: tokens. Out: a refusal of what would change it, as a
//! dump of a whole database does when it is restored. Never: keeps anybody from reading it, or from using its functions.

use super::{Refusal, refuse::refusal};
use crate::{
    error::catalogue,
    sql::parse::{Kind, Lexeme},
};

/// The schema.
const SCHEMA: &str = "pgring";
/// Verbs that change what they name.
const VERBS: &[&str] = &[
    "alter", "cluster", "comment", "copy", "create", "delete", "drop", "grant", "import", "insert", "merge", "refresh",
    "reindex", "revoke", "security", "truncate", "update",
];
/// Words before a name that say it is no call.
const NAMED: &[&str] =
    &["aggregate", "exists", "function", "into", "on", "only", "procedure", "routine", "table", "view"];

/// Why this statement is refused: it changes something in the schema `pgring`, or the schema itself.
pub(super) fn refused(lexemes: &[Lexeme]) -> Option<Refusal> {
    let Kind::Word(verb) = &lexemes.first()?.kind else { return None };
    let changes = VERBS.contains(&verb.as_str()) && lexemes.iter().any(|lexeme| lexeme.identifier() == Some(SCHEMA));
    if !changes {
        return None;
    }
    let targeted = match verb.as_str() {
        "insert" | "merge" => is_of_schema(lexemes, behind(lexemes, 1, &["into", "only"])),
        "update" | "truncate" => is_of_schema(lexemes, behind(lexemes, 1, &["table", "only"])),
        "delete" => is_of_schema(lexemes, behind(lexemes, 1, &["from", "only"])),
        "copy" => is_of_schema(lexemes, 1) && lexemes.iter().any(|lexeme| lexeme.is("from")),
        _ => (1..lexemes.len()).any(|at| changes_at(lexemes, at)),
    };
    let hint = "Leave the schema out of a dump: pg_dump --exclude-schema=pgring.";
    targeted.then(|| refusal(catalogue::NOT_PERMITTED, "the schema pgring is pgring's own", hint))
}

/// The first token from `at` on that is none of these words.
fn behind(lexemes: &[Lexeme], at: usize, words: &[&str]) -> usize {
    let is = |lexeme: &Lexeme| words.iter().any(|word| lexeme.is(word));
    lexemes.iter().skip(at).position(|lexeme| !is(lexeme)).map_or(lexemes.len(), |found| at + found)
}

/// A name in the schema begins here.
fn is_of_schema(lexemes: &[Lexeme], at: usize) -> bool {
    lexemes.get(at).is_some_and(|lexeme| lexeme.identifier() == Some(SCHEMA))
        && lexemes.get(at + 1).is_some_and(|next| next.is_symbol("."))
}

/// The schema, or something in it that is not called, is named here by a change of schema.
fn changes_at(lexemes: &[Lexeme], at: usize) -> bool {
    let before = |back: usize, words: &[&str]| {
        let lexeme = at.checked_sub(back).and_then(|at| lexemes.get(at));
        lexeme.is_some_and(|lexeme| words.iter().any(|word| lexeme.is(word)))
    };
    if is_of_schema(lexemes, at) {
        let called = lexemes.get(at + 3).is_some_and(|behind| behind.is_symbol("("));
        // EXECUTE FUNCTION of a trigger calls.
        return !called || (before(1, NAMED) && !before(2, &["execute"]));
    }
    let is_schema =
        before(1, &["schema"]) || (before(1, &["exists"]) && (before(3, &["schema"]) || before(4, &["schema"])));
    lexemes.get(at).is_some_and(|lexeme| lexeme.identifier() == Some(SCHEMA)) && is_schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::tokens;

    fn is_refused(text: &str) -> bool {
        refused(&tokens(text).unwrap().lexemes).is_some()
    }

    #[test]
    fn changes_of_what_is_pgrings_are_refused() {
        for text in [
            "CREATE SCHEMA pgring",
            "create schema if not exists \"pgring\"",
            "DROP SCHEMA IF EXISTS pgring CASCADE",
            "ALTER SCHEMA pgring OWNER TO postgres",
            "GRANT USAGE ON SCHEMA pgring TO public",
            "CREATE TABLE pgring.identity (a int)",
            "CREATE TABLE IF NOT EXISTS pgring.identity (a int)",
            "CREATE INDEX i ON pgring.identity (a)",
            "ALTER TABLE ONLY pgring.identity ADD CONSTRAINT p PRIMARY KEY (a)",
            "CREATE FUNCTION pgring.decide(gid text) RETURNS void LANGUAGE sql AS 'select 1'",
            "COMMENT ON TABLE pgring.identity IS 'x'",
            "COPY pgring.identity (a) FROM STDIN",
            "INSERT INTO pgring.decisions VALUES (1)",
            "UPDATE pgring.decisions SET a = 1",
            "DELETE FROM ONLY pgring.decisions",
            "TRUNCATE TABLE pgring.decisions",
        ] {
            assert!(is_refused(text), "{text}");
        }
        for text in [
            "SELECT * FROM pgring.identity",
            "COPY pgring.identity TO STDOUT",
            "CREATE TABLE t (id bigint DEFAULT pgring.snowflake_id() PRIMARY KEY)",
            "ALTER TABLE t ALTER id SET DEFAULT pgring.snowflake_id()",
            "CREATE TABLE t (pgring int)",
            "INSERT INTO t SELECT a FROM pgring.identity",
            "CALL pgring.admin('SHOW SHARDS')",
            "CREATE SCHEMA other",
            "CREATE ROLE pgring",
        ] {
            assert!(!is_refused(text), "{text}");
        }
    }
}

//! MD5 authentication: stored hashes and the challenge over them. In: passwords, salts. Out: hashes, a yes or no.
//! Never: chosen by itself; PostgreSQL keeps it for old roles only.

use ::md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// `md5` and 32 hexadecimal digits, as `pg_authid.rolpassword` stores it.
#[must_use]
pub fn md5_hash(password: &str, user: &str) -> String {
    format!("md5{}", hex(&[password.as_bytes(), user.as_bytes()]))
}

/// The answer to a challenge by one who has the stored hash; `None` when `stored` is not such a hash.
#[must_use]
pub fn md5_response(stored: &str, salt: [u8; 4]) -> Option<String> {
    let digits = stored.strip_prefix("md5")?;
    Some(format!("md5{}", hex(&[digits.as_bytes(), &salt])))
}

/// Whether `response` answers the challenge `salt` for the stored hash; takes the same time wherever they differ.
#[must_use]
pub fn md5_matches(stored: &str, salt: [u8; 4], response: &[u8]) -> bool {
    md5_response(stored, salt).is_some_and(|expected| expected.as_bytes().ct_eq(response).into())
}

/// Whether `text` has the form of a stored hash.
#[must_use]
pub fn is_md5_hash(text: &str) -> bool {
    text.strip_prefix("md5")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn hex(parts: &[&[u8]]) -> String {
    let mut hasher = Md5::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{is_md5_hash, md5_hash, md5_matches, md5_response};

    #[test]
    fn the_answer_is_that_of_other_implementations() {
        let stored = md5_hash("secret", "app");
        assert!(is_md5_hash(&stored));
        let salt = [1, 2, 3, 4];
        let theirs = postgres_protocol::authentication::md5_hash(b"app", b"secret", salt);
        assert_eq!(md5_response(&stored, salt).unwrap(), theirs);
        assert!(md5_matches(&stored, salt, theirs.as_bytes()));
        assert!(!md5_matches(&stored, [1, 2, 3, 5], theirs.as_bytes()));
        assert!(!md5_matches(&stored, salt, b""));
    }
}

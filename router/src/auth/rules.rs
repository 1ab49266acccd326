//! Rules: how a client has to prove who it is, as pg_hba.conf says it. In: the settings, and what is known of the
//! client before it proves anything. Out: a method, or none. Never: looks a user up.

use pgring_config::settings::{Auth, AuthMethod};
use std::net::IpAddr;

/// What is known of a client that has proved nothing yet.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The user it says it is.
    pub user: &'a str,
    /// The database it wants.
    pub database: &'a str,
    /// Where it comes from; None: a Unix socket, or this process.
    pub address: Option<IpAddr>,
    /// It showed a certificate that `client_ca` signed.
    pub has_certificate: bool,
}

impl Applicant<'_> {
    /// Whether it is on this machine.
    fn is_local(&self) -> bool {
        self.address.is_none_or(|address| address.to_canonical().is_loopback())
    }
}

/// How a client has to prove who it is, the preferred way first; empty: it may not enter, and with `Reject` in front, a
/// rule says so. Of several, md5 is for users of whom nothing but an md5 hash is known.
pub fn methods(auth: &Auth, applicant: &Applicant<'_>) -> Vec<AuthMethod> {
    let method = auth.rules.iter().find(|rule| {
        rule.user.matches(applicant.user)
            && rule.database.matches(applicant.database)
            && rule.address.matches(applicant.address)
    });
    let usable = |method: &AuthMethod| match method {
        AuthMethod::Trust => applicant.is_local(),
        _ => true,
    };
    match method {
        Some(rule) => Some(rule.method).filter(usable).into_iter().collect(),
        None if !auth.rules.is_empty() => vec![],
        None => {
            let mut methods: Vec<AuthMethod> = auth.methods.iter().copied().filter(usable).collect();
            // A certificate is one method of several for those who have one, and no method for the others.
            if methods.len() > 1 && !applicant.has_certificate {
                methods.retain(|method| *method != AuthMethod::Cert);
            }
            methods.sort_by_key(|method| preference(*method));
            methods
        }
    }
}

/// Trust asks nothing, so it goes first where it is allowed; then the stronger before the weaker.
fn preference(method: AuthMethod) -> u8 {
    match method {
        AuthMethod::Trust => 0,
        AuthMethod::Cert => 1,
        AuthMethod::ScramSha256 => 2,
        AuthMethod::Md5 => 3,
        AuthMethod::Password => 4,
        AuthMethod::Reject => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthMethod::{Cert, Md5, Password, Reject, ScramSha256, Trust};
    use pgring_config::settings::Settings;

    fn auth(toml: &str) -> Auth {
        let text = format!(
            "[tls]\nmode = \"verify-client\"\ncert = \"c\"\nkey = \"k\"\nclient_ca = \"a\"\n{toml}\n\
             [[databases]]\nname = \"*\"\nconnection = \"host=127.0.0.1\"\n"
        );
        Settings::parse(&text, "test.toml").unwrap_or_else(|faults| panic!("{faults:?}")).auth
    }

    fn applicant<'a>(user: &'a str, database: &'a str, address: Option<&str>) -> Applicant<'a> {
        let address = address.map(|address| address.parse().unwrap());
        Applicant { user, database, address, has_certificate: false }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let auth = auth(
            r#"
            [[auth.rules]]
            user = "mallory"
            method = "reject"
            [[auth.rules]]
            database = ["app", "shop"]
            address = "10.0.0.0/8"
            method = "md5"
            [[auth.rules]]
            address = "local"
            method = "trust"
            [[auth.rules]]
            user = ["ann", "bob"]
            address = "::/0"
            method = "password"
            [[auth.rules]]
            address = "127.0.0.0/8"
            method = "scram-sha-256"
            "#,
        );
        for (user, database, address, expected) in [
            ("mallory", "app", Some("127.0.0.1"), vec![Reject]),
            ("mallory", "app", None, vec![Reject]),
            ("ann", "app", Some("10.1.2.3"), vec![Md5]),
            ("ann", "shop", Some("::ffff:10.1.2.3"), vec![Md5]),
            ("ann", "other", Some("10.1.2.3"), vec![]),
            ("ann", "other", None, vec![Trust]),
            ("ann", "other", Some("fe80::1"), vec![Password]),
            ("carl", "other", Some("fe80::1"), vec![]),
            ("carl", "other", Some("127.9.9.9"), vec![ScramSha256]),
            ("carl", "other", Some("192.168.0.1"), vec![]),
        ] {
            let found = methods(&auth, &applicant(user, database, address));
            assert_eq!(found, expected, "{user} {database} {address:?}");
        }
    }

    #[test]
    fn without_rules_the_methods_are_for_everybody() {
        let scram = auth("");
        assert_eq!(methods(&scram, &applicant("x", "y", Some("8.8.8.8"))), [ScramSha256]);
        assert_eq!(methods(&scram, &applicant("x", "y", None)), [ScramSha256]);
        let both = auth("[auth]\nmethods = [\"md5\", \"scram-sha-256\"]");
        assert_eq!(methods(&both, &applicant("x", "y", None)), [ScramSha256, Md5]);
    }

    #[test]
    fn trust_is_for_this_machine_only() {
        let trust = auth("[auth]\nmethods = [\"trust\", \"scram-sha-256\"]");
        for local in [None, Some("127.0.0.1"), Some("::1"), Some("::ffff:127.0.0.1")] {
            assert_eq!(methods(&trust, &applicant("x", "y", local))[0], Trust, "{local:?}");
        }
        assert_eq!(methods(&trust, &applicant("x", "y", Some("10.0.0.1"))), [ScramSha256]);
    }

    #[test]
    fn a_certificate_is_asked_for_where_there_is_one_or_nothing_else() {
        let both = auth("[auth]\nmethods = [\"cert\", \"scram-sha-256\"]");
        let without = applicant("x", "y", Some("10.0.0.1"));
        assert_eq!(methods(&both, &without), [ScramSha256]);
        assert_eq!(methods(&both, &Applicant { has_certificate: true, ..without }), [Cert, ScramSha256]);
        let only = auth("[auth]\nmethods = [\"cert\"]");
        assert_eq!(methods(&only, &without), [Cert]);
    }
}

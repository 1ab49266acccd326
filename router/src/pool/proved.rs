//! Proved: what a pool's backends log in with. In: what clients proved, one after the other. Out: what is to be used of
//! it, and whether what was made with the former still serves. Never: proves anything.

use pgring_protocol::{backend::Login, credentials::Credentials};
use std::sync::Arc;

/// How backends log in, and by which log-in of a client that is known.
#[derive(Clone, Debug)]
pub struct Proved {
    /// User, database, credentials.
    pub login: Arc<Login>,
    /// Number of the client's log-in; a later one has the higher number.
    pub at: u64,
    /// What the server's catalogs said of the role then, as one number; None: not known.
    pub role: Option<i64>,
}

impl Proved {
    /// Whether backends of these are not what new ones are: the role is another of the same name, or has other settings.
    pub(super) fn is_outdated_by(&self, later: &Proved) -> bool {
        later.at > self.at && self.role.is_some() && later.role.is_some() && self.role != later.role
    }

    /// Whether what `later` proved is to be used from now on: a client that logged in long ago may know a password
    /// that is no longer one, and one that was asked for none knows nothing.
    pub(super) fn gives_way_to(&self, later: &Proved) -> bool {
        let (known, proved) = (&self.login.credentials, &later.login.credentials);
        known != proved && *proved != Credentials::None && (later.at > self.at || *known == Credentials::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proved(at: u64, credentials: Credentials, role: Option<i64>) -> Proved {
        let (user, database) = ("ann".to_owned(), "shop".to_owned());
        Proved { login: Arc::new(Login { user, database, credentials, parameters: vec![] }), at, role }
    }

    #[test]
    fn the_latest_proof_is_used_and_none_is_no_proof() {
        let password = |text: &str| Credentials::Password(text.to_owned());
        let known = proved(5, password("old"), None);
        for (later, expected) in [
            (proved(6, password("new"), None), true),
            (proved(4, password("older"), None), false),
            (proved(6, password("old"), None), false),
            (proved(6, Credentials::None, None), false),
        ] {
            assert_eq!(known.gives_way_to(&later), expected, "{later:?}");
        }
        assert!(proved(5, Credentials::None, None).gives_way_to(&proved(4, password("old"), None)));
    }

    #[test]
    fn a_later_log_in_as_another_role_outdates_backends() {
        let known = proved(5, Credentials::None, Some(1));
        for (at, role, expected) in [(6, Some(2), true), (6, Some(1), false), (6, None, false), (4, Some(2), false)] {
            assert_eq!(known.is_outdated_by(&proved(at, Credentials::None, role)), expected, "{at} {role:?}");
        }
    }
}

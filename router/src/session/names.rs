//! Names: those that PostgreSQL cuts, and says so. In: statements that pgring itself carries out. Out: notices.
//! Never: cuts a name.

use super::Session;
use crate::{
    pool::profile::Profile,
    sql::{
        verb::{Verb, Which},
        words::{NAME_LIMIT, cut, too_long},
    },
};
use bytes::BytesMut;
use pgring_protocol::message::{build, notice::Fields};

/// Whether notices are sent to a client with these settings.
pub(super) fn hears_notices(profile: &Profile) -> bool {
    !matches!(least(profile).as_str(), "warning" | "error")
}

/// Whether warnings are.
pub(super) fn hears_warnings(profile: &Profile) -> bool {
    least(profile) != "error"
}

fn least(profile: &Profile) -> String {
    profile.get("client_min_messages").unwrap_or_default().trim_matches('\'').to_ascii_lowercase()
}

/// Says that a name is cut.
pub(super) fn note_cut(name: &str, out: &mut BytesMut) {
    let message = format!("identifier \"{name}\" will be truncated to \"{}\"", cut(name));
    let mut notice = Fields::new("NOTICE", "42622", message);
    notice.set(b'V', "NOTICE");
    notice.set(b'R', "truncate_identifier");
    build::notice(out, &notice);
}

impl Session {
    /// Says which names of a statement are cut, where no server reads it under the client's eyes.
    pub(super) fn note_cut_names(&mut self, verb: &Verb, text: &str) {
        if text.len() <= NAME_LIMIT {
            return;
        }
        let read = match verb {
            Verb::Listen(_) | Verb::Unlisten(_) | Verb::Prepare { .. } | Verb::Deallocate(Which::Name(_)) => text,
            Verb::Savepoint(_) | Verb::Release(_) | Verb::RollbackTo(_) if self.txn.is_some() => text,
            Verb::Execute { open, .. } => text.get(..*open).unwrap_or(text),
            _ => return,
        };
        if hears_notices(&self.settings.current) {
            too_long(read).iter().for_each(|name| note_cut(name, &mut self.client.out));
        }
    }
}

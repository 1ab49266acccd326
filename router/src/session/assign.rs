//! Assign: settings that change without SET: `set_config`, and functions that change one inside.
//! In: a plan's calls with their values; a server's report that nothing explains. Out: the session's settings as they
//! are. Never: a change that the next session on that backend would meet.

use super::{Session, hold::Held};
use crate::{
    plan::{SetCall, setting},
    pool::{
        conn::ConnError,
        profile::{Profile, literal},
    },
    route::bind::Values,
};
use pgring_config::ids::ShardIndex;
use std::sync::Arc;

/// Every setting of a backend that was set in its session, but for roles and the transaction's own.
const SESSION_SETTINGS: &str = "SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings \
    WHERE source = 'session' AND name !~ '^transaction_' AND name NOT IN ('role', 'session_authorization')";

/// The settings before a statement that changes them, of the session and of its backend.
#[derive(Debug)]
pub(super) struct Assigned {
    session: Arc<Profile>,
    there: Arc<Profile>,
}

impl Assigned {
    /// The session's settings before.
    pub(super) fn session_before(self) -> Arc<Profile> {
        self.session
    }
}

/// What calls set.
#[derive(Debug)]
pub(super) struct Changed {
    profile: Profile,
    /// SQL that sets it for a transaction.
    local: Vec<String>,
}

impl Session {
    /// What these calls make of the session's settings. What cannot be foretold keeps the session on its backend.
    pub(super) fn changed_by(&mut self, sets: &[SetCall], values: &Values<'_>) -> Changed {
        let mut changed = Changed { profile: Profile::clone(&self.settings.current), local: Vec::new() };
        for call in sets {
            if let Err(Unknown) = self.note_call(&mut changed, call, values) {
                self.pin("set_config");
            }
        }
        changed
    }

    fn note_call(&self, changed: &mut Changed, call: &SetCall, values: &Values<'_>) -> Result<(), Unknown> {
        let local = match &call.local {
            Ok(local) => *local,
            Err(source) => {
                let text = values.text_of(source).ok_or(Unknown)?;
                text.as_deref().map_or(Some(false), setting::boolean).ok_or(Unknown)?
            }
        };
        let Some(name) = values.text_of(&call.name).ok_or(Unknown)?.map(|name| name.to_ascii_lowercase()) else {
            return Ok(());
        };
        let value = match &call.value {
            Some(source) => values.text_of(source).ok_or(Unknown)?,
            None => None,
        };
        let text = value.as_deref().map_or("NULL".to_owned(), literal);
        let startup = &self.settings.startup;
        match value {
            _ if local => {
                changed.local.push(format!("SELECT pg_catalog.set_config({}, {text}, true)", literal(&name)));
            }
            _ if name.starts_with("transaction_") => {}
            Some(value) => changed.profile = changed.profile.with_plain(&name, &value),
            // The server goes back to its own value at start-up, which is not this session's.
            None if startup.get(&name).is_some() => return Err(Unknown),
            None => changed.profile = changed.profile.reset(&name, startup),
        }
        Ok(())
    }

    /// Takes on what a statement's calls set, before it runs there.
    pub(super) async fn assign(&mut self, changed: Changed, held: &mut Held) -> Option<Assigned> {
        held.expects = true;
        self.set_elsewhere(&changed.local).await;
        if changed.profile == *self.settings.current {
            return None;
        }
        let profile = changed.profile.intern();
        Some(Assigned {
            session: std::mem::replace(&mut self.settings.current, profile.clone()),
            there: std::mem::replace(&mut held.conn().profile, profile),
        })
    }

    /// What holds for the transaction holds on every shard of it, also on those that join.
    async fn set_elsewhere(&mut self, local: &[String]) {
        let Some(txn) = &mut self.txn else { return };
        for text in local {
            txn.prefix.push(text.clone());
            for participant in &mut txn.participants {
                participant.checkout.conn().housekeep(text).await.ok();
            }
        }
    }

    /// The statement failed: the settings are those before it.
    pub(super) fn unassign(&mut self, assigned: Option<Assigned>, shard: ShardIndex) {
        let Some(assigned) = assigned else { return };
        self.settings.current = assigned.session;
        let participants = self.txn.iter_mut().flat_map(|txn| txn.participants.iter_mut());
        if let Some(participant) = participants.into_iter().find(|participant| participant.shard == shard) {
            participant.checkout.conn().profile = assigned.there;
        }
    }

    /// A setting was reported that no statement of the session explains: what is set there is the session's.
    pub(super) async fn adopt_settings(&mut self, held: &mut Held) -> Result<(), ConnError> {
        let rows = held.conn().housekeep(SESSION_SETTINGS).await?;
        let mut profile = Profile::clone(&self.settings.current);
        for row in rows {
            if let [Some(name), Some(value)] = row.as_slice() {
                profile = profile.with_plain(&name.to_ascii_lowercase(), value);
            }
        }
        self.settings.current = profile.intern();
        held.conn().profile = self.settings.current.clone();
        Ok(())
    }
}

/// It cannot be said what a call sets.
struct Unknown;

//! Assign: settings that change without SET: `set_config`, and functions that change one inside.
//! In: a plan's calls with their values; a server's report that nothing explains. Out: the session's settings as they
//! are. Never: a change that the next session on that backend would meet.

use super::{Session, hold::Held};
use crate::{
    plan::{SetCall, setting},
    pool::{conn::ConnError, profile::Profile},
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

impl Session {
    /// The session's settings after these calls; None: they stay as they are, or cannot be foretold, and then the
    /// session keeps its backend.
    pub(super) fn changed_by(&mut self, sets: &[SetCall], values: &Values<'_>) -> Option<Arc<Profile>> {
        let mut changed = Profile::clone(&self.settings.current);
        for call in sets {
            match self.after_call(&changed, call, values) {
                Ok(Some(profile)) => changed = profile,
                Ok(None) => {}
                Err(Unknown) => self.pin("set_config"),
            }
        }
        (changed != *self.settings.current).then(|| changed.intern())
    }

    fn after_call(&self, profile: &Profile, call: &SetCall, values: &Values<'_>) -> Result<Option<Profile>, Unknown> {
        let local = match &call.local {
            Ok(local) => *local,
            Err(source) => {
                let text = values.text_of(source).ok_or(Unknown)?;
                text.as_deref().map_or(Some(false), setting::boolean).ok_or(Unknown)?
            }
        };
        let Some(name) = values.text_of(&call.name).ok_or(Unknown)?.map(|name| name.to_ascii_lowercase()) else {
            return Ok(None);
        };
        if local || name.starts_with("transaction_") {
            return Ok(None);
        }
        let value = match &call.value {
            Some(source) => values.text_of(source).ok_or(Unknown)?,
            None => None,
        };
        let startup = &self.settings.startup;
        match value {
            Some(value) => Ok(Some(profile.with_plain(&name, &value))),
            // The server goes back to its own value at start-up, which is not this session's.
            None if startup.get(&name).is_some() => Err(Unknown),
            None => Ok(Some(profile.reset(&name, startup))),
        }
    }

    /// Takes on what a statement's calls set, before it runs there.
    pub(super) fn assign(&mut self, sets: &[SetCall], values: &Values<'_>, held: &mut Held) -> Option<Assigned> {
        if sets.is_empty() {
            return None;
        }
        held.expects = true;
        let changed = self.changed_by(sets, values)?;
        Some(Assigned {
            session: std::mem::replace(&mut self.settings.current, changed.clone()),
            there: std::mem::replace(&mut held.conn().profile, changed),
        })
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

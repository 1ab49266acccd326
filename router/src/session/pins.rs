//! Pins: why a session keeps its backend, and the proof that it need not any more.
//! In: what a statement does to the session. Out: a session that stays, or is free again.

use super::{Fault, Session, hold::Held};
use crate::{plan::SessionEffect, pool::conn::ConnError};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Causes of which a server can say that they are gone.
const PROVABLE: &[&str] = &["advisory lock", "temporary table", "WITH HOLD cursor"];

/// A sequence gave the session a value that it may ask for.
const SEQUENCE: &str = "sequence";
/// How long an idle session keeps its backend for that.
pub(super) const SEQUENCE_KEPT: Duration = Duration::from_secs(1);

/// Whether nothing of a session is left on its backend but settings.
const PROOF: &str = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = \
    pg_catalog.pg_backend_pid()) AND NOT EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable) AND NOT EXISTS \
    (SELECT FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
    AND refobjid = pg_catalog.pg_my_temp_schema())";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A number that no other session has for its use of sequences.
pub(super) fn fresh_number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Session {
    /// Keeps this session on its backends from now on.
    pub(super) fn pin(&mut self, reason: &str) {
        self.pinned = true;
        self.me.add_pin(reason);
    }

    /// Pins the session if this effect of a statement asks for it.
    pub(super) fn pin_for(&mut self, effect: &SessionEffect) {
        if let Some(reason) = effect.pin {
            self.pin(reason);
        }
        self.given.note(effect);
        self.may_be_free |= effect.frees;
        self.unexplained |= effect.adopts;
        if effect.alters {
            self.suspects = true;
            self.txn.iter_mut().for_each(|txn| (txn.ran_code, txn.schema_unseen) = (true, true));
        }
        if effect.advances && self.database.asks_sequences.load(Ordering::Relaxed) {
            self.keeps_sequence = true;
            self.pin(SEQUENCE);
        } else if self.keeps_sequence && !effect.asks_sequence {
            self.leave_sequence();
        }
    }

    /// What a sequence gave was not asked for at once: the backend is free for others again, and the session's as long as
    /// none of them uses a sequence there.
    pub(super) fn leave_sequence(&mut self) {
        self.keeps_sequence = false;
        if self.pinned && !self.me.remove_pin(SEQUENCE) && !self.keeps {
            self.pinned = false;
            self.pins.drain(..).for_each(|pin| pin.checkout.give_back());
        }
    }

    /// Lets a session go that was pinned for something which the backend says is gone.
    pub(super) async fn unpin_if_proven(&mut self, held: &mut Held) -> Result<(), ConnError> {
        self.may_be_free = false;
        if self.keeps {
            return Ok(());
        }
        let provable = self.me.pins().iter().all(|(reason, _)| PROVABLE.contains(&reason.as_str()));
        if !self.pins.is_empty() || !provable || held.conn().housekeep(PROOF).await?.is_empty() {
            return Ok(());
        }
        self.pinned = false;
        self.temp_tables.clear();
        self.cursors.clear();
        self.me.clear_pins();
        Ok(())
    }

    /// A statement asks for a sequence's value: only the backend on which this session used one knows it; on any other
    /// the server is made to say that there is none.
    pub(super) async fn own_sequences(&mut self, held: &mut Held) -> Result<(), Fault> {
        if self.txn.is_none() {
            self.database.asks_sequences.store(true, Ordering::Relaxed);
        }
        if held.conn().sequences_of == self.sequences {
            return Ok(());
        }
        if let Err(error) = held.open().await {
            return Err(self.lost_while_held(&error));
        }
        held.conn().sequences_of = 0;
        match held.conn().housekeep("DISCARD SEQUENCES").await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost_while_held(&error)),
        }
    }
}

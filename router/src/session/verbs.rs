//! Verbs: what a session does with statements about transactions, settings, cursors and prepared statements.

use super::{Fault, Session, cursor::Declare, pins::fresh_number, settings::value_text, simple::Done};
use crate::{
    error::{Report, catalogue},
    pool::profile::Profile,
    sql::verb::{Discard, Isolation, SetScope, SetValue, Verb, Which},
    txn::{Reach, View},
};
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::{build, result::Field};
use std::sync::Arc;

impl Session {
    /// Runs a verb; `frame` is the client's own message where it is the message's only statement.
    pub(super) async fn verb(&mut self, verb: Verb, text: &str, frame: Option<&[u8]>) -> Result<Done, Fault> {
        self.note_cut_names(&verb, text);
        match &verb {
            Verb::Begin { isolation, .. } => self.begin(text, *isolation).await.map(|()| Done::Open),
            Verb::Commit { .. } | Verb::Rollback { .. } => self.finish(text, &verb, frame).await,
            Verb::Savepoint(_) | Verb::Release(_) | Verb::RollbackTo(_) => self.savepoint(text, &verb).await,
            // Nothing is prepared of a transaction that has failed.
            Verb::PrepareTransaction(_) if self.txn.as_ref().is_some_and(|txn| txn.failed) => {
                self.finish("ROLLBACK", &Verb::Rollback { chain: false }, None).await
            }
            _ if self.txn.as_ref().is_some_and(|txn| txn.failed) => {
                Err(Report::new(catalogue::FAILED_TRANSACTION).into())
            }
            Verb::PrepareTransaction(gid) => self.prepare_transaction(text, gid, frame).await,
            Verb::Set { scope, name, value } => self.set(text, frame, *scope, name, value).await,
            Verb::SetTransaction { isolation: None, read_only: Some(true), snapshot: None, .. }
                if self.stop_writing() =>
            {
                build::command_complete(&mut self.client.out, "SET");
                Ok(Done::Open)
            }
            Verb::SetTransaction { isolation, snapshot, .. } => {
                self.note_isolation(*isolation);
                if let (Some(txn), true) = (&mut self.txn, snapshot.is_some()) {
                    txn.view = View::OneShard;
                }
                self.set_local(text, frame).await
            }
            Verb::SetConstraints => self.set_local(text, frame).await,
            Verb::SetSessionCharacteristics { isolation, read_only, deferrable } => {
                let changed = characteristics(&self.settings.current, *isolation, *read_only, *deferrable);
                self.change_settings(text, frame, changed).await
            }
            Verb::Reset(which) => self.reset(text, frame, which).await,
            Verb::Show(Which::Name(name)) if name.starts_with("pgring.") => self.show_own(name, true),
            Verb::Show(_) => self.anywhere(text, frame, Reach::Nothing).await,
            Verb::Discard(what) => self.discard(text, frame, *what).await,
            Verb::Prepare { name, statement_at, .. } => self.prepare(text, name, *statement_at).await,
            Verb::Execute { name, arguments, open } => self.execute_prepared(text, name, arguments, *open).await,
            Verb::Deallocate(which) => self.deallocate(which),
            Verb::Declare { name, hold, query_at } => {
                self.declare(Declare { text, name, hold: *hold, query_at: *query_at }, frame).await
            }
            Verb::Fetch { cursor, .. } => self.at_cursor(text, frame, cursor, false).await,
            Verb::CloseCursor(which) => {
                self.may_be_free = true;
                match which {
                    Which::Name(cursor) => self.at_cursor(text, frame, cursor, true).await,
                    Which::All => self.close_all_cursors(text, frame).await,
                }
            }
            Verb::Listen(channel) => self.listen(channel).await,
            Verb::Unlisten(which) => self.unlisten(which),
            Verb::Notify { .. } => self.notify(text, frame).await,
            Verb::Load => {
                self.pin("LOAD");
                self.on_default(text, frame, Reach::Nothing).await
            }
            Verb::Checkpoint => self.on_default(text, frame, Reach::Nothing).await,
            Verb::CommitPrepared(_) | Verb::RollbackPrepared(_) => self.on_default(text, frame, Reach::Write).await,
        }
    }

    async fn on_default(&mut self, text: &str, frame: Option<&[u8]>, reach: Reach) -> Result<Done, Fault> {
        let shard = self.database.snapshot().topology.default_shard;
        self.on_shard(shard, text, frame, reach).await
    }

    pub(super) async fn on_shard(
        &mut self,
        shard: ShardIndex,
        text: &str,
        frame: Option<&[u8]>,
        reach: Reach,
    ) -> Result<Done, Fault> {
        let snapshot = self.database.snapshot().clone();
        self.admit(&[shard], reach, &snapshot).await?;
        let held = self.hold(&snapshot, shard).await?;
        let answer = self.relay_text(held, text, frame, reach).await?;
        Done::of(frame, answer.error.is_some())
    }

    async fn set(
        &mut self,
        text: &str,
        frame: Option<&[u8]>,
        scope: SetScope,
        name: &str,
        value: &SetValue,
    ) -> Result<Done, Fault> {
        if let Some(own) = name.strip_prefix("pgring.") {
            let value = match value {
                SetValue::Values(values) => Some(values.join(", ")),
                SetValue::Default | SetValue::FromCurrent => None,
            };
            self.check_shard_setting(own, value.as_deref())?;
            self.settings.set_pgring(own, value.as_deref())?;
            build::command_complete(&mut self.client.out, "SET");
            return Ok(Done::Open);
        }
        if name == "transaction_read_only"
            && matches!(value, SetValue::Values(values) if values.first().is_some_and(|value| is_on(value)))
            && self.stop_writing()
        {
            build::command_complete(&mut self.client.out, "SET");
            return Ok(Done::Open);
        }
        if name == "transaction_isolation"
            && let SetValue::Values(values) = value
        {
            self.note_isolation(values.first().and_then(|value| isolation_named(value)));
        }
        if scope == SetScope::Local || name.starts_with("transaction_") {
            return self.set_local(text, frame).await;
        }
        match value {
            SetValue::Default if self.settings.startup.get(name).is_some() => {
                let changed = self.settings.current.reset(name, &self.settings.startup);
                self.restore_settings(changed, "SET").await
            }
            SetValue::FromCurrent => {
                self.pin("SET … FROM CURRENT");
                self.anywhere(text, frame, Reach::Nothing).await
            }
            _ => {
                let changed = self.profile_with(name, value);
                self.change_settings(text, frame, changed).await
            }
        }
    }

    /// The session's settings after a SET of one.
    fn profile_with(&self, name: &str, value: &SetValue) -> Profile {
        match value {
            SetValue::Default => self.settings.current.reset(name, &self.settings.startup),
            _ => match value_text(name, value) {
                Some(text) => self.settings.current.with(name, text),
                None => Profile::clone(&self.settings.current),
            },
        }
    }

    /// The session's settings after a SET or RESET that a server can be left to carry out.
    pub(super) fn profile_after(&self, verb: &Verb) -> Option<Profile> {
        let startup = &self.settings.startup;
        match verb {
            Verb::Set { name, .. } if name.starts_with("pgring.") || name.starts_with("transaction_") => None,
            Verb::Set { value: SetValue::FromCurrent, .. } => None,
            Verb::Set { name, value: SetValue::Default, .. } if startup.get(name).is_some() => None,
            Verb::Set { name, value, .. } => Some(self.profile_with(name, value)),
            Verb::Reset(Which::Name(name)) if !name.starts_with("pgring.") && startup.get(name).is_none() => {
                Some(self.settings.current.reset(name, startup))
            }
            _ => None,
        }
    }

    /// From here on the transaction does not write. Where it has, the servers are not told: they could not write down
    /// then how it is decided. Returns whether it has.
    fn stop_writing(&mut self) -> bool {
        let Some(txn) = self.txn.as_mut().filter(|txn| !txn.writers().is_empty()) else { return false };
        txn.read_only = true;
        true
    }

    /// Takes note of an isolation level that is set inside the transaction.
    fn note_isolation(&mut self, isolation: Option<Isolation>) {
        if let (Some(txn), Some(isolation)) = (&mut self.txn, isolation)
            && txn.view != View::OneShard
        {
            txn.view = super::transaction::view(isolation);
        }
    }

    /// Runs a statement that changes the session's settings on one server; if that took it, so do all others later.
    async fn change_settings(&mut self, text: &str, frame: Option<&[u8]>, changed: Profile) -> Result<Done, Fault> {
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        let shard = self.txn.as_ref().map_or(default, |txn| txn.any(default));
        let mut held = self.hold(&snapshot, shard).await?;
        let changed = changed.intern();
        let before = std::mem::replace(&mut self.settings.current, changed.clone());
        let before_there = std::mem::replace(&mut held.conn().profile, changed);
        let answer = self.relay_set(held, text, frame, &before, before_there).await?;
        if let Some(name) = self.settings.reported("application_name") {
            self.me.set_application(name);
        }
        Done::of(frame, answer)
    }

    /// Relays a SET; returns whether it failed.
    async fn relay_set(
        &mut self,
        held: super::hold::Held,
        text: &str,
        frame: Option<&[u8]>,
        before: &Arc<Profile>,
        before_there: Arc<Profile>,
    ) -> Result<bool, Fault> {
        let shard = held.shard;
        let answer = match self.relay_text(held, text, frame, Reach::Nothing).await {
            Ok(answer) => answer,
            Err(fault) => {
                self.settings.current = before.clone();
                return Err(fault);
            }
        };
        if answer.error.is_some() {
            self.settings.current = before.clone();
            if let Some(txn) = &mut self.txn
                && let Some(participant) = txn.participants.iter_mut().find(|p| p.shard == shard)
            {
                participant.checkout.conn().profile = before_there;
            }
        }
        Ok(answer.error.is_some())
    }

    /// SET LOCAL and its like hold for the transaction: also on shards that join it later.
    async fn set_local(&mut self, text: &str, frame: Option<&[u8]>) -> Result<Done, Fault> {
        let answer = self.anywhere_answer(text, frame, Reach::Nothing).await?;
        if answer.error.is_none()
            && let Some(txn) = &mut self.txn
        {
            txn.prefix.push(text.to_owned());
            let told = txn.participants.len();
            for participant in txn.participants.iter_mut().take(told.saturating_sub(1)) {
                participant.checkout.conn().housekeep(text).await.ok();
            }
        }
        Done::of(frame, answer.error.is_some())
    }

    async fn reset(&mut self, text: &str, frame: Option<&[u8]>, which: &Which) -> Result<Done, Fault> {
        let startup = self.settings.startup.clone();
        let changed = match which {
            Which::Name(name) => {
                if let Some(own) = name.strip_prefix("pgring.") {
                    self.settings.set_pgring(own, None)?;
                    build::command_complete(&mut self.client.out, "RESET");
                    return Ok(Done::Open);
                }
                self.settings.current.reset(name, &startup)
            }
            Which::All => {
                self.settings.reset_pgring();
                self.settings.current.reset_all(&startup)
            }
        };
        let known_at_start = match which {
            Which::Name(name) => startup.get(name).is_some(),
            Which::All => startup != Profile::empty(),
        };
        if !known_at_start {
            return self.change_settings(text, frame, changed).await;
        }
        self.restore_settings(changed, "RESET").await
    }

    /// Goes back to values of the start-up packet: the server would go back to its own, the session's are pgring's to
    /// restore.
    async fn restore_settings(&mut self, changed: Profile, tag: &str) -> Result<Done, Fault> {
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        let shard = self.txn.as_ref().map_or(default, |txn| txn.any(default));
        let before = std::mem::replace(&mut self.settings.current, changed.intern());
        self.settings.changing = true;
        let held = self.hold(&snapshot, shard).await;
        self.settings.changing = false;
        match held {
            Ok(held) => {
                let status = if self.txn.is_some() { b'T' } else { b'I' };
                self.open_and_let_go(held, status).await?;
            }
            Err(fault) => {
                self.settings.current = before;
                return Err(fault);
            }
        }
        build::command_complete(&mut self.client.out, tag);
        if let Some(name) = self.settings.reported("application_name") {
            self.me.set_application(name);
        }
        Ok(Done::Open)
    }

    /// Lets a backend go that was held only to be dressed.
    async fn open_and_let_go(&mut self, mut held: super::hold::Held, status: u8) -> Result<(), Fault> {
        if let Err(error) = held.open().await {
            return Err(self.lost_while_held(&error));
        }
        self.let_go(held, status, Reach::Nothing);
        Ok(())
    }

    /// SHOW of a setting of pgring's own; `describe`: with the description of its column.
    pub(super) fn show_own(&mut self, name: &str, describe: bool) -> Result<Done, Fault> {
        let value = self.settings.pgring(name.trim_start_matches("pgring."))?.to_owned();
        if describe {
            build::row_description(&mut self.client.out, &[text_field(name)]);
        }
        build::data_row(&mut self.client.out, [Some(value.as_bytes())]);
        build::command_complete(&mut self.client.out, "SHOW");
        Ok(Done::Open)
    }

    async fn discard(&mut self, text: &str, frame: Option<&[u8]>, what: Discard) -> Result<Done, Fault> {
        if self.txn.is_some() || what != Discard::All {
            match what {
                Discard::Temp => {
                    self.temp_tables.clear();
                    self.may_be_free = true;
                }
                Discard::Sequences => {
                    self.sequences = fresh_number();
                    self.given.forget();
                }
                _ => {}
            }
            return self.anywhere(text, frame, Reach::Nothing).await;
        }
        self.statements.retain(|name, _| name.is_empty());
        self.told.clear();
        self.sequences = fresh_number();
        self.given.forget();
        self.temp_tables.clear();
        self.listen_no_more();
        self.release_all_kept().await;
        self.unpin().await;
        self.settings.current = self.settings.startup.clone();
        self.settings.reset_pgring();
        self.see_settings().await?;
        build::command_complete(&mut self.client.out, "DISCARD ALL");
        Ok(Done::Open)
    }

    /// Finds out what a server says of the session's settings.
    async fn see_settings(&mut self) -> Result<(), Fault> {
        let snapshot = self.database.snapshot().clone();
        self.settings.changing = true;
        let held = self.hold_apart(&snapshot, snapshot.topology.default_shard).await;
        self.settings.changing = false;
        self.let_go(held?, b'I', Reach::Nothing);
        Ok(())
    }

    /// `pgring.shard` is for admin users, and names a shard.
    fn check_shard_setting(&self, name: &str, value: Option<&str>) -> Result<(), Fault> {
        let Some(shard) = value.filter(|shard| name == "shard" && !shard.is_empty()) else { return Ok(()) };
        if !self.user.admin {
            return Err(
                Report::with(catalogue::NOT_PERMITTED, "permission denied to set parameter \"pgring.shard\"").into()
            );
        }
        if self.database.snapshot().topology.shard_by_name(shard).is_none() {
            return Err(Report::with(catalogue::UNKNOWN_OBJECT, format!("shard \"{shard}\" does not exist")).into());
        }
        Ok(())
    }
}

fn isolation_named(name: &str) -> Option<Isolation> {
    match name.to_ascii_lowercase().as_str() {
        "repeatable read" => Some(Isolation::RepeatableRead),
        "serializable" => Some(Isolation::Serializable),
        _ => None,
    }
}

/// SET SESSION CHARACTERISTICS, as the settings it changes.
fn characteristics(
    current: &Profile,
    isolation: Option<Isolation>,
    read_only: Option<bool>,
    deferrable: Option<bool>,
) -> Profile {
    let level = isolation.map(|isolation| match isolation {
        Isolation::ReadUncommitted => "'read uncommitted'",
        Isolation::ReadCommitted => "'read committed'",
        Isolation::RepeatableRead => "'repeatable read'",
        Isolation::Serializable => "'serializable'",
    });
    let switch = |on: bool| if on { "'on'" } else { "'off'" };
    let changes = [
        ("default_transaction_isolation", level),
        ("default_transaction_read_only", read_only.map(switch)),
        ("default_transaction_deferrable", deferrable.map(switch)),
    ];
    changes.into_iter().fold(current.clone(), |profile, (name, value)| match value {
        Some(value) => profile.with(name, value.into()),
        None => profile,
    })
}

/// A column of type text.
pub(super) fn text_field(name: &str) -> Field {
    Field { name: name.to_owned(), table_oid: 0, column: 0, type_oid: 25, type_size: -1, type_modifier: -1, format: 0 }
}

/// A boolean's text that means true (PostgreSQL documentation, "Boolean Type").
fn is_on(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1" | "t" | "y")
}

//! Statement: Parse and Describe of statements; which backend knows a statement by which name. In: messages about
//! statements. Out: messages for a lane. Never: parameters.

use super::{
    super::{
        Fault, Session,
        prepared::{self, Prepared},
        verbs::text_field,
    },
    Pending, Unnamed, violation,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::relay::Expect,
    plan::Plan,
    sql::verb::{Verb, Which},
    txn::Reach,
};
use pgring_protocol::message::{
    build,
    extended::{self, Describe, Parse},
    result::Field,
};
use std::sync::Arc;

/// Room for unnamed statements that an idle session keeps.
const KEPT_UNNAMED: usize = 4;
/// Bytes of a name that PostgreSQL keeps.
const LONGEST_NAME: usize = 63;

impl Session {
    pub(super) async fn on_parse(&mut self, body: &[u8]) -> Result<(), Fault> {
        let parse = Parse::parse(body).map_err(violation)?;
        self.check_name(parse.name)?;
        let name = kept(parse.name);
        let text = &*String::from_utf8_lossy(parse.sql);
        self.send_pending().await?;
        if !name.is_empty() && self.statements.contains_key(name) {
            return Err(prepared::duplicate(parse.name).into());
        }
        let named = !name.is_empty();
        let prepared = if self.is_foreign(text) {
            foreign(text, &parse)?
        } else if named && self.txn.as_ref().is_some_and(|txn| txn.schema_changed) {
            // What the transaction made may be gone after it: nobody else shares a statement about that.
            Arc::new(Prepared::unshared(text, parse.types.iter().collect(), named))
        } else {
            prepared::seen(text, parse.types, named.then(|| self.database.snapshot().schema.version))
        };
        if self.txn.as_ref().is_some_and(|txn| txn.failed)
            && !prepared.may_end()
            && !prepared.lexed.statements.is_empty()
        {
            Box::pin(self.check_syntax(&prepared)).await?;
            return Err(Report::new(catalogue::FAILED_TRANSACTION).into());
        }
        let before = self.statements.insert(name.into(), prepared.clone());
        self.batch.fresh.push(name.into());
        self.batch.pending = Some(Pending { name: name.into(), prepared, before });
        Ok(())
    }

    /// Names are text.
    ///
    /// # Errors
    /// 22021, as a server says it.
    pub(super) fn check_name(&self, name: &[u8]) -> Result<(), Fault> {
        let Some(wrong) = std::str::from_utf8(name).err().filter(|_| self.settings.utf8()) else { return Ok(()) };
        let rest = name.get(wrong.valid_up_to()..).unwrap_or_default();
        let length = match rest.first() {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf7) => 4,
            _ => 1,
        };
        let shown: Vec<String> = rest.iter().take(length).map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
        Err(Report::with(catalogue::PROTOCOL, message).sqlstate("22021").into())
    }

    /// A transaction that has failed takes nothing but its end.
    pub(super) fn check_failed(&self, prepared: &Prepared) -> Result<(), Fault> {
        let failed = self.txn.as_ref().is_some_and(|txn| txn.failed);
        let passes = !failed || prepared.may_end() || prepared.lexed.statements.is_empty();
        if passes { Ok(()) } else { Err(Report::new(catalogue::FAILED_TRANSACTION).into()) }
    }

    /// In a transaction that has failed a server looks at the syntax first.
    async fn check_syntax(&mut self, prepared: &Arc<Prepared>) -> Result<(), Fault> {
        if prepared.verb.is_some() {
            return Ok(());
        }
        self.leave_lanes().await?;
        self.check_syntax_of(prepared.bytes()).await
    }

    /// Sends a Parse for which no Bind has shown the way: to where the batch is, else to any server.
    pub(super) async fn send_pending(&mut self) -> Result<(), Fault> {
        let Some(Pending { prepared, .. }) = &self.batch.pending else { return Ok(()) };
        let prepared = prepared.clone();
        let failed = self.txn.as_ref().is_some_and(|txn| txn.failed);
        if failed || self.fields_if_own(&prepared).is_some() {
            // No server knows what pgring itself answers, nor needs it to end a failed transaction.
            self.leave_lanes().await?;
            self.check_failed(&prepared)?;
            build::parse_complete(&mut self.client.out);
            self.batch.pending = None;
            return Ok(());
        }
        self.any_lane().await?;
        self.add_parse(&prepared, false).await?;
        self.batch.pending = None;
        Ok(())
    }

    /// Sends a Parse that still waits, unless it is of this statement.
    pub(super) async fn send_pending_before(&mut self, name: &[u8]) -> Result<(), Fault> {
        match &self.batch.pending {
            Some(Pending { name: pending, .. }) if **pending != *kept(name) => self.send_pending().await,
            _ => Ok(()),
        }
    }

    /// The lane for what any server can answer.
    async fn any_lane(&mut self) -> Result<(), Fault> {
        if self.batch.lanes.current().is_some() {
            return Ok(());
        }
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        let working = self.batch.lanes.only().filter(|lane| !lane.apart).map(|lane| lane.shard);
        match &self.txn {
            Some(txn) if txn.failed => Err(Report::new(catalogue::FAILED_TRANSACTION).into()),
            Some(_) if let Some(shard) = working => self.lane(shard, Reach::Nothing, false, &snapshot).await,
            // A transaction that is open nowhere yet is not opened for a Parse or a Describe.
            Some(txn) if txn.participants.is_empty() => self.lane(default, Reach::Nothing, true, &snapshot).await,
            Some(txn) => {
                let shard = txn.any(default);
                self.lane(shard, Reach::Nothing, false, &snapshot).await
            }
            None => self.lane(default, Reach::Nothing, false, &snapshot).await,
        }
    }

    /// Adds a statement's Parse to the lane, unless its backend has it.
    pub(super) async fn add_parse(&mut self, prepared: &Arc<Prepared>, hidden: bool) -> Result<(), Fault> {
        for needed in &prepared.needs {
            Box::pin(self.add_parse(needed, true)).await?;
        }
        self.make_room(prepared.text.len()).await?;
        let healing = self.batch.healing;
        let lanes = &mut self.batch.lanes;
        let Some(lane) = lanes.current_mut() else { return Ok(()) };
        let Some(id) = prepared.id else {
            build::parse(&mut lane.out, "", prepared.bytes(), prepared.types());
            lane.unnamed = Some(prepared.clone());
            let nth = if hidden { 0 } else { self.note_unnamed(prepared) };
            self.batch.lanes.expect(Expect::Parse { id: None, hidden, nth });
            return Ok(());
        };
        let Some(conn) = lane.conn() else { return Ok(()) };
        if conn.statements.touch(id) && !healing {
            if !hidden {
                lanes.expect(Expect::Known { id: Some(id), nth: 0 });
                // Where it is passed over after an error, what comes next must know that there is no such statement.
                lanes.stay();
            }
            return Ok(());
        }
        let gone = conn.statements.add(id);
        let name = prepared.backend_name();
        if let Some(gone) = gone {
            build::close(&mut lane.out, b'S', gone.name());
        }
        // After an error a Close is not read, so the name may be taken there.
        build::close(&mut lane.out, b'S', name);
        build::parse(&mut lane.out, name, prepared.bytes(), prepared.types());
        if gone.is_some() {
            lanes.expect(Expect::Close { hidden: true });
        }
        lanes.expect(Expect::Close { hidden: true });
        lanes.expect(Expect::Parse { id: Some(id), hidden, nth: 0 });
        lanes.stay();
        Ok(())
    }

    /// A Parse of the unnamed statement is asked; returns its number.
    pub(super) fn note_unnamed(&mut self, prepared: &Arc<Prepared>) -> usize {
        let pending = self.batch.pending.as_mut();
        let unnamed = &mut self.batch.unnamed;
        if unnamed.asked.is_empty() {
            unnamed.before = pending.and_then(|pending| pending.before.take());
        }
        unnamed.asked.push(prepared.clone());
        unnamed.asked.len() - 1
    }

    /// All that was asked is answered: the unnamed statement is the last that a server has taken.
    pub(super) fn settle_unnamed(&mut self) {
        let Unnamed { mut asked, before } = std::mem::take(&mut self.batch.unnamed);
        let answered = self.client.unnamed.take();
        let holds = match answered {
            _ if asked.is_empty() => return,
            Some((nth, true)) if nth + 1 == asked.len() => None,
            Some((nth, true)) => Some(asked.get(nth).cloned()),
            Some((_, false)) => Some(None),
            None => Some(before),
        };
        match (holds, &mut self.batch.pending) {
            (None, _) => {}
            (Some(prepared), Some(pending)) if pending.name.is_empty() => pending.before = prepared,
            (Some(Some(prepared)), _) => drop(self.statements.insert(Box::default(), prepared)),
            (Some(None), _) => drop(self.statements.remove(&b""[..])),
        }
        if asked.capacity() <= KEPT_UNNAMED {
            asked.clear();
            self.batch.unnamed.asked = asked;
        }
    }

    /// The statement is on the lane's backend afterwards.
    pub(super) async fn ensure_parsed(&mut self, name: &[u8], prepared: &Arc<Prepared>) -> Result<(), Fault> {
        let asked = self.batch.pending.as_ref().is_some_and(|pending| *pending.name == *kept(name));
        if asked {
            self.add_parse(prepared, false).await?;
            self.batch.pending = None;
            return Ok(());
        }
        let here = self.batch.lanes.current().and_then(|lane| lane.unnamed.as_ref());
        if prepared.id.is_some() || !here.is_some_and(|here| Arc::ptr_eq(here, prepared)) {
            self.add_parse(prepared, true).await?;
        }
        Ok(())
    }

    /// The plan of a prepared statement.
    pub(in crate::session) fn prepared_plan(&mut self, prepared: &Arc<Prepared>) -> Arc<Plan> {
        let path = self.search_path_id();
        let version = self.plans();
        if self.temp_tables.is_empty()
            && let Some(plan) = prepared.plan(version, path)
        {
            return plan;
        }
        let mut lexed = prepared.lexed.clone();
        let plan = self.plan(&prepared.text, &mut lexed);
        if self.temp_tables.is_empty() {
            prepared.keep_plan(version, path, &plan);
        }
        plan
    }

    pub(super) fn statement_named(&self, name: &[u8]) -> Result<Arc<Prepared>, Fault> {
        self.statements.get(kept(name)).cloned().ok_or_else(|| prepared::unknown(name).into())
    }

    pub(super) async fn on_describe(&mut self, body: &[u8], snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let describe = Describe::parse(body).map_err(violation)?;
        self.check_name(describe.name)?;
        if describe.kind == extended::PORTAL {
            return self.describe_portal(describe.name, snapshot).await;
        }
        let prepared = self.statement_named(describe.name)?;
        self.send_pending_before(describe.name).await?;
        let fields = self.fields_if_own(&prepared);
        // The server knows the types of the parameters in a cursor's query.
        let declares = matches!(prepared.verb, Some(Verb::Declare { .. }));
        let silent = prepared.verb.as_ref().is_some_and(is_silent) && !declares;
        if fields.is_some() || (silent && !self.is_described_there(&prepared)) {
            self.leave_lanes().await?;
            if self.batch.pending.take().is_some() {
                build::parse_complete(&mut self.client.out);
            }
            build::parameter_description(&mut self.client.out, &prepared.own_types());
            match fields {
                Some(fields) => build::row_description(&mut self.client.out, &fields),
                None => build::no_data(&mut self.client.out),
            }
            return Ok(());
        }
        self.any_lane().await?;
        let prepared = self.stand_in(&prepared).unwrap_or(prepared);
        self.ensure_parsed(describe.name, &prepared).await?;
        if let Some(lane) = self.batch.lanes.current_mut() {
            build::describe(&mut lane.out, b'S', prepared.backend_name());
            let shape = self.is_told(&prepared, snapshot);
            self.batch.lanes.expect(Expect::Describe { shape });
        }
        Ok(())
    }

    /// The columns of a statement that pgring itself answers; None: it goes to a server.
    fn fields_if_own(&mut self, prepared: &Arc<Prepared>) -> Option<Vec<Field>> {
        match &prepared.verb {
            Some(Verb::Show(Which::Name(name))) if name.starts_with("pgring.") => Some(vec![text_field(name)]),
            Some(Verb::Fetch { cursor, is_move: false }) => self.kept_cursor(cursor).map(<[Field]>::to_vec),
            Some(_) => None,
            None => {
                let plan = self.prepared_plan(prepared);
                self.own_fields(&plan, prepared)
            }
        }
    }
}

/// A name as PostgreSQL keeps it: what is longer is cut.
pub(super) fn kept(name: &[u8]) -> &[u8] {
    name.get(..LONGEST_NAME).unwrap_or(name)
}

/// A verb that has no rows.
pub(super) fn is_silent(verb: &Verb) -> bool {
    !matches!(verb, Verb::Show(_) | Verb::Fetch { .. } | Verb::Execute { .. })
}

/// A statement in another encoding than UTF-8.
fn foreign(text: &str, parse: &Parse<'_>) -> Result<Arc<Prepared>, Fault> {
    let named = !parse.name.is_empty();
    let prepared = Prepared::unshared(text, parse.types.iter().collect(), named).foreign(parse.sql);
    if !matches!(prepared.verb, None | Some(Verb::Notify { .. })) {
        return Err(Report::new(catalogue::UNSUPPORTED)
            .detail("a statement about the session in another encoding than UTF8")
            .hint("Set client_encoding to UTF8.")
            .into());
    }
    Ok(Arc::new(prepared))
}

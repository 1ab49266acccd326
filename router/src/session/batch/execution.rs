//! Execution: Execute of a portal, on its lane or by pgring itself. In: an Execute. Out: messages for a lane, or
//! pgring's own answers. Never: binds.

use super::{
    super::{Fault, Session, calls::Execution, kept::Of, pins::fresh_number},
    lanes::Lane,
    place::Place,
    portal::{Portal, has_rows},
    special::{Run, let_go},
    violation,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::relay::Expect,
    plan::PlanKind,
    route::bind::Parameters,
    sql::verb::{Discard, Verb, Which, first_word},
    txn::Reach,
};
use bytes::BytesMut;
use pgring_protocol::message::{build, extended::Execute};
use std::sync::Arc;

/// What PostgreSQL calls a statement that must not stand behind another without a Sync between.
fn never_in_pipeline(portal: &Portal) -> Option<&'static str> {
    match (&portal.prepared.verb, &portal.plan.kind) {
        (Some(Verb::Discard(Discard::All)), _) => Some("DISCARD ALL"),
        (Some(Verb::CommitPrepared(_)), _) => Some("COMMIT PREPARED"),
        (Some(Verb::RollbackPrepared(_)), _) => Some("ROLLBACK PREPARED"),
        (None, PlanKind::Ddl(ddl)) if ddl.outside_transaction => {
            let is_vacuum = first_word(&portal.prepared.text) == "VACUUM";
            is_vacuum.then_some("VACUUM")
        }
        _ => None,
    }
}

impl Session {
    pub(super) async fn on_execute(&mut self, body: &[u8], snapshot: &Arc<Snapshot>) -> Result<(), Fault> {
        let execute = Execute::parse(body).map_err(violation)?;
        self.check_name(execute.portal)?;
        let portal = self.portal(execute.portal)?;
        self.send_pending().await?;
        self.me.count();
        self.note_executed(&portal)?;
        let Place::Server { shard, reach, apart } = portal.place else {
            return Box::pin(self.execute_special(execute.portal, &portal, execute.max_rows, snapshot)).await;
        };
        self.lane_of_portal(execute.portal, &portal, (shard, reach, apart), snapshot).await?;
        if let Some(portal) = self.batch.portals.get_mut(execute.portal) {
            portal.executed = true;
        }
        if (portal.plan.session.notifies || matches!(portal.prepared.verb, Some(Verb::Notify { .. })))
            && let Some(lane) = self.batch.lanes.current_mut()
            && let Some(pid) = lane.conn().map(|conn| conn.cancel.pid)
        {
            let shard = lane.shard;
            self.sends_from(shard, pid).await;
        }
        if let Some(lane) = self.batch.lanes.current_mut() {
            build::execute(&mut lane.out, execute.portal, execute.max_rows);
            if reach == Reach::Write
                && let Some(conn) = lane.conn()
            {
                conn.sequences_of = self.sequences;
            }
            self.batch.lanes.expect(Expect::Execute);
            self.batch.lanes.note_execute();
        }
        if matches!(portal.plan.kind, PlanKind::Copy(_)) {
            self.batch.lanes.stay();
        }
        if portal.prepared.copies_in {
            self.batch.lanes.stay();
            Box::pin(self.start_copy()).await?;
        }
        if let Some(verb) = &portal.prepared.verb {
            self.note_ridden(verb);
        }
        let effect = &portal.plan.session;
        if effect.must_be_known() {
            self.batch.lanes.stay();
        }
        self.pin_for(effect);
        self.note_temps(&effect.creates_temp);
        if !effect.sets.is_empty() {
            self.assign_bound(&portal).await?;
        }
        self.make_room(0).await
    }

    /// A COPY FROM begins at once where other messages of a batch stand behind it: they are none of its data.
    async fn start_copy(&mut self) -> Result<(), Fault> {
        self.client.behind_copy = self.behind();
        if self.client.behind_copy.is_none() {
            return Ok(());
        }
        let result = self.answer_so_far().await;
        self.client.behind_copy = None;
        result
    }

    /// Takes note of whether what comes next stands behind an execution in one transaction.
    ///
    /// # Errors
    /// 25001 for what must not.
    fn note_executed(&mut self, portal: &Portal) -> Result<(), Fault> {
        let special = portal.place == Place::Special;
        if special
            && self.batch.pipelined
            && self.txn.is_none()
            && let Some(what) = never_in_pipeline(portal)
        {
            let message = format!("{what} cannot be executed within a pipeline");
            return Err(Report::with(catalogue::PROTOCOL, message).sqlstate("25001").into());
        }
        let committed = match &portal.plan.kind {
            PlanKind::Ddl(ddl) => ddl.outside_transaction && special,
            _ => portal.prepared.verb.as_ref().is_some_and(Verb::is_about_transactions),
        };
        let ends = matches!(portal.prepared.verb, Some(Verb::Commit { .. } | Verb::Rollback { .. }));
        self.batch.pipelined = !committed || (self.batch.pipelined && !special && !ends);
        Ok(())
    }

    /// Takes on what an execution sets by `set_config`.
    async fn assign_bound(&mut self, portal: &Portal) -> Result<(), Fault> {
        if !portal.prepared.needs.is_empty() {
            // Its values are the arguments of an EXECUTE.
            self.pin("set_config");
            return Ok(());
        }
        let parameters = portal.parameters()?;
        let bound = Parameters::Bound(&parameters, portal.prepared.types());
        let values = portal.prepared.values(bound, self.settings.utf8());
        let changed = self.changed_by(&portal.plan.session.sets, &values);
        let Some(mut held) = self.batch.lanes.current_mut().and_then(Lane::take) else { return Ok(()) };
        if let Some(assigned) = self.assign(changed, &mut held).await {
            self.batch.settings.get_or_insert(assigned.session_before());
        }
        if let Some(lane) = self.batch.lanes.current_mut() {
            lane.put(held);
        }
        Ok(())
    }

    async fn execute_special(
        &mut self,
        name: &[u8],
        portal: &Portal,
        max_rows: i32,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        if portal.executed && !has_rows(portal) {
            let name = String::from_utf8_lossy(name);
            let message = format!("portal \"{name}\" cannot be run");
            return Err(Report::with(catalogue::PROTOCOL, message).sqlstate("55000").into());
        }
        if let Some(portal) = self.batch.portals.get_mut(name) {
            portal.executed = true;
        }
        match &portal.prepared.verb {
            // They concern no server, and come after what is committed by this.
            Some(Verb::Prepare { .. } | Verb::Deallocate(_) | Verb::Listen(_) | Verb::Unlisten(_)) => {
                self.end_hidden().await?;
            }
            _ => self.leave_lanes().await?,
        }
        if let Some(cursor) = self.kept_cursor_at(name) {
            self.must_not_have_failed()?;
            let mut request = BytesMut::new();
            build::execute(&mut request, &cursor, max_rows);
            build::sync(&mut request);
            return self.ask_kept(&Of::Cursor(cursor), &request, false).await.map(|_| ());
        }
        if let Some(Verb::Show(Which::Name(name))) = &portal.prepared.verb {
            let (name, describe) = (name.clone(), portal.describe);
            return self.show_own(&name, describe).map(|_| ());
        }
        if self.execute_cursor(name, portal, max_rows, snapshot).await? {
            return Ok(());
        }
        if let Some(verb) = portal.prepared.verb.clone() {
            let text = portal.prepared.only().to_owned();
            use Verb::{Reset, Set, SetSessionCharacteristics};
            if self.txn.is_none()
                && matches!(verb, Set { .. } | Reset(_) | SetSessionCharacteristics { .. } | Verb::Discard(_))
            {
                self.batch.settings.get_or_insert_with(|| self.settings.current.clone());
            }
            let (was_open, ends) = (self.txn.is_some(), matches!(verb, Verb::Commit { .. } | Verb::Rollback { .. }));
            let done = Box::pin(self.verb(verb, &text, None)).await.map(|_| ());
            if self.txn.is_none() && (was_open || ends) {
                self.forget_portals();
            } else if !was_open && self.txn.is_some() {
                // The portal of a BEGIN is in the transaction.
                self.batch.portals.insert(name, Portal { executed: true, ..portal.clone() });
            }
            return done;
        }
        self.must_not_have_failed()?;
        if let Some(left) = &portal.left {
            self.tell_left(name, left.clone(), max_rows);
            return Ok(());
        }
        match portal.run {
            Run::New => {}
            Run::Stopped(number) => return self.go_on(name, number, max_rows).await,
            Run::LetGo => return Err(let_go()),
            Run::Over => {
                build::command_complete(&mut self.client.out, "SELECT 0");
                return Ok(());
            }
        }
        self.execute_here(name, portal, max_rows, snapshot).await
    }

    /// The first Execute of a portal that pgring itself runs.
    async fn execute_here(
        &mut self,
        name: &[u8],
        portal: &Portal,
        max_rows: i32,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let parameters = portal.parameters()?;
        let own_types;
        let types = match &portal.plan.kind {
            PlanKind::Builtin(_) => {
                own_types = portal.prepared.own_types();
                own_types.as_slice()
            }
            _ => portal.prepared.types(),
        };
        let bound = Parameters::Bound(&parameters, types);
        let values = portal.prepared.values(bound, self.settings.utf8());
        let mut execution = Execution {
            prepared: &portal.prepared,
            bind: &portal.rest,
            result_formats: parameters.result_formats(),
            describe: portal.describe,
            max_rows: u64::try_from(max_rows).ok().filter(|most| *most > 0),
            portal: None,
        };
        let selects = portal.plan.reads_only
            && !portal.plan.copies_out()
            && matches!(portal.plan.kind, PlanKind::Sharded(_) | PlanKind::Gather(_));
        let number = fresh_number();
        if selects && execution.max_rows.is_some() && self.may_go_on(name) && self.room_to_keep(snapshot).is_ok() {
            execution.portal = Some(number);
        }
        let before = self.client.out.len();
        self.rest_of_write = None;
        self.batch.route = Some(self.call(&portal.plan, &values, Some(execution), snapshot).await?);
        let run = match selects {
            _ if self.keeps_portal(number) => Run::Stopped(number),
            // What was told since was a tag, or that there is more.
            true if self.is_suspended(before) => Run::LetGo,
            true => Run::Over,
            false => Run::New,
        };
        if let Some(portal) = self.batch.portals.get_mut(name) {
            portal.run = run;
            portal.left = self.rest_of_write.take().map(|rest| *rest);
        }
        Ok(())
    }
}

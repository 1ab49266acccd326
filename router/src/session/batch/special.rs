//! Special: portals over several shards that are executed in pieces, and cursors over several shards by the extended
//! protocol. In: an Execute. Out: the next rows. Never: a lane.

use super::{
    super::{
        Fault, Session,
        calls::Execution,
        cursor::Declare,
        kept::Of,
        sql_prepared::{Wanted, execute_over_shards},
    },
    portal::Portal,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::dml::Rest,
    route::bind::Parameters,
    sql::verb::{Verb, Which},
};
use bytes::BytesMut;
use pgring_protocol::{
    frame,
    message::{build, extended::Execute},
};
use std::sync::Arc;

/// How far an execution over several shards has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Run {
    /// Not begun, or not over several shards.
    #[default]
    New,
    /// Stopped by a row limit; the rest is kept under this number.
    Stopped(u64),
    /// Stopped by a row limit; the rest was let go.
    LetGo,
    /// All rows were given.
    Over,
}

impl Session {
    /// A cursor over several shards that this portal is.
    pub(super) fn kept_cursor_at(&self, name: &[u8]) -> Option<String> {
        let cursor = std::str::from_utf8(name).ok().filter(|_| self.batch.portals.get(name).is_none())?;
        self.kept_cursor(cursor).map(|_| cursor.to_owned())
    }

    /// The last message for the client says that there are more rows.
    pub(super) fn is_suspended(&self, before: usize) -> bool {
        let last = self.client.out.len().checked_sub(frame::HEADER);
        last.filter(|at| *at >= before).and_then(|at| self.client.out.get(at..)) == Some(&[b's', 0, 0, 0, 4])
    }

    /// The client may ask for the rest of this portal's rows: not if a Sync is its end before it can.
    pub(super) fn may_go_on(&self, name: &[u8]) -> bool {
        if !self.batch.ends || self.txn.is_some() {
            return true;
        }
        let mut rest = self.batch.input.clone();
        while let Ok(Some(head)) = frame::head(&rest) {
            let message = rest.split_to(head.len.min(rest.len()));
            let again = Execute::parse(frame::body(&message, head)).is_ok_and(|execute| execute.portal == name);
            if head.kind == b'E' && again {
                return true;
            }
        }
        false
    }

    /// A further Execute of a portal over several shards.
    pub(super) async fn go_on(&mut self, name: &[u8], number: u64, max_rows: i32) -> Result<(), Fault> {
        let of = Of::Portal(number);
        if !self.keeps_portal(number) {
            let name = String::from_utf8_lossy(name);
            return Err(Report::with(catalogue::UNKNOWN_PORTAL, format!("portal \"{name}\" does not exist")).into());
        }
        let mut request = BytesMut::new();
        build::execute(&mut request, "", max_rows);
        build::sync(&mut request);
        if self.ask_kept(&of, &request, false).await? {
            return Ok(());
        }
        self.close_kept(&of).await;
        if let Some(portal) = self.batch.portals.get_mut(name) {
            portal.run = Run::Over;
        }
        Ok(())
    }

    /// A further Execute of a write over several shards, which is done: rows that the client did not ask for before.
    pub(super) fn tell_left(&mut self, name: &[u8], mut left: Rest, max_rows: i32) {
        let most = u64::try_from(max_rows).ok().filter(|most| *most > 0);
        let mut told = 0;
        while let Ok(Some(head)) = frame::head(&left.rows)
            && most.is_none_or(|most| told < most)
        {
            let row = left.rows.split_to(head.len.min(left.rows.len()));
            self.client.out.extend_from_slice(&row);
            told += 1;
        }
        if most.is_some_and(|most| told >= most) {
            build::portal_suspended(&mut self.client.out);
        } else {
            build::command_complete(&mut self.client.out, &left.tag);
        }
        if let Some(portal) = self.batch.portals.get_mut(name) {
            portal.left = Some(left);
        }
    }

    /// DECLARE and EXECUTE over several shards; FETCH, MOVE and CLOSE of such a cursor. Returns whether it was one of
    /// these.
    pub(super) async fn execute_cursor(
        &mut self,
        name: &[u8],
        portal: &Portal,
        max_rows: i32,
        snapshot: &Arc<Snapshot>,
    ) -> Result<bool, Fault> {
        if self.txn.as_ref().is_some_and(|txn| txn.failed) {
            return Ok(false);
        }
        let text = portal.prepared.only();
        let parameters = portal.parameters()?;
        match &portal.prepared.verb {
            Some(Verb::Declare { name, hold, query_at }) => {
                let declare = Declare { text, name, hold: *hold, query_at: *query_at };
                let bound = Parameters::Bound(&parameters, portal.prepared.types());
                let execution = Execution {
                    prepared: &portal.prepared,
                    bind: &portal.rest,
                    result_formats: parameters.result_formats(),
                    describe: false,
                    max_rows: None,
                    portal: None,
                };
                self.declare_gathered(declare, Some(execution), bound, snapshot).await?;
            }
            Some(verb @ (Verb::Fetch { cursor, .. } | Verb::CloseCursor(Which::Name(cursor))))
                if self.kept_cursor(cursor).is_some() =>
            {
                if portal.run == Run::LetGo {
                    return Err(let_go());
                }
                let closes = matches!(verb, Verb::CloseCursor(_));
                let formats = parameters.result_formats();
                if self.execute_at_cursor(text, cursor, formats, max_rows, closes).await?
                    && let Some(portal) = self.batch.portals.get_mut(name)
                {
                    portal.run = Run::LetGo;
                }
            }
            Some(Verb::Execute { name, .. }) if self.executed_verb(name).is_some() => return Ok(false),
            Some(Verb::Execute { name, arguments, .. }) if max_rows == 0 => {
                let executed = self.execution(text, name, arguments, snapshot)?;
                let wanted = Wanted { formats: parameters.result_formats(), describe: portal.describe };
                if self.execute_over(&executed, wanted, snapshot).await?.is_some() {
                    let hint = "Give its shard key as a literal, or send the statement itself.";
                    return Err(execute_over_shards().hint(hint).into());
                }
            }
            Some(Verb::Execute { .. }) => {
                return Err(execute_over_shards().hint("Execute it without a row limit.").into());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A portal's rows were not kept.
pub(super) fn let_go() -> Fault {
    Report::new(catalogue::MANY_SHARDS)
        .detail("a further Execute of a portal over several shards whose rows were not kept")
        .hint("Close cursors and portals that are not needed, or raise pool.size.")
        .into()
}

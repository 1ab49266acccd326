//! Place: where an execution goes, by its plan or by what its verb is about. In: a prepared statement and its
//! parameters. Out: a server, or pgring itself. Never: a message.

use super::super::{
    Fault, Session,
    cursor::{Declare, Declared},
    prepared::Prepared,
    simple::Target,
};
use crate::{
    cluster::Snapshot,
    plan::Plan,
    route::bind::Values,
    sql::verb::{Verb, Which},
    txn::Reach,
};
use pgring_config::ids::ShardIndex;
use std::sync::Arc;

/// Where an execution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To one server, as it is.
    Server { shard: ShardIndex, reach: Reach, apart: bool },
    /// It needs more than passing on.
    Special,
}

impl Session {
    /// Where an execution goes.
    pub(super) fn place(
        &mut self,
        prepared: &Arc<Prepared>,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(Arc<Plan>, Place), Fault> {
        if let Some(verb) = &prepared.verb {
            return self.place_verb(prepared, verb, values, snapshot);
        }
        let plan = self.prepared_plan(prepared);
        if prepared.lexed.statements.is_empty() {
            let default = snapshot.topology.default_shard;
            let here = self.batch.lanes.current().filter(|lane| !lane.apart).map(|lane| lane.shard);
            let shard = here.unwrap_or_else(|| self.txn.as_ref().map_or(default, |txn| txn.any(default)));
            return Ok((plan, Place::Server { shard, reach: Reach::Nothing, apart: false }));
        }
        let place = match self.target_of(&plan, values, snapshot)? {
            Target::Server { shard, reach, apart } => Place::Server { shard, reach, apart },
            Target::Special => match self.refused_in_pipeline(&plan, snapshot) {
                Some(shard) => Place::Server { shard, reach: Reach::Nothing, apart: false },
                None => Place::Special,
            },
        };
        Ok((plan, place))
    }

    fn place_verb(
        &mut self,
        prepared: &Arc<Prepared>,
        verb: &Verb,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(Arc<Plan>, Place), Fault> {
        let default = snapshot.topology.default_shard;
        let plan = Arc::new(Plan::local());
        self.check_failed(prepared)?;
        let any = self.txn.as_ref().map_or(default, |txn| txn.any(default));
        let server = |shard| Place::Server { shard, reach: Reach::Nothing, apart: false };
        if let Some(shard) = self.ridden_to(verb) {
            return Ok((plan, server(shard)));
        }
        let place = match verb {
            Verb::Show(Which::Name(name)) if name.starts_with("pgring.") => Place::Special,
            Verb::Show(_) => server(any),
            Verb::Load => {
                self.pin("LOAD");
                server(default)
            }
            Verb::Notify { .. } | Verb::Checkpoint => server(default),
            Verb::Fetch { cursor, .. } | Verb::CloseCursor(Which::Name(cursor))
                if self.kept_cursor(cursor).is_some() =>
            {
                Place::Special
            }
            Verb::Fetch { cursor, .. } | Verb::CloseCursor(Which::Name(cursor)) => {
                server(self.cursor_at(cursor).unwrap_or(any))
            }
            Verb::Declare { name, hold, query_at } => {
                let declare = Declare { text: prepared.only(), name, hold: *hold, query_at: *query_at };
                let Declared::There(shard) = self.declared(declare, values.parameters, snapshot)? else {
                    return Ok((plan, Place::Special));
                };
                self.note_cursor(name, shard, *hold);
                Place::Server { shard, reach: Reach::Read, apart: false }
            }
            // The server says that there is none.
            Verb::Execute { name, .. } if !self.statements.contains_key(name.as_bytes()) => server(any),
            Verb::Execute { name, arguments, .. } if arguments.is_empty() && self.executed_verb(name).is_some() => {
                Place::Special
            }
            Verb::Execute { name, arguments, .. } => {
                let executed = self.execution(prepared.only(), name, arguments, snapshot)?;
                return Ok(match executed.place {
                    Some((shard, reach)) => (executed.plan, Place::Server { shard, reach, apart: false }),
                    None => (plan, Place::Special),
                });
            }
            _ => Place::Special,
        };
        Ok((plan, place))
    }
}

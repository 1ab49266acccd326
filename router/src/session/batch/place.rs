//! Place: where an execution goes, by its plan or by what its verb is about. In: a prepared statement and its
//! parameters. Out: a server, or pgring itself. Never: a message.

use super::super::{Fault, Session, prepared::Prepared, simple::Target};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    plan::{Plan, PlanKind},
    route::bind::{Parameters, Values},
    sql::{
        fingerprint::{Lexed, lex},
        verb::{Verb, Which},
    },
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
            Verb::Fetch { cursor, .. } | Verb::CloseCursor(Which::Name(cursor)) => {
                server(self.cursor_at(cursor).unwrap_or(any))
            }
            Verb::Declare { name, hold, query_at } => {
                let start = prepared.lexed.statements.first().map_or(0, |span| span.start as usize);
                let query = prepared.text.get(start + query_at..).unwrap_or_default().to_owned();
                let shard = self.declare_at(&query, values.parameters, snapshot)?;
                self.note_cursor(name, shard, *hold);
                Place::Server { shard, reach: Reach::Read, apart: false }
            }
            // The server says that there is none.
            Verb::Execute { name, .. } if !self.statements.contains_key(name.as_bytes()) => server(any),
            Verb::Execute { name, arguments, .. } if arguments.is_empty() && self.executed_verb(name).is_some() => {
                Place::Special
            }
            Verb::Execute { name, arguments, .. } => {
                let start = prepared.lexed.statements.first().map_or(0, |span| span.start as usize);
                let text = prepared.text.get(start..).unwrap_or_default();
                let executed = self.execution(text, name, arguments, snapshot)?;
                let place = Place::Server { shard: executed.shard, reach: executed.reach, apart: false };
                return Ok((executed.plan, place));
            }
            _ => Place::Special,
        };
        Ok((plan, place))
    }

    /// Where the query of a DECLARE runs.
    pub(in crate::session) fn declare_at(
        &mut self,
        query: &str,
        parameters: Parameters<'_>,
        snapshot: &Snapshot,
    ) -> Result<ShardIndex, Fault> {
        let mut lexed = Lexed::default();
        lex(query.as_bytes(), &mut lexed);
        let plan = self.plan(query, &mut lexed);
        let values = Values { text: query.as_bytes(), lexed: &lexed, parameters, utf8: self.settings.utf8() };
        match self.target_of(&plan, &values, snapshot)? {
            Target::Server { shard, .. } => Ok(shard),
            Target::Special => Err(match &plan.kind {
                PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => Self::refused(refusal),
                _ => Report::new(catalogue::MANY_SHARDS)
                    .detail("a cursor over several shards")
                    .hint("Give the shard key in the cursor's query."),
            }
            .into()),
        }
    }
}

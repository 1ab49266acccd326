//! Filled: a bound statement into which values of sequences are put, as parameters behind the client's own. In: a Bind. Out: what
//! is bound instead, and where. Never: a value in the statement's text, which servers keep.

use super::{
    super::{Fault, Session, prepared::Prepared, simple::Target},
    place::Place,
    violation,
};
use crate::{
    cluster::Snapshot,
    execute::relay::Expect,
    plan::{Generate, Plan},
    route::bind::Parameters,
};
use bytes::Bytes;
use pgring_protocol::message::extended::{Bind, BindParameters};
use std::sync::Arc;

/// The plan, the place, and what is bound instead of the client's statement.
pub(super) type Placed = (Arc<Plan>, Place, Option<(Arc<Prepared>, Bytes)>);

impl Session {
    /// Draws the values of an execution, and says where it goes.
    pub(super) async fn place_generated(
        &mut self,
        generate: &Generate,
        prepared: &Arc<Prepared>,
        parameters: &BindParameters<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Placed, Fault> {
        if self.txn.as_ref().is_some_and(|txn| txn.schema_changed) && !self.batch.lanes.is_empty() {
            // They are drawn on a backend that may be at work for what stands before.
            self.leave_lanes().await?;
        }
        let Some((filled, rest)) = self.filled_bind(generate, prepared, parameters, snapshot).await? else {
            let plan = Self::otherwise(generate);
            let values = prepared.values(Parameters::Bound(parameters, prepared.types()), self.settings.utf8());
            let place = match self.target_of(&plan, &values, snapshot)? {
                Target::Server { shard, reach, apart } => Place::Server { shard, reach, apart },
                Target::Special => Place::Special,
            };
            return Ok((plan, place, None));
        };
        let bind = Bind { portal: &[], statement: &[], rest: &rest };
        let bound = bind.parameters().map_err(violation)?;
        let values = filled.values(Parameters::Bound(&bound, filled.types()), self.settings.utf8());
        let (plan, place) = self.place(&filled, &values, snapshot)?;
        Ok((plan, place, Some((filled, rest.into()))))
    }

    /// The statement with its values is on the lane's backend afterwards; the client's own counts as parsed.
    pub(super) async fn ensure_filled(
        &mut self,
        name: &[u8],
        prepared: &Arc<Prepared>,
        filled: &Arc<Prepared>,
    ) -> Result<(), Fault> {
        let asked = self.batch.pending.as_ref().is_some_and(|pending| *pending.name == *super::statement::kept(name));
        if asked {
            let nth = if prepared.id.is_none() { self.note_unnamed(prepared) } else { 0 };
            self.batch.pending = None;
            self.batch.lanes.expect(Expect::Known { id: prepared.id, nth });
        }
        self.add_parse(filled, true).await
    }
}

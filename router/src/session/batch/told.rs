//! Told: what a client was told of its prepared statements, and whether it still holds when it executes one. A driver
//! that has described a statement reads rows by that description: after a change of schema, or of the search path, it
//! is told so by an error, as PostgreSQL tells it, and never given rows of another shape.
//!
//! Where a backend has the statement from before the change, the server says so itself. This is for backends that are
//! given it afterwards.

use super::{
    super::{Fault, Session, prepared::Prepared},
    lanes::Lane,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{relay::is_stale, shape::Shape},
    pool::{
        conn::{Conn, ConnError},
        statements::StatementId,
    },
    txn::Reach,
};
use bytes::BytesMut;
use foldhash::fast::RandomState;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::build;
use std::{collections::HashMap, sync::Arc};

/// While this is equal, a statement has the shape it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    schema: u64,
    path: u64,
    /// Changes of schema by this session's transactions.
    changes: u64,
    temps: usize,
}

/// What the client was told of one statement.
#[derive(Debug)]
struct Told {
    shape: Shape,
    /// By this shard: others may number types of users otherwise.
    shard: ShardIndex,
    at: Stamp,
}

/// What a client was told of its named statements.
#[derive(Debug, Default)]
pub(in crate::session) struct AllTold {
    statements: HashMap<StatementId, Told, RandomState>,
    changes: u64,
}

impl AllTold {
    /// There is no such statement any more.
    pub(in crate::session) fn forget(&mut self, prepared: &Prepared) {
        if let Some(id) = prepared.id {
            self.statements.remove(&id);
        }
    }

    /// There are no statements any more.
    pub(in crate::session) fn clear(&mut self) {
        self.statements.clear();
    }

    /// A transaction of this session has changed the schema, or such a change has gone with it.
    pub(in crate::session) fn schema_changed(&mut self) {
        self.changes += 1;
    }
}

impl Session {
    fn stamp(&mut self, snapshot: &Snapshot) -> Stamp {
        Stamp {
            schema: snapshot.schema.version,
            path: self.search_path_id(),
            changes: self.told.changes,
            temps: self.temp_tables.len(),
        }
    }

    /// A server describes a named statement, or a portal of it: where the relay notes what it says, if that is news.
    pub(super) fn is_told(&mut self, prepared: &Prepared, snapshot: &Snapshot) -> Option<Shape> {
        let (id, shard) = (prepared.id?, self.batch.lanes.current()?.shard);
        let at = self.stamp(snapshot);
        let told = self.told.statements.get(&id);
        if told.is_some_and(|told| told.at == at && told.shape.is_known()) && !self.batch.healing {
            return None;
        }
        let shape = Shape::default();
        self.told.statements.insert(id, Told { shape: shape.clone(), shard, at });
        Some(shape)
    }

    /// Before a Bind on the lane at hand: where the client may read its rows by an old description, the backend is asked.
    pub(super) async fn keep_told(
        &mut self,
        portal: &[u8],
        prepared: &Arc<Prepared>,
        (shard, reach, apart): (ShardIndex, Reach, bool),
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let again = self.batch.healing;
        if !self.may_be_misread(prepared, shard, again, snapshot) || self.is_described_next(portal) {
            return Ok(());
        }
        if self.batch.lanes.is_asked() {
            if self.txn.is_none() && self.batch.lanes.executed() {
                return Ok(());
            }
            self.leave_lanes().await?;
            self.lane(shard, reach, apart, snapshot).await?;
        }
        Box::pin(self.check_told(prepared, again, snapshot)).await
    }

    fn may_be_misread(&mut self, prepared: &Prepared, shard: ShardIndex, again: bool, snapshot: &Snapshot) -> bool {
        let Some(id) = prepared.id.filter(|_| !self.told.statements.is_empty()) else { return false };
        let now = self.stamp(snapshot);
        let told = self.told.statements.get(&id);
        told.is_some_and(|told| told.shard == shard && (again || told.at != now) && told.shape.is_known())
    }

    /// Asks the lane's backend what shape a statement has now. `again`: it must be prepared anew.
    ///
    /// # Errors
    /// 0A000 if it is not what the client was told.
    async fn check_told(&mut self, prepared: &Arc<Prepared>, again: bool, snapshot: &Snapshot) -> Result<(), Fault> {
        let Some(conn) = self.batch.lanes.current_mut().and_then(Lane::conn) else { return Ok(()) };
        let may_fail = !again && self.txn.is_none();
        let shape = match describe(conn, prepared, again).await {
            Err(ConnError::Server(fields)) if may_fail && is_stale(&fields) => describe(conn, prepared, true).await,
            described => described,
        };
        let shape = match shape {
            Ok(shape) => shape,
            Err(ConnError::Server(fields)) => {
                build::error(&mut self.client.out, &fields);
                return Err(Fault::Told);
            }
            Err(error) => {
                self.batch.lanes.current_mut().and_then(Lane::take);
                return Err(self.lost_while_held(&error));
            }
        };
        let now = self.stamp(snapshot);
        match prepared.id.and_then(|id| self.told.statements.get_mut(&id)) {
            Some(told) if told.shape.holds(&shape) => told.at = now,
            Some(_) => return Err(Report::new(catalogue::STALE_PLAN).into()),
            None => {}
        }
        Ok(())
    }
}

/// What a backend says of a statement, which it has afterwards.
async fn describe(conn: &mut Conn, prepared: &Prepared, again: bool) -> Result<Shape, ConnError> {
    let mut out = BytesMut::new();
    let name = prepared.backend_name();
    if let Some(id) = prepared.id
        && (!conn.statements.touch(id) || again)
    {
        for name in conn.statements.add(id).into_iter().chain([id]) {
            build::close(&mut out, b'S', name.name());
        }
        build::parse(&mut out, name, prepared.bytes(), prepared.types());
    }
    build::describe(&mut out, b'S', name);
    build::sync(&mut out);
    conn.send(&out).await?;
    let shape = Shape::default();
    let described = conn.drain_with(|kind, body| shape.note(kind, body)).await;
    if described.is_err()
        && let Some(id) = prepared.id
    {
        conn.statements.remove(id);
    }
    described.map(|_| shape)
}

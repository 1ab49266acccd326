//! Time: the one time of a statement over several shards. In: a plan's places of its functions of time. Out: the
//! statement with a value there. Never: the clock of a server that the client's transaction did not begin on.

use super::{Fault, Session, calls::Execution, hold::Held};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::splice,
    metrics::RouteKind,
    plan::{Many, Piece, PlanKind, Sharded, Splice, Timed},
    route::bind::Values,
    sql::fingerprint::{Lexed, lex},
    txn::Reach,
};
use std::sync::Arc;

impl Session {
    /// Answers a SELECT whose functions of time are replaced by the one time of its transaction: then it may be merged,
    /// and its conditions go to the shards.
    pub(super) async fn answer_at_one_time(
        &mut self,
        splices: &[Splice],
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let text = self.at_one_time(splices, values, execution, snapshot).await?;
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        let plan = self.plan(&text, &mut lexed);
        let values = Values { text: text.as_bytes(), lexed: &lexed, ..*values };
        match &plan.kind {
            PlanKind::Gather(gather) | PlanKind::Sharded(Sharded { many: Many::Gather(gather), .. })
                if gather.timed != Timed::No =>
            {
                Err(Report::new(catalogue::INTERNAL).detail("a time was left in a statement").into())
            }
            _ => self.call(&plan, &values, execution, snapshot).await,
        }
    }

    /// A statement's text with its functions of time replaced by the one time of its transaction. PostgreSQL has judged
    /// the client's own.
    pub(super) async fn at_one_time(
        &mut self,
        splices: &[Splice],
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<String, Fault> {
        self.judge(values.text, execution.as_ref(), snapshot).await?;
        let time = self.transaction_time(snapshot).await?;
        let splices: Vec<Splice> = splices.iter().map(|splice| at_time(splice, &time)).collect();
        let text = splice::apply(values.text, values.lexed, &splices);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The backend whose transaction began when the client's did; outside a transaction that of the default shard.
    pub(super) async fn hold_at_its_time(&mut self, snapshot: &Arc<Snapshot>) -> Result<Held, Fault> {
        let default = snapshot.topology.default_shard;
        let shard = self.txn.as_ref().map_or(default, |txn| txn.first().unwrap_or_else(|| txn.any(default)));
        self.admit(&[shard], Reach::Read, snapshot).await?;
        let mut held = self.hold(snapshot, shard).await?;
        match held.open().await {
            Ok(()) => Ok(held),
            Err(error) => Err(self.lost_while_held(&error)),
        }
    }

    /// When the client's transaction began, as SQL.
    pub(super) async fn transaction_time(&mut self, snapshot: &Arc<Snapshot>) -> Result<String, Fault> {
        let micros = if self.txn.is_some() {
            let sql = "SELECT (extract(epoch FROM pg_catalog.now()) * 1000000)::pg_catalog.int8";
            let mut held = self.hold_at_its_time(snapshot).await?;
            match held.conn().housekeep(sql).await {
                Ok(rows) => {
                    self.let_go(held, b'T', Reach::Read);
                    rows.into_iter().flatten().flatten().next().unwrap_or_default()
                }
                Err(error) => return Err(self.lost_while_held(&error)),
            }
        } else {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.unwrap_or_default().as_micros().to_string()
        };
        Ok(format!("(CAST('1970-01-01 00:00:00+00' AS timestamptz) + CAST('{micros} microseconds' AS interval))"))
    }
}

/// A splice with this time.
pub(super) fn at_time(splice: &Splice, time: &str) -> Splice {
    let with = splice.with.iter().map(|piece| match piece {
        Piece::Time => Piece::Text(time.to_owned()),
        piece => piece.clone(),
    });
    Splice { start: splice.start, end: splice.end, with: with.collect() }
}

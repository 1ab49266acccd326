//! Answers: what the lanes' backends answer goes to the client in the order of the questions; what is left to be done
//! for each backend when nothing more is asked of it. In: lanes with what they are to be sent. Out: answers in the
//! client's output, backends that are let go. Never: a question of its own.

use super::{
    super::{
        End, Fault, Session,
        hold::{self, Held},
    },
    lanes::{BUFFER, Lane, SPARE},
};
use crate::{
    execute::relay::{self, Answer, Expect, RelayError},
    pool::conn::ConnError,
    txn::Reach,
};
use pgring_protocol::message::build;

impl Session {
    /// Sends what the lanes are to be sent, and passes the answers on until nothing more is expected. `once`: there is
    /// one batch, which can be run again.
    ///
    /// # Errors
    /// [`Fault::Told`] if the last batch failed on a server.
    pub(super) async fn run_lanes(&mut self, once: bool) -> Result<(), Fault> {
        for at in 0..self.batch.lanes.lanes.len() {
            let Some(lane) = self.batch.lanes.lanes.get_mut(at).filter(|lane| !lane.out.is_empty()) else { continue };
            let out = std::mem::take(&mut lane.out);
            let sent = match lane.conn() {
                Some(conn) => conn.send(&out).await,
                None => Ok(()),
            };
            lane.out = out;
            lane.out.clear();
            if let Err(error) = sent {
                self.lose_lane(at, &error.into());
            }
        }
        let mut failed = false;
        loop {
            let Session { client, batch: super::Batch { lanes, .. }, .. } = self;
            let Some(lane) = lanes.lanes.get_mut(lanes.front) else { break };
            let answered = match (lane.held.as_mut(), once) {
                (None, _) if lanes.script.is_empty() => break,
                (None, _) => Err(lost_before()),
                (Some(held), true) => relay::relay_once(client, held.conn(), &mut lanes.script).await,
                (Some(held), false) => relay::relay(client, held.conn(), &mut lanes.script).await,
            };
            match answered {
                Ok(answer) => {
                    failed |= answer.open_error;
                    let skips = answer.failed;
                    lanes.stale |= answer.stale;
                    lane.answer.extend(answer);
                    if skips {
                        let (syncs, ended) = lanes.skip_batch();
                        self.swallow(&syncs).await;
                        if ended {
                            self.ready_after_lanes();
                            failed = false;
                        }
                        continue;
                    }
                }
                Err(RelayError::Backend { source, .. }) => {
                    self.lane_broke(source).await?;
                    continue;
                }
                Err(RelayError::Client(error)) => {
                    self.give_lanes_up().for_each(hold::hang_up);
                    return Err(End::Client(error).into());
                }
                Err(RelayError::Fatal) => {
                    drop(self.give_lanes_up());
                    return Err(End::Server.into());
                }
            }
            match lanes.script.pop_front() {
                None => break,
                Some(Expect::Lane(next)) => lanes.front = next,
                Some(_) => {
                    self.ready_after_lanes();
                    failed = false;
                }
            }
        }
        self.batch.lanes.behind = 0;
        if failed { Err(Fault::Told) } else { Ok(()) }
    }

    /// ReadyForQuery of a batch that several lanes worked for.
    fn ready_after_lanes(&mut self) {
        if self.client.hold_ready {
            self.client.ready_held = true;
        } else {
            self.client.tell(&self.settings.now);
            build::ready_for_query(&mut self.client.out, b'I');
        }
    }

    /// Reads what lanes answer to a batch that has failed elsewhere.
    async fn swallow(&mut self, syncs: &[usize]) {
        for at in syncs {
            let Some(lane) = self.batch.lanes.lanes.get_mut(*at) else { continue };
            let Some(held) = &mut lane.held else { continue };
            match held.conn().drain_rest().await {
                Ok(status) => lane.answer.status = status,
                Err(error) => self.lose_lane(*at, &error),
            }
        }
    }

    fn lose_lane(&mut self, at: usize, error: &ConnError) {
        tracing::debug!(%error, "a backend was lost");
        let Some(lane) = self.batch.lanes.lanes.get_mut(at) else { return };
        lane.answer.error.get_or_insert(*b"08006");
        if lane.held.take().is_some_and(|held| held.is_in_txn()) {
            self.fail_txn();
        }
    }

    /// The script's front lane is gone: its batch fails; those after it go on as far as they can.
    async fn lane_broke(&mut self, error: ConnError) -> Result<(), Fault> {
        let front = self.batch.lanes.front;
        let Some(lane) = self.batch.lanes.lanes.get(front) else { return Ok(()) };
        let unknown = if self.txn.is_some() { self.batch.ended } else { lane.reach == Reach::Write };
        let report = hold::lost(&error, unknown);
        self.lose_lane(front, &error);
        if let Some(txn) = self.txn.take_if(|_| self.batch.ended) {
            // It may have been committed: nothing is left to be rolled back.
            Box::pin(self.lose_ending(txn)).await;
        }
        let (syncs, ended) = self.batch.lanes.skip_batch();
        self.swallow(&syncs).await;
        if !ended {
            return Err(report.into());
        }
        self.report(&report);
        self.fail_txn();
        let status = self.status();
        self.client.tell(&self.settings.now);
        build::ready_for_query(&mut self.client.out, status);
        Ok(())
    }

    /// The session is over: nothing of the lanes is used again. Their backends.
    fn give_lanes_up(&mut self) -> impl Iterator<Item = Held> + use<> {
        self.me.end_work();
        std::mem::take(&mut self.batch.lanes).lanes.into_iter().filter_map(|lane| lane.held)
    }

    /// Lets every lane's backend go.
    pub(super) async fn settle_lanes(&mut self) {
        let lanes = &mut self.batch.lanes;
        (lanes.current, lanes.front, lanes.tail, lanes.behind) = (None, 0, 0, 0);
        lanes.script.clear();
        let mut over = std::mem::take(&mut lanes.lanes);
        self.settle_unnamed();
        for lane in over.drain(..) {
            let Lane { held, mut answer, mut out, reach, temps, .. } = lane;
            out.clear();
            if out.capacity() <= SPARE {
                BUFFER.set(out);
            }
            self.forget_unparsed(&answer);
            if answer.error.is_some() && self.txn.is_none() {
                self.temp_tables.truncate(temps);
                self.restore_settings_of_batch();
            }
            let Some(mut held) = held else { continue };
            if answer.stale {
                held.conn().statements.clear();
                if held.conn().housekeep("DEALLOCATE ALL").await.is_err() {
                    continue;
                }
            }
            if answer.status == 0 {
                // It was not asked for anything yet.
                answer.status = if held.is_in_txn() { b'T' } else { b'I' };
            }
            self.settle(held, &answer, reach).await;
        }
        self.batch.lanes.lanes = over;
    }

    /// Statements whose Parse failed do not exist.
    fn forget_unparsed(&mut self, answer: &Answer) {
        if answer.unparsed.is_empty() {
            return;
        }
        let Session { batch, statements, .. } = self;
        for name in &batch.fresh {
            let id = statements.get(name).and_then(|prepared| prepared.id);
            if id.is_some_and(|id| answer.unparsed.contains(&id)) {
                statements.remove(name);
            }
        }
    }
}

fn lost_before() -> RelayError {
    RelayError::Backend { source: ConnError::Lost(std::io::ErrorKind::ConnectionAborted.into()), began: false }
}

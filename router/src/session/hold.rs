//! Hold: how a session gets a backend and lets it go: pinned, in its transaction, or from the pool.

use super::{End, Fault, Pin, Session};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::relay::{Answer, Ending, RelayError},
    pool::{
        Checkout, Pool, PoolError,
        conn::{Conn, ConnError},
        profile::Profile,
    },
    registry::Doing,
    txn::{Participant, Reach, Txn},
};
use pgring_config::ids::ShardIndex;
use pgring_protocol::{
    backend::BackendError,
    message::{build, notice::Fields},
};
use std::sync::Arc;

/// A backend that works for a statement.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) shard: ShardIndex,
    pub(super) checkout: Checkout,
    /// SQL to be sent first, so that the client's transaction is open there.
    pub(super) opening: Option<String>,
    /// Its profile before the transaction.
    profile: Arc<Profile>,
    /// It belongs to the transaction.
    in_txn: bool,
}

impl Held {
    pub(super) fn conn(&mut self) -> &mut Conn {
        self.checkout.conn()
    }

    /// It belongs to the transaction.
    pub(super) fn is_in_txn(&self) -> bool {
        self.in_txn
    }

    /// The backend of a participant whose transaction has ended.
    pub(super) fn after(participant: Participant) -> Self {
        let Participant { shard, checkout, profile } = participant;
        Self { shard, checkout, opening: None, profile, in_txn: false }
    }
}

impl Session {
    /// Gets the backend of a shard, looking like this session. Inside a transaction it is the one on which the
    /// transaction is open, or one on which it is to be opened.
    pub(super) async fn hold(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> Result<Held, Fault> {
        if let Some(participant) = self.txn.as_mut().and_then(|txn| txn.take(shard)) {
            let Participant { checkout, profile, .. } = participant;
            let mut held = Held { shard, checkout, opening: None, profile, in_txn: true };
            if !self.txn.as_ref().is_some_and(|txn| txn.failed) {
                self.dress(&mut held).await?;
            }
            self.me.begin_work(held.conn().cancel.clone());
            return Ok(held);
        }
        let mut held = self.hold_apart(snapshot, shard).await?;
        if let Some(txn) = &self.txn {
            held.opening = Some(txn.opening());
            held.in_txn = true;
        }
        Ok(held)
    }

    /// Gets a backend of a shard outside the transaction.
    pub(super) async fn hold_apart(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> Result<Held, Fault> {
        let checkout = match self.pins.iter().position(|pin| pin.shard == shard) {
            Some(at) => self.pins.swap_remove(at).checkout,
            None => {
                let pool = self.pool(snapshot, shard);
                self.me.set_doing(Doing::Waiting);
                let checkout = pool.checkout(self.worker).await.map_err(|error| unavailable(&error))?;
                self.me.set_doing(Doing::Active);
                checkout
            }
        };
        let mut held = Held { shard, checkout, opening: None, profile: Profile::empty(), in_txn: false };
        self.dress(&mut held).await?;
        held.profile = held.conn().profile.clone();
        self.me.begin_work(held.conn().cancel.clone());
        Ok(held)
    }

    /// Gets the transaction's backend of a shard if it is open there, else one outside it: a session must not wait
    /// for a backend that it holds itself.
    pub(super) async fn hold_here_or_apart(
        &mut self,
        snapshot: &Arc<Snapshot>,
        shard: ShardIndex,
    ) -> Result<Held, Fault> {
        let is_open = self.txn.as_ref().is_some_and(|txn| txn.participants.iter().any(|p| p.shard == shard));
        if is_open { self.hold(snapshot, shard).await } else { self.hold_apart(snapshot, shard).await }
    }

    /// The fault of a statement whose backend failed at pgring's own SQL, and was dropped.
    pub(super) fn lost_while_held(&mut self, error: &ConnError) -> Fault {
        self.me.end_work();
        if let ConnError::Server(fields) = error {
            build::error(&mut self.client.out, fields);
            return Fault::Told;
        }
        lost(error, false).into()
    }

    fn pool(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> Arc<Pool> {
        if !self.pools.snapshot.as_ref().is_some_and(|known| Arc::ptr_eq(known, snapshot)) {
            self.pools.snapshot = Some(snapshot.clone());
            self.pools.by_shard.clear();
            self.pools.by_shard.resize(snapshot.topology.shards.len(), None);
        }
        if let Some(Some(pool)) = self.pools.by_shard.get(usize::from(shard.0)) {
            return pool.clone();
        }
        let pool = self.cluster.pool(&self.database, snapshot, &self.user, shard);
        if let Some(place) = self.pools.by_shard.get_mut(usize::from(shard.0)) {
            *place = Some(pool.clone());
        }
        pool
    }

    /// Makes a backend look like this session, and the client know what the backend reports.
    async fn dress(&mut self, held: &mut Held) -> Result<(), Fault> {
        let conn = held.checkout.conn();
        match conn.take_on(&self.settings.current).await {
            Ok(()) => {}
            Err(ConnError::Server(mut fields)) => {
                if !self.greeted {
                    fields.set(b'S', "FATAL");
                    fields.set(b'V', "FATAL");
                }
                build::error(&mut self.client.out, &fields);
                return Err(Fault::Told);
            }
            Err(error) => return Err(lost(&error, false).into()),
        }
        self.settings.tell(conn, &mut self.client.out);
        Ok(())
    }

    /// Lets a backend go after its answer, whose last status is `status`.
    pub(super) fn let_go(&mut self, held: Held, status: u8, reach: Reach) {
        self.me.end_work();
        if status == b'I' {
            let kept = self.pins.iter().any(|pin| pin.shard == held.shard)
                || self.txn.as_ref().is_some_and(|txn| txn.participants.iter().any(|p| p.shard == held.shard));
            if self.pinned && !kept {
                self.pins.push(Pin { shard: held.shard, checkout: held.checkout });
            } else {
                held.checkout.give_back();
            }
            return;
        }
        let participant = Participant { shard: held.shard, checkout: held.checkout, profile: held.profile };
        match &mut self.txn {
            Some(txn) => {
                txn.failed |= status == b'E';
                txn.join(participant);
            }
            None => {
                let mut txn = Txn::adopted(participant, reach, self.settings.current.clone());
                txn.failed = status == b'E';
                self.txn = Some(txn);
            }
        }
    }

    /// Takes note of a backend's answer and lets it go.
    pub(super) async fn settle(&mut self, mut held: Held, answer: &Answer, reach: Reach) {
        if answer.reported {
            self.settings.note(held.conn());
        }
        for id in &answer.unparsed {
            held.conn().statements.remove(*id);
        }
        let ended = held.in_txn && answer.status == b'I';
        let ending = answer.ending.unwrap_or(Ending::Rollback);
        if ended && ending == Ending::Rollback {
            let before = held.profile.clone();
            held.conn().profile = before;
        }
        let in_txn = held.in_txn;
        if ended && let Some(txn) = self.txn.take() {
            self.end_txn(txn, ending).await;
        }
        let changed = !Arc::ptr_eq(&held.profile.clone(), &held.conn().profile);
        if !in_txn && answer.error.is_some() && answer.status == b'I' && changed {
            // A SET and an error in one implicit transaction: what holds now is not known.
            self.me.end_work();
            return;
        }
        self.let_go(held, answer.status, reach);
    }

    /// What a relay that ended early means for the statement, the transaction and the backend (which is closed).
    pub(super) fn broken(&mut self, held: Held, error: RelayError, wrote: bool) -> Fault {
        self.me.end_work();
        let in_txn = held.in_txn;
        drop(held);
        match error {
            RelayError::Client(error) => Fault::End(End::Client(error)),
            RelayError::Fatal => Fault::End(End::Server),
            RelayError::Backend { source, .. } => {
                if in_txn && let Some(txn) = &mut self.txn {
                    txn.failed = true;
                }
                lost(&source, wrote && !in_txn).into()
            }
        }
    }

    /// Keeps this session on its backends from now on.
    pub(super) fn pin(&mut self, reason: &str) {
        self.pinned = true;
        self.me.add_pin(reason);
    }

    /// Lets the pinned backends go: as good as new, or closed.
    pub(super) async fn unpin(&mut self) {
        self.pinned = false;
        self.me.clear_pins();
        for pin in std::mem::take(&mut self.pins) {
            let mut checkout = pin.checkout;
            if clean(checkout.conn()).await.is_ok() {
                checkout.give_back();
            }
        }
    }
}

/// Makes a backend as good as new.
async fn clean(conn: &mut Conn) -> Result<(), ConnError> {
    conn.housekeep("DISCARD ALL").await?;
    conn.profile = Profile::empty();
    conn.statements.clear();
    Ok(())
}

/// The error of a statement whose backend is gone.
pub(super) fn lost(error: &ConnError, outcome_unknown: bool) -> Report {
    let entry = if outcome_unknown { catalogue::OUTCOME_UNKNOWN } else { catalogue::BACKEND_LOST };
    Report::new(entry).detail(error.to_string())
}

/// The error of a statement for which there is no backend; a server's own words are passed on.
pub(super) fn unavailable(error: &PoolError) -> Fault {
    if let PoolError::Connect { source: BackendError::Server(fields), .. } = error {
        return Fault::Report(Box::new(of_server(fields)));
    }
    let entry = match error {
        PoolError::Queue { .. } => catalogue::QUEUE_TIMEOUT,
        PoolError::WrongServer { .. } => catalogue::WRONG_SERVER,
        PoolError::Connect { .. } | PoolError::Setup { .. } | PoolError::Closed(_) => catalogue::SHARD_UNAVAILABLE,
    };
    Fault::Report(Box::new(Report::new(entry).detail(error.to_string())))
}

/// A refusal to log in there, as the server put it.
fn of_server(fields: &Fields) -> Report {
    let code = fields.get(b'C').unwrap_or("08006");
    Report::with(catalogue::SHARD_UNAVAILABLE, fields.get(b'M').unwrap_or("the server refused the connection"))
        .sqlstate(code)
        .detail("said by the server when pgring logged in there")
}

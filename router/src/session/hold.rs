//! Hold: how a session gets a backend and lets it go: pinned, in its transaction, or from the pool.

use super::{End, Fault, Pin, Session};
use crate::{
    cluster::{Client, Snapshot},
    error::{Report, catalogue},
    execute::relay::{Answer, Ending, RelayError},
    metrics,
    pool::{
        Checkout, Pool, PoolError,
        conn::{Conn, ConnError, is_fatal},
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
use std::{future::Future, sync::Arc};

/// How often a backend is asked for before a statement fails.
const TRIES: usize = 3;

/// Why a backend does not look like its session.
enum Undressed {
    /// The server refused a setting, and the client has been told.
    Told,
    /// The backend is gone.
    Lost(ConnError),
}

impl From<Undressed> for Fault {
    fn from(why: Undressed) -> Self {
        match why {
            Undressed::Told => Self::Told,
            Undressed::Lost(error) => lost(&error, false).into(),
        }
    }
}

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
    /// What runs there may report settings: the session's are brought up to date with it.
    pub(super) expects: bool,
}

impl Held {
    pub(super) fn conn(&mut self) -> &mut Conn {
        self.checkout.conn()
    }

    /// Opens the client's transaction there, if that is still to be done.
    pub(super) async fn open(&mut self) -> Result<(), ConnError> {
        match self.opening.take() {
            Some(opening) => self.conn().housekeep(&opening).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// It belongs to the transaction.
    pub(super) fn is_in_txn(&self) -> bool {
        self.in_txn
    }

    /// What was set there since it was got has been rolled back.
    pub(super) fn as_before(&mut self) {
        let before = self.profile.clone();
        self.conn().profile = before;
    }

    /// The backend of a participant whose transaction has ended.
    pub(super) fn after(participant: Participant) -> Self {
        let Participant { shard, checkout, profile } = participant;
        Self { shard, checkout, opening: None, profile, in_txn: false, expects: false }
    }
}

impl Session {
    /// Gets the backend of a shard, looking like this session. Inside a transaction it is the one on which the
    /// transaction is open, or one on which it is to be opened.
    pub(super) async fn hold(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> Result<Held, Fault> {
        if let Some(participant) = self.txn.as_mut().and_then(|txn| txn.take(shard)) {
            let Participant { checkout, profile, .. } = participant;
            let mut held = Held { shard, checkout, opening: None, profile, in_txn: true, expects: false };
            if !self.txn.as_ref().is_some_and(|txn| txn.failed) {
                self.dress(&mut held).await.map_err(Fault::from)?;
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
        let mut tries = 0;
        loop {
            let kept = self.pins.iter().position(|pin| pin.shard == shard).map(|at| self.pins.swap_remove(at).checkout);
            let pooled = kept.is_none();
            let checkout = match kept {
                Some(checkout) => checkout,
                None => self.checkout(snapshot, shard).await?,
            };
            let profile = Profile::empty();
            let mut held = Held { shard, checkout, opening: None, profile, in_txn: false, expects: false };
            tries += 1;
            match self.dress(&mut held).await {
                // It died while it was idle, and has got nothing of the client's.
                Err(Undressed::Lost(_)) if pooled && tries < TRIES && !self.me.has_given_up() => continue,
                dressed => dressed?,
            }
            held.profile = held.conn().profile.clone();
            self.me.begin_work(held.conn().cancel.clone());
            // It has waited up to here: a cancel finds it waiting, or the backend working for it.
            if self.me.end_wait() {
                self.me.end_work();
                if pooled {
                    held.checkout.give_back();
                } else {
                    self.let_go(held, b'I', Reach::Nothing);
                }
                return Err(self.given_up());
            }
            return Ok(held);
        }
    }

    /// Gets a backend of a shard from its pool, for a client who waits until it is ready to work. One who goes leaves the
    /// queue.
    async fn checkout(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> Result<Checkout, Fault> {
        self.me.set_doing(Doing::Waiting);
        let pool = self.pool_of(snapshot, shard);
        if !self.seeks_sequences
            && let Some(checkout) = pool.checkout_now(self.worker)
        {
            checkout.badge().work_for(self.me.id);
            return Ok(checkout);
        }
        // Boxed, as all that is rare: an idle session is as large as its largest way to wait.
        Box::pin(self.wait_for_backend(snapshot, shard)).await
    }

    async fn wait_for_backend(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> Result<Checkout, Fault> {
        let seeks_sequences = std::mem::take(&mut self.seeks_sequences);
        let mut tries = 0;
        let checkout = loop {
            let pool = self.pool_of(snapshot, shard);
            if seeks_sequences {
                pool.bring_up(self.worker, self.sequences);
            }
            tries += 1;
            let checkout = unless_given_up(&self.me, pool.checkout(self.worker));
            match self.client.beside(true, checkout).await? {
                // Another has taken its place.
                Some(Err(PoolError::Closed(_))) if tries < TRIES => self.pools.by_shard.clear(),
                Some(Err(PoolError::Connect { source: BackendError::Server(fields), .. })) if !self.greeted => {
                    build::error(&mut self.client.out, &fatal(fields));
                    return Err(Fault::Told);
                }
                Some(checkout) => break checkout.map_err(|error| unavailable(&error))?,
                None => return Err(self.given_up()),
            }
        };
        checkout.badge().work_for(self.me.id);
        Ok(checkout)
    }

    /// The end of a statement with a server's error, which goes into the output.
    pub(super) fn told(&mut self, mut fields: Fields) -> Fault {
        self.client.explain_cancel(&mut fields);
        if is_fatal(&fields) {
            return Fault::End(End::killed());
        }
        self.client.move_position(&mut fields);
        build::error(&mut self.client.out, &fields);
        metrics::error(fields.get(b'C').unwrap_or("XX000"));
        Fault::Told
    }

    /// The end of a statement that waited, and was cancelled or killed meanwhile.
    pub(super) fn given_up(&self) -> Fault {
        self.me.set_doing(Doing::Active);
        if self.me.is_killed() {
            return Fault::End(End::killed());
        }
        Report::new(catalogue::QUERY_CANCELLED).into()
    }

    /// Waits for what pgring asks a backend for its client, who may go meanwhile: then the backend is hung up.
    pub(super) async fn beside_client<T>(
        &mut self,
        mut held: Held,
        work: impl AsyncFnOnce(&mut Conn) -> T,
    ) -> Result<(Held, T), Fault> {
        match self.client.beside(true, work(held.conn())).await {
            Ok(done) => Ok((held, done)),
            Err(gone) => {
                self.me.end_work();
                hang_up(held);
                Err(gone.into())
            }
        }
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

    /// A backend of this shard can be had without waiting for another client.
    pub(super) fn has_room(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> bool {
        self.pins.iter().any(|pin| pin.shard == shard) || self.pool_of(snapshot, shard).has_room()
    }

    /// Most backends of this shard.
    pub(super) fn pool_size(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> usize {
        self.pool_of(snapshot, shard).most()
    }

    pub(super) fn pool_of(&mut self, snapshot: &Arc<Snapshot>, shard: ShardIndex) -> Arc<Pool> {
        let at = usize::from(shard.0);
        if !self.pools.snapshot.as_ref().is_some_and(|known| Arc::ptr_eq(known, snapshot)) {
            self.pools.snapshot = Some(snapshot.clone());
            self.pools.by_shard.clear();
        }
        if let Some(Some(pool)) = self.pools.by_shard.get(at) {
            return pool.clone();
        }
        let pool = self.cluster.pool(&self.database, snapshot, &self.user, shard);
        if self.pools.by_shard.len() <= at {
            self.pools.by_shard.resize(at + 1, None);
        }
        if let Some(place) = self.pools.by_shard.get_mut(at) {
            *place = Some(pool.clone());
        }
        pool
    }

    /// Makes a backend look like this session, and the client know what the backend reports.
    async fn dress(&mut self, held: &mut Held) -> Result<(), Undressed> {
        let conn = held.checkout.conn();
        match conn.take_on(&self.settings.current).await {
            Ok(()) => {}
            Err(ConnError::Server(mut fields)) => {
                if !self.greeted {
                    fields.set(b'S', "FATAL");
                    fields.set(b'V', "FATAL");
                }
                build::error(&mut self.client.out, &fields);
                return Err(Undressed::Told);
            }
            Err(error) => return Err(Undressed::Lost(error)),
        }
        if !self.greeted {
            conn.greeting.iter().for_each(|notice| build::notice(&mut self.client.out, notice));
        }
        let changing = std::mem::take(&mut self.settings.changing);
        if !self.settings.now.is(&conn.reported) {
            self.settings.now = conn.reported.clone();
            if !changing {
                // Another server, or another default there: the client must know before it reads an answer.
                self.client.tell(&self.settings.now);
            }
        }
        Ok(())
    }

    /// Lets a backend go after its answer, whose last status is `status`.
    pub(super) fn let_go(&mut self, held: Held, status: u8, reach: Reach) {
        self.me.end_work();
        if status == b'I' {
            let kept = self.pins.iter().any(|pin| pin.shard == held.shard)
                || self.txn.as_ref().is_some_and(|txn| txn.participants.iter().any(|p| p.shard == held.shard));
            if self.pinned && !kept {
                let mut checkout = held.checkout;
                checkout.set_pinned(true);
                self.pins.push(Pin { shard: held.shard, checkout });
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
                let before = self.settings_before_batch();
                let mut txn = Txn::adopted(participant, reach, before);
                txn.failed = status == b'E';
                self.txn = Some(txn);
            }
        }
    }

    /// Takes note of a backend's answer and lets it go.
    pub(super) async fn settle(&mut self, mut held: Held, answer: &Answer, reach: Reach) {
        if answer.reported {
            self.note_reported(&mut held);
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
            // Boxed, as all that is rare: an idle session is as large as its largest way to wait.
            Box::pin(self.end_txn(txn, ending)).await;
        }
        if !in_txn && answer.error.is_some() && answer.status == b'I' {
            // Nothing is left of an implicit transaction.
            let before = held.profile.clone();
            held.conn().profile = before;
        }
        if self.unexplained && answer.status == b'I' {
            self.unexplained = false;
            let kept = if in_txn { ending == Ending::Commit } else { answer.error.is_none() };
            if kept && let Err(error) = self.adopt_settings(&mut held).await {
                tracing::debug!(%error, "a backend whose settings are not known is closed");
                self.me.end_work();
                return;
            }
        }
        if reach == Reach::Write {
            held.conn().sequences_of = self.sequences;
        }
        // A failed statement has made nothing.
        self.may_be_free |= answer.error.is_some();
        if self.pinned
            && self.may_be_free
            && answer.status == b'I'
            && let Err(error) = self.unpin_if_proven(&mut held).await
        {
            tracing::debug!(%error, "a backend of which nothing is known is closed");
            self.me.end_work();
            return;
        }
        self.let_go(held, answer.status, reach);
    }

    /// The client has been told of settings by this backend.
    pub(super) fn note_reported(&mut self, held: &mut Held) {
        self.unexplained |= !held.expects;
        self.settings.now = held.conn().reported.clone();
        if let Some(name) = self.settings.reported("application_name") {
            self.me.set_application(name);
        }
    }

    /// What a relay that ended early means for the statement, the transaction and the backend (which is closed).
    pub(super) fn broken(&mut self, held: Held, error: RelayError, wrote: bool) -> Fault {
        self.me.end_work();
        let in_txn = held.in_txn;
        match error {
            RelayError::Client(error) => {
                hang_up(held);
                Fault::End(End::Client(error))
            }
            RelayError::Fatal => Fault::End(End::Server),
            RelayError::Backend { source, .. } => {
                if in_txn {
                    self.fail_txn();
                }
                lost(&source, wrote && !in_txn).into()
            }
        }
    }

    /// Makes the pinned backends as good as new, and lets them go if the session may.
    pub(super) async fn unpin(&mut self) {
        self.pinned = self.keeps;
        self.may_be_free = false;
        self.keeps_sequence = false;
        self.cursors.clear();
        self.me.clear_pins();
        if self.keeps {
            self.me.add_pin(super::SESSION_MODE);
        }
        for pin in std::mem::take(&mut self.pins) {
            let Pin { shard, mut checkout } = pin;
            if clean(checkout.conn()).await.is_err() {
                continue;
            }
            if self.keeps {
                self.pins.push(Pin { shard, checkout });
            } else {
                checkout.give_back();
            }
        }
    }
}

/// Waits for `work`, unless the client is asked to give up: None.
pub(super) async fn unless_given_up<T>(me: &Client, work: impl Future<Output = T>) -> Option<T> {
    let given_up = async {
        while !me.has_given_up() && !me.is_killed() {
            me.wake.notified().await;
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = given_up => None,
    }
}

/// Lets go a backend that may still work for a client who is gone: what runs there is cancelled, then it is closed.
pub(super) fn hang_up(mut held: Held) {
    let cancel = held.conn().cancel.clone();
    let passing = cancel.gate.enter();
    tokio::spawn(async move {
        cancel.cancel(passing).await.ok();
        drop(held);
    });
}

/// Makes a backend as good as new.
async fn clean(conn: &mut Conn) -> Result<(), ConnError> {
    conn.housekeep("DISCARD ALL").await?;
    conn.profile = Profile::empty();
    conn.statements.clear();
    conn.sequences_of = 0;
    Ok(())
}

/// The error of a statement whose backend is gone.
pub(super) fn lost(error: &ConnError, outcome_unknown: bool) -> Report {
    let entry = if outcome_unknown { catalogue::OUTCOME_UNKNOWN } else { catalogue::BACKEND_LOST };
    Report::new(entry).detail(error.to_string())
}

/// Whether it is the error of a statement that got no backend.
pub(super) fn is_without_backend(report: &Report) -> bool {
    use catalogue::{QUERY_CANCELLED, QUEUE_TIMEOUT, SHARD_UNAVAILABLE, WRONG_SERVER};
    [QUERY_CANCELLED, QUEUE_TIMEOUT, SHARD_UNAVAILABLE, WRONG_SERVER].contains(&report.entry)
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
    let report = Report::new(entry).detail(error.to_string());
    Fault::Report(Box::new(match error {
        PoolError::Queue { .. } => report.hint("SHOW CLIENTS and SHOW PINS tell who holds connections; see pool.size."),
        _ => report,
    }))
}

/// A refusal to log in there for a client that logs in itself: the server's own words. One that gave no SQLSTATE gets
/// that of a refused connection, without which some clients do not take it for an error.
fn fatal(mut fields: Fields) -> Fields {
    fields.set(b'S', "FATAL");
    fields.set(b'V', "FATAL");
    if fields.code().is_empty() {
        fields.set(b'C', NO_CODE);
    }
    fields
}

/// SQLSTATE of an error for which a server gave none.
const NO_CODE: &str = "08006";

/// A refusal to log in there, as the server put it.
fn of_server(fields: &Fields) -> Report {
    let code = Some(fields.code()).filter(|code| !code.is_empty()).unwrap_or(NO_CODE);
    let detail = fields.detail().unwrap_or("said by the server when pgring logged in there");
    let report = Report::with(catalogue::SHARD_UNAVAILABLE, fields.message()).sqlstate(code).detail(detail);
    match fields.hint() {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

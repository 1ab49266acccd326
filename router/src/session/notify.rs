//! Notify: LISTEN, UNLISTEN and NOTIFY of a session, and what its client is told. In: the verbs; what its ear has
//! heard. Out: notifications, outside transactions only. Never: a backend that listens.

use super::{End, Fault, Session, simple::Done};
use crate::{
    cluster::{Database, User},
    error::{Report, catalogue},
    notify::{
        Hub, HubKey, Locate, Membership, NotifyError, Site,
        ear::{Ear, MOST_WAITING},
    },
    sql::verb::Which,
    txn::{Listen, Reach, Txn},
};
use pgring_config::{
    ids::{ShardIndex, ShardName},
    settings::ConnectionParts,
};
use pgring_protocol::{backend::Login, credentials::Credentials, frame, message::build};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::timeout;

/// How long a statement's end may wait for what a server has sent; what comes later comes later.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a client that has not read for too long may take to hear why it is sent away.
const LAST_WORD: Duration = Duration::from_secs(30);
/// Bytes of notifications that are written at once.
const CHUNK: usize = 64 * 1024;

/// What a session listens on.
#[derive(Debug)]
pub(super) struct Listening {
    ear: Arc<Ear>,
    hubs: Vec<Arc<Hub>>,
    /// In the order of their LISTEN.
    channels: Vec<Membership>,
}

/// A backend that sends notifications for this session.
#[derive(Debug)]
pub(super) struct Sending {
    hub: Arc<Hub>,
    pid: i32,
}

impl Listening {
    /// Where it hears.
    pub(super) fn ear(&self) -> Arc<Ear> {
        self.ear.clone()
    }

    /// The channels.
    pub(super) fn channels(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|membership| &*membership.channel)
    }

    fn is_on(&self, channel: &str) -> bool {
        self.channels().any(|known| known == channel)
    }

    /// Carries out a LISTEN or UNLISTEN.
    fn take(&mut self, act: Listen) {
        match act {
            Listen::Start(membership) => {
                self.ear.open(&membership.channel);
                if !self.is_on(&membership.channel) {
                    self.channels.push(membership);
                }
            }
            Listen::Stop(channel) => {
                self.channels.retain(|known| *known.channel != *channel);
                self.ear.close(&channel);
            }
            Listen::StopAll => self.channels.drain(..).for_each(|known| self.ear.close(&known.channel)),
        }
    }

    /// Everything that the servers have sent up to now is heard.
    async fn catch_up(&self) {
        let asked: Vec<_> = self.hubs.iter().map(|hub| hub.catch_up()).collect();
        let all = async {
            for answer in asked {
                let _ = answer.await;
            }
        };
        let _ = timeout(PATIENCE, all).await;
    }
}

/// Waits until an ear has heard something.
pub(super) async fn something(ear: Option<&Ear>) {
    match ear {
        Some(ear) => ear.something().await,
        None => std::future::pending().await,
    }
}

impl Session {
    /// LISTEN: answered when every primary of the database listens.
    pub(super) async fn listen(&mut self, channel: &str) -> Result<Done, Fault> {
        let me = self.me.id;
        if self.listening.is_none() {
            let hubs = self.hubs()?;
            self.listening = Some(Box::new(Listening { ear: Ear::new(me), hubs, channels: Vec::new() }));
        }
        self.client.hold_ready = true;
        let Some(listening) = &self.listening else { return Ok(Done::Open) };
        let joined = Membership::join(channel, &listening.ear, &listening.hubs).await;
        let act = Listen::Start(joined.map_err(|error| refused(&error))?);
        self.act(act);
        // A shard may have been added since the hubs were looked up, before this session could hear of that.
        self.follow_shards()?;
        build::command_complete(&mut self.client.out, "LISTEN");
        Ok(Done::Open)
    }

    /// UNLISTEN.
    pub(super) fn unlisten(&mut self, which: &Which) -> Result<Done, Fault> {
        self.act(match which {
            Which::All => Listen::StopAll,
            Which::Name(channel) => Listen::Stop(channel.clone()),
        });
        build::command_complete(&mut self.client.out, "UNLISTEN");
        Ok(Done::Open)
    }

    fn act(&mut self, act: Listen) {
        match (&mut self.txn, &mut self.listening) {
            (Some(txn), Some(_)) => txn.listens.push(act),
            (None, Some(listening)) => {
                listening.take(act);
                self.stop_if_nothing();
            }
            // UNLISTEN of a session that listens on nothing.
            (_, None) => {}
        }
    }

    /// NOTIFY: to the default shard, once.
    pub(super) async fn notify(&mut self, text: &str, frame: Option<&[u8]>) -> Result<Done, Fault> {
        let snapshot = self.database.snapshot().clone();
        let shard = snapshot.topology.default_shard;
        let mut held = self.hold(&snapshot, shard).await?;
        self.sends_from(shard, held.conn().cancel.pid).await;
        let answer = self.relay_text(held, text, frame, Reach::Nothing).await?;
        Done::of(frame, answer.error.is_some())
    }

    /// The session listens on nothing any more.
    pub(super) fn listen_no_more(&mut self) {
        self.listening = None;
        self.client.hold_ready = false;
    }

    /// Lets the ear go when it has nothing to hear.
    fn stop_if_nothing(&mut self) {
        let pending = self.txn.as_ref().is_some_and(|txn| !txn.listens.is_empty());
        if !pending && self.listening.as_ref().is_some_and(|listening| listening.channels.is_empty()) {
            self.listen_no_more();
        }
    }

    /// The session's transaction is about to be committed.
    pub(super) async fn hear_before_commit(&mut self) {
        if let Some(txn) = self.txn.take_if(|txn| !txn.failed && !txn.listens.is_empty()) {
            self.hear_before_commit_of(&txn).await;
            self.txn = Some(txn);
        }
    }

    /// A transaction is about to be committed: what others sent before is not for the channels that it adds, what it
    /// sends itself is.
    pub(super) async fn hear_before_commit_of(&mut self, txn: &Txn) {
        let Some(listening) = self.listening.as_ref().filter(|_| !txn.listens.is_empty()) else { return };
        listening.catch_up().await;
        for act in &txn.listens {
            if let Listen::Start(membership) = act {
                listening.ear.open(&membership.channel);
            }
        }
    }

    /// A transaction has ended: its LISTENs and UNLISTENs are carried out, or forgotten.
    pub(super) fn settle_listens(&mut self, acts: Vec<Listen>, rolled_back: bool) {
        let Some(listening) = &mut self.listening else { return };
        for act in acts {
            match act {
                act if !rolled_back => listening.take(act),
                Listen::Start(membership) if !listening.is_on(&membership.channel) => {
                    listening.ear.close(&membership.channel);
                }
                _ => {}
            }
        }
        self.stop_if_nothing();
    }

    /// A statement that sends notifications goes to this backend: they are this client's.
    pub(super) async fn sends_from(&mut self, shard: ShardIndex, pid: i32) {
        if let Some(txn) = &mut self.txn {
            txn.notifies_on(shard);
        }
        let hubs = {
            let snapshot = self.database.snapshot();
            self.database.hubs.of(&snapshot.topology.shard(shard).name)
        };
        for hub in hubs {
            if !self.sending.iter().any(|known| known.pid == pid && Arc::ptr_eq(&known.hub, &hub)) {
                hub.sends(pid, self.me.id).await;
                self.sending.push(Sending { hub, pid });
            }
        }
    }

    /// After a message: where no transaction is open, nothing more is sent.
    pub(super) fn have_sent(&mut self) {
        if !self.sending.is_empty() && self.txn.is_none() && self.batch.is_at_rest() {
            let me = self.me.id;
            self.sending.drain(..).for_each(|sending| sending.hub.has_sent(sending.pid, me));
        }
    }

    /// The session is at the hubs of the shards that there are.
    fn follow_shards(&mut self) -> Result<(), Fault> {
        let hubs = self.hubs()?;
        let Some(listening) = &mut self.listening else { return Ok(()) };
        let pending = self.txn.iter_mut().flat_map(|txn| &mut txn.listens).filter_map(|act| match act {
            Listen::Start(membership) => Some(membership),
            _ => None,
        });
        listening.channels.iter_mut().chain(pending).for_each(|membership| membership.follow(&hubs));
        listening.hubs = hubs;
        Ok(())
    }

    fn follow_if_moved(&mut self) {
        if self.listening.as_ref().is_some_and(|listening| listening.ear.has_moved()) {
            self.follow_shards().ok();
        }
    }

    /// Before ReadyForQuery outside a transaction: what the servers have sent so far goes to the client.
    pub(super) async fn hear_before_ready(&mut self) -> Result<(), End> {
        self.follow_if_moved();
        let Some(listening) = &self.listening else { return Ok(()) };
        listening.catch_up().await;
        if listening.ear.is_full() {
            return Err(unread());
        }
        let ear = listening.ear();
        self.take_heard(&ear, usize::MAX).await;
        Ok(())
    }

    /// While idle: what was heard goes to the client, unless so much comes meanwhile that it cannot be kept.
    pub(super) async fn tell_heard(&mut self) -> Result<(), End> {
        self.follow_if_moved();
        let Some(ear) = self.listening.as_ref().map(|listening| listening.ear()) else { return Ok(()) };
        if ear.is_full() {
            return Err(unread());
        }
        self.take_heard(&ear, CHUNK).await;
        let all = self.client.out.len();
        let ends = frame_ends(&self.client.out);
        tokio::select! {
            biased;
            sent = self.client.flush_in_steps() => return Ok(sent?),
            () = ear.filled() => {}
        }
        // The client's stream must end with a whole frame, so that it understands the error.
        let sent = all - self.client.out.len();
        let whole = ends.into_iter().find(|end| *end >= sent).unwrap_or(all);
        self.client.out.truncate(whole - sent);
        self.listen_no_more();
        self.report(&unread_report());
        tokio::select! {
            _ = timeout(LAST_WORD, self.client.flush_in_steps()) => {}
            () = self.me.wake.notified() => {}
        }
        Err(End::Server)
    }

    /// The hubs of the database's primaries.
    fn hubs(&self) -> Result<Vec<Arc<Hub>>, Fault> {
        let snapshot = self.database.snapshot().clone();
        let hubs = snapshot.topology.shards.iter().map(|shard| {
            let own = self.database.catalog.is_some() && service(&shard.connection.0).is_some();
            let user = (!own).then(|| self.user.name.clone());
            let key = HubKey { shard: shard.name.clone(), user };
            let (database, user) = (Arc::downgrade(&self.database), self.user.clone());
            let shard = shard.name.clone();
            self.database.hubs.hub(key, || locate(database, shard, (!own).then_some(user)))
        });
        Ok(hubs.collect())
    }
}

/// Finds a shard's primary and how to log in there: with pgring's own login, else with a user's.
fn locate(database: Weak<Database>, shard: ShardName, user: Option<Arc<User>>) -> Locate {
    Box::new(move || {
        let database = database.upgrade()?;
        let snapshot = database.snapshot();
        let index = snapshot.topology.shard_by_name(shard.as_str())?;
        let place = snapshot.places.get(usize::from(index.0))?;
        let (name, credentials) = match &user {
            Some(user) => (user.server_user.to_string(), user.credentials.clone()),
            None => service(&snapshot.topology.shard(index).connection.0)?,
        };
        let parameters = [("client_encoding", "UTF8"), ("application_name", "pgring listener")];
        let login = Login {
            user: name,
            database: place.database.to_string(),
            credentials,
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        Some(Site { target: place.target.clone(), login, expected: place.expected.clone() })
    })
}

/// The user and credentials of a connection string, if it names a user.
fn service(connection: &str) -> Option<(String, Credentials)> {
    let parts = ConnectionParts::parse(connection).ok()?;
    let password = parts.password.map(|password| Credentials::Password(password.expose().to_owned()));
    Some((parts.user?, password.unwrap_or(Credentials::None)))
}

fn refused(error: &NotifyError) -> Report {
    match error {
        NotifyError::Server(fields) => {
            let message = fields.get(b'M').unwrap_or("the server refused the listening connection");
            Report::with(catalogue::SHARD_UNAVAILABLE, message)
                .sqlstate(fields.get(b'C').unwrap_or("08006"))
                .detail("said by the server to pgring's listening connection")
        }
        NotifyError::Lost { .. } => Report::new(catalogue::SHARD_UNAVAILABLE).detail(error.to_string()),
    }
}

fn unread() -> End {
    End::Fatal(Box::new(unread_report()))
}

fn unread_report() -> Report {
    Report::new(catalogue::UNREAD_NOTIFICATIONS)
        .detail(format!("more than {} kB of notifications wait for it", MOST_WAITING / 1024))
        .hint("Read from the connection while it listens, and keep its transactions short.")
        .fatal()
}

/// Where each of these frames ends.
fn frame_ends(mut frames: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), 0);
    while let Ok(Some(head)) = frame::head(frames) {
        at += head.len;
        ends.push(at);
        frames = frames.get(head.len..).unwrap_or_default();
    }
    ends
}

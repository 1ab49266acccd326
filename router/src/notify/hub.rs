//! Hub: the task behind one listening connection. In: what sessions ask, what the server sends. Out: notifications for
//! the ears. Never: leaves an ask without an answer.
//!
//! At most one request is under way; what is asked meanwhile goes with the next one, so that many sessions that catch
//! up at the same time share a round trip.

use super::{Ask, Locate, NotifyError, Shared, Site, ear::Ear};
use crate::pool::{
    conn::{Conn, MAX_FRAME, is_fatal},
    verify,
};
use bytes::{Buf, Bytes, BytesMut};
use pgring_protocol::{
    backend::{self, Target},
    frame,
    message::{build, notice::Fields},
    quote,
};
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

/// The first wait before a lost connection is made again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked whether the server is still the right one, and answers.
const LOOK: Duration = Duration::from_secs(1);
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What each connection starts with: an idle listener is not to be thrown out.
const SET_UP: &str = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'";

type Dial = Pin<Box<dyn Future<Output = Result<Box<Conn>, NotifyError>> + Send>>;

enum Link {
    Down { until: Instant },
    Dialing(Dial),
    Up(Box<Conn>),
}

enum Event {
    Ask(Option<Ask>),
    Read(io::Result<()>),
    Dialed(Result<Box<Conn>, NotifyError>),
    Due,
    Look,
}

/// A request that is under way.
#[derive(Default)]
struct Round {
    asks: Vec<Ask>,
    /// Channels that it changes, and whether the server listened on them before.
    changes: Vec<(Arc<str>, bool)>,
    error: Option<Box<Fields>>,
    began: Option<Instant>,
}

struct Task {
    shared: Arc<Shared>,
    locate: Locate,
    link: Link,
    /// The server's address that the link was made with.
    target: Option<Arc<Target>>,
    channels: HashMap<Arc<str>, Vec<(Arc<Ear>, usize)>>,
    /// What the server listens on.
    on_server: HashSet<Arc<str>>,
    /// Channels of which the server may not know yet.
    changed: Vec<Arc<str>>,
    round: Option<Round>,
    next: Vec<Ask>,
    /// The connection was lost while sessions listened.
    lost: bool,
    wait: Duration,
}

/// Serves a hub until its last handle is dropped.
pub(super) async fn run(shared: Arc<Shared>, locate: Locate, mut asked: mpsc::UnboundedReceiver<Ask>) {
    let mut task = Task {
        shared,
        locate,
        link: Link::Down { until: Instant::now() },
        target: None,
        channels: HashMap::new(),
        on_server: HashSet::new(),
        changed: Vec::new(),
        round: None,
        next: Vec::new(),
        lost: false,
        wait: FIRST_WAIT,
    };
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let wanted = !task.channels.is_empty();
        let event = match &mut task.link {
            Link::Down { until } => tokio::select! {
                ask = asked.recv() => Event::Ask(ask),
                () = sleep_until(*until), if wanted => Event::Due,
            },
            Link::Dialing(dial) => tokio::select! {
                ask = asked.recv() => Event::Ask(ask),
                dialed = dial => Event::Dialed(dialed),
            },
            Link::Up(conn) => tokio::select! {
                ask = asked.recv() => Event::Ask(ask),
                read = conn.read() => Event::Read(read),
                _ = look.tick() => Event::Look,
            },
        };
        match event {
            Event::Ask(None) => return task.good_bye().await,
            Event::Ask(Some(ask)) => {
                task.ask(ask);
                while let Ok(ask) = asked.try_recv() {
                    task.ask(ask);
                }
            }
            Event::Read(Ok(())) => {
                if let Err(error) = task.read() {
                    task.lose(&error);
                }
                // Sessions on this thread pass on what they have before more is read.
                tokio::task::yield_now().await;
            }
            Event::Read(Err(error)) => task.lose(&error.to_string()),
            Event::Dialed(dialed) => task.dialed(dialed),
            Event::Due => task.dial(),
            Event::Look => task.look(),
        }
        task.go_on().await;
    }
}

impl Task {
    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Join { channel, ear, done } => {
                self.join(&channel, &ear);
                self.next.push(Ask::Join { channel, ear, done });
            }
            Ask::Leave { channel, ear } => self.leave(&channel, &ear),
            // Without a connection there is nothing that could still come.
            Ask::CatchUp(done) if !matches!(self.link, Link::Up(_)) => drop(done.send(())),
            Ask::CatchUp(done) => self.next.push(Ask::CatchUp(done)),
            Ask::Moved => self.channels.values().flatten().for_each(|(ear, _)| ear.move_on()),
        }
    }

    fn join(&mut self, channel: &Arc<str>, ear: &Arc<Ear>) {
        let ears = self.channels.entry(channel.clone()).or_default();
        match ears.iter_mut().find(|(known, _)| Arc::ptr_eq(known, ear)) {
            Some((_, times)) => *times += 1,
            None => ears.push((ear.clone(), 1)),
        }
        self.changed.push(channel.clone());
    }

    fn leave(&mut self, channel: &Arc<str>, ear: &Arc<Ear>) {
        let Some(ears) = self.channels.get_mut(channel) else { return };
        let Some(at) = ears.iter().position(|(known, _)| Arc::ptr_eq(known, ear)) else { return };
        ears[at].1 -= 1;
        if ears[at].1 == 0 {
            ears.swap_remove(at);
        }
        if ears.is_empty() {
            self.channels.remove(channel);
            self.changed.push(channel.clone());
        }
    }

    /// Begins what is to be done next, if nothing is under way.
    async fn go_on(&mut self) {
        self.shared.channels.store(self.channels.len(), Ordering::Relaxed);
        let joins = self.next.iter().any(|ask| matches!(ask, Ask::Join { .. }));
        match &self.link {
            Link::Down { .. } if joins => self.dial(),
            Link::Up(_) if self.round.is_none() && !(self.next.is_empty() && self.changed.is_empty()) => {
                self.begin().await;
            }
            _ => {}
        }
    }

    /// Sends one request for everything that was asked since the last one.
    async fn begin(&mut self) {
        let mut round = Round { asks: std::mem::take(&mut self.next), began: Some(Instant::now()), ..Round::default() };
        let mut sql = String::new();
        for channel in std::mem::take(&mut self.changed) {
            let before = self.on_server.contains(&channel);
            if before == self.channels.contains_key(&channel) {
                continue;
            }
            let word = if before { "UNLISTEN" } else { "LISTEN" };
            sql.push_str(&format!("{word} {};", quoted(&channel)));
            if before {
                self.on_server.remove(&channel);
            } else {
                self.on_server.insert(channel.clone());
            }
            round.changes.push((channel, before));
        }
        if sql.is_empty() && round.asks.is_empty() {
            return;
        }
        self.round = Some(round);
        let mut out = BytesMut::new();
        build::query(&mut out, sql);
        let Link::Up(conn) = &mut self.link else { return };
        match timeout(PATIENCE, conn.send(&out)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lose(&error.to_string()),
            Err(_) => self.lose("it takes no more requests"),
        }
    }

    /// Takes the whole frames that have come.
    fn read(&mut self) -> Result<(), String> {
        loop {
            let Link::Up(conn) = &mut self.link else { return Ok(()) };
            let head = frame::complete(&conn.buf, MAX_FRAME).map_err(|error| error.to_string())?;
            let Some(head) = head else { return Ok(()) };
            let mut body = conn.buf.split_to(head.len);
            body.advance(5);
            match head.kind {
                b'A' => self.deliver(&body),
                b'Z' => self.end(),
                b'E' => {
                    let fields = Fields::parse(&body).map_err(|error| error.to_string())?;
                    if is_fatal(&fields) {
                        return Err(fields.message().into_owned());
                    }
                    if let Some(round) = &mut self.round {
                        round.error.get_or_insert(Box::new(fields));
                    }
                }
                _ => {}
            }
        }
    }

    /// A request is answered.
    fn end(&mut self) {
        let Some(round) = self.round.take() else { return };
        if round.error.is_some() {
            for (channel, before) in &round.changes {
                if *before {
                    self.on_server.insert(channel.clone());
                } else {
                    self.on_server.remove(channel);
                }
            }
        }
        for ask in round.asks {
            match (ask, &round.error) {
                (Ask::Join { done, .. }, Some(fields)) => drop(done.send(Err(NotifyError::Server(fields.clone())))),
                (Ask::Join { done, .. }, None) => drop(done.send(Ok(()))),
                (Ask::CatchUp(done), _) => drop(done.send(())),
                (Ask::Leave { .. } | Ask::Moved, _) => {}
            }
        }
        if std::mem::take(&mut self.lost) {
            let gap = gap(&self.shared);
            let ears: Vec<&Arc<Ear>> = self.channels.values().flatten().map(|(ear, _)| ear).collect();
            let mut told = HashSet::new();
            ears.into_iter().filter(|ear| told.insert(Arc::as_ptr(ear))).for_each(|ear| ear.warn(&gap));
        }
    }

    fn deliver(&self, body: &[u8]) {
        let Some((pid, rest)) = body.split_first_chunk::<4>() else { return };
        let Some(end) = rest.iter().position(|byte| *byte == 0) else { return };
        let Ok(channel) = std::str::from_utf8(&rest[..end]) else { return };
        let Some((channel, ears)) = self.channels.get_key_value(channel) else { return };
        let pid = i32::from_be_bytes(*pid);
        let client = self.shared.client_of(pid);
        let mut out = BytesMut::with_capacity(body.len() + 5);
        out.extend_from_slice(b"A");
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(&client.unwrap_or(pid).to_be_bytes());
        out.extend_from_slice(rest);
        let frame = out.freeze();
        ears.iter().for_each(|(ear, _)| ear.push(channel, &frame, client.is_none()));
    }

    fn dial(&mut self) {
        let shard = self.shared.key.shard.clone();
        let Some(site) = (self.locate)() else {
            return self.dialed(Err(NotifyError::lost(&shard, "it is not there any more")));
        };
        self.target = Some(site.target.clone());
        self.link = Link::Dialing(Box::pin(async move {
            let patience = site.target.connect_timeout + PATIENCE;
            match timeout(patience, dial(site, &shard)).await {
                Ok(dialed) => dialed,
                Err(_) => Err(NotifyError::lost(&shard, "it does not answer")),
            }
        }));
    }

    fn dialed(&mut self, dialed: Result<Box<Conn>, NotifyError>) {
        match dialed {
            Ok(conn) => {
                self.shared.pid.store(conn.cancel.pid, Ordering::Relaxed);
                self.wait = FIRST_WAIT;
                self.link = Link::Up(conn);
                self.on_server.clear();
                self.changed = self.channels.keys().cloned().collect();
            }
            Err(error) => {
                tracing::warn!(shard = %self.shared.key.shard, %error, "notifications cannot be heard");
                self.link = Link::Down { until: Instant::now() + self.wait };
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
                for ask in std::mem::take(&mut self.next) {
                    match ask {
                        Ask::Join { done, .. } => drop(done.send(Err(error.clone()))),
                        Ask::CatchUp(done) => drop(done.send(())),
                        Ask::Leave { .. } | Ask::Moved => {}
                    }
                }
            }
        }
    }

    /// The connection is gone: it is made again, and who listens is told when it is.
    fn lose(&mut self, reason: &str) {
        tracing::warn!(shard = %self.shared.key.shard, reason, "the listening connection was lost");
        self.shared.pid.store(0, Ordering::Relaxed);
        self.link = Link::Down { until: Instant::now() + self.wait };
        self.on_server.clear();
        self.lost = !self.channels.is_empty();
        let under_way = self.round.take().map(|round| round.asks).unwrap_or_default();
        let waiting = std::mem::take(&mut self.next);
        for ask in under_way.into_iter().chain(waiting) {
            match ask {
                Ask::CatchUp(done) => drop(done.send(())),
                ask => self.next.push(ask),
            }
        }
    }

    /// The server may have moved, or not answer.
    fn look(&mut self) {
        let late = |round: &Round| round.began.is_some_and(|began| began.elapsed() > PATIENCE);
        if self.round.as_ref().is_some_and(late) {
            return self.lose("it does not answer");
        }
        let now = (self.locate)().map(|site| site.target);
        let moved = match (&now, &self.target) {
            (Some(now), Some(known)) => !Arc::ptr_eq(now, known),
            (None, _) | (_, None) => false,
        };
        if moved {
            self.lose("the shard is served elsewhere");
        }
    }

    async fn good_bye(self) {
        if let Link::Up(mut conn) = self.link {
            let mut out = BytesMut::new();
            build::terminate(&mut out);
            let _ = timeout(FIRST_WAIT, conn.send(&out)).await;
        }
    }
}

async fn dial(site: Site, shard: &super::ShardName) -> Result<Box<Conn>, NotifyError> {
    let connected = backend::connect(&site.target, &site.login).await;
    let backend = connected.map_err(|error| NotifyError::connect(shard, error))?;
    let mut conn = Conn::new(backend, site.target, 0);
    if let Some(expected) = &site.expected {
        verify(&mut conn, expected).await.map_err(|error| NotifyError::lost(shard, error))?;
    }
    conn.housekeep(SET_UP).await.map_err(|error| NotifyError::lost(shard, error))?;
    Ok(Box::new(conn))
}

/// A channel's name, quoted in any case: it may be a keyword that only a channel may have.
fn quoted(channel: &str) -> String {
    let name = quote::identifier(channel);
    if name.starts_with('"') { name.into_owned() } else { format!("\"{name}\"") }
}

fn gap(shared: &Shared) -> Bytes {
    let text = format!("the listening connection to shard {} was lost", shared.key.shard);
    let mut fields = Fields::new("WARNING", "01000", text);
    fields.set(b'V', "WARNING");
    fields.set(b'D', "It was made again. Notifications that were sent meanwhile have not been received.");
    let mut out = BytesMut::new();
    build::notice(&mut out, &fields);
    out.freeze()
}

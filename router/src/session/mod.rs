//! Session: one client's life after its log-in. In: its messages. Out: answers. Never: syntax trees, merging.
//!
//! A message is classified, planned (from the plan cache when its shape was seen), routed and executed; where it may
//! go and what the session must remember of it is decided here.

mod batch;
mod calls;
mod hold;
mod notify;
mod own;
pub mod prepared;
mod settings;
mod simple;
mod transaction;
mod verbs;

use crate::{
    cluster::{Client, Cluster, Database, Snapshot, User},
    error::{Report, catalogue},
    execute::frontend::{Frontend, FrontendError},
    metrics,
    pool::{Checkout, Pool, Worker},
    registry::Doing,
    sql::fingerprint::Lexed,
    txn::Txn,
};
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::build;
use prepared::Prepared;
use settings::Settings;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Why a session ends.
#[derive(Debug)]
pub enum End {
    /// The client said good-bye.
    Terminate,
    /// The client is gone, or its stream is broken.
    Client(FrontendError),
    /// The session is ended with this error.
    Fatal(Box<Report>),
    /// The server ended it, and the client has been told.
    Server,
}

impl From<FrontendError> for End {
    fn from(error: FrontendError) -> Self {
        Self::Client(error)
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Client(FrontendError::Gone(error))
    }
}

/// Why a statement ends early.
#[derive(Debug)]
pub enum Fault {
    /// The statement fails with this error.
    Report(Box<Report>),
    /// The statement failed, and the client has been told.
    Told,
    /// The session ends.
    End(End),
}

impl From<Report> for Fault {
    fn from(report: Report) -> Self {
        Self::Report(Box::new(report))
    }
}

impl From<End> for Fault {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::End(error.into())
    }
}

/// Ends a time-out's task with the statement it was for.
#[derive(Debug)]
struct Timer(tokio::task::JoinHandle<()>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A session's backend on one server, kept for it.
#[derive(Debug)]
struct Pin {
    shard: ShardIndex,
    checkout: Checkout,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    cluster: Arc<Cluster>,
    database: Arc<Database>,
    user: Arc<User>,
    worker: Worker,
    me: Arc<Client>,
    client: Frontend,
    settings: Settings,
    statements: HashMap<Box<[u8]>, Arc<Prepared>>,
    batch: batch::Batch,
    txn: Option<Txn>,
    pins: Vec<Pin>,
    pinned: bool,
    /// What it listens on; None: on nothing.
    listening: Option<Box<notify::Listening>>,
    /// Backends that send notifications for it in its present transaction.
    sending: Vec<notify::Sending>,
    /// The client has its first ReadyForQuery.
    greeted: bool,
    temp_tables: Vec<Box<str>>,
    lexed: Lexed,
    pools: Pools,
}

/// Pools that this session has used, for one snapshot.
#[derive(Debug, Default)]
struct Pools {
    snapshot: Option<Arc<Snapshot>>,
    by_shard: Vec<Option<Arc<Pool>>>,
}

impl Session {
    /// A session of a client who has logged in.
    pub fn new(
        cluster: Arc<Cluster>,
        database: Arc<Database>,
        user: Arc<User>,
        worker: Worker,
        me: Arc<Client>,
        client: Frontend,
    ) -> Self {
        Self {
            cluster,
            database,
            user,
            worker,
            me,
            client,
            settings: Settings::default(),
            statements: HashMap::new(),
            batch: batch::Batch::default(),
            txn: None,
            pins: Vec::new(),
            pinned: false,
            listening: None,
            sending: Vec::new(),
            greeted: false,
            temp_tables: Vec::new(),
            lexed: Lexed::default(),
            pools: Pools::default(),
        }
    }

    /// Takes on the settings of the start-up packet, tells the client what the server says of them, and serves it
    /// until it goes.
    pub async fn run(mut self, startup: &[(String, String)], key: &[u8]) {
        let end = match self.start(startup, key).await {
            Ok(()) => self.serve().await,
            Err(end) => end,
        };
        self.end(end).await;
    }

    async fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.message().await {
                return end;
            }
        }
    }

    async fn end(mut self, end: End) {
        let report = match end {
            End::Fatal(report) => Some(*report),
            End::Client(FrontendError::OutOfStep(what)) => Some(Report::with(catalogue::PROTOCOL, what).fatal()),
            End::Client(FrontendError::TooLarge(len)) => {
                Some(Report::new(catalogue::TOO_LARGE).detail(format!("a message of {len} bytes")).fatal())
            }
            _ => None,
        };
        if let Some(report) = report {
            self.report(&report);
            let _ = tokio::time::timeout(Duration::from_secs(1), self.client.flush()).await;
        }
        if let Some(txn) = self.txn.take() {
            self.abandon(txn).await;
        }
        self.unpin().await;
    }

    /// One message of the client.
    async fn message(&mut self) -> Result<(), End> {
        let (kind, frame) = self.next_frame().await?;
        let _timer = self.timer(kind);
        self.answer(kind, frame).await?;
        if self.client.ready_held {
            self.client.ready_held = false;
            self.ready().await?;
        }
        self.have_sent();
        Ok(())
    }

    async fn answer(&mut self, kind: u8, frame: bytes::BytesMut) -> Result<(), End> {
        match kind {
            b'Q' => self.simple(frame).await,
            b'X' => Err(End::Terminate),
            b'P' | b'B' | b'D' | b'E' | b'C' | b'S' | b'H' => self.extended(kind, frame).await,
            b'F' => self.function_call(&frame).await,
            // What is left of a COPY that has failed already.
            b'd' | b'c' | b'f' => Ok(()),
            _ => Err(FrontendError::OutOfStep(format!("invalid frontend message type {kind}")).into()),
        }
    }

    /// Cancels what runs for this client when it has taken too long (`timeouts.query`).
    fn timer(&self, kind: u8) -> Option<Timer> {
        if !matches!(kind, b'Q' | b'S' | b'H' | b'F') {
            return None;
        }
        let limit = self.cluster.settings.load().timeouts.query.limit()?;
        let me = self.me.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            for cancel in me.with_working(|backend| (backend.clone(), backend.gate.enter())) {
                let (backend, passing) = cancel;
                backend.cancel(passing).await.ok();
            }
        });
        Some(Timer(timer))
    }

    async fn next_frame(&mut self) -> Result<(u8, bytes::BytesMut), End> {
        loop {
            if let Some(frame) = self.client.take_frame()? {
                return Ok(frame);
            }
            self.client.shrink();
            self.idle().await?;
        }
    }

    /// Waits for bytes of the client, and for what may come first: a time-out, a KILL, a notification.
    async fn idle(&mut self) -> Result<(), End> {
        let in_transaction = self.txn.is_some();
        self.me.set_doing(if in_transaction { Doing::InTransaction } else { Doing::Idle });
        if self.me.is_killed() {
            return Err(End::Fatal(Box::new(Report::new(catalogue::SESSION_KILLED).fatal())));
        }
        let limits = self.cluster.settings.load();
        let limit = if in_transaction {
            limits.timeouts.idle_in_transaction.limit()
        } else {
            limits.timeouts.client_idle.limit()
        };
        drop(limits);
        let ear = self.listening.as_ref().filter(|_| !in_transaction && self.batch.is_at_rest());
        let ear = ear.map(|listening| listening.ear());
        let expired = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = self.client.read() => Ok(read?),
            () = self.me.wake.notified() => Ok(()),
            () = expired => {
                let entry = if in_transaction { catalogue::IDLE_IN_TRANSACTION } else { catalogue::IDLE_TIMEOUT };
                Err(End::Fatal(Box::new(Report::new(entry).fatal())))
            }
            () = notify::something(ear.as_deref()) => self.tell_heard().await,
        }
    }

    /// Puts an error into the output.
    fn report(&mut self, report: &Report) {
        metrics::error(report.code());
        report.write(&mut self.client.out);
    }

    /// Puts a warning of PostgreSQL's own into the output.
    fn warn(&mut self, sqlstate: &'static str, message: &str) {
        let mut fields = pgring_protocol::message::notice::Fields::new("WARNING", sqlstate, message);
        fields.set(b'V', "WARNING");
        build::notice(&mut self.client.out, &fields);
    }

    /// The status byte of ReadyForQuery.
    fn status(&self) -> u8 {
        match &self.txn {
            None => b'I',
            Some(txn) if txn.failed => b'E',
            Some(_) => b'T',
        }
    }

    /// Ends a batch or simple query: ReadyForQuery, and everything that is ready goes out.
    async fn ready(&mut self) -> Result<(), End> {
        let status = self.status();
        if status == b'I' && self.listening.is_some() {
            self.hear_before_ready().await?;
        }
        build::ready_for_query(&mut self.client.out, status);
        Ok(self.client.flush().await?)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cluster.clients.leave(self.me.id);
        metrics::CLIENTS.decrement(1.0);
    }
}

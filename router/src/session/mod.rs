//! Session: one client's life after its log-in. In: its messages. Out: answers. Never: syntax trees, merging.
//!
//! A message is classified, planned (from the plan cache when its shape was seen), routed and executed; where it may
//! go and what the session must remember of it is decided here.

mod assign;
mod batch;
mod builtin;
mod calls;
mod commit;
mod copy_in;
mod copy_out;
mod cursor;
mod dml;
mod explain;
mod gather;
mod heard;
mod hold;
mod kept;
mod lock;
mod locking;
mod made;
mod names;
mod neighbours;
mod notify;
mod own;
mod own_schema;
mod parts;
mod pins;
pub mod prepared;
mod reference;
mod roles;
mod sequences;
mod settings;
mod simple;
mod sql_prepared;
pub mod stand_in;
mod time;
mod timer;
mod transaction;
mod verbs;
mod word;

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
use foldhash::fast::RandomState;
use pgring_config::{ids::ShardIndex, settings::PoolMode};
use pgring_protocol::{frame::Head, message::build};
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

impl End {
    /// An administrator, or another session, ends it.
    fn killed() -> Self {
        Self::Fatal(Box::new(Report::new(catalogue::SESSION_KILLED).fatal()))
    }
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

/// Why a session of `pool_mode = "session"` keeps its backends.
const SESSION_MODE: &str = "pool_mode = session";
/// How long a session that is killed may take to end by itself.
const KILL_GRACE: Duration = Duration::from_secs(1);
/// Messages without Sync wait so long for what is to come with them.
const PAUSE: Duration = Duration::from_millis(50);

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
    statements: HashMap<Box<[u8]>, Arc<Prepared>, RandomState>,
    told: batch::told::AllTold,
    batch: batch::Batch,
    txn: Option<Txn>,
    pins: Vec<Pin>,
    /// Cursors and portals over several shards.
    kept: Vec<kept::Kept>,
    pinned: bool,
    /// It keeps its backends until it ends (`pool_mode = "session"`).
    keeps: bool,
    /// What it listens on; None: on nothing.
    listening: Option<Box<notify::Listening>>,
    /// Backends that send notifications for it in its present transaction.
    sending: Vec<notify::Sending>,
    /// A backend that it keeps is lost: none is listened to while the client is waited for.
    deaf: bool,
    /// The client has its first ReadyForQuery.
    greeted: bool,
    temp_tables: Vec<Box<str>>,
    /// Cursors WITH HOLD, and where they are; one that is gone may still stand here.
    cursors: Vec<(Box<str>, ShardIndex)>,
    /// A statement of the transaction changed a setting in a way that is not known.
    unexplained: bool,
    /// Code that the session ran may have changed the schema, which was not looked at since.
    suspects: bool,
    /// The cause of a pin may be gone.
    may_be_free: bool,
    /// Marks backends on which this session was the last to use sequences.
    sequences: u64,
    /// The next backend should be the one with that mark.
    seeks_sequences: bool,
    /// It is pinned because it may ask for what a sequence gave it.
    keeps_sequence: bool,
    /// What sequences of sharded tables gave it.
    given: sequences::Given,
    lexed: Lexed,
    pools: Pools,
    /// What is left to be told of a write over several shards.
    rest_of_write: Option<Box<crate::execute::dml::Rest>>,
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
        let keeps = pool_mode(&cluster, &database, &user) == PoolMode::Session;
        if keeps {
            me.add_pin(SESSION_MODE);
        }
        Self {
            cluster,
            database,
            user,
            worker,
            me,
            client,
            settings: Settings::default(),
            statements: HashMap::default(),
            told: batch::told::AllTold::default(),
            batch: batch::Batch::default(),
            txn: None,
            pins: Vec::new(),
            kept: Vec::new(),
            pinned: keeps,
            keeps,
            listening: None,
            sending: Vec::new(),
            deaf: false,
            greeted: false,
            temp_tables: Vec::new(),
            cursors: Vec::new(),
            unexplained: false,
            suspects: false,
            may_be_free: false,
            sequences: pins::fresh_number(),
            seeks_sequences: false,
            keeps_sequence: false,
            given: sequences::Given::default(),
            lexed: Lexed::default(),
            pools: Pools::default(),
            rest_of_write: None,
        }
    }

    /// Takes on the settings of the start-up packet, tells the client what the server says of them, and serves it
    /// until it goes.
    pub async fn run(mut self: Box<Self>, startup: Vec<(String, String)>, key: Vec<u8>) {
        let me = self.me.clone();
        let served = async {
            let started = Box::pin(self.start(&startup, &key)).await;
            drop((startup, key));
            match started {
                Ok(()) => self.serve().await,
                Err(end) => end,
            }
        };
        let end = tokio::select! {
            biased;
            end = served => end,
            () = overdue(&me) => End::killed(),
        };
        Box::pin(self.end(end)).await;
    }

    async fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.message().await {
                return end;
            }
        }
    }

    async fn end(mut self: Box<Self>, end: End) {
        // What came before the bytes that cannot be read is answered before them.
        if matches!(end, End::Client(FrontendError::OutOfStep(_) | FrontendError::TooLarge(_))) {
            let _answered = self.interrupt_batch(None).await;
        }
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
        self.release_all_kept().await;
        self.keeps = false;
        self.unpin().await;
    }

    /// One message of the client.
    async fn message(&mut self) -> Result<(), End> {
        self.answer().await?;
        if self.client.ready_held {
            self.client.ready_held = false;
            self.ready().await?;
        }
        if self.given.needs_care() {
            self.settle_sequences().await;
        }
        self.have_sent();
        Ok(())
    }

    async fn answer(&mut self) -> Result<(), End> {
        let head = self.next_head().await?;
        self.deaf = false;
        if batch::is_gathered(head.kind) {
            return self.gather(head).await;
        }
        let _timer = self.timer(head.kind);
        match head.kind {
            b'S' => return self.sync(head).await,
            b'H' => return self.flush_batch(head).await,
            // Data of a COPY that waits for a Sync: it begins now, and takes them.
            b'd' | b'c' | b'f' if self.client.held() > 0 && !self.is_skipping() => return self.flush_held().await,
            b'X' => return self.leave().await,
            // What is left of a COPY that has failed already.
            b'd' | b'c' | b'f' => {
                self.client.take(head);
                return Ok(());
            }
            _ => {
                let rides = matches!(head.kind, b'Q' | b'F').then_some(head);
                if self.interrupt_batch(rides).await? {
                    return self.ridden(head).await;
                }
            }
        }
        let frame = self.client.take(head);
        match head.kind {
            _ if self.is_skipping() => Ok(()),
            b'Q' => {
                self.forget_unnamed();
                self.simple(frame).await?;
                if self.txn.is_none() {
                    self.forget_portals();
                }
                if !self.kept.is_empty() {
                    self.sweep_portals().await;
                }
                Ok(())
            }
            b'F' => Box::pin(self.function_call(&frame)).await,
            kind => Err(FrontendError::OutOfStep(format!("invalid frontend message type {kind}")).into()),
        }
    }

    /// A message was answered together with what stood before it without Sync.
    async fn ridden(&mut self, head: Head) -> Result<(), End> {
        if head.kind == b'Q' {
            self.forget_unnamed();
        }
        Ok(self.client.flush().await?)
    }

    /// A simple query ends the unnamed statement.
    fn forget_unnamed(&mut self) {
        if !self.statements.is_empty() {
            self.statements.remove(&b""[..]);
        }
    }

    /// The client leaves: what it asked before is worked off, as PostgreSQL would have by now. Without a Sync it hears
    /// of errors alone.
    async fn leave(&mut self) -> Result<(), End> {
        self.catch_up().await?;
        self.client.keeps = true;
        self.interrupt_batch(None).await?;
        self.client.keeps = false;
        if self.is_skipping() {
            self.client.flush().await?;
        }
        Err(End::Terminate)
    }

    async fn next_head(&mut self) -> Result<Head, End> {
        loop {
            if let Some(head) = self.client.next_head()? {
                return Ok(head);
            }
            self.catch_up().await?;
            self.client.shrink();
            self.idle().await?;
        }
    }

    /// Waits for bytes of the client, and for what may come first: a time-out, a KILL, a notification.
    async fn idle(&mut self) -> Result<(), End> {
        let in_transaction = self.txn.is_some();
        self.me.set_doing(if in_transaction { Doing::InTransaction } else { Doing::Idle });
        if self.me.is_killed() {
            return Err(End::killed());
        }
        // Messages that wait for a Sync are not kept from the server for long.
        let waits = self.client.held() > 0;
        let limits = self.cluster.settings.load();
        let limit = if waits {
            Some(PAUSE)
        } else if in_transaction {
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
        let keeps_sequence = self.keeps_sequence && !in_transaction;
        let forgotten = async {
            match keeps_sequence {
                true => tokio::time::sleep(pins::SEQUENCE_KEPT).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = self.client.read() => Ok(read?),
            () = forgotten => {
                self.leave_sequence();
                Ok(())
            }
            () = self.me.wake.notified() => Ok(()),
            () = expired => {
                if waits {
                    let _timer = self.timer(b'H');
                    return Box::pin(self.work_early()).await;
                }
                let entry = if in_transaction { catalogue::IDLE_IN_TRANSACTION } else { catalogue::IDLE_TIMEOUT };
                Err(End::Fatal(Box::new(Report::new(entry).fatal())))
            }
            () = notify::something(ear.as_deref()) => self.tell_heard().await,
            heard = word::word(&mut self.txn, &mut self.pins, self.deaf) => Box::pin(self.pass_word(heard)).await,
        }
    }

    /// Puts an error into the output.
    fn report(&mut self, report: &Report) {
        metrics::error(report.code());
        report.write(&mut self.client.out);
    }

    /// Puts a warning of PostgreSQL's own into the output.
    fn warn(&mut self, sqlstate: &'static str, message: &str) {
        if !names::hears_warnings(&self.settings.current) {
            return;
        }
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
        self.client.tell(&self.settings.now);
        build::ready_for_query(&mut self.client.out, status);
        Ok(self.client.flush().await?)
    }
}

/// When backends go back: the user's own mode goes before the database's, and that before everybody's.
fn pool_mode(cluster: &Cluster, database: &Database, user: &User) -> PoolMode {
    let settings = cluster.settings.load();
    let of_user = settings.user(&user.name).and_then(|user| user.pool_mode);
    of_user.or(database.settings.pool_mode).unwrap_or(settings.pool.mode)
}

/// Waits until a client that was to end has not done so by itself: it waits in a queue, or for a reader.
async fn overdue(me: &Client) {
    me.killing.notified().await;
    tokio::time::sleep(KILL_GRACE).await;
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cluster.clients.leave(self.me.id);
        metrics::CLIENTS.decrement(1.0);
    }
}

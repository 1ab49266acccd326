//! Watch: word of changes, by LISTEN and by asking once a second. In: the catalog. Out: events. Never: a snapshot;
//! an end because the catalog is away (the router keeps serving from what it has).

use super::Catalog;
use crate::ids::Epoch;
use std::{future::poll_fn, time::Duration};
use tokio::{
    sync::mpsc::Sender,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client};

/// How often the version is asked for, whatever was heard.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// First and longest wait before connecting again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The catalog has this version: load it, unless it is the one at hand. Told after each (re)connect too.
    Topology {
        /// Version of the placement.
        epoch: Epoch,
        /// Version of the tables.
        tables_version: u64,
    },
    /// The schema may have changed, says another. Told after each (re)connect too, since word may have been missed.
    Schema,
}

/// The events' receiver is gone.
struct Deaf;

/// Why a connection is given up.
enum Lost {
    Deaf,
    Connection(Box<dyn std::error::Error + Send + Sync>),
}

impl From<Deaf> for Lost {
    fn from(_: Deaf) -> Self {
        Self::Deaf
    }
}

impl From<tokio_postgres::Error> for Lost {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Connection(Box::new(error))
    }
}

impl Catalog {
    /// Sends what is heard until the receiver is gone. Runs in a task of the caller's; holds one connection of
    /// its own, made anew with back-off (0.1 to 5 s) whenever it is lost.
    pub async fn watch(self, events: Sender<Heard>) {
        let mut wait = BACK_OFF.0;
        while !events.is_closed() {
            let mut heard_any = false;
            match self.listen(&events, &mut heard_any).await {
                Lost::Deaf => return,
                Lost::Connection(error) => tracing::warn!(database = %self.database, %error, "catalog is away"),
            }
            wait = if heard_any { BACK_OFF.0 } else { (wait * 2).min(BACK_OFF.1) };
            tokio::select! {
                () = sleep(wait) => {}
                () = events.closed() => return,
            }
        }
    }

    /// Listens on one connection until it is lost.
    async fn listen(&self, events: &Sender<Heard>, heard_any: &mut bool) -> Lost {
        let (client, mut driver) = match self.dialer.connect(&self.config).await {
            Ok(connected) => connected,
            Err(error) => return Lost::Connection(error),
        };
        let (wake, mut woken) = tokio::sync::mpsc::channel(1);
        let drive = async {
            loop {
                match poll_fn(|context| driver.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(note))) if note.channel() == "pgring_schema" => {
                        if note.payload() != &*self.voice && events.send(Heard::Schema).await.is_err() {
                            return Lost::Deaf;
                        }
                    }
                    // Full: it will ask anyway.
                    Some(Ok(AsyncMessage::Notification(_))) => drop(wake.try_send(())),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error.into(),
                    None => return Lost::Connection("the catalog closed the connection".into()),
                }
            }
        };
        tokio::select! {
            lost = drive => lost,
            lost = ask(&client, &mut woken, events, heard_any) => lost,
            () = events.closed() => Lost::Deaf,
        }
    }
}

/// Asks for the version when woken and once a second, and tells when it is another.
async fn ask(
    client: &Client,
    woken: &mut tokio::sync::mpsc::Receiver<()>,
    events: &Sender<Heard>,
    heard_any: &mut bool,
) -> Lost {
    let mut known = None;
    let mut tick = interval(ASK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = woken.recv() => {}
        }
        match ask_once(client, known, events).await {
            Ok(version) => {
                known = Some(version);
                *heard_any = true;
            }
            Err(lost) => return lost,
        }
    }
}

async fn ask_once(client: &Client, known: Option<(i64, i64)>, events: &Sender<Heard>) -> Result<(i64, i64), Lost> {
    let slow = |_| Lost::Connection("the catalog does not answer".into());
    if known.is_none() {
        timeout(PATIENCE, client.batch_execute("LISTEN pgring_topology; LISTEN pgring_schema"))
            .await
            .map_err(slow)??;
        tell(events, Heard::Schema).await?;
    }
    const VERSION: &str = "SELECT epoch, tables_version FROM pgring.epoch";
    let row = timeout(PATIENCE, client.query_one(VERSION, &[])).await.map_err(slow)??;
    let version = (row.get(0), row.get(1));
    if known != Some(version) {
        let (epoch, tables_version) = (Epoch(version.0 as u64), version.1 as u64);
        tell(events, Heard::Topology { epoch, tables_version }).await?;
    }
    Ok(version)
}

async fn tell(events: &Sender<Heard>, heard: Heard) -> Result<(), Deaf> {
    events.send(heard).await.map_err(|_| Deaf)
}

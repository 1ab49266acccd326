//! A client that knows what it must see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use pgring_integration_tests::client::{Frame, Raw};
use pgring_integration_tests::postgres::DATABASE;
use pgring_integration_tests::script::query;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio_rustls::rustls::ClientConfig;

use crate::PATIENCE;
use crate::state::{SETTINGS, State};

/// Something that is counted when it is committed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Acknowledged.
    pub(crate) sure: AtomicU64,
    /// A COMMIT was sent whose answer nobody waited for.
    pub(crate) unsure: AtomicU64,
}

/// What all clients share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) port: u16,
    socket: PathBuf,
    tls: Arc<ClientConfig>,
    next: AtomicU64,
    pub(crate) counted: Tally,
    pub(crate) copied: Tally,
    did: Mutex<BTreeMap<&'static str, u64>>,
}

impl World {
    pub(crate) fn new(port: u16, socket: PathBuf, tls: Arc<ClientConfig>) -> Self {
        Self {
            port,
            socket,
            tls,
            next: AtomicU64::new(1),
            counted: Tally::default(),
            copied: Tally::default(),
            did: Mutex::default(),
        }
    }

    /// Takes note of something that came about.
    pub(crate) fn note(&self, what: &'static str) {
        *self.did.lock().unwrap().entry(what).or_default() += 1;
    }

    /// What came about, and how often.
    pub(crate) fn did(&self) -> String {
        let did = self.did.lock().unwrap();
        did.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
    }
}

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Tcp,
    Unix,
    Tls,
}

/// What a request was answered with; notices, settings and notifications left out.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Values of each row, text.
    pub(crate) rows: Vec<Vec<String>>,
    /// SQLSTATEs.
    pub(crate) errors: Vec<String>,
    /// Tags.
    pub(crate) tags: Vec<String>,
    /// COPY data.
    pub(crate) copied: Vec<String>,
    /// Notifications: channel and payload.
    pub(crate) heard: Vec<(String, String)>,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) world: Arc<World>,
    pub(crate) raw: Raw,
    pub(crate) random: StdRng,
    /// No other client has this number.
    pub(crate) number: u64,
    pub(crate) is_tls: bool,
    said: u64,
    /// Settings of its start-up packet, and the server's.
    pub(crate) defaults: BTreeMap<&'static str, String>,
    pub(crate) now: State,
    committed: State,
    /// As it was at the savepoint, if there is one.
    pub(crate) saved: Option<State>,
    pub(crate) status: u8,
    /// Named statements of the wire and what they answer before the parameter.
    pub(crate) statements: BTreeMap<String, String>,
    pub(crate) locks: BTreeMap<u8, u64>,
    /// What it asked last, for who reads a failure.
    pub(crate) trace: Vec<String>,
}

impl Player {
    /// Connects and logs in.
    pub(crate) async fn enter(world: Arc<World>, random: StdRng, way: Way) -> Self {
        let number = world.next.fetch_add(1, Ordering::Relaxed);
        let mut raw = match way {
            Way::Tcp => Raw::connect(world.port).await,
            Way::Unix => Raw::connect_unix(&world.socket).await,
            Way::Tls => Raw::connect_tls(world.port, world.tls.clone()).await,
        };
        let mut defaults: BTreeMap<&'static str, String> = [
            ("application_name", ""),
            ("search_path", "\"$user\", public"),
            ("work_mem", "4MB"),
            ("timezone", ""),
            ("datestyle", ""),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        let (name, memory) = (format!("at start {number}"), format!("{}kB", 100 + number % 900));
        let options = format!("-c work_mem={memory}");
        let mut startup = vec![("user", "postgres"), ("database", DATABASE)];
        if number.is_multiple_of(3) {
            startup.extend([("application_name", name.as_str()), ("options", options.as_str())]);
            defaults.extend([("application_name", name.clone()), ("work_mem", memory)]);
        }
        raw.start_up(&startup).await;
        raw.authenticate("postgres", "postgres").await.unwrap_or_else(|error| panic!("{:?}", error.fields()));
        for (name, reported) in [("timezone", "TimeZone"), ("datestyle", "DateStyle")] {
            defaults.insert(name, raw.parameters[reported].clone());
        }
        Self {
            world,
            raw,
            random,
            number,
            is_tls: way == Way::Tls,
            said: 0,
            defaults,
            now: State::default(),
            committed: State::default(),
            saved: None,
            status: b'I',
            statements: BTreeMap::new(),
            locks: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    /// One of so many.
    pub(crate) fn any(&mut self, below: u64) -> u64 {
        self.random.random_range(0..below)
    }

    /// A text that no other request holds.
    pub(crate) fn word(&mut self) -> String {
        self.said += 1;
        format!("v{}.{}", self.number, self.said)
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.status == b'E'
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.status != b'I'
    }

    /// Sends bytes and reads up to so many ReadyForQuery.
    pub(crate) async fn ask(&mut self, bytes: &[u8], readies: usize) -> Answer {
        let shown = String::from_utf8_lossy(bytes).chars().take(300).collect();
        self.trace.push(shown);
        assert!(self.raw.send(bytes).await, "closed at {:?}", self.trace);
        self.answer(readies).await
    }

    /// Reads up to so many ReadyForQuery.
    pub(crate) async fn answer(&mut self, readies: usize) -> Answer {
        let mut answer = Answer::default();
        for _ in 0..readies {
            loop {
                let read = self.raw.read_within(PATIENCE).await;
                let read =
                    read.unwrap_or_else(|_| panic!("{:?} wait in vain after {:?}", self.raw.cancel_key, self.trace));
                let frame = read.unwrap_or_else(|| panic!("closed after {:?}", self.trace));
                if frame.tag == b'Z' {
                    self.status = frame.body[0];
                    break;
                }
                self.take(&frame, &mut answer);
            }
        }
        answer
    }

    fn take(&mut self, frame: &Frame, answer: &mut Answer) {
        match frame.tag {
            b'D' => answer.rows.push(values(frame)),
            b'E' => {
                let fields = frame.fields();
                let code = fields[&b'C'].clone();
                assert_ne!(fields[&b'S'], "FATAL", "{fields:?} after {:?}", self.trace);
                answer.errors.push(code);
            }
            b'C' => answer.tags.push(frame.text()),
            b'd' => answer.copied.push(String::from_utf8_lossy(&frame.body).trim_end().to_owned()),
            b'A' => {
                let parts: Vec<_> = frame.body[4..].split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
                answer.heard.push((parts[0].to_string(), parts[1].to_string()));
            }
            b'S' => {
                let parts: Vec<_> = frame.body.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
                self.raw.parameters.insert(parts[0].to_string(), parts[1].to_string());
            }
            b'1' | b'2' | b'3' | b'n' | b's' | b't' | b'T' | b'N' | b'I' | b'G' | b'H' | b'c' => {}
            other => panic!("message {:?} after {:?}", char::from(other), self.trace),
        }
    }

    /// One simple query. In a failed transaction it fails, else it gives these rows; returns whether it ran.
    pub(crate) async fn runs(&mut self, sql: &str, rows: &[&[&str]]) -> bool {
        let (before, listened) = (self.status, self.now.listens.clone());
        let answer = self.ask(&query(sql), 1).await;
        self.check_heard(&answer, &listened);
        if before == b'E' {
            assert_eq!((&answer.errors[..], self.status), (&["25P02".to_owned()][..], b'E'), "{sql}: {:?}", self.trace);
            return false;
        }
        assert!(answer.errors.is_empty(), "{sql}: {:?} after {:?}", answer.errors, self.trace);
        assert_eq!(self.status, before, "{sql}: {:?}", self.trace);
        assert_eq!(answer.rows, rows, "{sql}: {:?}", self.trace);
        true
    }

    /// One simple query that fails.
    pub(crate) async fn fails(&mut self, sql: &str, code: &str) {
        let before = self.status;
        let answer = self.ask(&query(sql), 1).await;
        let code = if before == b'E' { "25P02" } else { code };
        assert_eq!(answer.errors, [code], "{sql}: {:?}", self.trace);
        self.must_be(if before == b'I' { b'I' } else { b'E' });
    }

    pub(crate) fn must_be(&mut self, status: u8) {
        assert_eq!(char::from(self.status), char::from(status), "after {:?}", self.trace);
    }

    /// Only what it listens on, or did when it asked, is heard.
    pub(crate) fn check_heard(&self, answer: &Answer, before: &std::collections::BTreeSet<u8>) {
        for (channel, payload) in &answer.heard {
            let at: u8 = channel.strip_prefix('c').and_then(|at| at.parse().ok()).unwrap();
            assert!(before.contains(&at) || self.now.listens.contains(&at), "heard {channel} after {:?}", self.trace);
            assert!(payload.starts_with(&format!("{channel}:")), "{payload} on {channel}");
        }
    }

    /// BEGIN.
    pub(crate) async fn begin(&mut self) {
        if self.status == b'I' {
            self.committed = self.now.clone();
            let answer = self.ask(&query("BEGIN"), 1).await;
            assert!(answer.errors.is_empty(), "{:?}", answer.errors);
            self.must_be(b'T');
        }
    }

    /// A transaction that follows the one before at once.
    pub(crate) fn begin_again(&mut self) {
        self.committed = self.now.clone();
    }

    /// The transaction is over.
    pub(crate) fn ended(&mut self, commits: bool) {
        if commits {
            self.settle();
        } else {
            self.now = self.committed.clone();
        }
        self.now.local.clear();
        self.saved = None;
    }

    /// What was counted is committed.
    pub(crate) fn settle(&mut self) {
        self.world.counted.sure.fetch_add(std::mem::take(&mut self.now.counted), Ordering::SeqCst);
        self.world.copied.sure.fetch_add(std::mem::take(&mut self.now.copied), Ordering::SeqCst);
    }

    /// What was counted may be committed: nobody will know.
    pub(crate) fn leave_open(&mut self) {
        self.world.counted.unsure.fetch_add(std::mem::take(&mut self.now.counted), Ordering::SeqCst);
        self.world.copied.unsure.fetch_add(std::mem::take(&mut self.now.copied), Ordering::SeqCst);
    }

    /// The server has its settings, and it was told of them.
    pub(crate) async fn check_settings(&mut self) {
        let listened = self.now.listens.clone();
        let columns = SETTINGS.map(|name| format!("coalesce(current_setting('{name}', true), '')")).join(", ");
        let answer = self.ask(&query(&format!("SELECT {columns}, current_user")), 1).await;
        self.check_heard(&answer, &listened);
        if self.is_failed() {
            assert_eq!(answer.errors, ["25P02"]);
            return;
        }
        let user = if self.now.is_soaker { "soaker" } else { "postgres" };
        let values = SETTINGS.map(|name| self.now.value(name, &self.defaults));
        let expected: Vec<String> = values.into_iter().chain([user.to_owned()]).collect();
        assert_eq!(answer.rows, [expected], "{:?} {:?}", answer.errors, self.trace);
        for (name, reported) in
            [("application_name", "application_name"), ("timezone", "TimeZone"), ("datestyle", "DateStyle")]
        {
            let told = self.raw.parameters.get(reported).cloned().unwrap_or_default();
            assert_eq!(told, self.now.value(name, &self.defaults), "{reported}: {:?}", self.trace);
        }
    }

    /// It has its own temporary table, or none.
    pub(crate) async fn check_temp(&mut self) {
        if self.now.has_temp {
            let number = self.number.to_string();
            self.runs("SELECT owner FROM mine", &[&[&number]]).await;
        } else {
            self.fails("SELECT owner FROM mine", "42P01").await;
        }
    }
}

/// The values of a row, in text.
fn values(frame: &Frame) -> Vec<String> {
    let mut rest = &frame.body[2..];
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_at_checked(4) {
        let length = i32::from_be_bytes(length.try_into().unwrap());
        let (value, left) = after.split_at(usize::try_from(length).unwrap_or(0));
        values.push(if length < 0 { "NULL".to_owned() } else { String::from_utf8_lossy(value).into_owned() });
        rest = left;
    }
    values
}

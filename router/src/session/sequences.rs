//! Sequences: values that pgring puts into a statement before it is planned, and what sequences gave this session. In: a plan
//! that says where. Out: the statement with the values in it. Never: a value that the session did not get.

use super::{Fault, Session, prepared::Prepared, simple::Statement};
use crate::{
    cluster::Snapshot,
    control::ControlError,
    error::{Report, catalogue},
    execute::splice::{self, Respelled},
    plan::{Generate, Maker, Part, Piece, Plan, SessionEffect, Splice},
    pool::conn::{Conn, ConnError},
    sequences,
    sql::fingerprint::{Lexed, lex},
    txn::Reach,
};
use bytes::BytesMut;
use pgring_protocol::message::{build, extended::BindParameters, notice::Fields};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// What sequences gave a session, as far as no server knows it.
#[derive(Debug, Default)]
pub(super) struct Given {
    last: Option<i64>,
    by_sequence: HashMap<u32, i64>,
    /// The transaction has put a sequence to another value, and holds its lock.
    moved: bool,
    /// A statement has done so: what was drawn before is void.
    pub(super) restarted: bool,
}

impl Given {
    /// Nothing, as after DISCARD SEQUENCES.
    pub(super) fn forget(&mut self) {
        self.last = None;
        self.by_sequence.clear();
    }

    /// A statement may have put a sequence to another value.
    pub(super) fn needs_care(&self) -> bool {
        self.restarted || self.moved
    }

    /// A server draws for this statement: what it gives is the newest.
    pub(super) fn note(&mut self, effect: &SessionEffect) {
        self.restarted |= effect.restarts;
        if effect.draws || !effect.drawn.is_empty() {
            self.last = None;
            self.by_sequence.retain(|sequence, _| !effect.drawn.contains(sequence));
        }
    }

    /// All values can be had without a server's knowing one.
    fn has_all(&self, generate: &Generate) -> bool {
        let (mut any, mut drawn) = (self.last.is_some(), Vec::new());
        makers(generate).all(|maker| match maker {
            Maker::Next(sequence) => {
                any = true;
                drawn.push(sequence);
                true
            }
            Maker::Current(sequence) => drawn.contains(&sequence) || self.by_sequence.contains_key(&sequence),
            Maker::Last => any,
            Maker::Uuid | Maker::Snowflake => true,
        })
    }
}

/// A statement with values in it.
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) lexed: Lexed,
    pub(super) respelled: Respelled,
}

impl Session {
    /// Draws values of a sequence of sharded tables, by its OID on the default shard, in their order.
    ///
    /// # Errors
    /// The default shard's, such as 2200H.
    pub(super) async fn draw(
        &mut self,
        sequence: u32,
        wanted: usize,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<i64>, Fault> {
        let within = self.txn.as_ref().is_some_and(|txn| txn.schema_changed || self.given.moved);
        if within {
            return self.draw_within(sequence, wanted, snapshot).await;
        }
        let drawn = sequences::draw(&self.database, snapshot, sequence, wanted).await;
        drawn.map_err(|error| self.not_drawn(&error))
    }

    /// The transaction holds a lock of the sequence, or has made it: only its own backend can draw.
    async fn draw_within(&mut self, sequence: u32, wanted: usize, snapshot: &Arc<Snapshot>) -> Result<Vec<i64>, Fault> {
        let default = snapshot.topology.default_shard;
        let mut held = self.hold(snapshot, default).await?;
        if let Err(error) = held.open().await {
            return Err(self.lost_while_held(&error));
        }
        let sql = format!(
            "SELECT pg_catalog.nextval({sequence}::pg_catalog.oid::pg_catalog.regclass) \
             FROM pg_catalog.generate_series(1, {wanted})"
        );
        let (held, rows) = self.beside_client(held, async |conn: &mut Conn| conn.housekeep(&sql).await).await?;
        match rows {
            Ok(rows) => {
                self.let_go(held, b'T', Reach::Nothing);
                let number = |row: Vec<Option<String>>| row.first()?.as_deref()?.parse().ok();
                Ok(rows.into_iter().filter_map(number).collect())
            }
            Err(ConnError::Server(fields)) => {
                self.let_go(held, b'E', Reach::Nothing);
                Err(self.told(*fields))
            }
            Err(error) => Err(self.lost_while_held(&error)),
        }
    }

    fn not_drawn(&mut self, error: &ControlError) -> Fault {
        let ControlError::Server(failed) = error else {
            return Report::new(catalogue::SHARD_UNAVAILABLE).detail(error.to_string()).into();
        };
        let Some(reported) = failed.as_db_error() else {
            return Report::new(catalogue::SHARD_UNAVAILABLE).detail(error.to_string()).into();
        };
        let mut fields = Fields::new("ERROR", reported.code().code(), reported.message());
        [(b'D', reported.detail()), (b'H', reported.hint())]
            .into_iter()
            .for_each(|(field, text)| text.into_iter().for_each(|text| fields.set(field, text)));
        self.told(fields)
    }

    /// The values that a statement wants, in their order; None: a server knows one of them.
    async fn values_for(
        &mut self,
        generate: &Generate,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<Vec<String>>, Fault> {
        if !self.given.has_all(generate) {
            return Ok(None);
        }
        let mut drawn: HashMap<u32, VecDeque<i64>> = HashMap::new();
        let mut flakes = VecDeque::new();
        let mut wanted: HashMap<Option<u32>, usize> = HashMap::new();
        for maker in makers(generate) {
            match maker {
                Maker::Next(sequence) => *wanted.entry(Some(sequence)).or_default() += 1,
                Maker::Snowflake => *wanted.entry(None).or_default() += 1,
                Maker::Current(_) | Maker::Last | Maker::Uuid => {}
            }
        }
        for (sequence, wanted) in wanted {
            match sequence {
                Some(sequence) => {
                    drawn.insert(sequence, self.draw(sequence, wanted, snapshot).await?.into());
                }
                None => {
                    let made = sequences::snowflakes(&self.database, snapshot, wanted).await;
                    flakes.extend(made.map_err(|error| self.not_drawn(&error))?);
                }
            }
        }
        let given = &mut self.given;
        let mut one = |maker: Maker| match maker {
            Maker::Next(sequence) => {
                let value = drawn.get_mut(&sequence)?.pop_front()?;
                given.by_sequence.insert(sequence, value);
                given.last = Some(value);
                Some(value.to_string())
            }
            Maker::Current(sequence) => given.by_sequence.get(&sequence).map(i64::to_string),
            Maker::Last => given.last.map(|value| value.to_string()),
            Maker::Uuid => Some(uuid()),
            Maker::Snowflake => flakes.pop_front().map(|value| value.to_string()),
        };
        let values: Option<Vec<String>> = makers(generate).map(&mut one).collect();
        let few = || Report::new(catalogue::INTERNAL).detail("a sequence gave fewer values than were asked for");
        Ok(Some(values.ok_or_else(few)?))
    }

    /// A statement of the simple protocol with its values; None: it runs as its plan for that says.
    pub(super) async fn filled(
        &mut self,
        generate: &Generate,
        statement: &Statement<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<Filled>, Fault> {
        let Some(values) = self.values_for(generate, snapshot).await? else { return Ok(None) };
        let spelled = |nth: usize, maker: Maker, typed: bool| {
            let value = values.get(nth).map_or("", String::as_str);
            match (maker, typed) {
                (Maker::Uuid, _) => format!("'{value}'"),
                (_, true) => format!("'{value}'::pg_catalog.int8"),
                (_, false) => value.to_owned(),
            }
        };
        let client = statement.text.as_bytes();
        let (sent, origins) = splice::apply_with_origins(client, statement.lexed, &splices(generate, &spelled));
        let text = String::from_utf8_lossy(&sent).into_owned();
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        let respelled = Respelled { client: client.to_vec(), sent, origins };
        Ok(Some(Filled { text, lexed, respelled }))
    }

    /// A bound statement with its values as further parameters: the statement, and the body of its Bind behind the
    /// statement's name. None: it runs as its plan for that says.
    pub(super) async fn filled_bind(
        &mut self,
        generate: &Generate,
        prepared: &Arc<Prepared>,
        parameters: &BindParameters<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<(Arc<Prepared>, Vec<u8>)>, Fault> {
        let Some(values) = self.values_for(generate, snapshot).await? else { return Ok(None) };
        let before = parameters.len();
        let spelled = |nth: usize, _, typed: bool| {
            let cast = if typed { "::pg_catalog.int8" } else { "" };
            format!("${}{cast}", before + nth + 1)
        };
        let text = splice::apply(prepared.text.as_bytes(), &prepared.lexed, &splices(generate, &spelled));
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut types = prepared.types().to_vec();
        types.resize(before, 0);
        let shared = prepared.id.is_some() && !self.has_own_schema();
        let version = shared.then(|| self.database.snapshot().schema.version);
        let filled = Arc::new(Prepared::read(&text, types.into(), version));
        Ok(Some((filled, with_parameters(parameters, &values))))
    }

    /// Sees to what statements have done to sequences: what was drawn before is void, here and on other routers.
    pub(super) async fn settle_sequences(&mut self) {
        let ended = self.txn.is_none() && std::mem::take(&mut self.given.moved);
        if !std::mem::take(&mut self.given.restarted) && !ended {
            return;
        }
        self.database.windows.void();
        if let Some(catalog) = &self.database.catalog {
            catalog.notify_schema().await.ok();
        }
    }

    /// A statement puts sequences to other values; a transaction holds their locks until it ends.
    pub(super) fn note_moved_sequences(&mut self) {
        self.given.moved = true;
        self.given.restarted = true;
    }

    /// The plan that a statement runs by when its values are a server's.
    pub(super) fn otherwise(generate: &Generate) -> Arc<Plan> {
        generate.otherwise.clone().unwrap_or_else(|| Arc::new(Plan::local()))
    }
}

fn makers(generate: &Generate) -> impl Iterator<Item = Maker> + '_ {
    generate.places.iter().flat_map(|place| &place.with).filter_map(|part| match part {
        Part::Value { maker, .. } => Some(*maker),
        Part::Text(_) => None,
    })
}

fn splices(generate: &Generate, spelled: &dyn Fn(usize, Maker, bool) -> String) -> Vec<Splice> {
    let mut nth = 0;
    let mut piece = |part: &Part| match part {
        Part::Text(text) => Piece::Text(text.to_string()),
        Part::Value { maker, typed } => {
            nth += 1;
            Piece::Text(spelled(nth - 1, *maker, *typed))
        }
    };
    let places = generate.places.iter();
    places
        .map(|place| Splice { start: place.start, end: place.end, with: place.with.iter().map(&mut piece).collect() })
        .collect()
}

/// A Bind's parameters, then these as text.
fn with_parameters(parameters: &BindParameters<'_>, more: &[String]) -> Vec<u8> {
    let count = (parameters.len() + more.len()) as u16;
    let mut out = BytesMut::new();
    out.extend_from_slice(&count.to_be_bytes());
    let formats = parameters.iter().map(|parameter| parameter.format).chain(more.iter().map(|_| 0));
    formats.for_each(|format| out.extend_from_slice(&format.to_be_bytes()));
    out.extend_from_slice(&count.to_be_bytes());
    let own = parameters.iter().map(|parameter| parameter.value);
    for value in own.chain(more.iter().map(|value| Some(value.as_bytes()))) {
        let length = value.map_or(-1, |value| value.len() as i32);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value.unwrap_or_default());
    }
    let results = parameters.result_formats();
    out.extend_from_slice(&(results.len() as u16).to_be_bytes());
    results.iter().for_each(|format| out.extend_from_slice(&format.to_be_bytes()));
    out.to_vec()
}

/// Whether a change of schema may put a sequence to another value.
pub(super) fn may_move(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["sequence", "restart", "identity", "increment"].iter().any(|word| text.contains(word))
}

/// A random UUID, of version 4.
fn uuid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    uuid::Uuid::from_bytes(bytes).to_string()
}

/// A Query with this text.
pub(super) fn message(text: &str) -> BytesMut {
    let mut out = BytesMut::new();
    build::query(&mut out, text.as_bytes());
    out
}

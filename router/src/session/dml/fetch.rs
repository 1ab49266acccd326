//! Fetch: the rows of an INSERT are computed on one server, as values of the table's own columns, and then written each on
//! the shard of its key. In: a plan. Out: what each shard gets. Never: a conversion of pgring's own; more rows than
//! `max_gather` allows.

use super::{
    super::{Fault, Session, calls::Execution, hold::Held, simple::Target},
    Part, Parts,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        dml::{Edit, Text},
        gather::{self, NO_PARAMETERS},
        scatter::ScatterError,
        splice,
    },
    plan::{Fetch, Gather, Many, Plan, PlanKind, Sharded},
    pool::conn::{Conn, ConnError},
    route::{self, bind::Values},
    sql::fingerprint::{Lexed, lex},
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::{
    message::{build, result},
    quote,
};
use std::{collections::BTreeMap, sync::Arc};

/// The server on which rows are computed.
struct Home {
    held: Held,
    /// Types of the statement's parameters.
    types: Vec<u32>,
    /// The query.
    text: Vec<u8>,
    /// Its columns.
    width: usize,
}

/// Rows by the shard of their key.
#[derive(Default)]
struct Rows {
    by_shard: BTreeMap<ShardIndex, Vec<String>>,
    homes: Vec<ShardIndex>,
    bytes: u64,
}

fn cannot(what: &str, hint: &str) -> Fault {
    Report::new(catalogue::WRITE_MANY_SHARDS).detail(what).hint(hint).into()
}

impl Session {
    /// What the shards get. `own`: the transaction has done nothing yet.
    pub(super) async fn fetch(
        &mut self,
        (sharded, fetch): (&Sharded, &Fetch),
        edits: &[Edit],
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        (own, snapshot): (bool, &Arc<Snapshot>),
    ) -> Result<Option<Parts>, Fault> {
        self.judge(values.text, execution.as_ref(), snapshot).await?;
        let (from, to) = (values.lexed.text_at(fetch.query.0), values.lexed.text_at(fetch.query.1));
        let mut query = Text::default();
        query.copy(values.text, from, to, edits);
        let query = String::from_utf8_lossy(&query.sent).into_owned();
        let mut home = self.home(&query, values, execution, (own, snapshot)).await?;
        let found = compute(home.held.conn(), &home.text, (&home.types, home.width), fetch, execution.as_ref()).await;
        let most = self.database.settings.max_gather.bytes();
        let taken = match found {
            Ok(()) => self.take_rows(&mut home.held, (sharded, fetch), most, snapshot).await,
            Err(error) => Err(error.into()),
        };
        self.let_home_go(home.held, matches!(&taken, Ok(_) | Err(ScatterError::Server(_)))).await;
        self.me.end_work();
        let rows = taken.map_err(|error| self.fault_of(error, None))?;
        Ok(rows.map(|rows| parts(rows, fetch, (from, to), edits, values, sharded, snapshot)))
    }

    /// A server that can answer the query, in a transaction that is rolled back.
    async fn home(
        &mut self,
        query: &str,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        (own, snapshot): (bool, &Arc<Snapshot>),
    ) -> Result<Home, Fault> {
        let mut lexed = Lexed::default();
        lex(query.as_bytes(), &mut lexed);
        let plan = self.plan(query, &mut lexed);
        let inner = Values { text: query.as_bytes(), lexed: &lexed, ..*values };
        if let Some(gather) = gathers(&plan) {
            let gathered = self.bring_together(gather, &inner, execution, snapshot).await?;
            let width = gathered.fields.len();
            return Ok(Home { held: gathered.home, types: gathered.types, text: gathered.text, width });
        }
        if let PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) = &plan.kind {
            return Err(Self::refused(refusal).into());
        }
        let anywhere = matches!(plan.kind, PlanKind::Anywhere | PlanKind::Reference);
        let (Target::Server { shard, .. }, true) = (self.target_of(&plan, &inner, snapshot)?, own || anywhere) else {
            return Err(cannot(
                "rows that are computed on another shard, in a transaction",
                "Run the statement outside the transaction.",
            ));
        };
        let held_here = usize::from(self.txn.as_ref().is_some_and(|txn| txn.is_open_on(shard)));
        if held_here > 0 && self.pool_size(snapshot, shard) <= held_here {
            return Err(cannot("rows that need one more connection than the pool has", "Raise pool.size."));
        }
        // As the INSERT means them: a parameter of VALUES has the type of its column.
        let types = self.types_of(values, execution, snapshot).await?;
        let mut held = self.hold_apart(snapshot, shard).await?;
        match begun(held.conn(), query, &types).await {
            Ok(width) => Ok(Home { held, types, text: query.as_bytes().to_vec(), width }),
            Err(error) => {
                self.let_home_go(held, matches!(&error, ConnError::Server(_))).await;
                self.me.end_work();
                Err(self.fault_of(error.into(), None))
            }
        }
    }

    /// Reads the rows. None: of one it cannot be said where it belongs.
    async fn take_rows(
        &mut self,
        held: &mut Held,
        (sharded, fetch): (&Sharded, &Fetch),
        most: u64,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<Rows>, ScatterError> {
        let mut rows = Some(Rows::default());
        let mut fault = None;
        loop {
            let (kind, body) = self.client.beside(true, held.conn().frame()).await??;
            match kind {
                b'D' => match (&mut rows, take(&body, sharded, fetch, snapshot)) {
                    (Some(all), Ok(Some((shard, row)))) => {
                        all.bytes += row.len() as u64;
                        if all.bytes > most {
                            return Err(ScatterError::Report(Box::new(
                                Report::new(catalogue::GATHER_LIMIT)
                                    .detail(format!("the statement writes more than {most} bytes of rows"))
                                    .hint("Write fewer rows at a time, or raise max_gather."),
                            )));
                        }
                        all.homes.push(shard);
                        all.by_shard.entry(shard).or_default().push(row);
                    }
                    (_, Ok(None)) => rows = None,
                    (_, Err(report)) => fault = fault.or(Some(report)),
                    (None, _) => {}
                },
                b'E' => {
                    let (fields, _) = pgring_protocol::message::notice::Fields::of_error(&body);
                    held.conn().drain_rest().await?;
                    return Err(ScatterError::Server(Box::new(fields)));
                }
                b'S' => held.conn().reported.note(&body),
                b'Z' => break,
                _ => {}
            }
        }
        match fault {
            Some(report) => Err(ScatterError::Report(Box::new(report))),
            None => Ok(rows),
        }
    }
}

/// The gather that can answer it.
fn gathers(plan: &Plan) -> Option<&Gather> {
    match &plan.kind {
        PlanKind::Gather(gather) => Some(gather),
        PlanKind::Sharded(sharded) => match &sharded.many {
            Many::Gather(gather) => Some(gather),
            Many::Merge { gather, .. } => gather.as_deref(),
            _ => None,
        },
        _ => None,
    }
}

/// Begins a transaction and asks how many columns the query gives.
async fn begun(conn: &mut Conn, query: &str, types: &[u32]) -> Result<usize, ConnError> {
    let mut out = BytesMut::new();
    build::parse(&mut out, "", query, types);
    build::describe(&mut out, b'S', "");
    build::sync(&mut out);
    conn.send(&out).await?;
    let (_, fields) = gather::described(conn).await?;
    conn.housekeep("BEGIN").await?;
    Ok(fields.len())
}

/// Computes the rows into a table like the one that they are for: so they become values of its columns as in an INSERT.
/// Then asks for them: key, and the values as SQL.
async fn compute(
    conn: &mut Conn,
    query: &[u8],
    (types, width): (&[u32], usize),
    fetch: &Fetch,
    execution: Option<&Execution<'_>>,
) -> Result<(), ConnError> {
    let columns: Vec<String> =
        fetch.columns.iter().take(width).map(|name| quote::identifier(name).into_owned()).collect();
    let table = format!("{}.{}", quote::identifier(&fetch.table.schema), quote::identifier(&fetch.table.name));
    let list = columns.join(", ");
    conn.housekeep(&format!(
        "CREATE TEMPORARY TABLE pgring_rows ON COMMIT DROP AS SELECT {list} FROM {table} WITH NO DATA"
    ))
    .await?;
    let mut insert = format!("INSERT INTO pg_temp.pgring_rows ({list}) ").into_bytes();
    insert.extend_from_slice(query);
    let mut out = BytesMut::new();
    match execution {
        None => build::query(&mut out, &insert),
        Some(execution) => {
            let rest = if execution.bind.is_empty() { NO_PARAMETERS } else { execution.bind };
            build::parse(&mut out, "", &insert, types);
            build::bind_raw(&mut out, "", "", &splice::with_formats(rest, execution.result_formats, &[]));
            build::execute(&mut out, "", 0);
            build::sync(&mut out);
        }
    }
    conn.send(&out).await?;
    conn.drain().await?;
    let literals: Vec<String> =
        columns.iter().map(|name| format!("pg_catalog.quote_nullable({name}::pg_catalog.text)")).collect();
    let key = quote::identifier(&fetch.key);
    out.clear();
    build::query(
        &mut out,
        format!(
            "SELECT {key}::pg_catalog.text, '(' || {} || ')' FROM pg_temp.pgring_rows ORDER BY ctid",
            literals.join(" || ', ' || ")
        ),
    );
    conn.send(&out).await?;
    Ok(())
}

/// A row and its shard. None: that cannot be said.
fn take(
    body: &[u8],
    sharded: &Sharded,
    fetch: &Fetch,
    snapshot: &Snapshot,
) -> Result<Option<(ShardIndex, String)>, Report> {
    let broken = || Report::new(catalogue::INTERNAL).detail("a row in another form than was asked for");
    let values = result::columns(body).map_err(|_| broken())?;
    let values = values.collect::<Result<Vec<_>, _>>().map_err(|_| broken())?;
    let [key, Some(row)] = values.as_slice() else { return Err(broken()) };
    let Some(key) = key else { return Err(route::null_key()) };
    let row = String::from_utf8(row.to_vec()).map_err(|_| broken())?;
    let Ok(key) = fetch.key_type.parse_text(&String::from_utf8_lossy(key)) else { return Ok(None) };
    match snapshot.topology.owner(sharded.group, &key) {
        Some(shard) => Ok(Some((shard, row))),
        None => Err(route::no_owner()),
    }
}

/// What the shards get. Where there is no row one of them says what rows would look like.
fn parts(
    rows: Rows,
    fetch: &Fetch,
    (from, to): (usize, usize),
    edits: &[Edit],
    values: &Values<'_>,
    sharded: &Sharded,
    snapshot: &Snapshot,
) -> Parts {
    let mut mentions = fetch.parameters.clone();
    mentions.sort_unstable();
    let text = |middle: &str| {
        let mut text = Text::default();
        text.copy(values.text, 0, from, edits);
        text.words(middle);
        text.copy(values.text, to, values.text.len(), edits);
        text
    };
    let part = |shard: ShardIndex, middle: &str| Part { shard, text: text(middle), mentions: Some(mentions.clone()) };
    if rows.homes.is_empty() {
        let shard = snapshot.topology.all_owners(sharded.group).first().copied();
        let columns: Vec<String> = fetch.columns.iter().map(|name| quote::identifier(name).into_owned()).collect();
        let table = format!("{}.{}", quote::identifier(&fetch.table.schema), quote::identifier(&fetch.table.name));
        let nothing = format!("SELECT {} FROM {table} WHERE false ", columns.join(", "));
        let shard = shard.unwrap_or(snapshot.topology.default_shard);
        return Parts { parts: vec![part(shard, &nothing)], order: None };
    }
    let parts: Vec<Part> =
        rows.by_shard.iter().map(|(shard, own)| part(*shard, &format!("VALUES {} ", own.join(", ")))).collect();
    let place = |shard: &ShardIndex| parts.iter().position(|part| part.shard == *shard).unwrap_or(0);
    let order = rows.homes.iter().map(place).collect();
    Parts { order: Some(order), parts }
}

//! Dml: a write over several shards. In: a plan, values. Out: what each shard gets; its answer in the client's output up
//! to and with the tag. Never: a shard that keeps its part when another has failed.

mod fetch;

use super::{Fault, Session, calls::Execution, hold::Held};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        dml::{Edit, Rest, Telling, Text, answers},
        splice::Positions,
    },
    metrics::RouteKind,
    plan::{ManyWrite, OneDefault, Piece, Sharded, Splice, SplitRows},
    pool::conn::{Conn, ConnError},
    route::{
        self, Route,
        bind::{Parameters, Values},
    },
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::{message::build, quote};
use std::{collections::BTreeMap, sync::Arc};

/// OIDs from here on are of types that users made (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;
/// OID of text.
const TEXT: u32 = 25;

/// What one shard gets of a write.
struct Part {
    shard: ShardIndex,
    text: Text,
    /// The parameters that it mentions; None: all.
    mentions: Option<Vec<u16>>,
}

/// What the shards get, and from which of them each row of the answer comes.
struct Parts {
    parts: Vec<Part>,
    order: Option<Vec<usize>>,
}

impl Session {
    /// A write over several shards, all of them or none.
    pub(super) async fn write_many(
        &mut self,
        sharded: &Sharded,
        write: &ManyWrite,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let own = self.begin_own();
        let written = self.write_parts(sharded, write, values, execution, (own, snapshot)).await;
        let (shards, rest) = self.end_own(own, written).await?;
        if rest.suspended {
            build::portal_suspended(&mut self.client.out);
        } else {
            build::command_complete(&mut self.client.out, &rest.tag);
        }
        self.rest_of_write = write.returning.then(|| Box::new(rest));
        let all = snapshot.topology.all_owners(sharded.group).len();
        Ok(if shards == all { RouteKind::Scatter } else { RouteKind::Subset })
    }

    /// Writes on the shards. Returns how many there are.
    async fn write_parts(
        &mut self,
        sharded: &Sharded,
        write: &ManyWrite,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        (own, snapshot): (bool, &Arc<Snapshot>),
    ) -> Result<(usize, Rest), Fault> {
        let edits = self.edits(write, values, execution, snapshot).await?;
        let parts = match (&write.rows, &write.fetch) {
            (_, Some(fetch)) => {
                Box::pin(self.fetch((sharded, fetch), &edits, values, execution, (own, snapshot))).await?
            }
            (Some(rows), None) => split(sharded, rows, values, &edits, snapshot)?,
            (None, None) => whole(sharded, values, &edits, snapshot)?,
        };
        let Some(parts) = parts else {
            let refused = Report::new(catalogue::WRITE_MANY_SHARDS)
                .detail("a shard key of which pgring cannot say with certainty where it belongs")
                .hint("Give the shard key as a literal, or as a parameter of its own type.");
            return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
        };
        let types = self.types_for(write, execution.as_ref(), values, snapshot).await?;
        let shards: Vec<ShardIndex> = parts.parts.iter().map(|part| part.shard).collect();
        self.check_fanout(shards.len())?;
        self.admit(&shards, Reach::Write, snapshot).await?;
        let mut held = self.hold_all(&shards, snapshot).await?;
        for (one, part) in held.iter_mut().zip(&parts.parts) {
            let is_default = part.shard == snapshot.topology.default_shard;
            let request = request(part, values, execution.as_ref(), &types, is_default);
            if let Err(error) = one.conn().send(&request).await {
                self.me.end_work();
                self.fail_txn();
                return Err(super::hold::lost(&error.into(), false).into());
            }
        }
        let before = self.client.out.len();
        let telling = Telling {
            describe: execution.is_none_or(|execution| execution.describe),
            no_data: execution.is_some_and(|execution| execution.describe),
            order: parts.order.as_deref(),
            max_rows: execution.and_then(|execution| execution.max_rows),
        };
        let result = {
            let mut conns: Vec<&mut Conn> = held.iter_mut().map(Held::conn).collect();
            answers(&mut self.client, &mut conns, telling).await
        };
        self.drain_all(held, result.is_ok(), Reach::Write).await;
        self.me.end_work();
        match result {
            Ok(rest) => Ok((shards.len(), rest)),
            Err((at, error)) => {
                // What was not sent yet is not told: as in PostgreSQL, the error is the answer.
                self.client.out.truncate(before);
                self.fail_txn();
                let text = &parts.parts[at.min(parts.parts.len() - 1)].text;
                let positions = Positions { client: values.text, sent: &text.sent, origins: &text.origins };
                Err(self.fault_of(error, Some(&positions)))
            }
        }
    }

    /// The changes to the client's text that are the same for all shards, in order of their place.
    async fn edits(
        &mut self,
        write: &ManyWrite,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Edit>, Fault> {
        let mut edits = vec![];
        let defaults = write.rows.as_ref().and_then(|rows| rows.defaults.as_ref().map(|defaults| (rows, defaults)));
        if write.times.is_empty() && defaults.is_none() {
            return Ok(edits);
        }
        // PostgreSQL judges the client's own text.
        self.judge(values.text, execution.as_ref(), snapshot).await?;
        if !write.times.is_empty() {
            let time = self.transaction_time(snapshot).await?;
            edits.extend(write.times.iter().map(|splice| edit(splice, values, &time)));
        }
        if let Some((rows, defaults)) = defaults {
            let given = self.one_default(defaults, snapshot).await?;
            let at = |place: u32| values.lexed.text_at(place);
            if let Some((place, names)) = &defaults.names {
                edits.push(Edit { from: at(*place), to: at(*place), with: names.clone() });
            }
            let value = |column: &usize| given.get(*column).map_or("DEFAULT", String::as_str);
            for row in &rows.rows {
                let words = row.defaults.iter();
                edits.extend(words.map(|((from, to), column)| Edit {
                    from: at(*from),
                    to: at(*to),
                    with: value(column).to_owned(),
                }));
                let end = at(row.span.1) - 1;
                let absent: String = defaults.absent.iter().map(|column| format!(", {}", value(column))).collect();
                edits.push(Edit { from: end, to: end, with: absent });
            }
        }
        edits.sort_by_key(|edit| edit.from);
        Ok(edits)
    }

    /// The values of defaults, as SQL.
    async fn one_default(&mut self, defaults: &OneDefault, snapshot: &Arc<Snapshot>) -> Result<Vec<String>, Fault> {
        let mut held = self.hold_at_its_time(snapshot).await?;
        match evaluate(held.conn(), defaults).await {
            Ok(values) => {
                let status = if held.is_in_txn() { b'T' } else { b'I' };
                self.let_go(held, status, Reach::Read);
                Ok(values)
            }
            Err(error) => Err(self.lost_while_held(&error)),
        }
    }

    /// The types of the statement's parameters, as the default shard numbers them; 0 where the text says it.
    async fn types_for(
        &mut self,
        write: &ManyWrite,
        execution: Option<&Execution<'_>>,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<u32>, Fault> {
        let Some(execution) = execution else { return Ok(vec![]) };
        let declared = execution.prepared.types();
        let open = |number: u16| declared.get(usize::from(number) - 1).copied().unwrap_or(0) == 0;
        if let Some(fetch) = &write.fetch {
            return match fetch.parameters.iter().any(|number| *number > 0 && open(*number)) {
                true => self.types_of(values, Some(*execution), snapshot).await,
                false => Ok(declared.to_vec()),
            };
        }
        let Some(rows) = &write.rows else { return Ok(declared.to_vec()) };
        let all = rows.rows.iter().flat_map(|row| &row.parameters).chain(&rows.parameters);
        let mut open: Vec<u16> = all.copied().filter(|number| *number > 0 && open(*number)).collect();
        open.sort_unstable();
        if open.windows(2).any(|pair| pair[0] == pair[1]) {
            // Its first mention decides, which not every shard gets.
            return self.types_of(values, Some(*execution), snapshot).await;
        }
        Ok(declared.to_vec())
    }
}

/// Every shard gets the whole text.
fn whole(sharded: &Sharded, values: &Values<'_>, edits: &[Edit], snapshot: &Snapshot) -> Result<Option<Parts>, Fault> {
    let shards = match route::resolve(sharded, values, &snapshot.topology)? {
        Route::Many(shards) => shards,
        Route::One(shard) => vec![shard],
        Route::Apart => return Ok(None),
    };
    let part = |shard: &ShardIndex| {
        let mut text = Text::default();
        text.copy(values.text, 0, values.text.len(), edits);
        Part { shard: *shard, text, mentions: None }
    };
    Ok(Some(Parts { parts: shards.iter().map(part).collect(), order: None }))
}

/// Every shard gets the rows of its keys. None: of one it cannot be said where it belongs.
fn split(
    sharded: &Sharded,
    rows: &SplitRows,
    values: &Values<'_>,
    edits: &[Edit],
    snapshot: &Snapshot,
) -> Result<Option<Parts>, Fault> {
    let mut by_shard: BTreeMap<ShardIndex, Vec<usize>> = BTreeMap::new();
    let mut homes = Vec::with_capacity(rows.rows.len());
    for (nth, row) in rows.rows.iter().enumerate() {
        let Some(shard) = route::of_row(sharded.group, &row.key, values, &snapshot.topology)? else { return Ok(None) };
        by_shard.entry(shard).or_default().push(nth);
        homes.push(shard);
    }
    let at = |place: u32| values.lexed.text_at(place);
    let first = rows.rows.first().map_or(0, |row| at(row.span.0));
    let end = rows.rows.last().map_or(0, |row| at(row.span.1));
    let part = |(shard, own): (&ShardIndex, &Vec<usize>)| {
        let mut text = Text::default();
        let mut mentions = rows.parameters.clone();
        text.copy(values.text, 0, first, edits);
        for (nth, row) in own.iter().filter_map(|row| rows.rows.get(*row)).enumerate() {
            text.words(if nth == 0 { "" } else { ", " });
            text.copy(values.text, at(row.span.0), at(row.span.1), edits);
            mentions.extend(&row.parameters);
        }
        text.copy(values.text, end, values.text.len(), edits);
        mentions.sort_unstable();
        Part { shard: *shard, text, mentions: Some(mentions) }
    };
    let parts: Vec<Part> = by_shard.iter().map(part).collect();
    let place = |shard: &ShardIndex| parts.iter().position(|part| part.shard == *shard).unwrap_or(0);
    let order = homes.iter().map(place).collect();
    Ok(Some(Parts { order: Some(order), parts }))
}

/// A splice with the time in it, in the client's text.
fn edit(splice: &Splice, values: &Values<'_>, time: &str) -> Edit {
    let mut with = String::new();
    for piece in &splice.with {
        match piece {
            Piece::Text(text) => with.push_str(text),
            Piece::Time => with.push_str(time),
            Piece::Span(from, to) => {
                let span = values.text.get(values.lexed.text_at(*from)..values.lexed.text_at(*to));
                with.push_str(&String::from_utf8_lossy(span.unwrap_or_default()));
            }
        }
    }
    Edit { from: values.lexed.text_at(splice.start), to: values.lexed.text_at(splice.end), with }
}

/// What a shard is sent.
fn request(
    part: &Part,
    values: &Values<'_>,
    execution: Option<&Execution<'_>>,
    types: &[u32],
    is_default: bool,
) -> BytesMut {
    let mut out = BytesMut::new();
    let Some(execution) = execution else {
        build::query(&mut out, &part.text.sent);
        return out;
    };
    let known = |oid: u32| if oid >= FIRST_USER_OID && !is_default { 0 } else { oid };
    match (&part.mentions, values.parameters) {
        (Some(mentions), Parameters::Bound(parameters, _)) => {
            let mentioned =
                |at: usize| u16::try_from(at + 1).is_ok_and(|number| mentions.binary_search(&number).is_ok());
            let type_of = |at: usize| match mentioned(at) {
                true => known(types.get(at).copied().unwrap_or(0)),
                false => TEXT,
            };
            let types: Vec<u32> = (0..parameters.len()).map(type_of).collect();
            build::parse(&mut out, "", &part.text.sent, &types);
            let given =
                |(at, parameter): (usize, pgring_protocol::message::extended::Parameter<'_>)| match mentioned(at) {
                    true => parameter.format,
                    false => 0,
                };
            let formats: Vec<i16> = parameters.iter().enumerate().map(given).collect();
            let own = parameters.iter().enumerate();
            let own = own.map(|(at, parameter)| parameter.value.filter(|_| mentioned(at)));
            build::bind(&mut out, "", "", &formats, own, execution.result_formats);
        }
        _ => {
            let types: Vec<u32> = types.iter().map(|oid| known(*oid)).collect();
            build::parse(&mut out, "", &part.text.sent, &types);
            build::bind_raw(&mut out, "", "", execution.bind);
        }
    }
    build::describe(&mut out, b'P', "");
    build::execute(&mut out, "", 0);
    build::sync(&mut out);
    out
}

/// Evaluates defaults on a server.
async fn evaluate(conn: &mut Conn, defaults: &OneDefault) -> Result<Vec<String>, ConnError> {
    let table = format!("{}.{}", quote::identifier(&defaults.table.schema), quote::identifier(&defaults.table.name));
    let mut values = vec![];
    for column in &defaults.columns {
        let sql = format!(
            "SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.format_type(a.atttypid, a.atttypmod) \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {}::pg_catalog.regclass AND a.attname = {}",
            quote::literal(&table),
            quote::literal(column)
        );
        let found = conn.housekeep(&sql).await?.into_iter().next().unwrap_or_default();
        let [Some(expression), Some(type_name)] = found.as_slice() else {
            values.push("DEFAULT".to_owned());
            continue;
        };
        let sql = format!("SELECT CAST(CAST(({expression}) AS {type_name}) AS pg_catalog.text)");
        let value = conn.housekeep(&sql).await?.into_iter().flatten().next().flatten();
        let literal = value.map_or_else(|| "NULL".to_owned(), |value| quote::literal(&value));
        values.push(format!("CAST({literal} AS {type_name})"));
    }
    Ok(values)
}

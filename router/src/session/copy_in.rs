//! Copy in: COPY FROM STDIN of a table over several shards. In: a plan, values. Out: rows on the shards that own them,
//! all or none; the tag in the client's output. Never: a row whose shard is a guess.

use super::{Fault, Session, hold::Held};
use crate::{
    cluster::Snapshot,
    copy::{
        Key, Splitter,
        options::{self, embeds_ascii, is_utf8},
    },
    error::{Report, catalogue},
    execute::split::{Split, SplitError, refuse, split},
    metrics::RouteKind,
    plan::{CopyPlan, Refusal},
    pool::conn::Conn,
    route::bind::Values,
    sql::parse::{Tokens, tokens},
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::{
    ids::{GroupIndex, ShardIndex},
    key::KeyValue,
};
use pgring_protocol::message::build;
use std::sync::Arc;

/// From this version of PostgreSQL on `\.` is data in CSV.
const WITHOUT_CSV_MARKER: u32 = 18;

impl Session {
    /// COPY of a sharded table FROM STDIN: each record goes to the shard that owns its key. Outside a transaction it is one
    /// of its own.
    pub(super) async fn copy_from(
        &mut self,
        copy: &CopyPlan,
        group: GroupIndex,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let own = self.begin_own();
        let copied = self.copy_split(copy, group, values, snapshot).await;
        let rows = self.end_own(own, copied).await?;
        build::command_complete(&mut self.client.out, format!("COPY {rows}"));
        Ok(RouteKind::Scatter)
    }

    /// The end of a COPY FROM STDIN that is refused when its data have been read: what sends them, as psql does with a dump,
    /// would take them for statements otherwise.
    pub(super) async fn refuse_copy(&mut self, refusal: &Refusal) -> Fault {
        let read = refuse(&mut self.client).await;
        self.pass_sync_over();
        match read {
            Ok(()) => Self::refused(refusal).into(),
            Err(error) => Fault::End(error.into()),
        }
    }

    /// [`Session::copy_from`] within a transaction. Returns how many rows were stored.
    async fn copy_split(
        &mut self,
        copy: &CopyPlan,
        group: GroupIndex,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<u64, Fault> {
        let topology = &snapshot.topology;
        let mut shards = topology.all_owners(group);
        if shards.is_empty() {
            // The table is only planned: PostgreSQL says that it does not exist.
            shards.push(topology.default_shard);
        }
        self.check_fanout(shards.len())?;
        self.admit(&shards, Reach::Write, snapshot).await?;
        let splitter = self.splitter(copy, values);
        let mut request = BytesMut::new();
        build::query(&mut request, values.text);
        let mut held = self.ask_all(&shards, &request, snapshot).await?;
        self.client.behind_copy = self.behind();
        let places = places(&shards);
        let owner = |key: &KeyValue| {
            let shard = topology.owner(group, key)?;
            places.get(usize::from(shard.0)).copied().flatten()
        };
        let mut asked = false;
        let how =
            Split { splitter, owner: &owner, table: &copy.table.name, fields: copy.fields.len(), asked: &mut asked };
        let conns: Vec<&mut Conn> = held.iter_mut().map(Held::conn).collect();
        let (result, statuses) = split(&mut self.client, conns, how).await;
        self.client.behind_copy = None;
        if asked {
            self.pass_sync_over();
        }
        for (one, status) in held.into_iter().zip(statuses) {
            if let Some(status) = status {
                self.let_go(one, status, Reach::Write);
            }
        }
        self.me.end_work();
        result.map_err(|error| match error {
            SplitError::Scatter(error) => self.fault_of(error, None),
            SplitError::Client(error) => Fault::End(error.into()),
        })
    }

    /// How the data are taken apart.
    fn splitter(&self, copy: &CopyPlan, values: &Values<'_>) -> Result<Splitter, Report> {
        let beyond = |what: &str, hint: &str| Report::new(catalogue::COPY_MANY_SHARDS).detail(what).hint(hint);
        let (text, key) = (std::str::from_utf8(values.text).ok(), copy.key.as_ref());
        let known = text.zip(key).and_then(|(text, key)| Some((options::read(text, &key.column)?, key)));
        let Some((options, key)) = known else {
            return Err(Report::new(catalogue::NOT_UNDERSTOOD).detail("COPY in an unknown form"));
        };
        if let Some(what) = &options.beyond {
            return Err(beyond(what, "Copy into a table of its own first, and insert from there."));
        }
        if let Some(column) = &copy.drawn {
            let what =
                format!("the column {column} is not among the columns, and each shard would draw its value by itself");
            return Err(beyond(&what, "Copy it with the others."));
        }
        let encoding = options.encoding.as_deref().or(self.settings.reported("client_encoding")).unwrap_or("UTF8");
        if embeds_ascii(encoding) {
            let what = format!("data in the encoding {encoding}");
            return Err(beyond(&what, "Give the data in UTF8, or in another encoding that keeps ASCII."));
        }
        let Some(key_type) = key.key_type else {
            return Err(beyond("the table is only planned", "Create it first."));
        };
        let field = copy.fields.iter().position(|field| *field == key.column);
        if field.is_none() && key.has_default {
            return Err(beyond("the shard key is not among the columns", "Copy it with the others."));
        }
        let version = self.settings.reported("server_version").and_then(|version| {
            let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
            version.get(..digits)?.parse::<u32>().ok()
        });
        let key = Key {
            field,
            fields: copy.fields.len(),
            key_type,
            utf8: is_utf8(encoding),
            csv_marker: version.is_some_and(|version| version < WITHOUT_CSV_MARKER),
        };
        Ok(Splitter::new(&options, key))
    }
}

/// This is COPY … FROM STDIN.
pub(super) fn begins(values: &Values<'_>) -> bool {
    let tokens = std::str::from_utf8(values.text).ok().and_then(|text| tokens(text).ok());
    let is_copy = |tokens: &Tokens| tokens.lexemes.first().is_some_and(|lexeme| lexeme.is("copy"));
    let head = tokens.filter(is_copy).and_then(|tokens| options::head(&tokens.lexemes, 0));
    head.is_some_and(|head| head.way == options::Way::In)
}

/// The place of each shard among these, by its number.
fn places(shards: &[ShardIndex]) -> Vec<Option<usize>> {
    let most = shards.iter().map(|shard| usize::from(shard.0) + 1).max().unwrap_or(0);
    let mut places = vec![None; most];
    for (at, shard) in shards.iter().enumerate() {
        if let Some(place) = places.get_mut(usize::from(shard.0)) {
            *place = Some(at);
        }
    }
    places
}

//! Gather: a SELECT whose rows are brought together on one server, which answers it (`correctness.md` 4).
//! In: a plan, values. Out: frames in the client's output up to and with the tag. Never: a temporary object on a
//! backend on which the client's transaction is open.

use super::{
    Fault, Session,
    calls::Execution,
    hold::{self, Held},
    parts,
    time::at_time,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        gather::{self, Answering, Budget, Reader},
        scatter::ScatterError,
        splice::{self, Positions},
        views,
    },
    metrics::RouteKind,
    plan::{Gather, GatherInput, GatherSource, Splice, Timed},
    pool::conn::{Conn, ConnError},
    route::{self, bind::Values},
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::{ids::ShardIndex, tables::TableName};
use pgring_protocol::{
    message::{build, result::Field},
    quote,
};
use std::sync::Arc;

/// How the transaction begins in which a gather is answered.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE;";
/// OIDs from here on are of types that users made (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;
/// OID of bytea.
const BYTEA: u32 = 17;

/// One input and where its rows are.
pub(super) type Placed<'a> = (usize, &'a GatherInput, Vec<ShardIndex>);

/// What a gather works with.
struct Work<'a> {
    plan: &'a Gather,
    inputs: Vec<Placed<'a>>,
    values: &'a Values<'a>,
    execution: Option<Execution<'a>>,
    /// Rows are read where the client's transaction is open.
    in_txn: bool,
}

impl Work<'_> {
    fn on(&self, shard: ShardIndex) -> Vec<(usize, &GatherInput)> {
        let here = self.inputs.iter().filter(|(_, _, shards)| shards.contains(&shard));
        here.map(|(number, input, _)| (*number, *input)).collect()
    }

    fn copied(&self) -> Vec<&GatherInput> {
        self.inputs.iter().map(|(_, input, _)| *input).collect()
    }

    /// The statement with its parameters, for what is made from it.
    fn call<'b>(&'b self, types: &'b [u32]) -> parts::Call<'b> {
        parts::Call { text: self.values.text, lexed: self.values.lexed, types, bind: self.bind(Some(&[])) }
    }

    /// The body of a Bind of a statement with the client's parameters.
    fn bind(&self, formats: Option<&[i16]>) -> Vec<u8> {
        let (rest, asked) = match &self.execution {
            Some(execution) => (execution.bind, execution.result_formats),
            None => (gather::NO_PARAMETERS, &[][..]),
        };
        splice::with_formats(rest, asked, formats.unwrap_or(asked))
    }
}

/// What is known when rows were brought together.
#[derive(Default)]
struct Filled {
    types: Vec<u32>,
    fields: Vec<Field>,
    row_types: Vec<(u32, u32)>,
    /// What combines parts of groups.
    finish: Vec<Splice>,
}

/// Rows that were brought together on a server, which has not answered yet.
pub(super) struct Gathered {
    /// The server, in a transaction of its own.
    pub(super) home: Held,
    /// Types of the statement's parameters.
    pub(super) types: Vec<u32>,
    /// Its columns, as the tables themselves have them.
    pub(super) fields: Vec<Field>,
    /// Types of the rows of tables and views, and of their copies'.
    pub(super) row_types: Vec<(u32, u32)>,
    /// The statement with the tables' names changed.
    pub(super) text: Vec<u8>,
    /// Where its parts came from.
    pub(super) origins: Vec<splice::Origin>,
}

impl Gathered {
    /// With these words before the statement, which are the client's own as well.
    pub(super) fn prefix(&mut self, head: &[u8]) {
        self.text.splice(0..0, head.iter().copied());
        self.origins = splice::behind(head.len(), &self.origins);
    }

    /// With these words behind the statement, which are the client's own from this byte of its text on.
    pub(super) fn suffix(&mut self, tail: &[u8], from: usize) {
        self.origins.push(splice::origin(self.text.len(), from, tail.len()));
        self.text.extend_from_slice(tail);
    }
}

impl Session {
    /// Answers a SELECT by a gather.
    pub(super) async fn answer_by_gather(
        &mut self,
        plan: &Gather,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        if let Timed::Outside(splices) = &plan.timed {
            return Box::pin(self.answer_at_one_time(splices, values, execution, snapshot)).await;
        }
        let Some(otherwise) = &plan.otherwise else {
            return self.gather_once(plan, values, execution, snapshot).await;
        };
        match self.gather_once(plan, values, execution, snapshot).await {
            // No row of the answer has been passed on.
            Err(Fault::Report(report)) if [catalogue::UNORDERABLE, catalogue::MANY_SHARDS].contains(&report.entry) => {
                Box::pin(self.answer_by_gather(otherwise, values, execution, snapshot)).await
            }
            answered => answered,
        }
    }

    async fn gather_once(
        &mut self,
        plan: &Gather,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let mut gathered = self.bring_together(plan, values, execution, snapshot).await?;
        let mut request = BytesMut::new();
        match &execution {
            None => build::query(&mut request, &gathered.text),
            Some(execution) => {
                build::parse(&mut request, "", &gathered.text, &gathered.types);
                build::bind_raw(&mut request, "", "", execution.bind);
                build::describe(&mut request, b'P', "");
                let most = execution.max_rows.and_then(|most| i32::try_from(most).ok()).unwrap_or(0);
                build::execute(&mut request, "", most);
                build::sync(&mut request);
            }
        }
        let describe = execution.is_none_or(|execution| execution.describe);
        let how = Answering { fields: &gathered.fields, row_types: &gathered.row_types, describe };
        let answered = self.ask_home(&mut gathered.home, &request, how).await;
        // The session's only backend with its temporary tables is needed for what comes next.
        let portal = execution.and_then(|execution| execution.portal).filter(|_| !plan.temporary);
        match (answered, portal) {
            (Ok(true), Some(portal)) => self.keep_portal(gathered, portal),
            (answered, _) => self.end_gather(gathered, values.text, answered.map(|_| ())).await?,
        }
        Ok(RouteKind::Gather)
    }

    /// Copies the rows that a SELECT needs to one server. Its functions of time are replaced before, where they can be.
    pub(super) async fn bring_together(
        &mut self,
        plan: &Gather,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Gathered, Fault> {
        let in_txn = self.txn.is_some();
        if self.txn.as_ref().is_some_and(|txn| txn.schema_changed) {
            // The server that answers would wait for the transaction's own locks.
            let refused = cannot(
                "a statement over several shards in a transaction that has changed the schema",
                "Run the statement outside the transaction.",
            );
            return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
        }
        let mut times: &[Splice] = &[];
        match &plan.timed {
            Timed::No | Timed::Outside(_) => {}
            Timed::Listed(splices) if in_txn => times = splices,
            Timed::Hidden if in_txn => {
                let refused = cannot(
                    "the time of the transaction in a statement over several shards",
                    "Give the time as a value, or run the statement outside the transaction.",
                );
                return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
            }
            // The server that answers has one time for it all.
            Timed::Listed(_) | Timed::Hidden => {}
        }
        let home = snapshot.topology.default_shard;
        let own = self.kept.len() + usize::from(self.txn.as_ref().is_some_and(|txn| txn.is_open_on(home)));
        if own > 0 && self.pool_size(snapshot, home) <= own {
            // It would wait for a backend that it holds itself.
            let refused = cannot(
                "a statement that needs one more connection to a server than its pool has, beside those that the session holds",
                "Raise pool.size, close cursors, or run the statement outside the transaction.",
            );
            return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
        }
        if in_txn && plan.temporary {
            let refused = cannot(
                "a sharded table and a temporary one, in a transaction",
                "Run the statement outside the transaction.",
            );
            return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
        }
        let inputs = self.placed(plan, values, in_txn, snapshot);
        if in_txn && inputs.iter().any(|(_, input, _)| input.columns.is_empty() && input.partial.is_none()) {
            let refused = cannot(
                "a relation whose columns are not known, in a transaction",
                "Run the statement outside the transaction.",
            );
            return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
        }
        let mut shards: Vec<ShardIndex> = inputs.iter().flat_map(|(_, _, shards)| shards.iter().copied()).collect();
        shards.sort_unstable();
        shards.dedup();
        self.check_fanout(shards.len())?;
        self.admit(&shards, Reach::Read, snapshot).await?;
        let mut splices: Vec<Splice> = inputs.iter().flat_map(|(_, input, _)| input.splices.iter().cloned()).collect();
        splices.extend(plan.views.iter().flat_map(|view| view.splices.iter().cloned()));
        if !times.is_empty() {
            let time = self.transaction_time(snapshot).await?;
            splices.extend(times.iter().map(|splice| at_time(splice, &time)));
        }
        let work = Work { plan, inputs, values, execution, in_txn };
        let mut held = self.hold_for_gather(&shards, in_txn, snapshot).await?;
        let mut asked = 0;
        let filled = self.fill(&mut held, &work, &mut asked).await;
        // Those that were not asked have nothing to be read.
        let idle = held.split_off(1 + asked);
        let mut home = held.remove(0);
        self.let_readers_go(held, in_txn, filled.is_ok()).await;
        self.put_back(idle);
        self.me.end_work();
        match filled {
            Ok(Filled { types, fields, row_types, finish }) => {
                splices.extend(finish);
                splices.sort_by_key(|splice| (splice.start, splice.end));
                let (text, origins) = splice::apply_with_origins(values.text, values.lexed, &splices);
                self.me.begin_work(home.conn().cancel.clone());
                Ok(Gathered { home, types, fields, row_types, text, origins })
            }
            Err(error) => {
                let another_way =
                    matches!(&error, ScatterError::Report(report) if report.entry == catalogue::UNORDERABLE);
                self.let_home_go(home, another_way || matches!(&error, ScatterError::Server(_))).await;
                self.me.end_work();
                Err(self.fault_of(error, None))
            }
        }
    }

    /// The backends of a gather, that which answers first.
    async fn hold_for_gather(
        &mut self,
        shards: &[ShardIndex],
        in_txn: bool,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Held>, Fault> {
        let home = snapshot.topology.default_shard;
        if in_txn {
            let mut held = self.hold_all(shards, snapshot).await?;
            match self.hold_apart(snapshot, home).await {
                Ok(apart) => held.insert(0, apart),
                Err(fault) => {
                    self.put_back(held);
                    return Err(fault);
                }
            }
            return Ok(held);
        }
        let mut all = shards.to_vec();
        if let Err(at) = all.binary_search(&home) {
            all.insert(at, home);
        }
        let mut held = self.hold_all(&all, snapshot).await?;
        let at = held.iter().position(|one| one.shard == home).unwrap_or(0);
        held[..=at].rotate_right(1);
        Ok(held)
    }

    /// The inputs that are copied, with their shards. What is on the default shard is read there, unless the client's
    /// transaction may have written it.
    pub(super) fn placed<'a>(
        &self,
        plan: &'a Gather,
        values: &Values<'_>,
        in_txn: bool,
        snapshot: &Snapshot,
    ) -> Vec<Placed<'a>> {
        let topology = &snapshot.topology;
        let default = topology.default_shard;
        let any = self.txn.as_ref().map_or(default, |txn| txn.any(default));
        let placed = |input: &'a GatherInput| match &input.source {
            GatherSource::Sharded { group, recipe } => Some((input, route::shards(*group, recipe, values, topology))),
            GatherSource::Default => in_txn.then(|| (input, vec![default])),
            GatherSource::Anywhere => in_txn.then(|| (input, vec![any])),
        };
        let placed = plan.inputs.iter().filter_map(placed).enumerate();
        placed.map(|(number, (input, shards))| (number, input, shards)).collect()
    }

    /// Copies. `held` begins with the backend that answers; `asked` counts those after it that were sent something.
    async fn fill(&mut self, held: &mut [Held], work: &Work<'_>, asked: &mut usize) -> Result<Filled, ScatterError> {
        let Some((home, others)) = held.split_first_mut() else { return Ok(Filled::default()) };
        let shard = home.shard;
        let local = self.local_settings();
        let opening = self.opening_of_gather(work, local.is_some());
        let (types, fields) = prepare(home.conn(), work, local.as_deref(), &opening).await?;
        if !work.plan.views.is_empty() {
            check_rights(home.conn(), work.plan).await?;
        }
        let mut finish = vec![];
        for (_, input, _) in &work.inputs {
            if let Some(partial) = &input.partial {
                finish = parts::prepare(home.conn(), input, partial, &work.call(&types)).await?;
            }
        }
        let mut readers = Vec::with_capacity(others.len());
        for one in others {
            let inputs = work.on(one.shard);
            *asked += 1;
            readers.push(ask(one.conn(), inputs, work, &types).await?);
        }
        if !work.in_txn {
            read_here(home.conn(), &work.on(shard), work, &types).await?;
        }
        let mut budget = Budget { most: self.database.settings.max_gather.bytes(), by_input: vec![] };
        for (number, input, _) in &work.inputs {
            gather::load(&mut self.client, home.conn(), (*number, input), &mut readers, &mut budget).await?;
        }
        if !work.plan.views.is_empty() {
            home.conn().housekeep(&views::create_sql(&work.plan.views, &work.copied())).await?;
        }
        let row_types = if work.plan.rows { row_types(home.conn(), work).await? } else { vec![] };
        Ok(Filled { types, fields, row_types, finish })
    }

    /// What the client's transaction has set for itself, in a transaction that is to be used as if it were that one.
    fn local_settings(&self) -> Option<String> {
        let mut settings = self.txn.as_ref()?.local_settings().peekable();
        settings.peek()?;
        // A comment at the end of the line must not take in what follows.
        Some(settings.fold(BEGIN.to_owned(), |sql, text| format!("{sql}{text}\n;")))
    }

    fn opening_of_gather(&mut self, work: &Work<'_>, begun: bool) -> String {
        let mut sql = if begun { String::new() } else { BEGIN.to_owned() };
        let path = self.search_path();
        if self.settings.path_text().contains("pg_temp") {
            let schemas: Vec<_> = path.schemas.iter().map(|schema| quote::identifier(schema).into_owned()).collect();
            let rest = if schemas.is_empty() { String::new() } else { format!(", {}", schemas.join(", ")) };
            sql.push_str(&format!("SET LOCAL search_path = pg_temp{rest};"));
        }
        sql.push_str(&gather::create_sql(&work.copied()));
        sql
    }

    /// Asks the server to which the rows were brought, and passes its answer on up to and with its tag. Returns whether
    /// there are more rows than were asked for.
    pub(super) async fn ask_home(
        &mut self,
        home: &mut Held,
        request: &[u8],
        how: Answering<'_>,
    ) -> Result<bool, ScatterError> {
        let conn = home.conn();
        conn.send(request).await.map_err(ConnError::from)?;
        let answered = gather::answer(&mut self.client, conn, how).await;
        if let Err(ScatterError::Server(_)) | Ok(_) = &answered {
            conn.drain_rest().await?;
        }
        answered
    }

    /// Ends a gather; an error is told, with its place in the client's text.
    pub(super) async fn end_gather(
        &mut self,
        gathered: Gathered,
        client_text: &[u8],
        result: Result<(), ScatterError>,
    ) -> Result<(), Fault> {
        let Gathered { home, text, origins, .. } = gathered;
        self.let_home_go(home, matches!(&result, Ok(()) | Err(ScatterError::Server(_)))).await;
        self.me.end_work();
        let positions = Positions { client: client_text, sent: &text, origins: &origins };
        result.map_err(|error| self.fault_of(error, Some(&positions)))
    }

    /// Lets the backend of a gather go. `clean`: its last answer was read to its end.
    pub(super) async fn let_home_go(&mut self, mut home: Held, clean: bool) {
        // Where an answer before it is still to be read, that is not the ROLLBACK's.
        if clean && home.conn().buf.is_empty() && rolls_back(home.conn()).await {
            home.as_before();
            self.let_go(home, b'I', Reach::Nothing);
        } else {
            hold::hang_up(home);
        }
    }

    /// Lets the backends go from which rows were read.
    async fn let_readers_go(&mut self, held: Vec<Held>, in_txn: bool, finished: bool) {
        if in_txn {
            return self.drain_all(held, finished, Reach::Read).await;
        }
        for mut one in held {
            if finished && one.conn().drain_rest().await.is_ok_and(|status| status == b'I') {
                self.let_go(one, b'I', Reach::Nothing);
            } else {
                hold::hang_up(one);
            }
        }
    }
}

fn cannot(what: &str, hint: &str) -> Report {
    Report::new(catalogue::MANY_SHARDS).detail(what).hint(hint)
}

/// Rolls back. Returns whether the server said so, and nothing else.
async fn rolls_back(home: &mut Conn) -> bool {
    let mut unheard = BytesMut::new();
    home.housekeep_with("ROLLBACK", false, &mut unheard).await.is_ok_and(|drained| drained.tag == "ROLLBACK")
}

/// Has PostgreSQL judge the client's statement, and makes the temporary tables. Returns the types of its parameters
/// and its columns. `local`: what is to be set before.
async fn prepare(
    home: &mut Conn,
    work: &Work<'_>,
    local: Option<&str>,
    opening: &str,
) -> Result<(Vec<u32>, Vec<Field>), ScatterError> {
    let mut out = BytesMut::new();
    if let Some(local) = local {
        home.housekeep(local).await?;
    }
    let types = work.execution.as_ref().map_or(&[][..], |execution| execution.prepared.types());
    build::parse(&mut out, "", work.values.text, types);
    build::describe(&mut out, b'S', "");
    build::sync(&mut out);
    build::query(&mut out, opening);
    home.send(&out).await.map_err(ConnError::from)?;
    let described = gather::described(home).await;
    let opened = home.drain().await;
    let described = described?;
    opened?;
    Ok(described)
}

/// The types of the rows of tables and views, and of their copies'.
async fn row_types(home: &mut Conn, work: &Work<'_>) -> Result<Vec<(u32, u32)>, ConnError> {
    let inputs = work.inputs.iter().map(|(_, input, _)| (&input.table, &*input.copy));
    let views = work.plan.views.iter().map(|view| (&view.view, &*view.copy));
    let pair = |(table, copy): (&TableName, &str)| {
        let real = format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name));
        let copy = format!("pg_temp.{}", quote::identifier(copy));
        format!(
            "(pg_catalog.to_regclass({})::pg_catalog.oid, pg_catalog.to_regclass({})::pg_catalog.oid)",
            quote::literal(&real),
            quote::literal(&copy)
        )
    };
    let pairs: Vec<String> = inputs.chain(views).map(pair).collect();
    if pairs.is_empty() {
        return Ok(vec![]);
    }
    let sql = format!(
        "SELECT a.reltype, b.reltype FROM (VALUES {}) p (a, b) JOIN pg_catalog.pg_class a ON a.oid = p.a \
         JOIN pg_catalog.pg_class b ON b.oid = p.b",
        pairs.join(", ")
    );
    let number = |value: Option<&Option<String>>| value?.as_deref()?.parse().ok();
    let rows = home.housekeep(&sql).await?;
    Ok(rows.iter().filter_map(|row| Some((number(row.first())?, number(row.get(1))?))).collect())
}

/// Asks a server whether the client may read the views, and would see of their tables what their owner sees.
async fn check_rights(home: &mut Conn, plan: &Gather) -> Result<(), ScatterError> {
    let rows = home.housekeep(&views::rights_sql(&plan.views, &plan.inputs)).await?;
    match rows.into_iter().flatten().flatten().next() {
        None => Ok(()),
        Some(table) => Err(ScatterError::Report(Box::new(cannot(
            &format!("a view with rights on {table} that this role has not"),
            "Grant SELECT on the view's tables, make the view with security_invoker, or narrow the statement to one shard key.",
        )))),
    }
}

/// Asks a server for the rows of its inputs.
async fn ask<'c>(
    conn: &'c mut Conn,
    inputs: Vec<(usize, &GatherInput)>,
    work: &Work<'_>,
    types: &[u32],
) -> Result<Reader<'c>, ScatterError> {
    let values = work.values;
    let bind = work.bind(Some(&[1]));
    let mut out = BytesMut::new();
    let several = inputs.len() > 1;
    if several && work.in_txn {
        // One statement sees one snapshot, whatever the transaction's isolation.
        let sql = gather::read_all_sql(&inputs, values.text, values.lexed);
        command(&mut out, &sql, &types_elsewhere(types, &sql), &bind);
        build::sync(&mut out);
        conn.send(&out).await.map_err(ConnError::from)?;
        let widths: Vec<_> = inputs.iter().map(|(number, input)| (*number, input.columns.len())).collect();
        return Ok(Reader::all(conn, &widths));
    }
    let own = several && !work.in_txn;
    if own {
        command(&mut out, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &[], gather::NO_PARAMETERS);
    }
    for (_, input) in &inputs {
        let sql = gather::read_sql(input, values.text, values.lexed);
        command(&mut out, &sql, &types_elsewhere(types, &sql), &bind);
    }
    if own {
        command(&mut out, "COMMIT", &[], gather::NO_PARAMETERS);
    }
    build::sync(&mut out);
    conn.send(&out).await.map_err(ConnError::from)?;
    Ok(Reader::new(conn, inputs.into_iter().map(|(number, _)| number).collect(), usize::from(own)))
}

/// Reads the rows that are on the server that answers.
async fn read_here(
    home: &mut Conn,
    inputs: &[(usize, &GatherInput)],
    work: &Work<'_>,
    types: &[u32],
) -> Result<(), ScatterError> {
    if inputs.is_empty() {
        return Ok(());
    }
    let bind = work.bind(Some(&[]));
    let mut out = BytesMut::new();
    for (_, input) in inputs {
        command(&mut out, &gather::insert_sql(input, work.values.text, work.values.lexed), types, &bind);
    }
    build::sync(&mut out);
    home.send(&out).await.map_err(ConnError::from)?;
    home.drain().await?;
    Ok(())
}

/// One command by the extended protocol.
pub(super) fn command(out: &mut BytesMut, sql: &str, types: &[u32], bind: &[u8]) {
    build::parse(out, "", sql, types);
    build::bind_raw(out, "", "", bind);
    build::execute(out, "", 0);
}

/// The types of parameters for another server than the one that named them: types of users have other numbers there, and are
/// found anew where the statement mentions their parameter. Where it does not, a parameter only has to be accepted: as bytes.
fn types_elsewhere(types: &[u32], sql: &str) -> Vec<u32> {
    let mentions = |number: usize| {
        let parameter = format!("${number}");
        let mut ends = sql.match_indices(&parameter).map(|(at, found)| at + found.len());
        ends.any(|end| !sql.as_bytes().get(end).is_some_and(u8::is_ascii_digit))
    };
    let elsewhere = |(at, oid): (usize, &u32)| match *oid {
        own if own < FIRST_USER_OID => own,
        _ if mentions(at + 1) => 0,
        _ => BYTEA,
    };
    types.iter().enumerate().map(elsewhere).collect()
}

#[cfg(test)]
mod tests {
    use super::types_elsewhere;

    #[test]
    fn types_of_users_are_found_anew_elsewhere() {
        let types = [20, 16_500, 16_501, 16_502];
        assert_eq!(types_elsewhere(&types, "SELECT a FROM t WHERE m = $2 AND n = $1 AND o = $40"), [20, 0, 17, 17]);
        assert_eq!(types_elsewhere(&types, "SELECT a FROM t WHERE m IN ($3,$4)"), [20, 17, 0, 0]);
    }
}

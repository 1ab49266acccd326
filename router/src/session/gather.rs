//! Gather: a SELECT whose rows are brought together on one server, which answers it (`correctness.md` 4).
//! In: a plan, values. Out: frames in the client's output up to and with the tag. Never: a temporary object on a
//! backend on which the client's transaction is open.

use super::{
    Fault, Session,
    calls::Execution,
    hold::{self, Held},
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        gather::{self, Answering, Budget, Reader},
        scatter::ScatterError,
        splice::{self, Positions},
    },
    metrics::RouteKind,
    plan::{Gather, GatherInput, GatherSource, Many, Piece, PlanKind, Sharded, Splice, Timed},
    pool::conn::{Conn, ConnError},
    route::{self, bind::Values},
    sql::fingerprint::{Lexed, lex},
    txn::{Reach, Txn},
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::{
    message::{build, result::Field},
    quote,
};
use std::sync::Arc;

/// One input and where its rows are.
type Placed<'a> = (usize, &'a GatherInput, Vec<ShardIndex>);

/// What a gather works with.
struct Work<'a> {
    inputs: Vec<Placed<'a>>,
    values: &'a Values<'a>,
    execution: Option<Execution<'a>>,
    /// Rows are read where the client's transaction is open.
    in_txn: bool,
    /// The statement with the tables' names changed.
    text: Vec<u8>,
    origins: Vec<splice::Origin>,
}

impl Work<'_> {
    fn on(&self, shard: ShardIndex) -> Vec<(usize, &GatherInput)> {
        let here = self.inputs.iter().filter(|(_, _, shards)| shards.contains(&shard));
        here.map(|(number, input, _)| (*number, *input)).collect()
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

impl Session {
    /// Answers a SELECT by a gather.
    pub(super) async fn answer_by_gather(
        &mut self,
        plan: &Gather,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        let in_txn = self.txn.is_some();
        let mut times: &[Splice] = &[];
        match &plan.timed {
            Timed::No => {}
            Timed::Outside(splices) => {
                return Box::pin(self.at_one_time(splices, values, execution, snapshot)).await;
            }
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
        if self.txn.as_ref().is_some_and(|txn| txn.is_open_on(home)) && self.pool_size(snapshot, home) < 2 {
            // It would wait for a backend that it holds itself.
            let refused = cannot(
                "a statement that needs a second connection to a server, in a transaction, with a pool of one",
                "Raise pool.size, or run the statement outside the transaction.",
            );
            return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
        }
        if self.txn.as_ref().is_some_and(Txn::has_local_settings) {
            // They are known where the transaction is open, and not where the answer is made.
            let refused = cannot(
                "a statement over several shards behind SET LOCAL",
                "Use SET, or run the statement outside the transaction.",
            );
            return Err(self.refuse(refused, values.text, execution.as_ref(), snapshot).await);
        }
        let inputs = self.placed(plan, values, in_txn, snapshot);
        if in_txn && inputs.iter().any(|(_, input, _)| input.columns.is_empty()) {
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
        if !times.is_empty() {
            let time = self.transaction_time(snapshot).await?;
            splices.extend(times.iter().map(|splice| at_time(splice, &time)));
        }
        splices.sort_by_key(|splice| splice.start);
        let (text, origins) = splice::apply_with_origins(values.text, values.lexed, &splices);
        let work = Work { inputs, values, execution, in_txn, text, origins };
        let mut held = if in_txn {
            let mut held = self.hold_all(&shards, snapshot).await?;
            match self.hold_apart(snapshot, home).await {
                Ok(apart) => held.insert(0, apart),
                Err(fault) => {
                    self.put_back(held);
                    return Err(fault);
                }
            }
            held
        } else {
            let mut all = shards.clone();
            if let Err(at) = all.binary_search(&home) {
                all.insert(at, home);
            }
            let mut held = self.hold_all(&all, snapshot).await?;
            let at = held.iter().position(|one| one.shard == home).unwrap_or(0);
            held[..=at].rotate_right(1);
            held
        };
        let mut asked = 0;
        let result = self.run_gather(&mut held, &work, &mut asked).await;
        // Those that were not asked have nothing to be read.
        let idle = held.split_off(1 + asked);
        let result = self.end_gather(held, &work, result).await;
        self.put_back(idle);
        self.me.end_work();
        result.map(|()| RouteKind::Gather)
    }

    /// Answers a SELECT whose functions of time are replaced by the one time of its transaction: then it may be merged,
    /// and its conditions go to the shards.
    async fn at_one_time(
        &mut self,
        splices: &[Splice],
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<RouteKind, Fault> {
        self.judge(values.text, execution.as_ref(), snapshot).await?;
        let time = self.transaction_time(snapshot).await?;
        let splices: Vec<Splice> = splices.iter().map(|splice| at_time(splice, &time)).collect();
        let text = splice::apply(values.text, values.lexed, &splices);
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        let plan = self.plan(&text, &mut lexed);
        let values = Values { text: text.as_bytes(), lexed: &lexed, ..*values };
        match &plan.kind {
            PlanKind::Gather(gather) | PlanKind::Sharded(Sharded { many: Many::Gather(gather), .. })
                if gather.timed != Timed::No =>
            {
                Err(Report::new(catalogue::INTERNAL).detail("a time was left in a statement").into())
            }
            _ => self.call(&plan, &values, execution, snapshot).await,
        }
    }

    /// When the client's transaction began, as SQL.
    async fn transaction_time(&mut self, snapshot: &Arc<Snapshot>) -> Result<String, Fault> {
        let micros = if let Some(txn) = &self.txn {
            let default = snapshot.topology.default_shard;
            let shard = txn.participants.first().map_or_else(|| txn.any(default), |participant| participant.shard);
            self.admit(&[shard], Reach::Read, snapshot).await?;
            let mut held = self.hold(snapshot, shard).await?;
            let sql = "SELECT (extract(epoch FROM pg_catalog.now()) * 1000000)::pg_catalog.int8";
            let asked = match held.open().await {
                Ok(()) => held.conn().housekeep(sql).await,
                Err(error) => Err(error),
            };
            match asked {
                Ok(rows) => {
                    self.let_go(held, b'T', Reach::Read);
                    rows.into_iter().flatten().flatten().next().unwrap_or_default()
                }
                Err(error) => return Err(self.lost_while_held(&error)),
            }
        } else {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.unwrap_or_default().as_micros().to_string()
        };
        Ok(format!("(CAST('1970-01-01 00:00:00+00' AS timestamptz) + CAST('{micros} microseconds' AS interval))"))
    }

    /// The inputs that are copied, with their shards. What is on the default shard is read there, unless the client's
    /// transaction may have written it.
    fn placed<'a>(&self, plan: &'a Gather, values: &Values<'_>, in_txn: bool, snapshot: &Snapshot) -> Vec<Placed<'a>> {
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

    /// Copies and answers. `held` begins with the backend that answers; `asked` counts those after it that were sent
    /// something.
    async fn run_gather(&mut self, held: &mut [Held], work: &Work<'_>, asked: &mut usize) -> Result<(), ScatterError> {
        let Some((home, others)) = held.split_first_mut() else { return Ok(()) };
        let shard = home.shard;
        let opening = self.opening_of_gather(work);
        let (types, fields) = prepare(home.conn(), work, &opening).await?;
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
        self.answer_gather(home.conn(), work, &types, &fields).await
    }

    fn opening_of_gather(&mut self, work: &Work<'_>) -> String {
        let mut sql = String::from("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE;");
        let path = self.search_path();
        if self.settings.path_text().contains("pg_temp") {
            let schemas: Vec<_> = path.schemas.iter().map(|schema| quote::identifier(schema).into_owned()).collect();
            let rest = if schemas.is_empty() { String::new() } else { format!(", {}", schemas.join(", ")) };
            sql.push_str(&format!("SET LOCAL search_path = pg_temp{rest};"));
        }
        let inputs: Vec<&GatherInput> = work.inputs.iter().map(|(_, input, _)| *input).collect();
        sql.push_str(&gather::create_sql(&inputs));
        sql
    }

    async fn answer_gather(
        &mut self,
        home: &mut Conn,
        work: &Work<'_>,
        types: &[u32],
        fields: &[Field],
    ) -> Result<(), ScatterError> {
        let mut out = BytesMut::new();
        match &work.execution {
            None => build::query(&mut out, &work.text),
            Some(execution) => {
                build::parse(&mut out, "", &work.text, types);
                build::bind_raw(&mut out, "", "", &work.bind(None));
                build::describe(&mut out, b'P', "");
                let most = execution.max_rows.and_then(|most| i32::try_from(most).ok()).unwrap_or(0);
                build::execute(&mut out, "", most);
                build::sync(&mut out);
            }
        }
        home.send(&out).await.map_err(ConnError::from)?;
        let describe = work.execution.as_ref().is_none_or(|execution| execution.describe);
        let answered = gather::answer(&mut self.client, home, Answering { fields, describe }).await;
        if let Err(ScatterError::Server(_)) | Ok(_) = &answered {
            home.drain_rest().await?;
        }
        match answered {
            Err(ScatterError::Server(mut fields)) => {
                let positions = Positions { client: work.values.text, sent: &work.text, origins: &work.origins };
                positions.correct(&mut fields);
                Err(ScatterError::Server(fields))
            }
            answered => answered.map(|_| ()),
        }
    }

    /// Lets the backends go.
    async fn end_gather(
        &mut self,
        mut held: Vec<Held>,
        work: &Work<'_>,
        result: Result<(), ScatterError>,
    ) -> Result<(), Fault> {
        let mut home = held.remove(0);
        let kept = matches!(&result, Ok(()) | Err(ScatterError::Server(_)));
        // Where an answer before it is still to be read, that is not the ROLLBACK's.
        let cleaned = kept && home.conn().buf.is_empty() && rolls_back(home.conn()).await;
        if cleaned {
            self.let_go(home, b'I', Reach::Nothing);
        } else {
            hold::hang_up(home);
        }
        if work.in_txn {
            self.drain_all(held, result.is_ok(), Reach::Read).await;
        } else {
            for mut one in held {
                if result.is_ok() && one.conn().drain_rest().await.is_ok_and(|status| status == b'I') {
                    self.let_go(one, b'I', Reach::Nothing);
                } else {
                    hold::hang_up(one);
                }
            }
        }
        result.map_err(|error| self.fault_of(error))
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

fn at_time(splice: &Splice, time: &str) -> Splice {
    let with = splice.with.iter().map(|piece| match piece {
        Piece::Time => Piece::Text(time.to_owned()),
        piece => piece.clone(),
    });
    Splice { start: splice.start, end: splice.end, with: with.collect() }
}

/// Has PostgreSQL judge the client's statement, and makes the temporary tables. Returns the types of its parameters
/// and its columns.
async fn prepare(home: &mut Conn, work: &Work<'_>, opening: &str) -> Result<(Vec<u32>, Vec<Field>), ScatterError> {
    let mut out = BytesMut::new();
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
        command(&mut out, &sql, types, &bind);
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
        command(&mut out, &gather::read_sql(input, values.text, values.lexed), types, &bind);
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
fn command(out: &mut BytesMut, sql: &str, types: &[u32], bind: &[u8]) {
    build::parse(out, "", sql, types);
    build::bind_raw(out, "", "", bind);
    build::execute(out, "", 0);
}

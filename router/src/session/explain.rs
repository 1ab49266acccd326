//! Explain: EXPLAIN of statements over several shards, and EXPLAIN (ROUTE). In: a plan, values. Out: each shard's own
//! plan, or the route, and with ANALYZE what running it took. Never: a change that the statement itself does not make.

use super::{
    Fault, Session,
    calls::Execution,
    cursor::gather_of,
    hold::{self, Held},
    own,
    simple::Target,
    verbs::text_field,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        explain::{self as route_of, ExplainStep},
        explained::{self, Answered, Explained, Format, Options, Part},
        gather::{self, NO_PARAMETERS},
        scatter::ScatterError,
        splice::{self, Positions},
    },
    plan::{Gather, Many, Plan, PlanKind, SessionEffect, Timed},
    pool::conn::ConnError,
    route::{self, Route, bind::Values},
    sql::{
        fingerprint::{Lexed, lex},
        verb,
    },
    txn::Reach,
};
use bytes::BytesMut;
use pgring_config::ids::ShardIndex;
use pgring_protocol::message::{build, result::Field};
use std::{borrow::Cow, sync::Arc};

/// A request for a shard.
type Ask = (ShardIndex, BytesMut);

/// The statement of an EXPLAIN.
struct Inner<'a> {
    head: &'a str,
    text: Cow<'a, str>,
    lexed: Lexed,
    plan: Arc<Plan>,
    options: Options,
}

impl Inner<'_> {
    fn values<'b>(&'b self, outer: &Values<'b>) -> Values<'b> {
        Values { text: self.text.as_bytes(), lexed: &self.lexed, ..*outer }
    }
}

impl Session {
    fn inner_of<'a>(&mut self, statement_at: u32, values: &Values<'a>) -> Inner<'a> {
        let at = values.lexed.text_at(statement_at);
        let part = |part: Option<&'a [u8]>| part.and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default();
        let (head, text) = (part(values.text.get(..at)), part(values.text.get(at..)));
        self.inner(head, Cow::Borrowed(text))
    }

    fn inner<'a>(&mut self, head: &'a str, text: Cow<'a, str>) -> Inner<'a> {
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        let plan = self.plan(&text, &mut lexed);
        Inner { head, text, lexed, plan, options: Options::of(head) }
    }

    /// The statement with one time for all servers, as it would be run.
    async fn at_its_time<'a>(
        &mut self,
        inner: Inner<'a>,
        values: &Values<'a>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Inner<'a>, Fault> {
        let own = inner.values(values);
        let Some(Gather { timed: Timed::Outside(splices), .. }) = gather_of(&inner.plan, &own, snapshot) else {
            return Ok(inner);
        };
        let text = self.at_one_time(splices, &own, execution, snapshot).await?;
        Ok(self.inner(inner.head, Cow::Owned(text)))
    }

    /// EXPLAIN of a statement over several shards.
    pub(super) async fn explain_shards(
        &mut self,
        statement_at: u32,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let inner = self.inner_of(statement_at, values);
        let inner = self.at_its_time(inner, values, execution, snapshot).await?;
        let own = inner.values(values);
        let explained = match (&inner.plan.kind, gather_of(&inner.plan, &own, snapshot)) {
            (PlanKind::Sharded(sharded), _) if matches!(sharded.many, Many::Merge { .. }) => {
                self.explain_merge(&inner, &own, values.text, execution, snapshot).await?
            }
            (_, Some(gather)) => self.explain_gather(gather, &inner, &own, execution, snapshot).await?,
            (PlanKind::Refuse(refusal) | PlanKind::Judge(refusal), None) => {
                return Err(self.refuse(Self::refused(refusal), values.text, execution.as_ref(), snapshot).await);
            }
            _ => return Err(not_explained().into()),
        };
        let rows = explained.rows(inner.options.format).into_iter().map(|line| vec![Some(line)]);
        let rows: Vec<Vec<Option<String>>> = rows.collect();
        self.tell_explained(vec![query_plan(inner.options)], &rows, execution);
        Ok(())
    }

    fn tell_explained(&mut self, fields: Vec<Field>, rows: &[Vec<Option<String>>], execution: Option<Execution<'_>>) {
        let formats = execution.map_or(&[][..], |execution| execution.result_formats);
        let describe = execution.is_none_or(|execution| execution.describe);
        own::answer(&mut self.client.out, fields, rows, formats, describe);
        build::command_complete(&mut self.client.out, "EXPLAIN");
    }

    async fn explain_merge(
        &mut self,
        inner: &Inner<'_>,
        values: &Values<'_>,
        client: &[u8],
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Explained, Fault> {
        let PlanKind::Sharded(sharded) = &inner.plan.kind else { return Err(not_explained().into()) };
        let (Many::Merge { splices, merge, .. }, Route::Many(shards)) =
            (&sharded.many, route::resolve(sharded, values, &snapshot.topology)?)
        else {
            return Err(not_explained().into());
        };
        let (text, origins) = splice::apply_with_origins(values.text, values.lexed, splices);
        let sent = [inner.head.as_bytes(), &text].concat();
        let request = request(&sent, execution.map_or(&[], |execution| execution.prepared.types()), execution.as_ref());
        let asks: Vec<Ask> = shards.iter().map(|shard| (*shard, request.clone())).collect();
        let origins = splice::behind(inner.head.len(), &origins);
        let positions = Positions { client, sent: &sent, origins: &origins };
        let answers = self.ask_shards(&asks, Reach::Read, true, Some(&positions), snapshot).await?;
        let statement = String::from_utf8_lossy(&text).trim().to_owned();
        let part = |((shard, _), answer): (&Ask, Answered)| Part {
            what: "Shard",
            table: None,
            shard: snapshot.topology.shard(*shard).name.to_string(),
            statement: statement.clone(),
            plan: Some(answer.lines),
        };
        let parts = asks.iter().zip(answers).map(part).collect();
        Ok(Explained { kind: "Scatter", why: route_of::how(merge).to_owned(), parts })
    }

    async fn explain_gather(
        &mut self,
        gather: &Gather,
        inner: &Inner<'_>,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Explained, Fault> {
        let types = self.types_of(values, execution, snapshot).await?;
        let name = |shard: ShardIndex| snapshot.topology.shard(shard).name.to_string();
        let (mut asks, mut parts) = (Vec::<Ask>::new(), Vec::new());
        let placed = self.placed(gather, values, self.txn.is_some(), snapshot);
        for (_, input, shards) in &placed {
            let sql = gather::read_sql(input, values.text, values.lexed);
            for shard in shards {
                let sent = format!("{}{sql}", inner.head);
                asks.push((*shard, request(sent.as_bytes(), &types, execution.as_ref())));
                let table = Some(input.table.to_string());
                parts.push(Part { what: "Input", table, shard: name(*shard), statement: sql.clone(), plan: None });
            }
        }
        let answers = self.ask_shards(&asks, Reach::Read, true, None, snapshot).await?;
        for (part, answer) in parts.iter_mut().zip(answers) {
            part.plan = Some(answer.lines);
        }
        let home = name(snapshot.topology.default_shard);
        let why = format!("what is needed of the shards' rows is copied to {home}, which answers");
        let mut last =
            Part { what: "Final", table: None, shard: home, statement: inner.text.trim().to_owned(), plan: None };
        if inner.options.analyze {
            let answer = self.finish_gather(gather, inner.head, values, execution, true, snapshot).await?;
            last.plan = Some(answer.lines);
        }
        parts.push(last);
        Ok(Explained { kind: "Gather", why, parts })
    }

    /// Runs a gather, with `head` before its last statement; the answer is not for the client.
    async fn finish_gather(
        &mut self,
        gather: &Gather,
        head: &str,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        keeps: bool,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Answered, Fault> {
        let mut gathered = self.bring_together(gather, values, execution, snapshot).await?;
        gathered.prefix(head.as_bytes());
        let request = request(&gathered.text, &gathered.types, execution.as_ref());
        let conn = gathered.home.conn();
        let answer = match conn.send(&request).await {
            Ok(()) => self.client.beside(true, explained::answered(conn, keeps)).await,
            Err(error) => Ok(Err(ConnError::from(error))),
        };
        let answer = match answer {
            Ok(answer) => answer.map_err(ScatterError::from),
            Err(gone) => Err(ScatterError::Client(gone)),
        };
        let client = [head.as_bytes(), values.text].concat();
        match answer {
            Ok(answer) => {
                self.end_gather(gathered, &client, Ok(())).await?;
                Ok(answer)
            }
            Err(error) => {
                self.end_gather(gathered, &client, Err(error)).await?;
                Err(Fault::Told)
            }
        }
    }

    /// Types of the statement's parameters, as the default shard knows them.
    pub(super) async fn types_of(
        &mut self,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<u32>, Fault> {
        let Some(execution) = execution else { return Ok(vec![]) };
        let mut held = self.hold_here_or_apart(snapshot, snapshot.topology.default_shard).await?;
        let open = held.is_in_txn();
        let mut out = BytesMut::new();
        build::parse(&mut out, "", values.text, execution.prepared.types());
        build::describe(&mut out, b'S', "");
        build::sync(&mut out);
        let conn = held.conn();
        let described = match conn.send(&out).await {
            Ok(()) => gather::described(conn).await,
            Err(error) => Err(error.into()),
        };
        match described {
            Ok((types, _)) => {
                self.let_go(held, if open { b'T' } else { b'I' }, Reach::Nothing);
                Ok(types)
            }
            Err(ConnError::Server(fields)) => {
                self.let_go(held, if open { b'E' } else { b'I' }, Reach::Nothing);
                Err(self.fault_of(ScatterError::Server(fields), None))
            }
            Err(error) => Err(self.lost_while_held(&error)),
        }
    }

    /// Asks shards, all at once, and reads what they answer, in the order of the questions. An error of one is the
    /// statement's.
    async fn ask_shards(
        &mut self,
        asks: &[Ask],
        reach: Reach,
        keeps: bool,
        positions: Option<&Positions<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Answered>, Fault> {
        let mut shards: Vec<ShardIndex> = asks.iter().map(|(shard, _)| *shard).collect();
        shards.sort_unstable();
        shards.dedup();
        self.check_fanout(shards.len())?;
        self.admit(&shards, reach, snapshot).await?;
        let mut held = self.hold_all(&shards, snapshot).await?;
        let own = |shard: ShardIndex| asks.iter().filter(move |(at, _)| *at == shard).map(|(_, request)| request);
        let asked = held.iter_mut().map(|one| {
            let requests: Vec<&BytesMut> = own(one.shard).collect();
            explained::ask(one.conn(), requests, keeps)
        });
        let asked = asked.collect();
        let answers = self.client.beside(true, explained::all(asked)).await;
        let answers = match answers {
            Ok(answers) => answers,
            Err(gone) => {
                self.me.end_work();
                held.into_iter().for_each(hold::hang_up);
                return Err(self.fault_of(ScatterError::Client(gone), None));
            }
        };
        let open = self.txn.is_some();
        let (mut first, mut by_shard) = (None, Vec::with_capacity(held.len()));
        for (one, answer) in held.into_iter().zip(answers) {
            let shard = one.shard;
            match answer {
                Ok(answers) => {
                    self.let_go(one, if open { b'T' } else { b'I' }, reach);
                    by_shard.push((shard, answers.into_iter()));
                }
                Err(error @ ConnError::Server(_)) => {
                    self.let_go(one, if open { b'E' } else { b'I' }, reach);
                    first.get_or_insert(error);
                }
                Err(error) => {
                    self.lose(one);
                    first.get_or_insert(error);
                }
            }
        }
        self.me.end_work();
        if let Some(error) = first {
            return Err(self.fault_of(error.into(), positions));
        }
        let mut next = |shard: ShardIndex| {
            by_shard.iter_mut().find(|(at, _)| *at == shard).and_then(|(_, answers)| answers.next()).unwrap_or_default()
        };
        Ok(asks.iter().map(|(shard, _)| next(*shard)).collect())
    }

    /// A backend is gone, and what the transaction did there.
    fn lose(&mut self, held: Held) {
        if held.is_in_txn() {
            self.fail_txn();
        }
    }

    /// EXPLAIN (ROUTE).
    pub(super) async fn explain_route(
        &mut self,
        statement_at: u32,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let mut inner = self.inner_of(statement_at, values);
        if inner.options.analyze {
            inner = self.at_its_time(inner, values, execution, snapshot).await?;
        }
        let own = inner.values(values);
        let about_session = verb::recognise(inner.text.trim().trim_end_matches(';')).is_some();
        let steps = if about_session {
            vec![route_of::session_step(&inner.text)]
        } else {
            route_of::steps(&inner.plan, &own, &snapshot.topology)?
        };
        let mut rows: Vec<Vec<Option<String>>> = Vec::new();
        for (nth, step) in steps.into_iter().enumerate() {
            let ExplainStep { kind, shards, sql, why } = step;
            let row = |shards: String, sql: String| {
                [(nth + 1).to_string(), kind.to_owned(), shards, sql, why.clone()].map(Some).to_vec()
            };
            if !inner.options.analyze {
                rows.push(row(shards, sql));
                continue;
            }
            if about_session {
                return Err(not_measured().into());
            }
            for (shard, sql, answer) in self.measure(&inner, &own, execution, snapshot).await? {
                let mut row = row(snapshot.topology.shard(shard).name.to_string(), sql);
                let milliseconds = format!("{:.3}", answer.elapsed.as_secs_f64() * 1000.0);
                row.extend([answer.rows.to_string(), answer.bytes.to_string(), milliseconds].map(Some));
                rows.push(row);
            }
        }
        let fields = route_fields(inner.options.analyze);
        if inner.options.format != Format::Json {
            self.tell_explained(fields, &rows, execution);
            return Ok(());
        }
        let document = explained::json_rows(&fields, &rows);
        self.tell_explained(vec![query_plan(inner.options)], &[vec![Some(document)]], execution);
        Ok(())
    }

    /// Runs a statement, whose rows are counted and not told.
    async fn measure(
        &mut self,
        inner: &Inner<'_>,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<(ShardIndex, String, Answered)>, Fault> {
        if inner.plan.session != SessionEffect::default() {
            return Err(not_measured().into());
        }
        let declared = execution.map_or(&[][..], |execution| execution.prepared.types());
        let (asks, reach, texts) = match self.target_of(&inner.plan, values, snapshot)? {
            Target::Server { shard, reach, .. } => {
                let ask = (shard, request(values.text, declared, execution.as_ref()));
                (vec![ask], reach, vec![inner.text.to_string()])
            }
            Target::Special => match &inner.plan.kind {
                PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => {
                    return Err(self.refuse(Self::refused(refusal), values.text, execution.as_ref(), snapshot).await);
                }
                PlanKind::Sharded(sharded) => {
                    match (&sharded.many, route::resolve(sharded, values, &snapshot.topology)?) {
                        (Many::Merge { splices, .. }, Route::Many(shards)) => {
                            let text = splice::apply(values.text, values.lexed, splices);
                            let request = request(&text, declared, execution.as_ref());
                            let text = String::from_utf8_lossy(&text).into_owned();
                            let texts = vec![text; shards.len()];
                            (shards.into_iter().map(|shard| (shard, request.clone())).collect(), Reach::Read, texts)
                        }
                        (Many::Gather(gather), _) => {
                            return self.measure_gather(gather, values, execution, snapshot).await;
                        }
                        (Many::Refuse(refusal), _) => return Err(Self::refused(refusal).into()),
                        _ => return Err(not_measured().into()),
                    }
                }
                PlanKind::Gather(gather) => return self.measure_gather(gather, values, execution, snapshot).await,
                _ => return Err(not_measured().into()),
            },
        };
        let answers = self.ask_shards(&asks, reach, false, None, snapshot).await?;
        Ok(asks.into_iter().zip(texts).zip(answers).map(|(((shard, _), sql), answer)| (shard, sql, answer)).collect())
    }

    async fn measure_gather(
        &mut self,
        gather: &Gather,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<(ShardIndex, String, Answered)>, Fault> {
        let types = self.types_of(values, execution, snapshot).await?;
        let (mut asks, mut texts) = (Vec::<Ask>::new(), Vec::new());
        for (_, input, shards) in &self.placed(gather, values, self.txn.is_some(), snapshot) {
            let sql = gather::read_sql(input, values.text, values.lexed);
            for shard in shards {
                asks.push((*shard, request(sql.as_bytes(), &types, execution.as_ref())));
                texts.push(sql.clone());
            }
        }
        let answers = self.ask_shards(&asks, Reach::Read, false, None, snapshot).await?;
        let measured = asks.into_iter().zip(texts).zip(answers);
        let mut measured: Vec<_> = measured.map(|(((shard, _), sql), answer)| (shard, sql, answer)).collect();
        let last = self.finish_gather(gather, "", values, execution, false, snapshot).await?;
        let text = String::from_utf8_lossy(values.text).into_owned();
        measured.push((snapshot.topology.default_shard, text, last));
        Ok(measured)
    }
}

/// A request by the protocol that the client uses; its answer is text.
fn request(text: &[u8], types: &[u32], execution: Option<&Execution<'_>>) -> BytesMut {
    let mut out = BytesMut::new();
    match execution {
        None => build::query(&mut out, text),
        Some(execution) => {
            let rest = if execution.bind.is_empty() { NO_PARAMETERS } else { execution.bind };
            build::parse(&mut out, "", text, types);
            build::bind_raw(&mut out, "", "", &splice::with_formats(rest, execution.result_formats, &[]));
            build::execute(&mut out, "", 0);
            build::sync(&mut out);
        }
    }
    out
}

/// The column of EXPLAIN.
pub(super) fn query_plan(options: Options) -> Field {
    Field { type_oid: options.type_oid(), ..text_field("QUERY PLAN") }
}

/// The columns of EXPLAIN (ROUTE).
pub(super) fn route_fields(analyze: bool) -> Vec<Field> {
    let number = |name: &str, type_oid, type_size| Field { type_oid, type_size, ..text_field(name) };
    let mut fields = vec![number("step", 23, 4)];
    fields.extend(["kind", "shards", "sql", "why"].map(text_field));
    if analyze {
        fields.extend([number("rows", 20, 8), number("bytes", 20, 8), number("milliseconds", 701, 8)]);
    }
    fields
}

fn not_explained() -> Report {
    Report::new(catalogue::MANY_SHARDS)
        .detail("EXPLAIN of this statement over several shards")
        .hint("Use EXPLAIN (ROUTE).")
}

fn not_measured() -> Report {
    Report::new(catalogue::UNSUPPORTED)
        .detail("EXPLAIN (ROUTE, ANALYZE) of a statement that pgring answers or that changes the session")
        .hint("EXPLAIN (ROUTE) shows the route without running the statement.")
}

//! SQL prepared: PREPARE, EXECUTE and DEALLOCATE, over the same map of statements as the protocol's.
//! In: their names and arguments. Out: answers of a server under the client's names. Never: a second map.

use super::{
    Fault, Session,
    calls::Execution,
    hold::Held,
    prepared::{self, Prepared},
    simple::{Done, Target},
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::{
        scatter::ScatterError,
        splice::{self, Positions},
    },
    plan::{Plan, PlanKind},
    pool::conn::{Conn, ConnError},
    route::bind::{Argument, Parameters},
    sql::{
        fingerprint::{Lexed, SlotKind, lex, literal_text},
        verb::Which,
    },
    txn::Reach,
};
use bytes::{BufMut, BytesMut};
use pgring_config::ids::ShardIndex;
use pgring_protocol::{
    message::{build, extended::Bind},
    quote,
};
use std::sync::Arc;

impl Session {
    /// PREPARE: a server judges it under the client's own name.
    pub(super) async fn prepare(&mut self, text: &str, name: &str, at: usize) -> Result<Done, Fault> {
        if self.statements.contains_key(name.as_bytes()) {
            return Err(prepared::duplicate(name.as_bytes()).into());
        }
        let snapshot = self.database.snapshot().clone();
        let default = snapshot.topology.default_shard;
        let shard = self.txn.as_ref().map_or(default, |txn| txn.any(default));
        let mut held = self.hold(&snapshot, shard).await?;
        let mut status = if self.txn.is_some() { b'T' } else { b'I' };
        // The server judges it under the client's own name, and says which types its parameters have.
        let sql = format!(
            "{text}\n;SELECT parameter_types::pg_catalog.oid[]::pg_catalog.text FROM pg_catalog.pg_prepared_statements \
             WHERE name = {};DEALLOCATE {}",
            quote::literal(name),
            quote::identifier(name),
        );
        let opened = held.open().await;
        let judge = async |conn: &mut Conn| match opened {
            Ok(()) => conn.housekeep(&sql).await,
            Err(error) => Err(error),
        };
        let (held, judged) = self.beside_client(held, judge).await?;
        let rows = match judged {
            Ok(rows) => rows,
            Err(ConnError::Server(mut fields)) => {
                self.client.move_position(&mut fields);
                build::error(&mut self.client.out, &fields);
                status = if self.txn.is_some() { b'E' } else { b'I' };
                self.let_go(held, status, Reach::Nothing);
                return Err(Fault::Told);
            }
            Err(error) => return Err(self.lost_while_held(&error)),
        };
        self.let_go(held, status, Reach::Nothing);
        let inner = text.get(at..).unwrap_or_default();
        let types = rows.first().and_then(|row| row.first()?.as_deref()).map(oids).unwrap_or_default();
        let mut prepared = Prepared::read(inner, types, Some(snapshot.schema.version));
        prepared.sql = Some(text.into());
        build::command_complete(&mut self.client.out, "PREPARE");
        self.statements.insert(name.as_bytes().into(), Arc::new(prepared));
        Ok(Done::Open)
    }

    /// EXECUTE.
    pub(super) async fn execute_prepared(
        &mut self,
        text: &str,
        name: &str,
        arguments: &[(usize, usize)],
        open: usize,
    ) -> Result<Done, Fault> {
        if let Some(prepared) = self.executed_verb(name).filter(|_| arguments.is_empty()) {
            let span = prepared.lexed.statements.first().copied();
            let inner = span.and_then(|span| prepared.text.get(span.start as usize..span.end as usize));
            let (Some(verb), Some(inner)) = (prepared.verb.clone(), inner) else { return Ok(Done::Open) };
            return Box::pin(self.verb(verb, inner, None)).await;
        }
        let snapshot = self.database.snapshot().clone();
        let execution = self.execution(text, name, arguments, &snapshot)?;
        let Executed { prepared, arguments, plan, place, .. } = &execution;
        let (shard, reach) = match *place {
            Some(place) => place,
            None => match Box::pin(self.execute_over(&execution, Wanted::TEXT, &snapshot)).await? {
                Some(place) => place,
                None => return Ok(Done::Open),
            },
        };
        self.admit(&[shard], reach, &snapshot).await?;
        let held = self.hold(&snapshot, shard).await?;
        let Some(id) = prepared.id else { return Err(execute_over_shards().into()) };
        let mut held = self.prepare_or_let_go(held, prepared).await?;
        self.pin_for(&plan.session);
        if plan.session.asks_sequence {
            self.own_sequences(&mut held).await?;
        }
        let assigned = if plan.session.sets.is_empty() {
            None
        } else {
            let values = prepared.values(Parameters::Arguments(arguments), self.settings.utf8());
            let changed = self.changed_by(&plan.session.sets, &values);
            self.assign(changed, &mut held).await
        };
        let mut out = BytesMut::new();
        let (before, rest) = text.split_at_checked(open).unwrap_or((text, ""));
        let there = format!("EXECUTE {}", id.name());
        build::query(&mut out, format!("{there}{rest}").as_bytes());
        let moved = before.chars().count() as isize - there.len() as isize;
        self.client.position_offset += moved;
        let answer = self.relay_simple(held, &out, reach, false).await;
        self.client.position_offset -= moved;
        let answer = answer?;
        if answer.error.is_some() {
            self.unassign(assigned, shard);
            return Err(Fault::Told);
        }
        Ok(Done::Open)
    }

    /// The statement of this name, if it is about the session and an EXECUTE of it does the same.
    pub(super) fn executed_verb(&self, name: &str) -> Option<Arc<Prepared>> {
        use crate::sql::verb::Verb::{Declare, Execute, Prepare};
        let prepared = self.statements.get(name.as_bytes())?;
        let verb = prepared.verb.as_ref()?;
        let alone = verb.is_about_transactions() || matches!(verb, Execute { .. } | Prepare { .. } | Declare { .. });
        (!alone).then(|| prepared.clone())
    }

    /// What an EXECUTE executes, and where.
    pub(super) fn execution(
        &mut self,
        text: &str,
        name: &str,
        arguments: &[(usize, usize)],
        snapshot: &Snapshot,
    ) -> Result<Executed, Fault> {
        let Some(prepared) = self.statements.get(name.as_bytes()).cloned() else {
            return Err(prepared::unknown(name.as_bytes()).into());
        };
        if prepared.verb.is_some() {
            return Err(Report::new(catalogue::UNSUPPORTED)
                .detail("EXECUTE of a statement about the session or its transaction")
                .hint("Send the statement itself.")
                .into());
        }
        let wanted = prepared.types().len().max(usize::from(prepared.lexed.parameters));
        if wanted != arguments.len() {
            return Err(Report::with(
                catalogue::PARAMETER_VALUE,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .sqlstate("42601")
            .detail(format!("Expected {wanted} parameters but got {}.", arguments.len()))
            .into());
        }
        let plan = self.prepared_plan(&prepared);
        let spans = arguments;
        let arguments: Vec<_> =
            spans.iter().map(|(from, to)| argument(text.get(*from..*to).unwrap_or_default())).collect();
        let values = prepared.values(Parameters::Arguments(&arguments), self.settings.utf8());
        let place = match (self.target_of(&plan, &values, snapshot)?, &plan.kind) {
            (Target::Server { shard, reach, .. }, _) => Some((shard, reach)),
            (Target::Special, PlanKind::Refuse(refusal) | PlanKind::Judge(refusal)) => {
                return Err(Self::refused(refusal).into());
            }
            (Target::Special, PlanKind::Sharded(_) | PlanKind::Gather(_) | PlanKind::ReferenceWrite(_)) => None,
            (Target::Special, _) => return Err(execute_over_shards().into()),
        };
        Ok(Executed { prepared, arguments, text: text.into(), spans: spans.into(), plan, place })
    }

    /// EXECUTE of a statement that may cover several shards. Returns where it goes if one server has all of it, and else
    /// answers it.
    pub(super) async fn execute_over(
        &mut self,
        executed: &Executed,
        wanted: Wanted<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<(ShardIndex, Reach)>, Fault> {
        let Executed { prepared, plan, .. } = executed;
        let evaluated = self.evaluate(executed, snapshot).await?;
        let rest = bind_of(&evaluated, wanted.formats);
        let bind = Bind { portal: &[], statement: &[], rest: &rest };
        let parameters = bind.parameters().map_err(|error| Report::with(catalogue::PROTOCOL, error.to_string()))?;
        let values = prepared.values(Parameters::Bound(&parameters, prepared.types()), self.settings.utf8());
        if let Target::Server { shard, reach, .. } = self.target_of(plan, &values, snapshot)? {
            return Ok(Some((shard, reach)));
        }
        let execution = Execution {
            prepared,
            bind: &rest,
            result_formats: wanted.formats,
            describe: wanted.describe,
            max_rows: None,
            portal: None,
        };
        self.call(plan, &values, Some(execution), snapshot).await?;
        Ok(None)
    }

    /// The arguments' values, as text of the parameters' types.
    pub(super) async fn evaluate(
        &mut self,
        executed: &Executed,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Option<String>>, Fault> {
        let types = executed.prepared.types();
        let plain = |(at, argument): (usize, &Argument)| match argument {
            Argument::Null => Some(None),
            Argument::Text(written) if types.get(at) == Some(&TEXT) => Some(Some(written.clone())),
            Argument::Number(digits) if types.get(at).is_some_and(|oid| NUMBERS.contains(oid)) => {
                Some(Some(digits.clone()))
            }
            _ => None,
        };
        let plain: Option<Vec<_>> = executed.arguments.iter().enumerate().map(plain).collect();
        match plain {
            Some(plain) => Ok(plain),
            None => self.ask_for_arguments(executed, snapshot).await,
        }
    }

    /// Has a server evaluate the arguments, as its own EXECUTE does; in a transaction one that knows when it began.
    async fn ask_for_arguments(
        &mut self,
        executed: &Executed,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<Option<String>>, Fault> {
        const NAME: &str = "pgring_arguments";
        let columns: Vec<String> = (1..=executed.spans.len()).map(|n| format!("${n}::pg_catalog.text")).collect();
        let (sent, origins) = splice::joined(&executed.text, &format!("EXECUTE {NAME} ("), &executed.spans, "\n,");
        let mut out = BytesMut::new();
        build::parse(&mut out, NAME, format!("SELECT {}", columns.join(", ")), executed.prepared.types());
        build::sync(&mut out);
        build::query(&mut out, format!("{sent}\n)"));
        build::close(&mut out, b'S', NAME);
        build::sync(&mut out);
        let mut held = self.hold_at_its_time(snapshot).await?;
        let open = held.is_in_txn();
        let conn = held.conn();
        let mut asked = conn.send(&out).await.map_err(ConnError::from).map(|()| vec![]);
        for nth in 0..3 {
            if matches!(asked, Err(ConnError::Lost(_) | ConnError::Protocol(_))) {
                break;
            }
            match (conn.drain().await, &asked) {
                (Ok(drained), Ok(_)) if nth == 1 => asked = Ok(drained.rows),
                (Err(error @ (ConnError::Lost(_) | ConnError::Protocol(_))), _) | (Err(error), Ok(_)) => {
                    asked = Err(error);
                }
                _ => {}
            }
        }
        match asked {
            Ok(rows) => {
                self.let_go(held, if open { b'T' } else { b'I' }, Reach::Nothing);
                Ok(rows.into_iter().next().unwrap_or_default())
            }
            Err(ConnError::Server(fields)) => {
                self.let_go(held, if open { b'E' } else { b'I' }, Reach::Nothing);
                let positions =
                    Positions { client: executed.text.as_bytes(), sent: sent.as_bytes(), origins: &origins };
                Err(self.fault_of(ScatterError::Server(fields), Some(&positions)))
            }
            Err(error) => Err(self.lost_while_held(&error)),
        }
    }

    /// Prepares a statement on a backend, unless it is there.
    pub(super) async fn prepare_there(&mut self, held: &mut Held, prepared: &Prepared) -> Result<(), Fault> {
        let Some(id) = prepared.id else { return Ok(()) };
        if held.conn().statements.touch(id) {
            return Ok(());
        }
        let opened = held.open().await;
        let conn = held.conn();
        let gone = conn.statements.add(id);
        let made = match opened {
            Ok(()) => conn.prepare(id, gone, prepared.bytes(), prepared.types()).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(()) => Ok(()),
            Err(ConnError::Server(fields)) => {
                held.conn().statements.remove(id);
                build::error(&mut self.client.out, &fields);
                Err(Fault::Told)
            }
            Err(error) => Err(self.lost_while_held(&error)),
        }
    }

    /// DEALLOCATE.
    pub(super) fn deallocate(&mut self, which: &Which) -> Result<Done, Fault> {
        let tag = match which {
            Which::All => {
                self.told.clear();
                self.statements.retain(|name, _| name.is_empty());
                "DEALLOCATE ALL"
            }
            Which::Name(name) => {
                if self.statements.remove(name.as_bytes()).is_none() {
                    return Err(prepared::unknown(name.as_bytes()).into());
                }
                "DEALLOCATE"
            }
        };
        build::command_complete(&mut self.client.out, tag);
        Ok(Done::Open)
    }
}

/// The type text.
const TEXT: u32 = 25;
/// The types whose values a whole number may be written as.
const NUMBERS: &[u32] = &[20, 21, 23, 1700];

/// The body of a Bind after the statement's name, with values as text.
pub(super) fn bind_of(values: &[Option<String>], formats: &[i16]) -> Vec<u8> {
    let mut rest = BytesMut::new();
    rest.put_u16(0);
    rest.put_u16(values.len() as u16);
    for value in values {
        match value {
            None => rest.put_i32(-1),
            Some(text) => {
                rest.put_u32(text.len() as u32);
                rest.put_slice(text.as_bytes());
            }
        }
    }
    rest.put_u16(formats.len() as u16);
    formats.iter().for_each(|format| rest.put_i16(*format));
    rest.to_vec()
}

/// A Bind of NULLs, for the description of what it would answer.
pub(super) fn nulls(prepared: &Prepared, formats: &[i16]) -> Vec<u8> {
    let count = prepared.types().len().max(usize::from(prepared.lexed.parameters));
    bind_of(&vec![None; count], formats)
}

/// How the answer of an EXECUTE is to be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Formats of its columns.
    pub(super) formats: &'a [i16],
    /// With a RowDescription.
    pub(super) describe: bool,
}

impl Wanted<'_> {
    /// As the simple protocol does.
    const TEXT: Self = Self { formats: &[], describe: true };
}

pub(super) fn execute_over_shards() -> Report {
    Report::new(catalogue::MANY_SHARDS)
        .detail("EXECUTE of a statement that does not go to one server")
        .hint("Send the statement itself, or prepare it by the extended protocol.")
}

/// Numbers of types as `{23,25}` lists them.
fn oids(text: &str) -> Box<[u32]> {
    text.trim_matches(['{', '}']).split(',').filter_map(|oid| oid.parse().ok()).collect()
}

/// What an EXECUTE executes.
#[derive(Debug)]
pub(super) struct Executed {
    pub(super) prepared: Arc<Prepared>,
    pub(super) arguments: Vec<Argument>,
    /// The EXECUTE.
    text: Box<str>,
    /// Where its arguments stand in it.
    spans: Box<[(usize, usize)]>,
    pub(super) plan: Arc<Plan>,
    /// The server that has all of it; None: it may cover several shards.
    pub(super) place: Option<(ShardIndex, Reach)>,
}

/// An argument of EXECUTE, if it is a plain literal.
fn argument(text: &str) -> Argument {
    let text = text.trim();
    if text.eq_ignore_ascii_case("null") {
        return Argument::Null;
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits.trim_start()),
        None => ("", text),
    };
    let mut lexed = Lexed::default();
    lex(digits.as_bytes(), &mut lexed);
    let (true, [slot]) = (lexed.certain, lexed.slots.as_slice()) else { return Argument::Expression };
    if lexed.shape.len() != 1 {
        return Argument::Expression;
    }
    match (slot.kind, literal_text(slot.kind, digits.as_bytes())) {
        (SlotKind::Integer, Some(digits)) => Argument::Number(format!("{sign}{digits}")),
        (SlotKind::String | SlotKind::EscapeString | SlotKind::DollarString, Some(text)) if sign.is_empty() => {
            Argument::Text(text.into_owned())
        }
        _ => Argument::Expression,
    }
}

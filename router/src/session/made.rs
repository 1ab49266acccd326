//! Made: what each shard runs of a change of schema. In: the client's statement. Out: its answer from the default shard, the
//! text for the others. Never: rows of a local table on another shard.

use super::{
    Fault, Session,
    calls::Execution,
    prepared::Prepared,
    sql_prepared::{bind_of, execute_over_shards},
    stand_in::Within,
};
use crate::{
    cluster::Snapshot,
    error::{Report, catalogue},
    execute::splice,
    plan::{Ddl, Elsewhere, PlanKind},
    pool::conn::{Conn, ConnError, Drained},
    route::bind::{Parameters, Values},
    sql::verb::{Verb, first_word, recognise},
};
use bytes::BytesMut;
use pgring_config::tables::TableName;
use pgring_protocol::{
    message::{build, extended::Bind},
    quote,
};
use std::sync::Arc;

/// The columns of a table that was just made, as CREATE TABLE takes them.
const COLUMNS: &str = "SELECT CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE '' END, \
    coalesce(string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod), \
        CASE WHEN a.attcollation <> t.typcollation THEN format(' COLLATE %I.%I', n.nspname, l.collname) ELSE '' END), \
        ', ' ORDER BY a.attnum), '') \
    FROM pg_catalog.pg_class c \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace \
    WHERE c.oid = pg_catalog.to_regclass(";

/// A change of schema on its way over the shards.
pub(super) struct Change<'a> {
    pub(super) text: &'a str,
    /// The table that a query fills on the default shard, and what the client sent with it.
    filled: Option<(&'a TableName, bool)>,
    execution: Option<Execution<'a>>,
    elsewhere: String,
}

impl<'a> Change<'a> {
    pub(super) fn new(text: &'a str, ddl: &'a Ddl, values: &Values<'_>, execution: Option<Execution<'a>>) -> Self {
        let (elsewhere, filled) = match &ddl.elsewhere {
            Elsewhere::Same => (text.to_owned(), None),
            Elsewhere::Spliced(splices) => {
                (String::from_utf8_lossy(&splice::apply(values.text, values.lexed, splices)).into_owned(), None)
            }
            Elsewhere::Empty { table, if_not_exists } => (String::new(), Some((table, *if_not_exists))),
        };
        Self { text, filled, execution, elsewhere }
    }

    /// The text for all shards but the first.
    pub(super) fn elsewhere(&self) -> &str {
        &self.elsewhere
    }

    /// Runs it where its answer comes from; notices go into `out`. `goes_on`: others follow.
    pub(super) async fn first(
        &mut self,
        conn: &mut Conn,
        out: &mut BytesMut,
        goes_on: bool,
    ) -> Result<Drained, ConnError> {
        let Some((table, if_not_exists)) = self.filled else {
            return conn.housekeep_with(self.text, true, out).await;
        };
        let drained = match &self.execution {
            None => conn.housekeep_with(self.text, true, out).await?,
            // The query may have parameters.
            Some(execution) => {
                let mut request = BytesMut::new();
                build::parse(&mut request, "", self.text.as_bytes(), execution.prepared.types());
                build::bind_raw(&mut request, "", "", execution.bind);
                build::execute(&mut request, "", 0);
                build::sync(&mut request);
                conn.ask(&request, Some(out)).await?
            }
        };
        if goes_on {
            self.elsewhere = empty(conn, table, if_not_exists).await?;
        }
        Ok(drained)
    }
}

impl Session {
    /// CREATE TABLE … AS EXECUTE: as if the prepared statement stood there, with the arguments as its parameters.
    pub(super) async fn make_from_execute(
        &mut self,
        values: &Values<'_>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Fault> {
        let unread = || Report::new(catalogue::UNSUPPORTED).detail("EXECUTE within a statement in this form");
        let text = String::from_utf8_lossy(values.text);
        let Within { before, inner, tail } = Within::of(&text).ok_or_else(unread)?;
        let Some(Verb::Execute { name, arguments, .. }) = recognise(inner) else { return Err(unread().into()) };
        let executed = self.execution(inner, &name, &arguments, snapshot)?;
        let query = executed.prepared.only();
        if !["SELECT", "VALUES", "TABLE", "WITH", ""].contains(&first_word(query)) {
            return Err(Report::with(catalogue::PARAMETER_VALUE, "prepared statement is not a SELECT")
                .sqlstate("42809")
                .into());
        }
        let evaluated = self.evaluate(&executed, snapshot).await?;
        let types = executed.prepared.types().into();
        let mut made = Prepared::read(&format!("{before}\n{query}\n{tail}"), types, None);
        let mut lexed = std::mem::take(&mut made.lexed);
        let plan = self.plan(&made.text, &mut lexed);
        made.lexed = lexed;
        let ddl = match &plan.kind {
            PlanKind::Ddl(ddl) => ddl,
            PlanKind::Refuse(refusal) | PlanKind::Judge(refusal) => return Err(Self::refused(refusal).into()),
            _ => return Err(execute_over_shards().into()),
        };
        let rest = bind_of(&evaluated, &[]);
        let bind = Bind { portal: &[], statement: &[], rest: &rest };
        let parameters = bind.parameters().map_err(|error| Report::with(catalogue::PROTOCOL, error.to_string()))?;
        let values = made.values(Parameters::Bound(&parameters, made.types()), self.settings.utf8());
        let execution = Execution {
            prepared: &made,
            bind: &rest,
            result_formats: &[],
            describe: false,
            max_rows: None,
            portal: None,
        };
        self.ddl(ddl, &values, Some(execution), snapshot).await
    }
}

/// The text that makes an empty table like this one.
async fn empty(conn: &mut Conn, table: &TableName, if_not_exists: bool) -> Result<String, ConnError> {
    let name = format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name));
    let rows = conn.housekeep(&format!("{COLUMNS}{}) GROUP BY c.relpersistence", quote::literal(&name))).await?;
    let Some([Some(unlogged), Some(columns)]) = rows.first().map(Vec::as_slice) else {
        return Err(ConnError::Protocol(format!("{name}, which was made, is not there")));
    };
    let condition = if if_not_exists { "IF NOT EXISTS " } else { "" };
    Ok(format!("CREATE {unlogged} TABLE {condition}{name} ({columns})"))
}

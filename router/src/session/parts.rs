//! Parts: parts of groups, which shards give and one server combines. In: the server, the client's statement. Out: the table
//! for the parts, and what the statement becomes over it. Never: a type whose parts do not combine exactly.

use super::gather::command;
use crate::{
    error::{Report, catalogue},
    execute::{gather, scatter::ScatterError},
    plan::{Combined, Finish, FinishPiece, GatherInput, Partial, Piece, Splice},
    pool::conn::{Conn, ConnError},
    sql::fingerprint::Lexed,
};
use bytes::BytesMut;
use pgring_protocol::message::build;

/// The columns of the parts: name, type's OID, type, whether values of it mean the same on every server.
const COLUMNS: &str = "SELECT a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, NULL), \
    t.typtype <> 'c' AND t.typtype <> 'p' AND t.typname !~ '^(reg|aclitem|pg_node_tree|gtsvector|_reg|_aclitem)' \
    AND t.typsend <> 0 AND t.typelem < 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_type b \
    WHERE b.oid = t.typbasetype AND (b.typtype = 'c' OR b.typelem >= 16384)) \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    WHERE a.attrelid = 'pg_temp.pgring_groups'::pg_catalog.regclass AND a.attnum > 0";

/// A statement with its parameters.
pub(super) struct Call<'a> {
    pub(super) text: &'a [u8],
    pub(super) lexed: &'a Lexed,
    pub(super) types: &'a [u32],
    pub(super) bind: Vec<u8>,
}

/// Makes the table for the parts. Returns what the statement becomes over it.
///
/// # Errors
/// [`catalogue::UNORDERABLE`] where the parts do not combine.
pub(super) async fn prepare(
    home: &mut Conn,
    input: &GatherInput,
    partial: &Partial,
    call: &Call<'_>,
) -> Result<Vec<Splice>, ScatterError> {
    let query = gather::read_sql(input, call.text, call.lexed);
    let sql = format!("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS {query}\nWITH NO DATA", input.copy);
    let mut out = BytesMut::new();
    command(&mut out, &sql, call.types, &call.bind);
    build::sync(&mut out);
    home.send(&out).await.map_err(ConnError::from)?;
    match home.drain().await {
        Ok(_) => {}
        Err(ConnError::Server(fields)) => return Err(another_way(&fields.message())),
        Err(error) => return Err(error.into()),
    }
    let rows = home.housekeep(COLUMNS).await?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let [Some(name), Some(oid), Some(written), Some(alike)] = row.as_slice() else {
            return Err(another_way("columns of an unknown form"));
        };
        if alike != "t" {
            return Err(another_way(&format!("values of type {written}")));
        }
        columns.push((name.as_str(), oid.parse::<u32>().unwrap_or(0), written.as_str()));
    }
    let type_of = |column: usize| {
        let name = format!("p{column}");
        columns.iter().find(|(known, ..)| *known == name).map(|(_, oid, written)| (*oid, *written))
    };
    partial.finish.iter().map(|finish| finished(finish, &type_of)).collect()
}

fn finished<'t>(finish: &Finish, type_of: &dyn Fn(usize) -> Option<(u32, &'t str)>) -> Result<Splice, ScatterError> {
    let text = match &finish.with {
        FinishPiece::Text(text) => text.clone(),
        FinishPiece::Aggregate { function, column } => {
            let known = type_of(*column).and_then(|known| combined(*function, *column, known));
            known.ok_or_else(|| another_way("an aggregate of this type"))?
        }
    };
    Ok(Splice { start: finish.start, end: finish.end, with: vec![Piece::Text(text)] })
}

const INT8: u32 = 20;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const INTERVAL: u32 = 1186;
const NUMERIC: u32 = 1700;

/// SQL that combines the parts in a column of this type.
fn combined(function: Combined, column: usize, (oid, written): (u32, &str)) -> Option<String> {
    let part = format!("pgring_groups.p{column}");
    let sum = format!("pg_catalog.sum({part})");
    Some(match (function, oid) {
        (Combined::Same(name), _) => format!("(pg_catalog.{name}({part}))"),
        (Combined::Count, INT8) => format!("(COALESCE({sum}, 0)::pg_catalog.int8)"),
        (Combined::Sum, INT8 | NUMERIC | FLOAT8 | INTERVAL) => format!("({sum}::{written})"),
        // As floats are added elsewhere: parts have lost digits, their sum loses no more.
        (Combined::Sum, FLOAT4) => format!("(pg_catalog.sum({part}::pg_catalog.float8)::pg_catalog.float4)"),
        (Combined::Avg, INT8 | NUMERIC) => format!("({sum} / NULLIF({}, 0))", count(column + 1)),
        (Combined::Avg, FLOAT8 | INTERVAL) => format!("({sum} / NULLIF({}, 0)::pg_catalog.float8)", count(column + 1)),
        _ => return None,
    })
}

fn count(column: usize) -> String {
    format!("pg_catalog.sum(pgring_groups.p{column})")
}

fn another_way(why: &str) -> ScatterError {
    ScatterError::Report(Box::new(
        Report::new(catalogue::UNORDERABLE)
            .detail(format!("groups over several shards: {why}"))
            .hint("Narrow the statement to one shard key, or split it up."),
    ))
}

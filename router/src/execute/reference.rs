//! Reference: the rows that a statement wrote into a reference table on one server, written on the others.
//! In: connections in one transaction, what is known of the table. Out: the client's rows, a tag. Never: more rows at once
//! than a batch; a row of which a copy says that it was not there, passed over.

use super::{
    frontend::Frontend,
    scatter::{ScatterError, aside},
};
use crate::{
    plan::RowAction,
    pool::conn::{Conn, ConnError},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgring_config::tables::TableName;
use pgring_protocol::{
    message::{
        MessageError, build,
        result::{self, Field},
    },
    quote,
};
use serde::Deserialize;

/// Flush the output to the client when it has grown to this.
const FLUSH: usize = 32 * 1024;
/// Bytes of rows that are written at once.
const BATCH_BYTES: usize = 64 * 1024;
/// Rows that are written at once: what a server says of them must fit into the socket while it is sent more.
const BATCH_ROWS: usize = 500;
/// OIDs from here on are of types that users made (`FirstNormalObjectId`): they differ between servers.
const FIRST_USER_OID: u32 = 16_384;
/// Types of PostgreSQL's own whose binary form holds numbers of one server, or that have none: `regproc` and its like,
/// `aclitem`, `record` and arrays of them.
const AS_TEXT: &[u32] = &[
    24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 1008, 2207, 2208, 2209, 2210, 2211, 3735, 3770,
    4090, 4097, 4192, 1033, 1034, 2249, 2287, 26, 1028,
];

/// A column of a reference table.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct CopiedColumn {
    /// Its name.
    pub name: Box<str>,
    /// GENERATED ALWAYS AS IDENTITY: an UPDATE cannot give it a value.
    pub always: bool,
}

/// What is known of a reference table where it is written.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Copied {
    /// Its columns, generated ones left out.
    pub columns: Vec<CopiedColumn>,
    /// Columns of its primary key.
    pub key: Option<Vec<Box<str>>>,
    /// What its users' triggers run; None: it has none.
    pub triggers: Option<String>,
    /// A trigger of them fires wherever rows are written.
    pub always: bool,
    /// It has rules.
    pub rules: bool,
    /// Columns that foreign keys of other tables refer to.
    pub referenced: Option<Vec<Box<str>>>,
    /// One of those foreign keys acts on rows of its own table.
    pub acts: bool,
    /// Other tables inherit from it.
    pub inherited: bool,
    /// This role may write rows without firing triggers.
    pub replica: bool,
}

/// The SQL that asks what is known of a table. `major`: the server's version.
pub fn copied_sql(table: &TableName, major: u32) -> String {
    let may = if major >= 15 {
        "pg_catalog.has_parameter_privilege('session_replication_role', 'SET')"
    } else {
        "(SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)"
    };
    let name = quote::literal(&qualified(table));
    format!(
        "SELECT pg_catalog.json_build_object(\
         'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'always', \
         a.attidentity = 'a') ORDER BY a.attnum) FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), \
         'key', (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place) FROM pg_catalog.pg_index i, \
         pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, place), pg_catalog.pg_attribute a \
         WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts AND a.attrelid = c.oid \
         AND a.attnum = k.attnum), \
         'triggers', (SELECT pg_catalog.string_agg(p.prosrc, ' ') FROM pg_catalog.pg_trigger t, pg_catalog.pg_proc p \
         WHERE t.tgrelid = c.oid AND p.oid = t.tgfoid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')), \
         'always', EXISTS (SELECT FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('A', 'R')), \
         'rules', EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'), \
         'referenced', (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_constraint f, pg_catalog.pg_attribute a \
         WHERE f.confrelid = c.oid AND f.contype = 'f' AND a.attrelid = c.oid AND a.attnum = ANY (f.confkey)), \
         'acts', EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.confrelid = c.oid AND f.contype = 'f' \
         AND NOT (f.confdeltype IN ('a', 'r') AND f.confupdtype IN ('a', 'r'))), \
         'inherited', c.relhassubclass AND c.relkind = 'r', \
         'replica', {may})::pg_catalog.text \
         FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass({name})"
    )
}

/// A table's name as SQL.
pub fn qualified(table: &TableName) -> String {
    format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name))
}

impl Copied {
    /// Its columns as they go by this name.
    pub fn list(&self, name: &str) -> String {
        let name = quote::identifier(name);
        let columns = self.columns.iter().map(|column| format!("{name}.{}", quote::identifier(&column.name)));
        columns.collect::<Vec<_>>().join(", ")
    }

    fn is_key(&self, column: &CopiedColumn) -> bool {
        self.key.as_ref().is_some_and(|key| key.contains(&column.name))
    }

    /// The statement that does this with one row, and which of the row's columns are its parameters.
    pub fn statement(&self, table: &TableName, action: RowAction) -> (String, Vec<usize>) {
        let name = qualified(table);
        let all = || (0..self.columns.len()).collect::<Vec<_>>();
        let keys = || self.columns.iter().enumerate().filter(|(_, column)| self.is_key(column)).map(|(at, _)| at);
        let quoted = |at: usize| quote::identifier(&self.columns[at].name);
        let joined = |parts: Vec<String>, between: &str| parts.join(between);
        let condition = |from: usize| {
            let parts = keys().enumerate().map(|(nth, at)| format!("{} = ${}", quoted(at), from + nth + 1));
            joined(parts.collect(), " AND ")
        };
        match action {
            RowAction::Insert | RowAction::Upsert => {
                let columns = joined(all().iter().map(|at| quoted(*at).into_owned()).collect(), ", ");
                let values = joined(all().iter().map(|at| format!("${}", at + 1)).collect(), ", ");
                let mut sql = format!("INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values})");
                if action == RowAction::Upsert {
                    let key = joined(keys().map(|at| quoted(at).into_owned()).collect(), ", ");
                    let others = all().into_iter().filter(|at| !self.is_key(&self.columns[*at]));
                    let others = others.filter(|at| !self.columns[*at].always);
                    let set: Vec<_> = others.map(|at| format!("{0} = excluded.{0}", quoted(at))).collect();
                    let what =
                        if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
                    sql.push_str(&format!(" ON CONFLICT ({key}) DO {what}"));
                }
                (sql, all())
            }
            RowAction::Update => {
                let set: Vec<usize> = all()
                    .into_iter()
                    .filter(|at| !self.is_key(&self.columns[*at]) && !self.columns[*at].always)
                    .collect();
                let assigned: Vec<_> =
                    set.iter().enumerate().map(|(nth, at)| format!("{} = ${}", quoted(*at), nth + 1)).collect();
                let assigned = match (assigned.is_empty(), keys().next()) {
                    (true, Some(at)) => format!("{0} = {0}", quoted(at)),
                    _ => assigned.join(", "),
                };
                let sql = format!("UPDATE {name} SET {assigned} WHERE {}", condition(set.len()));
                (sql, set.into_iter().chain(keys()).collect())
            }
            RowAction::Delete => (format!("DELETE FROM {name} WHERE {}", condition(0)), keys().collect()),
        }
    }
}

/// Rows of a table as they came: each the values of all columns with their lengths, as DataRow and Bind have them.
#[derive(Debug, Default)]
pub struct Batch {
    rows: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    /// There is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// It is time to write what there is.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Takes a row.
    pub fn push(&mut self, row: Bytes) {
        self.bytes += row.len();
        self.rows.push(row);
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }
}

/// The formats in which columns travel from server to server: binary, where that means the same everywhere.
pub fn formats(fields: &[Field]) -> Vec<i16> {
    let binary = |field: &Field| field.type_oid < FIRST_USER_OID && !AS_TEXT.contains(&field.type_oid);
    fields.iter().map(|field| i16::from(binary(field))).collect()
}

/// What a statement was understood as, up to its description.
///
/// # Errors
/// See [`ScatterError`]; after a server's error everything was read.
pub async fn described(
    client: &mut Frontend,
    conn: &mut Conn,
    request: &mut BytesMut,
) -> Result<Vec<Field>, ScatterError> {
    build::describe(request, b'S', "");
    build::flush(request);
    conn.send(request).await.map_err(ConnError::from)?;
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'T' => return result::row_description(&body).map_err(broken),
            b'n' => return Ok(vec![]),
            _ => {
                if let Err(error) = aside(client, conn, kind, &body) {
                    let mut out = BytesMut::new();
                    build::sync(&mut out);
                    conn.send(&out).await.map_err(ConnError::from)?;
                    conn.drain_rest().await?;
                    return Err(error);
                }
            }
        }
    }
}

/// Reads on until the batch is full or the statement is over: then its tag.
///
/// # Errors
/// See [`ScatterError`]; after a server's error everything was read.
pub async fn fill(
    client: &mut Frontend,
    conn: &mut Conn,
    own: usize,
    tells: bool,
    batch: &mut Batch,
) -> Result<Option<String>, ScatterError> {
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'D' => {
                let body = body.freeze();
                let rest = rest_of(&body, own).map_err(broken)?;
                if tells {
                    tell(&mut client.out, body.get(2..body.len() - rest.len()).unwrap_or_default(), own);
                    if client.out.len() >= FLUSH {
                        client.flush().await?;
                    }
                }
                batch.push(rest);
                if batch.is_full() {
                    return Ok(None);
                }
            }
            b'C' => {
                let tag = result::tag(&body).map_err(broken)?.to_owned();
                conn.drain_rest().await?;
                return Ok(Some(tag));
            }
            _ => {
                if let Err(error) = aside(client, conn, kind, &body) {
                    conn.drain_rest().await?;
                    return Err(error);
                }
            }
        }
    }
}

/// Passes a statement's answer on, but for its tag.
///
/// # Errors
/// See [`ScatterError`]; after a server's error everything was read.
pub async fn pass(
    client: &mut Frontend,
    conn: &mut Conn,
    describe: bool,
    says_no_data: bool,
) -> Result<String, ScatterError> {
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'T' if describe => whole(&mut client.out, kind, &body),
            b'n' if describe && says_no_data => build::no_data(&mut client.out),
            b'T' | b'n' => {}
            b'D' => {
                whole(&mut client.out, kind, &body);
                if client.out.len() >= FLUSH {
                    client.flush().await?;
                }
            }
            b'C' => {
                let tag = result::tag(&body).map_err(broken)?.to_owned();
                conn.drain_rest().await?;
                return Ok(tag);
            }
            _ => {
                if let Err(error) = aside(client, conn, kind, &body) {
                    conn.drain_rest().await?;
                    return Err(error);
                }
            }
        }
    }
}

fn whole(out: &mut BytesMut, kind: u8, body: &[u8]) {
    out.put_u8(kind);
    out.put_u32(body.len() as u32 + 4);
    out.put_slice(body);
}

/// A row for the client of so many columns.
fn tell(out: &mut BytesMut, values: &[u8], columns: usize) {
    out.put_u8(b'D');
    out.put_u32(values.len() as u32 + 6);
    out.put_u16(columns as u16);
    out.put_slice(values);
}

/// What stands in a DataRow behind its first columns.
fn rest_of(body: &Bytes, columns: usize) -> Result<Bytes, MessageError> {
    let mut rest = body.clone();
    rest.advance(2.min(rest.len()));
    for column in result::columns(body)?.take(columns) {
        let len = column?.map_or(0, <[u8]>::len);
        rest.advance((4 + len).min(rest.len()));
    }
    Ok(rest)
}

/// A statement that is run once for each row.
#[derive(Debug)]
pub struct ForEach<'a> {
    /// Its text.
    pub sql: &'a str,
    /// Which of the row's columns are its parameters.
    pub parameters: &'a [usize],
    /// The row's columns.
    pub fields: &'a [Field],
}

/// Runs a statement for each row on each connection, on all at once. Returns, for each connection, the rows for which it
/// did nothing.
///
/// # Errors
/// See [`ScatterError`]; after a server's error everything was read.
pub async fn apply(
    client: &mut Frontend,
    conns: &mut [&mut Conn],
    each: &ForEach<'_>,
    rows: &[Bytes],
) -> Result<Vec<Vec<usize>>, ScatterError> {
    let request = request(each, rows).map_err(broken)?;
    for conn in conns.iter_mut() {
        conn.send(&request).await.map_err(ConnError::from)?;
    }
    let mut first = None;
    let mut idle = Vec::with_capacity(conns.len());
    for conn in conns.iter_mut() {
        match applied(client, conn).await {
            Ok(rows) => idle.push(rows),
            Err(ScatterError::Server(fields)) => {
                first.get_or_insert(fields);
            }
            Err(error) => return Err(error),
        }
    }
    match first {
        None => Ok(idle),
        Some(mut fields) => {
            // It is a place in a text that the client does not know.
            fields.remove(b'P');
            Err(ScatterError::Server(fields))
        }
    }
}

fn request(each: &ForEach<'_>, rows: &[Bytes]) -> Result<BytesMut, MessageError> {
    let fields = || each.parameters.iter().filter_map(|at| each.fields.get(*at));
    let formats: Vec<i16> = fields().map(|field| field.format).collect();
    let types: Vec<u32> = fields().map(|field| if field.format == 1 { field.type_oid } else { 0 }).collect();
    let mut out = BytesMut::new();
    build::parse(&mut out, "", each.sql, &types);
    for row in rows {
        let mut body = BytesMut::with_capacity(row.len() + 2);
        body.put_u16(each.fields.len() as u16);
        body.put_slice(row);
        let values = result::columns(&body)?.collect::<Result<Vec<_>, _>>()?;
        let values = each.parameters.iter().map(|at| values.get(*at).copied().flatten());
        build::bind(&mut out, "", "", &formats, values, &[]);
        build::execute(&mut out, "", 0);
    }
    build::sync(&mut out);
    Ok(out)
}

/// The rows for which a server did nothing.
async fn applied(client: &mut Frontend, conn: &mut Conn) -> Result<Vec<usize>, ScatterError> {
    let (mut idle, mut nth) = (vec![], 0);
    loop {
        let (kind, body) = client.beside(true, conn.frame()).await??;
        match kind {
            b'C' => {
                if result::tag(&body).map_err(broken)?.ends_with(" 0") {
                    idle.push(nth);
                }
                nth += 1;
            }
            b'Z' => return Ok(idle),
            // The server that answers the client has said what there is to be said.
            b'N' => {}
            _ => {
                if let Err(error) = aside(client, conn, kind, &body) {
                    conn.drain_rest().await?;
                    return Err(error);
                }
            }
        }
    }
}

/// Writes rows that were returned elsewhere. A copy that does not have a row yet, because the transaction that made it is
/// not over there, waits for that.
///
/// # Errors
/// See [`ScatterError`].
pub async fn write(
    client: &mut Frontend,
    conns: &mut [&mut Conn],
    (table, copied): (&TableName, &Copied),
    action: RowAction,
    fields: &[Field],
    batch: &Batch,
) -> Result<(), ScatterError> {
    let (sql, parameters) = copied.statement(table, action);
    let each = ForEach { sql: &sql, parameters: &parameters, fields };
    let idle = apply(client, conns, &each, &batch.rows).await?;
    if !matches!(action, RowAction::Update | RowAction::Delete) {
        return Ok(());
    }
    let (upsert, all) = copied.statement(table, RowAction::Upsert);
    let upsert = ForEach { sql: &upsert, parameters: &all, fields };
    for (conn, idle) in conns.iter_mut().zip(idle) {
        if idle.is_empty() {
            continue;
        }
        let rows: Vec<Bytes> = idle.iter().filter_map(|nth| batch.rows.get(*nth)).cloned().collect();
        apply(client, &mut [&mut **conn], &upsert, &rows).await?;
        if action == RowAction::Delete {
            apply(client, &mut [&mut **conn], &each, &rows).await?;
        }
    }
    Ok(())
}

/// A server's answer that is no answer.
pub fn broken(error: impl std::fmt::Display) -> ScatterError {
    ScatterError::Backend(ConnError::Protocol(error.to_string()))
}

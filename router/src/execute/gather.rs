//! Gather: rows of several servers are copied into temporary tables on one, which answers the client's statement.
//! In: connections on which reading was begun, the one that answers. Out: frames for the client up to and with the
//! tag. Never: decodes a value; more of a table in memory than a buffer.

use super::{
    frontend::Frontend,
    scatter::{ScatterError, aside},
    splice,
};
use crate::{
    error::{Report, catalogue},
    plan::{GatherColumn, GatherInput},
    pool::conn::{Conn, ConnError},
    sql::fingerprint::Lexed,
};
use bytes::{BufMut, Bytes, BytesMut};
use pgring_config::tables::TableName;
use pgring_protocol::{
    message::{
        build,
        result::{self, Field},
    },
    quote,
};
use std::{collections::VecDeque, fmt::Write};

/// A piece of COPY data is sent when it has grown to this, and the client's output flushed.
const FLUSH: usize = 64 * 1024;
/// Bytes of rows that came before their turn.
const MAX_AHEAD: usize = 64 * 1024 * 1024;
/// A table with more bytes than this gets statistics before it is read.
const ANALYZE_FROM: u64 = 1024 * 1024;

/// Head of COPY's binary format (documentation of COPY, "Binary Format").
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The SQL that reads one input where its rows are.
pub fn read_sql(input: &GatherInput, text: &[u8], lexed: &Lexed) -> String {
    if let Some(partial) = &input.partial {
        return String::from_utf8_lossy(&splice::apply(text, lexed, &partial.splices)).into_owned();
    }
    let mut sql = String::from("SELECT ");
    list(&mut sql, &input.columns, |column| {
        let name = quote::identifier(&column.name);
        if column.as_text { format!("CAST({name} AS pg_catalog.text) AS {name}") } else { name.into_owned() }
    });
    from(&mut sql, input, text, lexed);
    sql
}

/// The SQL that reads several inputs of one server in one snapshot: rows with the number of their input first, then
/// the columns of all of them.
pub fn read_all_sql(inputs: &[(usize, &GatherInput)], text: &[u8], lexed: &Lexed) -> String {
    let mut sql = String::new();
    for (nth, (number, input)) in inputs.iter().enumerate() {
        let _ = write!(sql, "{}SELECT {number}::pg_catalog.int4", if nth == 0 { "" } else { " UNION ALL " });
        for (other, (_, columns)) in inputs.iter().enumerate() {
            for column in &columns.columns {
                let name = quote::identifier(&column.name);
                let value = if other == nth { name.as_ref() } else { "NULL" };
                let cast = if column.as_text { "pg_catalog.text" } else { &*column.type_name };
                let _ = write!(sql, ", CAST({value} AS {cast})");
            }
        }
        from(&mut sql, input, text, lexed);
    }
    sql
}

fn from(sql: &mut String, input: &GatherInput, text: &[u8], lexed: &Lexed) {
    let _ = write!(sql, " FROM {}", qualified(&input.table));
    if let Some(alias) = &input.alias {
        let _ = write!(sql, " AS {}", quote::identifier(alias));
    }
    for (nth, (from, to)) in input.filter.iter().enumerate() {
        sql.push_str(if nth == 0 { " WHERE (" } else { " AND (" });
        let condition = text.get(lexed.text_at(*from)..lexed.text_at(*to)).unwrap_or_default();
        sql.push_str(&String::from_utf8_lossy(condition));
        // A comment at the end of the client's words must not take in the parenthesis.
        sql.push_str("\n)");
    }
}

fn qualified(table: &TableName) -> String {
    format!("{}.{}", quote::identifier(&table.schema), quote::identifier(&table.name))
}

fn list(sql: &mut String, columns: &[GatherColumn], show: impl Fn(&GatherColumn) -> String) {
    let all: Vec<String> = columns.iter().map(show).collect();
    sql.push_str(&all.join(", "));
}

/// Its columns do not all travel as they are.
fn is_staged(input: &GatherInput) -> bool {
    input.columns.iter().any(|column| column.as_text)
}

/// The SQL that makes the empty temporary tables.
pub fn create_sql(inputs: &[&GatherInput]) -> String {
    let mut sql = String::new();
    for (nth, input) in inputs.iter().enumerate().filter(|(_, input)| input.partial.is_none()) {
        let name = quote::identifier(&input.copy);
        let table = qualified(&input.table);
        let _ = write!(sql, "CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS SELECT ");
        list(&mut sql, &input.columns, |column| quote::identifier(&column.name).into_owned());
        let _ = write!(sql, " FROM {table} WITH NO DATA;");
        if is_staged(input) {
            let _ = write!(sql, "CREATE TEMPORARY TABLE pgring_gathered_{nth} ON COMMIT DROP AS SELECT ");
            list(&mut sql, &input.columns, |column| {
                let name = quote::identifier(&column.name);
                if column.as_text { format!("NULL::pg_catalog.text AS {name}") } else { name.into_owned() }
            });
            let _ = write!(sql, " FROM {table} WITH NO DATA;");
        }
    }
    sql
}

/// The SQL that reads one input's rows where the answer is made, into their temporary table.
pub fn insert_sql(input: &GatherInput, text: &[u8], lexed: &Lexed) -> String {
    let mut sql = format!("INSERT INTO pg_temp.{} ", quote::identifier(&input.copy));
    if input.partial.is_some() {
        sql.push_str(&read_sql(input, text, lexed));
        return sql;
    }
    sql.push_str("SELECT ");
    list(&mut sql, &input.columns, |column| quote::identifier(&column.name).into_owned());
    from(&mut sql, input, text, lexed);
    sql
}

/// A server whose rows are read.
#[derive(Debug)]
pub struct Reader<'a> {
    conn: &'a mut Conn,
    /// Numbers of the inputs that it is asked for, in order.
    inputs: Vec<usize>,
    /// For one statement with the rows of all of them: how many columns come before an input's own, and how many are.
    layout: Option<Vec<(usize, usize)>>,
    ahead: Vec<VecDeque<Bytes>>,
    ahead_bytes: usize,
    ended: bool,
    /// Tags before the first row.
    preludes: usize,
}

impl<'a> Reader<'a> {
    /// A server that was asked for these inputs, one statement each, behind `preludes` other commands.
    pub fn new(conn: &'a mut Conn, inputs: Vec<usize>, preludes: usize) -> Self {
        Self { conn, inputs, layout: None, ahead: vec![], ahead_bytes: 0, ended: false, preludes }
    }

    /// A server that was asked for all these inputs (number, columns) by [`read_all_sql`].
    pub fn all(conn: &'a mut Conn, inputs: &[(usize, usize)]) -> Self {
        let mut skip = 1;
        let layout = inputs.iter().map(|(_, columns)| {
            skip += columns;
            (skip - columns, *columns)
        });
        let layout = layout.collect();
        let ahead = inputs.iter().map(|_| VecDeque::new()).collect();
        let inputs = inputs.iter().map(|(number, _)| *number).collect();
        Self { conn, inputs, layout: Some(layout), ahead, ahead_bytes: 0, ended: false, preludes: 0 }
    }

    /// The next row of an input, as COPY's binary format has it; None: there is no more.
    async fn next(&mut self, client: &mut Frontend, input: usize) -> Result<Option<Bytes>, ScatterError> {
        let Some(place) = self.inputs.iter().position(|known| *known == input) else { return Ok(None) };
        if let Some(row) = self.ahead.get_mut(place).and_then(VecDeque::pop_front) {
            self.ahead_bytes -= row.len();
            return Ok(Some(row));
        }
        loop {
            if self.layout.is_some() && self.ended {
                return Ok(None);
            }
            let (kind, body) = client.beside(true, self.conn.frame()).await??;
            match kind {
                b'C' if self.preludes > 0 => self.preludes -= 1,
                b'C' => {
                    self.ended = true;
                    return Ok(None);
                }
                b'D' => {
                    let body = body.freeze();
                    let Some(layout) = &self.layout else { return Ok(Some(body)) };
                    let (number, row) = own_columns(&body, layout, &self.inputs)?;
                    if number == input {
                        return Ok(Some(row));
                    }
                    self.ahead_bytes += row.len();
                    if self.ahead_bytes > MAX_AHEAD {
                        return Err(too_large("rows that came before their turn", MAX_AHEAD as u64));
                    }
                    let turn = self.inputs.iter().position(|known| *known == number);
                    if let Some(queue) = turn.and_then(|turn| self.ahead.get_mut(turn)) {
                        queue.push_back(row);
                    }
                }
                _ => aside(client, self.conn, kind, &body)?,
            }
        }
    }
}

/// The number of a row's input, and its own columns.
fn own_columns(body: &Bytes, layout: &[(usize, usize)], inputs: &[usize]) -> Result<(usize, Bytes), ScatterError> {
    let broken = || ScatterError::Backend(ConnError::Protocol("a row in another form than was asked for".into()));
    let width = |at: usize| -> Option<usize> {
        let length = i32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?);
        Some(4 + usize::try_from(length).unwrap_or(0))
    };
    let number = body.get(6..10).and_then(|bytes| Some(i32::from_be_bytes(bytes.try_into().ok()?)));
    let number = number.and_then(|number| usize::try_from(number).ok()).ok_or_else(broken)?;
    let place = inputs.iter().position(|known| *known == number).ok_or_else(broken)?;
    let (skip, take) = layout.get(place).copied().ok_or_else(broken)?;
    let mut start = 2;
    for _ in 0..skip {
        start += width(start).ok_or_else(broken)?;
    }
    let mut end = start;
    for _ in 0..take {
        end += width(end).ok_or_else(broken)?;
    }
    let mut row = BytesMut::with_capacity(2 + end - start);
    row.put_u16(take as u16);
    row.put_slice(body.get(start..end).ok_or_else(broken)?);
    Ok((number, row.freeze()))
}

/// What may be gathered, and what has been.
#[derive(Debug)]
pub struct Budget {
    /// Most bytes.
    pub most: u64,
    /// Bytes so far, by input.
    pub by_input: Vec<(TableName, u64)>,
}

impl Budget {
    fn take(&mut self, bytes: u64) -> Result<(), ScatterError> {
        if let Some((_, taken)) = self.by_input.last_mut() {
            *taken += bytes;
        }
        let total: u64 = self.by_input.iter().map(|(_, bytes)| bytes).sum();
        if total <= self.most {
            return Ok(());
        }
        let largest = self.by_input.iter().max_by_key(|(_, bytes)| *bytes);
        let what = largest.map_or_else(String::new, |(table, _)| table.to_string());
        Err(too_large(&what, self.most))
    }
}

fn too_large(what: &str, most: u64) -> ScatterError {
    ScatterError::Report(Box::new(
        Report::new(catalogue::GATHER_LIMIT)
            .detail(format!("the statement needs more than {most} bytes of rows, most of them of {what}"))
            .hint(format!("Add a condition on {what}, best on its shard key, or raise max_gather.")),
    ))
}

/// Copies the rows of one input from its servers.
///
/// # Errors
/// See [`ScatterError`].
pub async fn load(
    client: &mut Frontend,
    home: &mut Conn,
    (number, input): (usize, &GatherInput),
    readers: &mut [Reader<'_>],
    budget: &mut Budget,
) -> Result<(), ScatterError> {
    budget.by_input.push((input.table.clone(), 0));
    let staged = is_staged(input);
    let name = quote::identifier(&input.copy).into_owned();
    let target = if staged { format!("pgring_gathered_{number}") } else { name.clone() };
    if readers.iter().any(|reader| reader.inputs.contains(&number)) {
        copy(client, home, &format!("COPY pg_temp.{target} FROM STDIN (FORMAT binary)"), number, readers, budget)
            .await?;
        if staged {
            unstage(home, input, &target).await?;
        }
    }
    let size = budget.by_input.last().map_or(0, |(_, bytes)| *bytes);
    if size > ANALYZE_FROM {
        home.housekeep(&format!("ANALYZE pg_temp.{name}")).await?;
    }
    if !input.key.is_empty() {
        let key: Vec<_> = input.key.iter().map(|column| quote::identifier(column)).collect();
        home.housekeep(&format!("ALTER TABLE pg_temp.{name} ADD PRIMARY KEY ({})", key.join(", "))).await?;
    }
    Ok(())
}

/// Text becomes values of the table's types.
async fn unstage(home: &mut Conn, input: &GatherInput, staged: &str) -> Result<(), ConnError> {
    let name = quote::identifier(&input.copy).into_owned();
    let table = quote::literal(&format!("pg_temp.{name}"));
    let types = home
        .housekeep(&format!(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute \
             WHERE attrelid = {table}::pg_catalog.regclass AND attnum > 0"
        ))
        .await?;
    let type_of = |column: &GatherColumn| {
        let row = types.iter().find(|row| row.first().is_some_and(|name| name.as_deref() == Some(&*column.name)));
        row.and_then(|row| row.get(1)).and_then(Option::as_deref).unwrap_or(&column.type_name).to_owned()
    };
    let mut sql = format!("INSERT INTO pg_temp.{name} SELECT ");
    list(&mut sql, &input.columns, |column| {
        let name = quote::identifier(&column.name);
        if column.as_text { format!("CAST({name} AS {})", type_of(column)) } else { name.into_owned() }
    });
    let _ = write!(sql, " FROM pg_temp.{staged}");
    home.housekeep(&sql).await.map(|_| ())
}

async fn copy(
    client: &mut Frontend,
    home: &mut Conn,
    sql: &str,
    number: usize,
    readers: &mut [Reader<'_>],
    budget: &mut Budget,
) -> Result<(), ScatterError> {
    let mut out = BytesMut::new();
    build::query(&mut out, sql);
    home.send(&out).await.map_err(ConnError::from)?;
    loop {
        let (kind, body) = home.frame().await?;
        match kind {
            b'G' => break,
            b'Z' => return Err(ScatterError::Backend(ConnError::Protocol("COPY was not begun".into()))),
            _ => aside(client, home, kind, &body)?,
        }
    }
    out.clear();
    build::copy_data(&mut out, HEAD);
    for reader in readers {
        while let Some(row) = reader.next(client, number).await? {
            build::copy_data(&mut out, &row);
            if out.len() >= FLUSH {
                budget.take(out.len() as u64)?;
                home.send(&out).await.map_err(ConnError::from)?;
                out.clear();
            }
        }
    }
    budget.take(out.len() as u64)?;
    build::copy_data(&mut out, &[0xff, 0xff]);
    build::copy_done(&mut out);
    home.send(&out).await.map_err(ConnError::from)?;
    home.drain().await?;
    Ok(())
}

/// How the answer is given.
#[derive(Clone, Copy, Debug)]
pub struct Answering<'a> {
    /// The statement's columns, as the tables themselves have them.
    pub fields: &'a [Field],
    /// Types of the rows of tables and views, and of their copies'.
    pub row_types: &'a [(u32, u32)],
    /// The client gets a RowDescription.
    pub describe: bool,
}

/// Passes the answer on, up to and with its tag. Returns whether there are more rows than were asked for.
///
/// # Errors
/// See [`ScatterError`].
pub async fn answer(client: &mut Frontend, home: &mut Conn, how: Answering<'_>) -> Result<bool, ScatterError> {
    loop {
        let (kind, mut body) = client.beside(true, home.frame()).await??;
        match kind {
            b'T' => {
                let found = result::row_description(&body)
                    .map_err(|error| ScatterError::Backend(ConnError::Protocol(error.to_string())))?;
                let fields = true_fields(how, &found)?;
                if how.describe {
                    build::row_description(&mut client.out, &fields);
                }
            }
            b'D' => {
                client.out.put_u8(b'D');
                client.out.put_u32(body.len() as u32 + 4);
                client.out.put_slice(&body);
                if client.out.len() >= FLUSH {
                    client.flush().await?;
                }
            }
            b'C' => {
                // Without the zero at its end.
                build::command_complete(&mut client.out, body.split_to(body.len().saturating_sub(1)));
                return Ok(false);
            }
            b's' => {
                build::portal_suspended(&mut client.out);
                return Ok(true);
            }
            _ => aside(client, home, kind, &body)?,
        }
    }
}

/// The answer's columns, said to come from the tables themselves.
fn true_fields(how: Answering<'_>, found: &[Field]) -> Result<Vec<Field>, ScatterError> {
    let known = how.fields;
    let alike = |known: &Field, found: &Field| {
        known.type_oid == found.type_oid || how.row_types.contains(&(known.type_oid, found.type_oid))
    };
    if known.len() != found.len() || !known.iter().zip(found).all(|(known, found)| alike(known, found)) {
        return Err(ScatterError::Report(Box::new(
            Report::new(catalogue::MANY_SHARDS)
                .detail("a value whose type belongs to a table")
                .hint("Select the table's columns, or narrow the statement to one shard key."),
        )));
    }
    Ok(known.iter().zip(found).map(|(known, found)| Field { format: found.format, ..known.clone() }).collect())
}

/// Reads what PostgreSQL says of a statement that was parsed and described: types of its parameters, its columns.
///
/// # Errors
/// The server's, after everything was read.
pub async fn described(conn: &mut Conn) -> Result<(Vec<u32>, Vec<Field>), ConnError> {
    let (mut types, mut fields, mut error) = (vec![], vec![], None);
    let protocol = |error: pgring_protocol::message::MessageError| ConnError::Protocol(error.to_string());
    loop {
        let (kind, body) = conn.frame().await?;
        match kind {
            b't' => types = result::parameter_types(&body).map_err(protocol)?,
            b'T' => fields = result::row_description(&body).map_err(protocol)?,
            b'E' => {
                let fields = pgring_protocol::message::notice::Fields::parse(&body).map_err(protocol)?;
                error.get_or_insert(fields);
            }
            b'S' => conn.reported.note(&body),
            b'Z' => break,
            _ => {}
        }
    }
    match error {
        Some(fields) => Err(ConnError::Server(Box::new(fields))),
        None => Ok((types, fields)),
    }
}

/// The body of a Bind without parameters.
pub const NO_PARAMETERS: &[u8] = &[0, 0, 0, 0, 0, 0];

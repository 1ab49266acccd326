//! Compare: one table on two servers, row by row. In: connections, what is known of the table. Out: the rows in which the
//! second differs from the first. Never: more of them in memory than a limit; a table in memory.

use super::{
    frontend::Frontend,
    reference::{Copied, ForEach, apply, broken, described, formats, qualified},
    scatter::{ScatterError, aside},
};
use crate::{
    error::{Report, catalogue},
    plan::RowAction,
    pool::conn::{Conn, ConnError},
};
use bytes::{Buf, Bytes, BytesMut};
use pgring_config::tables::TableName;
use pgring_protocol::{
    message::{
        build,
        result::{self, Field},
    },
    quote,
};
use std::cmp::Ordering;

/// Bytes of rows that differ.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Rows that are written at once.
const AT_ONCE: usize = 500;

/// The rows in which a copy differs.
#[derive(Debug, Default)]
pub struct Differences {
    /// The table's columns.
    fields: Vec<Field>,
    /// Rows that it has and should not.
    pub removed: Vec<Bytes>,
    /// Rows that are others.
    pub changed: Vec<Bytes>,
    /// Rows that it lacks.
    pub added: Vec<Bytes>,
    bytes: usize,
}

impl Differences {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.changed.is_empty() && self.added.is_empty()
    }

    fn note(&mut self, row: Bytes, to: fn(&mut Self) -> &mut Vec<Bytes>) -> Result<(), ScatterError> {
        self.bytes += row.len();
        if self.bytes > MAX_BYTES {
            let report = Report::new(catalogue::TOO_LARGE)
                .detail("the statement changes more of a reference table than is compared at once")
                .hint("Change the rows by an INSERT, UPDATE or DELETE of this table alone.");
            return Err(ScatterError::Report(Box::new(report)));
        }
        to(self).push(row);
        Ok(())
    }
}

/// The rows of a table in the order of their keys: first a text that stands for the key.
fn sql(table: &TableName, copied: &Copied) -> String {
    let key = copied.key.iter().flatten().map(|column| format!("t.{}::pg_catalog.text", quote::identifier(column)));
    let key = key.collect::<Vec<_>>().join(", ");
    let columns = copied.list("t");
    format!(
        "SELECT ARRAY[{key}]::pg_catalog.text, {columns} FROM {} AS t \
         ORDER BY ARRAY[{key}]::pg_catalog.text COLLATE pg_catalog.\"C\"",
        qualified(table)
    )
}

/// The rows of one server.
struct Side<'a> {
    conn: &'a mut Conn,
    head: Option<Row>,
    /// It has more to say.
    open: bool,
}

struct Row {
    key: Bytes,
    values: Bytes,
}

impl Side<'_> {
    async fn ask(&mut self, client: &mut Frontend, sql: &str) -> Result<Vec<Field>, ScatterError> {
        let mut request = BytesMut::new();
        build::parse(&mut request, "", sql, &[]);
        let mut fields = described(client, self.conn, &mut request).await?;
        let formats = formats(&fields);
        fields.iter_mut().zip(&formats).for_each(|(field, format)| field.format = *format);
        let mut request = BytesMut::new();
        build::bind(&mut request, "", "", &[], [], &formats);
        build::execute(&mut request, "", 0);
        build::sync(&mut request);
        self.conn.send(&request).await.map_err(ConnError::from)?;
        self.open = true;
        Ok(fields)
    }

    async fn advance(&mut self, client: &mut Frontend) -> Result<(), ScatterError> {
        loop {
            let (kind, body) = client.beside(true, self.conn.frame()).await??;
            match kind {
                b'D' => {
                    self.head = Some(Row::read(body.freeze()).map_err(broken)?);
                    return Ok(());
                }
                b'C' => {
                    self.head = None;
                    return self.close().await;
                }
                _ => aside(client, self.conn, kind, &body)?,
            }
        }
    }

    /// Reads what is left of its answer.
    async fn close(&mut self) -> Result<(), ScatterError> {
        if std::mem::take(&mut self.open) {
            self.conn.drain_rest().await?;
        }
        Ok(())
    }
}

impl Row {
    fn read(body: Bytes) -> Result<Self, pgring_protocol::message::MessageError> {
        let key = result::columns(&body)?.next().transpose()?.flatten().unwrap_or_default();
        let key = body.slice_ref(key);
        let mut values = body.clone();
        values.advance((6 + key.len()).min(values.len()));
        Ok(Self { key, values })
    }
}

/// Where the second server's rows differ from the first one's.
///
/// # Errors
/// See [`ScatterError`]; after a server's error everything was read. 54000 if too much differs.
pub async fn differences(
    client: &mut Frontend,
    (first, other): (&mut Conn, &mut Conn),
    table: &TableName,
    copied: &Copied,
) -> Result<Differences, ScatterError> {
    let mut first = Side { conn: first, head: None, open: false };
    let mut other = Side { conn: other, head: None, open: false };
    let found = compared(client, (&mut first, &mut other), &sql(table, copied)).await;
    if let Err(ScatterError::Server(_) | ScatterError::Report(_)) = &found {
        first.close().await?;
        other.close().await?;
    }
    found
}

async fn compared(
    client: &mut Frontend,
    (first, other): (&mut Side<'_>, &mut Side<'_>),
    sql: &str,
) -> Result<Differences, ScatterError> {
    let mut fields = first.ask(client, sql).await?;
    other.ask(client, sql).await?;
    let mut found = Differences { fields: fields.split_off(1.min(fields.len())), ..Differences::default() };
    first.advance(client).await?;
    other.advance(client).await?;
    loop {
        let order = match (&first.head, &other.head) {
            (None, None) => return Ok(found),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(own), Some(copy)) => own.key.cmp(&copy.key),
        };
        match (order, first.head.take(), other.head.take()) {
            (Ordering::Less, Some(own), copy) => {
                other.head = copy;
                found.note(own.values, |found| &mut found.added)?;
                first.advance(client).await?;
            }
            (Ordering::Greater, own, Some(copy)) => {
                first.head = own;
                found.note(copy.values, |found| &mut found.removed)?;
                other.advance(client).await?;
            }
            (_, Some(own), Some(copy)) => {
                if own.values != copy.values {
                    found.note(own.values, |found| &mut found.changed)?;
                }
                first.advance(client).await?;
                other.advance(client).await?;
            }
            _ => return Err(broken("rows that are not there")),
        }
    }
}

/// Makes a copy equal.
///
/// # Errors
/// See [`ScatterError`]; after a server's error everything was read.
pub async fn adjust(
    client: &mut Frontend,
    conn: &mut Conn,
    (table, copied): (&TableName, &Copied),
    found: &Differences,
) -> Result<(), ScatterError> {
    let work =
        [(RowAction::Delete, &found.removed), (RowAction::Update, &found.changed), (RowAction::Insert, &found.added)];
    for (action, rows) in work {
        let (sql, parameters) = copied.statement(table, action);
        let each = ForEach { sql: &sql, parameters: &parameters, fields: &found.fields };
        for rows in rows.chunks(AT_ONCE) {
            apply(client, &mut [&mut *conn], &each, rows).await?;
        }
    }
    Ok(())
}

//! Extended: the extended query protocol of the admin database. In: Parse, Bind, Describe, Execute, Close. Out: the
//! same answers as by the simple protocol, in the formats asked for. Never: parameters.

use super::{
    super::{ColumnSpec, columns, parse, parse::AdminCommand},
    Desk,
    answer::encode,
    smalltalk,
};
use crate::{
    error::{Report, catalogue},
    sql::{
        fingerprint::{Lexed, lex},
        verb::{Verb, Which},
        words::Words,
    },
};
use pgring_protocol::message::{MessageError, build, extended};
use std::sync::Arc;

/// A prepared statement.
pub(super) struct Prepared {
    text: String,
    /// What it will answer; none: no rows.
    columns: Vec<ColumnSpec>,
}

/// A portal.
pub(super) struct Portal {
    prepared: Arc<Prepared>,
    formats: Vec<i16>,
    /// What is left of its answer once it was executed, with the tag.
    open: Option<(std::vec::IntoIter<super::super::Row>, String)>,
}

impl From<MessageError> for Report {
    fn from(error: MessageError) -> Self {
        Self::with(catalogue::PROTOCOL, error.to_string())
    }
}

impl Desk {
    /// One message of a batch.
    pub(super) async fn extended(&mut self, kind: u8, body: &[u8]) -> Result<(), Report> {
        match kind {
            b'P' => self.parse(&extended::Parse::parse(body)?),
            b'B' => self.bind(&extended::Bind::parse(body)?),
            b'D' => self.describe(&extended::Describe::parse(body)?),
            b'C' => {
                let close = extended::Close::parse(body)?;
                match close.kind {
                    extended::STATEMENT => drop(self.statements.remove(close.name)),
                    _ => drop(self.portals.remove(close.name)),
                }
                build::close_complete(&mut self.client.out);
                Ok(())
            }
            _ => self.run_portal(&extended::Execute::parse(body)?).await,
        }
    }

    fn parse(&mut self, parse: &extended::Parse<'_>) -> Result<(), Report> {
        let text = std::str::from_utf8(parse.sql)
            .map_err(|_| Report::with(catalogue::PROTOCOL, "the statement is not UTF8").sqlstate("22021"))?;
        let mut lexed = Lexed::default();
        lex(text.as_bytes(), &mut lexed);
        if lexed.parameters > 0 || !parse.types.is_empty() {
            return Err(Report::with(catalogue::UNSUPPORTED, "admin commands take no parameters")
                .hint("Write the values into the command."));
        }
        if lexed.certain && lexed.statements.len() > 1 {
            return Err(Report::with(
                catalogue::ADMIN_SYNTAX,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            return Err(Report::new(catalogue::DUPLICATE_STATEMENT));
        }
        let columns = self.columns_of(text)?;
        let prepared = Prepared { text: text.to_owned(), columns };
        self.statements.insert(parse.name.into(), Arc::new(prepared));
        build::parse_complete(&mut self.client.out);
        Ok(())
    }

    /// What a statement will answer.
    fn columns_of(&self, text: &str) -> Result<Vec<ColumnSpec>, Report> {
        if Words::new(text).is_finished() {
            return Ok(Vec::new());
        }
        if let Some(table) = smalltalk::answer(text, &self.user.name, &self.cluster.settings.load(), self.me.id) {
            return Ok(table.columns);
        }
        let text = smalltalk::show_function(text).unwrap_or_else(|| text.to_owned());
        match parse::parse(&text)?.command {
            AdminCommand::Session(Verb::Show(Which::All)) => {
                Ok(vec![ColumnSpec::text("name"), ColumnSpec::text("setting")])
            }
            AdminCommand::Session(Verb::Show(Which::Name(_))) => Ok(vec![ColumnSpec::text("setting")]),
            _ => columns(&text),
        }
    }

    fn bind(&mut self, bind: &extended::Bind<'_>) -> Result<(), Report> {
        let prepared = self.statements.get(bind.statement).cloned();
        let prepared = prepared.ok_or_else(|| Report::new(catalogue::UNKNOWN_STATEMENT))?;
        let parameters = bind.parameters()?;
        if !parameters.is_empty() {
            return Err(Report::with(catalogue::PROTOCOL, "the statement takes no parameters"));
        }
        let count = prepared.columns.len();
        let formats = match parameters.result_formats() {
            [] => vec![0; count],
            [one] => vec![*one; count],
            several if several.len() == count => several.to_vec(),
            several => {
                let message = format!("{} result formats for {count} columns", several.len());
                return Err(Report::with(catalogue::PROTOCOL, message));
            }
        };
        self.portals.insert(bind.portal.into(), Portal { prepared, formats, open: None });
        build::bind_complete(&mut self.client.out);
        Ok(())
    }

    fn describe(&mut self, describe: &extended::Describe<'_>) -> Result<(), Report> {
        let is_statement = describe.kind == extended::STATEMENT;
        let (prepared, formats) = if is_statement {
            let prepared = self.statements.get(describe.name).cloned();
            (prepared.ok_or_else(|| Report::new(catalogue::UNKNOWN_STATEMENT))?, None)
        } else {
            let portal = self.portals.get(describe.name).ok_or_else(|| Report::new(catalogue::UNKNOWN_PORTAL))?;
            (portal.prepared.clone(), Some(portal.formats.clone()))
        };
        let out = &mut self.client.out;
        if is_statement {
            build::parameter_description(out, &[]);
        }
        if prepared.columns.is_empty() {
            build::no_data(out);
            return Ok(());
        }
        let mut fields: Vec<_> = prepared.columns.iter().map(ColumnSpec::field).collect();
        for (field, format) in fields.iter_mut().zip(formats.iter().flatten()) {
            field.format = *format;
        }
        build::row_description(out, &fields);
        Ok(())
    }

    async fn run_portal(&mut self, execute: &extended::Execute<'_>) -> Result<(), Report> {
        let mut portal = self.portals.remove(execute.portal).ok_or_else(|| Report::new(catalogue::UNKNOWN_PORTAL))?;
        let text = portal.prepared.text.as_str();
        if Words::new(text).is_finished() {
            build::empty_query_response(&mut self.client.out);
            return Ok(());
        }
        let (mut rows, tag) = match portal.open.take() {
            Some(open) => open,
            None => {
                let answer = self.execute(text).await?;
                (answer.table.map(|table| table.rows).unwrap_or_default().into_iter(), answer.tag)
            }
        };
        let most = usize::try_from(execute.max_rows).ok().filter(|most| *most > 0).unwrap_or(usize::MAX);
        for row in rows.by_ref().take(most) {
            let values: Vec<Option<Vec<u8>>> = row
                .iter()
                .zip(portal.prepared.columns.iter().zip(&portal.formats))
                .map(|(value, (column, format))| value.as_deref().map(|value| encode(column.type_oid, value, *format)))
                .collect();
            build::data_row(&mut self.client.out, values.iter().map(Option::as_deref));
        }
        if rows.len() > 0 {
            build::portal_suspended(&mut self.client.out);
        } else {
            build::command_complete(&mut self.client.out, &tag);
        }
        portal.open = Some((rows, tag));
        self.portals.insert(execute.portal.into(), portal);
        Ok(())
    }
}

//! Builtin: what pgring answers itself: its own functions, admin commands as statements. In: a plan, values. Out: rows.
//! Never: a backend's answer.

use super::{
    Fault, Session,
    calls::Execution,
    explain::{query_plan, route_fields},
    own,
    prepared::Prepared,
    verbs::text_field,
};
use crate::{
    admin::{self, Caller},
    error::{Report, catalogue},
    execute::explained::{Format, Options},
    plan::{AdminText, Builtin, BuiltinCall, BuiltinColumn, Plan, PlanKind},
    route::bind::{Parameters, Values},
};
use pgring_config::{
    key::KeyType,
    tables::{TableKind, TableName},
};
use pgring_protocol::message::{build, result::Field};

impl Session {
    /// A statement that pgring answers itself.
    pub(super) async fn builtin(
        &mut self,
        builtin: &Builtin,
        values: &Values<'_>,
        execution: Option<Execution<'_>>,
    ) -> Result<(), Fault> {
        let (fields, rows, tag) = match builtin {
            Builtin::Select(columns) => {
                let row = columns.iter().map(|column| self.builtin_call(&column.call, values));
                (builtin_fields(columns), vec![row.collect::<Result<_, _>>()?], "SELECT 1".to_owned())
            }
            Builtin::Signal(signal) => {
                self.signal(signal, values).await?;
                (vec![bool_field(&signal.name)], vec![vec![Some("t".to_owned())]], "SELECT 1".to_owned())
            }
            Builtin::Admin(text) => {
                let table = self.admin_call(text, values, true).await?;
                (table.fields(), table.rows, "CALL".to_owned())
            }
            Builtin::Channels(name) => {
                let rows = self.listening.iter().flat_map(|listening| listening.channels());
                let rows: Vec<_> = rows.map(|channel| vec![Some(channel.to_owned())]).collect();
                let tag = format!("SELECT {}", rows.len());
                (vec![text_field(name)], rows, tag)
            }
            Builtin::Show(text) => {
                let table = self.admin_call(text, values, false).await?;
                let tag = format!("SELECT {}", table.rows.len());
                (table.fields(), table.rows, tag)
            }
        };
        if let Some(execution) = &execution
            && let Some(described) = self.own_fields_of(builtin, execution.prepared)
            && described.len() != fields.len()
        {
            return Err(Report::new(catalogue::UNSUPPORTED)
                .detail("a command whose columns were not known when it was described")
                .hint("Give the command as a literal, not as a parameter.")
                .into());
        }
        let formats = execution.map_or(&[][..], |execution| execution.result_formats);
        own::answer(&mut self.client.out, fields, &rows, formats, execution.is_none_or(|execution| execution.describe));
        build::command_complete(&mut self.client.out, &tag);
        Ok(())
    }

    fn builtin_call(&mut self, call: &BuiltinCall, values: &Values<'_>) -> Result<Option<String>, Fault> {
        let (table, key) = match call {
            BuiltinCall::Version => return Ok(Some(format!("pgring {}", env!("CARGO_PKG_VERSION")))),
            BuiltinCall::BackendPid => return Ok(Some(self.me.id.to_string())),
            BuiltinCall::Token(table, key) | BuiltinCall::ShardOf(table, key) => (table, key),
        };
        let Some(Some(table)) = values.text_of(table) else { return Ok(None) };
        let Some(Some(key)) = values.text_of(key) else { return Ok(None) };
        let name = self.table_name(&table)?;
        let snapshot = self.database.snapshot().clone();
        let TableKind::Sharded(sharded) = snapshot.topology.kind(&name) else {
            return Err(Report::with(catalogue::UNKNOWN_TABLE, format!("table \"{table}\" is not sharded")).into());
        };
        let family = snapshot.topology.group(sharded.group).map(|group| group.family);
        let key_type = sharded.key_type.or(family.map(default_type)).unwrap_or(KeyType::Text);
        let key = key_type.parse_text(&key).map_err(|error| {
            Report::with(catalogue::INVALID_KEY, format!("\"{key}\" is no key of table \"{table}\""))
                .detail(error.to_string())
        })?;
        Ok(match call {
            BuiltinCall::ShardOf(..) => {
                let owner = snapshot.topology.owner(sharded.group, &key);
                owner.map(|shard| snapshot.topology.shard(shard).name.to_string())
            }
            _ => Some(key.token().0.to_string()),
        })
    }

    /// A table as a text names it, through the search path.
    fn table_name(&mut self, text: &str) -> Result<TableName, Fault> {
        let parts = qualified(text)
            .ok_or_else(|| Report::with(catalogue::UNKNOWN_TABLE, format!("\"{text}\" is no name of a table")))?;
        let path = self.search_path();
        let snapshot = self.database.snapshot();
        let found = match parts {
            (Some(schema), name) => Some(TableName::new(schema, name)),
            (None, name) => path
                .schemas
                .iter()
                .map(|schema| TableName::new(schema.clone(), name.clone()))
                .find(|name| snapshot.topology.table(name).is_some() || snapshot.schema.relation(name).is_some()),
        };
        found
            .filter(|name| snapshot.topology.table(name).is_some() || snapshot.schema.relation(name).is_some())
            .ok_or_else(|| Report::with(catalogue::UNKNOWN_TABLE, format!("relation \"{text}\" does not exist")).into())
    }

    async fn admin_call(
        &mut self,
        text: &AdminText,
        values: &Values<'_>,
        is_call: bool,
    ) -> Result<admin::Table, Fault> {
        let Some(Some(text)) = values.text_of(&text.0) else {
            return Err(Report::with(catalogue::ADMIN_SYNTAX, "an admin command is one text, not NULL").into());
        };
        let text = if is_call { text } else { format!("SHOW {text}") };
        // A rule for a table that is yet to be made goes with the transaction: it is forgotten when that is rolled back.
        let planned = admin::ruled_table(&text).filter(|table| {
            let snapshot = self.database.snapshot();
            let new = snapshot.schema.relation(table).is_none() && snapshot.topology.table(table).is_none();
            new && self.txn.as_ref().is_some_and(|txn| !txn.schema_changed)
        });
        let caller = Caller {
            user: self.user.clone(),
            database: Some(self.database.clone()),
            in_transaction: self.txn.is_some() && planned.is_none(),
        };
        let answer = admin::run(&self.cluster, &caller, &text).await?;
        if let (Some(table), Some(txn)) = (planned, &mut self.txn) {
            txn.rules.made.push(table);
        }
        Ok(answer)
    }

    /// The columns of a statement that pgring answers itself; None: it has none, or a server knows them.
    pub(super) fn own_fields(&self, plan: &Plan, prepared: &Prepared) -> Option<Vec<Field>> {
        match &plan.kind {
            PlanKind::ExplainRoute { analyze, .. } => {
                let options = Options::of(&prepared.text);
                Some(if options.format == Format::Json { vec![query_plan(options)] } else { route_fields(*analyze) })
            }
            PlanKind::Builtin(builtin) => self.own_fields_of(builtin, prepared),
            _ => None,
        }
    }

    fn own_fields_of(&self, builtin: &Builtin, prepared: &Prepared) -> Option<Vec<Field>> {
        let text_of = |text: &AdminText| {
            let values = Values {
                text: prepared.text.as_bytes(),
                lexed: &prepared.lexed,
                parameters: Parameters::None,
                utf8: self.settings.utf8(),
            };
            values.text_of(&text.0).flatten()
        };
        Some(match builtin {
            Builtin::Select(columns) => builtin_fields(columns),
            // The server knows the types of its own function.
            Builtin::Signal(_) => return None,
            // Commands given as a parameter are described as most of them answer.
            Builtin::Admin(text) => admin::fields_of(&text_of(text).unwrap_or_else(|| "RELOAD".into())),
            Builtin::Channels(name) => vec![text_field(name)],
            Builtin::Show(text) => admin::fields_of(&format!("SHOW {}", text_of(text)?)),
        })
    }
}

/// A name with or without its schema, folded and unquoted.
fn qualified(text: &str) -> Option<(Option<String>, String)> {
    let mut words = crate::sql::words::Words::new(text);
    let first = words.name()?;
    let second = if words.symbol('.') { Some(words.name()?) } else { None };
    words.is_finished().then_some(match second {
        Some(name) => (Some(first), name),
        None => (None, first),
    })
}

fn default_type(family: pgring_config::key::KeyFamily) -> KeyType {
    use pgring_config::key::KeyFamily;
    match family {
        KeyFamily::Integer => KeyType::Int8,
        KeyFamily::Text => KeyType::Text,
        KeyFamily::Uuid => KeyType::Uuid,
    }
}

pub(super) fn builtin_fields(columns: &[BuiltinColumn]) -> Vec<Field> {
    let field = |column: &BuiltinColumn| {
        let mut field = text_field(&column.name);
        let (oid, size) = match column.call {
            BuiltinCall::Token(..) => (20, 8),
            BuiltinCall::BackendPid => (23, 4),
            BuiltinCall::Version | BuiltinCall::ShardOf(..) => return field,
        };
        field.type_oid = oid;
        field.type_size = size;
        field
    };
    columns.iter().map(field).collect()
}

fn bool_field(name: &str) -> Field {
    let mut field = text_field(name);
    field.type_oid = 16;
    field.type_size = 1;
    field
}

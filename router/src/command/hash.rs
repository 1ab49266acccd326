//! `pgring hash`: where a key belongs. In: a type and a value; for arc and shard, a configuration whose catalog is
//! asked. Out: token, arc, shard. Never: changes the catalog; reads a row.

use crate::{cluster::ServerTls, control};
use pgring_config::{
    key::{KeyType, KeyValue},
    settings::Settings,
    tables::{TableKind, TableName},
    topology::{Group, OwnedArc, Placement, Topology},
};
use std::{collections::HashMap, path::PathBuf, process::ExitCode};

/// Arguments of `pgring hash`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Type of the key: bigint, integer, smallint, text, varchar, char(n), uuid.
    #[arg(value_name = "TYPE")]
    key_type: String,
    /// The key.
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// The configuration file (TOML); without it only the token is printed.
    #[arg(long, env = "PGRING_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database; the first of the file if there is none given.
    #[arg(long, env = "PGRING_DATABASE", value_name = "DB")]
    database: Option<String>,
    /// The sharded table whose group is asked; every group of such keys if there is none given.
    #[arg(long, env = "PGRING_TABLE", value_name = "T")]
    table: Option<String>,
}

/// Prints where a key belongs.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match answer(arguments) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(Failure::Said(code)) => code,
        Err(Failure::Why(why)) => {
            eprintln!("pgring: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Failure {
    Said(ExitCode),
    Why(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Why(error.to_string())
    }
}

fn answer(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let unknown = || Failure::Why(format!("type \"{}\" cannot be a shard key", arguments.key_type));
    let key_type = KeyType::from_type_name(&arguments.key_type).ok_or_else(unknown)?;
    let key = key_type.parse_text(&arguments.value)?;
    let mut lines = vec![format!("token  {}", key.token().0)];
    if let Some(config) = &arguments.config {
        let settings = super::load(config).map_err(Failure::Said)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let topology = runtime.block_on(topology(&settings, arguments.database.as_deref()))?;
        lines.extend(places(&topology, &key, arguments.table.as_deref())?);
    }
    Ok(lines)
}

async fn topology(settings: &Settings, database: Option<&str>) -> Result<Topology, Failure> {
    let mut listed = settings.databases.iter().filter(|listed| !listed.is_any());
    let found = listed.find(|listed| database.is_none_or(|name| listed.name.as_str() == name));
    let found = found.ok_or_else(|| Failure::Why("the configuration has no such database".to_owned()))?;
    let parts = found.catalog_connection().ok_or_else(|| Failure::Why("it has no catalog".to_owned()))?;
    let tls = ServerTls::load(&settings.server_tls).map_err(|error| Failure::Why(error.to_string()))?;
    let catalog = control::catalog(parts, &tls, &settings.general.cluster, found.name.as_str()).await?;
    Ok(catalog.load(&HashMap::new()).await?)
}

/// Arc and shard of a key in each group that is asked for.
fn places(topology: &Topology, key: &KeyValue, table: Option<&str>) -> Result<Vec<String>, Failure> {
    let groups: Vec<&Group> = match table {
        Some(table) => vec![group_of(topology, table)?],
        None => topology.groups.iter().flatten().filter(|group| group.family == key.family()).collect(),
    };
    if groups.is_empty() {
        return Ok(vec![format!("no group has keys of type {} yet", key.family())]);
    }
    Ok(groups.into_iter().flat_map(|group| place(topology, group, key)).collect())
}

fn group_of<'a>(topology: &'a Topology, table: &str) -> Result<&'a Group, Failure> {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    let group = match topology.kind(&TableName::new(schema, name)) {
        TableKind::Sharded(sharded) => topology.group(sharded.group),
        TableKind::Reference | TableKind::Local => None,
    };
    group.ok_or_else(|| Failure::Why(format!("table {table} is not sharded")))
}

fn place(topology: &Topology, group: &Group, key: &KeyValue) -> Vec<String> {
    let mut lines = vec![format!("group  {}", group.name)];
    if let Placement::Hash { .. } = &group.placement
        && let Some(OwnedArc { start, end, .. }) = group.placement.arc_of(key.token())
    {
        let end = end.map_or_else(|| "end]".to_owned(), |end| format!("{})", end.0));
        lines.push(format!("arc    [{}, {end}", start.0));
    }
    let owner = group.placement.owner(key).map(|shard| topology.shard(shard).name.to_string());
    lines.push(format!("shard  {}", owner.as_deref().unwrap_or("none")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(key_type: &str, value: &str) -> Arguments {
        Arguments { key_type: key_type.to_owned(), value: value.to_owned(), config: None, database: None, table: None }
    }

    #[test]
    fn a_token_is_postgresqls_hash() {
        assert_eq!(answer(&arguments("bigint", "42")).unwrap(), ["token  8010225493015854792"]);
        assert_eq!(answer(&arguments("integer", "-1")).unwrap(), ["token  -1888257769727981238"]);
        assert_eq!(answer(&arguments("text", "s0:0")).unwrap(), ["token  9085043046306132105"]);
    }

    #[test]
    fn what_is_no_key_is_said_so() {
        for (key_type, value) in [("json", "{}"), ("integer", "x"), ("smallint", "70000"), ("uuid", "1")] {
            assert!(matches!(answer(&arguments(key_type, value)), Err(Failure::Why(_))), "{key_type} {value}");
        }
    }
}

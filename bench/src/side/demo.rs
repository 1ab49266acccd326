//! Demo: `pgring demo` with some shards, and the addresses in the configuration it writes.

use super::process::{Process, listens};
use crate::error::BenchError;
use std::{fs, path::Path, process::Command};
use toml::{Table, Value};

/// A running demo. The router runs in its process.
pub(crate) struct Demo {
    process: Process,
    /// How to connect to the router.
    pub(crate) router: String,
    /// How to connect to each shard.
    pub(crate) shards: Vec<String>,
}

impl Demo {
    /// Starts a demo and waits until its router listens.
    pub(crate) fn start(pgring: &Path, shards: u32, rows: u32, folder: &Path) -> Result<Self, BenchError> {
        if !pgring.exists() {
            return Err(BenchError::NotBuilt(pgring.to_owned()));
        }
        let name = format!("pgring-{shards}");
        let config = folder.join(format!("{name}.toml"));
        let mut command = Command::new(pgring);
        command.args(["demo", "--port", "0", "--http-port", "0", "--ephemeral"]);
        command.args(["--shards", &shards.to_string(), "--rows", &rows.to_string()]);
        command.arg("--config-out").arg(&config);
        let mut process = Process::start(&command, Command::new("/bin/sh"), &name, folder)?;
        let (port, shards) = process.wait_for(|| {
            let table: Table = fs::read_to_string(&config).ok()?.parse().ok()?;
            let addresses = (port(&table), shard_connections(&table));
            listens(addresses.0?).then_some(addresses)
        })?;
        let port = port.ok_or(BenchError::NoKey("general.listen"))?;
        let router = format!("host=127.0.0.1 port={port} dbname=app user=postgres password=postgres");
        let shards = shards.filter(|shards| !shards.is_empty());
        Ok(Self { process, router, shards: shards.ok_or(BenchError::NoKey("databases.shards.connection"))? })
    }

    /// The process in which the router runs.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The port in `general.listen`, one address or the first of a list.
fn port(config: &Table) -> Option<u16> {
    let listen = match config.get("general")?.get("listen")? {
        Value::Array(addresses) => addresses.first()?.as_str()?,
        one => one.as_str()?,
    };
    listen.rsplit_once(':')?.1.parse().ok()
}

/// The connection strings of the shards of the first database.
fn shard_connections(config: &Table) -> Option<Vec<String>> {
    let shards = config.get("databases")?.get(0)?.get("shards")?.as_array()?;
    shards.iter().map(|shard| Some(shard.get("connection")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_a_configuration() {
        let config: Table = r#"
[general]
listen = "127.0.0.1:16432"
[[databases]]
name = "app"
[[databases.shards]]
name = "s0"
connection = "host=127.0.0.1 port=16500 dbname=app user=postgres password=postgres"
"#
        .parse()
        .unwrap();
        assert_eq!(port(&config), Some(16432));
        let expected = "host=127.0.0.1 port=16500 dbname=app user=postgres password=postgres";
        assert_eq!(shard_connections(&config), Some(vec![expected.to_owned()]));
        assert_eq!(port(&Table::new()), None);
        assert_eq!(shard_connections(&Table::new()), None);
    }
}

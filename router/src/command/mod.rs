//! Commands: what stands on the command line. In: arguments, `PGRING_…`. Out: an exit code. Never: what a command
//! does (each has its own file).

mod check_config;
mod demo;
mod hash;

use crate::{failpoint, serve};
use clap::{Parser, Subcommand};
use pgring_config::settings::{Settings, SettingsError};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// A sharding router for PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "pgring", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the router.
    Serve {
        /// The configuration file (TOML).
        #[arg(long, env = "PGRING_CONFIG", value_name = "FILE")]
        config: PathBuf,
    },
    /// Checks a configuration file and names every fault in it.
    CheckConfig {
        /// The configuration file (TOML).
        #[arg(env = "PGRING_CONFIG", value_name = "FILE")]
        file: PathBuf,
    },
    /// Starts PostgreSQL servers as shards, a router in front of them, and sample tables.
    Demo(DemoArguments),
    /// Prints the token, arc and shard of a key.
    Hash(hash::Arguments),
    /// Connects to every server and prints what is right and wrong there.
    Doctor {
        /// The configuration file (TOML).
        #[arg(long, env = "PGRING_CONFIG", value_name = "FILE")]
        config: PathBuf,
        /// Repairs what can be repaired.
        #[arg(long, env = "PGRING_REPAIR")]
        repair: bool,
    },
}

/// Arguments of `pgring demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArguments {
    /// Shards.
    #[arg(long, env = "PGRING_SHARDS", default_value_t = 4, value_name = "N")]
    pub shards: u16,
    /// Streaming replicas of each shard.
    #[arg(long, env = "PGRING_REPLICAS", default_value_t = 0, value_name = "N")]
    pub replicas: u16,
    /// Port for clients; 0: a free one.
    #[arg(long, env = "PGRING_PORT", default_value_t = 6432)]
    pub port: u16,
    /// Port for HTTP; 0: a free one.
    #[arg(long, env = "PGRING_HTTP_PORT", default_value_t = 9632)]
    pub http_port: u16,
    /// Where the servers keep their data; a second start finds it again.
    #[arg(long, env = "PGRING_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Rows of the sample tables; 0: no tables at all.
    #[arg(long, env = "PGRING_ROWS", value_name = "N")]
    pub rows: Option<u64>,
    /// Keeps running statements in the background.
    #[arg(long, env = "PGRING_LOAD")]
    pub load: bool,
    /// Servers without fsync, whose data is deleted at the end.
    #[arg(long, env = "PGRING_EPHEMERAL")]
    pub ephemeral: bool,
    /// Writes the configuration in use, complete, to this file.
    #[arg(long, env = "PGRING_CONFIG_OUT", value_name = "FILE")]
    pub config_out: Option<PathBuf>,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    failpoint::set_up();
    match Arguments::parse().command {
        Command::Serve { config } => match load(&config) {
            Ok(settings) => serve::run(serve::Options { settings, file: Some(config) }),
            Err(code) => code,
        },
        Command::CheckConfig { file } => check_config::run(&file),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Hash(arguments) => hash::run(&arguments),
        Command::Doctor { .. } => not_available("doctor"),
    }
}

fn not_available(command: &str) -> ExitCode {
    eprintln!("pgring: {command} is not available yet");
    ExitCode::FAILURE
}

/// Reads a configuration, or says what is wrong with it.
fn load(file: &Path) -> Result<Settings, ExitCode> {
    Settings::load(file).map_err(|error| {
        match error {
            SettingsError::Faults(faults) => faults.iter().for_each(|fault| eprintln!("{fault}")),
            other => eprintln!("pgring: {other}"),
        }
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory;

    #[test]
    fn every_option_is_an_environment_variable_too() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for command in command.get_subcommands() {
            for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
                if !["help", "version"].contains(&argument.get_id().as_str()) {
                    let variable = argument.get_env().and_then(|name| name.to_str()).unwrap_or_default();
                    assert!(variable.starts_with("PGRING_"), "{} {}", command.get_name(), argument.get_id());
                }
            }
        }
    }
}

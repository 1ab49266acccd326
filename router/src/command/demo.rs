//! Demo: a sharded cluster on this machine. In: the command's arguments. Out: PostgreSQL servers, a router in this
//! process, sample tables, and how to connect; all of it ends with the process. Never: listens beyond loopback,
//! touches a table that is there already.

mod background;
mod servers;
mod shop;

use super::DemoArguments;
use crate::serve::{self, Options, Running, ServeError};
use pgring_config::settings::{Fault, Settings};
use pgring_local_postgres::{FreePort, LocalError};
use servers::Servers;
use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    net::TcpListener,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

/// The database, the login and its password.
const DATABASE: &str = "app";
const USER: &str = "postgres";
const PASSWORD: &str = "postgres";

/// Exit code: something that the demo needs is not there.
const CANNOT_START: u8 = 2;

/// Customers of the sample tables, if not said otherwise.
const CUSTOMERS: u64 = 10_000;

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("--shards must be at least 1")]
    NoShards,
    #[error("--ephemeral keeps no data, so that --data has no use beside it")]
    EphemeralData,
    #[error("{0}")]
    Local(#[from] LocalError),
    #[error("{0}")]
    Serve(#[from] ServeError),
    #[error("the demo's own configuration has a fault: {0}")]
    Settings(Fault),
    #[error("cannot {what} {path}: {error}", path = .path.display())]
    File { what: &'static str, path: PathBuf, error: io::Error },
    #[error("the sample tables could not be made: {0}")]
    Shop(#[from] shop::ShopError),
    #[error("port {port} cannot be used: {error}; --port and --http-port choose others, 0 a free one")]
    Port { port: u16, error: io::Error },
    #[error("threads cannot be started: {0}")]
    Threads(io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
}

/// Runs the demo until it is asked to end.
pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    match demo(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgring: {error}");
            ExitCode::from(CANNOT_START)
        }
    }
}

fn demo(arguments: &DemoArguments) -> Result<(), DemoError> {
    let began = Instant::now();
    if arguments.shards == 0 {
        return Err(DemoError::NoShards);
    }
    if arguments.ephemeral && arguments.data.is_some() {
        return Err(DemoError::EphemeralData);
    }
    for port in [arguments.port, arguments.http_port] {
        // Better said now than when every server has started.
        drop(TcpListener::bind(("127.0.0.1", port)).map_err(|error| DemoError::Port { port, error })?);
    }
    println!("starting {} PostgreSQL servers …", usize::from(arguments.shards) * (1 + usize::from(arguments.replicas)));
    let servers = Servers::start(arguments)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("pgring-control")
        .enable_all()
        .build()
        .map_err(DemoError::Threads)?;
    let ended = serve(arguments, &servers, &runtime, began);
    runtime.shutdown_timeout(Duration::from_secs(1));
    servers.stop();
    ended
}

fn serve(arguments: &DemoArguments, servers: &Servers, runtime: &Runtime, began: Instant) -> Result<(), DemoError> {
    let settings = settings(arguments, servers)?;
    serve::log(&settings);
    if let Some(path) = &arguments.config_out {
        let written = fs::write(path, settings.to_toml());
        written.map_err(|error| DemoError::File { what: "write", path: path.clone(), error })?;
    }
    runtime.block_on(async {
        let signals = serve::Signals::listen().map_err(DemoError::Signals)?;
        let running = serve::start(Options { settings, file: arguments.config_out.clone() }).await?;
        let signals = tokio::spawn(signals.obey(running.cluster.clone()));
        let shop = fill(arguments, servers, &running).await?;
        let load = (arguments.load && shop).then(|| background::start(&running));
        tell(servers, &running, began);
        running.finish().await;
        signals.abort();
        drop(load);
        Ok(())
    })
}

/// Makes the sample tables, unless they are there or nobody wants them; whether they are there.
async fn fill(arguments: &DemoArguments, servers: &Servers, running: &Running) -> Result<bool, DemoError> {
    let customers = arguments.rows.unwrap_or(CUSTOMERS);
    if customers == 0 {
        return Ok(false);
    }
    shop::make(&url(running, DATABASE), servers, &running.cluster, customers).await?;
    Ok(true)
}

/// The configuration in use. Paths are absolute, and every key that matters to another router is in it.
fn settings(arguments: &DemoArguments, servers: &Servers) -> Result<Settings, DemoError> {
    let port = chosen(arguments.port)?;
    let http = chosen(arguments.http_port)?;
    let mut text = format!(
        "[general]\nlisten = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:{http}\"\nadmin_users = [\"{USER}\"]\n\
         [log]\nlevel = \"warn\"\n[rebalancer]\nrollback_window = \"5s\"\n\
         [auth]\nmethods = [\"scram-sha-256\"]\n[[users]]\nname = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
         [[databases]]\nname = \"{DATABASE}\"\n"
    );
    for shard in servers.shards() {
        let connection = shard.primary.connection_string(DATABASE);
        // Writing into a String cannot fail.
        let _ = write!(text, "[[databases.shards]]\nname = \"{}\"\nconnection = \"{connection}\"\n", shard.name);
        for (name, replica) in &shard.replicas {
            let connection = replica.connection_string(DATABASE);
            let _ = write!(text, "[[databases.shards.replicas]]\nname = \"{name}\"\nconnection = \"{connection}\"\n");
        }
    }
    let mut faults = match Settings::parse(&text, "demo") {
        Ok(settings) => return Ok(settings),
        Err(faults) => faults,
    };
    Err(DemoError::Settings(faults.swap_remove(0)))
}

/// The port, or a free one for 0.
fn chosen(port: u16) -> Result<u16, DemoError> {
    Ok(if port == 0 { FreePort::hold()?.port() } else { port })
}

fn url(running: &Running, database: &str) -> String {
    let address = running.addresses.first().map_or("", String::as_str);
    format!("postgresql://{USER}:{PASSWORD}@{address}/{database}")
}

fn tell(servers: &Servers, running: &Running, began: Instant) {
    let admin = running.cluster.settings.load().general.admin_database.to_string();
    let mut text = format!(
        "\npgring {} serves {} shards after {:.1} s\n\n  psql     psql '{}'\n  admin    psql '{}' -c 'SHOW SHARDS'\n  \
         console  http://{}/\n",
        env!("CARGO_PKG_VERSION"),
        servers.shards().len(),
        began.elapsed().as_secs_f64(),
        url(running, DATABASE),
        url(running, &admin),
        running.http,
    );
    if let Some(folder) = servers.folder() {
        text.push_str(&format!("  data     {}\n", folder.display()));
    }
    text.push_str("\nCtrl-C stops all of it.\n");
    // Nobody may be reading.
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

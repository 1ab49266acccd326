//! One temporary PostgreSQL server for trying things by hand: prints where it is, ends with its standard input.
//! In: nothing. Out: process id, folder and connection string, a line each. Never: keeps data.

use std::io::Read;
use std::process::ExitCode;

use pgring_local_postgres::{Binaries, LocalError, Server, ServerOptions};

fn main() -> ExitCode {
    match hold() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Starts the server and keeps it until nobody can type any more.
fn hold() -> Result<(), LocalError> {
    let server = Server::start(&Binaries::find()?, ServerOptions::default().database("app").for_shard())?;
    println!("{}", server.pid().unwrap_or_default());
    println!("{}", server.folder().display());
    println!("{}", server.connection_string("app"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

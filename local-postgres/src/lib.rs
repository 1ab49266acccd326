//! Local PostgreSQL servers made from installed binaries, for the demo, the tests and the benchmarks.
//! In: where the binaries are and how a server shall be set. Out: a running server on 127.0.0.1 that ends with its owner.
//! Never: listens beyond loopback, runs as root, ends a process that it did not start.
//!
//! ```no_run
//! use pgring_local_postgres::{Binaries, Server, ServerOptions};
//! # fn main() -> Result<(), pgring_local_postgres::LocalError> {
//! let binaries = Binaries::find()?;
//! let server = Server::start(&binaries, ServerOptions::default().database("app"))?;
//! println!("psql '{}'", server.connection_string("app"));
//! # Ok(()) }
//! ```

mod error;
mod account;
mod binaries;
mod options;
mod port;
mod template;
mod home;
mod watchdog;
mod server;

pub use account::{can_reach, unprivileged};
pub use binaries::Binaries;
pub use error::LocalError;
pub use options::{Auth, Locale, ServerOptions};
pub use port::FreePort;
pub use server::{Server, Stop};
pub use template::Template;
pub use watchdog::{Guard, Signal, Watchdog};

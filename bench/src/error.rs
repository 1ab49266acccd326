//! What stops a run.

use pgring_local_postgres::LocalError;
use std::{io, path::PathBuf};

/// What stops a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A local server.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A file or a program.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was tried, as in "cannot start".
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// pgring is not built.
    #[error("{0} is not there: build it with `cargo build --release`, or leave the pgring sides out with --sides")]
    NotBuilt(PathBuf),
    /// A program that should serve ended or did not get ready; the end of what it said.
    #[error("{program} does not serve: {said}")]
    NotServing {
        /// Which.
        program: String,
        /// The end of its log.
        said: String,
    },
    /// The configuration that pgring wrote lacks something.
    #[error("the configuration of the demo has no {0}")]
    NoKey(&'static str),
    /// A statement, or a connection.
    #[error("{}", .0.as_db_error().map_or_else(|| .0.to_string(), ToString::to_string))]
    Postgres(#[from] tokio_postgres::Error),
    /// pgbench failed, or transactions of it did.
    #[error("pgbench failed on {side}: {said}")]
    Pgbench {
        /// On which side.
        side: String,
        /// The end of what it said.
        said: String,
    },
}

impl BenchError {
    /// For `map_err` on input and output.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

//! Side: one way to the rows, and the process in the middle of it. In: what to measure. Out: running programs that
//! end with their owner. Never: a way to other rows than the others have.

use crate::{Options, error::BenchError, pgbench, pgbench::Mode};
use pgring_local_postgres::Binaries;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

pub(crate) mod demo;
mod plain;
mod pgbouncer;
mod process;

/// Backends that every pool may have.
const POOL_SIZE: u32 = 20;

/// A way to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Straight to PostgreSQL.
    Direct,
    /// Through PgBouncer.
    #[value(name = "pgbouncer")]
    PgBouncer,
    /// Through pgring to one shard.
    #[value(name = "pgring-1")]
    PgringOne,
    /// Through pgring to four shards.
    #[value(name = "pgring-4")]
    PgringFour,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::PgBouncer => "pgbouncer",
            Self::PgringOne => "pgring-1",
            Self::PgringFour => "pgring-4",
        })
    }
}

/// A way that is open.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// Which.
    pub(crate) kind: Kind,
    /// The process whose CPU time counts.
    pub(crate) middle: Option<u32>,
    connection: String,
    /// Where prepared statements need another way (an old PgBouncer).
    prepared: Option<String>,
}

impl Side {
    /// The connection string for this mode.
    pub(crate) fn connection(&self, mode: Mode) -> &str {
        match (&self.prepared, mode) {
            (Some(prepared), Mode::Prepared) => prepared,
            _ => &self.connection,
        }
    }
}

/// All sides of a run, with what they stand on; dropping it ends every program. Ends in the order of the fields.
pub(crate) struct Sides {
    sides: Vec<Side>,
    notes: Vec<String>,
    _pgbouncer: Option<pgbouncer::PgBouncer>,
    _demos: Vec<demo::Demo>,
    _plain: Option<plain::Plain>,
    folder: Folder,
}

impl Sides {
    /// Starts what `options` asks for. PgBouncer that is not installed is left out with a note; direct and PgBouncer
    /// use the shard of the demo with one shard, or a server of their own if pgring is not measured.
    pub(crate) fn start(options: &Options, binaries: &Binaries) -> Result<Sides, BenchError> {
        let folder = Folder::make()?;
        folder.write_script(options.rows)?;
        let wants = |kind| options.sides.contains(&kind);
        let mut sides = Vec::new();
        let mut demos = Vec::new();
        for (kind, shards) in [(Kind::PgringOne, 1), (Kind::PgringFour, 4)].into_iter().filter(|(kind, _)| wants(*kind))
        {
            let demo = demo::Demo::start(&options.pgring, shards, options.rows, &folder.0)?;
            sides.push(Side { kind, middle: Some(demo.pid()), connection: demo.router.clone(), prepared: None });
            demos.push(demo);
        }
        let first = |demo: &demo::Demo| demo.shards.first().cloned();
        let one = demos.first().filter(|_| wants(Kind::PgringOne)).and_then(first);
        let needs_plain = one.is_none() && (wants(Kind::Direct) || wants(Kind::PgBouncer));
        let plain = needs_plain.then(|| plain::Plain::start(binaries, options.rows)).transpose()?;
        let server = one.or_else(|| plain.as_ref().map(|plain| plain.connection.clone())).unwrap_or_default();
        let (pgbouncer, notes) = Self::pgbouncer(options, &server, &folder)?;
        sides.extend(pgbouncer.as_ref().map(pgbouncer::PgBouncer::side));
        if wants(Kind::Direct) {
            sides.push(Side { kind: Kind::Direct, middle: None, connection: server, prepared: None });
        }
        sides.sort_by_key(|side| side.kind);
        Ok(Sides { sides, notes, _pgbouncer: pgbouncer, _demos: demos, _plain: plain, folder })
    }

    /// PgBouncer in front of `server`, if it is asked for and installed, and what is to be said about it.
    fn pgbouncer(
        options: &Options,
        server: &str,
        folder: &Folder,
    ) -> Result<(Option<pgbouncer::PgBouncer>, Vec<String>), BenchError> {
        if !options.sides.contains(&Kind::PgBouncer) {
            return Ok((None, Vec::new()));
        }
        if !options.pgbouncer.exists() {
            let note = format!(
                "PgBouncer is left out: {} is not there (Debian: apt install pgbouncer).",
                options.pgbouncer.display()
            );
            eprintln!("{note}");
            return Ok((None, vec![note]));
        }
        let pgbouncer = pgbouncer::PgBouncer::start(&options.pgbouncer, server, &folder.0)?;
        let notes = pgbouncer.notes();
        Ok((Some(pgbouncer), notes))
    }

    /// Every side, in the order of [`Kind`].
    pub(crate) fn all(&self) -> &[Side] {
        &self.sides
    }

    /// What a reader of the numbers must know.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where the run keeps its files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }
}

/// A folder for the run, which PgBouncer's account can read too; gone when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Makes it.
    pub(crate) fn make() -> Result<Self, BenchError> {
        let path = std::env::temp_dir().join(format!("pgring-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(BenchError::io("cannot make", &path))?;
        Ok(Self(path))
    }

    fn write_script(&self, rows: u32) -> Result<(), BenchError> {
        let path = self.0.join(pgbench::SCRIPT);
        let script = format!("\\set id random(1, {rows})\nSELECT * FROM customers WHERE customer_id = :id;\n");
        fs::write(&path, script).map_err(BenchError::io("cannot write", &path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

//! Servers: the demo's PostgreSQL servers. In: how many, and where their data is. Out: servers that answer.
//! Never: a server that outlives the demo.

use super::{DATABASE, DemoArguments, DemoError};
use pgring_local_postgres::{Binaries, LocalError, Server, ServerOptions, Stop, can_reach};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

/// Where data is kept when the servers' account cannot enter the current folder (root's, for instance).
const COMMON_FOLDER: &str = "/var/lib/pgring/demo";

/// One shard's servers.
pub(super) struct ShardServers {
    /// `s0`, `s1`, …
    pub(super) name: String,
    /// Its primary.
    pub(super) primary: Server,
    /// Its replicas, with their names: `s0r1`, …
    pub(super) replicas: Vec<(String, Server)>,
}

/// All servers.
pub(super) struct Servers {
    shards: Vec<ShardServers>,
    folder: Option<PathBuf>,
}

impl Servers {
    /// Starts them, all at once.
    pub(super) fn start(arguments: &DemoArguments) -> Result<Self, DemoError> {
        let binaries = Binaries::find()?;
        let folder = folder(arguments)?;
        let count = count(arguments, folder.as_deref());
        let start = |number: usize| start_shard(&binaries, arguments, folder.as_deref(), number);
        let started: Vec<Result<ShardServers, LocalError>> = thread::scope(|scope| {
            let starting: Vec<_> = (0..count).map(|number| scope.spawn(move || start(number))).collect();
            starting.into_iter().map(|thread| thread.join().unwrap_or(Err(LocalError::NotRunning))).collect()
        });
        let shards = started.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Self { shards, folder })
    }

    /// Every shard's.
    pub(super) fn shards(&self) -> &[ShardServers] {
        &self.shards
    }

    /// Where their data is; None: nowhere for long.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Stops all of them, replicas first.
    pub(super) fn stop(self) {
        thread::scope(|scope| {
            for mut shard in self.shards {
                scope.spawn(move || {
                    shard.replicas.iter_mut().for_each(|(_, replica)| replica.stop(Stop::Fast));
                    shard.primary.stop(Stop::Fast);
                });
            }
        });
    }
}

/// Where data is kept.
fn folder(arguments: &DemoArguments) -> Result<Option<PathBuf>, DemoError> {
    if arguments.ephemeral {
        return Ok(None);
    }
    let folder = match &arguments.data {
        Some(folder) => folder.clone(),
        None if can_reach(Path::new(".demo"))? => PathBuf::from(".demo"),
        None => PathBuf::from(COMMON_FOLDER),
    };
    let folder =
        std::path::absolute(&folder).map_err(|error| DemoError::File { what: "find", path: folder.clone(), error })?;
    fs::create_dir_all(&folder).map_err(|error| DemoError::File { what: "create", path: folder.clone(), error })?;
    Ok(Some(folder))
}

/// Shards to start: as many as the data has, since its rows are spread over just those.
fn count(arguments: &DemoArguments, folder: Option<&Path>) -> usize {
    let asked = usize::from(arguments.shards);
    let kept = |number: usize| folder.is_some_and(|folder| folder.join(format!("s{number}/data/PG_VERSION")).exists());
    match (0..).take_while(|number| kept(*number)).count() {
        0 => asked,
        found => {
            if found != asked {
                println!("the data there has {found} shards: starting those");
            }
            found
        }
    }
}

fn options(arguments: &DemoArguments, folder: Option<&Path>, name: &str) -> ServerOptions {
    let options = ServerOptions::default()
        .for_shard()
        .setting("max_connections", 300)
        .setting("shared_buffers", "64MB")
        .fsync(!arguments.ephemeral);
    match folder {
        Some(folder) => options.data(folder.join(name)),
        None => options,
    }
}

fn start_shard(
    binaries: &Binaries,
    arguments: &DemoArguments,
    folder: Option<&Path>,
    number: usize,
) -> Result<ShardServers, LocalError> {
    let name = format!("s{number}");
    let primary = Server::start(binaries, options(arguments, folder, &name).database(DATABASE))?;
    let mut replicas = Vec::new();
    for number in 1..=arguments.replicas {
        let name = format!("{name}r{number}");
        if let Some(folder) = folder {
            follow(&folder.join(&name).join("data/postgresql.auto.conf"), primary.port())?;
        }
        let replica = primary.start_replica(&name, options(arguments, folder, &name))?;
        replicas.push((name, replica));
    }
    Ok(ShardServers { name, primary, replicas })
}

/// Tells a replica that was kept the port that its primary has now.
fn follow(file: &Path, port: u16) -> Result<(), LocalError> {
    let Ok(text) = fs::read_to_string(file) else { return Ok(()) };
    let line = |line: &str| {
        if !line.starts_with("primary_conninfo") {
            return line.to_owned();
        }
        let word = |word: &str| if word.starts_with("port=") { format!("port={port}") } else { word.to_owned() };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    };
    let text: String = text.lines().map(|each| line(each) + "\n").collect();
    fs::write(file, text).map_err(|source| LocalError::Io { what: "cannot write", path: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_replica_is_told_its_primarys_new_port() {
        let file = std::env::temp_dir().join(format!("pgring-follow-{}.conf", std::process::id()));
        let text = "# by hand\nprimary_conninfo = 'user=postgres host=127.0.0.1 port=5432 sslmode=prefer'\nport = 1\n";
        fs::write(&file, text).unwrap();
        follow(&file, 6000).unwrap();
        let written = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(written, text.replace("port=5432", "port=6000"));
        follow(&file, 6000).unwrap();
        assert!(!file.exists(), "a replica that was not made yet has no file");
    }
}

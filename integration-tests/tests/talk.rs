//! Drivers' scripts that do everything their library can do and print what they see: of one PostgreSQL, and through
//! pgring in transaction mode over two shards, twice at the same time. What they print must be the same.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::PathBuf;
use std::time::Duration;

use pgring_integration_tests::drivers::{NODE, node, scripts};
use pgring_integration_tests::postgres::{DATABASE, start_servers, test_options};
use pgring_integration_tests::program::{self, Ended};
use pgring_integration_tests::{Cluster, shards};
use pgring_local_postgres::Server;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// How long a script may take; its steps have limits of their own.
const LIMIT: Duration = Duration::from_secs(240);

const JDBC: &str = "a JDK and the JDBC driver (Debian, Ubuntu: apt-get install default-jdk libpostgresql-jdbc-java)";
const JDBC_JAR: &str = "/usr/share/java/postgresql.jar";

/// A cluster, and one PostgreSQL.
struct World {
    cluster: Cluster,
    postgres: Server,
}

async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD
        .get_or_init(async || {
            let prepared = [("max_prepared_transactions", "20"), ("log_min_messages", "fatal")];
            let cluster = prepared.iter().fold(shards(2), |options, (name, value)| options.server_setting(name, value));
            let options = prepared.iter().fold(test_options(), |options, (name, value)| options.setting(*name, value));
            World { cluster: Cluster::start(cluster).await, postgres: start_servers(1, &options).remove(0) }
        })
        .await
}

/// Runs a script under a word that its names begin with.
async fn run(mut command: Command, port: u16, word: &str, need: &str) -> Ended {
    let place = format!("127.0.0.1:{port}/{DATABASE}");
    command.env("PGRING_DSN", format!("postgresql://postgres:postgres@{place}")).env("TALK", word);
    command.env("PGRING_JDBC", format!("jdbc:postgresql://{place}?user=postgres&password=postgres"));
    let mut ended = program::start(command, "", need).end(LIMIT).await;
    ended.out = ended.out.replace(&format!("127.0.0.1:{port}"), "SERVER");
    ended
}

/// The lines that are not the same.
fn differences(wanted: &Ended, found: &Ended) -> String {
    let (mut wanted, mut found) = (wanted.out.lines(), found.out.lines());
    let mut differences = String::new();
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return differences,
            (wanted, found) if wanted == found => {}
            (wanted, found) => {
                let [wanted, found] = [wanted, found].map(|line| line.unwrap_or("nothing"));
                differences += &format!("--- PostgreSQL\n{wanted}\n--- pgring\n{found}\n");
            }
        }
    }
}

/// A script sees at least so many steps, and the same in each.
async fn same(script: impl AsyncFn() -> Command, need: &str, steps: usize) {
    let world = world().await;
    let (direct, through) = (world.postgres.port(), world.cluster.router().port());
    let (wanted, one, two) = tokio::join!(
        run(script().await, direct, "talkdirect", need),
        run(script().await, through, "talkone", need),
        run(script().await, through, "talktwo", need),
    );
    assert!(wanted.code == Some(0) && wanted.out.lines().count() >= steps, "the script fails on PostgreSQL\n{wanted}");
    for found in [one, two] {
        let differences = differences(&wanted, &found);
        assert!(differences.is_empty() && found.code == Some(0), "{differences}\n{}", found.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_js_sees_one_postgresql() {
    same(async || node("postgres_js_talk.mjs").await, NODE, 43).await;
}

/// A JDK and the driver are no need of this repository: where they are not, nothing is tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jdbc_sees_one_postgresql() {
    let jar = std::env::var_os("PGRING_JDBC_JAR").map_or_else(|| JDBC_JAR.into(), PathBuf::from);
    let java = Command::new("javac").arg("-version").output().await;
    if !jar.is_file() || !java.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs {JDBC}, or PGRING_JDBC_JAR");
        return;
    }
    let script = async || {
        let mut command = Command::new("java");
        command.arg("-cp").arg(&jar).arg(scripts().join("JdbcTalk.java"));
        command
    };
    same(script, JDBC, 35).await;
}

//! A sharded cluster: servers, a router in front of them, and ways in.
//! In: how many shards and what is special. Out: a cluster that answers. Never: outlives the test process.
//!
//! A suite may share one cluster: `static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::launch(shards(4)));`
//! with tables of its own per test. The servers of such a cluster end with the test process.

use std::fmt::Write as _;

use pgring_local_postgres::{Server, ServerOptions};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::client::{self, Raw};
use crate::postgres::{DATABASE, start_servers, test_options};
use crate::router::Router;

/// The virtual database that takes admin SQL.
pub const ADMIN_DATABASE: &str = "pgring";

/// What a cluster shall be; made by [`shards`].
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    shards: usize,
    server: ServerOptions,
    listen: Vec<String>,
    general: Vec<String>,
    database: Vec<String>,
    sections: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A cluster of `count` shards s0, s1, …, one router, the database `app` and the user `postgres`.
pub fn shards(count: usize) -> ClusterOptions {
    ClusterOptions {
        shards: count,
        server: test_options(),
        listen: Vec::new(),
        general: Vec::new(),
        database: Vec::new(),
        sections: Vec::new(),
        environment: Vec::new(),
    }
}

impl ClusterOptions {
    /// Adds a line to `[general]`.
    #[must_use]
    pub fn general(mut self, line: &str) -> Self {
        self.general.push(line.to_owned());
        self
    }

    /// Lets clients connect here too, such as at `unix:/a/folder`.
    #[must_use]
    pub fn also_listen(mut self, address: &str) -> Self {
        self.listen.push(address.to_owned());
        self
    }

    /// Adds a line to the database, such as `shard_by = ["tenant_id"]`.
    #[must_use]
    pub fn database(mut self, line: &str) -> Self {
        self.database.push(line.to_owned());
        self
    }

    /// Adds TOML after everything else, such as `[pool]\nsize = 2`.
    #[must_use]
    pub fn with(mut self, section: &str) -> Self {
        self.sections.push(section.to_owned());
        self
    }

    /// Sets a setting of every PostgreSQL server.
    #[must_use]
    pub fn server_setting(mut self, name: &str, value: &str) -> Self {
        self.server = self.server.setting(name, value);
        self
    }

    /// Changes the options of every PostgreSQL server.
    #[must_use]
    pub fn servers(mut self, change: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        self.server = change(self.server);
        self
    }

    /// Sets an environment variable of the router, such as `FAILPOINTS`.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The configuration file of a router in front of these servers.
    fn configuration(&self, servers: &[Server], port: u16, http_port: u16) -> String {
        let mut text = String::new();
        let others: String = self.listen.iter().map(|address| format!(", \"{address}\"")).collect();
        let _ = writeln!(text, "[general]\nlisten = [\"127.0.0.1:{port}\"{others}]");
        let _ = writeln!(text, "http = \"127.0.0.1:{http_port}\"");
        let _ = writeln!(text, "admin_users = [\"postgres\"]");
        self.general.iter().for_each(|line| text += &format!("{line}\n"));
        let _ = writeln!(text, "\n[[users]]\nname = \"postgres\"\npassword = \"postgres\"");
        let _ = writeln!(text, "\n[[databases]]\nname = \"{DATABASE}\"");
        self.database.iter().for_each(|line| text += &format!("{line}\n"));
        for (number, server) in servers.iter().enumerate() {
            let connection = server.connection_string(DATABASE);
            let _ = writeln!(text, "  [[databases.shards]]\n  name = \"s{number}\"\n  connection = \"{connection}\"");
        }
        self.sections.iter().for_each(|section| text += &format!("\n{section}\n"));
        text
    }
}

/// Servers and a router in front of them; dropping it ends all of it.
#[derive(Debug)]
pub struct Cluster {
    // the router goes before the servers it uses
    router: Router,
    servers: Vec<Server>,
    options: ClusterOptions,
}

impl Cluster {
    /// Starts a cluster and waits until it is ready.
    pub async fn start(options: ClusterOptions) -> Cluster {
        tokio::task::spawn_blocking(|| Self::launch(options)).await.expect("the start of the cluster panicked")
    }

    /// As [`Cluster::start`], for a `static` or a test without a runtime; blocks.
    pub fn launch(options: ClusterOptions) -> Cluster {
        let servers = start_servers(options.shards, &options.server);
        let router =
            Router::start(&options.environment, |port, http_port| options.configuration(&servers, port, http_port));
        Cluster { router, servers, options }
    }

    /// As [`Cluster::launch`]; `fill` then brings what the tests need, in a runtime of its own.
    ///
    /// # Panics
    /// If `fill` does, or no runtime can be had.
    pub fn launch_filled(options: ClusterOptions, fill: impl AsyncFnOnce(&Cluster) + Send) -> Cluster {
        let cluster = Cluster::launch(options);
        std::thread::scope(|scope| {
            let filled = scope.spawn(|| {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(fill(&cluster));
            });
            filled.join().expect("the cluster is filled");
        });
        cluster
    }

    /// A second router in front of the same servers, with the same catalog.
    pub async fn another_router(&self) -> Router {
        tokio::task::block_in_place(|| {
            Router::start(&self.options.environment, |port, http_port| {
                self.options.configuration(&self.servers, port, http_port)
            })
        })
    }

    /// As [`Cluster::another_router`], with fault points: `commit.decided=exit` and the like.
    pub async fn breaking_router(&self, fault: &str) -> Router {
        let mut environment = self.options.environment.clone();
        environment.push(("FAILPOINTS".to_owned(), fault.to_owned()));
        tokio::task::block_in_place(|| {
            Router::start(&environment, |port, http_port| self.options.configuration(&self.servers, port, http_port))
        })
    }

    /// A new client of the database `app`, through the router.
    pub async fn client(&self) -> Client {
        client::connect(&self.connection_string(DATABASE)).await
    }

    /// A new client of the admin database.
    pub async fn admin_client(&self) -> Client {
        client::connect(&self.connection_string(ADMIN_DATABASE)).await
    }

    /// Runs one admin command over a connection of its own and returns its rows.
    ///
    /// # Panics
    /// If the command fails.
    pub async fn admin(&self, command: &str) -> Vec<SimpleQueryRow> {
        let answer = self.admin_client().await.simple_query(command).await;
        let messages = answer.unwrap_or_else(|error| panic!("{command}: {}", client::describe(&error)));
        messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect()
    }

    /// A new raw connection to the database `app`, logged in, through the router.
    pub async fn raw(&self) -> Raw {
        Raw::log_in(self.router.port(), "postgres", "postgres", DATABASE).await
    }

    /// A new client of one shard's own PostgreSQL.
    pub async fn shard_client(&self, number: usize) -> Client {
        client::connect(&self.shard(number).connection_string(DATABASE)).await
    }

    /// Runs SQL on every shard's own PostgreSQL, past the router.
    ///
    /// # Panics
    /// If it fails on one.
    pub async fn on_every_shard(&self, sql: &str) {
        for number in 0..self.shard_count() {
            let ran = self.shard_client(number).await.batch_execute(sql).await;
            ran.unwrap_or_else(|error| panic!("s{number}: {sql}: {}", client::describe(&error)));
        }
    }

    /// How to connect through the router.
    pub fn connection_string(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} dbname={database} user=postgres password=postgres", self.router.port())
    }

    /// One shard's server; 0 is s0.
    pub fn shard(&self, number: usize) -> &Server {
        self.servers.get(number).expect("a shard of this cluster")
    }

    /// One shard's server, to stop, kill or restart it.
    pub fn shard_mut(&mut self, number: usize) -> &mut Server {
        self.servers.get_mut(number).expect("a shard of this cluster")
    }

    /// How many shards the cluster began with.
    pub fn shard_count(&self) -> usize {
        self.servers.len()
    }

    /// The router.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The router, to signal, kill or restart it.
    pub fn router_mut(&mut self) -> &mut Router {
        &mut self.router
    }
}

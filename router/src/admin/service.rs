//! Service: commands about this process and its clients. In: a cluster and a command. Out: what came of it. Never:
//! where rows belong.

use super::{
    fault::{not_built, unknown},
    parse::{AdminCommand, KeyLiteral},
    run::{Outcome, listed},
};
use crate::{
    cluster::{self, Client, Cluster, Database},
    error::{Report, catalogue},
    keeper::{self, ReloadError},
    registry::Doing,
};
use pgring_config::settings::Settings;
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

/// How often it is looked who has become idle while draining.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a command that is not about one database's placement.
pub(super) async fn serve(cluster: &Arc<Cluster>, command: &AdminCommand, dry_run: bool) -> Result<Outcome, Report> {
    match command {
        AdminCommand::Pause(name) => pause(cluster, name.as_deref(), true, dry_run),
        AdminCommand::Resume(name) => pause(cluster, name.as_deref(), false, dry_run),
        AdminCommand::KillClient(id) => kill_client(client(cluster, id)?, dry_run).await,
        AdminCommand::KillQuery(id) => kill_query(client(cluster, id)?, dry_run).await,
        AdminCommand::Reload => reload(cluster, dry_run).await,
        AdminCommand::Drain => drain(cluster, dry_run),
        AdminCommand::Shutdown => shutdown(cluster, dry_run),
        other => Err(missing(other)),
    }
}

fn pause(cluster: &Cluster, name: Option<&str>, pause: bool, dry_run: bool) -> Result<Outcome, Report> {
    let databases: Vec<Arc<Database>> = match name {
        None => cluster.databases(),
        Some(name) => vec![cluster.database(name).ok_or_else(|| {
            let names: Vec<String> = listed(cluster).iter().map(|database| database.name.to_string()).collect();
            Report::with(catalogue::UNKNOWN_DATABASE, format!("database \"{name}\" does not exist"))
                .hint(format!("There are: {}.", names.join(", ")))
        })?],
    };
    let others = databases.iter().filter(|database| *database.paused.borrow() != pause).count();
    if dry_run {
        return Ok(Outcome::would(format!(
            "{others} databases would be {}.",
            if pause { "paused" } else { "resumed" }
        )));
    }
    for database in &databases {
        database.paused.send_replace(pause);
    }
    Ok(if others == 0 { Outcome::unchanged() } else { Outcome::done() })
}

fn client(cluster: &Cluster, id: &str) -> Result<Arc<Client>, Report> {
    let found = id.parse().ok().and_then(|id| cluster.clients.get(id));
    found.ok_or_else(|| unknown("client", id, "SHOW CLIENTS lists the clients with their ids."))
}

async fn kill_client(client: Arc<Client>, dry_run: bool) -> Result<Outcome, Report> {
    if dry_run {
        return Ok(Outcome::would(format!("Client {} of user {} would be disconnected.", client.id, client.user)));
    }
    client.kill();
    cluster::cancel(&client).await;
    Ok(Outcome::done())
}

async fn kill_query(client: Arc<Client>, dry_run: bool) -> Result<Outcome, Report> {
    if dry_run {
        let count = client.with_working(|_| ()).len();
        return Ok(Outcome::would(format!("{count} servers would get a cancel request.")));
    }
    let waits = client.doing() == Doing::Waiting;
    Ok(match cluster::cancel(&client).await {
        0 if !waits => Outcome::unchanged().hint("The client runs nothing at this moment."),
        _ => Outcome::done(),
    })
}

async fn reload(cluster: &Arc<Cluster>, dry_run: bool) -> Result<Outcome, Report> {
    let refused = |error: ReloadError| {
        Report::with(catalogue::WRONG_STATE, "the configuration is not reloaded; it stays as it is")
            .detail(error.to_string())
    };
    let Some(file) = &cluster.settings_file else {
        return Ok(Outcome::unchanged().hint("This router runs without a configuration file."));
    };
    let new = Settings::load(file).map_err(|error| refused(error.into()))?;
    let restart = cluster.settings.load().needs_restart(&new);
    if dry_run {
        return Ok(Outcome::would("The configuration file has no fault."));
    }
    let changed = keeper::reload(cluster).await.map_err(refused)?;
    let outcome = if changed.is_empty() { Outcome::unchanged() } else { Outcome::done().hint(changed.join("; ")) };
    Ok(match restart.is_empty() {
        true => outcome,
        false => outcome.hint(format!("Only a restart applies: {}.", restart.join(", "))),
    })
}

fn drain(cluster: &Arc<Cluster>, dry_run: bool) -> Result<Outcome, Report> {
    if dry_run {
        return Ok(Outcome::would(format!("{} clients would be sent away when idle.", cluster.clients.len())));
    }
    if cluster.draining.swap(true, Ordering::AcqRel) {
        return Ok(Outcome::unchanged());
    }
    tokio::spawn(send_away(Arc::downgrade(cluster)));
    Ok(Outcome::done())
}

/// Sends clients away as they become idle, until nobody is left but who uses the admin database.
async fn send_away(cluster: Weak<Cluster>) {
    while let Some(cluster) = cluster.upgrade() {
        let admin = cluster.settings.load().general.admin_database.to_string();
        let mut others = cluster.clients.all();
        others.retain(|client| *client.database != *admin);
        if others.is_empty() {
            return;
        }
        others.iter().filter(|client| client.doing() == Doing::Idle).for_each(|client| client.kill());
        drop(cluster);
        tokio::time::sleep(LOOK).await;
    }
}

fn shutdown(cluster: &Cluster, dry_run: bool) -> Result<Outcome, Report> {
    if dry_run {
        return Ok(Outcome::would("This router would stop."));
    }
    let mut first = false;
    cluster.stop.send_if_modified(|stop| {
        first = stop.is_none();
        if first {
            *stop = Some(false);
        }
        first
    });
    Ok(if first { Outcome::done() } else { Outcome::unchanged() })
}

/// What to do instead of a command that is not built.
fn missing(command: &AdminCommand) -> Report {
    let (what, hint) = match command {
        AdminCommand::AddShard { .. } => ("ADD SHARD", "ADD SHARD … DRY RUN shows what would move to it."),
        AdminCommand::DrainShard(_) => ("DRAIN SHARD", "DRAIN SHARD … DRY RUN shows what would move."),
        AdminCommand::SplitShard { .. } => ("SPLIT SHARD", "SPLIT SHARD … DRY RUN shows what would move."),
        AdminCommand::Rebalance(_) => ("REBALANCE", "REBALANCE BY WEIGHT DRY RUN shows what would move."),
        AdminCommand::MoveKey { key: KeyLiteral::Number(key) | KeyLiteral::Text(key), .. } => {
            return not_built("MOVE KEY", &format!("ASSIGN KEY ('{key}') works while the key has no rows."));
        }
        AdminCommand::SetConfig { .. } => ("SET of a configuration key", "Change the configuration file, then RELOAD."),
        AdminCommand::AddReplica { .. } | AdminCommand::DropReplica(_) | AdminCommand::Failover { .. } => {
            ("replication", "Replicas come with a later version.")
        }
        AdminCommand::CreateCache { .. } | AdminCommand::DropCache(_) | AdminCommand::InvalidateCache(_) => {
            ("the result cache", "The result cache comes with a later version.")
        }
        _ => ("this command", "SHOW HELP lists every command; those that move rows come with a later version."),
    };
    not_built(what, hint)
}

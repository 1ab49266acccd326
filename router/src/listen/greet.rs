//! Greet: one client from its first byte to its desk. In: a socket. Out: a session or the admin desk; a cancel
//! request, passed on. Never: a statement.

use super::{Door, Seat, cancel};
use crate::{
    admin::desk,
    auth::{self, Refusal},
    cluster::{Cluster, Database, User},
    error::{Report, catalogue},
    execute::frontend::Frontend,
    keeper, metrics,
    registry::Arrival,
    session::Session,
};
use bytes::BytesMut;
use pgring_config::settings::{Settings, TlsMode};
use pgring_protocol::{
    frontend::{self, GreetOptions, Greeting, Startup},
    message::build,
    stream::{Keepalive, Peer, StdStream, Stream},
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, time::timeout};

/// How long a client that is refused may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// A client at its desk, until it goes.
type Desk = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves one client on the worker thread that it stays on.
pub(super) async fn serve(door: Arc<Door>, worker: usize, stream: StdStream) {
    // What only the way in needs is given back before the client sits down: most of its time it is idle there.
    if let Some(desk) = Box::pin(welcome(door, worker, stream)).await {
        desk.await;
    }
}

/// From the first byte to a desk; None: a cancel request, or a client that was not let in.
async fn welcome(door: Arc<Door>, worker: usize, stream: StdStream) -> Option<Desk> {
    let settings = door.cluster.settings.load_full();
    let limit = settings.timeouts.startup.limit().unwrap_or(Duration::MAX);
    // A cancel request's socket stays open until the servers have taken the request: who sent it then knows.
    let (Ok(twin), Ok(stream)) = (twin(&stream), Stream::from_std(stream)) else { return None };
    if let Err(error) = stream.tune(Keepalive::default()) {
        tracing::debug!(%error, "a client's socket could not be tuned");
    }
    let options = options(&door, &settings);
    match timeout(limit, frontend::greet(stream, &options)).await {
        Ok(Ok(Greeting::Cancel { pid, secret })) => {
            cancel::cancel(&door.cluster, pid, &secret).await;
            drop(twin);
        }
        Ok(Ok(Greeting::Startup(startup))) => {
            drop(twin);
            return start(&door, worker, startup, &settings, limit).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a client did not come in"),
        Err(_) => tracing::debug!("a client took too long to say what it wants"),
    }
    None
}

fn twin(stream: &StdStream) -> io::Result<StdStream> {
    match stream {
        StdStream::Tcp(stream) => stream.try_clone().map(StdStream::Tcp),
        StdStream::Unix(stream) => stream.try_clone().map(StdStream::Unix),
    }
}

fn options(door: &Door, settings: &Settings) -> GreetOptions {
    GreetOptions {
        tls: door.cluster.client_tls.load_full(),
        tls_required: matches!(settings.tls.mode, TlsMode::Require | TlsMode::VerifyClient),
        ..GreetOptions::default()
    }
}

/// A client that asked for a session: it is let in, or told why not.
async fn start(
    door: &Arc<Door>,
    worker: usize,
    mut startup: Startup,
    settings: &Settings,
    limit: Duration,
) -> Option<Desk> {
    let admitted = match timeout(limit, Box::pin(admit(door, &mut startup, settings))).await {
        Ok(admitted) => admitted,
        Err(_) => Err(Report::new(catalogue::STARTUP_TIMEOUT).fatal().into()),
    };
    match admitted {
        Ok((seat, user)) => return seat_at_desk(door, worker, startup, seat, Arc::new(user)).await,
        Err(Refusal::Gone(error)) => tracing::debug!(%error, "a client left before it was in"),
        Err(Refusal::Told(report)) => turn_away(startup, BytesMut::new(), &report).await,
        Err(Refusal::Proved(report)) => {
            let mut out = BytesMut::new();
            build::authentication_ok(&mut out);
            turn_away(startup, out, &report).await;
        }
    }
    None
}

/// Notes who is not let in, and tells it.
async fn turn_away(startup: Startup, out: BytesMut, report: &Report) {
    tracing::info!(
        user = startup.user(),
        database = startup.database(),
        from = address(&startup.stream),
        code = report.code(),
        "refused: {}",
        report.message
    );
    refuse(startup.stream, out, report).await;
}

/// Whether a client may enter: room, state of the router, and who it is.
async fn admit(door: &Door, startup: &mut Startup, settings: &Settings) -> Result<(Seat, User), Refusal> {
    if door.cluster.draining.load(Ordering::Acquire) {
        return Err(shutting_down().into());
    }
    match replication(startup.get("replication")) {
        Some(false) => {}
        Some(true) => return Err(Report::new(catalogue::REPLICATION).into()),
        None => {
            let value = startup.get("replication").unwrap_or_default();
            let message = format!("invalid value for parameter \"replication\": \"{value}\"");
            return Err(Report::with(catalogue::PROTOCOL, message).sqlstate("22023").into());
        }
    }
    let full = || Refusal::from(Report::new(catalogue::TOO_MANY_CLIENTS));
    let mut seat = door.seats.take(settings.general.max_clients as usize).ok_or_else(full)?;
    let user = auth::log_in(&door.cluster, &door.verifiers, startup).await?;
    let most = settings.user(&user.name).and_then(|listed| listed.max_clients).map(|most| most as usize);
    if !seat.assign(&user.name, most) {
        let message = format!("too many connections for role \"{}\"", user.name);
        return Err(Refusal::proved(Report::with(catalogue::TOO_MANY_CLIENTS, message)));
    }
    Ok((seat, user))
}

fn shutting_down() -> Report {
    Report::with(catalogue::SHUTTING_DOWN, "the database system is shutting down").sqlstate("57P03")
}

/// Whether the parameter `replication` asks for replication, as PostgreSQL reads it; None: it is neither.
fn replication(value: Option<&str>) -> Option<bool> {
    let Some(value) = value.map(str::to_ascii_lowercase) else { return Some(false) };
    let begins = |whole: &str| !value.is_empty() && whole.starts_with(value.as_str());
    match value.as_str() {
        "database" | "1" | "on" => Some(true),
        "0" | "of" | "off" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

/// A client who has logged in gets its desk.
async fn seat_at_desk(door: &Arc<Door>, worker: usize, startup: Startup, seat: Seat, user: Arc<User>) -> Option<Desk> {
    let cluster = &door.cluster;
    let name = startup.database().to_owned();
    let mut out = BytesMut::new();
    build::authentication_ok(&mut out);
    let database = match find(cluster, &name) {
        Ok(database) => database,
        Err(report) => {
            turn_away(startup, out, &report.fatal()).await;
            return None;
        }
    };
    let key = secret(startup.minor);
    let me = cluster.clients.enter(Arrival {
        secret: key.clone(),
        user: user.name.clone(),
        database: name.into(),
        address: address(&startup.stream),
        tls: startup.tls.is_some(),
    });
    metrics::CLIENTS.increment(1.0);
    // Draining looks at who is there: who came in since is sent away as well.
    if cluster.draining.load(Ordering::Acquire) {
        me.kill();
    }
    let Startup { stream, buffer, parameters, .. } = startup;
    let mut client = Frontend::new(stream, buffer);
    client.out = out;
    client.who = Some(me.clone());
    let cluster = cluster.clone();
    Some(match database {
        Some(database) => {
            let session = Box::new(Session::new(cluster, database, user, worker, me, client));
            Box::pin(async move {
                session.run(parameters, key).await;
                drop(seat);
            })
        }
        None => Box::pin(async move {
            desk::serve(cluster, user, me, client, &parameters, &key).await;
            drop(seat);
        }),
    })
}

/// The database of this name; None: the admin database.
fn find(cluster: &Cluster, name: &str) -> Result<Option<Arc<Database>>, Report> {
    if name == cluster.settings.load().general.admin_database.as_str() {
        return Ok(None);
    }
    match keeper::find(cluster, name) {
        Ok(Some(database)) => Ok(Some(database)),
        Ok(None) => Err(Report::with(catalogue::UNKNOWN_DATABASE, format!("database \"{name}\" does not exist"))),
        Err(error) => Err(Report::with(catalogue::INTERNAL, error.to_string())),
    }
}

/// The secret of a cancel key: 4 bytes in protocol 3.0, 32 from 3.2 on.
fn secret(minor: u16) -> Vec<u8> {
    let secret: [u8; 32] = rand::random();
    let len = if minor >= 2 { 32 } else { 4 };
    secret.into_iter().take(len).collect()
}

fn address(stream: &Stream) -> String {
    match stream.peer() {
        Peer::Tcp(address) => address.to_string(),
        Peer::Unix => "unix".to_owned(),
        Peer::Memory => "internal".to_owned(),
        Peer::Gone => String::new(),
    }
}

/// Tells a client why it is not let in, and closes. `out` goes before it.
async fn refuse(mut stream: Stream, mut out: BytesMut, report: &Report) {
    metrics::error(report.code());
    report.write(&mut out);
    let farewell = async {
        stream.write_all(&out).await?;
        stream.shutdown().await
    };
    // It is closed in any case; that the client does not take its error changes nothing.
    let _ = timeout(FAREWELL, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replication_is_told_as_postgresql_does() {
        for (value, expected) in [
            (None, Some(false)),
            (Some("off"), Some(false)),
            (Some("0"), Some(false)),
            (Some("FALSE"), Some(false)),
            (Some("no"), Some(false)),
            (Some("true"), Some(true)),
            (Some("1"), Some(true)),
            (Some("database"), Some(true)),
            (Some("o"), None),
            (Some(""), None),
            (Some("maybe"), None),
        ] {
            assert_eq!(replication(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_cancel_keys_secret_has_the_protocols_length() {
        assert_eq!((secret(0).len(), secret(2).len()), (4, 32));
        assert_ne!(secret(2), secret(2));
    }
}

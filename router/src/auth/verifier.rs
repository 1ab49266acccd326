//! Verifier: what is known of a user's password. In: a user's name, the settings, `auth.query`. Out: a stored secret,
//! and what else a server knows of the role. Never: lets anyone in; shows a secret; tells an unknown user from one
//! without a password; remembers an answer of a server: a password that was changed there is changed here.

use super::role::{self, Role};
use crate::{
    cluster::{Asker, Cluster, ServerTls},
    control::{self, ControlError},
};
use pgring_config::{
    settings::{self, ConnectionParts, Settings},
    topology::Connection,
};
use pgring_protocol::credentials::StoredSecret;
use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_postgres::{
    Client, Row,
    types::{FromSql, ToSql, Type},
};

/// How long a connection to a listed database's server is kept after the last question.
const KEPT: Duration = Duration::from_secs(60);

/// The same behind `*`: a database that is to be dropped waits for five seconds until nobody is connected to it.
const KEPT_ANYWHERE: Duration = Duration::from_secs(2);

/// Stored secrets of listed users.
#[derive(Debug, Default)]
pub struct Verifiers {
    listed: Mutex<HashMap<String, Listed>>,
}

/// A listed user's secret, made from this text. Made once, so that its salt is the same at every login.
#[derive(Debug)]
struct Listed {
    text: settings::Secret,
    secret: StoredSecret,
}

/// What is known of who says to be a user.
#[derive(Debug)]
pub struct Found {
    /// What proves it.
    pub secret: StoredSecret,
    /// What the server that was asked knows of the role.
    pub role: Role,
    /// A user of whom nothing is known is asked as one with a SCRAM verifier, whatever else is allowed.
    pub strangers_by_scram: bool,
}

impl Verifiers {
    /// What is known of a user: as listed, else as `auth.query` of the database says at this moment, else nothing.
    ///
    /// # Errors
    /// [`ControlError`] if the server that is to be asked does not answer.
    pub async fn find(&self, cluster: &Cluster, user: &str, database: &str) -> Result<Found, ControlError> {
        let settings = cluster.settings.load_full();
        let secret = |secret| Found { secret, role: Role::default(), strangers_by_scram: false };
        let listed = settings.user(user).and_then(|listed| listed.scram.as_ref().or(listed.password.as_ref()));
        if let Some(text) = listed {
            return Ok(secret(self.listed(user, text)));
        }
        let Some(query) = &settings.auth.query else { return Ok(secret(StoredSecret::Unknown)) };
        let mut asked_again = false;
        loop {
            let Some((asker, subject)) = asker(cluster, &settings, query, database).await? else {
                return Ok(secret(StoredSecret::Unknown));
            };
            match ask(&asker, user, subject).await {
                // The server may have been started anew, or the function replaced, since the connection was made.
                Err(error) if !asked_again && !error.is_timeout() => {
                    tracing::debug!(database, %error, "auth.query is asked again over a new connection");
                    asked_again = true;
                    cluster.askers.forget(&asker);
                }
                answer => return answer,
            }
        }
    }

    /// Makes what listed users' first logins need.
    pub fn prepare(&self, settings: &Settings) {
        for user in &settings.users {
            if let Some(text) = user.scram.as_ref().or(user.password.as_ref())
                && let StoredSecret::Plain(password) = self.listed(&user.name, text)
            {
                let _made = password.verifier();
            }
        }
    }

    fn listed(&self, user: &str, text: &settings::Secret) -> StoredSecret {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        match listed.get(user).filter(|known| known.text == *text) {
            Some(known) => known.secret.clone(),
            None => {
                let secret = StoredSecret::from_stored(text.expose());
                listed.insert(user.to_owned(), Listed { text: text.clone(), secret: secret.clone() });
                secret
            }
        }
    }
}

/// The database whose rules for connections are asked for; None: the one that is asked.
type Subject<'a> = Option<&'a str>;

/// A connection to the server that knows a database's users: its first shard; for `*` the server's database of that
/// name, else its `postgres`. For a database that is none the first one listed answers, so that only those who may
/// enter learn that it is none.
async fn asker<'a>(
    cluster: &Cluster,
    settings: &Settings,
    query: &str,
    database: &'a str,
) -> Result<Option<(Arc<Asker>, Subject<'a>)>, ControlError> {
    let is_listed = settings.database(database).is_some();
    let Some(listed) = settings.database(database).or_else(|| settings.databases.first()) else { return Ok(None) };
    let tls = &*cluster.server_tls.load_full();
    if let Some(parts) = listed.connection.as_ref().filter(|_| listed.is_any()) {
        return Ok(Some((any_server(cluster, parts, (query, database), tls).await?, Some(database))));
    }
    let name = listed.name.as_str();
    let first = cluster
        .database(name)
        .and_then(|known| known.snapshot().topology.shards.first().map(|shard| shard.connection.clone()));
    let Some(first) = first else { return Ok(None) };
    let connect = connect(ConnectionParts::parse(&first.0)?, name, &first, query, tls);
    let asker = cluster.askers.get((name, KEPT), (&first, query), connect).await?;
    // A database that is none has no rules of its own.
    Ok(Some((asker, if is_listed { None } else { Some("") })))
}

/// The server behind `*`: its database of that name, or `postgres` where pgring is not let in.
async fn any_server(
    cluster: &Cluster,
    parts: &ConnectionParts,
    (query, database): (&str, &str),
    tls: &ServerTls,
) -> Result<Arc<Asker>, ControlError> {
    let connection = Connection::from(parts);
    let at = async |name: &str| {
        let there = ConnectionParts { dbname: Some(name.to_owned()), ..parts.clone() };
        let connect = connect(there, name, &connection, query, tls);
        cluster.askers.get((name, KEPT_ANYWHERE), (&connection, query), connect).await
    };
    match at(database).await {
        Err(error) if error.is_of_database() => at("postgres").await,
        connected => connected,
    }
}

async fn connect(
    parts: ConnectionParts,
    name: &str,
    connection: &Connection,
    query: &str,
    tls: &ServerTls,
) -> Result<Asker, ControlError> {
    let client = control::connect_parts(&parts, name, tls).await?;
    let (secret, role, hashes) =
        tokio::try_join!(client.prepare(query), client.prepare(role::SQL), client.query_one(HASHES, &[]))?;
    let makes_md5 = hashes.try_get::<_, String>(0)? == "md5";
    Ok(Asker::new((name, connection.clone(), query), client, [secret, role], makes_md5))
}

/// How the server stores new passwords.
const HASHES: &str = "SELECT pg_catalog.current_setting('password_encryption')";

/// Asks for one user, in one trip.
async fn ask(asker: &Asker, user: &str, subject: Subject<'_>) -> Result<Found, ControlError> {
    let client: &Client = &asker.client;
    let of_user: [&(dyn ToSql + Sync); 1] = [&user];
    let of_role: [&(dyn ToSql + Sync); 2] = [&user, &subject];
    let (secret, role) =
        tokio::try_join!(client.query_opt(&asker.secret, &of_user), client.query_opt(&asker.role, &of_role))?;
    let role = role.as_ref().map(Role::read).transpose()?.unwrap_or_default();
    let stored = secret.as_ref().map(stored).transpose()?.flatten().filter(|_| !role.expired);
    let secret = stored.map_or(StoredSecret::Unknown, |stored| read(&stored));
    Ok(Found { secret, role, strangers_by_scram: !asker.makes_md5 })
}

/// The password in an answer of `auth.query`. PostgreSQL ends one at VALID UNTIL; a query that says it in its third
/// column has it end here too.
fn stored(row: &Row) -> Result<Option<String>, ControlError> {
    let until = if row.len() > 2 { row.try_get::<_, Option<ValidUntil>>(2)? } else { None };
    Ok(row.try_get::<_, Option<String>>(1)?.filter(|_| until.is_none_or(|until| !until.is_over())))
}

/// A `timestamptz`, infinities included: microseconds since 2000-01-01 UTC.
#[derive(Clone, Copy, Debug)]
struct ValidUntil(i64);

/// 2000-01-01 UTC, in seconds since 1970-01-01.
const POSTGRES_EPOCH: Duration = Duration::from_secs(946_684_800);

impl ValidUntil {
    fn is_over(self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = now.saturating_sub(POSTGRES_EPOCH).as_micros();
        i64::try_from(now).is_ok_and(|now| self.0 <= now)
    }
}

impl<'a> FromSql<'a> for ValidUntil {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i64::from_be_bytes(bytes.try_into()?)))
    }

    fn accepts(known: &Type) -> bool {
        *known == Type::TIMESTAMPTZ
    }
}

/// Reads what PostgreSQL stores; anything but a verifier or an md5 hash is no password there.
fn read(stored: &str) -> StoredSecret {
    match StoredSecret::from_stored(stored) {
        StoredSecret::Plain(_) => StoredSecret::Unknown,
        secret => secret,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_secret_is_made_once_and_again_when_its_text_changes() {
        let verifiers = Verifiers::default();
        let one = settings::Secret::new("one");
        let salt = |secret: StoredSecret| match secret {
            StoredSecret::Plain(password) => password.verifier().salt.clone(),
            other => panic!("{other:?}"),
        };
        let first = salt(verifiers.listed("app", &one));
        assert_eq!(salt(verifiers.listed("app", &one)), first);
        assert_ne!(salt(verifiers.listed("app", &settings::Secret::new("two"))), first);
    }

    #[test]
    fn a_password_ends_at_its_time() {
        for (micros, over) in [(0, true), (i64::MIN, true), (i64::MAX, false), (4_000_000_000_000_000, false)] {
            let until = ValidUntil::from_sql(&Type::TIMESTAMPTZ, &i64::to_be_bytes(micros)).unwrap();
            assert_eq!(until.is_over(), over, "{micros}");
        }
    }

    #[test]
    fn a_stored_text_that_is_no_verifier_lets_nobody_in() {
        assert_eq!(read("secret"), StoredSecret::Unknown);
        assert!(matches!(read("md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), StoredSecret::Md5(_)));
    }
}

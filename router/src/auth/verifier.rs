//! Verifier: what is known of a user's password. In: a user's name, the settings, `auth.query`. Out: a stored secret.
//! Never: lets anyone in; shows a secret; tells an unknown user from one without a password.

use crate::{
    cluster::{Cluster, ServerTls},
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
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio_postgres::{
    Client,
    types::{FromSql, Type},
};

/// How long an answer of `auth.query` is used again: long enough for a burst of clients.
const FRESH: Duration = Duration::from_secs(5);

/// Most answers that are kept.
const MOST_KEPT: usize = 10_000;

/// Stored secrets of users, as they were last looked up.
#[derive(Debug, Default)]
pub struct Verifiers {
    listed: Mutex<HashMap<String, Listed>>,
    askers: Mutex<HashMap<String, (Connection, Arc<Client>)>>,
    asked: Mutex<HashMap<(String, String), (StoredSecret, Instant)>>,
}

/// A listed user's secret, made from this text. Made once, so that its salt is the same at every login.
#[derive(Debug)]
struct Listed {
    text: settings::Secret,
    secret: StoredSecret,
}

impl Verifiers {
    /// What is stored about a user: as listed, else as `auth.query` of the database says, else nothing.
    ///
    /// # Errors
    /// [`ControlError`] if the server that is to be asked does not answer.
    pub async fn find(&self, cluster: &Cluster, user: &str, database: &str) -> Result<StoredSecret, ControlError> {
        let settings = cluster.settings.load_full();
        if let Some(listed) = settings.user(user) {
            let text = listed.scram.as_ref().or(listed.password.as_ref());
            return Ok(text.map_or(StoredSecret::Unknown, |text| self.listed(user, text)));
        }
        let Some(query) = &settings.auth.query else { return Ok(StoredSecret::Unknown) };
        let key = (user.to_owned(), database.to_owned());
        if let Some((secret, at)) = lock(&self.asked).get(&key)
            && at.elapsed() < FRESH
        {
            return Ok(secret.clone());
        }
        let secret = match self.asker(cluster, &settings, database).await? {
            Some(asker) => look_up(&asker, query, user).await?,
            None => StoredSecret::Unknown,
        };
        let mut asked = lock(&self.asked);
        if asked.len() >= MOST_KEPT {
            asked.clear();
        }
        asked.insert(key, (secret.clone(), Instant::now()));
        Ok(secret)
    }

    /// A connection to the server that knows a database's users: its first shard, kept for the next time; for `*` the
    /// server's database of that name, else its `postgres`. For a database that is none the first one listed answers,
    /// so that only those who may enter learn that it is none.
    async fn asker(
        &self,
        cluster: &Cluster,
        settings: &Settings,
        database: &str,
    ) -> Result<Option<Arc<Client>>, ControlError> {
        let Some(listed) = settings.database(database).or_else(|| settings.databases.first()) else { return Ok(None) };
        let tls = &*cluster.server_tls.load_full();
        if let Some(parts) = listed.connection.as_ref().filter(|_| listed.is_any()) {
            return any_server(parts, database, tls).await.map(|client| Some(Arc::new(client)));
        }
        let name = listed.name.as_str();
        let first = cluster
            .database(name)
            .and_then(|known| known.snapshot().topology.shards.first().map(|shard| shard.connection.clone()));
        let Some(first) = first else { return Ok(None) };
        if let Some((connection, asker)) = lock(&self.askers).get(name)
            && *connection == first
            && !asker.is_closed()
        {
            return Ok(Some(asker.clone()));
        }
        let asker = Arc::new(control::connect(&first.0, name, tls).await?);
        lock(&self.askers).insert(name.to_owned(), (first, asker.clone()));
        Ok(Some(asker))
    }

    /// Forgets what was asked about a user, as after a wrong password, which may be a new one.
    pub fn forget(&self, user: &str, database: &str) {
        lock(&self.asked).remove(&(user.to_owned(), database.to_owned()));
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
        let mut listed = lock(&self.listed);
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects to the server behind `*`.
async fn any_server(parts: &ConnectionParts, database: &str, tls: &ServerTls) -> Result<Client, ControlError> {
    let at = |name: &str| ConnectionParts { dbname: Some(name.to_owned()), ..parts.clone() };
    match control::connect_parts(&at(database), database, tls).await {
        Err(error) if error.is_unknown_database() => control::connect_parts(&at("postgres"), "postgres", tls).await,
        connected => connected,
    }
}

/// Asks for one user.
async fn look_up(client: &Client, query: &str, user: &str) -> Result<StoredSecret, ControlError> {
    let Some(row) = client.query_opt(query, &[&user]).await? else { return Ok(StoredSecret::Unknown) };
    // PostgreSQL ends a password at VALID UNTIL; a query that asks for it as its third column has it end here too.
    let until = if row.len() > 2 { row.try_get::<_, Option<ValidUntil>>(2)? } else { None };
    let stored = row.try_get::<_, Option<String>>(1)?.filter(|_| until.is_none_or(|until| !until.is_over()));
    Ok(stored.map_or(StoredSecret::Unknown, |stored| read(&stored)))
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

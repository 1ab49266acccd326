//! Verifier: what is known of a user's password. In: a user's name, the settings, `auth.query`. Out: a stored secret.
//! Never: lets anyone in; shows a secret; tells an unknown user from one without a password.

use crate::{
    cluster::Cluster,
    control::{self, ControlError},
};
use pgring_config::settings::{self, ConnectionParts, Settings};
use pgring_protocol::credentials::StoredSecret;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long an answer of `auth.query` is used again: long enough for a burst of clients.
const FRESH: Duration = Duration::from_secs(5);

/// Most answers that are kept.
const MOST_KEPT: usize = 10_000;

/// Stored secrets of users, as they were last looked up.
#[derive(Debug, Default)]
pub struct Verifiers {
    listed: Mutex<HashMap<String, Listed>>,
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
    pub async fn find(&self, cluster: &Cluster, user: &str, database: &str) -> StoredSecret {
        let settings = cluster.settings.load_full();
        if let Some(listed) = settings.user(user) {
            return listed
                .scram
                .as_ref()
                .or(listed.password.as_ref())
                .map_or(StoredSecret::Unknown, |text| self.listed(user, text));
        }
        let Some(query) = &settings.auth.query else { return StoredSecret::Unknown };
        let key = (user.to_owned(), database.to_owned());
        if let Some((secret, at)) = lock(&self.asked).get(&key)
            && at.elapsed() < FRESH
        {
            return secret.clone();
        }
        let secret = match ask(cluster, &settings, query, user, database).await {
            Ok(secret) => secret,
            Err(error) => {
                tracing::warn!(user, database, %error, "auth.query failed");
                return StoredSecret::Unknown;
            }
        };
        let mut asked = lock(&self.asked);
        if asked.len() >= MOST_KEPT {
            asked.clear();
        }
        asked.insert(key, (secret.clone(), Instant::now()));
        secret
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

/// Asks the database's first shard; for `*` the server's database of that name, else its `postgres`. A database that
/// is none is answered for by the first one listed, so that only those who may enter learn that it is none.
async fn ask(
    cluster: &Cluster,
    settings: &Settings,
    query: &str,
    user: &str,
    database: &str,
) -> Result<StoredSecret, ControlError> {
    let listed = settings.database(database).or_else(|| settings.databases.first());
    let Some(listed) = listed else { return Ok(StoredSecret::Unknown) };
    let tls = &cluster.server_tls;
    let client = match &listed.connection {
        Some(parts) if listed.is_any() => {
            let at = |name: &str| ConnectionParts { dbname: Some(name.to_owned()), ..parts.clone() };
            match control::connect_parts(&at(database), database, tls).await {
                Ok(client) => client,
                Err(error) if error.is_unknown_database() => {
                    control::connect_parts(&at("postgres"), "postgres", tls).await?
                }
                Err(error) => return Err(error),
            }
        }
        _ => {
            let known = cluster.database(listed.name.as_str());
            let first = known
                .as_ref()
                .and_then(|known| known.snapshot().topology.shards.first().map(|shard| shard.connection.clone()));
            let Some(first) = first else { return Ok(StoredSecret::Unknown) };
            control::connect(&first.0, listed.name.as_str(), tls).await?
        }
    };
    let row = client.query_opt(query, &[&user]).await?;
    let stored = row.map(|row| row.try_get::<_, Option<String>>(1)).transpose()?.flatten();
    Ok(stored.map_or(StoredSecret::Unknown, |stored| read(&stored)))
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
    fn a_stored_text_that_is_no_verifier_lets_nobody_in() {
        assert_eq!(read("secret"), StoredSecret::Unknown);
        assert!(matches!(read("md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), StoredSecret::Md5(_)));
    }
}

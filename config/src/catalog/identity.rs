//! Identity: what a server says it is, so that a wrong server behind an address is never written to. In: a shard's
//! connection string, or the answer to [`CHECK_SQL`] on any backend. Out: written once; facts, or a refusal.
//! Never: changes an identity that stands there.

use super::{Change, dial, migrate::SCHEMA_LOCK, two_phase};
use crate::{
    error::IdentityError,
    ids::{Epoch, Token},
    token,
};
use tokio_postgres::{Client, NoTls, Transaction};

/// One statement for the simple protocol, which any role may run, in any session: its row goes to [`verify`].
/// SQLSTATE 42P01 or 3F000 (no such table or schema) means that the server has no identity.
pub const CHECK_SQL: &str = "SELECT i.cluster, i.shard, i.min_epoch, \
    pg_catalog.current_setting('server_version_num'), \
    pg_catalog.current_setting('max_prepared_transactions'), \
    pg_catalog.current_setting('search_path'), \
    pg_catalog.pg_is_in_recovery() \
    FROM (VALUES (1)) AS one LEFT JOIN pgring.identity AS i ON true";

const SCHEMA: &str = "
CREATE SCHEMA IF NOT EXISTS pgring;
GRANT USAGE ON SCHEMA pgring TO PUBLIC;
CREATE TABLE IF NOT EXISTS pgring.identity (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  cluster text NOT NULL,
  shard text NOT NULL,
  min_epoch bigint NOT NULL DEFAULT 0,
  epoch bigint NOT NULL DEFAULT 0
);
REVOKE ALL ON pgring.identity FROM PUBLIC;
GRANT SELECT ON pgring.identity TO PUBLIC;
";

/// What a server must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// The shard.
    pub shard: &'a str,
    /// The placement that the router serves.
    pub epoch: Epoch,
}

/// What a server told along with its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// `server_version_num`, such as 150018.
    pub version_num: u32,
    /// `max_prepared_transactions`; 0: no two-phase commit there.
    pub max_prepared_transactions: u32,
    /// The session's search_path.
    pub search_path: String,
    /// A standby.
    pub in_recovery: bool,
    /// Least epoch that the server accepts.
    pub min_epoch: Epoch,
}

/// Checks the row that [`CHECK_SQL`] answered, as text.
///
/// # Errors
/// [`IdentityError::Missing`], [`IdentityError::Other`], [`IdentityError::Stale`], [`IdentityError::Unreadable`].
pub fn verify(row: &[Option<&str>], expect: &Expected<'_>) -> Result<ServerFacts, IdentityError> {
    let [cluster, shard, min_epoch, version_num, max_prepared, search_path, in_recovery] = row else {
        return Err(IdentityError::Unreadable);
    };
    let (Some(cluster), Some(shard)) = (cluster, shard) else { return Err(IdentityError::Missing) };
    if (*cluster, *shard) != (expect.cluster, expect.shard) {
        return Err(IdentityError::Other { cluster: (*cluster).to_owned(), shard: (*shard).to_owned() });
    }
    let least = Epoch(number(min_epoch)?);
    if least > expect.epoch {
        return Err(IdentityError::Stale { least, known: expect.epoch });
    }
    Ok(ServerFacts {
        version_num: number(version_num)?,
        max_prepared_transactions: number(max_prepared)?,
        search_path: search_path.ok_or(IdentityError::Unreadable)?.to_owned(),
        in_recovery: match in_recovery {
            Some("t") => true,
            Some("f") => false,
            _ => return Err(IdentityError::Unreadable),
        },
        min_epoch: least,
    })
}

fn number<T: std::str::FromStr>(text: &Option<&str>) -> Result<T, IdentityError> {
    text.and_then(|text| text.parse().ok()).ok_or(IdentityError::Unreadable)
}

/// Makes the server behind `connection` a shard of a cluster: writes its identity into schema `pgring`, unless it
/// stands there, after making sure that it hashes as pgring does. Several routers may do so at once.
///
/// # Errors
/// [`IdentityError::Other`] when it is another shard already, [`IdentityError::OtherHash`],
/// [`IdentityError::Encoding`], [`IdentityError::Unreachable`], [`IdentityError::Sql`].
pub async fn install(connection: &str, cluster: &str, shard: &str) -> Result<Change, IdentityError> {
    let config = dial::read(connection).map_err(IdentityError::Connection)?;
    let dialed = dial::Dialer::new(NoTls).connect(&config).await;
    let (mut client, driver) = dialed.map_err(IdentityError::Unreachable)?;
    tokio::select! {
        written = install_on(&mut client, cluster, shard) => written,
        // Ends first only when the connection is lost.
        ended = driver => match ended {
            Ok(()) => Err(IdentityError::Unreachable("the server closed the connection".into())),
            Err(error) => Err(error.into()),
        },
    }
}

/// As [`install`], over a connection that is there; its `search_path` must be `pg_catalog`.
///
/// # Errors
/// As [`install`]'s.
pub async fn install_on(client: &mut Client, cluster: &str, shard: &str) -> Result<Change, IdentityError> {
    let transaction = client.transaction().await?;
    let change = write_identity(&transaction, cluster, shard).await?;
    transaction.commit().await?;
    Ok(change)
}

async fn write_identity(transaction: &Transaction<'_>, cluster: &str, shard: &str) -> Result<Change, IdentityError> {
    check_hashes(transaction).await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
    if let Some((own_cluster, own_shard)) = recorded(transaction).await? {
        let same = own_cluster == cluster && own_shard == shard;
        let other = IdentityError::Other { cluster: own_cluster, shard: own_shard };
        if !same {
            return Err(other);
        }
        two_phase::install(transaction).await?;
        return Ok(Change::Unchanged);
    }
    transaction.batch_execute(SCHEMA).await?;
    const INSERT: &str = "INSERT INTO pgring.identity (cluster, shard) VALUES ($1, $2)";
    transaction.execute(INSERT, &[&cluster, &shard]).await?;
    two_phase::install(transaction).await?;
    Ok(Change::Changed)
}

/// The cluster and shard that stand there.
async fn recorded(transaction: &Transaction<'_>) -> Result<Option<(String, String)>, IdentityError> {
    const EXISTS: &str = "SELECT to_regclass('pgring.identity') IS NOT NULL";
    if !transaction.query_one(EXISTS, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = transaction.query_opt("SELECT cluster, shard FROM pgring.identity", &[]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// Makes sure that the server computes the tokens that pgring computes.
async fn check_hashes(transaction: &Transaction<'_>) -> Result<(), IdentityError> {
    let encoding: String = transaction.query_one("SELECT current_setting('server_encoding')", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(IdentityError::Encoding(encoding));
    }
    const ASK: &str = "SELECT hashint8extended($1, 0), hashtextextended($2, 0), uuid_hash_extended($3::text::uuid, 0)";
    let vectors = [(0_i64, ""), (-1, "s0:0"), (i64::MAX, "twelve bytes"), (i64::MIN, "naïve Straße 東京 🐘, and more")];
    for (integer, text) in vectors {
        let uuid = uuid::Uuid::from_u64_pair(integer as u64, text.len() as u64);
        let row = transaction.query_one(ASK, &[&integer, &text, &uuid.to_string()]).await?;
        let checks = [
            ("hashint8extended", token::of_integer(integer)),
            ("hashtextextended", token::of_text(text)),
            ("uuid_hash_extended", token::of_uuid(uuid.as_bytes())),
        ];
        for (at, (function, ours)) in checks.into_iter().enumerate() {
            if Token(row.get(at)) != ours {
                return Err(IdentityError::OtherHash { function });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected<'static> = Expected { cluster: "pgring", shard: "s0", epoch: Epoch(7) };

    fn row<'a>(cluster: Option<&'a str>, shard: Option<&'a str>, min_epoch: &'a str) -> [Option<&'a str>; 7] {
        [cluster, shard, Some(min_epoch), Some("150018"), Some("64"), Some("\"$user\", public"), Some("f")]
    }

    #[test]
    fn the_right_server_tells_its_facts() {
        let facts = verify(&row(Some("pgring"), Some("s0"), "7"), &EXPECTED).unwrap();
        let search_path = "\"$user\", public".to_owned();
        let expected = ServerFacts {
            version_num: 150_018,
            max_prepared_transactions: 64,
            search_path,
            in_recovery: false,
            min_epoch: Epoch(7),
        };
        assert_eq!(facts, expected);
    }

    #[test]
    fn any_other_server_is_refused() {
        let refused = |row: &[Option<&str>]| verify(row, &EXPECTED).unwrap_err();
        assert!(matches!(refused(&row(None, None, "0")), IdentityError::Missing));
        assert!(
            matches!(refused(&row(Some("pgring"), Some("s1"), "0")), IdentityError::Other { shard, .. } if shard == "s1")
        );
        assert!(matches!(refused(&row(Some("other"), Some("s0"), "0")), IdentityError::Other { .. }));
        let stale = refused(&row(Some("pgring"), Some("s0"), "8"));
        assert!(matches!(stale, IdentityError::Stale { least: Epoch(8), known: Epoch(7) }));
        assert!(matches!(refused(&row(Some("pgring"), Some("s0"), "x")), IdentityError::Unreadable));
        assert!(matches!(refused(&[]), IdentityError::Unreadable));
    }
}

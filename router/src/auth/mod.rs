//! Auth: who may enter. In: a client that has asked for a session. Out: a [`User`] with what its backends log in
//! with, or a refusal. Never: lets an unknown user be told from one with a wrong password.

mod role;
pub mod rules;
pub mod verifier;

use crate::{
    cluster::{Cluster, User},
    error::{Report, catalogue},
};
use pgring_config::settings::{self, AuthMethod};
use pgring_protocol::{
    credentials::{Credentials, StoredSecret},
    frontend::{AuthError, Method, Startup, authenticate},
    stream::Peer,
};
use rules::Applicant;
use std::sync::atomic::{AtomicU64, Ordering};
use verifier::{Found, Verifiers};

/// Why a client does not enter.
#[derive(Debug)]
pub enum Refusal {
    /// It is gone, or does not speak the protocol; there is no one to tell.
    Gone(AuthError),
    /// It is told this.
    Told(Box<Report>),
    /// It has proved who it is, which it is told, and then this.
    Proved(Box<Report>),
}

impl Refusal {
    /// A refusal of who has proved who it is.
    pub fn proved(report: Report) -> Self {
        Self::Proved(Box::new(report.fatal()))
    }
}

impl From<Report> for Refusal {
    fn from(report: Report) -> Self {
        Self::Told(Box::new(report.fatal()))
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error.sqlstate() {
            None => Self::Gone(error),
            Some(code) => {
                let detail = if let AuthError::Sasl(error) = &error { error.detail() } else { None };
                let is_empty = matches!(error, AuthError::EmptyPassword);
                let entry = if is_empty { catalogue::PASSWORD } else { catalogue::PROTOCOL };
                let report = Report::with(entry, error.to_string()).sqlstate(code);
                report.detail(detail.unwrap_or_default()).into()
            }
        }
    }
}

/// Counts log-ins.
static LOG_INS: AtomicU64 = AtomicU64::new(1);

/// Lets a client prove who it is. AuthenticationOk is still to be sent.
///
/// # Errors
/// [`Refusal`]: 28000 where no rule lets it in, 28P01 for a wrong password or one that is over, 08P01; then what the
/// server's catalogs say against the role: 28000, 55000, 42501.
pub async fn log_in(cluster: &Cluster, verifiers: &Verifiers, startup: &mut Startup) -> Result<User, Refusal> {
    let (name, database) = (startup.user().to_owned(), startup.database().to_owned());
    let settings = cluster.settings.load_full();
    let applicant = Applicant {
        user: &name,
        database: &database,
        address: match startup.stream.peer() {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix | Peer::Memory => None,
            Peer::Gone => return Err(AuthError::Closed.into()),
        },
        has_certificate: startup.tls.as_ref().is_some_and(|tls| tls.has_certificate),
    };
    let methods = rules::methods(&settings.auth, &applicant);
    if matches!(methods[..], [] | [AuthMethod::Reject, ..]) {
        return Err(not_let_in(&applicant, startup.tls.is_some(), !methods.is_empty()).into());
    }
    let Found { secret, role, strangers_by_scram } =
        verifiers.find(cluster, &name, &database).await.map_err(|error| {
            tracing::warn!(database, %error, "auth.query could not be asked");
            Report::with(catalogue::SHARD_UNAVAILABLE, "the server that knows the users is not available")
        })?;
    let method = choose(&methods, &secret, strangers_by_scram);
    let credentials = match method {
        AuthMethod::Trust => stored_credentials(&secret),
        AuthMethod::Cert => {
            by_certificate(startup, &name)?;
            stored_credentials(&secret)
        }
        asked => {
            let (stream, buffer) = (&mut startup.stream, &mut startup.buffer);
            let proved = match authenticate(stream, buffer, &name, wire_method(asked), &secret).await {
                // A length that cannot be is no password either; PostgreSQL says no more of it.
                Err(AuthError::Frame(_)) => None,
                proved => proved?,
            };
            proved.ok_or_else(|| {
                Report::with(catalogue::PASSWORD, format!("password authentication failed for user \"{name}\""))
            })?
        }
    };
    role.admit(&name, &database).map_err(Refusal::proved)?;
    Ok(User { role: role.print, ..user(&name, credentials, &settings) })
}

/// Whether a client has the certificate of this user.
fn by_certificate(startup: &Startup, name: &str) -> Result<(), Report> {
    let shown = startup.tls.as_ref().filter(|tls| tls.has_certificate);
    let Some(shown) = shown else {
        return Err(Report::with(catalogue::REJECTED, "connection requires a valid client certificate"));
    };
    if shown.common_name.as_deref() == Some(name) {
        return Ok(());
    }
    let message = format!("certificate authentication failed for user \"{name}\"");
    Err(Report::with(catalogue::REJECTED, message).detail("its common name is not the user's"))
}

/// PostgreSQL's words, which tools know; where the rules are is said beside them.
fn not_let_in(applicant: &Applicant<'_>, is_encrypted: bool, is_rejected: bool) -> Report {
    let Applicant { user, database, address, .. } = applicant;
    let begin = if is_rejected { "pg_hba.conf rejects connection for" } else { "no pg_hba.conf entry for" };
    let from = address.map_or_else(|| "[local]".to_owned(), |address| address.to_canonical().to_string());
    let encryption = if is_encrypted { "SSL encryption" } else { "no encryption" };
    let message = format!("{begin} host \"{from}\", user \"{user}\", database \"{database}\", {encryption}");
    let detail =
        if is_rejected { "a rule of pgring's [auth] rejects it" } else { "no rule of pgring's [auth] lets it in" };
    Report::with(catalogue::REJECTED, message).detail(detail)
}

/// The method to ask by: md5 only where nothing but an md5 hash is known, if there is a choice. Of who is unknown the
/// password is asked as of most: where the server makes SCRAM verifiers, by SCRAM.
fn choose(methods: &[AuthMethod], secret: &StoredSecret, strangers_by_scram: bool) -> AuthMethod {
    let md5 = matches!(secret, StoredSecret::Md5(_)) && methods.contains(&AuthMethod::Md5);
    match methods {
        [AuthMethod::Md5, ..] if strangers_by_scram && *secret == StoredSecret::Unknown => AuthMethod::ScramSha256,
        [AuthMethod::ScramSha256, ..] if md5 => AuthMethod::Md5,
        [first, ..] => *first,
        [] => AuthMethod::Reject,
    }
}

fn wire_method(method: AuthMethod) -> Method {
    match method {
        AuthMethod::Md5 => Method::Md5,
        AuthMethod::Password => Method::Password,
        // Trust and certificates do not come here; whatever else does is asked for proof.
        _ => Method::Scram,
    }
}

/// What servers are logged in to with when the client has shown no password.
fn stored_credentials(secret: &StoredSecret) -> Credentials {
    match secret {
        StoredSecret::Plain(password) => Credentials::Password(password.expose().to_owned()),
        StoredSecret::Md5(hash) => Credentials::Md5(hash.clone()),
        StoredSecret::Scram(_) | StoredSecret::Unknown => Credentials::None,
    }
}

fn user(name: &str, proved: Credentials, settings: &settings::Settings) -> User {
    let listed = settings.user(name);
    let server_user = listed.and_then(|user| user.server_user.as_deref()).unwrap_or(name);
    let server_password = listed.and_then(|user| user.server_password.as_ref());
    User {
        name: name.into(),
        server_user: server_user.into(),
        credentials: server_password.map_or(proved, |own| Credentials::Password(own.expose().to_owned())),
        log_in: LOG_INS.fetch_add(1, Ordering::Relaxed),
        role: None,
        admin: settings.general.admin_users.iter().any(|admin| admin == name),
        stats: settings.general.stats_users.iter().any(|stats| stats == name),
        pool_size: listed.and_then(|user| user.pool_size).map(|size| size as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthMethod::{Md5, ScramSha256};

    #[test]
    fn md5_is_asked_for_only_where_nothing_else_is_known() {
        let md5 = StoredSecret::Md5("md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".into());
        for (methods, secret, strangers_by_scram, expected) in [
            (&[ScramSha256, Md5][..], &md5, true, Md5),
            (&[ScramSha256, Md5], &StoredSecret::Unknown, false, ScramSha256),
            (&[ScramSha256], &md5, false, ScramSha256),
            (&[Md5], &md5, true, Md5),
            (&[Md5], &StoredSecret::Unknown, false, Md5),
            (&[Md5], &StoredSecret::Unknown, true, ScramSha256),
        ] {
            assert_eq!(choose(methods, secret, strangers_by_scram), expected);
        }
    }

    #[test]
    fn a_users_backends_log_in_as_the_settings_say() {
        let text = r#"
            [general]
            admin_users = ["ann"]
            [[users]]
            name = "ann"
            password = "a"
            pool_size = 3
            server_user = "service"
            server_password = "b"
            [[databases]]
            name = "*"
            connection = "host=127.0.0.1"
            "#;
        let settings = settings::Settings::parse(text, "test.toml").unwrap();
        let ann = user("ann", Credentials::Password("a".into()), &settings);
        assert_eq!((&*ann.server_user, ann.credentials), ("service", Credentials::Password("b".into())));
        assert_eq!((ann.admin, ann.stats, ann.pool_size), (true, false, Some(3)));
        let bob = user("bob", Credentials::Password("c".into()), &settings);
        assert_eq!((&*bob.server_user, bob.credentials), ("bob", Credentials::Password("c".into())));
        assert!(!bob.admin);
    }
}

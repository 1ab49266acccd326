//! Role: what a server knows of a role besides its password, and whom it lets in with it. In: a row of its catalogs.
//! Out: nothing, or PostgreSQL's own words. Never: asks.

use crate::error::{Report, catalogue};
use tokio_postgres::Row;

/// Asks for the role `$1` and the database `$2`, NULL being the one that is asked. Everybody may read these catalogs.
/// The last column is of what a session takes on when it begins, and never again: which role it is, whether it is a
/// superuser, what is set for the role and the database.
pub(super) const SQL: &str = "SELECT r.rolcanlogin, coalesce(r.rolvaliduntil < pg_catalog.now(), false), \
    coalesce(d.datallowconn, true), coalesce(pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT'), true), \
    pg_catalog.hashtextextended(ROW(r.oid, r.rolsuper, (SELECT pg_catalog.string_agg(s.setconfig::pg_catalog.text, ';' \
    ORDER BY s.setdatabase, s.setrole) FROM pg_catalog.pg_db_role_setting s WHERE s.setrole IN (0, r.oid) \
    AND s.setdatabase IN (0, d.oid)))::pg_catalog.text, 0) \
    FROM pg_catalog.pg_roles r LEFT JOIN pg_catalog.pg_database d \
    ON d.datname = coalesce($2::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text) \
    WHERE r.rolname = $1::pg_catalog.text";

/// What holds for a role. One that the server does not know has no rules: `auth.query` may look elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its password is past VALID UNTIL.
    pub expired: bool,
    /// LOGIN.
    pub can_log_in: bool,
    /// ALLOW_CONNECTIONS of the database.
    pub is_open: bool,
    /// It has the right to connect to the database.
    pub may_connect: bool,
    /// Differs when backends of earlier log-ins are no longer like new ones; None: not known.
    pub print: Option<i64>,
}

impl Default for Role {
    fn default() -> Self {
        Self { expired: false, can_log_in: true, is_open: true, may_connect: true, print: None }
    }
}

impl Role {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is of another shape.
    pub(super) fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            can_log_in: row.try_get(0)?,
            expired: row.try_get(1)?,
            is_open: row.try_get(2)?,
            may_connect: row.try_get(3)?,
            print: Some(row.try_get(4)?),
        })
    }

    /// Whether it may connect, once it has proved who it is: pooled backends of earlier log-ins do not know.
    ///
    /// # Errors
    /// As PostgreSQL: 28000, 55000, 42501.
    pub(super) fn admit(&self, user: &str, database: &str) -> Result<(), Report> {
        if !self.can_log_in {
            let message = format!("role \"{user}\" is not permitted to log in");
            return Err(Report::with(catalogue::REJECTED, message));
        }
        if !self.is_open {
            let message = format!("database \"{database}\" is not currently accepting connections");
            return Err(Report::with(catalogue::REJECTED, message).sqlstate("55000"));
        }
        if !self.may_connect {
            let message = format!("permission denied for database \"{database}\"");
            let report = Report::with(catalogue::REJECTED, message).sqlstate("42501");
            return Err(report.detail("User does not have CONNECT privilege."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn the_first_reason_is_told_as_postgresql_orders_them() {
        let told = |role: Role| role.admit("ann", "shop").map_err(|report| (report.code().to_owned(), report.message));
        let mut role = Role::default();
        assert_eq!(told(role), Ok(()));
        role.may_connect = false;
        assert_eq!(told(role), Err(("42501".into(), "permission denied for database \"shop\"".into())));
        role.is_open = false;
        assert_eq!(
            told(role),
            Err(("55000".into(), "database \"shop\" is not currently accepting connections".into()))
        );
        role.can_log_in = false;
        assert_eq!(told(role), Err(("28000".into(), "role \"ann\" is not permitted to log in".into())));
    }
}

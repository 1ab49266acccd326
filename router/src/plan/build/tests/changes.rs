//! Which changes may make plans stale.

use super::plan_of;
use crate::plan::PlanKind;

fn changes_schema(text: &str) -> bool {
    match plan_of(text).kind {
        PlanKind::Ddl(ddl) => ddl.changes_schema,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn rights_roles_comments_and_statistics_make_no_plan_stale() {
    for text in [
        "GRANT SELECT ON logs TO bob",
        "REVOKE ALL ON SCHEMA public FROM bob",
        "COMMENT ON TABLE logs IS 'x'",
        "ANALYZE logs",
        "ANALYZE",
        "VACUUM logs",
        "REINDEX TABLE logs",
        "CLUSTER logs",
        "REFRESH MATERIALIZED VIEW kept",
        "SECURITY LABEL ON TABLE logs IS 'x'",
        "REASSIGN OWNED BY bob TO ada",
        "CREATE ROLE bob",
        "DROP ROLE IF EXISTS bob",
        "ALTER USER bob PASSWORD 'x'",
        "CREATE USER MAPPING FOR bob SERVER s",
        "CREATE DATABASE other",
        "DROP DATABASE other",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob",
        "ALTER TABLE logs OWNER TO bob",
        "ALTER FUNCTION score(int, text) OWNER TO bob;",
        "CREATE STATISTICS s ON id, msg FROM logs",
    ] {
        assert!(!changes_schema(text), "{text}");
    }
}

#[test]
fn everything_else_may() {
    for text in [
        "CREATE TABLE owner (a int)",
        "DROP TABLE logs",
        "ALTER TABLE logs RENAME owner TO bob",
        "ALTER TABLE logs RENAME COLUMN owner TO bob",
        "ALTER TABLE logs ADD a int, OWNER TO bob",
        "ALTER TABLE logs RENAME TO owner",
        "CREATE SCHEMA AUTHORIZATION bob",
        "DROP OWNED BY bob",
        "CREATE EXTENSION pg_trgm",
        "CREATE TYPE mood AS ENUM ('so')",
        "ALTER DOMAIN short SET NOT NULL",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "IMPORT FOREIGN SCHEMA x FROM SERVER s INTO public",
        "CREATE TRIGGER t BEFORE INSERT ON logs FOR EACH ROW EXECUTE FUNCTION f()",
    ] {
        assert!(changes_schema(text), "{text}");
    }
}

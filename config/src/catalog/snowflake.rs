//! Snowflake: numbers that are unique over all shards without a counter, in the order of their time: 41 bits of milliseconds
//! since 2024, 10 bits of the shard's number, 12 bits of a counter. In: a shard's connection and number. Out: the function
//! `pgring.snowflake_id()` there, made once. Never: another number for a shard that has one.

use super::migrate::SCHEMA_LOCK;
use tokio_postgres::Client;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS pgring.snowflake (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
  node integer NOT NULL CHECK (node BETWEEN 0 AND 1023)
);
REVOKE ALL ON pgring.snowflake FROM PUBLIC;
CREATE SEQUENCE IF NOT EXISTS pgring.snowflakes MINVALUE 0 MAXVALUE 4095 START 0 CYCLE;
REVOKE ALL ON SEQUENCE pgring.snowflakes FROM PUBLIC;
";

/// A counter's value and the millisecond in which it was drawn belong together: the clock is read before and after. No
/// server draws all of 4,096 values within one.
const FUNCTION: &str = "
CREATE OR REPLACE FUNCTION pgring.snowflake_id() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog AS $function$
DECLARE
  moment bigint;
  counted bigint;
BEGIN
  LOOP
    moment := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    counted := nextval('pgring.snowflakes');
    EXIT WHEN floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint = moment;
  END LOOP;
  RETURN ((moment - 1704067200000) << 22) | (NODE::bigint << 12) | counted;
END
$function$;
";

/// Makes `pgring.snowflake_id()` on a shard, unless it is there. Several routers may do so at once; the connection's
/// `search_path` must be `pg_catalog`.
///
/// # Errors
/// The server's.
pub async fn install(client: &mut Client, number: u16) -> Result<(), tokio_postgres::Error> {
    const IS_THERE: &str = "SELECT to_regprocedure('pgring.snowflake_id()') IS NOT NULL";
    if client.query_one(IS_THERE, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
    transaction.batch_execute(TABLE).await?;
    const NUMBER: &str = "INSERT INTO pgring.snowflake (node) VALUES ($1) ON CONFLICT DO NOTHING";
    transaction.execute(NUMBER, &[&i32::from(number & 1023)]).await?;
    let node: i32 = transaction.query_one("SELECT node FROM pgring.snowflake", &[]).await?.get(0);
    transaction.batch_execute(&FUNCTION.replace("NODE", &node.to_string())).await?;
    transaction.commit().await
}

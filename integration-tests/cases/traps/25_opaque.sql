-- Trap 25: code that reads sharded tables on one shard.

-- case: code
CREATE FUNCTION everyone() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM acc';
CREATE VIEW seen AS SELECT * FROM acc;
-- expect: refused
SELECT everyone();
SELECT k, everyone() FROM acc;
SELECT k, everyone() FROM acc WHERE k = 1;
DO $$ BEGIN DELETE FROM acc; END $$;
EXPLAIN ANALYZE DELETE FROM acc;
-- expect: same
SELECT count(*) FROM seen;
SELECT * FROM seen WHERE k = 1;

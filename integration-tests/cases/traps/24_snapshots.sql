-- Trap 24: a snapshot per shard.

-- case: several shards under one snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT s FROM acc WHERE k = 1;
SELECT count(*) FROM acc;
SELECT count(DISTINCT s) FROM acc;
ROLLBACK;

-- case: one shard only under SERIALIZABLE
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT s FROM acc WHERE k = 1;
-- expect: refused
SELECT count(*) FROM acc;
-- expect: same
ROLLBACK;

-- case: savepoints
BEGIN;
SAVEPOINT one;
UPDATE acc SET s = 70 WHERE k = 1;
ROLLBACK TO one;
SELECT s FROM acc WHERE k = 1;
COMMIT;
SELECT s FROM acc WHERE k = 1;

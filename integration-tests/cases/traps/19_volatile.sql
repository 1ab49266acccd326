-- Trap 19: now(), random() and sequences per shard.

-- case: one instant
SELECT count(*) FROM acc WHERE now() = now();
SELECT k FROM acc WHERE k = 1 AND now() > '2020-01-01';

-- case: chance
UPDATE acc SET s = s WHERE random() < 2;
-- expect: refused
UPDATE acc SET n = (SELECT random());

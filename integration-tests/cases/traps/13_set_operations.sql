-- Trap 13: set operations per shard.

-- case: one shard
SELECT v FROM mov WHERE k = 5 UNION SELECT s FROM acc WHERE k = 5;

-- case: several shards
SELECT s FROM acc UNION SELECT v FROM mov;
SELECT s FROM acc INTERSECT ALL SELECT v FROM mov;
SELECT s FROM acc EXCEPT SELECT v FROM mov;
SELECT s FROM acc UNION ALL SELECT id FROM kind;

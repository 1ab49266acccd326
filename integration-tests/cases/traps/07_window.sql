-- Trap 7: window functions over parts of their windows.

-- case: one shard
SELECT id, row_number() OVER (ORDER BY id) FROM mov WHERE k = 5;

-- case: several shards
SELECT k, row_number() OVER (ORDER BY k) FROM acc;
SELECT k, count(*) OVER (PARTITION BY s) FROM acc;
SELECT k, count(*) OVER (PARTITION BY k % 2) FROM acc;

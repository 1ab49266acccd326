-- Trap 2: DISTINCT in an aggregate, added up over shards.

-- case: distinct
SELECT k, count(DISTINCT id) FROM mov GROUP BY k;
SELECT count(DISTINCT v) FROM mov WHERE k = 5;
SELECT count(DISTINCT s) FROM acc;
SELECT sum(DISTINCT s) FROM acc;
SELECT array_agg(DISTINCT s) FROM acc;

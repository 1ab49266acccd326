-- Trap 8: groups finished per shard.

-- case: groups
SELECT s, count(*) FROM acc GROUP BY s;
SELECT k, count(*) FROM mov GROUP BY k HAVING count(*) > 1;
SELECT s, sum(k) AS n FROM acc GROUP BY s ORDER BY n DESC, s LIMIT 2;
SELECT s, kind, count(*) FROM acc GROUP BY ROLLUP (s, kind);
SELECT s, kind, count(*) FROM acc GROUP BY CUBE (s, kind);
SELECT DISTINCT count(*) FROM acc GROUP BY s;

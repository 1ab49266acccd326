-- Trap 17: two keys in one statement.

-- case: two keys
SELECT a.k, m.k FROM acc a JOIN mov m ON a.k = m.k WHERE a.k = 1 AND m.k = 2;
SELECT a.k, m.id FROM acc a, mov m WHERE a.k = 1 AND m.k = 2;
WITH x AS (SELECT k FROM acc WHERE k = 1), y AS (SELECT k FROM acc WHERE k = 2) SELECT x.k, y.k FROM x, y;
SELECT (SELECT s FROM acc WHERE k = 1), (SELECT s FROM acc WHERE k = 2);

-- Trap 9: aggregates over nothing.

-- case: nothing
SELECT count(*), sum(k), avg(n), min(c) FROM acc WHERE false;
SELECT count(*), max(k) FROM acc WHERE k = 99;
SELECT count(*), max(k) FROM acc WHERE k = NULL;
SELECT count(*) FROM acc WHERE k IN (NULL, NULL);
SELECT count(*), max(k) FROM acc WHERE k = ANY ('{}');
SELECT count(*) FROM acc WHERE k = 1 AND k = 2;
SELECT s, count(*) FROM acc WHERE k = NULL GROUP BY s;
SELECT count(*) FROM acc HAVING count(*) > 100;
SELECT coalesce(sum(k), 0) FROM acc WHERE k > 1000;

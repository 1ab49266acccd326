-- Trap 9: aggregates over nothing.

-- case: nothing
SELECT count(*), sum(k), avg(n), min(c) FROM acc WHERE false;
SELECT count(*), max(k) FROM acc WHERE k = 99;
SELECT count(*), max(k) FROM acc WHERE k = NULL;
SELECT count(*) FROM acc WHERE k IN (NULL, NULL);
SELECT count(*), max(k) FROM acc WHERE k = ANY ('{}');
SELECT count(*) FROM acc WHERE k = 1 AND k = 2;
SELECT s, count(*) FROM acc WHERE k = NULL GROUP BY s;
-- expect: refused
SELECT count(*) FROM acc HAVING count(*) > 100;
-- expect: same
-- expect: refused
SELECT coalesce(sum(k), 0) FROM acc WHERE k > 1000;
-- expect: same

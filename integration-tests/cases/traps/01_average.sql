-- Trap 1: avg, stddev and corr computed per shard.

-- case: averages
SELECT avg(k), avg(s), avg(f) FROM acc WHERE k <> 3 AND k <> 8;
SELECT avg(n) FROM acc;
SELECT avg(n) FROM acc WHERE n <> 'NaN';
SELECT s, avg(n) FROM acc GROUP BY s;
-- expect: refused
SELECT avg(k) / 2 FROM acc WHERE k IN (1, 7);
-- expect: same
-- expect: refused
SELECT stddev(k), variance(n) FROM acc;
SELECT corr(k, s) FROM acc;

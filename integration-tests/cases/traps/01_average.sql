-- Trap 1: avg, stddev and corr computed per shard.

-- case: averages
SELECT avg(k), avg(s), avg(f) FROM acc WHERE k <> 3 AND k <> 8;
SELECT avg(n) FROM acc;
SELECT avg(n) FROM acc WHERE n <> 'NaN';
SELECT s, avg(n) FROM acc GROUP BY s;
SELECT avg(k) / 2 FROM acc WHERE k IN (1, 7);
SELECT stddev(k), variance(n) FROM acc;
SELECT round(corr(k, s)::numeric, 10) FROM acc;

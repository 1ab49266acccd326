-- Trap 10: NOT IN, EXISTS, scalar sub-selects and > ALL judged per shard.

-- case: sub-selects
SELECT k FROM acc WHERE EXISTS (SELECT 1 FROM mov WHERE mov.k = acc.k AND mov.v > 5);
SELECT k FROM acc WHERE k = 5 AND k NOT IN (SELECT v FROM mov WHERE k = 5);
SELECT k FROM acc WHERE k NOT IN (SELECT v FROM mov);
SELECT k FROM acc WHERE k > ALL (SELECT v FROM mov WHERE v IS NOT NULL);
SELECT k FROM acc WHERE s = (SELECT max(s) FROM acc);
SELECT k FROM acc WHERE EXISTS (SELECT 1 FROM mov WHERE v = 9);
SELECT k FROM acc WHERE k = 1 AND k NOT IN (SELECT v FROM mov);

-- Trap 14: a key condition from the wrong place.

-- case: conditions
SELECT k FROM acc WHERE k = 1 OR s = 2;
SELECT k FROM acc WHERE NOT (k = 1);
SELECT k FROM acc WHERE NOT (k <> 3);
SELECT a.k, m.id FROM acc a LEFT JOIN mov m ON m.k = a.k AND m.k = 3;
SELECT a.k, m.id FROM acc a LEFT JOIN mov m ON m.k = a.k AND a.k = 3;
SELECT k FROM (SELECT s AS k FROM acc) q WHERE k = 1;
SELECT a.k FROM acc a LEFT JOIN mov m ON m.k = a.k WHERE m.k = 4 OR m.k IS NULL;
SELECT k FROM acc WHERE (k = 1) IS NOT TRUE;
SELECT k FROM acc WHERE CASE WHEN k = 1 THEN true ELSE s = 2 END;
SELECT k FROM (SELECT k FROM acc ORDER BY k LIMIT 3) q WHERE k = 2;

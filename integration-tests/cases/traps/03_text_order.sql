-- Trap 3: text in another order than its collation's.

-- case: by bytes
SELECT c, k FROM acc ORDER BY c, k;
SELECT min(c), max(c) FROM acc;
SELECT k FROM acc ORDER BY t COLLATE "C", k;

-- case: by language
SELECT t, k FROM acc ORDER BY t, k;
SELECT min(t), max(t) FROM acc;

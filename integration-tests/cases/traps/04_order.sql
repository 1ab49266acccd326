-- Trap 4: NULLS FIRST and LAST, DESC, NaN, infinity, numbers that look like text.

-- case: order
SELECT s, k FROM acc ORDER BY s, k;
SELECT s, k FROM acc ORDER BY s DESC, k;
SELECT s, k FROM acc ORDER BY s NULLS FIRST, k DESC;
SELECT s, k FROM acc ORDER BY s DESC NULLS LAST, k;
SELECT n, k FROM acc ORDER BY n DESC, k;
SELECT f, k FROM acc ORDER BY f DESC NULLS LAST, k LIMIT 5;
SELECT d, k FROM acc ORDER BY d, k;
SELECT n::text COLLATE "C", k FROM acc ORDER BY 1, 2;

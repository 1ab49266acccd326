-- Trap 6: ORDER BY what is not in the output, or what an alias hides.

-- case: order
SELECT c FROM acc ORDER BY k;
SELECT -k AS k FROM acc ORDER BY k;
SELECT -k AS k FROM acc ORDER BY acc.k;
SELECT s AS k, k AS s FROM acc ORDER BY s;
SELECT k FROM acc ORDER BY k % 3, k;
SELECT -k AS k FROM acc ORDER BY k + 0;

-- case: a position behind the last column, where pgring adds sort keys of its own
-- expect: error
SELECT k, s FROM acc ORDER BY t COLLATE "C", 3;
SELECT k FROM acc ORDER BY s, n, 2 LIMIT 3;
SELECT kind, count(*) FROM acc GROUP BY kind ORDER BY kind, 3;
SELECT kind, avg(s) FROM acc GROUP BY 3;

-- Trap 6: ORDER BY what is not in the output, or what an alias hides.

-- case: order
SELECT c FROM acc ORDER BY k;
SELECT -k AS k FROM acc ORDER BY k;
SELECT -k AS k FROM acc ORDER BY acc.k;
SELECT s AS k, k AS s FROM acc ORDER BY s;
SELECT k FROM acc ORDER BY k % 3, k;
SELECT -k AS k FROM acc ORDER BY k + 0;

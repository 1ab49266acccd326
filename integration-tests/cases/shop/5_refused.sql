-- Statements over several shards that are refused rather than answered wrongly.

-- case: reads
SELECT o.order_id, other.order_id FROM orders o JOIN orders other ON o.total = other.total;
SELECT c.name, o.order_id FROM customers c CROSS JOIN orders o;
SELECT customer_id, row_number() OVER (ORDER BY customer_id) FROM customers;
SELECT count(DISTINCT city) FROM customers;
-- expect: refused
SELECT string_agg(name, ',') FROM customers;
-- expect: same
-- expect: refused
SELECT array_agg(customer_id) FROM customers;
-- expect: same
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY score) FROM customers;
SELECT customer_id FROM customers UNION SELECT order_id FROM orders;
SELECT customer_id FROM customers EXCEPT SELECT customer_id FROM orders;
SELECT name FROM customers WHERE credit = (SELECT max(credit) FROM customers);
WITH counts AS (SELECT status, count(*) AS n FROM orders GROUP BY status) SELECT max(n) FROM counts;
SELECT status, active, count(*) FROM orders JOIN customers USING (customer_id) GROUP BY ROLLUP (status, active);
SELECT s.value, c.name FROM settings s JOIN customers c ON s.name = c.name;

-- case: writes
INSERT INTO customers (customer_id, name, joined, active) VALUES (501, 'a', '2025-01-01', true), (502, 'b', '2025-01-01', true), (503, 'c', '2025-01-01', true), (504, 'd', '2025-01-01', true), (505, 'e', '2025-01-01', true), (506, 'f', '2025-01-01', true), (507, 'g', '2025-01-01', true), (508, 'h', '2025-01-01', true);
INSERT INTO orders SELECT customer_id, order_id + 9000, status, total, placed FROM orders;
UPDATE customers SET score = 0;
DELETE FROM orders WHERE total < 10 AND order_id > 9000;
-- expect: refused
UPDATE customers SET customer_id = 600 WHERE customer_id = 1;

-- case: a second shard in a transaction
BEGIN;
SELECT name FROM customers WHERE customer_id = 1;
SELECT count(*) FROM customers;
ROLLBACK;
SELECT count(*) FROM customers;

-- case: nothing of it was written
SELECT count(*), sum(score), max(customer_id) FROM customers;
SELECT count(*), sum(total), max(order_id) FROM orders;
SELECT count(*), sum(price) FROM products;

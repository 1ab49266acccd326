-- Statements that one shard answers alone.

-- case: reads by key
SELECT * FROM customers WHERE customer_id = 1;
SELECT name, city FROM customers WHERE 7 = customer_id;
SELECT name FROM customers WHERE customer_id = '5'::bigint;
SELECT name FROM customers WHERE customer_id = 5::int;
SELECT c.name AS who, c.credit * 2 AS double FROM customers AS c WHERE c.customer_id = 3;
SELECT count(*), sum(total), avg(total), min(placed) FROM orders WHERE customer_id = 3;
SELECT order_id, total FROM orders WHERE customer_id = 3 ORDER BY total DESC NULLS LAST, order_id;
SELECT DISTINCT status FROM orders WHERE customer_id = 3;
SELECT order_id, row_number() OVER (ORDER BY order_id) FROM orders WHERE customer_id = 7;
SELECT string_agg(status, ',' ORDER BY order_id) FROM orders WHERE customer_id = 7;
SELECT * FROM customers WHERE customer_id = 999;
SELECT * FROM customers WHERE customer_id = NULL;
SELECT name FROM customers WHERE customer_id = 2 AND active AND score > 1;
SELECT name FROM customers WHERE customer_id = 2 AND (city = 'Oslo' OR score IS NOT NULL);
SELECT EXISTS (SELECT 1 FROM orders WHERE customer_id = 8);
SELECT (SELECT max(total) FROM orders WHERE customer_id = 3) AS most;
SELECT name FROM ONLY customers WHERE customer_id = 4;
SELECT "customers"."name" FROM "public"."customers" WHERE "customer_id" = 6;
TABLE settings;

-- case: joins by key
SELECT c.name, o.order_id FROM customers c JOIN orders o ON o.customer_id = c.customer_id WHERE c.customer_id = 3 ORDER BY 2;
SELECT c.name, o.order_id FROM customers c JOIN orders o USING (customer_id) WHERE customer_id = 3 ORDER BY 2;
SELECT c.name, o.order_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id WHERE c.customer_id = 8;
SELECT o.order_id, i.line, p.title FROM orders o JOIN order_items i ON i.customer_id = o.customer_id AND i.order_id = o.order_id JOIN products p USING (product_id) WHERE o.customer_id = 3 ORDER BY 1, 2;
SELECT c.name, sum(i.quantity * p.price) AS spent FROM customers c, order_items i, products p WHERE c.customer_id = i.customer_id AND p.product_id = i.product_id AND c.customer_id = 11 GROUP BY c.name;
WITH mine AS (SELECT * FROM orders WHERE customer_id = 7) SELECT status, count(*) FROM mine GROUP BY status;

-- case: reference and local tables
SELECT * FROM products ORDER BY product_id;
SELECT title, price FROM products WHERE price > 3 ORDER BY price DESC;
SELECT count(*), sum(price), avg(price) FROM products;
SELECT value FROM settings WHERE name = 'currency';
SELECT s.name, p.title FROM settings s CROSS JOIN products p ORDER BY p.product_id, s.name COLLATE "C";

-- case: without a table
SELECT 1;
SELECT 1 AS a, 'x'::text AS b, NULL::int AS c, ARRAY[1, 2] AS d, 1.50 AS e;
SELECT upper('straße'), length('Łódź');
VALUES (1, 'one'), (2, 'two');
SELECT current_database();
SELECT generate_series(1, 3) AS n;
SHOW server_encoding;

-- case: writes by key
INSERT INTO customers VALUES (101, 'New One', NULL, 10.00, 1, 0.5, '2025-01-01', true);
INSERT INTO customers (customer_id, name, joined, active) VALUES (102, 'New Two', '2025-01-02', false) RETURNING customer_id, name;
INSERT INTO orders (customer_id, order_id, status, total, placed) VALUES (101, 1001, 'open', 5, '2025-01-01'), (101, 1002, 'paid', 6, '2025-01-02');
UPDATE customers SET credit = credit + 1 WHERE customer_id = 101 RETURNING credit;
UPDATE orders SET status = 'sent' WHERE customer_id = 101 AND order_id = 1001;
UPDATE orders SET status = 'sent' WHERE customer_id = 101;
SELECT status, total FROM orders WHERE customer_id = 101 ORDER BY order_id;
INSERT INTO customers VALUES (101, 'Again', NULL, NULL, NULL, NULL, '2025-01-01', true) ON CONFLICT DO NOTHING;
INSERT INTO customers VALUES (101, 'Again', NULL, NULL, NULL, NULL, '2025-01-01', true) ON CONFLICT (customer_id) DO UPDATE SET name = excluded.name RETURNING name;
DELETE FROM orders WHERE customer_id = 101 AND order_id = 1001 RETURNING order_id, status;
DELETE FROM orders WHERE customer_id = 101;
DELETE FROM customers WHERE customer_id = 101;
DELETE FROM customers WHERE customer_id = 102;
DELETE FROM customers WHERE customer_id = 102;
UPDATE settings SET value = 'dark' WHERE name = 'theme';
SELECT * FROM settings ORDER BY name COLLATE "C";

-- case: transactions of one shard
BEGIN;
INSERT INTO customers VALUES (201, 'In Transaction', NULL, NULL, NULL, NULL, '2025-01-01', true);
SELECT name FROM customers WHERE customer_id = 201;
ROLLBACK;
SELECT name FROM customers WHERE customer_id = 201;
BEGIN;
UPDATE customers SET score = 99 WHERE customer_id = 9;
SAVEPOINT one;
UPDATE customers SET score = 100 WHERE customer_id = 9;
ROLLBACK TO SAVEPOINT one;
SELECT score FROM customers WHERE customer_id = 9;
RELEASE SAVEPOINT one;
ROLLBACK;
START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FROM orders WHERE customer_id = 9;
COMMIT;

-- case: session settings
SET statement_timeout = '5s';
SHOW statement_timeout;
SELECT current_setting('statement_timeout');
RESET statement_timeout;
SHOW statement_timeout;
SET TIME ZONE 'Europe/Berlin';
SELECT placed FROM orders WHERE customer_id = 3 ORDER BY order_id;
RESET TIME ZONE;

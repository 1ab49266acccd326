-- Views whose rows are rows of their tables: one shard by its key, or merged.

-- case: made through the router
CREATE VIEW open_orders AS SELECT customer_id, order_id, total, placed FROM orders WHERE status = 'open';
CREATE VIEW renamed (who, nr, amount) AS SELECT customer_id, order_id, total FROM orders;
CREATE VIEW everything AS SELECT * FROM orders;
CREATE VIEW joined AS SELECT c.name, o.order_id, o.total, c.customer_id FROM customers c JOIN orders o USING (customer_id);
CREATE VIEW perhaps AS SELECT c.customer_id, c.name, o.order_id, o.status FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id AND o.status = 'paid';
CREATE VIEW priced AS SELECT i.customer_id, i.order_id, i.line, p.title, i.quantity * p.price AS price FROM order_items i JOIN products p ON p.product_id = i.product_id;
CREATE VIEW of_two AS SELECT * FROM orders WHERE customer_id IN (7, 9);
CREATE VIEW of_one AS SELECT order_id, status FROM orders WHERE customer_id = 7;

-- case: by key
SELECT * FROM open_orders WHERE customer_id = 2;
SELECT order_id, total FROM open_orders WHERE customer_id = 7 ORDER BY order_id;
SELECT count(*), sum(amount) FROM renamed WHERE who = 3;
SELECT r.nr FROM renamed AS r WHERE r.who = 3 AND r.amount > 100 ORDER BY nr;
SELECT x.b FROM renamed AS x (a, b) WHERE x.a = 5 ORDER BY 1;
SELECT name, order_id FROM joined WHERE customer_id = 10 ORDER BY order_id;
SELECT * FROM perhaps WHERE customer_id = 11 ORDER BY order_id;
SELECT title, price FROM priced WHERE customer_id = 6 ORDER BY order_id, line;
SELECT count(*) FROM open_orders o JOIN customers c ON c.customer_id = o.customer_id WHERE c.customer_id = 2;
SELECT count(*) FROM of_one;
SELECT * FROM of_one ORDER BY order_id;
SELECT * FROM everything e WHERE e.customer_id = 42;
SELECT public.everything.order_id FROM public.everything WHERE everything.customer_id = 1 ORDER BY 1;

-- case: by key as a parameter
-- params: ["2"]
SELECT order_id FROM open_orders WHERE customer_id = $1;
-- params: ["3", "100"]
SELECT nr, amount FROM renamed WHERE who = $1 AND amount > $2::numeric ORDER BY nr;
-- params: ["{1,2,3}"]
SELECT who, nr FROM renamed WHERE who = ANY ($1::bigint[]) ORDER BY who, nr;

-- case: merged
SELECT count(*) FROM open_orders;
SELECT count(*), sum(total), min(total), max(total), avg(total) FROM everything;
SELECT * FROM renamed ORDER BY nr;
SELECT who, count(*) FROM renamed GROUP BY who ORDER BY who;
SELECT status, count(*), sum(total) FROM everything GROUP BY status ORDER BY status COLLATE "C";
SELECT name COLLATE "C" AS n, order_id FROM joined ORDER BY n, order_id;
SELECT count(*), count(order_id) FROM perhaps;
SELECT customer_id FROM perhaps WHERE order_id IS NULL ORDER BY customer_id;
SELECT title COLLATE "C" AS t, sum(price) FROM priced GROUP BY 1 ORDER BY 1;
SELECT customer_id, order_id FROM of_two ORDER BY order_id LIMIT 3 OFFSET 1;
SELECT DISTINCT customer_id FROM open_orders ORDER BY customer_id;
SELECT count(*) FROM open_orders o JOIN renamed r ON r.who = o.customer_id AND r.nr = o.order_id;
SELECT count(*) FROM customers c WHERE EXISTS (SELECT FROM open_orders o WHERE o.customer_id = c.customer_id);
SELECT customer_id FROM customers WHERE customer_id NOT IN (SELECT who FROM renamed) ORDER BY customer_id;
SELECT c.customer_id, o.order_id FROM customers c LEFT JOIN open_orders o ON o.customer_id = c.customer_id ORDER BY 1, 2;
SELECT c.customer_id FROM customers c LEFT JOIN open_orders o ON o.customer_id = c.customer_id WHERE o.customer_id IS NULL ORDER BY 1;
SELECT count(*) FROM joined NATURAL JOIN open_orders;
SELECT count(*) FROM joined JOIN open_orders USING (customer_id, order_id);
SELECT e.* FROM everything e WHERE total IS NULL ORDER BY order_id;
SELECT customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) FROM everything ORDER BY 1, 2;
TABLE of_two ORDER BY order_id;
SELECT order_id, total FROM open_orders WHERE total > 100 ORDER BY total DESC LIMIT 4;

-- case: as tables stand elsewhere
SELECT (SELECT count(*) FROM open_orders), (SELECT max(amount) FROM renamed);
SELECT a.n, b.n FROM (SELECT count(*) AS n FROM open_orders) a, (SELECT count(*) AS n FROM renamed WHERE amount IS NULL) b;
SELECT c.name, o.order_id FROM customers c CROSS JOIN LATERAL (SELECT order_id FROM open_orders v WHERE v.customer_id = c.customer_id ORDER BY order_id LIMIT 1) o ORDER BY o.order_id;
SELECT customer_id FROM open_orders UNION SELECT who FROM renamed ORDER BY 1;
SELECT nr FROM renamed EXCEPT SELECT order_id FROM open_orders ORDER BY 1;
WITH open_orders AS (SELECT 1 AS customer_id) SELECT * FROM open_orders;
WITH x AS (SELECT * FROM open_orders) SELECT count(*) FROM x;
WITH open_orders AS (SELECT * FROM public.open_orders WHERE total > 200) SELECT customer_id, total FROM open_orders ORDER BY total;
SELECT count(*) FROM open_orders a JOIN open_orders b ON a.total < b.total;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM renamed;
SELECT count(DISTINCT status) FROM everything;
SELECT s.value, count(*) FROM settings s CROSS JOIN open_orders GROUP BY s.value ORDER BY s.value;
SELECT string_agg(order_id::text, ',' ORDER BY order_id) FROM of_two;
SELECT customer_id, lag(order_id) OVER (ORDER BY order_id) FROM open_orders ORDER BY order_id;

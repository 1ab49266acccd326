-- Views that put rows together, views on views, and views of other schemas.

-- case: made
CREATE VIEW per_customer AS SELECT customer_id, count(*) AS n, sum(total) AS total FROM orders GROUP BY customer_id;
CREATE VIEW per_status AS SELECT status, count(*) AS n, sum(total) AS total FROM orders GROUP BY status;
CREATE VIEW statuses AS SELECT DISTINCT status FROM orders;
CREATE VIEW pairs AS SELECT DISTINCT customer_id, status FROM orders;
CREATE VIEW newest AS SELECT * FROM orders ORDER BY placed DESC LIMIT 5;
CREATE VIEW in_order AS SELECT order_id, total FROM orders ORDER BY total DESC NULLS LAST, order_id;
CREATE VIEW ranked AS SELECT customer_id, order_id, total, rank() OVER (ORDER BY total DESC NULLS LAST, order_id) AS place FROM orders;
CREATE VIEW ranked_by_key AS SELECT customer_id, order_id, rank() OVER (PARTITION BY customer_id ORDER BY placed) AS place FROM orders;
CREATE VIEW first_of AS SELECT DISTINCT ON (customer_id) customer_id, order_id FROM orders ORDER BY customer_id, placed;
CREATE VIEW first_of_status AS SELECT DISTINCT ON (status) status, customer_id, order_id FROM orders ORDER BY status, placed;
CREATE VIEW both_kinds AS SELECT customer_id, order_id, 'o' AS kind FROM orders UNION ALL SELECT customer_id, order_id, 'i' FROM order_items;
CREATE VIEW without_items AS SELECT customer_id, order_id FROM orders EXCEPT SELECT customer_id, order_id FROM order_items WHERE quantity > 2;
CREATE VIEW mixed AS SELECT customer_id, order_id FROM orders UNION ALL SELECT product_id, 0 FROM products;
CREATE VIEW counted AS SELECT count(*) AS n FROM orders;
CREATE VIEW with_cte AS WITH paid AS (SELECT * FROM orders WHERE status = 'paid') SELECT customer_id, order_id FROM paid;
CREATE VIEW with_local AS SELECT o.customer_id, o.order_id, s.value FROM orders o CROSS JOIN settings s WHERE s.name = 'currency';
CREATE VIEW with_sub AS SELECT customer_id, name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.customer_id) AS orders FROM customers c;
CREATE VIEW above_average AS SELECT customer_id, order_id FROM orders WHERE total > (SELECT avg(total) FROM orders);
CREATE VIEW by_primary_key AS SELECT c.customer_id, c.name, c.city, count(o.order_id) AS n FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id GROUP BY c.customer_id;
CREATE RECURSIVE VIEW chain (n, customer_id) AS SELECT 1, customer_id FROM customers WHERE customer_id < 3 UNION ALL SELECT n + 1, customer_id FROM chain WHERE n < 3;

-- case: by key
SELECT * FROM per_customer WHERE customer_id = 7;
SELECT n FROM per_customer p WHERE p.customer_id IN (1);
SELECT * FROM pairs WHERE customer_id = 3 ORDER BY status;
SELECT place, order_id FROM ranked_by_key WHERE customer_id = 11 ORDER BY place;
SELECT * FROM first_of WHERE customer_id = 19;
SELECT * FROM both_kinds WHERE customer_id = 1 ORDER BY order_id, kind;
SELECT * FROM without_items WHERE customer_id = 2 ORDER BY order_id;
SELECT * FROM ranked WHERE customer_id = 7 ORDER BY place;
SELECT * FROM newest WHERE customer_id = 10 ORDER BY order_id;
SELECT * FROM first_of_status WHERE customer_id = 10;
SELECT * FROM mixed WHERE customer_id = 2 ORDER BY order_id;
SELECT * FROM with_cte WHERE customer_id = 7 ORDER BY order_id;
SELECT * FROM with_local WHERE customer_id = 7 ORDER BY order_id;
SELECT orders FROM with_sub WHERE customer_id = 7;
SELECT * FROM above_average WHERE customer_id = 6 ORDER BY order_id;
SELECT * FROM by_primary_key WHERE customer_id = 8;
SELECT * FROM chain WHERE customer_id = 1 ORDER BY n;

-- case: over all
SELECT * FROM per_customer ORDER BY customer_id;
SELECT count(*), sum(n), sum(total) FROM per_customer;
SELECT max(n) FROM per_customer;
SELECT * FROM per_status ORDER BY status;
SELECT count(*) FROM per_status;
SELECT count(*) FROM statuses;
SELECT count(*) FROM pairs;
SELECT count(*) FROM newest;
SELECT customer_id, order_id FROM newest ORDER BY placed;
SELECT * FROM in_order;
SELECT * FROM in_order LIMIT 3;
SELECT string_agg(order_id::text, ',') FROM in_order;
SELECT customer_id, order_id, place FROM ranked WHERE place <= 10 ORDER BY place;
SELECT count(*) FROM ranked_by_key WHERE place = 1;
SELECT * FROM first_of ORDER BY customer_id;
SELECT count(*) FROM first_of_status;
SELECT kind, count(*) FROM both_kinds GROUP BY kind ORDER BY kind;
SELECT count(*) FROM without_items;
SELECT count(*) FROM mixed;
SELECT * FROM counted;
SELECT c.n, p.n FROM counted c, per_status p WHERE p.status = 'open';
SELECT count(*) FROM with_cte;
SELECT value, count(*) FROM with_local GROUP BY value;
SELECT sum(orders) FROM with_sub;
SELECT customer_id, order_id FROM above_average ORDER BY order_id;
SELECT city, sum(n) FROM by_primary_key GROUP BY city ORDER BY sum(n), city;
SELECT customer_id, name, city, n FROM by_primary_key ORDER BY customer_id;
SELECT * FROM chain ORDER BY customer_id, n;
SELECT p.customer_id, c.name, p.n FROM per_customer p JOIN customers c USING (customer_id) ORDER BY 1;
SELECT c.customer_id, p.n FROM customers c LEFT JOIN per_customer p ON p.customer_id = c.customer_id ORDER BY 1;
SELECT c.customer_id FROM customers c LEFT JOIN per_customer p ON p.customer_id = c.customer_id WHERE p.customer_id IS NULL ORDER BY 1;

-- case: views on views
CREATE VIEW big_open AS SELECT customer_id AS buyer, order_id FROM (SELECT * FROM orders) o WHERE status = 'open' AND total > 100;
CREATE VIEW on_one AS SELECT buyer, order_id + 1 AS next FROM big_open;
CREATE VIEW on_two (k, x) AS SELECT buyer, count(*) FROM on_one GROUP BY buyer;
CREATE VIEW on_three AS SELECT t.k, t.x, c.name FROM on_two t JOIN customers c ON c.customer_id = t.k;
SELECT * FROM on_one WHERE buyer = 2 ORDER BY next;
SELECT count(*) FROM on_one;
SELECT * FROM on_two WHERE k = 2;
SELECT * FROM on_two ORDER BY k;
SELECT * FROM on_three WHERE k = 2;
SELECT * FROM on_three ORDER BY k;
SELECT a.k FROM on_two a JOIN big_open b ON b.buyer = a.k GROUP BY a.k HAVING count(*) > 1 ORDER BY 1;

-- case: other schemas and odd names
CREATE SCHEMA api;
CREATE VIEW api.orders AS SELECT customer_id AS id, order_id, total FROM public.orders WHERE status <> 'open';
CREATE VIEW api."Odd name" AS SELECT customer_id AS "The key", name AS "select" FROM public.customers;
CREATE VIEW api.nested AS SELECT o.id, o.order_id, c."select" FROM api.orders o JOIN api."Odd name" c ON c."The key" = o.id;
SELECT order_id FROM api.orders WHERE id = 3 ORDER BY order_id;
SELECT count(*) FROM api.orders;
SELECT count(DISTINCT total) FROM api.orders;
SELECT "select" FROM api."Odd name" WHERE "The key" = 4;
SELECT max(o."select" COLLATE "C"), count(DISTINCT o."The key" % 3) FROM api."Odd name" o;
SELECT api.orders.total FROM api.orders WHERE api.orders.id = 1 ORDER BY 1;
SELECT count(DISTINCT n.order_id), count(DISTINCT c.customer_id) FROM api.nested n JOIN customers c ON c.score > n.order_id;
SELECT * FROM api.nested WHERE id = 5 ORDER BY order_id;
SET search_path = api, public;
SELECT order_id FROM orders WHERE id = 3 ORDER BY order_id;
SELECT count(*) FROM orders;
SELECT count(DISTINCT id) FROM orders;
SELECT count(DISTINCT status) FROM public.orders;
RESET search_path;

-- case: remade and dropped
CREATE VIEW changing AS SELECT customer_id, order_id FROM orders WHERE status = 'open';
SELECT count(*) FROM changing;
CREATE OR REPLACE VIEW changing AS SELECT customer_id, order_id FROM orders WHERE status = 'paid';
SELECT count(*) FROM changing;
SELECT count(*) FROM changing WHERE customer_id = 1;
ALTER VIEW changing RENAME COLUMN customer_id TO buyer;
SELECT count(*) FROM changing WHERE buyer = 1;
SELECT count(DISTINCT buyer) FROM changing;
ALTER VIEW changing RENAME TO changed;
SELECT count(DISTINCT buyer) FROM changed;
DROP VIEW changed;
-- expect: error
SELECT count(*) FROM changed;
-- expect: same
CREATE VIEW changed AS SELECT max(order_id) AS top FROM orders;
SELECT top FROM changed;
DROP VIEW changed;

-- case: its tables change
CREATE VIEW of_changing AS SELECT customer_id, city, score FROM customers WHERE active;
SELECT count(DISTINCT city) FROM of_changing;
ALTER TABLE customers RENAME COLUMN city TO town;
SELECT count(DISTINCT city) FROM of_changing;
ALTER TABLE customers RENAME TO buyers;
SELECT count(DISTINCT city), count(*) FROM of_changing;
SELECT score FROM of_changing WHERE customer_id = 1;
ALTER TABLE buyers RENAME TO customers;
ALTER TABLE customers RENAME COLUMN town TO city;
SELECT count(DISTINCT city) FROM of_changing;

-- case: functions in views
CREATE VIEW dated AS SELECT customer_id, order_id, placed < now() AS past, placed::date = current_date AS today FROM orders;
SELECT past, today, count(*) FROM dated GROUP BY past, today;
SELECT past FROM dated WHERE customer_id = 1 AND order_id = 1;
CREATE VIEW of_me AS SELECT customer_id, current_user = session_user AS me FROM customers;
SELECT count(*) FROM of_me WHERE me;

-- case: materialized views
CREATE VIEW of_settings AS SELECT name FROM settings;
CREATE MATERIALIZED VIEW kept AS SELECT name, value FROM settings;
SELECT count(*) FROM kept;
SELECT k.name, count(*) FROM kept k CROSS JOIN open_orders GROUP BY k.name ORDER BY k.name;
SELECT k.name, count(*) FROM of_settings k CROSS JOIN open_orders GROUP BY k.name ORDER BY k.name;

-- Reads that several shards answer together.

-- case: concatenation
SELECT customer_id FROM customers;
SELECT customer_id, name, city, credit, score, rating, joined, active FROM customers;
SELECT customer_id, order_id FROM orders WHERE status = 'open';
SELECT c.customer_id, o.order_id FROM customers c JOIN orders o ON o.customer_id = c.customer_id WHERE o.total > 200;
SELECT o.order_id, p.title FROM orders o JOIN order_items i ON i.customer_id = o.customer_id AND i.order_id = o.order_id JOIN products p ON p.product_id = i.product_id WHERE p.price > 100;
SELECT c.customer_id FROM customers c LEFT JOIN orders o USING (customer_id) WHERE o.order_id IS NULL;
SELECT customer_id FROM customers WHERE customer_id > 20;
SELECT customer_id FROM customers WHERE city IS NULL;
SELECT customer_id FROM customers WHERE false;
SELECT customer_id * 2 AS twice, 'x' AS mark FROM customers WHERE active;

-- case: several keys
SELECT customer_id, name FROM customers WHERE customer_id IN (1, 2, 3, 4, 5);
SELECT customer_id FROM customers WHERE customer_id = ANY (ARRAY[3, 9, 12]);
SELECT customer_id FROM customers WHERE customer_id = ANY ('{4,8,15,16,23,42}'::bigint[]);
SELECT customer_id FROM customers WHERE customer_id = 1 OR customer_id = 13;
SELECT order_id, total FROM orders WHERE customer_id IN (3, 7, 11) AND status = 'paid';
SELECT customer_id, order_id FROM orders WHERE customer_id IN (3, 7, 11) ORDER BY order_id;
SELECT count(*), sum(total) FROM orders WHERE customer_id IN (3, 7, 11);
SELECT customer_id FROM customers WHERE customer_id IN (1, NULL, 2);

-- case: merges in order
SELECT customer_id FROM customers ORDER BY customer_id;
SELECT customer_id FROM customers ORDER BY customer_id DESC;
SELECT customer_id, score FROM customers ORDER BY score, customer_id;
SELECT customer_id, score FROM customers ORDER BY score DESC, customer_id DESC;
SELECT customer_id, score FROM customers ORDER BY score NULLS FIRST, customer_id;
SELECT customer_id, score FROM customers ORDER BY score DESC NULLS LAST, customer_id;
SELECT customer_id, credit FROM customers ORDER BY credit, customer_id;
SELECT customer_id, credit FROM customers ORDER BY 2 DESC NULLS LAST, 1;
SELECT customer_id, rating FROM customers ORDER BY rating DESC;
SELECT customer_id AS id, joined FROM customers ORDER BY joined, id;
SELECT order_id, placed FROM orders ORDER BY placed, order_id;
SELECT customer_id, active FROM customers ORDER BY active DESC, customer_id;
SELECT customer_id FROM customers ORDER BY customer_id LIMIT 5;
SELECT customer_id FROM customers ORDER BY customer_id LIMIT 5 OFFSET 5;
SELECT customer_id FROM customers ORDER BY customer_id OFFSET 20;
SELECT customer_id FROM customers ORDER BY customer_id DESC LIMIT 3 OFFSET 2;
SELECT customer_id FROM customers ORDER BY customer_id LIMIT 0;
SELECT customer_id FROM customers ORDER BY customer_id OFFSET 100;
SELECT customer_id FROM customers ORDER BY customer_id FETCH FIRST 4 ROWS ONLY;
SELECT customer_id, total FROM orders ORDER BY total NULLS FIRST, order_id LIMIT 10;

-- case: order by what is not selected
SELECT name FROM customers ORDER BY customer_id;
SELECT name FROM customers ORDER BY score DESC NULLS LAST, customer_id LIMIT 6;

-- case: an order by what is not selected, beside an alias of its name
SELECT score AS customer_id FROM customers ORDER BY customer_id, customers.customer_id;
SELECT joined AS score FROM customers ORDER BY score, customers.score, customers.customer_id LIMIT 5;

-- case: aggregates
SELECT count(*) FROM customers;
SELECT count(city), count(*) AS everyone FROM customers;
SELECT sum(score), min(score), max(score) FROM customers;
SELECT sum(customer_id), min(customer_id), max(customer_id) FROM customers;
SELECT sum(credit), min(credit), max(credit) FROM customers;
SELECT avg(score) FROM customers;
SELECT avg(credit) FROM customers;
SELECT avg(customer_id) FROM customers;
SELECT sum(rating), avg(rating) FROM customers;
SELECT min(joined), max(joined) FROM customers;
SELECT min(placed), max(placed) FROM orders;
SELECT count(*), sum(score), avg(score), min(score) FROM customers WHERE false;
SELECT sum(total) FROM orders WHERE status = 'open' AND total IS NULL;
SELECT count(*) FROM orders o JOIN order_items i USING (customer_id, order_id);

-- case: groups
SELECT status, count(*) FROM orders GROUP BY status;
SELECT status, count(*), sum(total), avg(total), min(total), max(total) FROM orders GROUP BY status;
SELECT active, count(*) FROM customers GROUP BY active;
SELECT score, count(*) FROM customers GROUP BY score;
SELECT customer_id, count(*) FROM orders GROUP BY customer_id;
SELECT customer_id, count(*), sum(total) FROM orders GROUP BY customer_id ORDER BY customer_id;
SELECT score, count(*) AS n FROM customers GROUP BY score ORDER BY score;
SELECT score, count(*) AS n FROM customers GROUP BY score ORDER BY n DESC, score NULLS FIRST;
SELECT score, count(*) AS n FROM customers GROUP BY score ORDER BY score LIMIT 3;
SELECT score, active, count(*) FROM customers GROUP BY score, active ORDER BY 1, 2;
SELECT product_id, sum(quantity) FROM order_items GROUP BY product_id ORDER BY product_id;
SELECT p.product_id, sum(i.quantity * p.price) AS sold FROM order_items i JOIN products p USING (product_id) GROUP BY p.product_id ORDER BY p.product_id;
SELECT score FROM customers GROUP BY score;

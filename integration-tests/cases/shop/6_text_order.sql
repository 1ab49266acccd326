-- Text is ordered as the database's collation says, also where rows of several shards meet.

-- case: order by text
SELECT name FROM customers ORDER BY name;
SELECT name FROM customers ORDER BY name DESC LIMIT 7;
SELECT customer_id, city FROM customers ORDER BY city NULLS FIRST, customer_id;
SELECT customer_id, name FROM customers ORDER BY name COLLATE "C";
SELECT status, count(*) FROM orders GROUP BY status ORDER BY status DESC;
SELECT city, count(*) FROM customers GROUP BY city ORDER BY city;

-- case: least and greatest text
SELECT min(name), max(name) FROM customers;
SELECT min(name), max(city) FROM customers WHERE customer_id IN (1, 5, 6, 9);

-- Statements with parameters; the extended protocol only.

-- case: key as a parameter
-- params: ["1"]
SELECT * FROM customers WHERE customer_id = $1;
-- params: ["22"]
SELECT * FROM customers WHERE customer_id = $1;
-- params: ["999"]
SELECT * FROM customers WHERE customer_id = $1;
-- params: [null]
SELECT * FROM customers WHERE customer_id = $1;
-- params: ["3"]
SELECT c.name, o.order_id, o.total FROM customers c JOIN orders o ON o.customer_id = c.customer_id WHERE c.customer_id = $1 ORDER BY o.order_id;
-- params: ["paid", "7"]
SELECT order_id FROM orders WHERE status = $1 AND customer_id = $2 ORDER BY order_id;
-- params: ["5"]
SELECT name FROM customers WHERE customer_id = $1::bigint;
-- params: ["4", "4"]
SELECT name FROM customers WHERE customer_id = $1 AND customer_id = $2;
-- params: ["4", "5"]
SELECT name FROM customers WHERE customer_id = $1 AND customer_id = $2;

-- case: several keys as parameters
-- params: ["1", "9", "17"]
SELECT customer_id, name FROM customers WHERE customer_id IN ($1, $2, $3);
-- params: ["{1,5,9,13}"]
SELECT customer_id FROM customers WHERE customer_id = ANY ($1);
-- params: ["{}"]
SELECT customer_id FROM customers WHERE customer_id = ANY ($1);
-- params: ["{2,NULL,4}"]
SELECT customer_id FROM customers WHERE customer_id = ANY ($1);

-- case: parameters that are no key
-- params: ["10"]
SELECT customer_id FROM customers WHERE customer_id > $1;
-- params: ["open"]
SELECT count(*), sum(total) FROM orders WHERE status = $1;
-- params: ["5"]
SELECT customer_id FROM customers ORDER BY customer_id LIMIT $1;
-- params: ["5", "10"]
SELECT customer_id FROM customers ORDER BY customer_id LIMIT $1 OFFSET $2;
-- params: ["currency"]
SELECT value FROM settings WHERE name = $1;
-- params: ["41"]
SELECT $1::int + 1 AS n;

-- case: writes with parameters
-- params: ["301", "Param One", "2025-02-03", "true"]
INSERT INTO customers (customer_id, name, joined, active) VALUES ($1, $2, $3, $4);
-- params: ["301"]
SELECT name, joined, active FROM customers WHERE customer_id = $1;
-- params: ["12.50", "301"]
UPDATE customers SET credit = $1 WHERE customer_id = $2 RETURNING credit;
-- params: ["301"]
DELETE FROM customers WHERE customer_id = $1;
-- params: ["302", "7"]
INSERT INTO orders (customer_id, order_id, status, placed) SELECT customer_id, $1::bigint, 'open', '2025-01-01' FROM customers WHERE customer_id = $2;
-- params: ["7", "302"]
DELETE FROM orders WHERE customer_id = $1 AND order_id = $2 RETURNING status;

-- case: parameters that do not fit
-- params: ["not a number"]
-- expect: error
SELECT * FROM customers WHERE customer_id = $1;
-- params: ["1", "2"]
SELECT * FROM customers WHERE customer_id = $1;
-- params: []
SELECT * FROM customers WHERE customer_id = $1;
-- params: ["1e30"]
SELECT * FROM customers WHERE customer_id = $1;
-- params: [null, "No Key", "2025-02-03"]
INSERT INTO customers (customer_id, name, joined, active) VALUES ($1, $2, $3, true);

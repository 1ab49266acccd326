-- Statements that fail: the client must see PostgreSQL's own SQLSTATE.

-- case: on one shard
-- expect: error
INSERT INTO customers VALUES (1, 'Twice', NULL, NULL, NULL, NULL, '2025-01-01', true);
INSERT INTO customers (customer_id, name) VALUES (401, NULL);
INSERT INTO orders VALUES (1, 5001, 'lost', NULL, '2025-01-01');
INSERT INTO orders VALUES (402, 5002, 'open', NULL, '2025-01-01');
INSERT INTO order_items VALUES (1, 1, 9, 77, 1);
UPDATE customers SET credit = 99999999999 WHERE customer_id = 1;
UPDATE customers SET name = NULL WHERE customer_id = 1;
DELETE FROM customers WHERE customer_id = 3;
SELECT 1 / (customer_id - customer_id) FROM customers WHERE customer_id = 1;
SELECT name::integer FROM customers WHERE customer_id = 1;
SELECT nothing FROM customers WHERE customer_id = 1;
SELECT name FROM customers WHERE customer_id = 'x';
SELECT no_such_function(name) FROM customers WHERE customer_id = 1;

-- case: on several shards
-- expect: error
SELECT 1 / (customer_id - customer_id) FROM customers;
SELECT nothing FROM customers;
SELECT customer_id, count(*) FROM orders;
SELECT customer_id FROM customers ORDER BY nothing;
SELECT sum(name) FROM customers;

-- case: nowhere
-- expect: error
SELEC 1;
SELECT 1 FROM;
SELECT 'unfinished;
SELECT * FROM nowhere;
SELECT * FROM nowhere WHERE customer_id = 1;
INSERT INTO nowhere VALUES (1);
SELECT 1 / 0;
SELECT 'x'::integer;
SELECT no_such_column;
SELECT no_such_function();
SET no_such_setting = 1;
SHOW no_such_setting;
DROP TABLE nowhere;
CREATE TABLE customers (customer_id bigint);
ROLLBACK TO SAVEPOINT nowhere;

-- case: a failed transaction stays failed until its end
BEGIN;
SELECT name FROM customers WHERE customer_id = 1;
-- expect: error
SELECT 1 / 0 FROM customers WHERE customer_id = 1;
SELECT name FROM customers WHERE customer_id = 1;
SELECT 1;
-- expect: same
COMMIT;
SELECT name FROM customers WHERE customer_id = 1;

-- case: a savepoint rescues a failed transaction
BEGIN;
SELECT name FROM customers WHERE customer_id = 1;
SAVEPOINT s;
-- expect: error
INSERT INTO customers VALUES (1, 'Twice', NULL, NULL, NULL, NULL, '2025-01-01', true);
-- expect: same
ROLLBACK TO SAVEPOINT s;
SELECT name FROM customers WHERE customer_id = 1;
COMMIT;

-- A view reads with its owner's rights.

-- case: rights on the view alone
CREATE ROLE reader;
CREATE VIEW granted AS SELECT customer_id, order_id, status FROM orders;
CREATE VIEW not_granted AS SELECT customer_id FROM orders;
GRANT SELECT ON granted TO reader;
SET ROLE reader;
SELECT order_id FROM granted WHERE customer_id = 1 ORDER BY order_id;
SELECT count(*) FROM granted;
-- expect: refused
SELECT count(DISTINCT status) FROM granted;
-- expect: error
SELECT count(*) FROM not_granted;
SELECT count(DISTINCT customer_id) FROM not_granted;
SELECT count(DISTINCT status) FROM orders;
-- expect: same
RESET ROLE;

-- case: rights on the tables too
GRANT SELECT (customer_id, order_id, status) ON orders TO reader;
SET ROLE reader;
SELECT count(DISTINCT status) FROM granted;
-- expect: error
SELECT count(DISTINCT customer_id) FROM not_granted;
-- expect: same
RESET ROLE;
REVOKE SELECT (status) ON orders FROM reader;
SET ROLE reader;
-- expect: refused
SELECT count(DISTINCT status) FROM granted;
-- expect: same
RESET ROLE;

-- case: another schema
CREATE SCHEMA hidden;
CREATE VIEW hidden.inner_one AS SELECT customer_id, city FROM customers;
CREATE VIEW outer_one AS SELECT customer_id, city FROM hidden.inner_one;
GRANT SELECT ON outer_one TO reader;
GRANT SELECT ON customers TO reader;
SET ROLE reader;
SELECT count(DISTINCT city) FROM outer_one;
SELECT count(*) FROM outer_one;
-- expect: error
SELECT count(*) FROM hidden.inner_one;
-- expect: same
RESET ROLE;

-- case: the role's own view
CREATE SCHEMA own AUTHORIZATION reader;
SET ROLE reader;
CREATE VIEW own.mine AS SELECT customer_id, city FROM public.customers;
SELECT count(DISTINCT city) FROM own.mine;
RESET ROLE;

-- case: row security
CREATE VIEW as_owner AS SELECT customer_id, city FROM customers;
CREATE VIEW as_invoker WITH (security_invoker) AS SELECT customer_id, city FROM customers;
CREATE VIEW fenced WITH (security_barrier) AS SELECT customer_id, score FROM customers WHERE score <> 1;
GRANT SELECT ON as_owner, as_invoker, fenced TO reader;
SELECT count(DISTINCT customer_id) FROM fenced WHERE 1 / (score - 1) IS NOT NULL;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON customers FOR SELECT TO reader USING (customer_id < 10);
SET ROLE reader;
SELECT count(*) FROM as_owner;
SELECT count(*) FROM as_invoker;
SELECT count(DISTINCT city), count(DISTINCT customer_id) FROM as_invoker;
-- expect: refused
SELECT count(DISTINCT city) FROM as_owner;
-- expect: same
SELECT city FROM as_owner WHERE customer_id = 13;
SELECT city FROM as_invoker WHERE customer_id = 13;
RESET ROLE;
SELECT count(DISTINCT city) FROM as_owner;
ALTER TABLE customers DISABLE ROW LEVEL SECURITY;

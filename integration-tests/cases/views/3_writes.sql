-- Writes through a view that shows the rows of one table.

-- case: through a view
CREATE VIEW shown (buyer, nr, state, at) AS SELECT customer_id, order_id, status, placed FROM orders WHERE customer_id < 1000;
CREATE VIEW shown_again AS SELECT nr AS number, buyer AS who, state FROM shown WITH CASCADED CHECK OPTION;
INSERT INTO shown VALUES (5, 900, 'open', '2024-01-01 00:00:00+00');
INSERT INTO shown (nr, buyer, state, at) VALUES (901, 5, 'open', '2024-01-02 00:00:00+00') RETURNING nr, buyer;
UPDATE shown SET state = 'paid' WHERE buyer = 5 AND nr = 900 RETURNING *;
UPDATE shown_again SET state = 'sent' WHERE who = 5 AND number = 901;
-- params: ["5"]
SELECT order_id, status FROM orders WHERE customer_id = $1 ORDER BY order_id;
SELECT count(*) FROM shown WHERE nr >= 900;
DELETE FROM shown_again WHERE who = 5 AND number >= 900;
SELECT count(*) FROM shown WHERE nr >= 900;
-- expect: error
INSERT INTO shown_again (who, number, state) VALUES (5, 902, 'open');
-- expect: error
INSERT INTO shown (nr, state) VALUES (1, 'open');
-- expect: same
UPDATE shown SET state = 'paid' WHERE nr = 1;
DELETE FROM shown WHERE state = 'none';
-- expect: refused
UPDATE shown SET buyer = 6 WHERE buyer = 5;
-- expect: same
WITH gone AS (DELETE FROM shown WHERE buyer = 5 AND nr = 12345 RETURNING nr) SELECT count(*) FROM gone;
INSERT INTO orders SELECT buyer, nr + 1000, state, 1, at FROM shown WHERE buyer = 9;
DELETE FROM orders WHERE customer_id = 9 AND order_id > 1000;

-- case: with a trigger of its own
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE VIEW triggered AS SELECT customer_id, order_id FROM orders;
CREATE TRIGGER elsewhere INSTEAD OF UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION elsewhere();
-- expect: refused
UPDATE triggered SET order_id = 1 WHERE customer_id = 5;
-- expect: same
SELECT count(*) FROM triggered WHERE customer_id = 5;

-- case: in a transaction
BEGIN;
INSERT INTO orders VALUES (5, 950, 'open', 1000000, '2024-01-01 00:00:00+00');
SELECT count(*), max(total) FROM everything;
SELECT count(DISTINCT who), max(amount) FROM renamed;
SELECT max(total) FROM per_status;
SELECT s.name, count(*) FROM settings s CROSS JOIN with_local w WHERE s.name = 'theme' GROUP BY s.name;
ROLLBACK;
SELECT max(total) FROM per_status;

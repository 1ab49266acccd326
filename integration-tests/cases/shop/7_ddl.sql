-- Definitions reach every shard that needs them, and their tags are PostgreSQL's.

-- case: a plain table from birth to death
CREATE TABLE notes (id integer PRIMARY KEY, body text);
CREATE INDEX notes_body ON notes (body);
INSERT INTO notes VALUES (1, 'a'), (2, 'b');
ALTER TABLE notes ADD COLUMN seen boolean NOT NULL DEFAULT false;
SELECT * FROM notes ORDER BY id;
ALTER TABLE notes RENAME COLUMN body TO words;
SELECT words FROM notes WHERE id = 2;
DROP TABLE notes;
-- expect: error
SELECT * FROM notes;

-- case: a change of a sharded table
ALTER TABLE customers ADD COLUMN nickname text;
UPDATE customers SET nickname = 'Countess' WHERE customer_id = 1;
SELECT customer_id, nickname FROM customers ORDER BY customer_id LIMIT 2;
CREATE INDEX customers_nickname ON customers (nickname);
DROP INDEX customers_nickname;
ALTER TABLE customers DROP COLUMN nickname;
SELECT * FROM customers WHERE customer_id = 1;

-- case: a view, a type and a function
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
SELECT twice(21);
SELECT twice(score) FROM customers WHERE customer_id = 1;
DROP FUNCTION twice(integer);
DROP TYPE mood;
CREATE SCHEMA attic;
CREATE TABLE attic.boxes (id integer);
INSERT INTO attic.boxes VALUES (1);
SELECT id FROM attic.boxes;
DROP TABLE attic.boxes;
DROP SCHEMA attic;

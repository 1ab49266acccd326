-- The tables of the traps: two of one group, one of another, a reference table, and a row of every odd kind.

-- case: tables
-- pgring: SHARD TABLE acc BY (k)
-- pgring: SHARD TABLE mov BY (k) COLOCATE WITH acc
-- pgring: SHARD TABLE note BY (code)
-- pgring: REFERENCE TABLE kind
CREATE TABLE acc (k bigint PRIMARY KEY, s int, n numeric, f float8, d date, t text, c text COLLATE "C", kind int);
CREATE TABLE mov (k bigint, id int, v int, PRIMARY KEY (k, id));
CREATE TABLE note (code text COLLATE "C" PRIMARY KEY, k bigint, body text);
CREATE TABLE kind (id int PRIMARY KEY, label text);

-- case: rows
-- servers: INSERT INTO kind VALUES (1, 'one'), (2, 'two'), (3, 'three')
INSERT INTO acc VALUES (1, 1, 2.5, -2, 'infinity', 'B', 'B', 1);
INSERT INTO acc VALUES (2, 2, -3, 1e3, '-infinity', 'ä', 'é', 2);
INSERT INTO acc VALUES (3, 3, 0.001, 'Infinity', '2024-01-04', 'Z', 'b', 0);
INSERT INTO acc VALUES (4, 0, 'NaN', NULL, 'infinity', 'a', 'B', 1);
INSERT INTO acc VALUES (5, NULL, 1.10, 0.5, '-infinity', 'B', 'é', 2);
INSERT INTO acc VALUES (6, 2, 2.5, -2, '2024-01-07', 'ä', 'b', 0);
INSERT INTO acc VALUES (7, 3, -3, 1e3, 'infinity', 'Z', 'B', 1);
INSERT INTO acc VALUES (8, 0, 0.001, 'Infinity', '-infinity', 'a', 'é', 2);
INSERT INTO acc VALUES (9, 1, 'NaN', NULL, '2024-01-01', 'B', 'b', 0);
INSERT INTO acc VALUES (10, NULL, 1.10, 0.5, 'infinity', 'ä', 'B', 1);
INSERT INTO acc VALUES (11, 3, 2.5, -2, '-infinity', 'Z', 'é', 2);
INSERT INTO acc VALUES (12, 0, -3, 1e3, '2024-01-04', 'a', 'b', 0);
INSERT INTO mov VALUES (1, 1, 1), (1, 2, 1);
INSERT INTO mov VALUES (2, 1, 2), (2, 2, 2);
INSERT INTO mov VALUES (3, 1, 3), (3, 2, 0);
INSERT INTO mov VALUES (4, 1, 4), (4, 2, 1);
INSERT INTO mov VALUES (5, 1, 5), (5, 2, NULL);
INSERT INTO mov VALUES (6, 1, 6), (6, 2, 0);
INSERT INTO mov VALUES (7, 1, 7), (7, 2, 1);
INSERT INTO mov VALUES (8, 1, 8), (8, 2, 2);
INSERT INTO mov VALUES (9, 1, 9), (9, 2, 0);
INSERT INTO note VALUES ('a', 1, 'x');
INSERT INTO note VALUES ('A', 2, 'x');
INSERT INTO note VALUES ('007', 3, 'x');
INSERT INTO note VALUES ('7', 4, 'x');
INSERT INTO note VALUES ('a ', 5, 'x');

-- Tables with every kind of value, for statements that a generator makes.

-- case: types
CREATE TYPE mood AS ENUM ('ok', 'bad', 'awful', 'aloof');

-- case: tables
-- pgring: SHARD TABLE a BY (k)
-- pgring: SHARD TABLE b BY (k) COLOCATE WITH a
-- pgring: SHARD TABLE e BY (k)
-- pgring: SHARD TABLE g BY (k) COLOCATE WITH a
-- pgring: REFERENCE TABLE r
CREATE TABLE a (k bigint, id int, s int, n numeric(10,2), f float8, d date, t text, c text COLLATE "C", PRIMARY KEY (k, id));
CREATE TABLE b (k bigint, id int, v smallint, q numeric, f real, ts timestamp, c varchar COLLATE "C", ok boolean, PRIMARY KEY (k, id));
CREATE TABLE e (k text COLLATE "C", id int, s int, f float8, PRIMARY KEY (k, id));
CREATE TABLE g (k bigint, id int, iv interval, at timestamptz, arr int[], j jsonb, u uuid, m mood, tm time, by bytea, de text COLLATE "de-x-icu", w int, PRIMARY KEY (k, id));
CREATE TABLE r (rid int PRIMARY KEY, label text, w numeric(8,2), s int);
CREATE TABLE l (lid int PRIMARY KEY, s int, t text, d date);
CREATE VIEW va AS SELECT k, id, s, t FROM a WHERE s > 0;
CREATE VIEW vb AS SELECT k, count(*) AS n, max(v) AS v FROM b GROUP BY k;

-- case: local rows
INSERT INTO l VALUES (0, 3, 'x', NULL), (1, NULL, 'Ä', '2024-02-29'), (2, 2, NULL, 'infinity'), (5, 7, '', '1999-12-31'), (8, 1, 'é', NULL);

-- case: reference rows
-- servers: INSERT INTO r VALUES (0, 'zero', 0.00, 1), (1, 'Eins', 1.50, NULL), (2, 'deux', NULL, 3), (3, 'Ärger', -2.25, 2), (9, NULL, 100.00, 9)

-- case: rows
INSERT INTO a VALUES
  (-3, 1, 4, 0.00, -0.0, '2024-02-29', 'ä', NULL),
  (-3, 2, -1, 99999999.99, -0.0, '2024-03-01', '', 'it''s');
INSERT INTO a VALUES
  (-1, 1, NULL, -2.25, 2, NULL, '9', '10');
INSERT INTO b VALUES
  (-1, 1, 3, NULL, 0, '-infinity', 'it''s', false),
  (-1, 2, 5, 0.001, -3.75, NULL, 'a b', false),
  (-1, 3, -1, NULL, 'Infinity', '-infinity', '9', NULL);
INSERT INTO a VALUES
  (0, 1, 3, -2.25, 1000.5, NULL, NULL, '9'),
  (0, 2, NULL, -2.25, 1000.5, '0044-03-15 BC', '_x', NULL),
  (0, 3, 0, 10.10, NULL, 'infinity', 'it''s', 'a b');
INSERT INTO a VALUES
  (1, 1, 6, 1.50, 2, '0044-03-15 BC', '9', 'ä');
INSERT INTO b VALUES
  (1, 1, NULL, 0.001, NULL, '2024-01-01 00:00:00.000001', '', NULL);
INSERT INTO a VALUES
  (2, 1, 7, 1.50, 2, '2024-03-01', '', '9'),
  (2, 2, 4, 10.10, NULL, '2024-02-29', 'ä', 'a'),
  (2, 3, -2, NULL, 2, NULL, '', NULL);
INSERT INTO b VALUES
  (2, 1, 0, 2.50, 1000.5, NULL, 'a b', false);
INSERT INTO b VALUES
  (3, 1, NULL, 123456789012345678901234567890, 0.25, '2024-01-01 00:00:00.000001', 'é', true);
INSERT INTO a VALUES
  (4, 1, -1, -2.25, 0.25, 'infinity', 'é', 'ä'),
  (4, 2, 1, 3.00, -3.75, '0044-03-15 BC', '', 'Z'),
  (4, 3, 1, -2.25, 'Infinity', '-infinity', NULL, NULL);
INSERT INTO b VALUES
  (4, 1, 1, 1, 'Infinity', '2024-01-01 00:00:00', 'a', true),
  (4, 2, 0, 2.50, NULL, '-infinity', 'a', true);
INSERT INTO a VALUES
  (5, 1, NULL, 10.10, 0.25, '1999-12-31', '9', 'B');
INSERT INTO b VALUES
  (5, 1, -2, NULL, -0.0, '2024-01-01 00:00:00.000001', 'ä', true),
  (5, 2, NULL, 0.001, 'Infinity', '-infinity', '', false),
  (5, 3, 7, 'NaN', 2, NULL, 'é', NULL);
INSERT INTO a VALUES
  (6, 1, 7, NULL, 0.25, NULL, 'a', '_x'),
  (6, 2, 6, 3.00, 2, NULL, '', 'é');
INSERT INTO b VALUES
  (6, 1, -1, 0.001, 1000.5, '-infinity', 'ä', false),
  (6, 2, 1, 1e3, '-Infinity', '2024-01-01 00:00:00', 'it''s', NULL);
INSERT INTO a VALUES
  (7, 1, -1, 1.50, 'Infinity', NULL, 'a b', 'a'),
  (7, 2, 5, 'NaN', 0.25, '1999-12-31', 'it''s', '_x'),
  (7, 3, NULL, -2.25, 1000.5, '0044-03-15 BC', '10', 'a'),
  (7, 4, NULL, 1.50, -0.0, NULL, 'B', 'B');
INSERT INTO b VALUES
  (7, 1, 2, 0, -0.0, '2024-01-01 00:00:00.000001', 'a', true),
  (7, 2, 2, NULL, -0.0, '2024-01-01 00:00:00', '_x', false);
INSERT INTO a VALUES
  (8, 1, -2, 1.50, 0.25, 'infinity', 'Z', 'é'),
  (8, 2, 2, 'NaN', 'Infinity', '-infinity', NULL, NULL);
INSERT INTO b VALUES
  (8, 1, 1, 0.001, -0.0, '-infinity', 'é', false),
  (8, 2, 2, 0.001, 0.25, 'infinity', 'B', NULL),
  (8, 3, 2, 1, NULL, '1969-07-20 20:17:40', 'Z', false);
INSERT INTO b VALUES
  (9, 1, 2, 123456789012345678901234567890, 'Infinity', '1969-07-20 20:17:40', '', false),
  (9, 2, 0, NULL, 1000.5, '2024-01-01 00:00:00.000001', '', NULL);
INSERT INTO b VALUES
  (10, 1, -2, 123456789012345678901234567890, -3.75, NULL, 'B', false);
INSERT INTO a VALUES
  (11, 1, 5, NULL, 0.25, NULL, 'é', 'é'),
  (11, 2, NULL, 99999999.99, 0, '1999-12-31', '9', '9');
INSERT INTO b VALUES
  (11, 1, NULL, NULL, -0.0, '-infinity', '9', NULL);
INSERT INTO a VALUES
  (12, 1, 5, 10.10, 2, '2024-02-29', 'a', 'a b'),
  (12, 2, -1, 1.50, -3.75, '2024-03-01', 'a b', 'a'),
  (12, 3, 2, 99999999.99, -3.75, NULL, NULL, 'Z');
INSERT INTO b VALUES
  (12, 1, -2, 0, -0.0, '-infinity', 'é', false),
  (12, 2, -1, 0.001, -0.0, '2024-01-01 00:00:00', 'a', false),
  (12, 3, 4, 0.001, NULL, NULL, 'Z', true);
INSERT INTO a VALUES
  (13, 1, 6, 0.00, -3.75, '0044-03-15 BC', 'B', NULL),
  (13, 2, 5, 'NaN', NULL, '-infinity', NULL, '_x'),
  (13, 3, 4, NULL, 0, '-infinity', 'a', '10');
INSERT INTO a VALUES
  (14, 1, 2, -2.25, NULL, '-infinity', 'B', 'Z'),
  (14, 2, 3, -2.25, '-Infinity', '2024-03-01', 'é', 'a');
INSERT INTO a VALUES
  (15, 1, 7, 'NaN', 1000.5, NULL, 'B', 'it''s'),
  (15, 2, 2, 'NaN', 'NaN', 'infinity', 'é', 'a'),
  (15, 3, 0, NULL, 1000.5, '0044-03-15 BC', 'a b', 'é'),
  (15, 4, -1, 99999999.99, NULL, '-infinity', 'ä', 'it''s');
INSERT INTO b VALUES
  (15, 1, 6, 123456789012345678901234567890, 0, '1969-07-20 20:17:40', 'B', true),
  (15, 2, NULL, 'NaN', 1000.5, 'infinity', '', NULL);
INSERT INTO a VALUES
  (16, 1, 5, 10.10, NULL, '1999-12-31', 'a b', 'a'),
  (16, 2, 0, 'NaN', NULL, '2024-03-01', 'a b', NULL);
INSERT INTO b VALUES
  (17, 1, -2, 123456789012345678901234567890, 'NaN', '-infinity', 'a', NULL);
INSERT INTO a VALUES
  (18, 1, 7, -2.25, 0, NULL, 'a b', '_x'),
  (18, 2, 1, 1.50, 0, '2024-03-01', '', NULL);
INSERT INTO b VALUES
  (18, 1, 4, NULL, '-Infinity', '2024-01-01 00:00:00.000001', '_x', false),
  (18, 2, 1, NULL, 2, NULL, 'ä', true);
INSERT INTO a VALUES
  (19, 1, 2, -2.25, NULL, '1999-12-31', 'ä', '9');
INSERT INTO a VALUES
  (20, 1, NULL, 1.50, NULL, '0044-03-15 BC', NULL, NULL),
  (20, 2, 3, 0.00, 'Infinity', '2024-03-01', 'a b', NULL),
  (20, 3, 4, -2.25, -0.0, NULL, '_x', 'a');
INSERT INTO b VALUES
  (20, 1, 1, 123456789012345678901234567890, '-Infinity', NULL, 'ä', false),
  (20, 2, 3, 0, NULL, '-infinity', NULL, NULL),
  (20, 3, NULL, 123456789012345678901234567890, -0.0, 'infinity', '_x', true);
INSERT INTO a VALUES
  (21, 1, 3, -2.25, NULL, '2024-03-01', 'a', NULL),
  (21, 2, 5, 10.10, '-Infinity', '0044-03-15 BC', 'B', 'B');
INSERT INTO a VALUES
  (22, 1, 0, -2.25, 1000.5, '1999-12-31', NULL, 'B'),
  (22, 2, -1, 10.10, 'Infinity', '0044-03-15 BC', 'a', 'a'),
  (22, 3, 4, 'NaN', 0.25, '0044-03-15 BC', '9', 'é'),
  (22, 4, -1, -2.25, 'NaN', '2024-03-01', 'a b', 'ä');
INSERT INTO b VALUES
  (22, 1, 7, -1.5, -3.75, '2024-01-01 00:00:00.000001', 'a', true);
INSERT INTO a VALUES
  (2147483648, 1, 1, -2.25, NULL, '2024-02-29', NULL, '10'),
  (2147483648, 2, -1, 3.00, 'NaN', '2024-03-01', 'a', '10');
INSERT INTO b VALUES
  (2147483648, 1, 3, 1, 'NaN', NULL, 'ä', false),
  (2147483648, 2, 3, 123456789012345678901234567890, NULL, NULL, 'a b', NULL);
INSERT INTO b VALUES
  (-9223372036854775807, 1, 0, -1.5, '-Infinity', '-infinity', '9', true),
  (-9223372036854775807, 2, 7, 'NaN', 'Infinity', '-infinity', 'ä', false);
INSERT INTO a VALUES
  (9223372036854775000, 1, -1, -2.25, 0.25, NULL, NULL, NULL);
INSERT INTO b VALUES
  (9223372036854775000, 1, NULL, 2.50, 0.25, NULL, 'é', true),
  (9223372036854775000, 2, NULL, 0.001, 0, '-infinity', '10', false);
INSERT INTO e VALUES
  ('a', 1, 7, 0.25);
INSERT INTO e VALUES
  ('A', 1, 7, 1000.5);
INSERT INTO e VALUES
  ('', 1, -2, 2);
INSERT INTO e VALUES
  (' a', 1, -1, NULL);
INSERT INTO e VALUES
  ('a ', 1, NULL, 0);
INSERT INTO e VALUES
  ('ä', 1, NULL, 2),
  ('ä', 2, 2, 'NaN');
INSERT INTO e VALUES
  ('it''s', 1, 3, 1000.5);
INSERT INTO e VALUES
  ('007', 1, NULL, 1000.5);
INSERT INTO e VALUES
  ('7', 1, 7, 1000.5),
  ('7', 2, 5, -0.0),
  ('7', 3, NULL, -0.0);
INSERT INTO e VALUES
  ('x\y', 1, -2, NULL),
  ('x\y', 2, NULL, 'Infinity'),
  ('x\y', 3, 6, NULL);
INSERT INTO e VALUES
  ('zz', 1, 0, NULL),
  ('zz', 2, NULL, -0.0),
  ('zz', 3, 5, 0.25);
INSERT INTO e VALUES
  ('NULL', 1, NULL, 'NaN');
INSERT INTO g VALUES
  (-3, 1, NULL, 'infinity', NULL, '{"o": "s"}', '11111111-2222-3333-4444-555555555555', 'aloof', '12:30:00.000001', '\x', 'z', -1),
  (-3, 2, '1 mon', '-infinity', NULL, '{"n": 3, "o": {"x": null}}', NULL, NULL, '00:00', NULL, 'Z', NULL),
  (-3, 3, NULL, '2024-03-31 03:30+02', '{3}', '{"t": null, "l": [1, "z"]}', '00000000-0000-0000-0000-000000000000', 'aloof', '12:30:00.000001', '\x', 'z', 7);
INSERT INTO g VALUES
  (-1, 1, '-3 hours', '2024-03-31 01:30+00', NULL, '{"n": 1, "t": "a"}', '00000000-0000-0000-0000-000000000000', 'bad', '12:30:00.000001', '\x00', 'ö', 3),
  (-1, 2, '-3 hours', '0044-03-15 BC', '{-1,7,7}', '{"o": "s"}', '00000000-0000-0000-0000-000000000000', 'bad', '12:30:00.000001', '\x61', 'ö', NULL);
INSERT INTO g VALUES
  (0, 1, '2 years', '2024-03-31 03:30+02', '{1,2,3}', '{"t": null, "l": [1, "z"]}', '11111111-2222-3333-4444-555555555555', 'awful', '23:59:59', NULL, 'a b', NULL),
  (0, 2, '00:00:01.5', '1999-12-31 23:59:59.999999+00', '{-1,7,7}', '{"t": null, "l": [1, "z"]}', '11111111-2222-3333-4444-555555555555', 'awful', '23:59:59', '\xff00', '', 3),
  (0, 3, '-3 hours', '-infinity', '{3}', '{"o": "s"}', '00000000-0000-0000-0000-000000000000', 'ok', '23:59:59', '\x', 'ss', 5);
INSERT INTO g VALUES
  (1, 1, '00:00:01.5', NULL, '{3}', '{"t": null, "l": [1, "z"]}', NULL, NULL, '00:00', '\x61', 'a', 0);
INSERT INTO g VALUES
  (2, 1, '1 day', NULL, '{1,2,3}', NULL, NULL, 'awful', NULL, '\xff00', NULL, 2),
  (2, 2, '0', '-infinity', '{}', '{"n": -2, "t": "Ä", "l": []}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'awful', '00:00', '\x61', 'Ä', 1);
INSERT INTO g VALUES
  (4, 1, '00:00:01.5', '0044-03-15 BC', '{NULL,3}', '{"n": 3, "o": {"x": null}}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'awful', NULL, '\x', 'ö', 3),
  (4, 2, '1 mon', '2024-03-31 03:30+02', NULL, '{"n": 1, "t": "a"}', '00000000-0000-0000-0000-000000000000', 'awful', '24:00', '\x00', 'a', -1),
  (4, 3, '00:00:01.5', '0044-03-15 BC', '{3}', '{"n": 1, "t": "a"}', '00000000-0000-0000-0000-000000000000', NULL, '23:59:59', '\xff00', '', 5);
INSERT INTO g VALUES
  (5, 1, '1 day', '1999-12-31 23:59:59.999999+00', '{}', NULL, NULL, 'awful', '12:30:00.000001', '\x00', 'a b', 0),
  (5, 2, NULL, NULL, '{3}', '{"n": 1, "t": "a"}', '00000000-0000-0000-0000-000000000000', 'aloof', '23:59:59', '\x00', 'a', 5);
INSERT INTO g VALUES
  (6, 1, '-3 hours', '-infinity', '{1,2}', NULL, '00000000-0000-0000-0000-000000000000', NULL, '24:00', '\x61', 'ss', 7),
  (6, 2, '1 mon', 'infinity', '{3}', '{}', '00000000-0000-0000-0000-000000000000', 'ok', '24:00', NULL, 'z', 7),
  (6, 3, '0', 'infinity', '{1,2,3}', '{"n": 1, "t": "a"}', NULL, 'awful', NULL, NULL, NULL, 3);
INSERT INTO g VALUES
  (7, 1, '0', NULL, NULL, '{"t": null, "l": [1, "z"]}', '11111111-2222-3333-4444-555555555555', 'awful', '23:59:59', NULL, 'a-b', 2);
INSERT INTO g VALUES
  (8, 1, '1 mon', NULL, '{-1,7,7}', '{"o": "s"}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'awful', '12:30:00.000001', NULL, 'a', 7),
  (8, 2, '00:00:01.5', NULL, '{NULL,3}', '{"t": null, "l": [1, "z"]}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'aloof', '23:59:59', NULL, 'a-b', 3),
  (8, 3, '1 mon', 'infinity', '{-1,7,7}', '{"t": null, "l": [1, "z"]}', NULL, 'awful', '12:30:00.000001', '\x61', 'ss', 3),
  (8, 4, '00:00:01.5', '2024-03-31 03:30+02', '{1,2}', '{"n": 3, "o": {"x": null}}', '00000000-0000-0000-0000-000000000000', 'awful', '24:00', '\xff00', 'Ä', 5);
INSERT INTO g VALUES
  (11, 1, '00:00:01.5', NULL, '{1,2}', '{"n": -2, "t": "Ä", "l": []}', NULL, 'awful', NULL, NULL, 'a-b', 2),
  (11, 2, NULL, '2024-03-31 01:30+00', '{1,2,3}', '{"n": 3, "o": {"x": null}}', NULL, NULL, '12:30:00.000001', '\x00', 'a-b', 0);
INSERT INTO g VALUES
  (12, 1, '2 years', '2024-03-31 03:30+02', '{1,2,3}', '{"n": 1, "t": "a"}', '00000000-0000-0000-0000-000000000000', 'ok', '23:59:59', '\x00', '', 1);
INSERT INTO g VALUES
  (13, 1, '2 years', '-infinity', '{NULL,3}', '{}', '11111111-2222-3333-4444-555555555555', NULL, '12:30:00.000001', '\x00', 'ss', NULL);
INSERT INTO g VALUES
  (15, 1, '2 years', 'infinity', NULL, '{}', '11111111-2222-3333-4444-555555555555', NULL, '23:59:59', '\x', NULL, 2),
  (15, 2, '1 day', 'infinity', '{1,2}', '{"n": -2, "t": "Ä", "l": []}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, '23:59:59', '\xff00', 'z', 5),
  (15, 3, '2 years', NULL, '{1,2}', '{"o": "s"}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'aloof', '12:30:00.000001', '\x00', 'a b', 5);
INSERT INTO g VALUES
  (18, 1, '-3 hours', '2024-03-31 03:30+02', '{1,2}', '{"n": 1, "t": "a"}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'ok', '24:00', '\x', 'ss', 0),
  (18, 2, '1 mon', '1999-12-31 23:59:59.999999+00', '{1,2}', '{}', NULL, 'aloof', '12:30:00.000001', '\x61', 'ö', 7),
  (18, 3, NULL, '-infinity', '{3}', NULL, '00000000-0000-0000-0000-000000000000', NULL, NULL, '\xff00', 'ö', 7),
  (18, 4, '1 mon', '-infinity', '{}', '{"t": null, "l": [1, "z"]}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'aloof', '23:59:59', '\x00', '', NULL);
INSERT INTO g VALUES
  (20, 1, NULL, '0044-03-15 BC', '{3}', '{"n": 3, "o": {"x": null}}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'ok', '12:30:00.000001', '\x61', 'a', 7);
INSERT INTO g VALUES
  (22, 1, '-3 hours', '-infinity', NULL, '{"n": 1, "t": "a"}', '00000000-0000-0000-0000-000000000000', 'aloof', '23:59:59', '\x00', 'ö', 2),
  (22, 2, '2 years', '0044-03-15 BC', '{3}', '{"n": -2, "t": "Ä", "l": []}', '11111111-2222-3333-4444-555555555555', 'ok', '12:30:00.000001', '\xff00', 'ö', 3),
  (22, 3, '00:00:01.5', 'infinity', '{-1,7,7}', '{"n": -2, "t": "Ä", "l": []}', '11111111-2222-3333-4444-555555555555', 'aloof', '23:59:59', '\xff00', 'a-b', 0);
INSERT INTO g VALUES
  (24, 1, '1 day', 'infinity', '{1,2}', '{}', '11111111-2222-3333-4444-555555555555', NULL, '12:30:00.000001', '\x', 'ß', 5);
INSERT INTO g VALUES
  (2147483648, 1, '0', NULL, '{3}', '{}', NULL, 'bad', '23:59:59', '\x61', 'Ä', 2),
  (2147483648, 2, '0', '2024-03-31 01:30+00', '{-1,7,7}', NULL, NULL, NULL, '23:59:59', '\x61', 'ö', 0),
  (2147483648, 3, '-3 hours', '-infinity', '{-1,7,7}', '{"n": -2, "t": "Ä", "l": []}', NULL, 'awful', NULL, '\x00', 'ß', NULL),
  (2147483648, 4, '1 day', '1999-12-31 23:59:59.999999+00', '{1,2,3}', '{"t": null, "l": [1, "z"]}', '11111111-2222-3333-4444-555555555555', 'ok', '00:00', '\xff00', 'ß', -1);
INSERT INTO g VALUES
  (9223372036854775000, 1, NULL, '-infinity', '{}', '{"n": 1, "t": "a"}', '11111111-2222-3333-4444-555555555555', 'bad', NULL, '\x', 'z', 2),
  (9223372036854775000, 2, NULL, '-infinity', '{1,2,3}', '{"n": 3, "o": {"x": null}}', '00000000-0000-0000-0000-000000000000', 'aloof', '12:30:00.000001', '\x', 'a b', 1),
  (9223372036854775000, 3, '1 day', '0044-03-15 BC', '{}', '{"o": "s"}', NULL, 'ok', '23:59:59', '\x', 'a b', -1),
  (9223372036854775000, 4, NULL, '-infinity', '{1,2}', '{"n": 3, "o": {"x": null}}', '11111111-2222-3333-4444-555555555555', 'aloof', '00:00', '\xff00', 'a-b', 7);

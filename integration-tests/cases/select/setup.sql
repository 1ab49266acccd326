-- The survey: what every case file of this folder begins with. Two tables of one group (by bigint), one by text, one by uuid, an
-- empty one, a reference table, a local one. Each holds NULLs, equal values, and the ends of its types. Float values are sums
-- of powers of two, so that their sums do not depend on an order, unless a column says so (drift).

-- case: types
CREATE TYPE mood AS ENUM ('calm', 'brisk', 'angry', 'bored');
CREATE TYPE dims AS (w int, h numeric, tag text);
CREATE DOMAIN pct AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN code AS text COLLATE "C" CHECK (length(VALUE) < 9);

-- case: tables
-- pgring: SHARD TABLE site BY (site_id)
-- pgring: SHARD TABLE visit BY (site_id)
-- pgring: SHARD TABLE item BY (sku)
-- pgring: SHARD TABLE event BY (event_id)
-- pgring: SHARD TABLE void BY (k)
-- pgring: REFERENCE TABLE region
CREATE TABLE site (
  site_id bigint PRIMARY KEY,
  name text,
  code text COLLATE "C",
  region_id int,
  opened date,
  area numeric(12,3),
  odd numeric,
  score float8,
  drift float8,
  grade int,
  active boolean,
  tags text[],
  parent bigint
);
CREATE TABLE visit (
  site_id bigint NOT NULL,
  visit_id int NOT NULL,
  mood mood,
  amount numeric(10,2),
  qty smallint,
  at timestamptz,
  took interval,
  payload jsonb,
  guest varchar(20),
  paid boolean NOT NULL DEFAULT false,
  PRIMARY KEY (site_id, visit_id)
);
CREATE TABLE item (
  sku text COLLATE "C" PRIMARY KEY,
  label text,
  price numeric(8,2),
  weight real,
  attrs jsonb,
  maker bigint,
  size dims,
  span int4range,
  blob bytea,
  share pct,
  short code
);
CREATE TABLE event (
  event_id uuid PRIMARY KEY,
  site_id bigint,
  sku text COLLATE "C",
  at timestamp,
  level smallint,
  mood mood,
  moods mood[],
  codes int[],
  doc json,
  clock time,
  bits bit(4),
  net inet,
  wide char(6)
);
CREATE TABLE void (k bigint PRIMARY KEY, v int, t text, n numeric, f float8);
CREATE TABLE region (region_id int PRIMARY KEY, name text, factor numeric(6,3), parent int);
CREATE TABLE quarter (first date PRIMARY KEY, label text NOT NULL, region_id int, weight int);
CREATE INDEX visit_at ON visit (at);

-- case: views and functions
CREATE VIEW v_site AS SELECT site_id, name, grade, region_id FROM site WHERE active;
CREATE VIEW v_total AS SELECT site_id, count(*) AS visits, sum(amount) AS total FROM visit GROUP BY site_id;
CREATE VIEW v_grade AS SELECT grade, count(*) AS sites FROM site GROUP BY grade;
CREATE VIEW v_joined AS SELECT s.site_id, s.grade, v.visit_id, v.amount FROM site s JOIN visit v USING (site_id);
CREATE VIEW v_region (id, title) AS SELECT region_id, upper(name) FROM region;
CREATE VIEW v_over AS SELECT g.site_id, t.total FROM v_site g LEFT JOIN v_total t ON t.site_id = g.site_id;
CREATE VIEW v_mixed AS SELECT site_id AS n FROM site UNION SELECT maker FROM item;
CREATE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
CREATE FUNCTION shout(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN upper(t) || '!'; END $$;

-- case: rows that are everywhere, and rows of one server
-- servers: INSERT INTO region VALUES (0, 'Nord', 1.000, NULL), (1, 'süd', 0.500, 0), (2, 'Ost', 2.250, 0), (3, 'west', NULL, 1), (4, NULL, 0.125, 9), (8, 'Übersee', -1.000, 2), (9, 'ost', 1.000, NULL)
INSERT INTO quarter VALUES ('2020-01-01', 'Q1', 0, 1), ('2020-04-01', 'Q2', 1, 2), ('2020-07-01', 'Q3', NULL, 3), ('2020-10-01', 'Q4', 3, NULL), ('2021-01-01', 'Q5', 8, 5), ('2022-01-01', 'Q9', 7, 9);

-- case: sites
-- fill: site
SELECT CASE WHEN g <= 150 THEN g WHEN g <= 170 THEN 150 - g WHEN g <= 185 THEN (g - 170) * 4294967296
            WHEN g = 186 THEN 9223372036854775807 WHEN g = 187 THEN -9223372036854775808 WHEN g = 188 THEN 0
            ELSE g * 1000003 END,
       (ARRAY['Oslo', 'oslo', 'Åre', 'Zürich', 'zurich', 'Ærø', '', 'a b', 'a-b', 'ab', 'AB', 'naïve', 'naive', '10', '9',
              'Ω', 'Łódź', NULL])[1 + g % 18],
       CASE WHEN g % 13 = 0 THEN NULL ELSE substr(md5(g::text), 1, 1 + g % 4) END,
       nullif(g % 7, 6),
       CASE g % 23 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN NULL WHEN 3 THEN '0044-03-15 BC'
                   ELSE date '2020-01-01' + g * 37 % 900 END,
       CASE WHEN g % 19 = 0 THEN NULL ELSE ((g * 7919) % 10007) / 8.0 END,
       CASE g % 12 WHEN 0 THEN 'NaN' WHEN 1 THEN NULL WHEN 2 THEN 1.0 WHEN 3 THEN 1.00 WHEN 4 THEN 'Infinity' WHEN 5 THEN '-Infinity'
                   WHEN 6 THEN 0.0000000001 WHEN 7 THEN 123456789012345678901234567890.5 WHEN 8 THEN 0 WHEN 9 THEN -0.50
                   ELSE g END,
       CASE g % 10 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0'::float8 WHEN 2 THEN 0 WHEN 3 THEN 'Infinity' WHEN 4 THEN NULL
                   WHEN 5 THEN '-Infinity' ELSE (g % 64) / 8.0 END,
       1.0 / (g + 2)::float8,
       CASE WHEN g % 17 = 0 THEN NULL ELSE g % 11 - 3 END,
       CASE WHEN g % 5 = 4 THEN NULL ELSE g % 3 = 0 END,
       CASE g % 6 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY['x', NULL] WHEN 3 THEN ARRAY['y', 'x']
                  ELSE ARRAY['t' || g % 4, 'a "b"', 'ü'] END,
       CASE WHEN g % 4 = 0 THEN NULL ELSE g / 2 END
FROM generate_series(1, 200) g;

-- case: visits
-- fill: visit
SELECT (g * g + g / 3) % 160 + 1, g,
       CASE WHEN g % 9 = 0 THEN NULL ELSE (enum_range(NULL::mood))[1 + g % 4] END,
       CASE WHEN g % 14 = 0 THEN NULL ELSE ((g * 7877) % 30011 - 5000) / 100.0 END,
       CASE WHEN g % 8 = 7 THEN NULL ELSE g % 6 - 1 END,
       CASE g % 31 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity'
                   ELSE timestamptz '2021-03-27 22:00+00' + (g * 53 % 400) * interval '37 min' END,
       CASE WHEN g % 10 = 3 THEN NULL ELSE (g % 3) * interval '1 mon' + (g % 29) * interval '1 day' - (g % 7) * interval '90 min' END,
       CASE WHEN g % 11 = 0 THEN NULL WHEN g % 11 = 1 THEN 'null' ELSE jsonb_build_object('n', g % 5, 'tags', jsonb_build_array(g % 2, 'x'), 'who',
            CASE WHEN g % 3 = 0 THEN NULL ELSE 'p' || g % 7 END) END,
       CASE WHEN g % 12 = 0 THEN NULL ELSE (ARRAY['Ann', 'ann', 'Änne', 'Bo', 'bo', 'Zoë', ''])[1 + g % 7] END,
       g % 4 = 1
FROM generate_series(1, 560) g;

-- case: items
-- fill: item
SELECT CASE WHEN g > 12 THEN 'S' || lpad((g * 7)::text, 4, '0')
            ELSE (ARRAY['', ' a', 'a', 'A', 'ä', 'a ', '007', '7', 'it''s', 'x\y', '%', 'Z'])[g] END,
       CASE WHEN g % 16 = 0 THEN NULL ELSE (ARRAY['bolt', 'Bolt', 'nut', 'Öse', 'ose', 'pin'])[1 + g % 6] || ' ' || g % 9 END,
       CASE WHEN g % 15 = 0 THEN NULL ELSE (g * 389 % 5003) / 20.0 END,
       CASE g % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN NULL WHEN 2 THEN 'Infinity' WHEN 3 THEN '-0'::real ELSE (g % 32) / 4.0 END,
       CASE WHEN g % 10 = 0 THEN NULL ELSE jsonb_build_object('color', (ARRAY['red', 'blue', NULL])[1 + g % 3], 'n', g % 4, 'deep',
            jsonb_build_object('a', jsonb_build_array(1, g))) END,
       CASE WHEN g % 8 = 0 THEN NULL WHEN g % 8 = 1 THEN 100000 + g ELSE g END,
       CASE WHEN g % 7 = 0 THEN NULL ELSE ROW(g % 5, (g % 4) / 2.0, CASE WHEN g % 3 = 0 THEN NULL ELSE 't,' || g % 3 END)::dims END,
       CASE g % 6 WHEN 0 THEN NULL WHEN 1 THEN 'empty' WHEN 2 THEN int4range(NULL, g % 10) ELSE int4range(g % 10, g % 10 + g % 5 + 1) END,
       CASE WHEN g % 5 = 0 THEN NULL ELSE decode(substr(md5(g::text), 1, 2 * (g % 4)), 'hex') END,
       CASE WHEN g % 6 = 5 THEN NULL ELSE g * 3 % 101 END,
       CASE WHEN g % 9 = 0 THEN NULL ELSE 'c' || g % 21 END
FROM generate_series(1, 140) g;

-- case: events
-- fill: event
SELECT md5('event ' || g)::uuid,
       CASE WHEN g % 10 = 0 THEN NULL ELSE (g * 11) % 180 - 10 END,
       CASE WHEN g % 9 = 0 THEN NULL WHEN g % 9 = 1 THEN 'a' ELSE 'S' || lpad((g * 7 % 1100)::text, 4, '0') END,
       CASE g % 25 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity'
                   ELSE timestamp '2019-12-31 23:00' + (g * 71 % 500) * interval '3 hours 1 second' END,
       CASE WHEN g % 13 = 0 THEN NULL ELSE g % 5 END,
       CASE WHEN g % 8 = 0 THEN NULL ELSE (enum_range(NULL::mood))[1 + (g / 2) % 4] END,
       CASE g % 7 WHEN 0 THEN NULL WHEN 1 THEN '{}' ELSE ARRAY['angry', NULL, 'calm']::mood[] END,
       CASE g % 6 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN '{{1,2},{3,4}}' ELSE ARRAY[g % 3, NULL, g % 4] END,
       CASE WHEN g % 5 = 0 THEN NULL ELSE format('{"g": %s, "g" : "twice",  "l":[%s, null]}', g % 4, g % 3)::json END,
       CASE WHEN g % 12 = 0 THEN NULL ELSE time '00:00' + (g * 47 % 1440) * interval '1 min' END,
       CASE WHEN g % 14 = 0 THEN NULL ELSE (g % 16)::bit(4) END,
       CASE WHEN g % 11 = 0 THEN NULL ELSE ('10.' || g % 3 || '.0.' || g % 20 || '/' || 24 + g % 9)::inet END,
       CASE WHEN g % 15 = 0 THEN NULL ELSE (ARRAY['a', 'B', 'ab ', 'ä'])[1 + g % 4] END
FROM generate_series(1, 240) g;

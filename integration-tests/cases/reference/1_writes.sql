-- Writes to reference tables.

-- case: rows
INSERT INTO country VALUES ('de', 'Germany', '1949-05-23'), ('fr', 'France', NULL);
INSERT INTO country (title, code) VALUES ('Italy', 'it') RETURNING *;
INSERT INTO country SELECT 'x' || n, 'Land ' || n, date '1990-01-01' + n * 1000 FROM generate_series(1, 9) AS n;
INSERT INTO country AS c (code, title) VALUES ('es', 'Spain') RETURNING c.code, upper(title) AS big, c.since IS NULL;
TABLE country;
UPDATE country SET title = upper(title) WHERE code LIKE 'x%' AND since > '2000-01-01';
UPDATE country AS c SET since = since + 1 WHERE since IS NOT NULL RETURNING code, since;
DELETE FROM country WHERE code IN ('x1', 'x2') RETURNING title;
DELETE FROM country WHERE false;
DELETE FROM country WHERE code = 'nowhere' RETURNING *;
UPDATE country SET title = c.title || '!' FROM (SELECT code, title FROM country) AS c WHERE c.code = country.code AND c.code = 'x3' RETURNING *;
DELETE FROM country USING region WHERE region.id = 7;
SELECT count(*), max(title) FROM country;

-- case: conflicts
INSERT INTO country VALUES ('de', 'Deutschland') ON CONFLICT DO NOTHING;
INSERT INTO country VALUES ('de', 'Deutschland'), ('pt', 'Portugal') ON CONFLICT (code) DO NOTHING RETURNING code;
INSERT INTO country VALUES ('de', 'Deutschland'), ('at', 'Austria') ON CONFLICT (code) DO UPDATE SET title = excluded.title RETURNING *;
INSERT INTO country VALUES ('de', 'Never') ON CONFLICT (code) DO UPDATE SET title = excluded.title WHERE country.code = 'fr';
INSERT INTO country VALUES ('nl', 'Austria') ON CONFLICT (title) DO UPDATE SET since = '1995-01-01' RETURNING code;
INSERT INTO country VALUES ('ch', 'Austria') ON CONFLICT (title) DO UPDATE SET code = excluded.code RETURNING code, title;
SELECT * FROM country ORDER BY code;

-- case: defaults that are volatile
INSERT INTO plan (name) VALUES ('free'), ('paid') RETURNING plan_id, name, price, gross;
INSERT INTO plan DEFAULT VALUES RETURNING plan_id, token IS NOT NULL, made = now();
INSERT INTO plan (name, feeling, tags, factor) VALUES ('full', 'happy', '{a,"b c"}', 0.1::float8 + 0.2) RETURNING plan_id, feeling, tags, factor;
UPDATE plan SET token = gen_random_uuid(), made = now(), price = price + 1 WHERE name = 'paid' RETURNING gross;
UPDATE plan SET feeling = 'sad', tags = NULL WHERE plan_id > 2;
SELECT plan_id, name, price, gross, feeling, tags, factor FROM plan ORDER BY plan_id;
INSERT INTO feature SELECT plan_id, 'basic', 'a' FROM plan;
INSERT INTO feature VALUES (1, 'more', 'b'), (2, 'more', 'bcd');
UPDATE feature SET grade = 'zz' WHERE label = 'more' RETURNING *;
SELECT count(DISTINCT plan_id) FROM feature;

-- case: keys that change
UPDATE country SET code = 'uk' WHERE code = 'x5';
UPDATE country SET code = 'y' || code WHERE code LIKE 'x%' RETURNING code;
UPDATE region SET id = id + 1;
INSERT INTO region SELECT n, n FROM generate_series(1, 5) AS n;
UPDATE region SET id = id + 10 RETURNING *;
UPDATE region SET (id, rank) = (id - 5, rank * 2) WHERE id > 13;
SELECT * FROM region ORDER BY id;

-- case: triggers
INSERT INTO noted (body) VALUES ('one'), ('two'), ('three') RETURNING *;
UPDATE noted SET body = body || '!' WHERE id < 3 RETURNING *;
DELETE FROM noted WHERE body = 'three';
SELECT * FROM noted ORDER BY id;
SELECT what, count(*) FROM audit GROUP BY what;
INSERT INTO noted (id, body) OVERRIDING SYSTEM VALUE VALUES (100, 'given') RETURNING id;
INSERT INTO tree VALUES (1, NULL);
INSERT INTO tree VALUES (2, 1), (3, 1), (4, 2);
SELECT * FROM tree ORDER BY id;

-- case: statements that hide what they write
WITH gone AS (DELETE FROM region WHERE rank > 3 RETURNING id) SELECT count(*) FROM gone;
WITH new AS (INSERT INTO region VALUES (50, 5) RETURNING *) UPDATE country SET title = title || '?' FROM new WHERE code = 'fr' RETURNING code, new.id;
WITH new AS (INSERT INTO region VALUES (60, 6) RETURNING id) INSERT INTO audit SELECT 'region ' || id FROM new;
SELECT new_region(70);
SELECT new_region(n) FROM generate_series(80, 83) AS n;
DO $$ BEGIN UPDATE region SET rank = 0 WHERE id = 80; DELETE FROM region WHERE id = 81; END $$;
UPDATE old_country SET title = 'Old ' || title RETURNING *;
INSERT INTO old_country VALUES ('dd', 'East');
DELETE FROM ONLY region WHERE id = 82;
MERGE INTO region AS r USING (VALUES (83, 1), (84, 2), (85, 3)) AS v (id, rank) ON r.id = v.id WHEN MATCHED THEN UPDATE SET rank = v.rank WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.rank);
SELECT * FROM region ORDER BY id;

-- case: transactions
BEGIN;
INSERT INTO region VALUES (200, 1);
SELECT rank FROM region WHERE id = 200;
SAVEPOINT a;
UPDATE region SET rank = 2 WHERE id = 200;
ROLLBACK TO a;
UPDATE region SET rank = rank + 10 WHERE id = 200 RETURNING rank;
COMMIT;
SELECT * FROM region WHERE id = 200;
BEGIN;
DELETE FROM region;
INSERT INTO region VALUES (1, 1);
ROLLBACK;
SELECT count(*) FROM region;

-- case: parameters
-- params: ["bb", "Barbados", null]
INSERT INTO country VALUES ($1, $2, $3) RETURNING code, since;
-- params: ["bb", "1966-11-30"]
UPDATE country SET since = $2 WHERE code = $1 RETURNING *;
-- params: ["9.99", "free"]
UPDATE plan SET price = $1 WHERE name = $2 RETURNING price, gross;
-- params: ["bb"]
DELETE FROM country WHERE code = $1;

-- case: rows of other tables that refer to them
INSERT INTO account VALUES (1, 'de', 1);
INSERT INTO account VALUES (2, 'fr', 2);
INSERT INTO account VALUES (3, 'de', 2);
INSERT INTO account VALUES (4, 'pt', NULL);
INSERT INTO account VALUES (5, 'pt', 1);
INSERT INTO account VALUES (6, 'pt', 3);
DELETE FROM plan WHERE plan_id = 1;
SELECT account_id, plan_id FROM account ORDER BY account_id;
DELETE FROM plan WHERE name = 'paid' RETURNING plan_id;
SELECT account_id, plan_id FROM account ORDER BY account_id;
SELECT count(*) FROM feature;

-- case: errors
-- expect: error
INSERT INTO country VALUES ('de', 'Again');
INSERT INTO country VALUES ('zz', NULL);
INSERT INTO feature VALUES (99, 'none', NULL);
UPDATE country SET title = 'France';
DELETE FROM country WHERE code = 'de';
DELETE FROM country WHERE code = 'fr';
DELETE FROM country WHERE code = 'pt';
UPDATE country SET code = 'gg' WHERE code = 'pt';
INSERT INTO country VALUES (1, 2, 3, 4);
INSERT INTO country (nothing) VALUES (1);
UPDATE country SET title = 1 / 0;
UPDATE country SET title = nothing RETURNING code;
SELECT new_region(200);
INSERT INTO region VALUES (1), ('x');
INSERT INTO noted (id, body) VALUES (101, 'given');
-- expect: same
SELECT count(*), count(DISTINCT title) FROM country;

-- case: plans
-- compare: columns
EXPLAIN INSERT INTO region VALUES (300, 1);
-- compare: columns
EXPLAIN (ANALYZE, COSTS off, TIMING off) INSERT INTO region VALUES (301, 1);
SELECT id FROM region WHERE id >= 300;

-- case: refused
-- expect: refused
INSERT INTO keyless VALUES (1);
INSERT INTO region SELECT account_id, 1 FROM account;
UPDATE country SET title = 'x' WHERE code IN (SELECT country FROM account);

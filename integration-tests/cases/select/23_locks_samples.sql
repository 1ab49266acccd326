-- Locking clauses, samples, system columns: exact where that is possible, refused elsewhere.

-- case: locks
BEGIN;
SELECT site_id FROM site WHERE site_id = 3 FOR UPDATE;
SELECT visit_id FROM visit WHERE site_id = 11 FOR SHARE NOWAIT;
SELECT site_id FROM site WHERE site_id IN (1, 2, 3, 4) FOR UPDATE;
SELECT site_id FROM site WHERE grade = 3 FOR NO KEY UPDATE SKIP LOCKED;
SELECT site_id FROM site WHERE grade = 3 ORDER BY site_id FOR KEY SHARE;
ROLLBACK;

-- case: locks with limits and joins
BEGIN;
-- may refuse
SELECT site_id FROM site ORDER BY site_id LIMIT 3 FOR UPDATE;
ROLLBACK;
BEGIN;
SELECT s.site_id, v.visit_id FROM site s JOIN visit v USING (site_id) WHERE s.grade = 7 FOR UPDATE OF v;
ROLLBACK;
BEGIN;
SELECT s.site_id FROM site s JOIN event e ON e.site_id = s.site_id WHERE e.level = 4 FOR SHARE OF s;
ROLLBACK;

-- case: locks that make no sense
-- expect: error
SELECT count(*) FROM site FOR UPDATE;
SELECT DISTINCT grade FROM site FOR UPDATE;
SELECT site_id FROM site FOR UPDATE OF visit;
SELECT grade FROM site UNION SELECT 1 FOR UPDATE;

-- case: samples
-- may refuse
SELECT count(*) FROM site TABLESAMPLE BERNOULLI (100);
SELECT site_id FROM site TABLESAMPLE SYSTEM (100) WHERE site_id = 5;
-- may refuse
SELECT count(*) FROM visit TABLESAMPLE BERNOULLI (0) REPEATABLE (5);
-- compare: columns
-- may refuse
SELECT site_id, name FROM site TABLESAMPLE BERNOULLI (50) LIMIT 1;

-- case: inheritance and system columns
SELECT count(*) FROM ONLY site;
SELECT site_id FROM ONLY site WHERE site_id = 3;
-- may refuse
SELECT count(*) FROM site WHERE tableoid = 'site'::regclass;
-- may refuse
SELECT DISTINCT tableoid::regclass::text FROM site;
-- may refuse
SELECT count(*) FROM site WHERE ctid IS NOT NULL;
SELECT count(ctid) FROM site WHERE site_id = 3;

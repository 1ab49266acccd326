-- Whole rows as values, ONLY, what a session and its transaction have of their own beside sharded tables.

-- case: ONLY of tables without children
SELECT count(*) FROM ONLY site;
SELECT site_id, name FROM ONLY site WHERE site_id = 7;
SELECT s.site_id, v.visit_id FROM ONLY site s JOIN ONLY visit v USING (site_id) WHERE v.qty = 1;
SELECT count(DISTINCT grade) FROM ONLY site;
SELECT grade, count(*) FROM ONLY public.site GROUP BY grade ORDER BY grade;
SELECT (SELECT max(e.level) FROM ONLY event e), count(*) FROM ONLY site;

-- case: whole rows of tables
SELECT s FROM site s WHERE s.site_id < 6 ORDER BY s.site_id;
SELECT s, s.grade FROM site s WHERE s.grade = 3 ORDER BY s.site_id LIMIT 4;
SELECT site FROM site WHERE site_id IN (1, 2, 9);
SELECT count(s), count(*) FROM site s;
SELECT s IS NULL, count(*) FROM site s GROUP BY 1;
SELECT s IS NOT NULL, count(*) FROM site s GROUP BY 1 ORDER BY 1;
SELECT (s).name FROM site s ORDER BY (s).site_id LIMIT 3;
SELECT s::text FROM site s WHERE s.site_id BETWEEN 3 AND 6 ORDER BY s.site_id;
SELECT q.s FROM (SELECT s FROM site s WHERE s.grade = 3) q ORDER BY (q.s).site_id;
SELECT a.site_id FROM site a JOIN site b ON a = b WHERE a.site_id < 12 ORDER BY 1;
WITH w AS (SELECT s, s.site_id AS k FROM site s WHERE s.site_id < 9) SELECT w.s FROM w ORDER BY w.k;
SELECT s.site_id, v IS NULL FROM site s LEFT JOIN visit v USING (site_id) WHERE s.site_id IN (1, 2, 3) ORDER BY 1, 2;
SELECT row_to_json(s)::text FROM site s WHERE s.site_id < 4 ORDER BY s.site_id;
SELECT CASE WHEN s.grade > 3 THEN s END FROM site s WHERE s.site_id < 9 ORDER BY s.site_id;
SELECT to_jsonb(e)->>'level', count(*) FROM event e GROUP BY 1 ORDER BY 1;

-- case: whole rows of views
SELECT v FROM v_site v WHERE v.site_id < 5 ORDER BY v.site_id;
SELECT t FROM v_total t WHERE t.site_id < 9 ORDER BY t.site_id;
SELECT count(v) FROM v_site v;

-- case: whole rows within others
-- may refuse
SELECT ROW(s, 1) FROM site s WHERE s.site_id < 3;
-- may refuse
SELECT q FROM (SELECT s FROM site s) q WHERE (q.s).site_id < 3;
-- may refuse
SELECT ARRAY[s] FROM site s WHERE s.site_id < 3 ORDER BY s.site_id;

-- case: behind SET LOCAL
BEGIN;
SET LOCAL DateStyle = 'German, DMY';
SET LOCAL extra_float_digits = 0;
SAVEPOINT a;
SET LOCAL intervalstyle = 'iso_8601';
SELECT opened, count(DISTINCT grade) FROM site GROUP BY opened ORDER BY opened;
SELECT max(opened), min(opened), count(DISTINCT name) FROM site;
SELECT rank() OVER (ORDER BY area), area / 3 FROM site WHERE site_id < 30 ORDER BY 1, 2;
ROLLBACK TO a;
SELECT count(DISTINCT name), current_setting('intervalstyle') FROM site;
COMMIT;
BEGIN;
SELECT set_config('app.tenant', '3', true);
SELECT count(DISTINCT name) FROM site WHERE grade = current_setting('app.tenant')::int;
ROLLBACK;
BEGIN;
SET LOCAL statement_timeout = '1h';
SELECT count(DISTINCT name) FROM site;
SELECT median.m FROM (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY area) AS m FROM site) median;
COMMIT;

-- case: temporary tables
CREATE TEMP TABLE picked (id int, note text);
INSERT INTO picked VALUES (1, 'one'), (3, 'three'), (9, NULL), (9, 'nine');
SELECT p.note, s.name FROM picked p JOIN site s ON s.site_id = p.id ORDER BY 1, 2;
SELECT s.site_id FROM site s WHERE s.site_id IN (SELECT id FROM picked) ORDER BY 1;
SELECT count(*) FROM site s WHERE NOT EXISTS (SELECT FROM picked p WHERE p.id = s.site_id);
SELECT p.id, count(v.visit_id) FROM picked p LEFT JOIN visit v ON v.site_id = p.id GROUP BY p.id ORDER BY p.id;
SELECT note FROM picked UNION ALL SELECT name FROM site WHERE site_id < 4 ORDER BY 1;
SELECT count(*) FROM picked;
SELECT site_id, name FROM site WHERE site_id = 3;
DROP TABLE picked;
SELECT count(*) FROM site;

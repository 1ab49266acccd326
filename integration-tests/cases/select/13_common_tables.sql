-- WITH: plain, nested, used twice, MATERIALIZED or not, recursive, with SEARCH and CYCLE.

-- case: plain
WITH w AS (SELECT site_id, grade FROM site WHERE grade > 4) SELECT * FROM w;
WITH w AS (SELECT * FROM site WHERE site_id = 9) SELECT name FROM w;
WITH w AS (SELECT * FROM site) SELECT name FROM w WHERE site_id = 9;
WITH w AS (SELECT grade, count(*) AS n FROM site GROUP BY grade) SELECT max(n), min(n) FROM w;
WITH w AS (SELECT grade, count(*) AS n FROM site GROUP BY grade) SELECT a.grade, b.grade FROM w a JOIN w b ON a.n = b.n AND a.grade < b.grade;
WITH w AS (SELECT site_id FROM site ORDER BY site_id LIMIT 5) SELECT * FROM w;
WITH w AS (SELECT site_id FROM site WHERE site_id > 0 ORDER BY site_id LIMIT 5) SELECT w.site_id, v.visit_id FROM w JOIN visit v USING (site_id);
WITH a AS (SELECT site_id FROM site WHERE active), b AS (SELECT site_id FROM a WHERE site_id > 100) SELECT count(*) FROM b;
WITH a AS (SELECT max(amount) AS top FROM visit) SELECT v.visit_id FROM visit v, a WHERE v.amount = a.top;
WITH a AS (SELECT site_id, grade FROM site), b AS (SELECT site_id, level FROM event) SELECT a.grade, sum(b.level) FROM a JOIN b USING (site_id) GROUP BY a.grade;
WITH w (id, g) AS (SELECT site_id, grade FROM site) SELECT id FROM w WHERE g = 3 ORDER BY id DESC;
WITH w AS (SELECT 1 AS n) SELECT n, site_id FROM w, site WHERE grade = 7;
WITH w AS (VALUES (1, 'one'), (5, 'five')) SELECT s.site_id, w.column2 FROM site s JOIN w ON s.site_id = w.column1;
WITH site AS (SELECT 42 AS site_id) SELECT site_id FROM site;
WITH site AS (SELECT site_id, grade FROM site WHERE grade = 6) SELECT site_id FROM site;
WITH region AS (SELECT site_id AS region_id FROM site WHERE grade = 5) SELECT count(*) FROM region;
WITH unused AS (SELECT 1 / 0), w AS (SELECT count(*) AS n FROM site) SELECT n FROM w;
SELECT * FROM (WITH w AS (SELECT grade FROM site WHERE site_id < 5) SELECT * FROM w) q;
SELECT site_id FROM site WHERE grade IN (WITH w AS (SELECT level FROM event WHERE level > 2) SELECT * FROM w);
WITH w AS (SELECT site_id FROM site WHERE grade = 1) SELECT site_id FROM w UNION ALL SELECT site_id FROM w ORDER BY 1;
WITH a AS (WITH b AS (SELECT site_id FROM site WHERE grade = 2) SELECT site_id + 1 AS n FROM b) SELECT a.n, s.grade FROM a JOIN site s ON s.site_id = a.n;
WITH w AS MATERIALIZED (SELECT site_id, grade FROM site) SELECT * FROM w WHERE site_id = 11;
WITH w AS NOT MATERIALIZED (SELECT site_id, grade FROM site) SELECT * FROM w WHERE site_id = 11;
WITH w AS MATERIALIZED (SELECT grade, avg(area) AS a FROM site GROUP BY grade) SELECT s.site_id FROM site s JOIN w USING (grade) WHERE s.area > w.a AND s.site_id BETWEEN 1 AND 50;
WITH t AS (TABLE quarter) SELECT t.label, count(s.site_id) FROM t LEFT JOIN site s ON s.opened BETWEEN t.first AND t.first + 90 GROUP BY t.label;

-- case: recursive
WITH RECURSIVE up (id, depth) AS (SELECT site_id, 0 FROM site WHERE site_id = 149 UNION ALL SELECT s.parent, depth + 1 FROM up JOIN site s ON s.site_id = up.id WHERE s.parent IS NOT NULL) SELECT * FROM up;
WITH RECURSIVE down (id) AS (SELECT site_id FROM site WHERE site_id = 3 UNION SELECT s.site_id FROM site s JOIN down ON s.parent = down.id) SELECT id FROM down;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 6) SELECT n.i, s.grade FROM n JOIN site s ON s.site_id = n.i;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n;
WITH RECURSIVE t AS (SELECT region_id, name, 0 AS d FROM region WHERE parent IS NULL UNION ALL SELECT r.region_id, r.name, d + 1 FROM region r JOIN t ON r.parent = t.region_id) SELECT t.d, count(s.site_id) FROM t LEFT JOIN site s USING (region_id) GROUP BY t.d;
WITH RECURSIVE t AS (SELECT site_id, parent, ARRAY[site_id] AS path FROM site WHERE site_id IN (57, 90) UNION ALL SELECT s.site_id, s.parent, path || s.site_id FROM site s JOIN t ON s.site_id = t.parent) SELECT path FROM t;
WITH RECURSIVE t AS (SELECT site_id FROM site WHERE site_id = 1 UNION ALL SELECT t.site_id + 1 FROM t WHERE t.site_id < (SELECT max(grade) FROM site)) SELECT * FROM t;
WITH RECURSIVE t (id, parent) AS (SELECT site_id, parent FROM site WHERE site_id = 1 UNION ALL SELECT s.site_id, s.parent FROM site s, t WHERE s.parent = t.id AND s.site_id > 0) SEARCH DEPTH FIRST BY id SET o SELECT id FROM t ORDER BY o;
WITH RECURSIVE t (id, parent) AS (SELECT site_id, parent FROM site WHERE site_id = 1 UNION ALL SELECT s.site_id, s.parent FROM site s, t WHERE s.parent = t.id AND s.site_id > 0) CYCLE id SET looped USING path SELECT id, looped FROM t;
-- expect: error
WITH w AS (SELECT 1) SELECT * FROM nowhere;
WITH w AS (SELECT site_id FROM site), w AS (SELECT 2) SELECT * FROM w;
WITH RECURSIVE t AS (SELECT site_id FROM site UNION ALL SELECT count(*) FROM t) SELECT * FROM t;

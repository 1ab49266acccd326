-- What keeps the rows of each key apart, and what only seems to: sub-selects, WITH, set operations, IN, LATERAL.

-- case: sub-selects that keep keys apart
SELECT * FROM (SELECT site_id, grade FROM site) x ORDER BY site_id;
SELECT * FROM (SELECT site_id, grade FROM site) x WHERE x.site_id = 9;
SELECT grade FROM (SELECT site_id AS k, grade FROM site) x WHERE k IN (1, 2, 9);
SELECT b FROM (SELECT site_id, grade FROM site) x (a, b) WHERE a = 11;
SELECT a FROM (SELECT site_id, grade FROM site) x (a, b) WHERE b = 3 ORDER BY a;
SELECT * FROM (SELECT site_id, count(*) AS n, sum(amount) AS s FROM visit GROUP BY site_id) x WHERE n > 2 ORDER BY site_id;
SELECT n, count(*) FROM (SELECT site_id, count(*) AS n FROM visit GROUP BY 1) x GROUP BY n ORDER BY n;
SELECT count(*), sum(n), max(n) FROM (SELECT site_id, count(*) AS n FROM visit GROUP BY site_id) x;
SELECT c, n FROM (SELECT site_id c, count(*) n FROM visit GROUP BY c) x WHERE x.c = 5;
SELECT site_id, mood FROM (SELECT DISTINCT site_id, mood FROM visit) x ORDER BY site_id, mood;
SELECT count(*) FROM (SELECT DISTINCT site_id, mood FROM visit) x;
SELECT mood, count(*) FROM (SELECT DISTINCT site_id, mood FROM visit) x GROUP BY mood ORDER BY mood;
SELECT site_id, visit_id FROM (SELECT DISTINCT ON (site_id) site_id, visit_id FROM visit ORDER BY site_id, amount DESC NULLS LAST, visit_id) x ORDER BY 1;
SELECT site_id, visit_id FROM (SELECT site_id, visit_id, row_number() OVER (PARTITION BY site_id ORDER BY amount DESC NULLS LAST, visit_id) AS r FROM visit) x WHERE r <= 2 ORDER BY 1, 2;
SELECT r, count(*) FROM (SELECT rank() OVER (PARTITION BY site_id ORDER BY mood) AS r, site_id FROM visit) x GROUP BY r ORDER BY r;
SELECT max(top) FROM (SELECT site_id, max(amount) AS top FROM visit WHERE mood <> 'bored' GROUP BY site_id HAVING count(*) > 1) x;

-- case: an order from below
SELECT site_id FROM (SELECT site_id FROM site ORDER BY site_id DESC) x;
WITH x AS (SELECT site_id, grade FROM site ORDER BY grade, site_id) SELECT grade, site_id FROM x;
SELECT count(*) FROM (SELECT site_id FROM site ORDER BY site_id DESC) x;

-- case: sub-selects where rows of several shards meet
SELECT * FROM (SELECT count(*) AS n FROM site) x;
SELECT grade, n FROM (SELECT grade, count(*) AS n FROM site GROUP BY grade) x ORDER BY grade;
SELECT count(*) FROM (SELECT DISTINCT grade FROM site) x;
SELECT count(*) FROM (SELECT DISTINCT ON (grade) site_id, grade FROM site ORDER BY grade, site_id) x;
SELECT site_id FROM (SELECT site_id FROM site ORDER BY site_id LIMIT 3) x ORDER BY 1;
SELECT site_id FROM (SELECT site_id FROM site ORDER BY site_id LIMIT 3) x WHERE site_id = 900;
SELECT site_id FROM (SELECT site_id FROM site ORDER BY site_id OFFSET 2) x WHERE site_id = 9;
SELECT site_id, r FROM (SELECT site_id, row_number() OVER (ORDER BY site_id) AS r FROM site) x WHERE site_id = 9;
SELECT site_id, r FROM (SELECT site_id, row_number() OVER w AS r FROM site WINDOW w AS (PARTITION BY site_id ORDER BY grade)) x WHERE site_id = 9;
SELECT count(*) FROM (SELECT s.site_id FROM site s, region r) x;
SELECT count(*) FROM (SELECT s.site_id FROM site s JOIN site t ON t.parent = s.site_id) x;
SELECT * FROM (SELECT max(site_id) AS site_id FROM site) x WHERE site_id = 9;
SELECT * FROM (SELECT site_id / 2 AS site_id FROM site) x WHERE site_id = 9;
SELECT * FROM (SELECT max(site_id) AS site_id, min(grade) FROM site) x;
SELECT site_id, n FROM (SELECT site_id, count(*) AS n FROM visit GROUP BY ROLLUP (site_id)) x WHERE site_id IS NULL;
SELECT k, n FROM (SELECT v.site_id AS k, count(*) AS n FROM site s LEFT JOIN visit v USING (site_id) GROUP BY v.site_id) x WHERE k IS NULL;

-- case: joins of sub-selects
SELECT s.site_id, n FROM site s JOIN (SELECT site_id, count(*) AS n FROM visit GROUP BY site_id) x USING (site_id) ORDER BY 1;
SELECT s.site_id, n FROM site s LEFT JOIN (SELECT site_id, count(*) AS n FROM visit GROUP BY 1) x ON x.site_id = s.site_id ORDER BY 1;
SELECT s.site_id, n FROM site s LEFT JOIN (SELECT site_id, count(*) AS n FROM visit GROUP BY 1) x ON x.site_id = s.site_id WHERE s.site_id = 9;
SELECT count(*) FROM site s LEFT JOIN (SELECT site_id, count(*) AS n FROM visit GROUP BY 1) x ON x.site_id = s.site_id WHERE x.site_id IS NULL;
SELECT count(*) FROM site s LEFT JOIN (SELECT site_id FROM visit) x ON x.site_id = s.site_id AND x.site_id = 9;
SELECT count(*) FROM (SELECT site_id FROM site) a JOIN (SELECT site_id FROM visit) b USING (site_id);
SELECT count(*) FROM (SELECT site_id FROM site WHERE grade = 1) a, (SELECT site_id FROM site WHERE grade = 2) b;
SELECT count(*) FROM (SELECT site_id, parent FROM site) a JOIN (SELECT site_id FROM site) b ON a.parent = b.site_id;
SELECT count(*), count(a.site_id), count(b.site_id) FROM (SELECT site_id FROM site WHERE grade < 4) a FULL JOIN (SELECT site_id FROM visit WHERE paid) b USING (site_id);
SELECT count(*) FROM region r LEFT JOIN (SELECT site_id, region_id FROM site) x USING (region_id);
SELECT count(*), count(r.region_id) FROM (SELECT site_id, region_id FROM site) x LEFT JOIN region r USING (region_id);
SELECT count(*) FROM site s, (SELECT region_id FROM region ORDER BY region_id LIMIT 1) r WHERE s.region_id = r.region_id;
SELECT count(*) FROM site s, (SELECT max(region_id) AS m FROM region) r WHERE s.region_id = r.m;
SELECT s.site_id, x.visit_id FROM site s, LATERAL (SELECT visit_id FROM visit v WHERE v.site_id = s.site_id ORDER BY visit_id LIMIT 2) x ORDER BY 1, 2;
SELECT s.site_id, x.n FROM site s, LATERAL (SELECT count(*) AS n FROM visit v WHERE v.site_id = s.site_id) x ORDER BY 1;
SELECT s.site_id, x.n FROM site s LEFT JOIN LATERAL (SELECT sum(amount) AS n FROM visit v WHERE v.site_id = s.site_id HAVING count(*) > 2) x ON true ORDER BY 1;
SELECT s.site_id, x.n FROM site s, LATERAL (SELECT count(*) AS n FROM site v WHERE v.parent = s.site_id) x ORDER BY 1;
SELECT count(*) FROM site s, LATERAL (SELECT v.site_id FROM visit v WHERE v.visit_id = s.grade) x WHERE x.site_id = s.site_id;

-- case: WITH, looked through
WITH x AS (SELECT site_id, count(*) AS n FROM visit GROUP BY site_id) SELECT site_id, n FROM x WHERE n > 1 ORDER BY 1;
WITH x AS (SELECT site_id, grade FROM site) SELECT count(*) FROM x a JOIN x b USING (site_id);
WITH x AS (SELECT site_id, grade FROM site WHERE grade < 3) SELECT count(*) FROM x a, x b;
WITH x AS (SELECT site_id, grade FROM site) SELECT a.grade, b.grade FROM x a, x b WHERE a.site_id = 1 AND b.site_id = 9;
WITH x AS (SELECT site_id, grade FROM site) SELECT count(*) FROM x a, x b WHERE a.site_id = 1;
WITH x (k) AS (SELECT site_id FROM site) SELECT k FROM x WHERE k = 5;
WITH x AS (SELECT * FROM site), y AS (SELECT * FROM x WHERE site_id = 5) SELECT site_id, grade FROM y;
WITH site AS (SELECT site_id, grade FROM site) SELECT grade FROM site WHERE site_id = 5;
WITH x AS (SELECT region_id FROM region) SELECT count(*) FROM x JOIN site USING (region_id);
WITH x AS (SELECT max(visit_id) AS m FROM visit) SELECT count(*) FROM visit, x WHERE visit_id = m;
WITH unused AS (SELECT * FROM visit) SELECT grade FROM site WHERE site_id = 5;
WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 3) SELECT n, count(site_id) FROM x LEFT JOIN site ON grade = n GROUP BY n ORDER BY n;
WITH a AS (SELECT site_id FROM site WHERE active), b AS (SELECT site_id FROM a), c AS (SELECT a.site_id FROM a JOIN b USING (site_id)) SELECT count(*) FROM c JOIN b USING (site_id);
SELECT site_id, (WITH x AS (SELECT s.site_id AS k) SELECT count(*) FROM visit v, x WHERE v.site_id = x.k) FROM site s ORDER BY 1;

-- case: set operations on the key
SELECT site_id FROM site UNION SELECT site_id FROM visit ORDER BY 1;
SELECT site_id FROM site INTERSECT SELECT site_id FROM visit ORDER BY 1;
SELECT site_id FROM site EXCEPT SELECT site_id FROM visit ORDER BY 1;
SELECT site_id, grade FROM site EXCEPT ALL SELECT site_id, visit_id FROM visit ORDER BY 1, 2;
SELECT site_id FROM visit INTERSECT ALL SELECT site_id FROM visit ORDER BY 1;
SELECT grade, site_id FROM site UNION SELECT site_id, visit_id FROM visit ORDER BY 1, 2;
SELECT grade FROM site UNION SELECT visit_id FROM visit ORDER BY 1;
SELECT grade FROM site UNION ALL SELECT visit_id FROM visit ORDER BY 1 DESC NULLS LAST LIMIT 7 OFFSET 2;
SELECT grade FROM site UNION ALL SELECT 1 ORDER BY 1;
SELECT region_id FROM region UNION ALL SELECT region_id FROM site ORDER BY 1;
SELECT site_id FROM site EXCEPT SELECT 9 ORDER BY 1;
SELECT 9 EXCEPT SELECT site_id FROM site;
SELECT 9 INTERSECT SELECT site_id FROM site;
SELECT site_id FROM site WHERE site_id = 1 UNION SELECT site_id FROM visit WHERE site_id = 1;
SELECT site_id FROM site WHERE site_id = 1 UNION ALL SELECT site_id FROM visit WHERE site_id = 9 ORDER BY 1;
(SELECT site_id FROM site ORDER BY 1 LIMIT 1) UNION ALL SELECT site_id FROM visit ORDER BY 1;
SELECT site_id, code FROM site UNION ALL SELECT site_id, guest FROM visit ORDER BY 2 NULLS FIRST, 1;
SELECT count(*) FROM (SELECT site_id FROM site UNION ALL SELECT site_id FROM visit UNION ALL SELECT site_id FROM site) x;
SELECT count(*) FROM (SELECT site_id FROM site UNION SELECT site_id FROM visit) x WHERE site_id IN (1, 5, 9);
SELECT count(*) FROM (SELECT grade FROM site UNION ALL SELECT visit_id FROM visit) x;
SELECT count(*) FROM (SELECT site_id FROM site UNION ALL SELECT site_id FROM visit) x JOIN site s USING (site_id);
SELECT count(*) FROM (SELECT grade FROM site WHERE grade > 5 UNION ALL SELECT visit_id FROM visit WHERE visit_id > 2) x, site t WHERE t.grade = 1;
SELECT site_id FROM site WHERE false UNION SELECT site_id FROM site WHERE site_id = 1 AND site_id = 9;

-- case: IN and others that look at one key
SELECT count(*) FROM site WHERE site_id IN (SELECT site_id FROM visit);
SELECT count(*) FROM site WHERE site_id NOT IN (SELECT site_id FROM visit);
SELECT count(*) FROM site WHERE site_id = ANY (SELECT site_id FROM visit WHERE paid);
SELECT count(*) FROM site WHERE site_id <> ALL (SELECT site_id FROM visit WHERE paid);
SELECT count(*) FROM site WHERE (site_id, grade) IN (SELECT site_id, visit_id FROM visit);
SELECT count(*) FROM site WHERE (site_id, grade) NOT IN (SELECT site_id, visit_id FROM visit);
SELECT count(*) FROM site WHERE site_id IN (SELECT site_id FROM visit GROUP BY site_id HAVING count(*) > 2);
SELECT count(*) FROM site WHERE site_id IN (SELECT site_id FROM visit ORDER BY site_id LIMIT 3);
SELECT count(*) FROM site WHERE grade IN (SELECT visit_id FROM visit WHERE paid);
SELECT count(*) FROM site WHERE parent IN (SELECT site_id FROM visit);
SELECT count(*) FROM site s LEFT JOIN visit v USING (site_id) WHERE v.site_id NOT IN (SELECT site_id FROM visit WHERE paid);
SELECT site_id, site_id IN (SELECT site_id FROM visit WHERE paid) AS paid FROM site ORDER BY 1;
SELECT grade FROM site WHERE site_id IN (SELECT site_id FROM visit) AND site_id = 9;
SELECT count(*) FROM site s WHERE EXISTS (SELECT 1 FROM visit v WHERE v.site_id = s.site_id AND v.amount > s.grade LIMIT 1);
SELECT site_id, (SELECT count(*) FROM visit v WHERE v.site_id = s.site_id) AS n FROM site s ORDER BY n DESC, site_id LIMIT 9;
SELECT sum((SELECT count(*) FROM visit v WHERE v.site_id = s.site_id)) FROM site s;
SELECT count(*) FROM site s WHERE grade > (SELECT avg(visit_id) FROM visit v WHERE v.site_id = s.site_id);
SELECT (SELECT sum(s.grade)) FROM site s;
SELECT (SELECT max(s.grade) FROM visit v WHERE v.site_id = 9 LIMIT 1) FROM site s;
SELECT count(*) FROM site s WHERE EXISTS (SELECT 1 FROM region r WHERE r.region_id = s.region_id);
SELECT count(*) FROM region r WHERE EXISTS (SELECT 1 FROM site s WHERE s.region_id = r.region_id);
SELECT count(*) FROM site s WHERE EXISTS (SELECT 1 FROM visit v WHERE v.site_id = s.site_id AND paid UNION SELECT 1 FROM visit v WHERE v.site_id = s.site_id AND amount > 50);
SELECT count(*) FROM site s WHERE EXISTS (SELECT 1 FROM visit v WHERE v.site_id = s.site_id INTERSECT SELECT 1 FROM site t WHERE t.grade = s.grade AND t.site_id <> s.site_id);

-- Sharded, reference and local tables in one statement.

-- case: reference on either side [trap 12]
SELECT s.site_id, r.name FROM site s JOIN region r USING (region_id);
SELECT s.site_id, r.name FROM site s LEFT JOIN region r USING (region_id);
SELECT r.name, s.site_id FROM region r LEFT JOIN site s USING (region_id);
SELECT r.name, s.site_id FROM site s RIGHT JOIN region r USING (region_id) WHERE r.factor > 0;
SELECT r.name, s.site_id FROM site s FULL JOIN region r USING (region_id);
SELECT r.name FROM region r LEFT JOIN site s USING (region_id) WHERE s.site_id IS NULL;
SELECT r.name FROM region r WHERE NOT EXISTS (SELECT 1 FROM site s WHERE s.region_id = r.region_id);
SELECT r.name FROM region r WHERE EXISTS (SELECT 1 FROM site s WHERE s.region_id = r.region_id AND s.grade = 7);
SELECT r.region_id, count(s.site_id) FROM region r LEFT JOIN site s USING (region_id) GROUP BY r.region_id;
SELECT r.region_id, count(*) FROM region r, site s WHERE s.region_id = r.region_id GROUP BY r.region_id ORDER BY 2 DESC, 1;
SELECT r.name, p.name, count(s.site_id) FROM region r LEFT JOIN region p ON p.region_id = r.parent LEFT JOIN site s ON s.region_id = r.region_id GROUP BY 1, 2;
SELECT s.site_id, r.factor * s.area FROM site s JOIN region r USING (region_id) WHERE r.factor > 1 AND s.area > 1000;
SELECT r.name, s.site_id FROM region r LEFT JOIN site s ON s.region_id = r.region_id AND s.site_id = 3;
SELECT r.name, s.site_id FROM region r LEFT JOIN site s ON s.region_id = r.region_id WHERE s.site_id = 3;
SELECT count(*) FROM region;
SELECT count(*) FROM region CROSS JOIN site;
SELECT r.name, max(s.area) OVER (PARTITION BY r.name) FROM site s JOIN region r USING (region_id) WHERE s.grade = 3;
SELECT max(r.factor), count(s.site_id) FROM region r FULL JOIN site s ON s.region_id = r.region_id;
SELECT (SELECT r.name FROM region r WHERE r.region_id = s.region_id) AS r, count(*) FROM site s GROUP BY 1;

-- case: local tables
SELECT q.label, s.site_id FROM quarter q JOIN site s ON s.region_id = q.region_id WHERE s.grade = 1;
SELECT q.label, count(s.site_id) FROM quarter q LEFT JOIN site s ON s.opened >= q.first AND s.opened < q.first + 90 GROUP BY q.label ORDER BY 1;
SELECT s.site_id, q.label FROM site s LEFT JOIN quarter q USING (region_id) WHERE s.grade = 2;
SELECT s.site_id FROM site s WHERE s.region_id IN (SELECT region_id FROM quarter);
SELECT q.label FROM quarter q WHERE q.region_id NOT IN (SELECT region_id FROM site WHERE region_id IS NOT NULL);
SELECT q.label, r.name FROM quarter q JOIN region r USING (region_id);
SELECT q.label, r.name, count(s.site_id) FROM quarter q JOIN region r USING (region_id) LEFT JOIN site s USING (region_id) GROUP BY 1, 2;
SELECT q.label, (SELECT count(*) FROM visit v WHERE v.qty = q.weight) FROM quarter q;
SELECT label, row_number() OVER (ORDER BY first) FROM quarter;
SELECT sum(weight), array_agg(label ORDER BY first) FROM quarter;
SELECT site_id FROM site WHERE grade > (SELECT max(weight) FROM quarter) - 3;
SELECT q.label, s.name FROM quarter q, site s WHERE s.site_id = 5 AND q.weight < 4;

-- case: no table, or a function's rows, beside sharded ones
SELECT n, site_id FROM generate_series(1, 3) n, site WHERE grade = 7;
SELECT n, count(s.site_id) FROM generate_series(-3, 8) n LEFT JOIN site s ON s.grade = n GROUP BY n ORDER BY n;
SELECT v.t, s.site_id FROM (VALUES ('a', 1), ('b', 2)) v (t, g) JOIN site s ON s.grade = v.g WHERE s.site_id < 40;
SELECT x.v FROM site s, LATERAL (SELECT s.grade * 2 AS v) x WHERE s.site_id IN (1, 2, 3);
SELECT count(*) FROM (SELECT 1) one, site;
SELECT s.site_id FROM site s, (SELECT 2 AS g) c WHERE s.grade = c.g;
-- may refuse
SELECT count(*) FROM pg_class c JOIN site s ON c.relname = s.name;
SELECT count(*) > 10 FROM pg_attribute;
SELECT table_name FROM information_schema.tables WHERE table_name IN ('site', 'visit', 'region') ORDER BY 1;

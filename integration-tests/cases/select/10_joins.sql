-- Joins whose partners lie on other shards.

-- case: other columns [trap 11]
SELECT e.level, s.name FROM event e JOIN site s ON s.site_id = e.site_id WHERE e.level = 3;
SELECT i.sku, s.name FROM item i JOIN site s ON s.site_id = i.maker;
SELECT i.sku, e.level FROM item i JOIN event e ON e.sku = i.sku;
SELECT i.sku, e.level, s.grade FROM item i JOIN event e USING (sku) JOIN site s ON s.site_id = e.site_id;
SELECT a.site_id, b.site_id FROM site a JOIN site b ON a.parent = b.site_id WHERE a.grade = 3;
SELECT a.site_id, b.site_id FROM site a JOIN site b ON a.code = b.code AND a.site_id < b.site_id WHERE length(a.code) < 3;
SELECT a.site_id, b.site_id FROM site a JOIN site b ON a.site_id = b.site_id + 1 WHERE b.grade = 2;
SELECT a.visit_id, b.visit_id FROM visit a JOIN visit b ON a.visit_id = b.qty AND b.paid;
SELECT a.visit_id, b.visit_id FROM visit a, visit b WHERE a.at = b.at AND a.visit_id < b.visit_id AND a.visit_id < 90;
SELECT s.site_id, v.visit_id FROM site s JOIN visit v ON s.grade = v.qty AND s.site_id > 100 AND v.visit_id < 40;
SELECT s.site_id, v.visit_id FROM site s JOIN visit v ON s.site_id = v.site_id OR s.grade = v.visit_id WHERE v.visit_id < 9;
SELECT s.site_id, e.level FROM site s JOIN event e ON e.site_id = s.site_id + 0 AND e.level > 3;
SELECT count(*) FROM site a CROSS JOIN site b WHERE a.grade = b.grade;
SELECT count(*), sum(a.grade * b.level) FROM site a, event b;
SELECT a.sku, b.sku FROM item a JOIN item b ON a.span && b.span AND a.sku < b.sku WHERE a.maker < 30 AND b.maker < 30;
SELECT s.site_id, v.visit_id, e.level FROM site s JOIN visit v ON v.site_id = s.site_id JOIN event e ON e.site_id = v.visit_id WHERE s.grade = 1;
SELECT s.name, n.name FROM site s JOIN site n ON s.name = n.name AND s.site_id <> n.site_id WHERE s.grade = 7;
SELECT a.site_id, b.site_id FROM site a JOIN site b ON lower(a.name) = lower(b.name) AND a.site_id < b.site_id WHERE a.site_id < 40 AND b.site_id < 40;

-- case: outer joins
SELECT e.event_id, s.name FROM event e LEFT JOIN site s ON s.site_id = e.site_id;
SELECT s.site_id, e.level FROM site s LEFT JOIN event e ON e.site_id = s.site_id AND e.level > 2;
SELECT s.site_id FROM site s LEFT JOIN event e ON e.site_id = s.site_id WHERE e.event_id IS NULL;
SELECT i.sku, s.site_id FROM item i RIGHT JOIN site s ON s.site_id = i.maker AND i.price > 100;
SELECT i.sku, e.event_id FROM item i FULL JOIN event e ON e.sku = i.sku;
SELECT i.sku, e.event_id FROM item i FULL JOIN event e USING (sku) WHERE i.price IS NULL OR e.level IS NULL;
SELECT sku, count(*) FROM item FULL JOIN event USING (sku) GROUP BY sku;
SELECT a.site_id, b.site_id FROM site a LEFT JOIN site b ON b.parent = a.site_id WHERE a.site_id BETWEEN 60 AND 110;
SELECT s.site_id, v.visit_id, e.level FROM site s LEFT JOIN visit v USING (site_id) LEFT JOIN event e ON e.site_id = s.site_id WHERE s.grade = 0;
SELECT s.site_id, q.level FROM site s LEFT JOIN (event e JOIN item i ON i.sku = e.sku) q (event_id, site_id, sku, at, level) ON q.site_id = s.site_id WHERE s.site_id < 30;
SELECT v.visit_id, s.site_id FROM visit v LEFT JOIN site s ON s.site_id = v.visit_id AND s.active WHERE v.paid;
SELECT a.sku, b.sku FROM item a FULL JOIN item b ON a.sku = b.short;

-- case: NATURAL, USING and equal names
SELECT * FROM (SELECT site_id, grade FROM site) a NATURAL JOIN (SELECT site_id, qty FROM visit) b;
SELECT * FROM (SELECT sku, price FROM item) a NATURAL LEFT JOIN (SELECT sku, level FROM event) b;
SELECT * FROM (SELECT grade AS n FROM site WHERE grade > 2) a NATURAL JOIN (SELECT qty AS n FROM visit WHERE visit_id < 30) b;
SELECT site_id, s.site_id AS a, e.site_id AS b FROM site s JOIN event e USING (site_id) WHERE level = 0;
SELECT site_id FROM site s FULL JOIN event e USING (site_id) WHERE s.grade IS NULL OR e.level IS NULL;
SELECT j.site_id, s.grade FROM site s JOIN event e USING (site_id) AS j WHERE e.level = 4;
SELECT s.*, v.qty FROM site s JOIN visit v USING (site_id) WHERE v.visit_id < 12;
-- expect: error
SELECT site_id FROM site s JOIN visit v ON s.site_id = v.site_id;
SELECT s.nothing FROM site s JOIN event e ON e.site_id = s.site_id;
SELECT site.name FROM site s JOIN event e ON e.site_id = s.site_id;
SELECT * FROM site s JOIN event s ON true;
SELECT * FROM site JOIN event USING (site_id, site_id);

-- case: LATERAL
SELECT s.site_id, l.level FROM site s, LATERAL (SELECT level FROM event e WHERE e.site_id = s.site_id ORDER BY level DESC NULLS LAST, event_id LIMIT 1) l;
SELECT s.site_id, l.n FROM site s LEFT JOIN LATERAL (SELECT count(*) AS n FROM event e WHERE e.site_id = s.site_id) l ON true WHERE s.grade > 5;
SELECT s.site_id, g FROM site s, generate_series(1, s.grade) g WHERE s.grade BETWEEN 2 AND 3;
SELECT s.site_id, t FROM site s, unnest(s.tags) t;
SELECT s.site_id, t.tag, t.n FROM site s, unnest(s.tags) WITH ORDINALITY t (tag, n) WHERE s.grade = 1;
SELECT s.site_id, t FROM site s LEFT JOIN unnest(s.tags) t ON true WHERE s.site_id BETWEEN 1 AND 14;
SELECT i.sku, k FROM item i, jsonb_object_keys(i.attrs) k WHERE i.maker < 15;
SELECT i.sku, x.a FROM item i, LATERAL (SELECT i.price * r.factor AS a FROM region r WHERE r.region_id = 2) x WHERE i.maker < 20;
SELECT r.name, l.site_id FROM region r, LATERAL (SELECT site_id FROM site s WHERE s.region_id = r.region_id ORDER BY site_id LIMIT 2) l;
SELECT s.site_id, x.n FROM site s, LATERAL (VALUES (s.grade), (s.grade + 1)) x (n) WHERE s.site_id < 10 AND s.site_id > 0;

-- case: aggregates and orders over them
SELECT s.grade, count(*), sum(e.level) FROM site s JOIN event e ON e.site_id = s.site_id GROUP BY s.grade ORDER BY s.grade;
SELECT i.label, count(e.event_id) FROM item i LEFT JOIN event e USING (sku) GROUP BY i.label ORDER BY 2 DESC, 1 LIMIT 6;
SELECT s.site_id, e.at FROM site s JOIN event e ON e.site_id = s.site_id ORDER BY e.at DESC, s.site_id LIMIT 5;
SELECT count(*) FROM site s JOIN visit v USING (site_id) JOIN event e USING (site_id) JOIN item i ON i.maker = s.site_id;
SELECT avg(v.amount), max(e.level) FROM visit v JOIN event e ON e.site_id = v.site_id WHERE v.paid;
SELECT DISTINCT s.grade, e.level FROM site s JOIN event e ON e.site_id = s.site_id ORDER BY 1, 2;
SELECT e.mood, v.mood, count(*) FROM event e JOIN visit v ON e.mood = v.mood AND e.site_id = v.site_id GROUP BY 1, 2;

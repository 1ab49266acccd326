-- What each shard can do alone, because all that is combined shares the key.

-- case: joins on the key
SELECT s.site_id, v.visit_id FROM site s JOIN visit v ON v.site_id = s.site_id WHERE s.grade = 4;
SELECT site_id, name, visit_id FROM site JOIN visit USING (site_id) WHERE qty = 2;
SELECT s.site_id, v.visit_id FROM site s, visit v WHERE s.site_id = v.site_id AND v.paid;
SELECT s.site_id FROM site s LEFT JOIN visit v ON v.site_id = s.site_id WHERE v.site_id IS NULL;
SELECT s.site_id, v.visit_id FROM site s RIGHT JOIN visit v ON v.site_id = s.site_id AND s.active WHERE v.qty = 4;
SELECT s.site_id, v.visit_id, v.amount FROM site s FULL JOIN visit v ON v.site_id = s.site_id AND v.qty = 1 WHERE s.grade = 1 OR s.site_id IS NULL;
SELECT a.site_id, b.grade FROM site a JOIN site b ON a.site_id = b.site_id AND a.grade = b.grade;
SELECT s.site_id, v.visit_id, w.visit_id FROM site s JOIN visit v USING (site_id) JOIN visit w USING (site_id) WHERE v.visit_id < w.visit_id AND s.grade = 5;
SELECT s.site_id, v.visit_id, w.visit_id FROM site s JOIN visit v ON s.site_id = v.site_id JOIN visit w ON w.site_id = v.site_id WHERE v.visit_id < w.visit_id AND s.grade = 6;
SELECT s.site_id, r.name FROM site s JOIN region r ON r.region_id = s.region_id WHERE s.grade = 2;
SELECT s.site_id, r.name FROM site s LEFT JOIN region r USING (region_id) WHERE s.grade = 3;
SELECT s.site_id, r.name FROM site s CROSS JOIN region r WHERE s.grade = 7;
SELECT s.site_id, r.name, v.visit_id FROM site s JOIN visit v USING (site_id) LEFT JOIN region r ON r.region_id = s.region_id AND r.factor > 0 WHERE v.qty = 3;

-- case: groups on the key
SELECT site_id, count(*) FROM visit GROUP BY site_id;
SELECT site_id, count(*), sum(amount), avg(qty), min(at), max(took) FROM visit GROUP BY site_id;
SELECT site_id, mood, count(*) FROM visit GROUP BY site_id, mood;
SELECT site_id, count(DISTINCT mood), count(DISTINCT qty) FROM visit GROUP BY site_id;
SELECT site_id, string_agg(guest, ',' ORDER BY visit_id), array_agg(qty ORDER BY visit_id DESC) FROM visit GROUP BY site_id;
SELECT site_id, percentile_disc(0.5) WITHIN GROUP (ORDER BY visit_id) FROM visit GROUP BY site_id;
SELECT site_id, count(*) FROM visit GROUP BY site_id HAVING count(*) > 6;
SELECT site_id, max(amount) - min(amount) AS spread FROM visit GROUP BY 1 HAVING max(amount) > 100 ORDER BY spread DESC NULLS LAST, site_id LIMIT 7;
SELECT s.site_id, s.name, count(v.visit_id) FROM site s LEFT JOIN visit v USING (site_id) GROUP BY s.site_id;
SELECT site_id, qty, count(*) FROM visit GROUP BY ROLLUP (site_id, qty) HAVING site_id IS NOT NULL;
SELECT site_id, qty, count(*) FROM visit GROUP BY site_id, CUBE (qty, paid);
SELECT site_id, stddev(amount), variance(qty), bool_or(paid), bit_or(qty) FROM visit GROUP BY site_id;
SELECT sku, count(*) FROM item GROUP BY sku HAVING min(price) > 200;
SELECT event_id, count(*) FROM event GROUP BY event_id HAVING max(level) = 4;

-- case: DISTINCT on the key
SELECT DISTINCT site_id FROM visit;
SELECT DISTINCT site_id, paid FROM visit;
SELECT DISTINCT ON (site_id) site_id, visit_id, amount FROM visit ORDER BY site_id, visit_id DESC;
SELECT DISTINCT ON (site_id, paid) site_id, paid, visit_id FROM visit ORDER BY site_id, paid, visit_id;

-- case: windows on the key
SELECT site_id, visit_id, row_number() OVER (PARTITION BY site_id ORDER BY visit_id) FROM visit;
SELECT site_id, visit_id, sum(amount) OVER (PARTITION BY site_id ORDER BY visit_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM visit;
SELECT site_id, visit_id, rank() OVER w, lag(qty) OVER w, count(*) OVER (PARTITION BY site_id) FROM visit WINDOW w AS (PARTITION BY site_id ORDER BY qty, visit_id);
SELECT site_id, paid, first_value(visit_id) OVER (PARTITION BY site_id, paid ORDER BY visit_id) FROM visit;
SELECT site_id, n FROM (SELECT site_id, row_number() OVER (PARTITION BY site_id ORDER BY visit_id) AS n FROM visit) q WHERE n = 3;

-- case: sub-selects on the key
SELECT site_id FROM site s WHERE EXISTS (SELECT 1 FROM visit v WHERE v.site_id = s.site_id AND v.qty = 4);
SELECT site_id FROM site s WHERE NOT EXISTS (SELECT 1 FROM visit v WHERE v.site_id = s.site_id);
SELECT site_id FROM site s WHERE 2 < (SELECT count(*) FROM visit v WHERE v.site_id = s.site_id AND v.paid);
SELECT site_id, (SELECT max(amount) FROM visit v WHERE v.site_id = s.site_id) FROM site s WHERE grade = 0;
SELECT site_id FROM site WHERE site_id IN (SELECT site_id FROM visit WHERE qty = 4);
SELECT site_id, visit_id FROM visit v WHERE amount = (SELECT max(amount) FROM visit w WHERE w.site_id = v.site_id);
SELECT q.site_id, q.n FROM (SELECT site_id, count(*) AS n FROM visit GROUP BY site_id) q JOIN site s ON s.site_id = q.site_id WHERE s.active;
SELECT s.site_id, l.visit_id FROM site s CROSS JOIN LATERAL (SELECT visit_id FROM visit v WHERE v.site_id = s.site_id ORDER BY visit_id DESC LIMIT 1) l WHERE s.grade > 5;
WITH m AS (SELECT site_id, max(amount) AS top FROM visit GROUP BY site_id) SELECT s.site_id, m.top FROM site s JOIN m ON m.site_id = s.site_id WHERE s.grade < 0;
SELECT s.site_id, m.top FROM site s LEFT JOIN (SELECT site_id, max(amount) AS top FROM visit GROUP BY site_id) m USING (site_id) WHERE s.grade = 1;
SELECT site_id, visit_id FROM visit WHERE (site_id, visit_id) IN (SELECT site_id, max(visit_id) FROM visit GROUP BY site_id);

-- case: set operations on one key
SELECT name FROM site WHERE site_id = 5 UNION SELECT guest FROM visit WHERE site_id = 5;
SELECT visit_id FROM visit WHERE site_id = 11 EXCEPT SELECT visit_id FROM visit WHERE site_id = 11 AND paid;
SELECT site_id, grade FROM site UNION ALL SELECT site_id, qty FROM visit;
SELECT site_id FROM site INTERSECT SELECT site_id FROM visit;
SELECT site_id FROM site EXCEPT SELECT site_id FROM visit;

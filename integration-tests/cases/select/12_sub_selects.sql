-- Sub-selects whose rows lie on other shards than the outer row's.

-- case: scalar [trap 10]
SELECT site_id FROM site WHERE area = (SELECT max(area) FROM site);
SELECT site_id, area - (SELECT avg(area) FROM site) AS d FROM site WHERE grade = 2;
SELECT site_id, (SELECT count(*) FROM event) FROM site WHERE site_id < 3;
SELECT (SELECT max(grade) FROM site), (SELECT min(qty) FROM visit), (SELECT count(*) FROM item);
SELECT (SELECT name FROM site WHERE site_id = 3) AS n;
SELECT site_id FROM site WHERE grade > (SELECT avg(level) FROM event) AND site_id < (SELECT max(visit_id) FROM visit) / 10;
SELECT count(*) FROM visit WHERE amount > (SELECT avg(amount) FROM visit);
SELECT grade, count(*) FROM site GROUP BY grade HAVING count(*) = (SELECT max(n) FROM (SELECT count(*) AS n FROM site GROUP BY grade) q);
SELECT site_id FROM site ORDER BY site_id LIMIT (SELECT count(*) / 50 FROM site);
SELECT site_id FROM site WHERE grade = (SELECT grade FROM site WHERE site_id = 999999);
SELECT ARRAY(SELECT site_id FROM site WHERE grade = 7 ORDER BY site_id) AS ids;
SELECT site_id, CASE WHEN grade = (SELECT max(grade) FROM site) THEN 'top' END FROM site WHERE site_id BETWEEN 1 AND 20;
-- expect: error
SELECT site_id FROM site WHERE grade = (SELECT grade FROM site);
SELECT (SELECT site_id, grade FROM site WHERE site_id = 1);

-- case: correlated
SELECT site_id, (SELECT count(*) FROM event e WHERE e.site_id = s.site_id) FROM site s WHERE grade = 1;
SELECT site_id, (SELECT max(b.site_id) FROM site b WHERE b.grade = a.grade) FROM site a WHERE site_id BETWEEN 0 AND 25;
SELECT i.sku, (SELECT s.name FROM site s WHERE s.site_id = i.maker) FROM item i WHERE i.maker < 40;
SELECT site_id FROM site a WHERE area > (SELECT avg(area) FROM site b WHERE b.grade = a.grade);
SELECT site_id FROM site s WHERE (SELECT sum(level) FROM event e WHERE e.site_id = s.site_id) > 4;
SELECT r.name, (SELECT count(*) FROM site s WHERE s.region_id = r.region_id) FROM region r;
SELECT q.label, (SELECT count(*) FROM site s WHERE s.opened >= q.first) FROM quarter q;
SELECT v.visit_id FROM visit v WHERE v.amount >= (SELECT max(w.amount) FROM visit w WHERE w.mood = v.mood);
SELECT site_id, ARRAY(SELECT e.level FROM event e WHERE e.site_id = s.site_id ORDER BY e.level, e.event_id) FROM site s WHERE grade = 3;
SELECT s.site_id FROM site s WHERE s.grade IN (SELECT e.level FROM event e WHERE e.site_id = s.site_id);

-- case: EXISTS
SELECT site_id FROM site s WHERE EXISTS (SELECT 1 FROM event e WHERE e.site_id = s.site_id);
SELECT site_id FROM site s WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.site_id = s.site_id AND e.level > 1);
SELECT site_id FROM site WHERE EXISTS (SELECT 1 FROM event WHERE level = 4) AND grade = 7;
SELECT site_id FROM site WHERE EXISTS (SELECT 1 FROM event WHERE level = 99);
SELECT site_id FROM site WHERE NOT EXISTS (SELECT 1 FROM event WHERE level = 99) AND grade = 7;
SELECT sku FROM item i WHERE EXISTS (SELECT FROM event e WHERE e.sku = i.sku AND EXISTS (SELECT 1 FROM site s WHERE s.site_id = e.site_id AND s.active));
SELECT EXISTS (SELECT 1 FROM site WHERE grade = 7), EXISTS (SELECT 1 FROM site WHERE grade = 70);
SELECT site_id, EXISTS (SELECT 1 FROM event e WHERE e.site_id = s.site_id) AS has FROM site s WHERE grade IN (1, 2);
SELECT a.site_id FROM site a WHERE EXISTS (SELECT 1 FROM site b WHERE b.parent = a.site_id AND b.grade > a.grade);
SELECT site_id FROM site s WHERE EXISTS (SELECT count(*) FROM visit v WHERE v.site_id = s.site_id AND v.qty = 77) AND grade = 6;

-- case: IN and NOT IN with NULLs
SELECT site_id FROM site WHERE site_id IN (SELECT site_id FROM event WHERE level = 2);
SELECT site_id FROM site WHERE site_id NOT IN (SELECT site_id FROM event WHERE site_id IS NOT NULL);
SELECT site_id FROM site WHERE site_id NOT IN (SELECT site_id FROM event);
SELECT site_id FROM site WHERE grade NOT IN (SELECT level FROM event WHERE level IS NOT NULL);
SELECT site_id FROM site WHERE grade NOT IN (SELECT qty FROM visit);
SELECT site_id FROM site WHERE grade NOT IN (SELECT qty FROM visit WHERE false);
SELECT site_id FROM site WHERE (grade IN (SELECT qty FROM visit WHERE qty > 2)) IS NULL;
SELECT site_id, grade IN (SELECT level FROM event WHERE level > 1) AS i FROM site WHERE site_id BETWEEN 1 AND 40;
SELECT sku FROM item WHERE maker IN (SELECT site_id FROM site WHERE grade = 5);
SELECT sku FROM item WHERE (maker, share) IN (SELECT site_id, grade FROM site);
SELECT site_id FROM site WHERE (site_id, grade) NOT IN (SELECT site_id, qty FROM visit WHERE qty IS NOT NULL);
SELECT visit_id FROM visit WHERE guest IN (SELECT name FROM site) OR guest IN (SELECT label FROM item);
SELECT site_id FROM site WHERE name NOT IN (SELECT guest FROM visit WHERE guest IS NOT NULL) AND grade = 0;
SELECT site_id FROM site WHERE site_id IN (SELECT parent FROM site);
SELECT site_id FROM site WHERE site_id NOT IN (SELECT parent FROM site WHERE parent IS NOT NULL);
SELECT site_id FROM site WHERE region_id IN (SELECT region_id FROM region WHERE factor > 1);
SELECT site_id FROM site WHERE region_id NOT IN (SELECT region_id FROM region WHERE factor > 1);
SELECT name FROM region WHERE region_id NOT IN (SELECT region_id FROM site WHERE region_id IS NOT NULL);
SELECT name FROM region WHERE region_id IN (SELECT region_id FROM site WHERE active);

-- case: ALL and ANY
SELECT site_id FROM site WHERE grade >= ALL (SELECT level FROM event WHERE level IS NOT NULL);
SELECT site_id FROM site WHERE grade > ALL (SELECT level FROM event);
SELECT site_id FROM site WHERE grade > ANY (SELECT level FROM event WHERE level > 2);
SELECT site_id FROM site WHERE grade = ANY (SELECT qty FROM visit WHERE paid);
SELECT site_id FROM site WHERE grade <> ALL (SELECT qty FROM visit WHERE qty IS NOT NULL);
SELECT site_id FROM site WHERE grade <> ANY (SELECT level FROM event WHERE level = 2) AND site_id < 20;
SELECT site_id FROM site WHERE area >= ALL (SELECT area FROM site WHERE area IS NOT NULL);
SELECT site_id FROM site WHERE grade > ALL (SELECT 100 FROM event WHERE false) AND region_id = 1;

-- case: in FROM
SELECT q.grade, q.n FROM (SELECT grade, count(*) AS n FROM site GROUP BY grade) q WHERE q.n > 15;
SELECT max(n), avg(n) FROM (SELECT grade, count(*) AS n FROM site GROUP BY grade) q;
SELECT s.site_id, q.n FROM site s JOIN (SELECT grade, count(*) AS n FROM site GROUP BY grade) q ON q.grade = s.grade WHERE s.site_id < 12;
SELECT s.site_id, q.n FROM site s LEFT JOIN (SELECT site_id, count(*) AS n FROM event GROUP BY site_id) q ON q.site_id = s.site_id WHERE s.grade = 2;
SELECT a.n, b.n FROM (SELECT count(*) AS n FROM site) a, (SELECT count(*) AS n FROM visit) b;
SELECT q.* FROM (SELECT site_id AS id, grade AS g FROM site) AS q (one) WHERE q.one BETWEEN 5 AND 9;
SELECT count(*) FROM (SELECT DISTINCT grade FROM site) q;
SELECT sum(x.top) FROM (SELECT max(amount) AS top FROM visit GROUP BY site_id) x;
SELECT x.site_id FROM (SELECT * FROM (SELECT * FROM site WHERE grade > 2) y WHERE y.active) x WHERE x.region_id = 3;
SELECT q.m, count(*) FROM (SELECT site_id, max(qty) AS m FROM visit GROUP BY site_id) q GROUP BY q.m ORDER BY q.m;

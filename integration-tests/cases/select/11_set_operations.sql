-- UNION, INTERSECT and EXCEPT, with ALL and without, over shards.

-- case: two branches [trap 13]
SELECT grade FROM site UNION SELECT qty FROM visit;
SELECT grade FROM site UNION ALL SELECT qty FROM visit;
SELECT grade FROM site INTERSECT SELECT qty FROM visit;
SELECT grade FROM site INTERSECT ALL SELECT level FROM event;
SELECT grade FROM site EXCEPT SELECT qty FROM visit;
SELECT grade FROM site EXCEPT ALL SELECT level FROM event;
SELECT grade FROM site UNION DISTINCT SELECT grade FROM site;
SELECT site_id FROM site UNION SELECT maker FROM item;
SELECT site_id FROM site EXCEPT SELECT site_id FROM event;
SELECT sku FROM item INTERSECT SELECT sku FROM event;
SELECT name FROM site UNION SELECT guest FROM visit;
SELECT name FROM site INTERSECT SELECT label FROM item;
SELECT code FROM site EXCEPT SELECT substr(sku, 1, 1) FROM item;
SELECT site_id, name FROM site WHERE grade = 1 UNION ALL SELECT visit_id, guest FROM visit WHERE qty = 4;
SELECT tags FROM site UNION SELECT ARRAY[label] FROM item;
SELECT mood FROM visit UNION SELECT mood FROM event;
SELECT mood FROM visit EXCEPT ALL SELECT mood FROM event;
SELECT payload FROM visit WHERE visit_id < 30 INTERSECT SELECT payload FROM visit WHERE visit_id > 30;

-- case: types of both sides
SELECT grade FROM site UNION SELECT area FROM site WHERE site_id < 5;
SELECT 1 AS n, name FROM site WHERE site_id = 1 UNION SELECT 2.5, label FROM item WHERE sku = 'a';
SELECT NULL AS x UNION SELECT grade FROM site;
SELECT grade, NULL AS t FROM site UNION SELECT NULL, code FROM site;
SELECT code FROM site UNION SELECT name FROM site;
SELECT opened FROM site UNION SELECT at FROM event;
SELECT guest FROM visit UNION SELECT code FROM site;
-- expect: error
SELECT grade FROM site UNION SELECT name FROM site;
SELECT grade, name FROM site UNION SELECT grade FROM site;

-- case: orders and limits
SELECT grade FROM site UNION SELECT qty FROM visit ORDER BY 1;
SELECT grade AS n FROM site UNION SELECT qty FROM visit ORDER BY n DESC NULLS LAST LIMIT 3;
SELECT site_id, grade FROM site UNION ALL SELECT visit_id, qty FROM visit ORDER BY 1, 2 LIMIT 10 OFFSET 25;
(SELECT site_id FROM site ORDER BY site_id DESC LIMIT 3) UNION ALL (SELECT visit_id FROM visit ORDER BY visit_id LIMIT 3);
(SELECT site_id FROM site ORDER BY site_id DESC LIMIT 3) UNION (SELECT site_id FROM site ORDER BY site_id LIMIT 3) ORDER BY 1;
SELECT name FROM site UNION SELECT guest FROM visit ORDER BY 1;
SELECT code FROM site UNION SELECT sku FROM item ORDER BY 1 DESC LIMIT 7;
(SELECT grade FROM site) ORDER BY 1 LIMIT 3;
-- compare: count
SELECT grade FROM site UNION ALL SELECT qty FROM visit LIMIT 7;

-- case: several operations
SELECT grade FROM site UNION SELECT qty FROM visit EXCEPT SELECT level FROM event;
SELECT grade FROM site UNION (SELECT qty FROM visit INTERSECT SELECT level FROM event);
SELECT grade FROM site INTERSECT SELECT qty FROM visit UNION ALL SELECT level FROM event WHERE level = 4;
(SELECT grade FROM site EXCEPT SELECT 3) UNION ALL (SELECT qty FROM visit EXCEPT ALL SELECT 2);
SELECT grade, count(*) FROM site GROUP BY grade UNION ALL SELECT NULL, count(*) FROM site;
SELECT 'site' AS what, count(*) FROM site UNION ALL SELECT 'visit', count(*) FROM visit UNION ALL SELECT 'region', count(*) FROM region;
SELECT q.n, count(*) FROM (SELECT grade AS n FROM site UNION ALL SELECT qty FROM visit) q GROUP BY q.n ORDER BY q.n;
SELECT count(*) FROM (SELECT site_id FROM site EXCEPT SELECT site_id FROM visit) q;
SELECT s.site_id FROM site s WHERE s.grade IN (SELECT qty FROM visit WHERE paid UNION SELECT level FROM event WHERE level > 3);
TABLE quarter UNION ALL TABLE quarter;

-- case: reference and local tables among the branches
SELECT region_id FROM site UNION ALL SELECT region_id FROM region;
SELECT region_id FROM region UNION ALL SELECT region_id FROM site WHERE site_id = 3;
SELECT region_id FROM region EXCEPT SELECT region_id FROM site;
SELECT region_id FROM site INTERSECT SELECT region_id FROM region;
SELECT region_id FROM quarter UNION SELECT region_id FROM site;
SELECT region_id FROM site EXCEPT ALL SELECT region_id FROM quarter;
SELECT label FROM quarter UNION ALL SELECT name FROM region;
VALUES (1, 'a') UNION ALL SELECT grade, code FROM site WHERE site_id < 4;
SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT grade FROM site WHERE grade > 5;

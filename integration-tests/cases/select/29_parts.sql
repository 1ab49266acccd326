-- Groups of which each shard gives its part: HAVING, expressions over aggregates, windows over groups, any order.

-- case: HAVING
SELECT grade, count(*) FROM site GROUP BY grade HAVING count(*) > 4 ORDER BY grade;
SELECT grade, count(*) FROM site GROUP BY grade HAVING sum(area) > 100 AND grade > 1 ORDER BY 2 DESC, 1;
SELECT count(*) FROM site HAVING count(*) > 1000;
SELECT count(*) FROM site HAVING count(*) > 1;
SELECT 1 FROM site HAVING count(*) > 1;
SELECT grade FROM site GROUP BY grade HAVING max(area) IS NULL;
SELECT active, grade FROM site GROUP BY 1, 2 HAVING count(*) BETWEEN 1 AND 2 ORDER BY 1, 2;
SELECT grade g FROM site GROUP BY g HAVING NOT bool_or(active) ORDER BY g;

-- case: expressions over aggregates
SELECT sum(grade) / count(*) FROM site;
SELECT grade, max(site_id) / 2 - min(site_id) / 2 AS spread, count(*) * 2 + 1 FROM site GROUP BY grade ORDER BY spread DESC, grade;
SELECT coalesce(sum(area), 0), -count(*), count(*)::text || '!', avg(grade) + 1 FROM site;
SELECT grade, CASE WHEN count(*) > 5 THEN 'many' ELSE 'few' END FROM site GROUP BY grade ORDER BY 2, 1;
SELECT grade, count(*) FILTER (WHERE active) > count(*) FILTER (WHERE NOT active) FROM site GROUP BY grade ORDER BY 1;
SELECT round(avg(area), 2), round(sum(area) / nullif(count(area), 0), 3) FROM site;
SELECT grade + 1, sum(site_id) FROM site GROUP BY grade + 1 ORDER BY 1;
SELECT grade * 2 + grade, count(*) FROM site GROUP BY grade ORDER BY 1;
SELECT (grade + 1) * 2, count(*) FROM site GROUP BY (grade + 1) ORDER BY 1;
SELECT 2 * grade + site_id % 3, count(*) FROM site GROUP BY grade, site_id % 3, grade + site_id % 3 ORDER BY 1, 2;
SELECT upper(name), count(*) FROM site GROUP BY name ORDER BY name COLLATE "C", 2;
SELECT lower(name), count(*), min(site_id) FROM site GROUP BY lower(name) ORDER BY lower(name), 2;
SELECT ARRAY[count(*), min(site_id)], ROW(max(grade), 1) IS NULL FROM site;
SELECT grade IN (1, 2), count(*) FROM site GROUP BY grade ORDER BY grade;
SELECT max(opened) - min(opened), age(max(opened), min(opened)) FROM site WHERE opened > '-infinity' AND opened < 'infinity';

-- case: aggregates that combine
SELECT bool_and(active), bool_or(active), every(grade IS NOT NULL) FROM site;
SELECT grade, bit_and(site_id), bit_or(site_id), bit_xor(site_id) FROM site GROUP BY grade ORDER BY grade;
SELECT bit_and(grade), bit_or(grade) FROM site;
SELECT avg(grade), avg(site_id), avg(area), avg(area) FILTER (WHERE active), sum(area) FROM site;
SELECT grade, avg(area), avg(grade) FROM site GROUP BY grade HAVING count(area) > 0 ORDER BY grade;
SELECT avg(area) FROM site WHERE site_id < -1000 HAVING count(*) = 0;
SELECT count(*), sum(v), avg(n), min(t), bool_and(v > 1) FROM void;
SELECT v, count(*) FROM void GROUP BY v HAVING count(*) > 0;
SELECT min(name), max(name), min(name COLLATE "C") FROM site;
SELECT grade, min(name), max(name) FROM site GROUP BY grade ORDER BY min(name), grade;
SELECT max(tags), min(tags) FROM site;
SELECT mood, count(*), sum(amount) FROM visit GROUP BY mood HAVING sum(amount) IS NOT NULL ORDER BY mood;
SELECT min(mood), max(mood), bool_or(mood > 'calm') FROM visit;

-- case: text order
SELECT name, count(*) FROM site GROUP BY name ORDER BY name, 2 LIMIT 7;
SELECT name, count(*) AS n FROM site GROUP BY name ORDER BY n DESC, name DESC OFFSET 2 LIMIT 4;
SELECT upper(name) AS name, count(*) FROM site GROUP BY name ORDER BY name, 2;
SELECT s.name FROM site s GROUP BY s.name ORDER BY name;

-- case: windows over groups
SELECT grade, count(*), rank() OVER (ORDER BY count(*) DESC, grade) FROM site GROUP BY grade ORDER BY 3;
SELECT grade, sum(count(*)) OVER (ORDER BY grade) FROM site GROUP BY grade ORDER BY 1;
SELECT active, grade, sum(sum(site_id)) OVER (PARTITION BY active ORDER BY grade) FROM site GROUP BY active, grade ORDER BY 1, 2;
SELECT grade, lag(max(area)) OVER (ORDER BY grade) FROM site GROUP BY grade ORDER BY grade;

-- case: DISTINCT
SELECT DISTINCT grade FROM site ORDER BY grade DESC NULLS LAST;
SELECT DISTINCT grade, active FROM site ORDER BY 2, 1 LIMIT 5;
SELECT DISTINCT name FROM site ORDER BY name LIMIT 9;
SELECT DISTINCT lower(name) AS low FROM site ORDER BY low OFFSET 3;
SELECT DISTINCT mood FROM visit ORDER BY mood;
SELECT DISTINCT count(*) FROM site GROUP BY grade ORDER BY 1;
SELECT DISTINCT s.grade, r.name FROM site s JOIN region r ON r.region_id = s.region_id ORDER BY 1, 2;
SELECT DISTINCT s.grade FROM site s JOIN visit v USING (site_id) WHERE v.qty > 1 ORDER BY s.grade;

-- case: joins, views, CTEs
SELECT r.name, count(*), max(s.area) FROM site s JOIN region r ON r.region_id = s.region_id GROUP BY r.name HAVING count(*) > 2 ORDER BY r.name;
SELECT s.grade, sum(v.amount) / count(*) FROM site s JOIN visit v USING (site_id) GROUP BY s.grade ORDER BY 1;
SELECT grade, count(*) FROM v_site GROUP BY grade HAVING count(*) > 3 ORDER BY grade;
WITH w AS (SELECT site_id, grade FROM site WHERE active) SELECT grade, count(*) FROM w GROUP BY grade HAVING count(*) > 1 ORDER BY grade;
SELECT n, count(*) FROM (SELECT site_id, count(*) AS n FROM visit GROUP BY site_id) q GROUP BY n HAVING count(*) > 1 ORDER BY n;
SELECT grade, count(*) FROM site WHERE site_id IN (SELECT site_id FROM visit WHERE qty > 1) GROUP BY grade HAVING count(*) > 0 /* a comment */ ORDER BY 1;

-- case: parameters
-- params: ["2", "4"]
SELECT grade, count(*) FROM site WHERE site_id > $1 GROUP BY grade HAVING count(*) > $2::int ORDER BY grade;
-- params: ["3"]
SELECT grade + $1::int, count(*) FROM site GROUP BY grade + $1::int HAVING max(site_id) > 3 ORDER BY 1;
-- params: ["1", "100"]
SELECT sum(grade * $1::int) / count(*), $2 AS two FROM site;

-- case: in a transaction
BEGIN;
UPDATE site SET grade = 77 WHERE site_id = 3;
SELECT grade, count(*) FROM site GROUP BY grade HAVING count(*) < 3 ORDER BY grade;
SELECT count(*) + sum(grade) FROM site;
ROLLBACK;

-- case: errors
-- expect: error
SELECT grade, 1 / (count(*) - count(*)) FROM site GROUP BY grade;
SELECT grade, name FROM site GROUP BY grade HAVING count(*) > 1;
SELECT sum(grade) FROM site GROUP BY grade HAVING nothing > 1;
SELECT sum(9223372036854775807 + grade) + count(*) FROM site WHERE grade > 0;

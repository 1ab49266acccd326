-- DISTINCT and DISTINCT ON over shards, in lists and in aggregates.

-- case: lists
SELECT DISTINCT grade FROM site;
SELECT DISTINCT grade FROM site ORDER BY grade;
SELECT DISTINCT grade FROM site ORDER BY grade DESC NULLS LAST LIMIT 4;
SELECT DISTINCT grade, active FROM site;
SELECT DISTINCT grade, active FROM site ORDER BY active NULLS FIRST, grade DESC LIMIT 9 OFFSET 3;
SELECT DISTINCT name FROM site;
SELECT DISTINCT name FROM site ORDER BY name;
SELECT DISTINCT code FROM site ORDER BY code LIMIT 12;
SELECT DISTINCT lower(name) AS low FROM site ORDER BY low NULLS FIRST;
SELECT DISTINCT mood FROM visit ORDER BY mood DESC;
SELECT DISTINCT qty * 2 AS twice FROM visit ORDER BY 1 OFFSET 2;
SELECT DISTINCT tags FROM site;
SELECT DISTINCT payload FROM visit;
SELECT DISTINCT size FROM item;
SELECT DISTINCT span FROM item ORDER BY span;
SELECT DISTINCT share FROM item WHERE share < 20 ORDER BY share;
SELECT DISTINCT active IS NULL FROM site;
SELECT DISTINCT 1 FROM site;
SELECT DISTINCT trim_scale(odd) FROM site WHERE site_id < 24;
SELECT DISTINCT score + 0 AS s FROM site ORDER BY s;
SELECT DISTINCT 'x' AS mark, paid FROM visit;
SELECT DISTINCT * FROM (SELECT grade, active FROM site) q;
SELECT DISTINCT r.name FROM site s JOIN region r USING (region_id);
SELECT DISTINCT s.grade, v.qty FROM site s JOIN visit v USING (site_id) ORDER BY 1, 2 LIMIT 20;
SELECT DISTINCT wide FROM event ORDER BY wide;
-- expect: error
SELECT DISTINCT doc FROM event;

-- case: groups [trap 8]
SELECT DISTINCT count(*) FROM site GROUP BY grade;
SELECT DISTINCT count(*) FROM visit GROUP BY site_id;
SELECT DISTINCT count(*) AS n, min(active::int) FROM site GROUP BY grade ORDER BY n DESC LIMIT 3;
SELECT DISTINCT sum(qty) OVER (PARTITION BY site_id) FROM visit WHERE site_id < 20;
SELECT DISTINCT rank() OVER (ORDER BY grade) AS r FROM site ORDER BY r;

-- case: first of each
SELECT DISTINCT ON (grade) grade, site_id FROM site ORDER BY grade, site_id;
SELECT DISTINCT ON (grade) grade, site_id FROM site ORDER BY grade DESC, site_id DESC;
SELECT DISTINCT ON (grade, active) grade, active, name FROM site ORDER BY grade, active, site_id;
SELECT DISTINCT ON (qty) visit_id FROM visit ORDER BY qty, visit_id LIMIT 4 OFFSET 1;
SELECT DISTINCT ON (mood) mood, amount, visit_id FROM visit ORDER BY mood, amount DESC NULLS LAST, visit_id;
SELECT DISTINCT ON (lower(name)) name, site_id FROM site ORDER BY lower(name), site_id;
SELECT DISTINCT ON (1) grade, site_id FROM site ORDER BY 1, site_id;
SELECT q.site_id FROM (SELECT DISTINCT ON (grade) grade, site_id FROM site ORDER BY grade, site_id DESC) q ORDER BY 1;
SELECT DISTINCT ON (r.region_id) r.name, s.site_id FROM region r LEFT JOIN site s USING (region_id) ORDER BY r.region_id, s.site_id;
-- expect: error
SELECT DISTINCT ON (grade) grade, site_id FROM site ORDER BY site_id;

-- case: in aggregates [trap 2]
SELECT count(DISTINCT grade) FROM site;
SELECT count(DISTINCT grade), count(DISTINCT active), count(grade), count(*) FROM site;
SELECT sum(DISTINCT grade), avg(DISTINCT grade), min(DISTINCT grade) FROM site;
SELECT active, count(DISTINCT grade) FROM site GROUP BY active;
SELECT grade, count(DISTINCT region_id) AS n FROM site GROUP BY grade ORDER BY n DESC, grade LIMIT 5;
SELECT count(DISTINCT name), count(DISTINCT lower(name)) FROM site;
SELECT count(DISTINCT (grade, active)) FROM site;
SELECT count(DISTINCT site_id) FROM visit;
SELECT count(DISTINCT qty) FILTER (WHERE paid) FROM visit;
SELECT array_agg(DISTINCT grade) FROM site;
SELECT array_agg(DISTINCT grade ORDER BY grade DESC) FROM site;
SELECT string_agg(DISTINCT code, ',' ORDER BY code) FROM site WHERE length(code) = 1;
SELECT sum(DISTINCT amount), sum(amount) FROM visit WHERE paid;
SELECT grade FROM site GROUP BY grade HAVING count(DISTINCT active) = 2;
SELECT count(DISTINCT trunc(odd)) FROM site;
SELECT count(DISTINCT score) FROM site;
SELECT count(DISTINCT mood), count(DISTINCT took) FROM visit;
SELECT count(DISTINCT event_id), count(DISTINCT wide), count(DISTINCT net) FROM event;

-- ROLLUP, CUBE and GROUPING SETS over shards.

-- case: sets [trap 8]
SELECT grade, count(*) FROM site GROUP BY ROLLUP (grade);
SELECT grade, active, count(*), sum(area) FROM site GROUP BY ROLLUP (grade, active);
SELECT grade, active, count(*) FROM site GROUP BY CUBE (grade, active);
SELECT grade, active, count(*) FROM site GROUP BY GROUPING SETS ((grade), (active), ());
-- may refuse
SELECT grade, active, region_id, count(*) FROM site GROUP BY GROUPING SETS ((grade, active), ROLLUP (region_id));
SELECT grade, active, GROUPING(grade, active) AS g, count(*) FROM site GROUP BY CUBE (grade, active) ORDER BY g, grade, active;
SELECT active, region_id, grouping(active) AS ga, grouping(region_id) AS gr, avg(area) FROM site GROUP BY ROLLUP (active, region_id) ORDER BY ga, gr, active, region_id;
SELECT grade, active, count(*) FROM site GROUP BY grade, ROLLUP (active);
SELECT grade, active, count(*) FROM site GROUP BY ROLLUP (grade), ROLLUP (active);
SELECT grade, count(*) FROM site GROUP BY GROUPING SETS (grade, grade);
SELECT count(*) FROM site GROUP BY GROUPING SETS ((), (), ());
SELECT count(*), sum(grade) FROM site GROUP BY ();
SELECT mood, paid, count(*), avg(amount) FROM visit GROUP BY CUBE (mood, paid) HAVING count(*) > 40;
SELECT mood, paid, sum(qty) AS q FROM visit GROUP BY ROLLUP (mood, paid) ORDER BY q DESC, mood, paid LIMIT 4;
SELECT site_id, paid, count(*) FROM visit WHERE site_id < 30 GROUP BY ROLLUP (site_id, paid);
SELECT r.name, s.active, count(*) FROM site s JOIN region r USING (region_id) GROUP BY CUBE (r.name, s.active);
SELECT grade, count(DISTINCT active) FROM site GROUP BY ROLLUP (grade);
SELECT coalesce(grade::text, 'all') AS g, count(*) FROM site GROUP BY ROLLUP (grade) ORDER BY g;
SELECT grade, count(*) FROM site WHERE false GROUP BY ROLLUP (grade);
SELECT grade, count(*) FROM site WHERE false GROUP BY GROUPING SETS ((grade), ());
SELECT CASE WHEN grouping(grade) = 1 THEN 'sum' ELSE 'row' END AS kind, sum(area) FROM site GROUP BY ROLLUP (grade);
SELECT grade, active, count(*) FROM site GROUP BY ROLLUP ((grade, active), region_id);
SELECT DISTINCT count(*) FROM site GROUP BY CUBE (grade, active) ORDER BY 1;
SELECT grade % 3 AS m, rank() OVER (ORDER BY count(*), grade % 3) AS r FROM site GROUP BY ROLLUP (grade % 3) ORDER BY r;
SELECT grade, active, count(*) FROM site GROUP BY DISTINCT ROLLUP (grade, active), ROLLUP (grade);
-- expect: error
SELECT grouping(name) FROM site GROUP BY ROLLUP (grade);
SELECT name FROM site GROUP BY CUBE (grade);

-- Statements that see no row, on one shard or on all.

-- case: an empty table [trap 9]
SELECT * FROM void;
SELECT k FROM void ORDER BY t, v LIMIT 3;
SELECT k FROM void WHERE k = 3;
-- may refuse
SELECT count(*), sum(v), avg(n), min(t), max(f), bool_and(v > 1), stddev(n), string_agg(t, ',') FROM void;
SELECT v, count(*) FROM void GROUP BY v;
SELECT v, count(*) FROM void GROUP BY ROLLUP (v);
SELECT DISTINCT v FROM void;
SELECT DISTINCT ON (v) v, k FROM void ORDER BY v, k;
SELECT count(DISTINCT v) FROM void;
SELECT k, row_number() OVER (ORDER BY k) FROM void;
SELECT s.site_id FROM site s JOIN void v ON v.k = s.site_id;
SELECT s.site_id, v.k FROM site s LEFT JOIN void v ON v.v = s.grade WHERE s.grade = 7;
SELECT v.k, r.name FROM void v FULL JOIN region r ON r.region_id = v.v;
SELECT r.name FROM region r LEFT JOIN void v ON v.v = r.region_id WHERE v.k IS NULL;
SELECT v FROM void UNION ALL SELECT grade FROM site WHERE grade = 7;
SELECT grade FROM site EXCEPT SELECT v FROM void;
SELECT grade FROM site INTERSECT SELECT v FROM void;
SELECT site_id FROM site WHERE grade NOT IN (SELECT v FROM void) AND grade = 7;
SELECT site_id FROM site WHERE grade > ALL (SELECT v FROM void) AND grade = 7;
SELECT site_id FROM site WHERE grade = (SELECT v FROM void);
SELECT (SELECT max(v) FROM void), EXISTS (SELECT 1 FROM void);
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v), mode() WITHIN GROUP (ORDER BY t) FROM void;
SELECT array_agg(k ORDER BY k), json_agg(v ORDER BY k) FROM void;
WITH w AS (SELECT * FROM void) SELECT count(*), max(k) FROM w;
SELECT coalesce(sum(v), 0), count(*) + 1 FROM void;
SELECT count(*) FROM void HAVING count(*) = 0;
SELECT 'x' AS mark FROM void HAVING count(*) > 0;
SELECT v + 1, t || 'x' FROM void WHERE n > 1 ORDER BY n DESC OFFSET 3;

-- case: conditions that are false
SELECT * FROM site WHERE false;
SELECT count(*), sum(grade), avg(area), min(name) FROM site WHERE false;
SELECT site_id FROM site WHERE NULL;
SELECT count(*) FROM site WHERE 1 = 2;
SELECT count(*), max(grade) FROM site WHERE site_id = 999999;
SELECT count(*), max(grade) FROM site WHERE site_id = NULL;
SELECT count(*), max(grade) FROM site WHERE site_id IN (999998, 999999);
SELECT count(*), max(grade) FROM site WHERE site_id = 1 AND site_id = 2;
SELECT sum(grade) FROM site WHERE site_id = ANY ('{}');
SELECT grade, count(*) FROM site WHERE site_id = 1 AND site_id = 2 GROUP BY grade;
SELECT site_id, name FROM site WHERE site_id = 1 AND site_id = 2 ORDER BY name;
SELECT stddev(area), bool_or(active), bit_and(grade) FROM site WHERE grade > 100;
SELECT count(*) FILTER (WHERE active) FROM site WHERE grade > 100;
SELECT DISTINCT name FROM site WHERE grade > 100 ORDER BY name;
SELECT site_id, count(*) OVER () FROM site WHERE grade > 100;
SELECT s.site_id, v.visit_id FROM site s JOIN visit v USING (site_id) WHERE s.site_id IS NULL;
SELECT site_id FROM site WHERE grade > 100 UNION SELECT visit_id FROM visit WHERE qty > 100;
SELECT max(area) FROM site WHERE area IS NULL;
SELECT min(opened), avg(drift) FROM site WHERE opened > 'infinity';

-- Window functions whose windows reach over shards.

-- case: whole windows [trap 7]
SELECT site_id, row_number() OVER (ORDER BY site_id) FROM site;
SELECT site_id, row_number() OVER (ORDER BY site_id DESC) AS n FROM site ORDER BY n LIMIT 5;
SELECT site_id, count(*) OVER () FROM site WHERE grade = 3;
SELECT site_id, grade, rank() OVER (ORDER BY grade), dense_rank() OVER (ORDER BY grade) FROM site;
SELECT site_id, sum(grade) OVER (ORDER BY site_id) FROM site;
SELECT site_id, grade, percent_rank() OVER (ORDER BY grade), cume_dist() OVER (ORDER BY grade) FROM site WHERE region_id = 2;
SELECT site_id, ntile(4) OVER (ORDER BY site_id) FROM site;
SELECT visit_id, lag(amount) OVER (ORDER BY visit_id), lead(amount, 2, 0) OVER (ORDER BY visit_id) FROM visit WHERE visit_id < 50;
SELECT site_id, name, first_value(name) OVER (ORDER BY name, site_id), last_value(name) OVER (ORDER BY name, site_id) FROM site WHERE grade < 0;
SELECT site_id, nth_value(grade, 3) OVER (ORDER BY site_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM site WHERE active;
SELECT site_id, avg(area) OVER () FROM site WHERE grade = 1;
SELECT site_id, area, area - avg(area) OVER (ORDER BY site_id ROWS 2 PRECEDING) AS d FROM site WHERE grade = 4;

-- case: windows by another column than the key
SELECT site_id, count(*) OVER (PARTITION BY grade) FROM site;
SELECT site_id, grade, row_number() OVER (PARTITION BY grade ORDER BY site_id) FROM site;
SELECT site_id, count(*) OVER (PARTITION BY site_id % 2) FROM site;
SELECT visit_id, rank() OVER (PARTITION BY mood ORDER BY amount NULLS FIRST, visit_id) FROM visit WHERE visit_id < 200;
SELECT visit_id, sum(qty) OVER (PARTITION BY paid ORDER BY visit_id) FROM visit WHERE visit_id < 100;
SELECT site_id, grade, sum(area) OVER (PARTITION BY active ORDER BY grade) FROM site;
SELECT site_id, max(code) OVER (PARTITION BY region_id), min(name) OVER (PARTITION BY region_id) FROM site;
SELECT site_id, row_number() OVER (PARTITION BY grade, site_id ORDER BY name) FROM site;
SELECT visit_id, count(*) OVER (PARTITION BY site_id), count(*) OVER (PARTITION BY mood) FROM visit WHERE visit_id < 150;
SELECT q.site_id, q.n FROM (SELECT site_id, row_number() OVER (PARTITION BY grade ORDER BY area DESC, site_id) AS n FROM site) q WHERE q.n <= 2;

-- case: frames
SELECT visit_id, sum(qty) OVER (ORDER BY visit_id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM visit WHERE visit_id < 60;
SELECT visit_id, sum(qty) OVER (ORDER BY qty RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM visit WHERE visit_id < 60;
SELECT visit_id, count(*) OVER (ORDER BY qty GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM visit WHERE visit_id < 60;
SELECT visit_id, count(*) OVER (ORDER BY qty GROUPS CURRENT ROW EXCLUDE CURRENT ROW) FROM visit WHERE visit_id < 60;
SELECT visit_id, sum(qty) OVER (ORDER BY visit_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM visit WHERE visit_id < 60;
SELECT visit_id, count(*) OVER (ORDER BY at RANGE BETWEEN '1 day' PRECEDING AND '12 hours' FOLLOWING) FROM visit WHERE visit_id < 60;
SELECT site_id, count(*) OVER w, max(site_id) OVER (w ROWS 3 PRECEDING) FROM site WINDOW w AS (ORDER BY site_id);
SELECT visit_id, count(*) FILTER (WHERE paid) OVER (ORDER BY visit_id) FROM visit WHERE visit_id < 60;

-- case: windows over groups
SELECT grade, count(*), rank() OVER (ORDER BY count(*) DESC, grade) FROM site GROUP BY grade;
SELECT grade, sum(count(*)) OVER (ORDER BY grade) FROM site GROUP BY grade;
SELECT mood, sum(amount) / sum(sum(amount)) OVER () AS share FROM visit GROUP BY mood ORDER BY mood;
SELECT site_id, sum(amount), rank() OVER (ORDER BY sum(amount) DESC NULLS LAST, site_id) FROM visit GROUP BY site_id ORDER BY 3 LIMIT 8;
SELECT DISTINCT grade, count(*) OVER (PARTITION BY grade) FROM site;
SELECT grade, count(*) AS n FROM site GROUP BY grade ORDER BY rank() OVER (ORDER BY count(*), grade) LIMIT 3;
SELECT s.grade, v.mood, row_number() OVER (PARTITION BY s.grade ORDER BY count(*) DESC, v.mood) FROM site s JOIN visit v USING (site_id) GROUP BY s.grade, v.mood;
SELECT site_id, lag(n) OVER (ORDER BY site_id) FROM (SELECT site_id, count(*) AS n FROM visit GROUP BY site_id) q;
-- expect: error
SELECT site_id FROM site WHERE row_number() OVER () < 3;
SELECT count(row_number() OVER ()) FROM site;
SELECT rank() FROM site;

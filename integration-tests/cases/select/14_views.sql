-- Views over sharded, reference and local tables, and functions of users.

-- case: rows of one table
SELECT * FROM v_site;
SELECT * FROM v_site WHERE site_id = 3;
SELECT site_id FROM v_site WHERE site_id IN (3, 6, 9) AND grade > 0;
SELECT name FROM v_site ORDER BY site_id LIMIT 5;
SELECT grade, count(*) FROM v_site GROUP BY grade;
SELECT v.site_id, t.visit_id FROM v_site v JOIN visit t USING (site_id) WHERE t.qty = 1;
SELECT v.site_id, e.level FROM v_site v JOIN event e USING (site_id);
SELECT v_site.site_id FROM public.v_site WHERE v_site.grade = 3;
TABLE v_site;

-- case: groups and joins inside
SELECT * FROM v_total;
SELECT * FROM v_total WHERE site_id = 5;
SELECT * FROM v_total WHERE total > 300 ORDER BY total DESC, site_id;
SELECT count(*), sum(visits) FROM v_total;
SELECT * FROM v_grade;
SELECT * FROM v_grade WHERE grade = 4;
SELECT max(sites) FROM v_grade;
SELECT * FROM v_joined WHERE grade = 5;
SELECT grade, sum(amount) FROM v_joined GROUP BY grade;
SELECT s.name, t.total FROM site s LEFT JOIN v_total t USING (site_id) WHERE s.grade = 6;
SELECT g.sites, s.site_id FROM v_grade g JOIN site s USING (grade) WHERE s.site_id BETWEEN 1 AND 9;
SELECT * FROM v_over;
SELECT * FROM v_over WHERE total IS NULL;
SELECT * FROM v_mixed WHERE n < 12;
SELECT count(*) FROM v_mixed;

-- case: reference tables
SELECT * FROM v_region;
SELECT s.site_id, r.title FROM site s JOIN v_region r ON r.id = s.region_id WHERE s.grade = 7;
SELECT r.title, count(s.site_id) FROM v_region r LEFT JOIN site s ON s.region_id = r.id GROUP BY r.title;

-- case: functions of users
SELECT site_id, twice(site_id) FROM site WHERE site_id BETWEEN 1 AND 9;
SELECT shout(name) FROM site WHERE site_id = 3;
SELECT shout(code), count(*) FROM site WHERE length(code) = 1 GROUP BY 1;
SELECT count(*) FROM site a JOIN site b ON twice(a.site_id) = b.site_id WHERE a.site_id BETWEEN 1 AND 1000 AND b.site_id BETWEEN 1 AND 1000;
SELECT site_id FROM site WHERE twice(grade) = 8 ORDER BY twice(site_id) LIMIT 3;
-- expect: error
SELECT nothing FROM v_site;
SELECT * FROM v_nowhere;
SELECT twice(name) FROM site;

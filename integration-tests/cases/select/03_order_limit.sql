-- ORDER BY, LIMIT, OFFSET and FETCH over streams that are merged.

-- case: by one type each [trap 4]
SELECT site_id, grade FROM site ORDER BY grade, site_id;
SELECT site_id, grade FROM site ORDER BY grade DESC, site_id DESC;
SELECT site_id, grade FROM site ORDER BY grade NULLS FIRST, site_id;
SELECT site_id, grade FROM site ORDER BY grade DESC NULLS LAST, site_id;
SELECT site_id, area FROM site ORDER BY area, site_id;
SELECT site_id, odd FROM site ORDER BY odd, site_id;
SELECT site_id, odd FROM site ORDER BY odd DESC NULLS LAST, site_id;
SELECT site_id, score FROM site ORDER BY score, site_id;
SELECT site_id, score FROM site ORDER BY score DESC, site_id;
SELECT site_id, drift FROM site ORDER BY drift, site_id;
SELECT site_id, opened FROM site ORDER BY opened, site_id;
SELECT site_id, opened FROM site ORDER BY opened DESC NULLS FIRST, site_id;
SELECT site_id, active FROM site ORDER BY active, site_id;
SELECT site_id, code FROM site ORDER BY code, site_id;
SELECT site_id, code FROM site ORDER BY code DESC NULLS LAST, site_id;
SELECT visit_id, mood FROM visit ORDER BY mood, visit_id;
SELECT visit_id, mood FROM visit ORDER BY mood DESC NULLS LAST, visit_id;
SELECT visit_id, at FROM visit ORDER BY at, visit_id;
SELECT visit_id, took FROM visit ORDER BY took, visit_id;
SELECT visit_id, payload FROM visit ORDER BY payload, visit_id;
SELECT visit_id, qty FROM visit ORDER BY qty, visit_id;
SELECT sku, weight FROM item ORDER BY weight, sku;
SELECT sku, blob FROM item ORDER BY blob, sku;
SELECT sku, span FROM item ORDER BY span, sku;
SELECT sku, size FROM item ORDER BY size, sku;
SELECT sku, share FROM item ORDER BY share DESC, sku;
SELECT sku, short FROM item ORDER BY short, sku;
SELECT event_id, at FROM event ORDER BY at, event_id;
SELECT event_id, clock FROM event ORDER BY clock DESC NULLS LAST, event_id;
SELECT event_id, net FROM event ORDER BY net, event_id;
SELECT event_id, bits FROM event ORDER BY bits, event_id;
SELECT event_id, codes FROM event ORDER BY codes, event_id;
SELECT event_id, moods FROM event ORDER BY moods, event_id;
SELECT site_id, tags FROM site ORDER BY tags COLLATE "C", site_id;

-- case: by what is not in the output [trap 6]
SELECT name FROM site ORDER BY site_id;
SELECT -site_id AS site_id FROM site WHERE site_id > -100 ORDER BY site_id;
SELECT -grade AS grade FROM site ORDER BY site.grade, site.site_id;
SELECT grade AS site_id, site_id AS grade FROM site ORDER BY site_id, grade;
SELECT site_id FROM site ORDER BY grade % 3, site_id;
SELECT -grade AS grade, site_id FROM site ORDER BY grade + 0, site.site_id;
SELECT site_id FROM site ORDER BY (grade IS NULL), grade, site_id;
SELECT site_id FROM site ORDER BY CASE WHEN active THEN 0 WHEN active IS NULL THEN 2 ELSE 1 END, site_id DESC;
SELECT 'x' AS mark FROM site ORDER BY grade;
SELECT site_id AS "Order" FROM site ORDER BY "Order" DESC LIMIT 3;
SELECT v.visit_id FROM site s JOIN visit v USING (site_id) ORDER BY s.grade, s.site_id, v.visit_id;
SELECT visit_id, upper(guest) FROM visit ORDER BY length(guest), visit_id;

-- case: positions and equal keys
SELECT grade, site_id FROM site ORDER BY 1, 2;
SELECT grade, site_id FROM site ORDER BY 1 DESC, 2 DESC;
SELECT grade FROM site ORDER BY 1;
SELECT grade FROM site ORDER BY grade LIMIT 40;
-- compare: ties 1
SELECT grade, name FROM site ORDER BY grade;
-- compare: ties 1 2
SELECT active, grade, code FROM site ORDER BY active DESC, grade;
-- expect: error
SELECT grade FROM site ORDER BY 2;
SELECT grade FROM site ORDER BY 0;
SELECT grade FROM site ORDER BY 'x';
SELECT DISTINCT grade FROM site ORDER BY site_id;

-- case: limits [trap 5]
SELECT site_id FROM site ORDER BY site_id LIMIT 5;
SELECT site_id FROM site ORDER BY site_id LIMIT 5 OFFSET 17;
SELECT site_id FROM site ORDER BY site_id OFFSET 190;
SELECT site_id FROM site ORDER BY site_id OFFSET 10 LIMIT 3;
SELECT site_id FROM site ORDER BY site_id DESC LIMIT 0;
SELECT site_id FROM site ORDER BY site_id LIMIT ALL OFFSET 195;
SELECT site_id FROM site ORDER BY site_id LIMIT NULL OFFSET NULL;
SELECT site_id FROM site ORDER BY site_id LIMIT 2 + 3 OFFSET 1 * 2;
SELECT site_id FROM site ORDER BY site_id LIMIT (SELECT 4);
SELECT site_id FROM site ORDER BY site_id LIMIT 2.4;
SELECT site_id FROM site ORDER BY site_id LIMIT '3';
SELECT site_id FROM site ORDER BY site_id FETCH FIRST ROW ONLY;
SELECT site_id FROM site ORDER BY site_id FETCH FIRST 4 ROWS ONLY;
SELECT site_id FROM site ORDER BY site_id OFFSET 2 ROWS FETCH NEXT 4 ROWS ONLY;
SELECT grade FROM site ORDER BY grade FETCH FIRST 5 ROWS WITH TIES;
-- compare: ties 1
SELECT grade, site_id FROM site ORDER BY grade DESC NULLS LAST FETCH FIRST 3 ROWS WITH TIES;
SELECT grade FROM site ORDER BY grade OFFSET 4 ROWS FETCH FIRST 20 ROWS WITH TIES;
-- compare: count
SELECT site_id FROM site LIMIT 9;
-- compare: count
SELECT site_id, grade FROM site WHERE grade = 3 LIMIT 100;
-- compare: count
SELECT site_id FROM site OFFSET 150;
-- compare: count
SELECT site_id FROM site LIMIT 10 OFFSET 195;
SELECT count(*) FROM (SELECT site_id FROM site LIMIT 9) q;
SELECT count(*), min(site_id) FROM (SELECT site_id FROM site ORDER BY site_id LIMIT 9) q;
SELECT q.site_id FROM (SELECT site_id FROM site ORDER BY site_id DESC LIMIT 9) q ORDER BY q.site_id;
SELECT site_id FROM (SELECT site_id FROM site ORDER BY grade DESC NULLS LAST, site_id OFFSET 3 LIMIT 4) q;
SELECT s.site_id, v.visit_id FROM (SELECT site_id FROM site ORDER BY site_id DESC OFFSET 40 LIMIT 5) s JOIN visit v USING (site_id);
-- expect: error
SELECT site_id FROM site ORDER BY site_id LIMIT -1;
SELECT site_id FROM site ORDER BY site_id OFFSET -1;
SELECT site_id FROM site LIMIT grade;
SELECT site_id FROM site FETCH FIRST 3 ROWS WITH TIES;

-- case: operators of an order
SELECT site_id, grade FROM site ORDER BY grade USING >, site_id;
SELECT site_id, grade FROM site ORDER BY grade USING < NULLS FIRST, site_id USING >;

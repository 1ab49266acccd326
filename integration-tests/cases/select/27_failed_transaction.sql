-- A failed transaction turns statements away before they are analysed, and after they are parsed.

-- case: what a failed transaction says
BEGIN;
-- expect: error
SELECT 1 / 0;
SELECT site_id, '', count(*) FROM site GROUP BY site_id, '';
SELECT site_id FROM site ORDER BY 1.5;
SELECT grade, count(*) FROM site GROUP BY nowhere;
SELECT * FROM site s JOIN item i ON i.maker = s.site_id WHERE nowhere = 1;
SELECT site_id FRM site;
-- expect: same
ROLLBACK;
SELECT count(*) FROM site;

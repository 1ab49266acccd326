-- Text in the order of its collation: the database's own (ICU), "C", and others that a statement names.

-- case: order [trap 3]
SELECT name, site_id FROM site ORDER BY name, site_id;
SELECT name, site_id FROM site ORDER BY name DESC NULLS LAST, site_id;
SELECT name, site_id FROM site ORDER BY name, site_id LIMIT 7 OFFSET 20;
SELECT name FROM site WHERE name > 'o' ORDER BY name LIMIT 10;
SELECT name, site_id FROM site ORDER BY name COLLATE "C", site_id;
SELECT code, site_id FROM site ORDER BY code COLLATE "en-x-icu", site_id;
SELECT name, site_id FROM site ORDER BY name COLLATE "de-x-icu" DESC, site_id;
SELECT name, site_id FROM site ORDER BY name COLLATE "sv-x-icu", site_id LIMIT 30;
SELECT name, site_id FROM site ORDER BY name COLLATE "POSIX", site_id LIMIT 30;
SELECT name, site_id FROM site ORDER BY upper(name), site_id;
SELECT guest, visit_id FROM visit ORDER BY guest, visit_id LIMIT 50;
SELECT guest::text COLLATE "C" AS g, visit_id FROM visit ORDER BY g, visit_id LIMIT 50;
SELECT wide, event_id FROM event ORDER BY wide, event_id LIMIT 50;
SELECT label, sku FROM item ORDER BY label, sku;
SELECT sku FROM item ORDER BY sku;
SELECT sku FROM item ORDER BY sku DESC LIMIT 20;
SELECT short, sku FROM item ORDER BY short DESC NULLS LAST, sku DESC;
SELECT site_id::text AS t FROM site ORDER BY t;
SELECT site_id::text COLLATE "C" AS t FROM site ORDER BY t LIMIT 30;
SELECT name || code AS t, site_id FROM site ORDER BY t, site_id LIMIT 30;
SELECT region.name, site_id FROM site JOIN region USING (region_id) ORDER BY region.name, site_id;

-- case: comparisons, groups, extremes
SELECT min(name), max(name) FROM site;
SELECT min(name COLLATE "C"), max(name COLLATE "C") FROM site;
SELECT grade, min(name), max(name) FROM site GROUP BY grade;
SELECT min(code COLLATE "en-x-icu") FROM site;
SELECT name, count(*) FROM site GROUP BY name ORDER BY name DESC;
SELECT name COLLATE "C" AS n, count(*) FROM site GROUP BY 1 ORDER BY 1;
SELECT left(name, 1) AS l, count(*) FROM site GROUP BY l ORDER BY l;
SELECT lower(code), count(*) FROM site GROUP BY lower(code) ORDER BY lower(code) LIMIT 8;
SELECT greatest(name, code COLLATE "en-x-icu") FROM site WHERE site_id < 20;
SELECT site_id FROM site WHERE name < 'Z';
SELECT site_id FROM site WHERE name < 'Z' COLLATE "C";
SELECT site_id FROM site WHERE name LIKE 'a%' OR name ILIKE 'A_B';
SELECT site_id FROM site WHERE name ~ '^[[:upper:]]' AND grade > 3;
SELECT site_id FROM site WHERE name SIMILAR TO '%(s|z)%' AND active;
SELECT a.site_id, b.visit_id FROM site a JOIN visit b ON a.name < b.guest WHERE a.grade = 7 AND b.visit_id < 10;
SELECT a.site_id, b.site_id FROM site a JOIN site b ON a.name = b.code WHERE a.site_id > 0;
SELECT DISTINCT name COLLATE "C" AS n FROM site ORDER BY n DESC;
SELECT site_id, rank() OVER (ORDER BY name), rank() OVER (ORDER BY name COLLATE "C") FROM site WHERE grade = 2;
SELECT percentile_disc(0.3) WITHIN GROUP (ORDER BY name COLLATE "C") FROM site;
SELECT position('o' IN name), count(*) FROM site GROUP BY 1;
-- expect: error
SELECT name FROM site ORDER BY name COLLATE "no-such";
SELECT a.code FROM site a JOIN item b ON a.code COLLATE "C" < b.label COLLATE "en-x-icu";
SELECT grade FROM site ORDER BY grade COLLATE "C";

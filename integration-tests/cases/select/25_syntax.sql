-- Forms that are seldom written, several of which a parser other than PostgreSQL's cannot read.

-- case: strings and names
SELECT site_id FROM site WHERE code = 'c'
'4';
-- may refuse
SELECT count(*) FROM item WHERE sku = U&'\0061' OR sku = U&'!00e4' UESCAPE '!';
-- may refuse
SELECT U&"n\0061me" FROM site WHERE site_id = 3;
SELECT "site"."name", "site_id" FROM "public"."site" WHERE "site_id" IN (4, 5);
-- may refuse
SELECT app.public.site.name FROM app.public.site WHERE site_id = 5;
SELECT count(*) FROM item WHERE label = $tag$nut 2$tag$ OR label = E'nut\x20' || '5';
SELECT b'1010' & bits AS b FROM event WHERE bits = x'a';
SELECT count(*) /* a /* nested */ comment */ FROM site -- to the end
WHERE grade = 3;
SELECT name AS select FROM site WHERE site_id = 3;
SELECT site_id "year", grade year_ FROM site WHERE site_id < 3 AND site_id > 0;
SELECT N'national' AS n, count(*) FROM site;
SELECT interval '1' day, count(*) FROM site;

-- case: queries
TABLE region;
TABLE site ORDER BY site_id LIMIT 4;
SELECT FROM site WHERE grade = 3;
SELECT count(*) FROM (SELECT FROM site) q;
(SELECT site_id FROM site WHERE grade = 3);
((SELECT site_id FROM site WHERE grade = 3) ORDER BY site_id LIMIT 2);
SELECT site_id FROM ((site CROSS JOIN (SELECT 1 AS one) o)) WHERE grade = 2;
SELECT * FROM (site JOIN region USING (region_id)) j WHERE grade = 2;
SELECT ALL grade FROM site WHERE site_id < 4 AND site_id > 0;
SELECT grade FROM site GROUP BY ALL grade;
SELECT grade, count(*) FROM site GROUP BY DISTINCT grade, grade;
SELECT x.a FROM ROWS FROM (generate_series(1, 3), generate_series(5, 6)) AS x (a, b), site WHERE site_id = 3;
SELECT site_id FROM site WHERE grade BETWEEN SYMMETRIC 4 AND 2;
SELECT site_id FROM site WHERE grade NOT BETWEEN 0 AND 5;
SELECT site_id FROM site WHERE grade ISNULL OR active NOTNULL AND grade = 3;
SELECT site_id FROM site WHERE active IS NOT UNKNOWN AND grade = 3;
SELECT site_id FROM site WHERE (grade, region_id) > (5, 3);
SELECT site_id FROM site WHERE (grade, region_id) IS NOT DISTINCT FROM (3, 2);
SELECT site_id FROM site WHERE ROW(grade, region_id) = ROW(3, 2);
SELECT site_id FROM site WHERE (opened, opened + 3) OVERLAPS (date '2020-05-01', date '2020-06-01');
SELECT (s).name, (s).grade FROM site s WHERE site_id = 3;
SELECT (size).* FROM item WHERE sku = 'a';
SELECT s.* FROM site s WHERE s.site_id IN (1, 2);
SELECT s FROM site s WHERE s.site_id IN (1, 2);
SELECT s IS NULL, count(*) FROM site s GROUP BY 1;

-- case: operators and functions
SELECT site_id, @ grade, |/ 16, grade ^ 2, grade # 3, ~ grade, grade << 1, grade & 6 FROM site WHERE site_id BETWEEN 1 AND 9;
SELECT site_id FROM site WHERE grade OPERATOR(pg_catalog.=) 3;
SELECT count(*) FROM site WHERE name ~~ 'a%' OR name !~* 'O';
SELECT coalesce(VARIADIC_, 0) FROM (SELECT grade AS variadic_ FROM site WHERE site_id = 3) q;
SELECT concat_ws('-', VARIADIC tags) FROM site WHERE tags IS NOT NULL AND grade = 1;
SELECT jsonb_build_array(VARIADIC tags) FROM site WHERE site_id IN (2, 3);
SELECT substring(name FROM 2 FOR 2), overlay(code PLACING 'X' FROM 1), trim(BOTH 'a' FROM code) FROM site WHERE site_id IN (1, 2, 3);
SELECT position('a' IN code), extract(month FROM opened), code SIMILAR TO 'a%' FROM site WHERE site_id IN (4, 5);
SELECT make_interval(days => 10), opened + make_interval(days => grade) FROM site WHERE site_id = 5;
SELECT cast(grade AS text), grade::text::int, int4(grade), 'x'::char, CAST(NULL AS int) FROM site WHERE site_id = 5;
SELECT ARRAY[grade, 1], ARRAY[[1, 2], [3, grade]], (ARRAY[1, 2, 3])[2], tags[1:2], tags[:1] FROM site WHERE site_id = 3;
SELECT xmlelement(name site, xmlattributes(site_id AS id), grade)::text FROM site WHERE site_id IN (1, 2);
SELECT at AT TIME ZONE 'UTC', (at AT TIME ZONE 'Europe/Berlin')::time FROM visit WHERE visit_id IN (4, 5);
SELECT nullif(grade, 3), greatest(grade, 1, NULL), least(grade, 2) FROM site WHERE site_id BETWEEN 1 AND 9;
SELECT grade IN (1, 2), grade = ANY (ARRAY[1, 2]), grade <> ALL ('{1,2}') FROM site WHERE site_id BETWEEN 1 AND 9;
SELECT CASE grade WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'more' END, count(*) FROM site GROUP BY 1;
SELECT count(*) FROM site WHERE grade IS DISTINCT FROM 3;
SELECT collation for (name), collation for (code) FROM site WHERE site_id = 3;
SELECT current_date IS NOT NULL, current_catalog, current_role FROM site WHERE site_id = 3;
SELECT name COLLATE pg_catalog."C" FROM site WHERE site_id = 5;
SELECT site_id FROM site ORDER BY grade ASC NULLS FIRST, site_id ASC FETCH NEXT 2 ROW ONLY;
SELECT nth_value(grade, 2) OVER (ORDER BY site_id RANGE UNBOUNDED PRECEDING EXCLUDE NO OTHERS) FROM site WHERE grade = 3;
SELECT count(*) FILTER (WHERE grade > 2) AS "a b", sum(ALL grade) FROM site;
SELECT json_build_object('a', grade) -> 'a', jsonb '{"a":1}' || jsonb_build_object('g', grade) FROM site WHERE site_id IN (1, 2);
SELECT * FROM json_to_recordset('[{"site_id":3,"x":1},{"site_id":4,"x":2}]') AS j (site_id int, x int) JOIN site USING (site_id);
SELECT j.n, s.grade FROM jsonb_array_elements_text('[3, 4]') WITH ORDINALITY j (v, n) JOIN site s ON s.site_id = j.v::bigint;
SELECT 1 AS a, 2 AS a, name AS a FROM site WHERE site_id = 3;
SELECT count(*), count(*), count(*) FROM site;
SELECT grade AS name, name AS grade FROM site WHERE site_id IN (3, 4) ORDER BY name;
SELECT "?column?" FROM (SELECT grade + 1 FROM site WHERE site_id < 4 AND site_id > 0) q;
-- expect: error
SELECT site_id FROM site WHERE;
SELECT site_id, FROM site;
SELECT site_id FROM site GROUP BY;
SELECT * FROM site JOIN visit;
SELECT site_id FROM site WHERE grade = 3 LIMIT 3 LIMIT 4;
SELECT count(* FROM site;
SELECT site_id FROM site WHERE name = 'open;

-- case: into a table
BEGIN;
-- may refuse
SELECT site_id INTO TEMP kept FROM site WHERE site_id = 3;
ROLLBACK;
BEGIN;
CREATE TEMP TABLE kept AS SELECT site_id FROM site WHERE grade = 3;
ROLLBACK;

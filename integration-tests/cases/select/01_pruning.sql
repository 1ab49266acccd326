-- Which shards a statement needs: keys in equalities, lists, arrays, ORs, joins and sub-selects; and what is no key though it looks like one.

-- case: equalities
SELECT * FROM site WHERE site_id = 7;
SELECT name, grade FROM site WHERE 12 = site_id;
SELECT site_id FROM site WHERE site_id = 4294967296;
SELECT site_id, name FROM site WHERE site_id = 9223372036854775807;
SELECT site_id, name FROM site WHERE site_id = -9223372036854775808;
SELECT sku, price FROM item WHERE sku = 'it''s';
SELECT sku, label FROM item WHERE sku = 'a ';
SELECT sku FROM item WHERE sku = '';
SELECT site_id, level FROM event WHERE event_id = '1c099ab6-4f6d-bfe0-e7c3-cef7e1f933e3';
SELECT site_id, level FROM event WHERE event_id = '{1C099AB64F6DBFE0E7C3CEF7E1F933E3}';
SELECT site_id FROM site WHERE site_id = 7 AND grade > 0;
SELECT visit_id FROM visit WHERE site_id = 2 AND visit_id = 1;

-- case: spellings [trap 15]
SELECT site_id FROM site WHERE site_id = 7.0;
SELECT site_id FROM site WHERE site_id = '007';
SELECT site_id FROM site WHERE site_id = 7::smallint;
SELECT site_id FROM site WHERE site_id = 7.00::numeric(6,2);
SELECT site_id FROM site WHERE site_id = 7e0;
SELECT site_id FROM site WHERE site_id = '7'::float8;
SELECT site_id FROM site WHERE site_id = 7.5;
SELECT site_id FROM site WHERE site_id = -0;
SELECT sku FROM item WHERE sku = 'a'::char(5);
SELECT sku FROM item WHERE sku = 'a '::char(5);
SELECT sku FROM item WHERE sku = 'a '::varchar;
SELECT sku FROM item WHERE sku = E'\x61 ';
-- may refuse
SELECT sku FROM item WHERE sku = U&'\00e4';
SELECT sku FROM item WHERE sku = $$it's$$;
SELECT sku FROM item WHERE sku = 'A' COLLATE "en-x-icu";
SELECT sku FROM item WHERE sku = lower('A');
SELECT event_id FROM event WHERE event_id = '1c099ab6-4f6d-bfe0-e7c3-cef7e1f933e3'::text::uuid;

-- case: lists and arrays
SELECT site_id, name FROM site WHERE site_id IN (1, 2, 3, 5, 8, 13);
SELECT site_id FROM site WHERE site_id IN (1, 1, 1, '2', 3.0);
SELECT site_id FROM site WHERE site_id = ANY ('{4,8,15,16,23,42,NULL}');
SELECT site_id FROM site WHERE site_id = ANY (ARRAY[4, 8, 15]::int[]);
SELECT site_id FROM site WHERE site_id = SOME (ARRAY[100, 101]);
SELECT site_id FROM site WHERE site_id = ANY (ARRAY[[1, 2], [3, 4]]);
SELECT site_id FROM site WHERE site_id = ALL ('{9,9}');
SELECT sku FROM item WHERE sku IN ('a', 'A', 'ä', 'zz');
SELECT sku FROM item WHERE sku = ANY ('{a,"a "," a","x\\y"}');
SELECT event_id FROM event WHERE event_id IN ('1c099ab6-4f6d-bfe0-e7c3-cef7e1f933e3', '4f6efe50-8a2e-3670-967d-df638961d374');
SELECT site_id FROM site WHERE site_id IN (SELECT 3 UNION ALL SELECT 5);
SELECT site_id FROM site WHERE site_id IN (VALUES (3), (5), (NULL));
SELECT site_id FROM site WHERE (site_id, grade) IN ((1, -2), (2, -1), (3, 9));
SELECT site_id FROM site WHERE (site_id, grade) = (6, 3);

-- case: OR and AND
SELECT site_id FROM site WHERE site_id = 1 OR site_id = 2 OR site_id = 3;
SELECT site_id FROM site WHERE (site_id = 1 AND grade = 9) OR (site_id = 2 AND grade = -1);
SELECT site_id FROM site WHERE site_id = 1 OR grade = 6;
SELECT site_id FROM site WHERE site_id IN (1, 2, 3) AND site_id IN (3, 4, 5);
SELECT site_id FROM site WHERE site_id = 1 AND site_id = 2;
SELECT site_id FROM site WHERE (site_id = 1 OR site_id = 2) AND (site_id = 2 OR site_id = 3);
SELECT site_id FROM site WHERE site_id BETWEEN 10 AND 15;
SELECT site_id FROM site WHERE site_id >= 10 AND site_id < 13;
SELECT site_id FROM site WHERE site_id > 9000000000000000000;
SELECT site_id FROM site WHERE site_id = 3 OR false;
SELECT site_id FROM site WHERE site_id = 3 AND true;

-- case: no key, though it looks like one [trap 14]
SELECT site_id FROM site WHERE NOT (site_id <> 4);
SELECT site_id FROM site WHERE NOT site_id = 4 AND site_id < 7 AND site_id > 0;
SELECT site_id FROM site WHERE (site_id = 4) IS NOT FALSE AND grade = 0;
SELECT site_id FROM site WHERE (site_id = 4) IS TRUE;
SELECT site_id FROM site WHERE CASE WHEN site_id = 4 THEN true ELSE grade = 7 END;
SELECT site_id FROM site WHERE coalesce(site_id = 4, false);
SELECT site_id FROM site WHERE site_id + 0 = 4;
SELECT site_id FROM site WHERE site_id::text = '4';
SELECT site_id FROM site WHERE (site_id # 0) = 4;
SELECT s.site_id, v.visit_id FROM site s LEFT JOIN visit v ON v.site_id = s.site_id AND v.site_id = 3 WHERE s.site_id BETWEEN 1 AND 6;
SELECT s.site_id, v.visit_id FROM site s LEFT JOIN visit v ON v.site_id = s.site_id AND s.site_id = 3 WHERE s.site_id BETWEEN 1 AND 6;
SELECT s.site_id, v.visit_id FROM site s LEFT JOIN visit v ON v.site_id = s.site_id WHERE v.site_id = 5;
SELECT site_id FROM (SELECT grade AS site_id FROM site) q WHERE site_id = 4;
SELECT site_id FROM (SELECT parent AS site_id, site_id AS parent FROM site) q WHERE site_id = 4;
SELECT site_id FROM (SELECT site_id FROM site ORDER BY site_id LIMIT 30) q WHERE site_id = -5;
SELECT site_id, n FROM (SELECT site_id, count(*) OVER () AS n FROM site) q WHERE site_id = 9;
SELECT site_id, n FROM (SELECT site_id, row_number() OVER (ORDER BY site_id) AS n FROM site) q WHERE site_id = 9;
SELECT count(*) FILTER (WHERE site_id = 4) FROM site;
SELECT site_id = 4 AS it, count(*) FROM site GROUP BY 1;

-- case: NULLs and numbers out of range [trap 16]
SELECT site_id FROM site WHERE site_id = NULL;
SELECT site_id FROM site WHERE site_id IN (3, NULL);
SELECT site_id FROM site WHERE site_id NOT IN (3, NULL);
SELECT site_id FROM site WHERE site_id = ANY ('{}');
SELECT count(*) FROM site WHERE site_id <> ALL ('{}');
SELECT site_id FROM site WHERE site_id = ANY (NULL);
SELECT site_id FROM site WHERE site_id IS NULL;
SELECT site_id FROM site WHERE site_id IS NOT DISTINCT FROM 5;
SELECT site_id FROM site WHERE site_id IS NOT DISTINCT FROM NULL;
SELECT site_id FROM site WHERE site_id = 99999999999999999999;
SELECT site_id FROM site WHERE site_id < 99999999999999999999 AND site_id IN (1, 99999999999999999999);
SELECT site_id FROM site WHERE site_id = 'NaN'::numeric;
-- expect: error
SELECT site_id FROM site WHERE site_id = '99999999999999999999';
SELECT site_id FROM site WHERE site_id = 'seven';
SELECT site_id FROM site WHERE site_id = '';
SELECT site_id FROM event WHERE event_id = 'nonsense';
SELECT site_id FROM site WHERE site_id = true;

-- case: two keys [trap 17]
SELECT s.site_id, v.visit_id FROM site s, visit v WHERE s.site_id = 1 AND v.site_id = 2;
SELECT s.site_id, v.visit_id FROM site s JOIN visit v ON s.site_id = v.site_id WHERE s.site_id = 3 AND v.site_id = 4;
WITH x AS (SELECT name FROM site WHERE site_id = 1), y AS (SELECT name FROM site WHERE site_id = 2) SELECT x.name AS one, y.name AS two FROM x, y;
SELECT (SELECT name FROM site WHERE site_id = 1), (SELECT name FROM site WHERE site_id = 2), (SELECT count(*) FROM visit WHERE site_id = 5);
SELECT name FROM site WHERE site_id = 1 UNION ALL SELECT name FROM site WHERE site_id = 2;
SELECT s.name, i.label FROM site s, item i WHERE s.site_id = 5 AND i.sku = 'a';
SELECT a.name, b.name FROM site a JOIN site b ON b.site_id = a.parent WHERE a.site_id = 9;
SELECT a.name, b.name FROM site a, site b WHERE a.site_id = 9 AND b.site_id = 9;

-- case: keys through VALUES
SELECT v.n, s.name FROM (VALUES (1, 'a'), (7, 'b'), (7, 'c'), (NULL, 'd')) v (n, t) JOIN site s ON s.site_id = v.n;
SELECT v.n, s.name FROM (VALUES (1), (1000)) v (n) LEFT JOIN site s ON s.site_id = v.n;
SELECT s.site_id FROM site s JOIN unnest(ARRAY[5, 6, 6]) u (n) ON s.site_id = u.n;
SELECT s.site_id FROM site s JOIN generate_series(20, 24) g (n) ON s.site_id = g.n;
WITH wanted (n) AS (VALUES (2), (3)) SELECT site_id, grade FROM site WHERE site_id IN (SELECT n FROM wanted);

-- Parameters, and statements that are prepared by name.

-- case: keys [trap 18]
-- params: ["7"]
SELECT name, grade FROM site WHERE site_id = $1;
-- params: ["8"]
SELECT name, grade FROM site WHERE site_id = $1;
-- params: ["9223372036854775807"]
SELECT name, grade FROM site WHERE site_id = $1;
-- params: [null]
SELECT name, grade FROM site WHERE site_id = $1;
-- params: [" 12 "]
SELECT name, grade FROM site WHERE site_id = $1;
-- params: ["a "]
SELECT price FROM item WHERE sku = $1;
-- params: ["1C099AB64F6DBFE0E7C3CEF7E1F933E3"]
SELECT level FROM event WHERE event_id = $1;
-- params: ["3", "5", "8"]
SELECT site_id FROM site WHERE site_id IN ($1, $2, $3);
-- params: ["{3,5,NULL,8,8}"]
SELECT site_id, name FROM site WHERE site_id = ANY ($1);
-- params: ["{3,5}"]
SELECT site_id, name FROM site WHERE site_id = ANY ($1::int[]);
-- params: ["{}"]
SELECT count(*) FROM site WHERE site_id = ANY ($1);
-- params: ["4", "4"]
SELECT site_id FROM site WHERE site_id = $1 AND site_id = $2;
-- params: ["4", "6"]
SELECT site_id FROM site WHERE site_id = $1 AND site_id = $2;
-- params: ["4", "6"]
SELECT site_id FROM site WHERE site_id = $1 OR site_id = $2;
-- params: ["4", "3"]
SELECT site_id FROM site WHERE site_id = $1 OR grade = $2;
-- params: ["7"]
SELECT site_id FROM site WHERE site_id = $1::numeric;
-- params: ["7.0"]
SELECT site_id FROM site WHERE site_id = $1::numeric;
-- params: ["5", "20"]
SELECT site_id FROM site WHERE site_id BETWEEN $1 AND $2;
-- params: ["3"]
SELECT s.site_id, v.visit_id FROM site s LEFT JOIN visit v ON v.site_id = s.site_id WHERE s.site_id = $1;
-- params: ["3"]
SELECT site_id FROM site WHERE site_id = $1 + 1;

-- case: elsewhere
-- params: ["3"]
SELECT site_id FROM site WHERE grade = $1 ORDER BY site_id;
-- params: ["2", "3"]
SELECT site_id FROM site ORDER BY site_id LIMIT $1 OFFSET $2;
-- params: [null, "190"]
SELECT site_id FROM site ORDER BY site_id LIMIT $1 OFFSET $2;
-- params: ["3"]
SELECT grade, count(*) FROM site GROUP BY grade HAVING count(*) > $1;
-- params: ["3"]
SELECT grade % $1::int AS m, sum(area) FROM site GROUP BY 1;
-- params: ["o"]
SELECT count(*), min(name) FROM site WHERE name > $1;
-- params: ["x"]
SELECT site_id FROM site WHERE $1 = ANY (tags);
-- params: ["2021-04-01"]
SELECT count(*) FROM visit WHERE at > $1;
-- params: ["brisk"]
SELECT count(DISTINCT guest) FROM visit WHERE mood = $1;
-- params: ["brisk", "(2,1.00000000000000000000,\"t,2\")"]
SELECT count(DISTINCT v.guest) FROM visit v JOIN item i ON i.maker <> v.site_id WHERE v.mood = $1 AND i.size = $2::dims;
-- params: ["brisk"]
SELECT count(*) FROM visit WHERE mood = $1;
-- params: ["5", "text"]
SELECT $1::int AS n, $2 AS t, count(*) FROM site;
-- params: ["1"]
SELECT e.event_id, s.name FROM event e JOIN site s ON s.site_id = e.site_id WHERE e.level = $1;
-- params: ["2"]
SELECT site_id FROM site WHERE grade IN (SELECT level FROM event WHERE level > $1);
-- params: ["3", "2"]
SELECT grade FROM site WHERE grade > $1 UNION SELECT qty FROM visit WHERE qty > $2;
-- params: ["2"]
WITH w AS (SELECT site_id FROM site WHERE grade = $1) SELECT count(*) FROM w;
-- params: ["2"]
SELECT site_id, rank() OVER (ORDER BY area) FROM site WHERE grade = $1;
-- params: ["0.5"]
SELECT percentile_cont($1) WITHIN GROUP (ORDER BY grade) FROM site;
-- params: ["(2,1.00000000000000000000,\"t,2\")"]
SELECT sku FROM item WHERE size = $1::dims;
-- params: ["[3,6)"]
SELECT sku FROM item WHERE span && $1;
-- params: ["2", "3"]
SELECT site_id FROM site WHERE grade = $2 AND region_id = $1;
-- params: ["9"]
SELECT count(*) FROM site a JOIN site b ON a.grade = b.grade AND a.site_id < $1 AND b.site_id < $1;

-- case: that do not fit
-- expect: error
-- params: ["x"]
SELECT name FROM site WHERE site_id = $1;
-- params: ["x"]
SELECT count(*) FROM site WHERE grade = $1;
-- params: ["1", "2"]
SELECT count(*) FROM site WHERE grade = $1;
-- params: []
SELECT count(*) FROM site WHERE grade = $1;
-- params: ["-1"]
SELECT site_id FROM site ORDER BY site_id LIMIT $1;
-- params: ["happy"]
SELECT count(*) FROM visit WHERE mood = $1;
-- params: ["1"]
SELECT $1 + 'x' FROM site;

-- case: PREPARE and EXECUTE
PREPARE one (bigint) AS SELECT site_id, name FROM site WHERE site_id = $1;
EXECUTE one (3);
EXECUTE one (4);
EXECUTE one (NULL);
DEALLOCATE one;
PREPARE many (int) AS SELECT grade, count(*) FROM site WHERE grade > $1 GROUP BY grade;
EXECUTE many (2);
EXECUTE many (100);
DEALLOCATE many;
PREPARE pairs AS SELECT e.event_id, s.name FROM event e JOIN site s ON s.site_id = e.site_id WHERE e.level = 2;
EXECUTE pairs;
EXECUTE pairs;
DEALLOCATE pairs;

-- count, sum, min, max, avg and the logical and bitwise aggregates; with groups, HAVING, FILTER and orders.

-- case: one row [trap 1]
SELECT count(*) FROM site;
SELECT count(*), count(grade), count(name), count(1), count(NULL) FROM site;
SELECT sum(grade), sum(site_id), sum(area), sum(drift::numeric(20,10)) FROM site;
SELECT sum(qty), avg(qty), sum(amount), avg(amount) FROM visit;
SELECT avg(grade) FROM site;
SELECT avg(site_id) FROM site;
SELECT avg(area), avg(area) / 3, round(avg(area), 2) FROM site;
SELECT avg(odd) FROM site WHERE odd < 100;
SELECT sum(odd) FROM site WHERE odd < 100;
SELECT avg(odd), sum(odd) FROM site;
SELECT sum(score), avg(score) FROM site WHERE score BETWEEN -1000 AND 1000;
SELECT sum(score), avg(score) FROM site WHERE score <> 'NaN' AND score <> '-Infinity';
SELECT max(score), min(score) FROM site;
-- compare: floats
SELECT sum(drift), avg(drift) FROM site;
-- compare: floats
SELECT grade, sum(drift), avg(drift) FROM site GROUP BY grade;
SELECT sum(weight), avg(weight) FROM item WHERE weight < 1000;
SELECT min(area), max(area), min(odd), max(odd) FROM site;
SELECT min(opened), max(opened) FROM site;
SELECT min(at), max(at), min(took), max(took) FROM visit;
SELECT sum(took), avg(took) FROM visit;
SELECT avg(took) FROM visit WHERE qty = 3;
SELECT min(mood), max(mood) FROM visit;
SELECT min(code), max(code) FROM site;
SELECT min(name), max(name) FROM site;
SELECT min(guest), max(guest) FROM visit;
SELECT min(clock), max(clock), min(net), max(net), min(at), max(at) FROM event;
SELECT min(wide), max(wide) FROM event;
SELECT max(tags), min(tags) FROM site;
SELECT max(share), min(short) FROM item;
SELECT bool_and(active), bool_or(active), every(active IS NULL) FROM site;
SELECT bit_and(grade), bit_or(grade), bit_xor(grade) FROM site;
SELECT bit_and(bits), bit_or(bits), bit_xor(bits) FROM event;
SELECT sum(clock::interval) FROM event;
SELECT sum(1), sum(1.5), sum(2::bigint), sum(3::smallint) FROM site;
SELECT count(site), count(visit.*) FROM site JOIN visit USING (site_id);
-- expect: error
SELECT sum(name) FROM site;
SELECT sum(site_id::int) FROM site;
SELECT grade, count(*) FROM site;
SELECT count(count(*)) FROM site;
SELECT count(*) FROM site WHERE count(*) > 1;

-- case: expressions of aggregates
SELECT count(*) * 2, count(*) + sum(grade), -avg(grade) FROM site;
SELECT coalesce(sum(grade), 0), nullif(count(*), 200) FROM site;
SELECT sum(amount) / count(*), sum(amount) / nullif(count(amount), 0) FROM visit;
SELECT CASE WHEN count(*) > 100 THEN 'many' ELSE 'few' END AS size, max(grade) - min(grade) AS width FROM site;
SELECT sum(CASE WHEN active THEN 1 ELSE 0 END), sum(grade * 2 + 1) FROM site;
SELECT round(sum(amount) * 1.19, 2)::text || ' EUR' FROM visit;
SELECT (SELECT 5) + count(*) FROM site;
SELECT count(*)::int, sum(grade)::numeric(10,2), avg(grade)::float8 FROM site;
SELECT max(grade) = min(grade), count(*) BETWEEN 1 AND 1000 FROM site;
SELECT ROW(count(*), max(grade)) FROM site;
SELECT ARRAY[count(*), sum(grade)] FROM site;
SELECT concat(min(code), '-', max(code)) FROM site;

-- case: groups [trap 8]
SELECT grade, count(*) FROM site GROUP BY grade;
SELECT grade, count(*) AS n FROM site GROUP BY grade ORDER BY n DESC, grade;
SELECT grade, active, count(*), sum(area), avg(area), min(name), max(code) FROM site GROUP BY grade, active;
SELECT active, count(*) FROM site GROUP BY active ORDER BY active NULLS FIRST;
SELECT mood, count(*), sum(amount), avg(amount) FROM visit GROUP BY mood ORDER BY mood;
SELECT name, count(*) FROM site GROUP BY name;
SELECT name, count(*) FROM site GROUP BY name ORDER BY name;
SELECT code, count(*) FROM site GROUP BY code ORDER BY 2 DESC, 1 LIMIT 6;
SELECT upper(name), count(*) FROM site GROUP BY upper(name);
SELECT upper(name) AS u, count(*) FROM site GROUP BY u ORDER BY u NULLS FIRST LIMIT 5;
SELECT grade % 2 AS odd, count(*) FROM site GROUP BY 1;
SELECT grade % 2, count(*) FROM site GROUP BY grade % 2 ORDER BY grade % 2;
SELECT date_trunc('month', opened) AS month, count(*) FROM site WHERE isfinite(opened) GROUP BY month ORDER BY month;
SELECT extract(dow FROM at) AS dow, sum(qty) FROM visit WHERE isfinite(at) GROUP BY 1 ORDER BY 1;
SELECT date_part('hour', at) AS h, count(*) FROM visit WHERE isfinite(at) GROUP BY h ORDER BY h;
SELECT payload -> 'n' AS n, count(*) FROM visit GROUP BY 1;
SELECT tags, count(*) FROM site GROUP BY tags;
SELECT size, count(*) FROM item GROUP BY size;
SELECT (size).w, count(*) FROM item GROUP BY (size).w;
SELECT share > 50 AS much, count(*), avg(price) FROM item GROUP BY 1;
SELECT net, count(*) FROM event GROUP BY net HAVING count(*) > 1;
SELECT wide, count(*) FROM event GROUP BY wide ORDER BY wide;
SELECT score + 0, count(*) FROM site GROUP BY 1;
SELECT trim_scale(odd), count(*) FROM site GROUP BY 1;
SELECT grade FROM site GROUP BY grade;
SELECT count(*) FROM site GROUP BY grade;
SELECT count(*), max(grade) FROM site GROUP BY active, region_id ORDER BY 1 DESC, 2;
SELECT r.name, count(*) FROM site s JOIN region r USING (region_id) GROUP BY r.name;
SELECT r.region_id, r.name, sum(s.area) FROM region r JOIN site s USING (region_id) GROUP BY r.region_id ORDER BY 1;
SELECT s.grade, v.mood, count(*), sum(v.amount) FROM site s JOIN visit v USING (site_id) GROUP BY s.grade, v.mood;
SELECT s.region_id, avg(v.amount) FROM site s LEFT JOIN visit v USING (site_id) GROUP BY 1 ORDER BY 2 DESC NULLS LAST;
SELECT grade, count(*) FROM site GROUP BY grade, active ORDER BY grade, active;
SELECT grade AS g, sum(area) AS grade FROM site GROUP BY grade ORDER BY g;
SELECT grade FROM site GROUP BY () , grade;

-- case: HAVING
SELECT grade, count(*) FROM site GROUP BY grade HAVING count(*) > 16;
SELECT grade FROM site GROUP BY grade HAVING sum(area) > 10000 AND min(code) < 'b';
SELECT grade, max(area) FROM site GROUP BY grade HAVING grade > 3;
SELECT grade FROM site GROUP BY grade HAVING bool_or(active) IS NOT TRUE OR grade IS NULL;
SELECT active, avg(grade) FROM site GROUP BY active HAVING avg(grade) > 1.9 ORDER BY 1;
SELECT count(*) FROM site HAVING count(*) > 10;
SELECT count(*) FROM site HAVING count(*) > 1000;
SELECT 1 FROM site HAVING true;
SELECT 1 FROM site HAVING sum(grade) IS NULL;
SELECT qty, count(*) FROM visit GROUP BY qty HAVING count(*) > (SELECT count(*) / 7 FROM visit);

-- case: filters
SELECT count(*) FILTER (WHERE active), count(*) FILTER (WHERE NOT active), count(*) FILTER (WHERE active IS NULL) FROM site;
SELECT grade, sum(area) FILTER (WHERE active), avg(area) FILTER (WHERE active) FROM site GROUP BY grade;
SELECT min(code) FILTER (WHERE grade = 99), sum(grade) FILTER (WHERE false), count(*) FILTER (WHERE false) FROM site;
SELECT count(*) FILTER (WHERE site_id = 5), max(name) FILTER (WHERE site_id IN (1, 2)) FROM site;
SELECT paid, count(*) FILTER (WHERE amount > 100) AS big, bool_and(qty > 0) FILTER (WHERE qty IS NOT NULL) FROM visit GROUP BY paid;

-- case: orders and limits of groups
SELECT grade, sum(area) AS a FROM site GROUP BY grade ORDER BY a DESC LIMIT 3;
SELECT grade, sum(area) AS a FROM site GROUP BY grade ORDER BY a DESC LIMIT 3 OFFSET 3;
SELECT grade FROM site GROUP BY grade ORDER BY sum(area) DESC, grade LIMIT 4;
SELECT grade FROM site GROUP BY grade ORDER BY count(*) DESC, max(site_id) LIMIT 4;
SELECT mood FROM visit GROUP BY mood ORDER BY avg(amount) LIMIT 2;
SELECT grade, count(*) FROM site GROUP BY grade ORDER BY grade FETCH FIRST 3 ROWS ONLY;
SELECT count(*) FROM site GROUP BY grade ORDER BY count(*) FETCH FIRST 2 ROWS WITH TIES;
SELECT site_id, sum(amount) FROM visit GROUP BY site_id ORDER BY sum(amount) DESC NULLS LAST, site_id LIMIT 5;
SELECT count(*) FROM site ORDER BY 1;
SELECT max(grade) FROM site ORDER BY min(grade) LIMIT 1;
SELECT count(*) FROM site LIMIT 0;
SELECT count(*) FROM site OFFSET 1;

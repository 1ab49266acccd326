-- Values of every type, through merges, groups, joins and sets.

-- case: numeric
SELECT site_id, odd FROM site;
SELECT odd * 2, odd + 0.10, -odd FROM site WHERE site_id BETWEEN 1 AND 24;
SELECT max(odd), min(odd), count(odd) FROM site WHERE odd <> 'NaN';
SELECT sum(price), avg(price), sum(price) * 1.000, sum(price * 0.5) FROM item;
SELECT sum(odd) FROM site WHERE odd IN (1.0, 1.00);
SELECT sum(odd), avg(odd) FROM site WHERE odd > 1e20 AND odd < 'Infinity';
SELECT sum(odd), avg(odd) FROM site WHERE odd = 'Infinity' OR odd < 5;
SELECT sum(1e-10::numeric), avg(0.1) FROM site;
SELECT odd = 1, count(*) FROM site GROUP BY 1;
SELECT a.site_id, b.site_id FROM site a JOIN site b ON a.odd = b.odd WHERE a.site_id < 12 AND b.site_id < 12 AND a.site_id > 0 AND b.site_id > 0;
SELECT sum(grade::numeric(10,4)), avg(grade::smallint), sum(grade::float4) FROM site;

-- case: floats
SELECT site_id, score, drift FROM site;
SELECT sku, weight FROM item;
SELECT score FROM site WHERE score = 0;
SELECT site_id FROM site WHERE score = 'NaN' OR score > 1e300;
SELECT count(*) FROM site a JOIN site b ON a.score = b.score WHERE a.grade = 1 AND b.grade = 2;
SELECT min(score + 0) FILTER (WHERE score <> '-Infinity'), max(score) FILTER (WHERE score < 'Infinity') FROM site;
SELECT sku, weight::float8 FROM item ORDER BY weight DESC, sku LIMIT 30;
SELECT sum(weight), max(weight), avg(weight) FROM item;
SELECT sum(weight::float8), avg(weight::numeric) FROM item WHERE weight < 100;

-- case: dates and times
SELECT site_id, opened, opened + 1, opened - date '2020-01-01' FROM site WHERE isfinite(opened);
SELECT visit_id, at, at + took FROM visit WHERE isfinite(at);
SELECT max(at) - min(at), age(max(at), min(at)) FROM visit WHERE isfinite(at);
SELECT visit_id, took, justify_interval(took), extract(epoch FROM took) FROM visit ORDER BY took DESC NULLS LAST, visit_id LIMIT 20;
SELECT took, count(*) FROM visit GROUP BY took ORDER BY took LIMIT 12;
SELECT count(*) FROM visit WHERE took > '1 mon';
SELECT date_trunc('day', at) AS d, count(*) FROM visit WHERE isfinite(at) GROUP BY d ORDER BY d LIMIT 5;
SELECT at::date AS d, min(at::time) FROM visit WHERE isfinite(at) GROUP BY d ORDER BY d;
SELECT event_id, at, clock FROM event WHERE at > '2020-01-01' ORDER BY at, event_id LIMIT 9;
SELECT extract(year FROM opened) AS y, count(*) FROM site GROUP BY y ORDER BY y;
SELECT sum(extract(day FROM at)) FROM event WHERE isfinite(at);
SELECT v.visit_id, e.event_id FROM visit v JOIN event e ON e.at = v.at AT TIME ZONE 'UTC';
SELECT count(*) FROM visit v JOIN event e ON e.at::date = v.at::date;

-- case: dates and times in a zone
SET TimeZone = 'Europe/Berlin';
SELECT visit_id, at FROM visit ORDER BY at, visit_id LIMIT 20 OFFSET 20;
SELECT date_trunc('day', at) AS d, count(*) FROM visit WHERE isfinite(at) GROUP BY d ORDER BY d LIMIT 4;
SELECT at::date AS d, count(*) FROM visit GROUP BY d ORDER BY d;
SELECT min(at), max(at) FROM visit WHERE isfinite(at);
SELECT count(*) FROM visit v JOIN event e ON e.at::date = v.at::date;
SET DateStyle = 'German, DMY';
SELECT opened, count(*) FROM site GROUP BY opened ORDER BY opened LIMIT 6;
SELECT max(at), min(opened) FROM visit JOIN site USING (site_id) WHERE isfinite(at);
SELECT count(*) FROM site WHERE opened > '02.01.2021';
SET IntervalStyle = 'iso_8601';
SELECT sum(took), max(took) FROM visit;
RESET DateStyle;
RESET IntervalStyle;
RESET TimeZone;

-- case: other spellings of values
SET extra_float_digits = 0;
SELECT site_id, drift FROM site ORDER BY drift LIMIT 5;
SELECT max(drift), min(drift) FROM site;
RESET extra_float_digits;
SET bytea_output = 'escape';
SELECT sku, blob FROM item ORDER BY blob, sku LIMIT 9;
RESET bytea_output;

-- case: enums
SELECT mood, count(*) FROM visit GROUP BY mood;
SELECT visit_id FROM visit WHERE mood > 'brisk' AND visit_id < 30;
SELECT v.mood, count(*) FROM visit v JOIN event e USING (mood) GROUP BY v.mood ORDER BY v.mood;
SELECT moods, count(*) FROM event GROUP BY moods;
SELECT event_id FROM event WHERE moods[1] = 'angry' AND level = 1;
SELECT e.event_id, m FROM event e, unnest(e.moods) m WHERE e.level = 3;
SELECT mood::text FROM visit UNION SELECT guest FROM visit;
SELECT DISTINCT mood FROM event WHERE mood IN ('calm', 'bored') ORDER BY mood DESC;
-- expect: error
SELECT visit_id FROM visit WHERE mood = 'happy';

-- case: domains, composites, ranges
SELECT sku, share, short FROM item WHERE share > 90;
SELECT share, count(*) FROM item GROUP BY share HAVING count(*) > 1;
SELECT short, max(share) FROM item GROUP BY short ORDER BY short;
SELECT sku, size FROM item WHERE (size).w = 3;
SELECT sku, (size).* FROM item WHERE (size).tag IS NOT NULL;
SELECT (size).h, count(*) FROM item GROUP BY (size).h ORDER BY 1;
SELECT a.sku, b.sku FROM item a JOIN item b ON a.size = b.size AND a.sku < b.sku;
SELECT max((size).h), array_agg(DISTINCT (size).w ORDER BY (size).w) FROM item;
SELECT item FROM item WHERE sku IN ('a', 'A');
SELECT sku, span, lower(span), upper_inc(span), isempty(span) FROM item;
SELECT span, count(*) FROM item GROUP BY span;
SELECT sku FROM item WHERE span @> 4;
SELECT a.sku, b.sku FROM item a, item b WHERE a.span <@ b.span AND a.sku < b.sku AND a.maker < 20 AND b.maker < 20;

-- case: arrays
SELECT site_id, tags FROM site WHERE 'x' = ANY (tags);
SELECT site_id, tags[1], array_length(tags, 1), tags || 'end'::text FROM site WHERE grade = 1;
SELECT event_id, codes, codes[2:3] FROM event WHERE level = 2;
SELECT codes, count(*) FROM event GROUP BY codes;
SELECT t, count(*) FROM site, unnest(tags) t GROUP BY t;
SELECT a.event_id, b.event_id FROM event a JOIN event b ON a.codes = b.codes AND a.event_id < b.event_id WHERE a.level = 1 AND b.level = 1;
SELECT e.event_id, s.site_id FROM event e JOIN site s ON s.grade = ANY (e.codes) WHERE e.level = 4 AND s.site_id BETWEEN 1 AND 10;
SELECT count(*) FROM event WHERE codes @> ARRAY[1] OR codes && ARRAY[2];

-- case: JSON
SELECT visit_id, payload -> 'tags' ->> 0, payload #>> '{who}' FROM visit WHERE payload ? 'who';
SELECT payload ->> 'who' AS who, count(*), sum((payload ->> 'n')::int) FROM visit GROUP BY 1;
SELECT visit_id FROM visit WHERE payload @> '{"n": 3, "tags": [1]}';
SELECT event_id, doc, doc ->> 'g' FROM event WHERE level = 0;
SELECT attrs, count(*) FROM item WHERE maker < 20 GROUP BY attrs;
SELECT a.sku, b.visit_id FROM item a JOIN visit b ON a.attrs -> 'n' = b.payload -> 'n' WHERE a.maker < 10 AND b.visit_id < 25;
SELECT jsonb_path_query_first(attrs, '$.deep.a[1]') FROM item WHERE sku < 'S0200' COLLATE "C";
SELECT payload FROM visit WHERE payload = 'null' ORDER BY visit_id LIMIT 3;

-- case: bytes, uuids, networks, bits, blank-padded text
SELECT sku, blob, length(blob) FROM item;
SELECT blob, count(*) FROM item GROUP BY blob HAVING count(*) > 1;
SELECT min(event_id::text) FROM event;
SELECT event_id FROM event ORDER BY event_id LIMIT 5 OFFSET 100;
SELECT a.level FROM event a JOIN event b ON a.event_id = b.event_id WHERE b.site_id = 12;
SELECT event_id FROM event WHERE net << '10.1.0.0/16' ORDER BY net, event_id;
SELECT bits, count(*) FROM event GROUP BY bits ORDER BY bits;
SELECT bits & B'1010' AS b, count(*) FROM event GROUP BY b;
SELECT wide, length(wide), wide || '|' FROM event WHERE level = 1;
SELECT event_id FROM event WHERE wide = 'ab' AND level = 2;
SELECT wide FROM event UNION SELECT code FROM site WHERE length(code) = 1;

-- Functions with one value for a whole statement.

-- case: the time [trap 19]
SELECT count(DISTINCT now()) FROM site;
SELECT count(*) FROM visit WHERE at < now() AND isfinite(at);
SELECT count(*) FROM site WHERE opened < current_date;
SELECT count(*) FROM visit WHERE at > current_timestamp - interval '300 years' AND at < localtimestamp;
SELECT min(now()) = max(now()), count(DISTINCT transaction_timestamp()) FROM site;
SELECT grade, now() > '2020-01-01' AS late, count(*) FROM site GROUP BY 1, 2;
SELECT site_id, opened > current_date FROM site WHERE isfinite(opened) ORDER BY site_id LIMIT 4;
SELECT count(*) FROM (SELECT now() AS t FROM site UNION SELECT now() FROM visit) q;
SELECT count(DISTINCT t) FROM (SELECT now() AS t, site_id FROM site) q;
SELECT site_id FROM site WHERE opened < date_trunc('year', now()) AND grade = 4;
SELECT count(*) FROM site WHERE age('2000-01-01'::timestamp) > '1 year';
SELECT now() = now(), current_date = now()::date;

-- case: the session
SELECT current_user, count(*) FROM site GROUP BY current_user;
SELECT site_id FROM site WHERE current_user = 'postgres' AND grade = 7;
SELECT session_user, current_database(), current_schema() FROM site WHERE site_id IN (1, 2);
SELECT DISTINCT current_setting('TimeZone') FROM site;
SELECT count(*) FROM site WHERE current_setting('search_path') IS NOT NULL;
SELECT count(*) FROM site WHERE to_char(opened, 'Day') LIKE 'Mon%';
SELECT to_char(at, 'YYYY-MM-DD HH24:MI TZ'), count(*) FROM visit WHERE visit_id < 20 GROUP BY 1;
SELECT format('%s-%s', grade, active), count(*) FROM site GROUP BY 1;
SELECT timezone('Asia/Tokyo', at) AS t FROM visit WHERE isfinite(at) ORDER BY at, visit_id LIMIT 3;
SET application_name = 'corpus';
SELECT DISTINCT current_setting('application_name') FROM site;
RESET application_name;
SET TimeZone = 'America/New_York';
SELECT DISTINCT extract(timezone FROM now()) IN (-18000, -14400) FROM site;
SELECT at::text FROM visit WHERE isfinite(at) ORDER BY at DESC, visit_id LIMIT 5;
RESET TimeZone;

-- case: chance
-- compare: count
SELECT site_id, random() FROM site WHERE site_id = 5;
-- compare: columns
SELECT random() FROM site LIMIT 1;
-- compare: count
SELECT gen_random_uuid() FROM site WHERE site_id = 5;
SELECT count(*) FROM site WHERE random() < 2;
SELECT count(DISTINCT gen_random_uuid()) FROM site;
SELECT count(*) FROM site WHERE clock_timestamp() >= now();

-- case: the time of the statement, which differs from server to server [trap 19]
-- expect: refused
SELECT count(*) FROM site WHERE now() = statement_timestamp();
SELECT site_id FROM site WHERE statement_timestamp() > opened ORDER BY 1 LIMIT 3;

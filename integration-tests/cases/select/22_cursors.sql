-- Cursors over one shard's rows, merged rows and gathered ones.

-- case: one shard
BEGIN;
DECLARE c CURSOR FOR SELECT visit_id FROM visit WHERE site_id = 11 ORDER BY visit_id;
FETCH 2 FROM c;
FETCH ALL FROM c;
CLOSE c;
COMMIT;

-- case: merged in order
BEGIN;
DECLARE c CURSOR FOR SELECT site_id, grade FROM site ORDER BY site_id;
FETCH 3 FROM c;
FETCH NEXT FROM c;
FETCH FORWARD 5 FROM c;
MOVE 10 IN c;
FETCH 2 FROM c;
MOVE FORWARD ALL IN c;
FETCH c;
CLOSE c;
COMMIT;

-- case: back and forth
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT site_id FROM site ORDER BY site_id DESC;
FETCH 5 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH PRIOR FROM c;
FETCH FIRST FROM c;
FETCH LAST FROM c;
FETCH ABSOLUTE 7 FROM c;
FETCH RELATIVE -3 FROM c;
MOVE ABSOLUTE 0 IN c;
FETCH FORWARD 0 FROM c;
FETCH 1 FROM c;
CLOSE c;
ROLLBACK;

-- case: aggregates
BEGIN;
DECLARE c CURSOR FOR SELECT grade, count(*) FROM site GROUP BY grade ORDER BY grade;
FETCH 4 FROM c;
FETCH 40 FROM c;
COMMIT;

-- case: gathered
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT s.site_id, e.level FROM site s JOIN event e ON e.site_id = s.site_id WHERE e.level = 3 ORDER BY 1, e.event_id;
FETCH 6 FROM c;
MOVE 2 FROM c;
FETCH 6 FROM c;
CLOSE ALL;
COMMIT;

-- case: two at once
BEGIN;
DECLARE a CURSOR FOR SELECT site_id FROM site ORDER BY site_id;
DECLARE b CURSOR FOR SELECT sku FROM item ORDER BY sku;
FETCH 2 FROM a;
FETCH 2 FROM b;
FETCH 2 FROM a;
SELECT count(*) FROM site;
FETCH 2 FROM b;
COMMIT;

-- case: beyond its transaction
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT site_id FROM site ORDER BY site_id LIMIT 20;
FETCH 3 FROM held;
COMMIT;
FETCH 3 FROM held;
CLOSE held;

-- case: faults
-- expect: error
FETCH 1 FROM nothing;
CLOSE nothing;
DECLARE c CURSOR FOR SELECT site_id FROM site;

-- case: transactions over several shards
BEGIN;
SELECT count(*) FROM site;
SELECT name FROM site WHERE site_id = 3;
SELECT grade, count(*) FROM site GROUP BY grade;
SELECT count(*) FROM site a JOIN event e USING (site_id);
COMMIT;

-- case: one snapshot [trap 24]
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FROM site;
SELECT site_id FROM site WHERE site_id = 3;
SELECT count(*) FROM item i JOIN site s ON s.site_id = i.maker;
COMMIT;

-- case: own writes are read
BEGIN;
UPDATE site SET grade = 50 WHERE site_id = 3;
SELECT site_id, grade FROM site WHERE grade > 40;
SELECT max(grade) FROM site;
SELECT e.level FROM event e JOIN site s ON s.site_id = e.site_id AND s.grade = 50;
ROLLBACK;
SELECT max(grade) FROM site;

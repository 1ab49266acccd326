-- Trap 18: prepared statements that keep their first shard, or a name's old meaning. What PREPARE keeps of a sharded table is
-- refused when it runs; statements of the extended protocol are the parameters' case.

-- case: keys
-- params: ["1"]
SELECT k, s FROM acc WHERE k = $1;
-- params: ["2"]
SELECT k, s FROM acc WHERE k = $1;
-- params: ["7"]
SELECT k, s FROM acc WHERE k = $1;
-- params: [null]
SELECT k, s FROM acc WHERE k = $1;

-- case: columns
-- params: ["1"]
SELECT * FROM acc WHERE k = $1;
ALTER TABLE acc ADD COLUMN later int DEFAULT 4;
-- params: ["1"]
SELECT * FROM acc WHERE k = $1;
SELECT later, count(*) FROM acc GROUP BY later;
ALTER TABLE acc DROP COLUMN later;
-- params: ["2"]
SELECT * FROM acc WHERE k = $1;
-- expect: error
SELECT later FROM acc;

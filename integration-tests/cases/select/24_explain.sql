-- EXPLAIN: the same columns, whatever the plan.

-- case: one shard
-- compare: columns
EXPLAIN SELECT name FROM site WHERE site_id = 3;
-- compare: columns
EXPLAIN (COSTS OFF) SELECT * FROM region;
-- compare: columns
EXPLAIN (ANALYZE, TIMING OFF) SELECT count(*) FROM visit WHERE site_id = 11;
-- compare: columns
EXPLAIN (FORMAT JSON) SELECT count(*) FROM visit WHERE site_id = 11;

-- case: several shards
-- compare: columns
EXPLAIN SELECT name FROM site;
-- compare: columns
EXPLAIN SELECT grade, count(*) FROM site GROUP BY grade ORDER BY 2 LIMIT 3;
-- compare: columns
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT site_id FROM site ORDER BY site_id LIMIT 3;
-- compare: columns
EXPLAIN (FORMAT JSON) SELECT name FROM site;
-- compare: columns
EXPLAIN SELECT s.name, e.level FROM site s JOIN event e ON e.site_id = s.site_id;
-- compare: columns
EXPLAIN ANALYZE SELECT count(DISTINCT grade) FROM site;
-- compare: columns
EXPLAIN (FORMAT YAML) SELECT site_id, rank() OVER (ORDER BY grade) FROM site;
-- compare: columns
EXPLAIN VERBOSE SELECT * FROM v_total;
-- expect: error
EXPLAIN SELECT nothing FROM site;
EXPLAIN (NONSENSE) SELECT name FROM site;
EXPLAIN SELECT site_id FROM site WHERE site_id = 'x';

-- DELETE by predicate over some or all shards.

-- case: some rows
DELETE FROM acct WHERE s > 8;
DELETE FROM acct WHERE k IN (1, 2) RETURNING k, t;
DELETE FROM acct WHERE n IS NULL OR n > 70 RETURNING *;
DELETE FROM acct WHERE false;
DELETE FROM acct a WHERE a.kind = 1 RETURNING a.k * 2 AS twice;
DELETE FROM word WHERE n % 2 = 0 RETURNING w, n;
DELETE FROM thing WHERE j IS NULL;

-- case: all rows
DELETE FROM acct RETURNING k;
DELETE FROM acct;
DELETE FROM thing;
DELETE FROM word RETURNING *;

-- case: USING and sub-selects that are local
DELETE FROM item USING acct WHERE acct.k = item.k AND acct.n > 60 RETURNING item.k, item.id, acct.n;
DELETE FROM acct USING kind WHERE kind.id = acct.kind AND kind.label = 'two';
DELETE FROM acct WHERE EXISTS (SELECT 1 FROM item i WHERE i.k = acct.k AND i.v < 5);
DELETE FROM acct WHERE k IN (SELECT k FROM item WHERE id = 2) RETURNING k;
DELETE FROM acct WHERE kind NOT IN (SELECT id FROM kind);
WITH gone AS (SELECT k FROM item WHERE id = 1) DELETE FROM acct WHERE k IN (SELECT k FROM gone);

-- case: foreign keys within the group
DELETE FROM item WHERE id = 1 AND v > 10;
SELECT * FROM child ORDER BY k, c;
DELETE FROM item;

-- case: through a view
DELETE FROM rich WHERE s > 6 RETURNING *;
DELETE FROM rich;

-- case: one time
DELETE FROM acct WHERE ts < now() - interval '1 day' RETURNING k;
DELETE FROM acct WHERE d < current_date;

-- case: errors
-- expect: error
DELETE FROM acct WHERE 1 / (k - 7) > 0;
DELETE FROM acct WHERE nothing = 1;
DELETE FROM acct RETURNING nothing;
DELETE FROM nowhere;

-- case: refused
-- expect: refused
DELETE FROM acct USING word WHERE word.k = acct.k;
DELETE FROM acct WHERE s = (SELECT min(s) FROM acct);
DELETE FROM acct WHERE s IN (SELECT v FROM item);
DELETE FROM acct WHERE s IN (SELECT id FROM loc);
DELETE FROM acct WHERE k IN (SELECT k FROM acct ORDER BY n LIMIT 2);

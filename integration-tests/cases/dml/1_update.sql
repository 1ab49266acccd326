-- UPDATE by predicate over some or all shards.

-- case: all rows
UPDATE acct SET s = s + 1;
UPDATE acct SET s = s + 1 RETURNING k, s, n * 2 AS twice, t || '!' , tags;
UPDATE acct SET t = upper(t), n = n / 3, d = d + 1;
UPDATE acct SET tags = array_append(tags, t), ts = '2025-05-05 05:05:05+02' WHERE tags IS NOT NULL;
UPDATE item SET note = NULL RETURNING *;
UPDATE word SET n = n + 1 RETURNING w, n;
UPDATE thing SET j = jsonb_build_object('x', x), x = x * 2 RETURNING u, x, j;

-- case: some rows
UPDATE acct SET s = 0 WHERE n > 40;
UPDATE acct SET s = 0 WHERE k IN (1, 2, 3) RETURNING k;
UPDATE acct SET s = 5 WHERE k = ANY ('{4,5,6}') RETURNING *;
UPDATE acct SET s = 5 WHERE k = 4 OR k = 9;
UPDATE acct SET s = 6 WHERE k BETWEEN 2 AND 7 AND s IS NOT NULL;
UPDATE acct SET s = 7 WHERE k = 1 AND k = 2;
UPDATE acct SET s = 7 WHERE false RETURNING k, s;
UPDATE acct SET s = 7 WHERE t LIKE '%z%';
UPDATE acct SET s = 8 WHERE NOT (k = 3);
UPDATE acct SET s = 9 WHERE k = 3;
UPDATE acct SET s = 9 WHERE k = NULL;
UPDATE acct AS a SET s = a.s * 10 WHERE a.n > 20 RETURNING a.k, a.s AS "S";
UPDATE acct SET (s, t) = (k, 'both') WHERE n < 50;
UPDATE acct SET (s, n) = (SELECT k.id, k.id * 2 FROM kind k WHERE k.id = acct.kind) WHERE kind < 3;
UPDATE word SET n = 0 WHERE w IN ('alpha', 'Alpha', 'none');
UPDATE thing SET x = 9 WHERE u > '00000000-0000-0000-0000-000000000001';

-- case: expressions of RETURNING
UPDATE acct SET s = s RETURNING k + 1, k::text, 'x', NULL, s IS NULL AS none, CASE WHEN k > 5 THEN 'big' ELSE 'small' END, coalesce(s, -1);
UPDATE acct SET s = 1 RETURNING (SELECT label FROM kind WHERE kind.id = acct.kind) AS label, acct.*;
UPDATE acct SET s = 2 RETURNING current_user = session_user AS me, length(t), k * 1.5 AS more;
UPDATE acct SET s = 3 WHERE k < 4 RETURNING now() IS NOT NULL AS timed, k;
-- compare: columns
UPDATE acct SET ts = now() RETURNING now(), current_date, k;

-- case: one time
UPDATE acct SET ts = now();
SELECT count(DISTINCT ts), count(ts), bool_and(ts > now() - interval '1 hour') FROM acct;
UPDATE acct SET ts = '2024-01-01' WHERE ts < current_timestamp;
UPDATE acct SET d = current_date WHERE ts < localtimestamp;
SELECT count(DISTINCT d) FROM acct;

-- case: FROM on the key and of reference tables
UPDATE acct SET s = i.v FROM item i WHERE i.k = acct.k AND i.id = 2;
UPDATE acct a SET t = kind.label FROM kind WHERE kind.id = a.kind RETURNING a.k, kind.label, a.t;
UPDATE item SET v = a.s FROM acct a JOIN kind ON kind.id = a.kind WHERE a.k = item.k AND kind.label = 'two' RETURNING item.*;
UPDATE item SET v = q.total FROM (SELECT k, sum(v) AS total FROM item GROUP BY k) q WHERE q.k = item.k;
UPDATE acct SET s = g FROM generate_series(1, 1) g WHERE n > 20;
UPDATE item SET note = x.t FROM (VALUES (1, 'p'), (2, 'q')) AS x (id, t) WHERE x.id = item.id;
UPDATE acct SET s = b.s FROM acct b WHERE b.k = acct.k AND b.n > 50;

-- case: sub-selects that are local
UPDATE acct SET s = (SELECT max(v) FROM item WHERE item.k = acct.k);
UPDATE acct SET s = 0 WHERE EXISTS (SELECT 1 FROM item WHERE item.k = acct.k AND v > 12) RETURNING k;
UPDATE acct SET s = 1 WHERE k IN (SELECT k FROM item WHERE id = 2);
UPDATE acct SET s = 2 WHERE kind IN (SELECT id FROM kind WHERE label <> 'one');
UPDATE acct SET s = (SELECT count(*) FROM kind);
UPDATE acct SET s = 3 WHERE NOT EXISTS (SELECT FROM item WHERE item.k = acct.k AND item.id = 2);
WITH big AS (SELECT k FROM acct WHERE n > 60) UPDATE item SET v = 1 FROM big WHERE big.k = item.k;
WITH two AS (SELECT id FROM kind WHERE id <= 2) UPDATE acct SET s = 4 WHERE kind IN (SELECT id FROM two);

-- case: volatile functions of each row
-- compare: count
UPDATE acct SET n = random() RETURNING n;
SELECT count(DISTINCT n) FROM acct;
UPDATE acct SET s = 1 WHERE random() < 2;
UPDATE acct SET t = gen_random_uuid()::text;
SELECT count(DISTINCT t) FROM acct;

-- case: defaults
UPDATE made SET v = DEFAULT;
SELECT k, v, up FROM made ORDER BY k;

-- case: through a view
UPDATE rich SET s = 77;
UPDATE rich SET s = 78 WHERE n < 80 RETURNING k, s, n;

-- case: errors
-- expect: error
UPDATE acct SET s = 1 / (k - 7);
UPDATE item SET v = -1000;
UPDATE item SET note = 'far too long for it';
UPDATE acct SET nothing = 1;
UPDATE acct SET s = 'x';
UPDATE nowhere SET s = 1;
UPDATE acct SET s = 1 RETURNING nothing;
UPDATE item SET id = 1;
UPDATE made SET up = 'x';

-- case: refused
-- expect: refused
UPDATE acct SET s = item.v FROM item WHERE item.v = acct.s;
UPDATE acct SET s = (SELECT max(s) FROM acct);
UPDATE acct SET s = 1 WHERE k IN (SELECT v FROM item);
UPDATE acct SET s = 1 WHERE s > (SELECT avg(s) FROM acct a);
UPDATE acct SET s = word.n FROM word WHERE word.k = acct.k;
UPDATE acct SET s = loc.v FROM loc WHERE loc.id = acct.kind;
UPDATE acct SET n = (SELECT random());
UPDATE made SET at = DEFAULT;
UPDATE acct SET t = ctid::text;
UPDATE acct SET s = 1 RETURNING acct;
UPDATE acct SET ts = statement_timestamp();

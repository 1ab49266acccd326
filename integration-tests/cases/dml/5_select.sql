-- INSERT … SELECT.

-- case: on the shard of the row
INSERT INTO item SELECT k, 11, s, t FROM acct;
INSERT INTO item (id, note, k) SELECT 12, left(t, 2), k FROM acct WHERE n > 20 RETURNING k, id, note;
INSERT INTO item SELECT a.k, 13, count(*), max(kind.label) FROM acct a JOIN item i USING (k) LEFT JOIN kind ON kind.id = a.kind GROUP BY a.k;
INSERT INTO item (k, id) SELECT k, id + 100 FROM item WHERE id = 1 RETURNING *;
INSERT INTO child SELECT k, 7, id FROM item WHERE id = 2;
INSERT INTO acct (k, s) SELECT k, 5 FROM item WHERE id = 1 ON CONFLICT (k) DO UPDATE SET s = excluded.s + 1;
INSERT INTO item (k, id, v) SELECT DISTINCT k, 14, 1 FROM item;
WITH src AS (SELECT k, s FROM acct WHERE s > 2) INSERT INTO item (k, id, v) SELECT k, 15, s FROM src;
INSERT INTO item (k, id, v) SELECT k, 16, row_number() OVER (PARTITION BY k ORDER BY id) FROM item WHERE id = 1;
INSERT INTO item (k, id, v) SELECT k, 17, s FROM (SELECT k, s FROM acct ORDER BY s) q WHERE s < 5;
INSERT INTO item (k, id) SELECT k, 20 FROM acct WHERE k IN (1, 2, 3) RETURNING k;
INSERT INTO item (k, id) SELECT k, 21 FROM acct WHERE k = 5 RETURNING k;
INSERT INTO item (k, id) SELECT k, 22 FROM acct WHERE k = NULL;
INSERT INTO acct (k, ts) SELECT k, now() FROM item WHERE id = 1 ON CONFLICT (k) DO UPDATE SET ts = excluded.ts;
SELECT count(DISTINCT ts) FROM acct;
INSERT INTO item (k, id, v) SELECT a.k, 23, x.v FROM acct a CROSS JOIN (VALUES (1), (2)) x (v) WHERE x.v = 2;

-- case: of one key
INSERT INTO acct (k, s) SELECT 300, max(id) FROM kind;

-- case: errors
-- expect: error
INSERT INTO item SELECT k, 1, s, t FROM acct;
INSERT INTO item SELECT k, 30, 1 / (k - 4), t FROM acct;
INSERT INTO item SELECT k, 30, s, 'longer than eight' FROM acct;
INSERT INTO item SELECT k, 30, t, s FROM acct;
INSERT INTO item (k, id) SELECT k, 1, 2 FROM acct;

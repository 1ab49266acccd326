-- INSERTs whose rows are computed on one server, because only their values tell where they belong.

-- case: expressions as keys
INSERT INTO acct (k, s) VALUES (1000 + 1, 1), (2000 + 2, 2), (abs(-3003), 3), (4004, 4) RETURNING k, s;
INSERT INTO acct (k, s) VALUES (5000 + 5, 5) RETURNING *;
INSERT INTO word (w, n) VALUES (lower('EINS'), 1), (upper('zwei'), 2), ('dr' || 'ei', 3) RETURNING w, n;
INSERT INTO word (w) VALUES (lower('VIER'));
INSERT INTO item VALUES (+2, 50, 1, 'p'), (7::int, 50, 1, 'c'), (length('abc'), 50, 2, 'd');
INSERT INTO acct (k, s) VALUES (1, 10), (1 + 1, 20), (6001 + 1, 30) ON CONFLICT (k) DO UPDATE SET s = excluded.s + 1 RETURNING k, s;
INSERT INTO acct (k, ts) VALUES (7000 + 1, now()), (7000 + 2, now()), (7000 + 3, now());
SELECT count(DISTINCT ts) FROM acct WHERE k > 7000;

-- case: random keys
-- compare: count
INSERT INTO thing (u, x) VALUES (gen_random_uuid(), 100), (gen_random_uuid(), 101) RETURNING u;

-- case: selected from elsewhere
INSERT INTO item (k, id, v) SELECT k + 100, id, v FROM item WHERE id = 1 RETURNING k, id, v;
INSERT INTO acct (k, s, t) SELECT n + 500, n, w FROM word WHERE n > 2;
INSERT INTO word SELECT t || 'x', k, k FROM acct WHERE t IS NOT NULL AND k < 5 RETURNING w, n, k;
INSERT INTO acct (k, s) SELECT id + 600, id FROM kind;
INSERT INTO acct (k, s) SELECT id + 700, v FROM loc RETURNING k, s;
INSERT INTO acct (k, s, d, n) SELECT g, g % 7, '2024-01-01', '1.5' FROM generate_series(801, 840) g;
INSERT INTO acct (k, s) SELECT k, count(*) FROM word WHERE k > 3 GROUP BY k ON CONFLICT (k) DO UPDATE SET s = excluded.s * 100 RETURNING k, s;
INSERT INTO acct SELECT k + 900, s, n, t, d, ts, tags, kind FROM acct WHERE k <= 10 ORDER BY k LIMIT 4;
INSERT INTO item (k, id, note) SELECT k, 60, 'a' FROM acct WHERE k < 4 UNION ALL SELECT k, 61, 'b' FROM acct WHERE k < 4;
INSERT INTO acct (k) SELECT n FROM word WHERE false RETURNING k, s;
INSERT INTO acct (k, s) (SELECT k + 950, s FROM acct WHERE k = 3);
INSERT INTO acct (k, s) SELECT max(k) + 1, sum(s) FROM acct RETURNING k;
-- params: ["1500", "3"]
INSERT INTO acct (k, s) SELECT k + $1, s FROM acct WHERE k < 4 AND s < $2 RETURNING k, s;
-- params: ["1200", "2"]
INSERT INTO acct (k, s) VALUES ($1 + 1, $2), ($1 + 2, $2) RETURNING k, s;

-- case: errors
-- expect: error
INSERT INTO acct (k, s) VALUES (1, 1), (8000 + 1, 2), (1 + 1, 3);
INSERT INTO acct (k, s) VALUES (8000 + 1, 1), (99999999999999999999, 2);
INSERT INTO acct (k, s) VALUES (8000 + 1, 1), (lower('x'), 2);
INSERT INTO acct (k, s) SELECT n, w FROM word;
INSERT INTO acct (k, s) SELECT NULL::bigint, n FROM word;
INSERT INTO item (k, id, v) SELECT n + 8000, 1, 1 / (n - 3) FROM word;
INSERT INTO item (k, id, note) SELECT n + 8000, 1, 'much too long' FROM word;

-- case: in a transaction
BEGIN;
INSERT INTO acct (k, s) VALUES (9000 + 1, 1), (9000 + 2, 2);
INSERT INTO acct (k, s) SELECT k + 100, s FROM acct WHERE k > 9000;
SELECT k, s FROM acct WHERE k > 9000 ORDER BY k;
COMMIT;

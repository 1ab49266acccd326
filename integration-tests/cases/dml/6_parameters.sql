-- Parameters.

-- case: of updates
-- params: ["5"]
UPDATE acct SET s = s + $1;
-- params: ["5", "40"]
UPDATE acct SET s = $1 WHERE n > $2 RETURNING k, s;
-- params: ["{1,2,3}"]
UPDATE acct SET s = 0 WHERE k = ANY ($1) RETURNING k;
-- params: ["1", "4", "9"]
DELETE FROM acct WHERE k IN ($1, $2, $3) RETURNING k;
-- params: [null]
UPDATE acct SET t = $1;
-- params: ["2"]
UPDATE acct SET t = 'one' WHERE k = $1;

-- case: of rows
-- params: ["801", "1", "802", "2", "803", "3", "804", null]
INSERT INTO acct (k, s) VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING k, s;
-- params: ["811", "a", "812", "b", "813", "c"]
INSERT INTO acct (k, t) VALUES ($1, $2), ($3, $4), ($5, $6);
-- params: ["821", "822", "823", "same", "9"]
INSERT INTO acct (k, t, s) VALUES ($1, $4, $5), ($2, $4, $5), ($3, $4, $5) RETURNING k, t, s;
-- params: ["1", "831", "832", "5"]
INSERT INTO acct (k, s) VALUES ($1, 1), ($2, 2), ($3, 3) ON CONFLICT (k) DO UPDATE SET s = excluded.s + $4 RETURNING k, s;
-- params: ["{a,b}", "841", "842", "2024-01-01", "1.5"]
INSERT INTO acct (k, tags, d, n) VALUES ($2, $1, $4, $5), ($3, $1, $4, $5) RETURNING *;
-- params: ["x", "y", "z"]
INSERT INTO word (w) VALUES ($1), ($2), ($3) RETURNING w, n;
-- params: ["40000000-0000-0000-0000-000000000001", "40000000-0000-0000-0000-000000000002", "{\"a\": 2}"]
INSERT INTO thing (u, j) VALUES ($1, $3), ($2, $3) RETURNING *;
-- params: ["851", "852", "853", "854"]
INSERT INTO made (k) VALUES ($1), ($2), ($3), ($4) RETURNING k, v;
-- params: ["861", "862", "7"]
INSERT INTO acct (k) VALUES ($1), ($2) RETURNING k, $3::int;
-- params: ["3"]
INSERT INTO item SELECT k, 40, $1, t FROM acct RETURNING k, v;

-- case: errors
-- expect: error
-- params: ["871", "x"]
INSERT INTO acct (k, s) VALUES ($1, 1), (872, $2);
-- params: ["871", null]
INSERT INTO acct (k) VALUES ($1), ($2);
-- params: ["x", "871"]
INSERT INTO acct (k) VALUES ($1), ($2);
-- params: ["0"]
UPDATE acct SET s = 1 / $1;

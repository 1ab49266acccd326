-- Trap 20: writes that see local rows only, or move a row.

-- case: writes
BEGIN;
UPDATE acc SET s = m.v FROM mov m WHERE m.k = acc.k AND m.id = 1 AND acc.k = 4 RETURNING acc.s;
ROLLBACK;

-- case: on the shard of each row
INSERT INTO mov SELECT k, 9, s FROM acc;
DELETE FROM mov WHERE id = 9;

-- case: on the shard of each row, which only its values tell
INSERT INTO mov SELECT k + 1, 9, 0 FROM acc WHERE k = 1;
DELETE FROM mov WHERE id = 9;

-- case: refused
-- expect: refused
WITH gone AS (DELETE FROM mov RETURNING k) SELECT count(*) FROM gone;
UPDATE acc SET s = note.k FROM note WHERE note.k = acc.k;
INSERT INTO acc (k) VALUES (1) ON CONFLICT (k) DO UPDATE SET k = acc.k + 49;
DELETE FROM acc USING mov WHERE acc.k = 1 AND mov.v = acc.s;

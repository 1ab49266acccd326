-- Writes over shards in transactions, and several statements in one message.

-- case: commit
BEGIN;
UPDATE acct SET s = 1;
INSERT INTO acct (k, s) VALUES (901, 1), (902, 2), (903, 3);
DELETE FROM acct WHERE k IN (1, 2, 901);
SELECT k, s FROM acct ORDER BY k;
COMMIT;
SELECT k, s FROM acct ORDER BY k;

-- case: rollback
BEGIN;
UPDATE acct SET s = 1;
INSERT INTO acct (k, s) VALUES (911, 1), (912, 2), (913, 3) RETURNING k;
DELETE FROM item;
SELECT count(*), sum(s) FROM acct;
ROLLBACK;
SELECT count(*), sum(s) FROM acct;

-- case: an error in the middle
BEGIN;
UPDATE acct SET s = 1;
-- expect: error
INSERT INTO acct (k, s) VALUES (921, 1), (922, 2), (1, 3);
UPDATE acct SET s = 2;
-- expect: same
ROLLBACK;
SELECT count(*), sum(s) FROM acct;

-- case: a savepoint
BEGIN;
UPDATE acct SET s = 1;
SAVEPOINT a;
-- expect: error
UPDATE acct SET s = 1 / (k - 5);
-- expect: same
ROLLBACK TO a;
UPDATE acct SET t = 'kept' WHERE k > 5;
COMMIT;
SELECT k, s, t FROM acct ORDER BY k;

-- case: repeatable read
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE acct SET s = 3 WHERE n > 20;
SELECT sum(s) FROM acct;
COMMIT;

-- case: prepared in SQL
PREPARE up (int) AS UPDATE acct SET s = $1 WHERE n > 30 RETURNING k, s;
EXECUTE up (5);
EXECUTE up (1 + 1);
PREPARE ins (bigint, bigint, text) AS INSERT INTO acct (k, t) VALUES ($1, $3), ($2, $3) RETURNING k, t;
EXECUTE ins (931, 932, 'p');
EXECUTE ins (933, 934, upper('q'));
DEALLOCATE up;
DEALLOCATE ins;

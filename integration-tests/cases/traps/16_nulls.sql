-- Trap 16: NULLs, empty arrays, numbers out of range.

-- case: nulls
SELECT k FROM acc WHERE k = NULL;
SELECT k FROM acc WHERE k IN (1, NULL);
SELECT k FROM acc WHERE k NOT IN (1, NULL);
SELECT k FROM acc WHERE k = ANY ('{}'::bigint[]);
SELECT k FROM acc WHERE k <> ALL ('{}'::bigint[]);
SELECT k FROM acc WHERE k = ANY (NULL);
SELECT k FROM acc WHERE k IS NULL;
SELECT k FROM acc WHERE k = 99999999999999999999;
SELECT k FROM acc WHERE k IS NOT DISTINCT FROM NULL;
-- params: [null]
SELECT k FROM acc WHERE k = $1;
-- params: ["{}"]
SELECT k FROM acc WHERE k = ANY ($1);
-- params: ["{3,NULL}"]
SELECT k FROM acc WHERE k = ANY ($1);
-- expect: error
SELECT k FROM acc WHERE k = '99999999999999999999';
SELECT k FROM acc WHERE k = 'x';
INSERT INTO acc (k) VALUES (NULL);
-- params: ["99999999999999999999"]
SELECT k FROM acc WHERE k = $1;

-- Trap 23: session state on one shard only.

-- case: settings
SET DateStyle = 'German';
SELECT k, d FROM acc WHERE k = 1;
SELECT k, d FROM acc;
RESET DateStyle;
BEGIN;
SET LOCAL extra_float_digits = 0;
SELECT k, f FROM acc WHERE k = 2;
ROLLBACK;
SHOW extra_float_digits;
BEGIN;
SET search_path = nowhere;
ROLLBACK;
SELECT count(*) FROM acc;
SET TimeZone = 'Asia/Tokyo';
SELECT k, d::timestamptz FROM acc WHERE k IN (3, 6, 9) ORDER BY 2, 1;
RESET TimeZone;

-- case: a temporary table that hides
-- expect: refused
CREATE TEMP TABLE mov (k int);
-- expect: same
SELECT count(*) FROM mov;

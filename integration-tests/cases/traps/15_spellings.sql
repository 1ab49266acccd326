-- Trap 15: spellings of a key that are equal and hash apart.

-- case: numbers
SELECT k FROM acc WHERE k = 7.0;
SELECT k FROM acc WHERE k = '0007';
SELECT k FROM acc WHERE k = ' 7 ';
SELECT k FROM acc WHERE k = 7::int2;
SELECT k FROM acc WHERE k = 7::numeric(5,2);
SELECT k FROM acc WHERE k = 7e0;
SELECT k FROM acc WHERE k = - -7;
SELECT k FROM acc WHERE k = +7;
SELECT k FROM acc WHERE k = -0;
SELECT k FROM acc WHERE k IN (7.0, '0008', 9::int2);
SELECT k FROM acc WHERE k = 6.5::int;
SELECT k FROM acc WHERE k = ANY ('{007, 8}');

-- case: text
SELECT code FROM note WHERE code = '007';
SELECT code FROM note WHERE code = 'a ';
SELECT code FROM note WHERE code = 'a'::char(3);
SELECT code FROM note WHERE code = 'a ' COLLATE "en-x-icu";
SELECT code FROM note WHERE code = E'\x61';
-- expect: refused
SELECT code FROM note WHERE code = U&'\0061';
-- expect: same
SELECT code FROM note WHERE code = 'a
';
SELECT code FROM note WHERE code = '00'
'7';

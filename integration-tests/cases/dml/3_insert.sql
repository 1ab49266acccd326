-- INSERT … VALUES whose rows belong to several shards.

-- case: rows
INSERT INTO acct (k, s) VALUES (101, 1), (102, 2), (103, 3), (104, 4), (105, 5), (106, 6), (107, 7), (108, 8);
-- compare: ordered
INSERT INTO acct (k, s) VALUES (111, 1), (112, 2), (113, 3), (114, 4), (115, 5), (116, 6), (117, 7), (118, 8) RETURNING k, s;
-- compare: ordered
-- compare: ordered
INSERT INTO acct VALUES (128, 1, 1.5, 'x', '2024-02-29', NULL, '{a,b}', 1), (127, 2, 2.5, 'y''z', NULL, '2024-01-01 10:00+02', NULL, NULL), (126, 3, 'NaN', E'b\\s', DEFAULT, DEFAULT, DEFAULT, DEFAULT) RETURNING *;
INSERT INTO word (n, w) VALUES (1, 'uno'), (2, 'due'), (3, 'tre'), (4, 'quattro'), (5, 'ünf') RETURNING w;
INSERT INTO thing VALUES ('10000000-0000-0000-0000-000000000001', 1), ('{20000000-0000-0000-0000-000000000001}', 2), ('3000000000000000000000000000000a', 3) RETURNING u, x, j;
INSERT INTO item AS i VALUES (1, 5, 1, 'a'), (2, 5, 2, 'b'), (3, 5, 3, 'c'), (1, 6, 4, 'd') RETURNING i.k, i.id, i.v + 1, upper(i.note);
INSERT INTO public.item (note, v, id, k) VALUES ('q', 1, 7, 4), ('r', 2, 7, 5), ('s', 3, 7, 6);
INSERT INTO item VALUES (-1, 1, 1, 'n'), (2, 9, 1, 'p'), ('3', 9, 1, 't'), (4::bigint, 9, 1, 'c') RETURNING k;
INSERT INTO acct (k, n) VALUES (201, 1 + 1), (202, (SELECT count(*) FROM kind)), (203, sqrt(4)), (204, CASE WHEN true THEN 1 END);
INSERT INTO acct (k, t) VALUES
  (211, 'a'), -- (a comment,
  (212, /* another), ( */ 'b'),
  (213, 'values (1), (2)')
RETURNING k, t;

-- case: a wrong number
-- expect: error
INSERT INTO acct VALUES (128, 1, 1.5), (127, 2, 2.5, NaN);
INSERT INTO acct (k, s) VALUES (301, 1), (302);
INSERT INTO acct (k, s) VALUES (301, 1, 2), (302, 1, 2);
INSERT INTO acct (k) VALUES (301, 1), (302, 2);
INSERT INTO acct (k, k) VALUES (301, 1), (302, 2);
INSERT INTO acct (k, nothing) VALUES (301, 1), (302, 2);

-- case: defaults
INSERT INTO made (k) VALUES (11), (12), (13), (14), (15), (16);
SELECT k, v, up, who = current_user FROM made ORDER BY k;
SELECT count(DISTINCT at), count(DISTINCT day), bool_and(day = current_date AND at > now() - interval '1 hour') FROM made WHERE k > 10;
INSERT INTO made (k, v, at) VALUES (21, 1, DEFAULT), (22, DEFAULT, DEFAULT), (23, 3, '2024-01-01'), (24, 4, DEFAULT);
SELECT count(DISTINCT at) FROM made WHERE k > 20 AND k <> 23;
INSERT INTO made VALUES (31), (32), (33), (34) RETURNING k, v, up, who = current_user AS me;
SELECT count(DISTINCT at), count(*) FROM made WHERE k > 30;
INSERT INTO made (at, k) VALUES (now(), 41), (now(), 42), (now(), 43), (now(), 44);
SELECT count(DISTINCT at), count(*) FROM made WHERE k > 40;
BEGIN;
INSERT INTO made (k, day) VALUES (51, '2024-01-01'), (52, '2024-01-01'), (53, '2024-01-01'), (54, '2024-01-01'), (55, '2024-01-01'), (56, '2024-01-01');
INSERT INTO made (k, day, at) VALUES (57, '2024-01-01', now()), (58, '2024-01-01', now()), (59, '2024-01-01', now()), (60, '2024-01-01', now()), (50, '2024-01-01', now());
SELECT count(DISTINCT at), count(*) FROM made WHERE k >= 50;
COMMIT;
-- compare: columns
INSERT INTO made (k) VALUES (71), (72), (73) RETURNING at, day, now();

-- case: volatile values
INSERT INTO acct (k, n) VALUES (401, random()), (402, random()), (403, random()), (404, random());
SELECT count(DISTINCT n) FROM acct WHERE k > 400;
INSERT INTO acct (k, t) VALUES (411, gen_random_uuid()), (412, gen_random_uuid());

-- case: through a view
INSERT INTO rich VALUES (501, 1, 60), (502, 2, 40), (503, 3, 70), (504, 4, 80) RETURNING k, n;
INSERT INTO rich (n, k) VALUES (60, 511), (40, 512), (70, 513);

-- case: errors
-- expect: error
INSERT INTO acct (k, s) VALUES (601, 1), (602, 2), (1, 3), (603, 4);
INSERT INTO acct (k, s) VALUES (601, 1), (601, 2), (602, 2);
INSERT INTO acct (k, s) VALUES (601, 1), (NULL, 2), (602, 2);
INSERT INTO acct (k, s) VALUES (601, 1), (602, 'x'), (603, 2);
INSERT INTO acct (k, s) VALUES (601, 1), (602, 1 / 0), (603, 2);
INSERT INTO acct (k, s) VALUES (601, 1), ('x', 1), (603, 2);
INSERT INTO item VALUES (1, 20, 1, 'a'), (2, 20, -100, 'b'), (3, 20, 1, 'c');
INSERT INTO item VALUES (1, 20, 1, 'a'), (2, 20, 1, 'longer than eight'), (3, 20, 1, 'c');
INSERT INTO child VALUES (1, 5, 1), (2, 5, 99), (3, 5, 1);
INSERT INTO made (k, up) VALUES (81, 'x'), (82, 'y');
INSERT INTO nowhere VALUES (1), (2);
INSERT INTO acct (k, s) VALUES (601, 1), (602, 2) RETURNING nothing;

-- case: values from other rows
INSERT INTO acct (k, s) VALUES (701, (SELECT max(s) FROM acct)), (702, 1), (703, 1);
DELETE FROM acct WHERE k > 700;
INSERT INTO acct (k, s) VALUES (701, (SELECT max(v) FROM loc)), (702, 1), (703, 1);
DELETE FROM acct WHERE k > 700;

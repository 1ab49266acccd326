-- INSERT … ON CONFLICT.

-- case: nothing
INSERT INTO acct (k, s) VALUES (1, 100), (102, 2), (3, 100), (104, 4), (5, 100) ON CONFLICT DO NOTHING;
INSERT INTO acct (k, s) VALUES (1, 100), (112, 2), (3, 100), (114, 4), (5, 100) ON CONFLICT (k) DO NOTHING RETURNING k, s;
INSERT INTO acct (k, s) VALUES (121, 1), (121, 2), (122, 3), (123, 4) ON CONFLICT (k) DO NOTHING RETURNING k, s;
INSERT INTO item VALUES (1, 1, 9, 'x'), (2, 9, 9, 'x'), (3, 1, 9, 'x') ON CONFLICT ON CONSTRAINT item_pkey DO NOTHING;
INSERT INTO word VALUES ('alpha', 9), ('beta', 9), ('new', 9), ('newer', 9) ON CONFLICT DO NOTHING RETURNING *;

-- case: update
INSERT INTO acct (k, s) VALUES (1, 100), (102, 2), (3, 100), (104, 4), (5, 100) ON CONFLICT (k) DO UPDATE SET s = excluded.s;
INSERT INTO acct (k, s) VALUES (1, 1), (112, 2), (3, 3), (114, 4), (5, 5) ON CONFLICT (k) DO UPDATE SET s = acct.s + excluded.s, t = 'met' RETURNING k, s, t;
INSERT INTO acct AS a (k, s) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5) ON CONFLICT (k) DO UPDATE SET s = excluded.s WHERE a.s > 3 RETURNING a.k, a.s;
INSERT INTO acct (k, s, t) VALUES (6, 1, 'm'), (7, 2, 'n'), (8, 3, 'o') ON CONFLICT (k) DO UPDATE SET (s, t) = (excluded.s, excluded.t || acct.t);
INSERT INTO item VALUES (1, 1, 9, 'x'), (2, 9, 9, 'x'), (3, 1, 9, 'x') ON CONFLICT (k, id) DO UPDATE SET v = item.v * 2, note = DEFAULT RETURNING *;
INSERT INTO item VALUES (4, 1, 9, 'x'), (5, 9, 9, 'x'), (6, 1, 9, 'x') ON CONFLICT ON CONSTRAINT item_pkey DO UPDATE SET v = excluded.v;
INSERT INTO made (k, v) VALUES (1, 10), (2, 20), (91, 30), (92, 40) ON CONFLICT (k) DO UPDATE SET v = excluded.v, at = excluded.at;
SELECT count(DISTINCT at) FROM made WHERE k <> 3;
INSERT INTO acct (k, ts) VALUES (1, '2024-01-01'), (2, NULL), (131, NULL) ON CONFLICT (k) DO UPDATE SET ts = now();
INSERT INTO acct (k, s) VALUES (1, 1), (2, 2), (141, 1) ON CONFLICT (k) DO UPDATE SET s = (SELECT max(id) FROM kind);
INSERT INTO acct (k, s) VALUES (1, 1), (2, 2), (142, 1) ON CONFLICT (k) DO UPDATE SET s = (SELECT max(v) FROM item WHERE item.k = acct.k);
INSERT INTO word VALUES ('alpha', 9), ('beta', 8), ('eta', 7) ON CONFLICT (w) DO UPDATE SET n = excluded.n + word.n RETURNING w, n;

-- case: errors
-- expect: error
INSERT INTO acct (k, s) VALUES (201, 1), (202, 2), (202, 3), (203, 1) ON CONFLICT (k) DO UPDATE SET s = excluded.s;
INSERT INTO acct (k, s) VALUES (201, 1), (202, 2) ON CONFLICT (s) DO NOTHING;
INSERT INTO acct (k, s) VALUES (201, 1), (202, 2) ON CONFLICT DO UPDATE SET s = 1;
INSERT INTO acct (k, s) VALUES (1, 1), (202, 2) ON CONFLICT (k) DO UPDATE SET s = 1 / 0;
INSERT INTO acct (k, s) VALUES (1, 1), (202, 2) ON CONFLICT (k) DO UPDATE SET nothing = 1;

-- case: refused
-- expect: refused
INSERT INTO acct (k, s) VALUES (1, 1), (2, 2), (3, 3), (4, 4) ON CONFLICT (k) DO UPDATE SET s = (SELECT max(s) FROM acct a);
INSERT INTO acct (k, s) VALUES (1, 1), (2, 2), (3, 3), (4, 4) ON CONFLICT (k) DO UPDATE SET k = excluded.k + 1;
INSERT INTO acct (k, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4) ON CONFLICT (k) DO UPDATE SET n = (SELECT random());

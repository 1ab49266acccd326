-- The rows before each case.

-- case: rows
DELETE FROM child;
DELETE FROM item;
DELETE FROM acct;
DELETE FROM made;
DELETE FROM word;
DELETE FROM thing;
INSERT INTO acct VALUES (1, 1, 10, 'a', '2024-01-01', '2024-01-01 00:00:00+00', '{x}', 1), (2, 2, 20, 'b', '2024-01-02', NULL, '{}', 2), (3, 3, 30, 'c', NULL, '2024-01-03 00:00:00+00', NULL, 3), (4, 4, 40.50, 'd', '2024-01-04', NULL, '{y,z}', 1), (5, NULL, 50, NULL, '2024-01-05', NULL, '{x,y}', 2), (6, 6, 60, 'f', '2024-01-06', NULL, '{}', 3), (7, 7, 70.7, 'g', '2024-01-07', NULL, NULL, NULL), (8, 8, NULL, 'h', '2024-01-08', NULL, '{x}', 1), (9, 9, 90, 'i', 'infinity', NULL, '{q}', 2), (10, 10, 100, 'j', NULL, NULL, NULL, 9);
INSERT INTO item SELECT k, 1, k * 2, t FROM acct;
INSERT INTO item SELECT k, 2, k * 3, 'two' FROM acct WHERE k > 3;
INSERT INTO child SELECT k, 1, id FROM item WHERE id = 1;
INSERT INTO made (k, v, at, day) VALUES (1, 1, '2024-01-01', '2024-01-01'), (2, 2, '2024-01-01', '2024-01-01'), (3, 3, '2024-01-01', '2024-01-01');
INSERT INTO word VALUES ('alpha', 1, 1), ('beta', 2, 2), ('gamma', 3, 3), ('delta', 4, 4), ('Alpha', 5, 5), ('', 6, 6);
INSERT INTO thing VALUES ('00000000-0000-0000-0000-000000000001', 1, '{"a": 1}'), ('00000000-0000-0000-0000-000000000002', 2, NULL), ('00000000-0000-0000-0000-000000000003', 3, '[]'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 4, '"s"');

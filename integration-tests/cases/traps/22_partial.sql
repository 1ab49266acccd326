-- Trap 22: a write that fails on one shard and stays on the others.

-- case: refused as a whole
-- expect: refused
INSERT INTO acc (k) VALUES (101), (102), (103), (104), (105), (106), (107), (1);
UPDATE acc SET s = 12 / (k - 12);
DELETE FROM mov;

-- case: nothing is written
SELECT count(*), sum(s), max(k) FROM acc;
SELECT count(*) FROM mov;

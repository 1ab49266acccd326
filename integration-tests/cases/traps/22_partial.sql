-- Trap 22: a write that fails on one shard and stays on the others.

-- case: fails as a whole
-- expect: error
INSERT INTO acc (k) VALUES (101), (102), (103), (104), (105), (106), (107), (1);
UPDATE acc SET s = 12 / (k - 12);
DELETE FROM mov WHERE 1 / (k - 4) < 9;

-- case: nothing is written
SELECT count(*), sum(s), max(k) FROM acc;
SELECT count(*) FROM mov;

-- Trap 21: UNIQUE per shard, and a key that changes.

-- case: constraints
-- expect: refused
CREATE UNIQUE INDEX note_k ON note (k);
ALTER TABLE note ADD UNIQUE (k);
UPDATE acc SET k = 77 WHERE k = 1;
UPDATE acc SET (k, s) = (77, 1) WHERE k = 1;

-- case: uniqueness within the key
-- expect: error
INSERT INTO acc (k) VALUES (1);
INSERT INTO mov (k, id) VALUES (1, 900), (1, 900);

-- case: nothing moved
SELECT count(*), count(DISTINCT k) FROM acc;

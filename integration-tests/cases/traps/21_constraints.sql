-- Trap 21: UNIQUE per shard, and a key that changes.

-- case: constraints
-- expect: refused
CREATE UNIQUE INDEX note_k ON note (k);
ALTER TABLE note ADD UNIQUE (k);
UPDATE acc SET k = 77 WHERE k = 1;
UPDATE acc SET (k, s) = (77, 1) WHERE k = 1;

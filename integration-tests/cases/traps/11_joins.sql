-- Trap 11: joins across shards done within shards.

-- case: joins
SELECT acc.k, mov.id FROM acc JOIN mov USING (k);
SELECT a.k, b.k FROM acc a JOIN acc b ON a.k = b.k AND a.s = b.s;
SELECT acc.k, note.code FROM acc JOIN note ON note.k = acc.k;
SELECT a.k, b.k FROM acc a JOIN acc b ON a.s = b.s;
SELECT a.k, m.id FROM acc a JOIN mov m ON a.k = m.v;
SELECT a.k, m.id FROM acc a JOIN mov m ON a.k = m.k OR a.s = m.v;
SELECT a.k FROM acc a, mov m;

-- Trap 12: a reference table on the preserved side.

-- case: reference
SELECT acc.k, kind.label FROM acc LEFT JOIN kind ON kind.id = acc.kind;
SELECT acc.k, kind.label FROM acc JOIN kind ON kind.id = acc.kind;
SELECT count(*) FROM kind;
SELECT kind.id, acc.k FROM kind LEFT JOIN acc ON kind.id = acc.kind;
SELECT kind.id, acc.k FROM acc FULL JOIN kind ON kind.id = acc.kind;
SELECT id FROM kind WHERE NOT EXISTS (SELECT 1 FROM acc WHERE acc.kind = kind.id);
SELECT id FROM kind WHERE id NOT IN (SELECT kind FROM acc);

-- What has changed since the snapshot whose oldest running transaction was $1, and what there is, by OID. NULL: everything
-- counts as changed. A row that the earlier snapshot did not see was written by a transaction that is not older than that.
WITH
bound AS MATERIALIZED (
    SELECT coalesce(age($1::text::xid8::xid), 2147483647) AS age
),
user_schema AS MATERIALIZED (
    SELECT n.oid
    FROM pg_catalog.pg_namespace n
    WHERE NOT starts_with(n.nspname::text, 'pg_') AND n.nspname NOT IN ('information_schema', 'pgring')
),
system_schema AS MATERIALIZED (
    SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('pg_catalog', 'information_schema')
),
changed_type AS MATERIALIZED (
    SELECT t.oid FROM pg_catalog.pg_type t WHERE age(t.xmin) <= (SELECT age FROM bound)
),
changed_relation AS (
    SELECT c.oid FROM pg_catalog.pg_class c WHERE age(c.xmin) <= (SELECT age FROM bound)
    UNION
    SELECT a.attrelid FROM pg_catalog.pg_attribute a
    WHERE a.attnum > 0
      AND (age(a.xmin) <= (SELECT age FROM bound) OR a.atttypid IN (SELECT t.oid FROM changed_type t))
    UNION
    SELECT d.adrelid FROM pg_catalog.pg_attrdef d WHERE age(d.xmin) <= (SELECT age FROM bound)
    UNION
    SELECT i.indrelid FROM pg_catalog.pg_index i WHERE age(i.xmin) <= (SELECT age FROM bound)
    UNION
    SELECT w.ev_class FROM pg_catalog.pg_rewrite w WHERE age(w.xmin) <= (SELECT age FROM bound)
    UNION
    -- ALTER SEQUENCE writes this row whatever it changes, its owner too.
    SELECT s.seqrelid FROM pg_catalog.pg_sequence s WHERE age(s.xmin) <= (SELECT age FROM bound)
)
SELECT
    pg_snapshot_xmin(pg_current_snapshot())::text AS since,

    (SELECT json_agg(json_build_array(n.oid::int8, n.nspname)) FROM pg_catalog.pg_namespace n
     WHERE NOT starts_with(n.nspname::text, 'pg_temp_') AND NOT starts_with(n.nspname::text, 'pg_toast'))::text AS schemas,

    (SELECT string_agg(c.oid::text, ' ') FROM pg_catalog.pg_class c
     WHERE c.relnamespace IN (SELECT n.oid FROM user_schema n)) AS relations,

    (SELECT string_agg(r.oid::text, ' ') FROM changed_relation r) AS changed_relations,

    -- Triggers and rules of users: the relation, whether it fires for each row, its function.
    (SELECT json_agg(json_build_array(g.oid::int8, g.by_row, g.space, g.name)
                     ORDER BY g.oid, g.by_row, g.space, g.name)
     FROM (SELECT t.tgrelid AS oid, t.tgtype & 1 = 1 AS by_row, n.nspname AS space, p.proname AS name
           FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
           JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE NOT t.tgisinternal
           UNION
           SELECT w.ev_class, false, '', '' FROM pg_catalog.pg_rewrite w WHERE w.rulename <> '_RETURN') g)::text AS active,

    -- Child and parent, in turn.
    (SELECT string_agg(h.inhrelid::text || ' ' || h.inhparent::text, ' ' ORDER BY h.inhrelid, h.inhseqno)
     FROM pg_catalog.pg_inherits h) AS parents,

    (SELECT string_agg(p.oid::text, ' ') FROM pg_catalog.pg_proc p
     WHERE p.pronamespace IN (SELECT n.oid FROM user_schema n)) AS functions,

    (SELECT json_agg(json_build_object(
        'oid', p.oid::int8, 'namespace', p.pronamespace::int8, 'name', p.proname, 'volatility', p.provolatile,
        'body', CASE WHEN l.lanname IN ('c', 'internal') THEN NULL
                     ELSE concat_ws(' ', p.prosrc, pg_catalog.pg_get_function_sqlbody(p.oid)) END))
     FROM pg_catalog.pg_proc p
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     WHERE p.pronamespace IN (SELECT n.oid FROM user_schema n)
       AND age(p.xmin) <= (SELECT age FROM bound))::text AS changed_functions,

    -- Types that are made by themselves: of prepared statements that use another one's OID, nothing else tells.
    (SELECT concat(count(*), ' ', sum((t.oid::int8 << 31) # t.xmin::text::int8)) FROM pg_catalog.pg_type t
     WHERE t.typtype <> 'c' AND t.typelem = 0
       AND t.typnamespace IN (SELECT n.oid FROM user_schema n)) AS types,

    -- What stands in the system schemas; functions only where they are younger than the server's own.
    (SELECT concat(count(*), ' ', sum(s.stamp))
     FROM (SELECT c.oid::int8 AS stamp FROM pg_catalog.pg_class c
           WHERE c.relnamespace IN (SELECT n.oid FROM system_schema n)
             AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
           UNION ALL
           SELECT (p.oid::int8 << 31) # p.xmin::text::int8 FROM pg_catalog.pg_proc p
           WHERE p.pronamespace IN (SELECT n.oid FROM system_schema n)
             AND age(p.xmin) < 2147483647) s) AS system,

    CASE WHEN $1::text IS NULL THEN
        (SELECT json_agg(json_build_array(n.nspname, c.relname))
         FROM pg_catalog.pg_class c JOIN system_schema n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S'))::text
    END AS system_relations

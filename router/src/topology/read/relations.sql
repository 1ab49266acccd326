-- All that hangs on the relations of which $1 lists the OIDs: each column of the only row is a list as JSON text.
WITH
-- The database's own collation sorts by code point. Names that differ between versions are read through jsonb.
database AS (
    SELECT CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
               WHEN 'c' THEN d.datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
               WHEN 'b' THEN true
               ELSE false
           END AS by_code_point
    FROM pg_catalog.pg_database d
    WHERE d.datname = current_database()
),
collation_rule AS (
    SELECT c.oid,
           c.collisdeterministic AS deterministic,
           c.collisdeterministic AND CASE c.collprovider
               WHEN 'c' THEN c.collcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
               WHEN 'b' THEN true
               WHEN 'd' THEN (SELECT by_code_point FROM database)
               ELSE false
           END AS by_code_point
    FROM pg_catalog.pg_collation c
),
relation AS MATERIALIZED (
    SELECT c.oid, c.relnamespace AS namespace, c.relname AS name, c.relkind AS kind
    FROM pg_catalog.pg_class c
    WHERE c.oid = ANY ($1::text::oid[])
),
-- A stored expression as PostgreSQL keeps it: names of its nodes, functions and operators by OID. pg_depend does not
-- list built-in functions, so the text of the tree is what can be asked.
stored_default AS MATERIALIZED (
    SELECT a.attrelid, a.attnum, d.oid AS attrdef, coalesce(d.adbin, t.typdefaultbin)::text AS tree
    FROM relation r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attgenerated = '' AND a.attidentity = '' AND coalesce(d.adbin, t.typdefaultbin) IS NOT NULL
),
called AS (
    SELECT s.attrelid, s.attnum, f[1]::oid AS function
    FROM stored_default s, regexp_matches(s.tree, ':(?:funcid|aggfnoid|winfnoid) ([0-9]+)', 'g') AS f
    UNION ALL
    SELECT s.attrelid, s.attnum, o.oprcode
    FROM stored_default s, regexp_matches(s.tree, ':opno ([0-9]+)', 'g') AS f
    LEFT JOIN pg_catalog.pg_operator o ON o.oid = f[1]::oid
),
called_worst AS MATERIALIZED (
    SELECT c.attrelid, c.attnum,
           CASE WHEN bool_or(p.oid IS NULL OR p.provolatile = 'v') THEN 'v'
                WHEN bool_or(p.provolatile = 's') THEN 's'
                ELSE 'i' END AS volatility,
           -- What it gives may depend on the server: it is drawn from a sequence, or made by code that may do so.
           bool_or(p.oid IS NULL OR p.provolatile = 'v' AND CASE p.pronamespace
               WHEN 'pg_catalog'::regnamespace THEN p.proname IN ('nextval', 'currval', 'lastval', 'setval')
               ELSE p.proname NOT IN ('uuid_generate_v4', 'snowflake_id') END) AS draws,
           string_agg(DISTINCT p.proname::text, ' ' ORDER BY p.proname::text) AS names
    FROM called c LEFT JOIN pg_catalog.pg_proc p ON p.oid = c.function
    GROUP BY 1, 2
),
default_value AS MATERIALIZED (
    SELECT s.attrelid, s.attnum, s.attrdef, coalesce(w.volatility, 'i') AS volatility, w.draws, w.names AS functions,
           (SELECT json_agg(DISTINCT node[1]) FROM regexp_matches(s.tree, '[{]([A-Z_]+)', 'g') AS node) AS nodes
    FROM stored_default s LEFT JOIN called_worst w USING (attrelid, attnum)
),
-- What a view's rule reads; the table of an index; the owner of a sequence.
link AS MATERIALIZED (
    SELECT DISTINCT w.ev_class AS relation, d.refobjid AS target
    FROM relation v
    JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid AND w.rulename = '_RETURN'
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
    UNION
    SELECT i.indexrelid, i.indrelid
    FROM relation x JOIN pg_catalog.pg_index i ON i.indexrelid = x.oid
    UNION
    SELECT d.objid, d.refobjid
    FROM relation s JOIN pg_catalog.pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
    WHERE s.kind = 'S' AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
),
-- The text of a view is made from what it reads as it is now: that waits for who is about to change it.
locked AS MATERIALIZED (
    SELECT l.relation FROM pg_catalog.pg_locks l
    WHERE l.relation IS NOT NULL AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
)
SELECT
    (SELECT json_agg(json_build_object(
        'oid', r.oid::int8, 'namespace', r.namespace::int8, 'name', r.name, 'kind', r.kind))
     FROM relation r)::text AS relations,

    (SELECT json_agg(json_build_object(
        'relation', a.attrelid::int8, 'name', a.attname, 'type_oid', a.atttypid::int8,
        'type_name', format_type(a.atttypid, a.atttypmod),
        'byte_order', CASE WHEN t.typtype IN ('c', 'r', 'm') THEN false
                           WHEN a.attcollation = 0 THEN true
                           ELSE b.typnamespace = 'pg_catalog'::regnamespace AND coalesce(c.by_code_point, false) END,
        'deterministic', CASE WHEN t.typtype IN ('c', 'r', 'm') THEN false
                              WHEN a.attcollation = 0 THEN true
                              ELSE b.typnamespace = 'pg_catalog'::regnamespace AND coalesce(c.deterministic, false) END,
        'not_null', a.attnotnull OR t.typnotnull, 'identity', a.attidentity <> '', 'generated', a.attgenerated <> '',
        'volatility', v.volatility, 'nodes', v.nodes, 'draws', coalesce(v.draws, false), 'functions', v.functions,
        'always', a.attidentity = 'a', 'sequence', CASE
            WHEN a.attidentity <> '' THEN
                (SELECT d.objid::int8 FROM pg_catalog.pg_depend d
                 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                   AND d.classid = 'pg_class'::regclass AND d.deptype = 'i' LIMIT 1)
            WHEN v.draws THEN
                (SELECT min(d.refobjid::int8) FROM pg_catalog.pg_depend d
                 JOIN pg_catalog.pg_class q ON q.oid = d.refobjid AND q.relkind = 'S'
                 WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = v.attrdef
                   AND d.refclassid = 'pg_class'::regclass) END) ORDER BY a.attrelid, a.attnum)
     FROM relation r
     JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     JOIN pg_catalog.pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), nullif(t.typelem, 0), t.oid)
     LEFT JOIN collation_rule c ON c.oid = a.attcollation
     LEFT JOIN default_value v ON v.attrelid = a.attrelid AND v.attnum = a.attnum
     WHERE r.kind IN ('r', 'p', 'v', 'm', 'f', 'c'))::text AS columns,

    -- Key columns by their place in the index; of an EXCLUDE only those compared by "=".
    (SELECT json_agg(json_build_object('relation', i.indrelid::int8, 'index', i.indexrelid::int8, 'columns', (
        SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.place <= i.indnkeyatts AND (x.conexclop IS NULL OR EXISTS (
            SELECT FROM pg_catalog.pg_operator o WHERE o.oid = x.conexclop[k.place] AND o.oprname = '='))))
        ORDER BY i.indrelid, NOT i.indisprimary, i.indexrelid)
     FROM pg_catalog.pg_index i
     JOIN relation r ON r.oid = i.indrelid
     LEFT JOIN pg_catalog.pg_constraint x
            ON x.conrelid = i.indrelid AND x.conindid = i.indexrelid AND x.conexclop IS NOT NULL
     WHERE i.indisunique OR i.indisexclusion)::text AS unique_keys,

    (SELECT json_agg(json_build_object('relation', d.relation::int8, 'target', d.target::int8,
                                       'schema', n.nspname, 'name', c.relname))
     FROM link d
     JOIN pg_catalog.pg_class c ON c.oid = d.target
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)::text AS reads,

    -- Views on relations of users; the search path is pg_catalog.
    (SELECT json_agg(json_build_object(
        'relation', v.oid::int8, 'select', pg_catalog.pg_get_viewdef(v.oid),
        'barrier', coalesce((SELECT o.option_value::bool FROM pg_catalog.pg_options_to_table(c.reloptions) o
                             WHERE o.option_name = 'security_barrier'), false)))
     FROM relation v
     JOIN pg_catalog.pg_class c ON c.oid = v.oid
     WHERE v.kind = 'v' AND v.oid NOT IN (SELECT l.relation FROM locked l)
       AND EXISTS (SELECT FROM link d
                   JOIN pg_catalog.pg_class t ON t.oid = d.target
                   JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
                   WHERE d.relation = v.oid AND NOT starts_with(n.nspname::text, 'pg_')
                     AND n.nspname NOT IN ('information_schema', 'pgring'))
       AND NOT EXISTS (SELECT FROM link d JOIN locked l ON l.relation = d.target
                       WHERE d.relation = v.oid))::text AS definitions

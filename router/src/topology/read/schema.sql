-- One statement, so one snapshot and one round trip: each column of its only row is a list as JSON text.
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
user_schema AS (
    SELECT n.oid, n.nspname
    FROM pg_catalog.pg_namespace n
    WHERE NOT starts_with(n.nspname::text, 'pg_') AND n.nspname NOT IN ('information_schema', 'pgring')
),
relation AS (
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind
    FROM pg_catalog.pg_class c JOIN user_schema n ON n.oid = c.relnamespace
),
-- A stored expression as PostgreSQL keeps it: names of its nodes, functions and operators by OID. pg_depend does not
-- list built-in functions, so the text of the tree is what can be asked.
stored_default AS (
    SELECT a.attrelid, a.attnum, coalesce(d.adbin, t.typdefaultbin)::text AS tree
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
called_worst AS (
    SELECT c.attrelid, c.attnum,
           CASE WHEN bool_or(p.oid IS NULL OR p.provolatile = 'v') THEN 'v'
                WHEN bool_or(p.provolatile = 's') THEN 's'
                ELSE 'i' END AS volatility
    FROM called c LEFT JOIN pg_catalog.pg_proc p ON p.oid = c.function
    GROUP BY 1, 2
),
default_value AS (
    SELECT s.attrelid, s.attnum, coalesce(w.volatility, 'i') AS volatility,
           (SELECT json_agg(DISTINCT node[1]) FROM regexp_matches(s.tree, '[{]([A-Z_]+)', 'g') AS node) AS nodes
    FROM stored_default s LEFT JOIN called_worst w USING (attrelid, attnum)
)
SELECT
    (SELECT json_agg(json_build_object(
        'oid', r.oid::int8, 'schema', r.schema, 'name', r.name, 'kind', r.kind,
        'has_triggers',
            EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = r.oid AND NOT g.tgisinternal)
            OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = r.oid AND w.rulename <> '_RETURN')))
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
        'volatility', v.volatility, 'nodes', v.nodes) ORDER BY a.attrelid, a.attnum)
     FROM relation r
     JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     JOIN pg_catalog.pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), nullif(t.typelem, 0), t.oid)
     LEFT JOIN collation_rule c ON c.oid = a.attcollation
     LEFT JOIN default_value v ON v.attrelid = a.attrelid AND v.attnum = a.attnum
     WHERE r.kind IN ('r', 'p', 'v', 'm', 'f', 'c'))::text AS columns,

    -- Key columns by their place in the index; of an EXCLUDE only those compared by "=".
    (SELECT json_agg(json_build_object('relation', i.indrelid::int8, 'columns', (
        SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.place <= i.indnkeyatts AND (x.conexclop IS NULL OR EXISTS (
            SELECT FROM pg_catalog.pg_operator o WHERE o.oid = x.conexclop[k.place] AND o.oprname = '='))))
        ORDER BY i.indrelid, NOT i.indisprimary, i.indexrelid)
     FROM pg_catalog.pg_index i
     JOIN relation r ON r.oid = i.indrelid
     LEFT JOIN pg_catalog.pg_constraint x ON x.conindid = i.indexrelid AND x.conexclop IS NOT NULL
     WHERE i.indisunique OR i.indisexclusion)::text AS unique_keys,

    -- What a view's rule reads; the table of an index; the owner of a sequence.
    (SELECT json_agg(json_build_object('relation', d.relation::int8, 'target', d.target::int8,
                                       'schema', n.nspname, 'name', c.relname))
     FROM (SELECT DISTINCT w.ev_class AS relation, d.refobjid AS target
           FROM pg_catalog.pg_rewrite w
           JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
           WHERE w.rulename = '_RETURN' AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
           UNION
           SELECT i.indexrelid, i.indrelid FROM pg_catalog.pg_index i
           UNION
           SELECT d.objid, d.refobjid
           FROM pg_catalog.pg_depend d
           JOIN relation s ON s.oid = d.objid AND s.kind = 'S'
           WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
             AND d.deptype IN ('a', 'i')) d
     JOIN relation r ON r.oid = d.relation
     JOIN pg_catalog.pg_class c ON c.oid = d.target
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)::text AS reads,

    (SELECT json_agg(json_build_object('relation', h.inhrelid::int8, 'target', h.inhparent::int8,
                                       'schema', p.schema, 'name', p.name) ORDER BY h.inhrelid, h.inhseqno)
     FROM pg_catalog.pg_inherits h
     JOIN relation p ON p.oid = h.inhparent)::text AS parents,

    (SELECT json_agg(json_build_object('schema', n.nspname, 'name', p.proname, 'volatility', p.provolatile,
        'body', CASE WHEN l.lanname IN ('c', 'internal') THEN NULL
                     ELSE concat_ws(' ', p.prosrc, pg_catalog.pg_get_function_sqlbody(p.oid)) END)
        ORDER BY p.oid)
     FROM pg_catalog.pg_proc p JOIN user_schema n ON n.oid = p.pronamespace
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang)::text AS functions,

    (SELECT json_agg(json_build_object('schema', n.nspname, 'name', c.relname))
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('pg_catalog', 'information_schema')
       AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S'))::text AS system_relations,

    (SELECT json_agg(n.nspname ORDER BY n.nspname COLLATE "C") FROM pg_catalog.pg_namespace n
     WHERE NOT starts_with(n.nspname::text, 'pg_temp_') AND NOT starts_with(n.nspname::text, 'pg_toast'))::text AS schemas

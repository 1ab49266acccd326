//! Volatility: what is known of PostgreSQL's own functions by name. In: a function's name. Out: what a planner may
//! do with a call. Never: a guess; a name that is not listed counts as volatile.

/// Reserved words that are calls without parentheses.
pub const BARE: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// What is known of a function of PostgreSQL's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// The same on every server, for all rows.
    Pure,
    /// An aggregate.
    Aggregate,
    /// A window function.
    Window,
    /// One value per statement, but not the same on two servers: time, session, settings.
    Stable,
    /// Volatile, and any server will do.
    Volatile,
    /// Changes or reads state that lives on the default shard: sequences, advisory locks, large objects.
    DefaultShard,
    /// As `DefaultShard`, and leaves the session with state on its backend.
    Pins,
    /// Runs SQL that it is given as text.
    RunsText,
    /// Not listed.
    Unknown,
}

const PURE: &[&str] = &[
    "abs", "acos", "array_append", "array_cat", "array_length", "array_lower", "array_ndims", "array_position",
    "array_positions", "array_prepend", "array_remove", "array_replace", "array_to_string", "array_upper", "ascii",
    "asin", "atan", "atan2", "bit_length", "btrim", "cardinality", "cbrt", "ceil", "ceiling", "char_length",
    "character_length", "chr", "concat", "concat_ws", "cos", "cot", "date_part", "date_trunc", "decode", "degrees",
    "div", "encode", "exp", "extract", "factorial", "floor", "format", "gcd", "generate_series", "get_bit",
    "get_byte", "initcap", "isempty", "isfinite", "json_array_elements", "json_array_elements_text",
    "json_array_length", "json_build_array", "json_build_object", "json_each", "json_each_text",
    "json_extract_path", "json_extract_path_text", "json_object", "json_object_keys", "json_strip_nulls",
    "json_typeof", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array",
    "jsonb_build_object", "jsonb_each", "jsonb_each_text", "jsonb_extract_path", "jsonb_extract_path_text",
    "jsonb_insert", "jsonb_object", "jsonb_object_keys", "jsonb_path_exists", "jsonb_path_query",
    "jsonb_path_query_array", "jsonb_path_query_first", "jsonb_pretty", "jsonb_set", "jsonb_strip_nulls",
    "jsonb_typeof", "justify_days", "justify_hours", "justify_interval", "lcm", "left", "length", "ln", "log",
    "log10", "lower", "lower_inc", "lower_inf", "lpad", "ltrim", "make_date", "make_interval", "make_time",
    "make_timestamp", "md5", "min_scale", "mod", "num_nonnulls", "num_nulls", "numrange", "int4range", "int8range",
    "daterange", "tsrange", "tstzrange", "octet_length", "overlay", "pi", "position", "power", "quote_ident",
    "quote_literal", "quote_nullable", "radians", "regexp_match", "regexp_matches", "regexp_replace",
    "regexp_split_to_array", "regexp_split_to_table", "repeat", "replace", "reverse", "right", "round", "rpad",
    "rtrim", "scale", "sha224", "sha256", "sha384", "sha512", "sign", "sin", "split_part", "sqrt", "starts_with",
    "string_to_array", "string_to_table", "strpos", "substr", "substring", "tan", "to_hex", "to_json", "to_jsonb",
    "translate", "trim_scale", "trunc", "unnest", "upper", "upper_inc", "upper_inf", "width_bucket", "to_char",
    "to_number", "to_date", "to_timestamp", "hashint8extended", "hashtextextended", "uuid_hash_extended",
];

const AGGREGATES: &[&str] = &[
    "any_value", "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count",
    "covar_pop", "covar_samp", "cume_dist", "dense_rank", "every", "grouping", "json_agg", "json_object_agg",
    "jsonb_agg", "jsonb_object_agg", "max", "min", "mode", "percent_rank", "percentile_cont", "percentile_disc",
    "range_agg", "range_intersect_agg", "rank", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2",
    "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop", "stddev_samp", "string_agg", "sum",
    "var_pop", "var_samp", "variance", "xmlagg",
];

const WINDOW: &[&str] = &["first_value", "lag", "last_value", "lead", "nth_value", "ntile", "row_number"];

const STABLE: &[&str] = &[
    "age", "current_catalog", "current_database", "current_date", "current_query", "current_role", "current_schema",
    "current_schemas", "current_setting", "current_time", "current_timestamp", "current_user", "localtime",
    "localtimestamp", "now", "session_user", "statement_timestamp", "transaction_timestamp", "user", "version",
    "pg_typeof", "timezone", "date_bin",
];

const VOLATILE: &[&str] = &[
    "clock_timestamp", "gen_random_uuid", "pg_backend_pid", "pg_sleep", "pg_sleep_for", "pg_sleep_until", "random",
    "setseed", "timeofday",
];

const DEFAULT_SHARD: &[&str] = &[
    "currval", "lastval", "nextval", "setval", "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared",
    "pg_try_advisory_xact_lock", "pg_try_advisory_xact_lock_shared", "pg_notify", "lo_create", "lo_creat",
    "lo_from_bytea", "lo_get", "lo_import", "lo_export", "lo_open", "lo_put", "lo_unlink", "loread", "lowrite",
    "pg_export_snapshot",
];

const PINS: &[&str] = &[
    "pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_unlock", "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared", "set_config",
];

const RUNS_TEXT: &[&str] = &[
    "cursor_to_xml", "cursor_to_xmlschema", "database_to_xml", "database_to_xml_and_xmlschema",
    "database_to_xmlschema", "query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema", "schema_to_xml",
    "schema_to_xml_and_xmlschema", "schema_to_xmlschema", "table_to_xml", "table_to_xml_and_xmlschema",
    "table_to_xmlschema", "ts_rewrite", "ts_stat",
];

/// What is known of a function of PostgreSQL's own with this name.
pub fn builtin(name: &str) -> Builtin {
    const TABLES: &[(&[&str], Builtin)] = &[
        (PURE, Builtin::Pure),
        (AGGREGATES, Builtin::Aggregate),
        (WINDOW, Builtin::Window),
        (STABLE, Builtin::Stable),
        (VOLATILE, Builtin::Volatile),
        (DEFAULT_SHARD, Builtin::DefaultShard),
        (PINS, Builtin::Pins),
        (RUNS_TEXT, Builtin::RunsText),
    ];
    TABLES.iter().find(|(names, _)| names.contains(&name)).map_or(Builtin::Unknown, |(_, builtin)| *builtin)
}

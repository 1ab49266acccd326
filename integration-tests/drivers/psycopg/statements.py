"""psycopg 3: prepared statements, pipelines, cursors, results and errors. See cases.py."""

import psycopg
from psycopg import pq, sql
from psycopg.rows import dict_row

from cases import case, connect, dropped, error_of, first, main, status, told


def prepared_here(conn):
    rows = conn.execute("SELECT name, statement, from_sql, parameter_types::text FROM pg_prepared_statements ORDER BY name",
                        prepare=False)
    return rows.fetchall()


@case
def statements_are_prepared_the_fifth_time():
    found = []
    with connect() as conn:
        for turn in range(8):
            conn.execute("SELECT %s::integer", [turn])
            found.append(len(prepared_here(conn)))
        found.append(prepared_here(conn))
        conn.execute("SELECT %s::integer", [None])
        conn.execute("SELECT %s", ["text"], prepare=True)
        conn.execute("SELECT %s", [1], prepare=True)
        conn.execute("SELECT %s", [2**40], prepare=True)
        found.append(prepared_here(conn))
        conn.execute("DEALLOCATE ALL")
        found.append(prepared_here(conn))
        conn.prepare_threshold = None
        for turn in range(8):
            conn.execute("SELECT %s::text", [str(turn)])
        found.append(prepared_here(conn))
    return found


@case
def few_statements_are_kept_prepared():
    found = []
    with connect() as conn:
        conn.prepare_threshold = 0
        conn.prepared_max = 3
        for turn in range(10):
            found.append(first(conn, f"SELECT %s::integer + {turn}", turn))
        found.append([row[1] for row in prepared_here(conn)])
        for turn in [9, 0, 8, 9]:
            found.append(first(conn, f"SELECT %s::integer + {turn}", turn))
        found.append([row[1] for row in prepared_here(conn)])
    return found


@case
def prepared_statements_and_changes_of_the_schema():
    found = []
    with connect() as conn, connect() as other:
        conn.prepare_threshold = other.prepare_threshold = 0
        for what in ["enum ('a', 'b')", "(x integer, y text)", "enum ('b', 'c')"]:
            conn.execute(f"CREATE TYPE changing AS {what}")
            conn.execute("CREATE TABLE changes (n serial, what changing, list changing[])")
            value = "b" if "enum" in what else "(1,z)"
            for client in [conn, other]:
                client.execute("INSERT INTO changes (what, list) VALUES (%s, %s::changing[])", [value, [value]])
                found.append(client.execute("SELECT what::text, list::text FROM changes ORDER BY n").fetchall())
            conn.execute("ALTER TABLE changes ADD more integer DEFAULT 7")
            with conn.transaction():
                found.append(conn.execute("SELECT * FROM changes WHERE n = %s", [1]).fetchone()[3])
            conn.execute("DROP TABLE changes")
            conn.execute("DROP TYPE changing")
            other.execute("DEALLOCATE ALL")
        with conn.transaction(force_rollback=True):
            conn.execute("CREATE TABLE never_kept (n integer)")
            conn.execute("INSERT INTO never_kept VALUES (%s)", [1])
            found.append(first(conn, "SELECT n FROM never_kept"))
        found.append(error_of(conn.execute, "SELECT n FROM never_kept"))
        conn.execute("CREATE TABLE never_kept (n text)")
        conn.execute("INSERT INTO never_kept VALUES (%s)", ["kept"])
        found.append(first(conn, "SELECT n FROM never_kept"))
        conn.execute("DROP TABLE never_kept")
        found.append(error_of(conn.execute, "INSERT INTO never_kept VALUES (%s)", [1]))
    return found


@case
def a_pipeline_and_its_errors():
    found = []
    with connect() as conn, dropped(conn, "TABLE piped (n integer PRIMARY KEY)"):
        with conn.pipeline() as pipeline:
            cursors = [conn.execute("SELECT %s::integer", [n]) for n in range(10)]
            found.append(cursors[3].fetchone())
            pipeline.sync()
            found.append([cursor.fetchone() for cursor in cursors])
        ok, bad, late = conn.cursor(), conn.cursor(), conn.cursor()
        try:
            # The error may be raised by what is sent behind it, or by the end of the pipeline.
            with conn.pipeline() as pipeline:
                ok.execute("INSERT INTO piped VALUES (1)")
                bad.execute("INSERT INTO piped VALUES (1)")
                late.execute("INSERT INTO piped VALUES (2)")
                pipeline.sync()
        except psycopg.Error as error:
            found.append(told(error))
        found.append([error_of(cursor.fetchone) for cursor in [ok, bad, late]])
        found.append((status(conn), conn.execute("SELECT n FROM piped ORDER BY n").fetchall()))
        with conn.pipeline() as pipeline:
            conn.execute("INSERT INTO piped VALUES (10)")
            pipeline.sync()
            found.append(error_of(lambda: conn.execute("SELECT 1 / 0").fetchone()))
            found.append(error_of(lambda: conn.execute("SELECT 'aborted'").fetchone()))
            found.append(pipeline.status.name)
            pipeline.sync()
            found.append((conn.execute("SELECT 'again'").fetchone(), pipeline.status.name))
        found.append(conn.execute("SELECT n FROM piped ORDER BY n").fetchall())
        with conn.pipeline():
            with conn.transaction():
                conn.execute("INSERT INTO piped VALUES (20)")
                found.append(error_of(lambda: conn.execute("SELECT pg_typeof(%s)", [1]).fetchone()))
            with conn.pipeline():
                conn.execute("INSERT INTO piped VALUES (21)")
        found.append(conn.execute("SELECT n FROM piped ORDER BY n").fetchall())

        def failing_block():
            with conn.pipeline(), conn.transaction():
                conn.execute("INSERT INTO piped VALUES (30)")
                conn.execute("INSERT INTO piped VALUES (30)")
        found.append(error_of(failing_block))
        found.append((status(conn), conn.execute("SELECT n FROM piped ORDER BY n").fetchall()))
    return found


@case
def pipelines_prepare_and_execute_many():
    found = []
    with connect() as conn, dropped(conn, "TABLE many (n integer PRIMARY KEY, word text)"):
        cursor = conn.cursor()
        with conn.pipeline():
            for n in range(20):
                cursor.execute("INSERT INTO many VALUES (%s, %s)", [n, f"word {n}"])
            cursor.executemany("INSERT INTO many VALUES (%s, %s) RETURNING n", [(n, "x") for n in range(20, 25)], returning=True)
            returned = []
            while True:
                returned.append(cursor.fetchone())
                if not cursor.nextset():
                    break
            found.append(returned)
        found.append([row[1] for row in prepared_here(conn)])
        found.append(error_of(cursor.executemany, "INSERT INTO many VALUES (%s, %s)", [(n, "y") for n in [100, 101, 5, 102]]))
        found.append(first(conn, "SELECT count(*) FROM many"))
        cursor.executemany("UPDATE many SET word = %s WHERE n = %s", [("z", n) for n in range(12)])
        found.append((cursor.rowcount, cursor.statusmessage))
        cursor.executemany("SELECT word FROM many WHERE n = %s", [[1], [13], [999]], returning=True)
        found.append([result.fetchall() for result in cursor.results()])
    return found


def results(pgconn, count):
    """What libpq gives, `count` results or ends of results."""
    found = []
    for _ in range(count):
        result = pgconn.get_result()
        if result is None:
            found.append(None)
            continue
        rows = [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]
        found.append((pq.ExecStatus(result.status).name, result.command_status, rows, result.error_field(pq.DiagnosticField.SQLSTATE)))
    return found


@case
def libpq_pipelines():
    found = []
    with connect() as conn, dropped(conn, "TABLE raw_piped (n integer)"):
        pgconn = conn.pgconn
        pgconn.enter_pipeline_mode()
        found.append(error_of(pgconn.exec_, b"SELECT 1"))
        pgconn.send_query_params(b"INSERT INTO raw_piped VALUES ($1) RETURNING n", [b"1"], param_types=[23])
        pgconn.send_prepare(b"named", b"SELECT $1::integer + 1")
        pgconn.send_describe_prepared(b"named")
        pgconn.send_query_prepared(b"named", [b"41"], result_format=1)
        pgconn.pipeline_sync()
        found += results(pgconn, 9)
        pgconn.send_query_params(b"SELECT 1", None)
        pgconn.send_flush_request()
        found += results(pgconn, 2)
        pgconn.send_query_params(b"SELECT wrong", None)
        pgconn.send_query_params(b"INSERT INTO raw_piped VALUES (2)", None)
        pgconn.send_prepare(b"after", b"SELECT 1")
        pgconn.pipeline_sync()
        pgconn.send_query_params(b"INSERT INTO raw_piped VALUES (3)", None)
        pgconn.pipeline_sync()
        found += results(pgconn, 10)
        pgconn.send_query_prepared(b"after", [])
        pgconn.pipeline_sync()
        found += results(pgconn, 3)
        for text in [b"BEGIN", b"INSERT INTO raw_piped VALUES (4)", b"ROLLBACK"]:
            pgconn.send_query_params(text, None)
        pgconn.pipeline_sync()
        found += results(pgconn, 7)
        pgconn.exit_pipeline_mode()
        found.append((status(conn), conn.execute("SELECT n FROM raw_piped ORDER BY n").fetchall()))
    return found


@case
def libpq_one_by_one():
    found = []
    with connect() as conn:
        pgconn = conn.pgconn
        for text in [b"", b";", b"SELECT 1; SELECT 2", b"SELECT 1; SELECT 1/0; SELECT 2", b"BEGIN; SELECT 1; COMMIT; SELECT 2"]:
            pgconn.send_query(text)
            found.append(results(pgconn, 5))
            result = pgconn.exec_(text)
            found.append((pq.ExecStatus(result.status).name, result.ntuples, result.command_status, result.command_tuples))
        result = pgconn.exec_params(b"SELECT $1::text, $2::integer, NULL, 'x'::name", [b"a", b"\0\0\0\7"], param_formats=[0, 1], result_format=1)
        found.append([(result.fname(c), result.ftype(c), result.fmod(c), result.fsize(c), result.fformat(c), result.ftablecol(c),
                       result.get_value(0, c), result.get_length(0, c)) for c in range(result.nfields)])
        pgconn.prepare(b"p", b"SELECT $1 || $2::text, $3 + 1", [25])
        result = pgconn.describe_prepared(b"p")
        found.append((result.nparams, [result.param_type(n) for n in range(3)], [result.ftype(c) for c in range(2)]))
        for name, values in [(b"p", [b"a", b"b", b"1"]), (b"p", [b"a"]), (b"none", []), (b"p", [b"a", b"b", b"x"])]:
            result = pgconn.exec_prepared(name, values)
            found.append((pq.ExecStatus(result.status).name, result.error_message.decode()))
        result = pgconn.prepare(b"p", b"SELECT 1")
        found.append(result.error_message)
        result = pgconn.describe_prepared(b"none")
        found.append(result.error_message)
        result = pgconn.describe_portal(b"none")
        found.append(result.error_message)
        pgconn.exec_(b"BEGIN")
        pgconn.exec_(b"DECLARE portal CURSOR FOR SELECT generate_series(1, 3) AS n")
        result = pgconn.describe_portal(b"portal")
        found.append((result.nfields, result.fname(0)))
        pgconn.exec_(b"ROLLBACK")
        pgconn.send_query(b"SELECT n FROM generate_series(1, 4) n")
        pgconn.set_single_row_mode()
        found.append(results(pgconn, 6))
        pgconn.send_query_params(b"SELECT 10 / (3 - n) FROM generate_series(1, 4) n", None)
        pgconn.set_single_row_mode()
        found.append(results(pgconn, 4))
    return found


@case
def server_cursors():
    found = []
    with connect(autocommit=False) as conn:
        with conn.cursor("plain") as cursor:
            cursor.execute("SELECT n, n * %s AS product FROM generate_series(1, 10) n", [2])
            found.append([column.name for column in cursor.description])
            found += [cursor.fetchone(), cursor.fetchmany(3), cursor.rownumber, len(cursor.fetchall()), cursor.fetchone(), cursor.rowcount]
        for scrollable in [None, True, False]:
            with conn.cursor("rolling", scrollable=scrollable) as cursor:
                cursor.execute("SELECT generate_series(1, 10)")
                cursor.fetchmany(5)
                found.append(error_of(cursor.scroll, -3))
                found.append(error_of(lambda: found.append(cursor.fetchone())))
                conn.rollback()
        with conn.cursor("binary", binary=True) as cursor:
            cursor.execute("SELECT 1::integer, 'x'::text, now() IS NULL")
            found.append((cursor.fetchall(), [column.type_display for column in cursor.description]))
        with conn.cursor("little") as cursor:
            cursor.itersize = 3
            cursor.execute("SELECT generate_series(1, 10)")
            found.append([row[0] for row in cursor])
        conn.execute("DECLARE stolen CURSOR FOR SELECT generate_series(1, 3)")
        with conn.cursor("stolen") as cursor:
            found += [cursor.fetchone(), cursor.fetchall()]
        with conn.cursor("failing") as cursor:
            found.append(error_of(cursor.execute, "SELECT wrong"))
            conn.rollback()
            cursor.execute("SELECT 1")
            cursor.execute("SELECT 2")
            found.append(cursor.fetchall())
        conn.rollback()
        cursor = conn.cursor("left")
        cursor.execute("SELECT 1")
        conn.rollback()
        found.append(error_of(cursor.fetchone))
        conn.rollback()
        found.append(error_of(cursor.close))
    with connect() as conn:
        found.append(error_of(conn.cursor("none").execute, "SELECT 1"))
        with conn.transaction(), conn.cursor("some", row_factory=dict_row) as cursor:
            cursor.execute("SELECT 1 AS one")
            found.append(cursor.fetchall())
    return found


@case
def what_statements_leave_in_a_cursor():
    found = []
    with connect() as conn:
        cursor = conn.cursor()
        for text in ["CREATE TABLE left_behind (n integer PRIMARY KEY, t text)", "INSERT INTO left_behind VALUES (1, 'a'), (2, 'b')",
                     "INSERT INTO left_behind VALUES (3, 'c') RETURNING *", "UPDATE left_behind SET t = 'x' WHERE n > 1",
                     "SELECT * FROM left_behind ORDER BY n", "VALUES (1, 'x'), (2, 'y')", "TABLE left_behind", "SHOW work_mem",
                     "EXPLAIN (COSTS off) SELECT 1", "WITH gone AS (DELETE FROM left_behind RETURNING n) SELECT count(*) FROM gone",
                     "SELECT", "SELECT 1 WHERE false", "BEGIN", "SAVEPOINT s", "RELEASE s", "COMMIT", "SET work_mem = '5MB'", "RESET work_mem",
                     "DO $$ BEGIN NULL; END $$", "PREPARE left_statement AS SELECT 1 AS one", "EXECUTE left_statement", "DEALLOCATE left_statement",
                     "CREATE VIEW left_view AS SELECT 1 AS one", "DROP VIEW left_view", "TRUNCATE left_behind", "LOCK TABLE left_behind",
                     "ANALYZE left_behind", "VACUUM left_behind", "COMMENT ON TABLE left_behind IS 'x'", "CREATE TABLE left_copy AS SELECT 1 AS n",
                     "DROP TABLE left_behind, left_copy", "LISTEN left_channel", "NOTIFY left_channel",
                     "UNLISTEN *", "DISCARD PLANS", "CHECKPOINT", "", "-- nothing"]:
            try:
                cursor.execute(text)
            except psycopg.Error as error:
                found.append((text, told(error)))
                conn.rollback()
                continue
            columns = cursor.description and [(c.name, c.type_code, c.display_size, c.internal_size, c.precision) for c in cursor.description]
            rows = cursor.fetchall() if cursor.description else None
            found.append((text, cursor.statusmessage, cursor.rowcount, columns, rows))
        cursor.execute("SELECT 1; SELECT 2, 3; CREATE TEMPORARY TABLE t (n integer); INSERT INTO t VALUES (1); TABLE t")
        found.append([(result.statusmessage, result.rowcount) for result in cursor.results()])
        found.append(error_of(cursor.execute, "SELECT %s; SELECT 2", [1]))
        found.append([row for row in cursor.stream("SELECT generate_series(1, 3)")])
        found.append(error_of(lambda: list(cursor.stream("SELECT 2 / (2 - n) FROM generate_series(1, 3) n"))))
        found.append(first(conn, "SELECT 1"))
    return found


@case
def errors_and_their_fields():
    found = []
    with connect() as conn, dropped(conn, "TABLE strict (n integer PRIMARY KEY, m integer NOT NULL CHECK (m > 0), t varchar(3), "
                                          "r integer REFERENCES strict)"):
        conn.execute("INSERT INTO strict VALUES (1, 1)")
        for text in ["INSERT INTO strict VALUES (1, 1)", "INSERT INTO strict VALUES (2, 0)", "INSERT INTO strict VALUES (2, NULL)",
                     "INSERT INTO strict VALUES (2, 1, 'long')", "INSERT INTO strict VALUES (2, 1, NULL, 9)", "INSERT INTO strict VALUES ('x')",
                     "SELECT * FROM strictt", "SELECT strict.o FROM strict", "SELEC 1", "SELECT 1 +", "SELECT foo()", "SELECT 1 + 'x'",
                     "SELECT %s::integer", "CREATE TABLE strict (n integer)", "DROP TABLE nothing", "SELECT 'ü' || x FROM strict",
                     "DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'ABCDE', DETAIL = 'd', HINT = 'h'; END $$",
                     "SELECT repeat('x', -1) || (1 / 0)", "EXECUTE nothing", "FETCH nothing", "ROLLBACK TO nothing", "SET work_mem = 'x'",
                     "SET nothing = 1", "SELECT currval('nothing')", "SELECT nextval('nothing')", "RELEASE nothing", "SAVEPOINT s"]:
            for parameters in [None, ["x"]] if "%s" in text else [None, []]:
                found.append((text, error_of(conn.execute, text, parameters)))
                conn.rollback()
    return found


@case
def kinds_of_cursors():
    found = []
    with connect() as conn:
        with psycopg.RawCursor(conn) as cursor:
            found.append(cursor.execute("SELECT $1::integer + $2::integer, $1", [1, 2]).fetchone())
        with psycopg.ClientCursor(conn) as cursor:
            found.append(cursor.mogrify("SELECT %s, %s, %s", [1, "it's", None]))
            found.append(cursor.execute("SELECT %s, %s, %s; SELECT 2", [1, "it's \\ ü", b"\0x"]).fetchone())
        query = sql.SQL("SELECT {} AS {} FROM {}").format(sql.Literal("x"), sql.Identifier("A b"), sql.Identifier("pg_catalog", "pg_am"))
        with conn.cursor(row_factory=dict_row, binary=True) as cursor:
            found.append(cursor.execute(query + sql.SQL(" LIMIT 1")).fetchone())
        found.append(query.as_string(conn))
    return found


main()

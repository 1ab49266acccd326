"""psycopg 3: connections, settings, transactions, notifications, cancels, pools. See cases.py."""

import asyncio
import threading
import time

import psycopg
from psycopg import IsolationLevel, Rollback, errors, pq
from psycopg_pool import ConnectionPool, NullConnectionPool

from cases import CASE_SECONDS, DSN, case, connect, dropped, error_of, first, main, status, told


@case
def what_a_connection_says_of_itself():
    names = ["server_version", "server_encoding", "client_encoding", "application_name", "is_superuser", "DateStyle", "TimeZone",
             "session_authorization", "IntervalStyle", "integer_datetimes", "standard_conforming_strings",
             "default_transaction_read_only", "in_hot_standby", "search_path"]
    with connect(application_name="psycopg", options="-c DateStyle=German -c IntervalStyle=sql_standard") as conn:
        info = conn.info
        pid = info.backend_pid
        return ([(name, info.parameter_status(name)) for name in names], info.encoding, info.server_version, info.dbname, info.user,
                info.status.name, info.vendor, str(info.timezone), pid > 0, first(conn, "SELECT pg_backend_pid()") == pid,
                conn.pgconn.protocol_version, conn.pgconn.needs_password, conn.pgconn.used_password, conn.pgconn.ssl_in_use)


@case
def settings_are_reported_when_they_change():
    found = []
    with connect() as conn:
        for text in ["SET timezone = 'Europe/Rome'", "SET datestyle = 'ISO, YMD'", "SET client_encoding = 'latin1'",
                     "SET application_name = 'renamed'", "SET intervalstyle = 'postgres_verbose'",
                     "SELECT set_config('timezone', 'Asia/Kolkata', false)", "RESET ALL"]:
            conn.execute(text)
            found.append([conn.info.parameter_status(name) for name in
                          ["TimeZone", "DateStyle", "client_encoding", "application_name", "IntervalStyle"]])
    with connect(autocommit=False) as conn:
        conn.execute("SET timezone = 'Europe/Rome'")
        within = conn.info.parameter_status("TimeZone")
        conn.rollback()
        found.append((within, conn.info.parameter_status("TimeZone")))
        with conn.transaction():
            conn.execute("SET LOCAL timezone = 'Asia/Tokyo'")
            found.append(conn.info.parameter_status("TimeZone"))
        found.append(conn.info.parameter_status("TimeZone"))
    return found


@case
def states_of_a_transaction():
    found = []
    with connect(autocommit=False) as conn:
        found.append(status(conn))
        conn.execute("SELECT 1")
        found.append(status(conn))
        found.append(error_of(conn.execute, "SELECT wrong"))
        found.append(status(conn))
        found.append(error_of(conn.execute, "SELECT 1"))
        found.append(error_of(setattr, conn, "autocommit", True))
        conn.rollback()
        found.append(status(conn))
        conn.autocommit = True
        conn.execute("SELECT 1")
        found.append(status(conn))
        conn.execute("BEGIN")
        found.append(status(conn))
        conn.commit()
        found.append(status(conn))
        conn.pgconn.send_query(b"SELECT pg_sleep(0.05)")
        found.append(status(conn))
        while conn.pgconn.get_result():
            pass
        found.append(status(conn))
    found.append((conn.closed, conn.broken, status(conn)))
    return found


@case
def isolation_read_only_deferrable():
    found = []
    with connect(autocommit=False) as conn, dropped(conn, "TABLE kept_out (n integer)"):
        conn.commit()
        for level in [None, *IsolationLevel]:
            for read_only in [None, True, False]:
                for deferrable in [None, True]:
                    conn.isolation_level, conn.read_only, conn.deferrable = level, read_only, deferrable
                    shown = [first(conn, f"SHOW transaction_{what}") for what in ["isolation", "read_only", "deferrable"]]
                    found.append((*shown, error_of(conn.execute, "INSERT INTO kept_out VALUES (1)")))
                    found.append(error_of(setattr, conn, "read_only", True))
                    conn.rollback()
        conn.isolation_level = conn.read_only = conn.deferrable = None
        conn.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY")
        conn.commit()
        found.append([first(conn, f"SHOW transaction_{what}") for what in ["isolation", "read_only"]])
        conn.rollback()
        conn.execute("RESET ALL")
        conn.commit()
    return found


@case
def blocks_within_blocks():
    found = []
    with connect() as conn, dropped(conn, "TABLE blocks (name text)"):
        def add(name):
            conn.execute("INSERT INTO blocks VALUES (%s)", [name])

        def names():
            return [row[0] for row in conn.execute("SELECT name FROM blocks ORDER BY 1")]

        with conn.transaction():
            add("outer")
            with conn.transaction("named"):
                add("named")
                found.append(conn.info.transaction_status.name)
            with conn.transaction(force_rollback=True):
                add("forced back")
            try:
                with conn.transaction():
                    add("failed")
                    conn.execute("SELECT 1 / 0")
            except errors.DivisionByZero:
                found.append(status(conn))
            with conn.transaction() as inner:
                add("rolled back")
                raise Rollback(inner)
            found.append(error_of(conn.commit))
            found.append(error_of(conn.rollback))
        found.append(names())
        with conn.transaction() as outer:
            add("gone")
            with conn.transaction():
                raise Rollback(outer)
        found.append(names())
        first_block, second_block = conn.transaction(), conn.transaction()
        first_block.__enter__()
        second_block.__enter__()
        found.append(error_of(first_block.__exit__, None, None, None))
    return found


@case
def a_connection_that_is_reset():
    found = []
    with connect(options="-c work_mem=3MB", application_name="before") as conn:
        conn.execute("SET work_mem = '9MB'; SET application_name = 'after'; CREATE TEMPORARY TABLE mine (n integer); PREPARE p AS SELECT 1")
        conn.execute("BEGIN")
        before = conn.info.backend_pid
        conn.pgconn.reset()
        found.append((status(conn), conn.info.backend_pid != before, first(conn, "SELECT pg_backend_pid()") == conn.info.backend_pid))
        found += [first(conn, "SHOW work_mem"), first(conn, "SHOW application_name"), error_of(conn.execute, "SELECT * FROM mine"),
                  error_of(conn.execute, "EXECUTE p")]
        conn.pgconn.reset_start()
        states = set()
        while (polled := conn.pgconn.reset_poll()) != pq.PollingStatus.OK:
            states.add(polled.name)
            time.sleep(0.005)
        found.append((status(conn), first(conn, "SELECT 1")))
    return found


@case
def notifications():
    found = []
    with connect() as hears, connect() as tells:
        hears.execute("LISTEN news")
        hears.execute('LISTEN "Älter"')
        heard = []
        hears.add_notify_handler(lambda note: heard.append((note.channel, note.payload, note.pid == tells.info.backend_pid)))
        tells.execute("NOTIFY news, 'one'")
        tells.execute("SELECT pg_notify('Älter', %s)", ["zwei €"])
        with tells.transaction():
            tells.execute("NOTIFY news, 'same'")
            tells.execute("NOTIFY news, 'same'")
            tells.execute("NOTIFY news")
        with tells.transaction(force_rollback=True):
            tells.execute("NOTIFY news, 'never'")
        deadline = time.monotonic() + 10
        while len(heard) < 4 and time.monotonic() < deadline:
            hears.execute("SELECT 1")
            time.sleep(0.01)
        found.append(heard)
    with connect() as hears, connect() as tells:
        hears.execute("LISTEN news")
        hears.execute("NOTIFY news, 'to myself'")
        tells.execute("NOTIFY news, 'from another'")
        notes = [(note.channel, note.payload, note.pid == hears.info.backend_pid, note.pid == tells.info.backend_pid)
                 for note in hears.notifies(timeout=10, stop_after=2)]
        found.append(sorted(notes))
        found.append(list(hears.notifies(timeout=0.1)))
        thread = threading.Timer(0.2, tells.execute, ["NOTIFY news, 'later'"])
        thread.start()
        found.append([note.payload for note in hears.notifies(timeout=10, stop_after=1)])
        thread.join()
        found.append(hears.execute("SELECT pg_listening_channels()").fetchall())
        hears.execute("UNLISTEN news")
        tells.execute("NOTIFY news, 'unheard'")
        found.append((list(hears.notifies(timeout=0.2)), hears.execute("SELECT pg_listening_channels()").fetchall()))
        found.append(error_of(tells.execute, "SELECT pg_notify('', 'x')"))
        found.append(error_of(tells.execute, "SELECT pg_notify('news', %s)", ["x" * 8000]))
    return found


@case
def two_phases():
    found = []
    with connect(autocommit=False) as conn, connect(autocommit=False) as other:
        conn.execute("DROP TABLE IF EXISTS phases")
        conn.execute("CREATE TABLE phases (name text)")
        conn.commit()

        def names():
            other.rollback()
            return [row[0] for row in other.execute("SELECT name FROM phases ORDER BY 1")]

        for end in ["tpc_commit", "tpc_rollback"]:
            xid = conn.xid(7, f"global {end}", "branch")
            conn.tpc_begin(xid)
            found.append((status(conn), error_of(conn.commit), error_of(setattr, conn, "autocommit", True)))
            conn.execute("INSERT INTO phases VALUES (%s)", [f"{end} in two"])
            conn.tpc_prepare()
            found.append((status(conn), names(), [(x.format_id, x.gtrid, x.bqual, x.database, x.owner) for x in other.tpc_recover()]))
            getattr(conn, end)()
            found.append((status(conn), names(), other.tpc_recover()))
            conn.tpc_begin(xid)
            conn.execute("INSERT INTO phases VALUES (%s)", [f"{end} in one"])
            getattr(conn, end)()
            found.append((status(conn), names()))
            conn.tpc_begin("plain id")
            conn.execute("INSERT INTO phases VALUES (%s)", [f"{end} by another"])
            conn.tpc_prepare()
            conn.close()
            other.rollback()
            getattr(other, end)("plain id")
            found.append(names())
            conn = connect(autocommit=False)
        other.rollback()
        found.append(error_of(other.tpc_commit, "plain id"))
        other.rollback()
        conn.tpc_begin("failing")
        found.append(error_of(conn.execute, "SELECT wrong"))
        found.append((error_of(conn.tpc_prepare), status(conn)))
        conn.close()
        other.execute("DROP TABLE phases")
        other.commit()
    return found


@case
def cancelled():
    found = []

    def cancelled_by(conn, cancel, text):
        timer = threading.Timer(0.3, cancel)
        timer.start()
        begun = time.monotonic()
        error = error_of(conn.execute, text)
        timer.join()
        return error, time.monotonic() - begun < 10, status(conn)

    with connect() as conn:
        found.append(cancelled_by(conn, conn.cancel, "SELECT pg_sleep(30)"))
        found.append(cancelled_by(conn, conn.cancel_safe, "SELECT pg_sleep(30)"))
        found.append(cancelled_by(conn, conn.pgconn.get_cancel().cancel, "SELECT pg_sleep(30)"))
        conn.cancel_safe()
        conn.cancel()
        time.sleep(0.2)
        found.append(first(conn, "SELECT 1"))
        conn.execute("BEGIN")
        found.append(cancelled_by(conn, conn.cancel_safe, "SELECT pg_sleep(30)"))
        conn.rollback()
        conn.execute("SET statement_timeout = '100ms'")
        found.append(error_of(conn.execute, "SELECT pg_sleep(30)"))
        conn.execute("RESET statement_timeout")
        with connect() as other, dropped(other, "TABLE awaited (n integer)"):
            with other.transaction():
                other.execute("LOCK TABLE awaited")
                found.append(cancelled_by(conn, conn.cancel_safe, "SELECT * FROM awaited"))
                conn.execute("SET lock_timeout = '100ms'")
                found.append(error_of(conn.execute, "SELECT * FROM awaited"))
    return found


@case
def ended_by_another():
    found = []
    with connect() as killer:
        with connect() as conn:
            found.append(killer.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid]).fetchone())
            time.sleep(0.2)
            error = error_of(conn.execute, "SELECT 1")
            found.append((error[:3], conn.closed, conn.broken, status(conn)))
        with connect() as conn:
            found.append(killer.execute("SELECT pg_cancel_backend(%s)", [conn.info.backend_pid]).fetchone())
            found.append(first(conn, "SELECT 1"))
        notices = []
        killer.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
        found.append((killer.execute("SELECT pg_terminate_backend(2000000000)").fetchone(), notices))
    return found


@case
def notices():
    heard = []
    with connect() as conn:
        conn.add_notice_handler(lambda diag: heard.append((diag.severity, diag.sqlstate, diag.message_primary, diag.message_hint)))
        conn.execute("SET client_min_messages = debug1")
        conn.execute("RESET client_min_messages")
        conn.execute("DROP TABLE IF EXISTS nothing")
        conn.execute("DO $$ BEGIN RAISE NOTICE 'hello ü'; RAISE WARNING 'beware' USING HINT = 'h'; RAISE INFO 'i'; END $$")
        conn.execute("COMMIT")
        conn.execute("ROLLBACK")
        conn.execute("BEGIN; BEGIN")
        conn.execute("COMMIT")
        conn.execute("SET LOCAL work_mem = '1MB'")
        with conn.pipeline():
            conn.execute("DROP TABLE IF EXISTS nothing_piped")
            conn.execute("SELECT 1")
    return [row for row in heard if not row[0].startswith("DEBUG")]


@case
def what_a_session_keeps():
    found = []
    with connect(autocommit=False) as conn, connect() as other:
        conn.execute("CREATE TEMPORARY TABLE basket (n integer) ON COMMIT DELETE ROWS")
        conn.execute("INSERT INTO basket VALUES (1)")
        found.append(first(conn, "SELECT count(*) FROM basket"))
        conn.commit()
        found.append((first(conn, "SELECT count(*) FROM basket"), error_of(other.execute, "SELECT * FROM basket")))
        conn.rollback()
        conn.execute("SELECT pg_advisory_lock(4711)")
        conn.commit()
        found.append(first(other, "SELECT pg_try_advisory_lock(4711)"))
        found.append((first(conn, "SELECT pg_advisory_unlock(4711)"), first(other, "SELECT pg_try_advisory_lock(4711)")))
        conn.rollback()
        conn.execute("CREATE SEQUENCE kept_sequence")
        conn.commit()
        found.append(error_of(other.execute, "SELECT currval('kept_sequence')"))
        found += [first(conn, "SELECT nextval('kept_sequence')"), first(conn, "SELECT currval('kept_sequence')"), first(conn, "SELECT lastval()")]
        conn.execute("DROP SEQUENCE kept_sequence")
        conn.commit()
        conn.execute("SET search_path = pg_catalog, public")
        conn.rollback()
        conn.execute("SET ROLE pg_monitor")
        conn.execute("SET my.own = 'value'")
        conn.commit()
        found.append(conn.execute("SELECT current_user, session_user, current_setting('my.own'), current_setting('search_path')").fetchone())
        conn.execute("RESET ROLE")
        conn.commit()
        found.append(conn.execute("SELECT current_user, session_user").fetchone())
        conn.rollback()
        conn.autocommit = True
        conn.execute("DISCARD ALL")
        found.append((error_of(conn.execute, "SELECT * FROM basket"), first(conn, "SELECT current_setting('my.own', true)") or ""))
    return found


def work(pool, number, found):
    try:
        for turn in range(10):
            with pool.connection() as conn:
                conn.execute("SELECT set_config('worker.number', %s, false)", [str(number)])
                got = conn.execute("INSERT INTO pooled VALUES (%s, %s) RETURNING number, current_setting('worker.number')", [number, turn]).fetchone()
                if got != (number, str(number)):
                    found.append((number, got))
                if turn == 7:
                    conn.rollback()
    except Exception as error:
        found.append((number, told(error)))


@case
def pools_of_connections():
    found = []
    with connect() as conn, dropped(conn, "TABLE pooled (number integer, turn integer)"):
        for kind, options in [(ConnectionPool, {"min_size": 3, "max_size": 6}), (NullConnectionPool, {"max_size": 6})]:
            def configure(made):
                made.execute("SET application_name = 'configured'")
                made.commit()

            with kind(DSN, configure=configure, check=ConnectionPool.check_connection, open=True, timeout=CASE_SECONDS, **options) as pool:
                pool.wait(20)
                threads = [threading.Thread(target=work, args=(pool, number, found)) for number in range(12)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                with pool.connection() as pooled:
                    found.append((first(pooled, "SHOW application_name"), first(pooled, "SELECT count(*) FROM pooled")))

                def breaks():
                    with pool.connection() as pooled:
                        pooled.execute("INSERT INTO pooled VALUES (99, 99)")
                        pooled.execute("SELECT 1 / 0")
                found.append(error_of(breaks))
                with pool.connection() as pooled:
                    found.append((status(pooled), first(pooled, "SELECT count(*) FROM pooled WHERE number = 99")))
            conn.execute("TRUNCATE pooled")
    return found


@case
def many_tasks():
    async def one(number):
        async with await psycopg.AsyncConnection.connect(DSN, autocommit=True) as conn:
            await conn.execute("SELECT set_config('application_name', %s, false)", [f"task {number}"])
            rows = []
            for turn in range(12):
                async with conn.transaction():
                    cursor = await conn.execute("SELECT %s::integer, current_setting('application_name')", [turn])
                    rows.append(await cursor.fetchone())
            async with conn.pipeline():
                cursors = [await conn.execute("SELECT %s::text", [f"{number}.{turn}"]) for turn in range(5)]
                rows += [await cursor.fetchone() for cursor in cursors]
            sleeping = asyncio.create_task(conn.execute("SELECT pg_sleep(20)"))
            await asyncio.sleep(0.2)
            sleeping.cancel()
            try:
                await sleeping
            except asyncio.CancelledError:
                rows.append("cancelled")
            cursor = await conn.execute("SELECT 'lives'")
            return [*rows, await cursor.fetchone()]

    async def all_of_them():
        return await asyncio.gather(*[one(number) for number in range(8)])

    return asyncio.run(all_of_them())


main()

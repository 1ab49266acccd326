"""psycopg 3 through pgring: a shop's day, step by step.

In: PGRING_DSN, a connection string of an empty sharded database whose user is an admin user.
Out: `ok <step>` for each step that went right, `FAILED <step>: <why>` for each other; exit code 1 after any failure.
Never: accepts what PostgreSQL itself would answer differently.
"""

import os
import signal
import sys
import threading
import time
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

DSN = os.environ["PGRING_DSN"]
STEP_SECONDS = 30
CUSTOMERS = range(1, 41)
CROWD = 16
STEPS = []


def step(function):
    """Registers a step; they run in the order of the file."""
    STEPS.append(function)
    return function


def connect(**options):
    return psycopg.connect(DSN, autocommit=True, connect_timeout=10, **options)


def equal(found, wanted, what="answer"):
    if found != wanted:
        raise AssertionError(f"{what} is {found!r}, not {wanted!r}")


def refused(sqlstate, function, *arguments, **options):
    """The error that a call must end with."""
    try:
        function(*arguments, **options)
    except psycopg.Error as error:
        equal(error.sqlstate, sqlstate, f"SQLSTATE of {str(error)!r}")
        return error
    raise AssertionError(f"no error, {sqlstate} was expected from {arguments!r}")


def total(customer, number):
    """What order `number` of a customer costs; no two orders of the shop cost the same."""
    return Decimal(customer * 100 + number) / 100


def shard(conn, customer):
    row = conn.execute("SELECT pgring.shard_of('psy_orders', %s::bigint)", [customer]).fetchone()
    return row[0]


def two_shards(conn):
    """Two customers that live on different shards."""
    home = shard(conn, 1)
    return 1, next(customer for customer in CUSTOMERS if shard(conn, customer) != home)


@step
def tables():
    with connect() as conn:
        for command in ["SHARD TABLE psy_customers BY (customer_id)", "SHARD TABLE psy_orders BY (customer_id)",
                        "SHARD TABLE psy_things BY (id)", "REFERENCE TABLE psy_products"]:
            cursor = conn.execute(f"CALL pgring.admin('{command}')")
            equal([column.name for column in cursor.description], ["operation_id", "status", "hint"], "columns of CALL")
            equal(len(cursor.fetchall()), 1, "rows of CALL")
            again = conn.execute("CALL pgring.admin(%s)", [command]).fetchone()
            equal(again[1], "unchanged", f"status of a second {command}")
        conn.execute("CREATE TABLE psy_customers (customer_id bigint PRIMARY KEY, name text NOT NULL, note text)")
        conn.execute("""CREATE TABLE psy_orders (customer_id bigint REFERENCES psy_customers, order_id integer,
                        total numeric(10,2) NOT NULL, placed timestamptz NOT NULL DEFAULT '2026-01-01 00:00Z',
                        PRIMARY KEY (customer_id, order_id))""")
        conn.execute("""CREATE TABLE psy_things (id bigint PRIMARY KEY, n numeric, at timestamptz, day date, u uuid,
                        j jsonb, a integer[], t text[], b bytea, yes boolean, f double precision, span interval,
                        ip inet, r int4range, words text)""")
        conn.execute("CREATE TABLE psy_products (product_id integer PRIMARY KEY, title text)")
        conn.execute("CREATE TABLE psy_notes (id serial PRIMARY KEY, body text)")
        conn.execute("CREATE INDEX psy_orders_placed ON psy_orders (placed)")


@step
def insert_by_key():
    with connect() as conn:
        for customer in CUSTOMERS:
            marks = ("%s", "%b", "%t")[customer % 3]
            sql = f"INSERT INTO psy_customers (customer_id, name) VALUES ({marks}, {marks})"
            cursor = conn.execute(sql, [customer, f"customer {customer:02}"])
            equal((cursor.rowcount, cursor.statusmessage), (1, "INSERT 0 1"), "tag of an INSERT")
        homes = {shard(conn, customer) for customer in CUSTOMERS}
        equal(homes, {"s0", "s1", "s2", "s3"}, "shards of 40 customers")


@step
def executemany_for_one_key():
    with connect() as conn, conn.cursor() as cursor:
        for customer in CUSTOMERS:
            orders = [(customer, number, total(customer, number)) for number in range(1, 5)]
            cursor.executemany("INSERT INTO psy_orders (customer_id, order_id, total) VALUES (%s, %s, %s)", orders)
            equal(cursor.rowcount, 4, "rows of executemany")
        cursor.executemany("UPDATE psy_orders SET total = total WHERE customer_id = %s AND order_id = %s RETURNING order_id",
                           [(7, number) for number in (3, 1, 2)], returning=True)
        found = [cursor.fetchone()[0]]
        while cursor.nextset():
            found.append(cursor.fetchone()[0])
        equal(found, [3, 1, 2], "rows that executemany returns")


@step
def select_by_key():
    with connect() as conn:
        for binary in (False, True):
            with conn.cursor(binary=binary) as cursor:
                for customer in CUSTOMERS:
                    row = cursor.execute("SELECT name, note FROM psy_customers WHERE customer_id = %s", [customer]).fetchone()
                    equal(row, (f"customer {customer:02}", None), f"customer {customer}")
        equal(conn.execute("SELECT name FROM psy_customers WHERE customer_id = 5").fetchall(), [("customer 05",)])
        equal(conn.execute("SELECT name FROM psy_customers WHERE customer_id = %s", ["6"]).fetchall(), [("customer 06",)])
        equal(conn.execute("SELECT 1 FROM psy_customers WHERE customer_id = %s", [None]).fetchall(), [])
        joined = """SELECT c.name, o.total FROM psy_customers c JOIN psy_orders o USING (customer_id)
                    WHERE c.customer_id = %s ORDER BY o.order_id"""
        equal(conn.execute(joined, [9]).fetchall(), [("customer 09", total(9, number)) for number in range(1, 5)])


@step
def select_over_shards():
    with connect() as conn:
        some = [3, 11, 19, 27, 35]
        names = [(f"customer {customer:02}",) for customer in some]
        listed = conn.execute("SELECT name FROM psy_customers WHERE customer_id IN (%s, %s, %s, %s, %s)", some)
        equal(sorted(listed.fetchall()), names, "names by IN")
        listed = conn.execute("SELECT name FROM psy_customers WHERE customer_id = ANY(%s)", [some])
        equal(sorted(listed.fetchall()), names, "names by ANY")
        for binary in (False, True):
            with conn.cursor(binary=binary) as cursor:
                row = cursor.execute("SELECT count(*), sum(total), min(total), max(total) FROM psy_orders").fetchone()
                everything = [total(customer, number) for customer in CUSTOMERS for number in range(1, 5)]
                equal(row, (160, sum(everything), min(everything), max(everything)), f"sums (binary {binary})")
                rows = cursor.execute("SELECT order_id, count(*) FROM psy_orders GROUP BY order_id ORDER BY order_id").fetchall()
                equal(rows, [(number, 40) for number in range(1, 5)], f"groups (binary {binary})")
                best = cursor.execute("SELECT customer_id, total FROM psy_orders ORDER BY total DESC LIMIT 5 OFFSET 2").fetchall()
                wanted = [(40, total(40, 2)), (40, total(40, 1)), (39, total(39, 4)), (39, total(39, 3)), (39, total(39, 2))]
                equal(best, wanted, f"rows by ORDER BY and LIMIT (binary {binary})")
        rows = conn.execute("SELECT customer_id FROM psy_customers WHERE customer_id > %s ORDER BY customer_id LIMIT %s", [30, 3])
        equal(rows.fetchall(), [(31,), (32,), (33,)], "rows by parameters")
        average = conn.execute("SELECT avg(order_id) FROM psy_orders").fetchone()
        equal(str(average[0]), "2.5000000000000000", "an average's digits")


@step
def transactions():
    with connect() as conn:
        with conn.transaction():
            conn.execute("UPDATE psy_customers SET note = 'kept' WHERE customer_id = 3")
        try:
            with conn.transaction():
                conn.execute("UPDATE psy_customers SET note = 'lost' WHERE customer_id = 3")
                equal(conn.execute("SELECT note FROM psy_customers WHERE customer_id = 3").fetchone(), ("lost",), "own write")
                raise KeyError
        except KeyError:
            pass
        with conn.transaction():
            conn.execute("INSERT INTO psy_orders (customer_id, order_id, total) VALUES (3, 50, 1)")
            try:
                with conn.transaction():
                    conn.execute("INSERT INTO psy_orders (customer_id, order_id, total) VALUES (3, 50, 2)")
            except errors.UniqueViolation:
                pass
            conn.execute("DELETE FROM psy_orders WHERE customer_id = 3 AND order_id = 50")
        equal(conn.execute("SELECT note FROM psy_customers WHERE customer_id = 3").fetchone(), ("kept",), "the note")
    with psycopg.connect(DSN) as conn:  # not autocommit: psycopg sends BEGIN before the first statement
        conn.execute("UPDATE psy_customers SET note = 'mine' WHERE customer_id = %s", [4])
        conn.rollback()
        equal(conn.execute("SELECT note FROM psy_customers WHERE customer_id = %s", [4]).fetchone(), (None,), "after rollback")
        conn.commit()


@step
def writes_on_several_shards_are_whole_or_nothing():
    with connect() as conn:
        here, there = two_shards(conn)
        conn.execute("BEGIN")
        conn.execute("UPDATE psy_customers SET note = 'half' WHERE customer_id = %s", [here])
        conn.execute("UPDATE psy_customers SET note = 'half' WHERE customer_id = %s", [there])
        halves = "SELECT count(*) FROM psy_customers WHERE note = 'half'"
        equal(conn.execute(halves).fetchone(), (2,), "rows of the open transaction")
        conn.execute("ROLLBACK")
        equal(conn.execute(halves).fetchone(), (0,), "rows of the transaction that was rolled back")
        both = [here + 1000, there + 1000]
        equal(conn.execute("INSERT INTO psy_customers VALUES (%s, 'a'), (%s, 'b')", both).rowcount, 2, "rows of INSERT")
        equal(conn.execute("DELETE FROM psy_customers WHERE customer_id = ANY(%s)", [both]).rowcount, 2, "rows of DELETE")
        equal(conn.execute("SELECT count(*) FROM psy_customers").fetchone(), (40,), "customers")


@step
def prepared_statements():
    with connect(prepare_threshold=2) as conn:
        by_key = "SELECT name FROM psy_customers WHERE customer_id = %s"
        for customer in CUSTOMERS:
            equal(conn.execute(by_key, [customer], prepare=True).fetchone(), (f"customer {customer:02}",), "prepared")
            equal(conn.execute("SELECT count(*) FROM psy_orders WHERE customer_id = %s", [customer]).fetchone(), (4,))
            equal(conn.execute("SELECT max(total) FROM psy_orders").fetchone(), (total(40, 4),))
        listed = conn.execute("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%name FROM psy_customers%'")
        listed.fetchall()  # what it lists is the server's business; it must answer
    with connect(prepare_threshold=1) as conn:
        conn.prepared_max = 2  # older statements are closed again and again
        for turn in range(30):
            sql = f"SELECT name || %s FROM psy_customers WHERE customer_id = %s AND {turn % 5} = {turn % 5}"
            equal(conn.execute(sql, ["!", 8]).fetchone(), ("customer 08!",), "prepared and closed in turn")
        conn.execute("DEALLOCATE ALL")
        conn.prepared_max = 100
        equal(conn.execute("SELECT 1").fetchone(), (1,), "after DEALLOCATE ALL")
    with connect() as conn:
        conn.execute("PREPARE by_key (bigint) AS SELECT name FROM psy_customers WHERE customer_id = $1")
        for customer in (1, 2, 3, 4, 5):
            equal(conn.execute(f"EXECUTE by_key({customer})").fetchone(), (f"customer {customer:02}",), "EXECUTE")
        conn.execute("DEALLOCATE by_key")
        refused("26000", conn.execute, "EXECUTE by_key(1)")


@step
def values_round_trip():
    when = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    things = {
        "n": Decimal("12345678901234567890.000000000000000001"), "at": when, "day": date(2024, 2, 29),
        "u": uuid.UUID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"), "j": {"naïve": [1, None, "ü\u2028", {"a": True}]},
        "a": [1, None, -2147483648], "t": ["", "NULL", None, 'a"b\\c,{}', "日本"], "b": bytes(range(256)) * 40,
        "yes": False, "f": 0.1 + 0.2, "span": timedelta(days=-3, microseconds=7), "ip": ip_address("2001:db8::1"),
        "r": Range(-5, 5), "words": "Grüße, 日本, 😀, ' \" \\ %s $1 \t\n; --",
    }
    with connect() as conn:
        conn.execute("SET timezone = 'Asia/Kolkata'")
        names = ", ".join(things)
        values = [Jsonb(value) if name == "j" else value for name, value in things.items()]
        for number, mark in enumerate(("%s", "%b", "%t"), start=1):
            marks = ", ".join("%s" if mark == "%b" and name in ("r", "ip") else mark for name in things)
            conn.execute(f"INSERT INTO psy_things (id, {names}) VALUES ({mark}, {marks})", [number, *values])
            for binary in (False, True):
                with conn.cursor(binary=binary) as cursor:
                    row = cursor.execute(f"SELECT {names} FROM psy_things WHERE id = {mark}", [number]).fetchone()
                for found, (name, wanted) in zip(row, things.items()):
                    equal(found, wanted, f"{name} (written {mark}, read binary {binary})")
        conn.execute(f"INSERT INTO psy_things (id, {names}) VALUES (%s{', %s' * len(things)})", [4] + [None] * len(things))
        row = conn.execute(f"SELECT {names} FROM psy_things WHERE id = 4").fetchone()
        equal(row, (None,) * len(things), "NULLs")
        found = conn.execute("SELECT id FROM psy_things WHERE at IS NOT NULL ORDER BY at, id").fetchall()
        equal(found, [(1,), (2,), (3,)], "rows in order of time")
        equal(conn.execute("SELECT at::text FROM psy_things WHERE id = 1").fetchone()[0][-6:], "+05:30", "the offset")


@step
def errors_have_their_codes():
    with connect() as conn:
        duplicate = refused("23505", conn.execute, "INSERT INTO psy_customers VALUES (%s, 'again')", [1])
        equal(duplicate.diag.constraint_name, "psy_customers_pkey", "the constraint")
        refused("23503", conn.execute, "INSERT INTO psy_orders (customer_id, order_id, total) VALUES (999, 1, 1)")
        refused("23502", conn.execute, "INSERT INTO psy_customers (customer_id) VALUES (%s)", [77])
        refused("22P02", conn.execute, "SELECT * FROM psy_customers WHERE customer_id = 'x'")
        missing = refused("42P01", conn.execute, "SELECT * FROM psy_nothing WHERE id = 1")
        equal(missing.diag.statement_position, "15", "position of the missing table")
        column = refused("42703", conn.execute, "SELECT nothing FROM psy_customers WHERE customer_id = 1")
        equal(column.diag.statement_position, "8", "position of the missing column")
        refused("22012", conn.execute, "SELECT 1 / (customer_id - customer_id) FROM psy_customers WHERE customer_id = %s", [1])
        refused("22012", conn.execute, "SELECT count(*), sum(1 / (customer_id - 7)) FROM psy_customers")
        syntax = refused("42601", conn.execute, "SELEC 1")
        equal(syntax.diag.statement_position, "1", "position of the syntax error")
        equal(conn.execute("SELECT count(*) FROM psy_customers").fetchone(), (40,), "customers after errors")
    with psycopg.connect(DSN) as conn:
        refused("22012", conn.execute, "SELECT 1 / 0 FROM psy_customers WHERE customer_id = 2")
        refused("25P02", conn.execute, "SELECT 1")
        conn.rollback()
        equal(conn.execute("SELECT 1").fetchone(), (1,), "after rollback")


@step
def server_side_cursor():
    with psycopg.connect(DSN) as conn:
        with conn.cursor(name="orders") as cursor:
            cursor.itersize = 2
            cursor.execute("SELECT order_id FROM psy_orders WHERE customer_id = %s ORDER BY order_id", [12])
            equal(cursor.fetchmany(3), [(1,), (2,), (3,)], "the first rows")
            equal([row for row in cursor], [(4,)], "the rest")
        with conn.cursor(name="back", scrollable=True) as cursor:
            cursor.execute("SELECT order_id FROM psy_orders WHERE customer_id = 12 ORDER BY order_id")
            cursor.scroll(3, mode="absolute")
            equal(cursor.fetchone(), (4,), "the last row")
            cursor.scroll(-3)
            equal(cursor.fetchone(), (2,), "a row further up")
    with connect() as conn, conn.transaction(), conn.cursor() as cursor:
        equal([row[0] for row in cursor.stream("SELECT order_id FROM psy_orders WHERE customer_id = %s ORDER BY 1", [13])],
              [1, 2, 3, 4], "rows streamed one by one")


@step
def copy_of_a_local_table():
    with connect() as conn, conn.cursor() as cursor:
        rows = [(number, f"note {number}\t\\ü\n") for number in range(1, 501)]
        with cursor.copy("COPY psy_notes (id, body) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        equal(cursor.rowcount, 500, "rows copied in")
        with cursor.copy("COPY (SELECT id, body FROM psy_notes ORDER BY id) TO STDOUT") as copy:
            copy.set_types(["int4", "text"])
            equal(list(copy.rows()), rows, "rows copied out")
        with cursor.copy("COPY psy_notes (id, body) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            copy.write_row((501, None))
        with cursor.copy("COPY psy_notes TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            equal(sum(1 for _ in copy.rows()), 501, "rows copied out in binary")

        def broken():
            with cursor.copy("COPY psy_notes (id, body) FROM STDIN") as copy:
                copy.write("502\tgood\nx\tbad\n")
        refused("22P02", broken)

        def given_up():
            with cursor.copy("COPY psy_notes (id, body) FROM STDIN") as copy:
                copy.write("503\tgood\n")
                raise KeyError("given up")
        try:
            given_up()
        except KeyError:
            pass
        equal(conn.execute("SELECT count(*) FROM psy_notes").fetchone(), (501,), "notes")

        customers = conn.execute("SELECT count(*) FROM psy_customers").fetchone()[0]
        with cursor.copy("COPY psy_customers TO STDOUT") as copy:
            equal(sum(1 for _ in copy.rows()), customers, "rows of a sharded table copied out")

        def into_a_sharded_table():
            with cursor.copy("COPY psy_customers FROM STDIN") as copy:
                copy.write("1\n")
        refused("22P04", into_a_sharded_table)
        equal(conn.execute("SELECT 1").fetchone(), (1,), "after a COPY that failed")


@step
def listen_and_notify():
    with connect() as hears, connect() as tells:
        hears.execute("LISTEN psy_news")
        tells.execute("NOTIFY psy_news, 'first'")
        tells.execute("SELECT pg_notify('psy_news', %s)", ["zweite ü"])
        heard = [note.payload for note in hears.notifies(timeout=10, stop_after=2)]
        equal(heard, ["first", "zweite ü"], "notifications")
        equal(hears.execute("SELECT name FROM psy_customers WHERE customer_id = 5").fetchone(), ("customer 05",), "while listening")
        hears.execute("UNLISTEN *")
        tells.execute("NOTIFY psy_news, 'unheard'")
        equal(list(hears.notifies(timeout=0.5)), [], "notifications after UNLISTEN")


@step
def pipeline_mode():
    with connect() as conn:
        with conn.pipeline():
            cursors = [conn.execute("SELECT total FROM psy_orders WHERE customer_id = %s AND order_id = %s", [15, number])
                       for number in range(1, 5)]
        equal([cursor.fetchone()[0] for cursor in cursors], [total(15, number) for number in range(1, 5)], "one key's rows")
        with conn.pipeline() as pipeline:
            cursors = []
            for customer in CUSTOMERS:
                cursors.append(conn.execute("SELECT name FROM psy_customers WHERE customer_id = %s", [customer]))
                pipeline.sync()
        equal([cursor.fetchone()[0] for cursor in cursors], [f"customer {customer:02}" for customer in CUSTOMERS], "all keys' rows")
        try:
            with conn.pipeline():
                conn.execute("INSERT INTO psy_orders (customer_id, order_id, total) VALUES (15, 60, 1)")
                conn.execute("SELECT 1 / 0 FROM psy_orders WHERE customer_id = 15")
                conn.execute("INSERT INTO psy_orders (customer_id, order_id, total) VALUES (15, 61, 1)")
        except errors.DivisionByZero:
            pass
        else:
            raise AssertionError("the pipeline's error did not come")
        left = conn.execute("SELECT count(*) FROM psy_orders WHERE customer_id = 15 AND order_id >= 60").fetchone()
        equal(left, (0,), "rows of a failed pipeline")
        with conn.pipeline(), conn.transaction():
            conn.execute("UPDATE psy_customers SET note = 'piped' WHERE customer_id = 15")
            conn.execute("UPDATE psy_customers SET note = note || '!' WHERE customer_id = 15")
        equal(conn.execute("SELECT note FROM psy_customers WHERE customer_id = 15").fetchone(), ("piped!",), "a piped transaction")


@step
def session_state():
    with connect(options="-c work_mem=3MB -c statement_timeout=300") as conn:
        equal(conn.execute("SHOW work_mem").fetchone(), ("3MB",), "a setting from the start")
        refused("57014", conn.execute, "SELECT pg_sleep(20)")
        conn.execute("SELECT name FROM psy_customers WHERE customer_id = 3")
        conn.execute("RESET statement_timeout")
        equal(conn.execute("SHOW statement_timeout").fetchone(), ("300ms",), "RESET goes back to the start's value")
        conn.execute("DISCARD ALL")
        equal(conn.execute("SHOW work_mem").fetchone(), ("3MB",), "DISCARD ALL goes back to the start's value")
    with psycopg.connect(DSN) as conn:
        conn.execute("SET work_mem = '5MB'")
        conn.rollback()
        equal(conn.execute("SHOW work_mem").fetchone(), ("4MB",), "a setting rolled back")
        conn.execute("SET LOCAL work_mem = '6MB'")
        conn.execute("SELECT name FROM psy_customers WHERE customer_id = 3")
        equal(conn.execute("SHOW work_mem").fetchone(), ("6MB",), "a local setting")
        conn.commit()
        equal(conn.execute("SHOW work_mem").fetchone(), ("4MB",), "a local setting after its transaction")
    with connect() as conn, connect() as other:
        conn.execute("CREATE TEMPORARY TABLE psy_basket (n integer)")
        conn.execute("INSERT INTO psy_basket VALUES (1), (2)")
        conn.execute("SELECT name FROM psy_customers WHERE customer_id = 3")
        equal(conn.execute("SELECT sum(n) FROM psy_basket").fetchone(), (3,), "a temporary table")
        refused("42P01", other.execute, "SELECT * FROM psy_basket")
        conn.execute("SELECT pg_advisory_lock(42)")
        conn.execute("SELECT name FROM psy_customers WHERE customer_id = 4")
        equal(other.execute("SELECT pg_try_advisory_lock(42)").fetchone(), (False,), "a lock that is held")
        conn.execute("SELECT pg_advisory_unlock(42)")
        equal(other.execute("SELECT pg_try_advisory_lock(42)").fetchone(), (True,), "a lock that is free")
    notices = []
    with connect() as conn:
        conn.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
        conn.execute("DO $$ BEGIN RAISE WARNING 'mind the gap'; END $$")
        conn.execute("DROP TABLE IF EXISTS psy_nothing")
        conn.execute("COMMIT")
    equal(notices, [("WARNING", "mind the gap"), ("NOTICE", 'table "psy_nothing" does not exist, skipping'),
                    ("WARNING", "there is no transaction in progress")], "notices")


@step
def large_and_many():
    with connect() as conn:
        conn.execute("INSERT INTO psy_things (id, words) VALUES (%s, %s)", [500, "ü" * 3_000_000])
        equal(len(conn.execute("SELECT words FROM psy_things WHERE id = 500").fetchone()[0]), 3_000_000, "a large value")
        equal(conn.execute("SELECT max(length(words)) FROM psy_things").fetchone(), (3_000_000,), "over all shards")
        marks = ", ".join(["(14, %s, 0)"] * 2000)
        cursor = conn.execute(f"INSERT INTO psy_orders (customer_id, order_id, total) VALUES {marks}", list(range(1000, 3000)))
        equal(cursor.statusmessage, "INSERT 0 2000", "tag of many rows of one key")
        equal(conn.execute("DELETE FROM psy_orders WHERE customer_id = 14 AND order_id >= 1000").rowcount, 2000, "rows deleted")
        marks = ", ".join(["%s"] * 3000)
        cursor = conn.execute(f"SELECT customer_id FROM psy_customers WHERE customer_id IN ({marks})", list(range(3000)))
        equal(sorted(row[0] for row in cursor.fetchall()), list(CUSTOMERS), "rows by 3000 parameters")
        rows = conn.execute("SELECT n FROM generate_series(1, 100000) AS n").fetchall()
        equal((len(rows), rows[-1]), (100_000, (100_000,)), "many rows")


def cancelled(conn, sql):
    """Cancels a statement that would not end by itself."""
    timer = threading.Timer(0.5, conn.cancel_safe)
    begun = time.monotonic()
    timer.start()
    refused("57014", conn.execute, sql)
    if time.monotonic() - begun > 5:
        raise AssertionError(f"the cancel of {sql} took {time.monotonic() - begun:.1f} s")
    timer.join()


@step
def cancel():
    with connect() as conn, connect() as locks:
        cancelled(conn, "SELECT pg_sleep(20)")
        cancelled(conn, "SELECT pg_sleep(20) FROM psy_customers WHERE customer_id = 3")
        locks.execute(f"SET pgring.shard = '{shard(locks, 3)}'")
        locks.execute("BEGIN")
        locks.execute("LOCK TABLE psy_customers")  # on one of the four shards
        cancelled(conn, "SELECT count(*) FROM psy_customers")
        locks.execute("ROLLBACK")
        conn.cancel_safe()  # nothing runs: nothing happens, now or later
        for customer in CUSTOMERS:
            conn.execute("SELECT name FROM psy_customers WHERE customer_id = %s", [customer])
        equal(conn.execute("SELECT count(*) FROM psy_customers").fetchone(), (40,), "customers after the cancels")


def one_of_the_crowd(number, failures):
    customer = 20 + number
    zone = f"Etc/GMT+{number % 12}" if number % 12 else "Asia/Tokyo"
    try:
        with connect(application_name=f"crowd {number}") as conn:
            conn.execute("SELECT set_config('timezone', %s, false)" if number % 2 else f"SET timezone = '{zone}'",
                         [zone] if number % 2 else None)
            conn.execute("SET crowd.number = " + f"'{number}'")
            for turn in range(25):
                with conn.transaction():
                    conn.execute("INSERT INTO psy_things (id, words, n) VALUES (%s, %s, %s)",
                                 [1000 + number * 100 + turn, f"{number}:{turn}", number])
                row = conn.execute("SELECT words FROM psy_things WHERE id = %s", [1000 + number * 100 + turn]).fetchone()
                equal(row, (f"{number}:{turn}",), "own row")
                equal(conn.execute("SELECT name FROM psy_customers WHERE customer_id = %s", [customer]).fetchone(),
                      (f"customer {customer:02}",), "own customer")
                equal(conn.execute("SHOW timezone").fetchone(), (zone,), "own timezone")
                equal(conn.execute("SELECT current_setting('application_name'), current_setting('crowd.number')").fetchone(),
                      (f"crowd {number}", str(number)), "own settings")
                counted = conn.execute("SELECT count(*) FROM psy_things WHERE n = %s AND id >= 1000", [number]).fetchone()
                equal(counted, (turn + 1,), "own rows over all shards")
                refused("22012", conn.execute, "SELECT 1 / (id - id) FROM psy_things WHERE id = 1")
    except Exception as error:  # the thread's failure is the step's
        failures.append(f"connection {number}: {type(error).__name__}: {error}")


@step
def sixteen_at_once():
    failures = []
    threads = [threading.Thread(target=one_of_the_crowd, args=(number, failures), daemon=True) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STEP_SECONDS)
        if thread.is_alive():
            failures.append("a connection did not end in time")
            break
    if failures:
        raise AssertionError("; ".join(failures[:3]))


def out_of_time(_signal, _frame):
    raise TimeoutError(f"not done within {STEP_SECONDS} s")


def main():
    signal.signal(signal.SIGALRM, out_of_time)
    failed = 0
    for function in STEPS:
        name = function.__name__.replace("_", " ")
        signal.alarm(STEP_SECONDS)
        try:
            function()
            print(f"ok {name}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
        finally:
            signal.alarm(0)
    sys.exit(1 if failed else 0)


main()

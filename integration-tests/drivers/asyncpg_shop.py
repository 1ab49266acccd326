"""asyncpg through pgring: a shop's day, step by step, all of it prepared and binary.

In: PGRING_DSN, a postgresql:// address of an empty sharded database whose user is an admin user.
Out: `ok <step>` for each step that went right, `FAILED <step>: <why>` for each other; exit code 1 after any failure.
Never: accepts what PostgreSQL itself would answer differently.
"""

import asyncio
import io
import json
import os
import sys
import uuid
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address

import asyncpg

DSN = os.environ["PGRING_DSN"]
STEP_SECONDS = 30
CUSTOMERS = range(1, 41)
CROWD = 16
STEPS = []


def step(function):
    """Registers a step; they run in the order of the file."""
    STEPS.append(function)
    return function


@asynccontextmanager
async def connect(**options):
    conn = await asyncpg.connect(DSN, timeout=10, **options)
    try:
        yield conn
    finally:
        await conn.close(timeout=5)


def equal(found, wanted, what="answer"):
    if found != wanted:
        raise AssertionError(f"{what} is {found!r}, not {wanted!r}")


def rows(records):
    return [tuple(record) for record in records]


async def refused(sqlstate, awaitable):
    """The error that an operation must end with."""
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        equal(error.sqlstate, sqlstate, f"SQLSTATE of {str(error)!r}")
        return error
    raise AssertionError(f"no error, {sqlstate} was expected")


def total(customer, number):
    """What order `number` of a customer costs; no two orders of the shop cost the same."""
    return Decimal(customer * 100 + number) / 100


async def two_shards(conn):
    """Two customers that live on different shards."""
    homes = [await conn.fetchval("SELECT pgring.shard_of('apg_orders', $1::bigint)", customer) for customer in CUSTOMERS]
    return 1, next(customer for customer, home in zip(CUSTOMERS, homes) if home != homes[0])


@step
async def tables():
    async with connect() as conn:
        await conn.execute("CALL pgring.admin('SHARD TABLE apg_customers BY (customer_id)')")
        await conn.execute("CALL pgring.admin('SHARD TABLE apg_orders BY (customer_id)')")
        answer = await conn.fetchrow("CALL pgring.admin('SHARD TABLE apg_things BY (id)')")
        equal(list(answer.keys()), ["operation_id", "status", "hint"], "columns of CALL")
        again = await conn.fetchrow("CALL pgring.admin($1)", "SHARD TABLE apg_things BY (id)")
        equal(again["status"], "unchanged", "status of a second SHARD TABLE")
        await conn.execute("""
            CREATE TABLE apg_customers (customer_id bigint PRIMARY KEY, name text NOT NULL, note text);
            CREATE TABLE apg_orders (customer_id bigint REFERENCES apg_customers, order_id integer,
                total numeric(10,2) NOT NULL, PRIMARY KEY (customer_id, order_id))""")
        await conn.execute("""
            CREATE TABLE apg_things (id bigint PRIMARY KEY, n numeric, at timestamptz, day date, u uuid, j jsonb,
                a integer[], t text[], b bytea, yes boolean, f double precision, span interval, ip inet, r int4range,
                words text)""")
        await conn.execute("CREATE TABLE apg_notes (id integer PRIMARY KEY, body text, at timestamptz)")
        await conn.execute("CREATE TYPE apg_mood AS ENUM ('sad', 'happy')")
        await conn.execute("CREATE TABLE apg_moods (id integer PRIMARY KEY, mood apg_mood, moods apg_mood[])")


@step
async def insert_by_key():
    async with connect() as conn:
        for customer in CUSTOMERS:
            tag = await conn.execute("INSERT INTO apg_customers (customer_id, name) VALUES ($1, $2)", customer,
                                     f"customer {customer:02}")
            equal(tag, "INSERT 0 1", "tag of an INSERT")
        equal(await conn.execute("INSERT INTO apg_customers VALUES (41, 'by the simple protocol')"), "INSERT 0 1")
        equal(await conn.execute("DELETE FROM apg_customers WHERE customer_id = 41"), "DELETE 1")


@step
async def executemany_for_one_key():
    async with connect() as conn:
        for customer in CUSTOMERS:
            orders = [(customer, number, total(customer, number)) for number in range(1, 5)]
            await conn.executemany("INSERT INTO apg_orders VALUES ($1, $2, $3)", orders)
        again = [(7, 70, Decimal(1)), (7, 1, Decimal(1))]
        await refused("23505", conn.executemany("INSERT INTO apg_orders VALUES ($1, $2, $3)", again))
        found = await conn.fetchval("SELECT count(*) FROM apg_orders WHERE customer_id = $1", 7)
        equal(found, 4, "rows after an executemany that failed, which is atomic")


@step
async def select_by_key():
    async with connect() as conn:
        for customer in CUSTOMERS:
            row = await conn.fetchrow("SELECT name, note FROM apg_customers WHERE customer_id = $1", customer)
            equal(tuple(row), (f"customer {customer:02}", None), f"customer {customer}")
        equal(await conn.fetch("SELECT 1 FROM apg_customers WHERE customer_id = $1", None), [], "rows of a NULL key")
        joined = """SELECT c.name, o.total FROM apg_customers c JOIN apg_orders o ON o.customer_id = c.customer_id
                    WHERE o.customer_id = $1 ORDER BY o.order_id"""
        found = rows(await conn.fetch(joined, 9))
        equal(found, [("customer 09", total(9, number)) for number in range(1, 5)], "a join")


@step
async def select_over_shards():
    async with connect() as conn:
        some = [3, 11, 19, 27, 35]
        names = [(f"customer {customer:02}",) for customer in some]
        found = await conn.fetch("SELECT name FROM apg_customers WHERE customer_id IN ($1, $2, $3, $4, $5)", *some)
        equal(sorted(rows(found)), names, "names by IN")
        found = await conn.fetch("SELECT name FROM apg_customers WHERE customer_id = ANY($1::bigint[])", some)
        equal(sorted(rows(found)), names, "names by ANY")
        everything = [total(customer, number) for customer in CUSTOMERS for number in range(1, 5)]
        row = await conn.fetchrow("SELECT count(*), sum(total), min(total), max(total) FROM apg_orders")
        equal(tuple(row), (160, sum(everything), min(everything), max(everything)), "sums")
        found = await conn.fetch("SELECT order_id, count(*) FROM apg_orders GROUP BY order_id ORDER BY order_id")
        equal(rows(found), [(number, 40) for number in range(1, 5)], "groups")
        found = await conn.fetch("SELECT customer_id, order_id FROM apg_orders ORDER BY total DESC LIMIT $1 OFFSET $2", 3, 2)
        equal(rows(found), [(40, 2), (40, 1), (39, 4)], "rows by ORDER BY and LIMIT")
        found = await conn.fetch('SELECT name FROM apg_customers ORDER BY name COLLATE "C" LIMIT 2')
        equal(rows(found), [("customer 01",), ("customer 02",)], "rows in order of bytes")
        found = await conn.fetch("SELECT name FROM apg_customers ORDER BY name LIMIT 2")
        equal(rows(found), [("customer 01",), ("customer 02",)], "rows in the order of the column's collation")


@step
async def transactions():
    async with connect() as conn:
        async with conn.transaction():
            await conn.execute("UPDATE apg_customers SET note = $2 WHERE customer_id = $1", 3, "kept")
        try:
            async with conn.transaction():
                await conn.execute("UPDATE apg_customers SET note = $2 WHERE customer_id = $1", 3, "lost")
                raise KeyError
        except KeyError:
            pass
        async with conn.transaction(isolation="repeatable_read"):
            await conn.execute("INSERT INTO apg_orders VALUES ($1, 50, 1)", 3)
            try:
                async with conn.transaction():
                    await conn.execute("INSERT INTO apg_orders VALUES ($1, 50, 1)", 3)
            except asyncpg.UniqueViolationError:
                pass
            level = await conn.fetchval("SHOW transaction_isolation")
            equal(level, "repeatable read", "isolation")
            await conn.execute("DELETE FROM apg_orders WHERE customer_id = $1 AND order_id = 50", 3)
        equal(await conn.fetchval("SELECT note FROM apg_customers WHERE customer_id = $1", 3), "kept", "the note")


@step
async def writes_on_several_shards_are_whole_or_nothing():
    async with connect() as conn:
        here, there = await two_shards(conn)
        move = "UPDATE apg_customers SET note = 'half' WHERE customer_id = $1"
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute(move, here)
        await conn.execute(move, there)
        halves = "SELECT count(*) FROM apg_customers WHERE note = 'half'"
        equal(await conn.fetchval(halves), 2, "rows of the open transaction")
        await transaction.rollback()
        equal(await conn.fetchval(halves), 0, "rows of the transaction that was rolled back")
        both = "INSERT INTO apg_customers VALUES ($1, 'a'), ($2, 'b')"
        equal(await conn.execute(both, here + 1000, there + 1000), "INSERT 0 2", "tag of INSERT")
        gone = "DELETE FROM apg_customers WHERE customer_id IN ($1, $2)"
        equal(await conn.execute(gone, here + 1000, there + 1000), "DELETE 2", "tag of DELETE")
        equal(await conn.fetchval("SELECT count(*) FROM apg_customers"), 40, "customers")


@step
async def prepared_statements():
    async with connect() as conn:
        by_key = await conn.prepare("SELECT name FROM apg_customers WHERE customer_id = $1")
        equal([kind.name for kind in by_key.get_parameters()], ["int8"], "types of the parameters")
        equal([(column.name, column.type.name) for column in by_key.get_attributes()], [("name", "text")], "columns")
        counted = await conn.prepare("SELECT count(*) FROM apg_orders")
        for customer in CUSTOMERS:
            equal(await by_key.fetchval(customer), f"customer {customer:02}", "by a prepared statement")
            equal(await counted.fetchval(), 160, "a prepared count over all shards")
            equal(await conn.fetchval("SELECT $1::text", "between"), "between")
        async with conn.transaction():
            equal(await by_key.fetchval(8), "customer 08", "by a prepared statement in a transaction")
        equal(rows(await by_key.fetchmany([(1,), (1,)])), [("customer 01",)] * 2, "fetchmany")
    async with connect(statement_cache_size=3) as conn:  # older statements are closed again and again
        for turn in range(30):
            found = await conn.fetchval(f"SELECT name || '{turn % 7}' FROM apg_customers WHERE customer_id = $1", 8)
            equal(found, f"customer 08{turn % 7}", "prepared and closed in turn")
    async with connect() as conn, connect() as other:
        equal(await conn.fetchval("SELECT note FROM apg_customers WHERE customer_id = $1", 3), "kept")
        await other.execute("ALTER TABLE apg_customers ADD COLUMN extra integer")
        equal(await conn.fetchval("SELECT extra FROM apg_customers WHERE customer_id = $1", 3), None, "the new column")
        everything = await conn.fetchrow("SELECT * FROM apg_customers WHERE customer_id = $1", 3)
        equal(len(everything), 4, "columns after ALTER TABLE")


@step
async def values_round_trip():
    things = {
        "n": Decimal("12345678901234567890.000000000000000001"),
        "at": datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        "day": date(2024, 2, 29), "u": uuid.UUID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
        "j": {"naïve": [1, None, "ü\u2028", {"a": True}]}, "a": [1, None, -2147483648],
        "t": ["", "NULL", None, 'a"b\\c,{}', "日本"], "b": bytes(range(256)) * 40, "yes": False, "f": 0.1 + 0.2,
        "span": timedelta(days=-3, microseconds=7), "ip": ip_address("2001:db8::1"), "r": asyncpg.Range(-5, 5),
        "words": "Grüße, 日本, 😀, ' \" \\ %s $1 \t\n; --",
    }
    names, marks = ", ".join(things), ", ".join(f"${number}" for number in range(2, len(things) + 2))
    async with connect() as conn:
        await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await conn.execute(f"INSERT INTO apg_things (id, {names}) VALUES ($1, {marks})", 1, *things.values())
        await conn.execute(f"INSERT INTO apg_things (id, {names}) VALUES ($1, {marks})", 2, *[None] * len(things))
        row = await conn.fetchrow(f"SELECT {names} FROM apg_things WHERE id = $1", 1)
        for name, wanted in things.items():
            equal(row[name], wanted, name)
        row = await conn.fetchrow(f"SELECT {names} FROM apg_things WHERE id = $1", 2)
        equal(tuple(row), (None,) * len(things), "NULLs")
        over_all = await conn.fetchrow(f"SELECT {names} FROM apg_things WHERE n IS NOT NULL")
        equal(tuple(over_all), tuple(things.values()), "the row when all shards are asked")


@step
async def a_type_of_ones_own():
    async with connect() as conn:
        await conn.execute("INSERT INTO apg_moods VALUES ($1, $2, $3)", 1, "happy", ["sad", "happy"])
        row = await conn.fetchrow("SELECT mood, moods FROM apg_moods WHERE id = $1", 1)
        equal(tuple(row), ("happy", ["sad", "happy"]), "values of an enum and its array")


@step
async def errors_have_their_codes():
    async with connect() as conn:
        duplicate = await refused("23505", conn.execute("INSERT INTO apg_customers VALUES ($1, 'again')", 1))
        equal(duplicate.constraint_name, "apg_customers_pkey", "the constraint")
        await refused("23503", conn.execute("INSERT INTO apg_orders VALUES ($1, 1, 1)", 999))
        missing = await refused("42P01", conn.fetch("SELECT * FROM apg_nothing WHERE id = $1", 1))
        equal(missing.position, "15", "position of the missing table")
        await refused("42703", conn.fetch("SELECT nothing FROM apg_customers WHERE customer_id = $1", 1))
        await refused("22012", conn.fetch("SELECT 1 / (customer_id - customer_id) FROM apg_customers WHERE customer_id = $1", 1))
        await refused("42601", conn.fetch("SELEC 1"))
        await refused("42601", conn.execute("SELECT 1; SELEC 2"))
        equal(await conn.fetchval("SELECT count(*) FROM apg_customers"), 40, "customers after errors")


@step
async def cursors():
    async with connect() as conn, conn.transaction():
        sql = "SELECT order_id FROM apg_orders WHERE customer_id = $1 ORDER BY order_id"
        found = [record[0] async for record in conn.cursor(sql, 12, prefetch=2)]
        equal(found, [1, 2, 3, 4], "rows of a cursor")
        cursor = await conn.cursor(sql, 12)
        equal(rows(await cursor.fetch(2)), [(1,), (2,)], "the first rows")
        equal(await conn.fetchval("SELECT count(*) FROM apg_orders WHERE customer_id = $1", 12), 4, "a statement between")
        equal(await cursor.forward(1), 1, "rows passed over")
        equal(tuple(await cursor.fetchrow()), (4,), "the last row")


@step
async def copy_of_a_local_table():
    async with connect() as conn:
        at = datetime(2026, 1, 1, tzinfo=timezone.utc)
        notes = [(number, f"note {number}\t\\ü\n", at) for number in range(1, 501)]
        tag = await conn.copy_records_to_table("apg_notes", records=notes, columns=["id", "body", "at"])
        equal(tag, "COPY 500", "tag of a binary COPY")
        tag = await conn.copy_to_table("apg_notes", source=io.BytesIO(b"501,plain,\n"), format="csv")
        equal(tag, "COPY 1", "tag of a COPY from CSV")
        out = io.BytesIO()
        tag = await conn.copy_from_table("apg_notes", output=out, columns=["id"], format="csv")
        equal((tag, len(out.getvalue().splitlines())), ("COPY 501", 501), "lines copied out")
        out = io.BytesIO()
        await conn.copy_from_query("SELECT body FROM apg_notes WHERE id = $1", 501, output=out)
        equal(out.getvalue(), b"plain\n", "a query copied out")
        await refused("23505", conn.copy_records_to_table("apg_notes", records=notes[:1]))
        out = io.BytesIO()
        tag = await conn.copy_from_table("apg_customers", output=out)
        customers = await conn.fetchval("SELECT count(*) FROM apg_customers")
        equal((tag, len(out.getvalue().splitlines())), (f"COPY {customers}", customers), "a sharded table copied out")
        await refused("22P04", conn.copy_to_table("apg_customers", source=io.BytesIO(b"1\n")))
        equal(await conn.fetchval("SELECT count(*) FROM apg_notes"), 501, "notes")


@step
async def listen_and_notify():
    async with connect() as hears, connect() as tells:
        heard = asyncio.Queue()
        await hears.add_listener("apg_news", lambda _conn, _pid, channel, payload: heard.put_nowait((channel, payload)))
        await tells.execute("NOTIFY apg_news, 'first'")
        await tells.execute("SELECT pg_notify($1, $2)", "apg_news", "zweite ü")
        found = [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]
        equal(found, [("apg_news", "first"), ("apg_news", "zweite ü")], "notifications")
        await hears.reset()


@step
async def cancelled_by_a_time_limit():
    async with connect() as conn:
        begun = asyncio.get_running_loop().time()
        try:
            await conn.fetch("SELECT pg_sleep(60)", timeout=0.5)
        except asyncio.TimeoutError:
            pass
        else:
            raise AssertionError("pg_sleep(60) came back")
        equal(await conn.fetchval("SELECT name FROM apg_customers WHERE customer_id = $1", 5), "customer 05", "after the cancel")
        took = asyncio.get_running_loop().time() - begun
        if took > 10:
            raise AssertionError(f"the cancel took {took:.1f} s")


async def one_of_the_crowd(pool, number):
    for turn in range(25):
        async with pool.acquire() as conn:  # released connections are reset by asyncpg
            equal(await conn.fetchval("SHOW application_name"), "", "application_name of a connection just acquired")
            await conn.execute(f"SET application_name = 'crowd {number}'")
            key = 1000 + number * 100 + turn
            async with conn.transaction():
                await conn.execute("INSERT INTO apg_things (id, words, n) VALUES ($1, $2, $3)", key, f"{number}:{turn}", number)
            equal(await conn.fetchval("SELECT words FROM apg_things WHERE id = $1", key), f"{number}:{turn}", "own row")
            counted = await conn.fetchval("SELECT count(*) FROM apg_things WHERE n = $1 AND id >= 1000", number)
            equal(counted, turn + 1, "own rows over all shards")
            await refused("22012", conn.fetch("SELECT 1 / (id - id) FROM apg_things WHERE id = $1", key))
            equal(await conn.fetchval("SELECT current_setting('application_name')"), f"crowd {number}", "own setting")


@step
async def sixteen_at_once():
    async with asyncpg.create_pool(DSN, min_size=CROWD // 2, max_size=CROWD, timeout=10) as pool:
        await asyncio.gather(*(one_of_the_crowd(pool, number) for number in range(CROWD)))


async def main():
    failed = 0
    for function in STEPS:
        name = function.__name__.replace("_", " ")
        try:
            await asyncio.wait_for(function(), STEP_SECONDS)
            print(f"ok {name}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)


asyncio.run(main())

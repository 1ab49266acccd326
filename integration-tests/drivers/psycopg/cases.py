"""What the scripts of this folder share: cases, each of which prints what it found.

In: PGRING_DSN, a connection string of an empty database whose user is a superuser.
Out: lines `name number = what was found`, some for each case; the same lines whatever serves the database.
Never: judges; who runs a script twice compares the lines.
"""

import os
import signal
import threading
from contextlib import contextmanager

import psycopg
from psycopg import pq

DSN = os.environ["PGRING_DSN"]
PORT = psycopg.conninfo.conninfo_to_dict(DSN)["port"]
CASE_SECONDS = 40
CASES = []


def case(function):
    """Registers a case; they run in the order of the file."""
    CASES.append(function)
    return function


def connect(autocommit=True, **options):
    return psycopg.connect(DSN, autocommit=autocommit, connect_timeout=10, **options)


def status(conn):
    """The session's state as libpq sees it."""
    return pq.TransactionStatus(conn.info.transaction_status).name


def first(conn, sql, *parameters, **options):
    """The first column of the first row."""
    row = conn.execute(sql, parameters or None, **options).fetchone()
    return row and row[0]


def error_of(function, *arguments, **options):
    """The error that a call ends with, or that it ends with none."""
    try:
        function(*arguments, **options)
    except Exception as error:
        return told(error)
    return "no error"


def told(error):
    """An error as its reader sees it, without what is the server's own affair: its source, its port, a router's number."""
    if not isinstance(error, psycopg.Error) or not error.sqlstate:
        lines = str(error).replace(f"port {PORT}", "port").splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else ''}"
    diag = error.diag
    fields = ["severity", "sqlstate", "message_primary", "message_detail", "message_hint", "statement_position",
              "internal_query", "schema_name", "table_name", "column_name", "datatype_name", "constraint_name"]
    values = [getattr(diag, field) for field in fields]
    return type(error).__name__, *[value for value in values if value is not None and not value.startswith("PGR-")]


@contextmanager
def dropped(conn, *things):
    """Makes these (`TABLE name (...)`, `TYPE name AS ...`) and drops them at the end."""
    for thing in things:
        conn.execute(f"CREATE {thing}")
    try:
        yield
    finally:
        conn.rollback()
        for thing in reversed(things):
            kind, name = thing.split()[:2]
            conn.execute(f"DROP {kind} {name.split('(')[0]} CASCADE")
        conn.commit()


NOISE = [
    "SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET client_encoding = 'LATIN1'",
    "SET search_path = pg_catalog; SET application_name = 'somebody else'; SET bytea_output = 'escape'",
    "SET default_transaction_isolation = 'serializable'; SET default_transaction_read_only = on; SET extra_float_digits = -3",
    "BEGIN; SET LOCAL ROLE pg_read_all_data; SELECT 1; ROLLBACK",
    "SELECT 1 / 0",
    "RESET ALL",
]


def make_noise(over):
    """Somebody else, who shares whatever is shared."""
    try:
        with connect() as conn:
            turn = 0
            while not over.wait(0.003):
                conn.pgconn.exec_(NOISE[turn % len(NOISE)].encode())
                turn += 1
    except psycopg.Error as error:
        print(f"the other client = {told(error)}", flush=True)


def out_of_time(_signal, _frame):
    raise TimeoutError(f"not done within {CASE_SECONDS} s")


def main():
    signal.signal(signal.SIGALRM, out_of_time)
    over = threading.Event()
    noise = [threading.Thread(target=make_noise, args=(over,), daemon=True) for _ in range(2)]
    for thread in noise:
        thread.start()
    for function in CASES:
        signal.alarm(CASE_SECONDS)
        try:
            found = function()
        except Exception as error:
            found = told(error)
        finally:
            signal.alarm(0)
        name = function.__name__.replace("_", " ")
        for at, one in enumerate(found if isinstance(found, list) else [found]):
            print(f"{name} {at} = {one!r}", flush=True)
    over.set()
    for thread in noise:
        thread.join()
